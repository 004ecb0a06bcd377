/* Choices: a task may end with a choice among the tasks directly below it. For those that it left
 * out it counts as skipped, which their trigger rules take as they take any skipped upstream; one
 * that is reached through a chosen task as well is not left out. What was left out belongs to the
 * instance's row. Instances that leave out the same share it. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

const struct left_out *choice_of(const struct run *run, uint32_t at)
{
    const struct inst *inst = &run->insts[at];
    bool chose = run->left_out.n && inst->state == NX_TS_SUCCESS && inst->hand;
    return chose ? &run->left_out.at[inst->hand - 1] : NULL;
}

/* Takes the tasks; the index of an equal one, or of a new one, + 1. */
static uint32_t share(struct run *run, uint32_t task, uint32_t *tasks, uint32_t n)
{
    for (size_t i = run->left_out.n; i-- > 0;) {
        const struct left_out *other = &run->left_out.at[i];
        if (other->task == task && other->n == n &&
            memcmp(other->tasks, tasks, n * sizeof *tasks) == 0) {
            mem_free(tasks);
            return (uint32_t)i + 1;
        }
    }
    vec_push(&run->left_out, ((struct left_out){task, n, tasks}));
    return (uint32_t)run->left_out.n;
}

void choice_load(struct run *run, uint32_t at, const uint32_t *left_out, uint32_t n)
{
    if (!n)
        return;
    uint32_t *tasks = mem_alloc_array(n, sizeof *tasks);
    for (uint32_t i = 0; i < n; i++) {
        must(left_out[i] < run->version->graph->n_tasks);
        tasks[i] = left_out[i];
    }
    run->insts[at].hand = share(run, task_at(run, at), tasks, n);
}

static void choose(struct run *run, uint32_t at, const struct core_event *event)
{
    const struct graph *graph = run->version->graph;
    uint32_t task = task_at(run, at);
    uint32_t *tasks = mem_alloc_array(graph->tasks[task].n_down, sizeof *tasks);
    uint32_t n = graph_left_out(graph, task, event->answer.chosen, event->answer.n_chosen, tasks);
    if (n)
        run->insts[at].hand = share(run, task, tasks, n);
    else
        mem_free(tasks);
}

void choice_end(struct core *core, struct run *run, uint32_t at, const struct core_event *event)
{
    struct inst *inst = &run->insts[at];
    must(inst->attempt < UINT16_MAX);
    inst->attempt++;
    inst->lease++;
    inst->worker = 0;
    inst->ready_ms = inst->started_ms = core->wall_ms;
    attempt_note_end(core, run, at, NX_AO_SUCCESS, NULL);
    inst_set(core, run, at, NX_TS_SUCCESS, NX_WHY_NONE);
    if (event && event->answer.chooses)
        choose(run, at, event);
}

enum nx_task_state choice_seen(const struct run *run, uint32_t at, uint32_t down)
{
    const struct left_out *out = choice_of(run, at);
    for (uint32_t i = 0; out && i < out->n; i++) {
        if (out->tasks[i] == down)
            return NX_TS_SKIPPED;
    }
    return run->insts[at].state;
}

static bool leaves_out(const struct run *run, uint32_t at, uint32_t down)
{
    return choice_of(run, at) && choice_seen(run, at, down) == NX_TS_SKIPPED;
}

uint32_t choice_skipper(const struct run *run, uint32_t at)
{
    uint32_t task = task_at(run, at), other;
    const uint32_t *up = graph_up(run->version->graph, task);
    for (uint32_t j = 0; run->left_out.n && j < task_of(run, at)->n_up; j++) {
        uint32_t along = mapped_along(run, at, up[j]);
        struct needing all = mapped_needing(run, up[j], up[j]);
        if (along != up[j] && leaves_out(run, along, task))
            return along;
        while (along == up[j] && mapped_next(&all, &other)) {
            if (leaves_out(run, other, task))
                return other;
        }
    }
    return NO_INST;
}

void choice_free(struct run *run)
{
    for (size_t i = 0; i < run->left_out.n; i++)
        mem_free(run->left_out.at[i].tasks);
    vec_fini(&run->left_out);
}
