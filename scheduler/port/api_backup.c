/* A copy of the state as a file, written by the server while it goes on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sql/sql.h"
#include "lib/text/json.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"

/* Takes the name, so that of two requests one fails and no file is ever replaced. */
static bool reserve(const char *file, struct nx_err *err)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return nx_fail(err, NX_E_CONFLICT, "%s exists; a backup never replaces a file", file);
    if (fd < 0)
        return nx_fail(err, NX_E_INVALID, "cannot write %s: %s", file, strerror(errno));
    close(fd);
    return true;
}

/* On a connection of its own: it may take longer than a query, and reads one snapshot. */
static bool copy(const char *home, const char *file, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct sql *sql;
    if (!path_join(path, sizeof path, home, "nexus.db"))
        return nx_fail(err, NX_E_LIMIT, "the path of the home is too long");
    if (!sql_open_reader(path, 0, &sql, err))
        return false;
    bool ok = sql_backup(sql, file, err);
    sql_close(sql);
    return ok;
}

static bool write_backup(struct call *call, const char *file, struct nx_err *err)
{
    struct stat info;
    if (!file || *file != '/')
        return nx_fail(err, NX_E_INVALID,
                       "the body must have 'file': the absolute path of a file to be written");
    if (strlen(file) >= PATH_MAX_BYTES - 32)
        return nx_fail(err, NX_E_LIMIT, "the path of the backup is too long");
    if (!reserve(file, err))
        return false;
    if (!copy(call->api->home, file, err)) {
        unlink(file);
        return false;
    }
    put_open(&call->body, NULL, '{');
    put_text(&call->body, "file", file);
    put_int(&call->body, "bytes", stat(file, &info) == 0 ? info.st_size : 0);
    put_close(&call->body, '}');
    call->status = 201;
    return true;
}

bool handle_backup(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = write_backup(call, js_get_text(body, "file", NULL), err);
    json_decref(body);
    return ok;
}
