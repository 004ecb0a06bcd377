/* A nexus-task process with its pipes: messages (lib/wire/child.h), stdout and stderr. On the
 * agent's loop; everything here is called on its thread. */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <uv.h>

#include "lib/base/buf.h"
#include "lib/wire/child.h"
#include "lib/wire/stamp.h"
#include "nexus/error.h"
#include "worker/writes.h"

#define CHILD_TURNS_MAX 256 /* writes whose bytes are not read yet; more than the pipes hold */

struct child;

/* One of the two pipes of output. */
struct child_pipe {
    int fd;
    int far_fd; /* its other end, to change how the child writes */
    uv_poll_t poll;
    bool ended;
    bool plain;       /* it is flooded: the order of its writes is not asked for */
    bool unsaid;      /* at the last look it had bytes of which no signal told */
    unsigned n_early; /* writes that were read before their signals came */
    int64_t early_ms;
    int64_t window_ms; /* when what follows began to count */
    size_t n_window, n_bytes;
};

struct child_ops {
    /* A message; its texts live until the function returns. */
    void (*message)(struct child *child, const struct child_message *message);
    /* Bytes of LOG_OUT or LOG_ERR. */
    void (*output)(struct child *child, enum log_stream from, const char *p, size_t n);
    /* No message will come any more: it has ended, is about to, or sent what is none. `why` is ""
     * or the reason. Once. */
    void (*gone)(struct child *child, const char *why);
};

struct child {
    const struct child_ops *ops;
    void *owner;
    pid_t pid;
    bool reaped;
    int status; /* as of waitpid, once reaped */
    bool ready; /* it said so */
    bool is_gone;
    struct child_known known; /* definitions that it has */
    uint64_t last_ticket;
    unsigned n_attempts;
    char work[512]; /* its working folder, for attempts one after the other */
    /* The rest is child.c's. */
    int fd;
    bool closing, writing;
    uv_poll_t messages;
    struct child_pipe output, errors;
    struct writes *writes; /* NULL: the order of writes is not known */
    enum log_stream turns[CHILD_TURNS_MAX];
    unsigned n_turns;
    unsigned n_handles; /* that are open */
    struct buf in, out;
};

/* Starts `program --child` with that environment (NULL-ended), in a process group of its own.
 * writes: tells the order in which it writes to stdout and stderr; NULL: nobody does. */
bool child_spawn(uv_loop_t *loop, struct writes *writes, const char *program, char *const *env,
                 const struct child_ops *ops, void *owner, struct child **child,
                 struct nx_err *err);
/* Never blocks: what the socket does not take now is written when it does. */
bool child_send(struct child *child, const struct child_message *message, struct nx_err *err);
/* Hands on the output that is in the pipe now (at most some MiB: somebody may still write). */
void child_drain(struct child *child);
/* Whether the process has ended; takes its status then. */
bool child_reap(struct child *child);
/* Closes the descriptors and frees the child when the loop has let go of them. The process, which
 * is not waited for, must have been reaped. No function of ops is called any more. */
void child_close(struct child *child);

#endif
