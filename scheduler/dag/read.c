/* Keys and values of a map, by the table of keys. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/script/template.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

#define CHOICE_MAX 64
#define CHOICES_MAX 32

const char *keep(struct reader *r, const char *text)
{
    return arena_strdup(&r->spec->arena, text);
}

struct problem *read_problem(struct reader *r, const struct yaml_node *node, const char *key,
                             const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    struct problem *problem = yaml_problem(r->problems, node, "'%s' %s", key, buf_text(&text));
    buf_fini(&text);
    return problem;
}

/* "must be ..., not an integer '3'". */
static void wrong_type(struct reader *r, const struct yaml_node *node, const char *key,
                       const char *wanted)
{
    if (node->kind == YAML_KIND_SCALAR && template_has_expression(node->text)) {
        problem_hint(r->problems, read_problem(r, node, key, "must be a constant"),
                     "${{ }} is allowed in with, env, run, if and for_each only");
        return;
    }
    if (node->kind != YAML_KIND_SCALAR || node->n == 0) {
        read_problem(r, node, key, "must be %s, not %s", wanted, yaml_type_name(node));
        return;
    }
    struct problem *problem = read_problem(r, node, key, "must be %s, not %s '%.40s'", wanted,
                                           yaml_type_name(node), node->text);
    bool quoted = node->style == YAML_STYLE_SINGLE || node->style == YAML_STYLE_DOUBLE;
    static const char *const nearly_true[] = {"yes", "no", "on", "off"};
    for (size_t i = 0; i < 4 && str_starts(wanted, "true"); i++) {
        if (str_eq(node->text, nearly_true[i]))
            problem_hint(r->problems, problem, "write %s", i % 2 ? "false" : "true");
    }
    if (str_starts(wanted, "a string") && node->style == YAML_STYLE_PLAIN)
        problem_hint(r->problems, problem, "put it in quotes");
    if (str_starts(wanted, "an integer") && quoted)
        problem_hint(r->problems, problem, "take the quotes away");
}

static bool within(struct reader *r, const struct key *key, const struct yaml_node *node, double v,
                   const char *unit)
{
    if ((key->min == 0 && key->max == 0) || (v >= key->min && v <= key->max))
        return true;
    bool low = v < key->min;
    read_problem(r, node, key->name, "must be at %s %.15g%s, not %.40s", low ? "least" : "most",
                 low ? key->min : key->max, unit, node->text);
    return false;
}

/* Of a duration: the bounds are seconds. */
static bool within_span(struct reader *r, const struct key *key, const struct yaml_node *node,
                        int64_t ms)
{
    double v = (double)ms / 1000;
    char bound[48];
    if ((key->min == 0 && key->max == 0) || (v >= key->min && v <= key->max))
        return true;
    bool low = v < key->min;
    str_format_duration(bound, sizeof bound, (int64_t)((low ? key->min : key->max) * 1000));
    read_problem(r, node, key->name, "must be at %s %s, not %.40s", low ? "least" : "most", bound,
                 node->text);
    return false;
}

static void read_bool(struct reader *r, const struct key *key, const struct yaml_node *node,
                      bool *to)
{
    if (!yaml_bool(node, to))
        wrong_type(r, node, key->name, "true or false");
}

static void read_int(struct reader *r, const struct key *key, const struct yaml_node *node,
                     int64_t *to)
{
    int64_t v;
    if (!yaml_int(node, &v))
        wrong_type(r, node, key->name, "an integer");
    else if (within(r, key, node, (double)v, ""))
        *to = v;
}

static void read_float(struct reader *r, const struct key *key, const struct yaml_node *node,
                       double *to)
{
    double v;
    if (!yaml_float(node, &v))
        wrong_type(r, node, key->name, "a number");
    else if (within(r, key, node, v, ""))
        *to = v;
}

static void read_duration(struct reader *r, const struct key *key, const struct yaml_node *node,
                          int64_t *to)
{
    int64_t ms;
    if (node->kind != YAML_KIND_SCALAR || !str_parse_duration(node->text, &ms))
        wrong_type(r, node, key->name, "a duration such as 10s, 5m or 1h30m");
    else if (ms == 0 && str_ends(key->name, "timeout"))
        problem_hint(r->problems, read_problem(r, node, key->name, "must be longer than 0"),
                     "leave it out for none");
    else if (within_span(r, key, node, ms))
        *to = ms;
}

static void read_size(struct reader *r, const struct key *key, const struct yaml_node *node,
                      int64_t *to)
{
    int64_t bytes;
    if (node->kind != YAML_KIND_SCALAR || !str_parse_size(node->text, &bytes))
        wrong_type(r, node, key->name, "a size such as 512M or 2G");
    else if (within(r, key, node, (double)bytes, " bytes"))
        *to = bytes;
}

