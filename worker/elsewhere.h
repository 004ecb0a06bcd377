/* What a worker needs that shares no file system with the scheduler: before an attempt starts, the
 * artifacts that its lease names and the `files:` of its DAG; before its result is reported, its
 * log and the artifacts that its outputs name are with the scheduler. Artifacts stay here as a
 * cache with a bound. Errands run on libuv's threads; the loop never waits. */
#ifndef WORKER_ELSEWHERE_H
#define WORKER_ELSEWHERE_H

#include <uv.h>

#include "worker/ledger.h"
#include "worker/logs.h"
#include "worker/spool.h"

#define ELSEWHERE_CACHE_BYTES (10ll * 1024 * 1024 * 1024)

struct elsewhere;
struct errand;

/* Texts are borrowed, but for the line's. */
struct elsewhere_config {
    const char *home; /* absolute: this worker's own */
    struct line_config line;
    int64_t cache_max_bytes; /* of artifacts; <= 0: ELSEWHERE_CACHE_BYTES */
};

bool elsewhere_open(uv_loop_t *loop, const struct elsewhere_config *config,
                    struct elsewhere **elsewhere, struct nx_err *err);
/* Errands end without calling anybody. Then the loop has to run until it is empty, and
 * elsewhere_close follows. NULL is fine, here and below. */
void elsewhere_stop(struct elsewhere *elsewhere);
void elsewhere_close(struct elsewhere *elsewhere);

/* How an errand ended; err->code NX_OK: well. On the loop. The errand is gone then. */
typedef void errand_done(void *arg, const struct nx_err *err);

/* Brings what the lease names. NULL: it is all here. */
struct errand *elsewhere_bring(struct elsewhere *elsewhere, const struct ledger_start *lease,
                               errand_done *done, void *arg);
/* The folder with the files of the DAG version of a lease that was brought; "": it has none. */
bool elsewhere_files(struct elsewhere *elsewhere, uint64_t version, char *to, size_t size);
/* Hands over the artifacts that the outputs name and what is in the log (NULL: nothing is). NULL:
 * there is nothing to hand over. */
struct errand *elsewhere_hand_over(struct elsewhere *elsewhere, struct wire_bytes outputs,
                                   struct spooled *log, errand_done *done, void *arg);
/* It is not wanted any more: done is not called. */
void errand_drop(struct errand *errand);

/* Whether all logs are with the scheduler; of NULL they are. */
bool elsewhere_settled(struct elsewhere *elsewhere);
struct spool *elsewhere_spool(struct elsewhere *elsewhere);

#endif
