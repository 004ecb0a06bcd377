/* Linear regression and ridge by LAPACK. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/ml/lapack.h"
#include "lib/ml/ml.h"
#include "lib/stat/stat.h"

/* Weighted means of each feature (n_features of them) and, last, of the target. */
static void means_of(const struct ml_rows *rows, double *means)
{
    size_t p = rows->n_features;
    struct stat_sum weights = {0};
    for (size_t i = 0; i < rows->n_rows; i++)
        stat_sum_add(&weights, rows->weight ? rows->weight[i] : 1);
    for (size_t j = 0; j <= p; j++) {
        struct stat_sum sum = {0};
        for (size_t i = 0; i < rows->n_rows; i++) {
            double v = j < p ? rows->as_double[i * p + j] : rows->target[i];
            stat_sum_add(&sum, (rows->weight ? rows->weight[i] : 1) * v);
        }
        means[j] = stat_sum_get(&sum) / stat_sum_get(&weights);
    }
}

/* Centred features, column-major, and the centred target; rows scaled by the root of their weight.
 */
static void centre(const struct ml_rows *rows, const double *means, double *a, double *b)
{
    size_t p = rows->n_features, n = rows->n_rows;
    for (size_t i = 0; i < n; i++) {
        double root = rows->weight ? sqrt(rows->weight[i]) : 1;
        for (size_t j = 0; j < p; j++)
            a[j * n + i] = root * (rows->as_double[i * p + j] - means[j]);
        b[i] = root * (rows->target[i] - means[p]);
    }
}

static void warn_of_rank(const struct ml_report *report, size_t rank, size_t p)
{
    char text[256];
    snprintf(text, sizeof text,
             "%zu of the %zu features are combinations of others (one-hot columns always are): of "
             "all equally good coefficients those with the least norm were taken",
             p - rank, p);
    if (report->warn && rank < p)
        report->warn(report->arg, text);
}

static bool minimum_norm(const struct lapack *lapack, double *a, double *b, size_t n, size_t p,
                         const struct ml_report *report, double *w, struct nx_err *err)
{
    lapack_int rank = 0;
    size_t larger = n > p ? n : p, smaller = n < p ? n : p;
    double *singular = mem_alloc_array(smaller + 1, sizeof *singular);
    double limit = DBL_EPSILON * (double)larger;
    lapack_int info = lapack->dgelsd(LAPACK_COL_MAJOR, (lapack_int)n, (lapack_int)p, 1, a,
                                     (lapack_int)n, b, (lapack_int)larger, singular, limit, &rank);
    mem_free(singular);
    if (info != 0)
        return nx_fail(err, NX_E_DATA, "least squares did not converge (dgelsd: %d)", (int)info);
    for (size_t j = 0; j < p; j++)
        w[j] = b[j];
    warn_of_rank(report, (size_t)rank, p);
    return true;
}

static double product(const double *x, const double *y, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t k = 0; k < 4; k++)
            sum[k] += x[i + k] * y[i + k];
    }
    for (; i < n; i++)
        sum[0] += x[i] * y[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static bool ridge(const struct lapack *lapack, const double *a, const double *b, size_t n, size_t p,
                  double l2, double *w, struct nx_err *err)
{
    double *gram = mem_alloc_array(p * p + 1, sizeof *gram);
    for (size_t j = 0; j < p; j++) {
        for (size_t k = 0; k <= j; k++)
            gram[k * p + j] = product(a + j * n, a + k * n, n);
        gram[j * p + j] += l2;
        w[j] = product(a + j * n, b, n);
    }
    lapack_int info = lapack->dposv(LAPACK_COL_MAJOR, 'L', (lapack_int)p, 1, gram, (lapack_int)p, w,
                                    (lapack_int)p);
    mem_free(gram);
    if (info != 0)
        return nx_fail(err, NX_E_DATA,
                       "ridge: l2 = %g is too small for these features (Cholesky broke at feature "
                       "%d); take a larger l2, or 0",
                       l2, (int)info);
    return true;
}

bool ml_least_squares(const struct ml_problem *problem, const struct ml_params *params,
                      const struct ml_report *report, struct arena *arena, struct linear *linear,
                      struct ml_library *library, struct nx_err *err)
{
    const struct ml_rows *rows = &problem->rows;
    size_t n = rows->n_rows, p = rows->n_features, larger = n > p ? n : p;
    must(rows->as_double != NULL && params->algorithm->kind == ML_LEAST_SQUARES);
    struct lapack lapack;
    if (n > INT32_MAX || p > INT32_MAX)
        return nx_fail(err, NX_E_LIMIT, "linear regression takes at most %d rows", INT32_MAX);
    if (!lapack_load(&lapack, err))
        return false;
    double *means = mem_alloc_array(p + 1, sizeof *means);
    double *a = mem_try_alloc((n * p + 1) * sizeof *a);
    double *b = mem_alloc_array(larger + 1, sizeof *b);
    double *w = arena_array(arena, p + 1, sizeof *w), l2 = ml_param(params, "l2");
    bool ok = a != NULL;
    if (!ok)
        nx_fail(err, NX_E_MEMORY, "no memory for %zu x %zu numbers", n, p);
    if (ok) {
        means_of(rows, means);
        centre(rows, means, a, b);
        ok = p == 0 || (l2 > 0 ? ridge(&lapack, a, b, n, p, l2, w, err)
                               : minimum_norm(&lapack, a, b, n, p, report, w, err));
    }
    if (ok) {
        *linear = (struct linear){LINEAR_IDENTITY, p, 1, w, arena_array(arena, 1, sizeof(double))};
        struct stat_sum intercept = {means[p], 0};
        for (size_t j = 0; j < p; j++)
            stat_sum_add(&intercept, -w[j] * means[j]);
        linear->intercepts[0] = stat_sum_get(&intercept);
        library->name = "lapack";
        snprintf(library->version, sizeof library->version, "%s", lapack.version);
    }
    mem_free(b);
    mem_free(a);
    mem_free(means);
    return ok;
}
