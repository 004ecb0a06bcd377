/* What the files of lib/sql share: a connection and how its errors are told. */
#ifndef LIB_SQL_CONNECTION_H
#define LIB_SQL_CONNECTION_H

#include <sqlite3.h>

#include "lib/sql/sql.h"

struct sql {
    sqlite3 *db;
    char *path;
    int n_log_pages;
    int64_t query_ms;    /* readers: how long a statement may take; 0: no limit */
    int64_t deadline_ms; /* of the statement that runs; 0: none runs */
};

struct sql_stmt {
    struct sql *sql;
    sqlite3_stmt *handle;
    bool busy; /* between its first step and its end */
};

/* Fills err from the connection's last error. `text` is the SQL (or NULL). Returns false. */
bool sql_fail(struct sql *sql, int rc, const char *text, struct nx_err *err);
/* A statement begins: readers get their deadline. */
void sql_start_clock(struct sql *sql);

#endif
