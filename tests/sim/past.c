/* depends_on_past and deadlines in the simulation. */
#include "lib/base/must.h"
#include "tests/sim/sim.h"

/* ---- The run before ---- */

static bool earlier(const struct core_run_row *a, const struct core_run_row *b)
{
    return a->interval_start_ms != b->interval_start_ms
               ? a->interval_start_ms < b->interval_start_ms
               : a->interval_finish_ms < b->interval_finish_ms;
}

/* Of all that are stored or were made in this turn; false: there is none. */
static bool run_before(struct sim *sim, const struct core_run_row *row, struct core_run_row *before)
{
    bool found = false;
    struct core_run_row other;
    for (uint64_t id = 1;; id++) {
        const struct sim_run *stored = sim_run_find(sim, (struct nx_run_id){id});
        if (!core_get_run(sim->core, (struct nx_run_id){id}, &other)) {
            if (!stored)
                return found;
            other = stored->row;
        }
        if (other.version != row->version || !other.claims || !earlier(&other, row) ||
            (stored && stored->deleted))
            continue;
        if (!found || earlier(before, &other))
            *before = other;
        found = true;
    }
}

/* What became of a task of an ended run. */
static enum nx_task_state stored_state(const struct sim *sim, const struct sim_run *run,
                                       uint32_t task)
{
    static const enum nx_task_state order[] = {NX_TS_FAILED, NX_TS_UPSTREAM_FAILED, NX_TS_CANCELLED,
                                               NX_TS_SUCCESS};
    struct nx_inst_id id = {run->row.id, task, NX_MAP_NONE};
    const struct sim_inst *inst = &run->insts[sim_slot(id)];
    unsigned seen = 0;
    if (!inst->present || inst->row.state == NX_TS_WAITING)
        return NX_TS_CANCELLED;
    if (inst->row.state != NX_TS_REMOVED || !sim->graphs[run->dag]->tasks[task].map)
        return inst->row.state;
    for (id.map = 0; (uint32_t)id.map < run->lists[task]; id.map++) {
        inst = &run->insts[sim_slot(id)];
        bool says = inst->present && inst->row.state != NX_TS_WAITING;
        seen |= 1u << (says ? inst->row.state : NX_TS_CANCELLED);
    }
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (seen & 1u << order[i])
            return order[i];
    }
    return NX_TS_SKIPPED;
}

/* As the engine does; false: it waits. */
bool sim_past_lets(struct sim *sim, struct nx_inst_id id, struct core_past *past)
{
    struct core_run_row row, before = {0};
    must(core_get_run(sim->core, id.run, &row));
    if (!row.claims || !run_before(sim, &row, &before))
        return true;
    *past = (struct core_past){before.id, before.interval_start_ms, before.interval_finish_ms,
                               NX_TS_CANCELLED};
    const struct sim_run *stored = sim_run_find(sim, before.id);
    if (!core_get_task_state(sim->core, before.id, id.task, &past->state) && stored)
        past->state = stored_state(sim, stored, id.task);
    return past->state == NX_TS_SUCCESS || past->state == NX_TS_SKIPPED;
}

void sim_answer_past(struct sim *sim, const struct core_ask *ask)
{
    struct core_event event = sim_scheduler_event(sim, EV_ANSWER);
    struct core_run_row row;
    if (!core_get_run(sim->core, ask->inst.run, &row))
        return; /* its run has ended meanwhile */
    event.answer.inst = ask->inst;
    event.answer.number = ask->number;
    event.answer.answer =
        sim_past_lets(sim, ask->inst, &event.answer.past) ? CORE_TRUE : CORE_FALSE;
    sim_count(sim, event.answer.answer == CORE_TRUE ? SEEN_PAST_PASSED : SEEN_PAST_WAITED);
    sim_scheduler_step(sim, &event);
}

void oracle_past(struct sim *sim, const struct sim_run *run, const struct core_inst_row *row)
{
    struct core_past past;
    struct nx_inst_id id = row->id;
    bool decided = row->state == NX_TS_QUEUED || row->state == NX_TS_DECIDING;
    if (decided && id.map == NX_MAP_NONE &&
        (sim->graphs[run->dag]->tasks[id.task].flags & GRAPH_PAST) &&
        !sim_past_lets(sim, id, &past))
        sim_fail(sim, "what depends on its past waits for it",
                 "run %llu task %u is %s, and %s in run %llu", (unsigned long long)id.run.v,
                 id.task, nx_task_state_name(row->state), nx_task_state_name(past.state),
                 (unsigned long long)past.run.v);
}

/* ---- People who help: what failed in the run before is marked, so that all runs end ---- */

