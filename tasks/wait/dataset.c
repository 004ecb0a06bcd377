/* wait.dataset: until a dataset has a new version, without a slot. Done by the scheduler
 * (scheduler/core/wait.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "dataset", .type = NX_T_STRING, .flags = NX_P_REQUIRED,
     .help = "The dataset's name; a constant."},
    {.name = "since", .type = NX_T_TIME,
     .help = "How old the version may be: by default it is of the end of the run's data interval, when "
             "a scheduled run is due, or later."},
    {0},
};

static const struct nx_port outputs[] = {
    {"dataset", NX_T_STRING, "The dataset."},
    {"version", NX_T_INT, "Its newest version then."},
    {"at", NX_T_TIME, "When that was made."},
    {0},
};

const struct nx_operator wait_dataset = {
    .name = "wait.dataset",
    .version = 1,
    .summary = "Waits for a new version of a dataset, without a slot.",
    .doc =
        "It ends when a task that `produces` the dataset succeeds, or `nexus dataset emit` tells of a "
        "version, and at once when there is one already that is new enough. The task counts as one "
        "that `consumes` the dataset. No worker is needed. `timeout` of the task counts for the wait.",
    .params = params,
    .outputs = outputs,
    .example =
        "flights:\n"
        "  uses: wait.dataset\n"
        "  timeout: 6h\n"
        "  with: {dataset: flights}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
