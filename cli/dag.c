/* nexus dag list | show | pause | unpause */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

static const char *dag_state(const json_t *dag)
{
    if (!js_get_bool(dag, "valid", true))
        return "invalid";
    return js_get_bool(dag, "paused", false) ? "paused" : "active";
}

/* "file:line:column: message"; of what has no place the message alone. */
static const char *error_words(struct cli *cli, const json_t *error)
{
    const char *file = js_get_text(error, "file", NULL);
    const char *message = js_get_text(error, "message", "?");
    if (!file)
        return message;
    if (js_get_int(error, "line", 0) == 0)
        return arena_printf(&cli->arena, "%s: %s", file, message);
    return arena_printf(&cli->arena, "%s:%lld:%lld: %s", file,
                        (long long)js_get_int(error, "line", 0),
                        (long long)js_get_int(error, "column", 0), message);
}

/* The first error of a broken file stands in place of its description. */
static const char *dag_words(struct cli *cli, const json_t *dag)
{
    const json_t *first = json_array_get(json_object_get(dag, "errors"), 0);
    if (first)
        return error_words(cli, first);
    return js_get_text(dag, "description", NULL);
}

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"id",       "state", ">tasks",
                                         "schedule", "next",  "description"};
    struct out_table table;
    json_t *dags = NULL, *dag;
    size_t i;
    const char *path = cli_given(cli, "query")
                           ? api_path(&cli->arena, "/dags?q=%s", cli_get(cli, "query"))
                           : "/dags";
    int status = api_list(cli, &dags, path, 0);
    if (status)
        return status;
    if (!out_value(cli, dags, "id")) {
        out_table_init(&table, 6, titles);
        json_array_foreach(dags, i, dag)
        {
            char next[40];
            const char *at = js_get_text(dag, "next_fire_at", NULL);
            out_cell(&table, js_get_text(dag, "id", "?"));
            out_cell(&table, dag_state(dag));
            out_cellf(&table, "%zu", json_array_size(json_object_get(dag, "tasks")));
            out_cell(&table, out_scalar(&cli->arena, json_object_get(dag, "schedule")));
            out_cell(&table, at ? out_ago(next, sizeof next, at, clock_wall_ms()) : NULL);
            out_cell(&table, dag_words(cli, dag));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts(cli_given(cli, "query") ? "No DAG fits."
                                         : "No DAG yet. Put a file in dags/, or run `nexus init`.");
        out_table_fini(&table);
    }
    json_decref(dags);
    return CLI_DONE;
}

static void print_pair(const char *name, const char *value)
{
    if (value && *value)
        printf("%-12s %s\n", name, value);
}

static void print_dag_tasks(struct cli *cli, const json_t *dag)
{
    static const char *const titles[] = {"task", "uses", "needs", "rule", "pool"};
    struct out_table table;
    json_t *task;
    size_t i;
    out_table_init(&table, 5, titles);
    json_array_foreach(json_object_get(dag, "tasks"), i, task)
    {
        const char *rule = js_get_text(task, "trigger_rule", "");
        out_cellf(&table, "%s%s", js_get_text(task, "id", "?"),
                  json_is_true(json_object_get(task, "mapped")) ? "[]" : "");
        out_cell(&table, js_get_text(task, "uses", "run"));
        out_cell(&table, out_scalar(&cli->arena, json_object_get(task, "needs")));
        out_cell(&table, str_eq(rule, "all_success") ? "" : rule);
        out_cell(&table, js_get_text(task, "pool", NULL));
    }
    if (table.n_rows) {
        putchar('\n');
        out_table_print(&table, cli);
    }
    out_table_fini(&table);
}

static void print_params(struct cli *cli, const json_t *dag)
{
    static const char *const titles[] = {"param", "type", "default", "help"};
    struct out_table table;
    json_t *param;
    size_t i;
    out_table_init(&table, 4, titles);
    json_array_foreach(json_object_get(dag, "params"), i, param)
    {
        out_cell(&table, js_get_text(param, "name", "?"));
        out_cell(&table, js_get_text(param, "type", NULL));
        out_cell(&table, out_scalar(&cli->arena, json_object_get(param, "default")));
        out_cell(&table, js_get_text(param, "help", NULL));
    }
    if (table.n_rows) {
        putchar('\n');
        out_table_print(&table, cli);
    }
    out_table_fini(&table);
}

static bool has_entry(const json_t *dag, const char *text)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(dag, "schedule"), i, entry)
    {
        if (str_eq(json_string_value(entry), text))
            return true;
    }
    return false;
}

static void print_next(struct cli *cli, const json_t *dag, const json_t *fires)
{
    const json_t *fire;
    size_t i;
    char when[40];
    if (js_get_bool(dag, "paused", false)) {
        print_pair("next", arena_printf(&cli->arena,
                                        "paused: its schedule rests until `nexus dag unpause %s`",
                                        js_get_text(dag, "id", "?")));
        return;
    }
    if (!json_array_size(fires) && !json_array_size(json_object_get(dag, "dataset_waits")))
        print_pair("next",
                   has_entry(dag, "@continuous") ? "when its last run has ended" : "never again");
    json_array_foreach(fires, i, fire)
    {
        const char *at = js_get_text(fire, "fire_at", NULL);
        const json_t *interval = json_object_get(fire, "interval");
        print_pair(i ? "" : "next", arena_printf(&cli->arena, "%s (%s), interval from %s",
                                                 js_get_text(fire, "local", "?"),
                                                 out_ago(when, sizeof when, at, clock_wall_ms()),
                                                 js_get_text(interval, "start", "?")));
    }
}

