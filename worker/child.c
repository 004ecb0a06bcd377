#include "worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"

#define READ_BYTES 65536
#define DRAIN_MAX (64u * READ_BYTES)
#define READ_MAX (8u * READ_BYTES)  /* a turn of the loop: others want their share */
#define PIPE_BYTES (64u * PIPE_BUF) /* that a pipe holds, or as many packets as it has pages */
#define FLOOD_MS 100                /* as much in such a time is a flood */
#define FLOOD_BYTES (1u << 20)
#define FLOOD_WRITES 4096
#define LATE_MS 20            /* after its bytes a signal comes, if it does */
#define KEEP_MAX (256 * 1024) /* of a buffer's memory when it is empty */

/* ---- Starting ---- */

static void close_both(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* Each of which has our end first. */
struct pipes {
    int messages[2], output[2], errors[2];
};

static int spawn_with(const char *program, char *const *env, const struct pipes *pipes, pid_t *pid)
{
    char *argv[] = {(char *)program, "--child", NULL};
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipes->output[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes->errors[1], STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes->messages[1], CHILD_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_FD + 1);
    int e = posix_spawn(pid, program, &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e;
}

/* In packet mode each write is read by itself (and takes a page). */
static bool open_pipe(int pipe[2])
{
    if (pipe2(pipe, O_CLOEXEC | O_DIRECT) != 0 && pipe2(pipe, O_CLOEXEC) != 0)
        return false;
    fcntl(pipe[0], F_SETPIPE_SZ, PIPE_BYTES); /* else it has the usual 16 pages, or fewer */
    return true;
}

static bool open_pipes(struct pipes *pipes, struct nx_err *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes->messages) != 0)
        return nx_fail(err, NX_E_IO, "cannot make a socket for nexus-task: %s", strerror(errno));
    bool first = open_pipe(pipes->output);
    if (first && open_pipe(pipes->errors)) {
        must(pipes->messages[1] > STDERR_FILENO && pipes->output[1] > STDERR_FILENO &&
             pipes->errors[1] > STDERR_FILENO);
        return true;
    }
    nx_fail(err, NX_E_IO, "cannot make a pipe for nexus-task: %s", strerror(errno));
    close_both(pipes->messages);
    if (first)
        close_both(pipes->output);
    return false;
}

static void on_messages(uv_poll_t *handle, int status, int events);
static void on_output(uv_poll_t *handle, int status, int events);

static void forget_writes(struct child *child)
{
    writes_forget(child->writes, child->output.fd);
    writes_forget(child->writes, child->errors.fd);
}

static void watch(struct child *child, uv_loop_t *loop)
{
    must(uv_poll_init(loop, &child->messages, child->fd) == 0);
    must(uv_poll_init(loop, &child->output.poll, child->output.fd) == 0);
    must(uv_poll_init(loop, &child->errors.poll, child->errors.fd) == 0);
    child->messages.data = child->output.poll.data = child->errors.poll.data = child;
    child->n_handles = 3;
    uv_poll_start(&child->messages, UV_READABLE, on_messages);
    uv_poll_start(&child->output.poll, UV_READABLE, on_output);
    uv_poll_start(&child->errors.poll, UV_READABLE, on_output);
    if (child->writes && (!writes_watch(child->writes, child->output.fd, child, LOG_OUT) ||
                          !writes_watch(child->writes, child->errors.fd, child, LOG_ERR))) {
        forget_writes(child);
        child->writes = NULL;
    }
}

