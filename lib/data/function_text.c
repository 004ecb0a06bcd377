/* Functions that our SQL calls on texts: to values, strictly. What does not fit is an error, and is
 * noted in db->misfit with its column and value, so that its place in the file can be found. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"
#include "lib/data/jsontext.h"
#include "lib/data/parse.h"

#define SHOWN_MAX 100 /* bytes of a value in messages */

/* What a run works on. */
struct texts {
    struct data_db *db;
    const struct duckdb_api *api;
    duckdb_info info;
    duckdb_chunk input;
    duckdb_vector output;
    size_t n;
    const duckdb_text *at;
    const uint64_t *valid; /* of the texts, and copied to the output */
};

static struct data_text text_of(const duckdb_text *text)
{
    uint32_t n = text->inlined.n;
    return (struct data_text){n <= sizeof text->inlined.at ? text->inlined.at : text->pointer.at,
                              n};
}

static bool is_there(const uint64_t *valid, size_t i)
{
    return !valid || (valid[i / 64] >> (i % 64) & 1);
}

/* The caller is DuckDB's code, as functions_db wants it. */
static struct texts texts_of(struct data_db *db, duckdb_info info, duckdb_chunk input,
                             duckdb_vector output)
{
    const struct duckdb_api *api = &db->api;
    size_t n = api->data_chunk_get_size(input);
    duckdb_vector from = api->data_chunk_get_vector(input, 0);
    const uint64_t *valid = api->vector_get_validity(from);
    if (valid) {
        api->vector_ensure_validity_writable(output);
        memcpy(api->vector_get_validity(output), valid, (n + 63) / 64 * sizeof *valid);
    }
    return (struct texts){db, api, info, input, output, n, api->vector_get_data(from), valid};
}

/* The text of argument k, which is the same for all rows. */
static struct data_text argument(const struct texts *texts, size_t k)
{
    return text_of(texts->api->vector_get_data(texts->api->data_chunk_get_vector(texts->input, k)));
}

/* Notes the first of them: the smallest place is looked for in the files later. */
static void fail_value(const struct texts *texts, const char *type, size_t row)
{
    char text[512];
    struct data_text name = argument(texts, 1), value = text_of(&texts->at[row]);
    struct misfit *misfit = &texts->db->misfit;
    int n = (int)(value.n < SHOWN_MAX ? value.n : SHOWN_MAX);
    snprintf(text, sizeof text, "column '%.*s' is %s, but has '%.*s'", (int)name.n, name.at, type,
             n, value.at);
    pthread_mutex_lock(&texts->db->hash.mutex);
    if (!misfit->there) {
        misfit->there = true;
        buf_clear(&misfit->column);
        buf_clear(&misfit->value);
        buf_add(&misfit->column, name.at, name.n);
        buf_add(&misfit->value, value.at, value.n);
    }
    pthread_mutex_unlock(&texts->db->hash.mutex);
    texts->api->scalar_function_set_error(texts->info, text);
}

#define DIGITS_MAX 19 /* always fit into 64 bits */

/* The nearest double of -123.456 and the like, which most numbers are. Digits and power of ten are
 * exact in the 64 bits of a long double, and only a quotient next to the middle of two doubles
 * could be rounded the wrong way. False: it is to be read the long way. */
static bool read_quickly(const char *p, size_t n, double *v)
{
    static const long double tens[DIGITS_MAX + 1] = {
        1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
        1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L};
    const char *end = p + n, *start, *point;
    bool negative = p < end && *p == '-';
    uint64_t digits = 0;
    p += negative;
    for (start = p; p < end && (unsigned)(*p - '0') <= 9; p++) {
        digits = digits * 10 + (uint64_t)(*p - '0');
    }
    point = p;
    for (p += p < end && *p == '.'; p < end && (unsigned)(*p - '0') <= 9; p++) {
        digits = digits * 10 + (uint64_t)(*p - '0');
    }
    size_t behind = p > point ? (size_t)(p - point) - 1 : 0;
    bool plain = p == end && point > start && (*start != '0' || point == start + 1) &&
                 (size_t)(p - start) - (p > point) <= DIGITS_MAX;
    if (!plain || LDBL_MANT_DIG < 64) {
        return false;
    }
    double least = 0, most = 0;
    if (digits <= 1ull << 53) {
        least = most = (double)digits / (double)tens[behind]; /* both are doubles */
    } else if (behind > 0) {
        long double near = (long double)digits / tens[behind];
        long double off = near * (1 / 4611686018427387904.0L); /* 2^-62: it is less wrong */
        least = (double)(near - off);
        most = (double)(near + off);
    } else {
        return false;
    }
    *v = negative ? -most : most;
    return least == most;
}

