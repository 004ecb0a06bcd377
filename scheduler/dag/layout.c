#include "scheduler/dag/layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"

#define SWEEPS 8
#define STRAIGHTENINGS 16

/* A node: a task, or the place where an edge crosses a layer. */
struct node {
    uint32_t layer, at; /* its place in the layer */
    double wish;        /* what it is sorted by */
    double y; /* across the layers: a height, or a place from the left when they go down */
    uint32_t *up, *down;
    uint32_t n_up, n_down;
    bool bend;
};

struct drawing {
    const struct layout_task *tasks;
    uint32_t n_tasks;
    struct arena *arena;
    struct node *nodes; /* tasks, then bends */
    uint32_t n_nodes;
    uint32_t **layers; /* nodes of each, top to bottom */
    uint32_t *n_in_layer, n_layers;
    bool straight; /* no bends: there would be too many */
    bool down;     /* layers go from top to bottom */
};

/* ---- Order and layers ---- */

/* Each task behind what it needs, in the order of the file where that is free. */
static uint32_t *find_order(struct drawing *d)
{
    uint32_t n = d->n_tasks, done = 0, next = 0;
    uint32_t *order = arena_array(d->arena, n + 1, sizeof *order);
    uint32_t *open = arena_array(d->arena, n + 1, sizeof *open);
    uint32_t *first = arena_array(d->arena, n + 2, sizeof *first);
    uint32_t *fill = arena_array(d->arena, n + 2, sizeof *fill);
    size_t n_edges = 0;
    for (uint32_t i = 0; i < n; i++) {
        open[i] = d->tasks[i].n_needs;
        n_edges += open[i];
    }
    uint32_t *below = arena_array(d->arena, n_edges + 1, sizeof *below);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < d->tasks[i].n_needs; k++)
            first[d->tasks[i].needs[k] + 1]++;
    }
    for (uint32_t i = 0; i < n; i++) {
        first[i + 1] += first[i];
        fill[i + 1] = first[i + 1];
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < d->tasks[i].n_needs; k++)
            below[fill[d->tasks[i].needs[k]]++] = i;
        if (!open[i])
            order[done++] = i;
    }
    for (; next < done; next++) {
        for (uint32_t k = first[order[next]]; k < first[order[next] + 1]; k++) {
            if (--open[below[k]] == 0)
                order[done++] = below[k];
        }
    }
    must(done == n);
    return order;
}

static void find_layers(struct drawing *d, const uint32_t *order)
{
    d->n_layers = d->n_tasks ? 1 : 0;
    for (uint32_t i = 0; i < d->n_tasks; i++) {
        const struct layout_task *task = &d->tasks[order[i]];
        uint32_t layer = 0;
        for (uint32_t k = 0; k < task->n_needs; k++) {
            if (d->nodes[task->needs[k]].layer + 1 > layer)
                layer = d->nodes[task->needs[k]].layer + 1;
        }
        d->nodes[order[i]].layer = layer;
        if (layer + 1 > d->n_layers)
            d->n_layers = layer + 1;
    }
}

static size_t count_bends(const struct drawing *d)
{
    size_t n = 0;
    for (uint32_t i = 0; i < d->n_tasks; i++) {
        for (uint32_t k = 0; k < d->tasks[i].n_needs; k++)
            n += d->nodes[i].layer - d->nodes[d->tasks[i].needs[k]].layer - 1;
    }
    return n;
}

/* ---- Links between neighbouring layers ---- */

static void link_nodes(struct drawing *d, uint32_t from, uint32_t to, bool count)
{
    struct node *a = &d->nodes[from], *b = &d->nodes[to];
    if (!count) {
        a->down[a->n_down] = to;
        b->up[b->n_up] = from;
    }
    a->n_down++;
    b->n_up++;
}

/* An edge as a chain of links; its bends begin at `bend`. */
static uint32_t link_edge(struct drawing *d, uint32_t from, uint32_t to, uint32_t bend, bool count)
{
    if (d->straight) {
        link_nodes(d, from, to, count);
        return bend;
    }
    for (uint32_t layer = d->nodes[from].layer + 1; layer < d->nodes[to].layer; layer++, bend++) {
        d->nodes[bend].layer = layer;
        d->nodes[bend].bend = true;
        link_nodes(d, from, bend, count);
        from = bend;
    }
    link_nodes(d, from, to, count);
    return bend;
}

static void link_all(struct drawing *d, bool count)
{
    uint32_t bend = d->n_tasks;
    for (uint32_t i = 0; i < d->n_tasks; i++) {
        for (uint32_t k = 0; k < d->tasks[i].n_needs; k++)
            bend = link_edge(d, d->tasks[i].needs[k], i, bend, count);
    }
}

