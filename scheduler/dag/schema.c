/* The JSON Schema of a DAG file, and the tables of keys for people: both from the table of keys. */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/dag/keys.h"
#include "scheduler/dag/spec.h"

#define NAME_PATTERN "^[a-z][a-z0-9_-]{0,63}$"
#define ID_PATTERN "^[a-z][a-z0-9_]{0,63}$"
#define DURATION_PATTERN "^([0-9]+(\\.[0-9]+)?(d|h|m|s|ms))+$|^[0-9]+(\\.[0-9]+)?$"
#define SIZE_PATTERN "^[0-9]+(\\.[0-9]+)?([KMGT](i?B)?|B)?$"
#define EXPRESSION_PATTERN "\\$\\{\\{"

static json_t *typed(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *pattern(const char *text)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", text);
}

static json_t *either(json_t *a, json_t *b)
{
    return json_pack("{s:[o, o]}", "anyOf", a, b);
}

static json_t *or_list(json_t *item)
{
    json_t *list = json_pack("{s:s, s:O}", "type", "array", "items", item);
    return either(item, list);
}

static json_t *reference(const char *name)
{
    char path[80];
    snprintf(path, sizeof path, "#/$defs/%s", name);
    return json_pack("{s:s}", "$ref", path);
}

static json_t *map_of(json_t *value)
{
    return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", value);
}

static json_t *choices_json(const char *choices)
{
    json_t *list = json_array();
    char text[64];
    for (size_t i = 0; key_choice(choices, i, text, sizeof text); i++)
        json_array_append_new(list, json_string(text));
    return json_pack("{s:o}", "enum", list);
}

static json_t *bounded(const struct key *key, const char *type)
{
    json_t *o = typed(type);
    if (key->min != 0 || key->max != 0) {
        bool whole = key->type == KEY_INT;
        json_object_set_new(o, "minimum",
                            whole ? json_integer((json_int_t)key->min) : json_real(key->min));
        json_object_set_new(o, "maximum",
                            whole ? json_integer((json_int_t)key->max) : json_real(key->max));
    }
    return o;
}

static json_t *map_json(const char *name)
{
    json_t *scalar = json_pack("{s:[s, s, s, s]}", "type", "string", "number", "boolean", "null");
    if (str_eq(name, "env"))
        return map_of(scalar);
    json_decref(scalar);
    if (str_eq(name, "with"))
        return typed("object");
    if (str_eq(name, "groups")) {
        json_t *groups = map_of(reference("group"));
        json_object_set_new(groups, "propertyNames", json_pack("{s:s}", "pattern", NAME_PATTERN));
        return groups;
    }
    if (str_eq(name, "tasks") || str_eq(name, "params")) {
        json_t *map = map_of(reference(str_eq(name, "tasks") ? "task" : "param"));
        json_object_set_new(map, "propertyNames", json_pack("{s:s}", "pattern", ID_PATTERN));
        return map;
    }
    return reference(name);
}

static json_t *value_json_of(const struct key *key)
{
    switch (key->type) {
    case KEY_TEXT:
        return typed("string");
    case KEY_NAME:
        return pattern(NAME_PATTERN);
    case KEY_ENUM:
        return choices_json(key->choices);
    case KEY_BOOL:
        return typed("boolean");
    case KEY_INT:
        return bounded(key, "integer");
    case KEY_FLOAT:
        return bounded(key, "number");
    case KEY_DURATION:
        return either(pattern(DURATION_PATTERN),
                      json_pack("{s:s, s:i}", "type", "number", "minimum", 0));
    case KEY_SIZE:
        return either(pattern(SIZE_PATTERN),
                      json_pack("{s:s, s:i}", "type", "integer", "minimum", 0));
    case KEY_TEXTS:
        return or_list(typed("string"));
    case KEY_INTS:
        return or_list(bounded(key, "integer"));
    case KEY_EXPRESSION:
        return json_pack("{s:[s, s]}", "type", "string", "boolean");
    case KEY_MAP:
        return map_json(key->name);
    case KEY_LIST:
        return either(typed("array"), pattern(EXPRESSION_PATTERN));
    case KEY_ANY:
        break;
    }
    if (str_starts(key->name, "on_"))
        return or_list(reference("notification"));
    return str_eq(key->name, "choices") ? typed("array") : json_object();
}

