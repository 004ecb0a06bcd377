/* A nexus-task whose attempts do nothing (or sleep: BENCH_SLEEP_US in the environment) but note
 * when they came and went, in microseconds: for the hand-over from one task to the next. It stands
 * as `nexus-task` beside a copy of nexus-worker; what is not a child is left to `nexus-task.real`
 * there.
 *
 * Each attempt appends four int64 to the file `stamps` beside it: when it came, when it went, its
 * run, and the number that its task's id ends with. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/wire/child.h"
#include "tests/bench/bench.h"

static void send_message(const struct child_message *message)
{
    struct buf frame;
    buf_init(&frame);
    must(child_encode(&frame, message, NULL));
    must(send(CHILD_FD, frame.data, frame.len, MSG_NOSIGNAL) == (ssize_t)frame.len);
    buf_fini(&frame);
}

/* The next message is decoded from the start of the inbox; *n bytes of it. False: the worker has
 * closed. */
static bool receive(struct buf *inbox, struct child_message *message, size_t *n)
{
    for (;;) {
        must(child_frame(inbox->data, inbox->len, n, NULL));
        if (*n)
            return child_decode(inbox->data, *n, message, NULL);
        char *to = buf_reserve(inbox, 65536);
        ssize_t got = recv(CHILD_FD, to, 65536, 0);
        if (got <= 0)
            return false;
        inbox->len += (size_t)got;
    }
}

/* Of a key "run.task_id.map.attempt". */
static void read_key(const char *key, int64_t *run, int64_t *task)
{
    const char *p = strchr(key, '.');
    must(p);
    *run = strtoll(key, NULL, 10);
    p += 1 + strcspn(p + 1, ".0123456789");
    *task = strtoll(p, NULL, 10);
}

static int serve(const char *stamps_path)
{
    const char *sleep_us = getenv("BENCH_SLEEP_US");
    struct child_message ready = {.type = CHILD_READY}, message;
    struct buf inbox;
    size_t n;
    int stamps = open(stamps_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    must(stamps >= 0);
    buf_init(&inbox);
    ready.u.ready = (struct child_ready){CHILD_PROTOCOL, child_text(NEXUS_VERSION)};
    send_message(&ready);
    while (receive(&inbox, &message, &n)) {
        int64_t at[4] = {clock_mono_us()};
        struct child_message done = {.type = CHILD_DONE, .ticket = message.ticket};
        done.u.done = (struct child_done){.outcome = CHILD_SUCCESS, .exit_code = -1};
        if (message.type == CHILD_END)
            break;
        if (message.type == CHILD_START) {
            read_key(message.u.start.key.at, &at[2], &at[3]);
            if (sleep_us)
                usleep((useconds_t)atoi(sleep_us));
            at[1] = clock_mono_us();
            send_message(&done);
            must(write(stamps, at, sizeof at) == sizeof at);
        }
        memmove(inbox.data, inbox.data + n, inbox.len - n);
        inbox.len -= n;
    }
    buf_fini(&inbox);
    return 0;
}

int main(int argc, char **argv)
{
    char folder[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    must(path_of_program(folder, sizeof folder));
    if (argc > 1 && strcmp(argv[1], "--child") == 0)
        return path_join(path, sizeof path, folder, "stamps") ? serve(path) : 1;
    must(path_join(path, sizeof path, folder, "nexus-task.real"));
    argv[0] = path;
    execv(path, argv);
    return 127;
}
