#include "lib/wire/wire.h"

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "nexus/limits.h"
#include "nexus/states.h"
#include "tests/unit/test.h"

/* Random messages, made in an arena. */

static struct wire_bytes random_bytes(struct rng *rng, struct arena *arena, size_t max)
{
    size_t n = (size_t)rng_below(rng, max + 1);
    char *p = arena_alloc(arena, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)rng_below(rng, 256);
    return wire_text(p, n);
}

static struct nx_inst_id random_inst(struct rng *rng)
{
    struct nx_inst_id inst = {{rng_next(rng)}, (uint32_t)rng_next(rng), (int32_t)rng_below(rng, 9)};
    inst.map -= 1;
    return inst;
}

static uint32_t u32(struct rng *rng)
{
    return (uint32_t)rng_next(rng);
}

static int64_t i63(struct rng *rng)
{
    return (int64_t)(rng_next(rng) >> 1);
}

static void random_lists(struct rng *rng, struct arena *arena, struct wire_report *report)
{
    report->n_hands = (uint32_t)rng_below(rng, 5);
    report->n_results = (uint32_t)rng_below(rng, 4);
    report->n_backs = (uint32_t)rng_below(rng, 4);
    struct wire_hand *hands = arena_array(arena, report->n_hands, sizeof *hands);
    struct wire_result *results = arena_array(arena, report->n_results, sizeof *results);
    struct wire_back *backs = arena_array(arena, report->n_backs, sizeof *backs);
    for (uint32_t i = 0; i < report->n_hands; i++) {
        hands[i] = (struct wire_hand){.inst = random_inst(rng),
                                      .lease = u32(rng),
                                      .state = (uint8_t)rng_below(rng, 3),
                                      .started_ms = i63(rng),
                                      .progress = (uint16_t)rng_below(rng, 1001),
                                      .has_text = (uint8_t)rng_below(rng, 2)};
        if (hands[i].has_text)
            hands[i].text = wire_text("half w\xc3\xa4y", rng_below(rng, 2) ? 9 : 6);
    }
    for (uint32_t i = 0; i < report->n_results; i++)
        results[i] = (struct wire_result){random_inst(rng),
                                          u32(rng),
                                          u32(rng),
                                          (uint8_t)(1 + rng_below(rng, NX_ATTEMPT_OUTCOMES - 1)),
                                          (uint8_t)rng_below(rng, NX_CODES),
                                          (uint8_t)rng_below(rng, 2),
                                          (int32_t)u32(rng),
                                          (int32_t)u32(rng),
                                          i63(rng),
                                          i63(rng),
                                          i63(rng),
                                          i63(rng),
                                          random_bytes(rng, arena, 40),
                                          random_bytes(rng, arena, 40)};
    for (uint32_t i = 0; i < report->n_backs; i++)
        backs[i] = (struct wire_back){random_inst(rng), u32(rng)};
    report->hands = hands;
    report->results = results;
    report->backs = backs;
    report->n_pokes = (uint32_t)rng_below(rng, 4);
    struct wire_poke *pokes = arena_array(arena, report->n_pokes, sizeof *pokes);
    for (uint32_t i = 0; i < report->n_pokes; i++) {
        pokes[i] = (struct wire_poke){.number = rng_next(rng), .state = (uint8_t)rng_below(rng, 3)};
        pokes[i].result.outcome = rng_chance(rng, 1, 2) ? NX_AO_SUCCESS : NX_AO_FAILED;
        pokes[i].result.outputs = random_bytes(rng, arena, 40);
        pokes[i].result.error = random_bytes(rng, arena, 40);
    }
    report->pokes = pokes;
}

static struct wire_report random_report(struct rng *rng, struct arena *arena)
{
    struct wire_report report = {
        .kind = rng_chance(rng, 1, 4) ? WIRE_LISTEN : WIRE_REPORT,
        .worker = wire_text("worker-1", 1 + (size_t)rng_below(rng, 8)),
        .incarnation = rng_next(rng) | 1,
        .epoch = rng_next(rng),
        .seq = rng_next(rng),
        .seen = rng_next(rng),
    };
    if (report.kind == WIRE_LISTEN)
        return report;
    report.host = random_bytes(rng, arena, 20);
    report.version = random_bytes(rng, arena, 20);
    report.catalog = random_bytes(rng, arena, 20);
    report.queues = random_bytes(rng, arena, 20);
    report.pid = u32(rng);
    report.slots = (uint32_t)rng_below(rng, NX_SLOTS_MAX + 1);
    report.gpus = u32(rng);
    report.memory_bytes = i63(rng);
    report.ipc = (uint8_t)rng_below(rng, 2);
    report.draining = (uint8_t)rng_below(rng, 2);
    report.n_free = u32(rng);
    report.n_queued = u32(rng);
    report.starved = rng_next(rng);
    report.mean_us = u32(rng);
    random_lists(rng, arena, &report);
    return report;
}

