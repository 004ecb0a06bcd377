/* What must hold after every step, commit and send: told from the rules, not from the core. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

void sim_fail(struct sim *sim, const char *what, const char *format, ...)
{
    va_list args;
    if (sim->broken)
        return;
    sim->broken = what;
    va_start(args, format);
    vsnprintf(sim->detail, sizeof sim->detail, format, args);
    va_end(args);
}

bool sim_in_core(const struct sim *sim, const struct sim_run *run)
{
    struct core_run_row row;
    return core_get_run(sim->core, run->row.id, &row);
}

struct sim_run *sim_run_find(struct sim *sim, struct nx_run_id id)
{
    return id.v && id.v <= sim->store.runs.n ? sim->store.runs.at[id.v - 1] : NULL;
}

static const struct graph *graph_of(const struct sim *sim, const struct sim_run *run)
{
    return sim->graphs[run->dag];
}

static struct nx_inst_id id_of(const struct sim_run *run, uint32_t slot)
{
    return sim_at_slot(run->row.id, slot);
}

/* From slot on, the next one that can be an instance of the run. */
static bool next_slot(const struct sim *sim, const struct sim_run *run, uint32_t *slot)
{
    const struct graph *graph = graph_of(sim, run);
    for (; *slot < graph->n_tasks * (1 + SIM_MAP_MAX); ++*slot) {
        if (id_of(run, *slot).map == NX_MAP_NONE || graph->tasks[*slot / (1 + SIM_MAP_MAX)].map)
            return true;
    }
    return false;
}

static const struct graph_task *spec_of(const struct sim *sim, const struct sim_run *run,
                                        uint32_t slot)
{
    return &graph_of(sim, run)->tasks[id_of(run, slot).task];
}

static bool held(enum nx_task_state state)
{
    return state == NX_TS_LEASED || state == NX_TS_RUNNING || state == NX_TS_STOPPING;
}

/* ---- Rules, as the semantics page has them ---- */

struct may {
    bool run, skip, fail;
};

/* u: those of f that are upstream_failed. */
static struct may rule_says(enum nx_trigger_rule rule, int n, int s, int f, int k, int u)
{
    bool done = s + f + k == n;
    if (n == 0)
        return (struct may){.run = true};
    switch (rule) {
    case NX_TR_ALL_SUCCESS:
        return (struct may){s == n, k > 0, f > 0};
    case NX_TR_ALL_FAILED:
        return (struct may){f == n, s + k > 0, false};
    case NX_TR_ALL_DONE:
        return (struct may){done, false, false};
    case NX_TR_ALL_DONE_MIN_ONE_SUCCESS:
        return (struct may){done && k == 0 && s > 0, k > 0, done && s == 0};
    case NX_TR_ALL_SKIPPED:
        return (struct may){k == n, s + f > 0, false};
    case NX_TR_ONE_FAILED:
        return (struct may){f > 0, done && f == 0, false};
    case NX_TR_ONE_SUCCESS:
        return (struct may){s > 0, k == n, done && s == 0 && k < n};
    case NX_TR_ONE_DONE:
        return (struct may){s + f - u > 0, k + u == n, false};
    case NX_TR_NONE_FAILED:
        return (struct may){s + k == n, false, f > 0};
    case NX_TR_NONE_FAILED_MIN_ONE_SUCCESS:
        return (struct may){s + k == n && s > 0, k == n, f > 0};
    case NX_TR_NONE_SKIPPED:
        return (struct may){done && k == 0, k > 0, false};
    default:
        return (struct may){true, false, false};
    }
}

struct tally {
    int n, s, f, k, u;
    int left_out; /* of k: successes that chose others */
};

static void add_to(const struct sim *sim, struct nx_inst_id id, uint32_t down, struct tally *tally)
{
    struct core_inst_row up;
    if (!core_get_inst(sim->core, id, &up) || up.state == NX_TS_REMOVED)
        return;
    bool out = sim_left_out(sim, &up, down);
    tally->n++;
    tally->s += up.state == NX_TS_SUCCESS && !out;
    tally->k += up.state == NX_TS_SKIPPED || out;
    tally->left_out += out;
    tally->u += up.state == NX_TS_UPSTREAM_FAILED;
    tally->f += up.state == NX_TS_FAILED || up.state == NX_TS_UPSTREAM_FAILED ||
                up.state == NX_TS_CANCELLED;
}

