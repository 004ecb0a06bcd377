/* Invariants, and a digest of what must survive a restart. */
#include "lib/base/mem.h"
#include "scheduler/core/state.h"

static const char *check_counters(const struct run *run)
{
    uint32_t counts[NX_TASK_STATES] = {0}, left = 0, normal = 0;
    for (uint32_t i = 0; i < run->n_insts; i++) {
        const struct inst *inst = &run->insts[i];
        counts[inst->state] += !stands_aside(run, i);
        if (!nx_task_state_final(inst->state)) {
            left++;
            normal += !(task_of(run, i)->flags & GRAPH_FINALLY);
        }
    }
    for (int s = 0; s < NX_TASK_STATES; s++) {
        if (counts[s] != run->counts[s])
            return "a run's counts by state are those of its instances";
    }
    if (left != run->n_left || normal != run->n_normal_left)
        return "a run knows how many instances are left";
    return NULL;
}

/* The instances of each task: of[first[task]] and on, up to first[task + 1]. */
struct by_task {
    uint32_t *first, *of;
};

static struct by_task sort_insts(const struct run *run)
{
    uint32_t n_tasks = run->version->graph->n_tasks;
    struct by_task all = {mem_alloc_array(n_tasks + 2, sizeof *all.first),
                          mem_alloc_array(run->n_insts, sizeof *all.of)};
    for (uint32_t i = 0; i < run->n_insts; i++)
        all.first[task_at(run, i) + 2]++;
    for (uint32_t t = 0; t < n_tasks; t++)
        all.first[t + 2] += all.first[t + 1];
    for (uint32_t i = 0; i < run->n_insts; i++)
        all.of[all.first[task_at(run, i) + 1]++] = i;
    return all;
}

static void free_sorted(struct by_task *all)
{
    mem_free(all->first);
    mem_free(all->of);
}

struct tally {
    uint32_t success, failed, skipped;
    bool self;
};

/* All instances of the upstream task but the removed ones, or that of one index. */
static void add_upstream(const struct run *run, uint32_t at, uint32_t up, const struct by_task *all,
                         struct tally *tally)
{
    uint32_t task = task_at(run, at);
    bool together = map_at(run, at) >= 0 && graph_mapped_together(run->version->graph, task, up);
    for (uint32_t k = all->first[up]; k < all->first[up + 1]; k++) {
        uint32_t i = all->of[k];
        if (together && map_at(run, i) >= 0 && map_at(run, i) != map_at(run, at))
            continue;
        enum nx_task_state state = choice_seen(run, i, task);
        bool self = state == NX_TS_FAILED || state == NX_TS_CANCELLED;
        tally->success += state == NX_TS_SUCCESS;
        tally->skipped += state == NX_TS_SKIPPED;
        tally->failed += self || state == NX_TS_UPSTREAM_FAILED;
        tally->self = tally->self || self;
    }
}

static const char *check_upstream(const struct run *run, uint32_t at, const struct by_task *all)
{
    const struct graph *graph = run->version->graph;
    const struct inst *inst = &run->insts[at];
    uint32_t task = task_at(run, at);
    struct tally tally = {0};
    for (uint32_t j = 0; j < graph->tasks[task].n_up; j++)
        add_upstream(run, at, graph_up(graph, task)[j], all, &tally);
    if (inst->state == NX_TS_REMOVED || mapped_is_out(run, at))
        return NULL;
    if (tally.self != ((inst->flags & INST_UP_SELF) != 0))
        return "an instance knows whether one of its upstream failed itself";
    if (tally.success != inst->up_success || tally.failed != inst->up_failed ||
        tally.skipped != inst->up_skipped)
        return "an instance's upstream counts are those of its upstream";
    return NULL;
}

static bool has_timer(const struct core *core, const struct run *run, uint32_t task)
{
    for (size_t i = 0; i < core->timers.n; i++) {
        const struct timer *timer = &core->timers.at[i];
        if (timer->kind == TIMER_INST && timer->a == run->slot && timer->b == task &&
            timer->due_mono == run->insts[task].due_mono)
            return true;
    }
    return false;
}

