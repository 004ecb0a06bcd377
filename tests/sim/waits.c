/* Waiting without a slot in the simulated world: people who answer, runs that tasks start, looks of
 * workers; and what must hold of those who wait. */
#include "lib/base/must.h"
#include "tests/sim/sim.h"

#define RUNS_MAX 60

void sim_random_wait(struct sim *sim, struct graph_task_def *def)
{
    def->wait = (enum graph_wait)sim_between(sim, GRAPH_WAIT_FOR, GRAPH_WAIT_CHOICE);
    def->every_ms = sim_between(sim, 100, 2000);
    if (def->wait <= GRAPH_WAIT_PERSON || def->wait == GRAPH_WAIT_DATASET ||
        (def->wait == GRAPH_WAIT_CHOICE && sim_chance(sim, 4, 5)))
        def->flags |= GRAPH_ASK;
    if (def->wait == GRAPH_WAIT_DATASET)
        def->dataset = sim_random_dataset(sim);
    /* A clock that is set back may make an instant very far, and an event may never come. */
    if (def->wait == GRAPH_WAIT_UNTIL || def->wait == GRAPH_WAIT_DATASET || sim_chance(sim, 1, 3))
        def->timeout_ms = sim_between(sim, 200, 9000);
    if (def->wait == GRAPH_WAIT_RUN && sim_chance(sim, 1, 4))
        def->flags |= GRAPH_DETACHED | GRAPH_LEAVES;
    if (def->wait == GRAPH_WAIT_RUN && sim_chance(sim, 1, 4))
        def->flags |= GRAPH_LEAVES;
    if (def->wait == GRAPH_WAIT_RUN && sim_chance(sim, 1, 4))
        def->flags |= GRAPH_ANY_END;
}

int64_t sim_random_when(struct sim *sim, const struct graph_task *spec)
{
    if (spec->wait == GRAPH_WAIT_UNTIL || spec->wait == GRAPH_WAIT_DATASET)
        return sim->now + sim->wall_offset + sim_between(sim, -2000, 6000);
    return sim_chance(sim, 1, 8) ? 0 : sim_between(sim, 1, 6000);
}

/* ---- Runs that tasks start ---- */

static void start_run(struct sim *sim, const struct core_start *start)
{
    static const char *const ids[SIM_DAGS] = {"alpha", "beta", "gamma"};
    struct core_run_row row;
    must(core_get_run(sim->core, start->inst.run, &row));
    uint32_t next = (uint32_t)(row.version - SIM_VERSION_BASE) + 1;
    struct core_event event = sim_scheduler_event(sim, EV_RUN_CREATE);
    event.token = 3;
    event.create.dag = next < SIM_DAGS ? ids[next] : "none";
    event.create.cause = NX_RC_DAG;
    event.create.parent = start;
    size_t n_replies = sim->update.replies.n;
    bool may = next < SIM_DAGS && sim->store.runs.n < RUNS_MAX && !sim_chance(sim, 1, 10);
    if (may)
        sim_scheduler_step(sim, &event);
    if (may && sim->update.replies.at[n_replies].err.code == NX_OK) {
        sim_count(sim, SEEN_RUN_STARTED);
        vec_push(&sim->started,
                 ((struct sim_start){sim->update.replies.at[n_replies].run, start->attempt}));
        return;
    }
    const struct wire_result result = {.outcome = NX_AO_FAILED,
                                       .code = NX_E_IO,
                                       .flags = sim_chance(sim, 1, 2) ? WIRE_RESULT_PERMANENT : 0};
    event = sim_scheduler_event(sim, EV_START_FAILED);
    event.start_failed.start = *start;
    event.start_failed.result = &result;
    sim_count(sim, SEEN_START_FAILED);
    sim_scheduler_step(sim, &event);
    for (size_t i = 0; i < sim->update.ends.n; i++) {
        if (sim->update.ends.at[i].result == &result)
            sim->update.ends.at[i].result = NULL; /* it does not live so long */
    }
}

