#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/text/json.h"
#include "scheduler/dag/spec.h"
#include "tests/unit/test.h"

static const char catalog_text[] =
    "[{\"name\": \"flow.noop\", \"params\": [], \"outputs\": []},"
    "{\"name\": \"data.sql\", \"params\": [{\"name\": \"query\", \"type\": \"sql\", \"required\": "
    "true, "
    "\"help\": \"The statement.\"}], \"outputs\": [{\"name\": \"table\", \"type\": \"table\"}, "
    "{\"name\": "
    "\"rows\", \"type\": \"int\"}]},"
    "{\"name\": \"ml.train\", \"params\": [{\"name\": \"table\", \"type\": \"table\", "
    "\"required\": "
    "true}, {\"name\": \"rounds\", \"type\": \"int\", \"min\": 1, \"max\": 1000}, {\"name\": "
    "\"algorithm\", \"type\": \"enum\", \"choices\": [\"boosting\", \"linear\"], \"default\": "
    "\"boosting\"}, {\"name\": \"params\", \"type\": \"object\", \"members\": [{\"when\": "
    "{\"param\": "
    "\"algorithm\", \"value\": \"boosting\"}, \"params\": [{\"name\": \"max_depth\", \"type\": "
    "\"int\", "
    "\"min\": 0}, {\"name\": \"learning_rate\", \"type\": \"float\", \"min\": 0, \"above_min\": "
    "true, "
    "\"also\": [\"eta\", \"lr\"]}]}, {\"when\": {\"param\": \"algorithm\", \"value\": \"linear\"}, "
    "\"params\": [{\"name\": \"l2\", \"type\": \"float\"}]}]}, {\"name\": \"types\", \"type\": "
    "\"object\", \"each\": {\"type\": \"enum\", \"choices\": [\"int\", \"text\"]}}, {\"name\": "
    "\"checks\", \"type\": \"list\", \"each\": {\"type\": \"object\", \"members\": [{\"params\": "
    "[{\"name\": \"max\", \"type\": \"float\"}]}]}}, {\"name\": \"tables\", \"type\": \"object\", "
    "\"each\": {\"type\": \"table\"}}], \"outputs\": "
    "[{\"name\": \"model\", \"type\": \"model\"}, {\"name\": \"roc_auc\", \"type\": \"float\"}]},"
    "{\"name\": \"wait.for\", \"params\": [{\"name\": \"duration\", \"type\": \"duration\"}]},"
    "{\"name\": \"wait.until\", \"params\": [{\"name\": \"time\", \"type\": \"time\"}]},"
    "{\"name\": \"wait.file\", \"params\": [{\"name\": \"path\", \"type\": \"string\"}, "
    "{\"name\": \"every\", \"type\": \"duration\", \"min\": 0.1, \"unit\": \"s\"}]},"
    "{\"name\": \"flow.trigger\", \"params\": [{\"name\": \"dag\", \"type\": \"string\"}, "
    "{\"name\": \"wait\", \"type\": \"bool\"}]},"
    "{\"name\": \"flow.approve\", \"params\": [{\"name\": \"form\", \"type\": \"object\"}]}]";

struct loaded {
    struct spec **specs;
    size_t n;
    struct problems problems;
    bool ok;
};

static struct loaded load_as(const char *file, const char *text, const char *folder)
{
    struct loaded l = {0};
    json_t *catalog = json_loads(catalog_text, 0, NULL);
    assert_non_null(catalog);
    problems_init(&l.problems);
    l.ok = spec_read(file, text, strlen(text), catalog, folder, &l.specs, &l.n, &l.problems);
    json_decref(catalog);
    return l;
}

