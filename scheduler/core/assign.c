#include <string.h>

#include "lib/base/must.h"
#include "scheduler/core/state.h"

#define ASKS_A_TURN 1000
#define LONG_US 1000000 /* tasks that take longer are never prefetched */
#define BACKS_A_TURN 8

bool assign_available(const struct worker *worker)
{
    return worker->known && !worker->lost && !worker->drain && !worker->leaving;
}

static bool has_queue(const struct worker *worker, const char *queue)
{
    size_t n = strlen(queue);
    for (const char *p = worker->queues; *p;) {
        const char *end = strchr(p, ',');
        size_t len = end ? (size_t)(end - p) : strlen(p);
        if (len == n && memcmp(p, queue, n) == 0)
            return true;
        p += len + (end != NULL);
    }
    return false;
}

/* Whether the worker could ever run such a task. */
bool assign_fits(const struct worker *worker, const struct class *class)
{
    const struct graph_class *needs = &class->needs;
    return (needs->script || worker->catalog_fits) && needs->gpus <= worker->gpus &&
           (!worker->memory_bytes || needs->memory_bytes <= worker->memory_bytes) &&
           has_queue(worker, needs->queue);
}

static bool prefetchable(const struct worker *worker, const struct class *class, bool exclusive)
{
    return !exclusive && !class->pool && !class->limit && !class->needs.gpus &&
           worker->mean_us <= LONG_US;
}

/* How many more leases of this kind the worker may hold now. */
static int64_t room(const struct core *core, const struct worker *worker, const struct class *class,
                    bool exclusive)
{
    const struct graph_class *needs = &class->needs;
    if (needs->gpus && worker->gpus_used + needs->gpus > worker->gpus)
        return 0;
    if (worker->memory_bytes && needs->memory_bytes &&
        worker->memory_used + needs->memory_bytes > worker->memory_bytes)
        return 0;
    int64_t most = worker->slots;
    if (worker->reserved != core->turn && prefetchable(worker, class, exclusive))
        most += worker->depth;
    return most - (int64_t)worker->hands.n;
}

/* The worker with the smallest share of its slots taken; the first of equals. */
static struct worker *pick_worker(struct core *core, struct class *class, bool exclusive,
                                  enum nx_reason *why)
{
    struct worker *best = NULL;
    *why = NX_WHY_NO_WORKER;
    for (size_t i = 0; i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        if (!assign_available(worker))
            continue;
        if (*why == NX_WHY_NO_WORKER)
            *why = NX_WHY_NO_FIT;
        if (!assign_fits(worker, class))
            continue;
        *why = NX_WHY_NO_SLOT;
        if (room(core, worker, class, exclusive) <= 0)
            continue;
        if (!best || worker->hands.n * best->slots < best->hands.n * worker->slots)
            best = worker;
    }
    return best;
}

static enum nx_reason pool_blocks(const struct class *class)
{
    const struct pool *pool = class->pool;
    if (!pool)
        return NX_WHY_NONE;
    if (pool->slots < 0)
        return NX_WHY_POOL_MISSING;
    return pool->used + class->needs.pool_slots > pool->slots ? NX_WHY_POOL : NX_WHY_NONE;
}

static enum nx_reason limit_blocks(const struct class *class)
{
    const struct limit *limit = class->limit;
    return limit && limit->used >= limit->most ? NX_WHY_CONCURRENCY : NX_WHY_NONE;
}

/* Workers that will take this class when a slot is free prefetch nothing less urgent until then:
 * what was taken back to make way would come right back. */
static void block(struct core *core, struct class *class, enum nx_reason why)
{
    class->blocked = core->turn;
    class->why = (uint8_t)why;
    for (size_t i = 0; why == NX_WHY_NO_SLOT && i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        if (assign_available(worker) && assign_fits(worker, class))
            worker->reserved = core->turn;
    }
}

/* The class with the most urgent head among those that are not blocked in this turn. */
static struct class *next_class(struct core *core, struct run **run, uint32_t *task)
{
    struct class *best = NULL;
    uint64_t best_key = 0;
    uint64_t best_order = 0;
    for (size_t i = 0; i < core->classes.n; i++) {
        struct class *class = core->classes.at[i];
        struct run *head;
        uint32_t index;
        if (!class->heap.n || class->blocked == core->turn ||
            !ready_peek(core, class, &head, &index))
            continue;
        const struct ready_entry *top = &class->heap.at[0];
        if (!best || top->key < best_key || (top->key == best_key && top->order < best_order)) {
            best = class;
            best_key = top->key;
            best_order = top->order;
            *run = head;
            *task = index;
        }
    }
    return best;
}

