/* nexus explain RUN [TASK] */
#include <stdio.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define ROWS_MAX 200 /* of the table; JSON has all */

/* The instances from `at` on, of one mapped task and with the same to say, that are one row. */
static size_t alike(const json_t *items, size_t at)
{
    const json_t *first = json_array_get(items, at), *next;
    const json_t *reasons = json_object_get(first, "reasons");
    int64_t map = js_get_int(first, "map_index", -1);
    size_t n = 1;
    while (map >= 0 && json_array_size(reasons) == 1 && (next = json_array_get(items, at + n))) {
        const json_t *others = json_object_get(next, "reasons");
        if (js_get_int(next, "map_index", -1) != map + (int64_t)n || json_array_size(others) != 1 ||
            !str_eq(js_get_text(first, "task", ""), js_get_text(next, "task", "")) ||
            !str_eq(js_get_text(first, "state", ""), js_get_text(next, "state", "")) ||
            !str_eq(js_get_text(json_array_get(reasons, 0), "text", ""),
                    js_get_text(json_array_get(others, 0), "text", "")))
            break;
        n++;
    }
    return n;
}

static void add_rows(struct cli *cli, struct out_table *table, const json_t *item, size_t n_alike)
{
    const json_t *reasons = json_object_get(item, "reasons");
    size_t n = json_array_size(reasons);
    for (size_t i = 0; i < (n ? n : 1); i++) {
        char text[40];
        const json_t *reason = json_array_get(reasons, i);
        const char *since = js_get_text(reason, "since", NULL);
        if (n_alike > 1)
            out_cellf(table, "%s[%lld..%lld]", js_get_text(item, "task", "?"),
                      (long long)js_get_int(item, "map_index", 0),
                      (long long)js_get_int(item, "map_index", 0) + (long long)n_alike - 1);
        else
            out_cell(table, live_task_name(&cli->arena, item));
        out_cell(table, js_get_text(item, "state", "?"));
        out_cell(table, since ? out_ago(text, sizeof text, since, clock_wall_ms()) : NULL);
        const char *why = js_get_text(reason, "text", NULL);
        out_cell(table, why && *why ? why : js_get_text(reason, "code", NULL));
    }
}

static void print_rows(struct cli *cli, const char *run, const json_t *items)
{
    static const char *const titles[] = {"task", "state", "since", "why"};
    struct out_table table;
    size_t n = json_array_size(items), at = 0;
    out_table_init(&table, 4, titles);
    while (at < n && table.n_rows < ROWS_MAX) {
        size_t n_alike = alike(items, at);
        add_rows(cli, &table, json_array_get(items, at), n_alike);
        at += n_alike;
    }
    if (table.n_rows)
        out_table_print(&table, cli);
    else
        printf("Nothing of run %s waits.\n", run);
    if (at < n)
        printf("... and %zu more: -o json tells all\n", n - at);
    out_table_fini(&table);
}

/* It waits for nothing, or is it mistyped? */
static int check_task(struct cli *cli, const char *run, const char *task)
{
    struct nx_err err;
    json_t *instance = NULL;
    const char *path = api_path(&cli->arena, "/runs/%s/tasks/%s", run, task);
    if (!api_try(cli, "GET", path, NULL, &instance, &err))
        return live_no_such_task(cli, run, task, &err);
    json_decref(instance);
    return CLI_DONE;
}

static int run_explain(struct cli *cli)
{
    const char *run = cli_arg(cli, 0), *task = cli_arg(cli, 1);
    json_t *reply = NULL, *item, *chosen = json_array();
    size_t i;
    const char *path = task ? api_path(&cli->arena, "/runs/%s/explain?task=%s", run, task)
                            : api_path(&cli->arena, "/runs/%s/explain", run);
    int status = api_list(cli, &reply, path, 0);
    json_array_foreach(reply, i, item)
    {
        if (!task || str_eq(task, live_task_name(&cli->arena, item)) ||
            str_eq(task, js_get_text(item, "task", "")))
            json_array_append(chosen, item);
    }
    if (!status && task && !json_array_size(chosen))
        status = check_task(cli, run, task);
    if (!status && !out_value(cli, chosen, "task"))
        print_rows(cli, run, chosen);
    json_decref(reply);
    json_decref(chosen);
    return status;
}

const struct cli_command cmd_explain = {
    .name = "explain",
    .arguments = "RUN [TASK]",
    .group = "Runs",
    .summary = "why tasks of a run are not running",
    .help = "  nexus explain 12\n  nexus explain 12 train -o json",
    .run = run_explain,
};
