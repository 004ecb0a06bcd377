/* The client's end of the link: dials, sends what is open again on each new connection. */
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/net/link.h"
#include "lib/net/link_conn.h"
#include "lib/net/link_tls.h"

#define DIAL_AGAIN_MIN_MS 10
#define DIAL_AGAIN_MAX_MS 500
#define DIAL_MS 5000 /* a host that does not answer; DNS included */
#define WATCH_EVERY_MS 1000

/* WAITS -> FREE by a reply; WAITS -> CANCELLED -> FREE by link_cancel. */
enum slot_state { FREE, WAITS, CANCELLED };

struct slot {
    struct link_client *client;
    nng_aio *teller; /* calls on_reply after link_cancel */
    /* Under the lock. */
    enum slot_state state;
    uint64_t id;
    struct buf request; /* to be sent again */
};

/* A dial that takes too long (a network that was cut) is ended by closing its dialer, and the next
 * one has a dialer of its own: when NNG 1.5 cancels a dial by its aio, the same dialer's next one
 * may end with the former one's result, a success without a stream among them. */
struct link_client {
    nng_stream_dialer *dialer; /* NULL: to be made */
    nng_aio *caller;           /* dials, and sleeps before it dials again */
    bool sleeps;               /* the caller's */
    nng_aio *watcher;          /* looks how long a dial takes; NULL without TLS */
    char *url, *certificate, *name;
    int64_t dial_ms;      /* under the lock: when it began; 0: none is on its way */
    bool spent, watching; /* under the lock: the dialer is closed, is being closed */
    link_on_reply *on_reply;
    void *arg;
    struct slot *slots;
    unsigned n_slots;
    pthread_mutex_t lock; /* what follows */
    bool closing, connected;
    bool resting; /* not dialled, for want of a request: with TLS, where to be idle is no use */
    int again_ms; /* to wait before the next dial */
    uint64_t last_id;
    struct link_conn conn;
};

/* ---- Requests and replies ---- */

void link_request(struct link_client *client, unsigned slot, const void *bytes, size_t n)
{
    must(slot < client->n_slots);
    struct slot *s = &client->slots[slot];
    pthread_mutex_lock(&client->lock);
    must(s->state == FREE);
    s->state = WAITS;
    s->id = ++client->last_id;
    buf_clear(&s->request);
    if (n)
        buf_add(&s->request, bytes, n);
    bool idle = link_conn_queue(&client->conn, s->id, bytes, n);
    if (client->resting && !client->closing) {
        client->resting = false;
        client->sleeps = true;
        nng_sleep_aio(0, client->caller);
    }
    pthread_mutex_unlock(&client->lock);
    link_conn_flush(&client->conn, idle);
}

static bool on_frame(struct link_conn *conn, uint64_t id, const void *bytes, size_t n)
{
    struct link_client *client = conn->owner;
    unsigned i = 0;
    pthread_mutex_lock(&client->lock);
    while (i < client->n_slots && (client->slots[i].state != WAITS || client->slots[i].id != id))
        i++;
    bool mine = i < client->n_slots && !client->closing;
    client->again_ms = DIAL_AGAIN_MIN_MS; /* not before: a peer may accept and refuse our TLS */
    if (mine)
        client->slots[i].state = FREE;
    pthread_mutex_unlock(&client->lock);
    if (mine)
        client->on_reply(client->arg, i, NX_OK, bytes, n);
    return true;
}

void link_cancel(struct link_client *client, unsigned slot)
{
    must(slot < client->n_slots);
    struct slot *s = &client->slots[slot];
    pthread_mutex_lock(&client->lock);
    bool waits = s->state == WAITS;
    if (waits)
        s->state = CANCELLED;
    pthread_mutex_unlock(&client->lock);
    if (waits)
        nng_sleep_aio(0, s->teller);
}

static void on_tell(void *arg)
{
    struct slot *slot = arg;
    struct link_client *client = slot->client;
    pthread_mutex_lock(&client->lock);
    bool closing = client->closing;
    slot->state = FREE;
    pthread_mutex_unlock(&client->lock);
    if (!closing)
        client->on_reply(client->arg, (unsigned)(slot - client->slots), NX_E_CANCELLED, NULL, 0);
}

