/* Lineage: which datasets a dataset is made of, and which are made of it, as the current versions
 * of the DAGs say.
 *
 *   raw --(schedule of DAG load)--> load.clean --(produces)--> flights
 *
 * What a task writes is made of what it and the tasks upstream of it read (`consumes`), and of what
 * starts its DAG. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

struct link {
    const char *dataset, *dag, *task; /* task NULL: the DAG itself */
    enum dataset_link kind;
    uint64_t version;
};

struct links {
    struct arena *arena;
    VEC(struct link) list;
};

struct place {
    const char *dataset;
    size_t from; /* the place before it; its own index: none */
    int depth;
};

/* One walk along the datasets from one of them. */
struct walk {
    struct call *call;
    struct nx_err *err;
    bool upstream, only_starts;
    struct map seen;
    VEC(struct place) places;
    size_t at; /* the place that is looked at */
    bool put;  /* the edges, into the body */
    size_t n_edges;
    const char *closes; /* the name that was come back to; NULL: not yet */
};

static bool add_link(void *arg, const struct query_dataset_link *link)
{
    struct links *links = arg;
    const struct link copy = {
        .dataset = arena_strdup(links->arena, link->dataset),
        .dag = arena_strdup(links->arena, link->dag),
        .task = link->task ? arena_strdup(links->arena, link->task) : NULL,
        .kind = link->kind,
        .version = link->version,
    };
    vec_push(&links->list, copy);
    return true;
}

static bool find_links(struct walk *walk, const char *dataset, const char *dag, struct links *links)
{
    links->arena = walk->call->arena;
    return query_dataset_links(walk->call->query, dataset, dag, add_link, links, walk->err);
}

static void visit(struct walk *walk, const char *dataset)
{
    const struct place *here = &walk->places.at[walk->at];
    if (str_eq(dataset, walk->places.at[0].dataset))
        walk->closes = dataset;
    if (map_get(&walk->seen, dataset))
        return;
    const struct place place = {dataset, walk->at, here->depth + 1};
    map_set(&walk->seen, dataset, (void *)(uintptr_t)1);
    vec_push(&walk->places, place);
}

/* An edge from the place to that dataset (NULL: to nothing). */
static void edge(struct walk *walk, const char *dataset, const char *dag, const char *reader,
                 const char *writer)
{
    struct buf *buf = &walk->call->body;
    const struct place *here = &walk->places.at[walk->at];
    if (walk->put && walk->n_edges++ < NX_LINEAGE_EDGES_MAX) {
        put_open(buf, NULL, '{');
        put_text(buf, "direction", walk->upstream ? "upstream" : "downstream");
        put_int(buf, "depth", here->depth + 1);
        put_text(buf, "from", walk->upstream ? dataset : here->dataset);
        put_text(buf, "to", walk->upstream ? here->dataset : dataset);
        put_text(buf, "dag", dag);
        put_text(buf, "reader", reader);
        put_text(buf, "writer", writer);
        put_close(buf, '}');
    }
    if (dataset)
        visit(walk, dataset);
}

/* Marks the task of the link and all upstream of it; NULL: *err. To be freed. */
static bool *above(struct walk *walk, const struct link *link, const struct dag_info **info)
{
    if (!query_version(walk->call->query, link->version, info, walk->err))
        return NULL;
    bool *marked = mem_alloc_array((*info)->n_tasks + 1u, sizeof *marked);
    int64_t task = link->task ? info_find(*info, link->task) : -1;
    if (task >= 0)
        info_above(*info, (uint32_t)task, marked);
    return marked;
}

static bool is_marked(const struct dag_info *info, const bool *marked, const char *task)
{
    int64_t index = task ? info_find(info, task) : -1;
    return index >= 0 && marked[index];
}

/* What the producing task's data is made of. */
static bool go_up(struct walk *walk, const struct link *producer)
{
    struct links all = {0};
    const struct dag_info *info;
    size_t n = 0;
    bool *marked = above(walk, producer, &info);
    bool ok = marked && find_links(walk, NULL, producer->dag, &all);
    for (size_t i = 0; ok && i < all.list.n; i++) {
        const struct link *link = &all.list.at[i];
        bool read = link->kind == DATASET_CONSUMED && is_marked(info, marked, link->task);
        if (!read && link->kind != DATASET_STARTS)
            continue;
        edge(walk, link->dataset, producer->dag, link->task, producer->task);
        n++;
    }
    if (ok && !n)
        edge(walk, NULL, producer->dag, NULL, producer->task);
    mem_free(marked);
    vec_fini(&all.list);
    return ok;
}

