#include "lib/base/rng.h"
#include "lib/wire/child.h"
#include "tests/unit/test.h"

#include <math.h>

static struct child_message a_start(void)
{
    struct child_message m = {.type = CHILD_START, .ticket = 77};
    m.u.start = (struct child_start){
        .definition_id = 0x1122334455667788u,
        .definition = child_text("{\"run\":\"true\"}"),
        .context = child_text("{}"),
        .key = child_text("12.train.-1.3"),
        .mark = child_text("a-mark"),
        .work = child_text("/w"),
        .artifacts = child_text("/a"),
        .project = child_text("/p"),
        .files = child_text(NULL),
        .url = child_text("http://127.0.0.1:8000"),
        .cpus = 3,
        .outputs_max = 65536,
        .memory_bytes = 1ll << 40,
        .timeout_ms = 1234567890123,
    };
    return m;
}

static struct child_message a_done(void)
{
    struct child_message m = {.type = CHILD_DONE, .ticket = UINT64_MAX};
    m.u.done = (struct child_done){
        .outcome = CHILD_FAILED,
        .permanent = true,
        .retire = true,
        .code = child_text("data"),
        .error = child_text("a \"message\"\nof two lines"),
        .exit_code = -1,
        .signal = 9,
        .outputs = child_text("{\"a\":1}"),
        .max_rss_bytes = 123456789012,
        .cpu_us = 42,
    };
    return m;
}

static size_t all_kinds(struct child_message *all)
{
    static const struct child_text masks[] = {{"one", 3}, {"t\0o", 3}, {"", 0}};
    size_t n = 0;
    all[n++] = a_start();
    all[n++] = a_done();
    all[n++] = (struct child_message){.type = CHILD_CANCEL, .ticket = 5};
    all[n++] = (struct child_message){.type = CHILD_END};
    all[n] = (struct child_message){.type = CHILD_READY};
    all[n++].u.ready = (struct child_ready){CHILD_PROTOCOL, child_text("0.1.0")};
    all[n] = (struct child_message){.type = CHILD_PROGRESS, .ticket = 5};
    all[n++].u.progress = (struct child_progress){0.25, child_text("a quarter")};
    all[n] = (struct child_message){.type = CHILD_METRIC, .ticket = 5};
    all[n++].u.metric = (struct child_metric){child_text("loss"), -1e300, -1};
    all[n] = (struct child_message){.type = CHILD_MASKS, .ticket = 5};
    all[n++].u.masks = (struct child_masks){.n = 3, .texts = masks};
    all[n] = (struct child_message){.type = CHILD_RESOLVED, .ticket = 5};
    all[n++].u.resolved.json = child_text("{\"with\":{}}");
    return n;
}

static void assert_text(struct child_text text, const char *expected)
{
    assert_int_equal(text.n, strlen(expected));
    assert_string_equal(text.at, expected);
}

static void child_start_comes_out_as_it_went_in(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct child_message in = a_start(), out;
    struct nx_err err;
    assert_true(child_encode(&buf, &in, &err));
    assert_true(child_decode(buf.data, buf.len, &out, &err));
    assert_int_equal(out.type, CHILD_START);
    assert_int_equal(out.ticket, 77);
    assert_true(out.u.start.definition_id == 0x1122334455667788u);
    assert_text(out.u.start.definition, "{\"run\":\"true\"}");
    assert_text(out.u.start.context, "{}");
    assert_text(out.u.start.key, "12.train.-1.3");
    assert_text(out.u.start.mark, "a-mark");
    assert_text(out.u.start.work, "/w");
    assert_text(out.u.start.artifacts, "/a");
    assert_text(out.u.start.project, "/p");
    assert_text(out.u.start.files, "");
    assert_text(out.u.start.url, "http://127.0.0.1:8000");
    assert_int_equal(out.u.start.cpus, 3);
    assert_int_equal(out.u.start.outputs_max, 65536);
    assert_true(out.u.start.memory_bytes == 1ll << 40);
    assert_true(out.u.start.timeout_ms == 1234567890123);
    buf_fini(&buf);
}

