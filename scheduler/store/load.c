/* What a starting scheduler reads, and the versions of DAGs. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/vec.h"
#include "scheduler/store/internal.h"

bool store_begin_epoch(struct store *store, uint64_t *epoch, uint64_t *next_run, struct nx_err *err)
{
    int64_t value, last;
    if (!sql_exec(store->sql, "update meta set value = value + 1 where key = 'epoch'", err) ||
        !sql_get_int(store->sql, "select value from meta where key = 'epoch'", &value, err) ||
        !sql_get_int(store->sql,
                     "select max(coalesce((select max(run) from run), 0),"
                     " coalesce((select value from meta where key = 'last_run'), 0))",
                     &last, err))
        return false;
    store->last_run = (uint64_t)last;
    *epoch = (uint64_t)value;
    *next_run = (uint64_t)last + 1;
    return true;
}

/* ---- Load ---- */

typedef bool row_fn(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err);

/* `run` is the statement's ?1; 0: it has none. */
static bool each_row(struct store *store, const char *sql, uint64_t run, row_fn *fn,
                     const struct store_loader *loader, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false, ok;
    if (!sql_prepare(store->sql, sql, &stmt, err))
        return false;
    if (run)
        sql_bind_int(stmt, 1, (int64_t)run);
    while ((ok = sql_step(stmt, &row, err)) && row && (ok = fn(stmt, loader, err))) {
    }
    sql_stmt_free(stmt);
    return ok;
}

static bool on_version(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err)
{
    const struct store_version version = {
        .version = (uint64_t)sql_int(stmt, 0),
        .dag = sql_text(stmt, 1),
        .file = sql_text(stmt, 2),
        .hash = sql_text(stmt, 3),
        .source_hash = sql_text(stmt, 4),
        .source = sql_text(stmt, 5),
        .catalog = sql_text(stmt, 6),
        .current = sql_int(stmt, 7) != 0,
        .in_use = sql_int(stmt, 8) != 0,
        .has_files = sql_int(stmt, 9) != 0,
        .timetable = sql_text(stmt, 10),
        .paused = sql_int(stmt, 11) != 0,
    };
    return loader->version(loader->arg, &version, err);
}

static bool on_worker(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err)
{
    (void)err;
    const struct core_worker_row row = {
        .number = (uint32_t)sql_int(stmt, 0),
        .id = sql_text(stmt, 1),
        .incarnation = (uint64_t)sql_int(stmt, 2),
        .drain = sql_int(stmt, 3) != 0,
        .ipc = sql_int(stmt, 4) != 0,
        .token = sql_is_null(stmt, 5) ? NULL : sql_text(stmt, 5),
    };
    loader->worker(loader->arg, &row);
    return true;
}

static bool on_run(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err)
{
    (void)err;
    const struct core_run_row row = {
        .id = {(uint64_t)sql_int(stmt, 0)},
        .dag = sql_text(stmt, 1),
        .version = (uint64_t)sql_int(stmt, 2),
        .state = (enum nx_run_state)sql_int(stmt, 3),
        .cause = (enum nx_run_cause)sql_int(stmt, 4),
        .reason = (enum nx_reason)sql_int(stmt, 5),
        .backfill = (uint64_t)sql_int(stmt, 6),
        .created_ms = sql_int(stmt, 7),
        .started_ms = sql_int(stmt, 8),
        .finished_ms = sql_int(stmt, 9),
        .interval_start_ms = sql_int(stmt, 10),
        .interval_finish_ms = sql_int(stmt, 11),
        .parent = {{(uint64_t)sql_int(stmt, 12)},
                   (uint32_t)sql_int(stmt, 13),
                   (int32_t)sql_int(stmt, 14)},
        .depth = (uint32_t)sql_int(stmt, 15),
        .claims = sql_int(stmt, 16) != 0,
        .deadline_ms = sql_int(stmt, 17),
        .late_ms = sql_int(stmt, 18),
    };
    loader->run(loader->arg, &row);
    return true;
}

