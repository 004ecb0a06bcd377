/* What only the core knows: reasons, workers, events. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

/* ---- Explain ---- */

struct explained {
    struct nx_inst_id id;
    enum nx_task_state state;
    struct core_why why;
};

struct explaining {
    const char *run_text;
    struct nx_run_id run;
    uint32_t from, to;          /* tasks from..to-1 */
    int32_t from_map, only_map; /* of the first: from that index on; that index alone, or none */
    bool only;                  /* one task was asked for: final ones too */
    int state;                  /* those in it alone, or -1 */
    size_t limit, n;
    struct explained *items; /* limit of them */
    uint64_t next;           /* see task_cursor: where the next page begins */
    bool more, in_core;
};

static void put_explained(struct buf *buf, const char *task, int32_t map, enum nx_task_state state,
                          const char *code, const char *text, int64_t since_ms)
{
    put_open(buf, NULL, '{');
    put_text(buf, "task", task);
    if (map == NX_MAP_NONE)
        put_null(buf, "map_index");
    else
        put_int(buf, "map_index", map);
    put_text(buf, "state", nx_task_state_name(state));
    put_open(buf, "reasons", '[');
    put_open(buf, NULL, '{');
    put_text(buf, "code", code);
    put_text(buf, "text", text);
    put_time(buf, "since", since_ms);
    put_close(buf, '}');
    put_close(buf, ']');
    put_close(buf, '}');
}

/* False: the page is full. */
static bool look_at(struct explaining *all, const struct core *core, struct nx_inst_id id)
{
    struct core_inst_row row;
    if (!core_get_inst(core, id, &row) || (all->state >= 0 && (int)row.state != all->state) ||
        (nx_task_state_final(row.state) && !all->only && all->state < 0))
        return true;
    if (all->n == all->limit) {
        all->more = true;
        all->next = task_cursor(id.task, id.map);
        return false;
    }
    struct explained *item = &all->items[all->n++];
    item->id = id;
    item->state = row.state;
    core_explain(core, id, &item->why, 1);
    return true;
}

/* The task itself, or, once its list is known, the instances that stand for it. */
static bool look_at_task(struct explaining *all, const struct core *core, uint32_t task)
{
    struct nx_inst_id id = {all->run, task, NX_MAP_NONE};
    struct core_inst_row row;
    uint32_t n = core_get_list(core, all->run, task);
    bool many = core_get_inst(core, id, &row) && row.state == NX_TS_REMOVED;
    if (all->only_map != NX_MAP_NONE) {
        id.map = all->only_map;
        return look_at(all, core, id);
    }
    if (!many)
        return look_at(all, core, id);
    id.map = task == all->from && all->from_map > 0 ? all->from_map : 0;
    for (; id.map < (int32_t)n; id.map++) {
        if (!look_at(all, core, id))
            return false;
    }
    return true;
}

static void look_explain(struct job *job, const struct core *core)
{
    struct explaining *all = job->data;
    const struct graph *graph = core_run_graph(core, all->run);
    all->in_core = graph != NULL;
    for (uint32_t i = all->from; graph && i < all->to && i < graph->n_tasks; i++) {
        if (!look_at_task(all, core, i))
            return;
    }
}

struct stored_list {
    struct explaining *all;
    struct buf *buf;
};

static bool put_stored(void *arg, const struct query_task *task)
{
    struct stored_list *list = arg;
    struct explaining *all = list->all;
    char text[256];
    if (task->id.task >= all->to)
        return false;
    if (all->only_map != NX_MAP_NONE && task->id.map != all->only_map)
        return true;
    if (all->n == all->limit) {
        all->more = true;
        all->next = task_cursor(task->id.task, task->id.map);
        return false;
    }
    all->n++;
    const char *why = shape_reason_text(task->reason);
    snprintf(text, sizeof text, "it has ended: %s%s%s", nx_task_state_name(task->state),
             *why ? ", " : "", why);
    put_explained(list->buf, task->task->id, task->id.map, task->state,
                  nx_reason_name(task->reason), text, task->finished_ms);
    return true;
}

static bool put_explain(struct buf *buf, struct query *query, struct arena *arena,
                        struct explaining *all, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct stored_list list = {all, buf};
    if (!find_run(query, arena, all->run_text, &run, err) ||
        !query_version(query, run->version, &info, err))
        return false;
    put_open(buf, NULL, '{');
    put_open(buf, "items", '[');
    for (size_t i = 0; all->in_core && i < all->n; i++) {
        const struct explained *item = &all->items[i];
        put_explained(buf, info->tasks[item->id.task].id, item->id.map, item->state,
                      nx_reason_name(item->why.code), item->why.text, item->why.since_ms);
    }
    const struct query_tasks which = {.run = run,
                                      .info = info,
                                      .from = all->from,
                                      .from_map = all->from_map,
                                      .state = all->state};
    bool ok = all->in_core || query_tasks(query, &which, put_stored, &list, err);
    put_close(buf, ']');
    if (all->more)
        put_id(buf, "next", all->next);
    else
        put_null(buf, "next");
    put_close(buf, '}');
    return ok;
}

