/* ml.train: a table in, a model out. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/ml/fit.h"
#include "lib/ml/measure.h"
#include "lib/ml/params.h"
#include "tasks/data/tables.h"
#include "tasks/ml/common.h"
#include "tasks/ml/golden.h"

/* Rows of one table, as the trainer takes them. */
struct set {
    struct common_rows rows; /* without columns once the features are made */
    struct table_hash hash;
    int64_t n_rows_of_table;
    struct model_binding binding;
    struct column *features; /* borrowed from rows: those that are neither target nor weight */
    size_t n_features;
    float *as_float;
    double *as_double, *target, *weight;
    struct model_output predictions;
    json_t *metrics;
};

struct train {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct arena arena;
    struct ml_params params;
    struct model *model;
    struct set training, validation;
    struct buf ubj;               /* gradient boosting: XGBoost's own form */
    json_t *warnings, *reference; /* of the inputs, for reference.json */
    int64_t rounds;
    struct ml_library library;
};

/* ---- What the trainers say ---- */

static void on_warning(void *arg, const char *text)
{
    struct train *t = arg;
    nx_log(t->ctx, "warning: %s", text);
    json_array_append_new(t->warnings, json_string(text));
}

static void on_round(void *arg, int64_t round, int64_t n_rounds)
{
    struct train *t = arg;
    nx_progress(t->ctx, (double)(round + 1) / (double)n_rounds, "round %lld of %lld",
                (long long)round + 1, (long long)n_rounds);
}

static void on_metric(void *arg, const char *name, double v, int64_t round)
{
    struct train *t = arg;
    nx_metric(t->ctx, name, v, round);
    if (round % 10 == 0)
        nx_log(t->ctx, "round %lld: %s = %.6g", (long long)round + 1, name, v);
}

static bool is_cancelled(void *arg)
{
    return nx_cancelled(((struct train *)arg)->ctx);
}

static struct ml_report report_of(struct train *t)
{
    return (struct ml_report){t, on_warning, on_round, on_metric, is_cancelled};
}

/* ---- Which columns ---- */

static bool in_list(struct nx_ctx *ctx, const char *param, const char *name)
{
    for (size_t i = 0; i < nx_arg_count(ctx, param); i++) {
        if (strcmp(nx_arg_item(ctx, param, i), name) == 0)
            return true;
    }
    return false;
}

/* Names that `param` lists must be columns. */
static bool check_names(struct train *t, const struct table_info *info, const char *param,
                        struct nx_err *err)
{
    for (size_t i = 0; i < nx_arg_count(t->ctx, param); i++) {
        const char *name = nx_arg_item(t->ctx, param, i);
        if (table_info_column(info, name))
            continue;
        const char **names = arena_array(&t->arena, info->n_columns + 1, sizeof *names);
        for (size_t c = 0; c < info->n_columns; c++)
            names[c] = info->columns[c].name;
        const char *nearest = str_nearest(name, names, info->n_columns);
        return nx_fail(err, NX_E_INVALID, "%s: the table has no column '%s'%s%s%s", param, name,
                       nearest ? "; did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
    }
    return true;
}

/* Features first, then target, then weight. */
static bool choose_columns(struct train *t, const struct table_info *info, const char ***names,
                           size_t *n_features, size_t *n, struct nx_err *err)
{
    const char *target = nx_arg_text(t->ctx, "target"), *weight = nx_arg_text(t->ctx, "weight");
    bool all = nx_arg_count(t->ctx, "features") == 0;
    if (!check_names(t, info, "features", err) || !check_names(t, info, "exclude", err))
        return false;
    *names = arena_array(&t->arena, info->n_columns + 2, sizeof **names);
    *n = 0;
    for (size_t c = 0; c < info->n_columns; c++) {
        const char *name = info->columns[c].name;
        if (strcmp(name, target) == 0 || (weight && strcmp(name, weight) == 0) ||
            in_list(t->ctx, "exclude", name) || (!all && !in_list(t->ctx, "features", name)))
            continue;
        if (info->columns[c].type == TABLE_DOUBLES && all) {
            on_warning(t, arena_printf(&t->arena, "column '%s' is a list and is left out", name));
            continue;
        }
        (*names)[(*n)++] = name;
    }
    *n_features = *n;
    (*names)[(*n)++] = target;
    if (weight)
        (*names)[(*n)++] = weight;
    return true;
}

/* ---- Reading ---- */

static bool read_weight(const struct common_rows *rows, const char *name, double **weight,
                        struct nx_err *err)
{
    const struct column *c = common_column(rows, name);
    double *w = mem_alloc_array(rows->n_rows + 1, sizeof *w), sum = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        w[i] = model_number(c, i);
        sum += w[i];
        if (!(w[i] >= 0) || isinf(w[i])) {
            mem_free(w);
            return nx_fail(err, NX_E_DATA,
                           "row %zu: the weight in '%s' is missing, negative or no finite number",
                           i + 1, name);
        }
    }
    *weight = w;
    return sum > 0 || nx_fail(err, NX_E_DATA, "all weights in '%s' are 0", name);
}

