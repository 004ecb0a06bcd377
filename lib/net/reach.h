/* Tries a connection (lib/text/conn.h): what answers there, and whether it takes the password.
 *
 * http, https: GET of the address, redirects not followed; 401 and 403 are NX_E_DENIED, 5xx fails.
 * smtp, smtps: hello, TLS as the URI says, login, NOOP. s3: HEAD of the bucket, signed. postgres:
 * that a PostgreSQL server answers; its password is not tried. file: the folder is readable. */
#ifndef LIB_NET_REACH_H
#define LIB_NET_REACH_H

#include <stdint.h>

#include "lib/text/conn.h"
#include "nexus/error.h"

struct reach_bounds {
    int64_t timeout_ms;           /* the whole of it */
    bool (*cancelled)(void *arg); /* NULL: no */
    void *arg;
};

/* *said: what was seen, in the arena. No text holds what is secret of the URI. */
bool reach_try(const struct conn *conn, const struct reach_bounds *bounds, struct arena *arena,
               const char **said, struct nx_err *err);

/* Of http(s): the header that logs in, "Authorization: ...", or NULL when the URI has no login. A
 * password without a user is a bearer token. */
const char *reach_authorization(const struct conn *conn, struct arena *arena);

#endif
