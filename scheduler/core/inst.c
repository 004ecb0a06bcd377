#include "lib/base/must.h"
#include "scheduler/core/state.h"
#include "scheduler/graph/rule.h"

struct nx_inst_id inst_id(const struct run *run, uint32_t task)
{
    return (struct nx_inst_id){run->id, task, NX_MAP_NONE};
}

struct inst *inst_find(const struct core *core, struct nx_inst_id id, struct run **run)
{
    struct run *found = run_find(core, id.run);
    if (!found || id.map != NX_MAP_NONE || id.task >= found->version->graph->n_tasks)
        return NULL;
    *run = found;
    return &found->insts[id.task];
}

void inst_dirty(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    inst->flags = (uint8_t)((inst->flags | INST_ROW) & ~INST_BLANK);
    if (!(inst->flags & INST_DIRTY)) {
        inst->flags |= INST_DIRTY;
        vec_push(&core->update->insts, inst_id(run, task));
    }
    run_dirty(core, run);
}

/* States that follow from the absence of a row are not written: see core.h. */
static bool follows_from_absence(const struct run *run, uint32_t task)
{
    const struct inst *inst = &run->insts[task];
    if (!inst_rowless(inst) || (inst->flags & INST_ANSWERED))
        return false;
    if (past_counts(run, task) && (inst->state == NX_TS_QUEUED || inst->state == NX_TS_DECIDING))
        return false; /* that its past let it run is not asked again */
    return inst->state == NX_TS_WAITING || inst->state == NX_TS_QUEUED ||
           inst->state == NX_TS_DECIDING || inst->state == NX_TS_CANCELLED;
}

void inst_set(struct core *core, struct run *run, uint32_t task, enum nx_task_state state,
              enum nx_reason reason)
{
    struct inst *inst = &run->insts[task];
    bool ended = nx_task_state_final(state), had_ended = nx_task_state_final(inst->state);
    bool last = (task_of(run, task)->flags & GRAPH_FINALLY) != 0;
    must(nx_task_move_legal(inst->state, state));
    must(run->counts[inst->state] > 0);
    run->counts[inst->state]--;
    run->counts[state]++;
    core->moves[inst->state][state]++;
    inst->state = (uint8_t)state;
    inst->reason = (uint8_t)reason;
    inst->due_mono = 0;
    run->n_left = run->n_left + had_ended - ended;
    run->n_normal_left = run->n_normal_left + (had_ended && !last) - (ended && !last);
    if (ended) {
        must(!(inst->flags & INST_HELD));
        inst->finished_ms = core->wall_ms;
        vec_push(&core->spread, ((struct spread){run->slot, task}));
    }
    run_dirty(core, run);
    if (!follows_from_absence(run, task))
        inst_dirty(core, run, task);
    if (ended)
        past_ended(core, run, task);
}

void inst_ready(struct core *core, struct run *run, uint32_t task)
{
    int64_t limit = task_of(run, task)->queue_timeout_ms;
    ready_push(core, run, task);
    if (limit) {
        int64_t left = run->insts[task].ready_ms + limit - core->wall_ms;
        timer_inst(core, run, task, core->mono_ms + (left < 0 ? 0 : left > limit ? limit : left));
    }
}

void inst_queue(struct core *core, struct run *run, uint32_t task)
{
    inst_set(core, run, task, NX_TS_QUEUED, NX_WHY_NEXT);
    run->insts[task].ready_ms = core->wall_ms;
    inst_ready(core, run, task);
}

void inst_ask(struct core *core, struct run *run, uint32_t task)
{
    run->insts[task].hand = ++core->n_asks;
    struct core_ask ask = {.inst = inst_id(run, task),
                           .number = core->n_asks,
                           .version = run->version->id,
                           .kind = CORE_ASK_IF};
    vec_push(&core->asks, ask);
}

/* Its trigger rule says run. */
static void go(struct core *core, struct run *run, uint32_t task, bool past_asked)
{
    const struct inst *inst = &run->insts[task];
    if (!past_asked && past_counts(run, task)) {
        if (!past_waits(inst))
            past_ask(core, run, task);
    } else if ((task_of(run, task)->flags & GRAPH_IF) && !(inst->flags & INST_ANSWERED)) {
        inst_set(core, run, task, NX_TS_DECIDING, NX_WHY_ASKED);
        inst_ask(core, run, task);
    } else {
        inst_queue(core, run, task);
    }
}

static void decide(struct core *core, struct run *run, uint32_t task, bool past_asked)
{
    const struct graph_task *spec = task_of(run, task);
    struct inst *inst = &run->insts[task];
    bool last = (spec->flags & GRAPH_FINALLY) != 0;
    if (inst->state != NX_TS_WAITING || (last && !run->finally_begun))
        return;
    if (run->state != NX_RS_RUNNING && !(run->state == NX_RS_STOPPING && last))
        return;
    struct rule_counts counts = {spec->n_up, inst->up_success, inst->up_failed, inst->up_skipped,
                                 (inst->flags & INST_UP_SELF) != 0};
    switch (rule_decide((enum nx_trigger_rule)spec->rule, &counts)) {
    case RULE_WAIT:
        inst->reason = NX_WHY_NONE; /* it was cleared above: its past does not matter yet */
        break;
    case RULE_RUN:
        go(core, run, task, past_asked);
        break;
    case RULE_SKIP:
        inst_set(core, run, task, NX_TS_SKIPPED, NX_WHY_RULE);
        break;
    case RULE_UPSTREAM_FAILED:
        inst_set(core, run, task, NX_TS_UPSTREAM_FAILED, NX_WHY_RULE);
        break;
    }
}

