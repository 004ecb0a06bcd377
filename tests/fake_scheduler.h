/* A scheduler of one page for tests and benchmarks of the real nexus-worker: gives out the leases
 * that it is told to, keeps the results, speaks the protocol over ipc. */
#ifndef TESTS_FAKE_SCHEDULER_H
#define TESTS_FAKE_SCHEDULER_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/vec.h"
#include "lib/net/link.h"
#include "lib/wire/paths.h"
#include "lib/wire/wire.h"
#include "nexus/limits.h"
#include "nexus/states.h"

#define FAKE_CONTEXTS 4

struct fake_result {
    bool have;
    unsigned n_times; /* how often it was reported and not yet acknowledged before */
    struct wire_result r;
    char *outputs, *error;
};

struct fake_order {
    struct wire_order order;
    char *definition; /* WIRE_LEASE */
    char task_id[16]; /* "t0", "t1", ... */
};

struct fake {
    char home[64];
    struct link_server *server;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t epoch;
    VEC(struct fake_order) orders;   /* number n is at n - 1 */
    VEC(struct fake_result) results; /* by task index */
    unsigned n_results, n_backs, n_reports, n_listens;
    int parked; /* context of a listen, or -1 */
    uint64_t parked_seen;
    struct wire_report last; /* scalars only */
    uint64_t incarnation;
    unsigned n_incarnations;
    bool deaf;             /* requests are kept waiting */
    uint32_t lease_ttl_ms; /* 0: 20 s */
    /* For a benchmark: leases made as results come in, at most `window` out. */
    uint32_t n_auto, n_given, window;
    const char *auto_definition;
    pid_t worker;
    bool stopped; /* the worker was seen to end */
};

/* ---- Under the lock ---- */

static inline void fake_push(struct fake *f, enum wire_order_kind kind, uint32_t task,
                             uint32_t lease, const char *definition, struct wire_order **out)
{
    struct fake_order o = {.definition = definition ? mem_strdup(definition) : NULL};
    o.order = (struct wire_order){.number = f->orders.n + 1,
                                  .kind = (uint8_t)kind,
                                  .inst = {{1}, task, NX_MAP_NONE},
                                  .lease = lease,
                                  .attempt = lease,
                                  .max_attempts = 3,
                                  .version = 9,
                                  .cpus_milli = 1000,
                                  .outputs = wire_text("{\"up\": {\"x\": 1}}", 16)};
    snprintf(o.task_id, sizeof o.task_id, "t%u", task);
    vec_push(&f->orders, o);
    if (out)
        *out = &f->orders.at[f->orders.n - 1].order;
}

static inline void fake_answer(struct fake *f, unsigned context, uint64_t ack, uint64_t seen)
{
    static const char run[] = "{\"params\": {\"p\": 5}, \"run\": {\"id\": \"1\"}, "
                              "\"dag\": {\"id\": \"d\"}, \"vars\": {}, "
                              "\"secrets\": {\"password\": \"hunter2\"}}";
    struct wire_reply head = {
        .ack = ack, .epoch = f->epoch, .lease_ttl_ms = f->lease_ttl_ms ? f->lease_ttl_ms : 20000};
    struct wire_reply_writer writer;
    struct wire_run shared = {{1}, wire_text(run, sizeof run - 1)};
    struct buf buf;
    bool more = false;
    buf_init(&buf);
    wire_reply_begin(&writer, &buf, &head);
    wire_reply_run(&writer, &shared);
    for (uint64_t i = seen; i < f->orders.n; i++) {
        struct fake_order *o = &f->orders.at[i];
        size_t n = o->definition ? strlen(o->definition) : 0;
        o->order.task_id = wire_text(o->task_id, strlen(o->task_id));
        if (wire_reply_size(&writer) + wire_order_size(&o->order) + n + 64 > NX_MESSAGE_MAX) {
            more = true;
            break;
        }
        if (o->definition) {
            struct wire_definition d = {9, o->order.inst.task, wire_text(o->definition, n)};
            wire_reply_definition(&writer, &d);
        }
        wire_reply_order(&writer, &o->order);
    }
    wire_reply_end(&writer, more);
    link_reply(f->server, context, buf.data, buf.len);
    buf_fini(&buf);
}

