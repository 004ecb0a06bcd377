/* DuckDB, as Nexus uses it: one in-memory database an attempt, with the settings of a worker that
 * runs other people's SQL. The library is loaded when the first database is opened.
 *
 * Where libduckdb.so is looked for: $NEXUS_DUCKDB; then ../lib/nexus/ and ../../lib/nexus/ of the
 * program's folder; then node_modules/@duckdb/node-bindings-linux-<x64|arm64>/ of that folder and
 * of each folder above it.
 *
 * Every database: `threads` and memory as given, TimeZone UTC, no extension is ever installed or
 * loaded, insertion order is kept, nulls last. The usual life of one:
 *
 *     data_open -> data_add_table ... (the declared inputs) -> data_lock -> the user's SQL
 *               -> data_write_table ... -> data_close
 *
 * After data_lock no SQL reads a file that was not declared, writes one outside the folders of
 * data_allow_folder, or changes a setting. A database is used by one thread at a time;
 * only data_interrupt may be called from another. */
#ifndef LIB_DATA_DATA_H
#define LIB_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/data/table.h"
#include "nexus/error.h"

struct data_db;
struct data_result;

struct data_settings {
    int threads;            /* >= 1: nx_cpus */
    int64_t memory_bytes;   /* the attempt's limit, of which DuckDB gets 70%; 0: its own default */
    const char *temp_dir;   /* spills and outputs; the attempt's folder. NULL: no spilling */
    int64_t temp_max_bytes; /* 0: 100 GiB */
};

bool data_open(const struct data_settings *settings, struct data_db **db, struct nx_err *err);
void data_close(struct data_db *db); /* NULL is fine; close its results before */

/* Makes the running statement end with NX_E_CANCELLED, as every later one. From any thread; fits
 * nx_on_cancel. */
void data_interrupt(void *db);

/* A value bound to $1..$n. */
enum data_kind {
    DATA_NULL,
    DATA_BOOL,
    DATA_INT,
    DATA_DOUBLE,
    DATA_TEXT,
    DATA_DATE,
    DATA_TIMESTAMP,
    DATA_LIST
};
struct data_value {
    enum data_kind kind;
    union {
        bool b;
        int64_t i; /* DATA_INT; DATA_DATE: days; DATA_TIMESTAMP: microseconds */
        double f;
        const char *text; /* borrowed */
        struct {
            const struct data_value *items; /* of one kind: bool, int, double or text */
            size_t n;
        } list; /* borrowed */
    } as;
};

/* JSON text as nx_arg_sql_value gives it: a scalar, {"timestamp_us": n}, {"date_days": n}, or a
 * list of texts, of booleans or of numbers (with one double all are). Other lists and objects are
 * errors. Text and lists live in the arena. */
bool data_value_read(const char *json, struct arena *arena, struct data_value *value,
                     struct nx_err *err);

/* Text quoted for SQL, appended: 'it''s' and "a ""b""". */
void data_quote_text(struct buf *sql, const char *text);
void data_quote_name(struct buf *sql, const char *name);

/* ---- Statements ---- */

/* Runs one or several statements of our own and drops what they give. */
bool data_exec(struct data_db *db, const char *sql, struct nx_err *err);

/* Runs one statement; its rows come in batches as they are made (never all in memory). Errors name
 * the line of the SQL. */
bool data_query(struct data_db *db, const char *sql, const struct data_value *values,
                size_t n_values, struct data_result **result, struct nx_err *err);
void data_result_close(struct data_result *result); /* NULL is fine */

/* The columns, in our types. SQL types wider than the list are errors that name the cast. */
const struct table_column *data_result_columns(const struct data_result *result, size_t *n_columns);

struct data_text {
    const char *at; /* UTF-8, not ended by 0 */
    size_t n;
};

struct data_list {
    uint64_t offset, n; /* into `child` */
};

/* One column of a batch. Values under a missing bit are not to be read. NaN counts as missing: its
 * bit is cleared here. */
