#include "tasks/shell.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "tasks/resolve.h"
#include "tasks/script_files.h"
#include "tasks/sweep.h"

/* One argument may have 128 KiB on Linux; a longer script goes through a file. */
#define INLINE_MAX 65536
#define PROGRESS_EVERY_MS 250
#define SKIP_STATUS 99
#define SHELL_WORDS_MAX 16

typedef VEC(const char *) word_list;

/* ---- Environment ---- */

static void add_variable(struct nx_ctx *ctx, word_list *env, const char *name, const char *value)
{
    vec_push(env, arena_printf(&ctx->arena, "%s=%s", name, value ? value : ""));
}

/* What the worker's own environment gives on: all but what belongs to Nexus or is set below. */
static void add_inherited(struct nx_ctx *ctx, word_list *env, const struct resolved_script *script)
{
    for (char **e = environ; *e; e++) {
        char name[256];
        size_t n = strcspn(*e, "=");
        if (n >= sizeof name || str_starts(*e, "NEXUS_") || str_starts(*e, "NOTIFY_SOCKET="))
            continue;
        memcpy(name, *e, n);
        name[n] = 0;
        if (!json_object_get(script->env, name) && !json_object_get(script->variables, name))
            vec_push(env, *e);
    }
    (void)ctx;
}

static void add_object(struct nx_ctx *ctx, word_list *env, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (!str_starts(name, "NEXUS_"))
            add_variable(ctx, env, name, json_string_value(value));
    }
}

static void add_own(struct nx_ctx *ctx, word_list *env)
{
    static const struct {
        const char *name, *key;
    } infos[] = {
        {"NEXUS_RUN_ID", "run_id"},   {"NEXUS_DAG_ID", "dag_id"},
        {"NEXUS_TASK_ID", "task_id"}, {"NEXUS_MAP_INDEX", "map_index"},
        {"NEXUS_ATTEMPT", "attempt"},
    };
    static const struct {
        const char *name, *part;
    } files[] = {
        {"NEXUS_OUTPUT", "output"},
        {"NEXUS_ARTIFACTS", "artifacts"},
        {"NEXUS_PROGRESS", "progress"},
    };
    const struct child_start *start = ctx->start;
    for (size_t i = 0; i < sizeof infos / sizeof infos[0]; i++)
        add_variable(ctx, env, infos[i].name, nx_info(ctx, infos[i].key));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        vec_push(env, arena_printf(&ctx->arena, "%s=%s/%s", files[i].name, start->work.at,
                                   files[i].part));
    add_variable(ctx, env, "NEXUS_PROJECT", nx_project(ctx));
    add_variable(ctx, env, "NEXUS_LEASE", start->mark.at);
    if (start->url.n)
        add_variable(ctx, env, "NEXUS_URL", start->url.at);
}

/* ---- Command line ---- */

/* The flag that a language takes a program's text with; NULL: only as a file. */
static const char *text_flag(const char *program)
{
    static const char *const takes_c[] = {"sh",  "dash", "bash",   "zsh",
                                          "ksh", "ash",  "python", "python3"};
    static const char *const takes_e[] = {"perl", "ruby", "node", "lua", "Rscript"};
    const char *base = path_base(program);
    for (size_t i = 0; i < sizeof takes_c / sizeof takes_c[0]; i++)
        if (strcmp(base, takes_c[i]) == 0)
            return "-c";
    for (size_t i = 0; i < sizeof takes_e / sizeof takes_e[0]; i++)
        if (strcmp(base, takes_e[i]) == 0)
            return "-e";
    return NULL;
}

/* A shell ends at the first failure, and at a variable that is not set. */
static void add_default_flags(word_list *words, const char *program)
{
    const char *base = path_base(program);
    static const char *const shells[] = {"sh", "dash", "bash", "zsh", "ksh", "ash"};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(base, shells[i]) == 0)
            vec_push(words, "-eu");
    if (strcmp(base, "bash") == 0) {
        vec_push(words, "-o");
        vec_push(words, "pipefail");
    }
}

/* `bash`, or with flags of its own: `bash -x`. */
static bool add_shell(struct nx_ctx *ctx, word_list *words, struct nx_err *err)
{
    char *rest = NULL;
    const char *shell = ctx->definition->shell;
    char *copy = arena_strdup(&ctx->arena, shell);
    for (char *word = strtok_r(copy, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (words->n == SHELL_WORDS_MAX)
            return nx_fail(err, NX_E_INVALID, "shell: more than %d words", SHELL_WORDS_MAX);
        vec_push(words, word);
    }
    if (words->n == 0)
        return nx_fail(err, NX_E_INVALID, "shell: is empty");
    if (words->n == 1)
        add_default_flags(words, words->at[0]);
    return true;
}

static bool make_command(struct nx_ctx *ctx, const char *script, word_list *words,
                         struct nx_err *err)
{
    if (!add_shell(ctx, words, err))
        return false;
    const char *flag = text_flag(words->at[0]);
    if (flag && strlen(script) <= INLINE_MAX) {
        vec_push(words, flag);
        vec_push(words, script);
    } else {
        const char *path = runtime_folder(ctx, "script", err);
        if (!path || !path_write(path, script, strlen(script), err))
            return nx_wrap(err, "the script");
        vec_push(words, path);
    }
    vec_push(words, NULL);
    return true;
}

/* ---- Process ---- */

static bool spawn(const char *const *argv, const char *const *env, const char *folder, pid_t *pid,
                  struct nx_err *err)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    sigset_t none, ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE); /* nexus-task ignores these; a script's pipelines need them */
    sigaddset(&ignored, SIGINT);
    sigaddset(&ignored, SIGHUP);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &ignored);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    int e = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)argv, (char *const *)env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (e == 0)
        return true;
    if (e == ENOENT)
        return nx_fail(err, NX_E_NOT_FOUND, "shell '%s' is not installed on this worker", argv[0]);
    if (e == E2BIG)
        return nx_fail(err, NX_E_LIMIT,
                       "the script's environment is too large for a process (one value: 128 KiB): "
                       "hand large values over as artifacts");
    return nx_fail(err, NX_E_IO, "cannot start '%s': %s", argv[0], strerror(e));
}

