/* When the bytes of a log came, and from where: stamps that the worker appends to a file beside the
 * log (PATH_STAMPS), each before the bytes that it is about. A stamp holds from its offset on to
 * the next one. Little-endian, 16 bytes; pure.
 *
 * Times do not go back within a log. A stamp is made when the stream changes or time has gone on:
 * by a millisecond at first, by ever more the more stamps there are, and none beyond
 * STAMPS_MAX: the file has at most 16 MiB, whatever is printed. */
#ifndef LIB_WIRE_STAMP_H
#define LIB_WIRE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define STAMP_BYTES 16
#define STAMPS_MAX (1u << 20)

enum log_stream {
    LOG_UNKNOWN, /* of a log without stamps */
    LOG_OUT,     /* stdout; also what operators say */
    LOG_ERR,     /* stderr */
    LOG_NEXUS,   /* lines of the worker itself */
    LOG_STREAMS
};

/* "out", "err", "nexus"; unknown: NULL. */
const char *log_stream_name(enum log_stream stream);

struct stamp {
    uint64_t offset; /* in the log; below 2^56 */
    int64_t at_ms;   /* wall */
    enum log_stream stream;
};

/* How much later than the one before a stamp of the same stream is, when there are n. */
int64_t stamp_step_ms(uint64_t n);
void stamp_encode(struct buf *buf, const struct stamp *stamp);
struct stamp stamp_decode(const void *p); /* any STAMP_BYTES */

#endif
