/* The core's own structures; not for users of core.h. */
#ifndef SCHEDULER_CORE_STATE_H
#define SCHEDULER_CORE_STATE_H

#include "lib/base/map.h"
#include "scheduler/core/core.h"

/* A loaded DAG version, shared by its runs. */
struct version {
    uint64_t id;
    struct graph *graph;
    uint32_t *class_of; /* graph class -> core class */
    uint32_t n_runs;
    bool current;
    struct map ids; /* of its tasks -> index + 1; empty until it is needed */
};

/* Of one entry of a timetable: see schedule.c. */
struct mark {
    char *key;
    int64_t watermark_ms, from_ms;
    struct core_use *uses; /* of an entry that datasets start: see dataset.c */
    size_t n_uses;
    bool taken, kept; /* while marks are carried over */
};

struct dag {
    char id[NX_ID_MAX + 1];
    struct timetable *timetable; /* NULL: none */
    VEC(struct mark) marks;      /* one an entry of the timetable; without one those it had */
    uint32_t generation;         /* of its fire timers: others are void */
    bool paused, marks_known, marks_dirty;
    bool in_checks;          /* of the core */
    struct version *version; /* NULL: its file is gone */
    uint32_t n_active;       /* runs that are running or stopping */
    VEC(uint32_t) waiting;   /* slots of queued runs, oldest first */
    size_t waiting_first;
};

/* What tasks write and schedules wait for: see dataset.c. */
struct dataset {
    char name[NX_ID_MAX + 1];
    uint64_t version; /* of its last event; 0: there was none */
    int64_t event_ms;
    VEC(struct dag *) starts; /* DAGs whose timetable names it */
    VEC(uint32_t) waits;      /* places of waits for it; some may be stale */
    bool heard;               /* in the core's list: who waits has not been told */
};

struct backfill {
    uint64_t id;
    struct dag *dag;
    enum core_backfill_state state;
    enum nx_reason reason; /* why it rests */
    uint32_t max_active, n_active;
    size_t n_items, next;
    struct core_backfill_item *items;
    bool dirty;
};

enum inst_flag {
    INST_DIRTY = 1,
    INST_ROW = 2,      /* has a row in the store (after this turn's commit) */
    INST_ANSWERED = 4, /* its `if` was decided */
    INST_READY = 8,    /* an entry of its ready queue points to it */
    INST_HELD = 16,    /* a worker holds its lease; counts against pool and worker */
    INST_BACK = 32,    /* a give_back was ordered */
    INST_UP_SELF = 64, /* of its up_failed at least one failed itself: not upstream_failed */
    INST_BLANK = 128   /* its row says waiting, and means as much as none would */
};

#define LOSSES_MAX 15

/* 64 bytes: a run of 100,000 tasks is counted in these. */
struct inst {
    uint8_t state;  /* enum nx_task_state */
    uint8_t reason; /* enum nx_reason */
    uint8_t flags;
    uint8_t losses : 4;      /* of attempts that had started; see attempt.c */
    uint8_t leases_lost : 4; /* in all */
    uint16_t attempt;        /* number of the current or last attempt; 0: none yet */
    uint16_t failures;
    uint32_t lease;  /* number of the last lease */
    uint32_t worker; /* number of the worker that holds, or held, it */
    uint32_t up_success, up_failed, up_skipped;
    uint32_t hand;    /* held: index in its worker's hands; deciding or asked: number of its ask;
                         deferred: its place among the waits; waiting for its past: the state
                         there; ended: 1 + index of what it left out, or 0 */
    int64_t due_mono; /* of the timer that its state has; 0: none */
    int64_t ready_ms, started_ms, finished_ms;
};

/* Where a mapped instance belongs. */
struct place {
    uint32_t task;
    int32_t map;
};

/* A task that is mapped: once its list is known its own instance is removed, and those of the
 * items stand for it. */
struct member {
    uint32_t n_open;  /* instances that are not final */
    VEC(uint32_t) at; /* map index -> index of the instance, also of those beyond the list now */
};

