/* One request to the API while it is answered: what handlers work with. For the files api*.c.
 *
 * A handler runs on a thread of the server. It writes JSON into call->body and returns true, or
 * fails with *err; or it answers by itself (call_respond); or it hands a job over to the loop
 * (job_write, job_look), whose result is made into an answer on the API's own thread, so that the
 * loop only copies. */
#ifndef SCHEDULER_PORT_API_CALL_H
#define SCHEDULER_PORT_API_CALL_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/artifact/artifact.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/vec.h"
#include "lib/crypt/crypt.h"
#include "lib/net/http.h"
#include "lib/wire/paths.h"
#include "scheduler/dag/timetable_json.h"
#include "scheduler/port/api.h"
#include "scheduler/port/api_events.h"
#include "scheduler/port/role.h"
#include "scheduler/store/query.h"

#define CALL_PARAMS_MAX 4
#define CALL_BODY_MAX (4 * 1024 * 1024) /* a page of a list ends when it is longer */

#define HISTOGRAM_BOUNDS 12

/* How long something took: by how long at most (see api_metrics.c), and in all. */
struct histogram {
    atomic_ullong counts[HISTOGRAM_BOUNDS + 1], sum_us;
};

/* Requests are counted by these. */
enum route_class {
    CLASS_READ,
    CLASS_WRITE,
    CLASS_LOG,
    CLASS_EVENTS,
    CLASS_PAGE,
    CLASS_SERVER, /* health, metrics, the document */
    CLASS_NONE,   /* of no route */
    ROUTE_CLASSES
};

struct job;
struct call;

struct stream {
    struct http_token token;
    bool follows; /* a log: looked at often; else woken by events */
};

struct api {
    char home[PATH_MAX_BYTES];
    char dags[PATH_MAX_BYTES]; /* the folder of DAG files; "": none is known */
    struct http_server *server;
    struct inbox *inbox;
    struct query_pool *pool;
    struct zones *zones;
    struct events *events;
    struct artifact_store *artifacts;
    struct rows *rows;
    struct map fixed[KEPT_KINDS]; /* name -> its value as JSON text: see api_config */
    char key_path[PATH_MAX_BYTES];
    struct retention retention;
    const char *settings;
    struct tokens *tokens; /* and what follows: see api_config */
    const char *workers_host, *certificate;
    unsigned workers_port;
    bool auth, secure; /* and session_key: see api_auth.h */
    struct crypt_key session_key;
    int64_t started_ms;
    int64_t opened_wall_ms, opened_steady_ms;
    atomic_bool ready;
    atomic_ullong ended[NX_RUN_STATES];      /* runs since the start, by final state */
    struct histogram turns, commits;         /* of the loop since the start */
    atomic_ullong answers[ROUTE_CLASSES][6]; /* by the first digit of their status */
    /* The API's own thread: finishes jobs, wakes streams. */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *jobs, **last_job;
    VEC(struct stream) streams;
    unsigned n_follows;
    bool fresh_events, stopped;
    unsigned n_works;                    /* of job_work, under way */
    struct job *waiting, **last_waiting; /* for a thread of theirs */
    unsigned n_waiting;
    pthread_cond_t worked;
    atomic_bool ending; /* they are to give up */
};

enum param_type { PARAM_TEXT, PARAM_INT, PARAM_BOOL, PARAM_OBJECT, PARAM_TEXTS, PARAM_ANY };

struct route_param {
    const char *name;
    enum param_type type;
    const char *help;
};

struct route {
    const char *method;
    enum role role; /* who may */
    const char *path, *summary;
    const struct route_param *queries; /* ended by one without a name; NULL: none */
    const struct route_param *body;    /* members of the body; NULL: no body */
    bool (*handle)(struct call *call, struct nx_err *err);
};

/* A place in the body ("null") that the core fills: see job_fill. */
struct patch {
    size_t at;
    struct nx_inst_id inst;
    enum nx_reason stored; /* shown when the core does not know the instance */
    bool reason;           /* else the progress */
};

