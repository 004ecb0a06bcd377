#include "lib/stat/stat.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"

void stat_confusion(const uint32_t *truth, const uint32_t *predicted, size_t n, size_t n_classes,
                    uint64_t *count)
{
    memset(count, 0, n_classes * n_classes * sizeof *count);
    for (size_t i = 0; i < n; i++) {
        must(truth[i] < n_classes && predicted[i] < n_classes);
        count[truth[i] * n_classes + predicted[i]]++;
    }
}

/* Rows of true class k, rows predicted as k. */
static void margins(const uint64_t *count, size_t n_classes, size_t k, double *of, double *as)
{
    uint64_t row = 0, column = 0;
    for (size_t j = 0; j < n_classes; j++) {
        row += count[k * n_classes + j];
        column += count[j * n_classes + k];
    }
    *of = (double)row;
    *as = (double)column;
}

bool stat_accuracy(const uint64_t *count, size_t n_classes, double *accuracy)
{
    uint64_t all = 0, right = 0;
    for (size_t k = 0; k < n_classes * n_classes; k++)
        all += count[k];
    for (size_t k = 0; k < n_classes; k++)
        right += count[k * n_classes + k];
    if (all == 0)
        return false;
    *accuracy = (double)right / (double)all;
    return true;
}

struct stat_prf stat_prf_class(const uint64_t *count, size_t n_classes, size_t k)
{
    must(k < n_classes);
    double of, as, hit = (double)count[k * n_classes + k];
    margins(count, n_classes, k, &of, &as);
    struct stat_prf m = {0};
    m.precision = as > 0 ? hit / as : 0;
    m.recall = of > 0 ? hit / of : 0;
    m.f1 = of + as > 0 ? 2 * hit / (of + as) : 0;
    return m;
}

static struct stat_prf average(const uint64_t *count, size_t n_classes, bool weighted)
{
    struct stat_prf sum = {0};
    double weights = 0;
    for (size_t k = 0; k < n_classes; k++) {
        double of, as;
        margins(count, n_classes, k, &of, &as);
        double weight = weighted ? of : (of + as > 0 ? 1 : 0);
        struct stat_prf m = stat_prf_class(count, n_classes, k);
        sum.precision += weight * m.precision;
        sum.recall += weight * m.recall;
        sum.f1 += weight * m.f1;
        weights += weight;
    }
    if (weights > 0) {
        sum.precision /= weights;
        sum.recall /= weights;
        sum.f1 /= weights;
    }
    return sum;
}

struct stat_prf stat_prf_macro(const uint64_t *count, size_t n_classes)
{
    return average(count, n_classes, false);
}

struct stat_prf stat_prf_weighted(const uint64_t *count, size_t n_classes)
{
    return average(count, n_classes, true);
}

double stat_mcc(const uint64_t *count, size_t n_classes)
{
    double all = 0, right = 0, products = 0, squares_of = 0, squares_as = 0;
    for (size_t k = 0; k < n_classes; k++) {
        double of, as;
        margins(count, n_classes, k, &of, &as);
        all += of;
        right += (double)count[k * n_classes + k];
        products += of * as;
        squares_of += of * of;
        squares_as += as * as;
    }
    double below = (all * all - squares_as) * (all * all - squares_of);
    return below > 0 ? (right * all - products) / sqrt(below) : 0;
}

bool stat_log_loss_classes(const uint32_t *truth, const double *p, size_t n, size_t n_classes,
                           double *loss)
{
    if (n == 0)
        return false;
    struct stat_sum sum = {0};
    for (size_t i = 0; i < n; i++) {
        const double *row = p + i * n_classes;
        must(truth[i] < n_classes);
        double total = 0;
        for (size_t k = 0; k < n_classes; k++)
            total += fmin(fmax(row[k], DBL_EPSILON), 1 - DBL_EPSILON);
        double own = fmin(fmax(row[truth[i]], DBL_EPSILON), 1 - DBL_EPSILON);
        stat_sum_add(&sum, -log(own / total));
    }
    *loss = stat_sum_get(&sum) / (double)n;
    return true;
}

bool stat_roc_auc_macro(const uint32_t *truth, const double *p, size_t n, size_t n_classes,
                        double *auc)
{
    if (n == 0 || n_classes < 2)
        return false;
    uint8_t *positive = mem_alloc_array(n, sizeof *positive);
    double *score = mem_alloc_array(n, sizeof *score);
    double sum = 0;
    bool defined = true;
    for (size_t k = 0; defined && k < n_classes; k++) {
        for (size_t i = 0; i < n; i++) {
            positive[i] = truth[i] == k;
            score[i] = p[i * n_classes + k];
        }
        double one = 0;
        defined = stat_roc_auc(positive, score, n, &one);
        sum += one;
    }
    mem_free(score);
    mem_free(positive);
    if (!defined)
        return false;
    *auc = sum / (double)n_classes;
    return true;
}
