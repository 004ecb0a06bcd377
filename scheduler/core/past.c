/* depends_on_past: a task of a scheduled run waits until it has succeeded, or was skipped, in the
 * run of the data interval before.
 *
 * Which run that is, and what became of the task there, is asked when its trigger rule says run:
 * the run before may have ended long ago, and is then in the store alone. When the answer is to
 * wait, the run becomes a follower of that one, and asks again when something has changed there:
 * the task has come to its end, the run was deleted, or there is a run in between now. Nothing of
 * it is stored: after a restart it is asked again. A run that another waits for does not wait for
 * max_active_runs: they would wait for each other.
 *
 * A mapped task asks once, before its list is asked for: so it is always the tasks' own instances
 * that wait, at the tasks' indexes. In the run before, all of its instances count as one. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

/* Runs that wait for the same one. */
struct followers {
    VEC(struct nx_run_id) runs;
};

bool past_counts(const struct run *run, uint32_t at)
{
    return run->claims && map_at(run, at) == NX_MAP_NONE && (task_of(run, at)->flags & GRAPH_PAST);
}

bool past_waits(const struct inst *inst)
{
    return inst->state == NX_TS_WAITING &&
           (inst->reason == NX_WHY_ASKED || inst->reason == NX_WHY_PAST);
}

void past_ask(struct core *core, struct run *run, uint32_t task)
{
    struct inst *inst = &run->insts[task];
    must(inst->state == NX_TS_WAITING);
    inst->reason = NX_WHY_ASKED;
    inst->hand = ++core->n_asks;
    if (!inst->ready_ms)
        inst->ready_ms = core->wall_ms; /* since when nothing but its past is in the way */
    struct core_ask ask = {.inst = inst_id(run, task),
                           .number = inst->hand,
                           .version = run->version->id,
                           .what = CORE_ASK_PAST};
    vec_push(&core->asks, ask);
}

static void ask_again(struct core *core, struct run *run)
{
    for (uint32_t i = 0; i < run->version->graph->n_tasks; i++) {
        if (run->insts[i].state == NX_TS_WAITING && run->insts[i].reason == NX_WHY_PAST)
            past_ask(core, run, i);
    }
}

/* ---- Who follows whom ---- */

void past_forget(struct core *core, struct run *run)
{
    struct nx_run_id past = run->past.run;
    if (!past.v)
        return;
    struct followers *followers = map_get_num(&core->followers, past.v);
    size_t i = 0;
    must(followers != NULL);
    while (followers->runs.at[i].v != run->id.v)
        must(++i < followers->runs.n);
    followers->runs.at[i] = vec_pop(&followers->runs);
    run->past = (struct core_past){0};
    if (followers->runs.n)
        return;
    map_remove_num(&core->followers, past.v);
    vec_fini(&followers->runs);
    mem_free(followers);
}

static void follow(struct core *core, struct run *run, const struct core_past *past)
{
    if (run->past.run.v == past->run.v)
        return;
    must(past->run.v && past->run.v != run->id.v);
    past_forget(core, run);
    run->past = *past;
    struct followers *followers = map_get_num(&core->followers, past->run.v);
    if (!followers) {
        followers = mem_alloc(sizeof *followers);
        map_set_num(&core->followers, past->run.v, followers);
    }
    vec_push(&followers->runs, run->id);
    ask_again(core, run); /* those that waited for another one */
}

bool past_is_waited_for(const struct core *core, const struct run *run)
{
    const struct followers *followers = map_get_num(&core->followers, run->id.v);
    for (size_t i = 0; followers && i < followers->runs.n; i++) {
        const struct run *follower = run_find(core, followers->runs.at[i]);
        for (uint32_t t = 0; t < follower->version->graph->n_tasks; t++) {
            if (past_waits(&follower->insts[t]))
                return true;
        }
    }
    return false;
}

