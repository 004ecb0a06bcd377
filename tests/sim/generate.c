/* Random DAGs with every rule, limit and kind of retry. */
#include <stdio.h>

#include "lib/base/must.h"
#include "tests/sim/sim.h"

static const char *const pools[SIM_POOLS] = {"pool0", "pool1"};

static const char *const keys[SIM_KEYS] = {"key0", "key1"};

static void random_task(struct sim *sim, struct graph_task_def *def, uint32_t index, uint32_t n,
                        bool past)
{
    static const char *const queues[] = {"default", "default", "default", "other"};
    bool last = index + 2 >= n && sim_chance(sim, 1, 3);
    def->rule = sim_chance(sim, 1, 3)
                    ? NX_TR_ALL_SUCCESS
                    : (enum nx_trigger_rule)rng_below(&sim->rng, NX_TRIGGER_RULES);
    if (sim_chance(sim, 1, 5))
        def->flags |= GRAPH_IF;
    if (last)
        def->flags |= GRAPH_FINALLY;
    if (sim_chance(sim, 1, 8))
        def->flags |= GRAPH_EXCLUSIVE;
    if (sim_chance(sim, 1, 4))
        def->flags |= GRAPH_BACKOFF;
    if (sim_chance(sim, 1, 2))
        def->flags |= GRAPH_SCRIPT;
    if (index % 2 == 0)
        def->flags |= GRAPH_TOLD;
    def->needs_class.queue = queues[rng_below(&sim->rng, 4)];
    def->needs_class.script = (def->flags & GRAPH_SCRIPT) != 0;
    if (sim_chance(sim, 1, 5)) {
        def->needs_class.pool = pools[rng_below(&sim->rng, SIM_POOLS)];
        def->needs_class.pool_slots = 1;
    }
    if (sim_chance(sim, 1, 6)) {
        def->needs_class.concurrency = keys[rng_below(&sim->rng, SIM_KEYS)];
        def->needs_class.concurrency_limit = (uint32_t)sim_between(sim, 1, 3);
    }
    if (past && !last && sim_chance(sim, 1, 2))
        def->flags |= GRAPH_PAST;
    def->priority = sim_chance(sim, 1, 4) ? (int32_t)sim_between(sim, -3, 3) : 0;
    def->retries = (uint16_t)rng_below(&sim->rng, 3);
    def->retry_delay_ms = sim_between(sim, 0, 3) * 400;
    def->max_retry_delay_ms = 2000;
    def->jitter_percent = (uint8_t)(sim_chance(sim, 1, 3) ? 20 : 0);
    if (sim_chance(sim, 1, 4))
        sim_random_wait(sim, def);
    def->queue_timeout_ms = sim_chance(sim, 1, 10) ? sim_between(sim, 200, 5000) : 0;
}

/* Needs of a task among those before it; ordinary tasks do not need finally tasks. */
static uint32_t random_needs(struct sim *sim, const struct graph_task_def *defs, uint32_t index,
                             uint32_t *needs)
{
    uint32_t n = 0;
    bool dense = sim_chance(sim, 1, 4);
    for (uint32_t up = 0; up < index; up++) {
        if ((defs[up].flags & GRAPH_FINALLY) && !(defs[index].flags & GRAPH_FINALLY))
            continue;
        if (sim_chance(sim, 1, dense ? 2 : index > 3 ? index / 2 : 2))
            needs[n++] = up;
    }
    return n;
}

/* Some tasks are mapped, alone or in a group over one list. */
static void random_maps(struct sim *sim, struct graph_task_def *defs, uint32_t n)
{
    uint32_t n_maps = 0;
    if (sim_chance(sim, 1, 2))
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (defs[i].map || !sim_chance(sim, 1, 4))
            continue;
        bool grouped = sim_chance(sim, 1, 2);
        uint32_t max_parallel = sim_chance(sim, 1, 2) ? (uint32_t)sim_between(sim, 1, 3) : 0;
        n_maps++;
        for (uint32_t k = i; k < n && (k == i || grouped); k++) {
            bool fits = (defs[k].flags & GRAPH_FINALLY) == (defs[i].flags & GRAPH_FINALLY);
            if (defs[k].map || !fits || (k > i && !sim_chance(sim, 1, 3)))
                continue;
            defs[k].map = n_maps;
            defs[k].max_parallel = max_parallel;
            if ((defs[k].flags & GRAPH_IF) && sim_chance(sim, 1, 2))
                defs[k].flags |= GRAPH_IF_EACH;
            if (grouped) /* as DAG files are checked */
                defs[k].flags &= (uint16_t)~GRAPH_PAST;
        }
    }
}

struct graph *sim_random_graph(struct sim *sim, uint32_t dag)
{
    static const char *const ids[SIM_DAGS] = {"alpha", "beta", "gamma"};
    struct graph_task_def defs[SIM_TASKS_MAX] = {0};
    uint32_t needs[SIM_TASKS_MAX][SIM_TASKS_MAX];
    char names[SIM_TASKS_MAX][8];
    const char *produces[SIM_TASKS_MAX][SIM_DATASETS];
    uint32_t n = (uint32_t)sim_between(sim, 1, SIM_TASKS_MAX);
    bool past = sim_chance(sim, 1, 3);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "t%u", i);
        defs[i].id = names[i];
        random_task(sim, &defs[i], i, n, past);
        defs[i].n_produces = sim_random_produces(sim, dag, produces[i]);
        defs[i].produces = produces[i];
        defs[i].n_needs = random_needs(sim, defs, i, needs[i]);
        defs[i].needs = needs[i];
        sim->stats->rules[defs[i].rule]++;
    }
    random_maps(sim, defs, n);
    uint32_t max_active = sim_chance(sim, 1, 3) ? 1 : 0;
    int64_t timeout = sim_chance(sim, 1, 8) ? sim_between(sim, 2000, 30000) : 0;
    struct graph *graph = NULL;
    if (!graph_new(ids[dag], defs, n, max_active, timeout, &graph, NULL)) {
        for (uint32_t i = 0; i < n; i++) /* a group that is left and entered again */
            defs[i].max_parallel = 0;
        must(graph_new(ids[dag], defs, n, max_active, timeout, &graph, NULL));
    }
    graph->deadline_ms = sim_chance(sim, 1, 4) ? sim_between(sim, 500, 20000) : 0;
    return graph;
}
