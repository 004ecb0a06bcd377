/* Short texts with places in braces: "{dag} failed: {error}". A brace itself is doubled. Pure. */
#ifndef LIB_TEXT_FILL_H
#define LIB_TEXT_FILL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

/* Whether all its places are among the names; *offset (of the mistake) may be NULL. */
bool fill_check(const char *text, const char *const *names, size_t n_names, size_t *offset,
                struct nx_err *err);
/* Appends the text with values in the places; of a checked text. A value that is NULL is empty. */
void fill_text(const char *text, const char *const *names, const char *const *values,
               size_t n_names, struct buf *to);

#endif
