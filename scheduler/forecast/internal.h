/* A forecast while it is made; for the files of this folder. */
#ifndef SCHEDULER_FORECAST_INTERNAL_H
#define SCHEDULER_FORECAST_INTERNAL_H

#include "lib/base/map.h"
#include "scheduler/core/core.h"
#include "scheduler/forecast/forecast.h"

/* A queued task whose reason was asked for, once, at the end of the turn that queued it. */
struct queued {
    uint8_t why;
    char *text;
};

/* A run that has not ended. */
struct active {
    struct nx_run_id id;
    size_t record; /* index of forecast.runs */
    uint32_t n_tasks, n_asked;
    struct queued *queued; /* of each task */
    bool waits;            /* for max_active_runs */
    char *text;            /* why */
};

/* What a worker runs. */
struct running {
    struct nx_inst_id inst;
    uint32_t lease, attempt;
    int64_t started_ms;
};

struct ideal_worker {
    uint64_t seq, seen;
    VEC(struct running) hands;
    VEC(struct wire_result) results; /* to be reported */
    bool changed;                    /* has something to report */
};

struct finish {
    int64_t at_ms;
    uint64_t order; /* of its start: ends at the same time come in this order */
    struct nx_inst_id inst;
    uint32_t lease, worker;
    enum nx_attempt_outcome outcome;
};

struct making {
    const struct forecast_config *config;
    struct forecast *forecast;
    struct core *core;
    struct core_update update;
    int64_t now_ms;
    bool closed;        /* nothing more is due */
    struct map dags;    /* id -> index + 1 */
    struct map claims;  /* dag and interval -> itself */
    struct map actives; /* run -> struct active */
    size_t n_backlog;   /* instances of unfinished runs */
    size_t n_texts;
    struct ideal_worker *workers;
    VEC(struct finish) finishes; /* heap */
    VEC(struct wire_hand) hands; /* of the report that is made */
    uint64_t n_starts;
    int64_t n_busy;
};

/* ---- forecast.c ---- */
void making_step(struct making *making, struct core_event *event);

/* ---- fleet.c ---- */
void ideal_begin(struct making *making);
void ideal_fini(struct making *making);
/* Takes what the core has ordered; true when there is something to report. */
bool ideal_take_orders(struct making *making);
void ideal_report(struct making *making);
/* Ends the attempts whose time has come. */
void ideal_finish(struct making *making);

/* ---- figures.c ---- */
void figures_run_due(struct making *making, size_t dag, const struct core_due *due,
                     struct nx_run_id run);
void figures_turn(struct making *making);
/* An attempt begins. */
void figures_start(struct making *making, struct nx_inst_id inst);
/* Virtual time goes on to that instant. */
void figures_pass(struct making *making, int64_t to_ms);
void figures_end(struct making *making);

#endif
