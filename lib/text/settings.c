#include "lib/text/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "lib/text/yaml.h"
#include "nexus/limits.h"

struct reading {
    struct settings *settings;
    const char *folder; /* of the file, "" for the current one */
    struct problems problems;
};

void settings_init(struct settings *settings)
{
    *settings = (struct settings){.lost_after_ms = -1,
                                  .log_max_bytes = -1,
                                  .grace_ms = -1,
                                  .notify_delay_ms = -1,
                                  .auth = -1};
    retention_init(&settings->retention);
    arena_init(&settings->arena);
}

void settings_fini(struct settings *settings)
{
    arena_fini(&settings->arena);
}

/* A scalar's text; a number is as good as a string. */
static const char *read_text(struct reading *r, const struct yaml_node *node)
{
    if (node->kind == YAML_KIND_SCALAR && !yaml_is_null(node) && node->n)
        return arena_strdup(&r->settings->arena, node->text);
    yaml_problem(&r->problems, node, "expected a text, not %s", yaml_type_name(node));
    return NULL;
}

static void read_listen(struct reading *r, const struct yaml_node *node)
{
    char host[64];
    uint16_t port;
    struct nx_err err;
    const char *text = read_text(r, node);
    if (text && !settings_parse_listen(text, host, sizeof host, &port, &err))
        yaml_problem(&r->problems, node, "%s", err.text);
    r->settings->listen = text;
}

static void read_listen_workers(struct reading *r, const struct yaml_node *node)
{
    const char *api = r->settings->listen;
    read_listen(r, node); /* the same form */
    r->settings->listen_workers = r->settings->listen;
    r->settings->listen = api;
}

static const char *read_folder(struct reading *r, const struct yaml_node *node)
{
    char path[PATH_MAX_BYTES];
    const char *text = read_text(r, node);
    if (!text)
        return NULL;
    if (!path_join(path, sizeof path, r->folder, text)) {
        yaml_problem(&r->problems, node, "the path is too long");
        return NULL;
    }
    return arena_strdup(&r->settings->arena, path);
}

static void read_dags(struct reading *r, const struct yaml_node *node)
{
    r->settings->dags = read_folder(r, node);
}

static void read_home(struct reading *r, const struct yaml_node *node)
{
    r->settings->home = read_folder(r, node);
}

static void read_slots(struct reading *r, const struct yaml_node *node)
{
    if (!yaml_int(node, &r->settings->slots) || r->settings->slots < 1 ||
        r->settings->slots > NX_SLOTS_MAX)
        yaml_problem(&r->problems, node, "expected a number of slots from 1 to %d", NX_SLOTS_MAX);
}

static void read_pools(struct reading *r, const struct yaml_node *node)
{
    struct settings_pool *pools;
    if (node->kind != YAML_KIND_MAP) {
        yaml_problem(&r->problems, node, "expected pools as {name: slots}, not %s",
                     yaml_type_name(node));
        return;
    }
    pools = arena_array(&r->settings->arena, node->n, sizeof *pools);
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        pools[i].name = arena_strdup(&r->settings->arena, pair->key->text);
        if (!str_is_id(pools[i].name, true))
            yaml_problem(&r->problems, pair->key,
                         "'%s' is no name of a pool: small letters, digits, - and _",
                         pools[i].name);
        if (!yaml_int(pair->value, &pools[i].slots) || pools[i].slots < 0)
            yaml_problem(&r->problems, pair->value, "expected the number of slots of pool '%s'",
                         pools[i].name);
    }
    r->settings->pools = pools;
    r->settings->n_pools = node->n;
}

