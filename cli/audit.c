/* nexus audit */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

static int run_audit(struct cli *cli)
{
    static const char *const titles[] = {"at", "who", "what", "target", "detail"};
    struct out_table table;
    json_t *list = NULL, *one;
    size_t i;
    char text[40];
    int status = api_list(cli, &list, "/audit", (size_t)cli_number(cli, "limit", 20));
    if (status)
        return status;
    if (!out_value(cli, list, "id")) {
        out_table_init(&table, 5, titles);
        json_array_foreach(list, i, one)
        {
            out_cell(&table,
                     out_ago(text, sizeof text, js_get_text(one, "at", NULL), clock_wall_ms()));
            out_cell(&table, js_get_text(one, "who", NULL));
            out_cell(&table, js_get_text(one, "what", NULL));
            out_cell(&table, js_get_text(one, "target", NULL));
            out_cell(&table, out_scalar(&cli->arena, json_object_get(one, "detail")));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("Nobody has changed anything by hand.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

static const struct cli_option options[] = {
    {'n', "limit", "N", "at most N, newest first; 0: all (default 20)", true, false},
    {0},
};

const struct cli_command cmd_audit = {
    .name = "audit",
    .arguments = "",
    .group = "System",
    .summary = "who changed what by hand, newest first",
    .help = "  nexus audit\n  nexus audit -n 100 -o json",
    .options = options,
    .run = run_audit,
};
