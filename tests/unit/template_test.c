#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/script/args.h"
#include "lib/script/template.h"
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

static struct script *make(void)
{
    struct script *script = script_new();
    json_t *params =
        json("{\"days\": 60, \"evil\": \"'; rm -rf / \\\" $(id) `id` \\\\\", \"none\": "
             "null, \"list\": [1, \"a\"], \"x\": \"v\"}");
    json_t *run = json("{\"interval\": {\"start\": \"2001-01-31\", \"finish\": \"2001-02-01\"}}");
    script_set(script, "params", params);
    script_set(script, "run", run);
    json_decref(params);
    json_decref(run);
    return script;
}

static void a_text_is_cut_into_pieces(void **state)
{
    (void)state;
    struct arena arena;
    struct template t;
    struct nx_err err;
    size_t offset;
    arena_init(&arena);
    assert_true(
        template_parse(&arena, "a ${{ x }}${{ {a={b=1}} }} '${{ \"}}\" }}' z", &t, NULL, &err));
    assert_int_equal(t.n, 6);
    assert_int_equal(t.n_expressions, 3);
    assert_string_equal(t.at[1].text, "x");
    assert_int_equal(t.at[1].offset, 6);
    assert_int_equal(t.at[1].start, 2);
    assert_int_equal(t.at[1].end, 10);
    assert_string_equal(t.at[2].text, "{a={b=1}}");
    assert_string_equal(t.at[4].text, "\"}}\"");
    assert_string_equal(t.at[5].text, "' z");
    assert_null(template_single(&t));
    assert_true(template_parse(&arena, "  ${{ params.x }}\n", &t, NULL, &err));
    assert_string_equal(template_single(&t)->text, "params.x");
    assert_false(template_parse(&arena, "ab ${{ x }", &t, &offset, &err));
    assert_int_equal(offset, 3);
    assert_false(template_parse(&arena, "${{ }}", &t, &offset, &err));
    assert_true(template_parse(&arena, "", &t, NULL, &err));
    assert_int_equal(t.n, 0);
    arena_fini(&arena);
}

static void expect_sql(const char *text, const char *expected, size_t n)
{
    struct arena arena;
    struct template_bound bound;
    struct nx_err err;
    arena_init(&arena);
    if (!template_sql(&arena, text, &bound, NULL, &err))
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(bound.text, expected);
    assert_int_equal(bound.n, n);
    arena_fini(&arena);
}

static void expect_refused(bool sql, const char *shell, const char *text, const char *part)
{
    struct arena arena;
    struct template_bound bound;
    struct nx_err err;
    size_t offset = 0;
    arena_init(&arena);
    if (sql ? template_sql(&arena, text, &bound, &offset, &err)
            : template_run(&arena, text, shell, &bound, &offset, &err))
        fail_msg("%s is accepted", text);
    if (!strstr(err.text, part))
        fail_msg("%s: %s", text, err.text);
    if (text[offset] != '$')
        fail_msg("%s: offset %zu", text, offset);
    arena_fini(&arena);
}

static void sql_gets_bound_parameters(void **state)
{
    (void)state;
    expect_sql("select ${{ a }}, ${{b}}23", "select $1, $2 23", 2);
    expect_sql("select 'it''s', \"a b\", $$ $1 $$, $t$ ' $t$ where x = ${{ a }}",
               "select 'it''s', \"a b\", $$ $1 $$, $t$ ' $t$ where x = $1", 1);
    expect_sql("-- ${{ a }}\nselect ${{ b }} /* ${{ c }} /* */ ' */, ${{ d }}",
               "-- \nselect $1 /*  /* */ ' */, $2", 2);
    expect_sql("select E'it\\'s', ${{ a }}", "select E'it\\'s', $1", 1);
    expect_sql("select a$1 from t", "select a$1 from t", 0);
    expect_refused(true, NULL, "select '${{ a }}'", "inside quotes");
    expect_refused(true, NULL, "select \"x${{ a }}\"", "inside quotes");
    expect_refused(true, NULL, "select $1", "numbered parameter");
}

