/* XGBoost called directly: the peer of ml.train with gradient_boosting.
 *
 *     test_xgboost MODEL TRAIN.parquet TEST.parquet [THREADS]
 *
 * reads from MODEL/nexus.json only what the rows and the parameters were (columns, lists of
 * categories, target, params), makes the matrix by itself, trains with the library's own calls and
 * prints the ROC AUC (regression: the RMSE) on TEST with 17 digits, counted by itself. Without
 * arguments it tests its own counting. tests/e2e/test_ml compares the numbers. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/data/column.h"
#include "lib/data/data.h"
#include "lib/ml/xgboost.h"

struct peer {
    json_t *manifest;
    struct xgb xgb;
    struct data_db *db;
    BoosterHandle booster;
};

static _Noreturn void stop(const char *what, const char *why)
{
    fprintf(stderr, "test_xgboost: %s: %s\n", what, why);
    exit(1);
}

static void check(const struct peer *p, int status)
{
    if (status != 0)
        stop("XGBoost", p->xgb.XGBGetLastError());
}

/* ---- Counting ---- */

struct scored {
    double score;
    int positive;
};

static int by_score(const void *a, const void *b)
{
    double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x > y) - (x < y);
}

/* Pairs won, ties as a half. */
static double roc_auc(const float *p, const float *y, size_t n)
{
    struct scored *s = calloc(n + 1, sizeof *s);
    double won = 0, below = 0, positives = 0;
    for (size_t i = 0; i < n; i++)
        s[i] = (struct scored){p[i], y[i] == 1};
    qsort(s, n, sizeof *s, by_score);
    for (size_t i = 0, end; i < n; i = end) {
        double plus = 0, minus = 0;
        for (end = i; end < n && s[end].score == s[i].score; end++) {
            plus += s[end].positive;
            minus += !s[end].positive;
        }
        won += plus * (below + minus / 2);
        below += minus;
        positives += plus;
    }
    free(s);
    return won / (positives * below);
}

static double rmse(const float *p, const float *y, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((long double)p[i] - y[i]) * ((long double)p[i] - y[i]);
    return (double)sqrtl(sum / (long double)n);
}

static int test_counting(void)
{
    const float y[6] = {0, 0, 1, 1, 0, 1}, p[6] = {0.1f, 0.4f, 0.35f, 0.8f, 0.8f, 0.9f};
    /* Of nine pairs six are won, one is tied: (0.8, 0.8). */
    int wrong = fabs(roc_auc(p, y, 6) - 6.5 / 9) > 1e-15;
    wrong += fabs(rmse(p, y, 1) - 0.1f) > 1e-12;
    printf("%d passed, %d failed\n", 2 - wrong, wrong);
    return wrong > 0;
}

/* ---- Rows ---- */

static const json_t *member(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(o, "name")), name) == 0)
            return o;
    }
    stop("nexus.json has no", name);
}

/* The features' columns with their categories, as the manifest lists them. */
static struct column_want *wanted(const struct peer *p, size_t *n)
{
    const json_t *features = json_object_get(p->manifest, "features");
    *n = json_array_size(features);
    struct column_want *want = calloc(*n + 1, sizeof *want);
    for (size_t j = 0; j < *n; j++) {
        const char *name = json_string_value(json_object_get(json_array_get(features, j), "name"));
        const json_t *input = member(json_object_get(p->manifest, "inputs"), name);
        const json_t *list = json_object_get(input, "categories");
        const char **categories =
            list ? calloc(json_array_size(list) + 1, sizeof *categories) : NULL;
        for (size_t k = 0; k < json_array_size(list); k++)
            categories[k] = json_string_value(json_array_get(list, k));
        want[j] = (struct column_want){name, categories, json_array_size(list)};
    }
    return want;
}

static float *read_target(const struct peer *p, const char *view, size_t n)
{
    struct nx_err err;
    struct column *c;
    const char *positive = json_string_value(json_object_get(p->manifest, "positive"));
    struct column_want want = {
        json_string_value(json_object_get(json_object_get(p->manifest, "target"), "name")), NULL,
        0};
    if (!column_read(p->db, view, &want, 1, &c, &err))
        stop("target", err.text);
    float *y = calloc(n + 1, sizeof *y);
    for (size_t i = 0; i < n; i++) {
        char text[40] = "";
        if (!positive) {
            y[i] = c->type == TABLE_DOUBLE ? (float)c->as.f[i] : (float)c->as.i[i];
            continue;
        }
        if (c->type == TABLE_BOOL)
            snprintf(text, sizeof text, "%s", c->as.b[i] ? "true" : "false");
        else if (c->type == TABLE_INT64)
            snprintf(text, sizeof text, "%lld", (long long)c->as.i[i]);
        else if (c->type == TABLE_DOUBLE)
            snprintf(text, sizeof text, "%g", c->as.f[i]);
        y[i] = strcmp(text[0] ? text : c->text[c->as.code[i]], positive) == 0;
    }
    column_free(c, 1);
    return y;
}

