/* What people do to runs: retry, clear, mark, repeat, note, delete; and who did what. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "lib/wire/paths.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

/* The run of the path, with what its version says. */
static bool find_both(struct call *call, struct query_run **run, const struct dag_info **info,
                      struct nx_err *err)
{
    return call_query(call, err) && find_run(call->query, call->arena, call->params[0], run, err) &&
           query_version(call->query, (*run)->version, info, err);
}

/* ---- Retry, clear, mark ---- */

struct edit_job {
    struct nx_run_id run;
    enum core_edit what;
    bool dry_run;
};

/* What an edited instance becomes. */
static const char *state_after(const struct edit_job *edit, const struct core_edited *edited)
{
    bool marked = edit->what == CORE_MARK_SUCCESS || edit->what == CORE_MARK_FAILED;
    if (!marked || edited->cleared)
        return nx_task_state_name(NX_TS_WAITING);
    return nx_task_state_name(edit->what == CORE_MARK_SUCCESS ? NX_TS_SUCCESS : NX_TS_FAILED);
}

/* The run, and which of its tasks are concerned. */
static bool finish_edit(struct job *job, struct query *query, struct nx_err *err)
{
    const struct edit_job *edit = job->data;
    struct buf *buf = &job->body;
    const struct dag_info *info;
    struct query_run *run;
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)edit->run.v);
    if (!find_run(query, &job->arena, id, &run, err) ||
        !query_version(query, run->version, &info, err))
        return false;
    put_open(buf, NULL, '{');
    shape_run(buf, run);
    put_bool(buf, "dry_run", edit->dry_run);
    put_open(buf, "changed", '[');
    for (size_t i = 0; i < job->result.n_edited; i++) {
        const struct core_edited *edited = &job->result.edited[i];
        put_open(buf, NULL, '{');
        put_text(buf, "task", info->tasks[edited->inst.task].id);
        if (edited->inst.map == NX_MAP_NONE)
            put_null(buf, "map_index");
        else
            put_int(buf, "map_index", edited->inst.map);
        put_text(buf, "before", nx_task_state_name(edited->before));
        put_text(buf, "after", state_after(edit, edited));
        put_close(buf, '}');
    }
    put_close(buf, ']');
    put_close(buf, '}');
    return true;
}

static bool add_task(const struct dag_info *info, const char *name, struct core_target *tasks,
                     uint32_t *n, struct nx_err *err)
{
    struct core_target *target = &tasks[(*n)++];
    return find_task(info, name, &target->task, &target->map, err);
}

/* `tasks` and `from` of the body. */
static bool read_tasks(struct message *message, const struct dag_info *info, const json_t *body,
                       struct nx_err *err)
{
    const json_t *list = json_object_get(body, "tasks"), *item;
    const char *from = js_get_text(body, "from", NULL);
    size_t i;
    struct core_target *tasks =
        arena_array(&message->arena, json_array_size(list) + 1, sizeof *tasks);
    message->tasks = tasks;
    json_array_foreach(list, i, item)
    {
        if (!add_task(info, json_string_value(item), tasks, &message->n_tasks, err))
            return false;
    }
    return !from || add_task(info, from, tasks, &message->n_tasks, err);
}

#define LARGE 2000 /* instances of which the loop does not read the rows itself */

struct reading {
    VEC(struct core_inst_row) rows;
};

static void add_row(void *arg, const struct core_inst_row *row)
{
    struct reading *reading = arg;
    vec_push(&reading->rows, *row);
}

/* The rows of a large run that has ended go with the message; the loop sees whether they still
 * hold. */
static bool take_rows(struct call *call, const struct query_run *run, struct message *message,
                      struct nx_err *err)
{
    struct reading reading = {0};
    uint32_t n = 0;
    for (int i = 0; i < NX_TASK_STATES; i++)
        n += run->counts[i];
    if (!nx_run_state_final(run->state) || n < LARGE)
        return true;
    bool ok = query_insts(call->query, run->id, add_row, &reading, err);
    message->insts =
        arena_dup(&message->arena, reading.rows.at, reading.rows.n * sizeof *reading.rows.at);
    message->n_insts = reading.rows.n;
    message->ended_ms = run->finished_ms;
    vec_fini(&reading.rows);
    return ok;
}

static bool edit(struct call *call, enum core_edit what, const char *name, const json_t *body,
                 struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    if (!find_both(call, &run, &info, err))
        return false;
    struct message *message = call_write(call, WRITE_EDIT, name, call->params[0], body);
    message->run = run->id;
    message->edit = what;
    message->upstream = js_get_bool(body, "upstream", false);
    message->downstream = js_get_bool(body, "downstream", false);
    message->dry_run = js_get_bool(body, "dry_run", false);
    if (!read_tasks(message, info, body, err) || !take_rows(call, run, message, err)) {
        message_free(message);
        return false;
    }
    const struct edit_job data = {run->id, what, message->dry_run};
    struct job *job = job_new(call);
    job->data = arena_dup(&job->arena, &data, sizeof data);
    call_match(call, "run.*", message, job);
    job->finish = finish_edit;
    return job_write(call, job, message, err);
}

static bool edit_with(struct call *call, enum core_edit what, const char *name, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = edit(call, what, name, body, err);
    json_decref(body);
    return ok;
}

bool handle_retry(struct call *call, struct nx_err *err)
{
    return edit_with(call, CORE_RETRY, "run.retry", err);
}

bool handle_clear(struct call *call, struct nx_err *err)
{
    return edit_with(call, CORE_CLEAR, "run.clear", err);
}

