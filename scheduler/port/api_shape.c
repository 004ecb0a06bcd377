#include "scheduler/port/api_shape.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"
#include "scheduler/port/api_json.h"

#define NEAREST_MAX 5000 /* names among which a nearest one is looked for */

/* clang-format off */
static const char *const reason_texts[NX_REASONS] = {
    [NX_WHY_UPSTREAM] = "it waits for tasks that it needs",
    [NX_WHY_RULE] = "decided by its trigger rule",
    [NX_WHY_IF_FALSE] = "its `if` is false",
    [NX_WHY_IF_ERROR] = "its `if` could not be evaluated",
    [NX_WHY_ASKED] = "its `if` or `for_each` is being evaluated",
    [NX_WHY_NO_WORKER] = "no worker is online",
    [NX_WHY_NO_FIT] = "no worker has what it needs",
    [NX_WHY_NO_SLOT] = "all fitting workers are full",
    [NX_WHY_POOL] = "its pool is full",
    [NX_WHY_POOL_MISSING] = "its pool does not exist",
    [NX_WHY_NEXT] = "it waits for a slot",
    [NX_WHY_PREFETCHED] = "it waits at its worker for a slot",
    [NX_WHY_STARTED] = "it runs",
    [NX_WHY_RETRY_DELAY] = "it failed and starts again",
    [NX_WHY_LOST_WAIT] = "its worker is gone and may still run it",
    [NX_WHY_RUN_QUEUED] = "its run waits for max_active_runs, or rests with its DAG",
    [NX_WHY_FINALLY] = "it runs when everything else of the run is final",
    [NX_WHY_CANCEL] = "its run was cancelled",
    [NX_WHY_RUN_TIMEOUT] = "its run ran out of time",
    [NX_WHY_QUEUE_TIMEOUT] = "it was queued for longer than queue_timeout",
    [NX_WHY_TIMEOUT] = "it ran longer than its timeout",
    [NX_WHY_MEMORY] = "it went over its memory limit",
    [NX_WHY_LOST] = "it was lost too often",
    [NX_WHY_ERROR] = "its attempt failed",
    [NX_WHY_PERMANENT] = "its error is one that no retry can mend",
    [NX_WHY_TASK_SKIPPED] = "it skipped itself",
    [NX_WHY_MARKED] = "it was marked by a person",
    [NX_WHY_EMPTY_LIST] = "its list is empty",
    [NX_WHY_LIST_ERROR] = "its `for_each` could not be evaluated",
    [NX_WHY_MAPPED] = "an instance for each item of its list stands for it",
    [NX_WHY_SHORTER] = "its list is shorter now",
    [NX_WHY_MAX_PARALLEL] = "as many indexes as max_parallel says are in progress",
    [NX_WHY_OVERLAP] = "its run made way for a newer one (overlap: cancel_running)",
    [NX_WHY_CONCURRENCY] = "as many of its concurrency key run as may at once",
    [NX_WHY_PAST] = "it has not succeeded in the run before",
    [NX_WHY_PAUSED] = "its run rests with its DAG",
    [NX_WHY_DAG_GONE] = "the file of its DAG is gone",
    [NX_WHY_CLEARED] = "it was cleared and is stopped first",
    [NX_WHY_MARK_SUCCESS] = "it was marked as success and is stopped first",
    [NX_WHY_MARK_FAILED] = "it was marked as failed and is stopped first",
    [NX_WHY_WITH_ERROR] = "its `with` could not be evaluated",
    [NX_WHY_WAIT_TIME] = "it waits for a time",
    [NX_WHY_WAIT_PERSON] = "it waits for a person",
    [NX_WHY_WAIT_POKE] = "it waits for what it looks for",
    [NX_WHY_WAIT_RUN] = "it waits for the run that it started",
    [NX_WHY_WAIT_DATASET] = "it waits for a new version of a dataset",
    [NX_WHY_REJECTED] = "a person rejected it",
    [NX_WHY_RUN_FAILED] = "the run that it started did not succeed",
    [NX_WHY_NOT_CHOSEN] = "a task that it needs left it out",
};
/* clang-format on */

const char *shape_reason_text(enum nx_reason reason)
{
    const char *text = reason < NX_REASONS ? reason_texts[reason] : NULL;
    return text ? text : "";
}

void shape_counts(struct buf *buf, const char *key, const uint32_t counts[NX_TASK_STATES])
{
    put_open(buf, key, '{');
    for (int i = 0; i < NX_TASK_STATES; i++) {
        if (counts[i])
            put_int(buf, nx_task_state_name((enum nx_task_state)i), counts[i]);
    }
    put_close(buf, '}');
}

