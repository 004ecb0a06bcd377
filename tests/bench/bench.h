/* What the benchmarks share: samples in microseconds and how they are told. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/base/clock.h"
#include "lib/base/must.h"
#include "lib/base/vec.h"

struct samples {
    VEC(double) us;
};

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void samples_sort(struct samples *s)
{
    qsort(s->us.at, s->us.n, sizeof *s->us.at, bench_by_value);
}

/* Of sorted samples; share 0.5: the median. */
static inline double samples_at(const struct samples *s, double share)
{
    must(s->us.n > 0);
    size_t i = (size_t)(share * (double)s->us.n);
    return s->us.at[i < s->us.n ? i : s->us.n - 1];
}

static inline double samples_mean(const struct samples *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->us.n; i++)
        sum += s->us.at[i];
    return s->us.n ? sum / (double)s->us.n : 0;
}

static inline double bench_us(const struct rusage *u)
{
    return 1e6 * (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

/* User and system time of this process so far. */
static inline double bench_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return bench_us(&u);
}

/* The folder of temporary files: the same file system for all that is compared. */
static inline const char *bench_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder ? folder : "/tmp";
}

#endif
