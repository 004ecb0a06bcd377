/* A growable byte buffer. data[len] is always 0 once something was added, so text reads as a
 * C string. */
#ifndef LIB_BASE_BUF_H
#define LIB_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NULL while empty and never grown */
    size_t len, cap;
};

void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory */
/* Room for n more bytes; returns where they go. Add them with buf->len += n. */
char *buf_reserve(struct buf *buf, size_t n);
void buf_add(struct buf *buf, const void *p, size_t n);
void buf_str(struct buf *buf, const char *s);
void buf_char(struct buf *buf, char c);
/* Formats into the end. */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args);
/* Moves the bytes out (never NULL; the caller frees them with mem_free); the buffer is empty then.
 */
char *buf_take(struct buf *buf, size_t *len);
/* The text so far, never NULL. */
const char *buf_text(const struct buf *buf);

/* Little-endian integers, for wire formats. */
void buf_u8(struct buf *buf, uint8_t v);
void buf_u16(struct buf *buf, uint16_t v);
void buf_u32(struct buf *buf, uint32_t v);
void buf_u64(struct buf *buf, uint64_t v);

#endif
