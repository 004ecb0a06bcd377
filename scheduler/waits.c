/* What tasks that wait without a slot need of the engine: approvals, runs that they start, and the
 * words for how their waits ended. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/script/args.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"

/* A result that the engine makes itself; texts are the arena's. */
static struct wire_result *make_result(struct engine *engine, struct nx_inst_id inst,
                                       enum nx_attempt_outcome outcome, enum nx_code code,
                                       const char *error)
{
    struct wire_result *result = arena_array(&engine->arena, 1, sizeof *result);
    *result = (struct wire_result){
        .inst = inst, .outcome = (uint8_t)outcome, .code = (uint8_t)code, .exit_code = -1};
    if (error)
        result->error = wire_text(error, strlen(error));
    if (code != NX_OK && !nx_code_info(code)->retryable)
        result->flags = WIRE_RESULT_PERMANENT;
    return result;
}

/* Steals the value. */
static struct wire_bytes outputs_text(struct engine *engine, json_t *outputs)
{
    char *text = js_text(outputs);
    const char *kept = arena_strdup(&engine->arena, text);
    mem_free(text);
    json_decref(outputs);
    return wire_text(kept, strlen(kept));
}

static const struct graph_task *task_of(const struct engine *engine, struct nx_inst_id inst)
{
    const struct graph *graph = core_run_graph(engine->core, inst.run);
    must(graph != NULL && inst.task < graph->n_tasks);
    return &graph->tasks[inst.task];
}

/* ---- Approvals ---- */

void waits_asked(struct engine *engine, struct nx_inst_id inst,
                 const struct question_result *question)
{
    struct core_inst_row row;
    if (!core_get_inst(engine->core, inst, &row) || row.state != NX_TS_DEFERRED)
        return; /* it was cancelled meanwhile */
    int64_t timeout_ms = task_of(engine, inst)->timeout_ms;
    const struct store_approval approval = {
        .inst = inst,
        .message = question->message,
        .form = question->form,
        .asked_ms = row.started_ms,
        .due_ms = timeout_ms ? row.started_ms + timeout_ms : 0,
    };
    vec_push(&engine->approvals, approval);
}

/* Values of the form, outputs and error of the answer. */
static bool read_answer(struct engine *engine, const struct message *message,
                        struct store_decision *decision, struct wire_result **result,
                        struct nx_err *err)
{
    struct core_run_row run;
    char when[TIME_TEXT_MAX];
    must(core_get_run(engine->core, message->inst.run, &run));
    if (!message->approved) {
        const char *comment = decision->comment;
        const char *error = arena_printf(&engine->arena, "rejected by %s%s%s", message->who,
                                         comment ? ": " : "", comment ? comment : "");
        *result = make_result(engine, message->inst, NX_AO_FAILED, NX_E_DENIED, error);
        return true;
    }
    const struct registry_version *version = registry_get(&engine->registry, run.version, err);
    if (!version)
        return false;
    json_t *form = json_loads(version->spec->tasks[message->inst.task].form, 0, NULL);
    json_t *given = message->params ? json_loads(message->params, 0, NULL) : NULL, *values = NULL;
    bool ok = form_check(form, given, &values, err);
    if (ok) {
        *result = make_result(engine, message->inst, NX_AO_SUCCESS, NX_OK, NULL);
        decision->values = outputs_text(engine, json_incref(values)).p;
        json_object_set_new(values, "approved_by", js_string(message->who));
        json_object_set_new(values, "approved_at", json_string(time_format(when, decision->at_ms)));
        json_object_set_new(values, "comment", js_string(decision->comment));
        (*result)->outputs = outputs_text(engine, json_incref(values));
    }
    if (ok && (*result)->outputs.n > NX_OUTPUTS_MAX)
        ok = nx_fail(err, NX_E_LIMIT, "the values are larger than %d bytes", NX_OUTPUTS_MAX);
    json_decref(values);
    json_decref(given);
    json_decref(form);
    return ok;
}

/* Somebody was faster, or nobody is asked. */
static void answered_before(struct engine *engine, struct pending *pending, bool decided)
{
    const struct message *message = pending->message;
    struct core_inst_row row;
    pending->settled = true;
    if (decided)
        pending->result.existed = true;
    else if (core_get_inst(engine->core, message->inst, &row))
        nx_fail(&pending->result.err, NX_E_CONFLICT, "it does not wait for an answer: it is %s",
                nx_task_state_name(row.state));
    else
        nx_fail(&pending->result.err, NX_E_CONFLICT,
                "it does not wait for an answer any more: its run has ended");
}

