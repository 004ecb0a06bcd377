/* Tasks that choose among those below them, in the simulation. */
#include "tests/sim/sim.h"

_Static_assert(SIM_TASKS_MAX <= 32, "a bit each task");

static const struct graph *graph_of(const struct sim *sim, struct nx_run_id run)
{
    return sim->graphs[sim_run_find((struct sim *)(uintptr_t)sim, run)->dag];
}

void sim_random_choice(struct sim *sim, const struct core_ask *ask, struct core_event *event)
{
    static uint32_t chosen[SIM_TASKS_MAX];
    const struct graph *graph = sim->graphs[ask->version - SIM_VERSION_BASE];
    const struct graph_task *spec = &graph->tasks[ask->inst.task];
    event->answer.chooses = sim_chance(sim, 3, 4);
    event->answer.chosen = chosen;
    for (uint32_t j = 0; j < spec->n_down; j++) {
        if (sim_chance(sim, 1, 3))
            chosen[event->answer.n_chosen++] = graph_down(graph, ask->inst.task)[j];
    }
}

void sim_note_choice(struct sim *sim, const struct core_inst_row *before,
                     const struct core_event *event)
{
    struct sim_choice choice = {.inst = before->id, .attempt = before->attempt + 1};
    for (uint32_t i = 0; i < event->answer.n_chosen; i++)
        choice.chosen |= 1u << event->answer.chosen[i];
    if (!event->answer.chooses)
        choice.chosen = UINT32_MAX;
    vec_push(&sim->choices, choice);
}

/* Whether the task is in the set or below one of it: every path upward is looked at, which tasks of
 * lower numbers end. */
static bool is_reached(const struct graph *graph, uint32_t task, uint32_t set)
{
    uint32_t reached = set;
    for (uint32_t t = 0; t <= task; t++) {
        for (uint32_t j = 0; j < graph->tasks[t].n_up; j++) {
            if (reached >> graph_up(graph, t)[j] & 1)
                reached |= 1u << t;
        }
    }
    return reached >> task & 1;
}

bool sim_left_out(const struct sim *sim, const struct core_inst_row *up, uint32_t down)
{
    const struct graph *graph = graph_of(sim, up->id.run);
    if (up->state != NX_TS_SUCCESS || up->reason == NX_WHY_MARKED ||
        graph->tasks[up->id.task].wait != GRAPH_WAIT_CHOICE)
        return false;
    for (size_t i = sim->choices.n; i-- > 0;) {
        const struct sim_choice *choice = &sim->choices.at[i];
        if (sim_same(choice->inst, up->id) && choice->attempt == up->attempt)
            return !is_reached(graph, down, choice->chosen);
    }
    return false; /* it was not asked: all go on */
}
