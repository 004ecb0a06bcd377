/* A program that is told of an event. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "nexus/limits.h"
#include "scheduler/notify_deliver.h"

#define POLL_MS 50
#define FD_KEPT 3 /* the first that the program does not get */

struct program {
    struct delivery *delivery;
    pid_t pid;
    int in, out; /* our ends; -1: closed */
    const char *text;
    size_t left;
    int64_t until_ms;
    int status;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A session of its own, nothing of ours open, signals as they are by default. */
static int start(struct program *p, const char *const *argv, const char *const *env, int in,
                 int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, FD_KEPT);
    posix_spawn_file_actions_addchdir_np(&actions, p->delivery->project);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int e = posix_spawnp(&p->pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv,
                         (char *const *)(uintptr_t)env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return e;
}

/* Reads what is there; only the beginning is kept. */
static void take_output(struct program *p)
{
    char piece[4096];
    struct buf *output = &p->delivery->output;
    ssize_t n = read(p->out, piece, sizeof piece);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&p->out);
    size_t room = NX_HOOK_OUTPUT_MAX - output->len;
    if (n > 0 && room)
        buf_add(output, piece, (size_t)n < room ? (size_t)n : room);
}

static void give_input(struct program *p)
{
    ssize_t n = write(p->in, p->text, p->left);
    if (n > 0) {
        p->text += n;
        p->left -= (size_t)n;
    }
    if (p->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&p->in);
}

static void wait_a_little(struct program *p)
{
    struct pollfd fds[2] = {{.fd = p->out, .events = POLLIN}, {.fd = p->in, .events = POLLOUT}};
    if (poll(fds, 2, POLL_MS) <= 0)
        return;
    if (fds[0].revents)
        take_output(p);
    if (fds[1].revents)
        give_input(p);
}

/* Until it has ended; false: it was killed, since the time is up or we end. */
static bool await(struct program *p, struct nx_err *err)
{
    while (waitpid(p->pid, &p->status, WNOHANG) == 0) {
        bool cancelled = p->delivery->cancelled(p->delivery->arg);
        if (cancelled || clock_mono_ms() >= p->until_ms) {
            kill(-p->pid, SIGKILL);
            waitpid(p->pid, &p->status, 0);
            return nx_fail(err, cancelled ? NX_E_CANCELLED : NX_E_TIMEOUT,
                           cancelled ? "cancelled" : "it took too long and was killed");
        }
        wait_a_little(p);
    }
    kill(-p->pid, SIGKILL); /* what it left behind */
    while (p->out >= 0) {   /* its last words */
        struct pollfd fd = {.fd = p->out, .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0)
            break;
        take_output(p);
    }
    return true;
}

static bool judge(const struct program *p, const char *name, struct nx_err *err)
{
    if (WIFSIGNALED(p->status))
        return nx_fail(err, NX_E_IO, "%s was ended by signal %d", name, WTERMSIG(p->status));
    return WEXITSTATUS(p->status) == 0 ||
           nx_fail(err, NX_E_IO, "%s ended with status %d", name, WEXITSTATUS(p->status));
}

bool command_run(struct delivery *delivery, const char *const *argv, const char *const *env,
                 const char *text, size_t n_text, int64_t timeout_ms, struct nx_err *err)
{
    int in[2], out[2];
    struct program p = {.delivery = delivery, .text = text, .left = n_text};
    if (pipe2(in, O_CLOEXEC) != 0)
        return nx_fail(err, NX_E_IO, "no pipe: %s", strerror(errno));
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]), close(in[1]);
        return nx_fail(err, NX_E_IO, "no pipe: %s", strerror(errno));
    }
    p.in = in[1];
    p.out = out[0];
    fcntl(p.in, F_SETFL, O_NONBLOCK);
    fcntl(p.out, F_SETFL, O_NONBLOCK);
    int e = start(&p, argv, env, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    p.until_ms = clock_mono_ms() + timeout_ms;
    bool ok = e == 0 ? await(&p, err) && judge(&p, argv[0], err)
                     : nx_fail(err, NX_E_NOT_FOUND,
                               "cannot start %s: %s (a path with a slash starts at the project's "
                               "folder, a name alone is looked for in PATH)",
                               argv[0], strerror(e));
    close_end(&p.in);
    close_end(&p.out);
    return ok;
}
