/* nexus explain RUN [TASK] */
#include <stdio.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

static void add_rows(struct cli *cli, struct out_table *table, const json_t *item)
{
    const json_t *reasons = json_object_get(item, "reasons");
    size_t n = json_array_size(reasons);
    for (size_t i = 0; i < (n ? n : 1); i++) {
        char text[40];
        const json_t *reason = json_array_get(reasons, i);
        const char *since = js_get_text(reason, "since", NULL);
        out_cell(table, live_task_name(&cli->arena, item));
        out_cell(table, js_get_text(item, "state", "?"));
        out_cell(table, since ? out_ago(text, sizeof text, since, clock_wall_ms()) : NULL);
        const char *why = js_get_text(reason, "text", NULL);
        out_cell(table, why && *why ? why : js_get_text(reason, "code", NULL));
    }
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
    static const char *const titles[] = {"task", "state", "since", "why"};
    struct out_table table;
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
    if (!status && !out_value(cli, chosen, "task")) {
        out_table_init(&table, 4, titles);
        json_array_foreach(chosen, i, item) add_rows(cli, &table, item);
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            printf("Nothing of run %s waits.\n", run);
        out_table_fini(&table);
    }
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
