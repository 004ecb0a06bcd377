/* The messages between scheduler and worker: any bytes decode or are refused; what decodes and is
 * encoded again decodes to the same message. The first byte says which message it is. */
#include <string.h>

#include "lib/base/must.h"
#include "lib/wire/wire.h"
#include "tests/fuzz/fuzz.h"

static void report(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct wire_report first, second;
    struct nx_err err = {0};
    struct buf once, twice;
    arena_init(&arena);
    buf_init(&once);
    buf_init(&twice);
    if (wire_decode_report(data, size, &arena, &first, &err)) {
        wire_encode_report(&once, &first);
        must(wire_decode_report(once.data, once.len, &arena, &second, &err));
        wire_encode_report(&twice, &second);
        must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    buf_fini(&twice);
    buf_fini(&once);
    arena_fini(&arena);
}

static void write_reply(struct buf *to, const struct wire_reply *reply)
{
    struct wire_reply_writer writer;
    wire_reply_begin(&writer, to, reply);
    for (uint32_t i = 0; i < reply->n_definitions; i++)
        wire_reply_definition(&writer, &reply->definitions[i]);
    for (uint32_t i = 0; i < reply->n_runs; i++)
        wire_reply_run(&writer, &reply->runs[i]);
    for (uint32_t i = 0; i < reply->n_orders; i++) {
        size_t before = wire_reply_size(&writer);
        wire_reply_order(&writer, &reply->orders[i]);
        must(wire_reply_size(&writer) - before <= wire_order_size(&reply->orders[i]));
    }
    wire_reply_end(&writer, reply->more);
}

static void reply(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct wire_reply first, second;
    struct nx_err err = {0};
    struct buf once, twice;
    arena_init(&arena);
    buf_init(&once);
    buf_init(&twice);
    if (wire_decode_reply(data, size, &arena, &first, &err)) {
        write_reply(&once, &first);
        must(wire_decode_reply(once.data, once.len, &arena, &second, &err));
        write_reply(&twice, &second);
        must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    buf_fini(&twice);
    buf_fini(&once);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        report(data + 1, size - 1);
    else
        reply(data + 1, size - 1);
    return 0;
}
