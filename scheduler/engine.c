#include "scheduler/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/engine_state.h"

#define EXIT_COMMIT_FAILED 75
#define WAKE_AT_LEAST_MS 1000
#define RETENTION_PAUSE_MS 20 /* between two steps */

struct core_event now_event(enum core_event_kind kind)
{
    return (struct core_event){
        .kind = kind, .mono_ms = clock_steady_ms(), .wall_ms = clock_wall_ms()};
}

void engine_step(struct engine *engine, const struct core_event *event)
{
    core_step(engine->core, event, &engine->update);
}

_Noreturn void engine_give_up(const struct nx_err *err)
{
    die(EXIT_COMMIT_FAILED, "%s; nothing of this turn was kept", err->text);
}

static void on_message(struct engine *engine, struct message *message)
{
    struct core_event event;
    switch (message->kind) {
    case MSG_REPORT:
        event = now_event(EV_REPORT);
        event.report.report = &message->report;
        event.report.context = dispatch_context(message);
        engine_step(engine, &event);
        break;
    case MSG_LOADER:
        versions_loaded(engine, message->loaded);
        break;
    case MSG_WRITE:
        write_take(engine, message);
        break;
    case MSG_QUERY:
        message->look(message->arg, engine->core);
        break;
    case MSG_STOP:
        engine->stopping = true;
        break;
    }
}

static void write_rows(struct engine *engine)
{
    datasets_resolve(engine);
    waits_explain_ends(engine);
    const struct store_turn turn = {
        .core = engine->core,
        .update = &engine->update,
        .extras = engine->extras.at,
        .n_extras = engine->extras.n,
        .ask_errors = engine->ask_errors.at,
        .n_ask_errors = engine->ask_errors.n,
        .facts = engine->facts.at,
        .n_facts = engine->facts.n,
        .approvals = engine->approvals.at,
        .n_approvals = engine->approvals.n,
    };
    struct nx_err err;
    if (!store_begin(engine->store, &err) || !store_write(engine->store, &turn, &err))
        engine_give_up(&err);
}

static void answer_ask(struct engine *engine, const struct core_ask *ask)
{
    struct core_event event = now_event(EV_ANSWER);
    struct nx_err err;
    event.answer.inst = ask->inst;
    event.answer.number = ask->number;
    struct question_result result;
    question_answer(&engine->question, ask, &engine->arena, &result, &err);
    event.answer.answer = result.answer;
    event.answer.when_ms = result.when_ms;
    event.answer.n = result.n;
    event.answer.past = result.past;
    event.answer.chooses = result.chooses;
    event.answer.chosen = result.chosen;
    event.answer.n_chosen = result.n_chosen;
    if (result.answer == CORE_ERROR || result.answer == CORE_WITH_ERROR)
        vec_push(&engine->ask_errors,
                 ((struct store_ask_error){ask->inst, arena_strdup(&engine->arena, err.text)}));
    engine_step(engine, &event);
    if (result.form)
        waits_asked(engine, ask->inst, &result);
    if (result.outputs)
        waits_chosen(engine, ask->inst, result.outputs);
}

/* Writes what the questions may look at, answers them, and lets the answers take effect. */
/* Runs that tasks start; false: there are none. */
static bool start_runs(struct engine *engine)
{
    if (!engine->update.starts.n)
        return false;
    write_rows(engine); /* their params may name what has only just happened */
    return waits_start_runs(engine);
}

static void answer_asks(struct engine *engine)
{
    while (engine->update.asks.n || engine->update.dues.n || engine->update.starts.n) {
        if (timetables_answer(engine) || start_runs(engine)) {
            struct core_event again = now_event(EV_TURN);
            engine_step(engine, &again);
            continue;
        }
        write_rows(engine);
        size_t n = engine->update.asks.n;
        struct core_ask *asks = arena_dup(&engine->arena, engine->update.asks.at, n * sizeof *asks);
        engine->update.asks.n = 0;
        for (size_t i = 0; i < n; i++)
            answer_ask(engine, &asks[i]);
        struct core_event turn = now_event(EV_TURN);
        engine_step(engine, &turn);
    }
}

static void crash_if(const struct engine *engine, enum crash_point here)
{
    if (engine->config.crash_point == here && engine->config.crash_commit == engine->n_commits)
        _exit(99);
}

