/* The logs of a worker elsewhere on their way to the scheduler. Attempts write them below the
 * worker's own home (worker/logs.h), which is the spool; a thread sends what has been added and
 * removes the files when an attempt has ended and all of it is there.
 *
 * While the scheduler is away they are kept: at most SPOOL_MAX_BYTES of attempts that have ended,
 * beyond which the oldest go. What a former worker left is sent too. */
#ifndef WORKER_SPOOL_H
#define WORKER_SPOOL_H

#include "worker/line.h"
#include "worker/logs.h"

#define SPOOL_MAX_BYTES (1024ll * 1024 * 1024)

struct spool;
struct spooled;

/* Begins with what is below home/logs. home: absolute, borrowed; so is the line. */
bool spool_open(const char *home, struct line *line, struct spool **spool, struct nx_err *err);
/* After line_stop: ends the thread, and all waiting. NULL is fine, here and below. */
void spool_stop(struct spool *spool);
void spool_close(struct spool *spool);

/* An attempt begins; the texts are copied. It is there until spool_end. */
struct spooled *spool_begin(struct spool *spool, const struct logs_place *place);
/* It has ended: what it wrote is complete. */
void spool_end(struct spool *spool, struct spooled *log);
/* Keeps it for a spool_flush to come, also after spool_end. */
void spool_hold(struct spool *spool, struct spooled *log);
/* Waits until what is in its log now has arrived, at most so long; true when it has. Whoever
 * follows a log believes that it is complete when its attempt has ended. Ends the hold. */
bool spool_flush(struct spool *spool, struct spooled *log, int64_t most_ms,
                 const atomic_bool *give_up);
bool spool_is_empty(struct spool *spool);
/* When the oldest attempt that has not ended began (wall); INT64_MAX: there is none. */
int64_t spool_oldest_ms(struct spool *spool);

#endif