bool handle_mark(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    const char *state = js_get_text(body, "state", NULL);
    bool success = state && str_eq(state, "success");
    bool ok = success || (state && str_eq(state, "failed")) ||
              nx_fail(err, NX_E_INVALID, "the body must have 'state': success or failed%s%.32s%s",
                      state ? ", not '" : "", state ? state : "", state ? "'" : "");
    if (ok && !json_array_size(json_object_get(body, "tasks")))
        ok = nx_fail(err, NX_E_INVALID, "name the tasks to mark: {\"tasks\": [...]}");
    ok = ok && edit(call, success ? CORE_MARK_SUCCESS : CORE_MARK_FAILED, "run.mark", body, err);
    json_decref(body);
    return ok;
}

/* ---- Again, with other params ---- */

static bool finish_rerun(struct job *job, struct query *query, struct nx_err *err)
{
    job->status = job->result.existed ? 200 : 201;
    job->location =
        arena_printf(&job->arena, "/api/v1/runs/%llu", (unsigned long long)job->result.run.v);
    return run_to_body(job, query, job->result.run, err);
}

static bool rerun(struct call *call, const json_t *body, struct nx_err *err)
{
    struct query_run *run;
    const char *note = js_get_text(body, "note", NULL), *key;
    if (!call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err) ||
        !call_note(note, err) || !call_key(call, &key, err))
        return false;
    struct message *message = call_write(call, WRITE_CREATE, "run.rerun", call->params[0], body);
    message->dag = arena_strdup(&message->arena, run->dag);
    message->former_params = arena_strdup(&message->arena, run->params);
    if (json_object_size(json_object_get(body, "params"))) {
        char *text = js_text(json_object_get(body, "params"));
        message->params = arena_strdup(&message->arena, text);
        mem_free(text);
    }
    message->note = note ? arena_strdup(&message->arena, note)
                         : arena_printf(&message->arena, "run %s again", call->params[0]);
    call_keep_key(message, key, body);
    message->run = run->id;
    message->interval_start_ms = run->interval_start_ms;
    message->interval_finish_ms = run->interval_finish_ms;
    struct job *job = job_new(call);
    job->finish = finish_rerun;
    return job_write(call, job, message, err);
}

bool handle_rerun(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = rerun(call, body, err);
    json_decref(body);
    return ok;
}

/* ---- Note, delete ---- */

static bool finish_note(struct job *job, struct query *query, struct nx_err *err)
{
    return run_to_body(job, query, *(const struct nx_run_id *)job->data, err);
}

static bool set_note(struct call *call, const json_t *body, struct nx_err *err)
{
    struct query_run *run;
    const char *note = js_get_text(body, "note", NULL);
    if (!call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err))
        return false;
    if (!json_object_get(body, "note"))
        return nx_fail(err, NX_E_INVALID, "the body must have 'note'");
    if (!call_note(note, err))
        return false;
    struct message *message = call_write(call, WRITE_NOTE, "run.note", call->params[0], body);
    message->run = run->id;
    message->note = note && *note ? arena_strdup(&message->arena, note) : NULL;
    struct job *job = job_new(call);
    call_match(call, "run.*", message, job);
    job->data = arena_dup(&job->arena, &run->id, sizeof run->id);
    job->finish = finish_note;
    return job_write(call, job, message, err);
}

bool handle_patch_run(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = set_note(call, body, err);
    json_decref(body);
    return ok;
}

/* On the API's thread, when the rows are gone for good: a tree may be large. */
static bool finish_delete(struct job *job, struct query *query, struct nx_err *err)
{
    const struct nx_run_id *run = job->data;
    char path[PATH_MAX_BYTES];
    (void)query;
    if (run_logs_path(path, sizeof path, job->api->home, run->v) && !path_remove_tree(path, err))
        return nx_wrap(err, "the run is gone, but not its logs");
    put_open(&job->body, NULL, '{');
    put_id(&job->body, "deleted", run->v);
    put_close(&job->body, '}');
    return true;
}

bool handle_delete_run(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    if (!call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err))
        return false;
    if (!nx_run_state_final(run->state))
        return nx_fail(err, NX_E_CONFLICT, "run %s has not ended (%s): %s", call->params[0],
                       nx_run_state_name(run->state),
                       run->state == NX_RS_STOPPING ? "try again when it has" : "cancel it first");
    struct message *message = call_write(call, WRITE_DELETE, "run.delete", call->params[0], NULL);
    message->detail = arena_printf(&message->arena, "{\"dag\":\"%s\"}", run->dag);
    message->run = run->id;
    struct job *job = job_new(call);
    call_match(call, "run.*", message, job);
    job->data = arena_dup(&job->arena, &run->id, sizeof run->id);
    job->finish = finish_delete;
    return job_write(call, job, message, err);
}

/* ---- Who did what ---- */

struct audit_list {
    struct buf *body;
    size_t n, limit;
    int64_t last;
    bool more;
};

static bool put_audit(void *arg, const struct query_audit *audit)
{
    struct audit_list *list = arg;
    if (list->n++ == list->limit || list->body->len > CALL_BODY_MAX) {
        list->more = true;
        return false;
    }
    put_open(list->body, NULL, '{');
    put_id(list->body, "id", (uint64_t)audit->id);
    put_time(list->body, "at", audit->at_ms);
    put_text(list->body, "who", audit->who);
    put_text(list->body, "what", audit->what);
    put_text(list->body, "target", audit->target);
    put_raw(list->body, "detail", audit->detail);
    put_close(list->body, '}');
    list->last = audit->id;
    return true;
}

bool handle_audit(struct call *call, struct nx_err *err)
{
    struct audit_list list = {.body = &call->body};
    int64_t cursor;
    if (!call_limit(call, 100, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !call_query(call, err))
        return false;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_audit(call->query, cursor, list.limit + 1, put_audit, &list, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, (uint64_t)list.last);
    return ok;
}
