/* Backfills in the simulation, DAGs whose file goes and comes back, and what must hold of them. */
#include "lib/base/must.h"
#include "tests/sim/sim.h"

/* ---- What people do ---- */

void sim_plan_backfills(struct sim *sim)
{
    bool many = sim->config.crash_commit != 0; /* runs of one seed */
    uint32_t n = sim_chance(sim, 1, many ? 4 : 2) ? (uint32_t)sim_between(sim, 1, 2) : 0;
    for (uint32_t i = 0; i < n; i++)
        sim_post(sim, SIM_BACKFILL, sim_between(sim, 100, 9000),
                 (uint32_t)rng_below(&sim->rng, SIM_DAGS), rng_below(&sim->rng, 1u << 30), 0, NULL,
                 0);
    sim->backfills_wanted = n;
}

/* Runs that have ended and claim their interval, oldest interval first, are done again. */
static void add_former(const struct sim *sim, uint32_t dag, struct sim_backfill *backfill)
{
    for (size_t i = 0; i < sim->store.runs.n && backfill->n_items < 2; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        struct core_run_row row;
        if (run->dag == dag && run->row.claims && !run->deleted &&
            nx_run_state_final(run->row.state) && !core_get_run(sim->core, run->row.id, &row))
            backfill->items[backfill->n_items++].item = (struct core_backfill_item){
                run->row.interval_start_ms, run->row.interval_finish_ms, run->row.id};
    }
}

void sim_begin_backfill(struct sim *sim, const struct sim_event *from)
{
    struct core_event event = sim_scheduler_event(sim, EV_BACKFILL);
    struct core_backfill_item items[SIM_ITEMS_MAX];
    struct sim_backfill backfill = {.dag = from->a, .max_active = 1 + (from->b & 1)};
    int64_t base = 900000000000 + (int64_t)sim->backfills.n * 1000000;
    uint32_t n = 1 + (uint32_t)(from->b >> 1) % (SIM_ITEMS_MAX - 2);
    if ((from->b >> 8) % 3 == 0)
        add_former(sim, from->a, &backfill);
    for (uint32_t i = 0; i < n; i++)
        backfill.items[backfill.n_items++].item =
            (struct core_backfill_item){base + i * 1000, base + i * 1000 + 1000, {0}};
    for (uint32_t i = 0; i < backfill.n_items; i++)
        items[i] = backfill.items[i].item;
    vec_push(&sim->backfills, backfill);
    const struct core_backfill plan = {.id = sim->backfills.n,
                                       .dag = sim->graphs[from->a]->dag_id,
                                       .max_active = backfill.max_active,
                                       .items = items,
                                       .n_items = backfill.n_items};
    event.backfill = &plan;
    sim_count(sim, SEEN_BACKFILL);
    sim_scheduler_step(sim, &event);
}

void sim_change_backfill(struct sim *sim, const struct sim_event *from)
{
    struct core_event event = sim_scheduler_event(sim, EV_BACKFILL_CHANGE);
    if (from->a >= sim->backfills.n)
        return;
    event.backfill_change.id = from->a + 1;
    event.backfill_change.state = (enum core_backfill_state)from->b;
    sim_count(sim, FAULT_BACKFILL_CHANGED);
    sim_scheduler_step(sim, &event);
}

void sim_dag_gone(struct sim *sim, uint32_t dag, bool gone)
{
    struct core_event event = sim_scheduler_event(sim, gone ? EV_DAG_GONE : EV_DAG);
    if (sim->gone[dag] == gone)
        return;
    sim->gone[dag] = gone;
    sim->pause_changed = true;
    sim_count(sim, FAULT_DAG_GONE);
    if (gone) {
        event.dag_gone = sim->graphs[dag]->dag_id;
    } else {
        event.dag.version = SIM_VERSION_BASE + dag;
        event.dag.graph = sim->graphs[dag];
    }
    sim_scheduler_step(sim, &event);
}

/* ---- What the engine does ---- */

