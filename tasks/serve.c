#include "tasks/serve.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "tasks/attempt.h"

#define READ_BYTES 65536

void serve_send(void *arg, const struct child_message *message)
{
    int fd = *(int *)arg;
    struct buf frame;
    buf_init(&frame);
    /* What a child sends is far below the limit: outputs and texts are bounded. */
    must(child_encode(&frame, message, NULL));
    for (size_t at = 0; at < frame.len;) {
        ssize_t n = send(fd, frame.data + at, frame.len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            break; /* the worker has gone; the main loop sees it */
        at += n > 0 ? (size_t)n : 0;
    }
    buf_fini(&frame);
}

/* The definitions that the worker knows to be here, and why one could not be read. */
struct definitions {
    struct child_known known;
    struct definition *at[CHILD_KNOWN];
    struct nx_err *why[CHILD_KNOWN];
};

static size_t take_definition(struct definitions *all, const struct child_start *start)
{
    bool is_new;
    size_t slot = child_known_take(&all->known, start->definition_id, &is_new);
    if (start->definition.n == 0)
        return slot;
    struct nx_err why = {.code = NX_OK};
    definition_free(all->at[slot]);
    mem_free(all->why[slot]);
    all->why[slot] = NULL;
    all->at[slot] = definition_new(start->definition.at, start->definition.n, &why);
    if (!all->at[slot])
        all->why[slot] = mem_dup(&why, sizeof why);
    return slot;
}

static void serve_start(struct runtime *runtime, struct definitions *all,
                        const struct child_message *message, struct buf *inbox)
{
    struct nx_err missing;
    size_t slot = take_definition(all, &message->u.start);
    nx_fail(&missing, NX_E_INTERNAL, "the worker did not send this task's definition");
    attempt_run(runtime, all->at[slot], all->why[slot] ? all->why[slot] : &missing, message->ticket,
                &message->u.start, inbox);
}

/* Reads until the inbox holds a whole frame; *n: its size, 0 at end of file. */
static bool fill(int fd, struct buf *inbox, size_t *n, struct nx_err *err)
{
    for (;;) {
        if (!child_frame(inbox->data, inbox->len, n, err))
            return false;
        if (*n)
            return true;
        char *to = buf_reserve(inbox, READ_BYTES);
        ssize_t got = recv(fd, to, READ_BYTES, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return nx_fail(err, NX_E_IO, "cannot read from the worker: %s", strerror(errno));
        if (got == 0)
            return true;
        inbox->len += (size_t)got;
    }
}

static bool serve_all(struct runtime *runtime, int fd, struct definitions *all, struct buf *inbox,
                      struct buf *frame, struct nx_err *err)
{
    while (!atomic_load(&runtime->cancel.terminated)) {
        size_t n;
        struct child_message message;
        if (!fill(fd, inbox, &n, err))
            return false;
        if (n == 0)
            return true;
        /* The inbox may grow while the attempt runs: its texts live in the frame. */
        buf_clear(frame);
        buf_add(frame, inbox->data, n);
        memmove(inbox->data, inbox->data + n, inbox->len - n);
        inbox->len -= n;
        if (!child_decode(frame->data, frame->len, &message, err))
            return false;
        if (message.type == CHILD_END)
            return true;
        if (message.type == CHILD_START)
            serve_start(runtime, all, &message, inbox);
    }
    return true;
}

bool serve_run(struct runtime *runtime, int fd, struct nx_err *err)
{
    struct definitions *all = mem_alloc(sizeof *all);
    struct buf inbox, frame;
    struct child_message ready = {.type = CHILD_READY};
    buf_init(&inbox);
    buf_init(&frame);
    ready.u.ready = (struct child_ready){CHILD_PROTOCOL, child_text(NEXUS_VERSION)};
    runtime->sink.send(runtime->sink.arg, &ready);
    atomic_store(&runtime->cancel.idle, true);
    bool ok = serve_all(runtime, fd, all, &inbox, &frame, err);
    atomic_store(&runtime->cancel.idle, false);
    for (size_t i = 0; i < CHILD_KNOWN; i++) {
        definition_free(all->at[i]);
        mem_free(all->why[i]);
    }
    mem_free(all);
    buf_fini(&inbox);
    buf_fini(&frame);
    return ok;
}
