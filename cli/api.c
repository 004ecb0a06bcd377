#include "cli/api.h"

#include <ctype.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/home.h"
#include "lib/base/str.h"
#include "lib/net/fetch.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

#define CONNECT_MS 3000
#define REQUEST_MS 60000

void api_encode(struct buf *to, const char *text)
{
    bool dots = str_eq(text, ".") || str_eq(text, ".."); /* would be steps of the path */
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (!dots && ((*p < 128 && isalnum(*p)) || strchr("._~-", *p)))
            buf_char(to, (char)*p);
        else
            buf_printf(to, "%%%02X", *p);
    }
}

const char *api_path(struct arena *arena, const char *format, ...)
{
    struct buf path = {0};
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            buf_char(&path, *p);
        } else if (p[1] == 's') {
            const char *text = va_arg(args, const char *);
            must(text);
            api_encode(&path, text);
            p++;
        } else if (str_starts(p, "%lld")) {
            buf_printf(&path, "%lld", va_arg(args, long long));
            p += 3;
        } else {
            must(p[1] == '%');
            buf_char(&path, '%');
            p++;
        }
    }
    va_end(args);
    const char *copy = arena_strdup(arena, buf_text(&path));
    buf_fini(&path);
    return copy;
}

const char *api_url(struct cli *cli, int *status)
{
    char url[512];
    if (!cli->url) {
        *status = home_url(cli, url, sizeof url);
        if (*status)
            return NULL;
        cli->url = arena_strdup(&cli->arena, url);
    }
    return cli->url;
}

void api_fini(struct cli *cli)
{
    fetch_free(cli->fetch);
    cli->fetch = NULL;
}

/* NX_E_UNREACHABLE with the way out. */
static bool unreachable(const struct cli *cli, struct nx_err *err)
{
    char why[NX_ERR_TEXT_MAX];
    str_copy(why, sizeof why, err->text);
    return nx_fail(err, NX_E_UNREACHABLE,
                   "no server at %s (%.600s); `nexus up` starts one, --url names another", cli->url,
                   why);
}

static bool read_answer(const struct cli *cli, const char *url, const struct fetch_response *answer,
                        json_t **reply, struct nx_err *err)
{
    struct nx_err parse;
    bool good = answer->status / 100 == 2;
    if (good && answer->body.len == 0) {
        *reply = json_null();
        return true;
    }
    json_t *json = js_read(buf_text(&answer->body), answer->body.len, url, &parse);
    if (good && json) {
        *reply = json;
        return true;
    }
    bool ours = json_is_object(json_object_get(json, "error"));
    json_decref(json);
    if (!ours)
        return nx_fail(err, NX_E_UNREACHABLE,
                       "what answers at %s is not Nexus (status %d, no JSON of its form)", cli->url,
                       answer->status);
    return fetch_check(answer, url, err);
}

static const char *user_header(struct cli *cli)
{
    const struct passwd *user = getpwuid(geteuid());
    const char *name = user ? user->pw_name : getenv("USER");
    return arena_printf(&cli->arena, "Nexus-User: %.64s", name ? name : "");
}

/* Who asks: for the server's audit list, and, when it wants to know, the token. */
static void put_headers(struct cli *cli, const char *headers[3])
{
    char token[256];
    if (!cli->token) {
        home_token(cli, token, sizeof token);
        cli->token = arena_strdup(&cli->arena, token);
    }
    headers[0] = user_header(cli);
    headers[1] =
        *cli->token ? arena_printf(&cli->arena, "Authorization: Bearer %s", cli->token) : NULL;
    headers[2] = NULL;
}

bool api_try(struct cli *cli, const char *method, const char *path, const json_t *body,
             json_t **reply, struct nx_err *err)
{
    struct fetch_response answer = {0};
    struct buf url = {0}, text = {0};
    json_t *json = NULL;
    int status;
    if (!api_url(cli, &status))
        return nx_fail(err, NX_E_INVALID, "there is no address of a server");
    if (!cli->fetch)
        cli->fetch = fetch_new();
    buf_printf(&url, "%s/api/v1%s", cli->url, path);
    const char *headers[3];
    put_headers(cli, headers);
    struct fetch_request request = {.method = method,
                                    .url = buf_text(&url),
                                    .headers = headers,
                                    .connect_ms = CONNECT_MS,
                                    .timeout_ms = cli->request_ms ? cli->request_ms : REQUEST_MS};
    if (body) {
        js_add(&text, body);
        request.body = buf_text(&text);
        request.n_body = text.len;
    }
    bool ok = fetch_run(cli->fetch, &request, &answer, err);
    if (!ok && err->code == NX_E_UNREACHABLE)
        unreachable(cli, err);
    if (ok) {
        ok = read_answer(cli, buf_text(&url), &answer, &json, err);
        fetch_response_fini(&answer);
    }
    if (ok && reply)
        *reply = json;
    else
        json_decref(json);
    buf_fini(&url);
    buf_fini(&text);
    return ok;
}

