/* The files that go with retention, on a thread of their own: logs of runs, artifacts that nothing
 * names. */
#ifndef SCHEDULER_RETENTION_H
#define SCHEDULER_RETENTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/path.h"
#include "lib/base/vec.h"

struct retaining_work {
    pthread_t thread;
    atomic_bool done, cancelled;
    char home[PATH_MAX_BYTES];
    VEC(uint64_t) logs; /* runs that stay */
    VEC(uint64_t) bare; /* and that go; what could not be removed is not among them afterwards */
    bool sweep;         /* artifacts too */
};

struct retaining_work *retaining_work_new(const char *home, bool sweep);
void retaining_work_start(struct retaining_work *work);
bool retaining_work_done(struct retaining_work *work);
/* Waits for its end; cancel: soon. */
void retaining_work_free(struct retaining_work *work, bool cancel);

#endif
