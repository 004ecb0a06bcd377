#include "lib/text/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define DEPTH_MAX 2048 /* jansson's own bound when it reads */

json_t *js_read(const char *text, size_t n, const char *what, struct nx_err *err)
{
    json_error_t error;
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value)
        return value;
    if (n == 0)
        nx_fail(err, NX_E_INVALID, "%s: empty, JSON expected", what);
    else
        nx_fail(err, NX_E_INVALID, "%s:%d:%d: not JSON: %s", what, error.line, error.column,
                error.text);
    return NULL;
}

/* ---- Writing ---- */

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Valid UTF-8 of `s` at the end of `to`; wrong bytes are replaced one by one. */
static void add_valid(struct buf *to, const char *s, size_t n)
{
    size_t bad;
    while (!str_is_utf8(s, n, &bad)) {
        buf_add(to, s, bad);
        buf_str(to, replacement);
        s += bad + 1;
        n -= bad + 1;
    }
    buf_add(to, s, n);
}

static void add_escaped(struct buf *to, const char *s, size_t n)
{
    static const char *const names[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    buf_char(to, '"');
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(to, s + start, i - start);
        start = i + 1;
        if (c >= 0x20)
            buf_printf(to, "\\%c", c);
        else if (c < sizeof names / sizeof *names && names[c])
            buf_str(to, names[c]);
        else
            buf_printf(to, "\\u%04x", c);
    }
    buf_add(to, s + start, n - start);
    buf_char(to, '"');
}

void js_add_string(struct buf *to, const char *s, size_t n)
{
    if (str_is_utf8(s, n, NULL)) {
        add_escaped(to, s, n);
        return;
    }
    struct buf valid;
    buf_init(&valid);
    add_valid(&valid, s, n);
    add_escaped(to, valid.data, valid.len);
    buf_fini(&valid);
}

static void add_real(struct buf *to, double v)
{
    char text[40];
    must(isfinite(v)); /* jansson holds no others */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_str(to, text);
    if (!strpbrk(text, ".e"))
        buf_str(to, ".0"); /* a real stays one when it is read back */
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_value(struct buf *to, const json_t *value, bool sorted, int depth);

static void add_member(struct buf *to, const char *key, const json_t *value, bool sorted, int depth)
{
    js_add_string(to, key, strlen(key));
    buf_char(to, ':');
    add_value(to, value, sorted, depth + 1);
}

static void add_object(struct buf *to, const json_t *object, bool sorted, int depth)
{
    size_t n = json_object_size(object), i = 0;
    const char **keys = mem_alloc_array(n, sizeof *keys);
    json_t *mutable = (json_t *)(uintptr_t)object; /* jansson's iterators take no const */
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it))
        keys[i++] = json_object_iter_key(it);
    must(i == n);
    if (sorted && n > 1)
        qsort(keys, n, sizeof *keys, compare_keys);
    buf_char(to, '{');
    for (i = 0; i < n; i++) {
        if (i)
            buf_char(to, ',');
        add_member(to, keys[i], json_object_get(object, keys[i]), sorted, depth);
    }
    buf_char(to, '}');
    mem_free(keys);
}

static void add_array(struct buf *to, const json_t *array, bool sorted, int depth)
{
    buf_char(to, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buf_char(to, ',');
        add_value(to, json_array_get(array, i), sorted, depth + 1);
    }
    buf_char(to, ']');
}

static void add_value(struct buf *to, const json_t *value, bool sorted, int depth)
{
    must(depth <= DEPTH_MAX);
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        add_object(to, value, sorted, depth);
        break;
    case JSON_ARRAY:
        add_array(to, value, sorted, depth);
        break;
    case JSON_STRING:
        js_add_string(to, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_printf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        add_real(to, json_real_value(value));
        break;
    case JSON_TRUE:
        buf_str(to, "true");
        break;
    case JSON_FALSE:
        buf_str(to, "false");
        break;
    case JSON_NULL:
        buf_str(to, "null");
        break;
    }
}

void js_add(struct buf *to, const json_t *value)
{
    add_value(to, value, false, 0);
}

void js_add_canonical(struct buf *to, const json_t *value)
{
    add_value(to, value, true, 0);
}

char *js_text(const json_t *value)
{
    struct buf buf;
    buf_init(&buf);
    js_add(&buf, value);
    return buf_take(&buf, NULL);
}

/* ---- Making ---- */

json_t *js_string(const char *s)
{
    return s ? js_stringn(s, strlen(s)) : json_null();
}

json_t *js_stringn(const char *s, size_t n)
{
    json_t *value = json_stringn(s, n);
    if (value)
        return value;
    struct buf valid;
    buf_init(&valid);
    add_valid(&valid, s, n);
    value = json_stringn(buf_text(&valid), valid.len);
    buf_fini(&valid);
    must(value != NULL);
    return value;
}

json_t *js_time(int64_t wall_ms)
{
    char text[TIME_TEXT_MAX];
    return wall_ms == JS_NO_TIME ? json_null() : json_string(time_format(text, wall_ms));
}

json_t *js_seconds(int64_t ms)
{
    if (ms < 0)
        return json_null();
    return ms % 1000 == 0 ? json_integer(ms / 1000) : json_real((double)ms / 1000.0);
}

/* ---- Reading members ---- */

const char *js_get_text(const json_t *object, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : fallback;
}

int64_t js_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

double js_get_float(const json_t *object, const char *key, double fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool js_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const char *js_type_name(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

bool js_duration_ms(const json_t *value, int64_t *ms)
{
    char text[40];
    if (json_is_string(value))
        return str_parse_duration(json_string_value(value), ms);
    if (!json_is_number(value))
        return false;
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(text, sizeof text, "%.17g", json_real_value(value));
    return str_parse_duration(text, ms);
}

bool js_size_bytes(const json_t *value, int64_t *bytes)
{
    if (json_is_string(value))
        return str_parse_size(json_string_value(value), bytes);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *bytes = json_integer_value(value);
    return true;
}

bool js_wall_ms(const json_t *value, int64_t *wall_ms)
{
    return json_is_string(value) && time_parse(json_string_value(value), wall_ms);
}
