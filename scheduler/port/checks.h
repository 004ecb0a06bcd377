/* What the scheduler's side knows for `nexus doctor`, as JSON: of a running one by the API, else by
 * `nexus-scheduler --check`. */
#ifndef SCHEDULER_PORT_CHECKS_H
#define SCHEDULER_PORT_CHECKS_H

#include "lib/base/buf.h"
#include "scheduler/store/query.h"

/* The members "database" (null: there is none yet) and "skews" of an object that is open. */
bool checks_put(struct buf *buf, const char *home, struct query_pool *pool, struct nx_err *err);
/* All of it, of a home whose scheduler does not run, to stdout; the exit status. */
int checks_print(const char *home);

/* Bytes of a file of the home; 0: it is not there. */
int64_t checks_size_of(const char *home, const char *name);

#endif
