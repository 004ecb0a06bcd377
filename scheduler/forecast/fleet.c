/* Workers as good as can be: they start what they are given at once, and end it when its time has
 * come. They speak to the core as real ones do. */
#include <string.h>

#include "lib/base/heap.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/forecast/internal.h"

#define NEVER_PREFETCH_US 10000000 /* tasks that are said to be so long are not prefetched */

static bool sooner(const void *a, const void *b)
{
    const struct finish *x = a, *y = b;
    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->order < y->order;
}

void ideal_begin(struct making *making)
{
    size_t n = making->config->n_workers;
    making->workers = mem_alloc_array(n ? n : 1, sizeof *making->workers);
    for (size_t i = 0; i < n; i++) {
        making->workers[i] = (struct ideal_worker){.changed = true};
        making->forecast->slots += making->config->workers[i].slots;
    }
}

void ideal_fini(struct making *making)
{
    for (size_t i = 0; i < making->config->n_workers; i++) {
        vec_fini(&making->workers[i].hands);
        vec_fini(&making->workers[i].results);
    }
    mem_free(making->workers);
    vec_fini(&making->finishes);
    vec_fini(&making->hands);
}

/* ---- Orders ---- */

static void start(struct making *making, uint32_t number, const struct core_order *order)
{
    const struct forecast_config *config = making->config;
    const struct graph *graph = core_run_graph(making->core, order->inst.run);
    struct core_run_row run;
    must(graph && core_get_run(making->core, order->inst.run, &run));
    size_t dag = (size_t)(uintptr_t)map_get(&making->dags, run.dag) - 1;
    int64_t takes_ms = config->dags[dag].duration_ms[order->inst.task];
    takes_ms = takes_ms > 0 ? takes_ms : 1; /* time goes on whatever is given */
    int64_t timeout_ms = graph->tasks[order->inst.task].timeout_ms;
    bool in_time = !timeout_ms || takes_ms <= timeout_ms;
    const struct running running = {order->inst, order->lease, order->attempt, making->now_ms};
    const struct finish finish = {making->now_ms + (in_time ? takes_ms : timeout_ms),
                                  ++making->n_starts,
                                  order->inst,
                                  order->lease,
                                  number,
                                  in_time ? NX_AO_SUCCESS : NX_AO_TIMEOUT};
    vec_push(&making->workers[number].hands, running);
    vec_push(&making->finishes, finish);
    heap_push(making->finishes.at, making->finishes.n, sizeof finish, sooner);
    making->n_busy++;
    making->forecast->n_attempts++;
    figures_start(making, order->inst);
}

/* The attempt is over, if it is still there. */
static void end(struct making *making, uint32_t number, struct nx_inst_id inst, uint32_t lease,
                enum nx_attempt_outcome outcome)
{
    struct ideal_worker *worker = &making->workers[number];
    for (size_t i = 0; i < worker->hands.n; i++) {
        const struct running *running = &worker->hands.at[i];
        if (running->lease != lease || running->inst.run.v != inst.run.v ||
            running->inst.task != inst.task || running->inst.map != inst.map)
            continue;
        const struct wire_result result = {.inst = inst,
                                           .lease = lease,
                                           .attempt = running->attempt,
                                           .outcome = (uint8_t)outcome,
                                           .code = outcome == NX_AO_TIMEOUT ? NX_E_TIMEOUT : NX_OK,
                                           .exit_code = -1,
                                           .started_ms = running->started_ms,
                                           .finished_ms = making->now_ms};
        vec_push(&worker->results, result);
        worker->hands.at[i] = worker->hands.at[--worker->hands.n];
        worker->changed = true;
        making->n_busy--;
        return;
    }
}

bool ideal_take_orders(struct making *making)
{
    bool any = false;
    for (uint32_t i = 0; i < making->config->n_workers; i++) {
        struct ideal_worker *worker = &making->workers[i];
        size_t n = 0;
        if (!worker->seq) { /* the core does not know it yet */
            any = true;
            continue;
        }
        const struct core_order *orders = core_orders(making->core, i + 1, worker->seen, &n);
        for (size_t k = 0; k < n; k++) {
            if (orders[k].kind == WIRE_LEASE)
                start(making, i, &orders[k]);
            else if (orders[k].kind == WIRE_CANCEL)
                end(making, i, orders[k].inst, orders[k].lease, NX_AO_CANCELLED);
            worker->seen = orders[k].number; /* nothing waits here, so nothing is given back */
            worker->changed = true;
        }
        any = any || worker->changed;
    }
    return any;
}

void ideal_finish(struct making *making)
{
    while (making->finishes.n && making->finishes.at[0].at_ms <= making->now_ms) {
        const struct finish finish = making->finishes.at[0];
        heap_pop(making->finishes.at, making->finishes.n--, sizeof finish, sooner);
        end(making, finish.worker, finish.inst, finish.lease, finish.outcome);
    }
}

/* ---- Reports ---- */

static struct wire_bytes text(const char *s)
{
    return wire_text(s, strlen(s));
}

static void report(struct making *making, uint32_t number)
{
    struct ideal_worker *worker = &making->workers[number];
    const struct forecast_worker *what = &making->config->workers[number];
    making->hands.n = 0;
    for (size_t i = 0; i < worker->hands.n; i++) {
        const struct running *running = &worker->hands.at[i];
        const struct wire_hand hand = {.inst = running->inst,
                                       .lease = running->lease,
                                       .state = WIRE_HAND_RUNNING,
                                       .started_ms = running->started_ms,
                                       .progress = UINT16_MAX};
        vec_push(&making->hands, hand);
    }
    const struct wire_report wire = {.kind = WIRE_REPORT,
                                     .worker = text(what->id),
                                     .incarnation = number + 1u,
                                     .epoch = 1,
                                     .seq = ++worker->seq,
                                     .seen = worker->seen,
                                     .host = text("forecast"),
                                     .version = text("forecast"),
                                     .catalog = text(making->config->catalog),
                                     .queues = text(what->queues),
                                     .slots = what->slots,
                                     .gpus = 1u << 30,
                                     .ipc = 1,
                                     .mean_us = NEVER_PREFETCH_US,
                                     .n_hands = (uint32_t)making->hands.n,
                                     .n_results = (uint32_t)worker->results.n,
                                     .hands = making->hands.at,
                                     .results = worker->results.at};
    struct core_event event = {.kind = EV_REPORT, .report = {.report = &wire}};
    making_step(making, &event);
    worker->results.n = 0;
    worker->changed = false;
}

void ideal_report(struct making *making)
{
    for (uint32_t i = 0; i < making->config->n_workers; i++) {
        if (making->workers[i].changed)
            report(making, i);
    }
}
