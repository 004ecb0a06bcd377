#include "scheduler/port/api_auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/text/json.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/tokens.h"

#define COOKIE_MAX 128 /* id, end and MAC */

bool auth_open(struct api *api, const struct api_config *config, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    api->auth = config->auth;
    api->secure = config->secure;
    if (!api->auth)
        return true;
    must(api->tokens != NULL);
    if (!path_join(path, sizeof path, api->home, SESSION_KEY_FILE))
        return nx_fail(err, NX_E_LIMIT, "the path of the home is too long");
    return crypt_key_open(path, &api->session_key, err);
}

/* ---- Sessions ---- */

/* Of this port: browsers send cookies to all ports of a host. */
static void cookie_name(const struct call *call, char name[32])
{
    snprintf(name, 32, "nexus_session_%u", api_port(call->api));
}

static void session_mac(const struct api *api, const char *what, size_t n, char mac[SHA256_HEX])
{
    hmac_sha256(api->session_key.bytes, sizeof api->session_key.bytes, what, n, mac);
}

/* The value of the cookie of that name in a header such as "a=1; b=2"; "" when there is none. */
static void find_cookie(const char *header, const char *name, char value[COOKIE_MAX])
{
    size_t n_name = strlen(name);
    value[0] = 0;
    while (header && *header) {
        header += strspn(header, " ;");
        size_t n = strcspn(header, ";");
        if (n > n_name + 1 && n - n_name - 1 < COOKIE_MAX && header[n_name] == '=' &&
            strncmp(header, name, n_name) == 0) {
            memcpy(value, header + n_name + 1, n - n_name - 1);
            value[n - n_name - 1] = 0;
            return;
        }
        header += n;
    }
}

/* "<id>.<end, seconds>.<mac>" */
static bool read_session(struct call *call, char *text, struct token_owner *owner,
                         struct nx_err *err)
{
    char mac[SHA256_HEX];
    int64_t end_s;
    char *dot = strchr(text, '.'), *last = dot ? strchr(dot + 1, '.') : NULL;
    if (!last || strlen(last + 1) != SHA256_HEX - 1)
        return nx_fail(err, NX_E_UNAUTHENTICATED, "the session is none");
    session_mac(call->api, text, (size_t)(last - text), mac);
    if (!crypt_equal(mac, last + 1, SHA256_HEX - 1))
        return nx_fail(err, NX_E_UNAUTHENTICATED, "the session is not of this server");
    *dot = *last = 0;
    if (!str_parse_int(dot + 1, &end_s) || end_s * 1000 <= clock_wall_ms())
        return nx_fail(err, NX_E_UNAUTHENTICATED, "the session has ended: sign in again");
    if (!tokens_find(call->api->tokens, text, owner, err))
        return false;
    call->session_end_ms = end_s * 1000;
    return true;
}

/* ---- Who asks ---- */

/* As he calls himself: nobody checks it. */
static const char *name_given(struct call *call)
{
    const char *name = http_header(call->request, "Nexus-User");
    bool plain =
        name && *name && strlen(name) <= NX_NAME_MAX && str_is_utf8(name, strlen(name), NULL);
    return plain ? name : NULL;
}

/* False: he says who he is and it is not true; or nothing, and *err says what to do. */
static bool who_asks(struct call *call, struct nx_err *err)
{
    static const char bearer[] = "Bearer ";
    char name[32], cookie[COOKIE_MAX];
    struct token_owner owner = {0};
    const char *header = http_header(call->request, "Authorization");
    bool known;
    cookie_name(call, name);
    find_cookie(http_header(call->request, "Cookie"), name, cookie);
    if (header && strncasecmp(header, bearer, sizeof bearer - 1) == 0)
        known = tokens_owner(call->api->tokens, header + sizeof bearer - 1, &owner, err);
    else if (cookie[0])
        known = read_session(call, cookie, &owner, err);
    else
        return nx_fail(err, NX_E_UNAUTHENTICATED,
                       "this takes a token: sign in on the page, or send `Authorization: Bearer "
                       "TOKEN` (for `nexus`: NEXUS_TOKEN)");
    if (!known)
        return false;
    call->role = owner.role;
    call->token = arena_strdup(call->arena, owner.id);
    call->who = arena_strdup(call->arena, owner.name[0] ? owner.name : owner.id);
    if (str_eq(call->who, AUTH_LOCAL) && name_given(call))
        call->who = name_given(call); /* who can read the home's token is believed */
    return true;
}

