/* Forecasts, as examples. That they are what a real scheduler does: tests/e2e/test_simulate. */
#include "scheduler/forecast/forecast.h"

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "tests/unit/test.h"

#define MINUTE 60000ll

static int64_t at(const char *text)
{
    int64_t ms;
    assert_true(time_parse(text, &ms));
    return ms;
}

static struct timetable *cron_table(const char *text)
{
    struct nx_err err;
    struct timetable *timetable = timetable_new(1);
    assert_true(cron_parse(text, 1, &timetable->entries[0].cron, NULL, NULL, &err));
    str_copy(timetable->entries[0].key, sizeof timetable->entries[0].key, text);
    return timetable;
}

/* Two tasks, the second after the first; the first in a pool. */
static struct graph *chain(const char *id, uint32_t max_active_runs, int64_t timeout_ms)
{
    static const uint32_t needs[] = {0};
    const struct graph_task_def defs[] = {
        {.id = "a",
         .needs_class = {.queue = "default", .pool = "p", .pool_slots = 1, .script = true},
         .retries = 1,
         .retry_delay_ms = MINUTE,
         .timeout_ms = timeout_ms},
        {.id = "b",
         .needs = needs,
         .n_needs = 1,
         .flags = GRAPH_IF,
         .needs_class = {.queue = "default", .script = true}}};
    struct graph *graph;
    assert_true(graph_new(id, defs, 2, max_active_runs, 0, &graph, NULL));
    return graph;
}

struct world {
    struct forecast_dag dags[2];
    struct forecast_worker worker;
    struct forecast_pool pool;
    struct forecast_config config;
    struct forecast forecast;
};

static const int64_t short_ms[] = {10 * MINUTE, 5 * MINUTE};

static void world_init(struct world *world, struct graph *graph, const char *cron, uint32_t slots)
{
    *world = (struct world){.worker = {"w", "default", slots}, .pool = {"p", 1}};
    world->dags[0] = (struct forecast_dag){graph, cron_table(cron), short_ms, NULL, false};
    world->config = (struct forecast_config){.from_ms = at("2026-03-01T00:00Z"),
                                             .to_ms = at("2026-03-01T06:00Z"),
                                             .workers = &world->worker,
                                             .n_workers = 1,
                                             .pools = &world->pool,
                                             .n_pools = 1,
                                             .dags = world->dags,
                                             .n_dags = 1,
                                             .late_after_ms = -1,
                                             .catalog = "c"};
}

static void make(struct world *world)
{
    struct nx_err err;
    assert_true(forecast_make(&world->config, &world->forecast, &err));
}

static void world_fini(struct world *world)
{
    forecast_fini(&world->forecast);
    for (size_t i = 0; i < world->config.n_dags; i++) {
        graph_release(world->dags[i].graph);
        timetable_release(world->dags[i].timetable);
    }
}

static void runs_come_when_they_are_due_and_take_what_their_tasks_take(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 0, 0), "0 * * * *", 2);
    make(&world);
    assert_int_equal(world.forecast.end, FORECAST_COMPLETE);
    assert_int_equal(world.forecast.runs.n, 6); /* from 00:00 on, without 06:00 */
    for (size_t i = 0; i < 6; i++) {
        const struct forecast_run *run = &world.forecast.runs.at[i];
        assert_int_equal(run->due_ms, world.config.from_ms + (int64_t)i * 60 * MINUTE);
        assert_int_equal(run->interval_start_ms, run->due_ms - 60 * MINUTE);
        assert_int_equal(run->started_ms, run->due_ms);
        assert_int_equal(run->finished_ms, run->due_ms + 15 * MINUTE);
        assert_int_equal(run->state, FORECAST_SUCCESS);
        assert_int_equal(run->n_attempts, 2);
        assert_false(run->late);
    }
    assert_true(world.forecast.assumed_if);
    assert_int_equal(world.forecast.busy_ms, 6 * 15 * MINUTE);
    assert_int_equal(world.forecast.peak.n, 1);
    assert_int_equal(world.forecast.slots, 2);
    world_fini(&world);
}

static void a_full_pool_makes_runs_wait_and_says_so(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 0, 0), "0 * * * *", 4);
    world.dags[1] =
        (struct forecast_dag){chain("e", 0, 0), cron_table("5 * * * *"), short_ms, NULL, false};
    world.config.n_dags = 2;
    make(&world);
    assert_int_equal(world.forecast.runs.n, 12);
    const struct forecast_run *second = &world.forecast.runs.at[1];
    assert_int_equal(second->wait_ms, 5 * MINUTE);
    assert_int_equal(second->why, NX_WHY_POOL);
    assert_int_equal(world.forecast.waits.n, 6);
    assert_non_null(strstr(world.forecast.waits.at[0].text, "pool 'p' has 1 of 1 slots taken"));
    assert_int_equal(world.forecast.pools.n, 1);
    assert_int_equal(world.forecast.pools.at[0].peak.n, 1);
    assert_int_equal(world.forecast.peak.n, 2);
    world_fini(&world);
}

static void a_run_that_overruns_its_period_is_late_and_holds_the_next_one_up(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 1, 0), "*/10 * * * *", 4);
    world.config.to_ms = at("2026-03-01T00:30Z");
    make(&world);
    assert_int_equal(world.forecast.runs.n, 3);
    assert_true(world.forecast.runs.at[0].late);
    const struct forecast_run *third = &world.forecast.runs.at[2];
    assert_int_equal(third->wait_ms, 10 * MINUTE);
    assert_int_equal(third->why, NX_WHY_RUN_QUEUED);
    assert_int_equal(third->finished_ms, at("2026-03-01T00:45Z"));
    assert_int_equal(world.forecast.waits.at[0].task, FORECAST_RUN_ITSELF);
    world_fini(&world);
}