/* {webhook: URL or mapping} and so on. */
static json_t *notification_json(void)
{
    return json_pack("{s:s, s:i, s:i, s:b, s:{s:o, s:o, s:o}}", "type", "object", "minProperties",
                     1, "maxProperties", 1, "additionalProperties", 0, "properties", "webhook",
                     either(typed("string"), reference("webhook")), "email", reference("email"),
                     "command", either(or_list(typed("string")), reference("command")));
}

static json_t *scope_json(enum key_scope scope)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < key_count(); i++) {
        const struct key *key = &key_table[i];
        if (!(key->scopes & scope) || !key->help)
            continue;
        json_t *value = value_json_of(key);
        json_object_set_new(value, "description", json_string(key->help));
        json_object_set_new(properties, key->name, value);
    }
    return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
                     "additionalProperties", 0);
}

/* ---- Operators ---- */

/* What a parameter takes as a constant; NULL: anything. */
static json_t *constant_json(const json_t *param)
{
    static const struct {
        const char *type, *json;
    } simple[] = {{"bool", "boolean"},  {"int", "integer"},       {"float", "number"},
                  {"string", "string"}, {"sql", "string"},        {"column", "string"},
                  {"time", "string"},   {"connection", "string"}, {"list", "array"},
                  {"object", "object"}};
    const char *type = js_get_text(param, "type", "any");
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++) {
        if (str_eq(simple[i].type, type))
            return typed(simple[i].json);
    }
    if (str_eq(type, "duration"))
        return either(pattern(DURATION_PATTERN), typed("number"));
    if (str_eq(type, "size"))
        return either(pattern(SIZE_PATTERN), typed("integer"));
    if (str_eq(type, "strings"))
        return or_list(typed("string"));
    if (str_eq(type, "enum") && json_object_get(param, "choices"))
        return json_pack("{s:O}", "enum", json_object_get(param, "choices"));
    return NULL;
}

static json_t *param_json(const json_t *param)
{
    json_t *constant = constant_json(param);
    bool bounds = constant && json_object_get(constant, "type") &&
                  (str_eq(js_get_text(param, "type", ""), "int") ||
                   str_eq(js_get_text(param, "type", ""), "float"));
    if (bounds && json_is_number(json_object_get(param, "min")))
        json_object_set(constant, "minimum", json_object_get(param, "min"));
    if (bounds && json_is_number(json_object_get(param, "max")))
        json_object_set(constant, "maximum", json_object_get(param, "max"));
    json_t *o = constant ? either(constant, pattern(EXPRESSION_PATTERN)) : json_object();
    json_object_set_new(o, "description", js_string(js_get_text(param, "help", "")));
    return o;
}

/* if uses is this operator, then with is that. */
static json_t *operator_json(const json_t *entry)
{
    json_t *properties = json_object(), *required = json_array();
    const json_t *params = json_object_get(entry, "params");
    for (size_t i = 0; i < json_array_size(params); i++) {
        const json_t *param = json_array_get(params, i);
        const char *name = js_get_text(param, "name", "");
        json_object_set_new(properties, name, param_json(param));
        if (js_get_bool(param, "required", false))
            json_array_append_new(required, json_string(name));
    }
    json_t *condition = json_pack("{s:{s:{s:s}}, s:[s]}", "properties", "uses", "const",
                                  js_get_text(entry, "name", ""), "required", "uses");
    json_t *with = json_pack("{s:o, s:o, s:b}", "properties", properties, "required", required,
                             "additionalProperties", 0);
    json_t *then = json_pack("{s:{s:o}}", "properties", "with", with);
    if (json_array_size(json_object_get(with, "required")))
        json_object_set_new(then, "required", json_pack("[s]", "with"));
    return json_pack("{s:o, s:o}", "if", condition, "then", then);
}

static void add_operators(json_t *task, const json_t *catalog)
{
    json_t *names = json_array(), *rules = json_array();
    for (size_t i = 0; i < json_array_size(catalog); i++) {
        const json_t *entry = json_array_get(catalog, i);
        json_array_append_new(names, js_string(js_get_text(entry, "name", "")));
        json_array_append_new(rules, operator_json(entry));
    }
    json_t *uses = json_object_get(json_object_get(task, "properties"), "uses");
    json_object_set_new(uses, "enum", names);
    json_object_set_new(task, "allOf", rules);
}

