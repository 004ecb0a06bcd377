/* The rows of datasets: what DAGs say of them, their events, and what those started. */
#include "lib/base/must.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/store/internal.h"

bool write_dataset_links(struct store *store, const struct store_new_version *from,
                         struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!sql_prepare(store->sql, "delete from dataset_link where dag = ?1", &stmt, err))
        return false;
    sql_bind_text(stmt, 1, from->dag);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    if (!ok || !from->n_links)
        return ok;
    if (!sql_prepare(store->sql,
                     "insert or ignore into dataset_link (dataset, kind, dag, task)"
                     " values (?1, ?2, ?3, ?4)",
                     &stmt, err))
        return false;
    for (size_t i = 0; ok && i < from->n_links; i++) {
        const struct store_dataset_link *link = &from->links[i];
        sql_bind_text(stmt, 1, link->dataset);
        sql_bind_int(stmt, 2, link->kind);
        sql_bind_text(stmt, 3, from->dag);
        sql_bind_text(stmt, 4, link->task ? link->task : "");
        ok = sql_run(stmt, err);
    }
    sql_stmt_free(stmt);
    return ok;
}

/* ---- A turn's rows ---- */

static void bind_producer(struct sql_stmt *stmt, const struct core *core,
                          const struct core_dataset_event *event)
{
    struct core_run_row run;
    for (int i = 8; i <= 12; i++)
        sql_bind_null(stmt, i);
    if (!event->inst.run.v)
        return;
    must(core_get_run(core, event->inst.run, &run));
    sql_bind_text(stmt, 8, run.dag);
    sql_bind_int(stmt, 9, (int64_t)run.id.v);
    sql_bind_text(stmt, 10, core_run_graph(core, run.id)->tasks[event->inst.task].id);
    if (event->inst.map != NX_MAP_NONE)
        sql_bind_int(stmt, 11, event->inst.map);
    sql_bind_int(stmt, 12, event->attempt);
}

static bool write_event(struct store *store, const struct core *core,
                        const struct core_dataset_event *event,
                        const struct store_dataset_fact *fact, struct nx_err *err)
{
    struct sql_stmt *dataset = store->stmt[PUT_DATASET], *stmt = store->stmt[PUT_DATASET_EVENT];
    struct sql_stmt *drop = store->stmt[DROP_DATASET_EVENT];
    sql_bind_text(dataset, 1, event->dataset);
    sql_bind_int(dataset, 2, (int64_t)event->version);
    sql_bind_int(dataset, 3, event->at_ms);
    sql_bind_text(stmt, 1, event->dataset);
    sql_bind_int(stmt, 2, (int64_t)event->version);
    sql_bind_int(stmt, 3, event->at_ms);
    if (fact->rows >= 0)
        sql_bind_int(stmt, 4, fact->rows);
    else
        sql_bind_null(stmt, 4);
    sql_bind_text(stmt, 5, fact->hash);
    sql_bind_text(stmt, 6, fact->note);
    sql_bind_text(stmt, 7, fact->who);
    bind_producer(stmt, core, event);
    store->counts.rows += 2;
    if (!sql_run(dataset, err) || !sql_run(stmt, err))
        return false;
    if (event->version <= NX_DATASET_EVENTS_MAX)
        return true;
    sql_bind_text(drop, 1, event->dataset);
    sql_bind_int(drop, 2, (int64_t)(event->version - NX_DATASET_EVENTS_MAX));
    return sql_run(drop, err);
}

bool write_datasets(struct store *store, const struct store_turn *turn, struct nx_err *err)
{
    static const struct store_dataset_fact unknown = {.rows = -1};
    const struct core_update *update = turn->update;
    for (size_t i = 0; i < update->dataset_events.n; i++) {
        const struct store_dataset_fact *fact = i < turn->n_facts ? &turn->facts[i] : &unknown;
        if (!write_event(store, turn->core, &update->dataset_events.at[i], fact, err))
            return false;
    }
    for (size_t i = 0; i < update->triggers.n; i++) {
        const struct core_trigger *trigger = &update->triggers.at[i];
        struct sql_stmt *stmt = store->stmt[PUT_RUN_DATASET];
        sql_bind_int(stmt, 1, (int64_t)trigger->run.v);
        sql_bind_text(stmt, 2, trigger->dataset);
        sql_bind_int(stmt, 3, (int64_t)trigger->first);
        sql_bind_int(stmt, 4, (int64_t)trigger->last);
        if (!sql_run(stmt, err))
            return false;
    }
    return true;
}