static bool finish_explain(struct job *job, struct query *query, struct nx_err *err)
{
    return put_explain(&job->body, query, &job->arena, job->data, err);
}

static bool read_explain(struct call *call, struct explaining *all, struct query_run **run,
                         struct nx_err *err)
{
    const struct dag_info *info;
    const char *task = http_query(call->request, "task");
    int64_t cursor;
    if (!call_limit(call, 200, &all->limit, err) || !call_cursor(call, &cursor, err) ||
        !shape_read_task_state(http_query(call->request, "state"), &all->state, err) ||
        !call_query(call, err) || !find_run(call->query, call->arena, call->params[0], run, err) ||
        !query_version(call->query, (*run)->version, &info, err))
        return false;
    all->run_text = call->params[0];
    all->run = (*run)->id;
    from_task_cursor(cursor, info->n_tasks, &all->from, &all->from_map);
    all->to = info->n_tasks;
    all->only_map = NX_MAP_NONE;
    if (!task)
        return true;
    uint32_t only;
    if (!find_task(info, task, &only, &all->only_map, err))
        return false;
    all->from_map = only == all->from ? all->from_map : NX_MAP_NONE;
    all->from = only;
    all->to = all->from + 1;
    all->only = true;
    return true;
}

bool handle_explain(struct call *call, struct nx_err *err)
{
    struct explaining all = {0};
    struct query_run *run;
    if (!read_explain(call, &all, &run, err))
        return false;
    if (nx_run_state_final(run->state))
        return put_explain(&call->body, call->query, call->arena, &all, err);
    struct job *job = job_new(call);
    struct explaining *copy = arena_dup(&job->arena, &all, sizeof all);
    copy->run_text = arena_strdup(&job->arena, all.run_text);
    copy->items = arena_array(&job->arena, all.limit, sizeof *all.items);
    job->data = copy;
    job->look = look_explain;
    job->finish = finish_explain;
    return job_look(call, job, err);
}

/* ---- Workers and pools ---- */

#define HANDS_MAX 256 /* attempts that the list of workers names of each */

struct seen_hand {
    struct nx_inst_id inst;
    enum nx_task_state state;
};

struct seen_worker {
    struct core_worker_view view;
    struct seen_hand *hands;
    size_t n_hands;
    struct seen_worker *next;
};

struct fleet {
    size_t from, limit;
    const char *only; /* a worker's id, or NULL */
    struct seen_worker *workers, **last_worker;
    bool more;
};

static struct fleet *fleet_new(struct job *job)
{
    struct fleet *fleet = arena_alloc(&job->arena, sizeof *fleet);
    fleet->limit = NX_PAGE_MAX;
    fleet->last_worker = &fleet->workers;
    job->data = fleet;
    return fleet;
}

static const char *keep(struct job *job, const char *text)
{
    return arena_strdup(&job->arena, text ? text : "");
}

static void look_hands(struct job *job, const struct core *core, size_t i, struct seen_worker *seen)
{
    size_t n = seen->view.n_leases < HANDS_MAX ? seen->view.n_leases : HANDS_MAX;
    seen->hands = arena_array(&job->arena, n + 1, sizeof *seen->hands);
    while (seen->n_hands < n &&
           core_view_hand(core, i, seen->n_hands, &seen->hands[seen->n_hands].inst,
                          &seen->hands[seen->n_hands].state))
        seen->n_hands++;
}

static void look_workers(struct job *job, const struct core *core)
{
    struct fleet *fleet = job->data;
    struct core_worker_view view;
    for (size_t i = fleet->from; core_view_worker(core, i, &view); i++) {
        if (fleet->only && !str_eq(fleet->only, view.id))
            continue;
        if (fleet->limit == 0) {
            fleet->more = true;
            fleet->from = i;
            return;
        }
        fleet->limit--;
        struct seen_worker *seen = arena_alloc(&job->arena, sizeof *seen);
        seen->view = view;
        seen->view.id = keep(job, view.id);
        seen->view.host = keep(job, view.host);
        seen->view.version = keep(job, view.version);
        seen->view.queues = keep(job, view.queues);
        seen->view.address = keep(job, view.address);
        look_hands(job, core, i, seen);
        *fleet->last_worker = seen;
        fleet->last_worker = &seen->next;
    }
}

static const char *worker_state(enum core_worker_state state)
{
    static const char *const names[] = {"online", "draining", "lost", "offline"};
    return names[state];
}

/* "a,b" as a list. */
static void put_queues(struct buf *buf, const char *queues)
{
    put_open(buf, "queues", '[');
    while (*queues) {
        size_t n = strcspn(queues, ",");
        if (n) {
            char *name = mem_strndup(queues, n);
            put_text(buf, NULL, name);
            mem_free(name);
        }
        queues += n + (queues[n] == ',');
    }
    put_close(buf, ']');
}