static void give_away(struct core *core)
{
    for (;;) {
        struct run *run = NULL;
        uint32_t task = 0;
        struct class *class = next_class(core, &run, &task);
        if (!class)
            return;
        enum nx_reason why = pool_blocks(class);
        if (!why)
            why = limit_blocks(class);
        bool exclusive = (task_of(run, task)->flags & GRAPH_EXCLUSIVE) != 0;
        struct worker *worker = why ? NULL : pick_worker(core, class, exclusive, &why);
        if (!worker) {
            block(core, class, why);
            continue;
        }
        ready_pop(core, class);
        attempt_lease(core, worker, run, task);
    }
}

/* ---- Taking back what was prefetched ---- */

static bool take_back(struct core *core, struct worker *worker, uint32_t hand)
{
    struct run *run = core->runs.at[worker->hands.at[hand].slot];
    uint32_t task = worker->hands.at[hand].task;
    struct inst *inst = &run->insts[task];
    if (inst->state != NX_TS_LEASED || (inst->flags & INST_BACK))
        return false;
    inst->flags |= INST_BACK;
    fleet_order(worker, WIRE_GIVE_BACK, run, task);
    return true;
}

/* A class is blocked for want of a slot, and a worker holds something less urgent unstarted. */
static void make_way(struct core *core, struct class *class)
{
    struct run *run;
    uint32_t task;
    if (!ready_peek(core, class, &run, &task))
        return;
    uint64_t key = class->heap.at[0].key;
    for (size_t i = 0; i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        if (!assign_available(worker) || worker->least_urgent <= key || !assign_fits(worker, class))
            continue;
        for (uint32_t h = (uint32_t)worker->hands.n; h-- > 0;) {
            struct run *other = core->runs.at[worker->hands.at[h].slot];
            if (ready_key(other, worker->hands.at[h].task) > key && take_back(core, worker, h))
                return;
        }
    }
}

/* A worker has free slots and nothing is queued: another one's unstarted leases move to it. */
static void share(struct core *core, struct worker *idle)
{
    uint32_t wanted = idle->slots > idle->hands.n ? idle->slots - (uint32_t)idle->hands.n : 0;
    if (wanted > BACKS_A_TURN)
        wanted = BACKS_A_TURN;
    for (size_t i = 0; wanted && i < core->workers.n; i++) {
        struct worker *busy = core->workers.at[i];
        if (busy == idle || busy->hands.n <= busy->slots)
            continue;
        uint32_t spare = (uint32_t)busy->hands.n - busy->slots;
        for (uint32_t h = (uint32_t)busy->hands.n; wanted && spare && h-- > 0;) {
            const struct hand *hand = &busy->hands.at[h];
            struct run *run = core->runs.at[hand->slot];
            if ((run->insts[hand->task].flags & INST_BACK) && spare)
                spare--;
            else if (assign_fits(idle, class_of(core, run, hand->task)) &&
                     take_back(core, busy, h)) {
                wanted--;
                spare--;
            }
        }
    }
}

static void rebalance(struct core *core)
{
    for (size_t i = 0; i < core->classes.n; i++) {
        struct class *class = core->classes.at[i];
        if (class->heap.n && class->blocked == core->turn && class->why == NX_WHY_NO_SLOT)
            make_way(core, class);
    }
    for (size_t i = 0; core->workers.n > 1 && i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        if (assign_available(worker) && worker->hands.n < worker->slots)
            share(core, worker);
    }
}

/* Whether somebody still waits for the answer. */
static bool is_asked(const struct core *core, const struct core_ask *ask)
{
    struct run *run;
    const struct inst *inst = inst_find(core, ask->inst, &run);
    return inst && inst->hand == ask->number && inst->reason == NX_WHY_ASKED;
}

/* At most so many until the commit: what is left comes with the next one. */
static void emit_asks(struct core *core)
{
    while (core->n_emitted < ASKS_A_TURN && core->asks_first < core->asks.n) {
        const struct core_ask *ask = &core->asks.at[core->asks_first++];
        if (!is_asked(core, ask))
            continue; /* cancelled or cleared, perhaps turns ago */
        vec_push(&core->update->asks, *ask);
        core->n_emitted++;
    }
    if (core->asks_first == core->asks.n)
        core->asks.n = core->asks_first = 0;
}

void assign_turn(struct core *core)
{
    core->turn++;
    schedule_turn(core);
    dataset_turn(core);
    timer_turn(core);
    inst_spread(core);
    slice_turn(core);
    do {
        run_start_waiting(core);
        inst_spread(core);
    } while (core->startable.n || core->beginning.n);
    backfill_turn(core);
    emit_asks(core);
    give_away(core);
    wait_turn(core);
    rebalance(core);
    inst_spread(core);
    fleet_answer(core);
}