static struct loaded load(const char *text)
{
    return load_as("dags/a.yaml", text, NULL);
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

static void expect_ok(const struct loaded *l)
{
    char *text = all_problems(l);
    if (!l->ok)
        fail_msg("%s", text);
    mem_free(text);
}

/* The file's problems are exactly these lines. */
static void expect(const char *yaml, const char *expected)
{
    struct loaded l = load(yaml);
    char *text = all_problems(&l);
    if (strcmp(text, expected) != 0)
        fail_msg("%s\ngives\n%snot\n%s", yaml, text, expected);
    assert_true(l.ok == !strstr(expected, ": error: "));
    mem_free(text);
    done(&l);
}

/* One task "t", with these lines as its body: the one problem holds this text. */
static void expect_in_task(const char *body, const char *part)
{
    struct buf yaml;
    buf_init(&yaml);
    buf_printf(&yaml, "tasks:\n  a: {run: echo}\n  t: {%s}\n", body);
    struct loaded l = load(buf_text(&yaml));
    char *text = all_problems(&l);
    if (l.problems.n != 1 || !strstr(text, part))
        fail_msg("%s\ngives %s\nnot %s", body, text, part);
    assert_int_equal(l.problems.at[0].line, 3);
    mem_free(text);
    done(&l);
    buf_fini(&yaml);
}

static const char flights[] =
    "id: flights_train\n"
    "description: Train the delay model\n"
    "tags: [flights, nightly]\n"
    "max_active_runs: 1\n"
    "timeout: 2h\n"
    "env: {LANG: C.UTF-8, DAYS: '${{ params.days }}'}\n"
    "params:\n"
    "  days: {type: integer, default: 60, min: 1, help: Days of history}\n"
    "defaults:\n"
    "  retries: 2\n"
    "  retry_delay: 10s\n"
    "  backoff: exponential\n"
    "  timeout: 30m\n"
    "tasks:\n"
    "  history:\n"
    "    uses: data.sql\n"
    "    with:\n"
    "      query: >\n"
    "        select * from t\n"
    "        where date >= ${{ run.interval.finish - days(params.days) }}\n"
    "  train:\n"
    "    uses: ml.train\n"
    "    needs: history\n"
    "    pool: cpu\n"
    "    resources: {cpus: 1.5, memory: 2G}\n"
    "    retries: 0\n"
    "    with:\n"
    "      table: ${{ outputs.history.table }}\n"
    "      rounds: 200\n"
    "  report:\n"
    "    run: ./report.sh \"${{ outputs.train.roc_auc }}\" ${{ secrets.key }}\n"
    "    needs: [train]\n"
    "    if: outputs.train.roc_auc > 0.70 and outputs.history.table\n"
    "    trigger_rule: all_done\n"
    "    env: {LANG: C}\n"
    "    shell: bash\n"
    "    retry_on: {exit_codes: [75, 111], errors: io}\n"
    "    retry_jitter: 0.25\n"
    "  cleanup: {run: 'rm -f x', finally: true}\n";

static void a_good_file_becomes_a_spec(void **state)
{
    (void)state;
    struct loaded l = load(flights);
    expect_ok(&l);
    assert_int_equal(l.n, 1);
    const struct spec *spec = l.specs[0];
    assert_string_equal(spec->id, "flights_train");
    assert_int_equal(spec->n_tasks, 4);
    assert_int_equal(spec->n_tags, 2);
    assert_int_equal(spec->timeout_ms, 7200000);
    assert_int_equal(spec->max_active_runs, 1);
    const struct spec_task *train = &spec->tasks[1], *report = &spec->tasks[2];
    assert_int_equal(spec_find(spec, "train"), 1);
    assert_int_equal(train->retries, 0);
    assert_int_equal(train->timeout_ms, 1800000);
    assert_true(train->backoff_exponential);
    assert_string_equal(train->pool, "cpu");
    assert_string_equal(train->queue, "default");
    assert_int_equal(train->memory_bytes, 2ll << 30);
    assert_int_equal(train->n_refs, 1);
    assert_int_equal(report->retries, 2);
    assert_int_equal(report->rule, NX_TR_ALL_DONE);
    assert_int_equal(report->n_condition_refs, 2);
    assert_int_equal(report->n_refs, 1);
    assert_int_equal(report->refs[0], 1);
    assert_true(report->names_secrets);
    assert_int_equal(spec->n_secrets, 1);
    assert_string_equal(spec->secrets[0], "key");
    assert_false(report->names_vars);
    assert_int_equal(report->n_retry_exit_codes, 2);
    assert_int_equal(report->retry_errors[0], NX_E_IO);
    assert_true(spec->tasks[3].finally);
    assert_string_equal(
        report->definition,
        "{\"id\":\"report\",\"uses\":null,\"run\":\"./report.sh \\\"${{ outputs.train.roc_auc "
        "}}\\\" "
        "${{ secrets.key "
        "}}\",\"shell\":\"bash\",\"with\":{},\"env\":{\"LANG\":\"C\",\"DAYS\":\"${{ "
        "params.days "
        "}}\"},\"timeout_ms\":1800000,\"exclusive\":false,\"cpus\":null,\"memory_bytes\":"
        "0,\"gpus\":0,\"files\":[],\"refs\":[\"train\"],\"vars\":false,\"secrets\":true}");
    json_t *value = spec_json(spec);
    assert_string_equal(
        js_get_text(json_array_get(json_object_get(value, "tasks"), 2), "trigger_rule", ""),
        "all_done");
    json_decref(value);
    done(&l);
}

static void a_spec_becomes_a_graph(void **state)
{
    (void)state;
    struct loaded l = load(flights);
    struct graph *graph;
    struct nx_err err;
    if (!spec_graph(l.specs[0], &graph, &err))
        fail_msg("%s", err.text);
    assert_int_equal(graph->n_tasks, 4);
    assert_int_equal(graph->n_edges, 2);
    assert_int_equal(graph->n_finally, 1);
    const struct graph_task *report = &graph->tasks[2];
    assert_int_equal(report->flags & (GRAPH_IF | GRAPH_SCRIPT | GRAPH_REFS | GRAPH_BACKOFF),
                     GRAPH_IF | GRAPH_SCRIPT | GRAPH_REFS | GRAPH_BACKOFF);
    assert_int_equal(report->jitter_percent, 25);
    assert_int_equal(report->retry_on->n_exit_codes, 2);
    assert_int_equal(graph_up(graph, 2)[0], 1);
    assert_int_equal(graph->classes[graph->tasks[1].class_index].cpus_milli, 1500);
    graph_release(graph);
    done(&l);
}

static void limits_and_pasts_and_deadlines_reach_the_graph(void **state)
{
    (void)state;
    struct loaded l =
        load("schedule: '@daily'\n"
             "deadline: 90m\n"
             "defaults:\n"
             "  depends_on_past: true\n"
             "  concurrency: {key: lager für daten, limit: 3}\n"
             "tasks:\n"
             "  a: {run: echo}\n"
             "  b: {run: echo, depends_on_past: false, concurrency: {key: b, limit: 1}}\n"
             "  c: {run: echo, finally: true}\n");
    struct graph *graph;
    expect_ok(&l);
    assert_true(spec_graph(l.specs[0], &graph, NULL));
    assert_int_equal(graph->deadline_ms, 5400000);
    assert_int_equal(graph->n_past, 1);
    assert_int_equal(graph->tasks[0].flags & GRAPH_PAST, GRAPH_PAST);
    assert_int_equal(graph->tasks[2].flags & GRAPH_PAST, 0); /* who cleans up waits for nobody */
    const struct graph_class *a = &graph->classes[graph->tasks[0].class_index];
    const struct graph_class *b = &graph->classes[graph->tasks[1].class_index];
    assert_string_equal(a->concurrency, "lager für daten");
    assert_int_equal(a->concurrency_limit, 3);
    assert_string_equal(b->concurrency, "b");
    graph_release(graph);
    done(&l);
}

static void mistakes_in_limits_are_named(void **state)
{
    (void)state;
    expect_in_task("run: echo, for_each: [1], depends_on_past: true", "does nothing without");
    expect("schedule: '@daily'\n"
           "defaults: {depends_on_past: true}\n"
           "groups: {g: {for_each: [1, 2]}}\n"
           "tasks: {a: {run: echo, group: g}}\n",
           "dags/a.yaml:4:9: error: 'depends_on_past' cannot be of task 'a', which is of a group "
           "with 'for_each' (give it to a task that the group needs)\n");
    expect_in_task("run: echo, concurrency: {key: a}",
                   "'concurrency' has no 'limit' (concurrency: {key: warehouse");
    expect_in_task("run: echo, concurrency: {limit: 1}", "'concurrency' has no 'key'");
    expect_in_task("run: echo, concurrency: 2", "'concurrency' must be a mapping");
    expect_in_task("run: echo, concurrency: {key: a, limit: 0}",
                   "'limit' must be at least 1, not 0");
    expect_in_task("run: echo, concurrency: {key: a, limit: 1, kye: b}",
                   "unknown key 'kye' in concurrency");
    expect_in_task("run: echo, concurrency: {key: '${{ params.x }}', limit: 1}",
                   "'key' must be a constant");
    expect_in_task("run: echo, concurrency: {key: '', limit: 1}", "'key' is empty");
    expect_in_task("run: echo, depends_on_past: yes", "'depends_on_past' must be true or false");
    expect_in_task("run: echo, cache: 1h", "'cache' is not yet supported (leave it out)");
    expect_in_task("run: echo, depends_on_past: true",
                   "'depends_on_past' does nothing without 'schedule'");
    expect("deadline: 0\ntasks: {a: {run: echo}}\n",
           "dags/a.yaml:1:11: error: 'deadline' must be at least 1ms, not 0\n");
    expect_in_task(
        "run: echo, finally: true, depends_on_past: true",
        "warning: 'depends_on_past' does nothing in a finally task: it cleans up in any");
    struct loaded l = load("tasks:\n"
                           "  a: {run: echo, concurrency: {key: k, limit: 2}}\n"
                           "  b: {run: echo, concurrency: {key: k, limit: 3}}\n");
    char *text = all_problems(&l);
    assert_true(l.ok);
    assert_string_equal(text, "dags/a.yaml:3:3: warning: task 'b' limits the concurrency key 'k' "
                              "to 3, and 'a' to 2 (the smallest counts)\n");
    mem_free(text);
    done(&l);
}

static void ten_mistakes_give_ten_precise_messages(void **state)
{
    (void)state;
    expect(
        "id: flights\n"
        "retires: 2\n"
        "deadline: soon\n"
        "params:\n"
        "  days: {type: integer, default: sixty}\n"
        "tasks:\n"
        "  split:\n"
        "    uses: data.slq\n"
        "  train:\n"
        "    uses: ml.train\n"
        "    needs: splitt\n"
        "    retries: '3'\n"
        "    with: {tabel: x, rounds: 0, table: \"${{ outputs.report.x }}\"}\n"
        "  report:\n"
        "    run: echo '${{ params.day }}'\n"
        "    needs: [train, report]\n"
        "  end:\n"
        "    run: echo\n"
        "  report:\n"
        "    uses: flow.noop\n",
        "dags/a.yaml:2:1: error: unknown key 'retires' in the DAG (did you mean 'retries'? It is a "
        "key of a task)\n"
        "dags/a.yaml:3:11: error: 'deadline' must be a duration such as 10s, 5m or 1h30m, not a "
        "string 'soon'\n"
        "dags/a.yaml:5:34: error: 'default' must be an integer, not a string 'sixty'\n"
        "dags/a.yaml:8:11: error: unknown operator 'data.slq' (did you mean 'data.sql'?)\n"
        "dags/a.yaml:11:12: error: task 'train' needs 'splitt', which does not exist (did you mean "
        "'split'?)\n"
        "dags/a.yaml:12:14: error: 'retries' must be an integer, not a string '3' (take the quotes "
        "away)\n"
        "dags/a.yaml:13:12: error: ml.train has no parameter 'tabel' (did you mean 'table'?)\n"
        "dags/a.yaml:13:30: error: 'rounds' must be at least 1, not 0\n"
        "dags/a.yaml:13:53: error: task 'train' names the outputs of 'report', which does not come "
        "before it (add it to 'needs')\n"
        "dags/a.yaml:15:16: error: an expression inside single quotes, where nothing is replaced: "
        "end the quotes before it, or put it into 'env' and read the variable\n"
        "dags/a.yaml:15:27: error: the DAG has no param 'day' (did you mean 'days'?)\n"
        "dags/a.yaml:16:20: error: a cycle of needs: report -> report (take one of these needs "
        "away)\n"
        "dags/a.yaml:17:3: error: 'end' cannot be the id of a task (it is a word of Lua)\n"
        "dags/a.yaml:19:3: error: the key 'report' is here twice (the first is at "
        "dags/a.yaml:14:3)\n");
}

static void every_kind_of_mistake_has_its_message(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"run: echo, retires: 1", "unknown key 'retires' in task 't' (did you mean 'retries'?)"},
        {"run: echo, params: {}", "unknown key 'params' in task 't' (it is a key of a DAG)"},
        {"run: echo, memory: 1G", "(it is a key of resources)"},
        {"run: echo, tune: {}", "'tune' is not yet supported"},
        {"needs: a", "task 't' has nothing to do (it needs 'uses' (an operator) or 'run'"},
        {"run: echo, uses: flow.noop", "has both 'uses' and 'run'"},
        {"run: echo, with: {a: 1}", "'with' belongs to 'uses'"},
        {"uses: flow.noop, shell: bash", "'shell' belongs to 'run'"},
        {"run: echo, needs: [a, a]", "needs 'a' twice"},
        {"run: echo, needs: [[a]]", "'needs' must be a string or a list of strings, not a list"},
        {"run: 3", "'run' must be a string, not an integer '3' (put it in quotes)"},
        {"run: echo, retries: 5000", "'retries' must be at most 1000, not 5000"},
        {"run: echo, retries: '${{ params.x }}'", "must be a constant (${{ }} is allowed in with,"},
        {"run: echo, timeout: soon", "'timeout' must be a duration such as 10s, 5m or 1h30m"},
        {"run: echo, timeout: 0s", "'timeout' must be longer than 0 (leave it out for none)"},
        {"run: echo, timeout: ~",
         "'timeout' must be a duration such as 10s, 5m or 1h30m, not nothing"},
        {"run: echo, exclusive: yes", "must be true or false, not a string 'yes' (write true)"},
        {"run: echo, trigger_rule: all_sucess", "(did you mean 'all_success'?)"},
        {"run: echo, backoff: linear", "'backoff' must be 'fixed' or 'exponential'"},
        {"run: echo, retry_on: {exit_codes: 0}", "'exit_codes' must be integers of 1 to 255"},
        {"run: echo, retry_on: {errors: timout}", "(did you mean 'timeout'?)"},
        {"run: echo, retry_jitter: 2", "'retry_jitter' must be at most 1, not 2"},
        {"run: echo, resources: {memroy: 1G}", "(did you mean 'memory'?)"},
        {"run: echo, resources: {memory: 12}", "must be at least 1048576 bytes, not 12"},
        {"run: echo, resources: 3", "'resources' must be a mapping, not an integer '3'"},
        {"run: echo, pool: Big Pool", "'pool' must be a name, not 'Big Pool'"},
        {"run: echo, env: {2X: a}", "'2X' cannot be the name of a variable"},
        {"run: echo, env: {NEXUS_URL: a}", "variables that begin with NEXUS_ are kept for Nexus"},
        {"run: echo, env: {A: [1]}", "'A' must be a text, not a list"},
        {"run: echo, shell: bash -x", "without options"},
        {"run: echo, if: secrets.x", "'if' must not name secrets"},
        {"run: echo, if: item > 1", "'item' is known only in a task with 'for_each'"},
        {"run: echo, if: 'outputs.a.x = 1'", "(equality is ==)"},
        {"run: echo, if: 'a ${{ params.x }} b'", "'if' must be one expression"},
        {"run: echo, if: outputs.a.x",
         "names the outputs of 'a', which does not come before it (add"},
        {"run: echo, needs: a, if: outputs.b.x", "there is no task 'b'"},
        {"run: 'echo ${{ outputs.t.x }}'", "a task cannot read its own outputs"},
        {"run: 'echo ${{ run.intervall.start }}'", "run has no member 'intervall' (did you mean"},
        {"run: 'echo ${{ run.interval.stop }}'", "run.interval has no member 'stop'"},
        {"run: 'echo ${{ dag[\"ids\"] }}'", "dag has no member 'ids' (did you mean 'id'?)"},
        {"run: 'echo ${{ task.try }}'", "task has no member 'try'"},
        {"run: echo, if: task.attempt > 1", "'if' must not name task.attempt"},
        {"run: 'echo ${{ x'", "'${{' without its '}}'"},
        {"run: 'echo ${{ outputs[params] }}'", "outputs.<task>.<name>"},
        {"run: 'echo ${{ secrets[params.x] }}'", "secrets.<name>"},
        {"run: 'echo ${{ json(secrets) }}'", "secrets.<name>"},
        {"uses: data.sql", "data.sql requires the parameter 'query' (The statement.)"},
        {"uses: data.sql, with: {query: 5}", "'query' must be SQL text, not an integer 5"},
        {"uses: data.sql, with: {query: \"select '${{ run.id }}'\"}", "inside quotes"},
        {"uses: data.sql, with: {query: 'select ${{ run.id'}", "without its '}}'"},
        {"uses: ml.train, with: {table: t, algorithm: bosting}", "did you mean 'boosting'?"},
        {"uses: ml.train, with: [1]", "'with' must be a mapping, not a list"},
        {"uses: nothing.like_it", "unknown operator 'nothing.like_it' (see 'nexus op list')"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strncmp(cases[i][0], "uses: ml.train, with: [1]", 25) == 0)
            continue; /* two problems: see below */
        expect_in_task(cases[i][0], cases[i][1]);
    }
    expect("tasks:\n  t: {uses: ml.train, with: [1]}\n",
           "dags/a.yaml:2:13: error: ml.train requires the parameter 'table' (add it to 'with')\n"
           "dags/a.yaml:2:29: error: 'with' must be a mapping, not a list\n");
}

