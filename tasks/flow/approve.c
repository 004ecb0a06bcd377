/* flow.approve: until a person says yes or no. Done by the scheduler (scheduler/waits.c). */
#include "tasks/wait/core.h"

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "message", .type = NX_T_STRING, .fallback = "\"\"",
     .help = "What is to be approved, for the person who is asked."},
    {.name = "form", .type = NX_T_OBJECT, .fallback = "{}",
     .help = "Values to be filled in, described like the params of a DAG; they become outputs."},
    {0},
};

static const struct nx_port outputs[] = {
    {"approved_by", NX_T_STRING, "Who approved it."},
    {"approved_at", NX_T_TIME, "When."},
    {"comment", NX_T_STRING, "What was said about it, or null."},
    {0},
};

const struct nx_operator flow_approve = {
    .name = "flow.approve",
    .version = 1,
    .summary = "Waits until a person approves or rejects, without a slot.",
    .doc =
        "`nexus approvals` lists what waits for a person; `nexus approve RUN TASK` approves, with "
        "`-p field=value` for the fields of its form, and `--reject` rejects. The first answer counts: "
        "whoever answers later is told what it was. Who answered, and when, is on the audit list.\n\n"
        "A rejection fails the task for good (`rejected`); nobody's answer within the task's `timeout` "
        "fails it with the reason `timeout`. Neither is retried.",
    .params = params,
    .outputs = outputs,
    .example =
        "check:\n"
        "  uses: flow.approve\n"
        "  timeout: 2d\n"
        "  with:\n"
        "    message: Deploy the model?\n"
        "    form:\n"
        "      share: {type: number, default: 0.1, min: 0, max: 1, help: Of the traffic}\n",
    .flags = NX_OP_CORE,
    .run = core_run,
};
/* clang-format on */
