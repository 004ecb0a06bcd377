/* Benchmark of nexus-task --child: microseconds for a round trip of flow.noop, and script tasks of
 * `true` a second beside a bare loop of posix_spawn of the same shell (session of its own, output
 * to a pipe that is read), interleaved in blocks.
 *
 *   task_round_trip [PATH-OF-NEXUS-TASK]        NEXUS_BIN names the folder otherwise */
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
#include "lib/base/clock.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/wire/child.h"

#define NOOPS 20000
#define BLOCKS 100
#define BLOCK 10

struct driven {
    pid_t pid;
    int fd, out_fd;
    struct buf inbox;
    struct child_known known;
    uint64_t ticket;
    char folder[64];
};

static void drain(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static void spawn_driven(struct driven *d, const char *program)
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
static struct child_message receive(struct driven *d, struct buf *frame)
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

static void round_trip(struct driven *d, uint64_t id, const char *definition, struct buf *frame)
{
    bool is_new;
    struct child_message start = {.type = CHILD_START, .ticket = ++d->ticket};
    child_known_take(&d->known, id, &is_new);
    start.u.start = (struct child_start){
        .definition_id = id,
        .definition = child_text(is_new ? definition : NULL),
        .context = child_text("{\"params\":{},\"run\":{\"id\":7},\"dag\":{\"id\":\"bench\"},"
                              "\"task\":{\"id\":\"t\",\"attempt\":1}}"),
        .key = child_text("7.t.-1.1"),
        .mark = child_text("bench-mark"),
        .work = child_text(d->folder),
        .cpus = 1,
        .outputs_max = 65536,
    };
    buf_clear(frame);
    must(child_encode(frame, &start, NULL));
    must(send(d->fd, frame->data, frame->len, MSG_NOSIGNAL) == (ssize_t)frame->len);
    for (;;) {
        struct child_message message = receive(d, frame);
        if (message.type != CHILD_DONE)
            continue;
        if (message.u.done.outcome != CHILD_SUCCESS) {
            fprintf(stderr, "failed: %s\n", message.u.done.error.at);
            exit(1);
        }
        drain(d->out_fd);
        return;
    }
}

static void bare_true(void)
{
    int out[2];
    pid_t pid;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    char *argv[] = {"/bin/sh", "-c", "true", NULL};
    must(pipe2(out, O_CLOEXEC) == 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    must(posix_spawn(&pid, argv[0], &actions, &attr, argv, environ) == 0);
    close(out[1]);
    drain(out[0]);
    close(out[0]);
    must(waitpid(pid, NULL, 0) == pid);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
}

static void bench_noop(struct driven *d, struct buf *frame)
{
    for (int i = 0; i < 1000; i++)
        round_trip(d, 1, "{\"uses\":\"flow.noop\"}", frame);
    int64_t start = clock_mono_us();
    for (int i = 0; i < NOOPS; i++)
        round_trip(d, 1, NULL, frame);
    printf("flow.noop round trip: %.1f us\n", (double)(clock_mono_us() - start) / NOOPS);
}

static void bench_scripts(struct driven *d, struct buf *frame)
{
    int64_t bare_us = 0, task_us = 0;
    for (int block = 0; block < BLOCKS; block++) {
        int64_t start = clock_mono_us();
        for (int i = 0; i < BLOCK; i++)
            bare_true();
        int64_t middle = clock_mono_us();
        for (int i = 0; i < BLOCK; i++)
            round_trip(d, 2, "{\"run\":\"true\"}", frame);
        bare_us += middle - start;
        task_us += clock_mono_us() - middle;
    }
    double n = BLOCKS * BLOCK;
    printf("script `true`: %.0f/s, bare posix_spawn: %.0f/s: %.0f%%\n", n * 1e6 / (double)task_us,
           n * 1e6 / (double)bare_us, 100.0 * (double)bare_us / (double)task_us);
}

int main(int argc, char **argv)
{
    char program[PATH_MAX_BYTES];
    const char *folder = getenv("NEXUS_BIN");
    struct driven d = {.folder = "/tmp/nexus-bench-XXXXXX"};
    struct buf frame;
    buf_init(&frame);
    if (argc > 1)
        snprintf(program, sizeof program, "%s", argv[1]);
    else
        snprintf(program, sizeof program, "%s/nexus-task", folder ? folder : "build/release/bin");
    must(mkdtemp(d.folder) != NULL);
    int64_t start = clock_mono_us();
    spawn_driven(&d, program);
    must(receive(&d, &frame).type == CHILD_READY);
    printf("start to ready: %.1f ms\n", (double)(clock_mono_us() - start) / 1000);
    bench_noop(&d, &frame);
    bench_scripts(&d, &frame);
    close(d.fd);
    must(waitpid(d.pid, NULL, 0) == d.pid);
    path_remove_tree(d.folder, NULL);
    buf_fini(&d.inbox);
    buf_fini(&frame);
    return 0;
}
