#include "scheduler/notify_deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/net/reach.h"
#include "lib/net/smtp.h"
#include "lib/text/fill.h"
#include "lib/text/json.h"
#include "lib/text/mime.h"
#include "nexus/limits.h"
#include "scheduler/notify_text.h"

#define ANSWER_MAX 4096 /* bytes looked at of a server's answer */

static const char *said(const struct delivery *d, const char *key)
{
    return js_get_text(d->config, key, NULL);
}

static int64_t timeout_of(const struct delivery *d)
{
    return js_get_int(d->config, "timeout_ms", NX_HOOK_TIMEOUT_MS);
}

/* A text of the hook with its places filled, or the default. */
static const char *filled(struct delivery *d, const char *key, const char *fallback)
{
    const char *template = said(d, key), *fields[HOOK_FIELDS];
    struct buf text;
    if (!template)
        return fallback;
    buf_init(&text);
    tale_fields(d->body, d->arena, fields);
    fill_text(template, hook_fields, fields, HOOK_FIELDS, &text);
    const char *kept = arena_strdup(d->arena, buf_text(&text));
    buf_fini(&text);
    return kept;
}

/* In the arena; NULL: *err. */
static const char *find(struct delivery *d, bool secret, const char *name, struct nx_err *err)
{
    struct buf value;
    buf_init(&value);
    bool ok = d->find(d->arg, secret, name, &value, err);
    const char *kept = ok ? arena_strdup(d->arena, buf_text(&value)) : NULL;
    buf_fini(&value);
    return kept;
}

static bool find_conn(struct delivery *d, const char *name, bool mail, struct conn *conn,
                      struct nx_err *err)
{
    const char *uri = find(d, false, name, err);
    if (!uri)
        return nx_wrap(err, "conn");
    if (!conn_read(uri, d->arena, conn, err))
        return nx_wrap(err, "the connection '%s'", name);
    bool is_mail = conn->kind == CONN_SMTP || conn->kind == CONN_SMTPS;
    bool is_http = conn->kind == CONN_HTTP || conn->kind == CONN_HTTPS;
    return (mail ? is_mail : is_http) ||
           nx_fail(err, NX_E_INVALID, "the connection '%s' is of the kind %s, not %s", name,
                   conn_kind_name(conn->kind), mail ? "smtp or smtps" : "http or https");
}

/* ---- webhook ---- */

const char *deliver_signature(struct arena *arena, const char *secret, int64_t seconds,
                              const char *body, size_t n_body)
{
    struct buf text;
    char hex[SHA256_HEX];
    buf_init(&text);
    buf_printf(&text, "%lld.", (long long)seconds);
    buf_add(&text, body, n_body);
    hmac_sha256(secret, strlen(secret), text.data, text.len, hex);
    buf_fini(&text);
    return arena_printf(arena, "t=%lld,v1=%s", (long long)seconds, hex);
}

/* 408, 425, 429 and 5xx may pass; a redirect is not followed: the target is what the file says. */
static bool judge(struct delivery *d, int status, struct nx_err *err)
{
    if (status >= 200 && status < 300)
        return true;
    d->permanent = status < 500 && status != 408 && status != 425 && status != 429;
    if (status >= 300 && status < 400)
        return nx_fail(err, NX_E_INVALID,
                       "it answers with a redirect (status %d), which is not followed: name the "
                       "address itself",
                       status);
    return nx_fail(err, NX_E_IO, "it answers with status %d", status);
}

static bool post(struct delivery *d, const char *url, const char *shown, const char *login,
                 struct nx_err *err)
{
    struct fetch_response response = {0};
    const char *secret_name = said(d, "secret"), *signature = NULL;
    json_object_set_new(d->body, "text",
                        js_string(filled(d, "text", js_get_text(d->body, "text", ""))));
    char *text = js_text(d->body);
    const char *body = arena_strdup(d->arena, text);
    mem_free(text);
    if (secret_name) {
        const char *secret = find(d, true, secret_name, err);
        if (!secret)
            return nx_wrap(err, "it cannot be signed");
        signature = deliver_signature(d->arena, secret, clock_wall_ms() / 1000, body, strlen(body));
    }
    const char *headers[6] = {"Content-Type: application/json",
                              arena_printf(d->arena, "Nexus-Delivery: %s", d->row->delivery),
                              arena_printf(d->arena, "Nexus-Event: %s", d->row->event)};
    size_t n = 3;
    if (signature)
        headers[n++] = arena_printf(d->arena, "Nexus-Signature: %s", signature);
    if (login)
        headers[n++] = login;
    const struct fetch_request request = {.url = url,
                                          .shown = shown,
                                          .ca_file = said(d, "ca"),
                                          .headers = headers,
                                          .body = body,
                                          .n_body = strlen(body),
                                          .timeout_ms = timeout_of(d),
                                          .max_bytes = ANSWER_MAX,
                                          .cancelled = d->cancelled,
                                          .arg = d->arg};
    if (!fetch_run(d->fetch, &request, &response, err))
        return err->code == NX_E_LIMIT; /* it took it, and says more than is wanted */
    size_t n_kept = response.body.len < NX_HOOK_OUTPUT_MAX ? response.body.len : NX_HOOK_OUTPUT_MAX;
    if (n_kept && !said(d, "conn")) /* some echo what they got, also a login or an address */
        buf_add(&d->output, response.body.data, n_kept);
    bool ok = judge(d, response.status, err);
    fetch_response_fini(&response);
    return ok;
}

