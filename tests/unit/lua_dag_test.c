/* DAG files in Lua: what they build, the bounds, and that every mistake has its line. */
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/script/program.h"
#include "lib/text/json.h"
#include "scheduler/dag/lua.h"
#include "scheduler/dag/spec.h"
#include "tests/unit/test.h"

static const char catalog_text[] =
    "[{\"name\": \"data.ingest\", \"params\": [{\"name\": \"source\", \"type\": \"string\", "
    "\"required\": true}, {\"name\": \"columns\", \"type\": \"strings\"}, {\"name\": \"rows\", "
    "\"type\": \"int\"}], \"outputs\": [{\"name\": \"table\", \"type\": \"table\"}]}]";

struct loaded {
    struct spec **specs;
    size_t n;
    struct problems problems;
    bool ok;
};

static struct loaded load_as(const char *file, const char *text)
{
    struct loaded l = {0};
    json_t *catalog = json_loads(catalog_text, 0, NULL);
    assert_non_null(catalog);
    problems_init(&l.problems);
    l.ok = spec_read(file, text, strlen(text), catalog, NULL, &l.specs, &l.n, &l.problems);
    json_decref(catalog);
    return l;
}

static void done(struct loaded *l)
{
    for (size_t i = 0; i < l->n; i++)
        spec_free(l->specs[i]);
    mem_free(l->specs);
    problems_fini(&l->problems);
}

static char *all_problems(const struct loaded *l)
{
    struct buf buf;
    buf_init(&buf);
    for (size_t i = 0; i < l->problems.n; i++) {
        problem_text(&l->problems.at[i], &buf);
        buf_char(&buf, '\n');
    }
    return buf_take(&buf, NULL);
}

static struct loaded load_ok(const char *text)
{
    struct loaded l = load_as("dags/a.lua", text);
    char *problems = all_problems(&l);
    if (!l.ok || l.problems.n)
        fail_msg("%s\ngives\n%s", text, problems);
    mem_free(problems);
    return l;
}

/* The file's problems are exactly these lines. */
static void expect(const char *text, const char *expected)
{
    struct loaded l = load_as("dags/a.lua", text);
    char *problems = all_problems(&l);
    if (strcmp(problems, expected) != 0)
        fail_msg("%s\ngives\n%snot\n%s", text, problems, expected);
    mem_free(problems);
    done(&l);
}

/* There is one problem, in that line, and it holds this text. */
static void expect_at(const char *text, int line, const char *part)
{
    struct loaded l = load_as("dags/a.lua", text);
    char *problems = all_problems(&l);
    if (l.problems.n != 1 || l.problems.at[0].line != line || !strstr(problems, part))
        fail_msg("%s\ngives\n%snot in line %d\n%s", text, problems, line, part);
    mem_free(problems);
    done(&l);
}

/* An expression of the program that must give the text. */
static void expect_gives(const char *program, const char *text)
{
    struct buf file;
    buf_init(&file);
    buf_printf(&file,
               "%s\nlocal d = nexus.dag{description = tostring(value)}\n"
               "d:task(\"a\", {run = \"true\"})\nreturn d\n",
               program);
    struct loaded l = load_ok(buf_text(&file));
    assert_string_equal(l.specs[0]->description, text);
    done(&l);
    buf_fini(&file);
}

static const char regions[] =
    "local d = nexus.dag{ id = \"regions\", schedule = \"@daily\" }\n"
    "for _, r in ipairs{ \"eu\", \"us\", \"apac\" } do\n"
    "  d:task(\"load_\" .. r, { uses = \"data.ingest\", with = { source = \"data/\" .. r } })\n"
    "end\n"
    "return d\n";

static void a_loop_builds_tasks_in_its_order(void **state)
{
    (void)state;
    struct loaded l = load_ok(regions);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.specs[0]->id, "regions");
    assert_int_equal(l.specs[0]->n_tasks, 3);
    assert_string_equal(l.specs[0]->tasks[2].id, "load_apac");
    assert_int_equal(l.specs[0]->tasks[2].line, 3);
    assert_non_null(l.specs[0]->timetable);
    assert_non_null(strstr(l.specs[0]->tasks[1].definition, "\"with\":{\"source\":\"data/us\"}"));
    done(&l);
}