/* A list, shared by the tasks that are mapped over it. See mapped.c. */
struct mapping {
    uint32_t n; /* items; 0: not known, no member is expanded */
    /* With max_parallel: indexes are admitted in order, and leave when all their instances are
     * final. */
    uint32_t n_admitted, next; /* below next nobody waits to be admitted */
    VEC(uint32_t) open;        /* index -> its instances that are not final */
    VEC(bool) admitted;
};

/* Tasks directly below that some instances of a task have left out: see choice.c. */
struct left_out {
    uint32_t task, n;
    uint32_t *tasks;
};

/* See slice.c. */
struct edit_rest {
    struct core_edit_row row;
    uint8_t *picks;
    uint32_t next;
    bool fresh; /* not committed yet: what is promised comes first */
};

struct run {
    struct nx_run_id id;
    struct dag *dag;
    struct version *version;
    /* n_insts: one a task, at the task's index; then the mapped ones, whose place is
     * places.at[index - n_tasks]. An instance keeps its index. */
    struct inst *insts;
    uint32_t n_insts, cap_insts;
    VEC(struct place) places;
    struct mapping *mappings; /* n_maps of the graph */
    struct member *members;   /* n_map_tasks of the graph */
    VEC(struct left_out) left_out;
    uint32_t slot;
    uint8_t state; /* enum nx_run_state */
    uint8_t cause;
    uint8_t reason;
    uint64_t backfill;        /* 0: none */
    struct nx_inst_id parent; /* that started it; run 0: none */
    uint32_t depth;           /* how many runs started each other before it */
    bool moved;               /* more than its counts has changed since the last commit */
    bool dirty, finally_begun, finally_failed, leaf_failed;
    bool claims;            /* it is the one run of its DAG and data interval */
    bool ahead;             /* queued, and begins with the turn: another run waits for it */
    struct edit_rest *rest; /* of an edit that goes on; NULL: none */
    struct core_past past;  /* the one that it waits for; run 0: none */
    uint32_t n_left;        /* instances that are not final */
    uint32_t n_normal_left; /* of these, the ones that are not finally tasks */
    uint32_t counts[NX_TASK_STATES];
    int64_t interval_start_ms, interval_finish_ms;
    int64_t created_ms, started_ms, finished_ms;
    int64_t due_mono;             /* its timeout; 0: none */
    int64_t deadline_ms, late_ms; /* wall: see core_run_row */
    int64_t late_mono;            /* of the deadline's timer */
};

struct ready_entry {
    uint64_t key;   /* priority, live before backfill, age of the run */
    uint64_t order; /* within the run: rank; of mapped ones the map's, the index, their own */
    uint32_t slot;  /* of the run */
    uint32_t at;    /* of the instance */
};

struct pool {
    char *name;
    int64_t slots; /* negative: does not exist */
    int64_t used;
};

/* A concurrency key: over all DAGs and runs at most `most` of it are held. */
struct limit {
    char *key;
    uint32_t used;
    uint32_t most; /* the smallest of the classes that unfinished runs use */
};

/* Tasks that need the same of a worker and of pools: if one cannot go, none can. */
struct class
{
    struct graph_class needs; /* texts are the core's */
    struct pool *pool;        /* NULL: none */
    struct limit *limit;      /* NULL: none */
    uint32_t n_versions;      /* with unfinished runs that use it; of one with a limit */
    VEC(struct ready_entry) heap;
    uint64_t blocked; /* turn in which it was found blocked */
    uint8_t why;      /* and why: enum nx_reason */
};

/* A lease in a worker's hands. */
struct hand {
    uint32_t slot, task;
    uint64_t order; /* its order's number in this epoch; 0: known before it */
    uint64_t mark;  /* the last report that had it */
    uint16_t progress;
    char *text; /* of the progress, the hand's own; NULL: none */
};

/* A look at what an instance waits for, under way on a worker. */
struct poke {
    uint32_t wait;   /* its place among the waits */
    uint64_t number; /* never used twice: the fence */
    uint64_t order;
    uint64_t mark; /* the last report that had it */
};

