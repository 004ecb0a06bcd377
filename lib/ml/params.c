#include "lib/ml/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/must.h"
#include "lib/base/str.h"

#define UNBOUNDED 1e300
#define FLOAT_MOST 3.4e38 /* XGBoost keeps its parameters as float32 */

/* clang-format off */
static const struct ml_param boost_params[] = {
    {"rounds", ML_INT, 100, 1, 100000, false, NULL, "n_estimators|num_boost_round|num_round|nrounds|iterations|n_trees", NULL,
     "How many rounds of trees (one tree a round, one a class for several classes)."},
    {"learning_rate", ML_FLOAT, 0.3, 0, 1, true, NULL, "eta|lr|shrinkage|step_size", "eta",
     "What each tree's answer is multiplied with."},
    {"max_depth", ML_INT, 6, 0, 30, false, NULL, "depth", "max_depth",
     "Depth of a tree; 0: no limit (then max_leaves limits)."},
    {"max_leaves", ML_INT, 0, 0, 1000000, false, NULL, "num_leaves|max_leaf_nodes", "max_leaves",
     "Leaves of a tree; 0: no limit."},
    {"min_child_weight", ML_FLOAT, 1, 0, FLOAT_MOST, false, NULL, "min_samples_leaf|min_data_in_leaf", "min_child_weight",
     "Least sum of second derivatives in a child (for regression: of weights)."},
    {"gamma", ML_FLOAT, 0, 0, FLOAT_MOST, false, NULL, "min_split_loss|min_split_gain", "gamma",
     "Least gain of a split."},
    {"subsample", ML_FLOAT, 1, 0, 1, true, NULL, "bagging_fraction|sample_fraction", "subsample",
     "Share of the rows that each round sees."},
    {"colsample", ML_FLOAT, 1, 0, 1, true, NULL, "colsample_bytree|feature_fraction|max_features", "colsample_bytree",
     "Share of the features that each tree sees."},
    {"colsample_level", ML_FLOAT, 1, 0, 1, true, NULL, "colsample_bylevel", "colsample_bylevel",
     "Share of the tree's features that each level sees."},
    {"colsample_node", ML_FLOAT, 1, 0, 1, true, NULL, "colsample_bynode", "colsample_bynode",
     "Share of the level's features that each split sees."},
    {"reg_lambda", ML_FLOAT, 1, 0, FLOAT_MOST, false, NULL, "lambda|l2|lambda_l2|l2_regularization", "lambda",
     "L2 penalty on the leaves' values."},
    {"reg_alpha", ML_FLOAT, 0, 0, FLOAT_MOST, false, NULL, "alpha|l1|lambda_l1", "alpha",
     "L1 penalty on the leaves' values."},
    {"max_bins", ML_INT, 256, 2, 65536, false, NULL, "max_bin|bins", "max_bin",
     "Bins of a feature's histogram."},
    {"max_delta_step", ML_FLOAT, 0, 0, FLOAT_MOST, false, NULL, NULL, "max_delta_step",
     "Largest value of a leaf before the learning rate; 0: no limit."},
    {"scale_pos_weight", ML_FLOAT, 1, 0, FLOAT_MOST, true, NULL, "positive_weight|pos_weight", "scale_pos_weight",
     "Weight of the positive class's rows."},
    {"max_cat_to_onehot", ML_INT, 4, 1, 100000, false, NULL, NULL, "max_cat_to_onehot",
     "Below that many categories a split takes one against the rest, above it parts them in two sets."},
    {"max_cat_threshold", ML_INT, 64, 1, 100000, false, NULL, NULL, "max_cat_threshold",
     "Most categories on one side of a split."},
    {"base_score", ML_FLOAT, NAN, -FLOAT_MOST, FLOAT_MOST, false, NULL, "init|init_score", NULL,
     "What the rounds start from; default 0.5 for classes, the mean of the target for regression."},
    {"early_stopping_rounds", ML_INT, 0, 0, 100000, false, NULL, "early_stopping|patience|n_iter_no_change", NULL,
     "Stop when that many rounds brought nothing better on `validation`, and keep the best; 0: never."},
    {"early_stopping_metric", ML_CHOICE, 0, 0, 0, false, "auto|log_loss|roc_auc|rmse|mae", "eval_metric|metric", NULL,
     "What is watched; auto: log_loss, for regression rmse."},
    {NULL}};

