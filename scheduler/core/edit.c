/* What a person does to a run's tasks: retry, clear, mark. An ended run is opened again. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

/* Which instances the edit is about, by index. */
struct selection {
    const struct run *run;
    uint8_t *picks;   /* enum edit_pick, of each instance */
    uint8_t *touched; /* whether any instance of the task is picked */
    VEC(uint32_t) todo;
};

static void pick(struct selection *selection, uint32_t at, enum edit_pick how)
{
    if (selection->picks[at])
        return;
    selection->picks[at] = (uint8_t)how;
    vec_push(&selection->todo, at);
}

/* The task's own instance and, where they stand for it, all others. */
static void pick_task(struct selection *selection, uint32_t task, enum edit_pick how)
{
    struct needing all = mapped_needing(selection->run, task, task);
    uint32_t at;
    while (mapped_next(&all, &at))
        pick(selection, at, how);
}

static void start_from_all(struct selection *selection)
{
    selection->todo.n = 0;
    for (uint32_t i = 0; i < selection->run->n_insts; i++) {
        if (selection->picks[i])
            vec_push(&selection->todo, i);
    }
}

static void pick_up(struct selection *selection, uint32_t at, enum edit_pick how)
{
    const struct run *run = selection->run;
    const uint32_t *up = graph_up(run->version->graph, task_at(run, at));
    for (uint32_t j = 0; j < task_of(run, at)->n_up; j++) {
        uint32_t along = mapped_along(run, at, up[j]);
        if (along != up[j])
            pick(selection, along, how);
        else
            pick_task(selection, up[j], how);
    }
}

static void pick_down(struct selection *selection, uint32_t at, enum edit_pick how)
{
    const struct run *run = selection->run;
    const uint32_t *down = graph_down(run->version->graph, task_at(run, at));
    uint32_t other;
    for (uint32_t j = 0; j < task_of(run, at)->n_down; j++) {
        struct needing all = mapped_needing(run, at, down[j]);
        while (mapped_next(&all, &other))
            pick(selection, other, how);
    }
}

/* Everything up or down the picked ones is picked in the same way. */
static void pick_along(struct selection *selection, bool upstream, enum edit_pick how)
{
    start_from_all(selection);
    while (selection->todo.n) {
        uint32_t at = vec_pop(&selection->todo);
        if (upstream)
            pick_up(selection, at, how);
        else
            pick_down(selection, at, how);
    }
}

/* What was decided by its rule upon the state of marked ones is decided again, and so on down. */
static void pick_decided(struct selection *selection)
{
    const struct run *run = selection->run;
    start_from_all(selection);
    while (selection->todo.n) {
        uint32_t at = vec_pop(&selection->todo), other;
        for (uint32_t j = 0; j < task_of(run, at)->n_down; j++) {
            struct needing all =
                mapped_needing(run, at, graph_down(run->version->graph, task_at(run, at))[j]);
            while (mapped_next(&all, &other)) {
                const struct inst *inst = &run->insts[other];
                if (inst->state == NX_TS_UPSTREAM_FAILED ||
                    (inst->state == NX_TS_SKIPPED &&
                     (inst->reason == NX_WHY_RULE || inst->reason == NX_WHY_NOT_CHOSEN)))
                    pick(selection, other, EDIT_CLEAR);
            }
        }
    }
}

static void pick_failed(struct selection *selection)
{
    for (uint32_t i = 0; i < selection->run->n_insts; i++) {
        enum nx_task_state state = selection->run->insts[i].state;
        if (state == NX_TS_FAILED || state == NX_TS_UPSTREAM_FAILED || state == NX_TS_CANCELLED)
            pick(selection, i, EDIT_CLEAR);
    }
}

/* ---- What changes ---- */

