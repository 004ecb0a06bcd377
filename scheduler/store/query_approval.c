/* Reads of what people are asked. */
#include "scheduler/store/query_internal.h"

#define COLUMNS \
    "select a.id, r.version, a.run, a.task, a.map_index, r.dag, a.message, a.form, a.open," \
    " a.approved, a.asked_at, a.due_at, a.decided_at, a.decided_by, a.comment, a.json" \
    " from approval a join run r on r.run = a.run where "
#define REST \
    " and (?1 = 0 or a.id = ?1) and (?2 = 0 or a.run = ?2) and a.id > ?3 order by a.id limit ?4"

bool query_approvals(struct query *query, const struct query_approvals *which,
                     bool (*fn)(void *arg, const struct query_approval *approval), void *arg,
                     struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt =
        query_prepare(query, which->all ? COLUMNS "1" REST : COLUMNS "a.open = 1" REST, err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)which->id);
    sql_bind_int(stmt, 2, (int64_t)which->run.v);
    sql_bind_int(stmt, 3, (int64_t)which->after);
    sql_bind_int(stmt, 4, (int64_t)which->limit);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_approval approval = {
            .id = (uint64_t)sql_int(stmt, 0),
            .version = (uint64_t)sql_int(stmt, 1),
            .inst = {{(uint64_t)sql_int(stmt, 2)},
                     (uint32_t)sql_int(stmt, 3),
                     (int32_t)sql_int(stmt, 4)},
            .dag = sql_text(stmt, 5),
            .message = sql_text(stmt, 6),
            .form = sql_text(stmt, 7),
            .open = sql_int(stmt, 8) != 0,
            .approved = sql_int(stmt, 9) != 0,
            .asked_ms = sql_int(stmt, 10),
            .due_ms = sql_int(stmt, 11),
            .decided_ms = sql_int(stmt, 12),
            .decided_by = sql_text(stmt, 13),
            .comment = sql_text(stmt, 14),
            .values = sql_text(stmt, 15),
        };
        if (!fn(arg, &approval)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}
