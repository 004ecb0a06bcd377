#include "lib/wire/wire.h"

#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "nexus/states.h"

/* Every message: version u16 | kind u8 | body.
 *
 * A reply's head has its three counts and `more` at fixed places, written at the end; its pieces
 * follow in any order, each after a byte that says what it is; PIECE_END closes. So a truncated
 * message is never a shorter one. */
enum { PIECE_END = 0, PIECE_DEFINITION = 1, PIECE_RUN = 2, PIECE_ORDER = 3 };

#define MORE_AT 3 /* from the start of a reply */
#define COUNTS_AT 4
#define INST_BYTES 16u
#define HAND_BYTES (INST_BYTES + 4 + 1 + 8 + 2 + 1)
#define RESULT_BYTES (INST_BYTES + 4 + 4 + 3 + 4 + 4 + 8 + 8 + 8 + 8 + 4 + 4)
#define BACK_BYTES (INST_BYTES + 4)
#define POKE_BYTES (8 + 1)
#define DEFINITION_BYTES (8 + 4 + 4)
#define RUN_BYTES (8 + 4)
#define ORDER_BYTES (8 + 1 + INST_BYTES + 4)
#define LEASE_BYTES (8 + 4 + 4 + 1 + 8 + 4 + 4 + 8 + 8 + 8 + 4 + 4 + 4)
#define TEXT_MAX 4096 /* of short texts: host, version, queues, url, ... */
#define PROGRESS_NONE 65535

/* ---- Encoding ---- */

static void put_bytes(struct buf *buf, struct wire_bytes bytes)
{
    must(bytes.n <= NX_RECEIVE_MAX && (bytes.p || bytes.n == 0));
    buf_u32(buf, (uint32_t)bytes.n);
    if (bytes.n)
        buf_add(buf, bytes.p, bytes.n);
}

static void put_short(struct buf *buf, struct wire_bytes bytes)
{
    must(bytes.n <= TEXT_MAX);
    put_bytes(buf, bytes);
}

static void put_inst(struct buf *buf, struct nx_inst_id inst)
{
    buf_u64(buf, inst.run.v);
    buf_u32(buf, inst.task);
    buf_u32(buf, (uint32_t)inst.map);
}

static void put_head(struct buf *buf, enum wire_kind kind)
{
    buf_u16(buf, WIRE_VERSION);
    buf_u8(buf, (uint8_t)kind);
}

static void put_hand(struct buf *buf, const struct wire_hand *hand)
{
    must(hand->state <= WIRE_HAND_DONE);
    must(hand->progress <= 1000 || hand->progress == PROGRESS_NONE);
    put_inst(buf, hand->inst);
    buf_u32(buf, hand->lease);
    buf_u8(buf, hand->state);
    buf_u64(buf, (uint64_t)hand->started_ms);
    buf_u16(buf, hand->progress);
    buf_u8(buf, hand->has_text ? 1 : 0);
    if (hand->has_text) {
        must(hand->text.n <= WIRE_PROGRESS_TEXT_MAX);
        put_bytes(buf, hand->text);
    }
}

static void put_result(struct buf *buf, const struct wire_result *result)
{
    must(result->outcome > NX_AO_NONE && result->outcome < NX_ATTEMPT_OUTCOMES);
    must(result->code < NX_CODES);
    put_inst(buf, result->inst);
    buf_u32(buf, result->lease);
    buf_u32(buf, result->attempt);
    buf_u8(buf, result->outcome);
    buf_u8(buf, result->code);
    buf_u8(buf, result->flags);
    buf_u32(buf, (uint32_t)result->exit_code);
    buf_u32(buf, (uint32_t)result->signal);
    buf_u64(buf, (uint64_t)result->started_ms);
    buf_u64(buf, (uint64_t)result->finished_ms);
    buf_u64(buf, (uint64_t)result->max_rss_bytes);
    buf_u64(buf, (uint64_t)result->cpu_us);
    put_bytes(buf, result->outputs);
    put_bytes(buf, result->error);
}

size_t wire_result_size(const struct wire_result *result)
{
    return RESULT_BYTES + result->outputs.n + result->error.n;
}

static void put_poke(struct buf *buf, const struct wire_poke *poke)
{
    must(poke->state <= WIRE_POKE_ENDED);
    buf_u64(buf, poke->number);
    buf_u8(buf, poke->state);
    if (poke->state == WIRE_POKE_ENDED)
        put_result(buf, &poke->result);
}

size_t wire_poke_size(const struct wire_poke *poke)
{
    return POKE_BYTES + (poke->state == WIRE_POKE_ENDED ? wire_result_size(&poke->result) : 0);
}

