/* The scheduler's core and store in one process, without workers, network or loader: what they
 * allow at most. A worker is pretended, whose tasks take no time: everything it was given up to
 * REPORT_RESULTS is done in its next report.
 *
 *   core_store [TASKS]           rate, turns and memory
 *   core_store rate [TASKS]      one line of JSON: what bounds the throughput with workers
 *   core_store chain TASKS       likewise: what bounds a chain of them */
#include <malloc.h>
#include <string.h>

#include "lib/base/path.h"
#include "scheduler/store/store.h"
#include "tests/bench/bench.h"

#define REPORT_RESULTS 300
#define WORKER_SLOTS 2
#define MEAN_US 30

struct held_lease {
    struct nx_inst_id inst;
    uint32_t lease, attempt;
    bool cancel;
};

struct world {
    char folder[256];
    struct core *core;
    struct store *store;
    struct core_update update;
    struct store_run_extra extra;
    struct samples *turns;
    struct nx_run_id run;
    uint64_t seq, seen, version;
    VEC(struct held_lease) held;
    VEC(struct wire_hand) hands;
    VEC(struct wire_result) results;
    uint32_t n_tasks, n_done;
    int64_t core_us, write_us, commit_us;
};

static void stop(const struct nx_err *err)
{
    fprintf(stderr, "core_store: %s\n", err->text);
    exit(1);
}

/* ---- Shapes ---- */

enum shape { INDEPENDENT, CHAIN, FAN };

/* FAN: the first task, then all others, then the last one. */
static struct graph *make_graph(uint32_t n, enum shape shape)
{
    struct graph_task_def *defs = calloc(n, sizeof *defs);
    uint32_t *needs = calloc(n, sizeof *needs);
    char(*ids)[16] = calloc(n, sizeof *ids);
    struct graph *graph;
    struct nx_err err;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "t%u", i);
        defs[i].id = ids[i];
        defs[i].needs_class = (struct graph_class){.queue = "default", .pool_slots = 1};
        needs[i] = i;
        if (shape == CHAIN && i) {
            defs[i].needs = &needs[i - 1];
            defs[i].n_needs = 1;
        } else if (shape == FAN && i) {
            defs[i].needs = i == n - 1 ? &needs[1] : &needs[0];
            defs[i].n_needs = i == n - 1 ? n - 2 : 1;
        }
    }
    if (!graph_new("bench", defs, n, 0, 0, &graph, &err))
        stop(&err);
    free(defs);
    free(needs);
    free(ids);
    return graph;
}

/* ---- A turn, as the engine's ---- */

static struct core_event event_of(enum core_event_kind kind)
{
    return (struct core_event){
        .kind = kind, .mono_ms = clock_mono_ms(), .wall_ms = clock_wall_ms()};
}

static void step(struct world *w, const struct core_event *event)
{
    int64_t start = clock_mono_us();
    core_step(w->core, event, &w->update);
    w->core_us += clock_mono_us() - start;
}

/* Orders that the core has for the worker; those of a former reply again are left out. */
static void take_orders(struct world *w)
{
    size_t n;
    const struct core_order *orders = core_orders(w->core, 1, w->seen, &n);
    for (size_t i = 0; i < n; i++) {
        w->seen = orders[i].number;
        if (orders[i].kind == WIRE_LEASE) {
            vec_push(&w->held,
                     ((struct held_lease){orders[i].inst, orders[i].lease, orders[i].attempt, 0}));
            continue;
        }
        for (size_t h = 0; orders[i].kind == WIRE_CANCEL && h < w->held.n; h++)
            w->held.at[h].cancel |= w->held.at[h].inst.task == orders[i].inst.task;
    }
}

static void end_turn(struct world *w)
{
    struct nx_err err;
    struct core_event turn = event_of(EV_TURN);
    step(w, &turn);
    if (core_update_has_rows(&w->update)) {
        const struct store_turn rows = {
            .core = w->core, .update = &w->update, .extras = &w->extra, .n_extras = 1};
        int64_t start = clock_mono_us();
        if (!store_begin(w->store, &err) || !store_write(w->store, &rows, &err))
            stop(&err);
        int64_t written = clock_mono_us();
        if (!store_commit(w->store, &err))
            stop(&err);
        w->write_us += written - start;
        w->commit_us += clock_mono_us() - written;
    }
    if (w->update.sends.n)
        take_orders(w);
    core_turn_done(w->core, &w->update);
    if (!store_checkpoint(w->store, false, &err))
        stop(&err);
}

