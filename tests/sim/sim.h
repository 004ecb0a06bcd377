/* The simulation: the real core, the real worker's ledger and the real messages, in a world whose
 * time, network, processes and store are pretended, from a seed. After every step an oracle looks.
 *
 *   worker (ledger) --report, listen--> network --> scheduler (core) --commit--> store
 *        ^                                 |               |
 *        +------------- replies -----------+---------------+
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/rng.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "scheduler/core/core.h"
#include "worker/ledger.h"

#define SIM_TASKS_MAX 24
#define SIM_DAGS 3
#define SIM_MAP_MAX 4 /* items of a list */
#define SIM_SLOTS_MAX (SIM_TASKS_MAX * (1 + SIM_MAP_MAX))
#define SIM_WORKERS_MAX 4
#define SIM_POOLS 2
#define SIM_DATASETS 4
#define SIM_KEYS 2
#define SIM_ITEMS_MAX 6 /* of a backfill */
#define SIM_VERSION_BASE 100

enum sim_fault {
    FAULT_REQUEST_LOST,
    FAULT_REQUEST_DOUBLED,
    FAULT_REQUEST_LATE,
    FAULT_REPLY_LOST,
    FAULT_REPLY_DOUBLED,
    FAULT_REPLY_LATE,
    FAULT_CRASH_BEFORE_COMMIT,
    FAULT_CRASH_AFTER_COMMIT,
    FAULT_CRASH_AFTER_SEND,
    FAULT_WORKER_KILLED,
    FAULT_WORKER_SILENT,
    FAULT_WORKER_DRAINED,
    FAULT_CHILD_KILLED,
    FAULT_CLOCK_BACK,
    FAULT_CLOCK_FORWARD,
    SEEN_BACK_CROSSED_START,     /* a give_back came when it had started */
    SEEN_CANCEL_CROSSED_SUCCESS, /* success kept while stopping */
    SEEN_FORMER_REFUSED,         /* a late report of a former incarnation */
    SEEN_STALE_RESULT,           /* a worker came back with a result nobody waits for */
    SEEN_ORDERED_AGAIN,          /* same lease number after a restart */
    SEEN_EDIT_RUNNING,           /* a run was edited while it ran */
    SEEN_EDIT_ENDED,             /* an ended one was opened again */
    SEEN_EDIT_REFUSED,
    SEEN_EDIT_DRY,
    SEEN_CLEARED_RUNNING, /* an attempt was stopped because its instance was cleared */
    SEEN_MARKED_RUNNING,
    SEEN_FIRE,         /* a scheduled run was due */
    SEEN_FIRE_SKIPPED, /* by overlap: skip */
    FAULT_PAUSED,      /* a DAG was paused, or went on */
    FAULT_POOL,        /* a pool was made, changed or taken away */
    SEEN_EXPANDED,     /* a task gave way to its mapped instances */
    SEEN_FOLDED,       /* a list was asked for again */
    SEEN_SHORTER,      /* and was shorter than before */
    SEEN_NOT_ADMITTED, /* an index waited for max_parallel */
    SEEN_DATASET_EVENT,
    SEEN_DATASET_RUN,      /* a run that datasets started */
    SEEN_DATASET_TOGETHER, /* several events of one dataset started one run */
    SEEN_DATASET_REFUSED,  /* there was no room: its events are kept */
    FAULT_LOOK_FAILED,     /* a look of a poke failed */
    SEEN_APPROVED,
    SEEN_REJECTED,
    SEEN_ANSWER_LATE,     /* a person answered what did not wait any more */
    SEEN_LOOKED,          /* what a poke looked for was there */
    SEEN_NOT_YET,         /* it was not */
    SEEN_RUN_STARTED,     /* by a task */
    SEEN_START_FAILED,    /* it could not be */
    SEEN_CHILD_CANCELLED, /* a run was cancelled with the task that waited for it */
    SEEN_PAST_PASSED,     /* it was success or skipped in the run before, or there is none */
    SEEN_PAST_WAITED,
    SEEN_AHEAD, /* a run began beyond max_active_runs, since another waits for it */
    SEEN_LATE,
    SEEN_SLICED, /* an edit that took several turns */
    SEEN_BACKFILL,
    SEEN_REPROCESSED,
    SEEN_BACKFILL_STUCK,
    FAULT_BACKFILL_CHANGED, /* paused, resumed or cancelled */
    FAULT_DAG_GONE,         /* or back */
    FAULT_DELETED,          /* an ended run */
    SEEN_LEFT_OUT,          /* a task was skipped, as one above it chose others */
    SEEN_HEARD,             /* a wait for a dataset was over */
    SIM_FAULTS
};