#define FORMER_MAX 8

struct worker {
    char id[NX_ID_MAX + 1], host[NX_NAME_MAX], version[NX_NAME_MAX], queues[512];
    char address[48]; /* where its reports come from; "" on this machine */
    char token[16];   /* that they come with; likewise */
    uint32_t number;
    uint64_t incarnation;
    uint64_t former[FORMER_MAX]; /* earlier incarnations: their late reports are refused */
    uint32_t n_former;
    bool owned;   /* its name belongs to `token` */
    bool known;   /* has reported in this epoch */
    bool lost;    /* silent for too long */
    bool drain;   /* by a person */
    bool leaving; /* by itself */
    bool ipc, catalog_fits;
    uint32_t pid, slots, gpus;
    int64_t memory_bytes, memory_used;
    uint32_t gpus_used;
    uint64_t seq, listen_seq, seen, starved, mark;
    uint32_t mean_us, depth; /* prefetch */
    int64_t last_mono, last_wall;
    VEC(struct hand) hands;
    VEC(struct poke) pokes;        /* at most NX_POKES_IN_HAND */
    VEC(struct core_order) orders; /* those that it may not have seen */
    size_t orders_first;
    uint64_t next_order;
    uint64_t sent;   /* the highest order in an answer so far */
    uint64_t parked; /* context of its listen; 0: none */
    uint64_t parked_seen;
    int64_t parked_until;
    uint64_t least_urgent; /* the largest ready key among the hands since they were empty */
    uint64_t reserved;     /* turn in which a more urgent class waits for its slots */
    bool answered;         /* a report of it is answered in this turn */
    bool timer_set, listen_timer_set;
    bool dirty;
};

enum timer_kind { TIMER_INST, TIMER_WAIT, TIMER_RUN, TIMER_WORKER, TIMER_LISTEN, TIMER_LATE };

struct timer {
    int64_t due_mono; /* among core->walls: by the wall clock */
    uint32_t kind;
    uint32_t a, b; /* slot and task; slot; worker number */
    uint32_t c;    /* low bits of the run's id: a slot may have been reused */
};

/* A planned fire, by the wall clock; checked when it is due. */
struct fire_timer {
    int64_t due_wall;
    struct dag *dag;
    uint32_t entry, generation;
};

struct spread {
    uint32_t slot, at;
};

/* What a deferred instance waits for: see wait.c. */
struct wait {
    uint32_t slot, task;
    bool used;
    bool queued;                   /* its look is due, and no worker has it yet */
    uint32_t worker;               /* that has its look */
    uint64_t poke;                 /* number of the look that is under way; 0: none */
    int64_t due_wall;              /* of a time, or how old a dataset may be; 0: neither */
    const struct dataset *dataset; /* NULL: it waits for something else */
    int64_t timeout_mono;          /* 0: none */
    struct nx_run_id child;        /* the run that it started; 0: none yet */
};

