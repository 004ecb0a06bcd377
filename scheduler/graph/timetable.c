#include "scheduler/graph/timetable.h"

#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "nexus/limits.h"

struct timetable *timetable_new(uint32_t n_entries)
{
    struct timetable *timetable = mem_alloc(sizeof *timetable);
    timetable->entries = mem_alloc_array(n_entries, sizeof *timetable->entries);
    timetable->n = n_entries;
    timetable->start_ms = TIMETABLE_NEVER;
    timetable->end_ms = INT64_MAX;
    timetable->refs = 1;
    return timetable;
}

struct timetable *timetable_hold(struct timetable *timetable)
{
    timetable->refs++;
    return timetable;
}

void timetable_release(struct timetable *timetable)
{
    if (!timetable || --timetable->refs)
        return;
    for (uint32_t i = 0; i < timetable->n; i++) {
        for (uint32_t k = 0; k < timetable->entries[i].n_datasets; k++)
            mem_free(timetable->entries[i].datasets[k]);
        mem_free(timetable->entries[i].datasets);
    }
    mem_free(timetable->entries);
    mem_free(timetable);
}

void timetable_add_dataset(struct timetable_entry *entry, const char *name)
{
    must(entry->n_datasets < NX_TASK_DATASETS_MAX);
    if (!entry->datasets)
        entry->datasets = mem_alloc_array(NX_TASK_DATASETS_MAX, sizeof *entry->datasets);
    entry->datasets[entry->n_datasets++] = mem_strdup(name);
}

bool timetable_has_intervals(const struct timetable *timetable)
{
    for (uint32_t i = 0; i < timetable->n; i++) {
        enum timetable_kind kind = timetable->entries[i].kind;
        if (kind == TIMETABLE_ONCE ? timetable->start_ms != TIMETABLE_NEVER
                                   : kind != TIMETABLE_DATASET && kind != TIMETABLE_CONTINUOUS)
            return true;
    }
    return false;
}

static bool fire_of(const struct timetable *timetable, int64_t start_ms, int64_t finish_ms,
                    struct timetable_fire *fire)
{
    if (start_ms < timetable->start_ms || start_ms > timetable->end_ms)
        return false;
    int64_t delay = 0;
    if (timetable->jitter_ms > 0)
        delay = (int64_t)(hash_u64(timetable->seed ^ hash_u64((uint64_t)finish_ms)) %
                          (uint64_t)(timetable->jitter_ms + 1));
    *fire = (struct timetable_fire){finish_ms, finish_ms + delay, start_ms, finish_ms};
    return true;
}

/* ---- Cron ---- */

/* The fire at that time of the expression; its interval began with the one before. */
static bool cron_fire(const struct timetable *timetable, const struct cron *cron, int64_t at_ms,
                      struct timetable_fire *fire)
{
    int64_t start_ms;
    return cron_prev(cron, timetable->zone, at_ms - 1, &start_ms) &&
           fire_of(timetable, start_ms, at_ms, fire);
}

static bool next_cron(const struct timetable *timetable, const struct cron *cron, int64_t after_ms,
                      struct timetable_fire *fire)
{
    int64_t first, at_ms;
    if (timetable->start_ms != TIMETABLE_NEVER) { /* the first interval begins at or after start */
        if (!cron_next(cron, timetable->zone, timetable->start_ms - 1, &first))
            return false;
        if (after_ms < first)
            after_ms = first;
    }
    return cron_next(cron, timetable->zone, after_ms, &at_ms) &&
           cron_fire(timetable, cron, at_ms, fire);
}

/* Past `end` there are no fires: the last one is that of the last interval which begins before. */
static bool prev_cron(const struct timetable *timetable, const struct cron *cron, int64_t at_ms,
                      struct timetable_fire *fire)
{
    int64_t fire_ms, last;
    if (timetable->end_ms != INT64_MAX) {
        if (!cron_prev(cron, timetable->zone, timetable->end_ms, &last) ||
            !cron_next(cron, timetable->zone, last, &fire_ms))
            return false;
        if (at_ms > fire_ms)
            at_ms = fire_ms;
    }
    return cron_prev(cron, timetable->zone, at_ms, &fire_ms) &&
           cron_fire(timetable, cron, fire_ms, fire);
}

/* ---- Every ---- */

