/* nexus runs list | show | watch | cancel | retry | clear | mark */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"
#include "nexus/states.h"

/* "4 success, 1 failed": the states that occur. */
static const char *counts_text(struct cli *cli, const json_t *run)
{
    struct buf text = {0};
    const char *state;
    json_t *n;
    json_object_foreach(json_object_get(run, "counts"), state, n)
    {
        if (json_integer_value(n) > 0)
            buf_printf(&text, "%s%lld %s", text.len ? ", " : "", (long long)json_integer_value(n),
                       state);
    }
    const char *copy = arena_strdup(&cli->arena, buf_text(&text));
    buf_fini(&text);
    return copy;
}

static int64_t run_span_ms(const json_t *run)
{
    return out_span_ms(js_get_text(run, "started_at", NULL), js_get_text(run, "finished_at", NULL),
                       clock_wall_ms());
}

static void print_runs(struct cli *cli, const json_t *runs)
{
    static const char *const titles[] = {"id",      "dag",   "state", "cause",
                                         "created", ">time", "tasks"};
    struct out_table table;
    char text[40];
    json_t *run;
    size_t i;
    out_table_init(&table, 7, titles);
    json_array_foreach(runs, i, run)
    {
        out_cell(&table, js_get_text(run, "id", "?"));
        out_cell(&table, js_get_text(run, "dag", "?"));
        out_cell(&table, js_get_text(run, "state", "?"));
        out_cell(&table, js_get_text(run, "cause", NULL));
        out_cell(&table,
                 out_ago(text, sizeof text, js_get_text(run, "created_at", NULL), clock_wall_ms()));
        out_cell(&table, out_duration(text, sizeof text, run_span_ms(run)));
        out_cell(&table, counts_text(cli, run));
    }
    if (table.n_rows)
        out_table_print(&table, cli);
    else
        puts("No runs. `nexus trigger DAG` starts one.");
    out_table_fini(&table);
}

static int check_state(const char *state)
{
    const char *names[NX_RUN_STATES];
    for (int i = 0; i < NX_RUN_STATES; i++)
        names[i] = nx_run_state_name((enum nx_run_state)i);
    if (state && nx_run_state_find(state) < 0)
        return cli_no_such("run state", state, names, NX_RUN_STATES, "nexus runs list --help");
    return CLI_DONE;
}

/* "24h" (ago), a date or an instant, as RFC 3339. */
static int read_since(const char *text, char *to)
{
    int64_t ms;
    if (str_parse_duration(text, &ms))
        ms = clock_wall_ms() - ms;
    else if (!time_parse(text, &ms))
        return cli_fail(CLI_USAGE,
                        "--since takes a duration (24h), a date (2026-01-31) or an instant, not "
                        "'%s'",
                        text);
    time_format(to, ms);
    return CLI_DONE;
}

static int run_list(struct cli *cli)
{
    struct buf path = {0};
    char since[TIME_TEXT_MAX];
    json_t *runs = NULL;
    const char *dag = cli_get(cli, "dag"), *state = cli_get(cli, "state");
    int status = check_state(state);
    if (!status && cli_given(cli, "since"))
        status = read_since(cli_get(cli, "since"), since);
    if (status)
        return status;
    buf_str(&path, "/runs?");
    if (dag)
        buf_str(&path, api_path(&cli->arena, "dag=%s&", dag));
    if (state)
        buf_str(&path, api_path(&cli->arena, "state=%s&", state));
    if (cli_given(cli, "since"))
        buf_str(&path, api_path(&cli->arena, "since=%s&", since));
    path.data[--path.len] = 0; /* the '?' or the last '&' */
    int64_t limit = cli_number(cli, "limit", 20);
    status = api_list(cli, &runs, buf_text(&path), limit > 0 ? (size_t)limit : 0);
    buf_fini(&path);
    if (!status && !out_value(cli, runs, "id"))
        print_runs(cli, runs);
    json_decref(runs);
    return status;
}

static int failed_status(const json_t *run)
{
    const char *state = js_get_text(run, "state", "");
    return str_eq(state, "failed") || str_eq(state, "cancelled") ? CLI_FAILED : CLI_DONE;
}

