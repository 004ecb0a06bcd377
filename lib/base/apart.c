#include "lib/base/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"

#define PIECE 65536
#define ASK_MS 100 /* whether it is cancelled */

extern char **environ;

/* More of what is read, with a zero behind it; 0: the end, negative: errno. */
static ssize_t read_piece(int fd, struct buf *to)
{
    ssize_t n;
    do
        n = read(fd, buf_reserve(to, PIECE + 1), PIECE);
    while (n < 0 && errno == EINTR);
    to->len += n > 0 ? (size_t)n : 0;
    to->data[to->len] = 0;
    return n;
}

bool apart_read(int fd, struct buf *to, size_t max)
{
    ssize_t n;
    while ((n = read_piece(fd, to)) > 0) {
        if (to->len > max)
            return false;
    }
    return n == 0;
}

bool apart_write(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            p += written;
            n -= (size_t)written;
        }
    }
    return true;
}

/* Starts the child; 0, or errno. */
static int spawn(const struct apart *apart, int out, pid_t *pid)
{
    const char *const *env = apart->env ? apart->env : (const char *const *)environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t no_signals;
    sigemptyset(&no_signals);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &no_signals);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, apart->in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int e = posix_spawn(pid, apart->argv[0], &actions, &attr, (char *const *)(uintptr_t)apart->argv,
                        (char *const *)(uintptr_t)env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e;
}

static enum apart_end read_answer(const struct apart *apart, int fd, struct buf *to)
{
    int64_t until = clock_mono_ms() + apart->timeout_ms, left;
    while ((left = until - clock_mono_ms()) > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (apart->cancelled && apart->cancelled(apart->arg))
            return APART_CANCELLED;
        if (poll(&wait, 1, apart->cancelled && left > ASK_MS ? ASK_MS : (int)left) <= 0)
            continue;
        if (read_piece(fd, to) <= 0)
            return APART_ENDED;
        if (to->len > apart->out_max)
            return APART_TOO_LONG;
    }
    return APART_LATE;
}

enum apart_end apart_run(const struct apart *apart, struct buf *out, int *status)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return APART_NOT_STARTED;
    int e = spawn(apart, fds[1], &pid);
    close(fds[1]);
    enum apart_end end = e ? APART_NOT_STARTED : read_answer(apart, fds[0], out);
    if (!e && end != APART_ENDED)
        kill(pid, SIGKILL);
    while (!e && waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
    close(fds[0]);
    errno = e;
    return end;
}
