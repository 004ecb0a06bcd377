/* The engine's beginning and end: from the rows to a core that goes on. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/slice.h"
#include "lib/base/str.h"
#include "nexus/catalog.h"
#include "scheduler/engine_state.h"
#include "scheduler/store/query.h"
#include "scheduler/store/token.h"

#define BROKEN_QUERY_MS 10000

static void on_wake(uv_async_t *wake)
{
    engine_turn(wake->data);
}

/* On any thread. */
static void wake_loop(void *arg)
{
    struct engine *engine = arg;
    uv_async_send(&engine->wake);
}

/* On the loader's thread. */
static void post_loaded(void *arg, struct loader_event *loaded)
{
    struct engine *engine = arg;
    struct message *message = message_new(MSG_LOADER);
    message->loaded = loaded;
    must(inbox_post(engine->inbox, message));
}

struct loading {
    struct engine *engine;
    struct arena arena;
    VEC(struct loader_known) known;
};

static bool load_version(void *arg, const struct store_version *row, struct nx_err *err)
{
    struct loading *loading = arg;
    struct engine *engine = loading->engine;
    struct registry_version *version =
        registry_add(&engine->registry, row->version, row->dag, row->file, NULL, NULL);
    if (row->current) {
        registry_make_current(&engine->registry, version);
        timetables_tell(engine, version, row->timetable, row->paused, true);
        /* One that was checked against other operators is checked again. */
        if (str_eq(row->catalog, engine->catalog_hash)) {
            struct loader_known known = {
                .file = arena_strdup(&loading->arena, row->file),
                .id = arena_strdup(&loading->arena, row->dag),
                .hash = arena_strdup(&loading->arena, row->hash),
                .source_hash = arena_strdup(&loading->arena, row->source_hash),
            };
            vec_push(&loading->known, known);
        }
    }
    if (row->has_files)
        versions_lay_out(engine, row->version);
    (void)err;
    return true;
}

static bool load_problems(void *arg, const char *file, const char *problems, bool has_dag)
{
    struct loading *loading = arg;
    struct loader_known known = {.file = arena_strdup(&loading->arena, file)};
    (void)problems;
    (void)has_dag;
    vec_push(&loading->known, known);
    return true;
}

/* The files with problems, for the loader: of one that is gone or mended nobody else would say so.
 */
static bool load_broken(struct loading *loading, const char *path, struct nx_err *err)
{
    struct query_pool *pool = query_pool_new(path, BROKEN_QUERY_MS);
    struct query *query = query_begin(pool, err);
    bool ok = query && query_problems(query, load_problems, loading, err);
    query_end(query);
    query_pool_free(pool);
    return ok;
}

static bool load_version_in_use(void *arg, const struct store_version *row, struct nx_err *err)
{
    struct loading *loading = arg;
    struct engine *engine = loading->engine;
    if (!row->in_use)
        return true;
    struct registry_version *version = registry_get(&engine->registry, row->version, err);
    if (!version)
        return false;
    core_load_version(engine->core, version->id, version->graph, row->current);
    version->in_core = row->current;
    return true;
}

static void load_worker(void *arg, const struct core_worker_row *row)
{
    struct loading *loading = arg;
    core_load_worker(loading->engine->core, row);
}

static void load_run(void *arg, const struct core_run_row *row)
{
    struct loading *loading = arg;
    core_load_run(loading->engine->core, row);
}

static void load_list(void *arg, struct nx_run_id run, uint32_t map, uint32_t n)
{
    struct loading *loading = arg;
    core_load_list(loading->engine->core, run, map, n);
}

static void load_inst(void *arg, const struct core_inst_row *row)
{
    struct loading *loading = arg;
    core_load_inst(loading->engine->core, row);
}

static void load_edit(void *arg, const struct core_edit_row *row)
{
    struct loading *loading = arg;
    core_load_edit(loading->engine->core, row);
}

static void tell_pool(void *arg, const char *name, int64_t slots)
{
    struct core_event event = now_event(EV_POOL);
    event.pool.name = name;
    event.pool.slots = slots;
    engine_step(arg, &event);
}

static void load_backfill(void *arg, const struct core_backfill *backfill)
{
    struct loading *loading = arg;
    core_load_backfill(loading->engine->core, backfill);
}

static void load_dataset(void *arg, const struct core_dataset_row *row)
{
    struct loading *loading = arg;
    core_load_dataset(loading->engine->core, row);
}

static bool load(struct engine *engine, struct loading *loading, struct nx_err *err)
{
    const struct store_loader versions = {.arg = loading, .version = load_version};
    const struct store_loader rows = {.arg = loading,
                                      .version = load_version_in_use,
                                      .worker = load_worker,
                                      .run = load_run,
                                      .list = load_list,
                                      .inst = load_inst,
                                      .edit = load_edit};
    struct core_config config;
    core_config_init(&config);
    str_copy(config.catalog, sizeof config.catalog, engine->catalog_hash);
    if (engine->config.lost_after_ms >= 0)
        config.lost_after_ipc_ms = config.lost_after_tcp_ms = engine->config.lost_after_ms;
    if (!store_begin_epoch(engine->store, &engine->epoch, &config.next_run, err))
        return false;
    config.epoch = engine->epoch;
    engine->core = core_new(&config);
    engine->question.core = engine->core;
    if (!store_load_datasets(engine->store, loading, load_dataset, err) ||
        !store_load(engine->store, &versions, err) ||
        !store_load_backfills(engine->store, loading, load_backfill, err) ||
        !store_load(engine->store, &rows, err))
        return false;
    if (!kept_pools(&engine->kept, tell_pool, engine, err))
        return false;
    core_load_done(engine->core, clock_steady_ms(), clock_wall_ms(), &engine->update);
    return true;
}

