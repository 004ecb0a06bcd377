#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/script/script.h"
#include "lib/script/typed.h"
#include "lib/text/json.h"
#include "tests/unit/test.h"

static json_t *json(const char *text)
{
    struct nx_err err;
    json_t *value = js_read(text, strlen(text), "test", &err);
    if (!value)
        fail_msg("%s", err.text);
    return value;
}

static void set(struct script *script, const char *root, const char *text)
{
    json_t *value = json(text);
    script_set(script, root, value);
    json_decref(value);
}

static struct script *make(void)
{
    struct script *script = script_new();
    set(script, "params", "{\"days\": 60, \"name\": \"it's\", \"none\": null}");
    set(script, "run",
        "{\"id\": \"7\", \"interval\": {\"start\": \"2001-01-31T00:00:00.000Z\", "
        "\"finish\": \"2001-02-01T00:00:00.000Z\"}, \"created_at\": \"2001-02-03T04:05:06.007Z\"}");
    set(script, "outputs",
        "{\"train\": {\"roc_auc\": 0.75, \"n\": 3, \"items\": [1, null, \"x\"], \"empty\": [], "
        "\"map\": {}, \"big\": 9007199254740993}, \"skipped\": {}, "
        "\"nulls\": [{\"b\": 1, \"a\": null}, {\"a\": null}]}");
    return script;
}

static void expect(struct script *script, const char *expression, const char *expected)
{
    struct nx_err err;
    json_t *value = NULL;
    if (!script_eval(script, expression, SCRIPT_TIMES_TEXT, &value, &err))
        fail_msg("%s", err.text);
    char *text = js_text(value);
    if (strcmp(text, expected) != 0)
        fail_msg("%s gives %s, not %s", expression, text, expected);
    mem_free(text);
    json_decref(value);
}

static void params_have_the_type_that_is_declared(void **state)
{
    (void)state;
    struct script *script = script_new();
    json_t *params =
        json("{\"d\": \"2001-01-31\", \"t\": \"2001-01-31T03:00:00Z\", \"w\": \"1h30m\","
             " \"s\": \"2001-01-31\", \"old\": \"1969-12-31\", \"bad\": \"x\", \"n\": null,"
             " \"secs\": 90}");
    json_t *declared =
        json("[{\"name\": \"d\", \"type\": \"date\"}, {\"name\": \"t\", \"type\": \"time\"},"
             " {\"name\": \"w\", \"type\": \"duration\"}, {\"name\": \"s\", \"type\": "
             "\"string\"}, {\"name\": \"old\", \"type\": \"date\"},"
             " {\"name\": \"bad\", \"type\": \"date\"}, {\"name\": \"n\", \"type\": \"time\"},"
             " {\"name\": \"secs\", \"type\": \"duration\"}]");
    params_type(params, declared);
    script_set(script, "params", params);
    expect(script, "params.d + days(1)", "\"2001-02-01\"");
    expect(script, "params.d:format('%d.%m.%Y')", "\"31.01.2001\"");
    expect(script, "params.old - days(1)", "\"1969-12-30\"");
    expect(script, "params.t + params.w", "\"2001-01-31T04:30:00.000Z\"");
    expect(script, "params.w", "5400");
    expect(script, "params.w.hours", "1.5");
    expect(script, "params.secs == seconds(90)", "true");
    expect(script, "params.s .. '!'", "\"2001-01-31!\"");
    expect(script, "'from ' .. params.d", "\"from 2001-01-31\"");
    expect(script, "params.bad", "\"x\"");
    expect(script, "params.n", "null");
    json_decref(params);
    json_decref(declared);
    script_free(script);
}

static void expect_error(struct script *script, const char *expression, enum nx_code code,
                         const char *part)
{
    struct nx_err err;
    json_t *value = NULL;
    if (script_eval(script, expression, SCRIPT_TIMES_TEXT, &value, &err))
        fail_msg("%s is accepted", expression);
    if (err.code != code || !strstr(err.text, part))
        fail_msg("%s: %s '%s', not '%s'", expression, nx_code_info(err.code)->name, err.text, part);
}

