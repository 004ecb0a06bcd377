#include "tasks/definition.h"

#include "lib/base/mem.h"
#include "lib/base/vec.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "tasks/catalog.h"
#include "tasks/table.h"

#define DEFINITION_DEPTH_MAX 64

/* Whether a string somewhere in the value has an expression; deep values: assume so. */
static bool has_expression(const json_t *value, int depth)
{
    if (depth > DEFINITION_DEPTH_MAX)
        return true;
    if (json_is_string(value))
        return template_has_expression(json_string_value(value));
    const char *key;
    json_t *item;
    size_t i;
    json_object_foreach((json_t *)value, key, item)
    {
        if (has_expression(item, depth + 1))
            return true;
    }
    json_array_foreach(value, i, item)
    {
        if (has_expression(item, depth + 1))
            return true;
    }
    return false;
}

static bool read_operator(struct definition *d, const char *name, struct nx_err *err)
{
    d->op = table_find(name);
    if (!d->op)
        return nx_fail(err, NX_E_NOT_FOUND,
                       "operator '%s' is not in this worker's nexus-task (%s): see `nexus op list`",
                       name, NEXUS_VERSION);
    d->entry = catalog_entry(d->op);
    VEC(const char *) names = {0};
    for (const struct nx_param *p = d->op->params; p && p->name; p++)
        if (p->type == NX_T_SQL)
            vec_push(&names, p->name);
    d->sql_params = names.at;
    d->n_sql_params = names.n;
    return true;
}

static const json_t *get_object(const json_t *json, const char *key, struct nx_err *err, bool *ok)
{
    const json_t *value = json_object_get(json, key);
    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_object(value))
        *ok = nx_fail(err, NX_E_INVALID, "the definition's %s is %s, not a mapping", key,
                      js_type_name(value));
    return value;
}

static bool read_all(struct definition *d, struct nx_err *err)
{
    bool ok = true;
    if (!json_is_object(d->json))
        return nx_fail(err, NX_E_INVALID, "the definition is %s, not a mapping",
                       js_type_name(d->json));
    d->with = get_object(d->json, "with", err, &ok);
    d->env = get_object(d->json, "env", err, &ok);
    d->run = js_get_text(d->json, "run", NULL);
    d->shell = js_get_text(d->json, "shell", "/bin/sh");
    const char *uses = js_get_text(d->json, "uses", NULL);
    if (!ok)
        return false;
    if (!uses == !d->run)
        return nx_fail(err, NX_E_INVALID, "a task has either `uses` or `run`");
    d->has_expressions = uses ? has_expression(d->with, 0)
                              : template_has_expression(d->run) || has_expression(d->env, 0);
    return !uses || read_operator(d, uses, err);
}

struct definition *definition_new(const char *text, size_t n, struct nx_err *err)
{
    json_t *json = js_read(text, n, "definition", err);
    if (!json)
        return NULL;
    struct definition *d = mem_alloc(sizeof *d);
    d->json = json;
    if (read_all(d, err))
        return d;
    definition_free(d);
    return NULL;
}

void definition_free(struct definition *definition)
{
    if (!definition)
        return;
    json_decref(definition->json);
    json_decref(definition->entry);
    json_decref(definition->args);
    mem_free(definition->sql_params);
    mem_free(definition);
}
