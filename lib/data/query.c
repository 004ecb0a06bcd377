/* Statements: preparing, binding, running, rows in batches. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"

struct data_result {
    struct data_db *db;
    duckdb_prepared statement;
    duckdb_result sql;
    duckdb_chunk chunk;
    size_t n_columns;
    struct table_column *columns;
    struct vector_space *spaces;
    struct data_vector *vectors;
    struct data_batch batch;
};

static bool read_scalar(const json_t *json, struct arena *arena, struct data_value *value)
{
    switch (json_typeof(json)) {
    case JSON_NULL:
        *value = (struct data_value){.kind = DATA_NULL};
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = (struct data_value){.kind = DATA_BOOL, .as.b = json_is_true(json)};
        return true;
    case JSON_INTEGER:
        *value = (struct data_value){.kind = DATA_INT, .as.i = json_integer_value(json)};
        return true;
    case JSON_REAL:
        *value = (struct data_value){.kind = DATA_DOUBLE, .as.f = json_real_value(json)};
        return true;
    case JSON_STRING:
        *value = (struct data_value){.kind = DATA_TEXT,
                                     .as.text = arena_strdup(arena, json_string_value(json))};
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    const json_t *micros = json_object_get(json, "timestamp_us");
    const json_t *days = json_object_get(json, "date_days");
    if (json_is_integer(micros)) {
        *value = (struct data_value){.kind = DATA_TIMESTAMP, .as.i = json_integer_value(micros)};
        return true;
    }
    if (json_is_integer(days)) {
        *value = (struct data_value){.kind = DATA_DATE, .as.i = json_integer_value(days)};
        return true;
    }
    return false;
}

/* Integers become doubles beside a double; all else must be of the first item's kind. */
static bool read_list(const json_t *json, struct arena *arena, struct data_value *value)
{
    size_t n = json_array_size(json);
    struct data_value *items = arena_array(arena, n + 1, sizeof *items);
    bool any_double = false;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(json, i);
        if (json_is_null(item) || json_is_object(item) || json_is_array(item) ||
            !read_scalar(item, arena, &items[i])) {
            return false;
        }
        any_double = any_double || items[i].kind == DATA_DOUBLE;
    }
    for (size_t i = 0; i < n; i++) {
        if (any_double && items[i].kind == DATA_INT) {
            items[i] = (struct data_value){.kind = DATA_DOUBLE, .as.f = (double)items[i].as.i};
        }
        if (items[i].kind != items[0].kind) {
            return false;
        }
    }
    *value = (struct data_value){.kind = DATA_LIST, .as.list = {items, n}};
    return true;
}

bool data_value_read(const char *json, struct arena *arena, struct data_value *value,
                     struct nx_err *err)
{
    json_t *read = json_loads(json, JSON_DECODE_ANY, NULL);
    bool ok = read && (json_is_array(read) ? read_list(read, arena, value)
                                           : read_scalar(read, arena, value));
    json_decref(read);
    if (!ok) {
        return nx_fail(err, NX_E_INVALID,
                       "a value of the SQL is neither a text, a number, a boolean, a date, a "
                       "timestamp, null nor a list of one kind of these: %.60s",
                       json);
    }
    return true;
}

static duckdb_value item_value(const struct duckdb_api *api, const struct data_value *item)
{
    switch (item->kind) {
    case DATA_BOOL:
        return api->create_bool(item->as.b);
    case DATA_INT:
        return api->create_int64(item->as.i);
    case DATA_DOUBLE:
        return api->create_double(item->as.f);
    default:
        return api->create_varchar_length(item->as.text, strlen(item->as.text));
    }
}

