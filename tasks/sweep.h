/* What a script leaves behind: processes that went on after it (daemons of their own session
 * included: nexus-task is their subreaper) are given a moment to end, then killed. */
#ifndef TASKS_SWEEP_H
#define TASKS_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct sweep {
    unsigned n_killed;
    struct buf names; /* "sleep (1234), ..." of those killed */
    int64_t cpu_us;   /* of all that were reaped */
    int64_t rss_kb;   /* the largest of them */
    bool left;        /* something could not be killed within SWEEP_MS */
};

#define SWEEP_GRACE_MS 100 /* of a script that has ended by itself */
#define SWEEP_MS 5000

/* The caller has reaped the shell itself and has no other children. `mark` is the value of
 * NEXUS_LEASE. They have grace_ms to end; with ask, SIGTERM tells them so. *sweep is zeroed first;
 * buf_fini its names. */
void sweep_run(struct sweep *sweep, const char *mark, int64_t grace_ms, bool ask);

#endif
