/* The server's end of the link. */
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/net/link.h"
#include "lib/net/link_conn.h"
#include "lib/net/link_tls.h"

#define ACCEPT_AGAIN_MS 50
#define WATCH_EVERY_MS 1000
#define LEAVING_MAX 64 /* connections that are closed and have not gone yet */

struct context {
    struct link_conn *conn; /* who asked; NULL: has gone */
    uint64_t id;
    bool asked; /* the owner has a request to answer */
};

struct link_server {
    nng_stream_listener *listener;
    nng_aio *acceptor;
    nng_aio *watcher; /* closes what is idle; NULL without TLS */
    unsigned port;
    link_on_request *on_request;
    link_is_known *is_known; /* NULL without TLS */
    void *arg;
    pthread_mutex_t lock; /* what follows */
    bool closing, sleeps;
    struct context *contexts;
    unsigned n_contexts;
    VEC(unsigned) idle;            /* contexts without a request */
    VEC(struct link_conn *) conns; /* all, also the unused */
    VEC(struct link_conn *) unused;
    VEC(struct link_conn *) waiting; /* paused until a context is idle; the first came first */
};

/* ---- Requests and replies ---- */

static bool on_frame(struct link_conn *conn, uint64_t id, const void *bytes, size_t n)
{
    struct link_server *server = conn->owner;
    pthread_mutex_lock(&server->lock);
    if (server->closing || conn->closed) {
        pthread_mutex_unlock(&server->lock);
        return true;
    }
    if (!server->idle.n) {
        link_conn_pause(conn);
        vec_push(&server->waiting, conn);
        pthread_mutex_unlock(&server->lock);
        return false;
    }
    unsigned i = vec_pop(&server->idle);
    server->contexts[i] = (struct context){.conn = conn, .id = id, .asked = true};
    pthread_mutex_unlock(&server->lock);
    server->on_request(server->arg, i, bytes, n);
    return true;
}

static void remove_waiting(struct link_server *server, size_t at)
{
    for (size_t i = at + 1; i < server->waiting.n; i++)
        server->waiting.at[i - 1] = server->waiting.at[i];
    server->waiting.n--;
}

void link_reply(struct link_server *server, unsigned context, const void *bytes, size_t n)
{
    must(context < server->n_contexts);
    pthread_mutex_lock(&server->lock);
    struct context *c = &server->contexts[context];
    struct link_conn *conn = c->conn;
    must(c->asked);
    bool idle = conn && link_conn_queue(conn, c->id, bytes, n);
    *c = (struct context){0};
    vec_push(&server->idle, context);
    if (server->waiting.n && !server->closing) {
        struct link_conn *first = server->waiting.at[0];
        remove_waiting(server, 0);
        link_conn_resume(first);
    }
    pthread_mutex_unlock(&server->lock);
    if (conn)
        link_conn_flush(conn, idle);
}

void link_release(struct link_server *server, unsigned context)
{
    link_reply(server, context, NULL, 0);
}

/* ---- Strangers ---- */

static bool ask_owner(struct link_conn *conn, const void *bytes, size_t n)
{
    struct link_server *server = conn->owner;
    return server->is_known(server->arg, bytes, n);
}

void link_disown(struct link_server *server, unsigned context)
{
    pthread_mutex_lock(&server->lock);
    struct link_conn *conn = server->contexts[context].conn;
    if (conn && conn->known && server->is_known) {
        conn->known = false;
        conn->strange_ms = clock_mono_ms();
    }
    pthread_mutex_unlock(&server->lock);
}

static bool is_stranger(const struct link_conn *conn)
{
    return conn->stream && !conn->closed && !conn->known;
}

/* How many strangers come from where this one comes from. */
static size_t count_beside(const struct link_server *server, const struct link_conn *conn)
{
    size_t n = 0;
    for (size_t i = 0; i < server->conns.n; i++) {
        const struct link_conn *other = server->conns.at[i];
        n += is_stranger(other) && str_eq(other->peer, conn->peer);
    }
    return n;
}

