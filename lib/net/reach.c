#include "lib/net/reach.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/net/fetch.h"
#include "lib/net/smtp.h"
#include "lib/text/mime.h"

#define POLL_MS 100

const char *reach_authorization(const struct conn *conn, struct arena *arena)
{
    struct buf login, header;
    if (!conn->user && !conn->password)
        return NULL;
    if (conn->password && !(conn->user && conn->user[0]))
        return arena_printf(arena, "Authorization: Bearer %s", conn->password);
    buf_init(&login);
    buf_init(&header);
    buf_printf(&login, "%s:%s", conn->user, conn->password ? conn->password : "");
    buf_str(&header, "Authorization: Basic ");
    mime_base64(login.data, login.len, &header);
    const char *text = arena_strdup(arena, buf_text(&header));
    buf_fini(&login);
    buf_fini(&header);
    return text;
}

/* ---- http ---- */

/* Its first bytes are enough. */
static bool stop_at_once(void *arg, const char *p, size_t n)
{
    (void)arg, (void)p, (void)n;
    return false;
}

static bool try_http(const struct conn *conn, const struct reach_bounds *bounds,
                     struct arena *arena, const char **said, struct nx_err *err)
{
    const char *headers[2] = {reach_authorization(conn, arena), NULL};
    struct fetch_response response = {0};
    const struct fetch_request request = {
        .url = conn_below(conn, "", arena),
        .shown = conn_shown(conn, arena),
        .headers = headers,
        .timeout_ms = bounds->timeout_ms,
        .connect_ms = bounds->timeout_ms,
        .on_data = stop_at_once,
        .cancelled = bounds->cancelled,
        .arg = bounds->arg,
    };
    struct fetch *fetch = fetch_new();
    bool ok = fetch_run(fetch, &request, &response, err);
    fetch_free(fetch);
    if (!ok)
        return false;
    int status = response.status;
    fetch_response_fini(&response);
    *said = arena_printf(arena, "answered with status %d", status);
    if (status == 401 || status == 403 || status == 407)
        return nx_fail(err, NX_E_DENIED, "the server refuses the login (status %d)", status);
    return status < 500 || nx_fail(err, NX_E_IO, "the server fails with status %d", status);
}

/* ---- s3 ---- */

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    const struct reach_bounds *bounds = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;
    return bounds->cancelled && bounds->cancelled(bounds->arg);
}

static void set_bounds(CURL *c, const struct reach_bounds *bounds, char error[CURL_ERROR_SIZE])
{
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)bounds->timeout_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)bounds->timeout_ms);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, bounds);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error);
}

static bool fail_curl(CURLcode rc, const char *error, struct nx_err *err)
{
    return nx_fail(err,
                   rc == CURLE_OPERATION_TIMEDOUT         ? NX_E_TIMEOUT
                   : rc == CURLE_PEER_FAILED_VERIFICATION ? NX_E_DENIED
                   : rc == CURLE_ABORTED_BY_CALLBACK      ? NX_E_CANCELLED
                                                          : NX_E_UNREACHABLE,
                   "%s", error[0] ? error : curl_easy_strerror(rc));
}

static bool judge_bucket(long status, struct nx_err *err)
{
    if (status == 401 || status == 403)
        return nx_fail(err, NX_E_DENIED, "the key is refused, or may not see the bucket");
    if (status == 404)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no such bucket");
    return status < 400 || nx_fail(err, NX_E_IO, "status %ld", status);
}

static bool try_s3(const struct conn *conn, const struct reach_bounds *bounds, struct arena *arena,
                   const char **said, struct nx_err *err)
{
    CURL *c = curl_easy_init();
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    const char *region = conn_option(conn, "region", arena), *tls = conn_option(conn, "tls", arena);
    const char *scheme = tls && str_eq(tls, "false") ? "http" : "https";
    const char *host = strstr(conn_origin(conn, arena), "://");
    size_t n_bucket = strcspn(conn->path + 1, "/");
    set_bounds(c, bounds, error);
    curl_easy_setopt(c, CURLOPT_URL,
                     arena_printf(arena, "%s%s/%.*s", scheme, host, (int)n_bucket, conn->path + 1));
    curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (conn->user && conn->password) {
        curl_easy_setopt(c, CURLOPT_AWS_SIGV4,
                         arena_printf(arena, "aws:amz:%s:s3", region ? region : "us-east-1"));
        curl_easy_setopt(c, CURLOPT_USERNAME, conn->user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, conn->password);
    }
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);
    *said = "the bucket is there";
    return rc == CURLE_OK ? judge_bucket(status, err) : fail_curl(rc, error, err);
}

