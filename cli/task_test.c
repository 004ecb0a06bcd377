/* nexus task test DAG TASK: one task here, without a scheduler. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/out.h"
#include "cli/table.h"
#include "cli/trigger.h"
#include "cli/validate.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/script/args.h"
#include "lib/script/script.h"
#include "lib/script/typed.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/found.h"

struct test {
    struct cli *cli;
    struct home home;
    struct spec *spec;
    const struct spec_task *task;
    int64_t map_index;           /* of a mapped task; else -1 */
    char folder[PATH_MAX_BYTES]; /* temporary */
};

/* ---- Finding the DAG ---- */

/* The specs of a file whose id is `id` (NULL: any one); the others are freed. */
static struct spec *take_spec(const char *file, const json_t *catalog, const char *id,
                              struct problems *problems)
{
    struct spec **specs, *found = NULL;
    size_t n;
    validate_file(file, catalog, &specs, &n, problems);
    for (size_t i = 0; i < n; i++) {
        if (!found && (!id || str_eq(specs[i]->id, id)))
            found = specs[i];
        else
            spec_free(specs[i]);
    }
    mem_free(specs);
    return found;
}

/* Looks through the folder of DAG files for that id. */
static int find_by_id(struct test *test, const char *id, const json_t *catalog)
{
    struct problems problems;
    char path[PATH_MAX_BYTES];
    problems_init(&problems);
    DIR *dir = opendir(test->home.dags);
    for (struct dirent *e; dir && !test->spec && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !found_is_name(e->d_name) ||
            !path_join(path, sizeof path, test->home.dags, e->d_name))
            continue;
        test->spec = take_spec(path, catalog, id, &problems);
    }
    if (dir)
        closedir(dir);
    bool broken = problems.n_errors > 0;
    problems_fini(&problems);
    if (test->spec)
        return CLI_DONE;
    return cli_fail(CLI_USAGE, "no DAG '%s' in %s%s; a file's path works too", id, test->home.dags,
                    broken ? " (some files there have errors: nexus dag validate)" : "");
}

static int find_dag(struct test *test, const char *dag)
{
    struct problems problems;
    json_t *catalog = validate_catalog();
    int status = CLI_DONE;
    if (!strchr(dag, '/') && !found_is_name(dag)) {
        status = find_by_id(test, dag, catalog);
        json_decref(catalog);
        return status;
    }
    problems_init(&problems);
    test->spec = take_spec(dag, catalog, NULL, &problems);
    if (!test->spec) {
        struct buf text = {0};
        validate_print(&problems, test->cli->color, &text);
        fputs(buf_text(&text), stderr);
        buf_fini(&text);
        status = cli_fail(CLI_FAILED, "%s cannot be used", dag);
    }
    problems_fini(&problems);
    json_decref(catalog);
    return status;
}

/* Cuts "[3]" from the name; 0 when there is none. */
static int cut_index(char *name, int64_t *index)
{
    char *bracket = strchr(name, '[');
    size_t n = strlen(name);
    *index = 0;
    if (!bracket)
        return CLI_DONE;
    if (name[n - 1] != ']')
        return cli_fail(CLI_USAGE, "expected TASK or TASK[INDEX], not '%s'", name);
    name[n - 1] = 0;
    *bracket = 0;
    if (!str_parse_int(bracket + 1, index) || *index < 0)
        return cli_fail(CLI_USAGE, "an index counts from 0; '%s' is none", bracket + 1);
    return CLI_DONE;
}

static int find_task(struct test *test, const char *given)
{
    VEC(const char *) names = {0};
    char *name = arena_strdup(&test->cli->arena, given);
    int wrong = cut_index(name, &test->map_index);
    if (wrong)
        return wrong;
    int64_t index = spec_find(test->spec, name);
    int status = CLI_DONE;
    if (index >= 0) {
        test->task = &test->spec->tasks[index];
        if (!test->task->map && strchr(given, '['))
            return cli_fail(CLI_USAGE, "task '%s' is not mapped: it has no indexes", name);
        if (!test->task->map)
            test->map_index = -1;
        return CLI_DONE;
    }
    for (uint32_t i = 0; i < test->spec->n_tasks; i++)
        vec_push(&names, test->spec->tasks[i].id);
    status = cli_no_such("task", name, names.at, names.n, "nexus dag validate");
    vec_fini(&names);
    return status;
}

/* ---- What it is given ---- */

static void add_absent(const struct test *test, json_t *outputs, const uint32_t *tasks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct spec_task *other = &test->spec->tasks[tasks[i]];
        bool list = other->map && other->map != test->task->map;
        if (!json_object_get(outputs, other->id))
            json_object_set_new(outputs, other->id, list ? json_array() : json_object());
    }
}

