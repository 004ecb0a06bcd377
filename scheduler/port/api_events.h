/* Server-sent events: what each commit changed goes into one ring; each stream has a place in it.
 *
 *   event: run    data: {"run", "dag", "state", "counts"}
 *   event: task   data: {"run", "dag", "task", "map_index", "state", "attempt"}
 *   event: worker data: {"worker", "drain"}
 *   event: dataset data: {"dataset", "version", "run": or null}
 *   event: hello  at the beginning of a stream; data: {}
 *   event: reset  the stream has fallen out of the ring, or the scheduler was started again: load
 *                 everything anew
 *
 * An id is <start>.<commit>.<place>: sent back as Last-Event-ID, the stream goes on behind it.
 * Nothing is written while nobody has listened for a minute. */
#ifndef SCHEDULER_PORT_API_EVENTS_H
#define SCHEDULER_PORT_API_EVENTS_H

#include "lib/net/http.h"
#include "scheduler/core/core.h"

struct events;

struct events *events_new(int64_t started_ms);
void events_free(struct events *events); /* NULL is fine; no stream may be open */

/* On the loop, after a commit. True: streams have something to send. */
bool events_add(struct events *events, const struct core *core, const struct core_update *update,
                uint64_t commit);
/* Makes the reply a stream of all events, or of one run's (0: all). last_id: of the header, or
 * NULL. */
void events_stream(struct events *events, uint64_t run, const char *last_id,
                   struct http_reply *reply);

#endif
