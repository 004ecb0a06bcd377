/* Replies to workers: from the core's orders to the message. What the core does not know
 * (definitions, params, outputs) comes from a source. */
#ifndef SCHEDULER_PORT_REPLY_H
#define SCHEDULER_PORT_REPLY_H

#include "lib/base/buf.h"
#include "lib/wire/wire.h"
#include "scheduler/core/core.h"

/* Where the texts of a reply come from; they live until reply_encode returns. */
struct reply_source {
    void *arg;
    /* The task's definition, as nexus-task reads it. */
    struct wire_bytes (*definition)(void *arg, uint64_t version, uint32_t task);
    /* What all tasks of the run share: params, run, dag, vars. */
    struct wire_bytes (*run)(void *arg, struct nx_run_id run);
    /* The outputs that the task's expressions refer to, for tasks with GRAPH_REFS. */
    struct wire_bytes (*outputs)(void *arg, struct nx_inst_id inst);
    /* The item of a mapped instance: a JSON value. */
    struct wire_bytes (*item)(void *arg, struct nx_inst_id inst);
    const char *url;      /* of the HTTP API */
    const char *home;     /* what names this home */
    int64_t lease_ttl_ms; /* of workers on this machine */
    int64_t lease_ttl_elsewhere_ms;
    int64_t grace_ms;
};

/* Appends the reply that `send` asks for: at most NX_MESSAGE_MAX bytes; orders that do not fit stay
 * above the worker's `seen` and are sent with the next reply, which the worker is told to fetch. */
void reply_encode(const struct core *core, uint64_t epoch, const struct core_send *send,
                  bool elsewhere, const struct reply_source *source, struct buf *buf);

#endif