void shape_run(struct buf *buf, const struct query_run *run)
{
    put_id(buf, "id", run->id.v);
    put_text(buf, "dag", run->dag);
    put_id(buf, "dag_version", (uint64_t)run->version_number);
    put_text(buf, "state", nx_run_state_name(run->state));
    put_text(buf, "cause", nx_cause_name(run->cause));
    put_open(buf, "interval", '{');
    put_time(buf, "start", run->interval_start_ms);
    put_time(buf, "finish", run->interval_finish_ms);
    put_close(buf, '}');
    put_raw(buf, "params", run->params);
    put_time(buf, "created_at", run->created_ms);
    put_time(buf, "started_at", run->started_ms);
    put_time(buf, "finished_at", run->finished_ms);
    put_time(buf, "deadline_at", run->deadline_ms);
    put_time(buf, "late_at", run->late_ms);
    shape_counts(buf, "counts", run->counts);
    put_text(buf, "note", run->note);
    put_raw(buf, "triggered_by", run->triggers ? run->triggers : "[]");
}

/* ---- Task instances ---- */

static void put_reason(struct buf *buf, const struct query_task *task)
{
    char text[160], when[TIME_TEXT_MAX];
    const char *shown = shape_reason_text(task->reason);
    if (task->reason == NX_WHY_NONE) {
        put_null(buf, "reason");
        return;
    }
    bool again = task->reason == NX_WHY_RETRY_DELAY || task->reason == NX_WHY_LOST_WAIT;
    if (task->state == NX_TS_RETRYING && task->due_ms && again) {
        snprintf(text, sizeof text, "attempt %u ended; the next one starts at %s", task->attempt,
                 time_format(when, task->due_ms));
        shown = text;
    }
    put_open(buf, "reason", '{');
    put_text(buf, "code", nx_reason_name(task->reason));
    put_text(buf, "text", shown);
    put_close(buf, '}');
}

/* A null that the core fills before the answer goes out. */
static void put_patch(struct call *call, const char *key, const struct query_task *task,
                      bool reason)
{
    put_null(&call->body, key);
    struct patch patch = {call->body.len - 4, task->id, task->reason, reason};
    vec_push(&call->patches, patch);
}

/* A mark is above what the last attempt said. What failed without an attempt of its own has no
 * other text than its reason. */
static const char *error_of(const struct query_task *task)
{
    bool failed = task->state == NX_TS_FAILED;
    if (task->state == NX_TS_SUCCESS)
        return NULL;
    if (failed && (!task->error || task->reason == NX_WHY_MARKED))
        return shape_reason_text(task->reason);
    return task->error;
}

static void put_task(struct call *call, const struct query_task *task, bool live)
{
    struct buf *buf = &call->body;
    put_id(buf, "run", task->id.run.v);
    put_text(buf, "task", task->task->id);
    if (task->id.map == NX_MAP_NONE)
        put_null(buf, "map_index");
    else
        put_int(buf, "map_index", task->id.map);
    put_text(buf, "state", nx_task_state_name(task->state));
    put_int(buf, "attempt", task->attempt);
    put_int(buf, "max_attempts", task->task->max_attempts);
    put_text(buf, "worker", task->worker);
    put_text(buf, "pool", task->task->pool);
    put_text(buf, "queue", task->task->queue);
    if (live && !nx_task_state_final(task->state))
        put_patch(call, "reason", task, true);
    else
        put_reason(buf, task);
    if (task->state == NX_TS_RUNNING)
        put_patch(call, "progress", task, false);
    else
        put_null(buf, "progress");
    put_time(buf, "ready_at", task->ready_ms);
    put_time(buf, "started_at", task->started_ms);
    put_time(buf, "finished_at", task->finished_ms);
    put_raw(buf, "outputs", task->outputs);
    put_text(buf, "error", error_of(task));
}

void shape_task(struct call *call, const struct query_task *task, bool live)
{
    put_open(&call->body, NULL, '{');
    put_task(call, task, live);
    put_close(&call->body, '}');
}

void shape_task_of(struct call *call, const struct query_task *task, const char *dag)
{
    put_open(&call->body, NULL, '{');
    put_task(call, task, false);
    put_text(&call->body, "dag", dag);
    put_close(&call->body, '}');
}

static void put_if_known(struct buf *buf, const char *key, int64_t v)
{
    if (v < 0)
        put_null(buf, key);
    else
        put_int(buf, key, v);
}

