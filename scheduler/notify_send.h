/* Sends what the outbox has (scheduler/store/notification.h), on threads of its own. They read the
 * rows that are due, one of a target at a time, and post what became of each to the inbox; nothing
 * here writes to the store, and nothing waits for it. */
#ifndef SCHEDULER_NOTIFY_SEND_H
#define SCHEDULER_NOTIFY_SEND_H

#include "scheduler/port/inbox.h"

struct sender;

struct sender_config {
    const char *home, *project, *key_path;
    const char *secrets, *connections; /* of the environment, as JSON objects, or NULL */
    int64_t delay_ms;                  /* a target that fails rests so long, then twice, ... */
    struct inbox *inbox;
};

struct sender *sender_new(const struct sender_config *config);
/* There may be something new; from any thread. */
void sender_wake(struct sender *sender);
/* A target that rests since it has failed is tried at once. */
void sender_hurry(struct sender *sender, const char *target);
/* Gives up what is under way (it is sent again by the next one) and joins the threads. */
void sender_stop(struct sender *sender);
/* After the inbox is empty: its messages come back here. NULL is fine. */
void sender_free(struct sender *sender);

/* How long after that many failures in a row: doubles, up to `most`. */
int64_t sender_delay(int64_t delay_ms, int64_t failures, int64_t most);

#endif
