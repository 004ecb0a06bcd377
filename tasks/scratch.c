#include "tasks/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"

/* The kernel stamps files with the time of its last tick: changes within one tick look alike. */
#define TICK_MS 20
#define COPY_DEPTH_MAX 64

static const char *const PARTS[3] = {"", "work", "artifacts"};

static bool stat_part(const char *path, int i, struct timespec *changed)
{
    char part[PATH_MAX_BYTES];
    struct stat st;
    if (!path_join(part, sizeof part, path, PARTS[i]) || stat(part, &st) != 0)
        return false;
    *changed = st.st_mtim;
    return true;
}

static bool stat_parts(const char *path, struct timespec changed[3])
{
    for (int i = 0; i < 3; i++)
        if (!stat_part(path, i, &changed[i]))
            return false;
    return true;
}

bool scratch_maybe_touched(const struct scratch *s, enum scratch_part part)
{
    struct timespec now;
    return s->unsure || !stat_part(s->path, (int)part, &now) ||
           memcmp(&now, &s->changed[part], sizeof now) != 0;
}

/* What an attempt may leave in its folder. Anything else there is somebody else's. */
static bool is_ours(const char *name)
{
    static const char *const ours[] = {".",      "..",       "work",  "artifacts",
                                       "output", "progress", "script"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    return false;
}

/* Before a folder that is there already is emptied. */
static bool check_ours(const char *path, struct nx_err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ||
               nx_fail(err, NX_E_IO, "cannot open %s: %s", path, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));)
        if (!is_ours(entry->d_name))
            ok = nx_fail(err, NX_E_CONFLICT,
                         "%s holds '%s': an attempt needs a folder that it may empty", path,
                         entry->d_name);
    closedir(dir);
    return ok;
}

static bool make(struct scratch *s, const char *path, struct nx_err *err)
{
    char part[PATH_MAX_BYTES];
    s->path[0] = 0;
    if (!check_ours(path, err) || !path_remove_tree(path, err) || !path_make_folders(path, err))
        return false;
    for (int i = 1; i < 3; i++) {
        if (!path_join(part, sizeof part, path, PARTS[i]))
            return nx_fail(err, NX_E_LIMIT, "the path %s is too long", path);
        if (mkdir(part, 0777) != 0)
            return nx_fail(err, NX_E_IO, "cannot make %s: %s", part, strerror(errno));
    }
    if (!stat_parts(path, s->changed))
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", path, strerror(errno));
    if (!str_copy(s->path, sizeof s->path, path))
        return nx_fail(err, NX_E_LIMIT, "the path %s is too long", path);
    s->made_ms = clock_wall_ms();
    return true;
}

bool scratch_use(struct scratch *s, const char *path, const char *files, struct nx_err *err)
{
    if (s->in_use)
        return true;
    if (!path || !path[0])
        return nx_fail(err, NX_E_INTERNAL, "the attempt has no folder");
    if (strcmp(s->path, path) != 0) {
        scratch_fini(s);
        if (!make(s, path, err))
            return nx_wrap(err, "the attempt's folder");
    }
    s->in_use = true;
    /* A folder this young may be changed without its time showing it. */
    s->unsure = clock_wall_ms() - s->made_ms < TICK_MS;
    if (!files || !files[0])
        return true;
    char work[PATH_MAX_BYTES];
    path_join(work, sizeof work, path, "work");
    s->unsure = true;
    return scratch_copy_tree(files, work, err) || nx_wrap(err, "the DAG's files");
}

/* How many entries the folder has; large when it cannot be read. */
static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return 1000;
    int n = -2; /* . and .. */
    while (n < 1000 && readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static bool is_empty(const char *path)
{
    char part[PATH_MAX_BYTES];
    if (count_entries(path) != 2)
        return false;
    for (int i = 1; i < 3; i++)
        if (!path_join(part, sizeof part, path, PARTS[i]) || count_entries(part) != 0)
            return false;
    return true;
}

void scratch_end(struct scratch *s)
{
    if (!s->in_use)
        return;
    struct timespec now[3];
    s->in_use = false;
    bool there = stat_parts(s->path, now);
    if (there && !s->unsure && memcmp(now, s->changed, sizeof now) == 0)
        return;
    if (there && is_empty(s->path)) {
        if (memcmp(now, s->changed, sizeof now) != 0)
            s->made_ms = clock_wall_ms();
        memcpy(s->changed, now, sizeof now);
        return;
    }
    scratch_fini(s);
}

void scratch_fini(struct scratch *s)
{
    char path[PATH_MAX_BYTES];
    memcpy(path, s->path, sizeof path);
    s->path[0] = 0;
    if (path[0])
        path_remove_tree(path, NULL);
    s->in_use = false;
}

/* ---- Copying ---- */

static bool copy_bytes(int in, int out)
{
    char block[65536];
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, 1 << 24, 0);
        if (n == 0)
            return true;
        if (n < 0)
            break;
    }
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return false;
    for (;;) {
        ssize_t n = read(in, block, sizeof block);
        if (n <= 0)
            return n == 0;
        for (ssize_t done = 0, w; done < n; done += w)
            if ((w = write(out, block + done, (size_t)(n - done))) < 0)
                return false;
    }
}

static bool copy_file(const char *from, const char *to, mode_t mode)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return false;
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode & 0777);
    bool ok = out >= 0 && copy_bytes(in, out) && fchmod(out, (mode & 0777) | 0600) == 0;
    int saved = errno;
    close(in);
    if (out >= 0 && close(out) != 0)
        ok = false;
    else
        errno = saved;
    return ok;
}

static bool copy_link(const char *from, const char *to)
{
    char target[PATH_MAX_BYTES];
    ssize_t n = readlink(from, target, sizeof target - 1);
    if (n < 0)
        return false;
    target[n] = 0;
    return symlink(target, to) == 0;
}

static bool copy_tree(const char *from, const char *to, int depth, struct nx_err *err);

static bool copy_entry(const char *from, const char *to, int depth, struct nx_err *err)
{
    struct stat st;
    if (lstat(from, &st) != 0)
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", from, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(to, 0777) != 0 && errno != EEXIST)
            return nx_fail(err, NX_E_IO, "cannot make %s: %s", to, strerror(errno));
        return copy_tree(from, to, depth + 1, err);
    }
    bool ok = S_ISLNK(st.st_mode) ? copy_link(from, to) : copy_file(from, to, st.st_mode);
    return ok || nx_fail(err, NX_E_IO, "cannot copy %s: %s", from, strerror(errno));
}

static bool copy_tree(const char *from, const char *to, int depth, struct nx_err *err)
{
    char inner_from[PATH_MAX_BYTES], inner_to[PATH_MAX_BYTES];
    if (depth > COPY_DEPTH_MAX)
        return nx_fail(err, NX_E_LIMIT, "%s is nested deeper than %d folders", from,
                       COPY_DEPTH_MAX);
    DIR *dir = opendir(from);
    if (!dir)
        return nx_fail(err, NX_E_IO, "cannot open %s: %s", from, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!path_join(inner_from, sizeof inner_from, from, entry->d_name) ||
            !path_join(inner_to, sizeof inner_to, to, entry->d_name))
            ok = nx_fail(err, NX_E_LIMIT, "a path below %s is too long", from);
        else
            ok = copy_entry(inner_from, inner_to, depth, err);
    }
    closedir(dir);
    return ok;
}

bool scratch_copy_tree(const char *from, const char *to, struct nx_err *err)
{
    return copy_tree(from, to, 0, err);
}
