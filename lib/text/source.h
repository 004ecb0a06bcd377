/* The text behind a YAML tree, and places in it. */
#ifndef LIB_TEXT_SOURCE_H
#define LIB_TEXT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"

struct yaml_text {
    const char *file;
    const char *text; /* ends with 0 */
    size_t n;
    const uint32_t *lines; /* where each begins; there is at least one */
    size_t n_lines;
    bool built; /* the tree was not read from this text: there are no places inside scalars */
};

/* Copies file name and text (less than 1 GiB) into the arena. */
struct yaml_text *source_new(struct arena *arena, const char *file, const char *text, size_t n);
/* Where a line begins (from 1); n when there is none. Lines end as libyaml counts them: LF, CR, CR
 * LF, U+0085, U+2028, U+2029. */
size_t source_line(const struct yaml_text *source, int line);
/* Line and column (in characters) of a byte. */
void source_place(const struct yaml_text *source, size_t offset, int *line, int *column);

#endif
