#include "lib/text/conn.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/must.h"
#include "lib/base/str.h"

#define PATH_SECRET_MIN 6 /* of http: a shorter path is no token, and would mask half of a log */

struct kind {
    const char *name, *shape;
    unsigned port;
    bool host, path, login; /* must have a host and a path, may have user and password */
    const char *options;    /* " a b " that its query may have; NULL: any */
};

/* clang-format off */
static const struct kind kinds[] = {
    [CONN_POSTGRES] = {"postgres", "postgres://USER:PASSWORD@HOST:5432/DATABASE", 5432, true, true, true,
                       " sslmode sslrootcert application_name connect_timeout target_session_attrs "},
    [CONN_HTTP] = {"http", "http://USER:PASSWORD@HOST/PATH", 80, true, false, true, NULL},
    [CONN_HTTPS] = {"https", "https://USER:PASSWORD@HOST/PATH", 443, true, false, true, NULL},
    [CONN_S3] = {"s3", "s3://KEY:SECRET@HOST/BUCKET?region=REGION", 443, true, true, true,
                 " region tls "},
    [CONN_SMTP] = {"smtp", "smtp://USER:PASSWORD@HOST:587?from=ADDRESS", 587, true, false, true,
                   " from tls ca "},
    [CONN_SMTPS] = {"smtps", "smtps://USER:PASSWORD@HOST:465?from=ADDRESS", 465, true, false, true,
                    " from ca "},
    [CONN_FILE] = {"file", "file:///FOLDER", 0, false, true, false, " "},
};

/* Options with a closed list of values, between blanks. */
static const struct {
    enum conn_kind kind;
    const char *name, *values;
} choices[] = {
    {CONN_SMTP, "tls", " required try none "},
    {CONN_S3, "tls", " true false "},
    {CONN_POSTGRES, "sslmode", " disable allow prefer require verify-ca verify-full "},
};
/* clang-format on */

#define N_KINDS (sizeof kinds / sizeof *kinds)

const char *conn_kind_name(enum conn_kind kind)
{
    return kinds[kind].name;
}

static bool fail(const struct conn *conn, struct nx_err *err, const char *what)
{
    return nx_fail(err, NX_E_INVALID, "%s: a connection of this kind is %s", what,
                   kinds[conn->kind].shape);
}

/* ---- Reading ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* NULL: not well encoded, or a control character comes out. */
static const char *decode(struct arena *arena, const char *s, size_t n)
{
    char *to = arena_alloc(arena, n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '%') {
            int high = i + 2 < n ? hex(s[i + 1]) : -1, low = i + 2 < n ? hex(s[i + 2]) : -1;
            if (high < 0 || low < 0)
                return NULL;
            c = (unsigned char)(high * 16 + low);
            i += 2;
        }
        if (c < 32 || c == 127)
            return NULL;
        to[len++] = (char)c;
    }
    return str_is_utf8(to, len, NULL) ? to : NULL;
}

static bool find_kind(const char *uri, struct conn *conn, const char **rest, struct nx_err *err)
{
    const char *names[N_KINDS], *end = strstr(uri, "://");
    char scheme[16];
    size_t n = end ? (size_t)(end - uri) : 0;
    if (!end || n == 0 || n >= sizeof scheme)
        return nx_fail(err, NX_E_INVALID,
                       "a connection is a URI such as postgres://USER:PASSWORD@HOST/DATABASE; the "
                       "kinds are " CONN_KINDS);
    memcpy(scheme, uri, n);
    scheme[n] = 0;
    *rest = end + 3;
    for (size_t i = 0; i < N_KINDS; i++) {
        names[i] = kinds[i].name;
        if (strcasecmp(scheme, kinds[i].name) == 0) {
            conn->kind = (enum conn_kind)i;
            return true;
        }
    }
    conn->kind = CONN_POSTGRES;
    if (strcasecmp(scheme, "postgresql") == 0)
        return true;
    const char *nearest = str_nearest(scheme, names, N_KINDS);
    return nx_fail(err, NX_E_INVALID, "'%s' is no kind of a connection%s%s%s; there are %s", scheme,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
                   CONN_KINDS);
}

