#include "lib/wire/stamp.h"

#include <stddef.h>

#include "lib/base/must.h"

#define STEPS_PER 131072 /* stamps until steps are four times as long */

const char *log_stream_name(enum log_stream stream)
{
    static const char *const names[] = {NULL, "out", "err", "nexus"};
    return stream < LOG_STREAMS ? names[stream] : NULL;
}

int64_t stamp_step_ms(uint64_t n)
{
    return n < STAMPS_MAX ? (int64_t)1 << (2 * (n / STEPS_PER)) : INT64_MAX;
}

void stamp_encode(struct buf *buf, const struct stamp *stamp)
{
    must(stamp->offset < (uint64_t)1 << 56 && stamp->stream < LOG_STREAMS);
    buf_u64(buf, stamp->offset << 8 | (uint64_t)stamp->stream);
    buf_u64(buf, (uint64_t)stamp->at_ms);
}

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (size_t i = 8; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

struct stamp stamp_decode(const void *p)
{
    uint64_t first = read_u64(p), at = read_u64((const uint8_t *)p + 8);
    struct stamp stamp = {.offset = first >> 8, .at_ms = (int64_t)(at & INT64_MAX)};
    stamp.stream = (first & 0xff) < LOG_STREAMS ? (enum log_stream)(first & 0xff) : LOG_UNKNOWN;
    return stamp;
}
