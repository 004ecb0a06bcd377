/* Reads of task instances: rows, and what the absence of a row means. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/graph/rule.h"
#include "scheduler/store/internal.h"
#include "scheduler/store/query_internal.h"

#define SCAN_STEP 1024 /* tasks whose rows are read by one statement */
#define POINTS_MAX 32  /* upstream states that are looked up one by one for one task */

/* What became of the instances of an expanded task. */
struct tally {
    uint32_t task; /* 1 + its index; 0: none is kept */
    uint32_t n;    /* items of its list */
    uint32_t counts[NX_TASK_STATES];
    int64_t finished_ms; /* the last */
};

/* The task whose instances are being told. */
struct expanded {
    uint32_t task, n; /* items of its list; 0: it is not expanded */
    int32_t next;     /* the first index that has not been told */
};

/* What the reading of a run's tasks has to know. */
struct reading {
    struct query *query;
    const struct query_tasks *which;
    query_task_fn *fn;
    void *arg;
    struct nx_err *err;
    uint8_t *states; /* of all tasks, read when first needed; NX_TASK_STATES: no row */
    struct tally tally;
    struct expanded at;
    uint32_t n_told;
    bool stopped; /* fn has said that it is enough */
    bool failed;  /* err says why */
};

static const char rows_plain[] =
    "select i.task, i.map_index, i.state, i.reason, i.attempt, w.id, i.due_at, i.ready_at,"
    " i.started_at, i.finished_at, i.error, null"
    " from task_instance i left join worker w on w.number = i.worker"
    " where i.run = ?1 and i.task between ?2 and ?3 order by i.task, i.map_index";
static const char rows_outputs[] =
    "select i.task, i.map_index, i.state, i.reason, i.attempt, w.id, i.due_at, i.ready_at,"
    " i.started_at, i.finished_at, i.error, o.json"
    " from task_instance i left join worker w on w.number = i.worker"
    " left join output o on o.run = i.run and o.task = i.task and o.map_index = i.map_index"
    " where i.run = ?1 and i.task between ?2 and ?3 order by i.task, i.map_index";

static void read_row(struct sql_stmt *stmt, const struct query_tasks *which,
                     struct query_task *task)
{
    uint32_t index = (uint32_t)sql_int(stmt, 0);
    *task = (struct query_task){
        .task = &which->info->tasks[index],
        .id = {which->run->id, index, (int32_t)sql_int(stmt, 1)},
        .state = (enum nx_task_state)sql_int(stmt, 2),
        .reason = (enum nx_reason)sql_int(stmt, 3),
        .attempt = (uint32_t)sql_int(stmt, 4),
        .worker = sql_text(stmt, 5),
        .due_ms = sql_int(stmt, 6),
        .ready_ms = sql_int(stmt, 7),
        .started_ms = sql_int(stmt, 8),
        .finished_ms = sql_int(stmt, 9),
        .error = sql_text(stmt, 10),
        .outputs = sql_text(stmt, 11),
    };
}

/* ---- Absent rows ---- */

static bool read_states(struct reading *reading)
{
    uint32_t n = reading->which->info->n_tasks;
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        reading->query, "select task, state from task_instance where run = ?1 and map_index = -1",
        reading->err);
    if (!stmt)
        return false;
    reading->states = mem_alloc(n ? n : 1);
    memset(reading->states, NX_TASK_STATES, n);
    sql_bind_int(stmt, 1, (int64_t)reading->which->run->id.v);
    while ((ok = sql_step(stmt, &row, reading->err)) && row) {
        int64_t task = sql_int(stmt, 0);
        if (task < n && sql_int(stmt, 1) != NX_TS_WAITING) /* that says as much as no row */
            reading->states[task] = (uint8_t)sql_int(stmt, 1);
    }
    return ok;
}

