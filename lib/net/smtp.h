/* E-mail by SMTP, through libcurl. */
#ifndef LIB_NET_SMTP_H
#define LIB_NET_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/conn.h"
#include "nexus/error.h"

struct smtp_mail {
    const char *from;      /* an address alone */
    const char *const *to; /* ..., NULL */
    const char *text;      /* the whole message, its lines ended by CR LF: lib/text/mime.h */
    size_t n_text;
};

struct smtp_bounds {
    int64_t timeout_ms;
    bool (*cancelled)(void *arg); /* NULL: no */
    void *arg;
};

/* Sends to the server of a smtp or smtps connection. mail NULL: hello, login and NOOP alone. *reply
 * (may be NULL) is the server's last status, 0: none came. NX_E_DENIED: the login was refused or
 * TLS is not as it must be; NX_E_INVALID: the server refuses the mail for good (5xx). */
bool smtp_send(const struct conn *conn, const struct smtp_mail *mail,
               const struct smtp_bounds *bounds, int *reply, struct nx_err *err);

#endif
