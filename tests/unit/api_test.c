/* The HTTP API: shapes, errors, paging, writes, logs and events, over a real core and store. */
#include <fcntl.h>
#include <stdatomic.h>

#include "lib/base/time.h"
#include "lib/sql/sql.h"
#include "lib/wire/paths.h"
#include "tests/api_answer.h"

static const char chain[] = "description: A chain\n"
                            "params:\n"
                            "  name: {type: string, default: world}\n"
                            "tasks:\n"
                            "  first: {run: 'true', retries: 1, retry_delay: 0s}\n"
                            "  second: {run: 'true', needs: first, pool: gate}\n"
                            "  last: {run: 'true', needs: second}\n"
                            "  cleanup: {run: 'true', finally: true}\n";

static int open_world(void **state)
{
    struct world *world = *state = world_open();
    world_dag(world, "chain.yaml", chain);
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

static void trigger(struct world *world)
{
    json_decref(world_json(world, "POST", "/api/v1/dags/chain/runs", "{}", 201));
}

#define RUN_KEYS \
    "id dag dag_version state cause interval params created_at started_at finished_at " \
    "deadline_at late_at counts note " \
    "triggered_by"
#define TASK_KEYS \
    "run task map_index state attempt max_attempts worker pool queue reason progress ready_at " \
    "started_at finished_at outputs error"
#define DAG_KEYS \
    "id file version description tags params timeout deadline max_active_runs tasks paused valid " \
    "schedule " \
    "timezone next_fire_at errors start end catchup overlap jitter dataset_waits"

/* ---- DAGs ---- */

static void dags_have_their_shape(void **state)
{
    struct world *world = *state;
    json_t *list = world_get(world, "/api/v1/dags"), *one = world_get(world, "/api/v1/dags/chain");
    const json_t *dag = item(list, 0);
    has_keys(list, "items next");
    has_keys(dag, DAG_KEYS);
    assert_true(json_equal(dag, one));
    assert_string_equal(text_of(dag, "version"), "1");
    assert_string_equal(text_of(dag, "file"), "chain.yaml");
    assert_string_equal(text_of(dag, "timezone"), "UTC");
    assert_true(json_is_true(json_object_get(dag, "valid")));
    assert_int_equal(json_array_size(json_object_get(dag, "tasks")), 4);
    const json_t *task = json_array_get(json_object_get(dag, "tasks"), 1);
    assert_string_equal(text_of(task, "id"), "second");
    assert_string_equal(text_of(task, "pool"), "gate");
    assert_true(json_is_null(json_object_get(list, "next")));
    json_decref(list);
    json_decref(one);
}

static void a_file_without_a_dag_is_an_entry_with_its_errors(void **state)
{
    struct world *world = *state;
    static const char problems[] =
        "[{\"file\":\"bad.yaml\",\"line\":1,\"column\":2,\"severity\":\"error\","
        "\"message\":\"no\",\"hint\":null}]";
    world_problems(world, "sub/bad.yaml", problems);
    world_problems(world, "other/chain.yaml", problems); /* the name of another file's DAG */
    world_problems(world, "zz.yml", problems);
    json_t *list = world_get(world, "/api/v1/dags"), *one = world_get(world, "/api/v1/dags/bad");
    assert_int_equal(n_items(list), 4);
    assert_string_equal(text_of(item(list, 0), "id"), "bad");
    assert_string_equal(text_of(item(list, 1), "id"), "chain");
    assert_true(json_is_true(json_object_get(item(list, 1), "valid")));
    assert_string_equal(text_of(item(list, 2), "id"), "other/chain.yaml");
    assert_string_equal(text_of(item(list, 3), "id"), "zz");
    has_keys(one, DAG_KEYS);
    assert_true(json_is_false(json_object_get(one, "valid")));
    assert_true(json_is_null(json_object_get(one, "version")));
    assert_int_equal(json_array_size(json_object_get(one, "errors")), 1);
    json_decref(list);
    json_decref(one);
    /* by pages of one, the same */
    const char *ids[] = {"bad", "chain", "other/chain.yaml", "zz"};
    char path[128] = "/api/v1/dags?limit=1";
    for (int i = 0; i < 4; i++) {
        list = world_get(world, path);
        assert_int_equal(n_items(list), 1);
        assert_string_equal(text_of(item(list, 0), "id"), ids[i]);
        const char *next = js_get_text(list, "next", NULL);
        assert_true((next != NULL) == (i < 3));
        snprintf(path, sizeof path, "/api/v1/dags?limit=1&cursor=%s", next ? next : "");
        json_decref(list);
    }
    fails(world, "POST", "/api/v1/dags/bad/runs", "{}", 422, "data", "problems");
}

static void a_broken_file_keeps_its_last_version(void **state)
{
    struct world *world = *state;
    world_problems(world, "chain.yaml", "[{\"message\":\"broken\"}]");
    json_t *dag = world_get(world, "/api/v1/dags/chain");
    assert_true(json_is_false(json_object_get(dag, "valid")));
    assert_string_equal(text_of(dag, "version"), "1");
    assert_int_equal(json_array_size(json_object_get(dag, "tasks")), 4);
    json_decref(dag);
    trigger(world); /* and can be run */
    world_problems(world, "chain.yaml", NULL);
    dag = world_get(world, "/api/v1/dags/chain");
    assert_true(json_is_true(json_object_get(dag, "valid")));
    json_decref(dag);
}

static void versions_and_sources_are_kept(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    int status;
    world_dag(world, "chain.yaml", "id: chain\ntasks:\n  only: {run: 'true'}\n");
    json_t *list = world_get(world, "/api/v1/dags/chain/versions?limit=1");
    has_keys(item(list, 0), "version file hash created_at");
    assert_string_equal(text_of(item(list, 0), "version"), "2");
    assert_string_equal(text_of(list, "next"), "2");
    json_decref(list);
    list = world_get(world, "/api/v1/dags/chain/versions?cursor=2");
    assert_int_equal(n_items(list), 1);
    assert_string_equal(text_of(item(list, 0), "version"), "1");
    json_decref(list);
    const char *text = world_text(world, "GET", "/api/v1/dags/chain/source?version=1", NULL, NULL,
                                  &status, &response);
    assert_int_equal(status, 200);
    assert_string_equal(text, chain);
    fetch_response_fini(&response);
    text = world_text(world, "GET", "/api/v1/dags/chain/source", NULL, NULL, &status, &response);
    assert_non_null(strstr(text, "only"));
    fetch_response_fini(&response);
    fails(world, "GET", "/api/v1/dags/chain/source?version=3", NULL, 404, "not_found", "version 3");
    fails(world, "GET", "/api/v1/dags/chain/source?version=x", NULL, 400, "invalid", "version");
}

/* ---- Runs ---- */

static void a_run_goes_from_the_trigger_to_its_end(void **state)
{
    struct world *world = *state;
    json_t *run = world_json(world, "POST", "/api/v1/dags/chain/runs",
                             "{\"params\": {\"name\": \"x\"}, \"date\": \"2001-02-03\", "
                             "\"note\": \"by hand\"}",
                             201);
    has_keys(run, RUN_KEYS);
    assert_string_equal(text_of(run, "id"), "1");
    assert_string_equal(text_of(run, "dag_version"), "1");
    assert_string_equal(text_of(run, "state"), "running");
    assert_string_equal(text_of(run, "cause"), "manual");
    assert_string_equal(text_of(run, "note"), "by hand");
    assert_string_equal(text_of(json_object_get(run, "params"), "name"), "x");
    assert_string_equal(text_of(json_object_get(run, "interval"), "start"),
                        "2001-02-03T00:00:00.000Z");
    assert_int_equal(js_get_int(json_object_get(run, "counts"), "queued", 0), 1);
    assert_int_equal(js_get_int(json_object_get(run, "counts"), "waiting", 0), 3);
    json_decref(run);
    world_report(world, NULL);
    world_report(world, NULL);
    world_end(world, 1, 0, NX_AO_FAILED, NULL, "no luck");
    world_report(world, NULL);
    world_end(world, 1, 0, NX_AO_SUCCESS, "{\"n\": 5}", NULL);

    json_t *task = world_get(world, "/api/v1/runs/1/tasks/first");
    has_keys(task, TASK_KEYS);
    assert_string_equal(text_of(task, "state"), "success");
    assert_int_equal(js_get_int(task, "attempt", 0), 2);
    assert_int_equal(js_get_int(task, "max_attempts", 0), 2);
    assert_string_equal(text_of(task, "worker"), "w1");
    assert_int_equal(js_get_int(json_object_get(task, "outputs"), "n", 0), 5);
    assert_true(json_is_null(json_object_get(task, "map_index")));
    json_decref(task);

    json_t *attempts = world_get(world, "/api/v1/runs/1/tasks/first/attempts");
    assert_int_equal(n_items(attempts), 2);
    has_keys(item(attempts, 0), "number state worker started_at finished_at exit_code signal error "
                                "max_rss_bytes cpu_s");
    assert_string_equal(text_of(item(attempts, 0), "state"), "failed");
    assert_string_equal(text_of(item(attempts, 0), "error"), "no luck");
    assert_int_equal(js_get_int(item(attempts, 0), "exit_code", 0), 3);
    assert_string_equal(text_of(item(attempts, 1), "state"), "success");
    assert_int_equal(js_get_int(item(attempts, 1), "number", 0), 2);
    json_decref(attempts);

    json_t *shown = world_get(world, "/api/v1/runs/1");
    has_keys(shown, RUN_KEYS " tasks");
    assert_int_equal(json_array_size(json_object_get(shown, "tasks")), 4);
    json_decref(shown);
}

static void the_same_key_gives_the_same_run(void **state)
{
    struct world *world = *state;
    static const char *const headers[] = {"Idempotency-Key: abc", NULL};
    struct fetch_response response;
    char location[64];
    int status;
    world_text(world, "POST", "/api/v1/dags/chain/runs", "{}", headers, &status, &response);
    assert_int_equal(status, 201);
    assert_true(fetch_header(&response, "Location", location, sizeof location));
    assert_string_equal(location, "/api/v1/runs/1");
    fetch_response_fini(&response);
    const char *text =
        world_text(world, "POST", "/api/v1/dags/chain/runs", "{}", headers, &status, &response);
    assert_int_equal(status, 200);
    assert_non_null(strstr(text, "\"id\":\"1\""));
    fetch_response_fini(&response);
    world_dag(world, "other.yaml", "tasks:\n  only: {run: 'true'}\n");
    world_text(world, "POST", "/api/v1/dags/other/runs", "{}", headers, &status, &response);
    assert_int_equal(status, 409);
    fetch_response_fini(&response);
}

static void runs_are_filtered_and_paged(void **state)
{
    struct world *world = *state;
    world_dag(world, "other.yaml", "tasks:\n  only: {run: 'true'}\n");
    for (int i = 0; i < 5; i++)
        trigger(world);
    json_decref(world_json(world, "POST", "/api/v1/dags/other/runs", NULL, 201));
    json_decref(world_json(world, "POST", "/api/v1/runs/2/cancel", "{}", 200));
    json_t *list = world_get(world, "/api/v1/runs?limit=4");
    assert_int_equal(n_items(list), 4);
    assert_string_equal(text_of(item(list, 0), "id"), "6");
    assert_string_equal(text_of(list, "next"), "3");
    json_decref(list);
    list = world_get(world, "/api/v1/runs?limit=4&cursor=3");
    assert_int_equal(n_items(list), 2);
    assert_true(json_is_null(json_object_get(list, "next")));
    json_decref(list);
    const struct {
        const char *query;
        size_t n;
    } cases[] = {{"dag=other", 1},     {"dag=chain&state=running", 4}, {"state=success", 0},
                 {"since=1h", 6},      {"since=2999-01-01", 0},        {"state=failed", 0},
                 {"state=stopping", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        snprintf(path, sizeof path, "/api/v1/runs?%s", cases[i].query);
        list = world_get(world, path);
        if (n_items(list) != cases[i].n)
            fail_msg("%s: %zu items", cases[i].query, n_items(list));
        json_decref(list);
    }
    list = world_get(world, "/api/v1/dags/chain/runs?state=running");
    assert_int_equal(n_items(list), 4);
    json_decref(list);
}

static void cancel_is_answered_after_it_is_durable(void **state)
{
    struct world *world = *state;
    trigger(world);
    json_t *run = world_json(world, "POST", "/api/v1/runs/1/cancel", "{\"dry_run\": true}", 200);
    assert_string_equal(text_of(run, "state"), "running");
    json_decref(run);
    run = world_json(world, "POST", "/api/v1/runs/1/cancel", NULL, 200);
    assert_string_equal(text_of(run, "state"), "stopping"); /* cleanup has to run */
    json_decref(run);
    json_t *tasks = world_get(world, "/api/v1/runs/1/tasks");
    assert_string_equal(text_of(item(tasks, 1), "state"), "cancelled");
    assert_string_equal(text_of(item(tasks, 2), "state"), "cancelled");
    json_decref(tasks);
    world_report(world, NULL);
    world_report(world, NULL);
    world_end(world, 1, 3, NX_AO_SUCCESS, NULL, NULL);
    run = world_get(world, "/api/v1/runs/1");
    assert_string_equal(text_of(run, "state"), "cancelled");
    json_decref(run);
    fails(world, "POST", "/api/v1/runs/1/cancel", "{}", 409, "conflict", "has ended");
}

/* ---- Task instances without rows ---- */

static void absent_rows_are_told_as_what_they_mean(void **state)
{
    struct world *world = *state;
    static const char *const states[] = {"queued", "waiting", "waiting", "waiting"};
    static const char *const codes[] = {"next", "upstream", "upstream", "finally"};
    trigger(world);
    json_t *tasks = world_get(world, "/api/v1/runs/1/tasks");
    assert_int_equal(n_items(tasks), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *task = item(tasks, i);
        has_keys(task, TASK_KEYS);
        assert_string_equal(text_of(task, "state"), states[i]);
        assert_string_equal(text_of(json_object_get(task, "reason"), "code"), codes[i]);
        has_keys(json_object_get(task, "reason"), "code text");
    }
    json_decref(tasks);
    tasks = world_get(world, "/api/v1/runs/1/tasks?state=waiting&limit=2");
    assert_int_equal(n_items(tasks), 2);
    assert_string_equal(text_of(item(tasks, 0), "task"), "second");
    char path[96];
    snprintf(path, sizeof path, "/api/v1/runs/1/tasks?state=waiting&limit=2&cursor=%s",
             text_of(tasks, "next"));
    json_decref(tasks);
    tasks = world_get(world, path);
    assert_string_equal(text_of(item(tasks, 0), "task"), "cleanup");
    json_decref(tasks);
    tasks = world_get(world, "/api/v1/runs/1/tasks?state=queued");
    assert_int_equal(n_items(tasks), 1);
    json_decref(tasks);
    tasks = world_get(world, "/api/v1/runs/1/tasks?state=success");
    assert_int_equal(n_items(tasks), 0);
    json_decref(tasks);
}

static void the_list_agrees_with_the_core(void **state)
{
    struct world *world = *state;
    static const char diamond[] = "tasks:\n"
                                  "  a: {run: 'true'}\n"
                                  "  b: {run: 'true', needs: a}\n"
                                  "  c: {run: 'true', needs: a}\n"
                                  "  d: {run: 'true', needs: [b, c], trigger_rule: one_success}\n"
                                  "  e: {run: 'true', needs: [b, c], trigger_rule: all_failed}\n"
                                  "  f: {run: 'true', needs: [d, e]}\n"
                                  "  g: {run: 'true', needs: e, trigger_rule: all_skipped}\n"
                                  "  z: {run: 'true', needs: a, finally: true}\n";
    world_dag(world, "diamond.yaml", diamond);
    json_decref(world_json(world, "POST", "/api/v1/dags/diamond/runs", "{}", 201));
    for (int step = 0; step < 12; step++) {
        json_t *tasks = world_get(world, "/api/v1/runs/1/tasks");
        for (uint32_t i = 0; i < 8; i++) {
            struct core_inst_row row;
            pthread_mutex_lock(&world->lock);
            bool known = core_get_inst(world->core, (struct nx_inst_id){{1}, i, -1}, &row);
            pthread_mutex_unlock(&world->lock);
            char ready[TIME_TEXT_MAX];
            if (!known)
                continue;
            assert_string_equal(text_of(item(tasks, i), "state"), nx_task_state_name(row.state));
            if (row.state == NX_TS_QUEUED)
                assert_string_equal(text_of(item(tasks, i), "ready_at"),
                                    time_format(ready, row.ready_ms));
        }
        json_decref(tasks);
        if (world->hands.n && step % 2) {
            struct nx_inst_id id = world->hands.at[0].order.inst;
            world_end(world, 1, id.task, id.task == 2 ? NX_AO_FAILED : NX_AO_SUCCESS, NULL, NULL);
        } else {
            world_report(world, NULL);
        }
    }
    json_t *run = world_get(world, "/api/v1/runs/1");
    assert_true(nx_run_state_final((enum nx_run_state)nx_run_state_find(text_of(run, "state"))));
    json_decref(run);
}

static void a_long_run_is_listed_by_pages(void **state)
{
    struct world *world = *state;
    struct buf text;
    char path[128] = "/api/v1/runs/1/tasks?limit=1000";
    size_t n = 0;
    buf_init(&text);
    buf_str(&text, "id: long\ntasks:\n");
    for (int i = 0; i < 2500; i++)
        buf_printf(&text, "  t%d: {run: 'true'%s}\n", i, i ? ", needs: t0" : "");
    world_dag(world, "long.yaml", buf_text(&text));
    buf_fini(&text);
    json_decref(world_json(world, "POST", "/api/v1/dags/long/runs", "{}", 201));
    for (int page = 0; page < 3; page++) {
        json_t *list = world_get(world, path);
        char name[16];
        snprintf(name, sizeof name, "t%zu", n);
        assert_string_equal(text_of(item(list, 0), "task"), name);
        n += n_items(list);
        const char *next = js_get_text(list, "next", NULL);
        assert_true((next != NULL) == (page < 2));
        snprintf(path, sizeof path, "/api/v1/runs/1/tasks?limit=1000&cursor=%s", next ? next : "");
        json_decref(list);
    }
    assert_int_equal(n, 2500);
    json_t *run = world_get(world, "/api/v1/runs/1");
    assert_int_equal(json_array_size(json_object_get(run, "tasks")), 1000);
    json_decref(run);
    json_t *why = world_get(world, "/api/v1/runs/1/explain?limit=3");
    assert_int_equal(n_items(why), 3);
    snprintf(path, sizeof path, "/api/v1/runs/1/explain?limit=3&cursor=%s", text_of(why, "next"));
    json_decref(why);
    why = world_get(world, path);
    assert_string_equal(text_of(item(why, 0), "task"), "t3");
    json_decref(why);
}

static void finally_tasks_of_a_cancelled_run_are_told_as_queued(void **state)
{
    struct world *world = *state;
    static const char text[] = "tasks:\n"
                               "  work: {run: 'true'}\n"
                               "  more: {run: 'true', needs: work}\n"
                               "  tidy: {run: 'true', needs: more, finally: true,"
                               " trigger_rule: all_done}\n"
                               "  rest: {run: 'true', needs: tidy, finally: true}\n";
    world_dag(world, "tidy.yaml", text);
    json_decref(world_json(world, "POST", "/api/v1/dags/tidy/runs", "{}", 201));
    json_t *tasks = world_get(world, "/api/v1/runs/1/tasks?state=waiting");
    assert_int_equal(n_items(tasks), 3);
    json_decref(tasks);
    json_decref(world_json(world, "POST", "/api/v1/runs/1/cancel", "{}", 200));
    static const char *const states[] = {"cancelled", "cancelled", "queued", "waiting"};
    tasks = world_get(world, "/api/v1/runs/1/tasks");
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(text_of(item(tasks, i), "state"), states[i]);
    json_decref(tasks);
}

static void a_damaged_version_is_an_error_and_not_a_crash(void **state)
{
    struct world *world = *state;
    static const char *const infos[] = {
        "",
        "{}",
        "[]",
        "{\"tasks\":",
        "{\"tasks\":{}",
        "{\"tasks\":[",
        "{\"id\":\"x\",\"file\":\"y\",\"tasks\":[{\"id\":\"a\",\"needs\":[\"b\"",
        "{\"tasks\":[{\"id\" \"a\"}]}",
        "{\"tasks\":[1,2]}",
        "{\"tasks\":[{\"id\":\"a"};
    char path[128];
    struct sql *sql;
    struct nx_err err;
    trigger(world);
    snprintf(path, sizeof path, "%s/nexus.db", world->home);
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++) {
        struct sql_stmt *stmt;
        assert_true(sql_open_writer(path, &sql, &err));
        assert_true(sql_prepare(sql, "update dag_version set info = ?1", &stmt, &err));
        sql_bind_text(stmt, 1, infos[i]);
        assert_true(sql_run(stmt, &err));
        sql_stmt_free(stmt);
        sql_close(sql);
        fails(world, "GET", "/api/v1/runs/1", NULL, 422, "data", "damaged");
        fails(world, "GET", "/api/v1/dags/chain", NULL, 422, "data", "damaged");
    }
}

/* ---- Live ---- */

static void progress_and_reasons_come_from_the_core(void **state)
{
    struct world *world = *state;
    trigger(world);
    json_t *task = world_get(world, "/api/v1/runs/1/tasks/first");
    assert_string_equal(text_of(json_object_get(task, "reason"), "code"), "no_worker");
    json_decref(task);
    world_report(world, NULL);
    world_report(world, NULL);
    world_start(world, 1, 0, 420);
    json_t *tasks = world_get(world, "/api/v1/runs/1/tasks?state=running");
    assert_int_equal(n_items(tasks), 1);
    const json_t *progress = json_object_get(item(tasks, 0), "progress");
    has_keys(progress, "fraction text");
    assert_float_equal(js_get_float(progress, "fraction", 0), 0.42, 1e-9);
    assert_true(json_is_null(json_object_get(progress, "text")));
    json_decref(tasks);
    world_hand(world, 1, 0)->text = "half \"way\"";
    world_report(world, NULL);
    world_hand(world, 1, 0)->text = NULL;
    world_report(world, NULL); /* unchanged */
    task = world_get(world, "/api/v1/runs/1/tasks/first");
    assert_string_equal(text_of(json_object_get(task, "progress"), "text"), "half \"way\"");
    json_decref(task);
    task = world_get(world, "/api/v1/runs/1/tasks/first");
    has_keys(task, TASK_KEYS);
    assert_non_null(strstr(text_of(json_object_get(task, "reason"), "text"), "'w1'"));
    json_decref(task);
}

static void explain_says_why_and_works_after_the_end(void **state)
{
    struct world *world = *state;
    trigger(world);
    json_t *list = world_get(world, "/api/v1/runs/1/explain");
    assert_int_equal(n_items(list), 4);
    has_keys(item(list, 0), "task map_index state reasons");
    const json_t *reason = json_array_get(json_object_get(item(list, 1), "reasons"), 0);
    has_keys(reason, "code text since");
    assert_non_null(strstr(text_of(reason, "text"), "first (queued)"));
    json_decref(list);
    list = world_get(world, "/api/v1/runs/1/explain?task=second");
    assert_int_equal(n_items(list), 1);
    json_decref(list);
    fails(world, "GET", "/api/v1/runs/1/explain?task=secnd", NULL, 404, "not_found", "'second'");
    json_decref(world_json(world, "POST", "/api/v1/runs/1/cancel", "{}", 200));
    world_report(world, NULL);
    world_report(world, NULL);
    world_end(world, 1, 3, NX_AO_SUCCESS, NULL, NULL);
    list = world_get(world, "/api/v1/runs/1/explain");
    assert_int_equal(n_items(list), 4);
    reason = json_array_get(json_object_get(item(list, 0), "reasons"), 0);
    assert_string_equal(text_of(reason, "text"), "it has ended: cancelled, its run was cancelled");
    json_decref(list);
}

static void workers_and_pools_are_listed_and_drained(void **state)
{
    struct world *world = *state;
    world_report(world, NULL);
    json_t *list = world_get(world, "/api/v1/workers");
    has_keys(item(list, 0),
             "id host address state slots busy leases tasks queues version last_seen_at "
             "memory_bytes gpus note");
    assert_string_equal(text_of(item(list, 0), "state"), "online");
    assert_int_equal(json_array_size(json_object_get(item(list, 0), "queues")), 2);
    json_decref(list);
    json_t *worker = world_json(world, "PATCH", "/api/v1/workers/w1", "{\"drain\": true}", 200);
    assert_string_equal(text_of(worker, "state"), "draining");
    json_decref(worker);
    fails(world, "PATCH", "/api/v1/workers/w9", "{\"drain\": true}", 404, "not_found", "w9");
    fails(world, "PATCH", "/api/v1/workers/w1", "{}", 400, "invalid", "drain");
    list = world_get(world, "/api/v1/pools");
    has_keys(item(list, 0), "name exists slots used waiting description source");
    assert_string_equal(text_of(item(list, 0), "name"), "gate");
    assert_true(json_is_null(json_object_get(item(list, 0), "slots")));
    json_decref(list);
}

static void a_dag_is_paused(void **state)
{
    struct world *world = *state;
    json_t *dag = world_json(world, "PATCH", "/api/v1/dags/chain", "{\"paused\": true}", 200);
    has_keys(dag, DAG_KEYS);
    assert_true(json_is_true(json_object_get(dag, "paused")));
    json_decref(dag);
    fails(world, "PATCH", "/api/v1/dags/chain", "{\"paused\": 1}", 400, "invalid", "true or false");
}

static void health_and_figures_answer(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    int status;
    json_decref(world_get(world, "/health"));
    json_t *ready = world_json(world, "GET", "/health/ready", NULL, 503);
    assert_string_equal(text_of(ready, "status"), "loading");
    json_decref(ready);
    api_set_ready(world->api);
    ready = world_get(world, "/health/ready");
    has_keys(json_object_get(ready, "parts"), "loop store loader workers disk");
    json_decref(ready);
    trigger(world);
    const char *text = world_text(world, "GET", "/metrics", NULL, NULL, &status, &response);
    assert_int_equal(status, 200);
    assert_non_null(strstr(text, "nexus_runs{state=\"running\"} 1\n"));
    assert_non_null(strstr(text, "nexus_task_moves_total{from=\"waiting\",to=\"queued\"} 1\n"));
    fetch_response_fini(&response);
}

/* ---- Errors ---- */

static void every_mistake_has_its_status(void **state)
{
    struct world *world = *state;
    trigger(world);
    fails(world, "GET", "/api/v1/dag", NULL, 404, "not_found", "did you mean /api/v1/dags?");
    fails(world, "GET", "/nothing/like/it", NULL, 404, "not_found", "openapi.json");
    fails(world, "GET", "/api/v1/dags/chian", NULL, 404, "not_found", "did you mean 'chain'?");
    fails(world, "POST", "/api/v1/dags/chian/runs", "{}", 404, "not_found", "'chain'");
    fails(world, "GET", "/api/v1/runs?dag=chian", NULL, 404, "not_found", "'chain'");
    fails(world, "GET", "/api/v1/runs/9", NULL, 404, "not_found", "run '9'");
    fails(world, "GET", "/api/v1/runs/x", NULL, 404, "not_found", "run 'x'");
    fails(world, "GET", "/api/v1/runs/1/tasks/frist", NULL, 404, "not_found", "'first'");
    fails(world, "GET", "/api/v1/runs/1/tasks/first%5B3%5D", NULL, 404, "not_found", "index 3");
    fails(world, "GET", "/api/v1/runs/1/tasks/first%5B3", NULL, 404, "not_found", "name[3]");
    fails(world, "GET", "/api/v1/runs/1/tasks/first/attempts/1/log", NULL, 404, "not_found",
          "no attempt 1");
    fails(world, "GET", "/api/v1/runs?limit=0", NULL, 400, "invalid", "limit");
    fails(world, "GET", "/api/v1/runs?limit=1001", NULL, 400, "invalid", "limit");
    fails(world, "GET", "/api/v1/runs?cursor=zz", NULL, 400, "invalid", "cursor");
    fails(world, "GET", "/api/v1/runs?state=runing", NULL, 400, "invalid", "'running'");
    fails(world, "GET", "/api/v1/runs?since=whenever", NULL, 400, "invalid", "since");
    fails(world, "GET", "/api/v1/runs?stat=failed", NULL, 400, "invalid", "'state'");
    fails(world, "GET", "/api/v1/runs/1/tasks?state=cancelld", NULL, 400, "invalid", "'cancelled'");
    fails(world, "POST", "/api/v1/dags/chain/runs", "{\"parms\": {}}", 400, "invalid", "'params'");
    fails(world, "POST", "/api/v1/dags/chain/runs", "[1]", 400, "invalid", "object");
    fails(world, "POST", "/api/v1/dags/chain/runs", "{\"note\"", 400, "invalid", "body");
    fails(world, "POST", "/api/v1/dags/chain/runs", "{\"note\": 3}", 400, "invalid", "string");
    fails(world, "POST", "/api/v1/dags/chain/runs", "{\"date\": \"x\"}", 400, "invalid", "date");
    fails(world, "POST", "/api/v1/runs/1/mark", "{\"tasks\": [\"first\"], \"state\": \"done\"}",
          400, "invalid", "success or failed");
    fails(world, "POST", "/api/v1/runs/1/mark", "{\"state\": \"failed\"}", 400, "invalid", "tasks");
    fails(world, "POST", "/api/v1/runs/1/clear", "{\"tasks\": [\"frist\"]}", 404, "not_found",
          "'first'");
    fails(world, "POST", "/api/v1/runs/1/clear", "{\"tasks\": [1]}", 400, "invalid",
          "list of strings");
    fails(world, "POST", "/api/v1/runs/1/retry", "{\"from\": \"frist\"}", 404, "not_found",
          "'first'");
    fails(world, "PATCH", "/api/v1/runs/1", "{}", 400, "invalid", "note");
    fails(world, "DELETE", "/api/v1/runs/1", NULL, 409, "conflict", "has not ended");
    fails(world, "DELETE", "/api/v1/runs/1/tasks", NULL, 405, "method_not_allowed", "takes GET");
}

static void a_wrong_method_names_the_right_ones(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    char allow[64];
    int status;
    world_text(world, "PUT", "/api/v1/dags/chain", "{}", NULL, &status, &response);
    assert_int_equal(status, 405);
    assert_true(fetch_header(&response, "Allow", allow, sizeof allow));
    assert_string_equal(allow, "GET, PATCH");
    fetch_response_fini(&response);
}

static void another_host_or_origin_is_refused(void **state)
{
    struct world *world = *state;
    static const char *const host[] = {"Host: evil.example", NULL};
    static const char *const origin[] = {"Origin: http://evil.example",
                                         "Content-Type: application/json", NULL};
    struct fetch_response response;
    int status;
    world_text(world, "GET", "/api/v1/runs", NULL, host, &status, &response);
    assert_true(status >= 400 && status < 500);
    fetch_response_fini(&response);
    world_text(world, "POST", "/api/v1/dags/chain/runs", "{}", origin, &status, &response);
    assert_int_equal(status, 403);
    fetch_response_fini(&response);
    json_t *runs = world_get(world, "/api/v1/runs");
    assert_int_equal(n_items(runs), 0);
    json_decref(runs);
}

static void the_openapi_document_has_every_route(void **state)
{
    struct world *world = *state;
    json_t *document = world_get(world, "/api/openapi.json");
    const json_t *paths = json_object_get(document, "paths");
    assert_string_equal(text_of(document, "openapi"), "3.1.0");
    assert_true(json_object_size(paths) >= 20);
    const json_t *runs = json_object_get(paths, "/api/v1/dags/{dag}/runs");
    assert_non_null(json_object_get(runs, "get"));
    assert_non_null(json_object_get(json_object_get(runs, "post"), "requestBody"));
    json_decref(document);
}

/* ---- Logs ---- */

static int open_log(struct world *world)
{
    char path[256], *slash;
    assert_true(attempt_path(path, sizeof path, world->home, PATH_LOG, 1, "first", -1, 1));
    slash = strrchr(path, '/');
    *slash = 0;
    assert_true(path_make_folders(path, NULL));
    *slash = '/';
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    return fd;
}

static void run_first(struct world *world)
{
    trigger(world);
    world_report(world, NULL);
    world_report(world, NULL);
    world_start(world, 1, 0, -1);
}

#define LOG "/api/v1/runs/1/tasks/first/attempts/1/log"

static void logs_are_read_from_an_offset(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    char size[16];
    int status;
    run_first(world);
    const char *text = world_text(world, "GET", LOG, NULL, NULL, &status, &response);
    assert_int_equal(status, 200);
    assert_string_equal(text, ""); /* no file yet */
    fetch_response_fini(&response);
    int fd = open_log(world);
    assert_int_equal(write(fd, "one\ntwo\n\xff", 9), 9);
    text = world_text(world, "GET", LOG "?offset=4", NULL, NULL, &status, &response);
    assert_string_equal(text, "two\n\xff");
    assert_true(fetch_header(&response, "X-Log-Size", size, sizeof size));
    assert_string_equal(size, "9");
    fetch_response_fini(&response);
    text = world_text(world, "GET", LOG "?offset=99", NULL, NULL, &status, &response);
    assert_string_equal(text, "");
    fetch_response_fini(&response);
    close(fd);
    fails(world, "GET", LOG "?offset=x", NULL, 400, "invalid", "offset");
    fails(world, "GET", LOG "?follow=perhaps", NULL, 400, "invalid", "follow");
    fails(world, "GET", "/api/v1/runs/1/tasks/first/attempts/1/resolved", NULL, 404, "not_found",
          "resolved");
}

struct reader {
    struct world *world;
    const char *path;
    const char *const *headers;
    struct buf text;
    pthread_mutex_t lock;
    const char *until; /* ends when this was read */
    atomic_int status;
    atomic_bool ended;
};

static bool on_piece(void *arg, const char *p, size_t n)
{
    struct reader *reader = arg;
    pthread_mutex_lock(&reader->lock);
    buf_add(&reader->text, p, n);
    bool more = !reader->until || !strstr(buf_text(&reader->text), reader->until);
    pthread_mutex_unlock(&reader->lock);
    return more;
}

static void *read_stream(void *arg)
{
    struct reader *reader = arg;
    struct fetch *fetch = fetch_new();
    struct fetch_response response;
    struct nx_err err;
    const struct fetch_request request = {.url = world_url(reader->world, reader->path),
                                          .headers = reader->headers,
                                          .timeout_ms = 20000,
                                          .on_data = on_piece,
                                          .arg = reader};
    if (fetch_run(fetch, &request, &response, &err)) {
        atomic_store(&reader->status, response.status);
        fetch_response_fini(&response);
    }
    fetch_free(fetch);
    atomic_store(&reader->ended, true);
    return NULL;
}

static pthread_t start_reader(struct reader *reader)
{
    pthread_t thread;
    pthread_mutex_init(&reader->lock, NULL);
    buf_init(&reader->text);
    assert_int_equal(pthread_create(&thread, NULL, read_stream, reader), 0);
    return thread;
}

/* Waits until the reader has read that. */
static void wait_for(struct reader *reader, const char *text)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&reader->lock);
        bool there = strstr(buf_text(&reader->text), text) != NULL;
        pthread_mutex_unlock(&reader->lock);
        if (there)
            return;
        clock_sleep_ms(5);
    }
    fail_msg("'%s' did not come: %s", text, buf_text(&reader->text));
}

