/* Edits of runs so large that their rows are not written in one turn.
 *
 * The run is queued with the first commit, which also keeps what is to be done (an edit_rest); from
 * then on it is promised. Some of it is done in each turn, and the run waits for its beginning only
 * when all is. After a crash it is done from the start again: doing it twice comes to the same.
 * Meanwhile nothing of the run is decided, and rows that are absent mean what they meant when it
 * had ended. */
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

static void dirty(struct core *core, struct run *run)
{
    for (size_t i = 0; i < core->update->edits.n; i++) {
        if (core->update->edits.at[i].v == run->id.v)
            return;
    }
    vec_push(&core->update->edits, run->id);
}

static void hold(struct core *core, struct run *run, const struct core_edit_row *row)
{
    struct edit_rest *rest = mem_alloc(sizeof *rest);
    must(!run->rest && row->n == run->version->graph->n_tasks);
    rest->row = *row;
    rest->row.picks = rest->picks = mem_dup(row->picks, row->n);
    run->rest = rest;
    vec_push(&core->editing, run->slot);
}

void slice_begin(struct core *core, struct run *run, const struct core_edit_row *row)
{
    hold(core, run, row);
    run->rest->fresh = true;
    dirty(core, run);
}

void slice_free(struct run *run)
{
    if (run->rest)
        mem_free(run->rest->picks);
    mem_free(run->rest);
    run->rest = NULL;
}

void slice_drop(struct core *core, struct run *run)
{
    if (!run->rest)
        return;
    slice_free(run);
    run_count(run);
    dirty(core, run);
}

/* Up to n of what is to be done; how many were. */
static uint32_t work(struct core *core, struct run *run, uint32_t n)
{
    struct edit_rest *rest = run->rest;
    uint32_t done = 0;
    for (; done < n && rest->next < rest->row.n; rest->next++) {
        uint8_t how = rest->picks[rest->next];
        if (how)
            done += edit_one(core, run, rest->next, how, rest->row.what);
    }
    core->spread.n = core->spread_first = 0; /* nobody is told: all is counted at the end */
    return done;
}

void slice_turn(struct core *core)
{
    uint32_t most = core->config.edit_slice;
    must(core->spread.n == core->spread_first);
    for (size_t i = 0; i < core->editing.n;) {
        struct run *run = core->runs.at[core->editing.at[i]];
        if (run && run->rest && !run->rest->fresh)
            core->n_sliced += work(core, run, most > core->n_sliced ? most - core->n_sliced : 0);
        if (run && run->rest && run->rest->next < run->rest->row.n) {
            i++;
            continue;
        }
        core->editing.at[i] = core->editing.at[core->editing.n - 1];
        core->editing.n--;
        if (!run || !run->rest)
            continue; /* it was cancelled meanwhile */
        slice_drop(core, run);
        run_wait(core, run);
    }
}

void slice_turn_done(struct core *core, const struct core_update *update)
{
    for (size_t i = 0; i < update->edits.n; i++) {
        struct run *run = run_find(core, update->edits.at[i]);
        if (run && run->rest)
            run->rest->fresh = false;
    }
}

bool core_get_edit(const struct core *core, struct nx_run_id id, struct core_edit_row *row)
{
    const struct run *run = run_find(core, id);
    if (!run || !run->rest)
        return false;
    *row = run->rest->row;
    return true;
}

void core_load_edit(struct core *core, const struct core_edit_row *row)
{
    struct run *run = run_find(core, row->run);
    must(run && run->state == NX_RS_QUEUED);
    hold(core, run, row);
    run_leave(run);
}