static void mistakes_about_lists_have_their_messages(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"run: echo, for_each: x", "'for_each' must be a list"},
        {"run: echo, for_each: {a: 1}", "'for_each' must be a list"},
        {"run: echo, for_each: ['${{ params.x }}']", "has an expression inside a list"},
        {"run: echo, for_each: 'a ${{ params.x }}'", "must be one expression that gives a list"},
        {"run: echo, for_each: '${{ item }}'", "'item' is not known before the list is"},
        {"run: echo, for_each: '${{ secrets.s }}'", "'for_each' must not name secrets"},
        {"run: echo, for_each: '${{ outputs.a.x }}'",
         "'for_each' names the outputs of 'a', which does not come before task 't'"},
        {"run: echo, max_parallel: 2", "'max_parallel' does nothing without 'for_each'"},
        {"run: echo, for_each: [1], max_parallel: 0", "'max_parallel' must be at least 1, not 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_in_task(cases[i][0], cases[i][1]);
    expect(
        "groups:\n  g: {for_each: [1], max_parallel: 2}\n  empty: {}\n  Bad: {for_each: [1]}\n"
        "tasks:\n  a: {group: g, run: x}\n  m: {needs: a, run: x}\n"
        "  b: {group: g, needs: m, for_each: [2], run: x}\n",
        "dags/a.yaml:3:3: error: no task is in group 'empty' (give tasks 'group: empty')\n"
        "dags/a.yaml:4:3: error: 'Bad' cannot be the name of a group (lower case letters, digits, "
        "_ and -, a letter first, at most 64)\n"
        "dags/a.yaml:8:37: error: 'for_each' is that of its group already (a task is mapped over "
        "one list: build pairs in an expression)\n");
    expect(
        "groups:\n  g: {for_each: [1], max_parallel: 2}\n"
        "tasks:\n  a: {group: g, run: x}\n  m: {needs: a, run: x}\n"
        "  b: {group: g, needs: m, run: x}\n",
        "dags/a.yaml:2:17: error: 'a' and 'b' are of one group with max_parallel, but 'm', which "
        "is not, is between them: take it into the group, or max_parallel away\n");
}