/* Answers the parked listen if there is something to say. */
static inline void fake_wake(struct fake *f)
{
    if (f->parked < 0 || f->deaf || f->parked_seen >= f->orders.n)
        return;
    int context = f->parked;
    f->parked = -1;
    fake_answer(f, (unsigned)context, 0, f->parked_seen);
}

static inline void fake_take_result(struct fake *f, const struct wire_result *r)
{
    while (f->results.n <= r->inst.task) {
        struct fake_result none = {0};
        vec_push(&f->results, none);
    }
    struct fake_result *to = &f->results.at[r->inst.task];
    to->n_times++;
    if (to->have && to->r.lease == r->lease)
        return;
    mem_free(to->outputs);
    mem_free(to->error);
    f->n_results += !to->have;
    to->have = true;
    to->r = *r;
    to->outputs = mem_strndup(r->outputs.p, r->outputs.n);
    to->error = mem_strndup(r->error.p, r->error.n);
}

static inline void fake_top_up(struct fake *f)
{
    while (f->n_given < f->n_auto && f->n_given - f->n_results < f->window)
        fake_push(f, WIRE_LEASE, f->n_given++, 1, f->auto_definition, NULL);
}

static inline void fake_drop_orders(struct fake *f)
{
    for (size_t i = 0; i < f->orders.n; i++)
        mem_free(f->orders.at[i].definition);
    f->orders.n = 0;
}

static inline void fake_report(struct fake *f, unsigned context, const struct wire_report *report)
{
    f->n_reports++;
    f->last = *report;
    if (report->incarnation != f->incarnation) {
        /* Orders are numbered per incarnation: a new one gets none of the old. */
        if (f->n_incarnations++)
            fake_drop_orders(f);
        f->incarnation = report->incarnation;
    }
    for (uint32_t i = 0; i < report->n_results; i++)
        fake_take_result(f, &report->results[i]);
    f->n_backs += report->n_backs;
    fake_top_up(f);
    fake_answer(f, context, report->seq, report->epoch == f->epoch ? report->seen : 0);
    pthread_cond_broadcast(&f->changed);
}

static inline void fake_on_request(void *arg, unsigned context, const void *bytes, size_t n)
{
    struct fake *f = arg;
    struct arena arena;
    struct wire_report report;
    struct nx_err err;
    arena_init(&arena);
    if (!wire_decode_report(bytes, n, &arena, &report, &err)) {
        fprintf(stderr, "fake scheduler: %s\n", err.text);
        abort();
    }
    pthread_mutex_lock(&f->lock);
    if (f->deaf) {
        /* Never answered: the worker has to live with it. */
    } else if (report.kind == WIRE_REPORT) {
        fake_report(f, context, &report);
    } else {
        f->n_listens++;
        if (f->parked >= 0)
            link_release(f->server, (unsigned)f->parked);
        f->parked = (int)context;
        f->parked_seen = report.epoch == f->epoch ? report.seen : 0;
        fake_wake(f);
    }
    pthread_mutex_unlock(&f->lock);
    arena_fini(&arena);
}

/* ---- For tests ---- */