static void make_links(struct drawing *d)
{
    link_all(d, true);
    for (uint32_t i = 0; i < d->n_nodes; i++) {
        struct node *node = &d->nodes[i];
        node->up = arena_array(d->arena, node->n_up + 1, sizeof *node->up);
        node->down = arena_array(d->arena, node->n_down + 1, sizeof *node->down);
        node->n_up = node->n_down = 0;
    }
    link_all(d, false);
}

static void fill_layers(struct drawing *d, const uint32_t *order)
{
    uint32_t *n = d->n_in_layer = arena_array(d->arena, d->n_layers + 1, sizeof *n);
    d->layers = arena_array(d->arena, d->n_layers + 1, sizeof *d->layers);
    for (uint32_t i = 0; i < d->n_nodes; i++)
        n[d->nodes[i].layer]++;
    for (uint32_t i = 0; i < d->n_layers; i++) {
        d->layers[i] = arena_array(d->arena, n[i] + 1, sizeof *d->layers[i]);
        n[i] = 0;
    }
    for (uint32_t i = 0; i < d->n_nodes; i++) {
        uint32_t node = i < d->n_tasks ? order[i] : i, layer = d->nodes[node].layer;
        d->nodes[node].at = n[layer];
        d->layers[layer][n[layer]++] = node;
    }
}

/* ---- The order within layers ---- */

struct wished {
    double wish;
    uint32_t at, node;
};

static int by_wish(const void *a, const void *b)
{
    const struct wished *x = a, *y = b;
    if (x->wish != y->wish)
        return x->wish < y->wish ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The mean place of a node's neighbours, or its own when it has none. */
static double mean_place(const struct drawing *d, const struct node *node, bool up)
{
    const uint32_t *list = up ? node->up : node->down;
    uint32_t n = up ? node->n_up : node->n_down;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += d->nodes[list[i]].at;
    return n ? sum / n : node->at;
}

static void sort_layer(struct drawing *d, uint32_t layer, bool up, struct wished *work)
{
    uint32_t n = d->n_in_layer[layer];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = d->layers[layer][i];
        work[i] = (struct wished){mean_place(d, &d->nodes[node], up), i, node};
    }
    qsort(work, n, sizeof *work, by_wish);
    for (uint32_t i = 0; i < n; i++) {
        d->layers[layer][i] = work[i].node;
        d->nodes[work[i].node].at = i;
    }
}

static void sort_layers(struct drawing *d)
{
    struct wished *work = arena_array(d->arena, d->n_nodes + 1, sizeof *work);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        bool up = sweep % 2 == 0;
        for (uint32_t i = 1; i < d->n_layers; i++)
            sort_layer(d, up ? i : d->n_layers - 1 - i, up, work);
    }
}

/* ---- Heights ---- */

static int32_t breadth(const struct drawing *d)
{
    return d->down ? LAYOUT_NODE_WIDTH : LAYOUT_NODE_HEIGHT;
}

static double need_of(const struct drawing *d, const struct node *node)
{
    return node->bend ? LAYOUT_GAP_Y : breadth(d) + LAYOUT_GAP_Y;
}

/* The least distance of two middles. */
static double distance(const struct drawing *d, const struct node *a, const struct node *b)
{
    return (need_of(d, a) + need_of(d, b)) / 2;
}

static double mean_height(const struct drawing *d, const struct node *node)
{
    double sum = 0;
    uint32_t n = node->n_up + node->n_down;
    for (uint32_t i = 0; i < node->n_up; i++)
        sum += d->nodes[node->up[i]].y;
    for (uint32_t i = 0; i < node->n_down; i++)
        sum += d->nodes[node->down[i]].y;
    return n ? sum / n : node->y;
}

struct block {
    double sum;
    uint32_t n;
};

/* The heights nearest to what the nodes wish that keep order and distances. */
static void place_layer(struct drawing *d, uint32_t layer, struct block *blocks, double *offsets)
{
    uint32_t n = d->n_in_layer[layer], n_blocks = 0, i = 0;
    double offset = 0;
    for (i = 0; i < n; i++) {
        struct node *node = &d->nodes[d->layers[layer][i]];
        if (i)
            offset += distance(d, &d->nodes[d->layers[layer][i - 1]], node);
        offsets[i] = offset;
        blocks[n_blocks++] = (struct block){mean_height(d, node) - offset, 1};
        while (n_blocks > 1 && blocks[n_blocks - 1].sum / blocks[n_blocks - 1].n <
                                   blocks[n_blocks - 2].sum / blocks[n_blocks - 2].n) {
            blocks[n_blocks - 2].sum += blocks[n_blocks - 1].sum;
            blocks[n_blocks - 2].n += blocks[n_blocks - 1].n;
            n_blocks--;
        }
    }
    i = 0;
    for (uint32_t b = 0; b < n_blocks; b++) {
        for (uint32_t k = 0; k < blocks[b].n; k++, i++)
            d->nodes[d->layers[layer][i]].y = blocks[b].sum / blocks[b].n + offsets[i];
    }
}

