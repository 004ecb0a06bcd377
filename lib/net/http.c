/* The HTTP server: a request's way through libmicrohttpd, and answers from other threads.
 *
 * Locking: the server's lock is held around every decision to suspend or resume a connection, so
 * an answer or a wake-up that comes before the suspension is seen by it. Under the lock only the
 * library is called (it never calls back from there), never a handler, produce or done. */
#include "lib/net/http_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"

/* A refused body up to this size is read to its end, so that the client sees the answer and not a
 * reset connection. */
#define DRAIN_MAX (64ull * 1024 * 1024)

/* ---- Beginning and end ---- */

void *http_begin(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = arg;
    struct http_request *request = mem_alloc(sizeof *request);
    request->server = server;
    request->connection = connection;
    arena_init(&request->arena);
    buf_init(&request->body);
    http_parse_uri(request, uri);
    pthread_mutex_lock(&server->lock);
    server->n_open++;
    server->counts.requests++;
    pthread_mutex_unlock(&server->lock);
    return request;
}

void http_end(void *arg, struct MHD_Connection *connection, void **context,
              enum MHD_RequestTerminationCode why)
{
    struct http_server *server = arg;
    struct http_request *request = *context;
    (void)connection;
    (void)why;
    if (!request)
        return;
    *context = NULL;
    pthread_mutex_lock(&server->lock);
    if (request->token)
        map_remove_num(&server->by_token, request->token);
    if (request->stream)
        server->counts.streams--;
    server->n_open--;
    pthread_cond_broadcast(&server->ended);
    pthread_mutex_unlock(&server->lock);
    must(request->phase != HTTP_WAITS);
    if (request->response) /* the connection broke between an answer and its being sent */
        MHD_destroy_response(request->response);
    buf_fini(&request->body);
    vec_fini(&request->segments);
    vec_fini(&request->queries);
    arena_fini(&request->arena);
    mem_free(request);
}

/* ---- Answers ---- */

/* What failed has a name by which people can ask; of what broke here the log says more. */
static void name_failure(struct http_request *request, const struct http_reply *reply)
{
    struct http_server *server = request->server;
    char id[40];
    if (reply->status < 400)
        return;
    snprintf(id, sizeof id, "%llx-%llu", (unsigned long long)server->opened_ms,
             (unsigned long long)++server->n_failed);
    MHD_add_response_header(request->response, "X-Request-Id", id);
    if (reply->status == 500)
        log_error("request %s: %s %s: %.*s", id, request->method, request->path,
                  reply->body ? (int)reply->n_body : 0, reply->body ? reply->body : "");
}

/* With the lock held: from now on there is a response. */
static void set_response(struct http_request *request, const struct http_reply *reply)
{
    must(request->phase != HTTP_RESPONDED);
    struct http_stream *stream = NULL;
    request->response = http_make_response(reply, &stream);
    request->status = reply->status;
    name_failure(request, reply);
    if (stream) {
        stream->request = request;
        request->stream = stream;
        request->server->counts.streams++;
    }
    if (request->phase == HTTP_WAITS)
        request->server->counts.waiting--;
    request->phase = HTTP_RESPONDED;
}

static uint64_t token_of(struct http_request *request)
{
    struct http_server *server = request->server;
    if (!request->token) {
        request->token = ++server->next_token;
        map_set_num(&server->by_token, request->token, request);
    }
    return request->token;
}

struct http_token http_token_of(struct http_request *request)
{
    pthread_mutex_lock(&request->server->lock);
    struct http_token token = {token_of(request)};
    pthread_mutex_unlock(&request->server->lock);
    return token;
}

void http_respond(struct http_request *request, const struct http_reply *reply)
{
    struct http_reply wanted = *reply;
    struct http_packed packed;
    http_pack(&request->wishes, &wanted, &packed);
    pthread_mutex_lock(&request->server->lock);
    set_response(request, &wanted);
    if (request->stream)
        token_of(request);
    pthread_mutex_unlock(&request->server->lock);
}