struct core {
    struct core_config config;
    int64_t mono_ms, wall_ms;
    uint64_t turn;
    struct map dags;      /* text -> struct dag */
    struct map versions;  /* number -> struct version */
    struct map pools;     /* text -> struct pool */
    struct map limits;    /* text -> struct limit */
    struct map followers; /* id of a run -> struct followers: see past.c */
    struct map run_slots; /* id -> struct run */
    struct map workers_by_id;
    struct map datasets;         /* text -> struct dataset */
    VEC(struct dataset *) heard; /* with a new event */
    VEC(struct dag *) checks;    /* DAGs that events may start */
    struct map backfills;        /* id -> struct backfill */
    VEC(uint64_t) ended_backfills;
    VEC(uint32_t) beginning; /* slots of queued runs that wait for nothing */
    VEC(struct run *) runs;  /* by slot; NULL: free */
    VEC(uint32_t) free_slots;
    VEC(struct class *) classes;
    VEC(struct worker *) workers;
    VEC(struct fire_timer) fires; /* heap */
    int64_t up_since_wall;        /* since then the schedules were watched without a break */
    int64_t turn_wall, turn_mono; /* of the last turn; mono 0: there was none */
    VEC(struct timer) timers;     /* heap */
    VEC(struct timer) walls;      /* heap by the wall clock: instances that wait for an instant */
    VEC(struct wait) waits;
    VEC(uint32_t) free_waits;
    VEC(uint32_t) pokes; /* places of waits whose look is due, oldest first; some may be stale */
    uint32_t n_pokes;    /* looks ordered in this epoch */
    VEC(struct nx_run_id) to_stop; /* runs whose starter was stopped */
    VEC(struct core_ask) asks;     /* not emitted yet */
    size_t asks_first;
    uint32_t n_asks;           /* numbers of asks */
    uint32_t n_emitted;        /* asks since the last commit */
    uint32_t n_sliced;         /* tasks that large edits have changed since then */
    VEC(struct spread) spread; /* ended instances whose downstream has not been told */
    size_t spread_first;
    VEC(uint32_t) to_check;      /* slots of runs that may have come to their end */
    VEC(uint32_t) editing;       /* slots of runs with an edit_rest */
    VEC(uint32_t) ended;         /* slots of runs to be freed after the commit */
    VEC(struct dag *) startable; /* DAGs that may have room for a run */
    struct core_update *update;  /* of the step that runs */
    uint64_t moves[NX_TASK_STATES][NX_TASK_STATES];
};

/* Below, `at` is the index of an instance in run->insts. */

/* The index of its task. */
static inline uint32_t task_at(const struct run *run, uint32_t at)
{
    uint32_t n_tasks = run->version->graph->n_tasks;
    return at < n_tasks ? at : run->places.at[at - n_tasks].task;
}

static inline const struct graph_task *task_of(const struct run *run, uint32_t at)
{
    return &run->version->graph->tasks[task_at(run, at)];
}

/* NX_MAP_NONE: the instance of the task itself. */
static inline int32_t map_at(const struct run *run, uint32_t at)
{
    uint32_t n_tasks = run->version->graph->n_tasks;
    return at < n_tasks ? NX_MAP_NONE : run->places.at[at - n_tasks].map;
}

/* A mapped task's own instance, for which those of the items stand. */
static inline bool stands_aside(const struct run *run, uint32_t at)
{
    return run->insts[at].state == NX_TS_REMOVED && at < run->version->graph->n_tasks;
}

/* run.c: DAG versions, runs, their beginning and end. */
struct version *version_load(struct core *core, uint64_t id, struct graph *graph);
void version_make_current(struct core *core, struct version *version);
void version_release(struct core *core, struct version *version);
struct dag *dag_get(struct core *core, const char *id); /* made if it is new */
struct run *run_find(const struct core *core, struct nx_run_id id);
struct run *run_new(struct core *core, struct nx_run_id id, struct version *version);
void run_free(struct core *core, struct run *run);
void run_dirty(struct core *core, struct run *run);
void run_set(struct core *core, struct run *run, enum nx_run_state state);
/* Whether it is a scheduled one that does not begin while its DAG is paused. */
bool run_rests(const struct run *run);
/* Puts a queued run into its DAG's line; one of a backfill begins with the turn. */
void run_wait(struct core *core, struct run *run);
/* A queued run is in no line any more. */
void run_leave(struct run *run);
/* A queued run does not wait for max_active_runs. */
void run_ahead(struct core *core, struct run *run);
void run_start_waiting(struct core *core);
void run_stop(struct core *core, struct run *run, enum nx_reason reason);
/* Derives all counters of the run from the states of its instances. */
void run_count(struct run *run);

/* schedule.c: timetables. */
void schedule_set(struct core *core, struct dag *dag, struct timetable *timetable,
                  const struct core_mark *stored, size_t n_stored);
