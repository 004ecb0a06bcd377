/* What waits for a person, and what people say. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

/* ---- Shapes ---- */

struct approval_list {
    struct query *query;
    struct buf *body;
    size_t n, limit;
    uint64_t last;
    struct nx_inst_id inst; /* of the last one */
    const char *task;
    bool more, ok;
    struct nx_err *err;
};

static const char *state_of(const struct query_approval *approval)
{
    if (approval->decided_ms)
        return approval->approved ? "approved" : "rejected";
    return approval->open ? "waiting" : "closed";
}

static bool put_approval(void *arg, const struct query_approval *approval)
{
    struct approval_list *list = arg;
    struct buf *buf = list->body;
    const struct dag_info *info;
    if (list->n++ == list->limit || buf->len > CALL_BODY_MAX) {
        list->more = true;
        return false;
    }
    if (!(list->ok = query_version(list->query, approval->version, &info, list->err)))
        return false;
    list->last = approval->id;
    list->inst = approval->inst;
    list->task = info->tasks[approval->inst.task].id;
    put_open(buf, NULL, '{');
    put_id(buf, "id", approval->id);
    put_id(buf, "run", approval->inst.run.v);
    put_text(buf, "dag", approval->dag);
    put_text(buf, "task", info->tasks[approval->inst.task].id);
    if (approval->inst.map == NX_MAP_NONE)
        put_null(buf, "map_index");
    else
        put_int(buf, "map_index", approval->inst.map);
    put_text(buf, "state", state_of(approval));
    put_text(buf, "message", approval->message);
    put_raw(buf, "form", approval->form);
    put_time(buf, "asked_at", approval->asked_ms);
    put_time(buf, "due_at", approval->due_ms);
    put_time(buf, "decided_at", approval->decided_ms);
    put_text(buf, "decided_by", approval->decided_by);
    put_text(buf, "comment", approval->comment);
    put_raw(buf, "values", approval->values);
    put_close(buf, '}');
    return true;
}

static bool read_id(const char *text, uint64_t *id, struct nx_err *err)
{
    int64_t n;
    bool ok = shape_read_id(text, &n);
    *id = ok ? (uint64_t)n : 0;
    return ok || nx_fail(err, NX_E_NOT_FOUND, "there is no approval '%.32s'", text);
}

static bool put_one(struct query *query, struct buf *body, uint64_t id, struct nx_inst_id *inst,
                    const char **task, struct nx_err *err)
{
    struct approval_list list = {.query = query, .body = body, .limit = 1, .ok = true, .err = err};
    const struct query_approvals which = {.id = id, .all = true, .limit = 1};
    if (!query_approvals(query, &which, put_approval, &list, err) || !list.ok)
        return false;
    *inst = list.inst;
    *task = list.task;
    return list.n ||
           nx_fail(err, NX_E_NOT_FOUND, "there is no approval %llu; what is cleared is asked anew",
                   (unsigned long long)id);
}

/* ---- Reads ---- */

bool handle_approval(struct call *call, struct nx_err *err)
{
    uint64_t id;
    struct nx_inst_id inst;
    const char *task;
    return read_id(call->params[0], &id, err) && call_query(call, err) &&
           put_one(call->query, &call->body, id, &inst, &task, err);
}

static bool read_filter(struct call *call, struct query_approvals *which, struct nx_err *err)
{
    const char *run = http_query(call->request, "run"), *state = http_query(call->request, "state");
    struct query_run *found;
    if (state && !str_eq(state, "waiting") && !str_eq(state, "all"))
        return nx_fail(err, NX_E_INVALID, "state must be waiting or all, not '%.32s'", state);
    which->all = state && str_eq(state, "all");
    if (run && !find_run(call->query, call->arena, run, &found, err))
        return false;
    which->run.v = run ? found->id.v : 0;
    return true;
}

bool handle_approvals(struct call *call, struct nx_err *err)
{
    struct approval_list list = {.body = &call->body, .ok = true, .err = err};
    struct query_approvals which = {0};
    int64_t cursor;
    if (!call_limit(call, 100, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !call_query(call, err) || !read_filter(call, &which, err))
        return false;
    list.query = call->query;
    which.after = (uint64_t)cursor;
    which.limit = list.limit + 1;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_approvals(call->query, &which, put_approval, &list, err) && list.ok;
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, list.last);
    return ok;
}

/* ---- An answer ---- */

static bool finish_answer(struct job *job, struct query *query, struct nx_err *err)
{
    struct nx_inst_id inst;
    const char *task;
    return put_one(query, &job->body, *(const uint64_t *)job->data, &inst, &task, err);
}

/* Of the audit list: the answer, and whose it is; its target is the run. */
static const char *detail_of(struct arena *arena, const json_t *body, const char *id,
                             const char *task)
{
    json_t *detail = json_copy((json_t *)body);
    json_object_set_new(detail, "approval", js_string(id));
    json_object_set_new(detail, "task", js_string(task));
    char *text = js_text(detail);
    const char *kept = arena_strdup(arena, text);
    mem_free(text);
    json_decref(detail);
    return kept;
}

static bool answer(struct call *call, const json_t *body, struct nx_err *err)
{
    uint64_t id;
    struct nx_inst_id inst;
    struct buf found;
    const json_t *approved = json_object_get(body, "approved");
    const json_t *values = json_object_get(body, "values");
    const char *comment = js_get_text(body, "comment", NULL);
    const char *task;
    buf_init(&found);
    bool ok = read_id(call->params[0], &id, err) && call_query(call, err) &&
              put_one(call->query, &found, id, &inst, &task, err);
    buf_fini(&found);
    if (!ok)
        return false;
    if (!json_is_boolean(approved))
        return nx_fail(err, NX_E_INVALID, "the body must have 'approved': true or false");
    if (json_object_size(values) && !json_is_true(approved))
        return nx_fail(err, NX_E_INVALID, "a rejection has no values, only a comment");
    if (comment && strlen(comment) > NX_NOTE_MAX)
        return nx_fail(err, NX_E_LIMIT, "a comment has at most %d bytes", NX_NOTE_MAX);
    struct message *message = call_write(
        call, WRITE_APPROVE, json_is_true(approved) ? "approval.approve" : "approval.reject",
        arena_printf(call->arena, "%llu", (unsigned long long)inst.run.v), body);
    message->detail = detail_of(&message->arena, body, call->params[0], task);
    message->approval = id;
    message->inst = inst;
    message->approved = json_is_true(approved);
    message->note = comment && *comment ? arena_strdup(&message->arena, comment) : NULL;
    if (json_object_size(values)) {
        char *text = js_text(values);
        message->params = arena_strdup(&message->arena, text);
        mem_free(text);
    }
    struct job *job = job_new(call);
    job->data = arena_dup(&job->arena, &id, sizeof id);
    job->finish = finish_answer;
    return job_write(call, job, message, err);
}

bool handle_answer_approval(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = answer(call, body, err);
    json_decref(body);
    return ok;
}
