#include "scheduler/store/store.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/store/internal.h"
#include "scheduler/store/schema.h"

#define LOG_PAGES_IDLE 1000
#define LOG_PAGES_MAX 16000

/* clang-format off */
static const char *const statements[STORE_STATEMENTS] = {
    [PUT_RUN] =
        "insert into run (run, dag, version, state, cause, reason, backfill, interval_start,"
        " interval_finish, params, note, created_at, started_at, finished_at, counts, claims,"
        " parent_run, parent_task, parent_map, depth, deadline_at, late_at)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
        " ?19, ?20, ?21, ?22)",
    [SET_RUN] =
        "update run set state = ?2, reason = ?3, started_at = ?4, finished_at = ?5, counts = ?6,"
        " backfill = ?7, deadline_at = ?8, late_at = ?9 where run = ?1",
    [SET_COUNTS] = "update run set counts = ?2 where run = ?1", /* which no index knows */
    [PUT_KEY] = "insert into idempotency_key (key, run, backfill, request) values (?1, ?2, ?3, ?4)",
    [GET_KEY] = "select run, backfill, request from idempotency_key where key = ?1",
    [GET_LAST] =
        "select created_at from run where dag = ?1 and cause = ?2 order by run desc limit 1",
    [GET_INTERVAL] = "select run from run where dag = ?1 and interval_start = ?2"
                     " and interval_finish = ?3 and claims = 1",
    [GET_PREVIOUS] =
        "select run, version, interval_start, interval_finish from run where dag = ?1"
        " and (interval_start, interval_finish) < (?2, ?3) and claims = 1"
        " order by interval_start desc, interval_finish desc limit 1",
    [GET_INST_STATE] =
        "select state from task_instance where run = ?1 and task = ?2 and map_index = ?3",
    [GET_MAPPED_STATE] =
        "select l.n, sum(i.state = ?4), sum(i.state = ?5), sum(i.state = ?6), sum(i.state = ?7)"
        " from map_list l left join task_instance i on i.run = l.run and i.task = ?2"
        " and i.map_index between 0 and l.n - 1 where l.run = ?1 and l.map = ?3 group by l.n",
    [DROP_MARKS] = "delete from schedule_mark where dag = ?1",
    [PUT_MARK] = "insert into schedule_mark (dag, position, key, watermark, from_at)"
                 " values (?1, ?2, ?3, ?4, ?5)",
    [SET_BACKFILL] = "update backfill set state = ?2, next = ?3, reason = ?4 where id = ?1",
    [PUT_EDIT] = "insert or replace into run_edit (run, what, reason, finished_at, picks)"
                 " values (?1, ?2, ?3, ?4, ?5)",
    [DROP_EDIT] = "delete from run_edit where run = ?1",
    [PUT_INST] =
        "insert into task_instance (run, task, map_index, state, reason, answered, attempt, lease,"
        " failures, losses, worker, due_at, ready_at, started_at, finished_at, leases_lost, left_out)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        " on conflict do update set state = ?4, reason = ?5, answered = ?6, attempt = ?7,"
        " lease = ?8, failures = ?9, losses = ?10, worker = ?11, due_at = ?12, ready_at = ?13,"
        " started_at = ?14, finished_at = ?15, leases_lost = ?16, left_out = ?17",
    /* Every column: SQLite then writes over the row without a look at it, in half the time. */
    [PUT_INST_ENDED] =
        "insert or replace into task_instance (run, task, map_index, state, reason, answered,"
        " attempt, lease, failures, losses, worker, due_at, ready_at, started_at, finished_at,"
        " leases_lost, left_out, outcome, exit_code, signal, max_rss, cpu_us, code, error)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
        " ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)",
    [SET_INST_ERROR] =
        "update task_instance set code = ?4, error = ?5 where run = ?1 and task = ?2"
        " and map_index = ?3",
    [PUT_ATTEMPT] =
        "insert or replace into attempt (run, task, map_index, attempt, outcome, worker,"
        " started_at, finished_at, exit_code, signal, max_rss, cpu_us, code, error)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [KEEP_ATTEMPT] =
        "insert or ignore into attempt (run, task, map_index, attempt, outcome, worker,"
        " started_at, finished_at, exit_code, signal, max_rss, cpu_us, code, error)"
        " select run, task, map_index, attempt, outcome, worker, started_at, finished_at,"
        " exit_code, signal, max_rss, cpu_us, code, error from task_instance"
        " where run = ?1 and task = ?2 and map_index between ?3 and ?4 and outcome is not null",
    [DROP_OUTPUT] =
        "delete from output where run = ?1 and task = ?2 and map_index between ?3 and ?4",
    [DROP_APPROVAL] = "delete from approval where run = ?1 and task = ?2"
                      " and map_index between ?3 and ?4",
    [PUT_APPROVAL] =
        "insert into approval (run, task, map_index, message, form, asked_at, due_at, open)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) on conflict (run, task, map_index) do update set"
        " message = ?4, form = ?5, asked_at = ?6, due_at = ?7, open = 1, approved = null,"
        " decided_at = null, decided_by = null, comment = null, json = null",
    [CLOSE_APPROVAL] = "update approval set open = 0 where run = ?1 and task = ?2"
                       " and map_index = ?3",
    [PUT_OUTPUT] =
        "insert or replace into output (run, task, map_index, json) values (?1, ?2, ?3, ?4)",
    [GET_OUTPUT] = "select json from output where run = ?1 and task = ?2 and map_index = ?3",
    [PUT_LIST] =
        "insert or replace into map_list (run, map, n, json) values (?1, ?2, ?3, ?4)",
    [GET_LIST] = "select json from map_list where run = ?1 and map = ?2",
    [GET_OUTPUTS] = "select map_index, json from output where run = ?1 and task = ?2"
                    " and map_index between 0 and ?3 order by map_index",
    [GET_PARAMS] =
        "select params, interval_start, interval_finish, created_at from run where run = ?1",
    [PUT_DATASET] = "insert into dataset (name, version, at) values (?1, ?2, ?3)"
                    " on conflict do update set version = ?2, at = ?3",
    [PUT_DATASET_EVENT] =
        "insert or ignore into dataset_event (dataset, version, at, rows, hash, note, who, dag,"
        " run, task, map_index, attempt) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [DROP_DATASET_EVENT] = "delete from dataset_event where dataset = ?1 and version <= ?2",
    [PUT_RUN_DATASET] =
        "insert or ignore into run_dataset (run, dataset, first, last, at, rows, hash, note, who,"
        " dag, by_run, task, map_index, attempt) select ?1, dataset, ?3, version, at, rows, hash,"
        " note, who, dag, run, task, map_index, attempt from dataset_event"
        " where dataset = ?2 and version = ?4",
    [COPY_RUN_DATASETS] =
        "insert or ignore into run_dataset (run, dataset, first, last, at, rows, hash, note, who,"
        " dag, by_run, task, map_index, attempt) select ?1, dataset, first, last, at, rows, hash,"
        " note, who, dag, by_run, task, map_index, attempt from run_dataset where run = ?2",
    [GET_RUN_DATASETS] =
        "select dataset, last, rows, hash, dag, cast(by_run as text), task, map_index, who"
        " from run_dataset where run = ?1 order by dataset",
    [DROP_USES] = "delete from dataset_use where dag = ?1",
    [PUT_USE] = "insert into dataset_use (dag, position, dataset, version) values (?1, ?2, ?3, ?4)",
    [PUT_WORKER] =
        "insert into worker (number, id, incarnation, drain, ipc, token)"
        " values (?1, ?2, ?3, ?4, ?5, ?6)"
        " on conflict do update set incarnation = ?3, drain = ?4, ipc = ?5, token = ?6",
};
/* clang-format on */