static DMatrixHandle read_matrix(struct peer *p, const char *view, const char *path, float **target,
                                 size_t *n)
{
    struct nx_err err;
    struct column_matrix m;
    DMatrixHandle matrix;
    size_t n_features;
    struct column_want *want = wanted(p, &n_features);
    char array[256];
    if (!data_add_table(p->db, view, path, NULL, &err) ||
        !column_read_matrix(p->db, view, want, n_features, true, &m, &err))
        stop(path, err.text);
    snprintf(
        array, sizeof array,
        "{\"data\": [%llu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", \"version\": 3}",
        (unsigned long long)(uintptr_t)m.at, m.n_rows, m.n_columns);
    check(p, p->xgb.XGDMatrixCreateFromDense(array, "{\"missing\": NaN}", &matrix));
    const char **types = calloc(n_features + 1, sizeof *types);
    for (size_t j = 0; j < n_features; j++)
        types[j] = want[j].categories ? "c" : "float";
    check(p, p->xgb.XGDMatrixSetStrFeatureInfo(matrix, "feature_type", types, n_features));
    *n = m.n_rows;
    *target = read_target(p, view, m.n_rows);
    check(p, p->xgb.XGDMatrixSetDenseInfo(matrix, "label", *target, m.n_rows, 1));
    column_matrix_fini(&m);
    for (size_t j = 0; j < n_features; j++)
        free((void *)(uintptr_t)want[j].categories);
    free(want);
    free(types);
    return matrix;
}

/* ---- Training ---- */

static void set(struct peer *p, const char *name, const char *value)
{
    check(p, p->xgb.XGBoosterSetParam(p->booster, name, value));
}

static void set_params(struct peer *p, const float *target, size_t n, const char *threads)
{
    static const char *const same[][2] = {{"max_depth", "max_depth"},
                                          {"learning_rate", "eta"},
                                          {"min_child_weight", "min_child_weight"},
                                          {"gamma", "gamma"},
                                          {"subsample", "subsample"},
                                          {"colsample", "colsample_bytree"},
                                          {"reg_lambda", "lambda"},
                                          {"reg_alpha", "alpha"},
                                          {"max_bins", "max_bin"},
                                          {"max_delta_step", "max_delta_step"},
                                          {"scale_pos_weight", "scale_pos_weight"},
                                          {"max_cat_to_onehot", "max_cat_to_onehot"},
                                          {"max_cat_threshold", "max_cat_threshold"},
                                          {"colsample_level", "colsample_bylevel"},
                                          {"colsample_node", "colsample_bynode"}};
    const json_t *params = json_object_get(p->manifest, "params");
    char text[40];
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        snprintf(text, sizeof text, "%.17g",
                 json_number_value(json_object_get(params, same[i][0])));
        set(p, same[i][1], text);
    }
    snprintf(text, sizeof text, "%lld",
             (long long)json_integer_value(json_object_get(p->manifest, "seed")));
    set(p, "seed", text);
    set(p, "tree_method", "hist");
    set(p, "nthread", threads);
    if (json_object_get(p->manifest, "positive")) {
        set(p, "objective", "binary:logistic");
        return;
    }
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += target[i];
    snprintf(text, sizeof text, "%.17g", (double)(float)(sum / (long double)n));
    set(p, "objective", "reg:squarederror");
    set(p, "base_score", text);
}

static double run(struct peer *p, const char *train, const char *test, const char *threads)
{
    float *y, *y_test;
    size_t n, n_test;
    const float *predicted;
    const bst_ulong *shape;
    bst_ulong dimensions;
    DMatrixHandle a = read_matrix(p, "train", train, &y, &n);
    DMatrixHandle b = read_matrix(p, "test", test, &y_test, &n_test);
    const json_t *trained = json_object_get(p->manifest, "trained");
    json_int_t rounds = json_integer_value(json_object_get(trained, "rounds_kept"));
    check(p, p->xgb.XGBoosterCreate(&a, 1, &p->booster));
    set_params(p, y, n, threads);
    for (json_int_t r = 0; r < rounds; r++)
        check(p, p->xgb.XGBoosterUpdateOneIter(p->booster, (int)r, a));
    const char *config = "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, "
                         "\"iteration_end\": 0, \"strict_shape\": true}";
    check(p, p->xgb.XGBoosterPredictFromDMatrix(p->booster, b, config, &shape, &dimensions,
                                                &predicted));
    bool binary = json_object_get(p->manifest, "positive") != NULL;
    double result = (binary ? roc_auc : rmse)(predicted, y_test, n_test);
    p->xgb.XGBoosterFree(p->booster);
    p->xgb.XGDMatrixFree(a);
    p->xgb.XGDMatrixFree(b);
    free(y);
    free(y_test);
    return result;
}

int main(int argc, char **argv)
{
    struct peer p = {0};
    struct nx_err err;
    char path[4096];
    if (argc == 1)
        return test_counting();
    if (argc < 4)
        stop("usage", "test_xgboost MODEL TRAIN.parquet TEST.parquet [THREADS]");
    snprintf(path, sizeof path, "%s/nexus.json", argv[1]);
    p.manifest = json_load_file(path, 0, NULL);
    struct data_settings settings = {.threads = 2};
    if (!p.manifest)
        stop(path, "cannot be read");
    if (!xgb_load(&p.xgb, &err) || !data_open(&settings, &p.db, &err))
        stop("start", err.text);
    printf("%.17g\n", run(&p, argv[2], argv[3], argc > 4 ? argv[4] : "1"));
    data_close(p.db);
    json_decref(p.manifest);
    return 0;
}
