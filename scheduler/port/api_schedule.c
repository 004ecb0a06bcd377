/* When DAGs fire. */
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

#define NEXT_DEFAULT 20

struct watermarks {
    const struct timetable *timetable;
    int64_t *after_ms; /* of each entry: the time from which on it is asked */
};

static bool note_watermark(void *arg, const char *key, int64_t watermark_ms)
{
    struct watermarks *marks = arg;
    for (uint32_t i = 0; i < marks->timetable->n; i++) {
        if (str_eq(marks->timetable->entries[i].key, key) && marks->after_ms[i] < watermark_ms)
            marks->after_ms[i] = watermark_ms;
    }
    return true;
}

/* The first fire of the entry whose time has not come. */
static bool next_due(const struct timetable *timetable, uint32_t entry, int64_t after_ms,
                     int64_t now_ms, struct timetable_fire *fire)
{
    bool found = timetable_next(timetable, entry, after_ms, fire);
    while (found && fire->due_ms <= now_ms)
        found = timetable_next(timetable, entry, fire->fire_ms, fire);
    return found;
}

bool find_next_fire(struct call *call, const struct query_dag *dag, const struct query_shown *shown,
                    int64_t *due_ms, struct nx_err *err)
{
    struct timetable *timetable;
    int64_t now = clock_wall_ms();
    *due_ms = 0;
    if (!dag->present || dag->paused || !shown->timetable)
        return true;
    if (!timetable_read(shown->timetable, dag->id, call->api->zones, &timetable, err))
        return false;
    struct watermarks marks = {timetable, arena_array(call->arena, timetable->n, sizeof(int64_t))};
    for (uint32_t i = 0; i < timetable->n; i++)
        marks.after_ms[i] = now - timetable->jitter_ms;
    bool ok = query_marks(call->query, dag->id, note_watermark, &marks, err);
    for (uint32_t i = 0; ok && i < timetable->n; i++) {
        struct timetable_fire fire;
        if (next_due(timetable, i, marks.after_ms[i], now, &fire) &&
            (!*due_ms || fire.due_ms < *due_ms))
            *due_ms = fire.due_ms;
    }
    timetable_release(timetable);
    return ok;
}

/* ---- A list ---- */

/* "2026-03-29T03:00:00+02:00" */
static void put_local(struct buf *buf, const struct zone *zone, int64_t wall_ms)
{
    struct zone_span span;
    char text[TIME_TEXT_MAX + 16], local[TIME_TEXT_MAX];
    zone_at(zone, wall_ms, &span);
    time_format(local, wall_ms + span.offset_s * 1000ll);
    int32_t minutes = (span.offset_s < 0 ? -span.offset_s : span.offset_s) / 60;
    snprintf(text, sizeof text, "%.19s%c%02d:%02d", local, span.offset_s < 0 ? '-' : '+',
             (int)(minutes / 60), (int)(minutes % 60));
    put_text(buf, "local", text);
}

static void put_fire(struct buf *buf, const struct timetable *timetable,
                     const struct timetable_fire *fire)
{
    put_open(buf, NULL, '{');
    put_time(buf, "fire_at", fire->due_ms);
    put_local(buf, timetable->zone, fire->due_ms);
    put_open(buf, "interval", '{');
    put_time(buf, "start", fire->start_ms);
    put_time(buf, "finish", fire->finish_ms);
    put_close(buf, '}');
    put_close(buf, '}');
}

/* The entries' fires merged, soonest first. */
static void put_fires(struct call *call, const struct timetable *timetable, int64_t from_ms,
                      size_t limit)
{
    struct timetable_fire *next = arena_array(call->arena, timetable->n, sizeof *next);
    bool *there = arena_array(call->arena, timetable->n, sizeof *there);
    for (uint32_t i = 0; i < timetable->n; i++)
        there[i] =
            next_due(timetable, i, from_ms - 1 - timetable->jitter_ms, from_ms - 1, &next[i]);
    for (size_t n = 0; n < limit; n++) {
        uint32_t first = timetable->n;
        for (uint32_t i = 0; i < timetable->n; i++) {
            if (there[i] && (first == timetable->n || next[i].due_ms < next[first].due_ms))
                first = i;
        }
        if (first == timetable->n)
            return;
        put_fire(&call->body, timetable, &next[first]);
        there[first] = timetable_next(timetable, first, next[first].fire_ms, &next[first]);
    }
}

static bool read_from(struct call *call, const struct timetable *timetable, int64_t *from_ms,
                      struct nx_err *err)
{
    const char *text = http_query(call->request, "from");
    bool is_date;
    *from_ms = clock_wall_ms();
    return !text ||
           (timetable ? timetable_parse_time(timetable->zone, text, from_ms, &is_date)
                      : time_parse(text, from_ms)) ||
           nx_fail(err, NX_E_INVALID,
                   "from must be a date (2026-01-31) or an instant (RFC 3339), not '%.64s'", text);
}

static bool keep_dag(void *arg, const struct query_dag *dag)
{
    *(struct query_dag *)arg = *dag;
    return false;
}

bool handle_next(struct call *call, struct nx_err *err)
{
    const char *id = call->params[0];
    struct query_dag dag = {0};
    struct query_shown shown;
    struct timetable *timetable = NULL;
    int64_t from_ms;
    size_t limit;
    if (!call_limit(call, NEXT_DEFAULT, &limit, err) || !dag_must_exist(call, id, err) ||
        !call_query(call, err) || !query_dag(call->query, id, keep_dag, &dag, err) ||
        !query_shown(call->query, dag.version, &shown, err))
        return false;
    dag.id = id; /* its own text has gone with the query */
    bool ok =
        !shown.timetable || timetable_read(shown.timetable, id, call->api->zones, &timetable, err);
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    ok = ok && read_from(call, timetable, &from_ms, err);
    if (ok && timetable)
        put_fires(call, timetable, from_ms, limit);
    put_close(&call->body, ']');
    put_null(&call->body, "next");
    put_bool(&call->body, "paused", dag.paused);
    ok = ok && put_dataset_waits(call, "dataset_waits", &dag, &shown, err);
    put_close(&call->body, '}');
    timetable_release(timetable);
    return ok;
}
