/* Datasets: how DAG files name them, when they start runs, what is stored. The whole is tested in
 * tests/sim and tests/e2e/test_datasets. */
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/sql/sql.h"
#include "scheduler/dag/spec.h"
#include "scheduler/dag/timetable_json.h"
#include "scheduler/store/store.h"
#include "tests/unit/test.h"

/* ---- DAG files ---- */

static void assert_problem(const char *text, const char *expected)
{
    struct problems problems;
    struct spec **specs;
    struct buf all;
    size_t n;
    problems_init(&problems);
    buf_init(&all);
    bool ok = spec_read("a.yaml", text, strlen(text), NULL, NULL, &specs, &n, &problems);
    for (size_t i = 0; i < problems.n; i++)
        buf_printf(&all, "%d:%d %s (%s)\n", problems.at[i].line, problems.at[i].column,
                   problems.at[i].message, problems.at[i].hint ? problems.at[i].hint : "");
    if (!strstr(buf_text(&all), expected) || ok)
        fail_msg("%s\nhas the problems\n%swithout\n%s", text, buf_text(&all), expected);
    for (size_t i = 0; i < n; i++)
        spec_free(specs[i]);
    mem_free(specs);
    buf_fini(&all);
    problems_fini(&problems);
}

#define TASKS "tasks: {t: {run: echo}}\n"

static void wrong_names_of_datasets_are_told_with_their_place(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"schedule: {dataset: Flights}\n" TASKS, "1:21 'dataset' must be names of datasets, not"},
        {"schedule: {dataset: [a, b]}\n" TASKS,
         "must say whether it waits for all of them or for any"},
        {"schedule: {dataset: {al: [a]}}\n" TASKS, "must be a name, or one of all and any"},
        {"schedule: {dataset: {all: []}}\n" TASKS, "1:27 'all' is an empty list"},
        {"schedule: {dataset: {all: [a, a]}}\n" TASKS, "1:31 'all' has 'a' twice"},
        {"schedule: {dataset: {all: [a], any: [b]}}\n" TASKS, "must be a name, or one of all"},
        {"schedule: {dataset: }\n" TASKS, "must be a name, or one of all and any"},
        {"schedule: [{dataset: {any: [a, b]}}, {dataset: {any: [b, a]}}]\n" TASKS, "twice"},
        {"schedule: {datset: a}\n" TASKS, "did you mean 'dataset'?"},
        {"tasks: {t: {run: echo, produces: [a, a]}}", "1:38 'produces' has 'a' twice"},
        {"tasks: {t: {run: echo, produces: 'a/b'}}", "not 'a/b' (lower case letters"},
        {"tasks: {t: {run: echo, produces: '${{ params.x }}'}}", "it is a constant"},
        {"tasks: {t: {run: echo, produces: 3}}", "'produces' must be a string or a list"},
        {"tasks: {t: {run: echo, consumes: {a: b}}}", "'consumes' must be a string or a list"},
        {"tasks: {t: {run: echo, consumes: é}}", "must be names of datasets"},
        {"produces: a\ntasks: {t: {run: echo}}", "it is a key of a task"},
        {"tasks: {t: {run: 'echo ${{ run.dataset }}'}}", "did you mean 'datasets'?"},
        {"params: {x: {type: int, required: true}}\nschedule: {dataset: a}\n" TASKS, "required"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_problem(cases[i][0], cases[i][1]);
}

static struct spec *read_one(const char *text)
{
    struct problems problems;
    struct spec **specs, *spec;
    size_t n;
    problems_init(&problems);
    assert_true(spec_read("a.yaml", text, strlen(text), NULL, NULL, &specs, &n, &problems));
    assert_int_equal(n, 1);
    spec = specs[0];
    mem_free(specs);
    problems_fini(&problems);
    return spec;
}