struct call {
    struct api *api;
    struct http_request *request;
    const struct route *route;
    const char *params[CALL_PARAMS_MAX]; /* values of {x} in the path, in order */
    const char *who;                     /* asks, for the audit list */
    enum role role;
    const char *token;      /* with which he comes: its id; NULL: auth is off, or none */
    int64_t session_end_ms; /* of a session; else 0 */
    struct arena *arena;
    struct query *query; /* after call_query */
    struct buf body;
    const char *content_type;   /* NULL: JSON */
    const char *revision;       /* see call_revision */
    int status;                 /* 0: 200, or that of the error */
    const char *code, *details; /* of the error, instead of its own and null */
    const char *headers[7];     /* ended by NULL */
    VEC(struct patch) patches;
    bool done; /* answered, or handed over */
    bool handed_over;
};

/* Begins the request's snapshot of the store. */
bool call_query(struct call *call, struct nx_err *err);
void call_respond(struct call *call, const struct http_reply *reply);
/* The body as an object whose members are those of the route, of their types; NULL values and
 * absent ones are alike. *json is freed with json_decref. */
bool call_json(struct call *call, json_t **json, struct nx_err *err);
/* ?limit=, with a default; 1 to NX_PAGE_MAX. */
bool call_limit(struct call *call, size_t fallback, size_t *limit, struct nx_err *err);
/* ?cursor= as a number; 0 without. */
bool call_cursor(struct call *call, int64_t *cursor, struct nx_err *err);
/* ?sort=, one of the names (ended by NULL), as its index; without it the first. */
bool call_sort(struct call *call, const char *const *names, size_t *found, struct nx_err *err);
/* A query parameter that must be true or false. */
bool call_flag(struct call *call, const char *name, bool *flag, struct nx_err *err);
/* Counts an answer; the route may be NULL. */
void count_answer(struct api *api, const struct route *route, int status);
void histogram_add(struct histogram *histogram, int64_t us);
/* The error text of a body with {"error": ...}. */
void call_error(struct http_reply *reply, const struct nx_err *err, int status, const char *code,
                const char *details);

/* A write that stands on the audit list as `what` about `target`, with the body as its detail. */
struct message *call_write(struct call *call, enum write_op op, const char *what,
                           const char *target, const json_t *body);
/* The ETag of the answer is good for If-Match: the last change of the target, of what fits `kind`
 * ("pool.*"). */
#define DAG_CHANGES "dag.*pause" /* what a PATCH does: triggers, backfills change no DAG */
bool call_revision(struct call *call, const char *kind, const char *target, struct nx_err *err);
/* The write is refused when If-Match has another one, and a conflict says who was faster. */
struct job;
void call_match(struct call *call, const char *kind, struct message *message, struct job *job);
/* Where the thing is no row: "*" when If-Match does not say, the revision when it has it, or NULL.
 */
const char *call_matches(const struct call *call, const char *revision);
/* Who changed it last, as JSON; NULL: nobody knows. */
const char *find_change(struct query *query, struct arena *arena, const char *kind,
                        const char *target);
const char *job_last_change(struct job *job);
/* A note that is not too long; NULL is fine. */
bool call_note(const char *note, struct nx_err *err);
/* The Idempotency-Key, or NULL. */
bool call_key(struct call *call, const char **key, struct nx_err *err);
/* Keeps it with a write, and what came with it. */
void call_keep_key(struct message *message, const char *key, const json_t *body);

/* ---- Work that goes through the loop ---- */

struct job {
    struct api *api;
    const struct route *route; /* of its request */
    struct http_token token;
    struct job *next;
    struct arena arena;
    /* On the loop: copy what is wanted. Never called when the scheduler stops. */
    void (*look)(struct job *job, const struct core *core);
    /* On the API's thread: the body, or an error. */
    bool (*finish)(struct job *job, struct query *query, struct nx_err *err);
    /* On a thread of its own, before finish: may take seconds. */
    void (*work)(struct job *job);
    void *data; /* of the three, in the arena */
    struct write_result result;
    const char *changed,
        *target; /* see call_match: a conflict says who changed it last; NULL: none */
    bool no_core;
    struct buf body;
    int status;
    const char *content_type, *location, *revision;
};

