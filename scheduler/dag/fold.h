/* Groups of a graph as one node each. A way that leaves a group and comes back to it would be a
 * cycle: such a group stays as it is. */
#ifndef SCHEDULER_DAG_FOLD_H
#define SCHEDULER_DAG_FOLD_H

#include "scheduler/dag/layout.h"

#define FOLD_NONE UINT32_MAX

struct folded {
    struct layout_task *tasks; /* n nodes */
    uint32_t n;
    uint32_t *node_of; /* of each task */
    uint32_t *task_of; /* of each node: its task, or of a folded group's the first */
    bool *is_group;    /* of each node */
};

/* group_of: of each of the n tasks, 0 to n_groups - 1 or FOLD_NONE; wanted: which groups are to be
 * folded. Everything is in the arena. */
void fold_groups(const struct layout_task *tasks, uint32_t n, const uint32_t *group_of,
                 const bool *wanted, uint32_t n_groups, struct arena *arena, struct folded *folded);

#endif
