#include "lib/ml/loss.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/stat/stat.h"

static double weight_of(const struct ml_rows *rows, size_t i)
{
    return rows->weight ? rows->weight[i] : 1;
}

/* ---- Coordinates ---- */

/* Shift and scale of one feature, in units of its largest value, whose square may be too large for
 * a double. A column that is mostly 0 is not shifted: its 0s cost nothing. */
static void fit_feature(struct loss *l, size_t j, bool scales)
{
    const struct ml_rows *rows = l->rows;
    size_t p = rows->n_features, there = 0;
    struct stat_sum sum = {0}, squares = {0};
    double unit = 0;
    for (size_t i = 0; i < rows->n_rows; i++)
        unit = fmax(unit, fabs(rows->as_double[i * p + j]));
    unit = unit > 0 ? unit : 1;
    for (size_t i = 0; i < rows->n_rows; i++) {
        double x = rows->as_double[i * p + j];
        there += x != 0;
        stat_sum_add(&sum, weight_of(rows, i) * (x / unit));
    }
    double mean = 2 * there > rows->n_rows ? stat_sum_get(&sum) / l->weights : 0;
    l->shift[j] = mean * unit;
    for (size_t i = 0; i < rows->n_rows; i++) {
        double x = rows->as_double[i * p + j] / unit - mean;
        stat_sum_add(&squares, weight_of(rows, i) * x * x);
    }
    double scale = sqrt(stat_sum_get(&squares) / l->weights) * unit;
    l->scale[j] = scales && scale > 1e-120 && isfinite(scale) ? scale : 1;
}

/* The entries of a row. */
static void take_row(struct loss *l, size_t i)
{
    size_t p = l->rows->n_features, n = 0;
    const double *x = l->rows->as_double + i * p;
    for (size_t j = 0; j < p; j++) {
        double v = x[j] - l->shift[j];
        if (v == 0)
            continue;
        l->value[n] = v / l->scale[j];
        l->index[n++] = (uint32_t)j;
    }
    l->value[n] = 1;
    l->index[n++] = (uint32_t)p;
    l->n_entries = n;
}

void loss_init(struct loss *l, const struct ml_problem *problem, double l2, bool scales)
{
    const struct ml_rows *rows = &problem->rows;
    size_t p = rows->n_features;
    struct stat_sum weights = {0};
    *l = (struct loss){.rows = rows, .l2 = l2};
    l->n_outputs = problem->task == MODEL_BINARY ? 1 : problem->n_classes;
    l->n_variables = l->n_outputs * (p + 1);
    for (size_t i = 0; i < rows->n_rows; i++)
        stat_sum_add(&weights, weight_of(rows, i));
    l->weights = stat_sum_get(&weights);
    l->shift = mem_alloc_array(p + 1, sizeof *l->shift);
    l->scale = mem_alloc_array(p + 1, sizeof *l->scale);
    l->value = mem_alloc_array(p + 1, sizeof *l->value);
    l->index = mem_alloc_array(p + 1, sizeof *l->index);
    l->z = mem_alloc_array(l->n_outputs, sizeof *l->z);
    for (size_t j = 0; j < p; j++)
        fit_feature(l, j, scales);
    double pairs = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        take_row(l, i);
        pairs += (double)l->n_entries * (double)l->n_entries;
    }
    l->pairs = rows->n_rows > 0 ? pairs / (double)rows->n_rows : 0;
}

void loss_fini(struct loss *l)
{
    mem_free(l->shift);
    mem_free(l->scale);
    mem_free(l->value);
    mem_free(l->index);
    mem_free(l->z);
}

static size_t place_of(const struct loss *l, size_t output, size_t feature)
{
    size_t p = l->rows->n_features;
    return feature < p ? output * p + feature : l->n_outputs * p + output;
}

size_t loss_variable(const struct loss *l, size_t i)
{
    size_t width = l->rows->n_features + 1;
    return place_of(l, i / width, i % width);
}

void loss_model(const struct loss *l, const double *point, double *coefficients, double *intercepts)
{
    size_t p = l->rows->n_features;
    for (size_t k = 0; k < l->n_outputs; k++) {
        struct stat_sum intercept = {point[l->n_outputs * p + k], 0};
        for (size_t j = 0; j < p; j++) {
            double w = point[k * p + j] / l->scale[j];
            coefficients[k * p + j] = w;
            stat_sum_add(&intercept, -w * l->shift[j]);
        }
        intercepts[k] = stat_sum_get(&intercept);
    }
}

