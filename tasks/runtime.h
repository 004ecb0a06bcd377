/* One attempt inside nexus-task: what stands behind the nx_* functions of nexus/operator.h. */
#ifndef TASKS_RUNTIME_H
#define TASKS_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/artifact/artifact.h"
#include "lib/base/arena.h"
#include "lib/base/path.h"
#include "lib/script/script.h"
#include "lib/wire/child.h"
#include "nexus/limits.h"
#include "nexus/operator.h"
#include "tasks/cancel.h"
#include "tasks/definition.h"
#include "tasks/scratch.h"

/* Where what an attempt says goes: messages of the child's protocol, whoever reads them. Called
 * under the runtime's lock, from any thread. */
struct sink {
    void (*send)(void *arg, const struct child_message *message);
    void *arg;
};

/* Of the process; lives through all attempts. */
struct runtime {
    struct cancel cancel;
    struct scratch scratch;
    struct script *script;        /* made at first use */
    struct artifact_store *store; /* the same, for store_root */
    char store_root[PATH_MAX_BYTES];
    struct sink sink;
    pthread_mutex_t lock; /* of sink */
    bool alone;           /* no worker stands behind: enforce the grace here */
    int64_t low_rss_kb;   /* the process's size as last known to be its own */
};

/* Of one attempt. */
struct nx_ctx {
    struct runtime *runtime;
    struct definition *definition;
    uint64_t ticket;
    const struct child_start *start; /* texts live as long as the attempt */
    json_t *context;                 /* parsed when first asked for */
    json_t *args;                    /* an operator's, checked */
    json_t *outputs;                 /* NULL: none yet */
    size_t outputs_bytes;
    char reason[NX_REASON_TEXT_MAX]; /* of a skip */
    struct arena arena;
    atomic_bool armed;           /* the cancel's watcher is */
    _Atomic int64_t progress_ms; /* when the last was sent */
    /* What a script's processes used, and how it ended. */
    int32_t exit_code, signal;
    int64_t script_cpu_us, script_rss_kb;
    bool spoiled;       /* this process should not run another attempt */
    const char **masks; /* secret values, in the arena */
    size_t n_masks;
};

void runtime_init(struct runtime *runtime, int fd, struct sink sink);
void runtime_fini(struct runtime *runtime);

/* Sends a message of this attempt. */
void runtime_send(struct nx_ctx *ctx, struct child_message *message);

/* The attempt's context ({params, run, dag, task, outputs, vars, secrets, item, index}); an empty
 * object when there is none. NULL: *err. */
const json_t *runtime_context(struct nx_ctx *ctx, struct nx_err *err);

/* The interpreter with this attempt's values set. */
struct script *runtime_script(struct nx_ctx *ctx, struct nx_err *err);

/* Adds an output (steals value). NX_E_LIMIT: over what an attempt may have. */
bool runtime_output(struct nx_ctx *ctx, const char *name, json_t *value, struct nx_err *err);

/* Keeps a file or folder as an artifact; *reference: {"artifact", "kind", "bytes", meta's keys}, a
 * new reference. meta may be NULL. */
bool runtime_keep(struct nx_ctx *ctx, const char *path, const char *kind, const json_t *meta,
                  json_t **reference, struct nx_err *err);

/* Makes the attempt's folder, if it is not there; its part ("work", "artifacts", "output", ...) as
 * a path in the arena. */
const char *runtime_folder(struct nx_ctx *ctx, const char *part, struct nx_err *err);

#endif