/* The stored state, or NX_TASK_STATES; and when it ended, as far as that is at hand. */
static bool stored_state(struct reading *reading, uint32_t task, int32_t map, int *state,
                         int64_t *finished_ms)
{
    bool row;
    *finished_ms = 0;
    if (reading->states && map == NX_MAP_NONE) {
        *state = reading->states[task];
        return true;
    }
    struct sql_stmt *stmt =
        query_prepare(reading->query,
                      "select state, finished_at from task_instance where run = ?1 and task = ?2"
                      " and map_index = ?3",
                      reading->err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)reading->which->run->id.v);
    sql_bind_int(stmt, 2, task);
    sql_bind_int(stmt, 3, map);
    if (!sql_step(stmt, &row, reading->err))
        return false;
    *state = row && sql_int(stmt, 0) != NX_TS_WAITING ? (int)sql_int(stmt, 0) : NX_TASK_STATES;
    *finished_ms = row ? sql_int(stmt, 1) : 0;
    sql_reset(stmt);
    return true;
}

static bool decided_early(enum nx_trigger_rule rule)
{
    return rule == NX_TR_ONE_FAILED || rule == NX_TR_ONE_SUCCESS || rule == NX_TR_ONE_DONE ||
           rule == NX_TR_ALWAYS;
}

static bool list_length(struct reading *reading, uint32_t task, uint32_t *n)
{
    bool row;
    struct sql_stmt *stmt = query_prepare(
        reading->query, "select n from map_list where run = ?1 and map = ?2", reading->err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)reading->which->run->id.v);
    sql_bind_int(stmt, 2, (int64_t)reading->which->info->tasks[task].map - 1);
    if (!sql_step(stmt, &row, reading->err))
        return false;
    *n = row ? (uint32_t)sql_int(stmt, 0) : 0;
    sql_reset(stmt);
    return true;
}

static bool read_tally(struct reading *reading, uint32_t task)
{
    struct tally *tally = &reading->tally;
    bool row = false, ok;
    if (tally->task == task + 1)
        return true;
    *tally = (struct tally){0};
    if (!list_length(reading, task, &tally->n))
        return false;
    struct sql_stmt *stmt =
        query_prepare(reading->query,
                      "select state, count(*), max(finished_at) from task_instance where run = ?1"
                      " and task = ?2 and map_index between 0 and ?3 group by state",
                      reading->err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)reading->which->run->id.v);
    sql_bind_int(stmt, 2, task);
    sql_bind_int(stmt, 3, (int64_t)tally->n - 1);
    while ((ok = sql_step(stmt, &row, reading->err)) && row) {
        tally->counts[sql_int(stmt, 0) % NX_TASK_STATES] = (uint32_t)sql_int(stmt, 1);
        if (sql_int(stmt, 2) > tally->finished_ms)
            tally->finished_ms = sql_int(stmt, 2);
    }
    sql_reset(stmt);
    tally->task = ok ? task + 1 : 0;
    return ok;
}

/* Adds n upstream instances that are in that state; how many of them are final. */
static uint32_t add_state(struct rule_counts *counts, int state, uint32_t n)
{
    if (state == NX_TASK_STATES || !nx_task_state_final((enum nx_task_state)state) || !n)
        return 0;
    counts->success += state == NX_TS_SUCCESS ? n : 0;
    counts->skipped += state == NX_TS_SKIPPED ? n : 0;
    if (state == NX_TS_FAILED || state == NX_TS_UPSTREAM_FAILED ||
        state == NX_TS_CANCELLED) /* which only a finally task can see */
        counts->failed += n;
    counts->self_failed = counts->self_failed || state == NX_TS_FAILED || state == NX_TS_CANCELLED;
    return n;
}

/* Adds what an upstream task has come to: all its instances, or that of the same index. */
static bool add_upstream(struct reading *reading, struct nx_inst_id id, uint32_t need,
                         struct rule_counts *counts, uint32_t *n_final, int64_t *finished)
{
    const struct info_task *tasks = reading->which->info->tasks;
    int state;
    if (!stored_state(reading, need, NX_MAP_NONE, &state, finished))
        return false;
    bool many = state == NX_TS_REMOVED && tasks[need].map;
    if (many && id.map != NX_MAP_NONE && tasks[need].map == tasks[id.task].map) {
        if (!stored_state(reading, need, id.map, &state, finished))
            return false;
        many = false;
    }
    if (!many) {
        if (state == NX_TASK_STATES && reading->which->run->state == NX_RS_STOPPING &&
            !tasks[need].finally)
            state = NX_TS_CANCELLED;
        *n_final += add_state(counts, state, 1);
        return true;
    }
    if (!read_tally(reading, need))
        return false;
    counts->n += reading->tally.n - 1;
    *finished = reading->tally.finished_ms;
    uint32_t absent = reading->tally.n;
    for (int i = 0; i < NX_TASK_STATES; i++) {
        if (i != NX_TS_WAITING) /* that says as much as no row */
            absent -= reading->tally.counts[i];
        *n_final += add_state(counts, i, reading->tally.counts[i]);
    }
    if (reading->which->run->state == NX_RS_STOPPING && !tasks[need].finally)
        *n_final += add_state(counts, NX_TS_CANCELLED, absent);
    return true;
}

