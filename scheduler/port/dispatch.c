#include "scheduler/port/dispatch.h"

#include "lib/base/mem.h"
#include "nexus/limits.h"

#define CONTEXTS (2 * NX_WORKERS_MAX)

struct dispatch {
    struct link_server *server;
    struct inbox *inbox;
    struct buf buf;
};

/* On one of the link's threads: decode, post, return. */
static void on_request(void *arg, unsigned context, const void *bytes, size_t n)
{
    struct dispatch *dispatch = arg;
    struct message *message = message_new(MSG_REPORT);
    struct nx_err err;
    const void *copy = arena_dup(&message->arena, bytes, n);
    message->context = context;
    if (!wire_decode_report(copy, n, &message->arena, &message->report, &err) ||
        !inbox_post(dispatch->inbox, message)) {
        message_free(message);
        link_release(dispatch->server, context); /* not one of ours: do not keep it waiting */
    }
}

bool dispatch_open(const char *url, struct inbox *inbox, struct dispatch **out, struct nx_err *err)
{
    struct dispatch *dispatch = mem_alloc(sizeof *dispatch);
    dispatch->inbox = inbox;
    buf_init(&dispatch->buf);
    if (!link_listen(url, CONTEXTS, on_request, dispatch, &dispatch->server, err)) {
        mem_free(dispatch);
        return false;
    }
    *out = dispatch;
    return true;
}

void dispatch_close(struct dispatch *dispatch)
{
    if (!dispatch)
        return;
    link_server_close(dispatch->server);
    buf_fini(&dispatch->buf);
    mem_free(dispatch);
}

/* 0 means none to the core. */
uint64_t dispatch_context(const struct message *message)
{
    return message->context + 1u;
}

void dispatch_send(struct dispatch *dispatch, const struct core *core, uint64_t epoch,
                   const struct core_update *update, const struct reply_source *source)
{
    for (size_t i = 0; i < update->sends.n; i++) {
        const struct core_send *send = &update->sends.at[i];
        buf_clear(&dispatch->buf);
        reply_encode(core, epoch, send, source, &dispatch->buf);
        link_reply(dispatch->server, (unsigned)(send->context - 1), dispatch->buf.data,
                   dispatch->buf.len);
    }
}
