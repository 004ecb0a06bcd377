/* flow.join: where branches meet. Done by the scheduler (scheduler/core/choice.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {{0}};
static const struct nx_port outputs[] = {{0}};

const struct nx_operator flow_join = {
    .name = "flow.join",
    .version = 1,
    .summary = "Where branches meet: runs when none failed and at least one succeeded.",
    .doc =
        "It does nothing and needs no worker. Unless the file says another one its `trigger_rule` is "
        "`none_failed_min_one_success`: it goes on when every branch has succeeded or was skipped, "
        "and is skipped when all were.",
    .params = params,
    .outputs = outputs,
    .example =
        "trained:\n"
        "  uses: flow.join\n"
        "  needs: [train_large, train_small]\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
