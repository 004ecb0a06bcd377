/* Requests by libcurl's easy interface. */
#include "lib/net/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"

#define CONNECT_MS 10000
#define HEADERS_MAX (256 * 1024)
#define URL_SHOWN 300

struct fetch {
    CURL *curl;
};

/* One request under way. */
struct transfer {
    const struct fetch_request *request;
    CURL *curl;
    struct fetch_response response;
    uint64_t max_bytes;
    bool begun; /* the first piece of the body has come */
    bool to_memory;
    FILE *from, *to;
    char temp[PATH_MAX_BYTES];
    struct nx_err why; /* code is not NX_OK: why we ended it */
    char error[CURL_ERROR_SIZE];
};

struct fetch *fetch_new(void)
{
    struct fetch *fetch = mem_alloc(sizeof *fetch);
    fetch->curl = curl_easy_init();
    must(fetch->curl);
    return fetch;
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    curl_easy_cleanup(fetch->curl);
    mem_free(fetch);
}

/* The URL for messages: without user and password. */
static const char *shown_url(const char *url, char to[URL_SHOWN])
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    size_t n = strcspn(start, "/?#");
    const char *at = memrchr(start, '@', n);
    const char *rest = at ? at + 1 : start;
    snprintf(to, URL_SHOWN, "%.*s%s", (int)(start - url), url, rest);
    return to;
}

/* ---- What curl calls ---- */

static bool is_cancelled(const struct transfer *t)
{
    return t->request->cancelled && t->request->cancelled(t->request->arg);
}

static bool end(struct transfer *t, enum nx_code code, const char *text)
{
    return nx_fail(&t->why, code, "%s", text);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct buf *headers = &t->response.headers;
    (void)size;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* a new answer: after 100 or a redirect */
        buf_clear(headers);
        return n;
    }
    if (headers->len + n > HEADERS_MAX) {
        end(t, NX_E_LIMIT, "the answer's headers are too large");
        return 0;
    }
    size_t name = strcspn(line, ":\r\n");
    for (size_t i = 0; i < n && line[i] != '\r' && line[i] != '\n'; i++)
        buf_char(headers, i < name ? (char)tolower((unsigned char)line[i]) : line[i]);
    if (name)
        buf_char(headers, '\n');
    return n;
}

/* At the first piece: where the body goes depends on the status. */
static void begin_body(struct transfer *t)
{
    const struct fetch_request *r = t->request;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    bool wanted = status >= 200 && status < 300;
    t->begun = true;
    t->to_memory = !wanted || (!r->to_file && !r->on_data);
    if (t->to_memory)
        t->max_bytes = wanted && r->max_bytes ? r->max_bytes : FETCH_BYTES_MAX;
}

static size_t on_body(char *piece, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    (void)size;
    if (!t->begun)
        begin_body(t);
    if (is_cancelled(t)) {
        end(t, NX_E_CANCELLED, "cancelled");
        return CURL_WRITEFUNC_ERROR;
    }
    if (t->max_bytes && t->response.n_bytes + n > t->max_bytes) {
        nx_fail(&t->why, NX_E_LIMIT, "the answer is larger than %llu bytes",
                (unsigned long long)t->max_bytes);
        return CURL_WRITEFUNC_ERROR;
    }
    t->response.n_bytes += n;
    if (t->to_memory) {
        buf_add(&t->response.body, piece, n);
    } else if (t->to) {
        if (fwrite(piece, 1, n, t->to) != n) {
            nx_fail(&t->why, NX_E_IO, "cannot write %s: %s", t->temp, strerror(errno));
            return CURL_WRITEFUNC_ERROR;
        }
    } else if (!t->request->on_data(t->request->arg, piece, n)) {
        t->response.stopped = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return n;
}

static size_t on_upload(char *to, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t got = fread(to, 1, size * n, t->from);
    if (got == 0 && ferror(t->from)) {
        nx_fail(&t->why, NX_E_IO, "cannot read %s", t->request->from_file);
        return CURL_READFUNC_ABORT;
    }
    return got;
}

static int on_rewind(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    return fseeko(t->from, offset, origin) == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    struct transfer *t = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;
    if (!is_cancelled(t))
        return 0;
    end(t, NX_E_CANCELLED, "cancelled");
    return 1;
}

/* ---- Setting up ---- */

static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(hosts[i]);
        if (strncasecmp(host, hosts[i], n) == 0 && strchr(":/?#", host[n]))
            return true;
    }
    return false;
}

static void set_limits(struct transfer *t)
{
    const struct fetch_request *r = t->request;
    CURL *c = t->curl;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, r->redirects_max ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)r->redirects_max);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(r->connect_ms ? r->connect_ms : CONNECT_MS));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    if (r->idle_ms) {
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)((r->idle_ms + 999) / 1000));
    }
    if (is_loopback(r->url))
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    if (r->cancelled) {
        curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    }
    curl_easy_setopt(c, CURLOPT_USERAGENT, "nexus/" NEXUS_VERSION);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
}

static bool has_header(const struct fetch_request *request, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *h = request->headers; h && *h; h++) {
        if (strncasecmp(*h, name, n) == 0 && (*h)[n] == ':')
            return true;
    }
    return false;
}

