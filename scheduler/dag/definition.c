/* A task as nexus-task receives it. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

static void add_env(json_t *to, const struct yaml_node *env)
{
    for (size_t i = 0; env && env->kind == YAML_KIND_MAP && i < env->n; i++)
        json_object_set_new(to, env->pairs[i].key->text, js_string(env->pairs[i].value->text));
}

static json_t *env_json(const struct reader *r, const struct yaml_node *body)
{
    json_t *env = json_object();
    add_env(env, r->env);
    add_env(env, r->defaults_env);
    add_env(env, yaml_get(body, "env"));
    return env;
}

/* As the file names them: so a stored version gives the same definition, whatever lies beside it.
 */
static json_t *files_json(const struct yaml_node *files)
{
    json_t *list = json_array();
    if (files && files->kind == YAML_KIND_SCALAR)
        json_array_append_new(list, js_string(files->text));
    for (size_t i = 0; files && files->kind == YAML_KIND_LIST && i < files->n; i++)
        json_array_append_new(list, js_string(files->items[i]->text));
    return list;
}

static json_t *refs_json(const struct spec *spec, const struct spec_task *task)
{
    json_t *refs = json_array();
    for (uint32_t i = 0; i < task->n_refs; i++)
        json_array_append_new(refs, js_string(spec->tasks[task->refs[i]].id));
    return refs;
}

static json_t *definition_json(const struct reader *r, uint32_t index, json_t *files)
{
    const struct spec_task *task = &r->spec->tasks[index];
    const struct yaml_node *body = r->drafts[index].body, *with = yaml_get(body, "with");
    json_t *o = json_object();
    json_object_set_new(o, "id", js_string(task->id));
    json_object_set_new(o, "uses", js_string(task->uses));
    json_object_set_new(o, "run", js_string(task->run));
    json_object_set_new(o, "shell", js_string(task->run ? task->shell : NULL));
    json_object_set_new(o, "with",
                        with && with->kind == YAML_KIND_MAP ? yaml_json(with) : json_object());
    json_object_set_new(o, "env", env_json(r, body));
    json_object_set_new(o, "timeout_ms", json_integer(task->timeout_ms));
    json_object_set_new(o, "exclusive", json_boolean(task->exclusive));
    json_object_set_new(o, "cpus", task->cpus > 0 ? json_real(task->cpus) : json_null());
    json_object_set_new(o, "memory_bytes", json_integer(task->memory_bytes));
    json_object_set_new(o, "gpus", json_integer(task->gpus));
    json_object_set(o, "files", files);
    json_object_set_new(o, "refs", refs_json(r->spec, task));
    json_object_set_new(o, "vars", json_boolean(task->names_vars));
    json_object_set_new(o, "secrets", json_boolean(task->names_secrets));
    return o;
}

void write_definitions(struct reader *r)
{
    json_t *files = files_json(yaml_get(r->root, "files"));
    for (uint32_t i = 0; i < r->spec->n_tasks; i++) {
        struct spec_task *task = &r->spec->tasks[i];
        task->names_vars = r->drafts[i].reads_vars;
        task->names_secrets = r->drafts[i].reads_secrets;
        task->condition_names_vars = r->drafts[i].condition_reads_vars;
        json_t *definition = definition_json(r, i, files);
        char *text = js_text(definition);
        if (strlen(text) > NX_DEFINITION_MAX)
            problem_hint(r->problems,
                         yaml_problem(r->problems, r->drafts[i].body,
                                      "task '%s' is larger than %d bytes", task->id,
                                      NX_DEFINITION_MAX),
                         "move its script or query to a file and name that under `files:`");
        task->definition = keep(r, text);
        mem_free(text);
        json_decref(definition);
    }
    json_decref(files);
    r->spec->n_secrets = r->secrets.n;
    r->spec->secrets =
        arena_dup(&r->spec->arena, r->secrets.at, r->secrets.n * sizeof *r->secrets.at);
}
