/* The end of a run, for people. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/tail.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/states.h"

#define TASKS_MAX 60   /* rows; of a larger run tasks with their counts, and what failed */
#define FAILURES_MAX 5 /* whose log is shown */
#define LOG_LINES 10

#define VALUE_MAX 60 /* bytes of an output's value that are shown */

/* An artifact by what it is: "table of 120 rows", "model", "file of 14 bytes". */
static void add_artifact(struct buf *to, const json_t *value)
{
    int64_t rows = js_get_int(value, "rows", -1), bytes = js_get_int(value, "bytes", -1);
    buf_str(to, js_get_text(value, "kind", "artifact"));
    if (rows >= 0)
        buf_printf(to, " of %lld row%s", (long long)rows, rows == 1 ? "" : "s");
    else if (bytes >= 0)
        buf_printf(to, " of %lld byte%s", (long long)bytes, bytes == 1 ? "" : "s");
}

/* {"report.txt": {"artifact": ...}, ...} as "report.txt, ..."; false when it is something else. */
static bool add_artifacts(struct buf *to, const json_t *value)
{
    const char *key;
    json_t *item;
    size_t start = to->len;
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        if (!js_get_text(item, "artifact", NULL)) {
            to->len = start;
            return false;
        }
        buf_printf(to, "%s%s", to->len > start ? ", " : "", key);
    }
    return to->len > start;
}

/* At most VALUE_MAX bytes, whole characters. */
static void add_cut(struct buf *to, const char *text)
{
    size_t n = strlen(text);
    if (n > VALUE_MAX) {
        for (n = VALUE_MAX; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    }
    buf_add(to, text, n);
    if (text[n])
        buf_str(to, "…");
}

/* "letters=13, history=table of 120 rows": what a task handed on. */
static const char *outputs_text(struct arena *arena, const json_t *outputs)
{
    struct buf text = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)outputs, key, value)
    {
        buf_printf(&text, "%s%s=", text.len ? ", " : "", key);
        const char *plain = json_is_real(value) ? NULL : out_scalar(arena, value);
        if (json_is_real(value))
            buf_printf(&text, "%.4g", json_real_value(value));
        else if (js_get_text(value, "artifact", NULL))
            add_artifact(&text, value);
        else if (add_artifacts(&text, value))
            continue;
        else if (!plain)
            buf_str(&text, "null");
        else
            add_cut(&text, plain);
    }
    const char *copy = arena_strdup(arena, buf_text(&text));
    buf_fini(&text);
    return copy;
}

