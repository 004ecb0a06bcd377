#include "scheduler/engine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/script/args.h"
#include "lib/wire/paths.h"
#include "nexus/catalog.h"
#include "scheduler/port/dispatch.h"
#include "scheduler/question.h"

#define EXIT_COMMIT_FAILED 75
#define WAKE_AT_LEAST_MS 1000

/* A write that waits for its commit. */
struct pending {
    struct message *message;
    struct write_result result;
    bool settled; /* result is final */
};

struct engine {
    struct engine_config config;
    char home[PATH_MAX_BYTES];
    char url[256];
    char catalog_hash[SHA256_HEX];
    json_t *catalog;
    struct store *store;
    struct registry registry;
    struct question question;
    struct core *core;
    struct core_update update;
    struct inbox *inbox;
    struct dispatch *dispatch;
    struct loader *loader;
    uint64_t epoch, n_commits;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    bool stopping, scanned;
    /* of the turn */
    struct message *messages;
    VEC(struct pending) pending;
    VEC(struct store_run_extra) extras;
    VEC(struct store_ask_error) ask_errors;
    VEC(uint64_t) ended; /* runs */
    struct arena arena;
};

static void on_timer(uv_timer_t *timer);

static struct core_event now_event(enum core_event_kind kind)
{
    return (struct core_event){
        .kind = kind, .mono_ms = clock_mono_ms(), .wall_ms = clock_wall_ms()};
}

static void step(struct engine *engine, const struct core_event *event)
{
    core_step(engine->core, event, &engine->update);
}

_Noreturn static void give_up(const struct nx_err *err)
{
    die(EXIT_COMMIT_FAILED, "%s; nothing of this turn was kept", err->text);
}

/* ---- Versions ---- */

static bool lay_out_file(void *arg, const struct store_file *file, struct nx_err *err)
{
    const char *folder = arg;
    char path[PATH_MAX_BYTES], parent[PATH_MAX_BYTES];
    if (!path_join(path, sizeof path, folder, file->path))
        return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", file->path);
    str_copy(parent, sizeof parent, path);
    *strrchr(parent, '/') = 0;
    if (!path_make_folders(parent, err) || !path_write(path, file->data, file->n_bytes, err))
        return false;
    return !file->executable || chmod(path, 0755) == 0 ||
           nx_fail(err, NX_E_IO, "cannot make %s executable", path);
}

/* The files of a version where workers of this home find them. */
static void lay_out(struct engine *engine, uint64_t version)
{
    char folder[PATH_MAX_BYTES], temp[PATH_MAX_BYTES + 8];
    struct nx_err err;
    if (!files_path(folder, sizeof folder, engine->home, version) || path_exists(folder))
        return;
    snprintf(temp, sizeof temp, "%s.tmp", folder);
    if (!path_remove_tree(temp, &err) || !path_make_folders(temp, &err) ||
        !store_files(engine->store, version, temp, lay_out_file, &err) || rename(temp, folder) != 0)
        log_error("the files of DAG version %llu: %s", (unsigned long long)version, err.text);
}

static void tell_core(struct engine *engine, struct registry_version *version)
{
    if (version->in_core)
        return;
    struct core_event event = now_event(EV_DAG);
    event.dag.version = version->id;
    event.dag.graph = version->graph;
    step(engine, &event);
    version->in_core = true;
}

static void drop_current(struct engine *engine, const char *dag)
{
    struct registry_version *former = map_get(&engine->registry.current, dag);
    if (!former)
        return;
    former->in_core = false;
    registry_remove_current(&engine->registry, dag);
    struct core_event event = now_event(EV_DAG_GONE);
    event.dag_gone = dag;
    step(engine, &event);
}

