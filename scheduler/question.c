#include "scheduler/question.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/time.h"
#include "lib/script/args.h"
#include "lib/script/template.h"
#include "lib/script/typed.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/engine_state.h"

/* A run sees the variables and secrets as they were when it was first looked at: all its tasks and
 * questions see the same. */
struct run_view {
    json_t *vars, *secrets, *unreadable, *conns, *unreadable_conns;
    struct map lists; /* index of the map -> its items, when they were first needed */
    char *text;       /* NULL: not asked for yet */
    size_t n;
};

static json_t *object_of(const char *text)
{
    json_t *value = text && *text ? json_loads(text, 0, NULL) : NULL;
    return value ? value : json_object();
}

bool question_init(struct question *question, struct store *store, struct registry *registry,
                   struct kept *kept, const json_t *catalog, const char *home, struct nx_err *err)
{
    char root[PATH_MAX_BYTES];
    *question = (struct question){
        .store = store, .registry = registry, .kept = kept, .catalog = catalog, .home = home};
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
    for (size_t i = 0; i < view->lists.n; i++)
        json_decref(view->lists.at[i].value);
    map_fini(&view->lists);
    json_decref(view->conns);
    json_decref(view->unreadable_conns);
    mem_free(view->text);
    mem_free(view);
}

void question_fini(struct question *question)
{
    for (size_t i = 0; i < question->runs.n; i++)
        free_view(question->runs.at[i].value);
    map_fini(&question->runs);
    mem_free(question->item);
    script_free(question->script);
    artifact_close(question->artifacts);
    buf_fini(&question->buf);
}

static void set_time(json_t *object, const char *key, int64_t ms)
{
    char text[TIME_TEXT_MAX];
    json_object_set_new(object, key, ms ? json_string(time_format(text, ms)) : json_null());
}

/* What started the run: see store_run_datasets. */
static json_t *datasets_of(struct question *question, const struct core_run_row *row)
{
    struct buf text;
    struct nx_err err;
    buf_init(&text);
    if (!store_run_datasets(question->store, row->id, &text, &err))
        log_error("the datasets of run %llu: %s", (unsigned long long)row->id.v, err.text);
    json_t *datasets = object_of(buf_text(&text));
    buf_fini(&text);
    return datasets;
}

/* {"id", "cause", "created_at", "interval": {"start", "finish"}, "datasets"}; takes datasets. */
static json_t *run_object(const struct core_run_row *row, int64_t start_ms, int64_t finish_ms,
                          json_t *datasets)
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
    json_object_set_new(run, "datasets", datasets);
    return run;
}

static bool names_secrets(const struct registry_version *version)
{
    return version && version->spec->n_secrets > 0;
}

/* Those that the version's tasks name, and no others: {name: value}, and {name: why} of those that
 * cannot be read. */
static void add_secrets(json_t *context, const struct registry_version *version,
                        const struct run_view *view)
{
    json_t *secrets = json_object(), *unreadable = json_object();
    for (size_t i = 0; i < version->spec->n_secrets; i++) {
        const char *name = version->spec->secrets[i];
        if (json_object_get(view->secrets, name))
            json_object_set(secrets, name, json_object_get(view->secrets, name));
        if (json_object_get(view->unreadable, name))
            json_object_set(unreadable, name, json_object_get(view->unreadable, name));
    }
    json_object_set_new(context, "secrets", secrets);
    json_object_set_new(context, "unreadable_secrets", unreadable);
}

/* {name: URI} of those that the version's tasks name; and {name: why} of those that cannot be read.
 */
static void add_conns(json_t *context, const struct registry_version *version,
                      const struct run_view *view)
{
    json_t *conns = json_object(), *unreadable = json_object();
    for (uint32_t i = 0; version && i < version->spec->n_tasks; i++) {
        const char *name = version->spec->tasks[i].conn;
        if (!name)
            continue;
        if (json_object_get(view->conns, name))
            json_object_set(conns, name, json_object_get(view->conns, name));
        if (json_object_get(view->unreadable_conns, name))
            json_object_set(unreadable, name, json_object_get(view->unreadable_conns, name));
    }
    json_object_set_new(context, "connections", conns);
    json_object_set_new(context, "unreadable_connections", unreadable);
}