void waits_approve(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct store_decision decision = {.id = message->approval,
                                      .approved = message->approved,
                                      .at_ms = clock_wall_ms(),
                                      .who = message->who,
                                      .comment = message->note};
    struct wire_result *result = NULL;
    struct core_inst_row row;
    struct nx_err err;
    bool open, decided;
    if (!store_approval(engine->store, message->approval, &open, &decided, &err))
        engine_give_up(&err);
    if (!open || !core_get_inst(engine->core, message->inst, &row) || row.state != NX_TS_DEFERRED ||
        row.reason != NX_WHY_WAIT_PERSON) {
        answered_before(engine, pending, decided);
        return;
    }
    if (!read_answer(engine, message, &decision, &result, &err)) {
        pending->result.err = err;
        pending->settled = true;
        return;
    }
    struct core_event event = now_event(EV_APPROVE);
    event.token = index + 1;
    event.approve.inst = message->inst;
    event.approve.approved = message->approved;
    event.approve.result = result;
    engine_step(engine, &event);
    if (!store_decide_approval(engine->store, &decision, &err))
        engine_give_up(&err);
}

/* ---- Choices ---- */

void waits_chosen(struct engine *engine, struct nx_inst_id inst, const char *outputs)
{
    for (size_t i = engine->update.ends.n; i-- > 0;) {
        struct core_end *end = &engine->update.ends.at[i];
        if (end->inst.run.v != inst.run.v || end->inst.task != inst.task ||
            end->inst.map != inst.map || end->wait != GRAPH_WAIT_CHOICE)
            continue;
        struct wire_result *result = make_result(engine, inst, NX_AO_SUCCESS, NX_OK, NULL);
        result->outputs = wire_text(outputs, strlen(outputs));
        end->result = result;
        return;
    }
}

/* ---- Runs that tasks start ---- */

/* The run that the arguments ask for. */
static bool start_run(struct engine *engine, const struct core_start *start,
                      const json_t *arguments, struct nx_err *err)
{
    const char *dag = js_get_text(arguments, "dag", "");
    char *params = js_text(json_object_get(arguments, "params"));
    const char *date = js_get_text(arguments, "date", NULL);
    struct store_run_extra extra = {.note = js_get_text(arguments, "note", NULL)};
    struct registry_version *version = registry_current(&engine->registry, dag, err);
    bool ok = version && write_params(engine, version, params, &extra.params, err);
    mem_free(params);
    if (!ok)
        return false;
    if (extra.note && strlen(extra.note) > NX_NOTE_MAX)
        return nx_fail(err, NX_E_LIMIT, "a note has at most %d bytes", NX_NOTE_MAX);
    extra.note = extra.note ? arena_strdup(&engine->arena, extra.note) : NULL;
    versions_tell_core(engine, version);
    struct core_event event = now_event(EV_RUN_CREATE);
    if (!write_interval(engine, version, date, &event, &event.create.claims, err))
        return false;
    event.token = TOKEN_OF_NOBODY;
    event.create.dag = version->dag;
    event.create.cause = NX_RC_DAG;
    event.create.parent = start;
    engine_step(engine, &event);
    const struct core_reply reply = vec_pop(&engine->update.replies);
    must(reply.token == TOKEN_OF_NOBODY);
    extra.run = reply.run;
    if (reply.err.code == NX_OK)
        vec_push(&engine->extras, extra);
    else
        *err = reply.err;
    return reply.err.code == NX_OK;
}

static void start(struct engine *engine, const struct core_start *start)
{
    struct core_run_row run;
    struct nx_err err;
    json_t *arguments = NULL;
    if (!core_wants_run(engine->core, start))
        return; /* it was stopped meanwhile */
    must(core_get_run(engine->core, start->inst.run, &run));
    if (question_arguments(&engine->question, start->inst, run.version, &arguments, &err) &&
        start_run(engine, start, arguments, &err)) {
        json_decref(arguments);
        return;
    }
    json_decref(arguments);
    struct core_event event = now_event(EV_START_FAILED);
    event.start_failed.start = *start;
    event.start_failed.result = make_result(engine, start->inst, NX_AO_FAILED, err.code,
                                            arena_strdup(&engine->arena, err.text));
    engine_step(engine, &event);
}

