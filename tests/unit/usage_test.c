/* What attempts use over time: the meter that makes records of looks, the records' file, and how
 * many of them are shown. */
#include "lib/base/rng.h"
#include "lib/wire/usage.h"
#include "tests/unit/test.h"
#include "worker/usage.h"

static struct usage_record shown[USAGE_SHOWN];

/* An attempt that is looked at once a second, a little late, and uses `cores`. */
static void run_for(struct buf *file, int64_t seconds, double cores, struct rng *rng)
{
    struct usage_meter meter = {0};
    struct usage_record record;
    for (int64_t s = 0; s < seconds; s++) {
        int64_t age = s * 1000 + 400 + (int64_t)rng_below(rng, 100);
        const struct usage_seen seen = {.cpu_us = (int64_t)((double)age * cores * 1000) + 5000000,
                                        .rss_bytes = s == seconds / 3 ? 1 << 30 : 1 << 20,
                                        .n_processes = 3};
        if (usage_meter_take(&meter, 1000000 + age, age, &seen, &record))
            usage_encode(file, &record);
    }
}

static void the_first_look_only_begins(void **state)
{
    (void)state;
    struct usage_meter meter = {0};
    struct usage_record record;
    struct usage_seen seen = {.cpu_us = 700000000, .rss_bytes = 4096, .n_processes = 2};
    assert_false(usage_meter_take(&meter, 5000, 400, &seen, &record));
    seen.cpu_us += 500000;
    assert_false(usage_meter_take(&meter, 5400, 800, &seen, &record)); /* too soon */
    seen.cpu_us += 500000;
    assert_true(usage_meter_take(&meter, 6000, 1400, &seen, &record));
    assert_int_equal(record.at_ms, 6000);
    assert_int_equal(record.age_ms, 1400);
    assert_int_equal(record.span_ms, 1000);
    assert_int_equal(record.cpu_us, 1000000);
    assert_int_equal(record.rss_bytes, 4096);
    assert_int_equal(record.n_processes, 2);
}

static void time_that_is_hidden_for_a_look_does_not_count_twice(void **state)
{
    (void)state;
    struct usage_meter meter = {0};
    struct usage_record record;
    static const int64_t seen_s[] = {10, 12, 3, 13, 14};
    static const int64_t used_s[] = {0, 2, 0, 1, 1};
    for (int i = 0; i < 5; i++) {
        const struct usage_seen seen = {seen_s[i] * 1000000, 1, 1};
        assert_int_equal(usage_meter_take(&meter, i, i * 1000 + 400, &seen, &record), i > 0);
        if (i)
            assert_int_equal(record.cpu_us, used_s[i] * 1000000);
    }
}

static void time_that_is_gone_for_good_does_not_hide_what_comes_later(void **state)
{
    (void)state;
    struct usage_meter meter = {0};
    struct usage_record record;
    static const int64_t seen_s[] = {10, 12, 3, 4, 5, 6};
    static const int64_t used_s[] = {0, 2, 0, 0, 1, 1};
    for (int i = 0; i < 6; i++) {
        const struct usage_seen seen = {seen_s[i] * 1000000, 1, 1};
        assert_int_equal(usage_meter_take(&meter, i, i * 1000 + 400, &seen, &record), i > 0);
        if (i)
            assert_int_equal(record.cpu_us, used_s[i] * 1000000);
    }
}

