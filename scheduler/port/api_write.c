/* Writes: messages to the loop, answered after their commit. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/crypt/crypt.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

struct message *call_write(struct call *call, enum write_op op, const char *what,
                           const char *target, const json_t *body)
{
    struct message *message = message_new(MSG_WRITE);
    message->op = op;
    message->who = arena_strdup(&message->arena, call->who);
    message->what = what;
    message->target = arena_strdup(&message->arena, target);
    if (body && json_object_size(body)) {
        char *text = js_text(body);
        message->detail = arena_strdup(&message->arena, text);
        mem_free(text);
    }
    return message;
}

/* ---- A run ---- */

static bool finish_create(struct job *job, struct query *query, struct nx_err *err)
{
    const char *dag = job->data;
    struct query_run *run;
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)job->result.run.v);
    if (!find_run(query, &job->arena, id, &run, err))
        return false;
    if (!str_eq(run->dag, dag))
        return nx_fail(err, NX_E_CONFLICT, "this Idempotency-Key has made run %s of DAG '%s'", id,
                       run->dag);
    job->status = job->result.existed ? 200 : 201;
    job->location = arena_printf(&job->arena, "/api/v1/runs/%s", id);
    return run_to_body(job, query, job->result.run, err);
}

/* Only its form: which instant it is depends on the DAG's zone. */
static bool check_date(const char *text, struct nx_err *err)
{
    int64_t ms;
    if (text && !time_parse(text, &ms))
        return nx_fail(err, NX_E_INVALID,
                       "date must be a date (2026-01-31) or an instant (RFC 3339), not '%.64s'",
                       text);
    return true;
}

bool call_note(const char *note, struct nx_err *err)
{
    return !note || strlen(note) <= NX_NOTE_MAX ||
           nx_fail(err, NX_E_LIMIT, "a note has at most %d bytes", NX_NOTE_MAX);
}

bool call_key(struct call *call, const char **key, struct nx_err *err)
{
    *key = http_header(call->request, "Idempotency-Key");
    if (*key && (!**key || strlen(*key) > NX_NAME_MAX * 2))
        return nx_fail(err, NX_E_INVALID, "an Idempotency-Key has 1 to %d characters",
                       NX_NAME_MAX * 2);
    return true;
}

/* Of what is asked of what, and the body whatever the order of its members; those that are null
 * are as if they were not there. */
void call_keep_key(struct message *message, const char *key, const json_t *body)
{
    struct buf text;
    char *hash = arena_alloc(&message->arena, SHA256_HEX);
    const char *name;
    json_t *value;
    if (!key)
        return;
    json_t *given = json_object();
    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        if (!json_is_null(value))
            json_object_set(given, name, value);
    }
    buf_init(&text);
    buf_printf(&text, "%s\n%s\n", message->what, message->target);
    js_add_canonical(&text, given);
    sha256_of(text.data, text.len, hash);
    buf_fini(&text);
    json_decref(given);
    message->idempotency_key = arena_strdup(&message->arena, key);
    message->request = hash;
}

static void keep_json(struct message *message, const json_t *params)
{
    struct buf text;
    buf_init(&text);
    js_add(&text, params);
    message->params = arena_strndup(&message->arena, buf_text(&text), text.len);
    buf_fini(&text);
}

static bool post_create(struct call *call, const json_t *body, struct nx_err *err)
{
    const json_t *params = json_object_get(body, "params");
    const char *key, *note = js_get_text(body, "note", NULL);
    const char *date = js_get_text(body, "date", NULL);
    if (!check_date(date, err) || !call_note(note, err) || !call_key(call, &key, err))
        return false;
    struct message *message = call_write(call, WRITE_CREATE, "dag.trigger", call->params[0], body);
    message->dag = arena_strdup(&message->arena, call->params[0]);
    if (json_is_object(params))
        keep_json(message, params);
    if (note)
        message->note = arena_strdup(&message->arena, note);
    call_keep_key(message, key, body);
    if (date)
        message->date = arena_strdup(&message->arena, date);
    struct job *job = job_new(call);
    job->data = arena_strdup(&job->arena, call->params[0]);
    job->finish = finish_create;
    return job_write(call, job, message, err);
}

/* With the first problem of its file. */
static bool fail_broken(const char *dag, const char *problems, struct nx_err *err)
{
    json_t *list = json_loads(problems, 0, NULL);
    const json_t *first = json_array_get(list, 0);
    nx_fail(err, NX_E_DATA, "DAG '%.64s' cannot be run, its file has problems: %s:%lld:%lld: %s",
            dag, js_get_text(first, "file", "?"), (long long)js_get_int(first, "line", 0),
            (long long)js_get_int(first, "column", 0), js_get_text(first, "message", "?"));
    json_decref(list);
    return false;
}

bool handle_create(struct call *call, struct nx_err *err)
{
    json_t *body;
    const char *problems;
    if (!call_json(call, &body, err))
        return false;
    bool ok = dag_problems(call, call->params[0], &problems, err);
    if (ok && problems) {
        call->details = problems;
        ok = fail_broken(call->params[0], problems, err);
    }
    ok = ok && post_create(call, body, err);
    json_decref(body);
    return ok;
}

static bool finish_run(struct job *job, struct query *query, struct nx_err *err)
{
    const struct nx_run_id *id = job->data;
    return run_to_body(job, query, *id, err);
}

bool handle_cancel(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool dry_run = js_get_bool(body, "dry_run", false);
    json_decref(body);
    if (!call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err))
        return false;
    if (nx_run_state_final(run->state))
        return nx_fail(err, NX_E_CONFLICT, "run %s has ended (%s): there is nothing to cancel",
                       call->params[0], nx_run_state_name(run->state));
    struct job *job = job_new(call);
    job->data = arena_dup(&job->arena, &run->id, sizeof run->id);
    job->finish = finish_run;
    if (dry_run) {
        put_open(&call->body, NULL, '{');
        shape_run(&call->body, run);
        put_close(&call->body, '}');
        job_free(job);
        return true;
    }
    struct message *message = call_write(call, WRITE_CANCEL, "run.cancel", call->params[0], NULL);
    message->run = run->id;
    return job_write(call, job, message, err);
}

/* ---- DAGs and workers ---- */

/* The one member that the body must have. */
static bool read_switch(struct call *call, const char *key, bool *on, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    const json_t *value = json_object_get(body, key);
    bool given = json_is_boolean(value);
    *on = json_is_true(value);
    json_decref(body);
    return given || nx_fail(err, NX_E_INVALID, "the body must have '%s': true or false", key);
}

static bool finish_dag(struct job *job, struct query *query, struct nx_err *err)
{
    return dag_to_body(job, query, job->data, err);
}

bool handle_patch_dag(struct call *call, struct nx_err *err)
{
    bool on;
    if (!read_switch(call, "paused", &on, err) || !dag_must_exist(call, call->params[0], err))
        return false;
    struct message *message =
        call_write(call, WRITE_PAUSE, on ? "dag.pause" : "dag.unpause", call->params[0], NULL);
    message->dag = arena_strdup(&message->arena, call->params[0]);
    message->on = on;
    struct job *job = job_new(call);
    call_match(call, DAG_CHANGES, message, job);
    job->data = arena_strdup(&job->arena, call->params[0]);
    job->finish = finish_dag;
    return job_write(call, job, message, err);
}
