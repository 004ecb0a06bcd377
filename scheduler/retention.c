/* Retention: in idle turns what is over its bounds goes, a little at a time. Rows go in the turn's
 * transaction; files go on a thread of their own, one batch at a time. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/engine_state.h"
#include "scheduler/retention.h"
#include "scheduler/store/retention.h"

#define ROWS_A_TURN 500
#define DOOMED_A_TURN 50 /* runs; each has a few rows beside those counted above */
#define LOOKS_A_TURN 200 /* runs that are looked at */
#define DAGS_A_QUERY 200
#define LOOK_MS 3 /* of a turn */
#define ROUND_EVERY_MS 60000
#define SWEEP_EVERY_MS 3600000
#define NEVER INT64_MAX
#define FREE_PAGES_MIN 256 /* fewer are kept for what comes */
#define PAGES_A_TURN 200

void retention_begin(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    map_init(&r->logs_gone);
    r->doomed = true; /* perhaps some are left of before */
    r->next_round_ms = clock_steady_ms();
    r->next_sweep_ms = r->next_round_ms + ROUND_EVERY_MS;
}

void retention_end(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    if (r->work)
        retaining_work_free(r->work, true);
    r->work = NULL;
    map_fini(&r->logs_gone);
    vec_fini(&r->logs);
    vec_fini(&r->bare);
    vec_fini(&r->buried);
}

void retention_doom(struct engine *engine, struct nx_run_id run)
{
    struct nx_err err;
    if (!store_doom_run(engine->store, run, &err))
        engine_give_up(&err);
    engine->retaining.doomed = true;
    struct core_event event = now_event(EV_RUN_GONE); /* the past of others may be another now */
    event.gone = run;
    engine_step(engine, &event);
}

bool retention_hurry(struct engine *engine)
{
    engine->retaining.next_round_ms = engine->retaining.next_sweep_ms = clock_steady_ms();
    return true;
}

/* ---- Files, on their thread ---- */

/* What has been done is noted. */
static void take_work(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    struct nx_err err;
    if (r->work && retaining_work_done(r->work)) {
        /* What could not be removed is tried again with the next round. */
        r->doomed = r->doomed || r->work->bare.n > 0;
        for (size_t i = 0; i < r->work->bare.n; i++)
            vec_push(&r->buried, r->work->bare.at[i]);
        retaining_work_free(r->work, false);
        r->work = NULL;
    }
    for (size_t i = 0; i < r->buried.n; i++) {
        if (!store_bury_run(engine->store, r->buried.at[i], &err))
            engine_give_up(&err);
    }
    r->buried.n = 0;
}

static bool give_work(struct engine *engine, bool sweep)
{
    struct retaining *r = &engine->retaining;
    if (r->work || (!r->logs.n && !r->bare.n && !sweep))
        return false;
    r->work = retaining_work_new(engine->home, sweep);
    for (size_t i = 0; i < r->logs.n; i++)
        vec_push(&r->work->logs, r->logs.at[i]);
    for (size_t i = 0; i < r->bare.n; i++)
        vec_push(&r->work->bare, r->bare.at[i]);
    r->logs.n = r->bare.n = 0;
    retaining_work_start(r->work);
    return true;
}

/* ---- Doomed runs ---- */

static void clear_doomed(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    uint64_t bare[RETAINING_RUNS_MAX];
    size_t n, n_bare = RETAINING_RUNS_MAX;
    struct nx_err err;
    if (r->work) /* else the same ones would be told again */
        return;
    if (!store_clear_doomed(engine->store, ROWS_A_TURN, &n, bare, &n_bare, &err))
        engine_give_up(&err);
    for (size_t i = 0; i < n_bare; i++)
        vec_push(&r->bare, bare[i]);
    r->doomed = n > 0 && n_bare == 0; /* else when their logs have gone */
}

/* ---- A round: every DAG ---- */

static bool is_bounded(const struct retention *keep)
{
    return keep->runs_ms != RETENTION_EVER || keep->keep != RETENTION_EVER ||
           keep->logs_ms != RETENTION_EVER;
}

/* The next DAG of which something may go. */
static bool take_dag(void *arg, const struct retention_dag *dag)
{
    struct engine *engine = arg;
    struct retaining *r = &engine->retaining;
    struct retention none;
    retention_init(&none);
    retention_parse(dag->text, &r->keep);
    retention_fill(&r->keep, engine->config.retention ? engine->config.retention : &none);
    r->n_seen++;
    r->after_run = 0;
    bool found = is_bounded(&r->keep);
    str_copy(found ? r->dag : r->after, sizeof r->after, dag->dag);
    return !found;
}

