/* Logistic regression, binary and softmax, by liblbfgs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lbfgs.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/ml/ml.h"
#include "lib/stat/stat.h"

#define STOP_SEPARABLE 1001
#define STOP_CANCELLED 1002

struct logistic {
    const struct ml_problem *problem;
    const struct ml_report *report;
    size_t n_outputs; /* 1: binary */
    double l1, l2, weights;
    int64_t max_iter;
    bool separated; /* each row is on its side, at the point last evaluated */
    double length;  /* of the gradient there, relative */
    double *z;      /* n_outputs */
};

/* Loss of one row; z becomes its derivative by the margins. */
static double row_loss(struct logistic *l, double *z, double target)
{
    size_t n = l->n_outputs;
    if (n == 1) {
        double margin = target == 1 ? z[0] : -z[0];
        l->separated = l->separated && margin > 0;
        double p = linear_logistic(z[0]);
        z[0] = p - target;
        return margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
    }
    size_t own = (size_t)target;
    double max = z[0], sum = 0, mine = z[own];
    for (size_t k = 1; k < n; k++)
        max = z[k] > max ? z[k] : max;
    for (size_t k = 0; k < n; k++)
        l->separated = l->separated && (k == own || z[k] < mine);
    for (size_t k = 0; k < n; k++)
        sum += z[k] = exp(z[k] - max);
    for (size_t k = 0; k < n; k++)
        z[k] = z[k] / sum - (k == own);
    return log(sum) - (mine - max);
}

/* Variables: n_outputs x n_features coefficients, then n_outputs intercepts, then zeros up to a
 * multiple of 8 (liblbfgs may be built to need that). The function is the mean loss. */
static lbfgsfloatval_t evaluate(void *arg, const lbfgsfloatval_t *w, lbfgsfloatval_t *gradient,
                                const int n_variables, const lbfgsfloatval_t step)
{
    struct logistic *l = arg;
    const struct ml_rows *rows = &l->problem->rows;
    size_t p = rows->n_features, outputs = l->n_outputs;
    const double *intercepts = w + outputs * p;
    struct stat_sum loss = {0};
    (void)step;
    memset(gradient, 0, (size_t)n_variables * sizeof *gradient);
    l->separated = true;
    for (size_t i = 0; i < rows->n_rows; i++) {
        const double *x = rows->as_double + i * p;
        double weight = rows->weight ? rows->weight[i] : 1;
        for (size_t k = 0; k < outputs; k++) {
            double sum = intercepts[k];
            for (size_t j = 0; j < p; j++)
                sum += w[k * p + j] * x[j];
            l->z[k] = sum;
        }
        stat_sum_add(&loss, weight * row_loss(l, l->z, rows->target[i]));
        for (size_t k = 0; k < outputs; k++) {
            double d = weight * l->z[k], *g = gradient + k * p;
            for (size_t j = 0; j < p; j++)
                g[j] += d * x[j];
            gradient[outputs * p + k] += d;
        }
    }
    double squares = 0;
    for (size_t j = 0; j < outputs * p; j++) {
        squares += w[j] * w[j];
        gradient[j] += l->l2 * w[j];
    }
    for (int j = 0; j < n_variables; j++)
        gradient[j] /= l->weights;
    return (stat_sum_get(&loss) + l->l2 / 2 * squares) / l->weights;
}

static int progress(void *arg, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g,
                    const lbfgsfloatval_t fx, const lbfgsfloatval_t xnorm,
                    const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n, int k, int ls)
{
    struct logistic *l = arg;
    (void)x, (void)g, (void)step, (void)n, (void)ls;
    l->length = gnorm / (xnorm > 1 ? xnorm : 1);
    if (l->report->metric)
        l->report->metric(l->report->arg, "training_loss", fx, k - 1);
    if (l->report->round)
        l->report->round(l->report->arg, k - 1, l->max_iter);
    if (l->report->cancelled && l->report->cancelled(l->report->arg))
        return STOP_CANCELLED;
    return l->separated && l->l1 == 0 && l->l2 == 0 ? STOP_SEPARABLE : 0;
}

