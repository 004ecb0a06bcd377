/* Pools, variables, secrets and connections that people keep, on the loop: checked, written, and in
 * effect in the same turn. Those of nexus.yaml and of the environment win and cannot be changed
 * here.
 *
 * Secrets and connections are sealed with a key in a file apart from the database, made when the
 * first one is kept. Without it they cannot be read; nothing else is touched by that. */
#ifndef SCHEDULER_KEPT_H
#define SCHEDULER_KEPT_H

#include <jansson.h>

#include "lib/base/path.h"
#include "scheduler/engine.h"

struct kept {
    struct store *store;
    json_t *fixed[KEPT_KINDS]; /* of nexus.yaml and the environment: name -> value */
    json_t *vars, *secrets;    /* what expressions see; replaced by a change, never changed */
    json_t *conns;             /* name -> URI; likewise */
    /* name of a secret or connection -> why it cannot be read; likewise */
    json_t *unreadable, *unreadable_conns;
    char key_path[PATH_MAX_BYTES];
};

/* Of config: home, key_file, pools, vars, secrets, connections. */
bool kept_open(struct kept *kept, struct store *store, const struct engine_config *config,
               struct nx_err *err);
void kept_close(struct kept *kept);
/* Every pool that exists, for EV_POOL; names live until fn returns. */
bool kept_pools(struct kept *kept, void (*fn)(void *arg, const char *name, int64_t slots),
                void *arg, struct nx_err *err);
/* WRITE_KEEP and WRITE_DROP: what the store is told is in the turn's transaction. Of a pool the
 * caller tells the core. False: refused, nothing has changed. */
bool kept_take(struct kept *kept, const struct core *core, const struct message *message,
               struct write_result *result, struct nx_err *err);
/* What could not be unsealed is tried again: the key file may be back. */
void kept_try_again(struct kept *kept);

#endif
