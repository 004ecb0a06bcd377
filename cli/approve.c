/* nexus approvals | approve */
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

/* ---- approvals ---- */

/* "share=0.1 note=": the form's fields and their defaults. */
static const char *form_text(struct arena *arena, const json_t *form)
{
    const char *text = "";
    for (size_t i = 0; i < json_array_size(form); i++) {
        const json_t *field = json_array_get(form, i),
                     *fallback = json_object_get(field, "default");
        text = arena_printf(arena, "%s%s%s=%s", text, i ? " " : "", js_get_text(field, "name", "?"),
                            json_is_null(fallback) ? "" : out_scalar(arena, fallback));
    }
    return *text ? text : NULL;
}

static int run_approvals(struct cli *cli)
{
    static const char *const titles[] = {"run",   "dag",   "task", "state",
                                         "asked", "until", "form", "message"};
    struct out_table table;
    json_t *list = NULL, *one;
    size_t i;
    char text[40];
    const char *path = cli_given(cli, "all") ? "/approvals?state=all" : "/approvals";
    int status = api_list(cli, &list, path, 0);
    if (status)
        return status;
    if (!out_value(cli, list, "id")) {
        out_table_init(&table, 8, titles);
        table.wrap_last = true;
        json_array_foreach(list, i, one)
        {
            int64_t now = clock_wall_ms();
            bool waits = str_eq(js_get_text(one, "state", ""), "waiting");
            out_cell(&table, js_get_text(one, "run", NULL));
            out_cell(&table, js_get_text(one, "dag", NULL));
            out_cell(&table, live_task_name(&cli->arena, one));
            out_cell(&table, js_get_text(one, "state", NULL));
            out_cell(&table, out_ago(text, sizeof text, js_get_text(one, "asked_at", NULL), now));
            out_cell(&table, waits && js_get_text(one, "due_at", NULL)
                                 ? out_ago(text, sizeof text, js_get_text(one, "due_at", NULL), now)
                                 : NULL);
            out_cell(&table, form_text(&cli->arena, json_object_get(one, "form")));
            out_cell(&table, js_get_text(one, "message", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("Nothing waits for a person.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

/* ---- approve ---- */

/* The approval that the task of the run asks for, borrowed from the list. */
static const json_t *find(struct cli *cli, const json_t *list, const char *task)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (str_eq(live_task_name(&cli->arena, one), task))
            return one;
    }
    return NULL;
}

static int fail_nothing(struct cli *cli, const json_t *list, const char *run, const char *task)
{
    const char *names[64], *near;
    size_t n = json_array_size(list) < 64 ? json_array_size(list) : 64;
    for (size_t i = 0; i < n; i++)
        names[i] = live_task_name(&cli->arena, json_array_get(list, i));
    near = n == 1 ? names[0] : str_nearest(task, names, n);
    return cli_fail(CLI_FAILED, "task '%s' of run %s has asked nobody%s%s%s", task, run,
                    near ? "; '"
                    : n  ? ""
                         : ": `nexus approvals` lists what waits for a person",
                    near ? near : "", near ? "' has" : "");
}

/* before: what was known of it before the answer. */
static int show(struct cli *cli, const json_t *before, const json_t *reply, bool approved)
{
    const char *state = js_get_text(reply, "state", "?");
    bool as_said = str_eq(state, approved ? "approved" : "rejected");
    bool waited = str_eq(js_get_text(before, "state", ""), "waiting");
    if (!out_value(cli, reply, "id"))
        printf("task %s of run %s %s %s by %s%s\n", live_task_name(&cli->arena, reply),
               js_get_text(reply, "run", "?"), waited ? "is" : "was", state,
               js_get_text(reply, "decided_by", "?"), waited ? "" : " before: that counts");
    if (as_said)
        return CLI_DONE;
    return cli_fail(CLI_FAILED, "somebody was faster: it is %s", state);
}

static int answer(struct cli *cli, const json_t *approval)
{
    json_t *values = NULL, *reply = NULL, *body = json_object();
    bool approved = !cli_given(cli, "reject");
    int status = trigger_params(cli, &values);
    if (!status && !approved && json_object_size(values))
        status =
            cli_fail(CLI_USAGE, "-p and --reject do not go together: a rejection has no values");
    if (!status) {
        trigger_fit(cli, json_object_get(approval, "form"), values);
        json_object_set_new(body, "approved", json_boolean(approved));
        json_object_set_new(body, "comment", js_string(cli_get(cli, "comment")));
        if (approved)
            json_object_set(body, "values", values);
        status = api_send(cli, "POST",
                          api_path(&cli->arena, "/approvals/%s", js_get_text(approval, "id", "")),
                          json_incref(body), &reply);
    }
    if (!status)
        status = show(cli, approval, reply, approved);
    json_decref(values);
    json_decref(body);
    json_decref(reply);
    return status;
}

static int run_approve(struct cli *cli)
{
    json_t *list = NULL;
    const char *run = cli_arg(cli, 0), *task = cli_arg(cli, 1);
    int status = api_list(cli, &list, api_path(&cli->arena, "/approvals?run=%s&state=all", run), 0);
    if (status)
        return status;
    const json_t *approval = find(cli, list, task);
    status = approval ? answer(cli, approval) : fail_nothing(cli, list, run, task);
    json_decref(list);
    return status;
}

/* clang-format off */
static const struct cli_option list_options[] = {
    {'a', "all", NULL, "those that were answered or given up too", false, false},
    {0},
};

static const struct cli_option options[] = {
    {'p', "param", "KEY=VALUE", "a field of its form; may be repeated", false, true},
    {0, "reject", NULL, "say no: the task fails", false, false},
    {0, "comment", "TEXT", "kept with the answer", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_approvals = {
    .name = "approvals",
    .arguments = "",
    .group = "Runs",
    .summary = "what waits for a person",
    .help = "  nexus approvals\n  nexus approvals --all -o json",
    .options = list_options,
    .run = run_approvals,
};

const struct cli_command cmd_approve = {
    .name = "approve",
    .arguments = "RUN TASK",
    .group = "Runs",
    .summary = "approve what waits for a person, or reject it",
    .help =
        "The first answer counts; who answers later is told what it was. The exit status is 1 when "
        "it was\nanother one.\n"
        "\n"
        "  nexus approve 12 check -p share=0.2 --comment 'looks good'\n"
        "  nexus approve 12 check --reject --comment 'not on a Friday'",
    .options = options,
    .run = run_approve,
};
