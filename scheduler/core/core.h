/* The scheduler's core: a pure function of its events. No I/O, no clock, no threads, no randomness,
 * no globals; time comes with each event.
 *
 *     core_step(core, &event, &update);   ... any number of events
 *     core_step(core, &turn, &update);    EV_TURN: due timers, then assignment
 *     (the engine commits what the update lists, then sends what it lists)
 *     core_turn_done(core, &update);      frees ended runs, empties the update
 *
 * What the update lists as rows is read from the core at commit: each row once, as it is then.
 * Recovery is core_load_* with the rows, then core_load_done: there is no recovery flag. */
#ifndef SCHEDULER_CORE_CORE_H
#define SCHEDULER_CORE_CORE_H

#include "lib/base/vec.h"
#include "lib/wire/wire.h"
#include "nexus/error.h"
#include "nexus/ids.h"
#include "nexus/limits.h"
#include "nexus/states.h"
#include "scheduler/graph/graph.h"
#include "scheduler/graph/timetable.h"

struct core;

struct core_config {
    uint64_t epoch;       /* durable counter, raised at each start of the scheduler; > 0 */
    uint64_t next_run;    /* the first free run id */
    uint32_t next_worker; /* the first free worker number */
    uint32_t lost_limit;
    uint32_t edit_slice; /* tasks of an ended run that one turn changes; see core_edit_row */
    int64_t lease_ttl_ms, grace_ms;
    int64_t lost_after_ipc_ms, lost_after_tcp_ms;
    char catalog[NX_NAME_MAX]; /* hash of the operators' catalog; a worker with another one gets
                                  scripts only */
};

/* Defaults from nexus/limits.h. */
void core_config_init(struct core_config *config);

struct core *core_new(const struct core_config *config);
void core_free(struct core *core);

/* ---- Events ---- */

enum core_event_kind {
    EV_TURN = 1,        /* ends a turn */
    EV_DAG,             /* this version is the current one of its DAG from now on */
    EV_DAG_GONE,        /* its file was removed: no new runs */
    EV_TIMETABLE,       /* when a DAG runs, from now on */
    EV_PAUSE,           /* its timetable rests, or goes on */
    EV_DATASET,         /* somebody outside wrote a dataset */
    EV_BACKFILL,        /* a list of intervals is to be worked off */
    EV_BACKFILL_CHANGE, /* it rests, goes on or is given up */
    EV_BACKFILL_STUCK,  /* the run of an item cannot be made: it rests, and the item is due again */
    EV_POOL,            /* a pool has so many slots; negative: it does not exist */
    EV_RUN_CREATE,      /* answered with the run's id */
    EV_RUN_CANCEL,
    EV_RUN_EDIT,     /* a person changes what became of a run's tasks */
    EV_RUN_GONE,     /* an ended run was deleted from the store */
    EV_ANSWER,       /* to an ask */
    EV_APPROVE,      /* a person approves or rejects what waits for it */
    EV_START_FAILED, /* the run that a task was to start could not be created */
    EV_REPORT,       /* a worker's report or listen */
    EV_DRAIN         /* a worker gets no more leases, or again */
};

/* How far an entry of a schedule has used the events of a dataset: those up to that version. */
struct core_use {
    const char *dataset;
    uint64_t version;
};

/* Where an entry of a DAG's schedule stands, as stored. */
struct core_mark {
    const char *key;      /* of the timetable's entry */
    int64_t watermark_ms; /* its last fire; TIMETABLE_NEVER: none */
    int64_t from_ms;      /* where its next interval begins in any case; 0: as the timetable says */
    const struct core_use *uses; /* of an entry that datasets start: one for each */
    size_t n_uses;
};

enum core_backfill_state {
    CORE_BACKFILL_RUNNING,
    CORE_BACKFILL_PAUSED, /* its runs go on, no new ones begin */
    CORE_BACKFILL_DONE,
    CORE_BACKFILL_CANCELLED
};

struct core_backfill_item {
    int64_t start_ms, finish_ms;
    struct nx_run_id run; /* the former run, to be cleared; 0: a new one */
};

