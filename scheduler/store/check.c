#include "scheduler/store/check.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "scheduler/store/query_internal.h"
#include "scheduler/store/schema.h"

static bool quick_check(struct query *query, struct query_check *check, struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query, "pragma quick_check(3)", err);
    size_t n = 0;
    bool row, ok;
    if (!stmt)
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const char *text = sql_text(stmt, 0);
        if (text && !str_eq(text, "ok") && n + 4 < sizeof check->damage) {
            snprintf(check->damage + n, sizeof check->damage - n, "%s%s", n ? "; " : "", text);
            n = strlen(check->damage);
        }
    }
    check->checked = ok;
    if (!ok && err->code != NX_E_TIMEOUT) /* what cannot be read is damaged */
        str_copy(check->damage, sizeof check->damage, err->text);
    return true;
}

bool query_check(struct query *query, int64_t bytes_max, struct query_check *check,
                 struct nx_err *err)
{
    *check = (struct query_check){.schema_known = store_migrations[store_n_migrations - 1].version};
    if (!sql_get_int(query->sql, "pragma user_version", &check->schema, err) ||
        !sql_get_int(query->sql, "pragma page_size", &check->page_bytes, err) ||
        !sql_get_int(query->sql, "pragma page_count", &check->n_pages, err) ||
        !sql_get_int(query->sql, "pragma freelist_count", &check->n_free_pages, err))
        return false;
    if (check->schema == check->schema_known &&
        (!sql_get_int(query->sql, "select count(*) from secret", &check->n_secrets, err) ||
         !sql_get_int(query->sql, "select count(*) from doomed_run", &check->n_doomed, err)))
        return false;
    return check->n_pages * check->page_bytes > bytes_max || quick_check(query, check, err);
}

bool query_skews(struct query *query,
                 void (*fn)(void *arg, const char *worker, int64_t behind_ms, int64_t ahead_ms),
                 void *arg, struct nx_err *err)
{
    /* started_at and finished_at of an instance are its worker's, the others the scheduler's. */
    static const char text[] =
        "select w.id, coalesce(max(i.ready_at - i.started_at), 0),"
        " coalesce(max(i.finished_at - r.finished_at), 0)"
        " from (select run, finished_at from run not indexed where state between 3 and 4"
        "       order by run desc limit 20) r"
        " join task_instance i on i.run = r.run join worker w on w.number = i.worker"
        " where i.started_at > 0 and i.outcome is not null group by w.id";
    struct sql_stmt *stmt = query_prepare(query, text, err);
    bool row, ok;
    if (!stmt)
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        int64_t behind = sql_int(stmt, 1), ahead = sql_int(stmt, 2);
        fn(arg, sql_text(stmt, 0), behind > 0 ? behind : 0, ahead > 0 ? ahead : 0);
    }
    return ok;
}