/* Its entries, how they are kept, and what comes next. */
static int print_schedule(struct cli *cli, const json_t *dag)
{
    const json_t *jitter = json_object_get(dag, "jitter"), *wait;
    json_t *next = NULL;
    char span[40];
    size_t i;
    if (!json_array_size(json_object_get(dag, "schedule")))
        return CLI_DONE;
    int status = api_get(
        cli, &next, api_path(&cli->arena, "/dags/%s/next?limit=3", js_get_text(dag, "id", "?")));
    if (status)
        return status;
    print_pair("schedule", out_scalar(&cli->arena, json_object_get(dag, "schedule")));
    print_pair("timezone", js_get_text(dag, "timezone", NULL));
    print_pair("start", js_get_text(dag, "start", NULL));
    print_pair("end", js_get_text(dag, "end", NULL));
    print_pair("catchup", js_get_text(dag, "catchup", NULL));
    print_pair("overlap", arena_printf(&cli->arena, "%s (when %lld run at once)",
                                       js_get_text(dag, "overlap", "?"),
                                       (long long)js_get_int(dag, "max_active_runs", 0)));
    if (json_number_value(jitter) > 0)
        print_pair("jitter",
                   arena_printf(&cli->arena, "up to %s",
                                out_duration(span, sizeof span,
                                             (int64_t)(json_number_value(jitter) * 1000))));
    print_next(cli, dag, json_object_get(next, "items"));
    json_array_foreach(json_object_get(dag, "dataset_waits"), i, wait)
        print_pair("datasets", js_get_text(wait, "text", NULL));
    json_decref(next);
    return CLI_DONE;
}

static int run_show(struct cli *cli)
{
    json_t *dag = NULL, *error;
    size_t i;
    int status = api_get(cli, &dag, api_path(&cli->arena, "/dags/%s", cli_arg(cli, 0)));
    if (status)
        return status;
    bool valid = js_get_bool(dag, "valid", true);
    if (!out_value(cli, dag, "id")) {
        print_pair("id", js_get_text(dag, "id", "?"));
        print_pair("state", !valid && js_get_bool(dag, "paused", false) ? "invalid, and paused"
                                                                        : dag_state(dag));
        print_pair("description", js_get_text(dag, "description", NULL));
        print_pair("file", js_get_text(dag, "file", NULL));
        print_pair("version", out_scalar(&cli->arena, json_object_get(dag, "version")));
        print_pair("tags", out_scalar(&cli->arena, json_object_get(dag, "tags")));
        status = print_schedule(cli, dag);
        json_array_foreach(json_object_get(dag, "errors"), i, error) puts(error_words(cli, error));
        print_params(cli, dag);
        print_dag_tasks(cli, dag);
    }
    json_decref(dag);
    return status ? status : valid ? CLI_DONE : CLI_FAILED;
}

static int set_paused(struct cli *cli, bool paused)
{
    json_t *dag = NULL;
    const char *id = cli_arg(cli, 0);
    int status = api_send(cli, "PATCH", api_path(&cli->arena, "/dags/%s", id),
                          json_pack("{s:b}", "paused", (int)paused), &dag);
    if (!status && !out_value(cli, dag, "id"))
        printf("%s is %s\n", id,
               paused ? "paused: only people start it until `nexus dag unpause`" : "active");
    json_decref(dag);
    return status;
}

static int run_pause(struct cli *cli)
{
    return set_paused(cli, true);
}

static int run_unpause(struct cli *cli)
{
    return set_paused(cli, false);
}

/* clang-format off */
static const struct cli_option list_options[] = {
    {'q', "query", "TEXT", "where all terms of TEXT hold (below)", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_dag_list = {
    .name = "dag list",
    .arguments = "",
    .group = "DAGs",
    .summary = "the DAGs of the server, broken files included",
    .help =
        "Terms of --query are those of `nexus runs list`: keys are dag, operator, task (* stands\n"
        "for anything), tag, state (of the last run, or broken), paused, valid (true or false),\n"
        "schedule (a part of an entry, or none). Other words are looked for in id, description\n"
        "and tags.\n\n"
        "  nexus dag list\n"
        "  nexus dag list -q 'tag:ml paused:false -state:success'\n"
        "  nexus dag list -o id",
    .options = list_options,
    .run = run_list,
};

const struct cli_command cmd_dag_show = {
    .name = "dag show",
    .arguments = "DAG",
    .group = "DAGs",
    .summary = "a DAG: schedule and next fires, params, tasks, errors of its file",
    .help = "  nexus dag show hello\n  nexus dag show hello -o json\n\n"
            "Exit status 1 when its file has errors.",
    .run = run_show,
};

const struct cli_command cmd_dag_pause = {
    .name = "dag pause",
    .arguments = "DAG",
    .group = "DAGs",
    .summary = "start no scheduled runs of a DAG until it is unpaused",
    .help = "Scheduled runs that have not begun rest until then. Runs that have begun go on, and "
            "what people\n"
            "start runs: `nexus trigger`, `runs clear`, backfills.\n\n"
            "  nexus dag pause hello\n  nexus dag pause hello -o json",
    .run = run_pause,
};

const struct cli_command cmd_dag_unpause = {
    .name = "dag unpause",
    .arguments = "DAG",
    .group = "DAGs",
    .summary = "let the schedule of a paused DAG start runs again",
    .help = "  nexus dag unpause hello\n  nexus dag unpause hello -o json",
    .run = run_unpause,
};
