#include "scheduler/dag/spec.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "lib/text/retention.h"
#include "nexus/limits.h"
#include "scheduler/dag/lua.h"
#include "scheduler/dag/reader.h"

void spec_free(struct spec *spec)
{
    if (!spec)
        return;
    json_decref(spec->params);
    json_decref(spec->schedules);
    map_fini(&spec->task_index);
    struct arena arena = spec->arena; /* which the spec itself is in */
    arena_fini(&arena);
}

int64_t spec_find(const struct spec *spec, const char *id)
{
    return (int64_t)(uintptr_t)map_get(&spec->task_index, id) - 1;
}

static struct spec *spec_new(const char *file)
{
    struct arena arena;
    arena_init(&arena);
    struct spec *spec = arena_alloc(&arena, sizeof *spec);
    spec->arena = arena;
    spec->file = arena_strdup(&spec->arena, file);
    spec->max_active_runs = 16;
    map_init(&spec->task_index);
    return spec;
}

/* ---- The keys of the DAG ---- */

static void read_id(struct reader *r)
{
    const struct yaml_node *node = yaml_get(r->root, "id");
    if (node) {
        if (node->kind != YAML_KIND_SCALAR || !str_is_id(node->text, true))
            problem_hint(
                r->problems,
                read_problem(r, node, "id", "must be a name, not %s%.80s%s",
                             node->n && node->kind == YAML_KIND_SCALAR ? "'" : yaml_type_name(node),
                             node->text, node->n && node->kind == YAML_KIND_SCALAR ? "'" : ""),
                "lower case letters, digits, _ and -, a letter first, at most 64");
        else
            r->spec->id = keep(r, node->text);
        return;
    }
    char name[PATH_MAX_BYTES];
    str_copy(name, sizeof name, path_base(r->spec->file));
    char *dot = strrchr(name, '.');
    if (dot)
        *dot = 0;
    if (str_is_id(name, true))
        r->spec->id = keep(r, name);
    else
        problem_hint(r->problems,
                     yaml_problem(r->problems, r->root,
                                  "the file's name '%.80s' cannot be the DAG's id", name),
                     "add 'id: ...': lower case letters, digits, _ and -, a letter first");
}

struct texts {
    VEC(const char *) list;
};

static void on_tag(struct reader *r, struct yaml_node *node, void *arg)
{
    struct texts *tags = arg;
    if (node->n == 0 || node->n > NX_NAME_MAX)
        read_problem(r, node, "tags", "must have 1 to %d bytes", NX_NAME_MAX);
    else
        vec_push(&tags->list, keep(r, node->text));
}

static void read_tags(struct reader *r)
{
    struct texts tags = {0};
    const struct yaml_node *node = yaml_get(r->root, "tags");
    if (!node)
        return;
    read_texts(r, node, "tags", on_tag, &tags);
    r->spec->n_tags = tags.list.n;
    r->spec->tags = arena_dup(&r->spec->arena, tags.list.at, tags.list.n * sizeof *tags.list.at);
    vec_fini(&tags.list);
}

static void read_retention(struct reader *r)
{
    const struct yaml_node *node = yaml_get(r->root, "retention");
    struct retention retention;
    retention_init(&retention);
    if (node && !yaml_is_null(node))
        retention_read(node, r->problems, &retention);
    char *text = retention_text(&retention);
    r->spec->retention = text ? keep(r, text) : NULL;
    mem_free(text);
}

/* ---- Documents ---- */

static struct spec *read_document(struct reader *r, struct yaml_node *root, const char *file)
{
    size_t errors_before = r->problems->n_errors;
    r->spec = spec_new(file);
    r->root = root;
    r->spec->line = root->line;
    r->spec->column = root->column;
    r->defaults = yaml_get(root, "defaults");
    r->env = yaml_get(root, "env");
    r->defaults_env = r->defaults ? yaml_get(r->defaults, "env") : NULL;
    r->uses.n = 0;
    read_keys(r, root, KEY_DAG, r->spec, "the DAG");
    read_id(r);
    read_tags(r);
    read_retention(r);
    read_params(r);
    read_files(r);
    read_schedule(r);
    read_hooks(r, root, &r->spec->hooks);
    read_tasks(r);
    check_order(r);
    if (r->problems->n_errors == errors_before)
        check_groups(r);
    if (r->problems->n_errors == errors_before)
        write_definitions(r);
    if (r->problems->n_errors == errors_before)
        return r->spec;
    spec_free(r->spec);
    return NULL;
}

