/* Tokens of workers elsewhere and of the API. The text is in the answer that makes it, and nowhere
 * else. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/text/json.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/tokens.h"
#include "scheduler/store/token.h"

/* What a job that makes one knows. */
struct made {
    char text[TOKEN_TEXT_MAX], id[TOKEN_ID_MAX], hash[BULK_HASH + 1];
    const char *name, *url; /* url: what workers dial; NULL: not a worker's */
    enum role role;
    int64_t created_ms, expires_ms;
};

static void put_token(struct buf *buf, const struct token_row *row, int64_t seen_ms)
{
    put_text(buf, "id", row->id);
    put_text(buf, "name", *row->name ? row->name : NULL);
    put_text(buf, "role", row->role);
    put_time(buf, "created_at", row->created_ms);
    put_time(buf, "expires_at", row->expires_ms);
    put_time(buf, "last_used_at", seen_ms);
}

struct listing {
    struct call *call;
    size_t from, limit, n;
};

static void list_one(void *arg, const struct token_row *row)
{
    struct listing *list = arg;
    struct api *api = list->call->api;
    size_t i = list->n++;
    if (i < list->from || i - list->from >= list->limit)
        return;
    put_open(&list->call->body, NULL, '{');
    put_token(&list->call->body, row, api->tokens ? tokens_seen_ms(api->tokens, row->id) : 0);
    put_close(&list->call->body, '}');
}

bool handle_tokens(struct call *call, struct nx_err *err)
{
    struct listing list = {.call = call};
    int64_t cursor;
    if (!call_limit(call, NX_PAGE_MAX, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !call_query(call, err))
        return false;
    list.from = (size_t)cursor;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    if (!query_each_token(call->query, list_one, &list, err))
        return false;
    put_close(&call->body, ']');
    if (list.n > list.from + list.limit)
        put_id(&call->body, "next", list.from + list.limit);
    else
        put_null(&call->body, "next");
    put_close(&call->body, '}');
    return true;
}

/* ---- Making one ---- */

/* An address of this machine that others may reach; its name when there is none. */
static void own_address(char *to, size_t size)
{
    struct ifaddrs *all = NULL;
    to[0] = 0;
    if (getifaddrs(&all) == 0) {
        for (const struct ifaddrs *one = all; one && !to[0]; one = one->ifa_next) {
            if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET &&
                !(one->ifa_flags & IFF_LOOPBACK) && (one->ifa_flags & IFF_UP))
                inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr, to,
                          (socklen_t)size);
        }
        freeifaddrs(all);
    }
    if (!to[0] && gethostname(to, size) != 0)
        str_copy(to, size, "127.0.0.1");
    to[size - 1] = 0;
}

/* Where workers dial: as asked, as listened, or an address of this machine. */
static const char *url_of(struct call *call, const char *address)
{
    char own[256];
    const struct api *api = call->api;
    const char *host = address ? address : api->workers_host;
    if (!address && (str_eq(host, "0.0.0.0") || str_eq(host, "::"))) {
        own_address(own, sizeof own);
        host = own;
    }
    return arena_printf(call->arena, strchr(host, ':') ? "tls+tcp://[%s]:%u" : "tls+tcp://%s:%u",
                        host, api->workers_port);
}

/* A colon stands in IPv6 addresses alone. */
static bool is_host(const char *address)
{
    struct in6_addr at;
    return *address && strlen(address) <= 253 && !strpbrk(address, "/ \t\r\n\"\\@[]") &&
           (!strchr(address, ':') || inet_pton(AF_INET6, address, &at) == 1);
}

/* Of workers alone. */
static bool check_address(const struct api *api, const char *address, struct nx_err *err)
{
    if (!api->workers_port)
        return nx_fail(err, NX_E_CONFLICT,
                       "this scheduler listens for no workers on other machines: start it with "
                       "--listen-workers HOST:PORT, or set listen_workers in nexus.yaml");
    if (address && !is_host(address))
        return nx_fail(err, NX_E_INVALID,
                       "address must be a host's name or address, without a port, not '%.64s'",
                       address);
    return true;
}

