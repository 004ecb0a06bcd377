/* A DAG as the core sees it: immutable index arrays, shared by all runs of that version. Pure.
 *
 * A task is an index 0..n_tasks-1 in the order of the file. Edges are two packed arrays: up[] and
 * down[] (CSR). Texts (ids, pools, queues) live in the graph's arena. */
#ifndef SCHEDULER_GRAPH_GRAPH_H
#define SCHEDULER_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "nexus/error.h"
#include "nexus/states.h"

enum graph_flag {
    GRAPH_IF = 1,        /* has an `if`: ask before it runs */
    GRAPH_FINALLY = 2,   /* runs when everything else of the run is final */
    GRAPH_EXCLUSIVE = 4, /* two attempts never overlap */
    GRAPH_SCRIPT = 8,    /* `run`, not `uses`: needs no operator of the worker */
    GRAPH_REFS = 16,     /* its expressions name upstream outputs, which the lease must carry */
    GRAPH_LEAF = 32,     /* computed: decides the run's outcome (nothing but finally needs it) */
    GRAPH_BACKOFF = 64,  /* retry delays double */
    GRAPH_ASK = 128,     /* what its wait is for has to be evaluated: ask before it waits */
    /* GRAPH_WAIT_RUN: */
    GRAPH_DETACHED = 256,     /* it does not wait for the run's end */
    GRAPH_LEAVES = 512,       /* it does not cancel the run when it is stopped */
    GRAPH_ANY_END = 1024,     /* a run that fails does not fail it */
    GRAPH_TOLD = 2048,        /* somebody is told what becomes of it: see core_update.changes */
    GRAPH_IF_EACH = 0x1000,   /* its `if` names the item: asked of every mapped instance */
    GRAPH_UP_MAPPED = 0x2000, /* computed: it needs a mapped task */
    GRAPH_PAST = 0x4000       /* runs when it has succeeded in the run before: core/past.c */
};

/* What a task waits for without a slot; GRAPH_WAIT_NONE: it is run by a worker. */
enum graph_wait {
    GRAPH_WAIT_NONE,
    GRAPH_WAIT_FOR,     /* a duration */
    GRAPH_WAIT_UNTIL,   /* an instant of the wall clock */
    GRAPH_WAIT_PERSON,  /* an approval */
    GRAPH_WAIT_POKE,    /* something that a worker looks for now and then */
    GRAPH_WAIT_RUN,     /* a run of another DAG, which it starts */
    GRAPH_WAIT_DATASET, /* a version of a dataset that is not older than it asks for */
    GRAPH_WAIT_CHOICE   /* nothing: it ends as it begins, and may leave tasks below it out */
};

/* Which attempts `retry_on` retries: any of these exit statuses or error codes; both empty: all. */
struct graph_retry_on {
    size_t n_exit_codes, n_codes;
    const int *exit_codes;
    const enum nx_code *codes;
};

/* What a worker must offer, and the pool it counts against. Tasks with equal needs share one. */
struct graph_class {
    const char *queue; /* "default" unless said */
    const char *pool;  /* NULL: none */
    uint32_t pool_slots;
    uint32_t cpus_milli; /* 0: unsaid */
    uint32_t gpus;
    int64_t memory_bytes;    /* 0: no limit */
    const char *concurrency; /* key of which only so many are held at once; NULL: none */
    uint32_t concurrency_limit;
    bool script;
};

/* Tasks that are mapped over one list: the lone task that has the `for_each`, or all of a group. */
struct graph_map {
    uint32_t first, n;     /* members: graph->map_tasks, by index of the task */
    uint32_t n_finally;    /* of them: all or none */
    uint32_t max_parallel; /* indexes in progress at once; 0: no limit */
    uint32_t rank;         /* the most urgent of its members' */
};

