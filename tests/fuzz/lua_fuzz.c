/* DAG files in Lua: any text gives specs or problems, the same twice; every spec gives a graph, and
 * every problem has a place in the file or none. Loops are left out: they cost time and find their
 * bound elsewhere. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/dag/lua.h"
#include "scheduler/dag/spec.h"
#include "tests/fuzz/fuzz.h"

static bool has_loop(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"while", "repeat", "goto", "for", "return f"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (memmem(data, size, words[i], strlen(words[i])))
            return true;
    }
    return false;
}

static void check_spec(const struct spec *spec)
{
    struct graph *graph;
    struct nx_err err;
    must(spec->id && spec->n_tasks > 0);
    must(spec_graph(spec, &graph, &err));
    must(graph->n_tasks == spec->n_tasks);
    graph_release(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems;
    struct spec **specs = NULL;
    size_t n = 0;
    const char *text = (const char *)data;
    if (has_loop(data, size))
        return 0;
    json_t *tree = lua_run(text, size), *again = lua_run(text, size);
    must(json_equal(tree, again));
    problems_init(&problems);
    bool fine =
        spec_read_tree("dags/fuzz.lua", text, size, tree, NULL, NULL, &specs, &n, &problems);
    must(fine == (problems.n_errors == 0));
    for (size_t i = 0; i < problems.n; i++)
        must((problems.at[i].line >= 1) == (problems.at[i].column >= 1));
    for (size_t i = 0; i < n; i++) {
        check_spec(specs[i]);
        spec_free(specs[i]);
    }
    mem_free(specs);
    problems_fini(&problems);
    json_decref(tree);
    json_decref(again);
    return 0;
}
