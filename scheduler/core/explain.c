#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
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

/* The instance's name: "task" or "task[3]". */
static void name_inst(char *to, size_t size, const struct run *run, uint32_t at)
{
    if (map_at(run, at) == NX_MAP_NONE)
        snprintf(to, size, "%s", task_of(run, at)->id);
    else
        snprintf(to, size, "%s[%d]", task_of(run, at)->id, map_at(run, at));
}

/* Names an upstream task, or the instance of the same index, unless it has ended. */
static uint32_t add_upstream(char *names, size_t size, const struct run *run, uint32_t at,
                             uint32_t up)
{
    uint32_t along = mapped_along(run, at, up), left = 0, other;
    char name[NX_ID_MAX + 64], what[NX_ID_MAX + 16];
    name_inst(what, sizeof what, run, along);
    if (!stands_aside(run, along)) {
        left = !nx_task_state_final(run->insts[along].state);
        snprintf(name, sizeof name, "%s (%s)", what, nx_task_state_name(run->insts[along].state));
    } else {
        struct needing all = mapped_needing(run, up, up);
        while (mapped_next(&all, &other))
            left += !nx_task_state_final(run->insts[other].state);
        snprintf(name, sizeof name, "%s (%u of %u)", what, left, mapping_of(run, up)->n);
    }
    if (left)
        add_name(names, size, name);
    return left;
}

static void why_run_queued(const struct core *core, const struct run *run, struct core_why *why)
{
    const struct dag *dag = run->dag;
    char names[160] = "", one[32];
    uint32_t n = 0;
    for (size_t i = 0; i < core->runs.n && n < dag->n_active; i++) {
        const struct run *other = core->runs.at[i];
        if (!other || other->dag != dag || other->backfill ||
            (other->state != NX_RS_RUNNING && other->state != NX_RS_STOPPING))
            continue;
        n++;
        snprintf(one, sizeof one, "%llu", (unsigned long long)other->id.v);
        add_name(names, sizeof names, one);
    }
    why->code = NX_WHY_RUN_QUEUED;
    if (run_rests(run)) {
        why->code = NX_WHY_PAUSED;
        snprintf(why->text, sizeof why->text,
                 "its run was scheduled, and DAG '%s' is paused: `nexus dag unpause %s` lets it "
                 "begin",
                 dag->id, dag->id);
        return;
    }
    snprintf(why->text, sizeof why->text,
             "its run waits: %u run%s of '%s' %s active (%s), which is max_active_runs",
             dag->n_active, dag->n_active == 1 ? "" : "s", dag->id,
             dag->n_active == 1 ? "is" : "are", names);
}

/* Where the task of that id is in the run before: now, or when it was looked up. */
static enum nx_task_state past_state(const struct core *core, const struct run *run, uint32_t task)
{
    const struct run *before = run_find(core, run->past.run);
    int64_t there = before ? graph_find(before->version->graph, task_of(run, task)->id) : -1;
    return there >= 0 ? mapped_state(before, (uint32_t)there) : run->insts[task].hand;
}

/* Two ways on. What has not run because of others there would not run if it alone were cleared. */
static void past_remedy(char *to, size_t size, const struct run *run, uint32_t task,
                        enum nx_task_state state)
{
    const char *id = task_of(run, task)->id;
    unsigned long long before = run->past.run.v;
    char clear[NX_ID_MAX + 64], retry[64];
    snprintf(clear, sizeof clear, "`nexus runs clear %llu %s` runs it again there", before, id);
    snprintf(retry, sizeof retry, "`nexus runs retry %llu` runs there what failed or was cancelled",
             before);
    snprintf(to, size, ": %s, `nexus runs mark %llu %s --state success` lets it pass",
             state == NX_TS_FAILED ? clear : retry, before, id);
}

static void why_past(const struct core *core, const struct run *run, uint32_t task,
                     struct core_why *why)
{
    char when[TIME_TEXT_MAX], remedy[2 * NX_ID_MAX + 256] = "";
    if (run->insts[task].reason == NX_WHY_ASKED) {
        snprintf(why->text, sizeof why->text,
                 "what became of it in the run before is being looked up (depends_on_past)");
        return;
    }
    enum nx_task_state state = past_state(core, run, task);
    if (nx_task_state_final(state))
        past_remedy(remedy, sizeof remedy, run, task, state);
    why->code = NX_WHY_PAST;
    snprintf(why->text, sizeof why->text,
             "depends_on_past: it waits until it is success or skipped in run %llu, that of the "
             "interval before (from %s), where it is %s%s%s",
             (unsigned long long)run->past.run.v, time_format(when, run->past.start_ms),
             nx_task_state_name(state),
             run_find(core, run->past.run) ? "" : " and the run has ended", remedy);
}