static int64_t anchor_of(const struct timetable *timetable)
{
    return timetable->start_ms == TIMETABLE_NEVER ? 0 : timetable->start_ms;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The start of the interval whose finish is the last at or before at_ms. */
static int64_t every_start(const struct timetable *timetable, int64_t every_ms, int64_t at_ms)
{
    int64_t anchor = anchor_of(timetable);
    return anchor + (floor_div(at_ms - anchor, every_ms) - 1) * every_ms;
}

static bool next_every(const struct timetable *timetable, int64_t every_ms, int64_t after_ms,
                       struct timetable_fire *fire)
{
    int64_t least = anchor_of(timetable);
    if (timetable->start_ms == TIMETABLE_NEVER && after_ms == TIMETABLE_NEVER)
        return fire_of(timetable, least, least + every_ms, fire);
    if (timetable->start_ms != TIMETABLE_NEVER && after_ms < least)
        after_ms = least;
    int64_t start = every_start(timetable, every_ms, after_ms) + every_ms;
    return fire_of(timetable, start, start + every_ms, fire);
}

static bool prev_every(const struct timetable *timetable, int64_t every_ms, int64_t at_ms,
                       struct timetable_fire *fire)
{
    int64_t end = timetable->end_ms;
    if (end != INT64_MAX && at_ms > end) {
        int64_t last = every_start(timetable, every_ms, end) + 2 * every_ms;
        if (at_ms > last)
            at_ms = last;
    }
    int64_t start = every_start(timetable, every_ms, at_ms);
    return fire_of(timetable, start, start + every_ms, fire);
}

/* ---- All kinds ---- */

bool timetable_next(const struct timetable *timetable, uint32_t entry, int64_t after_ms,
                    struct timetable_fire *fire)
{
    must(entry < timetable->n);
    const struct timetable_entry *one = &timetable->entries[entry];
    switch (one->kind) {
    case TIMETABLE_CRON:
        return next_cron(timetable, &one->cron, after_ms, fire);
    case TIMETABLE_EVERY:
        return next_every(timetable, one->every_ms, after_ms, fire);
    case TIMETABLE_AT:
        return after_ms < one->at_ms && fire_of(timetable, one->at_ms, one->at_ms, fire);
    case TIMETABLE_ONCE:
        return timetable->start_ms != TIMETABLE_NEVER && after_ms < timetable->start_ms &&
               fire_of(timetable, timetable->start_ms, timetable->start_ms, fire);
    case TIMETABLE_CONTINUOUS:
    case TIMETABLE_DATASET:
        break;
    }
    return false;
}

bool timetable_prev(const struct timetable *timetable, uint32_t entry, int64_t at_ms,
                    struct timetable_fire *fire)
{
    must(entry < timetable->n);
    const struct timetable_entry *one = &timetable->entries[entry];
    switch (one->kind) {
    case TIMETABLE_CRON:
        return prev_cron(timetable, &one->cron, at_ms, fire);
    case TIMETABLE_EVERY:
        return prev_every(timetable, one->every_ms, at_ms, fire);
    case TIMETABLE_AT:
        return at_ms >= one->at_ms && fire_of(timetable, one->at_ms, one->at_ms, fire);
    case TIMETABLE_ONCE:
        return timetable->start_ms != TIMETABLE_NEVER && at_ms >= timetable->start_ms &&
               fire_of(timetable, timetable->start_ms, timetable->start_ms, fire);
    case TIMETABLE_CONTINUOUS:
    case TIMETABLE_DATASET:
        break;
    }
    return false;
}

bool timetable_containing(const struct timetable *timetable, uint32_t entry, int64_t at_ms,
                          struct timetable_fire *fire)
{
    struct timetable_fire found;
    enum timetable_kind kind = timetable->entries[entry].kind;
    bool instant = kind == TIMETABLE_AT || kind == TIMETABLE_ONCE;
    if (!timetable_next(timetable, entry, instant ? at_ms - 1 : at_ms, &found) ||
        found.start_ms > at_ms)
        return false;
    *fire = found;
    return true;
}

/* ---- Times as text ---- */

/* Whether the text says its offset: Z, or + or - behind the T. */
static bool has_offset(const char *text)
{
    const char *time = strpbrk(text, "Tt ");
    return time && strpbrk(time, "Zz+-");
}

bool timetable_parse_time(const struct zone *zone, const char *text, int64_t *wall_ms,
                          bool *is_date)
{
    int64_t ms;
    if (!time_parse(text, &ms))
        return false;
    *is_date = strlen(text) == strlen("2001-01-31");
    *wall_ms = has_offset(text) ? ms : zone_first(zone, ms);
    return true;
}

int64_t timetable_day_end(const struct zone *zone, int64_t day_ms)
{
    int64_t local = zone_local(zone, day_ms);
    return zone_first(zone, (floor_div(local, 86400000) + 1) * 86400000) - 1;
}
