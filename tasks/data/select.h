/* A SELECT over given tables and files of the project: the parameters `query` and `tables`. */
#ifndef TASKS_DATA_SELECT_H
#define TASKS_DATA_SELECT_H

#include "lib/base/buf.h"
#include "tasks/data/tables.h"

struct select {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct arena arena;
    struct buf select;
    struct data_value *values;
    size_t n_values;
};

bool select_open(struct select *job, struct nx_ctx *ctx, struct nx_err *err);
/* The tables as views, and the query with the files that it names, which are opened to it. A
 * pattern that no file matches: NX_E_NOT_FOUND. */
bool select_read(struct select *job, struct nx_err *err);
/* After a failed open too. ok false: says in *err what a query may read, when that was it. */
void select_close(struct select *job, bool ok, struct nx_err *err);

#endif
