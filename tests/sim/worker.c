/* A worker process around the real ledger: its requests, and children that only take time. */
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "tests/sim/sim.h"

#define TICK_MS 200

static const char *worker_name(uint32_t index)
{
    static const char *const names[SIM_WORKERS_MAX] = {"w0", "w1", "w2", "w3"};
    return names[index];
}

static bool silent(const struct sim *sim, const struct sim_worker *worker)
{
    return sim->now < worker->silent_until;
}

/* ---- Requests ---- */

static void transmit(struct sim *sim, struct sim_worker *worker, int slot)
{
    struct sim_request *request = &worker->requests[slot];
    uint64_t packed = request->id << 1 | (uint64_t)slot;
    bool faults = sim->config.faults && !sim_healed(sim) && !sim->config.only_crash;
    int64_t delay = sim_between(sim, 0, 3);
    if (silent(sim, worker)) {
        sim_post(sim, SIM_RESEND, worker->silent_until - sim->now + 1, worker->index, packed,
                 worker->generation, NULL, 0);
        return;
    }
    if (faults && request->n_lost < 2 && sim_chance(sim, 1, 25)) {
        sim_count(sim, FAULT_REQUEST_LOST);
        request->n_lost++;
        sim_post(sim, SIM_RESEND, sim_between(sim, 50, 600), worker->index, packed,
                 worker->generation, NULL, 0);
        return;
    }
    if (faults && sim_chance(sim, 1, 25)) {
        sim_count(sim, FAULT_REQUEST_LATE);
        delay = sim_between(sim, 100, 1000);
    }
    sim_post(sim, SIM_REQUEST, delay, worker->index, packed, 0, request->bytes, request->n);
    if (faults && sim_chance(sim, 1, 25)) {
        sim_count(sim, FAULT_REQUEST_DOUBLED);
        sim_post(sim, SIM_REQUEST, sim_between(sim, 0, 1000), worker->index, packed, 0,
                 request->bytes, request->n);
    }
}

void sim_worker_resend(struct sim *sim, uint32_t index, uint64_t packed)
{
    struct sim_worker *worker = &sim->workers[index];
    struct sim_request *request = &worker->requests[packed & 1];
    if (worker->alive && request->open && request->id == packed >> 1)
        transmit(sim, worker, (int)(packed & 1));
}

void sim_send_request(struct sim *sim, uint32_t index, int slot)
{
    struct sim_worker *worker = &sim->workers[index];
    struct sim_request *request = &worker->requests[slot];
    struct wire_report report;
    struct arena arena;
    struct buf buf;
    must(!request->open);
    if (slot == 0)
        worker->reported_at = sim->now;
    arena_init(&arena);
    buf_init(&buf);
    if (slot == 0)
        ledger_report(worker->ledger, sim->now, &arena, &report);
    else
        ledger_listen(worker->ledger, &report);
    const char *name = worker_name(index);
    report.worker = wire_text(name, 2);
    report.queues = wire_text(worker->queues, __builtin_strlen(worker->queues));
    report.ipc = worker->ipc;
    wire_encode_report(&buf, &report);
    mem_free(request->bytes);
    request->bytes = buf_take(&buf, &request->n);
    request->open = true;
    request->id = ++sim->next_request;
    request->n_lost = 0;
    arena_fini(&arena);
    transmit(sim, worker, slot);
}

/* ---- Children ---- */

static void end_execution(struct sim *sim, struct nx_inst_id id)
{
    for (size_t i = sim->executions.n; i-- > 0;) {
        struct sim_execution *execution = &sim->executions.at[i];
        if (sim_same(execution->inst, id) && execution->to == INT64_MAX) {
            execution->to = sim->now;
            return;
        }
    }
    must(false);
}

static void child_ended(struct sim *sim, struct sim_worker *worker, size_t index,
                        enum nx_attempt_outcome outcome)
{
    struct sim_child child = worker->children.at[index];
    struct wire_result result = {.inst = child.inst,
                                 .lease = child.lease,
                                 .outcome = (uint8_t)outcome,
                                 .code = outcome == NX_AO_FAILED ? NX_E_IO : NX_OK,
                                 .exit_code = -1,
                                 .finished_ms = sim->now + sim->wall_offset};
    if (outcome == NX_AO_FAILED && sim_chance(sim, 1, 10))
        result.flags = WIRE_RESULT_PERMANENT;
    worker->children.at[index] = worker->children.at[--worker->children.n];
    end_execution(sim, child.inst);
    ledger_ended(worker->ledger, &result, (sim->now - child.started) * 1000);
}