/* Once the attempt is cancelled: asks the whole session's group to end; alone, kills it later. */
static void cancel_script(struct nx_ctx *ctx, pid_t pid, int64_t *asked_ms)
{
    if (!atomic_load(&ctx->runtime->cancel.cancelled))
        return;
    if (*asked_ms == 0) {
        *asked_ms = clock_mono_ms();
        kill(-pid, SIGTERM);
        kill(-pid, SIGCONT);
    } else if (ctx->runtime->alone && clock_mono_ms() - *asked_ms > NX_GRACE_MS) {
        kill(-pid, SIGKILL);
    }
}

static void wait_script(struct nx_ctx *ctx, pid_t pid, int *status, struct rusage *usage)
{
    struct cancel *cancel = &ctx->runtime->cancel;
    const char *progress = runtime_folder(ctx, "progress", NULL);
    off_t progress_at = 0;
    int64_t asked_ms = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    must(pidfd >= 0);
    for (;;) {
        struct pollfd fds[3] = {{.fd = pidfd, .events = POLLIN},
                                {.fd = cancel->wake_fd, .events = POLLIN},
                                {.fd = cancel->fd, .events = POLLIN}};
        cancel_script(ctx, pid, &asked_ms);
        poll(fds, 3, PROGRESS_EVERY_MS);
        if (fds[1].revents || fds[2].revents)
            cancel_look(cancel);
        if (progress)
            script_progress_look(ctx, progress, &progress_at);
        if (fds[0].revents && wait4(pid, status, WNOHANG, usage) == pid)
            break;
    }
    close(pidfd);
}

static void sweep(struct nx_ctx *ctx)
{
    struct sweep left;
    bool cancelled = atomic_load(&ctx->runtime->cancel.cancelled);
    sweep_run(&left, ctx->start->mark.at ? ctx->start->mark.at : "",
              cancelled ? NX_GRACE_MS : SWEEP_GRACE_MS, cancelled);
    if (left.n_killed)
        nx_log(ctx, "nexus: killed what the script left behind: %s", buf_text(&left.names));
    if (left.left)
        nx_log(ctx, "nexus: some of its processes could not be killed");
    ctx->spoiled = left.left;
    ctx->script_cpu_us += left.cpu_us;
    if (left.rss_kb > ctx->script_rss_kb)
        ctx->script_rss_kb = left.rss_kb;
    buf_fini(&left.names);
}

static enum nx_outcome judge(struct nx_ctx *ctx, int status, struct nx_err *err)
{
    *err = (struct nx_err){.code = NX_OK};
    if (WIFSIGNALED(status)) {
        ctx->signal = WTERMSIG(status);
        const char *name = sigabbrev_np(ctx->signal);
        snprintf(err->text, sizeof err->text, "the script was ended by signal %d (SIG%s)",
                 ctx->signal, name ? name : "?");
        return NX_FAILED;
    }
    ctx->exit_code = WEXITSTATUS(status);
    if (ctx->exit_code == 0)
        return script_files_take(ctx, err) ? NX_DONE : NX_FAILED;
    if (ctx->exit_code == SKIP_STATUS)
        return nx_skip(ctx, "exit status %d", SKIP_STATUS);
    snprintf(err->text, sizeof err->text, "the script ended with exit status %d%s", ctx->exit_code,
             ctx->exit_code == 127   ? " (command not found)"
             : ctx->exit_code == 126 ? " (not executable)"
                                     : "");
    return NX_FAILED;
}

static bool start(struct nx_ctx *ctx, const struct resolved_script *script, pid_t *pid,
                  struct nx_err *err)
{
    word_list env = {0}, words = {0};
    const char *folder = runtime_folder(ctx, "work", err);
    bool ok = folder && make_command(ctx, script->text, &words, err);
    if (ok) {
        add_inherited(ctx, &env, script);
        add_object(ctx, &env, script->env);
        add_object(ctx, &env, script->variables);
        add_own(ctx, &env);
        vec_push(&env, NULL);
        ok = spawn(words.at, env.at, folder, pid, err);
    }
    vec_fini(&env);
    vec_fini(&words);
    return ok;
}

enum nx_outcome shell_run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct resolved_script script;
    struct rusage usage;
    pid_t pid;
    int status;
    bool started = resolve_script(ctx, &script, err) && start(ctx, &script, &pid, err);
    resolved_script_fini(&script);
    if (!started)
        return NX_FAILED;
    wait_script(ctx, pid, &status, &usage);
    ctx->script_cpu_us = ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                         usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    ctx->script_rss_kb = usage.ru_maxrss;
    sweep(ctx);
    return judge(ctx, status, err);
}