/* The same DAG, written in YAML and in Lua, is the same for everything behind the checker. */
static void lua_and_yaml_give_the_same_spec(void **state)
{
    (void)state;
    struct loaded yaml =
        load_as("dags/a.yaml",
                "id: same\ndescription: both\ntags: [a, b]\ntimeout: 2h\n"
                "params:\n  days: {type: integer, default: 7, min: 1}\n  word: {default: x}\n"
                "defaults: {retries: 2, retry_delay: 10}\nenv: {LANG: C, N: '3'}\n"
                "tasks:\n  load:\n    uses: data.ingest\n"
                "    with: {columns: [], rows: 3, source: '${{ params.word }}'}\n"
                "    retry_on: {exit_codes: [1, 2]}\n    resources: {cpus: 1.5, memory: 1G}\n"
                "  say: {run: 'echo ${{ outputs.load.table }}', needs: [load], env: {},\n"
                "    if: params.days > 3, retry_jitter: 0.25, exclusive: true}\n");
    struct loaded lua = load_ok(
        "local d = nexus.dag{ id = 'same', description = 'both', tags = {'a', 'b'},\n"
        "  timeout = hours(2), params = { days = {type = 'integer', default = 7, min = 1},\n"
        "  word = {default = 'x'} }, defaults = {retries = 2, retry_delay = seconds(10)},\n"
        "  env = {LANG = 'C', N = '3'} }\n"
        "local load = d:task('load', { uses = 'data.ingest', with = {columns = {}, rows = 3,\n"
        "  source = '${{ params.word }}'}, retry_on = {exit_codes = {1, 2}},\n"
        "  resources = {cpus = 1.5, memory = '1G'} })\n"
        "d:task('say', { run = 'echo ${{ outputs.load.table }}', needs = load, env = {},\n"
        "  ['if'] = 'params.days > 3', retry_jitter = 0.25, exclusive = true })\n"
        "return {d}\n");
    assert_true(yaml.ok);
    json_t *a = spec_json(yaml.specs[0]), *b = spec_json(lua.specs[0]);
    json_object_del(a, "file");
    json_object_del(b, "file");
    char *a_text = js_text(a), *b_text = js_text(b);
    assert_string_equal(a_text, b_text);
    for (uint32_t i = 0; i < 2; i++)
        assert_string_equal(yaml.specs[0]->tasks[i].definition, lua.specs[0]->tasks[i].definition);
    mem_free(a_text);
    mem_free(b_text);
    json_decref(a);
    json_decref(b);
    done(&yaml);
    done(&lua);
}

static void a_file_may_return_several_dags(void **state)
{
    (void)state;
    struct loaded l = load_ok("local dags = {}\n"
                              "for i = 1, 3 do\n"
                              "  local d = nexus.dag{ id = 'part-' .. i }\n"
                              "  d:task('only', { run = 'true' })\n"
                              "  table.insert(dags, 1, d)\n"
                              "end\n"
                              "return dags\n");
    assert_int_equal(l.n, 3);
    assert_string_equal(l.specs[0]->id, "part-3");
    assert_string_equal(l.specs[2]->id, "part-1");
    done(&l);
    l = load_ok("return nexus.dag{ tasks = { b = {run = 'true'}, a = {run = 'true'} } }");
    assert_string_equal(l.specs[0]->id, "a"); /* the file's name */
    assert_string_equal(l.specs[0]->tasks[0].id, "a");
    done(&l);
    expect("local d = nexus.dag{ id = 'a' }\nd:task('x', { run = 'true' })\n"
           "local e = nexus.dag{ id = 'b' }\nreturn d\n",
           "dags/a.lua:3:1: warning: this DAG is not returned, so there is no such DAG (return a "
           "list of all: return { a, b })\n");
    expect_at("local function make()\n  local d = nexus.dag{ id = 'a' }\n"
              "  d:task('x', { run = 'true' })\n  return d\nend\nreturn { make(), make() }\n",
              2, "the DAG 'a' is here twice");
}

