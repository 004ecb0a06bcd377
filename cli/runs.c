/* nexus runs list | show | watch */
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

/* "running, late" */
static const char *state_text(struct cli *cli, const json_t *run)
{
    const char *state = js_get_text(run, "state", "?");
    return js_get_text(run, "late_at", NULL) ? arena_printf(&cli->arena, "%s, late", state) : state;
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
        out_cell(&table, state_text(cli, run));
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
    if (cli_given(cli, "late"))
        buf_str(&path, "late=true&");
    if (dag)
        buf_str(&path, api_path(&cli->arena, "dag=%s&", dag));
    if (state)
        buf_str(&path, api_path(&cli->arena, "state=%s&", state));
    if (cli_given(cli, "since"))
        buf_str(&path, api_path(&cli->arena, "since=%s&", since));
    if (cli_given(cli, "query"))
        buf_str(&path, api_path(&cli->arena, "q=%s&", cli_get(cli, "query")));
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

/* "started   by flights version 3 (2 events), airports version 1" */
static void print_triggers(const json_t *run)
{
    const json_t *trigger;
    size_t i;
    json_array_foreach(json_object_get(run, "triggered_by"), i, trigger)
    {
        long long version = (long long)js_get_int(trigger, "version", 0);
        long long n = version - (long long)js_get_int(trigger, "first_version", version) + 1;
        printf("%s%s version %lld", i ? ", " : "datasets  ", js_get_text(trigger, "dataset", "?"),
               version);
        if (n > 1)
            printf(" (%lld events)", n);
    }
    if (i)
        putchar('\n');
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
    if (js_get_text(run, "late_at", NULL))
        printf("late      since %s\n", js_get_text(run, "late_at", NULL));
    else if (js_get_text(run, "deadline_at", NULL))
        printf("deadline  %s\n", js_get_text(run, "deadline_at", NULL));
    printf("time      %s\n", out_duration(text, sizeof text, run_span_ms(run)));
    if (start)
        printf("interval  %s to %s\n", start, js_get_text(interval, "finish", "?"));
    print_triggers(run);
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

/* clang-format off */
static const struct cli_option list_options[] = {
    {'d', "dag", "DAG", "only of this DAG", false, false},
    {'s', "state", "STATE", "only in this state: queued, running, failed, ...", false, false},
    {0, "late", NULL, "only those that did not end by their DAG's deadline", false, false},
    {0, "since", "T", "created since: 24h (ago), a date, an instant", false, false},
    {'q', "query", "TEXT", "where all terms of TEXT hold (below)", false, false},
    {'n', "limit", "N", "at most N, newest first; 0: all (default 20)", true, false},
    {0},
};

static const struct cli_option watch_options[] = {
    {'l', "logs", NULL, "the tasks' output too", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_runs_list = {
    .name = "runs list",
    .arguments = "",
    .group = "Runs",
    .summary = "runs, newest first",
    .help =
        "Terms of --query are KEY:VALUE, several values with commas, a `-` before what is not so;\n"
        "keys are dag, operator, task (* stands for anything), state, cause, tag, note, since,\n"
        "until and late. Other words are looked for in the DAG's id and the note.\n\n"
        "  nexus runs list --dag hello --state failed --since 24h\n"
        "  nexus runs list -q 'state:failed,cancelled operator:ml.* since:7d -dag:test_*'\n"
        "  nexus runs list --late\n"
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
