#include "lib/ml/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/must.h"
#include "lib/base/str.h"

#define FLOAT_MOST 3.4e38 /* XGBoost keeps its parameters as float32 */

/* clang-format off */
static const struct nx_param boost_params[] = {
    {.name = "rounds", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "100", .min = 1, .max = 100000,
     .also = "n_estimators|num_boost_round|num_round|nrounds|iterations|n_trees",
     .help = "How many rounds of trees (one tree a round, one a class for several classes)."},
    {.name = "learning_rate", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "0.3", .min = 0, .max = 1,
     .also = "eta|lr|shrinkage|step_size",
     .help = "What each tree's answer is multiplied with."},
    {.name = "max_depth", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "6", .min = 0, .max = 30,
     .also = "depth",
     .help = "Depth of a tree; 0: no limit (then max_leaves limits)."},
    {.name = "max_leaves", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0", .min = 0, .max = 1000000,
     .also = "num_leaves|max_leaf_nodes",
     .help = "Leaves of a tree; 0: no limit."},
    {.name = "min_child_weight", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "1", .min = 0, .max = FLOAT_MOST,
     .also = "min_samples_leaf|min_data_in_leaf",
     .help = "Least sum of second derivatives in a child (for regression: of weights)."},
    {.name = "gamma", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0", .min = 0, .max = FLOAT_MOST,
     .also = "min_split_loss|min_split_gain",
     .help = "Least gain of a split."},
    {.name = "subsample", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "1", .min = 0, .max = 1,
     .also = "bagging_fraction|sample_fraction",
     .help = "Share of the rows that each round sees."},
    {.name = "colsample", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "1", .min = 0, .max = 1,
     .also = "colsample_bytree|feature_fraction|max_features",
     .help = "Share of the features that each tree sees."},
    {.name = "colsample_level", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "1", .min = 0, .max = 1,
     .also = "colsample_bylevel",
     .help = "Share of the tree's features that each level sees."},
    {.name = "colsample_node", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "1", .min = 0, .max = 1,
     .also = "colsample_bynode",
     .help = "Share of the level's features that each split sees."},
    {.name = "reg_lambda", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "1", .min = 0, .max = FLOAT_MOST,
     .also = "lambda|l2|lambda_l2|l2_regularization",
     .help = "L2 penalty on the leaves' values."},
    {.name = "reg_alpha", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0", .min = 0, .max = FLOAT_MOST,
     .also = "alpha|l1|lambda_l1",
     .help = "L1 penalty on the leaves' values."},
    {.name = "max_bins", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "256", .min = 2, .max = 65536,
     .also = "max_bin|bins",
     .help = "Bins of a feature's histogram."},
    {.name = "max_delta_step", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0", .min = 0, .max = FLOAT_MOST,
     .help = "Largest value of a leaf before the learning rate; 0: no limit."},
    {.name = "scale_pos_weight", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "1", .min = 0, .max = FLOAT_MOST,
     .also = "positive_weight|pos_weight",
     .help = "Weight of the positive class's rows."},
    {.name = "max_cat_to_onehot", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "4", .min = 1, .max = 100000,
     .help = "Below that many categories a split takes one against the rest, above it parts them in two sets."},
    {.name = "max_cat_threshold", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "64", .min = 1, .max = 100000,
     .help = "Most categories on one side of a split."},
    {.name = "base_score", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .min = -FLOAT_MOST, .max = FLOAT_MOST,
     .also = "init|init_score",
     .help = "What the rounds start from; default 0.5 for classes, the mean of the target for regression. Of two classes it is a probability, above 0 and below 1."},
    {.name = "early_stopping_rounds", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "0", .min = 0, .max = 100000,
     .also = "early_stopping|patience|n_iter_no_change",
     .help = "Stop when that many rounds brought nothing better on `validation`, and keep the best; 0: never."},
    {.name = "early_stopping_metric", .type = NX_T_ENUM, .fallback = "\"auto\"", .choices = "auto|log_loss|roc_auc|rmse|mae",
     .also = "eval_metric|metric",
     .help = "What is watched; auto: log_loss, for regression rmse."},
    {0}};

