/* The arguments of an operator, as far as they are known before an attempt: constants, and the
 * kinds of outputs that are given. */
#include <string.h>

#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "scheduler/dag/reader.h"

struct call {
    struct reader *r;
    uint32_t task;
    const json_t *entry; /* of the operator */
    json_t *args;        /* as they are written */
};

/* Whether the expression is `outputs.task.name` or outputs["task"]["name"] and nothing else. */
static bool is_bare(const char *text, const struct script_names *names)
{
    if (names->n != 1 || names->at[0].root != SCRIPT_OUTPUTS || !names->at[0].submember)
        return false;
    const struct script_name *name = &names->at[0];
    const char *end = text + name->submember_offset + strlen(name->submember);
    return name->offset == 0 && end[strspn(end, "\"'] ")] == 0;
}

/* A value that is one output: what it must be is compared with what it is when the graph is known.
 */
static void note_kind(struct call *c, const json_t *param, const char *key,
                      const struct yaml_node *node)
{
    struct reader *r = c->r;
    struct template whole;
    struct script_names names;
    const struct template_piece *piece = NULL;
    if (template_parse(&r->spec->arena, node->text, &whole, NULL, NULL))
        piece = template_single(&whole);
    if (!piece ||
        !script_check(r->script, &r->spec->arena, piece->text, piece->n, &names, NULL, NULL) ||
        !is_bare(piece->text, &names))
        return;
    for (size_t i = r->uses.n; i-- > 0 && r->uses.at[i].task == c->task;) {
        if (r->uses.at[i].node == node) {
            r->uses.at[i].wanted = param;
            r->uses.at[i].key = key;
        }
    }
}

static void check_value(struct call *c, const json_t *param, const char *key,
                        const struct yaml_node *value);

static void check_members(struct call *c, const json_t *param, const char *key,
                          const struct yaml_node *map)
{
    const json_t *each = json_object_get(param, "each");
    bool listed = json_object_get(param, "members");
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *name = map->pairs[i].key;
        char *hint = NULL;
        const json_t *member =
            listed ? arg_member(c->entry, param, c->args, name->text, &hint) : each;
        if (member)
            check_value(c, member, name->text, map->pairs[i].value);
        else if (listed)
            problem_hint(c->r->problems,
                         yaml_problem(c->r->problems, name, "'%s' of %s has no '%.80s'", key,
                                      js_get_text(c->entry, "name", ""), name->text),
                         "%s", hint);
        mem_free(hint);
    }
}

/* As deep as the description goes. */
static void check_value(struct call *c, const json_t *param, const char *key,
                        const struct yaml_node *value)
{
    const json_t *each = json_object_get(param, "each");
    struct nx_err err;
    if (yaml_is_null(value))
        return;
    if (value->kind == YAML_KIND_SCALAR && template_has_expression(value->text)) {
        note_kind(c, param, key, value);
        return; /* its value is checked when the attempt starts */
    }
    if (value->kind == YAML_KIND_MAP && str_eq(js_get_text(param, "type", ""), "object"))
        check_members(c, param, key, value);
    for (size_t i = 0; value->kind == YAML_KIND_LIST && each && i < value->n; i++)
        check_value(c, each, key, value->items[i]);
    if (has_expression(value))
        return;
    json_t *constant = yaml_json(value);
    if (!arg_check(param, constant, NULL, &err))
        read_problem(c->r, value, key, "%s", err.text);
    json_decref(constant);
}

static void check_argument(struct call *c, const struct yaml_node *name,
                           const struct yaml_node *value)
{
    const char *nearest = NULL;
    const json_t *param = catalog_param(c->entry, name->text, &nearest);
    if (!param) {
        struct problem *problem = yaml_problem(c->r->problems, name, "%s has no parameter '%.80s'",
                                               js_get_text(c->entry, "name", ""), name->text);
        if (nearest)
            problem_hint(c->r->problems, problem, "did you mean '%s'?", nearest);
        return;
    }
    if (str_eq(js_get_text(param, "type", ""), "sql") && yaml_type(value) == YAML_TYPE_STRING &&
        template_has_expression(value->text))
        check_sql(c->r, value);
    const char *key = js_get_text(param, "name", "");
    if (js_get_bool(param, "dataset", false) &&
        !(value->kind == YAML_KIND_LIST && value->n == 0)) /* its default */
        read_datasets(c->r, value, key, &c->r->spec->tasks[c->task].produces);
    else if (!str_eq(js_get_text(param, "type", ""), "connection")) /* said by read_conn */
        check_value(c, param, key, value);
}

static void check_required(struct call *c, const struct yaml_node *with,
                           const struct yaml_node *uses)
{
    const json_t *params = json_object_get(c->entry, "params");
    for (size_t i = 0; i < json_array_size(params); i++) {
        const json_t *param = json_array_get(params, i);
        const char *name = js_get_text(param, "name", "");
        const struct yaml_node *value = with ? yaml_get(with, name) : NULL;
        if (js_get_bool(param, "required", false) && (!value || yaml_is_null(value)))
            problem_hint(c->r->problems,
                         yaml_problem(c->r->problems, value ? value : uses,
                                      "%s requires the parameter '%s'",
                                      js_get_text(c->entry, "name", ""), name),
                         "%s", js_get_text(param, "help", "add it to 'with'"));
    }
}

void check_arguments(struct reader *r, uint32_t task, const struct yaml_node *uses,
                     const struct yaml_node *with)
{
    struct call c = {.r = r, .task = task, .entry = r->drafts[task].operator_entry};
    c.args = with ? yaml_json(with) : NULL;
    for (size_t i = 0; with && i < with->n; i++)
        check_argument(&c, with->pairs[i].key, with->pairs[i].value);
    check_required(&c, with, uses);
    json_decref(c.args);
}