static void place_layers(struct drawing *d)
{
    struct block *blocks = arena_array(d->arena, d->n_nodes + 1, sizeof *blocks);
    double *offsets = arena_array(d->arena, d->n_nodes + 1, sizeof *offsets);
    for (uint32_t l = 0; l < d->n_layers; l++) {
        double y = 0, all = 0;
        for (uint32_t i = 0; i < d->n_in_layer[l]; i++)
            all += need_of(d, &d->nodes[d->layers[l][i]]);
        for (uint32_t i = 0; i < d->n_in_layer[l]; i++) {
            struct node *node = &d->nodes[d->layers[l][i]];
            node->y = y + need_of(d, node) / 2 - all / 2;
            y += need_of(d, node);
        }
    }
    for (int round = 0; round < STRAIGHTENINGS; round++) {
        for (uint32_t i = 0; i < d->n_layers; i++)
            place_layer(d, round % 2 ? d->n_layers - 1 - i : i, blocks, offsets);
    }
}

/* ---- The result ---- */

/* How far it is from one layer to the next. */
static uint32_t step_of(const struct drawing *d)
{
    return (d->down ? LAYOUT_NODE_HEIGHT : LAYOUT_NODE_WIDTH) + LAYOUT_GAP_X;
}

static struct layout_point point(const struct drawing *d, int32_t along, int32_t across)
{
    return d->down ? (struct layout_point){across, along} : (struct layout_point){along, across};
}

static void put_nodes(const struct drawing *d, struct layout *layout, double top)
{
    layout->nodes = arena_array(d->arena, d->n_tasks + 1, sizeof *layout->nodes);
    for (uint32_t i = 0; i < d->n_tasks; i++) {
        const struct node *node = &d->nodes[i];
        layout->nodes[i] = point(d, (int32_t)(node->layer * step_of(d)),
                                 (int32_t)lround(node->y - top) - breadth(d) / 2);
    }
}

static void put_edges(const struct drawing *d, struct layout *layout, double top)
{
    size_t n_edges = 0;
    uint32_t bend = d->n_tasks;
    int32_t middle = (d->down ? LAYOUT_NODE_HEIGHT : LAYOUT_NODE_WIDTH) / 2;
    for (uint32_t i = 0; i < d->n_tasks; i++)
        n_edges += d->tasks[i].n_needs;
    layout->edges = arena_array(d->arena, n_edges + 1, sizeof *layout->edges);
    for (uint32_t i = 0; i < d->n_tasks; i++) {
        for (uint32_t k = 0; k < d->tasks[i].n_needs; k++) {
            uint32_t from = d->tasks[i].needs[k], n = 0;
            if (!d->straight)
                n = d->nodes[i].layer - d->nodes[from].layer - 1;
            struct layout_point *bends = arena_array(d->arena, n + 1, sizeof *bends);
            for (uint32_t b = 0; b < n; b++, bend++)
                bends[b] = point(d, (int32_t)(d->nodes[bend].layer * step_of(d)) + middle,
                                 (int32_t)lround(d->nodes[bend].y - top));
            layout->edges[layout->n_edges++] = (struct layout_edge){from, i, bends, n};
        }
    }
}

void layout_make(const struct layout_task *tasks, uint32_t n, bool down, struct arena *arena,
                 struct layout *layout)
{
    struct drawing d = {.tasks = tasks, .n_tasks = n, .arena = arena, .down = down};
    struct node *plain = d.nodes = arena_array(arena, n + 1, sizeof *d.nodes);
    double top = 0, bottom = 0;
    *layout = (struct layout){.order = find_order(&d)};
    find_layers(&d, layout->order);
    size_t n_bends = count_bends(&d);
    d.straight = n_bends > LAYOUT_BENDS_MAX;
    d.n_nodes = n + (d.straight ? 0 : (uint32_t)n_bends);
    d.nodes = arena_array(arena, d.n_nodes + 1, sizeof *d.nodes);
    memcpy(d.nodes, plain, n * sizeof *plain);
    make_links(&d);
    fill_layers(&d, layout->order);
    sort_layers(&d);
    place_layers(&d);
    for (uint32_t i = 0; i < d.n_nodes; i++) {
        top = fmin(top, d.nodes[i].y - need_of(&d, &d.nodes[i]) / 2);
        bottom = fmax(bottom, d.nodes[i].y + need_of(&d, &d.nodes[i]) / 2);
    }
    struct layout_point size = point(&d, n ? (int32_t)(d.n_layers * step_of(&d)) - LAYOUT_GAP_X : 0,
                                     (int32_t)ceil(bottom - top));
    layout->width = size.x;
    layout->height = size.y;
    put_nodes(&d, layout, top);
    put_edges(&d, layout, top);
}
