/* flow.latest_only: whether the run is of the latest data interval. Done by the scheduler
 * (scheduler/question_choice.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {{0}};

static const struct nx_port outputs[] = {
    {"latest", NX_T_BOOL, "Whether it goes on."},
    {0},
};

const struct nx_operator flow_latest_only = {
    .name = "flow.latest_only",
    .version = 1,
    .summary = "Goes on in runs of the latest data interval; in others it counts as skipped below.",
    .doc =
        "A run that the schedule or a backfill made goes on when no later data interval of the "
        "schedule has ended; so of those that catch up only the newest does. Runs that a person, an "
        "event or another DAG started always go on. The task succeeds in both cases; when it does not "
        "go on it counts as skipped for the tasks that need it. No worker is needed.",
    .params = params,
    .outputs = outputs,
    .example =
        "newest:\n"
        "  uses: flow.latest_only\n"
        "  needs: load\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
