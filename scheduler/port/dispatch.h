/* Dispatch: the workers' side of the scheduler. Requests become messages in the inbox; what the
 * core wants sent becomes replies. Workers of this machine come by a socket in the home; workers
 * elsewhere by TLS, each request with a token. */
#ifndef SCHEDULER_PORT_DISPATCH_H
#define SCHEDULER_PORT_DISPATCH_H

#include "lib/net/link.h"
#include "scheduler/port/inbox.h"
#include "scheduler/port/reply.h"
#include "scheduler/port/tokens.h"

struct dispatch;

/* Texts are borrowed until dispatch_open returns. */
struct dispatch_config {
    const char *home; /* absolute: it listens on run/dispatch.sock */
    struct inbox *inbox;
    const char *elsewhere_url; /* tls+tcp://host:port; NULL: no workers elsewhere */
    const struct link_tls *tls;
    struct tokens *tokens; /* who may come from elsewhere */
};

bool dispatch_open(const struct dispatch_config *config, struct dispatch **dispatch,
                   struct nx_err *err);
void dispatch_close(struct dispatch *dispatch); /* NULL is fine */
/* Port on which workers elsewhere are listened for; 0: none. */
unsigned dispatch_port(const struct dispatch *dispatch);

/* The core's name for the link's context of a message. */
uint64_t dispatch_context(const struct message *message);
/* Answers what the update wants answered; after the commit. */
void dispatch_send(struct dispatch *dispatch, const struct core *core, uint64_t epoch,
                   const struct core_update *update, const struct reply_source *source);

#endif
