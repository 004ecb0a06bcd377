/* Reads of nexus.db for the API: a pool of read-only connections, usable from several threads, and
 * a cache of what is known of DAG versions.
 *
 * A query is one snapshot: everything that is read between query_begin and query_end belongs
 * together. Texts handed to callbacks live until the callback returns. A callback that returns
 * false ends the reading early, without an error. */
#ifndef SCHEDULER_STORE_QUERY_H
#define SCHEDULER_STORE_QUERY_H

#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "nexus/error.h"
#include "nexus/ids.h"
#include "nexus/states.h"

struct core_inst_row;
struct search;
struct query_pool;
struct query; /* a connection of the pool, one thread's until query_end */

/* The file must exist when the first query begins. query_ms: a statement that takes longer is
 * NX_E_TIMEOUT. */
struct query_pool *query_pool_new(const char *path, int64_t query_ms);
void query_pool_free(struct query_pool *pool); /* NULL is fine; no query may be open */

/* NULL: *err. */
struct query *query_begin(struct query_pool *pool, struct nx_err *err);
void query_end(struct query *query); /* NULL is fine */

/* ---- DAG versions ---- */

struct info_task {
    const char *id, *uses, *pool, *queue, *group; /* uses, pool, group may be NULL */
    const uint32_t *needs;
    uint32_t n_needs, max_attempts;
    enum nx_trigger_rule rule;
    bool finally, has_if, if_each; /* if_each: every mapped instance is asked */
    bool depends_on_past;
    uint32_t map;          /* tasks with the same number share a list; 0: not mapped */
    const char **consumes; /* datasets */
    uint32_t n_consumes;
};

/* What never changes of a version. */
struct dag_info {
    uint64_t id;    /* as stored */
    int64_t number; /* of its DAG, from 1 */
    int64_t created_ms;
    const char *dag, *file;
    struct info_task *tasks;
    uint32_t n_tasks, n_finally;
    struct map index; /* task id -> its index + 1 */
};

/* Lives until query_end. NX_E_NOT_FOUND. */
bool query_version(struct query *query, uint64_t id, const struct dag_info **info,
                   struct nx_err *err);
/* The task with that id, or -1. */
int64_t info_find(const struct dag_info *info, const char *task);
/* Marks the task and all that are upstream of it; above has n_tasks elements, all false. */
void info_above(const struct dag_info *info, uint32_t task, bool *above);

/* What a version's source says of the DAG, as spec_json made it. */
struct query_shown {
    int64_t number;
    const char *file;
    const char *members; /* of a JSON object: "description": ... to "tasks": ..., without the end */
    size_t n_members;
    const char *timetable; /* JSON: scheduler/dag/timetable_json.h; NULL: none */
};

/* Texts live until the next query_shown or query_end. NX_E_NOT_FOUND. */
bool query_shown(struct query *query, uint64_t version, struct query_shown *shown,
                 struct nx_err *err);

/* The last fire of each entry of a DAG's schedule, by the entry's key. */
bool query_marks(struct query *query, const char *dag,
                 bool (*fn)(void *arg, const char *key, int64_t watermark_ms), void *arg,
                 struct nx_err *err);

struct query_dag {
    const char *id;
    uint64_t version;
    bool present; /* its file is there */
    bool paused;
};

typedef bool query_dag_fn(void *arg, const struct query_dag *dag);
/* Present DAGs with an id after `after`, by id. */
bool query_dags(struct query *query, const char *after, size_t limit, query_dag_fn *fn, void *arg,
                struct nx_err *err);
struct query_dags {
    const struct search *search; /* these terms hold; NULL: all */
    const char *after;           /* ids beyond it; NULL: all */
    bool last_first;
    size_t limit;
};
/* Likewise, in one order or the other. */
bool query_find_dags(struct query *query, const struct query_dags *which, query_dag_fn *fn,
                     void *arg, struct nx_err *err);
/* One DAG, present or not: fn is called at most once. */
bool query_dag(struct query *query, const char *id, query_dag_fn *fn, void *arg,
               struct nx_err *err);
/* Files with problems (JSON list). `has_dag`: a present DAG comes from that file. */
bool query_problems(struct query *query,
                    bool (*fn)(void *arg, const char *file, const char *problems, bool has_dag),
                    void *arg, struct nx_err *err);
/* Versions of a DAG with a number below `before`, newest first. */
bool query_versions(struct query *query, const char *dag, int64_t before, size_t limit,
                    bool (*fn)(void *arg, uint64_t id, int64_t number, const char *file,
                               const char *hash, int64_t created_ms),
                    void *arg, struct nx_err *err);
