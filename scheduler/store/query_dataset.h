/* Reads of datasets for the API: their events, what DAGs have to do with them. */
#ifndef SCHEDULER_STORE_QUERY_DATASET_H
#define SCHEDULER_STORE_QUERY_DATASET_H

#include "scheduler/store/query.h"
#include "scheduler/store/store.h"

struct query_dataset_event {
    const char *dataset;
    int64_t version, at_ms;
    int64_t rows;                  /* -1: unknown */
    const char *hash, *note, *who; /* or NULL */
    const char *dag, *task;        /* NULL: made by hand */
    struct nx_run_id run;          /* 0: likewise */
    int32_t map;
    uint32_t attempt;
};

typedef bool query_dataset_event_fn(void *arg, const struct query_dataset_event *event);
/* With a version below `before` (0: all), newest first. */
bool query_dataset_events(struct query *query, const char *dataset, int64_t before, size_t limit,
                          query_dataset_event_fn *fn, void *arg, struct nx_err *err);
/* The one of that version; fn is called at most once. */
bool query_dataset_event(struct query *query, const char *dataset, int64_t version,
                         query_dataset_event_fn *fn, void *arg, struct nx_err *err);

/* Names behind `after`, in order: of datasets that a present DAG names or that have had events. */
bool query_datasets(struct query *query, const char *after, size_t limit,
                    bool (*fn)(void *arg, const char *name), void *arg, struct nx_err *err);
bool query_dataset_known(struct query *query, const char *name, bool *known, struct nx_err *err);

struct query_dataset_link {
    const char *dataset, *dag, *task; /* task NULL: the DAG itself */
    enum dataset_link kind;
    uint64_t version; /* of the DAG */
};

/* What present DAGs say: of that dataset (NULL: all), of that DAG (NULL: all). */
bool query_dataset_links(struct query *query, const char *dataset, const char *dag,
                         bool (*fn)(void *arg, const struct query_dataset_link *link), void *arg,
                         struct nx_err *err);

/* What an event was made of: what started its run (task NULL), and what its task and those before
 * it had read: the newest version when they started. */
struct query_dataset_input {
    const char *dataset, *task;
    int64_t version;
};

bool query_dataset_inputs(struct query *query, const struct query_dataset_event *event,
                          bool (*fn)(void *arg, const struct query_dataset_input *input), void *arg,
                          struct nx_err *err);

/* How far the entries of a DAG's schedule have used their datasets. */
struct query_dataset_use {
    const char *key;  /* of the entry */
    int64_t since_ms; /* end of its last run's interval; 0: there was none */
    const char *dataset;
    int64_t used, version; /* the last that was used, and that there is */
};

bool query_dataset_uses(struct query *query, const char *dag,
                        bool (*fn)(void *arg, const struct query_dataset_use *use), void *arg,
                        struct nx_err *err);

#endif