static bool names_conns(const struct registry_version *version)
{
    for (uint32_t i = 0; version && i < version->spec->n_tasks; i++) {
        if (version->spec->tasks[i].conn)
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
        map_init(&view->lists);
        view->conns = json_incref(question->kept->conns);
        view->unreadable_conns = json_incref(question->kept->unreadable_conns);
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
    json_object_set_new(context, "run",
                        run_object(&row, start, finish, datasets_of(question, &row)));
    json_object_set_new(dag, "id", json_string(row.dag));
    json_object_set_new(dag, "version",
                        json_integer(version ? registry_number(question->registry, version) : 0));
    json_object_set_new(context, "dag", dag);
    if (names_secrets(version) || names_conns(version))
        kept_try_again(question->kept);
    const struct run_view *view = view_of(question, id);
    json_object_set(context, "vars", view->vars);
    if (names_secrets(version))
        add_secrets(context, version, view);
    if (names_conns(version))
        add_conns(context, version, view);
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

/* Appends what the instance sees of an upstream task: its outputs; of a mapped one the list of
 * them (an empty one when its list was empty, or never known), or, in one group, those of the same
 * index. */
static bool put_outputs(struct question *question, const struct spec *spec, struct nx_inst_id inst,
                        uint32_t up, struct buf *to, struct nx_err *err)
{
    struct nx_inst_id from = {inst.run, up, NX_MAP_NONE};
    uint32_t n = core_get_list(question->core, inst.run, up);
    bool along = inst.map != NX_MAP_NONE && spec->tasks[up].map == spec->tasks[inst.task].map;
    if (n && !along)
        return store_list_outputs(question->store, inst.run, up, n, to, err);
    if (spec->tasks[up].map && !along) {
        buf_str(to, "[]");
        return true;
    }
    if (n)
        from.map = inst.map;
    size_t before = to->len;
    if (!store_outputs(question->store, from, to, err))
        return false;
    if (to->len == before)
        buf_str(to, "{}");
    return true;
}

/* Moves the text in the buffer to an artifact and leaves a reference to it. On failure the text is
 * a reference to nothing, so that the attempt fails and says so. */
static void keep_apart(struct question *question, struct nx_inst_id inst)
{
    char path[PATH_MAX_BYTES];
    struct artifact_info info = {.address = "sha256:missing"};
    struct nx_err err;
    snprintf(path, sizeof path, "%s/run/outputs.%llu.%u.%d.json", question->home,
             (unsigned long long)inst.run.v, inst.task, inst.map);
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
        buf_printf(buf, "%s\"%s\":", i ? "," : "", version->spec->tasks[task->refs[i]].id);
        size_t before = buf->len;
        if (!put_outputs(question, version->spec, inst, task->refs[i], buf, &err)) {
            log_error("outputs for run %llu: %s", (unsigned long long)inst.run.v, err.text);
            buf->len = before;
            buf_str(buf, "{}");
        }
    }
    buf_char(buf, '}');
    if (buf->len > NX_CONTEXT_INLINE_MAX)
        keep_apart(question, inst);
    return wire_text(buf->data, buf->len);
}

/* ---- Lists ---- */

/* The items of the list, or NULL. */
static json_t *list_of(struct question *question, struct nx_run_id run, uint32_t map)
{
    struct run_view *view = view_of(question, run);
    json_t *list = map_get_num(&view->lists, (uint64_t)map + 1);
    struct buf text;
    struct nx_err err;
    if (list)
        return list;
    buf_init(&text);
    if (store_get_list(question->store, run, map, &text, &err) && text.len)
        list = json_loads(buf_text(&text), 0, NULL);
    if (list)
        map_set_num(&view->lists, (uint64_t)map + 1, list);
    buf_fini(&text);
    return list;
}

struct wire_bytes question_item(struct question *question, struct nx_inst_id inst)
{
    const struct graph *graph = core_run_graph(question->core, inst.run);
    must(graph && graph->tasks[inst.task].map && inst.map >= 0);
    json_t *list = list_of(question, inst.run, graph->tasks[inst.task].map - 1);
    json_t *item = json_array_get(list, (size_t)inst.map);
    mem_free(question->item);
    question->item =
        json_dumps(item ? item : json_null(), JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    must(question->item != NULL);
    return wire_text(question->item, strlen(question->item));
}

/* ---- Questions ---- */

static json_t *outputs_for(struct question *question, const struct spec *spec,
                           struct nx_inst_id inst, const uint32_t *refs, uint32_t n_refs)
{
    json_t *outputs = json_object();
    for (uint32_t i = 0; i < n_refs; i++) {
        struct nx_err err;
        buf_clear(&question->buf);
        if (!put_outputs(question, spec, inst, refs[i], &question->buf, &err))
            buf_clear(&question->buf);
        json_object_set_new(outputs, spec->tasks[refs[i]].id, object_of(buf_text(&question->buf)));
    }
    return outputs;
}

static const char *const roots[] = {"params", "run",     "dag",  "task",
                                    "vars",   "outputs", "item", "index"};

/* What the expressions of the instance may name, with the outputs of `refs`. */
static void set_roots(struct question *question, const struct spec *spec, struct nx_inst_id inst,
                      const uint32_t *refs, uint32_t n_refs)
{
    const struct spec_task *task = &spec->tasks[inst.task];
    json_t *context = context_of(question, inst.run), *about = json_object();
    json_object_set_new(about, "id", json_string(task->id));
    json_object_set_new(context, "task", about);
    json_object_set_new(context, "outputs", outputs_for(question, spec, inst, refs, n_refs));
    if (inst.map != NX_MAP_NONE) {
        json_t *list = list_of(question, inst.run, task->map - 1);
        json_object_set(context, "item", json_array_get(list, (size_t)inst.map));
        json_object_set_new(context, "index", json_integer(inst.map));
    }
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        script_set(question->script, roots[i], json_object_get(context, roots[i]));
    json_decref(context);
}

static void unset_roots(struct question *question)
{
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        script_set(question->script, roots[i], NULL);
}

/* ---- `with` of what the scheduler does itself ---- */

static json_t *arguments_of(struct question *question, const struct spec_task *task,
                            struct nx_err *err)
{
    json_t *definition = object_of(task->definition), *values = NULL, *arguments = NULL;
    const json_t *entry = catalog_find(question->catalog, task->uses, NULL);
    if (!entry)
        nx_fail(err, NX_E_UNSUPPORTED, "this version has no operator '%s'", task->uses);
    else if (template_eval_json(question->script, json_object_get(definition, "with"), NULL, 0,
                                &values, err) &&
             !args_check(entry, values, &arguments, err))
        arguments = NULL;
    json_decref(values);
    json_decref(definition);
    return arguments;
}

bool question_arguments(struct question *question, struct nx_inst_id inst, uint64_t version,
                        json_t **arguments, struct nx_err *err)
{
    const struct registry_version *found = registry_get(question->registry, version, err);
    if (!found)
        return false;
    const struct spec_task *task = &found->spec->tasks[inst.task];
    set_roots(question, found->spec, inst, task->condition_refs, task->n_condition_refs);
    *arguments = arguments_of(question, task, err);
    unset_roots(question);
    return *arguments != NULL;
}

/* Since when a version of the dataset counts. */
static int64_t since_ms(const struct question *question, struct nx_run_id run,
                        const json_t *arguments)
{
    const json_t *since = json_object_get(arguments, "since");
    struct core_run_row row;
    int64_t ms;
    if (since && !json_is_null(since)) {
        must(js_wall_ms(since, &ms));
        return ms;
    }
    must(core_get_run(question->core, run, &row));
    return row.interval_finish_ms ? row.interval_finish_ms : row.created_ms;
}

/* What it waits for, or chooses. */
static bool answer_wait(struct question *question, const struct spec *spec,
                        const struct core_ask *ask, struct arena *arena,
                        struct question_result *result, struct nx_err *err)
{
    const struct spec_task *task = &spec->tasks[ask->inst.task];
    json_t *arguments = arguments_of(question, task, err);
    bool ok = arguments != NULL;
    if (!ok)
        return false;
    switch (task->wait) {
    case GRAPH_WAIT_FOR:
        must(js_duration_ms(json_object_get(arguments, "duration"), &result->when_ms));
        break;
    case GRAPH_WAIT_UNTIL:
        must(js_wall_ms(json_object_get(arguments, "time"), &result->when_ms));
        break;
    case GRAPH_WAIT_DATASET:
        result->when_ms = since_ms(question, ask->inst.run, arguments);
        break;
    case GRAPH_WAIT_CHOICE:
        ok = question_choose(question, spec, ask, arguments, arena, result, err);
        break;
    default:
        must(task->wait == GRAPH_WAIT_PERSON);
        result->message = arena_strdup(arena, js_get_text(arguments, "message", ""));
        result->form = task->form;
    }
    json_decref(arguments);
    return ok;
}

/* ---- Answers ---- */

/* The value of `for_each` as a list; a new reference. */
static json_t *evaluate_list(struct question *question, const struct spec *spec,
                             struct nx_inst_id inst, const struct spec_map *map, struct nx_err *err)
{
    json_t *value = NULL;
    if (map->items)
        return json_loads(map->items, 0, NULL);
    set_roots(question, spec, inst, map->refs, map->n_refs);
    bool ok = script_eval(question->script, map->expression, SCRIPT_TIMES_TYPED, &value, err);
    unset_roots(question);
    if (!ok)
        return NULL;
    if (json_is_object(value) && !json_object_size(value)) { /* an empty table of Lua is both */
        json_decref(value);
        return json_array();
    }
    if (json_is_array(value))
        return value;
    nx_fail(err, NX_E_INVALID, "%s is %s, not a list", map->expression, js_type_name(value));
    json_decref(value);
    return NULL;
}

static bool check_list(const json_t *list, struct nx_err *err)
{
    size_t n = json_array_size(list);
    if (n > NX_MAP_MAX)
        return nx_fail(err, NX_E_LIMIT, "the list has %zu items; the limit is %d", n, NX_MAP_MAX);
    for (size_t i = 0; i < n; i++) {
        char *text = js_text(json_array_get(list, i));
        size_t n_bytes = strlen(text);
        mem_free(text);
        if (n_bytes > NX_CONTEXT_INLINE_MAX)
            return nx_fail(err, NX_E_LIMIT,
                           "item %zu has %zu bytes; the limit is %d: pass a path or an artifact", i,
                           n_bytes, NX_CONTEXT_INLINE_MAX);
    }
    return true;
}

static bool keep_list(struct question *question, struct nx_run_id run, uint32_t map, json_t *list,
                      struct nx_err *err)
{
    struct run_view *view = view_of(question, run);
    char *text = json_dumps(list, JSON_COMPACT | JSON_ENSURE_ASCII);
    const struct store_list stored = {run, map, (uint32_t)json_array_size(list), text};
    bool ok = store_put_list(question->store, &stored, err);
    mem_free(text);
    json_decref(map_remove_num(&view->lists, (uint64_t)map + 1));
    map_set_num(&view->lists, (uint64_t)map + 1, json_incref(list));
    return ok;
}

static enum core_answer answer_list(struct question *question, const struct spec *spec,
                                    struct nx_inst_id inst, uint32_t *n, struct nx_err *err)
{
    uint32_t index = spec->tasks[inst.task].map - 1;
    const struct spec_map *map = &spec->maps[index];
    *n = core_get_list(question->core, inst.run, inst.task);
    if (*n)
        return CORE_LIST; /* another task of the group was faster */
    json_t *list = evaluate_list(question, spec, inst, map, err);
    bool ok = list && check_list(list, err);
    if (ok && !keep_list(question, inst.run, index, list, err))
        engine_give_up(err);
    *n = ok ? (uint32_t)json_array_size(list) : 0;
    json_decref(list);
    if (!ok && map->group)
        nx_wrap(err, "the `for_each` of group '%s'", map->group);
    else if (!ok)
        nx_wrap(err, "the `for_each` of task '%s'", spec->tasks[inst.task].id);
    return ok ? CORE_LIST : CORE_ERROR;
}

/* The `if`, and what it waits for. */
static void answer_go(struct question *question, const struct spec *spec,
                      const struct core_ask *ask, struct arena *arena,
                      struct question_result *result, struct nx_err *err)
{
    const struct spec_task *task = &spec->tasks[ask->inst.task];
    bool truth = true;
    set_roots(question, spec, ask->inst, task->condition_refs, task->n_condition_refs);
    if ((ask->what & CORE_ASK_IF) &&
        !script_eval_truth(question->script, task->condition, &truth, err)) {
        nx_wrap(err, "the `if` of task '%s'", task->id);
    } else if (!truth) {
        result->answer = CORE_FALSE;
    } else if (!(ask->what & CORE_ASK_WITH) ||
               answer_wait(question, spec, ask, arena, result, err)) {
        result->answer = CORE_TRUE;
    } else {
        result->answer = CORE_WITH_ERROR;
        nx_wrap(err, "the `with` of task '%s'", task->id);
    }
    unset_roots(question);
}

/* ---- depends_on_past ---- */

/* map: of the task in that run. */
static bool state_in(struct question *question, struct nx_run_id run, uint32_t task, uint32_t map,
                     enum nx_task_state *state, struct nx_err *err)
{
    return core_get_task_state(question->core, run, task, state) ||
           store_task_state(question->store, run, task, map, state, err);
}

/* Where the task is in the run before. An error: that one's version cannot be read. */
static enum core_answer answer_past(struct question *question, const struct core_ask *ask,
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
    uint32_t map = core_run_graph(question->core, ask->inst.run)->tasks[task].map;
    if (previous.version != ask->version) {
        const struct registry_version *own = registry_get(question->registry, ask->version, err);
        const struct registry_version *other =
            own ? registry_get(question->registry, previous.version, err) : NULL;
        if (!other) {
            nx_wrap(err, "depends_on_past, run %llu", (unsigned long long)previous.run.v);
            return CORE_ERROR;
        }
        task = spec_find(other->spec, own->spec->tasks[ask->inst.task].id);
        map = task < 0 ? 0 : other->spec->tasks[task].map;
    }
    if (task < 0)
        return CORE_TRUE;
    *past = (struct core_past){previous.run, previous.start_ms, previous.finish_ms, NX_TS_WAITING};
    if (!state_in(question, previous.run, (uint32_t)task, map, &past->state, err))
        return CORE_ERROR;
    return past->state == NX_TS_SUCCESS || past->state == NX_TS_SKIPPED ? CORE_TRUE : CORE_FALSE;
}

/* ---- All of them ---- */

void question_answer(struct question *question, const struct core_ask *ask, struct arena *arena,
                     struct question_result *result, struct nx_err *err)
{
    *result = (struct question_result){.answer = CORE_ERROR};
    if (ask->what == CORE_ASK_PAST) {
        result->answer = answer_past(question, ask, &result->past, err);
        return;
    }
    const struct registry_version *version = registry_get(question->registry, ask->version, err);
    if (!version)
        return;
    if (ask->what == CORE_ASK_LIST)
        result->answer = answer_list(question, version->spec, ask->inst, &result->n, err);
    else
        answer_go(question, version->spec, ask, arena, result, err);
}