static const char *check_inst(const struct core *core, const struct run *run, uint32_t task,
                              const struct by_task *all)
{
    const struct inst *inst = &run->insts[task];
    bool held = inst->state == NX_TS_LEASED || inst->state == NX_TS_RUNNING ||
                inst->state == NX_TS_STOPPING;
    if (held != ((inst->flags & INST_HELD) != 0))
        return "exactly the leased, running and stopping instances are held";
    if (held) {
        const struct worker *worker = fleet_find(core, inst->worker);
        if (!worker || inst->hand >= worker->hands.n ||
            worker->hands.at[inst->hand].slot != run->slot ||
            worker->hands.at[inst->hand].task != task)
            return "a held instance is in its worker's hands";
    }
    if (inst->state == NX_TS_QUEUED && !(inst->flags & INST_READY) && mapped_admitted(run, task))
        return "a queued instance is in a ready queue";
    if (inst->state == NX_TS_DEFERRED) {
        const struct wait *wait = inst->hand < core->waits.n ? wait_of(core, inst) : NULL;
        if (!wait || !wait->used || wait->slot != run->slot || wait->task != task)
            return "a deferred instance knows what it waits for";
    }
    if (inst->state == NX_TS_RETRYING && !has_timer(core, run, task))
        return "a retrying instance has a timer";
    return run->rest ? NULL : check_upstream(run, task, all); /* counted when all is done */
}

static const char *check_pools(const struct core *core)
{
    size_t held = 0;
    int64_t *used = mem_alloc_array(core->pools.n, sizeof *used);
    for (size_t w = 0; w < core->workers.n; w++) {
        const struct worker *worker = core->workers.at[w];
        held += worker->hands.n;
        for (size_t h = 0; h < worker->hands.n; h++) {
            const struct hand *hand = &worker->hands.at[h];
            const struct class *class = class_of(core, core->runs.at[hand->slot], hand->task);
            for (size_t p = 0; p < core->pools.n; p++) {
                if (core->pools.at[p].value == class->pool)
                    used[p] += class->needs.pool_slots;
            }
        }
    }
    const char *broken = NULL;
    for (size_t p = 0; p < core->pools.n; p++) {
        const struct pool *pool = core->pools.at[p].value;
        if (pool->used != used[p])
            broken = "a pool's used slots are those of the instances that hold it";
    }
    mem_free(used);
    return broken;
}

static const char *check_limits(const struct core *core)
{
    for (size_t l = 0; l < core->limits.n; l++) {
        const struct limit *limit = core->limits.at[l].value;
        uint32_t used = 0, most = UINT32_MAX;
        for (size_t w = 0; w < core->workers.n; w++) {
            for (size_t h = 0; h < core->workers.at[w]->hands.n; h++) {
                const struct hand *hand = &core->workers.at[w]->hands.at[h];
                used += class_of(core, core->runs.at[hand->slot], hand->task)->limit == limit;
            }
        }
        for (size_t r = 0; r < core->runs.n; r++) {
            const struct version *version = core->runs.at[r] ? core->runs.at[r]->version : NULL;
            for (uint32_t i = 0; version && i < version->graph->n_classes; i++) {
                const struct class *class = core->classes.at[version->class_of[i]];
                if (class->limit == limit && class->needs.concurrency_limit < most)
                    most = class->needs.concurrency_limit;
            }
        }
        if (limit->used != used)
            return "what is used of a concurrency key is what is held of it";
        if (limit->most != most)
            return "the smallest limit of a concurrency key counts";
    }
    return NULL;
}

static const char *check_slots(const struct core *core)
{
    for (size_t w = 0; w < core->workers.n; w++) {
        const struct worker *worker = core->workers.at[w];
        size_t most = worker->slots + NX_PREFETCH_MAX;
        if (worker->known && worker->hands.n > most)
            return "a worker holds no more leases than slots and prefetch allow";
    }
    return NULL;
}