static void put_state(struct buf *buf, const struct wire_report *report)
{
    put_short(buf, report->host);
    put_short(buf, report->version);
    put_short(buf, report->catalog);
    put_short(buf, report->queues);
    buf_u32(buf, report->pid);
    buf_u32(buf, report->slots);
    buf_u32(buf, report->gpus);
    buf_u64(buf, (uint64_t)report->memory_bytes);
    buf_u8(buf, report->ipc);
    buf_u8(buf, report->draining);
    buf_u32(buf, report->n_free);
    buf_u32(buf, report->n_queued);
    buf_u64(buf, report->starved);
    buf_u32(buf, report->mean_us);
}

void wire_encode_report(struct buf *buf, const struct wire_report *report)
{
    size_t start = buf->len;
    must(report->kind == WIRE_REPORT || report->kind == WIRE_LISTEN);
    must(report->worker.n > 0 && report->worker.n <= NX_ID_MAX && report->incarnation != 0);
    put_head(buf, (enum wire_kind)report->kind);
    put_bytes(buf, report->worker);
    buf_u64(buf, report->incarnation);
    buf_u64(buf, report->epoch);
    buf_u64(buf, report->seq);
    buf_u64(buf, report->seen);
    if (report->kind == WIRE_REPORT) {
        put_state(buf, report);
        buf_u32(buf, report->n_hands);
        for (uint32_t i = 0; i < report->n_hands; i++)
            put_hand(buf, &report->hands[i]);
        buf_u32(buf, report->n_results);
        for (uint32_t i = 0; i < report->n_results; i++)
            put_result(buf, &report->results[i]);
        buf_u32(buf, report->n_backs);
        for (uint32_t i = 0; i < report->n_backs; i++) {
            put_inst(buf, report->backs[i].inst);
            buf_u32(buf, report->backs[i].lease);
        }
        buf_u32(buf, report->n_pokes);
        for (uint32_t i = 0; i < report->n_pokes; i++)
            put_poke(buf, &report->pokes[i]);
    }
    must(buf->len - start <= NX_MESSAGE_MAX); /* the sender splits */
}

void wire_reply_begin(struct wire_reply_writer *writer, struct buf *buf,
                      const struct wire_reply *head)
{
    *writer = (struct wire_reply_writer){.buf = buf, .start = buf->len};
    put_head(buf, WIRE_REPLY);
    buf_u8(buf, 0);
    for (int i = 0; i < 3; i++)
        buf_u32(buf, 0);
    buf_u64(buf, head->ack);
    buf_u64(buf, head->epoch);
    buf_u8(buf, head->refused ? 1 : 0);
    put_short(buf, head->text);
    put_short(buf, head->url);
    put_short(buf, head->home);
    buf_u32(buf, head->lease_ttl_ms);
}

void wire_reply_definition(struct wire_reply_writer *writer,
                           const struct wire_definition *definition)
{
    writer->n_definitions++;
    buf_u8(writer->buf, PIECE_DEFINITION);
    buf_u64(writer->buf, definition->version);
    buf_u32(writer->buf, definition->task);
    put_bytes(writer->buf, definition->text);
}

void wire_reply_run(struct wire_reply_writer *writer, const struct wire_run *run)
{
    writer->n_runs++;
    buf_u8(writer->buf, PIECE_RUN);
    buf_u64(writer->buf, run->run.v);
    put_bytes(writer->buf, run->text);
}

void wire_reply_order(struct wire_reply_writer *writer, const struct wire_order *order)
{
    struct buf *buf = writer->buf;
    must(order->kind >= WIRE_LEASE && order->kind <= WIRE_POKE);
    writer->n_orders++;
    buf_u8(buf, PIECE_ORDER);
    buf_u64(buf, order->number);
    buf_u8(buf, order->kind);
    put_inst(buf, order->inst);
    buf_u32(buf, order->lease);
    if (order->kind == WIRE_POKE)
        buf_u64(buf, order->poke);
    if (!wire_starts(order->kind))
        return;
    buf_u32(buf, order->attempt);
    buf_u32(buf, order->max_attempts);
    buf_u8(buf, order->flags);
    buf_u64(buf, order->version);
    buf_u32(buf, order->cpus_milli);
    buf_u32(buf, order->gpus);
    buf_u64(buf, (uint64_t)order->memory_bytes);
    buf_u64(buf, (uint64_t)order->timeout_ms);
    buf_u64(buf, (uint64_t)order->grace_ms);
    put_short(buf, order->task_id);
    put_bytes(buf, order->outputs);
    put_bytes(buf, order->item);
}

