/* What a node is: scalars by the core schema, places inside them, JSON, problems. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "lib/text/source.h"
#include "lib/text/yaml.h"
#include "nexus/limits.h"

/* ---- Types ---- */

static bool is_one_of(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s, words[i]) == 0)
            return true;
    }
    return false;
}

static bool is_null_text(const char *s)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return is_one_of(s, words, sizeof words / sizeof *words);
}

static bool is_true_text(const char *s)
{
    static const char *const words[] = {"true", "True", "TRUE"};
    return is_one_of(s, words, sizeof words / sizeof *words);
}

static bool is_false_text(const char *s)
{
    static const char *const words[] = {"false", "False", "FALSE"};
    return is_one_of(s, words, sizeof words / sizeof *words);
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+; *overflow: it is one, but not of 64 bits. */
static bool read_int(const char *s, int64_t *v, bool *overflow)
{
    int base = 10;
    const char *digits = s;
    if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
        base = s[1] == 'o' ? 8 : 16;
        digits = s + 2;
    } else if (*s == '-' || *s == '+') {
        digits++;
    }
    size_t n = strspn(digits, base == 8    ? "01234567"
                              : base == 10 ? "0123456789"
                                           : "0123456789abcdefABCDEF");
    *overflow = false;
    if (n == 0 || digits[n])
        return false;
    errno = 0;
    *v = strtoll(base == 10 ? s : digits, NULL, base);
    *overflow = errno == ERANGE;
    return true;
}

static size_t count_digits(const char *s)
{
    return strspn(s, "0123456789");
}

static bool is_float_text(const char *s)
{
    static const char *const words[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    if (*s == '-' || *s == '+')
        s++;
    if (is_one_of(s, words, sizeof words / sizeof *words))
        return true;
    size_t whole = count_digits(s), fraction = 0;
    s += whole;
    if (*s == '.') {
        fraction = count_digits(s + 1);
        s += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        size_t exponent = count_digits(s);
        if (exponent == 0)
            return false;
        s += exponent;
    }
    return *s == 0;
}

enum yaml_type yaml_type(const struct yaml_node *node)
{
    int64_t v;
    bool overflow;
    if (node->kind != YAML_KIND_SCALAR)
        return node->kind == YAML_KIND_LIST ? YAML_TYPE_LIST : YAML_TYPE_MAP;
    if (node->style != YAML_STYLE_PLAIN)
        return YAML_TYPE_STRING;
    if (is_null_text(node->text))
        return YAML_TYPE_NULL;
    if (is_true_text(node->text) || is_false_text(node->text))
        return YAML_TYPE_BOOL;
    if (read_int(node->text, &v, &overflow))
        return overflow ? YAML_TYPE_FLOAT : YAML_TYPE_INT;
    return is_float_text(node->text) ? YAML_TYPE_FLOAT : YAML_TYPE_STRING;
}

const char *yaml_type_name(const struct yaml_node *node)
{
    static const char *const names[] = {
        [YAML_TYPE_NULL] = "nothing",    [YAML_TYPE_BOOL] = "a boolean",
        [YAML_TYPE_INT] = "an integer",  [YAML_TYPE_FLOAT] = "a number",
        [YAML_TYPE_STRING] = "a string", [YAML_TYPE_LIST] = "a list",
        [YAML_TYPE_MAP] = "a mapping"};
    return names[yaml_type(node)];
}

bool yaml_is_null(const struct yaml_node *node)
{
    return yaml_type(node) == YAML_TYPE_NULL;
}

bool yaml_bool(const struct yaml_node *node, bool *v)
{
    if (yaml_type(node) != YAML_TYPE_BOOL)
        return false;
    *v = is_true_text(node->text);
    return true;
}

bool yaml_int(const struct yaml_node *node, int64_t *v)
{
    int64_t value;
    bool overflow;
    if (yaml_type(node) != YAML_TYPE_INT || !read_int(node->text, &value, &overflow))
        return false;
    *v = value;
    return true;
}

bool yaml_float(const struct yaml_node *node, double *v)
{
    int64_t whole;
    if (yaml_int(node, &whole)) {
        *v = (double)whole;
        return true;
    }
    if (yaml_type(node) != YAML_TYPE_FLOAT)
        return false;
    const char *s = node->text;
    const char *word = strchr(s, '.');
    if (word && tolower((unsigned char)word[1]) == 'n')
        *v = NAN;
    else if (word && tolower((unsigned char)word[1]) == 'i')
        *v = *s == '-' ? -INFINITY : INFINITY;
    else
        *v = strtod(s, NULL);
    return true;
}

/* ---- JSON ---- */

static json_t *scalar_json(const struct yaml_node *node)
{
    bool truth = false;
    int64_t whole = 0;
    double real = 0;
    if (yaml_bool(node, &truth))
        return json_boolean(truth);
    if (yaml_int(node, &whole))
        return json_integer(whole);
    if (yaml_float(node, &real))
        return isfinite(real) ? json_real(real) : json_null();
    return yaml_is_null(node) ? json_null() : js_stringn(node->text, node->n);
}

/* Not deeper than node->height, which the parser bounds. */
static json_t *node_json(const struct yaml_node *node)
{
    if (node->kind == YAML_KIND_SCALAR)
        return scalar_json(node);
    json_t *value = node->kind == YAML_KIND_LIST ? json_array() : json_object();
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == YAML_KIND_LIST)
            json_array_append_new(value, node_json(node->items[i]));
        else
            json_object_set_new(value, node->pairs[i].key->text, node_json(node->pairs[i].value));
    }
    return value;
}