static const struct nx_param logistic_params[] = {
    {.name = "l2", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN, .fallback = "1", .min = 0,
     .also = "reg_lambda|lambda|alpha|ridge|penalty",
     .help = "Weight of half the sum of squared coefficients (1 / C of scikit-learn); the intercept is free."},
    {.name = "l1", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN, .fallback = "0", .min = 0,
     .also = "reg_alpha|lasso",
     .help = "Weight of the sum of absolute coefficients."},
    {.name = "standardize", .type = NX_T_BOOL, .fallback = "true",
     .also = "normalize|scale",
     .help = "Bring numbers to mean 0 and deviation 1 first."},
    {.name = "max_iter", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .fallback = "1000", .min = 1, .max = 1000000,
     .also = "max_iterations|iterations|n_iter",
     .help = "Most iterations."},
    {.name = "tol", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX | NX_P_ABOVE_MIN, .fallback = "1e-8", .min = 0, .max = 1,
     .also = "tolerance|epsilon|eps",
     .help = "End when twice what any probability is away from the optimum's is at most this; with l1 or very many coefficients: when the gradient's length (of the mean loss), relative to the coefficients', is."},
    {0}};

static const struct nx_param linear_params[] = {
    {.name = "l2", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN, .fallback = "0", .min = 0,
     .also = "alpha|reg_lambda|lambda|ridge|penalty",
     .help = "Weight of the sum of squared coefficients (ridge; alpha of scikit-learn); 0: least squares."},
    {.name = "standardize", .type = NX_T_BOOL, .fallback = "false",
     .also = "normalize|scale",
     .help = "Bring numbers to mean 0 and deviation 1 first; matters only with l2."},
    {0}};

static const struct ml_algorithm algorithms[] = {
    {"gradient_boosting", ML_BOOST, true, true, boost_params},
    {"logistic_regression", ML_LOGISTIC, true, false, logistic_params},
    {"linear_regression", ML_LEAST_SQUARES, false, true, linear_params}};

const struct nx_members ml_params_members[] = {
    {"algorithm=gradient_boosting", boost_params},
    {"algorithm=logistic_regression", logistic_params},
    {"algorithm=linear_regression", linear_params},
    {0}};
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
    for (const struct nx_param *p = algorithm->params; p->name; p++) {
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
static bool read_value(const struct nx_param *p, const json_t *json, double *v, struct buf *wrong)
{
    const char *should = NULL;
    size_t index = 0;
    double number = json_number_value(json);
    const char *comma = wrong->len ? "; " : "";
    if (p->type == NX_T_ENUM) {
        if (!json_is_string(json) || !in_list(p->choices, json_string_value(json), &index))
            buf_printf(wrong, "%s%s must be one of %s", comma, p->name, p->choices);
        *v = (double)index;
        return true;
    }
    if (p->type == NX_T_BOOL) {
        should = json_is_boolean(json) ? NULL : "true or false";
        number = json_is_true(json);
    } else if (p->type == NX_T_INT) {
        should = json_is_number(json) && number == floor(number) ? NULL : "a whole number";
    } else {
        should = json_is_number(json) ? NULL : "a number";
    }
    if (should) {
        buf_printf(wrong, "%s%s must be %s", comma, p->name, should);
        return false;
    }
    bool low = (p->flags & NX_P_HAS_MIN) && number < p->min;
    bool high = (p->flags & NX_P_HAS_MAX) && number > p->max;
    if (low || high || ((p->flags & NX_P_ABOVE_MIN) && number == p->min)) {
        buf_printf(wrong, "%s%s is %.10g, but must be %s %g", comma, p->name, number,
                   p->flags & NX_P_ABOVE_MIN ? "above" : "at least", p->min);
        if (p->flags & NX_P_HAS_MAX)
            buf_printf(wrong, " and at most %g", p->max);
        return false;
    }
    *v = number;
    return true;
}

/* NAN: the algorithm chooses. */
static double default_of(const struct nx_param *p)
{
    json_t *value = p->fallback ? json_loads(p->fallback, JSON_DECODE_ANY, NULL) : NULL;
    size_t index = 0;
    double v = json_is_number(value) ? json_number_value(value) : (double)NAN;
    if (json_is_boolean(value))
        v = json_is_true(value);
    if (json_is_string(value) && in_list(p->choices, json_string_value(value), &index))
        v = (double)index;
    json_decref(value);
    return v;
}

static void read_all(json_t *object, struct ml_params *params, struct buf *wrong)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const struct nx_param *table = params->algorithm->params;
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
        p.value[i] = default_of(&algorithm->params[i]);
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
        const struct nx_param *p = &params->algorithm->params[i];
        double v = params->value[i];
        char choice[64];
        json_t *value = isnan(v) ? json_null() : json_real(v);
        if (p->type == NX_T_INT || p->type == NX_T_BOOL) {
            json_decref(value);
            value = p->type == NX_T_INT ? json_integer((json_int_t)v) : json_boolean(v != 0);
        } else if (p->type == NX_T_ENUM) {
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
