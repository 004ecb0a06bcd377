#include "lib/stat/stat.h"

#include <float.h>
#include <math.h>

#include "lib/base/mem.h"

bool stat_roc_auc(const uint8_t *positive, const double *score, size_t n, double *auc)
{
    size_t n_positive = 0;
    for (size_t i = 0; i < n; i++)
        n_positive += positive[i];
    size_t n_negative = n - n_positive;
    if (n_positive == 0 || n_negative == 0)
        return false;
    uint32_t *order = mem_alloc_array(n, sizeof *order);
    stat_order(score, n, order);
    /* Counts stay exact: pairs won and tied, as halves. */
    double halves = 0, negatives_below = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i, ties_positive = 0;
        while (end < n && score[order[end]] == score[order[i]])
            ties_positive += positive[order[end++]];
        if (end == i) /* NaN equals nothing */
            ties_positive += positive[order[end++]];
        double ties_negative = (double)(end - i - ties_positive);
        halves += (double)ties_positive * (2 * negatives_below + ties_negative);
        negatives_below += ties_negative;
        i = end;
    }
    mem_free(order);
    *auc = halves / 2 / ((double)n_positive * (double)n_negative);
    return true;
}

bool stat_average_precision(const uint8_t *positive, const double *score, size_t n, double *ap)
{
    size_t n_positive = 0;
    for (size_t i = 0; i < n; i++)
        n_positive += positive[i];
    if (n_positive == 0)
        return false;
    uint32_t *order = mem_alloc_array(n, sizeof *order);
    stat_order(score, n, order);
    struct stat_sum sum = {0};
    size_t hits = 0;
    for (size_t i = n; i > 0;) {
        size_t end = i, before = hits;
        do
            hits += positive[order[--end]];
        while (end > 0 && score[order[end - 1]] == score[order[i - 1]]);
        double precision = (double)hits / (double)(n - end);
        stat_sum_add(&sum, precision * (double)(hits - before));
        i = end;
    }
    mem_free(order);
    *ap = stat_sum_get(&sum) / (double)n_positive;
    return true;
}

bool stat_log_loss(const uint8_t *positive, const double *p, size_t n, double *loss)
{
    if (n == 0)
        return false;
    struct stat_sum sum = {0};
    for (size_t i = 0; i < n; i++) {
        double q = fmin(fmax(p[i], DBL_EPSILON), 1 - DBL_EPSILON);
        stat_sum_add(&sum, positive[i] ? -log(q) : -log1p(-q));
    }
    *loss = stat_sum_get(&sum) / (double)n;
    return true;
}

bool stat_brier(const uint8_t *positive, const double *p, size_t n, double *brier)
{
    if (n == 0)
        return false;
    struct stat_sum sum = {0};
    for (size_t i = 0; i < n; i++) {
        double d = p[i] - positive[i];
        stat_sum_add(&sum, d * d);
    }
    *brier = stat_sum_get(&sum) / (double)n;
    return true;
}