static struct timetable *timetable_of(const char *schedule, struct zones *zones)
{
    char text[512];
    struct timetable *timetable;
    struct nx_err err;
    snprintf(text, sizeof text, "id: d\nschedule: %s\n" TASKS, schedule);
    struct spec *spec = read_one(text);
    assert_true(timetable_read(spec->timetable, "d", zones, &timetable, &err));
    spec_free(spec);
    return timetable;
}

static void a_schedule_names_one_dataset_all_or_any_and_beside_them_times(void **state)
{
    (void)state;
    struct zones *zones = zones_new();
    struct timetable *t =
        timetable_of("[{dataset: a}, {dataset: {all: [b, a]}}, {dataset: {any: [c]}}, "
                     "{dataset: {any: [a, b]}}, '@daily']",
                     zones);
    assert_int_equal(t->n, 5);
    assert_int_equal(t->entries[0].kind, TIMETABLE_DATASET);
    assert_string_equal(t->entries[0].key, "dataset a");
    assert_int_equal(t->entries[1].n_datasets, 2);
    assert_string_equal(t->entries[1].datasets[0], "b");
    assert_true(t->entries[1].all);
    assert_string_equal(t->entries[2].key, "dataset c");
    assert_false(t->entries[3].all);
    assert_string_not_equal(t->entries[1].key, t->entries[3].key);
    assert_int_equal(t->entries[4].kind, TIMETABLE_CRON);
    assert_true(timetable_has_intervals(t));
    struct timetable *turned = timetable_of("{dataset: {all: [a, b]}}", zones);
    assert_string_equal(turned->entries[0].key, t->entries[1].key); /* in whatever order */
    assert_false(timetable_has_intervals(turned));
    timetable_release(t);
    timetable_release(turned);
    zones_free(zones);
}

/* ---- The core ---- */

struct world {
    struct core *core;
    struct core_update update;
    struct zones *zones;
    int64_t now, wall;
};

static void step(struct world *world, struct core_event event)
{
    event.mono_ms = world->now;
    event.wall_ms = world->wall;
    core_step(world->core, &event, &world->update);
    assert_null(core_check(world->core));
}

static void turn(struct world *world)
{
    step(world, (struct core_event){.kind = EV_TURN});
}

static void done(struct world *world)
{
    core_turn_done(world->core, &world->update);
    world->now += 10;
    world->wall += 10;
}

static void pass(struct world *world, int64_t ms)
{
    world->now += ms;
    world->wall += ms;
}

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    struct core_config config;
    core_config_init(&config);
    world->core = core_new(&config);
    world->zones = zones_new();
    world->now = 1;
    world->wall = 1000000000;
    core_update_init(&world->update);
    return world;
}

static void world_free(struct world *world)
{
    core_turn_done(world->core, &world->update);
    core_free(world->core);
    core_update_fini(&world->update);
    zones_free(world->zones);
    free(world);
}

static void set_schedule(struct world *world, const char *schedule)
{
    struct core_event event = {.kind = EV_TIMETABLE};
    struct timetable *timetable = schedule ? timetable_of(schedule, world->zones) : NULL;
    event.timetable.dag = "d";
    event.timetable.timetable = timetable;
    step(world, event);
    timetable_release(timetable);
    turn(world);
}

static void add_dag(struct world *world, uint32_t max_active_runs)
{
    struct graph *graph;
    struct graph_task_def def = {.id = "t"};
    struct core_event event = {.kind = EV_DAG};
    assert_true(graph_new("d", &def, 1, max_active_runs, 0, &graph, NULL));
    event.dag.version = 1;
    event.dag.graph = graph;
    step(world, event);
    graph_release(graph);
}

static void emit(struct world *world, const char *dataset)
{
    struct core_event event = {.kind = EV_DATASET};
    event.dataset = dataset;
    step(world, event);
}

