/* JSON over jansson: reading with a place in the error, compact and canonical text, members with a
 * fallback, instants. (Prefix js_, since json_ is jansson's.) */
#ifndef LIB_TEXT_JSON_H
#define LIB_TEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

/* Any JSON value; doubled keys and zero characters are errors. NULL: *err is "what:line:column:
 * ...". A new reference. */
json_t *js_read(const char *text, size_t n, const char *what, struct nx_err *err);

/* Compact text, keys in the order of insertion, numbers with as few digits as read back exactly
 * (at most 17). */
void js_add(struct buf *to, const json_t *value);
/* The same, to be freed with mem_free. */
char *js_text(const json_t *value);
/* The same with sorted keys: equal values give equal bytes. */
void js_add_canonical(struct buf *to, const json_t *value);

/* `s` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void js_add_string(struct buf *to, const char *s, size_t n);
/* A string, or null when s is NULL; wrong UTF-8 is replaced, never refused. */
json_t *js_string(const char *s);
json_t *js_stringn(const char *s, size_t n);
/* RFC 3339 in UTC with milliseconds; null for JS_NO_TIME. */
#define JS_NO_TIME INT64_MIN
json_t *js_time(int64_t wall_ms);
/* Seconds, an integer when they are whole; null when negative. */
json_t *js_seconds(int64_t ms);

/* Members of an object; the fallback when absent or of another type (object may be NULL). */
const char *js_get_text(const json_t *object, const char *key, const char *fallback);
int64_t js_get_int(const json_t *object, const char *key, int64_t fallback);
double js_get_float(const json_t *object, const char *key, double fallback);
bool js_get_bool(const json_t *object, const char *key, bool fallback);

/* What it is, for messages: "an integer", "a list", "null", ... */
const char *js_type_name(const json_t *value);

/* A duration ("10s" or seconds) as milliseconds, a size ("64M" or bytes) as bytes, an instant (RFC
 * 3339 or YYYY-MM-DD) as milliseconds. */
bool js_duration_ms(const json_t *value, int64_t *ms);
bool js_size_bytes(const json_t *value, int64_t *bytes);
bool js_wall_ms(const json_t *value, int64_t *wall_ms);

#endif
