/* nexus-task --run: one attempt by itself, for `nexus task test` and for tests.
 *
 * The spec is JSON: {"definition": {...}, "context": {...}, "key": "run.task.map.attempt", "mark":
 * text, "url": text, "folders": {"work", "artifacts", "project", "files"}, "limits": {"cpus",
 * "memory", "outputs"}}; only definition is needed. Without folders it uses a temporary folder
 * (removed at the end), with an artifact store in it.
 *
 * The result is JSON: {"outcome", "code", "error", "permanent", "exit_code", "signal", "outputs",
 * "metrics": [{"name", "value", "step"}], "resolved", "masks": n, "max_rss_bytes", "cpu_us"}. */
#ifndef TASKS_ONCE_H
#define TASKS_ONCE_H

#include "lib/base/buf.h"
#include "nexus/error.h"
#include "tasks/runtime.h"

/* A sink that collects the result in *(json_t **)arg and prints progress to stderr. */
void once_collect(void *arg, const struct child_message *message);

/* Runs the spec's attempt; *result (of once_collect) is complete then. False: no such spec. */
bool once_run(struct runtime *runtime, const char *spec, size_t n, struct nx_err *err);

#endif
