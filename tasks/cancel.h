/* Cancelling a running attempt: by a `cancel` message on the child's descriptor, or by SIGTERM.
 *
 * Between attempts nobody but the main thread reads the descriptor. While an attempt runs, either
 * a watcher thread does (armed the first time that the operator asks nx_cancelled or gives
 * nx_on_cancel a function, so that a quick operator pays nothing), or a script's supervisor polls
 * it. What they read beyond cancels is kept and handed back at the attempt's end. */
#ifndef TASKS_CANCEL_H
#define TASKS_CANCEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct cancel {
    int fd;      /* of messages; -1: none */
    int wake_fd; /* eventfd: a signal came, or the watcher shall park */
    uint64_t ticket;
    atomic_bool cancelled;  /* the running attempt is */
    atomic_bool terminated; /* SIGTERM came: end after this attempt */
    atomic_bool idle;       /* no attempt runs: SIGTERM ends the process at once */
    pthread_t watcher;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool has_watcher, armed, parked, told;
    void (*call)(void *arg);
    void *arg;
    struct buf pending; /* bytes read during the attempt */
};

void cancel_init(struct cancel *cancel, int fd);
/* Between attempts, at the process's end: a watcher stays parked. */
void cancel_fini(struct cancel *cancel);
void cancel_begin(struct cancel *cancel, uint64_t ticket);
/* Ends the attempt; bytes that were read and are the main loop's go to the end of inbox. */
void cancel_end(struct cancel *cancel, struct buf *inbox);

/* Starts the watcher for this attempt, once. */
void cancel_arm(struct cancel *cancel);
/* The function to call from the watcher's thread when the attempt is cancelled (at once when it is
 * already). When it returns after NULL was given, the former function does not run any more. */
void cancel_call(struct cancel *cancel, void (*call)(void *arg), void *arg);
/* Reads what has come; for who polls fd and wake_fd himself instead of arming. */
void cancel_look(struct cancel *cancel);

/* From a signal handler. */
void cancel_signal(struct cancel *cancel);

#endif