json_t *yaml_json(const struct yaml_node *node)
{
    must(node->height <= NX_YAML_DEPTH_MAX + 1);
    return node_json(node);
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map->kind != YAML_KIND_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->pairs[i].key->text, key) == 0)
            return map->pairs[i].value;
    }
    return NULL;
}

/* ---- Places inside a scalar ---- */

const char *yaml_file(const struct yaml_node *node)
{
    return node->source->file;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Bytes of the value that the escape after a backslash stands for, blanks not counted; *n: its
 * length in the source. */
static size_t escape_weight(const char *s, size_t *n)
{
    unsigned long code;
    char digits[9] = {0};
    *n = *s == 'x' ? 3 : *s == 'u' ? 5 : *s == 'U' ? 9 : 1;
    if (*n == 1)
        return strchr("nrt \n\r\t", *s) ? 0 : strchr("N_", *s) ? 2 : strchr("LP", *s) ? 3 : 1;
    memcpy(digits, s + 1, strnlen(s + 1, *n - 1));
    code = strtoul(digits, NULL, 16);
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* Where the value begins in the source: past anchor and tag, quote or block header. */
static size_t content_start(const struct yaml_node *node)
{
    const char *s = node->source->text;
    size_t i = source_line(node->source, node->line);
    for (int column = 1; column < node->column && s[i]; column++) {
        i++;
        while (((unsigned char)s[i] & 0xc0) == 0x80)
            i++;
    }
    while (s[i] == '&' || s[i] == '!') {
        while (s[i] && !is_blank(s[i]))
            i++;
        while (is_blank(s[i]))
            i++;
    }
    if (node->style == YAML_STYLE_LITERAL || node->style == YAML_STYLE_FOLDED) {
        while (s[i] && s[i] != '\n' && s[i] != '\r')
            i++;
    } else if (s[i] == '\'' || s[i] == '"') {
        i++;
    }
    return i;
}

/* Folding and indentation change blanks only: so the byte is found by counting all others. */
void yaml_place(const struct yaml_node *node, size_t offset, int *line, int *column)
{
    *line = node->line;
    *column = node->column;
    if (node->kind != YAML_KIND_SCALAR || node->n == 0 || node->source->built)
        return;
    if (offset > node->n)
        offset = node->n;
    size_t before = 0, n;
    for (size_t i = 0; i < offset; i++)
        before += !is_blank(node->text[i]);
    bool counts_end = offset == node->n || is_blank(node->text[offset]);
    const char *s = node->source->text;
    size_t i = content_start(node);
    while (s[i]) {
        if (!is_blank(s[i]) && before == 0)
            break;
        if (before == 0 && counts_end)
            break; /* a blank, or the end: right after the last character before it */
        if (s[i] == '\\' && node->style == YAML_STYLE_DOUBLE && s[i + 1]) {
            size_t weight = escape_weight(s + i + 1, &n);
            before -= weight < before ? weight : before;
            i += 1 + n;
            continue;
        }
        if (s[i] == '\'' && node->style == YAML_STYLE_SINGLE && s[i + 1] == '\'')
            i++;
        before -= !is_blank(s[i]);
        i++;
    }
    source_place(node->source, i, line, column);
}

/* ---- Problems ---- */

static struct problem *add_at(struct problems *problems, const struct yaml_node *node, int line,
                              int column, const char *format, va_list args)
{
    struct buf text;
    buf_init(&text);
    buf_vprintf(&text, format, args);
    struct problem *problem =
        problem_add(problems, PROBLEM_ERROR, yaml_file(node), line, column, "%s", buf_text(&text));
    buf_fini(&text);
    return problem;
}

struct problem *yaml_problem(struct problems *problems, const struct yaml_node *node,
                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct problem *problem = add_at(problems, node, node->line, node->column, format, args);
    va_end(args);
    return problem;
}

struct problem *yaml_problem_at(struct problems *problems, const struct yaml_node *node,
                                size_t offset, const char *format, ...)
{
    int line, column;
    yaml_place(node, offset, &line, &column);
    va_list args;
    va_start(args, format);
    struct problem *problem = add_at(problems, node, line, column, format, args);
    va_end(args);
    return problem;
}