/* Of a map with max_parallel: who is admitted, and that nobody waits without need. */
static const char *check_maps(const struct run *run)
{
    const struct graph *graph = run->version->graph;
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        const struct mapping *mapping = &run->mappings[m];
        uint32_t n_admitted = 0, n_left_out = 0;
        for (uint32_t i = 0; graph->maps[m].max_parallel && i < mapping->open.n; i++) {
            uint32_t open = 0;
            for (uint32_t at = graph->n_tasks; at < run->n_insts; at++)
                open += task_of(run, at)->map == m + 1 && (uint32_t)map_at(run, at) == i &&
                        !nx_task_state_final(run->insts[at].state);
            if (open != mapping->open.at[i])
                return "a map knows how many instances of an index are left";
            n_admitted += mapping->admitted.at[i];
            n_left_out += open && !mapping->admitted.at[i];
        }
        if (n_admitted != mapping->n_admitted)
            return "a map knows how many indexes are in progress";
        if (n_admitted > graph->maps[m].max_parallel)
            return "a map has no more indexes in progress than it may";
        if (n_left_out && n_admitted < graph->maps[m].max_parallel)
            return "no index waits while fewer than max_parallel are in progress";
    }
    return NULL;
}

/* Looks of a deferred instance are in exactly one place: due, on a worker, or at a known time. */
static const char *check_pokes(const struct core *core)
{
    size_t used = 0, on_workers = 0, under_way = 0;
    for (size_t i = 0; i < core->waits.n; i++) {
        const struct wait *wait = &core->waits.at[i];
        if (!wait->used)
            continue;
        const struct run *run = core->runs.at[wait->slot];
        used++;
        if (!run || run->insts[wait->task].state != NX_TS_DEFERRED)
            return "what is waited for is an instance's that is deferred";
        under_way += wait->poke != 0;
        bool timed = run->insts[wait->task].due_mono != 0;
        if (task_of(run, wait->task)->wait == GRAPH_WAIT_POKE &&
            (wait->poke != 0) + wait->queued + timed != 1)
            return "what is looked for is looked for now, soon or at a known time";
    }
    for (size_t w = 0; w < core->workers.n; w++) {
        on_workers += core->workers.at[w]->pokes.n;
        if (core->workers.at[w]->pokes.n > NX_POKES_IN_HAND)
            return "a worker has no more looks in hand than it may";
    }
    if (used + core->free_waits.n != core->waits.n || on_workers != under_way)
        return "waits and looks add up";
    return NULL;
}

/* Who counts against max_active_runs. */
static const char *check_active(const struct core *core)
{
    size_t active = 0, counted = 0;
    for (size_t r = 0; r < core->runs.n; r++) {
        const struct run *run = core->runs.at[r];
        active +=
            run && !run->backfill && (run->state == NX_RS_RUNNING || run->state == NX_RS_STOPPING);
    }
    for (size_t i = 0; i < core->dags.n; i++)
        counted += ((const struct dag *)core->dags.at[i].value)->n_active;
    return active == counted ? NULL : "the active runs of the DAGs are those that run or stop";
}

const char *core_check(const struct core *core)
{
    size_t held = 0, hands = 0;
    for (size_t r = 0; r < core->runs.n; r++) {
        const struct run *run = core->runs.at[r];
        if (!run)
            continue;
        const char *broken = check_counters(run);
        broken = broken ? broken : check_maps(run);
        broken = broken ? broken : past_check(core, run);
        struct by_task all = sort_insts(run);
        for (uint32_t i = 0; !broken && i < run->n_insts; i++) {
            broken = check_inst(core, run, i, &all);
            held += (run->insts[i].flags & INST_HELD) != 0;
        }
        free_sorted(&all);
        if (broken)
            return broken;
    }
    for (size_t w = 0; w < core->workers.n; w++)
        hands += core->workers.at[w]->hands.n;
    if (held != hands)
        return "every lease in a worker's hands is held by exactly one instance";
    const char *broken = check_pools(core);
    broken = broken ? broken : check_pokes(core);
    broken = broken ? broken : check_limits(core);
    broken = broken ? broken : check_active(core);
    return broken ? broken : check_slots(core);
}

static void mix(uint64_t *digest, uint64_t v)
{
    *digest = hash_u64(*digest * 31 + v);
}

