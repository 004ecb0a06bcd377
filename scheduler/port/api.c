#include "scheduler/port/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/port/api_auth.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/rows.h"

#define FOLLOW_EVERY_MS 100 /* a log that is followed is looked at */
#define EVENTS_EVERY_MS 20  /* streams are woken at most so often */
#define WAKE_AT_ONCE 4      /* of them, then a pause: with 200 streams each is woken every 100 ms */
#define WAKE_PAUSE_MS 2
#define LOOK_EVERY_MS 2500 /* at all streams: for keep-alives and clients that have gone */

/* ---- Answers ---- */

void call_error(struct http_reply *reply, const struct nx_err *err, int status, const char *code,
                const char *details)
{
    const struct nx_code_info *info = nx_code_info(err->code);
    struct buf buf;
    buf_init(&buf);
    put_open(&buf, NULL, '{');
    put_open(&buf, "error", '{');
    put_text(&buf, "code", code ? code : info->name);
    put_text(&buf, "message", err->text);
    put_raw(&buf, "details", details);
    put_close(&buf, '}');
    put_close(&buf, '}');
    buf_char(&buf, '\n');
    *reply = (struct http_reply){.status = status ? status : info->http_status};
    reply->body = buf_take(&buf, &reply->n_body);
}

void call_respond(struct call *call, const struct http_reply *reply)
{
    must(!call->done);
    call->done = true;
    count_answer(call->api, call->route, reply->status);
    http_respond(call->request, reply);
}

static void answer(struct call *call, bool ok, const struct nx_err *err)
{
    struct http_reply reply = {.status = call->status ? call->status : 200,
                               .content_type = call->content_type,
                               .revision = call->revision};
    if (ok)
        reply.body = buf_take(&call->body, &reply.n_body);
    else
        call_error(&reply, err, call->status, call->code, call->details);
    reply.headers = call->headers;
    call_respond(call, &reply);
}

static enum http_verdict handle(struct http_request *request, void *arg)
{
    struct nx_err err = {0};
    struct call call = {.api = arg, .request = request, .arena = http_arena(request)};
    buf_init(&call.body);
    bool ok = false;
    call.route = route_find(&call, &err);
    if (call.route)
        ok = auth_check(&call, &err) && call.route->handle(&call, &err);
    if (ok && !call.done && call.patches.n)
        ok = job_fill(&call, &err);
    query_end(call.query);
    if (!call.done)
        answer(&call, ok, &err);
    buf_fini(&call.body);
    vec_fini(&call.patches);
    return call.handed_over ? HTTP_LATER : HTTP_ANSWERED;
}

bool call_query(struct call *call, struct nx_err *err)
{
    if (!call->query)
        call->query = query_begin(call->api->pool, err);
    return call->query != NULL;
}

/* ---- What a request says ---- */

static bool is_texts(const json_t *value)
{
    const json_t *item;
    size_t i;
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(value);
}

static bool is_type(const json_t *value, enum param_type type)
{
    switch (type) {
    case PARAM_TEXT:
        return json_is_string(value);
    case PARAM_INT:
        return json_is_integer(value);
    case PARAM_BOOL:
        return json_is_boolean(value);
    case PARAM_OBJECT:
        return json_is_object(value);
    case PARAM_TEXTS:
        return is_texts(value);
    case PARAM_ANY:
        return true;
    }
    return false;
}

#define WHOLE_MAX 9007199254740992.0 /* 2^53: a double holds every whole number up to it */

/* 7.0 is an integer too. */
static bool is_whole(const json_t *value)
{
    double v = json_is_real(value) ? json_real_value(value) : 0.5;
    return v >= -WHOLE_MAX && v <= WHOLE_MAX && (double)(int64_t)v == v;
}