static bool read_double(const char *text, size_t n, double *v)
{
    char copy[PARSE_NUMBER_MAX];
    if (read_quickly(text, n, v)) {
        return true;
    }
    if (!parse_fits_double(text, n) || n >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, n);
    copy[n] = 0;
    *v = strtod(copy, NULL);
    return true;
}

static bool read_days(bool (*parse)(const char *, size_t, int64_t *), struct data_text text,
                      int32_t *to)
{
    int64_t days;
    if (!parse(text.at, text.n, &days)) {
        return false;
    }
    *to = (int32_t)days;
    return true;
}

/* nexus_xxx(text, name): `read` is an expression of the text `t`, to `to[i]`. */
#define TEXT_FUNCTION(name, type_name, c_type, read) \
    void name(duckdb_info info, duckdb_chunk input, duckdb_vector output) \
    { \
        struct texts texts = \
            texts_of(functions_db(info, __builtin_return_address(0)), info, input, output); \
        c_type *to = texts.api->vector_get_data(output); \
        for (size_t i = 0; i < texts.n; i++) { \
            struct data_text t = text_of(&texts.at[i]); \
            if (is_there(texts.valid, i) && !(read)) { \
                fail_value(&texts, type_name, i); \
                return; \
            } \
        } \
    }

TEXT_FUNCTION(text_bool, "bool", bool, parse_bool(t.at, t.n, &to[i]))
TEXT_FUNCTION(text_yes, "bool", bool, parse_yes(t.at, t.n, &to[i]))
TEXT_FUNCTION(text_int, "int64", int64_t, parse_int(t.at, t.n, &to[i]))
TEXT_FUNCTION(text_whole, "int64", int64_t, parse_whole(t.at, t.n, &to[i]))
TEXT_FUNCTION(text_double, "double", double, read_double(t.at, t.n, &to[i]))
TEXT_FUNCTION(text_date, "date", int32_t, read_days(parse_date, t, &to[i]))
TEXT_FUNCTION(text_day, "date", int32_t, read_days(parse_day, t, &to[i]))
TEXT_FUNCTION(text_timestamp, "timestamp", int64_t, parse_timestamp(t.at, t.n, &to[i]))

/* nexus_kinds(text) -> BIGINT: what a text can be, as bits of enum parse_kind. */
void text_kinds(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct texts texts =
        texts_of(functions_db(info, __builtin_return_address(0)), info, input, output);
    int64_t *to = texts.api->vector_get_data(output);
    for (size_t i = 0; i < texts.n; i++) {
        if (is_there(texts.valid, i)) {
            struct data_text text = text_of(&texts.at[i]);
            to[i] = parse_kinds(text.at, text.n);
        }
    }
}

/* nexus_misfit(text, name, type) -> TIMESTAMP: an error for what is there; other expressions say
 * that it does not fit. */
void text_misfit(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct texts texts =
        texts_of(functions_db(info, __builtin_return_address(0)), info, input, output);
    for (size_t i = 0; i < texts.n; i++) {
        if (is_there(texts.valid, i)) {
            char type[128];
            struct data_text said = argument(&texts, 2);
            snprintf(type, sizeof type, "%.*s", (int)said.n, said.at);
            fail_value(&texts, type, i);
            return;
        }
    }
}

/* ---- Lists ---- */

/* [1.5, null, 2] to numbers with NaN for missing, appended. */
static bool read_doubles(struct data_text text, struct buf *to)
{
    const char *p = text.at, *end = text.at + text.n, *why;
    struct jsontext item;
    p = jsontext_skip_space(p, end);
    if (p == end || *p != '[') {
        return false;
    }
    while (jsontext_member(&p, end, NULL, &item, &why)) {
        double v = NAN;
        if (item.kind != JSONTEXT_NULL &&
            (item.kind != JSONTEXT_NUMBER || !read_double(item.at, item.n, &v))) {
            return false;
        }
        buf_add(to, &v, sizeof v);
    }
    return !why && jsontext_skip_space(p, end) == end;
}

