#include "cli/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define STEADY_MS 60000 /* up so long, the back-off starts anew */
#define READY_POLL_MS 5
#define SCHEDULER_END_MS 10000
#define HURRY_MS 3000 /* from the second SIGTERM to SIGKILL */
#define FIRST_STARTS_MAX 3

static void block_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGCHLD);
}

void supervise_block(void)
{
    sigset_t set;
    block_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void supervise_notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') ||
        !str_copy(address.sun_path, sizeof address.sun_path, path))
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = 0; /* the abstract namespace */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        log_warn("cannot tell the service manager at %s: %s", path, strerror(errno));
    close(fd);
}

static void start(struct supervisor *s, struct part *part)
{
    struct nx_err err;
    if (part_start(part, &err))
        return;
    log_error("%s", err.text);
    part->start_at_ms = clock_mono_ms() + BACKOFF_MAX_MS;
    (void)s;
}

/* Another start would end in the same way: wrong usage, no program. */
static bool is_hopeless(int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return code == 2 || code == 127;
}

/* It has ended though nobody told it to: say why, start it again later. */
static void died(struct supervisor *s, struct part *part, int status)
{
    char why[128];
    int64_t now = clock_mono_ms();
    bool is_scheduler = part == &s->scheduler;
    part_end_text(part, status, why, sizeof why);
    if (is_scheduler && !s->is_ready &&
        (part->n_starts >= FIRST_STARTS_MAX || is_hopeless(status))) {
        log_error("%s ended %s before it was ready", part->name, why);
        s->gave_up = true;
        return;
    }
    if (!part->backoff_ms || now - part->started_ms > STEADY_MS)
        part->backoff_ms = BACKOFF_FIRST_MS;
    else
        part->backoff_ms *= 2;
    if (part->backoff_ms > BACKOFF_MAX_MS)
        part->backoff_ms = BACKOFF_MAX_MS;
    part->start_at_ms = now + part->backoff_ms;
    log_warn("%s (process %d) ended %s; it is started again in %d ms", part->name, (int)part->pid,
             why, (int)part->backoff_ms);
}

static void reap(struct supervisor *s)
{
    struct part *parts[] = {&s->scheduler, &s->worker};
    for (size_t i = 0; i < 2; i++) {
        int status;
        if (parts[i]->pid <= 0 || waitpid(parts[i]->pid, &status, WNOHANG) != parts[i]->pid)
            continue;
        if (!s->stopping)
            died(s, parts[i], status);
        parts[i]->pid = 0;
    }
}

static void begin_stop(struct supervisor *s)
{
    s->stopping = 1;
    s->deadline_ms = clock_mono_ms() + s->grace_ms;
    supervise_notify("STOPPING=1");
    log_info("stopping: running tasks have %d s to end; a second signal ends them now",
             (int)(s->grace_ms / 1000));
    part_signal(&s->worker, SIGTERM);
}

static void hurry(struct supervisor *s)
{
    s->hurried = true;
    s->deadline_ms = clock_mono_ms() + HURRY_MS;
    part_signal(s->stopping == 1 ? &s->worker : &s->scheduler, SIGTERM);
}

/* One step further when its part has ended; when time is up, first a second SIGTERM, then SIGKILL.
 * True when all have ended. */
static bool step_stop(struct supervisor *s)
{
    if (s->stopping == 1 && s->worker.pid == 0) {
        s->stopping = 2;
        s->hurried = false;
        s->deadline_ms = clock_mono_ms() + SCHEDULER_END_MS;
        part_signal(&s->scheduler, SIGTERM);
    }
    if (s->stopping == 2 && s->scheduler.pid == 0)
        return true;
    if (clock_mono_ms() >= s->deadline_ms) {
        if (!s->hurried)
            hurry(s);
        else
            part_signal(s->stopping == 1 ? &s->worker : &s->scheduler, SIGKILL);
    }
    return false;
}

static void read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (!s->stopping)
            begin_stop(s);
        else
            hurry(s);
    }
}

static void start_due(struct supervisor *s, int64_t now)
{
    if (s->scheduler.pid == 0 && now >= s->scheduler.start_at_ms)
        start(s, &s->scheduler);
    if (s->worker.pid == 0 && now >= s->worker.start_at_ms)
        start(s, &s->worker);
}

static void look_ready(struct supervisor *s)
{
    if (s->is_ready || s->scheduler.pid == 0)
        return;
    if (!part_ready(s->cli, s->home, s->scheduler.pid, s->url))
        return;
    s->is_ready = true;
    supervise_notify("READY=1");
    s->on_ready(s->arg, s->url);
}

/* How long nothing is to be done, unless a signal comes; -1: for ever. */
static int wait_ms(const struct supervisor *s, int64_t now)
{
    int64_t due = INT64_MAX;
    if (s->stopping)
        due = s->deadline_ms;
    else {
        if (s->scheduler.pid == 0)
            due = s->scheduler.start_at_ms;
        if (s->worker.pid == 0 && s->worker.start_at_ms < due)
            due = s->worker.start_at_ms;
        if (!s->is_ready && now + READY_POLL_MS < due)
            due = now + READY_POLL_MS;
    }
    if (due == INT64_MAX)
        return -1;
    return due <= now ? 1 : (int)(due - now);
}

static void end_all(struct supervisor *s)
{
    part_signal(&s->worker, SIGKILL);
    part_signal(&s->scheduler, SIGKILL);
    part_wait(&s->worker, HURRY_MS);
    part_wait(&s->scheduler, HURRY_MS);
}

int supervise(struct supervisor *s)
{
    sigset_t set;
    block_set(&set);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0)
        return cli_fail(CLI_FAILED, "cannot receive signals: %s", strerror(errno));
    for (;;) {
        reap(s);
        if (s->gave_up)
            break;
        if (s->stopping ? step_stop(s) : false)
            break;
        int64_t now = clock_mono_ms();
        if (!s->stopping) {
            start_due(s, now);
            look_ready(s);
        }
        struct pollfd fd = {.fd = s->signal_fd, .events = POLLIN};
        poll(&fd, 1, wait_ms(s, clock_mono_ms()));
        read_signals(s);
    }
    end_all(s);
    close(s->signal_fd);
    return s->gave_up ? CLI_FAILED : CLI_DONE;
}