static struct wire_order random_order(struct rng *rng, struct arena *arena, uint64_t number)
{
    struct wire_order order = {.number = number,
                               .kind = (uint8_t)(1 + rng_below(rng, 6)),
                               .inst = random_inst(rng),
                               .lease = u32(rng)};
    if (order.kind == WIRE_POKE)
        order.poke = rng_next(rng);
    if (!wire_starts(order.kind))
        return order;
    order.attempt = u32(rng);
    order.max_attempts = u32(rng);
    order.flags = (uint8_t)rng_below(rng, 4);
    order.version = rng_next(rng);
    order.cpus_milli = u32(rng);
    order.gpus = u32(rng);
    order.memory_bytes = i63(rng);
    order.timeout_ms = i63(rng);
    order.grace_ms = i63(rng);
    order.task_id = random_bytes(rng, arena, 64);
    order.outputs = random_bytes(rng, arena, 100);
    return order;
}

/* Writes a reply whose pieces come in a random order; `to` is what decoding has to give. */
static void random_reply(struct rng *rng, struct arena *arena, struct buf *buf,
                         struct wire_reply *to)
{
    struct wire_definition *definitions = arena_array(arena, 8, sizeof *definitions);
    struct wire_run *runs = arena_array(arena, 8, sizeof *runs);
    struct wire_order *orders = arena_array(arena, 8, sizeof *orders);
    *to = (struct wire_reply){.ack = rng_next(rng),
                              .epoch = rng_next(rng),
                              .refused = (uint8_t)rng_below(rng, 2),
                              .more = (uint8_t)rng_below(rng, 2),
                              .text = random_bytes(rng, arena, 50),
                              .url = random_bytes(rng, arena, 50),
                              .home = random_bytes(rng, arena, 50),
                              .lease_ttl_ms = u32(rng),
                              .definitions = definitions,
                              .runs = runs,
                              .orders = orders};
    struct wire_reply_writer writer;
    wire_reply_begin(&writer, buf, to);
    for (uint64_t n = rng_below(rng, 8), i = 0; i < n; i++) {
        uint64_t what = rng_below(rng, 3);
        if (what == 0) {
            struct wire_definition d = {rng_next(rng), u32(rng), random_bytes(rng, arena, 90)};
            definitions[to->n_definitions++] = d;
            wire_reply_definition(&writer, &d);
        } else if (what == 1) {
            struct wire_run run = {{rng_next(rng)}, random_bytes(rng, arena, 90)};
            runs[to->n_runs++] = run;
            wire_reply_run(&writer, &run);
        } else {
            struct wire_order order = random_order(rng, arena, i + 1);
            orders[to->n_orders++] = order;
            size_t before = wire_reply_size(&writer);
            wire_reply_order(&writer, &order);
            assert_true(wire_reply_size(&writer) - before <= wire_order_size(&order));
        }
    }
    wire_reply_end(&writer, to->more);
}

/* Comparisons, field by field. */

static void same_bytes(struct wire_bytes a, struct wire_bytes b)
{
    assert_int_equal(a.n, b.n);
    if (a.n)
        assert_memory_equal(a.p, b.p, a.n);
}

static void same_inst(struct nx_inst_id a, struct nx_inst_id b)
{
    assert_true(a.run.v == b.run.v && a.task == b.task && a.map == b.map);
}

static void same_result(const struct wire_result *a, const struct wire_result *b)
{
    same_inst(a->inst, b->inst);
    assert_true(a->lease == b->lease && a->attempt == b->attempt && a->outcome == b->outcome &&
                a->code == b->code && a->flags == b->flags && a->exit_code == b->exit_code &&
                a->signal == b->signal && a->started_ms == b->started_ms &&
                a->finished_ms == b->finished_ms && a->max_rss_bytes == b->max_rss_bytes &&
                a->cpu_us == b->cpu_us);
    same_bytes(a->outputs, b->outputs);
    same_bytes(a->error, b->error);
}

