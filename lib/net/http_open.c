/* The HTTP server: opening, its address, and what a request has. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/net/http_server.h"
#include "nexus/limits.h"

#define THREADS 2
#define IDLE_S 60
#define BACKLOG 511

/* ---- The address ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static bool bind_and_listen(const struct addrinfo *at, int *fd, uint16_t *port)
{
    int one = 1;
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    int made = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return false;
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(made, at->ai_addr, at->ai_addrlen) != 0 || listen(made, BACKLOG) != 0 ||
        getsockname(made, (struct sockaddr *)(void *)&bound, &n) != 0) {
        int why = errno;
        close(made);
        errno = why;
        return false;
    }
    *fd = made;
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)(void *)&bound)->sin_port);
    return true;
}

static bool open_socket(const struct http_config *config, int *fd, uint16_t *port,
                        struct nx_err *err)
{
    const char *host = config->host ? config->host : "127.0.0.1";
    /* The name stands for two addresses; browsers and curl try both. */
    const char *name = strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *at;
    char service[8];
    snprintf(service, sizeof service, "%u", config->port);
    int rc = getaddrinfo(name, service, &hints, &at);
    if (rc != 0)
        return nx_fail(err, NX_E_INVALID, "cannot listen on %s: %s", host, gai_strerror(rc));
    bool ok = config->any_address || is_loopback(at->ai_addr);
    if (!ok)
        nx_fail(err, NX_E_DENIED,
                "will not listen on %s: other machines could reach it; use 127.0.0.1", host);
    else if (!bind_and_listen(at, fd, port))
        ok = nx_fail(err,
                     errno == EADDRINUSE ? NX_E_BUSY
                     : errno == EACCES   ? NX_E_DENIED
                                         : NX_E_IO,
                     "cannot listen on %s port %u: %s", host, config->port, strerror(errno));
    freeaddrinfo(at);
    return ok;
}

/* ---- Opening ---- */

struct names {
    char **at;
    size_t n, cap;
};

static char **copy_list(const char *const *list, size_t *n)
{
    VEC(char *) copies = {0};
    for (; list && *list; list++)
        vec_push(&copies, mem_strdup(*list));
    *n = copies.n;
    return copies.at;
}

/* Of this machine: its name and its addresses. */
static void add_own_names(struct names *names)
{
    char text[INET6_ADDRSTRLEN + 3];
    struct ifaddrs *all = NULL;
    if (gethostname(text, sizeof text - 1) == 0)
        vec_push(names, mem_strdup(text));
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
        char address[INET6_ADDRSTRLEN];
        const void *bytes = family == AF_INET
                                ? &((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr
                            : family == AF_INET6
                                ? (void *)&((struct sockaddr_in6 *)(void *)one->ifa_addr)->sin6_addr
                                : NULL;
        if (!bytes || !inet_ntop(family, bytes, address, sizeof address))
            continue;
        snprintf(text, sizeof text, family == AF_INET6 ? "[%s]" : "%s", address);
        vec_push(names, mem_strdup(text));
    }
    freeifaddrs(all);
}

static void set_names(struct http_server *server, const struct http_config *config)
{
    struct names names = {0};
    static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < 3; i++)
        vec_push(&names, mem_strdup(always[i]));
    if (config->host) {
        char name[300];
        bool bare_ip6 = strchr(config->host, ':') && config->host[0] != '[';
        snprintf(name, sizeof name, bare_ip6 ? "[%s]" : "%s", config->host);
        vec_push(&names, mem_strdup(name));
    }
    if (config->host && (str_eq(config->host, "0.0.0.0") || str_eq(config->host, "::")))
        add_own_names(&names);
    for (const char *const *name = config->names; name && *name; name++)
        vec_push(&names, mem_strdup(*name));
    server->names = names.at;
    server->n_names = names.n;
}

/* The library would decode in place; http_check.c does it by stricter rules. */
static size_t leave_as_it_is(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg;
    (void)connection;
    return strlen(s);
}

