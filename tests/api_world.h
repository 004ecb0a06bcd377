/* The API over a real core and a real store, with a loop of one page and a worker that only says
 * what it is told to say. */
#ifndef TESTS_API_WORLD_H
#define TESTS_API_WORLD_H

#include <pthread.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/net/fetch.h"
#include "lib/text/json.h"
#include "scheduler/dag/spec.h"
#include "scheduler/kept.h"
#include "scheduler/port/api.h"
#include "scheduler/store/store.h"
#include "tests/unit/test.h"

struct world_hand {
    struct core_order order;
    bool running;
    uint16_t progress;
    const char *text; /* a constant, or NULL: as before */
};

struct world {
    char home[64];
    struct store *store;
    struct kept kept; /* nexus.yaml has a pool, a variable, the environment a secret: 'fixed' */
    struct core *core;
    struct core_update update;
    struct inbox *inbox;
    struct api *api;
    struct fetch *fetch;
    pthread_t loop;
    pthread_mutex_t lock; /* of core and store */
    pthread_cond_t woken;
    bool awake, stop, deaf; /* deaf: the inbox is left alone */
    uint64_t n_commits;
    struct write_result kept_result; /* of the WRITE_KEEP or WRITE_DROP of the turn */
    struct arena arena;
    VEC(struct store_run_extra) extras;
    VEC(struct message *) writes;
    VEC(struct world_hand) hands; /* of the worker w1 */
    uint64_t seq, seen;
};

static inline struct core_event world_event(enum core_event_kind kind)
{
    return (struct core_event){
        .kind = kind, .mono_ms = clock_mono_ms(), .wall_ms = clock_wall_ms()};
}

/* ---- The loop; with the lock held ---- */

/* As write.c has it. */
static inline void world_keep(struct world *world, struct message *message)
{
    struct core_event event = world_event(EV_POOL);
    struct nx_err err;
    world->kept_result = (struct write_result){0};
    if (!kept_take(&world->kept, world->core, message, &world->kept_result, &err)) {
        world->kept_result.err = err;
        return;
    }
    event.pool.name = message->name;
    event.pool.slots = message->op == WRITE_DROP ? -1 : message->slots;
    if (message->kept == KEPT_POOL)
        core_step(world->core, &event, &world->update);
    const struct store_audit audit = {.at_ms = clock_wall_ms(),
                                      .who = message->who,
                                      .what = message->what,
                                      .target = message->target,
                                      .detail = message->detail};
    assert_true(store_put_audit(world->store, &audit, &err));
}

static inline void world_write(struct world *world, struct message *message)
{
    struct core_event event = world_event(message->op == WRITE_CREATE   ? EV_RUN_CREATE
                                          : message->op == WRITE_CANCEL ? EV_RUN_CANCEL
                                                                        : EV_DRAIN);
    struct nx_err err;
    vec_push(&world->writes, message);
    event.token = world->writes.n;
    if (message->op == WRITE_KEEP || message->op == WRITE_DROP) {
        world_keep(world, message);
        return;
    }
    if (message->op == WRITE_AUDIT)
        return;
    if (message->op == WRITE_PAUSE) {
        assert_true(store_set_paused(world->store, message->dag, message->on, &err));
        return;
    }
    if (message->op == WRITE_CREATE) {
        struct store_key had;
        if (message->idempotency_key) {
            assert_true(store_find_key(world->store, message->idempotency_key, &had, &err));
            if (had.run.v) { /* kept in the message for the answer */
                message->run = had.run;
                return;
            }
        }
        event.create.dag = message->dag;
        if (message->date)
            assert_true(time_parse(message->date, &event.create.interval_start_ms));
        event.create.interval_finish_ms = event.create.interval_start_ms;
    } else if (message->op == WRITE_CANCEL) {
        event.cancel = message->run;
    } else {
        event.drain.worker = message->worker;
        event.drain.on = message->on;
    }
    core_step(world->core, &event, &world->update);
    const struct core_reply *reply = &world->update.replies.at[world->update.replies.n - 1];
    if (message->op == WRITE_CREATE && reply->err.code == NX_OK) {
        struct store_run_extra extra = {.run = reply->run,
                                        .params = message->params ? message->params : "{}",
                                        .note = message->note};
        struct store_key made = {.run = reply->run};
        vec_push(&world->extras, extra);
        if (message->idempotency_key)
            assert_true(store_put_key(world->store, message->idempotency_key, &made, &err));
    }
}