/* ---- The connection ---- */

static void dial_later(struct link_client *client)
{
    client->sleeps = true;
    nng_sleep_aio(client->again_ms, client->caller);
    client->again_ms *= 2;
    if (client->again_ms > DIAL_AGAIN_MAX_MS)
        client->again_ms = DIAL_AGAIN_MAX_MS;
}

static void on_gone(struct link_conn *conn)
{
    struct link_client *client = conn->owner;
    bool asks = !client->certificate;
    for (unsigned i = 0; i < client->n_slots && !asks; i++)
        asks = client->slots[i].state == WAITS;
    client->connected = false;
    client->resting = !asks;
    if (!client->closing && asks)
        dial_later(client);
}

static void take_connection(struct link_client *client, nng_stream *stream)
{
    bool idle = false;
    pthread_mutex_lock(&client->lock);
    bool wanted = !client->closing;
    if (wanted) {
        client->connected = true;
        link_conn_start(&client->conn, stream);
        for (unsigned i = 0; i < client->n_slots; i++) {
            struct slot *s = &client->slots[i];
            if (s->state == WAITS)
                idle |= link_conn_queue(&client->conn, s->id, s->request.data, s->request.len);
        }
    }
    pthread_mutex_unlock(&client->lock);
    if (!wanted) {
        nng_stream_free(stream);
        return;
    }
    /* In this order: the receiver keeps the connection from ending before it is started. */
    link_conn_flush(&client->conn, idle);
    link_conn_receive(&client->conn);
}

static bool make_dialer(struct link_client *client, struct nx_err *err)
{
    const struct link_tls tls = {client->certificate, NULL, client->name};
    int rv = nng_stream_dialer_alloc(&client->dialer, client->url);
    client->spent = false;
    if (rv != 0) {
        client->dialer = NULL;
        return link_fail(err, rv, "dial", client->url);
    }
    return !client->certificate || link_tls_client(&tls, client->dialer, err);
}

static void start_dial(struct link_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool ready = !client->watching && !client->closing;
    if (client->watching && !client->closing)
        dial_later(client);
    nng_stream_dialer *spent = ready && client->spent ? client->dialer : NULL;
    if (spent)
        client->dialer = NULL;
    pthread_mutex_unlock(&client->lock);
    if (spent)
        nng_stream_dialer_free(spent);
    if (!ready)
        return;
    bool made = client->dialer || make_dialer(client, NULL);
    pthread_mutex_lock(&client->lock);
    client->dial_ms = made ? clock_mono_ms() : 0;
    if (!made)
        dial_later(client);
    pthread_mutex_unlock(&client->lock);
    if (made)
        nng_stream_dialer_dial(client->dialer, client->caller);
}

static void on_dial(void *arg)
{
    struct link_client *client = arg;
    int rv = nng_aio_result(client->caller);
    pthread_mutex_lock(&client->lock);
    bool slept = client->sleeps, closing = client->closing;
    nng_stream *stream = rv == 0 && !slept ? nng_aio_get_output(client->caller, 0) : NULL;
    client->sleeps = false;
    client->dial_ms = 0;
    if (!slept && !stream && !closing)
        dial_later(client);
    pthread_mutex_unlock(&client->lock);
    if (stream)
        take_connection(client, stream);
    else if (slept && rv == 0 && !closing)
        start_dial(client);
}

static void on_watch(void *arg)
{
    struct link_client *client = arg;
    if (nng_aio_result(client->watcher) != 0)
        return;
    pthread_mutex_lock(&client->lock);
    bool late = client->dial_ms && !client->spent && clock_mono_ms() - client->dial_ms > DIAL_MS;
    client->watching = late;
    client->spent = client->spent || late;
    pthread_mutex_unlock(&client->lock);
    if (late) {
        nng_stream_dialer_close(client->dialer); /* on_dial follows */
        pthread_mutex_lock(&client->lock);
        client->watching = false;
        pthread_mutex_unlock(&client->lock);
    }
    nng_sleep_aio(WATCH_EVERY_MS, client->watcher);
}

