#include "lib/wire/child.h"

#include <math.h>
#include <string.h>

#include "lib/base/must.h"

/* type and ticket */
#define FIXED_BYTES 9

struct child_text child_text(const char *s)
{
    return (struct child_text){s, s ? strlen(s) : 0};
}

/* ---- Encoding ---- */

static void put_text(struct buf *to, struct child_text text)
{
    must(text.n <= UINT32_MAX && (text.at || text.n == 0));
    buf_u32(to, (uint32_t)text.n);
    if (text.n)
        buf_add(to, text.at, text.n);
    buf_u8(to, 0);
}

static void put_double(struct buf *to, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_u64(to, bits);
}

static void put_start(struct buf *to, const struct child_start *m)
{
    buf_u64(to, m->definition_id);
    put_text(to, m->definition);
    put_text(to, m->context);
    put_text(to, m->key);
    put_text(to, m->mark);
    put_text(to, m->work);
    put_text(to, m->artifacts);
    put_text(to, m->project);
    put_text(to, m->files);
    put_text(to, m->url);
    buf_u32(to, m->cpus);
    buf_u32(to, m->outputs_max);
    buf_u64(to, (uint64_t)m->memory_bytes);
    buf_u64(to, (uint64_t)m->timeout_ms);
}

static void put_masks(struct buf *to, const struct child_masks *m)
{
    must(m->n <= CHILD_MASKS_MAX);
    buf_u32(to, m->n);
    for (uint32_t i = 0; i < m->n; i++)
        put_text(to, m->texts[i]);
}

static void put_done(struct buf *to, const struct child_done *m)
{
    buf_u8(to, (uint8_t)m->outcome);
    buf_u8(to, m->permanent);
    buf_u8(to, m->retire);
    put_text(to, m->code);
    put_text(to, m->error);
    buf_u32(to, (uint32_t)m->exit_code);
    buf_u32(to, (uint32_t)m->signal);
    put_text(to, m->outputs);
    buf_u64(to, (uint64_t)m->max_rss_bytes);
    buf_u64(to, (uint64_t)m->cpu_us);
}

static void put_body(struct buf *to, const struct child_message *m)
{
    switch (m->type) {
    case CHILD_START:
        put_start(to, &m->u.start);
        break;
    case CHILD_CANCEL:
    case CHILD_END:
        break;
    case CHILD_READY:
        buf_u16(to, m->u.ready.protocol);
        put_text(to, m->u.ready.version);
        break;
    case CHILD_PROGRESS:
        put_double(to, m->u.progress.fraction);
        put_text(to, m->u.progress.text);
        break;
    case CHILD_METRIC:
        put_text(to, m->u.metric.name);
        put_double(to, m->u.metric.value);
        buf_u64(to, (uint64_t)m->u.metric.step);
        break;
    case CHILD_MASKS:
        put_masks(to, &m->u.masks);
        break;
    case CHILD_RESOLVED:
        put_text(to, m->u.resolved.json);
        break;
    case CHILD_DONE:
        put_done(to, &m->u.done);
        break;
    }
}

bool child_encode(struct buf *to, const struct child_message *message, struct nx_err *err)
{
    size_t start = to->len;
    buf_u32(to, 0);
    buf_u8(to, (uint8_t)message->type);
    buf_u64(to, message->ticket);
    put_body(to, message);
    size_t length = to->len - start - CHILD_HEAD;
    if (length > CHILD_MESSAGE_MAX) {
        to->len = start;
        to->data[start] = 0;
        return nx_fail(err, NX_E_LIMIT, "a message of %zu bytes for one attempt; at most %u go",
                       length, CHILD_MESSAGE_MAX);
    }
    for (size_t i = 0; i < CHILD_HEAD; i++)
        to->data[start + i] = (char)(length >> (8 * i));
    return true;
}

/* ---- Decoding ---- */

/* Reads from the front; once something is missing or wrong, bad stays true and zeros come. */
struct reader {
    const unsigned char *at;
    size_t n;
    bool bad;
};

