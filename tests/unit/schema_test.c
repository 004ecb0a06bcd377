#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/dag/keys.h"
#include "scheduler/dag/spec.h"
#include "tests/unit/test.h"

#define DOC "docs/dag-file.md"

static const char catalog_text[] = "[{\"name\": \"ml.train\", \"params\": [{\"name\": \"table\", "
                                   "\"type\": \"table\", \"required\": "
                                   "true}, {\"name\": \"rounds\", \"type\": \"int\", \"min\": 1}, "
                                   "{\"name\": \"algorithm\", \"type\": "
                                   "\"enum\", \"choices\": [\"boosting\"]}]}]";

static json_t *at(json_t *o, const char *path)
{
    char part[64];
    while (o && *path) {
        size_t n = strcspn(path, "/");
        memcpy(part, path, n);
        part[n] = 0;
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(part)) : json_object_get(o, part);
        path += n + (path[n] == '/');
    }
    return o;
}

static void the_schema_has_every_supported_key_and_no_other(void **state)
{
    (void)state;
    json_t *catalog = json_loads(catalog_text, 0, NULL);
    json_t *schema = spec_schema(catalog);
    static const struct {
        enum key_scope scope;
        const char *path;
    } places[] = {{KEY_DAG, "properties"},
                  {KEY_TASK, "$defs/task/properties"},
                  {KEY_DEFAULTS, "$defs/defaults/properties"},
                  {KEY_PARAM, "$defs/param/properties"},
                  {KEY_RESOURCES, "$defs/resources/properties"},
                  {KEY_RETRY_ON, "$defs/retry_on/properties"},
                  {KEY_CONCURRENCY, "$defs/concurrency/properties"}};
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        json_t *properties = at(schema, places[p].path);
        size_t n = 0;
        for (size_t i = 0; i < key_count(); i++) {
            const struct key *key = &key_table[i];
            if (!(key->scopes & places[p].scope))
                continue;
            bool present = json_object_get(properties, key->name) != NULL;
            if (present != (key->help != NULL))
                fail_msg("%s/%s", places[p].path, key->name);
            n += present;
        }
        assert_int_equal(json_object_size(properties), n);
    }
    assert_string_equal(json_string_value(at(schema, "properties/defaults/$ref")),
                        "#/$defs/defaults");
    assert_int_equal(json_array_size(at(schema, "$defs/task/properties/trigger_rule/enum")), 12);
    assert_int_equal(json_integer_value(at(schema, "$defs/task/properties/retries/maximum")), 1000);
    assert_string_equal(json_string_value(at(schema, "$defs/task/properties/uses/enum/0")),
                        "ml.train");
    static const char *const lists[] = {"$defs/task/properties/for_each/anyOf/0/type",
                                        "$defs/group/properties/for_each/anyOf/0/type"};
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(json_string_value(at(schema, lists[i])), "array");
    json_t *then = at(schema, "$defs/task/allOf/0/then/properties/with");
    assert_string_equal(json_string_value(at(then, "required/0")), "table");
    assert_int_equal(json_integer_value(at(then, "properties/rounds/anyOf/0/minimum")), 1);
    json_decref(schema);
    json_decref(catalog);
}

static void a_schema_without_a_catalog_takes_any_operator(void **state)
{
    (void)state;
    json_t *schema = spec_schema(NULL);
    assert_null(at(schema, "$defs/task/properties/uses/enum"));
    assert_null(at(schema, "$defs/task/allOf"));
    json_decref(schema);
}

static void read_doc(struct buf *text)
{
    struct nx_err err;
    buf_init(text);
    if (!path_read(DOC, 1 << 20, text, &err))
        fail_msg("%s (the test runs in the project's folder)", err.text);
}

static void the_reference_has_the_keys_of_the_table(void **state)
{
    (void)state;
    struct buf doc, keys, whole;
    struct nx_err err;
    read_doc(&doc);
    buf_init(&keys);
    buf_init(&whole);
    spec_keys_markdown(&keys);
    const char *open = strstr(doc.data, "<!-- keys:"), *close = strstr(doc.data, "<!-- /keys -->");
    assert_non_null(open);
    assert_non_null(close);
    size_t head = (size_t)(open - doc.data) + strcspn(open, "\n") + 1;
    buf_add(&whole, doc.data, head);
    buf_add(&whole, keys.data, keys.len);
    buf_str(&whole, close);
    if (getenv("UPDATE_DOCS"))
        assert_true(path_write(DOC, whole.data, whole.len, &err));
    else if (!str_eq(whole.data, doc.data))
        fail_msg("the tables of keys in %s are old: UPDATE_DOCS=1 writes them", DOC);
    buf_fini(&whole);
    buf_fini(&keys);
    buf_fini(&doc);
}

static void the_examples_of_the_reference_are_good_dags(void **state)
{
    (void)state;
    struct buf doc;
    int n = 0;
    read_doc(&doc);
    for (const char *s = doc.data; (s = strstr(s, "```yaml\n")); n++) {
        s += 8;
        const char *end = strstr(s, "\n```");
        struct spec **specs;
        size_t n_specs;
        struct problems problems;
        problems_init(&problems);
        if (!spec_read(DOC, s, (size_t)(end - s) + 1, NULL, NULL, &specs, &n_specs, &problems))
            fail_msg("example %d: %d:%d: %s", n + 1, problems.at[0].line, problems.at[0].column,
                     problems.at[0].message);
        for (size_t i = 0; i < n_specs; i++)
            spec_free(specs[i]);
        mem_free(specs);
        problems_fini(&problems);
    }
    assert_true(n >= 3);
    buf_fini(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_has_every_supported_key_and_no_other),
        cmocka_unit_test(a_schema_without_a_catalog_takes_any_operator),
        cmocka_unit_test(the_reference_has_the_keys_of_the_table),
        cmocka_unit_test(the_examples_of_the_reference_are_good_dags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
