/* Schema versions and copies of the whole file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/sql/connection.h"

static bool apply(struct sql *sql, const struct sql_migration *step, struct nx_err *err)
{
    char set_version[64];
    snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", step->version);
    if (sql_begin(sql, err) && sql_exec(sql, step->sql, err) && sql_exec(sql, set_version, err) &&
        sql_commit(sql, err))
        return true;
    sql_rollback(sql);
    return nx_wrap(err, "migration to schema version %d", step->version);
}

bool sql_migrate(struct sql *sql, const struct sql_migration *steps, size_t n, struct nx_err *err)
{
    int64_t version;
    for (size_t i = 0; i < n; i++)
        must(steps[i].version == (int)i + 1);
    if (!sql_get_int(sql, "PRAGMA user_version", &version, err))
        return false;
    if (version < 0 || (uint64_t)version > n)
        return nx_fail(err, NX_E_UNSUPPORTED,
                       "%s has schema version %lld, this program knows up to %zu: use a newer "
                       "nexus, or a backup",
                       sql->path, (long long)version, n);
    if (version > 0 && (size_t)version < n) {
        char backup[PATH_MAX_BYTES];
        int len = snprintf(backup, sizeof backup, "%s.v%lld.backup", sql->path, (long long)version);
        if (len < 0 || (size_t)len >= sizeof backup)
            return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", sql->path);
        if (!sql_backup(sql, backup, err))
            return nx_wrap(err, "backup before migrating");
    }
    for (size_t i = (size_t)version; i < n; i++) {
        if (!apply(sql, &steps[i], err))
            return false;
    }
    return true;
}

static bool copy_all(struct sql *sql, sqlite3 *to, struct nx_err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", sql->db, "main");
    if (!backup)
        return nx_fail(err, NX_E_IO, "%s", sqlite3_errmsg(to));
    int rc = sqlite3_backup_step(backup, -1);
    int end = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && end == SQLITE_OK)
        return true;
    return nx_fail(err, rc == SQLITE_BUSY || rc == SQLITE_LOCKED ? NX_E_BUSY : NX_E_IO, "%s",
                   sqlite3_errstr(rc == SQLITE_DONE ? end : rc));
}

/* A file and then, with folder true, the folder it is in are on disk. */
static bool sync_path(const char *path, bool folder, struct nx_err *err)
{
    char name[PATH_MAX_BYTES];
    snprintf(name, sizeof name, "%s", path);
    if (folder) {
        char *base = strrchr(name, '/');
        snprintf(base ? base + (base == name) : name, 2, "%s", base ? "" : ".");
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok || nx_fail(err, NX_E_IO, "cannot sync %s: %s", name, strerror(errno));
}

bool sql_backup(struct sql *sql, const char *to_path, struct nx_err *err)
{
    char temp[PATH_MAX_BYTES];
    int len = snprintf(temp, sizeof temp, "%s.%ld.tmp", to_path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof temp)
        return nx_fail(err, NX_E_LIMIT, "the path is longer than %d bytes", PATH_MAX_BYTES - 1);
    unlink(temp);
    sqlite3 *to = NULL;
    int rc = sqlite3_open_v2(temp, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    bool ok = rc == SQLITE_OK || nx_fail(err, NX_E_IO, "%s", sqlite3_errstr(rc));
    /* The copy is one file, not a file and a log. */
    ok = ok && copy_all(sql, to, err);
    if (ok && sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
        ok = nx_fail(err, NX_E_IO, "%s", sqlite3_errmsg(to));
    sqlite3_close(to);
    ok = ok && sync_path(temp, false, err);
    if (ok && rename(temp, to_path) != 0)
        ok = nx_fail(err, NX_E_IO, "%s", strerror(errno));
    ok = ok && sync_path(to_path, true, err);
    if (!ok) {
        unlink(temp);
        return nx_wrap(err, "cannot copy %s to %s", sql->path, to_path);
    }
    return true;
}
