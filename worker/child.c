#include "worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"

#define READ_BYTES 65536
#define DRAIN_ROUNDS 64       /* of READ_BYTES */
#define READ_ROUNDS 8         /* of READ_BYTES a turn of the loop: others want their share */
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

static bool open_pipes(struct pipes *pipes, struct nx_err *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes->messages) != 0)
        return nx_fail(err, NX_E_IO, "cannot make a socket for nexus-task: %s", strerror(errno));
    bool first = pipe2(pipes->output, O_CLOEXEC) == 0;
    if (first && pipe2(pipes->errors, O_CLOEXEC) == 0) {
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

static void watch(struct child *child, uv_loop_t *loop)
{
    must(uv_poll_init(loop, &child->messages, child->fd) == 0);
    must(uv_poll_init(loop, &child->output, child->out_fd) == 0);
    must(uv_poll_init(loop, &child->errors, child->err_fd) == 0);
    child->messages.data = child->output.data = child->errors.data = child;
    child->n_handles = 3;
    uv_poll_start(&child->messages, UV_READABLE, on_messages);
    uv_poll_start(&child->output, UV_READABLE, on_output);
    uv_poll_start(&child->errors, UV_READABLE, on_output);
}

bool child_spawn(uv_loop_t *loop, const char *program, char *const *env,
                 const struct child_ops *ops, void *owner, struct child **out, struct nx_err *err)
{
    struct pipes pipes;
    pid_t pid;
    if (!open_pipes(&pipes, err))
        return false;
    int e = spawn_with(program, env, &pipes, &pid);
    close(pipes.messages[1]);
    close(pipes.output[1]);
    close(pipes.errors[1]);
    if (e != 0) {
        close(pipes.messages[0]);
        close(pipes.output[0]);
        close(pipes.errors[0]);
        return nx_fail(err, NX_E_IO, "cannot start %s: %s", program, strerror(e));
    }
    struct child *child = mem_alloc(sizeof *child);
    child->ops = ops;
    child->owner = owner;
    child->pid = pid;
    child->fd = pipes.messages[0];
    child->out_fd = pipes.output[0];
    child->err_fd = pipes.errors[0];
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

/* The loop tells of the two in the order in which something came first; what is written in turns
 * faster than it looks is put together by stream. */

/* Returns whether there may be more. */
static bool read_output(struct child *child, enum log_stream from, int rounds)
{
    char bytes[READ_BYTES];
    int fd = from == LOG_ERR ? child->err_fd : child->out_fd;
    for (int i = 0; i < rounds && fd >= 0; i++) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        /* The secrets to mask were sent before these bytes were written, on the other pipe. */
        if (!child->is_gone)
            read_messages(child, false);
        child->ops->output(child, from, bytes, (size_t)n);
        if (child->closing || n < (ssize_t)sizeof bytes / 2)
            return true;
    }
    return true;
}

static void on_output(uv_poll_t *handle, int status, int events)
{
    struct child *child = handle->data;
    enum log_stream from = handle == &child->errors ? LOG_ERR : LOG_OUT;
    (void)events;
    if (status < 0 || !read_output(child, from, READ_ROUNDS))
        uv_poll_stop(handle);
    if (child->in.len)
        take_frames(child, true); /* what was left */
}

static void drain(struct child *child, enum log_stream from, int fd)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < DRAIN_ROUNDS; i++) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0)
            return;
        child->ops->output(child, from, bytes, (size_t)n);
    }
}

void child_drain(struct child *child)
{
    drain(child, LOG_OUT, child->out_fd);
    drain(child, LOG_ERR, child->err_fd);
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
    close(child->out_fd);
    close(child->err_fd);
    buf_fini(&child->in);
    buf_fini(&child->out);
    mem_free(child);
}

void child_close(struct child *child)
{
    must(child->reaped && !child->closing);
    child->closing = true;
    uv_close((uv_handle_t *)&child->messages, on_closed);
    uv_close((uv_handle_t *)&child->output, on_closed);
    uv_close((uv_handle_t *)&child->errors, on_closed);
}