static bool prepare_all(struct store *store, struct nx_err *err)
{
    for (int i = 0; i < STORE_STATEMENTS; i++) {
        if (!sql_prepare(store->sql, statements[i], &store->stmt[i], err))
            return false;
    }
    return true;
}

bool store_open(const char *path, struct store **out, struct nx_err *err)
{
    struct store *store = mem_alloc(sizeof *store);
    map_init(&store->ended);
    if (!sql_open_writer(path, &store->sql, err) ||
        !sql_migrate(store->sql, store_migrations, store_n_migrations, err) ||
        !prepare_all(store, err)) {
        store_close(store);
        return nx_wrap(err, "the store %s", path);
    }
    *out = store;
    return true;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (int i = 0; i < STORE_STATEMENTS; i++)
        sql_stmt_free(store->stmt[i]);
    sql_close(store->sql);
    map_fini(&store->ended);
    mem_free(store);
}

bool store_begin(struct store *store, struct nx_err *err)
{
    return sql_in_transaction(store->sql) || sql_begin(store->sql, err);
}

bool store_in_transaction(const struct store *store)
{
    return sql_in_transaction(store->sql);
}

/* ---- Rows ---- */

static void bind_time(struct sql_stmt *stmt, int i, int64_t ms)
{
    if (ms)
        sql_bind_int(stmt, i, ms);
    else
        sql_bind_null(stmt, i);
}

