#include "lib/base/time.h"
#include "lib/text/cron.h"
#include "lib/text/zone_file.h"
#include "tests/unit/test.h"

#define SEED UINT64_C(42)

static struct cron parse(const char *text)
{
    struct cron cron;
    struct nx_err err;
    if (!cron_parse(text, SEED, &cron, NULL, NULL, &err))
        fail_msg("%s: %s", text, err.text);
    return cron;
}

static struct zone *load(const char *name)
{
    struct zone *zone = NULL;
    struct nx_err err;
    if (!zone_file_load(zone_file_folder(), name, &zone, &err))
        fail_msg("%s", err.text);
    return zone;
}

static int64_t ms(const char *text)
{
    int64_t at;
    if (!time_parse(text, &at))
        fail_msg("%s is no time", text);
    return at;
}

/* The fire times after `after` are `expected`, with spaces between, to the minute; read backwards
 * they are the same. */
static void expect_in(const struct zone *zone, const char *text, const char *after,
                      const char *expected)
{
    struct cron cron = parse(text);
    int64_t at = ms(after);
    char one[TIME_TEXT_MAX], all[1024] = "";
    size_t n = 0;
    while (n < strlen(expected)) {
        int64_t before = at, back;
        assert_true(cron_next(&cron, zone, before, &at));
        assert_true(at > before);
        assert_true(cron_prev(&cron, zone, at, &back) && back == at);
        assert_true(!cron_prev(&cron, zone, at - 1, &back) || back <= before);
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%.16s", n ? " " : "",
                              time_format(one, at));
        assert_true(n < sizeof all);
    }
    if (strcmp(all, expected) != 0)
        fail_msg("%s after %s: %s, not %s", text, after, all, expected);
}

static void expect(const char *text, const char *after, const char *expected)
{
    expect_in(NULL, text, after, expected);
}

static void expect_same(const char *text, const char *other)
{
    struct cron a = parse(text), b = parse(other);
    a.every_real_hour = b.every_real_hour; /* padding is zero in both */
    if (memcmp(&a, &b, sizeof a) != 0)
        fail_msg("%s is not %s", text, other);
}

static void expect_refused(const char *text, size_t offset, const char *expected)
{
    struct cron cron = {.months = 77};
    struct cron_warnings warnings = {.n = 77};
    struct nx_err err;
    size_t at = 999;
    if (cron_parse(text, SEED, &cron, &warnings, &at, &err))
        fail_msg("%s is not refused", text);
    assert_true(cron.months == 77 && warnings.n == 77);
    if (strcmp(err.text, expected) != 0 || at != offset)
        fail_msg("%s: at %zu '%s', not at %zu '%s'", text, at, err.text, offset, expected);
}

static void expect_warnings(const char *text, size_t n, size_t offset, const char *first)
{
    struct cron cron;
    struct cron_warnings warnings;
    struct nx_err err;
    assert_true(cron_parse(text, SEED, &cron, &warnings, NULL, &err));
    if (warnings.n != n)
        fail_msg("%s has %zu warnings", text, warnings.n);
    if (n > 0 && (strcmp(warnings.at[0].text, first) != 0 || warnings.at[0].offset != offset))
        fail_msg("%s: at %zu '%s'", text, warnings.at[0].offset, warnings.at[0].text);
}

/* ---- Expressions ---- */

static void values_lists_ranges_and_steps_fire(void **state)
{
    (void)state;
    expect("30 2 * * *", "2024-01-01", "2024-01-01T02:30 2024-01-02T02:30");
    expect("30 2 * * *", "2024-01-01T02:30", "2024-01-02T02:30");
    expect("30 2 * * *", "2024-01-01T02:29:59.999", "2024-01-01T02:30");
    expect("*/20 9-10 * * *", "2024-01-01",
           "2024-01-01T09:00 2024-01-01T09:20 2024-01-01T09:40 2024-01-01T10:00");
    expect("0,30 0 1 JAN,jul *", "2024-01-02",
           "2024-07-01T00:00 2024-07-01T00:30 2025-01-01T00:00");
    expect("0 22-23/1,1 * * *", "2024-02-28T22:30", "2024-02-28T23:00 2024-02-29T01:00");
    expect("59 23 31 12 *", "2024-12-31T23:59", "2025-12-31T23:59");
    expect("\t0  0 1 1 * ", "2024-01-01", "2025-01-01T00:00");
    expect_same("5/15 * * * *", "5-59/15 * * * *");
    expect_same("5/15 * * * *", "5,20,35,50 * * * *");
    expect_same("0 0 1/10 * *", "0 0 1,11,21,31 * *");
    expect_same("0 0 * 2/3 *", "0 0 * FEB,MAY,AUG,NOV *");
}