static bool bind_list(const struct duckdb_api *api, duckdb_prepared statement, idx_t i,
                      const struct data_value *list)
{
    size_t n = list->as.list.n;
    enum data_kind kind = n ? list->as.list.items[0].kind : DATA_NULL;
    duckdb_logical type = api->create_logical_type(kind == DATA_NULL     ? DUCKDB_T_SQLNULL
                                                   : kind == DATA_BOOL   ? DUCKDB_T_BOOLEAN
                                                   : kind == DATA_INT    ? DUCKDB_T_BIGINT
                                                   : kind == DATA_DOUBLE ? DUCKDB_T_DOUBLE
                                                                         : DUCKDB_T_VARCHAR);
    duckdb_value *values = mem_alloc_array(n + 1, sizeof *values);
    for (size_t k = 0; k < n; k++) {
        values[k] = item_value(api, &list->as.list.items[k]);
    }
    duckdb_value all = api->create_list_value(type, values, n);
    bool ok = all && api->bind_value(statement, i, all) == DUCKDB_SUCCESS;
    if (all) {
        api->destroy_value(&all);
    }
    for (size_t k = 0; k < n; k++) {
        api->destroy_value(&values[k]);
    }
    mem_free(values);
    api->destroy_logical_type(&type);
    return ok;
}

static bool bind_one(const struct duckdb_api *api, duckdb_prepared statement, idx_t i,
                     const struct data_value *value)
{
    switch (value->kind) {
    case DATA_NULL:
        return api->bind_null(statement, i) == DUCKDB_SUCCESS;
    case DATA_BOOL:
        return api->bind_boolean(statement, i, value->as.b) == DUCKDB_SUCCESS;
    case DATA_INT:
        return api->bind_int64(statement, i, value->as.i) == DUCKDB_SUCCESS;
    case DATA_DOUBLE:
        return api->bind_double(statement, i, value->as.f) == DUCKDB_SUCCESS;
    case DATA_TEXT:
        return api->bind_varchar_length(statement, i, value->as.text, strlen(value->as.text)) ==
               DUCKDB_SUCCESS;
    case DATA_DATE:
        return api->bind_date(statement, i, (duckdb_date){(int32_t)value->as.i}) == DUCKDB_SUCCESS;
    case DATA_TIMESTAMP:
        return api->bind_timestamp(statement, i, (duckdb_timestamp){value->as.i}) == DUCKDB_SUCCESS;
    case DATA_LIST:
        return bind_list(api, statement, i, value);
    }
    return false;
}

static bool bind_all(const struct duckdb_api *api, duckdb_prepared statement,
                     const struct data_value *values, size_t n, struct nx_err *err)
{
    size_t wanted = api->nparams(statement);
    if (wanted != n) {
        return nx_fail(err, NX_E_INVALID, "the SQL has %zu parameters, %zu values were given",
                       wanted, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!bind_one(api, statement, i + 1, &values[i])) {
            return nx_fail(err, NX_E_INVALID, "the value of $%zu cannot be bound: %s", i + 1,
                           api->prepare_error(statement));
        }
    }
    return true;
}

/* The statements of a text; *n of them. The caller destroys *all in any case. */
static bool extract(struct data_db *db, const char *sql, duckdb_extracted *all, idx_t *n,
                    struct nx_err *err)
{
    if (atomic_load(&db->cancelled)) {
        *all = NULL;
        return nx_fail(err, NX_E_CANCELLED, "the attempt was cancelled");
    }
    *n = db->api.extract_statements(db->connection, sql, all);
    if (*n == 0) {
        const char *why = db->api.extract_statements_error(*all);
        return why ? data_error(why, err) : nx_fail(err, NX_E_INVALID, "the SQL is empty");
    }
    return true;
}

static bool prepare(struct data_db *db, duckdb_extracted all, idx_t i, duckdb_prepared *statement,
                    struct nx_err *err)
{
    if (db->api.prepare_extracted_statement(db->connection, all, i, statement) == DUCKDB_SUCCESS) {
        return true;
    }
    data_error(db->api.prepare_error(*statement), err);
    db->api.destroy_prepare(statement);
    return false;
}