struct sim_stats {
    uint64_t faults[SIM_FAULTS], rules[NX_TRIGGER_RULES];
    uint64_t moves[NX_TASK_STATES][NX_TASK_STATES];
    uint64_t outcomes[NX_ATTEMPT_OUTCOMES], run_ends[NX_RUN_STATES];
    uint64_t events, commits, tasks, reloads;
};

/* ---- The store: rows as they were committed ---- */

struct sim_inst {
    bool present;
    struct core_inst_row row;
    uint32_t left_out[SIM_TASKS_MAX]; /* the row's */
    uint32_t n_ends, n_failures;
    uint32_t last_end_attempt, last_event_attempt;
    uint32_t sent_lease;
    uint64_t sent_epoch;
    int64_t leased_at;        /* virtual time at which its last lease was committed */
    bool never_begun;         /* its run ended before it had started */
    int64_t due_ms;           /* of its last wait for a time */
    uint32_t started_attempt; /* the last one that started a run */
    bool was_queued;          /* at the last commit */
    uint64_t leased_commit;
};

struct sim_run {
    struct core_run_row row;
    uint32_t dag;
    struct sim_inst insts[SIM_SLOTS_MAX]; /* see sim_slot */
    uint8_t shadow[SIM_SLOTS_MAX];        /* states after the last step of the core */
    uint8_t shadow_why[SIM_SLOTS_MAX];
    uint32_t lists[SIM_TASKS_MAX]; /* lengths; 0: not known */
    bool deleted;
    struct core_edit_row edit; /* n 0: none */
    uint8_t picks[SIM_TASKS_MAX];
    bool was_unfinished; /* at the last commit */
    bool ahead;          /* active, and another active one depends on it */
    uint32_t n_late;     /* notices of it */
    int64_t late_by;     /* virtual time at which it must have been found late */
};

/* The answer that an attempt of a choice got. */
struct sim_choice {
    struct nx_inst_id inst;
    uint32_t attempt, chosen; /* a bit each task */
};

struct sim_backfill {
    uint32_t dag, max_active, n_items;
    enum core_backfill_state state;
    enum nx_reason reason;
    size_t next;
    struct {
        struct core_backfill_item item;
        bool begun;
        struct nx_run_id run;
    } items[SIM_ITEMS_MAX];
};

static inline bool sim_backfill_ended(const struct sim_backfill *backfill)
{
    return backfill->state == CORE_BACKFILL_DONE || backfill->state == CORE_BACKFILL_CANCELLED;
}

struct sim_schedule {
    char key[TIMETABLE_KEY_MAX]; /* empty: there is no mark yet */
    int64_t watermark_ms, from_ms;
    bool paused;
    uint64_t used[SIM_DATASETS]; /* versions */
    int64_t last_dataset_ms;     /* end of the interval of its last run by datasets; 0: none */
    int64_t seen_wall;           /* the latest wall instant of a commit while it was not paused */
};

struct sim_dataset {
    uint64_t version;
    int64_t event_ms;
    uint32_t n_outside;
};

struct sim_store {
    uint64_t epoch;
    struct sim_dataset datasets[SIM_DATASETS];
    struct sim_schedule schedules[SIM_DAGS];
    int64_t pool_slots[SIM_POOLS]; /* -1: there is none */
    int64_t pool_used[SIM_POOLS];  /* at the last commit */
    uint32_t key_used[SIM_KEYS];   /* likewise */
    bool gone[SIM_DAGS];           /* its file */
    VEC(struct sim_backfill) backfills;
    VEC(struct sim_run *) runs;
    struct {
        struct core_worker_row row;
        char id[NX_ID_MAX + 1];
        size_t held; /* leases at the last commit */
    } workers[SIM_WORKERS_MAX];
    uint32_t n_workers;
};

/* ---- The world ---- */

struct sim_child {
    struct nx_inst_id inst;
    uint32_t lease, attempt;
    uint64_t ends; /* event number of its planned end: an older one is stale */
    int64_t started;
    bool exclusive;
};