static void on_version(struct engine *engine, struct loader_event *loaded)
{
    struct nx_err err;
    uint64_t id;
    struct store_file *files = arena_array(&engine->arena, loaded->n_files, sizeof *files);
    json_t *info = spec_json(loaded->spec);
    char *text = json_dumps(info, JSON_COMPACT);
    for (size_t i = 0; i < loaded->n_files; i++)
        files[i] = (struct store_file){loaded->files[i].path, loaded->files[i].data,
                                       loaded->files[i].n_bytes, loaded->files[i].executable};
    const struct store_new_version from = {
        .dag = loaded->id,
        .file = loaded->file,
        .hash = loaded->hash,
        .source_hash = loaded->source_hash,
        .catalog = engine->catalog_hash,
        .source = buf_text(&loaded->source),
        .info = text,
        .files = files,
        .n_files = loaded->n_files,
        .created_ms = clock_wall_ms(),
    };
    if (!store_put_version(engine->store, &from, &id, &err) ||
        !store_set_problems(engine->store, loaded->file, NULL, &err))
        give_up(&err);
    mem_free(text);
    json_decref(info);
    drop_current(engine, loaded->id);
    struct registry_version *version =
        registry_add(&engine->registry, id, loaded->id, loaded->file, loaded->spec, loaded->graph);
    loaded->spec = NULL;
    loaded->graph = NULL;
    registry_make_current(&engine->registry, version);
    if (loaded->n_files)
        lay_out(engine, id);
    log_info("%s: DAG '%s' is loaded (version %llu)", loaded->file, loaded->id,
             (unsigned long long)id);
}

static void on_errors(struct engine *engine, const struct loader_event *loaded)
{
    struct nx_err err;
    char *text = NULL;
    if (loaded->problems.n) {
        json_t *list = problems_json(&loaded->problems);
        text = json_dumps(list, JSON_COMPACT);
        json_decref(list);
        log_warn("%s: %zu problems; see `nexus dag validate`", loaded->file, loaded->problems.n);
    }
    if (!store_set_problems(engine->store, loaded->file, text, &err))
        give_up(&err);
    mem_free(text);
}

static void on_loaded(struct engine *engine, struct loader_event *loaded)
{
    struct nx_err err;
    switch (loaded->kind) {
    case LOADER_VERSION:
        on_version(engine, loaded);
        break;
    case LOADER_REMOVED:
        drop_current(engine, loaded->id);
        if (!store_set_present(engine->store, loaded->id, false, &err))
            give_up(&err);
        log_info("DAG '%s' is gone: its file was removed", loaded->id);
        break;
    case LOADER_ERRORS:
        on_errors(engine, loaded);
        break;
    case LOADER_SCANNED:
        engine->scanned = true;
        if (engine->config.ready)
            engine->config.ready(engine->config.arg);
        break;
    }
}

/* ---- Writes ---- */

static void refuse(struct pending *pending, const struct nx_err *err)
{
    pending->result.err = *err;
    pending->settled = true;
}

/* The creation of the DAG's run by hand before this one; 0: this is the first. */
static int64_t previous_created(struct engine *engine, const char *dag)
{
    struct nx_err err;
    int64_t created_ms;
    for (size_t i = engine->extras.n; i > 0; i--) { /* of this turn: not in the store yet */
        struct core_run_row row;
        if (core_get_run(engine->core, engine->extras.at[i - 1].run, &row) && str_eq(row.dag, dag))
            return row.created_ms;
    }
    if (!store_last_created(engine->store, dag, NX_RC_MANUAL, &created_ms, &err))
        give_up(&err);
    return created_ms;
}

/* The interval of a run by hand: the instant that --date names; or, without a schedule, from the
 * previous run of that kind until now, which for the first one is now alone. */
static void set_interval(struct engine *engine, const struct message *message,
                         struct store_run_extra *extra)
{
    struct core_run_row row;
    extra->interval_start_ms = extra->interval_finish_ms = message->date_ms;
    if (message->date_ms || !core_get_run(engine->core, extra->run, &row))
        return;
    int64_t previous = previous_created(engine, message->dag);
    extra->interval_finish_ms = row.created_ms;
    extra->interval_start_ms = previous && previous < row.created_ms ? previous : row.created_ms;
}

static void add_extra(struct engine *engine, const struct message *message, struct nx_run_id run,
                      const char *params)
{
    struct store_run_extra extra = {
        .run = run,
        .params = params,
        .note = message->note,
        .idempotency_key = message->idempotency_key,
    };
    set_interval(engine, message, &extra);
    vec_push(&engine->extras, extra);
}

