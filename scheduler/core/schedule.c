/* Timetables: which runs are due, what was missed, and the watermark that never moves back.
 *
 * Each entry of a DAG's schedule has a mark: its last fire. It is stored by the commit that creates
 * the run, so that no fire is lost or doubled. What lies between mark and now when a DAG begins or
 * goes on (start of the scheduler, load, unpause, a clock set forward) is a backlog, which
 * `catchup` decides about; from then on every fire is due when its time has come. */
#include <string.h>

#include "lib/base/heap.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

#define CONTINUOUS_EVERY_MS 1000 /* @continuous starts at most so often */

static bool sooner(const void *a, const void *b)
{
    const struct fire_timer *x = a, *y = b;
    if (x->due_wall != y->due_wall)
        return x->due_wall < y->due_wall;
    int order = strcmp(x->dag->id, y->dag->id);
    return order ? order < 0 : x->entry < y->entry;
}

static void plan(struct core *core, struct dag *dag, uint32_t entry, int64_t due_wall)
{
    struct fire_timer timer = {due_wall, dag, entry, dag->generation};
    vec_push(&core->fires, timer);
    heap_push(core->fires.at, core->fires.n, sizeof timer, sooner);
}

static void dirty(struct core *core, struct dag *dag)
{
    if (dag->marks_dirty)
        return;
    dag->marks_dirty = true;
    vec_push(&core->update->schedules, dag->id);
}

/* A run is due; its mark moves in the same commit. */
static void emit(struct core *core, struct dag *dag, uint32_t entry,
                 const struct timetable_fire *fire)
{
    struct mark *mark = &dag->marks.at[entry];
    int64_t start_ms = fire->start_ms;
    if (mark->from_ms)
        start_ms = mark->from_ms; /* the schedule has changed: on from where the former one was */
    else if (mark->watermark_ms != TIMETABLE_NEVER && start_ms < mark->watermark_ms)
        start_ms = mark->watermark_ms;
    struct core_due due = {.dag = dag->id, .start_ms = start_ms, .finish_ms = fire->finish_ms};
    vec_push(&core->update->dues, due);
    mark->watermark_ms = fire->fire_ms;
    mark->from_ms = 0;
    dirty(core, dag);
}

/* ---- @once without a start, @continuous: their time is now ---- */

static bool fires_by_itself(const struct timetable *timetable, uint32_t entry)
{
    enum timetable_kind kind = timetable->entries[entry].kind;
    return kind == TIMETABLE_CONTINUOUS ||
           (kind == TIMETABLE_ONCE && timetable->start_ms == TIMETABLE_NEVER);
}

static size_t n_unfinished(const struct dag *dag)
{
    return dag->n_active + (dag->waiting.n - dag->waiting_first);
}

static void emit_now(struct core *core, struct dag *dag, uint32_t entry)
{
    struct mark *mark = &dag->marks.at[entry];
    int64_t now = core->wall_ms, last = mark->watermark_ms;
    bool continuous = dag->timetable->entries[entry].kind == TIMETABLE_CONTINUOUS;
    if (!continuous && last != TIMETABLE_NEVER)
        return;
    if (continuous &&
        (n_unfinished(dag) || now < dag->timetable->start_ms || now > dag->timetable->end_ms))
        return; /* the end of its last run plans it again */
    if (continuous && last != TIMETABLE_NEVER && now < last + CONTINUOUS_EVERY_MS) {
        if (now >= last) /* else the clock was set back */
            plan(core, dag, entry, last + CONTINUOUS_EVERY_MS);
        return;
    }
    struct timetable_fire fire = {now, now, last == TIMETABLE_NEVER ? now : last, now};
    emit(core, dag, entry, &fire);
}

void schedule_run_ended(struct core *core, struct dag *dag)
{
    for (uint32_t i = 0; dag->timetable && !dag->paused && i < dag->timetable->n; i++) {
        if (dag->timetable->entries[i].kind == TIMETABLE_CONTINUOUS)
            plan(core, dag, i, core->wall_ms);
    }
}

/* ---- The backlog ---- */

static bool ended_a_moment_ago(const struct core *core, const struct timetable_fire *fire)
{
    return fire->fire_ms >= core->up_since_wall ||
           fire->fire_ms >= core->wall_ms - NX_MISFIRE_GRACE_MS;
}

/* Whether catchup wants this one of the missed; the newest is asked about first. */
static bool wanted(const struct core *core, const struct dag *dag, uint32_t entry,
                   const struct timetable_fire *fire, bool newest)
{
    const struct timetable *timetable = dag->timetable;
    bool bounded = dag->marks.at[entry].watermark_ms != TIMETABLE_NEVER ||
                   timetable->start_ms != TIMETABLE_NEVER;
    switch (timetable->catchup) {
    case TIMETABLE_CATCHUP_TRUE:
        return bounded || (newest && ended_a_moment_ago(core, fire));
    case TIMETABLE_CATCHUP_LATEST:
        return newest;
    case TIMETABLE_CATCHUP_WINDOW:
        return fire->fire_ms >= core->wall_ms - timetable->catchup_ms;
    case TIMETABLE_CATCHUP_FALSE:
        break;
    }
    return newest && ended_a_moment_ago(core, fire);
}

