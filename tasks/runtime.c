#include "tasks/runtime.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "tasks/secrets.h"

#define PROGRESS_EVERY_MS 100

void runtime_init(struct runtime *runtime, int fd, struct sink sink)
{
    *runtime = (struct runtime){.sink = sink};
    cancel_init(&runtime->cancel, fd);
    must(pthread_mutex_init(&runtime->lock, NULL) == 0);
}

void runtime_fini(struct runtime *runtime)
{
    cancel_fini(&runtime->cancel);
    scratch_fini(&runtime->scratch);
    script_free(runtime->script);
    artifact_close(runtime->store);
}

void runtime_send(struct nx_ctx *ctx, struct child_message *message)
{
    struct runtime *runtime = ctx->runtime;
    message->ticket = ctx->ticket;
    pthread_mutex_lock(&runtime->lock);
    runtime->sink.send(runtime->sink.arg, message);
    pthread_mutex_unlock(&runtime->lock);
}

/* ---- Context ---- */

const json_t *runtime_context(struct nx_ctx *ctx, struct nx_err *err)
{
    if (ctx->context)
        return ctx->context;
    if (ctx->start->context.n == 0) {
        ctx->context = json_object();
        return ctx->context;
    }
    json_t *json = js_read(ctx->start->context.at, ctx->start->context.n, "context", err);
    if (json && !json_is_object(json)) {
        json_decref(json);
        json = NULL;
        nx_fail(err, NX_E_INVALID, "the context is not an object");
    }
    ctx->context = json;
    return json;
}

struct script *runtime_script(struct nx_ctx *ctx, struct nx_err *err)
{
    static const char *const roots[] = {"params", "run",     "dag",  "task", "outputs",
                                        "vars",   "secrets", "item", "index"};
    struct runtime *runtime = ctx->runtime;
    const json_t *context = runtime_context(ctx, err);
    if (!context)
        return NULL;
    if (!runtime->script)
        runtime->script = script_new();
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        script_set(runtime->script, roots[i], json_object_get(context, roots[i]));
    return runtime->script;
}

/* The i-th of the four parts of the key, "run.task.map.attempt" (no part has a dot), or NULL. */
static const char *key_part(struct nx_ctx *ctx, int i)
{
    const char *p = ctx->start->key.n ? ctx->start->key.at : NULL;
    for (; p && i > 0; i--) {
        p = strchr(p, '.');
        p = p ? p + 1 : NULL;
    }
    if (!p || !*p)
        return NULL;
    return arena_strndup(&ctx->arena, p, strcspn(p, "."));
}

const char *nx_info(const struct nx_ctx *ctx, const char *key)
{
    static const struct {
        const char *key, *root, *member;
        int part; /* of the lease key; -1: none */
    } table[] = {
        {"run_id", "run", "id", 0},
        {"dag_id", "dag", "id", -1},
        {"dag_version", "dag", "version", -1},
        {"task_id", "task", "id", 1},
        {"map_index", "task", "map_index", 2},
        {"attempt", "task", "attempt", 3},
        {"max_attempts", "task", "max_attempts", -1},
    };
    struct nx_ctx *mine = (struct nx_ctx *)ctx; /* fills its caches */
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].key, key) != 0)
            continue;
        const json_t *context = runtime_context(mine, NULL);
        json_t *value = json_object_get(json_object_get(context, table[i].root), table[i].member);
        if (json_is_string(value))
            return json_string_value(value);
        if (json_is_integer(value))
            return arena_printf(&mine->arena, "%lld", (long long)json_integer_value(value));
        return table[i].part < 0 ? NULL : key_part(mine, table[i].part);
    }
    return NULL;
}

int nx_cpus(const struct nx_ctx *ctx)
{
    return ctx->start->cpus ? (int)ctx->start->cpus : 1;
}

int64_t nx_memory_bytes(const struct nx_ctx *ctx)
{
    return ctx->start->memory_bytes;
}

const char *nx_project(const struct nx_ctx *ctx)
{
    return ctx->start->project.n ? ctx->start->project.at : ".";
}

const char *runtime_folder(struct nx_ctx *ctx, const char *part, struct nx_err *err)
{
    const struct child_start *start = ctx->start;
    if (!scratch_use(&ctx->runtime->scratch, start->work.at, start->files.at, err))
        return NULL;
    return arena_printf(&ctx->arena, "%s/%s", start->work.at, part);
}

const char *nx_folder(const struct nx_ctx *ctx)
{
    struct nx_err err;
    const char *folder = runtime_folder((struct nx_ctx *)ctx, "work", &err);
    if (folder)
        return folder;
    /* The operator's first use of it then fails with a path that says what is missing. */
    nx_log((struct nx_ctx *)ctx, "%s", err.text);
    return "/nonexistent";
}

/* ---- Cancelling ---- */

bool nx_cancelled(const struct nx_ctx *ctx)
{
    struct nx_ctx *mine = (struct nx_ctx *)ctx;
    if (!atomic_load_explicit(&mine->armed, memory_order_relaxed)) {
        cancel_arm(&mine->runtime->cancel);
        atomic_store(&mine->armed, true);
    }
    return atomic_load_explicit(&mine->runtime->cancel.cancelled, memory_order_relaxed);
}