/* Whether the rule of an instance without a row says run; and since when, as far as that is at
 * hand. */
static bool may_run(struct reading *reading, struct nx_inst_id id, bool *runs, int64_t *ready_ms)
{
    const struct info_task *task = &reading->which->info->tasks[id.task];
    struct rule_counts counts = {.n = task->n_needs};
    bool many = task->n_needs > POINTS_MAX;
    int64_t ready = reading->which->run->started_ms;
    uint32_t n_final = 0;
    *runs = false;
    if (many && !reading->states && !read_states(reading))
        return false;
    for (uint32_t i = 0; i < task->n_needs; i++) {
        int64_t finished = 0;
        if (!add_upstream(reading, id, task->needs[i], &counts, &n_final, &finished))
            return false;
        ready = finished > ready ? finished : ready;
    }
    if (n_final < counts.n && !decided_early(task->rule))
        return true;
    *runs = rule_decide(task->rule, &counts) == RULE_RUN;
    *ready_ms = *runs && !reading->states ? ready : 0;
    return true;
}

/* Whether everything of the run but its finally tasks is final. */
static bool finally_begun(const struct query_tasks *which)
{
    uint32_t left = 0;
    for (int i = 0; i < NX_TS_SUCCESS; i++)
        left += which->run->counts[i];
    return left <= which->info->n_finally;
}

/* See core.h for what the absence of a row means. */
static bool absent(struct reading *reading, uint32_t index, int32_t map, struct query_task *to)
{
    const struct query_run *run = reading->which->run;
    const struct info_task *task = &reading->which->info->tasks[index];
    bool runs = false;
    *to = (struct query_task){.task = task, .id = {run->id, index, map}};
    if (run->state == NX_RS_QUEUED) {
        to->reason = NX_WHY_RUN_QUEUED;
        return true;
    }
    if (nx_run_state_final(run->state) || (run->state == NX_RS_STOPPING && !task->finally)) {
        to->state = NX_TS_CANCELLED;
        to->reason = run->reason ? run->reason : NX_WHY_CANCEL;
        to->finished_ms = run->finished_ms;
        return true;
    }
    bool held = task->finally && !finally_begun(reading->which);
    bool asked = map == NX_MAP_NONE ? task->has_if || task->map : task->if_each;
    bool past = map == NX_MAP_NONE && task->depends_on_past && run->claims && !task->finally;
    if (held || (!past && (asked || !run->counts[NX_TS_QUEUED]))) {
        to->reason = held ? NX_WHY_FINALLY : NX_WHY_UPSTREAM;
        return true;
    }
    if (!may_run(reading, to->id, &runs, &to->ready_ms))
        return false;
    to->state = runs && !past ? NX_TS_QUEUED : NX_TS_WAITING;
    to->reason = !runs ? NX_WHY_UPSTREAM : past ? NX_WHY_PAST : NX_WHY_NEXT;
    return true;
}

/* ---- Lists ---- */

static void tell(struct reading *reading, const struct query_task *task)
{
    if (reading->which->state >= 0 && task->state != (enum nx_task_state)reading->which->state)
        return;
    if (!reading->fn(reading->arg, task))
        reading->stopped = true;
    reading->n_told++;
    if (reading->which->state >= 0 && reading->n_told == reading->which->run->counts[task->state])
        reading->stopped = true; /* there are no more of that state */
}

static void tell_absent(struct reading *reading, uint32_t task, int32_t map)
{
    struct query_task absentee;
    if (absent(reading, task, map, &absentee))
        tell(reading, &absentee);
    else
        reading->failed = true;
}

