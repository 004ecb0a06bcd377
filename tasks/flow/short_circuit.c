/* flow.short_circuit: whether what is below goes on. Done by the scheduler
 * (scheduler/question_choice.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "condition", .type = NX_T_BOOL, .flags = NX_P_REQUIRED, .help = "Whether to go on."},
    {0},
};

static const struct nx_port outputs[] = {
    {"passed", NX_T_BOOL, "The condition."},
    {0},
};

const struct nx_operator flow_short_circuit = {
    .name = "flow.short_circuit",
    .version = 1,
    .summary = "Goes on when a condition is true; else it counts as skipped for the tasks below it.",
    .doc =
        "The task succeeds in both cases. When the condition is false it counts as skipped for the "
        "tasks that need it: those with the rule `all_success` are skipped, and so on down; one with "
        "`all_done` runs. (An `if` skips the task that has it alone.) No worker is needed.",
    .params = params,
    .outputs = outputs,
    .example =
        "enough:\n"
        "  uses: flow.short_circuit\n"
        "  needs: count\n"
        "  with: {condition: \"${{ outputs.count.rows >= 100 }}\"}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
