#include "scheduler/graph/graph.h"

#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/vec.h"
#include "nexus/limits.h"

static const char *copy_text(struct graph *graph, const char *s)
{
    return s ? arena_strdup(&graph->arena, s) : NULL;
}

static const struct graph_retry_on *copy_retry_on(struct graph *graph,
                                                  const struct graph_retry_on *from)
{
    if (!from)
        return NULL;
    struct graph_retry_on *copy = arena_dup(&graph->arena, from, sizeof *from);
    copy->exit_codes =
        arena_dup(&graph->arena, from->exit_codes, from->n_exit_codes * sizeof *from->exit_codes);
    copy->codes = arena_dup(&graph->arena, from->codes, from->n_codes * sizeof *from->codes);
    return copy;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_class(const struct graph_class *a, const struct graph_class *b)
{
    return same_text(a->queue, b->queue) && same_text(a->pool, b->pool) &&
           a->pool_slots == b->pool_slots && a->cpus_milli == b->cpus_milli && a->gpus == b->gpus &&
           a->memory_bytes == b->memory_bytes && a->script == b->script &&
           same_text(a->concurrency, b->concurrency) &&
           a->concurrency_limit == b->concurrency_limit;
}

/* The index of an equal class; the last one used is tried first, since neighbours are alike. */
static uint32_t intern_class(struct graph *graph, const struct graph_class *wanted, uint32_t last,
                             uint32_t *cap)
{
    if (graph->n_classes && same_class(&graph->classes[last], wanted))
        return last;
    for (uint32_t i = 0; i < graph->n_classes; i++) {
        if (same_class(&graph->classes[i], wanted))
            return i;
    }
    if (graph->n_classes == *cap) {
        uint32_t n = *cap ? *cap * 2 : 4;
        struct graph_class *grown = arena_array(&graph->arena, n, sizeof *grown);
        if (graph->n_classes)
            memcpy(grown, graph->classes, graph->n_classes * sizeof *grown);
        graph->classes = grown;
        *cap = n;
    }
    struct graph_class *class = &graph->classes[graph->n_classes];
    *class = *wanted;
    class->queue = copy_text(graph, wanted->queue ? wanted->queue : "default");
    class->pool = copy_text(graph, wanted->pool);
    class->concurrency = copy_text(graph, wanted->concurrency);
    return graph->n_classes++;
}

static const char **copy_texts(struct graph *graph, const char *const *texts, uint32_t n)
{
    const char **copy = n ? arena_array(&graph->arena, n, sizeof *copy) : NULL;
    for (uint32_t i = 0; i < n; i++)
        copy[i] = copy_text(graph, texts[i]);
    return copy;
}

static void copy_tasks(struct graph *graph, const struct graph_task_def *defs)
{
    uint32_t cap = 0, last = 0;
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        const struct graph_task_def *def = &defs[i];
        struct graph_class wanted = def->needs_class;
        wanted.queue = wanted.queue ? wanted.queue : "default";
        last = intern_class(graph, &wanted, last, &cap);
        graph->tasks[i] = (struct graph_task){
            .id = copy_text(graph, def->id),
            .n_up = def->n_needs,
            .class_index = last,
            .map = def->map,
            .priority = def->priority,
            .flags = (uint16_t)def->flags,
            .retries = def->retries,
            .rule = (uint8_t)def->rule,
            .jitter_percent = def->jitter_percent,
            .retry_on = copy_retry_on(graph, def->retry_on),
            .retry_delay_ms = def->retry_delay_ms,
            .max_retry_delay_ms = def->max_retry_delay_ms,
            .timeout_ms = def->timeout_ms,
            .queue_timeout_ms = def->queue_timeout_ms,
            .produces = copy_texts(graph, def->produces, def->n_produces),
            .n_produces = def->n_produces,
            .every_ms = def->every_ms,
            .dataset = def->dataset ? arena_strdup(&graph->arena, def->dataset) : NULL,
            .wait = (uint8_t)def->wait,
        };
        graph->n_finally += (def->flags & GRAPH_FINALLY) != 0;
        graph->n_past += (def->flags & GRAPH_PAST) != 0;
        graph->n_edges += def->n_needs;
    }
}

static bool check_needs(const struct graph *graph, const struct graph_task_def *defs, uint32_t task,
                        uint32_t *last_needed_by, struct nx_err *err)
{
    const struct graph_task_def *def = &defs[task];
    for (uint32_t j = 0; j < def->n_needs; j++) {
        uint32_t up = def->needs[j];
        must(up < graph->n_tasks);
        if (up == task)
            return nx_fail(err, NX_E_INVALID, "task '%s' needs itself", def->id);
        if (last_needed_by[up] == task + 1)
            return nx_fail(err, NX_E_INVALID, "task '%s' needs '%s' twice", def->id, defs[up].id);
        last_needed_by[up] = task + 1;
        if ((defs[up].flags & GRAPH_FINALLY) && !(def->flags & GRAPH_FINALLY))
            return nx_fail(
                err, NX_E_INVALID,
                "task '%s' needs '%s', which is a finally task: it runs after all others", def->id,
                defs[up].id);
    }
    return true;
}