static bool read_login(const char *s, size_t n, struct arena *arena, struct conn *conn,
                       struct nx_err *err)
{
    const char *colon = memchr(s, ':', n);
    size_t n_user = colon ? (size_t)(colon - s) : n;
    if (!kinds[conn->kind].login)
        return fail(conn, err, "there is a user or password");
    conn->user = decode(arena, s, n_user);
    if (colon)
        conn->password = decode(arena, colon + 1, n - n_user - 1);
    if (!conn->user || (colon && !conn->password))
        return nx_fail(err, NX_E_INVALID,
                       "user or password is not well written: %%, @, :, /, ? and # in them are "
                       "%%25, %%40, %%3A, %%2F, %%3F and %%23");
    return true;
}

static bool read_port(const char *s, size_t n, struct conn *conn)
{
    char text[8];
    int64_t port;
    if (n == 0 || n >= sizeof text || strspn(s, "0123456789") < n)
        return false;
    memcpy(text, s, n);
    text[n] = 0;
    if (!str_parse_int(text, &port) || port < 1 || port > 65535)
        return false;
    conn->port = (unsigned)port;
    conn->port_said = true;
    return true;
}

static bool is_host(const char *s, size_t n, bool ip6)
{
    static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    return n > 0 && n < 256 && strspn(s, ip6 ? "0123456789abcdefABCDEF:." : names) >= n;
}

/* HOST, HOST:PORT, [ADDRESS]:PORT */
static bool read_host(const char *s, size_t n, struct arena *arena, struct conn *conn,
                      struct nx_err *err)
{
    const char *end = n && *s == '[' ? memchr(s, ']', n) : NULL;
    conn->ip6 = end != NULL;
    const char *colon = memchr(end ? end : s, ':', n - (size_t)(end ? end - s : 0));
    const char *host = end ? s + 1 : s;
    size_t n_host = end ? (size_t)(end - host) : colon ? (size_t)(colon - s) : n;
    size_t n_rest = end ? (size_t)(s + n - end - 1) : colon ? n - n_host : 0;
    if (n == 0 && !kinds[conn->kind].host)
        return true;
    if (!kinds[conn->kind].host)
        return fail(conn, err, "there is a host");
    if (!is_host(host, n_host, conn->ip6))
        return fail(conn, err,
                    n_host ? "the host is not well written (in a password, @ : / ? # are %40 %3A "
                             "%2F %3F %23)"
                           : "the host is missing");
    if (n_rest && (s[n - n_rest] != ':' || !read_port(s + n - n_rest + 1, n_rest - 1, conn)))
        return fail(conn, err,
                    "the port is not a number of 1 to 65535 (in a password, @ : / ? # are %40 %3A "
                    "%2F %3F %23)");
    conn->host = arena_strndup(arena, host, n_host);
    return true;
}

static bool check_option(const struct conn *conn, const char *name, const char *value,
                         struct nx_err *err)
{
    const char *known = kinds[conn->kind].options;
    char word[64];
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (choices[i].kind != conn->kind || !str_eq(choices[i].name, name))
            continue;
        bool fits = strlen(value) < 32 && !strchr(value, ' ');
        if (fits)
            snprintf(word, sizeof word, " %s ", value);
        if (!fits || !strstr(choices[i].values, word))
            return nx_fail(err, NX_E_INVALID, "'%s' of a %s connection is one of:%s", name,
                           kinds[conn->kind].name, choices[i].values);
    }
    bool fits = strlen(name) < 48 && !strchr(name, ' ');
    snprintf(word, sizeof word, " %s ", fits ? name : "?");
    if (strstr(known, word))
        return true;
    return nx_fail(err, NX_E_INVALID, "a %s connection has no option of that name; it takes:%s",
                   kinds[conn->kind].name, known[1] ? known : " none");
}

