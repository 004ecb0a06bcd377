/* Reads of runs and attempts. */
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

static bool read_sort(struct call *call, bool *oldest_first, struct nx_err *err)
{
    static const char *const sorts[] = {"-created", "created", NULL};
    size_t found;
    bool ok = call_sort(call, sorts, &found, err);
    *oldest_first = ok && found == 1;
    return ok;
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
        !read_sort(call, &which.oldest_first, err) ||
        !read_run_state(http_query(call->request, "state"), &which.state, err) ||
        !read_since(http_query(call->request, "since"), &which.since_ms, err) ||
        !read_late(http_query(call->request, "late"), &which.late, err) ||
        !search_read(call->arena, SEARCH_RUNS, text ? text : "", clock_wall_ms(), &search, err) ||
        (dag && !dag_must_exist(call, dag, err)) || !call_query(call, err))
        return false;
    if (search.n && which.oldest_first)
        return nx_fail(
            err, NX_E_INVALID,
            "what is searched for (q) is listed newest first; sort=created goes with dag, "
            "state, since and late");
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
    const char *dag = http_query(call->request, "dag");
    int64_t since_ms, counts[NX_RUN_STATES];
    if (!read_since(http_query(call->request, "since"), &since_ms, err) ||
        (dag && !dag_must_exist(call, dag, err)) || !call_query(call, err) ||
        !query_run_counts(call->query, dag, since_ms, counts, err))
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
    if (!call_run(call, &run, &info, err) ||
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
