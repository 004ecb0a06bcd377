#include "tasks/sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/path.h"

#define ENVIRON_MAX (4 * 1024 * 1024)
#define NAMES_MAX 400

/* Reaps what has ended; false when there is no child any more. */
static bool reap(struct sweep *sweep)
{
    struct rusage usage;
    pid_t pid;
    while ((pid = wait4(-1, NULL, WNOHANG, &usage)) > 0) {
        sweep->cpu_us += ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                         usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
        if (usage.ru_maxrss > sweep->rss_kb)
            sweep->rss_kb = usage.ru_maxrss;
    }
    return pid == 0;
}

/* Waits until no child is left or the time is over; false: some are left. */
static bool reap_for(struct sweep *sweep, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    for (int64_t pause = 1; reap(sweep); pause = pause < 10 ? pause * 2 : pause) {
        if (clock_mono_ms() >= until)
            return false;
        clock_sleep_ms(pause);
    }
    return true;
}

static bool read_proc(const char *pid, const char *file, struct buf *to)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, file);
    buf_clear(to);
    return path_read(path, ENVIRON_MAX, to, NULL);
}

static bool is_marked(const char *pid, const char *mark, struct buf *scratch)
{
    static const char name[] = "NEXUS_LEASE=";
    if (!mark[0] || !read_proc(pid, "environ", scratch))
        return false;
    for (size_t at = 0; at < scratch->len; at += strlen(scratch->data + at) + 1)
        if (strncmp(scratch->data + at, name, sizeof name - 1) == 0)
            return strcmp(scratch->data + at + sizeof name - 1, mark) == 0;
    return false;
}

/* Fills the parent and the name from /proc/PID/stat: "12 (a name) S 1 ...". */
static bool read_stat(const char *pid, long *parent, char *name, size_t size, struct buf *scratch)
{
    if (!read_proc(pid, "stat", scratch))
        return false;
    const char *open = strchr(buf_text(scratch), '('), *close = strrchr(buf_text(scratch), ')');
    if (!open || !close || close[1] != ' ' || close[2] == 'Z')
        return false;
    snprintf(name, size, "%.*s", (int)(close - open - 1), open + 1);
    *parent = strtol(close + 3, NULL, 10);
    return true;
}

/* One round over all processes. */
static void signal_all(struct sweep *sweep, const char *mark, int signal)
{
    char name[32];
    long parent;
    struct buf scratch;
    struct dirent *entry;
    DIR *dir = opendir("/proc");
    if (!dir)
        return;
    buf_init(&scratch);
    while ((entry = readdir(dir))) {
        const char *pid = entry->d_name;
        if (!isdigit((unsigned char)pid[0]) || strtol(pid, NULL, 10) == (long)getpid() ||
            !read_stat(pid, &parent, name, sizeof name, &scratch))
            continue;
        if (parent != (long)getpid() && !is_marked(pid, mark, &scratch))
            continue;
        if (kill((pid_t)strtol(pid, NULL, 10), signal) != 0 || signal != SIGKILL)
            continue;
        sweep->n_killed++;
        if (sweep->names.len < NAMES_MAX)
            buf_printf(&sweep->names, "%s%s (%s)", sweep->names.len ? ", " : "", name, pid);
    }
    closedir(dir);
    buf_fini(&scratch);
}

void sweep_run(struct sweep *sweep, const char *mark, int64_t grace_ms, bool ask)
{
    *sweep = (struct sweep){0};
    if (!reap(sweep))
        return;
    if (ask)
        signal_all(sweep, mark, SIGTERM);
    if (reap_for(sweep, grace_ms))
        return;
    int64_t until = clock_mono_ms() + SWEEP_MS;
    for (;;) {
        signal_all(sweep, mark, SIGKILL);
        if (reap_for(sweep, SWEEP_GRACE_MS))
            return;
        if (clock_mono_ms() >= until)
            break;
    }
    sweep->left = true;
}