struct core_backfill {
    uint64_t id;
    const char *dag;
    uint32_t max_active;
    enum core_backfill_state state;
    enum nx_reason reason; /* why it rests: NX_WHY_DAG_GONE, until the DAG is back; none: by hand */
    const struct core_backfill_item *items; /* in the order of work */
    size_t n_items, next;                   /* items before `next` have begun */
};

/* Questions about an instance; an ask may hold the first two together, the others stand alone. */
enum core_question {
    CORE_ASK_IF = 1,   /* its `if`: CORE_FALSE, or go on */
    CORE_ASK_WITH = 2, /* what it waits for, unless the `if` is false: CORE_TRUE */
    CORE_ASK_LIST = 4, /* the `for_each` of the task or its group: CORE_LIST */
    CORE_ASK_PAST = 8  /* is it success or skipped in the latest run of this DAG that claims an
                          earlier interval (a mapped task: as a whole)? CORE_TRUE too when there is
                          no such run, or no such task in it; else CORE_FALSE. What is looked up is
                          answered at once: it must not be older than the answer. */
};

enum core_answer {
    CORE_FALSE,
    CORE_TRUE,
    CORE_ERROR,      /* its `if`, `for_each` or past could not be told */
    CORE_WITH_ERROR, /* nor could its `with`, which says what it waits for */
    CORE_LIST
};

/* A task wants its run started: in this turn the engine creates it (EV_RUN_CREATE with the parent),
 * or says that it cannot (EV_START_FAILED). */
struct core_start {
    struct nx_inst_id inst;
    uint32_t attempt;
};

/* The run of the data interval before, and where a task is there. */
struct core_past {
    struct nx_run_id run;
    int64_t start_ms, finish_ms; /* its interval */
    enum nx_task_state state;
};

enum core_edit {
    CORE_RETRY,        /* those that failed (or `tasks`), and all downstream of them, are cleared */
    CORE_CLEAR,        /* `tasks` (none: all) are decided again, as if they had never run */
    CORE_MARK_SUCCESS, /* `tasks` count as success from now on; what was decided upon their
                          failure alone is decided again */
    CORE_MARK_FAILED
};

/* What an edit is about: a task with all its instances, or one mapped instance. */
struct core_target {
    uint32_t task;
    int32_t map; /* NX_MAP_NONE: all of it */
};

struct core_event {
    enum core_event_kind kind;
    int64_t mono_ms; /* never goes back */
    int64_t wall_ms; /* may */
    uint64_t token;  /* comes back with the reply; 0: nobody waits */
    union {
        struct {
            uint64_t version;
            struct graph *graph; /* held by the core as long as it needs it */
        } dag;
        const char *dag_gone; /* id */
        struct {
            const char *dag;
            struct timetable *timetable; /* held by the core as long as it needs it; NULL: none */
            bool paused;
            const struct core_mark
                *marks; /* as stored; looked at when the DAG is new to the core */
            size_t n_marks;
        } timetable;
        struct {
            const char *dag;
            bool on;
        } pause;
        struct {
            const char *name;
            int64_t slots;
        } pool;
        struct {
            const char *dag;
            enum nx_run_cause cause;
            uint64_t backfill;               /* its runs come after live ones; 0: none */
            const struct core_start *parent; /* the task that starts it; NULL: none */
            int64_t interval_start_ms, interval_finish_ms;
            bool claims;    /* it is the one run of its DAG and data interval */
            uint32_t entry; /* NX_RC_DATASET: of the DAG's timetable; its events are used up */
        } create;
        const char *dataset; /* its name */
        struct nx_run_id cancel;
        struct nx_run_id gone;
        struct {
            struct nx_run_id run; /* an ended one: loaded before, see core_load_run */
            enum core_edit what;
            const struct core_target *tasks;
            uint32_t n_tasks;
            bool upstream, downstream; /* of `tasks` too */
            bool dry_run;              /* change nothing: list what would be */
            uint64_t backfill;         /* the run goes on as one of this; 0: none */
        } edit;
        const struct core_backfill *backfill; /* copied */
        struct {
            uint64_t id;
            enum core_backfill_state state;
        } backfill_change;
        struct {
            uint64_t id;
            size_t position;
            enum nx_reason reason;
        } backfill_stuck;
        struct {
            struct nx_inst_id inst;
            uint32_t number; /* of the ask: an answer to a former one is dropped */
            enum core_answer answer;
            uint32_t n; /* CORE_LIST: how many items, at most NX_MAP_MAX */
            /* GRAPH_WAIT_FOR: how long; GRAPH_WAIT_UNTIL: the wall instant; GRAPH_WAIT_DATASET: how
             * old its version may be at most, likewise */
            int64_t when_ms;
            bool chooses; /* GRAPH_WAIT_CHOICE: of the tasks directly below, these alone go on */
            const uint32_t *chosen;
            uint32_t n_chosen;
            struct core_past past; /* CORE_ASK_PAST and CORE_FALSE: what it waits for */
        } answer;
        struct {
            struct nx_inst_id inst;
            bool approved;
            const struct wire_result *result; /* its outputs or error */
        } approve;
        struct {
            struct core_start start;
            const struct wire_result *result; /* its error */
        } start_failed;
        struct {
            const struct wire_report *report;
            uint64_t context; /* where its reply goes */
        } report;
        struct {
            const char *worker; /* id */
            bool on;
        } drain;
    };
};