static bool read_training(struct train *t, struct nx_err *err)
{
    struct set *s = &t->training;
    const struct table_info *info;
    const char **names, *weight = nx_arg_text(t->ctx, "weight");
    size_t n = 0;
    /* The table is added twice, as a view costs nothing: first to know its columns. */
    if (!common_table(t->ctx, t->db, "table", "described", &info, err) ||
        !choose_columns(t, info, &names, &s->n_features, &n, err) ||
        !common_read(t->ctx, t->db, "table", "training", names, n, nx_arg_text(t->ctx, "target"),
                     &s->rows, err))
        return false;
    s->features = s->rows.columns;
    return !weight || read_weight(&s->rows, weight, &s->weight, err);
}

static bool read_validation(struct train *t, struct nx_err *err)
{
    struct set *s = &t->validation;
    const char *weight = nx_arg_text(t->ctx, "weight");
    if (!nx_arg_given(t->ctx, "validation"))
        return true;
    if (!common_read_for(t->ctx, t->db, "validation", "validation", t->model, true, &weight,
                         weight ? 1 : 0, &s->rows, err))
        return false;
    if (s->rows.n_rows == 0)
        return nx_fail(err, NX_E_DATA, "validation: there are no rows with a value of '%s'",
                       t->model->target);
    s->features = s->rows.columns;
    s->n_features = s->rows.n_columns;
    return true;
}

/* XGBoost's numbers are float32. */
static bool floats_hold(const struct train *t, const struct set *s, struct nx_err *err)
{
    const struct model *m = t->model;
    size_t n = s->rows.n_rows;
    const char *what = NULL;
    size_t row = 0;
    for (size_t i = 0; !what && i < n * m->n_features; i++) {
        if (isinf(s->as_float[i])) {
            what = m->features[i % m->n_features].name;
            row = i / m->n_features + 1;
        }
    }
    for (size_t i = 0; !what && i < n; i++) {
        row = i + 1;
        if (fabs(s->target[i]) > FLT_MAX)
            what = m->target;
        else if (s->weight && s->weight[i] > FLT_MAX)
            what = nx_arg_text(t->ctx, "weight");
    }
    return !what || nx_fail(err, NX_E_DATA,
                            "row %zu: column '%s' is beyond 3.4e38, the largest number of "
                            "gradient_boosting: divide the column, make it missing, or exclude it",
                            row, what);
}

/* Target and features of a set, once the model's transform is fitted. */
static bool prepare(struct train *t, struct set *s, struct nx_err *err)
{
    struct model *m = t->model;
    size_t n = s->rows.n_rows, cells = n * m->n_features;
    if (n == 0)
        return true;
    s->target = mem_alloc_array(n, sizeof *s->target);
    if (!ml_target_values(m, common_column(&s->rows, m->target), s->target, err) ||
        !model_check(m, s->features, s->n_features, &s->binding, err))
        return false;
    if (m->family == MODEL_TREES) {
        s->as_float = mem_try_alloc((cells + 1) * sizeof *s->as_float);
        if (!s->as_float)
            return nx_fail(err, NX_E_MEMORY, "no memory for %zu x %zu numbers", n, m->n_features);
        return model_transform_float(m, &s->binding, 0, n, s->as_float, err) &&
               floats_hold(t, s, err);
    }
    s->as_double = mem_try_alloc((cells + 1) * sizeof *s->as_double);
    return s->as_double
               ? model_transform(m, &s->binding, 0, n, s->as_double, err)
               : nx_fail(err, NX_E_MEMORY, "no memory for %zu x %zu numbers", n, m->n_features);
}

