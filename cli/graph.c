/* nexus dag graph DAG: the tasks in the order in which they can run, or as a picture. */
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

/* ---- SVG: as the web page draws it ---- */

/* The middle of a node's right or left side. */
static void find_end(const json_t *nodes, struct map *index, const char *task, bool right,
                     int64_t width, int64_t height, int64_t *x, int64_t *y)
{
    size_t i = (size_t)(uintptr_t)map_get(index, task);
    const json_t *node = json_array_get(nodes, i ? i - 1 : 0);
    *x = js_get_int(node, "x", 0) + (right ? width : 0);
    *y = js_get_int(node, "y", 0) + height / 2;
}

/* A curve that leaves and arrives level. */
static void print_curve(int64_t *x, int64_t *y, int64_t to_x, int64_t to_y)
{
    long long middle = (*x + to_x) / 2;
    printf("C%lld %lld %lld %lld %lld %lld", middle, (long long)*y, middle, (long long)to_y,
           (long long)to_x, (long long)to_y);
    *x = to_x;
    *y = to_y;
}

static void print_svg_edge(const json_t *graph, struct map *index, const json_t *edge)
{
    const json_t *nodes = json_object_get(graph, "nodes"), *bends = json_object_get(edge, "bends");
    int64_t width = js_get_int(graph, "node_width", 0), x, y, to_x, to_y;
    int64_t height = js_get_int(graph, "node_height", 0);
    find_end(nodes, index, js_get_text(edge, "from", ""), true, width, height, &x, &y);
    find_end(nodes, index, js_get_text(edge, "to", ""), false, width, height, &to_x, &to_y);
    printf("<path d=\"M%lld %lld", (long long)x, (long long)y);
    for (size_t i = 0; i + 1 < json_array_size(bends); i += 2) {
        int64_t bend_x = json_integer_value(json_array_get(bends, i));
        int64_t bend_y = json_integer_value(json_array_get(bends, i + 1));
        print_curve(&x, &y, bend_x - width / 2, bend_y);
        printf("H%lld", (long long)(x = bend_x + width / 2));
    }
    print_curve(&x, &y, to_x, to_y);
    puts("\"/>");
}

/* Ids of tasks and operators need no escapes. */
static void print_svg_node(const json_t *graph, const json_t *node)
{
    long long x = js_get_int(node, "x", 0), y = js_get_int(node, "y", 0);
    printf("<rect x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%lld\" rx=\"4\"/>", x, y,
           (long long)js_get_int(graph, "node_width", 0),
           (long long)js_get_int(graph, "node_height", 0));
    printf("<text x=\"%lld\" y=\"%lld\">%.24s%s</text>", x + 10, y + 18,
           js_get_text(node, "task", "?"), is_mapped(node) ? "[]" : "");
    printf("<text class=\"sub\" x=\"%lld\" y=\"%lld\">%.26s</text>\n", x + 10, y + 35,
           js_get_text(node, "uses", "script"));
}

static void print_svg(const json_t *graph)
{
    const json_t *nodes = json_object_get(graph, "nodes"), *edges = json_object_get(graph, "edges");
    struct map index = {0};
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-8 -8 %lld %lld\">\n"
           "<style>path{fill:none;stroke:#818b98;stroke-width:1.5}rect{fill:#f6f8fa;stroke:#818b98}"
           "text{font:12px system-ui,sans-serif;fill:#1f2328}.sub{font-size:11px;fill:#59636e}"
           "</style>\n",
           (long long)js_get_int(graph, "width", 0) + 16,
           (long long)js_get_int(graph, "height", 0) + 16);
    for (size_t i = 0; i < json_array_size(nodes); i++)
        map_set(&index, js_get_text(json_array_get(nodes, i), "task", "?"),
                (void *)(uintptr_t)(i + 1));
    for (size_t i = 0; i < json_array_size(edges); i++)
        print_svg_edge(graph, &index, json_array_get(edges, i));
    for (size_t i = 0; i < json_array_size(nodes); i++)
        print_svg_node(graph, json_array_get(nodes, i));
    puts("</svg>");
    map_fini(&index);
}

static int run_svg(struct cli *cli)
{
    json_t *graph = NULL;
    int status = api_get(cli, &graph, api_path(&cli->arena, "/dags/%s/graph", cli_arg(cli, 0)));
    if (!status)
        print_svg(graph);
    json_decref(graph);
    return status ? status : CLI_DONE;
}

static int run_graph(struct cli *cli)
{
    json_t *dag = NULL;
    struct map index = {0};
    if (cli_given(cli, "svg"))
        return run_svg(cli);
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
    {0, "svg", NULL, "as a picture; -o svg is the same", false, false},
    {0},
};

const struct cli_command cmd_dag_graph = {
    .name = "dag graph",
    .arguments = "DAG",
    .group = "DAGs",
    .summary = "a DAG's tasks by stage: what can run when",
    .help = "  nexus dag graph hello\n  nexus dag graph hello -o svg > hello.svg",
    .options = options,
    .run = run_graph,
};
