/* What people want changed: messages to events, and the answers after the commit. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"
#include "scheduler/store/token.h"

static void refuse(struct pending *pending, const struct nx_err *err)
{
    pending->result.err = *err;
    pending->settled = true;
}

bool write_params(struct engine *engine, const struct registry_version *version, const char *json,
                  const char **params, struct nx_err *err)
{
    json_t *given = NULL, *resolved = NULL;
    if (json && !(given = json_loads(json, JSON_REJECT_DUPLICATES, NULL)))
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

bool write_interval(struct engine *engine, const struct registry_version *version, const char *date,
                    struct core_event *event, bool *claims, struct nx_err *err)
{
    int64_t *start_ms = &event->create.interval_start_ms;
    int64_t *finish_ms = &event->create.interval_finish_ms;
    struct nx_run_id other = {0};
    if (!timetables_interval(engine, version, date, event->wall_ms, start_ms, finish_ms, claims,
                             err))
        return false;
    if (!*claims)
        return true;
    if (timetables_made(engine, version->dag, *start_ms, *finish_ms))
        return nx_fail(err, NX_E_CONFLICT,
                       "a run of '%s' of that data interval was started just now", version->dag);
    if (!store_find_interval(engine->store, version->dag, *start_ms, *finish_ms, &other, err))
        engine_give_up(err);
    return !other.v || nx_fail(err, NX_E_CONFLICT,
                               "run %llu is the one of that data interval: `nexus runs clear %llu` "
                               "does it again, `nexus runs rerun %llu` as a new run",
                               (unsigned long long)other.v, (unsigned long long)other.v,
                               (unsigned long long)other.v);
}

static bool interval_of(struct engine *engine, const struct registry_version *version,
                        const struct message *message, struct core_event *event, bool *claims,
                        struct nx_err *err)
{
    if (!message->interval_finish_ms)
        return write_interval(engine, version, message->date, event, claims, err);
    event->create.interval_start_ms = message->interval_start_ms; /* of the run that it repeats */
    event->create.interval_finish_ms = message->interval_finish_ms;
    return true;
}

/* ---- Keys ---- */

void write_key(struct engine *engine, const struct message *message, struct store_key *made)
{
    struct nx_err err;
    if (!message->idempotency_key)
        return;
    str_copy(made->request, sizeof made->request, message->request);
    if (!store_put_key(engine->store, message->idempotency_key, made, &err))
        engine_give_up(&err);
}

/* Whether an earlier request, perhaps of this turn, has made something with the key: that is the
 * answer then, or a refusal if it was another request. */
static bool had_key(struct engine *engine, struct pending *pending)
{
    const struct message *message = pending->message;
    struct store_key key;
    struct nx_err err;
    if (!message->idempotency_key || message->dry_run)
        return false;
    if (!store_find_key(engine->store, message->idempotency_key, &key, &err))
        engine_give_up(&err);
    if (!key.run.v && !key.backfill)
        return false;
    bool other = key.request[0] ? !str_eq(key.request, message->request)
                                : (message->op == WRITE_BACKFILL) != (key.backfill != 0);
    pending->result =
        (struct write_result){.run = key.run, .backfill = key.backfill, .existed = true};
    pending->settled = true;
    if (!other)
        return true;
    nx_fail(&err, NX_E_CONFLICT,
            "this Idempotency-Key came with another request before, which made %s %llu: take "
            "another key for this one",
            key.run.v ? "run" : "backfill",
            (unsigned long long)(key.run.v ? key.run.v : key.backfill));
    refuse(pending, &err);
    return true;
}

/* ---- A run ---- */

static bool has_param(const json_t *params, const char *name)
{
    const json_t *param;
    size_t i;
    json_array_foreach(params, i, param)
    {
        if (str_eq(js_get_text(param, "name", ""), name))
            return true;
    }
    return false;
}

/* What a former run had, as far as the version has such params still, and what is given for this
 * one. */