/* ---- postgres ---- */

/* One byte within the time; 0: none. */
static char receive_byte(CURL *c, const struct reach_bounds *bounds, int64_t until)
{
    curl_socket_t fd = -1;
    char byte = 0;
    size_t n = 0;
    curl_easy_getinfo(c, CURLINFO_ACTIVESOCKET, &fd);
    while (clock_mono_ms() < until && !(bounds->cancelled && bounds->cancelled(bounds->arg))) {
        struct pollfd in = {.fd = fd, .events = POLLIN};
        if (poll(&in, 1, POLL_MS) <= 0)
            continue;
        CURLcode rc = curl_easy_recv(c, &byte, 1, &n);
        if (rc != CURLE_AGAIN)
            return rc == CURLE_OK && n == 1 ? byte : 0;
    }
    return 0;
}

/* The request for TLS, which every server of version 3 answers with S or N before anything else. */
static bool try_postgres(const struct conn *conn, const struct reach_bounds *bounds,
                         struct arena *arena, const char **said, struct nx_err *err)
{
    static const unsigned char request[] = {0, 0, 0, 8, 4, 210, 22, 47};
    CURL *c = curl_easy_init();
    char error[CURL_ERROR_SIZE] = "", byte = 0;
    int64_t until = clock_mono_ms() + bounds->timeout_ms;
    size_t n;
    set_bounds(c, bounds, error);
    curl_easy_setopt(c, CURLOPT_URL,
                     arena_printf(arena, "http%s", strstr(conn_origin(conn, arena), "://")));
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
    CURLcode rc = curl_easy_perform(c);
    if (rc == CURLE_OK && curl_easy_send(c, request, sizeof request, &n) == CURLE_OK)
        byte = receive_byte(c, bounds, until);
    curl_easy_cleanup(c);
    if (rc != CURLE_OK)
        return fail_curl(rc, error, err);
    *said = arena_printf(arena, "a PostgreSQL server answers%s; its password was not tried",
                         byte == 'S' ? " and offers TLS" : "");
    return byte == 'S' || byte == 'N' ||
           nx_fail(err, NX_E_IO, "what answers there is no PostgreSQL server");
}

/* ---- The others ---- */

static bool try_smtp(const struct conn *conn, const struct reach_bounds *bounds, const char **said,
                     struct nx_err *err)
{
    const struct smtp_bounds smtp = {bounds->timeout_ms, bounds->cancelled, bounds->arg};
    *said = conn->user ? "the mail server takes the login" : "the mail server answers";
    return smtp_send(conn, NULL, &smtp, NULL, err);
}

static bool try_file(const struct conn *conn, const char **said, struct nx_err *err)
{
    DIR *folder = opendir(conn->path);
    if (!folder)
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_DENIED, "%s: %s", conn->path,
                       strerror(errno));
    closedir(folder);
    *said = access(conn->path, W_OK) == 0 ? "the folder is there and may be written"
                                          : "the folder is there";
    return true;
}

bool reach_try(const struct conn *conn, const struct reach_bounds *bounds, struct arena *arena,
               const char **said, struct nx_err *err)
{
    switch (conn->kind) {
    case CONN_HTTP:
    case CONN_HTTPS:
        return try_http(conn, bounds, arena, said, err);
    case CONN_S3:
        return try_s3(conn, bounds, arena, said, err);
    case CONN_SMTP:
    case CONN_SMTPS:
        return try_smtp(conn, bounds, said, err);
    case CONN_POSTGRES:
        return try_postgres(conn, bounds, arena, said, err);
    case CONN_FILE:
        return try_file(conn, said, err);
    }
    return false;
}
