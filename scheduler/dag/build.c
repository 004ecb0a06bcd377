/* A checked spec as the graph that the core works on. */
#include "lib/base/mem.h"
#include "scheduler/dag/spec.h"

/* What it waits for is in its `with`, which the scheduler evaluates first. */
static bool asks(const struct spec_task *task)
{
    return task->wait == GRAPH_WAIT_FOR || task->wait == GRAPH_WAIT_UNTIL ||
           task->wait == GRAPH_WAIT_PERSON || task->wait == GRAPH_WAIT_DATASET ||
           task->choice != CHOICE_ALL;
}

static unsigned flags_of(const struct spec *spec, const struct spec_task *task)
{
    const struct hooks *hooks = &task->hooks;
    bool told = hooks->n[HOOK_SUCCESS] || hooks->n[HOOK_FAILURE] || hooks->n[HOOK_RETRY] ||
                spec->hooks.n[HOOK_RETRY];
    return (told ? GRAPH_TOLD : 0u) | (task->condition ? GRAPH_IF : 0u) |
           (task->finally ? GRAPH_FINALLY : 0u) | (task->exclusive ? GRAPH_EXCLUSIVE : 0u) |
           (task->run ? GRAPH_SCRIPT : 0u) | (task->n_refs ? GRAPH_REFS : 0u) |
           (asks(task) ? GRAPH_ASK : 0u) | task->wait_flags |
           (task->backoff_exponential ? GRAPH_BACKOFF : 0u) |
           (task->condition_names_item ? GRAPH_IF_EACH : 0u) |
           (task->depends_on_past && !task->finally ? GRAPH_PAST : 0u);
}

static struct graph_class class_of(const struct spec_task *task)
{
    return (struct graph_class){.queue = task->queue,
                                .pool = task->pool,
                                .pool_slots = task->pool ? (uint32_t)task->pool_slots : 0,
                                .cpus_milli = (uint32_t)(task->cpus * 1000 + 0.5),
                                .gpus = (uint32_t)task->gpus,
                                .memory_bytes = task->memory_bytes,
                                .concurrency = task->concurrency_key,
                                .concurrency_limit = (uint32_t)task->concurrency_limit,
                                .script = task->run != NULL};
}

static struct graph_task_def task_def(const struct spec *spec, const struct spec_task *task,
                                      struct graph_retry_on *retry_on)
{
    uint32_t max_parallel = task->map ? (uint32_t)spec->maps[task->map - 1].max_parallel : 0;
    bool limited = task->n_retry_exit_codes || task->n_retry_errors;
    *retry_on = (struct graph_retry_on){task->n_retry_exit_codes, task->n_retry_errors,
                                        task->retry_exit_codes, task->retry_errors};
    return (struct graph_task_def){.id = task->id,
                                   .rule = task->rule,
                                   .flags = flags_of(spec, task),
                                   .needs = task->needs,
                                   .n_needs = task->n_needs,
                                   .needs_class = class_of(task),
                                   .priority = (int32_t)task->priority,
                                   .retries = (uint16_t)task->retries,
                                   .jitter_percent = (uint8_t)(task->retry_jitter * 100 + 0.5),
                                   .wait = task->wait,
                                   .every_ms = task->every_ms,
                                   .dataset = task->dataset,
                                   .retry_on = limited ? retry_on : NULL,
                                   .retry_delay_ms = task->retry_delay_ms,
                                   .max_retry_delay_ms = task->max_retry_delay_ms,
                                   .timeout_ms = task->timeout_ms,
                                   .queue_timeout_ms = task->queue_timeout_ms,
                                   .map = task->map,
                                   .max_parallel = max_parallel,
                                   .produces = task->produces.at,
                                   .n_produces = task->produces.n};
}

bool spec_graph(const struct spec *spec, struct graph **graph, struct nx_err *err)
{
    struct graph_task_def *defs = mem_alloc_array(spec->n_tasks, sizeof *defs);
    struct graph_retry_on *retry_on = mem_alloc_array(spec->n_tasks, sizeof *retry_on);
    for (uint32_t i = 0; i < spec->n_tasks; i++)
        defs[i] = task_def(spec, &spec->tasks[i], &retry_on[i]);
    bool ok = graph_new(spec->id, defs, spec->n_tasks, (uint32_t)spec->max_active_runs,
                        spec->timeout_ms, graph, err);
    if (ok)
        (*graph)->deadline_ms = spec->deadline_ms;
    mem_free(retry_on);
    mem_free(defs);
    return ok;
}
