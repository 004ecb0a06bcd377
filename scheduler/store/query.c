#include "scheduler/store/query.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/store/query_internal.h"
#include "scheduler/store/search.h"

struct query_pool {
    pthread_mutex_t lock;
    char *path;
    int64_t query_ms;
    struct query *free;
    unsigned n_open; /* in use */
    struct info_cache *cache;
};

/* ---- The pool ---- */

struct query_pool *query_pool_new(const char *path, int64_t query_ms)
{
    struct query_pool *pool = mem_alloc(sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pool->path = mem_strdup(path);
    pool->query_ms = query_ms;
    pool->cache = info_cache_new();
    return pool;
}

/* A search has a text of its own, so there may be ever more of them. */
#define STATEMENTS_MAX 256

static void free_statements(struct query *query)
{
    for (size_t i = 0; i < query->statements.n; i++)
        sql_stmt_free(query->statements.at[i].value);
    map_fini(&query->statements);
    map_init(&query->statements);
}

static void close_query(struct query *query)
{
    free_statements(query);
    vec_fini(&query->held);
    sql_close(query->sql);
    mem_free(query);
}

void query_pool_free(struct query_pool *pool)
{
    if (!pool)
        return;
    must(pool->n_open == 0);
    while (pool->free) {
        struct query *next = pool->free->next;
        close_query(pool->free);
        pool->free = next;
    }
    info_cache_free(pool->cache);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->path);
    mem_free(pool);
}

static struct query *take(struct query_pool *pool, struct nx_err *err)
{
    pthread_mutex_lock(&pool->lock);
    struct query *query = pool->free;
    if (query)
        pool->free = query->next;
    pool->n_open++;
    pthread_mutex_unlock(&pool->lock);
    if (query)
        return query;
    query = mem_alloc(sizeof *query);
    query->pool = pool;
    map_init(&query->statements);
    if (sql_open_reader(pool->path, pool->query_ms, &query->sql, err))
        return query;
    pthread_mutex_lock(&pool->lock);
    pool->n_open--;
    pthread_mutex_unlock(&pool->lock);
    map_fini(&query->statements);
    mem_free(query);
    return NULL;
}

static void give_back(struct query *query)
{
    struct query_pool *pool = query->pool;
    pthread_mutex_lock(&pool->lock);
    query->next = pool->free;
    pool->free = query;
    pool->n_open--;
    pthread_mutex_unlock(&pool->lock);
}

struct query *query_begin(struct query_pool *pool, struct nx_err *err)
{
    struct query *query = take(pool, err);
    if (query && !sql_exec(query->sql, "BEGIN", err)) {
        give_back(query);
        return NULL;
    }
    return query;
}

void query_end(struct query *query)
{
    if (!query)
        return;
    for (size_t i = 0; i < query->held.n; i++)
        info_release(query->pool->cache, query->held.at[i]);
    query->held.n = 0;
    if (query->statements.n > STATEMENTS_MAX)
        free_statements(query);
    for (size_t i = 0; i < query->statements.n; i++)
        sql_reset(query->statements.at[i].value);
    sql_rollback(query->sql);
    give_back(query);
}

struct sql_stmt *query_prepare(struct query *query, const char *text, struct nx_err *err)
{
    struct sql_stmt *stmt = map_get(&query->statements, text);
    if (stmt) {
        sql_reset(stmt);
        return stmt;
    }
    if (!sql_prepare(query->sql, text, &stmt, err))
        return NULL;
    map_set(&query->statements, text, stmt);
    return stmt;
}

/* ---- DAGs ---- */