static void days_of_the_week_have_names_and_two_sundays(void **state)
{
    (void)state;
    expect("0 0 * * MON", "2024-01-01", "2024-01-08T00:00 2024-01-15T00:00");
    expect("0 0 * * 0", "2024-01-01", "2024-01-07T00:00");
    expect_same("0 0 * * 7", "0 0 * * SUN");
    expect_same("0 0 * * 5-7", "0 0 * * FRI,SAT,0");
    expect_same("0 0 * * FRI-SUN", "0 0 * * 5-7");
    expect_same("0 0 * * 5-0", "0 0 * * 5-7");
    expect_same("0 0 * * SUN-SUN", "0 0 * * 0");
    expect_same("0 0 * * SUN-MON", "0 0 * * 0,1");
    expect_same("0 0 * * 1/2", "0 0 * * 1,3,5");
    expect_same("0 0 * * 7/3", "0 0 * * 0,3,6");
    expect_same("0 0 * * 0-7/2", "0 0 * * 0,2,4,6");
}

static void the_last_day_and_the_nth_weekday_are_found(void **state)
{
    (void)state;
    expect("0 0 L * *", "2024-01-31", "2024-02-29T00:00 2024-03-31T00:00 2024-04-30T00:00");
    expect("0 0 28,L 2 *", "2023-01-01", "2023-02-28T00:00 2024-02-28T00:00 2024-02-29T00:00");
    expect("0 0 * * MON#2", "2024-01-01", "2024-01-08T00:00 2024-02-12T00:00 2024-03-11T00:00");
    expect("0 0 * * 5#5", "2024-01-01", "2024-03-29T00:00 2024-05-31T00:00");
    expect("0 0 * * 7#1,wed", "2024-01-01", "2024-01-03T00:00 2024-01-07T00:00 2024-01-10T00:00");
    expect("0 0 * 2 MON#5", "2024-02-01", "2044-02-29T00:00 2072-02-29T00:00 2112-02-29T00:00");
    expect("0 0 29 2 *", "2096-02-29", "2104-02-29T00:00");
}

static void two_restricted_day_fields_mean_either(void **state)
{
    (void)state;
    expect("0 0 13 * FRI", "2024-09-01",
           "2024-09-06T00:00 2024-09-13T00:00 2024-09-20T00:00 2024-09-27T00:00 2024-10-04T00:00");
    expect("0 0 13 * FRI", "2024-10-11", "2024-10-13T00:00");
    expect("0 0 31 2 MON", "2024-02-01", "2024-02-05T00:00");
    /* Only exactly `*` is no restriction. */
    expect("0 0 *,1 * MON", "2024-01-01", "2024-01-02T00:00");
    expect("0 0 1 * *,1", "2024-01-01", "2024-01-02T00:00");
    expect("0 0 */1 * MON", "2024-01-01", "2024-01-02T00:00");
}

static void presets_are_expressions(void **state)
{
    (void)state;
    expect_same("@hourly", "0 * * * *");
    expect_same("@daily", "0 0 * * *");
    expect_same("@midnight", "@daily");
    expect_same(" @WEEKLY ", "0 0 * * 0");
    expect_same("@monthly", "0 0 1 * *");
    expect_same("@quarterly", "0 0 1 1,4,7,10 *");
    expect_same("@yearly", "0 0 1 1 *");
    expect_same("@annually", "@yearly");
    assert_true(parse("@hourly").every_real_hour);
    assert_false(parse("@daily").every_real_hour);
}

