/* How long things stay, and what would go now. */
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/wire/paths.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/store/retention.h"

#define LOOK_MOST 1000 /* runs of a DAG that are looked at for one answer */

struct policy {
    const char *dag;
    struct retention own, keep; /* as the DAG says; with what nexus.yaml says */
};

struct policies {
    struct call *call;
    VEC(struct policy) list;
};

static bool add_policy(void *arg, const struct retention_dag *dag)
{
    struct policies *policies = arg;
    struct policy policy = {.dag = arena_strdup(policies->call->arena, dag->dag)};
    retention_parse(dag->text, &policy.own);
    policy.keep = policy.own;
    retention_fill(&policy.keep, &policies->call->api->retention);
    vec_push(&policies->list, policy);
    return true;
}

static void put_age(struct buf *buf, const char *key, int64_t ms)
{
    if (ms == RETENTION_EVER)
        put_null(buf, key);
    else
        put_number(buf, key, (double)ms / 1000);
}

/* ---- The bounds of each DAG ---- */

struct count {
    const char *home;
    int64_t runs, logs;
};

static bool count_run(void *arg, const struct retention_run *run)
{
    struct count *count = arg;
    char path[PATH_MAX_BYTES];
    count->runs += run->why != RETENTION_LOGS;
    if (run->why == RETENTION_LOGS && run_logs_path(path, sizeof path, count->home, run->run))
        count->logs += path_exists(path);
    return true;
}

static bool put_policy(struct call *call, const struct policy *policy, struct nx_err *err)
{
    const struct retention_look look = {policy->dag, &policy->keep, clock_wall_ms(), 0, LOOK_MOST};
    struct buf *buf = &call->body;
    struct count count = {.home = call->api->home};
    uint64_t last;
    bool more, said = policy->own.runs_ms != RETENTION_UNSAID ||
                      policy->own.keep != RETENTION_UNSAID ||
                      policy->own.logs_ms != RETENTION_UNSAID;
    if (!query_retention_look(call->query, &look, count_run, &count, &last, &more, err))
        return false;
    put_open(buf, NULL, '{');
    put_text(buf, "dag", policy->dag);
    put_age(buf, "runs", policy->keep.runs_ms);
    if (policy->keep.keep == RETENTION_EVER)
        put_null(buf, "keep");
    else
        put_int(buf, "keep", policy->keep.keep);
    put_age(buf, "logs", policy->keep.logs_ms);
    put_text(buf, "source", said ? "dag" : "nexus.yaml");
    put_int(buf, "due_runs", count.runs);
    put_int(buf, "due_logs", count.logs);
    put_bool(buf, "more", more);
    put_close(buf, '}');
    return true;
}

bool handle_retention(struct call *call, struct nx_err *err)
{
    struct policies policies = {.call = call};
    const char *cursor = http_query(call->request, "cursor");
    size_t limit;
    if (!call_limit(call, NX_PAGE_MAX, &limit, err) || !call_query(call, err))
        return false;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_retention_dags(call->query, cursor ? cursor : "", limit + 1, add_policy,
                                   &policies, err);
    size_t n = policies.list.n < limit ? policies.list.n : limit;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_policy(call, &policies.list.at[i], err);
    put_close(&call->body, ']');
    put_text(&call->body, "next", n < policies.list.n ? policies.list.at[n - 1].dag : NULL);
    put_close(&call->body, '}');
    vec_fini(&policies.list);
    return ok;
}

/* ---- What would go ---- */

struct due {
    struct call *call;
    const char *dag;
    size_t left;
};

static bool put_due(void *arg, const struct retention_run *run)
{
    struct due *due = arg;
    struct buf *buf = &due->call->body;
    if (run->why == RETENTION_LOGS)
        return true;
    put_open(buf, NULL, '{');
    put_id(buf, "run", run->run);
    put_text(buf, "dag", due->dag);
    put_text(buf, "state", nx_run_state_name(run->state));
    put_time(buf, "finished_at", run->finished_ms);
    put_text(buf, "because", run->why == RETENTION_AGE ? "runs" : "keep");
    put_close(buf, '}');
    return --due->left > 0;
}

/* All that are due of one DAG, as far as there is room. */
static bool put_all_due(struct due *due, const struct retention *keep, struct nx_err *err)
{
    struct retention_look look = {due->dag, keep, clock_wall_ms(), 0, LOOK_MOST};
    bool more = true;
    while (more && due->left) {
        if (!query_retention_look(due->call->query, &look, put_due, due, &look.after, &more, err))
            return false;
    }
    return true;
}

bool handle_retention_due(struct call *call, struct nx_err *err)
{
    struct policies policies = {.call = call};
    struct due due = {.call = call};
    const char *only = http_query(call->request, "dag");
    if (!call_limit(call, NX_PAGE_MAX, &due.left, err) ||
        (only && !dag_must_exist(call, only, err)) || !call_query(call, err))
        return false;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_retention_dags(call->query, "", NX_DAGS_MAX, add_policy, &policies, err);
    for (size_t i = 0; ok && due.left && i < policies.list.n; i++) {
        due.dag = policies.list.at[i].dag;
        if (!only || str_eq(only, due.dag))
            ok = put_all_due(&due, &policies.list.at[i].keep, err);
    }
    put_close(&call->body, ']');
    put_null(&call->body, "next");
    put_close(&call->body, '}');
    vec_fini(&policies.list);
    return ok;
}

/* ---- Now ---- */

static bool finish_run(struct job *job, struct query *query, struct nx_err *err)
{
    (void)query;
    (void)err;
    job->status = 202;
    put_open(&job->body, NULL, '{');
    put_bool(&job->body, "started", true);
    put_close(&job->body, '}');
    return true;
}

bool handle_retention_run(struct call *call, struct nx_err *err)
{
    struct message *message = call_write(call, WRITE_RETENTION, "retention.run", "all", NULL);
    struct job *job = job_new(call);
    job->finish = finish_run;
    return job_write(call, job, message, err);
}
