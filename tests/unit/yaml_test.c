#include "lib/base/mem.h"
#include "lib/text/json.h"
#include "lib/text/yaml.h"
#include "nexus/limits.h"
#include "tests/unit/test.h"

struct parsed {
    struct arena arena;
    struct problems problems;
    struct yaml_node **docs;
    size_t n_docs;
    bool ok;
};

static struct parsed parse_n(const char *text, size_t n)
{
    struct parsed p = {0};
    arena_init(&p.arena);
    problems_init(&p.problems);
    p.ok = yaml_parse(&p.arena, "a.yaml", text, n, &p.docs, &p.n_docs, &p.problems);
    return p;
}

static struct parsed parse(const char *text)
{
    return parse_n(text, strlen(text));
}

static void done(struct parsed *p)
{
    problems_fini(&p->problems);
    arena_fini(&p->arena);
}

/* The first problem as text. */
static void expect_problem(const char *text, const char *expected)
{
    struct parsed p = parse(text);
    struct buf buf;
    buf_init(&buf);
    assert_false(p.ok);
    assert_true(p.problems.n >= 1);
    problem_text(&p.problems.at[0], &buf);
    assert_string_equal(buf_text(&buf), expected);
    buf_fini(&buf);
    done(&p);
}

static void a_mistake_of_one_node_does_not_hide_the_rest(void **state)
{
    (void)state;
    struct parsed p =
        parse("base: &b {run: x, env: 1}\na: {<<: *b, run: y}\nb: !t 5\nb: 1\n? [c]\n: 1\n"
              "d: !l [1]\ne: {<<: [*b, *b]}\n");
    assert_false(p.ok);
    assert_int_equal(p.problems.n_errors, 6);
    assert_int_equal(p.n_docs, 1);
    const struct yaml_node *root = p.docs[0], *a = yaml_get(root, "a");
    assert_int_equal(root->n, 6); /* base a b b d e */
    assert_int_equal(a->n, 2);
    assert_string_equal(yaml_get(a, "run")->text, "y");
    assert_string_equal(yaml_get(a, "env")->text, "1");
    assert_int_equal(yaml_type(yaml_get(root, "b")), YAML_TYPE_INT);
    assert_int_equal(yaml_get(root, "e")->n, 2);
    done(&p);
}

static void a_tree_knows_values_and_places(void **state)
{
    (void)state;
    struct parsed p = parse("id: x\ntasks:\n  one:\n    run: echo é 'a'\n    needs: [a, \"b\"]\n");
    assert_true(p.ok);
    assert_int_equal(p.n_docs, 1);
    struct yaml_node *one = yaml_get(yaml_get(p.docs[0], "tasks"), "one");
    struct yaml_node *needs = yaml_get(one, "needs");
    assert_int_equal(needs->kind, YAML_KIND_LIST);
    assert_int_equal(needs->n, 2);
    assert_int_equal(needs->line, 5);
    assert_int_equal(needs->column, 12);
    assert_string_equal(needs->items[1]->text, "b");
    assert_int_equal(needs->items[1]->column, 16);
    assert_int_equal(needs->items[1]->style, YAML_STYLE_DOUBLE);
    assert_string_equal(yaml_get(one, "run")->text, "echo é 'a'");
    assert_null(yaml_get(one, "uses"));
    done(&p);
}

static void scalars_are_typed_by_the_core_schema(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum yaml_type type;
    } cases[] = {{"yes", YAML_TYPE_STRING},   {"on", YAML_TYPE_STRING},
                 {"true", YAML_TYPE_BOOL},    {"False", YAML_TYPE_BOOL},
                 {"12", YAML_TYPE_INT},       {"-0x1F", YAML_TYPE_STRING},
                 {"0x1F", YAML_TYPE_INT},     {"0o17", YAML_TYPE_INT},
                 {"1e3", YAML_TYPE_FLOAT},    {".5", YAML_TYPE_FLOAT},
                 {"1.", YAML_TYPE_FLOAT},     {".", YAML_TYPE_STRING},
                 {"1e", YAML_TYPE_STRING},    {"-.inf", YAML_TYPE_FLOAT},
                 {"~", YAML_TYPE_NULL},       {"null", YAML_TYPE_NULL},
                 {"'12'", YAML_TYPE_STRING},  {"!!str 12", YAML_TYPE_STRING},
                 {"12:30", YAML_TYPE_STRING}, {"2001-01-01", YAML_TYPE_STRING},
                 {"1_000", YAML_TYPE_STRING}, {"99999999999999999999", YAML_TYPE_FLOAT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p = parse(cases[i].text);
        assert_int_equal(p.n_docs, 1);
        if (yaml_type(p.docs[0]) != cases[i].type)
            fail_msg("%s is %s", cases[i].text, yaml_type_name(p.docs[0]));
        done(&p);
    }
}

