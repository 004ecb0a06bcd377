#include "lib/net/link_conn.h"

#include <string.h>
#include <sys/un.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/slice.h"
#include "lib/base/str.h"
#include "nexus/limits.h"

#define MAGIC 0x314b4c58u /* "XLK1" */
#define HEAD 16
#define IN_ROOM (16 * 1024)
/* Replies not yet sent to one peer. */
#define OUT_MAX (8u * 1024 * 1024)
#define STRANGE_OUT_MAX (64u * 1024)
#define KEEP_MAX (64u * 1024) /* of a buffer's memory when the connection has gone */

void link_begin(void)
{
    nng_aio *aio;
    slice_short();
    if (nng_aio_alloc(&aio, NULL, NULL) == 0)
        nng_aio_free(aio);
    slice_usual();
}

bool link_check_url(const char *url, const struct link_tls *tls, struct nx_err *err)
{
    static const char *const loopback[] = {"tcp://127.0.0.1:", "tcp://localhost:", "tcp://[::1]:"};
    size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (tls)
        return (str_starts(url, "tls+tcp://") && strlen(url) > strlen("tls+tcp://")) ||
               nx_fail(err, NX_E_INVALID, "%s is not tls+tcp://HOST:PORT", url);
    if (str_starts(url, "ipc:///")) {
        if (strlen(url) - strlen("ipc://") <= path_max)
            return true;
        return nx_fail(err, NX_E_LIMIT,
                       "the socket's path in %s is longer than the %zu bytes that the system "
                       "allows; use a home with a shorter path",
                       url, path_max);
    }
    for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++) {
        if (str_starts(url, loopback[i]))
            return true;
    }
    if (str_starts(url, "tcp://"))
        return nx_fail(err, NX_E_DENIED,
                       "%s: links between machines are tls+tcp:// alone, with a certificate", url);
    if (str_starts(url, "tls+tcp://"))
        return nx_fail(err, NX_E_INVALID, "%s: TLS needs a certificate, and there is none", url);
    return nx_fail(err, NX_E_INVALID, "%s is neither ipc:///PATH nor tcp://127.0.0.1:PORT", url);
}

bool link_fail(struct nx_err *err, int rv, const char *doing, const char *url)
{
    enum nx_code code = NX_E_IO;
    switch (rv) {
    case NNG_EADDRINUSE:
        code = NX_E_BUSY;
        break;
    case NNG_EPERM:
        code = NX_E_DENIED;
        break;
    case NNG_ENOMEM:
        code = NX_E_MEMORY;
        break;
    case NNG_EADDRINVAL:
    case NNG_EINVAL:
    case NNG_ENOTSUP:
        code = NX_E_INVALID;
        break;
    default:
        break;
    }
    return nx_fail(err, code, "cannot %s %s: %s", doing, url, nng_strerror(rv));
}

/* ---- Ending ---- */

/* One user more of a stream that may be closed; false when it is gone. */
static bool hold(struct link_conn *conn)
{
    pthread_mutex_lock(conn->lock);
    bool held = conn->stream != NULL;
    conn->n_busy += held;
    pthread_mutex_unlock(conn->lock);
    return held;
}

static void shrink(struct buf *buf)
{
    buf_clear(buf);
    if (buf->cap > KEEP_MAX)
        buf_fini(buf);
}

/* One user less; the last one of a closed connection ends it. Without the lock. */
static void release(struct link_conn *conn)
{
    nng_stream *stream = NULL;
    pthread_mutex_lock(conn->lock);
    must(conn->n_busy > 0);
    conn->n_busy--;
    if (conn->closed && conn->n_busy == 0) {
        stream = conn->stream;
        conn->stream = NULL;
        shrink(&conn->in);
        shrink(&conn->out);
        shrink(&conn->flying);
    }
    pthread_mutex_unlock(conn->lock);
    if (!stream)
        return;
    nng_stream_free(stream);
    pthread_mutex_lock(conn->lock);
    conn->on_gone(conn);
    pthread_mutex_unlock(conn->lock);
}

void link_conn_shut(struct link_conn *conn)
{
    pthread_mutex_lock(conn->lock);
    bool first = conn->stream && !conn->closed;
    conn->closed = true;
    if (first)
        conn->n_busy++;
    pthread_mutex_unlock(conn->lock);
    if (!first)
        return;
    pthread_mutex_lock(&conn->starting);
    nng_stream_close(conn->stream); /* ends what was started */
    pthread_mutex_unlock(&conn->starting);
    nng_aio_cancel(conn->receiver);
    nng_aio_cancel(conn->sender);
    release(conn);
}

