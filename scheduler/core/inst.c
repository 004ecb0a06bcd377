#include "lib/base/must.h"
#include "scheduler/core/state.h"
#include "scheduler/graph/rule.h"

struct nx_inst_id inst_id(const struct run *run, uint32_t at)
{
    return (struct nx_inst_id){run->id, task_at(run, at), map_at(run, at)};
}

struct inst *inst_find(const struct core *core, struct nx_inst_id id, struct run **run)
{
    struct run *found = run_find(core, id.run);
    if (!found || id.task >= found->version->graph->n_tasks)
        return NULL;
    uint32_t at = mapped_find(found, id.task, id.map);
    if (at == NO_INST)
        return NULL;
    *run = found;
    return &found->insts[at];
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
static bool follows_from_absence(const struct run *run, uint32_t at)
{
    const struct inst *inst = &run->insts[at];
    if (!inst_rowless(inst) || (inst->flags & INST_ANSWERED))
        return false;
    if (past_counts(run, at) && (inst->state == NX_TS_QUEUED || inst->state == NX_TS_DECIDING))
        return false; /* that its past let it run is not asked again */
    return inst->state == NX_TS_WAITING || inst->state == NX_TS_QUEUED ||
           inst->state == NX_TS_DECIDING || inst->state == NX_TS_CANCELLED;
}

/* Somebody wants to know. */
static void tell(struct core *core, const struct run *run, uint32_t at)
{
    const struct inst *inst = &run->insts[at];
    bool retry = inst->state == NX_TS_RETRYING && inst->reason == NX_WHY_RETRY_DELAY;
    bool end = (inst->state == NX_TS_SUCCESS || inst->state == NX_TS_FAILED) &&
               inst->reason != NX_WHY_MARKED;
    if (retry || end)
        vec_push(&core->update->changes,
                 ((struct core_change){inst_id(run, at), (enum nx_task_state)inst->state,
                                       (enum nx_reason)inst->reason, inst->attempt}));
}

void inst_set(struct core *core, struct run *run, uint32_t at, enum nx_task_state state,
              enum nx_reason reason)
{
    struct inst *inst = &run->insts[at];
    bool ended = nx_task_state_final(state), had_ended = nx_task_state_final(inst->state);
    bool last = (task_of(run, at)->flags & GRAPH_FINALLY) != 0;
    must(nx_task_move_legal(inst->state, state));
    if (!stands_aside(run, at)) {
        must(run->counts[inst->state] > 0);
        run->counts[inst->state]--;
    }
    core->moves[inst->state][state]++;
    inst->state = (uint8_t)state;
    inst->reason = (uint8_t)reason;
    inst->due_mono = 0;
    run->counts[state] += !stands_aside(run, at);
    run->n_left = run->n_left + had_ended - ended;
    run->n_normal_left = run->n_normal_left + (had_ended && !last) - (ended && !last);
    if (ended) {
        must(!(inst->flags & INST_HELD));
        inst->hand = 0;
        inst->finished_ms = core->wall_ms;
        if (at != task_at(run, at))
            run->insts[task_at(run, at)].finished_ms = core->wall_ms;
        if (!stands_aside(run, at))
            vec_push(&core->spread, ((struct spread){run->slot, at}));
        else if (run->n_left == 0 || run->n_normal_left == 0)
            vec_push(&core->to_check, run->slot); /* all items had ended before */
    }
    if (task_of(run, at)->flags & GRAPH_TOLD)
        tell(core, run, at);
    run_dirty(core, run);
    if (!follows_from_absence(run, at))
        inst_dirty(core, run, at);
    if (ended != had_ended)
        mapped_count(core, run, at, ended);
    if (state == NX_TS_SUCCESS && reason != NX_WHY_MARKED) /* what a person says wrote nothing */
        dataset_produced(core, run, at);
    if (ended)
        past_ended(core, run, at);
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

void inst_queue(struct core *core, struct run *run, uint32_t at)
{
    inst_set(core, run, at, NX_TS_QUEUED, NX_WHY_NEXT);
    run->insts[at].ready_ms = core->wall_ms;
    if (mapped_admitted(run, at))
        inst_ready(core, run, at);
}

void inst_begin(struct core *core, struct run *run, uint32_t at, int64_t when_ms)
{
    if (task_of(run, at)->wait == GRAPH_WAIT_CHOICE)
        choice_end(core, run, at, NULL);
    else if (task_of(run, at)->wait)
        wait_begin(core, run, at, when_ms);
    else
        inst_queue(core, run, at);
}

static bool asks_if(const struct run *run, uint32_t at)
{
    const struct graph_task *spec = task_of(run, at);
    if (!(spec->flags & GRAPH_IF) || (run->insts[at].flags & INST_ANSWERED))
        return false;
    if (!spec->map)
        return true;
    bool grouped = run->version->graph->maps[spec->map - 1].n > 1;
    return mapped_own(run, at) == !(grouped || (spec->flags & GRAPH_IF_EACH));
}

unsigned inst_asks(const struct run *run, uint32_t at)
{
    unsigned what = asks_if(run, at) ? CORE_ASK_IF : 0;
    if (mapped_own(run, at))
        return what ? what : CORE_ASK_LIST;
    if ((task_of(run, at)->flags & GRAPH_ASK) && !(run->insts[at].flags & INST_ANSWERED))
        what |= CORE_ASK_WITH;
    return what;
}

void inst_ask(struct core *core, struct run *run, uint32_t at)
{
    run->insts[at].hand = ++core->n_asks;
    vec_push(&core->asks, ((struct core_ask){inst_id(run, at), core->n_asks, run->version->id,
                                             inst_asks(run, at)}));
}

/* Its past lets it run: what else has to be asked before it does? */
static void begin(struct core *core, struct run *run, uint32_t at)
{
    unsigned what = inst_asks(run, at);
    if (!what) {
        inst_begin(core, run, at, 0);
        return;
    }
    must(what != CORE_ASK_LIST || !mapping_of(run, at)->n); /* else it stood aside */
    if (run->insts[at].state != NX_TS_DECIDING)
        inst_set(core, run, at, NX_TS_DECIDING, NX_WHY_ASKED);
    inst_ask(core, run, at);
}

/* Its trigger rule says run. */
static void go(struct core *core, struct run *run, uint32_t at, bool past_asked)
{
    if (past_asked || !past_counts(run, at))
        begin(core, run, at);
    else if (!past_waits(&run->insts[at]))
        past_ask(core, run, at);
}

static void decide(struct core *core, struct run *run, uint32_t at, bool past_asked)
{
    const struct graph_task *spec = task_of(run, at);
    struct inst *inst = &run->insts[at];
    bool last = (spec->flags & GRAPH_FINALLY) != 0;
    if (inst->state != NX_TS_WAITING || (last && !run->finally_begun))
        return;
    if (run->state != NX_RS_RUNNING && !(run->state == NX_RS_STOPPING && last))
        return;
    struct rule_counts counts = {mapped_n_up(run, at), inst->up_success, inst->up_failed,
                                 inst->up_skipped, (inst->flags & INST_UP_SELF) != 0};
    switch (rule_decide((enum nx_trigger_rule)spec->rule, &counts)) {
    case RULE_WAIT:
        inst->reason = NX_WHY_NONE; /* it was cleared above: its past does not matter yet */
        break;
    case RULE_RUN:
        go(core, run, at, past_asked);
        break;
    case RULE_SKIP:
        inst_set(core, run, at, NX_TS_SKIPPED,
                 choice_skipper(run, at) != NO_INST ? NX_WHY_NOT_CHOSEN : NX_WHY_RULE);
        break;
    case RULE_UPSTREAM_FAILED:
        inst_set(core, run, at, NX_TS_UPSTREAM_FAILED, NX_WHY_RULE);
        break;
    }
}

void inst_decide(struct core *core, struct run *run, uint32_t at)
{
    decide(core, run, at, false);
}

void inst_decide_now(struct core *core, struct run *run, uint32_t at)
{
    decide(core, run, at, true);
}

static void expand(struct core *core, struct run *run, uint32_t map, uint32_t n)
{
    must(core->spread_first == core->spread.n);
    mapped_expand(core, run, map, n);
    mapped_decide(core, run, map);
}

void inst_answer(struct core *core, const struct core_event *event)
{
    struct run *run;
    struct nx_inst_id id = event->answer.inst;
    struct inst *inst = inst_find(core, id, &run);
    bool past = inst && inst->state == NX_TS_WAITING && inst->reason == NX_WHY_ASKED;
    if (!inst || !(past || inst->state == NX_TS_DECIDING) || inst->hand != event->answer.number)
        return; /* cancelled or cleared meanwhile */
    uint32_t at = inst_index(run, inst), n = event->answer.n;
    unsigned what = inst_asks(run, at);
    if (past) {
        past_answer(core, run, at, event);
        return;
    }
    inst->flags |= INST_ANSWERED;
    switch (event->answer.answer) {
    case CORE_TRUE:
        if (mapped_own(run, at)) {
            inst_dirty(core, run, at); /* it goes on deciding */
            begin(core, run, at);
        } else if (task_of(run, at)->wait == GRAPH_WAIT_CHOICE) {
            choice_end(core, run, at, event);
        } else {
            inst_begin(core, run, at, event->answer.when_ms);
        }
        break;
    case CORE_FALSE:
        must(what & CORE_ASK_IF);
        inst_set(core, run, at, NX_TS_SKIPPED, NX_WHY_IF_FALSE);
        break;
    case CORE_LIST:
        must(what == CORE_ASK_LIST);
        if (n)
            expand(core, run, task_of(run, at)->map - 1, n);
        else
            inst_set(core, run, at, NX_TS_SKIPPED, NX_WHY_EMPTY_LIST);
        break;
    case CORE_ERROR:
        inst_set(core, run, at, NX_TS_FAILED,
                 what == CORE_ASK_LIST ? NX_WHY_LIST_ERROR : NX_WHY_IF_ERROR);
        break;
    case CORE_WITH_ERROR:
        inst_set(core, run, at, NX_TS_FAILED, NX_WHY_WITH_ERROR);
        break;
    }
}

void inst_clear(struct core *core, struct run *run, uint32_t at)
{
    struct inst *inst = &run->insts[at];
    bool row = (inst->flags & INST_ROW) != 0;
    inst->flags &= (uint8_t) ~(INST_ANSWERED | INST_BLANK);
    inst->failures = 0;
    inst->losses = inst->leases_lost = 0;
    inst->ready_ms = inst->started_ms = inst->finished_ms = 0;
    inst_set(core, run, at, NX_TS_WAITING, NX_WHY_NONE);
    if (row)
        vec_push(&core->update->cleared, inst_id(run, at));
}

void inst_add_up(struct inst *inst, enum nx_task_state state)
{
    if (state == NX_TS_REMOVED)
        return;
    if (state == NX_TS_SUCCESS)
        inst->up_success++;
    else if (state == NX_TS_SKIPPED)
        inst->up_skipped++;
    else /* also cancelled, which only a finally task can see */
        inst->up_failed++;
    if (state == NX_TS_FAILED || state == NX_TS_CANCELLED)
        inst->flags |= INST_UP_SELF;
}

void inst_count(struct run *run, uint32_t at)
{
    enum nx_task_state state = run->insts[at].state;
    const struct graph *graph = run->version->graph;
    uint32_t task = task_at(run, at), other;
    const uint32_t *down = graph_down(graph, task);
    bool leaf = (graph->tasks[task].flags & GRAPH_LEAF) != 0;
    bool last = (graph->tasks[task].flags & GRAPH_FINALLY) != 0;
    if (state == NX_TS_FAILED || state == NX_TS_UPSTREAM_FAILED) {
        run->leaf_failed = run->leaf_failed || leaf;
        run->finally_failed = run->finally_failed || (last && state == NX_TS_FAILED);
    }
    for (uint32_t j = 0; j < graph->tasks[task].n_down; j++) {
        struct needing all = mapped_needing(run, at, down[j]);
        enum nx_task_state seen = choice_seen(run, at, down[j]);
        while (mapped_next(&all, &other))
            inst_add_up(&run->insts[other], seen);
    }
}

static void decide_down(struct core *core, struct run *run, uint32_t at)
{
    const struct graph *graph = run->version->graph;
    uint32_t task = task_at(run, at), other;
    for (uint32_t j = 0; j < graph->tasks[task].n_down; j++) {
        struct needing all = mapped_needing(run, at, graph_down(graph, task)[j]);
        while (mapped_next(&all, &other))
            inst_decide(core, run, other);
    }
}

/* Everything of the run but its finally tasks is final. */
static void begin_finally(struct core *core, struct run *run)
{
    uint32_t n = run->n_insts; /* those that come are decided when they do */
    run->finally_begun = true;
    if (!run->version->graph->n_finally)
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (task_of(run, i)->flags & GRAPH_FINALLY)
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
    while (core->spread_first < core->spread.n || core->to_check.n || core->to_stop.n ||
           core->heard.n) {
        if (core->heard.n) {
            wait_heard(core);
            continue;
        }
        if (core->to_stop.n) {
            wait_stop_children(core);
            continue;
        }
        if (core->spread_first == core->spread.n) {
            check_run(core, core->runs.at[vec_pop(&core->to_check)]);
            continue;
        }
        struct spread item = core->spread.at[core->spread_first++];
        struct run *run = core->runs.at[item.slot];
        inst_count(run, item.at);
        decide_down(core, run, item.at);
        if (run->n_left == 0 || run->n_normal_left == 0)
            vec_push(&core->to_check, item.slot);
    }
    core->spread.n = core->spread_first = 0;
}
