#include "scheduler/store/kept.h"

#include "scheduler/store/internal.h"
#include "scheduler/store/query_internal.h"

static const struct {
    const char *name, *put, *drop, *count, *each, *shown;
} kinds[KEPT_KINDS] = {
    [KEPT_POOL] = {"pool",
                   "insert into pool (name, slots, description) values (?1, ?2, nullif(?3, ''))"
                   " on conflict (name) do update set slots = ?2, description ="
                   " case when ?3 is null then description else nullif(?3, '') end",
                   "delete from pool where name = ?1",
                   "select count(*), count(*) filter (where name = ?1) from pool",
                   "select name, slots, description, null, 0, null from pool order by name",
                   "select name, slots, description, null, 0, null from pool order by name"},
    [KEPT_VAR] = {"variable",
                  "insert into variable (name, json, updated_at) values (?1, ?3, ?5)"
                  " on conflict (name) do update set json = ?3, updated_at = ?5",
                  "delete from variable where name = ?1",
                  "select count(*), count(*) filter (where name = ?1) from variable",
                  "select name, 0, json, null, updated_at, null from variable order by name",
                  "select name, 0, json, null, updated_at, null from variable order by name"},
    [KEPT_SECRET] = {"secret",
                     "insert into secret (name, ciphertext, updated_at) values (?1, ?4, ?5)"
                     " on conflict (name) do update set ciphertext = ?4, updated_at = ?5",
                     "delete from secret where name = ?1",
                     "select count(*), count(*) filter (where name = ?1) from secret",
                     "select name, 0, null, ciphertext, updated_at, null from secret order by name",
                     "select name, 0, null, null, updated_at, null from secret order by name"},
    [KEPT_CONN] = {"connection",
                   "insert into connection (name, description, ciphertext, updated_at, shown)"
                   " values (?1, nullif(?3, ''), ?4, ?5, ?6)"
                   " on conflict (name) do update set ciphertext = ?4, updated_at = ?5, shown = ?6,"
                   " description = case when ?3 is null then description else nullif(?3, '') end",
                   "delete from connection where name = ?1",
                   "select count(*), count(*) filter (where name = ?1) from connection",
                   "select name, 0, description, ciphertext, updated_at, shown from connection"
                   " order by name",
                   "select name, 0, description, null, updated_at, shown from connection"
                   " order by name"},
};

const char *kept_name(enum kept_kind kind)
{
    return kinds[kind].name;
}

/* Each kind has the parameters ?1 to ?6 that it uses: a number that it leaves out is not bound. */
static void bind_row(struct sql_stmt *stmt, enum kept_kind kind, const struct kept_row *row)
{
    sql_bind_text(stmt, 1, row->name);
    if (kind == KEPT_POOL)
        sql_bind_int(stmt, 2, row->slots);
    if (kind != KEPT_SECRET)
        sql_bind_text(stmt, 3, row->text);
    if (kind == KEPT_SECRET || kind == KEPT_CONN)
        sql_bind_blob(stmt, 4, row->sealed, row->n_sealed);
    if (kind != KEPT_POOL)
        sql_bind_int(stmt, 5, row->updated_ms);
    if (kind == KEPT_CONN)
        sql_bind_text(stmt, 6, row->shown);
}

bool store_put_kept(struct store *store, enum kept_kind kind, const struct kept_row *row,
                    struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) || !sql_prepare(store->sql, kinds[kind].put, &stmt, err))
        return false;
    bind_row(stmt, kind, row);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_drop_kept(struct store *store, enum kept_kind kind, const char *name, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) || !sql_prepare(store->sql, kinds[kind].drop, &stmt, err))
        return false;
    sql_bind_text(stmt, 1, name);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_count_kept(struct store *store, enum kept_kind kind, const char *name, bool *found,
                      int64_t *n, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row;
    if (!sql_prepare(store->sql, kinds[kind].count, &stmt, err))
        return false;
    sql_bind_text(stmt, 1, name);
    bool ok = sql_step(stmt, &row, err);
    if (ok) {
        *n = sql_int(stmt, 0);
        *found = sql_int(stmt, 1) != 0;
    }
    sql_stmt_free(stmt);
    return ok;
}

static bool each(struct sql_stmt *stmt, void (*fn)(void *arg, const struct kept_row *row),
                 void *arg, struct nx_err *err)
{
    bool more, ok;
    while ((ok = sql_step(stmt, &more, err)) && more) {
        struct kept_row row = {.name = sql_text(stmt, 0),
                               .slots = sql_int(stmt, 1),
                               .text = sql_text(stmt, 2),
                               .updated_ms = sql_int(stmt, 4),
                               .shown = sql_text(stmt, 5)};
        row.sealed = sql_blob(stmt, 3, &row.n_sealed);
        fn(arg, &row);
    }
    return ok;
}

bool store_each_kept(struct store *store, enum kept_kind kind,
                     void (*fn)(void *arg, const struct kept_row *row), void *arg,
                     struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!sql_prepare(store->sql, kinds[kind].each, &stmt, err))
        return false;
    bool ok = each(stmt, fn, arg, err);
    sql_stmt_free(stmt);
    return ok;
}

bool query_each_kept(struct query *query, enum kept_kind kind,
                     void (*fn)(void *arg, const struct kept_row *row), void *arg,
                     struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query, kinds[kind].shown, err);
    return stmt && each(stmt, fn, arg, err);
}

bool query_each_sealed(struct query *query, enum kept_kind kind,
                       void (*fn)(void *arg, const struct kept_row *row), void *arg,
                       struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query, kinds[kind].each, err);
    return stmt && each(stmt, fn, arg, err);
}
