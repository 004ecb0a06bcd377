/* From stored rows to a core that goes on where the former one stopped. */
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

void core_load_version(struct core *core, uint64_t id, struct graph *graph, bool current)
{
    struct version *version = version_load(core, id, graph);
    if (current)
        version_make_current(core, version);
}

void core_load_timetable(struct core *core, const char *id, struct timetable *timetable,
                         bool paused, const struct core_mark *marks, size_t n_marks)
{
    struct dag *dag = dag_get(core, id);
    schedule_set(core, dag, timetable, marks, n_marks);
    dag->paused = paused;
}

void core_load_worker(struct core *core, const struct core_worker_row *row)
{
    struct worker *worker = fleet_add(core, row->id, row->number);
    worker->incarnation = row->incarnation;
    worker->drain = row->drain;
    worker->ipc = row->ipc;
    worker->owned = row->token && str_copy(worker->token, sizeof worker->token, row->token);
    if (row->number >= core->config.next_worker)
        core->config.next_worker = row->number + 1;
}

void core_load_run(struct core *core, const struct core_run_row *row)
{
    struct version *version = map_get_num(&core->versions, row->version);
    must(version != NULL && !run_find(core, row->id));
    struct run *run = run_new(core, row->id, version);
    run->state = (uint8_t)row->state;
    run->cause = (uint8_t)row->cause;
    run->reason = (uint8_t)row->reason;
    run->backfill = row->backfill;
    run->parent = row->parent;
    run->depth = row->depth;
    run->claims = row->claims;
    run->deadline_ms = row->deadline_ms;
    run->late_ms = row->late_ms;
    run->interval_start_ms = row->interval_start_ms;
    run->interval_finish_ms = row->interval_finish_ms;
    run->created_ms = row->created_ms;
    run->started_ms = row->started_ms;
    run->finished_ms = row->finished_ms;
    if (nx_run_state_final(row->state))
        vec_push(&core->ended, run->slot);
    else if (row->state == NX_RS_QUEUED)
        run_wait(core, run);
    else
        run->dag->n_active += !run->backfill;
    if (!nx_run_state_final(row->state))
        backfill_run_began(core, run);
    if (row->id.v >= core->config.next_run)
        core->config.next_run = row->id.v + 1;
}

void core_load_list(struct core *core, struct nx_run_id id, uint32_t map, uint32_t n)
{
    struct run *run = run_find(core, id);
    must(run && map < run->version->graph->n_maps && n <= NX_MAP_MAX);
    run->mappings[map].n = n;
}

void core_load_inst(struct core *core, const struct core_inst_row *row)
{
    struct run *run = run_find(core, row->id.run);
    must(run && row->id.task < run->version->graph->n_tasks && row->state < NX_TASK_STATES);
    uint32_t at = row->id.task;
    if (row->id.map != NX_MAP_NONE) {
        must(row->id.map >= 0 && row->id.map < NX_MAP_MAX && mapping_of(run, row->id.task));
        at = mapped_make(run, row->id.task, row->id.map);
    }
    struct inst *inst = &run->insts[at];
    inst->state = (uint8_t)row->state;
    inst->reason =
        (uint8_t)(row->state == NX_TS_WAITING ? NX_WHY_NONE : row->reason); /* asked anew */
    bool blank = row->state == NX_TS_WAITING && !row->answered;
    inst->flags = (uint8_t)(INST_ROW | (row->answered ? INST_ANSWERED : blank ? INST_BLANK : 0));
    inst->attempt = (uint16_t)row->attempt;
    inst->lease = row->lease;
    inst->failures = (uint16_t)row->failures;
    inst->losses = row->losses & LOSSES_MAX;
    inst->leases_lost = row->leases_lost & LOSSES_MAX;
    inst->worker = row->worker;
    inst->due_mono = row->due_ms; /* wall, until core_load_done */
    inst->ready_ms = row->ready_ms;
    inst->started_ms = row->started_ms;
    inst->finished_ms = row->finished_ms;
    choice_load(run, at, row->left_out, row->n_left_out);
}

/* What is left of a wait of at most `most` that ends at that wall instant. */
static int64_t left_of(const struct core *core, int64_t due_wall, int64_t most)
{
    int64_t left = due_wall - core->wall_ms;
    return left < 0 ? 0 : left > most ? most : left;
}

/* One that may still run elsewhere waits its whole time again: a clock that was set forward must
 * not let two attempts of an exclusive task overlap. */
