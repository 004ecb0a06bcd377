/* nexus secret list | set | delete */
#include <stdio.h>

#include "cli/api.h"
#include "cli/hidden.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"name", "from", "set", "error"};
    struct out_table table;
    json_t *list = NULL, *one;
    char text[40];
    size_t i;
    int status = api_list(cli, &list, "/secrets", 0);
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
            out_cell(&table, js_get_text(one, "error", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No secret. `nexus secret set NAME` keeps one.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

static int run_set(struct cli *cli)
{
    json_t *one = NULL;
    const char *name = cli_arg(cli, 0);
    struct buf text;
    struct nx_err err;
    if (cli_given(cli, "value"))
        return cli_fail(CLI_USAGE,
                        "a value on the command line is seen by every user of this machine and "
                        "stays in the shell's history; give it at the prompt, or on stdin: "
                        "nexus secret set %s < FILE",
                        name);
    buf_init(&text);
    bool ok = hidden_read("a secret", name, NX_VARS_MAX, &text, &err);
    int status = CLI_USAGE;
    if (!ok)
        status = cli_fail_err(&err);
    else
        status = api_send(cli, "PUT", api_path(&cli->arena, "/secrets/%s", name),
                          json_pack("{s:o}", "value", js_stringn(text.data, text.len)), &one);
    buf_fini(&text);
    if (!status && !out_value(cli, one, "name"))
        printf("secret %s is kept; runs that have begun keep what they saw\n", name);
    json_decref(one);
    return status;
}

static int run_delete(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    int status = api_send(cli, "DELETE", api_path(&cli->arena, "/secrets/%s", name), NULL, &reply);
    if (!status && !out_value(cli, reply, "deleted"))
        printf("secret %s is gone\n", name);
    json_decref(reply);
    return status;
}

static const struct cli_option set_options[] = {
    {0, "value", "TEXT", "refused, since others would see it", false, false},
    {0},
};

const struct cli_command cmd_secret_list = {
    .name = "secret list",
    .arguments = "",
    .group = "System",
    .summary = "names of the secrets, never their values",
    .help = "  nexus secret list\n  nexus secret list -o json",
    .run = run_list,
};

const struct cli_command cmd_secret_set = {
    .name = "secret set",
    .arguments = "SECRET",
    .group = "System",
    .summary = "keep a secret; its value comes from a prompt or stdin",
    .help =
        "Expressions see it as secrets.SECRET. It is sealed before it is stored, and nothing gives "
        "it out again\nbut a task that names it. The last newline of stdin is no part of it. A "
        "secret "
        "of the environment\n(NEXUS_SECRET_*) wins and is changed there.\n\n"
        "  nexus secret set api_token\n"
        "  nexus secret set api_token < token.txt",
    .options = set_options,
    .run = run_set,
};

const struct cli_command cmd_secret_delete = {
    .name = "secret delete",
    .arguments = "SECRET",
    .group = "System",
    .summary = "take a secret away",
    .help = "  nexus secret delete api_token\n  nexus secret delete api_token -o json",
    .run = run_delete,
};
