/* DuckDB's C functions, those that Nexus uses, declared by Nexus: the npm package that brings the
 * library has no header. Loaded at run time into one table of pointers.
 *
 * Source: the public C API of DuckDB 1.5 (duckdb.org/docs/current/clients/c/api). The declarations
 * are checked against the library: duckdb_load refuses another version, and a unit test calls each.
 */
#ifndef LIB_DATA_DUCKDB_API_H
#define LIB_DATA_DUCKDB_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus/error.h"

#define DUCKDB_VERSION_WANTED "v1.5." /* prefix; the ABI is stable within it */

typedef uint64_t idx_t;

/* Opaque handles. */
typedef struct duckdb_database_s *duckdb_database;
typedef struct duckdb_connection_s *duckdb_connection;
typedef struct duckdb_config_s *duckdb_config;
typedef struct duckdb_prepared_s *duckdb_prepared;
typedef struct duckdb_extracted_s *duckdb_extracted;
typedef struct duckdb_chunk_s *duckdb_chunk;
typedef struct duckdb_vector_s *duckdb_vector;
typedef struct duckdb_logical_s *duckdb_logical;
typedef struct duckdb_value_s *duckdb_value;
typedef struct duckdb_function_s *duckdb_function;
typedef struct duckdb_info_s *duckdb_info;
typedef struct duckdb_appender_s *duckdb_appender;

typedef enum { DUCKDB_SUCCESS = 0, DUCKDB_ERROR = 1 } duckdb_state;

enum duckdb_type {
    DUCKDB_T_INVALID = 0,
    DUCKDB_T_BOOLEAN = 1,
    DUCKDB_T_TINYINT = 2,
    DUCKDB_T_SMALLINT = 3,
    DUCKDB_T_INTEGER = 4,
    DUCKDB_T_BIGINT = 5,
    DUCKDB_T_UTINYINT = 6,
    DUCKDB_T_USMALLINT = 7,
    DUCKDB_T_UINTEGER = 8,
    DUCKDB_T_UBIGINT = 9,
    DUCKDB_T_FLOAT = 10,
    DUCKDB_T_DOUBLE = 11,
    DUCKDB_T_TIMESTAMP = 12,
    DUCKDB_T_DATE = 13,
    DUCKDB_T_TIME = 14,
    DUCKDB_T_INTERVAL = 15,
    DUCKDB_T_HUGEINT = 16,
    DUCKDB_T_VARCHAR = 17,
    DUCKDB_T_BLOB = 18,
    DUCKDB_T_DECIMAL = 19,
    DUCKDB_T_TIMESTAMP_S = 20,
    DUCKDB_T_TIMESTAMP_MS = 21,
    DUCKDB_T_TIMESTAMP_NS = 22,
    DUCKDB_T_ENUM = 23,
    DUCKDB_T_LIST = 24,
    DUCKDB_T_STRUCT = 25,
    DUCKDB_T_MAP = 26,
    DUCKDB_T_UUID = 27,
    DUCKDB_T_UNION = 28,
    DUCKDB_T_BIT = 29,
    DUCKDB_T_TIME_TZ = 30,
    DUCKDB_T_TIMESTAMP_TZ = 31,
    DUCKDB_T_UHUGEINT = 32,
    DUCKDB_T_ARRAY = 33,
    DUCKDB_T_ANY = 34,
    DUCKDB_T_SQLNULL = 36
};

enum { DUCKDB_STATEMENT_SELECT = 1 };

/* A result; passed by value to duckdb_fetch_chunk. Only `internal` means something today. */
typedef struct {
    idx_t columns, rows, changed;
    void *column_data;
    char *error;
    void *internal;
} duckdb_result;

/* 16 bytes of a text vector: up to 12 bytes stand inside. */
typedef union {
    struct {
        uint32_t n;
        char prefix[4];
        char *at;
    } pointer;
    struct {
        uint32_t n;
        char at[12];
    } inlined;
} duckdb_text;

typedef struct {
    uint64_t offset, n;
} duckdb_list;

