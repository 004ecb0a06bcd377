#include "worker/writes.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/vec.h"

#define NUMBER (SIGRTMIN + 5)
#define TAKEN 64 /* at once */

struct watched {
    void *owner; /* NULL: not watched */
    int stream;
};

struct writes {
    int fd;
    VEC(struct watched) by_fd;
};

struct writes *writes_open(void)
{
    /* It comes instead when the queue is full, and would end the process. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, NUMBER);
    if (sigaction(SIGIO, &ignore, NULL) != 0 || pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return NULL;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return NULL;
    struct writes *writes = mem_alloc(sizeof *writes);
    writes->fd = fd;
    return writes;
}

void writes_close(struct writes *writes)
{
    if (!writes)
        return;
    close(writes->fd);
    vec_fini(&writes->by_fd);
    mem_free(writes);
}

bool writes_watch(struct writes *writes, int fd, void *owner, int stream)
{
    const struct f_owner_ex thread = {F_OWNER_TID, gettid()};
    const struct watched none = {NULL, 0};
    int flags = fcntl(fd, F_GETFL);
    while (writes->by_fd.n <= (size_t)fd)
        vec_push(&writes->by_fd, none);
    if (flags < 0 || fcntl(fd, F_SETOWN_EX, &thread) != 0 || fcntl(fd, F_SETSIG, NUMBER) != 0 ||
        fcntl(fd, F_SETFL, flags | O_ASYNC) != 0)
        return false;
    writes->by_fd.at[fd] = (struct watched){owner, stream};
    return true;
}

void writes_pause(int fd, bool pause)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, pause ? flags & ~O_ASYNC : flags | O_ASYNC);
}

void writes_forget(struct writes *writes, int fd)
{
    if ((size_t)fd < writes->by_fd.n)
        writes->by_fd.at[fd].owner = NULL;
}

void writes_take(struct writes *writes, void (*each)(void *owner, int stream))
{
    struct signalfd_siginfo taken[TAKEN];
    ssize_t n;
    do {
        n = read(writes->fd, taken, sizeof taken);
        for (size_t i = 0; n > 0 && i < (size_t)n / sizeof *taken; i++) {
            size_t fd = (size_t)taken[i].ssi_fd;
            const struct watched *watched = fd < writes->by_fd.n ? &writes->by_fd.at[fd] : NULL;
            if (watched && watched->owner)
                each(watched->owner, watched->stream);
        }
    } while (n == (ssize_t)sizeof taken);
}