/* All instances of the upstream count, or, in one group, that of the same index. */
static struct tally tally_up(const struct sim *sim, const struct sim_run *run, struct nx_inst_id id)
{
    const struct graph *graph = graph_of(sim, run);
    struct tally tally = {0};
    for (uint32_t j = 0; j < graph->tasks[id.task].n_up; j++) {
        struct nx_inst_id up = {id.run, graph_up(graph, id.task)[j], NX_MAP_NONE};
        struct core_inst_row own;
        bool many = core_get_inst(sim->core, up, &own) && own.state == NX_TS_REMOVED;
        bool along =
            graph->tasks[id.task].map && graph->tasks[id.task].map == graph->tasks[up.task].map;
        if (!many) {
            add_to(sim, up, id.task, &tally);
        } else if (along && id.map != NX_MAP_NONE) {
            up.map = id.map;
            add_to(sim, up, id.task, &tally);
        } else {
            uint32_t list = core_get_list(sim->core, id.run, up.task);
            for (up.map = 0; (uint32_t)up.map < list; up.map++)
                add_to(sim, up, id.task, &tally);
        }
    }
    return tally;
}

static void check_decision(struct sim *sim, const struct sim_run *run, uint32_t slot,
                           const struct core_inst_row *row)
{
    const struct graph_task *spec = spec_of(sim, run, slot);
    if (row->state == NX_TS_CANCELLED || row->reason == NX_WHY_MARKED)
        return;
    struct tally t = tally_up(sim, run, id_of(run, slot));
    struct may may = rule_says((enum nx_trigger_rule)spec->rule, t.n, t.s, t.f, t.k, t.u);
    bool out = row->reason == NX_WHY_NOT_CHOSEN, by_rule = row->reason == NX_WHY_RULE || out;
    if (out)
        sim_count(sim, SEEN_LEFT_OUT);
    /* It knows of the choice, unless it was decided already by those that have really skipped. */
    struct may without =
        rule_says((enum nx_trigger_rule)spec->rule, t.n, t.s, t.f, t.k - t.left_out, t.u);
    if (row->state == NX_TS_SKIPPED && by_rule && (out ? !t.left_out : !without.skip))
        sim_fail(sim, "who was not chosen knows it", "run %llu %s: %d",
                 (unsigned long long)run->row.id.v, spec->id, t.left_out);
    oracle_past(sim, run, row);
    bool right = row->state == NX_TS_UPSTREAM_FAILED      ? may.fail
                 : row->state == NX_TS_SKIPPED && by_rule ? may.skip
                                                          : may.run;
    if (!right)
        sim_fail(
            sim, "a decision follows from the trigger rule",
            "run %llu %s[%d]: %s with n=%d success=%d failed=%d (%d upstream) skipped=%d became %s",
            (unsigned long long)run->row.id.v, spec->id, id_of(run, slot).map,
            nx_rule_name(spec->rule), t.n, t.s, t.f, t.u, t.k, nx_task_state_name(row->state));
}

/* ---- Steps ---- */

/* What a person has said of an attempt that runs holds against what it ends with. */
static void check_stopped(struct sim *sim, const struct sim_run *run, uint32_t task,
                          const struct core_inst_row *row)
{
    bool said =
        run->shadow_why[task] == NX_WHY_CLEARED || run->shadow_why[task] == NX_WHY_MARK_FAILED;
    if (run->shadow[task] == NX_TS_STOPPING && said && row->state == NX_TS_SUCCESS &&
        row->reason != NX_WHY_MARKED)
        sim_fail(sim, "a person's word about an attempt is not overruled by its end",
                 "run %llu task %u", (unsigned long long)run->row.id.v, task);
}

void sim_progress(char text[SIM_PROGRESS_MAX], uint32_t lease)
{
    snprintf(text, SIM_PROGRESS_MAX, "of lease %u", lease);
}

