/* Deadlines: a run that has not ended by its own is late. That is said once and changes nothing
 * else of it. A run that is opened again before it was late has the whole time again. */
#include "scheduler/core/state.h"

void late_plan(struct core *core, struct run *run)
{
    int64_t most = run->version->graph->deadline_ms, left = run->deadline_ms - core->wall_ms;
    if (!run->deadline_ms || run->late_ms)
        return;
    if (left < 0)
        left = 0;
    if (left > most) /* the clock was set back */
        left = most;
    run->late_mono = core->mono_ms + left;
    timer_push(core, (struct timer){run->late_mono, TIMER_LATE, run->slot, 0, (uint32_t)run->id.v});
}

void late_begin(struct core *core, struct run *run, int64_t from_wall)
{
    int64_t deadline_ms = run->version->graph->deadline_ms;
    if (!deadline_ms || run->late_ms)
        return;
    run->deadline_ms = from_wall + deadline_ms;
    late_plan(core, run);
}

void late_due(struct core *core, struct run *run, int64_t due_mono)
{
    if (run->late_ms || run->late_mono != due_mono)
        return;
    run->late_ms = core->wall_ms;
    run->moved = true;
    run_dirty(core, run);
    struct core_notice notice = {run->dag->id, CORE_LATE, run->id};
    vec_push(&core->update->notices, notice);
}