static void mistakes_of_the_checker_have_their_place(void **state)
{
    (void)state;
    expect("local d = nexus.dag{ id = 'a', scedule = '@daily' }\n"
           "  d:task('x', { run = 'true', needs = 'z' })\n"
           "  d:task('y', { uses = 'data.ingst' })\n"
           "  d:task('x', { run = 'true' })\n"
           "  d:task('w', { run = 'true', retries = 'three' })\nreturn d\n",
           "dags/a.lua:1:32: error: unknown key 'scedule' in the DAG (did you mean 'schedule'?)\n"
           "dags/a.lua:2:39: error: task 'x' needs 'z', which does not exist\n"
           "dags/a.lua:3:24: error: unknown operator 'data.ingst' (did you mean 'data.ingest'?)\n"
           "dags/a.lua:4:3: error: the task 'x' is here twice (the first is at dags/a.lua:2:3)\n"
           "dags/a.lua:5:41: error: 'retries' must be an integer, not a string 'three' (take the "
           "quotes away)\n");
    expect("--[==[ nexus.dag{ id = ']]'\n]==]\nlocal d = nexus.dag{\n"
           "  id = 'a', -- tags = 3\n  description = [[\n tags = { ]], env = { A = '}' },\n"
           "  ['tags'] = { 'x', '',\n    'z' }, timeot = 1;\n  params = {\n"
           "    days = { default = 'x', type = 'integer' },\n  },\n}\n"
           "for _, r in ipairs{ 'b', 'c' } do\n  d:task(('x'):sub(1, 0) .. r, {\n"
           "    run = 'true',\n    retries = -1,\n    needs = { 'zz' },\n  })\nend\nreturn d\n",
           "dags/a.lua:7:21: error: 'tags' must have 1 to 128 bytes\n"
           "dags/a.lua:8:12: error: unknown key 'timeot' in the DAG (did you mean 'timeout'?)\n"
           "dags/a.lua:10:24: error: 'default' must be an integer, not a string 'x'\n"
           "dags/a.lua:16:15: error: 'retries' must be at least 0, not -1\n"
           "dags/a.lua:17:15: error: task 'b' needs 'zz', which does not exist\n"
           "dags/a.lua:17:15: error: task 'c' needs 'zz', which does not exist\n");
    expect_at("local d = nexus.dag{}\nlocal keys = { run = 'echo ${{ params.x }}' }\n"
              "d:task('a', keys)\nreturn d",
              3, "a.lua:3:1: error: the DAG has no param 'x'");
    expect_at("local d = nexus.dag{}\nd:task('a', { run = 'a', needs = 'b' })\n"
              "d:task('b', { run = 'b', needs = 'a' })\nreturn d",
              3, "a -> b -> a");
    expect_at(
        "local d = nexus.dag{}\nd:task('a', { run = 'a' }) d:task('b', { run = 3 })\nreturn d", 2,
        "a.lua:2:1: error: 'run' must be");
    expect_at("return nexus.dag{ id = 'a' }", 1, "tasks");
}

static void mistakes_of_lua_have_their_line_and_a_way_out(void **state)
{
    (void)state;
    expect("local d = nexus.dag{ id = 'a'\nreturn d\n",
           "dags/a.lua:2:1: error: '}' expected (to close '{' at line 1) near 'return' (Lua 5.4 "
           "cannot read on from here; the mistake may be on a line before)\n");
    expect_at("local t = {}\n\nlocal n = t.a.b\n", 3, "attempt to index a nil value (field 'a')");
    expect_at("\nlocal n = regoins\n", 2, "'regoins' is not set (is it misspelt");
    expect_at("local n = tostrin(1)\n", 1, "did you mean 'tostring'?");
    expect_at("local function f()\n  error('no region')\nend\n\nf()\n", 2, "error: no region");
    expect_at("error({})", 1, "something else than a text");
    expect_at("local d = nexus.dag{ id = 'a' }\n", 1, "the file returns nothing (end it with");
    expect_at("-- nothing\n\nreturn {}\n", 3, "something else than DAGs");
    expect_at("nexus.dag{ id = 'a' }.task('x', {})", 1, "called with a colon");
    expect_at("local d = nexus.dag{}\nd.schedule = '@daily'", 2, "cannot be set later");
    expect_at("local d = nexus.dag{}\nd:task('x')", 2, "task 'x' has no table of keys");
    expect_at("local d = nexus.dag{}\nd:task('x', { with = { f = print_it or tostring } })", 2,
              "'print_it' is not set");
    expect_at("local d = nexus.dag{}\nd:task('x', { with = { f = { tostring } } })", 2,
              "task 'x': 'with.f[1]' is a function");
    expect_at("nexus.dag{ id = 'a', [3] = 1 }", 1, "neither a list");
    expect_at("nexus.dag{ description = 'a\\0b' }", 1, "'description' is a text with a zero");
    expect_at("nexus.dag{ description = '\\xff' }", 1, "'description' is a text that is not UTF-8");
    expect_at("nexus.dag{ timeout = 0/0 }", 1, "'timeout' is a number that is not finite");
    expect_at("local t = {}\nt.x = t\nnexus.dag(t)", 3, "one that holds itself");
    expect_at("table.sort{ 1, 'a' }", 1, "attempt to compare");
}

