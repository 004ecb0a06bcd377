/* nexus dag graph DAG: the tasks in the order in which they can run. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

/* 1 + the longest way from a task without needs, per task, by repeated relaxation: as many rounds
 * as the graph is deep, and never more than there are tasks. */
static void find_stages(const json_t *tasks, struct map *index, size_t *stages)
{
    size_t n = json_array_size(tasks);
    bool changed = true;
    for (size_t i = 0; i < n; i++)
        stages[i] = 1;
    for (size_t round = 0; changed && round < n; round++) {
        changed = false;
        for (size_t i = 0; i < n; i++) {
            const json_t *needs = json_object_get(json_array_get(tasks, i), "needs");
            for (size_t k = 0; k < json_array_size(needs); k++) {
                const char *name = json_string_value(json_array_get(needs, k));
                size_t up = name ? (size_t)(uintptr_t)map_get(index, name) : 0;
                if (up && stages[up - 1] + 1 > stages[i]) {
                    stages[i] = stages[up - 1] + 1;
                    changed = true;
                }
            }
        }
    }
}

static bool is_mapped(const json_t *task)
{
    return json_is_true(json_object_get(task, "mapped"));
}

static void print_dot(const json_t *dag)
{
    const json_t *tasks = json_object_get(dag, "tasks");
    printf("digraph \"%s\" {\n  rankdir=LR;\n  node [shape=box];\n", js_get_text(dag, "id", "?"));
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *task = json_array_get(tasks, i), *needs = json_object_get(task, "needs");
        const char *id = js_get_text(task, "id", "?");
        printf("  \"%s\" [label=\"%s%s\\n%s\"];\n", id, id, is_mapped(task) ? "[]" : "",
               js_get_text(task, "uses", "run"));
        for (size_t k = 0; k < json_array_size(needs); k++)
            printf("  \"%s\" -> \"%s\";\n", json_string_value(json_array_get(needs, k)), id);
    }
    puts("}");
}

static void print_stages(struct cli *cli, const json_t *tasks, const size_t *stages)
{
    static const char *const titles[] = {">stage", "task", "uses", "needs"};
    struct out_table table;
    size_t n = json_array_size(tasks), shown = 0;
    out_table_init(&table, 4, titles);
    for (size_t stage = 1; shown < n; stage++) {
        for (size_t i = 0; i < n; i++) {
            const json_t *task = json_array_get(tasks, i);
            if (stages[i] != stage)
                continue;
            shown++;
            out_cellf(&table, "%zu", stage);
            out_cellf(&table, "%s%s", js_get_text(task, "id", "?"), is_mapped(task) ? "[]" : "");
            out_cell(&table, js_get_text(task, "uses", "run"));
            out_cell(&table, out_scalar(&cli->arena, json_object_get(task, "needs")));
        }
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
}

static int run_graph(struct cli *cli)
{
    json_t *dag = NULL;
    struct map index = {0};
    int status = api_get(cli, &dag, api_path(&cli->arena, "/dags/%s", cli_arg(cli, 0)));
    if (status)
        return status;
    const json_t *tasks = json_object_get(dag, "tasks");
    size_t n = json_array_size(tasks);
    size_t *stages = arena_array(&cli->arena, n + 1, sizeof *stages);
    for (size_t i = 0; i < n; i++)
        map_set(&index, js_get_text(json_array_get(tasks, i), "id", "?"),
                (void *)(uintptr_t)(i + 1));
    find_stages(tasks, &index, stages);
    if (cli_given(cli, "dot"))
        print_dot(dag);
    else if (!out_value(cli, tasks, "id"))
        print_stages(cli, tasks, stages);
    map_fini(&index);
    json_decref(dag);
    return CLI_DONE;
}

static const struct cli_option options[] = {
    {0, "dot", NULL, "as text for Graphviz's dot", false, false},
    {0},
};

const struct cli_command cmd_dag_graph = {
    .name = "dag graph",
    .arguments = "DAG",
    .group = "DAGs",
    .summary = "a DAG's tasks by stage: what can run when",
    .help = "  nexus dag graph hello\n  nexus dag graph hello --dot | dot -Tsvg > hello.svg",
    .options = options,
    .run = run_graph,
};