static void read_vars(struct reading *r, const struct yaml_node *node)
{
    struct settings_var *vars;
    if (node->kind != YAML_KIND_MAP) {
        yaml_problem(&r->problems, node, "expected vars as {name: value}, not %s",
                     yaml_type_name(node));
        return;
    }
    vars = arena_array(&r->settings->arena, node->n, sizeof *vars);
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        json_t *value = yaml_json(pair->value);
        char *text = js_text(value);
        vars[i].name = arena_strdup(&r->settings->arena, pair->key->text);
        vars[i].json = arena_strdup(&r->settings->arena, text);
        if (!str_is_id(vars[i].name, false))
            yaml_problem(&r->problems, pair->key,
                         "'%s' is no name of a variable: small letters, digits and _",
                         vars[i].name);
        mem_free(text);
        json_decref(value);
    }
    r->settings->vars = vars;
    r->settings->n_vars = node->n;
}

static void read_duration(struct reading *r, const struct yaml_node *node, int64_t *ms)
{
    if (node->kind != YAML_KIND_SCALAR || !str_parse_duration(node->text, ms))
        yaml_problem(&r->problems, node, "expected a duration such as 8s or 2m");
}

static void read_lost_after(struct reading *r, const struct yaml_node *node)
{
    read_duration(r, node, &r->settings->lost_after_ms);
}

static void read_grace(struct reading *r, const struct yaml_node *node)
{
    read_duration(r, node, &r->settings->grace_ms);
}

static void read_retention(struct reading *r, const struct yaml_node *node)
{
    retention_read(node, &r->problems, &r->settings->retention);
}

static void read_notify_delay(struct reading *r, const struct yaml_node *node)
{
    read_duration(r, node, &r->settings->notify_delay_ms);
}

static bool is_public_url(const char *url)
{
    return (str_starts(url, "http://") || str_starts(url, "https://")) && strlen(url) < 200 &&
           !strpbrk(url, " \t\r\n\"\\") && !str_ends(url, "/");
}

static void read_public_url(struct reading *r, const struct yaml_node *node)
{
    const char *url = read_text(r, node);
    if (url && !is_public_url(url))
        yaml_problem(&r->problems, node,
                     "expected an address such as https://nexus.example.com, without a slash at "
                     "its end");
    r->settings->public_url = url;
}

static void read_log_max(struct reading *r, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR || !str_parse_size(node->text, &r->settings->log_max_bytes))
        yaml_problem(&r->problems, node, "expected a size such as 100M");
}

bool settings_parse_auth(const char *text, int *auth, struct nx_err *err)
{
    *auth = str_eq(text, "tokens") ? 1 : str_eq(text, "off") ? 0 : -1;
    return *auth >= 0 || nx_fail(err, NX_E_INVALID, "auth is tokens or off, not '%.64s'", text);
}

static void read_auth(struct reading *r, const struct yaml_node *node)
{
    struct nx_err err;
    const char *text = read_text(r, node);
    if (text && !settings_parse_auth(text, &r->settings->auth, &err))
        yaml_problem(&r->problems, node, "%s", err.text);
}

/* clang-format off */
static const struct {
    const char *key;
    void (*read)(struct reading *r, const struct yaml_node *node);
} keys[] = {
    {"listen", read_listen},   {"dags", read_dags},           {"home", read_home},
    {"slots", read_slots},     {"pools", read_pools},         {"vars", read_vars},
    {"grace", read_grace},     {"lost_after", read_lost_after}, {"log_max", read_log_max},
    {"retention", read_retention},
    {"public_url", read_public_url}, {"notify_delay", read_notify_delay},
    {"listen_workers", read_listen_workers}, {"auth", read_auth},
};
/* clang-format on */

#define N_KEYS (sizeof keys / sizeof *keys)