bool child_spawn(uv_loop_t *loop, struct writes *writes, const char *program, char *const *env,
                 const struct child_ops *ops, void *owner, struct child **out, struct nx_err *err)
{
    struct pipes pipes;
    pid_t pid;
    if (!open_pipes(&pipes, err))
        return false;
    int e = spawn_with(program, env, &pipes, &pid);
    close(pipes.messages[1]);
    if (e != 0) {
        close(pipes.messages[0]);
        close_both(pipes.output);
        close_both(pipes.errors);
        return nx_fail(err, NX_E_IO, "cannot start %s: %s", program, strerror(e));
    }
    struct child *child = mem_alloc(sizeof *child);
    child->ops = ops;
    child->owner = owner;
    child->pid = pid;
    child->fd = pipes.messages[0];
    child->output.fd = pipes.output[0];
    child->output.far_fd = pipes.output[1];
    child->errors.fd = pipes.errors[0];
    child->errors.far_fd = pipes.errors[1];
    child->writes = writes;
    watch(child, loop);
    *out = child;
    return true;
}

/* ---- Messages ---- */

static void go(struct child *child, const char *why)
{
    if (child->is_gone)
        return;
    child->is_gone = true;
    uv_poll_stop(&child->messages);
    child->ops->gone(child, why);
}

static void shrink(struct buf *buf)
{
    if (buf->len == 0 && buf->cap > KEEP_MAX)
        buf_fini(buf);
}

/* Hands on the frames that are all there; those from `done` on only if done is wanted. */
static void take_frames(struct child *child, bool with_done)
{
    size_t at = 0;
    while (!child->closing && !child->is_gone) {
        struct child_message message;
        struct nx_err err;
        size_t n;
        bool ok = child_frame(child->in.data + at, child->in.len - at, &n, &err);
        if (ok && (n == 0 || (!with_done && child->in.data[at + CHILD_HEAD] == CHILD_DONE)))
            break;
        if (!ok || !child_decode(child->in.data + at, n, &message, &err)) {
            go(child, err.text);
            return;
        }
        at += n;
        child->ops->message(child, &message);
    }
    if (at) {
        memmove(child->in.data, child->in.data + at, child->in.len - at);
        child->in.len -= at;
        shrink(&child->in);
    }
}

/* End of file is left for the loop to see when done is not wanted. */
static void read_messages(struct child *child, bool with_done)
{
    char *to = buf_reserve(&child->in, READ_BYTES);
    ssize_t n = recv(child->fd, to, READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 && !with_done)
        return;
    if (n <= 0) {
        go(child, n < 0 && errno != ECONNRESET ? strerror(errno) : "");
        return;
    }
    child->in.len += (size_t)n;
    take_frames(child, with_done);
}

