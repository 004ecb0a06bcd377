/* Processes by the mark in their environment: NEXUS_LEASE=<mark>. Every process of an attempt
 * inherits it, also one that left the session; so an attempt's processes are found whatever they
 * did. Linux: reads /proc. Only the processes of this user are seen. */
#ifndef WORKER_MARKS_H
#define WORKER_MARKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MARK_MAX 256
#define MARK_NAME "NEXUS_LEASE"

/* A process whose mark begins with the prefix; rss_bytes only if asked for, else 0. */
typedef void marks_visit(void *arg, pid_t pid, const char *mark, int64_t rss_bytes);

/* All but this process; returns how many. Zombies have no mark. */
unsigned marks_each(const char *prefix, bool with_rss, marks_visit *visit, void *arg);

/* SIGKILL to each; returns how many there were. Some may have forked meanwhile: again until 0. */
unsigned marks_kill(const char *prefix);
/* Again and again until none is left; false when some are still there after timeout_ms. n_killed
 * (may be NULL): how many there were at first. */
bool marks_kill_all(const char *prefix, int64_t timeout_ms, unsigned *n_killed);

/* Resident memory of one process; 0 when it is gone. */
int64_t process_rss_bytes(pid_t pid);

struct process_use {
    int64_t rss_bytes;
    int64_t cpu_us; /* of it and of its children that it has waited for */
};

/* False when it is gone. */
bool process_use(pid_t pid, struct process_use *use);

#endif
