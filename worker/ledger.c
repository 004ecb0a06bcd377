#include "worker/ledger.h"

#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "nexus/states.h"
#include "worker/pokes.h"
#include "worker/shelf.h"

#define BUCKETS 4096
#define PROGRESS_NONE 65535
#define HEAD_MAX (16 * 1024)
#define HAND_SIZE 40          /* of a lease in hand in a report, at least; texts apart */
#define TEXTS_MAX (32 * 1024) /* of the progress in one report; others wait for the next */

enum state { QUEUED, RUNNING, DONE, BACK, STATES };

struct entry {
    struct entry *next_hash;   /* of its bucket: all leases of an instance share one */
    struct entry *prev, *next; /* of its state's list */
    struct wire_order order;   /* texts are in `bytes` */
    struct shelf_text *definition, *run;
    enum state state;
    bool stop, told, forgotten;
    enum ledger_why why; /* valid if stop */
    int64_t started_ms;
    uint16_t progress;
    char *text;                /* of the progress; NULL: none was ever said */
    bool text_told;            /* and acknowledged */
    uint64_t text_seq;         /* in every report since this one; 0: not in the last */
    uint64_t first_seq;        /* DONE, BACK: in every report since this one; 0: not in the last */
    struct wire_result result; /* DONE; texts are in `ended` */
    char *ended;
    char bytes[];
};

struct list {
    struct entry *first, *last;
    uint32_t n;
};

struct ledger {
    struct ledger_config config;
    uint64_t epoch, seen, seq, listen_seq;
    struct list lists[STATES];
    struct entry *buckets[BUCKETS];
    struct shelf definitions, runs;
    struct pokes pokes;
    uint32_t n_stops;     /* running, to be stopped, not told */
    uint32_t n_exclusive; /* exclusive ones that are queued, or running and not to be stopped */
    uint32_t n_forgotten;
    bool dirty;    /* something that no report has said */
    bool urgent;   /* ... and it is more than a start */
    bool left_out; /* the last report had no room for some result */
    bool draining, drain_ordered;
    int64_t made_ms;   /* when the last report was filled */
    int64_t answer_ms; /* when the last report that was answered had been filled */
    uint64_t starved;
    uint32_t mean_us;
};

/* ---- Entries ---- */

static void list_add(struct list *list, struct entry *entry)
{
    entry->prev = list->last;
    entry->next = NULL;
    if (list->last)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
    list->n++;
}

static void list_remove(struct list *list, struct entry *entry)
{
    must(list->n > 0);
    *(entry->prev ? &entry->prev->next : &list->first) = entry->next;
    *(entry->next ? &entry->next->prev : &list->last) = entry->prev;
    entry->prev = entry->next = NULL;
    list->n--;
}

static struct entry **bucket_of(struct ledger *ledger, struct nx_inst_id inst)
{
    uint64_t low = (uint64_t)inst.task << 32 | (uint32_t)inst.map;
    return &ledger->buckets[hash_u64(inst.run.v ^ hash_u64(low)) % BUCKETS];
}

static bool same_inst(struct nx_inst_id a, struct nx_inst_id b)
{
    return a.run.v == b.run.v && a.task == b.task && a.map == b.map;
}

static struct entry *find(struct ledger *ledger, struct nx_inst_id inst, uint32_t lease)
{
    struct entry *entry = *bucket_of(ledger, inst);
    while (entry && (entry->order.lease != lease || !same_inst(entry->order.inst, inst)))
        entry = entry->next_hash;
    return entry;
}

static bool counts_exclusive(const struct entry *entry)
{
    return (entry->order.flags & WIRE_LEASE_EXCLUSIVE) && !entry->stop &&
           (entry->state == QUEUED || entry->state == RUNNING);
}

