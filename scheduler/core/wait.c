/* Waiting without a slot: deferred instances. What an instance waits for is in its struct wait,
 * which inst->hand points to; what of it has to survive a restart is in the instance's row
 * (started_ms, due_ms) or follows from other rows (the run that it started). A look of a poke that
 * is under way is in no row: after a restart it is looked again. */
#include <string.h>

#include "lib/base/heap.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

static const uint8_t reasons[] = {
    [GRAPH_WAIT_FOR] = NX_WHY_WAIT_TIME,      [GRAPH_WAIT_UNTIL] = NX_WHY_WAIT_TIME,
    [GRAPH_WAIT_PERSON] = NX_WHY_WAIT_PERSON, [GRAPH_WAIT_POKE] = NX_WHY_WAIT_POKE,
    [GRAPH_WAIT_RUN] = NX_WHY_WAIT_RUN,       [GRAPH_WAIT_DATASET] = NX_WHY_WAIT_DATASET,
};

struct wait *wait_of(const struct core *core, const struct inst *inst)
{
    must(inst->state == NX_TS_DEFERRED && inst->hand < core->waits.n);
    return &core->waits.at[inst->hand];
}

/* A place for what the instance waits for. */
static struct wait *hold(struct core *core, struct run *run, uint32_t task)
{
    uint32_t place = (uint32_t)core->waits.n;
    if (core->free_waits.n)
        place = vec_pop(&core->free_waits);
    else
        vec_push(&core->waits, (struct wait){0});
    run->insts[task].hand = place;
    core->waits.at[place] = (struct wait){.slot = run->slot, .task = task, .used = true};
    return &core->waits.at[place];
}

static struct poke *poke_find(struct worker *worker, uint64_t number)
{
    for (size_t i = 0; i < worker->pokes.n; i++) {
        if (worker->pokes.at[i].number == number)
            return &worker->pokes.at[i];
    }
    return NULL;
}

/* The look is not under way any more. */
static void poke_drop(struct core *core, struct worker *worker, struct poke *poke)
{
    core->waits.at[poke->wait].poke = 0;
    *poke = vec_pop(&worker->pokes);
}

/* The instance is about to leave `deferred`; what it waited for is copied out. */
static struct wait release(struct core *core, struct inst *inst)
{
    struct wait *wait = wait_of(core, inst), was = *wait;
    if (wait->poke) {
        struct worker *worker = fleet_find(core, wait->worker);
        struct poke *poke = poke_find(worker, wait->poke);
        must(poke != NULL);
        poke_drop(core, worker, poke);
    }
    *wait = (struct wait){0};
    vec_push(&core->free_waits, inst->hand);
    inst->hand = 0;
    return was;
}

/* ---- The beginning ---- */

static void look_now(struct core *core, struct wait *wait)
{
    wait->queued = true;
    vec_push(&core->pokes, (uint32_t)(wait - core->waits.at));
}

static void wait_timeout(struct core *core, struct run *run, uint32_t task, int64_t left_ms)
{
    struct wait *wait = wait_of(core, &run->insts[task]);
    wait->timeout_mono = core->mono_ms + left_ms;
    timer_push(
        core, (struct timer){wait->timeout_mono, TIMER_WAIT, run->slot, task, (uint32_t)run->id.v});
}

static bool is_new_enough(const struct wait *wait)
{
    return wait->dataset->version && wait->dataset->event_ms >= wait->due_wall;
}

/* The wait is over when there is a version that is not older than since_wall. */
static void listen_to(struct core *core, struct wait *wait, const char *name, int64_t since_wall)
{
    struct dataset *dataset = dataset_get(core, name);
    wait->due_wall = since_wall;
    wait->dataset = dataset;
    vec_push(&dataset->waits, (uint32_t)(wait - core->waits.at));
    if (is_new_enough(wait) && !dataset->heard) {
        dataset->heard = true;
        vec_push(&core->heard, dataset);
    }
}