json_t *spec_schema(const json_t *catalog)
{
    json_t *schema =
        json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
                  "A DAG file of Nexus");
    json_t *dag = scope_json(KEY_DAG), *task = scope_json(KEY_TASK);
    json_object_update(schema, dag);
    json_decref(dag);
    json_object_set_new(schema, "required", json_pack("[s]", "tasks"));
    json_object_set_new(task, "oneOf",
                        json_pack("[{s:[s]}, {s:[s]}]", "required", "uses", "required", "run"));
    if (json_array_size(catalog))
        add_operators(task, catalog);
    json_t *concurrency = scope_json(KEY_CONCURRENCY);
    json_object_set_new(concurrency, "required", json_pack("[s, s]", "key", "limit"));
    json_object_set_new(schema, "$defs",
                        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "task",
                                  task, "defaults", scope_json(KEY_DEFAULTS), "param",
                                  scope_json(KEY_PARAM), "resources", scope_json(KEY_RESOURCES),
                                  "retry_on", scope_json(KEY_RETRY_ON), "concurrency", concurrency,
                                  "group", scope_json(KEY_GROUP), "notification",
                                  notification_json(), "webhook", scope_json(KEY_WEBHOOK), "email",
                                  scope_json(KEY_EMAIL), "command", scope_json(KEY_COMMAND)));
    return schema;
}

/* ---- For people ---- */

static void add_type(const struct key *key, struct buf *to)
{
    static const char *const words[] = {[KEY_TEXT] = "text",
                                        [KEY_NAME] = "name",
                                        [KEY_ENUM] = "",
                                        [KEY_BOOL] = "true or false",
                                        [KEY_INT] = "integer",
                                        [KEY_FLOAT] = "number",
                                        [KEY_DURATION] = "duration",
                                        [KEY_SIZE] = "size",
                                        [KEY_TEXTS] = "text or list",
                                        [KEY_INTS] = "integer or list",
                                        [KEY_MAP] = "mapping",
                                        [KEY_EXPRESSION] = "expression",
                                        [KEY_LIST] = "list or expression",
                                        [KEY_ANY] = "any"};
    char choice[64];
    buf_str(to, words[key->type]);
    for (size_t i = 0; key->choices && key_choice(key->choices, i, choice, sizeof choice); i++)
        buf_printf(to, "%s`%s`", i ? ", " : "", choice);
    bool limits = key->max != 0 && (key->type == KEY_INT || key->type == KEY_FLOAT);
    if (limits)
        buf_printf(to, ", %.15g to %.15g", key->min, key->max);
}

static void add_table(enum key_scope scope, const char *title, struct buf *to)
{
    buf_printf(to, "### %s\n\n| key | value | default | |\n|---|---|---|---|\n", title);
    for (size_t i = 0; i < key_count(); i++) {
        const struct key *key = &key_table[i];
        if (!(key->scopes & scope) || !key->help)
            continue;
        buf_printf(to, "| `%s` | ", key->name);
        add_type(key, to);
        buf_printf(to, " | %s | %s%s |\n", key->fallback ? key->fallback : "", key->help,
                   scope == KEY_TASK && (key->scopes & KEY_DEFAULTS) ? " (d)" : "");
    }
    buf_char(to, '\n');
}

void spec_keys_markdown(struct buf *to)
{
    add_table(KEY_DAG, "Keys of a DAG", to);
    add_table(KEY_TASK, "Keys of a task", to);
    buf_str(to, "(d): may stand in `defaults` too.\n\n");
    add_table(KEY_RESOURCES, "Keys of `resources`", to);
    add_table(KEY_RETRY_ON, "Keys of `retry_on`", to);
    add_table(KEY_CONCURRENCY, "Keys of `concurrency`", to);
    add_table(KEY_GROUP, "Keys of a group", to);
    add_table(KEY_PARAM, "Keys of a param", to);
    add_table(KEY_WEBHOOK, "Keys of `webhook`", to);
    add_table(KEY_EMAIL, "Keys of `email`", to);
    add_table(KEY_COMMAND, "Keys of `command`", to);
    buf_str(to, "Known, but not yet supported:");
    for (size_t i = 0, n = 0; i < key_count(); i++) {
        if (!key_table[i].help)
            buf_printf(to, "%s `%s`", n++ ? "," : "", key_table[i].name);
    }
    buf_str(to, ".\n");
}
