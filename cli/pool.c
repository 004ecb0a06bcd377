/* nexus pool list | set | delete */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"name",     ">slots", ">used",
                                         ">waiting", "from",   "description"};
    struct out_table table;
    json_t *pools = NULL, *pool;
    size_t i;
    int status = api_list(cli, &pools, "/pools", 0);
    if (status)
        return status;
    if (!out_value(cli, pools, "name")) {
        out_table_init(&table, 6, titles);
        json_array_foreach(pools, i, pool)
        {
            out_cell(&table, js_get_text(pool, "name", "?"));
            if (js_get_bool(pool, "exists", false))
                out_cellf(&table, "%lld", (long long)js_get_int(pool, "slots", 0));
            else
                out_cell(&table, "missing");
            out_cellf(&table, "%lld", (long long)js_get_int(pool, "used", 0));
            out_cellf(&table, "%lld", (long long)js_get_int(pool, "waiting", 0));
            out_cell(&table, js_get_text(pool, "source", NULL));
            out_cell(&table, js_get_text(pool, "description", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No pool. `nexus pool set NAME SLOTS` makes one.");
        out_table_fini(&table);
    }
    json_decref(pools);
    return CLI_DONE;
}

static int run_set(struct cli *cli)
{
    json_t *pool = NULL, *body;
    int64_t slots;
    const char *name = cli_arg(cli, 0), *said = cli_get(cli, "description");
    if (!str_parse_int(cli_arg(cli, 1), &slots) || slots < 0)
        return cli_fail(CLI_USAGE, "SLOTS is a whole number, at least 0, not '%s'",
                        cli_arg(cli, 1));
    body = json_pack("{s:I}", "slots", (json_int_t)slots);
    if (said)
        json_object_set_new(body, "description", js_string(said));
    int status = api_send(cli, "PUT", api_path(&cli->arena, "/pools/%s", name), body, &pool);
    if (!status && !out_value(cli, pool, "name")) {
        printf("pool %s has %lld slots, %lld of them taken; %lld queued tasks name it\n", name,
               (long long)slots, (long long)js_get_int(pool, "used", 0),
               (long long)js_get_int(pool, "waiting", 0));
    }
    json_decref(pool);
    return status;
}

static int run_delete(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    int status = api_send(cli, "DELETE", api_path(&cli->arena, "/pools/%s", name), NULL, &reply);
    if (!status && !out_value(cli, reply, "deleted")) {
        long long used = (long long)js_get_int(reply, "used", 0);
        long long waiting = (long long)js_get_int(reply, "waiting", 0);
        printf("pool %s is gone\n", name);
        if (used)
            printf("%lld of its slots are taken by tasks that go on\n", used);
        if (waiting)
            printf("%lld queued tasks wait until there is a pool of that name\n", waiting);
    }
    json_decref(reply);
    return status;
}

static const struct cli_option set_options[] = {
    {'d', "description", "TEXT", "shown in the list; empty: none (default: as it was)", false,
     false},
    {0},
};

const struct cli_command cmd_pool_list = {
    .name = "pool list",
    .arguments = "",
    .group = "System",
    .summary = "the pools, who made them, and how full they are",
    .help = "  nexus pool list\n  nexus pool list -o json",
    .run = run_list,
};

const struct cli_command cmd_pool_set = {
    .name = "pool set",
    .arguments = "POOL SLOTS",
    .group = "System",
    .summary = "make a pool, or change its slots",
    .help = "It takes effect at once: tasks that waited for the pool start, tasks that run go on.\n"
            "A pool of nexus.yaml is changed there.\n\n"
            "  nexus pool set database 2\n"
            "  nexus pool set gpu 1 --description 'the card in the cellar'",
    .options = set_options,
    .run = run_set,
};

const struct cli_command cmd_pool_delete = {
    .name = "pool delete",
    .arguments = "POOL",
    .group = "System",
    .summary = "take a pool away; its tasks wait",
    .help = "  nexus pool delete database\n  nexus pool delete database -o json",
    .run = run_delete,
};
