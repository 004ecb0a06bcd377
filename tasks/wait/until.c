/* wait.until: an instant of the clock, without a slot. Done by the scheduler
 * (scheduler/core/wait.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "time", .type = NX_T_TIME, .flags = NX_P_REQUIRED,
     .help = "When: 2026-12-24T18:00:00Z, or an expression such as ${{ run.interval.finish + hours(6) }}."},
    {0},
};
static const struct nx_port outputs[] = {{0}};

const struct nx_operator wait_until = {
    .name = "wait.until",
    .version = 1,
    .summary = "Waits until a time, without a slot.",
    .doc =
        "An instant that has passed ends the wait at once. It follows the clock: one that is set back "
        "waits again, one that is set forward waits less. A time without an offset is in UTC. No "
        "worker is needed. `timeout` of the task counts for the wait.",
    .params = params,
    .outputs = outputs,
    .example =
        "evening:\n"
        "  uses: wait.until\n"
        "  with: {time: \"${{ run.interval.finish + hours(18) }}\"}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