/* What is made of the data by tasks of the reader's DAG. */
static bool go_down(struct walk *walk, const struct link *reader)
{
    struct links all = {0};
    size_t n = 0;
    bool ok = find_links(walk, NULL, reader->dag, &all);
    for (size_t i = 0; ok && i < all.list.n; i++) {
        const struct link *link = &all.list.at[i];
        const struct dag_info *info;
        if (link->kind != DATASET_PRODUCED)
            continue;
        bool *marked = reader->task ? above(walk, link, &info) : NULL;
        bool made = !reader->task || (marked && is_marked(info, marked, reader->task));
        ok = !reader->task || marked;
        mem_free(marked);
        if (ok && made) {
            edge(walk, link->dataset, reader->dag, reader->task, link->task);
            n++;
        }
    }
    if (ok && !n)
        edge(walk, NULL, reader->dag, reader->task, NULL);
    vec_fini(&all.list);
    return ok;
}

static bool step(struct walk *walk)
{
    struct links links = {0};
    bool ok = find_links(walk, walk->places.at[walk->at].dataset, NULL, &links);
    for (size_t i = 0; ok && i < links.list.n && walk->n_edges < NX_LINEAGE_EDGES_MAX; i++) {
        const struct link *link = &links.list.at[i];
        if (walk->upstream ? link->kind != DATASET_PRODUCED
                           : link->kind == DATASET_PRODUCED ||
                                 (walk->only_starts && link->kind != DATASET_STARTS))
            continue;
        ok = walk->upstream ? go_up(walk, link) : go_down(walk, link);
    }
    vec_fini(&links.list);
    return ok;
}

static void walk_init(struct walk *walk, const char *dataset)
{
    const struct place first = {dataset, 0, 0};
    map_init(&walk->seen);
    map_set(&walk->seen, dataset, (void *)(uintptr_t)1);
    vec_push(&walk->places, first);
}

static void walk_fini(struct walk *walk)
{
    map_fini(&walk->seen);
    vec_fini(&walk->places);
}

/* ---- Cycles ---- */

bool put_cycle(struct call *call, const char *key, const char *dataset, struct nx_err *err)
{
    struct walk walk = {.call = call, .err = err, .only_starts = true};
    const char **names;
    size_t n = 0;
    bool ok = true;
    walk_init(&walk, dataset);
    for (; ok && !walk.closes && walk.at < walk.places.n; walk.at++)
        ok = step(&walk);
    if (!ok || !walk.closes) {
        put_null(&call->body, key);
        walk_fini(&walk);
        return ok;
    }
    names = arena_array(call->arena, walk.places.n, sizeof *names);
    for (size_t at = walk.at - 1; at; at = walk.places.at[at].from)
        names[n++] = walk.places.at[at].dataset;
    put_open(&call->body, key, '[');
    put_text(&call->body, NULL, dataset);
    while (n)
        put_text(&call->body, NULL, names[--n]);
    put_text(&call->body, NULL, dataset);
    put_close(&call->body, ']');
    walk_fini(&walk);
    return true;
}

/* ---- The answer ---- */

static bool put_walk(struct call *call, const char *dataset, bool upstream, int64_t depth,
                     bool *cut, struct nx_err *err)
{
    struct walk walk = {.call = call, .err = err, .upstream = upstream, .put = true};
    bool ok = true;
    walk_init(&walk, dataset);
    for (; ok && walk.at < walk.places.n && walk.places.at[walk.at].depth < depth; walk.at++)
        ok = step(&walk);
    *cut = *cut || walk.n_edges >= NX_LINEAGE_EDGES_MAX;
    walk_fini(&walk);
    return ok;
}

static bool read_depth(struct call *call, int64_t *depth, struct nx_err *err)
{
    const char *text = http_query(call->request, "depth");
    *depth = NX_LINEAGE_DEPTH_MAX;
    return !text || (str_parse_int(text, depth) && *depth >= 1 && *depth <= NX_LINEAGE_DEPTH_MAX) ||
           nx_fail(err, NX_E_INVALID, "depth takes 1 to %d, not '%.32s'", NX_LINEAGE_DEPTH_MAX,
                   text);
}

static bool read_direction(struct call *call, bool *up, bool *down, struct nx_err *err)
{
    static const char *const names[] = {"upstream", "downstream", "both"};
    const char *text = http_query(call->request, "direction");
    bool both = !text || str_eq(text, "both");
    *up = both || str_eq(text, names[0]);
    *down = both || str_eq(text, names[1]);
    if (*up || *down)
        return true;
    const char *nearest = str_nearest(text, names, 3);
    return nx_fail(err, NX_E_INVALID,
                   "direction takes upstream, downstream or both, not '%.32s'%s%s%s", text,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

bool handle_lineage(struct call *call, struct nx_err *err)
{
    const char *dataset = call->params[0];
    bool up, down, cut = false;
    int64_t depth;
    if (!read_depth(call, &depth, err) || !read_direction(call, &up, &down, err) ||
        !dataset_must_exist(call, dataset, err))
        return false;
    put_open(&call->body, NULL, '{');
    put_text(&call->body, "dataset", dataset);
    put_open(&call->body, "items", '[');
    bool ok = (!up || put_walk(call, dataset, true, depth, &cut, err)) &&
              (!down || put_walk(call, dataset, false, depth, &cut, err));
    put_close(&call->body, ']');
    put_bool(&call->body, "cut", cut);
    put_close(&call->body, '}');
    return ok;
}
