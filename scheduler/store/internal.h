/* The store's own structure; for the files of this folder. */
#ifndef SCHEDULER_STORE_INTERNAL_H
#define SCHEDULER_STORE_INTERNAL_H

#include "lib/base/map.h"
#include "lib/sql/sql.h"
#include "scheduler/store/store.h"

enum store_statement {
    PUT_RUN,
    SET_RUN,
    SET_COUNTS,
    PUT_KEY,
    GET_KEY,
    GET_LAST,
    GET_INTERVAL,
    GET_PREVIOUS,
    GET_INST_STATE,
    DROP_MARKS,
    PUT_MARK,
    SET_BACKFILL,
    PUT_EDIT,
    DROP_EDIT,
    PUT_INST,
    PUT_INST_ENDED,
    SET_INST_ERROR,
    PUT_ATTEMPT,
    KEEP_ATTEMPT,
    PUT_OUTPUT,
    DROP_OUTPUT,
    GET_OUTPUT,
    GET_PARAMS,
    PUT_WORKER,
    STORE_STATEMENTS
};

struct store {
    struct sql *sql;
    struct sql_stmt *stmt[STORE_STATEMENTS];
    uint64_t last_run; /* the highest id that was inserted */
    struct map ended;  /* of the turn that is written: instance -> its last end */
    struct store_counts counts;
};

/* The columns of an instance that the core loads, and what they say. */
#define STORE_INST_COLUMNS \
    "run, task, map_index, state, reason, answered, attempt, lease, failures, losses, worker," \
    " due_at, ready_at, started_at, finished_at, leases_lost"
struct core_inst_row store_read_inst(struct sql_stmt *stmt);

#endif