/* Of a large run: each task with how many of its instances are in which state. */
static void print_summary(struct cli *cli, const json_t *tasks)
{
    static const char *const titles[] = {"task", ">instances", "states"};
    struct out_table table;
    size_t n = json_array_size(tasks), at = 0;
    out_table_init(&table, 3, titles);
    while (at < n && table.n_rows < TASKS_MAX) {
        uint32_t counts[NX_TASK_STATES] = {0};
        const char *name = js_get_text(json_array_get(tasks, at), "task", "?");
        struct buf text = {0};
        size_t first = at;
        for (; at < n && str_eq(name, js_get_text(json_array_get(tasks, at), "task", "?")); at++) {
            int state =
                nx_task_state_find(js_get_text(json_array_get(tasks, at), "state", "waiting"));
            counts[state >= 0 ? state : 0]++;
        }
        for (int i = 0; i < NX_TASK_STATES; i++) {
            if (counts[i])
                buf_printf(&text, "%s%u %s", text.len ? ", " : "", counts[i],
                           nx_task_state_name((enum nx_task_state)i));
        }
        out_cell(&table, name);
        out_cellf(&table, "%zu", at - first);
        out_cell(&table, arena_strdup(&cli->arena, buf_text(&text)));
        buf_fini(&text);
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
    if (at < n)
        printf("... and %zu more task instances: -o json tells all\n", n - at);
    putchar('\n');
}

static void print_tasks(struct cli *cli, const json_t *tasks)
{
    static const char *const titles[] = {"task", "state", ">attempt", ">time", "outputs"};
    struct out_table table;
    size_t i, n = json_array_size(tasks);
    json_t *task;
    out_table_init(&table, 5, titles);
    json_array_foreach(tasks, i, task)
    {
        char span[40];
        const char *state = js_get_text(task, "state", "?"), *error;
        if (n > TASKS_MAX && (!str_eq(state, "failed") || table.n_rows >= TASKS_MAX))
            continue;
        const char *started = js_get_text(task, "started_at", NULL);
        int64_t ms = out_span_ms(started, js_get_text(task, "finished_at", NULL), clock_wall_ms());
        out_cell(&table, live_task_name(&cli->arena, task));
        out_cell(&table, state);
        out_cellf(&table, "%lld", (long long)js_get_int(task, "attempt", 0));
        out_cell(&table, out_duration(span, sizeof span, ms));
        const json_t *reason = json_object_get(task, "reason");
        bool plain = str_eq(state, "success") && !str_eq(js_get_text(reason, "code", ""), "marked");
        error = js_get_text(task, "error", NULL);
        if (error)
            out_cellf(&table, "%.*s", (int)strcspn(error, "\n"), error);
        else if (json_object_size(json_object_get(task, "outputs")))
            out_cell(&table, outputs_text(&cli->arena, json_object_get(task, "outputs")));
        else
            out_cell(&table, plain ? "" : js_get_text(reason, "text", ""));
    }
    if (table.n_rows)
        out_table_print(&table, cli);
    out_table_fini(&table);
}

static void print_failure(struct cli *cli, const char *run, const json_t *task)
{
    struct buf text = {0};
    const char *name = live_task_name(&cli->arena, task);
    const char *why = js_get_text(json_object_get(task, "reason"), "text", NULL);
    const char *error = js_get_text(task, "error", why ? why : "it failed without a message");
    int64_t attempt = js_get_int(task, "attempt", 0), most = js_get_int(task, "max_attempts", 0);
    buf_printf(&text, "\n%s failed", name);
    if (most > 1)
        buf_printf(&text, " on attempt %lld of %lld", (long long)attempt, (long long)most);
    buf_str(&text, ": ");
    out_safe(&text, error, strlen(error));
    buf_char(&text, '\n');
    if (attempt > 0)
        tail_last(cli, run, name, attempt, LOG_LINES, "  | ", &text);
    fputs(buf_text(&text), stdout);
    buf_fini(&text);
}

static void print_hints(const char *run, const char *task)
{
    const char *quote = strchr(task, '[') ? "'" : ""; /* a shell would read load[3] as a pattern */
    printf("\n  nexus logs %s %s%s%s\n", run, quote, task, quote);
}

static void print_line(struct cli *cli, const json_t *run)
{
    struct buf line = {0}, state_text = {0};
    char span[40];
    const char *state = js_get_text(run, "state", "?");
    int64_t failed = js_get_int(json_object_get(run, "counts"), "failed", 0);
    int64_t ms = out_span_ms(js_get_text(run, "started_at", NULL),
                             js_get_text(run, "finished_at", NULL), clock_wall_ms());
    buf_printf(&state_text, "%s %s", out_state_glyph(state), state);
    buf_printf(&line, "%s %s: ", js_get_text(run, "dag", "?"), js_get_text(run, "id", "?"));
    out_add(&line, cli->color, out_state_color(state), buf_text(&state_text));
    if (failed && str_eq(state, "success"))
        buf_printf(&line, ", %lld task%s failed", (long long)failed, failed == 1 ? "" : "s");
    if (ms >= 0)
        buf_printf(&line, " in %s", out_duration(span, sizeof span, ms));
    puts(buf_text(&line));
    buf_fini(&line);
    buf_fini(&state_text);
}

void live_print_result(struct cli *cli, const json_t *run, const json_t *tasks, bool hints)
{
    const char *id = js_get_text(run, "id", "?"), *first = NULL;
    size_t i, shown = 0;
    json_t *task;
    if (json_array_size(tasks) > TASKS_MAX)
        print_summary(cli, tasks);
    print_tasks(cli, tasks);
    json_array_foreach(tasks, i, task)
    {
        if (!str_eq(js_get_text(task, "state", ""), "failed") || shown++ >= FAILURES_MAX)
            continue;
        print_failure(cli, id, task);
        if (!first && js_get_int(task, "attempt", 0) > 0) /* it has a log */
            first = live_task_name(&cli->arena, task);
    }
    if (shown > FAILURES_MAX)
        printf("\n... and %zu more failed tasks\n", shown - FAILURES_MAX);
    if (shown)
        putchar('\n');
    print_line(cli, run);
    if (first && hints)
        print_hints(id, first);
}

int live_no_such_task(struct cli *cli, const char *run, const char *task, struct nx_err *err)
{
    json_t *tasks = NULL, *item;
    VEC(const char *) names = {0};
    size_t i;
    if (err->code != NX_E_NOT_FOUND ||
        !api_try_list(cli, &tasks, api_path(&cli->arena, "/runs/%s/tasks", run), 10000, err))
        return api_fail(cli, err);
    json_array_foreach(tasks, i, item) vec_push(&names, live_task_name(&cli->arena, item));
    char how[128];
    snprintf(how, sizeof how, "nexus runs show %.80s", run);
    int status = cli_no_such("task", task, names.at, names.n, how);
    vec_fini(&names);
    json_decref(tasks);
    return status;
}

int live_task(struct cli *cli, const char *run, const char *task, json_t **instance)
{
    struct nx_err err;
    int status = CLI_DONE;
    if (!api_url(cli, &status))
        return status;
    return api_try(cli, "GET", api_path(&cli->arena, "/runs/%s/tasks/%s", run, task), NULL,
                   instance, &err)
               ? CLI_DONE
               : live_no_such_task(cli, run, task, &err);
}
