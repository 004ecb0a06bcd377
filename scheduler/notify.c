#include "scheduler/notify.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/engine_state.h"
#include "scheduler/notify_text.h"
#include "scheduler/port/api_shape.h"

#define DELIVERY_LETTERS 20 /* of an id: 103 bits */
#define FAILED_TASKS_MAX 10 /* named in a message */
#define SUM_MARGIN_MS 2000  /* a summary that is due so soon gets no more */
#define TRIM_EVERY 100
#define TRIM_MOST 500

struct target {
    char *text;
    int64_t n;                       /* pending */
    int64_t summary, summary_due_ms; /* the last summary's id, 0: none */
    int64_t more;                    /* of this turn, not in a row yet */
    struct notification like;        /* kind, config: of the last one; borrowed for the turn */
};

/* ---- Targets ---- */

static struct target *target_get(struct notify *notify, const char *text)
{
    struct target *target = map_get(&notify->targets, text);
    if (!target) {
        target = mem_alloc(sizeof *target);
        target->text = mem_strdup(text);
        map_set(&notify->targets, text, target);
    }
    return target;
}

static void target_less(struct notify *notify, const char *text)
{
    struct target *target = map_get(&notify->targets, text);
    if (!target)
        return;
    notify->n_pending -= target->n > 0;
    target->n -= target->n > 0;
    if (target->n || target->more)
        return;
    map_remove(&notify->targets, text);
    mem_free(target->text);
    mem_free(target);
}

static void count_target(void *arg, const char *text, int64_t n)
{
    struct notify *notify = arg;
    target_get(notify, text)->n = n;
    notify->n_pending += n;
}

/* ---- Rows ---- */

static void put_row(struct notify *notify, struct notification *row, int64_t *id)
{
    struct nx_err err;
    if (!store_put_notification(notify->store, row, id, &err))
        engine_give_up(&err);
    notify->fresh = true;
    notify->n_pending++;
    if (++notify->n_put % TRIM_EVERY == 0 &&
        !store_trim_notifications(notify->store, NX_NOTIFY_KEPT_MAX, TRIM_MOST, &err))
        engine_give_up(&err);
}

static void tell(struct engine *engine, const struct tale *tale, const struct hook *hook)
{
    struct notify *notify = &engine->notify;
    struct target *target = target_get(notify, hook->target);
    char delivery[DELIVERY_LETTERS + 1];
    int64_t id;
    struct notification row = {.event = tale->event,
                               .dag = tale->run->dag,
                               .task = tale->task,
                               .run = tale->run->id.v,
                               .map_index = tale->map_index,
                               .kind = hook->kind,
                               .target = hook->target,
                               .config = hook->config,
                               .created_ms = tale->at_ms,
                               .due_ms = tale->at_ms};
    if (target->n >= NX_TARGET_PENDING_MAX || notify->n_pending >= NX_NOTIFY_PENDING_MAX) {
        if (target->more++ == 0)
            vec_push(&notify->summed, target);
        target->like = row;
        return;
    }
    crypt_random_id(delivery, DELIVERY_LETTERS);
    json_t *body = tale_json(tale, delivery);
    char *text = js_text(body);
    row.delivery = delivery;
    row.body = text;
    put_row(notify, &row, &id);
    target->n++;
    mem_free(text);
    json_decref(body);
}

static void tell_all(struct engine *engine, const struct tale *tale, const struct hooks *hooks,
                     enum hook_event event)
{
    for (uint32_t i = 0; i < hooks->n[event]; i++)
        tell(engine, tale, &hooks->at[event][i]);
}

