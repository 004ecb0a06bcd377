/* An ensemble of regression trees that predicts to the last bit as XGBoost does. PURE.
 *
 * margin(g) = base_margin + leaf of tree g + leaf of tree g + n_groups + ..., added in float32 in
 * that order; then the link. A number goes left when it is below the split (so NaN never compares:
 * it goes the default way); a code of a category goes right when the split's set has it. These are
 * the rules of XGBoost 1.7's CPU predictor. */
#ifndef LIB_MODEL_TREES_H
#define LIB_MODEL_TREES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "nexus/error.h"

enum trees_link { TREES_IDENTITY, TREES_LOGISTIC, TREES_SOFTMAX, TREES_LINKS };

#define TREES_DEFAULT_LEFT 1u

struct trees_node {
    float value;   /* a leaf's value, or what a number is compared with */
    uint32_t left; /* index of the left child, the right one follows; 0: a leaf */
    uint32_t feature;
    uint32_t flags; /* bit 0: missing goes left; the rest: 1 + offset into sets, or 0: a number */
};

struct trees {
    enum trees_link link;
    uint32_t n_features, n_groups;
    float base_margin;
    uint32_t *roots; /* n_trees; tree t belongs to group t % n_groups */
    size_t n_trees;
    struct trees_node *nodes; /* children come after their parent */
    size_t n_nodes;
    uint32_t *sets; /* each: number of words, then that many words of bits */
    size_t n_sets;
};

/* Values: n x n_groups, row-major (TREES_LOGISTIC: the probability). Features: n x n_features. */
void trees_predict(const struct trees *trees, const float *features, size_t n, float *values);

/* The payload: "NXTREES1", then little-endian 32-bit words (link, features, groups, base margin's
 * bits, trees, nodes, set words), roots, nodes (4 words each), sets. */
void trees_write(const struct trees *trees, struct buf *buf);
/* Checks every index, so that what was read cannot lead predict astray. Arrays live in the arena.
 */
bool trees_read(const void *p, size_t n, struct arena *arena, struct trees *trees,
                struct nx_err *err);

#endif