/* The one place that changes an entry's state. */
static void move(struct ledger *ledger, struct entry *entry, enum state state)
{
    if (counts_exclusive(entry))
        ledger->n_exclusive--;
    list_remove(&ledger->lists[entry->state], entry);
    entry->state = state;
    list_add(&ledger->lists[state], entry);
    if (counts_exclusive(entry))
        ledger->n_exclusive++;
    ledger->dirty = true;
    ledger->urgent = ledger->urgent || state != RUNNING || entry->order.attempt > 1;
}

static void changed(struct ledger *ledger)
{
    ledger->dirty = ledger->urgent = true;
}

static void release_texts(struct ledger *ledger, struct entry *entry)
{
    shelf_release(&ledger->definitions, entry->definition);
    shelf_release(&ledger->runs, entry->run);
    entry->definition = entry->run = NULL;
}

static void drop(struct ledger *ledger, struct entry *entry)
{
    if (counts_exclusive(entry))
        ledger->n_exclusive--;
    if (entry->forgotten)
        ledger->n_forgotten--;
    if (entry->stop && !entry->told)
        ledger->n_stops--;
    list_remove(&ledger->lists[entry->state], entry);
    struct entry **at = bucket_of(ledger, entry->order.inst);
    while (*at != entry)
        at = &(*at)->next_hash;
    *at = entry->next_hash;
    release_texts(ledger, entry);
    mem_free(entry->ended);
    mem_free(entry->text);
    mem_free(entry);
}

static uint32_t n_entries(const struct ledger *ledger)
{
    uint32_t n = 0;
    for (int i = 0; i < STATES; i++)
        n += ledger->lists[i].n;
    return n;
}

struct ledger *ledger_new(const struct ledger_config *config, int64_t now_ms)
{
    must(config->slots >= 1 && config->slots <= NX_SLOTS_MAX && config->incarnation != 0);
    struct ledger *ledger = mem_alloc(sizeof *ledger);
    ledger->config = *config;
    if (ledger->config.lease_ttl_ms == 0)
        ledger->config.lease_ttl_ms = NX_LEASE_TTL_MS;
    ledger->made_ms = ledger->answer_ms = now_ms;
    changed(ledger);
    shelf_init(&ledger->definitions);
    shelf_init(&ledger->runs);
    ledger->pokes = (struct pokes){.definitions = &ledger->definitions, .runs = &ledger->runs};
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    for (int i = 0; i < STATES; i++)
        while (ledger->lists[i].first)
            drop(ledger, ledger->lists[i].first);
    pokes_fini(&ledger->pokes);
    shelf_fini(&ledger->definitions);
    shelf_fini(&ledger->runs);
    mem_free(ledger);
}

/* ---- Stops, results ---- */

static void stop(struct ledger *ledger, struct entry *entry, enum ledger_why why)
{
    must(entry->state == RUNNING);
    if (why == LEDGER_STOP_FORGET && !entry->forgotten) {
        entry->forgotten = true;
        ledger->n_forgotten++;
    }
    if (entry->stop)
        return;
    if (counts_exclusive(entry))
        ledger->n_exclusive--;
    entry->stop = true;
    entry->why = why;
    ledger->n_stops++;
}

static void keep_result(struct ledger *ledger, struct entry *entry, const struct wire_result *from)
{
    struct wire_result *to = &entry->result;
    must(from->outcome > NX_AO_NONE && from->outcome < NX_ATTEMPT_OUTCOMES);
    must(from->outputs.n <= NX_OUTPUTS_MAX);
    *to = *from;
    to->inst = entry->order.inst;
    to->lease = entry->order.lease;
    to->attempt = entry->order.attempt;
    to->started_ms = entry->started_ms;
    if (to->error.n > LEDGER_ERROR_MAX)
        to->error.n = LEDGER_ERROR_MAX;
    entry->ended = mem_alloc(to->outputs.n + to->error.n + 1);
    if (to->outputs.n)
        memcpy(entry->ended, from->outputs.p, to->outputs.n);
    if (to->error.n)
        memcpy(entry->ended + to->outputs.n, from->error.p, to->error.n);
    to->outputs.p = entry->ended;
    to->error.p = entry->ended + to->outputs.n;
    release_texts(ledger, entry);
    if (entry->stop && !entry->told)
        ledger->n_stops--;
    entry->told = entry->stop;
    move(ledger, entry, DONE);
}