bool sim_start_runs(struct sim *sim)
{
    VEC(struct core_start) starts = {0};
    for (size_t i = 0; i < sim->update.starts.n; i++)
        vec_push(&starts, sim->update.starts.at[i]);
    sim->update.starts.n = 0;
    for (size_t i = 0; i < starts.n; i++) {
        if (core_wants_run(sim->core, &starts.at[i]))
            start_run(sim, &starts.at[i]);
    }
    bool any = starts.n > 0;
    vec_fini(&starts);
    return any;
}

/* ---- People ---- */

void sim_people_answer(struct sim *sim)
{
    for (size_t i = 0; sim->core && i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        for (uint32_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
            const struct sim_inst *inst = &run->insts[slot];
            bool asked =
                inst->present &&
                sim->graphs[run->dag]->tasks[inst->row.id.task].wait == GRAPH_WAIT_PERSON &&
                (inst->row.state == NX_TS_DEFERRED || sim_chance(sim, 1, 40));
            if (!asked || !sim_chance(sim, 1, 4))
                continue;
            struct sim_event event = {
                .kind = SIM_SAY, .a = slot, .b = run->row.id.v, .c = sim_chance(sim, 3, 4)};
            struct sim_event again = event;
            sim_scheduler_post(sim, &event);
            if (sim_chance(sim, 1, 6)) {
                again.c = !again.c;
                sim_scheduler_post(sim, &again);
            }
        }
    }
    sim_post(sim, SIM_PEOPLE, sim_between(sim, 300, 1500), 0, 0, 0, NULL, 0);
}

void sim_say(struct sim *sim, const struct sim_event *from)
{
    struct core_event event = sim_scheduler_event(sim, EV_APPROVE);
    struct core_inst_row before = {0}, after = {0};
    event.token = 4;
    event.approve.inst = sim_at_slot((struct nx_run_id){from->b}, from->a);
    event.approve.approved = from->c != 0;
    bool there = core_get_inst(sim->core, event.approve.inst, &before);
    bool waits = there && before.state == NX_TS_DEFERRED && before.reason == NX_WHY_WAIT_PERSON;
    size_t n_replies = sim->update.replies.n;
    sim_scheduler_step(sim, &event);
    must(sim->update.replies.n == n_replies + 1);
    bool taken = sim->update.replies.at[n_replies].err.code == NX_OK;
    sim_count(sim, !taken ? SEEN_ANSWER_LATE : from->c ? SEEN_APPROVED : SEEN_REJECTED);
    there = core_get_inst(sim->core, event.approve.inst, &after);
    enum nx_task_state wanted = from->c ? NX_TS_SUCCESS : NX_TS_FAILED;
    if (taken != waits || (taken && after.state != wanted) ||
        (!taken && there && after.state != before.state))
        sim_fail(sim, "the first answer of a person counts, and no other",
                 "run %llu task %u: %s became %s", (unsigned long long)from->b, from->a,
                 nx_task_state_name(before.state), nx_task_state_name(after.state));
}

/* ---- What must hold ---- */

void oracle_waited(struct sim *sim, struct sim_run *run, uint32_t slot,
                   const struct core_inst_row *row)
{
    const struct graph_task *spec = &sim->graphs[run->dag]->tasks[row->id.task];
    int64_t wall = sim->now + sim->wall_offset, due = run->insts[slot].due_ms;
    if (row->state == NX_TS_DEFERRED) {
        run->insts[slot].due_ms = row->due_ms;
        if (row->worker)
            sim_fail(sim, "who waits has no worker", "run %llu task %u",
                     (unsigned long long)run->row.id.v, slot);
        return;
    }
    bool over = run->shadow[slot] == NX_TS_DEFERRED && row->state == NX_TS_SUCCESS &&
                row->reason == NX_WHY_NONE;
    bool by_time = over && spec->wait <= GRAPH_WAIT_UNTIL;
    if (over && spec->wait == GRAPH_WAIT_DATASET) {
        sim_count(sim, SEEN_HEARD);
        if (!sim_is_new_enough(sim, spec->dataset, due))
            sim_fail(sim, "a wait for a dataset does not end before its event", "run %llu task %u",
                     (unsigned long long)run->row.id.v, slot);
    }
    if (by_time && wall < due && (spec->wait == GRAPH_WAIT_UNTIL || !sim->clock_stepped))
        sim_fail(sim, "a wait for a time does not end before it", "run %llu task %u: %lld ms early",
                 (unsigned long long)run->row.id.v, slot, (long long)(due - wall));
}

