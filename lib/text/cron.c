/* When a cron expression fires; lib/text/cron_parse.c reads it. */
#include "lib/text/cron.h"

#include "lib/base/must.h"
#include "lib/base/time.h"

#define MINUTE_MS INT64_C(60000)
#define DAY_MINUTES 1440
#define FIRST_DAY INT64_C(-719162) /* 0001-01-01 */
#define LAST_DAY INT64_C(2932896)  /* 9999-12-31 */
#define FIRST_MS (FIRST_DAY * DAY_MINUTES * MINUTE_MS)
#define LAST_MS ((LAST_DAY + 1) * DAY_MINUTES * MINUTE_MS - MINUTE_MS)
/* No instant beyond these shows a local time between them, wherever it is. */
#define FIRST_INSTANT_MS (FIRST_MS - ZONE_OFFSET_MAX_S * INT64_C(1000))
#define LAST_INSTANT_MS (LAST_MS + ZONE_OFFSET_MAX_S * INT64_C(1000))

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int lowest(uint64_t set)
{
    return __builtin_ctzll(set);
}

static int highest(uint64_t set)
{
    return 63 - __builtin_clzll(set);
}

/* Of a set: what is >= n, and what is <= n (0 <= n < 64). */
static uint64_t from(uint64_t set, int n)
{
    return set >> n << n;
}

static uint64_t until(uint64_t set, int n)
{
    return set & (UINT64_MAX >> (63 - n));
}

/* ---- Days ---- */

struct month {
    int64_t year, first; /* days since 1970 of its first day */
    unsigned month;      /* 1 to 12 */
    int n_days;
};

static void month_set(struct month *m, int64_t year, unsigned month)
{
    m->year = month < 1 ? year - 1 : month > 12 ? year + 1 : year;
    m->month = month < 1 ? 12 : month > 12 ? 1 : month;
    m->first = time_days_from_civil(m->year, m->month, 1);
    int64_t next = m->month == 12 ? time_days_from_civil(m->year + 1, 1, 1)
                                  : time_days_from_civil(m->year, m->month + 1, 1);
    m->n_days = (int)(next - m->first);
}

/* The days of a month that match: bit n is day n. */
static uint64_t days_of_month(const struct cron *cron, const struct month *m)
{
    uint64_t all = until(UINT64_MAX, m->n_days) & ~UINT64_C(1), days = 0, weekdays = 0;
    if (!(cron->months >> m->month & 1))
        return 0;
    if (!cron->any_day)
        days = (cron->days & all) | (uint64_t)(cron->days & 1) << m->n_days;
    int first = (int)(((m->first + 4) % 7 + 7) % 7);
    for (int weekday = 0; !cron->any_weekday && weekday < 7; weekday++) {
        int day = 1 + (weekday + 7 - first) % 7;
        for (unsigned left = cron->weekdays[weekday]; left; left >>= 1, day += 7)
            weekdays |= (uint64_t)(left & 1) << day;
    }
    return cron->any_day && cron->any_weekday ? all : (days | weekdays) & all;
}

/* The first matching day in [low, high]. */
static bool day_after(const struct cron *cron, int64_t low, int64_t high, int64_t *day)
{
    struct month m;
    unsigned month, day_of_month;
    int64_t year;
    if (low > high)
        return false;
    time_civil_from_days(low, &year, &month, &day_of_month);
    for (month_set(&m, year, month); m.first <= high; month_set(&m, m.year, m.month + 1)) {
        uint64_t days = days_of_month(cron, &m);
        if (m.first < low)
            days = from(days, (int)day_of_month);
        if (!days)
            continue;
        *day = m.first + lowest(days) - 1;
        return *day <= high;
    }
    return false;
}

/* The last matching day in [low, high]. */
static bool day_before(const struct cron *cron, int64_t low, int64_t high, int64_t *day)
{
    struct month m;
    unsigned month, day_of_month;
    int64_t year;
    if (low > high)
        return false;
    time_civil_from_days(high, &year, &month, &day_of_month);
    for (month_set(&m, year, month); m.first + m.n_days > low; month_set(&m, m.year, m.month - 1)) {
        uint64_t days = days_of_month(cron, &m);
        if (m.first + m.n_days > high)
            days = until(days, (int)day_of_month);
        if (!days)
            continue;
        *day = m.first + highest(days) - 1;
        return *day >= low;
    }
    return false;
}

/* ---- Minutes of a day ---- */

/* The first matching minute of a day that is >= low, or -1. */
static int minute_after(const struct cron *cron, int low)
{
    int hour = low / 60;
    uint64_t minutes = from(cron->minutes, low % 60), hours = from(cron->hours, hour);
    if (hours >> hour & 1) {
        if (minutes)
            return hour * 60 + lowest(minutes);
        hours &= hours - 1;
    }
    return hours ? lowest(hours) * 60 + lowest(cron->minutes) : -1;
}