static void values_keep_their_type(void **state)
{
    (void)state;
    struct script *script = make();
    struct nx_err err;
    static const char *const sql[] = {"query"};
    json_t *out = NULL;
    json_t *with =
        json("{\"n\": \"${{ params.days }}\", \"t\": \"d ${{ params.days }} ${{ "
             "date(run.interval.start) }} ${{ params.list }}\", \"start\": \"${{ "
             "run.interval.start }}\", \"deep\": {\"a\": [true, \"${{ params.list }}\"]}, "
             "\"nil\": \"${{ params.none }}\", \"query\": \"select ${{ run.interval.finish "
             "- days(params.days) }}, ${{ date(run.interval.start) }}, ${{ params.evil }}, "
             "${{ params.none }}, ${{ params.list }}\"}");
    if (!template_eval_json(script, with, sql, 1, &out, &err))
        fail_msg("%s", err.text);
    char *text = js_text(out);
    assert_string_equal(
        text,
        "{\"n\":60,\"t\":\"d 60 2001-01-31 [1,\\\"a\\\"]\",\"start\":\"2001-01-31T00:00:00.000Z\","
        "\"deep\":{\"a\":[true,[1,\"a\"]]},\"nil\":null,\"query\":{\"sql\":\"select $1, $2, $3, "
        "$4, "
        "$5\",\"values\":[{\"timestamp_us\":975801600000000},{\"date_days\":11353},\"'; rm -rf / "
        "\\\" "
        "$(id) `id` \\\\\",null,\"[1,\\\"a\\\"]\"]}}");
    mem_free(text);
    json_decref(out);
    json_decref(with);
    with = json("{\"a\": {\"b\": [1, \"x ${{ params.none }}\"]}}");
    assert_false(template_eval_json(script, with, sql, 1, &out, &err));
    assert_string_equal(err.text, "with.a.b[1]: expression 'params.none': it is nil");
    json_decref(with);
    script_free(script);
}

/* Runs the script with its variables and returns what it prints. */
static void run_script(const char *shell, const char *text, json_t *variables, char *to,
                       size_t size)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        for (void *it = json_object_iter(variables); it; it = json_object_iter_next(variables, it))
            setenv(json_object_iter_key(it), json_string_value(json_object_iter_value(it)), 1);
        execlp(shell, shell, "-c", text, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    size_t n = 0;
    ssize_t got;
    while ((got = read(fds[0], to + n, size - 1 - n)) > 0)
        n += (size_t)got;
    to[n] = 0;
    close(fds[0]);
    waitpid(child, NULL, 0);
}

static void expect_run(const char *shell, const char *text, const char *expected)
{
    struct script *script = make();
    struct nx_err err;
    char *out = NULL, printed[4096];
    json_t *variables = NULL;
    if (!template_eval_run(script, text, shell, &out, &variables, &err))
        fail_msg("%s: %s", text, err.text);
    run_script(shell, out, variables, printed, sizeof printed);
    if (strcmp(printed, expected) != 0)
        fail_msg("%s\nbecame %s\nand printed %s", text, out, printed);
    mem_free(out);
    json_decref(variables);
    script_free(script);
}

#define EVIL "'; rm -rf / \" $(id) `id` \\"

static void a_script_gets_its_values_as_words_whatever_they_hold(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"printf '[%s]' a${{ params.evil }}b", "[a" EVIL "b]"},
        {"printf '[%s]' \"a ${{ params.evil }}b\"", "[a " EVIL "b]"},
        {"printf '[%s]' it\\'s ${{ params.evil }} # ${{ params.none }} '", "[it's][" EVIL "]"},
        {"printf '[%s]' \"$(printf '%s' ${{ params.evil }})\"", "[" EVIL "]"},
        {"printf '[%s]' \"x$(printf '%s' \"${{ params.evil }}\")\"", "[x" EVIL "]"},
        {"cat <<EOF\na ${{ params.evil }} 'b' \"c\"\nEOF\nprintf '%s' ${{ params.days }}",
         "a " EVIL " 'b' \"c\"\n60"},
        {"cat <<-'A' <<B; printf '[%s]' ${{ params.x }}\n\tit's ${x\n\tA\nb ${{ params.x }} $(echo "
         "${{ params.x }})\nB\nprintf '%s' ${{ params.evil }}",
         "b v v\n[v]" EVIL},
        {"x=${{ params.evil }}; printf '[%s]' \"$x\"", "[" EVIL "]"},
        {"case ${{ params.x }} in v) printf yes${{ params.x }};; esac", "yesv"},
        {"(printf '[%s]' ${{ params.evil }})", "[" EVIL "]"},
        {"printf '[%s]' \"${HOME:+$(printf %s ${{ params.evil }})}\"", "[" EVIL "]"},
        {"printf '[%s]' \"#\"${{ params.x }}a#${{ params.x }}", "[#va#v]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_run("sh", cases[i].text, cases[i].printed);
        expect_run("bash", cases[i].text, cases[i].printed);
    }
    expect_run("bash", "if [[ 1 -eq 1 ]]; then [[ ${{ params.x }} == v ]] && printf yes; fi",
               "yes");
    expect_run("sh", "[ ${{ params.days }} -eq 60 ] && printf yes$[", "yes$[");
    expect_run("bash", "printf '[%s]' $'it\\'s' ${{ params.evil }} <<<x", "[it's][" EVIL "]");
    expect_run("python3", "print('[\\'%s\"]' % ${{ params.evil }}) # ${{ params.none }}\n",
               "['" EVIL "\"]\n");
}