/* ---- Updates ---- */

/* A question about the task. The engine answers with EV_ANSWER, in this turn or later. */
struct core_ask {
    struct nx_inst_id inst;
    uint32_t number;
    uint64_t version;
    unsigned what; /* of enum core_question */
};

/* An instance that an edit changed (or would have): is cleared, or has the marked state. */
struct core_edited {
    uint64_t token;
    struct nx_inst_id inst;
    enum nx_task_state before;
    bool cleared; /* else marked */
};

/* A scheduled run is due: its mark has moved. In this turn the engine creates it (EV_DAG before, if
 * the core does not know the version; then EV_RUN_CREATE), unless there is one of that interval. */
struct core_due {
    const char *dag;
    int64_t start_ms, finish_ms; /* its data interval */
    uint64_t backfill;           /* 0: by the timetable */
    size_t position;             /* of the backfill's item */
    struct nx_run_id run;        /* to be cleared instead of creating one; 0: none */
    bool by_dataset; /* by an entry that datasets start: the mark moves when the run is created */
    uint32_t entry;
};

/* A dataset has a new version: each success of a task that produces it makes one, and each
 * EV_DATASET. */
struct core_dataset_event {
    const char *dataset; /* the core's */
    uint64_t version;
    int64_t at_ms;
    struct nx_inst_id inst; /* of the producer; run 0: from outside */
    uint32_t attempt;
};

/* A run was started by these versions of a dataset, first to last. */
struct core_trigger {
    struct nx_run_id run;
    const char *dataset;
    uint64_t first, last;
};

enum core_notice_kind {
    CORE_CATCHUP_CUT, /* more intervals were missed than NX_CATCHUP_MAX: the newest are run */
    CORE_LATE /* the run has not ended by its deadline; once a run, in the commit that says so */
};

struct core_notice {
    const char *dag;
    enum core_notice_kind kind;
    struct nx_run_id run; /* CORE_LATE */
};

/* A task with GRAPH_TOLD went to success, failed or retrying by itself: not because a person marked
 * it. */
struct core_change {
    struct nx_inst_id inst;
    enum nx_task_state state;
    enum nx_reason reason;
    uint32_t attempt;
};

/* The end of an attempt; `result` is in the report's message (NULL: the core ended it). */
struct core_end {
    struct nx_inst_id inst;
    uint32_t attempt;
    enum nx_attempt_outcome outcome;
    uint32_t worker;
    int64_t started_ms, finished_ms; /* wall; started_ms 0: never started */
    const struct wire_result *result;
    enum graph_wait wait;   /* of a wait: what it was for */
    struct nx_run_id child; /* of a task that had started a run; 0: none */
    enum nx_run_state child_state;
};

/* The answer to an event with a token. */
struct core_reply {
    uint64_t token;
    struct nx_run_id run; /* EV_RUN_CREATE */
    struct nx_err err;    /* code NX_OK: done */
};

