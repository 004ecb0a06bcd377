/* What a forecast keeps: runs, waits and their reasons, peaks. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/forecast/internal.h"

#define TEXTS_MAX 10000 /* of reasons, kept at a time */

/* ---- Waits ---- */

static char *keep_text(struct making *making, const char *text)
{
    if (making->n_texts >= TEXTS_MAX)
        return NULL;
    making->n_texts++;
    return mem_strdup(text);
}

static void drop_text(struct making *making, char *text)
{
    making->n_texts -= text != NULL;
    mem_free(text);
}

static int longest_first(const void *a, const void *b)
{
    const struct forecast_wait *x = a, *y = b;
    if (x->ms != y->ms)
        return x->ms < y->ms ? 1 : -1;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return x->task < y->task ? -1 : x->task > y->task;
}

/* Keeps the longest; takes the text. */
static void add_wait(struct making *making, struct forecast_wait wait)
{
    struct forecast *forecast = making->forecast;
    struct forecast_run *run = &forecast->runs.at[wait.run];
    if (wait.ms > run->wait_ms) {
        run->wait_ms = wait.ms;
        run->why = wait.why;
    }
    if (forecast->waits.n < FORECAST_WAITS) {
        vec_push(&forecast->waits, wait);
        return;
    }
    size_t least = 0;
    for (size_t i = 1; i < forecast->waits.n; i++) {
        if (longest_first(&forecast->waits.at[i], &forecast->waits.at[least]) > 0)
            least = i;
    }
    if (longest_first(&wait, &forecast->waits.at[least]) >= 0) {
        drop_text(making, wait.text);
        return;
    }
    drop_text(making, forecast->waits.at[least].text);
    forecast->waits.at[least] = wait;
}

/* ---- Runs ---- */

/* When a run that is due now should have ended. */
static int64_t limit_of(const struct making *making, size_t dag, const struct core_due *due)
{
    const struct timetable *timetable = making->config->dags[dag].timetable;
    int64_t limit_ms = INT64_MAX, deadline_ms = making->config->dags[dag].graph->deadline_ms;
    if (making->config->late_after_ms >= 0)
        return making->now_ms + making->config->late_after_ms;
    if (deadline_ms)
        return due->finish_ms + deadline_ms;
    for (uint32_t i = 0; i < timetable->n; i++) {
        struct timetable_fire next;
        if (timetable_next(timetable, i, due->finish_ms, &next) && next.due_ms < limit_ms)
            limit_ms = next.due_ms;
    }
    return limit_ms;
}

void figures_run_due(struct making *making, size_t dag, const struct core_due *due,
                     struct nx_run_id run)
{
    const struct forecast_run record = {.dag = dag,
                                        .number = run.v,
                                        .due_ms = making->now_ms,
                                        .interval_start_ms = due->start_ms,
                                        .interval_finish_ms = due->finish_ms,
                                        .limit_ms = limit_of(making, dag, due),
                                        .state = run.v ? FORECAST_UNFINISHED : FORECAST_SKIPPED};
    vec_push(&making->forecast->runs, record);
    if (!run.v)
        return;
    struct active *active = mem_alloc(sizeof *active);
    active->id = run;
    active->record = making->forecast->runs.n - 1;
    active->n_tasks = making->config->dags[dag].graph->n_tasks;
    active->queued = mem_alloc_array(active->n_tasks, sizeof *active->queued);
    making->n_backlog += active->n_tasks;
    map_set_num(&making->actives, run.v, active);
}

static void drop_active(struct making *making, struct active *active)
{
    map_remove_num(&making->actives, active->id.v);
    making->n_backlog -= active->n_tasks;
    for (uint32_t i = 0; i < active->n_tasks; i++)
        drop_text(making, active->queued[i].text);
    drop_text(making, active->text);
    mem_free(active->queued);
    mem_free(active);
}

static void run_ended(struct making *making, struct active *active, const struct core_run_row *row)
{
    struct forecast_run *run = &making->forecast->runs.at[active->record];
    run->finished_ms = making->now_ms;
    run->late = making->now_ms > run->limit_ms;
    run->state = row->state == NX_RS_SUCCESS  ? FORECAST_SUCCESS
                 : row->state == NX_RS_FAILED ? FORECAST_FAILED
                                              : FORECAST_CANCELLED;
    drop_active(making, active);
}

/* The reasons of what is queued now and was not before. */
static void ask_queued(struct making *making, struct active *active, uint32_t n_queued)
{
    for (uint32_t i = 0; i < active->n_tasks && active->n_asked < n_queued; i++) {
        struct nx_inst_id id = {active->id, i, NX_MAP_NONE};
        struct core_inst_row row;
        struct core_why why;
        if (active->queued[i].why || !core_get_inst(making->core, id, &row) ||
            row.state != NX_TS_QUEUED || !core_explain(making->core, id, &why, 1))
            continue;
        active->queued[i] = (struct queued){(uint8_t)why.code, keep_text(making, why.text)};
        active->n_asked++;
    }
}