static void same_report(const struct wire_report *a, const struct wire_report *b)
{
    assert_true(
        a->kind == b->kind && a->incarnation == b->incarnation && a->epoch == b->epoch &&
        a->seq == b->seq && a->seen == b->seen && a->pid == b->pid && a->slots == b->slots &&
        a->gpus == b->gpus && a->memory_bytes == b->memory_bytes && a->ipc == b->ipc &&
        a->draining == b->draining && a->n_free == b->n_free && a->n_queued == b->n_queued &&
        a->starved == b->starved && a->mean_us == b->mean_us && a->n_hands == b->n_hands &&
        a->n_results == b->n_results && a->n_backs == b->n_backs && a->n_pokes == b->n_pokes);
    same_bytes(a->worker, b->worker);
    same_bytes(a->host, b->host);
    same_bytes(a->version, b->version);
    same_bytes(a->catalog, b->catalog);
    same_bytes(a->queues, b->queues);
    for (uint32_t i = 0; i < a->n_hands; i++) {
        const struct wire_hand *x = &a->hands[i], *y = &b->hands[i];
        same_inst(x->inst, y->inst);
        assert_true(x->lease == y->lease && x->state == y->state &&
                    x->started_ms == y->started_ms && x->progress == y->progress &&
                    x->has_text == y->has_text);
        same_bytes(x->text, y->text);
    }
    for (uint32_t i = 0; i < a->n_results; i++)
        same_result(&a->results[i], &b->results[i]);
    for (uint32_t i = 0; i < a->n_backs; i++) {
        same_inst(a->backs[i].inst, b->backs[i].inst);
        assert_int_equal(a->backs[i].lease, b->backs[i].lease);
    }
    for (uint32_t i = 0; i < a->n_pokes; i++) {
        assert_true(a->pokes[i].number == b->pokes[i].number &&
                    a->pokes[i].state == b->pokes[i].state);
        if (a->pokes[i].state == WIRE_POKE_ENDED)
            same_result(&a->pokes[i].result, &b->pokes[i].result);
    }
}

static void same_order(const struct wire_order *a, const struct wire_order *b)
{
    same_inst(a->inst, b->inst);
    assert_true(a->number == b->number && a->kind == b->kind && a->lease == b->lease &&
                a->poke == b->poke && a->attempt == b->attempt &&
                a->max_attempts == b->max_attempts && a->flags == b->flags &&
                a->version == b->version && a->cpus_milli == b->cpus_milli && a->gpus == b->gpus &&
                a->memory_bytes == b->memory_bytes && a->timeout_ms == b->timeout_ms &&
                a->grace_ms == b->grace_ms);
    same_bytes(a->task_id, b->task_id);
    same_bytes(a->outputs, b->outputs);
}

static void same_reply(const struct wire_reply *a, const struct wire_reply *b)
{
    assert_true(a->ack == b->ack && a->epoch == b->epoch && a->refused == b->refused &&
                a->more == b->more && a->lease_ttl_ms == b->lease_ttl_ms &&
                a->n_definitions == b->n_definitions && a->n_runs == b->n_runs &&
                a->n_orders == b->n_orders);
    same_bytes(a->text, b->text);
    same_bytes(a->url, b->url);
    same_bytes(a->home, b->home);
    for (uint32_t i = 0; i < a->n_definitions; i++) {
        assert_true(a->definitions[i].version == b->definitions[i].version &&
                    a->definitions[i].task == b->definitions[i].task);
        same_bytes(a->definitions[i].text, b->definitions[i].text);
    }
    for (uint32_t i = 0; i < a->n_runs; i++) {
        assert_true(a->runs[i].run.v == b->runs[i].run.v);
        same_bytes(a->runs[i].text, b->runs[i].text);
    }
    for (uint32_t i = 0; i < a->n_orders; i++)
        same_order(&a->orders[i], &b->orders[i]);
}