static bool fill_up(struct graph *graph, const struct graph_task_def *defs, struct nx_err *err)
{
    uint32_t *last_needed_by = mem_alloc_array(graph->n_tasks, sizeof *last_needed_by);
    uint32_t next = 0;
    bool ok = true;
    for (uint32_t i = 0; ok && i < graph->n_tasks; i++) {
        ok = check_needs(graph, defs, i, last_needed_by, err);
        graph->tasks[i].up_first = next;
        if (defs[i].n_needs)
            memcpy(graph->up + next, defs[i].needs, defs[i].n_needs * sizeof *graph->up);
        next += defs[i].n_needs;
    }
    mem_free(last_needed_by);
    return ok;
}

static void fill_down(struct graph *graph)
{
    for (uint32_t e = 0; e < graph->n_edges; e++)
        graph->tasks[graph->up[e]].n_down++;
    uint32_t next = 0;
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        graph->tasks[i].down_first = next;
        next += graph->tasks[i].n_down;
        graph->tasks[i].n_down = 0;
    }
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        for (uint32_t j = 0; j < graph->tasks[i].n_up; j++) {
            struct graph_task *up = &graph->tasks[graph_up(graph, i)[j]];
            graph->down[up->down_first + up->n_down++] = i;
        }
    }
}

/* Every task that no order from the ends reaches has such a task downstream, so walking down from
 * one comes to a repetition: the cycle, in the direction of the data. */
static bool name_cycle(const struct graph *graph, const uint32_t *left, struct nx_err *err)
{
    uint32_t *step_of = mem_alloc_array(graph->n_tasks, sizeof *step_of);
    VEC(uint32_t) path = {0};
    uint32_t at = 0;
    while (!left[at])
        at++;
    while (!step_of[at]) {
        vec_push(&path, at);
        step_of[at] = (uint32_t)path.n;
        const uint32_t *down = graph_down(graph, at);
        while (!left[*down])
            down++;
        at = *down;
    }
    vec_push(&path, at);
    char text[NX_ERR_TEXT_MAX / 2] = "";
    size_t n = 0;
    for (size_t i = step_of[at] - 1; i < path.n; i++) {
        const char *id = graph->tasks[path.at[i]].id;
        size_t len = strlen(id);
        if (n + len + 8 > sizeof text)
            break;
        if (n) {
            memcpy(text + n, " -> ", 4);
            n += 4;
        }
        memcpy(text + n, id, len + 1);
        n += len;
    }
    vec_fini(&path);
    mem_free(step_of);
    return nx_fail(err, NX_E_INVALID, "the tasks need each other in a cycle: %s", text);
}

/* Kahn's order from the ends, which gives path lengths; what remains is on or above a cycle. */
static bool fill_lengths(struct graph *graph, struct nx_err *err)
{
    uint32_t *left = mem_alloc_array(graph->n_tasks, sizeof *left);
    uint32_t *order = mem_alloc_array(graph->n_tasks, sizeof *order);
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        graph->tasks[i].path_length = 1;
        left[i] = graph->tasks[i].n_down;
        if (!left[i])
            order[n++] = i;
    }
    for (uint32_t k = 0; k < n; k++) {
        const struct graph_task *task = &graph->tasks[order[k]];
        for (uint32_t j = 0; j < task->n_up; j++) {
            uint32_t up = graph->up[task->up_first + j];
            if (graph->tasks[up].path_length < task->path_length + 1)
                graph->tasks[up].path_length = task->path_length + 1;
            if (--left[up] == 0)
                order[n++] = up;
        }
    }
    bool ok = n == graph->n_tasks;
    if (!ok)
        name_cycle(graph, left, err);
    mem_free(order);
    mem_free(left);
    return ok;
}

static void mark_leaves(struct graph *graph)
{
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        struct graph_task *task = &graph->tasks[i];
        bool leaf = !(task->flags & GRAPH_FINALLY);
        for (uint32_t j = 0; leaf && j < task->n_down; j++)
            leaf = (graph->tasks[graph_down(graph, i)[j]].flags & GRAPH_FINALLY) != 0;
        task->flags = (uint16_t)(leaf ? task->flags | GRAPH_LEAF : task->flags & ~GRAPH_LEAF);
    }
}

