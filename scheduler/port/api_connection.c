/* A connection is tried: from here, on a thread of its own. */
#include "lib/base/clock.h"
#include "lib/net/reach.h"
#include "lib/text/conn.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/store/seal.h"

#define TEST_MS 10000

struct trial {
    const char *name, *uri;
    struct conn conn;
    bool ok;
    const char *said;
    struct nx_err err;
    int64_t took_ms;
};

static void try_it(struct job *job)
{
    struct trial *trial = job->data;
    const struct reach_bounds bounds = {TEST_MS, api_is_ending, job->api};
    int64_t began = clock_mono_ms();
    trial->ok = reach_try(&trial->conn, &bounds, &job->arena, &trial->said, &trial->err);
    trial->took_ms = clock_mono_ms() - began;
}

static bool finish_trial(struct job *job, struct query *query, struct nx_err *err)
{
    const struct trial *trial = job->data;
    (void)query, (void)err;
    put_open(&job->body, NULL, '{');
    put_text(&job->body, "name", trial->name);
    put_text(&job->body, "uri", conn_shown(&trial->conn, &job->arena));
    put_bool(&job->body, "ok", trial->ok);
    put_text(&job->body, "said", trial->ok ? trial->said : NULL);
    put_text(&job->body, "error", trial->ok ? NULL : trial->err.text);
    put_number(&job->body, "took", (double)trial->took_ms / 1000);
    put_close(&job->body, '}');
    return true;
}

/* The URI of a connection, wherever it was set. */
static bool find_uri(struct call *call, const char *name, struct buf *uri, struct nx_err *err)
{
    const char *fixed = map_get(&call->api->fixed[KEPT_CONN], name);
    if (fixed) {
        buf_str(uri, fixed);
        return true;
    }
    return call_query(call, err) &&
           seal_find(call->query, call->api->key_path, KEPT_CONN, name, uri, err);
}

bool handle_test_connection(struct call *call, struct nx_err *err)
{
    struct buf uri;
    struct job *job = job_new(call);
    struct trial *trial = arena_alloc(&job->arena, sizeof *trial);
    buf_init(&uri);
    trial->name = arena_strdup(&job->arena, call->params[0]);
    bool ok = find_uri(call, trial->name, &uri, err);
    trial->uri = arena_strdup(&job->arena, buf_text(&uri));
    buf_fini(&uri);
    ok = ok && conn_read(trial->uri, &job->arena, &trial->conn, err);
    if (!ok) {
        job_free(job);
        return false;
    }
    job->data = trial;
    job->work = try_it;
    job->finish = finish_trial;
    return job_work(call, job, err);
}