static const struct ml_param logistic_params[] = {
    {"l2", ML_FLOAT, 1, 0, UNBOUNDED, false, NULL, "reg_lambda|lambda|alpha|ridge|penalty", NULL,
     "Weight of half the sum of squared coefficients (1 / C of scikit-learn); the intercept is free."},
    {"l1", ML_FLOAT, 0, 0, UNBOUNDED, false, NULL, "reg_alpha|lasso", NULL,
     "Weight of the sum of absolute coefficients."},
    {"standardize", ML_BOOL, 1, 0, 1, false, NULL, "normalize|scale", NULL,
     "Bring numbers to mean 0 and deviation 1 first."},
    {"max_iter", ML_INT, 1000, 1, 1000000, false, NULL, "max_iterations|iterations|n_iter", NULL,
     "Most iterations."},
    {"tol", ML_FLOAT, 1e-8, 0, 1, true, NULL, "tolerance|epsilon|eps", NULL,
     "End when twice what any probability is away from the optimum's is at most this; with l1 or very many coefficients: when the gradient's length (of the mean loss), relative to the coefficients', is."},
    {NULL}};

static const struct ml_param linear_params[] = {
    {"l2", ML_FLOAT, 0, 0, UNBOUNDED, false, NULL, "alpha|reg_lambda|lambda|ridge|penalty", NULL,
     "Weight of the sum of squared coefficients (ridge; alpha of scikit-learn); 0: least squares."},
    {"standardize", ML_BOOL, 0, 0, 1, false, NULL, "normalize|scale", NULL,
     "Bring numbers to mean 0 and deviation 1 first; matters only with l2."},
    {NULL}};

static const struct ml_algorithm algorithms[] = {
    {"gradient_boosting", ML_BOOST, true, true, boost_params},
    {"logistic_regression", ML_LOGISTIC, true, false, logistic_params},
    {"linear_regression", ML_LEAST_SQUARES, false, true, linear_params}};
/* clang-format on */

#define N_ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

/* Whether `name` is one of "a|b|c"; *index which. */
static bool in_list(const char *list, const char *name, size_t *index)
{
    size_t n = strlen(name), i = 0;
    for (const char *at = list; at; i++) {
        const char *end = strchr(at, '|');
        size_t length = end ? (size_t)(end - at) : strlen(at);
        if (length == n && memcmp(at, name, n) == 0) {
            *index = i;
            return true;
        }
        at = end ? end + 1 : NULL;
    }
    return false;
}

const struct ml_algorithm *ml_algorithm_find(const char *name, struct nx_err *err)
{
    const char *names[N_ALGORITHMS];
    for (size_t i = 0; i < N_ALGORITHMS; i++) {
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
        names[i] = algorithms[i].name;
    }
    const char *nearest = str_nearest(name, names, N_ALGORITHMS);
    nx_fail(err, NX_E_INVALID, "algorithm '%s' does not exist%s%s%s; there are %s, %s and %s", name,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
            names[0], names[1], names[2]);
    return NULL;
}

static void unknown_name(const struct ml_algorithm *algorithm, const char *name, struct buf *wrong)
{
    const char *names[ML_PARAMS_MAX];
    size_t n = 0, at;
    buf_printf(wrong, "%s'%s' is no parameter of %s", wrong->len ? "; " : "", name,
               algorithm->name);
    for (const struct ml_param *p = algorithm->params; p->name; p++) {
        if (p->also && in_list(p->also, name, &at)) {
            buf_printf(wrong, " (it is called '%s' here)", p->name);
            return;
        }
        names[n++] = p->name;
    }
    const char *nearest = str_nearest(name, names, n);
    if (nearest) {
        buf_printf(wrong, "; did you mean '%s'?", nearest);
        return;
    }
    buf_str(wrong, ", which has");
    for (size_t i = 0; i < n; i++)
        buf_printf(wrong, "%s %s", i ? "," : "", names[i]);
}

