/* The link between scheduler and workers: requests and replies over NNG's streams.
 *
 * The client asks, the server answers, possibly much later. A request whose connection is lost, or
 * whose server starts again, is sent again by itself; so the server may see one twice. Functions
 * given to this module run on NNG's threads: they copy or decode, post an event, and return.
 * Messages are at most NX_MESSAGE_MAX bytes (asserted when sending); a peer that sends more than
 * NX_RECEIVE_MAX, or does not read its replies, loses its connection. link_conn.h has the frames,
 * and why these are not NNG's REQ and REP sockets. */
#ifndef LIB_NET_LINK_H
#define LIB_NET_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "nexus/error.h"

/* TLS, for tls+tcp://host:port. Texts are PEM and borrowed until the function returns. */
struct link_tls {
    const char *certificate; /* the server's own; the only one that a client accepts */
    const char *key;         /* the server's; NULL for a client */
    const char *name;        /* the certificate's common name; a client checks it */
};

/* In main, before all else of this module: makes NNG's threads, on which a loop waits, with a short
 * slice (lib/base/slice.h). Left out, they have the usual one. */
void link_begin(void);

/* ---- Server ---- */

struct link_server;

/* A request arrived on that context. It stays with the owner until link_reply or link_release, and
 * no other arrives on the context before. `bytes` lives until the function returns. */
typedef void link_on_request(void *arg, unsigned context, const void *bytes, size_t n);

/* Listens on ipc:///path (mode 0600; a socket left by a dead process is replaced) or
 * tcp://host:port (loopback only: without TLS nothing else). NX_E_BUSY when another listens there.
 */
bool link_listen(const char *url, unsigned n_contexts, link_on_request *on_request, void *arg,
                 struct link_server **server, struct nx_err *err);
/* Likewise on tls+tcp://host:port, any address of this machine. A connection that says nothing for
 * LINK_IDLE_MS is closed: its peer may have gone without a word.
 *
 * Anybody may come there. A peer is a stranger until a message of it begins as `is_known` says
 * (LINK_HELLO_MAX bytes, or all of a shorter one), and again after link_disown. Strangers have at
 * most LINK_STRANGERS_MAX connections beside those of known peers: another one ends the oldest of
 * the address (IPv6: of the network) that has the most. Each is closed after LINK_STRANGE_MS,
 * whatever it says, and its messages are at most LINK_STRANGE_MAX. */
#define LINK_IDLE_MS 30000
#define LINK_HELLO_MAX 256
#define LINK_STRANGERS_MAX 64
#define LINK_STRANGE_MS 10000
#define LINK_STRANGE_MAX (64 * 1024)
typedef bool link_is_known(void *arg, const void *bytes, size_t n);
bool link_listen_tls(const char *url, const struct link_tls *tls, unsigned n_contexts,
                     link_on_request *on_request, link_is_known *is_known, void *arg,
                     struct link_server **server, struct nx_err *err);
/* The peer who asked this is a stranger after all. In on_request alone, before the answer. */
void link_disown(struct link_server *server, unsigned context);
/* Where the request of a context came from: an IP address, "" on ipc. In on_request alone. */
#define LINK_PEER_MAX 48
void link_peer(struct link_server *server, unsigned context, char to[LINK_PEER_MAX]);
/* Answers the request of a context, from any thread (also inside on_request), once. A client that
 * has gone is no error: it asks again. */
void link_reply(struct link_server *server, unsigned context, const void *bytes, size_t n);
/* Answers with an empty message. */
void link_release(struct link_server *server, unsigned context);
/* Port of a tcp listener (tcp://127.0.0.1:0 takes a free one); 0 for ipc. */
unsigned link_port(const struct link_server *server);
/* No on_request runs afterwards. Not inside on_request. NULL is fine. */
void link_server_close(struct link_server *server);

/* ---- Client ---- */

struct link_client;

/* The reply to the slot's request, or why there is none: NX_OK, or NX_E_CANCELLED (link_cancel).
 * The slot is free again: link_request may be called inside. `bytes` lives until
 * the function returns. */
typedef void link_on_reply(void *arg, unsigned slot, enum nx_code code, const void *bytes,
                           size_t n);

/* Dials in the background, again and again (after 10 ms, then up to 500 ms apart): the server need
 * not be there yet. */
bool link_dial(const char *url, unsigned n_slots, link_on_reply *on_reply, void *arg,
               struct link_client **client, struct nx_err *err);
/* Likewise to tls+tcp://host:port; it dials when there is something to ask. */
bool link_dial_tls(const char *url, const struct link_tls *tls, unsigned n_slots,
                   link_on_reply *on_reply, void *arg, struct link_client **client,
                   struct nx_err *err);
/* Gives the connection up and dials anew; open requests are sent again. For who has waited too
 * long: a network that was cut may not say so for many minutes. */
void link_redial(struct link_client *client);
/* Sends the request of a slot; one at a time per slot. on_reply is called once for it, on another
 * thread, however long it takes (unless the client is closed first). */
void link_request(struct link_client *client, unsigned slot, const void *bytes, size_t n);
/* Gives the slot's request up; on_reply still comes, with NX_E_CANCELLED or the reply. */
void link_cancel(struct link_client *client, unsigned slot);
/* Whether a connection stands now. */
bool link_connected(const struct link_client *client);
/* No on_reply runs afterwards. Not inside on_reply. NULL is fine. */
void link_client_close(struct link_client *client);

#endif
