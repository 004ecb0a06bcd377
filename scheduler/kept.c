#include "scheduler/kept.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"

#define SLOTS_MAX 1000000

/* ---- Reading ---- */

static void add_var(void *arg, const struct kept_row *row)
{
    json_t *vars = arg;
    if (!json_object_get(vars, row->name))
        json_object_set_new(vars, row->name, js_read(row->text, strlen(row->text), "value", NULL));
}

static bool read_vars(struct kept *kept, struct nx_err *err)
{
    json_t *vars = json_copy(kept->fixed[KEPT_VAR]);
    bool ok = store_each_kept(kept->store, KEPT_VAR, add_var, vars, err);
    json_decref(kept->vars);
    kept->vars = vars;
    return ok;
}

/* The secrets while they are unsealed. */
struct unsealing {
    const struct kept *kept;
    json_t *secrets, *unreadable;
    struct crypt_key key;
    bool asked, open; /* for the key */
    struct nx_err err;
};

static bool open_key(struct unsealing *u)
{
    const char *path = u->kept->key_path;
    if (u->asked)
        return u->open;
    u->asked = true;
    u->open = path_exists(path)
                  ? crypt_key_open(path, &u->key, &u->err)
                  : nx_fail(&u->err, NX_E_DENIED,
                            "the key file %s is missing: put it back, or set the secret anew after "
                            "all that were sealed with it are deleted",
                            path);
    return u->open;
}

/* A sealed secret is its name, a zero, and the value: it counts under its own name alone. */
static bool unseal(struct unsealing *u, const struct kept_row *row, struct buf *text,
                   struct nx_err *err)
{
    size_t n = strlen(row->name) + 1;
    if (!open_key(u)) {
        *err = u->err;
        return false;
    }
    if (!crypt_unseal(&u->key, row->sealed, row->n_sealed, text, err))
        return nx_wrap(err, "with the key file %s", u->kept->key_path);
    return (text->len >= n && memcmp(text->data, row->name, n) == 0) ||
           nx_fail(err, NX_E_DENIED, "it was sealed under another name");
}

static void add_secret(void *arg, const struct kept_row *row)
{
    struct unsealing *u = arg;
    struct nx_err err;
    struct buf text;
    size_t n = strlen(row->name) + 1;
    if (json_object_get(u->secrets, row->name))
        return;
    buf_init(&text);
    if (unseal(u, row, &text, &err))
        json_object_set_new(u->secrets, row->name, js_stringn(text.data + n, text.len - n));
    else
        json_object_set_new(u->unreadable, row->name, js_string(err.text));
    buf_fini(&text);
}

static void log_unreadable(const struct kept *kept, const json_t *before)
{
    const char *name;
    json_t *why;
    if (json_equal(kept->unreadable, before))
        return;
    if (json_object_size(kept->unreadable) == 0)
        log_info("all secrets can be read again");
    json_object_foreach(kept->unreadable, name, why)
        log_error("the secret '%s' cannot be read: %s", name, json_string_value(why));
}

static bool read_secrets(struct kept *kept, struct nx_err *err)
{
    struct unsealing u = {
        .kept = kept, .secrets = json_copy(kept->fixed[KEPT_SECRET]), .unreadable = json_object()};
    json_t *before = kept->unreadable;
    bool ok = store_each_kept(kept->store, KEPT_SECRET, add_secret, &u, err);
    crypt_key_wipe(&u.key);
    json_decref(kept->secrets);
    kept->secrets = u.secrets;
    kept->unreadable = u.unreadable;
    log_unreadable(kept, before);
    json_decref(before);
    return ok;
}

void kept_try_again(struct kept *kept)
{
    struct nx_err err;
    if (json_object_size(kept->unreadable) && !read_secrets(kept, &err))
        engine_give_up(&err);
}

/* ---- Beginning and end ---- */

static json_t *object_of(const char *text)
{
    json_t *value = text && *text ? json_loads(text, 0, NULL) : NULL;
    return value ? value : json_object();
}

bool kept_open(struct kept *kept, struct store *store, const struct engine_config *config,
               struct nx_err *err)
{
    *kept = (struct kept){.store = store, .unreadable = json_object()};
    kept->fixed[KEPT_POOL] = object_of(config->pools);
    kept->fixed[KEPT_VAR] = object_of(config->vars);
    kept->fixed[KEPT_SECRET] = object_of(config->secrets);
    if (!path_join(kept->key_path, sizeof kept->key_path, config->home,
                   config->key_file ? config->key_file : KEPT_KEY_FILE))
        return nx_fail(err, NX_E_LIMIT, "the path of the key file is too long");
    return read_vars(kept, err) && read_secrets(kept, err);
}

void kept_close(struct kept *kept)
{
    for (int i = 0; i < KEPT_KINDS; i++)
        json_decref(kept->fixed[i]);
    json_decref(kept->vars);
    json_decref(kept->secrets);
    json_decref(kept->unreadable);
    *kept = (struct kept){0};
}

struct pool_list {
    const struct kept *kept;
    void (*fn)(void *arg, const char *name, int64_t slots);
    void *arg;
};

static void tell_pool(void *arg, const struct kept_row *row)
{
    const struct pool_list *list = arg;
    if (!json_object_get(list->kept->fixed[KEPT_POOL], row->name))
        list->fn(list->arg, row->name, row->slots);
}

bool kept_pools(struct kept *kept, void (*fn)(void *arg, const char *name, int64_t slots),
                void *arg, struct nx_err *err)
{
    struct pool_list list = {kept, fn, arg};
    const char *name;
    json_t *slots;
    json_object_foreach(kept->fixed[KEPT_POOL], name, slots)
        fn(arg, name, json_integer_value(slots));
    return store_each_kept(kept->store, KEPT_POOL, tell_pool, &list, err);
}

