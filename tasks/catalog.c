#include "tasks/catalog.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"
#include "tasks/table.h"

static const char *type_name(enum nx_type type)
{
    switch (type) {
    case NX_T_BOOL:
        return "bool";
    case NX_T_INT:
        return "int";
    case NX_T_FLOAT:
        return "float";
    case NX_T_STRING:
        return "string";
    case NX_T_ENUM:
        return "enum";
    case NX_T_DURATION:
        return "duration";
    case NX_T_SIZE:
        return "size";
    case NX_T_TIME:
        return "time";
    case NX_T_SQL:
        return "sql";
    case NX_T_COLUMN:
        return "column";
    case NX_T_TABLE:
        return "table";
    case NX_T_MODEL:
        return "model";
    case NX_T_STRINGS:
        return "strings";
    case NX_T_LIST:
        return "list";
    case NX_T_OBJECT:
        return "object";
    case NX_T_CONN:
        return "connection";
    case NX_T_ANY:
        return "any";
    }
    must(!"a type of nexus/operator.h");
    return NULL;
}

static void set(json_t *object, const char *key, json_t *value)
{
    must(value && json_object_set_new(object, key, value) == 0);
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        set(object, key, json_string(text));
}

/* A bound is a whole number wherever it can be. */
static json_t *number(double v)
{
    if (v >= -9007199254740992.0 && v <= 9007199254740992.0 && v == (double)(json_int_t)v)
        return json_integer((json_int_t)v);
    return json_real(v);
}

static json_t *choices_json(const char *choices)
{
    json_t *list = json_array();
    for (const char *p = choices; p;) {
        const char *end = strchr(p, '|');
        json_array_append_new(list, end ? json_stringn(p, (size_t)(end - p)) : json_string(p));
        p = end ? end + 1 : NULL;
    }
    return list;
}

static json_t *param_json(const struct nx_param *param);

static json_t *params_json(const struct nx_param *params)
{
    json_t *list = json_array();
    for (const struct nx_param *p = params; p && p->name; p++)
        json_array_append_new(list, param_json(p));
    return list;
}

/* [{"when": {"param": ..., "value": ...} (left out: always), "params": [...]}] */
static json_t *members_json(const struct nx_members *members)
{
    json_t *list = json_array();
    for (; members->params; members++) {
        json_t *group = json_object();
        const char *equals = members->when ? strchr(members->when, '=') : NULL;
        if (members->when) {
            must(equals != NULL);
            set(group, "when",
                json_pack("{s:o, s:s}", "param",
                          json_stringn(members->when, (size_t)(equals - members->when)), "value",
                          equals + 1));
        }
        set(group, "params", params_json(members->params));
        json_array_append_new(list, group);
    }
    return list;
}

/* Members are described in the same way; descriptors are not deep. */
static json_t *param_json(const struct nx_param *param)
{
    json_t *object = json_object();
    set_text(object, "name", param->name);
    set_text(object, "type", type_name(param->type));
    set(object, "required", json_boolean(param->flags & NX_P_REQUIRED));
    if (param->fallback)
        set(object, "default", json_loads(param->fallback, JSON_DECODE_ANY, NULL));
    if (param->flags & NX_P_HAS_MIN)
        set(object, "min", number(param->min));
    if (param->flags & NX_P_HAS_MAX)
        set(object, "max", number(param->max));
    set_text(object, "unit", param->unit);
    if (param->choices)
        set(object, param->type == NX_T_CONN ? "kinds" : "choices", choices_json(param->choices));
    if (param->flags & NX_P_ABOVE_MIN)
        set(object, "above_min", json_true());
    if (param->flags & NX_P_SECRET)
        set(object, "secret", json_true());
    if (param->flags & NX_P_DATASET)
        set(object, "dataset", json_true());
    if (param->also)
        set(object, "also", choices_json(param->also));
    if (param->members)
        set(object, "members", members_json(param->members));
    if (param->each)
        set(object, "each", param_json(param->each));
    set_text(object, "help", param->help);
    return object;
}

json_t *catalog_entry(const struct nx_operator *op)
{
    json_t *object = json_object(), *flags = json_array(), *outputs = json_array();
    set_text(object, "name", op->name);
    set(object, "version", json_integer(op->version));
    set_text(object, "summary", op->summary);
    set_text(object, "doc", op->doc);
    if (op->flags & NX_OP_ORDER_SENSITIVE)
        json_array_append_new(flags, json_string("order_sensitive"));
    if (op->flags & NX_OP_PURE)
        json_array_append_new(flags, json_string("pure"));
    if (op->flags & NX_OP_CORE)
        json_array_append_new(flags, json_string("core"));
    if (op->flags & NX_OP_POKE)
        json_array_append_new(flags, json_string("poke"));
    set(object, "flags", flags);
    set(object, "params", params_json(op->params));
    for (const struct nx_port *p = op->outputs; p && p->name; p++) {
        json_t *port = json_object();
        set_text(port, "name", p->name);
        set_text(port, "type", type_name(p->type));
        set_text(port, "help", p->help);
        json_array_append_new(outputs, port);
    }
    set(object, "outputs", outputs);
    set_text(object, "example", op->example);
    return object;
}

void catalog_write(struct buf *to)
{
    size_t n;
    const struct nx_operator *const *operators = table_operators(&n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, catalog_entry(operators[i]));
    char *text = json_dumps(list, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    must(text != NULL);
    buf_str(to, text);
    buf_char(to, '\n');
    free(text);
    json_decref(list);
}