bool api_try_list(struct cli *cli, json_t **reply, const char *path, size_t limit,
                  struct nx_err *err)
{
    json_t *all = json_array();
    char cursor[512] = "";
    do {
        struct buf url = {0};
        json_t *page = NULL;
        size_t left = limit ? limit - json_array_size(all) : NX_PAGE_MAX;
        buf_printf(&url, "%s%climit=%zu", path, strchr(path, '?') ? '&' : '?',
                   left < NX_PAGE_MAX ? left : NX_PAGE_MAX);
        if (cursor[0]) {
            buf_str(&url, "&cursor=");
            api_encode(&url, cursor);
        }
        bool ok = api_try(cli, "GET", buf_text(&url), NULL, &page, err);
        buf_fini(&url);
        if (!ok) {
            json_decref(all);
            return false;
        }
        json_t *items = json_is_array(page) ? page : json_object_get(page, "items");
        json_array_extend(all, items);
        const char *next = js_get_text(page, "next", "");
        /* A page of a search may be empty and not the last. */
        bool more = str_copy(cursor, sizeof cursor, next);
        json_decref(page);
        if (!more)
            break;
    } while (cursor[0] && (!limit || json_array_size(all) < limit));
    *reply = all;
    return true;
}

/* The names a path's first two segments may have: the ids of that list. */
static int fail_with_nearest(struct cli *cli, const struct nx_err *err, const char *path)
{
    json_t *list = NULL, *item;
    VEC(const char *) names = {0};
    size_t i;
    bool dags = str_starts(path, "/dags/");
    if (!dags || strstr(err->text, "did you mean") ||
        !api_try_list(cli, &list, "/dags", 10000, NULL))
        return cli_fail(CLI_USAGE, "%s", err->text);
    const char *start = path + strlen("/dags/");
    char *name = arena_strndup(&cli->arena, start, strcspn(start, "/?"));
    json_array_foreach(list, i, item) vec_push(&names, js_get_text(item, "id", ""));
    int status;
    bool exists = false;
    for (i = 0; i < names.n; i++)
        exists = exists || str_eq(names.at[i], name);
    if (exists)
        status = cli_fail(CLI_USAGE, "%s", err->text);
    else
        status = cli_no_such("DAG", name, names.at, names.n, "nexus dag list");
    vec_fini(&names);
    json_decref(list);
    return status;
}

int api_fail(struct cli *cli, const struct nx_err *err)
{
    (void)cli;
    return cli_fail_err(err);
}

static int fail_path(struct cli *cli, const struct nx_err *err, const char *path)
{
    if (err->code == NX_E_NOT_FOUND)
        return fail_with_nearest(cli, err, path);
    return api_fail(cli, err);
}

int api_send(struct cli *cli, const char *method, const char *path, json_t *body, json_t **reply)
{
    struct nx_err err;
    int status = CLI_DONE;
    if (!api_url(cli, &status)) {
        json_decref(body);
        return status;
    }
    if (!api_try(cli, method, path, body, reply, &err))
        status = fail_path(cli, &err, path);
    json_decref(body);
    return status;
}

int api_get(struct cli *cli, json_t **reply, const char *path)
{
    return api_send(cli, "GET", path, NULL, reply);
}

int api_list(struct cli *cli, json_t **reply, const char *path, size_t limit)
{
    struct nx_err err;
    int status = CLI_DONE;
    if (!api_url(cli, &status))
        return status;
    return api_try_list(cli, reply, path, limit, &err) ? CLI_DONE : fail_path(cli, &err, path);
}

bool api_stream(struct cli *cli, const char *path, bool (*each)(void *arg, const char *p, size_t n),
                bool (*cancelled)(void *arg), void *arg, struct nx_err *err)
{
    struct fetch_response answer = {0};
    struct buf url = {0};
    int status;
    if (!api_url(cli, &status))
        return nx_fail(err, NX_E_INVALID, "there is no address of a server");
    if (!cli->fetch)
        cli->fetch = fetch_new();
    buf_printf(&url, "%s/api/v1%s", cli->url, path);
    const char *headers[3];
    put_headers(cli, headers);
    struct fetch_request request = {.url = buf_text(&url),
                                    .headers = headers,
                                    .connect_ms = CONNECT_MS,
                                    .on_data = each,
                                    .cancelled = cancelled,
                                    .arg = arg};
    bool ok = fetch_run(cli->fetch, &request, &answer, err);
    if (!ok && err->code == NX_E_UNREACHABLE)
        unreachable(cli, err);
    if (ok) {
        ok = fetch_check(&answer, buf_text(&url), err);
        fetch_response_fini(&answer);
    }
    buf_fini(&url);
    return ok;
}
