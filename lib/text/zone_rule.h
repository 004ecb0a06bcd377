/* The rule of a zone's times to come: a POSIX TZ string, "CET-1CEST,M3.5.0,M10.5.0/3". Pure.
 *
 * Source: POSIX.1-2017, 8.3 "TZ"; RFC 9636, 3.3.1 (hours of a time from -167 to 167). */
#ifndef LIB_TEXT_ZONE_RULE_H
#define LIB_TEXT_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/zone.h"

struct zone_kind {
    int32_t offset_s; /* east of UTC */
    bool is_dst;
    char abbreviation[ZONE_ABBREVIATION_MAX];
};

struct zone_day {
    enum { ZONE_DAY_JULIAN, ZONE_DAY_OF_YEAR, ZONE_DAY_OF_WEEK } form; /* Jn, n, Mm.w.d */
    unsigned month, week, day;
    int32_t time_s; /* of the local time before the change */
};

struct zone_rule {
    struct zone_kind standard, summer;
    bool changes; /* else it is always standard time */
    struct zone_day start, end;
};

bool zone_kind_eq(const struct zone_kind *a, const struct zone_kind *b);
/* False when the n bytes are no TZ string; one with summer time must say when. */
bool zone_rule_parse(struct zone_rule *rule, const char *text, size_t n);
/* What holds at that second, since when and until when (before and after it, something else holds
 * or the same begins again; INT64_MIN and INT64_MAX for always). Where summer time ends at the
 * instant at which it begins, it goes on. */
const struct zone_kind *zone_rule_at(const struct zone_rule *rule, int64_t s, int64_t *from_s,
                                     int64_t *until_s);

#endif
