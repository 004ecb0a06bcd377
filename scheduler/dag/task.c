/* The tasks of a DAG. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/script/lex.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

#define WHAT_MAX (NX_ID_MAX + 16)

/* ---- Ids ---- */

static bool check_id(struct reader *r, const struct yaml_node *name)
{
    bool keyword = lex_is_keyword(name->text, name->n);
    if (str_is_id(name->text, false) && !keyword)
        return true;
    problem_hint(r->problems,
                 yaml_problem(r->problems, name, "'%.80s' cannot be the id of a task", name->text),
                 keyword ? "it is a word of Lua"
                         : "lower case letters, digits and _, a letter first, at most 64");
    return false;
}

/* Registers the ids, so that tasks can name later ones. A task with a wrong id is left out. */
static void collect_tasks(struct reader *r, const struct yaml_node *tasks)
{
    struct spec *spec = r->spec;
    uint32_t n = 0;
    spec->tasks = arena_array(&spec->arena, tasks->n, sizeof *spec->tasks);
    r->drafts = arena_array(&spec->arena, tasks->n, sizeof *r->drafts);
    for (size_t i = 0; i < tasks->n; i++) {
        struct yaml_node *name = tasks->pairs[i].key, *body = tasks->pairs[i].value;
        if (!check_id(r, name))
            continue;
        if (map_get(&spec->task_index, name->text))
            continue; /* a doubled key: said by the parser */
        if (body->kind != YAML_KIND_MAP) {
            problem_hint(r->problems,
                         yaml_problem(r->problems, name, "task '%s' must be a mapping, not %s",
                                      name->text, yaml_type_name(body)),
                         "it needs 'uses' or 'run'");
            /* It is known all the same: others may need it. */
        }
        spec->tasks[n].id = keep(r, name->text);
        spec->tasks[n].line = name->line;
        spec->tasks[n].column = name->column;
        r->drafts[n].key = name;
        r->drafts[n].body = body;
        map_set(&spec->task_index, name->text, (void *)(uintptr_t)(n + 1));
        n++;
    }
    spec->n_tasks = n;
}

/* ---- Keys read by hand ---- */

static void read_backoff(struct reader *r, const struct yaml_node *node, bool *exponential)
{
    if (node->kind == YAML_KIND_SCALAR && str_eq(node->text, "exponential"))
        *exponential = true;
    else if (node->kind == YAML_KIND_SCALAR && str_eq(node->text, "fixed"))
        *exponential = false;
    else
        read_problem(r, node, "backoff", "must be 'fixed' or 'exponential'");
}

static void read_exit_codes(struct reader *r, const struct yaml_node *node, struct spec_task *task)
{
    size_t n = node->kind == YAML_KIND_LIST ? node->n : 1;
    task->retry_exit_codes = arena_array(&r->spec->arena, n, sizeof *task->retry_exit_codes);
    for (size_t i = 0; i < n; i++) {
        const struct yaml_node *item = node->kind == YAML_KIND_LIST ? node->items[i] : node;
        int64_t v;
        if (!yaml_int(item, &v) || v < 1 || v > 255)
            read_problem(r, item, "exit_codes", "must be integers of 1 to 255");
        else
            task->retry_exit_codes[task->n_retry_exit_codes++] = (int)v;
    }
}

static void on_error_code(struct reader *r, struct yaml_node *node, void *arg)
{
    struct spec_task *task = arg;
    const char *names[NX_CODES];
    size_t n = 0;
    for (int code = NX_E_INVALID; code < NX_CODES; code++) {
        names[n++] = nx_code_info((enum nx_code)code)->name;
        if (str_eq(names[n - 1], node->text)) {
            if (task->n_retry_errors < NX_CODES)
                task->retry_errors[task->n_retry_errors++] = (enum nx_code)code;
            return;
        }
    }
    struct problem *problem =
        read_problem(r, node, "errors", "must be error codes, not '%.80s'", node->text);
    const char *nearest = str_nearest(node->text, names, n);
    if (nearest)
        problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
}

