/* Trigger rules: what becomes of a task, from the counts of its direct upstream. Pure.
 * The table is that of the semantics page; each rule is decided as early as it can be. */
#ifndef SCHEDULER_GRAPH_RULE_H
#define SCHEDULER_GRAPH_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "nexus/states.h"

/* How the upstream of a task stands; removed instances are not counted at all. */
struct rule_counts {
    uint32_t n;       /* direct upstream tasks */
    uint32_t success; /* ended in success */
    uint32_t failed;  /* failed or upstream_failed */
    uint32_t skipped;
    bool self_failed; /* at least one of the failed did so itself: it is not upstream_failed */
};

enum rule_verdict { RULE_WAIT, RULE_RUN, RULE_SKIP, RULE_UPSTREAM_FAILED };

enum rule_verdict rule_decide(enum nx_trigger_rule rule, const struct rule_counts *counts);

#endif
