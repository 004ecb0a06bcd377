/* flow.sleep: holds a slot for a while. */
#include "lib/base/clock.h"
#include "nexus/operator.h"

#define STEP_MS 20

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    int64_t duration_ms = nx_arg_duration_ms(ctx, "duration");
    int64_t started = clock_mono_ms();
    for (;;) {
        int64_t left = duration_ms - (clock_mono_ms() - started);
        if (left <= 0)
            return NX_DONE;
        if (nx_cancelled(ctx)) {
            nx_fail(err, NX_E_CANCELLED, "cancelled with %lld ms of sleep left", (long long)left);
            return NX_FAILED;
        }
        nx_progress(ctx, (double)(duration_ms - left) / (double)duration_ms, "sleeping");
        clock_sleep_ms(left < STEP_MS ? left : STEP_MS);
    }
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
