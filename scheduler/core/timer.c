#include "lib/base/heap.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

/* A binary heap by due time; equal times by kind and subject, so that order never depends on
 * history. A timer is not removed when its reason goes away: it is checked when it is due. */

static bool sooner(const void *a, const void *b)
{
    const struct timer *x = a, *y = b;
    if (x->due_mono != y->due_mono)
        return x->due_mono < y->due_mono;
    if (x->kind != y->kind)
        return x->kind < y->kind;
    if (x->c != y->c)
        return x->c < y->c;
    return x->a != y->a ? x->a < y->a : x->b < y->b;
}

void timer_push(struct core *core, struct timer timer)
{
    vec_push(&core->timers, timer);
    heap_push(core->timers.at, core->timers.n, sizeof timer, sooner);
}

static struct timer pop(struct core *core)
{
    struct timer first = core->timers.at[0];
    heap_pop(core->timers.at, core->timers.n--, sizeof first, sooner);
    return first;
}

void timer_inst(struct core *core, struct run *run, uint32_t task, int64_t due_mono)
{
    run->insts[task].due_mono = due_mono;
    timer_push(core, (struct timer){due_mono, TIMER_INST, run->slot, task, (uint32_t)run->id.v});
}

void timer_run(struct core *core, struct run *run, int64_t due_mono)
{
    run->due_mono = due_mono;
    timer_push(core, (struct timer){due_mono, TIMER_RUN, run->slot, 0, (uint32_t)run->id.v});
}

void timer_wall(struct core *core, struct run *run, uint32_t task, int64_t due_wall)
{
    struct timer timer = {due_wall, TIMER_WAIT, run->slot, task, (uint32_t)run->id.v};
    vec_push(&core->walls, timer);
    heap_push(core->walls.at, core->walls.n, sizeof timer, sooner);
}

static void inst_due(struct core *core, struct run *run, const struct timer *timer)
{
    uint32_t task = timer->b;
    struct inst *inst = &run->insts[task];
    if (inst->due_mono != timer->due_mono)
        return;
    if (attempt_elsewhere(inst) && inst->reason != NX_WHY_LOST_WAIT)
        attempt_stopped(core, run, task);
    else if (inst->state == NX_TS_RETRYING)
        inst_begin(core, run, task, 0);
    else if (inst->state == NX_TS_DEFERRED)
        wait_due(core, run, task);
    else if (inst->state == NX_TS_QUEUED)
        inst_set(core, run, task, NX_TS_FAILED, NX_WHY_QUEUE_TIMEOUT);
}

static void run_due(struct core *core, struct run *run, const struct timer *timer)
{
    if (run->due_mono == timer->due_mono && run->state == NX_RS_RUNNING)
        run_stop(core, run, NX_WHY_RUN_TIMEOUT);
}

/* The run that the timer is of; NULL: it has ended, and the slot may be another's. */
static struct run *run_of(const struct core *core, const struct timer *timer)
{
    must(timer->a < core->runs.n);
    struct run *run = core->runs.at[timer->a];
    bool same = run && (uint32_t)run->id.v == timer->c && !nx_run_state_final(run->state);
    return same ? run : NULL;
}

static void walls_turn(struct core *core)
{
    while (core->walls.n && core->walls.at[0].due_mono <= core->wall_ms) {
        struct timer timer = core->walls.at[0];
        heap_pop(core->walls.at, core->walls.n--, sizeof timer, sooner);
        struct run *run = run_of(core, &timer);
        if (run)
            wait_due_wall(core, run, timer.b, timer.due_mono);
    }
}

void timer_turn(struct core *core)
{
    walls_turn(core);
    while (core->timers.n && core->timers.at[0].due_mono <= core->mono_ms) {
        struct timer timer = pop(core);
        if (timer.kind == TIMER_WORKER) {
            fleet_timer(core, timer.a);
        } else if (timer.kind == TIMER_LISTEN) {
            fleet_listen_timer(core, timer.a);
        } else {
            struct run *run = run_of(core, &timer);
            if (!run)
                continue;
            if (timer.kind == TIMER_INST)
                inst_due(core, run, &timer);
            else if (timer.kind == TIMER_WAIT)
                wait_timed_out(core, run, timer.b, timer.due_mono);
            else if (timer.kind == TIMER_LATE)
                late_due(core, run, timer.due_mono);
            else
                run_due(core, run, &timer);
        }
    }
}
