#include "scheduler/store/query_dataset.h"

#include "lib/base/mem.h"
#include "scheduler/store/query_internal.h"

/* ---- Events ---- */

#define EVENT_COLUMNS \
    "select dataset, version, at, rows, hash, note, who, dag, run, task, map_index, attempt" \
    " from dataset_event"

static bool each_event(struct sql_stmt *stmt, query_dataset_event_fn *fn, void *arg,
                       struct nx_err *err)
{
    bool row, ok;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_dataset_event event = {
            .dataset = sql_text(stmt, 0),
            .version = sql_int(stmt, 1),
            .at_ms = sql_int(stmt, 2),
            .rows = sql_is_null(stmt, 3) ? -1 : sql_int(stmt, 3),
            .hash = sql_text(stmt, 4),
            .note = sql_text(stmt, 5),
            .who = sql_text(stmt, 6),
            .dag = sql_text(stmt, 7),
            .run = {(uint64_t)sql_int(stmt, 8)},
            .task = sql_text(stmt, 9),
            .map = sql_is_null(stmt, 10) ? NX_MAP_NONE : (int32_t)sql_int(stmt, 10),
            .attempt = (uint32_t)sql_int(stmt, 11),
        };
        if (!fn(arg, &event)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_dataset_events(struct query *query, const char *dataset, int64_t before, size_t limit,
                          query_dataset_event_fn *fn, void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(
        query, EVENT_COLUMNS " where dataset = ?1 and version < ?2 order by version desc limit ?3",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dataset);
    sql_bind_int(stmt, 2, before ? before : INT64_MAX);
    sql_bind_int(stmt, 3, (int64_t)limit);
    return each_event(stmt, fn, arg, err);
}

bool query_dataset_event(struct query *query, const char *dataset, int64_t version,
                         query_dataset_event_fn *fn, void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt =
        query_prepare(query, EVENT_COLUMNS " where dataset = ?1 and version = ?2", err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dataset);
    sql_bind_int(stmt, 2, version);
    return each_event(stmt, fn, arg, err);
}

/* ---- Names and links ---- */

bool query_datasets(struct query *query, const char *after, size_t limit,
                    bool (*fn)(void *arg, const char *name), void *arg, struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query,
        "select name from dataset where name > ?1 union select l.dataset from dataset_link l"
        " join dag d on d.id = l.dag where l.dataset > ?1 and d.present order by 1 limit ?2",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, after);
    sql_bind_int(stmt, 2, (int64_t)limit);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        if (!fn(arg, sql_text(stmt, 0))) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_dataset_known(struct query *query, const char *name, bool *known, struct nx_err *err)
{
    bool row;
    struct sql_stmt *stmt = query_prepare(
        query,
        "select exists (select 1 from dataset where name = ?1) or exists (select 1 from"
        " dataset_link l join dag d on d.id = l.dag where l.dataset = ?1 and d.present)",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, name);
    if (!sql_step(stmt, &row, err))
        return false;
    *known = row && sql_int(stmt, 0) != 0;
    sql_reset(stmt);
    return true;
}

bool query_dataset_links(struct query *query, const char *dataset, const char *dag,
                         bool (*fn)(void *arg, const struct query_dataset_link *link), void *arg,
                         struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query,
        dataset
            ? "select l.dataset, l.kind, l.dag, l.task, d.version from dataset_link l join dag d"
              " on d.id = l.dag where d.present and l.dataset = ?1 order by l.dag, l.task"
            : "select l.dataset, l.kind, l.dag, l.task, d.version from dataset_link l join dag d"
              " on d.id = l.dag where d.present and l.dag = ?1 order by l.task, l.dataset",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dataset ? dataset : dag);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const char *task = sql_text(stmt, 3);
        const struct query_dataset_link link = {.dataset = sql_text(stmt, 0),
                                                .kind = (enum dataset_link)sql_int(stmt, 1),
                                                .dag = sql_text(stmt, 2),
                                                .task = task && *task ? task : NULL,
                                                .version = (uint64_t)sql_int(stmt, 4)};
        if (!fn(arg, &link)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

/* ---- What an event was made of ---- */

static bool each_start(struct query *query, struct nx_run_id run,
                       bool (*fn)(void *arg, const struct query_dataset_input *input), void *arg,
                       struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query, "select dataset, last from run_dataset where run = ?1 order by dataset", err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)run.v);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_dataset_input input = {.dataset = sql_text(stmt, 0),
                                                  .version = sql_int(stmt, 1)};
        if (!fn(arg, &input)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

/* The newest version of the dataset when the task started, and before the event: the task may have
 * run again since. 0: there was none. */
static bool version_read(struct query *query, const struct query_dataset_event *event,
                         uint32_t task, const char *dataset, int64_t *version, struct nx_err *err)
{
    bool row;
    struct sql_stmt *stmt = query_prepare(
        query,
        "select version from dataset_event where dataset = ?3 and at <= ?4 and at <= (select"
        " min(started_at) from task_instance where run = ?1 and task = ?2) and (dataset <> ?5 or"
        " version < ?6) order by version desc limit 1",
        err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, (int64_t)event->run.v);
    sql_bind_int(stmt, 2, task);
    sql_bind_text(stmt, 3, dataset);
    sql_bind_int(stmt, 4, event->at_ms);
    sql_bind_text(stmt, 5, event->dataset);
    sql_bind_int(stmt, 6, event->version);
    if (!sql_step(stmt, &row, err))
        return false;
    *version = row ? sql_int(stmt, 0) : 0;
    sql_reset(stmt);
    return true;
}

static bool put_reads(struct query *query, const struct query_dataset_event *event,
                      const struct info_task *task, uint32_t index,
                      bool (*fn)(void *arg, const struct query_dataset_input *input), void *arg,
                      struct nx_err *err)
{
    for (uint32_t i = 0; i < task->n_consumes; i++) {
        struct query_dataset_input input = {.dataset = task->consumes[i], .task = task->id};
        if (!version_read(query, event, index, input.dataset, &input.version, err))
            return false;
        if (input.version)
            fn(arg, &input);
    }
    return true;
}

static bool keep_version(void *arg, const struct query_run *run)
{
    *(uint64_t *)arg = run->version;
    return false;
}

bool query_dataset_inputs(struct query *query, const struct query_dataset_event *event,
                          bool (*fn)(void *arg, const struct query_dataset_input *input), void *arg,
                          struct nx_err *err)
{
    const struct dag_info *info;
    uint64_t version = 0;
    if (!event->run.v || !each_start(query, event->run, fn, arg, err) ||
        !query_run(query, event->run, keep_version, &version, err))
        return !event->run.v;
    if (!version)
        return true; /* the run was deleted */
    if (!query_version(query, version, &info, err))
        return false;
    int64_t task = info_find(info, event->task);
    bool *above = mem_alloc_array(info->n_tasks, sizeof *above), ok = true;
    if (task >= 0)
        info_above(info, (uint32_t)task, above);
    for (uint32_t i = 0; ok && i < info->n_tasks; i++)
        ok = !above[i] || put_reads(query, event, &info->tasks[i], i, fn, arg, err);
    mem_free(above);
    return ok;
}

/* ---- What schedules wait for ---- */

bool query_dataset_uses(struct query *query, const char *dag,
                        bool (*fn)(void *arg, const struct query_dataset_use *use), void *arg,
                        struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query,
        "select m.key, coalesce(m.watermark, 0), u.dataset, u.version, coalesce(d.version, 0)"
        " from schedule_mark m join dataset_use u on u.dag = m.dag and u.position = m.position"
        " left join dataset d on d.name = u.dataset where m.dag = ?1 order by m.position, "
        "u.dataset",
        err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, dag);
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const struct query_dataset_use use = {sql_text(stmt, 0), sql_int(stmt, 1),
                                              sql_text(stmt, 2), sql_int(stmt, 3),
                                              sql_int(stmt, 4)};
        if (!fn(arg, &use)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}