static uint64_t get_int(struct reader *r, size_t n)
{
    if (r->bad || r->n < n) {
        r->bad = true;
        return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += n;
    r->n -= n;
    return v;
}

static uint32_t get_u32(struct reader *r)
{
    return (uint32_t)get_int(r, 4);
}

/* Bytes and their final zero. */
static struct child_text get_bytes(struct reader *r)
{
    size_t n = get_u32(r);
    if (r->bad || r->n < n + 1 || r->at[n] != 0) {
        r->bad = true;
        return (struct child_text){"", 0};
    }
    struct child_text text = {(const char *)r->at, n};
    r->at += n + 1;
    r->n -= n + 1;
    return text;
}

static struct child_text get_text(struct reader *r)
{
    struct child_text text = get_bytes(r);
    if (text.n && memchr(text.at, 0, text.n))
        r->bad = true;
    return text;
}

static double get_double(struct reader *r)
{
    uint64_t bits = get_int(r, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool get_bool(struct reader *r)
{
    uint64_t v = get_int(r, 1);
    if (v > 1)
        r->bad = true;
    return v == 1;
}

static void get_start(struct reader *r, struct child_start *m)
{
    m->definition_id = get_int(r, 8);
    m->definition = get_text(r);
    m->context = get_text(r);
    m->key = get_text(r);
    m->mark = get_text(r);
    m->work = get_text(r);
    m->artifacts = get_text(r);
    m->project = get_text(r);
    m->files = get_text(r);
    m->url = get_text(r);
    m->cpus = get_u32(r);
    m->outputs_max = get_u32(r);
    m->memory_bytes = (int64_t)get_int(r, 8);
    m->timeout_ms = (int64_t)get_int(r, 8);
    if (m->cpus == 0 || m->memory_bytes < 0 || m->timeout_ms < 0)
        r->bad = true;
}

static void get_masks(struct reader *r, struct child_masks *m)
{
    *m = (struct child_masks){.n = get_u32(r)};
    if (m->n > CHILD_MASKS_MAX)
        r->bad = true;
    m->raw = (struct child_text){(const char *)r->at, r->n};
    for (uint32_t i = 0; i < m->n && !r->bad; i++)
        get_bytes(r);
}

static void get_done(struct reader *r, struct child_done *m)
{
    uint64_t outcome = get_int(r, 1);
    if (outcome >= CHILD_OUTCOMES)
        r->bad = true;
    else
        m->outcome = (enum child_outcome)outcome;
    m->permanent = get_bool(r);
    m->retire = get_bool(r);
    m->code = get_text(r);
    m->error = get_text(r);
    m->exit_code = (int32_t)get_u32(r);
    m->signal = (int32_t)get_u32(r);
    m->outputs = get_text(r);
    m->max_rss_bytes = (int64_t)get_int(r, 8);
    m->cpu_us = (int64_t)get_int(r, 8);
    if (m->max_rss_bytes < 0 || m->cpu_us < 0)
        r->bad = true;
}

static void get_body(struct reader *r, struct child_message *m)
{
    switch (m->type) {
    case CHILD_START:
        get_start(r, &m->u.start);
        break;
    case CHILD_CANCEL:
    case CHILD_END:
        break;
    case CHILD_READY:
        m->u.ready.protocol = (uint16_t)get_int(r, 2);
        m->u.ready.version = get_text(r);
        break;
    case CHILD_PROGRESS:
        m->u.progress.fraction = get_double(r);
        m->u.progress.text = get_text(r);
        if (!isfinite(m->u.progress.fraction) || m->u.progress.fraction > 1)
            r->bad = true;
        break;
    case CHILD_METRIC:
        m->u.metric.name = get_text(r);
        m->u.metric.value = get_double(r);
        m->u.metric.step = (int64_t)get_int(r, 8);
        break;
    case CHILD_MASKS:
        get_masks(r, &m->u.masks);
        break;
    case CHILD_RESOLVED:
        m->u.resolved.json = get_text(r);
        break;
    case CHILD_DONE:
        get_done(r, &m->u.done);
        break;
    default:
        r->bad = true;
    }
}

bool child_frame(const void *p, size_t n, size_t *frame_bytes, struct nx_err *err)
{
    if (n < CHILD_HEAD) {
        *frame_bytes = 0;
        return true;
    }
    struct reader r = {p, n, false};
    uint32_t length = get_u32(&r);
    if (length < FIXED_BYTES || length > CHILD_MESSAGE_MAX)
        return nx_fail(err, NX_E_DATA, "a frame of %u bytes between worker and child; %d to %u",
                       length, FIXED_BYTES, CHILD_MESSAGE_MAX);
    *frame_bytes = r.n < length ? 0 : CHILD_HEAD + (size_t)length;
    return true;
}

bool child_decode(const void *p, size_t n, struct child_message *message, struct nx_err *err)
{
    size_t frame_bytes;
    if (!child_frame(p, n, &frame_bytes, err))
        return false;
    if (frame_bytes != n)
        return nx_fail(err, NX_E_DATA, "%zu bytes are not one frame", n);
    struct reader r = {(const unsigned char *)p + CHILD_HEAD, n - CHILD_HEAD, false};
    struct child_message m = {0};
    m.type = (enum child_type)get_int(&r, 1);
    m.ticket = get_int(&r, 8);
    get_body(&r, &m);
    bool free_of_ticket = m.type == CHILD_END || m.type == CHILD_READY;
    if (r.bad || r.n || free_of_ticket != (m.ticket == 0))
        return nx_fail(err, NX_E_DATA,
                       "a malformed message of type %d and %zu bytes between worker and child",
                       (int)m.type, n);
    *message = m;
    return true;
}

bool child_masks_next(struct child_masks *masks, struct child_text *text)
{
    if (masks->n == 0)
        return false;
    struct reader r = {(const unsigned char *)masks->raw.at, masks->raw.n, false};
    *text = get_bytes(&r);
    must(!r.bad); /* child_decode has checked them */
    masks->n--;
    masks->raw = (struct child_text){(const char *)r.at, r.n};
    return true;
}

size_t child_known_take(struct child_known *known, uint64_t definition_id, bool *is_new)
{
    size_t slot = definition_id % CHILD_KNOWN;
    *is_new = !known->used[slot] || known->ids[slot] != definition_id;
    known->used[slot] = true;
    known->ids[slot] = definition_id;
    return slot;
}