bool http_answer(struct http_server *server, struct http_token token,
                 const struct http_reply *reply)
{
    struct http_reply sent = *reply;
    struct http_wishes wishes = {0};
    struct http_packed packed;
    pthread_mutex_lock(&server->lock);
    struct http_request *request = map_get_num(&server->by_token, token.v);
    if (request)
        wishes = request->wishes;
    pthread_mutex_unlock(&server->lock);
    http_pack(&wishes, &sent, &packed);
    pthread_mutex_lock(&server->lock);
    request = map_get_num(&server->by_token, token.v); /* its client may have gone */
    bool wanted = request && request->phase != HTTP_RESPONDED;
    if (wanted) {
        bool waits = request->phase == HTTP_WAITS;
        set_response(request, &sent);
        if (waits)
            MHD_resume_connection(request->connection);
    }
    pthread_mutex_unlock(&server->lock);
    if (!wanted)
        http_drop_reply(&sent);
    return wanted;
}

static enum MHD_Result hand_over(struct http_request *request)
{
    /* A stream may end and free itself as soon as it is queued: nothing of it is used after. */
    struct MHD_Response *response = request->response;
    request->response = NULL;
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_error(struct http_request *request, int status,
                                    const struct nx_err *err)
{
    struct http_reply reply;
    http_reply_error(&reply, err);
    reply.status = status;
    pthread_mutex_lock(&request->server->lock);
    if (request->phase != HTTP_RESPONDED) {
        set_response(request, &reply);
        reply.body = NULL;
    }
    pthread_mutex_unlock(&request->server->lock);
    mem_free(reply.body);
    return hand_over(request);
}

static enum MHD_Result refuse_now(struct http_request *request)
{
    pthread_mutex_lock(&request->server->lock);
    request->server->counts.refused++;
    pthread_mutex_unlock(&request->server->lock);
    return answer_error(request, request->refused_status, &request->refusal);
}

static void stopping_error(struct nx_err *err)
{
    nx_fail(err, NX_E_BUSY, "the server is stopping");
}

/* ---- Streams ---- */

/* A suspended connection is not watched by the library. */
static bool client_has_gone(struct http_request *request)
{
    char c;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info)
        return true;
    ssize_t n = recv(info->connect_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

ssize_t http_stream_read(void *arg, uint64_t position, char *to, size_t max)
{
    struct http_stream *stream = arg;
    struct http_server *server = stream->request->server;
    (void)position;
    for (;;) {
        pthread_mutex_lock(&server->lock);
        stream->woken = false;
        bool stopping = server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (stopping)
            return MHD_CONTENT_READER_END_OF_STREAM;
        ssize_t n = stream->produce(stream->arg, to, max);
        must(n <= (ssize_t)max);
        if (n > 0)
            return n;
        if (n < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (client_has_gone(stream->request))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        pthread_mutex_lock(&server->lock);
        bool wait = !stream->woken && !server->stopping;
        if (wait) {
            stream->suspended = true;
            MHD_suspend_connection(stream->request->connection);
        }
        pthread_mutex_unlock(&server->lock);
        if (wait)
            return 0;
    }
}

/* With the lock held. */
static void wake(struct http_request *request)
{
    struct http_stream *stream = request->stream;
    if (!stream)
        return;
    stream->woken = true;
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(request->connection);
    }
}

bool http_wake(struct http_server *server, struct http_token token)
{
    pthread_mutex_lock(&server->lock);
    struct http_request *request = map_get_num(&server->by_token, token.v);
    if (request)
        wake(request);
    pthread_mutex_unlock(&server->lock);
    return request != NULL;
}

void http_wake_all(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->by_token.n; i++)
        wake(server->by_token.at[i].value);
    pthread_mutex_unlock(&server->lock);
}

/* ---- A request's steps, called by the library ---- */

static enum MHD_Result look_at_headers(struct http_request *request, const char *method)
{
    request->method = arena_strdup(&request->arena, method);
    request->phase = HTTP_RECEIVES;
    http_check_headers(request);
    http_read_wishes(request);
    if (!request->refused_status)
        return MHD_YES;
    const char *length = http_header(request, "Content-Length");
    const char *expect = http_header(request, "Expect");
    int64_t n;
    bool long_body = length && (!str_parse_int(length, &n) || n < 0 || (uint64_t)n > DRAIN_MAX);
    if (expect || long_body)
        return refuse_now(request);
    return MHD_YES;
}

static enum MHD_Result take_body(struct http_request *request, const char *data, size_t n)
{
    size_t max = request->server->body_max;
    request->n_received += n;
    if (request->n_received > max) {
        http_refuse(request, 413, NX_E_LIMIT, "the body has more than %zu bytes", max);
        buf_fini(&request->body);
        return request->n_received > DRAIN_MAX ? MHD_NO : MHD_YES;
    }
    if (!request->refused_status)
        buf_add(&request->body, data, n);
    return MHD_YES;
}

static enum MHD_Result handle(struct http_request *request)
{
    struct http_server *server = request->server;
    struct nx_err err;
    http_check_body(request);
    if (request->refused_status)
        return refuse_now(request);
    pthread_mutex_lock(&server->lock);
    bool stopping = server->stopping;
    request->phase = HTTP_HANDLED;
    pthread_mutex_unlock(&server->lock);
    stopping_error(&err);
    if (stopping)
        return answer_error(request, 503, &err);