static const struct dag_info *read_version(struct query *query, uint64_t id, struct nx_err *err)
{
    bool row;
    const struct dag_info *info = NULL;
    struct sql_stmt *stmt = query_prepare(
        query, "select number, dag, file, info, created_at from dag_version where version = ?1",
        err);
    if (!stmt)
        return NULL;
    sql_bind_int(stmt, 1, (int64_t)id);
    if (!sql_step(stmt, &row, err))
        return NULL;
    if (row)
        info = info_cache_add(query->pool->cache, id, sql_int(stmt, 0), sql_text(stmt, 1),
                              sql_text(stmt, 2), sql_text(stmt, 3), sql_int(stmt, 4), err);
    else
        nx_fail(err, NX_E_NOT_FOUND, "there is no DAG version %llu", (unsigned long long)id);
    sql_reset(stmt);
    return info;
}

bool query_version(struct query *query, uint64_t id, const struct dag_info **info,
                   struct nx_err *err)
{
    for (size_t i = 0; i < query->held.n; i++) {
        if (query->held.at[i]->id == id) {
            *info = query->held.at[i];
            return true;
        }
    }
    const struct dag_info *found = info_cache_find(query->pool->cache, id);
    if (!found)
        found = read_version(query, id, err);
    if (!found)
        return false;
    vec_push(&query->held, found);
    *info = found;
    return true;
}

/* Behind `{"key":"text",` or `"key":"text",`, or NULL. */
static const char *skip_member(const char *p, const char *start)
{
    size_t n = strlen(start);
    if (strncmp(p, start, n) != 0)
        return NULL;
    for (p += n; *p && *p != '"'; p++) {
        if (*p == '\\' && !*++p)
            return NULL;
    }
    return p[0] == '"' && p[1] == ',' ? p + 2 : NULL;
}

bool query_shown(struct query *query, uint64_t version, struct query_shown *shown,
                 struct nx_err *err)
{
    bool row;
    struct sql_stmt *stmt = query_prepare(
        query, "select number, file, info, timetable from dag_version where version = ?1", err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    if (!sql_step(stmt, &row, err))
        return false;
    if (!row)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no DAG version %llu",
                       (unsigned long long)version);
    /* {"id":"...","file":"...",<members>}: cut out, since it may be long. */
    const char *info = sql_text(stmt, 2), *p = skip_member(info, "{\"id\":\"");
    p = p ? skip_member(p, "\"file\":\"") : NULL;
    size_t n = p ? strlen(p) : 0;
    if (n < 2 || p[n - 1] != '}')
        return nx_fail(err, NX_E_DATA, "the stored DAG version %llu is damaged",
                       (unsigned long long)version);
    *shown = (struct query_shown){sql_int(stmt, 0), sql_text(stmt, 1), p, n - 1, sql_text(stmt, 3)};
    return true;
}

bool query_marks(struct query *query, const char *dag,
                 bool (*fn)(void *arg, const char *key, int64_t watermark_ms), void *arg,
                 struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query, "select key, watermark from schedule_mark where dag = ?1 and watermark is not null",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dag);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        if (!fn(arg, sql_text(stmt, 0), sql_int(stmt, 1))) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

static bool each_dag(struct sql_stmt *stmt, query_dag_fn *fn, void *arg, struct nx_err *err)
{
    bool row, ok;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_dag dag = {.id = sql_text(stmt, 0),
                                      .version = (uint64_t)sql_int(stmt, 1),
                                      .present = sql_int(stmt, 2) != 0,
                                      .paused = sql_int(stmt, 3) != 0};
        if (!fn(arg, &dag)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_dags(struct query *query, const char *after, size_t limit, query_dag_fn *fn, void *arg,
                struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query,
                                          "select id, version, present, paused from dag"
                                          " where id > ?1 and present order by id limit ?2",
                                          err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, after);
    sql_bind_int(stmt, 2, (int64_t)limit);
    return each_dag(stmt, fn, arg, err);
}

bool query_find_dags(struct query *query, const struct query_dags *which, query_dag_fn *fn,
                     void *arg, struct nx_err *err)
{
    struct buf text = {0};
    buf_printf(&text, "select d.id, d.version, d.present, d.paused from dag d where d.present%s",
               !which->after       ? ""
               : which->last_first ? " and d.id < ?1"
                                   : " and d.id > ?1");
    if (which->search)
        search_sql(which->search, SEARCH_OF_DAG, 3, &text);
    buf_printf(&text, " order by d.id %slimit ?2", which->last_first ? "desc " : "");
    struct sql_stmt *stmt = query_prepare(query, buf_text(&text), err);
    buf_fini(&text);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, which->after);
    sql_bind_int(stmt, 2, (int64_t)which->limit);
    if (which->search)
        search_bind(which->search, SEARCH_OF_DAG, 3, stmt);
    return each_dag(stmt, fn, arg, err);
}