/* The newest fire whose time (with its jitter) has come. */
static bool newest_due(const struct core *core, const struct dag *dag, uint32_t entry,
                       struct timetable_fire *fire)
{
    bool found = timetable_prev(dag->timetable, entry, core->wall_ms, fire);
    while (found && fire->due_ms > core->wall_ms)
        found = timetable_prev(dag->timetable, entry, fire->fire_ms - 1, fire);
    return found && fire->fire_ms > dag->marks.at[entry].watermark_ms;
}

static void take_backlog(struct core *core, struct dag *dag, uint32_t entry)
{
    VEC(struct timetable_fire) list = {0};
    struct mark *mark = &dag->marks.at[entry];
    struct timetable_fire fire, newest;
    bool found = newest_due(core, dag, entry, &fire), more = false;
    if (!found)
        return;
    newest = fire;
    while (found && fire.fire_ms > mark->watermark_ms &&
           wanted(core, dag, entry, &fire, list.n == 0)) {
        if (list.n == NX_CATCHUP_MAX) {
            more = true;
            break;
        }
        vec_push(&list, fire);
        found = timetable_prev(dag->timetable, entry, fire.fire_ms - 1, &fire);
    }
    if (more) {
        struct core_notice notice = {.dag = dag->id, .kind = CORE_CATCHUP_CUT};
        vec_push(&core->update->notices, notice);
    }
    for (size_t i = list.n; i-- > 0;)
        emit(core, dag, entry, &list.at[i]);
    if (mark->watermark_ms != newest.fire_ms) {
        mark->watermark_ms = newest.fire_ms;
        dirty(core, dag);
    }
    vec_fini(&list);
}

/* An entry that has not fired yet counts as known from before its first interval: what is missed
 * of it from now on is missed. */
static void plan_next(struct core *core, struct dag *dag, uint32_t entry)
{
    struct mark *mark = &dag->marks.at[entry];
    bool first = mark->watermark_ms == TIMETABLE_NEVER;
    int64_t after = first ? core->wall_ms - dag->timetable->jitter_ms : mark->watermark_ms;
    struct timetable_fire fire;
    bool found = timetable_next(dag->timetable, entry, after, &fire);
    while (found && first && fire.due_ms <= core->wall_ms)
        found = timetable_next(dag->timetable, entry, fire.fire_ms, &fire);
    if (!found)
        return;
    if (first) {
        mark->watermark_ms = fire.start_ms < fire.fire_ms ? fire.start_ms : fire.fire_ms - 1;
        dirty(core, dag);
    }
    plan(core, dag, entry, fire.due_ms);
}

void schedule_resume(struct core *core, struct dag *dag)
{
    dag->generation++; /* what was planned is void */
    if (!dag->timetable || dag->paused)
        return;
    for (uint32_t i = 0; i < dag->timetable->n; i++) {
        if (fires_by_itself(dag->timetable, i)) {
            plan(core, dag, i, core->wall_ms);
            continue;
        }
        take_backlog(core, dag, i);
        plan_next(core, dag, i);
    }
}

/* ---- The turn ---- */

static void fire_all(struct core *core, struct dag *dag, uint32_t entry)
{
    struct timetable_fire fire;
    if (fires_by_itself(dag->timetable, entry)) {
        emit_now(core, dag, entry);
        return;
    }
    for (int n = 0; n < NX_CATCHUP_MAX; n++) {
        int64_t after = dag->marks.at[entry].watermark_ms;
        if (!timetable_next(dag->timetable, entry, after, &fire) || fire.due_ms > core->wall_ms)
            break;
        emit(core, dag, entry, &fire);
    }
    plan_next(core, dag, entry);
}

static void watch_clock(struct core *core)
{
    int64_t step = (core->wall_ms - core->turn_wall) - (core->mono_ms - core->turn_mono);
    bool first = core->turn_mono == 0;
    core->turn_wall = core->wall_ms;
    core->turn_mono = core->mono_ms;
    if (first || (step > -NX_MISFIRE_GRACE_MS && step <= NX_MISFIRE_GRACE_MS))
        return;
    core->up_since_wall = core->wall_ms;
    if (step < 0)
        return; /* nothing fires until the marks are passed again */
    for (size_t i = 0; i < core->dags.n; i++)
        schedule_resume(core, core->dags.at[i].value);
}

void schedule_turn(struct core *core)
{
    watch_clock(core);
    while (core->fires.n && core->fires.at[0].due_wall <= core->wall_ms) {
        struct fire_timer timer = core->fires.at[0];
        heap_pop(core->fires.at, core->fires.n--, sizeof timer, sooner);
        if (timer.generation == timer.dag->generation && timer.dag->timetable && !timer.dag->paused)
            fire_all(core, timer.dag, timer.entry);
    }
}

/* ---- Changes ---- */

