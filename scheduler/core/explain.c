#include <stdio.h>
#include <string.h>

#include "lib/base/time.h"
#include "scheduler/core/state.h"

/* A list of names, cut when it grows long. */
static void add_name(char *text, size_t size, const char *name)
{
    size_t n = strlen(text);
    if (n + strlen(name) + 8 > size) {
        if (!(n >= 3 && strcmp(text + n - 3, "...") == 0))
            snprintf(text + n, size - n, ", ...");
        return;
    }
    snprintf(text + n, size - n, "%s%s", n ? ", " : "", name);
}

/* Where the instance of that id is in the run before: now, or when it was looked up. */
static enum nx_task_state past_state(const struct core *core, const struct run *run, uint32_t task)
{
    const struct run *before = run_find(core, run->past.run);
    int64_t there = before ? graph_find(before->version->graph, task_of(run, task)->id) : -1;
    return there >= 0 ? before->insts[there].state : run->insts[task].hand;
}

static void why_past(const struct core *core, const struct run *run, uint32_t task,
                     struct core_why *why)
{
    char when[TIME_TEXT_MAX], remedy[2 * NX_ID_MAX + 256] = "";
    const char *id = task_of(run, task)->id;
    unsigned long long before = run->past.run.v;
    if (run->insts[task].reason == NX_WHY_ASKED) {
        snprintf(why->text, sizeof why->text,
                 "what became of it in the run before is being looked up (depends_on_past)");
        return;
    }
    enum nx_task_state state = past_state(core, run, task);
    if (nx_task_state_final(state))
        snprintf(
            remedy, sizeof remedy,
            ": `nexus runs clear %llu %s` runs it again there, `nexus runs mark %llu %s --state "
            "success` lets it pass",
            before, id, before, id);
    why->code = NX_WHY_PAST;
    snprintf(why->text, sizeof why->text,
             "depends_on_past: it waits until it is success or skipped in run %llu, that of the "
             "interval before (from %s), where it is %s%s",
             before, time_format(when, run->past.start_ms), nx_task_state_name(state), remedy);
}

static void why_waiting(const struct core *core, const struct run *run, uint32_t task,
                        struct core_why *why)
{
    if (past_waits(&run->insts[task])) {
        why_past(core, run, task, why);
        return;
    }
    const struct graph_task *spec = task_of(run, task);
    const uint32_t *up = graph_up(run->version->graph, task);
    char names[256] = "";
    if ((spec->flags & GRAPH_FINALLY) && !run->finally_begun) {
        why->code = NX_WHY_FINALLY;
        snprintf(why->text, sizeof why->text,
                 "it runs when everything else of the run is final; %u task%s not",
                 run->n_normal_left, run->n_normal_left == 1 ? " is" : "s are");
        return;
    }
    uint32_t n = 0;
    for (uint32_t j = 0; j < spec->n_up; j++) {
        const struct inst *inst = &run->insts[up[j]];
        if (nx_task_state_final(inst->state))
            continue;
        char name[NX_ID_MAX + 32];
        snprintf(name, sizeof name, "%s (%s)", task_of(run, up[j])->id,
                 nx_task_state_name(inst->state));
        add_name(names, sizeof names, name);
        n++;
    }
    why->code = NX_WHY_UPSTREAM;
    snprintf(why->text, sizeof why->text, "its trigger rule %s waits for %u of %u upstream: %s",
             nx_rule_name(spec->rule), n, spec->n_up, names);
}

/* Who holds slots of the pool, or counts against the limit. */
static void add_holders(const struct core *core, const struct pool *pool, const struct limit *limit,
                        char *names, size_t size)
{
    for (size_t w = 0; w < core->workers.n; w++) {
        const struct worker *worker = core->workers.at[w];
        for (size_t h = 0; h < worker->hands.n; h++) {
            const struct run *run = core->runs.at[worker->hands.at[h].slot];
            uint32_t task = worker->hands.at[h].task;
            const struct class *class = class_of(core, run, task);
            char name[2 * NX_ID_MAX + 64];
            if (pool ? class->pool != pool : class->limit != limit)
                continue;
            snprintf(name, sizeof name, "%s of run %llu", task_of(run, task)->id,
                     (unsigned long long)run->id.v);
            if (limit) /* it may be of another DAG */
                snprintf(name, sizeof name, "%s of run %llu of %s", task_of(run, task)->id,
                         (unsigned long long)run->id.v, run->dag->id);
            add_name(names, size, name);
        }
    }
}

