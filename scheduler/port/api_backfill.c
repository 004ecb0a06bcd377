/* Backfills: their plan, their beginning, and how far they are. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

static const char *const states[] = {"running", "paused", "done", "cancelled"};

/* ---- Shapes ---- */

static void put_step(struct buf *buf, const struct backfill_step *step)
{
    static const char *const actions[] = {"create", "reprocess", "exists", "in_flight"};
    put_open(buf, NULL, '{');
    put_open(buf, "interval", '{');
    put_time(buf, "start", step->start_ms);
    put_time(buf, "finish", step->finish_ms);
    put_close(buf, '}');
    put_time(buf, "fire_at", step->fire_ms);
    put_text(buf, "action", actions[step->action]);
    if (step->run.v)
        put_id(buf, "run", step->run.v);
    else
        put_null(buf, "run");
    put_close(buf, '}');
}

static bool put_backfill(void *arg, const struct query_backfill *backfill)
{
    struct buf *buf = arg;
    put_open(buf, NULL, '{');
    put_id(buf, "id", backfill->id);
    put_text(buf, "dag", backfill->dag);
    put_text(buf, "state", states[backfill->state < 4 ? backfill->state : 0]);
    if (backfill->reason == NX_WHY_NONE) {
        put_null(buf, "reason");
    } else {
        put_open(buf, "reason", '{');
        put_text(buf, "code", nx_reason_name(backfill->reason));
        put_text(buf, "text", shape_reason_text(backfill->reason));
        put_close(buf, '}');
    }
    put_time(buf, "from", backfill->from_ms);
    put_time(buf, "to", backfill->to_ms);
    put_text(buf, "reprocess", backfill->reprocess);
    put_bool(buf, "backwards", backfill->backwards);
    put_int(buf, "max_active", backfill->max_active);
    put_raw(buf, "params", backfill->params);
    put_time(buf, "created_at", backfill->created_ms);
    put_int(buf, "total", backfill->n_items);
    put_int(buf, "begun", backfill->next);
    put_open(buf, "counts", '{');
    for (int i = 0; i < NX_RUN_STATES; i++) {
        if (backfill->counts[i])
            put_int(buf, nx_run_state_name((enum nx_run_state)i), backfill->counts[i]);
    }
    put_close(buf, '}');
    put_int(buf, "left_to_others", backfill->n_others);
    put_int(buf, "deleted", backfill->n_deleted);
    put_bool(buf, "dag_paused", backfill->dag_paused);
    put_close(buf, '}');
    return true;
}

/* ---- Reads ---- */

static bool read_id(const char *text, uint64_t *id, struct nx_err *err)
{
    int64_t n;
    bool ok = shape_read_id(text, &n);
    *id = ok ? (uint64_t)n : 0;
    return ok || nx_fail(err, NX_E_NOT_FOUND, "there is no backfill '%.32s'", text);
}

static bool put_one(struct query *query, struct buf *body, uint64_t id, struct nx_err *err)
{
    size_t before = body->len;
    const struct query_backfills which = {.id = id, .limit = 1};
    if (!query_backfills(query, &which, put_backfill, body, err))
        return false;
    return body->len > before ||
           nx_fail(err, NX_E_NOT_FOUND, "there is no backfill %llu", (unsigned long long)id);
}

bool handle_backfill(struct call *call, struct nx_err *err)
{
    uint64_t id;
    return read_id(call->params[0], &id, err) &&
           call_revision(call, "backfill.*", call->params[0], err) &&
           put_one(call->query, &call->body, id, err);
}

struct backfill_list {
    struct buf *body;
    size_t n, limit;
    uint64_t last;
    bool more;
};

static bool put_listed(void *arg, const struct query_backfill *backfill)
{
    struct backfill_list *list = arg;
    if (list->n++ == list->limit) {
        list->more = true;
        return false;
    }
    list->last = backfill->id;
    return put_backfill(list->body, backfill);
}

