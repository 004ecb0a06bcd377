/* A DAG's timetable: when runs of it are due, and of which data interval. Pure and immutable.
 *
 * A run covers a data interval, is named by its start, and fires at its finish:
 *
 *   cron, preset   from one fire time to the next
 *   every          from the anchor (`start`, else 1970-01-01T00:00Z) in equal steps of real time
 *   at             the instant alone; also @once, which is `start`, or the moment it is first seen
 *   @continuous    from the end of the last run until now: the core's alone, it has no fire times
 *   dataset        from the run before it until the newest event that starts it; likewise
 *
 * `start` and `end` bound the starts of intervals, both inclusive. `jitter` delays a fire by 0 to
 * jitter ms, by a hash of DAG and fire time; the interval and the order of fires stay. */
#ifndef SCHEDULER_GRAPH_TIMETABLE_H
#define SCHEDULER_GRAPH_TIMETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/cron.h"
#include "lib/text/zone.h"

#define TIMETABLE_KEY_MAX (CRON_TEXT_MAX + 16)
#define TIMETABLE_NEVER INT64_MIN /* no watermark yet, no bound at the start */

enum timetable_kind {
    TIMETABLE_CRON,
    TIMETABLE_EVERY,
    TIMETABLE_AT,
    TIMETABLE_ONCE,
    TIMETABLE_CONTINUOUS,
    TIMETABLE_DATASET
};

enum timetable_catchup {
    TIMETABLE_CATCHUP_FALSE, /* what comes next; and what has ended a moment ago */
    TIMETABLE_CATCHUP_TRUE,  /* all that was missed since start or the watermark */
    TIMETABLE_CATCHUP_LATEST,
    TIMETABLE_CATCHUP_WINDOW /* what was missed within catchup_ms */
};

/* When max_active_runs is reached at a fire. */
enum timetable_overlap {
    TIMETABLE_OVERLAP_QUEUE,
    TIMETABLE_OVERLAP_SKIP,
    TIMETABLE_OVERLAP_CANCEL_RUNNING
};

struct timetable_entry {
    enum timetable_kind kind;
    struct cron cron;
    int64_t every_ms; /* EVERY */
    int64_t at_ms;    /* AT */
    char **datasets;  /* DATASET: names; the entry's own, see timetable_add_dataset */
    uint32_t n_datasets;
    bool all;                    /* it takes a new event of each of them, else of one */
    char key[TIMETABLE_KEY_MAX]; /* the entry as text: the same key is the same entry */
};

struct timetable {
    struct timetable_entry *entries;
    uint32_t n;
    const struct zone *zone; /* borrowed; NULL: UTC */
    uint64_t seed;           /* of H and jitter: a hash of the DAG's id */
    int64_t start_ms;        /* TIMETABLE_NEVER: none */
    int64_t end_ms;          /* INT64_MAX: none */
    int64_t jitter_ms;
    enum timetable_catchup catchup;
    int64_t catchup_ms;
    enum timetable_overlap overlap;
    uint32_t refs;
};

struct timetable_fire {
    int64_t fire_ms; /* on the timetable: the watermark counts in these */
    int64_t due_ms;  /* fire_ms and its jitter */
    int64_t start_ms, finish_ms;
};

/* With one hold; entries are zero. */
struct timetable *timetable_new(uint32_t n_entries);
struct timetable *timetable_hold(struct timetable *timetable);
void timetable_release(struct timetable *timetable); /* NULL is fine */

/* One more name for a DATASET entry. */
void timetable_add_dataset(struct timetable_entry *entry, const char *name);
/* Whether one of its entries has data intervals that are known beforehand: it is not started by
 * events, by the end of its last run, or once whenever it is first seen. */
bool timetable_has_intervals(const struct timetable *timetable);

/* The first fire after after_ms (TIMETABLE_NEVER: of all); false: there is none. */
bool timetable_next(const struct timetable *timetable, uint32_t entry, int64_t after_ms,
                    struct timetable_fire *fire);
/* The last fire at or before at_ms. */
bool timetable_prev(const struct timetable *timetable, uint32_t entry, int64_t at_ms,
                    struct timetable_fire *fire);
/* The fire whose interval contains the instant (start <= t < finish), or begins there. */
bool timetable_containing(const struct timetable *timetable, uint32_t entry, int64_t at_ms,
                          struct timetable_fire *fire);

/* "2001-01-31" (*is_date), or a time of RFC 3339, which is local to the zone unless it says its
 * offset. Of a date: the first instant of that day there. */
bool timetable_parse_time(const struct zone *zone, const char *text, int64_t *wall_ms,
                          bool *is_date);
/* The last millisecond of the local day that begins at that instant. */
int64_t timetable_day_end(const struct zone *zone, int64_t day_ms);

#endif
