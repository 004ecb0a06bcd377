#include "lib/ml/measure.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/stat/stat.h"

static const struct {
    const char *name;
    bool grows;
} metrics[] = {{"roc_auc", true},
               {"average_precision", true},
               {"log_loss", false},
               {"brier", false},
               {"accuracy", true},
               {"precision", true},
               {"recall", true},
               {"f1", true},
               {"precision_weighted", true},
               {"recall_weighted", true},
               {"f1_weighted", true},
               {"mcc", true},
               {"rmse", false},
               {"mae", false},
               {"r2", true},
               {"mape", false},
               {"median_ae", false}};

bool ml_metric_grows(const char *name, bool *known)
{
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        if (strcmp(metrics[i].name, name) == 0) {
            *known = true;
            return metrics[i].grows;
        }
    }
    *known = false;
    return false;
}

const char *ml_metric_of_task(enum model_task task)
{
    static const char *const names[] = {"roc_auc", "log_loss", "rmse"};
    must(task < MODEL_TASKS);
    return names[task];
}

/* By address: the metric is computed in the same call. */
static void set(json_t *o, const char *name, bool defined, const double *v)
{
    json_object_set_new(o, name, defined && isfinite(*v) ? json_real(*v) : json_null());
}

static void set_prf(json_t *o, struct stat_prf m, const char *suffix)
{
    static const char *const names[] = {"precision", "recall", "f1"};
    const double values[] = {m.precision, m.recall, m.f1};
    for (size_t i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof name, "%s%s", names[i], suffix);
        set(o, name, true, &values[i]);
    }
}

/* True classes as indices; the caller frees. */
static uint32_t *true_classes(const struct model *model, const double *target, size_t n)
{
    uint32_t *truth = mem_alloc_array(n + 1, sizeof *truth);
    for (size_t i = 0; i < n; i++) {
        size_t k = (size_t)target[i];
        if (model->task == MODEL_BINARY)
            k = k ? model->positive : 1 - model->positive;
        truth[i] = (uint32_t)k;
    }
    return truth;
}

static uint64_t *confusion_of(const struct model *model, const struct model_output *p,
                              const double *target)
{
    uint32_t *truth = true_classes(model, target, p->n_rows);
    uint64_t *count = mem_alloc_array(model->n_classes * model->n_classes, sizeof *count);
    stat_confusion(truth, p->labels, p->n_rows, model->n_classes, count);
    mem_free(truth);
    return count;
}

static void measure_binary(const struct model *model, const struct model_output *p,
                           const double *target, json_t *o)
{
    size_t n = p->n_rows;
    uint8_t *positive = mem_alloc_array(n + 1, sizeof *positive);
    double *score = mem_alloc_array(n + 1, sizeof *score), v = 0;
    for (size_t i = 0; i < n; i++) {
        positive[i] = target[i] != 0;
        score[i] = p->values[2 * i + model->positive];
    }
    set(o, "roc_auc", stat_roc_auc(positive, score, n, &v), &v);
    set(o, "average_precision", stat_average_precision(positive, score, n, &v), &v);
    set(o, "log_loss", stat_log_loss(positive, score, n, &v), &v);
    set(o, "brier", stat_brier(positive, score, n, &v), &v);
    mem_free(score);
    mem_free(positive);
}

static void measure_classes(const struct model *model, const struct model_output *p,
                            const double *target, json_t *o)
{
    double v = 0;
    uint32_t *truth = true_classes(model, target, p->n_rows);
    bool defined = stat_roc_auc_macro(truth, p->values, p->n_rows, model->n_classes, &v);
    set(o, "roc_auc", defined, &v);
    defined = stat_log_loss_classes(truth, p->values, p->n_rows, model->n_classes, &v);
    set(o, "log_loss", defined, &v);
    mem_free(truth);
}

static void measure_numbers(const struct model_output *p, const double *target, json_t *o)
{
    size_t n = p->n_rows;
    double v = 0;
    set(o, "rmse", stat_rmse(target, p->values, n, &v), &v);
    set(o, "mae", stat_mae(target, p->values, n, &v), &v);
    set(o, "r2", stat_r2(target, p->values, n, &v), &v);
    set(o, "mape", stat_mape(target, p->values, n, &v), &v);
    set(o, "median_ae", stat_median_ae(target, p->values, n, &v), &v);
}