static void check_progress(struct sim *sim, const struct sim_run *run, uint32_t task,
                           const struct core_inst_row *row)
{
    char expected[SIM_PROGRESS_MAX];
    const char *text;
    (void)core_progress(sim->core, id_of(run, task), &text);
    if (!text)
        return;
    sim_progress(expected, row->lease);
    if (!held(row->state) || strcmp(text, expected) != 0)
        sim_fail(sim, "progress is that of the lease that is held",
                 "run %llu task %u: '%s' not '%s'", (unsigned long long)run->row.id.v, task, text,
                 expected);
}

/* A task that stands aside has an instance for every item of its list. */
static void check_list(struct sim *sim, const struct sim_run *run, uint32_t slot)
{
    struct nx_inst_id id = id_of(run, slot);
    uint32_t n = core_get_list(sim->core, run->row.id, id.task);
    struct core_inst_row row;
    if (!n || n > SIM_MAP_MAX)
        sim_fail(sim, "a task stands aside for the items of a list", "run %llu task %u: %u",
                 (unsigned long long)run->row.id.v, id.task, n);
    for (id.map = 0; (uint32_t)id.map < n; id.map++) {
        if (!core_get_inst(sim->core, id, &row) || row.state == NX_TS_REMOVED)
            sim_fail(sim, "every item of a list has its instance", "run %llu task %u[%d]",
                     (unsigned long long)run->row.id.v, id.task, id.map);
    }
}

static void look_at_run(struct sim *sim, struct sim_run *run)
{
    if (!sim_in_core(sim, run))
        return;
    for (uint32_t slot = 0; next_slot(sim, run, &slot); slot++) {
        struct core_inst_row row;
        struct core_why why;
        if (!core_get_inst(sim->core, id_of(run, slot), &row))
            continue;
        bool changed = run->shadow[slot] != row.state || run->shadow_why[slot] != row.reason;
        bool waited = run->shadow[slot] == NX_TS_WAITING || run->shadow[slot] == NX_TS_REMOVED;
        if (waited && row.state != NX_TS_WAITING && row.state != NX_TS_REMOVED)
            check_decision(sim, run, slot, &row);
        if (run->shadow[slot] == NX_TS_STOPPING && row.state == NX_TS_SUCCESS)
            sim_count(sim, SEEN_CANCEL_CROSSED_SUCCESS);
        if (row.state == NX_TS_REMOVED && id_of(run, slot).map == NX_MAP_NONE) {
            check_list(sim, run, slot);
            if (changed)
                sim_count(sim, SEEN_EXPANDED);
        }
        if (run->shadow[slot] == NX_TS_REMOVED && changed && id_of(run, slot).map == NX_MAP_NONE)
            sim_count(sim, SEEN_FOLDED);
        check_stopped(sim, run, slot, &row);
        oracle_waited(sim, run, slot, &row);
        check_progress(sim, run, slot, &row);
        run->shadow[slot] = (uint8_t)row.state;
        run->shadow_why[slot] = (uint8_t)row.reason;
        if (!changed && sim->n_events % 16 != 0)
            continue; /* what has not changed is asked for now and then */
        bool told = core_explain(sim->core, id_of(run, slot), &why, 1) == 1 && why.text[0];
        if (told && why.code == NX_WHY_MAX_PARALLEL)
            sim_count(sim, SEEN_NOT_ADMITTED);
        if (!told)
            sim_fail(sim, "every instance has an explanation", "run %llu task %u in %s",
                     (unsigned long long)run->row.id.v, slot, nx_task_state_name(row.state));
    }
}

static void check_core(struct sim *sim)
{
    const char *broken = core_check(sim->core);
    if (broken)
        sim_fail(sim, broken, "core_check");
}

void oracle_step(struct sim *sim)
{
    if (sim->n_events % 4 == 0) /* it takes the longest; each commit does it as well */
        check_core(sim);
    for (size_t i = 0; i < sim->store.runs.n; i++)
        look_at_run(sim, sim->store.runs.at[i]);
}

void oracle_loaded(struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        struct sim_run *run = sim->store.runs.at[i];
        for (uint32_t slot = 0; next_slot(sim, run, &slot); slot++) {
            struct core_inst_row row = {.state = NX_TS_WAITING};
            core_get_inst(sim->core, id_of(run, slot), &row);
            run->shadow[slot] = (uint8_t)row.state;
            run->shadow_why[slot] = (uint8_t)row.reason;
        }
    }
}

