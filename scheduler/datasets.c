/* Datasets: from DAG files to the store, what is known of their events, events from outside. */
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"

/* ---- What a version says ---- */

static void add_links(struct store_dataset_link *links, size_t *n, const struct spec_task *task,
                      const struct dataset_names *names, enum dataset_link kind)
{
    for (uint32_t i = 0; i < names->n; i++)
        links[(*n)++] = (struct store_dataset_link){names->at[i], kind, task->id};
}

const struct store_dataset_link *datasets_links(struct engine *engine, const struct spec *spec,
                                                size_t *n)
{
    size_t most = spec->n_starts;
    for (uint32_t i = 0; i < spec->n_tasks; i++)
        most += spec->tasks[i].produces.n + spec->tasks[i].consumes.n;
    struct store_dataset_link *links = arena_array(&engine->arena, most, sizeof *links);
    *n = 0;
    for (size_t i = 0; i < spec->n_starts; i++)
        links[(*n)++] = (struct store_dataset_link){spec->starts[i], DATASET_STARTS, NULL};
    for (uint32_t i = 0; i < spec->n_tasks; i++) {
        add_links(links, n, &spec->tasks[i], &spec->tasks[i].produces, DATASET_PRODUCED);
        add_links(links, n, &spec->tasks[i], &spec->tasks[i].consumes, DATASET_CONSUMED);
    }
    must(*n == most);
    return links;
}

/* ---- Facts ---- */

static const json_t *reference(const json_t *outputs, const char *name)
{
    const json_t *value = json_object_get(outputs, name);
    return json_object_get(value, "artifact") ? value : NULL;
}

/* The output that is the dataset's content: `table`, else the only artifact. */
static const json_t *find_content(json_t *outputs)
{
    const json_t *only = reference(outputs, "table");
    const char *name;
    json_t *value;
    if (only)
        return only;
    json_object_foreach(outputs, name, value)
    {
        if (!reference(outputs, name))
            continue;
        if (only)
            return NULL;
        only = value;
    }
    return only;
}

/* A count that a script wrote may be a text. */
static int64_t rows_in(const json_t *object)
{
    const json_t *value = json_object_get(object, "rows");
    int64_t rows = -1;
    if (json_is_integer(value))
        rows = json_integer_value(value);
    else if (json_is_string(value) && !str_parse_int(json_string_value(value), &rows))
        rows = -1;
    return rows < 0 ? -1 : rows;
}

static const char *hash_in(const json_t *object)
{
    const char *hash = js_get_text(object, "hash", js_get_text(object, "artifact", NULL));
    return hash && *hash && strlen(hash) <= NX_NAME_MAX ? hash : NULL;
}

/* From the outputs of the task: what an output with the dataset's name says; else its outputs
 * `rows` and `hash`; else its table. */
static struct store_dataset_fact fact_in(struct arena *arena, const char *dataset, json_t *outputs)
{
    const json_t *named = json_object_get(outputs, dataset);
    const json_t *places[] = {named, outputs, find_content(outputs)};
    struct store_dataset_fact fact = {.rows = -1};
    size_t n = json_is_object(named) ? 1 : 3; /* what is named is not mixed with the rest */
    for (size_t i = 0; i < n; i++) {
        const char *hash = hash_in(places[i]);
        if (fact.rows < 0)
            fact.rows = rows_in(places[i]);
        if (!fact.hash && hash)
            fact.hash = arena_strdup(arena, hash);
    }
    return fact;
}

static const struct wire_result *result_of(const struct engine *engine,
                                           const struct core_dataset_event *event)
{
    for (size_t i = engine->update.ends.n; i-- > 0;) {
        const struct core_end *end = &engine->update.ends.at[i];
        if (end->inst.run.v == event->inst.run.v && end->inst.task == event->inst.task &&
            end->inst.map == event->inst.map && end->attempt == event->attempt)
            return end->result;
    }
    return NULL;
}

static struct store_dataset_fact fact_of(struct engine *engine,
                                         const struct core_dataset_event *event)
{
    const struct wire_result *result = event->inst.run.v ? result_of(engine, event) : NULL;
    struct nx_err err;
    json_t *outputs = NULL;
    if (result && result->outputs.n)
        outputs = js_read(result->outputs.p, result->outputs.n, "the outputs", &err);
    struct store_dataset_fact fact = fact_in(&engine->arena, event->dataset, outputs);
    json_decref(outputs);
    return fact;
}

void datasets_resolve(struct engine *engine)
{
    const struct core_update *update = &engine->update;
    for (size_t i = engine->facts.n; i < update->dataset_events.n; i++) {
        const struct store_dataset_fact fact = fact_of(engine, &update->dataset_events.at[i]);
        vec_push(&engine->facts, fact);
    }
}

/* ---- Events from outside ---- */

void datasets_emit(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct nx_err err;
    bool known;
    if (!store_knows_dataset(engine->store, message->name, &known, &err))
        engine_give_up(&err);
    if (!known) {
        nx_fail(&pending->result.err, NX_E_NOT_FOUND, "there is no dataset '%s': no DAG names it",
                message->name);
        pending->settled = true;
        return;
    }
    datasets_resolve(engine);
    struct core_event event = now_event(EV_DATASET);
    event.token = index + 1;
    event.dataset = message->name;
    engine_step(engine, &event);
    if (engine->update.dataset_events.n == engine->facts.n)
        return; /* refused: the reply says why */
    const struct core_dataset_event *made = &engine->update.dataset_events.at[engine->facts.n];
    const struct store_dataset_fact fact = {message->rows, message->hash, message->note,
                                            message->who};
    vec_push(&engine->facts, fact);
    pending->result.version = made->version;
}
