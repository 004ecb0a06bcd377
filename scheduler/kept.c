#include "scheduler/kept.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/conn.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"
#include "scheduler/store/seal.h"

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

/* The values of a kind while they are unsealed. */
struct unsealing {
    struct unseal unseal;
    enum kept_kind kind;
    json_t *values, *unreadable;
};

static void add_sealed(void *arg, const struct kept_row *row)
{
    struct unsealing *u = arg;
    struct nx_err err;
    struct buf text;
    if (json_object_get(u->values, row->name))
        return;
    buf_init(&text);
    if (unseal_row(&u->unseal, u->kind, row, &text, &err))
        json_object_set_new(u->values, row->name, js_stringn(text.data, text.len));
    else
        json_object_set_new(u->unreadable, row->name, js_string(err.text));
    buf_fini(&text);
}

static void log_unreadable(enum kept_kind kind, const json_t *unreadable, const json_t *before)
{
    const char *name;
    json_t *why;
    if (json_equal(unreadable, before))
        return;
    if (json_object_size(unreadable) == 0)
        log_info("all %ss can be read again", kept_name(kind));
    json_object_foreach((json_t *)(uintptr_t)unreadable, name, why)
        log_error("the %s '%s' cannot be read: %s", kept_name(kind), name, json_string_value(why));
}

/* Takes what is kept of a kind, with what the environment has. */
static bool read_sealed(struct kept *kept, enum kept_kind kind, json_t **values,
                        json_t **unreadable, struct nx_err *err)
{
    struct unsealing u = {
        .kind = kind, .values = json_copy(kept->fixed[kind]), .unreadable = json_object()};
    unseal_begin(&u.unseal, kept->key_path);
    bool ok = store_each_kept(kept->store, kind, add_sealed, &u, err);
    unseal_end(&u.unseal);
    log_unreadable(kind, u.unreadable, *unreadable);
    json_decref(*values);
    json_decref(*unreadable);
    *values = u.values;
    *unreadable = u.unreadable;
    return ok;
}

static bool read_secrets(struct kept *kept, struct nx_err *err)
{
    return read_sealed(kept, KEPT_SECRET, &kept->secrets, &kept->unreadable, err);
}

static bool read_conns(struct kept *kept, struct nx_err *err)
{
    return read_sealed(kept, KEPT_CONN, &kept->conns, &kept->unreadable_conns, err);
}

void kept_try_again(struct kept *kept)
{
    struct nx_err err;
    if ((json_object_size(kept->unreadable) && !read_secrets(kept, &err)) ||
        (json_object_size(kept->unreadable_conns) && !read_conns(kept, &err)))
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
    *kept = (struct kept){
        .store = store, .unreadable = json_object(), .unreadable_conns = json_object()};
    kept->fixed[KEPT_POOL] = object_of(config->pools);
    kept->fixed[KEPT_VAR] = object_of(config->vars);
    kept->fixed[KEPT_SECRET] = object_of(config->secrets);
    kept->fixed[KEPT_CONN] = object_of(config->connections);
    if (!path_join(kept->key_path, sizeof kept->key_path, config->home,
                   config->key_file ? config->key_file : KEPT_KEY_FILE))
        return nx_fail(err, NX_E_LIMIT, "the path of the key file is too long");
    return read_vars(kept, err) && read_secrets(kept, err) && read_conns(kept, err);
}

void kept_close(struct kept *kept)
{
    for (int i = 0; i < KEPT_KINDS; i++)
        json_decref(kept->fixed[i]);
    json_decref(kept->vars);
    json_decref(kept->secrets);
    json_decref(kept->unreadable);
    json_decref(kept->conns);
    json_decref(kept->unreadable_conns);
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
                                        "by the scheduler's environment (NEXUS_SECRET_*)",
                                        "by the scheduler's environment (NEXUS_CONN_*)"};
    enum kept_kind kind = message->kept;
    bool dashes = kind == KEPT_POOL || kind == KEPT_CONN;
    if (!str_is_id(message->name, dashes))
        return nx_fail(err, NX_E_INVALID,
                       "'%.80s' is no name of a %s: a small letter, then at most %d of small "
                       "letters, digits%s and _",
                       message->name, kept_name(kind), NX_ID_MAX - 1, dashes ? ", -" : "");
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

static bool count_sealed(const struct kept *kept, int64_t *n, struct nx_err *err)
{
    static const enum kept_kind sealed[] = {KEPT_SECRET, KEPT_CONN};
    *n = 0;
    for (size_t i = 0; i < sizeof sealed / sizeof *sealed; i++) {
        int64_t of_kind;
        bool found;
        if (!store_count_kept(kept->store, sealed[i], "", &found, &of_kind, err))
            return false;
        *n += of_kind;
    }
    return true;
}

static bool seal(const struct kept *kept, const struct message *message, struct buf *sealed,
                 struct nx_err *err)
{
    int64_t n;
    if (!count_sealed(kept, &n, err))
        engine_give_up(err);
    if (n && !path_exists(kept->key_path))
        return nx_fail(err, NX_E_CONFLICT,
                       "the key file %s is missing, and %lld kept secrets and connections were "
                       "sealed with it: put it back, or delete them first",
                       kept->key_path, (long long)n);
    return seal_value(kept->key_path, message->kept, message->name, message->value, sealed, err);
}

/* *shown is in the arena. */
static bool check_conn(const struct message *message, int64_t n, struct arena *arena,
                       const char **shown, struct nx_err *err)
{
    struct conn conn;
    if (n >= NX_CONNECTIONS_MAX)
        return nx_fail(err, NX_E_LIMIT, "there are %d connections, and no more are kept",
                       NX_CONNECTIONS_MAX);
    if (!conn_read(message->value, arena, &conn, err))
        return false;
    *shown = conn_shown(&conn, arena);
    return true;
}

static bool check_value(const struct kept *kept, const struct message *message, int64_t n,
                        struct nx_err *err)
{
    if (message->kept == KEPT_VAR || message->kept == KEPT_SECRET)
        return check_size(kept, message, err);
    if (message->kept == KEPT_CONN)
        return true;
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
    struct arena arena;
    buf_init(&sealed);
    arena_init(&arena);
    bool ok = check_value(kept, message, n, err);
    if (ok && message->kept == KEPT_CONN) {
        ok = check_conn(message, n, &arena, &row.shown, err);
        row.text = message->description;
    }
    if (ok && (message->kept == KEPT_SECRET || message->kept == KEPT_CONN)) {
        ok = seal(kept, message, &sealed, err);
        row.sealed = sealed.data;
        row.n_sealed = sealed.len;
    }
    if (ok && !store_put_kept(kept->store, message->kept, &row, err))
        engine_give_up(err);
    arena_fini(&arena);
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
        if (!keep(kept, message, n - found, err))
            return false;
        result->replaced = found;
    }
    bool ok = kind == KEPT_VAR      ? read_vars(kept, err)
              : kind == KEPT_SECRET ? read_secrets(kept, err)
              : kind == KEPT_CONN   ? read_conns(kept, err)
                                    : true;
    if (!ok)
        engine_give_up(err);
    return true;
}
