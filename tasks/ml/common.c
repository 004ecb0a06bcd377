#include "tasks/ml/common.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "tasks/data/tables.h"

/* "used": the rows of `view` in which `needed` has a value; *dropped: how many have none. */
static bool keep_needed(struct data_db *db, const char *view, const char *used, const char *needed,
                        enum table_type type, int64_t *dropped, struct nx_err *err)
{
    struct buf where, sql;
    buf_init(&where);
    buf_init(&sql);
    data_quote_name(&where, needed);
    buf_str(&where, " is not null");
    if (type == TABLE_DOUBLE) {
        buf_str(&where, " and not isnan(");
        data_quote_name(&where, needed);
        buf_char(&where, ')');
    }
    buf_str(&sql, "select count(*) from ");
    data_quote_name(&sql, view);
    buf_printf(&sql, " where not (%s)", buf_text(&where));
    bool ok = data_query_int(db, buf_text(&sql), dropped, err);
    buf_clear(&sql);
    buf_str(&sql, "create view ");
    data_quote_name(&sql, used);
    buf_str(&sql, " as select * from ");
    data_quote_name(&sql, view);
    buf_printf(&sql, " where %s", buf_text(&where));
    ok = ok && data_exec(db, buf_text(&sql), err);
    buf_fini(&sql);
    buf_fini(&where);
    return ok;
}

static bool read_columns(struct data_db *db, const char *from, const char *const *names, size_t n,
                         struct common_rows *rows, struct nx_err *err)
{
    struct column_want *want = mem_alloc_array(n + 1, sizeof *want);
    for (size_t i = 0; i < n; i++)
        want[i].name = names[i];
    bool ok = column_read(db, from, want, n, &rows->columns, err);
    mem_free(want);
    rows->n_columns = ok ? n : 0;
    return ok;
}

static bool read_from(struct nx_ctx *ctx, struct data_db *db, const char *view,
                      const char *const *names, size_t n, const char *needed,
                      struct common_rows *rows, struct nx_err *err)
{
    char used[80];
    snprintf(used, sizeof used, "%s", view);
    if (needed) {
        const struct table_column *column = table_info_column(rows->info, needed);
        snprintf(used, sizeof used, "%s_used", view);
        if (!column) /* says which are there */
            return read_columns(db, view, &needed, 1, rows, err);
        if (!keep_needed(db, view, used, needed, column->type, &rows->n_dropped, err))
            return false;
        if (rows->n_dropped > 0)
            nx_log(ctx, "%lld of the %lld rows of %s have no '%s' and are left out",
                   (long long)rows->n_dropped, (long long)rows->info->n_rows, view, needed);
    }
    rows->n_rows = (size_t)(rows->info->n_rows - rows->n_dropped);
    return n == 0 || read_columns(db, used, names, n, rows, err);
}

/* A reference says what it refers to, and is checked before; a mere address does not. */
bool common_table(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *view,
                  const struct table_info **info, struct nx_err *err)
{
    const char *path = nx_artifact_path(ctx, param, NULL, err);
    if (path && path_is_folder(path))
        return nx_fail(err, NX_E_INVALID,
                       "'%s' is a folder (a model?), not a table: give a task's output that is a "
                       "table",
                       param);
    return path && tables_add(ctx, db, param, view, info, err);
}

bool common_read(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *view,
                 const char *const *names, size_t n, const char *needed, struct common_rows *rows,
                 struct nx_err *err)
{
    *rows = (struct common_rows){0};
    if (!common_table(ctx, db, param, view, &rows->info, err))
        return false;
    if (read_from(ctx, db, view, names, n, needed, rows, err))
        return true;
    common_rows_fini(rows);
    return nx_wrap(err, "%s", param);
}

void common_rows_fini(struct common_rows *rows)
{
    if (rows->columns)
        column_free(rows->columns, rows->n_columns);
    rows->columns = NULL;
    rows->n_columns = 0;
}

const struct column *common_column(const struct common_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->n_columns; i++) {
        if (strcmp(rows->columns[i].name, name) == 0)
            return &rows->columns[i];
    }
    return NULL;
}

static void add_name(const char **names, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(names[i], name) == 0)
            return;
    }
    names[(*n)++] = name;
}

bool common_read_for(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *view,
                     const struct model *model, bool with_target, const char *const *more, size_t n,
                     struct common_rows *rows, struct nx_err *err)
{
    const char **names = mem_alloc_array(model->n_inputs + n + 2, sizeof *names);
    size_t n_names = 0;
    *rows = (struct common_rows){0};
    bool ok = common_table(ctx, db, param, view, &rows->info, err);
    for (size_t i = 0; ok && i < model->n_inputs; i++) {
        if (table_info_column(rows->info, model->inputs[i].name))
            add_name(names, &n_names, model->inputs[i].name);
    }
    for (size_t i = 0; ok && i < n; i++)
        add_name(names, &n_names, more[i]);
    if (with_target)
        add_name(names, &n_names, model->target);
    ok = ok &&
         read_from(ctx, db, view, names, n_names, with_target ? model->target : NULL, rows, err);
    mem_free(names);
    if (ok)
        return true;
    common_rows_fini(rows);
    return nx_wrap(err, "%s", param);
}

bool common_model(struct nx_ctx *ctx, const char *param, struct model **model, struct nx_err *err)
{
    const char *path = nx_artifact_path(ctx, param, NULL, err);
    if (path && !path_is_folder(path))
        return nx_fail(err, NX_E_INVALID,
                       "'%s' is a file (a table?), not a model: give a task's output that is a "
                       "model",
                       param);
    return path && (model_open(path, model, err) || nx_wrap(err, "'%s'", param));
}

bool common_output(struct nx_ctx *ctx, const char *name, const json_t *value, struct nx_err *err)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    bool ok = text && nx_output_json(ctx, name, text, err);
    free(text);
    return ok;
}

bool common_output_metrics(struct nx_ctx *ctx, const json_t *metrics, struct nx_err *err)
{
    static const struct nx_port ports[] = {COMMON_METRIC_PORTS};
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        const json_t *value = json_object_get(metrics, ports[i].name);
        if (json_is_real(value) &&
            !nx_output_float(ctx, ports[i].name, json_real_value(value), err))
            return false;
    }
    return true;
}
