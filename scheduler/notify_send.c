#include "scheduler/notify_send.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/notify_deliver.h"
#include "scheduler/notify_text.h"
#include "scheduler/store/seal.h"

#define THREADS 4
#define IN_HAND_MAX 64 /* sent, or whose result is not committed yet */
#define LOOK_EVERY_MS 30000
#define AFTER_ERROR_MS 1000
#define FULL_INBOX_MS 100
#define REST_MAX_MS 60000 /* of a target that fails */
#define QUERY_MS 5000

/* A target that has failed rests. */
struct rest {
    int64_t until_mono_ms, failures;
};

struct sender {
    struct sender_config config;
    char home[PATH_MAX_BYTES], project[PATH_MAX_BYTES], key_path[PATH_MAX_BYTES];
    json_t *secrets, *connections; /* of the environment */
    struct query_pool *pool;
    pthread_t threads[THREADS];
    atomic_bool stopping;
    pthread_mutex_t picking; /* one thread looks for the next at a time */
    pthread_mutex_t lock;    /* of what follows; held for moments: the loop takes it too */
    pthread_cond_t changed;
    bool fresh;                 /* woken since the last look */
    char *in_hand[IN_HAND_MAX]; /* targets; NULL: free */
    struct map rests;           /* target -> struct rest */
};

int64_t sender_delay(int64_t delay_ms, int64_t failures, int64_t most)
{
    for (int64_t i = 1; i < failures && delay_ms < most; i++)
        delay_ms *= 2;
    return delay_ms < most ? delay_ms : most;
}

/* ---- What is sent next ---- */

/* One that is sent: a copy of its row. */
struct parcel {
    struct arena arena;
    struct notification row;
};

struct picking {
    struct sender *sender;
    struct arena *arena;
    const char *target; /* the best so far */
    int64_t due_ms, now_ms, mono_ms;
    int64_t wait_ms;                  /* until something else may be due */
    const char *in_hand[IN_HAND_MAX]; /* as it was before the query began */
    size_t n_in_hand;
    struct parcel *parcel;
};

/* Before the query: a target that is free by then has no result that the query does not see. */
static void copy_in_hand(struct picking *picking)
{
    struct sender *sender = picking->sender;
    pthread_mutex_lock(&sender->lock);
    for (size_t i = 0; i < IN_HAND_MAX; i++) {
        if (sender->in_hand[i])
            picking->in_hand[picking->n_in_hand++] =
                arena_strdup(picking->arena, sender->in_hand[i]);
    }
    pthread_mutex_unlock(&sender->lock);
}

static bool is_in_hand(const struct picking *picking, const char *target)
{
    for (size_t i = 0; i < picking->n_in_hand; i++) {
        if (str_eq(picking->in_hand[i], target))
            return true;
    }
    return false;
}

/* Further away than any delay: the clock was set back. */
static int64_t wait_of(const struct picking *picking, int64_t due_ms)
{
    int64_t wait = due_ms - picking->now_ms;
    return wait > NX_NOTIFY_DELAY_MAX_MS + NX_NOTIFY_SUM_MS || wait < 0 ? 0 : wait;
}

static bool look_at_target(void *arg, const char *target, int64_t due_ms)
{
    struct picking *picking = arg;
    struct sender *sender = picking->sender;
    if (is_in_hand(picking, target))
        return true;
    pthread_mutex_lock(&sender->lock);
    const struct rest *rest = map_get(&sender->rests, target);
    int64_t until = rest ? rest->until_mono_ms : 0;
    pthread_mutex_unlock(&sender->lock);
    int64_t wait = wait_of(picking, due_ms);
    if (until - picking->mono_ms > wait)
        wait = until - picking->mono_ms;
    if (wait > 0) {
        picking->wait_ms = wait < picking->wait_ms ? wait : picking->wait_ms;
    } else if (!picking->target || due_ms < picking->due_ms) {
        picking->target = arena_strdup(picking->arena, target);
        picking->due_ms = due_ms;
    }
    return true;
}

static const char *copy(struct parcel *parcel, const char *text)
{
    return text ? arena_strdup(&parcel->arena, text) : NULL;
}

static bool take_row(void *arg, const struct notification *row)
{
    struct picking *picking = arg;
    struct parcel *parcel = mem_alloc(sizeof *parcel);
    arena_init(&parcel->arena);
    parcel->row = *row;
    parcel->row.delivery = copy(parcel, row->delivery);
    parcel->row.event = copy(parcel, row->event);
    parcel->row.dag = copy(parcel, row->dag);
    parcel->row.task = copy(parcel, row->task);
    parcel->row.kind = copy(parcel, row->kind);
    parcel->row.target = copy(parcel, row->target);
    parcel->row.config = copy(parcel, row->config);
    parcel->row.body = copy(parcel, row->body);
    parcel->row.error = parcel->row.output = NULL;
    picking->parcel = parcel;
    return false;
}