static void child_done_comes_out_as_it_went_in(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct child_message in = a_done(), out;
    struct nx_err err;
    assert_true(child_encode(&buf, &in, &err));
    assert_true(child_decode(buf.data, buf.len, &out, &err));
    assert_int_equal(out.u.done.outcome, CHILD_FAILED);
    assert_true(out.u.done.permanent && out.u.done.retire);
    assert_text(out.u.done.code, "data");
    assert_text(out.u.done.error, "a \"message\"\nof two lines");
    assert_int_equal(out.u.done.exit_code, -1);
    assert_int_equal(out.u.done.signal, 9);
    assert_text(out.u.done.outputs, "{\"a\":1}");
    assert_true(out.u.done.max_rss_bytes == 123456789012);
    assert_true(out.u.done.cpu_us == 42);
    buf_fini(&buf);
}

static void child_masks_may_hold_zeros_and_are_read_in_turn(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct child_message all[16], out;
    struct child_text text;
    struct nx_err err;
    size_t n = all_kinds(all);
    for (size_t i = 0; i < n; i++)
        if (all[i].type == CHILD_MASKS)
            assert_true(child_encode(&buf, &all[i], &err));
    assert_true(child_decode(buf.data, buf.len, &out, &err));
    assert_true(child_masks_next(&out.u.masks, &text));
    assert_text(text, "one");
    assert_true(child_masks_next(&out.u.masks, &text));
    assert_int_equal(text.n, 3);
    assert_memory_equal(text.at, "t\0o", 4);
    assert_true(child_masks_next(&out.u.masks, &text));
    assert_int_equal(text.n, 0);
    assert_false(child_masks_next(&out.u.masks, &text));
    buf_fini(&buf);
}

static void child_messages_in_one_stream_are_cut_where_they_end(void **state)
{
    (void)state;
    struct buf stream = {0};
    struct child_message all[16], out;
    struct nx_err err;
    size_t n = all_kinds(all), at = 0, frame;
    for (size_t i = 0; i < n; i++)
        assert_true(child_encode(&stream, &all[i], &err));
    for (size_t i = 0; i < n; i++) {
        assert_true(child_frame(stream.data + at, stream.len - at, &frame, &err));
        assert_true(frame > 0);
        assert_true(child_decode(stream.data + at, frame, &out, &err));
        assert_int_equal(out.type, all[i].type);
        assert_true(out.ticket == all[i].ticket);
        at += frame;
    }
    assert_int_equal(at, stream.len);
    buf_fini(&stream);
}

static void child_frame_waits_for_what_is_missing(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct child_message in = a_start();
    struct nx_err err;
    size_t frame = 99;
    assert_true(child_encode(&buf, &in, &err));
    for (size_t n = 0; n < buf.len; n++) {
        assert_true(child_frame(buf.data, n, &frame, &err));
        assert_int_equal(frame, 0);
    }
    assert_true(child_frame(buf.data, buf.len, &frame, &err));
    assert_int_equal(frame, buf.len);
    buf_fini(&buf);
}

static void child_frame_refuses_lengths_that_cannot_be(void **state)
{
    (void)state;
    struct nx_err err;
    size_t frame;
    const unsigned char too_long[] = {0xff, 0xff, 0xff, 0xff}, too_short[] = {8, 0, 0, 0};
    assert_false(child_frame(too_long, 4, &frame, &err));
    assert_int_equal(err.code, NX_E_DATA);
    assert_false(child_frame(too_short, 4, &frame, &err));
}

