/* nexus op list | show: what the operators say of themselves, from the embedded catalog. */
#include <stdio.h>
#include <string.h>

#include "cli/out.h"
#include "cli/table.h"
#include "cli/validate.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

/* "integer, 1 to 10 rows" */
static const char *param_type(struct cli *cli, const json_t *param)
{
    struct buf text = {0};
    const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
    const json_t *choices = json_object_get(param, "choices");
    bool above = js_get_bool(param, "above_min", false);
    buf_str(&text, js_get_text(param, "type", "?"));
    if (json_array_size(choices))
        buf_printf(&text, ": %s", out_scalar(&cli->arena, choices));
    if (json_is_number(min) && json_is_number(max))
        buf_printf(&text, above ? ", above %s, at most %s" : ", %s to %s",
                   out_scalar(&cli->arena, min), out_scalar(&cli->arena, max));
    else if (json_is_number(min))
        buf_printf(&text, ", %s %s", above ? "above" : "at least", out_scalar(&cli->arena, min));
    else if (json_is_number(max))
        buf_printf(&text, ", at most %s", out_scalar(&cli->arena, max));
    const char *unit = js_get_text(param, "unit", NULL);
    if (unit)
        buf_printf(&text, " %s", unit);
    const char *copy = arena_strdup(&cli->arena, buf_text(&text));
    buf_fini(&text);
    return copy;
}

static void print_descriptions(struct cli *cli, const char *title, const json_t *params)
{
    const char *const titles[] = {title, "type", "default", "help"};
    struct out_table table;
    json_t *param;
    size_t i;
    out_table_init(&table, 4, titles);
    json_array_foreach(params, i, param)
    {
        bool required = js_get_bool(param, "required", false);
        const json_t *fallback = json_object_get(param, "default");
        out_cell(&table, js_get_text(param, "name", "?"));
        out_cell(&table, param_type(cli, param));
        out_cell(&table, required ? "(required)" : out_scalar(&cli->arena, fallback));
        out_cell(&table, js_get_text(param, "help", NULL));
    }
    if (table.n_rows) {
        putchar('\n');
        out_table_print(&table, cli);
    }
    out_table_fini(&table);
}

/* Members that depend on another parameter; the others are told by the help. */
static const json_t *dependent_members(const json_t *param, size_t i, const json_t **when)
{
    const json_t *group = json_array_get(json_object_get(param, "members"), i);
    *when = json_object_get(group, "when");
    return *when ? json_object_get(group, "params") : NULL;
}

static void print_params(struct cli *cli, const json_t *op)
{
    const json_t *params = json_object_get(op, "params"), *when;
    json_t *param;
    size_t i;
    print_descriptions(cli, "parameter", params);
    json_array_foreach(params, i, param)
    {
        for (size_t k = 0; k < json_array_size(json_object_get(param, "members")); k++) {
            const json_t *members = dependent_members(param, k, &when);
            if (members)
                print_descriptions(cli,
                                   arena_printf(&cli->arena, "%s (%s)",
                                                js_get_text(param, "name", "?"),
                                                js_get_text(when, "value", "?")),
                                   members);
        }
    }
}

static void print_outputs(struct cli *cli, const json_t *op)
{
    static const char *const titles[] = {"output", "type", "help"};
    struct out_table table;
    json_t *port;
    size_t i;
    out_table_init(&table, 3, titles);
    json_array_foreach(json_object_get(op, "outputs"), i, port)
    {
        out_cell(&table, js_get_text(port, "name", "?"));
        out_cell(&table, js_get_text(port, "type", NULL));
        out_cell(&table, js_get_text(port, "help", NULL));
    }
    if (table.n_rows) {
        putchar('\n');
        out_table_print(&table, cli);
    }
    out_table_fini(&table);
}

/* ---- The reference of all operators ---- */

/* A cell of a table: no line of its own, no bar. */
static void markdown_cell(const char *text)
{
    fputs(" ", stdout);
    for (; text && *text; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text == '\n' ? ' ' : *text);
    }
    fputs(" |", stdout);
}

static void markdown_descriptions(struct cli *cli, const char *title, const json_t *params)
{
    json_t *param;
    size_t i;
    if (json_array_size(params) == 0)
        return;
    printf("\n| %s | type | default | |\n|---|---|---|---|\n", title);
    json_array_foreach(params, i, param)
    {
        bool required = js_get_bool(param, "required", false);
        const json_t *fallback = json_object_get(param, "default");
        printf("| `%s` |", js_get_text(param, "name", "?"));
        markdown_cell(param_type(cli, param));
        markdown_cell(required ? "required" : fallback ? out_scalar(&cli->arena, fallback) : "");
        markdown_cell(js_get_text(param, "help", ""));
        putchar('\n');
    }
}

static void markdown_params(struct cli *cli, const json_t *op)
{
    const json_t *params = json_object_get(op, "params"), *when;
    json_t *param;
    size_t i;
    markdown_descriptions(cli, "parameter", params);
    json_array_foreach(params, i, param)
    {
        for (size_t k = 0; k < json_array_size(json_object_get(param, "members")); k++) {
            const json_t *members = dependent_members(param, k, &when);
            if (!members)
                continue;
            printf("\nWith `%s: %s`, `%s` has:\n", js_get_text(when, "param", "?"),
                   js_get_text(when, "value", "?"), js_get_text(param, "name", "?"));
            markdown_descriptions(cli, "member", members);
        }
    }
}

