/* The messages between scheduler and worker: any bytes decode or are refused; what decodes and is
 * encoded again decodes to the same message. The first byte says which message it is. */
#include <string.h>

#include "lib/base/must.h"
#include "lib/wire/bulk.h"
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

static void bulk(const uint8_t *data, size_t size)
{
    struct bulk_request request;
    struct bulk_reply reply;
    struct wire_bytes token, rest;
    struct nx_err err = {0};
    struct buf once;
    char hash[BULK_HASH + 1];
    buf_init(&once);
    if (bulk_open_envelope(data, size, &token, &rest)) {
        must(token.n + rest.n + 5 == size);
        data += 5 + token.n;
        size = rest.n;
    }
    if (bulk_decode_request(data, size, &request, &err)) {
        bulk_encode_request(&once, &request);
        must(once.len == size && memcmp(once.data, data, size) == 0);
        bulk_path_is_safe(request.path);
    }
    buf_clear(&once);
    if (bulk_decode_reply(data, size, &reply, &err)) {
        bulk_encode_reply(&once, &reply);
        must(once.len == size && memcmp(once.data, data, size) == 0);
    }
    for (size_t at = 0; bulk_next_address((const char *)data, size, &at, hash);)
        must(at <= size);
    buf_fini(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 2)
        bulk(data + 1, size - 1);
    else if (data[0] & 1)
        report(data + 1, size - 1);
    else
        reply(data + 1, size - 1);
    return 0;
}
