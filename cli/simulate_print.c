/* What a simulation says. */
#include <stdio.h>
#include <string.h>

#include "cli/out.h"
#include "cli/simulate.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"

#define RUNS_SHOWN 40
#define WAITS_SHOWN 10

char *simulate_time(const struct simulate *s, int64_t wall_ms, char *to, size_t size)
{
    char text[TIME_TEXT_MAX];
    struct zone_span span = {0};
    if (s->zone)
        zone_at(s->zone, wall_ms, &span);
    time_format(text, wall_ms + span.offset_s * 1000ll);
    text[10] = ' ';
    snprintf(to, size, "%.19s", text);
    return to;
}

static const char *dag_of(const struct simulate *s, const struct forecast_run *run)
{
    return s->dags.at[run->dag].spec->id;
}

static const char *task_of(const struct simulate *s, const struct forecast *forecast,
                           const struct forecast_wait *wait)
{
    const struct forecast_run *run = &forecast->runs.at[wait->run];
    return wait->task == FORECAST_RUN_ITSELF ? NULL
                                             : s->dags.at[run->dag].spec->tasks[wait->task].id;
}

static double utilisation(const struct simulate *s, const struct forecast *forecast)
{
    double all = (double)forecast->slots * (double)(s->to_ms - s->from_ms);
    return all > 0 ? (double)forecast->busy_ms / all : 0;
}

static size_t count(const struct forecast *forecast, enum forecast_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < forecast->runs.n; i++)
        n += forecast->runs.at[i].state == state;
    return n;
}

static size_t count_late(const struct forecast *forecast)
{
    size_t n = 0;
    for (size_t i = 0; i < forecast->runs.n; i++)
        n += forecast->runs.at[i].late;
    return n;
}

/* ---- JSON ---- */

static json_t *time_or_null(int64_t ms)
{
    return ms ? js_time(ms) : json_null();
}

static json_t *why_or_null(enum nx_reason why)
{
    return why ? js_string(nx_reason_name(why)) : json_null();
}

static json_t *number_json(const struct forecast_run *run)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)run->number);
    return run->number ? json_string(text) : json_null();
}

static json_t *run_json(const struct simulate *s, const struct forecast *forecast,
                        const struct forecast_run *run)
{
    int64_t ended = run->finished_ms ? run->finished_ms : forecast->reached_ms;
    return json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:s, s:o, s:o, s:b, s:o, s:i}", "run",
                     number_json(run), "dag", js_string(dag_of(s, run)), "due_at",
                     js_time(run->due_ms), "interval", "start", js_time(run->interval_start_ms),
                     "finish", js_time(run->interval_finish_ms), "started_at",
                     time_or_null(run->started_ms), "finished_at", time_or_null(run->finished_ms),
                     "state", forecast_state_name(run->state), "wait", js_seconds(run->wait_ms),
                     "reason", why_or_null(run->why), "late", run->late, "late_by",
                     run->late ? js_seconds(ended - run->limit_ms) : json_null(), "attempts",
                     (int)run->n_attempts);
}

static json_t *wait_json(const struct simulate *s, const struct forecast *forecast,
                         const struct forecast_wait *wait)
{
    const struct forecast_run *run = &forecast->runs.at[wait->run];
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:s, s:o}}", "dag", js_string(dag_of(s, run)),
                     "due_at", js_time(run->due_ms), "task", js_string(task_of(s, forecast, wait)),
                     "since", js_time(wait->from_ms), "wait", js_seconds(wait->ms), "reason",
                     "code", nx_reason_name(wait->why), "text", js_string(wait->text));
}

static json_t *peak_json(const struct forecast_peak *peak)
{
    return json_pack("{s:I, s:o}", "taken", (json_int_t)peak->n, "at", time_or_null(peak->at_ms));
}

static json_t *pool_json(const struct forecast_pool_use *pool)
{
    return json_pack("{s:s, s:o, s:o}", "name", pool->name, "slots",
                     pool->slots < 0 ? json_null() : json_integer(pool->slots), "peak",
                     peak_json(&pool->peak));
}

static json_t *slots_json(const struct simulate *s, const struct forecast *forecast)
{
    json_t *spans = json_array();
    double length = (double)(s->to_ms - s->from_ms) / FORECAST_SPANS;
    for (int i = 0; i < FORECAST_SPANS; i++)
        json_array_append_new(spans, json_real((double)forecast->span_ms[i] / length));
    return json_pack("{s:I, s:o, s:f, s:o}", "slots", (json_int_t)forecast->slots, "peak",
                     peak_json(&forecast->peak), "utilisation", utilisation(s, forecast), "taken",
                     spans);
}

