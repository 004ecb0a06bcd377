/* What timetables cost: a core with many scheduled DAGs, each due once in ten days at a second of
 * its own, on a clock that is pretended: a turn a second. What is due is not run.
 *
 *   core_schedule [DAGS]     100,000 and, beside it, a hundredth and a tenth of them */
#include <stdlib.h>

#include "scheduler/core/core.h"
#include "tests/bench/bench.h"

#define PERIOD_S 864000 /* ten days */
#define SECONDS 20000

struct world {
    struct core *core;
    struct core_update update;
    int64_t now_ms;
    struct samples idle, due; /* turns without and with something due */
    uint64_t n_due;
};

static void step(struct world *w, struct core_event *event)
{
    event->mono_ms = w->now_ms;
    event->wall_ms = 1700000000000 + w->now_ms;
    core_step(w->core, event, &w->update);
}

static void add_dags(struct world *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char id[32];
        struct timetable *timetable = timetable_new(1);
        struct core_event event = {.kind = EV_TIMETABLE};
        snprintf(id, sizeof id, "dag_%u", i);
        timetable->entries[0].kind = TIMETABLE_EVERY;
        timetable->entries[0].every_ms = (int64_t)PERIOD_S * 1000;
        snprintf(timetable->entries[0].key, TIMETABLE_KEY_MAX, "every 10d");
        timetable->start_ms = (int64_t)i * 8640;
        timetable->end_ms = INT64_MAX;
        event.timetable.dag = id;
        event.timetable.timetable = timetable;
        step(w, &event);
        timetable_release(timetable);
    }
}

static void one_turn(struct world *w)
{
    struct core_event turn = {.kind = EV_TURN};
    int64_t start = clock_mono_us();
    step(w, &turn);
    size_t n = w->update.dues.n;
    core_turn_done(w->core, &w->update);
    (void)core_deadline(w->core);
    double us = (double)(clock_mono_us() - start);
    if (n)
        vec_push(&w->due.us, us / (double)n);
    else
        vec_push(&w->idle.us, us);
    w->n_due += n;
    w->now_ms += 1000;
}

static void measure(uint32_t n)
{
    struct world w = {.now_ms = 1};
    struct core_config config;
    core_config_init(&config);
    w.core = core_new(&config);
    core_update_init(&w.update);
    int64_t start = clock_mono_us();
    add_dags(&w, n);
    double load_us = (double)(clock_mono_us() - start);
    core_turn_done(w.core, &w.update);
    one_turn(&w); /* the clock is known from here on */
    w.idle.us.n = w.due.us.n = 0;
    w.n_due = 0;
    start = clock_mono_us();
    for (int i = 0; i < SECONDS; i++)
        one_turn(&w);
    double all_us = (double)(clock_mono_us() - start);
    printf("  %7u DAGs: told %.2f us each; ", n, load_us / n);
    if (w.idle.us.n)
        printf("turns without a due %.2f us (mean of %zu); ", samples_mean(&w.idle), w.idle.us.n);
    printf("a due %.2f us (mean; %llu in %d s); a turn a second takes %.4f%% of a core\n",
           w.due.us.n ? samples_mean(&w.due) : 0, (unsigned long long)w.n_due, SECONDS,
           all_us / SECONDS / 1e4);
    core_free(w.core);
    core_update_fini(&w.update);
    vec_fini(&w.idle.us);
    vec_fini(&w.due.us);
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    printf("schedule: a core with so many scheduled DAGs, a turn a second (budget: a turn costs "
           "O(due)):\n");
    measure(n / 100);
    measure(n / 10);
    measure(n);
    return 0;
}