static void
what_the_scheduler_does_itself_has_no_secrets_and_constants_where_it_needs_them(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"uses: wait.for, with: {duration: '${{ secrets.a }}'}", "must not name secrets"},
        {"uses: wait.until, with: {time: '${{ task.attempt }}'}", "must not name task.attempt"},
        {"uses: wait.for, with: {duration: soon}", "a duration such as 10s"},
        {"uses: wait.file, with: {path: a, every: '${{ run.id }}'}", "must be a constant"},
        {"uses: wait.file, with: {path: a, every: 1ms}", "must be at least 0.1 s"},
        {"uses: flow.trigger, with: {dag: b, wait: '${{ run.id }}'}", "must be a constant"},
        {"uses: flow.approve, with: {form: {comment: {}}}", "'comment' cannot be a field"},
        {"uses: flow.approve, with: {form: {n: {type: int}}}", "must be one of string|integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_in_task(cases[i][0], cases[i][1]);
}

static void one_mistake_hides_no_other_and_what_does_nothing_is_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"---\n---\n",
         "dags/a.yaml:1:1: error: the file has no DAG in it (it has at least 'tasks:')\n"},
        {"x: &x {run: a}\ntasks:\n  a: {<<: *x, rum: b}\n  b: !t {run: x, needs: c}\n"
         "  c: {run: 'echo ''${{ params.x }}'' $(( ${{ run.idd }} ))'}\n",
         "dags/a.yaml:1:1: error: unknown key 'x' in the DAG\n"
         "dags/a.yaml:3:7: error: merge keys (<<) are not supported (what several tasks share goes "
         "into 'defaults')\n"
         "dags/a.yaml:3:15: error: unknown key 'rum' in task 'a' (did you mean 'run'?)\n"
         "dags/a.yaml:4:6: error: the tag '!t' is not supported (leave it out)\n"
         "dags/a.yaml:5:20: error: an expression inside single quotes, where nothing is replaced: "
         "end the quotes before it, or put it into 'env' and read the variable\n"
         "dags/a.yaml:5:31: error: the DAG has no param 'x' (add it to 'params')\n"
         "dags/a.yaml:5:42: error: an expression inside $((...)), where the shell would run its "
         "value: calculate inside the ${{ }}\n"
         "dags/a.yaml:5:50: error: run has no member 'idd' (did you mean 'id'?)\n"},
        {"params: {d: {type: integer, min: 5, max: 1}, e: {default: 5, required: true}}\ntasks: "
         "{t: "
         "{run: x}}\n",
         "dags/a.yaml:1:34: error: 'min' is greater than 'max': no value is allowed\n"
         "dags/a.yaml:1:59: error: 'default' is never used: every run must be given a value (take "
         "away 'required' or the default)\n"},
        {"tasks:\n  t: {run: x, pool_slots: 2, retry_delay: 10s, max_retry_delay: 5s}\n  u: {rum: "
         "x}\n",
         "dags/a.yaml:2:27: warning: 'pool_slots' does nothing without 'pool'\n"
         "dags/a.yaml:2:65: warning: 'max_retry_delay' is shorter than 'retry_delay'\n"
         "dags/a.yaml:3:3: error: task 'u' has nothing to do (it needs 'uses' (an operator) or "
         "'run' (a script))\n"
         "dags/a.yaml:3:7: error: unknown key 'rum' in task 'u' (did you mean 'run'?)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], cases[i][1]);
}