/* One whose run has gone since is left out. */
static void put_hand(struct job *job, struct query *query, const struct seen_hand *hand)
{
    const struct dag_info *info;
    struct query_run *run;
    struct nx_err gone;
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)hand->inst.run.v);
    if (!find_run(query, &job->arena, id, &run, &gone) ||
        !query_version(query, run->version, &info, &gone) || hand->inst.task >= info->n_tasks)
        return;
    put_open(&job->body, NULL, '{');
    put_id(&job->body, "run", hand->inst.run.v);
    put_text(&job->body, "dag", run->dag);
    put_text(&job->body, "task", info->tasks[hand->inst.task].id);
    if (hand->inst.map == NX_MAP_NONE)
        put_null(&job->body, "map_index");
    else
        put_int(&job->body, "map_index", hand->inst.map);
    put_text(&job->body, "state", nx_task_state_name(hand->state));
    put_close(&job->body, '}');
}

static void put_worker(struct job *job, struct query *query, const struct seen_worker *seen)
{
    struct buf *buf = &job->body;
    const struct core_worker_view *view = &seen->view;
    put_open(buf, NULL, '{');
    put_text(buf, "id", view->id);
    put_text(buf, "host", *view->host ? view->host : NULL);
    put_text(buf, "address", *view->address ? view->address : NULL);
    put_text(buf, "state", worker_state(view->state));
    put_int(buf, "slots", view->slots);
    put_int(buf, "busy", view->n_running);
    put_int(buf, "leases", view->n_leases);
    put_open(buf, "tasks", '[');
    for (size_t i = 0; i < seen->n_hands; i++)
        put_hand(job, query, &seen->hands[i]);
    put_close(buf, ']');
    put_queues(buf, view->queues);
    put_text(buf, "version", *view->version ? view->version : NULL);
    put_time(buf, "last_seen_at", view->seen_ms);
    if (view->memory_bytes)
        put_int(buf, "memory_bytes", view->memory_bytes);
    else
        put_null(buf, "memory_bytes");
    put_int(buf, "gpus", view->gpus);
    if (view->seen_ms && !view->catalog_fits)
        put_text(buf, "note",
                 "its operators are not those of this scheduler: it gets scripts alone; install "
                 "the same release of Nexus on both");
    else
        put_null(buf, "note");
    put_close(buf, '}');
}

static void put_next(struct buf *buf, const struct fleet *fleet)
{
    put_close(buf, ']');
    if (fleet->more)
        put_id(buf, "next", fleet->from);
    else
        put_null(buf, "next");
    put_close(buf, '}');
}

static bool finish_workers(struct job *job, struct query *query, struct nx_err *err)
{
    const struct fleet *fleet = job->data;
    (void)err;
    put_open(&job->body, NULL, '{');
    put_open(&job->body, "items", '[');
    for (const struct seen_worker *seen = fleet->workers; seen; seen = seen->next)
        put_worker(job, query, seen);
    put_next(&job->body, fleet);
    return true;
}

static bool finish_worker(struct job *job, struct query *query, struct nx_err *err)
{
    const struct fleet *fleet = job->data;
    if (!fleet->workers)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no worker '%.64s'", fleet->only);
    put_worker(job, query, fleet->workers);
    return true;
}

static bool list_fleet(struct call *call, void (*look)(struct job *job, const struct core *core),
                       bool (*finish)(struct job *job, struct query *query, struct nx_err *err),
                       struct nx_err *err)
{
    size_t limit;
    int64_t cursor;
    if (!call_limit(call, NX_PAGE_MAX, &limit, err) || !call_cursor(call, &cursor, err))
        return false;
    struct job *job = job_new(call);
    struct fleet *fleet = fleet_new(job);
    fleet->from = (size_t)cursor;
    fleet->limit = limit;
    job->look = look;
    job->finish = finish;
    return job_look(call, job, err);
}

bool handle_workers(struct call *call, struct nx_err *err)
{
    return list_fleet(call, look_workers, finish_workers, err);
}

bool handle_patch_worker(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    const json_t *drain = json_object_get(body, "drain");
    bool given = json_is_boolean(drain), on = json_is_true(drain);
    json_decref(body);
    if (!given)
        return nx_fail(err, NX_E_INVALID, "the body must have 'drain': true or false");
    struct message *message =
        call_write(call, WRITE_DRAIN, on ? "worker.drain" : "worker.resume", call->params[0], NULL);
    message->worker = arena_strdup(&message->arena, call->params[0]);
    message->on = on;
    struct job *job = job_new(call);
    struct fleet *fleet = fleet_new(job);
    fleet->only = arena_strdup(&job->arena, call->params[0]);
    job->look = look_workers; /* after the commit */
    job->finish = finish_worker;
    return job_write(call, job, message, err);
}

/* ---- Events ---- */

bool handle_events(struct call *call, struct nx_err *err)
{
    const char *text = http_query(call->request, "run");
    struct http_reply reply;
    int64_t run = 0;
    if (text && (!str_parse_int(text, &run) || run < 1))
        return nx_fail(err, NX_E_INVALID, "run must be the id of a run, not '%.32s'", text);
    events_stream(call->api->events, (uint64_t)run, http_header(call->request, "Last-Event-ID"),
                  &reply);
    call_stream(call, &reply, false);
    return true;
}
