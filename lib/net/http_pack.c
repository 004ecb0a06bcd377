/* The HTTP server: what a client may be spared. An answer to a GET that it has already (RFC 9110,
 * ETag and If-None-Match) is sent as 304; a long one goes packed (gzip) to those who take that. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/net/http_server.h"

#define PACK_MIN 1400 /* shorter answers fit into a packet anyway */
#define PACK_LEVEL 3  /* of zlib: most of the gain for little of the time */

/* Whether a list such as "gzip, br;q=0.5" has the word without q=0. */
static bool takes(const char *list, const char *word)
{
    size_t n_word = strlen(word);
    while (list && *list) {
        list += strspn(list, " ,\t");
        size_t n = strcspn(list, ","), n_name = strcspn(list, ",; \t");
        const char *q = n_name < n ? strstr(list + n_name, "q=0") : NULL;
        bool never = q && q < list + n && strspn(q + 3, ".0") == (size_t)strcspn(q + 3, ", \t");
        if (n_name == n_word && strncmp(list, word, n_word) == 0)
            return !never;
        list += n;
    }
    return false;
}

void http_read_wishes(struct http_request *request)
{
    struct http_wishes *wishes = &request->wishes;
    const char *known = http_header(request, "If-None-Match");
    bool get = str_eq(request->method, "GET") || str_eq(request->method, "HEAD");
    *wishes = (struct http_wishes){.tagged = get,
                                   .gzip = takes(http_header(request, "Accept-Encoding"), "gzip")};
    if (get && known)
        str_copy(wishes->known, sizeof wishes->known, known); /* too long: not known */
}

static bool has_header(const struct http_reply *reply, const char *name)
{
    for (const char *const *h = reply->headers; h && *h; h += 2) {
        if (str_eq(h[0], name))
            return true;
    }
    return false;
}

static void add(struct http_packed *packed, const char *name, const char *value)
{
    must(packed->n + 2 < HTTP_HEADERS_MAX);
    packed->headers[packed->n++] = name;
    packed->headers[packed->n++] = value;
    packed->headers[packed->n] = NULL;
}

static void free_body(struct http_reply *reply)
{
    if (!reply->body_lives)
        mem_free(reply->body);
    reply->body = NULL;
    reply->n_body = 0;
    reply->body_lives = false;
}

/* Replaces the body; left as it is when that would not be shorter. */
static bool pack(struct http_reply *reply)
{
    z_stream z = {0};
    uLong most = compressBound((uLong)reply->n_body) + 32;
    char *to = mem_alloc(most);
    must(deflateInit2(&z, PACK_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)reply->body;
    z.avail_in = (uInt)reply->n_body;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)most;
    int rc = deflate(&z, Z_FINISH);
    size_t n = z.total_out;
    deflateEnd(&z);
    if (rc != Z_STREAM_END || n >= reply->n_body) {
        mem_free(to);
        return false;
    }
    free_body(reply);
    reply->body = to;
    reply->n_body = n;
    return true;
}

void http_pack(const struct http_wishes *wishes, struct http_reply *reply,
               struct http_packed *packed)
{
    char hash[SHA256_HEX];
    packed->n = 0;
    packed->headers[0] = NULL;
    for (const char *const *h = reply->headers; h && *h; h += 2)
        add(packed, h[0], h[1]);
    bool whole = reply->status == 200 && reply->body && reply->n_body < UINT32_MAX / 2;
    if (!whole || has_header(reply, "Content-Encoding"))
        return;
    if (wishes->tagged && !has_header(reply, "ETag")) {
        sha256_of(reply->body, reply->n_body, hash);
        snprintf(packed->tag, sizeof packed->tag, "W/\"%.16s%s%.32s\"", hash,
                 reply->revision ? "-" : "", reply->revision ? reply->revision : "");
        add(packed, "ETag", packed->tag);
        if (!has_header(reply, "Cache-Control"))
            add(packed, "Cache-Control", "private, no-cache");
        if (wishes->known[0] &&
            (strstr(wishes->known, packed->tag + 2) || str_eq(wishes->known, "*"))) {
            free_body(reply);
            reply->status = 304;
        }
    }
    if (reply->body && reply->n_body >= PACK_MIN) {
        add(packed, "Vary", "Accept-Encoding");
        if (wishes->gzip && pack(reply))
            add(packed, "Content-Encoding", "gzip");
    }
    reply->headers = packed->headers;
}
