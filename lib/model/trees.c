#include "lib/model/trees.h"

#include <math.h>
#include <string.h>

#include "lib/base/must.h"

#define BLOCK 64 /* rows that go through a tree together, so that it stays in the cache */
#define HEAD_WORDS 7

static bool in_set(const uint32_t *set, float code)
{
    uint32_t c = (uint32_t)code;
    return c / 32 < set[0] && (set[1 + c / 32] >> (31 - c % 32) & 1);
}

static float leaf_of(const struct trees *trees, uint32_t root, const float *x)
{
    const struct trees_node *node = &trees->nodes[root];
    while (node->left) {
        float v = x[node->feature];
        uint32_t set = node->flags >> 1;
        bool right;
        if (isnan(v))
            right = !(node->flags & TREES_DEFAULT_LEFT);
        else if (!set)
            right = !(v < node->value);
        else if (v < 0 || v >= 16777216.0f) /* no code at all */
            right = !(node->flags & TREES_DEFAULT_LEFT);
        else
            right = in_set(trees->sets + set - 1, v);
        node = &trees->nodes[node->left + right];
    }
    return node->value;
}

static float logistic(float margin)
{
    /* As XGBoost computes it, the bound and the tiny term included. */
    const float tiny = 1e-16f;
    float x = fminf(-margin, 88.7f);
    float below = expf(x) + 1.0f + tiny;
    return 1.0f / below;
}

static void softmax(float *z, uint32_t n)
{
    float max = z[0];
    double sum = 0;
    for (uint32_t k = 1; k < n; k++)
        max = fmaxf(z[k], max);
    for (uint32_t k = 0; k < n; k++) {
        z[k] = expf(z[k] - max);
        sum += z[k];
    }
    for (uint32_t k = 0; k < n; k++)
        z[k] /= (float)sum;
}

void trees_predict(const struct trees *trees, const float *features, size_t n, float *values)
{
    uint32_t groups = trees->n_groups;
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t end = from + BLOCK < n ? from + BLOCK : n;
        for (size_t i = from * groups; i < end * groups; i++)
            values[i] = trees->base_margin;
        for (size_t t = 0; t < trees->n_trees; t++) {
            for (size_t i = from; i < end; i++)
                values[i * groups + t % groups] +=
                    leaf_of(trees, trees->roots[t], features + i * trees->n_features);
        }
        for (size_t i = from; i < end; i++) {
            if (trees->link == TREES_LOGISTIC)
                values[i * groups] = logistic(values[i * groups]);
            else if (trees->link == TREES_SOFTMAX)
                softmax(values + i * groups, groups);
        }
    }
}

static uint32_t bits_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void trees_write(const struct trees *trees, struct buf *buf)
{
    must(trees->n_trees <= UINT32_MAX && trees->n_nodes <= UINT32_MAX);
    must(trees->n_sets < UINT32_MAX / 2);
    buf_add(buf, "NXTREES1", 8);
    buf_u32(buf, (uint32_t)trees->link);
    buf_u32(buf, trees->n_features);
    buf_u32(buf, trees->n_groups);
    buf_u32(buf, bits_of(trees->base_margin));
    buf_u32(buf, (uint32_t)trees->n_trees);
    buf_u32(buf, (uint32_t)trees->n_nodes);
    buf_u32(buf, (uint32_t)trees->n_sets);
    for (size_t i = 0; i < trees->n_trees; i++)
        buf_u32(buf, trees->roots[i]);
    for (size_t i = 0; i < trees->n_nodes; i++) {
        const struct trees_node *node = &trees->nodes[i];
        buf_u32(buf, bits_of(node->value));
        buf_u32(buf, node->left);
        buf_u32(buf, node->feature);
        buf_u32(buf, node->flags);
    }
    for (size_t i = 0; i < trees->n_sets; i++)
        buf_u32(buf, trees->sets[i]);
}

static uint32_t word(const unsigned char *p, size_t i)
{
    p += 4 * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool check(const struct trees *trees, struct nx_err *err)
{
    for (size_t i = 0; i < trees->n_trees; i++) {
        if (trees->roots[i] >= trees->n_nodes)
            return nx_fail(err, NX_E_DATA, "tree %zu starts outside the nodes", i);
    }
    for (size_t i = 0; i < trees->n_nodes; i++) {
        const struct trees_node *node = &trees->nodes[i];
        uint32_t set = node->flags >> 1;
        if (node->left == 0)
            continue;
        if (node->left <= i || node->left >= trees->n_nodes - 1)
            return nx_fail(err, NX_E_DATA, "node %zu has a child that does not follow it", i);
        if (node->feature >= trees->n_features)
            return nx_fail(err, NX_E_DATA, "node %zu splits by feature %u of %u", i,
                           (unsigned)node->feature, (unsigned)trees->n_features);
        if (set && (set - 1 >= trees->n_sets || trees->sets[set - 1] >= trees->n_sets - (set - 1)))
            return nx_fail(err, NX_E_DATA, "node %zu has a set of categories that is cut", i);
    }
    return true;
}

bool trees_read(const void *p, size_t n, struct arena *arena, struct trees *trees,
                struct nx_err *err)
{
    const unsigned char *bytes = p;
    if (n < 8 + 4 * HEAD_WORDS || memcmp(bytes, "NXTREES1", 8) != 0)
        return nx_fail(err, NX_E_DATA, "this is no payload of trees (it does not begin NXTREES1)");
    bytes += 8;
    struct trees t = {.n_features = word(bytes, 1), .n_groups = word(bytes, 2)};
    uint32_t link = word(bytes, 0);
    t.base_margin = float_of(word(bytes, 3));
    t.n_trees = word(bytes, 4);
    t.n_nodes = word(bytes, 5);
    t.n_sets = word(bytes, 6);
    if (link >= TREES_LINKS || t.n_groups == 0 || t.n_trees % t.n_groups != 0)
        return nx_fail(err, NX_E_DATA, "the head of the trees' payload makes no sense");
    if (n - 8 != 4 * (HEAD_WORDS + t.n_trees + 4 * t.n_nodes + t.n_sets))
        return nx_fail(err, NX_E_DATA, "the trees' payload has %zu bytes, its head says otherwise",
                       n);
    t.link = (enum trees_link)link;
    t.roots = arena_array(arena, t.n_trees, sizeof *t.roots);
    t.nodes = arena_array(arena, t.n_nodes, sizeof *t.nodes);
    t.sets = arena_array(arena, t.n_sets, sizeof *t.sets);
    bytes += (size_t)4 * HEAD_WORDS;
    for (size_t i = 0; i < t.n_trees; i++)
        t.roots[i] = word(bytes, i);
    bytes += 4 * t.n_trees;
    for (size_t i = 0; i < t.n_nodes; i++) {
        t.nodes[i].value = float_of(word(bytes, 4 * i));
        t.nodes[i].left = word(bytes, 4 * i + 1);
        t.nodes[i].feature = word(bytes, 4 * i + 2);
        t.nodes[i].flags = word(bytes, 4 * i + 3);
    }
    bytes += 16 * t.n_nodes;
    for (size_t i = 0; i < t.n_sets; i++)
        t.sets[i] = word(bytes, i);
    if (!check(&t, err))
        return false;
    *trees = t;
    return true;
}
