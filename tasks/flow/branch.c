/* flow.branch: which of the tasks below go on. Done by the scheduler (scheduler/question_choice.c).
 */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "choose", .type = NX_T_STRINGS, .flags = NX_P_REQUIRED,
     .help = "One or more of the tasks that need this one, or the name of a group of them; an empty "
             "list chooses none."},
    {0},
};

static const struct nx_port outputs[] = {
    {"chosen", NX_T_STRINGS, "The names, as a list."},
    {0},
};

const struct nx_operator flow_branch = {
    .name = "flow.branch",
    .version = 1,
    .summary = "Chooses which of the tasks below it go on; for the others it counts as skipped.",
    .doc =
        "The task succeeds. For the tasks that need it and are not chosen it counts as skipped, which "
        "their trigger rules take as they take any skipped upstream: `all_success` skips, `all_done` "
        "runs. A task that is also below a chosen one is not left out, so that branches can be joined "
        "directly (see `flow.join`). A name that is not of a task directly below is an error. No "
        "worker is needed. Clearing the task asks again; marking it as success lets all go on.",
    .params = params,
    .outputs = outputs,
    .example =
        "size:\n"
        "  uses: flow.branch\n"
        "  needs: count\n"
        "  with: {choose: \"${{ outputs.count.rows > 1000 and 'train_large' or 'train_small' }}\"}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