/* The columns are not needed any more; what is still wanted of them is taken out before. */
static void forget_columns(struct train *t, struct set *s)
{
    size_t golden[MODEL_GOLDEN_ROWS], n = s->rows.n_rows;
    size_t n_golden = n < MODEL_GOLDEN_ROWS ? n : MODEL_GOLDEN_ROWS;
    if (s == &t->training) {
        for (size_t i = 0; i < n_golden; i++)
            golden[i] = i * n / n_golden;
        model_pick_golden(t->model, &s->binding, golden, n_golden);
        t->reference = ml_reference_inputs(t->model, &s->binding);
    }
    if (s->rows.info) {
        s->hash = s->rows.info->rows_hash;
        s->n_rows_of_table = s->rows.info->n_rows;
    }
    model_binding_fini(t->model, &s->binding);
    common_rows_fini(&s->rows);
    s->rows.info = NULL;
}

static void set_fini(const struct model *model, struct set *s)
{
    if (model)
        model_binding_fini(model, &s->binding);
    common_rows_fini(&s->rows);
    model_output_fini(&s->predictions);
    mem_free(s->as_float);
    mem_free(s->as_double);
    mem_free(s->target);
    mem_free(s->weight);
    json_decref(s->metrics);
}

/* ---- Fitting ---- */

/* The index of an enum's value in "a|b|c". */
static int choice(struct nx_ctx *ctx, const char *param, const char *const *names, int n)
{
    const char *value = nx_arg_text(ctx, param);
    for (int i = 0; value && i < n; i++) {
        if (strcmp(names[i], value) == 0)
            return i;
    }
    return 0;
}

/* A class may be written as text, number or bool. */
static const char *positive_of(struct train *t)
{
    json_t *value = json_loads(nx_arg_json(t->ctx, "positive"), JSON_DECODE_ANY, NULL);
    const char *text = NULL;
    if (json_is_string(value)) {
        text = arena_strdup(&t->arena, json_string_value(value));
    } else if (value && !json_is_null(value)) {
        char *s = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
        text = arena_strdup(&t->arena, s);
        free(s);
    }
    json_decref(value);
    return text;
}

static bool fit(struct train *t, struct nx_err *err)
{
    static const char *const tasks[] = {"auto", "binary", "multiclass", "regression"};
    static const char *const missing[] = {"auto", "error", "mean", "median", "zero"};
    static const char *const unknown[] = {"as_missing", "error", "most_frequent"};
    const struct ml_algorithm *a = t->params.algorithm;
    struct ml_report report = report_of(t);
    struct ml_fit how = {.family = a->kind == ML_BOOST ? MODEL_TREES : MODEL_LINEAR,
                         .standardize =
                             a->kind != ML_BOOST && ml_param(&t->params, "standardize") != 0,
                         .missing = (enum ml_missing)choice(t->ctx, "missing", missing, 5),
                         .unknown = (enum model_unknown)choice(t->ctx, "unknown", unknown, 3),
                         .max_categories = (size_t)nx_arg_int(t->ctx, "max_categories")};
    enum ml_task_wish wish = (enum ml_task_wish)choice(t->ctx, "task", tasks, 4);
    const struct column *target = common_column(&t->training.rows, nx_arg_text(t->ctx, "target"));
    if (!ml_fit_target(t->model, target, wish, positive_of(t), a, err) ||
        !ml_fit_inputs(t->model, t->training.features, t->training.n_features, &how, &report, err))
        return false;
    if (t->model->task == MODEL_BINARY && nx_arg_given(t->ctx, "threshold"))
        t->model->threshold = nx_arg_float(t->ctx, "threshold");
    t->model->algorithm = a->name;
    t->model->seed = (uint64_t)nx_arg_int(t->ctx, "seed");
    nx_log(t->ctx, "%s, %s: %zu rows, %zu inputs, %zu features", a->name,
           model_task_name(t->model->task), t->training.rows.n_rows, t->model->n_inputs,
           t->model->n_features);
    return true;
}