json_t *ml_measure(const struct model *model, const struct model_output *p, const double *target)
{
    json_t *o = json_pack("{s:I}", "rows", (json_int_t)p->n_rows);
    if (model->task == MODEL_REGRESSION) {
        measure_numbers(p, target, o);
        return o;
    }
    if (model->task == MODEL_BINARY)
        measure_binary(model, p, target, o);
    else
        measure_classes(model, p, target, o);
    uint64_t *count = confusion_of(model, p, target);
    double v = 0;
    set(o, "accuracy", stat_accuracy(count, model->n_classes, &v), &v);
    if (model->task == MODEL_BINARY) {
        set_prf(o, stat_prf_class(count, 2, model->positive), "");
    } else {
        set_prf(o, stat_prf_macro(count, model->n_classes), "");
        set_prf(o, stat_prf_weighted(count, model->n_classes), "_weighted");
    }
    v = stat_mcc(count, model->n_classes);
    set(o, "mcc", p->n_rows > 0, &v);
    mem_free(count);
    return o;
}

json_t *ml_confusion(const struct model *model, const struct model_output *p, const double *target)
{
    if (model->task == MODEL_REGRESSION)
        return json_null();
    uint64_t *count = confusion_of(model, p, target);
    json_t *classes = json_array(), *rows = json_array();
    for (size_t t = 0; t < model->n_classes; t++) {
        json_t *row = json_array();
        for (size_t k = 0; k < model->n_classes; k++)
            json_array_append_new(row, json_integer((json_int_t)count[t * model->n_classes + k]));
        json_array_append_new(rows, row);
        json_array_append_new(classes, json_string(model->classes[t]));
    }
    mem_free(count);
    return json_pack("{s:o, s:o}", "classes", classes, "counts", rows);
}

json_t *ml_baseline(const struct model *model, const struct ml_rows *rows)
{
    must(rows->n_rows > 0);
    if (model->task == MODEL_REGRESSION)
        return json_pack("{s:s, s:f}", "kind", "mean", "value",
                         stat_mean(rows->target, rows->n_rows));
    uint32_t *truth = true_classes(model, rows->target, rows->n_rows);
    double *count = mem_alloc_array(model->n_classes, sizeof *count);
    json_t *shares = json_object();
    for (size_t i = 0; i < rows->n_rows; i++)
        count[truth[i]]++;
    for (size_t k = 0; k < model->n_classes; k++)
        json_object_set_new(shares, model->classes[k], json_real(count[k] / (double)rows->n_rows));
    mem_free(count);
    mem_free(truth);
    return json_pack("{s:s, s:o}", "kind", "prior", "classes", shares);
}

/* One row of a baseline's values. */
static bool baseline_row(const struct model *model, const char *kind, const json_t *baseline,
                         double *row, struct nx_err *err)
{
    size_t best = 0;
    bool mean = strcmp(kind, "mean") == 0;
    if (!baseline || mean != (model->task == MODEL_REGRESSION))
        return nx_fail(err, NX_E_INVALID, "baseline %s does not fit a %s model", kind,
                       model_task_name(model->task));
    if (mean) {
        row[0] = json_number_value(json_object_get(baseline, "value"));
        return true;
    }
    const json_t *shares = json_object_get(baseline, "classes");
    for (size_t k = 0; k < model->n_classes; k++) {
        row[k] = json_number_value(json_object_get(shares, model->classes[k]));
        best = row[k] > row[best] ? k : best;
    }
    for (size_t k = 0; strcmp(kind, "majority") == 0 && k < model->n_classes; k++)
        row[k] = k == best;
    return true;
}

bool ml_baseline_predict(const struct model *model, const char *kind, size_t n_rows,
                         struct model_output *output, struct nx_err *err)
{
    size_t width = model_n_values(model);
    struct model_output out = {.n_rows = n_rows, .n_values = width};
    json_t *baseline = model->baseline ? json_loads(model->baseline, 0, NULL) : NULL;
    double *row = mem_alloc_array(width, sizeof *row);
    bool ok = baseline_row(model, kind, baseline, row, err);
    if (ok) {
        out.values = mem_alloc_array(n_rows * width + 1, sizeof *out.values);
        if (model->task != MODEL_REGRESSION)
            out.labels = mem_alloc_array(n_rows + 1, sizeof *out.labels);
        for (size_t i = 0; i < n_rows; i++) {
            memcpy(out.values + i * width, row, width * sizeof *row);
            if (out.labels)
                out.labels[i] = model_label(model, row);
        }
        *output = out;
    }
    mem_free(row);
    json_decref(baseline);
    return ok;
}
