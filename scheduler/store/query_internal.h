/* A query's own structure; for the query files of this folder. */
#ifndef SCHEDULER_STORE_QUERY_INTERNAL_H
#define SCHEDULER_STORE_QUERY_INTERNAL_H

#include "lib/base/vec.h"
#include "lib/sql/sql.h"
#include "scheduler/store/query.h"
#include "scheduler/store/query_info.h"

struct query {
    struct query_pool *pool;
    struct sql *sql;
    struct map statements; /* SQL text -> struct sql_stmt */
    VEC(const struct dag_info *) held;
    struct query *next; /* free ones of the pool */
};

/* The statement of that text, reset and to be bound; kept by the connection. NULL: *err. */
struct sql_stmt *query_prepare(struct query *query, const char *text, struct nx_err *err);

#endif