static void read_retry_on(struct reader *r, const struct yaml_node *map, struct spec_task *task)
{
    const struct yaml_node *node;
    if (map->kind != YAML_KIND_MAP)
        return;
    read_keys(r, map, KEY_RETRY_ON, NULL, "retry_on");
    if ((node = yaml_get(map, "exit_codes")) && !yaml_is_null(node))
        read_exit_codes(r, node, task);
    if ((node = yaml_get(map, "errors"))) {
        task->retry_errors = arena_array(&r->spec->arena, NX_CODES, sizeof *task->retry_errors);
        read_texts(r, node, "errors", on_error_code, task);
    }
}

static void read_concurrency(struct reader *r, const struct yaml_node *map, struct spec_task *task)
{
    task->concurrency_key = NULL; /* it replaces the default as a whole */
    task->concurrency_limit = 0;
    if (map->kind != YAML_KIND_MAP)
        return;
    read_keys(r, map, KEY_CONCURRENCY, task, "concurrency");
    if (task->concurrency_key && strlen(task->concurrency_key) > NX_NAME_MAX)
        read_problem(r, yaml_get(map, "key"), "key", "has at most %d bytes", NX_NAME_MAX);
    static const char *const needed[] = {"key", "limit"};
    for (size_t i = 0; i < 2; i++) {
        if (!yaml_get(map, needed[i]))
            problem_hint(r->problems, read_problem(r, map, "concurrency", "has no '%s'", needed[i]),
                         "concurrency: {key: warehouse, limit: 2}");
    }
}

/* What tasks and defaults have in common. */
static void read_common(struct reader *r, const struct yaml_node *body, struct spec_task *task)
{
    const struct yaml_node *node;
    if ((node = yaml_get(body, "backoff")))
        read_backoff(r, node, &task->backoff_exponential);
    if ((node = yaml_get(body, "retry_on")))
        read_retry_on(r, node, task);
    if ((node = yaml_get(body, "concurrency")))
        read_concurrency(r, node, task);
    if ((node = yaml_get(body, "resources")) && node->kind == YAML_KIND_MAP)
        read_keys(r, node, KEY_RESOURCES, task, "resources");
    read_hooks(r, body, &task->hooks);
    if (task->shell && strpbrk(task->shell, " \t\n") && (node = yaml_get(body, "shell")))
        read_problem(r, node, "shell", "must be the name of a program, without options");
}

/* ---- needs ---- */

struct needs {
    struct spec_task *task;
    struct draft *draft;
    uint32_t room;
};

static void on_need(struct reader *r, struct yaml_node *node, void *arg)
{
    struct needs *needs = arg;
    struct spec_task *task = needs->task;
    int64_t index = spec_find(r->spec, node->text);
    if (index < 0) {
        struct problem *problem =
            yaml_problem(r->problems, node, "task '%s' needs '%.80s', which does not exist",
                         task->id, node->text);
        const char **ids = mem_alloc_array(r->spec->n_tasks, sizeof *ids);
        for (uint32_t i = 0; i < r->spec->n_tasks; i++)
            ids[i] = r->spec->tasks[i].id;
        const char *nearest = str_nearest(node->text, ids, r->spec->n_tasks);
        if (nearest)
            problem_hint(r->problems, problem, "did you mean '%s'?", nearest);
        mem_free(ids);
        return;
    }
    for (uint32_t i = 0; i < task->n_needs; i++) {
        if (task->needs[i] == (uint32_t)index) {
            yaml_problem(r->problems, node, "task '%s' needs '%s' twice", task->id, node->text);
            return;
        }
    }
    must(task->n_needs < needs->room);
    needs->draft->need_nodes[task->n_needs] = node;
    task->needs[task->n_needs++] = (uint32_t)index;
}