/* The timetable begins or goes on: decides about what was missed, and plans what comes. */
void schedule_resume(struct core *core, struct dag *dag);
void schedule_turn(struct core *core); /* everything that is due */
void schedule_run_ended(struct core *core, struct dag *dag);
/* Room for one more scheduled run, as `overlap` says; false: it is skipped. */
bool schedule_makes_way(struct core *core, struct dag *dag);
void schedule_fini(struct dag *dag);
/* The mark has changed. */
void schedule_dirty(struct core *core, struct dag *dag);
/* A start at that time is due again to be looked at. */
void schedule_plan(struct core *core, struct dag *dag, uint32_t entry, int64_t due_wall);

/* dataset.c */
struct dataset *dataset_get(struct core *core, const char *name); /* made if it is new */
void dataset_emit(struct core *core, const struct core_event *event);
/* The instance has become a success: what it produces has a new version; what a mapped task does,
 * with the last of its instances. */
void dataset_produced(struct core *core, const struct run *run, uint32_t at);
/* How far the entry has used its datasets: as the former mark (NULL: none) says, else from now. */
void dataset_carry(struct core *core, struct mark *mark, const struct mark *former,
                   const struct timetable_entry *entry);
/* The DAG's timetable is another one from now on. */
void dataset_follow(struct core *core, struct dag *dag, const struct timetable *former);
/* The DAG is looked at in this turn. */
void dataset_check(struct core *core, struct dag *dag);
void dataset_turn(struct core *core);
/* Whether events start a run by that entry. */
bool dataset_is_due(const struct core *core, const struct dag *dag, uint32_t entry);
/* The run takes all that is new for the entry. */
void dataset_take(struct core *core, struct run *run, uint32_t entry);
void dataset_fini(struct core *core);

/* backfill.c */
void backfill_new(struct core *core, const struct core_event *event);
void backfill_change(struct core *core, const struct core_event *event);
void backfill_stuck(struct core *core, const struct core_event *event);
/* The DAG's file is gone, or there. */
void backfill_dag(struct core *core, const struct dag *dag, bool gone);
void backfill_turn(struct core *core);
void backfill_turn_done(struct core *core, const struct core_update *update);
void backfill_run_began(struct core *core, const struct run *run);
void backfill_run_ended(struct core *core, const struct run *run);
struct backfill *backfill_find(const struct core *core, uint64_t id);
void backfill_free(struct backfill *backfill);

/* mapped.c: mapped tasks. */
/* The instance of that index; NO_INST: there is none. */
#define NO_INST UINT32_MAX
uint32_t mapped_find(const struct run *run, uint32_t task, int32_t map);
/* The same, made if it is new: an instance that is not to be (removed). */
uint32_t mapped_make(struct run *run, uint32_t task, int32_t map);
struct mapping *mapping_of(const struct run *run, uint32_t task); /* NULL: not mapped */
/* The list is known: every member that is not final gives way to its instances. Nothing that has
 * ended may be untold (core->spread), as they count what is final; mapped_decide is to follow. */
void mapped_expand(struct core *core, struct run *run, uint32_t map, uint32_t n);
void mapped_decide(struct core *core, struct run *run, uint32_t map);
/* The list is to be asked for again: instances are removed, and the members wait. */
void mapped_fold(struct core *core, struct run *run, uint32_t map);
/* Whether it is a mapped task's own instance. */
bool mapped_own(const struct run *run, uint32_t at);
/* Whether the list, as it is now, does not have the instance. */
bool mapped_is_out(const struct run *run, uint32_t at);
/* The instance became final, or is not any more. */
void mapped_count(struct core *core, struct run *run, uint32_t at, bool final);
bool mapped_admitted(const struct run *run, uint32_t at);
/* Whether all items of the task's list are done: each success or skipped. */
bool mapped_succeeded(const struct run *run, uint32_t task);
/* See core_get_task_state. */
enum nx_task_state mapped_state(const struct run *run, uint32_t task);
/* After rows were loaded: instances without one; then who was admitted. */
void mapped_load_done(struct run *run);
void mapped_load_admitted(struct run *run);
/* Admits the next, as far as max_parallel allows. */
void mapped_admit(struct core *core, struct run *run);
void mapped_free(struct run *run);
/* Those of a downstream task that need the instance: the one of the same index, or all. */
struct needing {
    const struct run *run;
    uint32_t task;
    uint32_t next, end; /* map indexes + 1; 0: the task's own */
};
struct needing mapped_needing(const struct run *run, uint32_t at, uint32_t down);
bool mapped_next(struct needing *all, uint32_t *at);
/* The upstream task's instance that goes with this one: that of the same index, or its own. */
uint32_t mapped_along(const struct run *run, uint32_t at, uint32_t up);
/* How many units of the trigger rule the upstream of the instance are. */
uint32_t mapped_n_up(const struct run *run, uint32_t at);
/* Derives what the instance's upstream has come to so far. */
void mapped_count_up(struct run *run, uint32_t at);

