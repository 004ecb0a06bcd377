/* The checked spec of a DAG: a YAML document whose every mistake was looked for, as plain values.
 *
 * A task's definition is the JSON text that nexus-task receives, the same for all runs:
 *   {"id", "uses" | null, "run" | null, "shell" | null,
 *    "with": {...}, "env": {"NAME": "text", ...},        both with their ${{ }} still in them
 *    "timeout_ms" (0: none), "exclusive", "cpus" (null: unsaid),
 *    "memory_bytes" (0: no limit), "gpus",
 *    "files": ["report.sh", "sql/"],                     as the DAG file names them
 *    "refs": ["split", "train"],                         tasks whose outputs its expressions name
 *    "vars": bool, "secrets": bool}                      whether its expressions name them
 * The env of DAG, defaults and task are merged in that order. */
#ifndef SCHEDULER_DAG_SPEC_H
#define SCHEDULER_DAG_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/text/problem.h"
#include "nexus/error.h"
#include "nexus/states.h"
#include "scheduler/dag/hooks.h"
#include "scheduler/graph/graph.h"

/* Names of datasets, each once. */
struct dataset_names {
    const char **at;
    uint32_t n;
};

/* What decides which of the tasks below one go on. */
enum spec_choice {
    CHOICE_ALL,       /* nothing: all do */
    CHOICE_NAMES,     /* those that it names */
    CHOICE_CONDITION, /* all or none, by a condition */
    CHOICE_LATEST     /* all or none, by whether the run's is the latest data interval */
};

struct spec_task {
    const char *id;
    int line, column;
    const char *uses; /* an operator, or NULL: then run is the script */
    const char *run, *shell;
    const char *condition; /* the expression of `if`, without ${{ }}; NULL: none */
    uint32_t *needs;       /* indexes of tasks */
    uint32_t n_needs;
    uint32_t *refs; /* tasks whose outputs with, env and run name, ascending */
    uint32_t n_refs;
    uint32_t *condition_refs; /* those that `if` names */
    uint32_t n_condition_refs;
    bool names_vars, names_secrets; /* in with, env, run */
    const char *conn;               /* the connection that `with` names; NULL: none */
    bool condition_names_vars, condition_names_item;
    uint32_t map;            /* 1 + index in the spec's maps; 0: not mapped */
    int64_t max_parallel;    /* as the task or defaults have it */
    enum graph_wait wait;    /* what it waits for without a slot */
    enum spec_choice choice; /* GRAPH_WAIT_CHOICE */
    const char *dataset;     /* GRAPH_WAIT_DATASET: its name */
    int64_t every_ms;        /* GRAPH_WAIT_POKE */
    unsigned wait_flags;     /* of enum graph_flag: GRAPH_WAIT_RUN */
    const char *form;        /* GRAPH_WAIT_PERSON: JSON, a list like params */
    bool finally, exclusive, backoff_exponential;
    enum nx_trigger_rule rule;
    const char *pool; /* NULL: none */
    const char *queue;
    const char *concurrency_key; /* NULL: none */
    int64_t concurrency_limit;
    bool depends_on_past;
    const char *group; /* of the picture; NULL: none */
    int64_t pool_slots, priority, retries;
    int64_t retry_delay_ms, max_retry_delay_ms; /* max 0: no bound */
    int64_t timeout_ms, queue_timeout_ms;       /* 0: none */
    double retry_jitter;                        /* 0..1 of the delay */
    double cpus;                                /* 0: unsaid */
    int64_t memory_bytes, gpus;
    int *retry_exit_codes;
    size_t n_retry_exit_codes;
    enum nx_code *retry_errors;
    size_t n_retry_errors;
    struct dataset_names produces, consumes;
    struct hooks hooks;
    const char *definition; /* JSON text, see above */
};

/* A list over which tasks are mapped: the task that has the `for_each`, or those of a group. */
struct spec_map {
    const char *group;      /* NULL: of one task */
    const char *expression; /* without ${{ }}; NULL: then */
    const char *items;      /* the list itself, as JSON text */
    uint32_t *refs;         /* tasks whose outputs the expression names */
    uint32_t n_refs;
    int64_t max_parallel; /* 0: no limit */
    int line, column;     /* of the list */
};

/* One file that belongs to the version. */
struct spec_file {
    const char *path;   /* relative to the DAG file's folder, and where it is laid out */
    const char *source; /* where it was found */
    int64_t n_bytes;
    bool executable;
};

struct spec {
    struct arena arena; /* owns all texts and arrays */
    const char *id, *file, *description;
    int line, column; /* of the document */
    const char **tags;
    size_t n_tags;
    json_t *params; /* a list of {name, type, default, min, max, choices, required, help} */
    int64_t timeout_ms, max_active_runs;
    int64_t deadline_ms;   /* 0: none */
    const char *timezone;  /* NULL: UTC */
    const char *timetable; /* as timetable_json.h has it; NULL: no schedule */
    const char *retention; /* as lib/text/retention.h has it; NULL: nothing is said */
    json_t *schedules;     /* a list of texts */
    const char **starts;   /* datasets that its schedule names */
    size_t n_starts;
    unsigned overlap; /* enum timetable_overlap */
    int64_t jitter_ms;
    struct hooks hooks;   /* of its runs */
    const char **secrets; /* that its tasks name, each once: a run gets no others */
    size_t n_secrets;
    struct spec_file *files;
    size_t n_files;
    struct spec_map *maps;
    uint32_t n_maps;
    struct spec_task *tasks;
    uint32_t n_tasks;
    struct map task_index; /* id -> index + 1, as a pointer-sized number */
};

/* Checks all documents of a text: YAML, or, when the file's name ends in .lua, Lua, which is run
 * here (a file that is new is to be run by lua_run_apart instead). *specs gets those without a
 * mistake (each to be freed with spec_free, the array with mem_free); problems get everything that
 * is wrong. `catalog` is the list of operators (see lib/script/args.h; NULL: operators are not
 * checked). `files` are looked for below `folder` (NULL: not looked at). True when there was no
 * error. */
bool spec_read(const char *file, const char *text, size_t n, const json_t *catalog,
               const char *folder, struct spec ***specs, size_t *n_specs,
               struct problems *problems);
/* The same for a DAG file written in Lua that has been run; see lua.h. */
bool spec_read_tree(const char *file, const char *text, size_t n, const json_t *tree,
                    const json_t *catalog, const char *folder, struct spec ***specs,
                    size_t *n_specs, struct problems *problems);
void spec_free(struct spec *spec);

/* The task with that id, or -1. */
int64_t spec_find(const struct spec *spec, const char *id);

/* For the API and `dag show`: {id file description tags[] params[] timeout deadline max_active_runs
 * schedule[] timezone tasks[{id uses needs[] trigger_rule pool queue concurrency{key limit}
 * depends_on_past retries if finally group mapped map produces[] consumes[]}]}; a new reference. */
json_t *spec_json(const struct spec *spec);

/* The graph that the core works on. Cannot fail for a checked spec. */
bool spec_graph(const struct spec *spec, struct graph **graph, struct nx_err *err);

/* The JSON Schema of a DAG file, operators' parameters included (`nexus schema`); a new reference.
 */
json_t *spec_schema(const json_t *catalog);
/* The tables of keys in Markdown, as docs/dag-file.md has them. */
void spec_keys_markdown(struct buf *to);

#endif
