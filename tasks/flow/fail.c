/* flow.fail: fails, on purpose. */
#include "lib/base/str.h"
#include "nexus/operator.h"

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    const char *attempt = nx_info(ctx, "attempt");
    int64_t n = 0;
    if (attempt && str_parse_int(attempt, &n) && n > nx_arg_int(ctx, "times") &&
        nx_arg_int(ctx, "times") > 0)
        return NX_DONE;
    enum nx_code code = nx_arg_bool(ctx, "permanent") ? NX_E_INVALID : NX_E_UNREACHABLE;
    nx_fail(err, code, "%s", nx_arg_text(ctx, "message"));
    return NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "message", .type = NX_T_STRING, .fallback = "\"failed on purpose\"",
     .help = "The error's text."},
    {.name = "permanent", .type = NX_T_BOOL, .fallback = "false",
     .help = "Fail in a way that is not retried."},
    {.name = "times", .type = NX_T_INT, .flags = NX_P_HAS_MIN, .min = 0, .fallback = "0",
     .unit = "attempts", .help = "Fail only that many attempts, then succeed; 0: always fail."},
    {0},
};
static const struct nx_port outputs[] = {{0}};

const struct nx_operator flow_fail = {
    .name = "flow.fail",
    .version = 1,
    .summary = "Fails with a message: for tests, and for branches that must not be reached.",
    .params = params,
    .outputs = outputs,
    .example =
        "unreachable:\n"
        "  uses: flow.fail\n"
        "  with: {message: the data is older than a day, permanent: true}\n",
    .run = run,
};
/* clang-format on */