/* inst.c: instances. inst_set is the only writer of an instance's state. */
struct nx_inst_id inst_id(const struct run *run, uint32_t at);
struct inst *inst_find(const struct core *core, struct nx_inst_id id, struct run **run);
/* The instance's index in its run. */
static inline uint32_t inst_index(const struct run *run, const struct inst *inst)
{
    return (uint32_t)(inst - run->insts);
}
void inst_set(struct core *core, struct run *run, uint32_t at, enum nx_task_state state,
              enum nx_reason reason);
void inst_dirty(struct core *core, struct run *run, uint32_t at);
/* Decides a waiting instance if its trigger rule can. */
void inst_decide(struct core *core, struct run *run, uint32_t at);
/* The same, when its past lets it run. */
void inst_decide_now(struct core *core, struct run *run, uint32_t at);
void inst_queue(struct core *core, struct run *run, uint32_t at);
/* It is decided that it runs: it is queued, or begins to wait. when_ms: see core_event.answer. */
void inst_begin(struct core *core, struct run *run, uint32_t at, int64_t when_ms);
/* What is still to be asked before it begins, of enum core_question. Its past, if that counts, is
 * asked before all else (past_ask). The `if` of a mapped task is asked once,
 * before the list is; of every instance if it names the item or the task is of a group. */
unsigned inst_asks(const struct run *run, uint32_t at);
/* The question of a deciding instance goes out in this turn, or again after a restart. */
void inst_ask(struct core *core, struct run *run, uint32_t at);
/* Makes a queued instance ready: its place in line and its queue timeout. */
void inst_ready(struct core *core, struct run *run, uint32_t at);
void inst_answer(struct core *core, const struct core_event *event);
/* Whether its state can be told without its row. */
static inline bool inst_rowless(const struct inst *inst)
{
    return !(inst->flags & INST_ROW) || (inst->flags & INST_BLANK);
}

/* Counts a final state for those that need it. */
void inst_count(struct run *run, uint32_t at);
void inst_add_up(struct inst *inst, enum nx_task_state state); /* of one of its upstream */
/* Stopping, with a state that a person gave it. */
static inline bool inst_marked(const struct inst *inst)
{
    return inst->reason == NX_WHY_MARK_SUCCESS || inst->reason == NX_WHY_MARK_FAILED;
}

/* As if it had never run: waiting, with its numbers of attempt and lease going on. */
void inst_clear(struct core *core, struct run *run, uint32_t task);
/* Tells the downstream of everything that ended, and ends or moves on the runs concerned. */
void inst_spread(struct core *core);

/* attempt.c: what the end of an attempt means. */
void attempt_hold(struct core *core, struct worker *worker, struct run *run, uint32_t task,
                  uint64_t order);
void attempt_lease(struct core *core, struct worker *worker, struct run *run, uint32_t task);
void attempt_result(struct core *core, struct run *run, uint32_t task,
                    const struct wire_result *result);
void attempt_back(struct core *core, struct run *run, uint32_t task);
/* The worker or child is gone. elsewhere: it may still be running there. */
void attempt_lost(struct core *core, struct run *run, uint32_t task, bool elsewhere,
                  const struct wire_result *result);