static void bind_inst(struct sql_stmt *stmt, struct nx_inst_id id)
{
    sql_bind_int(stmt, 1, (int64_t)id.run.v);
    sql_bind_int(stmt, 2, id.task);
    sql_bind_int(stmt, 3, id.map);
}

/* "3,0,1": by state, zeros at the end left out. */
static const char *counts_text(const uint32_t *counts, char *text, size_t size)
{
    size_t n = 0;
    int last = NX_TASK_STATES - 1;
    while (last > 0 && !counts[last])
        last--;
    for (int i = 0; i <= last; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%u", i ? "," : "", counts[i]);
    return text;
}

static const struct store_run_extra *find_extra(const struct store_turn *turn, struct nx_run_id run)
{
    for (size_t i = 0; i < turn->n_extras; i++) {
        if (turn->extras[i].run.v == run.v)
            return &turn->extras[i];
    }
    return NULL;
}

static bool insert_run(struct store *store, const struct core_run_row *row,
                       const struct store_run_extra *extra, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_RUN];
    char counts[NX_TASK_STATES * 11];
    sql_bind_int(stmt, 1, (int64_t)row->id.v);
    sql_bind_text(stmt, 2, row->dag);
    sql_bind_int(stmt, 3, (int64_t)row->version);
    sql_bind_int(stmt, 4, row->state);
    sql_bind_int(stmt, 5, row->cause);
    sql_bind_int(stmt, 6, row->reason);
    sql_bind_int(stmt, 7, (int64_t)row->backfill);
    bind_time(stmt, 8, row->interval_start_ms);
    bind_time(stmt, 9, row->interval_finish_ms);
    sql_bind_text(stmt, 10, extra->params);
    sql_bind_text(stmt, 11, extra->note);
    sql_bind_int(stmt, 12, row->created_ms);
    bind_time(stmt, 13, row->started_ms);
    bind_time(stmt, 14, row->finished_ms);
    sql_bind_text(stmt, 15, counts_text(row->counts, counts, sizeof counts));
    sql_bind_int(stmt, 16, row->claims);
    sql_bind_int(stmt, 17, (int64_t)row->parent.run.v);
    sql_bind_int(stmt, 18, row->parent.run.v ? row->parent.task : 0);
    sql_bind_int(stmt, 19, row->parent.run.v ? row->parent.map : NX_MAP_NONE);
    sql_bind_int(stmt, 20, row->depth);
    bind_time(stmt, 21, row->deadline_ms);
    bind_time(stmt, 22, row->late_ms);
    if (!sql_run(stmt, err))
        return false;
    return !extra->repeats.v || copy_run_datasets(store, row->id, extra->repeats, err);
}

