/* The engine: the scheduler's loop. Takes what the inbox has, steps the core, answers its
 * questions, commits once, then sends and answers. Durable before visible. */
#ifndef SCHEDULER_ENGINE_H
#define SCHEDULER_ENGINE_H

#include "lib/crypt/certificate.h"
#include "lib/text/retention.h"
#include "scheduler/port/inbox.h"
#include "scheduler/port/tokens.h"
#include "scheduler/store/store.h"

/* Where the process ends itself, for the crash tests: at the n-th commit. */
enum crash_point { CRASH_NEVER, CRASH_BEFORE_COMMIT, CRASH_AFTER_COMMIT, CRASH_AFTER_SEND };

struct engine_config {
    const char *home;                  /* absolute */
    const char *dags;                  /* folder of DAG files, absolute */
    const char *project;               /* where relative paths of tasks start, absolute */
    const char *pools;                 /* JSON object: name -> slots */
    const char *vars;                  /* JSON object */
    const char *secrets;               /* JSON object */
    const char *connections;           /* JSON object: name -> URI */
    const struct retention *retention; /* of DAGs that do not say; as long as the engine */
    const char *key_file;              /* of what is kept sealed; NULL: KEPT_KEY_FILE in the home */
    int64_t lost_after_ms;             /* of all workers; negative: the defaults */
    int64_t notify_delay_ms;   /* before a notification's second try; 0 or less: the default */
    bool silent;               /* nothing is told to others */
    const char *public_url;    /* in notifications; NULL: the address that scripts see */
    const char *elsewhere_url; /* tls+tcp://host:port; NULL: no workers elsewhere */
    const struct certificate *certificate; /* for that; lives as long as the engine */
    enum crash_point crash_point;
    uint64_t crash_commit;
    /* Called on the loop after each commit (before the sends), with the number of the commit and
     * how long the disk took for it. */
    void (*committed)(void *arg, const struct core *core, const struct core_update *update,
                      uint64_t number, int64_t us);
    /* Called on the loop at the end of each turn, with how long it took. */
    void (*turned)(void *arg, int64_t us);
    /* Called on the loop once the first scan of the DAG folder is in. */
    void (*ready)(void *arg);
    void *arg;
};

struct engine;

/* Opens the store, loads what is unfinished, listens for workers and starts the loader. The inbox
 * is there from now on; the loop runs in engine_run. */
bool engine_open(const struct engine_config *config, struct engine **engine, struct nx_err *err);
struct inbox *engine_inbox(struct engine *engine);
/* Of workers elsewhere. */
struct tokens *engine_tokens(struct engine *engine);
/* The port on which they are listened for; 0: none. */
unsigned engine_workers_port(const struct engine *engine);
/* The address that scripts see; before engine_run. */
void engine_set_url(struct engine *engine, const char *url);
/* Until MSG_STOP. Ends the process with status 75 when a commit fails. */
void engine_run(struct engine *engine);
void engine_close(struct engine *engine); /* NULL is fine */

#endif