void shape_attempt(struct buf *buf, const struct query_attempt *attempt)
{
    put_open(buf, NULL, '{');
    put_int(buf, "number", attempt->number);
    put_text(buf, "state",
             attempt->outcome ? nx_outcome_name(attempt->outcome)
                              : nx_task_state_name(attempt->state));
    put_text(buf, "worker", attempt->worker);
    put_time(buf, "started_at", attempt->started_ms);
    put_time(buf, "finished_at", attempt->finished_ms);
    put_if_known(buf, "exit_code", attempt->exit_code);
    put_if_known(buf, "signal", attempt->signal);
    put_text(buf, "error", attempt->error);
    put_if_known(buf, "max_rss_bytes", attempt->max_rss_bytes);
    if (attempt->cpu_us < 0)
        put_null(buf, "cpu_s");
    else
        put_number(buf, "cpu_s", (double)attempt->cpu_us / 1e6);
    put_close(buf, '}');
}

/* ---- DAGs ---- */

/* What every DAG has behind what its source says. */
static void put_dag_state(struct buf *buf, bool paused, int64_t next_fire_ms, const char *errors)
{
    put_bool(buf, "paused", paused);
    put_bool(buf, "valid", errors == NULL);
    put_time(buf, "next_fire_at", next_fire_ms);
    put_raw(buf, "errors", errors ? errors : "[]");
}

static void put_bound(struct buf *buf, const char *key, const json_t *timetable, const char *from)
{
    const json_t *ms = json_object_get(timetable, from);
    put_time(buf, key, ms ? json_integer_value(ms) : 0);
}

/* How its schedule is kept, beside its entries; without a schedule all null. */
static bool put_timetable(struct buf *buf, const char *text, struct nx_err *err)
{
    static const char *const overlaps[] = {"queue", "skip", "cancel_running"};
    json_t *timetable = NULL;
    char window[48];
    if (text && !(timetable = js_read(text, strlen(text), "the timetable", err)))
        return false;
    int64_t overlap = js_get_int(timetable, "overlap", 0);
    const char *catchup = js_get_text(timetable, "catchup", NULL);
    str_format_duration(window, sizeof window, js_get_int(timetable, "catchup_ms", 0));
    put_bound(buf, "start", timetable, "start_ms");
    put_bound(buf, "end", timetable, "end_ms");
    put_text(buf, "catchup", str_eq(catchup ? catchup : "", "window") ? window : catchup);
    put_text(buf, "overlap", timetable && overlap >= 0 && overlap < 3 ? overlaps[overlap] : NULL);
    if (timetable)
        put_number(buf, "jitter", (double)js_get_int(timetable, "jitter_ms", 0) / 1000);
    else
        put_null(buf, "jitter");
    json_decref(timetable);
    return true;
}

bool shape_dag(struct call *call, const struct query_dag *dag, const struct query_shown *shown,
               int64_t next_fire_ms, const char *errors, struct nx_err *err)
{
    struct buf *buf = &call->body;
    put_open(buf, NULL, '{');
    put_text(buf, "id", dag->id);
    put_text(buf, "file", shown->file);
    put_id(buf, "version", (uint64_t)shown->number);
    put_members(buf, shown->members, shown->n_members);
    put_dag_state(buf, dag->paused, next_fire_ms, errors);
    bool ok = put_timetable(buf, shown->timetable, err) &&
              put_dataset_waits(call, "dataset_waits", dag, shown, err);
    put_close(buf, '}');
    return ok;
}

void shape_file(struct buf *buf, const char *id, const char *file, const char *errors)
{
    static const char none[] = "\"description\":null,\"tags\":[],\"params\":[],\"timeout\":null,"
                               "\"deadline\":null,"
                               "\"max_active_runs\":null,\"schedule\":[],\"timezone\":\"UTC\","
                               "\"tasks\":[]";
    put_open(buf, NULL, '{');
    put_text(buf, "id", id);
    put_text(buf, "file", file);
    put_null(buf, "version");
    put_members(buf, none, sizeof none - 1);
    put_dag_state(buf, false, 0, errors);
    put_raw(buf, "start", "null,\"end\":null,\"catchup\":null,\"overlap\":null,\"jitter\":null");
    put_raw(buf, "dataset_waits", "[]");
    put_close(buf, '}');
}

/* ---- Finding ---- */

struct copying {
    struct arena *arena;
    struct query_run *run;
};

static bool copy_run(void *arg, const struct query_run *run)
{
    struct copying *copying = arg;
    copying->run = arena_dup(copying->arena, run, sizeof *run);
    copying->run->dag = arena_strdup(copying->arena, run->dag);
    copying->run->params = arena_strdup(copying->arena, run->params);
    copying->run->triggers = run->triggers ? arena_strdup(copying->arena, run->triggers) : NULL;
    copying->run->note = run->note ? arena_strdup(copying->arena, run->note) : NULL;
    return false;
}

