/* The hash of rows; see rowhash.h. */
#include <math.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/data/rowhash.h"

/* Odd numbers without structure: 64-bit pieces of the fractional parts of square roots of 2, 3, 5
 * and 7. */
#define K_A 0x6a09e667f3bcc909ull
#define K_B 0xbb67ae8584caa73bull
#define K_MISSING 0x3c6ef372fe94f82bull
#define K_TEXT 0xa54ff53a5f1d36f1ull

static inline uint64_t fold(uint64_t x, uint64_t k)
{
    __extension__ unsigned __int128 product = (unsigned __int128)x * k;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Spreads every bit over all (the finaliser of MurmurHash3, A. Appleby, 2011). */
static inline uint64_t spread(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

static inline void take(struct rowhash *h, size_t i, uint64_t v)
{
    h->a[i] = fold(h->a[i] ^ v, K_A);
    h->b[i] = fold(h->b[i] + v, K_B) + 1;
}

static inline void take_missing(struct rowhash *h, size_t i)
{
    h->a[i] = fold(h->a[i] ^ K_A, K_MISSING);
    h->b[i] = fold(h->b[i] + K_B, K_MISSING) + 1;
}

/* 1 to 8 bytes as a little-endian number, without a call of memcpy for odd lengths. */
static inline uint64_t read_word(const char *p, size_t n)
{
    uint64_t w = 0;
    uint32_t low, high;
    if (n >= 8) {
        memcpy(&w, p, 8);
    } else if (n >= 4) {
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        w = low | (uint64_t)high << (8 * (n - 4));
    } else if (n > 0) {
        const unsigned char *byte = (const unsigned char *)p;
        w = byte[0] | (uint64_t)byte[n / 2] << (8 * (n / 2)) |
            (uint64_t)byte[n - 1] << (8 * (n - 1));
    }
    return w;
}

/* Up to 7 bytes with their number in the eighth; longer ones after their number. */
static inline void take_text(struct rowhash *h, size_t i, const char *p, size_t n)
{
    if (n < 8) {
        take(h, i, (read_word(p, n) | (uint64_t)n << 56) ^ K_TEXT);
        return;
    }
    take(h, i, (uint64_t)n ^ K_TEXT);
    for (; n > 8; p += 8, n -= 8) {
        take(h, i, read_word(p, 8));
    }
    take(h, i, read_word(p, n));
}

struct table_hash rowhash_schema(const struct table_column *columns, size_t n_columns)
{
    struct rowhash h;
    h.a[0] = K_MISSING;
    h.b[0] = K_TEXT;
    take(&h, 0, n_columns);
    for (size_t c = 0; c < n_columns; c++) {
        enum table_type type = columns[c].type;
        take(&h, 0, type == TABLE_CATEGORY ? TABLE_STRING : type);
        take_text(&h, 0, columns[c].name, strlen(columns[c].name));
    }
    return (struct table_hash){spread(h.a[0]), spread(h.b[0])};
}

void rowhash_begin(struct rowhash *h, struct table_hash schema, size_t n)
{
    must(n <= ROWHASH_ROWS_MAX);
    for (size_t i = 0; i < n; i++) {
        h->a[i] = schema.lo;
        h->b[i] = schema.hi;
    }
}

static void take_list(struct rowhash *h, const struct data_vector *column, size_t i)
{
    struct data_list list = column->as.list[i];
    take(h, i, list.n);
    for (uint64_t k = 0; k < list.n; k++) {
        double v = column->child[list.offset + k];
        if (isnan(v)) {
            take_missing(h, i);
        } else {
            uint64_t bits;
            memcpy(&bits, &v, sizeof bits);
            take(h, i, bits);
        }
    }
}

static inline void take_value(struct rowhash *h, const struct data_vector *column, size_t i)
{
    uint64_t bits;
    switch (column->type) {
    case TABLE_BOOL:
        take(h, i, column->as.b[i] ? 1 : 0);
        break;
    case TABLE_INT64:
    case TABLE_DATE:
    case TABLE_TIMESTAMP:
        take(h, i, (uint64_t)column->as.i[i]);
        break;
    case TABLE_DOUBLE:
        memcpy(&bits, &column->as.f[i], sizeof bits);
        take(h, i, bits);
        break;
    case TABLE_STRING:
    case TABLE_CATEGORY:
        take_text(h, i, column->as.text[i].at, column->as.text[i].n);
        break;
    case TABLE_DOUBLES:
        take_list(h, column, i);
        break;
    case TABLE_TYPES:
        must(!"a type");
    }
}

void rowhash_take(struct rowhash *h, const struct data_vector *column, size_t n)
{
    must(n <= ROWHASH_ROWS_MAX);
    enum table_type type = column->type;
    /* The common cases without a choice per row. */
    if (!column->valid && (type == TABLE_INT64 || type == TABLE_TIMESTAMP)) {
        for (size_t i = 0; i < n; i++) {
            take(h, i, (uint64_t)column->as.i[i]);
        }
    } else if (!column->valid && (type == TABLE_STRING || type == TABLE_CATEGORY)) {
        for (size_t i = 0; i < n; i++) {
            take_text(h, i, column->as.text[i].at, column->as.text[i].n);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            if (data_is_valid(column, i)) {
                take_value(h, column, i);
            } else {
                take_missing(h, i);
            }
        }
    }
}

struct table_hash rowhash_sum(struct table_hash a, struct table_hash b)
{
    struct table_hash sum = {a.lo + b.lo, a.hi + b.hi};
    sum.hi += sum.lo < a.lo;
    return sum;
}

void rowhash_add(const struct rowhash *h, size_t n, struct table_hash *sum)
{
    struct table_hash all = *sum;
    for (size_t i = 0; i < n; i++) {
        all = rowhash_sum(all, (struct table_hash){spread(h->a[i]), spread(h->b[i])});
    }
    *sum = all;
}

void rowhash_buckets(const struct rowhash *h, size_t n, uint64_t *buckets)
{
    for (size_t i = 0; i < n; i++) {
        buckets[i] = spread(h->a[i] ^ spread(h->b[i]));
    }
}
