/* The core's rows, for the store and for readers. */
#include "lib/base/must.h"
#include "scheduler/core/state.h"

static int64_t wall_of(const struct core *core, int64_t mono_ms)
{
    return mono_ms ? core->wall_ms + (mono_ms - core->mono_ms) : 0;
}

bool core_get_inst(const struct core *core, struct nx_inst_id id, struct core_inst_row *row)
{
    struct run *run;
    const struct inst *inst = inst_find(core, id, &run);
    if (!inst)
        return false;
    *row = (struct core_inst_row){
        .id = id,
        .state = inst->state,
        .reason = inst->reason,
        .answered = (inst->flags & INST_ANSWERED) != 0,
        .attempt = inst->attempt,
        .lease = inst->lease,
        .failures = inst->failures,
        .losses = inst->losses,
        .leases_lost = inst->leases_lost,
        .worker = inst->worker,
        .due_ms = inst->state == NX_TS_RETRYING   ? wall_of(core, inst->due_mono)
                  : inst->state == NX_TS_DEFERRED ? wait_of(core, inst)->due_wall
                                                  : 0,
        .ready_ms = inst->ready_ms,
        .started_ms = inst->started_ms,
        .finished_ms = inst->finished_ms,
    };
    const struct left_out *out = choice_of(run, inst_index(run, inst));
    if (out) {
        row->left_out = out->tasks;
        row->n_left_out = out->n;
    }
    return true;
}

bool core_get_run(const struct core *core, struct nx_run_id id, struct core_run_row *row)
{
    const struct run *run = run_find(core, id);
    if (!run)
        return false;
    *row = (struct core_run_row){
        .id = id,
        .dag = run->dag->id,
        .version = run->version->id,
        .state = run->state,
        .cause = run->cause,
        .reason = run->reason,
        .backfill = run->backfill,
        .parent = run->parent,
        .depth = run->depth,
        .claims = run->claims,
        .deadline_ms = run->deadline_ms,
        .late_ms = run->late_ms,
        .interval_start_ms = run->interval_start_ms,
        .interval_finish_ms = run->interval_finish_ms,
        .created_ms = run->created_ms,
        .started_ms = run->started_ms,
        .finished_ms = run->finished_ms,
        .moved = run->moved,
    };
    for (int i = 0; i < NX_TASK_STATES; i++)
        row->counts[i] = run->counts[i];
    return true;
}

bool core_get_task_state(const struct core *core, struct nx_run_id id, uint32_t task,
                         enum nx_task_state *state)
{
    const struct run *run = run_find(core, id);
    if (!run)
        return false;
    must(task < run->version->graph->n_tasks);
    *state = mapped_state(run, task);
    return true;
}

bool core_get_worker(const struct core *core, uint32_t number, struct core_worker_row *row)
{
    const struct worker *worker = fleet_find(core, number);
    if (!worker)
        return false;
    *row =
        (struct core_worker_row){number,        worker->id,  worker->incarnation,
                                 worker->drain, worker->ipc, worker->owned ? worker->token : NULL};
    return true;
}

uint32_t core_get_list(const struct core *core, struct nx_run_id id, uint32_t task)
{
    const struct run *run = run_find(core, id);
    const struct mapping *mapping = run ? mapping_of(run, task) : NULL;
    return mapping ? mapping->n : 0;
}

const struct graph *core_run_graph(const struct core *core, struct nx_run_id id)
{
    const struct run *run = run_find(core, id);
    return run ? run->version->graph : NULL;
}

const struct core_order *core_orders(const struct core *core, uint32_t number, uint64_t seen,
                                     size_t *n)
{
    const struct worker *worker = fleet_find(core, number);
    size_t first = worker ? worker->orders_first : 0, end = worker ? worker->orders.n : 0;
    while (first < end && worker->orders.at[first].number <= seen)
        first++;
    *n = end - first;
    return *n ? &worker->orders.at[first] : NULL;
}

static uint32_t count_running(const struct core *core, const struct worker *worker)
{
    uint32_t n = 0;
    for (size_t i = 0; i < worker->hands.n; i++) {
        const struct hand *hand = &worker->hands.at[i];
        n += core->runs.at[hand->slot]->insts[hand->task].state == NX_TS_RUNNING;
    }
    return n;
}

int64_t core_lease_ttl_ms(const struct core *core, bool elsewhere)
{
    const struct core_config *config = &core->config;
    int64_t alive_ms = elsewhere ? config->lost_after_tcp_ms : config->lost_after_ipc_ms;
    return alive_ms > config->lease_ttl_ms ? alive_ms : config->lease_ttl_ms;
}