static struct ml_rows rows_of(const struct model *m, const struct set *s)
{
    return (struct ml_rows){s->rows.n_rows, m->n_features, s->as_float,
                            s->as_double,   s->target,     s->weight};
}

static bool boost(struct train *t, const struct ml_problem *problem, struct nx_err *err)
{
    struct ml_boosted boosted;
    struct ml_report report = report_of(t);
    struct model *m = t->model;
    if (!ml_boost(problem, &t->params, &report, &m->arena, &boosted, err))
        return false;
    m->trees = boosted.trees;
    t->library.name = "xgboost";
    t->ubj = boosted.ubj;
    t->rounds = boosted.rounds;
    str_copy(t->library.version, sizeof t->library.version, boosted.library_version);
    if (boosted.best_round >= 0)
        nx_log(t->ctx, "the best round was %lld; %lld are kept", (long long)boosted.best_round + 1,
               (long long)boosted.rounds);
    json_t *gain = json_object();
    for (size_t j = 0; j < m->n_features; j++)
        json_object_set_new(gain, m->features[j].name, json_real(boosted.gain[j]));
    char *text = json_dumps(gain, JSON_COMPACT | JSON_REAL_PRECISION(17));
    m->importance = arena_strdup(&m->arena, text);
    free(text);
    json_decref(gain);
    return true;
}

/* A linear model's importance: |coefficient| x deviation of the feature, as shares. */
static void weigh_features(struct train *t)
{
    struct model *m = t->model;
    size_t n = t->training.rows.n_rows, p = m->n_features;
    double *share = mem_alloc_array(p + 1, sizeof *share), total = 0;
    for (size_t j = 0; j < p; j++) {
        double sum = 0, squares = 0, weight = 0;
        for (size_t i = 0; i < n; i++)
            sum += t->training.as_double[i * p + j];
        for (size_t i = 0; i < n; i++) {
            double d = t->training.as_double[i * p + j] - sum / (double)n;
            squares += d * d;
        }
        for (size_t k = 0; k < m->linear.n_outputs; k++)
            weight += fabs(m->linear.coefficients[k * p + j]);
        total += share[j] = weight * sqrt(squares / (double)n);
    }
    json_t *o = json_object();
    for (size_t j = 0; j < p; j++)
        json_object_set_new(o, m->features[j].name, json_real(total > 0 ? share[j] / total : 0));
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    m->importance = arena_strdup(&m->arena, text);
    free(text);
    json_decref(o);
    mem_free(share);
}

static bool learn(struct train *t, struct nx_err *err)
{
    struct model *m = t->model;
    struct ml_report report = report_of(t);
    struct ml_problem problem = {.task = m->task,
                                 .n_classes = m->n_classes,
                                 .features = m->features,
                                 .rows = rows_of(m, &t->training),
                                 .validation = rows_of(m, &t->validation),
                                 .threads = nx_cpus(t->ctx),
                                 .seed = m->seed};
    bool ok;
    if (t->params.algorithm->kind == ML_BOOST) {
        ok = boost(t, &problem, err);
    } else {
        bool logistic = t->params.algorithm->kind == ML_LOGISTIC;
        ok = (logistic ? ml_logistic : ml_least_squares)(&problem, &t->params, &report, &m->arena,
                                                         &m->linear, &t->library, err);
        if (ok)
            weigh_features(t);
    }
    m->library = t->library.name;
    m->library_version = t->library.version;
    return ok;
}

/* ---- Afterwards ---- */

static void predict_set(struct train *t, struct set *s)
{
    if (s->rows.n_rows == 0)
        return;
    model_predict_features(t->model, s->as_double, s->as_float, s->rows.n_rows, &s->predictions);
    s->metrics = ml_measure(t->model, &s->predictions, s->target);
}

