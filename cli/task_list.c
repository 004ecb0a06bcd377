/* nexus task list: task instances over all runs. */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

/* "load[3]" */
static const char *name_of(struct cli *cli, const json_t *task)
{
    const char *id = js_get_text(task, "task", "?");
    const json_t *index = json_object_get(task, "map_index");
    return json_is_integer(index)
               ? arena_printf(&cli->arena, "%s[%lld]", id, (long long)json_integer_value(index))
               : id;
}

static const char *words_of(const json_t *task)
{
    const char *error = js_get_text(task, "error", NULL);
    return error ? error : js_get_text(json_object_get(task, "reason"), "text", NULL);
}

static void print_tasks(struct cli *cli, const json_t *tasks)
{
    static const char *const titles[] = {"run", "dag", "task", "state", ">attempt", ">time", "why"};
    struct out_table table;
    char text[40];
    json_t *task;
    size_t i;
    out_table_init(&table, 7, titles);
    json_array_foreach(tasks, i, task)
    {
        int64_t ms = out_span_ms(js_get_text(task, "started_at", NULL),
                                 js_get_text(task, "finished_at", NULL), clock_wall_ms());
        out_cell(&table, js_get_text(task, "run", "?"));
        out_cell(&table, js_get_text(task, "dag", "?"));
        out_cell(&table, name_of(cli, task));
        out_cell(&table, js_get_text(task, "state", "?"));
        out_cellf(&table, "%lld", (long long)js_get_int(task, "attempt", 0));
        out_cell(&table, out_duration(text, sizeof text, ms));
        out_cell(&table, words_of(task));
    }
    if (table.n_rows)
        out_table_print(&table, cli);
    else
        puts("No task fits.");
    out_table_fini(&table);
}

static int run_list(struct cli *cli)
{
    json_t *tasks = NULL;
    int64_t limit = cli_number(cli, "limit", 20);
    const char *path = cli_given(cli, "query")
                           ? api_path(&cli->arena, "/tasks?q=%s", cli_get(cli, "query"))
                           : "/tasks";
    int status = api_list(cli, &tasks, path, limit > 0 ? (size_t)limit : 0);
    if (!status && !out_value(cli, tasks, "task"))
        print_tasks(cli, tasks);
    json_decref(tasks);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'q', "query", "TEXT", "where all terms of TEXT hold (below)", false, false},
    {'n', "limit", "N", "at most N, those of the newest run first; 0: all (default 20)", true, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_task_list = {
    .name = "task list",
    .arguments = "",
    .group = "Tasks",
    .summary = "task instances over all runs",
    .help = "Terms of --query are those of `nexus runs list`: keys are dag, operator, task, pool,\n"
            "worker (* stands for anything), state, error (a part of it), cause, tag, since and\n"
            "until (of the run). Other words are looked for in the ids of DAG and task and in the\n"
            "error.\n\n"
            "  nexus task list -q 'state:failed since:24h'\n"
            "  nexus task list -q 'state:queued pool:gpu' -n 0\n"
            "  nexus task list -q 'operator:ml.* error:memory' -o json",
    .options = options,
    .run = run_list,
};
