/* What the files of lib/data share: the database's struct and the way from DuckDB's vectors to
 * ours. */
#ifndef LIB_DATA_INTERNAL_H
#define LIB_DATA_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/base/vec.h"
#include "lib/data/data.h"
#include "lib/data/duckdb_api.h"
#include "lib/data/rowhash.h"
#include "lib/data/sqltext.h"
#include "lib/data/table.h"

/* Where nexus_rowhash() adds up; several threads of DuckDB do. */
struct hash_sum {
    pthread_mutex_t mutex;
    struct table_hash schema; /* of the table being hashed */
    struct table_hash sum;
    int64_t n_rows;
};

/* The first value that did not fit its column, for its place in the files. */
struct misfit {
    bool there;
    struct buf column, value;
};

/* What nexus_fields takes out of JSON objects. */
struct fields {
    VEC(struct data_text) names;
    struct map map; /* name -> place + 1 */
};

struct data_db {
    struct duckdb_api api;
    duckdb_database db;
    duckdb_connection connection;
    atomic_bool cancelled;
    bool closed; /* to files */
    bool locked;
    struct arena arena;
    VEC(const char *) files;
    VEC(const char *) folders;
    size_t n_links; /* made by data_name_file */
    struct hash_sum hash;
    struct misfit misfit; /* under the mutex of `hash` */
    struct fields fields;
};

/* How an SQL type stands to our list. */
enum type_fit {
    FIT_SAME,
    FIT_WIDENS, /* converted without loss */
    FIT_NOT
};
/* `advice` gets the cast that would help ("bigint"); NULL for FIT_SAME and FIT_WIDENS. */
enum type_fit type_fit(const struct duckdb_api *api, duckdb_logical logical, enum table_type *type,
                       const char **advice);
/* "DECIMAL(18,2)", for messages. */
const char *type_shown(const struct duckdb_api *api, duckdb_logical logical, char *to, size_t size);

/* The SQL type that a type of ours is kept as. */
const char *type_sql(enum table_type type);

/* Buffers of one column that is being converted, for vectors of up to 2048 rows. */
struct vector_space {
    int sql_type;
    int index_type; /* of an ENUM */
    int child_type; /* of a LIST */
    enum table_type type;
    int64_t *i;
    double *f;
    struct data_text *text;
    uint64_t *valid;
    double *child;
    size_t child_cap;
    const char *const *categories;
    size_t n_categories;
};
bool vector_space_init(struct vector_space *space, const struct duckdb_api *api,
                       duckdb_logical logical);
void vector_space_fini(struct vector_space *space);
/* *to points into DuckDB's memory where nothing is to be converted, else into the space. */
void vector_convert(struct vector_space *space, const struct duckdb_api *api, duckdb_vector from,
                    size_t n, struct data_vector *to);

/* nexus_rowhash(column, ...) -> true, adding to db->hash; nexus_bucket(seed, column, ...) ->
 * UBIGINT; and those below. */
bool functions_register(struct data_db *db, struct nx_err *err);
/* The database that a function works for. `caller`: its __builtin_return_address(0). */
struct data_db *functions_db(duckdb_info info, void *caller);

/* nexus_int(text, name) and so on. */
void text_kinds(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_bool(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_yes(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_int(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_whole(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_double(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_date(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_day(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_timestamp(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_doubles(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_misfit(duckdb_info info, duckdb_chunk input, duckdb_vector output);
void text_fields(duckdb_info info, duckdb_chunk input, duckdb_vector output);

/* The members that nexus_fields takes out of objects, until the next call. */
void fields_set(struct data_db *db, const char *const *names, size_t n);

/* Turns a message of DuckDB into an error; returns false. */
bool data_error(const char *text, struct nx_err *err);

/* Fails when the SQL is not exactly one SELECT. */
bool data_check_select(struct data_db *db, const char *sql, struct nx_err *err);

struct column_want;
/* A query over the columns wanted of a table, and the number of rows it will give. */
bool columns_open(struct data_db *db, const char *table, const struct column_want *want, size_t n,
                  struct data_result **result, size_t *n_rows, struct nx_err *err);

struct source;
struct schema;
/* A SELECT of all CSV columns as text. */
void source_texts(const struct source *source, struct buf *sql);
/* The first type, in the order of preference, that all values are of (bits of enum parse_kind). */
enum table_type infer_type(unsigned kinds);
/* Reads JSON files as a whole: their columns, and types where `named` has none. */
bool json_inspect(struct source *source, const struct schema *named, struct nx_err *err);
/* The line of the first record that has the value in the column; 0: none. */
uint64_t json_find_value(const char *path, const char *column, struct data_text value);
/* Adds a column to the source's, with the type that `named` has for it, else string. */
void source_add_column(struct source *source, const char *name, const struct schema *named);

/* Our type for the name of an SQL type ("BIGINT"), where it fits. */
bool type_find_sql(const char *name, enum table_type *type);

#endif
