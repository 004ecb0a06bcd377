#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

#define EXPECT_SHORT_US 100000 /* below: prefetching pays */
#define QUEUE_LONG_US 200000   /* more queued work than this: prefetch less */
#define NO_ORDERS UINT64_MAX

struct worker *fleet_find(const struct core *core, uint32_t number)
{
    for (size_t i = 0; i < core->workers.n; i++) {
        if (core->workers.at[i]->number == number)
            return core->workers.at[i];
    }
    return NULL;
}

struct worker *fleet_add(struct core *core, const char *id, uint32_t number)
{
    struct worker *worker = mem_alloc(sizeof *worker);
    must(str_copy(worker->id, sizeof worker->id, id));
    worker->number = number;
    worker->next_order = 1;
    map_set(&core->workers_by_id, id, worker);
    vec_push(&core->workers, worker);
    return worker;
}

static void worker_dirty(struct core *core, struct worker *worker)
{
    if (worker->dirty)
        return;
    worker->dirty = true;
    vec_push(&core->update->workers, worker->number);
}

uint64_t fleet_order(struct worker *worker, enum wire_order_kind kind, struct run *run,
                     uint32_t task)
{
    must(worker != NULL);
    struct core_order order = {.number = worker->next_order++, .kind = kind};
    if (run) {
        const struct inst *inst = &run->insts[task];
        order.inst = inst_id(run, task);
        order.lease = inst->lease;
        order.attempt = inst->attempt;
        /* Attempts before a clear, and lost ones, use up no retry. */
        order.max_attempts = inst->attempt + (uint32_t)task_of(run, task)->retries - inst->failures;
        order.version = run->version->id;
    }
    vec_push(&worker->orders, order);
    return order.number;
}

void fleet_drop(struct core *core, struct worker *worker, uint32_t hand)
{
    must(hand < worker->hands.n);
    mem_free(worker->hands.at[hand].text);
    struct hand *at = worker->hands.at;
    struct hand moved = at[--worker->hands.n];
    if (hand != worker->hands.n) {
        at[hand] = moved;
        core->runs.at[moved.slot]->insts[moved.task].hand = hand;
    }
    if (!worker->hands.n)
        worker->least_urgent = 0;
}

/* ---- Answers ---- */

static void send_to(struct core *core, uint64_t context, struct worker *worker, uint64_t ack,
                    uint64_t seen, const char *refused)
{
    struct core_send send = {context, worker ? worker->number : 0, ack, seen, refused};
    vec_push(&core->update->sends, send);
}

static void release_listen(struct core *core, struct worker *worker)
{
    if (worker->parked)
        send_to(core, worker->parked, worker, 0, NO_ORDERS, NULL);
    worker->parked = 0;
}

void fleet_answer(struct core *core)
{
    for (size_t i = 0; i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        uint64_t last = worker->next_order - 1;
        uint64_t seen = worker->parked_seen > worker->seen ? worker->parked_seen : worker->seen;
        if (!worker->answered && worker->parked && last > worker->sent && last > seen) {
            send_to(core, worker->parked, worker, 0, seen, NULL);
            worker->parked = 0;
            worker->answered = true;
        }
    }
}

void fleet_turn_done(struct core *core)
{
    for (size_t i = 0; i < core->workers.n; i++) {
        struct worker *worker = core->workers.at[i];
        if (worker->answered)
            worker->sent = worker->next_order - 1;
        worker->answered = false;
    }
}

/* ---- Whose a name is ---- */

static void copy_bytes(char *to, size_t size, struct wire_bytes from)
{
    size_t n = from.n < size ? from.n : size - 1;
    if (n)
        memcpy(to, from.p, n);
    to[n] = 0;
}

static int64_t lost_after(const struct core *core, const struct worker *worker)
{
    return worker->ipc ? core->config.lost_after_ipc_ms : core->config.lost_after_tcp_ms;
}

static bool is_at_work(const struct core *core, const struct worker *worker)
{
    return !worker->lost && !(worker->leaving && !worker->hands.n) &&
           core->mono_ms < worker->last_mono + lost_after(core, worker);
}

/* Whether the name is that of a worker with another token. It is until that one has ended, or is
 * lost with all that it had: also after a start of the scheduler, before it has reported. */
static bool is_anothers(const struct core *core, const struct worker *worker,
                        const struct wire_report *report)
{
    char token[sizeof worker->token];
    copy_bytes(token, sizeof token, report->token);
    return worker->owned && strcmp(worker->token, token) != 0 && is_at_work(core, worker);
}

/* ---- Listens ---- */

