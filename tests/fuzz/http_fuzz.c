/* What comes over a connection to the HTTP server: any bytes get answers or the connection's end,
 * and a handler only ever sees requests that keep the promises of lib/net/http.h. The whole server
 * runs; each input is one connection to it over loopback. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/net/http.h"
#include "tests/fuzz/fuzz.h"

#define QUIET_MS 3 /* a server that says nothing for so long waits for more */

static void check_text(const char *s)
{
    must(s != NULL && str_is_utf8(s, strlen(s), NULL));
}

static enum http_verdict handle(struct http_request *request, void *arg)
{
    struct http_reply reply = {0};
    const char *value;
    size_t n;
    (void)arg;
    must(http_method(request) != NULL);
    must(http_path(request)[0] == '/');
    for (size_t i = 0; i < http_n_segments(request); i++) {
        check_text(http_segment(request, i));
        must(!str_eq(http_segment(request, i), "."));
        must(!str_eq(http_segment(request, i), ".."));
    }
    must(http_segment(request, http_n_segments(request)) == NULL);
    for (size_t i = 0; i < http_n_queries(request); i++) {
        check_text(http_query_at(request, i, &value));
        check_text(value);
    }
    (void)http_header(request, "Host");
    must(http_body(request, &n)[n] == 0 && n <= 4096);
    http_reply_text(&reply, 200, "text/plain", "seen");
    http_respond(request, &reply);
    return HTTP_ANSWERED;
}

static struct http_server *server;

/* Before leaks are looked for: it waits for the requests that are still open. */
static void close_server(void)
{
    http_close(server);
}

static uint16_t server_port(void)
{
    struct http_config config = {.handler = handle, .body_max = 4096, .threads = 1};
    struct nx_err err = {0};
    if (!server) {
        must(http_open(&config, &server, &err));
        must(atexit(close_server) == 0);
    }
    return http_port(server);
}

/* Reads until the server ends the connection or waits. */
static void read_all(int fd)
{
    char answer[4096];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, QUIET_MS) == 1)
        if (recv(fd, answer, sizeof answer, 0) <= 0)
            return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port())};
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct linger at_once = {.l_onoff = 1};
    static uint32_t n;
    const int on = 1;
    if (size > 16384)
        return 0;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* There are hundreds of connections a second, and those that the server ends keep their ports
     * for a minute: so they come from many addresses, and what we end leaves nothing. */
    from.sin_addr.s_addr = htonl(0x7f010001u + n++ % 0xfff0u);
    must(fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0);
    must(bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    while (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        if (errno != EADDRNOTAVAIL && errno != EAGAIN && errno != EINTR) {
            perror("connect");
            abort();
        }
        usleep(1000); /* the kernel is short of ports for a moment */
    }
    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    (void)send(fd, data, size, MSG_NOSIGNAL);
    read_all(fd);
    close(fd);
    return 0;
}
