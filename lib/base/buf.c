#include "lib/base/buf.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = 0;
}

char *buf_reserve(struct buf *buf, size_t n)
{
    must(n < SIZE_MAX / 4 && buf->len < SIZE_MAX / 4);
    if (buf->cap - buf->len < n + 1) {
        size_t cap = buf->cap ? buf->cap : 64;
        while (cap - buf->len < n + 1)
            cap *= 2;
        buf->data = mem_realloc(buf->data, cap);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *p, size_t n)
{
    char *to = buf_reserve(buf, n);
    if (n)
        memcpy(to, p, n);
    buf->len += n;
    buf->data[buf->len] = 0;
}

void buf_str(struct buf *buf, const char *s)
{
    buf_add(buf, s, strlen(s));
}

void buf_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

char *buf_take(struct buf *buf, size_t *len)
{
    buf_reserve(buf, 0);
    buf->data[buf->len] = 0;
    if (len)
        *len = buf->len;
    char *data = buf->data;
    *buf = (struct buf){0};
    return data;
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

void buf_u8(struct buf *buf, uint8_t v)
{
    buf_add(buf, &v, 1);
}

static void add_little_endian(struct buf *buf, uint64_t v, size_t n)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    buf_add(buf, bytes, n);
}

void buf_u16(struct buf *buf, uint16_t v)
{
    add_little_endian(buf, v, 2);
}

void buf_u32(struct buf *buf, uint32_t v)
{
    add_little_endian(buf, v, 4);
}

void buf_u64(struct buf *buf, uint64_t v)
{
    add_little_endian(buf, v, 8);
}