static const char *repeated_params(struct engine *engine, const struct registry_version *version,
                                   const struct message *message)
{
    json_t *params = json_loads(message->former_params, 0, NULL), *value;
    json_t *given = message->params ? json_loads(message->params, 0, NULL) : NULL;
    const char *name;
    void *next;
    json_object_foreach_safe(params, next, name, value)
    {
        if (!has_param(version->spec->params, name))
            json_object_del(params, name);
    }
    if (given)
        json_object_update(params, given);
    char *text = js_text(params);
    const char *kept = arena_strdup(&engine->arena, text);
    mem_free(text);
    json_decref(given);
    json_decref(params);
    return kept;
}

static void create(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct nx_err err;
    struct registry_version *version = registry_current(&engine->registry, message->dag, &err);
    struct store_run_extra extra = {.note = message->note, .repeats = message->run};
    const char *params = version && message->former_params
                             ? repeated_params(engine, version, message)
                             : message->params;
    if (!version || !write_params(engine, version, params, &extra.params, &err)) {
        refuse(pending, &err);
        return;
    }
    versions_tell_core(engine, version);
    struct core_event event = now_event(EV_RUN_CREATE); /* after the other: time does not go back */
    if (!interval_of(engine, version, message, &event, &event.create.claims, &err)) {
        refuse(pending, &err);
        return;
    }
    event.token = index + 1;
    event.create.dag = message->dag;
    event.create.cause = NX_RC_MANUAL;
    engine_step(engine, &event);
    const struct core_reply *reply = &engine->update.replies.at[engine->update.replies.n - 1];
    must(reply->token == event.token);
    extra.run = reply->run;
    if (reply->err.code != NX_OK)
        return;
    vec_push(&engine->extras, extra);
    write_key(engine, message, &(struct store_key){.run = reply->run});
}

static bool pause_dag(struct engine *engine, const struct message *message, struct nx_err *err)
{
    if (!registry_current(&engine->registry, message->dag, err))
        return false;
    if (!store_set_paused(engine->store, message->dag, message->on, err))
        engine_give_up(err);
    struct core_event event = now_event(EV_PAUSE);
    event.pause.dag = message->dag;
    event.pause.on = message->on;
    engine_step(engine, &event);
    return true;
}

/* ---- Runs that have ended ---- */

static void add_run(void *arg, const struct core_run_row *row)
{
    struct engine *engine = arg;
    struct nx_err err;
    const struct registry_version *version = registry_get(&engine->registry, row->version, &err);
    if (!version) {
        log_error("run %llu: %s", (unsigned long long)row->id.v, err.text);
        return;
    }
    versions_lay_out(engine, version->id);
    core_load_version(engine->core, version->id, version->graph, false);
    core_load_run(engine->core, row);
}

static void add_list(void *arg, struct nx_run_id id, uint32_t map, uint32_t n)
{
    struct engine *engine = arg;
    struct core_run_row run;
    if (core_get_run(engine->core, id, &run))
        core_load_list(engine->core, id, map, n);
}

static void add_inst(void *arg, const struct core_inst_row *row)
{
    struct engine *engine = arg;
    struct core_run_row run;
    if (core_get_run(engine->core, row->id.run, &run))
        core_load_inst(engine->core, row);
}

struct ending {
    enum nx_run_state state;
    int64_t finished_ms;
};

static void note_ending(void *arg, const struct core_run_row *row)
{
    *(struct ending *)arg = (struct ending){row->state, row->finished_ms};
}

/* Whether the rows that were read for the message are those of the store still: the run would have
 * been opened again, and have ended at another time. */
static bool rows_hold(struct engine *engine, const struct message *message)
{
    struct ending ending = {0};
    const struct store_loader loader = {.arg = &ending, .run = note_ending};
    struct nx_err err;
    if (!message || !message->ended_ms)
        return false;
    if (!store_load_run(engine->store, message->run, &loader, &err))
        engine_give_up(&err);
    return nx_run_state_final(ending.state) && ending.finished_ms == message->ended_ms;
}

