/* Newton's method for lib/ml/loss.h. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/ml/loss.h"

#define VARIABLES_MAX 2000
#define GRADIENTS_MAX 200 /* a Hessian may cost as much as that many gradients */
#define DAMPING_LEAST 1e-13
#define DAMPING_MOST 1e-2
#define HALVINGS 50

struct work {
    size_t n;
    double *hessian, *factor, *diagonal; /* diagonal: roots of the Hessian's */
    double *gradient, *ordered;          /* as the variables are, as the Hessian is */
    double *step, *trial;                /* as the variables are */
    double damping;
};

bool newton_fits(const struct loss *l)
{
    double outputs = (double)l->n_outputs, p = (double)l->rows->n_features + 1;
    return l->n_variables <= VARIABLES_MAX &&
           outputs * outputs * l->pairs / 2 <= GRADIENTS_MAX * 2 * p * outputs;
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

/* The Hessian, scaled to a diagonal of 1 and damped, to L L'. */
static bool factorise(struct work *w)
{
    size_t n = w->n;
    for (size_t i = 0; i < n; i++) {
        double d = w->hessian[i * n + i];
        w->diagonal[i] = d > 0 ? sqrt(d) : 1;
    }
    for (size_t i = 0; i < n; i++) {
        double *row = w->factor + i * n;
        for (size_t j = 0; j <= i; j++) {
            const double *other = w->factor + j * n;
            double h = w->hessian[i * n + j] / w->diagonal[i] / w->diagonal[j];
            double rest = h + (i == j ? w->damping : 0) - product(row, other, j);
            if (i == j && !(rest > w->damping / 4))
                return false;
            row[j] = i == j ? sqrt(rest) : rest / other[j];
        }
    }
    return true;
}

/* step = -H^-1 gradient; returns gradient' H^-1 gradient, below 0 when there is no step. */
static double find_step(const struct loss *l, struct work *w)
{
    size_t n = w->n;
    double squares = 0, *x = w->ordered;
    while (!factorise(w)) {
        w->damping *= 10;
        if (!(w->damping <= DAMPING_MOST))
            return -1;
    }
    for (size_t i = 0; i < n; i++) {
        double g = w->gradient[loss_variable(l, i)] / w->diagonal[i];
        x[i] = (g - product(w->factor + i * n, x, i)) / w->factor[i * n + i];
        squares += x[i] * x[i];
    }
    for (size_t i = n; i-- > 0;) {
        x[i] /= w->factor[i * n + i];
        for (size_t j = 0; j < i; j++)
            x[j] -= w->factor[i * n + j] * x[i];
    }
    for (size_t i = 0; i < n; i++)
        w->step[loss_variable(l, i)] = -x[i] / w->diagonal[i];
    return squares;
}

/* The longest of 1, 1/2, 1/4 ... steps that goes down enough; false: none does. Where the fall to
 * be had is lost in the value's rounding, the whole step is taken: the minimum is near. */
static bool go(struct loss *l, struct work *w, double *point, double squares, double *value)
{
    double length = 1, rounding = 1e-14 * fabs(*value);
    for (int i = 0; i < HALVINGS; i++, length /= 2) {
        for (size_t k = 0; k < w->n; k++)
            w->trial[k] = point[k] + length * w->step[k];
        double at = loss_at(l, w->trial, w->gradient, w->hessian);
        bool lost = squares / 2 <= rounding && at <= *value + 10 * rounding;
        if (lost || at <= *value - 1e-4 * length * squares) {
            memcpy(point, w->trial, w->n * sizeof *point);
            *value = at;
            return true;
        }
    }
    return false;
}

static enum newton_end iterate(struct loss *l, struct work *w, double *point, struct newton *how)
{
    double value = loss_at(l, point, w->gradient, w->hessian), last = INFINITY;
    for (int64_t iteration = 1;; iteration++) {
        double squares = find_step(l, w);
        how->left = squares < 0 ? (double)INFINITY : sqrt(l->weights * squares);
        how->stopped_by = how->each(how->arg, value, iteration);
        if (how->stopped_by)
            return NEWTON_STOPPED;
        if (squares < 0)
            return NEWTON_ROUNDING;
        if (how->left <= how->tol) { /* the step is known: it is a present */
            for (size_t k = 0; k < w->n; k++)
                point[k] += w->step[k];
            return NEWTON_CONVERGED;
        }
        if (squares / 2 <= 1e-14 * fabs(value) && squares > last / 4)
            return NEWTON_ROUNDING;
        if (iteration >= how->max_iter)
            return NEWTON_ITERATIONS;
        last = squares;
        if (!go(l, w, point, squares, &value))
            return NEWTON_ROUNDING;
    }
}

enum newton_end newton_minimise(struct loss *l, double *point, struct newton *how)
{
    size_t n = l->n_variables;
    must(n <= VARIABLES_MAX && how->max_iter >= 1);
    struct work w = {.n = n, .damping = DAMPING_LEAST};
    w.hessian = mem_alloc_array(n * n, sizeof *w.hessian);
    w.factor = mem_alloc_array(n * n, sizeof *w.factor);
    w.diagonal = mem_alloc_array(n, sizeof *w.diagonal);
    w.gradient = mem_alloc_array(n, sizeof *w.gradient);
    w.ordered = mem_alloc_array(n, sizeof *w.ordered);
    w.step = mem_alloc_array(n, sizeof *w.step);
    w.trial = mem_alloc_array(n, sizeof *w.trial);
    enum newton_end end = iterate(l, &w, point, how);
    mem_free(w.hessian);
    mem_free(w.factor);
    mem_free(w.diagonal);
    mem_free(w.gradient);
    mem_free(w.ordered);
    mem_free(w.step);
    mem_free(w.trial);
    return end;
}
