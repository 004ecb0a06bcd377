/* States, outcomes, trigger rules and reasons: the words that API, command line, store and tests
 * share. The numbers are stored and sent: they only grow. */
#ifndef NEXUS_STATES_H
#define NEXUS_STATES_H

#include <stdbool.h>

/* A task instance. Everything from NX_TS_SUCCESS on is final. */
enum nx_task_state {
    NX_TS_WAITING = 0, /* its trigger rule is not decided yet */
    NX_TS_DECIDING,    /* its `if` is being evaluated */
    NX_TS_QUEUED,      /* decided to run; waits for a slot, a pool, a limit, a worker */
    NX_TS_LEASED,      /* given to a worker, not started */
    NX_TS_RUNNING,     /* started */
    NX_TS_DEFERRED,    /* waits without a slot */
    NX_TS_RETRYING,    /* failed or lost; starts again at a known time */
    NX_TS_STOPPING,    /* being cancelled, timed out or cleared */
    NX_TS_SUCCESS,
    NX_TS_FAILED,
    NX_TS_UPSTREAM_FAILED,
    NX_TS_SKIPPED,
    NX_TS_CANCELLED,
    NX_TS_REMOVED,
    NX_TASK_STATES
};

static inline bool nx_task_state_final(enum nx_task_state state)
{
    return state >= NX_TS_SUCCESS;
}

enum nx_run_state {
    NX_RS_QUEUED = 0, /* waits for max_active_runs */
    NX_RS_RUNNING,
    NX_RS_STOPPING, /* being cancelled or timed out */
    NX_RS_SUCCESS,
    NX_RS_FAILED,
    NX_RS_CANCELLED,
    NX_RUN_STATES
};

static inline bool nx_run_state_final(enum nx_run_state state)
{
    return state >= NX_RS_SUCCESS;
}

/* How an attempt ended. */
enum nx_attempt_outcome {
    NX_AO_NONE = 0, /* it has not */
    NX_AO_SUCCESS,
    NX_AO_FAILED,
    NX_AO_TIMEOUT,
    NX_AO_MEMORY, /* over its memory limit */
    NX_AO_LOST,   /* its worker or child is gone */
    NX_AO_CANCELLED,
    NX_AO_SKIPPED,
    NX_ATTEMPT_OUTCOMES
};

enum nx_trigger_rule {
    NX_TR_ALL_SUCCESS = 0,
    NX_TR_ALL_FAILED,
    NX_TR_ALL_DONE,
    NX_TR_ALL_DONE_MIN_ONE_SUCCESS,
    NX_TR_ALL_SKIPPED,
    NX_TR_ONE_FAILED,
    NX_TR_ONE_SUCCESS,
    NX_TR_ONE_DONE,
    NX_TR_NONE_FAILED,
    NX_TR_NONE_FAILED_MIN_ONE_SUCCESS,
    NX_TR_NONE_SKIPPED,
    NX_TR_ALWAYS,
    NX_TRIGGER_RULES
};

enum nx_run_cause {
    NX_RC_MANUAL = 0,
    NX_RC_SCHEDULE,
    NX_RC_BACKFILL,
    NX_RC_DATASET,
    NX_RC_DRIFT,
    NX_RC_DAG,
    NX_RUN_CAUSES
};