static void read_needs(struct reader *r, const struct yaml_node *node, struct spec_task *task,
                       struct draft *draft)
{
    struct needs needs = {task, draft, node->kind == YAML_KIND_LIST ? (uint32_t)node->n : 1};
    task->needs = arena_array(&r->spec->arena, needs.room, sizeof *task->needs);
    draft->need_nodes = arena_array(&r->spec->arena, needs.room, sizeof(struct yaml_node *));
    read_texts(r, node, "needs", on_need, &needs);
}

/* ---- if ---- */

static void read_condition(struct reader *r, const struct yaml_node *node, uint32_t index)
{
    struct spec_task *task = &r->spec->tasks[index];
    struct template template;
    struct nx_err err;
    size_t offset = 0, n = node->n;
    const char *text = node->text;
    if (node->kind != YAML_KIND_SCALAR || yaml_is_null(node)) {
        read_problem(r, node, "if", "must be an expression");
        return;
    }
    if (template_has_expression(text)) {
        if (!template_parse(&r->spec->arena, text, &template, &offset, &err)) {
            yaml_problem_at(r->problems, node, offset, "'if': %s", err.text);
            return;
        }
        const struct template_piece *single = template_single(&template);
        if (!single) {
            problem_hint(r->problems, read_problem(r, node, "if", "must be one expression"),
                         "write it without ${{ }}");
            return;
        }
        text = single->text;
        offset = single->offset;
        n = single->n;
    }
    task->condition = keep(r, text);
    check_expression(r, node, offset, text, n, PLACE_CONDITION, index);
}

/* ---- env ---- */

static void check_env_name(struct reader *r, const struct yaml_node *name)
{
    const char *s = name->text;
    bool ok = isalpha((unsigned char)*s) || *s == '_';
    for (; *s; s++)
        ok = ok && (isalnum((unsigned char)*s) || *s == '_');
    if (!ok)
        yaml_problem(r->problems, name, "'%.80s' cannot be the name of a variable", name->text);
    else if (str_starts(name->text, "NEXUS_") || str_starts(name->text, "NX_E"))
        yaml_problem(r->problems, name, "variables that begin with %s are kept for Nexus",
                     name->text[1] == 'E' ? "NEXUS_" : "NX_E");
}

static void check_env(struct reader *r, const struct yaml_node *env, enum expression_place place,
                      uint32_t task)
{
    if (!env || env->kind != YAML_KIND_MAP)
        return;
    for (size_t i = 0; i < env->n; i++) {
        const struct yaml_node *name = env->pairs[i].key, *value = env->pairs[i].value;
        check_env_name(r, name);
        if (value->kind != YAML_KIND_SCALAR)
            read_problem(r, value, name->text, "must be a text, not %s", yaml_type_name(value));
        else
            check_template(r, value, place, task);
    }
}

/* ---- uses and with ---- */

/* What does not is reported by check_template, once. */
static bool parses(struct reader *r, const struct yaml_node *node)
{
    struct template template;
    return template_parse(&r->spec->arena, node->text, &template, NULL, NULL);
}

static void report_refused(struct reader *r, const struct yaml_node *node,
                           const struct template_bound *bound)
{
    for (size_t i = 0; i < bound->n_refused; i++)
        yaml_problem_at(r->problems, node, bound->refused[i].offset, "%s",
                        bound->refused[i].message);
}

void check_sql(struct reader *r, const struct yaml_node *node)
{
    struct template_bound bound;
    struct nx_err err;
    if (parses(r, node) && !template_sql(&r->spec->arena, node->text, &bound, NULL, &err))
        report_refused(r, node, &bound);
}

