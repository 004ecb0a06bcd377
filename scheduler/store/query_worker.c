/* Whose an attempt is. */
#include "scheduler/store/query.h"
#include "scheduler/store/query_internal.h"

/* The run's version; 0: there is none. */
static bool version_of(struct query *query, struct nx_run_id run, uint64_t *version,
                       struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query, "select version from run where run = ?1", err);
    bool found = false;
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    bool ok = sql_step(stmt, &found, err);
    *version = ok && found ? (uint64_t)sql_int(stmt, 0) : 0;
    sql_reset(stmt);
    return ok;
}

static bool look(struct query *query, const struct query_claim *claim, uint32_t task,
                 enum query_owner *owner, struct nx_err *err)
{
    /* The last attempt stands in the instance's row, until it is followed by another. */
    static const char text[] =
        "select exists (select 1 from attempt where run = ?3 and task = ?4 and map_index = ?5"
        " and attempt = ?6 and worker = w.number)"
        " or exists (select 1 from task_instance where run = ?3 and task = ?4 and map_index = ?5"
        " and attempt = ?6 and worker = w.number)"
        " from worker w where w.incarnation = ?1 and w.token = ?2";
    struct sql_stmt *stmt = query_prepare(query, text, err);
    bool known = false;
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)claim->incarnation);
    sql_bind_text(stmt, 2, claim->token);
    sql_bind_int(stmt, 3, (int64_t)claim->run.v);
    sql_bind_int(stmt, 4, task);
    sql_bind_int(stmt, 5, claim->map);
    sql_bind_int(stmt, 6, claim->attempt);
    bool ok = sql_step(stmt, &known, err);
    *owner = !ok || !known ? QUERY_NO_WORKER : sql_int(stmt, 0) ? QUERY_MINE : QUERY_OTHERS;
    sql_reset(stmt);
    return ok;
}

bool query_owner(struct query *query, const struct query_claim *claim, enum query_owner *owner,
                 struct nx_err *err)
{
    const struct dag_info *info = NULL;
    uint64_t version;
    if (!version_of(query, claim->run, &version, err) ||
        (version && !query_version(query, version, &info, err)))
        return false;
    int64_t task = info ? info_find(info, claim->task) : -1;
    return look(query, claim, task < 0 ? UINT32_MAX : (uint32_t)task, owner, err);
}
