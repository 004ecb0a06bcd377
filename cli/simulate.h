/* nexus simulate: what it is given, and what it says. */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

#include "cli/command.h"
#include "lib/text/zone.h"
#include "scheduler/dag/spec.h"
#include "scheduler/dag/timetable_json.h"
#include "scheduler/forecast/forecast.h"

struct simulate_dag {
    struct spec *spec;
    struct graph *graph;
    struct timetable *timetable;
    uint32_t *lists;      /* see forecast_dag */
    int64_t *duration_ms; /* of each task; negative: not known yet */
};

struct simulate {
    struct cli *cli;
    struct zones *zones;
    const char *zone_name; /* the one of all DAGs, else UTC */
    const struct zone *zone;
    bool offline; /* from files, without a server */
    int64_t from_ms, to_ms, late_after_ms, default_ms;
    VEC(struct simulate_dag) dags;
    VEC(struct forecast_worker) workers;
    VEC(struct forecast_pool) pools;
    size_t n_tasks, n_given, n_measured, n_assumed; /* by where their durations come from */
    size_t n_paused;                                /* DAGs left out */
};

/* simulate_input.c: DAGs, workers, pools and durations, of the server or of files. */
int simulate_read(struct simulate *simulate);
void simulate_fini(struct simulate *simulate);

/* simulate_print.c */
void simulate_print(const struct simulate *simulate, const struct forecast *forecast);
/* "2026-03-29 03:00:00" in the zone. */
char *simulate_time(const struct simulate *simulate, int64_t wall_ms, char *to, size_t size);
json_t *simulate_json(const struct simulate *simulate, const struct forecast *forecast);

#endif
