/* What can be checked only when the whole graph is known: cycles, finally, outputs. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

/* ---- Cycles ---- */

enum colour { WHITE, GREY, BLACK };

struct walk {
    struct reader *r;
    uint8_t *colour;
    uint32_t *level;        /* tasks on the longest path above it; for BLACK ones */
    uint32_t *stack, *next; /* the path from a root of the walk, and how far each has got */
    uint32_t depth;
    bool cyclic;
};

/* The path stack[from..] leads back to stack[from]. */
static void report_cycle(struct walk *w, uint32_t from, const struct yaml_node *need)
{
    struct buf path;
    const struct spec_task *tasks = w->r->spec->tasks;
    buf_init(&path);
    for (uint32_t i = from; i < w->depth; i++) {
        uint32_t shown = i - from;
        if (shown == 20)
            buf_printf(&path, "... (%u more) -> ", w->depth - i);
        if (shown < 20)
            buf_printf(&path, "%s -> ", tasks[w->stack[i]].id);
    }
    buf_str(&path, tasks[w->stack[from]].id);
    problem_hint(w->r->problems,
                 yaml_problem(w->r->problems, need, "a cycle of needs: %s", buf_text(&path)),
                 "take one of these needs away");
    buf_fini(&path);
    w->cyclic = true;
}

/* One step from the top of the stack: into a need, or back. */
static void step(struct walk *w)
{
    uint32_t at = w->stack[w->depth - 1];
    const struct spec_task *task = &w->r->spec->tasks[at];
    uint32_t i = w->next[w->depth - 1]++;
    if (i == task->n_needs) {
        uint32_t level = 0;
        for (uint32_t k = 0; k < task->n_needs; k++) {
            if (w->level[task->needs[k]] + 1 > level)
                level = w->level[task->needs[k]] + 1;
        }
        w->level[at] = level;
        w->colour[at] = BLACK;
        w->depth--;
        return;
    }
    uint32_t need = task->needs[i];
    if (w->colour[need] == WHITE) {
        w->colour[need] = GREY;
        w->stack[w->depth] = need;
        w->next[w->depth++] = 0;
    } else if (w->colour[need] == GREY) {
        uint32_t from = w->depth - 1;
        while (w->stack[from] != need)
            from--;
        report_cycle(w, from, w->r->drafts[at].need_nodes[i]);
    }
}

static void find_cycles(struct walk *w)
{
    for (uint32_t i = 0; i < w->r->spec->n_tasks; i++) {
        if (w->colour[i] != WHITE)
            continue;
        w->colour[i] = GREY;
        w->stack[0] = i;
        w->next[0] = 0;
        w->depth = 1;
        while (w->depth)
            step(w);
    }
}

/* ---- finally ---- */

static void check_finally(struct reader *r)
{
    for (uint32_t i = 0; i < r->spec->n_tasks; i++) {
        const struct spec_task *task = &r->spec->tasks[i];
        for (uint32_t k = 0; k < task->n_needs; k++) {
            const struct spec_task *need = &r->spec->tasks[task->needs[k]];
            if (need->finally && !task->finally)
                problem_hint(r->problems,
                             yaml_problem(r->problems, r->drafts[i].need_nodes[k],
                                          "task '%s' needs '%s', which runs when everything else "
                                          "is final",
                                          task->id, need->id),
                             "only a task with 'finally: true' can need another");
        }
    }
}

/* ---- outputs ---- */

struct search {
    uint32_t *seen; /* the number of the last search that was here */
    uint32_t *stack;
    uint32_t number;
    bool cyclic; /* levels mean nothing */
};

/* Whether `target` is above `from`, directly or not. A task above has a lower level, so that only
 * what lies between the two is looked at. */
