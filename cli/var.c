/* nexus var list | get | set | delete */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "cli/trigger.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"name", "from", "set", "value"};
    struct out_table table;
    json_t *list = NULL, *one;
    char text[40];
    size_t i;
    int status = api_list(cli, &list, "/variables", 0);
    if (status)
        return status;
    if (!out_value(cli, list, "name")) {
        out_table_init(&table, 4, titles);
        table.wrap_last = true;
        json_array_foreach(list, i, one)
        {
            out_cell(&table, js_get_text(one, "name", "?"));
            out_cell(&table, js_get_text(one, "source", NULL));
            out_cell(&table, out_ago(text, sizeof text, js_get_text(one, "updated_at", NULL),
                                     clock_wall_ms()));
            out_cell(&table, out_scalar(&cli->arena, json_object_get(one, "value")));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No variable. `nexus var set NAME VALUE` makes one.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

static int run_get(struct cli *cli)
{
    json_t *one = NULL;
    int status = api_get(cli, &one, api_path(&cli->arena, "/variables/%s", cli_arg(cli, 0)));
    if (!status && !out_value(cli, one, "name"))
        puts(out_scalar(&cli->arena, json_object_get(one, "value")));
    json_decref(one);
    return status;
}

static int run_set(struct cli *cli)
{
    json_t *one = NULL;
    const char *name = cli_arg(cli, 0), *text = cli_arg(cli, 1);
    json_t *value = cli_given(cli, "text") ? js_string(text) : trigger_value(text);
    if (json_is_null(value)) {
        json_decref(value);
        return cli_fail(CLI_USAGE,
                        "a variable is not null: `nexus var delete %s` takes it away, "
                        "--text keeps the word",
                        name);
    }
    int status = api_send(cli, "PUT", api_path(&cli->arena, "/variables/%s", name),
                          json_pack("{s:o}", "value", value), &one);
    if (!status && !out_value(cli, one, "name"))
        printf("variable %s is set; runs that have begun keep what they saw\n", name);
    json_decref(one);
    return status;
}

static int run_delete(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    int status =
        api_send(cli, "DELETE", api_path(&cli->arena, "/variables/%s", name), NULL, &reply);
    if (!status && !out_value(cli, reply, "deleted"))
        printf("variable %s is gone\n", name);
    json_decref(reply);
    return status;
}

static const struct cli_option set_options[] = {
    {0, "text", NULL, "VALUE is a text, whatever it looks like", false, false},
    {0},
};

const struct cli_command cmd_var_list = {
    .name = "var list",
    .arguments = "",
    .group = "System",
    .summary = "the variables that expressions see as vars.NAME",
    .help = "  nexus var list\n  nexus var list -o json",
    .run = run_list,
};

const struct cli_command cmd_var_get = {
    .name = "var get",
    .arguments = "VARIABLE",
    .group = "System",
    .summary = "the value of a variable",
    .help = "  nexus var get region\n  nexus var get region -o json",
    .run = run_get,
};

const struct cli_command cmd_var_set = {
    .name = "var set",
    .arguments = "VARIABLE VALUE",
    .group = "System",
    .summary = "make or change a variable",
    .help =
        "VALUE that reads as a JSON number, true, false, list or object is one; anything else is "
        "a text.\nA variable of nexus.yaml is changed there. For passwords and keys there is "
        "`nexus secret set`.\n\n"
        "  nexus var set region eu\n"
        "  nexus var set days 60\n"
        "  nexus var set airports '[\"BER\", \"JFK\"]'\n"
        "  nexus var set zip 01234 --text",
    .options = set_options,
    .run = run_set,
};

const struct cli_command cmd_var_delete = {
    .name = "var delete",
    .arguments = "VARIABLE",
    .group = "System",
    .summary = "take a variable away",
    .help = "  nexus var delete region\n  nexus var delete region -o json",
    .run = run_delete,
};
