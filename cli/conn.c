/* nexus conn list | show | set | delete | test */
#include <stdio.h>

#include "cli/api.h"
#include "cli/hidden.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/conn.h"
#include "lib/text/json.h"

#define TEST_MS 15000

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"name", "uri", "from", "set", "description", "error"};
    struct out_table table;
    json_t *list = NULL, *one;
    char text[40];
    size_t i;
    int status = api_list(cli, &list, "/connections", 0);
    if (status)
        return status;
    if (!out_value(cli, list, "name")) {
        out_table_init(&table, 6, titles);
        table.wrap_last = true;
        json_array_foreach(list, i, one)
        {
            out_cell(&table, js_get_text(one, "name", "?"));
            out_cell(&table, js_get_text(one, "uri", NULL));
            out_cell(&table, js_get_text(one, "source", NULL));
            out_cell(&table, out_ago(text, sizeof text, js_get_text(one, "updated_at", NULL),
                                     clock_wall_ms()));
            out_cell(&table, js_get_text(one, "description", NULL));
            out_cell(&table, js_get_text(one, "error", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No connection. `nexus conn set NAME` keeps one.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

static void print_line(const char *key, const json_t *one, const char *member)
{
    const char *text = js_get_text(one, member, NULL);
    if (text)
        printf("%-12s %s\n", key, text);
}

static int run_show(struct cli *cli)
{
    json_t *one = NULL;
    int status = api_get(cli, &one, api_path(&cli->arena, "/connections/%s", cli_arg(cli, 0)));
    if (!status && !out_value(cli, one, "name")) {
        print_line("name", one, "name");
        print_line("kind", one, "kind");
        print_line("uri", one, "uri");
        print_line("description", one, "description");
        print_line("from", one, "source");
        print_line("set", one, "updated_at");
        print_line("error", one, "error");
    }
    json_decref(one);
    return status;
}

/* The URI of the command line, which must not have anything secret in it, or a hidden one. */
static bool read_uri(struct cli *cli, struct buf *text, struct nx_err *err)
{
    struct conn conn;
    const char *given = cli_arg(cli, 1), *name = cli_arg(cli, 0);
    if (!given)
        return hidden_read("a connection", name, CONN_URI_MAX, text, err) &&
               conn_read(buf_text(text), &cli->arena, &conn, err);
    if (!conn_read(given, &cli->arena, &conn, err))
        return false;
    if (conn.password)
        return nx_fail(err, NX_E_INVALID,
                       "a password on the command line is seen by every user of this machine and "
                       "stays in the shell's history; give the URI at the prompt, or on stdin: "
                       "nexus conn set %s < FILE",
                       name);
    buf_str(text, given);
    return true;
}

static int run_set(struct cli *cli)
{
    json_t *one = NULL;
    const char *name = cli_arg(cli, 0);
    struct buf text;
    struct nx_err err;
    buf_init(&text);
    int status = CLI_USAGE;
    if (!read_uri(cli, &text, &err)) {
        status = cli_fail_err(&err);
    } else {
        json_t *body = json_pack("{s:o}", "uri", js_stringn(text.data, text.len));
        if (cli_given(cli, "description"))
            json_object_set_new(body, "description", js_string(cli_get(cli, "description")));
        status = api_send(cli, "PUT", api_path(&cli->arena, "/connections/%s", name), body, &one);
    }
    buf_fini(&text);
    if (!status && !out_value(cli, one, "name"))
        printf("connection %s is %s; `nexus conn test %s` tries it\n", name,
               js_get_text(one, "uri", "?"), name);
    json_decref(one);
    return status;
}

static int run_delete(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    int status =
        api_send(cli, "DELETE", api_path(&cli->arena, "/connections/%s", name), NULL, &reply);
    if (!status && !out_value(cli, reply, "deleted"))
        printf("connection %s is gone\n", name);
    json_decref(reply);
    return status;
}

static int run_test(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    cli->request_ms = TEST_MS;
    int status = api_send(cli, "POST", api_path(&cli->arena, "/connections/%s/test", name),
                          json_object(), &reply);
    if (status)
        return status;
    bool ok = js_get_bool(reply, "ok", false);
    if (!out_value(cli, reply, "name") && ok)
        printf("%s: %s (%.2f s)\n", js_get_text(reply, "uri", name),
               js_get_text(reply, "said", "it answers"), js_get_float(reply, "took", 0));
    else if (!ok && cli->format == CLI_TABLE)
        cli_fail(CLI_FAILED, "%s: %s", js_get_text(reply, "uri", name),
                 js_get_text(reply, "error", "it does not answer"));
    json_decref(reply);
    return ok ? CLI_DONE : CLI_FAILED;
}

static const struct cli_option set_options[] = {
    {'d', "description", "TEXT", "shown in the list; an empty one takes it away", false, false},
    {0},
};

const struct cli_command cmd_conn_list = {
    .name = "conn list",
    .arguments = "",
    .group = "System",
    .summary = "connections to other systems, without passwords",
    .help = "  nexus conn list\n  nexus conn list -o json",
    .run = run_list,
};

const struct cli_command cmd_conn_show = {
    .name = "conn show",
    .arguments = "CONNECTION",
    .group = "System",
    .summary = "one connection, without its password",
    .help = "  nexus conn show warehouse\n  nexus conn show warehouse -o json",
    .flags = CLI_MINOR,
    .run = run_show,
};

const struct cli_command cmd_conn_set = {
    .name = "conn set",
    .arguments = "CONNECTION [URI]",
    .group = "System",
    .summary = "keep a connection; its URI comes from a prompt or stdin",
    .help =
        "Operators name it by `conn: CONNECTION`. It is sealed before it is stored, and its "
        "password is never shown again.\nA URI without a password may stand on the command line. "
        "Kinds: " CONN_KINDS ".\n"
        "In user and password, %, @, :, /, ? and # are written %25, %40, %3A, %2F, %3F and %23.\n\n"
        "  nexus conn set warehouse < uri.txt\n"
        "  nexus conn set downloads https://data.example.com/v1/ -d 'the public mirror'",
    .options = set_options,
    .run = run_set,
};

const struct cli_command cmd_conn_delete = {
    .name = "conn delete",
    .arguments = "CONNECTION",
    .group = "System",
    .summary = "take a connection away",
    .help = "  nexus conn delete warehouse\n  nexus conn delete warehouse -o json",
    .run = run_delete,
};

const struct cli_command cmd_conn_test = {
    .name = "conn test",
    .arguments = "CONNECTION",
    .group = "System",
    .summary = "try a connection from the scheduler's machine",
    .help = "Ends with status 1 when it does not work. At most 10 seconds.\n\n"
            "  nexus conn test warehouse\n  nexus conn test warehouse -o json",
    .run = run_test,
};