static void end_reader(struct reader *reader, pthread_t thread)
{
    pthread_join(thread, NULL);
    pthread_mutex_destroy(&reader->lock);
    buf_fini(&reader->text);
}

static void a_followed_log_grows_until_the_attempt_ends(void **state)
{
    struct world *world = *state;
    struct reader reader = {.world = world, .path = LOG "?follow=true"};
    run_first(world);
    pthread_t thread = start_reader(&reader);
    clock_sleep_ms(50); /* the file comes later than the reader */
    int fd = open_log(world);
    assert_int_equal(write(fd, "one\n", 4), 4);
    wait_for(&reader, "one\n");
    assert_false(atomic_load(&reader.ended));
    assert_int_equal(write(fd, "two\n", 4), 4);
    wait_for(&reader, "two\n");
    assert_int_equal(write(fd, "end\n", 4), 4);
    close(fd);
    world_end(world, 1, 0, NX_AO_SUCCESS, NULL, NULL);
    pthread_join(thread, NULL); /* ends by itself */
    assert_string_equal(buf_text(&reader.text), "one\ntwo\nend\n");
    pthread_mutex_destroy(&reader.lock);
    buf_fini(&reader.text);
}

/* ---- Events ---- */

static void events_tell_what_was_committed_and_resume(void **state)
{
    struct world *world = *state;
    struct reader first = {.world = world, .path = "/api/v1/events", .until = "\"success\""};
    pthread_t thread = start_reader(&first);
    wait_for(&first, "event: hello");
    trigger(world);
    wait_for(&first, "event: run\ndata: {\"run\":\"1\",\"dag\":\"chain\",\"state\":\"running\"");
    world_report(world, NULL);
    world_report(world, NULL);
    wait_for(&first, "\"task\":\"first\",\"map_index\":null,\"state\":\"leased\",\"attempt\":1}");
    /* the id of the event that told of the run */
    char header[96];
    pthread_mutex_lock(&first.lock);
    const char *at = strstr(buf_text(&first.text), "event: run\n");
    while (strncmp(at, "id: ", 4) != 0)
        at--;
    snprintf(header, sizeof header, "Last-Event-ID: %.*s", (int)strcspn(at + 4, "\n"), at + 4);
    pthread_mutex_unlock(&first.lock);
    world_end(world, 1, 0, NX_AO_SUCCESS, NULL, NULL);
    end_reader(&first, thread);

    const char *const headers[] = {header, NULL};
    struct reader second = {.world = world,
                            .path = "/api/v1/events",
                            .headers = headers,
                            .until = "\"state\":\"success\",\"attempt\":1"};
    thread = start_reader(&second);
    pthread_join(thread, NULL);
    const char *text = buf_text(&second.text);
    assert_null(strstr(text, "hello"));
    assert_null(strstr(text, "reset"));
    assert_non_null(strstr(text, "\"state\":\"leased\""));
    assert_true(strncmp(text, "id: ", 4) == 0);
    pthread_mutex_destroy(&second.lock);
    buf_fini(&second.text);
}

