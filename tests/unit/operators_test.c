/* Every operator's descriptor keeps what include/nexus/operator.h promises. */
#include <math.h>

#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "lib/text/yaml.h"
#include "tasks/catalog.h"
#include "tasks/table.h"
#include "tests/unit/test.h"

/* Calls each operator's check; says which operator failed. */
static void each(void (*check)(const struct nx_operator *op))
{
    size_t n;
    const struct nx_operator *const *operators = table_operators(&n);
    assert_true(n >= 3);
    for (size_t i = 0; i < n; i++) {
        print_message("    %s\n", operators[i]->name);
        check(operators[i]);
    }
}

static void operators_are_ordered_and_found_by_name(void **state)
{
    (void)state;
    size_t n;
    const struct nx_operator *const *operators = table_operators(&n);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(table_find(operators[i]->name), operators[i]);
        if (i > 0)
            assert_true(strcmp(operators[i - 1]->name, operators[i]->name) < 0);
    }
    assert_null(table_find("no.such"));
}

static void check_head(const struct nx_operator *op)
{
    const char *dot = strchr(op->name, '.');
    assert_true(dot && dot > op->name && dot[1]);
    assert_true(op->version >= 1);
    assert_true(op->summary && strlen(op->summary) > 10);
    assert_true(strlen(op->summary) <= 160 && !strchr(op->summary, '\n'));
    assert_true(op->params && op->outputs && op->run);
}

static void operators_say_who_they_are(void **state)
{
    (void)state;
    each(check_head);
}

/* What is inside as well: descriptions are not deep. */
static void check_param(const struct nx_param *p)
{
    assert_true(p->name == NULL || str_is_id(p->name, false));
    if (p->each)
        check_param(p->each);
    for (const struct nx_members *m = p->members; m && m->params; m++) {
        assert_true(!m->when || strchr(m->when, '='));
        for (const struct nx_param *member = m->params; member->name; member++)
            check_param(member);
    }
    assert_true(!p->members || p->type == NX_T_OBJECT);
    assert_true(!p->each || p->type == NX_T_OBJECT || p->type == NX_T_LIST);
    assert_true(p->help && p->help[0] && p->help[strlen(p->help) - 1] == '.');
    assert_true((p->type == NX_T_ENUM || p->type == NX_T_CONN) == (p->choices != NULL));
    assert_false((p->flags & NX_P_REQUIRED) && p->fallback);
    if (p->flags & NX_P_HAS_MIN)
        assert_true(isfinite(p->min));
    if ((p->flags & NX_P_HAS_MIN) && (p->flags & NX_P_HAS_MAX))
        assert_true(p->min <= p->max);
}

static void check_params(const struct nx_operator *op)
{
    for (const struct nx_param *p = op->params; p->name; p++) {
        assert_non_null(p->name);
        check_param(p);
        for (const struct nx_param *q = op->params; q < p; q++)
            assert_string_not_equal(p->name, q->name);
    }
    for (const struct nx_port *p = op->outputs; p->name; p++) {
        assert_true(str_is_id(p->name, false));
        assert_true(p->help && p->help[0]);
    }
}

static void parameters_and_outputs_are_described(void **state)
{
    (void)state;
    each(check_params);
}

static void check_fallbacks(const struct nx_operator *op)
{
    struct nx_err err = {0};
    json_t *entry = catalog_entry(op);
    for (const struct nx_param *p = op->params; p->name; p++) {
        if (!p->fallback)
            continue;
        json_t *value = js_read(p->fallback, strlen(p->fallback), p->name, &err);
        const json_t *param = catalog_param(entry, p->name, NULL);
        bool ok = value && (json_is_null(value) || arg_check(param, value, NULL, &err));
        if (!ok)
            fail_msg("the default of %s: %s", p->name, err.text);
        json_decref(value);
    }
    json_decref(entry);
}

static void defaults_are_values_that_the_parameter_takes(void **state)
{
    (void)state;
    each(check_fallbacks);
}

