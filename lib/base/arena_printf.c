/* Apart from arena.c, so that pure code that uses an arena does not pull in stdio. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/must.h"

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(n >= 0);
    char *s = arena_alloc(arena, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}