void nx_on_cancel(struct nx_ctx *ctx, void (*cancel)(void *arg), void *arg)
{
    cancel_call(&ctx->runtime->cancel, cancel, arg);
}

/* ---- What an operator says ---- */

void nx_log(struct nx_ctx *ctx, const char *format, ...)
{
    (void)ctx;
    struct buf line;
    va_list args;
    buf_init(&line);
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    buf_char(&line, '\n');
    for (size_t at = 0; at < line.len;) {
        ssize_t n = write(STDOUT_FILENO, line.data + at, line.len - at);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&out, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            break; /* nobody reads: the attempt goes on */
        }
        at += n > 0 ? (size_t)n : 0;
    }
    buf_fini(&line);
}

/* What is said as a reason or as progress: whole characters of it. */
static size_t cut(const char *text, size_t n)
{
    if (n < NX_REASON_TEXT_MAX)
        return n;
    n = NX_REASON_TEXT_MAX - 1;
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

void nx_progress(struct nx_ctx *ctx, double fraction, const char *format, ...)
{
    struct buf said, shown;
    int64_t now = clock_mono_ms();
    int64_t last = atomic_load_explicit(&ctx->progress_ms, memory_order_relaxed);
    if (last && now - last < PROGRESS_EVERY_MS)
        return;
    if (!atomic_compare_exchange_strong(&ctx->progress_ms, &last, now))
        return; /* another thread says something just now */
    va_list args;
    buf_init(&said);
    buf_init(&shown);
    va_start(args, format);
    buf_vprintf(&said, format, args);
    va_end(args);
    secrets_hide(ctx, buf_text(&said), &shown);
    if (!(fraction >= 0))
        fraction = -1;
    struct child_message message = {.type = CHILD_PROGRESS};
    message.u.progress.fraction = fraction > 1 ? 1 : fraction;
    message.u.progress.text =
        (struct child_text){buf_text(&shown), cut(buf_text(&shown), shown.len)};
    runtime_send(ctx, &message);
    buf_fini(&said);
    buf_fini(&shown);
}

void nx_metric(struct nx_ctx *ctx, const char *name, double v, int64_t step)
{
    struct child_message message = {.type = CHILD_METRIC};
    struct buf shown;
    buf_init(&shown);
    secrets_hide(ctx, name, &shown);
    message.u.metric = (struct child_metric){child_text(buf_text(&shown)), v, step};
    runtime_send(ctx, &message);
    buf_fini(&shown);
}

enum nx_outcome nx_skip(struct nx_ctx *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ctx->reason, sizeof ctx->reason, format, args);
    va_end(args);
    return NX_SKIPPED;
}

/* ---- Outputs ---- */

static size_t text_size(const char *name, const json_t *value)
{
    struct buf text;
    buf_init(&text);
    js_add(&text, value);
    size_t n = text.len + strlen(name) + 4; /* "": and a comma */
    buf_fini(&text);
    return n;
}

bool runtime_output(struct nx_ctx *ctx, const char *name, json_t *value, struct nx_err *err)
{
    must(value != NULL);
    size_t max = ctx->start->outputs_max ? ctx->start->outputs_max : NX_OUTPUTS_MAX;
    size_t bytes = ctx->outputs_bytes + text_size(name, value);
    json_t *former = json_object_get(ctx->outputs, name);
    if (former)
        bytes -= text_size(name, former);
    if (bytes + 2 > max) {
        json_decref(value);
        return nx_fail(err, NX_E_LIMIT,
                       "output '%s' makes the outputs %zu bytes; at most %zu go between tasks: "
                       "write an artifact",
                       name, bytes + 2, max);
    }
    if (!ctx->outputs)
        ctx->outputs = json_object();
    if (json_object_set_new(ctx->outputs, name, value) != 0)
        return nx_fail(err, NX_E_INVALID, "the name of an output is not UTF-8");
    ctx->outputs_bytes = bytes;
    return true;
}

bool nx_output_json(struct nx_ctx *ctx, const char *name, const char *json, struct nx_err *err)
{
    json_t *value = js_read(json, strlen(json), name, err);
    return value && runtime_output(ctx, name, value, err);
}

bool nx_output_text(struct nx_ctx *ctx, const char *name, const char *text, struct nx_err *err)
{
    return runtime_output(ctx, name, js_string(text), err);
}

bool nx_output_float(struct nx_ctx *ctx, const char *name, double v, struct nx_err *err)
{
    json_t *value = json_real(v);
    if (!value)
        return nx_fail(err, NX_E_DATA, "output '%s' is %f: JSON has no such number", name, v);
    return runtime_output(ctx, name, value, err);
}

bool nx_output_int(struct nx_ctx *ctx, const char *name, int64_t v, struct nx_err *err)
{
    return runtime_output(ctx, name, json_integer(v), err);
}

bool nx_output_bool(struct nx_ctx *ctx, const char *name, bool v, struct nx_err *err)
{
    return runtime_output(ctx, name, json_boolean(v), err);
}
