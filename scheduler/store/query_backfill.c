/* Reads of backfills. */
#include "scheduler/store/query_internal.h"

static bool count_runs(struct query *query, struct query_backfill *backfill, struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query,
        "select state, count(*) from run where backfill = ?1 and backfill > 0 group by state", err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)backfill->id);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        int64_t state = sql_int(stmt, 0);
        if (state >= 0 && state < NX_RUN_STATES)
            backfill->counts[state] = sql_int(stmt, 1);
    }
    return ok;
}

/* What has begun and is no run of its own: seldom, so that it is looked for only then. */
static bool count_missing(struct query *query, struct query_backfill *backfill, struct nx_err *err)
{
    int64_t missing = backfill->next;
    bool row;
    for (int i = 0; i < NX_RUN_STATES; i++)
        missing -= backfill->counts[i];
    if (missing <= 0)
        return true;
    struct sql_stmt *stmt =
        query_prepare(query,
                      "select coalesce(sum(i.run is null or r.run is not null), 0),"
                      " coalesce(sum(i.run is not null and r.run is null), 0)"
                      " from backfill_item i left join run r on r.run = i.run where i.backfill = ?1"
                      " and i.position < ?2 and (r.run is null or r.backfill <> ?1)",
                      err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)backfill->id);
    sql_bind_int(stmt, 2, backfill->next);
    if (!sql_step(stmt, &row, err))
        return false;
    backfill->n_others = sql_int(stmt, 0);
    backfill->n_deleted = sql_int(stmt, 1);
    sql_reset(stmt);
    return true;
}

bool query_backfills(struct query *query, const struct query_backfills *which,
                     bool (*fn)(void *arg, const struct query_backfill *backfill), void *arg,
                     struct nx_err *err)
{
    static const char text[] =
        "select b.id, b.dag, b.reprocess, b.params, b.state, b.from_at, b.to_at, b.created_at,"
        " b.next, b.n_items, b.max_active, b.backwards, coalesce(d.paused, 0),"
        " b.reason"
        " from backfill b left join dag d on d.id = b.dag"
        " where (?1 = 0 or b.id = ?1) and (?2 is null or b.dag = ?2) and (?3 = 0 or b.id < ?3)"
        " order by b.id desc limit ?4";
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(query, text, err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)which->id);
    sql_bind_text(stmt, 2, which->dag);
    sql_bind_int(stmt, 3, (int64_t)which->before);
    sql_bind_int(stmt, 4, (int64_t)which->limit);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct query_backfill backfill = {
            .id = (uint64_t)sql_int(stmt, 0),
            .dag = sql_text(stmt, 1),
            .reprocess = sql_text(stmt, 2),
            .params = sql_text(stmt, 3),
            .state = (int)sql_int(stmt, 4),
            .from_ms = sql_int(stmt, 5),
            .to_ms = sql_int(stmt, 6),
            .created_ms = sql_int(stmt, 7),
            .next = sql_int(stmt, 8),
            .n_items = sql_int(stmt, 9),
            .max_active = sql_int(stmt, 10),
            .backwards = sql_int(stmt, 11) != 0,
            .dag_paused = sql_int(stmt, 12) != 0,
            .reason = (enum nx_reason)sql_int(stmt, 13),
        };
        ok = count_runs(query, &backfill, err) && count_missing(query, &backfill, err);
        if (!ok || !fn(arg, &backfill)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}
