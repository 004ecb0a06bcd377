/* Arrays to a table of the database. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/column.h"
#include "lib/data/internal.h"

static bool create(struct data_db *db, const char *name, const struct column *columns, size_t n,
                   bool numbered, struct nx_err *err)
{
    struct buf sql;
    buf_init(&sql);
    buf_str(&sql, "CREATE TABLE ");
    data_quote_name(&sql, name);
    buf_str(&sql, numbered ? " (row_number BIGINT" : " (");
    for (size_t i = 0; i < n; i++) {
        buf_str(&sql, i || numbered ? ", " : "");
        data_quote_name(&sql, columns[i].name);
        buf_printf(&sql, " %s", type_sql(columns[i].type));
    }
    buf_str(&sql, ")");
    bool ok = data_exec(db, buf_text(&sql), err);
    buf_fini(&sql);
    return ok;
}

static int vector_type(enum table_type type)
{
    switch (type) {
    case TABLE_BOOL:
        return DUCKDB_T_BOOLEAN;
    case TABLE_INT64:
        return DUCKDB_T_BIGINT;
    case TABLE_DOUBLE:
        return DUCKDB_T_DOUBLE;
    case TABLE_DATE:
        return DUCKDB_T_DATE;
    case TABLE_TIMESTAMP:
        return DUCKDB_T_TIMESTAMP;
    default:
        return DUCKDB_T_VARCHAR;
    }
}

/* n values from row `first` on into a vector. */
static void put_values(const struct duckdb_api *api, duckdb_vector to, const struct column *c,
                       size_t first, size_t n)
{
    void *data = api->vector_get_data(to);
    for (size_t i = 0; i < n; i++) {
        size_t row = first + i;
        int32_t code;
        switch (c->type) {
        case TABLE_BOOL:
            ((bool *)data)[i] = c->as.b[row];
            break;
        case TABLE_DOUBLE:
            ((double *)data)[i] = c->as.f[row];
            break;
        case TABLE_DATE:
            ((int32_t *)data)[i] = (int32_t)c->as.i[row];
            break;
        case TABLE_STRING:
        case TABLE_CATEGORY:
            code = c->as.code[row];
            if (code >= 0) {
                must((size_t)code < c->n_text);
                const char *text = c->text[code];
                api->vector_assign_string_element_len(to, i, text, strlen(text));
            }
            break;
        default:
            ((int64_t *)data)[i] = c->as.i[row];
        }
    }
}

static bool is_missing(const struct column *c, size_t row)
{
    if (c->type == TABLE_STRING || c->type == TABLE_CATEGORY) {
        return c->as.code[row] < 0;
    }
    return !column_is_valid(c, row) || (c->type == TABLE_DOUBLE && c->as.f[row] != c->as.f[row]);
}

static void put_missing(const struct duckdb_api *api, duckdb_vector to, const struct column *c,
                        size_t first, size_t n)
{
    uint64_t *valid = NULL;
    for (size_t i = 0; i < n; i++) {
        if (is_missing(c, first + i)) {
            if (!valid) {
                api->vector_ensure_validity_writable(to);
                valid = api->vector_get_validity(to);
            }
            valid[i / 64] &= ~(1ull << (i % 64));
        }
    }
}

static bool append_all(const struct duckdb_api *api, duckdb_appender appender, duckdb_chunk chunk,
                       const struct column *columns, size_t n, bool numbered, struct nx_err *err)
{
    size_t n_rows = columns[0].n_rows, most = api->vector_size();
    for (size_t first = 0; first < n_rows; first += most) {
        size_t count = n_rows - first < most ? n_rows - first : most;
        api->data_chunk_reset(chunk);
        if (numbered) {
            int64_t *number = api->vector_get_data(api->data_chunk_get_vector(chunk, 0));
            for (size_t i = 0; i < count; i++) {
                number[i] = (int64_t)(first + i);
            }
        }
        for (size_t c = 0; c < n; c++) {
            duckdb_vector to = api->data_chunk_get_vector(chunk, c + (numbered ? 1 : 0));
            put_values(api, to, &columns[c], first, count);
            put_missing(api, to, &columns[c], first, count);
        }
        api->data_chunk_set_size(chunk, count);
        if (api->append_data_chunk(appender, chunk) != DUCKDB_SUCCESS) {
            return data_error(api->appender_error(appender), err);
        }
    }
    return true;
}

static duckdb_chunk make_chunk(const struct duckdb_api *api, const struct column *columns, size_t n,
                               bool numbered)
{
    size_t shift = numbered ? 1 : 0;
    duckdb_logical *types = mem_alloc_array(n + shift, sizeof(duckdb_logical));
    types[0] = numbered ? api->create_logical_type(DUCKDB_T_BIGINT) : NULL;
    for (size_t i = 0; i < n; i++) {
        types[i + shift] = api->create_logical_type(vector_type(columns[i].type));
    }
    duckdb_chunk chunk = api->create_data_chunk(types, n + shift);
    for (size_t i = 0; i < n + shift; i++) {
        api->destroy_logical_type(&types[i]);
    }
    mem_free(types);
    return chunk;
}

bool column_create_table(struct data_db *db, const char *name, const struct column *columns,
                         size_t n, bool numbered, struct nx_err *err)
{
    const struct duckdb_api *api = &db->api;
    must(n > 0);
    for (size_t i = 0; i < n; i++) {
        must(columns[i].n_rows == columns[0].n_rows && columns[i].type != TABLE_DOUBLES);
    }
    if (!create(db, name, columns, n, numbered, err)) {
        return false;
    }
    duckdb_appender appender = NULL;
    if (api->appender_create(db->connection, NULL, name, &appender) != DUCKDB_SUCCESS) {
        data_error(api->appender_error(appender), err);
        api->appender_destroy(&appender);
        return false;
    }
    duckdb_chunk chunk = make_chunk(api, columns, n, numbered);
    bool ok = append_all(api, appender, chunk, columns, n, numbered, err);
    api->destroy_data_chunk(&chunk);
    if (api->appender_destroy(&appender) != DUCKDB_SUCCESS && ok) {
        ok = nx_fail(err, NX_E_INTERNAL, "the table '%s' could not be filled", name);
    }
    return ok;
}
