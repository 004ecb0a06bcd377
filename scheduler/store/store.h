/* The store: nexus.db. One writer, on the scheduler's loop; everything that decides something is in
 * its transactions, one a turn. Readers have connections of their own: see query.h.
 *
 * A failed commit leaves the file as it was; the scheduler ends then (exit 75) and is started
 * again: memory and file would differ otherwise. */
#ifndef SCHEDULER_STORE_STORE_H
#define SCHEDULER_STORE_STORE_H

#include "lib/base/buf.h"
#include "lib/crypt/crypt.h"
#include "nexus/error.h"
#include "scheduler/core/core.h"

struct store;

/* Opens or creates the file and brings its schema to this version. */
bool store_open(const char *path, struct store **store, struct nx_err *err);
void store_close(struct store *store); /* NULL is fine */

/* ---- Start ---- */

/* Raises the durable epoch by one and returns it; and the first free run id. */
bool store_begin_epoch(struct store *store, uint64_t *epoch, uint64_t *next_run,
                       struct nx_err *err);

/* What load hands over; texts live until the function returns. A false ends the load. */
struct store_version {
    uint64_t version;
    const char *dag, *file, *hash, *source_hash, *source, *catalog;
    const char *timetable; /* NULL: none */
    bool paused;
    bool current;   /* new runs use it */
    bool in_use;    /* unfinished runs use it */
    bool has_files; /* it has rows in version_file */
};

struct store_loader {
    void *arg;
    bool (*version)(void *arg, const struct store_version *version, struct nx_err *err);
    void (*worker)(void *arg, const struct core_worker_row *row);
    void (*run)(void *arg, const struct core_run_row *row);
    void (*list)(void *arg, struct nx_run_id run, uint32_t map, uint32_t n);
    void (*inst)(void *arg, const struct core_inst_row *row);
    void (*edit)(void *arg, const struct core_edit_row *row);
};

/* Every current version and those in use; then workers, unfinished runs in the order of their ids,
 * the lengths of their lists, their instances, and what large edits have left to do. Functions that
 * are NULL are left out. */
bool store_load(struct store *store, const struct store_loader *loader, struct nx_err *err);
/* One run, ended or not, and (unless inst is NULL) its instances; nothing is called when there is
 * none. */
bool store_load_run(struct store *store, struct nx_run_id run, const struct store_loader *loader,
                    struct nx_err *err);

/* ---- Versions ---- */

struct store_file {
    const char *path;
    const void *data;
    size_t n_bytes;
    bool executable;
};

/* What a DAG has to do with a dataset. */
enum dataset_link {
    DATASET_PRODUCED, /* by a task */
    DATASET_CONSUMED, /* likewise */
    DATASET_STARTS    /* the DAG: its schedule names it */
};

struct store_dataset_link {
    const char *dataset;
    enum dataset_link kind;
    const char *task; /* id; NULL: the DAG itself */
};

/* A new version becomes the current one of its DAG. `info` is what the API shows of it (JSON). */
struct store_new_version {
    const char *dag, *file, *hash, *source_hash, *catalog, *source, *info;
    const char *timetable; /* NULL: none */
    const char *retention; /* NULL: nothing is said */
    const struct store_file *files;
    size_t n_files;
    const struct store_dataset_link *links; /* they replace those of the version before */
    size_t n_links;
    int64_t created_ms;
};

bool store_put_version(struct store *store, const struct store_new_version *from, uint64_t *version,
                       struct nx_err *err);
/* The DAG's file is gone (or back, with the same version). */
bool store_set_present(struct store *store, const char *dag, bool present, struct nx_err *err);
bool store_set_paused(struct store *store, const char *dag, bool paused, struct nx_err *err);
bool store_get_paused(struct store *store, const char *dag, bool *paused, struct nx_err *err);
/* The marks of a DAG's schedule, in order; texts live until the function returns. */
bool store_marks(struct store *store, const char *dag, void *arg,
                 void (*fn)(void *arg, const struct core_mark *mark), struct nx_err *err);
/* Problems of a file as a JSON list; NULL: it has none any more. */
bool store_set_problems(struct store *store, const char *file, const char *problems,
                        struct nx_err *err);
/* Source of a version, appended. */
bool store_source(struct store *store, uint64_t version, struct buf *source, struct nx_err *err);
/* The number of a version among those of its DAG. */
bool store_version_number(struct store *store, uint64_t version, int64_t *number,
                          struct nx_err *err);