static void end_unstarted(struct ledger *ledger, struct entry *entry,
                          enum nx_attempt_outcome outcome, enum nx_code code, const char *text)
{
    struct wire_result result = {.outcome = (uint8_t)outcome,
                                 .code = (uint8_t)code,
                                 .exit_code = -1,
                                 .error = wire_text(text, strlen(text))};
    must(entry->started_ms == 0);
    keep_result(ledger, entry, &result);
}

static void give_back(struct ledger *ledger, struct entry *entry)
{
    must(entry->state == QUEUED);
    release_texts(ledger, entry);
    move(ledger, entry, BACK);
}

/* ---- Orders ---- */

static struct entry *add_entry(struct ledger *ledger, const struct wire_order *order)
{
    size_t n = order->task_id.n + order->outputs.n + order->item.n;
    struct entry *entry = mem_alloc(sizeof *entry + n + 1);
    entry->order = *order;
    entry->progress = PROGRESS_NONE;
    if (order->task_id.n)
        memcpy(entry->bytes, order->task_id.p, order->task_id.n);
    if (order->outputs.n)
        memcpy(entry->bytes + order->task_id.n, order->outputs.p, order->outputs.n);
    if (order->item.n)
        memcpy(entry->bytes + order->task_id.n + order->outputs.n, order->item.p, order->item.n);
    entry->order.task_id.p = entry->bytes;
    entry->order.outputs.p = entry->bytes + order->task_id.n;
    entry->order.item.p = entry->order.outputs.p + order->outputs.n;
    struct entry **bucket = bucket_of(ledger, order->inst);
    entry->next_hash = *bucket;
    *bucket = entry;
    list_add(&ledger->lists[QUEUED], entry);
    if (counts_exclusive(entry))
        ledger->n_exclusive++;
    return entry;
}

/* Another lease of the instance: what is in hand of older ones is of no interest any more. Their
 * results and returns stay until they are acknowledged. */
static void supersede(struct ledger *ledger, struct nx_inst_id inst)
{
    struct entry *entry = *bucket_of(ledger, inst), *next;
    for (; entry; entry = next) {
        next = entry->next_hash;
        if (!same_inst(entry->order.inst, inst))
            continue;
        if (entry->state == QUEUED)
            drop(ledger, entry);
        else if (entry->state == RUNNING)
            stop(ledger, entry, LEDGER_STOP_FORGET);
    }
}

static void take_lease(struct ledger *ledger, const struct wire_order *order)
{
    if (find(ledger, order->inst, order->lease))
        return; /* ordered again after a scheduler's restart: it is in hand, or in the reports */
    supersede(ledger, order->inst);
    struct entry *entry = add_entry(ledger, order);
    if (ledger_draining(ledger)) {
        give_back(ledger, entry);
        return;
    }
    entry->definition = shelf_hold(&ledger->definitions, order->version, order->inst.task);
    entry->run = shelf_hold(&ledger->runs, order->inst.run.v, 0);
    if (!entry->definition || !entry->run)
        end_unstarted(ledger, entry, NX_AO_FAILED, NX_E_INTERNAL,
                      "the scheduler sent a lease without the task's definition or the run's "
                      "context");
}

static void take_cancel(struct ledger *ledger, struct entry *entry)
{
    if (entry && entry->state == QUEUED)
        end_unstarted(ledger, entry, NX_AO_CANCELLED, NX_E_CANCELLED, "cancelled before its start");
    else if (entry && entry->state == RUNNING)
        stop(ledger, entry, LEDGER_STOP_CANCEL);
}

static void take_forget(struct ledger *ledger, struct entry *entry)
{
    if (entry && entry->state == RUNNING)
        stop(ledger, entry, LEDGER_STOP_FORGET);
    else if (entry)
        drop(ledger, entry);
}

