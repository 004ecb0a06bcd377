/* XGBoost's JSON model to our trees. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/ml/ml.h"

typedef VEC(struct trees_node) node_vec;
typedef VEC(uint32_t) word_vec;

struct converter {
    node_vec nodes;
    word_vec roots, sets;
    double *gain;
    size_t n_features;
};

/* The arrays of one tree, by their names there. */
struct source {
    json_t *left, *right, *feature, *condition, *default_left, *kind, *gain;
    json_t *categories, *category_nodes, *segments, *sizes;
    size_t n;
};

static json_int_t int_at(const json_t *list, size_t i)
{
    const json_t *v = json_array_get(list, i);
    return json_is_boolean(v) ? json_is_true(v) : (json_int_t)json_number_value(v);
}

static bool source_of(const json_t *tree, struct source *s, struct nx_err *err)
{
    *s = (struct source){.left = json_object_get(tree, "left_children"),
                         .right = json_object_get(tree, "right_children"),
                         .feature = json_object_get(tree, "split_indices"),
                         .condition = json_object_get(tree, "split_conditions"),
                         .default_left = json_object_get(tree, "default_left"),
                         .kind = json_object_get(tree, "split_type"),
                         .gain = json_object_get(tree, "loss_changes"),
                         .categories = json_object_get(tree, "categories"),
                         .category_nodes = json_object_get(tree, "categories_nodes"),
                         .segments = json_object_get(tree, "categories_segments"),
                         .sizes = json_object_get(tree, "categories_sizes")};
    s->n = json_array_size(s->left);
    if (s->n == 0 || json_array_size(s->right) != s->n || json_array_size(s->feature) != s->n ||
        json_array_size(s->condition) != s->n || json_array_size(s->default_left) != s->n)
        return nx_fail(err, NX_E_INTERNAL, "XGBoost's model has a tree of an unknown form");
    return true;
}

/* Adds the set of a node's categories; returns 1 + where it starts, 0 when there is none. */
static uint32_t add_set(struct converter *c, const struct source *s, size_t node)
{
    for (size_t i = 0; i < json_array_size(s->category_nodes); i++) {
        if (int_at(s->category_nodes, i) != (json_int_t)node)
            continue;
        size_t from = (size_t)int_at(s->segments, i), n = (size_t)int_at(s->sizes, i);
        json_int_t max = 0;
        for (size_t k = from; k < from + n; k++)
            max = int_at(s->categories, k) > max ? int_at(s->categories, k) : max;
        size_t start = c->sets.n, words = (size_t)max / 32 + 1;
        vec_push(&c->sets, (uint32_t)words);
        for (size_t w = 0; w < words; w++)
            vec_push(&c->sets, 0);
        for (size_t k = from; k < from + n; k++) {
            size_t code = (size_t)int_at(s->categories, k);
            c->sets.at[start + 1 + code / 32] |= UINT32_C(1) << (31 - code % 32);
        }
        return (uint32_t)start + 1;
    }
    return 0;
}

/* The source's node `from` as our node `to`; its children get places at the end. */
static bool add_node(struct converter *c, const struct source *s, size_t from, size_t to,
                     size_t *origin, size_t base, struct nx_err *err)
{
    json_int_t left = int_at(s->left, from), right = int_at(s->right, from);
    double condition = json_number_value(json_array_get(s->condition, from));
    struct trees_node node = {.value = (float)condition};
    if (left >= 0) {
        json_int_t feature = int_at(s->feature, from);
        size_t place = c->nodes.n;
        if (right < 0 || (size_t)left >= s->n || (size_t)right >= s->n || feature < 0 ||
            (size_t)feature >= c->n_features || place - base + 2 > s->n)
            return nx_fail(err, NX_E_INTERNAL, "XGBoost's model has a node of an unknown form");
        node.left = (uint32_t)place;
        node.feature = (uint32_t)feature;
        node.flags = int_at(s->default_left, from) ? TREES_DEFAULT_LEFT : 0;
        if (int_at(s->kind, from) == 1)
            node.flags |= add_set(c, s, from) << 1;
        c->gain[feature] += json_number_value(json_array_get(s->gain, from));
        origin[place - base] = (size_t)left;
        origin[place - base + 1] = (size_t)right;
        vec_push(&c->nodes, (struct trees_node){0});
        vec_push(&c->nodes, (struct trees_node){0});
    }
    c->nodes.at[to] = node;
    return true;
}