static bool is_upstream(const struct spec *spec, const uint32_t *level, struct search *s,
                        uint32_t from, uint32_t target)
{
    uint32_t n = 0;
    s->number++;
    s->stack[n++] = from;
    while (n) {
        const struct spec_task *task = &spec->tasks[s->stack[--n]];
        for (uint32_t i = 0; i < task->n_needs; i++) {
            uint32_t need = task->needs[i];
            if (need == target)
                return true;
            if (s->seen[need] == s->number || (!s->cyclic && level[need] <= level[target]))
                continue;
            s->seen[need] = s->number;
            s->stack[n++] = need;
        }
    }
    return false;
}

static void unknown_upstream(struct reader *r, const struct output_use *use)
{
    struct problem *problem = yaml_problem_at(r->problems, use->node, use->offset,
                                              "there is no task '%.80s'", use->upstream);
    const char **ids = mem_alloc_array(r->spec->n_tasks, sizeof *ids);
    for (uint32_t i = 0; i < r->spec->n_tasks; i++)
        ids[i] = r->spec->tasks[i].id;
    const char *nearest = str_nearest(use->upstream, ids, r->spec->n_tasks);
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
    mem_free(ids);
}

/* An argument that is this output, and cannot be. */
static void check_output_kind(struct reader *r, const struct output_use *use, const json_t *entry,
                              const json_t *output)
{
    const json_t *outputs = json_object_get(entry, "outputs");
    if (!use->wanted || arg_takes(use->wanted, output))
        return;
    struct problem *problem = yaml_problem_at(
        r->problems, use->node, use->sub_offset, "'%s' must be %s, and '%s' of %s is of type %s",
        use->key, arg_wanted(use->wanted), use->name, js_get_text(entry, "name", ""),
        js_get_text(output, "type", "any"));
    const char *type = js_get_text(use->wanted, "type", "any");
    bool artifact = str_eq(type, "table") || str_eq(type, "model");
    for (size_t i = 0; artifact && i < json_array_size(outputs); i++) {
        const json_t *other = json_array_get(outputs, i);
        if (str_eq(js_get_text(other, "type", ""), type)) {
            problem_hint(r->problems, problem, "outputs.%s.%s is one", use->upstream,
                         js_get_text(other, "name", ""));
            return;
        }
    }
}

/* Whether a person fills in a field of that name. */
static bool is_field(const struct spec_task *task, const char *name)
{
    bool found = false;
    json_t *form = task->form ? json_loads(task->form, 0, NULL) : NULL;
    for (size_t i = 0; i < json_array_size(form); i++)
        found = found || str_eq(js_get_text(json_array_get(form, i), "name", ""), name);
    json_decref(form);
    return found;
}

static void check_output_name(struct reader *r, const struct output_use *use, uint32_t upstream)
{
    const json_t *entry = r->drafts[upstream].operator_entry;
    const char *nearest = NULL;
    const json_t *output = entry && use->name ? catalog_output(entry, use->name, &nearest) : NULL;
    const struct spec_task *tasks = r->spec->tasks;
    bool many = tasks[upstream].map && tasks[upstream].map != tasks[use->task].map;
    if (output && !many) /* of a mapped task it is a list of them */
        check_output_kind(r, use, entry, output);
    if (!entry || !use->name || output || is_field(&r->spec->tasks[upstream], use->name))
        return;
    int line, column;
    yaml_place(use->node, use->sub_offset, &line, &column);
    /* A warning: what an operator puts out may depend on its parameters. */
    struct problem *problem =
        problem_add(r->problems, PROBLEM_WARNING, yaml_file(use->node), line, column,
                    "%s names no output '%.80s'", js_get_text(entry, "name", ""), use->name);
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
}

static void add_ref(struct reader *r, uint32_t **refs, uint32_t *n, uint32_t ref)
{
    for (uint32_t i = 0; i < *n; i++) {
        if ((*refs)[i] == ref)
            return;
    }
    uint32_t *longer = arena_array(&r->spec->arena, *n + 1, sizeof *longer);
    uint32_t to = 0, from = 0;
    while (from < *n && (*refs)[from] < ref)
        longer[to++] = (*refs)[from++];
    longer[to++] = ref;
    while (from < *n)
        longer[to++] = (*refs)[from++];
    *refs = longer;
    *n = to;
}

