#include "lib/ml/matrix.h"

#include <stdio.h>

#include "lib/base/mem.h"

/* XGBoost takes arrays by address, said in JSON. */
static void describe(const struct ml_rows *rows, size_t n_rows, char *to, size_t size)
{
    snprintf(
        to, size,
        "{\"data\": [%llu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", \"version\": 3}",
        (unsigned long long)(uintptr_t)rows->as_float, n_rows, rows->n_features);
}

static bool set_floats(const struct xgb *x, DMatrixHandle matrix, const char *field,
                       const double *values, size_t n, struct nx_err *err)
{
    float *floats = mem_alloc_array(n + 1, sizeof *floats);
    for (size_t i = 0; i < n; i++)
        floats[i] = (float)values[i];
    bool ok = xgb_ok(x, x->XGDMatrixSetDenseInfo(matrix, field, floats, n, 1), field, err);
    mem_free(floats);
    return ok;
}

/* Target, weights, names and types of the features. */
static bool set_info(const struct xgb *x, const struct ml_problem *problem,
                     const struct ml_rows *rows, size_t n_rows, DMatrixHandle matrix,
                     struct nx_err *err)
{
    size_t n = rows->n_features;
    const char **texts = mem_alloc_array(n + 1, sizeof *texts);
    bool ok = set_floats(x, matrix, "label", rows->target, n_rows, err) &&
              (!rows->weight || set_floats(x, matrix, "weight", rows->weight, n_rows, err));
    for (size_t j = 0; j < n; j++)
        texts[j] = problem->features[j].n_categories ? "c" : "q";
    ok = ok && xgb_ok(x, x->XGDMatrixSetStrFeatureInfo(matrix, "feature_type", texts, n),
                      "feature types", err);
    for (size_t j = 0; j < n; j++)
        texts[j] = problem->features[j].name;
    ok = ok && xgb_ok(x, x->XGDMatrixSetStrFeatureInfo(matrix, "feature_name", texts, n),
                      "feature names", err);
    mem_free(texts);
    return ok;
}

bool matrix_plain(const struct xgb *x, const struct ml_problem *problem, const struct ml_rows *rows,
                  size_t n_rows, DMatrixHandle *matrix, struct nx_err *err)
{
    char array[256], config[64];
    DMatrixHandle made;
    describe(rows, n_rows, array, sizeof array);
    snprintf(config, sizeof config, "{\"missing\": NaN, \"nthread\": %d}", problem->threads);
    if (!xgb_ok(x, x->XGDMatrixCreateFromDense(array, config, &made), "matrix", err))
        return false;
    if (!set_info(x, problem, rows, n_rows, made, err)) {
        x->XGDMatrixFree(made);
        return false;
    }
    *matrix = made;
    return true;
}

/* ---- Bins: XGBoost asks for the rows, which are one batch, as often as it wants ---- */

struct batches {
    const struct xgb *xgb;
    const struct ml_problem *problem;
    const struct ml_rows *rows;
    DMatrixHandle proxy;
    bool given;
    struct nx_err err;
    bool failed;
};

static void rewind_batches(DataIterHandle handle)
{
    ((struct batches *)handle)->given = false;
}

static int next_batch(DataIterHandle handle)
{
    struct batches *b = handle;
    char array[256];
    if (b->given || b->failed)
        return 0;
    b->given = true;
    describe(b->rows, b->rows->n_rows, array, sizeof array);
    b->failed =
        !xgb_ok(b->xgb, b->xgb->XGProxyDMatrixSetDataDense(b->proxy, array), "matrix", &b->err) ||
        !set_info(b->xgb, b->problem, b->rows, b->rows->n_rows, b->proxy, &b->err);
    return !b->failed;
}

bool matrix_of_bins(const struct xgb *x, const struct ml_problem *problem,
                    const struct ml_rows *rows, int64_t max_bins, DMatrixHandle *matrix,
                    struct nx_err *err)
{
    struct batches b = {.xgb = x, .problem = problem, .rows = rows};
    char config[96];
    if (!xgb_ok(x, x->XGProxyDMatrixCreate(&b.proxy), "matrix", err))
        return false;
    snprintf(config, sizeof config, "{\"missing\": NaN, \"nthread\": %d, \"max_bin\": %lld}",
             problem->threads, (long long)max_bins);
    bool ok = xgb_ok(x,
                     x->XGQuantileDMatrixCreateFromCallback(&b, b.proxy, NULL, rewind_batches,
                                                            next_batch, config, matrix),
                     "bins", err);
    x->XGDMatrixFree(b.proxy);
    if (!ok && b.failed && err)
        *err = b.err;
    return ok;
}
