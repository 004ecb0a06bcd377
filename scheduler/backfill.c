/* Backfills: what one would do, its beginning, and the runs that come of it. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "scheduler/engine_state.h"

struct backfill_steps {
    struct backfill_step *at;
    size_t n, cap;
};

struct range {
    struct timetable *timetable;
    int64_t from_ms, to_ms; /* of the starts of intervals, both inclusive */
    int64_t now_ms;
};

/* ---- The plan ---- */

static bool read_bound(const struct timetable *timetable, const char *name, const char *text,
                       int64_t *ms, bool end, struct nx_err *err)
{
    bool is_date;
    if (!text || !timetable_parse_time(timetable->zone, text, ms, &is_date))
        return nx_fail(err, NX_E_INVALID,
                       "'%s' must be a date (2026-01-31) or an instant (RFC 3339)%s%.64s%s", name,
                       text ? ", not '" : "", text ? text : "", text ? "'" : "");
    if (end && is_date)
        *ms = timetable_day_end(timetable->zone, *ms);
    return true;
}

static bool read_range(const struct message *message, const struct registry_version *version,
                       struct range *range, struct nx_err *err)
{
    if (!version->timetable)
        return nx_fail(err, NX_E_INVALID,
                       "DAG '%s' has no schedule, and so no data intervals to backfill; `nexus "
                       "trigger %s --date T` runs it for one instant",
                       version->dag, version->dag);
    if (!timetable_has_intervals(version->timetable))
        return nx_fail(err, NX_E_INVALID,
                       "the schedule of '%s' (%s) has no data intervals to backfill; `nexus "
                       "trigger %s --date T` runs it for one instant",
                       version->dag, version->timetable->entries[0].key, version->dag);
    range->timetable = version->timetable;
    range->now_ms = clock_wall_ms();
    if (!read_bound(version->timetable, "from", message->from, &range->from_ms, false, err) ||
        !read_bound(version->timetable, "to", message->to, &range->to_ms, true, err))
        return false;
    if (range->to_ms < range->from_ms)
        return nx_fail(err, NX_E_INVALID, "'to' (%.64s) is before 'from' (%.64s): swap them",
                       message->to, message->from);
    if (range->from_ms > range->now_ms)
        return nx_fail(err, NX_E_INVALID,
                       "'from' (%.64s) is in the future: only intervals that have ended are "
                       "backfilled, the last one that has is that before `nexus dag next %s -n 1`",
                       message->from, version->dag);
    return true;
}

/* What would be done about the interval; the former run if there is one. */
static enum backfill_action action_of(struct engine *engine, const struct message *message,
                                      struct backfill_step *step)
{
    struct nx_err err;
    struct core_run_row row;
    if (!store_find_interval(engine->store, message->dag, step->start_ms, step->finish_ms,
                             &step->run, &err))
        engine_give_up(&err);
    if (!step->run.v)
        return BACKFILL_CREATE;
    if (core_get_run(engine->core, step->run, &row))
        step->state = row.state;
    else if (!store_run_state(engine->store, step->run, &step->state, &err))
        engine_give_up(&err);
    if (!nx_run_state_final(step->state))
        return BACKFILL_IN_FLIGHT;
    bool again = message->reprocess == REPROCESS_COMPLETED ||
                 (message->reprocess == REPROCESS_FAILED && step->state == NX_RS_FAILED);
    return again ? BACKFILL_REPROCESS : BACKFILL_EXISTS;
}

static int by_start(const void *p, const void *q)
{
    const struct backfill_step *a = p, *b = q;
    return a->start_ms != b->start_ms
               ? (a->start_ms > b->start_ms) - (a->start_ms < b->start_ms)
               : (a->finish_ms > b->finish_ms) - (a->finish_ms < b->finish_ms);
}

/* All intervals of one entry that begin in the range and have ended. */
static bool add_entry(struct engine *engine, const struct message *message,
                      const struct range *range, uint32_t entry, struct backfill_steps *steps,
                      struct nx_err *err)
{
    struct timetable_fire fire;
    char start[TIME_TEXT_MAX];
    bool found = timetable_next(range->timetable, entry, range->from_ms - 1, &fire);
    while (found && fire.start_ms <= range->to_ms && fire.finish_ms <= range->now_ms) {
        struct backfill_step step = {
            .start_ms = fire.start_ms, .finish_ms = fire.finish_ms, .fire_ms = fire.due_ms};
        if (step.start_ms >= range->from_ms) {
            if (steps->n == NX_BACKFILL_MAX)
                return nx_fail(err, NX_E_LIMIT,
                               "the range has more than %d intervals: let it end before %s, and "
                               "backfill the rest when that is done",
                               NX_BACKFILL_MAX, time_format(start, step.start_ms));
            step.action = action_of(engine, message, &step);
            vec_push(steps, step);
        }
        found = timetable_next(range->timetable, entry, fire.fire_ms, &fire);
    }
    return true;
}