static void tell_absent_tasks(struct reading *reading, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && !reading->stopped && !reading->failed; i++)
        tell_absent(reading, i, NX_MAP_NONE);
}

/* The indexes without a row before `to` of the expanded task that is being told. */
static void tell_absent_indexes(struct reading *reading, uint32_t to)
{
    struct expanded *at = &reading->at;
    if (to > at->n)
        to = at->n;
    for (; at->next < (int32_t)to && !reading->stopped && !reading->failed; at->next++)
        tell_absent(reading, at->task, at->next);
}

/* A row in its turn: of a task itself, or of one of its instances. */
static void take_row(struct reading *reading, const struct query_task *task, bool with_absent)
{
    struct expanded *at = &reading->at;
    const struct query_tasks *which = reading->which;
    int32_t first = task->id.task == which->from ? which->from_map : NX_MAP_NONE;
    bool own = task->id.map == NX_MAP_NONE;
    if (own && task->task->map && task->state == NX_TS_REMOVED) {
        *at = (struct expanded){.task = task->id.task, .next = first < 0 ? 0 : first};
        if (!list_length(reading, at->task, &at->n))
            reading->failed = true;
        else if (which->own)
            tell(reading, task);
        return;
    }
    if (task->id.map < first)
        return;
    if (!own && at->task == task->id.task && with_absent)
        tell_absent_indexes(reading, (uint32_t)task->id.map);
    if (!own && at->task == task->id.task && at->next <= task->id.map)
        at->next = task->id.map + 1;
    if (!reading->stopped && !reading->failed)
        tell(reading, task);
}

/* A row that says waiting, of what was cleared: what it is now, with the attempts that it had. */
static void derive(struct reading *reading, struct query_task *task)
{
    struct query_task now;
    if (!absent(reading, task->id.task, task->id.map, &now)) {
        reading->failed = true;
        return;
    }
    task->state = now.state;
    task->reason = now.reason;
    task->ready_ms = now.ready_ms;
    task->finished_ms = now.finished_ms;
}

/* Tasks from..last, rows and gaps between them. */
static void read_step(struct reading *reading, uint32_t from, uint32_t last, bool with_absent)
{
    const struct query_tasks *which = reading->which;
    struct query_task task;
    bool row = false;
    uint32_t next = from; /* the first task that has not been told */
    struct sql_stmt *stmt =
        query_prepare(reading->query, which->outputs ? rows_outputs : rows_plain, reading->err);
    if (!stmt) {
        reading->failed = true;
        return;
    }
    sql_bind_int(stmt, 1, (int64_t)which->run->id.v);
    sql_bind_int(stmt, 2, from);
    sql_bind_int(stmt, 3, last);
    reading->at = (struct expanded){0};
    while (!reading->stopped && !reading->failed) {
        if (!sql_step(stmt, &row, reading->err)) {
            reading->failed = true;
            return;
        }
        if (!row)
            break;
        read_row(stmt, which, &task);
        if (with_absent && task.id.task >= next) {
            tell_absent_indexes(reading, UINT32_MAX);
            tell_absent_tasks(reading, next, task.id.task);
        }
        if (with_absent && task.state == NX_TS_WAITING)
            derive(reading, &task);
        next = task.id.task + 1;
        if (!reading->stopped && !reading->failed)
            take_row(reading, &task, with_absent);
    }
    sql_reset(stmt);
    if (with_absent) {
        tell_absent_indexes(reading, UINT32_MAX);
        tell_absent_tasks(reading, next, last + 1);
    }
}

bool query_tasks(struct query *query, const struct query_tasks *which, query_task_fn *fn, void *arg,
                 struct nx_err *err)
{
    struct reading reading = {.query = query, .which = which, .fn = fn, .arg = arg, .err = err};
    uint32_t n = which->info->n_tasks;
    /* The states that the absence of a row can mean. */
    bool with_absent = which->state < 0 || which->state == NX_TS_WAITING ||
                       which->state == NX_TS_QUEUED || which->state == NX_TS_CANCELLED;
    uint32_t step = with_absent ? SCAN_STEP : 64 * SCAN_STEP;
    if (which->state >= 0 && !which->run->counts[which->state])
        return true;
    for (uint32_t from = which->from; from < n && !reading.stopped && !reading.failed;
         from += step) {
        uint32_t left = n - from;
        read_step(&reading, from, from + (left < step ? left : step) - 1, with_absent);
    }
    mem_free(reading.states);
    return !reading.failed;
}