static void what_is_inside_an_argument_is_checked(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"params: {max_dpth: 3}",
         "2:49: error: 'params' of ml.train has no 'max_dpth' (did you mean 'max_depth'?)"},
        {"params: {eta: 3}", "has no 'eta' (it is called 'learning_rate' here)"},
        {"params: {max_depth: -1}", "2:60: error: 'max_depth' must be at least 0, not -1"},
        {"params: {max_depth: 1.5}", "'max_depth' must be an integer, not"},
        {"params: {learning_rate: 0}", "'learning_rate' must be above 0, not 0"},
        {"params: {l2: 1}", "has no 'l2' (there are max_depth, learning_rate)"},
        {"algorithm: linear, params: {max_depth: 1}", "has no 'max_depth' (there are l2)"},
        {"algorithm: '${{ run.id }}', params: {max_dept: 1, l2: 1}", "did you mean 'max_depth'?"},
        {"params: {max_depth: '${{ 1 + 1 }}', learning_rate: x}",
         "'learning_rate' must be a number"},
        {"types: {a: intt}", "2:51: error: 'a' must be one of 'int', 'text', not 'intt'; did you"},
        {"checks: [{max: 1}, {mx: 1}]", "'checks' of ml.train has no 'mx' (did you mean 'max'?)"},
        {"params: [1]", "'params' must be a mapping, not a list"},
        {"tables: {a: 5}", "'a' must be a table (an output of a task), not an integer 5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[256];
        snprintf(yaml, sizeof yaml, "tasks:\n  t: {uses: ml.train, with: {table: x, %s}}\n",
                 cases[i][0]);
        struct loaded l = load(yaml);
        char *text = all_problems(&l);
        if (l.problems.n != 1 || !strstr(text, cases[i][1]))
            fail_msg("%s\ngives %s\nnot %s", yaml, text, cases[i][1]);
        mem_free(text);
        done(&l);
    }
    expect(
        "tasks:\n  t: {uses: ml.train, with: {table: x, params: {max_depth: 1, learning_rate: 1}, "
        "types: {a: int, b: text}, checks: [{max: 1}]}}\n",
        "");
    expect(
        "tasks:\n  t: {uses: ml.train, with: {table: x, algorithm: '${{ run.id }}', params: {l2: "
        "1, max_depth: 1}}}\n",
        "");
}