bool auth_check(struct call *call, struct nx_err *err)
{
    const char *given = name_given(call);
    struct nx_err unknown;
    enum role wanted = call->route->role;
    call->who = given ? given : "anonymous";
    call->role = ROLE_ADMIN;
    if (!call->api->auth)
        return true;
    call->who = "anonymous";
    call->role = ROLE_ANYONE;
    bool known = who_asks(call, &unknown);
    if (call->role >= wanted)
        return true;
    if (!known) {
        call->headers[0] = "WWW-Authenticate";
        call->headers[1] = "Bearer realm=\"nexus\"";
        *err = unknown;
        return false;
    }
    return nx_fail(err, NX_E_DENIED, "this takes the role %s; the token '%s' has the role %s",
                   role_name(wanted), call->who, role_name(call->role));
}

/* ---- Streams ---- */

struct guarded {
    struct api *api;
    char token[TOKEN_ID_MAX];
    int64_t until_ms; /* wall; 0: as long as the token is good */
    ssize_t (*produce)(void *arg, char *to, size_t max);
    void (*done)(void *arg);
    void *arg;
};

static ssize_t produce_guarded(void *arg, char *to, size_t max)
{
    const struct guarded *guarded = arg;
    struct token_owner owner;
    struct nx_err err;
    bool over = guarded->until_ms && clock_wall_ms() >= guarded->until_ms;
    if (over || !tokens_find(guarded->api->tokens, guarded->token, &owner, &err))
        return HTTP_END;
    return guarded->produce(guarded->arg, to, max);
}

static void end_guarded(void *arg)
{
    struct guarded *guarded = arg;
    guarded->done(guarded->arg);
    mem_free(guarded);
}

void auth_guard(struct call *call, struct http_reply *reply)
{
    if (!call->token)
        return;
    struct guarded *guarded = mem_alloc(sizeof *guarded);
    *guarded = (struct guarded){.api = call->api,
                                .until_ms = call->session_end_ms,
                                .produce = reply->produce,
                                .done = reply->done,
                                .arg = reply->arg};
    must(str_copy(guarded->token, sizeof guarded->token, call->token));
    reply->produce = produce_guarded;
    reply->done = end_guarded;
    reply->arg = guarded;
}

/* ---- Signing in and out ---- */

static void put_session(struct call *call, const char *user, enum role role, int64_t end_ms)
{
    put_open(&call->body, NULL, '{');
    put_bool(&call->body, "auth", call->api->auth);
    put_text(&call->body, "user", user);
    put_text(&call->body, "role", role_name(role));
    put_time(&call->body, "expires_at", end_ms);
    put_close(&call->body, '}');
}

bool handle_session(struct call *call, struct nx_err *err)
{
    (void)err;
    put_session(call, call->who, call->role, call->session_end_ms);
    return true;
}

static void set_cookie(struct call *call, const char *value, int64_t seconds)
{
    char name[32];
    cookie_name(call, name);
    call->headers[0] = "Set-Cookie";
    call->headers[1] =
        arena_printf(call->arena, "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s", name,
                     value, (long long)seconds, call->api->secure ? "; Secure" : "");
}

static bool sign_in(struct call *call, const json_t *body, struct nx_err *err)
{
    char mac[SHA256_HEX];
    struct token_owner owner;
    const char *token = js_get_text(body, "token", NULL);
    int64_t now_ms = clock_wall_ms(), end_ms = (now_ms / 1000 + SESSION_S) * 1000;
    if (!call->api->auth)
        return nx_fail(err, NX_E_CONFLICT, "this server asks nobody who he is: auth is off");
    if (!token)
        return nx_fail(err, NX_E_INVALID, "'token' is missing");
    if (!tokens_owner(call->api->tokens, token, &owner, err))
        return false;
    if (owner.expires_ms && owner.expires_ms < end_ms)
        end_ms = owner.expires_ms / 1000 * 1000;
    const char *what = arena_printf(call->arena, "%s.%lld", owner.id, (long long)(end_ms / 1000));
    session_mac(call->api, what, strlen(what), mac);
    set_cookie(call, arena_printf(call->arena, "%s.%s", what, mac), (end_ms - now_ms) / 1000);
    const char *name = arena_strdup(call->arena, owner.name[0] ? owner.name : owner.id);
    log_info("'%s' has signed in on the page", name);
    put_session(call, name, owner.role, end_ms);
    return true;
}

bool handle_sign_in(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = sign_in(call, body, err);
    json_decref(body);
    return ok;
}

bool handle_sign_out(struct call *call, struct nx_err *err)
{
    (void)err;
    set_cookie(call, "", 0);
    put_session(call, "anonymous", call->api->auth ? ROLE_ANYONE : ROLE_ADMIN, 0);
    return true;
}
