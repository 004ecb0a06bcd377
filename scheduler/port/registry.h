/* The registry: DAG versions in memory, by id and by DAG. The loop's alone. A version is parsed
 * when it is first needed, from the source that the store has. */
#ifndef SCHEDULER_PORT_REGISTRY_H
#define SCHEDULER_PORT_REGISTRY_H

#include "lib/base/map.h"
#include "scheduler/dag/spec.h"
#include "scheduler/graph/graph.h"
#include "scheduler/store/store.h"

struct registry_version {
    uint64_t id;
    int64_t number; /* of its DAG, from 1: see registry_number */
    char *dag, *file;
    struct spec *spec;           /* NULL: not parsed yet */
    struct graph *graph;         /* likewise */
    struct timetable *timetable; /* of a current one; NULL: none */
    bool in_core;                /* the core was told that it is current */
};

struct registry {
    struct store *store;
    struct map versions; /* id -> version */
    struct map current;  /* DAG id -> version */
};

void registry_init(struct registry *registry, struct store *store);
void registry_fini(struct registry *registry);

/* A version becomes known; takes spec and graph (both may be NULL). */
struct registry_version *registry_add(struct registry *registry, uint64_t id, const char *dag,
                                      const char *file, struct spec *spec, struct graph *graph);
void registry_make_current(struct registry *registry, struct registry_version *version);
void registry_remove_current(struct registry *registry, const char *dag);

/* The current version of a DAG, parsed; NX_E_NOT_FOUND with the nearest id. */
struct registry_version *registry_current(struct registry *registry, const char *dag,
                                          struct nx_err *err);
/* What users see as the version: its number among those of its DAG; 0 when it cannot be read. */
int64_t registry_number(struct registry *registry, struct registry_version *version);
/* A version by id, parsed; NX_E_INTERNAL when its stored source cannot be read any more. */
struct registry_version *registry_get(struct registry *registry, uint64_t id, struct nx_err *err);

#endif
