#include "scheduler/store/notification.h"

#include "scheduler/store/internal.h"
#include "scheduler/store/query_internal.h"

#define COLUMNS \
    "id, delivery, event, dag, run, task, map_index, kind, target, config, body, more, state," \
    " attempts, created_at, due_at, finished_at, error, output"

const char *notification_state_name(enum notification_state state)
{
    static const char *const names[NOTIFICATION_STATES] = {"pending", "sent", "failed"};
    return names[state];
}

/* ---- Writes ---- */

static void bind_new(struct sql_stmt *stmt, const struct notification *from)
{
    sql_bind_text(stmt, 1, from->delivery);
    sql_bind_int(stmt, 2, from->created_ms);
    sql_bind_text(stmt, 3, from->event);
    sql_bind_text(stmt, 4, from->dag);
    sql_bind_int(stmt, 5, (int64_t)from->run);
    sql_bind_text(stmt, 6, from->task);
    sql_bind_int(stmt, 7, from->map_index);
    sql_bind_text(stmt, 8, from->kind);
    sql_bind_text(stmt, 9, from->target);
    sql_bind_text(stmt, 10, from->config);
    sql_bind_text(stmt, 11, from->body);
    sql_bind_int(stmt, 12, from->more);
    sql_bind_int(stmt, 13, from->due_ms);
}

bool store_put_notification(struct store *store, const struct notification *from, int64_t *id,
                            struct nx_err *err)
{
    static const char text[] =
        "insert into notification (delivery, created_at, event, dag, run, task, map_index, kind,"
        " target, config, body, more, due_at, state, attempts)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, 0)";
    struct sql_stmt *stmt;
    if (!store_begin(store, err) || !sql_prepare(store->sql, text, &stmt, err))
        return false;
    bind_new(stmt, from);
    bool ok = sql_run(stmt, err);
    *id = sql_last_rowid(store->sql);
    sql_stmt_free(stmt);
    return ok;
}

bool store_add_more(struct store *store, int64_t id, int64_t more, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql, "update notification set more = more + ?2 where id = ?1", &stmt,
                     err))
        return false;
    sql_bind_int(stmt, 1, id);
    sql_bind_int(stmt, 2, more);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_set_notification(struct store *store, const struct notification *what,
                            struct nx_err *err)
{
    static const char text[] =
        "update notification set state = ?2, attempts = ?3, due_at = ?4, finished_at = ?5,"
        " error = ?6, output = ?7 where id = ?1";
    struct sql_stmt *stmt;
    if (!store_begin(store, err) || !sql_prepare(store->sql, text, &stmt, err))
        return false;
    sql_bind_int(stmt, 1, what->id);
    sql_bind_int(stmt, 2, what->state);
    sql_bind_int(stmt, 3, what->attempts);
    sql_bind_int(stmt, 4, what->due_ms);
    if (what->finished_ms)
        sql_bind_int(stmt, 5, what->finished_ms);
    else
        sql_bind_null(stmt, 5);
    sql_bind_text(stmt, 6, what->error);
    sql_bind_text(stmt, 7, what->output);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_retry_notification(struct store *store, int64_t id, int64_t now_ms,
                              enum notification_state *state, struct buf *target,
                              struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql, "select state, target from notification where id = ?1", &stmt,
                     err))
        return false;
    sql_bind_int(stmt, 1, id);
    bool ok = sql_step(stmt, &row, err);
    if (ok && row) {
        *state = (enum notification_state)sql_int(stmt, 0);
        buf_str(target, sql_text(stmt, 1));
    }
    sql_stmt_free(stmt);
    if (!ok)
        return false;
    if (!row)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no notification %lld", (long long)id);
    if (*state != NOTIFICATION_FAILED)
        return true;
    const struct notification again = {.id = id, .due_ms = now_ms};
    return store_set_notification(store, &again, err);
}

