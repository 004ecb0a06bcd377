#include "lib/net/link_common.h"

#include <string.h>
#include <sys/un.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "nexus/limits.h"

bool link_check_url(const char *url, struct nx_err *err)
{
    static const char *const loopback[] = {"tcp://127.0.0.1:", "tcp://localhost:", "tcp://[::1]:"};
    size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
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
    if (str_starts(url, "tcp://") || str_starts(url, "tls+tcp://"))
        return nx_fail(err, NX_E_UNSUPPORTED,
                       "%s: links between machines are not in this version; use ipc:///PATH", url);
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

nng_msg *link_make_message(const void *bytes, size_t n)
{
    nng_msg *message;
    must(n <= NX_MESSAGE_MAX);
    must(nng_msg_alloc(&message, n) == 0);
    if (n)
        memcpy(nng_msg_body(message), bytes, n);
    return message;
}
