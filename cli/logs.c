/* nexus logs RUN [TASK] */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/states.h"

#define POLL_MS 300
#define LINE_SHOWN 16000 /* about what the API gives of a line */

struct copy {
    uint64_t offset;
    bool broken; /* stdout is closed */
};

static bool on_piece(void *arg, const char *p, size_t n)
{
    struct copy *copy = arg;
    copy->offset += n;
    copy->broken = fwrite(p, 1, n, stdout) != n || fflush(stdout) != 0;
    return !copy->broken;
}

static bool cancelled(void *arg)
{
    (void)arg;
    return live_interrupted();
}

static bool has_ended(const json_t *instance, int64_t attempt)
{
    int state = nx_task_state_find(js_get_text(instance, "state", ""));
    return state < 0 || nx_task_state_final((enum nx_task_state)state) ||
           js_get_int(instance, "attempt", 0) > attempt || state == NX_TS_RETRYING;
}

/* Copies the attempt's log to stdout, as bytes; with follow until the attempt has ended. */
static int copy_log(struct cli *cli, const char *run, const char *task, int64_t attempt,
                    bool follow)
{
    struct copy copy = {0};
    struct nx_err err;
    bool ended = !follow;
    for (;;) {
        const char *path = api_path(&cli->arena, "/runs/%s/tasks/%s/attempts/%lld/log?offset=%lld",
                                    run, task, (long long)attempt, (long long)copy.offset);
        path = arena_printf(&cli->arena, "%s%s", path, follow ? "&follow=true" : "");
        uint64_t before = copy.offset;
        bool ok = api_stream(cli, path, on_piece, follow ? cancelled : NULL, &copy, &err);
        if (copy.broken || (!ok && err.code == NX_E_CANCELLED))
            return CLI_DONE;
        if (!ok && err.code != NX_E_NOT_FOUND)
            return api_fail(cli, &err);
        if (!follow && copy.offset == 0)
            return cli_fail(CLI_DONE, "task %s of run %s has written nothing, or its log is gone",
                            task, run);
        if (!follow || (ended && copy.offset == before))
            return CLI_DONE;
        json_t *instance = NULL;
        if (!api_try(cli, "GET", api_path(&cli->arena, "/runs/%s/tasks/%s", run, task), NULL,
                     &instance, &err))
            return api_fail(cli, &err);
        ended = has_ended(instance, attempt);
        json_decref(instance);
        if (!ended && live_sleep(POLL_MS))
            return CLI_DONE;
    }
}

/* Why there is no log, instead of nothing. */
static int no_log(const json_t *instance, const char *run, const char *task)
{
    const char *state = js_get_text(instance, "state", "?"), *error;
    const char *why = js_get_text(json_object_get(instance, "reason"), "text", "");
    error = js_get_text(instance, "error", NULL);
    return cli_fail(CLI_DONE, "task %s of run %s has no log: it is %s%s%s", task, run, state,
                    error || *why ? ": " : "", error ? error : why);
}

/* "2026-11-27T07:12:01.123Z err load[3] | text", time and stream only if wanted. */
static void put_line(struct cli *cli, const json_t *item, struct buf *lines)
{
    const char *text = js_get_text(item, "text", "");
    int64_t n_bytes = js_get_int(item, "bytes", 0);
    size_t n = strlen(text);
    if (cli_given(cli, "times"))
        buf_printf(lines, "%-24s %-5s ", js_get_text(item, "at", "-"),
                   js_get_text(item, "stream", "-"));
    buf_printf(lines, "%s |%s", live_task_name(&cli->arena, item), n ? " " : "");
    out_safe(lines, text, n);
    if (n >= LINE_SHOWN && n_bytes > (int64_t)n)
        buf_printf(lines, " ... (%lld bytes)", (long long)n_bytes);
    buf_char(lines, '\n');
}

/* The lines of all tasks that have started, or of all instances of one, by time. */
static int all_tasks(struct cli *cli, const char *run, const char *only)
{
    struct buf cursor = {0};
    bool any = false, more = true;
    int status = CLI_DONE;
    while (more && !status) {
        const char *path = api_path(&cli->arena, "/runs/%s/log?now=true&limit=1000", run);
        struct buf lines = {0};
        json_t *page = NULL, *item;
        size_t i;
        if (only)
            path = arena_printf(&cli->arena, "%s%s", path, api_path(&cli->arena, "&task=%s", only));
        if (cursor.len)
            path = arena_printf(&cli->arena, "%s%s", path,
                                api_path(&cli->arena, "&cursor=%s", buf_text(&cursor)));
        status = api_get(cli, &page, path);
        json_array_foreach(json_object_get(page, "items"), i, item) put_line(cli, item, &lines);
        fputs(buf_text(&lines), stdout);
        more = lines.len > 0 && js_get_text(page, "next", NULL);
        any = any || lines.len > 0;
        buf_clear(&cursor);
        buf_str(&cursor, js_get_text(page, "next", ""));
        buf_fini(&lines);
        json_decref(page);
    }
    buf_fini(&cursor);
    return status || any
               ? status
               : cli_fail(CLI_DONE, "no %s of run %s has written anything, or their logs are gone",
                          only ? arena_printf(&cli->arena, "instance of task %s", only) : "task",
                          run);
}