static struct mark *find_mark(struct dag *dag, const char *key)
{
    for (size_t i = 0; i < dag->marks.n; i++) {
        if (!dag->marks.at[i].taken && str_eq(dag->marks.at[i].key, key))
            return &dag->marks.at[i];
    }
    return NULL;
}

static struct mark *any_mark(struct dag *dag)
{
    for (size_t i = 0; i < dag->marks.n; i++) {
        if (!dag->marks.at[i].taken)
            return &dag->marks.at[i];
    }
    return NULL;
}

static struct mark mark_new(const char *key)
{
    return (struct mark){.key = mem_strdup(key), .watermark_ms = TIMETABLE_NEVER};
}

static void marks_fini(struct dag *dag)
{
    for (size_t i = 0; i < dag->marks.n; i++)
        mem_free(dag->marks.at[i].key);
    vec_fini(&dag->marks);
}

void schedule_fini(struct dag *dag)
{
    marks_fini(dag);
    timetable_release(dag->timetable);
}

/* Entries that are the same keep their marks; what is left of the former ones goes to new entries
 * in order: a changed expression goes on where the former one was. */
static void carry_marks(struct dag *dag, const struct timetable *timetable, bool live)
{
    VEC(struct mark) marks = {0};
    for (uint32_t i = 0; i < timetable->n; i++) {
        struct mark mark = mark_new(timetable->entries[i].key), *old = find_mark(dag, mark.key);
        if (old) {
            mark.watermark_ms = old->watermark_ms;
            mark.from_ms = old->from_ms;
            old->taken = mark.kept = true;
        }
        vec_push(&marks, mark);
    }
    for (uint32_t i = 0; i < timetable->n; i++) {
        struct mark *mark = &marks.at[i], *old = mark->kept ? NULL : any_mark(dag);
        if (!old)
            continue;
        old->taken = true;
        mark->watermark_ms = old->watermark_ms;
        mark->from_ms = old->from_ms;
        if (live && old->watermark_ms != TIMETABLE_NEVER && !old->from_ms)
            mark->from_ms = old->watermark_ms;
    }
    marks_fini(dag);
    for (size_t i = 0; i < marks.n; i++)
        vec_push(&dag->marks, marks.at[i]);
    vec_fini(&marks);
}

void schedule_set(struct core *core, struct dag *dag, struct timetable *timetable,
                  const struct core_mark *stored, size_t n_stored)
{
    bool live = dag->timetable && !dag->paused;
    if (!dag->marks_known) {
        for (size_t i = 0; i < n_stored; i++) {
            struct mark mark = mark_new(stored[i].key);
            mark.watermark_ms = stored[i].watermark_ms;
            mark.from_ms = stored[i].from_ms;
            vec_push(&dag->marks, mark);
        }
        dag->marks_known = true;
    }
    if (timetable) /* without one the marks are kept for when it comes back */
        carry_marks(dag, timetable, live);
    timetable_release(dag->timetable);
    dag->timetable = timetable ? timetable_hold(timetable) : NULL;
    if (timetable && core->update)
        dirty(core, dag);
}

bool core_get_mark(const struct core *core, const char *id, size_t i, struct core_mark *mark)
{
    const struct dag *dag = map_get(&core->dags, id);
    if (!dag || i >= dag->marks.n)
        return false;
    *mark = (struct core_mark){dag->marks.at[i].key, dag->marks.at[i].watermark_ms,
                               dag->marks.at[i].from_ms};
    return true;
}

/* ---- overlap ---- */

static void stop_oldest(struct core *core, struct dag *dag)
{
    struct run *oldest = NULL;
    for (size_t i = 0; i < core->runs.n; i++) {
        struct run *run = core->runs.at[i];
        if (run && run->dag == dag && !run->backfill && run->state != NX_RS_STOPPING &&
            !nx_run_state_final(run->state) && (!oldest || run->id.v < oldest->id.v))
            oldest = run;
    }
    if (oldest)
        run_stop(core, oldest, NX_WHY_OVERLAP);
}

/* How many of its runs are not being stopped. */
static size_t n_going_on(const struct core *core, const struct dag *dag)
{
    size_t n = dag->waiting.n - dag->waiting_first;
    for (size_t i = 0; i < core->runs.n; i++) {
        const struct run *run = core->runs.at[i];
        n += run && run->dag == dag && !run->backfill && run->state == NX_RS_RUNNING;
    }
    return n;
}

bool schedule_makes_way(struct core *core, struct dag *dag)
{
    uint32_t most = dag->version->graph->max_active_runs;
    enum timetable_overlap overlap =
        dag->timetable ? dag->timetable->overlap : TIMETABLE_OVERLAP_QUEUE;
    if (!most || overlap == TIMETABLE_OVERLAP_QUEUE || n_unfinished(dag) < most)
        return true;
    if (overlap == TIMETABLE_OVERLAP_SKIP)
        return false;
    for (size_t n = n_going_on(core, dag); n >= most; n--)
        stop_oldest(core, dag);
    return true;
}
