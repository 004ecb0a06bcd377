/* Tokens of workers elsewhere and of the API: what is kept of them is a hash. The store_ functions
 * are for the scheduler's loop, the query_ function for readers. */
#ifndef SCHEDULER_STORE_TOKEN_H
#define SCHEDULER_STORE_TOKEN_H

#include "scheduler/store/query.h"
#include "scheduler/store/store.h"

struct token_row {
    const char *id, *name; /* name: "" none */
    const char *role;      /* its name: scheduler/port/role.h */
    const char *hash;      /* SHA-256 of the token, as digits; NULL for readers */
    int64_t created_ms;
    int64_t expires_ms; /* wall; 0: never */
};

/* In the turn's transaction. */
bool store_put_token(struct store *store, const struct token_row *row, struct nx_err *err);
bool store_drop_token(struct store *store, const char *id, bool *found, struct nx_err *err);
/* All, the oldest first; texts live until fn returns. */
bool store_each_token(struct store *store, void (*fn)(void *arg, const struct token_row *row),
                      void *arg, struct nx_err *err);
bool query_each_token(struct query *query, void (*fn)(void *arg, const struct token_row *row),
                      void *arg, struct nx_err *err);

#endif
