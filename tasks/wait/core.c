#include "tasks/wait/core.h"

enum nx_outcome core_run(struct nx_ctx *ctx, struct nx_err *err)
{
    (void)err;
    return nx_skip(ctx, "the scheduler does this itself, in a run: there is nothing to try here");
}