/* The stored id of a DAG's version by its number; NX_E_NOT_FOUND. */
bool query_version_id(struct query *query, const char *dag, int64_t number, uint64_t *id,
                      struct nx_err *err);
/* The source of a version, appended. */
bool query_source(struct query *query, uint64_t version, struct buf *to, struct nx_err *err);

/* ---- Runs ---- */

struct query_run {
    struct nx_run_id id;
    const char *dag;
    uint64_t version;
    int64_t version_number;
    enum nx_run_state state;
    enum nx_run_cause cause;
    enum nx_reason reason;
    int64_t interval_start_ms, interval_finish_ms; /* 0: none */
    const char *params;                            /* JSON object */
    const char *note;                              /* or NULL */
    const char *triggers; /* the datasets that started it: JSON list; NULL: none */
    int64_t created_ms, started_ms, finished_ms; /* 0: not yet */
    int64_t deadline_ms, late_ms;                /* 0: none; it was not late */
    bool claims;                                 /* its data interval */
    uint32_t counts[NX_TASK_STATES];
};

struct query_runs {
    const char *dag;   /* or NULL: all */
    int state;         /* enum nx_run_state, or -1: all */
    bool late;         /* only those that were late */
    int64_t since_ms;  /* created then or later; 0: all */
    uint64_t before;   /* only ids below; 0: all */
    bool oldest_first; /* then `before` means only ids above */
    size_t limit;
};

typedef bool query_run_fn(void *arg, const struct query_run *run);
/* Newest first. */
bool query_runs(struct query *query, const struct query_runs *which, query_run_fn *fn, void *arg,
                struct nx_err *err);
/* Those of them of which the search's terms hold, newest first. One call looks at a bounded number
 * of runs: *next is then where it has stopped (all ids from it on were looked at), else 0. */
bool query_search(struct query *query, const struct query_runs *which, const struct search *search,
                  query_run_fn *fn, void *arg, uint64_t *next, struct nx_err *err);
/* Some of the runs: the newest `limit` below `before`, and of them those for which the search
 * holds. So the time it takes does not depend on how many there are, nor on how few fit. */
struct query_window {
    const struct search *search;
    const char *dag;  /* of this DAG; NULL: of all */
    bool unfinished;  /* that have not ended */
    bool with_failed; /* that have a failed task */
    int64_t since_ms; /* created then or later; 0: all */
    uint64_t before;  /* 0: all */
    size_t limit;
};

/* Newest first, without params, note, data interval and what started it. *last: the oldest run of
 * the window; 0: none is beyond it. */
bool query_run_window(struct query *query, const struct query_window *which, query_run_fn *fn,
                      void *arg, uint64_t *last, struct nx_err *err);
/* fn is called at most once. */
bool query_run(struct query *query, struct nx_run_id id, query_run_fn *fn, void *arg,
               struct nx_err *err);
/* Whether a worker elsewhere has, or had, an attempt. */
struct query_claim {
    uint64_t incarnation; /* of the worker, */
    const char *token;    /* and the id of its token */
    struct nx_run_id run;
    const char *task; /* its id */
    int32_t map;
    uint32_t attempt;
};

enum query_owner {
    QUERY_NO_WORKER, /* no worker is that, or not yet */
    QUERY_OTHERS,
    QUERY_MINE
};

bool query_owner(struct query *query, const struct query_claim *claim, enum query_owner *owner,
                 struct nx_err *err);
/* How long each successful task instance of the DAG's last n_runs ended runs took, in no order;
 * fewer runs when they have many tasks (n_tasks: of one). */
bool query_durations(struct query *query, const char *dag, size_t n_tasks, size_t n_runs,
                     bool (*fn)(void *arg, uint64_t version, uint32_t task, int64_t ms), void *arg,
                     struct nx_err *err);
/* How many runs are queued, running, stopping. */
bool query_unfinished(struct query *query, int64_t counts[NX_RS_SUCCESS], struct nx_err *err);

/* What the store has that somebody should look at. */
struct query_figures {
    int64_t dags, paused_dags, broken_files;
    int64_t approvals;                /* that wait for an answer */
    int64_t notifications, backfills; /* that wait to be sent; that go on or are paused */
};
bool query_figures(struct query *query, struct query_figures *figures, struct nx_err *err);

/* How many runs that were created then or later are in each state. */
bool query_run_counts(struct query *query, const char *dag, int64_t since_ms,
                      int64_t counts[NX_RUN_STATES], struct nx_err *err);

struct query_audit {
    int64_t id, at_ms;
    const char *who, *what, *target;
    const char *detail; /* JSON object, or NULL */
};