bool core_view_worker(const struct core *core, size_t i, struct core_worker_view *view)
{
    if (i >= core->workers.n)
        return false;
    const struct worker *worker = core->workers.at[i];
    enum core_worker_state state = worker->lost                       ? CORE_LOST
                                   : !worker->known                   ? CORE_OFFLINE
                                   : worker->drain || worker->leaving ? CORE_DRAINING
                                                                      : CORE_ONLINE;
    *view = (struct core_worker_view){
        .id = worker->id,
        .host = worker->host,
        .version = worker->version,
        .queues = worker->queues,
        .address = worker->address,
        .state = state,
        .number = worker->number,
        .pid = worker->pid,
        .slots = worker->slots,
        .gpus = worker->gpus,
        .memory_bytes = worker->memory_bytes,
        .catalog_fits = worker->catalog_fits,
        .n_leases = (uint32_t)worker->hands.n,
        .n_running = count_running(core, worker),
        .prefetch = worker->depth,
        .seen_ms = worker->last_wall,
    };
    return true;
}

bool core_view_hand(const struct core *core, size_t i, size_t k, struct nx_inst_id *id,
                    enum nx_task_state *state)
{
    if (i >= core->workers.n || k >= core->workers.at[i]->hands.n)
        return false;
    const struct hand *hand = &core->workers.at[i]->hands.at[k];
    const struct run *run = core->runs.at[hand->slot];
    *id = inst_id(run, hand->task);
    *state = run->insts[hand->task].state;
    return true;
}

bool core_view_pool(const struct core *core, size_t i, struct core_pool_view *view)
{
    if (i >= core->pools.n)
        return false;
    const struct pool *pool = core->pools.at[i].value;
    *view = (struct core_pool_view){pool->name, pool->slots, pool->used};
    return true;
}

bool core_pool_named(const struct core *core, size_t i)
{
    const struct pool *pool = core->pools.at[i].value;
    for (size_t k = 0; pool->slots < 0 && k < core->classes.n; k++) {
        if (core->classes.at[k]->pool == pool)
            return true;
    }
    return pool->slots >= 0;
}

uint32_t core_pool_waiting(const struct core *core, size_t i)
{
    uint32_t n = 0;
    must(i < core->pools.n);
    for (size_t k = 0; k < core->classes.n; k++) {
        const struct class *class = core->classes.at[k];
        if (class->pool == core->pools.at[i].value)
            n += ready_count(core, class);
    }
    return n;
}

void core_view_queue(const struct core *core, size_t i, struct core_queue_view *view)
{
    const struct pool *pool = i == CORE_NO_POOL ? NULL : core->pools.at[i].value;
    *view = (struct core_queue_view){0};
    for (size_t k = 0; k < core->classes.n; k++) {
        const struct class *class = core->classes.at[k];
        if (class->pool != pool)
            continue;
        int64_t oldest = ready_oldest_ms(core, class);
        view->n += ready_count(core, class);
        if (oldest && (!view->oldest_ms || oldest < view->oldest_ms))
            view->oldest_ms = oldest;
    }
}

void core_count_tasks(const struct core *core, uint64_t counts[NX_TASK_STATES])
{
    for (int state = 0; state < NX_TASK_STATES; state++)
        counts[state] = 0;
    for (size_t i = 0; i < core->run_slots.n; i++) {
        const struct run *run = core->run_slots.at[i].value;
        for (int state = 0; state < NX_TASK_STATES; state++)
            counts[state] += run->counts[state];
    }
}

int core_progress(const struct core *core, struct nx_inst_id id, const char **text)
{
    struct run *run;
    const struct inst *inst = inst_find(core, id, &run);
    *text = NULL;
    if (!inst || !(inst->flags & INST_HELD))
        return -1;
    const struct hand *hand = &fleet_find(core, inst->worker)->hands.at[inst->hand];
    *text = hand->text;
    return hand->progress <= 1000 ? hand->progress : -1;
}

size_t core_run_bytes(const struct core *core, struct nx_run_id id)
{
    const struct run *run = run_find(core, id);
    if (!run)
        return 0;
    const struct graph *graph = run->version->graph;
    size_t bytes = sizeof *run + run->cap_insts * sizeof *run->insts +
                   run->places.cap * sizeof *run->places.at +
                   graph->n_maps * sizeof *run->mappings +
                   graph->n_map_tasks * sizeof *run->members;
    for (uint32_t i = 0; i < graph->n_map_tasks; i++)
        bytes += run->members[i].at.cap * sizeof *run->members[i].at.at;
    for (size_t i = 0; i < core->classes.n; i++)
        bytes += core->classes.at[i]->heap.cap * sizeof *core->classes.at[i]->heap.at;
    bytes += core->waits.cap * sizeof *core->waits.at + core->walls.cap * sizeof *core->walls.at +
             core->pokes.cap * sizeof *core->pokes.at;
    return bytes + core->timers.cap * sizeof *core->timers.at +
           core->spread.cap * sizeof *core->spread.at;
}

bool core_wants_run(const struct core *core, const struct core_start *start)
{
    return wait_wants_run(core, start);
}

size_t core_active_runs(const struct core *core)
{
    return core->run_slots.n;
}

uint64_t core_moves(const struct core *core, enum nx_task_state from, enum nx_task_state to)
{
    must(from < NX_TASK_STATES && to < NX_TASK_STATES);
    return core->moves[from][to];
}
