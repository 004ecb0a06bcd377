/* ml.predict: a model's answers for every row of a table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "tasks/data/tables.h"
#include "tasks/ml/common.h"

struct prediction {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct arena arena;
    struct model *model;
    struct common_rows rows;
    struct model_output output;
    struct column *columns; /* of the new table */
    size_t n_columns;
};

/* ---- New columns ---- */

static struct column *add_column(struct prediction *p, const char *name, enum table_type type)
{
    struct column *c = &p->columns[p->n_columns++];
    *c = (struct column){.name = name, .type = type, .n_rows = p->rows.n_rows};
    return c;
}

/* The class as the target had it: number, bool or text. */
static void add_labels(struct prediction *p)
{
    const struct model *m = p->model;
    size_t n = p->rows.n_rows;
    struct column *c = add_column(p, "prediction", m->target_type);
    if (m->target_type == TABLE_CATEGORY) {
        c->type = TABLE_STRING;
        c->text = m->classes;
        c->n_text = m->n_classes;
        c->as.code = arena_array(&p->arena, n + 1, sizeof *c->as.code);
        for (size_t i = 0; i < n; i++)
            c->as.code[i] = (int32_t)p->output.labels[i];
        return;
    }
    double *value = arena_array(&p->arena, m->n_classes, sizeof *value);
    for (size_t k = 0; k < m->n_classes; k++) {
        if (m->target_type == TABLE_BOOL)
            value[k] = strcmp(m->classes[k], "true") == 0;
        else if (!str_parse_double(m->classes[k], &value[k]))
            value[k] = NAN;
    }
    c->as.i = arena_array(&p->arena, n + 1, sizeof *c->as.i);
    for (size_t i = 0; i < n; i++) {
        double v = value[p->output.labels[i]];
        if (c->type == TABLE_BOOL)
            c->as.b[i] = v != 0;
        else if (c->type == TABLE_DOUBLE)
            c->as.f[i] = v;
        else if (c->type == TABLE_TIMESTAMP)
            c->as.i[i] = (int64_t)(v * 1e6);
        else
            c->as.i[i] = (int64_t)v;
    }
}

static void add_values(struct prediction *p, const char *name, size_t k)
{
    struct column *c = add_column(p, name, TABLE_DOUBLE);
    c->as.f = arena_array(&p->arena, p->rows.n_rows + 1, sizeof *c->as.f);
    for (size_t i = 0; i < p->rows.n_rows; i++)
        c->as.f[i] = p->output.values[i * p->output.n_values + k];
}

static bool has_column(const struct prediction *p, size_t from, const char *name)
{
    for (size_t i = from; i < p->n_columns; i++) {
        if (strcasecmp(p->columns[i].name, name) == 0)
            return true;
    }
    return false;
}

/* One column for each class. Columns are told apart without regard to case, and classes are not. */
static void add_probabilities(struct prediction *p)
{
    const struct model *m = p->model;
    size_t first = p->n_columns;
    for (size_t k = 0; k < m->n_classes; k++) {
        const char *name = arena_printf(&p->arena, "probability_%s", m->classes[k]);
        for (int i = 2; has_column(p, first, name); i++)
            name = arena_printf(&p->arena, "probability_%s_%d", m->classes[k], i);
        add_values(p, name, k);
    }
}

static bool add_answers(struct prediction *p, struct nx_err *err)
{
    const struct model *m = p->model;
    if (m->task == MODEL_REGRESSION) {
        add_values(p, "prediction", 0);
    } else {
        add_labels(p);
        if (m->task == MODEL_BINARY)
            add_values(p, "probability", m->positive);
        else
            add_probabilities(p);
    }
    for (size_t i = 0; i < p->n_columns; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(p->columns[i].name, p->columns[j].name) == 0)
                return nx_fail(err, NX_E_INVALID,
                               "the new table would have two columns '%s': do not keep '%s'",
                               p->columns[i].name, p->columns[j].name);
        }
    }
    return true;
}

/* ---- Rows in, table out ---- */

