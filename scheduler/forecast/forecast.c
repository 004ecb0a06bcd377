#include "scheduler/forecast/forecast.h"

#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/forecast/internal.h"

#define LOST_AFTER_MS (INT64_MAX / 4) /* ideal workers are never silent */
#define SAY_EVERY 1000                /* turns */
#define TURNS_AT_ONCE_MAX 100000      /* at one instant: more would be a defect */

void making_step(struct making *making, struct core_event *event)
{
    event->wall_ms = making->now_ms;
    event->mono_ms = making->now_ms - making->config->from_ms + 1;
    core_step(making->core, event, &making->update);
}

static int64_t wall_of(const struct making *making, int64_t mono_ms)
{
    int64_t from = making->config->from_ms;
    return mono_ms >= INT64_MAX - (from > 0 ? from : 0) ? INT64_MAX : from + mono_ms - 1;
}

/* ---- Beginning ---- */

/* The last fire that was due before the beginning: what a scheduler that is up would have taken. */
static int64_t watermark(const struct forecast_config *config, const struct forecast_dag *dag,
                         uint32_t entry)
{
    const struct timetable *timetable = dag->timetable;
    struct timetable_fire fire;
    enum timetable_kind kind = timetable->entries[entry].kind;
    if (kind == TIMETABLE_ONCE && timetable->start_ms == TIMETABLE_NEVER && !dag->is_new)
        return config->from_ms - 1; /* it has been */
    bool found = timetable_prev(timetable, entry, config->from_ms - 1, &fire);
    while (found && fire.due_ms >= config->from_ms)
        found = timetable_prev(timetable, entry, fire.fire_ms - 1, &fire);
    return found ? fire.fire_ms : TIMETABLE_NEVER;
}

static void load_dag(struct making *making, size_t index)
{
    const struct forecast_dag *dag = &making->config->dags[index];
    VEC(struct core_mark) marks = {0};
    map_set(&making->dags, dag->graph->dag_id, (void *)(uintptr_t)(index + 1));
    core_load_version(making->core, index + 1, dag->graph, true);
    if (!dag->timetable)
        return;
    for (uint32_t i = 0; i < dag->timetable->n; i++) {
        const struct core_mark mark = {dag->timetable->entries[i].key,
                                       watermark(making->config, dag, i), 0, NULL, 0};
        vec_push(&marks, mark);
    }
    core_load_timetable(making->core, dag->graph->dag_id, dag->timetable, false, marks.at, marks.n);
    vec_fini(&marks);
}

static void begin(struct making *making)
{
    const struct forecast_config *config = making->config;
    struct core_config core;
    core_config_init(&core);
    core.lost_after_ipc_ms = LOST_AFTER_MS;
    must(str_copy(core.catalog, sizeof core.catalog, config->catalog));
    making->core = core_new(&core);
    making->now_ms = config->from_ms;
    for (size_t i = 0; i < config->n_dags; i++)
        load_dag(making, i);
    core_load_done(making->core, 1, making->now_ms, &making->update);
    for (size_t i = 0; i < config->n_pools; i++) {
        struct core_event event = {.kind = EV_POOL};
        event.pool.name = config->pools[i].name;
        event.pool.slots = config->pools[i].slots;
        making_step(making, &event);
    }
    ideal_begin(making);
}

/* ---- A turn, as the engine has it ---- */

/* Whether this run is new: a DAG has one run a data interval, whichever entry it comes from. */
static bool claim(struct making *making, size_t dag, const struct core_due *due)
{
    char key[NX_ID_MAX + 64];
    if (making->config->dags[dag].timetable->n == 1)
        return true;
    snprintf(key, sizeof key, "%s %lld %lld", due->dag, (long long)due->start_ms,
             (long long)due->finish_ms);
    if (map_get(&making->claims, key))
        return false;
    map_set(&making->claims, key, making);
    return true;
}

static void create(struct making *making, const struct core_due *due)
{
    size_t dag = (size_t)(uintptr_t)map_get(&making->dags, due->dag) - 1;
    struct core_event event = {.kind = EV_RUN_CREATE, .token = 1};
    if (!claim(making, dag, due))
        return;
    event.create.dag = due->dag;
    event.create.cause = NX_RC_SCHEDULE;
    event.create.interval_start_ms = due->start_ms;
    event.create.interval_finish_ms = due->finish_ms;
    event.create.claims = true;
    making_step(making, &event);
    const struct core_reply reply = vec_pop(&making->update.replies);
    figures_run_due(making, dag, due, reply.err.code == NX_OK ? reply.run : (struct nx_run_id){0});
}