/* What was stopped has come to its end: what its reason says. */
void attempt_stopped(struct core *core, struct run *run, uint32_t task);
/* An exclusive one that was lost elsewhere: retrying, until it cannot run there any more. Then it
 * is queued again, or, with the reason of a stop, stopped. */
bool attempt_elsewhere(const struct inst *inst);
int64_t attempt_retry_delay(const struct run *run, uint32_t task);
/* The end of an attempt goes into the update. */
void attempt_note_end(struct core *core, struct run *run, uint32_t task,
                      enum nx_attempt_outcome outcome, const struct wire_result *result);
/* Likewise, of a wait that had started a run (0: none), which is in that state. */
void attempt_note_child(struct core *core, struct run *run, uint32_t task,
                        enum nx_attempt_outcome outcome, struct nx_run_id child,
                        enum nx_run_state state);
/* An attempt has failed: it is tried again, or the instance fails. NX_WHY_NONE: the reason follows
 * from the result. */
void attempt_failed(struct core *core, struct run *run, uint32_t task,
                    const struct wire_result *result, enum nx_reason reason);

/* wait.c: waiting without a slot. */
struct wait *wait_of(const struct core *core, const struct inst *inst);
void wait_begin(struct core *core, struct run *run, uint32_t task, int64_t when_ms);
void wait_resume(struct core *core, struct run *run, uint32_t task);
void wait_load_done(struct core *core);
/* Ends the attempt of an instance that a person or its run stops; it leaves `deferred` next. */
void wait_stop(struct core *core, struct run *run, uint32_t task);
void wait_due(struct core *core, struct run *run, uint32_t task);
void wait_due_wall(struct core *core, struct run *run, uint32_t task, int64_t due_wall);
void wait_timed_out(struct core *core, struct run *run, uint32_t task, int64_t due_mono);
void wait_decided(struct core *core, const struct core_event *event);
bool wait_wants_run(const struct core *core, const struct core_start *start);
void wait_run_began(struct core *core, const struct run *child);
void wait_run_ended(struct core *core, const struct run *child);
void wait_start_failed(struct core *core, const struct core_event *event);
/* Cancels the runs whose starters were stopped. */
void wait_stop_children(struct core *core);
void wait_turn(struct core *core); /* gives out the looks that are due */
void wait_lose_worker(struct core *core, struct worker *worker);
void wait_report(struct core *core, struct worker *worker, const struct wire_report *report,
                 uint64_t seen);
/* Ends the waits for datasets that have a new event. */
void wait_heard(struct core *core);

/* choice.c: tasks that decide which of those below them go on. */
/* Its trigger rule and its `if` say run: it has ended, with the answer's choice (NULL: all go on).
 */
void choice_end(struct core *core, struct run *run, uint32_t at, const struct core_event *event);
/* As it was stored; of an ended instance. */
void choice_load(struct run *run, uint32_t at, const uint32_t *left_out, uint32_t n);
/* What it left out; NULL: nothing. */
const struct left_out *choice_of(const struct run *run, uint32_t at);
/* What an ended instance is to a task directly below it. */
enum nx_task_state choice_seen(const struct run *run, uint32_t at, uint32_t down);
/* One of its upstream that left it out, or NO_INST. */
uint32_t choice_skipper(const struct run *run, uint32_t at);
void choice_free(struct run *run);

/* edit.c: what a person does to a run's tasks. */
enum edit_pick { EDIT_NONE, EDIT_CLEAR, EDIT_MARK, EDIT_KEEP /* its row is written */ };
void edit_run(struct core *core, const struct core_event *event);
/* Does what was picked for one instance, unless it is done; whether there was anything to do. */
bool edit_one(struct core *core, struct run *run, uint32_t at, uint8_t how, enum core_edit what);

