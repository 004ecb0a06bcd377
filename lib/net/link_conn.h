/* A connection of the link: frames over an NNG stream. Both ends use it.
 *
 * A frame is the magic number, the length of its message, the id of the request, and the message;
 * integers are little-endian:   u32 magic | u32 n | u64 id | n bytes
 *
 * Why not NNG's own REQ and REP sockets: in NNG 1.5.2 (and up to 1.8) a pipe that closes while a
 * message is being taken from it may never be reaped, and then its dialer never dials again; with
 * traffic, one kill of a server in some hundred left a client deaf for ever. Streams have no such
 * state. What REQ and REP gave (sending again after a lost connection, many requests at once) is
 * little, and is here and in link_client.c. */
#ifndef LIB_NET_LINK_CONN_H
#define LIB_NET_LINK_CONN_H

#include <nng/nng.h>
#include <pthread.h>

#include "lib/base/buf.h"
#include "lib/net/link.h"
#include "nexus/error.h"

/* Locking: the owner's lock guards the fields that say so; it is taken within `starting`.
 * Operations are started, and the owner's functions called, without it. A connection is used again
 * after it has gone; it is freed only with its owner. */
struct link_conn {
    pthread_mutex_t *lock;
    void *owner;
    /* A frame came. False: not now, it stays; the owner has called link_conn_pause. */
    bool (*on_frame)(struct link_conn *conn, uint64_t id, const void *bytes, size_t n);
    /* Whether a peer whose message begins so is known: at most LINK_HELLO_MAX bytes of it. NULL:
     * every peer is. What others send and are sent is small. */
    bool (*is_known)(struct link_conn *conn, const void *bytes, size_t n);
    /* It has ended and may be started again. Called with the lock held. */
    void (*on_gone)(struct link_conn *conn);

    /* Over the start of an operation and the closing of the stream. With TLS, NNG 1.5 never ends a
     * send that begins on a stream that is closed, not even when it is cancelled. */
    pthread_mutex_t starting;
    nng_aio *receiver, *sender;
    struct buf in; /* the receiver's: what came, from n_taken on not yet handled */
    size_t n_taken;
    struct buf flying; /* the sender's: what is being sent, up to n_sent done */
    size_t n_sent;

    /* Under the lock. */
    nng_stream *stream; /* NULL: not connected */
    unsigned n_busy;    /* operations in flight and other users of stream */
    bool closed, paused, resumed, sending, overflow;
    bool known;                   /* the peer was, by its last message */
    int64_t heard_ms, strange_ms; /* when bytes came last; since when it is not known */
    char peer[LINK_PEER_MAX];     /* the owner's */
    struct buf out;               /* to be sent next */
};

bool link_conn_init(struct link_conn *conn, pthread_mutex_t *lock, void *owner, struct nx_err *err);
/* Ends it; no function of the owner is called afterwards. Without the lock. */
void link_conn_fini(struct link_conn *conn);

/* Takes the stream over. With the lock held; link_conn_receive is to follow without it. */
void link_conn_start(struct link_conn *conn, nng_stream *stream);
void link_conn_receive(struct link_conn *conn);
/* Ends the connection; on_gone follows. Without the lock. */
void link_conn_shut(struct link_conn *conn);

/* Adds a frame, with the lock held; nothing happens on a connection that is closed.
 * link_conn_flush(conn, the result or'ed of several) is to follow without the lock. */
bool link_conn_queue(struct link_conn *conn, uint64_t id, const void *bytes, size_t n);
void link_conn_flush(struct link_conn *conn, bool idle);

/* Stops receiving (in on_frame), and goes on with the frame that was not taken. Both with the lock
 * held. */
void link_conn_pause(struct link_conn *conn);
void link_conn_resume(struct link_conn *conn);

/* Whether the URL is ipc:// with a path that fits a socket's address, or tcp:// on loopback; with
 * tls, whether it is tls+tcp://. */
bool link_check_url(const char *url, const struct link_tls *tls, struct nx_err *err);
/* "cannot <doing> <url>: reason", with the code that fits. Returns false. */
bool link_fail(struct nx_err *err, int rv, const char *doing, const char *url);

#endif
