/* wait.for: a while, without a slot. Done by the scheduler (scheduler/core/wait.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "duration", .type = NX_T_DURATION, .flags = NX_P_REQUIRED | NX_P_HAS_MIN | NX_P_HAS_MAX,
     .min = 0, .max = 366.0 * 86400, .unit = "s", .help = "How long, such as 90s, 10m or 2h."},
    {0},
};
static const struct nx_port outputs[] = {{0}};

const struct nx_operator wait_for = {
    .name = "wait.for",
    .version = 1,
    .summary = "Waits for a while, without a slot.",
    .doc =
        "The time counts from the moment at which the task could have run, and goes on while the "
        "scheduler is restarted; it does not follow changes of the clock. No worker is needed. "
        "`timeout` of the task counts for the wait.",
    .params = params,
    .outputs = outputs,
    .example =
        "settle:\n"
        "  uses: wait.for\n"
        "  with: {duration: 10m}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
