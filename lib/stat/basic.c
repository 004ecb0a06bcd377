#include "lib/stat/stat.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"

void stat_sum_add(struct stat_sum *s, double v)
{
    double sum = s->sum + v;
    if (fabs(s->sum) >= fabs(v))
        s->lost += (s->sum - sum) + v;
    else
        s->lost += (v - sum) + s->sum;
    s->sum = sum;
}

double stat_sum_get(const struct stat_sum *s)
{
    return s->sum + s->lost;
}

double stat_mean(const double *v, size_t n)
{
    must(n > 0);
    struct stat_sum s = {0};
    for (size_t i = 0; i < n; i++)
        stat_sum_add(&s, v[i]);
    return stat_sum_get(&s) / (double)n;
}

double stat_variance(const double *v, size_t n)
{
    double mean = stat_mean(v, n);
    struct stat_sum s = {0};
    for (size_t i = 0; i < n; i++)
        stat_sum_add(&s, (v[i] - mean) * (v[i] - mean));
    return stat_sum_get(&s) / (double)n;
}

static bool comes_after(double a, double b)
{
    return isnan(a) ? !isnan(b) : a > b;
}

/* Bottom-up merge sort of indices: stable, no recursion, the same everywhere. */
void stat_order(const double *v, size_t n, uint32_t *order)
{
    must(n <= UINT32_MAX);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    uint32_t *from = order, *to = mem_alloc_array(n, sizeof *to), *spare = to;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t a = start, a_end = start + width < n ? start + width : n;
            size_t b = a_end, b_end = start + 2 * width < n ? start + 2 * width : n;
            for (size_t k = start; k < b_end; k++) {
                bool take_b = a == a_end || (b < b_end && comes_after(v[from[a]], v[from[b]]));
                to[k] = take_b ? from[b++] : from[a++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order)
        memcpy(order, from, n * sizeof *order);
    mem_free(spare);
}

void stat_sort(double *v, size_t n)
{
    uint32_t *order = mem_alloc_array(n, sizeof *order);
    double *copy = mem_alloc_array(n, sizeof *copy);
    stat_order(v, n, order);
    for (size_t i = 0; i < n; i++)
        copy[i] = v[order[i]];
    if (n > 0)
        memcpy(v, copy, n * sizeof *v);
    mem_free(copy);
    mem_free(order);
}

double stat_quantile(const double *sorted, size_t n, double q)
{
    must(n > 0);
    must(q >= 0 && q <= 1);
    double position = q * (double)(n - 1);
    size_t low = (size_t)floor(position);
    if (low + 1 >= n)
        return sorted[n - 1];
    double share = position - (double)low;
    return sorted[low] + share * (sorted[low + 1] - sorted[low]);
}
