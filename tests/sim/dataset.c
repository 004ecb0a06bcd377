/* Datasets in the simulation: who writes them, which DAGs they start, and what must hold of that.
 * A DAG starts on those of earlier DAGs only, so that no run goes on for ever. */
#include <stdio.h>
#include <string.h>

#include "lib/base/must.h"
#include "tests/sim/sim.h"

static const char *const names[SIM_DATASETS] = {"d0", "d1", "d2", "d3"};
/* Which of them a DAG may write, and which may start it; the last comes from outside alone. */
static const uint32_t written[SIM_DAGS] = {3, 4, 0}, starting[SIM_DAGS] = {8, 11, 15};

static uint32_t index_of(const char *name)
{
    return (uint32_t)(name[1] - '0');
}

uint32_t sim_random_produces(struct sim *sim, uint32_t dag, const char **to)
{
    uint32_t n = 0;
    if (!sim_chance(sim, 1, sim->config.crash_commit ? 30 : 12))
        return 0;
    for (uint32_t i = 0; i < SIM_DATASETS; i++) {
        if ((written[dag] >> i & 1) && sim_chance(sim, 2, 3))
            to[n++] = names[i];
    }
    return n;
}

const char *sim_random_dataset(struct sim *sim)
{
    return names[rng_below(&sim->rng, SIM_DATASETS)];
}

bool sim_is_new_enough(const struct sim *sim, const char *dataset, int64_t since_wall)
{
    struct core_dataset_row row;
    return core_get_dataset(sim->core, dataset, &row) && row.version && row.event_ms >= since_wall;
}

struct timetable *sim_dataset_timetable(struct sim *sim, uint32_t dag)
{
    struct timetable *timetable = timetable_new(1);
    struct timetable_entry *entry = &timetable->entries[0];
    entry->kind = TIMETABLE_DATASET;
    entry->all = sim_chance(sim, 1, 2);
    snprintf(entry->key, sizeof entry->key, "datasets %u", dag);
    for (uint32_t i = 0; i < SIM_DATASETS; i++) {
        if ((starting[dag] >> i & 1) && (!entry->n_datasets || sim_chance(sim, 1, 2)))
            timetable_add_dataset(entry, names[i]);
    }
    timetable->overlap = (enum timetable_overlap)rng_below(&sim->rng, 3);
    return timetable;
}

void sim_plan_emits(struct sim *sim)
{
    uint32_t n = (uint32_t)sim_between(sim, 0, 6);
    for (uint32_t i = 0; i < n; i++)
        sim_post(sim, SIM_EMIT, sim_between(sim, 500, 15000),
                 (uint32_t)rng_below(&sim->rng, SIM_DATASETS), 0, 0, NULL, 0);
    sim->emits_left = sim->emits = n;
}

void sim_emit(struct sim *sim, uint32_t dataset)
{
    struct core_event event = sim_scheduler_event(sim, EV_DATASET);
    must(sim->emits_left > 0);
    sim->emits_left--;
    event.token = 4;
    event.dataset = names[dataset];
    sim_scheduler_step(sim, &event);
}

void sim_load_datasets(const struct sim *sim, struct core *core)
{
    for (uint32_t i = 0; i < SIM_DATASETS; i++) {
        const struct core_dataset_row row = {names[i], sim->store.datasets[i].version,
                                             sim->store.datasets[i].event_ms};
        if (row.version)
            core_load_dataset(core, &row);
    }
}

size_t sim_load_uses(const struct sim *sim, uint32_t dag, struct core_use *uses)
{
    const struct timetable_entry *entry = &sim->timetables[dag]->entries[0];
    for (uint32_t i = 0; i < entry->n_datasets; i++)
        uses[i] = (struct core_use){entry->datasets[i],
                                    sim->store.schedules[dag].used[index_of(entry->datasets[i])]};
    return entry->n_datasets;
}

/* ---- The oracle ---- */