/* The one task of the example: a mapping with `uses` and `with`. */
static json_t *read_example(const struct nx_operator *op, struct arena *arena)
{
    struct problems problems;
    struct yaml_node **docs;
    size_t n;
    problems_init(&problems);
    if (!yaml_parse(arena, "example", op->example, strlen(op->example), &docs, &n, &problems))
        fail_msg("the example: line %d: %s", problems.at[0].line, problems.at[0].message);
    problems_fini(&problems);
    assert_int_equal(n, 1);
    json_t *json = yaml_json(docs[0]);
    assert_int_equal(json_object_size(json), 1);
    json_t *task = json_object_iter_value(json_object_iter(json));
    json_incref(task);
    json_decref(json);
    return task;
}

static void check_argument(const json_t *entry, const char *name, const json_t *value)
{
    struct nx_err err;
    const json_t *param = catalog_param(entry, name, NULL);
    if (!param)
        fail_msg("the example gives '%s', which is no parameter", name);
    if (json_is_string(value) && template_has_expression(json_string_value(value)))
        return;
    if (json_is_object(value) || json_is_array(value))
        return; /* may have expressions inside */
    if (!arg_check(param, value, NULL, &err))
        fail_msg("the example's %s: %s", name, err.text);
}

static void check_example(const struct nx_operator *op)
{
    struct arena arena;
    const char *name;
    json_t *value;
    assert_non_null(op->example);
    arena_init(&arena);
    json_t *entry = catalog_entry(op), *task = read_example(op, &arena);
    json_t *with = json_object_get(task, "with");
    assert_string_equal(js_get_text(task, "uses", ""), op->name);
    json_object_foreach(with, name, value) check_argument(entry, name, value);
    for (const struct nx_param *p = op->params; p->name; p++)
        if ((p->flags & NX_P_REQUIRED) && !json_object_get(with, p->name))
            fail_msg("the example lacks '%s', which is required", p->name);
    json_decref(task);
    json_decref(entry);
    arena_fini(&arena);
}

static void examples_use_their_operator_as_it_is(void **state)
{
    (void)state;
    each(check_example);
}

static void the_catalog_names_every_operator_and_reads_back(void **state)
{
    (void)state;
    struct buf text = {0};
    struct nx_err err;
    size_t n;
    const struct nx_operator *const *operators = table_operators(&n);
    catalog_write(&text);
    json_t *catalog = js_read(buf_text(&text), text.len, "catalog", &err);
    assert_non_null(catalog);
    assert_int_equal(json_array_size(catalog), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = catalog_find(catalog, operators[i]->name, NULL);
        json_t *same = catalog_entry(operators[i]);
        assert_non_null(entry);
        assert_true(json_equal(entry, same));
        json_decref(same);
    }
    json_decref(catalog);
    buf_fini(&text);
}

/* The checker of DAG files knows by name who waits: it reads stored versions without the catalog.
 */
static void operators_that_wait_are_flagged_as_the_checker_knows_them(void **state)
{
    size_t n;
    const struct nx_operator *const *operators = table_operators(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        static const char *const core[] = {"flow.approve",     "flow.branch",        "flow.join",
                                           "flow.latest_only", "flow.short_circuit", "flow.trigger",
                                           "wait.dataset",     "wait.for",           "wait.until"};
        static const char *const poke[] = {"wait.file", "wait.http", "wait.sql"};
        bool by_core = false, by_look = false;
        for (size_t k = 0; k < sizeof core / sizeof *core; k++)
            by_core = by_core || str_eq(operators[i]->name, core[k]);
        for (size_t k = 0; k < 3; k++)
            by_look = by_look || str_eq(operators[i]->name, poke[k]);
        assert_int_equal(by_core, (operators[i]->flags & NX_OP_CORE) != 0);
        assert_int_equal(by_look, (operators[i]->flags & NX_OP_POKE) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_are_ordered_and_found_by_name),
        cmocka_unit_test(operators_say_who_they_are),
        cmocka_unit_test(parameters_and_outputs_are_described),
        cmocka_unit_test(defaults_are_values_that_the_parameter_takes),
        cmocka_unit_test(examples_use_their_operator_as_it_is),
        cmocka_unit_test(operators_that_wait_are_flagged_as_the_checker_knows_them),
        cmocka_unit_test(the_catalog_names_every_operator_and_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
