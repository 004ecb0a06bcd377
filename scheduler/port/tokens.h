/* The tokens of workers elsewhere, as the link checks them: on any thread, for every request. What
 * the scheduler knows of a token is its hash.
 *
 *   token = nxw_<id>_<secret>      id: 8, secret: 40 characters of [a-z0-9] */
#ifndef SCHEDULER_PORT_TOKENS_H
#define SCHEDULER_PORT_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/bulk.h"
#include "nexus/error.h"

#define TOKEN_ID_MAX 16
#define TOKEN_TEXT_MAX 64

struct tokens;

struct tokens *tokens_new(void);
void tokens_free(struct tokens *tokens); /* NULL is fine */

/* A new token: its text, and what is kept of it. */
void tokens_make(char text[TOKEN_TEXT_MAX], char id[TOKEN_ID_MAX], char hash[BULK_HASH + 1]);

/* expires_ms: wall; 0: never */
void tokens_put(struct tokens *tokens, const char *id, const char *hash, int64_t expires_ms);
void tokens_drop(struct tokens *tokens, const char *id);
/* Whether a request with that token is welcome now; else *err says why, for the worker. id: the
 * token's, also then ("" when it is none). */
bool tokens_check(struct tokens *tokens, struct wire_bytes text, char id[TOKEN_ID_MAX],
                  struct nx_err *err);
/* When a request with it was welcome last, wall; 0: not since the start. */
int64_t tokens_seen_ms(struct tokens *tokens, const char *id);

#endif