/* Whether a person changed it in this turn: then what was accepted may change. */
static bool touched(const struct sim *sim, struct nx_inst_id id)
{
    for (size_t i = 0; i < sim->edited.n; i++) {
        if (sim_same(sim->edited.at[i], id))
            return true;
    }
    for (size_t i = 0; i < sim->update.cleared.n; i++) {
        if (sim_same(sim->update.cleared.at[i], id))
            return true;
    }
    return false;
}

void oracle_ask(struct sim *sim, struct nx_inst_id id)
{
    const struct sim_run *run = sim_run_find(sim, id.run);
    if (run && !touched(sim, id) && run->insts[sim_slot(id)].present &&
        run->insts[sim_slot(id)].row.answered)
        sim_fail(sim, "a question is answered once", "run %llu task %u asked again",
                 (unsigned long long)id.run.v, id.task);
}

/* ---- Commits ---- */

static void check_end(struct sim *sim, const struct core_end *end)
{
    struct sim_run *run = sim_run_find(sim, end->inst.run);
    if (!run && end->wait)
        return; /* it began and ended in the turn in which its run was created */
    struct sim_inst *inst = &run->insts[sim_slot(end->inst)];
    const struct graph_task *spec = &graph_of(sim, run)->tasks[end->inst.task];
    sim->stats->outcomes[end->outcome]++;
    if (end->wait)
        oracle_wait_end(sim, end);
    else if (!inst->present || !held(inst->row.state)) {
        sim_fail(sim, "only a lease that was committed can end", "run %llu %s",
                 (unsigned long long)run->row.id.v, spec->id);
        return;
    }
    if (end->result && end->result->lease != inst->row.lease)
        sim_fail(sim, "a result counts only with the instance's last lease",
                 "run %llu %s: lease %u, last %u", (unsigned long long)run->row.id.v, spec->id,
                 end->result->lease, inst->row.lease);
    if (end->attempt <= inst->last_end_attempt)
        sim_fail(sim, "an attempt ends once", "run %llu %s attempt %u",
                 (unsigned long long)run->row.id.v, spec->id, end->attempt);
    inst->last_end_attempt = end->attempt;
    inst->n_ends++;
    bool failure = end->outcome == NX_AO_FAILED || end->outcome == NX_AO_TIMEOUT ||
                   end->outcome == NX_AO_MEMORY;
    if (touched(sim, end->inst)) /* perhaps before this failure */
        inst->n_failures = 0;
    inst->n_failures += failure;
    if (inst->n_failures > spec->retries + 1u)
        sim_fail(sim, "an instance fails at most 1 + retries times", "run %llu %s",
                 (unsigned long long)run->row.id.v, spec->id);
    if (end->outcome == NX_AO_LOST) {
        uint32_t w = 0;
        while (w < sim->store.n_workers && sim->store.workers[w].row.number != end->worker)
            w++;
        const struct sim_worker *worker = &sim->workers[sim->store.workers[w].id[1] - '0'];
        if (worker->faulted_at < inst->leased_at)
            sim_fail(sim, "a lease is lost only with its worker or child",
                     "run %llu %s lost on %s, whose last fault was before",
                     (unsigned long long)run->row.id.v, spec->id, sim->store.workers[w].id);
    }
}

/* It has ended in this turn and was opened again. */
static bool reopened(const struct sim *sim, struct nx_run_id run)
{
    struct core_run_row row;
    bool edited = false;
    for (size_t i = 0; i < sim->edited.n; i++)
        edited = edited || sim->edited.at[i].run.v == run.v;
    return edited && core_get_run(sim->core, run, &row) && row.state != NX_RS_STOPPING;
}

