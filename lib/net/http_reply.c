/* The HTTP server: replies. */
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/net/http_server.h"

#define STREAM_BLOCK 16384

static void free_stream(void *arg)
{
    struct http_stream *stream = arg;
    if (stream->done)
        stream->done(stream->arg);
    mem_free(stream);
}

static struct MHD_Response *make_stream(const struct http_reply *reply, struct http_stream **stream)
{
    struct http_stream *made = mem_alloc(sizeof *made);
    made->produce = reply->produce;
    made->done = reply->done;
    made->arg = reply->arg;
    *stream = made;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, http_stream_read, made,
                                             free_stream);
}

static struct MHD_Response *make_plain(const struct http_reply *reply)
{
    if (reply->from_file)
        return MHD_create_response_from_fd_at_offset64(reply->n_body, reply->fd, reply->offset);
    if (!reply->body)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (reply->body_lives)
        return MHD_create_response_from_buffer(reply->n_body, reply->body, MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer_with_free_callback(reply->n_body, reply->body, mem_free);
}

struct MHD_Response *http_make_response(const struct http_reply *reply, struct http_stream **stream)
{
    must(reply->status >= 200 && reply->status <= 599);
    must(!!reply->body + !!reply->from_file + !!reply->produce <= 1);
    struct MHD_Response *response = reply->produce ? make_stream(reply, stream) : make_plain(reply);
    must(response);
    bool has_content = reply->body || reply->from_file || reply->produce;
    if (has_content || reply->content_type)
        MHD_add_response_header(response, "Content-Type",
                                reply->content_type ? reply->content_type : "application/json");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (const char *const *h = reply->headers; h && *h; h += 2)
        MHD_add_response_header(response, h[0], h[1]);
    return response;
}

void http_drop_reply(const struct http_reply *reply)
{
    if (reply->from_file)
        close(reply->fd);
    if (reply->body && !reply->body_lives)
        mem_free(reply->body);
    if (reply->produce && reply->done)
        reply->done(reply->arg);
}

/* A JSON string; what is not UTF-8 becomes '?'. */
static void add_json_string(struct buf *buf, const char *s)
{
    size_t n = strlen(s), bad;
    buf_char(buf, '"');
    while (n) {
        size_t good = str_is_utf8(s, n, &bad) ? n : bad;
        for (size_t i = 0; i < good; i++) {
            unsigned char c = (unsigned char)s[i];
            if (c == '"' || c == '\\')
                buf_printf(buf, "\\%c", c);
            else if (c < 0x20)
                buf_printf(buf, "\\u%04x", c);
            else
                buf_char(buf, s[i]);
        }
        if (good < n) {
            buf_char(buf, '?');
            good++;
        }
        s += good;
        n -= good;
    }
    buf_char(buf, '"');
}

void http_reply_error(struct http_reply *reply, const struct nx_err *err)
{
    const struct nx_code_info *info = nx_code_info(err->code);
    struct buf buf;
    buf_init(&buf);
    buf_printf(&buf, "{\"error\": {\"code\": \"%s\", \"message\": ", info->name);
    add_json_string(&buf, err->text);
    buf_str(&buf, ", \"details\": null}}\n");
    memset(reply, 0, sizeof *reply);
    reply->status = info->http_status;
    reply->body = buf_take(&buf, &reply->n_body);
}

void http_reply_text(struct http_reply *reply, int status, const char *content_type,
                     const char *text)
{
    memset(reply, 0, sizeof *reply);
    reply->status = status;
    reply->content_type = content_type;
    reply->n_body = strlen(text);
    reply->body = mem_dup(text, reply->n_body);
}
