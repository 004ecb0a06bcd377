/* The lines of a stream that contain a text. Pure.
 *
 * A line that is longer than SIEVE_LINE_MAX is looked at in pieces of so many bytes. */
#ifndef SCHEDULER_PORT_SIEVE_H
#define SCHEDULER_PORT_SIEVE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

#define SIEVE_LINE_MAX (64 * 1024)

struct sieve {
    char *text;
    struct buf line; /* what has come of the line */
    struct buf out;  /* lines, from n_taken on not yet taken */
    size_t n_taken;
};

void sieve_init(struct sieve *sieve, const char *text);
void sieve_fini(struct sieve *sieve);
void sieve_add(struct sieve *sieve, const char *p, size_t n);
/* Nothing more comes: the last line may be without its end. */
void sieve_end(struct sieve *sieve);
/* Takes at most `max` bytes; 0: there are none. */
size_t sieve_take(struct sieve *sieve, char *to, size_t max);

#endif