void inst_decide(struct core *core, struct run *run, uint32_t task)
{
    decide(core, run, task, false);
}

void inst_decide_now(struct core *core, struct run *run, uint32_t task)
{
    decide(core, run, task, true);
}

void inst_answer(struct core *core, const struct core_event *event)
{
    struct run *run;
    struct nx_inst_id id = event->answer.inst;
    struct inst *inst = inst_find(core, id, &run);
    bool past = inst && inst->state == NX_TS_WAITING && inst->reason == NX_WHY_ASKED;
    if (!inst || !(past || inst->state == NX_TS_DECIDING) || inst->hand != event->answer.number)
        return; /* cancelled or cleared meanwhile */
    if (past) {
        past_answer(core, run, id.task, event);
        return;
    }
    inst->flags |= INST_ANSWERED;
    if (event->answer.answer == CORE_TRUE)
        inst_queue(core, run, id.task);
    else if (event->answer.answer == CORE_FALSE)
        inst_set(core, run, id.task, NX_TS_SKIPPED, NX_WHY_IF_FALSE);
    else
        inst_set(core, run, id.task, NX_TS_FAILED, NX_WHY_IF_ERROR);
}

void inst_clear(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    bool row = (inst->flags & INST_ROW) != 0;
    inst->flags &= (uint8_t) ~(INST_ANSWERED | INST_BLANK);
    inst->failures = 0;
    inst->losses = inst->leases_lost = 0;
    inst->ready_ms = inst->started_ms = inst->finished_ms = 0;
    inst_set(core, run, task, NX_TS_WAITING, NX_WHY_NONE);
    if (row)
        vec_push(&core->update->cleared, inst_id(run, task));
}

void inst_count(struct run *run, uint32_t task)
{
    enum nx_task_state state = run->insts[task].state;
    const struct graph *graph = run->version->graph;
    const uint32_t *down = graph_down(graph, task);
    bool leaf = (graph->tasks[task].flags & GRAPH_LEAF) != 0;
    bool last = (graph->tasks[task].flags & GRAPH_FINALLY) != 0;
    if (state == NX_TS_FAILED || state == NX_TS_UPSTREAM_FAILED) {
        run->leaf_failed = run->leaf_failed || leaf;
        run->finally_failed = run->finally_failed || (last && state == NX_TS_FAILED);
    }
    for (uint32_t j = 0; j < graph->tasks[task].n_down; j++) {
        struct inst *inst = &run->insts[down[j]];
        if (state == NX_TS_SUCCESS)
            inst->up_success++;
        else if (state == NX_TS_SKIPPED)
            inst->up_skipped++;
        else /* also cancelled, which only a finally task can see */
            inst->up_failed++;
        if (state == NX_TS_FAILED || state == NX_TS_CANCELLED)
            inst->flags |= INST_UP_SELF;
    }
}

/* Everything of the run but its finally tasks is final. */
static void begin_finally(struct core *core, struct run *run)
{
    const struct graph *graph = run->version->graph;
    run->finally_begun = true;
    if (!graph->n_finally)
        return;
    for (uint32_t i = 0; i < graph->n_tasks; i++) {
        if (graph->tasks[i].flags & GRAPH_FINALLY)
            inst_decide(core, run, i);
    }
}

static void check_run(struct core *core, struct run *run)
{
    if (run->state != NX_RS_RUNNING && run->state != NX_RS_STOPPING)
        return;
    if (run->n_normal_left == 0 && !run->finally_begun)
        begin_finally(core, run);
    if (run->n_left > 0)
        return;
    if (run->state == NX_RS_STOPPING)
        run_set(core, run, run->reason == NX_WHY_RUN_TIMEOUT ? NX_RS_FAILED : NX_RS_CANCELLED);
    else
        run_set(core, run, run->leaf_failed || run->finally_failed ? NX_RS_FAILED : NX_RS_SUCCESS);
}

void inst_spread(struct core *core)
{
    while (core->spread_first < core->spread.n || core->to_check.n) {
        if (core->spread_first == core->spread.n) {
            check_run(core, core->runs.at[vec_pop(&core->to_check)]);
            continue;
        }
        struct spread item = core->spread.at[core->spread_first++];
        struct run *run = core->runs.at[item.slot];
        const uint32_t *down = graph_down(run->version->graph, item.task);
        inst_count(run, item.task);
        for (uint32_t j = 0; j < task_of(run, item.task)->n_down; j++)
            inst_decide(core, run, down[j]);
        if (run->n_left == 0 || run->n_normal_left == 0)
            vec_push(&core->to_check, item.slot);
    }
    core->spread.n = core->spread_first = 0;
}
