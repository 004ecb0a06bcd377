/* Trainers: a matrix and a target in memory, a fitted predictor out. What they say on the way goes
 * through ml_report; they write no file and no log themselves.
 *
 * XGBoost and LAPACK are loaded at first use, so that a process that trains nothing does not pay
 * for them. */
#ifndef LIB_ML_ML_H
#define LIB_ML_ML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/ml/params.h"
#include "lib/model/model.h"
#include "nexus/error.h"

/* How a trainer talks to whoever waits for it; each function may be NULL. */
struct ml_report {
    void *arg;
    void (*warn)(void *arg, const char *text);
    void (*round)(void *arg, int64_t round, int64_t n_rounds); /* one more is done */
    void (*metric)(void *arg, const char *name, double v, int64_t round);
    bool (*cancelled)(void *arg);
};

/* Rows to learn from (or to be measured on). */
struct ml_rows {
    size_t n_rows, n_features;
    const float *as_float;   /* row-major; what trees take. NaN: missing */
    const double *as_double; /* row-major; what linear models take. Nothing missing */
    const double *target;    /* regression: the value; binary: 1 for the positive class, else 0;
                                multiclass: the index of the class */
    const double *weight;    /* > 0; NULL: all 1 */
};

struct ml_problem {
    enum model_task task;
    size_t n_classes; /* of the target; 0 for regression */
    const struct model_feature *features;
    struct ml_rows rows;
    struct ml_rows validation; /* n_rows 0: none */
    int threads;
    uint64_t seed;
};

/* ---- Gradient boosting: XGBoost, tree method hist ---- */

struct ml_boosted {
    struct trees trees;
    struct buf ubj; /* XGBoost's own form of the same trees */
    char library_version[32];
    int64_t rounds;     /* kept */
    int64_t best_round; /* from 0; -1 without early stopping */
    double *gain;       /* per feature: the share of all gain */
    double base_score;
};

/* Categories are XGBoost's own (feature type "c"). The same rows, parameters and seed give the same
 * trees. Before it returns, the native predictor is compared with XGBoost's on some of the rows: a
 * difference of one bit is NX_E_INTERNAL. Arrays live in the arena; free ubj with buf_fini. */
bool ml_boost(const struct ml_problem *problem, const struct ml_params *params,
              const struct ml_report *report, struct arena *arena, struct ml_boosted *boosted,
              struct nx_err *err);

/* XGBoost's JSON model text to trees and to the gain of each feature (shares). */
bool ml_trees_of_json(const char *text, size_t n, size_t n_features, struct arena *arena,
                      struct trees *trees, double *gain, struct nx_err *err);

/* ---- Linear models ---- */

/* What made a model. */
struct ml_library {
    const char *name;
    char version[32];
};

/* Least squares (LAPACK's dgelsd on centred columns: of all solutions that with the least norm), or
 * with l2 > 0 ridge (Cholesky). Warns when columns depend on each other. One thread, so that the
 * sums have one order. */
bool ml_least_squares(const struct ml_problem *problem, const struct ml_params *params,
                      const struct ml_report *report, struct arena *arena, struct linear *linear,
                      struct ml_library *library, struct nx_err *err);

/* Logistic regression, binary or softmax: minimises sum of weighted losses + l2/2 |w|^2 + l1 |w|_1,
 * intercepts free. By Newton's method (IRLS), which ends within `tol` of the optimum's
 * probabilities; with very many columns by L-BFGS (Nocedal 1980), with l1 by OWL-QN (Andrew, Gao
 * 2007). Stops and warns on rows that a plane separates without any penalty, where no best
 * coefficients exist. */
bool ml_logistic(const struct ml_problem *problem, const struct ml_params *params,
                 const struct ml_report *report, struct arena *arena, struct linear *linear,
                 struct ml_library *library, struct nx_err *err);

#endif
