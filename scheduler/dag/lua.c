/* Trees to documents. */
#include "scheduler/dag/lua.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/script/program.h"
#include "lib/text/json.h"
#include "lib/text/source.h"
#include "nexus/limits.h"
#include "scheduler/dag/keys.h"
#include "scheduler/dag/lua_places.h"

bool lua_is_name(const char *file)
{
    return str_ends(file, ".lua");
}

json_t *lua_run(const char *text, size_t n)
{
    struct buf out;
    struct nx_err err;
    buf_init(&out);
    program_run(text, n, &out);
    json_t *tree = js_read(buf_text(&out), out.len, "Lua", &err);
    must(tree);
    buf_fini(&out);
    return tree;
}

const char *lua_id(const json_t *tree, size_t i)
{
    const json_t *dags = json_object_get(tree, "dags");
    if (i >= json_array_size(dags))
        return LUA_NO_MORE;
    const char *id = js_get_text(json_object_get(json_array_get(dags, i), "keys"), "id", NULL);
    return id && *id ? id : NULL;
}

struct builder {
    struct arena *arena;
    struct problems *problems;
    struct yaml_text *source;
    struct lua_places *places;
    int line, column; /* of what is built */
};

static struct yaml_node *node_new(const struct builder *b, enum yaml_kind kind)
{
    struct yaml_node *node = arena_alloc(b->arena, sizeof *node);
    node->kind = kind;
    node->style = YAML_STYLE_PLAIN;
    node->line = b->line;
    node->column = b->column;
    node->source = b->source;
    node->text = "";
    node->n_nodes = 1;
    node->height = 1;
    return node;
}

/* What is built from now on was written in that line. */
static void begin_line(struct builder *b, int64_t line)
{
    b->line = line > 0 ? (int)line : 1;
    const char *s = b->source->text + source_line(b->source, b->line);
    b->column = 1 + (int)strspn(s, " \t");
}

/* What is built from now on stands at that byte; 0: where it stood before. */
static void begin_at(struct builder *b, size_t offset)
{
    if (offset)
        source_place(b->source, offset, &b->line, &b->column);
}

static struct yaml_node *text_node(const struct builder *b, const char *text, size_t n,
                                   enum yaml_style style)
{
    struct yaml_node *node = node_new(b, YAML_KIND_SCALAR);
    node->text = arena_strndup(b->arena, text, n);
    node->n = n;
    node->style = style;
    return node;
}

static struct yaml_node *scalar(const struct builder *b, const json_t *value)
{
    if (json_is_string(value))
        return text_node(b, json_string_value(value), json_string_length(value), YAML_STYLE_DOUBLE);
    struct buf text;
    buf_init(&text);
    js_add(&text, value);
    struct yaml_node *node = text_node(b, buf_text(&text), text.len, YAML_STYLE_PLAIN);
    buf_fini(&text);
    return node;
}

static void adopt(struct yaml_node *parent, const struct yaml_node *child)
{
    parent->n_nodes += child->n_nodes;
    if (parent->height <= child->height)
        parent->height = child->height + 1;
}

static void add_pair(struct yaml_node *map, struct yaml_node *key, struct yaml_node *value)
{
    map->pairs[map->n++] = (struct yaml_pair){key, value};
    adopt(map, key);
    adopt(map, value);
}

/* {} is an empty table, which may be meant as a list. */
static bool is_map(const json_t *value, bool map_wanted)
{
    return json_is_object(value) && (map_wanted || json_object_size(value) > 0);
}

static struct yaml_node *build(struct builder *b, const json_t *value, bool map_wanted,
                               size_t brace);

/* The member under that key of the table at `brace`, key and value each with its place. */
static void build_pair(struct builder *b, struct yaml_node *map, const char *name,
                       const json_t *value, bool map_wanted, size_t brace)
{
    const struct lua_place *place = lua_places_find(b->places, brace, name);
    int line = b->line, column = b->column;
    begin_at(b, place ? place->key : 0);
    struct yaml_node *key = text_node(b, name, strlen(name), YAML_STYLE_PLAIN);
    begin_at(b, place ? place->value : 0);
    add_pair(map, key, build(b, value, map_wanted, place ? place->brace : 0));
    b->line = line;
    b->column = column;
}

static void build_item(struct builder *b, struct yaml_node *list, const json_t *value, size_t brace)
{
    char name[32];
    snprintf(name, sizeof name, "[%zu]", list->n + 1);
    const struct lua_place *place = lua_places_find(b->places, brace, name);
    int line = b->line, column = b->column;
    begin_at(b, place ? place->value : 0);
    struct yaml_node *item = build(b, value, false, place ? place->brace : 0);
    list->items[list->n++] = item;
    adopt(list, item);
    b->line = line;
    b->column = column;
}

