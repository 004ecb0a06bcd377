/* flow.noop: does nothing, successfully. */
#include "nexus/operator.h"

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    (void)ctx;
    (void)err;
    return NX_DONE;
}

static const struct nx_param params[] = {{0}};
static const struct nx_port outputs[] = {{0}};

/* clang-format off */
const struct nx_operator flow_noop = {
    .name = "flow.noop",
    .version = 1,
    .summary = "Does nothing and succeeds: a place where branches meet.",
    .params = params,
    .outputs = outputs,
    .example =
        "joined:\n"
        "  uses: flow.noop\n",
    .flags = NX_OP_PURE,
    .run = run,
};
/* clang-format on */
