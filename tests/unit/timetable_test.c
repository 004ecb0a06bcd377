#include "scheduler/graph/timetable.h"

#include "lib/base/time.h"
#include "lib/text/zone_file.h"
#include "tests/unit/test.h"

static int64_t at(const char *text)
{
    int64_t ms;
    assert_true(time_parse(text, &ms));
    return ms;
}

static void assert_fire(const struct timetable_fire *fire, const char *start, const char *finish)
{
    char a[TIME_TEXT_MAX], b[TIME_TEXT_MAX];
    if (fire->start_ms != at(start) || fire->finish_ms != at(finish))
        fail_msg("%s to %s, not %s to %s", time_format(a, fire->start_ms),
                 time_format(b, fire->finish_ms), start, finish);
}

static struct timetable *cron_table(const char *text)
{
    struct nx_err err;
    struct timetable *timetable = timetable_new(1);
    assert_true(cron_parse(text, 1, &timetable->entries[0].cron, NULL, NULL, &err));
    return timetable;
}

static void a_cron_run_covers_the_time_since_the_fire_before(void **state)
{
    (void)state;
    struct timetable *timetable = cron_table("0 3 * * *");
    struct timetable_fire fire;
    assert_true(timetable_next(timetable, 0, at("2001-01-10T03:00Z"), &fire));
    assert_fire(&fire, "2001-01-10T03:00Z", "2001-01-11T03:00Z");
    assert_true(timetable_prev(timetable, 0, at("2001-01-11T03:00Z"), &fire));
    assert_fire(&fire, "2001-01-10T03:00Z", "2001-01-11T03:00Z");
    assert_true(timetable_prev(timetable, 0, at("2001-01-11T02:59:59.999Z"), &fire));
    assert_fire(&fire, "2001-01-09T03:00Z", "2001-01-10T03:00Z");
    assert_true(timetable_containing(timetable, 0, at("2001-01-10T03:00Z"), &fire));
    assert_fire(&fire, "2001-01-10T03:00Z", "2001-01-11T03:00Z");
    assert_true(timetable_containing(timetable, 0, at("2001-01-11T02:59Z"), &fire));
    assert_fire(&fire, "2001-01-10T03:00Z", "2001-01-11T03:00Z");
    timetable_release(timetable);
}

static void start_and_end_bound_the_starts_of_intervals(void **state)
{
    (void)state;
    struct timetable *timetable = cron_table("@daily");
    struct timetable_fire fire;
    timetable->start_ms = at("2001-01-01");
    timetable->end_ms = at("2001-01-03");
    assert_true(timetable_next(timetable, 0, TIMETABLE_NEVER, &fire));
    assert_fire(&fire, "2001-01-01", "2001-01-02");
    assert_true(timetable_next(timetable, 0, fire.fire_ms, &fire));
    assert_true(timetable_next(timetable, 0, fire.fire_ms, &fire));
    assert_fire(&fire, "2001-01-03", "2001-01-04");
    assert_false(timetable_next(timetable, 0, fire.fire_ms, &fire));
    assert_true(timetable_prev(timetable, 0, at("2005-01-01"), &fire));
    assert_fire(&fire, "2001-01-03", "2001-01-04");
    assert_true(timetable_prev(timetable, 0, at("2001-01-02"), &fire));
    assert_fire(&fire, "2001-01-01", "2001-01-02");
    assert_false(timetable_prev(timetable, 0, at("2001-01-01T23:59Z"), &fire));
    timetable->start_ms = at("2001-01-01T12:00Z"); /* no interval begins before it */
    assert_true(timetable_next(timetable, 0, TIMETABLE_NEVER, &fire));
    assert_fire(&fire, "2001-01-02", "2001-01-03");
    timetable_release(timetable);
}

