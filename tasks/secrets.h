/* Which values of an attempt are secret, and texts without them. */
#ifndef TASKS_SECRETS_H
#define TASKS_SECRETS_H

#include "lib/base/buf.h"
#include "tasks/runtime.h"

/* Finds the attempt's secret values and sends them as masks: before its first byte of output. After
 * the arguments were checked, if it has such: some may be secret. */
void secrets_send(struct nx_ctx *ctx);

/* Appends the text with "***" in place of each secret. Of one that the text's end cuts (behind it
 * may stand "...") no more than a few bytes are left. From any thread. */
void secrets_hide(const struct nx_ctx *ctx, const char *text, struct buf *to);
/* The same in the attempt's arena, or the text itself. */
const char *secrets_hidden(struct nx_ctx *ctx, const char *text);

/* A copy of the value with the secrets in its texts hidden. gently: one of a few bytes only where
 * it is a whole text, and addresses of artifacts stay, so that what follows can work with it. */
json_t *secrets_copy(const struct nx_ctx *ctx, const json_t *value, bool gently);

#endif