void wait_begin(struct core *core, struct run *run, uint32_t task, int64_t when_ms)
{
    const struct graph_task *spec = task_of(run, task);
    struct inst *inst = &run->insts[task];
    must(spec->wait != GRAPH_WAIT_NONE && inst->attempt < UINT16_MAX);
    inst_set(core, run, task, NX_TS_DEFERRED, (enum nx_reason)reasons[spec->wait]);
    inst->attempt++;
    inst->lease++; /* the fence of its looks */
    inst->worker = 0;
    inst->ready_ms = inst->started_ms = core->wall_ms;
    inst->finished_ms = 0;
    struct wait *wait = hold(core, run, task);
    if (spec->timeout_ms)
        wait_timeout(core, run, task, spec->timeout_ms);
    switch ((enum graph_wait)spec->wait) {
    case GRAPH_WAIT_FOR:
        wait->due_wall = core->wall_ms + when_ms;
        timer_inst(core, run, task, core->mono_ms + when_ms);
        break;
    case GRAPH_WAIT_UNTIL:
        wait->due_wall = when_ms;
        timer_wall(core, run, task, when_ms);
        break;
    case GRAPH_WAIT_POKE:
        look_now(core, wait);
        break;
    case GRAPH_WAIT_RUN:
        vec_push(&core->update->starts, ((struct core_start){inst_id(run, task), inst->attempt}));
        break;
    case GRAPH_WAIT_DATASET:
        listen_to(core, wait, spec->dataset, when_ms);
        break;
    default:
        break;
    }
}

/* ---- After a restart ---- */

static int64_t left_of(const struct core *core, int64_t due_wall, int64_t most)
{
    int64_t left = due_wall - core->wall_ms;
    return left < 0 ? 0 : left > most ? most : left;
}

void wait_resume(struct core *core, struct run *run, uint32_t task)
{
    const struct graph_task *spec = task_of(run, task);
    struct inst *inst = &run->insts[task];
    int64_t due_wall = inst->due_mono; /* as it was loaded */
    struct wait *wait = hold(core, run, task);
    inst->due_mono = 0;
    if (spec->timeout_ms)
        wait_timeout(core, run, task,
                     left_of(core, inst->started_ms + spec->timeout_ms, spec->timeout_ms));
    if (spec->wait == GRAPH_WAIT_FOR) {
        int64_t whole = due_wall - inst->started_ms;
        wait->due_wall = due_wall;
        timer_inst(core, run, task, core->mono_ms + left_of(core, due_wall, whole));
    } else if (spec->wait == GRAPH_WAIT_UNTIL) {
        wait->due_wall = due_wall;
        timer_wall(core, run, task, due_wall);
    } else if (spec->wait == GRAPH_WAIT_POKE) {
        look_now(core, wait);
    } else if (spec->wait == GRAPH_WAIT_DATASET) {
        listen_to(core, wait, spec->dataset, due_wall);
    }
}

/* The instance that started the run, while it waits for its end; else NULL. */
static struct inst *starter_of(const struct core *core, const struct run *run, struct run **parent)
{
    struct inst *inst = run->parent.run.v ? inst_find(core, run->parent, parent) : NULL;
    if (!inst || inst->state != NX_TS_DEFERRED || inst->reason != NX_WHY_WAIT_RUN)
        return NULL;
    return inst;
}

void wait_load_done(struct core *core)
{
    for (size_t i = 0; i < core->runs.n; i++) {
        struct run *run = core->runs.at[i], *parent;
        struct inst *inst = starter_of(core, run, &parent);
        if (inst && !nx_run_state_final(run->state))
            wait_of(core, inst)->child = run->id;
    }
}

/* ---- The end ---- */

static void end(struct core *core, struct run *run, uint32_t task, enum nx_attempt_outcome outcome,
                const struct wire_result *result)
{
    attempt_note_end(core, run, task, outcome, result);
    release(core, &run->insts[task]);
}

static void succeed(struct core *core, struct run *run, uint32_t task)
{
    end(core, run, task, NX_AO_SUCCESS, NULL);
    inst_set(core, run, task, NX_TS_SUCCESS, NX_WHY_NONE);
}

/* What it started goes with it, unless it was told to leave it. */
static void give_up_child(struct core *core, const struct run *run, uint32_t task,
                          struct nx_run_id child)
{
    if (child.v && !(task_of(run, task)->flags & GRAPH_LEAVES))
        vec_push(&core->to_stop, child);
}

void wait_stop(struct core *core, struct run *run, uint32_t task)
{
    struct nx_run_id child = wait_of(core, &run->insts[task])->child;
    attempt_note_child(core, run, task, NX_AO_CANCELLED, child, NX_RS_STOPPING);
    release(core, &run->insts[task]);
    give_up_child(core, run, task, child);
}

void wait_timed_out(struct core *core, struct run *run, uint32_t task, int64_t due_mono)
{
    struct inst *inst = &run->insts[task];
    if (inst->state != NX_TS_DEFERRED || wait_of(core, inst)->timeout_mono != due_mono)
        return;
    struct nx_run_id child = wait_of(core, inst)->child;
    attempt_note_child(core, run, task, NX_AO_TIMEOUT, child, NX_RS_STOPPING);
    release(core, inst);
    give_up_child(core, run, task, child);
    inst_set(core, run, task, NX_TS_FAILED, NX_WHY_TIMEOUT);
}

