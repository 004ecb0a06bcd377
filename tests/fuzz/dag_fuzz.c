/* DAG files to checked specs and graphs: any bytes give specs or problems, every spec gives a graph
 * and JSON, and every problem has a place in the file. */
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/dag/spec.h"
#include "tests/fuzz/fuzz.h"

static const char catalog_text[] = "[{\"name\": \"flow.noop\", \"params\": [], \"outputs\": []},"
                                   "{\"name\": \"data.sql\", \"params\": [{\"name\": \"query\", "
                                   "\"type\": \"sql\", \"required\": true},"
                                   "{\"name\": \"rows\", \"type\": \"int\", \"min\": 1, \"max\": "
                                   "9}, {\"name\": \"mode\", \"type\": "
                                   "\"enum\", \"choices\": [\"a\", \"b\"]}, {\"name\": \"wait\", "
                                   "\"type\": \"duration\"}, {\"name\": "
                                   "\"columns\", \"type\": \"strings\"}], \"outputs\": [{\"name\": "
                                   "\"table\", \"type\": \"table\"}]}]";

static void check_spec(const struct spec *spec)
{
    struct graph *graph;
    struct nx_err err;
    must(spec->id && spec->n_tasks > 0);
    must(spec_graph(spec, &graph, &err));
    must(graph->n_tasks == spec->n_tasks);
    graph_release(graph);
    for (uint32_t i = 0; i < spec->n_tasks; i++) {
        json_t *definition = json_loads(spec->tasks[i].definition, 0, NULL);
        must(definition != NULL);
        json_decref(definition);
        must((spec->tasks[i].uses != NULL) != (spec->tasks[i].run != NULL));
    }
    json_decref(spec_json(spec));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems;
    struct spec **specs = NULL;
    size_t n = 0;
    json_t *catalog = json_loads(catalog_text, 0, NULL);
    problems_init(&problems);
    bool fine =
        spec_read("dags/fuzz.yaml", (const char *)data, size, catalog, NULL, &specs, &n, &problems);
    must(fine == (problems.n_errors == 0));
    for (size_t i = 0; i < problems.n; i++)
        must(problems.at[i].line >= 1 && problems.at[i].column >= 1);
    for (size_t i = 0; i < n; i++) {
        check_spec(specs[i]);
        spec_free(specs[i]);
    }
    mem_free(specs);
    problems_fini(&problems);
    json_decref(catalog);
    return 0;
}
