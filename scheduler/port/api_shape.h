/* The JSON shapes of the API: runs, tasks, attempts, DAGs. */
#ifndef SCHEDULER_PORT_API_SHAPE_H
#define SCHEDULER_PORT_API_SHAPE_H

#include "scheduler/dag/layout.h"
#include "scheduler/port/api_call.h"
#include "scheduler/store/query_dataset.h"

void shape_counts(struct buf *buf, const char *key, const uint32_t counts[NX_TASK_STATES]);
/* The members of a run, inside its braces, without tasks. */
void shape_run(struct buf *buf, const struct query_run *run);
/* A task instance; its progress becomes a patch of the call when it is running. `live`: its reason
 * too, unless it is final. */
void shape_task(struct call *call, const struct query_task *task, bool live);
/* A task instance of a list over runs, with its DAG. */
void shape_task_of(struct call *call, const struct query_task *task, const char *dag);
void shape_attempt(struct buf *buf, const struct query_attempt *attempt);
/* next_fire_ms 0: none. `errors`: JSON list, or NULL. */
bool shape_dag(struct call *call, const struct query_dag *dag, const struct query_shown *shown,
               int64_t next_fire_ms, const char *errors, struct nx_err *err);
/* A file from which no DAG has come. */
void shape_file(struct buf *buf, const char *id, const char *file, const char *errors);
/* Pieces of a graph: where it is drawn, its nodes and edges. */
struct drawn_task {
    const char *id, *uses, *group; /* uses, group: NULL: none */
    const char **members;          /* ids of a folded group; NULL: it is a task */
    uint32_t n_members;
    enum nx_trigger_rule rule;
    bool mapped, finally;
};
void graph_head(struct buf *body, const struct layout *layout);
void graph_node(struct buf *body, const struct drawn_task *task, struct layout_point at);
void graph_edge(struct buf *body, const char *from, const char *to, const struct layout_edge *edge);
/* {"dag", "run", "task", "map_index", "attempt", "who"} and what else an event has. */
void shape_dataset_event(struct buf *buf, const char *key, const struct query_dataset_event *event);
/* What the DAG's schedule waits for, if datasets start it: a list. */
bool put_dataset_waits(struct call *call, const char *key, const struct query_dag *dag,
                       const struct query_shown *shown, struct nx_err *err);
/* The names of a way from the dataset back to itself by which it would start itself; "null": there
 * is none. */
bool put_cycle(struct call *call, const char *key, const char *dataset, struct nx_err *err);
/* NX_E_NOT_FOUND with the nearest name. */
bool dataset_must_exist(struct call *call, const char *name, struct nx_err *err);
/* What a reason says without the core. */
const char *shape_reason_text(enum nx_reason reason);
/* The state of a task by its name; NULL: -1, any. */
bool shape_read_task_state(const char *text, int *state, struct nx_err *err);

/* ---- What handlers look up ---- */

/* The run that the path names, and its version. */
bool call_run(struct call *call, struct query_run **run, const struct dag_info **info,
              struct nx_err *err);

/* When the DAG is due next; 0: never, it is paused, or its file is gone. */
bool find_next_fire(struct call *call, const struct query_dag *dag, const struct query_shown *shown,
                    int64_t *due_ms, struct nx_err *err);

/* An id of a row as we write it, from 1: "01" would be another name of "1", whose changes nobody
 * finds under that. */
bool shape_read_id(const char *text, int64_t *id);
/* A copy of the run in the arena; NX_E_NOT_FOUND. `text`: its id. */
bool find_run(struct query *query, struct arena *arena, const char *text, struct query_run **run,
              struct nx_err *err);
/* NX_E_NOT_FOUND with the nearest name. `text`: name or name[3]. */
bool find_task(const struct dag_info *info, const char *text, uint32_t *task, int32_t *map,
               struct nx_err *err);
/* Where a page of task instances begins, as a cursor, and back. */
uint64_t task_cursor(uint32_t task, int32_t map);
void from_task_cursor(int64_t cursor, uint32_t n_tasks, uint32_t *task, int32_t *map);
/* ", did you mean 'x'?" for an error about a DAG that does not exist. */
bool fail_no_dag(struct query *query, const char *id, struct nx_err *err);
/* NX_E_NOT_FOUND with the nearest name; a removed DAG exists. */
bool dag_must_exist(struct call *call, const char *id, struct nx_err *err);
/* A DAG whose file is not there: *problems (JSON list) of a file of that name, or NX_E_NOT_FOUND.
 * NULL: the DAG is there. */
bool dag_problems(struct call *call, const char *id, const char **problems, struct nx_err *err);
/* One run, one DAG as a job's answer. */
bool run_to_body(struct job *job, struct query *query, struct nx_run_id id, struct nx_err *err);
bool dag_to_body(struct job *job, struct query *query, const char *id, struct nx_err *err);

#endif