/* ---- Times ---- */

void wait_due(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    if (task_of(run, task)->wait == GRAPH_WAIT_POKE) {
        inst->due_mono = 0;
        look_now(core, wait_of(core, inst));
    } else {
        must(task_of(run, task)->wait == GRAPH_WAIT_FOR);
        succeed(core, run, task);
    }
}

void wait_due_wall(struct core *core, struct run *run, uint32_t task, int64_t due_wall)
{
    const struct inst *inst = &run->insts[task];
    if (inst->state == NX_TS_DEFERRED && task_of(run, task)->wait == GRAPH_WAIT_UNTIL &&
        wait_of(core, inst)->due_wall == due_wall)
        succeed(core, run, task);
}

/* ---- Datasets ---- */

void wait_heard(struct core *core)
{
    struct dataset *dataset = vec_pop(&core->heard);
    size_t n = dataset->waits.n, kept = 0;
    dataset->heard = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t place = dataset->waits.at[i];
        const struct wait *wait = &core->waits.at[place];
        if (wait->dataset != dataset)
            continue; /* it has ended, or its place is another's */
        if (is_new_enough(wait))
            succeed(core, core->runs.at[wait->slot], wait->task);
        else
            dataset->waits.at[kept++] = place;
    }
    must(dataset->waits.n == n); /* who begins to wait does so when its upstream is told */
    dataset->waits.n = kept;
}

/* ---- People ---- */

void wait_decided(struct core *core, const struct core_event *event)
{
    struct run *run;
    struct nx_inst_id id = event->approve.inst;
    const struct inst *inst = inst_find(core, id, &run);
    if (!inst || inst->state != NX_TS_DEFERRED || inst->reason != NX_WHY_WAIT_PERSON) {
        core_answer_to(core, event->token, id.run, NX_E_CONFLICT, "it does not wait for a person");
        return;
    }
    uint32_t task = inst_index(run, inst);
    bool yes = event->approve.approved;
    end(core, run, task, yes ? NX_AO_SUCCESS : NX_AO_FAILED, event->approve.result);
    inst_set(core, run, task, yes ? NX_TS_SUCCESS : NX_TS_FAILED,
             yes ? NX_WHY_NONE : NX_WHY_REJECTED);
    core_answer_to(core, event->token, id.run, NX_OK, "%s", "");
}

/* ---- Runs that a task starts ---- */

bool wait_wants_run(const struct core *core, const struct core_start *start)
{
    struct run *run;
    const struct inst *inst = inst_find(core, start->inst, &run);
    return inst && inst->state == NX_TS_DEFERRED && inst->reason == NX_WHY_WAIT_RUN &&
           inst->attempt == start->attempt && !wait_of(core, inst)->child.v;
}

void wait_run_began(struct core *core, const struct run *child)
{
    struct run *parent;
    struct inst *inst = starter_of(core, child, &parent);
    must(inst != NULL);
    uint32_t task = inst_index(parent, inst);
    wait_of(core, inst)->child = child->id;
    inst_dirty(core, parent, task);
    if (!(task_of(parent, task)->flags & GRAPH_DETACHED))
        return;
    attempt_note_child(core, parent, task, NX_AO_SUCCESS, child->id, child->state);
    release(core, inst);
    inst_set(core, parent, task, NX_TS_SUCCESS, NX_WHY_NONE);
}

void wait_run_ended(struct core *core, const struct run *child)
{
    struct run *parent;
    struct inst *inst = starter_of(core, child, &parent);
    if (!inst || wait_of(core, inst)->child.v != child->id.v)
        return;
    uint32_t task = inst_index(parent, inst);
    bool good = child->state == NX_RS_SUCCESS || (task_of(parent, task)->flags & GRAPH_ANY_END);
    attempt_note_child(core, parent, task, good ? NX_AO_SUCCESS : NX_AO_FAILED, child->id,
                       child->state);
    release(core, inst);
    const struct wire_result failure = {
        .outcome = NX_AO_FAILED,
        .code = child->state == NX_RS_CANCELLED ? NX_E_CANCELLED : NX_E_CONFLICT,
        .exit_code = -1,
    };
    if (good)
        inst_set(core, parent, task, NX_TS_SUCCESS, NX_WHY_NONE);
    else
        attempt_failed(core, parent, task, &failure, NX_WHY_RUN_FAILED);
}

