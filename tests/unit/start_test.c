#include "worker/start.h"

#include <jansson.h>
#include <sys/stat.h>

#include "lib/base/path.h"
#include "nexus/limits.h"
#include "tests/unit/test.h"

#define TEXT(s) wire_text(s, sizeof(s) - 1)

static struct ledger_start lease(void)
{
    return (struct ledger_start){.order = {.kind = WIRE_LEASE,
                                           .inst = {{12}, 3, NX_MAP_NONE},
                                           .lease = 4,
                                           .attempt = 2,
                                           .max_attempts = 3,
                                           .version = 7,
                                           .cpus_milli = 2500,
                                           .task_id = TEXT("load"),
                                           .outputs = TEXT("{\"up\": {\"x\": 1}}")},
                                 .definition_id = 5,
                                 .definition = TEXT("{}"),
                                 .run =
                                     TEXT("{\"params\": {\"p\": 5}, \"run\": {\"id\": \"12\"}}")};
}

static const struct start_places PLACES = {"/home",    "/project", "http://u",
                                           "nexus:w:", "/none",    NULL};

static json_t *context_of(const struct child_start *start)
{
    json_error_t error;
    json_t *json = json_loadb(start->context.at, start->context.n, 0, &error);
    assert_non_null(json);
    return json;
}

static void the_context_is_the_runs_with_task_and_outputs(void **state)
{
    (void)state;
    struct start_texts texts = {0};
    struct child_start start;
    struct nx_err err;
    struct ledger_start mine = lease();
    assert_true(start_fill(&mine, &PLACES, &texts, &start, &err));
    json_t *json = context_of(&start), *task = json_object_get(json, "task");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "params"), "p")), 5);
    assert_string_equal(json_string_value(json_object_get(task, "id")), "load");
    assert_int_equal(json_integer_value(json_object_get(task, "attempt")), 2);
    assert_int_equal(json_integer_value(json_object_get(task, "max_attempts")), 3);
    assert_true(json_is_null(json_object_get(task, "map_index")));
    json_t *up = json_object_get(json_object_get(json, "outputs"), "up");
    assert_int_equal(json_integer_value(json_object_get(up, "x")), 1);
    json_decref(json);
    assert_string_equal(start.key.at, "12.load.-1.2");
    assert_string_equal(start.mark.at, "nexus:w:12.load.-1.2.4;");
    assert_int_equal(start.cpus, 2);
    assert_string_equal(start.files.at, "");
    start_texts_fini(&texts);
}

static void an_empty_run_and_no_outputs_are_an_object_too(void **state)
{
    (void)state;
    struct start_texts texts = {0};
    struct child_start start;
    struct nx_err err;
    struct ledger_start mine = lease();
    mine.run = TEXT("{ }");
    mine.order.outputs = wire_text(NULL, 0);
    mine.order.inst.map = 6;
    mine.order.item = TEXT("[1]");
    assert_true(start_fill(&mine, &PLACES, &texts, &start, &err));
    json_t *json = context_of(&start);
    assert_int_equal(json_object_size(json_object_get(json, "outputs")), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "index")), 6);
    assert_int_equal(json_array_size(json_object_get(json, "item")), 1);
    json_decref(json);
    start_texts_fini(&texts);
}

static void no_mark_begins_with_another_one(void **state)
{
    (void)state;
    struct start_texts a = {0}, b = {0};
    struct child_start start;
    struct nx_err err;
    struct ledger_start mine = lease();
    mine.order.lease = 1;
    assert_true(start_fill(&mine, &PLACES, &a, &start, &err));
    mine.order.lease = 12;
    assert_true(start_fill(&mine, &PLACES, &b, &start, &err));
    assert_int_not_equal(strncmp(b.mark, a.mark, strlen(a.mark)), 0);
    start_texts_fini(&a);
    start_texts_fini(&b);
}

static void outputs_too_large_for_a_lease_are_read_from_their_artifact(void **state)
{
    (void)state;
    char root[] = "/tmp/nexus-start-XXXXXX", path[256];
    static const char digits[] = "ab34567890123456789012345678901234567890123456789012345678901234";
    char outputs[128];
    struct start_texts texts = {0};
    struct child_start start;
    struct nx_err err;
    struct ledger_start mine = lease();
    struct start_places places = PLACES;
    assert_non_null(mkdtemp(root));
    places.artifacts = root;
    snprintf(outputs, sizeof outputs, "{\"artifact\": \"sha256:%s\"}", digits);
    mine.order.outputs = wire_text(outputs, strlen(outputs));
    assert_false(start_fill(&mine, &places, &texts, &start, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    snprintf(path, sizeof path, "%s/sha256/ab", root);
    assert_true(path_make_folders(path, &err));
    snprintf(path, sizeof path, "%s/sha256/ab/%s", root, digits);
    assert_true(path_write(path, "{\"up\": [1, 2]}", 14, &err));
    assert_true(start_fill(&mine, &places, &texts, &start, &err));
    json_t *json = context_of(&start);
    assert_int_equal(json_array_size(json_object_get(json_object_get(json, "outputs"), "up")), 2);
    json_decref(json);
    start_texts_fini(&texts);
    path_remove_tree(root, NULL);
}

static void nonsense_from_the_scheduler_is_refused(void **state)
{
    (void)state;
    struct start_texts texts = {0};
    struct child_start start;
    struct nx_err err;
    struct ledger_start mine = lease();
    mine.run = TEXT("[]");
    assert_false(start_fill(&mine, &PLACES, &texts, &start, &err));
    mine = lease();
    mine.order.outputs = TEXT("7");
    assert_false(start_fill(&mine, &PLACES, &texts, &start, &err));
    mine = lease();
    mine.order.task_id = TEXT("a\0b");
    assert_false(start_fill(&mine, &PLACES, &texts, &start, &err));
    mine.order.task_id = wire_text(NULL, 0);
    assert_false(start_fill(&mine, &PLACES, &texts, &start, &err));
    assert_int_equal(err.code, NX_E_INVALID);
    start_texts_fini(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_context_is_the_runs_with_task_and_outputs),
        cmocka_unit_test(an_empty_run_and_no_outputs_are_an_object_too),
        cmocka_unit_test(no_mark_begins_with_another_one),
        cmocka_unit_test(outputs_too_large_for_a_lease_are_read_from_their_artifact),
        cmocka_unit_test(nonsense_from_the_scheduler_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
