/* ml.evaluate: how good a model is on a table, and against what. */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/ml/fit.h"
#include "lib/ml/measure.h"
#include "lib/text/json.h"
#include "tasks/data/tables.h"
#include "tasks/ml/common.h"

struct evaluation {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct model *model, *previous;
    struct common_rows rows;
    double *target;
    struct model_output predictions;
    json_t *metrics, *baseline;
};

static bool read_rows(struct evaluation *e, struct nx_err *err)
{
    struct model *m = e->model;
    const char **more = NULL;
    size_t n = 0;
    if (e->previous) { /* may need columns that the model does not */
        more = mem_alloc_array(e->previous->n_inputs + 1, sizeof *more);
        for (; n < e->previous->n_inputs; n++)
            more[n] = e->previous->inputs[n].name;
    }
    bool ok = common_read_for(e->ctx, e->db, "table", "rows", m, true, more, n, &e->rows, err);
    mem_free(more);
    if (!ok)
        return false;
    if (e->rows.n_rows == 0)
        return nx_fail(err, NX_E_DATA, "table: there are no rows with a value of '%s'", m->target);
    e->target = mem_alloc_array(e->rows.n_rows, sizeof *e->target);
    return ml_target_values(m, common_column(&e->rows, m->target), e->target, err);
}

/* ---- What it is compared with ---- */

static bool measure_previous(struct evaluation *e, struct nx_err *err)
{
    struct model *p = e->previous;
    struct model_output output;
    if (p->task != e->model->task || strcmp(p->target, e->model->target) != 0)
        return nx_fail(
            err, NX_E_INVALID, "`previous` is a %s model of '%s', `model` a %s model of '%s'",
            model_task_name(p->task), p->target, model_task_name(e->model->task), e->model->target);
    double *target = mem_alloc_array(e->rows.n_rows, sizeof *target);
    bool ok = ml_target_values(p, common_column(&e->rows, p->target), target, err) &&
              model_predict(p, e->rows.columns, e->rows.n_columns, e->rows.n_rows, &output, err);
    if (ok) {
        e->baseline = ml_measure(p, &output, target);
        model_output_fini(&output);
    } else {
        nx_wrap(err, "previous");
    }
    mem_free(target);
    return ok;
}

static bool measure_baseline(struct evaluation *e, struct nx_err *err)
{
    const char *kind = nx_arg_text(e->ctx, "baseline");
    struct model_output output;
    if (e->previous)
        return measure_previous(e, err);
    if (strcmp(kind, "none") == 0)
        return true;
    if (strcmp(kind, "auto") == 0)
        kind = e->model->task == MODEL_REGRESSION ? "mean" : "prior";
    if (!ml_baseline_predict(e->model, kind, e->rows.n_rows, &output, err))
        return false;
    e->baseline = ml_measure(e->model, &output, e->target);
    model_output_fini(&output);
    return true;
}

/* Whether the model wins by the metric that decides; undefined (false, *known = false) when either
 * side has none. */
static bool is_better(const struct evaluation *e, const char *metric, bool *known)
{
    const json_t *ours = json_object_get(e->metrics, metric);
    const json_t *theirs = json_object_get(e->baseline, metric);
    bool exists, grows = ml_metric_grows(metric, &exists);
    *known = exists && json_is_real(ours) && json_is_real(theirs);
    if (!*known)
        return false;
    return grows ? json_real_value(ours) > json_real_value(theirs)
                 : json_real_value(ours) < json_real_value(theirs);
}

static bool compare(struct evaluation *e, struct nx_err *err)
{
    const char *metric = nx_arg_text(e->ctx, "metric");
    bool known;
    if (!metric)
        metric = ml_metric_of_task(e->model->task);
    if (!e->baseline)
        return true;
    bool better = is_better(e, metric, &known);
    if (known)
        nx_log(e->ctx, "%s = %.6f, baseline %.6f: %s", metric,
               json_real_value(json_object_get(e->metrics, metric)),
               json_real_value(json_object_get(e->baseline, metric)),
               better ? "better" : "not better");
    return common_output(e->ctx, "baseline", e->baseline, err) &&
           (!known || nx_output_bool(e->ctx, "better_than_baseline", better, err));
}

/* ---- Metrics that are named ---- */