static bool check_member(const struct route_param *known, const char *key, const json_t *value,
                         struct nx_err *err)
{
    static const char *const types[] = {"a string",  "an integer",        "true or false",
                                        "an object", "a list of strings", "any value"};
    const char *names[16];
    size_t n = 0;
    for (; known && known->name; known++) {
        names[n++] = known->name;
        if (!str_eq(known->name, key))
            continue;
        if (json_is_null(value) || is_type(value, known->type) ||
            (known->type == PARAM_INT && is_whole(value)))
            return true;
        bool item = known->type == PARAM_TEXTS && json_is_array(value);
        return nx_fail(err, NX_E_INVALID, "'%s' must be %s, not %s", key, types[known->type],
                       item ? "of other values" : js_type_name(value));
    }
    const char *nearest = str_nearest(key, names, n);
    return nx_fail(err, NX_E_INVALID, "the body has an unknown key '%.64s'%s%s%s", key,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static void make_integers(const struct route_param *known, json_t *body)
{
    for (; known && known->name; known++) {
        const json_t *value = json_object_get(body, known->name);
        if (known->type == PARAM_INT && json_is_real(value))
            json_object_set_new(body, known->name, json_integer((int64_t)json_real_value(value)));
    }
}

bool call_json(struct call *call, json_t **json, struct nx_err *err)
{
    size_t n;
    const char *key, *text = http_body(call->request, &n);
    json_t *value, *body = n ? js_read(text, n, "the body", err) : json_object();
    if (!body)
        return false;
    bool ok = json_is_object(body) ||
              nx_fail(err, NX_E_INVALID, "the body must be an object, not %s", js_type_name(body));
    json_object_foreach(body, key, value)
    {
        ok = ok && check_member(call->route->body, key, value, err);
    }
    if (ok)
        make_integers(call->route->body, body);
    if (ok)
        *json = body;
    else
        json_decref(body);
    return ok;
}

bool call_limit(struct call *call, size_t fallback, size_t *limit, struct nx_err *err)
{
    const char *text = http_query(call->request, "limit");
    int64_t n = (int64_t)fallback;
    if (text && (!str_parse_int(text, &n) || n < 1 || n > NX_PAGE_MAX))
        return nx_fail(err, NX_E_INVALID, "limit must be 1 to %d, not '%.32s'", NX_PAGE_MAX, text);
    *limit = (size_t)n;
    return true;
}

bool call_cursor(struct call *call, int64_t *cursor, struct nx_err *err)
{
    const char *text = http_query(call->request, "cursor");
    int64_t n = 0;
    if (text && (!str_parse_int(text, &n) || n < 0 || n > UINT32_MAX * (int64_t)1000000))
        return nx_fail(err, NX_E_INVALID, "'%.32s' is no cursor of this list", text);
    *cursor = n;
    return true;
}

bool call_sort(struct call *call, const char *const *names, size_t *found, struct nx_err *err)
{
    const char *text = http_query(call->request, "sort");
    struct buf all = {0};
    *found = 0;
    if (!text)
        return true;
    for (; names[*found]; ++*found) {
        if (str_eq(names[*found], text)) {
            buf_fini(&all);
            return true;
        }
        buf_printf(&all, "%s%s", *found ? ", " : "", names[*found]);
    }
    nx_fail(err, NX_E_INVALID, "this list is sorted by one of %s, not '%.32s'", buf_text(&all),
            text);
    buf_fini(&all);
    return false;
}

bool call_flag(struct call *call, const char *name, bool *flag, struct nx_err *err)
{
    const char *text = http_query(call->request, name);
    *flag = text && (str_eq(text, "true") || str_eq(text, "1") || !*text);
    if (text && !*flag && !str_eq(text, "false") && !str_eq(text, "0"))
        return nx_fail(err, NX_E_INVALID, "%s must be true or false, not '%.32s'", name, text);
    return true;
}

/* ---- The API's thread ---- */

static void add_stream(struct call *call, bool follows)
{
    struct api *api = call->api;
    struct stream stream = {http_token_of(call->request), follows};
    pthread_mutex_lock(&api->lock);
    vec_push(&api->streams, stream);
    api->n_follows += follows;
    pthread_cond_signal(&api->changed);
    pthread_mutex_unlock(&api->lock);
}

void call_stream(struct call *call, struct http_reply *reply, bool follows)
{
    auth_guard(call, reply);
    add_stream(call, follows);
    call_respond(call, reply);
}

void api_take_job(struct job *job)
{
    struct api *api = job->api;
    pthread_mutex_lock(&api->lock);
    bool stopped = api->stopped;
    if (!stopped) {
        job->next = NULL;
        *api->last_job = job;
        api->last_job = &job->next;
        pthread_cond_signal(&api->changed);
    }
    pthread_mutex_unlock(&api->lock);
    if (stopped) /* its client has been told so by the server */
        job_free(job);
}

/* A round through the streams: some at a time, so that they do not take all processors at once from
 * those who decide. */
struct round {
    bool under_way, all; /* all: not only those that follow a log */
    size_t at;           /* the next stream */
    int64_t begun_ms, next_ms, looked_ms;
};

/* With the lock held. Streams that have ended are forgotten. */
static void wake_some(struct api *api, struct round *round, int64_t now)
{
    for (int n = 0; n < WAKE_AT_ONCE && round->at < api->streams.n;) {
        struct stream *stream = &api->streams.at[round->at];
        if (!round->all && !stream->follows) {
            round->at++;
            continue;
        }
        n++;
        if (http_wake(api->server, stream->token)) {
            round->at++;
            continue;
        }
        api->n_follows -= stream->follows;
        *stream = vec_pop(&api->streams);
    }
    round->under_way = round->at < api->streams.n;
    round->next_ms = now + WAKE_PAUSE_MS;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* With the lock held: wakes those whose time has come. When to look again. */
static int64_t go_round(struct api *api, struct round *round, int64_t now)
{
    if (!round->under_way) {
        bool tick = now >= round->looked_ms + LOOK_EVERY_MS;
        bool all = tick || (api->fresh_events && now >= round->begun_ms + EVENTS_EVERY_MS);
        if (all || (api->n_follows && now >= round->begun_ms + FOLLOW_EVERY_MS)) {
            *round = (struct round){true, all, 0, now, now, tick ? now : round->looked_ms};
            api->fresh_events = api->fresh_events && !all;
        }
    }
    if (round->under_way && now >= round->next_ms)
        wake_some(api, round, now);
    if (round->under_way)
        return round->next_ms;
    int64_t until = round->looked_ms + LOOK_EVERY_MS;
    if (api->n_follows)
        until = min_of(until, round->begun_ms + FOLLOW_EVERY_MS);
    if (api->fresh_events)
        until = min_of(until, round->begun_ms + EVENTS_EVERY_MS);
    return until;
}

static void wait_for_work(struct api *api, int64_t until_ms)
{
    struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_cond_timedwait(&api->changed, &api->lock, &at);
}

static void *serve(void *arg)
{
    struct api *api = arg;
    struct round round = {.looked_ms = clock_mono_ms()};
    pthread_mutex_lock(&api->lock);
    while (!api->stopped) {
        int64_t until_ms = go_round(api, &round, clock_mono_ms());
        struct job *job = api->jobs;
        if (!job) {
            wait_for_work(api, until_ms);
            continue;
        }
        api->jobs = job->next;
        if (!api->jobs)
            api->last_job = &api->jobs;
        pthread_mutex_unlock(&api->lock);
        job_finish(job);
        pthread_mutex_lock(&api->lock);
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

/* ---- Life ---- */

static void init_lock(struct api *api)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&api->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&api->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&api->worked, NULL);
}

/* As texts: several threads read them. Of secrets the names alone. */
static void keep_fixed(struct api *api, const struct api_config *config)
{
    for (int kind = 0; kind < KEPT_KINDS; kind++) {
        const char *name;
        json_t *value,
            *fixed = config->fixed[kind] ? json_loads(config->fixed[kind], 0, NULL) : NULL;
        map_init(&api->fixed[kind]);
        json_object_foreach(fixed, name, value)
            map_set(&api->fixed[kind], name,
                    kind == KEPT_SECRET ? mem_strdup("")
                    : kind == KEPT_CONN ? mem_strdup(json_string_value(value))
                                        : js_text(value));
        json_decref(fixed);
    }
}

static void free_api(struct api *api)
{
    for (int kind = 0; kind < KEPT_KINDS; kind++) {
        for (size_t i = 0; i < api->fixed[kind].n; i++)
            mem_free(api->fixed[kind].at[i].value);
        map_fini(&api->fixed[kind]);
    }
    query_pool_free(api->pool);
    zones_free(api->zones);
    events_free(api->events);
    artifact_close(api->artifacts);
    rows_free(api->rows);
    vec_fini(&api->streams);
    pthread_cond_destroy(&api->worked);
    pthread_cond_destroy(&api->changed);
    pthread_mutex_destroy(&api->lock);
    mem_free(api);
}

bool api_is_ending(void *arg)
{
    struct api *api = arg;
    return atomic_load(&api->ending);
}

static bool open_artifacts(struct api *api, struct nx_err *err)
{
    char root[PATH_MAX_BYTES];
    api->rows = rows_new(api_is_ending, api);
    if (!path_join(root, sizeof root, api->home, "artifacts"))
        return nx_fail(err, NX_E_LIMIT, "the path %s is too long", api->home);
    return artifact_open(root, &api->artifacts, err);
}

bool api_open(const struct api_config *config, struct api **out, struct nx_err *err)
{
    struct api *api = mem_alloc(sizeof *api);
    char path[PATH_MAX_BYTES + 16];
    const char *names[] = {config->public_host, NULL};
    const struct http_config http = {.host = config->host,
                                     .port = config->port,
                                     .any_address = config->auth,
                                     .names = names,
                                     .handler = handle,
                                     .arg = api};
    must(str_copy(api->home, sizeof api->home, config->home));
    must(str_copy(api->dags, sizeof api->dags, config->dags ? config->dags : ""));
    snprintf(path, sizeof path, "%s/nexus.db", api->home);
    json_object_seed(0); /* before threads make objects */
    api->retention = config->retention;
    api->opened_wall_ms = clock_wall_ms();
    api->opened_steady_ms = clock_steady_ms();
    must(path_join(api->key_path, sizeof api->key_path, api->home,
                   config->key_file ? config->key_file : KEPT_KEY_FILE));
    keep_fixed(api, config);
    api->inbox = config->inbox;
    api->tokens = config->tokens;
    api->workers_host = config->workers_host;
    api->workers_port = config->workers_port;
    api->certificate = config->certificate;
    api->settings = config->settings;
    api->started_ms = config->started_ms;
    api->pool = query_pool_new(path, NX_QUERY_MS);
    api->zones = zones_new();
    api->events = events_new(config->started_ms);
    api->last_job = &api->jobs;
    api->last_waiting = &api->waiting;
    init_lock(api);
    if (!open_artifacts(api, err) || !auth_open(api, config, err) ||
        !http_open(&http, &api->server, err)) {
        free_api(api);
        return false;
    }
    must(pthread_create(&api->thread, NULL, serve, api) == 0);
    *out = api;
    return true;
}

uint16_t api_port(const struct api *api)
{
    return http_port(api->server);
}

void api_committed(struct api *api, const struct core *core, const struct core_update *update,
                   uint64_t number, int64_t us)
{
    histogram_add(&api->commits, us);
    for (size_t i = 0; i < update->runs.n; i++) {
        struct core_run_row row;
        if (core_get_run(core, update->runs.at[i], &row) && nx_run_state_final(row.state))
            atomic_fetch_add(&api->ended[row.state], 1);
    }
    if (!events_add(api->events, core, update, number))
        return;
    pthread_mutex_lock(&api->lock);
    if (!api->fresh_events)
        pthread_cond_signal(&api->changed);
    api->fresh_events = true;
    pthread_mutex_unlock(&api->lock);
}

void api_set_ready(struct api *api)
{
    atomic_store(&api->ready, true);
}

void api_stop(struct api *api)
{
    pthread_mutex_lock(&api->lock);
    bool first = !api->stopped;
    api->stopped = true;
    pthread_cond_signal(&api->changed);
    pthread_mutex_unlock(&api->lock);
    if (!first)
        return;
    pthread_join(api->thread, NULL);
    http_stop(api->server);
    job_end_works(api);
    rows_end(api->rows);
    while (api->jobs) {
        struct job *next = api->jobs->next;
        job_free(api->jobs);
        api->jobs = next;
    }
}

void api_close(struct api *api)
{
    if (!api)
        return;
    api_stop(api);
    http_close(api->server);
    free_api(api);
}
