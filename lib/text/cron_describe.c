/* Cron expressions in words. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/text/cron_text.h"

#define HOURS_LISTED 4

const char *const cron_month_names[13] = {NULL,      "January",  "February", "March",  "April",
                                          "May",     "June",     "July",     "August", "September",
                                          "October", "November", "December"};
const char *const cron_weekday_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                           "Thursday", "Friday", "Saturday"};

void cron_text_add(struct cron_text *text, const char *format, ...)
{
    va_list args;
    size_t left = text->size - text->n;
    va_start(args, format);
    int n = vsnprintf(text->to + text->n, left, format, args);
    va_end(args);
    if (n > 0)
        text->n += (size_t)n < left ? (size_t)n : left - 1;
}

static void add_member(struct cron_text *text, int member, const char *const *names)
{
    if (names)
        cron_text_add(text, "%s", names[member]);
    else
        cron_text_add(text, "%d", member);
}

void cron_text_set(struct cron_text *text, uint64_t set, const char *const *names)
{
    for (bool first = true; set; first = false) {
        int low = __builtin_ctzll(set), high = low;
        while (high < 63 && set >> (high + 1) & 1)
            high++;
        if (high == low + 1) /* two are no range */
            high = low;
        set &= high < 63 ? UINT64_MAX << (high + 1) : 0;
        if (!first)
            cron_text_add(text, set ? ", " : " and ");
        add_member(text, low, names);
        if (high > low) {
            cron_text_add(text, "-");
            add_member(text, high, names);
        }
    }
}

static void add_weekdays(struct cron_text *text, const struct cron *cron)
{
    static const char *const nth[5] = {"1st", "2nd", "3rd", "4th", "5th"};
    uint64_t whole = 0;
    bool first = true;
    for (int day = 0; day < 7; day++)
        whole |= (uint64_t)(cron->weekdays[day] == 31) << day;
    cron_text_set(text, whole, cron_weekday_names);
    for (int day = 0; day < 7; day++) {
        if (!cron->weekdays[day] || cron->weekdays[day] == 31)
            continue;
        cron_text_add(text, "%sthe ", !first || whole ? " and " : "");
        cron_text_set(text, cron->weekdays[day], nth);
        cron_text_add(text, " %s", cron_weekday_names[day]);
        first = false;
    }
}

void cron_text_days(struct cron_text *text, const struct cron *cron)
{
    uint64_t days = cron->days & ~UINT32_C(1);
    if (cron->any_day && cron->any_weekday) {
        cron_text_add(text, "every day");
        return;
    }
    cron_text_add(text, "on ");
    if (!cron->any_day && days) {
        cron_text_add(text, "day ");
        cron_text_set(text, days, NULL);
    }
    if (!cron->any_day && cron->days & 1)
        cron_text_add(text, "%sthe last day", days ? " and " : "");
    if (!cron->any_day)
        cron_text_add(text, " of the month");
    if (!cron->any_day && !cron->any_weekday)
        cron_text_add(text, " or on ");
    if (!cron->any_weekday)
        add_weekdays(text, cron);
}

static void add_times(struct cron_text *text, const struct cron *cron)
{
    bool one_minute = (cron->minutes & (cron->minutes - 1)) == 0;
    int n_hours = 0;
    int minute = __builtin_ctzll(cron->minutes);
    const char *between = "";
    for (uint32_t left = cron->hours; left; left &= left - 1)
        n_hours++;
    if (one_minute && n_hours <= HOURS_LISTED) {
        cron_text_add(text, "at ");
        for (uint32_t left = cron->hours; left; left &= left - 1, between = ", ")
            cron_text_add(text, "%s%02d:%02d", between, __builtin_ctz(left), minute);
        return;
    }
    if (cron->minutes == (UINT64_C(1) << 60) - 1) {
        cron_text_add(text, "every minute");
    } else {
        cron_text_add(text, "at minute ");
        cron_text_set(text, cron->minutes, NULL);
    }
    if (cron->hours == (UINT32_C(1) << 24) - 1) {
        cron_text_add(text, " of every hour");
    } else {
        cron_text_add(text, " of hour ");
        cron_text_set(text, cron->hours, NULL);
    }
}

char *cron_describe(const struct cron *cron, char *to)
{
    struct cron_text text = {to, CRON_DESCRIBE_MAX, 0};
    add_times(&text, cron);
    cron_text_add(&text, " ");
    cron_text_days(&text, cron);
    if (cron->months != 0x1ffe) {
        cron_text_add(&text, " in ");
        cron_text_set(&text, cron->months, cron_month_names);
    }
    return to;
}