/* Starts an operation, unless the connection was closed: then its user has gone. */
static void start(struct link_conn *conn, nng_aio *aio,
                  void (*operation)(nng_stream *stream, nng_aio *aio))
{
    pthread_mutex_lock(&conn->starting);
    pthread_mutex_lock(conn->lock);
    bool closed = conn->closed;
    pthread_mutex_unlock(conn->lock);
    if (!closed)
        operation(conn->stream, aio);
    pthread_mutex_unlock(&conn->starting);
    if (closed)
        release(conn);
}

/* ---- Sending ---- */

bool link_conn_queue(struct link_conn *conn, uint64_t id, const void *bytes, size_t n)
{
    must(n <= NX_MESSAGE_MAX);
    if (!conn->stream || conn->closed)
        return false;
    buf_u32(&conn->out, MAGIC);
    buf_u32(&conn->out, (uint32_t)n);
    buf_u64(&conn->out, id);
    if (n)
        buf_add(&conn->out, bytes, n);
    /* The peer asks and does not listen. */
    conn->overflow = conn->out.len > (conn->known ? OUT_MAX : STRANGE_OUT_MAX);
    if (conn->sending)
        return false;
    conn->sending = true;
    conn->n_busy++;
    return true;
}

static void send_rest(struct link_conn *conn)
{
    nng_iov iov = {conn->flying.data + conn->n_sent, conn->flying.len - conn->n_sent};
    must(nng_aio_set_iov(conn->sender, 1, &iov) == 0);
    start(conn, conn->sender, nng_stream_send);
}

/* Takes what is to be sent next; false when there is nothing. */
static bool take_out(struct link_conn *conn)
{
    pthread_mutex_lock(conn->lock);
    struct buf empty = conn->flying;
    bool more = conn->out.len > 0 && !conn->closed;
    if (more) {
        conn->flying = conn->out;
        conn->out = empty;
    } else {
        conn->sending = false;
    }
    buf_clear(more ? &conn->out : &conn->flying);
    conn->n_sent =
        0; /* before the lock goes: without more, another thread may be the sender then */
    pthread_mutex_unlock(conn->lock);
    return more;
}

void link_conn_flush(struct link_conn *conn, bool idle)
{
    pthread_mutex_lock(conn->lock);
    bool overflow = conn->overflow;
    pthread_mutex_unlock(conn->lock);
    if (overflow)
        link_conn_shut(conn);
    if (idle && take_out(conn))
        send_rest(conn);
    else if (idle)
        release(conn);
}

static void on_sent(void *arg)
{
    struct link_conn *conn = arg;
    if (nng_aio_result(conn->sender) != 0) {
        link_conn_shut(conn);
        release(conn);
        return;
    }
    conn->n_sent += nng_aio_count(conn->sender);
    if (conn->n_sent < conn->flying.len || take_out(conn))
        send_rest(conn);
    else
        release(conn);
}

/* ---- Receiving ---- */

