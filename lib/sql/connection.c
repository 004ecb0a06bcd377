#include "lib/sql/connection.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"

#define BUSY_MS 5000
/* Steps of SQLite's virtual machine between two looks at the clock: about 0.1 ms. */
#define STEPS_PER_LOOK 4000

static enum nx_code code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return NX_E_BUSY;
    case SQLITE_CONSTRAINT:
        return NX_E_CONFLICT;
    case SQLITE_INTERRUPT:
        return NX_E_TIMEOUT;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return NX_E_DATA;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return NX_E_IO;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return NX_E_DENIED;
    case SQLITE_TOOBIG:
        return NX_E_LIMIT;
    case SQLITE_NOMEM:
        return NX_E_MEMORY;
    default:
        return NX_E_INTERNAL;
    }
}

bool sql_fail(struct sql *sql, int rc, const char *text, struct nx_err *err)
{
    const char *path = sql->path;
    if ((rc & 0xff) == SQLITE_INTERRUPT)
        nx_fail(err, NX_E_TIMEOUT, "%s: the query took longer than %lld ms and was stopped", path,
                (long long)sql->query_ms);
    else if ((rc & 0xff) == SQLITE_BUSY)
        nx_fail(err, NX_E_BUSY, "%s: another process holds the database", path);
    else
        nx_fail(err, code_of(rc), "%s: %s", path, sql->db ? sqlite3_errmsg(sql->db) : "no memory");
    if (err && text) {
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, " [%.300s%s]", text,
                 strlen(text) > 300 ? "..." : "");
    }
    return false;
}

void sql_start_clock(struct sql *sql)
{
    if (sql->query_ms)
        sql->deadline_ms = clock_mono_ms() + sql->query_ms;
}

static int out_of_time(void *arg)
{
    struct sql *sql = arg;
    return sql->deadline_ms && clock_mono_ms() > sql->deadline_ms;
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int n_pages)
{
    (void)db;
    (void)name;
    ((struct sql *)arg)->n_log_pages = n_pages;
    return SQLITE_OK;
}

static bool open_file(const char *path, int flags, struct sql **sql, struct nx_err *err)
{
    struct sql *made = mem_alloc(sizeof *made);
    made->path = mem_strdup(path);
    int rc =
        sqlite3_open_v2(path, &made->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) {
        sql_fail(made, rc, NULL, err);
        sql_close(made);
        return false;
    }
    sqlite3_busy_timeout(made->db, BUSY_MS);
    /* Text of a user's query never reads or loads files, and a damaged schema runs nothing. */
    sqlite3_db_config(made->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(made->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    *sql = made;
    return true;
}

bool sql_open_writer(const char *path, struct sql **sql, struct nx_err *err)
{
    struct sql *made;
    if (!open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &made, err))
        return false;
    /* auto_vacuum comes first: WAL writes the first page, and then it is too late. */
    bool ok = sql_exec(made,
                       "PRAGMA auto_vacuum = INCREMENTAL;"
                       "PRAGMA journal_mode = WAL;"
                       "PRAGMA synchronous = FULL;"
                       "PRAGMA wal_autocheckpoint = 0;"
                       "PRAGMA foreign_keys = OFF;"
                       "PRAGMA temp_store = MEMORY;"
                       "PRAGMA cache_size = -16384;",
                       err);
    if (!ok) {
        sql_close(made);
        return false;
    }
    sqlite3_wal_hook(made->db, on_commit, made);
    *sql = made;
    return true;
}

bool sql_open_reader(const char *path, int64_t query_ms, struct sql **sql, struct nx_err *err)
{
    must(query_ms >= 0);
    if (!path_exists(path))
        return nx_fail(err, NX_E_NOT_FOUND, "%s does not exist", path);
    struct sql *made;
    if (!open_file(path, SQLITE_OPEN_READONLY, &made, err))
        return false;
    sqlite3_db_config(made->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    bool ok = sql_exec(made,
                       "PRAGMA query_only = ON;"
                       "PRAGMA temp_store = MEMORY;"
                       "PRAGMA cache_size = -4096;",
                       err);
    if (!ok) {
        sql_close(made);
        return false;
    }
    made->query_ms = query_ms;
    if (query_ms)
        sqlite3_progress_handler(made->db, STEPS_PER_LOOK, out_of_time, made);
    *sql = made;
    return true;
}

void sql_close(struct sql *sql)
{
    if (!sql)
        return;
    must(sqlite3_close(sql->db) == SQLITE_OK);
    mem_free(sql->path);
    mem_free(sql);
}

bool sql_exec(struct sql *sql, const char *text, struct nx_err *err)
{
    sql_start_clock(sql);
    int rc = sqlite3_exec(sql->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK || sql_fail(sql, rc, text, err);
}

bool sql_get_int(struct sql *sql, const char *text, int64_t *v, struct nx_err *err)
{
    struct sql_stmt *stmt;
    bool row;
    if (!sql_prepare(sql, text, &stmt, err))
        return false;
    bool ok = sql_step(stmt, &row, err);
    if (ok && row)
        *v = sql_int(stmt, 0);
    else if (ok)
        ok = nx_fail(err, NX_E_NOT_FOUND, "%s: no row [%.300s]", sql->path, text);
    sql_stmt_free(stmt);
    return ok;
}

int64_t sql_changes(struct sql *sql)
{
    return sqlite3_changes64(sql->db);
}

int64_t sql_last_rowid(struct sql *sql)
{
    return sqlite3_last_insert_rowid(sql->db);
}

bool sql_begin(struct sql *sql, struct nx_err *err)
{
    return sql_exec(sql, "BEGIN IMMEDIATE", err);
}

bool sql_commit(struct sql *sql, struct nx_err *err)
{
    return sql_exec(sql, "COMMIT", err);
}

void sql_rollback(struct sql *sql)
{
    /* Some errors (a full disk) have rolled back already; ROLLBACK itself cannot fail otherwise. */
    if (sql_in_transaction(sql))
        sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
}

bool sql_in_transaction(struct sql *sql)
{
    return !sqlite3_get_autocommit(sql->db);
}

int sql_log_pages(const struct sql *sql)
{
    return sql->n_log_pages;
}

bool sql_checkpoint(struct sql *sql, int *n_log, int *n_done, struct nx_err *err)
{
    int log = 0, done = 0;
    int rc = sqlite3_wal_checkpoint_v2(sql->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &done);
    if (rc != SQLITE_OK)
        return sql_fail(sql, rc, "checkpoint", err);
    *n_log = log;
    *n_done = done;
    return true;
}
