/* Pools, variables and secrets that are kept: the API, the loop's part and the store together. */
#include <stdio.h>

#include "lib/sql/sql.h"
#include "scheduler/port/registry.h"
#include "scheduler/question.h"
#include "tests/api_answer.h"

static int open_world(void **state)
{
    struct world *world = *state = world_open();
    world_dag(world, "chain.yaml",
              "tasks:\n"
              "  first: {run: 'true'}\n"
              "  second: {run: 'true', needs: first, pool: gate}\n");
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

static void a_pool_is_made_changed_and_taken_away(void **state)
{
    struct world *world = *state;
    world_report(world, NULL);
    json_decref(world_json(world, "POST", "/api/v1/dags/chain/runs", "{}", 201));
    world_report(world, NULL);
    world_end(world, 1, 0, NX_AO_SUCCESS, NULL, NULL);
    json_t *pool = world_get(world, "/api/v1/pools/gate"); /* second waits for it */
    assert_true(json_is_false(json_object_get(pool, "exists")));
    assert_true(json_is_null(json_object_get(pool, "source")));
    assert_int_equal(js_get_int(pool, "waiting", 0), 1);
    json_decref(pool);
    pool = world_json(world, "POST", "/api/v1/pools",
                      "{\"name\": \"gate\", \"slots\": 2, \"description\": \"narrow\"}", 201);
    assert_string_equal(text_of(pool, "source"), "kept");
    json_decref(pool);
    world_report(world, NULL);
    pool = world_json(world, "PUT", "/api/v1/pools/gate", "{\"slots\": 3}", 200);
    assert_int_equal(js_get_int(pool, "slots", 0), 3);
    assert_int_equal(js_get_int(pool, "used", 0), 1); /* second has it */
    assert_int_equal(js_get_int(pool, "waiting", 9), 0);
    assert_string_equal(text_of(pool, "description"), "narrow");
    json_decref(pool);
    fails(world, "POST", "/api/v1/pools", "{\"name\": \"gate\", \"slots\": 2}", 409, "conflict",
          "already");
    pool = world_json(world, "DELETE", "/api/v1/pools/gate", NULL, 200);
    has_keys(pool, "deleted used waiting");
    assert_int_equal(js_get_int(pool, "used", 0), 1);
    json_decref(pool);
    fails(world, "DELETE", "/api/v1/pools/gate", NULL, 404, "not_found", "gate");
}

static void what_is_kept_is_checked(void **state)
{
    struct world *world = *state;
    fails(world, "PUT", "/api/v1/pools/fixed", "{\"slots\": 1}", 409, "conflict", "nexus.yaml");
    fails(world, "DELETE", "/api/v1/pools/fixed", NULL, 409, "conflict", "nexus.yaml");
    fails(world, "PUT", "/api/v1/variables/fixed", "{\"value\": 1}", 409, "conflict", "nexus.yaml");
    fails(world, "PUT", "/api/v1/secrets/fixed", "{\"value\": \"x\"}", 409, "conflict",
          "environment");
    fails(world, "PUT", "/api/v1/pools/Big", "{\"slots\": 1}", 400, "invalid", "no name of a pool");
    fails(world, "PUT", "/api/v1/variables/a-b", "{\"value\": 1}", 400, "invalid", "no name");
    fails(world, "PUT", "/api/v1/pools/p", "{\"slots\": -1}", 400, "invalid", "slots");
    fails(world, "PUT", "/api/v1/pools/p", "{\"slots\": 1000001}", 400, "invalid", "slots");
    fails(world, "PUT", "/api/v1/pools/p", "{}", 400, "invalid", "'slots'");
    fails(world, "POST", "/api/v1/pools", "{\"slots\": 1}", 400, "invalid", "'name'");
    fails(world, "PUT", "/api/v1/variables/a", "{\"value\": null}", 400, "invalid", "'value'");
    fails(world, "PUT", "/api/v1/secrets/a", "{\"value\": \"\"}", 400, "invalid", "empty");
    fails(world, "PUT", "/api/v1/secrets/a", "{\"value\": 1}", 400, "invalid", "a string");
    fails(world, "GET", "/api/v1/variables/fixd", NULL, 404, "not_found", "did you mean 'fixed'");
    char *body = mem_alloc(20000);
    memset(body, 'x', 19999);
    memcpy(body, "{\"value\": \"", 11);
    memcpy(body + 19990, "\"}\0", 3);
    fails(world, "PUT", "/api/v1/variables/a", body, 413, "limit", "16384");
    mem_free(body);
    json_t *list = world_get(world, "/api/v1/audit"); /* refusals are not on it */
    assert_int_equal(n_items(list), 0);
    json_decref(list);
}

static void variables_are_listed_with_those_of_the_file(void **state)
{
    struct world *world = *state;
    json_decref(world_json(world, "PUT", "/api/v1/variables/b", "{\"value\": {\"x\": [1]}}", 201));
    json_decref(world_json(world, "PUT", "/api/v1/variables/z", "{\"value\": 1}", 201));
    json_t *one = world_json(world, "PUT", "/api/v1/variables/z", "{\"value\": false}", 200);
    has_keys(one, "name value source updated_at");
    assert_true(json_is_false(json_object_get(one, "value")));
    json_decref(one);
    json_t *list = world_get(world, "/api/v1/variables?limit=2");
    assert_int_equal(n_items(list), 2);
    assert_string_equal(text_of(item(list, 0), "name"), "b");
    assert_string_equal(text_of(item(list, 1), "source"), "nexus.yaml");
    assert_int_equal(json_array_size(json_object_get(item(list, 1), "value")), 2);
    assert_string_equal(text_of(list, "next"), "2");
    json_decref(list);
    list = world_get(world, "/api/v1/variables?cursor=2");
    assert_int_equal(n_items(list), 1);
    json_decref(list);
    assert_int_equal(json_object_size(world->kept.vars), 3);
    json_decref(world_json(world, "DELETE", "/api/v1/variables/z", NULL, 200));
    assert_int_equal(json_object_size(world->kept.vars), 2);
    list = world_get(world, "/api/v1/audit");
    assert_int_equal(n_items(list), 4);
    assert_string_equal(text_of(item(list, 0), "what"), "variable.delete");
    json_decref(list);
}

/* No byte of it in the store's files. */
static void is_not_stored(const struct world *world, const char *value)
{
    static const char *const files[] = {"nexus.db", "nexus.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        struct buf text;
        buf_init(&text);
        snprintf(path, sizeof path, "%s/%s", world->home, files[i]);
        assert_true(path_read(path, 1 << 26, &text, NULL));
        assert_null(memmem(text.data, text.len, value, strlen(value)));
        buf_fini(&text);
    }
}

static void a_secret_goes_in_and_never_out(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    int status;
    json_t *one =
        world_json(world, "PUT", "/api/v1/secrets/token", "{\"value\": \"hunter2\"}", 201);
    has_keys(one, "name source updated_at error");
    assert_string_equal(text_of(one, "source"), "kept");
    json_decref(one);
    assert_string_equal(text_of(world->kept.secrets, "token"), "hunter2");
    assert_string_equal(text_of(world->kept.secrets, "fixed"), "plain");
    is_not_stored(world, "hunter2");
    static const char *const paths[] = {"/api/v1/secrets", "/api/v1/secrets/token",
                                        "/api/v1/secrets/fixed", "/api/v1/audit"};
    for (size_t i = 0; i < 4; i++) {
        const char *text = world_text(world, "GET", paths[i], NULL, NULL, &status, &response);
        assert_int_equal(status, 200);
        assert_null(strstr(text, "hunter2"));
        assert_null(strstr(text, "plain"));
        fetch_response_fini(&response);
    }
    const char *text = world_text(world, "PUT", "/api/v1/secrets/token", "{\"value\": hunter2}",
                                  NULL, &status, &response);
    assert_int_equal(status, 400);
    assert_null(strstr(text, "hunter2"));
    fetch_response_fini(&response);
}

static void without_its_key_a_secret_is_an_error_and_no_new_key_is_made(void **state)
{
    struct world *world = *state;
    char path[128], away[160];
    json_decref(world_json(world, "PUT", "/api/v1/secrets/a", "{\"value\": \"one\"}", 201));
    snprintf(path, sizeof path, "%s/secret.key", world->home);
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    fails(world, "PUT", "/api/v1/secrets/b", "{\"value\": \"two\"}", 409, "conflict", "is missing");
    json_t *one = world_get(world, "/api/v1/secrets/a");
    assert_non_null(strstr(text_of(one, "error"), "is missing"));
    json_decref(one);
    assert_false(path_exists(path));
    json_decref(world_json(world, "DELETE", "/api/v1/secrets/a", NULL, 200));
    json_decref(world_json(world, "PUT", "/api/v1/secrets/b", "{\"value\": \"two\"}", 201));
    /* another key: sealed anew, and what the first one sealed is told as unreadable */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(away, path), 0);
    json_decref(world_json(world, "PUT", "/api/v1/secrets/c", "{\"value\": \"three\"}", 201));
    assert_string_equal(text_of(world->kept.secrets, "c"), "three");
    assert_null(json_object_get(world->kept.secrets, "b"));
    assert_non_null(strstr(text_of(world->kept.unreadable, "b"), "another key"));
}

