/* Text helpers: ids, nearest names, durations, sizes, numbers. All pure. */
#ifndef LIB_BASE_STR_H
#define LIB_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies at most size-1 bytes and ends with 0; returns whether all of it fitted. */
bool str_copy(char *to, size_t size, const char *from);
bool str_eq(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* [a-z][a-z0-9_-]{0,63}, or without '-' when dashes is false (tasks, params). */
bool str_is_id(const char *s, bool dashes);

/* The candidate nearest to `name` (edit distance with transpositions, at most a third of the
 * longer one's length, at least 1), or NULL. Ties: the first. */
const char *str_nearest(const char *name, const char *const *candidates, size_t n);

/* "250ms", "10s", "5m", "2h", "1d", "1h30m", or a bare number of seconds ("0.5") -> milliseconds.
 * False (outputs untouched) when it is none of these, negative, or above 100 years. */
bool str_parse_duration(const char *s, int64_t *ms);
/* The shortest exact form of a duration: "1h30m", "250ms", "0s". Returns `to`. */
char *str_format_duration(char *to, size_t size, int64_t ms);

/* "512", "64K", "64KB", "64KiB", "1.5G", ... (powers of 1024 in every spelling) -> bytes. */
bool str_parse_size(const char *s, int64_t *bytes);

/* The whole text must be the number. */
bool str_parse_int(const char *s, int64_t *v);
bool str_parse_double(const char *s, double *v);

/* True for well-formed UTF-8 (no surrogates, no overlong forms); *bad is the offset of the first
 * wrong byte otherwise (bad may be NULL). */
bool str_is_utf8(const char *s, size_t n, size_t *bad);

/* Shell-style pattern: * ? [abc]; `*` does not match '/' when path is true. */
bool str_glob(const char *pattern, const char *s, bool path);

#endif