static void check_row(struct sim *sim, struct nx_inst_id id)
{
    struct sim_run *run = sim_run_find(sim, id.run);
    struct core_inst_row row;
    if (!run || !core_get_inst(sim->core, id, &row))
        return;
    const struct sim_inst *inst = &run->insts[sim_slot(id)];
    const struct graph_task *spec = &graph_of(sim, run)->tasks[id.task];
    bool removed = inst->row.state == NX_TS_REMOVED || row.state == NX_TS_REMOVED;
    if (inst->present && !removed && nx_task_state_final(inst->row.state) &&
        row.state != inst->row.state && !touched(sim, id))
        sim_fail(sim, "an accepted result is never changed", "run %llu %s: %s became %s",
                 (unsigned long long)id.run.v, spec->id, nx_task_state_name(inst->row.state),
                 nx_task_state_name(row.state));
    bool stopped = run->row.state == NX_RS_STOPPING && !(spec->flags & GRAPH_FINALLY) &&
                   !touched(sim, id); /* its run ended and was opened again in this very turn */
    bool waits = row.state == NX_TS_RETRYING && (spec->flags & GRAPH_EXCLUSIVE) &&
                 row.reason != NX_WHY_RETRY_DELAY && row.reason != NX_WHY_LOST_WAIT;
    if (stopped && row.state != NX_TS_STOPPING && !waits && !nx_task_state_final(row.state) &&
        !reopened(sim, id.run))
        sim_fail(sim, "nothing but finally tasks goes on in a stopped run", "run %llu %s: %s",
                 (unsigned long long)id.run.v, spec->id, nx_task_state_name(row.state));
    if (row.lease < inst->row.lease)
        sim_fail(sim, "lease numbers rise", "run %llu %s", (unsigned long long)id.run.v, spec->id);
}

static size_t count_changes(const struct sim *sim, struct nx_inst_id id, enum nx_task_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < sim->update.changes.n; i++) {
        const struct core_change *change = &sim->update.changes.at[i];
        n += sim_same(change->inst, id) && change->state == state;
    }
    return n;
}

/* Who wants to know of a task is told of each end that is committed, once, and of nothing else. */
static void check_told(struct sim *sim, struct nx_inst_id id)
{
    struct sim_run *run = sim_run_find(sim, id.run);
    struct core_inst_row row;
    if (!run || !core_get_inst(sim->core, id, &row) || touched(sim, id))
        return;
    const struct sim_inst *inst = &run->insts[sim_slot(id)];
    bool told = (graph_of(sim, run)->tasks[id.task].flags & GRAPH_TOLD) != 0;
    bool ended = row.state == NX_TS_SUCCESS || row.state == NX_TS_FAILED;
    bool news =
        ended && row.reason != NX_WHY_MARKED && !(inst->present && inst->row.state == row.state);
    size_t n = count_changes(sim, id, NX_TS_SUCCESS) + count_changes(sim, id, NX_TS_FAILED);
    if (n != (told && news) || (n && !count_changes(sim, id, row.state)))
        sim_fail(sim, "each end of a task is told once", "run %llu task %u is %s: %zu times",
                 (unsigned long long)id.run.v, id.task, nx_task_state_name(row.state), n);
    size_t retries = count_changes(sim, id, NX_TS_RETRYING);
    if (retries > (told ? inst->n_failures : 0u))
        sim_fail(sim, "a retry that is told follows a failure", "run %llu task %u",
                 (unsigned long long)id.run.v, id.task);
}

/* A run that has ended for the store is told of once. */
static void check_runs_told(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.runs_ended.n; i++) {
        struct core_run_row row;
        bool known = core_get_run(sim->core, sim->update.runs_ended.at[i], &row);
        if (!known || !nx_run_state_final(row.state))
            sim_fail(sim, "a run that is told of has ended", "run %llu",
                     (unsigned long long)sim->update.runs_ended.at[i].v);
    }
}

/* What was leased to a process that the scheduler did not know to be gone is lost with it. */
static void note_incarnations(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.workers.n; i++) {
        struct core_worker_row row;
        for (uint32_t w = 0; w < sim->store.n_workers; w++) {
            if (core_get_worker(sim->core, sim->update.workers.at[i], &row) &&
                sim->store.workers[w].row.number == row.number &&
                sim->store.workers[w].row.incarnation != row.incarnation)
                sim_faulted(&sim->workers[row.id[1] - '0'], sim->now);
        }
    }
}

