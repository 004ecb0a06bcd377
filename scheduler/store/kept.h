/* What people keep in nexus.db beside DAGs and runs: pools, variables, secrets and connections
 * (these two sealed). The store_ functions are for the scheduler's loop, the query_ functions for
 * readers. */
#ifndef SCHEDULER_STORE_KEPT_H
#define SCHEDULER_STORE_KEPT_H

#include "scheduler/store/query.h"
#include "scheduler/store/store.h"

#define KEPT_KEY_FILE "secret.key" /* in the home: the key of what is sealed */

enum kept_kind { KEPT_POOL, KEPT_VAR, KEPT_SECRET, KEPT_CONN, KEPT_KINDS };

struct kept_row {
    const char *name;
    int64_t slots;      /* of a pool */
    const char *text;   /* a description, or NULL; a variable's value as JSON */
    const char *shown;  /* of a connection: its URI without what is secret */
    const void *sealed; /* of a secret or connection */
    size_t n_sealed;
    int64_t updated_ms; /* of all but a pool */
};

/* "pool", "variable", "secret", "connection" */
const char *kept_name(enum kept_kind kind);

/* Made or replaced, in the turn's transaction. A description that is NULL stays; "": it goes. */
bool store_put_kept(struct store *store, enum kept_kind kind, const struct kept_row *row,
                    struct nx_err *err);
bool store_drop_kept(struct store *store, enum kept_kind kind, const char *name,
                     struct nx_err *err);
/* Whether there is one of that name, and how many there are of the kind. */
bool store_count_kept(struct store *store, enum kept_kind kind, const char *name, bool *found,
                      int64_t *n, struct nx_err *err);
/* All of a kind, by name; texts live until fn returns. */
bool store_each_kept(struct store *store, enum kept_kind kind,
                     void (*fn)(void *arg, const struct kept_row *row), void *arg,
                     struct nx_err *err);
/* The same for readers, with and without what is sealed. */
bool query_each_sealed(struct query *query, enum kept_kind kind,
                       void (*fn)(void *arg, const struct kept_row *row), void *arg,
                       struct nx_err *err);
bool query_each_kept(struct query *query, enum kept_kind kind,
                     void (*fn)(void *arg, const struct kept_row *row), void *arg,
                     struct nx_err *err);

#endif
