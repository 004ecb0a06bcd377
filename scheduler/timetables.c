/* Timetables: from versions to the core, and from what is due to runs. */
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "scheduler/engine_state.h"

struct marks {
    struct arena *arena;
    VEC(struct core_mark) list;
};

static void add_mark(void *arg, const struct core_mark *mark)
{
    struct marks *marks = arg;
    struct core_mark copy = *mark;
    struct core_use *uses = arena_dup(marks->arena, mark->uses, mark->n_uses * sizeof *uses);
    copy.key = arena_strdup(marks->arena, mark->key);
    copy.uses = uses;
    for (size_t i = 0; i < mark->n_uses; i++)
        uses[i].dataset = arena_strdup(marks->arena, mark->uses[i].dataset);
    vec_push(&marks->list, copy);
}

static void tell(struct engine *engine, const char *dag, struct timetable *timetable, bool paused,
                 bool loading)
{
    struct marks marks = {.arena = &engine->arena};
    struct nx_err err;
    if (!store_marks(engine->store, dag, &marks, add_mark, &err))
        engine_give_up(&err);
    struct core_event event = now_event(EV_TIMETABLE);
    event.timetable.dag = dag;
    event.timetable.timetable = timetable;
    event.timetable.paused = paused;
    event.timetable.marks = marks.list.at;
    event.timetable.n_marks = marks.list.n;
    if (loading)
        core_load_timetable(engine->core, dag, timetable, paused, marks.list.at, marks.list.n);
    else
        engine_step(engine, &event);
    vec_fini(&marks.list);
}

void timetables_tell(struct engine *engine, struct registry_version *version, const char *text,
                     bool paused, bool loading)
{
    struct nx_err err;
    if (text && !timetable_read(text, version->dag, engine->zones, &version->timetable, &err))
        log_error("DAG '%s' is not scheduled: %s", version->dag, err.text);
    if (version->timetable || paused || !loading)
        tell(engine, version->dag, version->timetable, paused, loading);
}

void timetables_forget(struct engine *engine, const char *dag)
{
    tell(engine, dag, NULL, false, false);
}

/* ---- Runs that are due ---- */

bool timetables_made(const struct engine *engine, const char *dag, int64_t start_ms,
                     int64_t finish_ms)
{
    for (size_t i = 0; i < engine->extras.n; i++) {
        struct core_run_row row;
        if (core_get_run(engine->core, engine->extras.at[i].run, &row) && row.claims &&
            str_eq(row.dag, dag) && row.interval_start_ms == start_ms &&
            row.interval_finish_ms == finish_ms)
            return true;
    }
    return false;
}

bool timetables_is_there(struct engine *engine, const struct core_due *due)
{
    struct nx_run_id run = {0};
    struct nx_err err;
    if (timetables_made(engine, due->dag, due->start_ms, due->finish_ms))
        return true;
    if (!store_find_interval(engine->store, due->dag, due->start_ms, due->finish_ms, &run, &err))
        engine_give_up(&err);
    return run.v != 0;
}

static void create(struct engine *engine, const struct core_due *due)
{
    struct nx_err err;
    struct store_run_extra extra = {0};
    char start[TIME_TEXT_MAX];
    struct registry_version *version = registry_current(&engine->registry, due->dag, &err);
    time_format(start, due->start_ms);
    if (!version || !write_params(engine, version, NULL, &extra.params, &err)) {
        log_error("no run of '%s' for the interval from %s: %s", due->dag, start, err.text);
        return;
    }
    versions_tell_core(engine, version);
    struct core_event event = now_event(EV_RUN_CREATE);
    event.token = TOKEN_OF_NOBODY;
    event.create.dag = due->dag;
    event.create.cause = due->by_dataset ? NX_RC_DATASET : NX_RC_SCHEDULE;
    event.create.entry = due->entry;
    event.create.claims = !due->by_dataset; /* events name it, no interval */
    event.create.interval_start_ms = due->start_ms;
    event.create.interval_finish_ms = due->finish_ms;
    engine_step(engine, &event);
    const struct core_reply reply = vec_pop(&engine->update.replies);
    must(reply.token == TOKEN_OF_NOBODY);
    extra.run = reply.run;
    if (reply.err.code == NX_OK)
        vec_push(&engine->extras, extra);
    else if (due->by_dataset) /* its events are kept for a later one */
        log_info("no run of '%s' for its datasets yet: %s", due->dag, reply.err.text);
    else
        log_warn("no run of '%s' for the interval from %s: %s", due->dag, start, reply.err.text);
}

bool timetables_answer(struct engine *engine)
{
    size_t n = engine->update.dues.n;
    struct core_due *dues = arena_dup(&engine->arena, engine->update.dues.at, n * sizeof *dues);
    engine->update.dues.n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!dues[i].run.v && !dues[i].by_dataset && timetables_is_there(engine, &dues[i]))
            continue; /* somebody made it since */
        if (dues[i].backfill)
            backfill_answer(engine, &dues[i]);
        else
            create(engine, &dues[i]);
    }
    return n > 0;
}

