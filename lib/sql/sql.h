/* SQLite, thinly: connections, statements, transactions, migrations, checkpoints, backups.
 *
 * A connection and its statements belong to one thread at a time. Errors carry SQLite's message and
 * the SQL. A violated constraint is NX_E_CONFLICT, a locked database NX_E_BUSY, a reader's query
 * that took too long NX_E_TIMEOUT, a file that is no database or is damaged NX_E_DATA, a disk or
 * file that fails NX_E_IO. */
#ifndef LIB_SQL_SQL_H
#define LIB_SQL_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus/error.h"

struct sql;      /* a connection */
struct sql_stmt; /* a prepared statement */

/* Opens for reading and writing, creates the file: WAL, synchronous=FULL, no checkpoint but by
 * sql_checkpoint (and at the last close), auto_vacuum=INCREMENTAL, waits at most 5 s for a lock.
 * One writer a file. ":memory:" works (tests). */
bool sql_open_writer(const char *path, struct sql **sql, struct nx_err *err);
/* Opens an existing file read-only. A statement that has not ended query_ms after its first step
 * is interrupted: NX_E_TIMEOUT (0: no limit). Never checkpoints. NX_E_NOT_FOUND without the file.
 */
bool sql_open_reader(const char *path, int64_t query_ms, struct sql **sql, struct nx_err *err);
/* The statements must have been freed. NULL is fine. */
void sql_close(struct sql *sql);

/* Runs one or several statements and drops their rows. */
bool sql_exec(struct sql *sql, const char *text, struct nx_err *err);
/* The first column of the first row; NX_E_NOT_FOUND when there is none. */
bool sql_get_int(struct sql *sql, const char *text, int64_t *v, struct nx_err *err);

/* One statement, prepared to be used many times. */
bool sql_prepare(struct sql *sql, const char *text, struct sql_stmt **stmt, struct nx_err *err);
void sql_stmt_free(struct sql_stmt *stmt); /* NULL is fine */

/* Parameters count from 1; a wrong index ends the process. Text and blobs are borrowed: they must
 * stay until the statement has been run, reset, or stepped to its end. A parameter keeps its value
 * over a reset, so borrowed ones have to be bound again before the next use. NULL pointers: null.
 */
void sql_bind_int(struct sql_stmt *stmt, int i, int64_t v);
void sql_bind_double(struct sql_stmt *stmt, int i, double v);
void sql_bind_text(struct sql_stmt *stmt, int i, const char *s);
void sql_bind_text_n(struct sql_stmt *stmt, int i, const char *s, size_t n);
void sql_bind_blob(struct sql_stmt *stmt, int i, const void *p, size_t n);
void sql_bind_null(struct sql_stmt *stmt, int i);

/* Next row: *row tells whether there is one. At the end and after an error the statement is reset.
 */
bool sql_step(struct sql_stmt *stmt, bool *row, struct nx_err *err);
/* To its end, rows dropped, and reset: for inserts, updates, deletes. */
bool sql_run(struct sql_stmt *stmt, struct nx_err *err);
/* Ends a statement early: a reader that stops before the last row pins the log otherwise. */
void sql_reset(struct sql_stmt *stmt);

/* Columns of the current row count from 0. Text and blobs live until the next step or reset. */
int64_t sql_int(struct sql_stmt *stmt, int column);
double sql_double(struct sql_stmt *stmt, int column);
const char *sql_text(struct sql_stmt *stmt, int column);            /* NULL when null */
const void *sql_blob(struct sql_stmt *stmt, int column, size_t *n); /* NULL, 0 when null or empty */
bool sql_is_null(struct sql_stmt *stmt, int column);
size_t sql_n_bytes(struct sql_stmt *stmt, int column); /* of a text or blob */
int sql_n_columns(struct sql_stmt *stmt);

/* Rows changed by the last insert, update or delete; the last rowid inserted. */
int64_t sql_changes(struct sql *sql);
int64_t sql_last_rowid(struct sql *sql);

/* begin takes the write lock at once. rollback does nothing outside a transaction. */
bool sql_begin(struct sql *sql, struct nx_err *err);
bool sql_commit(struct sql *sql, struct nx_err *err);
void sql_rollback(struct sql *sql);
bool sql_in_transaction(struct sql *sql);

/* A step of the schema: what leads from the version before to this one. */
struct sql_migration {
    int version; /* 1, 2, 3, ... */
    const char *sql;
};

/* Brings the file to the last version, each step in a transaction together with PRAGMA
 * user_version. A file of an older version >= 1 is first copied to <file>.v<version>.backup, which
 * is kept. A file of a newer version is NX_E_UNSUPPORTED. */
bool sql_migrate(struct sql *sql, const struct sql_migration *steps, size_t n, struct nx_err *err);

/* Pages in the write-ahead log after the last commit of this connection. */
int sql_log_pages(const struct sql *sql);
/* A PASSIVE checkpoint: waits for nobody. Pages in the log and how many of them are in the file
 * now; equal: the next commit starts the log anew. */
bool sql_checkpoint(struct sql *sql, int *n_log, int *n_done, struct nx_err *err);

/* A consistent copy as a file (all or nothing; replaces it), while others read and write. */
bool sql_backup(struct sql *sql, const char *to_path, struct nx_err *err);

#endif
