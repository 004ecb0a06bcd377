#include "scheduler/port/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "nexus/limits.h"
#include "scheduler/port/depot.h"

#define CONTEXTS (2 * NX_WORKERS_MAX)
/* Of workers elsewhere: report, listen, and what they ask the depot for at a time. */
#define CONTEXTS_ELSEWHERE (8 * NX_WORKERS_MAX)

struct dispatch {
    struct link_server *server;
    struct link_server *elsewhere; /* its contexts follow those of `server` */
    struct depot *depot;
    struct tokens *tokens;
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

/* ---- Workers elsewhere ---- */

/* In the form of an answer to what was asked. */
static void refuse(struct dispatch *dispatch, unsigned context, bool is_bulk,
                   const struct nx_err *err)
{
    struct buf buf = {0};
    struct wire_bytes text = wire_text(err->text, strlen(err->text));
    if (is_bulk) {
        const struct bulk_reply reply = {.code = (uint8_t)err->code, .text = text};
        bulk_encode_reply(&buf, &reply);
    } else {
        const struct wire_reply reply = {.refused = 1, .text = text};
        struct wire_reply_writer writer;
        wire_reply_begin(&writer, &buf, &reply);
        wire_reply_end(&writer, false);
    }
    link_reply(dispatch->elsewhere, context, buf.data, buf.len);
    buf_fini(&buf);
}

static bool post_report(struct dispatch *dispatch, unsigned context, const char *token,
                        struct wire_bytes request, struct nx_err *err)
{
    char peer[LINK_PEER_MAX];
    struct message *message = message_new(MSG_REPORT);
    const void *copy = arena_dup(&message->arena, request.p, request.n);
    link_peer(dispatch->elsewhere, context, peer);
    message->context = CONTEXTS + context;
    if (!wire_decode_report(copy, request.n, &message->arena, &message->report, err)) {
        message_free(message);
        return false;
    }
    message->report.ipc = 0;
    message->report.address = wire_text(arena_strdup(&message->arena, peer), strlen(peer));
    message->report.token = wire_text(arena_strdup(&message->arena, token), strlen(token));
    if (inbox_post(dispatch->inbox, message))
        return true;
    message_free(message);
    return nx_fail(err, NX_E_BUSY, "the scheduler has too much to do");
}

/* A worker's every message begins with its token. */
static bool is_known(void *arg, const void *bytes, size_t n)
{
    struct dispatch *dispatch = arg;
    struct wire_bytes token, rest;
    char id[TOKEN_ID_MAX];
    return bulk_open_envelope(bytes, n, &token, &rest) &&
           tokens_check(dispatch->tokens, token, id, NULL);
}

static void on_request_elsewhere(void *arg, unsigned context, const void *bytes, size_t n)
{
    struct dispatch *dispatch = arg;
    struct wire_bytes token, request;
    char id[TOKEN_ID_MAX];
    struct nx_err err;
    if (!bulk_open_envelope(bytes, n, &token, &request)) {
        link_disown(dispatch->elsewhere, context);
        link_release(dispatch->elsewhere, context);
        return;
    }
    bool is_bulk = bulk_is_request(request.p, request.n);
    bool ok = tokens_check(dispatch->tokens, token, id, &err);
    if (!ok)
        link_disown(dispatch->elsewhere, context);
    if (ok && is_bulk)
        depot_take(dispatch->depot, context, id, request.p, request.n);
    else if (ok)
        ok = post_report(dispatch, context, id, request, &err);
    if (!ok)
        refuse(dispatch, context, is_bulk, &err);
}

static void on_depot_answer(void *arg, unsigned context, const void *bytes, size_t n)
{
    struct dispatch *dispatch = arg;
    link_reply(dispatch->elsewhere, context, bytes, n);
}

/* ---- Beginning and end ---- */

static bool listen_elsewhere(struct dispatch *dispatch, const struct dispatch_config *config,
                             struct nx_err *err)
{
    return depot_open(config->home, on_depot_answer, dispatch, &dispatch->depot, err) &&
           link_listen_tls(config->elsewhere_url, config->tls, CONTEXTS_ELSEWHERE,
                           on_request_elsewhere, is_known, dispatch, &dispatch->elsewhere, err);
}

bool dispatch_open(const struct dispatch_config *config, struct dispatch **out, struct nx_err *err)
{
    char url[512];
    int k = snprintf(url, sizeof url, "ipc://%s/run/dispatch.sock", config->home);
    if (k < 0 || (size_t)k >= sizeof url)
        return nx_fail(err, NX_E_LIMIT, "the path of the home is too long: %s", config->home);
    struct dispatch *dispatch = mem_alloc(sizeof *dispatch);
    dispatch->inbox = config->inbox;
    dispatch->tokens = config->tokens;
    buf_init(&dispatch->buf);
    if (!link_listen(url, CONTEXTS, on_request, dispatch, &dispatch->server, err) ||
        (config->elsewhere_url && !listen_elsewhere(dispatch, config, err))) {
        dispatch_close(dispatch);
        return false;
    }
    *out = dispatch;
    return true;
}

void dispatch_close(struct dispatch *dispatch)
{
    if (!dispatch)
        return;
    depot_stop(dispatch->depot); /* it answers on the link */
    link_server_close(dispatch->elsewhere);
    depot_close(dispatch->depot);
    link_server_close(dispatch->server);
    buf_fini(&dispatch->buf);
    mem_free(dispatch);
}

unsigned dispatch_port(const struct dispatch *dispatch)
{
    return dispatch->elsewhere ? link_port(dispatch->elsewhere) : 0;
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
        unsigned context = (unsigned)(send->context - 1);
        bool elsewhere = context >= CONTEXTS;
        buf_clear(&dispatch->buf);
        reply_encode(core, epoch, send, elsewhere, source, &dispatch->buf);
        if (elsewhere)
            link_reply(dispatch->elsewhere, context - CONTEXTS, dispatch->buf.data,
                       dispatch->buf.len);
        else
            link_reply(dispatch->server, context, dispatch->buf.data, dispatch->buf.len);
    }
}
