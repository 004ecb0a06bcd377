/* Where an attempt's files are below a home: worker and scheduler agree on it here. Pure.
 *
 *   <home>/logs/<run>/<task>[.<map>]/<attempt>.log              what it wrote, stdout and stderr
 *                                    <attempt>.resolved.json    what `with`, `run`, `env` became
 *                                    <attempt>.metrics.jsonl    {"name", "value", "step", "at"} a
 *                                                               line
 *                                    <attempt>.stamps           when its bytes came, and from which
 *                                                               stream: lib/wire/stamp.h
 *                                    <attempt>.usage            processor and memory over time:
 *                                                               lib/wire/usage.h
 *   <home>/files/<version>/          the `files:` of a DAG version, laid out
 *   <home>/artifacts/                the artifact store
 *   <home>/work/<worker>/            working folders, one a child
 *   <home>/run/dispatch.sock         where the scheduler listens for workers
 *   <home>/run/worker-<worker>.id    held (flock) by the worker of that name */
#ifndef LIB_WIRE_PATHS_H
#define LIB_WIRE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A scheduler may know fewer of them than a worker elsewhere: they are added at the end. */
enum path_kind { PATH_LOG, PATH_RESOLVED, PATH_METRICS, PATH_USAGE, PATH_STAMPS, PATH_KINDS };

/* False (to is "") when it does not fit. task_id: as in the DAG; map -1: not mapped. */
bool attempt_path(char *to, size_t size, const char *home, enum path_kind kind, uint64_t run,
                  const char *task_id, int32_t map, uint32_t attempt);
/* The folder of a run's logs. */
bool run_logs_path(char *to, size_t size, const char *home, uint64_t run);
bool files_path(char *to, size_t size, const char *home, uint64_t version);

#endif