/* At the end of a turn nothing is late. */
void oracle_overdue(struct sim *sim)
{
    int64_t wall = sim->now + sim->wall_offset;
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        struct core_run_row in_core;
        if (!core_get_run(sim->core, run->row.id, &in_core) || !in_core.counts[NX_TS_DEFERRED])
            continue;
        for (uint32_t t = 0; t < SIM_SLOTS_MAX; t++) {
            struct core_inst_row row;
            if (!core_get_inst(sim->core, sim_at_slot(run->row.id, t), &row) ||
                row.state != NX_TS_DEFERRED)
                continue;
            const struct graph_task *spec = &sim->graphs[run->dag]->tasks[row.id.task];
            if (spec->wait == GRAPH_WAIT_DATASET &&
                sim_is_new_enough(sim, spec->dataset, row.due_ms))
                sim_fail(sim, "a wait for a dataset ends with its event", "run %llu task %u",
                         (unsigned long long)run->row.id.v, t);
            bool timed = spec->wait == GRAPH_WAIT_UNTIL ||
                         (spec->wait == GRAPH_WAIT_FOR && !sim->clock_stepped);
            bool late =
                (timed && row.due_ms <= wall) || (!sim->clock_stepped && spec->timeout_ms &&
                                                  row.started_ms + spec->timeout_ms <= wall);
            if (late)
                sim_fail(sim, "a wait ends when it is due", "run %llu task %u waits since %lld",
                         (unsigned long long)run->row.id.v, t, (long long)row.started_ms);
        }
    }
}

/* A run that was just committed for the first time. */
void oracle_started_run(struct sim *sim, const struct core_run_row *row)
{
    struct sim_run *parent = sim_run_find(sim, row->parent.run);
    uint32_t attempt = 0;
    if (!row->parent.run.v)
        return;
    must(parent != NULL);
    for (size_t i = 0; i < sim->started.n; i++) {
        if (sim->started.at[i].run.v == row->id.v)
            attempt = sim->started.at[i].attempt;
    }
    struct sim_inst *starter = &parent->insts[sim_slot(row->parent)];
    if (attempt <= starter->started_attempt)
        sim_fail(sim, "an attempt starts one run", "run %llu: attempt %u of run %llu task %u again",
                 (unsigned long long)row->id.v, attempt, (unsigned long long)row->parent.run.v,
                 row->parent.task);
    starter->started_attempt = attempt;
}

void oracle_wait_end(struct sim *sim, const struct core_end *end)
{
    const struct sim_run *run = sim_run_find(sim, end->inst.run);
    const struct graph_task *spec = &sim->graphs[run->dag]->tasks[end->inst.task];
    struct core_run_row child;
    if (end->worker)
        sim_fail(sim, "a wait holds no worker", "run %llu %s", (unsigned long long)run->row.id.v,
                 spec->id);
    bool stopped = end->outcome == NX_AO_CANCELLED || end->outcome == NX_AO_TIMEOUT;
    if (!end->child.v || !stopped || (spec->flags & GRAPH_LEAVES))
        return;
    sim_count(sim, SEEN_CHILD_CANCELLED);
    if (core_get_run(sim->core, end->child, &child) && child.state != NX_RS_STOPPING &&
        !nx_run_state_final(child.state))
        sim_fail(sim, "a run goes with the task that waits for it", "run %llu is %s",
                 (unsigned long long)end->child.v, nx_run_state_name(child.state));
}