static void take_dues(struct making *making)
{
    size_t n = making->update.dues.n;
    struct core_due *dues = mem_alloc_array(n, sizeof *dues);
    for (size_t i = 0; i < n; i++)
        dues[i] = making->update.dues.at[i];
    making->update.dues.n = 0;
    for (size_t i = 0; i < n; i++)
        create(making, &dues[i]);
    mem_free(dues);
}

/* What the DAG file says, or one item. */
static void answer_list(struct making *making, const struct core_ask *ask, struct core_event *event)
{
    const struct forecast_dag *dag = &making->config->dags[ask->version - 1];
    uint32_t map = dag->graph->tasks[ask->inst.task].map;
    bool known = dag->lists && dag->lists[map - 1] != FORECAST_LIST_UNKNOWN;
    must(map > 0);
    event->answer.answer = CORE_LIST;
    event->answer.n = known ? dag->lists[map - 1] : 1;
    making->forecast->assumed_list |= !known;
}

static bool earlier(const struct forecast_run *a, const struct forecast_run *b)
{
    return a->interval_start_ms != b->interval_start_ms
               ? a->interval_start_ms < b->interval_start_ms
               : a->interval_finish_ms < b->interval_finish_ms;
}

/* The run of the interval before, if it has not ended; runs of a DAG were made in that order. */
static const struct active *run_before(const struct making *making, const struct active *own)
{
    const struct forecast_run *runs = making->forecast->runs.at;
    size_t i = own->record;
    do {
        if (i-- == 0)
            return NULL;
    } while (runs[i].dag != runs[own->record].dag || runs[i].state == FORECAST_SKIPPED ||
             !earlier(&runs[i], &runs[own->record]));
    for (size_t k = 0; k < making->actives.n; k++) {
        const struct active *active = making->actives.at[k].value;
        if (active->record == i)
            return active;
    }
    return NULL;
}

/* What failed in the run before is taken to be mended at once. */
static void answer_past(struct making *making, const struct core_ask *ask, struct core_event *event)
{
    const struct active *own = map_get_num(&making->actives, ask->inst.run.v);
    const struct active *before = own ? run_before(making, own) : NULL;
    struct core_past *past = &event->answer.past;
    event->answer.answer = CORE_TRUE;
    if (!before || !core_get_task_state(making->core, before->id, ask->inst.task, &past->state) ||
        nx_task_state_final(past->state))
        return;
    const struct forecast_run *run = &making->forecast->runs.at[before->record];
    past->run = before->id;
    past->start_ms = run->interval_start_ms;
    past->finish_ms = run->interval_finish_ms;
    event->answer.answer = CORE_FALSE;
}

static void answer_asks(struct making *making)
{
    size_t n = making->update.asks.n;
    struct core_ask *asks = mem_alloc_array(n, sizeof *asks);
    for (size_t i = 0; i < n; i++)
        asks[i] = making->update.asks.at[i];
    making->update.asks.n = 0;
    for (size_t i = 0; i < n; i++) {
        struct core_event event = {.kind = EV_ANSWER};
        event.answer.inst = asks[i].inst;
        event.answer.number = asks[i].number;
        if (asks[i].what == CORE_ASK_LIST)
            answer_list(making, &asks[i], &event);
        else if (asks[i].what == CORE_ASK_PAST)
            answer_past(making, &asks[i], &event);
        else
            event.answer.answer = CORE_TRUE;
        making->forecast->assumed_if |= (asks[i].what & CORE_ASK_IF) != 0;
        making_step(making, &event);
    }
    mem_free(asks);
}

static void turn(struct making *making)
{
    struct core_event event = {.kind = EV_TURN};
    making_step(making, &event);
    while (making->update.dues.n || making->update.asks.n) {
        if (making->update.dues.n)
            take_dues(making);
        else
            answer_asks(making);
        making_step(making, &event);
    }
    figures_turn(making);
    core_turn_done(making->core, &making->update);
    making->forecast->n_turns++;
}

/* Everything that happens at this instant. */
static void settle(struct making *making)
{
    ideal_finish(making);
    for (int n = 0;; n++) {
        must(n < TURNS_AT_ONCE_MAX);
        ideal_report(making);
        turn(making);
        if (!ideal_take_orders(making))
            break;
        ideal_finish(making); /* what takes no time at all */
    }
    if (making->n_busy > making->forecast->peak.n)
        making->forecast->peak = (struct forecast_peak){making->n_busy, making->now_ms};
}

/* ---- Time ---- */