/* Expressions everywhere in a value. Not deeper than the tree, which the parser bounds. */
static void check_templates(struct reader *r, const struct yaml_node *node,
                            enum expression_place place, uint32_t task)
{
    if (node->kind == YAML_KIND_SCALAR)
        check_template(r, node, place, task);
    for (size_t i = 0; node->kind == YAML_KIND_LIST && i < node->n; i++)
        check_templates(r, node->items[i], place, task);
    for (size_t i = 0; node->kind == YAML_KIND_MAP && i < node->n; i++)
        check_templates(r, node->pairs[i].value, place, task);
}

/* Whatever operator it is, so that what a run may reach is known from its file alone. */
static void read_conn(struct reader *r, uint32_t index, const struct yaml_node *with)
{
    const struct yaml_node *node = yaml_get(with, "conn");
    if (!node || yaml_is_null(node))
        return;
    if (node->kind == YAML_KIND_SCALAR && template_has_expression(node->text))
        problem_hint(r->problems, read_problem(r, node, "conn", "must be a constant"),
                     "name the connection itself: a run gets those that its file names, and no "
                     "others");
    else if (node->kind != YAML_KIND_SCALAR || !str_is_id(node->text, true))
        problem_hint(r->problems, read_problem(r, node, "conn", "must be the name of a connection"),
                     "`nexus conn list` has them; a URI is kept by `nexus conn set NAME`");
    else
        r->spec->tasks[index].conn = keep(r, node->text);
}

/* They travel with every run. */
static void count_conns(struct reader *r)
{
    struct map names;
    map_init(&names);
    for (uint32_t i = 0; i < r->spec->n_tasks; i++) {
        if (r->spec->tasks[i].conn)
            map_set(&names, r->spec->tasks[i].conn, r->spec);
    }
    if (names.n > NX_DAG_CONNECTIONS_MAX)
        yaml_problem(r->problems, yaml_get(r->root, "tasks"),
                     "the tasks name %zu connections; at most %d are allowed", names.n,
                     NX_DAG_CONNECTIONS_MAX);
    map_fini(&names);
}

static void check_uses(struct reader *r, uint32_t index, const struct yaml_node *uses,
                       const struct yaml_node *with)
{
    struct spec_task *task = &r->spec->tasks[index];
    const char *nearest = NULL;
    bool map = with && with->kind == YAML_KIND_MAP;
    read_operator_wait(task);
    bool by_core = task->wait != GRAPH_WAIT_NONE && task->wait != GRAPH_WAIT_POKE;
    if (map) {
        check_templates(r, with, by_core ? PLACE_WAIT : PLACE_WITH, index);
        read_conn(r, index, with);
    }
    if (task->wait != GRAPH_WAIT_NONE)
        read_wait(r, index, map ? with : NULL);
    if (!task->uses || !r->catalog)
        return;
    const json_t *entry = catalog_find(r->catalog, task->uses, &nearest);
    if (!entry) {
        struct problem *problem =
            yaml_problem(r->problems, uses, "unknown operator '%.80s'", task->uses);
        problem_hint(r->problems, problem, nearest ? "did you mean '%s'?" : "see 'nexus op list'%s",
                     nearest ? nearest : "");
        return;
    }
    r->drafts[index].operator_entry = entry;
    check_arguments(r, index, uses, map ? with : NULL);
}

static void check_run(struct reader *r, uint32_t index, const struct yaml_node *run)
{
    struct spec_task *task = &r->spec->tasks[index];
    struct template_bound bound;
    struct nx_err err;
    if (!task->run)
        return;
    if (parses(r, run) &&
        !template_run(&r->spec->arena, run->text, task->shell, &bound, NULL, &err))
        report_refused(r, run, &bound);
    check_template(r, run, PLACE_RUN, index);
}

