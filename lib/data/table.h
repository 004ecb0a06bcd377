/* Tables as Nexus knows them: the closed list of types, a table's description, its row order, its
 * rows_hash, and the JSON of all that. No DuckDB here.
 *
 * A table artifact is one Parquet file (kind "table"). The reference that names it, as outputs and
 * parameters carry it, is
 *
 *   {"artifact": "sha256:<hex>", "kind": "table", "bytes": n,
 *    "rows": n, "order": "input" | ["col", ...], "rows_hash": "<32 hex digits>",
 *    "columns": [{"name": "delay", "type": "int64"}, {"name": "origin", "type": "category"}, ...]}
 *
 * `columns` is left out of the reference (not of the file) above TABLE_META_COLUMNS columns. The
 * file itself carries the whole description under the Parquet key "nexus" (with categories), so
 * that a table that was moved by hand still says what it is; a Parquet file without that key is
 * described by its own types.
 *
 * How the types stand in Parquet: bool BOOLEAN, int64 INT64, double DOUBLE, string and category
 * UTF-8, date DATE, timestamp TIMESTAMP(us, UTC-less: it is UTC), doubles LIST of DOUBLE. */
#ifndef LIB_DATA_TABLE_H
#define LIB_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "nexus/error.h"

#define TABLE_COLUMNS_MAX 10000
#define TABLE_CATEGORIES_MAX 100000
#define TABLE_META_COLUMNS 256
#define TABLE_KEY "nexus" /* of the description in a Parquet file */

enum table_type {
    TABLE_BOOL,
    TABLE_INT64,
    TABLE_DOUBLE,
    TABLE_STRING,
    TABLE_CATEGORY,  /* text out of a list of categories that stands in the schema */
    TABLE_DATE,      /* days since 1970-01-01 */
    TABLE_TIMESTAMP, /* microseconds since 1970-01-01T00:00:00Z */
    TABLE_DOUBLES,   /* a list of doubles */
    TABLE_TYPES
};

/* "bool", "int64", "double", "string", "category", "date", "timestamp", "doubles". */
const char *table_type_name(enum table_type type);
bool table_type_find(const char *name, enum table_type *type);

struct table_column {
    const char *name;
    enum table_type type;
    const char *const *categories; /* TABLE_CATEGORY: in the order of their codes; else NULL */
    size_t n_categories;
};

/* rows_hash: a hash of names and types plus the sum, mod 2^128, of a hash of each typed row. */
struct table_hash {
    uint64_t lo, hi;
};

#define TABLE_HASH_TEXT_MAX 33

struct table_info {
    int64_t n_rows;
    int64_t n_bytes; /* of the file */
    const struct table_column *columns;
    size_t n_columns;
    const char *const *order; /* column names; n_order 0: `input` */
    size_t n_order;
    struct table_hash rows_hash;
};

/* 32 lower-case hex digits, high half first. Returns `to` (TABLE_HASH_TEXT_MAX bytes). */
char *table_hash_format(char *to, struct table_hash hash);
bool table_hash_parse(const char *text, struct table_hash *hash);

/* The column of that name, or NULL. */
const struct table_column *table_info_column(const struct table_info *info, const char *name);

/* The keys that describe a table in its reference (see above), as one JSON object: the `meta` of
 * nx_artifact_output. With `full`: what the file carries, all columns with their categories and the
 * order, but neither rows nor hash, which are known only when it is written. */
void table_info_write(const struct table_info *info, bool full, struct buf *buf);
/* Reads either form; unknown keys are ignored, missing ones are 0. What *info points to lives in
 * the arena. */
bool table_info_read(const char *json, struct arena *arena, struct table_info *info,
                     struct nx_err *err);

#endif
