/* The client's end of the link: one REQ socket, a context a slot. */
#include <nng/nng.h> /* before the next, which needs it */

#include <nng/protocol/reqrep0/req.h>
#include <stdatomic.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/net/link.h"
#include "lib/net/link_common.h"
#include "nexus/limits.h"

#define DIAL_AGAIN_MIN_MS 10
#define DIAL_AGAIN_MAX_MS 500
#define RESEND_MS 60000

/* FREE -> SENDS -> WAITS -> FREE. The operation is in flight in the last two. */
enum state { FREE, SENDS, WAITS };

struct slot {
    struct link_client *client;
    unsigned index;
    nng_ctx ctx;
    nng_aio *aio;
    _Atomic enum state state;
    atomic_bool cancelled;
};

struct link_client {
    nng_socket socket;
    nng_dialer dialer;
    struct slot *slots;
    unsigned n_slots;
    atomic_int n_pipes;
    atomic_bool closing;
    link_on_reply *on_reply;
    void *arg;
};

static void finish(struct slot *slot, enum nx_code code, nng_msg *message)
{
    struct link_client *client = slot->client;
    atomic_store(&slot->state, FREE);
    if (!atomic_load(&client->closing))
        client->on_reply(client->arg, slot->index, code, message ? nng_msg_body(message) : NULL,
                         message ? nng_msg_len(message) : 0);
    nng_msg_free(message);
}

/* The operation of a slot has ended. */
static void on_end(void *arg)
{
    struct slot *slot = arg;
    int rv = nng_aio_result(slot->aio);
    bool sent = rv == 0 && atomic_load(&slot->state) == SENDS;
    /* A reply, or a request that could not be sent; nothing after sending. */
    nng_msg *message = sent ? NULL : nng_aio_get_msg(slot->aio);
    nng_aio_set_msg(slot->aio, NULL);
    if (sent && !atomic_load(&slot->cancelled)) {
        atomic_store(&slot->state, WAITS);
        nng_ctx_recv(slot->ctx, slot->aio);
        /* link_cancel may have come when nothing was in flight. */
        if (atomic_load(&slot->cancelled))
            nng_aio_cancel(slot->aio);
    } else if (sent || rv == NNG_ECANCELED || rv == NNG_ECLOSED) {
        nng_msg_free(message);
        finish(slot, NX_E_CANCELLED, NULL);
    } else if (rv != 0) {
        nng_msg_free(message);
        finish(slot, NX_E_INTERNAL, NULL);
    } else {
        finish(slot, NX_OK, message);
    }
}

void link_request(struct link_client *client, unsigned slot, const void *bytes, size_t n)
{
    must(slot < client->n_slots);
    struct slot *s = &client->slots[slot];
    must(atomic_load(&s->state) == FREE);
    atomic_store(&s->cancelled, false);
    atomic_store(&s->state, SENDS);
    nng_aio_set_msg(s->aio, link_make_message(bytes, n));
    nng_ctx_send(s->ctx, s->aio);
}

void link_cancel(struct link_client *client, unsigned slot)
{
    must(slot < client->n_slots);
    atomic_store(&client->slots[slot].cancelled, true);
    nng_aio_cancel(client->slots[slot].aio);
}

bool link_connected(const struct link_client *client)
{
    return atomic_load(&client->n_pipes) > 0;
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct link_client *client = arg;
    (void)pipe;
    atomic_fetch_add(&client->n_pipes, event == NNG_PIPE_EV_ADD_POST ? 1 : -1);
}

static int open_slots(struct link_client *client)
{
    int rv = 0;
    for (unsigned i = 0; i < client->n_slots && rv == 0; i++) {
        struct slot *slot = &client->slots[i];
        slot->client = client;
        slot->index = i;
        rv = nng_aio_alloc(&slot->aio, on_end, slot);
        if (rv == 0)
            rv = nng_ctx_open(&slot->ctx, client->socket);
        if (rv == 0)
            rv = nng_ctx_set_ms(slot->ctx, NNG_OPT_REQ_RESENDTIME, RESEND_MS);
        if (rv == 0)
            nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
    }
    return rv;
}

static int start_dialer(struct link_client *client, const char *url)
{
    int rv = nng_pipe_notify(client->socket, NNG_PIPE_EV_ADD_POST, on_pipe, client);
    if (rv == 0)
        rv = nng_pipe_notify(client->socket, NNG_PIPE_EV_REM_POST, on_pipe, client);
    if (rv == 0)
        rv = nng_dialer_create(&client->dialer, client->socket, url);
    if (rv == 0)
        rv = nng_dialer_set_size(client->dialer, NNG_OPT_RECVMAXSZ, NX_RECEIVE_MAX);
    if (rv == 0)
        rv = nng_dialer_set_ms(client->dialer, NNG_OPT_RECONNMINT, DIAL_AGAIN_MIN_MS);
    if (rv == 0)
        rv = nng_dialer_set_ms(client->dialer, NNG_OPT_RECONNMAXT, DIAL_AGAIN_MAX_MS);
    return rv == 0 ? nng_dialer_start(client->dialer, NNG_FLAG_NONBLOCK) : rv;
}

bool link_dial(const char *url, unsigned n_slots, link_on_reply *on_reply, void *arg,
               struct link_client **client, struct nx_err *err)
{
    must(n_slots > 0 && on_reply);
    if (!link_check_url(url, err))
        return false;
    struct link_client *made = mem_alloc(sizeof *made);
    made->slots = mem_alloc_array(n_slots, sizeof *made->slots);
    made->n_slots = n_slots;
    made->on_reply = on_reply;
    made->arg = arg;
    int rv = nng_req0_open(&made->socket);
    if (rv == 0)
        rv = open_slots(made);
    if (rv == 0)
        rv = start_dialer(made, url);
    if (rv != 0) {
        link_client_close(made);
        return link_fail(err, rv, "dial", url);
    }
    *client = made;
    return true;
}

void link_client_close(struct link_client *client)
{
    if (!client)
        return;
    atomic_store(&client->closing, true);
    nng_close(client->socket);
    for (unsigned i = 0; i < client->n_slots; i++) {
        if (client->slots[i].aio)
            nng_aio_stop(client->slots[i].aio);
    }
    for (unsigned i = 0; i < client->n_slots; i++) {
        if (client->slots[i].aio) /* a request that never began */
            nng_msg_free(nng_aio_get_msg(client->slots[i].aio));
        nng_aio_free(client->slots[i].aio);
    }
    mem_free(client->slots);
    mem_free(client);
}