static const struct graph_task *spec_of(const struct sim *sim, struct nx_inst_id id)
{
    return &sim->graphs[sim_run_find((struct sim *)(uintptr_t)sim, id.run)->dag]->tasks[id.task];
}

static bool is_of(const struct core_dataset_event *event, struct nx_inst_id id)
{
    return sim_same(event->inst, id);
}

/* How many events of the turn that attempt made, and whether its success is among its ends. */
static uint32_t count_events(const struct sim *sim, struct nx_inst_id id, uint32_t attempt)
{
    uint32_t n = 0;
    for (size_t i = 0; i < sim->update.dataset_events.n; i++) {
        const struct core_dataset_event *event = &sim->update.dataset_events.at[i];
        n += is_of(event, id) && event->attempt == attempt;
    }
    return n;
}

static bool has_succeeded(const struct sim *sim, struct nx_inst_id id, uint32_t attempt)
{
    for (size_t i = 0; i < sim->update.ends.n; i++) {
        const struct core_end *end = &sim->update.ends.at[i];
        /* of a mapped task any of its instances may have been the last */
        bool last = !attempt && end->inst.run.v == id.run.v && end->inst.task == id.task;
        if ((last || (sim_same(end->inst, id) && end->attempt == attempt)) &&
            end->outcome == NX_AO_SUCCESS)
            return true;
    }
    return false;
}

static void check_event(struct sim *sim, const struct core_dataset_event *event)
{
    struct sim_dataset *dataset = &sim->store.datasets[index_of(event->dataset)];
    sim_count(sim, SEEN_DATASET_EVENT);
    if (event->version != dataset->version + 1)
        sim_fail(sim, "versions of a dataset count up one by one", "%s: %llu after %llu",
                 event->dataset, (unsigned long long)event->version,
                 (unsigned long long)dataset->version);
    dataset->version = event->version;
    dataset->event_ms = event->at_ms;
    dataset->n_outside += event->inst.run.v == 0;
    if (!sim_run_find(sim, event->inst.run))
        return; /* from outside, or of a wait that ended in the turn in which its run was created */
    struct sim_inst *inst = &sim_run_find(sim, event->inst.run)->insts[sim_slot(event->inst)];
    bool mapped = spec_of(sim, event->inst)->map != 0;
    if (!has_succeeded(sim, event->inst, event->attempt) ||
        (!mapped && event->attempt <= inst->last_event_attempt) || mapped != !event->attempt)
        sim_fail(sim, "an event is made by a success, once", "run %llu task %u attempt %u",
                 (unsigned long long)event->inst.run.v, event->inst.task, event->attempt);
}

/* Every success that this commit makes of a task that produces something has its events. */
static void check_successes(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.insts.n; i++) {
        struct nx_inst_id id = sim->update.insts.at[i];
        struct sim_run *run = sim_run_find(sim, id.run);
        struct core_inst_row row;
        if (!run || !core_get_inst(sim->core, id, &row) || !spec_of(sim, id)->n_produces ||
            spec_of(sim, id)->map)
            continue;
        const struct sim_inst *inst = &run->insts[sim_slot(id)];
        bool fresh =
            !inst->present || inst->row.state != NX_TS_SUCCESS || inst->row.attempt != row.attempt;
        if (row.state == NX_TS_SUCCESS && row.reason != NX_WHY_MARKED && fresh &&
            count_events(sim, id, row.attempt) != spec_of(sim, id)->n_produces)
            sim_fail(sim, "each success of a task that produces datasets makes its events",
                     "run %llu task %u: %u", (unsigned long long)id.run.v, id.task,
                     count_events(sim, id, row.attempt));
    }
}

static void note_attempts(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.dataset_events.n; i++) {
        const struct core_dataset_event *event = &sim->update.dataset_events.at[i];
        struct sim_run *run = sim_run_find(sim, event->inst.run);
        if (run)
            run->insts[sim_slot(event->inst)].last_event_attempt = event->attempt;
    }
}

