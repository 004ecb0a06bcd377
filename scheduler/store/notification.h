/* The outbox: what others are told about runs and tasks. A row is written by the commit of what it
 * tells, so exactly what was committed is told, at least once. Who sends reads the rows that are
 * due by a query; what became of them is written by the loop. */
#ifndef SCHEDULER_STORE_NOTIFICATION_H
#define SCHEDULER_STORE_NOTIFICATION_H

#include "scheduler/store/query.h"
#include "scheduler/store/store.h"

enum notification_state { NOTIFICATION_PENDING, NOTIFICATION_SENT, NOTIFICATION_FAILED };

#define NOTIFICATION_STATES 3

struct notification {
    int64_t id;
    const char *delivery;   /* the same in every try */
    const char *event;      /* task.failure, run.success, ..., summary */
    const char *dag, *task; /* task NULL: of the run, or a summary */
    uint64_t run;           /* 0: a summary */
    int32_t map_index;
    const char *kind, *target, *config, *body; /* see struct hook; body: JSON */
    int64_t more;                              /* of a summary */
    enum notification_state state;
    int64_t attempts;
    int64_t created_ms, due_ms, finished_ms; /* finished 0: it is pending */
    const char *error, *output;              /* of the last try, or NULL */
};

/* "pending", "sent", "failed" */
const char *notification_state_name(enum notification_state state);

/* ---- For the loop: in the turn's transaction ---- */

/* A new one: id and what belongs to tries is not looked at. */
bool store_put_notification(struct store *store, const struct notification *from, int64_t *id,
                            struct nx_err *err);
/* A summary gets that many more. */
bool store_add_more(struct store *store, int64_t id, int64_t more, struct nx_err *err);
/* What became of a try: state, attempts, due_ms, finished_ms, error, output. */
bool store_set_notification(struct store *store, const struct notification *what,
                            struct nx_err *err);
/* Begins anew with one that was given up. *state is what it was before; *target: for the caller's
 * count, appended. NX_E_NOT_FOUND. */
bool store_retry_notification(struct store *store, int64_t id, int64_t now_ms,
                              enum notification_state *state, struct buf *target,
                              struct nx_err *err);
/* How many are pending, by target. */
bool store_each_pending(struct store *store, void (*fn)(void *arg, const char *target, int64_t n),
                        void *arg, struct nx_err *err);
/* Of those that are over, all but the newest `keep` go, at most `most` at once. */
bool store_trim_notifications(struct store *store, int64_t keep, int64_t most, struct nx_err *err);

/* ---- For readers ---- */

struct query_notifications {
    int64_t id;     /* this one alone; 0: all */
    int state;      /* or -1: all */
    int64_t before; /* only ids below; 0: all */
    size_t limit;
};

typedef bool query_notification_fn(void *arg, const struct notification *notification);
/* Newest first. */
bool query_notifications(struct query *query, const struct query_notifications *which,
                         query_notification_fn *fn, void *arg, struct nx_err *err);
/* Targets with pending ones, and when the first of each is due. */
bool query_due_targets(struct query *query,
                       bool (*fn)(void *arg, const char *target, int64_t due_ms), void *arg,
                       struct nx_err *err);
/* The first of a target that is due by then; fn is called at most once. */
bool query_due_first(struct query *query, const char *target, int64_t now_ms,
                     query_notification_fn *fn, void *arg, struct nx_err *err);

#endif
