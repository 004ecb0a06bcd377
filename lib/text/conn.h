/* Connections: a typed URI with its secret, such as postgres://user:password@host/db. What each
 * kind's URI must have and may have, and the form of it that may be shown. Pure. */
#ifndef LIB_TEXT_CONN_H
#define LIB_TEXT_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "nexus/error.h"

#define CONN_URI_MAX 1024 /* bytes of a URI */
#define CONN_KINDS "postgres, http, https, s3, smtp, smtps, file"

enum conn_kind { CONN_POSTGRES, CONN_HTTP, CONN_HTTPS, CONN_S3, CONN_SMTP, CONN_SMTPS, CONN_FILE };

/* A URI that was read. Texts are decoded but for the query, and live in the arena; NULL: not said.
 */
struct conn {
    enum conn_kind kind;
    const char *user, *password, *host;
    const char *path; /* with its first slash */
    const char *query;
    unsigned port;       /* that of the kind unless said */
    bool port_said, ip6; /* ip6: the host stands in brackets */
};

/* NX_E_INVALID says what is wrong and what is expected; never with a part of the URI in it. */
bool conn_read(const char *uri, struct arena *arena, struct conn *conn, struct nx_err *err);

const char *conn_kind_name(enum conn_kind kind);
/* Whether the URI has something that must not be seen: a password, or a path or query of http. */
bool conn_is_secret(const struct conn *conn);
/* What may be shown: the password as ***; of http and https also path and query, which often hold
 * a token. In the arena. */
const char *conn_shown(const struct conn *conn, struct arena *arena);
/* A member of the query, decoded, or NULL. */
const char *conn_option(const struct conn *conn, const char *name, struct arena *arena);
/* scheme://host:port without user, password, path and query. */
const char *conn_origin(const struct conn *conn, struct arena *arena);
/* Of http(s): the address of something below it: "v1/items" or "/v1/items". */
const char *conn_below(const struct conn *conn, const char *rest, struct arena *arena);
/* Calls for each text that must not appear in a log. */
void conn_secrets(const char *uri, const struct conn *conn,
                  void (*each)(void *arg, const char *text), void *arg);

#endif