static bool list_backfills(struct call *call, const char *dag, struct nx_err *err)
{
    struct backfill_list list = {.body = &call->body};
    int64_t cursor;
    if (!call_limit(call, 100, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        (dag && !dag_must_exist(call, dag, err)) || !call_query(call, err))
        return false;
    const struct query_backfills which = {
        .dag = dag, .before = (uint64_t)cursor, .limit = list.limit + 1};
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_backfills(call->query, &which, put_listed, &list, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, list.last);
    return ok;
}

bool handle_backfills(struct call *call, struct nx_err *err)
{
    return list_backfills(call, NULL, err);
}

bool handle_dag_backfills(struct call *call, struct nx_err *err)
{
    return list_backfills(call, call->params[0], err);
}

/* ---- The beginning ---- */

static bool finish_begin(struct job *job, struct query *query, struct nx_err *err)
{
    struct buf *buf = &job->body;
    if (job->result.backfill) {
        job->status = job->result.existed ? 200 : 201;
        job->location = arena_printf(&job->arena, "/api/v1/backfills/%llu",
                                     (unsigned long long)job->result.backfill);
        return put_one(query, buf, job->result.backfill, err);
    }
    put_open(buf, NULL, '{');
    put_open(buf, "items", '[');
    for (size_t i = 0; i < job->result.n_steps; i++)
        put_step(buf, &job->result.steps[i]);
    put_close(buf, ']');
    put_null(buf, "next");
    put_close(buf, '}');
    return true;
}

static bool read_reprocess(const json_t *body, enum backfill_reprocess *reprocess,
                           struct nx_err *err)
{
    static const char *const words[] = {"none", "failed", "completed"};
    const char *text = js_get_text(body, "reprocess", "none");
    for (int i = 0; i < 3; i++) {
        if (str_eq(text, words[i])) {
            *reprocess = (enum backfill_reprocess)i;
            return true;
        }
    }
    return nx_fail(err, NX_E_INVALID, "reprocess must be none, failed or completed, not '%.32s'",
                   text);
}

static bool fill(struct message *message, const json_t *body, struct nx_err *err)
{
    int64_t most = js_get_int(body, "max_active", 0);
    const char *from = js_get_text(body, "from", NULL), *to = js_get_text(body, "to", NULL);
    const json_t *params = json_object_get(body, "params");
    if (!from || !to)
        return nx_fail(err, NX_E_INVALID, "the body must have 'from' and 'to'");
    if (json_is_integer(json_object_get(body, "max_active")) && (most < 1 || most > 10000))
        return nx_fail(err, NX_E_INVALID, "max_active must be 1 to 10000, not %lld",
                       (long long)most);
    message->from = arena_strdup(&message->arena, from);
    message->to = arena_strdup(&message->arena, to);
    message->max_active = (uint32_t)most;
    message->backwards = js_get_bool(body, "backwards", false);
    message->dry_run = js_get_bool(body, "dry_run", false);
    if (json_object_size(params)) {
        char *text = js_text(params);
        message->params = arena_strdup(&message->arena, text);
        mem_free(text);
    }
    return read_reprocess(body, &message->reprocess, err);
}

static bool begin(struct call *call, const json_t *body, struct nx_err *err)
{
    const char *key;
    if (!dag_must_exist(call, call->params[0], err) || !call_key(call, &key, err))
        return false;
    struct message *message =
        call_write(call, WRITE_BACKFILL, "dag.backfill", call->params[0], body);
    call_keep_key(message, key, body);
    message->dag = arena_strdup(&message->arena, call->params[0]);
    if (!fill(message, body, err)) {
        message_free(message);
        return false;
    }
    struct job *job = job_new(call);
    job->finish = finish_begin;
    return job_write(call, job, message, err);
}

bool handle_begin_backfill(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = begin(call, body, err);
    json_decref(body);
    return ok;
}

/* ---- Pause, resume, cancel ---- */

static bool finish_change(struct job *job, struct query *query, struct nx_err *err)
{
    return put_one(query, &job->body, *(const uint64_t *)job->data, err);
}

static bool change(struct call *call, enum core_backfill_state state, const char *what,
                   struct nx_err *err)
{
    struct buf found;
    uint64_t id;
    buf_init(&found);
    bool ok = read_id(call->params[0], &id, err) && call_query(call, err) &&
              put_one(call->query, &found, id, err);
    buf_fini(&found);
    if (!ok)
        return false;
    struct message *message = call_write(call, WRITE_BACKFILL_STATE, what, call->params[0], NULL);
    message->backfill = id;
    message->backfill_state = state;
    struct job *job = job_new(call);
    call_match(call, "backfill.*", message, job);
    job->data = arena_dup(&job->arena, &id, sizeof id);
    job->finish = finish_change;
    return job_write(call, job, message, err);
}

bool handle_patch_backfill(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    const json_t *value = json_object_get(body, "paused");
    bool given = json_is_boolean(value), on = json_is_true(value);
    json_decref(body);
    if (!given)
        return nx_fail(err, NX_E_INVALID, "the body must have 'paused': true or false");
    return change(call, on ? CORE_BACKFILL_PAUSED : CORE_BACKFILL_RUNNING,
                  on ? "backfill.pause" : "backfill.resume", err);
}

bool handle_cancel_backfill(struct call *call, struct nx_err *err)
{
    return change(call, CORE_BACKFILL_CANCELLED, "backfill.cancel", err);
}
