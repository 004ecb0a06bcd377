/* nexus trigger DAG */
#include "cli/trigger.h"

#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

json_t *trigger_value(const char *text)
{
    struct nx_err err;
    size_t n = strlen(text);
    json_t *value = n ? js_read(text, n, "param", &err) : NULL;
    if (!value || json_is_string(value)) {
        json_decref(value);
        return js_string(text);
    }
    return value;
}

int trigger_params(const struct cli *cli, json_t **params)
{
    json_t *object = json_object();
    for (size_t i = 0; i < cli->values.n; i++) {
        const struct cli_value *value = &cli->values.at[i];
        if (!str_eq(value->option->name, "param"))
            continue;
        const char *equals = strchr(value->text, '=');
        if (!equals || equals == value->text) {
            json_decref(object);
            return cli_fail(CLI_USAGE, "-p takes KEY=VALUE, not '%s'", value->text);
        }
        size_t n = (size_t)(equals - value->text);
        char *key = mem_strndup(value->text, n);
        bool twice = json_object_get(object, key) != NULL;
        if (!twice)
            json_object_set_new(object, key, trigger_value(equals + 1));
        mem_free(key);
        if (twice) {
            json_decref(object);
            return cli_fail(CLI_USAGE, "the param %.*s is given twice", (int)n, value->text);
        }
    }
    *params = object;
    return CLI_DONE;
}

/* What -p said of this param, behind its =. */
static const char *given_text(const struct cli *cli, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < cli->values.n; i++) {
        const struct cli_value *value = &cli->values.at[i];
        if (str_eq(value->option->name, "param") && strncmp(value->text, name, n) == 0 &&
            value->text[n] == '=')
            return value->text + n + 1;
    }
    return NULL;
}

void trigger_fit(const struct cli *cli, const json_t *declared, json_t *params)
{
    for (size_t i = 0; i < json_array_size(declared); i++) {
        const json_t *param = json_array_get(declared, i);
        const char *name = js_get_text(param, "name", "");
        const json_t *value = json_object_get(params, name);
        const char *text = given_text(cli, name);
        if (value && text && !json_is_string(value) &&
            str_eq(js_get_text(param, "type", ""), "string"))
            json_object_set_new(params, name, js_string(text));
    }
}

void trigger_fit_dag(struct cli *cli, const char *dag, json_t *params)
{
    const char *key;
    json_t *value, *reply = NULL;
    struct nx_err err;
    bool matters = false;
    json_object_foreach(params, key, value)
    {
        matters = matters || !json_is_string(value);
    }
    /* When it cannot be asked, the request that follows says why. */
    if (matters && api_try(cli, "GET", api_path(&cli->arena, "/dags/%s", dag), NULL, &reply, &err))
        trigger_fit(cli, json_object_get(reply, "params"), params);
    json_decref(reply);
}

static int run_trigger(struct cli *cli)
{
    json_t *params = NULL, *run = NULL, *body = json_object();
    const char *dag = cli_arg(cli, 0), *date = cli_get(cli, "date"), *note = cli_get(cli, "note");
    int status = trigger_params(cli, &params);
    if (status || !api_url(cli, &status)) {
        json_decref(params);
        json_decref(body);
        return status;
    }
    trigger_fit_dag(cli, dag, params);
    json_object_set_new(body, "params", params);
    json_object_set_new(body, "date", js_string(date));
    json_object_set_new(body, "note", js_string(note));
    status = api_send(cli, "POST", api_path(&cli->arena, "/dags/%s/runs", dag), body, &run);
    if (status)
        return status;
    const char *id = arena_strdup(&cli->arena, js_get_text(run, "id", "?"));
    if (cli_given(cli, "wait")) {
        struct live_options options = {.logs = cli_given(cli, "logs")};
        if (cli->format == CLI_TABLE)
            fprintf(stderr, "run %s of %s\n", id, dag);
        status = live_watch(cli, id, &options);
    } else if (!out_value(cli, run, "id")) {
        printf("run %s of %s is %s\n  nexus runs watch %s\n", id, dag,
               js_get_text(run, "state", "?"), id);
    }
    json_decref(run);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'p', "param", "KEY=VALUE", "a param of the DAG; may be repeated", false, true},
    {'w', "wait", NULL, "show live progress until the run ends", false, false},
    {'l', "logs", NULL, "with --wait: the tasks' output too", false, false},
    {0, "date", "T", "the start of the run's data interval", false, false},
    {0, "note", "TEXT", "kept with the run", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_trigger = {
    .name = "trigger",
    .arguments = "DAG",
    .group = "Runs",
    .summary = "start a run of a DAG",
    .help =
        "With --wait, exit status 1 when the run does not succeed; Ctrl-C leaves the run alone.\n"
        "\n"
        "  nexus trigger hello -p name=you --wait\n"
        "  nexus trigger flights_train -p days=30 --date 2001-06-01 -o json",
    .options = options,
    .run = run_trigger,
};