/* Who changed what; ids below `before` (0: all), newest first. */
bool query_audit(struct query *query, int64_t before, size_t limit,
                 bool (*fn)(void *arg, const struct query_audit *audit), void *arg,
                 struct nx_err *err);

/* The last change of a target by what fits `kind` ("pool.*"): fn is called at most once. */
bool query_last_change(struct query *query, const char *kind, const char *target,
                       bool (*fn)(void *arg, const struct query_audit *audit), void *arg,
                       struct nx_err *err);

struct query_approval {
    uint64_t id, version;
    struct nx_inst_id inst;
    const char *dag, *message, *form;          /* form: JSON, a list like params */
    bool open;                                 /* it waits for an answer */
    bool approved;                             /* valid when it was decided */
    int64_t asked_ms, due_ms, decided_ms;      /* 0: none */
    const char *decided_by, *comment, *values; /* or NULL; values: a JSON object */
};

struct query_approvals {
    uint64_t id;          /* this one alone; 0: all */
    struct nx_run_id run; /* of this run; 0: of all */
    bool all;             /* those that do not wait for an answer too */
    uint64_t after;       /* only ids above */
    size_t limit;
};

/* Oldest first. */
bool query_approvals(struct query *query, const struct query_approvals *which,
                     bool (*fn)(void *arg, const struct query_approval *approval), void *arg,
                     struct nx_err *err);

struct query_backfill {
    uint64_t id;
    const char *dag, *reprocess, *params;
    int state;             /* enum core_backfill_state */
    enum nx_reason reason; /* why it rests */
    int64_t from_ms, to_ms, created_ms, next, n_items, max_active;
    bool backwards, dag_paused;
    int64_t counts[NX_RUN_STATES]; /* of its runs */
    /* Of what has begun: intervals whose run is not its own (another made it before, or it was
     * cleared by hand or by another backfill since), and those whose run was deleted since. */
    int64_t n_others, n_deleted;
};

struct query_backfills {
    uint64_t id;     /* this one alone; 0: all */
    const char *dag; /* or NULL */
    uint64_t before; /* only ids below; 0: all */
    size_t limit;
};

/* Newest first. */
bool query_backfills(struct query *query, const struct query_backfills *which,
                     bool (*fn)(void *arg, const struct query_backfill *backfill), void *arg,
                     struct nx_err *err);

/* ---- Task instances and attempts ---- */

struct query_attempt {
    uint32_t number;
    enum nx_attempt_outcome outcome; /* NONE: it has not ended; state says where it is */
    enum nx_task_state state;        /* of the instance */
    const char *worker;              /* id, or NULL */
    int64_t started_ms, finished_ms; /* 0: not yet */
    int64_t exit_code, signal, max_rss_bytes, cpu_us; /* -1: unknown */
    enum nx_code code;
    const char *error; /* or NULL */
};

/* An instance; where no row is stored yet the state is the one that its absence means. */
struct query_task {
    const struct info_task *task;
    struct nx_inst_id id;
    enum nx_task_state state;
    enum nx_reason reason;
    uint32_t attempt;
    const char *worker;
    int64_t due_ms, ready_ms, started_ms, finished_ms;
    const char *error;
    const char *outputs; /* JSON object, or NULL */
};

struct query_tasks {
    const struct query_run *run; /* id, state, counts */
    const struct dag_info *info;
    uint32_t from;    /* first task index */
    int32_t from_map; /* of that one: from this map index on */
    int state;        /* enum nx_task_state, or -1: all */
    bool outputs;
    bool own; /* also the own instance of an expanded task */
};

typedef bool query_task_fn(void *arg, const struct query_task *task);
/* In the order of the DAG's tasks; of a task that is mapped over a list its instances, by index. */
bool query_tasks(struct query *query, const struct query_tasks *which, query_task_fn *fn, void *arg,
                 struct nx_err *err);
/* One instance (NX_MAP_NONE of a mapped task: its own, which is removed once the list is known);
 * *found false: there is none with that map index. */
bool query_task(struct query *query, const struct query_run *run, const struct dag_info *info,
                uint32_t task, int32_t map, query_task_fn *fn, void *arg, bool *found,
                struct nx_err *err);

/* The rows of a run's instances, as the core loads them. */
bool query_insts(struct query *query, struct nx_run_id run,
                 void (*fn)(void *arg, const struct core_inst_row *row), void *arg,
                 struct nx_err *err);

/* Attempts, the first first. */
bool query_attempts(struct query *query, struct nx_inst_id id,
                    bool (*fn)(void *arg, const struct query_attempt *attempt), void *arg,
                    struct nx_err *err);

#endif