static bool check_query(const struct conn *conn, struct arena *arena, struct nx_err *err)
{
    if (!kinds[conn->kind].options)
        return true;
    for (const char *p = conn->query; p && *p;) {
        size_t n = strcspn(p, "&"), n_name = strcspn(p, "=&");
        const char *name = decode(arena, p, n_name);
        const char *value = n > n_name ? decode(arena, p + n_name + 1, n - n_name - 1) : NULL;
        if (!name || !value)
            return fail(conn, err, "what follows the ? is not NAME=VALUE&NAME=VALUE");
        if (!check_option(conn, name, value, err))
            return false;
        p += n + (p[n] == '&');
    }
    return true;
}

static bool check_path(const struct conn *conn, struct nx_err *err)
{
    const struct kind *kind = &kinds[conn->kind];
    bool some = conn->path && conn->path[1];
    if (kind->path && !some)
        return fail(conn, err,
                    conn->kind == CONN_POSTGRES ? "the database is missing"
                    : conn->kind == CONN_S3     ? "the bucket is missing"
                                                : "the folder is missing");
    if (some && (conn->kind == CONN_SMTP || conn->kind == CONN_SMTPS))
        return fail(conn, err, "there is a path");
    return conn->kind != CONN_POSTGRES || !strchr(conn->path + 1, '/') ||
           fail(conn, err, "the database has a slash (write it as %2F)");
}

static bool read_rest(const char *s, struct arena *arena, struct conn *conn, struct nx_err *err)
{
    size_t n = strcspn(s, "/?#");
    const char *at = memrchr(s, '@', n);
    size_t n_login = at ? (size_t)(at - s) : 0;
    const char *path = s + n;
    size_t n_path = strcspn(path, "?#");
    if (at && !read_login(s, n_login, arena, conn, err))
        return false;
    if (!read_host(at ? at + 1 : s, at ? n - n_login - 1 : n, arena, conn, err))
        return false;
    if (strchr(path, '#'))
        return fail(conn, err, "there is a # (in a password it is %23)");
    bool http = conn->kind == CONN_HTTP || conn->kind == CONN_HTTPS;
    conn->path = n_path == 0 ? NULL
                 : http      ? arena_strndup(arena, path, n_path)
                             : decode(arena, path, n_path);
    if (n_path && (!conn->path || !decode(arena, path, n_path)))
        return fail(conn, err, "its path is not well encoded");
    if (path[n_path] == '?' && path[n_path + 1])
        conn->query = arena_strdup(arena, path + n_path + 1);
    return check_path(conn, err) && check_query(conn, arena, err);
}

bool conn_read(const char *uri, struct arena *arena, struct conn *conn, struct nx_err *err)
{
    struct conn found = {0};
    const char *rest = NULL;
    if (strlen(uri) > CONN_URI_MAX)
        return nx_fail(err, NX_E_LIMIT, "the URI of a connection has at most %d bytes",
                       CONN_URI_MAX);
    for (const char *p = uri; *p; p++) {
        if ((unsigned char)*p <= 32 || (unsigned char)*p >= 127 || strchr("\"\\<>^`{|}", *p))
            return nx_fail(
                err, NX_E_INVALID,
                "the URI of a connection has no blanks, quotes, \\ < > ^ ` { | }, control "
                "characters or letters beyond ASCII: write them percent-encoded (a "
                "blank is %%20)");
    }
    if (!find_kind(uri, &found, &rest, err))
        return false;
    found.port = kinds[found.kind].port;
    if (!read_rest(rest, arena, &found, err))
        return false;
    const char *tls = conn_option(&found, "tls", arena);
    if (found.kind == CONN_S3 && !found.port_said && tls && str_eq(tls, "false"))
        found.port = 80;
    if (found.password && !found.user[0] && found.kind != CONN_HTTP && found.kind != CONN_HTTPS)
        return fail(&found, err, "there is a password without a user");
    *conn = found;
    return true;
}

/* ---- What others see ---- */

static bool hides_path(const struct conn *conn)
{
    bool http = conn->kind == CONN_HTTP || conn->kind == CONN_HTTPS;
    return http && ((conn->path && conn->path[1]) || conn->query);
}

