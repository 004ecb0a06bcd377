/* The HTTP server, by libmicrohttpd: two threads with epoll, requests that may be answered later
 * from another thread, and answers produced in pieces as things happen.
 *
 * Before a handler sees a request it has been checked: a Host header that names this server, an
 * Origin that is this server's on writes (all but GET, HEAD, OPTIONS), bodies of at most body_max
 * bytes and of type JSON (but on raw_paths), a path that decodes to UTF-8 without "." or "..".
 * What a GET is answered with (a body with status 200) has an ETag, is not sent again to who has
 * it, and goes packed with gzip to who takes it. What fails is answered with {"error": {"code",
 * "message", "details": null}}, and has an X-Request-Id; what failed with 500 is logged with it. */
#ifndef LIB_NET_HTTP_H
#define LIB_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/arena.h"
#include "nexus/error.h"

struct http_server;
struct http_request; /* valid inside the handler only */

/* Names a request beyond its handler; never used twice in a process. */
struct http_token {
    uint64_t v;
};

enum http_verdict {
    HTTP_ANSWERED, /* http_respond was called */
    HTTP_LATER     /* http_answer will be, for http_token_of(request), from any thread; it may
                      have been already */
};

typedef enum http_verdict http_handler(struct http_request *request, void *arg);

struct http_config {
    const char *host;             /* to listen on: a name or address; NULL: 127.0.0.1 */
    uint16_t port;                /* 0: any free one */
    bool any_address;             /* else an address that is not loopback is NX_E_DENIED */
    const char *const *names;     /* further names a Host header may have, ..., NULL; when all
                                     addresses are listened on, those of this machine are known */
    const char *const *raw_paths; /* path prefixes whose bodies may have any type, ..., NULL */
    unsigned threads;             /* 0: 2 */
    size_t body_max;              /* 0: NX_HTTP_BODY_MAX */
    unsigned connections_max;     /* 0: NX_HTTP_CONNECTIONS_MAX */
    unsigned idle_s;              /* a connection without a request is closed; 0: 60 */
    http_handler *handler;        /* called on the server's threads, several at once */
    void *arg;
};

/* NX_E_BUSY when the port is taken (the text names host and port). */
bool http_open(const struct http_config *config, struct http_server **server, struct nx_err *err);
uint16_t http_port(const struct http_server *server);
/* Refuses new requests, answers waiting ones with 503, ends streams and connections, joins the
 * threads. No handler or produce runs afterwards; http_answer and http_wake may still be called. */
void http_stop(struct http_server *server);
/* Stops and frees; nobody may use the server any more. NULL is fine. */
void http_close(struct http_server *server);

/* ---- The request ---- */

const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request); /* as sent, without the query */
/* The path's segments, percent-decoded: "/a/b%2Fc" has "a" and "b/c"; "/" has none. A final slash
 * is dropped. */
size_t http_n_segments(const struct http_request *request);
const char *http_segment(const struct http_request *request, size_t i); /* NULL beyond the last */
/* The first query parameter of that name, decoded, or NULL; and all of them. */
const char *http_query(const struct http_request *request, const char *name);
size_t http_n_queries(const struct http_request *request);
const char *http_query_at(const struct http_request *request, size_t i, const char **value);
const char *http_header(const struct http_request *request, const char *name); /* or NULL */
size_t http_n_headers(const struct http_request *request, const char *name);
/* Never NULL; followed by a zero byte. */
const char *http_body(const struct http_request *request, size_t *n);
/* Memory that lives until the answer has been sent (not beyond the handler for other threads). */
struct arena *http_arena(struct http_request *request);
struct http_server *http_server_of(const struct http_request *request);

/* ---- The answer ---- */

/* All zero but for status is an empty answer. One of body, file, stream. */
struct http_reply {
    int status;
    const char *content_type;   /* NULL: application/json */
    const char *revision;       /* stands at the end of the ETag, behind a -; NULL: nothing */
    const char *const *headers; /* "Name", "value", ..., NULL; may be NULL. A value with control
                                   characters is left out */
    /* Bytes; moved in and freed with mem_free, unless body_lives: then they outlive the server. */
    char *body;
    size_t n_body;
    bool body_lives;
    /* n_body bytes of an open file from offset; fd is closed. */
    bool from_file;
    int fd;
    uint64_t offset;
    /* A stream: produce writes at most `max` bytes and returns how many; HTTP_NOTHING_NOW: call
     * again after http_wake; HTTP_END: the end. Runs on a thread of the server, never twice at
     * once. done is called once, whatever happens, and nothing after it. */
    ssize_t (*produce)(void *arg, char *to, size_t max);
    void (*done)(void *arg);
    void *arg;
};

#define HTTP_NOTHING_NOW 0
#define HTTP_END (-1)

/* Inside the handler, once. Takes what the reply owns. */
void http_respond(struct http_request *request, const struct http_reply *reply);

/* Which part of `size` bytes is wanted. */
enum http_range {
    HTTP_RANGE_ALL,  /* no range that we know (of several parts): 200 */
    HTTP_RANGE_PART, /* 206 */
    HTTP_RANGE_NONE  /* it begins behind the end: 416 */
};
/* The value of a Range header (NULL: none); *first and *n are all bytes unless it is PART. */
enum http_range http_range_read(const char *text, uint64_t size, uint64_t *first, uint64_t *n);
/* That of a request for what has the (strong) entity tag now. */
enum http_range http_range_of(const struct http_request *request, const char *tag, uint64_t size,
                              uint64_t *first, uint64_t *n);

/* To answer after the handler returned HTTP_LATER, or to wake a stream. */
struct http_token http_token_of(struct http_request *request);
/* From any thread, once. Takes what the reply owns in any case. False when the client has gone or
 * the server is stopping: nothing was sent, which harms nothing. */
bool http_answer(struct http_server *server, struct http_token token,
                 const struct http_reply *reply);
/* From any thread: produce of this stream is called again. Also finds out whether the client has
 * gone (a stream that waits does not), so wake each every 15 s or so. False when it has ended. */
bool http_wake(struct http_server *server, struct http_token stream);
void http_wake_all(struct http_server *server); /* all streams */

/* Fills a reply: the error as JSON with its status; JSON text that is copied. */
void http_reply_error(struct http_reply *reply, const struct nx_err *err);
void http_reply_text(struct http_reply *reply, int status, const char *content_type,
                     const char *text);

/* How many connections are open, requests wait for an answer, and streams run: for /metrics. */
struct http_counts {
    unsigned connections, waiting, streams;
    uint64_t requests, refused; /* since the start; refused: by the checks above */
};
void http_counts(struct http_server *server, struct http_counts *counts);

#endif