json_t *simulate_json(const struct simulate *s, const struct forecast *forecast)
{
    json_t *runs = json_array(), *waits = json_array(), *pools = json_array();
    for (size_t i = 0; i < forecast->runs.n; i++)
        json_array_append_new(runs, run_json(s, forecast, &forecast->runs.at[i]));
    for (size_t i = 0; i < forecast->waits.n; i++)
        json_array_append_new(waits, wait_json(s, forecast, &forecast->waits.at[i]));
    for (size_t i = 0; i < forecast->pools.n; i++)
        json_array_append_new(pools, pool_json(&forecast->pools.at[i]));
    return json_pack(
        "{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I,"
        " s:{s:b, s:b, s:I, s:I, s:I, s:o, s:I}}",
        "from", js_time(s->from_ms), "to", js_time(s->to_ms), "timezone", s->zone_name, "end",
        forecast_end_name(forecast->end), "reached_at", js_time(forecast->reached_ms), "runs", runs,
        "waits", waits, "slots", slots_json(s, forecast), "pools", pools, "late",
        (json_int_t)count_late(forecast), "assumptions", "if", forecast->assumed_if, "one_item",
        forecast->assumed_list, "durations_given", (json_int_t)s->n_given, "durations_measured",
        (json_int_t)s->n_measured, "durations_assumed", (json_int_t)s->n_assumed,
        "default_duration", js_seconds(s->default_ms), "paused_dags", (json_int_t)s->n_paused);
}

/* ---- For people ---- */

static void cell_time(struct out_table *table, const struct simulate *s, int64_t ms)
{
    char text[40];
    out_cell(table, ms ? simulate_time(s, ms, text, sizeof text) : NULL);
}

static void cell_span(struct out_table *table, int64_t ms)
{
    char text[40];
    out_cell(table, ms > 0 ? out_duration(text, sizeof text, ms) : NULL);
}

static void print_runs(const struct simulate *s, const struct forecast *forecast)
{
    static const char *const titles[] = {">run",  "due",   "dag", "starts",  "ends",
                                         "state", ">wait", "why", ">late by"};
    size_t n = forecast->runs.n, most = (size_t)cli_number(s->cli, "number", RUNS_SHOWN);
    struct out_table table;
    out_table_init(&table, 9, titles);
    for (size_t i = 0; i < n && (!most || i < most); i++) {
        const struct forecast_run *run = &forecast->runs.at[i];
        int64_t ended = run->finished_ms ? run->finished_ms : forecast->reached_ms;
        if (run->number)
            out_cellf(&table, "%llu", (unsigned long long)run->number);
        else
            out_cell(&table, NULL);
        cell_time(&table, s, run->due_ms);
        out_cell(&table, dag_of(s, run));
        cell_time(&table, s, run->started_ms);
        cell_time(&table, s, run->finished_ms);
        out_cell(&table, forecast_state_name(run->state));
        cell_span(&table, run->wait_ms);
        out_cell(&table, run->why ? nx_reason_name(run->why) : NULL);
        cell_span(&table, run->late ? ended - run->limit_ms : 0);
    }
    out_table_print(&table, s->cli);
    out_table_fini(&table);
    if (most && n > most)
        printf("... and %zu more (-n 0 shows all)\n", n - most);
}

static void print_waits(const struct simulate *s, const struct forecast *forecast)
{
    static const char *const titles[] = {">waits", "dag", "due", "task", "because"};
    struct out_table table;
    if (!forecast->waits.n)
        return;
    puts("\nThe longest waits:");
    out_table_init(&table, 5, titles);
    table.wrap_last = true;
    for (size_t i = 0; i < forecast->waits.n && i < WAITS_SHOWN; i++) {
        const struct forecast_wait *wait = &forecast->waits.at[i];
        const struct forecast_run *run = &forecast->runs.at[wait->run];
        const char *task = task_of(s, forecast, wait);
        cell_span(&table, wait->ms);
        out_cell(&table, dag_of(s, run));
        cell_time(&table, s, run->due_ms);
        out_cell(&table, task ? task : "the run");
        out_cell(&table, wait->text ? wait->text : nx_reason_name(wait->why));
    }
    out_table_print(&table, s->cli);
    out_table_fini(&table);
}

