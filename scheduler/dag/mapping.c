/* Mapped tasks: `for_each` and `max_parallel` of a task, or of a group whose tasks share the list.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

static void check_items(struct reader *r, const struct yaml_node *node, struct spec_map *map)
{
    if (has_expression(node)) {
        problem_hint(r->problems,
                     read_problem(r, node, "for_each", "has an expression inside a list"),
                     "write the whole list as one expression: ${{ {params.a, params.b} }}");
        return;
    }
    if (node->n > NX_MAP_MAX) {
        read_problem(r, node, "for_each", "has %zu items; at most %d are allowed", node->n,
                     NX_MAP_MAX);
        return;
    }
    json_t *items = yaml_json(node), *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        char *one = js_text(item);
        size_t n_bytes = strlen(one);
        mem_free(one);
        if (n_bytes > NX_CONTEXT_INLINE_MAX)
            problem_hint(r->problems,
                         read_problem(r, node->items[i], "for_each",
                                      "has an item of %zu bytes; at most %d are allowed", n_bytes,
                                      NX_CONTEXT_INLINE_MAX),
                         "give a path, or an artifact");
    }
    char *text = js_text(items);
    map->items = keep(r, text);
    mem_free(text);
    json_decref(items);
}

/* One expression, or a list. `first` is a task that is mapped over it. */
static void read_list(struct reader *r, const struct yaml_node *node, uint32_t index,
                      uint32_t first)
{
    struct spec_map *map = &r->spec->maps[index];
    struct template template;
    struct nx_err err;
    size_t offset = 0;
    if (node->kind == YAML_KIND_LIST) {
        check_items(r, node, map);
        return;
    }
    if (node->kind != YAML_KIND_SCALAR || !template_has_expression(node->text)) {
        problem_hint(r->problems, read_problem(r, node, "for_each", "must be a list"),
                     "[a, b, c], or an expression: ${{ outputs.find.files }}");
        return;
    }
    if (!template_parse(&r->spec->arena, node->text, &template, &offset, &err)) {
        yaml_problem_at(r->problems, node, offset, "'for_each': %s", err.text);
        return;
    }
    const struct template_piece *single = template_single(&template);
    if (!single) {
        read_problem(r, node, "for_each", "must be one expression that gives a list");
        return;
    }
    map->expression = keep(r, single->text);
    r->map = index;
    check_expression(r, node, single->offset, single->text, single->n, PLACE_LIST, first);
}

static struct spec_map *add_map(struct reader *r, const char *group, const struct yaml_node *node)
{
    struct spec_map *map = &r->spec->maps[r->spec->n_maps++];
    *map = (struct spec_map){.group = group, .line = node->line, .column = node->column};
    return map;
}

/* ---- Groups ---- */

static void read_group(struct reader *r, const struct yaml_node *name, const struct yaml_node *body)
{
    struct spec_map group = {0};
    char what[NX_ID_MAX + 16] = "a group";
    if (!str_is_id(name->text, true)) {
        problem_hint(
            r->problems,
            yaml_problem(r->problems, name, "'%.80s' cannot be the name of a group", name->text),
            "lower case letters, digits, _ and -, a letter first, at most 64");
        return;
    }
    if (body->kind != YAML_KIND_MAP) {
        problem_hint(r->problems,
                     yaml_problem(r->problems, body, "group '%s' must be a mapping, not %s",
                                  name->text, yaml_type_name(body)),
                     "%s: {for_each: [a, b]}", name->text);
        return;
    }
    snprintf(what, sizeof what, "group '%.64s'", name->text);
    read_keys(r, body, KEY_GROUP, &group, what);
    const struct yaml_node *list = yaml_get(body, "for_each");
    const struct yaml_node *most = yaml_get(body, "max_parallel");
    uint32_t index = r->spec->n_maps, n = 0, first = 0;
    for (uint32_t i = r->spec->n_tasks; i-- > 0;) {
        const struct yaml_node *own = yaml_get(r->drafts[i].body, "group");
        if (!own || own->kind != YAML_KIND_SCALAR || !str_eq(own->text, name->text))
            continue;
        if (list)
            r->spec->tasks[i].map = index + 1;
        first = i;
        n++;
    }
    if (!n)
        problem_hint(r->problems,
                     yaml_problem(r->problems, name, "no task is in group '%s'", name->text),
                     "give tasks 'group: %s'", name->text);
    if (most && !list)
        read_problem(r, most, "max_parallel", "does nothing without 'for_each'");
    if (!list || !n)
        return;
    add_map(r, keep(r, name->text), list)->max_parallel = group.max_parallel;
    read_list(r, list, index, first);
}

/* ---- All of them ---- */

static void read_lone(struct reader *r, uint32_t task)
{
    const struct yaml_node *list = yaml_get(r->drafts[task].body, "for_each");
    if (!list)
        return;
    if (r->spec->tasks[task].map) {
        problem_hint(r->problems, read_problem(r, list, "for_each", "is that of its group already"),
                     "a task is mapped over one list: build pairs in an expression");
        return;
    }
    add_map(r, NULL, list);
    r->spec->tasks[task].map = r->spec->n_maps;
    read_list(r, list, r->spec->n_maps - 1, task);
}

void read_maps(struct reader *r)
{
    const struct yaml_node *groups = yaml_get(r->root, "groups");
    size_t n = groups && groups->kind == YAML_KIND_MAP ? groups->n : 0, most = n;
    for (uint32_t i = 0; i < r->spec->n_tasks; i++)
        most += yaml_get(r->drafts[i].body, "for_each") != NULL;
    if (!most)
        return;
    r->spec->maps = arena_array(&r->spec->arena, most, sizeof *r->spec->maps);
    for (size_t i = 0; i < n; i++)
        read_group(r, groups->pairs[i].key, groups->pairs[i].value);
    for (uint32_t i = 0; i < r->spec->n_tasks; i++)
        read_lone(r, i);
}

void check_max_parallel(struct reader *r, uint32_t index, const struct yaml_node *body)
{
    const struct spec_task *task = &r->spec->tasks[index];
    const struct yaml_node *own = yaml_get(body, "max_parallel");
    struct spec_map *map = task->map ? &r->spec->maps[task->map - 1] : NULL;
    if (map && !map->group)
        map->max_parallel = task->max_parallel;
    else if (own && map)
        problem_hint(r->problems,
                     read_problem(r, own, "max_parallel", "is that of its group '%s'", map->group),
                     "put it into 'groups'");
    else if (own)
        read_problem(r, own, "max_parallel", "does nothing without 'for_each'");
}

/* What the core would refuse about groups. */
void check_groups(struct reader *r)
{
    struct graph *graph = NULL;
    struct nx_err err;
    const struct spec_map *group = NULL;
    for (uint32_t i = 0; i < r->spec->n_maps; i++) {
        if (r->spec->maps[i].group)
            group = &r->spec->maps[i];
    }
    if (group && !spec_graph(r->spec, &graph, &err))
        problem_add(r->problems, PROBLEM_ERROR, r->spec->file, group->line, group->column, "%s",
                    err.text);
    graph_release(graph);
}
