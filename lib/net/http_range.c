/* The HTTP server: a part of a file (RFC 9110, section 14). */
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/http.h"

/* Digits up to `end`, all of it; -1: none, or too many. */
static int64_t number(const char *from, const char *end)
{
    char digits[20];
    int64_t n;
    size_t length = (size_t)(end - from);
    if (length == 0 || length >= sizeof digits || strspn(from, "0123456789") < length)
        return -1;
    memcpy(digits, from, length);
    digits[length] = 0;
    return str_parse_int(digits, &n) ? n : -1;
}

enum http_range http_range_read(const char *text, uint64_t size, uint64_t *first, uint64_t *n)
{
    *first = 0;
    *n = size;
    if (!text || !str_starts(text, "bytes=") || strchr(text, ','))
        return HTTP_RANGE_ALL;
    text += strlen("bytes=");
    const char *dash = strchr(text, '-'), *end = text + strlen(text);
    if (!dash)
        return HTTP_RANGE_ALL;
    int64_t from = number(text, dash), to = number(dash + 1, end);
    bool open_end = dash + 1 == end;
    if (dash == text) { /* so many at the end */
        if (to <= 0 || size == 0)
            return to < 0 ? HTTP_RANGE_ALL : HTTP_RANGE_NONE;
        *n = (uint64_t)to < size ? (uint64_t)to : size;
        *first = size - *n;
        return HTTP_RANGE_PART;
    }
    if (from < 0 || (to < from && !open_end))
        return HTTP_RANGE_ALL;
    if ((uint64_t)from >= size)
        return HTTP_RANGE_NONE;
    *first = (uint64_t)from;
    *n = open_end || (uint64_t)to >= size ? size - *first : (uint64_t)(to - from) + 1;
    return HTTP_RANGE_PART;
}

enum http_range http_range_of(const struct http_request *request, const char *tag, uint64_t size,
                              uint64_t *first, uint64_t *n)
{
    const char *as_it_was = http_header(request, "If-Range");
    bool whole = as_it_was && !str_eq(as_it_was, tag);
    return http_range_read(whole ? NULL : http_header(request, "Range"), size, first, n);
}
