/* Figures for Prometheus. Each series has its line in the table; docs/metrics.md is made of what a
 * server answers. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/checks.h"

enum series_name {
    RUNS,
    RUNS_ENDED,
    TASKS,
    MOVES,
    WORKERS,
    SLOTS,
    RUNNING,
    POOL_SLOTS,
    POOL_USED,
    POOL_WAITING,
    POOL_WAIT,
    DAGS,
    DAG_FILES_BROKEN,
    BACKFILLS,
    APPROVALS,
    NOTIFICATIONS,
    TURNS,
    COMMITS,
    INBOX,
    ANSWERS,
    CONNECTIONS,
    REQUESTS,
    REFUSED,
    STREAMS,
    STORE,
    STORE_LOG,
    UPTIME,
    SERIES
};

/* clang-format off */
static const struct {
    const char *name, *type, *help;
} series[SERIES] = {
    [RUNS] = {"nexus_runs", "gauge", "Runs that have not ended, by state."},
    [RUNS_ENDED] = {"nexus_runs_ended_total", "counter", "Runs that have ended since the scheduler's start, by state."},
    [TASKS] = {"nexus_tasks", "gauge", "Task instances of runs that have not ended, by state."},
    [MOVES] = {"nexus_task_moves_total", "counter", "Moves of task instances between states since the scheduler's start."},
    [WORKERS] = {"nexus_workers", "gauge", "Workers by state; offline are those that have left or were never seen since the start."},
    [SLOTS] = {"nexus_slots", "gauge", "Slots of the workers that report, draining ones too."},
    [RUNNING] = {"nexus_tasks_running", "gauge", "Slots in which a task instance runs."},
    [POOL_SLOTS] = {"nexus_pool_slots", "gauge", "Slots of a pool; a pool that tasks name and that does not exist has 0."},
    [POOL_USED] = {"nexus_pool_used", "gauge", "Slots of a pool that are taken."},
    [POOL_WAITING] = {"nexus_queue_waiting", "gauge", "Task instances that wait for a slot, by their pool; those without one have the pool \"\"."},
    [POOL_WAIT] = {"nexus_queue_oldest_seconds", "gauge", "For how long the first of them has waited."},
    [DAGS] = {"nexus_dags", "gauge", "DAGs whose file is there; whether they are paused."},
    [DAG_FILES_BROKEN] = {"nexus_dag_files_broken", "gauge", "DAG files with errors."},
    [BACKFILLS] = {"nexus_backfills", "gauge", "Backfills that have not ended, paused ones too."},
    [APPROVALS] = {"nexus_approvals_waiting", "gauge", "Tasks that wait for a person."},
    [NOTIFICATIONS] = {"nexus_notifications_pending", "gauge", "Notifications that wait to be sent."},
    [TURNS] = {"nexus_turn_seconds", "histogram", "How long the scheduler's loop took for a turn: messages, decisions, commit, sends."},
    [COMMITS] = {"nexus_commit_seconds", "histogram", "How long the disk took for the commit of a turn."},
    [INBOX] = {"nexus_inbox_waiting", "gauge", "Messages that wait for the loop's next turn."},
    [ANSWERS] = {"nexus_http_answers_total", "counter", "Answers since the start, by kind of route (read, write, log, events, page, server; none: of no route) and class of status."},
    [CONNECTIONS] = {"nexus_http_connections", "gauge", "Open connections."},
    [REQUESTS] = {"nexus_http_requests_total", "counter", "Requests since the start."},
    [REFUSED] = {"nexus_http_refused_total", "counter", "Requests of them that were refused before any route: by Host, Origin, size or type."},
    [STREAMS] = {"nexus_http_streams", "gauge", "Answers that go on: events, and logs that are followed."},
    [STORE] = {"nexus_store_bytes", "gauge", "Size of nexus.db."},
    [STORE_LOG] = {"nexus_store_wal_bytes", "gauge", "Size of its write-ahead log."},
    [UPTIME] = {"nexus_uptime_seconds", "gauge", "Since the scheduler's start."},
};
/* clang-format on */

static void put_head(struct buf *buf, enum series_name name)
{
    buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", series[name].name, series[name].help,
               series[name].name, series[name].type);
}

static void put_value(struct buf *buf, enum series_name name, const char *label, const char *is,
                      double v)
{
    buf_str(buf, series[name].name);
    if (label) {
        buf_printf(buf, "{%s=", label);
        js_add_string(buf, is, strlen(is));
        buf_char(buf, '}');
    }
    buf_printf(buf, " %.17g\n", v);
}

/* A series of one value. */
static void put_one(struct buf *buf, enum series_name name, double v)
{
    put_head(buf, name);
    put_value(buf, name, NULL, NULL, v);
}

/* ---- Histograms ---- */

static const int64_t bounds_us[HISTOGRAM_BOUNDS] = {500,   1000,  2000,  5000,   10000,  20000,
                                                    30000, 40000, 50000, 100000, 250000, 1000000};