/* In each the value "PATH[$(command)]" would run the command, quoted or not. */
static void what_a_command_reads_as_code_is_refused(void **state)
{
    static const char *const scripts[][2] = {
        {"a[${{ params.n }}]=1", "subscript"},
        {"a[ \"${{ params.n }}\" ]+=1", "subscript"},
        {"a=(x [${{ params.n }}]=1)", "subscript"},
        {"declare -A m=(\n  [${{ params.l[1] }}]=${{ params.n }}\n)", "subscript"},
        {"let \"y = ${{ params.n }}\"", "'let'"},
        {"let y=${{ params.n }}", "'let'"},
        {"if true; then let ${{ params.n }}; fi", "'let'"},
        {"true && X=1 builtin let a ${{ params.n }}", "'let'"},
        {"x=$(let ${{ params.n }})", "'let'"},
        {"case a in a) let ${{ params.n }};; esac", "'let'"},
        {"f() { let ${{ params.n }}; }", "'let'"},
        {"cat <<E\n${{ params.n }}\nE\nlet ${{ params.n }}", "'let'"},
        {"[ -v ${{ params.n }} ]", "'['"},
        {"[[ ! -v ${{ params.n }} ]]", "'[['"},
        {"while test -n a -a -v \"${{ params.n }}\"; do :; done", "'test'"},
        {"printf -v ${{ params.n }} x", "'printf'"},
        {"printf -v\"${{ params.n }}\" x", "'printf'"},
        {"read ${{ params.n }} <<< 1", "'read'"},
        {"read -r -p text x ${{ params.n }}", "'read'"},
        {"read -a ${{ params.n }}", "'read'"},
        {"unset 'x' \"${{ params.n }}\"", "'unset'"},
        {"export ${{ params.n }}=1", "'export'"},
        {"local a=1 ${{ params.n }}", "'local'"},
        {"declare -i x=${{ params.n }}", "'declare'"},
        {"typeset -ga x=${{ params.n }}", "'typeset'"},
        {"\\eval ${{ params.n }}", "'eval'"},
        {"e\"va\"l \"x=${{ params.n }}\"", "'eval'"},
        {"trap \"${{ params.n }}\" EXIT", "'trap'"},
    };
    static const char *const fine[] = {
        "echo let ${{ params.n }}",
        "let x=1; echo ${{ params.n }}",
        "let x=1 | cat ${{ params.n }}",
        "let x=$(echo ${{ params.n }})",
        "(let x=1) && echo ${{ params.n }}",
        "let x=1\necho ${{ params.n }}",
        "cat <<E\nlet us ${{ params.n }}\nE\necho ${{ params.n }}",
        "cat <<'E'\nlet us\nE\necho ${{ params.n }}",
        "export X=${{ params.n }} Y=\"a ${{ params.n }}\"",
        "local x=${{ params.n }}",
        "[ \"${{ params.n }}\" = b ] && a[1]=2",
        "[ -n ${{ params.n }} ]; printf '%s' -v ${{ params.n }}",
        "read -r x < ${{ params.n }}",
        "read -p ${{ params.n }} x",
        "ls a[${{ params.n }}]*",
        "while read -r x; do echo $x; done < ${{ params.n }}",
        "X=${{ params.n }} ./program ${{ params.n }}",
        "a=(1 ${{ params.n }})",
        "cat 2>&1 ${{ params.n }} | grep -v ${{ params.n }}",
        "${{ params.n }} x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        expect_refused(false, "bash", scripts[i][0], scripts[i][1]);
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct arena arena;
        struct template_bound bound;
        struct nx_err err;
        arena_init(&arena);
        if (!template_run(&arena, fine[i], "bash", &bound, NULL, &err))
            fail_msg("%s: %s", fine[i], err.text);
        arena_fini(&arena);
    }
}