struct sim_request {
    bool open;
    uint64_t id; /* an answer to another one is dropped */
    char *bytes;
    size_t n;
    int n_lost;
};

struct sim_worker {
    uint32_t index;
    bool alive;
    bool leaving;
    uint64_t generation; /* of its process */
    struct ledger *ledger;
    uint32_t slots;
    bool ipc;
    bool looking;
    const char *queues;
    int64_t silent_until;
    int64_t reported_at;
    int64_t faulted_at;             /* last time at which its leases may have got lost */
    struct sim_request requests[2]; /* report, listen */
    VEC(struct sim_child) children;
};

struct sim_execution {
    struct nx_inst_id inst;
    int64_t from, to; /* to: INT64_MAX while it runs */
};

struct sim_event {
    int64_t at;
    uint64_t number;
    int kind;
    uint32_t a;
    uint64_t b, c;
    char *bytes;
    size_t n;
};

/* Where a reply goes. */
struct sim_context {
    uint32_t worker;
    uint64_t packed; /* request id << 1 | slot */
};

struct sim_start {
    struct nx_run_id run;
    uint32_t attempt;
};

struct sim_config {
    uint64_t seed;
    bool faults;
    uint64_t crash_commit; /* crash at this commit; 0: by chance */
    int crash_point;       /* 0 before the commit, 1 after it, 2 after the sends */
    bool only_crash;       /* no other fault */
    bool verbose;
};

struct sim {
    struct sim_config config;
    struct sim_stats *stats;
    struct rng rng;
    int64_t now, wall_offset, heal_at;
    bool clock_stepped;
    uint64_t next_number, next_request;
    VEC(struct sim_event) events; /* heap */
    struct graph *graphs[SIM_DAGS];
    struct timetable *timetables[SIM_DAGS]; /* NULL: none */
    bool paused[SIM_DAGS], pause_changed;   /* in this turn; or a pool, ... */
    bool gone[SIM_DAGS];
    VEC(struct sim_backfill) backfills; /* as the scheduler has them; committed with the turn */
    VEC(struct nx_run_id) deletions;    /* of this turn */
    struct sim_worker workers[SIM_WORKERS_MAX];
    uint32_t n_workers;
    int64_t pool_slots[SIM_POOLS];
    struct sim_store store;
    VEC(struct sim_execution) executions;
    /* the scheduler */
    struct core *core;
    struct core_update update;
    struct arena arena;          /* decoded messages of the turn */
    VEC(struct sim_event) inbox; /* requests, and answers that were slow */
    VEC(struct core_ask) slow;
    VEC(struct nx_inst_id) edited;    /* by people, in this turn */
    VEC(struct sim_context) contexts; /* context - 1 */
    int64_t turn_at;                  /* of the next planned turn */
    uint64_t digest;                  /* of the core at the last commit */
    VEC(struct sim_start) started;    /* runs that tasks started in this turn */
    VEC(struct sim_choice) choices;   /* all, oldest first; some were lost in a crash */
    uint32_t runs_wanted, runs_created, edits_left, emits, emits_left, backfills_wanted;
    uint64_t n_commits, n_events;
    const char *broken; /* the oracle's first complaint */
    char detail[512];
};

enum sim_event_kind {
    SIM_REQUEST,  /* a: worker, b: request id << 1 | slot; arrives at the scheduler */
    SIM_REPLY,    /* a: worker, b: likewise; arrives at the worker */
    SIM_TURN,     /* the scheduler's loop */
    SIM_RESTART,  /* of the scheduler */
    SIM_WORKER,   /* the worker's tick: a, b: generation */
    SIM_CHILD,    /* a child ends: a, b: generation, c: number */
    SIM_RESEND,   /* a: worker, b: request id << 1 | slot */
    SIM_START,    /* a worker's process starts: a */
    SIM_FAULT,    /* something happens */
    SIM_CREATE,   /* a run is asked for */
    SIM_CANCEL,   /* a run is cancelled */
    SIM_PAUSE,    /* a: DAG, b: on */
    SIM_POOL,     /* a: pool, b: slots + 1 */
    SIM_EMIT,     /* a: a dataset that is written outside */
    SIM_BACKFILL, /* one begins: a: DAG, b: random bits that say how */
    SIM_CHANGE,   /* a: number of the backfill, b: enum core_backfill_state */
    SIM_GONE,     /* a: DAG, b: gone */
    SIM_DELETE,   /* b: run */
    SIM_HELP,     /* somebody looks for what waits for its past */
    SIM_MARK,     /* a: task, b: run */
    SIM_LOOK,     /* a look ends: a, b: generation */
    SIM_PEOPLE,   /* people look what waits for them */
    SIM_SAY,      /* one answers: a: slot of the instance, b: run, c: yes */
    SIM_EDIT      /* tasks of a run are cleared or marked: b: run, a: random bits that say how */
};