static bool is_document(struct reader *r, const struct yaml_node *root, size_t n_docs)
{
    if (root->kind == YAML_KIND_MAP)
        return true;
    if (yaml_is_null(root) && n_docs > 1)
        return false; /* "---" at the end: nothing */
    problem_hint(
        r->problems,
        yaml_problem(r->problems, root, "a DAG must be a mapping, not %s", yaml_type_name(root)),
        "it has at least 'tasks:'");
    return false;
}

/* Two documents with one id: both places. The later one is an error, and neither is kept. */
static void find_doubled(struct problems *problems, struct spec **specs, size_t *n)
{
    bool *bad = mem_alloc_array(*n, sizeof *bad);
    for (size_t i = 0; i < *n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!str_eq(specs[i]->id, specs[k]->id))
                continue;
            problem_hint(problems,
                         problem_add(problems, PROBLEM_ERROR, specs[i]->file, specs[i]->line,
                                     specs[i]->column, "the DAG '%s' is here twice", specs[i]->id),
                         "the first is at %s:%d:%d", specs[k]->file, specs[k]->line,
                         specs[k]->column);
            bad[i] = bad[k] = true;
            break;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (bad[i])
            spec_free(specs[i]);
        else
            specs[kept++] = specs[i];
    }
    *n = kept;
    mem_free(bad);
}

/* `docs` of a file, at whose beginning there were that many errors. */
static bool read_documents(const char *file, struct yaml_node *const *docs, size_t n_docs,
                           size_t errors_before, struct reader *r, struct spec ***specs,
                           size_t *n_specs)
{
    struct problems *problems = r->problems;
    VEC(struct spec *) list = {0};
    r->script = script_new();
    for (size_t i = 0; i < n_docs; i++) {
        struct spec *spec =
            is_document(r, docs[i], n_docs) ? read_document(r, docs[i], file) : NULL;
        if (spec)
            vec_push(&list, spec);
    }
    if (list.n == 0 && problems->n_errors == errors_before)
        problem_hint(problems,
                     problem_add(problems, PROBLEM_ERROR, file, 1, 1, "the file has no DAG in it"),
                     "it has at least 'tasks:'");
    find_doubled(problems, list.at, &list.n);
    vec_fini(&r->uses);
    vec_fini(&r->secrets);
    script_free(r->script);
    problems_sort(problems);
    *specs = list.at;
    *n_specs = list.n;
    return problems->n_errors == errors_before;
}

bool spec_read_tree(const char *file, const char *text, size_t n, const json_t *tree,
                    const json_t *catalog, const char *folder, struct spec ***specs,
                    size_t *n_specs, struct problems *problems)
{
    struct arena arena;
    struct yaml_node **docs;
    size_t n_docs, errors_before = problems->n_errors;
    struct reader r = {.problems = problems, .catalog = catalog, .folder = folder};
    arena_init(&arena);
    lua_documents(&arena, file, text, n, tree, &docs, &n_docs, problems);
    bool ok = read_documents(file, docs, n_docs, errors_before, &r, specs, n_specs);
    problems_fold(problems); /* a loop makes one mistake many times */
    arena_fini(&arena);
    return ok;
}