static void check_work(struct reader *r, uint32_t index, const struct yaml_node *body)
{
    const struct yaml_node *uses = yaml_get(body, "uses"), *run = yaml_get(body, "run");
    const struct yaml_node *with = yaml_get(body, "with"), *shell = yaml_get(body, "shell");
    struct spec_task *task = &r->spec->tasks[index];
    const struct yaml_node *key = r->drafts[index].key;
    if (uses && run)
        problem_hint(
            r->problems,
            yaml_problem(r->problems, key, "task '%s' has both 'uses' and 'run'", task->id),
            "make two tasks of it");
    else if (!uses && !run)
        problem_hint(r->problems,
                     yaml_problem(r->problems, key, "task '%s' has nothing to do", task->id),
                     "it needs 'uses' (an operator) or 'run' (a script)");
    if (run && !uses && with)
        problem_hint(r->problems,
                     read_problem(r, with, "with", "belongs to 'uses', and this task has 'run'"),
                     "a script gets its values from ${{ }} or 'env'");
    if (uses && !run && shell)
        read_problem(r, shell, "shell", "belongs to 'run', and this task has 'uses'");
    if (uses)
        check_uses(r, index, uses, with);
    if (run)
        check_run(r, index, run);
}

/* ---- All of them ---- */

static const struct spec_task ordinary = {
    .queue = "default", .pool_slots = 1, .retry_delay_ms = 5000, .max_retry_delay_ms = 3600000};

static void warn(struct reader *r, const struct yaml_node *node, const char *message)
{
    problem_add(r->problems, PROBLEM_WARNING, yaml_file(node), node->line, node->column, "%s",
                message);
}

/* Keys that do nothing beside the others. */
static void check_useless(struct reader *r, const struct yaml_node *body,
                          const struct spec_task *task)
{
    const struct yaml_node *slots = yaml_get(body, "pool_slots");
    const struct yaml_node *most = yaml_get(body, "max_retry_delay");
    if (slots && !task->pool)
        warn(r, slots, "'pool_slots' does nothing without 'pool'");
    if (task->wait != GRAPH_WAIT_NONE && yaml_get(body, "pool"))
        warn(r, yaml_get(body, "pool"), "'pool' does nothing: it waits without a slot");
    if (most && task->max_retry_delay_ms > 0 && task->max_retry_delay_ms < task->retry_delay_ms)
        warn(r, most, "'max_retry_delay' is shorter than 'retry_delay'");
}

/* Of the file's own tasks; those of other files are seen when they run. */
static void check_limits(struct reader *r)
{
    struct map first; /* key -> index + 1 */
    map_init(&first);
    for (uint32_t i = 0; i < r->spec->n_tasks; i++) {
        const struct spec_task *task = &r->spec->tasks[i];
        if (!task->concurrency_key)
            continue;
        uintptr_t other = (uintptr_t)map_get(&first, task->concurrency_key);
        if (!other) {
            map_set(&first, task->concurrency_key, (void *)(uintptr_t)(i + 1));
        } else if (r->spec->tasks[other - 1].concurrency_limit != task->concurrency_limit) {
            problem_hint(r->problems,
                         problem_add(r->problems, PROBLEM_WARNING, yaml_file(r->drafts[i].key),
                                     task->line, task->column,
                                     "task '%s' limits the concurrency key '%s' to %lld, and "
                                     "'%s' to %lld",
                                     task->id, task->concurrency_key,
                                     (long long)task->concurrency_limit,
                                     r->spec->tasks[other - 1].id,
                                     (long long)r->spec->tasks[other - 1].concurrency_limit),
                         "the smallest counts");
        }
    }
    map_fini(&first);
}

static void check_past(struct reader *r, const struct yaml_node *body, bool finally)
{
    const struct yaml_node *node = yaml_get(body, "depends_on_past");
    bool on;
    if (!node || !yaml_bool(node, &on) || !on)
        return;
    if (finally)
        warn(r, node, "'depends_on_past' does nothing in a finally task: it cleans up in any case");
    else if (!r->spec->timetable)
        warn(r, node, "'depends_on_past' does nothing without 'schedule'");
}

/* The list of a group is asked for once for all of its tasks, by the first that may run: there is
 * no moment at which the others could wait for their past. */