static void what_a_dag_file_may_not_see_is_said(void **state)
{
    (void)state;
    static const char *const closed[] = {"os.getenv('HOME')", "io.open('x')",      "require 'x'",
                                         "load('x')",         "dofile('x')",       "math.random()",
                                         "debug.getinfo(1)",  "package.path",      "loadfile('x')",
                                         "_ENV.os.time()",    "math.randomseed(1)"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        char text[96];
        snprintf(text, sizeof text, "local x =\n  %s\n", closed[i]);
        struct loaded l = load_as("dags/a.lua", text);
        assert_int_equal(l.problems.n, 1);
        assert_non_null(strstr(l.problems.at[0].message, "in a DAG file"));
        assert_non_null(strstr(l.problems.at[0].hint, "sees no files, clock, randomness"));
        done(&l);
    }
    expect_at("print(1)", 1, "there is nowhere to print to");
    expect_at("local s = ('x'):gsub('x', 'y')", 1, "there are no patterns");
    expect_at("pcall(error)", 1, "there is no 'pcall' in a DAG file");
    expect_at("\033Lua", 1, "attempt to load a binary chunk");
}

static void pairs_and_sort_have_one_order(void **state)
{
    (void)state;
    expect_gives("value = ''\nfor k, v in pairs{ b = 1, a = 2, [2] = 3, [1] = 4 } do\n"
                 "value = value .. k .. v end",
                 "1423a2b1");
    expect_gives("local t = {}\nfor i = 1, 1000 do t[i] = { k = i * 7919 % 10, i = i } end\n"
                 "table.sort(t, function(a, b) return a.k < b.k end)\nvalue = 'sorted'\n"
                 "for i = 2, 1000 do local a, b = t[i - 1], t[i]\n"
                 "if a.k > b.k or (a.k == b.k and a.i > b.i) then value = 'not' end end",
                 "sorted");
    for (int n = 0; n < 10; n++) {
        char text[200];
        snprintf(text, sizeof text,
                 "local t = {}\nfor i = 1, %d do t[i] = (i * 7) %% 10 end\ntable.sort(t)\n"
                 "value = '=' .. table.concat(t)",
                 n);
        static const char *const sorted[] = {"=",         "=7",        "=47",     "=147",
                                             "=1478",     "=14578",    "=124578", "=1245789",
                                             "=12456789", "=123456789"};
        expect_gives(text, sorted[n]);
    }
    expect_gives("local t = {3, 1, 2}\ntable.sort(t, function(a, b) return a > b end)\n"
                 "value = table.concat(t, ' ')",
                 "3 2 1");
}

static void the_same_text_gives_the_same_bytes(void **state)
{
    (void)state;
    struct buf text, first;
    buf_init(&text);
    buf_init(&first);
    buf_str(&text, "local d = nexus.dag{ id = 'a' }\nlocal seen = {}\nfor i = 1, 60 do\n"
                   "local with = {}\nfor k = 1, 20 do with['k' .. i * k] = tostring(i / k) end\n"
                   "for k in pairs(with) do seen[k] = (seen[k] or 0) + 1 end\n"
                   "d:task('t' .. i, { uses = 'x', with = with, env = seen })\nend\nreturn d\n");
    program_run(buf_text(&text), text.len, &first);
    assert_true(first.len > 100000);
    for (int i = 0; i < 10; i++) {
        struct buf again;
        buf_init(&again);
        program_run(buf_text(&text), text.len, &again);
        assert_int_equal(again.len, first.len);
        assert_memory_equal(again.data, first.data, first.len);
        buf_fini(&again);
    }
    buf_fini(&text);
    buf_fini(&first);
}

