/* Gradient boosting by XGBoost. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/ml/matrix.h"
#include "lib/ml/ml.h"
#include "lib/ml/xgboost.h"
#include "lib/stat/stat.h"

#define CHECK_ROWS 1000 /* compared with XGBoost's own predictions */

struct boost {
    struct xgb xgb;
    const struct ml_problem *problem;
    const struct ml_params *params;
    const struct ml_report *report;
    DMatrixHandle train, validation;
    BoosterHandle booster;
    char metric[16];
    double *values; /* room for the predictions of one set */
};

/* ---- Parameters ---- */

static bool set_text(struct boost *b, const char *name, const char *value, struct nx_err *err)
{
    return xgb_ok(&b->xgb, b->xgb.XGBoosterSetParam(b->booster, name, value), name, err);
}

static bool set_number(struct boost *b, const char *name, double value, struct nx_err *err)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    return set_text(b, name, text, err);
}

/* Ours, and XGBoost's: those that are passed on as they are. */
/* clang-format off */
static const char *const passed_on[][2] = {
    {"learning_rate", "eta"},
    {"max_depth", "max_depth"},
    {"max_leaves", "max_leaves"},
    {"min_child_weight", "min_child_weight"},
    {"gamma", "gamma"},
    {"subsample", "subsample"},
    {"colsample", "colsample_bytree"},
    {"colsample_level", "colsample_bylevel"},
    {"colsample_node", "colsample_bynode"},
    {"reg_lambda", "lambda"},
    {"reg_alpha", "alpha"},
    {"max_bins", "max_bin"},
    {"max_delta_step", "max_delta_step"},
    {"scale_pos_weight", "scale_pos_weight"},
    {"max_cat_to_onehot", "max_cat_to_onehot"},
    {"max_cat_threshold", "max_cat_threshold"},
};
/* clang-format on */

static double base_score(const struct boost *b)
{
    double given = ml_param(b->params, "base_score");
    const struct ml_rows *rows = &b->problem->rows;
    if (!isnan(given))
        return given;
    if (b->problem->task != MODEL_REGRESSION)
        return 0.5;
    struct stat_sum sum = {0}, weights = {0};
    for (size_t i = 0; i < rows->n_rows; i++) {
        double w = rows->weight ? rows->weight[i] : 1;
        stat_sum_add(&sum, w * rows->target[i]);
        stat_sum_add(&weights, w);
    }
    return (double)(float)(stat_sum_get(&sum) / stat_sum_get(&weights));
}

static bool set_params(struct boost *b, struct nx_err *err)
{
    static const char *const objectives[] = {"binary:logistic", "multi:softprob",
                                             "reg:squarederror"};
    const struct ml_problem *p = b->problem;
    bool ok = set_text(b, "objective", objectives[p->task], err) &&
              set_text(b, "tree_method", "hist", err) &&
              set_number(b, "nthread", p->threads, err) &&
              set_number(b, "seed", (double)(p->seed & 0x7fffffff), err) &&
              set_number(b, "base_score", base_score(b), err);
    if (ok && p->task == MODEL_MULTICLASS)
        ok = set_number(b, "num_class", (double)p->n_classes, err);
    for (size_t i = 0; ok && i < sizeof passed_on / sizeof passed_on[0]; i++) {
        /* Only what was given: the rest has XGBoost's own default, which is the table's. */
        if (ml_param_given(b->params, passed_on[i][0]))
            ok = set_number(b, passed_on[i][1], ml_param(b->params, passed_on[i][0]), err);
    }
    return ok;
}

/* What the table of parameters cannot say, since it depends on the task. */
static bool check_base_score(const struct boost *b, struct nx_err *err)
{
    double given = ml_param(b->params, "base_score");
    if (b->problem->task != MODEL_BINARY || isnan(given) || (given > 0 && given < 1))
        return true;
    return nx_fail(err, NX_E_INVALID,
                   "params: base_score is %.10g, but must be above 0 and below 1: with two classes "
                   "it is a probability",
                   given);
}

/* ---- Rounds ---- */

static bool predict(struct boost *b, BoosterHandle booster, DMatrixHandle matrix, size_t n,
                    const float **values, struct nx_err *err)
{
    const bst_ulong *shape;
    bst_ulong n_dimensions;
    const char *config = "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, "
                         "\"iteration_end\": 0, \"strict_shape\": true}";
    if (!xgb_ok(&b->xgb,
                b->xgb.XGBoosterPredictFromDMatrix(booster, matrix, config, &shape, &n_dimensions,
                                                   values),
                "prediction", err))
        return false;
    must(n_dimensions >= 1 && shape[0] == n);
    return true;
}

