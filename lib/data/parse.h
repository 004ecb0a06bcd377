/* Texts as values, strictly: all of the text must be the value, or it is none. PURE.
 *
 * Space around numbers is allowed. Integers have no leading zeros (00501 is a code, not a number).
 * Times are ISO 8601: YYYY-MM-DD, then [T or space]HH:MM[:SS[.fraction]], then [Z or +HH[:]MM or
 * +HH]; without an offset they are UTC. */
#ifndef LIB_DATA_PARSE_H
#define LIB_DATA_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool parse_int(const char *text, size_t n, int64_t *v);
bool parse_bool(const char *text, size_t n, bool *v); /* true, false in any case */
bool parse_date(const char *text, size_t n, int64_t *days);
bool parse_timestamp(const char *text, size_t n, int64_t *micros);
/* A date, or a time at its midnight that says no offset. */
bool parse_day(const char *text, size_t n, int64_t *days);
/* true, t, yes, y, 1 and their opposites, in any case. */
bool parse_yes(const char *text, size_t n, bool *v);
/* Whether it looks like a double: digits with a point or exponent, nan, inf. */
bool parse_is_double(const char *text, size_t n);
/* Whether it is a double, too: not 9007199254740993, which would be rounded, and not 1e400. */
#define PARSE_NUMBER_MAX 512 /* longer texts are none */
bool parse_fits_double(const char *text, size_t n);
/* An integer however it is written: 1, 1.0, 1e3. */
bool parse_whole(const char *text, size_t n, int64_t *v);

/* What a text can be, as bits. */
enum parse_kind {
    PARSE_INT = 1,
    PARSE_DOUBLE = 2,
    PARSE_BOOL = 4,
    PARSE_DATE = 8,
    PARSE_TIMESTAMP = 16,
    PARSE_DOUBLES = 32 /* a list of numbers in JSON */
};
unsigned parse_kinds(const char *text, size_t n);

#endif