static bool more_urgent(const struct graph *graph, uint32_t a, uint32_t b)
{
    const struct graph_task *x = &graph->tasks[a], *y = &graph->tasks[b];
    if (x->priority != y->priority)
        return x->priority > y->priority;
    if (x->path_length != y->path_length)
        return x->path_length > y->path_length;
    return a < b;
}

/* Sorts by urgency (merge sort, bottom up: stable and without recursion). */
static void fill_ranks(struct graph *graph)
{
    uint32_t n = graph->n_tasks, *from = graph->by_rank;
    uint32_t *scratch = mem_alloc_array(n, sizeof *scratch), *to = scratch;
    for (uint32_t i = 0; i < n; i++)
        from[i] = i;
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t start = 0; start < n; start += 2 * width) {
            uint32_t middle = start + width < n ? start + width : n;
            uint32_t end = middle + width < n ? middle + width : n;
            uint32_t a = start, b = middle;
            for (uint32_t k = start; k < end; k++) {
                bool left = a < middle && (b == end || !more_urgent(graph, from[b], from[a]));
                to[k] = left ? from[a++] : from[b++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != graph->by_rank)
        memcpy(graph->by_rank, from, n * sizeof *from);
    for (uint32_t i = 0; i < n; i++)
        graph->rank[graph->by_rank[i]] = i;
    mem_free(scratch);
}

/* Members by map; and what is derived from them. */
static void fill_maps(struct graph *graph, const struct graph_task_def *defs)
{
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        graph->n_map_tasks += defs[i].map != 0;
        if (defs[i].map > graph->n_maps)
            graph->n_maps = defs[i].map;
    }
    graph->maps = arena_array(&graph->arena, graph->n_maps, sizeof *graph->maps);
    graph->map_tasks = arena_array(&graph->arena, graph->n_map_tasks, sizeof *graph->map_tasks);
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        if (defs[i].map)
            graph->maps[defs[i].map - 1].n++;
    }
    uint32_t next = 0;
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        must(graph->maps[m].n > 0);
        graph->maps[m].first = next;
        next += graph->maps[m].n;
        graph->maps[m].n = 0;
        graph->maps[m].rank = UINT32_MAX;
    }
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        struct graph_task *task = &graph->tasks[i];
        for (uint32_t j = 0; j < task->n_up; j++) {
            if (defs[graph_up(graph, i)[j]].map)
                task->flags |= GRAPH_UP_MAPPED;
        }
        if (!task->map)
            continue;
        struct graph_map *map = &graph->maps[task->map - 1];
        must(!map->n || map->max_parallel == defs[i].max_parallel);
        map->n_finally += (task->flags & GRAPH_FINALLY) != 0;
        map->max_parallel = defs[i].max_parallel;
        map->rank = graph->rank[i] < map->rank ? graph->rank[i] : map->rank;
        task->member = map->first + map->n++;
        graph->map_tasks[task->member] = i;
    }
}

/* From a task outside of the map that needs a member: whether another member is downstream of it.
 * Then an index could wait for others that max_parallel does not admit. */
static bool comes_back(const struct graph *graph, uint32_t map, uint32_t first, uint32_t *seen,
                       uint32_t *todo, uint32_t *member)
{
    uint32_t n = 0;
    todo[n++] = first;
    while (n) {
        uint32_t at = todo[--n];
        if (graph->tasks[at].map == map + 1) {
            *member = at;
            return true;
        }
        if (seen[at] == map + 1)
            continue;
        seen[at] = map + 1;
        for (uint32_t j = 0; j < graph->tasks[at].n_down; j++) {
            uint32_t down = graph_down(graph, at)[j];
            if (seen[down] != map + 1)
                todo[n++] = down;
        }
    }
    return false;
}

static bool check_finally(const struct graph *graph, struct nx_err *err)
{
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        const struct graph_map *map = &graph->maps[m];
        for (uint32_t k = 0; map->n_finally < map->n && k < map->n; k++) {
            const struct graph_task *task = &graph->tasks[graph->map_tasks[map->first + k]];
            if (task->flags & GRAPH_FINALLY)
                return nx_fail(err, NX_E_INVALID,
                               "'%s' is a finally task in a group with others: it would wait for "
                               "all indexes; take it out of the group",
                               task->id);
        }
    }
    return true;
}