static bool still_due(const struct sim *sim, const struct core_due *due)
{
    enum core_backfill_state state;
    enum nx_reason reason;
    size_t next;
    return core_get_backfill(sim->core, due->backfill, &state, &reason, &next) &&
           due->position < next;
}

static void reprocess(struct sim *sim, const struct core_due *due)
{
    struct core_event event = sim_scheduler_event(sim, EV_RUN_EDIT);
    event.token = 3;
    event.edit.run = due->run;
    event.edit.what = CORE_CLEAR;
    event.edit.backfill = due->backfill;
    sim_load_ended(sim, sim_run_find(sim, due->run));
    sim->update.edited.n = 0;
    sim_scheduler_step(sim, &event);
    for (size_t i = 0; i < sim->update.edited.n; i++)
        vec_push(&sim->edited, sim->update.edited.at[i].inst);
    sim_count(sim, SEEN_REPROCESSED);
}

void sim_answer_backfill(struct sim *sim, const struct core_due *due)
{
    struct sim_backfill *backfill = &sim->backfills.at[due->backfill - 1];
    if (!still_due(sim, due))
        return;
    if (backfill->items[due->position].begun)
        sim_fail(sim, "an item of a backfill begins once", "item %zu of backfill %llu",
                 due->position, (unsigned long long)due->backfill);
    struct core_event event = sim_scheduler_event(sim, EV_RUN_CREATE);
    if (due->run.v) {
        backfill->items[due->position].begun = true;
        if (!sim_run_find(sim, due->run)->deleted)
            reprocess(sim, due);
        return;
    }
    event.token = 3;
    event.create.dag = due->dag;
    event.create.cause = NX_RC_BACKFILL;
    event.create.backfill = due->backfill;
    event.create.interval_start_ms = due->start_ms;
    event.create.interval_finish_ms = due->finish_ms;
    event.create.claims = true;
    sim_scheduler_step(sim, &event);
    const struct core_reply *reply = &sim->update.replies.at[sim->update.replies.n - 1];
    if (reply->err.code == NX_OK) {
        backfill->items[due->position].begun = true;
        backfill->items[due->position].run = reply->run;
        return;
    }
    event = sim_scheduler_event(sim, EV_BACKFILL_STUCK);
    event.backfill_stuck.id = due->backfill;
    event.backfill_stuck.position = due->position;
    event.backfill_stuck.reason = NX_WHY_DAG_GONE;
    sim_count(sim, SEEN_BACKFILL_STUCK);
    sim_scheduler_step(sim, &event);
}

/* ---- The store ---- */

void sim_commit_backfills(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.backfills.n; i++) {
        uint64_t id = sim->update.backfills.at[i];
        struct sim_backfill *backfill = &sim->backfills.at[id - 1];
        must(
            core_get_backfill(sim->core, id, &backfill->state, &backfill->reason, &backfill->next));
    }
    sim->store.backfills.n = 0;
    for (size_t i = 0; i < sim->backfills.n; i++)
        vec_push(&sim->store.backfills, sim->backfills.at[i]);
    for (uint32_t i = 0; i < SIM_DAGS; i++)
        sim->store.gone[i] = sim->gone[i];
}

/* What a scheduler that starts knows: what was committed. */
void sim_reload_backfills(struct sim *sim)
{
    sim->backfills.n = 0;
    for (size_t i = 0; i < sim->store.backfills.n; i++)
        vec_push(&sim->backfills, sim->store.backfills.at[i]);
    for (uint32_t i = 0; i < SIM_DAGS; i++)
        sim->gone[i] = sim->store.gone[i];
}

