#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define EXIT_USAGE 2
#define FACTOR_MAX 100000

/* The test clock; set once by clock_begin before threads start. factor 0: there is none. */
static struct {
    int64_t start_wall_ms, since_us, factor;
    const volatile int64_t *step_ms; /* mapped from FILE; NULL: none */
} test_clock;

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- The test clock ---- */

static const int64_t *map_steps(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    void *at = size >= (off_t)sizeof(int64_t)
                   ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0)
                   : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED)
        die(EXIT_USAGE, "%s: %s cannot be used: 8 bytes are needed", CLOCK_TEST, file);
    return at;
}

void clock_begin(bool warns)
{
    const char *text = getenv(CLOCK_TEST);
    char fields[512], *rest = fields, *start, *factor, *since, *file;
    int64_t start_ms, times, since_ms = clock_mono_ms();
    if (!text || !*text)
        return;
    bool fits = str_copy(fields, sizeof fields, text);
    start = strsep(&rest, ",");
    factor = strsep(&rest, ",");
    since = strsep(&rest, ",");
    file = strsep(&rest, ",");
    if (!fits || !factor || rest || !time_parse(start, &start_ms) ||
        !str_parse_int(factor, &times) || times < 1 || times > FACTOR_MAX ||
        (since && (!str_parse_int(since, &since_ms) || since_ms < 0)))
        die(EXIT_USAGE,
            "%s: START,FACTOR[,SINCE[,FILE]] is needed, such as 2026-03-28T00:00:00Z,60, not "
            "'%.100s'",
            CLOCK_TEST, text);
    test_clock.step_ms = file ? map_steps(file) : NULL;
    test_clock.start_wall_ms = start_ms;
    test_clock.since_us = since_ms * 1000;
    test_clock.factor = times;
    if (warns)
        log_warn("%s is set: the clock is a test's (%.100s); nothing of what is done now was due",
                 CLOCK_TEST, text);
}

/* Steady time since SINCE. */
static int64_t passed_ms(void)
{
    return (read_us(CLOCK_MONOTONIC) - test_clock.since_us) * test_clock.factor / 1000;
}

/* ---- Reading ---- */

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_steady_ms(void)
{
    return test_clock.factor ? test_clock.since_us / 1000 + passed_ms() : clock_mono_ms();
}

int64_t clock_steady_wait_ms(int64_t steady_ms)
{
    int64_t factor = test_clock.factor;
    return factor && steady_ms > 0 ? (steady_ms - 1) / factor + 1 : steady_ms;
}

int64_t clock_wall_ms(void)
{
    if (!test_clock.factor)
        return read_us(CLOCK_REALTIME) / 1000;
    return test_clock.start_wall_ms + passed_ms() + (test_clock.step_ms ? *test_clock.step_ms : 0);
}

void clock_sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}
