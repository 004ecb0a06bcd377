/* Backfills in the store: their plan, and which runs have come of it. */
#include "lib/base/must.h"
#include "scheduler/store/internal.h"

static bool put_item(struct sql_stmt *stmt, uint64_t id, size_t position,
                     const struct core_backfill_item *item, struct nx_err *err)
{
    sql_bind_int(stmt, 1, (int64_t)id);
    sql_bind_int(stmt, 2, (int64_t)position);
    sql_bind_int(stmt, 3, item->start_ms);
    sql_bind_int(stmt, 4, item->finish_ms);
    sql_bind_int(stmt, 5, item->run.v != 0);
    if (item->run.v)
        sql_bind_int(stmt, 6, (int64_t)item->run.v);
    else
        sql_bind_null(stmt, 6);
    return sql_run(stmt, err);
}

static bool put_items(struct store *store, uint64_t id, const struct core_backfill *plan,
                      struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool ok = sql_prepare(store->sql,
                          "insert into backfill_item (backfill, position, start_at, finish_at,"
                          " reprocess, run) values (?1, ?2, ?3, ?4, ?5, ?6)",
                          &stmt, err);
    if (!ok)
        return false;
    for (size_t i = 0; ok && i < plan->n_items; i++)
        ok = put_item(stmt, id, i, &plan->items[i], err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_put_backfill(struct store *store, const struct store_new_backfill *from, uint64_t *id,
                        struct nx_err *err)
{
    struct sql_stmt *stmt;
    const struct core_backfill *plan = from->plan;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "insert into backfill (dag, from_at, to_at, state, next, n_items, reprocess,"
                     " backwards, max_active, params, created_at)"
                     " values (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10)",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, plan->dag);
    sql_bind_int(stmt, 2, from->from_ms);
    sql_bind_int(stmt, 3, from->to_ms);
    sql_bind_int(stmt, 4, plan->state);
    sql_bind_int(stmt, 5, (int64_t)plan->n_items);
    sql_bind_text(stmt, 6, from->reprocess);
    sql_bind_int(stmt, 7, from->backwards);
    sql_bind_int(stmt, 8, plan->max_active);
    sql_bind_text(stmt, 9, from->params);
    sql_bind_int(stmt, 10, from->created_ms);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    if (!ok)
        return false;
    *id = (uint64_t)sql_last_rowid(store->sql);
    return put_items(store, *id, plan, err);
}

bool store_set_backfill_run(struct store *store, uint64_t id, size_t position, struct nx_run_id run,
                            struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "update backfill_item set run = ?3 where backfill = ?1 and position = ?2",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)id);
    sql_bind_int(stmt, 2, (int64_t)position);
    sql_bind_int(stmt, 3, (int64_t)run.v);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_backfill_params(struct store *store, uint64_t id, struct buf *params, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select params from backfill where id = ?1", &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)id);
    bool ok = sql_step(stmt, &row, err);
    if (ok && row)
        buf_add(params, sql_text(stmt, 0), sql_n_bytes(stmt, 0));
    sql_stmt_free(stmt);
    return ok;
}

bool store_overlapping_backfill(struct store *store, const char *dag, int64_t from_ms,
                                int64_t to_ms, uint64_t *id, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql,
                     "select id from backfill where dag = ?1 and state < 2 and from_at <= ?3"
                     " and to_at >= ?2",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, from_ms);
    sql_bind_int(stmt, 3, to_ms);
    bool ok = sql_step(stmt, &row, err);
    *id = ok && row ? (uint64_t)sql_int(stmt, 0) : 0;
    sql_stmt_free(stmt);
    return ok;
}

bool store_run_state(struct store *store, struct nx_run_id run, enum nx_run_state *state,
                     struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select state from run where run = ?1", &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    bool ok = sql_step(stmt, &row, err);
    if (ok && row)
        *state = (enum nx_run_state)sql_int(stmt, 0);
    else if (ok)
        ok = nx_fail(err, NX_E_NOT_FOUND, "there is no run %llu", (unsigned long long)run.v);
    sql_stmt_free(stmt);
    return ok;
}

/* ---- At the start ---- */

static bool load_items(struct store *store, struct core_backfill *backfill, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false, ok;
    VEC(struct core_backfill_item) items = {0};
    if (!sql_prepare(store->sql,
                     "select start_at, finish_at, reprocess, run from backfill_item"
                     " where backfill = ?1 order by position",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)backfill->id);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct core_backfill_item item = {.start_ms = sql_int(stmt, 0),
                                          .finish_ms = sql_int(stmt, 1)};
        if (sql_int(stmt, 2))
            item.run.v = (uint64_t)sql_int(stmt, 3);
        vec_push(&items, item);
    }
    sql_stmt_free(stmt);
    backfill->items = items.at;
    backfill->n_items = items.n;
    return ok;
}

bool store_load_backfills(struct store *store, void *arg,
                          void (*fn)(void *arg, const struct core_backfill *backfill),
                          struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false, ok;
    if (!sql_prepare(store->sql,
                     "select id, dag, max_active, state, next, reason from backfill where state < 2"
                     " order by id",
                     &stmt, err))
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct core_backfill backfill = {
            .id = (uint64_t)sql_int(stmt, 0),
            .dag = sql_text(stmt, 1),
            .max_active = (uint32_t)sql_int(stmt, 2),
            .state = (enum core_backfill_state)sql_int(stmt, 3),
            .next = (size_t)sql_int(stmt, 4),
            .reason = (enum nx_reason)sql_int(stmt, 5),
        };
        if ((ok = load_items(store, &backfill, err)))
            fn(arg, &backfill);
        mem_free((void *)(uintptr_t)backfill.items);
        if (!ok)
            break;
    }
    sql_stmt_free(stmt);
    return ok;
}
