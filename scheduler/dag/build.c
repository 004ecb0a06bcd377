/* A checked spec as the graph that the core works on. */
#include "lib/base/mem.h"
#include "scheduler/dag/spec.h"

static unsigned flags_of(const struct spec_task *task)
{
    return (task->condition ? GRAPH_IF : 0u) | (task->finally ? GRAPH_FINALLY : 0u) |
           (task->exclusive ? GRAPH_EXCLUSIVE : 0u) | (task->run ? GRAPH_SCRIPT : 0u) |
           (task->n_refs ? GRAPH_REFS : 0u) | (task->backoff_exponential ? GRAPH_BACKOFF : 0u) |
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

static struct graph_task_def task_def(const struct spec_task *task, struct graph_retry_on *retry_on)
{
    bool limited = task->n_retry_exit_codes || task->n_retry_errors;
    *retry_on = (struct graph_retry_on){task->n_retry_exit_codes, task->n_retry_errors,
                                        task->retry_exit_codes, task->retry_errors};
    return (struct graph_task_def){.id = task->id,
                                   .rule = task->rule,
                                   .flags = flags_of(task),
                                   .needs = task->needs,
                                   .n_needs = task->n_needs,
                                   .needs_class = class_of(task),
                                   .priority = (int32_t)task->priority,
                                   .retries = (uint16_t)task->retries,
                                   .jitter_percent = (uint8_t)(task->retry_jitter * 100 + 0.5),
                                   .retry_on = limited ? retry_on : NULL,
                                   .retry_delay_ms = task->retry_delay_ms,
                                   .max_retry_delay_ms = task->max_retry_delay_ms,
                                   .timeout_ms = task->timeout_ms,
                                   .queue_timeout_ms = task->queue_timeout_ms};
}

bool spec_graph(const struct spec *spec, struct graph **graph, struct nx_err *err)
{
    struct graph_task_def *defs = mem_alloc_array(spec->n_tasks, sizeof *defs);
    struct graph_retry_on *retry_on = mem_alloc_array(spec->n_tasks, sizeof *retry_on);
    for (uint32_t i = 0; i < spec->n_tasks; i++)
        defs[i] = task_def(&spec->tasks[i], &retry_on[i]);
    bool ok = graph_new(spec->id, defs, spec->n_tasks, (uint32_t)spec->max_active_runs,
                        spec->timeout_ms, graph, err);
    if (ok)
        (*graph)->deadline_ms = spec->deadline_ms;
    mem_free(retry_on);
    mem_free(defs);
    return ok;
}
