/* Reads of runs, their task instances and attempts. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/store/search.h"

/* ---- Lists of runs ---- */

struct run_list {
    struct call *call;
    size_t n, limit;
    uint64_t last;
    bool more;
};

static bool put_run(void *arg, const struct query_run *run)
{
    struct run_list *list = arg;
    struct buf *body = &list->call->body;
    if (list->n++ == list->limit || body->len > CALL_BODY_MAX) {
        list->more = true;
        return false;
    }
    put_open(body, NULL, '{');
    shape_run(body, run);
    put_close(body, '}');
    list->last = run->id.v;
    return true;
}

static bool read_run_state(const char *text, int *state, struct nx_err *err)
{
    const char *names[NX_RUN_STATES];
    *state = text ? nx_run_state_find(text) : -1;
    if (!text || *state >= 0)
        return true;
    for (int i = 0; i < NX_RUN_STATES; i++)
        names[i] = nx_run_state_name((enum nx_run_state)i);
    const char *nearest = str_nearest(text, names, NX_RUN_STATES);
    return nx_fail(err, NX_E_INVALID, "a run has no state '%.32s'%s%s%s", text,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static bool read_since(const char *text, int64_t *since_ms, struct nx_err *err)
{
    *since_ms = 0;
    return !text || search_time("since", text, clock_wall_ms(), since_ms, err);
}

static bool read_late(const char *text, bool *late, struct nx_err *err)
{
    *late = false;
    return !text || search_late(text, late, err);
}

static bool list_runs(struct call *call, const char *dag, struct nx_err *err)
{
    struct run_list list = {.call = call};
    struct query_runs which = {.dag = dag};
    struct search search;
    const char *text = http_query(call->request, "q");
    uint64_t next = 0;
    int64_t cursor;
    if (!call_limit(call, 100, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !read_run_state(http_query(call->request, "state"), &which.state, err) ||
        !read_since(http_query(call->request, "since"), &which.since_ms, err) ||
        !read_late(http_query(call->request, "late"), &which.late, err) ||
        !search_read(call->arena, text ? text : "", clock_wall_ms(), &search, err) ||
        (dag && !dag_must_exist(call, dag, err)) || !call_query(call, err))
        return false;
    which.before = (uint64_t)cursor;
    which.limit = list.limit + 1;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = search.n ? query_search(call->query, &which, &search, put_run, &list, &next, err)
                       : query_runs(call->query, &which, put_run, &list, err);
    put_close(&call->body, ']');
    if (next && !list.more) { /* there may be more, further down */
        list.more = true;
        list.last = next;
    }
    put_page_end(&call->body, list.more, list.last);
    return ok;
}

bool handle_runs(struct call *call, struct nx_err *err)
{
    return list_runs(call, http_query(call->request, "dag"), err);
}

bool handle_run_counts(struct call *call, struct nx_err *err)
{
    int64_t since_ms, counts[NX_RUN_STATES];
    if (!read_since(http_query(call->request, "since"), &since_ms, err) || !call_query(call, err) ||
        !query_run_counts(call->query, since_ms, counts, err))
        return false;
    put_open(&call->body, NULL, '{');
    for (int i = 0; i < NX_RUN_STATES; i++)
        put_int(&call->body, nx_run_state_name((enum nx_run_state)i), counts[i]);
    put_close(&call->body, '}');
    return true;
}

bool handle_dag_runs(struct call *call, struct nx_err *err)
{
    return list_runs(call, call->params[0], err);
}

/* ---- Task instances ---- */

struct task_list {
    struct call *call;
    size_t n, limit;
    uint64_t next; /* see task_cursor: where the next page begins */
    bool more;
};

static bool put_task(void *arg, const struct query_task *task)
{
    struct task_list *list = arg;
    if (list->n++ >= list->limit || list->call->body.len > CALL_BODY_MAX) {
        list->more = true;
        list->next = task_cursor(task->id.task, task->id.map);
        return false;
    }
    shape_task(list->call, task, false);
    return true;
}

/* The list itself, and where it goes on. */
static bool put_tasks(struct task_list *list, const char *key, const struct query_tasks *which,
                      struct nx_err *err)
{
    struct call *call = list->call;
    put_open(&call->body, key, '[');
    bool ok = query_tasks(call->query, which, put_task, list, err);
    put_close(&call->body, ']');
    return ok;
}

/* The run and its version that the path names. */
static bool open_run(struct call *call, struct query_run **run, const struct dag_info **info,
                     struct nx_err *err)
{
    return call_query(call, err) && find_run(call->query, call->arena, call->params[0], run, err) &&
           query_version(call->query, (*run)->version, info, err);
}

bool handle_run(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct task_list list = {.call = call, .limit = NX_PAGE_MAX};
    if (!open_run(call, &run, &info, err))
        return false;
    const struct query_tasks which = {
        .run = run, .info = info, .from_map = NX_MAP_NONE, .state = -1, .outputs = true};
    put_open(&call->body, NULL, '{');
    shape_run(&call->body, run);
    bool ok = put_tasks(&list, "tasks", &which, err);
    put_close(&call->body, '}');
    return ok;
}

bool handle_tasks(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct task_list list = {.call = call};
    struct query_tasks which = {.outputs = true};
    int64_t cursor;
    if (!call_limit(call, NX_PAGE_MAX, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !shape_read_task_state(http_query(call->request, "state"), &which.state, err) ||
        !open_run(call, &run, &info, err))
        return false;
    which.run = run;
    which.info = info;
    from_task_cursor(cursor, info->n_tasks, &which.from, &which.from_map);
    put_open(&call->body, NULL, '{');
    bool ok = put_tasks(&list, "items", &which, err);
    put_page_end(&call->body, list.more, list.next);
    return ok;
}

static bool put_one_task(void *arg, const struct query_task *task)
{
    shape_task(arg, task, true);
    return false;
}

bool handle_task(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    uint32_t task;
    int32_t map;
    bool found;
    if (!open_run(call, &run, &info, err) || !find_task(info, call->params[1], &task, &map, err) ||
        !query_task(call->query, run, info, task, map, put_one_task, call, &found, err))
        return false;
    return found || nx_fail(err, NX_E_NOT_FOUND, "task '%s' of run %s has no index %d",
                            info->tasks[task].id, call->params[0], map);
}

/* ---- Attempts ---- */

static bool put_attempt(void *arg, const struct query_attempt *attempt)
{
    struct call *call = arg;
    shape_attempt(&call->body, attempt);
    return true;
}

bool handle_attempts(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct nx_inst_id id;
    if (!open_run(call, &run, &info, err) ||
        !find_task(info, call->params[1], &id.task, &id.map, err))
        return false;
    id.run = run->id;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_attempts(call->query, id, put_attempt, call, err);
    put_close(&call->body, ']');
    put_null(&call->body, "next");
    put_close(&call->body, '}');
    return ok;
}

bool run_to_body(struct job *job, struct query *query, struct nx_run_id id, struct nx_err *err)
{
    char text[24];
    struct query_run *run;
    snprintf(text, sizeof text, "%llu", (unsigned long long)id.v);
    if (!find_run(query, &job->arena, text, &run, err))
        return false;
    put_open(&job->body, NULL, '{');
    shape_run(&job->body, run);
    put_close(&job->body, '}');
    return true;
}