static uint64_t get_le(const char *from, int n)
{
    const uint8_t *p = (const uint8_t *)from;
    uint64_t v = 0;
    for (int i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

void link_conn_receive(struct link_conn *conn)
{
    struct buf *in = &conn->in;
    size_t rest = in->len - conn->n_taken, room = IN_ROOM;
    if (rest && conn->n_taken)
        memmove(in->data, in->data + conn->n_taken, rest);
    in->len = rest;
    conn->n_taken = 0;
    /* Room for a whole message only if the peer is known. */
    if (conn->known && rest >= HEAD && HEAD + get_le(in->data + 4, 4) > rest + room)
        room = HEAD + get_le(in->data + 4, 4) - rest;
    nng_iov iov = {buf_reserve(in, room), room};
    must(nng_aio_set_iov(conn->receiver, 1, &iov) == 0);
    start(conn, conn->receiver, nng_stream_recv);
}

enum taken { ALL, PAUSED, WRONG };

/* Whether the message that begins there, of which `have` of n bytes have come, may come on. */
static bool may_go_on(struct link_conn *conn, const char *at, size_t have, size_t n)
{
    if (conn->known)
        return true;
    if (have > n)
        have = n;
    if (have < n && have < LINK_HELLO_MAX)
        return true; /* not enough to tell */
    bool known = conn->is_known(conn, at, have < LINK_HELLO_MAX ? have : LINK_HELLO_MAX);
    pthread_mutex_lock(conn->lock);
    conn->known = known;
    pthread_mutex_unlock(conn->lock);
    return known || n <= LINK_STRANGE_MAX;
}

static enum taken take_frames(struct link_conn *conn)
{
    for (;;) {
        const char *at = conn->in.data + conn->n_taken;
        size_t rest = conn->in.len - conn->n_taken;
        if (rest < HEAD)
            return ALL;
        uint64_t n = get_le(at + 4, 4);
        if (get_le(at, 4) != MAGIC || n > NX_RECEIVE_MAX)
            return WRONG;
        if (!may_go_on(conn, at + HEAD, rest - HEAD, n))
            return WRONG;
        if (rest < HEAD + n)
            return ALL;
        if (!conn->on_frame(conn, get_le(at + 8, 8), at + HEAD, n))
            return PAUSED; /* nothing of conn may be touched: another thread may go on with it */
        conn->n_taken += HEAD + n;
    }
}

static void on_received(void *arg)
{
    struct link_conn *conn = arg;
    bool ok = nng_aio_result(conn->receiver) == 0;
    size_t n = nng_aio_count(conn->receiver);
    pthread_mutex_lock(conn->lock);
    bool resumed = conn->resumed;
    conn->resumed = false;
    ok = ok && !conn->closed && (resumed || n > 0);
    conn->heard_ms = clock_mono_ms();
    pthread_mutex_unlock(conn->lock);
    if (ok && !resumed)
        conn->in.len += n;
    enum taken taken = ok ? take_frames(conn) : WRONG;
    if (taken == PAUSED)
        return;
    if (taken == ALL) {
        link_conn_receive(conn);
        return;
    }
    link_conn_shut(conn);
    release(conn);
}

void link_conn_pause(struct link_conn *conn)
{
    must(!conn->paused && !conn->closed && conn->n_busy > 0);
    conn->paused = true;
    conn->n_busy--; /* not closed, so this is not the end */
}

void link_conn_resume(struct link_conn *conn)
{
    must(conn->paused);
    conn->paused = false;
    if (conn->closed)
        return;
    conn->n_busy++;
    conn->resumed = true;
    nng_sleep_aio(0, conn->receiver); /* on_received comes on a thread of NNG */
}

/* ---- Beginning and end ---- */

bool link_conn_init(struct link_conn *conn, pthread_mutex_t *lock, void *owner, struct nx_err *err)
{
    pthread_mutexattr_t attr;
    conn->lock = lock;
    conn->owner = owner;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* should NNG call back at once */
    pthread_mutex_init(&conn->starting, &attr);
    pthread_mutexattr_destroy(&attr);
    int rv = nng_aio_alloc(&conn->receiver, on_received, conn);
    if (rv == 0)
        rv = nng_aio_alloc(&conn->sender, on_sent, conn);
    if (rv != 0)
        return nx_fail(err, NX_E_MEMORY, "%s", nng_strerror(rv));
    nng_aio_set_timeout(conn->receiver, NNG_DURATION_INFINITE);
    nng_aio_set_timeout(conn->sender, NNG_DURATION_INFINITE);
    return true;
}

void link_conn_start(struct link_conn *conn, nng_stream *stream)
{
    must(!conn->stream && conn->n_busy == 0);
    conn->stream = stream;
    conn->closed = conn->paused = conn->resumed = conn->sending = conn->overflow = false;
    conn->n_busy = 1; /* the receiver */
    conn->known = conn->is_known == NULL;
    conn->heard_ms = conn->strange_ms = clock_mono_ms();
    conn->n_taken = conn->n_sent = 0;
    buf_clear(&conn->in);
    buf_clear(&conn->out);
    buf_clear(&conn->flying);
}

void link_conn_fini(struct link_conn *conn)
{
    link_conn_shut(conn);
    /* A stop cancels; if the operation ends all the same while NNG is on its way from it to the
     * stream, to cancel it there, the stream has to be there still. */
    bool held = hold(conn);
    if (conn->receiver)
        nng_aio_stop(conn->receiver);
    if (conn->sender)
        nng_aio_stop(conn->sender);
    if (held)
        release(conn);
    nng_aio_free(conn->receiver);
    nng_aio_free(conn->sender);
    if (conn->stream) /* an operation was refused because of the stop */
        nng_stream_free(conn->stream);
    pthread_mutex_destroy(&conn->starting);
    buf_fini(&conn->in);
    buf_fini(&conn->out);
    buf_fini(&conn->flying);
}