void histogram_add(struct histogram *histogram, int64_t us)
{
    int i = 0;
    while (i < HISTOGRAM_BOUNDS && us > bounds_us[i])
        i++;
    atomic_fetch_add(&histogram->counts[i], 1);
    atomic_fetch_add(&histogram->sum_us, (unsigned long long)us);
}

void api_turned(struct api *api, int64_t us)
{
    histogram_add(&api->turns, us);
}

static void put_histogram(struct buf *buf, enum series_name name, struct histogram *histogram)
{
    unsigned long long n = 0;
    put_head(buf, name);
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        n += atomic_load(&histogram->counts[i]);
        buf_printf(buf, "%s_bucket{le=\"%g\"} %llu\n", series[name].name,
                   (double)bounds_us[i] / 1e6, n);
    }
    n += atomic_load(&histogram->counts[HISTOGRAM_BOUNDS]);
    buf_printf(buf, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", series[name].name,
               n, series[name].name, (double)atomic_load(&histogram->sum_us) / 1e6,
               series[name].name, n);
}

/* ---- What the loop knows ---- */

struct seen_pool {
    const char *name;
    int64_t slots, used;
    struct core_queue_view queue;
};

#define WORKER_STATES (CORE_OFFLINE + 1)

struct figures {
    uint64_t workers[WORKER_STATES], n_slots, n_running;
    uint64_t tasks[NX_TASK_STATES], moves[NX_TASK_STATES][NX_TASK_STATES];
    struct core_queue_view no_pool;
    struct seen_pool *pools;
    size_t n_pools;
};

static void look_pools(struct job *job, const struct core *core)
{
    struct figures *figures = job->data;
    struct core_pool_view view;
    size_t n = 0;
    while (core_view_pool(core, n, &view))
        n++;
    figures->pools = arena_array(&job->arena, n + 1, sizeof *figures->pools);
    for (size_t i = 0; core_view_pool(core, i, &view); i++) {
        struct seen_pool *pool = &figures->pools[figures->n_pools];
        if (!core_pool_named(core, i))
            continue;
        figures->n_pools++;
        pool->name = arena_strdup(&job->arena, view.name);
        pool->slots = view.slots < 0 ? 0 : view.slots;
        pool->used = view.used;
        core_view_queue(core, i, &pool->queue);
    }
    core_view_queue(core, CORE_NO_POOL, &figures->no_pool);
}

static void look(struct job *job, const struct core *core)
{
    struct figures *figures = job->data;
    struct core_worker_view view;
    for (size_t i = 0; core_view_worker(core, i, &view); i++) {
        bool here = view.state == CORE_ONLINE || view.state == CORE_DRAINING;
        figures->workers[view.state]++;
        figures->n_slots += here ? view.slots : 0;
        figures->n_running += view.n_running;
    }
    for (int from = 0; from < NX_TASK_STATES; from++) {
        for (int to = 0; to < NX_TASK_STATES; to++)
            figures->moves[from][to] =
                core_moves(core, (enum nx_task_state)from, (enum nx_task_state)to);
    }
    core_count_tasks(core, figures->tasks);
    look_pools(job, core);
}

static void put_runs(struct buf *buf, struct api *api, const int64_t *unfinished)
{
    put_head(buf, RUNS);
    for (int i = 0; i < NX_RS_SUCCESS; i++)
        put_value(buf, RUNS, "state", nx_run_state_name((enum nx_run_state)i),
                  (double)unfinished[i]);
    put_head(buf, RUNS_ENDED);
    for (int i = NX_RS_SUCCESS; i < NX_RUN_STATES; i++)
        put_value(buf, RUNS_ENDED, "state", nx_run_state_name((enum nx_run_state)i),
                  (double)atomic_load(&api->ended[i]));
}

static void put_tasks(struct buf *buf, const struct figures *figures)
{
    put_head(buf, TASKS);
    for (int i = 0; i < NX_TASK_STATES; i++)
        put_value(buf, TASKS, "state", nx_task_state_name((enum nx_task_state)i),
                  (double)figures->tasks[i]);
    put_head(buf, MOVES);
    for (int from = 0; from < NX_TASK_STATES; from++) {
        for (int to = 0; to < NX_TASK_STATES; to++) {
            if (figures->moves[from][to])
                buf_printf(buf, "%s{from=\"%s\",to=\"%s\"} %llu\n", series[MOVES].name,
                           nx_task_state_name((enum nx_task_state)from),
                           nx_task_state_name((enum nx_task_state)to),
                           (unsigned long long)figures->moves[from][to]);
        }
    }
}

static void put_fleet(struct buf *buf, const struct figures *figures)
{
    static const char *const states[WORKER_STATES] = {"online", "draining", "lost", "offline"};
    put_head(buf, WORKERS);
    for (int i = 0; i < WORKER_STATES; i++)
        put_value(buf, WORKERS, "state", states[i], (double)figures->workers[i]);
    put_one(buf, SLOTS, (double)figures->n_slots);
    put_one(buf, RUNNING, (double)figures->n_running);
}