static bool resolve_params(struct engine *engine, const struct registry_version *version,
                           const struct message *message, const char **params, struct nx_err *err)
{
    json_t *given = NULL, *resolved = NULL;
    if (message->params && !(given = json_loads(message->params, JSON_REJECT_DUPLICATES, NULL)))
        return nx_fail(err, NX_E_INVALID, "params are not a JSON object");
    bool ok = params_check(version->spec->params, given, &resolved, err);
    if (ok) {
        char *text = json_dumps(resolved, JSON_COMPACT);
        *params = arena_strdup(&engine->arena, text);
        mem_free(text);
    }
    if (ok && strlen(*params) > NX_PARAMS_MAX)
        ok = nx_fail(err, NX_E_LIMIT,
                     "the params are larger than %d bytes: pass a path or an "
                     "artifact instead",
                     NX_PARAMS_MAX);
    json_decref(given);
    json_decref(resolved);
    return ok;
}

static void create(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct nx_err err;
    const char *params = NULL;
    if (message->idempotency_key) {
        struct nx_run_id run;
        if (!store_find_key(engine->store, message->idempotency_key, &run, &err))
            give_up(&err);
        if (run.v) {
            pending->result = (struct write_result){.run = run, .existed = true};
            pending->settled = true;
            return;
        }
    }
    struct registry_version *version = registry_current(&engine->registry, message->dag, &err);
    if (!version || !resolve_params(engine, version, message, &params, &err)) {
        refuse(pending, &err);
        return;
    }
    tell_core(engine, version);
    struct core_event event = now_event(EV_RUN_CREATE);
    event.token = index + 1;
    event.create.dag = message->dag;
    event.create.cause = NX_RC_MANUAL;
    step(engine, &event);
    const struct core_reply *reply = &engine->update.replies.at[engine->update.replies.n - 1];
    must(reply->token == event.token);
    if (reply->err.code == NX_OK)
        add_extra(engine, message, reply->run, params);
}

static void pause_dag(struct engine *engine, struct pending *pending)
{
    struct nx_err err;
    if (!registry_current(&engine->registry, pending->message->dag, &err)) {
        refuse(pending, &err);
        return;
    }
    if (!store_set_paused(engine->store, pending->message->dag, pending->message->on, &err))
        give_up(&err);
    pending->settled = true;
}

static void on_write(struct engine *engine, struct message *message)
{
    size_t index = engine->pending.n;
    vec_push(&engine->pending, ((struct pending){.message = message}));
    struct pending *pending = &engine->pending.at[index];
    struct core_event event;
    switch (message->op) {
    case WRITE_CREATE:
        create(engine, pending, index);
        break;
    case WRITE_CANCEL:
        event = now_event(EV_RUN_CANCEL);
        event.token = index + 1;
        event.cancel = message->run;
        step(engine, &event);
        break;
    case WRITE_DRAIN:
        event = now_event(EV_DRAIN);
        event.token = index + 1;
        event.drain.worker = message->worker;
        event.drain.on = message->on;
        step(engine, &event);
        break;
    case WRITE_PAUSE:
        pause_dag(engine, pending);
        break;
    }
}

static void answer_writes(struct engine *engine)
{
    for (size_t i = 0; i < engine->update.replies.n; i++) {
        const struct core_reply *reply = &engine->update.replies.at[i];
        struct pending *pending = &engine->pending.at[reply->token - 1];
        pending->result.err = reply->err;
        pending->result.run = reply->run;
        pending->settled = true;
    }
    for (size_t i = 0; i < engine->pending.n; i++) {
        struct pending *pending = &engine->pending.at[i];
        must(pending->settled);
        if (pending->message->done)
            pending->message->done(pending->message->arg, &pending->result);
    }
}

/* ---- The turn ---- */

static void on_message(struct engine *engine, struct message *message)
{
    struct core_event event;
    switch (message->kind) {
    case MSG_REPORT:
        event = now_event(EV_REPORT);
        event.report.report = &message->report;
        event.report.context = dispatch_context(message);
        step(engine, &event);
        break;
    case MSG_LOADER:
        on_loaded(engine, message->loaded);
        break;
    case MSG_WRITE:
        on_write(engine, message);
        break;
    case MSG_QUERY:
        message->look(message->arg, engine->core);
        break;
    case MSG_STOP:
        engine->stopping = true;
        break;
    }
}

static void write_rows(struct engine *engine)
{
    const struct store_turn turn = {
        .core = engine->core,
        .update = &engine->update,
        .extras = engine->extras.at,
        .n_extras = engine->extras.n,
        .ask_errors = engine->ask_errors.at,
        .n_ask_errors = engine->ask_errors.n,
    };
    struct nx_err err;
    if (!store_begin(engine->store, &err) || !store_write(engine->store, &turn, &err))
        give_up(&err);
}