bool copy_run_datasets(struct store *store, struct nx_run_id run, struct nx_run_id from,
                       struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[COPY_RUN_DATASETS];
    sql_bind_int(stmt, 1, (int64_t)run.v);
    sql_bind_int(stmt, 2, (int64_t)from.v);
    return sql_run(stmt, err);
}

bool write_uses(struct store *store, const char *dag, size_t position, const struct core_mark *mark,
                struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[PUT_USE];
    for (size_t i = 0; i < mark->n_uses; i++) {
        sql_bind_text(stmt, 1, dag);
        sql_bind_int(stmt, 2, (int64_t)position);
        sql_bind_text(stmt, 3, mark->uses[i].dataset);
        sql_bind_int(stmt, 4, (int64_t)mark->uses[i].version);
        if (!sql_run(stmt, err))
            return false;
    }
    return true;
}

/* ---- Reading back ---- */

bool store_load_datasets(struct store *store, void *arg,
                         void (*fn)(void *arg, const struct core_dataset_row *row),
                         struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false, ok;
    if (!sql_prepare(store->sql, "select name, version, at from dataset order by name", &stmt, err))
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct core_dataset_row dataset = {sql_text(stmt, 0), (uint64_t)sql_int(stmt, 1),
                                                 sql_int(stmt, 2)};
        fn(arg, &dataset);
    }
    sql_stmt_free(stmt);
    return ok;
}

bool store_knows_dataset(struct store *store, const char *name, bool *known, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row = false;
    if (!sql_prepare(store->sql,
                     "select exists (select 1 from dataset where name = ?1) or exists (select 1"
                     " from dataset_link l join dag d on d.id = l.dag where l.dataset = ?1"
                     " and d.present)",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, name);
    bool ok = sql_step(stmt, &row, err);
    *known = ok && row && sql_int(stmt, 0) != 0;
    sql_stmt_free(stmt);
    return ok;
}

static void set_number(json_t *object, const char *key, struct sql_stmt *stmt, int column)
{
    json_object_set_new(
        object, key, sql_is_null(stmt, column) ? json_null() : json_integer(sql_int(stmt, column)));
}

/* {"dag", "run", "task", "map_index", "who"}, from the columns first.. in that order. */
static json_t *producer_of(struct sql_stmt *stmt, int first)
{
    json_t *producer = json_object();
    json_object_set_new(producer, "dag", js_string(sql_text(stmt, first)));
    json_object_set_new(producer, "run", js_string(sql_text(stmt, first + 1)));
    json_object_set_new(producer, "task", js_string(sql_text(stmt, first + 2)));
    set_number(producer, "map_index", stmt, first + 3);
    json_object_set_new(producer, "who", js_string(sql_text(stmt, first + 4)));
    return producer;
}

bool store_run_datasets(struct store *store, struct nx_run_id run, struct buf *to,
                        struct nx_err *err)
{
    struct sql_stmt *stmt = store->stmt[GET_RUN_DATASETS];
    bool row = false, ok;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    json_t *datasets = json_object();
    while ((ok = sql_step(stmt, &row, err)) && row) {
        json_t *one = json_object();
        set_number(one, "version", stmt, 1);
        set_number(one, "rows", stmt, 2);
        json_object_set_new(one, "hash", js_string(sql_text(stmt, 3)));
        json_object_set_new(one, "producer", producer_of(stmt, 4));
        json_object_set_new(datasets, sql_text(stmt, 0), one);
    }
    sql_reset(stmt);
    if (ok)
        js_add(to, datasets);
    json_decref(datasets);
    return ok;
}
