/* Settings: the file nexus.yaml, the NEXUS_* variables over it, and (by the programs) flags over
 * both. Every program that needs one reads it here, so that they agree.
 *
 *   listen: 127.0.0.1:8000        # address of API and page
 *   dags: dags                    # folder of DAG files
 *   home: .nexus                  # state; relative paths start at the file's folder
 *   slots: 4                      # attempts at a time of the worker that `nexus up` starts
 *   pools: {cpu: 2, gpu: 1}
 *   vars: {region: eu, days: 60}
 *   lost_after: 8s                # a silent worker's attempts are lost after this
 *   log_max: 100M                 # of one attempt
 *   grace: 10s                    # how long stopping waits for running attempts
 *   public_url: https://nexus.example.com   # the server's address in notifications
 *   notify_delay: 5s              # before the second try to send a notification
 *   listen_workers: 0.0.0.0:8700  # workers on other machines are welcome there
 *   auth: tokens                  # the API asks who one is; off: it listens for this machine alone
 */
#ifndef LIB_TEXT_SETTINGS_H
#define LIB_TEXT_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/text/retention.h"
#include "nexus/error.h"

#define SETTINGS_FILE "nexus.yaml"
#define SETTINGS_FILE_MAX (1024 * 1024)
#define SETTINGS_LISTEN "127.0.0.1:8000" /* when nothing says otherwise */

struct settings_pool {
    const char *name;
    int64_t slots;
};

struct settings_var {
    const char *name;
    const char *json; /* its value as JSON text */
};

/* NULL, 0 or -1: not said; the program has its default. Texts live in the arena. */
struct settings {
    struct arena arena;
    const char *listen;
    const char *listen_workers; /* HOST:PORT; NULL: no workers elsewhere */
    const char *dags, *home;    /* as written in a variable; made absolute when from the file */
    int64_t slots;              /* 0: not said */
    size_t n_pools, n_vars;
    const struct settings_pool *pools;
    const struct settings_var *vars;
    int64_t lost_after_ms;      /* -1: not said */
    int64_t log_max_bytes;      /* -1: not said */
    int64_t grace_ms;           /* -1: not said */
    int64_t notify_delay_ms;    /* -1: not said */
    struct retention retention; /* of DAGs that do not say */
    const char *public_url;
    int auth; /* 1: tokens, 0: off; -1: not said */
};

void settings_init(struct settings *settings);
void settings_fini(struct settings *settings);

/* Reads the text of a settings file into an initialised struct. `file` is its path: messages name
 * it, and relative paths in it start at its folder. All mistakes at once, a line each:
 * "nexus.yaml:3:1: unknown key 'slot'; did you mean 'slots'?" */
bool settings_parse(struct settings *settings, const char *file, const char *text, size_t n,
                    struct nx_err *err);

/* Reads PROJECT/nexus.yaml if there is one, then NEXUS_LISTEN, NEXUS_DAGS, NEXUS_HOME,
 * NEXUS_SLOTS, NEXUS_LOST_AFTER, NEXUS_LOG_MAX, NEXUS_GRACE, NEXUS_PUBLIC_URL, NEXUS_NOTIFY_DELAY,
 * NEXUS_LISTEN_WORKERS and NEXUS_AUTH over it. On failure settings is as after settings_init. */
bool settings_load(struct settings *settings, const char *project, struct nx_err *err);

/* "tokens" is 1, "off" is 0; else NX_E_INVALID. */
bool settings_parse_auth(const char *text, int *auth, struct nx_err *err);

#define SETTINGS_SECRET "NEXUS_SECRET_" /* its variables are for Nexus alone: no task sees them */

#define SETTINGS_CONNECTION "NEXUS_CONN_" /* likewise */

/* Variables of the environment with that prefix as a JSON object: with SETTINGS_SECRET,
 * NEXUS_SECRET_NAME=value is "name": "value". To be freed with mem_free. */
char *settings_named(const char *prefix);

/* "HOST:PORT" -> its parts; "[::1]:8000" and ":8000" (127.0.0.1) too. host: at least 64 bytes. */
bool settings_parse_listen(const char *listen, char *host, size_t size, uint16_t *port,
                           struct nx_err *err);

#endif