static void all_misplaced_expressions_are_reported(void **state)
{
    struct arena arena;
    struct template_bound bound;
    struct nx_err err;
    (void)state;
    arena_init(&arena);
    assert_false(
        template_run(&arena,
                     "echo '${{ a }} and ${{ b }}' ${{ c }}\n"
                     "echo $(( ${{ d }} )) \"${{ e }}\"\ncat <<'E'\n${{ f }}\n${{ g }}\nE\n"
                     "eval ${{ h }}",
                     NULL, &bound, NULL, &err));
    assert_int_equal(bound.n_refused, 6);
    assert_int_equal(bound.refused[0].offset, 6);
    assert_int_equal(bound.refused[1].offset, 19);
    assert_non_null(strstr(bound.refused[5].message, "eval"));
    assert_false(template_run(&arena, "'${{ a }}' + \"${{ b }}\"", "python3", &bound, NULL, &err));
    assert_int_equal(bound.n_refused, 2);
    assert_false(template_sql(&arena, "'${{ a }}', ${{ b }}, '${{ c }}', $1", &bound, NULL, &err));
    assert_int_equal(bound.n_refused, 3);
    arena_fini(&arena);
}

static void where_no_quoting_would_do_a_script_is_refused(void **state)
{
    (void)state;
    expect_refused(false, NULL, "echo '${{ params.x }}'", "single quotes");
    expect_refused(false, "/bin/bash", "echo $'a\\'${{ params.x }}'", "single quotes");
    expect_refused(false, NULL, "cat <<'EOF'\n${{ params.x }}\nEOF\n", "quoted end word");
    expect_refused(false, NULL, "cat <<\\EOF\n${{ params.x }}\nEOF\n", "quoted end word");
    expect_refused(false, NULL, "echo $(( ${{ params.x }} + 1 ))", "calculate inside");
    expect_refused(false, NULL, "echo \"$(( (1) + ${{ params.x }} ))\"", "calculate inside");
    expect_refused(false, "bash", "(( x = ${{ params.x }} ))", "calculate inside");
    expect_refused(false, "bash", "echo $[ ${{ params.x }} + 1 ]", "calculate inside");
    expect_refused(false, "bash", "if [[ 1 -eq \"${{ params.x }}\" ]]; then :; fi", "use [ ]");
    expect_refused(false, NULL, "echo ${x:-${{ params.x }}}", "variable first");
    expect_refused(false, NULL, "echo $(( \"${{ params.x }}\" ))", "calculate inside");
    expect_refused(false, "bash", "echo ${a[\"${{ params.x }}\"]}", "variable first");
    expect_refused(false, NULL, "echo `echo ${{ params.x }}`", "$( )");
    expect_refused(false, NULL, "echo \\${{ params.x }}", "backslash");
    expect_refused(false, NULL, "echo $${{ params.x }}", "right before");
    expect_refused(false, "python3", "print('${{ params.x }}')", "Python string");
    expect_refused(false, "python3", "print(\"\"\"\n'${{ params.x }}'\"\"\")", "Python string");
    expect_refused(false, "perl", "print ${{ params.x }}", "'env'");
    struct script *script = make();
    struct nx_err err;
    char *out;
    json_t *variables;
    assert_true(template_eval_run(script, "print $1", "perl", &out, &variables, &err));
    mem_free(out);
    json_decref(variables);
    assert_false(
        template_eval_run(script, "echo ${{ params.none }}", NULL, &out, &variables, &err));
    assert_string_equal(err.text, "run: expression 'params.none': it is nil");
    assert_false(
        template_eval_run(script, "echo ${{ ('x'):rep(200000) }}", NULL, &out, &variables, &err));
    assert_non_null(strstr(err.text, "artifact"));
    script_free(script);
}

/* ---- Arguments ---- */

static const char operator_text[] =
    "{\"name\": \"ml.train\", \"params\": ["
    "{\"name\": \"table\", \"type\": \"table\", \"required\": true},"
    "{\"name\": \"rounds\", \"type\": \"int\", \"default\": 100, \"min\": 1, \"max\": 1000, "
    "\"unit\": "
    "\"rounds\"},"
    "{\"name\": \"algorithm\", \"type\": \"enum\", \"choices\": [\"boosting\", \"linear\"]},"
    "{\"name\": \"columns\", \"type\": \"strings\"},"
    "{\"name\": \"wait\", \"type\": \"duration\", \"min\": 1, \"unit\": \"s\"},"
    "{\"name\": \"params\", \"type\": \"object\"}], \"outputs\": [{\"name\": \"model\"}]}";