void fleet_listen_timer(struct core *core, uint32_t number)
{
    struct worker *worker = fleet_find(core, number);
    worker->listen_timer_set = false;
    if (!worker->parked)
        return;
    if (worker->parked_until <= core->mono_ms) {
        release_listen(core, worker);
        return;
    }
    worker->listen_timer_set = true;
    timer_push(core, (struct timer){worker->parked_until, TIMER_LISTEN, number, 0, number});
}

static void on_listen(struct core *core, struct worker *worker, const struct wire_report *report,
                      uint64_t context)
{
    bool stale = !worker || worker->incarnation != report->incarnation || !worker->known ||
                 report->seq <= worker->listen_seq || is_anothers(core, worker, report);
    if (stale) {
        send_to(core, context, NULL, 0, NO_ORDERS, NULL);
        return;
    }
    release_listen(core, worker);
    worker->listen_seq = report->seq;
    worker->parked = context;
    worker->parked_seen = report->epoch == core->config.epoch ? report->seen : 0;
    worker->parked_until = core->mono_ms + NX_LISTEN_MS;
    if (!worker->listen_timer_set) {
        worker->listen_timer_set = true;
        timer_push(core, (struct timer){worker->parked_until, TIMER_LISTEN, worker->number, 0,
                                        worker->number});
    }
}

/* ---- Losing a worker ---- */

static void lose_all(struct core *core, struct worker *worker, bool elsewhere)
{
    while (worker->hands.n) {
        struct hand *hand = &worker->hands.at[worker->hands.n - 1];
        attempt_lost(core, core->runs.at[hand->slot], hand->task, elsewhere, NULL);
    }
    wait_lose_worker(core, worker);
    /* Orders keep their numbers, since the worker takes only the next one. A lease that it has not
     * seen becomes one to forget, whichever of the two forms reaches it first. */
    for (size_t i = worker->orders_first; i < worker->orders.n; i++) {
        if (worker->orders.at[i].kind == WIRE_LEASE || worker->orders.at[i].kind == WIRE_POKE)
            worker->orders.at[i].kind = WIRE_FORGET;
    }
}

void fleet_watch(struct core *core, struct worker *worker)
{
    if (worker->timer_set)
        return;
    worker->timer_set = true;
    timer_push(core, (struct timer){worker->last_mono + lost_after(core, worker), TIMER_WORKER,
                                    worker->number, 0, worker->number});
}

void fleet_timer(struct core *core, uint32_t number)
{
    struct worker *worker = fleet_find(core, number);
    worker->timer_set = false;
    if (worker->last_mono + lost_after(core, worker) > core->mono_ms) {
        fleet_watch(core, worker);
        return;
    }
    worker->lost = true;
    lose_all(core, worker, true);
    release_listen(core, worker);
}

/* ---- Reports ---- */

static bool is_former(const struct worker *worker, uint64_t incarnation)
{
    uint32_t n = worker->n_former < FORMER_MAX ? worker->n_former : FORMER_MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (worker->former[i] == incarnation)
            return true;
    }
    return false;
}

static void take_name(struct core *core, struct worker *worker, const struct wire_report *report)
{
    char token[sizeof worker->token];
    copy_bytes(token, sizeof token, report->token);
    if (worker->owned && strcmp(worker->token, token) == 0)
        return;
    worker->owned = true;
    str_copy(worker->token, sizeof worker->token, token);
    worker_dirty(core, worker);
}

/* Whether another machine's worker of this name is at work. One that starts again on its own
 * machine has made an end of what its former self ran, so it takes over at once. */
static bool name_is_taken(const struct core *core, const struct worker *worker,
                          const struct wire_report *report)
{
    char host[sizeof worker->host];
    copy_bytes(host, sizeof host, report->host);
    return worker->known && strcmp(worker->host, host) != 0 && is_at_work(core, worker);
}

static void new_incarnation(struct core *core, struct worker *worker, uint64_t incarnation)
{
    if (worker->incarnation) {
        worker->former[worker->n_former % FORMER_MAX] = worker->incarnation;
        worker->n_former++;
    }
    lose_all(core, worker, false);
    release_listen(core, worker);
    worker->incarnation = incarnation;
    worker->known = false;
    worker->seq = worker->listen_seq = worker->seen = worker->sent = worker->starved = 0;
    worker->orders.n = worker->orders_first = 0;
    worker->next_order = 1;
    worker->depth = 0;
    worker_dirty(core, worker);
}