static json_t *table_reference(const struct set *s, const char *meta)
{
    char hash[TABLE_HASH_TEXT_MAX];
    json_t *reference = meta ? json_loads(meta, JSON_DECODE_ANY, NULL) : NULL;
    json_t *o = json_object();
    json_t *address = json_object_get(reference, "artifact");
    json_object_set(o, "artifact", address ? address : json_null());
    json_object_set_new(o, "rows_hash", json_string(table_hash_format(hash, s->hash)));
    json_object_set_new(o, "rows", json_integer(s->n_rows_of_table));
    json_decref(reference);
    return o;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static const char *keep_json(struct model *m, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    const char *kept = arena_strdup(&m->arena, text);
    free(text);
    json_decref(value);
    return kept;
}

/* What the manifest says of where the model comes from and how good it is. */
static bool describe(struct train *t, struct nx_err *err)
{
    struct model *m = t->model;
    const char *meta = NULL;
    struct buf params;
    if (!nx_artifact_path(t->ctx, "table", &meta, err))
        return false;
    json_t *trained = json_pack(
        "{s:o, s:o, s:o, s:o, s:o}", "run", text_or_null(nx_info(t->ctx, "run_id")), "dag",
        text_or_null(nx_info(t->ctx, "dag_id")), "dag_version",
        text_or_null(nx_info(t->ctx, "dag_version")), "task",
        text_or_null(nx_info(t->ctx, "task_id")), "table", table_reference(&t->training, meta));
    if (t->validation.rows.n_rows > 0 && nx_artifact_path(t->ctx, "validation", &meta, err))
        json_object_set_new(trained, "validation", table_reference(&t->validation, meta));
    json_object_set_new(trained, "rows", json_integer((json_int_t)t->training.rows.n_rows));
    json_object_set_new(trained, "rows_without_target", json_integer(t->training.rows.n_dropped));
    if (t->rounds > 0)
        json_object_set_new(trained, "rounds_kept", json_integer(t->rounds));
    m->trained = keep_json(m, trained);
    json_t *metrics = json_pack("{s:O}", "training", t->training.metrics);
    if (t->validation.metrics)
        json_object_set(metrics, "validation", t->validation.metrics);
    m->metrics = keep_json(m, metrics);
    struct ml_rows rows = rows_of(m, &t->training);
    m->baseline = keep_json(m, ml_baseline(m, &rows));
    m->warnings = keep_json(m, json_incref(t->warnings));
    buf_init(&params);
    ml_params_write(&t->params, &params);
    m->params = arena_strdup(&m->arena, buf_text(&params));
    buf_fini(&params);
    return true;
}

static bool write_file(const char *folder, const char *name, const struct buf *text,
                       struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    return path_join(path, sizeof path, folder, name)
               ? path_write(path, buf_text(text), text->len, err)
               : nx_fail(err, NX_E_LIMIT, "%s: the path is too long", folder);
}

static bool write_folder(struct train *t, const char *folder, struct nx_err *err)
{
    struct model *m = t->model, *back = NULL;
    char golden[PATH_MAX_BYTES];
    struct buf reference;
    buf_init(&reference);
    ml_reference_write(m, json_incref(t->reference), &t->training.predictions, &reference);
    bool ok = path_make_folders(folder, err) && model_seal_golden(m, err) &&
              model_write(m, folder, err) && write_file(folder, "reference.json", &reference, err);
    if (ok && t->ubj.len > 0)
        ok = write_file(folder, "model.ubj", &t->ubj, err);
    if (ok && !path_join(golden, sizeof golden, folder, "golden.parquet"))
        ok = nx_fail(err, NX_E_LIMIT, "%s: the path is too long", folder);
    ok = ok && golden_write(t->ctx, m, golden, err);
    buf_fini(&reference);
    /* What cannot be opened again is not worth keeping. */
    ok = ok && model_open(folder, &back, err);
    model_free(back);
    return ok;
}

static json_t *feature_names(const struct model *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_inputs; i++)
        json_array_append_new(list, json_string(m->inputs[i].name));
    return list;
}

/* At most the 200 features that matter most, so that a model with many does not burst the outputs.
 */
static json_t *top_importance(const struct model *m)
{
    json_t *all = json_loads(m->importance, 0, NULL), *top = json_object();
    for (size_t round = 0; round < 200 && round < m->n_features; round++) {
        const char *best = NULL, *name;
        json_t *value;
        json_object_foreach(all, name, value)
        {
            if (!best || json_real_value(value) > json_real_value(json_object_get(all, best)))
                best = name;
        }
        if (!best)
            break;
        json_object_set(top, best, json_object_get(all, best));
        json_object_del(all, best);
    }
    json_decref(all);
    return top;
}

