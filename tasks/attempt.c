#include "tasks/attempt.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/text/json.h"
#include "tasks/resolve.h"
#include "tasks/secrets.h"
#include "tasks/shell.h"

/* A process's peak is reset after an attempt that raised it by this much, so that the next one does
 * not get it for its own; resetting after each would cost more than a quick operator. */
#define PEAK_SLACK_KB (32 * 1024)
/* A warm child above this is replaced. */
#define WARM_MAX_KB (512 * 1024)

static int64_t cpu_us(const struct rusage *usage)
{
    return ((int64_t)usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
           usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

/* Resident size now. */
static int64_t rss_kb(void)
{
    long long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "5", 1);
    (void)n; /* then the next attempt's peak is told too high */
    close(fd);
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    if (!ctx->definition->op)
        return shell_run(ctx, err);
    if (!resolve_operator(ctx, err))
        return NX_FAILED;
    enum nx_outcome outcome = ctx->definition->op->run(ctx, err);
    if (outcome == NX_FAILED && err->code == NX_OK)
        nx_fail(err, NX_E_INTERNAL, "%s failed and did not say why", ctx->definition->op->name);
    return outcome;
}

/* What the attempt used; true when the process has grown for good. */
static bool measure(struct nx_ctx *ctx, const struct rusage *before, struct child_done *done)
{
    struct runtime *runtime = ctx->runtime;
    struct rusage after;
    getrusage(RUSAGE_SELF, &after);
    done->cpu_us = cpu_us(&after) - cpu_us(before) + ctx->script_cpu_us;
    bool is_script = ctx->definition && !ctx->definition->op;
    done->max_rss_bytes = (is_script ? ctx->script_rss_kb : after.ru_maxrss) * 1024;
    if (runtime->low_rss_kb == 0)
        runtime->low_rss_kb = before->ru_maxrss;
    if (after.ru_maxrss < runtime->low_rss_kb + PEAK_SLACK_KB)
        return false;
    reset_peak();
    runtime->low_rss_kb = rss_kb();
    return runtime->low_rss_kb > WARM_MAX_KB;
}

static void fill_done(struct nx_ctx *ctx, enum nx_outcome outcome, const struct nx_err *err,
                      struct child_done *done)
{
    done->exit_code = ctx->exit_code;
    done->signal = ctx->signal;
    done->outcome = outcome == NX_DONE      ? CHILD_SUCCESS
                    : outcome == NX_SKIPPED ? CHILD_SKIPPED
                    : outcome == NX_NOT_YET ? CHILD_NOT_YET
                                            : CHILD_FAILED;
    if (outcome == NX_SKIPPED)
        done->error = child_text(secrets_hidden(ctx, ctx->reason));
    if (outcome != NX_FAILED)
        return;
    done->error = child_text(secrets_hidden(ctx, err->text));
    if (err->code != NX_OK) {
        done->code = child_text(nx_code_info(err->code)->name);
        done->permanent = !nx_code_info(err->code)->retryable;
    }
    if (err->code == NX_E_CANCELLED || atomic_load(&ctx->runtime->cancel.cancelled))
        done->outcome = CHILD_CANCELLED;
}

static void send_done(struct nx_ctx *ctx, struct child_done *done)
{
    struct child_message message = {.type = CHILD_DONE};
    json_t *shown = ctx->outputs ? secrets_copy(ctx, ctx->outputs, true) : NULL;
    char *outputs = shown ? js_text(shown) : NULL;
    done->outputs = child_text(outputs);
    message.u.done = *done;
    runtime_send(ctx, &message);
    mem_free(outputs);
    json_decref(shown);
}

void attempt_run(struct runtime *runtime, struct definition *definition, const struct nx_err *why,
                 uint64_t ticket, const struct child_start *start, struct buf *inbox)
{
    struct nx_ctx ctx = {
        .runtime = runtime,
        .definition = definition,
        .ticket = ticket,
        .start = start,
        .exit_code = -1,
    };
    struct child_done done = {.outcome = CHILD_FAILED};
    struct nx_err err = {.code = NX_OK};
    struct rusage before;
    enum nx_outcome outcome = NX_FAILED;
    arena_init(&ctx.arena);
    getrusage(RUSAGE_SELF, &before);
    cancel_begin(&runtime->cancel, ticket);
    if (definition)
        outcome = run(&ctx, &err);
    else
        err = *why;
    fflush(stdout); /* what libraries printed belongs to this attempt */
    scratch_end(&runtime->scratch);
    done.retire = measure(&ctx, &before, &done) || ctx.spoiled;
    fill_done(&ctx, outcome, &err, &done);
    cancel_end(&runtime->cancel, inbox);
    send_done(&ctx, &done);
    json_decref(ctx.context);
    json_decref(ctx.args);
    json_decref(ctx.outputs);
    arena_fini(&ctx.arena);
}