static bool write_run(struct store *store, const struct store_turn *turn, struct nx_run_id id,
                      struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[SET_RUN];
    char counts[NX_TASK_STATES * 11];
    struct core_run_row row;
    must(core_get_run(turn->core, id, &row));
    const struct store_run_extra *extra = find_extra(turn, id);
    store->counts.rows++;
    if (extra && id.v > store->last_run) {
        store->last_run = id.v;
        return insert_run(store, &row, extra, err);
    }
    if (!row.moved) {
        stmt = store->stmt[SET_COUNTS];
        sql_bind_int(stmt, 1, (int64_t)id.v);
        sql_bind_text(stmt, 2, counts_text(row.counts, counts, sizeof counts));
        return sql_run(stmt, err);
    }
    sql_bind_int(stmt, 1, (int64_t)id.v);
    sql_bind_int(stmt, 2, row.state);
    sql_bind_int(stmt, 3, row.reason);
    bind_time(stmt, 4, row.started_ms);
    bind_time(stmt, 5, row.finished_ms);
    sql_bind_text(stmt, 6, counts_text(row.counts, counts, sizeof counts));
    sql_bind_int(stmt, 7, (int64_t)row.backfill);
    bind_time(stmt, 8, row.deadline_ms);
    bind_time(stmt, 9, row.late_ms);
    return sql_run(stmt, err);
}

/* Columns first.. : exit code, signal, max rss, cpu, code, error. */
static void bind_result(struct sql_stmt *stmt, int first, const struct wire_result *result)
{
    for (int i = 0; i < 6; i++)
        sql_bind_null(stmt, first + i);
    if (!result)
        return;
    if (result->exit_code >= 0)
        sql_bind_int(stmt, first, result->exit_code);
    if (result->signal)
        sql_bind_int(stmt, first + 1, result->signal);
    if (result->max_rss_bytes)
        sql_bind_int(stmt, first + 2, result->max_rss_bytes);
    if (result->cpu_us)
        sql_bind_int(stmt, first + 3, result->cpu_us);
    if (result->code)
        sql_bind_int(stmt, first + 4, result->code);
    if (result->error.n)
        sql_bind_text_n(stmt, first + 5, result->error.p, result->error.n);
}

/* "3,7", or null. */
static void bind_left_out(struct sql_stmt *stmt, int at, const struct core_inst_row *row,
                          struct buf *text)
{
    sql_bind_null(stmt, at);
    for (uint32_t i = 0; i < row->n_left_out; i++)
        buf_printf(text, "%s%u", i ? "," : "", row->left_out[i]);
    if (text->len)
        sql_bind_text_n(stmt, at, text->data, text->len);
}

static uint64_t inst_key(struct nx_inst_id id)
{
    return hash_u64(id.run.v << 24 ^ id.task) ^ (uint64_t)(uint32_t)id.map << 1;
}

static bool same_inst(struct nx_inst_id a, struct nx_inst_id b)
{
    return a.run.v == b.run.v && a.task == b.task && a.map == b.map;
}

/* The last end of the instance in this turn, or NULL. */
static const struct core_end *find_end(struct store *store, const struct core_update *update,
                                       struct nx_inst_id id)
{
    const struct core_end *end = map_get_num(&store->ended, inst_key(id));
    if (!end || same_inst(end->inst, id))
        return end;
    for (size_t i = update->ends.n; i-- > 0;) { /* two keys have met */
        if (same_inst(update->ends.at[i].inst, id))
            return &update->ends.at[i];
    }
    return NULL;
}

static bool write_inst(struct store *store, const struct store_turn *turn, struct nx_inst_id id,
                       struct nx_err *err)
{
    struct core_inst_row row;
    struct buf left_out;
    buf_init(&left_out);
    must(core_get_inst(turn->core, id, &row));
    const struct core_end *end = find_end(store, turn->update, id);
    bool started_anew = row.state == NX_TS_LEASED || row.state == NX_TS_WAITING;
    bool ended = end && end->attempt == row.attempt && row.state != NX_TS_WAITING;
    struct sql_stmt *stmt = store->stmt[ended || started_anew ? PUT_INST_ENDED : PUT_INST];
    bind_inst(stmt, id);
    sql_bind_int(stmt, 4, row.state);
    sql_bind_int(stmt, 5, row.reason);
    sql_bind_int(stmt, 6, row.answered);
    sql_bind_int(stmt, 7, row.attempt);
    sql_bind_int(stmt, 8, row.lease);
    sql_bind_int(stmt, 9, row.failures);
    sql_bind_int(stmt, 10, row.losses);
    sql_bind_int(stmt, 11, row.worker);
    bind_time(stmt, 12, row.due_ms);
    bind_time(stmt, 13, row.ready_ms);
    bind_time(stmt, 14, row.started_ms);
    bind_time(stmt, 15, ended && !row.finished_ms ? end->finished_ms : row.finished_ms);
    sql_bind_int(stmt, 16, row.leases_lost);
    bind_left_out(stmt, 17, &row, &left_out);
    if (ended || started_anew) {
        sql_bind_null(stmt, 18);
        if (ended)
            sql_bind_int(stmt, 18, end->outcome);
        bind_result(stmt, 19, ended ? end->result : NULL);
    }
    store->counts.rows++;
    bool ok = sql_run(stmt, err);
    buf_fini(&left_out);
    return ok;
}