static void why_limit(const struct core *core, const struct class *class, struct core_why *why)
{
    char names[256] = "";
    add_holders(core, NULL, class->limit, names, sizeof names);
    why->code = NX_WHY_CONCURRENCY;
    snprintf(why->text, sizeof why->text,
             "%u of concurrency key '%s' run, and at most %u may at once: %s", class->limit->used,
             class->limit->key, class->limit->most, names[0] ? names : "nobody");
}

static void why_pool(const struct core *core, const struct class *class, struct core_why *why)
{
    const struct pool *pool = class->pool;
    if (pool->slots < 0) {
        why->code = NX_WHY_POOL_MISSING;
        snprintf(why->text, sizeof why->text,
                 "pool '%s' does not exist: `nexus pool set %s SLOTS` makes it", pool->name,
                 pool->name);
        return;
    }
    char names[256] = "";
    add_holders(core, pool, NULL, names, sizeof names);
    why->code = NX_WHY_POOL;
    snprintf(why->text, sizeof why->text,
             "pool '%s' has %lld of %lld slots taken and it needs %u; in it: %s", pool->name,
             (long long)pool->used, (long long)pool->slots, class->needs.pool_slots,
             names[0] ? names : "nobody");
}

/* What the class asks of a worker beyond a slot; its queue when it asks nothing else. */
static void add_needs(char *text, size_t size, const struct graph_class *needs)
{
    char one[NX_NAME_MAX + 32];
    if (needs->memory_bytes > 0) {
        snprintf(one, sizeof one, "%lld MiB of memory", (long long)(needs->memory_bytes >> 20));
        add_name(text, size, one);
    }
    if (needs->gpus > 0) {
        snprintf(one, sizeof one, "%u gpu%s", needs->gpus, needs->gpus == 1 ? "" : "s");
        add_name(text, size, one);
    }
    if (!needs->script)
        add_name(text, size, "this version's operators");
    if (!text[0] || strcmp(needs->queue, "default") != 0) {
        snprintf(one, sizeof one, "queue '%s'", needs->queue);
        add_name(text, size, one);
    }
}

static void why_worker(const struct core *core, const struct class *class, struct core_why *why)
{
    size_t available = 0, fitting = 0, draining = 0;
    char needs[256] = "";
    for (size_t i = 0; i < core->workers.n; i++) {
        const struct worker *worker = core->workers.at[i];
        available += assign_available(worker);
        fitting += assign_available(worker) && assign_fits(worker, class);
        draining += worker->known && !worker->lost && worker->drain;
    }
    if (!available) {
        why->code = NX_WHY_NO_WORKER;
        snprintf(why->text, sizeof why->text, "no worker takes tasks: %zu known, %zu draining",
                 core->workers.n, draining);
    } else if (!fitting) {
        why->code = NX_WHY_NO_FIT;
        add_needs(needs, sizeof needs, &class->needs);
        snprintf(why->text, sizeof why->text,
                 "none of the workers online (%zu) has what it needs: %s", available, needs);
    } else {
        why->code = class->why == NX_WHY_NO_SLOT ? NX_WHY_NO_SLOT : NX_WHY_NEXT;
        snprintf(why->text, sizeof why->text,
                 why->code == NX_WHY_NO_SLOT
                     ? "all slots of the %zu fitting worker%s are taken"
                     : "%zu worker%s can take it: the next turn gives it away",
                 fitting, fitting == 1 ? "" : "s");
    }
}