void oracle_commit(struct sim *sim)
{
    check_core(sim);
    note_incarnations(sim);
    for (size_t i = 0; i < sim->update.cleared.n;
         i++) { /* one that waits may fail in this very turn */
        struct sim_run *run = sim_run_find(sim, sim->update.cleared.at[i].run);
        if (run)
            run->insts[sim->update.cleared.at[i].task].n_failures = 0;
    }
    for (size_t i = 0; i < sim->update.ends.n; i++)
        check_end(sim, &sim->update.ends.at[i]);
    for (size_t i = 0; i < sim->update.insts.n; i++)
        check_row(sim, sim->update.insts.at[i]);
    for (size_t i = 0; i < sim->update.insts.n; i++)
        check_told(sim, sim->update.insts.at[i]);
    check_runs_told(sim);
}

/* From the rows alone: at most max_parallel indexes of a map are at work. */
static void check_parallel(struct sim *sim, const struct sim_run *run)
{
    const struct graph *graph = graph_of(sim, run);
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        bool at_work[SIM_MAP_MAX] = {false};
        uint32_t n = 0, most = graph->maps[m].max_parallel;
        for (uint32_t slot = 0; next_slot(sim, run, &slot); slot++) {
            int32_t map = id_of(run, slot).map;
            if (map != NX_MAP_NONE && spec_of(sim, run, slot)->map == m + 1 &&
                run->insts[slot].present && held(run->insts[slot].row.state))
                at_work[map] = true;
        }
        for (uint32_t i = 0; i < SIM_MAP_MAX; i++)
            n += at_work[i];
        if (most && n > most)
            sim_fail(sim, "max_parallel holds", "run %llu map %u: %u",
                     (unsigned long long)run->row.id.v, m, n);
    }
}

/* The smallest limit for the key among the DAGs with runs that had begun to count before. */
static uint32_t key_limit(const struct sim *sim, const char *key)
{
    uint32_t most = UINT32_MAX;
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct graph *graph = graph_of(sim, sim->store.runs.at[i]);
        for (uint32_t c = 0; sim->store.runs.at[i]->was_unfinished && c < graph->n_classes; c++) {
            if (str_eq(graph->classes[c].concurrency, key) &&
                graph->classes[c].concurrency_limit < most)
                most = graph->classes[c].concurrency_limit;
        }
    }
    return most;
}

static void check_keys(struct sim *sim)
{
    static const char *const keys[SIM_KEYS] = {"key0", "key1"};
    uint32_t used[SIM_KEYS] = {0};
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        struct sim_run *run = sim->store.runs.at[i];
        const struct graph *graph = graph_of(sim, run);
        for (uint32_t slot = 0; next_slot(sim, run, &slot); slot++) {
            const char *key = graph->classes[spec_of(sim, run, slot)->class_index].concurrency;
            bool holds = run->insts[slot].present && held(run->insts[slot].row.state);
            for (int k = 0; holds && k < SIM_KEYS; k++)
                used[k] += str_eq(key, keys[k]);
        }
    }
    for (int k = 0; k < SIM_KEYS; k++) {
        uint32_t most = key_limit(sim, keys[k]);
        /* a smaller limit that came with a run lets nothing go until it fits */
        if (used[k] > most && used[k] > sim->store.key_used[k])
            sim_fail(sim, "a concurrency key is never held more often than its limit",
                     "%s is held by %u, limit %u", keys[k], used[k], most);
        sim->store.key_used[k] = used[k];
    }
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        struct sim_run *run = sim->store.runs.at[i];
        run->was_unfinished = !nx_run_state_final(run->row.state);
    }
}

static bool is_active(const struct sim_run *run)
{
    return run->row.state == NX_RS_RUNNING || run->row.state == NX_RS_STOPPING;
}

/* Runs that others wait for begin beyond max_active_runs. */
static void note_ahead(struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        struct sim_run *run = sim->store.runs.at[i];
        if (!is_active(run))
            run->ahead = false;
    }
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        struct core_past past = {0};
        struct nx_inst_id id = {run->row.id, 0, NX_MAP_NONE};
        bool waited = is_active(run) || (run->was_unfinished && run->row.started_ms);
        if (!graph_of(sim, run)->n_past || !waited) /* it may have ended later in this turn */
            continue;
        (void)sim_past_lets(sim, id, &past);
        struct sim_run *before = past.run.v ? sim_run_find(sim, past.run) : NULL;
        if (before && is_active(before))
            before->ahead = true;
    }
}

