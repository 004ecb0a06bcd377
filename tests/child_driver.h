/* A nexus-task child driven as a worker drives it: for tests and benchmarks. */
#ifndef TESTS_CHILD_DRIVER_H
#define TESTS_CHILD_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/wire/child.h"

struct driven {
    pid_t pid;
    int fd;     /* of messages */
    int out_fd; /* what it prints; does not block */
    struct buf inbox;
    struct child_known known;
    uint64_t ticket;
    char folder[64];
};

static inline void driven_drain(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static inline void driven_start(struct driven *d, const char *program)
{
    int pair[2], out[2];
    posix_spawn_file_actions_t actions;
    char *argv[] = {(char *)program, "--child", NULL};
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    must(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    posix_spawn_file_actions_adddup2(&actions, pair[1], CHILD_FD);
    int e = posix_spawn(&d->pid, program, &actions, NULL, argv, environ);
    if (e != 0) {
        fprintf(stderr, "cannot start %s: %s\n", program, strerror(e));
        exit(2);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    close(out[1]);
    d->fd = pair[0];
    d->out_fd = out[0];
}

/* The next message, decoded from *frame. */
static inline struct child_message driven_receive(struct driven *d, struct buf *frame)
{
    size_t n;
    struct child_message message;
    for (;;) {
        must(child_frame(d->inbox.data, d->inbox.len, &n, NULL));
        if (n)
            break;
        char *to = buf_reserve(&d->inbox, 65536);
        ssize_t got = recv(d->fd, to, 65536, 0);
        must(got > 0);
        d->inbox.len += (size_t)got;
    }
    buf_clear(frame);
    buf_add(frame, d->inbox.data, n);
    memmove(d->inbox.data, d->inbox.data + n, d->inbox.len - n);
    d->inbox.len -= n;
    must(child_decode(frame->data, frame->len, &message, NULL));
    return message;
}

/* The program in the build that is tested. */
static inline void driven_program(char *to, size_t size)
{
    const char *folder = getenv("NEXUS_BIN");
    snprintf(to, size, "%s/nexus-task", folder ? folder : "build/release/bin");
}

static inline void driven_send(struct driven *d, const struct child_message *message)
{
    struct buf frame;
    buf_init(&frame);
    must(child_encode(&frame, message, NULL));
    must(send(d->fd, frame.data, frame.len, MSG_NOSIGNAL) == (ssize_t)frame.len);
    buf_fini(&frame);
}

/* A start message of definition `id`, its text only when the child does not have it. */
static inline struct child_message driven_message(struct driven *d, uint64_t id,
                                                  const char *definition, const char *context)
{
    bool is_new;
    struct child_message start = {.type = CHILD_START, .ticket = ++d->ticket};
    child_known_take(&d->known, id, &is_new);
    start.u.start = (struct child_start){
        .definition_id = id,
        .definition = child_text(is_new ? definition : NULL),
        .context = child_text(context),
        .key = child_text("7.t.-1.1"),
        .mark = child_text("driven-mark"),
        .work = child_text(d->folder),
        .cpus = 1,
        .outputs_max = 65536,
    };
    return start;
}

#endif
