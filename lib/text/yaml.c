#include "lib/text/yaml.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/text/source.h"
#include "nexus/limits.h"

#define MERGED_MAX 1000 /* keys that merge keys may bring into one map */
#define LINEAR_KEYS 16  /* up to so many keys, comparing them all beats a table */

/* An open list or map. Children of a map are key, value, key, value ... */
struct frame {
    struct yaml_node *node;
    VEC(struct yaml_node *) children;
    struct map keys; /* of a map with more than LINEAR_KEYS: key -> node */
    bool keys_used;
};

struct builder {
    struct arena *arena;
    struct problems *problems;
    struct yaml_text *text;
    struct frame frames[NX_YAML_DEPTH_MAX];
    int depth;
    struct map anchors;
    uint64_t n_aliased;     /* nodes of the document that come from aliases */
    struct yaml_node *root; /* of the document, once complete */
};

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind, const yaml_mark_t *mark)
{
    struct yaml_node *node = arena_alloc(b->arena, sizeof *node);
    node->kind = kind;
    node->line = (int)mark->line + 1;
    node->column = (int)mark->column + 1;
    node->source = b->text;
    node->text = "";
    return node;
}

/* The node stays in the tree as if there were no tag. */
static bool tag_ok(struct builder *b, const struct yaml_node *node, const yaml_char_t *tag)
{
    if (!tag || strcmp((const char *)tag, YAML_STR_TAG) == 0 || strcmp((const char *)tag, "!") == 0)
        return true;
    problem_hint(
        b->problems,
        yaml_problem(b->problems, node, "the tag '%s' is not supported", (const char *)tag),
        "leave it out");
    return false;
}

/* ---- Keys ---- */

static const struct yaml_node *key_find(const struct frame *frame, const char *text)
{
    if (frame->keys_used)
        return map_get(&frame->keys, text);
    for (size_t i = 0; i < frame->children.n; i += 2) {
        if (strcmp(frame->children.at[i]->text, text) == 0)
            return frame->children.at[i];
    }
    return NULL;
}

static void key_keep(struct frame *frame, struct yaml_node *key)
{
    if (frame->keys_used) {
        map_set(&frame->keys, key->text, key);
    } else if (frame->children.n / 2 >= LINEAR_KEYS) {
        map_init(&frame->keys);
        frame->keys_used = true;
        for (size_t i = 0; i < frame->children.n; i += 2)
            map_set(&frame->keys, frame->children.at[i]->text, frame->children.at[i]);
        map_set(&frame->keys, key->text, key);
    }
}

static bool is_merge(const struct yaml_node *key)
{
    return key->kind == YAML_KIND_SCALAR && key->style == YAML_STYLE_PLAIN &&
           strcmp(key->text, "<<") == 0;
}

/* A doubled key is a problem, but both stay in the tree; the other two kinds do not. */
static void key_check(struct builder *b, struct frame *frame, struct yaml_node *key)
{
    if (key->kind != YAML_KIND_SCALAR) {
        yaml_problem(b->problems, key, "a key must be a text, not %s", yaml_type_name(key));
        return;
    }
    if (is_merge(key)) {
        problem_hint(b->problems,
                     yaml_problem(b->problems, key, "merge keys (<<) are not supported"),
                     "what several tasks share goes into 'defaults'");
        return;
    }
    const struct yaml_node *first = key_find(frame, key->text);
    if (first)
        problem_hint(b->problems,
                     yaml_problem(b->problems, key, "the key '%s' is here twice", key->text),
                     "the first is at %s:%d:%d", yaml_file(first), first->line, first->column);
    else
        key_keep(frame, key);
}

/* ---- Building ---- */

/* Puts a complete node (or an alias of one) where it belongs. */
static bool attach(struct builder *b, struct yaml_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return true;
    }
    struct frame *frame = &b->frames[b->depth - 1];
    if (frame->node->kind == YAML_KIND_MAP && frame->children.n % 2 == 0)
        key_check(b, frame, node);
    vec_push(&frame->children, node);
    if (b->depth + node->height > NX_YAML_DEPTH_MAX) {
        yaml_problem(b->problems, frame->node, "nested deeper than %d levels", NX_YAML_DEPTH_MAX);
        return false;
    }
    frame->node->n_nodes += node->n_nodes;
    if (frame->node->height < node->height + 1)
        frame->node->height = node->height + 1;
    return true;
}

static void anchor_keep(struct builder *b, const yaml_char_t *anchor, struct yaml_node *node)
{
    if (anchor)
        map_set(&b->anchors, (const char *)anchor, node);
}

