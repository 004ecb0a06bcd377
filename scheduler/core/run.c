#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

struct dag *dag_get(struct core *core, const char *id)
{
    struct dag *dag = map_get(&core->dags, id);
    if (!dag) {
        dag = mem_alloc(sizeof *dag);
        must(str_copy(dag->id, sizeof dag->id, id));
        map_set(&core->dags, id, dag);
    }
    return dag;
}

struct version *version_load(struct core *core, uint64_t id, struct graph *graph)
{
    struct version *version = map_get_num(&core->versions, id);
    if (version)
        return version;
    version = mem_alloc(sizeof *version);
    version->id = id;
    version->graph = graph_hold(graph);
    version->class_of = mem_alloc_array(graph->n_classes, sizeof *version->class_of);
    for (uint32_t i = 0; i < graph->n_classes; i++)
        version->class_of[i] = class_intern(core, &graph->classes[i]);
    map_set_num(&core->versions, id, version);
    return version;
}

void version_release(struct core *core, struct version *version)
{
    if (version->n_runs || version->current)
        return;
    map_remove_num(&core->versions, version->id);
    graph_release(version->graph);
    map_fini(&version->ids);
    mem_free(version->class_of);
    mem_free(version);
}

void version_make_current(struct core *core, struct version *version)
{
    struct dag *dag = dag_get(core, version->graph->dag_id);
    struct version *former = dag->version;
    if (former == version)
        return;
    version->current = true;
    dag->version = version;
    if (former) {
        former->current = false;
        version_release(core, former);
    }
    vec_push(&core->startable, dag);
}

struct run *run_find(const struct core *core, struct nx_run_id id)
{
    return map_get_num(&core->run_slots, id.v);
}

struct run *run_new(struct core *core, struct nx_run_id id, struct version *version)
{
    const struct graph *graph = version->graph;
    struct run *run = mem_alloc(sizeof *run);
    run->id = id;
    run->dag = dag_get(core, graph->dag_id);
    run->version = version;
    if (version->n_runs++ == 0)
        limits_count(core, version, true);
    run->insts = mem_alloc_array(graph->n_tasks, sizeof *run->insts);
    run->n_insts = run->cap_insts = graph->n_tasks;
    run->mappings = mem_alloc_array(graph->n_maps, sizeof *run->mappings);
    run->members = mem_alloc_array(graph->n_map_tasks, sizeof *run->members);
    run->n_left = graph->n_tasks;
    run->n_normal_left = graph->n_tasks - graph->n_finally;
    run->finally_begun = run->n_normal_left == 0;
    run->counts[NX_TS_WAITING] = graph->n_tasks;
    if (core->free_slots.n) {
        run->slot = vec_pop(&core->free_slots);
        core->runs.at[run->slot] = run;
    } else {
        run->slot = (uint32_t)core->runs.n;
        vec_push(&core->runs, run);
    }
    map_set_num(&core->run_slots, id.v, run);
    return run;
}

void run_free(struct core *core, struct run *run)
{
    past_forget(core, run);
    slice_free(run);
    map_remove_num(&core->run_slots, run->id.v);
    core->runs.at[run->slot] = NULL;
    vec_push(&core->free_slots, run->slot);
    mapped_free(run);
    choice_free(run);
    if (--run->version->n_runs == 0)
        limits_count(core, run->version, false);
    version_release(core, run->version);
    mem_free(run->insts);
    mem_free(run);
}

void run_dirty(struct core *core, struct run *run)
{
    if (run->dirty)
        return;
    run->dirty = true;
    vec_push(&core->update->runs, run->id);
}

void run_wait(struct core *core, struct run *run)
{
    run->ahead = !run->backfill && past_is_waited_for(core, run);
    if (run->backfill || run->ahead) {
        vec_push(&core->beginning, run->slot);
        return;
    }
    vec_push(&run->dag->waiting, run->slot);
    vec_push(&core->startable, run->dag);
}

void run_set(struct core *core, struct run *run, enum nx_run_state state)
{
    must(nx_run_move_legal(run->state, state));
    bool was_active = run->state == NX_RS_RUNNING || run->state == NX_RS_STOPPING;
    run->state = (uint8_t)state;
    run->moved = true;
    run_dirty(core, run);
    if (state == NX_RS_QUEUED) {
        run->reason = NX_WHY_NONE;
        run->started_ms = run->finished_ms = 0;
        late_begin(core, run, core->wall_ms);
    }
    if (state == NX_RS_RUNNING) {
        run->started_ms = core->wall_ms;
        run->dag->n_active += !run->backfill;
    }
    if (nx_run_state_final(state)) {
        must(run->n_left == 0);
        run->finished_ms = core->wall_ms;
        run->due_mono = 0;
        vec_push(&core->ended, run->slot);
        vec_push(&core->update->runs_ended, run->id);
        if (was_active && !run->backfill) {
            must(run->dag->n_active > 0);
            run->dag->n_active--;
        }
        backfill_run_ended(core, run);
        wait_run_ended(core, run);
        vec_push(&core->startable, run->dag);
        schedule_run_ended(core, run->dag);
    }
}

void run_count(struct run *run)
{
    for (int i = 0; i < NX_TASK_STATES; i++)
        run->counts[i] = 0;
    run->n_left = run->n_normal_left = 0;
    run->leaf_failed = run->finally_failed = false;
    for (uint32_t i = 0; i < run->n_insts; i++) {
        struct inst *inst = &run->insts[i];
        run->counts[inst->state] += !stands_aside(run, i);
        inst->up_success = inst->up_failed = inst->up_skipped = 0;
        inst->flags &= (uint8_t)~INST_UP_SELF;
    }
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (nx_task_state_final(run->insts[i].state)) {
            if (run->insts[i].state != NX_TS_REMOVED)
                inst_count(run, i);
            continue;
        }
        run->n_left++;
        run->n_normal_left += !(task_of(run, i)->flags & GRAPH_FINALLY);
    }
    run->finally_begun = run->n_normal_left == 0;
}

