/* JSON text, written straight into a buffer: commas come by themselves. A key of NULL is an element
 * of a list. */
#ifndef SCHEDULER_PORT_API_JSON_H
#define SCHEDULER_PORT_API_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

void put_open(struct buf *buf, const char *key, char bracket);     /* '{' or '[' */
void put_close(struct buf *buf, char bracket);                     /* '}' or ']' */
void put_text(struct buf *buf, const char *key, const char *text); /* NULL: null */
void put_textn(struct buf *buf, const char *key, const char *text, size_t n);
void put_int(struct buf *buf, const char *key, int64_t v);
void put_id(struct buf *buf, const char *key, uint64_t v); /* as a string */
void put_bool(struct buf *buf, const char *key, bool v);
void put_null(struct buf *buf, const char *key);
void put_time(struct buf *buf, const char *key, int64_t wall_ms); /* 0: null */
void put_number(struct buf *buf, const char *key, double v);
/* What is JSON already; NULL: null. */
void put_raw(struct buf *buf, const char *key, const char *json);
/* The end of a page behind its items: `next`, if there is more, and the brace. */
void put_page_end(struct buf *buf, bool more, uint64_t cursor);
/* Members of an object without its braces; not empty. */
void put_members(struct buf *buf, const char *members, size_t n);

#endif