static void an_output_of_the_wrong_kind_is_an_error(void **state)
{
    (void)state;
    static const char head[] =
        "tasks:\n"
        "  q: {uses: data.sql, with: {query: select 1}}\n"
        "  m: {uses: ml.train, needs: q, with: {table: '${{ outputs.q.table }}'}}\n"
        "  s: {run: echo}\n"
        "  t: {uses: ml.train, needs: [m, s], with: {";
    static const char *const cases[][2] = {
        {"table: '${{ outputs.m.model }}'",
         "dags/a.yaml:5:67: error: 'table' must be a table (an output of a task), and 'model' of "
         "ml.train is of type model\n"},
        {"table: \"${{ outputs['m']['roc_auc'] }}\"",
         "dags/a.yaml:5:71: error: 'table' must be a table (an output of a task), and 'roc_auc' of "
         "ml.train is of type float\n"},
        {"table: '${{ outputs.q.table }}', tables: {a: '${{ outputs.q.table }}', b: '${{ "
         "outputs.m.model }}'}",
         "dags/a.yaml:5:134: error: 'b' must be a table (an output of a task), and 'model' of "
         "ml.train is of type model\n"},
        {"table: '${{ outputs.q.table }}', rounds: '${{ outputs.q.table }}'",
         "dags/a.yaml:5:101: error: 'rounds' must be an integer, and 'table' of data.sql is of "
         "type "
         "table\n"},
        {"table: '${{ outputs.q.table }}', rounds: '${{ outputs.m.roc_auc }}'", ""},
        {"table: '${{ outputs.s.anything }}'", ""},
        {"table: \"${{ outputs.m.roc_auc > 0.5 and outputs.q.table or nil }}\"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf yaml;
        buf_init(&yaml);
        buf_printf(&yaml, "%s%s}}\n", head, cases[i][0]);
        expect(buf_text(&yaml), cases[i][1]);
        buf_fini(&yaml);
    }
    expect("tasks:\n  q: {uses: data.sql, with: {query: select 1}}\n"
           "  m: {uses: ml.train, needs: q, with: {table: '${{ outputs.q.table }}'}}\n"
           "  n: {uses: ml.train, needs: q, with: {table: '${{ outputs.q.rows }}'}}\n",
           "dags/a.yaml:4:62: error: 'table' must be a table (an output of a task), and 'rows' of "
           "data.sql is of type int (outputs.q.table is one)\n");
}

static void mistakes_of_the_dag_itself_are_found(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "dags/a.yaml:1:1: error: the file has no DAG in it (it has at least 'tasks:')\n"},
        {"- a\n", "dags/a.yaml:1:1: error: a DAG must be a mapping, not a list (it has at least "
                  "'tasks:')\n"},
        {"id: a\n", "dags/a.yaml:1:1: error: the DAG has no tasks (tasks: {hello: {run: echo "
                    "hello}})\n"},
        {"id: A b\ntasks: {t: {run: x}}\n", "dags/a.yaml:1:5: error: 'id' must be a name, not 'A "
                                            "b' (lower case letters, digits, _ and -, "
                                            "a letter first, at most 64)\n"},
        {"tasks: [a]\n", "dags/a.yaml:1:8: error: 'tasks' must be a mapping, not a list\n"},
        {"tasks:\n  t: echo\n",
         "dags/a.yaml:2:3: error: task 't' must be a mapping, not a string (it "
         "needs 'uses' or 'run')\n"},
        {"tasks:\n  T: {run: x}\n",
         "dags/a.yaml:2:3: error: 'T' cannot be the id of a task (lower case "
         "letters, digits and _, a letter first, at most 64)\n"},
        {"params: {days: 3}\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:1:16: error: the param 'days' must be a mapping (write days: {default: "
         "3})\n"},
        {"params: {d: {type: int}}\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:1:20: error: 'type' must be one of "
         "string|integer|number|boolean|date|time|duration|list|object\n"},
        {"params: {d: {default: 5, max: 3}}\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:1:23: error: 'default' must be at most 3, not 5\n"},
        {"params: {d: {default: c, choices: [a, b]}}\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:1:23: error: 'default' must be one of 'a', 'b', not 'c'\n"},
        {"env: {A: '${{ outputs.t.x }}'}\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:1:15: error: outputs cannot be named in the 'env' of all tasks (put the "
         "variable "
         "into the 'env' of a task)\n"},
        {"tasks:\n  a: {run: x, finally: true}\n  b: {run: x, needs: a}\n",
         "dags/a.yaml:3:22: error: task 'b' needs 'a', which runs when everything else is final "
         "(only a "
         "task with 'finally: true' can need another)\n"},
        {"tasks:\n  a: {run: x, needs: c}\n  b: {run: x, needs: a}\n  c: {run: x, needs: b}\n",
         "dags/a.yaml:3:22: error: a cycle of needs: a -> c -> b -> a (take one of these needs "
         "away)\n"},
        {"id: x\ntasks: {t: {run: x}}\n---\nid: x\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:4:1: error: the DAG 'x' is here twice (the first is at dags/a.yaml:1:1)\n"},
        {"tasks: {t: {run: x}\n",
         "dags/a.yaml:2:1: error: not YAML: did not find expected ',' or '}' "
         "while parsing a flow mapping at line 1\n"},
        {"files: [/etc/passwd, ../x, a/../../b]\ntasks: {t: {run: x}}\n",
         "dags/a.yaml:1:9: error: 'files' must name files beside the DAG file, not '/etc/passwd'\n"
         "dags/a.yaml:1:22: error: 'files' must name files beside the DAG file, not '../x'\n"
         "dags/a.yaml:1:28: error: 'files' must name files beside the DAG file, not 'a/../../b'\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], cases[i][1]);
}

static void a_schedule_is_checked(void **state)
{
    (void)state;
    expect("schedule: ['61 3 * * *', {evry: 15m}, {every: 10ms}, 5, '0 0 30 2 *']\n"
           "timezone: Europe/Berln\n"
           "start: yesterday\n"
           "catchup: maybe\n"
           "params: {p: {required: true}}\n"
           "tasks: {a: {run: x}}\n",
           "dags/a.yaml:1:11: error: a scheduled DAG cannot have the required param 'p' (give it a "
           "default)\n"
           "dags/a.yaml:1:13: error: 'schedule': minute '61' is not between 0 and 59\n"
           "dags/a.yaml:1:27: error: 'schedule' knows no 'evry' (did you mean 'every'?)\n"
           "dags/a.yaml:1:47: error: 'every' must be at least 1s and at most 366 days, not 10ms\n"
           "dags/a.yaml:1:54: error: 'schedule' must be a cron expression, not an integer\n"
           "dags/a.yaml:1:62: error: 'schedule': it never fires: no month that it names has such a "
           "day\n"
           "dags/a.yaml:2:11: error: 'timezone' cannot be used: there is no time zone "
           "'Europe/Berln'; did you mean 'Europe/Berlin'?\n"
           "dags/a.yaml:3:8: error: 'start' must be a date or a time, not yesterday (2001-01-31, "
           "2001-01-31T03:00 (local to the timezone), 2001-01-31T03:00Z)\n"
           "dags/a.yaml:4:10: error: 'catchup' must be false, true, latest or a duration such as "
           "6h, not maybe\n");
    struct loaded l = load("schedule: ['0 3 * * *', {every: 90s}]\n"
                           "timezone: Europe/Berlin\n"
                           "start: 2001-07-01\n"
                           "end: 2001-07-31\n"
                           "catchup: 6h\n"
                           "tasks: {a: {run: x}}\n");
    expect_ok(&l);
    assert_string_equal(l.specs[0]->timetable,
                        "{\"start_ms\":993938400000,\"end_ms\":996616799999,"
                        "\"catchup\":\"window\",\"catchup_ms\":21600000,"
                        "\"timezone\":\"Europe/Berlin\",\"jitter_ms\":0,\"overlap\":0,"
                        "\"entries\":[{\"cron\":\"0 3 * * *\",\"key\":\"0 3 * * *\"},"
                        "{\"every_ms\":90000,\"key\":\"every 1m30s\"}]}");
    done(&l);
}

static void bounds_and_jitter_that_cannot_be_meant_are_told(void **state)
{
    (void)state;
    expect("schedule: [{at: 2001-01-05}, {at: 2001-02-05}, {at: 2000-12-31T23:00}]\n"
           "start: 2001-01-01\nend: 2001-01-31\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:1:35: error: 'at' is after end (2001-01-31): it would never fire\n"
           "dags/a.yaml:1:53: error: 'at' is before start (2001-01-01): it would never fire\n");
    expect("schedule: '@yearly'\nstart: 2001-01-02\nend: 2001-12-31\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:1:11: error: 'schedule' never fires: none of its data intervals begins "
           "between start and end, the next one only at 2002-01-01T00:00:00.000Z\n");
    expect("schedule: '@daily'\nstart: 2001-01-02\nend: 2001-01-01\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:3:6: error: 'end' (2001-01-01) is before start (2001-01-02): it would "
           "never run\n");
    expect("schedule: '@daily'\nend:\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:2:5: error: 'end' must be a date or a time, not nothing (2001-01-31, "
           "2001-01-31T03:00 (local to the timezone), 2001-01-31T03:00Z)\n");
    expect("schedule: '@daily'\njitter: 2d\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:2:9: error: 'jitter' must be at most 1d, not 2d\n");
    expect("schedule: '*/5 * * * *'\njitter: 6m\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:2:9: warning: 'jitter' (6m) is longer than the 5m between two starts: some "
           "will come together\n");
    expect("schedule: ['@daily', {every: 10s}]\njitter: 11s\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:2:9: warning: 'jitter' (11s) is longer than the 10s between two starts: "
           "some will come together\n");
    expect("start: 2001-01-01\nend: 2001-01-02\njitter: 5s\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:1:8: warning: 'start' means nothing without a schedule\n"
           "dags/a.yaml:2:6: warning: 'end' means nothing without a schedule\n"
           "dags/a.yaml:3:9: warning: 'jitter' means nothing without a schedule\n");
    expect("schedule: '@continuous'\njitter: 5s\ntasks: {a: {run: x}}\n",
           "dags/a.yaml:2:9: warning: 'jitter' means nothing where datasets or the end of the last "
           "run start runs\n");
    expect("schedule: '@yearly'\nstart: 2001-01-01\nend: 2001-01-01\njitter: 1h\n"
           "tasks: {a: {run: x}}\n",
           "");
}

static void an_unlisted_output_is_a_warning(void **state)
{
    (void)state;
    struct loaded l = load("tasks:\n  a: {uses: ml.train, with: {table: t}}\n"
                           "  b: {run: 'echo ${{ outputs.a.rocauc }}', needs: a}\n");
    expect_ok(&l);
    assert_int_equal(l.problems.n, 1);
    assert_int_equal(l.problems.at[0].severity, PROBLEM_WARNING);
    assert_int_equal(l.problems.at[0].column, 32);
    assert_string_equal(l.problems.at[0].hint, "did you mean 'roc_auc'?");
    done(&l);
}

static void a_file_gives_its_name_and_several_documents(void **state)
{
    (void)state;
    struct loaded l = load("tasks: {t: {run: x}}\n---\nid: b\ntasks: {t: {run: x}}\n---\n");
    expect_ok(&l);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.specs[0]->id, "a");
    assert_string_equal(l.specs[1]->id, "b");
    done(&l);
    l = load("id: ok\ntasks: {t: {run: x}}\n---\nid: bad\ntasks: {t: {rum: x}}\n");
    assert_false(l.ok);
    assert_int_equal(l.n, 1); /* the good one is there all the same */
    done(&l);
    l = load_as("My File.yaml", "tasks: {t: {run: x}}\n", NULL);
    assert_false(l.ok);
    assert_non_null(strstr(l.problems.at[0].message, "'My File' cannot be the DAG's id"));
    done(&l);
}