static bool measure_values(const struct boost *b, const struct ml_rows *rows, double *metric)
{
    size_t n = rows->n_rows;
    bool ok;
    if (b->problem->task == MODEL_REGRESSION)
        return strcmp(b->metric, "mae") == 0 ? stat_mae(rows->target, b->values, n, metric)
                                             : stat_rmse(rows->target, b->values, n, metric);
    if (b->problem->task == MODEL_BINARY) {
        uint8_t *positive = mem_alloc_array(n, sizeof *positive);
        for (size_t i = 0; i < n; i++)
            positive[i] = rows->target[i] == 1;
        ok = strcmp(b->metric, "roc_auc") == 0 ? stat_roc_auc(positive, b->values, n, metric)
                                               : stat_log_loss(positive, b->values, n, metric);
        mem_free(positive);
        return ok;
    }
    uint32_t *truth = mem_alloc_array(n, sizeof *truth);
    for (size_t i = 0; i < n; i++)
        truth[i] = (uint32_t)rows->target[i];
    ok = strcmp(b->metric, "roc_auc") == 0
             ? stat_roc_auc_macro(truth, b->values, n, b->problem->n_classes, metric)
             : stat_log_loss_classes(truth, b->values, n, b->problem->n_classes, metric);
    mem_free(truth);
    return ok;
}

static bool measure(struct boost *b, DMatrixHandle matrix, const struct ml_rows *rows,
                    double *metric, struct nx_err *err)
{
    const float *values;
    size_t width = b->problem->task == MODEL_MULTICLASS ? b->problem->n_classes : 1;
    if (!predict(b, b->booster, matrix, rows->n_rows, &values, err))
        return false;
    for (size_t i = 0; i < rows->n_rows * width; i++)
        b->values[i] = values[i];
    if (!measure_values(b, rows, metric))
        return nx_fail(err, NX_E_DATA, "%s is not defined on these rows (one class only?)",
                       b->metric);
    return true;
}

static bool choose_metric(struct boost *b, struct nx_err *err)
{
    bool regression = b->problem->task == MODEL_REGRESSION;
    ml_param_choice(b->params, "early_stopping_metric", b->metric, sizeof b->metric);
    bool of_regression = strcmp(b->metric, "rmse") == 0 || strcmp(b->metric, "mae") == 0;
    if (strcmp(b->metric, "auto") == 0)
        snprintf(b->metric, sizeof b->metric, "%s", regression ? "rmse" : "log_loss");
    else if (of_regression != regression)
        return nx_fail(err, NX_E_INVALID, "early_stopping_metric %s does not fit a %s model",
                       b->metric, model_task_name(b->problem->task));
    return true;
}

static bool report_round(struct boost *b, int64_t round, int64_t rounds, double *metric,
                         struct nx_err *err)
{
    const struct ml_report *r = b->report;
    const struct ml_problem *p = b->problem;
    int64_t every = rounds / 20 + 1; /* the training metric costs a pass over all rows */
    bool last = round + 1 == rounds;
    char name[64];
    if (p->validation.n_rows > 0) {
        if (!measure(b, b->validation, &p->validation, metric, err))
            return false;
        snprintf(name, sizeof name, "validation_%s", b->metric);
        if (r->metric)
            r->metric(r->arg, name, *metric, round);
    }
    if (r->metric && (round % every == 0 || last)) {
        double v = 0;
        if (!measure(b, b->train, &p->rows, &v, err))
            return false;
        snprintf(name, sizeof name, "training_%s", b->metric);
        r->metric(r->arg, name, v, round);
    }
    if (r->round)
        r->round(r->arg, round, rounds);
    return true;
}

/* All rounds, or until early stopping; *keep of them are to be kept. */
static bool run_rounds(struct boost *b, int64_t *keep, int64_t *best_round, struct nx_err *err)
{
    int64_t rounds = (int64_t)ml_param(b->params, "rounds");
    int64_t patience = (int64_t)ml_param(b->params, "early_stopping_rounds");
    bool more_is_better = strcmp(b->metric, "roc_auc") == 0;
    double best = 0, metric = 0;
    int64_t round = 0;
    *best_round = -1;
    for (; round < rounds; round++) {
        if (b->report->cancelled && b->report->cancelled(b->report->arg))
            return nx_fail(err, NX_E_CANCELLED, "cancelled in round %lld", (long long)round + 1);
        if (!xgb_ok(&b->xgb, b->xgb.XGBoosterUpdateOneIter(b->booster, (int)round, b->train),
                    "training", err) ||
            !report_round(b, round, rounds, &metric, err))
            return false;
        if (patience == 0)
            continue;
        if (*best_round < 0 || (more_is_better ? metric > best : metric < best)) {
            best = metric;
            *best_round = round;
        } else if (round - *best_round >= patience) {
            round++;
            break;
        }
    }
    *keep = patience > 0 ? *best_round + 1 : round;
    return true;
}

/* ---- Taking the model out ---- */

static bool save(struct boost *b, BoosterHandle booster, const char *format, struct buf *to,
                 struct nx_err *err)
{
    bst_ulong n = 0;
    const char *bytes = NULL;
    char config[32];
    snprintf(config, sizeof config, "{\"format\": \"%s\"}", format);
    if (!xgb_ok(&b->xgb, b->xgb.XGBoosterSaveModelToBuffer(booster, config, &n, &bytes), "saving",
                err))
        return false;
    buf_add(to, bytes, n);
    return true;
}