/* {"task": {"output": value}} of --outputs FILE; tasks that are not there have no outputs. */
static int read_outputs(struct test *test, json_t **outputs)
{
    struct buf text = {0};
    struct nx_err err;
    const char *file = cli_get(test->cli, "outputs");
    json_t *given = NULL;
    if (file) {
        bool ok = path_read(file, NX_CONTEXT_MAX, &text, &err);
        given = ok ? js_read(buf_text(&text), text.len, file, &err) : NULL;
        buf_fini(&text);
        if (!given)
            return cli_fail(CLI_USAGE, "--outputs: %s", err.text);
        if (!json_is_object(given)) {
            json_decref(given);
            return cli_fail(CLI_USAGE, "--outputs: expected {\"task\": {\"output\": value}}");
        }
    }
    *outputs = given ? given : json_object();
    const struct spec_map *map = test->task->map ? &test->spec->maps[test->task->map - 1] : NULL;
    add_absent(test, *outputs, test->task->refs, test->task->n_refs);
    if (map)
        add_absent(test, *outputs, map->refs, map->n_refs);
    return CLI_DONE;
}

static json_t *read_vars(const struct test *test)
{
    json_t *vars = json_object();
    for (size_t i = 0; i < test->home.settings.n_vars; i++) {
        const struct settings_var *var = &test->home.settings.vars[i];
        json_object_set_new(vars, var->name, js_read(var->json, strlen(var->json), "vars", NULL));
    }
    return vars;
}

static json_t *read_named(const char *prefix)
{
    char *text = settings_named(prefix);
    json_t *values = js_read(text, strlen(text), prefix, NULL);
    mem_free(text);
    return values;
}

/* Those that the DAG names. */
static json_t *read_secrets(const struct test *test)
{
    json_t *all = read_named(SETTINGS_SECRET), *secrets = json_object();
    for (size_t i = 0; i < test->spec->n_secrets; i++) {
        const char *name = test->spec->secrets[i];
        if (json_object_get(all, name))
            json_object_set(secrets, name, json_object_get(all, name));
    }
    json_decref(all);
    return secrets;
}

static json_t *run_of(const struct test *test, int *status)
{
    int64_t at = clock_wall_ms();
    const char *date = cli_get(test->cli, "date");
    if (date && !time_parse(date, &at))
        *status = cli_fail(CLI_USAGE, "--date takes a date or an instant, not '%s'", date);
    json_t *interval = json_object(), *run = json_object();
    json_object_set_new(interval, "start", js_time(at));
    json_object_set_new(interval, "finish", js_time(at));
    json_object_set_new(run, "id", json_string("0"));
    json_object_set_new(run, "cause", json_string("manual"));
    json_object_set_new(run, "interval", interval);
    json_object_set_new(run, "datasets", json_object());
    json_object_set_new(run, "created_at", js_time(clock_wall_ms()));
    return run;
}

/* The list over which the task is mapped: a new reference. */
static json_t *list_of(const struct test *test, const json_t *context, struct nx_err *err)
{
    const struct spec_map *map = &test->spec->maps[test->task->map - 1];
    static const char *const roots[] = {"params", "run", "dag", "vars", "outputs"};
    json_t *list = NULL;
    if (map->items)
        return json_loads(map->items, 0, NULL);
    struct script *script = script_new();
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        script_set(script, roots[i], json_object_get(context, roots[i]));
    if (!script_eval(script, map->expression, SCRIPT_TIMES_TYPED, &list, err))
        list = NULL;
    script_free(script);
    return list;
}

/* The item at the index, or that of --item. */
static int find_item(const struct test *test, const json_t *context, json_t **item)
{
    const char *given = cli_get(test->cli, "item");
    struct nx_err err;
    *item = NULL;
    if (given) {
        *item = js_read(given, strlen(given), "--item", &err);
        return *item ? CLI_DONE
                     : cli_fail(CLI_USAGE, "%s; a text needs quotes: --item '\"eu\"'", err.text);
    }
    json_t *list = list_of(test, context, &err);
    size_t n = json_array_size(list);
    int status = CLI_DONE;
    *item = json_incref(json_array_get(list, (size_t)test->map_index));
    if (!list)
        status = cli_fail(CLI_FAILED, "the `for_each` of task '%s': %s; --item JSON gives an item",
                          test->task->id, err.text);
    else if (!n)
        status = cli_fail(CLI_FAILED, "the `for_each` of task '%s' gives no items", test->task->id);
    else if (!*item)
        status = cli_fail(CLI_USAGE, "the list of task '%s' has %zu items: there is no index %lld",
                          test->task->id, n, (long long)test->map_index);
    json_decref(list);
    return status;
}

