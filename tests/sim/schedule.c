/* Timetables in the simulation: which runs are due, and what must hold of them. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "tests/sim/sim.h"

/* Few fires, whatever the clock does: the timetable ends 20 seconds after the start. */
struct timetable *sim_random_timetable(struct sim *sim, uint32_t dag)
{
    int64_t now = sim->now + sim->wall_offset;
    bool many = sim->config.crash_commit != 0; /* runs of one seed: most without a timetable */
    if (sim_chance(sim, 1, many ? 6 : 3))
        return sim_dataset_timetable(sim, dag);
    if (sim_chance(sim, many ? 5 : 2, 6))
        return NULL;
    struct timetable *timetable = timetable_new(1);
    struct timetable_entry *entry = &timetable->entries[0];
    timetable->catchup = (enum timetable_catchup)rng_below(&sim->rng, 4);
    bool start = sim_chance(sim, 2, 3) || timetable->catchup == TIMETABLE_CATCHUP_TRUE;
    entry->kind = TIMETABLE_EVERY;
    entry->every_ms = sim_between(sim, 5, 12) * 1000;
    if (sim_chance(sim, 1, 10))
        entry->kind = TIMETABLE_ONCE;
    if (sim_chance(sim, 1, 10)) {
        entry->kind = TIMETABLE_AT;
        entry->at_ms = now + sim_between(sim, -5000, 20000);
    }
    snprintf(entry->key, sizeof entry->key, "entry %u", dag);
    timetable->seed = dag;
    if (start)
        timetable->start_ms = now + sim_between(sim, -20000, 5000);
    timetable->end_ms = now + 20000;
    timetable->jitter_ms = sim_chance(sim, 1, 4) ? 3000 : 0;
    timetable->catchup_ms = 10000;
    timetable->overlap = (enum timetable_overlap)rng_below(&sim->rng, 3);
    return timetable;
}

void sim_load_timetables(struct sim *sim, struct core *core)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        const struct sim_schedule *schedule = &sim->store.schedules[i];
        struct core_use uses[SIM_DATASETS];
        struct core_mark mark = {
            .key = schedule->key,
            .watermark_ms = schedule->watermark_ms,
            .from_ms = schedule->from_ms,
            .uses = uses,
            .n_uses = sim->timetables[i] ? sim_load_uses(sim, i, uses) : 0,
        };
        if (sim->timetables[i])
            core_load_timetable(core, sim->graphs[i]->dag_id, sim->timetables[i], schedule->paused,
                                &mark, schedule->key[0] != 0);
    }
}

/* ---- What the engine does ---- */

static uint32_t dag_of(const struct sim *sim, const char *id)
{
    uint32_t i = 0;
    while (strcmp(sim->graphs[i]->dag_id, id) != 0)
        must(++i < SIM_DAGS);
    return i;
}

static bool same_interval(const struct core_run_row *row, const struct core_due *due)
{
    return row->cause == NX_RC_SCHEDULE && row->interval_start_ms == due->start_ms &&
           row->interval_finish_ms == due->finish_ms;
}

static bool is_there(const struct sim *sim, const struct core_due *due)
{
    uint32_t dag = dag_of(sim, due->dag);
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        if (run->dag == dag && same_interval(&run->row, due))
            return true;
    }
    return false;
}

bool sim_answer_dues(struct sim *sim)
{
    VEC(struct core_due) dues = {0};
    for (size_t i = 0; i < sim->update.dues.n; i++)
        vec_push(&dues, sim->update.dues.at[i]);
    sim->update.dues.n = 0;
    for (size_t i = 0; i < dues.n; i++) {
        struct core_event event = sim_scheduler_event(sim, EV_RUN_CREATE);
        uint32_t dag = dag_of(sim, dues.at[i].dag);
        if (dues.at[i].backfill) {
            sim_answer_backfill(sim, &dues.at[i]);
            continue;
        }
        sim_count(sim, SEEN_FIRE);
        if (!dues.at[i].by_dataset && is_there(sim, &dues.at[i]))
            sim_fail(sim, "a data interval is due once", "DAG %u at %lld", dag,
                     (long long)dues.at[i].start_ms);
        event.token = 3;
        event.create.dag = dues.at[i].dag;
        event.create.cause = dues.at[i].by_dataset ? NX_RC_DATASET : NX_RC_SCHEDULE;
        event.create.entry = dues.at[i].entry;
        event.create.interval_start_ms = dues.at[i].start_ms;
        event.create.interval_finish_ms = dues.at[i].finish_ms;
        event.create.claims = !dues.at[i].by_dataset;
        sim_scheduler_step(sim, &event);
        if (sim->update.replies.at[sim->update.replies.n - 1].err.code != NX_OK)
            sim_count(sim, dues.at[i].by_dataset ? SEEN_DATASET_REFUSED : SEEN_FIRE_SKIPPED);
    }
    bool any = dues.n > 0;
    vec_fini(&dues);
    return any;
}