static void give_all_back(struct ledger *ledger)
{
    while (ledger->lists[QUEUED].first)
        give_back(ledger, ledger->lists[QUEUED].first);
}

static void take_drain(struct ledger *ledger, bool drain)
{
    if (ledger->drain_ordered != drain)
        changed(ledger);
    ledger->drain_ordered = drain;
    if (drain)
        give_all_back(ledger);
}

static void take_order(struct ledger *ledger, const struct wire_order *order)
{
    struct entry *entry = find(ledger, order->inst, order->lease);
    switch ((enum wire_order_kind)order->kind) {
    case WIRE_LEASE:
        take_lease(ledger, order);
        break;
    case WIRE_GIVE_BACK:
        if (entry && entry->state == QUEUED)
            give_back(ledger, entry);
        break;
    case WIRE_CANCEL:
        take_cancel(ledger, entry);
        break;
    case WIRE_DRAIN:
        take_drain(ledger, order->lease != 0);
        break;
    case WIRE_FORGET:
        take_forget(ledger, entry);
        break;
    case WIRE_POKE:
        pokes_take(&ledger->pokes, order);
        break;
    }
}

static void take_orders(struct ledger *ledger, const struct wire_reply *reply)
{
    size_t n_texts = (size_t)reply->n_definitions + reply->n_runs;
    struct shelf_text **texts = mem_alloc_array(n_texts ? n_texts : 1, sizeof(struct shelf_text *));
    size_t n = 0;
    for (uint32_t i = 0; i < reply->n_definitions; i++) {
        const struct wire_definition *definition = &reply->definitions[i];
        texts[n++] = shelf_put(&ledger->definitions, definition->version, definition->task,
                               definition->text);
    }
    for (uint32_t i = 0; i < reply->n_runs; i++)
        texts[n++] = shelf_put(&ledger->runs, reply->runs[i].run.v, 0, reply->runs[i].text);
    for (uint32_t i = 0; i < reply->n_orders; i++) {
        const struct wire_order *order = &reply->orders[i];
        if (order->number != ledger->seen + 1)
            continue;
        if (order->kind == WIRE_LEASE && n_entries(ledger) >= LEDGER_LEASES_MAX)
            break;
        take_order(ledger, order);
        ledger->seen++;
    }
    for (size_t i = 0; i < n; i++)
        shelf_release(i < reply->n_definitions ? &ledger->definitions : &ledger->runs, texts[i]);
    mem_free(texts);
}

/* ---- Replies ---- */

/* Only the scheduler that heard a text knows it: a new one is told again. */
static void acknowledge_texts(struct ledger *ledger, uint64_t ack)
{
    for (struct entry *entry = ledger->lists[RUNNING].first; entry; entry = entry->next)
        entry->text_told = entry->text_told || (entry->text_seq != 0 && entry->text_seq <= ack);
}

static void forget_texts_told(struct ledger *ledger)
{
    for (struct entry *entry = ledger->lists[RUNNING].first; entry; entry = entry->next) {
        entry->text_told = false;
        entry->text_seq = 0;
    }
}

static void acknowledge(struct ledger *ledger, struct list *list, uint64_t ack)
{
    struct entry *next;
    for (struct entry *entry = list->first; entry; entry = next) {
        next = entry->next;
        if (entry->first_seq != 0 && entry->first_seq <= ack)
            drop(ledger, entry);
    }
}

