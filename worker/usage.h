/* What attempts use of processor and memory, now and then: looks at /proc for all that run longer
 * than USAGE_AFTER_MS, once a second, on a thread, since a look at thousands of processes takes a
 * while. Looks take at most a fiftieth of a processor: when they take longer they become rarer. No
 * look is made when no attempt is that old. */
#ifndef WORKER_USAGE_H
#define WORKER_USAGE_H

#include <uv.h>

#include "lib/wire/usage.h"
#include "worker/marks.h"

/* An attempt is looked at from this age on, so its first record, which needs two looks, comes when
 * it has run for a second or two. */
#define USAGE_AFTER_MS 300
#define USAGE_LOOK_SHARE 50 /* of the time from look to look one part */

/* ---- What becomes of the looks at one attempt ---- */

struct usage_seen {
    int64_t cpu_us, rss_bytes;
    uint32_t n_processes;
};

struct usage_meter {
    bool begun;
    int64_t age_ms; /* at the last record */
    int64_t cpu_us; /* by then */
    bool less;      /* of it was to be seen then */
};

/* Whether a record is due now: *record says what was used since the last one. The first look only
 * begins: its child has run others before. Processor time that is not to be seen for one look (of a
 * process that has ended and was not waited for yet) does not count twice; when it stays away (its
 * parent does not wait for its children) what comes later counts again. */
bool usage_meter_take(struct usage_meter *meter, int64_t wall_ms, int64_t age_ms,
                      const struct usage_seen *seen, struct usage_record *record);

/* ---- Looks ---- */

struct usage_looks;

/* On the loop: what was seen of the attempt with that key. */
typedef void usage_told(void *arg, uint32_t slot, uint64_t ticket, const struct usage_seen *seen);

/* prefix: what the marks of this worker's attempts begin with; borrowed. */
struct usage_looks *usage_looks_new(uv_loop_t *loop, const char *prefix, usage_told *tell,
                                    void *arg);
/* Nothing is told any more. The loop has to run once more if a look is under way. */
void usage_looks_free(struct usage_looks *looks);
/* Whether it is time for a look; then usage_looks_add each attempt, then usage_looks_start. */
bool usage_looks_due(const struct usage_looks *looks, int64_t now_ms);
/* pid: of its child. The mark is copied. */
void usage_looks_add(struct usage_looks *looks, uint32_t slot, uint64_t ticket, pid_t pid,
                     const char *mark);
void usage_looks_start(struct usage_looks *looks, int64_t now_ms);

#endif
