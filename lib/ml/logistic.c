/* Logistic regression, binary and softmax: Newton's method, or where that is no good liblbfgs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lbfgs.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/ml/loss.h"
#include "lib/ml/ml.h"

#define STOP_SEPARABLE 1001
#define STOP_CANCELLED 1002

struct logistic {
    struct loss loss;
    const struct ml_report *report;
    double l1, tol;
    int64_t max_iter;
    double *point;
    double length; /* L-BFGS: of the gradient at the point last looked at, relative */
};

/* ---- After each iteration ---- */

static int each(void *arg, double value, int64_t iteration)
{
    struct logistic *l = arg;
    const struct ml_report *report = l->report;
    if (report->metric)
        report->metric(report->arg, "training_loss", value, iteration - 1);
    if (report->round)
        report->round(report->arg, iteration - 1, l->max_iter);
    if (report->cancelled && report->cancelled(report->arg))
        return STOP_CANCELLED;
    return l->loss.separated && l->l1 == 0 && l->loss.l2 == 0 ? STOP_SEPARABLE : 0;
}

static void warn(const struct logistic *l, const char *text)
{
    if (l->report->warn)
        l->report->warn(l->report->arg, text);
}

static bool stopped(const struct logistic *l, int by, struct nx_err *err)
{
    if (by == STOP_CANCELLED)
        return nx_fail(err, NX_E_CANCELLED, "cancelled");
    warn(l, "a plane separates the classes, so that without a penalty no coefficients are the best "
            "(they grow without end): stopped at the first that separate; set l2 above 0");
    return true;
}

static void not_converged(const struct logistic *l, const char *what, double is)
{
    char text[256];
    snprintf(
        text, sizeof text,
        "not converged after max_iter = %lld iterations (%s %.2g, tol %.2g): raise max_iter, or "
        "standardize the inputs",
        (long long)l->max_iter, what, is, l->tol);
    warn(l, text);
}

/* ---- L-BFGS, OWL-QN ---- */

/* Variables beyond the loss's are zeros up to a multiple of 8 (liblbfgs may be built to need that).
 */
static lbfgsfloatval_t evaluate(void *arg, const lbfgsfloatval_t *w, lbfgsfloatval_t *gradient,
                                const int n_variables, const lbfgsfloatval_t step)
{
    struct logistic *l = arg;
    size_t n = l->loss.n_variables;
    (void)step;
    memset(gradient + n, 0, ((size_t)n_variables - n) * sizeof *gradient);
    return loss_at(&l->loss, w, gradient, NULL);
}

static int progress(void *arg, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g,
                    const lbfgsfloatval_t fx, const lbfgsfloatval_t xnorm,
                    const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n, int k, int ls)
{
    struct logistic *l = arg;
    (void)x, (void)g, (void)step, (void)n, (void)ls;
    l->length = gnorm / (xnorm > 1 ? xnorm : 1);
    return each(l, fx, k);
}

static bool by_lbfgs(struct logistic *l, size_t room, struct nx_err *err)
{
    lbfgs_parameter_t parameter;
    lbfgs_parameter_init(&parameter);
    parameter.m = 20;
    parameter.epsilon = l->tol;
    parameter.max_iterations = (int)l->max_iter;
    parameter.max_linesearch = 60;
    if (l->l1 > 0) {
        parameter.linesearch = LBFGS_LINESEARCH_BACKTRACKING;
        parameter.orthantwise_c = l->l1 / l->loss.weights;
        parameter.orthantwise_start = 0;
        parameter.orthantwise_end = (int)(l->loss.n_outputs * l->loss.rows->n_features);
    }
    memset(l->point, 0, room * sizeof *l->point);
    int status = lbfgs((int)room, l->point, NULL, evaluate, progress, l, &parameter);
    if (status == STOP_CANCELLED || status == STOP_SEPARABLE)
        return stopped(l, status, err);
    double *gradient = mem_alloc_array(l->loss.n_variables, sizeof *gradient);
    bool finite = isfinite(loss_at(&l->loss, l->point, gradient, NULL));
    for (size_t i = 0; i < l->loss.n_variables; i++)
        finite = finite && isfinite(gradient[i]);
    mem_free(gradient);
    if (!finite)
        return nx_fail(
            err, NX_E_DATA,
            "logistic regression meets numbers too large for it: standardize the inputs, "
            "or leave the column of large numbers out");
    if (status == LBFGSERR_MAXIMUMITERATION) {
        not_converged(l, "gradient", l->length);
    } else if (status < 0 && l->length > 1e-3) {
        return nx_fail(err, NX_E_DATA,
                       "logistic regression did not converge (L-BFGS: %d, gradient %.2g): "
                       "standardize the inputs or raise l2",
                       status, l->length);
    } else if (status < 0 && l->length > 10 * l->tol) {
        char text[160];
        snprintf(text, sizeof text,
                 "stopped by rounding before tol = %.2g was reached (gradient %.2g)", l->tol,
                 l->length);
        warn(l, text);
    }
    return true;
}

/* ---- Newton ---- */

/* False: no good, L-BFGS is to try. */
static bool by_newton(struct logistic *l, bool *ok, struct nx_err *err)
{
    struct newton how = {.tol = l->tol, .max_iter = l->max_iter, .each = each, .arg = l};
    enum newton_end end = newton_minimise(&l->loss, l->point, &how);
    *ok = true;
    if (end == NEWTON_STOPPED)
        *ok = stopped(l, how.stopped_by, err);
    else if (end == NEWTON_ITERATIONS)
        not_converged(l, "probabilities are off by up to", fmin(how.left / 2, 1));
    else if (end == NEWTON_ROUNDING)
        return how.left <= 1e-6;
    return true;
}

/* ---- All of it ---- */

bool ml_logistic(const struct ml_problem *problem, const struct ml_params *params,
                 const struct ml_report *report, struct arena *arena, struct linear *linear,
                 struct ml_library *library, struct nx_err *err)
{
    size_t p = problem->rows.n_features;
    must(problem->rows.as_double != NULL && params->algorithm->kind == ML_LOGISTIC);
    must(problem->task != MODEL_REGRESSION);
    struct logistic l = {.report = report, .l1 = ml_param(params, "l1")};
    size_t outputs = problem->task == MODEL_BINARY ? 1 : problem->n_classes;
    size_t room = (outputs * (p + 1) + 7) / 8 * 8;
    if (room > INT32_MAX)
        return nx_fail(err, NX_E_LIMIT, "%zu coefficients are too many", room);
    loss_init(&l.loss, problem, ml_param(params, "l2"), l.l1 == 0);
    l.tol = ml_param(params, "tol");
    l.max_iter = (int64_t)ml_param(params, "max_iter");
    l.point = lbfgs_malloc((int)room);
    must(l.point != NULL);
    memset(l.point, 0, room * sizeof *l.point);
    bool ok;
    *library = (struct ml_library){"nexus", NEXUS_VERSION};
    if (l.l1 > 0 || !newton_fits(&l.loss) || !by_newton(&l, &ok, err)) {
        *library = (struct ml_library){"liblbfgs", "1.10"};
        ok = by_lbfgs(&l, room, err);
    }
    if (ok) {
        *linear = (struct linear){outputs == 1 ? LINEAR_LOGISTIC : LINEAR_SOFTMAX, p, outputs,
                                  arena_array(arena, outputs * p + 1, sizeof(double)),
                                  arena_array(arena, outputs, sizeof(double))};
        loss_model(&l.loss, l.point, linear->coefficients, linear->intercepts);
    }
    lbfgs_free(l.point);
    loss_fini(&l.loss);
    return ok;
}