static bool take_hand(struct sender *sender, const char *target)
{
    bool taken = false;
    pthread_mutex_lock(&sender->lock);
    for (size_t i = 0; i < IN_HAND_MAX && !taken; i++) {
        taken = !sender->in_hand[i];
        if (taken)
            sender->in_hand[i] = mem_strdup(target);
    }
    pthread_mutex_unlock(&sender->lock);
    return taken;
}

/* Under the lock `picking`. NULL: nothing is due before *wait_ms. */
static struct parcel *pick(struct sender *sender, int64_t *wait_ms)
{
    struct arena arena;
    struct nx_err err;
    arena_init(&arena);
    struct picking picking = {.sender = sender,
                              .arena = &arena,
                              .now_ms = clock_wall_ms(),
                              .mono_ms = clock_mono_ms(),
                              .wait_ms = LOOK_EVERY_MS};
    copy_in_hand(&picking);
    struct query *query = query_begin(sender->pool, &err);
    bool ok = query && query_due_targets(query, look_at_target, &picking, &err);
    int64_t until = picking.due_ms > picking.now_ms ? picking.due_ms : picking.now_ms;
    if (ok && picking.target)
        ok = query_due_first(query, picking.target, until, take_row, &picking, &err);
    query_end(query);
    if (!ok) {
        log_warn("notifications: %s", err.text);
        picking.wait_ms = AFTER_ERROR_MS;
    }
    if (picking.parcel && !take_hand(sender, picking.target)) {
        arena_fini(&picking.parcel->arena);
        mem_free(picking.parcel);
        picking.parcel = NULL;
    }
    arena_fini(&arena);
    *wait_ms = picking.wait_ms;
    return picking.parcel;
}

/* ---- Sending ---- */

/* A result on its way to the loop. */
struct receipt {
    struct sender *sender;
    char *target;
};

static void free_hand(struct sender *sender, const char *target)
{
    pthread_mutex_lock(&sender->lock);
    for (size_t i = 0; i < IN_HAND_MAX; i++) {
        if (sender->in_hand[i] && str_eq(sender->in_hand[i], target)) {
            mem_free(sender->in_hand[i]);
            sender->in_hand[i] = NULL;
            break;
        }
    }
    sender->fresh = true;
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->lock);
}

static void on_told(void *arg, const struct write_result *result)
{
    struct receipt *receipt = arg;
    (void)result;
    free_hand(receipt->sender, receipt->target);
    mem_free(receipt->target);
    mem_free(receipt);
}

static bool is_stopping(void *arg)
{
    struct sender *sender = arg;
    return atomic_load(&sender->stopping);
}

static bool find_value(void *arg, bool secret, const char *name, struct buf *value,
                       struct nx_err *err)
{
    struct sender *sender = arg;
    const char *fixed = js_get_text(secret ? sender->secrets : sender->connections, name, NULL);
    if (fixed) {
        buf_str(value, fixed);
        return true;
    }
    struct query *query = query_begin(sender->pool, err);
    bool ok = query && seal_find(query, sender->key_path, secret ? KEPT_SECRET : KEPT_CONN, name,
                                 value, err);
    query_end(query);
    return ok;
}

/* Text that may come from anywhere, as it may be stored: UTF-8. */
static const char *clean(struct arena *arena, const char *text)
{
    json_t *value = js_string(text);
    const char *kept = arena_strdup(arena, json_string_value(value));
    json_decref(value);
    return kept;
}

static struct message *message_of(struct parcel *parcel, const struct delivery *d, bool ok,
                                  const struct nx_err *err)
{
    struct message *message = message_new(MSG_WRITE);
    message->op = WRITE_TOLD;
    message->notification = parcel->row.id;
    message->n_tries = parcel->row.attempts + 1;
    message->told = ok ? TOLD : d->permanent ? TOLD_NEVER : TOLD_NOT_YET;
    message->target = arena_strdup(&message->arena, parcel->row.target);
    message->note = ok ? NULL : clean(&message->arena, err->text);
    message->value = d->output.len ? clean(&message->arena, buf_text(&d->output)) : NULL;
    return message;
}

/* A target that works has no rest; one that fails rests longer each time. */
static void note_target(struct sender *sender, const char *target, bool ok)
{
    pthread_mutex_lock(&sender->lock);
    struct rest *rest = map_get(&sender->rests, target);
    if (ok && rest) {
        map_remove(&sender->rests, target);
        mem_free(rest);
    } else if (!ok) {
        if (!rest) {
            rest = mem_alloc(sizeof *rest);
            map_set(&sender->rests, target, rest);
        }
        rest->failures++;
        rest->until_mono_ms =
            clock_mono_ms() + sender_delay(sender->config.delay_ms, rest->failures, REST_MAX_MS);
    }
    pthread_mutex_unlock(&sender->lock);
}