void write_load_ended(struct engine *engine, struct nx_run_id run, const struct message *message)
{
    bool have = rows_hold(engine, message);
    const struct store_loader loader = {
        .arg = engine, .run = add_run, .list = add_list, .inst = have ? NULL : add_inst};
    struct core_run_row row;
    struct nx_err err;
    if (core_get_run(engine->core, run, &row))
        return;
    if (!store_load_run(engine->store, run, &loader, &err))
        engine_give_up(&err);
    if (!core_get_run(engine->core, run, &row))
        return;
    for (size_t i = 0; have && i < message->n_insts; i++)
        core_load_inst(engine->core, &message->insts[i]);
    core_load_run_done(engine->core, run);
}

static void edit_run(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct core_event event;
    write_load_ended(engine, message->run, message);
    event = now_event(EV_RUN_EDIT);
    event.token = index + 1;
    event.edit.run = message->run;
    event.edit.what = message->edit;
    event.edit.tasks = message->tasks;
    event.edit.n_tasks = message->n_tasks;
    event.edit.upstream = message->upstream;
    event.edit.downstream = message->downstream;
    event.edit.dry_run = message->dry_run;
    size_t first = engine->update.edited.n;
    engine_step(engine, &event);
    size_t n = engine->update.edited.n - first;
    pending->result.n_edited = n;
    if (n)
        pending->result.edited = arena_dup(&engine->arena, engine->update.edited.at + first,
                                           n * sizeof *engine->update.edited.at);
}

static bool delete_run(struct engine *engine, const struct message *message, struct nx_err *err)
{
    struct core_run_row row;
    if (core_get_run(engine->core, message->run, &row))
        return nx_fail(err, NX_E_CONFLICT, "run %llu has not ended: cancel it first",
                       (unsigned long long)message->run.v);
    retention_doom(engine, message->run);
    return true;
}

static bool set_note(struct engine *engine, const struct message *message, struct nx_err *err)
{
    bool found = false;
    if (!store_set_note(engine->store, message->run, message->note, &found, err))
        engine_give_up(err);
    return found ||
           nx_fail(err, NX_E_NOT_FOUND, "there is no run %llu", (unsigned long long)message->run.v);
}

static bool change_kept(struct engine *engine, struct pending *pending, struct nx_err *err)
{
    const struct message *message = pending->message;
    if (!kept_take(&engine->kept, engine->core, message, &pending->result, err))
        return false;
    if (message->kept == KEPT_POOL) {
        struct core_event event = now_event(EV_POOL);
        event.pool.name = message->name;
        event.pool.slots = message->op == WRITE_DROP ? -1 : message->slots;
        engine_step(engine, &event);
    }
    return true;
}

static bool make_token(struct engine *engine, const struct message *message)
{
    struct nx_err err;
    const struct token_row row = {.id = message->token,
                                  .name = message->name,
                                  .role = role_name(message->role),
                                  .hash = message->value,
                                  .created_ms = clock_wall_ms(),
                                  .expires_ms = message->expires_ms};
    if (!store_put_token(engine->store, &row, &err))
        engine_give_up(&err);
    engine_know_token(engine, &row);
    return true;
}

static bool drop_token(struct engine *engine, const struct message *message, struct nx_err *err)
{
    bool found = false;
    if (!store_drop_token(engine->store, message->token, &found, err))
        engine_give_up(err);
    tokens_drop(engine->tokens, message->token);
    return found || nx_fail(err, NX_E_NOT_FOUND, "there is no token '%.64s'", message->token);
}

/* ---- All of them ---- */

/* What the core decides: it replies to the token index + 1 in this step. */
static bool is_event(enum write_op op)
{
    return op == WRITE_CREATE || op == WRITE_CANCEL || op == WRITE_DRAIN || op == WRITE_EDIT ||
           op == WRITE_BACKFILL_STATE || op == WRITE_EMIT || op == WRITE_APPROVE;
}