/* The last matching minute of a day that is <= high, or -1. */
static int minute_before(const struct cron *cron, int high)
{
    int hour = high / 60;
    uint64_t minutes = until(cron->minutes, high % 60), hours = until(cron->hours, hour);
    if (hours >> hour & 1) {
        if (minutes)
            return hour * 60 + highest(minutes);
        hours &= ~(UINT64_C(1) << hour);
    }
    return hours ? highest(hours) * 60 + highest(cron->minutes) : -1;
}

/* ---- Local times ---- */

/* The first matching local time in [low, high]. */
static bool local_after(const struct cron *cron, int64_t low, int64_t high, int64_t *local)
{
    low = low < FIRST_MS ? FIRST_MS : low;
    high = high > LAST_MS ? LAST_MS : high;
    if (low > high)
        return false;
    int64_t minute = -floor_div(-low, MINUTE_MS), last = floor_div(high, MINUTE_MS);
    int64_t day = floor_div(minute, DAY_MINUTES), found;
    int of_day = (int)(minute - day * DAY_MINUTES);
    if (!day_after(cron, day, floor_div(last, DAY_MINUTES), &found))
        return false;
    of_day = minute_after(cron, found == day ? of_day : 0);
    if (of_day < 0) {
        if (!day_after(cron, found + 1, floor_div(last, DAY_MINUTES), &found))
            return false;
        of_day = minute_after(cron, 0);
    }
    *local = (found * DAY_MINUTES + of_day) * MINUTE_MS;
    return *local <= high;
}

/* The last matching local time in [low, high]. */
static bool local_before(const struct cron *cron, int64_t low, int64_t high, int64_t *local)
{
    low = low < FIRST_MS ? FIRST_MS : low;
    high = high > LAST_MS ? LAST_MS : high;
    if (low > high)
        return false;
    int64_t first = floor_div(low, DAY_MINUTES * MINUTE_MS), minute = floor_div(high, MINUTE_MS);
    int64_t day = floor_div(minute, DAY_MINUTES), found;
    int of_day = (int)(minute - day * DAY_MINUTES);
    if (!day_before(cron, first, day, &found))
        return false;
    of_day = minute_before(cron, found == day ? of_day : DAY_MINUTES - 1);
    if (of_day < 0) {
        if (!day_before(cron, first, found - 1, &found))
            return false;
        of_day = minute_before(cron, DAY_MINUTES - 1);
    }
    *local = (found * DAY_MINUTES + of_day) * MINUTE_MS;
    return *local >= low;
}

/* ---- Instants ---- */

/* Each stretch of the zone by itself: in it, instants and local times run alike. */
static bool next_by_instant(const struct cron *cron, const struct zone *zone, int64_t after_ms,
                            int64_t *fire_ms)
{
    struct zone_span span;
    int64_t local, at = after_ms + 1;
    do {
        zone_at(zone, at, &span);
        int64_t offset = span.offset_s * INT64_C(1000);
        if (local_after(cron, at + offset, span.until_ms - 1 + offset, &local)) {
            *fire_ms = local - offset;
            return true;
        }
        at = span.until_ms;
    } while (at <= LAST_INSTANT_MS);
    return false;
}

static bool prev_by_instant(const struct cron *cron, const struct zone *zone, int64_t at_ms,
                            int64_t *fire_ms)
{
    struct zone_span span;
    int64_t local, at = at_ms;
    do {
        zone_at(zone, at, &span);
        int64_t offset = span.offset_s * INT64_C(1000);
        if (local_before(cron, span.from_ms + offset, at + offset, &local)) {
            *fire_ms = local - offset;
            return true;
        }
        at = span.from_ms - 1;
    } while (at >= FIRST_INSTANT_MS);
    return false;
}

bool cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms, int64_t *fire_ms)
{
    int64_t local;
    must(cron->minutes && cron->hours && cron->months);
    if (after_ms > LAST_INSTANT_MS)
        return false;
    if (after_ms < FIRST_INSTANT_MS)
        after_ms = FIRST_INSTANT_MS - 1;
    if (cron->every_real_hour)
        return next_by_instant(cron, zone, after_ms, fire_ms);
    /* A local time fires when the clocks first show it or a later one: those beyond the latest that
     * they have shown are still to come, in their order. */
    if (!local_after(cron, zone_latest(zone, after_ms) + 1, LAST_MS, &local))
        return false;
    *fire_ms = zone_first(zone, local);
    must(*fire_ms > after_ms);
    return true;
}

bool cron_prev(const struct cron *cron, const struct zone *zone, int64_t at_ms, int64_t *fire_ms)
{
    int64_t local;
    must(cron->minutes && cron->hours && cron->months);
    if (at_ms < FIRST_INSTANT_MS)
        return false;
    if (at_ms > LAST_INSTANT_MS)
        at_ms = LAST_INSTANT_MS;
    if (cron->every_real_hour)
        return prev_by_instant(cron, zone, at_ms, fire_ms);
    if (!local_before(cron, FIRST_MS, zone_latest(zone, at_ms), &local))
        return false;
    *fire_ms = zone_first(zone, local);
    must(*fire_ms <= at_ms);
    return true;
}
