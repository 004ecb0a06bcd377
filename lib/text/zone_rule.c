#include "lib/text/zone_rule.h"

#include <string.h>

#include "lib/base/must.h"
#include "lib/base/time.h"

#define DAY_S INT64_C(86400)
#define HOUR_S 3600

bool zone_kind_eq(const struct zone_kind *a, const struct zone_kind *b)
{
    return a->offset_s == b->offset_s && a->is_dst == b->is_dst &&
           strcmp(a->abbreviation, b->abbreviation) == 0;
}

/* ---- The text ---- */

struct cursor {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool take_char(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_number(struct cursor *c, unsigned low, unsigned high, unsigned *v)
{
    unsigned sum = 0;
    const char *begin = c->at;
    for (; c->at < c->end && is_digit(*c->at) && c->at - begin < 4; c->at++)
        sum = sum * 10 + (unsigned)(*c->at - '0');
    *v = sum;
    return c->at > begin && sum >= low && sum <= high;
}

/* "CET" or "<+0330>". */
static bool take_name(struct cursor *c, char to[ZONE_ABBREVIATION_MAX])
{
    bool quoted = take_char(c, '<');
    const char *begin = c->at;
    for (; c->at < c->end; c->at++) {
        char x = *c->at;
        if (!is_letter(x) && !(quoted && (is_digit(x) || x == '+' || x == '-')))
            break;
    }
    size_t n = (size_t)(c->at - begin);
    if (n < 3 || n >= ZONE_ABBREVIATION_MAX || (quoted && !take_char(c, '>')))
        return false;
    memcpy(to, begin, n);
    to[n] = 0;
    return true;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_time(struct cursor *c, unsigned hours_max, int32_t *seconds)
{
    unsigned hour, minute = 0, second = 0;
    bool minus = take_char(c, '-');
    if (!minus)
        take_char(c, '+');
    if (!take_number(c, 0, hours_max, &hour))
        return false;
    if (take_char(c, ':') &&
        (!take_number(c, 0, 59, &minute) || (take_char(c, ':') && !take_number(c, 0, 59, &second))))
        return false;
    int32_t sum = (int32_t)(hour * HOUR_S + minute * 60 + second);
    *seconds = minus ? -sum : sum;
    return true;
}

static bool take_day(struct cursor *c, struct zone_day *day)
{
    *day = (struct zone_day){.time_s = 2 * HOUR_S};
    if (!take_char(c, ','))
        return false;
    if (take_char(c, 'M')) {
        day->form = ZONE_DAY_OF_WEEK;
        if (!take_number(c, 1, 12, &day->month) || !take_char(c, '.') ||
            !take_number(c, 1, 5, &day->week) || !take_char(c, '.') ||
            !take_number(c, 0, 6, &day->day))
            return false;
    } else if (take_char(c, 'J')) {
        day->form = ZONE_DAY_JULIAN;
        if (!take_number(c, 1, 365, &day->day))
            return false;
    } else {
        day->form = ZONE_DAY_OF_YEAR;
        if (!take_number(c, 0, 365, &day->day))
            return false;
    }
    return !take_char(c, '/') || take_time(c, 167, &day->time_s);
}

bool zone_rule_parse(struct zone_rule *rule, const char *text, size_t n)
{
    struct cursor c = {text, text + n};
    struct zone_rule r = {.summer = {.is_dst = true}};
    int32_t west;
    if (!take_name(&c, r.standard.abbreviation) || !take_time(&c, 24, &west))
        return false;
    r.standard.offset_s = -west;
    if (c.at < c.end) {
        r.changes = true;
        r.summer.offset_s = r.standard.offset_s + HOUR_S;
        if (!take_name(&c, r.summer.abbreviation))
            return false;
        if (c.at < c.end && *c.at != ',') {
            if (!take_time(&c, 24, &west))
                return false;
            r.summer.offset_s = -west;
        }
        if (!take_day(&c, &r.start) || !take_day(&c, &r.end) || c.at != c.end)
            return false;
    }
    *rule = r;
    return true;
}

/* ---- Instants ---- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since 1970 of that day in a year. */
static int64_t day_in_year(const struct zone_day *day, int64_t year)
{
    switch (day->form) {
    case ZONE_DAY_JULIAN: /* 29 February is not counted */
        return time_days_from_civil(year, 1, 1) + day->day - 1 + (is_leap(year) && day->day > 59);
    case ZONE_DAY_OF_YEAR:
        return time_days_from_civil(year, 1, 1) + day->day;
    case ZONE_DAY_OF_WEEK:
        break;
    }
    int64_t first = time_days_from_civil(year, day->month, 1);
    int64_t next = day->month == 12 ? time_days_from_civil(year + 1, 1, 1)
                                    : time_days_from_civil(year, day->month + 1, 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7;
    int64_t found = first + (day->day + 7 - weekday) % 7 + (day->week - 1) * 7;
    return found >= next ? found - 7 : found;
}

const struct zone_kind *zone_rule_at(const struct zone_rule *rule, int64_t s, int64_t *from_s,
                                     int64_t *until_s)
{
    const struct zone_kind *kind = &rule->standard;
    int64_t year, from = INT64_MIN, until = INT64_MAX;
    unsigned month, day;
    *from_s = from;
    *until_s = until;
    if (!rule->changes)
        return kind;
    time_civil_from_days(s / DAY_S, &year, &month, &day);
    /* A time of a week and an offset of a day may move a change into the next year. */
    for (int64_t y = year - 2; y <= year + 2; y++) {
        for (int begins = 0; begins <= 1; begins++) {
            const struct zone_day *when = begins ? &rule->start : &rule->end;
            const struct zone_kind *before = begins ? &rule->standard : &rule->summer;
            int64_t at = day_in_year(when, y) * DAY_S + when->time_s - before->offset_s;
            if (at > s && at < until)
                until = at;
            if (at > s || at < from || (at == from && !begins))
                continue;
            from = at;
            kind = begins ? &rule->summer : &rule->standard;
        }
    }
    must(from <= s && s < until);
    *from_s = from;
    *until_s = until;
    return kind;
}
