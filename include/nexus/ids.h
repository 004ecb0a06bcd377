/* Identities that cross modules. Small structs, so that they cannot be mixed up. */
#ifndef NEXUS_IDS_H
#define NEXUS_IDS_H

#include <stdint.h>

/* A run of a DAG; counts from 1 and is never used twice in one home. */
struct nx_run_id {
    uint64_t v;
};

/* A version of a DAG as stored (its row id); counts from 1. */
struct nx_version_id {
    uint64_t v;
};

/* A task instance: a task of a run's graph, by index, and its map index (-1: not mapped). */
struct nx_inst_id {
    struct nx_run_id run;
    uint32_t task;
    int32_t map;
};

#define NX_MAP_NONE (-1)

#endif