/* slice.c: large edits, over several turns; of runs without mapped tasks. */
void slice_begin(struct core *core, struct run *run, const struct core_edit_row *row);
void slice_turn(struct core *core);
void slice_turn_done(struct core *core, const struct core_update *update);
/* What is left of it is not done. */
void slice_drop(struct core *core, struct run *run);
void slice_free(struct run *run);

/* ready.c: classes, pools and ready queues. */
uint32_t class_intern(struct core *core, const struct graph_class *needs);
struct class *class_of(const struct core *core, const struct run *run, uint32_t task);
struct pool *pool_get(struct core *core, const char *name);
/* The first unfinished run of the version begins, or the last one has ended: its concurrency limits
 * count, or do not. */
void limits_count(struct core *core, const struct version *version, bool on);
/* Queued instances of the class. */
uint32_t ready_count(const struct core *core, const struct class *class);
/* Since when the one waits that has waited longest; 0: none, or not known. */
int64_t ready_oldest_ms(const struct core *core, const struct class *class);
void ready_push(struct core *core, struct run *run, uint32_t task);
/* The most urgent queued instance of the class; stale entries are dropped. False: none. */
bool ready_peek(struct core *core, struct class *class, struct run **run, uint32_t *task);
void ready_pop(struct core *core, struct class *class);
uint64_t ready_key(const struct run *run, uint32_t task);

/* assign.c: the end of a turn. */
void assign_turn(struct core *core);
bool assign_fits(const struct worker *worker, const struct class *class);
bool assign_available(const struct worker *worker);

/* fleet.c: workers. */
void fleet_report(struct core *core, const struct wire_report *report, uint64_t context);
struct worker *fleet_find(const struct core *core, uint32_t number);
struct worker *fleet_add(struct core *core, const char *id, uint32_t number);
uint64_t fleet_order(struct worker *worker, enum wire_order_kind kind, struct run *run,
                     uint32_t task);
void fleet_drop(struct core *core, struct worker *worker, uint32_t hand);
void fleet_answer(struct core *core); /* the parked listens that are due */
void fleet_turn_done(struct core *core);
void fleet_watch(struct core *core, struct worker *worker);
void fleet_timer(struct core *core, uint32_t number);
void fleet_listen_timer(struct core *core, uint32_t number);
void fleet_drain(struct core *core, const char *id, bool on, uint64_t token);

/* timer.c */
void timer_push(struct core *core, struct timer timer);
void timer_inst(struct core *core, struct run *run, uint32_t task, int64_t due_mono);
void timer_run(struct core *core, struct run *run, int64_t due_mono);
void timer_wall(struct core *core, struct run *run, uint32_t task, int64_t due_wall);
void timer_turn(struct core *core); /* everything that is due */

/* past.c: depends_on_past. Only the tasks' own instances do: `task` is of one of these. */
/* Whether the instance has to ask for its past before it runs. */
bool past_counts(const struct run *run, uint32_t at);
/* Whether it is waiting for its past, or that is being asked. */
bool past_waits(const struct inst *inst);
void past_ask(struct core *core, struct run *run, uint32_t task);
void past_answer(struct core *core, struct run *run, uint32_t task, const struct core_event *event);
/* An instance has come to its end: who waits for it asks again. */
void past_ended(struct core *core, const struct run *run, uint32_t at);
void past_gone(struct core *core, struct nx_run_id id);
/* A new run may come between two others. */
void past_made(struct core *core, const struct run *run);
/* The run waits for no other any more. */
void past_forget(struct core *core, struct run *run);
bool past_is_waited_for(const struct core *core, const struct run *run);
const char *past_check(const struct core *core, const struct run *run);

/* late.c: deadlines of runs. */
/* The run has its DAG's deadline, counted from then. */
void late_begin(struct core *core, struct run *run, int64_t from_wall);
/* The timer of the one that it has. */
void late_plan(struct core *core, struct run *run);
void late_due(struct core *core, struct run *run, int64_t due_mono);

/* core.c */
void core_answer_to(struct core *core, uint64_t token, struct nx_run_id run, enum nx_code code,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