typedef struct {
    int32_t days;
} duckdb_date;

typedef struct {
    int64_t micros;
} duckdb_timestamp;

typedef void (*duckdb_scalar_run)(duckdb_info info, duckdb_chunk input, duckdb_vector output);
typedef void (*duckdb_delete)(void *data);

/* X(result, name without "duckdb_", arguments) */
/* clang-format off */
#define DUCKDB_FUNCTIONS(X) \
    X(const char *, library_version, (void)) \
    X(duckdb_state, create_config, (duckdb_config *config)) \
    X(duckdb_state, set_config, (duckdb_config config, const char *name, const char *option)) \
    X(void, destroy_config, (duckdb_config *config)) \
    X(duckdb_state, open_ext, (const char *path, duckdb_database *db, duckdb_config config, char **error)) \
    X(void, close, (duckdb_database *db)) \
    X(duckdb_state, connect, (duckdb_database db, duckdb_connection *connection)) \
    X(void, disconnect, (duckdb_connection *connection)) \
    X(void, interrupt, (duckdb_connection connection)) \
    X(void, free, (void *p)) \
    X(idx_t, extract_statements, (duckdb_connection connection, const char *sql, duckdb_extracted *all)) \
    X(const char *, extract_statements_error, (duckdb_extracted all)) \
    X(void, destroy_extracted, (duckdb_extracted *all)) \
    X(duckdb_state, prepare_extracted_statement, (duckdb_connection connection, duckdb_extracted all, idx_t i, duckdb_prepared *statement)) \
    X(const char *, prepare_error, (duckdb_prepared statement)) \
    X(void, destroy_prepare, (duckdb_prepared *statement)) \
    X(int, prepared_statement_type, (duckdb_prepared statement)) \
    X(idx_t, prepared_statement_column_count, (duckdb_prepared statement)) \
    X(const char *, prepared_statement_column_name, (duckdb_prepared statement, idx_t i)) \
    X(idx_t, nparams, (duckdb_prepared statement)) \
    X(duckdb_state, bind_null, (duckdb_prepared statement, idx_t i)) \
    X(duckdb_state, bind_boolean, (duckdb_prepared statement, idx_t i, bool v)) \
    X(duckdb_state, bind_int64, (duckdb_prepared statement, idx_t i, int64_t v)) \
    X(duckdb_state, bind_double, (duckdb_prepared statement, idx_t i, double v)) \
    X(duckdb_state, bind_varchar_length, (duckdb_prepared statement, idx_t i, const char *v, idx_t n)) \
    X(duckdb_state, bind_date, (duckdb_prepared statement, idx_t i, duckdb_date v)) \
    X(duckdb_value, create_varchar_length, (const char *text, idx_t n)) \
    X(duckdb_value, create_bool, (bool v)) \
    X(duckdb_value, create_int64, (int64_t v)) \
    X(duckdb_value, create_double, (double v)) \
    X(duckdb_value, create_list_value, (duckdb_logical item, duckdb_value *values, idx_t n)) \
    X(void, destroy_value, (duckdb_value *value)) \
    X(duckdb_state, bind_value, (duckdb_prepared statement, idx_t i, duckdb_value v)) \
    X(duckdb_state, bind_timestamp, (duckdb_prepared statement, idx_t i, duckdb_timestamp v)) \
    X(duckdb_state, execute_prepared, (duckdb_prepared statement, duckdb_result *result)) \
    X(duckdb_state, execute_prepared_streaming, (duckdb_prepared statement, duckdb_result *result)) \
    X(const char *, result_error, (duckdb_result *result)) \
    X(void, destroy_result, (duckdb_result *result)) \
    X(idx_t, column_count, (duckdb_result *result)) \
    X(const char *, column_name, (duckdb_result *result, idx_t i)) \
    X(duckdb_logical, column_logical_type, (duckdb_result *result, idx_t i)) \
    X(duckdb_chunk, fetch_chunk, (duckdb_result result)) \
    X(idx_t, data_chunk_get_size, (duckdb_chunk chunk)) \
    X(void, data_chunk_set_size, (duckdb_chunk chunk, idx_t n)) \
    X(idx_t, data_chunk_get_column_count, (duckdb_chunk chunk)) \
    X(duckdb_vector, data_chunk_get_vector, (duckdb_chunk chunk, idx_t i)) \
    X(duckdb_chunk, create_data_chunk, (duckdb_logical *types, idx_t n)) \
    X(void, data_chunk_reset, (duckdb_chunk chunk)) \
    X(void, destroy_data_chunk, (duckdb_chunk *chunk)) \
    X(idx_t, vector_size, (void)) \
    X(duckdb_logical, vector_get_column_type, (duckdb_vector vector)) \
    X(void *, vector_get_data, (duckdb_vector vector)) \
    X(uint64_t *, vector_get_validity, (duckdb_vector vector)) \
    X(void, vector_ensure_validity_writable, (duckdb_vector vector)) \
    X(void, vector_assign_string_element_len, (duckdb_vector vector, idx_t i, const char *v, idx_t n)) \
    X(duckdb_vector, list_vector_get_child, (duckdb_vector vector)) \
    X(idx_t, list_vector_get_size, (duckdb_vector vector)) \
    X(duckdb_state, list_vector_set_size, (duckdb_vector vector, idx_t n)) \
    X(duckdb_state, list_vector_reserve, (duckdb_vector vector, idx_t n)) \
    X(duckdb_logical, create_logical_type, (int type)) \
    X(duckdb_logical, create_list_type, (duckdb_logical child)) \
    X(int, get_type_id, (duckdb_logical type)) \
    X(duckdb_logical, list_type_child_type, (duckdb_logical type)) \
    X(uint8_t, decimal_width, (duckdb_logical type)) \
    X(uint8_t, decimal_scale, (duckdb_logical type)) \
    X(uint32_t, enum_dictionary_size, (duckdb_logical type)) \
    X(char *, enum_dictionary_value, (duckdb_logical type, idx_t i)) \
    X(int, enum_internal_type, (duckdb_logical type)) \
    X(void, destroy_logical_type, (duckdb_logical *type)) \
    X(duckdb_function, create_scalar_function, (void)) \
    X(void, destroy_scalar_function, (duckdb_function *function)) \
    X(void, scalar_function_set_name, (duckdb_function function, const char *name)) \
    X(void, scalar_function_set_varargs, (duckdb_function function, duckdb_logical type)) \
    X(void, scalar_function_set_special_handling, (duckdb_function function)) \
    X(void, scalar_function_set_volatile, (duckdb_function function)) \
    X(void, scalar_function_add_parameter, (duckdb_function function, duckdb_logical type)) \
    X(void, scalar_function_set_return_type, (duckdb_function function, duckdb_logical type)) \
    X(void, scalar_function_set_extra_info, (duckdb_function function, void *data, duckdb_delete destroy)) \
    X(void, scalar_function_set_function, (duckdb_function function, duckdb_scalar_run run)) \
    X(duckdb_state, register_scalar_function, (duckdb_connection connection, duckdb_function function)) \
    X(void *, scalar_function_get_extra_info, (duckdb_info info)) \
    X(void, scalar_function_set_error, (duckdb_info info, const char *error)) \
    X(duckdb_state, appender_create, (duckdb_connection connection, const char *schema, const char *table, duckdb_appender *appender)) \
    X(const char *, appender_error, (duckdb_appender appender)) \
    X(duckdb_state, append_data_chunk, (duckdb_appender appender, duckdb_chunk chunk)) \
    X(duckdb_state, appender_destroy, (duckdb_appender *appender))

struct duckdb_api {
    void *library;
#define DUCKDB_FIELD(result, name, arguments) result (*name) arguments;
    DUCKDB_FUNCTIONS(DUCKDB_FIELD)
#undef DUCKDB_FIELD
};
/* clang-format on */

/* Finds and opens the library (see data.h for where), resolves every function, checks the version.
 * The library stays loaded until the process ends. */
bool duckdb_load(struct duckdb_api *api, struct nx_err *err);

#endif
