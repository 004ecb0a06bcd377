#include "lib/net/smtp.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/must.h"
#include "lib/base/str.h"

#define CONNECT_MS 10000

/* One mail under way. */
struct session {
    const struct smtp_mail *mail;
    const struct smtp_bounds *bounds;
    CURL *curl;
    size_t at; /* of the text */
    bool cancelled;
    char error[CURL_ERROR_SIZE];
};

static size_t on_upload(char *to, size_t size, size_t n, void *arg)
{
    struct session *s = arg;
    size_t left = s->mail->n_text - s->at;
    n = size * n < left ? size * n : left;
    if (n)
        memcpy(to, s->mail->text + s->at, n);
    s->at += n;
    return n;
}

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    (void)p, (void)arg;
    return size * n;
}

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    struct session *s = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;
    s->cancelled = s->bounds->cancelled && s->bounds->cancelled(s->bounds->arg);
    return s->cancelled;
}

static bool is_loopback(const struct conn *conn)
{
    return str_eq(conn->host, "::1") || str_starts(conn->host, "127.") ||
           strcasecmp(conn->host, "localhost") == 0;
}

/* STARTTLS is required unless the URI says else, but on this machine. */
static long tls_of(const struct conn *conn, struct arena *arena)
{
    const char *tls = conn_option(conn, "tls", arena);
    if (conn->kind == CONN_SMTPS || (tls && str_eq(tls, "required")))
        return CURLUSESSL_ALL;
    if (tls)
        return str_eq(tls, "try") ? CURLUSESSL_TRY : CURLUSESSL_NONE;
    return is_loopback(conn) ? CURLUSESSL_TRY : CURLUSESSL_ALL;
}

static void set_server(struct session *s, const struct conn *conn, struct arena *arena)
{
    CURL *c = s->curl;
    const char *ca = conn_option(conn, "ca", arena);
    curl_easy_setopt(c, CURLOPT_URL, conn_origin(conn, arena));
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_USE_SSL, tls_of(conn, arena));
    if (ca)
        curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    if (conn->user && conn->user[0])
        curl_easy_setopt(c, CURLOPT_USERNAME, conn->user);
    if (conn->password)
        curl_easy_setopt(c, CURLOPT_PASSWORD, conn->password);
}

static void set_bounds(struct session *s)
{
    CURL *c = s->curl;
    int64_t ms = s->bounds->timeout_ms;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(ms && ms < CONNECT_MS ? ms : CONNECT_MS));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)ms);
    curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)((ms + 999) / 1000));
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
}

/* curl keeps its own copy of the addresses. */
static struct curl_slist *set_mail(struct session *s, struct arena *arena)
{
    CURL *c = s->curl;
    struct curl_slist *to = NULL;
    if (!s->mail) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "NOOP");
        return NULL;
    }
    curl_easy_setopt(c, CURLOPT_MAIL_FROM, arena_printf(arena, "<%s>", s->mail->from));
    for (const char *const *at = s->mail->to; *at; at++)
        to = curl_slist_append(to, arena_printf(arena, "<%s>", *at));
    curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(c, CURLOPT_READDATA, s);
    return to;
}

static enum nx_code code_of(CURLcode rc, long reply)
{
    switch (rc) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_GOT_NOTHING:
        return NX_E_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return NX_E_TIMEOUT;
    case CURLE_LOGIN_DENIED:
    case CURLE_USE_SSL_FAILED:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return NX_E_DENIED;
    default:
        return reply >= 500 && reply < 600 ? NX_E_INVALID : NX_E_IO;
    }
}

static bool finish(struct session *s, CURLcode rc, int *reply, struct nx_err *err)
{
    long status = 0;
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (reply)
        *reply = (int)status;
    if (rc == CURLE_OK)
        return true;
    if (s->cancelled)
        return nx_fail(err, NX_E_CANCELLED, "cancelled");
    const char *text = s->error[0] ? s->error : curl_easy_strerror(rc);
    if (rc == CURLE_USE_SSL_FAILED)
        text = "the server offers no STARTTLS, without which nothing is sent to it (tls=try or "
               "tls=none in the connection's URI allows it)";
    return nx_fail(err, code_of(rc, status), "%s", text);
}

bool smtp_send(const struct conn *conn, const struct smtp_mail *mail,
               const struct smtp_bounds *bounds, int *reply, struct nx_err *err)
{
    struct session s = {.mail = mail, .bounds = bounds, .curl = curl_easy_init()};
    struct arena arena;
    must(s.curl && (conn->kind == CONN_SMTP || conn->kind == CONN_SMTPS));
    arena_init(&arena);
    set_server(&s, conn, &arena);
    set_bounds(&s);
    struct curl_slist *to = set_mail(&s, &arena);
    bool ok = finish(&s, curl_easy_perform(s.curl), reply, err);
    curl_easy_cleanup(s.curl);
    curl_slist_free_all(to);
    arena_fini(&arena);
    return ok;
}
