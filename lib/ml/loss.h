/* What logistic regression minimises: the mean loss of the rows and the penalty, with gradient and
 * Hessian.
 *
 * Variables are in coordinates in which the columns are alike: a feature counts as (x - shift) /
 * scale, so that a column of large numbers or far from 0 spoils no minimiser. The penalty is that
 * of the coefficients of the features as they are. Variables: n_outputs x n_features, then
 * n_outputs intercepts. */
#ifndef LIB_ML_LOSS_H
#define LIB_ML_LOSS_H

#include "lib/ml/ml.h"

struct loss {
    const struct ml_rows *rows;
    size_t n_outputs; /* 1: binary */
    size_t n_variables;
    double l2, weights;
    double *shift, *scale; /* per feature */
    bool separated;        /* each row was on its side, at the point last looked at */
    double pairs; /* mean of squared entries that are not 0 in a row: what a Hessian costs */
    /* One row: its entries that are not 0, the 1 of the intercept last; the margins. */
    double *value, *z;
    uint32_t *index;
    size_t n_entries;
};

/* `scales`: false leaves every scale at 1, for a penalty that knows coefficients only as they are
 * varied. */
void loss_init(struct loss *l, const struct ml_problem *problem, double l2, bool scales);
void loss_fini(struct loss *l);

/* The value at a point; its gradient; and unless NULL its Hessian, n_variables squared, row-major,
 * lower triangle, ordered by output: each one's coefficients, then its intercept. */
double loss_at(struct loss *l, const double *point, double *gradient, double *hessian);
/* Of the variable that is i-th in the Hessian: its place among the variables. */
size_t loss_variable(const struct loss *l, size_t i);
/* The coefficients and intercepts of the features as they are. */
void loss_model(const struct loss *l, const double *point, double *coefficients,
                double *intercepts);

/* ---- Newton's method, with step halving; Cholesky ---- */

enum newton_end {
    NEWTON_CONVERGED,
    NEWTON_ITERATIONS, /* used up */
    NEWTON_ROUNDING,   /* no step helps any more */
    NEWTON_STOPPED     /* by `each` */
};

struct newton {
    double tol;
    int64_t max_iter;
    /* After each iteration; not 0 stops. */
    int (*each)(void *arg, double value, int64_t iteration);
    void *arg;
    double left;    /* at the end: see below */
    int stopped_by; /* what `each` gave */
};

/* Moves the point to the minimum. Converged means: with g the gradient and H the Hessian of the
 * sum of losses, the root of g'g/H is at most tol. Half of that root bounds, to first order, how
 * far the probability of any row is from what it is at the minimum: p(1-p)|x'd| <= 1/2 |d|_H for
 * every row x that is part of H. */
enum newton_end newton_minimise(struct loss *l, double *point, struct newton *how);
/* Whether its cost is in proportion to that of gradients alone. */
bool newton_fits(const struct loss *l);

#endif
