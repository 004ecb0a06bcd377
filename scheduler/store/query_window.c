/* Runs whose tasks may be what is searched for: the newest of them, and a bounded number at a time.
 */
#include "scheduler/store/query_internal.h"
#include "scheduler/store/search.h"

/* As QUERY_RUN_COLUMNS, without what people are shown. */
#define RUN_STATE \
    "select r.run, r.dag, r.version, 0, r.state, r.cause, r.reason, null, null, null, null," \
    " r.created_at, r.started_at, r.finished_at, r.counts, null, null, null, r.claims"

/* The ids of the window; ?1 to ?4. */
static void add_window(struct buf *text, const struct query_window *which)
{
    if (which->with_failed) {
        buf_str(text,
                "select distinct run from task_instance indexed by task_failed where state = 9"
                " and run < ?1 and run >= ?4 order by run desc limit ?2");
        return;
    }
    const char *index = which->unfinished ? "run_unfinished" : "run_of_dag";
    bool indexed = which->unfinished || which->dag;
    buf_printf(
        text, "select run from run%s%s where run < ?1 and run >= ?4%s%s order by run desc limit ?2",
        indexed ? " indexed by " : "", indexed ? index : "",
        which->unfinished ? " and state < 3" : "", which->dag ? " and dag = ?3" : "");
}

static void bind_window(struct sql_stmt *stmt, const struct query_window *which, int64_t first)
{
    sql_bind_int(stmt, 1, which->before ? (int64_t)which->before : INT64_MAX);
    sql_bind_int(stmt, 2, (int64_t)which->limit);
    if (which->dag && !which->with_failed)
        sql_bind_text(stmt, 3, which->dag);
    sql_bind_int(stmt, 4, first);
}

static bool window_end(struct query *query, const struct query_window *which, int64_t first,
                       uint64_t *last, struct nx_err *err)
{
    struct buf text = {0};
    bool row;
    buf_str(&text, "select count(*), min(run) from (");
    add_window(&text, which);
    buf_char(&text, ')');
    struct sql_stmt *stmt = query_prepare(query, buf_text(&text), err);
    buf_fini(&text);
    if (!stmt)
        return false;
    bind_window(stmt, which, first);
    if (!sql_step(stmt, &row, err))
        return false;
    *last = row && sql_int(stmt, 0) == (int64_t)which->limit ? (uint64_t)sql_int(stmt, 1) : 0;
    sql_reset(stmt);
    return true;
}

/* The terms about the version, which are decided once a version; the next parameter. */
static int add_versions(struct buf *text, const struct search *search, int first)
{
    if (!search_has(search, SEARCH_OF_VERSION))
        return first;
    buf_str(text, " and r.version in (select v.version from dag_version v where true");
    int next = search_sql(search, SEARCH_OF_VERSION, first, text);
    buf_char(text, ')');
    return next;
}

bool query_run_window(struct query *query, const struct query_window *which, query_run_fn *fn,
                      void *arg, uint64_t *last, struct nx_err *err)
{
    struct buf text = {0};
    int64_t first = 0;
    if (which->since_ms && !query_first_since(query, which->since_ms, &first, err))
        return false;
    if (!window_end(query, which, first, last, err))
        return false;
    buf_str(&text, RUN_STATE " from (");
    add_window(&text, which);
    buf_str(&text, ") w cross join run r on r.run = w.run where true");
    int next = add_versions(&text, which->search, 5);
    search_sql(which->search, SEARCH_OF_RUN, next, &text);
    buf_str(&text, " order by w.run desc");
    struct sql_stmt *stmt = query_prepare(query, buf_text(&text), err);
    buf_fini(&text);
    if (!stmt)
        return false;
    bind_window(stmt, which, first);
    search_bind(which->search, SEARCH_OF_RUN,
                search_bind(which->search, SEARCH_OF_VERSION, 5, stmt), stmt);
    return query_each_run(stmt, 0, fn, arg, err);
}