static void files_are_found_beside_the_dag(void **state)
{
    (void)state;
    char folder[] = "/tmp/dag_test.XXXXXX", path[256];
    struct nx_err err;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sql/deep", folder);
    assert_true(path_make_folders(path, &err));
    snprintf(path, sizeof path, "%s/sql/deep/b.sql", folder);
    assert_true(path_write(path, "select", 6, &err));
    snprintf(path, sizeof path, "%s/report.sh", folder);
    assert_true(path_write(path, "echo", 4, &err));
    assert_int_equal(chmod(path, 0755), 0);
    struct loaded l =
        load_as("a.yaml", "files: [report.sh, sql/, ./report.sh]\ntasks: {t: {run: x}}\n", folder);
    expect_ok(&l);
    assert_int_equal(l.specs[0]->n_files, 2);
    assert_string_equal(l.specs[0]->files[0].path, "report.sh");
    assert_true(l.specs[0]->files[0].executable);
    assert_string_equal(l.specs[0]->files[1].path, "sql/deep/b.sql");
    assert_int_equal(l.specs[0]->files[1].n_bytes, 6);
    struct loaded stored =
        load_as("a.yaml", "files: [report.sh, sql/, ./report.sh]\ntasks: {t: {run: x}}\n", NULL);
    assert_int_equal(stored.specs[0]->n_files, 0); /* not looked for, and still the same task */
    assert_string_equal(stored.specs[0]->tasks[0].definition, l.specs[0]->tasks[0].definition);
    done(&stored);
    done(&l);
    l = load_as("a.yaml", "files: report.hs\ntasks: {t: {run: x}}\n", folder);
    assert_false(l.ok);
    assert_non_null(strstr(l.problems.at[0].message, "names 'report.hs', which cannot be read"));
    done(&l);
    assert_true(path_remove_tree(folder, &err));
}

