/* HTTP requests to others, by libcurl: to memory, to a file, or piece by piece.
 *
 * A status of 4xx or 5xx is an answer, not an error: see fetch_check. Errors: NX_E_UNREACHABLE (no
 * connection, no such host), NX_E_TIMEOUT, NX_E_LIMIT (larger than max_bytes), NX_E_CANCELLED,
 * NX_E_INVALID (not an http or https URL), NX_E_IO; the text names the URL (without a password). */
#ifndef LIB_NET_FETCH_H
#define LIB_NET_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

#define FETCH_BYTES_MAX (64ull * 1024 * 1024) /* in memory, when max_bytes is 0 */

/* A handle that keeps its connections: the second request to a server is fast. One thread at a
 * time. */
struct fetch;

struct fetch *fetch_new(void);
void fetch_free(struct fetch *fetch);

/* All zero but for url is a GET to memory. */
struct fetch_request {
    const char *method;         /* NULL: GET, or POST with a body, or PUT with from_file */
    const char *url;            /* http:// or https:// */
    const char *shown;          /* for messages in its place; NULL: the URL without a password */
    const char *ca_file;        /* whose certificates are trusted; NULL: the system's */
    const char *const *headers; /* "Name: value", ..., NULL; may be NULL */
    const void *body; /* with a Content-Type of application/json unless headers say else */
    size_t n_body;
    const char *from_file;  /* sends this file as the body instead */
    int64_t connect_ms;     /* to connect; 0: 10 s */
    int64_t timeout_ms;     /* the whole request; 0: none */
    int64_t idle_ms;        /* ends when no byte came for so long (rounded up to s); 0: none */
    uint64_t max_bytes;     /* of the body; 0: FETCH_BYTES_MAX in memory, else none */
    unsigned redirects_max; /* followed; 0: none, a 3xx is an answer */
    /* Conditional GET: the former answer's; NULL: none. Status 304: nothing new. */
    const char *etag, *last_modified;
    /* The body of a 2xx answer goes to this file, all or nothing. */
    const char *to_file;
    /* Or piece by piece to this function; false ends the request without an error. */
    bool (*on_data)(void *arg, const char *p, size_t n);
    /* Asked a few times a second and before each piece; true ends with NX_E_CANCELLED. NULL: no. */
    bool (*cancelled)(void *arg);
    void *arg;
};

struct fetch_response {
    int status;
    struct buf body;    /* empty when it went to a file or function */
    struct buf headers; /* of the last answer: "name: value\n"..., names in lower case */
    uint64_t n_bytes;   /* of the body, wherever it went */
    bool stopped;       /* on_data returned false */
};

/* On success the response is the caller's: fetch_response_fini. */
bool fetch_run(struct fetch *fetch, const struct fetch_request *request,
               struct fetch_response *response, struct nx_err *err);
void fetch_response_fini(struct fetch_response *response);
/* Copies a header's value (name in any case) to `to`; false when absent or longer than size. */
bool fetch_header(const struct fetch_response *response, const char *name, char *to, size_t size);
/* False for a status other than 2xx and 304, with the code that fits it (404: NX_E_NOT_FOUND, 409:
 * NX_E_CONFLICT, ...) and the server's words: the message of {"error": {"code", "message"}}, or the
 * first line of its body. */
bool fetch_check(const struct fetch_response *response, const char *url, struct nx_err *err);

/* Server-sent events out of pieces of text (WHATWG HTML, section 9.2). */
struct sse {
    struct buf line, data, event, id; /* id: the last one seen; send it as Last-Event-ID */
    bool after_cr, overflow;
};

void sse_init(struct sse *sse);
void sse_fini(struct sse *sse);
/* Calls each complete event ("message" when unnamed); false when it returned false or when one was
 * larger than 1 MiB. */
bool sse_add(struct sse *sse, const char *p, size_t n,
             bool (*each)(void *arg, const char *event, const char *id, const char *data),
             void *arg);

#endif