struct graph_task {
    const char *id;
    uint32_t up_first, n_up;
    uint32_t down_first, n_down;
    uint32_t path_length; /* tasks on the longest path from here to an end, itself included */
    uint32_t class_index;
    uint32_t map;    /* 1 + index of its graph_map; 0: not mapped */
    uint32_t member; /* mapped: its place in graph->map_tasks */
    int32_t priority;
    uint16_t flags; /* enum graph_flag */
    uint16_t retries;
    uint8_t rule;                          /* enum nx_trigger_rule */
    uint8_t jitter_percent;                /* of a retry delay */
    uint8_t wait;                          /* enum graph_wait */
    const struct graph_retry_on *retry_on; /* NULL: every failure that is not permanent */
    int64_t retry_delay_ms, max_retry_delay_ms;
    int64_t timeout_ms;       /* of an attempt, or of a wait; 0: none */
    int64_t queue_timeout_ms; /* 0: none */
    const char **produces;    /* names of datasets that its success is a new version of */
    uint32_t n_produces;
    int64_t every_ms;    /* GRAPH_WAIT_POKE: between two looks */
    const char *dataset; /* GRAPH_WAIT_DATASET: its name */
};

struct graph {
    struct arena arena;
    const char *dag_id;
    uint32_t n_tasks, n_edges, n_classes;
    uint32_t n_finally;
    uint32_t n_maps, n_map_tasks;
    uint32_t max_active_runs; /* 0: no limit */
    int64_t timeout_ms;       /* of a run; 0: none */
    int64_t deadline_ms;      /* after which it is late; 0: never. Set by who made the graph */
    uint32_t n_past;          /* tasks with GRAPH_PAST */
    struct graph_task *tasks;
    uint32_t *up, *down;
    uint32_t *rank; /* of a task in the order of urgency: priority, path length, index; 0 first */
    uint32_t *by_rank; /* the task at each rank */
    struct graph_map *maps;
    uint32_t *map_tasks;
    struct graph_class *classes;
    uint32_t refs; /* how many runs and owners hold it; see graph_hold */
};

/* What graph_new is given for a task; texts and arrays are copied. */
struct graph_task_def {
    const char *id;
    enum nx_trigger_rule rule;
    unsigned flags; /* GRAPH_LEAF is computed */
    const uint32_t *needs;
    uint32_t n_needs;
    struct graph_class needs_class;
    int32_t priority;
    uint16_t retries;
    uint8_t jitter_percent;
    enum graph_wait wait;
    const struct graph_retry_on *retry_on;
    int64_t retry_delay_ms, max_retry_delay_ms, timeout_ms, queue_timeout_ms, every_ms;
    uint32_t map; /* 1 + a number that its group shares; 0: not mapped. The numbers have no gaps. */
    uint32_t max_parallel; /* of the map: the same for all of the group */
    const char *const *produces;
    uint32_t n_produces;
    const char *dataset; /* GRAPH_WAIT_DATASET */
};

/* Makes a graph with one hold. NX_E_INVALID on a cycle, whose tasks are named in order
 * ("a -> b -> a"), on a self or doubled need, on a finally task that an ordinary one needs, or when
 * a path leaves a group with max_parallel and comes back to it, or a group has ordinary and finally
 * tasks. */
bool graph_new(const char *dag_id, const struct graph_task_def *tasks, uint32_t n_tasks,
               uint32_t max_active_runs, int64_t timeout_ms, struct graph **graph,
               struct nx_err *err);
struct graph *graph_hold(struct graph *graph);
void graph_release(struct graph *graph); /* frees with the last hold; NULL is fine */

/* The task with that id, or -1. */
int64_t graph_find(const struct graph *graph, const char *id);

static inline const uint32_t *graph_up(const struct graph *graph, uint32_t task)
{
    return graph->up + graph->tasks[task].up_first;
}

/* Whether both are mapped over the same list: index i of one goes with index i of the other. */
static inline bool graph_mapped_together(const struct graph *graph, uint32_t a, uint32_t b)
{
    return graph->tasks[a].map && graph->tasks[a].map == graph->tasks[b].map;
}

/* Which of the tasks directly below it a task leaves out that has chosen those: the ones that are
 * neither chosen nor below a chosen one. *left_out has room for n_down; how many is returned. */
uint32_t graph_left_out(const struct graph *graph, uint32_t task, const uint32_t *chosen,
                        uint32_t n_chosen, uint32_t *left_out);

static inline const uint32_t *graph_down(const struct graph *graph, uint32_t task)
{
    return graph->down + graph->tasks[task].down_first;
}

#endif