static void write_messages(struct child *child)
{
    size_t at = 0;
    while (at < child->out.len && !child->is_gone) {
        ssize_t n =
            send(child->fd, child->out.data + at, child->out.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* full; or it has gone, which reading tells */
        at += (size_t)n;
    }
    if (at < child->out.len)
        memmove(child->out.data, child->out.data + at, child->out.len - at);
    child->out.len -= at;
    shrink(&child->out);
    bool writing = child->out.len > 0;
    if (writing != child->writing && !child->is_gone && !child->closing) {
        child->writing = writing;
        uv_poll_start(&child->messages, UV_READABLE | (writing ? UV_WRITABLE : 0), on_messages);
    }
}

static void on_messages(uv_poll_t *handle, int status, int events)
{
    struct child *child = handle->data;
    if (status < 0) {
        go(child, uv_strerror(status));
        return;
    }
    if (events & UV_WRITABLE)
        write_messages(child);
    if (events & UV_READABLE)
        read_messages(child, true);
}

bool child_send(struct child *child, const struct child_message *message, struct nx_err *err)
{
    if (!child_encode(&child->out, message, err))
        return false;
    if (!child->writing)
        write_messages(child);
    return true;
}

/* ---- Output ---- */

/* What is read is handed on by stream, in the order of the writes: signals say whose turn it is
 * (worker/writes.h). Bytes of which no signal has told when the loop tells of them a second time
 * are read all the same. */

/* Bytes of one stream on their way. */
struct batch {
    struct child *child;
    enum log_stream from;
    size_t room;  /* bytes that may still be read, about: others want their share */
    ssize_t page; /* the longest packet */
    size_t n;
    char bytes[READ_BYTES + PIPE_BYTES];
};

static struct child_pipe *pipe_of(struct child *child, enum log_stream from)
{
    return from == LOG_ERR ? &child->errors : &child->output;
}

static void hand_on(struct batch *batch)
{
    struct child *child = batch->child;
    size_t n = batch->n;
    batch->n = 0;
    if (!n)
        return;
    /* The secrets to mask were sent before these bytes were written, on the other pipe. */
    if (!child->is_gone)
        read_messages(child, false);
    child->ops->output(child, batch->from, batch->bytes, n);
}

/* A packet, or what there is. False when there is nothing. There is room for all that the pipe
 * holds: the end of a packet that does not fit would be lost, and bytes that are in none (of who
 * has opened /dev/stdout anew, or of a flood) may be before it. */
static bool read_once(struct batch *batch, enum log_stream from, ssize_t *n)
{
    struct child_pipe *pipe = pipe_of(batch->child, from);
    if (batch->from != from || batch->n > READ_BYTES)
        hand_on(batch);
    batch->from = from;
    do
        *n = pipe->ended ? 0
                         : read(pipe->fd, batch->bytes + batch->n, sizeof batch->bytes - batch->n);
    while (*n < 0 && errno == EINTR);
    pipe->ended = pipe->ended || *n == 0 || (*n < 0 && errno != EAGAIN);
    if (*n <= 0)
        return false;
    batch->n += (size_t)*n;
    batch->room -= batch->room < (size_t)*n ? batch->room : (size_t)*n;
    return true;
}

static void begin(struct batch *batch, struct child *child, enum log_stream from, size_t room)
{
    batch->child = child;
    batch->from = from;
    batch->room = room;
    batch->page = sysconf(_SC_PAGESIZE);
    batch->n = 0; /* the bytes need no zeros */
}

static void note_turn(void *owner, int stream)
{
    struct child *child = owner;
    if (child->n_turns < CHILD_TURNS_MAX)
        child->turns[child->n_turns++] = (enum log_stream)stream;
}

/* What was written in a turn: a long write is several packets, each but the last of a page. False:
 * there was no room for all of it. */
static bool read_turn(struct batch *batch, enum log_stream from)
{
    ssize_t n = batch->page;
    while (n == batch->page && batch->room) {
        if (!read_once(batch, from, &n))
            return true;
    }
    return n != batch->page;
}

static void read_turns(struct batch *batch)
{
    struct child *child = batch->child;
    int64_t now_ms = clock_mono_ms();
    unsigned i = 0;
    ssize_t n;
    while (i < child->n_turns && batch->room && !child->closing) {
        enum log_stream from = child->turns[i], other = from == LOG_ERR ? LOG_OUT : LOG_ERR;
        struct child_pipe *pipe = pipe_of(child, from);
        if (pipe_of(child, other)->plain)
            read_once(batch, other, &n); /* the end of a flood was there before what follows */
        pipe->unsaid = false;
        if (now_ms - pipe->early_ms >= LATE_MS)
            pipe->n_early = 0;
        if (pipe->n_early)
            pipe->n_early--;
        else if (!read_turn(batch, from))
            break; /* the rest of it is still its turn */
        i++;
    }
    child->n_turns -= i;
    memmove(child->turns, child->turns + i, child->n_turns * sizeof *child->turns);
}

static void read_rest(struct batch *batch, enum log_stream from)
{
    struct child_pipe *pipe = pipe_of(batch->child, from);
    ssize_t n;
    while (batch->room && !batch->child->closing && read_once(batch, from, &n))
        pipe->n_early += n < batch->page && !pipe->plain;
    pipe->early_ms = clock_mono_ms();
}

/* Packets and signals cost a flood half its speed, and nobody asks for the order within one. */
static void make_plain(struct child_pipe *pipe, bool plain)
{
    int flags = fcntl(pipe->far_fd, F_GETFL);
    if (flags < 0 || fcntl(pipe->far_fd, F_SETFL, plain ? flags & ~O_DIRECT : flags | O_DIRECT))
        return;
    writes_pause(pipe->fd, plain);
    pipe->plain = plain;
    pipe->unsaid = false;
    pipe->n_early = 0;
}

/* For the next attempt, whatever the programs of this one made of it: what they set holds for all
 * that have this end. */
static void renew(struct child_pipe *pipe)
{
    int flags = fcntl(pipe->far_fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK))
        fcntl(pipe->far_fd, F_SETFL, flags & ~O_NONBLOCK);
    if (pipe->plain || (flags >= 0 && !(flags & O_DIRECT)))
        make_plain(pipe, false);
    pipe->n_early = 0;
}