static inline void world_answer(struct world *world)
{
    for (size_t i = 0; i < world->writes.n; i++) {
        struct message *message = world->writes.at[i];
        struct write_result result = {.run = message->run};
        if (message->op == WRITE_KEEP || message->op == WRITE_DROP)
            result = world->kept_result;
        result.existed = message->op == WRITE_CREATE && message->run.v;
        for (size_t k = 0; k < world->update.replies.n; k++) {
            if (world->update.replies.at[k].token == i + 1) {
                result.err = world->update.replies.at[k].err;
                result.run = world->update.replies.at[k].run;
            }
        }
        message->done(message->arg, &result);
        message_free(message);
    }
    world->writes.n = 0;
}

static inline void world_turn(struct world *world)
{
    struct core_event turn = world_event(EV_TURN);
    struct nx_err err;
    core_step(world->core, &turn, &world->update);
    const struct store_turn what = {.core = world->core,
                                    .update = &world->update,
                                    .extras = world->extras.at,
                                    .n_extras = world->extras.n};
    if (core_update_has_rows(&world->update) || store_in_transaction(world->store)) {
        assert_true(store_begin(world->store, &err) && store_write(world->store, &what, &err) &&
                    store_commit(world->store, &err));
        api_committed(world->api, world->core, &world->update, ++world->n_commits, 0);
    }
    world_answer(world);
    core_turn_done(world->core, &world->update);
    world->extras.n = 0;
}

static inline void world_drain_inbox(struct world *world)
{
    struct message *message = inbox_take(world->inbox);
    while (message) {
        struct message *next = message->next;
        if (message->kind == MSG_QUERY) {
            message->look(message->arg, world->core);
            message_free(message);
        } else {
            world_write(world, message);
        }
        message = next;
    }
    world_turn(world);
}

static inline void *world_loop(void *arg)
{
    struct world *world = arg;
    pthread_mutex_lock(&world->lock);
    while (!world->stop) {
        if (world->awake && !world->deaf) {
            world->awake = false;
            world_drain_inbox(world);
        } else {
            pthread_cond_wait(&world->woken, &world->lock);
        }
    }
    pthread_mutex_unlock(&world->lock);
    return NULL;
}

static inline void world_wake(void *arg)
{
    /* Also called by the loop itself (a callback that posts), which holds the lock. */
    struct world *world = arg;
    bool own = pthread_equal(pthread_self(), world->loop);
    if (!own)
        pthread_mutex_lock(&world->lock);
    world->awake = true;
    pthread_cond_broadcast(&world->woken);
    if (!own)
        pthread_mutex_unlock(&world->lock);
}

/* ---- Beginning and end ---- */

static inline struct world *world_open(void)
{
    struct world *world = mem_alloc(sizeof *world);
    char path[128];
    struct nx_err err;
    uint64_t next_run;
    struct core_config config;
    str_copy(world->home, sizeof world->home, "/tmp/nexus-api-XXXXXX");
    assert_non_null(mkdtemp(world->home));
    snprintf(path, sizeof path, "%s/nexus.db", world->home);
    assert_true(store_open(path, &world->store, &err));
    core_config_init(&config);
    assert_true(store_begin_epoch(world->store, &config.epoch, &next_run, &err));
    config.next_run = next_run;
    world->core = core_new(&config);
    core_update_init(&world->update);
    core_load_done(world->core, clock_mono_ms(), clock_wall_ms(), &world->update);
    arena_init(&world->arena);
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->woken, NULL);
    world->inbox = inbox_new(world_wake, world);
    const struct engine_config config_kept = {.home = world->home,
                                              .pools = "{\"fixed\":3}",
                                              .vars = "{\"fixed\":[1,2]}",
                                              .secrets = "{\"fixed\":\"plain\"}",
                                              .connections = "{\"fixed\":\"http://127.0.0.1/\"}"};
    assert_true(kept_open(&world->kept, world->store, &config_kept, &err));
    const struct api_config api = {.home = world->home,
                                   .project = world->home,
                                   .dags = world->home,
                                   .host = "127.0.0.1",
                                   .inbox = world->inbox,
                                   .fixed = {config_kept.pools, config_kept.vars,
                                             config_kept.secrets, config_kept.connections},
                                   .started_ms = clock_wall_ms()};
    if (!api_open(&api, &world->api, &err))
        fail_msg("%s", err.text);
    world->fetch = fetch_new();
    pthread_mutex_lock(&world->lock);
    pthread_create(&world->loop, NULL, world_loop, world);
    pthread_mutex_unlock(&world->lock);
    return world;
}

