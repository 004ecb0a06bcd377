/* Dispatch: the workers' side of the scheduler. Requests become messages in the inbox; what the
 * core wants sent becomes replies. */
#ifndef SCHEDULER_PORT_DISPATCH_H
#define SCHEDULER_PORT_DISPATCH_H

#include "lib/net/link.h"
#include "scheduler/port/inbox.h"
#include "scheduler/port/reply.h"

struct dispatch;

/* Listens on the URL, e.g. ipc:///home/run/dispatch.sock. */
bool dispatch_open(const char *url, struct inbox *inbox, struct dispatch **dispatch,
                   struct nx_err *err);
void dispatch_close(struct dispatch *dispatch); /* NULL is fine */

/* The core's name for the link's context of a message. */
uint64_t dispatch_context(const struct message *message);
/* Answers what the update wants answered; after the commit. */
void dispatch_send(struct dispatch *dispatch, const struct core *core, uint64_t epoch,
                   const struct core_update *update, const struct reply_source *source);

#endif
