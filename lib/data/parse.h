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
/* Whether DuckDB may read it as a double: digits with a point or exponent, nan, inf. */
bool parse_is_double(const char *text, size_t n);

/* What a text can be, as bits. */
enum parse_kind {
    PARSE_INT = 1,
    PARSE_DOUBLE = 2,
    PARSE_BOOL = 4,
    PARSE_DATE = 8,
    PARSE_TIMESTAMP = 16
};
unsigned parse_kinds(const char *text, size_t n);

#endif