/* "3,7" */
static void read_tasks(const char *text, store_tasks *tasks)
{
    char *end;
    tasks->n = 0;
    while (text && *text) {
        vec_push(tasks, (uint32_t)strtoul(text, &end, 10));
        text = *end == ',' ? end + 1 : NULL;
    }
}

struct core_inst_row store_read_inst(struct sql_stmt *stmt, store_tasks *room)
{
    read_tasks(sql_text(stmt, 16), room);
    return (struct core_inst_row){
        .id = {{(uint64_t)sql_int(stmt, 0)}, (uint32_t)sql_int(stmt, 1), (int32_t)sql_int(stmt, 2)},
        .state = (enum nx_task_state)sql_int(stmt, 3),
        .reason = (enum nx_reason)sql_int(stmt, 4),
        .answered = sql_int(stmt, 5) != 0,
        .attempt = (uint32_t)sql_int(stmt, 6),
        .lease = (uint32_t)sql_int(stmt, 7),
        .failures = (uint32_t)sql_int(stmt, 8),
        .losses = (uint32_t)sql_int(stmt, 9),
        .worker = (uint32_t)sql_int(stmt, 10),
        .due_ms = sql_int(stmt, 11),
        .ready_ms = sql_int(stmt, 12),
        .started_ms = sql_int(stmt, 13),
        .finished_ms = sql_int(stmt, 14),
        .leases_lost = (uint32_t)sql_int(stmt, 15),
        .left_out = room->at,
        .n_left_out = (uint32_t)room->n,
    };
}

static bool on_inst(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err)
{
    (void)err;
    store_tasks left_out = {0};
    const struct core_inst_row row = store_read_inst(stmt, &left_out);
    loader->inst(loader->arg, &row);
    vec_fini(&left_out);
    return true;
}

static bool on_edit(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err)
{
    (void)err;
    size_t n;
    struct core_edit_row row = {
        .run = {(uint64_t)sql_int(stmt, 0)},
        .what = (enum core_edit)sql_int(stmt, 1),
        .reason = (enum nx_reason)sql_int(stmt, 2),
        .finished_ms = sql_int(stmt, 3),
    };
    row.picks = sql_blob(stmt, 4, &n);
    row.n = (uint32_t)n;
    loader->edit(loader->arg, &row);
    return true;
}

#define RUN_COLUMNS \
    "run, dag, version, state, cause, reason, backfill, created_at, started_at, finished_at," \
    " interval_start, interval_finish, parent_run, parent_task, parent_map, depth, claims," \
    " deadline_at, late_at"

static bool on_list(struct sql_stmt *stmt, const struct store_loader *loader, struct nx_err *err)
{
    (void)err;
    loader->list(loader->arg, (struct nx_run_id){(uint64_t)sql_int(stmt, 0)},
                 (uint32_t)sql_int(stmt, 1), (uint32_t)sql_int(stmt, 2));
    return true;
}

bool store_load(struct store *store, const struct store_loader *loader, struct nx_err *err)
{
    static const char versions[] =
        "with used as (select distinct version from run where state < 3)"
        " select v.version, v.dag, v.file, v.hash, v.source_hash, v.source, v.catalog,"
        " d.version = v.version and d.present, v.version in used,"
        " exists (select 1 from version_file f where f.version = v.version), v.timetable, d.paused"
        " from dag_version v join dag d on d.id = v.dag"
        " where (d.version = v.version and d.present) or v.version in used order by v.version";
    return (!loader->version || each_row(store, versions, 0, on_version, loader, err)) &&
           (!loader->worker ||
            each_row(
                store,
                "select number, id, incarnation, drain, ipc, token from worker order by number", 0,
                on_worker, loader, err)) &&
           (!loader->run ||
            each_row(store, "select " RUN_COLUMNS " from run where state < 3 order by run", 0,
                     on_run, loader, err)) &&
           (!loader->list || each_row(store,
                                      "select run, map, n from map_list"
                                      " where run in (select run from run where state < 3)",
                                      0, on_list, loader, err)) &&
           (!loader->inst ||
            each_row(store,
                     "select " STORE_INST_COLUMNS
                     " from task_instance where run in (select run from run where state < 3)",
                     0, on_inst, loader, err)) &&
           (!loader->edit ||
            each_row(store, "select run, what, reason, finished_at, picks from run_edit", 0,
                     on_edit, loader, err));
}