struct one {
    query_task_fn *fn;
    void *arg;
    int32_t map;
    bool found;
};

static bool is_it(void *arg, const struct query_task *task)
{
    struct one *one = arg;
    if (task->id.map != one->map)
        return true;
    one->found = true;
    one->fn(one->arg, task);
    return false;
}

bool query_task(struct query *query, const struct query_run *run, const struct dag_info *info,
                uint32_t task, int32_t map, query_task_fn *fn, void *arg, bool *found,
                struct nx_err *err)
{
    struct one one = {.fn = fn, .arg = arg, .map = map};
    const struct query_tasks which = {.run = run,
                                      .info = info,
                                      .from = task,
                                      .from_map = map,
                                      .state = -1,
                                      .outputs = true,
                                      .own = map == NX_MAP_NONE};
    struct reading reading = {
        .query = query, .which = &which, .fn = is_it, .arg = &one, .err = err};
    must(task < info->n_tasks);
    read_step(&reading, task, task, true);
    mem_free(reading.states);
    if (reading.failed)
        return false;
    *found = one.found;
    return true;
}

bool query_insts(struct query *query, struct nx_run_id run,
                 void (*fn)(void *arg, const struct core_inst_row *row), void *arg,
                 struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query, "select " STORE_INST_COLUMNS " from task_instance where run = ?1", err);
    if (!stmt)
        return false;
    store_tasks left_out = {0};
    sql_bind_int(stmt, 1, (int64_t)run.v);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct core_inst_row inst = store_read_inst(stmt, &left_out);
        fn(arg, &inst);
    }
    vec_fini(&left_out);
    return ok;
}

/* ---- Attempts ---- */

static int64_t number_or(struct sql_stmt *stmt, int column, int64_t missing)
{
    return sql_is_null(stmt, column) ? missing : sql_int(stmt, column);
}

bool query_attempts(struct query *query, struct nx_inst_id id,
                    bool (*fn)(void *arg, const struct query_attempt *attempt), void *arg,
                    struct nx_err *err)
{
    /* The last attempt stands in the instance's row, until it is followed by another. */
    static const char text[] =
        "select a.attempt, a.outcome, i.state, w.id, a.started_at, a.finished_at, a.exit_code,"
        " a.signal, a.max_rss, a.cpu_us, a.code, a.error"
        " from attempt a join task_instance i using (run, task, map_index)"
        " left join worker w on w.number = a.worker"
        " where a.run = ?1 and a.task = ?2 and a.map_index = ?3"
        " union all"
        " select i.attempt, coalesce(i.outcome, 0), i.state, w.id, i.started_at, i.finished_at,"
        " i.exit_code, i.signal, i.max_rss, i.cpu_us, i.code, i.error"
        " from task_instance i left join worker w on w.number = i.worker"
        " where i.run = ?1 and i.task = ?2 and i.map_index = ?3 and i.attempt > 0"
        " and not exists (select 1 from attempt a where a.run = ?1 and a.task = ?2"
        " and a.map_index = ?3 and a.attempt = i.attempt)"
        " order by 1";
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(query, text, err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)id.run.v);
    sql_bind_int(stmt, 2, id.task);
    sql_bind_int(stmt, 3, id.map);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_attempt attempt = {
            .number = (uint32_t)sql_int(stmt, 0),
            .outcome = (enum nx_attempt_outcome)sql_int(stmt, 1),
            .state = (enum nx_task_state)sql_int(stmt, 2),
            .worker = sql_text(stmt, 3),
            .started_ms = sql_int(stmt, 4),
            .finished_ms = sql_int(stmt, 5),
            .exit_code = number_or(stmt, 6, -1),
            .signal = number_or(stmt, 7, -1),
            .max_rss_bytes = number_or(stmt, 8, -1),
            .cpu_us = number_or(stmt, 9, -1),
            .code = (enum nx_code)sql_int(stmt, 10),
            .error = sql_text(stmt, 11),
        };
        if (!fn(arg, &attempt)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}