static void what_depends_on_the_past_waits_for_the_run_before(void **state)
{
    (void)state;
    static const int64_t long_ms[] = {90 * MINUTE};
    const struct graph_task_def def = {
        .id = "a", .flags = GRAPH_PAST, .needs_class = {.queue = "default", .script = true}};
    struct world world;
    struct graph *graph;
    assert_true(graph_new("d", &def, 1, 0, 0, &graph, NULL));
    world_init(&world, graph, "0 * * * *", 8);
    world.dags[0].duration_ms = long_ms;
    make(&world);
    assert_int_equal(world.forecast.runs.n, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct forecast_run *run = &world.forecast.runs.at[i];
        assert_int_equal(run->started_ms, world.config.from_ms + (int64_t)i * 90 * MINUTE);
    }
    world_fini(&world);
}

static void late_is_what_was_said(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 0, 0), "0 * * * *", 4);
    world.config.late_after_ms = 15 * MINUTE - 1;
    make(&world);
    assert_true(world.forecast.runs.at[0].late);
    world_fini(&world);
}

static void an_attempt_over_its_timeout_fails_and_is_tried_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 0, 4 * MINUTE), "0 * * * *", 4);
    make(&world);
    const struct forecast_run *run = &world.forecast.runs.at[0];
    assert_int_equal(run->state, FORECAST_FAILED);
    assert_int_equal(run->n_attempts, 2);
    assert_int_equal(run->finished_ms, run->due_ms + 9 * MINUTE); /* 4, a delay of 1, 4 */
    world_fini(&world);
}

static void a_pool_that_is_missing_is_told_at_the_end(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 0, 0), "0 * * * *", 4);
    world.config.n_pools = 0;
    make(&world);
    assert_int_equal(world.forecast.end, FORECAST_STUCK);
    assert_int_equal(world.forecast.runs.at[0].state, FORECAST_UNFINISHED);
    assert_int_equal(world.forecast.runs.at[0].why, NX_WHY_POOL_MISSING);
    assert_true(world.forecast.runs.at[0].late);
    world_fini(&world);
}

static void without_workers_nothing_begins(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, chain("d", 0, 0), "0 * * * *", 4);
    world.config.n_workers = 0;
    make(&world);
    assert_int_equal(world.forecast.end, FORECAST_STUCK);
    assert_int_equal(world.forecast.n_attempts, 0);
    assert_int_equal(world.forecast.waits.at[0].why, NX_WHY_NO_WORKER);
    world_fini(&world);
}

static void more_work_than_can_be_done_has_an_end(void **state)
{
    (void)state;
    static const int64_t long_ms[] = {600 * MINUTE, 600 * MINUTE};
    struct world world;
    world_init(&world, chain("d", 0, 0), "* * * * *", 1);
    world.dags[0].duration_ms = long_ms;
    make(&world);
    assert_int_equal(world.forecast.end, FORECAST_CUT_TIME);
    assert_int_equal(world.forecast.runs.n, 360);
    world_fini(&world);
}

static bool stop_soon(void *arg, int64_t at_ms, size_t n_runs)
{
    (void)at_ms;
    (void)n_runs;
    return --*(int *)arg > 0;
}

static void it_stops_when_it_is_told_to(void **state)
{
    (void)state;
    struct world world;
    int left = 2;
    world_init(&world, chain("d", 0, 0), "* * * * *", 100);
    world.pool.slots = 100;
    world.config.to_ms = at("2027-03-01");
    world.config.progress = stop_soon;
    world.config.arg = &left;
    make(&world);
    assert_int_equal(world.forecast.end, FORECAST_STOPPED);
    world_fini(&world);
}

static void tasks_that_take_no_time_are_no_loop(void **state)
{
    (void)state;
    static const int64_t none_ms[] = {0, 0};
    struct world world;
    world_init(&world, chain("d", 1, 0), "* * * * *", 1);
    world.dags[0].timetable->entries[0].kind = TIMETABLE_CONTINUOUS;
    world.dags[0].duration_ms = none_ms;
    world.config.to_ms = world.config.from_ms + 10 * MINUTE;
    make(&world);
    assert_int_equal(world.forecast.end, FORECAST_COMPLETE);
    assert_in_range(world.forecast.runs.n, 500, 600);
    world_fini(&world);
}

static void a_range_that_means_nothing_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct nx_err err;
    world_init(&world, chain("d", 0, 0), "0 * * * *", 4);
    world.config.to_ms = world.config.from_ms;
    assert_false(forecast_make(&world.config, &world.forecast, &err));
    assert_int_equal(err.code, NX_E_INVALID);
    world.config.to_ms = world.config.from_ms + NX_FORECAST_SPAN_MAX_MS + 1;
    assert_false(forecast_make(&world.config, &world.forecast, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_come_when_they_are_due_and_take_what_their_tasks_take),
        cmocka_unit_test(a_full_pool_makes_runs_wait_and_says_so),
        cmocka_unit_test(a_run_that_overruns_its_period_is_late_and_holds_the_next_one_up),
        cmocka_unit_test(what_depends_on_the_past_waits_for_the_run_before),
        cmocka_unit_test(late_is_what_was_said),
        cmocka_unit_test(an_attempt_over_its_timeout_fails_and_is_tried_again),
        cmocka_unit_test(a_pool_that_is_missing_is_told_at_the_end),
        cmocka_unit_test(without_workers_nothing_begins),
        cmocka_unit_test(more_work_than_can_be_done_has_an_end),
        cmocka_unit_test(it_stops_when_it_is_told_to),
        cmocka_unit_test(tasks_that_take_no_time_are_no_loop),
        cmocka_unit_test(a_range_that_means_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