static void describe(struct core *core, struct worker *worker, const struct wire_report *report)
{
    char catalog[NX_NAME_MAX];
    copy_bytes(worker->host, sizeof worker->host, report->host);
    copy_bytes(worker->version, sizeof worker->version, report->version);
    copy_bytes(worker->queues, sizeof worker->queues, report->queues);
    copy_bytes(worker->address, sizeof worker->address, report->address);
    copy_bytes(catalog, sizeof catalog, report->catalog);
    worker->catalog_fits = strcmp(catalog, core->config.catalog) == 0;
    if (worker->ipc != (report->ipc != 0)) {
        worker->ipc = report->ipc != 0;
        worker_dirty(core, worker);
    }
    worker->leaving = report->draining != 0;
    worker->pid = report->pid;
    worker->slots = report->slots < NX_SLOTS_MAX ? report->slots : NX_SLOTS_MAX;
    worker->gpus = report->gpus;
    worker->memory_bytes = report->memory_bytes;
    worker->mean_us = report->mean_us;
}

static void adapt_prefetch(struct worker *worker, const struct wire_report *report)
{
    if (!worker->depth) {
        worker->depth = worker->slots;
    } else if (report->starved > worker->starved && report->mean_us &&
               report->mean_us < EXPECT_SHORT_US) {
        worker->depth = worker->depth * 2 < NX_PREFETCH_MAX ? worker->depth * 2 : NX_PREFETCH_MAX;
    } else if ((uint64_t)report->n_queued * report->mean_us >
               (uint64_t)QUEUE_LONG_US * (worker->slots ? worker->slots : 1)) {
        worker->depth = worker->depth > 1 ? worker->depth / 2 : 1;
    }
    worker->starved = report->starved;
}

/* The instance, if this worker holds this lease of it; its hand is marked as accounted for. */
static struct inst *held(struct core *core, struct worker *worker, struct nx_inst_id id,
                         uint32_t lease, struct run **run)
{
    struct inst *inst = inst_find(core, id, run);
    if (!inst || !(inst->flags & INST_HELD) || inst->worker != worker->number ||
        inst->lease != lease)
        return NULL;
    worker->hands.at[inst->hand].mark = worker->mark;
    return inst;
}

static void take_hand(struct core *core, struct worker *worker, const struct wire_hand *wire,
                      bool first)
{
    struct run *run;
    struct inst *inst = held(core, worker, wire->inst, wire->lease, &run);
    if (!inst) {
        if (wire->state != WIRE_HAND_DONE) { /* else its result follows, and is acknowledged */
            fleet_order(worker, WIRE_FORGET, NULL, 0);
            struct core_order *order = &worker->orders.at[worker->orders.n - 1];
            order->inst = wire->inst;
            order->lease = wire->lease;
        }
        return;
    }
    struct hand *hand = &worker->hands.at[inst->hand];
    hand->progress = wire->progress;
    if (wire->has_text) {
        mem_free(hand->text);
        hand->text = wire->text.n ? mem_strndup(wire->text.p, wire->text.n) : NULL;
    }
    if (wire->state != WIRE_HAND_QUEUED && inst->state == NX_TS_LEASED) {
        inst->started_ms = wire->started_ms;
        inst_set(core, run, inst_index(run, inst), NX_TS_RUNNING, NX_WHY_STARTED);
    }
    if (first && inst->state == NX_TS_STOPPING)
        fleet_order(worker, WIRE_CANCEL, run, inst_index(run, inst));
}

/* Hands that the report did not account for: unknown to the worker yet, to be ordered again, or
 * lost. */
static void settle_missing(struct core *core, struct worker *worker, bool first, uint64_t seen)
{
    for (size_t i = worker->hands.n; i-- > 0;) {
        struct hand *hand = &worker->hands.at[i];
        struct run *run = core->runs.at[hand->slot];
        uint32_t task = hand->task;
        if (hand->mark == worker->mark || hand->order > seen)
            continue;
        bool stopping = run->insts[task].state == NX_TS_STOPPING;
        if (first && hand->order == 0 && !stopping)
            hand->order = fleet_order(worker, WIRE_LEASE, run, task);
        else
            attempt_lost(core, run, task, false, NULL);
    }
}

static void forget_seen_orders(struct worker *worker, uint64_t seen)
{
    while (worker->orders_first < worker->orders.n &&
           worker->orders.at[worker->orders_first].number <= seen)
        worker->orders_first++;
    if (worker->orders_first == worker->orders.n) {
        worker->orders.n = worker->orders_first = 0;
    } else if (worker->orders_first > 1024 && worker->orders_first > worker->orders.n / 2) {
        worker->orders.n -= worker->orders_first;
        memmove(worker->orders.at, worker->orders.at + worker->orders_first,
                worker->orders.n * sizeof *worker->orders.at);
        worker->orders_first = 0;
    }
}

