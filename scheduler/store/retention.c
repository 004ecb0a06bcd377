#include "scheduler/store/retention.h"

#include <string.h>

#include "lib/artifact/artifact.h"
#include "lib/base/str.h"
#include "scheduler/store/internal.h"
#include "scheduler/store/query_internal.h"

/* ---- Policies ---- */

static bool each_dag(struct sql *sql, const char *after, size_t limit, retention_dag_fn *fn,
                     void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row, ok;
    if (!sql_prepare(sql,
                     "select d.id, v.retention from dag d left join dag_version v"
                     " on v.version = d.version where d.id > ?1 order by d.id limit ?2",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, after);
    sql_bind_int(stmt, 2, (int64_t)limit);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct retention_dag dag = {sql_text(stmt, 0), sql_text(stmt, 1)};
        if (!fn(arg, &dag))
            break;
    }
    sql_stmt_free(stmt);
    return ok;
}

bool store_retention_dags(struct store *store, const char *after, size_t limit,
                          retention_dag_fn *fn, void *arg, struct nx_err *err)
{
    return each_dag(store->sql, after, limit, fn, arg, err);
}

bool query_retention_dags(struct query *query, const char *after, size_t limit,
                          retention_dag_fn *fn, void *arg, struct nx_err *err)
{
    return each_dag(query->sql, after, limit, fn, arg, err);
}

/* ---- What is over a bound ---- */

/* Runs that stay in any case, and the one from which on there are few enough. */
struct fixed {
    uint64_t newest, newest_success, enough_from;
};

static bool get_run(struct sql *sql, const char *text, const char *dag, int64_t n, uint64_t *run,
                    struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row;
    if (!sql_prepare(sql, text, &stmt, err))
        return false;
    sql_bind_text(stmt, 1, dag);
    if (n >= 0)
        sql_bind_int(stmt, 2, n);
    bool ok = sql_step(stmt, &row, err);
    *run = ok && row ? (uint64_t)sql_int(stmt, 0) : 0;
    sql_stmt_free(stmt);
    return ok;
}

static bool find_fixed(struct sql *sql, const struct retention_look *look, struct fixed *fixed,
                       struct nx_err *err)
{
    *fixed = (struct fixed){0};
    return get_run(sql, "select run from run where dag = ?1 order by run desc limit 1", look->dag,
                   -1, &fixed->newest, err) &&
           get_run(sql,
                   "select run from run where dag = ?1 and state = 3 order by run desc limit 1",
                   look->dag, -1, &fixed->newest_success, err) &&
           (look->keep->keep == RETENTION_EVER ||
            get_run(sql,
                    "select run from run where dag = ?1 and state >= 3 order by run desc"
                    " limit 1 offset ?2",
                    look->dag, look->keep->keep - 1, &fixed->enough_from, err));
}

static bool is_old(int64_t at_ms, int64_t bound_ms, int64_t now_ms)
{
    return bound_ms != RETENTION_EVER && at_ms < now_ms - bound_ms;
}

static enum retention_why judge(const struct retention_look *look, const struct fixed *fixed,
                                const struct retention_run *run)
{
    bool stays = run->run == fixed->newest || run->run == fixed->newest_success;
    if (!stays && is_old(run->finished_ms, look->keep->runs_ms, look->now_ms))
        return RETENTION_AGE;
    if (!stays && run->run < fixed->enough_from)
        return RETENTION_COUNT;
    return is_old(run->finished_ms, look->keep->logs_ms, look->now_ms) ? RETENTION_LOGS
                                                                       : RETENTION_STAYS;
}

static bool look_at(struct sql *sql, const struct retention_look *look, retention_run_fn *fn,
                    void *arg, uint64_t *last, bool *more, struct nx_err *err)
{
    static const char text[] =
        "select r.run, r.version, r.state, r.finished_at, r.created_at from run r"
        " where r.dag = ?1 and r.run > ?2 and not (r.backfill > 0 and exists"
        "  (select 1 from backfill b where b.id = r.backfill and b.state < 2))"
        " order by r.run";
    struct sql_stmt *stmt;
    struct fixed fixed;
    bool row, ok;
    size_t n = 0;
    *last = look->after;
    *more = false;
    if (!find_fixed(sql, look, &fixed, err) || !sql_prepare(sql, text, &stmt, err))
        return false;
    sql_bind_text(stmt, 1, look->dag);
    sql_bind_int(stmt, 2, (int64_t)look->after);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct retention_run run = {.run = (uint64_t)sql_int(stmt, 0),
                                    .version = (uint64_t)sql_int(stmt, 1),
                                    .state = (enum nx_run_state)sql_int(stmt, 2),
                                    .finished_ms = sql_int(stmt, 3)};
        int64_t created_ms = sql_int(stmt, 4);
        if (run.run >= fixed.enough_from &&
            !is_old(created_ms, look->keep->runs_ms, look->now_ms) &&
            !is_old(created_ms, look->keep->logs_ms, look->now_ms))
            break; /* and so are all that come after */
        *last = run.run;
        *more = ++n >= look->most;
        run.why = nx_run_state_final(run.state) ? judge(look, &fixed, &run) : RETENTION_STAYS;
        if ((run.why != RETENTION_STAYS && !fn(arg, &run)) || *more)
            break;
    }
    sql_stmt_free(stmt);
    return ok;
}

bool store_retention_look(struct store *store, const struct retention_look *look,
                          retention_run_fn *fn, void *arg, uint64_t *last, bool *more,
                          struct nx_err *err)
{
    return look_at(store->sql, look, fn, arg, last, more, err);
}

bool query_retention_look(struct query *query, const struct retention_look *look,
                          retention_run_fn *fn, void *arg, uint64_t *last, bool *more,
                          struct nx_err *err)
{
    return look_at(query->sql, look, fn, arg, last, more, err);
}