static bool on_scalar(struct builder *b, const yaml_event_t *event)
{
    static const enum yaml_style styles[] = {[YAML_ANY_SCALAR_STYLE] = YAML_STYLE_PLAIN,
                                             [YAML_PLAIN_SCALAR_STYLE] = YAML_STYLE_PLAIN,
                                             [YAML_SINGLE_QUOTED_SCALAR_STYLE] = YAML_STYLE_SINGLE,
                                             [YAML_DOUBLE_QUOTED_SCALAR_STYLE] = YAML_STYLE_DOUBLE,
                                             [YAML_LITERAL_SCALAR_STYLE] = YAML_STYLE_LITERAL,
                                             [YAML_FOLDED_SCALAR_STYLE] = YAML_STYLE_FOLDED};
    const char *value = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    struct yaml_node *node = node_new(b, YAML_KIND_SCALAR, &event->start_mark);
    node->style = styles[event->data.scalar.style];
    node->n_nodes = 1;
    node->height = 1;
    node->text = arena_strndup(b->arena, value, n);
    node->n = n;
    if (tag_ok(b, node, event->data.scalar.tag) && event->data.scalar.tag &&
        node->style == YAML_STYLE_PLAIN)
        node->style = YAML_STYLE_SINGLE; /* !!str: a string whatever it looks like */
    if (memchr(value, 0, n)) {
        yaml_problem(b->problems, node, "a text must not hold a zero character");
        return false;
    }
    anchor_keep(b, event->data.scalar.anchor, node);
    return attach(b, node);
}

static bool on_open(struct builder *b, const yaml_event_t *event)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const yaml_char_t *anchor =
        list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    struct yaml_node *node = node_new(b, list ? YAML_KIND_LIST : YAML_KIND_MAP, &event->start_mark);
    tag_ok(b, node, tag);
    if (b->depth == NX_YAML_DEPTH_MAX) {
        yaml_problem(b->problems, node, "nested deeper than %d levels", NX_YAML_DEPTH_MAX);
        return false;
    }
    anchor_keep(b, anchor, node);
    node->n_nodes = 1;
    node->height = 0; /* open: an alias to it would make a cycle */
    struct frame *frame = &b->frames[b->depth++];
    frame->node = node;
    frame->children.n = 0;
    return true;
}

static bool has_pair(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->pairs[i].key->text, key) == 0)
            return true;
    }
    return false;
}

/* What a merge key would bring, so that the rest of the map can be checked as it was meant. */
static void merge(struct yaml_node *map, const struct yaml_node *from)
{
    for (size_t i = 0; i < from->n && from->kind == YAML_KIND_MAP; i++) {
        if (!has_pair(map, from->pairs[i].key->text))
            map->pairs[map->n++] = from->pairs[i];
    }
}

static size_t count_merged(const struct yaml_node *value)
{
    size_t n = value->kind == YAML_KIND_MAP ? value->n : 0;
    for (size_t i = 0; value->kind == YAML_KIND_LIST && i < value->n; i++)
        n += value->items[i]->kind == YAML_KIND_MAP ? value->items[i]->n : 0;
    return n;
}

/* Keys that are no texts are left out. */
static void build_map(struct builder *b, const struct frame *frame)
{
    struct yaml_node *node = frame->node, *const *at = frame->children.at;
    size_t n = frame->children.n / 2, room = n;
    for (size_t i = 0; i < n; i++)
        room += is_merge(at[2 * i]) ? count_merged(at[2 * i + 1]) : 0;
    room = room - n > MERGED_MAX ? n : room;
    node->pairs = arena_array(b->arena, room, sizeof *node->pairs);
    for (size_t i = 0; i < n; i++) {
        if (at[2 * i]->kind == YAML_KIND_SCALAR && !is_merge(at[2 * i]))
            node->pairs[node->n++] = (struct yaml_pair){at[2 * i], at[2 * i + 1]};
    }
    for (size_t i = 0; room > n && i < n; i++) {
        const struct yaml_node *value = at[2 * i + 1];
        if (!is_merge(at[2 * i]))
            continue;
        merge(node, value);
        for (size_t k = 0; value->kind == YAML_KIND_LIST && k < value->n; k++)
            merge(node, value->items[k]);
    }
}

static bool on_close(struct builder *b)
{
    struct frame *frame = &b->frames[--b->depth];
    struct yaml_node *node = frame->node;
    size_t n = frame->children.n;
    if (node->height == 0)
        node->height = 1;
    if (node->kind == YAML_KIND_LIST) {
        node->n = n;
        node->items = arena_dup(b->arena, frame->children.at, n * sizeof *node->items);
    } else {
        build_map(b, frame);
    }
    if (frame->keys_used)
        map_fini(&frame->keys);
    frame->keys_used = false;
    return attach(b, node);
}

