/* flow.sleep: holds a slot for a while. */
#include <pthread.h>
#include <time.h>

#include "lib/base/clock.h"
#include "nexus/operator.h"

#define PROGRESS_EVERY_MS 1000

struct alarm {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool cancelled;
};

static void ring(void *arg)
{
    struct alarm *alarm = arg;
    pthread_mutex_lock(&alarm->lock);
    alarm->cancelled = true;
    pthread_cond_signal(&alarm->rung);
    pthread_mutex_unlock(&alarm->lock);
}

static void alarm_init(struct alarm *alarm)
{
    pthread_condattr_t attr;
    *alarm = (struct alarm){.cancelled = false};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&alarm->lock, NULL);
    pthread_cond_init(&alarm->rung, &attr);
    pthread_condattr_destroy(&attr);
}

static bool wait_until(struct alarm *alarm, int64_t steady_ms)
{
    int64_t mono_ms = clock_mono_ms() + clock_steady_wait_ms(steady_ms - clock_steady_ms());
    struct timespec until = {.tv_sec = mono_ms / 1000, .tv_nsec = mono_ms % 1000 * 1000000};
    pthread_mutex_lock(&alarm->lock);
    while (!alarm->cancelled && clock_mono_ms() < mono_ms)
        pthread_cond_timedwait(&alarm->rung, &alarm->lock, &until);
    bool cancelled = alarm->cancelled;
    pthread_mutex_unlock(&alarm->lock);
    return !cancelled;
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct alarm alarm;
    int64_t duration_ms = nx_arg_duration_ms(ctx, "duration");
    int64_t now = clock_steady_ms(), start = now, end = now + duration_ms;
    bool going = true;
    alarm_init(&alarm);
    nx_on_cancel(ctx, ring, &alarm);
    for (; going && now < end; now = clock_steady_ms()) {
        nx_progress(ctx, (double)(now - start) / (double)duration_ms, "sleeping");
        int64_t next = now + PROGRESS_EVERY_MS;
        going = wait_until(&alarm, next < end ? next : end);
    }
    nx_on_cancel(ctx, NULL, NULL);
    pthread_cond_destroy(&alarm.rung);
    pthread_mutex_destroy(&alarm.lock);
    if (going)
        return NX_DONE;
    nx_fail(err, NX_E_CANCELLED, "cancelled with %lld ms of sleep left", (long long)(end - now));
    return NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "duration", .type = NX_T_DURATION, .flags = NX_P_REQUIRED | NX_P_HAS_MIN, .min = 0,
     .unit = "s", .help = "How long to sleep, such as 500ms, 10s or 2h."},
    {0},
};
static const struct nx_port outputs[] = {{0}};

const struct nx_operator flow_sleep = {
    .name = "flow.sleep",
    .version = 1,
    .summary = "Sleeps for a given time, in a slot.",
    .doc = "Ends early when it is cancelled. To wait without holding a slot, use `wait.for`.",
    .params = params,
    .outputs = outputs,
    .example =
        "pause:\n"
        "  uses: flow.sleep\n"
        "  with: {duration: 2s}\n",
    .run = run,
};
/* clang-format on */
