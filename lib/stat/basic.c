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

/* Numbers as integers that sort alike: -0 as 0, every NaN above all. */
static uint64_t key_of(double v)
{
    uint64_t bits;
    if (isnan(v))
        return UINT64_MAX;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

struct item {
    uint64_t key;
    uint32_t index;
};

/* Least significant digit first, 11 bits a pass: stable; a digit that all items share costs only
 * its count. The result is in *items or in *spare: returned. */
static struct item *sort_items(struct item *items, struct item *spare, size_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 11) {
        size_t count[2048] = {0}, total = 0;
        for (size_t i = 0; i < n; i++)
            count[items[i].key >> shift & 2047]++;
        if (n == 0 || count[items[0].key >> shift & 2047] == n)
            continue;
        for (size_t d = 0; d < 2048; d++) {
            size_t here = count[d];
            count[d] = total;
            total += here;
        }
        for (size_t i = 0; i < n; i++)
            spare[count[items[i].key >> shift & 2047]++] = items[i];
        struct item *swap = items;
        items = spare;
        spare = swap;
    }
    return items;
}

void stat_order(const double *v, size_t n, uint32_t *order)
{
    must(n <= UINT32_MAX);
    struct item *items = mem_alloc_array(2 * n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct item){key_of(v[i]), (uint32_t)i};
    const struct item *sorted = sort_items(items, items + n, n);
    for (size_t i = 0; i < n; i++)
        order[i] = sorted[i].index;
    mem_free(items);
}

void stat_sort(double *v, size_t n)
{
    uint32_t *order = mem_alloc_array(n + 1, sizeof *order);
    double *copy = mem_alloc_array(n + 1, sizeof *copy);
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
