/* on_success, on_failure, on_retry, on_late: read and checked. */
#include "scheduler/dag/hooks.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/text/conn.h"
#include "lib/text/fill.h"
#include "lib/text/json.h"
#include "lib/text/mime.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

#define TELLS_PATHS 6 /* digits that tell addresses apart whose paths are not shown */

const char *const hook_fields[HOOK_FIELDS] = {
    "event",           "dag",   "run",     "task",         "state",
    "reason",          "error", "attempt", "max_attempts", "interval_start",
    "interval_finish", "time",  "url"};

static const struct {
    const char *kind;
    enum key_scope scope;
    const char *short_key; /* what a text or list alone says */
} kinds[] = {
    {"webhook", KEY_WEBHOOK, "url"},
    {"email", KEY_EMAIL, NULL},
    {"command", KEY_COMMAND, "run"},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

const char *hook_event_name(enum hook_event event)
{
    static const char *const names[HOOK_EVENTS] = {"success", "failure", "retry", "late"};
    return names[event];
}

/* One hook while it is read. */
struct reading {
    struct reader *r;
    const struct yaml_node *node; /* of the kind's value */
    size_t kind;
    struct key_hook said;
    json_t *config;
    struct buf target;
    VEC(const char *) texts; /* of `to` or `run` */
};

static void say(struct reading *h, const char *key, const char *value)
{
    if (value)
        json_object_set_new(h->config, key, js_string(value));
}

/* ---- webhook ---- */

static void check_url(struct reading *h, const struct yaml_node *node, const char *url)
{
    struct conn conn;
    struct nx_err err;
    struct reader *r = h->r;
    char hash[SHA256_HEX];
    if (!str_starts(url, "http://") && !str_starts(url, "https://")) {
        read_problem(r, node, "url", "must begin with http:// or https://");
        return;
    }
    if (!conn_read(url, &r->spec->arena, &conn, &err)) {
        read_problem(r, node, "url", "is not an address: %s", err.text);
        return;
    }
    if (conn.user)
        problem_hint(r->problems, read_problem(r, node, "url", "must not hold a user or password"),
                     "whoever reads the file sees them; keep the address by `nexus conn set NAME` "
                     "and write conn: NAME");
    buf_str(&h->target, conn_shown(&conn, &r->spec->arena));
    if (str_ends(buf_text(&h->target), "***")) {
        sha256_of(url, strlen(url), hash);
        buf_printf(&h->target, "#%.*s", TELLS_PATHS, hash);
    }
    say(h, "url", url);
}

static void read_webhook(struct reading *h)
{
    const struct key_hook *said = &h->said;
    struct reader *r = h->r;
    const struct yaml_node *map = h->node;
    if (map->kind == YAML_KIND_SCALAR) {
        check_url(h, map, map->text);
        return;
    }
    if (!said->url == !said->conn)
        problem_hint(r->problems,
                     yaml_problem(r->problems, map, "a webhook has either 'url' or 'conn'"),
                     "conn: NAME is an http or https connection, whose address is kept secret");
    else if (said->url)
        check_url(h, yaml_get(map, "url"), said->url);
    else
        buf_printf(&h->target, "connection %s", said->conn);
    say(h, "conn", said->conn);
    say(h, "secret", said->secret);
    say(h, "ca", said->ca);
    say(h, "text", said->text);
}

/* ---- email ---- */

static void on_address(struct reader *r, struct yaml_node *node, void *arg)
{
    struct reading *h = arg;
    if (!mime_is_address(node->text))
        problem_hint(r->problems,
                     read_problem(r, node, "to", "must be addresses, not '%.80s'", node->text),
                     "name@example.com, without a name before it, in ASCII");
    else if (h->texts.n == NX_HOOK_ADDRESSES_MAX)
        read_problem(r, node, "to", "has more than %d addresses", NX_HOOK_ADDRESSES_MAX);
    else
        vec_push(&h->texts, node->text);
}

static void read_email(struct reading *h)
{
    const struct key_hook *said = &h->said;
    struct reader *r = h->r;
    const struct yaml_node *map = h->node, *to = yaml_get(map, "to");
    if (map->kind != YAML_KIND_MAP)
        return; /* said by read_kind */
    if (!said->conn)
        problem_hint(r->problems, yaml_problem(r->problems, map, "an email needs 'conn'"),
                     "the name of an smtp connection: `nexus conn set mail`");
    if (!to || !read_texts(r, to, "to", on_address, h))
        yaml_problem(r->problems, map, "an email needs 'to': an address, or a list of them");
    if (said->from && !mime_is_address(said->from))
        read_problem(r, yaml_get(map, "from"), "from", "must be an address, not '%.80s'",
                     said->from);
    buf_printf(&h->target, "%s:", said->conn ? said->conn : "");
    for (size_t i = 0; i < h->texts.n; i++)
        buf_printf(&h->target, "%s%s", i ? ", " : " ", h->texts.at[i]);
    say(h, "conn", said->conn);
    say(h, "from", said->from);
    say(h, "subject", said->subject);
    say(h, "body", said->body);
}

/* ---- command ---- */

static void on_word(struct reader *r, struct yaml_node *node, void *arg)
{
    struct reading *h = arg;
    bool program = h->texts.n == 0;
    if (program && (!node->text[0] || strpbrk(node->text, " \t\n")))
        problem_hint(
            r->problems,
            read_problem(r, node, "run", "must begin with a program, not '%.80s'", node->text),
            "its arguments are further items: [./tell.sh, --loud]; no shell reads them");
    else if (h->texts.n == NX_HOOK_WORDS_MAX)
        read_problem(r, node, "run", "has more than %d words", NX_HOOK_WORDS_MAX);
    else
        vec_push(&h->texts, node->text);
}

static void read_command(struct reading *h)
{
    struct reader *r = h->r;
    const struct yaml_node *run =
        h->node->kind == YAML_KIND_MAP ? yaml_get(h->node, "run") : h->node;
    if (!run || !read_texts(r, run, "run", on_word, h))
        yaml_problem(r->problems, h->node, "a command needs 'run': a program, or a list");
    for (size_t i = 0; i < h->texts.n; i++)
        buf_printf(&h->target, "%s%s", i ? " " : "", h->texts.at[i]);
}

/* ---- Lists ---- */

static void check_place(struct reading *h, const char *key, const char *text)
{
    struct nx_err err;
    size_t offset = 0;
    if (text && !fill_check(text, hook_fields, HOOK_FIELDS, &offset, &err))
        yaml_problem_at(h->r->problems, yaml_get(h->node, key), offset, "'%s': %s", key, err.text);
}

static void finish(struct reading *h, struct hook *hook)
{
    static const char *const lists[] = {NULL, "to", "run"};
    json_t *list = json_array();
    for (size_t i = 0; i < h->texts.n; i++)
        json_array_append_new(list, js_string(h->texts.at[i]));
    if (lists[h->kind])
        json_object_set(h->config, lists[h->kind], list);
    json_decref(list);
    json_object_set_new(h->config, "timeout_ms", json_integer(h->said.timeout_ms));
    char *text = js_text(h->config);
    *hook = (struct hook){kinds[h->kind].kind, keep(h->r, buf_text(&h->target)), keep(h->r, text)};
    mem_free(text);
}

static void read_kind(struct reader *r, size_t kind, const struct yaml_node *node,
                      struct hook *hook)
{
    static void (*const read[N_KINDS])(struct reading *) = {read_webhook, read_email, read_command};
    struct reading h = {.r = r, .node = node, .kind = kind, .config = json_object()};
    h.said.timeout_ms = NX_HOOK_TIMEOUT_MS;
    buf_init(&h.target);
    if (node->kind == YAML_KIND_MAP)
        read_keys(r, node, kinds[kind].scope, &h.said, kinds[kind].kind);
    else if (!kinds[kind].short_key || yaml_is_null(node))
        yaml_problem(r->problems, node, "'%s' must be a mapping", kinds[kind].kind);
    if (node->kind == YAML_KIND_MAP || (kinds[kind].short_key && !yaml_is_null(node)))
        read[kind](&h);
    check_place(&h, "text", h.said.text);
    check_place(&h, "subject", h.said.subject);
    check_place(&h, "body", h.said.body);
    finish(&h, hook);
    vec_fini(&h.texts);
    buf_fini(&h.target);
    json_decref(h.config);
}

static void read_one(struct reader *r, const char *key, const struct yaml_node *item,
                     struct hook *hook)
{
    const char *names[N_KINDS];
    if (item->kind != YAML_KIND_MAP || item->n != 1) {
        problem_hint(
            r->problems,
            yaml_problem(r->problems, item, "'%s' is a list of webhook, email or command", key),
            "%s: [{webhook: https://example.com/hook}]", key);
        return;
    }
    const struct yaml_node *name = item->pairs[0].key;
    for (size_t i = 0; i < N_KINDS; i++) {
        names[i] = kinds[i].kind;
        if (str_eq(name->text, kinds[i].kind)) {
            read_kind(r, i, item->pairs[0].value, hook);
            return;
        }
    }
    const char *nearest = str_nearest(name->text, names, N_KINDS);
    problem_hint(
        r->problems,
        yaml_problem(r->problems, name, "unknown kind of notification '%.80s'", name->text),
        nearest ? "did you mean '%s'?" : "there are webhook, email and command%s",
        nearest ? nearest : "");
}

static void read_list(struct reader *r, const char *key, const struct yaml_node *node,
                      const struct hook **to, uint32_t *n_to)
{
    bool list = node->kind == YAML_KIND_LIST;
    size_t n = list ? node->n : yaml_is_null(node) ? 0 : 1;
    if (n > NX_HOOKS_MAX) {
        read_problem(r, node, key, "has %zu notifications; at most %d are allowed", n,
                     NX_HOOKS_MAX);
        return;
    }
    struct hook *hooks = arena_array(&r->spec->arena, n ? n : 1, sizeof *hooks);
    for (size_t i = 0; i < n; i++)
        read_one(r, key, list ? node->items[i] : node, &hooks[i]);
    *to = hooks;
    *n_to = (uint32_t)n;
}

void read_hooks(struct reader *r, const struct yaml_node *body, struct hooks *hooks)
{
    for (int event = 0; event < HOOK_EVENTS; event++) {
        char key[32];
        snprintf(key, sizeof key, "on_%s", hook_event_name((enum hook_event)event));
        const struct yaml_node *node = yaml_get(body, key);
        if (node)
            read_list(r, key, node, &hooks->at[event], &hooks->n[event]);
    }
}