bool link_connected(const struct link_client *client)
{
    pthread_mutex_t *lock = client->conn.lock;
    pthread_mutex_lock(lock);
    bool connected = client->connected;
    pthread_mutex_unlock(lock);
    return connected;
}

/* ---- Beginning and end ---- */

static bool prepare(struct link_client *client, const char *url, const struct link_tls *tls,
                    struct nx_err *err)
{
    int rv = 0;
    for (unsigned i = 0; i < client->n_slots && rv == 0; i++) {
        client->slots[i].client = client;
        rv = nng_aio_alloc(&client->slots[i].teller, on_tell, &client->slots[i]);
    }
    if (rv == 0)
        rv = nng_aio_alloc(&client->caller, on_dial, client);
    if (rv == 0)
        rv = tls ? nng_aio_alloc(&client->watcher, on_watch, client) : 0;
    if (rv != 0)
        return link_fail(err, rv, "dial", url);
    client->url = mem_strdup(url);
    client->certificate = tls ? mem_strdup(tls->certificate) : NULL;
    client->name = tls ? mem_strdup(tls->name) : NULL;
    return make_dialer(client, err);
}

static bool dial(const char *url, const struct link_tls *tls, unsigned n_slots,
                 link_on_reply *on_reply, void *arg, struct link_client **client,
                 struct nx_err *err)
{
    must(n_slots > 0 && on_reply);
    if (!link_check_url(url, tls, err))
        return false;
    struct link_client *made = mem_alloc(sizeof *made);
    made->slots = mem_alloc_array(n_slots, sizeof *made->slots);
    made->n_slots = n_slots;
    made->on_reply = on_reply;
    made->arg = arg;
    made->again_ms = DIAL_AGAIN_MIN_MS;
    pthread_mutex_init(&made->lock, NULL);
    made->conn.on_frame = on_frame;
    made->conn.on_gone = on_gone;
    if (!link_conn_init(&made->conn, &made->lock, made, err) || !prepare(made, url, tls, err)) {
        link_client_close(made);
        return false;
    }
    *client = made;
    made->resting = tls != NULL;
    if (!tls)
        start_dial(made);
    if (made->watcher)
        nng_sleep_aio(WATCH_EVERY_MS, made->watcher);
    return true;
}

bool link_dial(const char *url, unsigned n_slots, link_on_reply *on_reply, void *arg,
               struct link_client **client, struct nx_err *err)
{
    return dial(url, NULL, n_slots, on_reply, arg, client, err);
}

bool link_dial_tls(const char *url, const struct link_tls *tls, unsigned n_slots,
                   link_on_reply *on_reply, void *arg, struct link_client **client,
                   struct nx_err *err)
{
    return dial(url, tls, n_slots, on_reply, arg, client, err);
}

void link_redial(struct link_client *client)
{
    link_conn_shut(&client->conn);
}

void link_client_close(struct link_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    pthread_mutex_unlock(&client->lock);
    if (client->watcher)
        nng_aio_stop(client->watcher);
    pthread_mutex_lock(&client->lock);
    nng_stream_dialer *open = client->spent || !client->dial_ms ? NULL : client->dialer;
    pthread_mutex_unlock(&client->lock);
    if (open)
        nng_stream_dialer_close(open);
    if (client->caller)
        nng_aio_stop(client->caller);
    nng_aio_free(client->watcher);
    link_conn_fini(&client->conn);
    nng_aio_free(client->caller);
    if (client->dialer)
        nng_stream_dialer_free(client->dialer);
    for (unsigned i = 0; i < client->n_slots; i++) {
        if (client->slots[i].teller)
            nng_aio_stop(client->slots[i].teller);
        nng_aio_free(client->slots[i].teller);
        buf_fini(&client->slots[i].request);
    }
    pthread_mutex_destroy(&client->lock);
    mem_free(client->url);
    mem_free(client->certificate);
    mem_free(client->name);
    mem_free(client->slots);
    mem_free(client);
}