/* Not deeper than the bound of program_run. */
static struct yaml_node *build(struct builder *b, const json_t *value, bool map_wanted,
                               size_t brace)
{
    bool map = is_map(value, map_wanted);
    if (!map && !json_is_array(value) && !json_is_object(value))
        return scalar(b, value);
    struct yaml_node *node = node_new(b, map ? YAML_KIND_MAP : YAML_KIND_LIST);
    json_t *mutable = (json_t *)(uintptr_t)value;
    if (map) {
        node->pairs = arena_array(b->arena, json_object_size(value), sizeof *node->pairs);
        for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it))
            build_pair(b, node, json_object_iter_key(it), json_object_iter_value(it), false, brace);
        return node;
    }
    node->items = arena_array(b->arena, json_array_size(value), sizeof *node->items);
    for (size_t i = 0; i < json_array_size(value); i++)
        build_item(b, node, json_array_get(value, i), brace);
    return node;
}

/* The keys of a DAG or a task, with room for one more. */
static struct yaml_node *build_keys(struct builder *b, const json_t *keys, enum key_scope scope)
{
    struct yaml_node *node = node_new(b, YAML_KIND_MAP);
    json_t *mutable = (json_t *)(uintptr_t)keys;
    size_t brace = lua_places_call(b->places, b->line, scope == KEY_DAG ? "dag" : "task");
    node->pairs = arena_array(b->arena, json_object_size(keys) + 1, sizeof *node->pairs);
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it)) {
        const char *name = json_object_iter_key(it);
        const struct key *key = key_find(scope, name);
        build_pair(b, node, name, json_object_iter_value(it), key && key->type == KEY_MAP, brace);
    }
    return node;
}

/* Adds the tasks of task() to `tasks`, which has room for them. */
static void add_tasks(struct builder *b, const json_t *list, struct yaml_node *tasks)
{
    struct map first;
    map_init(&first);
    for (size_t i = 0; i < tasks->n; i++)
        map_set(&first, tasks->pairs[i].key->text, tasks->pairs[i].key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *task = json_array_get(list, i);
        const char *id = js_get_text(task, "id", "");
        begin_line(b, js_get_int(task, "line", 1));
        struct yaml_node *key = text_node(b, id, strlen(id), YAML_STYLE_PLAIN);
        const struct yaml_node *other = map_get(&first, id);
        if (other)
            problem_hint(b->problems,
                         yaml_problem(b->problems, key, "the task '%.80s' is here twice", id),
                         "the first is at %s:%d:%d", yaml_file(key), other->line, other->column);
        else
            map_set(&first, id, key);
        add_pair(tasks, key, build_keys(b, json_object_get(task, "keys"), KEY_TASK));
    }
    map_fini(&first);
}

static struct yaml_node *build_document(struct builder *b, const json_t *dag)
{
    const json_t *calls = json_object_get(dag, "tasks");
    begin_line(b, js_get_int(dag, "line", 1));
    struct yaml_node *root = build_keys(b, json_object_get(dag, "keys"), KEY_DAG);
    struct yaml_node *written = yaml_get(root, "tasks");
    if (json_array_size(calls) == 0 || (written && written->kind != YAML_KIND_MAP))
        return root;
    struct yaml_node *tasks = written ? written : node_new(b, YAML_KIND_MAP);
    struct yaml_pair *pairs =
        arena_array(b->arena, tasks->n + json_array_size(calls), sizeof *pairs);
    if (tasks->n)
        memcpy(pairs, tasks->pairs, tasks->n * sizeof *pairs);
    tasks->pairs = pairs;
    struct yaml_node *key = text_node(b, "tasks", 5, YAML_STYLE_PLAIN);
    add_tasks(b, calls, tasks);
    if (written)
        adopt(root, tasks);
    else
        add_pair(root, key, tasks);
    return root;
}

static void add_error(struct builder *b, const json_t *error)
{
    int64_t line = js_get_int(error, "line", 0);
    begin_line(b, line);
    problem_hint(b->problems,
                 problem_add(b->problems, PROBLEM_ERROR, b->source->file, line ? b->line : 0,
                             line ? b->column : 0, "%s", js_get_text(error, "message", "?")),
                 "%s", js_get_text(error, "hint", ""));
}

static void warn_unused(struct builder *b, const json_t *lines)
{
    for (size_t i = 0; i < json_array_size(lines); i++) {
        begin_line(b, json_integer_value(json_array_get(lines, i)));
        problem_hint(b->problems,
                     problem_add(b->problems, PROBLEM_WARNING, b->source->file, b->line, b->column,
                                 "this DAG is not returned, so there is no such DAG"),
                     "return a list of all: return { a, b }");
    }
}

void lua_documents(struct arena *arena, const char *file, const char *text, size_t n,
                   const json_t *tree, struct yaml_node ***docs, size_t *n_docs,
                   struct problems *problems)
{
    struct builder b = {
        .arena = arena, .problems = problems, .source = source_new(arena, file, text, n)};
    const json_t *dags = json_object_get(tree, "dags"), *error = json_object_get(tree, "error");
    b.source->built = true;
    b.places = lua_places_new(arena, b.source);
    *n_docs = 0;
    *docs = arena_array(arena, json_array_size(dags), sizeof **docs);
    if (error)
        add_error(&b, error);
    for (size_t i = 0; i < json_array_size(dags); i++)
        (*docs)[(*n_docs)++] = build_document(&b, json_array_get(dags, i));
    warn_unused(&b, json_object_get(tree, "unused"));
    lua_places_free(b.places);
}
