/* The HTTP API: /api/v1, /health. Reads use connections of their own and never touch the loop;
 * writes are messages that are answered after their commit; live values are queries of the core. */
#ifndef SCHEDULER_PORT_API_H
#define SCHEDULER_PORT_API_H

#include <stdint.h>

#include "lib/text/retention.h"
#include "scheduler/port/inbox.h"

struct api;
struct tokens;

#define AUTH_LOCAL "local" /* the token of who owns the home: see main.c */

struct api_config {
    const char *home;    /* absolute: nexus.db, logs/ */
    const char *project; /* absolute */
    const char *dags;    /* absolute: the folder of DAG files; NULL: they cannot be changed */
    const char *host;
    uint16_t port; /* 0: any free one */
    struct inbox *inbox;
    int64_t started_ms; /* wall: of the scheduler */
    /* What nexus.yaml and the environment set, for the lists: pools {name: slots}, variables {name:
     * value}, secrets (their names are used alone), connections {name: URI} as JSON objects; NULL:
     * none. */
    const char *fixed[KEPT_KINDS];
    const char *key_file;       /* of the secrets; NULL: the usual one */
    struct retention retention; /* of DAGs that do not say */
    const char *settings;       /* JSON, a list: see effective.h; borrowed */
    /* Of workers elsewhere; host and certificate are borrowed. */
    struct tokens *tokens;
    const char *workers_host; /* as in --listen-workers */
    unsigned workers_port;    /* 0: they are not listened for */
    const char *certificate;  /* PEM */
    bool auth;                /* tokens are asked for; else any address but loopback is refused */
    bool secure;              /* browsers reach it by https: see public_url */
    const char *public_host;  /* what else a Host header may say; NULL: nothing */
};

/* Listens. NX_E_BUSY when the port is taken. */
bool api_open(const struct api_config *config, struct api **api, struct nx_err *err);
uint16_t api_port(const struct api *api);
/* After each commit, on the loop: what changed goes to the event streams. */
void api_committed(struct api *api, const struct core *core, const struct core_update *update,
                   uint64_t number, int64_t us);
/* After each turn, on the loop: how long it took, for /metrics. */
void api_turned(struct api *api, int64_t us);
/* The first scan of the DAG folder is in: /health/ready says so. */
void api_set_ready(struct api *api);
/* Answers what waits with 503 and ends streams. The inbox must not be used by it afterwards. */
void api_stop(struct api *api);
void api_close(struct api *api); /* NULL is fine */

#endif
