/* YAML 1.2 text to a tree of nodes that know where they stand.
 *
 * Several documents a text. Anchors and aliases are allowed: an alias is the anchored node itself,
 * so a tree may share branches, but never has a cycle, and what aliases would be written out is
 * bounded (YAML_ALIASED_MAX). After a mistake of one node the tree goes on, so that the rest can be
 * checked too. Refused, with their place: tags other than !!str, merge keys (<<),
 * keys that are no scalars, doubled keys, bytes that are not UTF-8, zero characters, nesting deeper
 * than NX_YAML_DEPTH_MAX. */
#ifndef LIB_TEXT_YAML_H
#define LIB_TEXT_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/text/problem.h"

#define YAML_ALIASED_MAX 100000u /* nodes of one document that come from aliases */

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_LIST, YAML_KIND_MAP };

enum yaml_style {
    YAML_STYLE_PLAIN,
    YAML_STYLE_SINGLE,
    YAML_STYLE_DOUBLE,
    YAML_STYLE_LITERAL,
    YAML_STYLE_FOLDED
};

struct yaml_text; /* the text parsed: for places inside scalars */

struct yaml_pair {
    struct yaml_node *key; /* a scalar */
    struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    enum yaml_style style; /* of a scalar */
    int line, column;      /* of its first character, from 1; columns count characters */
    const struct yaml_text *source;
    const char *text;         /* scalar: its value; never NULL, ends with 0, no zero inside */
    size_t n;                 /* bytes of text, items or pairs */
    struct yaml_node **items; /* list */
    struct yaml_pair *pairs;  /* map */
    uint32_t n_nodes;         /* of the tree from here, aliases written out */
    int height;               /* levels of the tree from here; a scalar has 1 */
};

/* Parses `n` bytes into arena, which keeps a copy of the text. *docs gets the documents that could
 * be read (an empty one is a null scalar), also when the result is false. False: problems were
 * added. `file` names the text in problems. */
bool yaml_parse(struct arena *arena, const char *file, const char *text, size_t n,
                struct yaml_node ***docs, size_t *n_docs, struct problems *problems);

const char *yaml_file(const struct yaml_node *node);
/* The place in the file of byte `offset` of a scalar's value: exact for plain, literal, folded and
 * quoted scalars whose escapes stand for one character. */
void yaml_place(const struct yaml_node *node, size_t offset, int *line, int *column);
/* The value under that key, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* What a scalar is by the core schema of YAML 1.2: `yes` and `on` are strings, so is all that is
 * quoted. */
enum yaml_type {
    YAML_TYPE_NULL,
    YAML_TYPE_BOOL,
    YAML_TYPE_INT,
    YAML_TYPE_FLOAT,
    YAML_TYPE_STRING,
    YAML_TYPE_LIST,
    YAML_TYPE_MAP
};

enum yaml_type yaml_type(const struct yaml_node *node);
const char *yaml_type_name(const struct yaml_node *node); /* "a string", "a list", ... */
bool yaml_is_null(const struct yaml_node *node);
/* True and the value when the scalar is of that type; yaml_float takes integers too. */
bool yaml_bool(const struct yaml_node *node, bool *v);
bool yaml_int(const struct yaml_node *node, int64_t *v);
bool yaml_float(const struct yaml_node *node, double *v);

/* A new reference; .inf and .nan become null, keys their text. */
json_t *yaml_json(const struct yaml_node *node);

/* Adds a problem at that node (or at byte `offset` of its text). */
struct problem *yaml_problem(struct problems *problems, const struct yaml_node *node,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));
struct problem *yaml_problem_at(struct problems *problems, const struct yaml_node *node,
                                size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
