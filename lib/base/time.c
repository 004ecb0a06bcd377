#include "lib/base/time.h"

#include <stdio.h>

#define DAY_MS 86400000ll

int64_t time_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void time_civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

char *time_format(char *to, int64_t wall_ms)
{
    int64_t days = wall_ms >= 0 ? wall_ms / DAY_MS : -((-wall_ms + DAY_MS - 1) / DAY_MS);
    int64_t rest = wall_ms - days * DAY_MS, year;
    unsigned month, day;
    time_civil_from_days(days, &year, &month, &day);
    snprintf(to, TIME_TEXT_MAX, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", (int)year, month, day,
             (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60),
             (int)(rest % 1000));
    return to;
}

/* Reads exactly n digits. */
static bool digits(const char **s, int n, unsigned *v)
{
    unsigned sum = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        sum = sum * 10 + (unsigned)(**s - '0');
    }
    *v = sum;
    return true;
}

static bool parse_date(const char **s, int64_t *days)
{
    unsigned year, month, day, back_month, back_day;
    int64_t back_year;
    if (!digits(s, 4, &year) || *(*s)++ != '-' || !digits(s, 2, &month) || *(*s)++ != '-' ||
        !digits(s, 2, &day) || month < 1 || month > 12 || day < 1)
        return false;
    *days = time_days_from_civil(year, month, day);
    time_civil_from_days(*days, &back_year, &back_month, &back_day);
    return back_month == month && back_day == day;
}

static bool parse_fraction(const char **s, unsigned *ms)
{
    unsigned scale = 100;
    (*s)++;
    if (**s < '0' || **s > '9')
        return false;
    for (; **s >= '0' && **s <= '9'; (*s)++, scale /= 10)
        *ms += (unsigned)(**s - '0') * scale;
    return true;
}

static bool parse_clock(const char **s, int64_t *ms)
{
    unsigned hour, minute, second = 0, fraction = 0;
    if (!digits(s, 2, &hour) || *(*s)++ != ':' || !digits(s, 2, &minute))
        return false;
    if (**s == ':') {
        (*s)++;
        if (!digits(s, 2, &second))
            return false;
        if (**s == '.' && !parse_fraction(s, &fraction))
            return false;
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ms = ((int64_t)hour * 3600 + minute * 60 + second) * 1000 + fraction;
    return true;
}

static bool parse_zone(const char **s, int64_t *offset_ms)
{
    unsigned hour, minute;
    if (**s == 'Z' || **s == 'z') {
        (*s)++;
        return true;
    }
    if (**s != '+' && **s != '-')
        return true;
    int sign = *(*s)++ == '-' ? -1 : 1;
    if (!digits(s, 2, &hour))
        return false;
    if (**s == ':')
        (*s)++;
    if (!digits(s, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *offset_ms = sign * ((int64_t)hour * 60 + minute) * 60000;
    return true;
}

bool time_parse(const char *s, int64_t *wall_ms)
{
    int64_t days, clock = 0, offset = 0;
    if (!parse_date(&s, &days))
        return false;
    if (*s == 'T' || *s == 't' || *s == ' ') {
        s++;
        if (!parse_clock(&s, &clock) || !parse_zone(&s, &offset))
            return false;
    }
    if (*s)
        return false;
    *wall_ms = days * DAY_MS + clock - offset;
    return true;
}
