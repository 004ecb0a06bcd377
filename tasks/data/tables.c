/* What operators on tables share; see tables.h. */
#include "tasks/data/tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/time.h"

bool tables_open(struct nx_ctx *ctx, struct data_db **db, struct nx_err *err)
{
    struct data_settings settings = {
        .threads = nx_cpus(ctx) > 0 ? nx_cpus(ctx) : 1,
        .memory_bytes = nx_memory_bytes(ctx),
        .temp_dir = nx_folder(ctx),
    };
    if (!data_open(&settings, db, err)) {
        return false;
    }
    nx_on_cancel(ctx, data_interrupt, *db);
    return true;
}

void tables_close(struct nx_ctx *ctx, struct data_db *db)
{
    if (db) {
        nx_on_cancel(ctx, NULL, NULL);
        data_close(db);
    }
}

bool tables_add(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *name,
                const struct table_info **info, struct nx_err *err)
{
    const char *meta = NULL;
    const struct table_info *found;
    const char *path = nx_artifact_path(ctx, param, &meta, err);
    if (!path || !data_add_table(db, name, path, &found, err)) {
        return false;
    }
    /* The file does not know its own hash; its reference does. */
    json_t *reference = meta ? json_loads(meta, JSON_DECODE_ANY, NULL) : NULL;
    table_hash_parse(json_string_value(json_object_get(reference, "rows_hash")),
                     &((struct table_info *)(uintptr_t)found)->rows_hash);
    json_decref(reference);
    if (info) {
        *info = found;
    }
    return true;
}

const char *tables_path(struct nx_ctx *ctx, struct arena *arena, const char *name)
{
    return arena_printf(arena, "%s/%s", nx_folder(ctx), name);
}

bool tables_output(struct nx_ctx *ctx, const char *name, const char *path,
                   const struct table_info *info, struct nx_err *err)
{
    struct buf meta;
    buf_init(&meta);
    table_info_write(info, false, &meta);
    bool ok = nx_artifact_output(ctx, name, path, "table", buf_text(&meta), err);
    buf_fini(&meta);
    return ok;
}

static json_t *date_value(int64_t days)
{
    char text[32];
    int64_t year;
    unsigned month, day;
    time_civil_from_days(days, &year, &month, &day);
    snprintf(text, sizeof text, "%04" PRId64 "-%02u-%02u", year, month, day);
    return json_string(text);
}

static json_t *timestamp_value(int64_t micros)
{
    char text[TIME_TEXT_MAX];
    int64_t ms = micros / 1000 - (micros % 1000 < 0);
    return json_string(time_format(text, ms));
}

json_t *tables_value(const struct data_vector *column, size_t row)
{
    if (!data_is_valid(column, row)) {
        return json_null();
    }
    json_t *list;
    switch (column->type) {
    case TABLE_BOOL:
        return json_boolean(column->as.b[row]);
    case TABLE_INT64:
        return json_integer(column->as.i[row]);
    case TABLE_DOUBLE: /* JSON has no infinity */
        return isfinite(column->as.f[row]) ? json_real(column->as.f[row]) : json_null();
    case TABLE_STRING:
    case TABLE_CATEGORY:
        return json_stringn(column->as.text[row].at, column->as.text[row].n);
    case TABLE_DATE:
        return date_value(column->as.i[row]);
    case TABLE_TIMESTAMP:
        return timestamp_value(column->as.i[row]);
    case TABLE_DOUBLES:
        list = json_array();
        for (uint64_t k = 0; k < column->as.list[row].n; k++) {
            double v = column->child[column->as.list[row].offset + k];
            json_array_append_new(list, isfinite(v) ? json_real(v) : json_null());
        }
        return list;
    case TABLE_TYPES:
        break;
    }
    return json_null();
}

json_t *tables_first_row(struct data_db *db, const char *from, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    json_t *row = NULL;
    buf_init(&sql);
    buf_printf(&sql, "SELECT * FROM %s LIMIT 1", from);
    if (data_query(db, buf_text(&sql), NULL, 0, &result, err) && data_next(result, &batch, err)) {
        size_t n;
        const struct table_column *columns = data_result_columns(result, &n);
        row = batch ? json_object() : json_null();
        for (size_t i = 0; batch && i < n; i++) {
            json_object_set_new(row, columns[i].name, tables_value(&batch->columns[i], 0));
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    return row;
}
