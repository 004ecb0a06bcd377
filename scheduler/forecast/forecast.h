/* A forecast: what the schedules of DAGs will do to a fleet, before it happens. The real core runs
 * on virtual time with workers that start what they are given at once and end it after a duration
 * that is known beforehand. Pure: no clock, no I/O; it disturbs nobody.
 *
 * Every question is answered yes, every attempt succeeds unless its duration is longer than its
 * timeout, nothing is under way at the beginning, and nobody runs anything by hand. */
#ifndef SCHEDULER_FORECAST_FORECAST_H
#define SCHEDULER_FORECAST_FORECAST_H

#include "lib/base/vec.h"
#include "nexus/error.h"
#include "nexus/limits.h"
#include "nexus/states.h"
#include "scheduler/graph/graph.h"
#include "scheduler/graph/timetable.h"

#define FORECAST_SPANS 96 /* parts of the time for which the slots taken are told */
#define FORECAST_WAITS 20 /* so many of the longest waits are told */
#define FORECAST_RUN_ITSELF UINT32_MAX

struct forecast_worker {
    const char *id, *queues; /* queues: separated by commas */
    uint32_t slots;
};

struct forecast_pool {
    const char *name;
    int64_t slots;
};

#define FORECAST_LIST_UNKNOWN UINT32_MAX

struct forecast_dag {
    struct graph *graph;         /* its dag_id names it */
    struct timetable *timetable; /* NULL: it never runs */
    const int64_t *duration_ms;  /* of an attempt of each task */
    const uint32_t *lists;       /* items of each of the graph's maps; NULL: none is known */
    bool is_new;                 /* not known to a scheduler yet: @once fires at the beginning */
};

struct forecast_config {
    int64_t from_ms, to_ms; /* runs that are due from <= t < to; they are followed to their end */
    const struct forecast_worker *workers;
    size_t n_workers;
    const struct forecast_pool *pools;
    size_t n_pools;
    const struct forecast_dag *dags;
    size_t n_dags;
    int64_t late_after_ms; /* a run that ends later than this after it was due is late; negative:
                              one that ends when its DAG is due again */
    const char *catalog;   /* hash of the operators' catalog, as workers and core both say it */
    /* Called now and then; false ends the forecast. NULL: none. */
    bool (*progress)(void *arg, int64_t at_ms, size_t n_runs);
    void *arg;
};

enum forecast_state {
    FORECAST_SUCCESS,
    FORECAST_FAILED,
    FORECAST_CANCELLED,
    FORECAST_SKIPPED,   /* never made: max_active_runs is reached, overlap: skip */
    FORECAST_UNFINISHED /* at the end of the forecast */
};

struct forecast_run {
    size_t dag;
    uint64_t number; /* among those that are made, from 1, as texts name it; 0: it is skipped */
    int64_t due_ms, interval_start_ms, interval_finish_ms;
    int64_t started_ms, finished_ms; /* of its first and last attempt; 0: not */
    enum forecast_state state;
    int64_t limit_ms; /* it is late when it ends after this; INT64_MAX: never */
    bool late;
    int64_t wait_ms;     /* the longest wait of one of its tasks, or of the run itself */
    enum nx_reason why;  /* of that wait; NONE: it never waited */
    uint32_t n_attempts; /* that began */
};

struct forecast_wait {
    size_t run;    /* index of runs */
    uint32_t task; /* or FORECAST_RUN_ITSELF: for max_active_runs */
    int64_t from_ms, ms;
    enum nx_reason why;
    char *text; /* as `nexus explain` would have said at its beginning; NULL: not kept */
};

struct forecast_peak {
    int64_t n, at_ms; /* the most that was taken at a time, and when first */
};

struct forecast_pool_use {
    const char *name; /* of the config or of a task; the forecast's own */
    int64_t slots;    /* negative: it does not exist */
    struct forecast_peak peak;
};

enum forecast_end {
    FORECAST_COMPLETE,
    FORECAST_CUT_RUNS,     /* NX_FORECAST_RUNS_MAX */
    FORECAST_CUT_ATTEMPTS, /* NX_FORECAST_ATTEMPTS_MAX */
    FORECAST_CUT_BACKLOG,  /* NX_FORECAST_BACKLOG_MAX: far more work than the fleet can do */
    FORECAST_CUT_TIME,     /* what was due in time is not done after as much time again */
    FORECAST_STUCK,        /* what is left waits for something that never comes */
    FORECAST_STOPPED       /* by progress */
};

struct forecast {
    VEC(struct forecast_run) runs;   /* in the order in which they are due */
    VEC(struct forecast_wait) waits; /* the longest first */
    VEC(struct forecast_pool_use) pools;
    int64_t slots; /* of all workers */
    struct forecast_peak peak;
    int64_t busy_ms;                 /* slots taken, times time, from from_ms to to_ms */
    int64_t span_ms[FORECAST_SPANS]; /* the same of each part */
    size_t n_attempts, n_turns;
    bool assumed_if;   /* a condition was assumed to hold */
    bool assumed_list; /* a list was assumed to have one item */
    enum forecast_end end;
    int64_t reached_ms;
};

/* Fails only for a config that means nothing (NX_E_INVALID). */
bool forecast_make(const struct forecast_config *config, struct forecast *forecast,
                   struct nx_err *err);
void forecast_fini(struct forecast *forecast);
const char *forecast_state_name(enum forecast_state state);
const char *forecast_end_name(enum forecast_end end);

#endif