/* The value as a number; text for a number is allowed nowhere. */
static bool read_value(const struct ml_param *p, const json_t *json, double *v, struct buf *wrong)
{
    const char *should = NULL;
    size_t index = 0;
    double number = json_number_value(json);
    const char *comma = wrong->len ? "; " : "";
    if (p->kind == ML_CHOICE) {
        if (!json_is_string(json) || !in_list(p->choices, json_string_value(json), &index))
            buf_printf(wrong, "%s%s must be one of %s", comma, p->name, p->choices);
        *v = (double)index;
        return true;
    }
    if (p->kind == ML_BOOL) {
        should = json_is_boolean(json) ? NULL : "true or false";
        number = json_is_true(json);
    } else if (p->kind == ML_INT) {
        should = json_is_number(json) && number == floor(number) ? NULL : "a whole number";
    } else {
        should = json_is_number(json) ? NULL : "a number";
    }
    if (should) {
        buf_printf(wrong, "%s%s must be %s", comma, p->name, should);
        return false;
    }
    if (number < p->min || number > p->max || (p->open_min && number == p->min)) {
        buf_printf(wrong, "%s%s is %.10g, but must be %s %g", comma, p->name, number,
                   p->open_min ? "above" : "at least", p->min);
        if (p->max < UNBOUNDED)
            buf_printf(wrong, " and at most %g", p->max);
        return false;
    }
    *v = number;
    return true;
}

static void read_all(json_t *object, struct ml_params *params, struct buf *wrong)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const struct ml_param *table = params->algorithm->params;
        size_t i = 0;
        while (table[i].name && strcmp(table[i].name, key) != 0)
            i++;
        if (!table[i].name)
            unknown_name(params->algorithm, key, wrong);
        else if (!json_is_null(value))
            params->given[i] = read_value(&table[i], value, &params->value[i], wrong);
    }
}

bool ml_params_read(const struct ml_algorithm *algorithm, const char *json,
                    struct ml_params *params, struct nx_err *err)
{
    struct ml_params p = {.algorithm = algorithm};
    for (size_t i = 0; algorithm->params[i].name; i++) {
        must(i < ML_PARAMS_MAX);
        p.value[i] = algorithm->params[i].fallback;
    }
    json_t *object = json_loads(json && *json ? json : "null", JSON_DECODE_ANY, NULL);
    struct buf wrong;
    buf_init(&wrong);
    if (!object || (!json_is_object(object) && !json_is_null(object)))
        buf_str(&wrong, "must be a mapping of names to values");
    else if (json_is_object(object))
        read_all(object, &p, &wrong);
    bool ok = wrong.len == 0;
    if (ok)
        *params = p;
    else
        nx_fail(err, NX_E_INVALID, "params: %s", buf_text(&wrong));
    json_decref(object);
    buf_fini(&wrong);
    return ok;
}

static size_t index_of(const struct ml_params *params, const char *name)
{
    size_t i = 0;
    while (params->algorithm->params[i].name && strcmp(params->algorithm->params[i].name, name))
        i++;
    must(params->algorithm->params[i].name != NULL);
    return i;
}

double ml_param(const struct ml_params *params, const char *name)
{
    return params->value[index_of(params, name)];
}

bool ml_param_given(const struct ml_params *params, const char *name)
{
    return params->given[index_of(params, name)];
}

void ml_param_choice(const struct ml_params *params, const char *name, char *to, size_t size)
{
    size_t i = index_of(params, name), skip = (size_t)params->value[i];
    const char *at = params->algorithm->params[i].choices;
    must(at != NULL);
    while (skip-- > 0)
        at = strchr(at, '|') + 1;
    snprintf(to, size, "%.*s", (int)strcspn(at, "|"), at);
}

void ml_params_write(const struct ml_params *params, struct buf *text)
{
    json_t *o = json_object();
    for (size_t i = 0; params->algorithm->params[i].name; i++) {
        const struct ml_param *p = &params->algorithm->params[i];
        double v = params->value[i];
        char choice[64];
        json_t *value = isnan(v) ? json_null() : json_real(v);
        if (p->kind == ML_INT || p->kind == ML_BOOL) {
            json_decref(value);
            value = p->kind == ML_INT ? json_integer((json_int_t)v) : json_boolean(v != 0);
        } else if (p->kind == ML_CHOICE) {
            json_decref(value);
            ml_param_choice(params, p->name, choice, sizeof choice);
            value = json_string(choice);
        }
        json_object_set_new(o, p->name, value);
    }
    char *s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    buf_str(text, s);
    free(s);
    json_decref(o);
}
