/* Linear models: a weighted sum and a link, in double. PURE. */
#ifndef LIB_MODEL_LINEAR_H
#define LIB_MODEL_LINEAR_H

#include <stddef.h>
#include <stdint.h>

enum linear_link { LINEAR_IDENTITY, LINEAR_LOGISTIC, LINEAR_SOFTMAX, LINEAR_LINKS };

struct linear {
    enum linear_link link;
    size_t n_features, n_outputs;
    double *coefficients; /* n_outputs x n_features, row-major */
    double *intercepts;   /* n_outputs */
};

/* Values: n x n_outputs, row-major: intercept + coefficient * feature, added in the order of the
 * features, then the link (LINEAR_LOGISTIC: 1 / (1 + e^-z)). */
void linear_predict(const struct linear *linear, const double *features, size_t n, double *values);

/* 1 / (1 + e^-z) without overflow. */
double linear_logistic(double z);

#endif