    enum http_verdict verdict = server->handler(request, server->arg);

    pthread_mutex_lock(&server->lock);
    bool ready = request->phase == HTTP_RESPONDED;
    stopping = server->stopping;
    if (!ready && !stopping) {
        must(verdict == HTTP_LATER && request->token);
        request->phase = HTTP_WAITS;
        server->counts.waiting++;
        MHD_suspend_connection(request->connection);
    }
    pthread_mutex_unlock(&server->lock);
    if (ready)
        return hand_over(request);
    return stopping ? answer_error(request, 503, &err) : MHD_YES;
}

enum MHD_Result http_access(void *arg, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *n_data, void **context)
{
    struct http_request *request = *context;
    (void)arg;
    (void)connection;
    (void)url;
    (void)version;
    pthread_mutex_lock(&request->server->lock);
    enum http_phase phase = request->phase;
    pthread_mutex_unlock(&request->server->lock);
    if (phase == HTTP_NEW)
        return look_at_headers(request, method);
    if (*n_data) {
        size_t n = *n_data;
        *n_data = 0;
        return take_body(request, data, n);
    }
    if (phase == HTTP_RESPONDED)
        return hand_over(request);
    return handle(request);
}

/* ---- Stopping ---- */

/* Ends what waits, then gives the answers half a second to leave. */
static void end_all(struct http_server *server)
{
    struct timespec until;
    struct http_reply reply;
    struct nx_err err;
    int64_t until_ms = clock_mono_ms() + 500;
    until.tv_sec = until_ms / 1000;
    until.tv_nsec = until_ms % 1000 * 1000000;
    stopping_error(&err);
    for (size_t i = 0; i < server->by_token.n; i++) {
        struct http_request *request = server->by_token.at[i].value;
        wake(request);
        if (request->phase != HTTP_WAITS)
            continue;
        http_reply_error(&reply, &err);
        set_response(request, &reply);
        MHD_resume_connection(request->connection);
    }
    while (server->n_open &&
           pthread_cond_timedwait(&server->ended, &server->lock, &until) != ETIMEDOUT)
        continue;
}

void http_stop(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool first = !server->stopping;
    server->stopping = true;
    if (first)
        end_all(server);
    pthread_mutex_unlock(&server->lock);
    if (!first)
        return;
    MHD_stop_daemon(server->daemon);
}

void http_close(struct http_server *server)
{
    if (!server)
        return;
    http_stop(server);
    must(server->n_open == 0);
    map_fini(&server->by_token);
    for (size_t i = 0; i < server->n_names; i++)
        mem_free(server->names[i]);
    for (size_t i = 0; i < server->n_raw_paths; i++)
        mem_free(server->raw_paths[i]);
    mem_free(server->names);
    mem_free(server->raw_paths);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->ended);
    mem_free(server);
}