/* Slots taken over the time, an eighth of the height a step. */
static void print_spans(const struct simulate *s, const struct forecast *forecast)
{
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double full = (double)forecast->slots * (double)(s->to_ms - s->from_ms) / FORECAST_SPANS;
    char from[40], to[40];
    putchar('|');
    for (int i = 0; i < FORECAST_SPANS; i++) {
        double part = full > 0 ? (double)forecast->span_ms[i] / full : 0;
        int step = (int)(part * 8 + 0.5);
        fputs(bars[step > 8 ? 8 : step == 0 && part > 0 ? 1 : step], stdout);
    }
    puts("|");
    simulate_time(s, s->from_ms, from, sizeof from);
    simulate_time(s, s->to_ms, to, sizeof to);
    printf(" %-*s%s\n", FORECAST_SPANS - (int)strlen(to), from, to);
}

static void print_slots(const struct simulate *s, const struct forecast *forecast)
{
    char at[40];
    printf("\nSlots: at most %lld of %lld taken", (long long)forecast->peak.n,
           (long long)forecast->slots);
    if (forecast->peak.n)
        printf(" (%s)", simulate_time(s, forecast->peak.at_ms, at, sizeof at));
    printf(", %.0f %% of the time of all\n", 100 * utilisation(s, forecast));
    print_spans(s, forecast);
    for (size_t i = 0; i < forecast->pools.n; i++) {
        const struct forecast_pool_use *pool = &forecast->pools.at[i];
        if (pool->slots < 0)
            printf("Pool %s does not exist: its tasks wait\n", pool->name);
        else if (pool->peak.n)
            printf("Pool %s: at most %lld of %lld taken (%s)\n", pool->name,
                   (long long)pool->peak.n, (long long)pool->slots,
                   simulate_time(s, pool->peak.at_ms, at, sizeof at));
    }
}

static void print_end(const struct simulate *s, const struct forecast *forecast)
{
    static const char *const texts[] = {
        [FORECAST_CUT_RUNS] = "there are too many runs for one simulation",
        [FORECAST_CUT_ATTEMPTS] = "there are too many attempts for one simulation",
        [FORECAST_CUT_BACKLOG] = "too much waits: it is far more than these workers can do",
        [FORECAST_CUT_TIME] =
            "long after the end runs have not ended: it is more than these workers can do",
        [FORECAST_STUCK] = "what is left waits for something that never comes",
        [FORECAST_STOPPED] = "it was interrupted"};
    char at[40];
    if (forecast->end == FORECAST_COMPLETE)
        return;
    printf("\nThe simulation ends at %s: %s.\n",
           simulate_time(s, forecast->reached_ms, at, sizeof at), texts[forecast->end]);
}

static void print_assumptions(const struct simulate *s, const struct forecast *forecast)
{
    char text[40];
    printf("\nAssumed: every attempt succeeds, nothing is under way at the beginning%s%s.\n",
           forecast->assumed_if ? ", every `if` holds" : "",
           forecast->assumed_list ? ", a list that is not in the file has one item" : "");
    printf("Durations of %zu tasks: %zu given, %zu from history, %zu not known (%s each).\n",
           s->n_tasks, s->n_given, s->n_measured, s->n_assumed,
           out_duration(text, sizeof text, s->default_ms));
    if (s->n_paused)
        printf("%zu paused DAG%s left out; --dag takes one all the same.\n", s->n_paused,
               s->n_paused == 1 ? " is" : "s are");
}

void simulate_print(const struct simulate *s, const struct forecast *forecast)
{
    char from[40], to[40];
    size_t late = count_late(forecast);
    printf("%s to %s (%s): %zu DAG%s, %zu run%s", simulate_time(s, s->from_ms, from, sizeof from),
           simulate_time(s, s->to_ms, to, sizeof to), s->zone_name, s->dags.n,
           s->dags.n == 1 ? "" : "s", forecast->runs.n, forecast->runs.n == 1 ? "" : "s");
    static const enum forecast_state told[] = {FORECAST_FAILED, FORECAST_CANCELLED,
                                               FORECAST_SKIPPED, FORECAST_UNFINISHED};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        if (count(forecast, told[i]))
            printf(", %zu %s", count(forecast, told[i]), forecast_state_name(told[i]));
    }
    printf(", %zu late\n\n", late);
    if (forecast->runs.n)
        print_runs(s, forecast);
    print_waits(s, forecast);
    print_slots(s, forecast);
    print_end(s, forecast);
    print_assumptions(s, forecast);
}
