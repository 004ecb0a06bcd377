/* nexus notifications list | show | retry */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

static void add_row(struct cli *cli, struct out_table *table, const json_t *one)
{
    char text[40];
    const char *task = js_get_text(one, "task", NULL);
    int64_t index = js_get_int(one, "map_index", -1);
    if (task && index >= 0)
        task = arena_printf(&cli->arena, "%s[%lld]", task, (long long)index);
    out_cell(table, js_get_text(one, "id", "?"));
    out_cell(table, js_get_text(one, "event", "?"));
    out_cell(table, js_get_text(one, "dag", NULL));
    out_cell(table, js_get_text(one, "run", NULL));
    out_cell(table, task);
    out_cell(table, js_get_text(one, "state", "?"));
    out_cell(table, arena_printf(&cli->arena, "%lld", (long long)js_get_int(one, "attempts", 0)));
    out_cell(table,
             out_ago(text, sizeof text, js_get_text(one, "created_at", NULL), clock_wall_ms()));
    out_cell(table, arena_printf(&cli->arena, "%s %s", js_get_text(one, "kind", ""),
                                 js_get_text(one, "target", "")));
    out_cell(table, js_get_text(one, "error", NULL));
}

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"id",    "event", "dag",     "run",    "task",
                                         "state", "tries", "created", "target", "error"};
    struct out_table table;
    json_t *list = NULL, *one;
    size_t i;
    const char *state = cli_get(cli, "state");
    const char *path =
        state ? api_path(&cli->arena, "/notifications?state=%s", state) : "/notifications";
    int status = api_list(cli, &list, path, (size_t)cli_number(cli, "limit", 20));
    if (status)
        return status;
    if (!out_value(cli, list, "id")) {
        out_table_init(&table, 10, titles);
        table.wrap_last = true;
        json_array_foreach(list, i, one) add_row(cli, &table, one);
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No notification.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

static void print_line(const char *name, const char *value)
{
    if (value)
        printf("%-10s %s\n", name, value);
}

static int run_show(struct cli *cli)
{
    json_t *one = NULL;
    int status = api_get(cli, &one, api_path(&cli->arena, "/notifications/%s", cli_arg(cli, 0)));
    if (!status && !out_value(cli, one, "id")) {
        struct buf body;
        print_line("event", js_get_text(one, "event", NULL));
        print_line("text", js_get_text(json_object_get(one, "body"), "text", NULL));
        print_line("kind", js_get_text(one, "kind", NULL));
        print_line("target", js_get_text(one, "target", NULL));
        print_line("state", js_get_text(one, "state", NULL));
        printf("%-10s %lld\n", "tries", (long long)js_get_int(one, "attempts", 0));
        print_line("created", js_get_text(one, "created_at", NULL));
        print_line("due", js_get_text(one, "due_at", NULL));
        print_line("finished", js_get_text(one, "finished_at", NULL));
        print_line("error", js_get_text(one, "error", NULL));
        print_line("output", js_get_text(one, "output", NULL));
        buf_init(&body);
        out_json(json_object_get(one, "body"), &body);
        printf("\n%s", buf_text(&body));
        buf_fini(&body);
    }
    json_decref(one);
    return status;
}

static int run_retry(struct cli *cli)
{
    json_t *one = NULL;
    int status =
        api_send(cli, "POST", api_path(&cli->arena, "/notifications/%s/retry", cli_arg(cli, 0)),
                 json_object(), &one);
    if (!status && !out_value(cli, one, "id"))
        printf("notification %s is sent again; `nexus notifications show %s` says what comes of "
               "it\n",
               cli_arg(cli, 0), cli_arg(cli, 0));
    json_decref(one);
    return status;
}

static const struct cli_option list_options[] = {
    {0, "state", "STATE", "those that are pending, sent or failed", false, false},
    {'n', "limit", "N", "at most N, newest first; 0: all (default 20)", true, false},
    {0},
};

const struct cli_command cmd_notifications_list = {
    .name = "notifications list",
    .arguments = "",
    .group = "System",
    .summary = "what is or was told to others, newest first",
    .help = "  nexus notifications list\n  nexus notifications list --state failed",
    .options = list_options,
    .run = run_list,
};

const struct cli_command cmd_notifications_show = {
    .name = "notifications show",
    .arguments = "NOTIFICATION",
    .group = "System",
    .summary = "one notification: what it says and what came of it",
    .help = "  nexus notifications show 7\n  nexus notifications show 7 -o json",
    .flags = CLI_MINOR,
    .run = run_show,
};

const struct cli_command cmd_notifications_retry = {
    .name = "notifications retry",
    .arguments = "NOTIFICATION",
    .group = "System",
    .summary = "send a notification again that was given up",
    .help = "  nexus notifications retry 7\n  nexus notifications retry 7 -o json",
    .flags = CLI_MINOR,
    .run = run_retry,
};