static void tell_loop(struct sender *sender, struct message *message)
{
    struct receipt *receipt = mem_alloc(sizeof *receipt);
    *receipt = (struct receipt){sender, mem_strdup(message->target)};
    message->done = on_told;
    message->arg = receipt;
    while (!inbox_post(sender->config.inbox, message)) {
        if (is_stopping(sender)) { /* it is sent again by the next one */
            on_told(receipt, NULL);
            message_free(message);
            return;
        }
        clock_sleep_ms(FULL_INBOX_MS);
    }
}

static void send(struct sender *sender, struct fetch *fetch, struct parcel *parcel)
{
    struct nx_err err = {0};
    const struct notification *row = &parcel->row;
    json_t *config = js_read(row->config, strlen(row->config), "config", &err);
    json_t *body = str_eq(row->event, "summary")
                       ? tale_summary(row)
                       : js_read(row->body, strlen(row->body), "body", &err);
    struct delivery d = {.row = row,
                         .config = config,
                         .body = body,
                         .project = sender->project,
                         .fetch = fetch,
                         .arena = &parcel->arena,
                         .find = find_value,
                         .cancelled = is_stopping,
                         .arg = sender};
    buf_init(&d.output);
    must(config && body);
    bool ok = deliver(&d, &err);
    if (!ok && is_stopping(sender)) { /* not its fault: no try */
        free_hand(sender, row->target);
    } else {
        note_target(sender, row->target, ok || d.permanent);
        tell_loop(sender, message_of(parcel, &d, ok, &err));
    }
    buf_fini(&d.output);
    json_decref(config);
    json_decref(body);
    arena_fini(&parcel->arena);
    mem_free(parcel);
}

static void rest_for(struct sender *sender, int64_t ms)
{
    int64_t at = clock_mono_ms() + ms;
    const struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
    pthread_mutex_lock(&sender->lock);
    while (!sender->fresh && !is_stopping(sender) &&
           pthread_cond_timedwait(&sender->changed, &sender->lock, &until) != ETIMEDOUT)
        ;
    sender->fresh = false;
    pthread_mutex_unlock(&sender->lock);
}

static void *serve(void *arg)
{
    struct sender *sender = arg;
    struct fetch *fetch = fetch_new();
    while (!is_stopping(sender)) {
        int64_t wait_ms;
        pthread_mutex_lock(&sender->picking);
        struct parcel *parcel = pick(sender, &wait_ms);
        pthread_mutex_unlock(&sender->picking);
        if (!parcel) {
            rest_for(sender, wait_ms);
            continue;
        }
        sender_wake(sender); /* there may be more, for another thread */
        send(sender, fetch, parcel);
    }
    fetch_free(fetch);
    return NULL;
}

/* ---- Life ---- */

static json_t *object_of(const char *text)
{
    json_t *value = text && *text ? json_loads(text, 0, NULL) : NULL;
    return value ? value : json_object();
}

struct sender *sender_new(const struct sender_config *config)
{
    struct sender *sender = mem_alloc(sizeof *sender);
    char path[PATH_MAX_BYTES + 16];
    pthread_condattr_t attr;
    sender->config = *config;
    str_copy(sender->home, sizeof sender->home, config->home);
    str_copy(sender->project, sizeof sender->project, config->project);
    str_copy(sender->key_path, sizeof sender->key_path, config->key_path);
    sender->secrets = object_of(config->secrets);
    sender->connections = object_of(config->connections);
    snprintf(path, sizeof path, "%s/nexus.db", sender->home);
    sender->pool = query_pool_new(path, QUERY_MS);
    map_init(&sender->rests);
    pthread_mutex_init(&sender->picking, NULL);
    pthread_mutex_init(&sender->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sender->changed, &attr);
    pthread_condattr_destroy(&attr);
    fetch_free(fetch_new()); /* libcurl sets itself up at the first one: before there are threads */
    for (size_t i = 0; i < THREADS; i++)
        must(pthread_create(&sender->threads[i], NULL, serve, sender) == 0);
    return sender;
}

void sender_wake(struct sender *sender)
{
    pthread_mutex_lock(&sender->lock);
    sender->fresh = true;
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->lock);
}

void sender_hurry(struct sender *sender, const char *target)
{
    pthread_mutex_lock(&sender->lock);
    mem_free(map_remove(&sender->rests, target));
    pthread_mutex_unlock(&sender->lock);
}

void sender_stop(struct sender *sender)
{
    atomic_store(&sender->stopping, true);
    sender_wake(sender);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(sender->threads[i], NULL);
}

void sender_free(struct sender *sender)
{
    if (!sender)
        return;
    for (size_t i = 0; i < IN_HAND_MAX; i++)
        mem_free(sender->in_hand[i]);
    for (size_t i = 0; i < sender->rests.n; i++)
        mem_free(sender->rests.at[i].value);
    map_fini(&sender->rests);
    query_pool_free(sender->pool);
    json_decref(sender->secrets);
    json_decref(sender->connections);
    pthread_cond_destroy(&sender->changed);
    pthread_mutex_destroy(&sender->lock);
    pthread_mutex_destroy(&sender->picking);
    mem_free(sender);
}