/* A message that is due to a worker: the orders above `seen` as they are after the commit. */
struct core_send {
    uint64_t context;
    uint32_t worker; /* number; 0: refused, see text */
    uint64_t ack;
    uint64_t seen;
    const char *refused; /* a constant text, or NULL */
};

struct core_update {
    VEC(struct nx_inst_id) insts;   /* dirty instances */
    VEC(struct nx_run_id) runs;     /* dirty runs */
    VEC(uint32_t) workers;          /* dirty workers */
    VEC(struct core_end) ends;      /* ended attempts, in order */
    VEC(struct nx_inst_id) cleared; /* or marked: their outputs go, their attempt is history */
    VEC(struct core_edited) edited;
    VEC(struct nx_run_id) edits; /* of large edits: what is left of them has changed */
    VEC(const char *) schedules; /* DAGs with dirty marks; ids are the core's */
    VEC(struct core_dataset_event) dataset_events;
    VEC(struct core_trigger) triggers;
    VEC(uint64_t) backfills;   /* dirty ones */
    VEC(struct core_due) dues; /* taken (emptied) by the engine when it creates the runs */
    VEC(struct core_notice) notices;
    VEC(struct core_change) changes;  /* in order */
    VEC(struct nx_run_id) runs_ended; /* in order */
    VEC(struct core_ask) asks;        /* taken (emptied) by the engine when it answers */
    VEC(struct core_start) starts;    /* likewise, when it creates the runs */
    VEC(struct core_reply) replies;
    VEC(struct core_send) sends;
};

void core_update_init(struct core_update *update);
void core_update_fini(struct core_update *update);
/* Whether a commit is needed: rows or ends. */
bool core_update_has_rows(const struct core_update *update);

void core_step(struct core *core, const struct core_event *event, struct core_update *update);
void core_turn_done(struct core *core, struct core_update *update);

/* The mono_ms at which a turn is due without any event; INT64_MAX: none. */
int64_t core_deadline(const struct core *core);

/* ---- Rows ---- */

/* Absent rows, and those that say waiting (of what was cleared), mean: waiting; or queued when the
 * trigger rule says run, there is no `if`, and the task does not depend on the past (of a run that
 * claims its interval); or cancelled in a run that is stopping or ended (finally tasks excepted
 * while it is stopping). One that waits without a slot has a row. The rows of a mapped task are its
 * own (map NX_MAP_NONE), which is removed from when its list is known (core_get_list: that is a row
 * too), and those of the indexes below the length of the list. */
struct core_inst_row {
    struct nx_inst_id id;
    enum nx_task_state state;
    enum nx_reason reason;
    bool answered; /* its `if` was decided: not asked again unless it is cleared */
    uint32_t attempt, lease, failures, losses, leases_lost;
    uint32_t worker; /* number; 0: none */
    /* Wall instant at which a retry is due, or a wait for a time ends; of a wait for a dataset, how
     * old its version may be; 0: none. */
    int64_t due_ms;
    int64_t ready_ms, started_ms, finished_ms; /* wall; 0: not yet */
    const uint32_t *left_out; /* tasks directly below that it left out: for them it is skipped */
    uint32_t n_left_out;
};

struct core_run_row {
    struct nx_run_id id;
    const char *dag;
    uint64_t version;
    enum nx_run_state state;
    enum nx_run_cause cause;
    enum nx_reason reason;    /* why it is stopping or how it ended: cancel, run timeout, or none */
    uint64_t backfill;        /* 0: none */
    struct nx_inst_id parent; /* the task that started it; run 0: none */
    uint32_t depth;           /* how many runs started each other before it */
    bool claims;              /* it is the one run of its DAG and data interval */
    int64_t interval_start_ms, interval_finish_ms;
    int64_t deadline_ms; /* by when it has to have ended; 0: whenever */
    int64_t late_ms;     /* when it was found not to have; 0: it was not */
    int64_t created_ms, started_ms, finished_ms;
    uint32_t counts[NX_TASK_STATES];
    bool moved; /* since the last commit more than the counts has changed */
};