static void a_secret_counts_under_its_own_name_alone(void **state)
{
    struct world *world = *state;
    struct sql *sql;
    struct nx_err err;
    char path[128];
    json_decref(world_json(world, "PUT", "/api/v1/secrets/a", "{\"value\": \"one\"}", 201));
    snprintf(path, sizeof path, "%s/nexus.db", world->home);
    assert_true(sql_open_writer(path, &sql, &err));
    assert_true(sql_exec(sql, "update secret set name = 'b'", &err));
    sql_close(sql);
    json_decref(world_json(world, "PUT", "/api/v1/secrets/a", "{\"value\": \"two\"}", 201));
    assert_string_equal(text_of(world->kept.secrets, "a"), "two");
    assert_null(json_object_get(world->kept.secrets, "b"));
    assert_non_null(strstr(text_of(world->kept.unreadable, "b"), "another name"));
}

static void what_is_kept_is_there_after_a_restart(void **state)
{
    struct world *world = *state;
    struct kept again;
    struct nx_err err;
    const struct engine_config config = {.home = world->home, .vars = "{\"v\": 1}"};
    json_decref(world_json(world, "PUT", "/api/v1/variables/v", "{\"value\": 2}", 201));
    json_decref(world_json(world, "PUT", "/api/v1/variables/w", "{\"value\": 3}", 201));
    json_decref(world_json(world, "PUT", "/api/v1/secrets/s", "{\"value\": \"x\"}", 201));
    pthread_mutex_lock(&world->lock);
    assert_true(kept_open(&again, world->store, &config, &err));
    assert_int_equal(js_get_int(again.vars, "v", 0), 1); /* the file wins */
    assert_int_equal(js_get_int(again.vars, "w", 0), 3);
    assert_string_equal(text_of(again.secrets, "s"), "x");
    kept_close(&again);
    pthread_mutex_unlock(&world->lock);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

static void a_connection_is_kept_and_shown_without_its_secret(void **state)
{
    struct world *world = *state;
    json_t *one = world_json(world, "POST", "/api/v1/connections",
                             "{\"name\": \"ware-house\", \"uri\": "
                             "\"postgres://etl:hunter2-conn@db/flights\", \"description\": \"d\"}",
                             201);
    has_keys(one, "name kind uri description source updated_at error");
    assert_string_equal(text_of(one, "uri"), "postgres://etl:***@db/flights");
    assert_string_equal(text_of(one, "kind"), "postgres");
    json_decref(one);
    is_not_stored(world, "hunter2-conn");
    assert_string_equal(text_of(world->kept.conns, "ware-house"),
                        "postgres://etl:hunter2-conn@db/flights");
    assert_string_equal(text_of(world->kept.conns, "fixed"), "http://127.0.0.1/");
    fails(world, "POST", "/api/v1/connections",
          "{\"name\": \"ware-house\", \"uri\": \"file:///x\"}", 409, "conflict", "already");
    fails(world, "PUT", "/api/v1/connections/fixed", "{\"uri\": \"file:///x\"}", 409, "conflict",
          "NEXUS_CONN_");
    fails(world, "PUT", "/api/v1/connections/a", "{\"uri\": \"mysql://h/d\"}", 400, "invalid",
          "there are postgres");
    fails(world, "PUT", "/api/v1/connections/a", "{\"uri\": 1}", 400, "invalid", "all strings");
    fails(world, "PUT", "/api/v1/connections/a", "{}", 400, "invalid", "'uri'");
    fails(world, "POST", "/api/v1/connections/none/test", "{}", 404, "not_found", "none");
    one =
        world_json(world, "PUT", "/api/v1/connections/ware-house", "{\"uri\": \"file:///x\"}", 200);
    assert_string_equal(text_of(one, "description"), "d"); /* stays */
    json_decref(one);
    json_decref(world_json(world, "DELETE", "/api/v1/connections/ware-house", NULL, 200));
    assert_int_equal(json_object_size(world->kept.conns), 1);
    one = world_get(world, "/api/v1/audit");
    assert_string_equal(text_of(item(one, 0), "what"), "connection.delete");
    assert_true(json_is_null(json_object_get(item(one, 1), "detail")));
    json_decref(one);
}

static void a_run_gets_the_secrets_that_its_dag_names_and_no_others(void **state)
{
    struct world *world = *state;
    struct registry registry;
    struct question question;
    struct nx_err err;
    static const char *const names[] = {"token", "other", "third"};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "/api/v1/secrets/%s", names[i]);
        json_decref(world_json(world, "PUT", path, "{\"value\": \"hunter2\"}", 201));
    }
    world_dag(world, "names.yaml",
              "tasks:\n"
              "  a: {run: 'echo ${{ secrets.token }} ${{ secrets.absent }}'}\n"
              "  b: {run: 'true', env: {X: '${{ secrets[\"third\"] .. secrets.token }}'}}\n");
    json_decref(world_json(world, "POST", "/api/v1/dags/names/runs", "{}", 201));
    pthread_mutex_lock(&world->lock);
    registry_init(&registry, world->store);
    assert_true(
        question_init(&question, world->store, &registry, &world->kept, NULL, world->home, &err));
    question.core = world->core;
    struct wire_bytes text = question_run_text(&question, (struct nx_run_id){1});
    json_t *context = json_loadb(text.p, text.n, 0, NULL);
    json_t *secrets = json_object_get(context, "secrets");
    assert_int_equal(json_object_size(secrets), 2);
    assert_string_equal(text_of(secrets, "token"), "hunter2");
    assert_string_equal(text_of(secrets, "third"), "hunter2");
    json_decref(context);
    question_fini(&question);
    registry_fini(&registry);
    pthread_mutex_unlock(&world->lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_pool_is_made_changed_and_taken_away),
        T(what_is_kept_is_checked),
        T(variables_are_listed_with_those_of_the_file),
        T(a_secret_goes_in_and_never_out),
        T(without_its_key_a_secret_is_an_error_and_no_new_key_is_made),
        T(a_secret_counts_under_its_own_name_alone),
        T(what_is_kept_is_there_after_a_restart),
        T(a_run_gets_the_secrets_that_its_dag_names_and_no_others),
        T(a_connection_is_kept_and_shown_without_its_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
