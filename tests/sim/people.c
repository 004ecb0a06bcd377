/* What people do to runs: clear, retry, mark, and look at what that would do; and to pools. */
#include <string.h>

#include "lib/base/must.h"
#include "tests/sim/sim.h"

void sim_plan_edits(struct sim *sim)
{
    uint32_t n = (uint32_t)sim_between(sim, 0, 2 * sim->runs_wanted);
    for (uint32_t i = 0; i < n; i++)
        sim_post(sim, SIM_EDIT, sim_between(sim, 500, 25000),
                 (uint32_t)rng_below(&sim->rng, 1u << 30),
                 (uint64_t)sim_between(sim, 1, sim->runs_wanted), 0, NULL, 0);
    sim->edits_left = n;
}

void sim_edit_soon(struct sim *sim, struct nx_run_id run, int64_t within_ms)
{
    uint32_t bits = (uint32_t)rng_below(&sim->rng, 1u << 28) | 1u << 28 | 1u << 8;
    sim_post(sim, SIM_EDIT, sim_between(sim, 1, within_ms), bits, run.v, 0, NULL, 0);
    sim->edits_left++;
}

/* An ended run is not in the core: its rows are, for this turn. */
void sim_load_ended(struct sim *sim, const struct sim_run *run)
{
    struct core_run_row row;
    if (!nx_run_state_final(run->row.state) || core_get_run(sim->core, run->row.id, &row))
        return;
    core_load_version(sim->core, SIM_VERSION_BASE + run->dag, sim->graphs[run->dag], false);
    core_load_run(sim->core, &run->row);
    sim_load_insts(sim->core, sim, run);
    core_load_run_done(sim->core, run->row.id);
    oracle_loaded(sim);
}

/* A task in a state that chance alone would seldom meet, or `otherwise`. */
static uint32_t rare_one(const struct sim *sim, const struct sim_run *run, uint32_t otherwise)
{
    for (uint32_t t = 0; t < sim->graphs[run->dag]->n_tasks; t++) {
        struct core_inst_row row;
        struct nx_inst_id id = {run->row.id, t, NX_MAP_NONE};
        bool exclusive = (sim->graphs[run->dag]->tasks[t].flags & GRAPH_EXCLUSIVE) != 0;
        if (core_get_inst(sim->core, id, &row) &&
            (row.state == NX_TS_DECIDING || row.state == NX_TS_RETRYING ||
             (row.state == NX_TS_RUNNING && exclusive)))
            return t;
    }
    return otherwise;
}

static void note(struct sim *sim, bool ended, bool dry)
{
    sim_count(sim, dry ? SEEN_EDIT_DRY : ended ? SEEN_EDIT_ENDED : SEEN_EDIT_RUNNING);
    for (size_t i = 0; !dry && i < sim->update.edited.n; i++) {
        const struct core_edited *edited = &sim->update.edited.at[i];
        struct core_inst_row row;
        must(core_get_inst(sim->core, edited->inst, &row));
        vec_push(&sim->edited, edited->inst);
        if (row.state == NX_TS_STOPPING)
            sim_count(sim,
                      row.reason == NX_WHY_CLEARED ? SEEN_CLEARED_RUNNING : SEEN_MARKED_RUNNING);
    }
}

/* The task, or one of the items that it may be mapped over. */
static struct core_target random_target(struct sim *sim, const struct sim_run *run, uint32_t task)
{
    struct core_target target = {task, NX_MAP_NONE};
    if (sim->graphs[run->dag]->tasks[task].map && sim_chance(sim, 1, 2))
        target.map = (int32_t)sim_between(sim, 0, SIM_MAP_MAX - 1);
    return target;
}

void sim_edit(struct sim *sim, const struct sim_event *from)
{
    struct sim_run *run = sim_run_find(sim, (struct nx_run_id){from->b});
    struct core_event event = sim_scheduler_event(sim, EV_RUN_EDIT);
    struct core_run_row before = {0};
    struct core_target tasks[3];
    uint32_t bits = from->a;
    must(sim->edits_left > 0);
    sim->edits_left--;
    if (!run || run->deleted)
        return;
    uint32_t n_tasks = sim->graphs[run->dag]->n_tasks;
    sim_load_ended(sim, run);
    event.token = 2;
    event.edit.run.v = from->b;
    event.edit.what = (enum core_edit)(bits & 3);
    event.edit.upstream = (bits >> 2 & 7) == 0;
    event.edit.downstream = (bits >> 5 & 1) == 0;
    event.edit.dry_run = (bits >> 6 & 3) == 0;
    event.edit.tasks = tasks;
    bool mark = event.edit.what == CORE_MARK_SUCCESS || event.edit.what == CORE_MARK_FAILED;
    event.edit.n_tasks = mark ? 1 + (bits >> 8 & 1) : (bits >> 8) % 4;
    for (uint32_t i = 0; i < event.edit.n_tasks; i++)
        tasks[i] = random_target(sim, run, (bits >> (10 + 6 * i)) % n_tasks);
    if (!core_get_run(sim->core, event.edit.run, &before))
        return; /* a run that is lost with the turn in which it was created */
    if (event.edit.n_tasks && (bits >> 28 & 1))
        tasks[0] = (struct core_target){rare_one(sim, run, tasks[0].task), NX_MAP_NONE};
    uint64_t digest = core_digest(sim->core);
    size_t n_replies = sim->update.replies.n;
    sim->update.edited.n = 0;
    sim_scheduler_step(sim, &event);
    must(sim->update.replies.n == n_replies + 1);
    bool done = sim->update.replies.at[n_replies].err.code == NX_OK;
    if (!done)
        sim_count(sim, SEEN_EDIT_REFUSED);
    else
        note(sim, nx_run_state_final(before.state), event.edit.dry_run);
    if ((!done || event.edit.dry_run) && core_digest(sim->core) != digest)
        sim_fail(sim, "an edit that is refused or only looks changes nothing", "run %llu",
                 (unsigned long long)from->b);
}

void sim_set_pool(struct sim *sim, uint32_t pool, int64_t slots)
{
    static const char *const names[SIM_POOLS] = {"pool0", "pool1"};
    struct core_event event = sim_scheduler_event(sim, EV_POOL);
    event.pool.name = names[pool];
    event.pool.slots = slots;
    sim->pool_slots[pool] = slots;
    sim->pause_changed = true;
    sim_count(sim, FAULT_POOL);
    sim_scheduler_step(sim, &event);
}