/* Whether instances, one an item of its list, stand for the task. */
static bool stands_aside(const json_t *instance)
{
    return str_eq(js_get_text(json_object_get(instance, "reason"), "code", ""), "mapped");
}

static int mapped_task(struct cli *cli, const char *run, const char *task, bool follow)
{
    if (follow || cli_given(cli, "attempt"))
        return cli_fail(CLI_USAGE, "task %s of run %s is mapped: name an instance: '%s[0]'", task,
                        run, task);
    return all_tasks(cli, run, task);
}

static int one_task(struct cli *cli, const char *run, const char *task, bool follow)
{
    struct nx_err err;
    json_t *instance = NULL;
    int status = live_task(cli, run, task, &instance);
    if (status)
        return status;
    if (stands_aside(instance)) {
        json_decref(instance);
        return mapped_task(cli, run, task, follow);
    }
    int64_t last = js_get_int(instance, "attempt", 0), attempt = cli_number(cli, "attempt", last);
    if (cli_given(cli, "attempt") && attempt < 1)
        status = cli_fail(CLI_USAGE, "--attempt: attempts count from 1");
    else if (attempt > last)
        status = cli_fail(CLI_USAGE, "task %s of run %s has %lld attempt%s", task, run,
                          (long long)last, last == 1 ? "" : "s");
    else if (attempt < 1 && !follow)
        status = no_log(instance, run, task);
    json_decref(instance);
    instance = NULL;
    while (!status && attempt < 1 && follow) { /* it has not started */
        if (!api_try(cli, "GET", api_path(&cli->arena, "/runs/%s/tasks/%s", run, task), NULL,
                     &instance, &err))
            return api_fail(cli, &err);
        attempt = js_get_int(instance, "attempt", 0);
        bool over = attempt < 1 && has_ended(instance, 0);
        if (over && stands_aside(instance))
            status = mapped_task(cli, run, task, follow);
        else if (over)
            status = no_log(instance, run, task);
        json_decref(instance);
        instance = NULL;
        if (over || (attempt < 1 && live_sleep(POLL_MS)))
            return status;
    }
    return status || attempt < 1 ? status : copy_log(cli, run, task, attempt, follow);
}

static int run_logs(struct cli *cli)
{
    const char *run = cli_arg(cli, 0), *task = cli_arg(cli, 1);
    bool follow = cli_given(cli, "follow");
    if (follow)
        live_block();
    if (cli_given(cli, "times") && (follow || cli_given(cli, "attempt")))
        return cli_fail(CLI_USAGE, "--times shows the last attempts as they are now: without "
                                   "--follow and --attempt");
    if (cli_given(cli, "times"))
        return all_tasks(cli, run, task);
    if (task)
        return one_task(cli, run, task, follow);
    if (cli_given(cli, "attempt"))
        return cli_fail(CLI_USAGE, "--attempt needs a task: nexus logs %s TASK --attempt N", run);
    if (!follow)
        return all_tasks(cli, run, NULL);
    struct live_options options = {.logs = true};
    return live_watch(cli, run, &options);
}

/* clang-format off */
static const struct cli_option options[] = {
    {'a', "attempt", "N", "of this attempt (default: the last)", true, false},
    {'f', "follow", NULL, "go on until the attempt, or the run, has ended", false, false},
    {'t', "times", NULL, "each line after its time and stream (out, err, nexus)", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_logs = {
    .name = "logs",
    .arguments = "RUN [TASK]",
    .group = "Runs",
    .summary = "the output of a task, or of all tasks of a run",
    .help = "Of one task: its bytes as they are. Of a run, or of all instances of a mapped task: "
            "lines\n"
            "in the order of their times, each after its task's name.\n"
            "\n"
            "  nexus logs 12 train --follow\n  nexus logs 12 'load[3]' --attempt 1\n"
            "  nexus logs 12 --times",
    .options = options,
    .run = run_logs,
};