/* What is to be done to the tasks of a large run that was opened again: over several turns, and
 * again after a restart. A run whose DAG maps tasks is edited in one turn, however large. */
struct core_edit_row {
    struct nx_run_id run;
    enum core_edit what;
    enum nx_reason reason; /* of the run's former end, and when that was: of absent rows */
    int64_t finished_ms;
    const uint8_t *picks; /* by task: 0 nothing, 1 clear, 2 mark, 3 its row is written */
    uint32_t n;
};

struct core_worker_row {
    uint32_t number;
    const char *id;
    uint64_t incarnation;
    bool drain;
    bool ipc;
    const char *token; /* to which its name belongs: "" for one of this machine; NULL: not known */
};

/* False: there is no such run (or instance) in the core. */
bool core_get_inst(const struct core *core, struct nx_inst_id id, struct core_inst_row *row);
bool core_get_run(const struct core *core, struct nx_run_id id, struct core_run_row *row);
/* Where the task as a whole is. A mapped one is running until all of its instances have ended, and
 * then what one of them is: the first that there is of failed, upstream_failed, cancelled, success,
 * skipped. */
bool core_get_task_state(const struct core *core, struct nx_run_id id, uint32_t task,
                         enum nx_task_state *state);
/* Likewise false: all is done. */
bool core_get_edit(const struct core *core, struct nx_run_id id, struct core_edit_row *row);
/* The i-th mark of a DAG; false: there are no more. */
bool core_get_mark(const struct core *core, const char *dag, size_t i, struct core_mark *mark);
/* The dataset's last event; false: the core does not know it. */
struct core_dataset_row {
    const char *name;
    uint64_t version; /* of its last event; 0: there was none */
    int64_t event_ms; /* and its time */
};
bool core_get_dataset(const struct core *core, const char *name, struct core_dataset_row *row);
bool core_get_backfill(const struct core *core, uint64_t id, enum core_backfill_state *state,
                       enum nx_reason *reason, size_t *next);
/* Whether one rests until that DAG has a file again: EV_DAG, as soon as it has. */
bool core_backfill_misses(const struct core *core, const char *dag);
/* The length of the list over which the task is mapped; 0: it is not, or not yet known. */
uint32_t core_get_list(const struct core *core, struct nx_run_id run, uint32_t task);
bool core_get_worker(const struct core *core, uint32_t number, struct core_worker_row *row);
const struct graph *core_run_graph(const struct core *core, struct nx_run_id id);

/* ---- Orders, to be encoded after the commit ---- */

struct core_order {
    uint64_t number;
    enum wire_order_kind kind;
    struct nx_inst_id inst;
    uint32_t lease, attempt, max_attempts;
    uint64_t version; /* WIRE_LEASE, WIRE_POKE: of the DAG */
    uint64_t poke;    /* WIRE_POKE: number of the look */
};

/* The worker's orders above `seen`, oldest first; valid until the next step. */
const struct core_order *core_orders(const struct core *core, uint32_t worker, uint64_t seen,
                                     size_t *n);

/* ---- Loading ---- */

/* A version that a stored run uses, or (current) that new runs use. */
void core_load_version(struct core *core, uint64_t version, struct graph *graph, bool current);
/* Before timetables. */
void core_load_dataset(struct core *core, const struct core_dataset_row *row);
/* Before core_load_done. */
void core_load_timetable(struct core *core, const char *dag, struct timetable *timetable,
                         bool paused, const struct core_mark *marks, size_t n_marks);
/* One that is running or paused; before the runs. */
void core_load_backfill(struct core *core, const struct core_backfill *backfill);
void core_load_worker(struct core *core, const struct core_worker_row *row);
/* The version must be loaded. `row` counts are ignored: they are derived. Later, an ended run may
 * be loaded for an EV_RUN_EDIT of the same turn: with its rows, then core_load_run_done; it is
 * freed at the end of the turn unless the edit has opened it again. */