void past_answer(struct core *core, struct run *run, uint32_t task, const struct core_event *event)
{
    struct inst *inst = &run->insts[task];
    if (event->answer.answer == CORE_TRUE) {
        inst_decide_now(core, run, task);
    } else if (event->answer.answer == CORE_FALSE) {
        follow(core, run, &event->answer.past);
        struct run *before = run_find(core, event->answer.past.run);
        if (before && before->state == NX_RS_QUEUED)
            run_ahead(core, before);
        inst->reason = NX_WHY_PAST;
        inst->hand = event->answer.past.state;
    } else {
        inst_set(core, run, task, NX_TS_FAILED, NX_WHY_ERROR);
    }
}

/* ---- What has changed ---- */

/* The task of that id in the other version, or -1. */
static int64_t same_task(const struct run *from, uint32_t at, struct version *to)
{
    const struct graph_task *spec = task_of(from, at);
    if (from->version == to)
        return spec - to->graph->tasks;
    for (uint32_t i = 0; to->ids.n < to->graph->n_tasks; i++) /* made when it is first needed */
        map_set(&to->ids, to->graph->tasks[i].id, (void *)(uintptr_t)(i + 1));
    return (int64_t)(uintptr_t)map_get(&to->ids, spec->id) - 1;
}

void past_ended(struct core *core, const struct run *run, uint32_t at)
{
    struct followers *followers =
        core->followers.n ? map_get_num(&core->followers, run->id.v) : NULL;
    if (followers && (stands_aside(run, at) ||
                      (map_at(run, at) != NX_MAP_NONE && !mapped_succeeded(run, task_at(run, at)))))
        return; /* the last of its instances tells it */
    for (size_t i = 0; followers && i < followers->runs.n; i++) {
        struct run *follower = run_find(core, followers->runs.at[i]);
        int64_t own = same_task(run, at, follower->version);
        if (own >= 0 && follower->insts[own].state == NX_TS_WAITING &&
            follower->insts[own].reason == NX_WHY_PAST)
            past_ask(core, follower, (uint32_t)own);
    }
}

void past_gone(struct core *core, struct nx_run_id id)
{
    struct followers *followers = map_get_num(&core->followers, id.v);
    while (followers) {
        struct run *follower = run_find(core, followers->runs.at[0]);
        bool last = followers->runs.n == 1;
        past_forget(core, follower);
        ask_again(core, follower);
        if (last)
            return;
    }
}

static bool earlier(int64_t start, int64_t finish, int64_t other_start, int64_t other_finish)
{
    return start != other_start ? start < other_start : finish < other_finish;
}

void past_made(struct core *core, const struct run *run)
{
    for (size_t i = 0; run->claims && i < core->followers.n; i++) {
        const struct followers *followers = core->followers.at[i].value;
        for (size_t k = 0; k < followers->runs.n; k++) {
            struct run *follower = run_find(core, followers->runs.at[k]);
            if (follower->dag == run->dag &&
                earlier(follower->past.start_ms, follower->past.finish_ms, run->interval_start_ms,
                        run->interval_finish_ms) &&
                earlier(run->interval_start_ms, run->interval_finish_ms,
                        follower->interval_start_ms, follower->interval_finish_ms))
                ask_again(core, follower);
        }
    }
}

const char *past_check(const struct core *core, const struct run *run)
{
    bool waits = false, found = run->past.run.v == 0;
    for (uint32_t i = 0; i < run->version->graph->n_tasks; i++)
        waits =
            waits || (run->insts[i].state == NX_TS_WAITING && run->insts[i].reason == NX_WHY_PAST);
    if (waits && !run->past.run.v)
        return "what waits for its past knows for which run";
    const struct followers *followers =
        run->past.run.v ? map_get_num(&core->followers, run->past.run.v) : NULL;
    for (size_t i = 0; followers && i < followers->runs.n; i++)
        found = found || followers->runs.at[i].v == run->id.v;
    return found ? NULL : "a run that follows another is among its followers";
}