static bool explain(const struct logistic *l, int status, double tol, struct nx_err *err)
{
    char text[320] = "";
    if (status == STOP_CANCELLED)
        return nx_fail(err, NX_E_CANCELLED, "cancelled");
    if (status == STOP_SEPARABLE)
        snprintf(
            text, sizeof text,
            "a plane separates the classes, so that without a penalty no coefficients are the "
            "best (they grow without end): stopped at the first that separate; set l2 above 0");
    else if (status == LBFGSERR_MAXIMUMITERATION)
        snprintf(text, sizeof text,
                 "not converged after max_iter = %lld iterations (gradient %.2g, tol %.2g): raise "
                 "max_iter, or standardize the inputs",
                 (long long)l->max_iter, l->length, tol);
    else if (status < 0 && l->length > 1e-3)
        return nx_fail(err, NX_E_DATA,
                       "logistic regression did not converge (L-BFGS: %d, gradient %.2g): "
                       "standardize the inputs or raise l2",
                       status, l->length);
    else if (status < 0 && l->length > 10 * tol)
        snprintf(text, sizeof text,
                 "stopped by rounding before tol = %.2g was reached (gradient %.2g)", tol,
                 l->length);
    if (text[0] && l->report->warn)
        l->report->warn(l->report->arg, text);
    return true;
}

static int minimise(struct logistic *l, double *w, size_t n, size_t n_coefficients, double tol)
{
    lbfgs_parameter_t parameter;
    lbfgs_parameter_init(&parameter);
    parameter.m = 10;
    parameter.epsilon = tol;
    parameter.max_iterations = (int)l->max_iter;
    parameter.max_linesearch = 60;
    if (l->l1 > 0) {
        parameter.linesearch = LBFGS_LINESEARCH_BACKTRACKING;
        parameter.orthantwise_c = l->l1 / l->weights;
        parameter.orthantwise_start = 0;
        parameter.orthantwise_end = (int)n_coefficients;
    }
    return lbfgs((int)n, w, NULL, evaluate, progress, l, &parameter);
}

bool ml_logistic(const struct ml_problem *problem, const struct ml_params *params,
                 const struct ml_report *report, struct arena *arena, struct linear *linear,
                 char version[32], struct nx_err *err)
{
    const struct ml_rows *rows = &problem->rows;
    must(rows->as_double != NULL && params->algorithm->kind == ML_LOGISTIC);
    must(problem->task != MODEL_REGRESSION);
    struct logistic l = {.problem = problem, .report = report};
    l.n_outputs = problem->task == MODEL_BINARY ? 1 : problem->n_classes;
    l.l1 = ml_param(params, "l1");
    l.l2 = ml_param(params, "l2");
    l.max_iter = (int64_t)ml_param(params, "max_iter");
    struct stat_sum weights = {0};
    for (size_t i = 0; i < rows->n_rows; i++)
        stat_sum_add(&weights, rows->weight ? rows->weight[i] : 1);
    l.weights = stat_sum_get(&weights);
    size_t p = rows->n_features, n_coefficients = l.n_outputs * p;
    size_t n = (n_coefficients + l.n_outputs + 7) / 8 * 8;
    if (n > INT32_MAX)
        return nx_fail(err, NX_E_LIMIT, "%zu coefficients are too many", n);
    double *w = lbfgs_malloc((int)n);
    must(w != NULL);
    memset(w, 0, n * sizeof *w);
    l.z = mem_alloc_array(l.n_outputs, sizeof *l.z);
    double tol = ml_param(params, "tol");
    bool ok = explain(&l, minimise(&l, w, n, n_coefficients, tol), tol, err);
    if (ok) {
        *linear =
            (struct linear){l.n_outputs == 1 ? LINEAR_LOGISTIC : LINEAR_SOFTMAX, p, l.n_outputs,
                            arena_dup(arena, w, (n_coefficients + 1) * sizeof *w),
                            arena_dup(arena, w + n_coefficients, l.n_outputs * sizeof *w)};
        snprintf(version, 32, "1.10");
    }
    mem_free(l.z);
    lbfgs_free(w);
    return ok;
}
