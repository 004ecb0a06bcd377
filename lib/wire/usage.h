/* What an attempt used of processor and memory over time: records that the worker appends to a file
 * beside its log (PATH_USAGE), and what is read of them. Pure.
 *
 * A record says what was used since the one before, so none needs another one; a piece of a record
 * at the end of a file is none yet. The longer an attempt runs, the rarer records are: from one a
 * second on, the interval doubles whenever USAGE_SHOWN of them would not span the attempt. So only
 * ever the end of the file grows (it is sent like a log), and it stays small: 300 records each time
 * that the attempt's age doubles. Who reads joins the early ones to the same interval. */
#ifndef LIB_WIRE_USAGE_H
#define LIB_WIRE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define USAGE_RECORD_BYTES 32
#define USAGE_EVERY_MS 1000    /* the interval at first */
#define USAGE_SHOWN 600        /* samples of an attempt that are shown at most */
#define USAGE_RECORDS_MAX 8192 /* of a file that are read: those of some hundred years */

struct usage_record {
    int64_t at_ms;  /* wall, its end */
    int64_t age_ms; /* of the attempt then */
    uint32_t span_ms;
    uint32_t n_processes; /* then; at most 65535 are kept */
    int64_t rss_bytes;    /* of all of them, then; whole KiB are kept */
    int64_t cpu_us;       /* used within the span */
};

/* How often an attempt of this age is recorded. */
int64_t usage_interval_ms(int64_t age_ms);

void usage_encode(struct buf *buf, const struct usage_record *record);
/* The records in n bytes that were appended one after the other, at most USAGE_RECORDS_MAX, joined
 * to at most USAGE_SHOWN: processor time adds up, of memory and processes the highest is kept.
 * Returns how many; *interval_ms: what each stands for, but for the first and the last. Any bytes
 * are read without harm. */
size_t usage_decode(const void *p, size_t n, struct usage_record shown[USAGE_SHOWN],
                    int64_t *interval_ms);

#endif
