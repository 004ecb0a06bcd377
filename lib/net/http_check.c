/* The HTTP server: a request's address, and the checks before its handler. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/net/http_server.h"

void http_refuse(struct http_request *request, int status, enum nx_code code, const char *format,
                 ...)
{
    char text[NX_ERR_TEXT_MAX];
    if (request->refused_status)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    nx_fail(&request->refusal, code, "%s", text);
    request->refused_status = status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes n bytes in place and ends them with 0. False: a bad escape, a zero byte, not UTF-8. */
static bool decode(char *s, size_t n, bool plus_is_space)
{
    char *to = s;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            if (n - i < 3)
                return false;
            int high = hex_digit(s[i + 1]), low = hex_digit(s[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!c)
            return false;
        *to++ = c;
    }
    *to = 0;
    return str_is_utf8(s, (size_t)(to - s), NULL);
}

static bool parse_path(struct http_request *request, char *at)
{
    if (*at++ != '/')
        return false;
    while (*at) {
        size_t n = strcspn(at, "/");
        char *next = at[n] ? at + n + 1 : at + n;
        if (n == 0 || !decode(at, n, false) || str_eq(at, ".") || str_eq(at, ".."))
            return false;
        vec_push(&request->segments, at);
        at = next;
    }
    return true;
}

static bool parse_query(struct http_request *request, char *at)
{
    while (*at) {
        size_t n = strcspn(at, "&");
        char *next = at[n] ? at + n + 1 : at + n;
        at[n] = 0;
        char *equals = strchr(at, '=');
        char *value = equals ? equals + 1 : at + n;
        if (equals)
            *equals = 0;
        if (!decode(value, strlen(value), true) || !decode(at, strlen(at), true))
            return false;
        if (*at)
            vec_push(&request->queries, ((struct http_pair){at, value}));
        at = next;
    }
    return true;
}

void http_parse_uri(struct http_request *request, const char *uri)
{
    char *copy = arena_strdup(&request->arena, uri);
    char *query = strchr(copy, '?');
    if (query)
        *query++ = 0;
    request->path = arena_strdup(&request->arena, copy);
    if (!parse_path(request, copy))
        http_refuse(request, 400, NX_E_INVALID, "the path is not a valid one: %.200s",
                    request->path);
    if (query && !parse_query(request, query))
        http_refuse(request, 400, NX_E_INVALID, "the query is not valid percent-encoded UTF-8");
}

static bool is_write(const struct http_request *request)
{
    const char *m = request->method;
    return !str_eq(m, "GET") && !str_eq(m, "HEAD") && !str_eq(m, "OPTIONS");
}

/* "name" or "name:port" of one of the allowed names, and of this port when one is given. */
static bool names_this_server(const struct http_server *server, const char *host)
{
    const char *colon = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    if (colon && bracket && bracket > colon)
        colon = NULL;
    size_t n = colon ? (size_t)(colon - host) : strlen(host);
    if (colon) {
        char port[8];
        snprintf(port, sizeof port, "%u", server->port);
        if (!str_eq(colon + 1, port))
            return false;
    }
    for (size_t i = 0; i < server->n_names; i++) {
        if (strlen(server->names[i]) == n && strncasecmp(server->names[i], host, n) == 0)
            return true;
    }
    return false;
}

/* A page of another address must not write here; programs send no Origin. */
static bool same_origin(const char *origin, const char *host)
{
    if (strncasecmp(origin, "http://", 7) == 0)
        return strcasecmp(origin + 7, host) == 0;
    if (strncasecmp(origin, "https://", 8) == 0)
        return strcasecmp(origin + 8, host) == 0;
    return false;
}

void http_check_headers(struct http_request *request)
{
    struct http_server *server = request->server;
    const char *host = http_header(request, "Host");
    const char *origin = http_header(request, "Origin");
    const char *length = http_header(request, "Content-Length");
    int64_t n;
    size_t n_hosts = http_n_headers(request, "Host");
    if (n_hosts > 1)
        http_refuse(request, 400, NX_E_INVALID, "%zu Host headers", n_hosts);
    else if (!host || !names_this_server(server, host))
        http_refuse(request, 403, NX_E_DENIED,
                    "the Host header '%.200s' does not name this server; use the address that it "
                    "listens on",
                    host ? host : "");
    else if (origin && is_write(request) && !same_origin(origin, host))
        http_refuse(request, 403, NX_E_DENIED, "pages of %.200s may not write here", origin);
    if (length && (!str_parse_int(length, &n) || n < 0))
        http_refuse(request, 400, NX_E_INVALID, "Content-Length is not a number");
    else if (length && (uint64_t)n > server->body_max)
        http_refuse(request, 413, NX_E_LIMIT, "the body has %lld bytes, at most %zu are taken",
                    (long long)n, server->body_max);
}

static bool is_json(const char *type)
{
    size_t n = strcspn(type, "; \t");
    static const char start[] = "application/", suffix[] = "+json";
    if (n < strlen(start) || strncasecmp(type, start, strlen(start)) != 0)
        return false;
    if (n == 16 && strncasecmp(type, "application/json", 16) == 0)
        return true;
    return n > strlen(start) + strlen(suffix) &&
           strncasecmp(type + n - strlen(suffix), suffix, strlen(suffix)) == 0;
}

void http_check_body(struct http_request *request)
{
    struct http_server *server = request->server;
    if (!request->n_received || !is_write(request))
        return;
    for (size_t i = 0; i < server->n_raw_paths; i++) {
        if (str_starts(request->path, server->raw_paths[i]))
            return;
    }
    const char *type = http_header(request, "Content-Type");
    if (!type || !is_json(type))
        http_refuse(request, 415, NX_E_INVALID,
                    "the body's Content-Type is '%.100s', not application/json", type ? type : "");
}