/* Ends the turn as the engine does; how many runs it made. */
static size_t runs(struct world *world)
{
    size_t n = 0;
    turn(world);
    while (world->update.dues.n) {
        struct core_due due = vec_pop(&world->update.dues);
        struct core_event event = {.kind = EV_RUN_CREATE, .token = 9};
        assert_true(due.by_dataset);
        event.create.dag = due.dag;
        event.create.cause = NX_RC_DATASET;
        event.create.entry = due.entry;
        event.create.interval_start_ms = due.start_ms;
        event.create.interval_finish_ms = due.finish_ms;
        step(world, event);
        n += world->update.replies.at[world->update.replies.n - 1].err.code == NX_OK;
        if (!world->update.dues.n)
            turn(world);
    }
    return n;
}

static struct core_trigger trigger(struct world *world, size_t i)
{
    assert_true(i < world->update.triggers.n);
    return world->update.triggers.at[i];
}

static void pause_dag(struct world *world, bool on)
{
    struct core_event event = {.kind = EV_PAUSE};
    event.pause.dag = "d";
    event.pause.on = on;
    step(world, event);
}

static void all_waits_for_a_new_event_of_each_and_takes_those_that_came_meanwhile(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    set_schedule(world, "{dataset: {all: [a, b]}}");
    emit(world, "a");
    assert_int_equal(runs(world), 0);
    done(world);
    emit(world, "a");
    emit(world, "c");
    assert_int_equal(runs(world), 0);
    done(world);
    emit(world, "b");
    assert_int_equal(runs(world), 1);
    assert_int_equal(world->update.triggers.n, 2);
    assert_string_equal(trigger(world, 0).dataset, "a");
    assert_int_equal(trigger(world, 0).first, 1);
    assert_int_equal(trigger(world, 0).last, 2);
    done(world);
    emit(world, "b");
    assert_int_equal(runs(world), 0); /* a has nothing new */
    world_free(world);
}

static void any_takes_one_and_two_events_of_one_turn_make_one_run(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    set_schedule(world, "{dataset: {any: [a, b]}}");
    emit(world, "b");
    assert_int_equal(runs(world), 1);
    assert_int_equal(world->update.triggers.n, 1);
    done(world);
    emit(world, "a");
    emit(world, "b");
    assert_int_equal(runs(world), 1);
    assert_int_equal(world->update.triggers.n, 2);
    world_free(world);
}

static void entries_of_a_list_use_events_each_for_itself(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    set_schedule(world, "[{dataset: a}, {dataset: {all: [a, b]}}]");
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    done(world);
    emit(world, "b");
    assert_int_equal(runs(world), 1);
    done(world);
    emit(world, "a");
    emit(world, "b");
    assert_int_equal(runs(world), 2);
    world_free(world);
}

static void a_paused_dag_makes_one_run_of_all_that_came(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    set_schedule(world, "{dataset: a}");
    pause_dag(world, true);
    for (int i = 0; i < 5; i++) {
        emit(world, "a");
        assert_int_equal(runs(world), 0);
        done(world);
    }
    pause_dag(world, false);
    assert_int_equal(runs(world), 1);
    assert_int_equal(trigger(world, 0).last, 5);
    done(world);
    pause_dag(world, true);
    pause_dag(world, false);
    assert_int_equal(runs(world), 0);
    world_free(world);
}

static void what_was_written_before_the_dag_was_there_starts_nothing(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    emit(world, "a");
    assert_int_equal(runs(world), 0);
    set_schedule(world, "{dataset: a}");
    assert_int_equal(runs(world), 0);
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    assert_int_equal(trigger(world, 0).first, 2);
    world_free(world);
}

static void a_changed_schedule_keeps_what_it_has_of_the_datasets_that_stay(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    set_schedule(world, "{dataset: {all: [a, b]}}");
    emit(world, "a");
    emit(world, "c");
    assert_int_equal(runs(world), 0);
    done(world);
    set_schedule(world, "{dataset: {all: [c, a]}}"); /* a counts, what c had before does not */
    assert_int_equal(runs(world), 0);
    done(world);
    set_schedule(world, NULL); /* its file goes, and comes back */
    emit(world, "c");
    assert_int_equal(runs(world), 0);
    done(world);
    set_schedule(world, "{dataset: {all: [c, a]}}");
    assert_int_equal(runs(world), 1);
    world_free(world);
}