static void start_children(struct sim *sim, struct sim_worker *worker)
{
    struct ledger_start start;
    while (ledger_next(worker->ledger, sim->now, sim->now + sim->wall_offset, &start)) {
        struct sim_child child = {.inst = start.order.inst,
                                  .lease = start.order.lease,
                                  .attempt = start.order.attempt,
                                  .started = sim->now,
                                  .exclusive = start.order.flags & WIRE_LEASE_EXCLUSIVE};
        /* Most are short; some outlast a silent worker's lost_after and an exclusive lease. */
        uint64_t one_in = child.exclusive ? 5 : 25;
        int64_t duration = sim_chance(sim, 1, 4)        ? sim_between(sim, 0, 4000)
                           : sim_chance(sim, 1, one_in) ? sim_between(sim, 5000, 45000)
                                                        : sim_between(sim, 0, 40);
        child.ends = ++sim->next_number;
        sim_post(sim, SIM_CHILD, duration, worker->index, worker->generation, child.ends, NULL, 0);
        vec_push(&worker->children, child);
        char says[SIM_PROGRESS_MAX];
        sim_progress(says, child.lease);
        ledger_progress(worker->ledger, child.inst, child.lease, 500, says);
        struct sim_execution execution = {child.inst, sim->now, INT64_MAX};
        vec_push(&sim->executions, execution);
        oracle_execution(sim, child.inst);
    }
}

static size_t find_child(const struct sim_worker *worker, struct nx_inst_id id, uint32_t lease)
{
    size_t i = 0;
    while (i < worker->children.n &&
           !(sim_same(worker->children.at[i].inst, id) && worker->children.at[i].lease == lease))
        i++;
    return i;
}

static void stop_children(struct sim *sim, struct sim_worker *worker)
{
    struct ledger_stop stop;
    while (ledger_stop_next(worker->ledger, sim->now, &stop)) {
        size_t i = find_child(worker, stop.inst, stop.lease);
        if (i == worker->children.n)
            continue;
        /* It may end well just now; else it is stopped within its grace. */
        if (stop.why != LEDGER_STOP_NOW && sim_chance(sim, 1, 6))
            child_ended(sim, worker, i, NX_AO_SUCCESS);
        else
            child_ended(sim, worker, i,
                        stop.why == LEDGER_STOP_CANCEL ? NX_AO_CANCELLED : NX_AO_LOST);
        if (stop.why == LEDGER_STOP_TTL || stop.why == LEDGER_STOP_NOW)
            sim_faulted(worker, sim->now);
    }
}

static void start_look(struct sim *sim, struct sim_worker *worker)
{
    struct ledger_start start;
    if (worker->looking || !ledger_look(worker->ledger, &start))
        return;
    worker->looking = true;
    sim_post(sim, SIM_LOOK, sim_between(sim, 0, sim_chance(sim, 1, 10) ? 9000 : 100), worker->index,
             worker->generation, 0, NULL, 0);
}

/* What the agent's loop does after every callback. */
static void act(struct sim *sim, struct sim_worker *worker)
{
    stop_children(sim, worker);
    start_children(sim, worker);
    start_look(sim, worker);
    if (!worker->requests[0].open && ledger_changed(worker->ledger))
        sim_send_request(sim, worker->index, 0);
}

void sim_worker_child(struct sim *sim, uint32_t index, uint64_t number)
{
    struct sim_worker *worker = &sim->workers[index];
    for (size_t i = 0; i < worker->children.n; i++) {
        if (worker->children.at[i].ends != number)
            continue;
        uint64_t dice = rng_below(&sim->rng, 20);
        child_ended(sim, worker, i,
                    dice < 14   ? NX_AO_SUCCESS
                    : dice < 17 ? NX_AO_FAILED
                    : dice < 18 ? NX_AO_TIMEOUT
                    : dice < 19 ? NX_AO_SKIPPED
                                : NX_AO_MEMORY);
        break;
    }
    act(sim, worker);
}

