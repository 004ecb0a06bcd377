/* Who asks the API, and what he may.
 *
 * Without tokens (auth off) everybody may everything, which is why such a server listens for its
 * own machine alone. With them a request says who it is by `Authorization: Bearer TOKEN`, or by the
 * cookie of a session that began with one. A session is not kept: its cookie has the token's id, an
 * end, and an HMAC-SHA256 of the two under a key of the home; it ends early when its token does. */
#ifndef SCHEDULER_PORT_API_AUTH_H
#define SCHEDULER_PORT_API_AUTH_H

#include "scheduler/port/api_call.h"

#define SESSION_S 86400
#define SESSION_KEY_FILE "session.key"

/* What the API knows for it; with auth off nothing. NX_E_IO, NX_E_DENIED: the key file. */
bool auth_open(struct api *api, const struct api_config *config, struct nx_err *err);

/* Fills call->who and call->role, and fails (401, 403) when the route takes another role. */
bool auth_check(struct call *call, struct nx_err *err);

/* The stream that answers ends with the token, or with the session. */
void auth_guard(struct call *call, struct http_reply *reply);

bool handle_session(struct call *call, struct nx_err *err);
bool handle_sign_in(struct call *call, struct nx_err *err);
bool handle_sign_out(struct call *call, struct nx_err *err);

#endif
