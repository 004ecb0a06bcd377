#include "lib/net/link_tls.h"

#include <arpa/inet.h>
#include <nng/supplemental/tls/tls.h>
#include <string.h>

#include "lib/base/must.h"

static bool fail(int rv, const char *what, struct nx_err *err)
{
    return nx_fail(err, rv == NNG_ENOTSUP ? NX_E_UNSUPPORTED : NX_E_INVALID, "TLS: %s: %s", what,
                   nng_strerror(rv));
}

bool link_tls_server(const struct link_tls *tls, nng_stream_listener *listener, struct nx_err *err)
{
    nng_tls_config *config;
    const char *what = "cannot be configured";
    /* NNG would listen without one, and then no handshake succeeds. */
    must(tls->certificate && tls->key);
    int rv = nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER);
    if (rv != 0)
        return fail(rv, what, err);
    rv = nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_2);
    if (rv == 0) {
        what = "the certificate and its key";
        rv = nng_tls_config_own_cert(config, tls->certificate, tls->key, NULL);
    }
    if (rv == 0)
        rv = nng_stream_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config); /* the listener has its own hold */
    return rv == 0 || fail(rv, what, err);
}

bool link_tls_client(const struct link_tls *tls, nng_stream_dialer *dialer, struct nx_err *err)
{
    nng_tls_config *config;
    const char *what = "cannot be configured";
    must(tls->certificate && tls->name);
    int rv = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);
    if (rv != 0)
        return fail(rv, what, err);
    rv = nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_2);
    if (rv == 0)
        rv = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rv == 0) {
        what = "the certificate";
        rv = nng_tls_config_ca_chain(config, tls->certificate, NULL);
    }
    if (rv == 0)
        rv = nng_tls_config_server_name(config, tls->name);
    if (rv == 0)
        rv = nng_stream_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config);
    return rv == 0 || fail(rv, what, err);
}

/* "" for what is no address of the Internet. */
static void write_address(const nng_sockaddr *at, char to[LINK_PEER_MAX])
{
    to[0] = 0;
    if (at->s_family == NNG_AF_INET)
        inet_ntop(AF_INET, &at->s_in.sa_addr, to, LINK_PEER_MAX);
    else if (at->s_family == NNG_AF_INET6)
        inet_ntop(AF_INET6, &at->s_in6.sa_addr, to, LINK_PEER_MAX);
}

void link_tls_peer(nng_stream *stream, char to[LINK_PEER_MAX])
{
    nng_sockaddr at = {0};
    (void)nng_stream_get_addr(stream, NNG_OPT_REMADDR, &at);
    write_address(&at, to);
}

void link_tls_network(nng_stream *stream, char to[LINK_PEER_MAX])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:192.0.2.1 */
    nng_sockaddr at = {0};
    (void)nng_stream_get_addr(stream, NNG_OPT_REMADDR, &at);
    if (at.s_family == NNG_AF_INET6 && memcmp(at.s_in6.sa_addr, mapped, sizeof mapped) != 0)
        memset(at.s_in6.sa_addr + 8, 0, 8);
    write_address(&at, to);
}