void wait_start_failed(struct core *core, const struct core_event *event)
{
    struct run *run;
    const struct inst *inst = inst_find(core, event->start_failed.start.inst, &run);
    if (!wait_wants_run(core, &event->start_failed.start))
        return;
    uint32_t task = inst_index(run, inst);
    end(core, run, task, NX_AO_FAILED, event->start_failed.result);
    attempt_failed(core, run, task, event->start_failed.result, NX_WHY_NONE);
}

void wait_stop_children(struct core *core)
{
    while (core->to_stop.n) {
        struct run *child = run_find(core, vec_pop(&core->to_stop));
        if (child && (child->state == NX_RS_QUEUED || child->state == NX_RS_RUNNING))
            run_stop(core, child, NX_WHY_CANCEL);
    }
}

/* ---- Looks ---- */

static int64_t room(const struct worker *worker)
{
    if (!assign_available(worker) || worker->pokes.n >= NX_POKES_IN_HAND)
        return 0;
    return NX_POKES_IN_HAND - (int64_t)worker->pokes.n;
}

/* The worker with the fewest looks in hand; the first of equals. */
static struct worker *pick(const struct core *core, const struct class *class)
{
    struct worker *best = NULL;
    for (size_t i = 0; i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        if (room(worker) > 0 && assign_fits(worker, class) &&
            (!best || worker->pokes.n < best->pokes.n))
            best = worker;
    }
    return best;
}

static bool give_out(struct core *core, uint32_t place)
{
    struct wait *wait = &core->waits.at[place];
    struct run *run = core->runs.at[wait->slot];
    struct worker *worker = pick(core, class_of(core, run, wait->task));
    if (!worker)
        return false;
    wait->queued = false;
    wait->poke = core->config.epoch << 32 | ++core->n_pokes;
    wait->worker = worker->number;
    uint64_t order = fleet_order(worker, WIRE_POKE, run, wait->task);
    worker->orders.at[worker->orders.n - 1].poke = wait->poke;
    vec_push(&worker->pokes, ((struct poke){place, wait->poke, order, worker->mark}));
    return true;
}

void wait_turn(struct core *core)
{
    int64_t most = 0;
    size_t kept = 0;
    for (size_t i = 0; core->pokes.n && i < core->workers.n; i++)
        most += room(core->workers.at[i]);
    if (most == 0)
        return;
    for (size_t i = 0; i < core->pokes.n; i++) {
        uint32_t place = core->pokes.at[i];
        if (!core->waits.at[place].queued)
            continue; /* it has ended, or its place is another's */
        if (most > 0 && give_out(core, place))
            most--;
        else
            core->pokes.at[kept++] = place;
    }
    core->pokes.n = kept;
}

/* It has not been looked: again, as soon as somebody can. */
static void look_again(struct core *core, struct worker *worker, struct poke *poke)
{
    struct wait *wait = &core->waits.at[poke->wait];
    poke_drop(core, worker, poke);
    look_now(core, wait);
}

void wait_lose_worker(struct core *core, struct worker *worker)
{
    while (worker->pokes.n)
        look_again(core, worker, &worker->pokes.at[worker->pokes.n - 1]);
}

static void take_poke(struct core *core, struct worker *worker, const struct wire_poke *wire)
{
    struct poke *poke = poke_find(worker, wire->number);
    if (!poke)
        return; /* of an instance that does not wait any more, or of a former epoch */
    poke->mark = worker->mark;
    if (wire->state == WIRE_POKE_HAND)
        return;
    const struct wait *wait = &core->waits.at[poke->wait];
    struct run *run = core->runs.at[wait->slot];
    uint32_t task = wait->task;
    poke_drop(core, worker, poke);
    if (wire->state == WIRE_POKE_NOT_YET) {
        timer_inst(core, run, task, core->mono_ms + task_of(run, task)->every_ms);
    } else if (wire->result.outcome == NX_AO_SUCCESS) {
        end(core, run, task, NX_AO_SUCCESS, &wire->result);
        inst_set(core, run, task, NX_TS_SUCCESS, NX_WHY_NONE);
    } else {
        end(core, run, task, NX_AO_FAILED, &wire->result);
        attempt_failed(core, run, task, &wire->result, NX_WHY_NONE);
    }
}

void wait_report(struct core *core, struct worker *worker, const struct wire_report *report,
                 uint64_t seen)
{
    for (uint32_t i = 0; i < report->n_pokes; i++)
        take_poke(core, worker, &report->pokes[i]);
    for (size_t i = worker->pokes.n; i-- > 0;) {
        struct poke *poke = &worker->pokes.at[i];
        if (poke->mark != worker->mark && poke->order <= seen)
            look_again(core, worker, poke);
    }
}
