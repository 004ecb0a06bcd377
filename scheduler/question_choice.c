/* flow.branch, flow.short_circuit, flow.latest_only: which of the tasks directly below go on. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"

#define NAMES_MAX 1024 /* of the message */

typedef VEC(uint32_t) tasks;

/* The tasks directly below the instance's, or what of them is in the group of that name. */
static bool add_chosen(const struct spec *spec, const struct graph *graph, uint32_t task,
                       const char *name, tasks *chosen)
{
    const uint32_t *down = graph_down(graph, task);
    size_t before = chosen->n;
    for (uint32_t j = 0; j < graph->tasks[task].n_down; j++) {
        const struct spec_task *below = &spec->tasks[down[j]];
        if (str_eq(below->id, name) || str_eq(below->group, name) ||
            (below->map && str_eq(spec->maps[below->map - 1].group, name)))
            vec_push(chosen, down[j]);
    }
    return chosen->n > before;
}

static bool not_below(const struct graph *graph, uint32_t task, const char *name,
                      struct nx_err *err)
{
    struct buf names;
    const uint32_t *down = graph_down(graph, task);
    buf_init(&names);
    for (uint32_t j = 0; j < graph->tasks[task].n_down && names.len < NAMES_MAX; j++)
        buf_printf(&names, "%s%s", j ? ", " : "", graph->tasks[down[j]].id);
    nx_fail(err, NX_E_INVALID, "'%.80s' is not a task directly below it: it can choose %s", name,
            names.len ? buf_text(&names) : "none, as nothing needs it");
    buf_fini(&names);
    return false;
}

static bool choose_names(const struct spec *spec, const struct graph *graph, uint32_t task,
                         const json_t *names, tasks *chosen, struct nx_err *err)
{
    size_t i;
    const json_t *name;
    json_array_foreach(names, i, name)
    {
        if (!add_chosen(spec, graph, task, json_string_value(name), chosen))
            return not_below(graph, task, json_string_value(name), err);
    }
    return true;
}

/* Runs that a schedule or a backfill made are held against the clock; others were wanted now. */
static bool is_latest(struct question *question, struct nx_run_id run, bool *latest,
                      struct nx_err *err)
{
    struct core_run_row row;
    must(core_get_run(question->core, run, &row));
    *latest = true;
    if (row.cause != NX_RC_SCHEDULE && row.cause != NX_RC_BACKFILL)
        return true;
    const struct registry_version *version = registry_current(question->registry, row.dag, NULL);
    if (!version)
        version = registry_get(question->registry, row.version, err);
    if (!version)
        return false;
    *latest = timetables_is_latest(version, row.interval_finish_ms, clock_wall_ms());
    return true;
}

static const char *outputs_text(struct arena *arena, const char *name, json_t *value)
{
    json_t *outputs = json_object();
    json_object_set_new(outputs, name, value);
    char *text = js_text(outputs);
    const char *kept = arena_strdup(arena, text);
    mem_free(text);
    json_decref(outputs);
    return kept;
}

bool question_choose(struct question *question, const struct spec *spec, const struct core_ask *ask,
                     const json_t *arguments, struct arena *arena, struct question_result *result,
                     struct nx_err *err)
{
    const struct spec_task *task = &spec->tasks[ask->inst.task];
    const struct graph *graph = core_run_graph(question->core, ask->inst.run);
    tasks chosen = {0};
    bool ok = true, go = false;
    json_t *output;
    if (task->choice == CHOICE_NAMES) {
        json_t *names = json_object_get(arguments, "choose");
        ok = choose_names(spec, graph, ask->inst.task, names, &chosen, err);
        output = json_incref(names);
    } else if (task->choice == CHOICE_CONDITION) {
        go = json_is_true(json_object_get(arguments, "condition"));
        output = json_boolean(go);
    } else {
        ok = is_latest(question, ask->inst.run, &go, err);
        output = json_boolean(go);
    }
    result->chooses = !go;
    result->chosen = arena_dup(arena, chosen.at, chosen.n * sizeof *chosen.at);
    result->n_chosen = (uint32_t)chosen.n;
    result->outputs = outputs_text(arena,
                                   task->choice == CHOICE_NAMES       ? "chosen"
                                   : task->choice == CHOICE_CONDITION ? "passed"
                                                                      : "latest",
                                   output);
    vec_fini(&chosen);
    return ok;
}
