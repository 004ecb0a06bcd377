/* How long the tasks of a DAG take, from its latest runs. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

#define RUNS_DEFAULT 30

struct took {
    const char *task;
    int64_t ms;
};

struct history {
    struct query *query;
    const struct dag_info *now; /* the current version: its tasks are told */
    VEC(struct took) list;
    struct nx_err *err;
    bool failed;
};

static bool note_duration(void *arg, uint64_t version, uint32_t task, int64_t ms)
{
    struct history *history = arg;
    const struct dag_info *info;
    if (!query_version(history->query, version, &info, history->err)) {
        history->failed = true;
        return false;
    }
    if (task < info->n_tasks && info_find(history->now, info->tasks[task].id) >= 0) {
        const struct took took = {info->tasks[task].id, ms};
        vec_push(&history->list, took);
    }
    return true;
}

static int by_task(const void *a, const void *b)
{
    const struct took *x = a, *y = b;
    int order = strcmp(x->task, y->task);
    return order ? order : x->ms < y->ms ? -1 : x->ms > y->ms;
}

static void put_seconds(struct buf *buf, const char *key, int64_t ms)
{
    put_number(buf, key, (double)ms / 1000);
}

/* Of the sorted times of one task, the nearest ranks. */
static void put_task(struct buf *buf, const struct took *took, size_t n)
{
    put_open(buf, NULL, '{');
    put_text(buf, "task", took->task);
    put_int(buf, "runs", (int64_t)n);
    put_seconds(buf, "min", took[0].ms);
    put_seconds(buf, "median", took[(n - 1) / 2].ms);
    put_seconds(buf, "p90", took[(n * 9 + 9) / 10 - 1].ms);
    put_seconds(buf, "max", took[n - 1].ms);
    put_close(buf, '}');
}

static void put_tasks(struct buf *buf, struct history *history)
{
    const struct took *at = history->list.at;
    size_t n = history->list.n;
    if (n)
        qsort(history->list.at, n, sizeof *history->list.at, by_task);
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && strcmp(at[k].task, at[i].task) == 0; k++)
            ;
        put_task(buf, &at[i], k - i);
    }
}

static bool keep_version(void *arg, const struct query_dag *dag)
{
    *(uint64_t *)arg = dag->version;
    return false;
}

bool handle_durations(struct call *call, struct nx_err *err)
{
    const char *dag = call->params[0];
    struct history history = {.err = err};
    uint64_t version = 0;
    size_t n_runs;
    if (!call_limit(call, RUNS_DEFAULT, &n_runs, err) || !dag_must_exist(call, dag, err) ||
        !call_query(call, err) || !query_dag(call->query, dag, keep_version, &version, err) ||
        !query_version(call->query, version, &history.now, err))
        return false;
    history.query = call->query;
    bool ok = query_durations(call->query, dag, history.now->n_tasks, n_runs, note_duration,
                              &history, err) &&
              !history.failed;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    if (ok)
        put_tasks(&call->body, &history);
    put_close(&call->body, ']');
    put_null(&call->body, "next");
    put_close(&call->body, '}');
    vec_fini(&history.list);
    return ok;
}