void ledger_reply(struct ledger *ledger, const struct wire_reply *reply, int64_t now_ms)
{
    (void)now_ms;
    if (reply->refused || reply->epoch < ledger->epoch)
        return;
    if (reply->epoch > ledger->epoch) {
        if (ledger->epoch != 0)
            changed(ledger);
        forget_texts_told(ledger);
        pokes_forget(&ledger->pokes);
        ledger->epoch = reply->epoch;
        ledger->seen = 0;
    }
    if (reply->lease_ttl_ms)
        ledger->config.lease_ttl_ms = reply->lease_ttl_ms;
    if (reply->ack && reply->ack <= ledger->seq) {
        acknowledge(ledger, &ledger->lists[DONE], reply->ack);
        acknowledge(ledger, &ledger->lists[BACK], reply->ack);
        acknowledge_texts(ledger, reply->ack);
        pokes_acknowledge(&ledger->pokes, reply->ack);
        if (reply->ack == ledger->seq) {
            /* The scheduler heard of this worker after the report was made: its clock for
             * exclusive leases started later than ours. */
            ledger->answer_ms = ledger->made_ms;
            if (ledger->left_out || ledger->pokes.left_out)
                changed(ledger);
        }
    }
    take_orders(ledger, reply);
    if (reply->more)
        changed(ledger);
}

/* ---- Starts and ends ---- */

static bool expired(const struct ledger *ledger, int64_t now_ms)
{
    return now_ms - ledger->answer_ms >= ledger->config.lease_ttl_ms;
}

/* Whether an older lease of the instance still runs here. */
static bool blocked(struct ledger *ledger, const struct entry *entry)
{
    if (ledger->n_forgotten == 0)
        return false;
    struct entry *other = *bucket_of(ledger, entry->order.inst);
    for (; other; other = other->next_hash)
        if (other->state == RUNNING && same_inst(other->order.inst, entry->order.inst))
            return true;
    return false;
}

bool ledger_next(struct ledger *ledger, int64_t now_ms, int64_t wall_ms, struct ledger_start *start)
{
    if (ledger->lists[RUNNING].n >= ledger->config.slots)
        return false;
    struct entry *entry = ledger->lists[QUEUED].first, *next;
    for (; entry; entry = next) {
        next = entry->next;
        if ((entry->order.flags & WIRE_LEASE_EXCLUSIVE) && expired(ledger, now_ms))
            give_back(ledger, entry);
        else if (!blocked(ledger, entry))
            break;
    }
    if (!entry)
        return false;
    entry->started_ms = wall_ms;
    move(ledger, entry, RUNNING);
    *start = (struct ledger_start){.order = entry->order,
                                   .definition_id = entry->definition->id,
                                   .definition =
                                       wire_text(entry->definition->bytes, entry->definition->n),
                                   .run = wire_text(entry->run->bytes, entry->run->n)};
    return true;
}

bool ledger_look(struct ledger *ledger, struct ledger_start *start)
{
    return pokes_next(&ledger->pokes, start);
}

void ledger_looked(struct ledger *ledger, const struct wire_result *result)
{
    pokes_ended(&ledger->pokes, result);
    changed(ledger);
}