/* From the rows alone: who holds pools and workers. */
static void check_shares(struct sim *sim)
{
    static const char *const pools[SIM_POOLS] = {"pool0", "pool1"};
    int64_t used[SIM_POOLS] = {0};
    size_t on[SIM_WORKERS_MAX] = {0};
    uint32_t active[SIM_DAGS] = {0}, ahead[SIM_DAGS] = {0};
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        const struct graph *graph = graph_of(sim, run);
        active[run->dag] += !run->row.backfill && is_active(run);
        ahead[run->dag] += !run->row.backfill && run->ahead;
        if (nx_run_state_final(run->row.state))
            continue; /* oracle_run_end has seen that nothing is held */
        check_parallel(sim, run);
        for (uint32_t slot = 0; next_slot(sim, run, &slot); slot++) {
            const struct core_inst_row *row = &run->insts[slot].row;
            const struct graph_class *needs = &graph->classes[spec_of(sim, run, slot)->class_index];
            if (!run->insts[slot].present || !held(row->state))
                continue;
            for (int p = 0; needs->pool && p < SIM_POOLS; p++)
                used[p] += strcmp(needs->pool, pools[p]) == 0;
            for (uint32_t w = 0; w < sim->store.n_workers; w++)
                on[w] += sim->store.workers[w].row.number == row->worker;
        }
    }
    for (int p = 0; p < SIM_POOLS; p++) {
        /* one that was made smaller, or taken away, takes nothing until it fits */
        if (used[p] > sim->pool_slots[p] && used[p] > sim->store.pool_used[p])
            sim_fail(sim, "a pool is never overfull", "%s holds %lld", pools[p],
                     (long long)used[p]);
        sim->store.pool_used[p] = used[p];
    }
    for (uint32_t d = 0; d < SIM_DAGS; d++) {
        uint32_t most = sim->graphs[d]->max_active_runs;
        if (most && active[d] > most)
            sim_count(sim, SEEN_AHEAD);
        if (most && active[d] > most + ahead[d])
            sim_fail(sim, "max_active_runs holds", "%u runs of DAG %u", active[d], d);
    }
    for (uint32_t w = 0; w < sim->store.n_workers; w++) {
        struct core_worker_view view = {0};
        for (size_t i = 0; core_view_worker(sim->core, i, &view); i++) {
            if (view.number == sim->store.workers[w].row.number)
                break;
        }
        if (on[w] > sim->store.workers[w].held && on[w] > view.slots + view.prefetch)
            sim_fail(sim, "a worker gets no more than slots and prefetch",
                     "%s holds %zu of %u + %u", sim->store.workers[w].id, on[w], view.slots,
                     view.prefetch);
        sim->store.workers[w].held = on[w];
    }
}

void oracle_run_end(struct sim *sim, struct sim_run *run)
{
    bool leaf_failed = false, finally_failed = false;
    bool started = run->row.started_ms != 0;
    for (uint32_t slot = 0; next_slot(sim, run, &slot); slot++) {
        struct sim_inst *inst = &run->insts[slot];
        const struct graph_task *spec = spec_of(sim, run, slot);
        bool says = inst->present && inst->row.state != NX_TS_WAITING;
        enum nx_task_state state = says ? inst->row.state : NX_TS_CANCELLED;
        bool last = (spec->flags & GRAPH_FINALLY) != 0;
        bool bad = state == NX_TS_FAILED || state == NX_TS_UPSTREAM_FAILED;
        leaf_failed = leaf_failed || (bad && (spec->flags & GRAPH_LEAF));
        finally_failed = finally_failed || (last && state == NX_TS_FAILED);
        if (!nx_task_state_final(state))
            sim_fail(sim, "a run ends when all its instances have", "run %llu %s[%d] is %s",
                     (unsigned long long)run->row.id.v, spec->id, id_of(run, slot).map,
                     nx_task_state_name(state));
        if (id_of(run, slot).map != NX_MAP_NONE)
            continue;
        inst->never_begun = !started || (inst->never_begun && inst->present);
        if (last && started && state == NX_TS_CANCELLED && !inst->never_begun)
            sim_fail(sim, "finally tasks are decided even after a cancel", "run %llu %s",
                     (unsigned long long)run->row.id.v, spec->id);
    }
    enum nx_run_state expected =
        run->row.reason == NX_WHY_CANCEL || run->row.reason == NX_WHY_OVERLAP ? NX_RS_CANCELLED
        : run->row.reason == NX_WHY_RUN_TIMEOUT                               ? NX_RS_FAILED
        : leaf_failed || finally_failed                                       ? NX_RS_FAILED
                                                                              : NX_RS_SUCCESS;
    if (run->row.state != expected)
        sim_fail(sim, "a run's outcome follows from its leaves", "run %llu is %s, not %s",
                 (unsigned long long)run->row.id.v, nx_run_state_name(run->row.state),
                 nx_run_state_name(expected));
    sim->stats->run_ends[run->row.state]++;
}