static bool check_words(const struct api *api, const json_t *body, struct made *made,
                        struct nx_err *err)
{
    const char *role = js_get_text(body, "role", "worker"), *name = js_get_text(body, "name", "");
    const char *expires = js_get_text(body, "expires", NULL);
    const char *address = js_get_text(body, "address", NULL);
    int64_t ms = 0;
    made->role = role_find(role);
    if (made->role == ROLES || made->role == ROLE_ANYONE)
        return nx_fail(err, NX_E_INVALID,
                       "a token has the role viewer, operator, editor, admin or worker, not "
                       "'%.64s'",
                       role);
    if (made->role == ROLE_WORKER && !check_address(api, address, err))
        return false;
    if (made->role != ROLE_WORKER && address)
        return nx_fail(err, NX_E_INVALID, "address is for tokens of workers");
    if (made->role != ROLE_WORKER && str_eq(name, AUTH_LOCAL))
        return nx_fail(err, NX_E_INVALID, "the name '%s' is taken", name);
    if (strlen(name) > NX_NAME_MAX)
        return nx_fail(err, NX_E_LIMIT, "a name has at most %d bytes", NX_NAME_MAX);
    if (expires && (!str_parse_duration(expires, &ms) || ms == 0))
        return nx_fail(err, NX_E_INVALID, "expires must be a duration such as 7d, not '%.64s'",
                       expires);
    made->created_ms = clock_wall_ms();
    made->expires_ms = ms ? made->created_ms + ms : 0;
    return true;
}

static bool finish_made(struct job *job, struct query *query, struct nx_err *err)
{
    struct made *made = job->data;
    const struct token_row row = {.id = made->id,
                                  .name = made->name,
                                  .role = role_name(made->role),
                                  .created_ms = made->created_ms,
                                  .expires_ms = made->expires_ms};
    (void)query;
    (void)err;
    job->status = 201;
    put_open(&job->body, NULL, '{');
    put_token(&job->body, &row, 0);
    put_text(&job->body, "token", made->text);
    put_text(&job->body, "url", made->url);
    put_text(&job->body, "certificate", made->url ? job->api->certificate : NULL);
    put_close(&job->body, '}');
    crypt_wipe(made->text, sizeof made->text);
    return true;
}

static bool make_token(struct call *call, const json_t *body, struct nx_err *err)
{
    struct made checked = {.text = ""};
    if (!check_words(call->api, body, &checked, err))
        return false;
    struct job *job = job_new(call);
    struct made *made = arena_alloc(&job->arena, sizeof *made);
    *made = checked;
    made->name = arena_strdup(&job->arena, js_get_text(body, "name", ""));
    if (made->role == ROLE_WORKER)
        made->url = arena_strdup(&job->arena, url_of(call, js_get_text(body, "address", NULL)));
    tokens_make(made->role, made->text, made->id, made->hash);
    struct message *message = call_write(call, WRITE_TOKEN, "token.create", made->id, body);
    message->token = arena_strdup(&message->arena, made->id);
    message->name = arena_strdup(&message->arena, made->name);
    message->role = made->role;
    message->value = arena_strdup(&message->arena, made->hash);
    message->expires_ms = made->expires_ms;
    job->data = made;
    job->finish = finish_made;
    return job_write(call, job, message, err);
}

bool handle_post_token(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = make_token(call, body, err);
    json_decref(body);
    return ok;
}

/* ---- Revoking ---- */

static bool finish_dropped(struct job *job, struct query *query, struct nx_err *err)
{
    (void)query;
    (void)err;
    put_open(&job->body, NULL, '{');
    put_text(&job->body, "deleted", job->data);
    put_close(&job->body, '}');
    return true;
}

bool handle_delete_token(struct call *call, struct nx_err *err)
{
    struct message *message =
        call_write(call, WRITE_TOKEN_DROP, "token.revoke", call->params[0], NULL);
    struct job *job = job_new(call);
    message->token = arena_strdup(&message->arena, call->params[0]);
    job->data = arena_strdup(&job->arena, call->params[0]);
    job->finish = finish_dropped;
    return job_write(call, job, message, err);
}
