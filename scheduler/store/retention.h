/* What is kept of ended runs, and how the rest goes, a little at a time.
 *
 * A run that is to go is *doomed*: its row is taken away at once, so that nobody sees half of it,
 * and its number is noted; what belongs to it follows in bounded steps, its logs last. A crash in
 * between loses nothing: the numbers are still there. */
#ifndef SCHEDULER_STORE_RETENTION_H
#define SCHEDULER_STORE_RETENTION_H

#include "lib/text/retention.h"
#include "scheduler/store/query.h"
#include "scheduler/store/store.h"

enum retention_why {
    RETENTION_STAYS,
    RETENTION_AGE,   /* it ended too long ago */
    RETENTION_COUNT, /* there are enough newer ones */
    RETENTION_LOGS   /* the run stays, its logs go */
};

struct retention_run {
    uint64_t run, version;
    enum nx_run_state state;
    int64_t finished_ms;
    enum retention_why why;
};

struct retention_dag {
    const char *dag;
    const char *text; /* of its current version: see lib/text/retention.h; NULL: none */
};

/* The DAGs with an id after `after` (those whose file is gone too), by id, at most `limit`. */
typedef bool retention_dag_fn(void *arg, const struct retention_dag *dag);
bool store_retention_dags(struct store *store, const char *after, size_t limit,
                          retention_dag_fn *fn, void *arg, struct nx_err *err);
bool query_retention_dags(struct query *query, const char *after, size_t limit,
                          retention_dag_fn *fn, void *arg, struct nx_err *err);

/* A look at a DAG's ended runs, oldest first, behind `after`. Only those that are over a bound are
 * told; never told are runs that have not ended, those of a backfill that has not, the newest run
 * that succeeded and the newest of all. */
struct retention_look {
    const char *dag;
    const struct retention *keep; /* filled */
    int64_t now_ms;
    uint64_t after;
    size_t most; /* runs that are looked at */
};
/* *last: the run that was looked at last; *more: there are more that may be over a bound. fn
 * returns false to end the look. */
typedef bool retention_run_fn(void *arg, const struct retention_run *run);
bool store_retention_look(struct store *store, const struct retention_look *look,
                          retention_run_fn *fn, void *arg, uint64_t *last, bool *more,
                          struct nx_err *err);
bool query_retention_look(struct query *query, const struct retention_look *look,
                          retention_run_fn *fn, void *arg, uint64_t *last, bool *more,
                          struct nx_err *err);

/* The run's row goes, and its number is noted. */
bool store_doom_run(struct store *store, struct nx_run_id run, struct nx_err *err);
/* Takes away at most `most` rows of doomed runs. *n: how many; runs of which nothing but the logs
 * is left are told (at most `n_bare`), until store_bury_run. */
bool store_clear_doomed(struct store *store, size_t most, size_t *n, uint64_t *bare, size_t *n_bare,
                        struct nx_err *err);
bool store_bury_run(struct store *store, uint64_t run, struct nx_err *err);

/* Pages of the file that nothing is in; and giving at most `most` of them back. */
bool store_free_pages(struct store *store, int64_t *n, struct nx_err *err);
bool store_give_back(struct store *store, size_t most, struct nx_err *err);

/* ---- Artifacts ---- */

/* Calls fn with every address of an artifact that the outputs and params of runs from <= run <= to
 * name, perhaps more than once. */
bool query_artifact_names(struct query *query, uint64_t from, uint64_t to,
                          void (*fn)(void *arg, const char *address), void *arg,
                          struct nx_err *err);
/* The highest run, and the lowest that has not ended (one more than the highest: all have). */
bool query_run_bounds(struct query *query, uint64_t *highest, uint64_t *unfinished,
                      struct nx_err *err);

#endif