static void print_head(struct cli *cli, const json_t *run)
{
    char text[40];
    const json_t *interval = json_object_get(run, "interval"), *params;
    const char *start = js_get_text(interval, "start", NULL);
    printf("run       %s of %s (version %s)\n", js_get_text(run, "id", "?"),
           js_get_text(run, "dag", "?"),
           out_scalar(&cli->arena, json_object_get(run, "dag_version"))
               ? out_scalar(&cli->arena, json_object_get(run, "dag_version"))
               : "?");
    printf("state     %s, %s\n", js_get_text(run, "state", "?"), counts_text(cli, run));
    printf("cause     %s, %s\n", js_get_text(run, "cause", "?"),
           out_ago(text, sizeof text, js_get_text(run, "created_at", NULL), clock_wall_ms()));
    printf("time      %s\n", out_duration(text, sizeof text, run_span_ms(run)));
    if (start)
        printf("interval  %s to %s\n", start, js_get_text(interval, "finish", "?"));
    params = json_object_get(run, "params");
    if (json_object_size(params))
        printf("params    %s\n", out_scalar(&cli->arena, params));
    if (js_get_text(run, "note", NULL))
        printf("note      %s\n", js_get_text(run, "note", ""));
    putchar('\n');
}

static int run_show(struct cli *cli)
{
    json_t *run = NULL, *tasks = NULL;
    const char *id = cli_arg(cli, 0);
    int status = api_get(cli, &run, api_path(&cli->arena, "/runs/%s", id));
    if (!status)
        status = api_list(cli, &tasks, api_path(&cli->arena, "/runs/%s/tasks", id), 0);
    if (!status) {
        json_object_set(run, "tasks", tasks);
        if (!out_value(cli, run, "id")) {
            print_head(cli, run);
            live_print_result(cli, run, tasks, true);
        }
        status = failed_status(run);
    }
    json_decref(run);
    json_decref(tasks);
    return status;
}

static int run_watch(struct cli *cli)
{
    struct live_options options = {.logs = cli_given(cli, "logs")};
    return live_watch(cli, cli_arg(cli, 0), &options);
}

/* Whether a failure means that the server does not know this action at all. */
static bool is_not_yet(struct cli *cli, const struct nx_err *err, const char *run)
{
    json_t *found = NULL;
    if (err->code == NX_E_UNSUPPORTED)
        return true;
    if (err->code != NX_E_NOT_FOUND)
        return false;
    bool exists = api_try(cli, "GET", api_path(&cli->arena, "/runs/%s", run), NULL, &found, NULL);
    json_decref(found);
    return exists && !strstr(err->text, "task");
}

/* POST /runs/RUN/<action>; the body is taken. */
static int act(struct cli *cli, const char *action, json_t *body, const char *done)
{
    struct nx_err err;
    json_t *reply = NULL;
    const char *run = cli_arg(cli, 0);
    int status = CLI_DONE;
    if (cli_given(cli, "dry-run"))
        json_object_set_new(body, "dry_run", json_true());
    if (!api_url(cli, &status)) {
        json_decref(body);
        return status;
    }
    const char *path =
        arena_printf(&cli->arena, "%s/%s", api_path(&cli->arena, "/runs/%s", run), action);
    bool ok = api_try(cli, "POST", path, body, &reply, &err);
    json_decref(body);
    if (!ok)
        return is_not_yet(cli, &err, run)
                   ? cli_fail(CLI_USAGE, "`runs %s` is not in the server's version yet", action)
                   : api_fail(cli, &err);
    if (cli_given(cli, "dry-run")) {
        if (!out_value(cli, reply, "id")) {
            struct buf text = {0};
            out_yaml(reply, &text);
            fputs(buf_text(&text), stdout);
            buf_fini(&text);
        }
    } else if (!out_value(cli, reply, "id")) {
        printf("run %s: %s; `nexus runs watch %s` shows it\n", run, done, run);
    }
    json_decref(reply);
    return CLI_DONE;
}

static int run_cancel(struct cli *cli)
{
    return act(cli, "cancel", json_object(), "is being cancelled");
}

static int run_retry(struct cli *cli)
{
    json_t *body = json_object();
    json_object_set_new(body, "failed", json_boolean(cli_given(cli, "failed")));
    if (cli_given(cli, "from"))
        json_object_set_new(body, "from", json_string(cli_get(cli, "from")));
    return act(cli, "retry", body, "is tried again");
}