static void take_event(struct engine *engine, struct pending *pending, size_t index)
{
    const struct message *message = pending->message;
    struct core_event event;
    if (message->op == WRITE_CREATE) {
        create(engine, pending, index);
    } else if (message->op == WRITE_EDIT) {
        edit_run(engine, pending, index);
    } else if (message->op == WRITE_EMIT) {
        datasets_emit(engine, pending, index);
    } else if (message->op == WRITE_APPROVE) {
        waits_approve(engine, pending, index);
    } else if (message->op == WRITE_BACKFILL_STATE) {
        event = now_event(EV_BACKFILL_CHANGE);
        event.token = index + 1;
        event.backfill_change.id = message->backfill;
        event.backfill_change.state = message->backfill_state;
        engine_step(engine, &event);
    } else if (message->op == WRITE_CANCEL) {
        event = now_event(EV_RUN_CANCEL);
        event.token = index + 1;
        event.cancel = message->run;
        engine_step(engine, &event);
    } else {
        event = now_event(EV_DRAIN);
        event.token = index + 1;
        event.drain.worker = message->worker;
        event.drain.on = message->on;
        engine_step(engine, &event);
    }
}

/* What needs the store alone. */
static void take_row(struct engine *engine, struct pending *pending)
{
    const struct message *message = pending->message;
    struct nx_err err = {0};
    bool ok = message->op == WRITE_BACKFILL     ? backfill_take(engine, pending, &err)
              : message->op == WRITE_PAUSE      ? pause_dag(engine, message, &err)
              : message->op == WRITE_NOTE       ? set_note(engine, message, &err)
              : message->op == WRITE_DELETE     ? delete_run(engine, message, &err)
              : message->op == WRITE_AUDIT      ? true
              : message->op == WRITE_RETENTION  ? retention_hurry(engine)
              : message->op == WRITE_TOKEN      ? make_token(engine, message)
              : message->op == WRITE_TOKEN_DROP ? drop_token(engine, message, &err)
              : message->op == WRITE_TOLD || message->op == WRITE_RETELL
                  ? notify_take(&engine->notify, message, &err)
                  : change_kept(engine, pending, &err);
    if (ok)
        pending->settled = true;
    else
        refuse(pending, &err);
}

static void note_who(struct engine *engine, const struct message *message)
{
    struct nx_err err;
    const struct store_audit audit = {.at_ms = clock_wall_ms(),
                                      .who = message->who,
                                      .what = message->what,
                                      .target = message->target,
                                      .detail = message->detail};
    if (!store_put_audit(engine->store, &audit, &err))
        engine_give_up(&err);
}

/* False, and refused: it is not what its author has seen. */
static bool is_as_seen(struct engine *engine, struct pending *pending)
{
    const struct message *message = pending->message;
    struct nx_err err;
    int64_t last;
    if (!message->match)
        return true;
    if (!store_last_change(engine->store, message->match, message->target, &last, &err))
        engine_give_up(&err);
    for (size_t i = 0; i < message->n_matches; i++) {
        if (message->matches[i] == last)
            return true;
    }
    nx_fail(&err, NX_E_STALE,
            "'%.80s' was changed since it was read: read it again, then make the change anew",
            message->target);
    refuse(pending, &err);
    return false;
}

void write_take(struct engine *engine, struct message *message)
{
    size_t index = engine->pending.n, n_replies = engine->update.replies.n;
    vec_push(&engine->pending, ((struct pending){.message = message}));
    struct pending *pending = &engine->pending.at[index];
    if (had_key(engine, pending) || !is_as_seen(engine, pending))
        return;
    if (is_event(message->op))
        take_event(engine, pending, index);
    else
        take_row(engine, pending);
    bool done = engine->update.replies.n > n_replies
                    ? engine->update.replies.at[n_replies].err.code == NX_OK
                    : pending->result.err.code == NX_OK;
    bool anew = !engine->pending.at[index].result.existed;
    if (done && anew && message->what && !message->dry_run)
        note_who(engine, message);
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