/* When there are too many: the one that has to go, or NULL. With the lock held. */
static struct link_conn *find_surplus(struct link_server *server)
{
    struct link_conn *first = NULL;
    size_t n = 0, most = 0;
    for (size_t i = 0; i < server->conns.n; i++)
        n += is_stranger(server->conns.at[i]);
    for (size_t i = 0; i < server->conns.n && n > LINK_STRANGERS_MAX; i++) {
        struct link_conn *conn = server->conns.at[i];
        size_t beside = is_stranger(conn) ? count_beside(server, conn) : 0;
        if (beside < most || !beside)
            continue;
        if (beside > most || conn->strange_ms < first->strange_ms)
            first = conn;
        most = beside;
    }
    return first;
}

/* ---- Connections ---- */

static void on_gone(struct link_conn *conn)
{
    struct link_server *server = conn->owner;
    for (unsigned i = 0; i < server->n_contexts; i++) {
        if (server->contexts[i].conn == conn)
            server->contexts[i].conn = NULL;
    }
    for (size_t i = server->waiting.n; i-- > 0;) {
        if (server->waiting.at[i] == conn)
            remove_waiting(server, i);
    }
    vec_push(&server->unused, conn);
}

/* A connection that is not in use, or NULL. With the lock held. */
static struct link_conn *find_unused(struct link_server *server)
{
    if (server->unused.n)
        return vec_pop(&server->unused);
    size_t n_max = server->n_contexts;
    if (server->is_known)
        n_max += LINK_STRANGERS_MAX + LEAVING_MAX;
    if (server->conns.n >= n_max)
        return NULL;
    struct link_conn *conn = mem_alloc(sizeof *conn);
    conn->on_frame = on_frame;
    conn->on_gone = on_gone;
    conn->is_known = server->is_known ? ask_owner : NULL;
    vec_push(&server->conns, conn);
    if (link_conn_init(conn, &server->lock, server, NULL))
        return conn;
    return NULL; /* no memory; freed with the server */
}

static void take_connection(struct link_server *server, nng_stream *stream)
{
    struct link_conn *surplus = NULL;
    char peer[LINK_PEER_MAX] = "";
    if (server->is_known)
        link_tls_network(stream, peer);
    pthread_mutex_lock(&server->lock);
    struct link_conn *conn = server->closing ? NULL : find_unused(server);
    if (conn) {
        str_copy(conn->peer, sizeof conn->peer, peer);
        link_conn_start(conn, stream);
        surplus = server->is_known ? find_surplus(server) : NULL;
    }
    pthread_mutex_unlock(&server->lock);
    if (surplus && surplus != conn)
        link_conn_shut(surplus); /* one that is another's by now dials again */
    if (conn)
        link_conn_receive(conn);
    else
        nng_stream_free(stream); /* it dials again */
}

static void on_accept(void *arg)
{
    struct link_server *server = arg;
    int rv = nng_aio_result(server->acceptor);
    if (rv == 0 && !server->sleeps)
        take_connection(server, nng_aio_get_output(server->acceptor, 0));
    if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
        return;
    /* Too many open files, say: not again at once. */
    server->sleeps = rv != 0;
    if (rv != 0)
        nng_sleep_aio(ACCEPT_AGAIN_MS, server->acceptor);
    else
        nng_stream_listener_accept(server->listener, server->acceptor);
}

/* A peer that is alive reports every second; a stranger has said by then who it is. */
static void on_watch(void *arg)
{
    struct link_server *server = arg;
    if (nng_aio_result(server->watcher) != 0)
        return;
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0;; i++) {
        struct link_conn *idle = NULL;
        pthread_mutex_lock(&server->lock);
        bool more = i < server->conns.n && !server->closing;
        struct link_conn *conn = more ? server->conns.at[i] : NULL;
        if (more && conn->stream &&
            (now_ms - conn->heard_ms > LINK_IDLE_MS ||
             (!conn->known && now_ms - conn->strange_ms > LINK_STRANGE_MS)))
            idle = conn;
        pthread_mutex_unlock(&server->lock);
        if (idle)
            link_conn_shut(idle); /* one that is another's by now dials again */
        if (!more)
            break;
    }
    nng_sleep_aio(WATCH_EVERY_MS, server->watcher);
}