/* Whether the task waits for another one of its group, and so begins none of its indexes. */
static bool begins_group(const struct spec *spec, const struct spec_task *task)
{
    for (uint32_t i = 0; i < task->n_needs; i++) {
        if (spec->tasks[task->needs[i]].map == task->map)
            return false;
    }
    return true;
}

/* The outputs that the list of a group names come before all tasks that begin it. */
static void check_list_output(struct reader *r, const uint32_t *level, struct search *s,
                              const struct output_use *use, uint32_t upstream)
{
    struct spec_map *map = &r->spec->maps[use->map];
    for (uint32_t i = 0; i < r->spec->n_tasks; i++) {
        const struct spec_task *task = &r->spec->tasks[i];
        if (task->map != use->map + 1 || !begins_group(r->spec, task) ||
            is_upstream(r->spec, level, s, i, upstream))
            continue;
        problem_hint(r->problems,
                     yaml_problem_at(r->problems, use->node, use->offset,
                                     "'for_each' names the outputs of '%s', which does not come "
                                     "before task '%s'",
                                     use->upstream, task->id),
                     "add it to the 'needs' of '%s'", task->id);
        return;
    }
    add_ref(r, &map->refs, &map->n_refs, upstream);
}

static void check_output(struct reader *r, const uint32_t *level, struct search *s,
                         const struct output_use *use)
{
    struct spec_task *task = &r->spec->tasks[use->task];
    int64_t upstream = spec_find(r->spec, use->upstream);
    if (upstream < 0) {
        unknown_upstream(r, use);
        return;
    }
    if (use->place == USE_LIST) {
        check_list_output(r, level, s, use, (uint32_t)upstream);
        return;
    }
    if (!is_upstream(r->spec, level, s, use->task, (uint32_t)upstream)) {
        problem_hint(r->problems,
                     yaml_problem_at(r->problems, use->node, use->offset,
                                     "task '%s' names the outputs of '%s', which does not come "
                                     "before it",
                                     task->id, use->upstream),
                     use->task == upstream ? "a task cannot read its own outputs"
                                           : "add it to 'needs'");
        return;
    }
    check_output_name(r, use, (uint32_t)upstream);
    if (use->place == USE_CONDITION)
        add_ref(r, &task->condition_refs, &task->n_condition_refs, (uint32_t)upstream);
    else
        add_ref(r, &task->refs, &task->n_refs, (uint32_t)upstream);
}

static void check_outputs(struct reader *r, const uint32_t *level, bool cyclic)
{
    struct search s = {mem_alloc_array(r->spec->n_tasks, sizeof *s.seen),
                       mem_alloc_array(r->spec->n_tasks + 1, sizeof *s.stack), 0, cyclic};
    for (size_t i = 0; i < r->uses.n; i++)
        check_output(r, level, &s, &r->uses.at[i]);
    mem_free(s.seen);
    mem_free(s.stack);
}

static void check_edges(struct reader *r)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->spec->n_tasks; i++)
        n += r->spec->tasks[i].n_needs;
    if (n > NX_DAG_EDGES_MAX)
        yaml_problem(r->problems, r->root, "more than %d needs", NX_DAG_EDGES_MAX);
}

void check_order(struct reader *r)
{
    size_t n = r->spec->n_tasks;
    struct walk w = {.r = r,
                     .colour = mem_alloc_array(n, sizeof *w.colour),
                     .level = mem_alloc_array(n, sizeof *w.level),
                     .stack = mem_alloc_array(n, sizeof *w.stack),
                     .next = mem_alloc_array(n, sizeof *w.next)};
    check_edges(r);
    find_cycles(&w);
    check_finally(r);
    check_outputs(r, w.level, w.cyclic);
    mem_free(w.colour);
    mem_free(w.level);
    mem_free(w.stack);
    mem_free(w.next);
}
