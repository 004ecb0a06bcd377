#include "tasks/cancel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/must.h"
#include "lib/wire/child.h"

void cancel_init(struct cancel *cancel, int fd)
{
    *cancel = (struct cancel){.fd = fd, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    must(cancel->wake_fd >= 0);
    must(pthread_mutex_init(&cancel->lock, NULL) == 0);
    must(pthread_cond_init(&cancel->changed, NULL) == 0);
}

void cancel_fini(struct cancel *cancel)
{
    buf_fini(&cancel->pending);
    close(cancel->wake_fd);
}

static void wake(struct cancel *cancel)
{
    uint64_t one = 1;
    ssize_t n = write(cancel->wake_fd, &one, sizeof one);
    (void)n; /* full: it is awake anyway */
}

void cancel_begin(struct cancel *cancel, uint64_t ticket)
{
    cancel->ticket = ticket;
    cancel->told = false;
    atomic_store(&cancel->idle, false); /* in this order: a SIGTERM in between is not forgotten */
    atomic_store(&cancel->cancelled, false);
    if (atomic_load(&cancel->terminated))
        atomic_store(&cancel->cancelled, true);
}

void cancel_signal(struct cancel *cancel)
{
    if (atomic_load(&cancel->idle))
        _exit(0);
    int saved = errno; /* of what was interrupted */
    atomic_store(&cancel->terminated, true);
    atomic_store(&cancel->cancelled, true);
    wake(cancel);
    errno = saved;
}

/* ---- Reading ---- */

static void scan(struct cancel *cancel)
{
    size_t at = 0, n;
    struct child_message message;
    const struct buf *pending = &cancel->pending;
    while (at < pending->len) {
        if (!child_frame(pending->data + at, pending->len - at, &n, NULL) || n == 0)
            return; /* a broken stream is the main loop's to report */
        if (child_decode(pending->data + at, n, &message, NULL) && message.type == CHILD_CANCEL &&
            message.ticket == cancel->ticket)
            atomic_store(&cancel->cancelled, true);
        at += n;
    }
}

static void drain_wake(struct cancel *cancel)
{
    uint64_t count;
    ssize_t n = read(cancel->wake_fd, &count, sizeof count);
    (void)n; /* nothing there: fine */
}

void cancel_look(struct cancel *cancel)
{
    drain_wake(cancel);
    if (cancel->fd < 0)
        return;
    for (;;) {
        char *to = buf_reserve(&cancel->pending, 4096);
        ssize_t n = recv(cancel->fd, to, 4096, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* nothing more; an error comes again in the main loop */
        if (n == 0) {
            atomic_store(&cancel->cancelled, true); /* the worker has gone */
            cancel->fd = -1;
            break;
        }
        cancel->pending.len += (size_t)n;
    }
    scan(cancel);
}

/* ---- The watcher ---- */

/* Under the lock. */
static void tell(struct cancel *cancel)
{
    if (!atomic_load(&cancel->cancelled) || cancel->told || !cancel->call)
        return;
    cancel->told = true;
    cancel->call(cancel->arg);
}

static void *watch(void *arg)
{
    struct cancel *cancel = arg;
    pthread_mutex_lock(&cancel->lock);
    for (;;) {
        while (!cancel->armed) {
            cancel->parked = true;
            pthread_cond_broadcast(&cancel->changed);
            pthread_cond_wait(&cancel->changed, &cancel->lock);
        }
        cancel->parked = false;
        tell(cancel);
        struct pollfd fds[2] = {{.fd = cancel->wake_fd, .events = POLLIN},
                                {.fd = cancel->fd, .events = POLLIN}};
        pthread_mutex_unlock(&cancel->lock);
        poll(fds, 2, -1);
        pthread_mutex_lock(&cancel->lock);
        cancel_look(cancel);
    }
    return NULL;
}

static void start_watcher(struct cancel *cancel)
{
    /* Signals are for the main thread. */
    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    must(pthread_create(&cancel->watcher, NULL, watch, cancel) == 0);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    cancel->has_watcher = true;
}

void cancel_arm(struct cancel *cancel)
{
    pthread_mutex_lock(&cancel->lock);
    if (!cancel->armed) {
        cancel->armed = true;
        if (!cancel->has_watcher)
            start_watcher(cancel);
        pthread_cond_broadcast(&cancel->changed);
    }
    pthread_mutex_unlock(&cancel->lock);
}

void cancel_call(struct cancel *cancel, void (*call)(void *arg), void *arg)
{
    if (call)
        cancel_arm(cancel);
    pthread_mutex_lock(&cancel->lock);
    cancel->call = call;
    cancel->arg = arg;
    cancel->told = false;
    tell(cancel);
    pthread_mutex_unlock(&cancel->lock);
}

void cancel_end(struct cancel *cancel, struct buf *inbox)
{
    if (cancel->has_watcher) {
        pthread_mutex_lock(&cancel->lock);
        cancel->call = NULL;
        if (cancel->armed) {
            cancel->armed = false;
            wake(cancel);
            while (!cancel->parked)
                pthread_cond_wait(&cancel->changed, &cancel->lock);
            drain_wake(cancel);
        }
        pthread_mutex_unlock(&cancel->lock);
    }
    if (inbox && cancel->pending.len)
        buf_add(inbox, cancel->pending.data, cancel->pending.len);
    buf_clear(&cancel->pending);
    atomic_store(&cancel->idle, !atomic_load(&cancel->terminated));
}
