/* What the files of the HTTP server share. */
#ifndef LIB_NET_HTTP_SERVER_H
#define LIB_NET_HTTP_SERVER_H

#include <microhttpd.h>
#include <pthread.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/base/vec.h"
#include "lib/net/http.h"

struct http_server {
    struct MHD_Daemon *daemon;
    uint16_t port;
    char **names; /* what a Host header may name; n_names of them, in lower case */
    size_t n_names;
    char **raw_paths;
    size_t n_raw_paths;
    size_t body_max;
    http_handler *handler;
    void *arg;

    pthread_mutex_t lock; /* what follows, and the requests' fields that say so */
    pthread_cond_t ended; /* a request has ended */
    bool stopping;
    struct map by_token; /* requests that others may answer or wake */
    uint64_t next_token;
    int64_t opened_ms; /* with n_failed: the ids of requests that failed */
    uint64_t n_failed;
    unsigned n_open; /* requests that have not ended */
    struct http_counts counts;
};

/* A request goes down this list; RESPONDED can be reached from HANDLED and WAITS. */
enum http_phase {
    HTTP_NEW,      /* its headers have not been looked at */
    HTTP_RECEIVES, /* its body */
    HTTP_HANDLED,  /* the handler runs */
    HTTP_WAITS,    /* its connection is suspended until http_answer */
    HTTP_RESPONDED /* there is a response, handed to the library or about to be */
};

struct http_pair {
    const char *name, *value;
};

struct http_stream {
    ssize_t (*produce)(void *arg, char *to, size_t max);
    void (*done)(void *arg);
    void *arg;
    struct http_request *request;
    bool suspended, woken; /* under the server's lock */
};

/* What the client of a request can be spared: read with its headers. */
struct http_wishes {
    bool tagged, gzip; /* it may have the answer already; it takes it packed */
    char known[256];   /* tags of those that it has; "": none */
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct arena arena;
    const char *method;
    char *path; /* as sent */
    VEC(const char *) segments;
    VEC(struct http_pair) queries;
    struct buf body;
    uint64_t n_received;
    struct http_wishes wishes;
    int refused_status; /* 0: not refused */
    struct nx_err refusal;

    /* Under the server's lock. */
    enum http_phase phase;
    uint64_t token; /* 0: none */
    int status;
    struct MHD_Response *response; /* NULL: none yet, or the library has it */
    struct http_stream *stream;    /* of the response; lives as long as that */
};

/* http_check.c: fills path, segments and queries from what was sent; then checks Host, Origin and
 * length. What is wrong is put into refusal. */
void http_parse_uri(struct http_request *request, const char *uri);
void http_check_headers(struct http_request *request);
void http_check_body(struct http_request *request);
void http_refuse(struct http_request *request, int status, enum nx_code code, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* http_pack.c: the reply as the client wishes it; its headers are packed's from then on. */
#define HTTP_HEADERS_MAX 24

struct http_packed {
    const char *headers[HTTP_HEADERS_MAX];
    size_t n;
    char tag[64];
};

void http_read_wishes(struct http_request *request);
void http_pack(const struct http_wishes *wishes, struct http_reply *reply,
               struct http_packed *packed);

/* http_reply.c: the library's response for a reply, whose things it takes. *stream is set when it
 * is one. */
struct MHD_Response *http_make_response(const struct http_reply *reply,
                                        struct http_stream **stream);
/* Frees what the reply owns. */
void http_drop_reply(const struct http_reply *reply);

/* http.c: what the library calls, as it wants it: a request begins, has headers or a body, ends; a
 * stream's next bytes. */
void *http_begin(void *arg, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_access(void *arg, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *n_data, void **context);
void http_end(void *arg, struct MHD_Connection *connection, void **context,
              enum MHD_RequestTerminationCode why);
ssize_t http_stream_read(void *arg, uint64_t position, char *to, size_t max);

#endif