static bool write_attempt(struct store *store, const struct core_end *end, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_ATTEMPT];
    bind_inst(stmt, end->inst);
    sql_bind_int(stmt, 4, end->attempt);
    sql_bind_int(stmt, 5, end->outcome);
    sql_bind_int(stmt, 6, end->worker);
    bind_time(stmt, 7, end->started_ms);
    bind_time(stmt, 8, end->finished_ms);
    bind_result(stmt, 9, end->result);
    store->counts.rows++;
    return sql_run(stmt, err);
}

static bool write_output(struct store *store, const struct core_end *end, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_OUTPUT];
    bind_inst(stmt, end->inst);
    sql_bind_text_n(stmt, 4, end->result->outputs.p, end->result->outputs.n);
    store->counts.rows++;
    return sql_run(stmt, err);
}

static bool close_approval(struct store *store, struct nx_inst_id id, struct nx_err *err)
{
    bind_inst(store->stmt[CLOSE_APPROVAL], id);
    return sql_run(store->stmt[CLOSE_APPROVAL], err);
}

/* An end that is followed by another attempt keeps a row of its own. */
static bool write_ends(struct store *store, const struct store_turn *turn, struct nx_err *err)
{
    const struct core_update *update = turn->update;
    for (size_t i = 0; i < update->ends.n; i++) {
        struct core_end *end = &update->ends.at[i];
        struct core_inst_row row;
        must(core_get_inst(turn->core, end->inst, &row));
        map_set_num(&store->ended, inst_key(end->inst), end);
        bool last = nx_task_state_final(row.state) && row.attempt == end->attempt;
        if (!last && !write_attempt(store, end, err))
            return false;
        bool kept = end->result && end->result->outputs.n && row.state == NX_TS_SUCCESS &&
                    end->outcome == NX_AO_SUCCESS;
        if (kept && !write_output(store, end, err))
            return false;
        if (end->wait == GRAPH_WAIT_PERSON && !close_approval(store, end->inst, err))
            return false;
    }
    return true;
}

static bool write_worker(struct store *store, const struct store_turn *turn, uint32_t number,
                         struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_WORKER];
    struct core_worker_row row;
    must(core_get_worker(turn->core, number, &row));
    sql_bind_int(stmt, 1, row.number);
    sql_bind_text(stmt, 2, row.id);
    sql_bind_int(stmt, 3, (int64_t)row.incarnation);
    sql_bind_int(stmt, 4, row.drain);
    sql_bind_int(stmt, 5, row.ipc);
    if (row.token)
        sql_bind_text(stmt, 6, row.token);
    else
        sql_bind_null(stmt, 6);
    return sql_run(stmt, err);
}

static bool write_marks(struct store *store, const struct core *core, const char *dag,
                        struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_MARK];
    struct core_mark mark;
    sql_bind_text(store->stmt[DROP_MARKS], 1, dag);
    sql_bind_text(store->stmt[DROP_USES], 1, dag);
    bool ok = sql_run(store->stmt[DROP_MARKS], err) && sql_run(store->stmt[DROP_USES], err);
    for (size_t i = 0; ok && core_get_mark(core, dag, i, &mark); i++) {
        sql_bind_text(stmt, 1, dag);
        sql_bind_int(stmt, 2, (int64_t)i);
        sql_bind_text(stmt, 3, mark.key);
        if (mark.watermark_ms == TIMETABLE_NEVER)
            sql_bind_null(stmt, 4);
        else
            sql_bind_int(stmt, 4, mark.watermark_ms);
        bind_time(stmt, 5, mark.from_ms);
        ok = sql_run(stmt, err) && write_uses(store, dag, i, &mark, err);
    }
    return ok;
}

