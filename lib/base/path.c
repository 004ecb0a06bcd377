#include "lib/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"

bool path_join(char *to, size_t size, const char *dir, const char *name)
{
    int n;
    if (name[0] == '/' || !dir[0])
        n = snprintf(to, size, "%s", name);
    else
        n = snprintf(to, size, "%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
    return n >= 0 && (size_t)n < size;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool make_folders(const char *path, mode_t last, struct nx_err *err)
{
    char part[PATH_MAX_BYTES];
    if (!str_copy(part, sizeof part, path))
        return nx_fail(err, NX_E_LIMIT, "the path is longer than %d bytes", PATH_MAX_BYTES - 1);
    for (size_t n = strlen(part); n > 1 && part[n - 1] == '/'; n--)
        part[n - 1] = 0;
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char c = *p;
        *p = 0;
        if (mkdir(part, c ? 0777 : last) != 0 && errno != EEXIST)
            return nx_fail(err, NX_E_IO, "cannot create the folder %s: %s", part, strerror(errno));
        if (!c)
            break;
        *p = c;
    }
    if (!path_is_folder(path))
        return nx_fail(err, NX_E_IO, "%s exists and is not a folder", path);
    return true;
}

bool path_make_folders(const char *path, struct nx_err *err)
{
    return make_folders(path, 0777, err);
}

bool path_make_private_folder(const char *path, struct nx_err *err)
{
    return make_folders(path, 0700, err);
}

bool path_read(const char *path, size_t max, struct buf *buf, struct nx_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "cannot read %s: %s", path,
                       strerror(errno));
    size_t start = buf->len;
    for (;;) {
        char *to = buf_reserve(buf, 65536);
        ssize_t n = read(fd, to, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            nx_fail(err, NX_E_IO, "cannot read %s: %s", path, strerror(errno));
            break;
        }
        if (n == 0) {
            close(fd);
            buf->data[buf->len] = 0;
            return true;
        }
        buf->len += (size_t)n;
        if (buf->len - start > max) {
            nx_fail(err, NX_E_LIMIT, "%s is larger than %zu bytes", path, max);
            break;
        }
    }
    close(fd);
    buf->len = start;
    return false;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static bool replace(const char *path, const void *p, size_t n, mode_t mode, struct nx_err *err)
{
    char temp[PATH_MAX_BYTES];
    int len = snprintf(temp, sizeof temp, "%s.%ld.tmp", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof temp)
        return nx_fail(err, NX_E_LIMIT, "the path is longer than %d bytes", PATH_MAX_BYTES - 1);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return nx_fail(err, NX_E_IO, "cannot create %s: %s", temp, strerror(errno));
    bool ok = write_all(fd, p, n) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok && rename(temp, path) == 0)
        return true;
    nx_fail(err, NX_E_IO, "cannot write %s: %s", path, strerror(errno));
    unlink(temp);
    return false;
}

bool path_write(const char *path, const void *p, size_t n, struct nx_err *err)
{
    return replace(path, p, n, 0666, err);
}

bool path_write_private(const char *path, const void *p, size_t n, struct nx_err *err)
{
    return replace(path, p, n, 0600, err);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

bool path_remove_tree(const char *path, struct nx_err *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return true;
    return nx_fail(err, NX_E_IO, "cannot remove %s: %s", path, strerror(errno));
}

bool path_of_program(char *to, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", to, size - 1);
    if (n <= 0)
        return false;
    to[n] = 0;
    char *slash = strrchr(to, '/');
    if (!slash)
        return false;
    *slash = 0;
    return true;
}

bool path_find_program(const char *name, char *to, size_t size, struct nx_err *err)
{
    char own[PATH_MAX_BYTES], folder[PATH_MAX_BYTES + 32];
    const char *said = getenv("NEXUS_LIBEXEC");
    if (!path_of_program(own, sizeof own))
        return nx_fail(err, NX_E_INTERNAL, "cannot find the folder of this program");
    for (size_t i = 0; i < 2; i++) {
        if (said && *said)
            str_copy(folder, sizeof folder, said);
        else
            snprintf(folder, sizeof folder, "%s%s", own, i == 0 ? "" : "/../libexec/nexus");
        if (path_join(to, size, folder, name) && access(to, X_OK) == 0)
            return true;
    }
    return nx_fail(err, NX_E_NOT_FOUND,
                   "the program %s is neither beside this one (%s) nor in ../libexec/nexus", name,
                   own);
}