static bool put_outputs(struct train *t, const char *folder, struct nx_err *err)
{
    struct model *m = t->model;
    json_t *metrics = json_loads(m->metrics, 0, NULL), *features = feature_names(m);
    json_t *importance = top_importance(m);
    json_t *meta = json_pack("{s:s, s:s, s:s, s:I}", "algorithm", m->algorithm, "task",
                             model_task_name(m->task), "target", m->target, "features",
                             (json_int_t)m->n_features);
    char *text = json_dumps(meta, JSON_COMPACT);
    const json_t *own = t->validation.metrics ? t->validation.metrics : NULL;
    bool ok = nx_artifact_output(t->ctx, "model", folder, "model", text, err) &&
              common_output(t->ctx, "metrics", metrics, err) &&
              common_output(t->ctx, "features", features, err) &&
              common_output(t->ctx, "importance", importance, err) &&
              common_output(t->ctx, "warnings", t->warnings, err) &&
              nx_output_text(t->ctx, "task", model_task_name(m->task), err) &&
              nx_output_int(t->ctx, "rows", (int64_t)t->training.rows.n_rows, err) &&
              (t->rounds == 0 || nx_output_int(t->ctx, "rounds", t->rounds, err)) &&
              (!own || common_output_metrics(t->ctx, own, err));
    free(text);
    json_decref(meta);
    json_decref(importance);
    json_decref(features);
    json_decref(metrics);
    return ok;
}

static void say_metrics(struct train *t, const char *on, const json_t *metrics)
{
    const char *name = ml_metric_of_task(t->model->task);
    const json_t *value = json_object_get(metrics, name);
    if (json_is_real(value)) {
        char full[64];
        snprintf(full, sizeof full, "%s_%s", on, name);
        nx_log(t->ctx, "%s: %s = %.6f", on, name, json_real_value(value));
    }
}

static bool train(struct train *t, struct nx_err *err)
{
    const struct ml_algorithm *a = ml_algorithm_find(nx_arg_text(t->ctx, "algorithm"), err);
    if (!a || !ml_params_read(a, nx_arg_json(t->ctx, "params"), &t->params, err))
        return false;
    const char *weight = nx_arg_text(t->ctx, "weight");
    if (!tables_open(t->ctx, &t->db, err) || !read_training(t, err) || !fit(t, err) ||
        !read_validation(t, err))
        return false;
    if (weight && t->validation.rows.n_rows > 0 &&
        !read_weight(&t->validation.rows, weight, &t->validation.weight, err))
        return false;
    if (!prepare(t, &t->training, err))
        return false;
    if (!prepare(t, &t->validation, err))
        return nx_wrap(err, "validation");
    forget_columns(t, &t->training);
    forget_columns(t, &t->validation);
    tables_close(t->ctx, t->db);
    t->db = NULL;
    if (!learn(t, err))
        return false;
    nx_progress(t->ctx, -1, "measuring");
    predict_set(t, &t->training);
    predict_set(t, &t->validation);
    if (!describe(t, err))
        return false;
    say_metrics(t, "training", t->training.metrics);
    say_metrics(t, "validation", t->validation.metrics);
    const char *folder = tables_path(t->ctx, &t->arena, "model");
    return write_folder(t, folder, err) && put_outputs(t, folder, err);
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct train t = {.ctx = ctx, .model = model_new(), .warnings = json_array()};
    arena_init(&t.arena);
    buf_init(&t.ubj);
    bool ok = train(&t, err);
    set_fini(t.model, &t.training);
    set_fini(t.model, &t.validation);
    tables_close(ctx, t.db);
    buf_fini(&t.ubj);
    json_decref(t.warnings);
    json_decref(t.reference);
    model_free(t.model);
    arena_fini(&t.arena);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "table", .type = NX_T_TABLE, .flags = NX_P_REQUIRED, .help = "The rows to learn from."},
    {.name = "target", .type = NX_T_COLUMN, .flags = NX_P_REQUIRED,
     .help = "The column to predict. Rows without a value of it are left out."},
    {.name = "algorithm", .type = NX_T_ENUM, .fallback = "\"gradient_boosting\"", .choices = ML_ALGORITHMS,
     .help = "What learns."},
    {.name = "task", .type = NX_T_ENUM, .fallback = "\"auto\"", .choices = "auto|binary|multiclass|regression",
     .help = "Auto: text and bool are classes, numbers with just 0 and 1 (integers: with two values) too, all else is regression."},
    {.name = "features", .type = NX_T_STRINGS, .help = "Columns to learn from; default: all but target, weight and `exclude`."},
    {.name = "exclude", .type = NX_T_STRINGS, .help = "Columns to leave out."},
    {.name = "weight", .type = NX_T_COLUMN, .help = "A column with each row's weight, 0 or more."},
    {.name = "params", .type = NX_T_OBJECT, .fallback = "{}", .members = ml_params_members,
     .help = "The algorithm's own parameters, as listed below."},
    {.name = "validation", .type = NX_T_TABLE,
     .help = "Rows that are only measured on, and watched by early stopping."},
    {.name = "positive", .type = NX_T_ANY, .help = "The class whose probability counts; default: the last of the two in order."},
    {.name = "threshold", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0.5", .min = 0, .max = 1,
     .help = "Two classes: the positive one is predicted from this probability on."},
    {.name = "missing", .type = NX_T_ENUM, .fallback = "\"auto\"", .choices = "auto|error|mean|median|zero",
     .help = "Missing numbers; auto: trees see them as missing, linear models get the mean. Missing text is a case of its own."},
    {.name = "unknown", .type = NX_T_ENUM, .fallback = "\"as_missing\"", .choices = "as_missing|error|most_frequent",
     .help = "What the model does later with text that training did not have."},
    {.name = "max_categories", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "1000", .min = 1, .max = 100000,
     .help = "A text column with more different values is refused: it is an identifier more often than not."},
    {.name = "seed", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0", .min = 0, .max = 2147483647,
     .help = "Of whatever the algorithm draws at random. The same rows, parameters and seed give the same model."},
    {0}};