static uint64_t digest_inst(const struct core *core, const struct run *run, uint32_t at)
{
    const struct inst *inst = &run->insts[at];
    uint64_t digest = hash_u64((uint64_t)task_at(run, at) << 32 | (uint32_t)map_at(run, at));
    mix(&digest, inst->state);
    mix(&digest, (uint64_t)inst->attempt << 32 | inst->lease);
    mix(&digest, (uint64_t)inst->failures << 32 | inst->losses);
    mix(&digest, inst->leases_lost);
    mix(&digest, inst->flags & (INST_HELD | INST_ANSWERED));
    mix(&digest, inst->flags & INST_HELD ? inst->worker : 0);
    if (inst->state == NX_TS_DEFERRED) {
        mix(&digest, (uint64_t)wait_of(core, inst)->due_wall);
        mix(&digest, wait_of(core, inst)->child.v);
        mix(&digest, (uint64_t)inst->started_ms);
    }
    if (run->rest || inst->state == NX_TS_REMOVED || mapped_is_out(run, at))
        return digest; /* nothing is counted, or not before all is done */
    mix(&digest, inst->flags & INST_UP_SELF);
    mix(&digest, inst->up_success);
    mix(&digest, (uint64_t)inst->up_failed << 32 | inst->up_skipped);
    return digest;
}

static uint64_t digest_run(const struct core *core, const struct run *run)
{
    uint64_t digest = run->id.v;
    mix(&digest, run->state);
    mix(&digest, run->cause);
    mix(&digest, run->version->id);
    mix(&digest, run->backfill << 1 | (run->finally_begun && !run->rest));
    if (!run->rest)
        mix(&digest, (uint64_t)run->leaf_failed << 1 | run->finally_failed);
    mix(&digest, (uint64_t)run->created_ms);
    mix(&digest, (uint64_t)run->started_ms);
    mix(&digest, run->parent.run.v << 8 | run->depth);
    mix(&digest, (uint64_t)run->deadline_ms << 1 | run->claims);
    mix(&digest, (uint64_t)run->late_ms);
    mix(&digest, run->rest != NULL);
    if (run->state == NX_RS_STOPPING)
        mix(&digest, run->reason);
    for (uint32_t i = 0; i < run->version->graph->n_maps; i++)
        mix(&digest, run->mappings[i].n);
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (run->rest && inst_rowless(&run->insts[i]))
            continue; /* cancelled, or cleared from that: it is cleared again after a restart */
        digest += digest_inst(core, run, i); /* the order of mapped ones is that of their making */
    }
    return digest;
}

static uint64_t digest_text(const char *text, uint64_t seed)
{
    return hash_bytes(text, __builtin_strlen(text), seed);
}

/* Versions, and how far schedules have used them. */
static uint64_t digest_datasets(const struct core *core)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < core->datasets.n; i++) {
        const struct dataset *dataset = core->datasets.at[i].value;
        if (dataset->version)
            digest += digest_text(dataset->name, dataset->version);
    }
    for (size_t i = 0; i < core->dags.n; i++) {
        const struct dag *dag = core->dags.at[i].value;
        for (size_t k = 0; dag->timetable && k < dag->marks.n; k++) {
            const struct mark *mark = &dag->marks.at[k];
            for (size_t u = 0; u < mark->n_uses; u++)
                digest += digest_text(mark->uses[u].dataset,
                                      digest_text(mark->key, mark->uses[u].version));
        }
    }
    return digest;
}

uint64_t core_digest(const struct core *core)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < core->runs.n; i++) {
        if (core->runs.at[i])
            digest += digest_run(core, core->runs.at[i]);
    }
    for (size_t i = 0; i < core->pools.n; i++) {
        const struct pool *pool = core->pools.at[i].value;
        if (pool->used)
            digest += hash_bytes(pool->name, __builtin_strlen(pool->name), (uint64_t)pool->used);
    }
    for (size_t i = 0; i < core->dags.n; i++) {
        const struct dag *dag = core->dags.at[i].value;
        if (dag->n_active)
            digest += hash_bytes(dag->id, __builtin_strlen(dag->id), dag->n_active);
    }
    digest += digest_datasets(core);
    for (size_t i = 0; i < core->workers.n; i++) {
        const struct worker *worker = core->workers.at[i];
        digest += hash_u64(worker->incarnation + worker->number + worker->hands.n);
    }
    return digest;
}