void sim_post(struct sim *sim, int kind, int64_t delay, uint32_t a, uint64_t b, uint64_t c,
              const void *bytes, size_t n);
void sim_fail(struct sim *sim, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool sim_chance(struct sim *sim, uint64_t numerator, uint64_t denominator);
int64_t sim_between(struct sim *sim, int64_t least, int64_t most);
bool sim_healed(const struct sim *sim);
void sim_faulted(struct sim_worker *worker, int64_t at);
void sim_count(struct sim *sim, enum sim_fault fault);

/* The instance's place in the arrays of a run: first the task's own, then its mapped ones. */
static inline uint32_t sim_slot(struct nx_inst_id id)
{
    return id.task * (1 + SIM_MAP_MAX) + (uint32_t)(id.map + 1);
}

static inline struct nx_inst_id sim_at_slot(struct nx_run_id run, uint32_t slot)
{
    return (struct nx_inst_id){run, slot / (1 + SIM_MAP_MAX),
                               (int32_t)(slot % (1 + SIM_MAP_MAX)) - 1};
}

static inline bool sim_same(struct nx_inst_id a, struct nx_inst_id b)
{
    return a.run.v == b.run.v && a.task == b.task && a.map == b.map;
}

/* generate.c */
struct graph *sim_random_graph(struct sim *sim, uint32_t dag);

/* schedule.c */
struct timetable *sim_random_timetable(struct sim *sim, uint32_t dag);
void sim_load_timetables(struct sim *sim, struct core *core);
bool sim_answer_dues(struct sim *sim);
void sim_pause(struct sim *sim, uint32_t dag, bool on);
void sim_commit_schedules(struct sim *sim);
void oracle_schedule_run(struct sim *sim, const struct sim_run *run);
void oracle_schedules(struct sim *sim);

/* dataset.c */
/* At most SIM_DATASETS names of what a task of the DAG writes. */
uint32_t sim_random_produces(struct sim *sim, uint32_t dag, const char **names);
const char *sim_random_dataset(struct sim *sim);
/* Whether its last event is not older than that. */
bool sim_is_new_enough(const struct sim *sim, const char *dataset, int64_t since_wall);
struct timetable *sim_dataset_timetable(struct sim *sim, uint32_t dag);
void sim_plan_emits(struct sim *sim);
void sim_emit(struct sim *sim, uint32_t dataset);
void sim_load_datasets(const struct sim *sim, struct core *core);
size_t sim_load_uses(const struct sim *sim, uint32_t dag, struct core_use *uses);
bool sim_dataset_due(const struct sim *sim); /* events wait for a run that is possible */
void oracle_datasets(struct sim *sim);       /* at a commit, before runs and instances are copied */
void oracle_dataset_run(struct sim *sim, const struct sim_run *run);
void oracle_datasets_end(struct sim *sim);

/* scheduler.c */
void sim_scheduler_start(struct sim *sim);
/* The rows of a run's instances, into a core that has the run. */
void sim_load_insts(struct core *core, const struct sim *sim, const struct sim_run *run);
void sim_scheduler_crash(struct sim *sim);
void sim_scheduler_receive(struct sim *sim, struct sim_event *event);
void sim_scheduler_turn(struct sim *sim);
void sim_scheduler_post(struct sim *sim, struct sim_event *event);
void sim_scheduler_step(struct sim *sim, const struct core_event *event);
struct core_event sim_scheduler_event(const struct sim *sim, enum core_event_kind kind);

/* worker.c */
void sim_worker_start(struct sim *sim, uint32_t worker);
void sim_worker_kill(struct sim *sim, uint32_t worker);
void sim_worker_tick(struct sim *sim, uint32_t worker);
void sim_worker_child(struct sim *sim, uint32_t worker, uint64_t number);
void sim_worker_look(struct sim *sim, uint32_t worker);
void sim_worker_child_kill(struct sim *sim, uint32_t worker);
void sim_worker_reply(struct sim *sim, const struct sim_event *event);
void sim_worker_resend(struct sim *sim, uint32_t worker, uint64_t request);
void sim_send_request(struct sim *sim, uint32_t worker, int slot);

/* people.c */
void sim_plan_edits(struct sim *sim);
/* An edit of that run, soon, that looks for a task in a state that is seldom met by chance. */
void sim_edit_soon(struct sim *sim, struct nx_run_id run, int64_t within_ms);
void sim_edit(struct sim *sim, const struct sim_event *event);
void sim_set_pool(struct sim *sim, uint32_t pool, int64_t slots);

/* waits.c */
void sim_random_wait(struct sim *sim, struct graph_task_def *def);
int64_t sim_random_when(struct sim *sim, const struct graph_task *spec);
bool sim_start_runs(struct sim *sim);
void sim_people_answer(struct sim *sim);
void sim_say(struct sim *sim, const struct sim_event *event);
void oracle_waited(struct sim *sim, struct sim_run *run, uint32_t slot,
                   const struct core_inst_row *row);
void oracle_overdue(struct sim *sim);
void oracle_started_run(struct sim *sim, const struct core_run_row *row);
void oracle_wait_end(struct sim *sim, const struct core_end *end);

void sim_load_ended(struct sim *sim, const struct sim_run *run);

/* backfill.c */
void sim_plan_backfills(struct sim *sim);
void sim_begin_backfill(struct sim *sim, const struct sim_event *from);
void sim_change_backfill(struct sim *sim, const struct sim_event *from);
void sim_dag_gone(struct sim *sim, uint32_t dag, bool gone);
void sim_answer_backfill(struct sim *sim, const struct core_due *due);
void sim_commit_backfills(struct sim *sim);
void sim_reload_backfills(struct sim *sim);
void sim_load_backfills(const struct sim *sim, struct core *core);
void oracle_backfills(struct sim *sim); /* after a commit */

/* choice.c */
/* What the task chooses, of those directly below it. */
void sim_random_choice(struct sim *sim, const struct core_ask *ask, struct core_event *event);
/* It is given to a deciding instance; when it is dropped, the one that counts comes later. */
void sim_note_choice(struct sim *sim, const struct core_inst_row *before,
                     const struct core_event *event);
/* Whether the ended upstream has left the task out. */
bool sim_left_out(const struct sim *sim, const struct core_inst_row *up, uint32_t down);

/* past.c */
bool sim_past_lets(struct sim *sim, struct nx_inst_id id, struct core_past *past);
void sim_answer_past(struct sim *sim, const struct core_ask *ask);
void sim_help(struct sim *sim);
void sim_mark(struct sim *sim, const struct sim_event *from);
void sim_delete(struct sim *sim, struct nx_run_id id);
void sim_forget_deletions(struct sim *sim); /* the turn is lost */
void oracle_past(struct sim *sim, const struct sim_run *run, const struct core_inst_row *row);
void oracle_late_restart(struct sim *sim);
void oracle_late_row(struct sim *sim, struct sim_run *run, const struct core_run_row *row);
void oracle_late(struct sim *sim); /* after a commit */

/* oracle.c */
/* Whether the core knows it: it has not ended, or was opened again. */
bool sim_in_core(const struct sim *sim, const struct sim_run *run);
struct sim_run *sim_run_find(struct sim *sim, struct nx_run_id id);
void oracle_step(struct sim *sim);      /* after every step of the core */
void oracle_loaded(struct sim *sim);    /* after a restart */
void oracle_commit(struct sim *sim);    /* before the rows are copied */
void oracle_committed(struct sim *sim); /* after that */
void oracle_received(struct sim *sim, const struct wire_report *report);
void oracle_sent(struct sim *sim, const struct wire_reply *reply);
void oracle_ask(struct sim *sim, struct nx_inst_id id);
void oracle_execution(struct sim *sim, struct nx_inst_id id);
/* What the progress of every attempt says: which lease it is of. */
#define SIM_PROGRESS_MAX 24
void sim_progress(char text[SIM_PROGRESS_MAX], uint32_t lease);
void oracle_run_end(struct sim *sim, struct sim_run *run);

bool sim_run(const struct sim_config *config, struct sim_stats *stats, struct sim *result);
void sim_free(struct sim *sim);

#endif