/* ---- Changes ---- */

static bool check_name(const struct kept *kept, const struct message *message, struct nx_err *err)
{
    static const char *const where[] = {"under `pools:` in nexus.yaml",
                                        "under `vars:` in nexus.yaml",
                                        "by the scheduler's environment (NEXUS_SECRET_*)"};
    enum kept_kind kind = message->kept;
    bool pool = kind == KEPT_POOL;
    if (!str_is_id(message->name, pool))
        return nx_fail(err, NX_E_INVALID,
                       "'%.80s' is no name of a %s: a small letter, then at most %d of small "
                       "letters, digits%s and _",
                       message->name, kept_name(kind), NX_ID_MAX - 1, pool ? ", -" : "");
    if (json_object_get(kept->fixed[kind], message->name))
        return nx_fail(err, NX_E_CONFLICT, "the %s '%s' is set %s, which wins: change it there",
                       kept_name(kind), message->name, where[kind]);
    return true;
}

/* They travel with every run. */
static bool check_size(const struct kept *kept, const struct message *message, struct nx_err *err)
{
    json_t *sets[] = {json_copy(kept->vars), json_copy(kept->secrets)};
    size_t n = 0;
    bool var = message->kept == KEPT_VAR;
    json_object_set_new(sets[var ? 0 : 1], message->name,
                        var ? js_read(message->value, strlen(message->value), "value", NULL)
                            : js_string(message->value));
    for (size_t i = 0; i < 2; i++) {
        char *text = js_text(sets[i]);
        n += strlen(text);
        mem_free(text);
        json_decref(sets[i]);
    }
    return n <= NX_VARS_MAX ||
           nx_fail(err, NX_E_LIMIT,
                   "variables and secrets together would be larger than %d bytes: they travel "
                   "with every run; keep the path of a file instead",
                   NX_VARS_MAX);
}

static bool seal(const struct kept *kept, const struct message *message, int64_t n_secrets,
                 struct buf *sealed, struct nx_err *err)
{
    struct crypt_key key;
    struct buf text;
    if (n_secrets && !path_exists(kept->key_path))
        return nx_fail(err, NX_E_CONFLICT,
                       "the key file %s is missing, and %lld kept secrets were sealed with it: put "
                       "it back, or delete them first",
                       kept->key_path, (long long)n_secrets);
    if (!crypt_key_open(kept->key_path, &key, err))
        return false;
    buf_init(&text);
    buf_add(&text, message->name, strlen(message->name) + 1);
    buf_str(&text, message->value);
    crypt_seal(&key, text.data, text.len, sealed);
    crypt_key_wipe(&key);
    buf_fini(&text);
    return true;
}

static bool check_value(const struct kept *kept, const struct message *message, int64_t n,
                        struct nx_err *err)
{
    if (message->kept != KEPT_POOL)
        return check_size(kept, message, err);
    if (message->slots < 0 || message->slots > SLOTS_MAX)
        return nx_fail(err, NX_E_INVALID, "a pool has 0 to %d slots, not %lld", SLOTS_MAX,
                       (long long)message->slots);
    return n < NX_POOLS_MAX ||
           nx_fail(err, NX_E_LIMIT, "there are %d pools, and no more are kept", NX_POOLS_MAX);
}

static bool keep(struct kept *kept, const struct message *message, int64_t n, struct nx_err *err)
{
    struct kept_row row = {.name = message->name,
                           .slots = message->slots,
                           .text = message->value,
                           .updated_ms = clock_wall_ms()};
    struct buf sealed;
    buf_init(&sealed);
    bool ok = check_value(kept, message, n, err);
    if (ok && message->kept == KEPT_SECRET) {
        ok = seal(kept, message, n, &sealed, err);
        row.sealed = sealed.data;
        row.n_sealed = sealed.len;
    }
    if (ok && !store_put_kept(kept->store, message->kept, &row, err))
        engine_give_up(err);
    buf_fini(&sealed);
    return ok;
}

static void drop(struct kept *kept, const struct core *core, const struct message *message,
                 struct write_result *result)
{
    struct core_pool_view view;
    struct nx_err err;
    for (size_t i = 0; message->kept == KEPT_POOL && core_view_pool(core, i, &view); i++) {
        if (!str_eq(view.name, message->name))
            continue;
        result->used = view.used;
        result->waiting = core_pool_waiting(core, i);
    }
    if (!store_drop_kept(kept->store, message->kept, message->name, &err))
        engine_give_up(&err);
}

bool kept_take(struct kept *kept, const struct core *core, const struct message *message,
               struct write_result *result, struct nx_err *err)
{
    enum kept_kind kind = message->kept;
    const char *what = kept_name(kind);
    bool found = false;
    int64_t n = 0;
    if (!check_name(kept, message, err))
        return false;
    if (!store_count_kept(kept->store, kind, message->name, &found, &n, err))
        engine_give_up(err);
    if (message->op == WRITE_DROP) {
        if (!found)
            return nx_fail(err, NX_E_NOT_FOUND, "there is no %s '%s'", what, message->name);
        drop(kept, core, message, result);
    } else {
        if (found && message->only_new)
            return nx_fail(err, NX_E_CONFLICT, "there is a %s '%s' already", what, message->name);
        if (!keep(kept, message, n - (kind == KEPT_POOL && found), err))
            return false;
        result->replaced = found;
    }
    bool ok = kind == KEPT_VAR      ? read_vars(kept, err)
              : kind == KEPT_SECRET ? read_secrets(kept, err)
                                    : true;
    if (!ok)
        engine_give_up(err);
    return true;
}
