#include "scheduler/core/core.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

void core_config_init(struct core_config *config)
{
    *config = (struct core_config){
        .epoch = 1,
        .next_run = 1,
        .next_worker = 1,
        .lost_limit = NX_LOST_LIMIT,
        .edit_slice = NX_EDIT_SLICE,
        .lease_ttl_ms = NX_LEASE_TTL_MS,
        .grace_ms = NX_GRACE_MS,
        .lost_after_ipc_ms = NX_LOST_AFTER_IPC_MS,
        .lost_after_tcp_ms = NX_LOST_AFTER_TCP_MS,
    };
}

struct core *core_new(const struct core_config *config)
{
    must(config->epoch > 0 && config->next_run > 0 && config->next_worker > 0);
    must(config->lost_limit > 0 && config->lost_limit <= LOSSES_MAX);
    struct core *core = mem_alloc(sizeof *core);
    core->config = *config;
    return core;
}

static void free_dags(struct core *core)
{
    for (size_t i = 0; i < core->dags.n; i++) {
        struct dag *dag = core->dags.at[i].value;
        if (dag->version) {
            dag->version->current = false;
            version_release(core, dag->version);
        }
        schedule_fini(dag);
        vec_fini(&dag->waiting);
        mem_free(dag);
    }
    must(core->versions.n == 0);
}

void core_free(struct core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < core->runs.n; i++) {
        if (core->runs.at[i])
            run_free(core, core->runs.at[i]);
    }
    free_dags(core);
    for (size_t i = 0; i < core->pools.n; i++) {
        struct pool *pool = core->pools.at[i].value;
        mem_free(pool->name);
        mem_free(pool);
    }
    for (size_t i = 0; i < core->limits.n; i++) {
        struct limit *limit = core->limits.at[i].value;
        mem_free(limit->key);
        mem_free(limit);
    }
    for (size_t i = 0; i < core->classes.n; i++) {
        struct class *class = core->classes.at[i];
        mem_free((void *)(uintptr_t) class->needs.queue);
        mem_free((void *)(uintptr_t) class->needs.pool);
        mem_free((void *)(uintptr_t) class->needs.concurrency);
        vec_fini(&class->heap);
        mem_free(class);
    }
    for (size_t i = 0; i < core->workers.n; i++) {
        for (size_t h = 0; h < core->workers.at[i]->hands.n; h++)
            mem_free(core->workers.at[i]->hands.at[h].text);
        vec_fini(&core->workers.at[i]->hands);
        vec_fini(&core->workers.at[i]->pokes);
        vec_fini(&core->workers.at[i]->orders);
        mem_free(core->workers.at[i]);
    }
    dataset_fini(core);
    map_fini(&core->dags);
    map_fini(&core->versions);
    map_fini(&core->pools);
    map_fini(&core->limits);
    must(core->followers.n == 0);
    map_fini(&core->followers);
    map_fini(&core->run_slots);
    map_fini(&core->workers_by_id);
    for (size_t i = 0; i < core->backfills.n; i++)
        backfill_free(core->backfills.at[i].value);
    map_fini(&core->backfills);
    vec_fini(&core->ended_backfills);
    vec_fini(&core->beginning);
    vec_fini(&core->runs);
    vec_fini(&core->free_slots);
    vec_fini(&core->classes);
    vec_fini(&core->workers);
    vec_fini(&core->timers);
    vec_fini(&core->walls);
    vec_fini(&core->waits);
    vec_fini(&core->free_waits);
    vec_fini(&core->pokes);
    vec_fini(&core->to_stop);
    vec_fini(&core->fires);
    vec_fini(&core->asks);
    vec_fini(&core->spread);
    vec_fini(&core->to_check);
    vec_fini(&core->editing);
    vec_fini(&core->ended);
    vec_fini(&core->startable);
    mem_free(core);
}

void core_update_init(struct core_update *update)
{
    *update = (struct core_update){0};
}

void core_update_fini(struct core_update *update)
{
    vec_fini(&update->insts);
    vec_fini(&update->runs);
    vec_fini(&update->workers);
    vec_fini(&update->ends);
    vec_fini(&update->cleared);
    vec_fini(&update->schedules);
    vec_fini(&update->dataset_events);
    vec_fini(&update->triggers);
    vec_fini(&update->backfills);
    vec_fini(&update->dues);
    vec_fini(&update->notices);
    vec_fini(&update->changes);
    vec_fini(&update->runs_ended);
    vec_fini(&update->edited);
    vec_fini(&update->edits);
    vec_fini(&update->asks);
    vec_fini(&update->starts);
    vec_fini(&update->replies);
    vec_fini(&update->sends);
}

bool core_update_has_rows(const struct core_update *update)
{
    return update->insts.n || update->runs.n || update->workers.n || update->ends.n ||
           update->schedules.n || update->backfills.n || update->dataset_events.n ||
           update->edits.n;
}