void oracle_committed(struct sim *sim)
{
    note_ahead(sim);
    check_shares(sim);
    check_keys(sim);
    oracle_late(sim);
    oracle_backfills(sim);
    for (size_t i = 0; i < sim->update.runs.n; i++) {
        struct sim_run *run = sim_run_find(sim, sim->update.runs.at[i]);
        if (run && nx_run_state_final(run->row.state))
            oracle_run_end(sim, run);
    }
}

/* ---- Sends ---- */

void oracle_received(struct sim *sim, const struct wire_report *report)
{
    for (uint32_t i = 0; i < report->n_results; i++) {
        const struct wire_result *result = &report->results[i];
        struct core_inst_row row;
        if (core_get_inst(sim->core, result->inst, &row) &&
            (row.lease != result->lease || row.state == NX_TS_QUEUED))
            sim_count(sim, SEEN_STALE_RESULT);
    }
}

void oracle_sent(struct sim *sim, const struct wire_reply *reply)
{
    for (uint32_t i = 0; i < reply->n_orders; i++) {
        const struct wire_order *order = &reply->orders[i];
        if (!wire_starts(order->kind))
            continue;
        struct sim_run *run = sim_run_find(sim, order->inst.run);
        struct sim_inst *inst = run ? &run->insts[sim_slot(order->inst)] : NULL;
        bool waits = inst && graph_of(sim, run)->tasks[order->inst.task].wait == GRAPH_WAIT_POKE;
        if (waits != (order->kind == WIRE_POKE))
            sim_fail(sim, "who waits is looked for, and nobody else", "run %llu task %u",
                     (unsigned long long)order->inst.run.v, order->inst.task);
        if (inst && order->kind == WIRE_LEASE && inst->sent_lease == order->lease &&
            inst->sent_epoch != reply->epoch)
            sim_count(sim, SEEN_ORDERED_AGAIN);
        if (inst) {
            inst->sent_lease = order->lease;
            inst->sent_epoch = reply->epoch;
        }
        if (!inst || !inst->present || inst->row.lease < order->lease)
            sim_fail(sim, "a lease is durable before it is sent", "run %llu task %u lease %u",
                     (unsigned long long)order->inst.run.v, order->inst.task, order->lease);
    }
}

/* ---- Executions: the real world's side ---- */

void oracle_execution(struct sim *sim, struct nx_inst_id id)
{
    const struct sim_run *run = sim_run_find(sim, id.run);
    if (!run) {
        sim_fail(sim, "only committed runs are executed", "run %llu", (unsigned long long)id.run.v);
        return;
    }
    if (!(graph_of(sim, run)->tasks[id.task].flags & GRAPH_EXCLUSIVE))
        return;
    int open = 0;
    for (size_t i = 0; i < sim->executions.n; i++) {
        const struct sim_execution *execution = &sim->executions.at[i];
        open += sim_same(execution->inst, id) && execution->to == INT64_MAX;
    }
    if (open > 1)
        sim_fail(sim, "attempts of an exclusive task do not overlap", "run %llu task %u",
                 (unsigned long long)id.run.v, id.task);
}
