/* A timetable as JSON text, as the store keeps it beside its version, so that a scheduler that
 * starts with many DAGs need not parse their files:
 *   {"timezone", "start_ms"?, "end_ms"?, "catchup": "false|true|latest|window", "catchup_ms"?,
 *    "jitter_ms", "overlap": enum timetable_overlap,
 *    "entries": [{"cron" | "every_ms" | "at_ms" | "once" | "continuous" |
 *                  "dataset": [names], "all": bool, "key"}]}
 * scheduler/dag/schedule.c writes it. */
#ifndef SCHEDULER_DAG_TIMETABLE_JSON_H
#define SCHEDULER_DAG_TIMETABLE_JSON_H

#include "nexus/error.h"
#include "scheduler/graph/timetable.h"

/* Zones by name, each read once; usable from several threads. They live as long as this. */
struct zones;
struct zones *zones_new(void);
void zones_free(struct zones *zones); /* NULL is fine */
/* *zone NULL: UTC. */
bool zones_get(struct zones *zones, const char *name, const struct zone **zone, struct nx_err *err);

uint64_t timetable_seed(const char *dag);
/* With one hold; its zone is of `zones`. */
bool timetable_read(const char *text, const char *dag, struct zones *zones,
                    struct timetable **timetable, struct nx_err *err);

#endif