static void records_become_rarer_and_few_are_shown(void **state)
{
    (void)state;
    static const int64_t durations[] = {2, 60, 599, 602, 3600, 86400, 7 * 86400};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        struct buf file = {0};
        struct rng rng;
        int64_t interval_ms, seconds = durations[i], span = 0, used = 0, highest = 0, doublings = 0;
        rng_init(&rng, i);
        run_for(&file, seconds, 1.5, &rng);
        for (int64_t s = seconds; s > USAGE_SHOWN; s = (s + 1) / 2)
            doublings++;
        assert_true(file.len / USAGE_RECORD_BYTES <=
                    (size_t)(USAGE_SHOWN + doublings * (USAGE_SHOWN / 2 + 2)));
        size_t n = usage_decode(file.data, file.len, shown, &interval_ms);
        assert_true(n <= USAGE_SHOWN && n >= (size_t)(seconds * 1000 / interval_ms) * 9 / 10 - 1);
        assert_int_equal(interval_ms, 1000ll << doublings);
        for (size_t k = 0; k < n; k++) {
            double cores = (double)shown[k].cpu_us / 1000 / shown[k].span_ms;
            assert_true(cores > 1.499 && cores < 1.501);
            assert_true(k == 0 || shown[k].age_ms - shown[k - 1].age_ms == shown[k].span_ms);
            assert_true(k == 0 || k + 1 == n || shown[k].span_ms <= 2 * interval_ms);
            span += shown[k].span_ms;
            used += shown[k].cpu_us;
            if (shown[k].rss_bytes > highest)
                highest = shown[k].rss_bytes;
        }
        assert_true(n == 0 || span == shown[n - 1].age_ms - (shown[0].age_ms - shown[0].span_ms));
        assert_true(used > 0 && span >= seconds * 1000 - interval_ms - 1500);
        assert_true(seconds > 600 || seconds < 10 || highest == 1 << 30);
        buf_fini(&file);
    }
}

static void a_record_is_kept_exactly(void **state)
{
    (void)state;
    const struct usage_record record = {.at_ms = 1764226917123,
                                        .age_ms = 4321,
                                        .span_ms = 1001,
                                        .n_processes = 70000,
                                        .rss_bytes = (5ll << 42) + 1024,
                                        .cpu_us = 63999900};
    struct buf file = {0};
    int64_t interval_ms;
    usage_encode(&file, &record);
    assert_int_equal(file.len, USAGE_RECORD_BYTES);
    assert_int_equal(usage_decode(file.data, file.len, shown, &interval_ms), 1);
    assert_int_equal(shown[0].at_ms, record.at_ms);
    assert_int_equal(shown[0].age_ms, record.age_ms);
    assert_int_equal(shown[0].span_ms, record.span_ms);
    assert_int_equal(shown[0].n_processes, 65535);
    assert_int_equal(shown[0].rss_bytes, record.rss_bytes);
    assert_int_equal(shown[0].cpu_us, record.cpu_us);
    assert_int_equal(interval_ms, 1000);
    buf_fini(&file);
}

static void any_bytes_are_read_without_harm(void **state)
{
    (void)state;
    struct rng rng;
    struct buf file = {0};
    int64_t interval_ms;
    assert_int_equal(usage_decode(NULL, 0, shown, &interval_ms), 0);
    rng_init(&rng, 4);
    run_for(&file, 100, 1, &rng);
    assert_int_equal(usage_decode(file.data, file.len - 1, shown, &interval_ms), 98);
    assert_int_equal(usage_decode(file.data, 31, shown, &interval_ms), 0);
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < 8; i++)
            file.data[rng_below(&rng, (uint32_t)file.len)] = (char)rng_next(&rng);
        size_t n = usage_decode(file.data, file.len, shown, &interval_ms);
        assert_true(n <= USAGE_SHOWN && interval_ms >= 1000);
        for (size_t i = 0; i < n; i++)
            assert_true(shown[i].span_ms > 0 && shown[i].at_ms >= 0);
    }
    buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_look_only_begins),
        cmocka_unit_test(time_that_is_hidden_for_a_look_does_not_count_twice),
        cmocka_unit_test(time_that_is_gone_for_good_does_not_hide_what_comes_later),
        cmocka_unit_test(records_become_rarer_and_few_are_shown),
        cmocka_unit_test(a_record_is_kept_exactly),
        cmocka_unit_test(any_bytes_are_read_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