static bool check_maps(const struct graph *graph, struct nx_err *err)
{
    uint32_t *seen = mem_alloc_array(graph->n_tasks, sizeof *seen);
    uint32_t *todo = mem_alloc_array((size_t)graph->n_edges + 1, sizeof *todo);
    bool ok = check_finally(graph, err);
    for (uint32_t i = 0; ok && i < graph->n_map_tasks; i++) {
        uint32_t task = graph->map_tasks[i], map = graph->tasks[task].map - 1, back;
        if (graph->maps[map].n < 2 || !graph->maps[map].max_parallel)
            continue;
        for (uint32_t j = 0; ok && j < graph->tasks[task].n_down; j++) {
            uint32_t down = graph_down(graph, task)[j];
            if (graph->tasks[down].map == map + 1 ||
                !comes_back(graph, map, down, seen, todo, &back))
                continue;
            ok = nx_fail(err, NX_E_INVALID,
                         "'%s' and '%s' are of one group with max_parallel, but '%s', which is "
                         "not, is between them: take it into the group, or max_parallel away",
                         graph->tasks[task].id, graph->tasks[back].id, graph->tasks[down].id);
        }
    }
    mem_free(seen);
    mem_free(todo);
    return ok;
}

bool graph_new(const char *dag_id, const struct graph_task_def *tasks, uint32_t n_tasks,
               uint32_t max_active_runs, int64_t timeout_ms, struct graph **out, struct nx_err *err)
{
    if (n_tasks > NX_DAG_TASKS_MAX)
        return nx_fail(err, NX_E_LIMIT, "DAG '%s' has %u tasks; the limit is %d", dag_id, n_tasks,
                       NX_DAG_TASKS_MAX);
    uint64_t n_edges = 0;
    for (uint32_t i = 0; i < n_tasks; i++)
        n_edges += tasks[i].n_needs;
    if (n_edges > NX_DAG_EDGES_MAX)
        return nx_fail(err, NX_E_LIMIT, "DAG '%s' has %llu needs; the limit is %d", dag_id,
                       (unsigned long long)n_edges, NX_DAG_EDGES_MAX);
    struct graph *graph = mem_alloc(sizeof *graph);
    arena_init(&graph->arena);
    graph->refs = 1;
    graph->dag_id = copy_text(graph, dag_id);
    graph->n_tasks = n_tasks;
    graph->max_active_runs = max_active_runs;
    graph->timeout_ms = timeout_ms;
    graph->tasks = arena_array(&graph->arena, n_tasks, sizeof *graph->tasks);
    graph->up = arena_array(&graph->arena, n_edges, sizeof *graph->up);
    graph->down = arena_array(&graph->arena, n_edges, sizeof *graph->down);
    graph->rank = arena_array(&graph->arena, n_tasks, sizeof *graph->rank);
    graph->by_rank = arena_array(&graph->arena, n_tasks, sizeof *graph->by_rank);
    copy_tasks(graph, tasks);
    bool ok = fill_up(graph, tasks, err);
    if (ok) {
        fill_down(graph);
        ok = fill_lengths(graph, err);
    }
    if (!ok) {
        graph_release(graph);
        return false;
    }
    mark_leaves(graph);
    fill_ranks(graph);
    fill_maps(graph, tasks);
    if (!check_maps(graph, err)) {
        graph_release(graph);
        return false;
    }
    *out = graph;
    return true;
}

struct graph *graph_hold(struct graph *graph)
{
    must(graph->refs > 0);
    graph->refs++;
    return graph;
}

void graph_release(struct graph *graph)
{
    if (!graph)
        return;
    must(graph->refs > 0);
    if (--graph->refs > 0)
        return;
    arena_fini(&graph->arena);
    mem_free(graph);
}

int64_t graph_find(const struct graph *graph, const char *id)
{
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        if (strcmp(graph->tasks[i].id, id) == 0)
            return i;
    }
    return -1;
}

/* ---- Choices ---- */

/* Marks the tasks and everything below them. */
static void mark_below(const struct graph *graph, const uint32_t *from, uint32_t n, bool *below)
{
    VEC(uint32_t) todo = {0};
    for (uint32_t i = 0; i < n; i++)
        vec_push(&todo, from[i]);
    while (todo.n) {
        uint32_t task = vec_pop(&todo);
        if (below[task])
            continue;
        below[task] = true;
        for (uint32_t j = 0; j < graph->tasks[task].n_down; j++)
            vec_push(&todo, graph_down(graph, task)[j]);
    }
    vec_fini(&todo);
}

uint32_t graph_left_out(const struct graph *graph, uint32_t task, const uint32_t *chosen,
                        uint32_t n_chosen, uint32_t *left_out)
{
    bool *below = mem_alloc_array(graph->n_tasks, sizeof *below);
    uint32_t n = 0;
    mark_below(graph, chosen, n_chosen, below);
    for (uint32_t j = 0; j < graph->tasks[task].n_down; j++) {
        uint32_t down = graph_down(graph, task)[j];
        if (!below[down])
            left_out[n++] = down;
    }
    mem_free(below);
    return n;
}