/* ---- Taking away ---- */

static bool run_one(struct store *store, const char *text, int64_t run, int64_t most,
                    struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!sql_prepare(store->sql, text, &stmt, err))
        return false;
    sql_bind_int(stmt, 1, run);
    if (most >= 0)
        sql_bind_int(stmt, 2, most);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_doom_run(struct store *store, struct nx_run_id run, struct nx_err *err)
{
    static const char *const steps[] = {
        /* The last number is kept: it is not given to another run. */
        "insert into meta (key, value) values ('last_run', ?1)"
        " on conflict do update set value = max(value, ?1)",
        "insert or ignore into doomed_run (run) values (?1)",
        "delete from idempotency_key where run = ?1 and run > 0",
        "delete from run where run = ?1",
    };
    bool ok = store_begin(store, err);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++)
        ok = run_one(store, steps[i], (int64_t)run.v, -1, err);
    return ok;
}

/* At most `most` rows of one doomed run; *n counts on. */
static bool clear_rows(struct store *store, int64_t run, size_t most, size_t *n, struct nx_err *err)
{
    static const char *const deletions[] = {
        "delete from attempt where run = ?1 and (task, map_index, attempt) in"
        " (select task, map_index, attempt from attempt where run = ?1 limit ?2)",
        "delete from output where run = ?1 and (task, map_index) in"
        " (select task, map_index from output where run = ?1 limit ?2)",
        "delete from map_list where run = ?1 and map in"
        " (select map from map_list where run = ?1 limit ?2)",
        "delete from approval where id in (select id from approval where run = ?1 limit ?2)",
        "delete from run_dataset where run = ?1 and dataset in"
        " (select dataset from run_dataset where run = ?1 limit ?2)",
        "delete from run_edit where run in (select run from run_edit where run = ?1 limit ?2)",
        "delete from task_instance where run = ?1 and (task, map_index) in"
        " (select task, map_index from task_instance where run = ?1 limit ?2)",
    };
    for (size_t i = 0; i < sizeof deletions / sizeof *deletions && *n < most; i++) {
        if (!run_one(store, deletions[i], run, (int64_t)(most - *n), err))
            return false;
        *n += (size_t)sql_changes(store->sql);
    }
    return true;
}

bool store_clear_doomed(struct store *store, size_t most, size_t *n, uint64_t *bare, size_t *n_bare,
                        struct nx_err *err)
{
    size_t room = *n_bare;
    struct sql_stmt *stmt;
    bool row, ok;
    *n = *n_bare = 0;
    if (!sql_prepare(store->sql, "select run from doomed_run order by run", &stmt, err))
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row && *n_bare < room) {
        int64_t run = sql_int(stmt, 0);
        ok = store_begin(store, err) && clear_rows(store, run, most, n, err);
        if (!ok || *n >= most) /* perhaps not all of it */
            break;
        bare[(*n_bare)++] = (uint64_t)run;
    }
    sql_stmt_free(stmt);
    return ok;
}

bool store_bury_run(struct store *store, uint64_t run, struct nx_err *err)
{
    return store_begin(store, err) &&
           run_one(store, "delete from doomed_run where run = ?1", (int64_t)run, -1, err);
}

bool store_free_pages(struct store *store, int64_t *n, struct nx_err *err)
{
    return sql_get_int(store->sql, "pragma freelist_count", n, err);
}

bool store_give_back(struct store *store, size_t most, struct nx_err *err)
{
    char text[64];
    snprintf(text, sizeof text, "pragma incremental_vacuum(%zu)", most);
    return store_begin(store, err) && sql_exec(store->sql, text, err);
}

/* ---- Artifacts ---- */

#define ADDRESS_N (ARTIFACT_ADDRESS_MAX - 1)

static void find_names(const char *text, void (*fn)(void *arg, const char *address), void *arg)
{
    char address[ARTIFACT_ADDRESS_MAX];
    for (const char *at = text; at && (at = strstr(at, "sha256:")); at++) {
        if (strnlen(at, ADDRESS_N) < ADDRESS_N)
            return;
        memcpy(address, at, ADDRESS_N);
        address[ADDRESS_N] = 0;
        if (artifact_is_address(address))
            fn(arg, address);
    }
}

bool query_artifact_names(struct query *query, uint64_t from, uint64_t to,
                          void (*fn)(void *arg, const char *address), void *arg, struct nx_err *err)
{
    /* Everything that may name an artifact which has to stay. */
    static const char *const texts[] = {
        "select json from output where run between ?1 and ?2",
        "select params from run where run between ?1 and ?2",
        "select json from map_list where run between ?1 and ?2",
        "select json from approval where run between ?1 and ?2",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sql_stmt *stmt = query_prepare(query, texts[i], err);
        bool row, ok;
        if (!stmt)
            return false;
        sql_bind_int(stmt, 1, (int64_t)from);
        sql_bind_int(stmt, 2, (int64_t)to);
        while ((ok = sql_step(stmt, &row, err)) && row)
            find_names(sql_text(stmt, 0), fn, arg);
        if (!ok)
            return false;
    }
    return true;
}

bool query_run_bounds(struct query *query, uint64_t *highest, uint64_t *unfinished,
                      struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query,
                                          "select coalesce(max(run), 0), coalesce((select min(run)"
                                          " from run where state < 3), max(run) + 1, 1) from run",
                                          err);
    bool row;
    if (!stmt || !sql_step(stmt, &row, err))
        return false;
    *highest = (uint64_t)sql_int(stmt, 0);
    *unfinished = (uint64_t)sql_int(stmt, 1);
    sql_reset(stmt);
    return true;
}