void sim_pause(struct sim *sim, uint32_t dag, bool on)
{
    struct core_event event = sim_scheduler_event(sim, EV_PAUSE);
    event.pause.dag = sim->graphs[dag]->dag_id;
    event.pause.on = on;
    sim->paused[dag] = on;
    sim->pause_changed = true;
    sim_count(sim, FAULT_PAUSED);
    sim_scheduler_step(sim, &event);
}

void sim_commit_schedules(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        struct sim_schedule *schedule = &sim->store.schedules[i];
        struct core_mark mark;
        schedule->paused = sim->paused[i];
        if (!schedule->paused && schedule->seen_wall < sim->now + sim->wall_offset)
            schedule->seen_wall = sim->now + sim->wall_offset;
        if (!core_get_mark(sim->core, sim->graphs[i]->dag_id, 0, &mark))
            continue;
        if (schedule->key[0] && mark.watermark_ms < schedule->watermark_ms)
            sim_fail(sim, "a watermark never moves back", "DAG %u: %lld after %lld", i,
                     (long long)mark.watermark_ms, (long long)schedule->watermark_ms);
        snprintf(schedule->key, sizeof schedule->key, "%s", mark.key);
        schedule->watermark_ms = mark.watermark_ms;
        schedule->from_ms = mark.from_ms;
    }
}

/* ---- The oracle ---- */

/* The scheduled runs of a DAG, in the order in which they were made. */
void oracle_schedule_run(struct sim *sim, const struct sim_run *run)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *other = sim->store.runs.at[i];
        if (other == run || other->dag != run->dag || other->row.cause != NX_RC_SCHEDULE)
            continue;
        if (other->row.interval_finish_ms > run->row.interval_start_ms)
            sim_fail(sim, "data intervals of one schedule do not overlap", "runs %llu and %llu",
                     (unsigned long long)other->row.id.v, (unsigned long long)run->row.id.v);
    }
}

static bool has_run(const struct sim *sim, uint32_t dag, const struct timetable_fire *fire)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        if (run->dag == dag && run->row.cause == NX_RC_SCHEDULE &&
            run->row.interval_start_ms == fire->start_ms &&
            run->row.interval_finish_ms == fire->finish_ms)
            return true;
    }
    return false;
}

/* With catchup: true everything since start has run, whatever happened to scheduler and clock. */
static void check_complete(struct sim *sim, uint32_t dag, const struct timetable *timetable)
{
    const struct sim_schedule *schedule = &sim->store.schedules[dag];
    struct timetable_fire fire = {.fire_ms = TIMETABLE_NEVER};
    if (timetable->catchup != TIMETABLE_CATCHUP_TRUE ||
        timetable->overlap == TIMETABLE_OVERLAP_SKIP || timetable->start_ms == TIMETABLE_NEVER ||
        schedule->paused)
        return;
    while (timetable_next(timetable, 0, fire.fire_ms, &fire) &&
           fire.due_ms <= schedule->seen_wall) {
        if (!has_run(sim, dag, &fire)) {
            sim_fail(sim, "catchup: true leaves nothing out", "DAG %u: no run of %lld", dag,
                     (long long)fire.start_ms);
            return;
        }
    }
}

void oracle_schedules(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        if (sim->timetables[i])
            check_complete(sim, i, sim->timetables[i]);
    }
}