void sim_worker_look(struct sim *sim, uint32_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    struct wire_result result = {.outcome = NX_AO_SUCCESS, .exit_code = -1};
    uint64_t dice = rng_below(&sim->rng, 10);
    worker->looking = false;
    if (dice == 0) {
        result.outcome = NX_AO_FAILED;
        result.code = NX_E_IO;
    }
    sim_count(sim, dice == 0 ? FAULT_LOOK_FAILED : dice < 5 ? SEEN_LOOKED : SEEN_NOT_YET);
    ledger_looked(worker->ledger, dice < 5 ? &result : NULL);
    act(sim, worker);
}

void sim_worker_child_kill(struct sim *sim, uint32_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    if (!worker->alive || !worker->children.n)
        return;
    sim_count(sim, FAULT_CHILD_KILLED);
    sim_faulted(worker, sim->now);
    child_ended(sim, worker, rng_below(&sim->rng, worker->children.n), NX_AO_LOST);
    act(sim, worker);
}

/* ---- The process ---- */

void sim_worker_start(struct sim *sim, uint32_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    must(!worker->alive);
    struct ledger_config config = {.slots = worker->slots, .incarnation = rng_next(&sim->rng) | 1};
    worker->alive = true;
    sim_faulted(worker, sim->now); /* what was leased to it while it was down is lost now */
    worker->leaving = worker->looking = false;
    worker->generation++;
    worker->ledger = ledger_new(&config, sim->now);
    sim_send_request(sim, index, 0);
    sim_post(sim, SIM_WORKER, TICK_MS, index, worker->generation, 0, NULL, 0);
}

void sim_worker_kill(struct sim *sim, uint32_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    must(worker->alive);
    worker->alive = false;
    sim_faulted(worker, sim->now);
    /* Its children are orphans until the next start kills them, before it asks for work; here they
     * end at once or not before then, which is the worst for an exclusive task. */
    for (size_t i = 0; i < worker->children.n; i++)
        end_execution(sim, worker->children.at[i].inst);
    worker->children.n = 0;
    ledger_free(worker->ledger);
    worker->ledger = NULL;
    for (int slot = 0; slot < 2; slot++)
        worker->requests[slot].open = false;
    sim_post(sim, SIM_START, sim_between(sim, 10, 3000), index, 0, 0, NULL, 0);
}

void sim_worker_tick(struct sim *sim, uint32_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    if (worker->leaving && !ledger_running(worker->ledger) && !ledger_queued(worker->ledger) &&
        !ledger_unacknowledged(worker->ledger)) {
        sim_worker_kill(sim, index);
        return;
    }
    act(sim, worker);
    bool due = sim->now - worker->reported_at >= NX_REPORT_EVERY_MS;
    if (!worker->requests[0].open && (due || sim_chance(sim, 1, 4)))
        sim_send_request(sim, index, 0);
    if (!worker->requests[1].open && ledger_epoch(worker->ledger))
        sim_send_request(sim, index, 1);
    sim_post(sim, SIM_WORKER, TICK_MS, index, worker->generation, 0, NULL, 0);
}

void sim_worker_reply(struct sim *sim, const struct sim_event *event)
{
    struct sim_worker *worker = &sim->workers[event->a];
    int slot = (int)(event->b & 1);
    struct sim_request *request = &worker->requests[slot];
    struct wire_reply reply;
    struct arena arena;
    struct nx_err err;
    if (!worker->alive || !request->open || request->id != event->b >> 1)
        return;
    if (silent(sim, worker)) {
        sim_post(sim, SIM_RESEND, worker->silent_until - sim->now + 1, worker->index, event->b, 0,
                 NULL, 0);
        return;
    }
    arena_init(&arena);
    if (!wire_decode_reply(event->bytes, event->n, &arena, &reply, &err))
        sim_fail(sim, "a reply can be decoded", "%s", err.text);
    request->open = false;
    if (reply.refused) { /* a former incarnation: start again */
        arena_fini(&arena);
        sim_worker_kill(sim, event->a);
        return;
    }
    for (uint32_t i = 0; i < reply.n_orders; i++) {
        const struct wire_order *order = &reply.orders[i];
        if (order->kind == WIRE_GIVE_BACK &&
            find_child(worker, order->inst, order->lease) < worker->children.n)
            sim_count(sim, SEEN_BACK_CROSSED_START);
    }
    ledger_reply(worker->ledger, &reply, sim->now);
    arena_fini(&arena);
    act(sim, worker);
    if (reply.more && !request->open && slot == 0)
        sim_send_request(sim, event->a, 0);
    if (!worker->requests[1].open && slot == 1 && !sim_chance(sim, 1, 3))
        sim_send_request(sim, event->a, 1);
}
