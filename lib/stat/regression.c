#include "lib/stat/stat.h"

#include <math.h>

#include "lib/base/mem.h"

static double squared_error(const double *truth, const double *predicted, size_t n)
{
    struct stat_sum sum = {0};
    for (size_t i = 0; i < n; i++) {
        double d = truth[i] - predicted[i];
        stat_sum_add(&sum, d * d);
    }
    return stat_sum_get(&sum);
}

bool stat_rmse(const double *truth, const double *predicted, size_t n, double *rmse)
{
    if (n == 0)
        return false;
    *rmse = sqrt(squared_error(truth, predicted, n) / (double)n);
    return true;
}

bool stat_mae(const double *truth, const double *predicted, size_t n, double *mae)
{
    if (n == 0)
        return false;
    struct stat_sum sum = {0};
    for (size_t i = 0; i < n; i++)
        stat_sum_add(&sum, fabs(truth[i] - predicted[i]));
    *mae = stat_sum_get(&sum) / (double)n;
    return true;
}

bool stat_r2(const double *truth, const double *predicted, size_t n, double *r2)
{
    bool differ = false;
    for (size_t i = 1; i < n && !differ; i++)
        differ = truth[i] != truth[0];
    if (!differ)
        return false;
    double spread = stat_variance(truth, n) * (double)n;
    if (spread <= 0)
        return false;
    *r2 = 1 - squared_error(truth, predicted, n) / spread;
    return true;
}

bool stat_mape(const double *truth, const double *predicted, size_t n, double *mape)
{
    if (n == 0)
        return false;
    struct stat_sum sum = {0};
    for (size_t i = 0; i < n; i++) {
        if (truth[i] == 0)
            return false;
        stat_sum_add(&sum, fabs((truth[i] - predicted[i]) / truth[i]));
    }
    *mape = stat_sum_get(&sum) / (double)n;
    return true;
}

bool stat_median_ae(const double *truth, const double *predicted, size_t n, double *median)
{
    if (n == 0)
        return false;
    double *error = mem_alloc_array(n, sizeof *error);
    for (size_t i = 0; i < n; i++)
        error[i] = fabs(truth[i] - predicted[i]);
    stat_sort(error, n);
    *median = stat_quantile(error, n, 0.5);
    mem_free(error);
    return true;
}