/* Entries of the schedule may share intervals: one run is of both. */
static void drop_doubles(struct backfill_steps *steps)
{
    size_t n = 0;
    for (size_t i = 0; i < steps->n; i++) {
        if (n == 0 || by_start(&steps->at[n - 1], &steps->at[i]) != 0)
            steps->at[n++] = steps->at[i];
    }
    steps->n = n;
}

/* A cancelled run that is left as it is would stop all runs after it that wait for their past. */
static bool past_fits(const struct registry_version *version, const struct backfill_steps *steps,
                      struct nx_err *err)
{
    for (size_t i = 0; version->graph->n_past && i + 1 < steps->n; i++) {
        const struct backfill_step *step = &steps->at[i];
        if (step->action == BACKFILL_EXISTS && step->state == NX_RS_CANCELLED)
            return nx_fail(err, NX_E_INVALID,
                           "tasks of '%s' have depends_on_past: run %llu, which is cancelled and "
                           "left as it is, would stop all that come after it; `nexus runs retry "
                           "%llu` first, or take reprocess completed",
                           version->dag, (unsigned long long)step->run.v,
                           (unsigned long long)step->run.v);
    }
    return true;
}

/* A run that is done again keeps its params. */
static bool params_fit(const struct message *message, const struct backfill_steps *steps,
                       struct nx_err *err)
{
    char start[TIME_TEXT_MAX];
    for (size_t i = 0; message->params && i < steps->n; i++) {
        if (steps->at[i].action == BACKFILL_REPROCESS)
            return nx_fail(err, NX_E_INVALID,
                           "the params would not be those of run %llu (interval from %s), which is "
                           "run again as it was: leave them out, or take reprocess none and `nexus "
                           "runs rerun` for what is there",
                           (unsigned long long)steps->at[i].run.v,
                           time_format(start, steps->at[i].start_ms));
    }
    return true;
}

static bool make_plan(struct engine *engine, const struct message *message,
                      const struct range *range, struct backfill_steps *steps, struct nx_err *err)
{
    for (uint32_t i = 0; i < range->timetable->n; i++) {
        if (!add_entry(engine, message, range, i, steps, err))
            return false;
    }
    if (steps->n == 0)
        return nx_fail(err, NX_E_INVALID,
                       "no data interval of the schedule of '%s' begins in that range and has "
                       "ended; `nexus dag next %s --from %.64s` lists them",
                       message->dag, message->dag, message->from);
    qsort(steps->at, steps->n, sizeof *steps->at, by_start);
    drop_doubles(steps);
    for (size_t i = 0; message->backwards && i < steps->n / 2; i++) {
        struct backfill_step kept = steps->at[i];
        steps->at[i] = steps->at[steps->n - 1 - i];
        steps->at[steps->n - 1 - i] = kept;
    }
    return true;
}

/* ---- The beginning ---- */

static void begin(struct engine *engine, struct pending *pending, const struct range *range,
                  const struct backfill_steps *steps, const char *params, uint32_t max_active)
{
    static const char *const words[] = {"none", "failed", "completed"};
    const struct message *message = pending->message;
    struct nx_err err;
    struct core_backfill plan = {.dag = message->dag, .max_active = max_active};
    struct core_backfill_item *items = arena_array(&engine->arena, steps->n, sizeof *items);
    for (size_t i = 0; i < steps->n; i++) {
        const struct backfill_step *step = &steps->at[i];
        if (step->action == BACKFILL_EXISTS || step->action == BACKFILL_IN_FLIGHT)
            continue;
        items[plan.n_items++] = (struct core_backfill_item){
            step->start_ms, step->finish_ms,
            step->action == BACKFILL_REPROCESS ? step->run : (struct nx_run_id){0}};
    }
    plan.items = items;
    const struct store_new_backfill from = {
        .plan = &plan,
        .from_ms = range->from_ms,
        .to_ms = range->to_ms,
        .reprocess = words[message->reprocess],
        .backwards = message->backwards,
        .params = params,
        .created_ms = range->now_ms,
    };
    if (!store_put_backfill(engine->store, &from, &plan.id, &err))
        engine_give_up(&err);
    struct core_event event = now_event(EV_BACKFILL);
    event.backfill = &plan;
    engine_step(engine, &event);
    pending->result.backfill = plan.id;
    write_key(engine, message, &(struct store_key){.backfill = plan.id});
}

static bool may_begin(struct engine *engine, const struct message *message,
                      const struct range *range, struct nx_err *err)
{
    uint64_t other;
    if (!store_overlapping_backfill(engine->store, message->dag, range->from_ms, range->to_ms,
                                    &other, err))
        engine_give_up(err);
    return !other ||
           nx_fail(err, NX_E_CONFLICT,
                   "backfill %llu of '%s' has not ended, and its range overlaps: wait for "
                   "it, or `nexus backfills cancel %llu`",
                   (unsigned long long)other, message->dag, (unsigned long long)other);
}