/* Bytes of the text up to the limit, whole characters only; what is not UTF-8 is no text. */
static size_t text_size(const char *text)
{
    size_t n = strnlen(text, WIRE_PROGRESS_TEXT_MAX), bad = n;
    while (n > 0 && text[n] && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return str_is_utf8(text, n, &bad) ? n : bad;
}

void ledger_progress(struct ledger *ledger, struct nx_inst_id inst, uint32_t lease,
                     uint16_t progress, const char *text)
{
    struct entry *entry = find(ledger, inst, lease);
    if (!entry || entry->state != RUNNING)
        return;
    if (progress <= 1000)
        entry->progress = progress;
    size_t n = text_size(text);
    const char *former = entry->text ? entry->text : "";
    if (strlen(former) == n && memcmp(former, text, n) == 0)
        return;
    mem_free(entry->text);
    entry->text = mem_strndup(text, n);
    entry->text_told = false;
    entry->text_seq = 0;
}

void ledger_ended(struct ledger *ledger, const struct wire_result *result, int64_t duration_us)
{
    struct entry *entry = find(ledger, result->inst, result->lease);
    must(entry && entry->state == RUNNING);
    int64_t us = duration_us < 1 ? 1 : duration_us > UINT32_MAX ? UINT32_MAX : duration_us;
    int64_t mean = ledger->mean_us;
    ledger->mean_us = (uint32_t)(mean == 0 ? us : mean + (us - mean) / 8);
    if (ledger->lists[QUEUED].n == 0 && !ledger_draining(ledger))
        ledger->starved++;
    if (entry->forgotten) {
        drop(ledger, entry);
        changed(ledger); /* a slot is free */
    } else {
        keep_result(ledger, entry, result);
    }
}

/* Without an answer for lease_ttl the scheduler may soon lease an exclusive instance again. */
static void expire(struct ledger *ledger, int64_t now_ms)
{
    struct entry *next;
    if (ledger->n_exclusive == 0 || !expired(ledger, now_ms))
        return;
    for (struct entry *entry = ledger->lists[QUEUED].first; entry; entry = next) {
        next = entry->next;
        if (entry->order.flags & WIRE_LEASE_EXCLUSIVE)
            give_back(ledger, entry);
    }
    for (struct entry *entry = ledger->lists[RUNNING].first; entry; entry = entry->next)
        if (entry->order.flags & WIRE_LEASE_EXCLUSIVE)
            stop(ledger, entry, LEDGER_STOP_TTL);
    must(ledger->n_exclusive == 0);
}

bool ledger_stop_next(struct ledger *ledger, int64_t now_ms, struct ledger_stop *out)
{
    expire(ledger, now_ms);
    if (ledger->n_stops == 0)
        return false;
    struct entry *entry = ledger->lists[RUNNING].first;
    while (entry && (!entry->stop || entry->told))
        entry = entry->next;
    must(entry);
    entry->told = true;
    ledger->n_stops--;
    *out = (struct ledger_stop){entry->order.inst, entry->order.lease, entry->why};
    return true;
}

void ledger_stop_all(struct ledger *ledger)
{
    for (struct entry *entry = ledger->lists[RUNNING].first; entry; entry = entry->next)
        stop(ledger, entry, LEDGER_STOP_NOW);
}

void ledger_drain(struct ledger *ledger)
{
    if (!ledger->draining)
        changed(ledger);
    ledger->draining = true;
    give_all_back(ledger);
}

/* ---- Reports ---- */

static void add_hand(struct wire_report *report, struct wire_hand *hands, const struct entry *entry,
                     enum wire_hand_state state)
{
    hands[report->n_hands++] = (struct wire_hand){.inst = entry->order.inst,
                                                  .lease = entry->order.lease,
                                                  .state = (uint8_t)state,
                                                  .started_ms = entry->started_ms,
                                                  .progress = entry->progress};
}

/* The text of the hand added last, until a report with it is acknowledged. */
static void add_text(struct ledger *ledger, struct wire_hand *hand, struct entry *entry,
                     size_t *room)
{
    size_t n = entry->text ? strlen(entry->text) : 0;
    if (!entry->text || entry->text_told)
        return;
    if (n + sizeof(uint32_t) > *room) {
        entry->text_seq = 0;
        return;
    }
    *room -= n + sizeof(uint32_t);
    hand->has_text = 1;
    hand->text = wire_text(entry->text, n);
    if (entry->text_seq == 0)
        entry->text_seq = ledger->seq;
}

/* Results in the order in which they came, as many as fit; the rest is in hand as done. */
static void add_results(struct ledger *ledger, struct arena *arena, struct wire_report *report,
                        struct wire_hand *hands, size_t n_other)
{
    size_t room = NX_MESSAGE_MAX - HEAD_MAX - (size_t)n_entries(ledger) * HAND_SIZE - n_other;
    struct wire_result *results =
        arena_array(arena, ledger->lists[DONE].n, sizeof(struct wire_result));
    bool full = false;
    for (struct entry *entry = ledger->lists[DONE].first; entry; entry = entry->next) {
        size_t size = wire_result_size(&entry->result);
        full = full || size > room;
        if (full) {
            add_hand(report, hands, entry, WIRE_HAND_DONE);
            entry->first_seq = 0;
            continue;
        }
        room -= size;
        results[report->n_results++] = entry->result;
        if (entry->first_seq == 0)
            entry->first_seq = ledger->seq;
    }
    report->results = results;
    ledger->left_out = full;
}

static void add_lists(struct ledger *ledger, struct arena *arena, struct wire_report *report)
{
    struct wire_hand *hands = arena_array(arena, n_entries(ledger), sizeof(struct wire_hand));
    struct wire_back *backs = arena_array(arena, ledger->lists[BACK].n, sizeof(struct wire_back));
    size_t room = TEXTS_MAX;
    for (struct entry *entry = ledger->lists[RUNNING].first; entry; entry = entry->next)
        if (!entry->forgotten) {
            add_hand(report, hands, entry, WIRE_HAND_RUNNING);
            add_text(ledger, &hands[report->n_hands - 1], entry, &room);
        }
    for (struct entry *entry = ledger->lists[QUEUED].first; entry; entry = entry->next)
        add_hand(report, hands, entry, WIRE_HAND_QUEUED);
    size_t n_pokes = pokes_report(&ledger->pokes, ledger->seq, arena, report);
    add_results(ledger, arena, report, hands, TEXTS_MAX - room + n_pokes);
    for (struct entry *entry = ledger->lists[BACK].first; entry; entry = entry->next) {
        backs[report->n_backs++] = (struct wire_back){entry->order.inst, entry->order.lease};
        if (entry->first_seq == 0)
            entry->first_seq = ledger->seq;
    }
    report->hands = hands;
    report->backs = backs;
}

void ledger_report(struct ledger *ledger, int64_t now_ms, struct arena *arena,
                   struct wire_report *report)
{
    uint32_t n_used = ledger->lists[RUNNING].n + ledger->lists[QUEUED].n;
    uint32_t slots = ledger->config.slots;
    bool draining = ledger_draining(ledger);
    *report = (struct wire_report){.kind = WIRE_REPORT,
                                   .incarnation = ledger->config.incarnation,
                                   .epoch = ledger->epoch,
                                   .seq = ++ledger->seq,
                                   .seen = ledger->seen,
                                   .slots = slots,
                                   .draining = draining,
                                   .n_free = draining || n_used > slots ? 0 : slots - n_used,
                                   .n_queued = ledger->lists[QUEUED].n,
                                   .starved = ledger->starved,
                                   .mean_us = ledger->mean_us};
    ledger->made_ms = now_ms;
    add_lists(ledger, arena, report);
    ledger->dirty = ledger->urgent = false;
}

void ledger_listen(struct ledger *ledger, struct wire_report *listen)
{
    *listen = (struct wire_report){.kind = WIRE_LISTEN,
                                   .incarnation = ledger->config.incarnation,
                                   .epoch = ledger->epoch,
                                   .seq = ++ledger->listen_seq,
                                   .seen = ledger->seen};
}

bool ledger_changed(const struct ledger *ledger)
{
    return ledger->dirty;
}

bool ledger_urgent(const struct ledger *ledger)
{
    return ledger->urgent;
}

int64_t ledger_work_us(const struct ledger *ledger)
{
    return (int64_t)ledger->lists[QUEUED].n * ledger->mean_us / ledger->config.slots;
}

int64_t ledger_deadline(const struct ledger *ledger)
{
    return ledger->n_exclusive ? ledger->answer_ms + ledger->config.lease_ttl_ms : INT64_MAX;
}

uint32_t ledger_running(const struct ledger *ledger)
{
    return ledger->lists[RUNNING].n;
}

uint32_t ledger_queued(const struct ledger *ledger)
{
    return ledger->lists[QUEUED].n;
}

uint32_t ledger_unacknowledged(const struct ledger *ledger)
{
    return ledger->lists[DONE].n + ledger->lists[BACK].n;
}

uint64_t ledger_epoch(const struct ledger *ledger)
{
    return ledger->epoch;
}

bool ledger_draining(const struct ledger *ledger)
{
    return ledger->draining || ledger->drain_ordered;
}