static void a_hash_spreads_and_stays(void **state)
{
    (void)state;
    uint64_t minutes = 0, offsets = 0;
    uint32_t hours = 0, days = 0, weekdays = 0;
    int equal = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct cron a, b;
        struct nx_err err;
        assert_true(cron_parse("H H H H H", seed, &a, NULL, NULL, &err));
        assert_true(cron_parse("H H H H H", seed, &b, NULL, NULL, &err));
        assert_memory_equal(&a, &b, sizeof a);
        assert_int_equal(__builtin_popcountll(a.minutes), 1);
        assert_false(a.every_real_hour || a.any_day || a.any_weekday);
        minutes |= a.minutes;
        hours |= a.hours;
        days |= a.days;
        for (unsigned i = 0; i < 7; i++)
            weekdays |= (uint32_t)(a.weekdays[i] != 0) << i;
        equal += __builtin_ctzll(a.minutes) == __builtin_ctz(a.hours);
        assert_true(cron_parse("H(10-29)/5 H(0-7) H/15 * *", seed, &a, NULL, NULL, &err));
        assert_int_equal(__builtin_popcountll(a.minutes), 4);
        assert_true(__builtin_ctzll(a.minutes) >= 10 && __builtin_ctzll(a.minutes) < 15);
        assert_true(a.hours < 1u << 8 && a.hours);
        assert_true(a.days < 1u << 29 && __builtin_ctz(a.days) <= 15);
        assert_true(cron_parse("H/15 * * * *", seed, &a, NULL, NULL, &err));
        assert_int_equal(__builtin_popcountll(a.minutes), 4);
        assert_true(a.every_real_hour);
        offsets |= a.minutes;
    }
    assert_true(minutes == (UINT64_C(1) << 60) - 1 && hours == (1u << 24) - 1);
    assert_true(days == (1u << 29) - 2 && weekdays == 127);
    assert_true(offsets == (UINT64_C(1) << 60) - 1);
    /* Fields take different bits: minute and hour are not the same number. */
    assert_true(equal > 3000 / 60 / 3 && equal < 3000 / 60 * 3);
}

/* ---- Mistakes ---- */

static void a_mistake_is_named_with_its_place(void **state)
{
    (void)state;
    static const char five[] = "a cron expression has 5 fields, minute, hour, day of month, month "
                               "and day of week; this one has ";
    char text[300];
    snprintf(text, sizeof text, "%s0", five);
    expect_refused("", 0, text);
    snprintf(text, sizeof text, "%s4", five);
    expect_refused("0 0 * *", 0, text);
    snprintf(text, sizeof text, "%s6", five);
    expect_refused("0 0 0 * * *", 0, text);
    expect_refused("60 0 * * *", 0, "minute '60' is not between 0 and 59");
    expect_refused("0 24 * * *", 2, "hour '24' is not between 0 and 23");
    expect_refused("0 0 0 * *", 4, "day of month '0' is not between 1 and 31");
    expect_refused("0 0 * 13 *", 6, "month '13' is not between 1 and 12");
    expect_refused("0 0 * * 8", 8, "day of week '8' is not between 0 and 7");
    expect_refused("0 99999999999 * * *", 2, "hour '99999999999' is not between 0 and 23");
    expect_refused("0 0 * * MON,FRY", 12,
                   "day of week: 'FRY' is no name; names are 'Sun' to 'Sat'");
    expect_refused("0 0 * * Monday", 8, "day of week: 'Monday' is no name; did you mean 'Mon'?");
    expect_refused("0 0 * JA *", 6, "month: 'JA' is no name; names are 'Jan' to 'Dec'");
    expect_refused("0 22-2 * * *", 2, "hour '22-2' runs backwards; write '22-23,0-2'");
    expect_refused("0 0 * * FRI-MON", 8, "day of week 'FRI-MON' runs backwards; write '5-6,0-1'");
    expect_refused("*/0 * * * *", 2, "minute '*/0': a step is between 1 and 60");
    expect_refused("*/61 * * * *", 2, "minute '*/61': a step is between 1 and 60");
    expect_refused("*/ * * * *", 2, "minute '*/': a value is missing");
    expect_refused("1,,2 * * * *", 2, "minute '1,,2': a value is missing");
    expect_refused("1, * * * *", 2, "minute '1,': a value is missing");
    expect_refused("1-x * * * *", 2, "minute '1-x': 'x' is not understood");
    expect_refused("1x,2 * * * *", 1, "minute '1x,2': 'x' is not understood");
    expect_refused("-1 * * * *", 0, "minute '-1': '-1' is not understood");
    expect_refused("0 0 ? * *", 4, "day of month: there is no '?'; write '*'");
    expect_refused("0 0 15W * *", 6, "day of month '15W': 'W' is not understood");
    expect_refused("0 0 L-3 * *", 5, "day of month 'L-3': '-3' is not understood");
    expect_refused("L 0 * * *", 0, "minute 'L': 'L' is not understood");
    expect_refused("0 0 * * 1#6", 10, "day of week: '#6' is not between #1 and #5");
    expect_refused("0 0 * * 1#", 10, "day of week '1#': a value is missing");
    expect_refused("0 0 1#2 * *", 5, "day of month '1#2': '#2' is not understood");
    expect_refused("H(5 0 * * *", 3, "minute 'H(5': a value is missing");
    expect_refused("H(5-70) 0 * * *", 4, "minute '70' is not between 0 and 59");
    expect_refused("H(5-7 0 * * *", 5, "minute 'H(5-7': a value is missing");
    expect_refused("HH 0 * * *", 1, "minute 'HH': 'H' is not understood");
    expect_refused("@dialy", 0, "there is no preset '@dialy'; did you mean '@daily'?");
    expect_refused("@once", 0,
                   "there is no preset '@once'; there are @hourly, @daily, @weekly, @monthly, "
                   "@quarterly and @yearly");
    memset(text, ' ', 257);
    text[257] = 0;
    expect_refused(text, 0, "a cron expression has at most 256 bytes");
}