static bool run_extracted(struct data_db *db, duckdb_extracted all, idx_t i, struct nx_err *err)
{
    duckdb_prepared statement;
    duckdb_result result;
    if (!prepare(db, all, i, &statement, err)) {
        return false;
    }
    bool ok = db->api.execute_prepared(statement, &result) == DUCKDB_SUCCESS;
    if (!ok) {
        data_error(db->api.result_error(&result), err);
    }
    db->api.destroy_result(&result);
    db->api.destroy_prepare(&statement);
    return ok;
}

bool data_exec(struct data_db *db, const char *sql, struct nx_err *err)
{
    duckdb_extracted all = NULL;
    idx_t n;
    bool ok = extract(db, sql, &all, &n, err);
    for (idx_t i = 0; ok && i < n; i++) {
        ok = run_extracted(db, all, i, err);
    }
    db->api.destroy_extracted(&all);
    return ok;
}

/* Prepares the one statement of a text. */
static bool prepare_one(struct data_db *db, const char *sql, duckdb_prepared *statement,
                        struct nx_err *err)
{
    duckdb_extracted all = NULL;
    idx_t n;
    bool ok = extract(db, sql, &all, &n, err);
    if (ok && n != 1) {
        ok = nx_fail(err, NX_E_INVALID, "the SQL has %" PRIu64 " statements; it must be one", n);
    }
    ok = ok && prepare(db, all, 0, statement, err);
    db->api.destroy_extracted(&all);
    return ok;
}

/* Two columns of one name (in SQL, names do not know case) would be one in the file. Asked of the
 * statement itself: a SELECT around it would rename the second. */
