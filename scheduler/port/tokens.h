/* The tokens of workers elsewhere and of those who use the API, as link and API check them: on any
 * thread, for every request. What the scheduler knows of a token is its hash.
 *
 *   token = nxw_<id>_<secret>      a worker's; id: 8, secret: 40 characters of [a-z0-9]
 *           nxt_<id>_<secret>      of the API */
#ifndef SCHEDULER_PORT_TOKENS_H
#define SCHEDULER_PORT_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/bulk.h"
#include "nexus/error.h"
#include "nexus/limits.h"
#include "scheduler/port/role.h"

#define TOKEN_ID_MAX 16
#define TOKEN_TEXT_MAX 64

struct tokens;

struct tokens *tokens_new(void);
void tokens_free(struct tokens *tokens); /* NULL is fine */

/* A new token: its text, and what is kept of it. */
void tokens_make(enum role role, char text[TOKEN_TEXT_MAX], char id[TOKEN_ID_MAX],
                 char hash[BULK_HASH + 1]);

struct token_owner {
    char id[TOKEN_ID_MAX], name[NX_NAME_MAX + 1]; /* name: "" none */
    enum role role;
    int64_t expires_ms; /* wall; 0: never */
};

void tokens_put(struct tokens *tokens, const struct token_owner *owner, const char *hash);
void tokens_drop(struct tokens *tokens, const char *id);
/* Who comes with that token of the API; NX_E_UNAUTHENTICATED: it is none, revoked or expired. */
bool tokens_owner(struct tokens *tokens, const char *text, struct token_owner *owner,
                  struct nx_err *err);
/* The same for one who has shown it before: it may have been revoked since. */
bool tokens_find(struct tokens *tokens, const char *id, struct token_owner *owner,
                 struct nx_err *err);
/* Whether a worker's request with that token is welcome now; else *err says why, for the worker.
 * id: the token's, also then ("" when it is none). */
bool tokens_check(struct tokens *tokens, struct wire_bytes text, char id[TOKEN_ID_MAX],
                  struct nx_err *err);
/* When a request with it was welcome last, wall; 0: not since the start. */
int64_t tokens_seen_ms(struct tokens *tokens, const char *id);

#endif