/* Decodes from a block of exactly n bytes, so that a sanitizer sees a read beyond it. */
static bool decode_copy(const void *p, size_t n, bool reply, struct nx_err *err)
{
    struct arena arena;
    struct wire_report report;
    struct wire_reply answer;
    arena_init(&arena);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    bool ok = reply ? wire_decode_reply(copy, n, &arena, &answer, err)
                    : wire_decode_report(copy, n, &arena, &report, err);
    free(copy);
    arena_fini(&arena);
    return ok;
}

static void every_report_comes_back_as_it_was(void **state)
{
    (void)state;
    struct rng rng;
    struct arena arena;
    struct buf buf;
    rng_init(&rng, 1);
    arena_init(&arena);
    buf_init(&buf);
    for (int i = 0; i < 3000; i++) {
        struct wire_report sent = random_report(&rng, &arena), got;
        struct nx_err err = {0};
        buf_clear(&buf);
        wire_encode_report(&buf, &sent);
        assert_true(wire_decode_report(buf.data, buf.len, &arena, &got, &err));
        same_report(&sent, &got);
        arena_reset(&arena);
    }
    buf_fini(&buf);
    arena_fini(&arena);
}

static void every_reply_comes_back_whatever_the_order_of_its_pieces(void **state)
{
    (void)state;
    struct rng rng;
    struct arena arena;
    struct buf buf;
    rng_init(&rng, 2);
    arena_init(&arena);
    buf_init(&buf);
    for (int i = 0; i < 3000; i++) {
        struct wire_reply sent, got;
        struct nx_err err = {0};
        buf_clear(&buf);
        random_reply(&rng, &arena, &buf, &sent);
        assert_true(wire_decode_reply(buf.data, buf.len, &arena, &got, &err));
        same_reply(&sent, &got);
        arena_reset(&arena);
    }
    buf_fini(&buf);
    arena_fini(&arena);
}

static void every_truncation_and_every_extra_byte_is_refused(void **state)
{
    (void)state;
    struct rng rng;
    struct arena arena;
    struct buf buf;
    rng_init(&rng, 3);
    arena_init(&arena);
    buf_init(&buf);
    for (int i = 0; i < 200; i++) {
        bool is_reply = i % 2;
        buf_clear(&buf);
        if (is_reply) {
            struct wire_reply reply;
            random_reply(&rng, &arena, &buf, &reply);
        } else {
            struct wire_report report = random_report(&rng, &arena);
            wire_encode_report(&buf, &report);
        }
        for (size_t n = 0; n < buf.len; n++) {
            struct nx_err err = {0};
            assert_false(decode_copy(buf.data, n, is_reply, &err));
            assert_int_equal(err.code, NX_E_INVALID);
        }
        buf_u8(&buf, 0);
        assert_false(decode_copy(buf.data, buf.len, is_reply, NULL));
        arena_reset(&arena);
    }
    buf_fini(&buf);
    arena_fini(&arena);
}

static void random_and_mutated_bytes_never_crash_the_decoder(void **state)
{
    (void)state;
    struct rng rng;
    struct arena arena;
    struct buf buf;
    rng_init(&rng, 4);
    arena_init(&arena);
    buf_init(&buf);
    for (int i = 0; i < 20000; i++) {
        bool is_reply = i % 2;
        buf_clear(&buf);
        if (rng_chance(&rng, 1, 4)) {
            struct wire_bytes bytes = random_bytes(&rng, &arena, 300);
            buf_u16(&buf, WIRE_VERSION);
            buf_add(&buf, bytes.p, bytes.n);
        } else if (is_reply) {
            struct wire_reply reply;
            random_reply(&rng, &arena, &buf, &reply);
        } else {
            struct wire_report report = random_report(&rng, &arena);
            wire_encode_report(&buf, &report);
        }
        for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--)
            buf.data[rng_below(&rng, buf.len)] = (char)rng_below(&rng, 256);
        decode_copy(buf.data, buf.len, is_reply, NULL);
        arena_reset(&arena);
    }
    buf_fini(&buf);
    arena_fini(&arena);
}

static void a_count_that_the_message_cannot_hold_allocates_nothing(void **state)
{
    (void)state;
    struct wire_report report = {
        .kind = WIRE_REPORT, .worker = wire_text("w", 1), .incarnation = 1, .seq = 1};
    struct arena arena;
    struct buf buf;
    arena_init(&arena);
    buf_init(&buf);
    wire_encode_report(&buf, &report);
    /* The last 12 bytes are the three counts. */
    memset(buf.data + buf.len - 12, 0xff, 4);
    struct nx_err err = {0};
    assert_false(wire_decode_report(buf.data, buf.len, &arena, &report, &err));
    assert_true(arena.n_bytes < 4096);
    buf_fini(&buf);
    arena_fini(&arena);
}