/* `item` and `index` of a mapped task. */
static int add_item(const struct test *test, json_t *context)
{
    json_t *item;
    if (test->map_index < 0)
        return cli_get(test->cli, "item")
                   ? cli_fail(CLI_USAGE, "task '%s' has no 'for_each': --item says nothing",
                              test->task->id)
                   : CLI_DONE;
    int status = find_item(test, context, &item);
    if (status)
        return status;
    json_object_set_new(context, "item", item);
    json_object_set_new(context, "index", json_integer(test->map_index));
    json_object_set_new(json_object_get(context, "task"), "map_index",
                        json_integer(test->map_index));
    return CLI_DONE;
}

static int make_context(struct test *test, json_t **context)
{
    struct nx_err err;
    json_t *given = NULL, *params = NULL, *outputs = NULL;
    int status = trigger_params(test->cli, &given);
    if (status)
        return status;
    trigger_fit(test->cli, test->spec->params, given);
    if (!params_check(test->spec->params, given, &params, &err))
        status = cli_fail(CLI_USAGE, "%s", err.text);
    json_decref(given);
    params_type(params, test->spec->params);
    if (!status)
        status = read_outputs(test, &outputs);
    *context = json_object();
    json_object_set_new(*context, "params", params ? params : json_object());
    json_object_set_new(*context, "run", run_of(test, &status));
    json_object_set_new(*context, "dag",
                        json_pack("{s:s, s:s}", "id", test->spec->id, "version", "0"));
    json_object_set_new(*context, "task",
                        json_pack("{s:s, s:i}", "id", test->task->id, "attempt", 1));
    json_object_set_new(*context, "outputs", outputs ? outputs : json_object());
    json_object_set_new(*context, "vars", read_vars(test));
    json_object_set_new(*context, "secrets", read_secrets(test));
    json_object_set_new(*context, "connections", read_named(SETTINGS_CONNECTION));
    return status ? status : add_item(test, *context);
}

/* ---- Running it ---- */