static void read_pair(struct reading *r, const struct yaml_pair *pair)
{
    const char *names[N_KEYS];
    for (size_t i = 0; i < N_KEYS; i++) {
        if (str_eq(keys[i].key, pair->key->text)) {
            keys[i].read(r, pair->value);
            return;
        }
        names[i] = keys[i].key;
    }
    const char *near = str_nearest(pair->key->text, names, N_KEYS);
    if (near)
        yaml_problem(&r->problems, pair->key, "unknown key '%s'; did you mean '%s'?",
                     pair->key->text, near);
    else
        yaml_problem(&r->problems, pair->key,
                     "unknown key '%s'; there are: listen, dags, home, "
                     "slots, pools, vars, grace, lost_after, log_max, retention, public_url, "
                     "notify_delay, listen_workers, auth",
                     pair->key->text);
}

static bool all_problems(struct problems *problems, struct nx_err *err)
{
    struct buf text = {0};
    problems_sort(problems);
    for (size_t i = 0; i < problems->n; i++) {
        if (i)
            buf_char(&text, '\n');
        problem_text(&problems->at[i], &text);
    }
    nx_fail(err, NX_E_INVALID, "%s", buf_text(&text));
    buf_fini(&text);
    return false;
}

bool settings_parse(struct settings *settings, const char *file, const char *text, size_t n,
                    struct nx_err *err)
{
    char folder[PATH_MAX_BYTES];
    struct arena tree;
    struct yaml_node **docs;
    size_t n_docs;
    size_t len = (size_t)(path_base(file) - file);
    if (len >= sizeof folder)
        return nx_fail(err, NX_E_LIMIT, "the path of the settings file is too long");
    memcpy(folder, file, len);
    folder[len > 1 ? len - 1 : len] = 0;
    struct reading r = {.settings = settings, .folder = folder};
    problems_init(&r.problems);
    arena_init(&tree);
    bool ok = yaml_parse(&tree, file, text, n, &docs, &n_docs, &r.problems);
    if (ok && n_docs > 1)
        yaml_problem(&r.problems, docs[1], "settings are one document, and this is a second");
    if (ok && n_docs && !yaml_is_null(docs[0]) && docs[0]->kind != YAML_KIND_MAP)
        yaml_problem(&r.problems, docs[0], "expected keys and values, not %s",
                     yaml_type_name(docs[0]));
    else if (ok && n_docs && docs[0]->kind == YAML_KIND_MAP) {
        for (size_t i = 0; i < docs[0]->n; i++)
            read_pair(&r, &docs[0]->pairs[i]);
    }
    ok = r.problems.n_errors == 0;
    if (!ok) {
        settings_fini(settings);
        settings_init(settings);
        all_problems(&r.problems, err);
    }
    arena_fini(&tree);
    problems_fini(&r.problems);
    return ok;
}

