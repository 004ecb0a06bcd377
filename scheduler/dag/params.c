/* The params of a DAG. */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/script/lex.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

/* The type said, or that of the default. */
static const char *type_of(struct reader *r, const struct yaml_node *body)
{
    static const char *const by_yaml[] = {
        [YAML_TYPE_NULL] = "string",  [YAML_TYPE_BOOL] = "boolean",  [YAML_TYPE_INT] = "integer",
        [YAML_TYPE_FLOAT] = "number", [YAML_TYPE_STRING] = "string", [YAML_TYPE_LIST] = "list",
        [YAML_TYPE_MAP] = "object"};
    const struct yaml_node *type = yaml_get(body, "type"), *fallback = yaml_get(body, "default");
    const struct key *key = key_find(KEY_PARAM, "type");
    const char *pointers[16];
    static const char *const names[] = {"string", "integer",  "number", "boolean", "date",
                                        "time",   "duration", "list",   "object"};
    size_t n = sizeof names / sizeof *names;
    if (!type)
        return fallback ? by_yaml[yaml_type(fallback)] : "string";
    memcpy(pointers, names, sizeof names);
    for (size_t i = 0; i < n; i++) {
        if (type->kind == YAML_KIND_SCALAR && str_eq(names[i], type->text))
            return names[i];
    }
    struct problem *problem = read_problem(r, type, "type", "must be one of %s", key->choices);
    const char *nearest =
        type->kind == YAML_KIND_SCALAR ? str_nearest(type->text, pointers, n) : NULL;
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
    return "any";
}

static void read_bound(struct reader *r, const struct yaml_node *body, const char *name,
                       const char *type, json_t *param)
{
    const struct yaml_node *node = yaml_get(body, name);
    double v;
    if (!node)
        return;
    if (!str_eq(type, "integer") && !str_eq(type, "number") && !str_eq(type, "any"))
        read_problem(r, node, name, "is for params of type integer or number, not %s", type);
    else if (!yaml_float(node, &v))
        read_problem(r, node, name, "must be a number");
    else
        json_object_set_new(param, name, yaml_json(node));
}

static void check_bounds(struct reader *r, const struct yaml_node *body, const json_t *param)
{
    const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
    if (json_is_number(min) && json_is_number(max) &&
        json_number_value(min) > json_number_value(max))
        read_problem(r, yaml_get(body, "min"), "min", "is greater than 'max': no value is allowed");
}

static void read_choices(struct reader *r, const struct yaml_node *body, json_t *param)
{
    const struct yaml_node *node = yaml_get(body, "choices");
    if (!node)
        return;
    if (node->kind != YAML_KIND_LIST || node->n == 0) {
        read_problem(r, node, "choices", "must be a list of values, and not empty");
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        struct nx_err err;
        json_t *value = yaml_json(node->items[i]);
        if (!arg_check(param, value, NULL, &err))
            read_problem(r, node->items[i], "choices", "%s", err.text);
        json_decref(value);
    }
    json_object_set_new(param, "choices", yaml_json(node));
}

static void read_default(struct reader *r, const struct yaml_node *body, json_t *param)
{
    const struct yaml_node *node = yaml_get(body, "default");
    struct nx_err err;
    json_t *normal = NULL;
    if (!node || yaml_is_null(node)) {
        json_object_set_new(param, "default", json_null());
        return;
    }
    json_t *value = yaml_json(node);
    if (has_expression(node))
        read_problem(r, node, "default", "must be a constant");
    else if (arg_check(param, value, &normal, &err))
        json_object_set_new(param, "default", normal);
    else
        read_problem(r, node, "default", "%s", err.text);
    json_decref(value);
}

/* `kind`: "param", or what else it is called. */
static void read_one(struct reader *r, const char *kind, const struct yaml_node *name,
                     const struct yaml_node *body, json_t *list)
{
    char what[NX_ID_MAX + 32];
    bool required = false;
    if (!str_is_id(name->text, false) || lex_is_keyword(name->text, name->n)) {
        problem_hint(
            r->problems,
            yaml_problem(r->problems, name, "'%.80s' cannot be the name of a %s", name->text, kind),
            lex_is_keyword(name->text, name->n)
                ? "it is a word of Lua"
                : "lower case letters, digits and _, a letter first, at most 64");
        return;
    }
    if (body->kind != YAML_KIND_MAP) {
        problem_hint(
            r->problems,
            yaml_problem(r->problems, body, "the %s '%s' must be a mapping", kind, name->text),
            "write %s: {default: %s}", name->text,
            body->kind == YAML_KIND_SCALAR && body->n < 40 ? body->text : "...");
        return;
    }
    snprintf(what, sizeof what, "%s '%s'", kind, name->text);
    read_keys(r, body, KEY_PARAM, NULL, what);
    const char *type = type_of(r, body);
    const struct yaml_node *node = yaml_get(body, "required"), *help = yaml_get(body, "help");
    if (node && !yaml_bool(node, &required))
        read_problem(r, node, "required", "must be true or false");
    json_t *param = json_object();
    json_object_set_new(param, "name", js_string(name->text));
    json_object_set_new(param, "type", js_string(type));
    json_object_set_new(param, "required", json_boolean(required));
    json_object_set_new(param, "help",
                        help && help->kind == YAML_KIND_SCALAR ? js_string(help->text)
                                                               : json_null());
    static const char *const maybe[] = {"min", "max", "choices"};
    for (size_t i = 0; i < 3; i++)
        json_object_set_new(param, maybe[i], json_null());
    read_choices(r, body, param);
    read_bound(r, body, "min", type, param);
    read_bound(r, body, "max", type, param);
    check_bounds(r, body, param);
    read_default(r, body, param);
    if (required && !json_is_null(json_object_get(param, "default")))
        problem_hint(r->problems,
                     read_problem(r, yaml_get(body, "default"), "default",
                                  "is never used: every run must be given a value"),
                     "take away 'required' or the default");
    json_array_append_new(list, param);
}

json_t *read_described(struct reader *r, const struct yaml_node *map, const char *what)
{
    json_t *list = json_array();
    if (map->n > NX_DAG_PARAMS_MAX)
        yaml_problem(r->problems, map, "%zu %ss; at most %d are allowed", map->n, what,
                     NX_DAG_PARAMS_MAX);
    for (size_t i = 0; map->n <= NX_DAG_PARAMS_MAX && i < map->n; i++)
        read_one(r, what, map->pairs[i].key, map->pairs[i].value, list);
    return list;
}

void read_params(struct reader *r)
{
    const struct yaml_node *params = yaml_get(r->root, "params");
    bool map = params && params->kind == YAML_KIND_MAP; /* else: said by read_keys */
    r->spec->params = map ? read_described(r, params, "param") : json_array();
}