static void an_unknown_place_in_the_events_is_a_reset(void **state)
{
    struct world *world = *state;
    static const char *const ids[] = {"Last-Event-ID: 5.1.1", "Last-Event-ID: nonsense"};
    for (int i = 0; i < 2; i++) {
        const char *const headers[] = {ids[i], NULL};
        struct reader reader = {
            .world = world, .path = "/api/v1/events", .headers = headers, .until = "event: reset"};
        end_reader(&reader, start_reader(&reader));
        assert_true(atomic_load(&reader.ended));
    }
}

static void events_of_one_run_are_filtered(void **state)
{
    struct world *world = *state;
    struct reader reader = {
        .world = world, .path = "/api/v1/events?run=2", .until = "\"run\":\"2\""};
    pthread_t thread = start_reader(&reader);
    wait_for(&reader, "event: hello");
    trigger(world);
    trigger(world);
    pthread_join(thread, NULL);
    assert_null(strstr(buf_text(&reader.text), "\"run\":\"1\""));
    pthread_mutex_destroy(&reader.lock);
    buf_fini(&reader.text);
    fails(world, "GET", "/api/v1/events?run=x", NULL, 400, "invalid", "run");
}

static void stopping_ends_streams_and_waiting_requests(void **state)
{
    struct world *world = *state;
    struct reader events = {.world = world, .path = "/api/v1/events"};
    struct reader waiting = {.world = world, .path = "/api/v1/workers"};
    pthread_t one = start_reader(&events), two;
    wait_for(&events, "event: hello");
    pthread_mutex_lock(&world->lock);
    world->deaf = true;
    pthread_mutex_unlock(&world->lock);
    two = start_reader(&waiting);
    for (int i = 0; i < 1000; i++) { /* until it waits for the loop */
        pthread_mutex_lock(&world->lock);
        bool awake = world->awake;
        pthread_mutex_unlock(&world->lock);
        if (awake)
            break;
        clock_sleep_ms(5);
    }
    api_stop(world->api);
    end_reader(&events, one);
    pthread_join(two, NULL);
    assert_int_equal(atomic_load(&waiting.status), 503);
    pthread_mutex_destroy(&waiting.lock);
    buf_fini(&waiting.text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(dags_have_their_shape),
        T(a_file_without_a_dag_is_an_entry_with_its_errors),
        T(a_broken_file_keeps_its_last_version),
        T(versions_and_sources_are_kept),
        T(a_run_goes_from_the_trigger_to_its_end),
        T(the_same_key_gives_the_same_run),
        T(runs_are_filtered_and_paged),
        T(cancel_is_answered_after_it_is_durable),
        T(absent_rows_are_told_as_what_they_mean),
        T(the_list_agrees_with_the_core),
        T(finally_tasks_of_a_cancelled_run_are_told_as_queued),
        T(a_long_run_is_listed_by_pages),
        T(a_damaged_version_is_an_error_and_not_a_crash),
        T(progress_and_reasons_come_from_the_core),
        T(explain_says_why_and_works_after_the_end),
        T(workers_and_pools_are_listed_and_drained),
        T(a_dag_is_paused),
        T(health_and_figures_answer),
        T(every_mistake_has_its_status),
        T(a_wrong_method_names_the_right_ones),
        T(another_host_or_origin_is_refused),
        T(the_openapi_document_has_every_route),
        T(logs_are_read_from_an_offset),
        T(a_followed_log_grows_until_the_attempt_ends),
        T(events_tell_what_was_committed_and_resume),
        T(an_unknown_place_in_the_events_is_a_reset),
        T(events_of_one_run_are_filtered),
        T(stopping_ends_streams_and_waiting_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