static struct core_mark mark_of(struct world *world, size_t i)
{
    struct core_mark mark;
    assert_true(core_get_mark(world->core, "d", i, &mark));
    return mark;
}

static void times_and_datasets_do_not_take_each_others_place(void **state)
{
    (void)state;
    struct world *world = world_new();
    add_dag(world, 0);
    set_schedule(world, "[{dataset: a}, {every: 1h}]");
    world->update.dues.n = 0; /* the hour that has just ended */
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    done(world);
    int64_t hourly = mark_of(world, 1).watermark_ms;
    set_schedule(world, "{every: 2h}");
    assert_int_equal(mark_of(world, 0).watermark_ms, hourly);
    set_schedule(world, "[{dataset: a}, {every: 2h}]");
    assert_true(mark_of(world, 0).watermark_ms == TIMETABLE_NEVER);
    assert_int_equal(mark_of(world, 0).uses[0].version, 1);
    world_free(world);
}

static void intervals_follow_each_other_and_never_go_back(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct core_run_row row, first;
    add_dag(world, 0);
    set_schedule(world, "{dataset: a}");
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    assert_true(core_get_run(world->core, trigger(world, 0).run, &first));
    assert_int_equal(first.interval_start_ms, world->wall);
    assert_int_equal(first.interval_finish_ms, world->wall);
    done(world);
    pass(world, 5000);
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    assert_true(core_get_run(world->core, trigger(world, 0).run, &row));
    assert_int_equal(row.interval_start_ms, first.interval_finish_ms);
    assert_int_equal(row.interval_finish_ms, world->wall);
    done(world);
    world->wall -= 3600000; /* the clock is set back */
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    first = row;
    assert_true(core_get_run(world->core, trigger(world, 0).run, &row));
    assert_int_equal(row.interval_start_ms, first.interval_finish_ms);
    assert_int_equal(row.interval_finish_ms, first.interval_finish_ms);
    world_free(world);
}

static void with_overlap_skip_events_are_kept_until_there_is_room(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct timetable *timetable = timetable_of("{dataset: a}", world->zones);
    struct core_event event = {.kind = EV_TIMETABLE};
    add_dag(world, 1);
    timetable->overlap = TIMETABLE_OVERLAP_SKIP;
    event.timetable.dag = "d";
    event.timetable.timetable = timetable;
    step(world, event);
    timetable_release(timetable);
    emit(world, "a");
    assert_int_equal(runs(world), 1);
    struct nx_run_id run = trigger(world, 0).run;
    done(world);
    for (int i = 0; i < 3; i++) {
        emit(world, "a");
        assert_int_equal(runs(world), 0);
        done(world);
    }
    step(world, (struct core_event){.kind = EV_RUN_CANCEL, .cancel = run});
    size_t made = runs(world);
    done(world);
    made += runs(world);
    assert_int_equal(made, 1);
    world_free(world);
}

static void events_before_start_wait_for_it(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct timetable *timetable = timetable_of("{dataset: a}", world->zones);
    struct core_event event = {.kind = EV_TIMETABLE};
    add_dag(world, 0);
    timetable->start_ms = world->wall + 60000;
    event.timetable.dag = "d";
    event.timetable.timetable = timetable;
    step(world, event);
    timetable_release(timetable);
    emit(world, "a");
    assert_int_equal(runs(world), 0);
    done(world);
    assert_true(core_deadline(world->core) <= world->now + 60000);
    pass(world, 60000);
    assert_int_equal(runs(world), 1);
    world_free(world);
}