static bool compare(const float *ours, const float *theirs, size_t n, size_t width,
                    struct nx_err *err)
{
    for (size_t i = 0; i < n * width; i++) {
        if (memcmp(&ours[i], &theirs[i], sizeof *ours) != 0)
            return nx_fail(err, NX_E_INTERNAL,
                           "row %zu: our predictor gives %.9g where XGBoost gives %.9g",
                           i / width + 1, (double)ours[i], (double)theirs[i]);
    }
    return true;
}

static bool same_as_native(struct boost *b, BoosterHandle booster, const struct trees *trees,
                           struct nx_err *err)
{
    const struct ml_rows *rows = &b->problem->rows;
    size_t n = rows->n_rows < CHECK_ROWS ? rows->n_rows : CHECK_ROWS, width = trees->n_groups;
    const float *theirs;
    DMatrixHandle some;
    if (!matrix_plain(&b->xgb, b->problem, rows, n, &some, err))
        return false;
    float *ours = mem_alloc_array(n * width + 1, sizeof *ours);
    trees_predict(trees, rows->as_float, n, ours);
    bool ok = predict(b, booster, some, n, &theirs, err) && compare(ours, theirs, n, width, err);
    b->xgb.XGDMatrixFree(some);
    mem_free(ours);
    return ok;
}

static bool take(struct boost *b, int64_t keep, int64_t trained, struct arena *arena,
                 struct ml_boosted *out, struct nx_err *err)
{
    BoosterHandle slice = NULL, booster = b->booster;
    struct buf json;
    buf_init(&json);
    bool ok = true;
    if (keep < trained) {
        ok = xgb_ok(&b->xgb, b->xgb.XGBoosterSlice(b->booster, 0, (int)keep, 1, &slice),
                    "keeping the best rounds", err);
        booster = slice;
    }
    out->gain = arena_array(arena, b->problem->rows.n_features + 1, sizeof *out->gain);
    ok = ok && save(b, booster, "json", &json, err) && save(b, booster, "ubj", &out->ubj, err) &&
         ml_trees_of_json(buf_text(&json), json.len, b->problem->rows.n_features, arena,
                          &out->trees, out->gain, err) &&
         same_as_native(b, booster, &out->trees, err);
    if (slice)
        b->xgb.XGBoosterFree(slice);
    buf_fini(&json);
    return ok;
}

static bool train(struct boost *b, struct arena *arena, struct ml_boosted *out, struct nx_err *err)
{
    const struct ml_problem *p = b->problem;
    if (!matrix_of_bins(&b->xgb, p, &p->rows, (int64_t)ml_param(b->params, "max_bins"), &b->train,
                        err))
        return false;
    if (p->validation.n_rows > 0 &&
        !matrix_plain(&b->xgb, p, &p->validation, p->validation.n_rows, &b->validation, err))
        return nx_wrap(err, "validation");
    DMatrixHandle both[2] = {b->train, b->validation};
    if (!xgb_ok(&b->xgb, b->xgb.XGBoosterCreate(both, b->validation ? 2 : 1, &b->booster), "start",
                err) ||
        !set_params(b, err))
        return false;
    int64_t keep = 0, trained = 0;
    if (!run_rounds(b, &keep, &out->best_round, err))
        return false;
    trained = out->best_round < 0 ? keep : INT64_MAX;
    out->rounds = keep;
    out->base_score = base_score(b);
    return take(b, keep, trained, arena, out, err);
}

bool ml_boost(const struct ml_problem *problem, const struct ml_params *params,
              const struct ml_report *report, struct arena *arena, struct ml_boosted *boosted,
              struct nx_err *err)
{
    must(params->algorithm->kind == ML_BOOST && problem->rows.as_float != NULL);
    struct boost b = {.problem = problem, .params = params, .report = report};
    struct ml_boosted out = {0};
    if (ml_param(params, "early_stopping_rounds") > 0 && problem->validation.n_rows == 0)
        return nx_fail(err, NX_E_INVALID,
                       "early_stopping_rounds needs a `validation` table to watch");
    if (!check_base_score(&b, err) || !xgb_load(&b.xgb, err) || !choose_metric(&b, err))
        return false;
    size_t most = problem->rows.n_rows > problem->validation.n_rows ? problem->rows.n_rows
                                                                    : problem->validation.n_rows;
    b.values = mem_alloc_array(most * (problem->task == MODEL_MULTICLASS ? problem->n_classes : 1),
                               sizeof *b.values);
    buf_init(&out.ubj);
    int version[3];
    b.xgb.XGBoostVersion(&version[0], &version[1], &version[2]);
    snprintf(out.library_version, sizeof out.library_version, "%d.%d.%d", version[0], version[1],
             version[2]);
    bool ok = train(&b, arena, &out, err);
    if (b.booster)
        b.xgb.XGBoosterFree(b.booster);
    if (b.train)
        b.xgb.XGDMatrixFree(b.train);
    if (b.validation)
        b.xgb.XGDMatrixFree(b.validation);
    mem_free(b.values);
    if (ok)
        *boosted = out;
    else
        buf_fini(&out.ubj);
    return ok;
}
