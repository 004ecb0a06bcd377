#include "lib/base/str.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"

bool str_copy(char *to, size_t size, const char *from)
{
    must(size > 0);
    size_t n = strlen(from), fits = n < size ? n : size - 1;
    memcpy(to, from, fits);
    to[fits] = 0;
    return fits == n;
}

bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_is_id(const char *s, bool dashes)
{
    if (!is_lower(s[0]))
        return false;
    size_t n = 1;
    for (; s[n]; n++) {
        if (n == 64)
            return false;
        if (!is_lower(s[n]) && !is_digit(s[n]) && s[n] != '_' && !(dashes && s[n] == '-'))
            return false;
    }
    return true;
}

#define NEAREST_MAX 64

/* Optimal string alignment distance of texts of at most NEAREST_MAX bytes. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

const char *str_nearest(const char *name, const char *const *candidates, size_t n)
{
    size_t len = strlen(name), best = SIZE_MAX;
    const char *found = NULL;
    if (len > NEAREST_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other > NEAREST_MAX)
            continue;
        size_t d = distance(name, len, candidates[i], other);
        size_t longer = len > other ? len : other, most = longer > 5 ? longer / 3 : 1;
        if (d <= most && d < longer && d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

/* Length of the sequence that begins with this byte, and its least code point; 0: none does. */
static size_t utf8_length(unsigned char first, uint32_t *least, uint32_t *bits)
{
    if (first < 0x80)
        return *least = 0, *bits = first, 1;
    if (first >> 5 == 6)
        return *least = 0x80, *bits = first & 0x1f, 2;
    if (first >> 4 == 14)
        return *least = 0x800, *bits = first & 0x0f, 3;
    if (first >> 3 == 30)
        return *least = 0x10000, *bits = first & 0x07, 4;
    return 0;
}

bool str_is_utf8(const char *s, size_t n, size_t *bad)
{
    for (size_t i = 0; i < n;) {
        uint32_t least = 0, code = 0;
        size_t len = utf8_length((unsigned char)s[i], &least, &code);
        bool ok = len > 0 && len <= n - i;
        for (size_t j = 1; ok && j < len; j++) {
            ok = ((unsigned char)s[i + j] & 0xc0) == 0x80;
            code = code << 6 | ((unsigned char)s[i + j] & 0x3f);
        }
        if (!ok || code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            if (bad)
                *bad = i;
            return false;
        }
        i += len;
    }
    return true;
}
