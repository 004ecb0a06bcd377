/* Secrets out of a stream: each occurrence of a mask becomes "***", also when it comes in pieces.
 * Pure.
 *
 * What may be the beginning of a secret is held back until more is known, at most the longest mask
 * less one byte. At one place the longest mask wins. */
#ifndef WORKER_MASK_H
#define WORKER_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

/* So many bytes of a secret that the end of the stream cuts are masked too. */
#define MASK_CUT_MIN 4

struct mask {
    struct buf texts; /* the masks, one after the other */
    size_t *lengths;  /* of each */
    size_t n;
    bool first[256]; /* whether a mask begins with that byte */
    struct buf held; /* what came and is not out yet */
};

void mask_init(struct mask *mask);
void mask_fini(struct mask *mask);
/* Forgets all masks and what is held; keeps memory. */
void mask_clear(struct mask *mask);
/* Another secret; the empty one is none. */
void mask_add(struct mask *mask, const char *text, size_t n);

/* Appends to `out` what is certain of the bytes. */
void mask_write(struct mask *mask, const char *p, size_t n, struct buf *out);
/* The end of the stream: appends what was held. */
void mask_flush(struct mask *mask, struct buf *out);

#endif
