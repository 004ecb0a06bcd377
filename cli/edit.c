/* nexus runs cancel | retry | clear | mark | rerun | note | delete */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "cli/trigger.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

/* What became, or would become, of each task. */
static void print_changed(struct cli *cli, const json_t *reply)
{
    static const char *const titles[] = {"task", "was", "becomes"};
    struct out_table table;
    json_t *changed;
    size_t i;
    out_table_init(&table, 3, titles);
    json_array_foreach(json_object_get(reply, "changed"), i, changed)
    {
        out_cell(&table, live_task_name(&cli->arena, changed));
        out_cell(&table, js_get_text(changed, "before", "?"));
        out_cell(&table, js_get_text(changed, "after", "?"));
    }
    if (table.n_rows)
        out_table_print(&table, cli);
    out_table_fini(&table);
}

static int show_done(struct cli *cli, const json_t *reply, const char *run, const char *done)
{
    bool dry_run = cli_given(cli, "dry-run");
    if (!dry_run && cli_given(cli, "wait")) {
        struct live_options options = {0};
        return live_watch(cli, run, &options);
    }
    if (out_value(cli, reply, "id"))
        return CLI_DONE;
    print_changed(cli, reply);
    if (dry_run)
        printf("run %s is left as it is (--dry-run)\n", run);
    else
        printf("run %s %s; `nexus runs watch %s` shows it\n", run, done, run);
    return CLI_DONE;
}

/* POST /runs/RUN/<action>; the body is taken. */
static int act(struct cli *cli, const char *action, json_t *body, const char *done)
{
    json_t *reply = NULL;
    const char *run = cli_arg(cli, 0);
    if (cli_given(cli, "dry-run"))
        json_object_set_new(body, "dry_run", json_true());
    const char *path =
        arena_printf(&cli->arena, "%s/%s", api_path(&cli->arena, "/runs/%s", run), action);
    int status = api_send(cli, "POST", path, body, &reply);
    if (!status)
        status = show_done(cli, reply, run, done);
    json_decref(reply);
    return status;
}

static int run_cancel(struct cli *cli)
{
    return act(cli, "cancel", json_object(), "is being cancelled");
}

static int run_retry(struct cli *cli)
{
    json_t *body = json_object();
    if (cli_given(cli, "failed") && cli_given(cli, "from")) {
        json_decref(body);
        return cli_fail(CLI_USAGE, "either --failed or --from TASK");
    }
    if (cli_given(cli, "from"))
        json_object_set_new(body, "from", json_string(cli_get(cli, "from")));
    return act(cli, "retry", body, "is tried again");
}

/* {"tasks": [...], "upstream": ..., "downstream": ...} */
static json_t *tasks_body(const struct cli *cli, bool downstream)
{
    json_t *body = json_object(), *tasks = json_array();
    for (size_t i = 1; i < cli->n_args; i++)
        json_array_append_new(tasks, json_string(cli->args[i]));
    json_object_set_new(body, "tasks", tasks);
    json_object_set_new(body, "upstream", json_boolean(cli_given(cli, "upstream")));
    json_object_set_new(body, "downstream", json_boolean(downstream));
    return body;
}

static int run_clear(struct cli *cli)
{
    return act(cli, "clear", tasks_body(cli, !cli_given(cli, "only")), "is cleared and goes on");
}

static int run_mark(struct cli *cli)
{
    static const char *const states[] = {"success", "failed"};
    const char *state = cli_get(cli, "state");
    if (!state)
        return cli_fail(CLI_USAGE, "runs mark needs --state success or failed");
    if (!str_eq(state, "success") && !str_eq(state, "failed"))
        return cli_no_such("state to mark", state, states, 2, "nexus runs mark --help");
    json_t *body = tasks_body(cli, cli_given(cli, "downstream"));
    json_object_set_new(body, "state", json_string(state));
    return act(cli, "mark", body, "is marked");
}

static int run_rerun(struct cli *cli)
{
    json_t *params = NULL, *former = NULL, *run = NULL, *body = json_object();
    const char *id = cli_arg(cli, 0);
    int status = trigger_params(cli, &params);
    if (!status)
        status = api_get(cli, &former, api_path(&cli->arena, "/runs/%s", id));
    if (!status) {
        trigger_fit_dag(cli, js_get_text(former, "dag", ""), params);
        json_object_set(body, "params", params);
        if (cli_given(cli, "note"))
            json_object_set_new(body, "note", js_string(cli_get(cli, "note")));
        status = api_send(cli, "POST", api_path(&cli->arena, "/runs/%s/rerun", id),
                          json_incref(body), &run);
    }
    if (!status) {
        const char *made = arena_strdup(&cli->arena, js_get_text(run, "id", "?"));
        struct live_options options = {0};
        if (cli_given(cli, "wait"))
            status = live_watch(cli, made, &options);
        else if (!out_value(cli, run, "id"))
            printf("run %s does run %s again; `nexus runs watch %s` shows it\n", made, id, made);
    }
    json_decref(params);
    json_decref(former);
    json_decref(body);
    json_decref(run);
    return status;
}

