/* Expressions: their syntax, and what they name. */
#include <string.h>

#include "lib/base/str.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

bool has_expression(const struct yaml_node *node)
{
    if (node->kind == YAML_KIND_SCALAR)
        return template_has_expression(node->text);
    for (size_t i = 0; i < node->n; i++) {
        if (has_expression(node->kind == YAML_KIND_LIST ? node->items[i] : node->pairs[i].value))
            return true;
    }
    return false;
}

static void check_param_name(struct reader *r, const struct yaml_node *node, size_t offset,
                             const char *name)
{
    const char *names[NX_DAG_PARAMS_MAX];
    size_t n = json_array_size(r->spec->params);
    for (size_t i = 0; i < n; i++) {
        names[i] = js_get_text(json_array_get(r->spec->params, i), "name", "");
        if (str_eq(names[i], name))
            return;
    }
    struct problem *problem =
        yaml_problem_at(r->problems, node, offset, "the DAG has no param '%.80s'", name);
    const char *nearest = str_nearest(name, names, n);
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
    else
        problem_hint(r->problems, problem, "add it to 'params'");
}

/* What the roots that Nexus fills have; ends with NULL. */
static const char *const run_members[] = {"id",       "cause",    "created_at",
                                          "interval", "datasets", NULL};
static const char *const interval_members[] = {"start", "finish", NULL};
static const char *const dag_members[] = {"id", "version", NULL};
static const char *const task_members[] = {"id", "attempt", "max_attempts", "map_index", NULL};

/* What the scheduler evaluates, before an attempt; NULL: nexus-task does. */
static const char *early_name(const struct reader *r, enum expression_place place, uint32_t task)
{
    return place == PLACE_CONDITION ? "'if'"
           : place == PLACE_LIST    ? "'for_each'"
           : place == PLACE_WAIT    ? r->spec->tasks[task].uses
                                    : NULL;
}

/* `item` or `index`. */
static void check_item(struct reader *r, const struct yaml_node *node, size_t offset,
                       const struct script_name *name, enum expression_place place, uint32_t task)
{
    const char *root = script_root_name(name->root);
    struct spec_task *mapped = &r->spec->tasks[task];
    if (place == PLACE_LIST || place == PLACE_SHARED_ENV) {
        yaml_problem_at(r->problems, node, offset + name->offset,
                        place == PLACE_LIST ? "'%s' is not known before the list is"
                                            : "'%s' cannot be named in the 'env' of all tasks",
                        root);
    } else if (!mapped->map) {
        problem_hint(r->problems,
                     yaml_problem_at(r->problems, node, offset + name->offset,
                                     "'%s' is known only in a task with 'for_each'", root),
                     "add 'for_each' to task '%s', or to its group", mapped->id);
    } else if (place == PLACE_CONDITION) {
        mapped->condition_names_item = true;
    }
}

static void check_member(struct reader *r, const struct yaml_node *node, size_t offset,
                         const struct script_name *name, enum expression_place place, uint32_t task)
{
    const char *early = early_name(r, place, task);
    bool interval = name->root == SCRIPT_RUN && name->submember && str_eq(name->member, "interval");
    const char *const *members = name->root == SCRIPT_RUN   ? run_members
                                 : name->root == SCRIPT_DAG ? dag_members
                                                            : task_members;
    if (interval)
        members = interval_members;
    const char *wanted = interval ? name->submember : name->member;
    size_t at = offset + (interval ? name->submember_offset : name->member_offset), n = 0;
    if (!wanted)
        return;
    for (; members[n]; n++) {
        if (!str_eq(members[n], wanted))
            continue;
        if (early && name->root == SCRIPT_TASK && n > 0)
            yaml_problem_at(r->problems, node, at,
                            "%s must not name task.%s: it is decided before an attempt", early,
                            wanted);
        return;
    }
    struct problem *problem =
        yaml_problem_at(r->problems, node, at, "%s has no member '%.80s'",
                        interval ? "run.interval" : script_root_name(name->root), wanted);
    const char *nearest = str_nearest(wanted, members, n);
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
}

