/* The slots of a worker: starts attempts in warm nexus-task children, stops them, watches their
 * time and memory, and tells the ledger how they ended.
 *
 * A slot is free, busy, or being swept: its child has died or was killed, and nothing is reported
 * before the last process that carries the attempt's mark is gone. On a worker elsewhere it is
 * bringing what its attempt needs before, and handing over what its attempt made after. */
#ifndef WORKER_SLOTS_H
#define WORKER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "worker/ledger.h"

struct elsewhere;
struct slots;

struct slots_config {
    const char *home;    /* absolute */
    const char *project; /* absolute: where `dags/` is */
    const char *program; /* nexus-task */
    const char *worker;  /* its name */
    const char *mark;    /* what the marks of this incarnation begin with */
    uint32_t n;
    int64_t log_max_bytes;       /* of one attempt; <= 0: NX_LOG_MAX */
    struct elsewhere *elsewhere; /* NULL: the scheduler is on this home */
};

/* Texts of the configuration are borrowed. */
struct slots *slots_new(uv_loop_t *loop, const struct slots_config *config, struct ledger *ledger);
/* Kills what is left; the loop has to run once more for the children's handles. */
void slots_free(struct slots *slots);

/* Stops and starts what the ledger says. */
void slots_pump(struct slots *slots);
/* Looks at times, memory and what is being swept. */
void slots_tick(struct slots *slots);
/* How often slots_tick is needed, as things are now. */
int64_t slots_tick_ms(const struct slots *slots);
/* Some child has ended (SIGCHLD). */
void slots_reap(struct slots *slots);
/* The scheduler's HTTP address, for scripts. */
void slots_set_url(struct slots *slots, const char *url, size_t n);

#endif