void core_load_run(struct core *core, const struct core_run_row *row);
/* Before the instances of the run: the list of that map of its graph has n items. */
void core_load_list(struct core *core, struct nx_run_id run, uint32_t map, uint32_t n);
void core_load_inst(struct core *core, const struct core_inst_row *row);
/* Of a queued run. */
void core_load_edit(struct core *core, const struct core_edit_row *row);
void core_load_run_done(struct core *core, struct nx_run_id id);
/* Derives what is not stored, and starts the clocks. Call once, after all rows. */
void core_load_done(struct core *core, int64_t mono_ms, int64_t wall_ms,
                    struct core_update *update);

/* ---- Looking ---- */

struct core_why {
    enum nx_reason code;
    char text[NX_REASON_TEXT_MAX];
    int64_t since_ms; /* wall; 0: unknown */
};

/* Why the instance is where it is: at most n reasons, how many are given is returned; 0: there is
 * no such instance in the core. */
size_t core_explain(const struct core *core, struct nx_inst_id id, struct core_why *why, size_t n);

enum core_worker_state { CORE_ONLINE, CORE_DRAINING, CORE_LOST, CORE_OFFLINE };

struct core_worker_view {
    const char *id, *host, *version, *queues;
    const char *address; /* "": of this machine, or not known */
    enum core_worker_state state;
    uint32_t number, pid, slots, gpus, n_leases, n_running, prefetch;
    int64_t memory_bytes; /* that tasks may ask for; 0: not known */
    bool catalog_fits;    /* else it gets scripts alone: its operators are others */
    int64_t seen_ms;      /* wall instant of its last report; 0: none since the start */
};

/* How long a worker goes on with an exclusive task without an answer. At least as long as it counts
 * as alive, so that a cut that loses nothing stops nothing; and the core waits longer than that
 * after a loss (lost_after, then lease_ttl and the grace), so two attempts never overlap. */
int64_t core_lease_ttl_ms(const struct core *core, bool elsewhere);

/* The i-th worker, from 0; false: there are no more. */
bool core_view_worker(const struct core *core, size_t i, struct core_worker_view *view);
/* The k-th attempt in the hands of the i-th worker; false: it has no more. */
bool core_view_hand(const struct core *core, size_t i, size_t k, struct nx_inst_id *id,
                    enum nx_task_state *state);

struct core_pool_view {
    const char *name;
    int64_t slots; /* negative: it is named by tasks but does not exist */
    int64_t used;
};

bool core_view_pool(const struct core *core, size_t i, struct core_pool_view *view);
/* Whether the i-th pool exists or tasks have named it. */
bool core_pool_named(const struct core *core, size_t i);
/* How many task instances could run but for the i-th pool or for want of a worker. */
uint32_t core_pool_waiting(const struct core *core, size_t i);
#define CORE_NO_POOL SIZE_MAX
struct core_queue_view {
    uint32_t n;        /* task instances that wait for a slot */
    int64_t oldest_ms; /* wall instant since which the first of them waits; 0: none, or not known */
};
/* Of the i-th pool, or of all tasks without one. */
void core_view_queue(const struct core *core, size_t i, struct core_queue_view *view);
/* Task instances of the runs that have not ended, by state. */
void core_count_tasks(const struct core *core, uint64_t counts[NX_TASK_STATES]);
/* The progress that a running attempt reported, in thousandths; negative: none. *text: what it said
 * of it, until the next step, or NULL. */
int core_progress(const struct core *core, struct nx_inst_id id, const char **text);
/* Bytes that the core allocated for one run of n instances: for the memory budget. */
size_t core_run_bytes(const struct core *core, struct nx_run_id id);
size_t core_active_runs(const struct core *core);
/* Whether the task still wants the run started. */
bool core_wants_run(const struct core *core, const struct core_start *start);
/* How often an instance went from one state to the other since core_new. */
uint64_t core_moves(const struct core *core, enum nx_task_state from, enum nx_task_state to);

/* Checks every invariant that is cheap to state (pools and slots add up, no instance has two
 * leases, counts are right); NULL: all hold; else a constant text that names the broken one. */
const char *core_check(const struct core *core);

/* A digest of everything that must survive a restart, but for the marks of schedules, which move
 * with the clock: two cores with the same digest will go on alike. For the simulation. */
uint64_t core_digest(const struct core *core);

#endif
