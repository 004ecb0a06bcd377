#include "lib/base/must.h"
#include "scheduler/core/state.h"

void attempt_hold(struct core *core, struct worker *worker, struct run *run, uint32_t task,
                  uint64_t order)
{
    struct inst *inst = &run->insts[task];
    struct class *class = class_of(core, run, task);
    must(!(inst->flags & INST_HELD));
    inst->flags |= INST_HELD;
    inst->worker = worker->number;
    inst->hand = (uint32_t)worker->hands.n;
    struct hand hand = {.slot = run->slot, .task = task, .order = order, .progress = UINT16_MAX};
    vec_push(&worker->hands, hand);
    if (class->pool)
        class->pool->used += class->needs.pool_slots;
    if (class->limit)
        class->limit->used++;
    worker->memory_used += class->needs.memory_bytes;
    worker->gpus_used += class->needs.gpus;
    uint64_t key = ready_key(run, task);
    if (key > worker->least_urgent)
        worker->least_urgent = key;
}

/* Gives back what the lease held: pool, slot, memory. Exactly once: the flag says so. */
static void release(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    struct class *class = class_of(core, run, task);
    struct worker *worker = fleet_find(core, inst->worker);
    must(inst->flags & INST_HELD);
    inst->flags &= (uint8_t) ~(INST_HELD | INST_BACK);
    if (class->pool) {
        class->pool->used -= class->needs.pool_slots;
        must(class->pool->used >= 0);
    }
    if (class->limit) {
        must(class->limit->used > 0);
        class->limit->used--;
    }
    worker->memory_used -= class->needs.memory_bytes;
    worker->gpus_used -= class->needs.gpus;
    fleet_drop(core, worker, inst->hand);
}

void attempt_lease(struct core *core, struct worker *worker, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    must(inst->attempt < UINT16_MAX);
    inst->lease++;
    inst->attempt++;
    inst->started_ms = inst->finished_ms = 0;
    inst_set(core, run, task, NX_TS_LEASED, NX_WHY_PREFETCHED);
    uint64_t order = fleet_order(worker, WIRE_LEASE, run, task);
    attempt_hold(core, worker, run, task, order);
}

/* The delay before try number failures + 1: base, doubled each time if backoff is set, at most
 * max_retry_delay, and spread by +-jitter percent with a hash of the instance and try. */
int64_t attempt_retry_delay(const struct run *run, uint32_t task)
{
    const struct graph_task *spec = task_of(run, task);
    int64_t delay = spec->retry_delay_ms;
    uint32_t failures = run->insts[task].failures;
    if (spec->flags & GRAPH_BACKOFF) {
        int64_t most = spec->max_retry_delay_ms ? spec->max_retry_delay_ms : 86400000;
        for (uint32_t i = 1; i < failures && delay < most; i++)
            delay *= 2;
    }
    if (spec->max_retry_delay_ms && delay > spec->max_retry_delay_ms)
        delay = spec->max_retry_delay_ms;
    if (spec->jitter_percent && delay) {
        uint64_t inst = (uint64_t)task_at(run, task) + ((uint64_t)(map_at(run, task) + 1) << 32);
        uint64_t hash = hash_u64(hash_u64(run->id.v * 1000003 + inst) + failures);
        int64_t width = delay * spec->jitter_percent / 100;
        delay += (int64_t)(hash % (uint64_t)(2 * width + 1)) - width;
    }
    return delay;
}

bool attempt_elsewhere(const struct inst *inst)
{
    return inst->state == NX_TS_RETRYING && inst->reason != NX_WHY_RETRY_DELAY;
}

static bool may_retry(const struct graph_task *spec, const struct wire_result *result)
{
    if (result->flags & WIRE_RESULT_PERMANENT)
        return false;
    const struct graph_retry_on *only = spec->retry_on;
    if (!only)
        return true;
    for (size_t i = 0; i < only->n_exit_codes; i++) {
        if (result->exit_code == only->exit_codes[i])
            return true;
    }
    for (size_t i = 0; i < only->n_codes; i++) {
        if (result->code == only->codes[i])
            return true;
    }
    return false;
}

static void retry_in(struct core *core, struct run *run, uint32_t task, int64_t delay_ms,
                     enum nx_reason reason)
{
    inst_set(core, run, task, NX_TS_RETRYING, reason);
    timer_inst(core, run, task, core->mono_ms + delay_ms);
}

void attempt_failed(struct core *core, struct run *run, uint32_t task,
                    const struct wire_result *result, enum nx_reason reason)
{
    const struct graph_task *spec = task_of(run, task);
    struct inst *inst = &run->insts[task];
    bool possible = may_retry(spec, result);
    if (inst->failures < UINT16_MAX)
        inst->failures++;
    if (possible && inst->failures <= spec->retries) {
        retry_in(core, run, task, attempt_retry_delay(run, task), NX_WHY_RETRY_DELAY);
        return;
    }
    if (reason == NX_WHY_NONE)
        reason = result->outcome == NX_AO_TIMEOUT  ? NX_WHY_TIMEOUT
                 : result->outcome == NX_AO_MEMORY ? NX_WHY_MEMORY
                 : possible                        ? NX_WHY_ERROR
                                                   : NX_WHY_PERMANENT;
    inst_set(core, run, task, NX_TS_FAILED, reason);
}