static struct MHD_Daemon *start_daemon(struct http_server *server, const struct http_config *config,
                                       int fd)
{
    unsigned connections =
        config->connections_max ? config->connections_max : NX_HTTP_CONNECTIONS_MAX;
    unsigned threads = config->threads ? config->threads : THREADS;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
        http_access, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, threads,
        MHD_OPTION_CONNECTION_LIMIT, connections < threads ? threads : connections,
        MHD_OPTION_CONNECTION_TIMEOUT, config->idle_s ? config->idle_s : (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)NX_HTTP_HEADERS_MAX,
        MHD_OPTION_URI_LOG_CALLBACK, http_begin, server, MHD_OPTION_NOTIFY_COMPLETED, http_end,
        server, MHD_OPTION_UNESCAPE_CALLBACK, leave_as_it_is, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
}

static struct http_server *make_server(const struct http_config *config)
{
    struct http_server *server = mem_alloc(sizeof *server);
    pthread_condattr_t monotonic;
    server->body_max = config->body_max ? config->body_max : NX_HTTP_BODY_MAX;
    server->handler = config->handler;
    server->arg = config->arg;
    server->raw_paths = copy_list(config->raw_paths, &server->n_raw_paths);
    set_names(server, config);
    map_init(&server->by_token);
    server->opened_ms = clock_wall_ms();
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return server;
}

bool http_open(const struct http_config *config, struct http_server **server, struct nx_err *err)
{
    int fd = -1;
    uint16_t port = 0;
    must(config->handler);
    if (!open_socket(config, &fd, &port, err))
        return false;
    struct http_server *made = make_server(config);
    made->port = port;
    *server = made; /* handlers may look at it at once */
    struct MHD_Daemon *daemon = start_daemon(made, config, fd);
    if (!daemon) {
        int why = errno;
        close(fd);
        made->stopping = true; /* there is nothing to stop */
        http_close(made);
        *server = NULL;
        return nx_fail(err, NX_E_IO, "cannot start the HTTP server on port %u: %s", port,
                       strerror(why));
    }
    pthread_mutex_lock(&made->lock);
    made->daemon = daemon;
    pthread_mutex_unlock(&made->lock);
    return true;
}

uint16_t http_port(const struct http_server *server)
{
    return server->port;
}

void http_counts(struct http_server *server, struct http_counts *counts)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    pthread_mutex_lock(&server->lock);
    *counts = server->counts;
    pthread_mutex_unlock(&server->lock);
    counts->connections = info ? info->num_connections : 0;
}

/* ---- The request ---- */

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

size_t http_n_segments(const struct http_request *request)
{
    return request->segments.n;
}

const char *http_segment(const struct http_request *request, size_t i)
{
    return i < request->segments.n ? request->segments.at[i] : NULL;
}

const char *http_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->queries.n; i++) {
        if (str_eq(request->queries.at[i].name, name))
            return request->queries.at[i].value;
    }
    return NULL;
}

size_t http_n_queries(const struct http_request *request)
{
    return request->queries.n;
}

const char *http_query_at(const struct http_request *request, size_t i, const char **value)
{
    must(i < request->queries.n);
    *value = request->queries.at[i].value;
    return request->queries.at[i].name;
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct header_count {
    const char *name;
    size_t n;
};

static enum MHD_Result count_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct header_count *count = arg;
    (void)kind;
    (void)value;
    count->n += strcasecmp(name, count->name) == 0;
    return MHD_YES;
}

size_t http_n_headers(const struct http_request *request, const char *name)
{
    struct header_count count = {name, 0};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_header, &count);
    return count.n;
}

const char *http_body(const struct http_request *request, size_t *n)
{
    *n = request->body.len;
    return buf_text(&request->body);
}

struct arena *http_arena(struct http_request *request)
{
    return &request->arena;
}

struct http_server *http_server_of(const struct http_request *request)
{
    return request->server;
}