bool spec_read(const char *file, const char *text, size_t n, const json_t *catalog,
               const char *folder, struct spec ***specs, size_t *n_specs, struct problems *problems)
{
    struct arena arena;
    struct yaml_node **docs;
    size_t n_docs, errors_before = problems->n_errors;
    if (lua_is_name(file)) {
        json_t *tree = lua_run(text, n);
        bool fine = spec_read_tree(file, text, n, tree, catalog, folder, specs, n_specs, problems);
        json_decref(tree);
        return fine;
    }
    struct reader r = {.problems = problems, .catalog = catalog, .folder = folder};
    arena_init(&arena);
    yaml_parse(&arena, file, text, n, &docs, &n_docs, problems);
    bool ok = read_documents(file, docs, n_docs, errors_before, &r, specs, n_specs);
    arena_fini(&arena);
    return ok;
}

/* ---- What others see ---- */

static json_t *names_json(const struct dataset_names *names)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < names->n; i++)
        json_array_append_new(list, js_string(names->at[i]));
    return list;
}

static json_t *task_json(const struct spec *spec, const struct spec_task *task)
{
    json_t *o = json_object(), *needs = json_array();
    for (uint32_t i = 0; i < task->n_needs; i++)
        json_array_append_new(needs, js_string(spec->tasks[task->needs[i]].id));
    json_object_set_new(o, "id", js_string(task->id));
    json_object_set_new(o, "uses", js_string(task->uses));
    json_object_set_new(o, "needs", needs);
    json_object_set_new(o, "trigger_rule", js_string(nx_rule_name(task->rule)));
    json_object_set_new(o, "pool", js_string(task->pool));
    json_object_set_new(o, "queue", js_string(task->queue));
    json_object_set_new(o, "concurrency",
                        task->concurrency_key
                            ? json_pack("{s:o, s:I}", "key", js_string(task->concurrency_key),
                                        "limit", (json_int_t)task->concurrency_limit)
                            : json_null());
    json_object_set_new(o, "cpus", task->cpus > 0 ? json_real(task->cpus) : json_null());
    json_object_set_new(o, "memory_bytes",
                        task->memory_bytes > 0 ? json_integer(task->memory_bytes) : json_null());
    json_object_set_new(o, "gpus", json_integer(task->gpus));
    json_object_set_new(o, "depends_on_past", json_boolean(task->depends_on_past));
    json_object_set_new(o, "retries", json_integer(task->retries));
    json_object_set_new(o, "if", js_string(task->condition));
    json_object_set_new(o, "finally", json_boolean(task->finally));
    json_object_set_new(o, "group", js_string(task->group));
    json_object_set_new(o, "mapped", json_boolean(task->map != 0));
    if (task->map) /* tasks with the same number share a list */
        json_object_set_new(o, "map", json_integer(task->map));
    if (task->map && task->condition)
        json_object_set_new(
            o, "if_each",
            json_boolean(task->condition_names_item || spec->maps[task->map - 1].group));
    json_object_set_new(o, "produces", names_json(&task->produces));
    json_object_set_new(o, "consumes", names_json(&task->consumes));
    return o;
}

json_t *spec_json(const struct spec *spec)
{
    json_t *o = json_object(), *tags = json_array(), *tasks = json_array();
    for (size_t i = 0; i < spec->n_tags; i++)
        json_array_append_new(tags, js_string(spec->tags[i]));
    for (uint32_t i = 0; i < spec->n_tasks; i++)
        json_array_append_new(tasks, task_json(spec, &spec->tasks[i]));
    json_object_set_new(o, "id", js_string(spec->id));
    json_object_set_new(o, "file", js_string(spec->file));
    json_object_set_new(o, "description", js_string(spec->description));
    json_object_set_new(o, "tags", tags);
    json_object_set(o, "params", spec->params);
    json_object_set_new(o, "timeout",
                        spec->timeout_ms ? js_seconds(spec->timeout_ms) : json_null());
    json_object_set_new(o, "deadline",
                        spec->deadline_ms ? js_seconds(spec->deadline_ms) : json_null());
    json_object_set_new(o, "max_active_runs", json_integer(spec->max_active_runs));
    json_object_set(o, "schedule", spec->schedules);
    json_object_set_new(o, "timezone", js_string(spec->timezone ? spec->timezone : "UTC"));
    json_object_set_new(o, "tasks", tasks);
    return o;
}
