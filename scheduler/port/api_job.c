/* Work of requests that goes through the loop. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

#define WORKS_MAX 4
#define WORKS_WAITING_MAX 64

struct job *job_new(struct call *call)
{
    struct job *job = mem_alloc(sizeof *job);
    job->api = call->api;
    job->route = call->route;
    job->token = http_token_of(call->request);
    job->status = 200;
    arena_init(&job->arena);
    buf_init(&job->body);
    return job;
}

void job_free(struct job *job)
{
    buf_fini(&job->body);
    arena_fini(&job->arena);
    mem_free(job);
}

static bool make_body(struct job *job, struct nx_err *err)
{
    if (job->result.err.code != NX_OK) {
        *err = job->result.err;
        return false;
    }
    if (job->no_core)
        return nx_fail(err, NX_E_BUSY, "the scheduler is stopping");
    struct query *query = query_begin(job->api->pool, err);
    bool ok = query && job->finish(job, query, err);
    query_end(query);
    return ok;
}

void job_finish(struct job *job)
{
    struct nx_err err = {0};
    struct http_reply reply = {0};
    if (make_body(job, &err)) {
        reply.status = job->status;
        reply.content_type = job->content_type;
        reply.revision = job->revision;
        reply.body = buf_take(&job->body, &reply.n_body);
    } else {
        bool asks = (err.code == NX_E_CONFLICT || err.code == NX_E_STALE) && job->changed;
        call_error(&reply, &err, 0, NULL, asks ? job_last_change(job) : NULL);
    }
    const char *headers[] = {"Location", job->location, NULL};
    if (job->location)
        reply.headers = headers;
    count_answer(job->api, job->route, reply.status);
    http_answer(job->api->server, job->token, &reply);
    job_free(job);
}

/* ---- On the loop ---- */

static void on_look(void *arg, const struct core *core)
{
    struct job *job = arg;
    job->no_core = !core;
    if (core)
        job->look(job, core);
    api_take_job(job);
}

static void on_done(void *arg, const struct write_result *result)
{
    struct job *job = arg;
    job->result = *result;
    if (result->n_steps)
        job->result.steps =
            arena_dup(&job->arena, result->steps, result->n_steps * sizeof *result->steps);
    if (result->n_edited) /* the original goes with its message */
        job->result.edited =
            arena_dup(&job->arena, result->edited, result->n_edited * sizeof *result->edited);
    if (result->err.code == NX_OK && job->look) {
        struct message *message = message_new(MSG_QUERY);
        message->look = on_look;
        message->arg = job;
        if (inbox_post(job->api->inbox, message))
            return;
        message_free(message);
        nx_fail(&job->result.err, NX_E_BUSY, "done, but too many requests wait to show it");
    }
    api_take_job(job);
}

/* ---- Posting ---- */

static bool post(struct call *call, struct job *job, struct message *message, struct nx_err *err)
{
    /* From here on the job may be gone at any time. */
    call->done = call->handed_over = true;
    if (inbox_post(call->api->inbox, message))
        return true;
    call->done = call->handed_over = false;
    message_free(message);
    job_free(job);
    return nx_fail(err, NX_E_BUSY, "too many requests are waiting: try again in a moment");
}

bool job_look(struct call *call, struct job *job, struct nx_err *err)
{
    struct message *message = message_new(MSG_QUERY);
    must(job->look && job->finish);
    message->look = on_look;
    message->arg = job;
    return post(call, job, message, err);
}

bool job_write(struct call *call, struct job *job, struct message *message, struct nx_err *err)
{
    must(message->kind == MSG_WRITE && job->finish);
    message->done = on_done;
    message->arg = job;
    return post(call, job, message, err);
}

/* ---- Work that takes longer ---- */

/* With the lock held: the next one that waits for a thread, or NULL. */
static struct job *next_waiting(struct api *api)
{
    struct job *job = api->waiting;
    if (!job)
        return NULL;
    api->waiting = job->next;
    if (!api->waiting)
        api->last_waiting = &api->waiting;
    api->n_waiting--;
    return job;
}

static void *work(void *arg)
{
    struct job *job = arg;
    struct api *api = job->api;
    while (job) {
        job->work(job);
        api_take_job(job);
        pthread_mutex_lock(&api->lock);
        job = next_waiting(api);
        if (!job) {
            api->n_works--;
            pthread_cond_signal(&api->worked);
        }
        pthread_mutex_unlock(&api->lock);
    }
    return NULL;
}

/* A thread for the job, or a place among those that wait for one. False: neither. */
static bool begin_work(struct api *api, struct job *job)
{
    pthread_t thread;
    pthread_mutex_lock(&api->lock);
    bool room = api->n_works < WORKS_MAX && !api->stopped;
    bool queued = !room && api->n_waiting < WORKS_WAITING_MAX && !api->stopped;
    api->n_works += room;
    if (queued) {
        job->next = NULL;
        *api->last_waiting = job;
        api->last_waiting = &job->next;
        api->n_waiting++;
    }
    pthread_mutex_unlock(&api->lock);
    if (!room)
        return queued;
    if (pthread_create(&thread, NULL, work, job) == 0) {
        pthread_detach(thread);
        return true;
    }
    pthread_mutex_lock(&api->lock);
    api->n_works--;
    pthread_mutex_unlock(&api->lock);
    return false;
}