static bool write_backfill(struct store *store, const struct core *core, uint64_t id,
                           struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[SET_BACKFILL];
    enum core_backfill_state state;
    enum nx_reason reason;
    size_t next;
    must(core_get_backfill(core, id, &state, &reason, &next));
    sql_bind_int(stmt, 1, (int64_t)id);
    sql_bind_int(stmt, 2, state);
    sql_bind_int(stmt, 3, (int64_t)next);
    sql_bind_int(stmt, 4, reason);
    return sql_run(stmt, err);
}

static bool write_edit(struct store *store, const struct core *core, struct nx_run_id run,
                       struct nx_err *err)
{
    struct core_edit_row row;
    bool goes_on = core_get_edit(core, run, &row);
    struct sql_stmt *stmt = store->stmt[goes_on ? PUT_EDIT : DROP_EDIT];
    sql_bind_int(stmt, 1, (int64_t)run.v);
    if (goes_on) {
        sql_bind_int(stmt, 2, row.what);
        sql_bind_int(stmt, 3, row.reason);
        bind_time(stmt, 4, row.finished_ms);
        sql_bind_blob(stmt, 5, row.picks, row.n);
    }
    return sql_run(stmt, err);
}

/* What was cleared leaves its attempt as history, and no outputs. Indexes in a row are one. */
static bool write_cleared(struct store *store, const struct core_update *update, struct nx_err *err)
{
    static const int each[] = {KEEP_ATTEMPT, DROP_OUTPUT, DROP_APPROVAL};
    const struct nx_inst_id *ids = update->cleared.at;
    for (size_t i = 0, n; i < update->cleared.n; i += n) {
        struct nx_inst_id next = ids[i];
        for (n = 1, next.map++; i + n < update->cleared.n && same_inst(ids[i + n], next);
             n++, next.map++)
            ;
        for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
            bind_inst(store->stmt[each[k]], ids[i]);
            sql_bind_int(store->stmt[each[k]], 4, next.map - 1);
            if (!sql_run(store->stmt[each[k]], err))
                return false;
        }
    }
    return true;
}

static bool write_approval(struct store *store, const struct store_approval *approval,
                           struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_APPROVAL];
    bind_inst(stmt, approval->inst);
    sql_bind_text(stmt, 4, approval->message);
    sql_bind_text(stmt, 5, approval->form);
    sql_bind_int(stmt, 6, approval->asked_ms);
    bind_time(stmt, 7, approval->due_ms);
    return sql_run(stmt, err);
}

static bool write_rows(struct store *store, const struct store_turn *turn, struct nx_err *err)
{
    const struct core_update *update = turn->update;
    for (size_t i = 0; i < update->workers.n; i++) {
        if (!write_worker(store, turn, update->workers.at[i], err))
            return false;
    }
    for (size_t i = 0; i < update->runs.n; i++) {
        if (!write_run(store, turn, update->runs.at[i], err))
            return false;
    }
    if (!write_datasets(store, turn, err))
        return false;
    for (size_t i = 0; i < update->schedules.n; i++) {
        if (!write_marks(store, turn->core, update->schedules.at[i], err))
            return false;
    }
    for (size_t i = 0; i < update->backfills.n; i++) {
        if (!write_backfill(store, turn->core, update->backfills.at[i], err))
            return false;
    }
    for (size_t i = 0; i < update->edits.n; i++) {
        if (!write_edit(store, turn->core, update->edits.at[i], err))
            return false;
    }
    if (!write_cleared(store, update, err) || !write_ends(store, turn, err))
        return false;
    for (size_t i = 0; i < update->insts.n; i++) {
        if (!write_inst(store, turn, update->insts.at[i], err))
            return false;
    }
    for (size_t i = 0; i < turn->n_ask_errors; i++) {
        struct sql_stmt *stmt = store->stmt[SET_INST_ERROR];
        bind_inst(stmt, turn->ask_errors[i].inst);
        sql_bind_int(stmt, 4, NX_E_INVALID);
        sql_bind_text(stmt, 5, turn->ask_errors[i].text);
        if (!sql_run(stmt, err))
            return false;
    }
    for (size_t i = 0; i < turn->n_approvals; i++) {
        if (!write_approval(store, &turn->approvals[i], err))
            return false;
    }
    return true;
}