/* ---- Value, gradient, Hessian ---- */

/* Loss of one row; l->z becomes the probabilities. */
static double row_loss(struct loss *l, double target)
{
    size_t n = l->n_outputs, own = (size_t)target;
    double *z = l->z;
    if (n == 1) {
        double margin = target == 1 ? z[0] : -z[0];
        l->separated = l->separated && margin > 0;
        z[0] = linear_logistic(z[0]);
        return margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
    }
    double max = z[0], sum = 0, mine = z[own];
    for (size_t k = 1; k < n; k++)
        max = z[k] > max ? z[k] : max;
    for (size_t k = 0; k < n; k++)
        l->separated = l->separated && (k == own || z[k] < mine);
    for (size_t k = 0; k < n; k++)
        sum += z[k] = exp(z[k] - max);
    for (size_t k = 0; k < n; k++)
        z[k] /= sum;
    return log(sum) - (mine - max);
}

static void add_gradient(const struct loss *l, double target, double weight, double *gradient)
{
    size_t p = l->rows->n_features, last = l->n_entries - 1;
    for (size_t k = 0; k < l->n_outputs; k++) {
        double is = l->n_outputs == 1 ? target == 1 : k == (size_t)target;
        double d = weight * (l->z[k] - is), *g = gradient + k * p;
        for (size_t e = 0; e < last; e++)
            g[l->index[e]] += d * l->value[e];
        gradient[l->n_outputs * p + k] += d;
    }
}

/* The part of one row: (weight of outputs k and m) x x', in the blocks on and below the diagonal.
 */
static void add_hessian(const struct loss *l, double weight, double *hessian)
{
    size_t width = l->rows->n_features + 1, n = l->n_variables;
    for (size_t k = 0; k < l->n_outputs; k++) {
        for (size_t m = 0; m <= k; m++) {
            double c = l->z[k] * ((k == m) - l->z[m]) * weight;
            for (size_t a = 0; a < l->n_entries; a++) {
                double *row = hessian + (k * width + l->index[a]) * n + m * width;
                double ca = c * l->value[a];
                size_t end = k == m ? a + 1 : l->n_entries;
                for (size_t b = 0; b < end; b++)
                    row[l->index[b]] += ca * l->value[b];
            }
        }
    }
}

static double add_penalty(const struct loss *l, const double *point, double *gradient,
                          double *hessian)
{
    size_t p = l->rows->n_features, n = l->n_variables;
    double sum = 0;
    for (size_t k = 0; k < l->n_outputs; k++) {
        for (size_t j = 0; j < p; j++) {
            double factor = l->l2 / l->scale[j] / l->scale[j], u = point[k * p + j];
            size_t i = k * (p + 1) + j;
            sum += factor / 2 * u * u;
            gradient[k * p + j] += factor * u;
            if (hessian)
                hessian[i * n + i] += factor;
        }
    }
    return sum;
}

double loss_at(struct loss *l, const double *point, double *gradient, double *hessian)
{
    const struct ml_rows *rows = l->rows;
    size_t p = rows->n_features, n = l->n_variables;
    const double *intercepts = point + l->n_outputs * p;
    struct stat_sum sum = {0};
    memset(gradient, 0, n * sizeof *gradient);
    if (hessian)
        memset(hessian, 0, n * n * sizeof *hessian);
    l->separated = true;
    for (size_t i = 0; i < rows->n_rows; i++) {
        double weight = weight_of(rows, i);
        take_row(l, i);
        for (size_t k = 0; k < l->n_outputs; k++) {
            const double *u = point + k * p;
            double z = intercepts[k];
            for (size_t e = 0; e + 1 < l->n_entries; e++)
                z += u[l->index[e]] * l->value[e];
            l->z[k] = z;
        }
        stat_sum_add(&sum, weight * row_loss(l, rows->target[i]));
        add_gradient(l, rows->target[i], weight, gradient);
        if (hessian && weight > 0)
            add_hessian(l, weight, hessian);
    }
    stat_sum_add(&sum, add_penalty(l, point, gradient, hessian));
    for (size_t i = 0; i < n; i++)
        gradient[i] /= l->weights;
    for (size_t i = 0; hessian && i < n * n; i++)
        hessian[i] /= l->weights;
    return stat_sum_get(&sum) / l->weights;
}
