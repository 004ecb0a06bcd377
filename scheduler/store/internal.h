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
    GET_MAPPED_STATE,
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
    DROP_APPROVAL,
    CLOSE_APPROVAL,
    PUT_APPROVAL,
    GET_OUTPUT,
    PUT_LIST,
    GET_LIST,
    GET_OUTPUTS,
    GET_PARAMS,
    PUT_WORKER,
    PUT_DATASET,
    PUT_DATASET_EVENT,
    DROP_DATASET_EVENT,
    PUT_RUN_DATASET,
    COPY_RUN_DATASETS,
    GET_RUN_DATASETS,
    DROP_USES,
    PUT_USE,
    STORE_STATEMENTS
};

struct store {
    struct sql *sql;
    struct sql_stmt *stmt[STORE_STATEMENTS];
    uint64_t last_run; /* the highest id that was inserted */
    struct map ended;  /* of the turn that is written: instance -> its last end */
    struct store_counts counts;
};

/* ---- dataset.c ---- */
bool write_dataset_links(struct store *store, const struct store_new_version *from,
                         struct nx_err *err);
/* The update's events, and then what runs were started by. */
bool write_datasets(struct store *store, const struct store_turn *turn, struct nx_err *err);
bool copy_run_datasets(struct store *store, struct nx_run_id run, struct nx_run_id from,
                       struct nx_err *err);
/* How far the i-th mark of a DAG has used its datasets. */
bool write_uses(struct store *store, const char *dag, size_t position, const struct core_mark *mark,
                struct nx_err *err);
/* The columns of an instance that the core loads, and what they say. */
#define STORE_INST_COLUMNS \
    "run, task, map_index, state, reason, answered, attempt, lease, failures, losses, worker," \
    " due_at, ready_at, started_at, finished_at, leases_lost, left_out"
typedef VEC(uint32_t) store_tasks;
/* *room holds what it has left out, until the next one is read into it. */
struct core_inst_row store_read_inst(struct sql_stmt *stmt, store_tasks *room);

#endif