static void count(struct child_pipe *pipe, size_t n_looks, size_t n_bytes)
{
    int64_t now_ms = clock_mono_ms();
    pipe->n_window += n_looks;
    pipe->n_bytes += n_bytes;
    bool flood = pipe->n_bytes > FLOOD_BYTES || pipe->n_window > FLOOD_WRITES;
    bool over = now_ms - pipe->window_ms >= FLOOD_MS;
    if (pipe->plain != flood && (flood || over))
        make_plain(pipe, flood);
    if (!over)
        return;
    pipe->window_ms = now_ms;
    pipe->n_window = pipe->n_bytes = 0;
}

static void on_output(uv_poll_t *handle, int status, int events)
{
    struct child *child = handle->data;
    enum log_stream from = handle == &child->errors.poll ? LOG_ERR : LOG_OUT;
    struct child_pipe *pipe = pipe_of(child, from);
    struct batch batch;
    (void)events;
    begin(&batch, child, from, READ_MAX);
    if (child->writes)
        writes_take(child->writes, note_turn);
    unsigned n_turns = child->n_turns;
    if (n_turns)
        read_turns(&batch);
    if (!child->writes || pipe->plain || (!n_turns && pipe->unsaid))
        read_rest(&batch, from);
    pipe->unsaid = !n_turns;
    hand_on(&batch);
    if (child->closing)
        return;
    if (child->writes)
        count(pipe, n_turns, READ_MAX - batch.room);
    if (status < 0 || pipe->ended)
        uv_poll_stop(handle);
    if (child->in.len)
        take_frames(child, true); /* what was left */
}

void child_drain(struct child *child)
{
    struct batch batch;
    begin(&batch, child, LOG_OUT, DRAIN_MAX);
    if (child->writes)
        writes_take(child->writes, note_turn);
    read_turns(&batch);
    read_rest(&batch, LOG_OUT);
    read_rest(&batch, LOG_ERR);
    hand_on(&batch);
    child->n_turns = 0;
    renew(&child->output);
    renew(&child->errors);
}

/* ---- The end ---- */

bool child_reap(struct child *child)
{
    if (!child->reaped) {
        pid_t pid = waitpid(child->pid, &child->status, WNOHANG);
        child->reaped = pid == child->pid || (pid < 0 && errno == ECHILD);
    }
    return child->reaped;
}

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    must(child->n_handles > 0);
    if (--child->n_handles)
        return;
    close(child->fd);
    close(child->output.fd);
    close(child->output.far_fd);
    close(child->errors.fd);
    close(child->errors.far_fd);
    buf_fini(&child->in);
    buf_fini(&child->out);
    mem_free(child);
}

void child_close(struct child *child)
{
    must(child->reaped && !child->closing);
    child->closing = true;
    if (child->writes)
        forget_writes(child);
    uv_close((uv_handle_t *)&child->messages, on_closed);
    uv_close((uv_handle_t *)&child->output.poll, on_closed);
    uv_close((uv_handle_t *)&child->errors.poll, on_closed);
}
