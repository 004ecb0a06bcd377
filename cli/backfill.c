/* nexus backfill, backfills list | show | pause | resume | cancel */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "cli/trigger.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define LOOK_MS 300

static int64_t count_of(const json_t *backfill, const char *state)
{
    return js_get_int(json_object_get(backfill, "counts"), state, 0);
}

static int64_t n_ended(const json_t *backfill)
{
    return count_of(backfill, "success") + count_of(backfill, "failed") +
           count_of(backfill, "cancelled");
}

static const char *progress_text(struct cli *cli, const json_t *backfill)
{
    int64_t failed = count_of(backfill, "failed"), cancelled = count_of(backfill, "cancelled");
    int64_t others = js_get_int(backfill, "left_to_others", 0);
    int64_t deleted = js_get_int(backfill, "deleted", 0);
    return arena_printf(
        &cli->arena, "%lld of %lld ended, %lld running%s%s%s%s", (long long)n_ended(backfill),
        (long long)js_get_int(backfill, "total", 0),
        (long long)(count_of(backfill, "running") + count_of(backfill, "stopping") +
                    count_of(backfill, "queued")),
        failed ? arena_printf(&cli->arena, ", %lld failed", (long long)failed) : "",
        cancelled ? arena_printf(&cli->arena, ", %lld cancelled", (long long)cancelled) : "",
        others ? arena_printf(&cli->arena, ", %lld left to other runs", (long long)others) : "",
        deleted ? arena_printf(&cli->arena, ", %lld deleted", (long long)deleted) : "");
}

/* "paused, since the file of its DAG is gone" */
static const char *state_text(struct cli *cli, const json_t *backfill)
{
    const char *state = js_get_text(backfill, "state", "?");
    const char *why = js_get_text(json_object_get(backfill, "reason"), "text", NULL);
    return why ? arena_printf(&cli->arena, "%s, since %s", state, why) : state;
}

/* ---- The plan ---- */

