/* Schemas of datasets; see schema.h. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/schema.h"

#define SCHEMA_FORMAT 1

static const char *const format_names[FILE_FORMATS] = {"auto", "csv", "json", "jsonl", "parquet"};

const char *file_format_name(enum file_format format)
{
    must(format < FILE_FORMATS);
    return format_names[format];
}

bool file_format_find(const char *name, enum file_format *format)
{
    for (int i = 0; i < FILE_FORMATS; i++) {
        if (str_eq(name, format_names[i])) {
            *format = (enum file_format)i;
            return true;
        }
    }
    return false;
}

static const char *get_text(const json_t *object, const char *key, const char *fallback,
                            struct arena *arena)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strdup(arena, text) : fallback;
}

static const char *const *get_texts(const json_t *list, struct arena *arena, size_t *n)
{
    *n = json_array_size(list);
    const char **texts = arena_array(arena, *n + 1, sizeof *texts);
    for (size_t i = 0; i < *n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        texts[i] = arena_strdup(arena, text ? text : "");
    }
    return texts;
}

static bool read_column(const json_t *from, struct arena *arena, struct schema_column *column,
                        struct nx_err *err)
{
    const char *name = json_string_value(json_object_get(from, "name"));
    const char *type = json_string_value(json_object_get(from, "type"));
    if (!name || !*name) {
        return nx_fail(err, NX_E_INVALID, "a column of the schema has no name");
    }
    if (!type || !table_type_find(type, &column->type)) {
        return nx_fail(
            err, NX_E_INVALID,
            "column '%s' of the schema has the type '%s'; types are bool, int64, double, "
            "string, category, date, timestamp, doubles",
            name, type ? type : "");
    }
    column->name = arena_strdup(arena, name);
    column->typed = true;
    column->format = get_text(from, "format", NULL, arena);
    const json_t *categories = json_object_get(from, "categories");
    if (json_is_array(categories)) {
        column->categories = get_texts(categories, arena, &column->n_categories);
    }
    return true;
}

static bool read_columns(const json_t *list, struct arena *arena, struct schema *schema,
                         struct nx_err *err)
{
    size_t n = json_array_size(list);
    if (n == 0 || n > TABLE_COLUMNS_MAX) {
        return nx_fail(err, NX_E_INVALID, "a schema has 1 to %d `columns`; this one has %zu",
                       TABLE_COLUMNS_MAX, n);
    }
    schema->columns = arena_array(arena, n, sizeof *schema->columns);
    schema->n_columns = n;
    for (size_t i = 0; i < n; i++) {
        if (!read_column(json_array_get(list, i), arena, &schema->columns[i], err)) {
            return false;
        }
    }
    return true;
}

static bool read_all(const json_t *all, struct arena *arena, struct schema *schema,
                     struct nx_err *err)
{
    if (!json_is_object(all)) {
        return nx_fail(err, NX_E_INVALID, "a schema is a JSON object with `columns`");
    }
    json_int_t version = json_integer_value(json_object_get(all, "format"));
    if (version > SCHEMA_FORMAT) {
        return nx_fail(err, NX_E_UNSUPPORTED,
                       "the schema has format %lld; this Nexus reads up to %d", (long long)version,
                       SCHEMA_FORMAT);
    }
    const json_t *file = json_object_get(all, "file");
    const json_t *header = json_object_get(file, "header");
    struct schema_file *to = &schema->file;
    const char *format = get_text(file, "format", "auto", arena);
    if (!file_format_find(format, &to->format)) {
        return nx_fail(err, NX_E_INVALID, "the schema's file has the unknown format '%s'", format);
    }
    to->delimiter = get_text(file, "delimiter", "auto", arena);
    to->quote = get_text(file, "quote", "\"", arena);
    to->timezone = get_text(file, "timezone", "UTC", arena);
    to->header = !header || json_is_true(header);
    to->nulls = get_texts(json_object_get(file, "null"), arena, &to->n_nulls);
    return read_columns(json_object_get(all, "columns"), arena, schema, err);
}

bool schema_read(const char *json, struct arena *arena, struct schema *schema, struct nx_err *err)
{
    json_error_t why;
    json_t *all = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    if (!all) {
        return nx_fail(err, NX_E_INVALID, "the schema is not JSON: line %d: %s", why.line,
                       why.text);
    }
    struct schema made = {0};
    bool ok = read_all(all, arena, &made, err);
    json_decref(all);
    if (ok) {
        *schema = made;
    }
    return ok;
}

static json_t *text_list(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_string(texts[i]));
    }
    return list;
}

static json_t *file_json(const struct schema_file *file)
{
    json_t *to = json_object();
    json_object_set_new(to, "format", json_string(file_format_name(file->format)));
    if (file->format == FILE_CSV) {
        json_object_set_new(to, "delimiter", json_string(file->delimiter));
        json_object_set_new(to, "quote", json_string(file->quote));
        json_object_set_new(to, "header", json_boolean(file->header));
        json_object_set_new(to, "null", text_list(file->nulls, file->n_nulls));
    }
    json_object_set_new(to, "timezone", json_string(file->timezone));
    return to;
}

void schema_write(const struct schema *schema, struct buf *buf)
{
    json_t *all = json_object(), *columns = json_array();
    for (size_t i = 0; i < schema->n_columns; i++) {
        const struct schema_column *column = &schema->columns[i];
        json_t *one = json_object();
        json_object_set_new(one, "name", json_string(column->name));
        json_object_set_new(one, "type", json_string(table_type_name(column->type)));
        if (column->format) {
            json_object_set_new(one, "format", json_string(column->format));
        }
        if (column->categories) {
            json_object_set_new(one, "categories",
                                text_list(column->categories, column->n_categories));
        }
        json_array_append_new(columns, one);
    }
    json_object_set_new(all, "format", json_integer(SCHEMA_FORMAT));
    json_object_set_new(all, "file", file_json(&schema->file));
    json_object_set_new(all, "columns", columns);
    char *text = json_dumps(all, JSON_INDENT(1));
    must(text);
    buf_str(buf, text);
    buf_char(buf, '\n');
    free(text);
    json_decref(all);
}

struct schema_column *schema_find(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->n_columns; i++) {
        if (str_eq(schema->columns[i].name, name)) {
            return &schema->columns[i];
        }
    }
    return NULL;
}

enum schema_change schema_compare(const struct schema *pinned, const struct schema *found,
                                  struct buf *sentences)
{
    enum schema_change change = SCHEMA_SAME;
    for (size_t i = 0; i < pinned->n_columns; i++) {
        const struct schema_column *column = &pinned->columns[i];
        if (!schema_find(found, column->name)) {
            change = SCHEMA_CHANGED;
            buf_printf(sentences, "%scolumn '%s' is missing", sentences->len ? "; " : "",
                       column->name);
        }
    }
    for (size_t i = 0; i < found->n_columns; i++) {
        if (!schema_find(pinned, found->columns[i].name)) {
            change = change == SCHEMA_SAME ? SCHEMA_EVOLVED : change;
            buf_printf(sentences, "%scolumn '%s' is new", sentences->len ? "; " : "",
                       found->columns[i].name);
        }
    }
    return change;
}