static inline void fake_listen(struct fake *f)
{
    char url[128];
    struct nx_err err;
    snprintf(url, sizeof url, "ipc://%s/run/dispatch.sock", f->home);
    f->parked = -1;
    if (!link_listen(url, FAKE_CONTEXTS, fake_on_request, f, &f->server, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

static inline void fake_open(struct fake *f)
{
    char path[128];
    pthread_condattr_t attr;
    memset(f, 0, sizeof *f);
    snprintf(f->home, sizeof f->home, "/tmp/nexus-worker-XXXXXX");
    must(mkdtemp(f->home));
    snprintf(path, sizeof path, "%s/run", f->home);
    must(mkdir(path, 0700) == 0);
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &attr);
    f->epoch = 1;
    fake_listen(f);
}

/* The scheduler ends and starts again, with nothing given out yet. */
static inline void fake_restart(struct fake *f)
{
    link_server_close(f->server);
    f->deaf = false;
    f->epoch++;
    fake_drop_orders(f);
    fake_listen(f);
}

/* Starts nexus-worker of NEXUS_BIN (or of the build that this program is in). */
static inline void fake_start_worker(struct fake *f, const char *slots)
{
    char folder[PATH_MAX_BYTES], program[PATH_MAX_BYTES];
    const char *bin = getenv("NEXUS_BIN");
    posix_spawn_file_actions_t actions;
    if (!bin) {
        must(path_of_program(folder, sizeof folder));
        bin = folder;
    }
    must(path_join(program, sizeof program, bin,
                   bin == folder ? "../../bin/nexus-worker" : "nexus-worker"));
    char *argv[] = {program,   "--home",      f->home,    "--name", "w1",
                    "--slots", (char *)slots, "--parent", NULL};
    posix_spawn_file_actions_init(&actions);
    if (!getenv("WORKER_LOG"))
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int e = posix_spawn(&f->worker, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (e != 0) {
        fprintf(stderr, "cannot start %s: %s\n", program, strerror(e));
        abort();
    }
    f->stopped = false;
}

/* Tells the worker to end by that signal; returns its exit status, or -signal. */
static inline int fake_stop_worker(struct fake *f, int number)
{
    int status = 0;
    if (f->stopped || f->worker == 0)
        return 0;
    kill(f->worker, number);
    must(waitpid(f->worker, &status, 0) == f->worker);
    f->stopped = true;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline void fake_close(struct fake *f)
{
    if (!f->stopped && f->worker) {
        fake_stop_worker(f, SIGTERM);
    }
    link_server_close(f->server);
    fake_drop_orders(f);
    for (size_t i = 0; i < f->results.n; i++) {
        mem_free(f->results.at[i].outputs);
        mem_free(f->results.at[i].error);
    }
    vec_fini(&f->orders);
    vec_fini(&f->results);
    path_remove_tree(f->home, NULL);
}

/* Leases task `task`; `tune` (may be NULL) changes the order before it goes out. */
static inline void fake_lease(struct fake *f, uint32_t task, const char *definition,
                              void (*tune)(struct wire_order *order))
{
    struct wire_order *order;
    pthread_mutex_lock(&f->lock);
    fake_push(f, WIRE_LEASE, task, 1, definition, &order);
    if (tune)
        tune(order);
    fake_wake(f);
    pthread_mutex_unlock(&f->lock);
}

static inline void fake_order(struct fake *f, enum wire_order_kind kind, uint32_t task)
{
    pthread_mutex_lock(&f->lock);
    fake_push(f, kind, task, 1, NULL, NULL);
    fake_wake(f);
    pthread_mutex_unlock(&f->lock);
}

/* Waits until so many tasks have a result; false after the time. */
static inline bool fake_wait(struct fake *f, unsigned n_results, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&f->lock);
    int e = 0;
    while (f->n_results < n_results && e == 0)
        e = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    bool ok = f->n_results >= n_results;
    pthread_mutex_unlock(&f->lock);
    return ok;
}

struct fake_counts {
    unsigned n_results, n_backs, n_incarnations, n_reports;
    bool draining; /* in the last report */
};

static inline struct fake_counts fake_count(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    struct fake_counts counts = {f->n_results, f->n_backs, f->n_incarnations, f->n_reports,
                                 f->last.draining};
    pthread_mutex_unlock(&f->lock);
    return counts;
}

/* A copy; texts live until the next result of that task. */
static inline struct fake_result fake_result(struct fake *f, uint32_t task)
{
    struct fake_result result = {0};
    pthread_mutex_lock(&f->lock);
    if (task < f->results.n)
        result = f->results.at[task];
    pthread_mutex_unlock(&f->lock);
    return result;
}

#endif