static int print_plan(struct cli *cli, const json_t *reply)
{
    static const char *const titles[] = {"interval from", "to", "action", "run"};
    const json_t *items = json_object_get(reply, "items"), *step;
    struct out_table table;
    size_t i, n_work = 0;
    if (out_value(cli, items, "fire_at"))
        return CLI_DONE;
    out_table_init(&table, 4, titles);
    json_array_foreach(items, i, step)
    {
        const json_t *interval = json_object_get(step, "interval");
        const char *action = js_get_text(step, "action", "?");
        n_work += str_eq(action, "create") || str_eq(action, "reprocess");
        out_cell(&table, js_get_text(interval, "start", NULL));
        out_cell(&table, js_get_text(interval, "finish", NULL));
        out_cell(&table, action);
        out_cell(&table, js_get_text(step, "run", NULL));
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
    printf("%zu of %zu intervals would be run; nothing is changed (--dry-run)\n", n_work,
           json_array_size(items));
    return CLI_DONE;
}

/* ---- Waiting ---- */

static int result_of(const json_t *backfill)
{
    bool good = str_eq(js_get_text(backfill, "state", ""), "done") &&
                !count_of(backfill, "failed") && !count_of(backfill, "cancelled");
    return good ? CLI_DONE : CLI_FAILED;
}

static bool has_ended(const json_t *backfill)
{
    const char *state = js_get_text(backfill, "state", "");
    bool left = count_of(backfill, "running") + count_of(backfill, "stopping") > 0;
    return str_eq(state, "done") || (str_eq(state, "cancelled") && !left);
}

static int await(struct cli *cli, const char *id)
{
    json_t *backfill = NULL;
    const char *said = "";
    int status;
    live_block();
    for (;;) {
        status = api_get(cli, &backfill, api_path(&cli->arena, "/backfills/%s", id));
        if (status)
            return status;
        const char *text = progress_text(cli, backfill);
        if (str_eq(js_get_text(backfill, "state", ""), "paused")) /* it may take long */
            text = arena_printf(&cli->arena, "%s: %s (`nexus backfills resume %s`)",
                                state_text(cli, backfill), text, id);
        if (!str_eq(text, said))
            fprintf(stderr, "%s%s%s", cli->tty_out ? "\r\x1b[K" : "", text,
                    cli->tty_out ? "" : "\n");
        said = text;
        if (has_ended(backfill))
            break;
        json_decref(backfill);
        backfill = NULL;
        if (live_sleep(LOOK_MS))
            return cli_fail(CLI_FAILED,
                            "backfill %s goes on without this; `nexus backfills show %s`", id, id);
    }
    if (cli->tty_out)
        fputc('\n', stderr);
    status = result_of(backfill);
    if (!out_value(cli, backfill, "id"))
        printf("backfill %s is %s: %s\n", id, js_get_text(backfill, "state", "?"),
               progress_text(cli, backfill));
    json_decref(backfill);
    return status;
}

/* ---- The beginning ---- */

static void add_option(const struct cli *cli, json_t *body, const char *option, const char *key)
{
    if (cli_given(cli, option))
        json_object_set_new(body, key, js_string(cli_get(cli, option)));
}

static json_t *body_of(struct cli *cli, json_t *params)
{
    json_t *body = json_object();
    add_option(cli, body, "from", "from");
    add_option(cli, body, "to", "to");
    add_option(cli, body, "reprocess", "reprocess");
    if (cli_given(cli, "max-active"))
        json_object_set_new(body, "max_active", json_integer(cli_number(cli, "max-active", 0)));
    json_object_set_new(body, "backwards", json_boolean(cli_given(cli, "backwards")));
    json_object_set_new(body, "dry_run", json_boolean(cli_given(cli, "dry-run")));
    json_object_set_new(body, "params", params);
    return body;
}

static int say_begun(struct cli *cli, const json_t *backfill)
{
    const char *id = arena_strdup(&cli->arena, js_get_text(backfill, "id", "?"));
    if (js_get_bool(backfill, "dag_paused", false))
        fprintf(stderr, "nexus: %s is paused: its schedule rests, the backfill runs all the same\n",
                cli_arg(cli, 0));
    if (cli_given(cli, "wait"))
        return await(cli, id);
    if (!out_value(cli, backfill, "id"))
        printf("backfill %s of %s: %lld intervals; `nexus backfills show %s` shows its progress\n",
               id, cli_arg(cli, 0), (long long)js_get_int(backfill, "total", 0), id);
    return CLI_DONE;
}

static int run_backfill(struct cli *cli)
{
    json_t *params = NULL, *reply = NULL;
    const char *dag = cli_arg(cli, 0);
    if (!cli_given(cli, "from") || !cli_given(cli, "to"))
        return cli_fail(CLI_USAGE, "backfill needs --from T and --to T");
    int status = trigger_params(cli, &params);
    if (status || !api_url(cli, &status)) {
        json_decref(params);
        return status;
    }
    trigger_fit_dag(cli, dag, params);
    status = api_send(cli, "POST", api_path(&cli->arena, "/dags/%s/backfills", dag),
                      body_of(cli, params), &reply);
    if (!status)
        status = cli_given(cli, "dry-run") ? print_plan(cli, reply) : say_begun(cli, reply);
    json_decref(reply);
    return status;
}

/* ---- The others ---- */

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"id", "dag", "state", "from", "to", "progress"};
    struct out_table table;
    json_t *list = NULL, *one;
    size_t i;
    int status = api_list(cli, &list, "/backfills", (size_t)cli_number(cli, "limit", 20));
    if (status)
        return status;
    if (!out_value(cli, list, "id")) {
        out_table_init(&table, 6, titles);
        json_array_foreach(list, i, one)
        {
            out_cell(&table, js_get_text(one, "id", "?"));
            out_cell(&table, js_get_text(one, "dag", "?"));
            out_cell(&table, state_text(cli, one));
            out_cell(&table, js_get_text(one, "from", NULL));
            out_cell(&table, js_get_text(one, "to", NULL));
            out_cell(&table, progress_text(cli, one));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No backfill yet. `nexus backfill --help` says how to begin one.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

static int print_one(struct cli *cli, const json_t *backfill)
{
    if (!out_value(cli, backfill, "id"))
        printf("backfill %s of %s is %s: %s\n", js_get_text(backfill, "id", "?"),
               js_get_text(backfill, "dag", "?"), state_text(cli, backfill),
               progress_text(cli, backfill));
    return CLI_DONE;
}

static int run_show(struct cli *cli)
{
    json_t *backfill = NULL;
    int status = api_get(cli, &backfill, api_path(&cli->arena, "/backfills/%s", cli_arg(cli, 0)));
    if (!status)
        status = print_one(cli, backfill);
    json_decref(backfill);
    return status;
}

static int change(struct cli *cli, const char *method, json_t *body)
{
    json_t *backfill = NULL;
    int status = api_send(cli, method, api_path(&cli->arena, "/backfills/%s", cli_arg(cli, 0)),
                          body, &backfill);
    if (!status)
        status = print_one(cli, backfill);
    json_decref(backfill);
    return status;
}

static int run_pause(struct cli *cli)
{
    return change(cli, "PATCH", json_pack("{s:b}", "paused", 1));
}

static int run_resume(struct cli *cli)
{
    return change(cli, "PATCH", json_pack("{s:b}", "paused", 0));
}

static int run_cancel(struct cli *cli)
{
    return change(cli, "DELETE", NULL);
}

/* clang-format off */
static const struct cli_option options[] = {
    {0, "from", "T", "the first start of a data interval; local to the DAG's zone", false, false},
    {0, "to", "T", "the last one; a date is included", false, false},
    {0, "dry-run", NULL, "only list what would be done about each interval", false, false},
    {0, "reprocess", "WHAT", "runs that are there: none (default), failed or completed are cleared", false, false},
    {0, "max-active", "N", "runs at a time (default: the DAG's max_active_runs)", true, false},
    {0, "backwards", NULL, "the newest first", false, false},
    {'p', "param", "KEY=VALUE", "a param of the DAG; may be repeated", false, true},
    {'w', "wait", NULL, "show progress until it has ended", false, false},
    {0},
};

static const struct cli_option list_options[] = {
    {'n', "limit", "N", "at most N, newest first; 0: all (default 20)", true, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_backfill = {
    .name = "backfill",
    .arguments = "DAG",
    .group = "Runs",
    .summary = "run a range of past data intervals of a DAG",
    .help =
        "Only intervals that have ended. Live runs go first; a paused DAG is backfilled too.\n\n"
        "  nexus backfill flights --from 2001-01-01 --to 2001-06-30 --dry-run\n"
        "  nexus backfill flights --from 2001-01-01 --to 2001-06-30 --max-active 4 --wait",
    .options = options,
    .run = run_backfill,
};

const struct cli_command cmd_backfills_list = {
    .name = "backfills list",
    .arguments = "",
    .group = "Runs",
    .summary = "backfills and how far they are, newest first",
    .help = "  nexus backfills list\n  nexus backfills list -o json",
    .options = list_options,
    .flags = CLI_MINOR,
    .run = run_list,
};

const struct cli_command cmd_backfills_show = {
    .name = "backfills show",
    .arguments = "BACKFILL",
    .group = "Runs",
    .summary = "one backfill and how far it is",
    .help = "  nexus backfills show 3\n  nexus backfills show 3 -o json",
    .flags = CLI_MINOR,
    .run = run_show,
};

const struct cli_command cmd_backfills_pause = {
    .name = "backfills pause",
    .arguments = "BACKFILL",
    .group = "Runs",
    .summary = "begin no new runs of a backfill; those that run go on",
    .help = "  nexus backfills pause 3\n  nexus backfills pause 3 -o json",
    .flags = CLI_MINOR,
    .run = run_pause,
};

const struct cli_command cmd_backfills_resume = {
    .name = "backfills resume",
    .arguments = "BACKFILL",
    .group = "Runs",
    .summary = "let a paused backfill go on",
    .help = "  nexus backfills resume 3\n  nexus backfills resume 3 -o json",
    .flags = CLI_MINOR,
    .run = run_resume,
};

const struct cli_command cmd_backfills_cancel = {
    .name = "backfills cancel",
    .arguments = "BACKFILL",
    .group = "Runs",
    .summary = "give a backfill up and cancel its runs",
    .help = "  nexus backfills cancel 3\n  nexus backfills cancel 3 -o json",
    .flags = CLI_MINOR,
    .run = run_cancel,
};