/* One that runs, or may still run elsewhere, has to end first. */
static bool has_to_end(const struct inst *inst)
{
    return (inst->flags & INST_HELD) || attempt_elsewhere(inst);
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

/* A list is asked for again when every task that is mapped over it is cleared as a whole. */
static bool folds(const struct selection *selection, uint32_t map)
{
    const struct graph *graph = selection->run->version->graph;
    const struct graph_map *of = &graph->maps[map];
    bool any = false;
    for (uint32_t k = 0; k < of->n; k++) {
        uint32_t task = graph->map_tasks[of->first + k];
        if (!stands_aside(selection->run, task))
            continue;
        if (selection->picks[task] != EDIT_CLEAR)
            return false;
        any = true;
    }
    return any;
}

/* Whether the pick of the instance changes anything. */
static bool pick_changes(const struct selection *selection, uint32_t at, enum core_edit what)
{
    const struct run *run = selection->run;
    if (stands_aside(run, at))
        return selection->picks[at] == EDIT_CLEAR && folds(selection, task_of(run, at)->map - 1);
    return run->insts[at].state != NX_TS_REMOVED &&
           changes(&run->insts[at], selection->picks[at], what);
}

/* Drops what would not change. */
static void drop_unchanged(struct selection *selection, enum core_edit what)
{
    for (uint32_t i = selection->run->n_insts; i-- > 0;) { /* own ones last: they tell what folds */
        if (selection->picks[i] && !pick_changes(selection, i, what))
            selection->picks[i] = EDIT_NONE;
    }
}

static void select_insts(struct selection *selection, const struct core_event *event)
{
    enum core_edit what = event->edit.what;
    bool marks = what == CORE_MARK_SUCCESS || what == CORE_MARK_FAILED;
    enum edit_pick how = marks ? EDIT_MARK : EDIT_CLEAR;
    for (uint32_t i = 0; i < event->edit.n_tasks; i++) {
        const struct core_target *target = &event->edit.tasks[i];
        if (target->map == NX_MAP_NONE)
            pick_task(selection, target->task, how);
        else
            pick(selection, mapped_find(selection->run, target->task, target->map), how);
    }
    if (what == CORE_RETRY && !event->edit.n_tasks)
        pick_failed(selection);
    for (uint32_t i = 0; what == CORE_CLEAR && !event->edit.n_tasks && i < selection->run->n_insts;
         i++)
        pick(selection, i, how);
    if (event->edit.upstream)
        pick_along(selection, true, how);
    if (event->edit.downstream || what == CORE_RETRY)
        pick_along(selection, false, how);
    drop_unchanged(selection, what); /* what does not change decides nothing again */
    if (!marks)
        return;
    pick_decided(selection);
    drop_unchanged(selection, what);
}

/* ---- Doing it ---- */

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
    if (has_to_end(&run->insts[task])) {
        stop(core, run, task, NX_WHY_CLEARED);
        return;
    }
    if (run->insts[task].state == NX_TS_DEFERRED)
        wait_stop(core, run, task);
    inst_clear(core, run, task);
}

static void mark(struct core *core, struct run *run, uint32_t task, enum nx_task_state state)
{
    struct inst *inst = &run->insts[task];
    if (has_to_end(inst)) {
        stop(core, run, task, state == NX_TS_SUCCESS ? NX_WHY_MARK_SUCCESS : NX_WHY_MARK_FAILED);
        return;
    }
    if (inst->state == NX_TS_DEFERRED)
        wait_stop(core, run, task);
    if (inst->flags & INST_ROW)
        vec_push(&core->update->cleared, inst_id(run, task));
    inst_set(core, run, task, state, NX_WHY_MARKED);
}

/* What follows today from the absence of a row (see core.h) and would not once the picked ones have
 * changed has to be written. */
static bool needs_row(const struct selection *selection, uint32_t at)
{
    const struct run *run = selection->run;
    enum nx_task_state state = run->insts[at].state;
    const uint32_t *up = graph_up(run->version->graph, task_at(run, at));
    if (nx_run_state_final(run->state))
        return state == NX_TS_CANCELLED;
    if (state != NX_TS_QUEUED && state != NX_TS_DECIDING)
        return false;
    for (uint32_t j = 0; j < task_of(run, at)->n_up; j++) {
        if (selection->touched[up[j]])
            return true;
    }
    return false;
}

bool edit_one(struct core *core, struct run *run, uint32_t at, uint8_t how, enum core_edit what)
{
    const struct inst *inst = &run->insts[at];
    if (how == EDIT_KEEP ? !inst_rowless(inst) : !changes(inst, how, what))
        return false;
    if (how == EDIT_CLEAR)
        clear(core, run, at);
    else if (how == EDIT_MARK)
        mark(core, run, at, what == CORE_MARK_SUCCESS ? NX_TS_SUCCESS : NX_TS_FAILED);
    else
        inst_dirty(core, run, at);
    return true;
}

/* Lists that are asked for again, and tasks that join those that are not. */
static void fold(struct core *core, struct run *run, const struct selection *selection)
{
    for (uint32_t m = 0; m < run->version->graph->n_maps; m++) {
        if (folds(selection, m))
            mapped_fold(core, run, m);
    }
}

static void expand(struct core *core, struct run *run)
{
    for (uint32_t m = 0; m < run->version->graph->n_maps; m++) {
        if (run->mappings[m].n)
            mapped_expand(core, run, m, run->mappings[m].n);
    }
}

/* One that ended in this turn has not, for all that the store and others will know. */
static void forget_end(struct core *core, const struct run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < core->update->runs_ended.n; i++) {
        if (core->update->runs_ended.at[i].v != run->id.v)
            core->update->runs_ended.at[n++] = core->update->runs_ended.at[i];
    }
    core->update->runs_ended.n = n;
}

/* It goes on by itself, or as one of a backfill. */
static void open_again(struct core *core, struct run *run, uint64_t backfill)
{
    forget_end(core, run);
    run->backfill = backfill;
    for (uint32_t i = 0; i < run->n_insts; i++)
        run->insts[i].flags &= (uint8_t)~INST_READY; /* entries that are left have its old place */
    backfill_run_began(core, run);
    run_set(core, run, NX_RS_QUEUED);
}