/* What was too much for a target: into its summary. */
static void sum_up(struct notify *notify, struct target *target)
{
    int64_t now = clock_wall_ms();
    char delivery[DELIVERY_LETTERS + 1];
    struct nx_err err;
    if (target->summary && target->summary_due_ms > now + SUM_MARGIN_MS) {
        if (!store_add_more(notify->store, target->summary, target->more, &err))
            engine_give_up(&err);
    } else {
        struct notification row = target->like;
        crypt_random_id(delivery, DELIVERY_LETTERS);
        row.delivery = delivery;
        row.event = "summary";
        row.task = NULL;
        row.run = 0;
        row.map_index = NX_MAP_NONE;
        row.body = "{}"; /* made when it is sent */
        row.more = target->more;
        row.created_ms = now;
        row.due_ms = target->summary_due_ms = now + NX_NOTIFY_SUM_MS;
        put_row(notify, &row, &target->summary);
        target->n++;
        log_warn("notifications for %s come faster than they are sent: more than %d wait, further "
                 "ones are summed up",
                 target->text, NX_TARGET_PENDING_MAX);
    }
    target->more = 0;
}

/* ---- What happened ---- */

/* The error of that attempt, or of a question. In the turn's arena, or NULL. */
static const char *error_of(struct engine *engine, const struct core_change *change)
{
    const struct core_update *update = &engine->update;
    struct nx_inst_id id = change->inst;
    for (size_t i = update->ends.n; i-- > 0;) {
        const struct core_end *end = &update->ends.at[i];
        if (end->inst.run.v != id.run.v || end->inst.task != id.task || end->inst.map != id.map ||
            end->attempt != change->attempt)
            continue;
        if (!end->result || !end->result->error.n)
            return NULL;
        return arena_strndup(&engine->arena, end->result->error.p, end->result->error.n);
    }
    for (size_t i = 0; i < engine->ask_errors.n; i++) {
        const struct store_ask_error *error = &engine->ask_errors.at[i];
        if (error->inst.run.v == id.run.v && error->inst.task == id.task)
            return error->text;
    }
    return NULL;
}

/* Whether anybody of these is to be told in full: else the looking up is for nothing. */
static bool has_room(struct engine *engine, const struct hooks *hooks, enum hook_event event)
{
    struct notify *notify = &engine->notify;
    for (uint32_t i = 0; i < hooks->n[event]; i++) {
        const struct target *target = map_get(&notify->targets, hooks->at[event][i].target);
        if (!target || target->n < NX_TARGET_PENDING_MAX)
            return notify->n_pending < NX_NOTIFY_PENDING_MAX;
    }
    return false;
}

static const struct spec *spec_of(struct engine *engine, struct nx_run_id id,
                                  struct core_run_row *row, int64_t *number)
{
    struct nx_err err;
    if (!core_get_run(engine->core, id, row))
        return NULL;
    struct registry_version *version = registry_get(&engine->registry, row->version, &err);
    if (!version)
        return NULL;
    *number = registry_number(&engine->registry, version);
    return version->spec;
}

static void tell_change(struct engine *engine, const struct core_change *change)
{
    static const char *const events[] = {"task.success", "task.failure", "task.retry"};
    struct core_run_row row;
    struct tale tale = {.run = &row, .url = engine->shown_url, .at_ms = clock_wall_ms()};
    const struct spec *spec = spec_of(engine, change->inst.run, &row, &tale.dag_version);
    if (!spec)
        return;
    enum hook_event event = change->state == NX_TS_SUCCESS  ? HOOK_SUCCESS
                            : change->state == NX_TS_FAILED ? HOOK_FAILURE
                                                            : HOOK_RETRY;
    const struct spec_task *task = &spec->tasks[change->inst.task];
    const struct hooks *hooks = &task->hooks;
    bool of_dag = event == HOOK_RETRY;
    if (!hooks->n[event] && !(of_dag && spec->hooks.n[event]))
        return;
    tale.event = events[event];
    tale.task = task->id;
    tale.map_index = change->inst.map;
    tale.state = nx_task_state_name(change->state);
    tale.attempt = change->attempt;
    tale.max_attempts = (uint32_t)task->retries + 1;
    tale.reason = change->state == NX_TS_FAILED ? change->reason : NX_WHY_NONE;
    tale.reason_text = shape_reason_text(tale.reason);
    if (event != HOOK_SUCCESS &&
        (has_room(engine, hooks, event) || (of_dag && has_room(engine, &spec->hooks, event))))
        tale.error = error_of(engine, change);
    tell_all(engine, &tale, hooks, event);
    if (of_dag)
        tell_all(engine, &tale, &spec->hooks, event);
}