static void expect_args(const char *args, const char *expected)
{
    json_t *op = json(operator_text), *given = json(args), *resolved = NULL;
    struct nx_err err;
    if (args_check(op, given, &resolved, &err)) {
        char *text = js_text(resolved);
        assert_string_equal(text, expected);
        mem_free(text);
        json_decref(resolved);
    } else {
        assert_string_equal(err.text, expected);
    }
    json_decref(given);
    json_decref(op);
}

static void arguments_are_checked_and_completed(void **state)
{
    (void)state;
    expect_args(
        "{\"table\": {\"artifact\": \"sha256:00\"}, \"columns\": \"a\", \"params\": [], "
        "\"wait\": \"2s\"}",
        "{\"table\":{\"artifact\":\"sha256:00\"},\"rounds\":100,\"columns\":[\"a\"],\"wait\":"
        "\"2s\",\"params\":{}}");
    expect_args("{\"table\": \"t\", \"rounds\": 3.0}", "{\"table\":\"t\",\"rounds\":3}");
    expect_args("{}", "the parameter 'table' is required");
    expect_args("{\"tabel\": 1}", "ml.train has no parameter 'tabel'; did you mean 'table'?");
    expect_args("{\"table\": \"t\", \"rounds\": 0}",
                "with.rounds: must be at least 1 rounds, not 0");
    expect_args("{\"table\": \"t\", \"rounds\": \"3\"}",
                "with.rounds: must be an integer, not a string '3'");
    expect_args("{\"table\": \"t\", \"algorithm\": \"bosting\"}",
                "with.algorithm: must be one of 'boosting', 'linear', not 'bosting'; did you mean "
                "'boosting'?");
    expect_args("{\"table\": \"t\", \"wait\": \"100ms\"}",
                "with.wait: must be at least 1 s, not '100ms'");
    expect_args("{\"table\": \"t\", \"columns\": [1]}",
                "with.columns: must be a list of strings, not a list");
    expect_args("{\"table\": 3}",
                "with.table: must be a table (an output of a task), not an integer 3");
}

static void params_are_read_from_text_and_all_mistakes_are_told(void **state)
{
    (void)state;
    json_t *params =
        json("[{\"name\": \"days\", \"type\": \"integer\", \"default\": 60, \"min\": 1},"
             "{\"name\": \"name\", \"type\": \"string\", \"required\": true},"
             "{\"name\": \"from\", \"type\": \"date\"}]");
    json_t *given = json("{\"days\": \"30\", \"name\": \"12\", \"from\": \"2001-01-31\"}");
    json_t *resolved = NULL;
    struct nx_err err;
    assert_true(params_check(params, given, &resolved, &err));
    char *text = js_text(resolved);
    assert_string_equal(text, "{\"days\":30,\"name\":\"12\",\"from\":\"2001-01-31\"}");
    mem_free(text);
    json_decref(resolved);
    json_decref(given);
    given = json("{\"days\": \"many\", \"form\": 1, \"name\": \"x\", \"from\": \"soon\"}");
    assert_false(params_check(params, given, &resolved, &err));
    assert_string_equal(
        err.text, "the DAG has no param 'form'; did you mean 'from'?; the param 'days': must be "
                  "an integer, not a string 'many'; the param 'from': must be a date such as "
                  "\"2001-01-31\", not a string 'soon'");
    assert_false(params_check(params, NULL, &resolved, &err));
    assert_string_equal(err.text, "the param 'name' is required");
    json_decref(given);
    json_decref(params);
    params = json("[{\"name\": \"at\", \"type\": \"time\"}, {\"name\": \"same\", \"type\": "
                  "\"time\"}]");
    given = json("{\"at\": \"2001-03-04T02:00+02:00\", \"same\": "
                 "\"2001-03-04T00:00:00.123456Z\"}");
    assert_true(params_check(params, given, &resolved, &err));
    json_decref(given);
    text = js_text(resolved);
    assert_string_equal(text, "{\"at\":\"2001-03-04T00:00:00.000Z\","
                              "\"same\":\"2001-03-04T00:00:00.123456Z\"}");
    mem_free(text);
    json_decref(resolved);
    json_decref(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_cut_into_pieces),
        cmocka_unit_test(sql_gets_bound_parameters),
        cmocka_unit_test(values_keep_their_type),
        cmocka_unit_test(a_script_gets_its_values_as_words_whatever_they_hold),
        cmocka_unit_test(what_a_command_reads_as_code_is_refused),
        cmocka_unit_test(all_misplaced_expressions_are_reported),
        cmocka_unit_test(where_no_quoting_would_do_a_script_is_refused),
        cmocka_unit_test(arguments_are_checked_and_completed),
        cmocka_unit_test(params_are_read_from_text_and_all_mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
