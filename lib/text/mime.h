/* E-mails as text (RFC 5322, 2045, 2047): one plain-text part in UTF-8. Pure. */
#ifndef LIB_TEXT_MIME_H
#define LIB_TEXT_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

/* An address that may stand in a header and in a command of SMTP: name@domain, printable ASCII,
 * none of what would begin another header, address or command. */
bool mime_is_address(const char *text);

struct mime_mail {
    const char *from;       /* an address */
    const char *const *to;  /* addresses, ..., NULL */
    const char *subject;    /* UTF-8; line breaks and control characters become blanks */
    const char *body;       /* UTF-8, lines ended by \n */
    const char *message_id; /* without < >; letters, digits, . - @ */
    int64_t wall_ms;        /* its date */
    /* Further headers, "Name: value" of printable ASCII, ..., NULL; may be NULL. */
    const char *const *headers;
};

/* Appends the whole message with CR LF at the ends of lines. */
void mime_write(const struct mime_mail *mail, struct buf *to);

void mime_base64(const void *p, size_t n, struct buf *to);

#endif