static void several_documents_are_several_trees(void **state)
{
    (void)state;
    struct parsed p = parse("a: 1\n---\nb: 2\n---\n");
    assert_true(p.ok);
    assert_int_equal(p.n_docs, 3);
    assert_non_null(yaml_get(p.docs[1], "b"));
    assert_int_equal(p.docs[1]->line, 3);
    assert_true(yaml_is_null(p.docs[2]));
    done(&p);
    p = parse("# nothing\n");
    assert_true(p.ok);
    assert_int_equal(p.n_docs, 0);
    done(&p);
}

static void aliases_share_and_are_bounded(void **state)
{
    (void)state;
    struct parsed p = parse("a: &x {k: 1}\nb: *x\n");
    assert_true(p.ok);
    assert_ptr_equal(yaml_get(p.docs[0], "a"), yaml_get(p.docs[0], "b"));
    done(&p);
    struct buf buf;
    buf_init(&buf);
    buf_str(&buf, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++)
        buf_printf(&buf, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    p = parse(buf.data);
    assert_false(p.ok);
    assert_non_null(strstr(p.problems.at[0].message, "aliases make more than"));
    done(&p);
    buf_clear(&buf);
    buf_str(&buf, "a0: &a0 [x]\n"); /* a tower of aliases is as deep as what it writes out */
    for (int i = 1; i < 100; i++)
        buf_printf(&buf, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    p = parse(buf.data);
    assert_false(p.ok);
    assert_non_null(strstr(p.problems.at[0].message, "nested deeper than 64"));
    done(&p);
    buf_fini(&buf);
    expect_problem("a: &x [*x]\n", "a.yaml:1:8: error: the alias *x stands inside what it names");
    expect_problem("a: *y\n", "a.yaml:1:4: error: the alias *y has no anchor &y before it");
}

static void a_doubled_key_names_both_places(void **state)
{
    (void)state;
    expect_problem("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: error: the key 'a' is here twice (the first "
                                         "is at a.yaml:1:1)");
    struct buf buf;
    buf_init(&buf);
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "k%d: 1\n", i);
    buf_str(&buf, "k3: 1\nk999: 1\n");
    struct parsed p = parse(buf.data);
    assert_int_equal(p.problems.n, 2);
    assert_int_equal(p.problems.at[1].line, 1002);
    assert_int_equal(p.n_docs, 1); /* the tree is there all the same */
    done(&p);
    buf_fini(&buf);
}

static void what_is_not_yaml_is_told_with_place_and_remedy(void **state)
{
    (void)state;
    expect_problem("a:\n\tb: 1\n", "a.yaml:2:1: error: not YAML: found character that cannot start "
                                   "any token while scanning for the next token at line 2 (YAML "
                                   "is indented with spaces, not with tabs)");
    expect_problem("a: {table: ${{ x }}, b: 1}\n",
                   "a.yaml:1:13: error: not YAML: did not find expected ',' or '}' while parsing a "
                   "flow mapping at line 1 (put quotes around ${{ }} here: \"${{ ... }}\")");
    expect_problem("a: b: c\n", "a.yaml:1:5: error: not YAML: mapping values are not allowed in "
                                "this context (a text with ': ' in it needs quotes)");
    expect_problem("a: !ruby/object x\n",
                   "a.yaml:1:4: error: the tag '!ruby/object' is not supported (leave it out)");
    struct parsed raw = parse_n("a: 1\nb: \0\n", 10);
    assert_int_equal(raw.problems.at[0].line, 2);
    assert_int_equal(raw.problems.at[0].column, 4);
    done(&raw);
    expect_problem("a: \"x\\0y\"\n", "a.yaml:1:4: error: a text must not hold a zero character");
    expect_problem("[a, b]: 1\n", "a.yaml:1:1: error: a key must be a text, not a list");
    struct parsed p = parse_n("a: x\nb: \xff\n", 10);
    assert_false(p.ok);
    assert_int_equal(p.problems.at[0].line, 2);
    assert_int_equal(p.problems.at[0].column, 4);
    done(&p);
    char deep[400];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    p = parse(deep);
    assert_false(p.ok);
    assert_non_null(strstr(p.problems.at[0].message, "nested deeper than 64"));
    done(&p);
    p = parse_n("\xef\xbb\xbf"
                "a: 1\n",
                8);
    assert_true(p.ok);
    done(&p);
}

/* The place of the letter Q in the value must be its place in the text. */
static void expect_place(const char *text)
{
    struct parsed p = parse(text);
    int line, column, want_line = 1, want_column = 1;
    assert_true(p.ok);
    for (const char *s = text; *s != 'Q'; s++) {
        want_column = *s == '\n' ? 1 : want_column + (((unsigned char)*s & 0xc0) != 0x80);
        want_line += *s == '\n';
    }
    const struct yaml_node *node = yaml_get(p.docs[0], "a");
    yaml_place(node, (size_t)(strchr(node->text, 'Q') - node->text), &line, &column);
    if (line != want_line || column != want_column)
        fail_msg("%s: %d:%d, not %d:%d", text, line, column, want_line, want_column);
    done(&p);
}

static void a_byte_of_a_scalar_has_its_place_in_the_file(void **state)
{
    (void)state;
    expect_place("a: x é Q y\n");
    expect_place("a: one\n  two\n  Q three\n");
    expect_place("a: 'it''s é Q'\n");
    expect_place("a: \"tab\\t quote\\\" \\u00e9 \\x41 Q\"\n");
    expect_place("a: |\n  one\n\n    two Q\n  three\n");
    expect_place("a: >-  # folded\n  one\n  two Q\n");
    expect_place("a: &anchor x Q\n");
}

static void json_of_a_tree_keeps_types_and_order(void **state)
{
    (void)state;
    struct parsed p = parse("z: 1\na: [true, ~, 0.1, 1.0, yes, '2']\nm: {}\n");
    json_t *value = yaml_json(p.docs[0]);
    char *text = js_text(value);
    assert_string_equal(text, "{\"z\":1,\"a\":[true,null,0.1,1.0,\"yes\",\"2\"],\"m\":{}}");
    mem_free(text);
    struct buf buf;
    buf_init(&buf);
    js_add_canonical(&buf, value);
    assert_string_equal(buf_text(&buf),
                        "{\"a\":[true,null,0.1,1.0,\"yes\",\"2\"],\"m\":{},\"z\":1}");
    buf_fini(&buf);
    json_decref(value);
    done(&p);
}

static void json_reads_with_a_place_in_its_errors(void **state)
{
    (void)state;
    struct nx_err err;
    json_t *value = js_read("{\"a\": 1.5e300, \"b\": -9007199254740993}", 38, "body", &err);
    assert_non_null(value);
    char *text = js_text(value);
    assert_string_equal(text, "{\"a\":1.5e+300,\"b\":-9007199254740993}");
    mem_free(text);
    json_decref(value);
    assert_null(js_read("{\"a\":\n 1,}", 10, "body", &err));
    assert_int_equal(err.code, NX_E_INVALID);
    assert_non_null(strstr(err.text, "body:2:4:"));
    assert_null(js_read("{\"a\":1,\"a\":2}", 13, "body", &err));
    assert_null(js_read("", 0, "body", &err));
    assert_string_equal(err.text, "body: empty, JSON expected");
    value = js_stringn("a\xff"
                       "b",
                       3);
    assert_string_equal(json_string_value(value), "a\xef\xbf\xbd"
                                                  "b");
    json_decref(value);
}

static void times_durations_and_sizes_read_back(void **state)
{
    (void)state;
    int64_t v = 0;
    json_t *value = js_time(981173106000);
    assert_string_equal(json_string_value(value), "2001-02-03T04:05:06.000Z");
    assert_true(js_wall_ms(value, &v) && v == 981173106000);
    json_decref(value);
    value = json_real(0.25);
    assert_true(js_duration_ms(value, &v) && v == 250);
    assert_false(js_size_bytes(value, &v));
    json_decref(value);
    value = js_seconds(1500);
    assert_true(json_is_real(value));
    json_decref(value);
    value = json_string("1K");
    assert_true(js_size_bytes(value, &v) && v == 1024);
    json_decref(value);
}

static void problems_are_sorted_bounded_and_shown(void **state)
{
    (void)state;
    struct problems problems;
    problems_init(&problems);
    for (int i = 0; i < NX_DAG_ERRORS_MAX + 5; i++)
        problem_add(&problems, PROBLEM_ERROR, "f", 1000 - i, 1, "p%d", i);
    assert_int_equal(problems.n, NX_DAG_ERRORS_MAX);
    assert_int_equal(problems.n_errors, NX_DAG_ERRORS_MAX + 5);
    assert_int_equal(problems.n_dropped, 5);
    problems_sort(&problems);
    for (size_t i = 1; i < problems.n; i++)
        assert_true(problems.at[i - 1].line < problems.at[i].line);
    json_t *list = problems_json(&problems);
    assert_int_equal(json_array_size(list), NX_DAG_ERRORS_MAX);
    assert_true(json_is_null(json_object_get(json_array_get(list, 0), "hint")));
    json_decref(list);
    problems_fini(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_knows_values_and_places),
        cmocka_unit_test(a_mistake_of_one_node_does_not_hide_the_rest),
        cmocka_unit_test(scalars_are_typed_by_the_core_schema),
        cmocka_unit_test(several_documents_are_several_trees),
        cmocka_unit_test(aliases_share_and_are_bounded),
        cmocka_unit_test(a_doubled_key_names_both_places),
        cmocka_unit_test(what_is_not_yaml_is_told_with_place_and_remedy),
        cmocka_unit_test(a_byte_of_a_scalar_has_its_place_in_the_file),
        cmocka_unit_test(json_of_a_tree_keeps_types_and_order),
        cmocka_unit_test(json_reads_with_a_place_in_its_errors),
        cmocka_unit_test(times_durations_and_sizes_read_back),
        cmocka_unit_test(problems_are_sorted_bounded_and_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