static void end_round(struct retaining *r)
{
    if (r->n_doomed)
        log_info("retention: %llu runs were over their bounds and are gone",
                 (unsigned long long)r->n_doomed);
    r->in_round = false;
    r->after[0] = r->dag[0] = 0;
    if (r->next_round_ms == NEVER) /* else another one was asked for since this one began */
        r->next_round_ms = clock_steady_ms() + ROUND_EVERY_MS;
}

/* Logs that have gone are not asked for again: above a mark in memory, which is forgotten now and
 * then, since a run may end after one that is newer. */
static void take_logs(struct retaining *r, uint64_t run)
{
    if (run <= (uint64_t)(uintptr_t)map_get(&r->logs_gone, r->dag))
        return;
    map_set(&r->logs_gone, r->dag, (void *)(uintptr_t)run);
    vec_push(&r->logs, run);
}

struct looking {
    struct engine *engine;
    size_t n_doomed;
    uint64_t doomed[DOOMED_A_TURN];
};

static bool take_run(void *arg, const struct retention_run *run)
{
    struct looking *looking = arg;
    struct engine *engine = looking->engine;
    struct core_run_row row;
    if (core_get_run(engine->core, (struct nx_run_id){run->run}, &row))
        return true;
    if (run->why == RETENTION_LOGS)
        take_logs(&engine->retaining, run->run);
    else
        looking->doomed[looking->n_doomed++] = run->run;
    return looking->n_doomed < DOOMED_A_TURN && engine->retaining.logs.n < RETAINING_RUNS_MAX;
}

static void look_at_dag(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    struct looking looking = {.engine = engine};
    const struct retention_look look = {r->dag, &r->keep, clock_wall_ms(), r->after_run,
                                        LOOKS_A_TURN};
    struct nx_err err;
    bool more;
    if (!store_retention_look(engine->store, &look, take_run, &looking, &r->after_run, &more, &err))
        engine_give_up(&err);
    for (size_t i = 0; i < looking.n_doomed; i++)
        retention_doom(engine, (struct nx_run_id){looking.doomed[i]});
    r->n_doomed += looking.n_doomed;
    if (!more && looking.n_doomed < DOOMED_A_TURN && r->logs.n < RETAINING_RUNS_MAX) {
        str_copy(r->after, sizeof r->after, r->dag);
        r->dag[0] = 0;
    }
}

static void go_on(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    struct nx_err err;
    r->n_seen = 0;
    if (!r->dag[0] &&
        !store_retention_dags(engine->store, r->after, DAGS_A_QUERY, take_dag, engine, &err))
        engine_give_up(&err);
    if (r->dag[0])
        look_at_dag(engine);
    else if (r->n_seen < DAGS_A_QUERY)
        end_round(r);
}

/* ---- The turn ---- */

static bool give_back_pages(struct engine *engine)
{
    struct nx_err err;
    int64_t n;
    if (!store_free_pages(engine->store, &n, &err))
        engine_give_up(&err);
    if (n < FREE_PAGES_MIN)
        return false;
    if (!store_give_back(engine->store, PAGES_A_TURN, &err))
        engine_give_up(&err);
    return true;
}

void retention_turn(struct engine *engine)
{
    struct retaining *r = &engine->retaining;
    int64_t now = clock_steady_ms();
    take_work(engine);
    give_work(engine, false);
    if (!r->in_round && now >= r->next_round_ms) {
        r->in_round = r->doomed = true;
        r->n_doomed = 0;
        r->next_round_ms = NEVER;
    }
    r->busy = true;
    if (r->doomed) {
        clear_doomed(engine);
    } else if (r->in_round) {
        for (int64_t until = clock_mono_ms() + LOOK_MS;
             r->in_round && !r->doomed && !r->logs.n && clock_mono_ms() <= until;)
            go_on(engine);
    } else if (now >= r->next_sweep_ms && give_work(engine, true)) {
        r->next_sweep_ms = now + SWEEP_EVERY_MS;
        map_fini(&r->logs_gone);
        map_init(&r->logs_gone);
    } else if (!give_back_pages(engine)) {
        r->busy = false;
    }
}