static void read_enum(struct reader *r, const struct key *key, const struct yaml_node *node,
                      unsigned *to)
{
    char names[CHOICES_MAX][CHOICE_MAX];
    const char *pointers[CHOICES_MAX];
    size_t n = 0;
    if (node->kind != YAML_KIND_SCALAR || yaml_is_null(node)) {
        wrong_type(r, node, key->name, "one of its words");
        return;
    }
    for (; key_choice(key->choices, n, names[n], CHOICE_MAX); n++) {
        pointers[n] = names[n];
        if (str_eq(names[n], node->text)) {
            *to = (unsigned)n;
            return;
        }
    }
    struct buf list;
    buf_init(&list);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    struct problem *problem = read_problem(r, node, key->name, "must be one of %s, not '%.40s'",
                                           buf_text(&list), node->text);
    const char *nearest = str_nearest(node->text, pointers, n);
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
    buf_fini(&list);
}

static void read_text(struct reader *r, const struct key *key, const struct yaml_node *node,
                      const char **to)
{
    bool script = str_eq(key->name, "run");
    if (yaml_type(node) != YAML_TYPE_STRING) {
        wrong_type(r, node, key->name, "a string");
        return;
    }
    if (!script && !str_eq(key->name, "description") && template_has_expression(node->text))
        wrong_type(r, node, key->name, "a string");
    else if (node->n == 0)
        read_problem(r, node, key->name, "is empty");
    else
        *to = keep(r, node->text);
}

static void read_name(struct reader *r, const struct key *key, const struct yaml_node *node,
                      const char **to)
{
    if (node->kind != YAML_KIND_SCALAR || template_has_expression(node->text))
        wrong_type(r, node, key->name, "a name");
    else if (!str_is_id(node->text, true))
        problem_hint(r->problems,
                     read_problem(r, node, key->name, "must be a name, not '%.80s'", node->text),
                     "lower case letters, digits, _ and -, a letter first, at most %d", NX_ID_MAX);
    else
        *to = keep(r, node->text);
}

static void read_value(struct reader *r, const struct key *key, const struct yaml_node *node,
                       void *field)
{
    switch (key->type) {
    case KEY_TEXT:
        read_text(r, key, node, field);
        break;
    case KEY_NAME:
        read_name(r, key, node, field);
        break;
    case KEY_ENUM:
        read_enum(r, key, node, field);
        break;
    case KEY_BOOL:
        read_bool(r, key, node, field);
        break;
    case KEY_INT:
        read_int(r, key, node, field);
        break;
    case KEY_FLOAT:
        read_float(r, key, node, field);
        break;
    case KEY_DURATION:
        read_duration(r, key, node, field);
        break;
    case KEY_SIZE:
        read_size(r, key, node, field);
        break;
    default:
        must(!"a key that is read by hand");
    }
}

/* A misplaced or mistyped key: says where it belongs, or the nearest one. */
static void unknown_key(struct reader *r, const struct yaml_node *node, enum key_scope scope,
                        const char *what)
{
    static const enum key_scope others[] = {KEY_DAG, KEY_TASK, KEY_RESOURCES, KEY_PARAM, KEY_GROUP};
    struct problem *problem =
        yaml_problem(r->problems, node, "unknown key '%.80s' in %s", node->text, what);
    const char *nearest = key_nearest(scope, node->text);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i] != scope && key_find(others[i], node->text)) {
            problem_hint(r->problems, problem, "it is a key of %s", key_scope_name(others[i]));
            return;
        }
    }
    for (size_t i = 0; !nearest && i < sizeof others / sizeof *others; i++) {
        const char *other = others[i] == scope ? NULL : key_nearest(others[i], node->text);
        if (other) {
            problem_hint(r->problems, problem, "did you mean '%s'? It is a key of %s", other,
                         key_scope_name(others[i]));
            return;
        }
    }
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
}

void read_keys(struct reader *r, const struct yaml_node *map, enum key_scope scope, void *target,
               const char *what)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *name = map->pairs[i].key, *value = map->pairs[i].value;
        const struct key *key = key_find(scope, name->text);
        if (!key)
            unknown_key(r, name, scope, what);
        else if (!key->help)
            problem_hint(r->problems,
                         yaml_problem(r->problems, name, "'%s' is not yet supported", name->text),
                         "leave it out");
        else if (key->offset != KEY_BY_HAND)
            read_value(r, key, value, (char *)target + key->offset);
        else if (key->type < KEY_TEXTS)
            continue; /* the caller reads it */
        else if (yaml_is_null(value) && key->type < KEY_EXPRESSION)
            read_problem(r, value, key->name, "has no value");
        else if (key->type == KEY_MAP && value->kind != YAML_KIND_MAP)
            wrong_type(r, value, key->name, "a mapping");
    }
}

bool read_texts(struct reader *r, const struct yaml_node *node, const char *key,
                void (*each)(struct reader *r, struct yaml_node *node, void *arg), void *arg)
{
    if (node->kind == YAML_KIND_LIST) {
        for (size_t i = 0; i < node->n; i++) {
            struct yaml_node *item = node->items[i];
            if (yaml_type(item) != YAML_TYPE_STRING)
                wrong_type(r, item, key, "a string or a list of strings");
            else
                each(r, item, arg);
        }
        return true;
    }
    if (yaml_is_null(node))
        return false; /* said by read_keys */
    if (yaml_type(node) != YAML_TYPE_STRING) {
        wrong_type(r, node, key, "a string or a list of strings");
        return false;
    }
    each(r, (struct yaml_node *)(uintptr_t)node, arg);
    return true;
}