static struct curl_slist *make_headers(const struct fetch_request *r)
{
    struct curl_slist *list = NULL;
    char line[2048];
    for (const char *const *h = r->headers; h && *h; h++)
        list = curl_slist_append(list, *h);
    if (r->etag) {
        snprintf(line, sizeof line, "If-None-Match: %s", r->etag);
        list = curl_slist_append(list, line);
    }
    if (r->last_modified) {
        snprintf(line, sizeof line, "If-Modified-Since: %s", r->last_modified);
        list = curl_slist_append(list, line);
    }
    if (r->body && !has_header(r, "Content-Type"))
        list = curl_slist_append(list, "Content-Type: application/json");
    return curl_slist_append(list, "Expect:");
}

static bool set_body(struct transfer *t)
{
    const struct fetch_request *r = t->request;
    CURL *c = t->curl;
    must(!(r->body && r->from_file));
    const char *method = r->method ? r->method : r->from_file ? "PUT" : r->body ? "POST" : "GET";
    if (r->from_file) {
        struct stat st;
        t->from = fopen(r->from_file, "rbe");
        if (!t->from || fstat(fileno(t->from), &st) != 0)
            return nx_fail(&t->why, NX_E_IO, "cannot read %s: %s", r->from_file, strerror(errno));
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(c, CURLOPT_READDATA, t);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_rewind);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    } else if (r->body || str_eq(method, "POST")) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->n_body);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body ? r->body : "");
    } else if (str_eq(method, "HEAD")) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    }
    if (!str_eq(method, "GET") && !str_eq(method, "HEAD"))
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    return true;
}

static bool open_target(struct transfer *t)
{
    const char *path = t->request->to_file;
    if (!path)
        return true;
    must(!t->request->on_data);
    int n =
        snprintf(t->temp, sizeof t->temp, "%s.%ld.%p.tmp", path, (long)getpid(), (void *)t->curl);
    if (n < 0 || (size_t)n >= sizeof t->temp)
        return nx_fail(&t->why, NX_E_LIMIT, "the path %s is too long", path);
    t->to = fopen(t->temp, "wbe");
    return t->to || nx_fail(&t->why, NX_E_IO, "cannot create %s: %s", t->temp, strerror(errno));
}

/* Keeps or drops the file. */
static bool close_target(struct transfer *t, bool keep)
{
    if (!t->to)
        return true;
    keep = keep && t->response.status >= 200 && t->response.status < 300;
    bool ok = fflush(t->to) == 0 && (!keep || fsync(fileno(t->to)) == 0);
    ok = fclose(t->to) == 0 && ok;
    t->to = NULL;
    if (keep && ok && rename(t->temp, t->request->to_file) == 0)
        return true;
    int why = errno;
    unlink(t->temp);
    if (!keep)
        return true;
    return nx_fail(&t->why, NX_E_IO, "cannot write %s: %s", t->request->to_file, strerror(why));
}

/* ---- The request ---- */

static enum nx_code code_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_GOT_NOTHING:
        return NX_E_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return NX_E_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return NX_E_INVALID;
    case CURLE_PEER_FAILED_VERIFICATION:
        return NX_E_DENIED;
    case CURLE_OUT_OF_MEMORY:
        return NX_E_MEMORY;
    default:
        return NX_E_IO;
    }
}

static bool perform(struct transfer *t)
{
    CURLcode rc = curl_easy_perform(t->curl);
    if (t->why.code)
        return false;
    if (rc != CURLE_OK && !(rc == CURLE_WRITE_ERROR && t->response.stopped))
        return nx_fail(&t->why, code_of(rc), "%s", t->error[0] ? t->error : curl_easy_strerror(rc));
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->response.status = (int)status;
    return true;
}

bool fetch_run(struct fetch *fetch, const struct fetch_request *request,
               struct fetch_response *response, struct nx_err *err)
{
    struct transfer t = {.request = request, .curl = fetch->curl, .max_bytes = request->max_bytes};
    char url[URL_SHOWN];
    must(request->url);
    curl_easy_reset(t.curl); /* keeps the connections */
    set_limits(&t);
    struct curl_slist *headers = make_headers(request);
    curl_easy_setopt(t.curl, CURLOPT_URL, request->url);
    if (request->ca_file)
        curl_easy_setopt(t.curl, CURLOPT_CAINFO, request->ca_file);
    curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(t.curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t.curl, CURLOPT_HEADERDATA, &t);
    curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
    bool ok = set_body(&t) && open_target(&t) && perform(&t);
    ok = close_target(&t, ok) && ok;
    if (t.from)
        fclose(t.from);
    curl_easy_reset(t.curl); /* nothing of ours is left in it */
    curl_slist_free_all(headers);
    if (ok) {
        *response = t.response;
        return true;
    }
    fetch_response_fini(&t.response);
    return nx_fail(err, t.why.code, "%s: %s",
                   request->shown ? request->shown : shown_url(request->url, url), t.why.text);
}

void fetch_response_fini(struct fetch_response *response)
{
    buf_fini(&response->body);
    buf_fini(&response->headers);
}
