/* What the database says of itself, for `nexus doctor`. */
#ifndef SCHEDULER_STORE_CHECK_H
#define SCHEDULER_STORE_CHECK_H

#include "scheduler/store/query.h"

struct query_check {
    int64_t schema, schema_known; /* version of the file, and the newest that this program knows */
    int64_t page_bytes, n_pages, n_free_pages, n_secrets, n_doomed;
    char damage[512]; /* the first findings of SQLite's quick check; "": none */
    bool checked;     /* the quick check was made, and came to its end in the time there is */
};

/* A larger file than bytes_max is not checked. */
bool query_check(struct query *query, int64_t bytes_max, struct query_check *check,
                 struct nx_err *err);

/* By how much clocks of workers differ from the scheduler's at least, as times of latest runs show:
 * fn is called for each worker. behind_ms, ahead_ms: 0 when nothing shows. */
bool query_skews(struct query *query,
                 void (*fn)(void *arg, const char *worker, int64_t behind_ms, int64_t ahead_ms),
                 void *arg, struct nx_err *err);

#endif
