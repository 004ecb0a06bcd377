/* nexus retention show | run */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

static void cell_age(struct out_table *table, const json_t *policy, const char *key)
{
    char text[48];
    double seconds = js_get_float(policy, key, -1);
    out_cell(table, seconds < 0
                        ? "ever"
                        : str_format_duration(text, sizeof text, (int64_t)(seconds * 1000)));
}

static void print_policies(struct cli *cli, const json_t *list)
{
    static const char *const titles[] = {"dag",  "runs",      ">keep",    "logs",
                                         "from", ">runs due", ">logs due"};
    struct out_table table;
    const json_t *one;
    size_t i;
    out_table_init(&table, 7, titles);
    json_array_foreach(list, i, one)
    {
        int64_t keep = js_get_int(one, "keep", -1);
        const char *more = js_get_bool(one, "more", false) ? "+" : "";
        out_cell(&table, js_get_text(one, "dag", "?"));
        cell_age(&table, one, "runs");
        if (keep < 0)
            out_cell(&table, "all");
        else
            out_cellf(&table, "%lld", (long long)keep);
        cell_age(&table, one, "logs");
        out_cell(&table, js_get_text(one, "source", "?"));
        out_cellf(&table, "%lld%s", (long long)js_get_int(one, "due_runs", 0), more);
        out_cellf(&table, "%lld%s", (long long)js_get_int(one, "due_logs", 0), more);
    }
    if (table.n_rows)
        out_table_print(&table, cli);
    else
        puts("No DAG yet.");
    out_table_fini(&table);
}

static int run_show(struct cli *cli)
{
    json_t *list = NULL, *shown = json_array(), *one;
    const char *only = cli_arg(cli, 0);
    size_t i;
    int status = api_list(cli, &list, "/retention", 0);
    json_array_foreach(list, i, one)
    {
        if (!only || str_eq(js_get_text(one, "dag", ""), only))
            json_array_append(shown, one);
    }
    if (!status && only && !json_array_size(shown))
        status = cli_fail(CLI_USAGE, "no DAG '%s' (`nexus dag list` lists them)", only);
    else if (!status && !out_value(cli, shown, "dag"))
        print_policies(cli, shown);
    json_decref(shown);
    json_decref(list);
    return status;
}

static int list_due(struct cli *cli)
{
    static const char *const titles[] = {"run", "dag", "state", "ended", "over"};
    struct out_table table;
    json_t *reply = NULL;
    const json_t *items, *one;
    size_t i;
    int status = api_get(cli, &reply, "/retention/due?limit=1000");
    if (status)
        return status;
    items = json_object_get(reply, "items");
    if (!out_value(cli, items, "run")) {
        out_table_init(&table, 5, titles);
        json_array_foreach(items, i, one)
        {
            out_cell(&table, js_get_text(one, "run", "?"));
            out_cell(&table, js_get_text(one, "dag", "?"));
            out_cell(&table, js_get_text(one, "state", "?"));
            out_cell(&table, js_get_text(one, "finished_at", NULL));
            out_cell(&table, js_get_text(one, "because", "?"));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        out_table_fini(&table);
        printf("%zu run%s%s would go; nothing is changed (--dry-run)\n", json_array_size(items),
               json_array_size(items) == 1 ? "" : "s",
               json_array_size(items) == 1000 ? " and perhaps more" : "");
    }
    json_decref(reply);
    return CLI_DONE;
}

static int run_run(struct cli *cli)
{
    json_t *reply = NULL;
    if (cli_given(cli, "dry-run"))
        return list_due(cli);
    int status = api_send(cli, "POST", "/retention/run", NULL, &reply);
    if (!status && !out_value(cli, reply, "started"))
        puts("what is over its bounds goes now, whenever the scheduler is idle; "
             "`nexus retention show` counts what is left");
    json_decref(reply);
    return status;
}

/* clang-format off */
static const struct cli_option run_options[] = {
    {0, "dry-run", NULL, "only list the runs that would go", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_retention_show = {
    .name = "retention show",
    .arguments = "[DAG]",
    .group = "System",
    .summary = "how long runs and logs stay, and how many are due to go",
    .help = "The bounds are the `retention` of a DAG file, or that of nexus.yaml.\n\n"
            "  nexus retention show\n  nexus retention show hello -o json",
    .run = run_show,
};

const struct cli_command cmd_retention_run = {
    .name = "retention run",
    .arguments = "",
    .group = "System",
    .summary = "take away now what is over its bounds",
    .help =
        "That happens by itself once a minute; artifacts that nothing names go once an hour.\n\n"
        "  nexus retention run --dry-run\n  nexus retention run",
    .options = run_options,
    .run = run_run,
};