static void a_worker_whose_name_is_none_is_not_understood(void **state)
{
    (void)state;
    static const struct wire_bytes names[] = {
        {"a\0b", 3}, {"A", 1}, {"a b", 3}, {"\x1b[31m", 5}, {"../x", 4}, {"\xff", 1}, {"w-1_x", 5}};
    enum { N = sizeof names / sizeof *names };
    for (size_t i = 0; i < N; i++) {
        struct wire_report report = {
            .kind = WIRE_LISTEN, .worker = names[i], .incarnation = 1, .seq = 1};
        struct arena arena;
        struct buf buf;
        arena_init(&arena);
        buf_init(&buf);
        wire_encode_report(&buf, &report);
        assert_int_equal(wire_decode_report(buf.data, buf.len, &arena, &report, NULL), i == N - 1);
        buf_fini(&buf);
        arena_fini(&arena);
    }
}

static void another_version_is_refused_and_both_are_named(void **state)
{
    (void)state;
    struct wire_report report = {
        .kind = WIRE_LISTEN, .worker = wire_text("w", 1), .incarnation = 1, .seq = 1};
    struct arena arena;
    struct buf buf;
    struct nx_err err = {0};
    arena_init(&arena);
    buf_init(&buf);
    wire_encode_report(&buf, &report);
    buf.data[0] = 77;
    assert_false(wire_decode_report(buf.data, buf.len, &arena, &report, &err));
    assert_int_equal(err.code, NX_E_INVALID);
    assert_non_null(strstr(err.text, "77"));
    buf_fini(&buf);
    arena_fini(&arena);
}

static void a_report_is_no_reply_and_a_reply_no_report(void **state)
{
    (void)state;
    struct wire_report report = {
        .kind = WIRE_REPORT, .worker = wire_text("w", 1), .incarnation = 1, .seq = 1};
    struct wire_reply reply = {.ack = 1};
    struct wire_reply_writer writer;
    struct buf buf;
    buf_init(&buf);
    wire_encode_report(&buf, &report);
    assert_true(decode_copy(buf.data, buf.len, false, NULL));
    assert_false(decode_copy(buf.data, buf.len, true, NULL));
    buf_clear(&buf);
    wire_reply_begin(&writer, &buf, &reply);
    wire_reply_end(&writer, false);
    assert_true(decode_copy(buf.data, buf.len, true, NULL));
    assert_false(decode_copy(buf.data, buf.len, false, NULL));
    buf_fini(&buf);
}

static void a_result_takes_the_bytes_that_its_size_says(void **state)
{
    (void)state;
    struct wire_result result = {.outcome = NX_AO_FAILED,
                                 .code = NX_E_IO,
                                 .outputs = wire_text("{\"a\":1}", 7),
                                 .error = wire_text("no", 2)};
    struct wire_report report = {
        .kind = WIRE_REPORT, .worker = wire_text("w", 1), .incarnation = 1, .seq = 1};
    struct buf buf;
    buf_init(&buf);
    wire_encode_report(&buf, &report);
    size_t before = buf.len;
    buf_clear(&buf);
    report.n_results = 1;
    report.results = &result;
    wire_encode_report(&buf, &report);
    assert_int_equal(buf.len - before, wire_result_size(&result));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_report_comes_back_as_it_was),
        cmocka_unit_test(every_reply_comes_back_whatever_the_order_of_its_pieces),
        cmocka_unit_test(every_truncation_and_every_extra_byte_is_refused),
        cmocka_unit_test(random_and_mutated_bytes_never_crash_the_decoder),
        cmocka_unit_test(a_count_that_the_message_cannot_hold_allocates_nothing),
        cmocka_unit_test(a_worker_whose_name_is_none_is_not_understood),
        cmocka_unit_test(another_version_is_refused_and_both_are_named),
        cmocka_unit_test(a_report_is_no_reply_and_a_reply_no_report),
        cmocka_unit_test(a_result_takes_the_bytes_that_its_size_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
