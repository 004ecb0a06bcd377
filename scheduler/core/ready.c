#include <string.h>

#include "lib/base/heap.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

struct pool *pool_get(struct core *core, const char *name)
{
    struct pool *pool = map_get(&core->pools, name);
    if (!pool) {
        pool = mem_alloc(sizeof *pool);
        pool->name = mem_strdup(name);
        pool->slots = -1;
        map_set(&core->pools, name, pool);
    }
    return pool;
}

static struct limit *limit_get(struct core *core, const char *key)
{
    struct limit *limit = map_get(&core->limits, key);
    if (!limit) {
        limit = mem_alloc(sizeof *limit);
        limit->key = mem_strdup(key);
        limit->most = UINT32_MAX;
        map_set(&core->limits, key, limit);
    }
    return limit;
}

static void find_most(const struct core *core, struct limit *limit)
{
    limit->most = UINT32_MAX;
    for (size_t i = 0; i < core->classes.n; i++) {
        const struct class *class = core->classes.at[i];
        if (class->limit == limit && class->n_versions &&
            class->needs.concurrency_limit < limit->most)
            limit->most = class->needs.concurrency_limit;
    }
}

void limits_count(struct core *core, const struct version *version, bool on)
{
    for (uint32_t i = 0; i < version->graph->n_classes; i++) {
        struct class *class = core->classes.at[version->class_of[i]];
        if (!class->limit)
            continue;
        must(on || class->n_versions > 0);
        class->n_versions = on ? class->n_versions + 1 : class->n_versions - 1;
        if (class->n_versions == on) /* it has begun to count, or does not any more */
            find_most(core, class->limit);
    }
}

static bool same_needs(const struct class *class, const struct graph_class *needs)
{
    const struct graph_class *own = &class->needs;
    return str_eq(own->queue, needs->queue) && str_eq(own->pool, needs->pool) &&
           own->pool_slots == needs->pool_slots && own->cpus_milli == needs->cpus_milli &&
           own->gpus == needs->gpus && own->memory_bytes == needs->memory_bytes &&
           own->script == needs->script && str_eq(own->concurrency, needs->concurrency) &&
           own->concurrency_limit == needs->concurrency_limit;
}

uint32_t class_intern(struct core *core, const struct graph_class *needs)
{
    for (uint32_t i = 0; i < core->classes.n; i++) {
        if (same_needs(core->classes.at[i], needs))
            return i;
    }
    struct class *class = mem_alloc(sizeof *class);
    class->needs = *needs;
    class->needs.queue = mem_strdup(needs->queue);
    class->needs.pool = needs->pool ? mem_strdup(needs->pool) : NULL;
    class->needs.concurrency = needs->concurrency ? mem_strdup(needs->concurrency) : NULL;
    class->pool = needs->pool ? pool_get(core, needs->pool) : NULL;
    class->limit = needs->concurrency ? limit_get(core, needs->concurrency) : NULL;
    vec_push(&core->classes, class);
    return (uint32_t)core->classes.n - 1;
}

struct class *class_of(const struct core *core, const struct run *run, uint32_t task)
{
    return core->classes.at[run->version->class_of[task_of(run, task)->class_index]];
}

/* Smaller goes first: priority (highest), live before backfill, age of the run. */
uint64_t ready_key(const struct run *run, uint32_t at)
{
    int32_t priority = task_of(run, at)->priority;
    must(priority >= -NX_PRIORITY_MAX && priority <= NX_PRIORITY_MAX);
    must(run->id.v < 1ull << 42);
    uint64_t inverted = (uint64_t)(NX_PRIORITY_MAX - priority);
    return inverted << 43 | (uint64_t)(run->backfill != 0) << 42 | run->id.v;
}

static bool more_urgent(const void *a, const void *b)
{
    const struct ready_entry *x = a, *y = b;
    return x->key != y->key ? x->key < y->key : x->order < y->order;
}

/* Of equal keys: the order of urgency; mapped ones by index, so that an index of a group comes to
 * its end before the next one begins. */
static uint64_t order_of(const struct run *run, uint32_t at)
{
    const struct graph *graph = run->version->graph;
    uint64_t rank = graph->rank[task_at(run, at)];
    uint32_t map = task_of(run, at)->map;
    if (!map)
        return rank << 40;
    _Static_assert(NX_DAG_TASKS_MAX < 1 << 20 && NX_MAP_MAX < 1 << 20, "20 bits each");
    return (uint64_t)graph->maps[map - 1].rank << 40 | (uint64_t)map_at(run, at) << 20 | rank;
}

void ready_push(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    must(inst->state == NX_TS_QUEUED);
    if (inst->flags & INST_READY)
        return;
    inst->flags |= INST_READY;
    struct class *class = class_of(core, run, task);
    struct ready_entry entry = {ready_key(run, task), order_of(run, task), run->slot, task};
    vec_push(&class->heap, entry);
    heap_push(class->heap.at, class->heap.n, sizeof entry, more_urgent);
}

static void remove_top(struct class *class)
{
    heap_pop(class->heap.at, class->heap.n--, sizeof *class->heap.at, more_urgent);
}

/* An entry may be stale: its instance has left the queue, perhaps to come back to it when others of
 * its map have their turn; or its run ended and was opened again. */

static bool in_line(const struct run *run, uint32_t at)
{
    return run->insts[at].state == NX_TS_QUEUED && (run->insts[at].flags & INST_READY) &&
           mapped_admitted(run, at);
}

/* The run and task of an entry; false when its run is gone (the slot may be another's). */
static bool at_entry(const struct core *core, const struct ready_entry *entry, struct run **run,
                     uint32_t *task)
{
    struct run *found = core->runs.at[entry->slot];
    if (!found || entry->at >= found->n_insts || entry->key != ready_key(found, entry->at))
        return false;
    *run = found;
    *task = entry->at;
    return true;
}

static bool top_entry(struct core *core, struct class *class, struct run **run, uint32_t *task)
{
    return at_entry(core, &class->heap.at[0], run, task);
}

uint32_t ready_count(const struct core *core, const struct class *class)
{
    uint32_t n = 0, task;
    struct run *run;
    for (size_t i = 0; i < class->heap.n; i++) {
        if (at_entry(core, &class->heap.at[i], &run, &task) && in_line(run, task))
            n++;
    }
    return n;
}

int64_t ready_oldest_ms(const struct core *core, const struct class *class)
{
    int64_t oldest = 0;
    uint32_t task;
    struct run *run;
    for (size_t i = 0; i < class->heap.n; i++) {
        if (!at_entry(core, &class->heap.at[i], &run, &task) || !in_line(run, task))
            continue;
        int64_t ready = run->insts[task].ready_ms;
        if (ready && (!oldest || ready < oldest))
            oldest = ready;
    }
    return oldest;
}

bool ready_peek(struct core *core, struct class *class, struct run **run, uint32_t *task)
{
    while (class->heap.n) {
        struct run *found = NULL;
        uint32_t index = 0;
        if (top_entry(core, class, &found, &index)) {
            if (in_line(found, index)) {
                *run = found;
                *task = index;
                return true;
            }
            found->insts[index].flags &= (uint8_t)~INST_READY;
        }
        remove_top(class);
    }
    return false;
}

void ready_pop(struct core *core, struct class *class)
{
    struct run *run = NULL;
    uint32_t task = 0;
    must(class->heap.n && top_entry(core, class, &run, &task));
    run->insts[task].flags &= (uint8_t)~INST_READY;
    remove_top(class);
}