static void answer_ask(struct engine *engine, const struct core_ask *ask)
{
    struct core_event event = now_event(EV_ANSWER);
    struct nx_err err;
    event.answer.inst = ask->inst;
    event.answer.answer = question_answer(&engine->question, ask, &err);
    if (event.answer.answer == CORE_ERROR)
        vec_push(&engine->ask_errors,
                 ((struct store_ask_error){ask->inst, arena_strdup(&engine->arena, err.text)}));
    step(engine, &event);
}

/* Writes what the questions may look at, answers them, and lets the answers take effect. */
static void answer_asks(struct engine *engine)
{
    while (engine->update.asks.n) {
        write_rows(engine);
        size_t n = engine->update.asks.n;
        struct core_ask *asks = arena_dup(&engine->arena, engine->update.asks.at, n * sizeof *asks);
        engine->update.asks.n = 0;
        for (size_t i = 0; i < n; i++)
            answer_ask(engine, &asks[i]);
        struct core_event turn = now_event(EV_TURN);
        step(engine, &turn);
    }
}

static void crash_if(const struct engine *engine, enum crash_point here)
{
    if (engine->config.crash_point == here && engine->config.crash_commit == engine->n_commits)
        _exit(99);
}

static void commit(struct engine *engine)
{
    struct nx_err err;
    if (!core_update_has_rows(&engine->update) && !store_in_transaction(engine->store))
        return;
    engine->n_commits++;
    write_rows(engine);
    crash_if(engine, CRASH_BEFORE_COMMIT);
    if (!store_commit(engine->store, &err))
        give_up(&err);
    crash_if(engine, CRASH_AFTER_COMMIT);
    if (engine->config.committed)
        engine->config.committed(engine->config.arg, engine->core, &engine->update,
                                 engine->n_commits);
}

static void note_ended(struct engine *engine)
{
    for (size_t i = 0; i < engine->update.runs.n; i++) {
        struct core_run_row row;
        if (core_get_run(engine->core, engine->update.runs.at[i], &row) &&
            nx_run_state_final(row.state))
            vec_push(&engine->ended, row.id.v);
    }
}

static struct wire_bytes definition_of(void *arg, uint64_t version, uint32_t task)
{
    struct engine *engine = arg;
    struct nx_err err;
    const struct registry_version *found = registry_get(&engine->registry, version, &err);
    const char *text = found ? found->spec->tasks[task].definition : "{}";
    return wire_text(text, strlen(text));
}

static struct wire_bytes run_text_of(void *arg, struct nx_run_id run)
{
    struct engine *engine = arg;
    return question_run_text(&engine->question, run);
}

static struct wire_bytes outputs_of(void *arg, struct nx_inst_id inst)
{
    struct engine *engine = arg;
    return question_outputs(&engine->question, inst);
}

static void send_all(struct engine *engine)
{
    const struct reply_source source = {
        .arg = engine,
        .definition = definition_of,
        .run = run_text_of,
        .outputs = outputs_of,
        .url = engine->url,
        .home = engine->home,
        .lease_ttl_ms = NX_LEASE_TTL_MS,
        .grace_ms = NX_GRACE_MS,
    };
    dispatch_send(engine->dispatch, engine->core, engine->epoch, &engine->update, &source);
}

static void end_turn(struct engine *engine)
{
    core_turn_done(engine->core, &engine->update);
    for (size_t i = 0; i < engine->ended.n; i++)
        question_forget_run(&engine->question, (struct nx_run_id){engine->ended.at[i]});
    while (engine->messages) {
        struct message *next = engine->messages->next;
        message_free(engine->messages);
        engine->messages = next;
    }
    engine->pending.n = engine->extras.n = engine->ask_errors.n = engine->ended.n = 0;
    arena_reset(&engine->arena);
}

static void plan_next(struct engine *engine)
{
    int64_t now = clock_mono_ms(), due = core_deadline(engine->core);
    int64_t wait = due <= now ? 0 : due - now;
    if (wait > WAKE_AT_LEAST_MS)
        wait = WAKE_AT_LEAST_MS;
    uv_update_time(&engine->loop);
    uv_timer_start(&engine->timer, on_timer, (uint64_t)wait, 0);
}