/* The events of a turn have been stepped since `start`. */
static void timed_turn(struct world *w, int64_t start)
{
    end_turn(w);
    vec_push(&w->turns->us, (double)(clock_mono_us() - start));
}

static struct wire_bytes bytes_of(const char *s)
{
    return wire_text(s, strlen(s));
}

static void fill_report(struct world *w, bool anything)
{
    size_t n = anything && w->held.n > REPORT_RESULTS ? REPORT_RESULTS : w->held.n;
    int64_t now = clock_wall_ms();
    w->hands.n = w->results.n = 0;
    if (!anything)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct held_lease *held = &w->held.at[i];
        struct wire_result result = {.inst = held->inst,
                                     .lease = held->lease,
                                     .attempt = held->attempt,
                                     .outcome = held->cancel ? NX_AO_CANCELLED : NX_AO_SUCCESS,
                                     .exit_code = -1,
                                     .started_ms = now,
                                     .finished_ms = now};
        vec_push(&w->results, result);
    }
    for (size_t i = n; i < w->held.n; i++)
        vec_push(&w->hands,
                 ((struct wire_hand){
                     .inst = w->held.at[i].inst, .lease = w->held.at[i].lease, .progress = 65535}));
    memmove(w->held.at, w->held.at + n, (w->held.n - n) * sizeof *w->held.at);
    w->held.n -= n;
    w->n_done += (uint32_t)n;
}

static void report_turn(struct world *w, bool anything)
{
    fill_report(w, anything);
    struct wire_report report = {
        .kind = WIRE_REPORT,
        .worker = bytes_of("w"),
        .incarnation = 1,
        .epoch = w->seq ? 1 : 0,
        .seq = ++w->seq,
        .seen = w->seen,
        .host = bytes_of("bench"),
        .version = bytes_of("1"),
        .queues = bytes_of("default"),
        .slots = WORKER_SLOTS,
        .ipc = 1,
        .n_queued = (uint32_t)w->hands.n,
        .starved = w->seq,
        .mean_us = MEAN_US,
        .n_hands = (uint32_t)w->hands.n,
        .n_results = (uint32_t)w->results.n,
        .hands = w->hands.at,
        .results = w->results.at,
    };
    struct core_event event = event_of(EV_REPORT);
    int64_t start = clock_mono_us();
    event.report.report = &report;
    event.report.context = 1;
    step(w, &event);
    timed_turn(w, start);
}

/* ---- The life of a run ---- */

static void world_open(struct world *w, struct samples *turns)
{
    struct core_config config;
    struct nx_err err;
    char path[300];
    memset(w, 0, sizeof *w);
    w->turns = turns;
    snprintf(w->folder, sizeof w->folder, "%s/core-XXXXXX", bench_folder());
    must(mkdtemp(w->folder) != NULL);
    snprintf(path, sizeof path, "%s/nexus.db", w->folder);
    core_config_init(&config);
    if (!store_open(path, &w->store, &err) ||
        !store_begin_epoch(w->store, &config.epoch, &config.next_run, &err))
        stop(&err);
    w->core = core_new(&config);
    core_update_init(&w->update);
    end_turn(w);
}

static void world_close(struct world *w)
{
    core_free(w->core);
    store_close(w->store);
    core_update_fini(&w->update);
    vec_fini(&w->held);
    vec_fini(&w->hands);
    vec_fini(&w->results);
    path_remove_tree(w->folder, NULL);
}

static void begin_run(struct world *w, struct graph *graph)
{
    int64_t start = clock_mono_us();
    struct core_event dag = event_of(EV_DAG), create = event_of(EV_RUN_CREATE);
    dag.dag.version = ++w->version;
    dag.dag.graph = graph;
    step(w, &dag);
    w->n_tasks = graph->n_tasks;
    create.token = 1;
    create.create.dag = "bench";
    step(w, &create);
    must(w->update.replies.n == 1 && w->update.replies.at[0].err.code == NX_OK);
    w->run = w->update.replies.at[0].run;
    w->extra = (struct store_run_extra){.run = w->run, .params = "{}"};
    timed_turn(w, start);
}

