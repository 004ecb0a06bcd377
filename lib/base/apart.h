/* Work in a short-lived child of our own: a program that reads its standard input and answers on
 * its standard output, and is killed when it takes too long or says too much. */
#ifndef LIB_BASE_APART_H
#define LIB_BASE_APART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct apart {
    const char *const *argv; /* argv[0]: the program's path */
    const char *const *env;  /* NULL: ours */
    int in;                  /* what it reads: a descriptor that stays the caller's */
    size_t out_max;          /* bytes of its answer */
    int64_t timeout_ms;
    bool (*cancelled)(void *arg); /* asked now and then; NULL: never */
    void *arg;
};

enum apart_end {
    APART_ENDED,
    APART_NOT_STARTED, /* errno says why */
    APART_LATE,        /* these were killed */
    APART_TOO_LONG,
    APART_CANCELLED
};

/* Runs it on the calling thread. *status: of waitpid. */
enum apart_end apart_run(const struct apart *apart, struct buf *out, int *status);

/* For the child: all of a descriptor, all to a descriptor; false: errno, or more than max. */
bool apart_read(int fd, struct buf *to, size_t max);
bool apart_write(int fd, const char *p, size_t n);

#endif
