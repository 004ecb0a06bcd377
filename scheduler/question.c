#include "scheduler/question.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/time.h"
#include "lib/script/typed.h"
#include "nexus/limits.h"

/* A run sees the variables and secrets as they were when it was first looked at: all its tasks and
 * questions see the same. */
struct run_view {
    json_t *vars, *secrets, *unreadable;
    char *text; /* NULL: not asked for yet */
    size_t n;
};

static json_t *object_of(const char *text)
{
    json_t *value = text && *text ? json_loads(text, 0, NULL) : NULL;
    return value ? value : json_object();
}

bool question_init(struct question *question, struct store *store, struct registry *registry,
                   struct kept *kept, const char *home, struct nx_err *err)
{
    char root[PATH_MAX_BYTES];
    *question = (struct question){.store = store, .registry = registry, .kept = kept, .home = home};
    question->script = script_new();
    map_init(&question->runs);
    buf_init(&question->buf);
    if (!path_join(root, sizeof root, home, "artifacts"))
        return nx_fail(err, NX_E_LIMIT, "the path %s is too long", home);
    return artifact_open(root, &question->artifacts, err);
}

static void free_view(struct run_view *view)
{
    if (!view)
        return;
    json_decref(view->vars);
    json_decref(view->secrets);
    json_decref(view->unreadable);
    mem_free(view->text);
    mem_free(view);
}

void question_fini(struct question *question)
{
    for (size_t i = 0; i < question->runs.n; i++)
        free_view(question->runs.at[i].value);
    map_fini(&question->runs);
    script_free(question->script);
    artifact_close(question->artifacts);
    buf_fini(&question->buf);
}

static void set_time(json_t *object, const char *key, int64_t ms)
{
    char text[TIME_TEXT_MAX];
    json_object_set_new(object, key, ms ? json_string(time_format(text, ms)) : json_null());
}

/* {"id", "cause", "created_at", "interval": {"start", "finish"}} */
static json_t *run_object(const struct core_run_row *row, int64_t start_ms, int64_t finish_ms)
{
    char id[24];
    json_t *run = json_object(), *interval = json_object();
    snprintf(id, sizeof id, "%llu", (unsigned long long)row->id.v);
    json_object_set_new(run, "id", json_string(id));
    json_object_set_new(run, "cause", json_string(nx_cause_name(row->cause)));
    set_time(run, "created_at", row->created_ms);
    set_time(interval, "start", start_ms);
    set_time(interval, "finish", finish_ms);
    json_object_set_new(run, "interval", interval);
    return run;
}

static bool names_secrets(const struct registry_version *version)
{
    for (uint32_t i = 0; version && i < version->spec->n_tasks; i++) {
        if (version->spec->tasks[i].names_secrets)
            return true;
    }
    return false;
}

static struct run_view *view_of(struct question *question, struct nx_run_id id)
{
    struct run_view *view = map_get_num(&question->runs, id.v);
    if (!view) {
        view = mem_alloc(sizeof *view);
        view->vars = json_incref(question->kept->vars);
        view->secrets = json_incref(question->kept->secrets);
        view->unreadable = json_incref(question->kept->unreadable);
        map_set_num(&question->runs, id.v, view);
    }
    return view;
}

static json_t *context_of(struct question *question, struct nx_run_id id)
{
    struct core_run_row row;
    struct buf params;
    int64_t start = 0, finish = 0, created = 0;
    struct nx_err err;
    must(core_get_run(question->core, id, &row));
    buf_init(&params);
    json_t *context = json_object(), *dag = json_object();
    if (!store_params(question->store, id, &params, &start, &finish, &created, &err))
        buf_str(&params, "{}");
    struct registry_version *version = registry_get(question->registry, row.version, &err);
    json_t *values = object_of(buf_text(&params));
    if (version)
        params_type(values, version->spec->params);
    json_object_set_new(context, "params", values);
    json_object_set_new(context, "run", run_object(&row, start, finish));
    json_object_set_new(dag, "id", json_string(row.dag));
    json_object_set_new(dag, "version",
                        json_integer(version ? registry_number(question->registry, version) : 0));
    json_object_set_new(context, "dag", dag);
    if (names_secrets(version))
        kept_try_again(question->kept);
    const struct run_view *view = view_of(question, id);
    json_object_set(context, "vars", view->vars);
    if (names_secrets(version)) {
        json_object_set(context, "secrets", view->secrets);
        if (json_object_size(view->unreadable))
            json_object_set(context, "unreadable_secrets", view->unreadable);
    }
    buf_fini(&params);
    return context;
}

struct wire_bytes question_run_text(struct question *question, struct nx_run_id id)
{
    struct run_view *view = map_get_num(&question->runs, id.v);
    if (!view || !view->text) {
        json_t *context = context_of(question, id);
        view = view_of(question, id);
        view->text = json_dumps(context, JSON_COMPACT | JSON_ENSURE_ASCII);
        must(view->text != NULL);
        view->n = strlen(view->text);
        json_decref(context);
    }
    return wire_text(view->text, view->n);
}

void question_forget_run(struct question *question, struct nx_run_id id)
{
    free_view(map_remove_num(&question->runs, id.v));
}

static struct nx_inst_id upstream(struct nx_run_id run, uint32_t task)
{
    return (struct nx_inst_id){run, task, NX_MAP_NONE};
}

