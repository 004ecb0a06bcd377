/* What a person does to a run's tasks: retry, clear, mark. An ended run is opened again. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

/* Which tasks the edit is about, by index. */
struct selection {
    const struct graph *graph;
    uint8_t *picks; /* enum edit_pick */
    VEC(uint32_t) todo;
};

static void pick(struct selection *selection, uint32_t task, enum edit_pick how)
{
    if (selection->picks[task])
        return;
    selection->picks[task] = (uint8_t)how;
    vec_push(&selection->todo, task);
}

static void start_from_all(struct selection *selection)
{
    selection->todo.n = 0;
    for (uint32_t i = 0; i < selection->graph->n_tasks; i++) {
        if (selection->picks[i])
            vec_push(&selection->todo, i);
    }
}

/* Everything up or down the picked ones is picked in the same way. */
static void pick_along(struct selection *selection, bool upstream, enum edit_pick how)
{
    const struct graph *graph = selection->graph;
    start_from_all(selection);
    while (selection->todo.n) {
        uint32_t task = vec_pop(&selection->todo);
        const struct graph_task *spec = &graph->tasks[task];
        const uint32_t *next = upstream ? graph_up(graph, task) : graph_down(graph, task);
        for (uint32_t j = 0; j < (upstream ? spec->n_up : spec->n_down); j++)
            pick(selection, next[j], how);
    }
}

/* What was decided by its rule upon the state of marked tasks is decided again, and so on down. */
static void pick_decided(struct selection *selection, const struct run *run)
{
    const struct graph *graph = selection->graph;
    start_from_all(selection);
    while (selection->todo.n) {
        uint32_t task = vec_pop(&selection->todo);
        for (uint32_t j = 0; j < graph->tasks[task].n_down; j++) {
            uint32_t down = graph_down(graph, task)[j];
            const struct inst *inst = &run->insts[down];
            if (inst->state == NX_TS_UPSTREAM_FAILED ||
                (inst->state == NX_TS_SKIPPED && inst->reason == NX_WHY_RULE))
                pick(selection, down, EDIT_CLEAR);
        }
    }
}

static void pick_failed(struct selection *selection, const struct run *run)
{
    for (uint32_t i = 0; i < selection->graph->n_tasks; i++) {
        enum nx_task_state state = run->insts[i].state;
        if (state == NX_TS_FAILED || state == NX_TS_UPSTREAM_FAILED || state == NX_TS_CANCELLED)
            pick(selection, i, EDIT_CLEAR);
    }
}

static void select_tasks(struct selection *selection, const struct run *run,
                         const struct core_event *event)
{
    enum core_edit what = event->edit.what;
    bool marks = what == CORE_MARK_SUCCESS || what == CORE_MARK_FAILED;
    enum edit_pick how = marks ? EDIT_MARK : EDIT_CLEAR;
    bool all = what == CORE_CLEAR && !event->edit.n_tasks;
    for (uint32_t i = 0; i < event->edit.n_tasks; i++) {
        must(event->edit.tasks[i] < selection->graph->n_tasks);
        pick(selection, event->edit.tasks[i], how);
    }
    if (what == CORE_RETRY && !event->edit.n_tasks)
        pick_failed(selection, run);
    for (uint32_t i = 0; all && i < selection->graph->n_tasks; i++)
        pick(selection, i, how);
    if (event->edit.upstream)
        pick_along(selection, true, how);
    if (event->edit.downstream || what == CORE_RETRY)
        pick_along(selection, false, how);
    if (marks)
        pick_decided(selection, run);
}

/* ---- Doing it ---- */

/* One that runs, or may still run elsewhere, has to end first. */
static bool has_to_end(const struct inst *inst)
{
    return (inst->flags & INST_HELD) || attempt_elsewhere(inst);
}

static void stop(struct core *core, struct run *run, uint32_t task, enum nx_reason reason)
{
    struct inst *inst = &run->insts[task];
    if (!(inst->flags & INST_HELD) || inst->state == NX_TS_STOPPING) {
        inst->reason = (uint8_t)reason;
        inst_dirty(core, run, task);
        return;
    }
    inst_set(core, run, task, NX_TS_STOPPING, reason);
    fleet_order(fleet_find(core, inst->worker), WIRE_CANCEL, run, task);
}

static void clear(struct core *core, struct run *run, uint32_t task)
{
    if (has_to_end(&run->insts[task]))
        stop(core, run, task, NX_WHY_CLEARED);
    else
        inst_clear(core, run, task);
}

static void mark(struct core *core, struct run *run, uint32_t task, enum nx_task_state state)
{
    struct inst *inst = &run->insts[task];
    if (has_to_end(inst)) {
        stop(core, run, task, state == NX_TS_SUCCESS ? NX_WHY_MARK_SUCCESS : NX_WHY_MARK_FAILED);
        return;
    }
    if (inst->flags & INST_ROW)
        vec_push(&core->update->cleared, inst_id(run, task));
    inst_set(core, run, task, state, NX_WHY_MARKED);
}

/* Whether the edit changes anything of it. */
static bool changes(const struct inst *inst, enum edit_pick how, enum core_edit what)
{
    bool success = what == CORE_MARK_SUCCESS;
    if (has_to_end(inst))
        return inst->reason != (how == EDIT_CLEAR ? NX_WHY_CLEARED
                                : success         ? NX_WHY_MARK_SUCCESS
                                                  : NX_WHY_MARK_FAILED);
    return inst->state != (how == EDIT_CLEAR ? NX_TS_WAITING
                           : success         ? NX_TS_SUCCESS
                                             : NX_TS_FAILED);
}

/* What follows today from the absence of a row (see core.h) and would not once the picked ones have
 * changed has to be written. */