static const char **kept_names(struct prediction *p, const struct table_info *info, size_t *n)
{
    *n = nx_arg_count(p->ctx, "keep");
    bool all = *n == 1 && strcmp(nx_arg_item(p->ctx, "keep", 0), "*") == 0;
    const char **names = arena_array(&p->arena, (all ? info->n_columns : *n) + 1, sizeof *names);
    for (size_t i = 0; !all && i < *n; i++)
        names[i] = nx_arg_item(p->ctx, "keep", i);
    if (!all)
        return names;
    *n = 0;
    for (size_t i = 0; i < info->n_columns; i++) {
        if (info->columns[i].type != TABLE_DOUBLES)
            names[(*n)++] = info->columns[i].name;
    }
    return names;
}

static bool read_rows(struct prediction *p, const char ***kept, size_t *n_kept, struct nx_err *err)
{
    const struct table_info *info;
    if (!common_table(p->ctx, p->db, "table", "described", &info, err))
        return false;
    *kept = kept_names(p, info, n_kept);
    return common_read_for(p->ctx, p->db, "table", "rows", p->model, false, *kept, *n_kept,
                           &p->rows, err);
}

static bool write_table(struct prediction *p, struct nx_err *err)
{
    struct data_order order = {.input = true};
    struct table_info info;
    const char *path = tables_path(p->ctx, &p->arena, "predictions.parquet");
    struct data_write write = {
        .select = "select * from predictions", .path = path, .order = &order};
    return column_create_table(p->db, "predictions", p->columns, p->n_columns, false, err) &&
           data_write_table(p->db, &write, &p->arena, &info, err) &&
           tables_output(p->ctx, "table", path, &info, err) &&
           nx_output_int(p->ctx, "rows", info.n_rows, err);
}

static bool predict(struct prediction *p, struct nx_err *err)
{
    const char **kept;
    size_t n_kept = 0;
    if (!common_model(p->ctx, "model", &p->model, err))
        return false;
    if (nx_arg_given(p->ctx, "threshold") && p->model->task == MODEL_BINARY)
        p->model->threshold = nx_arg_float(p->ctx, "threshold");
    if (!tables_open(p->ctx, &p->db, err) || !read_rows(p, &kept, &n_kept, err) ||
        !model_predict(p->model, p->rows.columns, p->rows.n_columns, p->rows.n_rows, &p->output,
                       err))
        return false;
    nx_log(p->ctx, "%zu rows by a %s model of '%s'", p->rows.n_rows, p->model->algorithm,
           p->model->target);
    p->columns = arena_array(&p->arena, n_kept + p->model->n_classes + 2, sizeof *p->columns);
    for (size_t i = 0; i < n_kept; i++)
        p->columns[p->n_columns++] = *common_column(&p->rows, kept[i]);
    return add_answers(p, err) && write_table(p, err);
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct prediction p = {.ctx = ctx};
    arena_init(&p.arena);
    bool ok = predict(&p, err);
    model_output_fini(&p.output);
    common_rows_fini(&p.rows);
    tables_close(ctx, p.db);
    model_free(p.model);
    arena_fini(&p.arena);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "model", .type = NX_T_MODEL, .flags = NX_P_REQUIRED, .help = "The model."},
    {.name = "table", .type = NX_T_TABLE, .flags = NX_P_REQUIRED, .help = "Rows with the columns that the model needs; others are ignored."},
    {.name = "keep", .type = NX_T_STRINGS, .help = "Columns to carry over, before the predictions; \"*\": all."},
    {.name = "threshold", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .min = 0, .max = 1,
     .help = "Two classes: from which probability on the positive one is predicted; default: the model's."},
    {0}};

static const struct nx_port outputs[] = {
    {"table", NX_T_TABLE, "The kept columns, `prediction`, and for classes `probability` (two classes: of the positive one) or one `probability_<class>` each (of classes that differ in case only, the second gets `_2`, and so on); rows in the order of the input."},
    {"rows", NX_T_INT, "Rows predicted."},
    {0}};

const struct nx_operator ml_predict = {
    .name = "ml.predict",
    .version = 1,
    .summary = "Predicts for every row of a table.",
    .params = params,
    .outputs = outputs,
    .example =
        "predict:\n"
        "  uses: ml.predict\n"
        "  needs: [train, new_rows]\n"
        "  with:\n"
        "    model: ${{ outputs.train.model }}\n"
        "    table: ${{ outputs.new_rows.table }}\n"
        "    keep: [flight_id]\n",
    .flags = NX_OP_PURE,
    .run = run,
};
/* clang-format on */
