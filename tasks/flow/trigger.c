/* flow.trigger: a run of another DAG. Done by the scheduler (scheduler/waits.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "dag", .type = NX_T_STRING, .flags = NX_P_REQUIRED, .help = "The DAG to run."},
    {.name = "params", .type = NX_T_OBJECT, .fallback = "{}", .help = "Values of its params."},
    {.name = "date", .type = NX_T_STRING,
     .help = "The start of the run's data interval; the last complete one unless given."},
    {.name = "note", .type = NX_T_STRING, .help = "A note on the run."},
    {.name = "wait", .type = NX_T_BOOL, .fallback = "true", .help = "Whether to wait for its end."},
    {.name = "on_failure", .type = NX_T_ENUM, .fallback = "\"fail\"", .choices = "fail|ignore",
     .help = "What a run that does not succeed does to this task."},
    {.name = "cancel", .type = NX_T_BOOL, .fallback = "true",
     .help = "Whether the run is cancelled when this task is stopped while it waits."},
    {0},
};

static const struct nx_port outputs[] = {
    {"dag", NX_T_STRING, "The DAG."},
    {"run_id", NX_T_STRING, "The run."},
    {"state", NX_T_STRING, "What became of it; without `wait`, what it was when it was started."},
    {0},
};

const struct nx_operator flow_trigger = {
    .name = "flow.trigger",
    .version = 1,
    .summary = "Runs another DAG, and waits for its end without a slot.",
    .doc =
        "Each attempt starts exactly one run, also when the scheduler is restarted in between. A run "
        "that fails or is cancelled fails the task, which `retries` tries again with a new run. "
        "`timeout` of the task counts for the wait. Runs that start each other are at most 16 deep, so "
        "that DAGs that trigger each other come to an end.",
    .params = params,
    .outputs = outputs,
    .example =
        "load:\n"
        "  uses: flow.trigger\n"
        "  with: {dag: flights_load, params: {day: \"2026-01-31\"}}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