/* nexus_doubles(text, name) -> LIST(DOUBLE) */
void text_doubles(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct texts texts =
        texts_of(functions_db(info, __builtin_return_address(0)), info, input, output);
    duckdb_list *to = texts.api->vector_get_data(output);
    struct buf all;
    buf_init(&all);
    for (size_t i = 0; i < texts.n; i++) {
        size_t before = all.len;
        if (is_there(texts.valid, i) && !read_doubles(text_of(&texts.at[i]), &all)) {
            fail_value(&texts, "doubles", i);
            buf_fini(&all);
            return;
        }
        to[i] = (duckdb_list){before / sizeof(double), (all.len - before) / sizeof(double)};
    }
    texts.api->list_vector_reserve(output, all.len / sizeof(double));
    texts.api->list_vector_set_size(output, all.len / sizeof(double));
    if (all.len) {
        memcpy(texts.api->vector_get_data(texts.api->list_vector_get_child(output)), all.data,
               all.len);
    }
    buf_fini(&all);
}

/* ---- Members of JSON objects ---- */

void fields_set(struct data_db *db, const char *const *names, size_t n)
{
    struct fields *fields = &db->fields;
    map_fini(&fields->map);
    map_init(&fields->map);
    fields->names.n = 0;
    for (size_t i = 0; i < n; i++) {
        struct data_text name = {arena_strdup(&db->arena, names[i]), strlen(names[i])};
        vec_push(&fields->names, name);
        map_set(&fields->map, names[i], (void *)(uintptr_t)(i + 1));
    }
}

/* The place of a key among the fields, or their number; most objects have them in one order. */
static size_t find_field(const struct fields *fields, const struct jsontext *key, size_t guess,
                         struct buf *name)
{
    size_t n = fields->names.n;
    if (!key->escaped && guess < n && fields->names.at[guess].n == key->n &&
        memcmp(fields->names.at[guess].at, key->at, key->n) == 0) {
        return guess;
    }
    buf_clear(name);
    jsontext_unescape(key->at, key->n, name);
    size_t found = (size_t)(uintptr_t)map_get(&fields->map, buf_text(name));
    return found ? found - 1 : n;
}

static bool put_field(const struct texts *texts, duckdb_vector child, size_t at,
                      const struct jsontext *value, struct buf *text)
{
    if (value->kind == JSONTEXT_NULL) {
        return true;
    }
    struct data_text raw = {value->at, value->n};
    if (value->kind == JSONTEXT_TEXT && value->escaped) {
        buf_clear(text);
        if (!jsontext_unescape(value->at, value->n, text)) {
            return false;
        }
        raw = (struct data_text){buf_text(text), text->len};
    }
    texts->api->vector_assign_string_element_len(child, at, raw.at, raw.n);
    texts->api->vector_get_validity(child)[at / 64] |= 1ull << (at % 64);
    return true;
}

/* The fields of one object, from `first` of the child on. */
static bool put_fields(const struct texts *texts, duckdb_vector child, size_t first,
                       struct data_text object, struct buf *text)
{
    const struct fields *fields = &texts->db->fields;
    const char *p = object.at, *end = object.at + object.n, *why = NULL;
    struct jsontext key, value;
    size_t guess = 0;
    p = jsontext_skip_space(p, end);
    if (p == end || *p != '{') {
        return false;
    }
    while (jsontext_member(&p, end, &key, &value, &why)) {
        size_t at = find_field(fields, &key, guess, text);
        guess = at + 1;
        if (at < fields->names.n && !put_field(texts, child, first + at, &value, text)) {
            return false;
        }
    }
    return !why;
}

/* nexus_fields(json) -> LIST(VARCHAR): the members of an object named by fields_set, in that order;
 * texts without quotes and escapes, all else as it is written. */
void text_fields(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct texts texts =
        texts_of(functions_db(info, __builtin_return_address(0)), info, input, output);
    size_t n_fields = texts.db->fields.names.n, n = texts.n * n_fields;
    duckdb_list *to = texts.api->vector_get_data(output);
    texts.api->list_vector_reserve(output, n);
    texts.api->list_vector_set_size(output, n);
    duckdb_vector child = texts.api->list_vector_get_child(output);
    texts.api->vector_ensure_validity_writable(child);
    memset(texts.api->vector_get_validity(child), 0, (n + 63) / 64 * sizeof(uint64_t));
    struct buf text;
    bool ok = true;
    buf_init(&text);
    for (size_t i = 0; ok && i < texts.n; i++) {
        to[i] = (duckdb_list){i * n_fields, n_fields};
        ok = !is_there(texts.valid, i) ||
             put_fields(&texts, child, i * n_fields, text_of(&texts.at[i]), &text);
    }
    if (!ok) {
        texts.api->scalar_function_set_error(info, "an object is malformed: is an escape wrong?");
    }
    buf_fini(&text);
}