static void check_past_in_group(struct reader *r, uint32_t index, const struct yaml_node *body)
{
    const struct spec_task *task = &r->spec->tasks[index];
    const struct yaml_node *node = yaml_get(body, "depends_on_past");
    if (!task->depends_on_past || task->finally || !task->map ||
        !r->spec->maps[task->map - 1].group)
        return;
    problem_hint(r->problems,
                 read_problem(r, node ? node : r->drafts[index].key, "depends_on_past",
                              "cannot be of task '%s', which is of a group with 'for_each'",
                              task->id),
                 "give it to a task that the group needs");
}

static void read_task(struct reader *r, const struct spec_task *defaults, uint32_t index)
{
    struct spec_task *task = &r->spec->tasks[index];
    const struct yaml_node *body = r->drafts[index].body, *node;
    struct spec_task own = *task;
    char what[WHAT_MAX];
    if (body->kind != YAML_KIND_MAP)
        return;
    *task = *defaults;
    task->id = own.id;
    task->line = own.line;
    task->column = own.column;
    task->map = own.map;
    snprintf(what, sizeof what, "task '%s'", task->id);
    if (yaml_get(body, "retry_on")) { /* replaces the default as a whole */
        task->n_retry_exit_codes = 0;
        task->n_retry_errors = 0;
    }
    read_keys(r, body, KEY_TASK, task, what);
    read_common(r, body, task);
    bool ruled =
        yaml_get(body, "trigger_rule") || (r->defaults && yaml_get(r->defaults, "trigger_rule"));
    if (task->finally && !ruled) /* who cleans up does so whatever became of the others */
        task->rule = NX_TR_ALL_DONE;
    else if (str_eq(task->uses, "flow.join") && !ruled)
        task->rule = NX_TR_NONE_FAILED_MIN_ONE_SUCCESS;
    if ((node = yaml_get(body, "needs")))
        read_needs(r, node, task, &r->drafts[index]);
    read_datasets(r, yaml_get(body, "produces"), "produces", &task->produces);
    read_datasets(r, yaml_get(body, "consumes"), "consumes", &task->consumes);
    check_max_parallel(r, index, body);
    check_past(r, body, task->finally);
    check_past_in_group(r, index, body);
    check_work(r, index, body);
    check_useless(r, body, task);
    check_env(r, yaml_get(body, "env"), PLACE_ENV, index);
    if ((node = yaml_get(body, "if")))
        read_condition(r, node, index);
}

void read_tasks(struct reader *r)
{
    const struct yaml_node *tasks = yaml_get(r->root, "tasks");
    struct spec_task defaults = ordinary;
    if (!tasks || tasks->kind != YAML_KIND_MAP || tasks->n == 0) {
        if (!tasks || tasks->kind == YAML_KIND_MAP)
            problem_hint(r->problems,
                         yaml_problem(r->problems, tasks ? tasks : r->root, "the DAG has no tasks"),
                         "tasks: {hello: {run: echo hello}}");
        return;
    }
    if (tasks->n > NX_DAG_TASKS_MAX) {
        yaml_problem(r->problems, tasks, "%zu tasks; at most %d are allowed", tasks->n,
                     NX_DAG_TASKS_MAX);
        return;
    }
    collect_tasks(r, tasks);
    read_maps(r);
    check_env(r, r->env, PLACE_SHARED_ENV, 0);
    if (r->defaults && r->defaults->kind == YAML_KIND_MAP) {
        read_keys(r, r->defaults, KEY_DEFAULTS, &defaults, "defaults");
        read_common(r, r->defaults, &defaults);
        check_env(r, r->defaults_env, PLACE_SHARED_ENV, 0);
        check_past(r, r->defaults, false);
    }
    for (uint32_t i = 0; i < r->spec->n_tasks; i++)
        read_task(r, &defaults, i);
    count_conns(r);
    check_limits(r);
}