static bool on_alias(struct builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct yaml_node *node = map_get(&b->anchors, name);
    const yaml_mark_t *mark = &event->start_mark;
    bool open = false;
    for (int i = 0; i < b->depth; i++)
        open = open || b->frames[i].node == node;
    if (!node || open) {
        problem_add(b->problems, PROBLEM_ERROR, b->text->file, (int)mark->line + 1,
                    (int)mark->column + 1,
                    node ? "the alias *%s stands inside what it names"
                         : "the alias *%s has no anchor &%s before it",
                    name, name);
        return false;
    }
    b->n_aliased += node->n_nodes;
    if (b->n_aliased > YAML_ALIASED_MAX) {
        problem_add(b->problems, PROBLEM_ERROR, b->text->file, (int)mark->line + 1,
                    (int)mark->column + 1, "aliases make more than %u nodes of this document",
                    YAML_ALIASED_MAX);
        return false;
    }
    return attach(b, node);
}

static bool on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_open(b, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    default:
        return true;
    }
}

/* ---- libyaml's own errors ---- */

static void report_syntax(struct builder *b, const yaml_parser_t *parser)
{
    const yaml_mark_t *mark = &parser->problem_mark;
    int line = (int)mark->line + 1, column = (int)mark->column + 1;
    if (parser->error == YAML_READER_ERROR && parser->problem_offset < b->text->n)
        source_place(b->text, parser->problem_offset, &line, &column);
    const char *text = parser->problem ? parser->problem : "not YAML";
    struct problem *problem = parser->context
                                  ? problem_add(b->problems, PROBLEM_ERROR, b->text->file, line,
                                                column, "not YAML: %s %s at line %d", text,
                                                parser->context, (int)parser->context_mark.line + 1)
                                  : problem_add(b->problems, PROBLEM_ERROR, b->text->file, line,
                                                column, "not YAML: %s", text);
    size_t start = source_line(b->text, line), end = source_line(b->text, line + 1);
    const char *from = b->text->text + start;
    size_t n = end - start;
    if (memchr(from, '\t', n))
        problem_hint(b->problems, problem, "YAML is indented with spaces, not with tabs");
    else if (memmem(from, n, "${{", 3))
        problem_hint(b->problems, problem, "put quotes around ${{ }} here: \"${{ ... }}\"");
    else if (strstr(text, "mapping values are not allowed"))
        problem_hint(b->problems, problem, "a text with ': ' in it needs quotes");
    else if (memchr(from, '%', n) || memchr(from, '@', n) || memchr(from, '`', n))
        problem_hint(b->problems, problem, "a text that begins with %%, @ or ` needs quotes");
}

static bool check_bytes(struct builder *b)
{
    size_t bad;
    if (str_is_utf8(b->text->text, b->text->n, &bad))
        return true;
    int line, column;
    source_place(b->text, bad, &line, &column);
    problem_hint(b->problems,
                 problem_add(b->problems, PROBLEM_ERROR, b->text->file, line, column,
                             "the byte 0x%02x is not UTF-8", (unsigned char)b->text->text[bad]),
                 "save the file as UTF-8");
    return false;
}

static void document_reset(struct builder *b)
{
    for (int i = 0; i < b->depth; i++) {
        if (b->frames[i].keys_used)
            map_fini(&b->frames[i].keys);
        b->frames[i].keys_used = false;
    }
    b->depth = 0;
    b->root = NULL;
    b->n_aliased = 0;
    map_fini(&b->anchors);
    map_init(&b->anchors);
}

struct documents {
    VEC(struct yaml_node *) list;
};

static bool run(struct builder *b, struct documents *documents)
{
    yaml_parser_t parser;
    must(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)b->text->text, b->text->n);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    bool ok = true, more = true;
    while (ok && more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            report_syntax(b, &parser);
            ok = false;
            break;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        ok = on_event(b, &event);
        if (ok && event.type == YAML_DOCUMENT_END_EVENT) {
            if (b->root)
                vec_push(&documents->list, b->root);
            document_reset(b);
        }
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool yaml_parse(struct arena *arena, const char *file, const char *text, size_t n,
                struct yaml_node ***docs, size_t *n_docs, struct problems *problems)
{
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        text += 3;
        n -= 3;
    }
    struct yaml_text *source = source_new(arena, file, text, n);
    struct builder *b = mem_alloc(sizeof *b);
    b->arena = arena;
    b->problems = problems;
    b->text = source;
    map_init(&b->anchors);
    struct documents documents = {0};
    size_t errors_before = problems->n_errors;
    bool ok = check_bytes(b) && run(b, &documents);
    document_reset(b);
    map_fini(&b->anchors);
    for (int i = 0; i < NX_YAML_DEPTH_MAX; i++)
        vec_fini(&b->frames[i].children);
    mem_free(b);
    *n_docs = documents.list.n;
    *docs = arena_dup(arena, documents.list.at, documents.list.n * sizeof **docs);
    vec_fini(&documents.list);
    return ok && problems->n_errors == errors_before;
}