static void cancel_turn(struct world *w)
{
    struct core_event cancel = event_of(EV_RUN_CANCEL);
    int64_t start = clock_mono_us();
    cancel.cancel = w->run;
    cancel.token = 1;
    step(w, &cancel);
    timed_turn(w, start);
}

static void load_run(void *arg, const struct core_run_row *row)
{
    core_load_run(arg, row);
}

static void load_inst(void *arg, const struct core_inst_row *row)
{
    core_load_inst(arg, row);
}

/* Of an ended run: it is loaded first, as the engine does. */
static void clear_turn(struct world *w)
{
    struct core_event clear = event_of(EV_RUN_EDIT);
    const struct store_loader loader = {.arg = w->core, .run = load_run, .inst = load_inst};
    struct nx_err err;
    int64_t start = clock_mono_us();
    if (!store_load_run(w->store, w->run, &loader, &err))
        stop(&err);
    core_load_run_done(w->core, w->run);
    clear.edit.run = w->run;
    clear.edit.what = CORE_CLEAR;
    clear.token = 1;
    step(w, &clear);
    timed_turn(w, start);
}

static bool unfinished(const struct world *w)
{
    struct core_run_row row;
    return core_get_run(w->core, w->run, &row);
}

/* ---- What is told ---- */

struct rate {
    double tasks_s, core_us, write_us, commit_us, cpu_us, rows, turns;
};

static struct rate measure_rate(uint32_t n, struct samples *turns)
{
    struct world w;
    struct rate rate;
    struct graph *graph = make_graph(n, INDEPENDENT);
    world_open(&w, turns);
    report_turn(&w, true); /* the worker is known */
    w.core_us = w.write_us = w.commit_us = 0;
    turns->us.n = 0;
    double cpu = bench_cpu_us();
    int64_t start = clock_mono_us();
    begin_run(&w, graph);
    while (unfinished(&w))
        report_turn(&w, true);
    double s = (double)(clock_mono_us() - start) / 1e6, per = 1.0 / n;
    must(w.n_done == n);
    rate = (struct rate){.tasks_s = n / s,
                         .core_us = (double)w.core_us * per,
                         .write_us = (double)w.write_us * per,
                         .commit_us = (double)w.commit_us * per,
                         .cpu_us = (bench_cpu_us() - cpu) * per,
                         .rows = (double)store_counted(w.store).rows * per,
                         .turns = (double)turns->us.n};
    world_close(&w);
    graph_release(graph);
    return rate;
}

static void tell_turns(const char *what, struct samples *turns)
{
    double first = turns->us.at[0];
    samples_sort(turns);
    printf("  %-64s %6zu turns  first %8.2f ms  p50 %7.2f  p99 %7.2f  max %7.2f\n", what,
           turns->us.n, first / 1000, samples_at(turns, 0.5) / 1000, samples_at(turns, 0.99) / 1000,
           turns->us.at[turns->us.n - 1] / 1000);
    turns->us.n = 0;
}

static void finish(struct world *w)
{
    while (unfinished(w))
        report_turn(w, true);
}

/* Starts it, lets it work a while, cancels it; clears it, runs all of it, clears it again. */
static void measure_turns(uint32_t n, enum shape shape, const char *name)
{
    struct world w;
    struct samples turns = {0};
    char what[64];
    struct graph *graph = make_graph(n, shape);
    world_open(&w, &turns);
    report_turn(&w, true);
    turns.us.n = 0;
    begin_run(&w, graph);
    for (int i = 0; i < 100; i++)
        report_turn(&w, true);
    snprintf(what, sizeof what, "%s starts", name);
    tell_turns(what, &turns);
    cancel_turn(&w);
    finish(&w);
    snprintf(what, sizeof what, "%s is cancelled", name);
    tell_turns(what, &turns);
    clear_turn(&w);
    finish(&w);
    snprintf(what, sizeof what, "%s is cleared, of which little was done", name);
    tell_turns(what, &turns);
    clear_turn(&w);
    finish(&w);
    snprintf(what, sizeof what, "%s is cleared when all was done", name);
    tell_turns(what, &turns);
    world_close(&w);
    graph_release(graph);
    vec_fini(&turns.us);
}