/* Why an instance is in its state. The text that goes with it is made by core_explain. */
enum nx_reason {
    NX_WHY_NONE = 0,
    NX_WHY_UPSTREAM,      /* waiting: upstream tasks have not ended */
    NX_WHY_RULE,          /* decided by its trigger rule */
    NX_WHY_IF_FALSE,      /* skipped: its `if` is false */
    NX_WHY_IF_ERROR,      /* failed: its `if` could not be evaluated */
    NX_WHY_ASKED,         /* deciding: the question is being answered */
    NX_WHY_NO_WORKER,     /* queued: no worker is online */
    NX_WHY_NO_FIT,        /* queued: no worker has that queue, memory, gpu or operator */
    NX_WHY_NO_SLOT,       /* queued: all fitting workers are full */
    NX_WHY_POOL,          /* queued: the pool is full */
    NX_WHY_POOL_MISSING,  /* queued: the pool does not exist */
    NX_WHY_NEXT,          /* queued: the next turn gives it away */
    NX_WHY_PREFETCHED,    /* leased: waits at its worker for a slot */
    NX_WHY_STARTED,       /* running */
    NX_WHY_RETRY_DELAY,   /* retrying: until a known time */
    NX_WHY_LOST_WAIT,     /* retrying: an exclusive task whose worker may still run it */
    NX_WHY_RUN_QUEUED,    /* its run waits for max_active_runs */
    NX_WHY_FINALLY,       /* waiting: runs when everything else of the run is final */
    NX_WHY_CANCEL,        /* its run was cancelled */
    NX_WHY_RUN_TIMEOUT,   /* its run ran out of time */
    NX_WHY_QUEUE_TIMEOUT, /* failed: queued for longer than queue_timeout */
    NX_WHY_TIMEOUT,       /* failed: ran longer than its timeout */
    NX_WHY_MEMORY,        /* failed: over its memory limit */
    NX_WHY_LOST,          /* failed: lost lost_limit times */
    NX_WHY_ERROR,         /* failed: the attempt's own error */
    NX_WHY_PERMANENT,     /* failed: an error that no retry can mend */
    NX_WHY_TASK_SKIPPED,  /* skipped by the task itself */
    NX_WHY_MARKED,        /* marked by a person */
    NX_WHY_CLEARED,       /* stopping: a person cleared it; it is decided again when it has ended */
    NX_WHY_MARK_SUCCESS,  /* stopping: marked as success by a person */
    NX_WHY_MARK_FAILED,   /* stopping: marked as failed by a person */
    NX_WHY_OVERLAP,       /* its run made way for a newer one of its schedule */
    NX_WHY_EMPTY_LIST,    /* skipped: its `for_each` gave no items */
    NX_WHY_LIST_ERROR,    /* failed: its `for_each` could not be evaluated */
    NX_WHY_MAPPED,        /* removed: its instances stand for it, one an item */
    NX_WHY_SHORTER,       /* removed: the list is shorter now */
    NX_WHY_MAX_PARALLEL,  /* queued: as many indexes of its map as may be are in progress */
    NX_WHY_WITH_ERROR,    /* failed: its `with` could not be evaluated by the scheduler */
    NX_WHY_WAIT_TIME,     /* deferred: until a known time */
    NX_WHY_WAIT_PERSON,   /* deferred: until a person approves or rejects */
    NX_WHY_WAIT_POKE,     /* deferred: until what a worker looks for is there */
    NX_WHY_WAIT_RUN,      /* deferred: until the run that it started has ended */
    NX_WHY_REJECTED,      /* failed: a person rejected it */
    NX_WHY_RUN_FAILED,    /* failed: the run that it started did not succeed */
    NX_WHY_CONCURRENCY,   /* queued: as many of its concurrency key are held as may be */
    NX_WHY_PAST,          /* waiting: it has not succeeded in the run before */
    NX_WHY_DAG_GONE,      /* of a backfill: its DAG has no file any more */
    NX_WHY_NOT_CHOSEN,    /* skipped: a task above chose others */
    NX_WHY_WAIT_DATASET,  /* deferred: until there is a new version of a dataset */
    NX_WHY_PAUSED,        /* its run was scheduled, and its DAG is paused */
    NX_REASONS
};

/* "success", "all_done", ... and back; the find functions return -1 when there is none. */
const char *nx_task_state_name(enum nx_task_state state);
const char *nx_run_state_name(enum nx_run_state state);
const char *nx_outcome_name(enum nx_attempt_outcome outcome);
const char *nx_rule_name(enum nx_trigger_rule rule);
const char *nx_cause_name(enum nx_run_cause cause);
const char *nx_reason_name(enum nx_reason reason);
int nx_task_state_find(const char *name);
int nx_run_state_find(const char *name);
int nx_rule_find(const char *name);

/* The legal moves: one table, see lib/base/states.c. */
bool nx_task_move_legal(enum nx_task_state from, enum nx_task_state to);
bool nx_run_move_legal(enum nx_run_state from, enum nx_run_state to);

#endif