static void a_finally_task_cleans_up_whatever_became_of_what_it_needs(void **state)
{
    (void)state;
    struct loaded l = load("id: d\ntasks:\n  a: {run: x}\n"
                           "  tidy: {run: x, needs: a, finally: true}\n"
                           "  told: {run: x, needs: a, finally: true, trigger_rule: one_failed}\n");
    expect_ok(&l);
    assert_int_equal(l.specs[0]->tasks[0].rule, NX_TR_ALL_SUCCESS);
    assert_int_equal(l.specs[0]->tasks[1].rule, NX_TR_ALL_DONE);
    assert_int_equal(l.specs[0]->tasks[2].rule, NX_TR_ONE_FAILED);
    done(&l);
}

static void a_chain_of_10000_tasks_is_loaded(void **state)
{
    (void)state;
    struct buf yaml;
    buf_init(&yaml);
    buf_str(&yaml, "id: chain\ntasks:\n  t0: {run: echo}\n");
    for (int i = 1; i < 10000; i++)
        buf_printf(&yaml, "  t%d: {run: \"echo ${{ outputs.t%d.x }}\", needs: t%d}\n", i,
                   i % 100 == 0 ? i - 100 : i - 1, i - 1);
    int64_t start = clock_mono_ms();
    struct loaded l = load(yaml.data);
    int64_t took = clock_mono_ms() - start;
    expect_ok(&l);
    assert_int_equal(l.specs[0]->n_tasks, 10000);
    struct graph *graph;
    struct nx_err err;
    assert_true(spec_graph(l.specs[0], &graph, &err));
    assert_int_equal(graph->tasks[0].path_length, 10000);
    graph_release(graph);
    done(&l);
    buf_fini(&yaml);
    print_message("10000 tasks in %d ms\n", (int)took);
    assert_true(took < 60000); /* quadratic work would take minutes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_becomes_a_spec),
        cmocka_unit_test(a_spec_becomes_a_graph),
        cmocka_unit_test(limits_and_pasts_and_deadlines_reach_the_graph),
        cmocka_unit_test(mistakes_in_limits_are_named),
        cmocka_unit_test(ten_mistakes_give_ten_precise_messages),
        cmocka_unit_test(every_kind_of_mistake_has_its_message),
        cmocka_unit_test(mistakes_about_lists_have_their_messages),
        cmocka_unit_test(what_is_inside_an_argument_is_checked),
        cmocka_unit_test(an_output_of_the_wrong_kind_is_an_error),
        cmocka_unit_test(mistakes_of_the_dag_itself_are_found),
        cmocka_unit_test(a_schedule_is_checked),
        cmocka_unit_test(
            what_the_scheduler_does_itself_has_no_secrets_and_constants_where_it_needs_them),
        cmocka_unit_test(one_mistake_hides_no_other_and_what_does_nothing_is_told),
        cmocka_unit_test(bounds_and_jitter_that_cannot_be_meant_are_told),
        cmocka_unit_test(an_unlisted_output_is_a_warning),
        cmocka_unit_test(a_file_gives_its_name_and_several_documents),
        cmocka_unit_test(files_are_found_beside_the_dag),
        cmocka_unit_test(a_finally_task_cleans_up_whatever_became_of_what_it_needs),
        cmocka_unit_test(a_chain_of_10000_tasks_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