/* What core and store alone need for a step of a chain: its turn, with its commit. */
static void tell_chain(uint32_t n)
{
    struct world w;
    struct samples turns = {0};
    struct graph *warm = make_graph(60000, INDEPENDENT), *graph = make_graph(n, CHAIN);
    world_open(&w, &turns);
    report_turn(&w, true);
    begin_run(&w, warm); /* lengthens the log, so that it is overwritten from now on */
    while (unfinished(&w))
        report_turn(&w, true);
    struct nx_err err;
    if (!store_checkpoint(w.store, true, &err))
        stop(&err);
    begin_run(&w, graph);
    turns.us.n = 0;
    w.commit_us = 0;
    while (unfinished(&w))
        report_turn(&w, true);
    printf("{\"tasks\": %u, \"turn_us\": %.1f, \"commit_us\": %.1f}\n", n, samples_mean(&turns),
           (double)w.commit_us / (double)turns.us.n);
    world_close(&w);
    graph_release(graph);
    graph_release(warm);
    vec_fini(&turns.us);
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* A small run first, so that SQLite's cache and the core's lists are as large as they get. */
static void measure_memory(uint32_t n)
{
    struct world w;
    struct samples turns = {0};
    size_t at[4], counted;
    struct graph *warm = make_graph(n / 4, INDEPENDENT);
    vec_reserve(&turns.us, 10000);
    world_open(&w, &turns);
    report_turn(&w, true);
    begin_run(&w, warm);
    while (unfinished(&w))
        report_turn(&w, true);
    at[0] = allocated();
    struct graph *graph = make_graph(n, INDEPENDENT);
    at[1] = allocated();
    begin_run(&w, graph);
    at[2] = allocated();
    for (int i = 0; i < 100; i++)
        report_turn(&w, true);
    at[3] = allocated();
    counted = core_run_bytes(w.core, w.run);
    printf("memory, a run of %u independent tasks, bytes a task instance:\n"
           "  core_run_bytes %.1f; allocated by core and store (mallinfo2) at its start %.1f, "
           "after 100 turns "
           "%.1f (budget < 100); the graph beside it %.1f\n",
           n, (double)counted / n, (double)(at[2] - at[1]) / n, (double)(at[3] - at[1]) / n,
           (double)(at[1] - at[0]) / n);
    world_close(&w);
    graph_release(graph);
    graph_release(warm);
    vec_fini(&turns.us);
}

int main(int argc, char **argv)
{
    struct samples turns = {0};
    if (argc > 2 && strcmp(argv[1], "chain") == 0) {
        tell_chain((uint32_t)strtoul(argv[2], NULL, 10));
        return 0;
    }
    bool json = argc > 1 && strcmp(argv[1], "rate") == 0;
    const char *count = json ? argc > 2 ? argv[2] : NULL : argc > 1 ? argv[1] : NULL;
    uint32_t n = count ? (uint32_t)strtoul(count, NULL, 10) : 100000;
    struct rate rate = measure_rate(n, &turns);
    if (json) {
        printf("{\"tasks\": %u, \"tasks_s\": %.0f, \"core_us\": %.2f, \"write_us\": %.2f, "
               "\"commit_us\": %.2f, \"cpu_us\": %.2f, \"rows\": %.2f, \"turns\": %.0f}\n",
               n, rate.tasks_s, rate.core_us, rate.write_us, rate.commit_us, rate.cpu_us, rate.rows,
               rate.turns);
        vec_fini(&turns.us);
        return 0;
    }
    printf("store-only rate, %u no-op tasks, %.0f turns: %.0f tasks/s; us a task: core %.2f, rows "
           "written %.2f (%.2f rows), commits %.2f; CPU %.2f\n",
           n, rate.turns, rate.tasks_s, rate.core_us, rate.write_us, rate.rows, rate.commit_us,
           rate.cpu_us);
    printf("turns of a run of %u tasks (core + store, no network; budget p99 < 50 ms):\n", n);
    tell_turns("independent, from start to end", &turns);
    vec_fini(&turns.us);
    measure_turns(n, INDEPENDENT, "independent");
    measure_turns(n, FAN, "one, then all but two, then one");
    measure_turns(n, CHAIN, "a chain");
    measure_memory(n);
    return 0;
}