void link_peer(struct link_server *server, unsigned context, char to[LINK_PEER_MAX])
{
    pthread_mutex_lock(&server->lock);
    const struct link_conn *conn = server->contexts[context].conn;
    to[0] = 0;
    if (server->watcher && conn && conn->stream && !conn->closed)
        link_tls_peer(conn->stream, to);
    pthread_mutex_unlock(&server->lock);
}

/* ---- Beginning and end ---- */

unsigned link_port(const struct link_server *server)
{
    return server->port;
}

static bool start_listener(struct link_server *server, const char *url, const struct link_tls *tls,
                           struct nx_err *err)
{
    bool is_ipc = str_starts(url, "ipc:");
    int port = 0;
    int rv = nng_stream_listener_alloc(&server->listener, url);
    if (rv == 0 && is_ipc)
        rv = nng_stream_listener_set_int(server->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (rv == 0 && tls && !link_tls_server(tls, server->listener, err))
        return false;
    if (rv == 0)
        rv = nng_stream_listener_listen(server->listener);
    if (rv == 0 && !is_ipc)
        rv = nng_stream_listener_get_int(server->listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (rv == 0)
        rv = nng_aio_alloc(&server->acceptor, on_accept, server);
    if (rv == 0 && tls)
        rv = nng_aio_alloc(&server->watcher, on_watch, server);
    if (rv != 0)
        return link_fail(err, rv, "listen on", url);
    server->port = (unsigned)port;
    return true;
}

static bool start(const char *url, const struct link_tls *tls, unsigned n_contexts,
                  link_on_request *on_request, link_is_known *is_known, void *arg,
                  struct link_server **server, struct nx_err *err)
{
    must(n_contexts > 0 && on_request && !tls == !is_known);
    if (!link_check_url(url, tls, err))
        return false;
    struct link_server *made = mem_alloc(sizeof *made);
    made->contexts = mem_alloc_array(n_contexts, sizeof *made->contexts);
    made->n_contexts = n_contexts;
    made->on_request = on_request;
    made->is_known = is_known;
    made->arg = arg;
    pthread_mutex_init(&made->lock, NULL);
    for (unsigned i = n_contexts; i-- > 0;)
        vec_push(&made->idle, i);
    if (!start_listener(made, url, tls, err)) {
        link_server_close(made);
        return false;
    }
    *server = made; /* before the first request */
    nng_stream_listener_accept(made->listener, made->acceptor);
    if (made->watcher)
        nng_sleep_aio(WATCH_EVERY_MS, made->watcher);
    return true;
}

bool link_listen(const char *url, unsigned n_contexts, link_on_request *on_request, void *arg,
                 struct link_server **server, struct nx_err *err)
{
    return start(url, NULL, n_contexts, on_request, NULL, arg, server, err);
}

bool link_listen_tls(const char *url, const struct link_tls *tls, unsigned n_contexts,
                     link_on_request *on_request, link_is_known *is_known, void *arg,
                     struct link_server **server, struct nx_err *err)
{
    return start(url, tls, n_contexts, on_request, is_known, arg, server, err);
}

void link_server_close(struct link_server *server)
{
    if (!server)
        return;
    pthread_mutex_lock(&server->lock);
    server->closing = true;
    pthread_mutex_unlock(&server->lock);
    if (server->listener)
        nng_stream_listener_close(server->listener);
    if (server->acceptor)
        nng_aio_stop(server->acceptor);
    nng_aio_free(server->acceptor);
    if (server->watcher)
        nng_aio_stop(server->watcher);
    nng_aio_free(server->watcher);
    for (size_t i = 0; i < server->conns.n; i++) {
        link_conn_fini(server->conns.at[i]);
        mem_free(server->conns.at[i]);
    }
    if (server->listener)
        nng_stream_listener_free(server->listener);
    vec_fini(&server->idle);
    vec_fini(&server->conns);
    vec_fini(&server->unused);
    vec_fini(&server->waiting);
    pthread_mutex_destroy(&server->lock);
    mem_free(server->contexts);
    mem_free(server);
}