static void why_queued(const struct core *core, const struct run *run, uint32_t task,
                       struct core_why *why)
{
    const struct class *class = class_of(core, run, task);
    const struct pool *pool = class->pool;
    if (pool && (pool->slots < 0 || pool->used + class->needs.pool_slots > pool->slots))
        why_pool(core, class, why);
    else if (class->limit && class->limit->used >= class->limit->most)
        why_limit(core, class, why);
    else
        why_worker(core, class, why);
}

static void why_retrying(const struct core *core, const struct run *run, uint32_t task,
                         struct core_why *why)
{
    const struct inst *inst = &run->insts[task];
    char when[TIME_TEXT_MAX];
    time_format(when, core->wall_ms + (inst->due_mono - core->mono_ms));
    if (attempt_elsewhere(inst))
        snprintf(why->text, sizeof why->text,
                 "attempt %u was lost and may still run on its worker; as it is exclusive, it %s "
                 "at %s",
                 inst->attempt,
                 inst->reason == NX_WHY_LOST_WAIT ? "starts again"
                 : inst->reason == NX_WHY_CLEARED ? "is cleared"
                 : inst_marked(inst)              ? "is marked"
                                                  : "is cancelled",
                 when);
    else
        snprintf(why->text, sizeof why->text, "attempt %u failed; attempt %u starts at %s",
                 inst->attempt, inst->attempt + 1u, when);
}

static void why_held(const struct core *core, const struct run *run, uint32_t task,
                     struct core_why *why)
{
    const struct inst *inst = &run->insts[task];
    const struct worker *worker = fleet_find(core, inst->worker);
    const char *form = inst->state == NX_TS_RUNNING ? "attempt %u runs on worker '%s'%s"
                       : inst->state == NX_TS_STOPPING && inst->reason == NX_WHY_CLEARED
                           ? "it was cleared: attempt %u is being stopped on '%s' first%s"
                       : inst->state == NX_TS_STOPPING && inst_marked(inst)
                           ? "it was marked: attempt %u is being stopped on '%s' first%s"
                       : inst->state == NX_TS_STOPPING ? "attempt %u is being stopped on '%s'%s"
                                                       : "attempt %u waits for a slot of '%s'%s";
    snprintf(why->text, sizeof why->text, form, inst->attempt, worker->id,
             worker->known ? "" : ", which has not reported since the scheduler started");
}

size_t core_explain(const struct core *core, struct nx_inst_id id, struct core_why *why, size_t n)
{
    struct run *run;
    const struct inst *inst = inst_find(core, id, &run);
    if (!inst || !n)
        return 0;
    *why = (struct core_why){.code = inst->reason, .since_ms = inst->ready_ms};
    if (run->rest) {
        why->code = NX_WHY_CLEARED;
        snprintf(why->text, sizeof why->text,
                 "its run was opened again, and its tasks are being changed: %u of %u so far",
                 run->rest->next, run->rest->row.n);
        return 1;
    }
    if (run->state == NX_RS_QUEUED) {
        why->code = NX_WHY_RUN_QUEUED;
        why->since_ms = run->created_ms;
        snprintf(why->text, sizeof why->text,
                 "its run waits: %u run%s of '%s' %s active, which is max_active_runs",
                 run->dag->n_active, run->dag->n_active == 1 ? "" : "s", run->dag->id,
                 run->dag->n_active == 1 ? "is" : "are");
        return 1;
    }
    switch ((enum nx_task_state)inst->state) {
    case NX_TS_WAITING:
        why_waiting(core, run, id.task, why);
        break;
    case NX_TS_DECIDING:
        snprintf(why->text, sizeof why->text, "its `if` is being evaluated");
        break;
    case NX_TS_QUEUED:
        why_queued(core, run, id.task, why);
        break;
    case NX_TS_RETRYING:
        why_retrying(core, run, id.task, why);
        break;
    case NX_TS_LEASED:
    case NX_TS_RUNNING:
    case NX_TS_STOPPING:
        why_held(core, run, id.task, why);
        break;
    default:
        snprintf(why->text, sizeof why->text, "it has ended: %s (%s)",
                 nx_task_state_name(inst->state), nx_reason_name(inst->reason));
        why->since_ms = inst->finished_ms;
        break;
    }
    return 1;
}
