/* The server's end of the link: one REP socket, many contexts, one asynchronous operation each. */
#include <nng/nng.h> /* before the next, which needs it */

#include <nng/protocol/reqrep0/rep.h>
#include <stdatomic.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/net/link.h"
#include "lib/net/link_common.h"
#include "nexus/limits.h"

/* RECEIVES -> ASKED (the owner has a request to answer) -> REPLIES -> RECEIVES. The operation is in
 * flight in the first and the last. */
enum state { RECEIVES, ASKED, REPLIES };

struct context {
    struct link_server *server;
    unsigned index;
    nng_ctx ctx;
    nng_aio *aio;
    _Atomic enum state state;
};

struct link_server {
    nng_socket socket;
    nng_listener listener;
    struct context *contexts;
    unsigned n_contexts;
    unsigned port;
    atomic_bool closing;
    link_on_request *on_request;
    void *arg;
};

static void receive(struct context *c)
{
    atomic_store(&c->state, RECEIVES);
    nng_ctx_recv(c->ctx, c->aio);
}

/* What an operation holds is ours again when it has failed or never began. */
static void drop_message(nng_aio *aio)
{
    nng_msg_free(nng_aio_get_msg(aio));
    nng_aio_set_msg(aio, NULL);
}

/* The operation of a context has ended. */
static void on_end(void *arg)
{
    struct context *c = arg;
    struct link_server *server = c->server;
    int rv = nng_aio_result(c->aio);
    if (atomic_load(&c->state) == REPLIES) {
        if (rv != 0)
            drop_message(c->aio); /* the peer has gone: it asks again */
        if (!atomic_load(&server->closing))
            receive(c);
        return;
    }
    if (rv == NNG_ECLOSED || rv == NNG_ECANCELED || atomic_load(&server->closing)) {
        drop_message(c->aio);
        return;
    }
    if (rv != 0) { /* a lack of memory: the peer asks again */
        receive(c);
        return;
    }
    nng_msg *message = nng_aio_get_msg(c->aio);
    nng_aio_set_msg(c->aio, NULL);
    atomic_store(&c->state, ASKED);
    server->on_request(server->arg, c->index, nng_msg_body(message), nng_msg_len(message));
    nng_msg_free(message);
}

void link_reply(struct link_server *server, unsigned context, const void *bytes, size_t n)
{
    must(context < server->n_contexts);
    struct context *c = &server->contexts[context];
    must(atomic_load(&c->state) == ASKED);
    atomic_store(&c->state, REPLIES);
    nng_aio_set_msg(c->aio, link_make_message(bytes, n));
    nng_ctx_send(c->ctx, c->aio);
}

void link_release(struct link_server *server, unsigned context)
{
    link_reply(server, context, NULL, 0);
}

unsigned link_port(const struct link_server *server)
{
    return server->port;
}

static bool open_contexts(struct link_server *server, const char *url, struct nx_err *err)
{
    for (unsigned i = 0; i < server->n_contexts; i++) {
        struct context *c = &server->contexts[i];
        c->server = server;
        c->index = i;
        int rv = nng_aio_alloc(&c->aio, on_end, c);
        if (rv == 0)
            rv = nng_ctx_open(&c->ctx, server->socket);
        if (rv != 0)
            return link_fail(err, rv, "make a context for", url);
    }
    return true;
}

static bool start_listener(struct link_server *server, const char *url, struct nx_err *err)
{
    nng_sockaddr address;
    bool is_ipc = str_starts(url, "ipc:");
    int rv = nng_listener_create(&server->listener, server->socket, url);
    if (rv == 0)
        rv = nng_listener_set_size(server->listener, NNG_OPT_RECVMAXSZ, NX_RECEIVE_MAX);
    if (rv == 0 && is_ipc)
        rv = nng_listener_set_int(server->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (rv == 0)
        rv = nng_listener_start(server->listener, 0);
    if (rv != 0)
        return link_fail(err, rv, "listen on", url);
    if (!is_ipc && nng_listener_get_addr(server->listener, NNG_OPT_LOCADDR, &address) == 0) {
        uint16_t port =
            address.s_family == NNG_AF_INET6 ? address.s_in6.sa_port : address.s_in.sa_port;
        server->port = (unsigned)(port >> 8 | port << 8) & 0xffff;
    }
    return true;
}

bool link_listen(const char *url, unsigned n_contexts, link_on_request *on_request, void *arg,
                 struct link_server **server, struct nx_err *err)
{
    must(n_contexts > 0 && on_request);
    if (!link_check_url(url, err))
        return false;
    struct link_server *made = mem_alloc(sizeof *made);
    made->contexts = mem_alloc_array(n_contexts, sizeof *made->contexts);
    made->n_contexts = n_contexts;
    made->on_request = on_request;
    made->arg = arg;
    int rv = nng_rep0_open(&made->socket);
    bool ok = rv == 0 || link_fail(err, rv, "listen on", url);
    ok = ok && open_contexts(made, url, err);
    if (!ok || !start_listener(made, url, err)) {
        link_server_close(made);
        return false;
    }
    *server = made;
    for (unsigned i = 0; i < n_contexts; i++)
        receive(&made->contexts[i]);
    return true;
}

void link_server_close(struct link_server *server)
{
    if (!server)
        return;
    atomic_store(&server->closing, true);
    nng_close(server->socket);
    for (unsigned i = 0; i < server->n_contexts; i++) {
        if (server->contexts[i].aio)
            nng_aio_stop(server->contexts[i].aio);
    }
    for (unsigned i = 0; i < server->n_contexts; i++) {
        if (server->contexts[i].aio)
            drop_message(server->contexts[i].aio);
        nng_aio_free(server->contexts[i].aio);
    }
    mem_free(server->contexts);
    mem_free(server);
}