/* One mistake more: that metric is none of the model's. */
static void no_metric(const struct evaluation *e, const char *param, const char *name,
                      struct buf *wrong)
{
    VEC(const char *) names = {0};
    const char *known;
    json_t *value;
    json_object_foreach(e->metrics, known, value) vec_push(&names, known);
    const char *nearest = str_nearest(name, names.at, names.n);
    buf_printf(wrong, "%s`%s` names '%s', which is no metric of a %s model", wrong->len ? "; " : "",
               param, name, model_task_name(e->model->task));
    if (nearest)
        buf_printf(wrong, "; did you mean '%s'?", nearest);
    for (size_t i = 0; !nearest && i < names.n; i++)
        buf_printf(wrong, "%s %s", i ? "," : ", which has", names.at[i]);
    vec_fini(&names);
}

static void name_gates(const struct evaluation *e, const char *param, struct buf *wrong)
{
    json_t *gates = json_loads(nx_arg_json(e->ctx, param), JSON_DECODE_ANY, NULL);
    const char *name;
    json_t *bound;
    json_object_foreach(gates, name, bound)
    {
        if (!json_object_get(e->metrics, name)) {
            no_metric(e, param, name, wrong);
        } else if (!json_is_number(bound)) {
            char *text = js_text(bound);
            buf_printf(wrong, "%s`%s`: %s must be a number, not %s %s", wrong->len ? "; " : "",
                       param, name, js_type_name(bound), text);
            mem_free(text);
        }
    }
    json_decref(gates);
}

/* Before anything is put out: what is asked for must be something that can be had. */
static bool check_names(const struct evaluation *e, struct nx_err *err)
{
    const char *metric = nx_arg_text(e->ctx, "metric");
    struct buf wrong;
    buf_init(&wrong);
    if (metric && !json_object_get(e->metrics, metric))
        no_metric(e, "metric", metric, &wrong);
    name_gates(e, "min", &wrong);
    name_gates(e, "max", &wrong);
    bool ok = wrong.len == 0 || nx_fail(err, NX_E_INVALID, "%s", buf_text(&wrong));
    buf_fini(&wrong);
    return ok;
}

/* ---- Gates ---- */

static void check_gates(const struct evaluation *e, const char *param, bool at_least,
                        struct buf *wrong)
{
    json_t *gates = json_loads(nx_arg_json(e->ctx, param), JSON_DECODE_ANY, NULL);
    const char *name;
    json_t *bound;
    json_object_foreach(gates, name, bound)
    {
        const json_t *value = json_object_get(e->metrics, name);
        const char *comma = wrong->len > 0 ? "; " : "";
        double limit = json_number_value(bound), is = json_number_value(value);
        if (!json_is_number(value))
            buf_printf(wrong, "%s%s is not defined on these rows", comma, name);
        else if (at_least ? is < limit : is > limit)
            buf_printf(wrong, "%s%s is %.6g, %s %.6g is asked for", comma, name, is,
                       at_least ? "at least" : "at most", limit);
    }
    json_decref(gates);
}

static bool pass_gates(const struct evaluation *e, struct nx_err *err)
{
    struct buf wrong;
    buf_init(&wrong);
    check_gates(e, "min", true, &wrong);
    check_gates(e, "max", false, &wrong);
    bool ok = wrong.len == 0 ||
              nx_fail(err, NX_E_DATA, "the model is not good enough: %s", buf_text(&wrong));
    buf_fini(&wrong);
    return ok;
}

/* ---- All of it ---- */

static bool put_outputs(struct evaluation *e, struct nx_err *err)
{
    const char *name;
    json_t *value, *confusion = ml_confusion(e->model, &e->predictions, e->target);
    json_object_foreach(e->metrics, name, value)
    {
        if (json_is_real(value))
            nx_metric(e->ctx, name, json_real_value(value), -1);
    }
    bool ok = common_output_metrics(e->ctx, e->metrics, err) &&
              common_output(e->ctx, "metrics", e->metrics, err) &&
              (json_array_size(json_object_get(confusion, "classes")) > 50 ||
               common_output(e->ctx, "confusion", confusion, err)) &&
              nx_output_int(e->ctx, "rows", (int64_t)e->rows.n_rows, err) &&
              nx_output_text(e->ctx, "task", model_task_name(e->model->task), err);
    json_decref(confusion);
    return ok;
}