static bool needs_row(const struct run *run, uint32_t task, const struct selection *selection)
{
    enum nx_task_state state = run->insts[task].state;
    const uint32_t *up = graph_up(selection->graph, task);
    if (nx_run_state_final(run->state))
        return state == NX_TS_CANCELLED;
    if (state != NX_TS_QUEUED && state != NX_TS_DECIDING)
        return false;
    for (uint32_t j = 0; j < selection->graph->tasks[task].n_up; j++) {
        enum edit_pick how = selection->picks[up[j]];
        if (how == EDIT_CLEAR || how == EDIT_MARK)
            return true;
    }
    return false;
}

bool edit_one(struct core *core, struct run *run, uint32_t task, uint8_t how, enum core_edit what)
{
    const struct inst *inst = &run->insts[task];
    if (how == EDIT_KEEP ? !inst_rowless(inst) : !changes(inst, how, what))
        return false;
    if (how == EDIT_CLEAR)
        clear(core, run, task);
    else if (how == EDIT_MARK)
        mark(core, run, task, what == CORE_MARK_SUCCESS ? NX_TS_SUCCESS : NX_TS_FAILED);
    else
        inst_dirty(core, run, task);
    return true;
}

/* It goes on by itself, or as one of a backfill. */
static void open_again(struct core *core, struct run *run, uint64_t backfill)
{
    run->backfill = backfill;
    backfill_run_began(core, run);
    run_set(core, run, NX_RS_QUEUED);
}

static void apply(struct core *core, struct run *run, const struct selection *selection,
                  enum core_edit what, uint64_t backfill)
{
    const struct graph *graph = run->version->graph;
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        if (!selection->picks[i] && needs_row(run, i, selection))
            selection->picks[i] = EDIT_KEEP;
        n += selection->picks[i] != EDIT_NONE;
    }
    if (nx_run_state_final(run->state) && n > core->config.edit_slice) {
        const struct core_edit_row row = {.run = run->id,
                                          .what = what,
                                          .reason = run->reason,
                                          .finished_ms = run->finished_ms,
                                          .picks = selection->picks,
                                          .n = graph->n_tasks};
        open_again(core, run, backfill);
        slice_begin(core, run, &row);
        return;
    }
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        if (selection->picks[i])
            edit_one(core, run, i, selection->picks[i], what);
    }
    core->spread.n = core->spread_first = 0;
    run_count(run); /* in place of telling those downstream one by one */
    if (nx_run_state_final(run->state)) {
        open_again(core, run, backfill);
        run_wait(core, run);
        return;
    }
    for (uint32_t i = 0; i < graph->n_tasks; i++)
        inst_decide(core, run, i);
    vec_push(&core->to_check, run->slot);
}

/* Drops what would not change, and adds the finally tasks of a run that goes on before them. */
static size_t settle(struct selection *selection, const struct run *run, enum core_edit what)
{
    const struct graph *graph = selection->graph;
    size_t n = 0, n_cleared = 0;
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        if (selection->picks[i] && !changes(&run->insts[i], selection->picks[i], what))
            selection->picks[i] = EDIT_NONE;
        n += selection->picks[i] != EDIT_NONE;
        n_cleared += selection->picks[i] == EDIT_CLEAR;
    }
    for (uint32_t i = 0; n_cleared && run->finally_begun && i < graph->n_tasks; i++) {
        if ((graph->tasks[i].flags & GRAPH_FINALLY) && !selection->picks[i] &&
            changes(&run->insts[i], EDIT_CLEAR, what))
            selection->picks[i] = EDIT_CLEAR;
    }
    return n;
}

static void list(struct core *core, const struct run *run, const struct selection *selection,
                 uint64_t token)
{
    for (uint32_t i = 0; i < selection->graph->n_tasks; i++) {
        if (!selection->picks[i])
            continue;
        struct core_edited edited = {token, inst_id(run, i), run->insts[i].state,
                                     selection->picks[i] == EDIT_CLEAR};
        vec_push(&core->update->edited, edited);
    }
}

static bool may_edit(struct core *core, const struct run *run, const struct core_event *event)
{
    struct nx_run_id id = event->edit.run;
    unsigned long long number = id.v;
    if (!run)
        core_answer_to(core, event->token, id, NX_E_NOT_FOUND, "there is no run %llu", number);
    else if (run->state == NX_RS_QUEUED)
        core_answer_to(core, event->token, id, NX_E_CONFLICT,
                       "run %llu has not started: there is nothing to change yet", number);
    else if (run->state == NX_RS_STOPPING)
        core_answer_to(core, event->token, id, NX_E_CONFLICT,
                       "run %llu is being stopped: try again when it has ended", number);
    else
        return true;
    return false;
}

void edit_run(struct core *core, const struct core_event *event)
{
    struct run *run = run_find(core, event->edit.run);
    if (!may_edit(core, run, event))
        return;
    struct selection selection = {.graph = run->version->graph};
    selection.picks = mem_alloc(run->version->graph->n_tasks);
    select_tasks(&selection, run, event);
    if (settle(&selection, run, event->edit.what)) {
        list(core, run, &selection, event->token);
        if (!event->edit.dry_run)
            apply(core, run, &selection, event->edit.what, event->edit.backfill);
        core_answer_to(core, event->token, run->id, NX_OK, "%s", "");
    } else {
        core_answer_to(core, event->token, run->id, NX_E_CONFLICT, "run %llu: %s",
                       (unsigned long long)run->id.v,
                       event->edit.what == CORE_RETRY && !event->edit.n_tasks
                           ? "no task failed: there is nothing to retry"
                           : "its tasks are in that state already: there is nothing to change");
    }
    vec_fini(&selection.todo);
    mem_free(selection.picks);
}