void sim_load_backfills(const struct sim *sim, struct core *core)
{
    for (size_t i = 0; i < sim->store.backfills.n; i++) {
        const struct sim_backfill *backfill = &sim->store.backfills.at[i];
        struct core_backfill_item items[SIM_ITEMS_MAX];
        if (sim_backfill_ended(backfill))
            continue;
        for (uint32_t k = 0; k < backfill->n_items; k++)
            items[k] = backfill->items[k].item;
        const struct core_backfill from = {.id = i + 1,
                                           .dag = sim->graphs[backfill->dag]->dag_id,
                                           .max_active = backfill->max_active,
                                           .state = backfill->state,
                                           .reason = backfill->reason,
                                           .items = items,
                                           .n_items = backfill->n_items,
                                           .next = backfill->next};
        core_load_backfill(core, &from);
    }
}

/* ---- The oracle ---- */

static void check_one(struct sim *sim, uint64_t id, const struct sim_backfill *backfill)
{
    uint32_t active = 0, begun = 0;
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        active += run->row.backfill == id && !nx_run_state_final(run->row.state);
    }
    for (uint32_t i = 0; i < backfill->n_items; i++)
        begun += backfill->items[i].begun;
    if (active > backfill->max_active)
        sim_fail(sim, "max_active of a backfill holds", "%u runs of backfill %llu", active,
                 (unsigned long long)id);
    if (begun != backfill->next)
        sim_fail(sim, "what a backfill has passed has begun", "%u of %zu items of backfill %llu",
                 begun, backfill->next, (unsigned long long)id);
    if (backfill->state == CORE_BACKFILL_DONE && (active || begun != backfill->n_items))
        sim_fail(sim, "a backfill is done when all its runs have ended", "backfill %llu",
                 (unsigned long long)id);
}

static bool same_needs(const struct graph_class *a, const struct graph_class *b)
{
    return str_eq(a->queue, b->queue) && str_eq(a->pool, b->pool) &&
           str_eq(a->concurrency, b->concurrency) && a->concurrency_limit == b->concurrency_limit &&
           a->pool_slots == b->pool_slots && a->script == b->script;
}

/* Of a live run, not mapped, queued for as long as the last commit, as urgent, with the same needs.
 */
static bool passed_over(struct sim *sim, const struct graph_class *needs, int32_t priority)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        const struct graph *graph = sim->graphs[run->dag];
        for (uint32_t t = 0; !run->row.backfill && t < graph->n_tasks; t++) {
            struct core_inst_row row;
            struct nx_inst_id id = {run->row.id, t, NX_MAP_NONE};
            if (run->insts[sim_slot(id)].was_queued && graph->tasks[t].priority >= priority &&
                same_needs(needs, &graph->classes[graph->tasks[t].class_index]) &&
                core_get_inst(sim->core, id, &row) && row.state == NX_TS_QUEUED)
                return true;
        }
    }
    return false;
}

static void check_live_first(struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        const struct graph *graph = sim->graphs[run->dag];
        for (uint32_t slot = 0; run->row.backfill && slot < SIM_SLOTS_MAX; slot++) {
            uint32_t task = sim_at_slot(run->row.id, slot).task;
            if (task >= graph->n_tasks)
                break;
            const struct graph_task *spec = &graph->tasks[task];
            if (!spec->wait && run->insts[slot].leased_commit == sim->n_commits &&
                passed_over(sim, &graph->classes[spec->class_index], spec->priority))
                sim_fail(sim, "a backfill never goes before live runs", "run %llu %s",
                         (unsigned long long)run->row.id.v, spec->id);
        }
    }
}

static void note_queued(struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        struct sim_run *run = sim->store.runs.at[i];
        for (uint32_t t = 0; t < sim->graphs[run->dag]->n_tasks; t++) {
            struct core_inst_row row;
            struct nx_inst_id id = {run->row.id, t, NX_MAP_NONE};
            run->insts[sim_slot(id)].was_queued =
                core_get_inst(sim->core, id, &row) && row.state == NX_TS_QUEUED;
        }
    }
}

void oracle_backfills(struct sim *sim)
{
    if (!sim->store.backfills.n)
        return;
    for (size_t i = 0; i < sim->store.backfills.n; i++)
        check_one(sim, i + 1, &sim->store.backfills.at[i]);
    check_live_first(sim);
    note_queued(sim);
}