/* DAG and file of a version, appended. */
bool store_version_names(struct store *store, uint64_t version, struct buf *dag, struct buf *file,
                         struct nx_err *err);
/* The files of a version, one after the other. */
bool store_files(struct store *store, uint64_t version, void *arg,
                 bool (*file)(void *arg, const struct store_file *file, struct nx_err *err),
                 struct nx_err *err);

/* ---- A turn's transaction ---- */

/* What a new run's row has beside what the core knows. */
struct store_run_extra {
    struct nx_run_id run;
    const char *params;       /* JSON object */
    const char *note;         /* or NULL */
    struct nx_run_id repeats; /* the run whose datasets it has; 0: none */
};

/* The text of a failed question, which becomes the instance's error. */
struct store_ask_error {
    struct nx_inst_id inst;
    const char *text;
};

/* The items of a list that was asked for: an index of the graph's maps, a JSON list. */
struct store_list {
    struct nx_run_id run;
    uint32_t map, n;
    const char *json;
};

/* What is known of a dataset's event beside what the core knows. */
struct store_dataset_fact {
    int64_t rows;     /* -1: unknown */
    const char *hash; /* or NULL, as the others */
    const char *note;
    const char *who; /* made it by hand */
};

/* A person is asked from now on. */
struct store_approval {
    struct nx_inst_id inst;
    const char *message;
    const char *form;         /* JSON: a list like params */
    int64_t asked_ms, due_ms; /* due 0: it waits for ever */
};

struct store_turn {
    const struct core *core;
    const struct core_update *update;
    const struct store_run_extra *extras;
    size_t n_extras;
    const struct store_ask_error *ask_errors;
    size_t n_ask_errors;
    const struct store_dataset_fact *facts; /* of the update's first dataset events, in order */
    size_t n_facts;
    const struct store_approval *approvals;
    size_t n_approvals;
};

/* Opens the transaction if it is not open: what is put, set or written from now on is one with the
 * turn's commit. */
bool store_begin(struct store *store, struct nx_err *err);
bool store_in_transaction(const struct store *store);
/* Writes the rows of the turn so far, so that questions see them. May be called again: a row is
 * written as it is then. */
bool store_write(struct store *store, const struct store_turn *turn, struct nx_err *err);
/* Ends the transaction: durable when it returns. */
bool store_commit(struct store *store, struct nx_err *err);
/* After the sends: a PASSIVE checkpoint when the log is long (and idle, or very long). */
bool store_checkpoint(struct store *store, bool idle, struct nx_err *err);

/* ---- For leases and questions, read in the writer's own view ---- */

/* Params of a run (JSON object) and its interval. NX_E_NOT_FOUND. */
bool store_params(struct store *store, struct nx_run_id run, struct buf *params,
                  int64_t *interval_start_ms, int64_t *interval_finish_ms, int64_t *created_ms,
                  struct nx_err *err);
/* Notes who changed what: one row of the audit list, in the turn's transaction. */
struct store_audit {
    int64_t at_ms;
    const char *who, *what, *target;
    const char *detail; /* JSON object, or NULL */
};
/* The last entry about a target of what fits `kind` ("pool.*"); 0: none. */
bool store_last_change(struct store *store, const char *kind, const char *target, int64_t *id,
                       struct nx_err *err);
bool store_put_audit(struct store *store, const struct store_audit *audit, struct nx_err *err);
/* NULL takes the note away. *found false: there is no such run. */
bool store_set_note(struct store *store, struct nx_run_id run, const char *note, bool *found,
                    struct nx_err *err);
/* Keeps the items of a list, in the turn's transaction; a former list of that map is replaced. */
bool store_put_list(struct store *store, const struct store_list *list, struct nx_err *err);
/* The items of a list (JSON), appended; nothing when it is not there. */
bool store_get_list(struct store *store, struct nx_run_id run, uint32_t map, struct buf *json,
                    struct nx_err *err);
/* Outputs of the indexes below n of a mapped task as a JSON list, appended: {} where there are
 * none. */
bool store_list_outputs(struct store *store, struct nx_run_id run, uint32_t task, uint32_t n,
                        struct buf *outputs, struct nx_err *err);