static bool deliver_webhook(struct delivery *d, struct nx_err *err)
{
    struct conn conn;
    const char *url = said(d, "url"), *name = said(d, "conn");
    if (url)
        return post(d, url, d->row->target, NULL, err);
    if (!find_conn(d, name, false, &conn, err))
        return false;
    return post(d, conn_below(&conn, "", d->arena), d->row->target,
                reach_authorization(&conn, d->arena), err);
}

/* ---- email ---- */

static const char *const *texts_of(const struct delivery *d, const char *key)
{
    const json_t *list = json_object_get(d->config, key);
    size_t n = json_array_size(list);
    const char **texts = arena_array(d->arena, n + 1, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = json_string_value(json_array_get(list, i));
    return texts;
}

static const char *sender_of(struct delivery *d, const struct conn *conn)
{
    const char *from = said(d, "from");
    from = from ? from : conn_option(conn, "from", d->arena);
    from = from ? from : conn->user;
    return from && mime_is_address(from) ? from : NULL;
}

static bool deliver_email(struct delivery *d, struct nx_err *err)
{
    struct conn conn;
    struct buf text;
    int reply = 0;
    const char *const headers[] = {"Auto-Submitted: auto-generated",
                                   arena_printf(d->arena, "Nexus-Event: %s", d->row->event), NULL};
    if (!find_conn(d, said(d, "conn"), true, &conn, err))
        return false;
    const struct mime_mail mail = {
        .from = sender_of(d, &conn),
        .to = texts_of(d, "to"),
        .subject = filled(d, "subject",
                          arena_printf(d->arena, "[nexus] %s", tale_subject(d->body, d->arena))),
        .body = filled(d, "body", tale_details(d->body, d->arena)),
        .message_id = arena_printf(d->arena, "%s@nexus", d->row->delivery),
        .wall_ms = d->row->created_ms,
        .headers = headers,
    };
    if (!mail.from)
        return nx_fail(err, NX_E_INVALID,
                       "there is no sender: say from: ADDRESS, or ?from=ADDRESS in the URI of the "
                       "connection");
    buf_init(&text);
    mime_write(&mail, &text);
    const struct smtp_mail smtp = {mail.from, mail.to, text.data, text.len};
    const struct smtp_bounds bounds = {timeout_of(d), d->cancelled, d->arg};
    bool ok = smtp_send(&conn, &smtp, &bounds, &reply, err);
    d->permanent = !ok && err->code == NX_E_INVALID;
    buf_fini(&text);
    return ok;
}

/* ---- command ---- */

/* What a program needs of our own environment; nothing of Nexus, no secrets. */
static size_t add_inherited(struct delivery *d, const char **env)
{
    static const char *const names[] = {"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value)
            env[n++] = arena_printf(d->arena, "%s=%s", names[i], value);
    }
    return n;
}

static bool deliver_command(struct delivery *d, struct nx_err *err)
{
    static const char *const names[HOOK_FIELDS] = {
        "EVENT",           "DAG_ID", "RUN_ID",  NULL,           "STATE",
        "REASON",          "ERROR",  "ATTEMPT", "MAX_ATTEMPTS", "INTERVAL_START",
        "INTERVAL_FINISH", "TIME",   "RUN_URL"};
    const char *env[HOOK_FIELDS + 16], *fields[HOOK_FIELDS];
    size_t n = add_inherited(d, env);
    tale_fields(d->body, d->arena, fields);
    const json_t *task = json_object_get(d->body, "task");
    env[n++] = arena_printf(d->arena, "NEXUS_TASK_ID=%s", js_get_text(task, "id", ""));
    env[n++] = arena_printf(d->arena, "NEXUS_MAP_INDEX=%lld",
                            (long long)js_get_int(task, "map_index", NX_MAP_NONE));
    for (int i = 0; i < HOOK_FIELDS; i++) {
        if (!names[i])
            continue;
        env[n++] = arena_printf(d->arena, "NEXUS_%s=%s", names[i], fields[i] ? fields[i] : "");
    }
    env[n++] = arena_printf(d->arena, "NEXUS_DELIVERY_ID=%s", d->row->delivery);
    env[n++] = arena_printf(d->arena, "NEXUS_TEXT=%s", js_get_text(d->body, "text", ""));
    env[n++] = arena_printf(d->arena, "NEXUS_MORE=%lld", (long long)d->row->more);
    env[n] = NULL;
    char *text = js_text(d->body);
    const char *body = arena_printf(d->arena, "%s\n", text);
    mem_free(text);
    return command_run(d, texts_of(d, "run"), env, body, strlen(body), timeout_of(d), err);
}

bool deliver(struct delivery *d, struct nx_err *err)
{
    if (str_eq(d->row->kind, "webhook"))
        return deliver_webhook(d, err);
    if (str_eq(d->row->kind, "email"))
        return deliver_email(d, err);
    if (str_eq(d->row->kind, "command"))
        return deliver_command(d, err);
    d->permanent = true;
    return nx_fail(err, NX_E_UNSUPPORTED, "this version knows no notification by '%s'",
                   d->row->kind);
}