void engine_know_token(struct engine *engine, const struct token_row *row)
{
    struct token_owner owner = {.role = role_find(row->role), .expires_ms = row->expires_ms};
    if (owner.role == ROLES)
        return; /* of a newer version */
    str_copy(owner.id, sizeof owner.id, row->id);
    str_copy(owner.name, sizeof owner.name, row->name);
    tokens_put(engine->tokens, &owner, row->hash);
}

static void load_token(void *arg, const struct token_row *row)
{
    engine_know_token(arg, row);
}

static bool open_dispatch(struct engine *engine, struct nx_err *err)
{
    const struct certificate *certificate = engine->config.certificate;
    const struct link_tls tls = {certificate ? certificate->text : NULL,
                                 certificate ? certificate->key : NULL, NULL};
    const struct dispatch_config config = {.home = engine->home,
                                           .inbox = engine->inbox,
                                           .elsewhere_url = engine->config.elsewhere_url,
                                           .tls = &tls,
                                           .tokens = engine->tokens};
    return dispatch_open(&config, &engine->dispatch, err);
}

static bool open_parts(struct engine *engine, struct loading *loading, struct nx_err *err)
{
    char path[PATH_MAX_BYTES + 64];
    json_error_t problem;
    engine->catalog = json_loads(nx_catalog_json, 0, &problem);
    must(engine->catalog != NULL);
    sha256_of(nx_catalog_json, strlen(nx_catalog_json), engine->catalog_hash);
    snprintf(path, sizeof path, "%s/nexus.db", engine->home);
    if (!store_open(path, &engine->store, err))
        return false;
    engine->zones = zones_new();
    registry_init(&engine->registry, engine->store);
    if (!kept_open(&engine->kept, engine->store, &engine->config, err) ||
        !question_init(&engine->question, engine->store, &engine->registry, &engine->kept,
                       engine->catalog, engine->home, err) ||
        !load(engine, loading, err))
        return false;
    if (!load_broken(loading, path, err))
        return false;
    if (!notify_open(&engine->notify, engine->store, &engine->kept, &engine->config, engine->inbox,
                     err))
        return false;
    if (!store_each_token(engine->store, load_token, engine, err) || !open_dispatch(engine, err))
        return false;
    retention_begin(engine);
    return loader_start(engine->config.dags, engine->catalog, loading->known.at, loading->known.n,
                        post_loaded, engine, &engine->loader, err);
}

bool engine_open(const struct engine_config *config, struct engine **out, struct nx_err *err)
{
    struct engine *engine = mem_alloc(sizeof *engine);
    struct loading loading = {.engine = engine};
    engine->config = *config;
    str_copy(engine->home, sizeof engine->home, config->home);
    arena_init(&engine->arena);
    arena_init(&loading.arena);
    core_update_init(&engine->update);
    must(uv_loop_init(&engine->loop) == 0);
    must(uv_async_init(&engine->loop, &engine->wake, on_wake) == 0);
    must(uv_timer_init(&engine->loop, &engine->timer) == 0);
    engine->wake.data = engine->timer.data = engine;
    engine->inbox = inbox_new(wake_loop, engine);
    engine->tokens = tokens_new();
    bool ok = open_parts(engine, &loading, err);
    vec_fini(&loading.known);
    arena_fini(&loading.arena);
    if (!ok) {
        engine_close(engine);
        return false;
    }
    *out = engine;
    return true;
}

struct inbox *engine_inbox(struct engine *engine)
{
    return engine->inbox;
}

struct tokens *engine_tokens(struct engine *engine)
{
    return engine->tokens;
}

unsigned engine_workers_port(const struct engine *engine)
{
    return dispatch_port(engine->dispatch);
}

void engine_set_url(struct engine *engine, const char *url)
{
    const char *shown = engine->config.public_url;
    str_copy(engine->url, sizeof engine->url, url);
    str_copy(engine->shown_url, sizeof engine->shown_url, shown ? shown : url);
}

void engine_run(struct engine *engine)
{
    slice_short_alone();
    engine_turn(engine);
    if (!engine->stopping)
        uv_run(&engine->loop, UV_RUN_DEFAULT);
}

/* Who still waits is told that the scheduler stops. */
static void refuse_rest(struct engine *engine)
{
    struct message *message = inbox_take(engine->inbox);
    while (message) {
        struct message *next = message->next;
        struct write_result result = {.err = {.code = NX_E_BUSY}};
        str_copy(result.err.text, sizeof result.err.text, "the scheduler is stopping");
        if (message->kind == MSG_WRITE && message->done)
            message->done(message->arg, &result);
        if (message->kind == MSG_QUERY)
            message->look(message->arg, NULL);
        message_free(message);
        message = next;
    }
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    loader_stop(engine->loader);
    dispatch_close(engine->dispatch);
    notify_stop(&engine->notify);
    refuse_rest(engine);
    retention_end(engine);
    notify_close(&engine->notify);
    if (engine->store) {
        question_fini(&engine->question);
        kept_close(&engine->kept);
        core_free(engine->core);
        registry_fini(&engine->registry);
        zones_free(engine->zones);
        store_close(engine->store);
    }
    core_update_fini(&engine->update);
    uv_close((uv_handle_t *)&engine->wake, NULL);
    uv_close((uv_handle_t *)&engine->timer, NULL);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&engine->loop) == 0);
    inbox_free(engine->inbox);
    tokens_free(engine->tokens);
    json_decref(engine->catalog);
    vec_fini(&engine->pending);
    vec_fini(&engine->extras);
    vec_fini(&engine->ask_errors);
    vec_fini(&engine->facts);
    vec_fini(&engine->approvals);
    vec_fini(&engine->ended);
    arena_fini(&engine->arena);
    mem_free(engine);
}
