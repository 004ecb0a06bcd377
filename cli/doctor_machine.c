/* What the machine gives: disk, clock, zones, limits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/zone_file.h"

#define MIB 1048576ll
#define DISK_LOW_MIB 1024
#define DISK_NONE_MIB 64
#define INODES_LOW 10000
#define FILES_LOW 1024
#define PROCESSES_LOW 256
#define MEMORY_LOW_MIB 512
#define BUILT_MS 1735689600000ll /* 2025-01-01: no clock that is right says less */

/* ---- Disk ---- */

static void check_disk(struct doctor *d, const char *what, const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return;
    long long room = (long long)fs.f_bavail * (long long)fs.f_frsize / MIB;
    bool few = fs.f_files > 0 && fs.f_favail < INODES_LOW;
    doctor_note(d,
                room < DISK_NONE_MIB  ? DOCTOR_FAIL
                : room < DISK_LOW_MIB ? DOCTOR_WARN
                : few                 ? DOCTOR_WARN
                                      : DOCTOR_OK,
                what, "make room, or let runs and logs go sooner (`nexus retention show`)",
                "%lld MiB free%s of %s", room, few ? " and few inodes" : "", path);
}

void doctor_disk(struct doctor *d)
{
    static const char *const folders[] = {"", "artifacts", "logs"};
    static const char *const names[] = {"disk", "disk of artifacts", "disk of logs"};
    struct stat first = {0}, st;
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < 3; i++) {
        if (!path_join(path, sizeof path, d->home.path, folders[i]))
            return;
        while (i == 0 && !path_exists(path) && strrchr(path, '/') > path)
            *strrchr(path, '/') = 0;
        if (stat(path, &st) != 0 || (i > 0 && st.st_dev == first.st_dev))
            continue; /* not there, or the same disk */
        if (i == 0)
            first = st;
        check_disk(d, names[i], path);
    }
}

/* ---- Clock and zones ---- */

void doctor_clock(struct doctor *d)
{
    struct timex state = {0};
    char now[TIME_TEXT_MAX];
    int64_t wall = clock_wall_ms();
    time_format(now, wall);
    int e = adjtimex(&state);
    if (wall < BUILT_MS)
        doctor_note(d, DOCTOR_FAIL, "clock", "set the clock, and let NTP keep it",
                    "it says %s, which is long ago", now);
    else if (e < 0)
        doctor_note(d, DOCTOR_OK, "clock", NULL, "%s; whether it is kept by NTP cannot be seen",
                    now);
    else if (state.status & STA_UNSYNC)
        doctor_note(d, DOCTOR_WARN, "clock",
                    "let NTP keep it (chrony, systemd-timesyncd): schedules follow the clock",
                    "%s; it is not synchronised", now);
    else
        doctor_note(d, DOCTOR_OK, "clock", NULL, "%s; synchronised, to %.3f s", now,
                    (double)state.maxerror / 1e6);
}

/* "2025b" of a file of the database, or "". */
static void zone_version(char *to, size_t size)
{
    char path[PATH_MAX_BYTES];
    struct buf text = {0};
    *to = 0;
    if (path_join(path, sizeof path, zone_file_folder(), "tzdata.zi") &&
        path_read(path, 4 * MIB, &text, NULL) && str_starts(buf_text(&text), "# version "))
        snprintf(to, size, "%.*s", (int)strcspn(buf_text(&text) + 10, "\n"), buf_text(&text) + 10);
    buf_fini(&text);
}

void doctor_zones(struct doctor *d)
{
    char version[32];
    struct zone *zone = NULL;
    struct nx_err err;
    zone_version(version, sizeof version);
    if (!zone_file_load(zone_file_folder(), "Europe/Berlin", &zone, &err))
        doctor_note(d, DOCTOR_FAIL, "zones", "install the package tzdata", "%s", err.text);
    else
        doctor_note(d, DOCTOR_OK, "zones", NULL, "%s%s%s", zone_file_folder(),
                    version[0] ? ", version " : "", version);
    zone_free(zone);
}

/* ---- Limits ---- */

/* A number in a file of the kernel; -1: there is none. */
static int64_t kernel_number(const char *path)
{
    struct buf text = {0};
    char number[32];
    int64_t v = -1;
    if (path_read(path, 64, &text, NULL)) {
        snprintf(number, sizeof number, "%.*s", (int)strcspn(buf_text(&text), "\n"),
                 buf_text(&text));
        if (!str_parse_int(number, &v))
            v = -1;
    }
    buf_fini(&text);
    return v;
}

static void check_rlimit(struct doctor *d, int which, const char *what, int64_t low,
                         const char *remedy)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)which, &limit) != 0)
        return;
    if (limit.rlim_cur == RLIM_INFINITY)
        doctor_note(d, DOCTOR_OK, what, NULL, "no limit");
    else
        doctor_note(d, (int64_t)limit.rlim_cur < low ? DOCTOR_WARN : DOCTOR_OK, what, remedy,
                    "at most %llu", (unsigned long long)limit.rlim_cur);
}

static void check_number(struct doctor *d, const char *what, const char *path, int64_t low,
                         const char *of, const char *remedy)
{
    int64_t v = kernel_number(path);
    if (v >= 0)
        doctor_note(d, v < low ? DOCTOR_WARN : DOCTOR_OK, what, remedy, "at most %lld %s",
                    (long long)v, of);
}

static void check_memory(struct doctor *d)
{
    int64_t mib = (int64_t)sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
    int64_t group = kernel_number("/sys/fs/cgroup/memory.max");
    bool bounded = group >= 0 && group / MIB < mib;
    if (bounded)
        mib = group / MIB;
    doctor_note(d, mib < MEMORY_LOW_MIB ? DOCTOR_WARN : DOCTOR_OK, "memory",
                "give it more, and limit tasks with resources: {memory: ...}", "%lld MiB%s",
                (long long)mib, bounded ? " (the limit of the control group)" : "");
}

void doctor_limits(struct doctor *d)
{
    check_rlimit(d, RLIMIT_NOFILE, "open files", FILES_LOW, "`ulimit -n 4096` allows more");
    check_rlimit(d, RLIMIT_NPROC, "processes", PROCESSES_LOW, "`ulimit -u 4096` allows more");
    check_number(d, "processes of the control group", "/sys/fs/cgroup/pids.max", PROCESSES_LOW,
                 "processes", "raise pids.max (of a container: --pids-limit)");
    check_number(d, "inotify watches", "/proc/sys/fs/inotify/max_user_watches", 1024,
                 "watched folders", "sysctl fs.inotify.max_user_watches=65536");
    check_number(d, "inotify instances", "/proc/sys/fs/inotify/max_user_instances", 16,
                 "programs that watch", "sysctl fs.inotify.max_user_instances=128");
    check_memory(d);
}