bool store_write(struct store *store, const struct store_turn *turn, struct nx_err *err)
{
    must(sql_in_transaction(store->sql));
    bool ok = write_rows(store, turn, err);
    if (store->ended.n) {
        map_fini(&store->ended);
        map_init(&store->ended);
    }
    return ok;
}

bool store_commit(struct store *store, struct nx_err *err)
{
    int64_t start = clock_mono_us();
    bool ok = sql_commit(store->sql, err);
    store->counts.commits++;
    store->counts.commit_us += clock_mono_us() - start;
    return ok;
}

bool store_checkpoint(struct store *store, bool idle, struct nx_err *err)
{
    int n_log, n_done, pages = sql_log_pages(store->sql);
    if (pages < (idle ? LOG_PAGES_IDLE : LOG_PAGES_MAX))
        return true;
    return sql_checkpoint(store->sql, &n_log, &n_done, err);
}

struct store_counts store_counted(const struct store *store)
{
    return store->counts;
}

/* ---- Reading back ---- */

static void append_text(struct sql_stmt *stmt, int column, struct buf *to)
{
    const char *text = sql_text(stmt, column);
    if (text)
        buf_add(to, text, sql_n_bytes(stmt, column));
}

bool store_params(struct store *store, struct nx_run_id run, struct buf *params,
                  int64_t *interval_start_ms, int64_t *interval_finish_ms, int64_t *created_ms,
                  struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_PARAMS];
    bool row;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    if (!sql_step(stmt, &row, err))
        return false;
    if (!row)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no run %llu", (unsigned long long)run.v);
    append_text(stmt, 0, params);
    *interval_start_ms = sql_int(stmt, 1);
    *interval_finish_ms = sql_int(stmt, 2);
    *created_ms = sql_int(stmt, 3);
    sql_reset(stmt);
    return true;
}

bool store_outputs(struct store *store, struct nx_inst_id inst, struct buf *outputs,
                   struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_OUTPUT];
    bool row;
    bind_inst(stmt, inst);
    if (!sql_step(stmt, &row, err))
        return false;
    if (row)
        append_text(stmt, 0, outputs);
    sql_reset(stmt);
    return true;
}

bool store_put_list(struct store *store, const struct store_list *list, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_LIST];
    if (!store_begin(store, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)list->run.v);
    sql_bind_int(stmt, 2, list->map);
    sql_bind_int(stmt, 3, list->n);
    sql_bind_text(stmt, 4, list->json);
    return sql_run(stmt, err);
}

bool store_get_list(struct store *store, struct nx_run_id run, uint32_t map, struct buf *json,
                    struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_LIST];
    bool row;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    sql_bind_int(stmt, 2, map);
    if (!sql_step(stmt, &row, err))
        return false;
    if (row)
        append_text(stmt, 0, json);
    sql_reset(stmt);
    return true;
}

bool store_list_outputs(struct store *store, struct nx_run_id run, uint32_t task, uint32_t n,
                        struct buf *outputs, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_OUTPUTS];
    bool row = false, ok;
    uint32_t next = 0;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    sql_bind_int(stmt, 2, task);
    sql_bind_int(stmt, 3, (int64_t)n - 1);
    buf_char(outputs, '[');
    while ((ok = sql_step(stmt, &row, err)) && row) {
        for (; next < (uint32_t)sql_int(stmt, 0); next++)
            buf_str(outputs, next ? ",{}" : "{}");
        if (next++)
            buf_char(outputs, ',');
        append_text(stmt, 1, outputs);
    }
    sql_reset(stmt);
    for (; ok && next < n; next++)
        buf_str(outputs, next ? ",{}" : "{}");
    buf_char(outputs, ']');
    return ok;
}

bool store_find_key(struct store *store, const char *key, struct store_key *found,
                    struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_KEY];
    bool row;
    *found = (struct store_key){0};
    sql_bind_text(stmt, 1, key);
    if (!sql_step(stmt, &row, err))
        return false;
    if (row) {
        found->run.v = (uint64_t)sql_int(stmt, 0);
        found->backfill = (uint64_t)sql_int(stmt, 1);
        str_copy(found->request, sizeof found->request, sql_text(stmt, 2));
    }
    sql_reset(stmt);
    return true;
}