static inline void world_close(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    world->stop = true;
    pthread_cond_broadcast(&world->woken);
    pthread_mutex_unlock(&world->lock);
    pthread_join(world->loop, NULL);
    api_stop(world->api);
    struct message *message = inbox_take(world->inbox);
    while (message) { /* as the engine does when it closes */
        struct message *next = message->next;
        struct write_result result = {.err = {.code = NX_E_BUSY}};
        if (message->kind == MSG_QUERY)
            message->look(message->arg, NULL);
        else
            message->done(message->arg, &result);
        message_free(message);
        message = next;
    }
    api_close(world->api);
    fetch_free(world->fetch);
    core_update_fini(&world->update);
    core_free(world->core);
    kept_close(&world->kept);
    store_close(world->store);
    inbox_free(world->inbox);
    vec_fini(&world->extras);
    vec_fini(&world->writes);
    vec_fini(&world->hands);
    arena_fini(&world->arena);
    pthread_cond_destroy(&world->woken);
    pthread_mutex_destroy(&world->lock);
    path_remove_tree(world->home, NULL);
    mem_free(world);
}

/* A DAG file is dropped: its text becomes the current version. */
static inline void world_dag(struct world *world, const char *file, const char *text)
{
    struct problems problems;
    struct spec **specs;
    struct graph *graph;
    struct nx_err err;
    size_t n_specs;
    uint64_t version;
    problems_init(&problems);
    assert_true(spec_read(file, text, strlen(text), NULL, NULL, &specs, &n_specs, &problems));
    json_t *info = spec_json(specs[0]);
    char *info_text = json_dumps(info, JSON_COMPACT);
    const struct store_new_version from = {.dag = specs[0]->id,
                                           .file = file,
                                           .hash = "h",
                                           .source_hash = "s",
                                           .catalog = "c",
                                           .source = text,
                                           .info = info_text,
                                           .created_ms = clock_wall_ms()};
    pthread_mutex_lock(&world->lock);
    assert_true(spec_graph(specs[0], &graph, &err));
    assert_true(store_put_version(world->store, &from, &version, &err));
    struct core_event event = world_event(EV_DAG);
    event.dag.version = version;
    event.dag.graph = graph;
    core_step(world->core, &event, &world->update);
    world_turn(world);
    pthread_mutex_unlock(&world->lock);
    graph_release(graph);
    json_decref(info);
    mem_free(info_text);
    spec_free(specs[0]);
    mem_free(specs);
    problems_fini(&problems);
}

static inline void world_problems(struct world *world, const char *file, const char *problems)
{
    struct nx_err err;
    pthread_mutex_lock(&world->lock);
    assert_true(store_set_problems(world->store, file, problems, &err));
    world_turn(world);
    pthread_mutex_unlock(&world->lock);
}

/* ---- The worker w1 ---- */

static inline void world_report(struct world *world, const struct wire_result *result)
{
    struct wire_hand hands[64];
    struct core_event event = world_event(EV_REPORT);
    struct wire_report report = {.kind = WIRE_REPORT,
                                 .worker = wire_text("w1", 2),
                                 .incarnation = 7,
                                 .epoch = 1,
                                 .seq = ++world->seq,
                                 .seen = world->seen,
                                 .host = wire_text("here", 4),
                                 .version = wire_text("9.9", 3),
                                 .queues = wire_text("default,big", 11),
                                 .slots = 4,
                                 .memory_bytes = (int64_t)1 << 34,
                                 .ipc = 1,
                                 .n_hands = (uint32_t)world->hands.n,
                                 .hands = hands,
                                 .n_results = result != NULL,
                                 .results = result};
    pthread_mutex_lock(&world->lock);
    for (size_t i = 0; i < world->hands.n; i++) {
        const struct world_hand *hand = &world->hands.at[i];
        hands[i] = (struct wire_hand){
            .inst = hand->order.inst,
            .lease = hand->order.lease,
            .state = hand->running ? WIRE_HAND_RUNNING : WIRE_HAND_QUEUED,
            .started_ms = hand->running ? clock_wall_ms() : 0,
            .progress = hand->progress,
            .has_text = hand->text != NULL,
            .text = wire_text(hand->text ? hand->text : "", hand->text ? strlen(hand->text) : 0)};
    }
    report.n_free = 4 - (uint32_t)world->hands.n;
    event.report.report = &report;
    core_step(world->core, &event, &world->update);
    world_turn(world);
    size_t n;
    const struct core_order *orders = core_orders(world->core, 1, world->seen, &n);
    for (size_t i = 0; i < n; i++) {
        world->seen = orders[i].number;
        if (orders[i].kind == WIRE_LEASE)
            vec_push(&world->hands,
                     ((struct world_hand){.order = orders[i], .progress = UINT16_MAX}));
    }
    pthread_mutex_unlock(&world->lock);
}

