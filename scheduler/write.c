/* What people want changed: messages to events, and the answers after the commit. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/script/args.h"
#include "scheduler/engine_state.h"

static void refuse(struct pending *pending, const struct nx_err *err)
{
    pending->result.err = *err;
    pending->settled = true;
}

/* The creation of the DAG's run by hand before this one; 0: this is the first. */
static int64_t previous_created(struct engine *engine, const char *dag)
{
    struct nx_err err;
    int64_t created_ms;
    for (size_t i = engine->extras.n; i > 0; i--) { /* of this turn: not in the store yet */
        struct core_run_row row;
        if (core_get_run(engine->core, engine->extras.at[i - 1].run, &row) && str_eq(row.dag, dag))
            return row.created_ms;
    }
    if (!store_last_created(engine->store, dag, NX_RC_MANUAL, &created_ms, &err))
        engine_give_up(&err);
    return created_ms;
}

/* The interval of a run by hand: the instant that --date names; or, without a schedule, from the
 * previous run of that kind until now, which for the first one is now alone. */
static void set_interval(struct engine *engine, const struct message *message,
                         struct store_run_extra *extra)
{
    struct core_run_row row;
    extra->interval_start_ms = extra->interval_finish_ms = message->date_ms;
    if (message->date_ms || !core_get_run(engine->core, extra->run, &row))
        return;
    int64_t previous = previous_created(engine, message->dag);
    extra->interval_finish_ms = row.created_ms;
    extra->interval_start_ms = previous && previous < row.created_ms ? previous : row.created_ms;
}

static void add_extra(struct engine *engine, const struct message *message, struct nx_run_id run,
                      const char *params)
{
    struct store_run_extra extra = {
        .run = run,
        .params = params,
        .note = message->note,
        .idempotency_key = message->idempotency_key,
    };
    set_interval(engine, message, &extra);
    vec_push(&engine->extras, extra);
}

static bool resolve_params(struct engine *engine, const struct registry_version *version,
                           const struct message *message, const char **params, struct nx_err *err)
{
    json_t *given = NULL, *resolved = NULL;
    if (message->params && !(given = json_loads(message->params, JSON_REJECT_DUPLICATES, NULL)))
        return nx_fail(err, NX_E_INVALID, "params are not a JSON object");
    bool ok = params_check(version->spec->params, given, &resolved, err);
    if (ok) {
        char *text = json_dumps(resolved, JSON_COMPACT);
        *params = arena_strdup(&engine->arena, text);
        mem_free(text);
    }
    if (ok && strlen(*params) > NX_PARAMS_MAX)
        ok = nx_fail(err, NX_E_LIMIT,
                     "the params are larger than %d bytes: pass a path or an "
                     "artifact instead",
                     NX_PARAMS_MAX);
    json_decref(given);
    json_decref(resolved);
    return ok;
}

static void create(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct nx_err err;
    const char *params = NULL;
    if (message->idempotency_key) {
        struct nx_run_id run;
        if (!store_find_key(engine->store, message->idempotency_key, &run, &err))
            engine_give_up(&err);
        if (run.v) {
            pending->result = (struct write_result){.run = run, .existed = true};
            pending->settled = true;
            return;
        }
    }
    struct registry_version *version = registry_current(&engine->registry, message->dag, &err);
    if (!version || !resolve_params(engine, version, message, &params, &err)) {
        refuse(pending, &err);
        return;
    }
    versions_tell_core(engine, version);
    struct core_event event = now_event(EV_RUN_CREATE);
    event.token = index + 1;
    event.create.dag = message->dag;
    event.create.cause = NX_RC_MANUAL;
    engine_step(engine, &event);
    const struct core_reply *reply = &engine->update.replies.at[engine->update.replies.n - 1];
    must(reply->token == event.token);
    if (reply->err.code == NX_OK)
        add_extra(engine, message, reply->run, params);
}

static void pause_dag(struct engine *engine, struct pending *pending)
{
    struct nx_err err;
    if (!registry_current(&engine->registry, pending->message->dag, &err)) {
        refuse(pending, &err);
        return;
    }
    if (!store_set_paused(engine->store, pending->message->dag, pending->message->on, &err))
        engine_give_up(&err);
    pending->settled = true;
}

void write_take(struct engine *engine, struct message *message)
{
    size_t index = engine->pending.n;
    vec_push(&engine->pending, ((struct pending){.message = message}));
    struct pending *pending = &engine->pending.at[index];
    struct core_event event;
    switch (message->op) {
    case WRITE_CREATE:
        create(engine, pending, index);
        break;
    case WRITE_CANCEL:
        event = now_event(EV_RUN_CANCEL);
        event.token = index + 1;
        event.cancel = message->run;
        engine_step(engine, &event);
        break;
    case WRITE_DRAIN:
        event = now_event(EV_DRAIN);
        event.token = index + 1;
        event.drain.worker = message->worker;
        event.drain.on = message->on;
        engine_step(engine, &event);
        break;
    case WRITE_PAUSE:
        pause_dag(engine, pending);
        break;
    }
}

void write_answer(struct engine *engine)
{
    for (size_t i = 0; i < engine->update.replies.n; i++) {
        const struct core_reply *reply = &engine->update.replies.at[i];
        struct pending *pending = &engine->pending.at[reply->token - 1];
        pending->result.err = reply->err;
        pending->result.run = reply->run;
        pending->settled = true;
    }
    for (size_t i = 0; i < engine->pending.n; i++) {
        struct pending *pending = &engine->pending.at[i];
        must(pending->settled);
        if (pending->message->done)
            pending->message->done(pending->message->arg, &pending->result);
    }
}