static void what_can_never_fire_is_refused(void **state)
{
    (void)state;
    static const char why[] = "it never fires: no month that it names has such a day";
    expect_refused("0 0 30 2 *", 4, why);
    expect_refused("0 0 31 2,4,6,9,11 *", 4, why);
    expect_refused("* * 31,30 FEB *", 4, why);
    expect("0 0 31 4,12 *", "2024-01-01", "2024-12-31T00:00");
    expect("0 0 30,L 2 *", "2024-01-01", "2024-02-29T00:00");
}

static void what_is_not_as_it_looks_gives_a_warning(void **state)
{
    (void)state;
    expect_warnings("*/15 */6 * */3 *", 0, 0, NULL);
    expect_warnings("0-29/7 9-17/3 1-7/2 * *", 0, 0, NULL);
    expect_warnings("5/15 H/6 13 * FRI", 0, 0, NULL);
    expect_warnings("*/7 * * * *", 1, 0,
                    "minute '*/7' is not every 7 minutes: it fires at 0, 7, 14, 21, 28, 35, 42, 49 "
                    "and 56, then again at 0 after 4 minutes");
    expect_warnings("0 1,*/5 * * *", 1, 4,
                    "hour '*/5' is not every 5 hours: it fires at 0, 5, 10, 15 and 20, then again "
                    "at 0 after 4 hours");
    expect_warnings("3/25 * * * *", 1, 0,
                    "minute '3/25' is not every 25 minutes: it fires at 3, 28 and 53, then again "
                    "at 3 after 10 minutes");
    expect_warnings("0 0 */10 * *", 1, 4,
                    "day of month '*/10' is not every 10 days: it fires on day 1, 11, 21 and 31, "
                    "and begins again with each month");
    expect_warnings("0 0 * */5 *", 1, 6,
                    "month '*/5' is not every 5 months: it fires in January, June and November, "
                    "then again in January after 2 months");
    expect_warnings("0 0 * * */2", 1, 8,
                    "day of week '*/2' is not every 2 days: it fires on Sunday, Tuesday, Thursday "
                    "and Saturday, then again on Sunday after 1 day");
    expect_warnings("0 0 15 * */1", 1, 9,
                    "day of week '*/1' is a restriction, and so is day of month; a day that either "
                    "names fires: on day 15 of the month or on Sunday-Saturday");
    expect_warnings("0 0 */31 * MON", 1, 4,
                    "day of month '*/31' is a restriction, and so is day of week; a day that "
                    "either names fires: on day 1 of the month or on Monday");
    expect_warnings("0 0 */2 * MON", 2, 4,
                    "day of month '*/2' is not every 2 days: it fires on day 1, 3, 5, 7, 9, 11, "
                    "13, 15, 17, 19, 21, 23, 25, 27, 29 and 31, and begins again with each month");
    expect_warnings("*/7,*/8,*/9,*/11,*/13,*/14,*/16,*/17,*/18,*/19 0 * * *", 8, 0,
                    "minute '*/7' is not every 7 minutes: it fires at 0, 7, 14, 21, 28, 35, 42, 49 "
                    "and 56, then again at 0 after 4 minutes");
}