static void patch_u32(struct wire_reply_writer *writer, size_t at, uint32_t v)
{
    unsigned char *p = (unsigned char *)writer->buf->data + writer->start + at;
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

void wire_reply_end(struct wire_reply_writer *writer, bool more)
{
    buf_u8(writer->buf, PIECE_END);
    writer->buf->data[writer->start + MORE_AT] = more ? 1 : 0;
    patch_u32(writer, COUNTS_AT, writer->n_definitions);
    patch_u32(writer, COUNTS_AT + 4, writer->n_runs);
    patch_u32(writer, COUNTS_AT + 8, writer->n_orders);
    /* One order alone, with what it names, cannot be split: it may take up to the receive limit. */
    size_t size = wire_reply_size(writer);
    must(size <= NX_MESSAGE_MAX || (writer->n_orders <= 1 && size <= NX_RECEIVE_MAX));
}

size_t wire_reply_size(const struct wire_reply_writer *writer)
{
    return writer->buf->len - writer->start;
}

size_t wire_order_size(const struct wire_order *order)
{
    return 1 + ORDER_BYTES + LEASE_BYTES + order->task_id.n + order->outputs.n + order->item.n;
}

/* ---- Decoding ---- */

/* What is not read yet; `bad` stays once anything did not fit, and everything read then is 0. */
struct reader {
    const unsigned char *p;
    size_t n;
    bool bad;
};

static uint64_t get(struct reader *r, size_t n_bytes)
{
    if (r->bad || r->n < n_bytes) {
        r->bad = true;
        return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n_bytes; i++)
        v |= (uint64_t)r->p[i] << (8 * i);
    r->p += n_bytes;
    r->n -= n_bytes;
    return v;
}

static uint8_t get_u8(struct reader *r)
{
    return (uint8_t)get(r, 1);
}

static uint16_t get_u16(struct reader *r)
{
    return (uint16_t)get(r, 2);
}

static uint32_t get_u32(struct reader *r)
{
    return (uint32_t)get(r, 4);
}

static uint64_t get_u64(struct reader *r)
{
    return get(r, 8);
}

static int64_t get_i64(struct reader *r)
{
    return (int64_t)get(r, 8);
}

/* An integer that has to be at most max. */
static uint8_t get_upto(struct reader *r, uint8_t max)
{
    uint8_t v = get_u8(r);
    if (v > max) {
        r->bad = true;
        return 0;
    }
    return v;
}

static struct wire_bytes get_bytes(struct reader *r, size_t max)
{
    uint32_t n = get_u32(r);
    if (r->bad || n > r->n || n > max) {
        r->bad = true;
        return (struct wire_bytes){"", 0};
    }
    struct wire_bytes bytes = {(const char *)r->p, n};
    r->p += n;
    r->n -= n;
    return bytes;
}

static struct nx_inst_id get_inst(struct reader *r)
{
    struct nx_inst_id inst;
    inst.run.v = get_u64(r);
    inst.task = get_u32(r);
    inst.map = (int32_t)get_u32(r);
    return inst;
}

/* A count of things of at least min_bytes each: never more than the rest of the message holds. */
static uint32_t get_count(struct reader *r, size_t min_bytes)
{
    uint32_t n = get_u32(r);
    if (r->bad || n > r->n / min_bytes) {
        r->bad = true;
        return 0;
    }
    return n;
}

static bool malformed(struct nx_err *err, const char *what, size_t n)
{
    return nx_fail(err, NX_E_INVALID, "a malformed %s of %zu bytes between scheduler and worker",
                   what, n);
}

static bool check_head(struct reader *r, size_t n, uint8_t *kind, struct nx_err *err)
{
    uint16_t version = get_u16(r);
    *kind = get_u8(r);
    if (r->bad)
        return malformed(err, "message", n);
    if (version != WIRE_VERSION)
        return nx_fail(err, NX_E_INVALID,
                       "the other side speaks version %u of the worker protocol, this one version "
                       "%d: install the same release of Nexus on both",
                       version, WIRE_VERSION);
    return true;
}

static void get_hand(struct reader *r, struct wire_hand *hand)
{
    hand->inst = get_inst(r);
    hand->lease = get_u32(r);
    hand->state = get_upto(r, WIRE_HAND_DONE);
    hand->started_ms = get_i64(r);
    hand->progress = get_u16(r);
    hand->has_text = get_upto(r, 1);
    hand->text = hand->has_text ? get_bytes(r, WIRE_PROGRESS_TEXT_MAX) : (struct wire_bytes){"", 0};
    if ((hand->progress > 1000 && hand->progress != PROGRESS_NONE) ||
        memchr(hand->text.p, 0, hand->text.n) || !str_is_utf8(hand->text.p, hand->text.n, NULL))
        r->bad = true;
}

static void get_result(struct reader *r, struct wire_result *result)
{
    result->inst = get_inst(r);
    result->lease = get_u32(r);
    result->attempt = get_u32(r);
    result->outcome = get_upto(r, NX_ATTEMPT_OUTCOMES - 1);
    result->code = get_upto(r, NX_CODES - 1);
    result->flags = get_upto(r, WIRE_RESULT_PERMANENT);
    result->exit_code = (int32_t)get_u32(r);
    result->signal = (int32_t)get_u32(r);
    result->started_ms = get_i64(r);
    result->finished_ms = get_i64(r);
    result->max_rss_bytes = get_i64(r);
    result->cpu_us = get_i64(r);
    result->outputs = get_bytes(r, NX_RECEIVE_MAX);
    result->error = get_bytes(r, NX_RECEIVE_MAX);
    if (result->outcome == NX_AO_NONE)
        r->bad = true;
}

static void get_state(struct reader *r, struct wire_report *report)
{
    report->host = get_bytes(r, TEXT_MAX);
    report->version = get_bytes(r, TEXT_MAX);
    report->catalog = get_bytes(r, TEXT_MAX);
    report->queues = get_bytes(r, TEXT_MAX);
    report->pid = get_u32(r);
    report->slots = get_u32(r);
    report->gpus = get_u32(r);
    report->memory_bytes = get_i64(r);
    report->ipc = get_upto(r, 1);
    report->draining = get_upto(r, 1);
    report->n_free = get_u32(r);
    report->n_queued = get_u32(r);
    report->starved = get_u64(r);
    report->mean_us = get_u32(r);
    if (report->slots > NX_SLOTS_MAX)
        r->bad = true;
}

static void get_poke(struct reader *r, struct wire_poke *poke)
{
    *poke = (struct wire_poke){.number = get_u64(r), .state = get_upto(r, WIRE_POKE_ENDED)};
    if (poke->state != WIRE_POKE_ENDED)
        return;
    get_result(r, &poke->result);
    if (poke->result.outcome != NX_AO_SUCCESS && poke->result.outcome != NX_AO_FAILED)
        r->bad = true;
}

static void get_lists(struct reader *r, struct arena *arena, struct wire_report *report)
{
    report->n_hands = get_count(r, HAND_BYTES);
    struct wire_hand *hands = arena_array(arena, report->n_hands, sizeof *hands);
    for (uint32_t i = 0; i < report->n_hands && !r->bad; i++)
        get_hand(r, &hands[i]);
    report->n_results = get_count(r, RESULT_BYTES);
    struct wire_result *results = arena_array(arena, report->n_results, sizeof *results);
    for (uint32_t i = 0; i < report->n_results && !r->bad; i++)
        get_result(r, &results[i]);
    report->n_backs = get_count(r, BACK_BYTES);
    struct wire_back *backs = arena_array(arena, report->n_backs, sizeof *backs);
    for (uint32_t i = 0; i < report->n_backs && !r->bad; i++) {
        backs[i].inst = get_inst(r);
        backs[i].lease = get_u32(r);
    }
    report->n_pokes = get_count(r, POKE_BYTES);
    struct wire_poke *pokes = arena_array(arena, report->n_pokes, sizeof *pokes);
    for (uint32_t i = 0; i < report->n_pokes && !r->bad; i++)
        get_poke(r, &pokes[i]);
    report->hands = hands;
    report->results = results;
    report->backs = backs;
    report->pokes = pokes;
}

/* A worker's name stands in paths, messages and tables. */
static bool is_name(struct wire_bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return name.n > 0;
}

bool wire_decode_report(const void *p, size_t n, struct arena *arena, struct wire_report *report,
                        struct nx_err *err)
{
    struct reader r = {p, n, false};
    struct wire_report got = {0};
    if (!check_head(&r, n, &got.kind, err))
        return false;
    if (got.kind != WIRE_REPORT && got.kind != WIRE_LISTEN)
        return malformed(err, "report", n);
    got.worker = get_bytes(&r, NX_ID_MAX);
    got.incarnation = get_u64(&r);
    got.epoch = get_u64(&r);
    got.seq = get_u64(&r);
    got.seen = get_u64(&r);
    if (got.kind == WIRE_REPORT) {
        get_state(&r, &got);
        get_lists(&r, arena, &got);
    }
    if (r.bad || r.n || !is_name(got.worker) || got.incarnation == 0)
        return malformed(err, got.kind == WIRE_REPORT ? "report" : "listen", n);
    *report = got;
    return true;
}

static void get_order(struct reader *r, struct wire_order *order)
{
    order->number = get_u64(r);
    order->kind = get_upto(r, WIRE_POKE);
    order->inst = get_inst(r);
    order->lease = get_u32(r);
    if (order->kind == 0)
        r->bad = true;
    if (order->kind == WIRE_POKE)
        order->poke = get_u64(r);
    if (!wire_starts(order->kind))
        return;
    order->attempt = get_u32(r);
    order->max_attempts = get_u32(r);
    order->flags = get_upto(r, WIRE_LEASE_EXCLUSIVE | WIRE_LEASE_SCRIPT);
    order->version = get_u64(r);
    order->cpus_milli = get_u32(r);
    order->gpus = get_u32(r);
    order->memory_bytes = get_i64(r);
    order->timeout_ms = get_i64(r);
    order->grace_ms = get_i64(r);
    order->task_id = get_bytes(r, TEXT_MAX);
    order->outputs = get_bytes(r, NX_RECEIVE_MAX);
    order->item = get_bytes(r, NX_RECEIVE_MAX);
    if (order->memory_bytes < 0 || order->timeout_ms < 0 || order->grace_ms < 0)
        r->bad = true;
}

struct pieces {
    struct wire_definition *definitions;
    struct wire_run *runs;
    struct wire_order *orders;
    uint32_t n_definitions, n_runs, n_orders;
};

/* One piece into the next free place of its kind; false after the last one, or a bad one. */
static bool get_piece(struct reader *r, const struct wire_reply *reply, struct pieces *to)
{
    uint8_t what = get_u8(r);
    if (r->bad || what == PIECE_END)
        return false;
    if (what == PIECE_DEFINITION && to->n_definitions < reply->n_definitions) {
        struct wire_definition *definition = &to->definitions[to->n_definitions++];
        definition->version = get_u64(r);
        definition->task = get_u32(r);
        definition->text = get_bytes(r, NX_RECEIVE_MAX);
    } else if (what == PIECE_RUN && to->n_runs < reply->n_runs) {
        struct wire_run *run = &to->runs[to->n_runs++];
        run->run.v = get_u64(r);
        run->text = get_bytes(r, NX_RECEIVE_MAX);
    } else if (what == PIECE_ORDER && to->n_orders < reply->n_orders) {
        get_order(r, &to->orders[to->n_orders++]);
    } else {
        r->bad = true;
    }
    return !r->bad;
}

static void get_pieces(struct reader *r, struct arena *arena, struct wire_reply *reply)
{
    struct pieces to = {0};
    to.definitions = arena_array(arena, reply->n_definitions, sizeof *to.definitions);
    to.runs = arena_array(arena, reply->n_runs, sizeof *to.runs);
    to.orders = arena_array(arena, reply->n_orders, sizeof *to.orders);
    while (get_piece(r, reply, &to))
        ;
    if (to.n_definitions != reply->n_definitions || to.n_runs != reply->n_runs ||
        to.n_orders != reply->n_orders)
        r->bad = true;
    reply->definitions = to.definitions;
    reply->runs = to.runs;
    reply->orders = to.orders;
}

bool wire_decode_reply(const void *p, size_t n, struct arena *arena, struct wire_reply *reply,
                       struct nx_err *err)
{
    struct reader r = {p, n, false};
    struct wire_reply got = {0};
    uint8_t kind;
    if (!check_head(&r, n, &kind, err))
        return false;
    if (kind != WIRE_REPLY)
        return malformed(err, "reply", n);
    got.more = get_upto(&r, 1);
    got.n_definitions = get_count(&r, DEFINITION_BYTES);
    got.n_runs = get_count(&r, RUN_BYTES);
    got.n_orders = get_count(&r, ORDER_BYTES);
    got.ack = get_u64(&r);
    got.epoch = get_u64(&r);
    got.refused = get_upto(&r, 1);
    got.text = get_bytes(&r, TEXT_MAX);
    got.url = get_bytes(&r, TEXT_MAX);
    got.home = get_bytes(&r, TEXT_MAX);
    got.lease_ttl_ms = get_u32(&r);
    if (!r.bad)
        get_pieces(&r, arena, &got);
    if (r.bad || r.n)
        return malformed(err, "reply", n);
    *reply = got;
    return true;
}