void core_answer_to(struct core *core, uint64_t token, struct nx_run_id run, enum nx_code code,
                    const char *format, ...)
{
    if (!token)
        return;
    struct core_reply reply = {.token = token, .run = run, .err = {.code = code}};
    va_list args;
    va_start(args, format);
    vsnprintf(reply.err.text, sizeof reply.err.text, format, args);
    va_end(args);
    vec_push(&core->update->replies, reply);
}

static void on_dag_gone(struct core *core, const char *id)
{
    struct dag *dag = map_get(&core->dags, id);
    if (dag)
        backfill_dag(core, dag, true);
    if (!dag || !dag->version)
        return;
    struct version *former = dag->version;
    dag->version = NULL;
    former->current = false;
    version_release(core, former);
}

static void on_timetable(struct core *core, const struct core_event *event)
{
    struct dag *dag = dag_get(core, event->timetable.dag);
    schedule_set(core, dag, event->timetable.timetable, event->timetable.marks,
                 event->timetable.n_marks);
    dag->paused = event->timetable.paused;
    vec_push(&core->startable, dag);
    schedule_resume(core, dag);
}

static void on_pause(struct core *core, const struct core_event *event)
{
    struct dag *dag = map_get(&core->dags, event->pause.dag);
    if (!dag || dag->paused == event->pause.on)
        return;
    dag->paused = event->pause.on;
    vec_push(&core->startable, dag); /* what rested */
    schedule_resume(core, dag);
}

/* A chain of DAGs that start each other is not endless. */
static bool may_start(struct core *core, const struct core_event *event, const struct run *parent)
{
    struct nx_run_id none = {0};
    if (!parent || !wait_wants_run(core, event->create.parent))
        core_answer_to(core, event->token, none, NX_E_CONFLICT,
                       "the task that was to start it does not wait for it any more");
    else if (parent->depth + 1 >= NX_START_DEPTH_MAX)
        core_answer_to(core, event->token, none, NX_E_LIMIT,
                       "%d runs have started each other, down to run %llu of '%s': do these DAGs "
                       "trigger each other for ever?",
                       NX_START_DEPTH_MAX, (unsigned long long)parent->id.v, parent->dag->id);
    else
        return true;
    return false;
}

static void on_create(struct core *core, const struct core_event *event)
{
    struct dag *dag = map_get(&core->dags, event->create.dag);
    const struct core_start *start = event->create.parent;
    const struct run *parent = start ? run_find(core, start->inst.run) : NULL;
    struct nx_run_id none = {0};
    if (start && !may_start(core, event, parent))
        return;
    if (!dag || !dag->version) {
        core_answer_to(core, event->token, none, NX_E_NOT_FOUND, "there is no DAG '%s'",
                       event->create.dag);
        return;
    }
    if (core->run_slots.n >= NX_RUNS_ACTIVE_MAX) {
        core_answer_to(core, event->token, none, NX_E_LIMIT,
                       "there are %d unfinished runs, which is the limit", NX_RUNS_ACTIVE_MAX);
        return;
    }
    bool by_dataset = event->create.cause == NX_RC_DATASET;
    if (by_dataset && !dataset_is_due(core, dag, event->create.entry)) {
        core_answer_to(core, event->token, none, NX_E_CONFLICT,
                       "its datasets have no events that were not used");
        return;
    }
    if ((by_dataset || event->create.cause == NX_RC_SCHEDULE) && !schedule_makes_way(core, dag)) {
        core_answer_to(core, event->token, none, NX_E_CONFLICT,
                       "%u runs of '%s' have not ended, which is max_active_runs (overlap: skip)",
                       dag->version->graph->max_active_runs, dag->id);
        return;
    }
    struct nx_run_id id = {core->config.next_run++};
    struct run *run = run_new(core, id, dag->version);
    run->cause = (uint8_t)event->create.cause;
    run->backfill = event->create.backfill;
    if (start) {
        run->parent = start->inst;
        run->depth = parent->depth + 1;
    }
    run->interval_start_ms = event->create.interval_start_ms;
    run->interval_finish_ms = event->create.interval_finish_ms;
    run->moved = true;
    run->claims = event->create.claims;
    run->created_ms = core->wall_ms;
    late_begin(core, run, run->cause == NX_RC_SCHEDULE ? run->interval_finish_ms : run->created_ms);
    run_dirty(core, run);
    if (by_dataset)
        dataset_take(core, run, event->create.entry);
    backfill_run_began(core, run);
    run_wait(core, run);
    past_made(core, run);
    if (start)
        wait_run_began(core, run);
    core_answer_to(core, event->token, id, NX_OK, "%s", "");
}