static void an_expression_is_described_in_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"30 2 * * *", "at 02:30 every day"},
        {"0 8,20 * * MON-FRI", "at 08:00, 20:00 on Monday-Friday"},
        {"*/20 * * * *", "at minute 0, 20 and 40 of every hour every day"},
        {"* 9-17 * 7 *", "every minute of hour 9-17 every day in July"},
        {"0 0 1,15,L * *", "at 00:00 on day 1 and 15 and the last day of the month"},
        {"0 0 L 6-8 *", "at 00:00 on the last day of the month in June-August"},
        {"0 0 13 * FRI", "at 00:00 on day 13 of the month or on Friday"},
        {"0 0 * * 1#1,1#3,4", "at 00:00 on Thursday and the 1st and 3rd Monday"},
        {"0 */4 1-5,9 * *", "at minute 0 of hour 0, 4, 8, 12, 16 and 20 on day 1-5 and 9 of the "
                            "month"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron = parse(cases[i][0]);
        char text[CRON_DESCRIBE_MAX];
        assert_string_equal(cron_describe(&cron, text), cases[i][1]);
    }
}

/* ---- Clock changes ---- */

static void a_fixed_time_fires_once_a_day_whatever_the_clocks_do(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    /* In the gap of 31 March 2024: at its end. */
    expect_in(zone, "30 2 * * *", "2024-03-30T00:00",
              "2024-03-30T01:30 2024-03-31T01:00 2024-04-01T00:30");
    expect_in(zone, "0,15,30 2,3 * * *", "2024-03-30T12:00",
              "2024-03-31T01:00 2024-03-31T01:15 2024-03-31T01:30 2024-04-01T00:00");
    /* In the fold of 27 October 2024: the first of the two. */
    expect_in(zone, "30 2 * * *", "2024-10-26T00:00",
              "2024-10-26T00:30 2024-10-27T00:30 2024-10-28T01:30");
    expect_in(zone, "30 2 * * *", "2024-10-27T01:00", "2024-10-28T01:30");
    expect_in(zone, "30 2,3 * * *", "2024-10-27T00:30", "2024-10-27T02:30");
    /* A list of all hours is no `*`. */
    expect_in(zone, "30 0-23 * * *", "2024-10-26T23:30",
              "2024-10-27T00:30 2024-10-27T02:30 2024-10-27T03:30");
    zone_free(zone);
}

static void a_star_in_the_hour_fires_at_each_real_instant(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    expect_in(zone, "30 * * * *", "2024-10-26T23:30",
              "2024-10-27T00:30 2024-10-27T01:30 2024-10-27T02:30");
    expect_in(zone, "30 */2 * * *", "2024-10-26T23:00",
              "2024-10-27T00:30 2024-10-27T01:30 2024-10-27T03:30");
    expect_in(zone, "30 */2 * * *", "2024-03-30T23:00", "2024-03-30T23:30 2024-03-31T02:30");
    expect_in(zone, "0 5,*/2 31 3 *", "2024-03-31T00:59", "2024-03-31T02:00 2024-03-31T03:00");
    expect_in(zone, "@hourly", "2024-03-31T00:00", "2024-03-31T01:00 2024-03-31T02:00");
    zone_free(zone);
}