/* The task's instance, or the first of those that stand for a mapped one, from id->map on, that has
 * failed (or, not: has not ended). */
static bool next_inst(struct engine *engine, struct nx_inst_id *id, bool failed,
                      struct core_inst_row *inst)
{
    uint32_t n = core_get_list(engine->core, id->run, id->task);
    for (; id->map < (int32_t)n; id->map++) {
        bool found = core_get_inst(engine->core, *id, inst);
        if (found && (failed ? inst->state == NX_TS_FAILED : !nx_task_state_final(inst->state)))
            return true;
    }
    return false;
}

/* The first tasks of a run that failed. */
static json_t *failed_tasks(struct engine *engine, const struct spec *spec, struct nx_run_id run)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < spec->n_tasks; i++) {
        struct nx_inst_id id = {run, i, NX_MAP_NONE};
        struct core_inst_row inst;
        for (; json_array_size(list) < FAILED_TASKS_MAX && next_inst(engine, &id, true, &inst);
             id.map++) {
            char name[NX_ID_MAX + 16];
            snprintf(name, sizeof name, id.map == NX_MAP_NONE ? "%s" : "%s[%d]", spec->tasks[i].id,
                     id.map);
            json_array_append_new(list, js_string(name));
        }
    }
    return list;
}

static void tell_run(struct engine *engine, struct nx_run_id id)
{
    struct core_run_row row;
    struct tale tale = {
        .run = &row, .map_index = NX_MAP_NONE, .url = engine->shown_url, .at_ms = clock_wall_ms()};
    const struct spec *spec = spec_of(engine, id, &row, &tale.dag_version);
    enum hook_event event = row.state == NX_RS_SUCCESS ? HOOK_SUCCESS : HOOK_FAILURE;
    if (!spec || !spec->hooks.n[event] ||
        (row.state != NX_RS_SUCCESS && row.state != NX_RS_FAILED)) /* a person has cancelled it */
        return;
    tale.event = event == HOOK_SUCCESS ? "run.success" : "run.failure";
    tale.state = nx_run_state_name(row.state);
    if (event == HOOK_FAILURE) {
        tale.reason = row.reason;
        tale.reason_text = shape_reason_text(row.reason);
        if (has_room(engine, &spec->hooks, event))
            tale.failed_tasks = failed_tasks(engine, spec, id);
    }
    tell_all(engine, &tale, &spec->hooks, event);
    json_decref(tale.failed_tasks);
}

/* The run, and those of its tasks that have not ended. */
static void tell_late(struct engine *engine, struct nx_run_id id)
{
    struct core_run_row row;
    struct tale tale = {.event = "run.late",
                        .run = &row,
                        .map_index = NX_MAP_NONE,
                        .url = engine->shown_url,
                        .at_ms = clock_wall_ms()};
    const struct spec *spec = spec_of(engine, id, &row, &tale.dag_version);
    if (!spec)
        return;
    tell_all(engine, &tale, &spec->hooks, HOOK_LATE);
    tale.event = "task.late";
    for (uint32_t i = 0; i < spec->n_tasks; i++) {
        const struct spec_task *task = &spec->tasks[i];
        struct nx_inst_id first = {id, i, NX_MAP_NONE};
        struct core_inst_row inst;
        if (!task->hooks.n[HOOK_LATE] || !next_inst(engine, &first, false, &inst))
            continue;
        tale.map_index = first.map;
        tale.task = task->id;
        tale.state = nx_task_state_name(inst.state);
        tale.attempt = inst.attempt;
        tale.max_attempts = (uint32_t)task->retries + 1;
        tell_all(engine, &tale, &task->hooks, HOOK_LATE);
    }
}

