/* Apart from buf.c, so that pure code that uses a buffer does not pull in stdio. */
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/must.h"

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    must(n >= 0);
    char *to = buf_reserve(buf, (size_t)n);
    vsnprintf(to, (size_t)n + 1, format, again);
    va_end(again);
    buf->len += (size_t)n;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}
