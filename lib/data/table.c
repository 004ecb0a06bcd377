/* Descriptions of tables and their JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/table.h"

char *table_hash_format(char *to, struct table_hash hash)
{
    snprintf(to, TABLE_HASH_TEXT_MAX, "%016" PRIx64 "%016" PRIx64, hash.hi, hash.lo);
    return to;
}

bool table_hash_parse(const char *text, struct table_hash *hash)
{
    struct table_hash found = {0, 0};
    if (!text || strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32) {
        return false;
    }
    sscanf(text, "%16" SCNx64 "%16" SCNx64, &found.hi, &found.lo);
    *hash = found;
    return true;
}

const struct table_column *table_info_column(const struct table_info *info, const char *name)
{
    for (size_t i = 0; i < info->n_columns; i++) {
        if (str_eq(info->columns[i].name, name)) {
            return &info->columns[i];
        }
    }
    return NULL;
}

static json_t *text_list(const char *const *text, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_string(text[i]));
    }
    return list;
}

static json_t *column_json(const struct table_column *column, bool full)
{
    json_t *one = json_object();
    json_object_set_new(one, "name", json_string(column->name));
    json_object_set_new(one, "type", json_string(table_type_name(column->type)));
    if (full && column->categories) {
        json_object_set_new(one, "categories", text_list(column->categories, column->n_categories));
    }
    return one;
}

void table_info_write(const struct table_info *info, bool full, struct buf *buf)
{
    char hash[TABLE_HASH_TEXT_MAX];
    json_t *all = json_object();
    if (!full) {
        json_object_set_new(all, "rows", json_integer(info->n_rows));
        json_object_set_new(all, "rows_hash",
                            json_string(table_hash_format(hash, info->rows_hash)));
    }
    json_object_set_new(
        all, "order", info->n_order ? text_list(info->order, info->n_order) : json_string("input"));
    if (full || info->n_columns <= TABLE_META_COLUMNS) {
        json_t *columns = json_array();
        for (size_t i = 0; i < info->n_columns; i++) {
            json_array_append_new(columns, column_json(&info->columns[i], full));
        }
        json_object_set_new(all, "columns", columns);
    }
    char *text = json_dumps(all, JSON_COMPACT);
    must(text);
    buf_str(buf, text);
    free(text);
    json_decref(all);
}

static const char **read_texts(const json_t *list, struct arena *arena, size_t *n)
{
    size_t count = json_array_size(list);
    const char **text = arena_array(arena, count + 1, sizeof *text);
    for (size_t i = 0; i < count; i++) {
        const char *one = json_string_value(json_array_get(list, i));
        text[i] = arena_strdup(arena, one ? one : "");
    }
    *n = count;
    return text;
}

static bool read_column(const json_t *one, struct arena *arena, struct table_column *column,
                        struct nx_err *err)
{
    const char *name = json_string_value(json_object_get(one, "name"));
    const char *type = json_string_value(json_object_get(one, "type"));
    if (!name || !type || !table_type_find(type, &column->type)) {
        return nx_fail(err, NX_E_DATA, "a table's description has a column without name or type");
    }
    column->name = arena_strdup(arena, name);
    const json_t *categories = json_object_get(one, "categories");
    if (json_is_array(categories)) {
        column->categories = read_texts(categories, arena, &column->n_categories);
    }
    return true;
}

static bool read_columns(const json_t *list, struct arena *arena, struct table_info *info,
                         struct nx_err *err)
{
    size_t n = json_array_size(list);
    if (n > TABLE_COLUMNS_MAX) {
        return nx_fail(err, NX_E_LIMIT, "a table has %zu columns; at most %d are read", n,
                       TABLE_COLUMNS_MAX);
    }
    struct table_column *columns = arena_array(arena, n + 1, sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        if (!read_column(json_array_get(list, i), arena, &columns[i], err)) {
            return false;
        }
    }
    info->columns = columns;
    info->n_columns = n;
    return true;
}

bool table_info_read(const char *json, struct arena *arena, struct table_info *info,
                     struct nx_err *err)
{
    json_error_t why;
    json_t *all = json_loads(json, 0, &why);
    if (!json_is_object(all)) {
        json_decref(all);
        return nx_fail(err, NX_E_DATA, "a table's description is not a JSON object");
    }
    struct table_info found = {0};
    bool ok = read_columns(json_object_get(all, "columns"), arena, &found, err);
    if (ok) {
        found.n_rows = json_integer_value(json_object_get(all, "rows"));
        found.n_bytes = json_integer_value(json_object_get(all, "bytes"));
        found.order = read_texts(json_object_get(all, "order"), arena, &found.n_order);
        table_hash_parse(json_string_value(json_object_get(all, "rows_hash")), &found.rows_hash);
        *info = found;
    }
    json_decref(all);
    return ok;
}