struct data_vector {
    enum table_type type;
    const uint64_t *valid; /* bit i % 64 of word i / 64: row i is there; NULL: all are */
    union {
        const bool *b;
        const int64_t *i; /* TABLE_INT64, TABLE_DATE, TABLE_TIMESTAMP */
        const double *f;
        const struct data_text *text; /* TABLE_STRING, TABLE_CATEGORY */
        const struct data_list *list;
    } as;
    const double *child; /* TABLE_DOUBLES; NaN: missing */
};

struct data_batch {
    size_t n_rows; /* 1 .. 2048 */
    size_t n_columns;
    const struct data_vector *columns;
};

static inline bool data_is_valid(const struct data_vector *v, size_t i)
{
    return !v->valid || (v->valid[i / 64] >> (i % 64) & 1);
}

/* The next rows, or *batch = NULL at the end. Lives until the next call. */
bool data_next(struct data_result *result, const struct data_batch **batch, struct nx_err *err);

/* One integer, for counts: the first column of the first row; 0 when it is missing. */
bool data_query_int(struct data_db *db, const char *sql, int64_t *v, struct nx_err *err);

/* ---- Tables ---- */

/* A view `name` over a Parquet file, in the file's row order, which stays readable after
 * data_lock. `info` (may be NULL) gets its description; what it points to lives as long as db.
 * Columns of a type outside our list are an error. */
bool data_add_table(struct data_db *db, const char *name, const char *path,
                    const struct table_info **info, struct nx_err *err);

/* A view `name` over whatever `from` (SQL text after FROM) reads, to be looked at: columns of types
 * outside our list become text. The columns live as long as db. */
struct data_any_column {
    const char *name;
    const char *type; /* one of ours, or SQL's of what is shown as text */
    bool is_list;
};
bool data_add_any(struct data_db *db, const char *name, const char *from,
                  const struct data_any_column **columns, size_t *n_columns, struct nx_err *err);

/* Files and folders that SQL may read after data_lock; folders also for data_write_table. */
void data_allow_file(struct data_db *db, const char *path);
void data_allow_folder(struct data_db *db, const char *path);
/* How SQL names this very file: DuckDB takes * ? [ for patterns, so a path with them gets a link in
 * the temporary folder. Lives as long as db. */
bool data_name_file(struct data_db *db, const char *path, const char **name, struct nx_err *err);
/* Closes the database to all other files. */
bool data_close_files(struct data_db *db, struct nx_err *err);
bool data_set_threads(struct data_db *db, int threads, struct nx_err *err);
/* Closes the database to all other files, if that is not done yet, and fixes its settings. */
bool data_lock(struct data_db *db, struct nx_err *err);

/* What in a SELECT depends on the number of threads, from its plan. Sums of floats, groups that are
 * cut off, ties of windows do: such a SELECT is run by one thread, so that it gives the same with
 * any `resources`. */
struct data_plan {
    bool keeps_order; /* scans, filters, projections: its rows come in their order */
    bool any_threads; /* the same rows for any number of threads */
};
bool data_plan(struct data_db *db, const char *select, const struct data_value *values,
               size_t n_values, struct data_plan *plan, struct nx_err *err);

/* How the rows of a table that is written are ordered. */
struct data_order {
    const char *const *columns; /* ties are broken by the other columns; all columns when n is 0 */
    size_t n;
    bool input; /* as the SELECT gives them: only for one whose order is fixed (a scan, ORDER BY
                   over a key) */
};

/* Runs a SELECT and writes its rows to a Parquet file: fixed row groups, ZSTD, no clock. The same
 * rows give the same bytes for any number of threads. NaN becomes missing. *info lives in the
 * arena and describes what was written. `order` NULL: by all columns. `categories` (may be NULL,
 * n_categories): columns to be marked TABLE_CATEGORY, with their lists. */
struct data_write {
    const char *select;
    const struct data_value *values;
    size_t n_values;
    const char *path;
    const struct data_order *order;
    const struct table_column *categories;
    size_t n_categories;
    bool scan; /* the SELECT reads one source without WHERE, join or grouping: its rows can be
                  hashed on their way, which saves reading the file again */
};
bool data_write_table(struct data_db *db, const struct data_write *write, struct arena *arena,
                      struct table_info *info, struct nx_err *err);

#endif