static void start(struct core *core, struct run *run)
{
    const struct graph *graph = run->version->graph;
    run->ahead = false;
    run_set(core, run, NX_RS_RUNNING);
    if (graph->timeout_ms)
        timer_run(core, run, core->mono_ms + graph->timeout_ms);
    uint32_t n = run->n_insts; /* those that come are decided when they do */
    for (uint32_t i = 0; i < n; i++)
        inst_decide(core, run, i);
    if (run->n_normal_left == 0)
        vec_push(&core->to_check, run->slot);
}

static void leave_line(struct run *run)
{
    struct dag *dag = run->dag;
    size_t i = dag->waiting_first;
    while (dag->waiting.at[i] != run->slot)
        must(++i < dag->waiting.n);
    memmove(&dag->waiting.at[i], &dag->waiting.at[i + 1],
            (dag->waiting.n - i - 1) * sizeof *dag->waiting.at);
    dag->waiting.n--;
}

bool run_rests(const struct run *run)
{
    bool scheduled = run->cause == NX_RC_SCHEDULE || run->cause == NX_RC_DATASET;
    if (!run->dag->paused || !scheduled || run->state != NX_RS_QUEUED || run->backfill)
        return false;
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (run->insts[i].attempt || (run->insts[i].flags & INST_ROW))
            return false; /* it had begun, and a person has opened it again */
    }
    return true;
}

static bool has_room(const struct dag *dag, const struct run *run)
{
    const struct graph *graph = (dag->version ? dag->version : run->version)->graph;
    return !graph->max_active_runs || dag->n_active < graph->max_active_runs;
}

/* What has to rest stays in the line; the others go past it. */
static void start_of_paused(struct core *core, struct dag *dag)
{
    size_t i = dag->waiting_first;
    while (i < dag->waiting.n) {
        struct run *run = core->runs.at[dag->waiting.at[i]];
        if (!has_room(dag, run))
            return;
        if (run_rests(run)) {
            i++;
            continue;
        }
        leave_line(run); /* the next one is at its place now */
        start(core, run);
    }
}

static void start_of_dag(struct core *core, struct dag *dag)
{
    if (dag->paused) {
        start_of_paused(core, dag);
        return;
    }
    while (dag->waiting_first < dag->waiting.n) {
        struct run *run = core->runs.at[dag->waiting.at[dag->waiting_first]];
        must(run->state == NX_RS_QUEUED && run->dag == dag);
        if (!has_room(dag, run))
            return;
        dag->waiting_first++;
        start(core, run);
    }
    dag->waiting.n = dag->waiting_first = 0;
}

void run_start_waiting(struct core *core)
{
    for (size_t i = 0; i < core->beginning.n; i++) {
        struct run *run = core->runs.at[core->beginning.at[i]];
        if (run && (run->backfill || run->ahead) && run->state == NX_RS_QUEUED && !run->rest)
            start(core, run);
    }
    core->beginning.n = 0;
    for (size_t i = 0; i < core->startable.n; i++)
        start_of_dag(core, core->startable.at[i]);
    core->startable.n = 0;
}

void run_ahead(struct core *core, struct run *run)
{
    must(run->state == NX_RS_QUEUED);
    if (run->backfill || run->ahead || run->rest)
        return;
    leave_line(run);
    run->ahead = true;
    vec_push(&core->beginning, run->slot);
}

void run_leave(struct run *run)
{
    must(run->state == NX_RS_QUEUED);
    if (!run->backfill && !run->ahead)
        leave_line(run);
}

static void stop_inst(struct core *core, struct run *run, uint32_t task, enum nx_reason reason)
{
    struct inst *inst = &run->insts[task];
    if (inst->state == NX_TS_LEASED || inst->state == NX_TS_RUNNING) {
        inst_set(core, run, task, NX_TS_STOPPING, reason);
        fleet_order(fleet_find(core, inst->worker), WIRE_CANCEL, run, task);
    } else if ((inst->state == NX_TS_STOPPING && inst->reason == NX_WHY_CLEARED) ||
               (attempt_elsewhere(inst) && !inst_marked(inst))) {
        inst->reason = (uint8_t)reason; /* it will not be decided or queued again */
        inst_dirty(core, run, task);
    } else if (!nx_task_state_final(inst->state) && inst->state != NX_TS_STOPPING &&
               !attempt_elsewhere(inst)) {
        if (inst->state == NX_TS_DEFERRED)
            wait_stop(core, run, task);
        inst_set(core, run, task, NX_TS_CANCELLED, reason);
    }
}

void run_stop(struct core *core, struct run *run, enum nx_reason reason)
{
    bool never_started = run->state == NX_RS_QUEUED;
    if (never_started && !run->backfill && !run->ahead && !run->rest)
        leave_line(run);
    else if (!never_started)
        run_set(core, run, NX_RS_STOPPING);
    run->reason = (uint8_t)reason;
    slice_drop(core, run);
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (never_started || !(task_of(run, i)->flags & GRAPH_FINALLY))
            stop_inst(core, run, i, reason);
    }
    if (never_started)
        run_set(core, run, NX_RS_CANCELLED);
    else
        vec_push(&core->to_check, run->slot);
}