static void every_counts_from_start_in_real_time(void **state)
{
    (void)state;
    struct timetable *timetable = timetable_new(1);
    struct timetable_fire fire;
    timetable->entries[0].kind = TIMETABLE_EVERY;
    timetable->entries[0].every_ms = 7 * 60000;
    timetable->start_ms = at("2001-01-01T00:01Z");
    assert_true(timetable_next(timetable, 0, TIMETABLE_NEVER, &fire));
    assert_fire(&fire, "2001-01-01T00:01Z", "2001-01-01T00:08Z");
    assert_true(timetable_next(timetable, 0, at("2001-01-01T00:08Z"), &fire));
    assert_fire(&fire, "2001-01-01T00:08Z", "2001-01-01T00:15Z");
    assert_true(timetable_next(timetable, 0, at("2001-01-01T00:07:59Z"), &fire));
    assert_fire(&fire, "2001-01-01T00:01Z", "2001-01-01T00:08Z");
    assert_true(timetable_prev(timetable, 0, at("2001-01-01T00:14:59Z"), &fire));
    assert_fire(&fire, "2001-01-01T00:01Z", "2001-01-01T00:08Z");
    assert_false(timetable_prev(timetable, 0, at("2001-01-01T00:07Z"), &fire));
    timetable->end_ms = at("2001-01-01T00:09Z");
    assert_true(timetable_prev(timetable, 0, at("2001-01-02"), &fire));
    assert_fire(&fire, "2001-01-01T00:08Z", "2001-01-01T00:15Z");
    assert_false(timetable_next(timetable, 0, fire.fire_ms, &fire));
    timetable->start_ms = TIMETABLE_NEVER; /* from the epoch, before it too */
    timetable->end_ms = INT64_MAX;
    assert_true(timetable_prev(timetable, 0, -1, &fire));
    assert_int_equal(fire.finish_ms, -7 * 60000);
    timetable_release(timetable);
}

static void at_fires_once(void **state)
{
    (void)state;
    struct timetable *timetable = timetable_new(1);
    struct timetable_fire fire;
    timetable->entries[0].kind = TIMETABLE_AT;
    timetable->entries[0].at_ms = at("2026-12-24T18:00Z");
    assert_true(timetable_next(timetable, 0, TIMETABLE_NEVER, &fire));
    assert_fire(&fire, "2026-12-24T18:00Z", "2026-12-24T18:00Z");
    assert_false(timetable_next(timetable, 0, fire.fire_ms, &fire));
    assert_true(timetable_prev(timetable, 0, at("2027-01-01"), &fire));
    assert_false(timetable_prev(timetable, 0, at("2026-12-24T17:59Z"), &fire));
    timetable_release(timetable);
}

static void jitter_delays_a_fire_and_nothing_else(void **state)
{
    (void)state;
    struct timetable *timetable = cron_table("@hourly");
    struct timetable_fire fire = {0};
    int64_t least = INT64_MAX, most = 0;
    timetable->jitter_ms = 60000;
    for (int i = 0; i < 200; i++) {
        assert_true(timetable_next(timetable, 0, fire.fire_ms, &fire));
        int64_t delay = fire.due_ms - fire.fire_ms;
        assert_int_equal(fire.fire_ms, fire.finish_ms);
        assert_in_range(delay, 0, 60000);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }
    assert_true(least < 5000 && most > 55000);
    timetable_release(timetable);
}

static void times_without_an_offset_are_local(void **state)
{
    (void)state;
    struct zone *berlin;
    struct nx_err err;
    int64_t ms;
    bool is_date;
    assert_true(zone_file_load(zone_file_folder(), "Europe/Berlin", &berlin, &err));
    assert_true(timetable_parse_time(berlin, "2001-07-01", &ms, &is_date));
    assert_true(is_date && ms == at("2001-06-30T22:00Z"));
    assert_int_equal(timetable_day_end(berlin, ms), at("2001-07-01T22:00Z") - 1);
    assert_true(timetable_parse_time(berlin, "2001-07-01T12:00", &ms, &is_date));
    assert_true(!is_date && ms == at("2001-07-01T10:00Z"));
    assert_true(timetable_parse_time(berlin, "2001-07-01T12:00Z", &ms, &is_date));
    assert_int_equal(ms, at("2001-07-01T12:00Z"));
    assert_true(timetable_parse_time(berlin, "2001-07-01T12:00-02:00", &ms, &is_date));
    assert_int_equal(ms, at("2001-07-01T14:00Z"));
    /* A day of 23 hours. */
    assert_true(timetable_parse_time(berlin, "2026-03-29", &ms, &is_date));
    assert_int_equal(timetable_day_end(berlin, ms) + 1 - ms, 23 * 3600000);
    assert_false(timetable_parse_time(berlin, "yesterday", &ms, &is_date));
    zone_free(berlin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cron_run_covers_the_time_since_the_fire_before),
        cmocka_unit_test(start_and_end_bound_the_starts_of_intervals),
        cmocka_unit_test(every_counts_from_start_in_real_time),
        cmocka_unit_test(at_fires_once),
        cmocka_unit_test(jitter_delays_a_fire_and_nothing_else),
        cmocka_unit_test(times_without_an_offset_are_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
