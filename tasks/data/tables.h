/* What operators on tables share: the attempt's database, inputs as views, outputs as artifacts. */
#ifndef TASKS_DATA_TABLES_H
#define TASKS_DATA_TABLES_H

#include <stdbool.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/data/data.h"
#include "lib/data/table.h"
#include "nexus/operator.h"

/* The attempt's database: its threads, memory and folder; a cancel interrupts it. */
bool tables_open(struct nx_ctx *ctx, struct data_db **db, struct nx_err *err);
void tables_close(struct nx_ctx *ctx, struct data_db *db); /* NULL is fine */

/* The table that a parameter refers to (or "param.key", an entry of an object) as the view `name`.
 * `info` (may be NULL) gets what is known of it, rows_hash included; lives as long as db. */
bool tables_add(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *name,
                const struct table_info **info, struct nx_err *err);

/* A path of that name in the attempt's folder; lives in the arena. */
const char *tables_path(struct nx_ctx *ctx, struct arena *arena, const char *name);

/* Keeps a written table as the output `name`. */
bool tables_output(struct nx_ctx *ctx, const char *name, const char *path,
                   const struct table_info *info, struct nx_err *err);

/* The first row of a table file or view `from` (SQL text after FROM) as a JSON object; null where
 * it has no row. Dates and timestamps as RFC 3339. */
json_t *tables_first_row(struct data_db *db, const char *from, struct nx_err *err);

/* One value of a batch as JSON. */
json_t *tables_value(const struct data_vector *column, size_t row);

#endif