static void check_trigger(struct sim *sim, const struct core_trigger *trigger)
{
    struct core_run_row row;
    uint32_t dag = 0, dataset = index_of(trigger->dataset);
    must(core_get_run(sim->core, trigger->run, &row));
    while (strcmp(sim->graphs[dag]->dag_id, row.dag) != 0)
        must(++dag < SIM_DAGS);
    uint64_t *used = &sim->store.schedules[dag].used[dataset];
    if (row.cause != NX_RC_DATASET || trigger->first != *used + 1 ||
        trigger->last < trigger->first || trigger->last > sim->store.datasets[dataset].version)
        sim_fail(sim, "each event is used once, in its turn, by each schedule",
                 "run %llu of %s: %s %llu to %llu after %llu", (unsigned long long)trigger->run.v,
                 row.dag, trigger->dataset, (unsigned long long)trigger->first,
                 (unsigned long long)trigger->last, (unsigned long long)*used);
    if (trigger->last > trigger->first)
        sim_count(sim, SEEN_DATASET_TOGETHER);
    *used = trigger->last;
}

void oracle_datasets(struct sim *sim)
{
    for (size_t i = 0; i < sim->update.dataset_events.n; i++)
        check_event(sim, &sim->update.dataset_events.at[i]);
    check_successes(sim);
    note_attempts(sim);
    for (size_t i = 0; i < sim->update.triggers.n; i++)
        check_trigger(sim, &sim->update.triggers.at[i]);
}

/* The run was started by a new event of each of its datasets, or (any) of one; it goes on where the
 * one before it ended. */
void oracle_dataset_run(struct sim *sim, const struct sim_run *run)
{
    const struct timetable_entry *entry = &sim->timetables[run->dag]->entries[0];
    size_t n = 0;
    sim_count(sim, SEEN_DATASET_RUN);
    for (size_t i = 0; i < sim->update.triggers.n; i++)
        n += sim->update.triggers.at[i].run.v == run->row.id.v;
    if (entry->all ? n != entry->n_datasets : n == 0)
        sim_fail(sim, "a run that datasets start has its events", "run %llu: %zu of %u",
                 (unsigned long long)run->row.id.v, n, entry->n_datasets);
    const struct sim_schedule *schedule = &sim->store.schedules[run->dag];
    bool follows = run->row.interval_start_ms == schedule->last_dataset_ms;
    if ((schedule->last_dataset_ms && !follows) ||
        run->row.interval_finish_ms < run->row.interval_start_ms)
        sim_fail(sim, "data intervals of runs that datasets start follow each other", "run %llu",
                 (unsigned long long)run->row.id.v);
    sim->store.schedules[run->dag].last_dataset_ms = run->row.interval_finish_ms;
}

static bool is_due(const struct sim *sim, uint32_t dag)
{
    const struct sim_schedule *schedule = &sim->store.schedules[dag];
    const struct timetable *timetable = sim->timetables[dag];
    uint32_t n = 0;
    if (!timetable || timetable->entries[0].kind != TIMETABLE_DATASET || !schedule->key[0] ||
        schedule->paused)
        return false;
    const struct timetable_entry *entry = &timetable->entries[0];
    for (uint32_t i = 0; i < entry->n_datasets; i++) {
        uint32_t dataset = index_of(entry->datasets[i]);
        n += sim->store.datasets[dataset].version > schedule->used[dataset];
    }
    return entry->all ? n == entry->n_datasets : n > 0;
}

bool sim_dataset_due(const struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        if (is_due(sim, i))
            return true;
    }
    return false;
}

void oracle_datasets_end(struct sim *sim)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < SIM_DATASETS; i++)
        n += sim->store.datasets[i].n_outside;
    if (n != sim->emits)
        sim_fail(sim, "each event from outside is kept once", "%u of %u", n, sim->emits);
}
