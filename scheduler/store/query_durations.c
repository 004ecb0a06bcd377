/* How long the tasks of a DAG took. */
#include "scheduler/store/query_internal.h"

#define ROWS_MAX 200000 /* that one question looks at */

bool query_durations(struct query *query, const char *dag, size_t n_tasks, size_t n_runs,
                     bool (*fn)(void *arg, uint64_t version, uint32_t task, int64_t ms), void *arg,
                     struct nx_err *err)
{
    static const char text[] = "select r.version, i.task, i.finished_at - i.started_at"
                               " from (select run, version from run indexed by run_of_dag"
                               "       where dag = ?1 and state >= 3 order by run desc limit ?2) r"
                               " join task_instance i on i.run = r.run"
                               " where i.state = ?3 and i.attempt > 0 and i.started_at > 0 and "
                               "i.finished_at >= i.started_at"
                               " limit ?4";
    size_t most = ROWS_MAX / (n_tasks ? n_tasks : 1);
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(query, text, err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, (int64_t)(n_runs < most ? n_runs : most ? most : 1));
    sql_bind_int(stmt, 3, NX_TS_SUCCESS);
    sql_bind_int(stmt, 4, ROWS_MAX);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        if (!fn(arg, (uint64_t)sql_int(stmt, 0), (uint32_t)sql_int(stmt, 1), sql_int(stmt, 2))) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}