static json_t *task_names(const struct cli *cli)
{
    json_t *tasks = json_array();
    for (size_t i = 1; i < cli->n_args; i++)
        json_array_append_new(tasks, json_string(cli->args[i]));
    return tasks;
}

static int run_clear(struct cli *cli)
{
    json_t *body = json_object();
    json_object_set_new(body, "tasks", task_names(cli));
    json_object_set_new(body, "downstream", json_boolean(!cli_given(cli, "only")));
    return act(cli, "clear", body, "is cleared and runs again");
}

static int run_mark(struct cli *cli)
{
    static const char *const states[] = {"success", "failed", "skipped"};
    const char *state = cli_get(cli, "state");
    if (!state)
        return cli_fail(CLI_USAGE, "runs mark needs --state success, failed or skipped");
    for (size_t i = 0; i < 3; i++) {
        if (str_eq(states[i], state)) {
            json_t *body = json_object();
            json_object_set_new(body, "tasks", task_names(cli));
            json_object_set_new(body, "state", json_string(state));
            return act(cli, "mark", body, "is marked");
        }
    }
    return cli_no_such("state to mark", state, states, 3, "nexus runs mark --help");
}

/* clang-format off */
static const struct cli_option list_options[] = {
    {'d', "dag", "DAG", "only of this DAG", false, false},
    {'s', "state", "STATE", "only in this state: queued, running, failed, ...", false, false},
    {0, "since", "T", "created since: 24h (ago), a date, an instant", false, false},
    {'n', "limit", "N", "at most N, newest first; 0: all (default 20)", true, false},
    {0},
};

static const struct cli_option watch_options[] = {
    {'l', "logs", NULL, "the tasks' output too", false, false},
    {0},
};

#define DRY_RUN {0, "dry-run", NULL, "only say what would be done", false, false}

static const struct cli_option cancel_options[] = {
    DRY_RUN,
    {0},
};

static const struct cli_option retry_options[] = {
    {0, "failed", NULL, "failed tasks and what comes after them (the default)", false, false},
    {0, "from", "TASK", "this task and what comes after it", false, false},
    DRY_RUN,
    {0},
};

static const struct cli_option clear_options[] = {
    {0, "only", NULL, "not what comes after them", false, false},
    DRY_RUN,
    {0},
};

static const struct cli_option mark_options[] = {
    {'s', "state", "STATE", "success, failed or skipped", false, false},
    DRY_RUN,
    {0},
};
/* clang-format on */

const struct cli_command cmd_runs_list = {
    .name = "runs list",
    .arguments = "",
    .group = "Runs",
    .summary = "runs, newest first",
    .help = "  nexus runs list --dag hello --state failed --since 24h\n"
            "  nexus runs list -n 5 -o json",
    .options = list_options,
    .run = run_list,
};

const struct cli_command cmd_runs_show = {
    .name = "runs show",
    .arguments = "RUN",
    .group = "Runs",
    .summary = "a run with its tasks, and why they failed",
    .help = "  nexus runs show 12\n  nexus runs show 12 -o json\n\n"
            "Exit status 1 when the run failed or was cancelled.",
    .run = run_show,
};

const struct cli_command cmd_runs_watch = {
    .name = "runs watch",
    .arguments = "RUN",
    .group = "Runs",
    .summary = "live progress of a run until it ends",
    .help = "Ctrl-C leaves the run alone. Exit status 1 when the run did not succeed.\n\n"
            "  nexus runs watch 12\n  nexus runs watch 12 --logs",
    .options = watch_options,
    .run = run_watch,
};

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
    .help = "  nexus runs retry 12\n  nexus runs retry 12 --from train",
    .options = retry_options,
    .run = run_retry,
};

const struct cli_command cmd_runs_clear = {
    .name = "runs clear",
    .arguments = "RUN [TASK...]",
    .group = "Runs",
    .summary = "forget results so that tasks run again (default: all)",
    .help = "  nexus runs clear 12 train\n  nexus runs clear 12 train --only --dry-run",
    .options = clear_options,
    .run = run_clear,
};

const struct cli_command cmd_runs_mark = {
    .name = "runs mark",
    .arguments = "RUN TASK [TASK...]",
    .group = "Runs",
    .summary = "set a task's state by hand",
    .help = "  nexus runs mark 12 load --state success\n  nexus runs mark 12 load -s failed",
    .options = mark_options,
    .run = run_mark,
};