static bool evaluate(struct evaluation *e, struct nx_err *err)
{
    if (!common_model(e->ctx, "model", &e->model, err))
        return false;
    if (nx_arg_given(e->ctx, "previous") && !common_model(e->ctx, "previous", &e->previous, err))
        return false;
    if (nx_arg_given(e->ctx, "threshold")) {
        if (e->model->task != MODEL_BINARY)
            return nx_fail(err, NX_E_INVALID, "`threshold` is for two classes");
        e->model->threshold = nx_arg_float(e->ctx, "threshold");
    }
    if (!tables_open(e->ctx, &e->db, err) || !read_rows(e, err) ||
        !model_predict(e->model, e->rows.columns, e->rows.n_columns, e->rows.n_rows,
                       &e->predictions, err))
        return false;
    e->metrics = ml_measure(e->model, &e->predictions, e->target);
    return check_names(e, err) && measure_baseline(e, err) && put_outputs(e, err) &&
           compare(e, err) && pass_gates(e, err);
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct evaluation e = {.ctx = ctx};
    bool ok = evaluate(&e, err);
    json_decref(e.metrics);
    json_decref(e.baseline);
    model_output_fini(&e.predictions);
    mem_free(e.target);
    common_rows_fini(&e.rows);
    tables_close(ctx, e.db);
    model_free(e.previous);
    model_free(e.model);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
#define METRICS \
    "roc_auc|average_precision|log_loss|brier|accuracy|precision|recall|f1|precision_weighted|recall_weighted|f1_weighted|mcc|" \
    "rmse|mae|r2|mape|median_ae"

#define BOUND(metric) {.name = metric, .type = NX_T_FLOAT, .help = "What it must reach, or must not exceed."}

static const struct nx_param bounds[] = {
    BOUND("roc_auc"), BOUND("average_precision"), BOUND("log_loss"), BOUND("brier"), BOUND("accuracy"), BOUND("precision"),
    BOUND("recall"), BOUND("f1"), BOUND("precision_weighted"), BOUND("recall_weighted"), BOUND("f1_weighted"), BOUND("mcc"),
    BOUND("rmse"), BOUND("mae"), BOUND("r2"), BOUND("mape"), BOUND("median_ae"),
    {.name = "rows", .type = NX_T_INT, .help = "The number of rows measured on."},
    {0}};

static const struct nx_members gates[] = {{NULL, bounds}, {0}};

static const struct nx_param params[] = {
    {.name = "model", .type = NX_T_MODEL, .flags = NX_P_REQUIRED, .help = "The model."},
    {.name = "table", .type = NX_T_TABLE, .flags = NX_P_REQUIRED,
     .help = "Rows with the target, which the model has not seen. Rows without a target are left out."},
    {.name = "baseline", .type = NX_T_ENUM, .fallback = "\"auto\"", .choices = "auto|prior|majority|mean|none",
     .help = "What to compare with, known from the training rows: each class's share, the commonest class, the mean. Auto: prior, for regression mean."},
    {.name = "previous", .type = NX_T_MODEL, .help = "A model to compare with, in place of `baseline`."},
    {.name = "metric", .type = NX_T_ENUM, .choices = METRICS,
     .help = "The metric that decides better_than_baseline; default roc_auc, for several classes log_loss, for regression rmse."},
    {.name = "threshold", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .min = 0, .max = 1,
     .help = "Two classes: from which probability on the positive one is predicted; default: the model's."},
    {.name = "min", .type = NX_T_OBJECT, .fallback = "{}", .members = gates, .help = "Metrics and what they must reach, as {roc_auc: 0.6}; else the task fails."},
    {.name = "max", .type = NX_T_OBJECT, .fallback = "{}", .members = gates, .help = "Metrics and what they must not exceed, as {rmse: 10}; else the task fails."},
    {0}};

static const struct nx_port outputs[] = {
    COMMON_METRIC_PORTS,
    {"metrics", NX_T_OBJECT, "All of them, and the number of rows; null where one is not defined on these rows."},
    {"baseline", NX_T_OBJECT, "The same of what it is compared with."},
    {"better_than_baseline", NX_T_BOOL, "Whether the model wins by `metric`."},
    {"confusion", NX_T_OBJECT, "{classes, counts}: rows by true class (down) and predicted class (across); up to 50 classes."},
    {"task", NX_T_STRING, "binary, multiclass or regression."},
    {"rows", NX_T_INT, "Rows measured on."},
    {0}};

const struct nx_operator ml_evaluate = {
    .name = "ml.evaluate",
    .version = 1,
    .summary = "Measures a model on a table and compares it with a baseline.",
    .doc =
        "Metrics are computed in double over all rows, unweighted, with the definitions of scikit-learn. "
        "With `min` or `max` the task fails when the model is not good enough; its outputs are there all the same.",
    .params = params,
    .outputs = outputs,
    .example =
        "evaluate:\n"
        "  uses: ml.evaluate\n"
        "  needs: [train, split]\n"
        "  with:\n"
        "    model: ${{ outputs.train.model }}\n"
        "    table: ${{ outputs.split.test }}\n"
        "    min: {roc_auc: 0.6}\n",
    .flags = NX_OP_PURE,
    .run = run,
};
/* clang-format on */