bool query_dag(struct query *query, const char *id, query_dag_fn *fn, void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt =
        query_prepare(query, "select id, version, present, paused from dag where id = ?1", err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, id);
    return each_dag(stmt, fn, arg, err);
}

bool query_problems(struct query *query,
                    bool (*fn)(void *arg, const char *file, const char *problems, bool has_dag),
                    void *arg, struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt =
        query_prepare(query,
                      "select file, problems, file in (select v.file from dag d join dag_version v"
                      " on v.version = d.version where d.present) from file_problem order by file",
                      err);
    if (!stmt)
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        if (!fn(arg, sql_text(stmt, 0), sql_text(stmt, 1), sql_int(stmt, 2) != 0)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_versions(struct query *query, const char *dag, int64_t before, size_t limit,
                    bool (*fn)(void *arg, uint64_t id, int64_t number, const char *file,
                               const char *hash, int64_t created_ms),
                    void *arg, struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query,
        "select version, number, file, hash, created_at from dag_version where dag = ?1"
        " and number < ?2 order by version desc limit ?3",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, before);
    sql_bind_int(stmt, 3, (int64_t)limit);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        if (!fn(arg, (uint64_t)sql_int(stmt, 0), sql_int(stmt, 1), sql_text(stmt, 2),
                sql_text(stmt, 3), sql_int(stmt, 4))) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_version_id(struct query *query, const char *dag, int64_t number, uint64_t *id,
                      struct nx_err *err)
{
    bool row;
    struct sql_stmt *stmt =
        query_prepare(query, "select version from dag_version where dag = ?1 and number = ?2", err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, number);
    if (!sql_step(stmt, &row, err))
        return false;
    if (row)
        *id = (uint64_t)sql_int(stmt, 0);
    sql_reset(stmt);
    return row ||
           nx_fail(err, NX_E_NOT_FOUND, "DAG '%s' has no version %lld", dag, (long long)number);
}

bool query_source(struct query *query, uint64_t version, struct buf *to, struct nx_err *err)
{
    bool row;
    struct sql_stmt *stmt =
        query_prepare(query, "select source from dag_version where version = ?1", err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    if (!sql_step(stmt, &row, err))
        return false;
    if (row)
        buf_add(to, sql_text(stmt, 0), sql_n_bytes(stmt, 0));
    sql_reset(stmt);
    return row || nx_fail(err, NX_E_NOT_FOUND, "there is no DAG version %llu",
                          (unsigned long long)version);
}

/* ---- Runs ---- */

static void read_counts(uint32_t *counts, const char *text)
{
    for (int i = 0; i < NX_TASK_STATES && *text; i++) {
        uint32_t n = 0;
        while (*text >= '0' && *text <= '9')
            n = n * 10 + (uint32_t)(*text++ - '0');
        counts[i] = n;
        text += *text == ',';
    }
}

bool query_each_run(struct sql_stmt *stmt, int64_t since_ms, query_run_fn *fn, void *arg,
                    struct nx_err *err)
{
    bool row, ok;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct query_run run = {
            .id = {(uint64_t)sql_int(stmt, 0)},
            .dag = sql_text(stmt, 1),
            .version = (uint64_t)sql_int(stmt, 2),
            .version_number = sql_int(stmt, 3),
            .state = (enum nx_run_state)sql_int(stmt, 4),
            .cause = (enum nx_run_cause)sql_int(stmt, 5),
            .reason = (enum nx_reason)sql_int(stmt, 6),
            .interval_start_ms = sql_int(stmt, 7),
            .interval_finish_ms = sql_int(stmt, 8),
            .params = sql_text(stmt, 9),
            .note = sql_text(stmt, 10),
            .created_ms = sql_int(stmt, 11),
            .started_ms = sql_int(stmt, 12),
            .finished_ms = sql_int(stmt, 13),
            .deadline_ms = sql_int(stmt, 16),
            .late_ms = sql_int(stmt, 17),
            .claims = sql_int(stmt, 18) != 0,
        };
        run.triggers = sql_text(stmt, 15);
        read_counts(run.counts, sql_text(stmt, 14));
        /* Ids rise with time: nothing older can follow. */
        if ((since_ms && run.created_ms < since_ms) || !fn(arg, &run)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

/* The index that has such runs alone, newest last; late ones are few. NULL: the table itself. */
static const char *index_of(const struct query_runs *which)
{
    if (which->late)
        return which->dag ? "run_of_dag_late" : "run_late";
    if (which->state >= 0)
        return which->dag ? "run_of_dag_state" : "run_of_state";
    return which->dag ? "run_of_dag" : NULL;
}

/* Ids grow with the time of creation, so the halves tell. */
bool query_first_since(struct query *query, int64_t since_ms, int64_t *first, struct nx_err *err)
{
    bool row;
    struct sql_stmt *last = query_prepare(query, "select coalesce(max(run), 0) from run", err);
    if (!last || !sql_step(last, &row, err))
        return false;
    int64_t low = 1, high = sql_int(last, 0) + 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        struct sql_stmt *stmt = query_prepare(
            query, "select created_at from run where run >= ?1 order by run limit 1", err);
        if (!stmt)
            return false;
        sql_bind_int(stmt, 1, middle);
        if (!sql_step(stmt, &row, err))
            return false;
        if (!row || sql_int(stmt, 0) >= since_ms)
            high = middle;
        else
            low = middle + 1;
    }
    *first = low;
    return true;
}

static int64_t first_of(const struct query_runs *which, int64_t since_first)
{
    int64_t first = which->before ? (int64_t)which->before : 0;
    if (!which->oldest_first)
        return which->before ? first : INT64_MAX;
    return first >= since_first ? first : since_first - 1;
}

bool query_runs(struct query *query, const struct query_runs *which, query_run_fn *fn, void *arg,
                struct nx_err *err)
{
    struct buf text = {0};
    const char *index = index_of(which);
    int64_t since_first = 0;
    if (which->oldest_first && which->since_ms &&
        !query_first_since(query, which->since_ms, &since_first, err))
        return false;
    buf_printf(&text, "%s%s%s" QUERY_RUN_NUMBER " where r.run %s ?1%s", QUERY_RUN_COLUMNS,
               index ? " indexed by " : "", index ? index : "", which->oldest_first ? ">" : "<",
               which->dag ? " and r.dag = ?3" : "");
    if (which->state >= 0)
        buf_printf(&text, " and r.state = %d", which->state);
    if (which->late)
        buf_str(&text, " and r.late_at is not null");
    buf_printf(&text, " order by r.run %slimit ?2", which->oldest_first ? "" : "desc ");
    struct sql_stmt *stmt = query_prepare(query, buf_text(&text), err);
    buf_fini(&text);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, first_of(which, since_first));
    sql_bind_int(stmt, 2, (int64_t)which->limit);
    if (which->dag)
        sql_bind_text(stmt, 3, which->dag);
    return query_each_run(stmt, which->oldest_first ? 0 : which->since_ms, fn, arg, err);
}

bool query_run(struct query *query, struct nx_run_id id, query_run_fn *fn, void *arg,
               struct nx_err *err)
{
    struct sql_stmt *stmt =
        query_prepare(query, QUERY_RUN_COLUMNS QUERY_RUN_NUMBER " where r.run = ?1", err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)id.v);
    return query_each_run(stmt, 0, fn, arg, err);
}

static bool each_audit(struct sql_stmt *stmt,
                       bool (*fn)(void *arg, const struct query_audit *audit), void *arg,
                       struct nx_err *err)
{
    bool row, ok;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_audit audit = {
            .id = sql_int(stmt, 0),
            .at_ms = sql_int(stmt, 1),
            .who = sql_text(stmt, 2),
            .what = sql_text(stmt, 3),
            .target = sql_text(stmt, 4),
            .detail = sql_text(stmt, 5),
        };
        if (!fn(arg, &audit)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_audit(struct query *query, int64_t before, size_t limit,
                 bool (*fn)(void *arg, const struct query_audit *audit), void *arg,
                 struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query,
                                          "select id, at, who, what, target, detail from audit"
                                          " where id < ?1 order by id desc limit ?2",
                                          err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, before ? before : INT64_MAX);
    sql_bind_int(stmt, 2, (int64_t)limit);
    return each_audit(stmt, fn, arg, err);
}

bool query_last_change(struct query *query, const char *kind, const char *target,
                       bool (*fn)(void *arg, const struct query_audit *audit), void *arg,
                       struct nx_err *err)
{
    struct sql_stmt *stmt =
        query_prepare(query,
                      "select id, at, who, what, target, detail from audit where target = ?1"
                      " and what glob ?2 order by id desc limit 1",
                      err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, target);
    sql_bind_text(stmt, 2, kind);
    return each_audit(stmt, fn, arg, err);
}

bool query_unfinished(struct query *query, int64_t counts[NX_RS_SUCCESS], struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt =
        query_prepare(query, "select state, count(*) from run where state < 3 group by state", err);
    if (!stmt)
        return false;
    for (int i = 0; i < NX_RS_SUCCESS; i++)
        counts[i] = 0;
    while ((ok = sql_step(stmt, &row, err)) && row)
        counts[sql_int(stmt, 0)] = sql_int(stmt, 1);
    return ok;
}

bool query_figures(struct query *query, struct query_figures *figures, struct nx_err *err)
{
    bool row;
    struct sql_stmt *stmt = query_prepare(query,
                                          "select (select count(*) from dag where present),"
                                          " (select count(*) from dag where present and paused),"
                                          " (select count(*) from file_problem),"
                                          " (select count(*) from approval where open = 1),"
                                          " (select count(*) from notification where state = 0),"
                                          " (select count(*) from backfill where state < 2)",
                                          err);
    if (!stmt || !sql_step(stmt, &row, err))
        return false;
    *figures = (struct query_figures){sql_int(stmt, 0), sql_int(stmt, 1), sql_int(stmt, 2),
                                      sql_int(stmt, 3), sql_int(stmt, 4), sql_int(stmt, 5)};
    sql_reset(stmt);
    return true;
}

bool query_run_counts(struct query *query, const char *dag, int64_t since_ms,
                      int64_t counts[NX_RUN_STATES], struct nx_err *err)
{
    bool row;
    int64_t first;
    if (!query_first_since(query, since_ms, &first, err))
        return false;
    /* Of one state after the other, which an index has in a row. */
    struct sql_stmt *stmt = query_prepare(
        query,
        dag ? "select count(*) from run indexed by run_of_dag_state where state = ?1 and run >= ?2"
              " and dag = ?3"
            : "select count(*) from run indexed by run_of_state where state = ?1 and run >= ?2",
        err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 2, first);
    if (dag)
        sql_bind_text(stmt, 3, dag);
    for (int i = 0; i < NX_RUN_STATES; i++) {
        sql_bind_int(stmt, 1, i);
        if (!sql_step(stmt, &row, err))
            return false;
        counts[i] = sql_int(stmt, 0);
        sql_reset(stmt);
    }
    return true;
}