/* Breadth first: siblings stand together and after their parent. */
static bool add_tree(struct converter *c, const json_t *tree, struct nx_err *err)
{
    struct source s;
    if (!source_of(tree, &s, err))
        return false;
    size_t *origin = mem_alloc_array(s.n + 2, sizeof *origin), base = c->nodes.n;
    vec_push(&c->roots, (uint32_t)base);
    vec_push(&c->nodes, (struct trees_node){0});
    bool ok = true;
    for (size_t i = base; ok && i < c->nodes.n; i++)
        ok = add_node(c, &s, origin[i - base], i, origin, base, err);
    mem_free(origin);
    return ok;
}

static bool read_head(const json_t *learner, struct trees *t, double *base_score,
                      struct nx_err *err)
{
    const json_t *param = json_object_get(learner, "learner_model_param");
    const char *objective =
        json_string_value(json_object_get(json_object_get(learner, "objective"), "name"));
    const char *score = json_string_value(json_object_get(param, "base_score"));
    const char *classes = json_string_value(json_object_get(param, "num_class"));
    if (!objective || !score || !classes)
        return nx_fail(err, NX_E_INTERNAL, "XGBoost's model has no objective or base score");
    double value = 0;
    if (!str_parse_double(score, &value))
        return nx_fail(err, NX_E_INTERNAL, "XGBoost's base score is '%s'", score);
    float base = (float)value;
    long n = strtol(classes, NULL, 10);
    t->n_groups = n > 1 ? (uint32_t)n : 1;
    t->base_margin = base;
    if (strcmp(objective, "binary:logistic") == 0) {
        t->link = TREES_LOGISTIC;
        t->base_margin = -logf(1.0f / base - 1.0f);
    } else if (strcmp(objective, "multi:softprob") == 0) {
        t->link = TREES_SOFTMAX;
    } else if (strcmp(objective, "reg:squarederror") == 0) {
        t->link = TREES_IDENTITY;
    } else {
        return nx_fail(err, NX_E_UNSUPPORTED, "XGBoost's objective %s is not known here",
                       objective);
    }
    *base_score = base;
    return true;
}

static void take(struct converter *c, struct arena *arena, struct trees *t, double *gain)
{
    t->roots = arena_dup(arena, c->roots.at, c->roots.n * sizeof *t->roots);
    t->n_trees = c->roots.n;
    t->nodes = arena_dup(arena, c->nodes.at, c->nodes.n * sizeof *t->nodes);
    t->n_nodes = c->nodes.n;
    t->sets = arena_dup(arena, c->sets.at, c->sets.n * sizeof *t->sets);
    t->n_sets = c->sets.n;
    double total = 0;
    for (size_t j = 0; j < c->n_features; j++)
        total += c->gain[j];
    for (size_t j = 0; j < c->n_features; j++)
        gain[j] = total > 0 ? c->gain[j] / total : 0;
}

/* XGBoost writes NaN, which is no JSON, where a split by categories has no number. */
static json_t *parse(const char *text, size_t n, struct nx_err *err)
{
    char *copy = mem_strndup(text, n);
    bool quoted = false;
    for (size_t i = 0; i + 3 <= n; i++) {
        if (copy[i] == '"')
            quoted = !quoted;
        else if (quoted && copy[i] == '\\')
            i++;
        else if (!quoted && memcmp(copy + i, "NaN", 3) == 0)
            memcpy(copy + i, "0.0", 3);
    }
    json_error_t at;
    json_t *root = json_loadb(copy, n, 0, &at);
    mem_free(copy);
    if (!root)
        nx_fail(err, NX_E_INTERNAL, "XGBoost's model is no JSON: %s", at.text);
    return root;
}

bool ml_trees_of_json(const char *text, size_t n, size_t n_features, struct arena *arena,
                      struct trees *trees, double *gain, struct nx_err *err)
{
    json_t *root = parse(text, n, err);
    if (!root)
        return false;
    const json_t *learner = json_object_get(root, "learner");
    const json_t *list = json_object_get(
        json_object_get(json_object_get(learner, "gradient_booster"), "model"), "trees");
    struct trees t = {.n_features = (uint32_t)n_features};
    struct converter c = {.n_features = n_features};
    double base_score = 0;
    c.gain = mem_alloc_array(n_features + 1, sizeof *c.gain);
    bool ok = read_head(learner, &t, &base_score, err);
    for (size_t i = 0; ok && i < json_array_size(list); i++)
        ok = add_tree(&c, json_array_get(list, i), err);
    if (ok && c.roots.n % t.n_groups != 0)
        ok = nx_fail(err, NX_E_INTERNAL, "XGBoost's model has trees of incomplete rounds");
    if (ok) {
        take(&c, arena, &t, gain);
        *trees = t;
    }
    vec_fini(&c.nodes);
    vec_fini(&c.roots);
    vec_fini(&c.sets);
    mem_free(c.gain);
    json_decref(root);
    return ok;
}