static inline struct world_hand *world_hand(struct world *world, uint64_t run, uint32_t task)
{
    for (size_t i = 0; i < world->hands.n; i++) {
        struct nx_inst_id id = world->hands.at[i].order.inst;
        if (id.run.v == run && id.task == task)
            return &world->hands.at[i];
    }
    fail_msg("the worker does not have task %u of run %llu", task, (unsigned long long)run);
    return NULL;
}

static inline void world_start(struct world *world, uint64_t run, uint32_t task, int progress)
{
    struct world_hand *hand = world_hand(world, run, task);
    hand->running = true;
    hand->progress = progress < 0 ? UINT16_MAX : (uint16_t)progress;
    world_report(world, NULL);
}

/* The attempt ends; the worker takes what comes next. */
static inline void world_end(struct world *world, uint64_t run, uint32_t task,
                             enum nx_attempt_outcome outcome, const char *outputs,
                             const char *error)
{
    struct world_hand *hand = world_hand(world, run, task);
    struct wire_result result = {.inst = hand->order.inst,
                                 .lease = hand->order.lease,
                                 .attempt = hand->order.attempt,
                                 .outcome = (uint8_t)outcome,
                                 .code = outcome == NX_AO_SUCCESS ? NX_OK : NX_E_IO,
                                 .exit_code = outcome == NX_AO_SUCCESS ? 0 : 3,
                                 .started_ms = clock_wall_ms() - 5,
                                 .finished_ms = clock_wall_ms(),
                                 .max_rss_bytes = 1 << 20,
                                 .cpu_us = 2500};
    result.outputs = wire_text(outputs ? outputs : "", outputs ? strlen(outputs) : 0);
    result.error = wire_text(error ? error : "", error ? strlen(error) : 0);
    *hand = world->hands.at[--world->hands.n];
    world_report(world, &result);
    world_report(world, NULL);
}

/* ---- Requests ---- */

static inline const char *world_url(struct world *world, const char *path)
{
    static _Thread_local char text[600];
    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", api_port(world->api), path);
    return text;
}

/* The answer's body as text, until the next request; headers in *headers when wanted. */
static inline char *world_text(struct world *world, const char *method, const char *path,
                               const char *body, const char *const *headers, int *status,
                               struct fetch_response *response)
{
    const struct fetch_request request = {.method = method,
                                          .url = world_url(world, path),
                                          .headers = headers,
                                          .body = body,
                                          .n_body = body ? strlen(body) : 0,
                                          .timeout_ms = 20000};
    struct nx_err err;
    if (!fetch_run(world->fetch, &request, response, &err))
        fail_msg("%s %s: %s", method, path, err.text);
    *status = response->status;
    return (char *)(uintptr_t)buf_text(&response->body);
}

/* The answer as JSON, which must have that status. */
static inline json_t *world_json(struct world *world, const char *method, const char *path,
                                 const char *body, int status)
{
    struct fetch_response response;
    json_error_t problem;
    int got;
    const char *text = world_text(world, method, path, body, NULL, &got, &response);
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (got != status || !json)
        fail_msg("%s %s: status %d, not %d: %s", method, path, got, status, text);
    fetch_response_fini(&response);
    return json;
}

static inline json_t *world_get(struct world *world, const char *path)
{
    return world_json(world, "GET", path, NULL, 200);
}

#endif
