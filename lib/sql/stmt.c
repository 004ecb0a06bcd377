/* Prepared statements. Called tens of thousands of times a second: no allocation, no copies. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/sql/connection.h"

bool sql_prepare(struct sql *sql, const char *text, struct sql_stmt **stmt, struct nx_err *err)
{
    sqlite3_stmt *handle;
    const char *rest;
    int rc = sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &handle, &rest);
    if (rc != SQLITE_OK)
        return sql_fail(sql, rc, text, err);
    if (!handle || rest[strspn(rest, " \t\r\n;")]) {
        sqlite3_finalize(handle);
        return nx_fail(err, NX_E_INTERNAL, "%s: not one statement [%.300s]", sql->path, text);
    }
    struct sql_stmt *made = mem_alloc(sizeof *made);
    made->sql = sql;
    made->handle = handle;
    *stmt = made;
    return true;
}

void sql_stmt_free(struct sql_stmt *stmt)
{
    if (!stmt)
        return;
    sqlite3_finalize(stmt->handle);
    mem_free(stmt);
}

void sql_bind_int(struct sql_stmt *stmt, int i, int64_t v)
{
    must(sqlite3_bind_int64(stmt->handle, i, v) == SQLITE_OK);
}

void sql_bind_double(struct sql_stmt *stmt, int i, double v)
{
    must(sqlite3_bind_double(stmt->handle, i, v) == SQLITE_OK);
}

void sql_bind_text(struct sql_stmt *stmt, int i, const char *s)
{
    must(sqlite3_bind_text(stmt->handle, i, s, -1, SQLITE_STATIC) == SQLITE_OK);
}

void sql_bind_text_n(struct sql_stmt *stmt, int i, const char *s, size_t n)
{
    must(sqlite3_bind_text64(stmt->handle, i, s, n, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK);
}

void sql_bind_blob(struct sql_stmt *stmt, int i, const void *p, size_t n)
{
    must(sqlite3_bind_blob64(stmt->handle, i, p, n, SQLITE_STATIC) == SQLITE_OK);
}

void sql_bind_null(struct sql_stmt *stmt, int i)
{
    must(sqlite3_bind_null(stmt->handle, i) == SQLITE_OK);
}

void sql_reset(struct sql_stmt *stmt)
{
    sqlite3_reset(stmt->handle);
    stmt->busy = false;
}

bool sql_step(struct sql_stmt *stmt, bool *row, struct nx_err *err)
{
    if (!stmt->busy) {
        stmt->busy = true;
        sql_start_clock(stmt->sql);
    }
    int rc = sqlite3_step(stmt->handle);
    if (rc == SQLITE_ROW) {
        *row = true;
        return true;
    }
    if (rc == SQLITE_DONE) {
        sql_reset(stmt);
        *row = false;
        return true;
    }
    sql_fail(stmt->sql, rc, sqlite3_sql(stmt->handle), err);
    sql_reset(stmt);
    return false;
}

bool sql_run(struct sql_stmt *stmt, struct nx_err *err)
{
    bool row = true;
    while (row) {
        if (!sql_step(stmt, &row, err))
            return false;
    }
    return true;
}

int64_t sql_int(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

double sql_double(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_double(stmt->handle, column);
}

const char *sql_text(struct sql_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt->handle, column);
}

const void *sql_blob(struct sql_stmt *stmt, int column, size_t *n)
{
    const void *p = sqlite3_column_blob(stmt->handle, column);
    *n = p ? (size_t)sqlite3_column_bytes(stmt->handle, column) : 0;
    return p;
}

bool sql_is_null(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

size_t sql_n_bytes(struct sql_stmt *stmt, int column)
{
    return (size_t)sqlite3_column_bytes(stmt->handle, column);
}

int sql_n_columns(struct sql_stmt *stmt)
{
    return sqlite3_column_count(stmt->handle);
}
