/* The depot: what workers that share no file system with the scheduler get and bring: artifacts,
 * the `files:` of DAG versions, logs (lib/wire/bulk.h). Threads of its own read and write the
 * files; neither the loop nor the threads of the link wait for a disk. */
#ifndef SCHEDULER_PORT_DEPOT_H
#define SCHEDULER_PORT_DEPOT_H

#include <stddef.h>

#include "nexus/error.h"

struct depot;

/* home: absolute. `answer` is called once for each request, on the depot's threads, until
 * depot_stop. */
bool depot_open(const char *home,
                void (*answer)(void *arg, unsigned context, const void *bytes, size_t n), void *arg,
                struct depot **depot, struct nx_err *err);
/* A request that came, with the token of that id; all is copied. On any thread. */
void depot_take(struct depot *depot, unsigned context, const char *token, const void *bytes,
                size_t n);
/* Ends the threads: nothing is answered any more. NULL is fine, here and below. */
void depot_stop(struct depot *depot);
/* After depot_stop, when no request can come any more. */
void depot_close(struct depot *depot);

#endif
