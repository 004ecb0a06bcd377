/* TLS of the link: from texts to NNG's configuration. TLS 1.2 or newer; the client accepts one
 * certificate, the server's own, and asks for its name. */
#ifndef LIB_NET_LINK_TLS_H
#define LIB_NET_LINK_TLS_H

#include <nng/nng.h>

#include "lib/net/link.h"

bool link_tls_server(const struct link_tls *tls, nng_stream_listener *listener, struct nx_err *err);
bool link_tls_client(const struct link_tls *tls, nng_stream_dialer *dialer, struct nx_err *err);
/* The address at the other end, without its port. */
void link_tls_peer(nng_stream *stream, char to[LINK_PEER_MAX]);

/* The network there that one peer may have all of: an IPv4 address, the first 64 bits of an IPv6
 * one. */
void link_tls_network(nng_stream *stream, char to[LINK_PEER_MAX]);

#endif