static bool is_over(struct making *making)
{
    struct forecast *forecast = making->forecast;
    const struct forecast_config *config = making->config;
    if (making->closed && !making->actives.n)
        forecast->end = FORECAST_COMPLETE;
    else if (forecast->runs.n >= NX_FORECAST_RUNS_MAX)
        forecast->end = FORECAST_CUT_RUNS;
    else if (forecast->n_attempts >= NX_FORECAST_ATTEMPTS_MAX)
        forecast->end = FORECAST_CUT_ATTEMPTS;
    else if (making->n_backlog > NX_FORECAST_BACKLOG_MAX)
        forecast->end = FORECAST_CUT_BACKLOG;
    else if (forecast->n_turns % SAY_EVERY == 0 && config->progress &&
             !config->progress(config->arg, making->now_ms, forecast->runs.n))
        forecast->end = FORECAST_STOPPED;
    else
        return false;
    return true;
}

/* From now on nothing is due; what waits goes on, as it would not while its DAG is paused. */
static void close_schedules(struct making *making)
{
    making->closed = true;
    for (size_t i = 0; i < making->config->n_dags; i++) {
        struct core_event event = {.kind = EV_TIMETABLE}; /* none */
        event.timetable.dag = making->config->dags[i].graph->dag_id;
        making_step(making, &event);
    }
}

static int64_t next_instant(const struct making *making)
{
    int64_t next = wall_of(making, core_deadline(making->core));
    if (making->finishes.n && making->finishes.at[0].at_ms < next)
        next = making->finishes.at[0].at_ms;
    return next > making->now_ms ? next : making->now_ms;
}

static void pass_to(struct making *making, int64_t to_ms)
{
    figures_pass(making, to_ms);
    making->now_ms = to_ms;
}

static void work_off(struct making *making)
{
    const struct forecast_config *config = making->config;
    int64_t span = config->to_ms - config->from_ms;
    int64_t last = config->to_ms + (span > 86400000 ? span : 86400000);
    for (;;) {
        settle(making);
        if (is_over(making))
            return;
        int64_t next = next_instant(making);
        if (!making->closed && next >= config->to_ms) {
            pass_to(making, config->to_ms - 1);
            close_schedules(making);
        } else if (next == INT64_MAX || (!making->finishes.n && next > last)) {
            making->forecast->end = FORECAST_STUCK;
            return;
        } else if (next > last) {
            making->forecast->end = FORECAST_CUT_TIME;
            return;
        } else {
            pass_to(making, next);
        }
    }
}

static bool check(const struct forecast_config *config, struct nx_err *err)
{
    if (config->to_ms <= config->from_ms)
        return nx_fail(err, NX_E_INVALID, "the end of a forecast must come after its beginning");
    if (config->to_ms - config->from_ms > NX_FORECAST_SPAN_MAX_MS)
        return nx_fail(err, NX_E_LIMIT, "a forecast covers at most %lld days",
                       NX_FORECAST_SPAN_MAX_MS / 86400000);
    if (config->n_workers > NX_WORKERS_MAX)
        return nx_fail(err, NX_E_LIMIT, "at most %d workers", NX_WORKERS_MAX);
    return true;
}

bool forecast_make(const struct forecast_config *config, struct forecast *forecast,
                   struct nx_err *err)
{
    struct making making = {.config = config, .forecast = forecast};
    if (!check(config, err))
        return false;
    *forecast = (struct forecast){0};
    core_update_init(&making.update);
    begin(&making);
    work_off(&making);
    forecast->reached_ms = making.now_ms;
    figures_end(&making);
    ideal_fini(&making);
    map_fini(&making.actives);
    map_fini(&making.claims);
    map_fini(&making.dags);
    core_update_fini(&making.update);
    core_free(making.core);
    return true;
}

void forecast_fini(struct forecast *forecast)
{
    for (size_t i = 0; i < forecast->waits.n; i++)
        mem_free(forecast->waits.at[i].text);
    for (size_t i = 0; i < forecast->pools.n; i++)
        mem_free((void *)(uintptr_t)forecast->pools.at[i].name);
    vec_fini(&forecast->runs);
    vec_fini(&forecast->waits);
    vec_fini(&forecast->pools);
}

const char *forecast_state_name(enum forecast_state state)
{
    static const char *const names[] = {"success", "failed", "cancelled", "skipped", "unfinished"};
    return names[state];
}

const char *forecast_end_name(enum forecast_end end)
{
    static const char *const names[] = {"complete", "runs",  "attempts", "backlog",
                                        "time",     "stuck", "stopped"};
    return names[end];
}
