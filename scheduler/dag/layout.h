/* A picture of a graph in layers, from left to right or from top to bottom: what needs nothing
 * first, every task behind what it needs (K. Sugiyama, S. Tagawa, M. Toda, 1981). Places are those
 * of a node's upper left corner; ways are the points that an edge goes through between its two
 * nodes.
 *
 * The order within a layer by barycenters in a few sweeps; the heights by least squares with a
 * least distance (pool adjacent violators), so that chains are straight. Time: O((n + e) log n) a
 * sweep, where e counts an edge once a layer that it crosses; with more than LAYOUT_BENDS_MAX such
 * crossings edges are straight lines. */
#ifndef SCHEDULER_DAG_LAYOUT_H
#define SCHEDULER_DAG_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"

#define LAYOUT_NODE_WIDTH 168
#define LAYOUT_NODE_HEIGHT 44
#define LAYOUT_GAP_X 56 /* between layers */
#define LAYOUT_GAP_Y 16 /* within one */
#define LAYOUT_BENDS_MAX 40000

/* What a task needs: indexes of others. The graph has no cycle. */
struct layout_task {
    const uint32_t *needs;
    uint32_t n_needs;
};

struct layout_point {
    int32_t x, y;
};

struct layout_edge {
    uint32_t from, to;
    const struct layout_point *bends; /* of the dummies between, in that order */
    uint32_t n_bends;
};

struct layout {
    int32_t width, height;
    struct layout_point *nodes; /* one a task */
    uint32_t *order;            /* the tasks, each behind what it needs */
    struct layout_edge *edges;
    size_t n_edges;
};

/* Everything is in the arena. down: layers go from top to bottom. */
void layout_make(const struct layout_task *tasks, uint32_t n, bool down, struct arena *arena,
                 struct layout *layout);

#endif
