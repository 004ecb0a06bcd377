/* The worker's loop: ledger, slots and talk put together; signals, drain, the end.
 *
 *   SIGTERM, SIGINT   finish what runs, give back what waits, have it acknowledged, end
 *   again             stop what runs (it is reported as lost, and runs elsewhere), end */
#ifndef WORKER_AGENT_H
#define WORKER_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nexus/error.h"

struct join;

struct agent_config {
    const char *home;    /* absolute, exists */
    const char *project; /* absolute */
    const char *url;
    const char *name;
    const char *queues;
    const char *program; /* nexus-task */
    const char *catalog; /* hash of its operators */
    uint32_t slots, gpus;
    int64_t memory_bytes;
    int64_t log_max_bytes;   /* of one attempt; <= 0: NX_LOG_MAX */
    const struct join *join; /* the scheduler is elsewhere; NULL: on this home */
    int64_t cache_max_bytes; /* of artifacts, then; <= 0: the usual bound */
    pid_t parent;            /* end with it, at once; 0: none */
};

/* What the marks of a worker's processes begin with, whatever its incarnation. */
bool agent_mark(char *to, size_t size, const char *home, const char *name);

/* Kills what former incarnations left, then works until it is told to end. */
bool agent_run(const struct agent_config *config, struct nx_err *err);

#endif