void timetables_log(struct engine *engine)
{
    for (size_t i = 0; i < engine->update.notices.n; i++) {
        const struct core_notice *notice = &engine->update.notices.at[i];
        if (notice->kind == CORE_LATE)
            log_warn("run %llu of DAG '%s' is late: it has not ended by its deadline",
                     (unsigned long long)notice->run.v, notice->dag);
        else
            log_warn("DAG '%s' missed more than %d intervals: the newest %d are made up for",
                     notice->dag, NX_CATCHUP_MAX, NX_CATCHUP_MAX);
    }
    engine->update.notices.n = 0;
}

/* ---- Runs by hand ---- */

/* The creation of the DAG's run by hand before this one; 0: this is the first. */
static int64_t previous_created(struct engine *engine, const char *dag)
{
    struct nx_err err;
    int64_t created_ms;
    for (size_t i = engine->extras.n; i > 0; i--) { /* of this turn: not in the store yet */
        struct core_run_row row;
        if (core_get_run(engine->core, engine->extras.at[i - 1].run, &row) &&
            row.cause == NX_RC_MANUAL && str_eq(row.dag, dag))
            return row.created_ms;
    }
    if (!store_last_created(engine->store, dag, NX_RC_MANUAL, &created_ms, &err))
        engine_give_up(&err);
    return created_ms;
}

/* Of a date: the first interval that begins on that day; else the one that the instant is in. */
static bool named_interval(const struct timetable *timetable, int64_t at_ms, bool is_date,
                           struct timetable_fire *fire)
{
    int64_t day_end = is_date ? timetable_day_end(timetable->zone, at_ms) : at_ms;
    for (uint32_t i = 0; i < timetable->n; i++) {
        struct timetable_fire next;
        if (!timetable_containing(timetable, i, at_ms, fire)) {
            if (!timetable_next(timetable, i, at_ms, fire) || fire->start_ms > day_end)
                continue;
            return true;
        }
        if (fire->start_ms < at_ms && timetable_next(timetable, i, fire->fire_ms, &next) &&
            next.start_ms <= day_end)
            *fire = next;
        return true;
    }
    return false;
}

static bool last_interval(const struct timetable *timetable, int64_t now_ms,
                          struct timetable_fire *fire)
{
    for (uint32_t i = 0; i < timetable->n; i++) {
        if (timetable_prev(timetable, i, now_ms, fire))
            return true;
    }
    return false;
}

bool timetables_is_latest(const struct registry_version *version, int64_t finish_ms, int64_t now_ms)
{
    const struct timetable *timetable = version->timetable;
    struct timetable_fire fire;
    for (uint32_t i = 0; timetable && i < timetable->n; i++) {
        if (timetable_prev(timetable, i, now_ms, &fire) && fire.finish_ms > finish_ms)
            return false;
    }
    return true;
}

static bool zone_of(struct engine *engine, const struct registry_version *version,
                    const struct zone **zone, struct nx_err *err)
{
    const char *name = version->spec->timezone;
    return zones_get(engine->zones, name ? name : "UTC", zone, err);
}

bool timetables_interval(struct engine *engine, const struct registry_version *version,
                         const char *date, int64_t now_ms, int64_t *start_ms, int64_t *finish_ms,
                         bool *claims, struct nx_err *err)
{
    const struct zone *zone;
    struct timetable_fire fire;
    int64_t at_ms;
    bool is_date;
    *claims = false;
    if (!zone_of(engine, version, &zone, err))
        return false;
    if (date && !timetable_parse_time(zone, date, &at_ms, &is_date))
        return nx_fail(err, NX_E_INVALID,
                       "date must be a date (2026-01-31) or an instant (RFC 3339), not '%.64s'",
                       date);
    bool planned = version->timetable && timetable_has_intervals(version->timetable);
    if (date && planned) {
        if (!named_interval(version->timetable, at_ms, is_date, &fire))
            return nx_fail(err, NX_E_INVALID,
                           "no data interval of the schedule of '%s' begins at %.64s; `nexus dag "
                           "next %s --from %.64s` lists them",
                           version->dag, date, version->dag, date);
        *claims = true;
    } else if (date) {
        fire.start_ms = fire.finish_ms = at_ms;
    } else if (!version->timetable || !last_interval(version->timetable, now_ms, &fire)) {
        int64_t previous = previous_created(engine, version->dag);
        fire.finish_ms = now_ms;
        fire.start_ms = previous && previous < now_ms ? previous : now_ms;
    }
    *start_ms = fire.start_ms;
    *finish_ms = fire.finish_ms;
    return true;
}