static const struct nx_port outputs[] = {
    {"model", NX_T_MODEL, "The model: a folder that ml.evaluate, ml.predict and MLflow read."},
    {"metrics", NX_T_OBJECT, "{training: {...}, validation: {...}}: each metric of the task."},
    {"features", NX_T_STRINGS, "The columns that the model needs."},
    {"importance", NX_T_OBJECT, "Share of the gain (trees) or of coefficient times deviation (linear), the 200 largest."},
    {"warnings", NX_T_STRINGS, "What to mind, as in the log."},
    {"task", NX_T_STRING, "binary, multiclass or regression."},
    {"rows", NX_T_INT, "Rows learned from."},
    {"rounds", NX_T_INT, "Rounds kept (gradient boosting)."},
    COMMON_METRIC_PORTS,
    {0}};

const struct nx_operator ml_train = {
    .name = "ml.train",
    .version = 1,
    .summary = "Trains a model on a table.",
    .doc =
        "Text columns become categories: for trees XGBoost's own categories, for linear models one column each (one-hot). "
        "Dates count as days, timestamps as seconds; trees see numbers as float32, those above 2^24 counted from the least in `table`. The transform is fitted on `table` alone and kept in the model, "
        "so that prediction takes the same raw columns. The model's `golden.parquet` has 32 of the rows with features and predictions.\n\n"
        "The metrics of `validation` are outputs of their own (`outputs.train.roc_auc`); without one there are none, "
        "since those of the training rows would flatter.\n\n"
        "**gradient_boosting** is XGBoost with `hist`. **logistic_regression** is Newton's method (with more than 2,000 "
        "coefficients L-BFGS, with l1 OWL-QN, both less exact); the intercept is not penalised. **linear_regression** is LAPACK's; "
        "of equally good solutions the one with the least norm.",
    .params = params,
    .outputs = outputs,
    .example =
        "train:\n"
        "  uses: ml.train\n"
        "  needs: split\n"
        "  with:\n"
        "    table: ${{ outputs.split.train }}\n"
        "    validation: ${{ outputs.split.validation }}\n"
        "    target: late\n"
        "    algorithm: gradient_boosting\n"
        "    params: {max_depth: 6, learning_rate: 0.1, rounds: 200, early_stopping_rounds: 20}\n",
    .flags = NX_OP_ORDER_SENSITIVE | NX_OP_PURE,
    .run = run,
};
/* clang-format on */
