#include "scheduler/port/api_json.h"

#include <string.h>

#include "lib/base/time.h"
#include "lib/text/json.h"

static void put_comma(struct buf *buf)
{
    char last = buf->len ? buf->data[buf->len - 1] : '{';
    if (last != '{' && last != '[')
        buf_char(buf, ',');
}

static void put_key(struct buf *buf, const char *key)
{
    put_comma(buf);
    if (key) {
        buf_char(buf, '"');
        buf_str(buf, key);
        buf_str(buf, "\":");
    }
}

void put_open(struct buf *buf, const char *key, char bracket)
{
    put_key(buf, key);
    buf_char(buf, bracket);
}

void put_close(struct buf *buf, char bracket)
{
    buf_char(buf, bracket);
}

void put_textn(struct buf *buf, const char *key, const char *text, size_t n)
{
    put_key(buf, key);
    js_add_string(buf, text, n);
}

void put_text(struct buf *buf, const char *key, const char *text)
{
    if (text)
        put_textn(buf, key, text, strlen(text));
    else
        put_null(buf, key);
}

void put_int(struct buf *buf, const char *key, int64_t v)
{
    put_key(buf, key);
    buf_printf(buf, "%lld", (long long)v);
}

void put_id(struct buf *buf, const char *key, uint64_t v)
{
    put_key(buf, key);
    buf_printf(buf, "\"%llu\"", (unsigned long long)v);
}

void put_bool(struct buf *buf, const char *key, bool v)
{
    put_key(buf, key);
    buf_str(buf, v ? "true" : "false");
}

void put_null(struct buf *buf, const char *key)
{
    put_key(buf, key);
    buf_str(buf, "null");
}

void put_time(struct buf *buf, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_MAX];
    put_text(buf, key, wall_ms ? time_format(text, wall_ms) : NULL);
}

void put_number(struct buf *buf, const char *key, double v)
{
    put_key(buf, key);
    buf_printf(buf, "%.10g", v);
}

void put_raw(struct buf *buf, const char *key, const char *json)
{
    put_key(buf, key);
    buf_str(buf, json ? json : "null");
}

void put_members(struct buf *buf, const char *members, size_t n)
{
    put_comma(buf);
    buf_add(buf, members, n);
}

void put_page_end(struct buf *buf, bool more, uint64_t cursor)
{
    if (more)
        put_id(buf, "next", cursor);
    else
        put_null(buf, "next");
    put_close(buf, '}');
}
