#include "worker/mask.h"

#include <string.h>

#include "lib/base/mem.h"

void mask_init(struct mask *mask)
{
    memset(mask, 0, sizeof *mask);
}

void mask_fini(struct mask *mask)
{
    buf_fini(&mask->texts);
    buf_fini(&mask->held);
    mem_free(mask->lengths);
    mask_init(mask);
}

void mask_clear(struct mask *mask)
{
    if (mask->n)
        memset(mask->first, 0, sizeof mask->first);
    mask->n = 0;
    buf_clear(&mask->texts);
    buf_clear(&mask->held);
}

void mask_add(struct mask *mask, const char *text, size_t n)
{
    if (n == 0)
        return;
    mask->lengths = mem_realloc(mask->lengths, (mask->n + 1) * sizeof *mask->lengths);
    mask->lengths[mask->n++] = n;
    mask->first[(unsigned char)text[0]] = true;
    buf_add(&mask->texts, text, n);
}

/* What begins here: the bytes of the longest mask that is all there, or 0. *open: a longer one may
 * begin here when more comes. */
static size_t match(const struct mask *mask, const char *p, size_t n, bool *open)
{
    const char *text = mask->texts.data;
    size_t longest = 0;
    *open = false;
    for (size_t i = 0; i < mask->n; text += mask->lengths[i++]) {
        size_t length = mask->lengths[i];
        if (length <= n && length > longest && memcmp(p, text, length) == 0)
            longest = length;
        else if (length > n && memcmp(p, text, n) == 0)
            *open = true;
    }
    return longest;
}

/* Appends the masked bytes up to the first place that may turn out to be a secret later; returns
 * how many bytes were taken. */
static size_t put(const struct mask *mask, const char *p, size_t n, bool end, struct buf *out)
{
    size_t at = 0, plain = 0; /* p[plain, at) is not out yet */
    while (at < n) {
        bool open = false;
        size_t length = mask->first[(unsigned char)p[at]] ? match(mask, p + at, n - at, &open) : 0;
        if (open && !end)
            break;
        if (open && n - at >= MASK_CUT_MIN)
            length = n - at; /* the stream was cut within a secret */
        if (length) {
            buf_add(out, p + plain, at - plain);
            buf_add(out, "***", 3);
            plain = at + length;
        }
        at += length ? length : 1;
    }
    buf_add(out, p + plain, at - plain);
    return at;
}

void mask_write(struct mask *mask, const char *p, size_t n, struct buf *out)
{
    if (mask->n == 0) {
        buf_add(out, p, n);
        return;
    }
    if (mask->held.len) {
        buf_add(&mask->held, p, n);
        p = mask->held.data;
        n = mask->held.len;
    }
    size_t taken = put(mask, p, n, false, out);
    if (p == mask->held.data) {
        memmove(mask->held.data, p + taken, n - taken);
        mask->held.len = n - taken;
    } else {
        buf_add(&mask->held, p + taken, n - taken);
    }
}

void mask_flush(struct mask *mask, struct buf *out)
{
    if (mask->held.len)
        put(mask, mask->held.data, mask->held.len, true, out);
    buf_clear(&mask->held);
}
