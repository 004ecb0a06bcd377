/* What was asked of people, and what they said. One row a task instance, until it is cleared. */
#include "lib/base/must.h"
#include "scheduler/store/internal.h"

bool store_decide_approval(struct store *store, const struct store_decision *decision,
                           struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "update approval set approved = ?2, decided_at = ?3, decided_by = ?4,"
                     " comment = ?5, json = ?6, open = 0 where id = ?1",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)decision->id);
    sql_bind_int(stmt, 2, decision->approved);
    sql_bind_int(stmt, 3, decision->at_ms);
    sql_bind_text(stmt, 4, decision->who);
    sql_bind_text(stmt, 5, decision->comment);
    sql_bind_text(stmt, 6, decision->values);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_approval(struct store *store, uint64_t id, bool *open, bool *decided, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select open, decided_at is not null from approval where id = ?1",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)id);
    bool ok = sql_step(stmt, &row, err);
    *open = ok && row && sql_int(stmt, 0) != 0;
    *decided = ok && row && sql_int(stmt, 1) != 0;
    sql_stmt_free(stmt);
    return ok;
}