static void a_success_by_hand_writes_nothing(void **state)
{
    (void)state;
    struct world *world = world_new();
    static const char *const produced[] = {"a", "b"};
    struct graph_task_def def = {.id = "t", .produces = produced, .n_produces = 2};
    struct core_event event = {.kind = EV_DAG}, create = {.kind = EV_RUN_CREATE, .token = 1};
    struct core_dataset_row row;
    struct core_target task = {0, NX_MAP_NONE};
    assert_true(graph_new("d", &def, 1, 0, 0, &event.dag.graph, NULL));
    event.dag.version = 1;
    step(world, event);
    graph_release(event.dag.graph);
    create.create.dag = "d";
    step(world, create);
    turn(world);
    struct core_event mark = {.kind = EV_RUN_EDIT, .token = 2};
    mark.edit.run = world->update.replies.at[0].run;
    mark.edit.what = CORE_MARK_SUCCESS;
    mark.edit.tasks = &task;
    mark.edit.n_tasks = 1;
    step(world, mark);
    assert_int_equal(world->update.dataset_events.n, 0);
    assert_false(core_get_dataset(world->core, "a", &row));
    world_free(world);
}

/* ---- The store ---- */

static void keep_version(void *arg, const struct core_dataset_row *row)
{
    *(uint64_t *)arg = row->version;
}

static int64_t number(const char *path, const char *text)
{
    struct sql *sql;
    struct nx_err err;
    int64_t n;
    assert_true(sql_open_reader(path, 0, &sql, &err));
    assert_true(sql_get_int(sql, text, &n, &err));
    sql_close(sql);
    return n;
}

static void the_store_keeps_the_newest_events_of_a_dataset(void **state)
{
    (void)state;
    char path[] = "/tmp/dataset_test.XXXXXX", file[64];
    struct world *world = world_new();
    struct store *store;
    struct nx_err err;
    uint64_t version = 0;
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof file, "%s/nexus.db", path);
    assert_true(store_open(file, &store, &err));
    for (int i = 0; i < NX_DATASET_EVENTS_MAX + 7; i++)
        emit(world, "a");
    emit(world, "b");
    const struct store_turn written = {.core = world->core, .update = &world->update};
    assert_true(store_begin(store, &err) && store_write(store, &written, &err) &&
                store_write(store, &written, &err) && store_commit(store, &err));
    assert_int_equal(number(file, "select count(*) from dataset_event where dataset = 'a'"),
                     NX_DATASET_EVENTS_MAX);
    assert_int_equal(number(file, "select min(version) from dataset_event where dataset = 'a'"), 8);
    assert_true(store_load_datasets(store, &version, keep_version, &err));
    assert_int_equal(version, 1); /* of b, the last */
    store_close(store);
    unlink(file);
    rmdir(path);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_names_of_datasets_are_told_with_their_place),
        cmocka_unit_test(a_schedule_names_one_dataset_all_or_any_and_beside_them_times),
        cmocka_unit_test(all_waits_for_a_new_event_of_each_and_takes_those_that_came_meanwhile),
        cmocka_unit_test(any_takes_one_and_two_events_of_one_turn_make_one_run),
        cmocka_unit_test(entries_of_a_list_use_events_each_for_itself),
        cmocka_unit_test(a_paused_dag_makes_one_run_of_all_that_came),
        cmocka_unit_test(what_was_written_before_the_dag_was_there_starts_nothing),
        cmocka_unit_test(a_changed_schedule_keeps_what_it_has_of_the_datasets_that_stay),
        cmocka_unit_test(times_and_datasets_do_not_take_each_others_place),
        cmocka_unit_test(intervals_follow_each_other_and_never_go_back),
        cmocka_unit_test(with_overlap_skip_events_are_kept_until_there_is_room),
        cmocka_unit_test(events_before_start_wait_for_it),
        cmocka_unit_test(a_success_by_hand_writes_nothing),
        cmocka_unit_test(the_store_keeps_the_newest_events_of_a_dataset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
