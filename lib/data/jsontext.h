/* JSON as text: its values where they stand, as they are written. PURE.
 *
 * Not a parser of the whole: it finds where values begin and end, keeps no tree, and leaves what
 * is inside of lists and objects alone until it is asked. NaN and Infinity are numbers, as many
 * programs write them. */
#ifndef LIB_DATA_JSONTEXT_H
#define LIB_DATA_JSONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

enum jsontext_kind {
    JSONTEXT_NULL,
    JSONTEXT_BOOL,
    JSONTEXT_NUMBER,
    JSONTEXT_TEXT,
    JSONTEXT_LIST,
    JSONTEXT_OBJECT
};

/* As it stands: a text without its quotes, `escaped` when it has backslashes. */
struct jsontext {
    enum jsontext_kind kind;
    const char *at;
    size_t n;
    bool escaped;
};

const char *jsontext_skip_space(const char *p, const char *end);

/* The value at *p (behind space), which moves behind it; else *why says what is wrong at *p. */
bool jsontext_next(const char **p, const char *end, struct jsontext *value, const char **why);

/* The members of an object or items of a list, one after the other: *p begins at its `at`. False
 * at its end, with *why NULL, or when it is malformed. `key` is NULL for a list. */
bool jsontext_member(const char **p, const char *end, struct jsontext *key, struct jsontext *value,
                     const char **why);

/* Appends a text with its escapes resolved; false for one that is wrong, such as half of a
 * surrogate pair. */
bool jsontext_unescape(const char *at, size_t n, struct buf *to);

#endif