bool conn_is_secret(const struct conn *conn)
{
    return conn->password || hides_path(conn);
}

static void add_encoded(struct buf *to, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c);
        if (plain) {
            buf_char(to, (char)c);
        } else {
            buf_char(to, '%');
            buf_char(to, digits[c >> 4]);
            buf_char(to, digits[c & 15]);
        }
    }
}

static void add_host(struct buf *to, const struct conn *conn)
{
    if (conn->host)
        buf_printf(to, conn->ip6 ? "[%s]" : "%s", conn->host);
    if (conn->port_said)
        buf_printf(to, ":%u", conn->port);
}

static const char *end_text(struct buf *text, struct arena *arena)
{
    const char *kept = arena_strdup(arena, buf_text(text));
    buf_fini(text);
    return kept;
}

const char *conn_shown(const struct conn *conn, struct arena *arena)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s://", kinds[conn->kind].name);
    if (conn->user)
        add_encoded(&text, conn->user);
    if (conn->password)
        buf_str(&text, ":***");
    if (conn->user)
        buf_char(&text, '@');
    add_host(&text, conn);
    if (hides_path(conn)) {
        buf_str(&text, "/***");
    } else {
        buf_str(&text, conn->path ? conn->path : "");
        if (conn->query)
            buf_printf(&text, "?%s", conn->query);
    }
    return end_text(&text, arena);
}

const char *conn_option(const struct conn *conn, const char *name, struct arena *arena)
{
    size_t n_name = strlen(name);
    for (const char *p = conn->query; p && *p;) {
        size_t n = strcspn(p, "&");
        if (n > n_name && p[n_name] == '=' && memcmp(p, name, n_name) == 0)
            return decode(arena, p + n_name + 1, n - n_name - 1);
        p += n + (p[n] == '&');
    }
    return NULL;
}

const char *conn_origin(const struct conn *conn, struct arena *arena)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s://", kinds[conn->kind].name);
    buf_printf(&text, conn->ip6 ? "[%s]:%u" : "%s:%u", conn->host ? conn->host : "", conn->port);
    return end_text(&text, arena);
}

const char *conn_below(const struct conn *conn, const char *rest, struct arena *arena)
{
    struct buf text;
    must(conn->kind == CONN_HTTP || conn->kind == CONN_HTTPS);
    buf_init(&text);
    buf_printf(&text, "%s://", kinds[conn->kind].name);
    add_host(&text, conn);
    size_t n = conn->path ? strlen(conn->path) : 0;
    if (*rest) {
        while (n && conn->path[n - 1] == '/')
            n--;
        if (n)
            buf_add(&text, conn->path, n);
        buf_printf(&text, "/%s", rest + strspn(rest, "/"));
        if (conn->query)
            buf_printf(&text, "%c%s", strchr(rest, '?') ? '&' : '?', conn->query);
    } else {
        buf_str(&text, n ? conn->path : "/");
        if (conn->query)
            buf_printf(&text, "?%s", conn->query);
    }
    return end_text(&text, arena);
}

void conn_secrets(const char *uri, const struct conn *conn,
                  void (*each)(void *arg, const char *text), void *arg)
{
    struct buf text;
    if (!conn_is_secret(conn))
        return;
    each(arg, uri);
    if (conn->password && conn->password[0]) {
        each(arg, conn->password);
        /* as it stands in the URI */
        const char *start = strstr(uri, "://") + 3;
        const char *at = memrchr(start, '@', strcspn(start, "/?#"));
        const char *colon = memchr(start, ':', (size_t)(at - start));
        buf_init(&text);
        buf_add(&text, colon + 1, (size_t)(at - colon - 1));
        if (!str_eq(buf_text(&text), conn->password))
            each(arg, buf_text(&text));
        buf_fini(&text);
    }
    if (hides_path(conn) && conn->path && strlen(conn->path) >= PATH_SECRET_MIN)
        each(arg, conn->path);
    if (hides_path(conn) && conn->query && strlen(conn->query) >= PATH_SECRET_MIN)
        each(arg, conn->query);
}