static void look_at_run(struct making *making, struct nx_run_id id)
{
    struct active *active = map_get_num(&making->actives, id.v);
    struct core_run_row row;
    struct core_why why;
    if (!active || !core_get_run(making->core, id, &row))
        return;
    if (row.state == NX_RS_QUEUED) {
        struct nx_inst_id first = {id, 0, NX_MAP_NONE};
        if (!active->waits && core_explain(making->core, first, &why, 1))
            active->text = keep_text(making, why.text);
        active->waits = true;
    } else if (active->waits) {
        const struct forecast_run *run = &making->forecast->runs.at[active->record];
        const struct forecast_wait wait = {active->record,    FORECAST_RUN_ITSELF,
                                           run->due_ms,       making->now_ms - run->due_ms,
                                           NX_WHY_RUN_QUEUED, active->text};
        active->waits = false;
        active->text = NULL;
        add_wait(making, wait);
    }
    if (nx_run_state_final(row.state))
        run_ended(making, active, &row);
    else if (row.state != NX_RS_QUEUED)
        ask_queued(making, active, row.counts[NX_TS_QUEUED]);
}

void figures_start(struct making *making, struct nx_inst_id inst)
{
    struct active *active = map_get_num(&making->actives, inst.run.v);
    struct core_inst_row row;
    must(active && inst.task < active->n_tasks && core_get_inst(making->core, inst, &row));
    struct forecast_run *run = &making->forecast->runs.at[active->record];
    struct queued *queued = &active->queued[inst.task];
    if (!run->started_ms)
        run->started_ms = making->now_ms;
    run->n_attempts++;
    if (queued->why && row.ready_ms && row.ready_ms < making->now_ms) {
        const struct forecast_wait wait = {active->record,
                                           inst.task,
                                           row.ready_ms,
                                           making->now_ms - row.ready_ms,
                                           (enum nx_reason)queued->why,
                                           queued->text};
        add_wait(making, wait);
    } else {
        drop_text(making, queued->text);
    }
    active->n_asked -= queued->why != NX_WHY_NONE;
    *queued = (struct queued){0};
}

/* ---- Peaks ---- */

static void note_peak(struct forecast_peak *peak, int64_t n, int64_t now_ms)
{
    if (n > peak->n)
        *peak = (struct forecast_peak){n, now_ms};
}

static void look_at_pools(struct making *making)
{
    struct forecast *forecast = making->forecast;
    struct core_pool_view view;
    for (size_t i = 0; core_view_pool(making->core, i, &view); i++) {
        if (i == forecast->pools.n) {
            const struct forecast_pool_use use = {.name = mem_strdup(view.name)};
            vec_push(&forecast->pools, use);
        }
        forecast->pools.at[i].slots = view.slots;
        note_peak(&forecast->pools.at[i].peak, view.used, making->now_ms);
    }
}

void figures_turn(struct making *making)
{
    for (size_t i = 0; i < making->update.runs.n; i++)
        look_at_run(making, making->update.runs.at[i]);
    look_at_pools(making);
    note_peak(&making->forecast->peak, making->n_busy, making->now_ms);
}

/* Where the i-th part of the time begins. */
static int64_t span_begin(const struct forecast_config *config, int64_t i)
{
    return config->from_ms + (config->to_ms - config->from_ms) / FORECAST_SPANS * i +
           (config->to_ms - config->from_ms) % FORECAST_SPANS * i / FORECAST_SPANS;
}

void figures_pass(struct making *making, int64_t to_ms)
{
    const struct forecast_config *config = making->config;
    int64_t from = making->now_ms, to = to_ms < config->to_ms ? to_ms : config->to_ms;
    if (!making->n_busy || from >= to)
        return;
    making->forecast->busy_ms += making->n_busy * (to - from);
    for (int i = 0; i < FORECAST_SPANS; i++) {
        int64_t begin = span_begin(config, i), end = span_begin(config, i + 1);
        int64_t a = begin > from ? begin : from, b = end < to ? end : to;
        if (a < b)
            making->forecast->span_ms[i] += making->n_busy * (b - a);
    }
}

/* What waits at the end. */
static void add_waits(struct making *making, struct active *active)
{
    const struct forecast_run *run = &making->forecast->runs.at[active->record];
    if (active->waits) {
        const struct forecast_wait wait = {active->record,    FORECAST_RUN_ITSELF,
                                           run->due_ms,       making->now_ms - run->due_ms,
                                           NX_WHY_RUN_QUEUED, active->text};
        active->text = NULL;
        add_wait(making, wait);
    }
    for (uint32_t i = 0; i < active->n_tasks; i++) {
        struct nx_inst_id id = {active->id, i, NX_MAP_NONE};
        struct queued *queued = &active->queued[i];
        struct core_inst_row row;
        if (!queued->why || !core_get_inst(making->core, id, &row))
            continue;
        const struct forecast_wait wait = {active->record,
                                           i,
                                           row.ready_ms,
                                           making->now_ms - row.ready_ms,
                                           (enum nx_reason)queued->why,
                                           queued->text};
        *queued = (struct queued){0};
        add_wait(making, wait);
    }
}

void figures_end(struct making *making)
{
    struct forecast *forecast = making->forecast;
    while (making->actives.n) {
        struct active *active = making->actives.at[0].value;
        struct forecast_run *run = &forecast->runs.at[active->record];
        run->late = making->now_ms > run->limit_ms;
        add_waits(making, active);
        drop_active(making, active);
    }
    if (forecast->waits.n)
        qsort(forecast->waits.at, forecast->waits.n, sizeof *forecast->waits.at, longest_first);
}