struct job *job_new(struct call *call);
/* Hand it over: NX_E_BUSY when the inbox is full (the job is gone then). The call is done. */
bool job_look(struct call *call, struct job *job, struct nx_err *err);
/* message->arg and done are set here; when the write was committed job->look runs, if there is one,
 * then job->finish. */
bool job_write(struct call *call, struct job *job, struct message *message, struct nx_err *err);
/* job->work runs, then job->finish. NX_E_BUSY (the job is gone then) when too many are under way.
 */
bool job_work(struct call *call, struct job *job, struct nx_err *err);
void job_end_works(struct api *api); /* after api->stopped: waits until none is left */
/* The call's body with its patches filled from the core. */
bool job_fill(struct call *call, struct nx_err *err);

bool api_is_ending(void *api); /* such works are to give up */

void job_finish(struct job *job); /* answers and frees */
void job_free(struct job *job);
/* From any thread: the API's thread finishes it (or it is freed when the API has stopped). */
void api_take_job(struct job *job);

/* Answers with a stream, which is woken; it ends when who asks is not welcome any more. */
void call_stream(struct call *call, struct http_reply *reply, bool follows);

/* Opens a file of the attempt that the path names (to be closed); fd -1: there is none. */
bool attempt_file_open(struct call *call, enum path_kind kind, int *fd, uint64_t *n_bytes,
                       struct nx_err *err);

/* ---- The table ---- */

/* Finds the route and fills params. NULL: *err, call->status and headers say why. */
const struct route *route_find(struct call *call, struct nx_err *err);
bool handle_openapi(struct call *call, struct nx_err *err);