/* Moves the text in the buffer to an artifact and leaves a reference to it. On failure the text is
 * a reference to nothing, so that the attempt fails and says so. */
static void keep_apart(struct question *question, struct nx_inst_id inst)
{
    char path[PATH_MAX_BYTES];
    struct artifact_info info = {.address = "sha256:missing"};
    struct nx_err err;
    snprintf(path, sizeof path, "%s/run/outputs.%llu.%u.json", question->home,
             (unsigned long long)inst.run.v, inst.task);
    if (!path_write(path, question->buf.data, question->buf.len, &err) ||
        !artifact_put(question->artifacts, path, ARTIFACT_MOVE, &info, &err))
        log_error("outputs for run %llu: %s", (unsigned long long)inst.run.v, err.text);
    buf_clear(&question->buf);
    buf_printf(&question->buf, "{\"artifact\":\"%s\"}", info.address);
}

struct wire_bytes question_outputs(struct question *question, struct nx_inst_id inst)
{
    struct core_run_row row;
    struct nx_err err;
    struct buf *buf = &question->buf;
    must(core_get_run(question->core, inst.run, &row));
    const struct registry_version *version = registry_get(question->registry, row.version, &err);
    buf_clear(buf);
    if (!version || !version->spec->tasks[inst.task].n_refs)
        return wire_text("", 0);
    const struct spec_task *task = &version->spec->tasks[inst.task];
    buf_char(buf, '{');
    for (uint32_t i = 0; i < task->n_refs; i++) {
        size_t before;
        buf_printf(buf, "%s\"%s\":", i ? "," : "", version->spec->tasks[task->refs[i]].id);
        before = buf->len;
        if (!store_outputs(question->store, upstream(inst.run, task->refs[i]), buf, &err) ||
            buf->len == before)
            buf_str(buf, "{}");
    }
    buf_char(buf, '}');
    if (buf->len > NX_CONTEXT_INLINE_MAX)
        keep_apart(question, inst);
    return wire_text(buf->data, buf->len);
}

/* ---- `if` ---- */

static json_t *outputs_for(struct question *question, const struct spec *spec,
                           const struct spec_task *task, struct nx_run_id run)
{
    json_t *outputs = json_object();
    for (uint32_t i = 0; i < task->n_condition_refs; i++) {
        uint32_t ref = task->condition_refs[i];
        struct nx_err err;
        buf_clear(&question->buf);
        if (!store_outputs(question->store, upstream(run, ref), &question->buf, &err))
            buf_clear(&question->buf);
        json_object_set_new(outputs, spec->tasks[ref].id, object_of(buf_text(&question->buf)));
    }
    return outputs;
}

enum core_answer question_answer(struct question *question, const struct core_ask *ask,
                                 struct nx_err *err)
{
    const struct registry_version *version = registry_get(question->registry, ask->version, err);
    if (!version)
        return CORE_ERROR;
    const struct spec_task *task = &version->spec->tasks[ask->inst.task];
    json_t *context = context_of(question, ask->inst.run), *about = json_object();
    bool truth = false;
    json_object_set_new(about, "id", json_string(task->id));
    json_object_set_new(context, "task", about);
    json_object_set_new(context, "outputs",
                        outputs_for(question, version->spec, task, ask->inst.run));
    static const char *const roots[] = {"params", "run", "dag", "task", "vars", "outputs"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        script_set(question->script, roots[i], json_object_get(context, roots[i]));
    bool ok = script_eval_truth(question->script, task->condition, &truth, err);
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        script_set(question->script, roots[i], NULL);
    json_decref(context);
    if (!ok)
        nx_wrap(err, "the `if` of task '%s'", task->id);
    return !ok ? CORE_ERROR : truth ? CORE_TRUE : CORE_FALSE;
}

/* ---- depends_on_past ---- */

static bool state_in(struct question *question, struct nx_inst_id inst, enum nx_task_state *state,
                     struct nx_err *err)
{
    struct core_inst_row row;
    if (!core_get_inst(question->core, inst, &row))
        return store_inst_state(question->store, inst, state, err);
    *state = row.state;
    return true;
}

enum core_answer question_past(struct question *question, const struct core_ask *ask,
                               struct core_past *past, struct nx_err *err)
{
    struct core_run_row row;
    struct store_previous previous;
    must(core_get_run(question->core, ask->inst.run, &row));
    if (!store_previous(question->store, row.dag, row.interval_start_ms, row.interval_finish_ms,
                        &previous, err))
        return CORE_ERROR;
    if (!previous.run.v)
        return CORE_TRUE;
    int64_t task = ask->inst.task;
    if (previous.version != ask->version) {
        const struct registry_version *own = registry_get(question->registry, ask->version, err);
        const struct registry_version *other =
            own ? registry_get(question->registry, previous.version, err) : NULL;
        if (!other) {
            nx_wrap(err, "depends_on_past, run %llu", (unsigned long long)previous.run.v);
            return CORE_ERROR;
        }
        task = spec_find(other->spec, own->spec->tasks[ask->inst.task].id);
    }
    if (task < 0)
        return CORE_TRUE;
    *past = (struct core_past){previous.run, previous.start_ms, previous.finish_ms, NX_TS_WAITING};
    if (!state_in(question, upstream(previous.run, (uint32_t)task), &past->state, err))
        return CORE_ERROR;
    return past->state == NX_TS_SUCCESS || past->state == NX_TS_SKIPPED ? CORE_TRUE : CORE_FALSE;
}
