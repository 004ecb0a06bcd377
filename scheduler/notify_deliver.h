/* One notification to its target: by POST, by e-mail, by a program. */
#ifndef SCHEDULER_NOTIFY_DELIVER_H
#define SCHEDULER_NOTIFY_DELIVER_H

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/net/fetch.h"
#include "scheduler/store/notification.h"

struct delivery {
    const struct notification *row;
    const json_t *config; /* of the hook */
    json_t *body;         /* the event */
    const char *project;  /* where commands run */
    struct fetch *fetch;
    struct arena *arena;
    /* The value of a secret (secret) or the URI of a connection, appended. */
    bool (*find)(void *arg, bool secret, const char *name, struct buf *value, struct nx_err *err);
    bool (*cancelled)(void *arg);
    void *arg;
    /* What came of it. */
    bool permanent;    /* of a failure: another try cannot help */
    struct buf output; /* what a command wrote, or the server of a url answered */
};

bool deliver(struct delivery *delivery, struct nx_err *err);

/* The value of the header Nexus-Signature of that body: "t=SECONDS,v1=HEX", where HEX is the
 * HMAC-SHA256 of "SECONDS.BODY" under the secret. */
const char *deliver_signature(struct arena *arena, const char *secret, int64_t seconds,
                              const char *body, size_t n_body);

/* ---- notify_command.c ---- */

/* Runs the program with the text on its stdin; NX_E_TIMEOUT, or NX_E_IO: its status was not 0. */
bool command_run(struct delivery *delivery, const char *const *argv, const char *const *env,
                 const char *text, size_t n_text, int64_t timeout_ms, struct nx_err *err);

#endif