static void odd_zones_keep_the_rules(void **state)
{
    (void)state;
    struct zone *zone = load("Australia/Lord_Howe");
    expect_in(zone, "*/15 * * * *", "2024-04-06T14:20",
              "2024-04-06T14:30 2024-04-06T14:45 2024-04-06T15:00 2024-04-06T15:15");
    expect_in(zone, "45 1 * * *", "2024-04-06T00:00", "2024-04-06T14:45 2024-04-07T15:15");
    expect_in(zone, "0 2 * * *", "2024-10-05T00:00", "2024-10-05T15:30 2024-10-06T15:00");
    zone_free(zone);
    zone = load("Pacific/Apia"); /* 29 December 2011, 24:00, is 31 December, 0:00 */
    expect_in(zone, "0 0 * * *", "2011-12-28T12:00",
              "2011-12-29T10:00 2011-12-30T10:00 2011-12-31T10:00");
    expect_in(zone, "30 2 * * *", "2011-12-29T13:00", "2011-12-30T10:00 2011-12-30T12:30");
    expect_in(zone, "30 2 30 12 *", "2011-12-01", "2011-12-30T10:00 2012-12-29T12:30");
    expect_in(zone, "0 * 30 * *", "2011-12-01T12:00", "2012-01-29T10:00");
    zone_free(zone);
    zone = load("Africa/Monrovia"); /* 0:44:30 behind */
    expect_in(zone, "0 */12 * * *", "1971-06-01", "1971-06-01T00:44 1971-06-01T12:44");
    zone_free(zone);
    zone = load("America/Havana"); /* midnight itself is in the gap */
    expect_in(zone, "0 0 * * *", "2024-03-09T06:00", "2024-03-10T05:00 2024-03-11T04:00");
    expect_in(zone, "0 */24 * * *", "2024-03-09T06:00", "2024-03-11T04:00");
    zone_free(zone);
}

static void times_before_1970_and_far_away_fire(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    struct cron cron = parse("0 0 29 2 *"), hourly = parse("@hourly");
    int64_t at;
    expect_in(zone, "0 0 1 1 *", "1899-06-01", "1899-12-31T23:00 1900-12-31T23:00");
    expect_in(zone, "0 12 * * *", "9999-12-29T12:00", "9999-12-30T11:00 9999-12-31T11:00");
    assert_false(cron_next(&cron, zone, ms("9996-03-01"), &at));
    assert_false(cron_next(&hourly, zone, ms("9999-12-31T23:00"), &at));
    assert_false(cron_next(&hourly, zone, INT64_MAX, &at));
    assert_false(cron_next(&cron, zone, INT64_MAX, &at));
    assert_false(cron_prev(&cron, zone, INT64_MIN, &at));
    assert_false(cron_prev(&hourly, zone, ms("0001-01-01") - 100000000, &at));
    assert_true(cron_next(&cron, NULL, INT64_MIN, &at) && at == ms("0004-02-29"));
    assert_true(cron_next(&hourly, NULL, INT64_MIN, &at) && at == ms("0001-01-01"));
    assert_true(cron_prev(&cron, NULL, INT64_MAX, &at) && at == ms("9996-02-29"));
    assert_true(cron_prev(&hourly, NULL, INT64_MAX, &at) && at == ms("9999-12-31T23:00"));
    zone_free(zone);
}

/* One type, no transition, a rule for all times. */
#define HEADER "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define COUNTS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
#define TYPE "\0\0\0\0\0\0UTC\0"

static void a_rule_for_all_times_is_followed_within_the_years_only(void **state)
{
    (void)state;
    static const char always[] = HEADER COUNTS TYPE HEADER COUNTS TYPE "\nAAA0BBB,J89/0,J300/0\n";
    struct zone *zone = NULL;
    struct nx_err err;
    struct cron hourly = parse("@hourly"), daily = parse("@daily"), gap = parse("0 */24 30 3 *");
    int64_t at;
    assert_true(zone_parse(always, sizeof always - 1, &zone, &err));
    assert_true(cron_next(&hourly, zone, INT64_MIN, &at) && at == ms("0001-01-01"));
    assert_true(cron_next(&daily, zone, INT64_MIN, &at) && at == ms("0001-01-01"));
    assert_true(cron_prev(&hourly, zone, INT64_MAX, &at) && at == ms("9999-12-31T23:00"));
    assert_true(cron_prev(&daily, zone, INT64_MAX, &at) && at == ms("9999-12-31"));
    /* 30 March begins with a gap each year. */
    assert_false(cron_next(&gap, zone, INT64_MIN, &at));
    assert_false(cron_prev(&gap, zone, INT64_MAX, &at));
    zone_free(zone);
}