static void expressions_compute_over_json_values(void **state)
{
    (void)state;
    struct script *script = make();
    static const char *const cases[][2] = {
        {"outputs.train.roc_auc > 0.70", "true"},
        {"params.days + 1", "61"},
        {"params.days / 2", "30.0"},
        {"params.days // 7", "8"},
        {"params.none", "null"},
        {"params.absent == nil", "true"},
        {"outputs.skipped.anything", "null"},
        {"outputs.train", "{\"big\":9007199254740993,\"empty\":[],\"items\":[1,null,\"x\"],\"map\":"
                          "{},\"n\":3,\"roc_auc\":0.75}"},
        {"params", "{\"days\":60,\"name\":\"it's\",\"none\":null}"},
        {"outputs.nulls", "[{\"a\":null,\"b\":1},{\"a\":null}]"},
        {"#outputs.train.items", "3"},
        {"outputs.train.items[3]", "\"x\""},
        {"{1, 2, {a = params.name}}", "[1,2,{\"a\":\"it's\"}]"},
        {"{b = 1, a = 2}", "{\"a\":2,\"b\":1}"},
        {"params.name .. ' ' .. 1.5", "\"it's 1.5\""},
        {"params.name:upper()", "\"IT'S\""},
        {"('a.b.c'):split('.')", "[\"a\",\"b\",\"c\"]"},
        {"('a.b'):replace('.', '-')", "\"a-b\""},
        {"('a.b'):find('.')", "2"},
        {"('  x '):trim()", "\"x\""},
        {"string.format('%05.1f|%s', 2.25, 'x')", "\"002.2|x\""},
        {"glob('data/*.csv', 'data/a.csv')", "true"},
        {"keys({b = 1, a = 2})", "[\"a\",\"b\"]"},
        {"max(1, 3, 2) + min({4, 2}) + sum({1, 2})", "8"},
        {"join({1, 'b', 2.5}, '-')", "\"1-b-2.5\""},
        {"json({a = {1, 2}})", "\"{\\\"a\\\":[1,2]}\""},
        {"contains({1, 'x'}, 'x') and contains('abc', 'bc')", "true"},
        {"default(params.none, 5)", "5"},
        {"round(2.5)", "3"},
        {"round(2.345, 2)", "2.35"},
        {"tonumber('12') + tonumber('0.5')", "12.5"},
        {"math.floor(2.7)", "2"},
        {"math.random == nil", "true"},
        {"(function(t) local s = 0 for _, k in pairs(t) do s = s + k end return s end)({a = 1, b = "
         "2})",
         "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(script, cases[i][0], cases[i][1]);
    script_free(script);
}

static void times_have_arithmetic_comparison_and_format(void **state)
{
    (void)state;
    struct script *script = make();
    static const char *const cases[][2] = {
        {"run.interval.start", "\"2001-01-31T00:00:00.000Z\""},
        {"run.interval.finish - days(params.days)", "\"2000-12-03T00:00:00.000Z\""},
        {"date(run.interval.start) + days(1)", "\"2001-02-01\""},
        {"date('2000-02-28') + days(2)", "\"2000-03-01\""},
        {"date('2001-01-31') + hours(1)", "\"2001-01-31T01:00:00.000Z\""},
        {"run.interval.finish - run.interval.start", "86400"},
        {"(run.interval.finish - run.interval.start) == days(1)", "true"},
        {"run.interval.start < run.interval.finish", "true"},
        {"run.interval.start == date('2001-01-31')", "true"},
        {"run.created_at:format('%Y/%m/%d %H:%M:%S %j')", "\"2001/02/03 04:05:06 034\""},
        {"run.created_at.weekday", "6"},
        {"(days(1) * 2 + hours(12)).days", "2.5"},
        {"days(3) / days(2)", "1.5"},
        {"'day ' .. date(run.interval.start)", "\"day 2001-01-31\""},
        {"time('2001-01-31T03:00:00+01:00')", "\"2001-01-31T02:00:00.000Z\""},
        {"type(run.interval.start)", "\"time\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(script, cases[i][0], cases[i][1]);
    expect_error(script, "run.interval.start < '2001-01-01'", NX_E_INVALID, "write date(");
    expect_error(script, "run.interval.start + 1", NX_E_INVALID, "only a duration");
    expect_error(script, "date('never')", NX_E_INVALID, "2001-01-31");
    expect_error(script, "date('9999-12-31') + days(2)", NX_E_INVALID, "years 1 to 9999");
    struct nx_err err;
    json_t *value = NULL;
    assert_true(script_eval(script, "{run.interval.start, date('1970-01-03')}", SCRIPT_TIMES_TYPED,
                            &value, &err));
    char *text = js_text(value);
    assert_string_equal(text, "[{\"timestamp_us\":980899200000000},{\"date_days\":2}]");
    script_set(script, "item", value);
    expect(script, "item[1] - item[2]", "980726400");
    mem_free(text);
    json_decref(value);
    script_free(script);
}

static void what_has_no_json_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct script *script = make();
    expect_error(script, "0/0", NX_E_INVALID, "not finite");
    expect_error(script, "math.floor", NX_E_INVALID, "a function, not a value: call it");
    expect_error(script, "{1, a = 2}", NX_E_INVALID, "neither a list nor an object");
    expect_error(script, "'\\xff'", NX_E_INVALID, "UTF-8");
    expect_error(script, "outputs.train.x.y", NX_E_INVALID,
                 "expression 'outputs.train.x.y': attempt to index a nil value (field 'x')");
    expect_error(script, "params.name + 1", NX_E_INVALID, "arithmetic on a string value");
    expect_error(script, "error('stop')", NX_E_INVALID, "stop");
    char *text;
    size_t n;
    struct nx_err err;
    assert_false(script_eval_text(script, "params.none", &text, &n, &err));
    assert_string_equal(err.text, "expression 'params.none': it is nil");
    script_free(script);
}

static void the_sandbox_has_no_way_out(void **state)
{
    (void)state;
    struct script *script = make();
    static const char *const escapes[] = {"os.exit(1)",
                                          "io.open('/etc/passwd')",
                                          "require('os')",
                                          "load('return 1')()",
                                          "dofile('/x')",
                                          "_G",
                                          "_ENV",
                                          "_ENV['secrets']",
                                          "rawset(params, 1, 2)",
                                          "setmetatable({}, {})",
                                          "getmetatable('')",
                                          "debug.getinfo(1)",
                                          "coroutine.wrap(1)",
                                          "collectgarbage()",
                                          "print(1)",
                                          "next({})",
                                          "pcall(error)",
                                          "package.loaded",
                                          "utf8.char(1)",
                                          "table.concat({})"};
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        expect_error(script, escapes[i], NX_E_INVALID, "unknown name");
    static const char *const absent[] = {"string.gsub", "string.gmatch", "string.match",
                                         "string.dump", "string.pack",   "math.randomseed",
                                         "('').gsub",   "(''):len().x"};
    for (size_t i = 0; i + 1 < sizeof absent / sizeof *absent; i++)
        expect(script, absent[i], "null");
    expect_error(script, "tostring(params):sub(1, 6) .. string.format('%p', 'x')", NX_E_INVALID,
                 "%p is not allowed");
    expect_error(script, "string.format('%s', {})", NX_E_INVALID, "json(value)");
    script_free(script);
}

static void an_evaluation_leaves_nothing_behind(void **state)
{
    (void)state;
    struct script *script = make();
    expect(script, "(function() params.days = 1 string.upper = nil return params.days end)()", "1");
    expect(script, "params.days", "60");
    expect(script, "('x'):upper()", "\"X\"");
    script_free(script);
}

static void endless_work_ends_fast_and_names_the_bound(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *part;
    } cases[] = {
        {"(function() while true do end end)()", "more than 100000 steps"},
        {"(function() repeat until false end)()", "steps"},
        {"(function() local function f() return f() end return f() end)()", "steps"},
        {"(function() local function f() return 1 + f() end return f() end)()", ""},
        {"('x'):rep(1000000000)", "memory"},
        {"(function() local s = 'x' while true do s = s .. s end end)()", "memory"},
        {"(function() local t = {} while true do t[#t + 1] = {} end end)()", "memory"},
        {"(function() local n = 0 while true do n = n + #('x'):rep(500000) end end)()", ""},
        {"(function() local s = ('x'):rep(400000) while true do s:find('y') end end)()", "steps"},
        {"(function() local s = ('x'):rep(400000) while true do s:replace('x', '') end end)()", ""},
        {"(function() local s = ('x'):rep(300000) local t = ('x'):rep(300001) while true do local "
         "b "
         "= s < t end end)()",
         "steps"},
        {"(function() local t = {} for i = 1, 9000 do t[i] = i end while true do keys(t) end "
         "end)()",
         ""},
        {"('%99d'):rep(20000):format(1)", ""},
        {"(function() local t = {} t.t = t return t end)()", "nested too deep"},
        {"(function() local t = {1} for i = 1, 60 do t = {t, t} end return t end)()", "parts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct script *script = make();
        struct nx_err err;
        json_t *value = NULL;
        int64_t start = clock_mono_ms();
        bool ok = script_eval(script, cases[i].expression, SCRIPT_TIMES_TEXT, &value, &err);
        int64_t took = clock_mono_ms() - start;
        if (ok || !strstr(err.text, cases[i].part))
            fail_msg("%s: %s", cases[i].expression, ok ? "accepted" : err.text);
        if (took > 5000)
            fail_msg("%s took %d ms", cases[i].expression, (int)took);
        expect(script, "params.days", "60"); /* the script is still good */
        script_free(script);
    }
}

static void large_values_do_not_count_against_the_expression(void **state)
{
    (void)state;
    struct script *script = make();
    json_t *list = json_array();
    for (int i = 0; i < 100000; i++)
        json_array_append_new(list, json_string("a value of some length, so that it adds up"));
    script_set(script, "item", list);
    json_decref(list);
    expect(script, "#item", "100000");
    expect(script, "item[100000]:sub(1, 7)", "\"a value\"");
    script_free(script);
}

static void check(const char *expression, unsigned roots, size_t n_names)
{
    struct script *script = script_new();
    struct arena arena;
    struct script_names names;
    struct nx_err err;
    arena_init(&arena);
    if (!script_check(script, &arena, expression, strlen(expression), &names, NULL, &err))
        fail_msg("%s: %s", expression, err.text);
    if (names.roots != roots || names.n != n_names)
        fail_msg("%s: roots %x, %zu names", expression, names.roots, names.n);
    arena_fini(&arena);
    script_free(script);
}

static void outputs_of_a_mapped_task_are_lists_by_name_too(void **state)
{
    (void)state;
    json_t *outputs = json_loads("{\"m\": [{\"x\": 1}, {}, {\"x\": 3, \"y\": [4]}],"
                                 " \"one\": {\"list\": [1, 2]}}",
                                 0, NULL);
    static const char *const cases[][2] = {
        {"#outputs.m", "3"},
        {"outputs.m", "[{\"x\":1},{},{\"x\":3,\"y\":[4]}]"},
        {"outputs.m[3].y[1]", "4"},
        {"outputs.m.x", "[1,null,3]"},
        {"#outputs.m.x", "3"},
        {"outputs.m.z", "null"},
        {"outputs.one.list.x", "null"},
    };
    struct script *script = script_new();
    struct nx_err err;
    script_set(script, "outputs", outputs);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = NULL;
        assert_true(script_eval(script, cases[i][0], SCRIPT_TIMES_TEXT, &value, &err));
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
        assert_string_equal(text, cases[i][1]);
        free(text);
        json_decref(value);
    }
    json_decref(outputs);
    script_free(script);
}

static void the_names_of_an_expression_are_found_without_running_it(void **state)
{
    (void)state;
    check("params.days > 1 and vars.x", SCRIPT_PARAMS | SCRIPT_VARS, 2);
    check("{params = 1, x = {outputs = item}}", SCRIPT_ITEM, 1);
    check("('params'):upper() .. \"outputs\" .. [[secrets]]", 0, 0);
    check("(function(params, x) local outputs = params return outputs end)(1, 2)", 0, 0);
    check("run.params.outputs", SCRIPT_RUN, 1);
    check("params[params.name]", SCRIPT_PARAMS, 2);
    check("params.x..params.y", SCRIPT_PARAMS, 2);
    struct script *script = script_new();
    struct arena arena;
    struct script_names names;
    struct nx_err err;
    arena_init(&arena);
    const char *text = "outputs.a.x + outputs[\"b\"]['y'] + outputs.c";
    assert_true(script_check(script, &arena, text, strlen(text), &names, NULL, &err));
    assert_int_equal(names.n, 3);
    assert_string_equal(names.at[1].member, "b");
    assert_string_equal(names.at[1].submember, "y");
    assert_int_equal(names.at[1].offset, 14);
    assert_int_equal(names.at[1].member_offset, 23);
    assert_string_equal(names.at[2].member, "c");
    assert_null(names.at[2].submember);
    arena_fini(&arena);
    script_free(script);
}

static void a_wrong_expression_has_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
        const char *part;
    } cases[] = {{"parms.x", 0, "unknown name 'parms'; did you mean 'params'?"},
                 {"1 + queue", 4, "a text needs quotes"},
                 {"outputs[params.x]", 0, "outputs.<task>.<name>"},
                 {"1 + outputs", 4, "outputs.<task>.<name>"},
                 {"params.x = 1", 9, "equality is =="},
                 {"params.x +", 10, "at the end of the expression"},
                 {"params.x params.y", 9, "near 'params'"},
                 {"1 + 2 )", 6, "closes none"},
                 {"(1", 2, "at the end"},
                 {"a(", 0, "unknown name"},
                 {"'abc", 0, "closing quote"},
                 {"1 -- x", 2, "comment"},
                 {"1, 2", 1, "one value"},
                 {"", 0, "empty"},
                 {"params.1", 6, "near '.1'"},
                 {"not", 3, "at the end"}};
    struct script *script = script_new();
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct script_names names;
        struct nx_err err;
        size_t offset = 999;
        if (script_check(script, &arena, cases[i].text, strlen(cases[i].text), &names, &offset,
                         &err))
            fail_msg("%s is accepted", cases[i].text);
        if (offset != cases[i].offset || !strstr(err.text, cases[i].part))
            fail_msg("%s: %zu, %s", cases[i].text, offset, err.text);
    }
    arena_fini(&arena);
    script_free(script);
}

static void truth_is_luas(void **state)
{
    (void)state;
    struct script *script = make();
    struct nx_err err;
    bool truth = true;
    assert_true(script_eval_truth(script, "params.none", &truth, &err) && !truth);
    assert_true(script_eval_truth(script, "0", &truth, &err) && truth);
    assert_false(script_truthy(NULL));
    script_free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_have_the_type_that_is_declared),
        cmocka_unit_test(expressions_compute_over_json_values),
        cmocka_unit_test(times_have_arithmetic_comparison_and_format),
        cmocka_unit_test(what_has_no_json_is_an_error_that_names_it),
        cmocka_unit_test(the_sandbox_has_no_way_out),
        cmocka_unit_test(an_evaluation_leaves_nothing_behind),
        cmocka_unit_test(endless_work_ends_fast_and_names_the_bound),
        cmocka_unit_test(large_values_do_not_count_against_the_expression),
        cmocka_unit_test(outputs_of_a_mapped_task_are_lists_by_name_too),
        cmocka_unit_test(the_names_of_an_expression_are_found_without_running_it),
        cmocka_unit_test(a_wrong_expression_has_a_place),
        cmocka_unit_test(truth_is_luas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