bool store_each_pending(struct store *store, void (*fn)(void *arg, const char *target, int64_t n),
                        void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row, ok;
    if (!sql_prepare(store->sql,
                     "select target, count(*) from notification where state = 0 group by target",
                     &stmt, err))
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row)
        fn(arg, sql_text(stmt, 0), sql_int(stmt, 1));
    sql_stmt_free(stmt);
    return ok;
}

bool store_trim_notifications(struct store *store, int64_t keep, int64_t most, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "delete from notification where id in (select id from notification"
                     " where state > 0 and id <= (select id from notification where state > 0"
                     " order by id desc limit 1 offset ?1) order by id limit ?2)",
                     &stmt, err))
        return false;
    sql_bind_int(stmt, 1, keep);
    sql_bind_int(stmt, 2, most);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

/* ---- Reads ---- */

static struct notification row_of(struct sql_stmt *stmt)
{
    return (struct notification){
        .id = sql_int(stmt, 0),
        .delivery = sql_text(stmt, 1),
        .event = sql_text(stmt, 2),
        .dag = sql_text(stmt, 3),
        .run = (uint64_t)sql_int(stmt, 4),
        .task = sql_text(stmt, 5),
        .map_index = (int32_t)sql_int(stmt, 6),
        .kind = sql_text(stmt, 7),
        .target = sql_text(stmt, 8),
        .config = sql_text(stmt, 9),
        .body = sql_text(stmt, 10),
        .more = sql_int(stmt, 11),
        .state = (enum notification_state)sql_int(stmt, 12),
        .attempts = sql_int(stmt, 13),
        .created_ms = sql_int(stmt, 14),
        .due_ms = sql_int(stmt, 15),
        .finished_ms = sql_int(stmt, 16),
        .error = sql_text(stmt, 17),
        .output = sql_text(stmt, 18),
    };
}

static bool each(struct sql_stmt *stmt, query_notification_fn *fn, void *arg, struct nx_err *err)
{
    bool row, ok;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        struct notification notification = row_of(stmt);
        if (!fn(arg, &notification)) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_notifications(struct query *query, const struct query_notifications *which,
                         query_notification_fn *fn, void *arg, struct nx_err *err)
{
    /* each finds its index: that of the id, or the one of its state */
    static const char *const texts[] = {
        "select " COLUMNS " from notification where (?1 = 0 or id = ?1) and (?2 = 0 or id < ?2)"
        " order by id desc limit ?3",
        "select " COLUMNS " from notification where (?1 = 0 or id = ?1) and (?2 = 0 or id < ?2)"
        " and state = 0 order by id desc limit ?3",
        "select " COLUMNS " from notification where (?1 = 0 or id = ?1) and (?2 = 0 or id < ?2)"
        " and state = 1 order by id desc limit ?3",
        "select " COLUMNS " from notification where (?1 = 0 or id = ?1) and (?2 = 0 or id < ?2)"
        " and state = 2 order by id desc limit ?3",
    };
    struct sql_stmt *stmt = query_prepare(query, texts[which->state + 1], err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, which->id);
    sql_bind_int(stmt, 2, which->before);
    sql_bind_int(stmt, 3, (int64_t)which->limit);
    return each(stmt, fn, arg, err);
}

bool query_due_targets(struct query *query,
                       bool (*fn)(void *arg, const char *target, int64_t due_ms), void *arg,
                       struct nx_err *err)
{
    bool row, ok;
    struct sql_stmt *stmt = query_prepare(
        query, "select target, min(due_at) from notification where state = 0 group by target", err);
    if (!stmt)
        return false;
    while ((ok = sql_step(stmt, &row, err)) && row) {
        if (!fn(arg, sql_text(stmt, 0), sql_int(stmt, 1))) {
            sql_reset(stmt);
            break;
        }
    }
    return ok;
}

bool query_due_first(struct query *query, const char *target, int64_t now_ms,
                     query_notification_fn *fn, void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt =
        query_prepare(query,
                      "select " COLUMNS " from notification where state = 0 and target = ?1"
                      " and due_at <= ?2 order by due_at, id limit 1",
                      err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, target);
    sql_bind_int(stmt, 2, now_ms);
    return each(stmt, fn, arg, err);
}