bool shape_read_id(const char *text, int64_t *id)
{
    return *text >= '1' && *text <= '9' && str_parse_int(text, id);
}

bool find_run(struct query *query, struct arena *arena, const char *text, struct query_run **run,
              struct nx_err *err)
{
    struct copying copying = {.arena = arena};
    int64_t id;
    bool is_number = shape_read_id(text, &id);
    if (is_number && !query_run(query, (struct nx_run_id){(uint64_t)id}, copy_run, &copying, err))
        return false;
    if (!copying.run)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no run '%.64s'", text);
    *run = copying.run;
    return true;
}

static bool fail_no_task(const struct dag_info *info, const char *name, struct nx_err *err)
{
    size_t n = info->n_tasks < NEAREST_MAX ? info->n_tasks : NEAREST_MAX;
    const char **names = mem_alloc_array(n, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = info->tasks[i].id;
    const char *nearest = str_nearest(name, names, n);
    nx_fail(err, NX_E_NOT_FOUND, "DAG '%s' has no task '%.64s'%s%s%s", info->dag, name,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    mem_free(names);
    return false;
}

#define CURSOR_MAP_BITS 20
_Static_assert(NX_MAP_MAX < 1 << CURSOR_MAP_BITS, "an index and one more fit");

uint64_t task_cursor(uint32_t task, int32_t map)
{
    return (uint64_t)task << CURSOR_MAP_BITS | (uint32_t)(map - NX_MAP_NONE);
}

void from_task_cursor(int64_t cursor, uint32_t n_tasks, uint32_t *task, int32_t *map)
{
    int64_t index = cursor >> CURSOR_MAP_BITS;
    *task = index < n_tasks ? (uint32_t)index : n_tasks;
    *map = (int32_t)(cursor & ((1 << CURSOR_MAP_BITS) - 1)) + NX_MAP_NONE;
}

bool find_task(const struct dag_info *info, const char *text, uint32_t *task, int32_t *map,
               struct nx_err *err)
{
    char name[NX_NAME_MAX];
    const char *bracket = strchr(text, '[');
    size_t n = bracket ? (size_t)(bracket - text) : strlen(text);
    int64_t index = NX_MAP_NONE;
    if (n >= sizeof name)
        return nx_fail(err, NX_E_NOT_FOUND, "DAG '%s' has no task '%.64s...'", info->dag, text);
    memcpy(name, text, n);
    name[n] = 0;
    if (bracket) {
        char digits[16];
        size_t n_digits = strlen(bracket + 1);
        bool closed = n_digits > 1 && n_digits < sizeof digits && bracket[n_digits] == ']';
        str_copy(digits, sizeof digits, bracket + 1);
        digits[closed ? n_digits - 1 : 0] = 0;
        if (!str_parse_int(digits, &index) || index < 0 || index > INT32_MAX)
            return nx_fail(err, NX_E_NOT_FOUND,
                           "'%.64s' is no task: a mapped one is written as name[3]", text);
    }
    int64_t found = info_find(info, name);
    if (found < 0)
        return fail_no_task(info, name, err);
    *task = (uint32_t)found;
    *map = (int32_t)index;
    return true;
}

struct naming {
    struct arena arena;
    VEC(const char *) names;
};

static bool add_name(void *arg, const struct query_dag *dag)
{
    struct naming *naming = arg;
    vec_push(&naming->names, arena_strdup(&naming->arena, dag->id));
    return true;
}

bool fail_no_dag(struct query *query, const char *id, struct nx_err *err)
{
    struct naming naming = {0};
    struct nx_err ignored;
    arena_init(&naming.arena);
    query_dags(query, "", NEAREST_MAX, add_name, &naming, &ignored);
    const char *nearest = str_nearest(id, naming.names.at, naming.names.n);
    nx_fail(err, NX_E_NOT_FOUND, "there is no DAG '%.64s'%s%s%s", id,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    vec_fini(&naming.names);
    arena_fini(&naming.arena);
    return false;
}

bool shape_read_task_state(const char *text, int *state, struct nx_err *err)
{
    const char *names[NX_TASK_STATES];
    *state = text ? nx_task_state_find(text) : -1;
    if (!text || *state >= 0)
        return true;
    for (int i = 0; i < NX_TASK_STATES; i++)
        names[i] = nx_task_state_name((enum nx_task_state)i);
    const char *nearest = str_nearest(text, names, NX_TASK_STATES);
    return nx_fail(err, NX_E_INVALID, "a task has no state '%.32s'%s%s%s", text,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}
