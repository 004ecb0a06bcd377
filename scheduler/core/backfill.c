/* Backfills: lists of data intervals that are worked off, a few at a time, beside live runs.
 *
 * The plan is made and stored before; here is only how far it has come. Items become due in order,
 * while fewer than max_active of its runs have not ended; the engine makes the run, or opens a
 * former one again, in the same turn. Runs of a backfill do not count against max_active_runs of
 * their DAG, and their tasks come after those of live runs. */
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

struct backfill *backfill_find(const struct core *core, uint64_t id)
{
    return id ? map_get_num(&core->backfills, id) : NULL;
}

void backfill_free(struct backfill *backfill)
{
    mem_free(backfill->items);
    mem_free(backfill);
}

static void dirty(struct core *core, struct backfill *backfill)
{
    if (backfill->dirty)
        return;
    backfill->dirty = true;
    vec_push(&core->update->backfills, backfill->id);
}

static struct backfill *add(struct core *core, const struct core_backfill *from)
{
    must(from->id && !backfill_find(core, from->id) && from->next <= from->n_items);
    struct backfill *backfill = mem_alloc(sizeof *backfill);
    backfill->id = from->id;
    backfill->dag = dag_get(core, from->dag);
    backfill->max_active = from->max_active ? from->max_active : 1;
    backfill->state = from->state;
    backfill->reason = from->reason;
    backfill->next = from->next;
    backfill->n_items = from->n_items;
    backfill->items = mem_dup(from->items, from->n_items * sizeof *from->items);
    map_set_num(&core->backfills, from->id, backfill);
    return backfill;
}

void core_load_backfill(struct core *core, const struct core_backfill *from)
{
    add(core, from);
}

bool core_get_backfill(const struct core *core, uint64_t id, enum core_backfill_state *state,
                       enum nx_reason *reason, size_t *next)
{
    const struct backfill *backfill = backfill_find(core, id);
    if (!backfill)
        return false;
    *state = backfill->state;
    *reason = backfill->reason;
    *next = backfill->next;
    return true;
}

void backfill_run_began(struct core *core, const struct run *run)
{
    struct backfill *backfill = backfill_find(core, run->backfill);
    if (backfill)
        backfill->n_active++;
}

void backfill_run_ended(struct core *core, const struct run *run)
{
    struct backfill *backfill = backfill_find(core, run->backfill);
    if (!backfill)
        return;
    must(backfill->n_active > 0);
    backfill->n_active--;
}

static void set_state(struct core *core, struct backfill *backfill, enum core_backfill_state state,
                      enum nx_reason reason)
{
    if (backfill->state == state && backfill->reason == reason)
        return;
    backfill->state = state;
    backfill->reason = reason;
    dirty(core, backfill);
}

void backfill_dag(struct core *core, const struct dag *dag, bool gone)
{
    for (size_t i = 0; i < core->backfills.n; i++) {
        struct backfill *backfill = core->backfills.at[i].value;
        if (backfill->dag != dag)
            continue;
        if (gone && backfill->state == CORE_BACKFILL_RUNNING && backfill->next < backfill->n_items)
            set_state(core, backfill, CORE_BACKFILL_PAUSED, NX_WHY_DAG_GONE);
        else if (!gone && backfill->state == CORE_BACKFILL_PAUSED &&
                 backfill->reason == NX_WHY_DAG_GONE)
            set_state(core, backfill, CORE_BACKFILL_RUNNING, NX_WHY_NONE);
    }
}

bool core_backfill_misses(const struct core *core, const char *dag)
{
    for (size_t i = 0; i < core->backfills.n; i++) {
        const struct backfill *backfill = core->backfills.at[i].value;
        if (backfill->state == CORE_BACKFILL_PAUSED && backfill->reason == NX_WHY_DAG_GONE &&
            str_eq(backfill->dag->id, dag))
            return true;
    }
    return false;
}

void backfill_stuck(struct core *core, const struct core_event *event)
{
    struct backfill *backfill = backfill_find(core, event->backfill_stuck.id);
    must(backfill && event->backfill_stuck.position < backfill->next);
    backfill->next = event->backfill_stuck.position;
    set_state(core, backfill, CORE_BACKFILL_PAUSED, event->backfill_stuck.reason);
    dirty(core, backfill);
}

static void end(struct core *core, struct backfill *backfill, enum core_backfill_state state)
{
    set_state(core, backfill, state, NX_WHY_NONE);
    vec_push(&core->ended_backfills, backfill->id);
}

/* The next items that there is room for. */
static void work_off(struct core *core, struct backfill *backfill)
{
    size_t room =
        backfill->max_active > backfill->n_active ? backfill->max_active - backfill->n_active : 0;
    while (room-- && backfill->next < backfill->n_items) {
        const struct core_backfill_item *item = &backfill->items[backfill->next];
        struct core_due due = {.dag = backfill->dag->id,
                               .start_ms = item->start_ms,
                               .finish_ms = item->finish_ms,
                               .backfill = backfill->id,
                               .position = backfill->next,
                               .run = item->run};
        vec_push(&core->update->dues, due);
        backfill->next++;
        dirty(core, backfill);
    }
}

/* In every turn: there are few of them. */
void backfill_turn(struct core *core)
{
    for (size_t i = 0; i < core->backfills.n; i++) {
        struct backfill *backfill = core->backfills.at[i].value;
        bool over = backfill->next == backfill->n_items && !backfill->n_active;
        if (backfill->state == CORE_BACKFILL_RUNNING && over)
            end(core, backfill, CORE_BACKFILL_DONE);
        else if (backfill->state == CORE_BACKFILL_RUNNING)
            work_off(core, backfill);
    }
}

void backfill_turn_done(struct core *core, const struct core_update *update)
{
    for (size_t i = 0; i < update->backfills.n; i++)
        backfill_find(core, update->backfills.at[i])->dirty = false;
    for (size_t i = 0; i < core->ended_backfills.n; i++)
        backfill_free(map_remove_num(&core->backfills, core->ended_backfills.at[i]));
    core->ended_backfills.n = 0;
}

void backfill_new(struct core *core, const struct core_event *event)
{
    dirty(core, add(core, event->backfill));
}

static void cancel_runs(struct core *core, const struct backfill *backfill)
{
    for (size_t i = 0; i < core->runs.n; i++) {
        struct run *run = core->runs.at[i];
        if (run && run->backfill == backfill->id && !nx_run_state_final(run->state) &&
            run->state != NX_RS_STOPPING)
            run_stop(core, run, NX_WHY_CANCEL);
    }
}

void backfill_change(struct core *core, const struct core_event *event)
{
    struct backfill *backfill = backfill_find(core, event->backfill_change.id);
    struct nx_run_id none = {0};
    bool ended = !backfill || backfill->state == CORE_BACKFILL_DONE ||
                 backfill->state == CORE_BACKFILL_CANCELLED;
    if (ended) {
        core_answer_to(core, event->token, none, NX_E_CONFLICT, "backfill %llu has ended",
                       (unsigned long long)event->backfill_change.id);
        return;
    }
    if (event->backfill_change.state == CORE_BACKFILL_CANCELLED) {
        cancel_runs(core, backfill);
        end(core, backfill, CORE_BACKFILL_CANCELLED);
    } else { /* a person's word, whatever it rested for */
        set_state(core, backfill, event->backfill_change.state, NX_WHY_NONE);
    }
    core_answer_to(core, event->token, none, NX_OK, "%s", "");
}