static bool check_names(const struct duckdb_api *api, duckdb_prepared statement, struct nx_err *err)
{
    size_t n = api->prepared_statement_column_count(statement);
    const char **names = mem_alloc_array(n + 1, sizeof *names);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        names[i] = api->prepared_statement_column_name(statement, i);
        for (size_t k = 0; ok && k < i; k++) {
            if (strcasecmp(names[k], names[i]) == 0) {
                ok = nx_fail(err, NX_E_DATA,
                             "two columns are called '%s': name one of them anew with `as`",
                             names[i]);
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        api->free((void *)(uintptr_t)names[i]);
    }
    mem_free(names);
    return ok;
}

bool data_check_select(struct data_db *db, const char *sql, struct nx_err *err)
{
    duckdb_prepared statement;
    if (!prepare_one(db, sql, &statement, err)) {
        return false;
    }
    bool ok = db->api.prepared_statement_type(statement) == DUCKDB_STATEMENT_SELECT;
    if (!ok) {
        nx_fail(err, NX_E_INVALID,
                "the SQL must be a SELECT (or WITH ... SELECT): it is the rows that are kept");
    }
    ok = ok && check_names(&db->api, statement, err);
    db->api.destroy_prepare(&statement);
    return ok;
}

static bool describe_column(struct data_result *result, size_t i, struct nx_err *err)
{
    const struct duckdb_api *api = &result->db->api;
    duckdb_logical logical = api->column_logical_type(&result->sql, i);
    const char *name = api->column_name(&result->sql, i), *advice;
    enum table_type type;
    bool ok = true;
    if (type_fit(api, logical, &type, &advice) == FIT_NOT) {
        char shown[64];
        ok = nx_fail(err, NX_E_DATA,
                     "column '%s' is %s, which a table cannot keep: write cast(%s as %s)", name,
                     type_shown(api, logical, shown, sizeof shown), name, advice);
    } else {
        vector_space_init(&result->spaces[i], api, logical);
        result->columns[i] = (struct table_column){
            .name = mem_strdup(name),
            .type = type,
            .categories = result->spaces[i].categories,
            .n_categories = result->spaces[i].n_categories,
        };
    }
    api->destroy_logical_type(&logical);
    return ok;
}

static bool describe(struct data_result *result, struct nx_err *err)
{
    size_t n = result->db->api.column_count(&result->sql);
    result->n_columns = n;
    result->columns = mem_alloc_array(n, sizeof *result->columns);
    result->spaces = mem_alloc_array(n, sizeof *result->spaces);
    result->vectors = mem_alloc_array(n, sizeof *result->vectors);
    for (size_t i = 0; i < n; i++) {
        if (!describe_column(result, i, err)) {
            return false;
        }
    }
    return true;
}

bool data_query(struct data_db *db, const char *sql, const struct data_value *values,
                size_t n_values, struct data_result **result, struct nx_err *err)
{
    struct data_result *made = mem_alloc(sizeof *made);
    made->db = db;
    bool ok = prepare_one(db, sql, &made->statement, err) &&
              bind_all(&db->api, made->statement, values, n_values, err);
    if (ok && db->api.execute_prepared_streaming(made->statement, &made->sql) != DUCKDB_SUCCESS) {
        ok = data_error(db->api.result_error(&made->sql), err);
    }
    ok = ok && describe(made, err);
    if (!ok) {
        data_result_close(made);
        return false;
    }
    *result = made;
    return true;
}

void data_result_close(struct data_result *result)
{
    if (!result) {
        return;
    }
    const struct duckdb_api *api = &result->db->api;
    if (result->chunk) {
        api->destroy_data_chunk(&result->chunk);
    }
    for (size_t i = 0; i < result->n_columns; i++) {
        mem_free((char *)(uintptr_t)result->columns[i].name);
        vector_space_fini(&result->spaces[i]);
    }
    api->destroy_result(&result->sql);
    if (result->statement) {
        api->destroy_prepare(&result->statement);
    }
    mem_free(result->columns);
    mem_free(result->spaces);
    mem_free(result->vectors);
    mem_free(result);
}

const struct table_column *data_result_columns(const struct data_result *result, size_t *n_columns)
{
    *n_columns = result->n_columns;
    return result->columns;
}

/* The next chunk that has rows, or NULL at the end. */
static bool fetch(struct data_result *result, struct nx_err *err)
{
    const struct duckdb_api *api = &result->db->api;
    do {
        if (result->chunk) {
            api->destroy_data_chunk(&result->chunk);
            result->chunk = NULL;
        }
        if (atomic_load(&result->db->cancelled)) {
            return nx_fail(err, NX_E_CANCELLED, "the attempt was cancelled");
        }
        result->chunk = api->fetch_chunk(result->sql);
    } while (result->chunk && api->data_chunk_get_size(result->chunk) == 0);
    if (!result->chunk) {
        const char *why = api->result_error(&result->sql);
        return why && *why ? data_error(why, err) : true;
    }
    return true;
}

bool data_next(struct data_result *result, const struct data_batch **batch, struct nx_err *err)
{
    if (!fetch(result, err)) {
        return false;
    }
    if (!result->chunk) {
        *batch = NULL;
        return true;
    }
    const struct duckdb_api *api = &result->db->api;
    size_t n = api->data_chunk_get_size(result->chunk);
    must(n <= ROWHASH_ROWS_MAX);
    for (size_t i = 0; i < result->n_columns; i++) {
        vector_convert(&result->spaces[i], api, api->data_chunk_get_vector(result->chunk, i), n,
                       &result->vectors[i]);
    }
    result->batch = (struct data_batch){n, result->n_columns, result->vectors};
    *batch = &result->batch;
    return true;
}

bool data_query_int(struct data_db *db, const char *sql, int64_t *v, struct nx_err *err)
{
    struct data_result *result;
    const struct data_batch *batch;
    if (!data_query(db, sql, NULL, 0, &result, err)) {
        return false;
    }
    bool ok = data_next(result, &batch, err);
    if (ok) {
        must(result->n_columns >= 1 && result->columns[0].type == TABLE_INT64);
        *v = batch && data_is_valid(&batch->columns[0], 0) ? batch->columns[0].as.i[0] : 0;
    }
    data_result_close(result);
    return ok;
}