static void apply(struct core *core, struct run *run, const struct selection *selection,
                  enum core_edit what, uint64_t backfill)
{
    uint32_t n_picks = 0;
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (run->insts[i].state != NX_TS_REMOVED && !selection->picks[i] && needs_row(selection, i))
            selection->picks[i] = EDIT_KEEP;
        n_picks += selection->picks[i] != EDIT_NONE;
    }
    if (nx_run_state_final(run->state) && n_picks > core->config.edit_slice &&
        !run->version->graph->n_maps) { /* lists fold and expand as a whole, in one turn */
        const struct core_edit_row row = {.run = run->id,
                                          .what = what,
                                          .reason = run->reason,
                                          .finished_ms = run->finished_ms,
                                          .picks = selection->picks,
                                          .n = run->n_insts};
        open_again(core, run, backfill);
        slice_begin(core, run, &row);
        return;
    }
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (selection->picks[i] && run->insts[i].state != NX_TS_REMOVED)
            edit_one(core, run, i, selection->picks[i], what);
    }
    fold(core, run, selection);
    core->spread.n = core->spread_first = 0;
    run_count(run); /* in place of telling those downstream one by one */
    expand(core, run);
    if (nx_run_state_final(run->state)) {
        open_again(core, run, backfill);
        run_wait(core, run);
        return;
    }
    uint32_t n = run->n_insts; /* those that come are decided when they do */
    for (uint32_t i = 0; i < n; i++)
        inst_decide(core, run, i);
    mapped_admit(core, run);
    vec_push(&core->to_check, run->slot);
}

static bool any_marked(const struct selection *selection, uint32_t task)
{
    struct needing all = mapped_needing(selection->run, task, task);
    uint32_t at;
    while (mapped_next(&all, &at)) {
        if (selection->picks[at] == EDIT_MARK)
            return true;
    }
    return false;
}

/* Adds the finally tasks of a run that goes on before them. Returns how many change. */
static size_t settle(struct selection *selection, enum core_edit what)
{
    const struct run *run = selection->run;
    size_t n = 0, n_cleared = 0;
    for (uint32_t i = 0; i < run->n_insts; i++) {
        n += selection->picks[i] != EDIT_NONE;
        n_cleared += selection->picks[i] == EDIT_CLEAR;
    }
    for (uint32_t i = 0; n_cleared && run->finally_begun && i < run->n_insts; i++) {
        if (!(task_of(run, i)->flags & GRAPH_FINALLY) || selection->picks[i])
            continue;
        if (stands_aside(run, i) && any_marked(selection, i))
            continue; /* its list stays: what is marked is an item of it */
        selection->picks[i] = EDIT_CLEAR;
        if (!stands_aside(run, i) && !pick_changes(selection, i, what))
            selection->picks[i] = EDIT_NONE;
    }
    for (uint32_t i = 0; i < run->n_insts; i++) {
        if (selection->picks[i])
            selection->touched[task_at(run, i)] = true;
    }
    return n;
}

/* In the order of the tasks and their indexes. */
static void list(struct core *core, const struct selection *selection, uint64_t token)
{
    const struct run *run = selection->run;
    for (uint32_t task = 0; task < run->version->graph->n_tasks; task++) {
        struct needing all = mapped_needing(run, task, task);
        uint32_t at;
        while (mapped_next(&all, &at)) {
            if (!selection->picks[at] || stands_aside(run, at))
                continue;
            struct core_edited edited = {token, inst_id(run, at), run->insts[at].state,
                                         selection->picks[at] == EDIT_CLEAR};
            vec_push(&core->update->edited, edited);
        }
    }
}

/* The first target that is not there, or NULL. */
static const struct core_target *missing(const struct run *run, const struct core_event *event)
{
    for (uint32_t i = 0; i < event->edit.n_tasks; i++) {
        const struct core_target *target = &event->edit.tasks[i];
        must(target->task < run->version->graph->n_tasks);
        uint32_t at = mapped_find(run, target->task, target->map);
        if (at == NO_INST || (target->map != NX_MAP_NONE && run->insts[at].state == NX_TS_REMOVED))
            return target;
    }
    return NULL;
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
    const struct core_target *not_there = missing(run, event);
    if (not_there) {
        core_answer_to(core, event->token, run->id, NX_E_NOT_FOUND,
                       "task '%s' of run %llu has no index %d",
                       run->version->graph->tasks[not_there->task].id,
                       (unsigned long long)run->id.v, not_there->map);
        return;
    }
    struct selection selection = {.run = run};
    selection.picks = mem_alloc(run->n_insts);
    selection.touched = mem_alloc(run->version->graph->n_tasks);
    select_insts(&selection, event);
    if (settle(&selection, event->edit.what)) {
        list(core, &selection, event->token);
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
    mem_free(selection.touched);
}
