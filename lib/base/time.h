/* Instants as text: RFC 3339 in UTC. Pure; works for years 1 to 9999. */
#ifndef LIB_BASE_TIME_H
#define LIB_BASE_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_TEXT_MAX 32

/* "2001-01-31T03:00:00.000Z". Returns `to` (at least TIME_TEXT_MAX bytes). */
char *time_format(char *to, int64_t wall_ms);
/* Reads "2001-01-31" or "2001-01-31T03:00[:00[.000]][Z|+01:00]" (no zone: UTC). */
bool time_parse(const char *s, int64_t *wall_ms);
/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back.
 * Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013). */
int64_t time_days_from_civil(int64_t year, unsigned month, unsigned day);
void time_civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day);

#endif
