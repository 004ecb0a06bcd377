/* Cron expressions: when a schedule fires. Pure, and without heap.
 *
 *     minute 0-59   hour 0-23   day of month 1-31   month 1-12, JAN-DEC   day of week 0-7, SUN-SAT
 *
 * A field is a list of: `*`, a value, a range `1-5`; each may have a step after a slash: `1-5/2`,
 * and `5/15`, which is `5-59/15`; in day of month also `L`, the last day; in day of week also
 * `MON#2`, the second Monday. 0 and 7 are Sunday. `H` is one value that the seed picks, `H(0-29)`
 * one of those, `H/15` each 15th from where the seed says (in day of month `H` is 1 to 28, so that
 * every month has it). Presets: @hourly @daily @midnight @weekly @monthly @quarterly @yearly
 * @annually.
 *
 * A day field is unrestricted only if it is exactly `*`. When both are restricted, a day that
 * either names fires.
 *
 * Clock changes: when the hour field has a `*`, it fires at each real instant whose local time
 * matches: in a fold both times, in a gap never. Any other fires once a local day for each of its
 * times: in a gap at the first instant after it, in a fold at the first of the two; times that fall
 * on one instant fire once. Fire times strictly increase. */
#ifndef LIB_TEXT_CRON_H
#define LIB_TEXT_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/zone.h"
#include "nexus/error.h"

#define CRON_TEXT_MAX 256
#define CRON_WARNINGS_MAX 8
#define CRON_WARNING_TEXT_MAX 384
#define CRON_DESCRIBE_MAX 640

struct cron {
    uint64_t minutes;     /* bit n: minute n */
    uint32_t hours;       /* bit n: hour n */
    uint32_t days;        /* bit n: day n of the month; bit 0: its last one */
    uint16_t months;      /* bit n: month n */
    uint8_t weekdays[7];  /* from Sunday; bit n: the one after n such days of the month */
    bool any_day;         /* day of month is `*` */
    bool any_weekday;     /* day of week is `*` */
    bool every_real_hour; /* the hour field has a `*` */
};

/* What is not as it looks, with where in the text. */
struct cron_warning {
    size_t offset;
    char text[CRON_WARNING_TEXT_MAX];
};

struct cron_warnings {
    size_t n;
    struct cron_warning at[CRON_WARNINGS_MAX]; /* those beyond are left out */
};

/* Reads an expression or preset; `seed` is what `H` picks by. False: err tells what is wrong, and
 * *offset (may be NULL) where in the text; an expression that can never fire is wrong. Warnings
 * (may be NULL): a `*` with a step in a day field while both are restricted, and steps over a whole
 * field (of `*`, of `H`, or to its end) that do not divide it, as minutes by 7; each says when it
 * fires. */
bool cron_parse(const char *text, uint64_t seed, struct cron *cron, struct cron_warnings *warnings,
                size_t *offset, struct nx_err *err);

/* The first fire time after after_ms; false when there is none before the year 10000. Days without
 * one cost nanoseconds; no expression is silent for more than 40 years, unless clock changes take
 * its only hour away each time. */
bool cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms,
               int64_t *fire_ms);
/* The last fire time at or before at_ms; false when there is none since the year 1. */
bool cron_prev(const struct cron *cron, const struct zone *zone, int64_t at_ms, int64_t *fire_ms);

/* "at 02:30 on Monday", "at minute 0, 20 and 40 of every hour every day". Returns `to` (at least
 * CRON_DESCRIBE_MAX bytes; what does not fit is cut). */
char *cron_describe(const struct cron *cron, char *to);

#endif
