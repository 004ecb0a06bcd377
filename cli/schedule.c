/* nexus dag next */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

static void print_fires(struct cli *cli, const json_t *fires)
{
    static const char *const titles[] = {"fires at (local)", "when", "interval from", "to"};
    struct out_table table;
    const json_t *fire;
    char text[40];
    size_t i;
    out_table_init(&table, 4, titles);
    json_array_foreach(fires, i, fire)
    {
        const json_t *interval = json_object_get(fire, "interval");
        out_cell(&table, js_get_text(fire, "local", "?"));
        out_cell(&table,
                 out_ago(text, sizeof text, js_get_text(fire, "fire_at", NULL), clock_wall_ms()));
        out_cell(&table, js_get_text(interval, "start", NULL));
        out_cell(&table, js_get_text(interval, "finish", NULL));
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
}

static int run_next(struct cli *cli)
{
    json_t *reply = NULL;
    const json_t *wait;
    size_t i;
    const char *dag = cli_arg(cli, 0), *from = cli_get(cli, "from");
    long long n = cli_number(cli, "number", 10);
    if (n < 1 || n > 1000)
        return cli_fail(CLI_USAGE, "-n takes 1 to 1000");
    const char *path = from
                           ? api_path(&cli->arena, "/dags/%s/next?limit=%lld&from=%s", dag, n, from)
                           : api_path(&cli->arena, "/dags/%s/next?limit=%lld", dag, n);
    int status = api_get(cli, &reply, path);
    if (status)
        return status;
    const json_t *fires = json_object_get(reply, "items");
    const json_t *waits = json_object_get(reply, "dataset_waits");
    if (out_value(cli, fires, "fire_at"))
        waits = NULL;
    else if (json_array_size(fires))
        print_fires(cli, fires);
    else if (!json_array_size(waits))
        printf("Nothing is planned for %s: `nexus dag show %s` has its schedule.\n", dag, dag);
    if (js_get_bool(reply, "paused", false))
        fprintf(stderr, "nexus: %s is paused: none of them fires until `nexus dag unpause %s`\n",
                dag, dag);
    json_array_foreach(waits, i, wait) printf("It %s.\n", js_get_text(wait, "text", "?"));
    json_decref(reply);
    return CLI_DONE;
}

static const struct cli_option options[] = {
    {'n', "number", "N", "so many fires (default 10)", true, false},
    {0, "from", "T", "those then or later (default now); local to the DAG's zone", false, false},
    {0},
};

const struct cli_command cmd_dag_next = {
    .name = "dag next",
    .arguments = "DAG",
    .group = "DAGs",
    .summary = "when a DAG's schedule fires next, and for which data interval",
    .help = "  nexus dag next hello\n  nexus dag next hello -n 20 --from 2026-10-24",
    .options = options,
    .run = run_next,
};
