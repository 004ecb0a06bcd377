#include "scheduler/store/token.h"

#include "scheduler/store/internal.h"
#include "scheduler/store/query_internal.h"

bool store_put_token(struct store *store, const struct token_row *row, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql,
                     "insert into token (id, name, hash, created_at, expires_at, role)"
                     " values (?1, ?2, ?3, ?4, nullif(?5, 0), ?6)",
                     &stmt, err))
        return false;
    sql_bind_text(stmt, 1, row->id);
    sql_bind_text(stmt, 2, row->name);
    sql_bind_text(stmt, 3, row->hash);
    sql_bind_int(stmt, 4, row->created_ms);
    sql_bind_int(stmt, 5, row->expires_ms);
    sql_bind_text(stmt, 6, row->role);
    bool ok = sql_run(stmt, err);
    sql_stmt_free(stmt);
    return ok;
}

bool store_drop_token(struct store *store, const char *id, bool *found, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!store_begin(store, err) ||
        !sql_prepare(store->sql, "delete from token where id = ?1 returning id", &stmt, err))
        return false;
    sql_bind_text(stmt, 1, id);
    bool ok = sql_step(stmt, found, err);
    sql_stmt_free(stmt);
    return ok;
}

static bool each(struct sql_stmt *stmt, bool hashes,
                 void (*fn)(void *arg, const struct token_row *row), void *arg, struct nx_err *err)
{
    bool more, ok;
    while ((ok = sql_step(stmt, &more, err)) && more) {
        const struct token_row row = {.id = sql_text(stmt, 0),
                                      .name = sql_text(stmt, 1),
                                      .role = sql_text(stmt, 4),
                                      .hash = hashes ? sql_text(stmt, 5) : NULL,
                                      .created_ms = sql_int(stmt, 2),
                                      .expires_ms = sql_int(stmt, 3)};
        fn(arg, &row);
    }
    return ok;
}

bool store_each_token(struct store *store, void (*fn)(void *arg, const struct token_row *row),
                      void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt;
    if (!sql_prepare(store->sql,
                     "select id, name, created_at, ifnull(expires_at, 0), role, hash from token"
                     " order by created_at, id",
                     &stmt, err))
        return false;
    bool ok = each(stmt, true, fn, arg, err);
    sql_stmt_free(stmt);
    return ok;
}

bool query_each_token(struct query *query, void (*fn)(void *arg, const struct token_row *row),
                      void *arg, struct nx_err *err)
{
    struct sql_stmt *stmt = query_prepare(query,
                                          "select id, name, created_at, ifnull(expires_at, 0), role"
                                          " from token order by created_at, id",
                                          err);
    return stmt && each(stmt, false, fn, arg, err);
}
