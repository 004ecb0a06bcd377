#include "lib/wire/bulk.h"

#include <string.h>

#include "lib/base/must.h"
#include "nexus/limits.h"

#define ENVELOPE_MAGIC 0x3145584eu /* "NXE1" */
#define TEXT_MAX 4096
#define PREFIX "sha256:"

struct cursor {
    const uint8_t *p;
    size_t n;
    bool bad;
};

static uint64_t take(struct cursor *c, size_t n)
{
    uint64_t v = 0;
    if (c->bad || c->n < n) {
        c->bad = true;
        return 0;
    }
    for (size_t i = n; i-- > 0;)
        v = v << 8 | c->p[i];
    c->p += n;
    c->n -= n;
    return v;
}

static struct wire_bytes take_bytes(struct cursor *c, size_t max)
{
    size_t n = (size_t)take(c, 4);
    if (c->bad || n > max || n > c->n) {
        c->bad = true;
        return wire_text("", 0);
    }
    struct wire_bytes bytes = wire_text((const char *)c->p, n);
    c->p += n;
    c->n -= n;
    return bytes;
}

static void put_bytes(struct buf *buf, struct wire_bytes bytes, size_t max)
{
    must(bytes.n <= max && (bytes.p || bytes.n == 0));
    buf_u32(buf, (uint32_t)bytes.n);
    if (bytes.n)
        buf_add(buf, bytes.p, bytes.n);
}

/* ---- Envelopes ---- */

void bulk_envelope(struct buf *buf, const char *token)
{
    size_t n = strlen(token);
    must(n <= BULK_TOKEN_MAX);
    buf_u32(buf, ENVELOPE_MAGIC);
    buf_u8(buf, (uint8_t)n);
    buf_add(buf, token, n);
}

bool bulk_open_envelope(const void *p, size_t n, struct wire_bytes *token,
                        struct wire_bytes *request)
{
    struct cursor c = {.p = p, .n = n};
    bool mine = take(&c, 4) == ENVELOPE_MAGIC;
    size_t n_token = (size_t)take(&c, 1);
    if (c.bad || !mine || n_token > BULK_TOKEN_MAX || n_token > c.n)
        return false;
    *token = wire_text((const char *)c.p, n_token);
    *request = wire_text((const char *)c.p + n_token, c.n - n_token);
    return true;
}

/* ---- Messages ---- */

static bool malformed(struct nx_err *err, size_t n)
{
    return nx_fail(err, NX_E_INVALID, "a malformed bulk message of %zu bytes", n);
}

static bool check_version(struct cursor *c, struct nx_err *err)
{
    unsigned version = (unsigned)take(c, 2);
    return c->bad || version == WIRE_VERSION ||
           nx_fail(err, NX_E_INVALID,
                   "the other side speaks version %u of the worker protocol, this one version "
                   "%d: install the same release of Nexus on both",
                   version, WIRE_VERSION);
}

bool bulk_is_request(const void *p, size_t n)
{
    return n >= 3 && ((const uint8_t *)p)[2] >= BULK_PING;
}

void bulk_encode_request(struct buf *buf, const struct bulk_request *request)
{
    must(request->kind >= BULK_PING && request->kind < BULK_KINDS);
    must(request->n <= BULK_CHUNK_MAX);
    buf_u16(buf, WIRE_VERSION);
    buf_u8(buf, request->kind);
    buf_u64(buf, request->session);
    buf_u64(buf, request->number);
    buf_u32(buf, (uint32_t)request->map);
    buf_u32(buf, request->attempt);
    buf_u8(buf, request->what);
    buf_u8(buf, request->folder ? 1 : 0);
    put_bytes(buf, wire_text(request->hash, strlen(request->hash)), BULK_HASH);
    buf_u64(buf, request->size);
    buf_u64(buf, request->offset);
    buf_u32(buf, request->n);
    put_bytes(buf, request->path, BULK_PATH_MAX);
    put_bytes(buf, request->bytes, BULK_CHUNK_MAX);
}