bool job_work(struct call *call, struct job *job, struct nx_err *err)
{
    must(job->work && job->finish);
    /* From here on the job may be gone at any time. */
    call->done = call->handed_over = true;
    if (begin_work(job->api, job))
        return true;
    call->done = call->handed_over = false;
    job_free(job);
    return nx_fail(err, NX_E_BUSY, "%d such requests are waiting: try again in a moment",
                   WORKS_WAITING_MAX);
}

void job_end_works(struct api *api)
{
    struct job *job;
    atomic_store(&api->ending, true);
    pthread_mutex_lock(&api->lock);
    while ((job = next_waiting(api))) /* its client has been told by the server */
        job_free(job);
    while (api->n_works)
        pthread_cond_wait(&api->worked, &api->lock);
    pthread_mutex_unlock(&api->lock);
}

/* ---- Patches ---- */

struct progress {
    int fraction;     /* in thousandths; negative: unknown */
    const char *text; /* or NULL */
};

struct filling {
    struct patch *patches;
    size_t n;
    struct progress *progress; /* of each patch */
    struct core_why *why;      /* of each that wants a reason; code NONE: unknown */
    char *body;
    size_t n_body;
};

static void look_for_progress(struct job *job, const struct core *core, struct nx_inst_id inst,
                              struct progress *progress)
{
    const char *text;
    progress->fraction = core_progress(core, inst, &text);
    progress->text = text ? arena_strdup(&job->arena, text) : NULL;
}

static void put_progress(struct buf *buf, const struct progress *progress)
{
    struct buf one;
    if (progress->fraction < 0 && !progress->text) {
        buf_str(buf, "null");
        return;
    }
    buf_init(&one);
    put_open(&one, NULL, '{');
    if (progress->fraction < 0)
        put_null(&one, "fraction");
    else
        put_number(&one, "fraction", progress->fraction / 1000.0);
    put_text(&one, "text", progress->text);
    put_close(&one, '}');
    buf_add(buf, one.data, one.len);
    buf_fini(&one);
}

static void look_for_patches(struct job *job, const struct core *core)
{
    struct filling *filling = job->data;
    for (size_t i = 0; i < filling->n; i++) {
        const struct patch *patch = &filling->patches[i];
        if (patch->reason)
            core_explain(core, patch->inst, &filling->why[i], 1);
        else
            look_for_progress(job, core, patch->inst, &filling->progress[i]);
    }
}

static void put_why(struct buf *buf, enum nx_reason code, const char *text)
{
    if (code == NX_WHY_NONE) {
        buf_str(buf, "null");
        return;
    }
    struct buf one;
    buf_init(&one);
    put_open(&one, NULL, '{');
    put_text(&one, "code", nx_reason_name(code));
    put_text(&one, "text", text);
    put_close(&one, '}');
    buf_add(buf, one.data, one.len);
    buf_fini(&one);
}

static bool finish_patches(struct job *job, struct query *query, struct nx_err *err)
{
    struct filling *filling = job->data;
    size_t from = 0;
    (void)query;
    (void)err;
    for (size_t i = 0; i < filling->n; i++) {
        const struct patch *patch = &filling->patches[i];
        buf_add(&job->body, filling->body + from, patch->at - from);
        from = patch->at + strlen("null");
        if (!patch->reason)
            put_progress(&job->body, &filling->progress[i]);
        else if (filling->why[i].code)
            put_why(&job->body, filling->why[i].code, filling->why[i].text);
        else
            put_why(&job->body, patch->stored, shape_reason_text(patch->stored));
    }
    buf_add(&job->body, filling->body + from, filling->n_body - from);
    return true;
}

bool job_fill(struct call *call, struct nx_err *err)
{
    struct job *job = job_new(call);
    struct filling *filling = arena_alloc(&job->arena, sizeof *filling);
    size_t n = call->patches.n, n_reasons = 0;
    for (size_t i = 0; i < n; i++)
        n_reasons += call->patches.at[i].reason;
    filling->n = n;
    filling->patches = arena_dup(&job->arena, call->patches.at, n * sizeof *filling->patches);
    filling->progress = arena_array(&job->arena, n, sizeof *filling->progress);
    filling->why = n_reasons ? arena_array(&job->arena, n, sizeof *filling->why) : NULL;
    filling->body = arena_dup(&job->arena, call->body.data, call->body.len);
    filling->n_body = call->body.len;
    job->data = filling;
    job->revision = call->revision ? arena_strdup(&job->arena, call->revision) : NULL;
    job->look = look_for_patches;
    job->finish = finish_patches;
    return job_look(call, job, err);
}
