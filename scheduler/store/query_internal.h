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

/* The columns that query_each_run reads, of the run `r`. */
#define QUERY_RUN_COLUMNS \
    "select r.run, r.dag, r.version, v.number, r.state, r.cause, r.reason, r.interval_start," \
    " r.interval_finish, r.params, r.note, r.created_at, r.started_at, r.finished_at, r.counts," \
    " (select json_group_array(json_object('dataset', t.dataset, 'version', t.last," \
    " 'first_version', t.first, 'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', t.at / 1000.0," \
    " 'unixepoch'), 'rows', t.rows, 'hash', t.hash, 'note', t.note, 'producer', json_object(" \
    "'dag', t.dag, 'run', cast(t.by_run as text), 'task', t.task, 'map_index', t.map_index," \
    " 'attempt', t.attempt, 'who', t.who))) from run_dataset t where t.run = r.run)," \
    " r.deadline_at, r.late_at, r.claims" \
    " from run r"
#define QUERY_RUN_NUMBER " left join dag_version v on v.version = r.version"

/* Until one was created before since_ms (0: never), or fn says that it is enough. */
bool query_each_run(struct sql_stmt *stmt, int64_t since_ms, query_run_fn *fn, void *arg,
                    struct nx_err *err);
/* The id of the first run that was created then or later, or that of the next run. */
bool query_first_since(struct query *query, int64_t since_ms, int64_t *first, struct nx_err *err);

#endif