static void on_cancel(struct core *core, const struct core_event *event)
{
    struct nx_run_id id = event->cancel;
    struct run *run = run_find(core, id);
    if (!run || nx_run_state_final(run->state)) {
        core_answer_to(core, event->token, id, NX_E_CONFLICT,
                       "run %llu has ended: there is nothing to cancel", (unsigned long long)id.v);
        return;
    }
    if (run->state != NX_RS_STOPPING)
        run_stop(core, run, NX_WHY_CANCEL);
    core_answer_to(core, event->token, id, NX_OK, "%s", "");
}

void core_step(struct core *core, const struct core_event *event, struct core_update *update)
{
    must(event->mono_ms >= core->mono_ms);
    core->mono_ms = event->mono_ms;
    core->wall_ms = event->wall_ms;
    core->update = update;
    switch (event->kind) {
    case EV_TURN:
        assign_turn(core);
        break;
    case EV_DAG:
        version_make_current(core, version_load(core, event->dag.version, event->dag.graph));
        backfill_dag(core, dag_get(core, event->dag.graph->dag_id), false);
        break;
    case EV_DAG_GONE:
        on_dag_gone(core, event->dag_gone);
        break;
    case EV_TIMETABLE:
        on_timetable(core, event);
        break;
    case EV_PAUSE:
        on_pause(core, event);
        break;
    case EV_DATASET:
        dataset_emit(core, event);
        break;
    case EV_BACKFILL:
        backfill_new(core, event);
        break;
    case EV_BACKFILL_CHANGE:
        backfill_change(core, event);
        break;
    case EV_BACKFILL_STUCK:
        backfill_stuck(core, event);
        break;
    case EV_POOL:
        pool_get(core, event->pool.name)->slots = event->pool.slots;
        break;
    case EV_RUN_CREATE:
        on_create(core, event);
        break;
    case EV_RUN_CANCEL:
        on_cancel(core, event);
        break;
    case EV_RUN_EDIT:
        edit_run(core, event);
        break;
    case EV_RUN_GONE:
        past_gone(core, event->gone);
        break;
    case EV_ANSWER:
        inst_answer(core, event);
        break;
    case EV_APPROVE:
        wait_decided(core, event);
        break;
    case EV_START_FAILED:
        wait_start_failed(core, event);
        break;
    case EV_REPORT:
        fleet_report(core, event->report.report, event->report.context);
        break;
    case EV_DRAIN:
        fleet_drain(core, event->drain.worker, event->drain.on, event->token);
        break;
    }
    inst_spread(core);
    core->update = NULL;
}

void core_turn_done(struct core *core, struct core_update *update)
{
    for (size_t i = 0; i < update->insts.n; i++) {
        struct run *run;
        struct inst *inst = inst_find(core, update->insts.at[i], &run);
        if (!inst)
            continue;
        inst->flags &= (uint8_t)~INST_DIRTY;
        if (inst->state == NX_TS_WAITING && !(inst->flags & INST_ANSWERED))
            inst->flags |= INST_BLANK;
    }
    for (size_t i = 0; i < update->runs.n; i++) {
        struct run *run = run_find(core, update->runs.at[i]);
        if (run)
            run->dirty = run->moved = false;
    }
    for (size_t i = 0; i < update->workers.n; i++)
        fleet_find(core, update->workers.at[i])->dirty = false;
    for (size_t i = 0; i < update->schedules.n; i++)
        ((struct dag *)map_get(&core->dags, update->schedules.at[i]))->marks_dirty = false;
    backfill_turn_done(core, update);
    slice_turn_done(core, update);
    fleet_turn_done(core);
    for (size_t i = 0; i < core->ended.n; i++) {
        struct run *run = core->runs.at[core->ended.at[i]];
        if (run && nx_run_state_final(run->state)) /* else it was opened again, or is gone */
            run_free(core, run);
    }
    core->ended.n = 0;
    core->n_emitted = core->n_sliced = 0;
    update->insts.n = update->runs.n = update->workers.n = update->ends.n = 0;
    update->asks.n = update->starts.n = update->replies.n = update->sends.n = 0;
    update->cleared.n = update->edited.n = update->edits.n = 0;
    update->backfills.n = update->dataset_events.n = update->triggers.n = 0;
    update->changes.n = update->runs_ended.n = 0;
    update->schedules.n = update->dues.n = update->notices.n = 0;
}

int64_t core_deadline(const struct core *core)
{
    if (core->asks_first < core->asks.n || core->startable.n || core->beginning.n ||
        core->checks.n || core->editing.n)
        return core->mono_ms;
    int64_t due = core->timers.n ? core->timers.at[0].due_mono : INT64_MAX;
    if (core->fires.n) {
        int64_t left = core->fires.at[0].due_wall - core->wall_ms;
        int64_t fire = core->mono_ms + (left < 0 ? 0 : left);
        due = fire < due ? fire : due;
    }
    if (core->walls.n) {
        int64_t left = core->walls.at[0].due_mono - core->wall_ms;
        int64_t wall = core->mono_ms + (left < 0 ? 0 : left);
        due = wall < due ? wall : due;
    }
    return due;
}