bool waits_start_runs(struct engine *engine)
{
    size_t n = engine->update.starts.n;
    if (!n)
        return false;
    struct core_start *starts =
        arena_dup(&engine->arena, engine->update.starts.at, n * sizeof *starts);
    engine->update.starts.n = 0;
    for (size_t i = 0; i < n; i++)
        start(engine, &starts[i]);
    return true;
}

/* ---- How waits ended ---- */

/* Of one that had started a run. */
static struct wire_result *child_result(struct engine *engine, const struct core_end *end)
{
    struct core_run_row child = {.dag = ""};
    char id[24];
    bool there = core_get_run(engine->core, end->child, &child);
    const char *state = nx_run_state_name(end->child_state);
    snprintf(id, sizeof id, "%llu", (unsigned long long)end->child.v);
    const char *error = arena_printf(
        &engine->arena,
        end->outcome == NX_AO_TIMEOUT ? "run %s of '%s' had not ended within the task's timeout"
        : end->child_state == NX_RS_CANCELLED ? "run %s of '%s' was cancelled"
                                              : "run %s of '%s' failed",
        id, there ? child.dag : "");
    bool good = end->outcome == NX_AO_SUCCESS;
    enum nx_code code = good                                  ? NX_OK
                        : end->outcome == NX_AO_TIMEOUT       ? NX_E_TIMEOUT
                        : end->child_state == NX_RS_CANCELLED ? NX_E_CANCELLED
                                                              : NX_E_CONFLICT;
    struct wire_result *result =
        make_result(engine, end->inst, end->outcome, code, good ? NULL : error);
    if (good)
        result->outputs = outputs_text(
            engine, json_pack("{s:s, s:s, s:s}", "dag", child.dag, "run_id", id, "state", state));
    return result;
}

/* Of one that waited for a dataset. */
static struct wire_result *dataset_result(struct engine *engine, const struct core_end *end)
{
    struct wire_result *result = make_result(engine, end->inst, NX_AO_SUCCESS, NX_OK, NULL);
    struct core_dataset_row row;
    char when[TIME_TEXT_MAX];
    must(core_get_dataset(engine->core, task_of(engine, end->inst)->dataset, &row));
    result->outputs = outputs_text(engine, json_pack("{s:s, s:I, s:s}", "dataset", row.name,
                                                     "version", (json_int_t)row.version, "at",
                                                     time_format(when, row.event_ms)));
    return result;
}

static struct wire_result *timeout_result(struct engine *engine, const struct core_end *end)
{
    static const char *const texts[] = {
        [GRAPH_WAIT_FOR] = "its time was not over within its timeout of %s",
        [GRAPH_WAIT_UNTIL] = "its time had not come within its timeout of %s",
        [GRAPH_WAIT_PERSON] = "nobody approved or rejected it within its timeout of %s",
        [GRAPH_WAIT_POKE] = "what it waits for was not there within its timeout of %s",
        [GRAPH_WAIT_RUN] = "its run was not started within its timeout of %s",
        [GRAPH_WAIT_DATASET] = "there was no new version of its dataset within its timeout of %s",
    };
    char timeout[32];
    str_format_duration(timeout, sizeof timeout, task_of(engine, end->inst)->timeout_ms);
    return make_result(engine, end->inst, NX_AO_TIMEOUT, NX_E_TIMEOUT,
                       arena_printf(&engine->arena, texts[end->wait], timeout));
}

void waits_explain_ends(struct engine *engine)
{
    for (size_t i = 0; i < engine->update.ends.n; i++) {
        struct core_end *end = &engine->update.ends.at[i];
        if (end->wait == GRAPH_WAIT_NONE || end->result)
            continue;
        if (end->child.v && end->outcome != NX_AO_CANCELLED)
            end->result = child_result(engine, end);
        else if (end->outcome == NX_AO_TIMEOUT)
            end->result = timeout_result(engine, end);
        else if (end->wait == GRAPH_WAIT_DATASET && end->outcome == NX_AO_SUCCESS)
            end->result = dataset_result(engine, end);
    }
}
