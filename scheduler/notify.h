/* Notifications on the loop: what happened in a turn becomes rows of the outbox, in the turn's own
 * transaction; what came of their sending is written here too.
 *
 * At most NX_TARGET_PENDING_MAX wait for one target, and NX_NOTIFY_PENDING_MAX in all. What is
 * beyond that is counted in a summary, a row of its own that says how many were not sent. */
#ifndef SCHEDULER_NOTIFY_H
#define SCHEDULER_NOTIFY_H

#include "lib/base/vec.h"
#include "scheduler/kept.h"
#include "scheduler/notify_send.h"

struct target; /* what waits for one */

struct notify {
    struct store *store;
    struct sender *sender;
    struct map targets; /* text -> struct target */
    int64_t n_pending, n_put;
    int64_t delay_ms;
    VEC(struct target *) summed; /* of this turn */
    bool fresh;                  /* rows of this turn are to be sent */
};

/* After kept_open: counts what is pending. */
bool notify_open(struct notify *notify, struct store *store, const struct kept *kept,
                 const struct engine_config *config, struct inbox *inbox, struct nx_err *err);
/* Stops sending; then, after the inbox was emptied, notify_close. */
void notify_stop(struct notify *notify);
void notify_close(struct notify *notify);

/* Before the commit, when all steps of the turn are done. */
void notify_turn(struct engine *engine);
/* After it. */
void notify_committed(struct notify *notify);
/* WRITE_TOLD, WRITE_RETELL. */
bool notify_take(struct notify *notify, const struct message *message, struct nx_err *err);

#endif