/* Outputs of a task instance, appended; nothing when there are none. */
bool store_outputs(struct store *store, struct nx_inst_id inst, struct buf *outputs,
                   struct nx_err *err);
/* What a request with an Idempotency-Key has made. */
struct store_key {
    struct nx_run_id run;
    uint64_t backfill;        /* or that; both 0: nothing yet */
    char request[SHA256_HEX]; /* empty: of a former version of the store */
};
bool store_find_key(struct store *store, const char *key, struct store_key *found,
                    struct nx_err *err);
/* Found from now on, also before the turn's commit; it goes with its run. */
bool store_put_key(struct store *store, const char *key, const struct store_key *made,
                   struct nx_err *err);
/* The run that claims that interval of the DAG's schedule, or 0. */
bool store_find_interval(struct store *store, const char *dag, int64_t start_ms, int64_t finish_ms,
                         struct nx_run_id *run, struct nx_err *err);
/* The latest run of the DAG that claims an interval before that one (by start, then finish); run 0:
 * there is none. */
struct store_previous {
    struct nx_run_id run;
    uint64_t version;
    int64_t start_ms, finish_ms;
};
bool store_previous(struct store *store, const char *dag, int64_t start_ms, int64_t finish_ms,
                    struct store_previous *previous, struct nx_err *err);
/* What became of a task in an ended run, as a whole: see core_get_task_state. Without a row it was
 * cancelled with the run. map: of the task in the graph; 0: none. */
bool store_task_state(struct store *store, struct nx_run_id run, uint32_t task, uint32_t map,
                      enum nx_task_state *state, struct nx_err *err);
bool store_run_state(struct store *store, struct nx_run_id run, enum nx_run_state *state,
                     struct nx_err *err);

/* ---- Approvals ---- */

struct store_decision {
    uint64_t id;
    bool approved;
    int64_t at_ms;
    const char *who;
    const char *comment; /* or NULL */
    const char *values;  /* JSON object, or NULL */
};

bool store_decide_approval(struct store *store, const struct store_decision *decision,
                           struct nx_err *err);
/* Whether that question waits for an answer, or has one; neither: it is there no more, or was given
 * up. */
bool store_approval(struct store *store, uint64_t id, bool *open, bool *decided,
                    struct nx_err *err);

/* ---- Backfills ---- */

struct store_new_backfill {
    const struct core_backfill *plan; /* id is not looked at */
    int64_t from_ms, to_ms;           /* of the starts of intervals */
    const char *reprocess, *params;
    bool backwards;
    int64_t created_ms;
};

bool store_put_backfill(struct store *store, const struct store_new_backfill *from, uint64_t *id,
                        struct nx_err *err);
/* The run that was made of an item. */
bool store_set_backfill_run(struct store *store, uint64_t id, size_t position, struct nx_run_id run,
                            struct nx_err *err);
bool store_backfill_params(struct store *store, uint64_t id, struct buf *params,
                           struct nx_err *err);
/* One of the DAG that has not ended and whose range overlaps, or 0. */
bool store_overlapping_backfill(struct store *store, const char *dag, int64_t from_ms,
                                int64_t to_ms, uint64_t *id, struct nx_err *err);
/* Those that have not ended. */
bool store_load_backfills(struct store *store, void *arg,
                          void (*fn)(void *arg, const struct core_backfill *backfill),
                          struct nx_err *err);

/* ---- Datasets ---- */

bool store_load_datasets(struct store *store, void *arg,
                         void (*fn)(void *arg, const struct core_dataset_row *row),
                         struct nx_err *err);
/* Whether a present DAG names it, or it has had events. */
bool store_knows_dataset(struct store *store, const char *name, bool *known, struct nx_err *err);
/* Adds what started the run: {"flights": {"version", "rows", "hash", "producer"}, ...} */
bool store_run_datasets(struct store *store, struct nx_run_id run, struct buf *to,
                        struct nx_err *err);

/* When the DAG's newest run of that cause was created; 0: there is none. */
bool store_last_created(struct store *store, const char *dag, enum nx_run_cause cause,
                        int64_t *created_ms, struct nx_err *err);

/* Counted since the open: for /metrics and the benchmarks. */
struct store_counts {
    uint64_t commits, rows;
    int64_t commit_us; /* spent in commits */
};
struct store_counts store_counted(const struct store *store);

#endif
