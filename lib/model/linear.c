#include "lib/model/linear.h"

#include <math.h>

double linear_logistic(double z)
{
    if (z >= 0)
        return 1 / (1 + exp(-z));
    double e = exp(z);
    return e / (1 + e);
}

static void softmax(double *z, size_t n)
{
    double max = z[0], sum = 0;
    for (size_t k = 1; k < n; k++)
        max = z[k] > max ? z[k] : max;
    for (size_t k = 0; k < n; k++)
        sum += z[k] = exp(z[k] - max);
    for (size_t k = 0; k < n; k++)
        z[k] /= sum;
}

void linear_predict(const struct linear *linear, const double *features, size_t n, double *values)
{
    size_t n_features = linear->n_features, n_outputs = linear->n_outputs;
    for (size_t i = 0; i < n; i++) {
        const double *x = features + i * n_features;
        double *z = values + i * n_outputs;
        for (size_t k = 0; k < n_outputs; k++) {
            const double *c = linear->coefficients + k * n_features;
            double sum = linear->intercepts[k];
            for (size_t j = 0; j < n_features; j++)
                sum += c[j] * x[j];
            z[k] = linear->link == LINEAR_LOGISTIC ? linear_logistic(sum) : sum;
        }
        if (linear->link == LINEAR_SOFTMAX)
            softmax(z, n_outputs);
    }
}
