#include "lib/text/source.h"

#include <string.h>

#include "lib/base/vec.h"

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

struct yaml_text *source_new(struct arena *arena, const char *file, const char *text, size_t n)
{
    must(n < UINT32_MAX / 4);
    struct yaml_text *source = arena_alloc(arena, sizeof *source);
    *source = (struct yaml_text){
        .file = arena_strdup(arena, file), .text = arena_strndup(arena, text, n), .n = n};
    VEC(uint32_t) lines = {0};
    vec_push(&lines, 0);
    for (size_t i = 0; i < n;) {
        size_t end = line_break(source, i);
        i += end ? end : 1;
        if (end)
            vec_push(&lines, (uint32_t)i);
    }
    source->lines = arena_dup(arena, lines.at, lines.n * sizeof *lines.at);
    source->n_lines = lines.n;
    vec_fini(&lines);
    return source;
}

size_t source_line(const struct yaml_text *source, int line)
{
    return (size_t)line <= source->n_lines ? source->lines[line - 1] : source->n;
}

void source_place(const struct yaml_text *source, size_t offset, int *line, int *column)
{
    size_t low = 0, high = source->n_lines; /* lines[low] <= offset < lines[high] */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (source->lines[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    *line = (int)low + 1;
    *column = 1;
    for (size_t i = source->lines[low]; i < offset && i < source->n; i++)
        *column += ((unsigned char)source->text[i] & 0xc0) != 0x80;
}
