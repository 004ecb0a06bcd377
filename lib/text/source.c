#include "lib/text/source.h"

#include <string.h>

/* Length of the line break at i, or 0. */
static size_t line_break(const struct yaml_text *source, size_t i)
{
    const char *s = source->text + i;
    size_t left = source->n - i;
    if (left == 0)
        return 0;
    if (*s == '\r')
        return left > 1 && s[1] == '\n' ? 2 : 1;
    if (*s == '\n')
        return 1;
    if (left > 1 && memcmp(s, "\xc2\x85", 2) == 0)
        return 2;
    if (left > 2 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0))
        return 3;
    return 0;
}

size_t source_line(const struct yaml_text *source, int line)
{
    size_t i = 0;
    while (line > 1 && i < source->n) {
        size_t n = line_break(source, i);
        i += n ? n : 1;
        if (n)
            line--;
    }
    return i;
}

void source_place(const struct yaml_text *source, size_t offset, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < source->n;) {
        size_t n = line_break(source, i);
        if (n) {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)source->text[i] & 0xc0) != 0x80) {
            (*column)++;
        }
        i += n ? n : 1;
    }
}
