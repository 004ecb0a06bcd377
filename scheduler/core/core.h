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
    EV_BACKFILL,        /* a list of intervals is to be worked off */
    EV_BACKFILL_CHANGE, /* it rests, goes on or is given up */
    EV_BACKFILL_STUCK,  /* the run of an item cannot be made: it rests, and the item is due again */
    EV_POOL,            /* a pool has so many slots; negative: it does not exist */
    EV_RUN_CREATE,      /* answered with the run's id */
    EV_RUN_CANCEL,
    EV_RUN_EDIT, /* a person changes what became of a run's tasks */
    EV_RUN_GONE, /* an ended run was deleted from the store */
    EV_ANSWER,   /* to an ask */
    EV_REPORT,   /* a worker's report or listen */
    EV_DRAIN     /* a worker gets no more leases, or again */
};

/* Where an entry of a DAG's schedule stands, as stored. */
struct core_mark {
    const char *key;      /* of the timetable's entry */
    int64_t watermark_ms; /* its last fire; TIMETABLE_NEVER: none */
    int64_t from_ms;      /* where its next interval begins in any case; 0: as the timetable says */
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

enum core_answer { CORE_FALSE, CORE_TRUE, CORE_ERROR };

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
            uint64_t backfill; /* its runs come after live ones; 0: none */
            int64_t interval_start_ms, interval_finish_ms;
            bool claims; /* it is the one run of its DAG and data interval */
        } create;
        struct nx_run_id cancel;
        struct nx_run_id gone;
        struct {
            struct nx_run_id run; /* an ended one: loaded before, see core_load_run */
            enum core_edit what;
            const uint32_t *tasks;
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
            struct core_past past; /* CORE_ASK_PAST and CORE_FALSE: what it waits for */
        } answer;
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

enum core_ask_kind {
    CORE_ASK_IF,  /* evaluate the task's `if` */
    CORE_ASK_PAST /* is it success or skipped in the latest run of this DAG that claims an earlier
                     interval? True too when there is no such run, or no such task in it. What is
                     looked up is answered at once: it must not be older than the answer. */
};

/* A question. The engine answers with EV_ANSWER, in this turn or later. */
struct core_ask {
    struct nx_inst_id inst;
    uint32_t number;
    uint64_t version;
    enum core_ask_kind kind;
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

/* The end of an attempt; `result` is in the report's message (NULL: the core ended it). */
struct core_end {
    struct nx_inst_id inst;
    uint32_t attempt;
    enum nx_attempt_outcome outcome;
    uint32_t worker;
    int64_t started_ms, finished_ms; /* wall; started_ms 0: never started */
    const struct wire_result *result;
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
    VEC(uint64_t) backfills;     /* dirty ones */
    VEC(struct core_due) dues;   /* taken (emptied) by the engine when it creates the runs */
    VEC(struct core_notice) notices;
    VEC(struct core_ask) asks; /* taken (emptied) by the engine when it answers */
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
 * while it is stopping). */
struct core_inst_row {
    struct nx_inst_id id;
    enum nx_task_state state;
    enum nx_reason reason;
    bool answered; /* its `if` was decided: not asked again unless it is cleared */
    uint32_t attempt, lease, failures, losses, leases_lost;
    uint32_t worker;                           /* number; 0: none */
    int64_t due_ms;                            /* wall instant at which a retry is due; 0: none */
    int64_t ready_ms, started_ms, finished_ms; /* wall; 0: not yet */
};

struct core_run_row {
    struct nx_run_id id;
    const char *dag;
    uint64_t version;
    enum nx_run_state state;
    enum nx_run_cause cause;
    enum nx_reason reason; /* why it is stopping or how it ended: cancel, run timeout, or none */
    uint64_t backfill;     /* 0: none */
    bool claims;           /* it is the one run of its DAG and data interval */
    int64_t interval_start_ms, interval_finish_ms;
    int64_t deadline_ms; /* by when it has to have ended; 0: whenever */
    int64_t late_ms;     /* when it was found not to have; 0: it was not */
    int64_t created_ms, started_ms, finished_ms;
    uint32_t counts[NX_TASK_STATES];
    bool moved; /* since the last commit more than the counts has changed */
};

/* What is to be done to the tasks of a large run that was opened again: over several turns, and
 * again after a restart. */
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
};

/* False: there is no such run (or instance) in the core. */
bool core_get_inst(const struct core *core, struct nx_inst_id id, struct core_inst_row *row);
bool core_get_run(const struct core *core, struct nx_run_id id, struct core_run_row *row);
/* Likewise false: all is done. */
bool core_get_edit(const struct core *core, struct nx_run_id id, struct core_edit_row *row);
/* The i-th mark of a DAG; false: there are no more. */
bool core_get_mark(const struct core *core, const char *dag, size_t i, struct core_mark *mark);
bool core_get_backfill(const struct core *core, uint64_t id, enum core_backfill_state *state,
                       enum nx_reason *reason, size_t *next);
/* Whether one rests until that DAG has a file again: EV_DAG, as soon as it has. */
bool core_backfill_misses(const struct core *core, const char *dag);
bool core_get_worker(const struct core *core, uint32_t number, struct core_worker_row *row);
const struct graph *core_run_graph(const struct core *core, struct nx_run_id id);

/* ---- Orders, to be encoded after the commit ---- */

struct core_order {
    uint64_t number;
    enum wire_order_kind kind;
    struct nx_inst_id inst;
    uint32_t lease, attempt, max_attempts;
    uint64_t version; /* WIRE_LEASE: of the DAG */
};

/* The worker's orders above `seen`, oldest first; valid until the next step. */
const struct core_order *core_orders(const struct core *core, uint32_t worker, uint64_t seen,
                                     size_t *n);

/* ---- Loading ---- */

/* A version that a stored run uses, or (current) that new runs use. */
void core_load_version(struct core *core, uint64_t version, struct graph *graph, bool current);
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
    enum core_worker_state state;
    uint32_t number, pid, slots, n_leases, n_running, prefetch;
    int64_t seen_ms; /* wall instant of its last report; 0: none since the start */
};

/* The i-th worker, from 0; false: there are no more. */
bool core_view_worker(const struct core *core, size_t i, struct core_worker_view *view);

struct core_pool_view {
    const char *name;
    int64_t slots; /* negative: it is named by tasks but does not exist */
    int64_t used;
};

bool core_view_pool(const struct core *core, size_t i, struct core_pool_view *view);
/* How many task instances could run but for the i-th pool or for want of a worker. */
uint32_t core_pool_waiting(const struct core *core, size_t i);
/* The progress that a running attempt reported, in thousandths; negative: none. *text: what it said
 * of it, until the next step, or NULL. */
int core_progress(const struct core *core, struct nx_inst_id id, const char **text);
/* Bytes that the core allocated for one run of n instances: for the memory budget. */
size_t core_run_bytes(const struct core *core, struct nx_run_id id);
size_t core_active_runs(const struct core *core);
/* How often an instance went from one state to the other since core_new. */
uint64_t core_moves(const struct core *core, enum nx_task_state from, enum nx_task_state to);

/* Checks every invariant that is cheap to state (pools and slots add up, no instance has two
 * leases, counts are right); NULL: all hold; else a constant text that names the broken one. */
const char *core_check(const struct core *core);

/* A digest of everything that must survive a restart, but for the marks of schedules, which move
 * with the clock: two cores with the same digest will go on alike. For the simulation. */
uint64_t core_digest(const struct core *core);

#endif