/* The variables, each over what the file said. */
static bool read_environment(struct settings *settings, struct nx_err *err)
{
    const char *value = getenv("NEXUS_LISTEN");
    char host[64];
    uint16_t port;
    if (value && *value) {
        if (!settings_parse_listen(value, host, sizeof host, &port, err))
            return nx_wrap(err, "NEXUS_LISTEN");
        settings->listen = arena_strdup(&settings->arena, value);
    }
    value = getenv("NEXUS_LISTEN_WORKERS");
    if (value && *value) {
        if (!settings_parse_listen(value, host, sizeof host, &port, err))
            return nx_wrap(err, "NEXUS_LISTEN_WORKERS");
        settings->listen_workers = arena_strdup(&settings->arena, value);
    }
    value = getenv("NEXUS_AUTH");
    if (value && *value && !settings_parse_auth(value, &settings->auth, err))
        return nx_wrap(err, "NEXUS_AUTH");
    if ((value = getenv("NEXUS_DAGS")) && *value)
        settings->dags = arena_strdup(&settings->arena, value);
    if ((value = getenv("NEXUS_HOME")) && *value)
        settings->home = arena_strdup(&settings->arena, value);
    value = getenv("NEXUS_SLOTS");
    if (value && *value &&
        (!str_parse_int(value, &settings->slots) || settings->slots < 1 ||
         settings->slots > NX_SLOTS_MAX))
        return nx_fail(err, NX_E_INVALID, "NEXUS_SLOTS: expected 1 to %d, not '%s'", NX_SLOTS_MAX,
                       value);
    value = getenv("NEXUS_LOST_AFTER");
    if (value && *value && !str_parse_duration(value, &settings->lost_after_ms))
        return nx_fail(err, NX_E_INVALID, "NEXUS_LOST_AFTER: '%s' is no duration", value);
    value = getenv("NEXUS_GRACE");
    if (value && *value && !str_parse_duration(value, &settings->grace_ms))
        return nx_fail(err, NX_E_INVALID, "NEXUS_GRACE: '%s' is no duration", value);
    value = getenv("NEXUS_NOTIFY_DELAY");
    if (value && *value && !str_parse_duration(value, &settings->notify_delay_ms))
        return nx_fail(err, NX_E_INVALID, "NEXUS_NOTIFY_DELAY: '%s' is no duration", value);
    if ((value = getenv("NEXUS_PUBLIC_URL")) && *value) {
        if (!is_public_url(value))
            return nx_fail(err, NX_E_INVALID,
                           "NEXUS_PUBLIC_URL: '%.100s' is no address such as "
                           "https://nexus.example.com (without a slash at its end)",
                           value);
        settings->public_url = arena_strdup(&settings->arena, value);
    }
    value = getenv("NEXUS_LOG_MAX");
    if (value && *value && !str_parse_size(value, &settings->log_max_bytes))
        return nx_fail(err, NX_E_INVALID, "NEXUS_LOG_MAX: '%s' is no size", value);
    return true;
}

bool settings_load(struct settings *settings, const char *project, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf text = {0};
    bool ok = true;
    if (!path_join(path, sizeof path, project, SETTINGS_FILE))
        return nx_fail(err, NX_E_LIMIT, "the path of the settings file is too long");
    if (path_exists(path))
        ok = path_read(path, SETTINGS_FILE_MAX, &text, err) &&
             settings_parse(settings, path, buf_text(&text), text.len, err);
    buf_fini(&text);
    if (ok && !read_environment(settings, err)) {
        settings_fini(settings);
        settings_init(settings);
        ok = false;
    }
    return ok;
}

char *settings_named(const char *prefix)
{
    size_t start = strlen(prefix);
    json_t *values = json_object();
    for (char **entry = environ; *entry; entry++) {
        char name[NX_NAME_MAX];
        const char *equals = strchr(*entry, '=');
        if (!str_starts(*entry, prefix) || !equals)
            continue;
        size_t n = (size_t)(equals - *entry) - start;
        if (!n || n >= sizeof name)
            continue;
        for (size_t i = 0; i < n; i++) {
            char c = (*entry)[start + i];
            name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        name[n] = 0;
        json_object_set_new(values, name, js_string(equals + 1));
    }
    char *text = js_text(values);
    json_decref(values);
    return text;
}

bool settings_parse_listen(const char *listen, char *host, size_t size, uint16_t *port,
                           struct nx_err *err)
{
    const char *colon = strrchr(listen, ':');
    int64_t number;
    must(size >= 64);
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        !str_parse_int(colon + 1, &number) || number > 65535)
        return nx_fail(err, NX_E_INVALID, "'%.100s' is no HOST:PORT, such as " SETTINGS_LISTEN,
                       listen);
    const char *start = listen;
    size_t len = (size_t)(colon - listen);
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        start++;
        len -= 2;
    } else if (memchr(listen, ':', len)) {
        return nx_fail(err, NX_E_INVALID, "'%.100s' has more than one ':'; write [ADDRESS]:PORT",
                       listen);
    }
    if (len >= size)
        return nx_fail(err, NX_E_INVALID, "the host of '%.100s' is too long", listen);
    if (len == 0)
        str_copy(host, size, "127.0.0.1");
    else {
        memcpy(host, start, len);
        host[len] = 0;
    }
    *port = (uint16_t)number;
    return true;
}
