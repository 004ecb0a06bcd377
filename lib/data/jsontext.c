/* Values in JSON text; see jsontext.h. */
#include <string.h>

#include "lib/base/must.h"
#include "lib/data/jsontext.h"

const char *jsontext_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

/* Behind the text that begins at p (a quote), or NULL. */
static const char *skip_text(const char *p, const char *end, bool *escaped)
{
    *escaped = false;
    for (p++; p < end; p++) {
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\') {
            *escaped = true;
            p += p + 1 < end;
        }
    }
    return NULL;
}

/* Behind the list or object that begins at p, or NULL. Only brackets are counted. */
static const char *skip_nested(const char *p, const char *end)
{
    size_t depth = 0;
    bool ignored;
    while (p < end) {
        if (*p == '"') {
            p = skip_text(p, end, &ignored);
            if (!p) {
                return NULL;
            }
            continue;
        }
        depth += *p == '[' || *p == '{';
        depth -= *p == ']' || *p == '}';
        p++;
        if (depth == 0) {
            return p;
        }
    }
    return NULL;
}

static bool is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

/* Behind a number or a word, where nothing but the end of a value may follow. */
static const char *skip_bare(const char *p, const char *end)
{
    for (; p < end; p++) {
        switch (*p) {
        case ' ':
        case '\n':
        case '\r':
        case '\t':
        case ',':
        case ':':
        case ']':
        case '}':
        case '[':
        case '{':
        case '"':
            return p;
        default:
            break;
        }
    }
    return p;
}

/* -12.5e3, as JSON writes numbers, or NaN and Infinity. */
static bool is_number(const char *p, const char *end)
{
    p += p < end && *p == '-';
    size_t n = (size_t)(end - p);
    if ((n == 3 && memcmp(p, "NaN", 3) == 0) || (n == 8 && memcmp(p, "Infinity", 8) == 0)) {
        return true;
    }
    if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end))) {
        return false;
    }
    while (is_digit(p, end)) {
        p++;
    }
    if (p < end && *p == '.') {
        for (p++; is_digit(p, end); p++) {
        }
        if (p[-1] == '.') {
            return false;
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '-' || *p == '+');
        if (!is_digit(p, end)) {
            return false;
        }
        while (is_digit(p, end)) {
            p++;
        }
    }
    return p == end;
}

static bool fail(const char **why, const char *text)
{
    *why = text;
    return false;
}

static bool take_bare(const char **p, const char *end, struct jsontext *value, const char **why)
{
    static const char *const words[] = {"null", "true", "false"};
    const char *at = *p, *behind = skip_bare(at, end);
    size_t n = (size_t)(behind - at);
    *value = (struct jsontext){JSONTEXT_NUMBER, at, n, false};
    bool word = n > 0 && *at >= 'a';
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
        if (n == strlen(words[i]) && memcmp(at, words[i], n) == 0) {
            value->kind = i == 0 ? JSONTEXT_NULL : JSONTEXT_BOOL;
        }
    }
    if (value->kind == JSONTEXT_NUMBER && !is_number(at, behind)) {
        return fail(why, "not a JSON value");
    }
    *p = behind;
    return true;
}

bool jsontext_next(const char **p, const char *end, struct jsontext *value, const char **why)
{
    const char *at = jsontext_skip_space(*p, end), *behind;
    bool escaped = false;
    *p = at;
    if (at == end) {
        return fail(why, "it ends where a value should be");
    }
    if (*at == '"') {
        behind = skip_text(at, end, &escaped);
        if (!behind) {
            return fail(why, "a text has no end");
        }
        *value = (struct jsontext){JSONTEXT_TEXT, at + 1, (size_t)(behind - at) - 2, escaped};
    } else if (*at == '[' || *at == '{') {
        behind = skip_nested(at, end);
        if (!behind) {
            return fail(why, *at == '[' ? "a list has no end" : "an object has no end");
        }
        *value = (struct jsontext){*at == '[' ? JSONTEXT_LIST : JSONTEXT_OBJECT, at,
                                   (size_t)(behind - at), false};
    } else {
        return take_bare(p, end, value, why);
    }
    *p = behind;
    return true;
}

bool jsontext_member(const char **p, const char *end, struct jsontext *key, struct jsontext *value,
                     const char **why)
{
    char last = key ? '}' : ']';
    *why = NULL;
    *p = jsontext_skip_space(*p, end);
    bool first = *p < end && **p == (key ? '{' : '[');
    if (*p < end && (first || **p == ',')) {
        *p = jsontext_skip_space(*p + 1, end);
    } else if (*p == end || **p != last) {
        return fail(why, "a comma or closing bracket misses");
    }
    if (*p < end && **p == last && (first || (*p)[-1] != ',')) {
        ++*p;
        return false;
    }
    if (key) {
        if (!jsontext_next(p, end, key, why)) {
            return false;
        }
        *p = jsontext_skip_space(*p, end);
        if (key->kind != JSONTEXT_TEXT || *p == end || **p != ':') {
            return fail(why, "an object has a member without its \"key\":");
        }
        ++*p;
    }
    return jsontext_next(p, end, value, why);
}

static bool read_hex(const char *at, size_t n, unsigned *v)
{
    *v = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = i < n ? at[i] : 'x';
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit > 15) {
            return false;
        }
        *v = *v * 16 + digit;
    }
    return true;
}

static void put_utf8(struct buf *to, unsigned c)
{
    if (c < 0x80) {
        buf_char(to, (char)c);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    buf_char(to, (char)(lead[more] | (c >> (6 * more))));
    while (more-- > 0) {
        buf_char(to, (char)(0x80 | (c >> (6 * more) & 0x3f)));
    }
}

/* \uXXXX, or two of them, at `at`; *taken gets the bytes. */
static bool take_unicode(const char *at, size_t n, size_t *taken, struct buf *to)
{
    unsigned c, low;
    if (!read_hex(at + 2, n - 2, &c)) {
        return false;
    }
    *taken = 6;
    if (c >= 0xd800 && c <= 0xdfff) {
        if (c > 0xdbff || n < 12 || at[6] != '\\' || at[7] != 'u' ||
            !read_hex(at + 8, n - 8, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        *taken = 12;
    }
    put_utf8(to, c);
    return true;
}

bool jsontext_unescape(const char *at, size_t n, struct buf *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    for (size_t i = 0, taken; i < n; i += taken) {
        taken = 1;
        if (at[i] != '\\') {
            buf_char(to, at[i]);
            continue;
        }
        const char *known = i + 1 < n && at[i + 1] ? strchr(from, at[i + 1]) : NULL;
        taken = 2;
        if (known) {
            buf_char(to, into[known - from]);
        } else if (i + 1 == n || at[i + 1] != 'u' || !take_unicode(at + i, n - i, &taken, to)) {
            return false;
        }
    }
    return true;
}
