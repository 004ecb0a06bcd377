/* Time zones: what the clocks of a place show at an instant, and when they show a time. Pure: bytes
 * of a tz file in (lib/text/zone_file.h reads them).
 *
 * Instants are wall milliseconds since 1970-01-01T00:00Z as in lib/base/time.h. A *local time* is
 * what a zone's clocks show, as milliseconds since they showed 1970-01-01T00:00: the instant plus
 * the offset. NULL is UTC wherever a zone is asked for. Nothing here fails after the parse;
 * instants beyond ZONE_MS_MAX either way are taken as that.
 *
 * Source: RFC 9636, "The Time Zone Information Format (TZif)" (2024), versions 1 to 4; times after
 * the last transition follow the POSIX TZ string of the footer. */
#ifndef LIB_TEXT_ZONE_H
#define LIB_TEXT_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus/error.h"

#define ZONE_MS_MAX (INT64_C(1) << 62)
#define ZONE_OFFSET_MAX_S 93599 /* 25:59:59, east or west */
#define ZONE_ABBREVIATION_MAX 16
/* Bounds of a file. */
#define ZONE_BYTES_MAX 65536u
#define ZONE_CHANGES_MAX 4096u
#define ZONE_TYPES_MAX 256u

struct zone; /* immutable: threads may share one */

/* Refused: what is not TZif, breaks its rules, is beyond the bounds above, or counts leap seconds.
 * *zone is freed with zone_free. */
bool zone_parse(const void *bytes, size_t n, struct zone **zone, struct nx_err *err);
void zone_free(struct zone *zone);

/* A stretch of time in which the zone's clocks run on: from_ms <= t < until_ms, unbounded where it
 * is -ZONE_MS_MAX or ZONE_MS_MAX. Two neighbours may be alike but for their place. */
struct zone_span {
    int64_t from_ms, until_ms;
    int32_t offset_s; /* east of UTC */
    bool is_dst;
    const char *abbreviation; /* "CET"; lives as long as the zone */
};

/* The stretch that the instant is in. */
void zone_at(const struct zone *zone, int64_t wall_ms, struct zone_span *span);
/* The first instant after after_ms at which offset, is_dst or abbreviation change; false when there
 * is none before the year 10000. */
bool zone_next_change(const struct zone *zone, int64_t after_ms, int64_t *at_ms);

struct zone_civil {
    int64_t year; /* of the proleptic Gregorian calendar */
    unsigned month, day;
    unsigned hour, minute, second, millisecond;
    unsigned weekday; /* 0 is Sunday; zone_local_of does not read it */
};

/* The fields of a local time, and back. */
void zone_civil_of(int64_t local_ms, struct zone_civil *civil);
int64_t zone_local_of(const struct zone_civil *civil);
/* What the clocks show at an instant. */
int64_t zone_local(const struct zone *zone, int64_t wall_ms);
void zone_civil_at(const struct zone *zone, int64_t wall_ms, struct zone_civil *civil);

/* The instants at which the clocks show a local time, the earlier first. 1 mostly; 2 in a fold
 * (clocks were set back over it); 0 in a gap (they were set forward over it): then at_ms[0] is the
 * first instant after the gap, at which they were set. Should they show it more than twice, which
 * no real zone does, the first two. */
int zone_instants(const struct zone *zone, int64_t local_ms, int64_t at_ms[2]);
/* The first instant at which the clocks show that local time or a later one: the first of a fold,
 * the end of a gap. A later local time never has an earlier instant. */
int64_t zone_first(const struct zone *zone, int64_t local_ms);
/* The latest local time that they have shown up to and at an instant, which is more than zone_local
 * after they were set back. It is >= local exactly when zone_first(local) <= wall_ms. */
int64_t zone_latest(const struct zone *zone, int64_t wall_ms);

#endif
