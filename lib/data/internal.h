/* What the files of lib/data share: the database's struct and the way from DuckDB's vectors to
 * ours. */
#ifndef LIB_DATA_INTERNAL_H
#define LIB_DATA_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/arena.h"
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
    struct hash_sum hash;
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
 * UBIGINT. */
bool functions_register(struct data_db *db, struct nx_err *err);

/* Turns a message of DuckDB into an error; returns false. */
bool data_error(const char *text, struct nx_err *err);

/* Fails when the SQL is not exactly one SELECT. */
bool data_check_select(struct data_db *db, const char *sql, struct nx_err *err);

struct column_want;
/* A query over the columns wanted of a table, and the number of rows it will give. */
bool columns_open(struct data_db *db, const char *table, const struct column_want *want, size_t n,
                  struct data_result **result, size_t *n_rows, struct nx_err *err);

struct source;
/* read_json(...) or read_parquet(...) over all files of a source. */
void source_files(const struct source *source, struct buf *sql);
/* A SELECT of all CSV columns as text. */
void source_texts(const struct source *source, struct buf *sql);
/* Our type for the name of an SQL type ("BIGINT"), where it fits. */
bool type_find_sql(const char *name, enum table_type *type);

#endif