static int run_note(struct cli *cli)
{
    json_t *run = NULL, *body = json_object();
    const char *id = cli_arg(cli, 0);
    json_object_set_new(body, "note", js_string(cli_arg(cli, 1)));
    int status = api_send(cli, "PATCH", api_path(&cli->arena, "/runs/%s", id), body, &run);
    if (!status && !out_value(cli, run, "id"))
        printf("noted with run %s\n", id);
    json_decref(run);
    return status;
}

static int run_delete(struct cli *cli)
{
    for (size_t i = 0; i < cli->n_args; i++) {
        json_t *reply = NULL;
        int status =
            api_send(cli, "DELETE", api_path(&cli->arena, "/runs/%s", cli->args[i]), NULL, &reply);
        if (!status && !out_value(cli, reply, "deleted"))
            printf("run %s is gone, with its logs\n", cli->args[i]);
        json_decref(reply);
        if (status)
            return status;
    }
    return CLI_DONE;
}

/* clang-format off */
#define DRY_RUN {0, "dry-run", NULL, "only say what would be done", false, false}
#define WAIT {'w', "wait", NULL, "show live progress until the run ends", false, false}
#define UPSTREAM {0, "upstream", NULL, "and all that they need, directly or not", false, false}

static const struct cli_option cancel_options[] = {
    DRY_RUN,
    {0},
};

static const struct cli_option retry_options[] = {
    {0, "failed", NULL, "failed tasks and what comes after them (the default)", false, false},
    {0, "from", "TASK", "this task and what comes after it", false, false},
    WAIT,
    DRY_RUN,
    {0},
};

static const struct cli_option clear_options[] = {
    {0, "only", NULL, "not what comes after them", false, false},
    UPSTREAM,
    WAIT,
    DRY_RUN,
    {0},
};

static const struct cli_option mark_options[] = {
    {'s', "state", "STATE", "success or failed", false, false},
    UPSTREAM,
    {0, "downstream", NULL, "and all that comes after them", false, false},
    DRY_RUN,
    {0},
};

static const struct cli_option rerun_options[] = {
    {'p', "param", "KEY=VALUE", "a param in place of the run's own; may be repeated", false, true},
    {0, "note", "TEXT", "kept with the new run", false, false},
    WAIT,
    {0},
};
/* clang-format on */

const struct cli_command cmd_runs_cancel = {
    .name = "runs cancel",
    .arguments = "RUN",
    .group = "Runs",
    .summary = "end a run; its finally tasks still run",
    .help = "  nexus runs cancel 12\n  nexus runs cancel 12 --dry-run",
    .options = cancel_options,
    .run = run_cancel,
};

const struct cli_command cmd_runs_retry = {
    .name = "runs retry",
    .arguments = "RUN",
    .group = "Runs",
    .summary = "run what failed again, and what comes after it",
    .help =
        "The run goes on with the version of its DAG that it started with. Former attempts and\n"
        "their logs are kept.\n\n"
        "  nexus runs retry 12 --wait\n  nexus runs retry 12 --from train",
    .options = retry_options,
    .run = run_retry,
};

const struct cli_command cmd_runs_clear = {
    .name = "runs clear",
    .arguments = "RUN [TASK...]",
    .group = "Runs",
    .summary = "forget results so that tasks run again (default: all)",
    .help = "What runs is stopped first. Former attempts and their logs are kept.\n\n"
            "  nexus runs clear 12 train\n  nexus runs clear 12 train --only --dry-run",
    .options = clear_options,
    .run = run_clear,
};

const struct cli_command cmd_runs_mark = {
    .name = "runs mark",
    .arguments = "RUN TASK [TASK...]",
    .group = "Runs",
    .summary = "set a task's state by hand",
    .help = "What runs is stopped first. What was decided upon the former state alone (skipped,\n"
            "upstream_failed) is decided again; what has run stays.\n\n"
            "  nexus runs mark 12 load --state success\n  nexus runs mark 12 load -s failed",
    .options = mark_options,
    .run = run_mark,
};

const struct cli_command cmd_runs_rerun = {
    .name = "runs rerun",
    .arguments = "RUN",
    .group = "Runs",
    .summary = "a new run with the params and interval of this one",
    .help =
        "Of the DAG's current version; params that it has no more are left out. The run itself\n"
        "stays as it is.\n\n"
        "  nexus runs rerun 12\n  nexus runs rerun 12 -p days=30 --wait",
    .options = rerun_options,
    .run = run_rerun,
};

const struct cli_command cmd_runs_note = {
    .name = "runs note",
    .arguments = "RUN TEXT",
    .group = "Runs",
    .summary = "keep a note with a run (\"\" takes it away)",
    .help = "  nexus runs note 12 'bad source data, see ticket 7'\n  nexus runs note 12 \"\"",
    .run = run_note,
};

const struct cli_command cmd_runs_delete = {
    .name = "runs delete",
    .arguments = "RUN [RUN...]",
    .group = "Runs",
    .summary = "take ended runs away, with their logs",
    .help = "There is no way back. A run that has not ended is refused.\n\n"
            "  nexus runs delete 12\n  nexus runs delete 12 13 14",
    .run = run_delete,
};