void attempt_note_end(struct core *core, struct run *run, uint32_t task,
                      enum nx_attempt_outcome outcome, const struct wire_result *result)
{
    struct inst *inst = &run->insts[task];
    if (result && result->started_ms)
        inst->started_ms = result->started_ms;
    struct core_end end = {
        .inst = inst_id(run, task),
        .attempt = inst->attempt,
        .outcome = outcome,
        .worker = inst->worker,
        .started_ms = inst->started_ms,
        .finished_ms = result && result->finished_ms ? result->finished_ms : core->wall_ms,
        .result = result,
        .wait = (enum graph_wait)task_of(run, task)->wait,
    };
    vec_push(&core->update->ends, end);
}

void attempt_note_child(struct core *core, struct run *run, uint32_t task,
                        enum nx_attempt_outcome outcome, struct nx_run_id child,
                        enum nx_run_state state)
{
    attempt_note_end(core, run, task, outcome, NULL);
    struct core_end *end = &core->update->ends.at[core->update->ends.n - 1];
    end->child = child;
    end->child_state = state;
}

/* A lease that waited at its worker has done nothing to it: only started ones count, so that a task
 * that kills its workers does not take those behind it along. As a start is reported a little
 * late, there is a bound for all. */
static bool lost_for_good(const struct core *core, struct inst *inst, bool started)
{
    if (started && inst->losses < LOSSES_MAX)
        inst->losses++;
    if (inst->leases_lost < LOSSES_MAX)
        inst->leases_lost++;
    return inst->losses >= core->config.lost_limit || inst->leases_lost >= NX_LOST_UNSTARTED_LIMIT;
}

void attempt_stopped(struct core *core, struct run *run, uint32_t task)
{
    enum nx_reason reason = run->insts[task].reason;
    if (mapped_is_out(run, task)) {
        inst_clear(core, run, task);
        inst_set(core, run, task, NX_TS_REMOVED, NX_WHY_SHORTER);
        return;
    }
    switch (reason) {
    case NX_WHY_CLEARED:
        inst_clear(core, run, task);
        inst_decide(core, run, task);
        break;
    case NX_WHY_MARK_SUCCESS:
        inst_set(core, run, task, NX_TS_SUCCESS, NX_WHY_MARKED);
        break;
    case NX_WHY_MARK_FAILED:
        inst_set(core, run, task, NX_TS_FAILED, NX_WHY_MARKED);
        break;
    default:
        inst_set(core, run, task, NX_TS_CANCELLED, reason);
    }
}

/* Whether a success that arrives while it stops counts: a person's word about it was earlier. */
static bool success_counts(const struct run *run, uint32_t task)
{
    const struct inst *inst = &run->insts[task];
    if (mapped_is_out(run, task))
        return false;
    return inst->state != NX_TS_STOPPING || (inst->reason != NX_WHY_CLEARED && !inst_marked(inst));
}

void attempt_lost(struct core *core, struct run *run, uint32_t task, bool elsewhere,
                  const struct wire_result *result)
{
    struct inst *inst = &run->insts[task];
    bool stopping = inst->state == NX_TS_STOPPING;
    bool started = result != NULL || inst->state == NX_TS_RUNNING;
    attempt_note_end(core, run, task, stopping ? NX_AO_CANCELLED : NX_AO_LOST, result);
    release(core, run, task);
    bool wait = elsewhere && (task_of(run, task)->flags & GRAPH_EXCLUSIVE);
    int64_t wait_ms = core->config.lease_ttl_ms + core->config.grace_ms;
    if (stopping && wait)
        retry_in(core, run, task, wait_ms, inst->reason);
    else if (stopping)
        attempt_stopped(core, run, task);
    else if (lost_for_good(core, inst, started))
        inst_set(core, run, task, NX_TS_FAILED, NX_WHY_LOST);
    else if (wait)
        retry_in(core, run, task, wait_ms, NX_WHY_LOST_WAIT);
    else
        inst_queue(core, run, task);
}

void attempt_back(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    release(core, run, task);
    must(inst->attempt > 0);
    inst->attempt--; /* it was not started: the number is free again */
    if (inst->state == NX_TS_STOPPING) {
        attempt_stopped(core, run, task);
    } else {
        inst_set(core, run, task, NX_TS_QUEUED, NX_WHY_NEXT);
        inst_ready(core, run, task); /* queued since it first was */
    }
}

void attempt_result(struct core *core, struct run *run, uint32_t task,
                    const struct wire_result *result)
{
    struct inst *inst = &run->insts[task];
    enum nx_attempt_outcome outcome = result->outcome;
    if (outcome == NX_AO_LOST) {
        attempt_lost(core, run, task, false, result);
        return;
    }
    attempt_note_end(core, run, task, outcome, result);
    release(core, run, task);
    if (outcome == NX_AO_SUCCESS && success_counts(run, task)) {
        inst_set(core, run, task, NX_TS_SUCCESS, NX_WHY_NONE);
    } else if (inst->state == NX_TS_STOPPING) {
        attempt_stopped(core, run, task);
    } else if (outcome == NX_AO_SKIPPED) {
        inst_set(core, run, task, NX_TS_SKIPPED, NX_WHY_TASK_SKIPPED);
    } else if (outcome == NX_AO_CANCELLED) {
        inst_queue(core, run, task); /* its worker was told to leave: another one takes it */
    } else {
        attempt_failed(core, run, task, result, NX_WHY_NONE);
    }
}