static void help_run(struct sim *sim, const struct sim_run *run)
{
    for (uint32_t t = 0; t < sim->graphs[run->dag]->n_tasks; t++) {
        struct nx_inst_id id = {run->row.id, t, NX_MAP_NONE};
        struct core_why why;
        struct core_past past;
        if (core_explain(sim->core, id, &why, 1) && why.code == NX_WHY_PAST &&
            !sim_past_lets(sim, id, &past) && nx_task_state_final(past.state)) {
            struct sim_event event = {.kind = SIM_MARK, .a = t, .b = past.run.v};
            sim_scheduler_post(sim, &event);
        }
    }
}

void sim_help(struct sim *sim)
{
    for (size_t i = 0; sim->core && i < sim->store.runs.n; i++)
        help_run(sim, sim->store.runs.at[i]);
    sim_post(sim, SIM_HELP, 2000, 0, 0, 0, NULL, 0);
}

void sim_mark(struct sim *sim, const struct sim_event *from)
{
    struct core_event event = sim_scheduler_event(sim, EV_RUN_EDIT);
    struct core_target task = {from->a, NX_MAP_NONE};
    struct sim_run *run = sim_run_find(sim, (struct nx_run_id){from->b});
    if (!run || run->deleted)
        return;
    sim_load_ended(sim, run);
    event.token = 3;
    event.edit.run.v = from->b;
    event.edit.what = CORE_MARK_SUCCESS;
    event.edit.tasks = &task;
    event.edit.n_tasks = 1;
    sim->update.edited.n = 0;
    sim_scheduler_step(sim, &event);
    for (size_t i = 0; i < sim->update.edited.n; i++)
        vec_push(&sim->edited, sim->update.edited.at[i].inst);
}

/* An ended run that nobody has in his hands in this turn. */
void sim_delete(struct sim *sim, struct nx_run_id id)
{
    struct core_event event = sim_scheduler_event(sim, EV_RUN_GONE);
    struct sim_run *run = sim_run_find(sim, id);
    struct core_run_row row;
    if (!run || run->deleted || !nx_run_state_final(run->row.state) ||
        core_get_run(sim->core, id, &row))
        return;
    run->deleted = true; /* taken back if the turn is lost */
    vec_push(&sim->deletions, id);
    sim->pause_changed = true;
    event.gone = id;
    sim_count(sim, FAULT_DELETED);
    sim_scheduler_step(sim, &event);
}

void sim_forget_deletions(struct sim *sim)
{
    for (size_t i = 0; i < sim->deletions.n; i++)
        sim_run_find(sim, sim->deletions.at[i])->deleted = false;
    sim->deletions.n = 0;
}

/* ---- Deadlines ---- */

/* A restart counts what is left by the wall clock, which may have been set back. */
void oracle_late_restart(struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        struct sim_run *run = sim->store.runs.at[i];
        int64_t latest = sim->now + sim->graphs[run->dag]->deadline_ms;
        if (run->late_by < latest)
            run->late_by = latest;
    }
}

/* Before the row is copied. */
void oracle_late_row(struct sim *sim, struct sim_run *run, const struct core_run_row *row)
{
    int64_t deadline_ms = sim->graphs[run->dag]->deadline_ms;
    if (row->deadline_ms != run->row.deadline_ms) /* it is new, or was opened again */
        run->late_by = sim->now + deadline_ms;
    if (run->row.late_ms && row->late_ms != run->row.late_ms)
        sim_fail(sim, "a run that is late stays so", "run %llu", (unsigned long long)row->id.v);
    if (row->late_ms && !sim->clock_stepped && row->late_ms < row->deadline_ms)
        sim_fail(sim, "no run is late before its deadline", "run %llu",
                 (unsigned long long)row->id.v);
}

void oracle_late(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.notices.n; i++) {
        const struct core_notice *notice = &sim->update.notices.at[i];
        if (notice->kind != CORE_LATE)
            continue;
        struct sim_run *run = sim_run_find(sim, notice->run);
        sim_count(sim, SEEN_LATE);
        if (run->n_late++ || !run->row.late_ms)
            sim_fail(sim, "that a run is late is said once, with its row", "run %llu",
                     (unsigned long long)notice->run.v);
    }
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        if (run->row.late_ms && !run->n_late)
            sim_fail(sim, "that a run is late is said", "run %llu",
                     (unsigned long long)run->row.id.v);
        if (run->row.deadline_ms && !run->row.late_ms && sim->now > run->late_by &&
            !nx_run_state_final(run->row.state))
            sim_fail(sim, "a run that has not ended by its deadline is late", "run %llu",
                     (unsigned long long)run->row.id.v);
    }
}