bool handle_dags(struct call *call, struct nx_err *err);
bool handle_dag(struct call *call, struct nx_err *err);
bool handle_versions(struct call *call, struct nx_err *err);
bool handle_source(struct call *call, struct nx_err *err);
bool handle_file(struct call *call, struct nx_err *err);
bool handle_put_file(struct call *call, struct nx_err *err);
bool handle_next(struct call *call, struct nx_err *err);
bool handle_durations(struct call *call, struct nx_err *err);
bool handle_grid(struct call *call, struct nx_err *err);
bool handle_graph(struct call *call, struct nx_err *err);
bool handle_dag_runs(struct call *call, struct nx_err *err);
bool handle_runs(struct call *call, struct nx_err *err);
bool handle_run_counts(struct call *call, struct nx_err *err);
bool handle_run(struct call *call, struct nx_err *err);
bool handle_task_counts(struct call *call, struct nx_err *err);
bool handle_tasks(struct call *call, struct nx_err *err);
bool handle_all_tasks(struct call *call, struct nx_err *err);
bool handle_task(struct call *call, struct nx_err *err);
bool handle_attempts(struct call *call, struct nx_err *err);
bool handle_log(struct call *call, struct nx_err *err);
bool handle_run_log(struct call *call, struct nx_err *err);
bool handle_log_lines(struct call *call, struct nx_err *err);
bool handle_log_search(struct call *call, struct nx_err *err);
bool handle_usage(struct call *call, struct nx_err *err);
bool handle_resolved(struct call *call, struct nx_err *err);
bool handle_artifacts(struct call *call, struct nx_err *err);
bool handle_artifact_files(struct call *call, struct nx_err *err);
bool handle_artifact_file(struct call *call, struct nx_err *err);
bool handle_artifact_rows(struct call *call, struct nx_err *err);
bool handle_explain(struct call *call, struct nx_err *err);
bool handle_workers(struct call *call, struct nx_err *err);
bool handle_pools(struct call *call, struct nx_err *err);
bool handle_post_pool(struct call *call, struct nx_err *err);
bool handle_pool(struct call *call, struct nx_err *err);
bool handle_put_pool(struct call *call, struct nx_err *err);
bool handle_delete_pool(struct call *call, struct nx_err *err);
bool handle_variables(struct call *call, struct nx_err *err);
bool handle_post_variable(struct call *call, struct nx_err *err);
bool handle_variable(struct call *call, struct nx_err *err);
bool handle_put_variable(struct call *call, struct nx_err *err);
bool handle_delete_variable(struct call *call, struct nx_err *err);
bool handle_secrets(struct call *call, struct nx_err *err);
bool handle_post_secret(struct call *call, struct nx_err *err);
bool handle_secret(struct call *call, struct nx_err *err);
bool handle_put_secret(struct call *call, struct nx_err *err);
bool handle_delete_secret(struct call *call, struct nx_err *err);
bool handle_connections(struct call *call, struct nx_err *err);
bool handle_post_connection(struct call *call, struct nx_err *err);
bool handle_connection(struct call *call, struct nx_err *err);
bool handle_put_connection(struct call *call, struct nx_err *err);
bool handle_delete_connection(struct call *call, struct nx_err *err);
bool handle_test_connection(struct call *call, struct nx_err *err);
bool handle_notifications(struct call *call, struct nx_err *err);
bool handle_notification(struct call *call, struct nx_err *err);
bool handle_retry_notification(struct call *call, struct nx_err *err);
bool handle_tokens(struct call *call, struct nx_err *err);
bool handle_post_token(struct call *call, struct nx_err *err);
bool handle_delete_token(struct call *call, struct nx_err *err);
bool handle_events(struct call *call, struct nx_err *err);
bool handle_create(struct call *call, struct nx_err *err);
bool handle_cancel(struct call *call, struct nx_err *err);
bool handle_retry(struct call *call, struct nx_err *err);
bool handle_clear(struct call *call, struct nx_err *err);
bool handle_mark(struct call *call, struct nx_err *err);
bool handle_rerun(struct call *call, struct nx_err *err);
bool handle_patch_run(struct call *call, struct nx_err *err);
bool handle_delete_run(struct call *call, struct nx_err *err);
bool handle_backfills(struct call *call, struct nx_err *err);
bool handle_dag_backfills(struct call *call, struct nx_err *err);
bool handle_backfill(struct call *call, struct nx_err *err);
bool handle_begin_backfill(struct call *call, struct nx_err *err);
bool handle_patch_backfill(struct call *call, struct nx_err *err);
bool handle_cancel_backfill(struct call *call, struct nx_err *err);
bool handle_datasets(struct call *call, struct nx_err *err);
bool handle_dataset(struct call *call, struct nx_err *err);
bool handle_dataset_events(struct call *call, struct nx_err *err);
bool handle_dataset_event(struct call *call, struct nx_err *err);
bool handle_emit(struct call *call, struct nx_err *err);
bool handle_lineage(struct call *call, struct nx_err *err);
bool handle_approvals(struct call *call, struct nx_err *err);
bool handle_approval(struct call *call, struct nx_err *err);
bool handle_answer_approval(struct call *call, struct nx_err *err);
bool handle_settings(struct call *call, struct nx_err *err);
bool handle_checks(struct call *call, struct nx_err *err);
bool handle_retention(struct call *call, struct nx_err *err);
bool handle_retention_due(struct call *call, struct nx_err *err);
bool handle_retention_run(struct call *call, struct nx_err *err);
bool handle_audit(struct call *call, struct nx_err *err);
bool handle_patch_dag(struct call *call, struct nx_err *err);
bool handle_patch_worker(struct call *call, struct nx_err *err);
bool handle_backup(struct call *call, struct nx_err *err);
bool handle_root(struct call *call, struct nx_err *err);
bool handle_page(struct call *call, struct nx_err *err);
bool handle_page_file(struct call *call, struct nx_err *err);
bool handle_health(struct call *call, struct nx_err *err);
bool handle_ready(struct call *call, struct nx_err *err);
bool handle_metrics(struct call *call, struct nx_err *err);

#endif
