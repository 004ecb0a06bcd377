/* The inbox: what callbacks on other threads hand to the scheduler's loop. Bounded; one turn takes
 * everything that is in it. */
#ifndef SCHEDULER_PORT_INBOX_H
#define SCHEDULER_PORT_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/wire/wire.h"
#include "nexus/error.h"
#include "scheduler/core/core.h"
#include "scheduler/dag/loader.h"
#include "scheduler/port/role.h"
#include "scheduler/store/kept.h"

enum message_kind {
    MSG_REPORT, /* a worker's message */
    MSG_LOADER, /* what the loader found */
    MSG_WRITE,  /* somebody wants something changed */
    MSG_QUERY,  /* somebody wants to look at the core */
    MSG_STOP    /* end */
};

enum write_op {
    WRITE_CREATE,   /* a run: dag, params, note, date; or interval and the run that it repeats */
    WRITE_CANCEL,   /* run */
    WRITE_EDIT,     /* run, edit, tasks, upstream, downstream, dry_run */
    WRITE_NOTE,     /* run, note */
    WRITE_APPROVE,  /* approval of inst, approved, params (its form's values), note (a comment) */
    WRITE_BACKFILL, /* dag, from, to, reprocess, max_active, backwards, params, dry_run */
    WRITE_BACKFILL_STATE, /* backfill, backfill_state */
    WRITE_DELETE,         /* run */
    WRITE_DRAIN,          /* worker, on */
    WRITE_PAUSE,          /* dag, on */
    WRITE_KEEP,           /* kept, name, only_new; slots and value (description); or value; or
                             value and description */
    WRITE_DROP,           /* kept, name */
    WRITE_EMIT,           /* an event of a dataset: name, rows, hash, note */
    WRITE_RETENTION,      /* what is over its bounds goes now */
    WRITE_TOLD,           /* notification, n_tries, told, target; note: the error; value: output */
    WRITE_RETELL,         /* notification */
    WRITE_TOKEN,          /* token, name, role, value (its hash), expires_ms */
    WRITE_TOKEN_DROP,     /* token */
    WRITE_AUDIT           /* nothing but its line on the audit list */
};

/* What came of a try to send a notification. */
enum told { TOLD, TOLD_NOT_YET, TOLD_NEVER };

enum backfill_reprocess { REPROCESS_NONE, REPROCESS_FAILED, REPROCESS_COMPLETED };

enum backfill_action { BACKFILL_CREATE, BACKFILL_REPROCESS, BACKFILL_EXISTS, BACKFILL_IN_FLIGHT };

/* What a backfill does about one data interval. */
struct backfill_step {
    int64_t start_ms, finish_ms, fire_ms;
    struct nx_run_id run;    /* the one that is there; 0: none */
    enum nx_run_state state; /* of that */
    enum backfill_action action;
};

/* The answer to a write, after its commit. */
struct write_result {
    struct nx_err err;                /* code NX_OK: done */
    struct nx_run_id run;             /* WRITE_CREATE, WRITE_CANCEL */
    bool existed;                     /* run or backfill: an earlier request with its key made it */
    const struct core_edited *edited; /* WRITE_EDIT; in the message */
    size_t n_edited;
    uint64_t backfill;                 /* WRITE_BACKFILL; 0: a dry run */
    const struct backfill_step *steps; /* its plan; in the message */
    size_t n_steps;
    bool replaced;         /* WRITE_KEEP: there was one of that name */
    uint64_t version;      /* WRITE_EMIT */
    int64_t used, waiting; /* WRITE_DROP of a pool: slots taken, tasks that wait for it */
};

struct message {
    enum message_kind kind;
    struct message *next;
    struct arena arena; /* everything below that is not said to be otherwise */
    /* MSG_REPORT */
    struct wire_report report;
    unsigned context; /* of the link */
    /* MSG_LOADER; freed with the message unless taken (set NULL) */
    struct loader_event *loaded;
    /* MSG_WRITE */
    enum write_op op;
    const char *dag, *worker, *params, *note;
    const char *former_params; /* of the run that this one repeats; params is what is other */
    const char *idempotency_key, *request; /* the key, and a hash of what came with it; or NULL */
    bool on;
    struct nx_run_id run;
    struct nx_inst_id inst;
    uint64_t approval;
    bool approved;
    const char *date;                              /* start of the data interval; NULL: not said */
    int64_t interval_start_ms, interval_finish_ms; /* of the run that this one repeats; 0: none */
    enum core_edit edit;
    const struct core_target *tasks; /* of the run's version */
    uint32_t n_tasks;
    bool upstream, downstream, dry_run;
    const struct core_inst_row *insts; /* of a large run that had ended at ended_ms: its rows */
    size_t n_insts;
    int64_t ended_ms;      /* 0: the loop reads them */
    const char *from, *to; /* of a backfill: starts of intervals, inclusive */
    enum backfill_reprocess reprocess;
    uint32_t max_active; /* 0: as many as the DAG may have */
    bool backwards;
    uint64_t backfill;
    enum core_backfill_state backfill_state;
    enum kept_kind kept;
    const char *name,
        *value;              /* of a variable: JSON; of a secret or connection: never on the list */
    const char *description; /* of a connection; NULL: stays */
    int64_t notification, n_tries;
    enum told told;
    int64_t slots;
    int64_t rows; /* -1: not said */
    const char *hash;
    const char *token;  /* its id */
    enum role role;     /* its */
    int64_t expires_ms; /* wall; 0: never */
    bool only_new;      /* one of that name is NX_E_CONFLICT */
    /* The last change of the target by what fits `match` must be one of these (NULL:
     * whatever it is), else NX_E_STALE. */
    const char *match;
    const int64_t *matches; /* ids of the audit list; 0: none */
    size_t n_matches;
    const char *who, *what, *target, *detail; /* for the audit list; what NULL: not on it */
    /* Called once, on the loop, after the commit (or when it failed before): be quick. */
    void (*done)(void *arg, const struct write_result *result);
    /* MSG_QUERY: called on the loop, between steps: be quick. core is NULL when the scheduler
     * stops. */
    void (*look)(void *arg, const struct core *core);
    void *arg;
};

struct inbox;

/* `wake` is called, on any thread, when the inbox is not empty any more. */
struct inbox *inbox_new(void (*wake)(void *arg), void *arg);
void inbox_free(struct inbox *inbox);

struct message *message_new(enum message_kind kind);
void message_free(struct message *message);

/* Takes the message; false (the message stays the caller's) when NX_INBOX_MAX are waiting: answer
 * "busy". Reports and MSG_STOP are never refused: their number is bounded by the contexts. */
bool inbox_post(struct inbox *inbox, struct message *message);
size_t inbox_waiting(struct inbox *inbox); /* how many */
/* Everything that is waiting, oldest first. */
struct message *inbox_take(struct inbox *inbox);

#endif
