#include "worker/marks.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/must.h"
#include "lib/base/str.h"

#define ENVIRON_MAX (8u * 1024 * 1024)
#define READ_BYTES 32768

/* A file of /proc, whole; false when it cannot be read (the process is gone, or another user's). */
static bool read_proc(pid_t pid, const char *name, struct buf *to)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = 0;
    buf_clear(to);
    do {
        to->len += (size_t)n;
        n = read(fd, buf_reserve(to, READ_BYTES), READ_BYTES);
    } while ((n > 0 && to->len < ENVIRON_MAX) || (n < 0 && errno == EINTR && (n = 0) == 0));
    close(fd);
    if (n != 0)
        return false;
    to->data[to->len] = 0;
    return true;
}

/* The value of the mark in an environment, or NULL. */
static const char *find_mark(const struct buf *env)
{
    static const char name[] = MARK_NAME "=";
    const char *p = env->data, *end = env->data + env->len;
    while (p < end) {
        if (strncmp(p, name, sizeof name - 1) == 0)
            return p + sizeof name - 1;
        p += strlen(p) + 1;
    }
    return NULL;
}

int64_t process_rss_bytes(pid_t pid)
{
    struct buf text = {0};
    long long pages = 0, resident = 0;
    if (!read_proc(pid, "statm", &text) ||
        sscanf(buf_text(&text), "%lld %lld", &pages, &resident) != 2)
        resident = 0;
    buf_fini(&text);
    return resident * sysconf(_SC_PAGESIZE);
}

bool process_use(pid_t pid, struct process_use *use)
{
    /* pid (name) state ... utime stime cutime cstime (14 to 17) ... rss (24); a name may have
     * anything in it, also brackets */
    static const char format[] = " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld"
                                 " %*d %*d %*d %*d %*u %*u %lld";
    long long user, system, of_children, system_of_children, pages;
    struct buf text = {0};
    const char *end = read_proc(pid, "stat", &text) ? strrchr(buf_text(&text), ')') : NULL;
    bool there = end && sscanf(end + 1, format, &user, &system, &of_children, &system_of_children,
                               &pages) == 5;
    buf_fini(&text);
    if (!there)
        return false;
    use->rss_bytes = pages * sysconf(_SC_PAGESIZE);
    use->cpu_us =
        (user + system + of_children + system_of_children) * 1000000 / sysconf(_SC_CLK_TCK);
    return true;
}

unsigned marks_each(const char *prefix, bool with_rss, marks_visit *visit, void *arg)
{
    unsigned n = 0;
    struct buf env = {0};
    must(prefix[0]); /* "" would be everybody's */
    struct dirent *entry;
    DIR *dir = opendir("/proc");
    if (!dir)
        return 0;
    while ((entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid == getpid() || !read_proc(pid, "environ", &env))
            continue;
        const char *mark = find_mark(&env);
        if (!mark || !str_starts(mark, prefix))
            continue;
        n++;
        visit(arg, pid, mark, with_rss ? process_rss_bytes(pid) : 0);
    }
    closedir(dir);
    buf_fini(&env);
    return n;
}

static void kill_one(void *arg, pid_t pid, const char *mark, int64_t rss_bytes)
{
    (void)arg;
    (void)mark;
    (void)rss_bytes;
    kill(pid, SIGKILL);
}

unsigned marks_kill(const char *prefix)
{
    return marks_each(prefix, false, kill_one, NULL);
}

bool marks_kill_all(const char *prefix, int64_t timeout_ms, unsigned *n_killed)
{
    int64_t until = clock_mono_ms() + timeout_ms;
    unsigned n = marks_kill(prefix);
    if (n_killed)
        *n_killed = n;
    for (int64_t pause = 1; n > 0; pause = pause < 20 ? pause * 2 : pause) {
        if (clock_mono_ms() >= until)
            return false;
        clock_sleep_ms(pause);
        n = marks_kill(prefix);
    }
    return true;
}