static void turn(struct engine *engine)
{
    struct nx_err err;
    engine->messages = inbox_take(engine->inbox);
    for (struct message *message = engine->messages; message; message = message->next)
        on_message(engine, message);
    struct core_event event = now_event(EV_TURN);
    step(engine, &event);
    answer_asks(engine);
    note_ended(engine);
    commit(engine);
    send_all(engine);
    crash_if(engine, CRASH_AFTER_SEND);
    answer_writes(engine);
    bool idle = engine->messages == NULL;
    end_turn(engine);
    if (!store_checkpoint(engine->store, idle, &err))
        log_warn("checkpoint: %s", err.text);
    plan_next(engine);
    if (engine->stopping)
        uv_stop(&engine->loop);
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static void on_wake(uv_async_t *wake)
{
    turn(wake->data);
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

/* ---- Start ---- */

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
        /* One that was checked against other operators is checked again. */
        if (str_eq(row->catalog, engine->catalog_hash)) {
            struct loader_known known = {
                .file = arena_strdup(&loading->arena, row->file),
                .id = arena_strdup(&loading->arena, row->dag),
                .hash = arena_strdup(&loading->arena, row->hash),
                .source_hash = arena_strdup(&loading->arena, row->source_hash),
                .has_files = row->has_files,
            };
            vec_push(&loading->known, known);
        }
    }
    if (row->has_files)
        lay_out(engine, row->version);
    (void)err;
    return true;
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

static void load_inst(void *arg, const struct core_inst_row *row)
{
    struct loading *loading = arg;
    core_load_inst(loading->engine->core, row);
}

static bool load(struct engine *engine, struct loading *loading, struct nx_err *err)
{
    const struct store_loader versions = {.arg = loading, .version = load_version};
    const struct store_loader rows = {.arg = loading,
                                      .version = load_version_in_use,
                                      .worker = load_worker,
                                      .run = load_run,
                                      .inst = load_inst};
    struct core_config config;
    core_config_init(&config);
    str_copy(config.catalog, sizeof config.catalog, engine->catalog_hash);
    if (engine->config.lost_after_ms >= 0)
        config.lost_after_ipc_ms = engine->config.lost_after_ms;
    if (!store_begin_epoch(engine->store, &engine->epoch, &config.next_run, err))
        return false;
    config.epoch = engine->epoch;
    engine->core = core_new(&config);
    engine->question.core = engine->core;
    if (!store_load(engine->store, &versions, err) || !store_load(engine->store, &rows, err))
        return false;
    for (size_t i = 0; i < engine->config.n_pools; i++) {
        struct core_event event = now_event(EV_POOL);
        event.pool.name = engine->config.pools[i].name;
        event.pool.slots = engine->config.pools[i].slots;
        step(engine, &event);
    }
    core_load_done(engine->core, clock_mono_ms(), clock_wall_ms(), &engine->update);
    return true;
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
    registry_init(&engine->registry, engine->store);
    if (!question_init(&engine->question, engine->store, &engine->registry, engine->home,
                       engine->config.vars, engine->config.secrets, err) ||
        !load(engine, loading, err))
        return false;
    snprintf(path, sizeof path, "ipc://%s/run/dispatch.sock", engine->home);
    if (!dispatch_open(path, engine->inbox, &engine->dispatch, err))
        return false;
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

void engine_set_url(struct engine *engine, const char *url)
{
    str_copy(engine->url, sizeof engine->url, url);
}

void engine_run(struct engine *engine)
{
    turn(engine);
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
    refuse_rest(engine);
    if (engine->store) {
        question_fini(&engine->question);
        core_free(engine->core);
        registry_fini(&engine->registry);
        store_close(engine->store);
    }
    core_update_fini(&engine->update);
    uv_close((uv_handle_t *)&engine->wake, NULL);
    uv_close((uv_handle_t *)&engine->timer, NULL);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&engine->loop) == 0);
    inbox_free(engine->inbox);
    json_decref(engine->catalog);
    vec_fini(&engine->pending);
    vec_fini(&engine->extras);
    vec_fini(&engine->ask_errors);
    vec_fini(&engine->ended);
    arena_fini(&engine->arena);
    mem_free(engine);
}