static double waited_s(const struct core_queue_view *queue)
{
    int64_t ms = queue->oldest_ms ? clock_wall_ms() - queue->oldest_ms : 0;
    return ms > 0 ? (double)ms / 1000 : 0;
}

static void put_pools(struct buf *buf, const struct figures *figures)
{
    put_head(buf, POOL_SLOTS);
    for (size_t i = 0; i < figures->n_pools; i++)
        put_value(buf, POOL_SLOTS, "pool", figures->pools[i].name, (double)figures->pools[i].slots);
    put_head(buf, POOL_USED);
    for (size_t i = 0; i < figures->n_pools; i++)
        put_value(buf, POOL_USED, "pool", figures->pools[i].name, (double)figures->pools[i].used);
    put_head(buf, POOL_WAITING);
    put_value(buf, POOL_WAITING, "pool", "", figures->no_pool.n);
    for (size_t i = 0; i < figures->n_pools; i++)
        put_value(buf, POOL_WAITING, "pool", figures->pools[i].name, figures->pools[i].queue.n);
    put_head(buf, POOL_WAIT);
    put_value(buf, POOL_WAIT, "pool", "", waited_s(&figures->no_pool));
    for (size_t i = 0; i < figures->n_pools; i++)
        put_value(buf, POOL_WAIT, "pool", figures->pools[i].name,
                  waited_s(&figures->pools[i].queue));
}

/* ---- Requests ---- */

static enum route_class class_of(const struct route *route)
{
    if (!route)
        return CLASS_NONE;
    if (route->handle == handle_events)
        return CLASS_EVENTS;
    if (str_starts(route->path, "/ui") || str_eq(route->path, "/"))
        return CLASS_PAGE;
    if (!str_starts(route->path, "/api/v1"))
        return CLASS_SERVER;
    if (strstr(route->path, "/log"))
        return CLASS_LOG;
    return str_eq(route->method, "GET") ? CLASS_READ : CLASS_WRITE;
}

void count_answer(struct api *api, const struct route *route, int status)
{
    int digit = status / 100;
    atomic_fetch_add(&api->answers[class_of(route)][digit < 6 ? digit : 0], 1);
}

static void put_answers(struct buf *buf, struct api *api)
{
    static const char *const names[ROUTE_CLASSES] = {"read", "write",  "log", "events",
                                                     "page", "server", "none"};
    put_head(buf, ANSWERS);
    for (int i = 0; i < ROUTE_CLASSES; i++) {
        for (int digit = 2; digit < 6; digit++)
            buf_printf(buf, "%s{route=\"%s\",status=\"%dxx\"} %llu\n", series[ANSWERS].name,
                       names[i], digit, atomic_load(&api->answers[i][digit]));
    }
}

static void put_http(struct buf *buf, struct api *api)
{
    struct http_counts counts;
    http_counts(api->server, &counts);
    put_answers(buf, api);
    put_one(buf, CONNECTIONS, counts.connections);
    put_one(buf, REQUESTS, (double)counts.requests);
    put_one(buf, REFUSED, (double)counts.refused);
    put_one(buf, STREAMS, counts.streams);
}

/* ---- The answer ---- */

static void put_store(struct buf *buf, const struct query_figures *store)
{
    put_head(buf, DAGS);
    put_value(buf, DAGS, "paused", "false", (double)(store->dags - store->paused_dags));
    put_value(buf, DAGS, "paused", "true", (double)store->paused_dags);
    put_one(buf, DAG_FILES_BROKEN, (double)store->broken_files);
    put_one(buf, BACKFILLS, (double)store->backfills);
    put_one(buf, APPROVALS, (double)store->approvals);
    put_one(buf, NOTIFICATIONS, (double)store->notifications);
}

static bool finish(struct job *job, struct query *query, struct nx_err *err)
{
    int64_t unfinished[NX_RS_SUCCESS];
    struct query_figures store;
    struct buf *buf = &job->body;
    if (!query_unfinished(query, unfinished, err) || !query_figures(query, &store, err))
        return false;
    job->content_type = "text/plain; version=0.0.4; charset=utf-8";
    put_runs(buf, job->api, unfinished);
    put_tasks(buf, job->data);
    put_fleet(buf, job->data);
    put_pools(buf, job->data);
    put_store(buf, &store);
    put_histogram(buf, TURNS, &job->api->turns);
    put_histogram(buf, COMMITS, &job->api->commits);
    put_one(buf, INBOX, (double)inbox_waiting(job->api->inbox));
    put_http(buf, job->api);
    put_one(buf, STORE, (double)checks_size_of(job->api->home, "nexus.db"));
    put_one(buf, STORE_LOG, (double)checks_size_of(job->api->home, "nexus.db-wal"));
    put_one(buf, UPTIME, (double)((clock_wall_ms() - job->api->started_ms) / 1000));
    return true;
}

bool handle_metrics(struct call *call, struct nx_err *err)
{
    struct job *job = job_new(call);
    job->data = arena_alloc(&job->arena, sizeof(struct figures));
    job->look = look;
    job->finish = finish;
    return job_look(call, job, err);
}