static void child_encode_refuses_what_is_too_large_and_leaves_the_buffer(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct child_message m = a_start();
    struct nx_err err;
    char *large = malloc(CHILD_MESSAGE_MAX);
    memset(large, 'x', CHILD_MESSAGE_MAX);
    m.u.start.context = (struct child_text){large, CHILD_MESSAGE_MAX};
    buf_str(&buf, "before");
    assert_false(child_encode(&buf, &m, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
    assert_string_equal(buf_text(&buf), "before");
    m.u.start.context.n = 16 * 1024 * 1024; /* NX_CONTEXT_MAX goes */
    assert_true(child_encode(&buf, &m, &err));
    free(large);
    buf_fini(&buf);
}

/* Every message with its length made to fit, cut at each byte: none is accepted. */
static void child_decode_refuses_every_truncation(void **state)
{
    (void)state;
    struct child_message all[16], out;
    struct nx_err err;
    size_t n = all_kinds(all);
    for (size_t i = 0; i < n; i++) {
        struct buf buf = {0};
        assert_true(child_encode(&buf, &all[i], &err));
        for (size_t cut = CHILD_HEAD; cut < buf.len; cut++) {
            char *copy = malloc(cut); /* exact, so that a sanitizer sees a read beyond */
            memcpy(copy, buf.data, cut);
            size_t length = cut - CHILD_HEAD;
            for (size_t b = 0; b < CHILD_HEAD; b++)
                copy[b] = (char)(length >> (8 * b));
            assert_false(child_decode(copy, cut, &out, &err));
            free(copy);
        }
        buf_char(&buf, 0); /* and one byte more */
        buf.data[0] = (char)(buf.data[0] + 1);
        assert_false(child_decode(buf.data, buf.len, &out, &err));
        buf_fini(&buf);
    }
}

static void child_decode_survives_changed_bytes(void **state)
{
    (void)state;
    struct child_message all[16], out;
    struct rng rng;
    size_t n = all_kinds(all), accepted = 0, refused = 0;
    rng_init(&rng, 11);
    for (int round = 0; round < 40000; round++) {
        struct buf buf = {0};
        assert_true(child_encode(&buf, &all[rng_below(&rng, n)], NULL));
        for (uint64_t k = rng_below(&rng, 4); k > 0; k--) {
            size_t at = CHILD_HEAD + rng_below(&rng, buf.len - CHILD_HEAD);
            buf.data[at] = (char)rng_next(&rng);
        }
        char *copy = malloc(buf.len);
        memcpy(copy, buf.data, buf.len);
        if (child_decode(copy, buf.len, &out, NULL)) {
            struct child_text text;
            accepted++;
            while (out.type == CHILD_MASKS && child_masks_next(&out.u.masks, &text))
                assert_int_equal(text.at[text.n], 0);
        } else {
            refused++;
        }
        free(copy);
        buf_fini(&buf);
    }
    assert_true(accepted > 1000 && refused > 1000);
}

static void child_decode_refuses_values_out_of_range(void **state)
{
    (void)state;
    struct child_message m = a_start(), out;
    struct buf buf = {0};
    struct nx_err err;
    m.u.start.cpus = 0;
    assert_true(child_encode(&buf, &m, &err));
    assert_false(child_decode(buf.data, buf.len, &out, &err));
    buf_clear(&buf);
    m = a_start();
    m.u.start.key = (struct child_text){"a\0b", 3};
    assert_true(child_encode(&buf, &m, &err));
    assert_false(child_decode(buf.data, buf.len, &out, &err));
    buf_clear(&buf);
    m = (struct child_message){.type = CHILD_PROGRESS, .ticket = 1};
    m.u.progress.fraction = (double)NAN;
    assert_true(child_encode(&buf, &m, &err));
    assert_false(child_decode(buf.data, buf.len, &out, &err));
    buf_clear(&buf);
    m = (struct child_message){.type = CHILD_CANCEL, .ticket = 0};
    assert_true(child_encode(&buf, &m, &err));
    assert_false(child_decode(buf.data, buf.len, &out, &err));
    buf_fini(&buf);
}

/* The worker's and the child's table see the same starts: a text is sent exactly when it is not
 * there. */
static void child_known_agrees_on_both_sides(void **state)
{
    (void)state;
    static struct child_known worker, child;
    static uint64_t stored[CHILD_KNOWN];
    struct rng rng;
    size_t sent = 0;
    rng_init(&rng, 3);
    for (int i = 0; i < 100000; i++) {
        uint64_t id = rng_below(&rng, 300);
        bool send, is_new;
        size_t slot = child_known_take(&worker, id, &send);
        assert_int_equal(child_known_take(&child, id, &is_new), slot);
        assert_int_equal(send, is_new);
        if (send) {
            stored[slot] = id;
            sent++;
        }
        assert_true(stored[slot] == id);
    }
    assert_true(sent >= 300 && sent < 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_start_comes_out_as_it_went_in),
        cmocka_unit_test(child_done_comes_out_as_it_went_in),
        cmocka_unit_test(child_masks_may_hold_zeros_and_are_read_in_turn),
        cmocka_unit_test(child_messages_in_one_stream_are_cut_where_they_end),
        cmocka_unit_test(child_frame_waits_for_what_is_missing),
        cmocka_unit_test(child_frame_refuses_lengths_that_cannot_be),
        cmocka_unit_test(child_encode_refuses_what_is_too_large_and_leaves_the_buffer),
        cmocka_unit_test(child_decode_refuses_every_truncation),
        cmocka_unit_test(child_decode_survives_changed_bytes),
        cmocka_unit_test(child_decode_refuses_values_out_of_range),
        cmocka_unit_test(child_known_agrees_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