bool store_put_key(struct store *store, const char *key, const struct store_key *made,
                   struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_KEY];
    if (!store_begin(store, err))
        return false;
    sql_bind_text(stmt, 1, key);
    sql_bind_int(stmt, 2, (int64_t)made->run.v);
    sql_bind_int(stmt, 3, (int64_t)made->backfill);
    sql_bind_text(stmt, 4, made->request);
    return sql_run(stmt, err);
}

bool store_find_interval(struct store *store, const char *dag, int64_t start_ms, int64_t finish_ms,
                         struct nx_run_id *run, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_INTERVAL];
    bool row;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, start_ms);
    sql_bind_int(stmt, 3, finish_ms);
    if (!sql_step(stmt, &row, err))
        return false;
    run->v = row ? (uint64_t)sql_int(stmt, 0) : 0;
    sql_reset(stmt);
    return true;
}

bool store_previous(struct store *store, const char *dag, int64_t start_ms, int64_t finish_ms,
                    struct store_previous *previous, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_PREVIOUS];
    bool row;
    *previous = (struct store_previous){0};
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, start_ms);
    sql_bind_int(stmt, 3, finish_ms);
    if (!sql_step(stmt, &row, err))
        return false;
    if (row)
        *previous = (struct store_previous){{(uint64_t)sql_int(stmt, 0)},
                                            (uint64_t)sql_int(stmt, 1),
                                            sql_int(stmt, 2),
                                            sql_int(stmt, 3)};
    sql_reset(stmt);
    return true;
}

/* Of the instances of a mapped task; one without a row was cancelled with the run. */
static bool mapped_state(struct store *store, struct nx_run_id run, uint32_t task, uint32_t map,
                         enum nx_task_state *state, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_MAPPED_STATE];
    bool row;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    sql_bind_int(stmt, 2, task);
    sql_bind_int(stmt, 3, (int64_t)map - 1);
    sql_bind_int(stmt, 4, NX_TS_SUCCESS);
    sql_bind_int(stmt, 5, NX_TS_SKIPPED);
    sql_bind_int(stmt, 6, NX_TS_FAILED);
    sql_bind_int(stmt, 7, NX_TS_UPSTREAM_FAILED);
    if (!sql_step(stmt, &row, err))
        return false;
    int64_t n = row ? sql_int(stmt, 0) : 0, n_success = row ? sql_int(stmt, 1) : 0;
    int64_t n_skipped = row ? sql_int(stmt, 2) : 0, n_failed = row ? sql_int(stmt, 3) : 0;
    int64_t n_upstream_failed = row ? sql_int(stmt, 4) : 0;
    sql_reset(stmt);
    *state = n_failed                    ? NX_TS_FAILED
             : n_upstream_failed         ? NX_TS_UPSTREAM_FAILED
             : n_success + n_skipped < n ? NX_TS_CANCELLED
             : n_success                 ? NX_TS_SUCCESS
                                         : NX_TS_SKIPPED;
    return true;
}

bool store_task_state(struct store *store, struct nx_run_id run, uint32_t task, uint32_t map,
                      enum nx_task_state *state, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_INST_STATE];
    bool row;
    bind_inst(stmt, (struct nx_inst_id){run, task, NX_MAP_NONE});
    if (!sql_step(stmt, &row, err))
        return false;
    *state = row ? (enum nx_task_state)sql_int(stmt, 0) : NX_TS_WAITING;
    if (*state == NX_TS_WAITING) /* as much as no row */
        *state = NX_TS_CANCELLED;
    sql_reset(stmt);
    return *state != NX_TS_REMOVED || !map || mapped_state(store, run, task, map, state, err);
}

bool store_last_created(struct store *store, const char *dag, enum nx_run_cause cause,
                        int64_t *created_ms, struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_LAST];
    bool row;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, cause);
    if (!sql_step(stmt, &row, err))
        return false;
    *created_ms = row ? sql_int(stmt, 0) : 0;
    sql_reset(stmt);
    return true;
}