static void why_waiting(const struct core *core, const struct run *run, uint32_t task,
                        struct core_why *why)
{
    if (past_waits(&run->insts[task])) {
        why_past(core, run, task, why);
        return;
    }
    const struct graph_task *spec = task_of(run, task);
    const uint32_t *up = graph_up(run->version->graph, task_at(run, task));
    char names[256] = "";
    if ((spec->flags & GRAPH_FINALLY) && !run->finally_begun) {
        why->code = NX_WHY_FINALLY;
        snprintf(why->text, sizeof why->text,
                 "it runs when everything else of the run is final; %u task%s not",
                 run->n_normal_left, run->n_normal_left == 1 ? " is" : "s are");
        return;
    }
    uint32_t n = 0;
    for (uint32_t j = 0; j < spec->n_up; j++)
        n += add_upstream(names, sizeof names, run, task, up[j]);
    why->code = NX_WHY_UPSTREAM;
    snprintf(why->text, sizeof why->text, "its trigger rule %s waits for %u of %u upstream: %s",
             nx_rule_name(spec->rule), n, mapped_n_up(run, task), names);
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
            char what[NX_ID_MAX + 16], name[2 * NX_ID_MAX + 64];
            if (pool ? class->pool != pool : class->limit != limit)
                continue;
            name_inst(what, sizeof what, run, task);
            snprintf(name, sizeof name, "%s of run %llu%s%s", what, (unsigned long long)run->id.v,
                     limit ? " of " : "", limit ? run->dag->id : ""); /* any DAG shares a key */
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

static void why_not_admitted(const struct run *run, uint32_t at, struct core_why *why)
{
    const struct mapping *mapping = mapping_of(run, task_at(run, at));
    uint32_t limit = run->version->graph->maps[task_of(run, at)->map - 1].max_parallel;
    char indexes[256] = "", one[16];
    for (uint32_t i = 0; i < mapping->open.n; i++) {
        if (!mapping->admitted.at[i])
            continue;
        snprintf(one, sizeof one, "%u", i);
        add_name(indexes, sizeof indexes, one);
    }
    why->code = NX_WHY_MAX_PARALLEL;
    snprintf(why->text, sizeof why->text, "max_parallel of %u is reached; in progress: index%s %s",
             limit, limit == 1 ? "" : "es", indexes);
}

static void why_queued(const struct core *core, const struct run *run, uint32_t task,
                       struct core_why *why)
{
    if (!mapped_admitted(run, task)) {
        why_not_admitted(run, task, why);
        return;
    }
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

/* ", and fails at T" when the wait is bounded. */
static const char *until(const struct core *core, const struct wait *wait, char *to, size_t size)
{
    char when[TIME_TEXT_MAX];
    to[0] = 0;
    if (wait->timeout_mono)
        snprintf(to, size, "; it fails at %s",
                 time_format(when, core->wall_ms + (wait->timeout_mono - core->mono_ms)));
    return to;
}

static void why_look(const struct core *core, const struct run *run, uint32_t task,
                     const struct wait *wait, struct core_why *why)
{
    const struct inst *inst = &run->insts[task];
    char when[TIME_TEXT_MAX], end[TIME_TEXT_MAX + 32], every[32];
    until(core, wait, end, sizeof end);
    str_format_duration(every, sizeof every, task_of(run, task)->every_ms);
    if (wait->poke) {
        snprintf(why->text, sizeof why->text,
                 "waits, without a slot, for what it looks for every %s; worker '%s' is looking "
                 "now%s",
                 every, fleet_find(core, wait->worker)->id, end);
    } else if (inst->due_mono) {
        time_format(when, core->wall_ms + (inst->due_mono - core->mono_ms));
        snprintf(why->text, sizeof why->text,
                 "waits, without a slot, for what it looks for every %s; the next look is at %s%s",
                 every, when, end);
    } else {
        struct core_why worker = {.code = NX_WHY_NONE};
        why_worker(core, class_of(core, run, task), &worker);
        bool none = worker.code == NX_WHY_NO_WORKER || worker.code == NX_WHY_NO_FIT;
        snprintf(why->text, sizeof why->text, "its next look is due%s%.300s%s",
                 none ? ", but " : " and comes as soon as a worker has room for it",
                 none ? worker.text : "", end);
    }
}

static void why_dataset(const struct wait *wait, const char *end, struct core_why *why)
{
    const struct dataset *dataset = wait->dataset;
    char since[TIME_TEXT_MAX], last[TIME_TEXT_MAX];
    time_format(since, wait->due_wall);
    if (dataset->version)
        snprintf(why->text, sizeof why->text,
                 "waits, without a slot, for a version of dataset '%s' of %s or later; the last, "
                 "%llu, is of %s%s",
                 dataset->name, since, (unsigned long long)dataset->version,
                 time_format(last, dataset->event_ms), end);
    else
        snprintf(why->text, sizeof why->text,
                 "waits, without a slot, for a version of dataset '%s' of %s or later; there is "
                 "none yet%s",
                 dataset->name, since, end);
}

static void why_deferred(const struct core *core, const struct run *run, uint32_t task,
                         struct core_why *why)
{
    const struct wait *wait = wait_of(core, &run->insts[task]);
    const struct run *child = wait->child.v ? run_find(core, wait->child) : NULL;
    char when[TIME_TEXT_MAX], end[TIME_TEXT_MAX + 32], map[16] = "";
    struct nx_inst_id id = inst_id(run, task);
    until(core, wait, end, sizeof end);
    if (id.map != NX_MAP_NONE)
        snprintf(map, sizeof map, "[%d]", id.map);
    switch ((enum graph_wait)task_of(run, task)->wait) {
    case GRAPH_WAIT_PERSON:
        snprintf(why->text, sizeof why->text,
                 "waits for a person: `nexus approve %llu %s%s`, or with --reject%s",
                 (unsigned long long)run->id.v, task_of(run, task)->id, map, end);
        break;
    case GRAPH_WAIT_POKE:
        why_look(core, run, task, wait, why);
        break;
    case GRAPH_WAIT_RUN:
        if (child)
            snprintf(why->text, sizeof why->text, "waits for run %llu of '%s', which is %s%s",
                     (unsigned long long)child->id.v, child->dag->id,
                     nx_run_state_name((enum nx_run_state)child->state), end);
        else
            snprintf(why->text, sizeof why->text, "its run is being started");
        break;
    case GRAPH_WAIT_DATASET:
        why_dataset(wait, end, why);
        break;
    default:
        time_format(when, wait->due_wall);
        snprintf(why->text, sizeof why->text, "waits, without a slot, until %s%s", when, end);
        break;
    }
}

static void why_ended(const struct run *run, uint32_t at, struct core_why *why)
{
    const struct inst *inst = &run->insts[at];
    const char *state = nx_task_state_name(inst->state);
    char name[NX_ID_MAX + 16];
    uint32_t skipper = inst->reason == NX_WHY_NOT_CHOSEN ? choice_skipper(run, at) : NO_INST;
    if (skipper != NO_INST) {
        name_inst(name, sizeof name, run, skipper);
        snprintf(why->text, sizeof why->text, "it has ended: %s, as %s left it out", state, name);
    } else {
        snprintf(why->text, sizeof why->text, "it has ended: %s (%s)", state,
                 nx_reason_name(inst->reason));
    }
}

size_t core_explain(const struct core *core, struct nx_inst_id id, struct core_why *why, size_t n)
{
    struct run *run;
    const struct inst *inst = inst_find(core, id, &run);
    if (!inst || !n)
        return 0;
    uint32_t at = inst_index(run, inst);
    *why = (struct core_why){.code = inst->reason, .since_ms = inst->ready_ms};
    if (run->rest) {
        why->code = NX_WHY_CLEARED;
        snprintf(why->text, sizeof why->text,
                 "its run was opened again, and its tasks are being changed: %u of %u so far",
                 run->rest->next, run->rest->row.n);
        return 1;
    }
    if (run->state == NX_RS_QUEUED) {
        why->since_ms = run->created_ms;
        why_run_queued(core, run, why);
        return 1;
    }
    switch ((enum nx_task_state)inst->state) {
    case NX_TS_WAITING:
        why_waiting(core, run, at, why);
        break;
    case NX_TS_DECIDING:
        snprintf(why->text, sizeof why->text, "%s is being evaluated",
                 inst_asks(run, at) & CORE_ASK_IF     ? "its `if`"
                 : inst_asks(run, at) & CORE_ASK_LIST ? "its `for_each`"
                                                      : "what it waits for");
        break;
    case NX_TS_QUEUED:
        why_queued(core, run, at, why);
        break;
    case NX_TS_DEFERRED:
        why_deferred(core, run, inst_index(run, inst), why);
        break;
    case NX_TS_RETRYING:
        why_retrying(core, run, at, why);
        break;
    case NX_TS_LEASED:
    case NX_TS_RUNNING:
    case NX_TS_STOPPING:
        why_held(core, run, at, why);
        break;
    default:
        why_ended(run, at, why);
        why->since_ms = inst->finished_ms;
        break;
    }
    return 1;
}