static void resume_retry(struct core *core, struct run *run, uint32_t task)
{
    const struct inst *inst = &run->insts[task];
    int64_t delay = attempt_elsewhere(inst)
                        ? core->config.lease_ttl_ms + core->config.grace_ms
                        : left_of(core, inst->due_mono, attempt_retry_delay(run, task));
    timer_inst(core, run, task, core->mono_ms + delay);
}

static void resume_inst(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    switch ((enum nx_task_state)inst->state) {
    case NX_TS_DECIDING:
        inst_ask(core, run, task);
        break;
    case NX_TS_QUEUED:
        if (mapped_admitted(run, task))
            inst_ready(core, run, task);
        break;
    case NX_TS_RETRYING:
        resume_retry(core, run, task);
        break;
    case NX_TS_DEFERRED:
        wait_resume(core, run, task);
        break;
    case NX_TS_LEASED:
    case NX_TS_RUNNING:
    case NX_TS_STOPPING: {
        struct worker *worker = fleet_find(core, inst->worker);
        must(worker != NULL);
        attempt_hold(core, worker, run, task, 0);
        break;
    }
    default:
        break;
    }
}

/* An instance without a row in a run that was stopped was cancelled with it. */
static void derive_cancelled(struct run *run)
{
    bool ended = nx_run_state_final(run->state) || run->rest;
    for (uint32_t i = 0; i < run->n_insts; i++) {
        struct inst *inst = &run->insts[i];
        if (inst->state == NX_TS_WAITING && (ended || !(task_of(run, i)->flags & GRAPH_FINALLY))) {
            inst->state = NX_TS_CANCELLED;
            inst->reason = (uint8_t)(run->rest ? run->rest->row.reason : run->reason);
            inst->finished_ms = run->rest ? run->rest->row.finished_ms : run->finished_ms;
        }
    }
}

/* When an instance that has no row became ready: with the last of its upstream. */
static int64_t derive_ready(const struct run *run, uint32_t task)
{
    int64_t ready = run->started_ms;
    const uint32_t *up = graph_up(run->version->graph, task_at(run, task));
    for (uint32_t j = 0; j < task_of(run, task)->n_up; j++) {
        const struct inst *inst = &run->insts[mapped_along(run, task, up[j])];
        if (nx_task_state_final(inst->state) && inst->finished_ms > ready)
            ready = inst->finished_ms;
    }
    return ready;
}

static void load_run_done(struct core *core, struct run *run)
{
    const struct graph *graph = run->version->graph;
    mapped_load_done(run);
    if (run->state == NX_RS_STOPPING || nx_run_state_final(run->state) || run->rest)
        derive_cancelled(run);
    mapped_load_admitted(run);
    run_count(run);
    if (!nx_run_state_final(run->state))
        late_plan(core, run);
    if (run->state == NX_RS_QUEUED || nx_run_state_final(run->state))
        return;
    uint32_t n = run->n_insts; /* more may come; they have been decided then */
    for (uint32_t i = 0; i < n; i++) {
        const struct inst *inst = &run->insts[i];
        if (inst->state != NX_TS_WAITING) {
            resume_inst(core, run, i);
        } else {
            int64_t ready = run->insts[i].ready_ms = derive_ready(run, i);
            inst_decide(core, run, i);
            must(!nx_task_state_final(run->insts[i].state)); /* that would have been written */
            if (run->insts[i].state == NX_TS_QUEUED)
                run->insts[i].ready_ms = ready;
        }
    }

    if (graph->timeout_ms && run->state == NX_RS_RUNNING)
        timer_run(core, run,
                  core->mono_ms +
                      left_of(core, run->started_ms + graph->timeout_ms, graph->timeout_ms));
}

void core_load_run_done(struct core *core, struct nx_run_id id)
{
    struct run *run = run_find(core, id);
    must(run && nx_run_state_final(run->state)); /* the others are done by core_load_done */
    load_run_done(core, run);
}

void core_load_done(struct core *core, int64_t mono_ms, int64_t wall_ms, struct core_update *update)
{
    core->mono_ms = mono_ms;
    core->wall_ms = wall_ms;
    core->update = update;
    for (size_t i = 0; i < core->workers.n; i++) {
        core->workers.at[i]->last_mono = mono_ms; /* it has lost_after from now */
        fleet_watch(core, core->workers.at[i]);
    }
    core->up_since_wall = wall_ms;
    for (size_t i = 0; i < core->runs.n; i++)
        load_run_done(core, core->runs.at[i]);
    wait_load_done(core);
    for (size_t i = 0; i < core->dags.n; i++)
        schedule_resume(core, core->dags.at[i].value);
    core->update = NULL;
}
