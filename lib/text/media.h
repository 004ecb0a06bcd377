/* Media types of files, from their names and first bytes, for browsers. Pure.
 *
 * What could run when it is loaded from our own address is never named as what it is: scripts and
 * style sheets are plain text. */
#ifndef LIB_TEXT_MEDIA_H
#define LIB_TEXT_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

#define MEDIA_HEAD 512 /* so many first bytes are enough */

/* The type that the name's ending says; NULL: it says nothing. */
const char *media_of_name(const char *name);
/* The type that the content says (n bytes; all, or the first MEDIA_HEAD); text/plain for UTF-8
 * text, else application/octet-stream. */
const char *media_of_content(const void *head, size_t n);
/* Whether the type (without parameters, or with) is that one, such as "text/csv". */
bool media_is(const char *type, const char *wanted);

#endif
