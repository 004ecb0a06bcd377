#include "scheduler/store/query_scan.h"

#include <string.h>

#include "lib/text/json.h"

static void skip_space(struct scan *scan)
{
    while (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\t' || *scan->p == '\r')
        scan->p++;
}

bool scan_enter(struct scan *scan, char bracket)
{
    skip_space(scan);
    if (scan->bad || *scan->p != bracket)
        return false;
    scan->p++;
    return true;
}

bool scan_next(struct scan *scan, char end, bool *first)
{
    skip_space(scan);
    if (scan->bad)
        return false;
    if (*scan->p == end) {
        scan->p++;
        return false;
    }
    if (!*first && *scan->p++ != ',') {
        scan->bad = true;
        return false;
    }
    *first = false;
    skip_space(scan);
    return true;
}

/* The end of the string that begins here (its last quote), or NULL. */
static const char *string_end(struct scan *scan, bool *escapes)
{
    const char *p = scan->p;
    *escapes = false;
    if (*p++ != '"') {
        scan->bad = true;
        return NULL;
    }
    for (; *p != '"'; p++) {
        if (*p == '\\') {
            *escapes = true;
            p++;
        }
        if (!*p) {
            scan->bad = true;
            return NULL;
        }
    }
    return p;
}

void scan_word(struct scan *scan, char *to, size_t size)
{
    bool escapes;
    const char *end = scan->bad ? NULL : string_end(scan, &escapes);
    *to = 0;
    if (!end)
        return;
    size_t n = (size_t)(end - scan->p) - 1;
    n = n < size ? n : size - 1;
    memcpy(to, scan->p + 1, n);
    to[n] = 0;
    scan->p = end + 1;
}

void scan_key(struct scan *scan, char *key, size_t size)
{
    scan_word(scan, key, size);
    skip_space(scan);
    if (scan->bad || *scan->p != ':') {
        scan->bad = true;
        return;
    }
    scan->p++;
    skip_space(scan);
}

const char *scan_text(struct scan *scan, struct arena *arena)
{
    bool escapes;
    const char *text = NULL;
    if (scan->bad || *scan->p != '"') {
        scan_skip(scan);
        return NULL;
    }
    const char *end = string_end(scan, &escapes);
    if (!end)
        return NULL;
    if (!escapes) {
        text = arena_strndup(arena, scan->p + 1, (size_t)(end - scan->p) - 1);
    } else {
        json_t *json = json_loadb(scan->p, (size_t)(end - scan->p) + 1, JSON_DECODE_ANY, NULL);
        if (json)
            text = arena_strdup(arena, json_string_value(json));
        else
            scan->bad = true;
        json_decref(json);
    }
    scan->p = end + 1;
    return text;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* By hand: what takes text that ends with NUL is checked to the end of the whole by sanitizers. */
int64_t scan_int(struct scan *scan, int64_t fallback)
{
    int64_t v = 0;
    bool minus = *scan->p == '-';
    if (scan->bad || !is_digit(scan->p[minus])) {
        scan_skip(scan);
        return fallback;
    }
    for (scan->p += minus; is_digit(*scan->p); scan->p++) {
        int digit = *scan->p - '0';
        v = v > (INT64_MAX - digit) / 10 ? INT64_MAX : v * 10 + digit;
    }
    return minus ? -v : v;
}

bool scan_true(struct scan *scan)
{
    bool yes = !scan->bad && strncmp(scan->p, "true", 4) == 0;
    scan_skip(scan);
    return yes;
}

/* Brackets are counted and strings passed: what is between them is the writer's affair. */
void scan_skip(struct scan *scan)
{
    size_t depth = 0;
    bool escapes;
    do {
        const char *end;
        skip_space(scan);
        switch (scan->bad ? 0 : *scan->p) {
        case 0:
            scan->bad = true;
            return;
        case '{':
        case '[':
            depth++;
            scan->p++;
            break;
        case '}':
        case ']':
            if (!depth) {
                scan->bad = true;
                return;
            }
            depth--;
            scan->p++;
            break;
        case '"':
            end = string_end(scan, &escapes);
            scan->p = end ? end + 1 : scan->p;
            break;
        default: /* numbers, words, and inside brackets commas and colons */
            scan->p++;
            while (*scan->p && !strchr(depth ? "{}[]\"" : ",}] \n\t\r", *scan->p))
                scan->p++;
            break;
        }
    } while (depth);
}