static void the_last_fire_time_is_at_or_before(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    struct cron fixed = parse("30 2 * * *"), star = parse("30 * * * *");
    int64_t at;
    assert_true(cron_prev(&fixed, zone, ms("2024-03-31T00:59"), &at));
    assert_true(at == ms("2024-03-30T01:30"));
    assert_true(cron_prev(&fixed, zone, ms("2024-03-31T01:00"), &at));
    assert_true(at == ms("2024-03-31T01:00"));
    assert_true(cron_prev(&fixed, zone, ms("2024-10-27T01:30"), &at)); /* the second 02:30 */
    assert_true(at == ms("2024-10-27T00:30"));
    assert_true(cron_prev(&star, zone, ms("2024-10-27T01:30"), &at));
    assert_true(at == ms("2024-10-27T01:30"));
    assert_true(cron_prev(&star, zone, ms("2024-10-27T01:30") - 1, &at));
    assert_true(at == ms("2024-10-27T00:30"));
    zone_free(zone);
}

/* A minute is a minute: next and last, held against each minute of some weeks. */
static void next_and_last_agree_with_every_minute(void **state)
{
    (void)state;
    static const char *const texts[] = {"*/20 * * * *", "15 */3 * * *", "0 0 13,L * FRI#2",
                                        "7,53 */5 1-20 3,10 *"};
    for (size_t i = 0; i < 4; i++) {
        struct cron cron = parse(texts[i]);
        int64_t next, last, expected = 0;
        for (int64_t at = ms("2024-11-05"); at >= ms("2024-09-20"); at -= 60000) {
            struct zone_civil c;
            assert_true(cron_next(&cron, NULL, at - 1, &next));
            zone_civil_of(at, &c);
            bool nth = c.weekday == 5 && c.day > 7 && c.day < 15;
            bool leaps = c.month == 10 && c.day == 31;
            bool fires = i == 0   ? c.minute % 20 == 0
                         : i == 1 ? c.minute == 15 && c.hour % 3 == 0
                         : i == 2
                             ? c.minute == 0 && c.hour == 0 &&
                                   (c.day == 13 || leaps || nth || (c.month == 9 && c.day == 30))
                             : (c.minute == 7 || c.minute == 53) && c.hour % 5 == 0 &&
                                   c.day <= 20 && c.month == 10;
            expected = fires ? at : expected;
            assert_true(!expected || next == expected);
            assert_true(fires == (cron_prev(&cron, NULL, at, &last) && last == at));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_lists_ranges_and_steps_fire),
        cmocka_unit_test(days_of_the_week_have_names_and_two_sundays),
        cmocka_unit_test(the_last_day_and_the_nth_weekday_are_found),
        cmocka_unit_test(two_restricted_day_fields_mean_either),
        cmocka_unit_test(presets_are_expressions),
        cmocka_unit_test(a_hash_spreads_and_stays),
        cmocka_unit_test(a_mistake_is_named_with_its_place),
        cmocka_unit_test(what_can_never_fire_is_refused),
        cmocka_unit_test(what_is_not_as_it_looks_gives_a_warning),
        cmocka_unit_test(an_expression_is_described_in_words),
        cmocka_unit_test(a_fixed_time_fires_once_a_day_whatever_the_clocks_do),
        cmocka_unit_test(a_star_in_the_hour_fires_at_each_real_instant),
        cmocka_unit_test(odd_zones_keep_the_rules),
        cmocka_unit_test(times_before_1970_and_far_away_fire),
        cmocka_unit_test(a_rule_for_all_times_is_followed_within_the_years_only),
        cmocka_unit_test(the_last_fire_time_is_at_or_before),
        cmocka_unit_test(next_and_last_agree_with_every_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