static bool is_hash(struct wire_bytes hash)
{
    for (size_t i = 0; i < hash.n; i++) {
        if (!(hash.p[i] >= '0' && hash.p[i] <= '9') && !(hash.p[i] >= 'a' && hash.p[i] <= 'f'))
            return false;
    }
    return hash.n == 0 || hash.n == BULK_HASH;
}

bool bulk_decode_request(const void *p, size_t n, struct bulk_request *request, struct nx_err *err)
{
    struct cursor c = {.p = p, .n = n};
    struct bulk_request r = {0};
    if (!check_version(&c, err))
        return false;
    r.kind = (uint8_t)take(&c, 1);
    r.session = take(&c, 8);
    r.number = take(&c, 8);
    r.map = (int32_t)take(&c, 4);
    r.attempt = (uint32_t)take(&c, 4);
    r.what = (uint8_t)take(&c, 1);
    r.folder = (uint8_t)take(&c, 1);
    struct wire_bytes hash = take_bytes(&c, BULK_HASH);
    r.size = take(&c, 8);
    r.offset = take(&c, 8);
    r.n = (uint32_t)take(&c, 4);
    r.path = take_bytes(&c, BULK_PATH_MAX);
    r.bytes = take_bytes(&c, BULK_CHUNK_MAX);
    if (c.bad || c.n > 0 || r.kind < BULK_PING || r.kind >= BULK_KINDS || r.folder > 1 ||
        !is_hash(hash) || r.n > BULK_CHUNK_MAX)
        return malformed(err, n);
    memcpy(r.hash, hash.p, hash.n);
    *request = r;
    return true;
}

void bulk_encode_reply(struct buf *buf, const struct bulk_reply *reply)
{
    must(reply->code < NX_CODES);
    buf_u16(buf, WIRE_VERSION);
    buf_u8(buf, reply->code);
    buf_u8(buf, reply->folder ? 1 : 0);
    buf_u64(buf, reply->size);
    buf_u64(buf, reply->offset);
    put_bytes(buf, reply->bytes, BULK_CHUNK_MAX);
    put_bytes(buf, reply->text, TEXT_MAX);
}

bool bulk_decode_reply(const void *p, size_t n, struct bulk_reply *reply, struct nx_err *err)
{
    struct cursor c = {.p = p, .n = n};
    struct bulk_reply r = {0};
    if (!check_version(&c, err))
        return false;
    r.code = (uint8_t)take(&c, 1);
    r.folder = (uint8_t)take(&c, 1);
    r.size = take(&c, 8);
    r.offset = take(&c, 8);
    r.bytes = take_bytes(&c, BULK_CHUNK_MAX);
    r.text = take_bytes(&c, TEXT_MAX);
    if (c.bad || c.n > 0 || r.code >= NX_CODES || r.folder > 1)
        return malformed(err, n);
    *reply = r;
    return true;
}

/* ---- Paths and addresses ---- */

bool bulk_path_is_safe(struct wire_bytes path)
{
    if (path.n == 0 || path.n > BULK_PATH_MAX || memchr(path.p, 0, path.n))
        return false;
    for (size_t at = 0; at <= path.n;) {
        const char *part = path.p + at;
        const char *slash = memchr(part, '/', path.n - at);
        size_t n = slash ? (size_t)(slash - part) : path.n - at;
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        at += n + 1;
    }
    return true;
}

bool bulk_next_address(const char *p, size_t n, size_t *at, char hash[BULK_HASH + 1])
{
    const size_t prefix = sizeof PREFIX - 1;
    while (*at + prefix + BULK_HASH <= n) {
        const char *s = memchr(p + *at, 's', n - *at);
        if (!s || (size_t)(s - p) + prefix + BULK_HASH > n)
            break;
        *at = (size_t)(s - p) + 1;
        if (memcmp(s, PREFIX, prefix) != 0 || !is_hash(wire_text(s + prefix, BULK_HASH)))
            continue;
        memcpy(hash, s + prefix, BULK_HASH);
        hash[BULK_HASH] = 0;
        *at = (size_t)(s - p) + prefix + BULK_HASH;
        return true;
    }
    *at = n;
    return false;
}