static void steps_and_memory_are_bounded(void **state)
{
    (void)state;
    expect_at("local x = 1\nwhile true do\nend", 2, "more than 20000000 steps: an endless loop?");
    expect_at("local s = 'x'\nwhile true do\n  s = s .. s\nend", 3,
              "more than 128 MiB of memory (");
    expect_at("local t = {}\nlocal i = 0\nwhile true do\n  i = i + 1\n  t[i] = { i }\nend", 5,
              "more than 128 MiB");
    expect_at("while true do\n  local s = ('x'):rep(20000000)\nend", 2, "512 MiB of memory in all");
    expect_at("local function f()\n  return 1 + f()\nend\nf()", 2, "stack overflow");
    expect_at("local s = ('x'):rep(100000)\nlocal t = {}\nfor i = 1, 100 do t[i] = s end\n"
              "for i = 1, 1000 do\n  nexus.dag{ description = 'x', tags = t }\nend",
              5, "take more than 64 MiB");
    /* Shared tables are written out: 2^40 of them are not tried. */
    expect_at("local t = {}\nfor i = 1, 40 do t = { a = t, b = t } end\nnexus.dag{ env = t }", 3,
              "take more than 64 MiB");
}

static void use_built_programs(void)
{
    char own[PATH_MAX_BYTES], folder[PATH_MAX_BYTES];
    assert_true(path_of_program(own, sizeof own));
    assert_true(path_join(folder, sizeof folder, own, "../../bin"));
    setenv("NEXUS_LIBEXEC", folder, 1);
}

static void apart_gives_the_same_tree(void **state)
{
    (void)state;
    use_built_programs();
    json_t *here = lua_run(regions, strlen(regions));
    json_t *apart = lua_run_apart(regions, strlen(regions));
    assert_int_equal(json_array_size(json_object_get(here, "dags")), 1);
    assert_true(json_equal(here, apart));
    assert_string_equal(lua_id(apart, 0), "regions");
    assert_string_equal(lua_id(apart, 1), LUA_NO_MORE);
    json_decref(here);
    json_decref(apart);
}

static void what_no_step_counts_is_killed(void **state)
{
    (void)state;
    static const char slow[] = "local t = {}\nwhile true do table.insert(t, 1, 1) end";
    use_built_programs();
    int64_t start = clock_mono_ms();
    json_t *tree = lua_run_apart(slow, strlen(slow));
    const json_t *error = json_object_get(tree, "error");
    assert_non_null(strstr(js_get_text(error, "message", ""), "s and was stopped"));
    assert_true(clock_mono_ms() - start < 13000);
    json_decref(tree);
}

static void without_the_program_the_file_has_an_error(void **state)
{
    (void)state;
    setenv("NEXUS_LIBEXEC", "/nonexistent", 1);
    json_t *tree = lua_run_apart(regions, strlen(regions));
    const json_t *error = json_object_get(tree, "error");
    assert_non_null(strstr(js_get_text(error, "message", ""), "nexus-scheduler is neither"));
    json_decref(tree);
}

static void tasks_in_a_loop_are_fast(void **state)
{
    (void)state;
    int64_t start = clock_mono_ms();
    struct loaded l = load_ok("local d = nexus.dag{ id = 'many' }\nlocal before\n"
                              "for i = 1, 5000 do\n  before = d:task('t' .. i, { run = 'true', "
                              "needs = before })\nend\nreturn d\n");
    assert_int_equal(l.specs[0]->n_tasks, 5000);
    assert_int_equal(l.specs[0]->tasks[4999].needs[0], 4998);
    assert_true(clock_mono_ms() - start < 5000);
    done(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_builds_tasks_in_its_order),
        cmocka_unit_test(lua_and_yaml_give_the_same_spec),
        cmocka_unit_test(a_file_may_return_several_dags),
        cmocka_unit_test(mistakes_of_the_checker_have_their_place),
        cmocka_unit_test(mistakes_of_lua_have_their_line_and_a_way_out),
        cmocka_unit_test(what_a_dag_file_may_not_see_is_said),
        cmocka_unit_test(pairs_and_sort_have_one_order),
        cmocka_unit_test(the_same_text_gives_the_same_bytes),
        cmocka_unit_test(steps_and_memory_are_bounded),
        cmocka_unit_test(apart_gives_the_same_tree),
        cmocka_unit_test(what_no_step_counts_is_killed),
        cmocka_unit_test(without_the_program_the_file_has_an_error),
        cmocka_unit_test(tasks_in_a_loop_are_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