static void keep_output(struct reader *r, const struct yaml_node *node, size_t offset,
                        const struct script_name *name, enum expression_place place, uint32_t task)
{
    struct output_use use = {.task = task,
                             .node = node,
                             .offset = offset + name->member_offset,
                             .sub_offset = offset + name->submember_offset,
                             .upstream = name->member,
                             .name = name->submember,
                             .place = place == PLACE_CONDITION || place == PLACE_WAIT
                                          ? USE_CONDITION
                                      : place == PLACE_LIST ? USE_LIST
                                                            : USE_ARGUMENT,
                             .map = r->map};
    vec_push(&r->uses, use);
}

/* Each once. */
static void keep_secret(struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->secrets.n; i++) {
        if (str_eq(r->secrets.at[i], name))
            return;
    }
    vec_push(&r->secrets, name);
}

static void check_name(struct reader *r, const struct yaml_node *node, size_t offset,
                       const struct script_name *name, enum expression_place place, uint32_t task)
{
    struct problem *problem = NULL;
    switch (name->root) {
    case SCRIPT_PARAMS:
        if (name->member)
            check_param_name(r, node, offset + name->member_offset, name->member);
        break;
    case SCRIPT_RUN:
    case SCRIPT_DAG:
    case SCRIPT_TASK:
        check_member(r, node, offset, name, place, task);
        break;
    case SCRIPT_OUTPUTS:
        if (place != PLACE_SHARED_ENV) {
            keep_output(r, node, offset, name, place, task);
            break;
        }
        problem = yaml_problem_at(r->problems, node, offset + name->offset,
                                  "outputs cannot be named in the 'env' of all tasks");
        problem_hint(r->problems, problem, "put the variable into the 'env' of a task");
        break;
    case SCRIPT_SECRETS:
        if (!early_name(r, place, task)) {
            keep_secret(r, name->member);
            break;
        }
        problem = yaml_problem_at(r->problems, node, offset + name->offset,
                                  "%s must not name secrets: the scheduler does not know them",
                                  early_name(r, place, task));
        if (place == PLACE_CONDITION)
            problem_hint(r->problems, problem,
                         "decide in the task itself, and exit with 99 to skip");
        break;
    case SCRIPT_ITEM:
    case SCRIPT_INDEX:
        check_item(r, node, offset, name, place, task);
        break;
    default:
        break;
    }
}

void check_expression(struct reader *r, const struct yaml_node *node, size_t offset,
                      const char *text, size_t n, enum expression_place place, uint32_t task)
{
    struct script_names names;
    struct nx_err err;
    size_t at = 0;
    if (!script_check(r->script, &r->spec->arena, text, n, &names, &at, &err)) {
        yaml_problem_at(r->problems, node, offset + at, "expression: %s", err.text);
        return;
    }
    for (size_t i = 0; i < names.n; i++)
        check_name(r, node, offset, &names.at[i], place, task);
    bool vars = names.roots & SCRIPT_VARS, secrets = names.roots & SCRIPT_SECRETS;
    uint32_t first = place == PLACE_SHARED_ENV ? 0 : task;
    uint32_t last = place == PLACE_SHARED_ENV ? r->spec->n_tasks : task + 1;
    for (uint32_t i = first; i < last && (vars || secrets); i++) {
        struct draft *draft = &r->drafts[i];
        if (early_name(r, place, i)) {
            draft->condition_reads_vars = draft->condition_reads_vars || vars;
            continue;
        }
        draft->reads_vars = draft->reads_vars || vars;
        draft->reads_secrets = draft->reads_secrets || secrets;
    }
}

void check_template(struct reader *r, const struct yaml_node *node, enum expression_place place,
                    uint32_t task)
{
    struct template template;
    struct nx_err err;
    size_t offset = 0;
    if (!template_has_expression(node->text))
        return;
    if (!template_parse(&r->spec->arena, node->text, &template, &offset, &err)) {
        yaml_problem_at(r->problems, node, offset, "%s", err.text);
        return;
    }
    for (size_t i = 0; i < template.n; i++) {
        const struct template_piece *piece = &template.at[i];
        if (piece->is_expression)
            check_expression(r, node, piece->offset, piece->text, piece->n, place, task);
    }
}