/* The DAG's `files:` as an attempt finds them. */
static int lay_out_files(struct test *test, const char *folder)
{
    char path[PATH_MAX_BYTES], parent[PATH_MAX_BYTES];
    struct nx_err err;
    if (!path_make_folders(folder, &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    for (size_t i = 0; i < test->spec->n_files; i++) {
        const struct spec_file *file = &test->spec->files[i];
        struct buf text = {0};
        if (!path_join(path, sizeof path, folder, file->path))
            return cli_fail(CLI_FAILED, "the path of %s is too long", file->path);
        str_copy(parent, sizeof parent, path);
        *strrchr(parent, '/') = 0;
        bool ok = path_make_folders(parent, &err) &&
                  path_read(file->source, NX_FILES_MAX_BYTES, &text, &err) &&
                  path_write(path, buf_text(&text), text.len, &err);
        buf_fini(&text);
        if (!ok)
            return cli_fail(CLI_FAILED, "%s", err.text);
        chmod(path, file->executable ? 0755 : 0644);
    }
    return CLI_DONE;
}

static int write_spec(struct test *test, const char *path, const char *files)
{
    struct nx_err err;
    json_t *context = NULL, *spec = json_object(), *folders = json_object();
    int status = make_context(test, &context);
    char work[PATH_MAX_BYTES + 16], artifacts[PATH_MAX_BYTES + 16], key[64];
    snprintf(work, sizeof work, "%s/attempt", test->folder);
    snprintf(artifacts, sizeof artifacts, "%s/artifacts", test->folder);
    json_object_set_new(folders, "work", js_string(work));
    json_object_set_new(folders, "artifacts", js_string(artifacts));
    json_object_set_new(folders, "project", js_string(test->home.project));
    json_object_set_new(folders, "files", js_string(files));
    json_object_set_new(
        spec, "definition",
        js_read(test->task->definition, strlen(test->task->definition), "definition", NULL));
    snprintf(key, sizeof key, "0.task.%lld.1", (long long)test->map_index);
    json_object_set_new(spec, "key", json_string(key));
    json_object_set_new(spec, "context", context);
    json_object_set_new(spec, "folders", folders);
    char *text = js_text(spec);
    if (!status && !path_write(path, text, strlen(text), &err))
        status = cli_fail(CLI_FAILED, "%s", err.text);
    mem_free(text);
    json_decref(spec);
    return status;
}

/* Runs nexus-task; its log goes to our stderr when stdout is for the result. */
static int run_task(const struct test *test, const char *spec, const char *result)
{
    char program[PATH_MAX_BYTES];
    struct nx_err err;
    int ended;
    if (!home_program("nexus-task", program, sizeof program, &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return cli_fail(CLI_FAILED, "cannot start nexus-task: %s", strerror(errno));
    if (pid == 0) {
        if (test->cli->format != CLI_TABLE)
            dup2(STDERR_FILENO, STDOUT_FILENO);
        execl(program, program, "--run", spec, "--result", result, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR)
        ;
    if (!path_exists(result))
        return cli_fail(CLI_FAILED, "nexus-task ended without a result");
    return CLI_DONE;
}

static int print_result(const struct test *test, const char *path)
{
    struct buf text = {0};
    struct nx_err err;
    bool ok = path_read(path, NX_CONTEXT_MAX, &text, &err);
    json_t *result = ok ? js_read(buf_text(&text), text.len, path, &err) : NULL;
    buf_fini(&text);
    if (!result)
        return cli_fail(CLI_FAILED, "%s", err.text);
    const char *outcome = js_get_text(result, "outcome", "failed"), *key;
    bool good = str_eq(outcome, "success") || str_eq(outcome, "skipped");
    if (!out_value(test->cli, result, "outcome")) {
        json_t *value;
        json_object_foreach(json_object_get(result, "outputs"), key, value) printf(
            "%s = %s\n", key, json_is_null(value) ? "null" : out_scalar(&test->cli->arena, value));
        const char *error = js_get_text(result, "error", NULL);
        printf("%s %s%s%s\n", out_state_glyph(outcome), outcome, error ? ": " : "",
               error ? error : "");
    }
    json_decref(result);
    return good ? CLI_DONE : CLI_FAILED;
}

static int test_task(struct test *test)
{
    char spec[PATH_MAX_BYTES + 16], result[PATH_MAX_BYTES + 16], files[PATH_MAX_BYTES + 16];
    const char *root = getenv("TMPDIR");
    int status = find_dag(test, cli_arg(test->cli, 0));
    if (!status)
        status = find_task(test, cli_arg(test->cli, 1));
    if (status)
        return status;
    snprintf(test->folder, sizeof test->folder, "%s/nexus-test-XXXXXX",
             root && *root ? root : "/tmp");
    if (!mkdtemp(test->folder)) {
        test->folder[0] = 0;
        return cli_fail(CLI_FAILED, "cannot make a temporary folder: %s", strerror(errno));
    }
    snprintf(spec, sizeof spec, "%s/spec.json", test->folder);
    snprintf(result, sizeof result, "%s/result.json", test->folder);
    snprintf(files, sizeof files, "%s/files", test->folder);
    status = lay_out_files(test, files);
    if (!status)
        status = write_spec(test, spec, files);
    if (!status)
        status = run_task(test, spec, result);
    return status ? status : print_result(test, result);
}

static int run_test(struct cli *cli)
{
    struct test test = {.cli = cli};
    int status = home_find(cli, &test.home);
    if (status)
        return status;
    status = test_task(&test);
    if (test.folder[0])
        path_remove_tree(test.folder, NULL);
    spec_free(test.spec);
    home_fini(&test.home);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'p', "param", "KEY=VALUE", "a param of the DAG; may be repeated", false, true},
    {0, "outputs", "FILE", "outputs of upstream tasks: {\"task\": {\"output\": value}}", false, false},
    {0, "item", "JSON", "of a mapped task: an item instead of that of its list", false, false},
    {0, "date", "T", "the start of the run's data interval (default: now)", false, false},
    {0, "dags", "DIR", "folder of the DAG files (default ./dags)", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_task_test = {
    .name = "task test",
    .arguments = "DAG TASK",
    .group = "Tasks",
    .summary = "run one task here, without a scheduler",
    .help =
        "DAG is an id in ./dags or the path of a file. Nothing is recorded: retries, pools and\n"
        "trigger rules do not count, and what it writes is thrown away. Of a mapped task, TASK is\n"
        "its first instance and TASK[3] that of index 3.\n\n"
        "  nexus task test hello greet -p name=you\n"
        "  echo '{\"greet\": {\"greeting\": \"Hi\"}}' > outputs.json\n"
        "  nexus task test dags/hello.yaml count --outputs outputs.json\n"
        "  nexus task test regions 'load[2]' --item '\"eu\"'",
    .options = options,
    .run = run_test,
};