bool store_load_run(struct store *store, struct nx_run_id run, const struct store_loader *loader,
                    struct nx_err *err)
{
    return each_row(store, "select " RUN_COLUMNS " from run where run = ?1", run.v, on_run, loader,
                    err) &&
           (!loader->list || each_row(store, "select run, map, n from map_list where run = ?1",
                                      run.v, on_list, loader, err)) &&
           (!loader->inst ||
            each_row(store, "select " STORE_INST_COLUMNS " from task_instance where run = ?1",
                     run.v, on_inst, loader, err));
}

/* ---- Versions ---- */

static bool put_file(struct store *store, uint64_t version, const struct store_file *file,
                     struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!sql_prepare(store->sql,
                     "insert into version_file (version, path, executable, data)"
                     " values (?1, ?2, ?3, ?4)",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    sql_bind_text(stmt, 2, file->path);
    sql_bind_int(stmt, 3, file->executable);
    sql_bind_blob(stmt, 4, file->n_bytes ? file->data : "", file->n_bytes);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_put_version(struct store *store, const struct store_new_version *from, uint64_t *version,
                       struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "insert into dag_version (dag, number, file, hash, source_hash, catalog,"
                     " source, info, created_at, timetable, retention) values (?1, (select count(*)"
                     " + 1 from dag_version where dag = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                     &stmt, err))
        return false;
    const char *texts[] = {from->dag,     from->file,   from->hash, from->source_hash,
                           from->catalog, from->source, from->info};
    for (int i = 0; i < 7; i++)
        sql_bind_text(stmt, i + 1, texts[i]);
    sql_bind_int(stmt, 8, from->created_ms);
    sql_bind_text(stmt, 9, from->timetable);
    sql_bind_text(stmt, 10, from->retention);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    if (!ok)
        return false;
    *version = (uint64_t)sql_last_rowid(store->sql);
    for (size_t i = 0; i < from->n_files; i++) {
        if (!put_file(store, *version, &from->files[i], err))
            return false;
    }
    if (!write_dataset_links(store, from, err))
        return false;
    if (!sql_prepare(store->sql,
                     "insert into dag (id, version, present) values (?1, ?2, 1)"
                     " on conflict do update set version = ?2, present = 1",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, from->dag);
    sql_bind_int(stmt, 2, (int64_t)*version);
    ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

static bool run_two(struct store *store, const char *sql, const char *text, int64_t number,
                    const char *second, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) || !sql_prepare(store->sql, sql, &stmt, err))
        return false;
    sql_bind_text(stmt, 1, text);
    if (second)
        sql_bind_text(stmt, 2, second);
    else
        sql_bind_int(stmt, 2, number);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_set_present(struct store *store, const char *dag, bool present, struct nx_err *err)
{
    return run_two(store, "update dag set present = ?2 where id = ?1", dag, present, NULL, err);
}

bool store_set_paused(struct store *store, const char *dag, bool paused, struct nx_err *err)
{
    return run_two(store, "update dag set paused = ?2 where id = ?1", dag, paused, NULL, err);
}

bool store_get_paused(struct store *store, const char *dag, bool *paused, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select paused from dag where id = ?1", &stmt, err))
        return false;
    sql_bind_text(stmt, 1, dag);
    bool ok = sql_step(stmt, &row, err);
    *paused = ok && row && sql_int(stmt, 0) != 0;
    sql_stmt_free(stmt);
    return ok;
}

struct uses {
    struct arena arena;
    VEC(struct core_use) list;
};

/* Of the mark at that position. */
static bool read_uses(struct store *store, const char *dag, int64_t position, struct uses *uses,
                      struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false, ok;
    uses->list.n = 0;
    if (!sql_prepare(store->sql,
                     "select dataset, version from dataset_use where dag = ?1 and position = ?2",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, dag);
    sql_bind_int(stmt, 2, position);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct core_use use = {arena_strdup(&uses->arena, sql_text(stmt, 0)),
                                     (uint64_t)sql_int(stmt, 1)};
        vec_push(&uses->list, use);
    }
    sql_stmt_free(stmt);
    return ok;
}

bool store_marks(struct store *store, const char *dag, void *arg,
                 void (*fn)(void *arg, const struct core_mark *mark), struct nx_err *err)
{
    struct sql_stmt *stmt;
    struct uses uses = {0};
    bool row = false, ok;
    arena_init(&uses.arena);
    if (!sql_prepare(store->sql,
                     "select key, watermark, from_at, position from schedule_mark where dag = ?1"
                     " order by position",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, dag);
    while ((ok = sql_step(stmt, &row, err)) && row &&
           (ok = read_uses(store, dag, sql_int(stmt, 3), &uses, err))) {
        const struct core_mark mark = {
            .key = sql_text(stmt, 0),
            .watermark_ms = sql_is_null(stmt, 1) ? TIMETABLE_NEVER : sql_int(stmt, 1),
            .from_ms = sql_int(stmt, 2),
            .uses = uses.list.at,
            .n_uses = uses.list.n,
        };
        fn(arg, &mark);
    }
    sql_stmt_free(stmt);
    vec_fini(&uses.list);
    arena_fini(&uses.arena);
    return ok;
}

bool store_set_problems(struct store *store, const char *file, const char *problems,
                        struct nx_err *err)
{
    if (!problems)
        return run_two(store, "delete from file_problem where file = ?1 and ?2 = ?2", file, 0, NULL,
                       err);
    return run_two(store,
                   "insert into file_problem (file, problems) values (?1, ?2)"
                   " on conflict do update set problems = ?2",
                   file, 0, problems, err);
}

bool store_source(struct store *store, uint64_t version, struct buf *source, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select source from dag_version where version = ?1", &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    bool ok = sql_step(stmt, &row, err);
    if (ok && row)
        buf_add(source, sql_text(stmt, 0), sql_n_bytes(stmt, 0));
    else if (ok)
        ok = nx_fail(err, NX_E_NOT_FOUND, "there is no DAG version %llu",
                     (unsigned long long)version);
    sql_stmt_free(stmt);
    return ok;
}

bool store_version_number(struct store *store, uint64_t version, int64_t *number,
                          struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select number from dag_version where version = ?1", &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    bool ok = sql_step(stmt, &row, err);
    if (ok && row)
        *number = sql_int(stmt, 0);
    else if (ok)
        ok = nx_fail(err, NX_E_NOT_FOUND, "there is no DAG version %llu",
                     (unsigned long long)version);
    sql_stmt_free(stmt);
    return ok;
}

bool store_version_names(struct store *store, uint64_t version, struct buf *dag, struct buf *file,
                         struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql, "select dag, file from dag_version where version = ?1", &stmt,
                     err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    bool ok = sql_step(stmt, &row, err);
    if (ok && row) {
        buf_str(dag, sql_text(stmt, 0));
        buf_str(file, sql_text(stmt, 1));
    } else if (ok) {
        ok = nx_fail(err, NX_E_NOT_FOUND, "there is no DAG version %llu",
                     (unsigned long long)version);
    }
    sql_stmt_free(stmt);
    return ok;
}

bool store_files(struct store *store, uint64_t version, void *arg,
                 bool (*file)(void *arg, const struct store_file *file, struct nx_err *err),
                 struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false, ok;
    if (!sql_prepare(store->sql,
                     "select path, executable, data from version_file where version = ?1"
                     " order by path",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, (int64_t)version);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct store_file one = {.path = sql_text(stmt, 0), .executable = sql_int(stmt, 1) != 0};
        one.data = sql_blob(stmt, 2, &one.n_bytes);
        if (!(ok = file(arg, &one, err)))
            break;
    }
    sql_stmt_free(stmt);
    return ok;
}