static void on_report(struct core *core, struct worker *worker, const struct wire_report *report)
{
    bool first = !worker->known || report->epoch != core->config.epoch;
    uint64_t seen = first ? 0 : report->seen;
    struct run *run;
    worker->seq = report->seq;
    worker->seen = seen;
    worker->mark++;
    worker->known = true;
    worker->lost = false;
    worker->last_mono = core->mono_ms;
    worker->last_wall = core->wall_ms;
    describe(core, worker, report);
    fleet_watch(core, worker);
    adapt_prefetch(worker, report);
    for (uint32_t i = 0; i < report->n_results; i++) {
        const struct wire_result *result = &report->results[i];
        const struct inst *inst = held(core, worker, result->inst, result->lease, &run);
        if (inst)
            attempt_result(core, run, inst_index(run, inst), result);
    }
    for (uint32_t i = 0; i < report->n_backs; i++) {
        const struct wire_back *back = &report->backs[i];
        const struct inst *inst = held(core, worker, back->inst, back->lease, &run);
        if (inst && inst->state != NX_TS_RUNNING)
            attempt_back(core, run, inst_index(run, inst));
    }
    for (uint32_t i = 0; i < report->n_hands; i++)
        take_hand(core, worker, &report->hands[i], first);
    settle_missing(core, worker, first, seen);
    wait_report(core, worker, report, seen);
    forget_seen_orders(worker, seen);
}

/* Why there is no room for another worker (worker: what is known of its name, or NULL); NULL: there
 * is. Those that have gone leave their names. */
static const char *no_room(const struct core *core, const struct worker *worker)
{
    size_t n = 0;
    if (worker && !worker->lost)
        return NULL; /* it counts already */
    if (!worker && core->workers.n >= NX_WORKER_NAMES_MAX)
        return "4096 names of workers are known: give this one a name that was used before";
    if (core->workers.n < NX_WORKERS_MAX)
        return NULL;
    for (size_t i = 0; i < core->workers.n; i++)
        n += core->workers.at[i] != worker && is_at_work(core, core->workers.at[i]);
    return n < NX_WORKERS_MAX ? NULL : "256 workers are at work, and no more are welcome";
}

void fleet_report(struct core *core, const struct wire_report *report, uint64_t context)
{
    char id[NX_ID_MAX + 1];
    copy_bytes(id, sizeof id, report->worker);
    struct worker *worker = map_get(&core->workers_by_id, id);
    if (report->kind == WIRE_LISTEN) {
        on_listen(core, worker, report, context);
        return;
    }
    const char *full = no_room(core, worker);
    if (full) {
        send_to(core, context, NULL, 0, NO_ORDERS, full);
        return;
    }
    if (!worker)
        worker = fleet_add(core, id, core->config.next_worker++);
    if (is_anothers(core, worker, report)) {
        send_to(core, context, NULL, 0, NO_ORDERS,
                "a worker of this name is at work with another token (or on the scheduler's "
                "machine): give this one another --name, or end that one");
        return;
    }
    if (worker->incarnation != report->incarnation) {
        if (is_former(worker, report->incarnation)) {
            send_to(core, context, NULL, 0, NO_ORDERS,
                    "another process took this worker's name: start again as a new one");
            return;
        }
        if (name_is_taken(core, worker, report)) {
            send_to(core, context, NULL, 0, NO_ORDERS,
                    "a worker of this name is at work on another host: give this one another "
                    "--name, or end that one");
            return;
        }
        new_incarnation(core, worker, report->incarnation);
    }
    take_name(core, worker, report);
    bool stale = report->seq <= worker->seq;
    if (!stale)
        on_report(core, worker, report);
    bool same_epoch = report->epoch == core->config.epoch;
    send_to(core, context, worker, report->seq, same_epoch ? report->seen : 0, NULL);
    worker->answered = true;
}

void fleet_drain(struct core *core, const char *id, bool on, uint64_t token)
{
    struct worker *worker = map_get(&core->workers_by_id, id);
    if (!worker) {
        core_answer_to(core, token, (struct nx_run_id){0}, NX_E_NOT_FOUND,
                       "there is no worker '%s'", id);
        return;
    }
    if (worker->drain != on) {
        worker->drain = on;
        worker_dirty(core, worker);
        for (size_t i = 0; on && i < worker->hands.n; i++) {
            struct hand *hand = &worker->hands.at[i];
            struct run *run = core->runs.at[hand->slot];
            struct inst *inst = &run->insts[hand->task];
            if (inst->state == NX_TS_LEASED && !(inst->flags & INST_BACK)) {
                inst->flags |= INST_BACK;
                fleet_order(worker, WIRE_GIVE_BACK, run, hand->task);
            }
        }
    }
    core_answer_to(core, token, (struct nx_run_id){0}, NX_OK, "%s", "");
}