/* What would never come to its end. */
static bool possible(const struct message *message, const struct registry_version *version,
                     struct nx_err *err)
{
    if (!version->graph->n_past)
        return true;
    if (message->backwards)
        return nx_fail(err, NX_E_INVALID,
                       "tasks of '%s' have depends_on_past, so that each run waits for the one "
                       "before: it cannot be backfilled backwards",
                       version->dag);
    return message->reprocess != REPROCESS_NONE ||
           nx_fail(err, NX_E_INVALID,
                   "tasks of '%s' have depends_on_past: a failed run that is left as it is "
                   "(reprocess none) would stop all that come after it; take reprocess failed or "
                   "completed",
                   version->dag);
}

bool backfill_take(struct engine *engine, struct pending *pending, struct nx_err *err)
{
    const struct message *message = pending->message;
    struct registry_version *version = registry_current(&engine->registry, message->dag, err);
    struct range range = {0};
    struct backfill_steps steps = {0};
    const char *params = NULL;
    bool ok = version && possible(message, version, err) &&
              write_params(engine, version, message->params, &params, err) &&
              read_range(message, version, &range, err) &&
              make_plan(engine, message, &range, &steps, err) && past_fits(version, &steps, err) &&
              params_fit(message, &steps, err) && may_begin(engine, message, &range, err);
    if (ok && !message->dry_run) {
        versions_tell_core(engine, version);
        uint32_t most = message->max_active ? message->max_active : version->graph->max_active_runs;
        begin(engine, pending, &range, &steps, params, most);
    }
    if (ok) {
        pending->result.steps = arena_dup(&engine->arena, steps.at, steps.n * sizeof *steps.at);
        pending->result.n_steps = steps.n;
    }
    vec_fini(&steps);
    return ok;
}

/* ---- Runs ---- */

/* False: the run was deleted since. */
static bool reprocess(struct engine *engine, const struct core_due *due)
{
    struct core_event event;
    struct core_run_row row;
    write_load_ended(engine, due->run, NULL);
    if (!core_get_run(engine->core, due->run, &row))
        return false;
    if (!nx_run_state_final(row.state)) /* somebody runs it again already */
        return true;
    event = now_event(EV_RUN_EDIT);
    event.token = TOKEN_OF_NOBODY;
    event.edit.run = due->run;
    event.edit.what = CORE_CLEAR;
    event.edit.backfill = due->backfill;
    size_t n_edited = engine->update.edited.n;
    engine_step(engine, &event);
    const struct core_reply reply = vec_pop(&engine->update.replies);
    must(reply.token == TOKEN_OF_NOBODY);
    engine->update.edited.n = n_edited;
    if (reply.err.code != NX_OK)
        log_warn("backfill %llu: %s", (unsigned long long)due->backfill, reply.err.text);
    return true;
}

static const char *params_of(struct engine *engine, uint64_t backfill)
{
    struct buf params;
    struct nx_err err;
    buf_init(&params);
    if (!store_backfill_params(engine->store, backfill, &params, &err))
        engine_give_up(&err);
    const char *text = arena_strndup(&engine->arena, buf_text(&params), params.len);
    buf_fini(&params);
    return text;
}

/* Its run cannot be made now: the item stays due. */
static void stuck(struct engine *engine, const struct core_due *due, enum nx_reason reason,
                  const struct nx_err *why)
{
    log_warn("backfill %llu rests: %s", (unsigned long long)due->backfill, why->text);
    struct core_event event = now_event(EV_BACKFILL_STUCK);
    event.backfill_stuck.id = due->backfill;
    event.backfill_stuck.position = due->position;
    event.backfill_stuck.reason = reason;
    engine_step(engine, &event);
}

/* One before it in the same turn may have been stuck. */
static bool still_due(const struct engine *engine, const struct core_due *due)
{
    enum core_backfill_state state;
    enum nx_reason reason;
    size_t next;
    return core_get_backfill(engine->core, due->backfill, &state, &reason, &next) &&
           due->position < next;
}

void backfill_answer(struct engine *engine, const struct core_due *due)
{
    struct nx_err err;
    struct store_run_extra extra = {0};
    if (!still_due(engine, due))
        return;
    if (due->run.v && (reprocess(engine, due) || timetables_is_there(engine, due)))
        return;
    struct registry_version *version = registry_current(&engine->registry, due->dag, &err);
    if (!version) {
        stuck(engine, due, NX_WHY_DAG_GONE, &err);
        return;
    }
    versions_tell_core(engine, version);
    struct core_event event = now_event(EV_RUN_CREATE);
    event.token = TOKEN_OF_NOBODY;
    event.create.dag = due->dag;
    event.create.cause = NX_RC_BACKFILL;
    event.create.backfill = due->backfill;
    event.create.claims = true;
    event.create.interval_start_ms = due->start_ms;
    event.create.interval_finish_ms = due->finish_ms;
    engine_step(engine, &event);
    const struct core_reply reply = vec_pop(&engine->update.replies);
    must(reply.token == TOKEN_OF_NOBODY);
    if (reply.err.code != NX_OK) {
        stuck(engine, due, NX_WHY_NONE, &reply.err);
        return;
    }
    extra.run = reply.run;
    extra.params = params_of(engine, due->backfill);
    vec_push(&engine->extras, extra);
    if (!store_set_backfill_run(engine->store, due->backfill, due->position, reply.run, &err))
        engine_give_up(&err);
}