void notify_turn(struct engine *engine)
{
    struct notify *notify = &engine->notify;
    const struct core_update *update = &engine->update;
    if (engine->config.silent)
        return;
    for (size_t i = 0; i < update->changes.n; i++)
        tell_change(engine, &update->changes.at[i]);
    for (size_t i = 0; i < update->runs_ended.n; i++)
        tell_run(engine, update->runs_ended.at[i]);
    for (size_t i = 0; i < update->notices.n; i++) {
        if (update->notices.at[i].kind == CORE_LATE)
            tell_late(engine, update->notices.at[i].run);
    }
    for (size_t i = 0; i < notify->summed.n; i++)
        sum_up(notify, notify->summed.at[i]);
    notify->summed.n = 0;
}

void notify_committed(struct notify *notify)
{
    if (notify->fresh)
        sender_wake(notify->sender);
    notify->fresh = false;
}

/* ---- What came of it ---- */

static bool take_told(struct notify *notify, const struct message *message, struct nx_err *err)
{
    bool over = message->told != TOLD_NOT_YET || message->n_tries >= NX_NOTIFY_ATTEMPTS;
    int64_t now = clock_wall_ms();
    const struct notification what = {
        .id = message->notification,
        .state = message->told == TOLD ? NOTIFICATION_SENT
                 : over                ? NOTIFICATION_FAILED
                                       : NOTIFICATION_PENDING,
        .attempts = message->n_tries,
        .due_ms =
            now +
            (over ? 0 : sender_delay(notify->delay_ms, message->n_tries, NX_NOTIFY_DELAY_MAX_MS)),
        .finished_ms = over ? now : 0,
        .error = message->note,
        .output = message->value,
    };
    if (!store_set_notification(notify->store, &what, err))
        engine_give_up(err);
    if (over)
        target_less(notify, message->target);
    if (what.state == NOTIFICATION_FAILED)
        log_warn("notification %lld for %s is given up after %lld tries: %s", (long long)what.id,
                 message->target, (long long)what.attempts, what.error);
    return true;
}

static bool take_retell(struct notify *notify, const struct message *message, struct nx_err *err)
{
    enum notification_state state = NOTIFICATION_PENDING;
    struct buf target;
    buf_init(&target);
    bool ok = store_retry_notification(notify->store, message->notification, clock_wall_ms(),
                                       &state, &target, err);
    if (!ok && err->code != NX_E_NOT_FOUND)
        engine_give_up(err);
    if (ok && state != NOTIFICATION_FAILED)
        ok = nx_fail(err, NX_E_CONFLICT,
                     "notification %lld is %s: only one that was given up is "
                     "sent again",
                     (long long)message->notification, notification_state_name(state));
    if (ok) {
        target_get(notify, buf_text(&target))->n++;
        sender_hurry(notify->sender, buf_text(&target));
        notify->n_pending++;
        notify->fresh = true;
    }
    buf_fini(&target);
    return ok;
}

bool notify_take(struct notify *notify, const struct message *message, struct nx_err *err)
{
    return message->op == WRITE_TOLD ? take_told(notify, message, err)
                                     : take_retell(notify, message, err);
}

/* ---- Life ---- */

bool notify_open(struct notify *notify, struct store *store, const struct kept *kept,
                 const struct engine_config *config, struct inbox *inbox, struct nx_err *err)
{
    const struct sender_config sending = {
        .home = config->home,
        .project = config->project,
        .key_path = kept->key_path,
        .secrets = config->secrets,
        .connections = config->connections,
        .delay_ms = config->notify_delay_ms > 0 ? config->notify_delay_ms : NX_NOTIFY_DELAY_MS,
        .inbox = inbox};
    *notify = (struct notify){.store = store, .delay_ms = sending.delay_ms};
    map_init(&notify->targets);
    if (!store_each_pending(store, count_target, notify, err))
        return false;
    notify->sender = sender_new(&sending);
    return true;
}

void notify_stop(struct notify *notify)
{
    if (notify->sender)
        sender_stop(notify->sender);
}

void notify_close(struct notify *notify)
{
    sender_free(notify->sender);
    for (size_t i = 0; i < notify->targets.n; i++) {
        struct target *target = notify->targets.at[i].value;
        mem_free(target->text);
        mem_free(target);
    }
    map_fini(&notify->targets);
    vec_fini(&notify->summed);
    *notify = (struct notify){0};
}
