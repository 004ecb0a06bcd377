/* What people change in the store beside the state of the core: notes, and the list of
 * who changed what. */
#include "lib/base/must.h"
#include "scheduler/store/internal.h"

bool store_put_audit(struct store *store, const struct store_audit *audit, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) || !sql_prepare(store->sql,
                                                 "insert into audit (at, who, what, target, detail)"
                                                 " values (?1, ?2, ?3, ?4, ?5)",
                                                 &stmt, err))
        return false;
    sql_bind_int(stmt, 1, audit->at_ms);
    sql_bind_text(stmt, 2, audit->who);
    sql_bind_text(stmt, 3, audit->what);
    sql_bind_text(stmt, 4, audit->target);
    sql_bind_text(stmt, 5, audit->detail);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_last_change(struct store *store, const char *kind, const char *target, int64_t *id,
                       struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row;
    if (!sql_prepare(store->sql,
                     "select id from audit where target = ?1 and what glob ?2"
                     " order by id desc limit 1",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, target);
    sql_bind_text(stmt, 2, kind);
    bool ok = sql_step(stmt, &row, err);
    if (ok)
        *id = row ? sql_int(stmt, 0) : 0;
    sql_stmt_free(stmt);
    return ok;
}

bool store_set_note(struct store *store, struct nx_run_id run, const char *note, bool *found,
                    struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql, "update run set note = ?2 where run = ?1 returning run", &stmt,
                     err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    sql_bind_text(stmt, 2, note);
    bool ok = sql_step(stmt, found, err);
    sql_stmt_free(stmt);
    return ok;
}