static void markdown_outputs(const json_t *op)
{
    json_t *port;
    size_t i;
    if (json_array_size(json_object_get(op, "outputs")) == 0)
        return;
    puts("\n| output | type | |\n|---|---|---|");
    json_array_foreach(json_object_get(op, "outputs"), i, port)
    {
        printf("| `%s` |", js_get_text(port, "name", "?"));
        markdown_cell(js_get_text(port, "type", ""));
        markdown_cell(js_get_text(port, "help", ""));
        putchar('\n');
    }
}

static void print_markdown(struct cli *cli, const json_t *catalog)
{
    json_t *op;
    size_t i;
    puts("# The operators\n\n"
         "Made by `nexus op list --markdown` from what the operators say of themselves; `nexus op "
         "show NAME`\ntells the same of one. A task names its operator with `uses` and gives it "
         "parameters with `with`;\nother tasks read its outputs as `${{ outputs.TASK.NAME }}`. See "
         "[the DAG file](dag-file.md) and\n[tables](data.md).\n");
    json_array_foreach(catalog, i, op)
    {
        const char *name = js_get_text(op, "name", "?");
        printf("- [%s](#", name);
        for (const char *c = name; *c; c++) /* as pages make anchors of headings */
            if (*c != '.')
                putchar(*c);
        printf("): %s\n", js_get_text(op, "summary", ""));
    }
    json_array_foreach(catalog, i, op)
    {
        const char *doc = js_get_text(op, "doc", NULL);
        const char *example = js_get_text(op, "example", NULL);
        printf("\n## %s\n\n%s\n", js_get_text(op, "name", "?"), js_get_text(op, "summary", ""));
        if (doc)
            printf("\n%s\n", doc);
        markdown_params(cli, op);
        markdown_outputs(op);
        if (example)
            printf("\n```yaml\n%s%s```\n", example, str_ends(example, "\n") ? "" : "\n");
    }
}

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"operator", ">version", "summary"};
    struct out_table table;
    json_t *catalog = validate_catalog(), *op;
    size_t i;
    if (cli_given(cli, "markdown")) {
        print_markdown(cli, catalog);
    } else if (!out_value(cli, catalog, "name")) {
        out_table_init(&table, 3, titles);
        json_array_foreach(catalog, i, op)
        {
            out_cell(&table, js_get_text(op, "name", "?"));
            out_cellf(&table, "%lld", (long long)js_get_int(op, "version", 1));
            out_cell(&table, js_get_text(op, "summary", NULL));
        }
        out_table_print(&table, cli);
        out_table_fini(&table);
    }
    json_decref(catalog);
    return CLI_DONE;
}

static int no_such_operator(const json_t *catalog, const char *name)
{
    VEC(const char *) names = {0};
    json_t *op;
    size_t i;
    json_array_foreach(catalog, i, op) vec_push(&names, js_get_text(op, "name", ""));
    int status = cli_no_such("operator", name, names.at, names.n, "nexus op list");
    vec_fini(&names);
    return status;
}

static int run_show(struct cli *cli)
{
    json_t *catalog = validate_catalog(), *op;
    const json_t *found = NULL;
    size_t i;
    int status = CLI_DONE;
    json_array_foreach(catalog, i, op)
    {
        if (str_eq(js_get_text(op, "name", ""), cli_arg(cli, 0)))
            found = op;
    }
    if (!found) {
        status = no_such_operator(catalog, cli_arg(cli, 0));
    } else if (!out_value(cli, found, "name")) {
        printf("%s (version %lld): %s\n", js_get_text(found, "name", "?"),
               (long long)js_get_int(found, "version", 1), js_get_text(found, "summary", ""));
        const char *doc = js_get_text(found, "doc", NULL);
        if (doc)
            printf("\n%s\n", doc);
        print_params(cli, found);
        print_outputs(cli, found);
        const char *example = js_get_text(found, "example", NULL);
        if (example)
            printf("\nExample:\n%s%s", example, str_ends(example, "\n") ? "" : "\n");
    }
    json_decref(catalog);
    return status;
}

static const struct cli_option list_options[] = {
    {0, "markdown", NULL, "the reference of all operators", false, false},
    {0},
};

const struct cli_command cmd_op_list = {
    .name = "op list",
    .arguments = "",
    .group = "Tasks",
    .summary = "the operators that a task can use; needs no server",
    .help = "  nexus op list -o id\n  nexus op list --markdown > docs/operators.md",
    .options = list_options,
    .run = run_list,
};

const struct cli_command cmd_op_show = {
    .name = "op show",
    .arguments = "OPERATOR",
    .group = "Tasks",
    .summary = "an operator: parameters, outputs, an example; needs no server",
    .help = "  nexus op show flow.sleep\n  nexus op show data.sql -o json",
    .run = run_show,
};