static void commit(struct engine *engine)
{
    struct nx_err err;
    if (!core_update_has_rows(&engine->update) && !store_in_transaction(engine->store))
        return;
    engine->n_commits++;
    write_rows(engine);
    crash_if(engine, CRASH_BEFORE_COMMIT);
    int64_t began_us = clock_mono_us();
    if (!store_commit(engine->store, &err))
        engine_give_up(&err);
    crash_if(engine, CRASH_AFTER_COMMIT);
    if (engine->config.committed)
        engine->config.committed(engine->config.arg, engine->core, &engine->update,
                                 engine->n_commits, clock_mono_us() - began_us);
}

static void note_ended(struct engine *engine)
{
    for (size_t i = 0; i < engine->update.runs.n; i++) {
        struct core_run_row row;
        if (core_get_run(engine->core, engine->update.runs.at[i], &row) &&
            nx_run_state_final(row.state))
            vec_push(&engine->ended, row.id.v);
    }
}

static struct wire_bytes definition_of(void *arg, uint64_t version, uint32_t task)
{
    struct engine *engine = arg;
    struct nx_err err;
    const struct registry_version *found = registry_get(&engine->registry, version, &err);
    const char *text = found ? found->spec->tasks[task].definition : "{}";
    return wire_text(text, strlen(text));
}

static struct wire_bytes run_text_of(void *arg, struct nx_run_id run)
{
    struct engine *engine = arg;
    return question_run_text(&engine->question, run);
}

static struct wire_bytes outputs_of(void *arg, struct nx_inst_id inst)
{
    struct engine *engine = arg;
    return question_outputs(&engine->question, inst);
}

static struct wire_bytes item_of(void *arg, struct nx_inst_id inst)
{
    struct engine *engine = arg;
    return question_item(&engine->question, inst);
}

static void send_all(struct engine *engine)
{
    const struct reply_source source = {
        .arg = engine,
        .definition = definition_of,
        .run = run_text_of,
        .outputs = outputs_of,
        .item = item_of,
        .url = engine->url,
        .home = engine->home,
        .lease_ttl_ms = core_lease_ttl_ms(engine->core, false),
        .lease_ttl_elsewhere_ms = core_lease_ttl_ms(engine->core, true),
        .grace_ms = NX_GRACE_MS,
    };
    dispatch_send(engine->dispatch, engine->core, engine->epoch, &engine->update, &source);
}

static void end_turn(struct engine *engine)
{
    core_turn_done(engine->core, &engine->update);
    for (size_t i = 0; i < engine->ended.n; i++)
        question_forget_run(&engine->question, (struct nx_run_id){engine->ended.at[i]});
    while (engine->messages) {
        struct message *next = engine->messages->next;
        message_free(engine->messages);
        engine->messages = next;
    }
    engine->pending.n = engine->extras.n = engine->ask_errors.n = engine->ended.n = 0;
    engine->facts.n = 0;
    engine->approvals.n = 0;
    arena_reset(&engine->arena);
}

static void on_timer(uv_timer_t *timer)
{
    engine_turn(timer->data);
}

static void plan_next(struct engine *engine)
{
    int64_t now = clock_steady_ms(), due = core_deadline(engine->core);
    int64_t wait = due <= now ? 0 : clock_steady_wait_ms(due - now);
    if (wait > WAKE_AT_LEAST_MS)
        wait = WAKE_AT_LEAST_MS;
    if (engine->retaining.busy && wait > RETENTION_PAUSE_MS)
        wait = RETENTION_PAUSE_MS;
    uv_update_time(&engine->loop);
    uv_timer_start(&engine->timer, on_timer, (uint64_t)wait, 0);
}

void engine_turn(struct engine *engine)
{
    struct nx_err err;
    int64_t start = clock_mono_us();
    engine->messages = inbox_take(engine->inbox);
    for (struct message *message = engine->messages; message; message = message->next)
        on_message(engine, message);
    struct core_event event = now_event(EV_TURN);
    engine_step(engine, &event);
    answer_asks(engine);
    note_ended(engine);
    notify_turn(engine);
    timetables_log(engine);
    bool idle = engine->messages == NULL && !core_update_has_rows(&engine->update);
    if (idle && !store_in_transaction(engine->store))
        retention_turn(engine);
    commit(engine);
    notify_committed(&engine->notify);
    send_all(engine);
    crash_if(engine, CRASH_AFTER_SEND);
    write_answer(engine);
    end_turn(engine);
    if (!store_checkpoint(engine->store, idle, &err))
        log_warn("checkpoint: %s", err.text);
    if (engine->config.turned)
        engine->config.turned(engine->config.arg, clock_mono_us() - start);
    plan_next(engine);
    if (engine->stopping)
        uv_stop(&engine->loop);
}
