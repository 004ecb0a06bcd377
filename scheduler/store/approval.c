/* What was asked of people, and what they said. One row a task instance, until it is cleared. */
#include "lib/base/must.h"
#include "scheduler/store/internal.h"

static void bind_inst(struct sql_stmt *stmt, struct nx_inst_id id)
{
    sql_bind_int(stmt, 1, (int64_t)id.run.v);
    sql_bind_int(stmt, 2, id.task);
    sql_bind_int(stmt, 3, id.map);
}

bool store_decide_approval(struct store *store, const struct store_decision *decision,
                           struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "update approval set approved = ?4, decided_at = ?5, decided_by = ?6,"
                     " comment = ?7, json = ?8, open = 0"
                     " where run = ?1 and task = ?2 and map_index = ?3",
                     &stmt, err))
        return false;
    bind_inst(stmt, decision->inst);
    sql_bind_int(stmt, 4, decision->approved);
    sql_bind_int(stmt, 5, decision->at_ms);
    sql_bind_text(stmt, 6, decision->who);
    sql_bind_text(stmt, 7, decision->comment);
    sql_bind_text(stmt, 8, decision->values);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_is_decided(struct store *store, struct nx_inst_id inst, bool *decided,
                      struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!sql_prepare(store->sql,
                     "select 1 from approval where run = ?1 and task = ?2 and map_index = ?3"
                     " and decided_at is not null",
                     &stmt, err))
        return false;
    bind_inst(stmt, inst);
    bool ok = sql_step(stmt, decided, err);
    sql_stmt_free(stmt);
    return ok;
}
