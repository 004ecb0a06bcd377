#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/heap.h"
#include "lib/base/map.h"
#include "lib/base/rng.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "tests/unit/test.h"

static void map_finds_what_was_set_and_survives_removals(void **state)
{
    (void)state;
    struct map map;
    struct rng rng;
    static char present[2000];
    char key[32];
    map_init(&map);
    rng_init(&rng, 1);
    for (int step = 0; step < 100000; step++) {
        uint64_t k = rng_below(&rng, 2000);
        snprintf(key, sizeof key, "key%d", (int)k);
        if (rng_chance(&rng, 1, 2)) {
            map_set(&map, key, &present[k]);
            present[k] = 1;
        } else {
            void *removed = map_remove(&map, key);
            assert_ptr_equal(removed, present[k] ? &present[k] : NULL);
            present[k] = 0;
        }
    }
    for (int k = 0; k < 2000; k++) {
        snprintf(key, sizeof key, "key%d", k);
        assert_ptr_equal(map_get(&map, key), present[k] ? &present[k] : NULL);
    }
    map_fini(&map);
}

static void map_keeps_the_order_of_insertion(void **state)
{
    (void)state;
    struct map map;
    map_init(&map);
    for (uint64_t i = 0; i < 1000; i++)
        map_set_num(&map, i * 7919, &map);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(map.at[i].num, i * 7919);
    assert_null(map_get_num(&map, 3));
    map_fini(&map);
}

static void durations_are_read_and_written(void **state)
{
    (void)state;
    int64_t ms = 0;
    char text[32];
    assert_true(str_parse_duration("1h30m", &ms) && ms == 5400000);
    assert_true(str_parse_duration("250ms", &ms) && ms == 250);
    assert_true(str_parse_duration("0.5", &ms) && ms == 500);
    assert_true(str_parse_duration("1.5s", &ms) && ms == 1500);
    ms = 42;
    assert_false(str_parse_duration("10 parsecs", &ms));
    assert_false(str_parse_duration("-1s", &ms));
    assert_false(str_parse_duration("10x", &ms));
    assert_int_equal(ms, 42);
    assert_string_equal(str_format_duration(text, sizeof text, 5400250), "1h30m250ms");
}

static void the_nearest_name_is_found_only_when_near(void **state)
{
    (void)state;
    const char *names[] = {"history", "split", "train"};
    assert_string_equal(str_nearest("splitt", names, 3), "split");
    assert_string_equal(str_nearest("trian", names, 3), "train");
    assert_null(str_nearest("evaluate", names, 3));
    const char *commands[] = {"trigger", "run"};
    assert_string_equal(str_nearest("trigr", commands, 2), "trigger");
    assert_null(str_nearest("trig", commands, 2));
    const char *letters[] = {"a", "b"};
    assert_null(str_nearest("q", letters, 2));
    assert_string_equal(str_nearest("ab", letters, 2), "a");
}

static void sizes_and_ids_are_checked(void **state)
{
    (void)state;
    int64_t bytes = 0;
    assert_true(str_parse_size("64MiB", &bytes) && bytes == 64 << 20);
    assert_true(str_parse_size("1.5G", &bytes) && bytes == 3ll << 29);
    assert_false(str_parse_size("12 apples", &bytes));
    assert_true(str_is_id("flights_train-2", true));
    assert_false(str_is_id("flights-train", false));
    assert_false(str_is_id("2fast", true));
    assert_false(str_is_id("", true));
}

static void times_go_to_text_and_back(void **state)
{
    (void)state;
    struct rng rng;
    char text[TIME_TEXT_MAX];
    rng_init(&rng, 2);
    for (int i = 0; i < 100000; i++) {
        int64_t ms = (int64_t)rng_below(&rng, 4000000000000ull) - 1000000000000ll, back = 0;
        assert_true(time_parse(time_format(text, ms), &back));
        assert_int_equal(ms, back);
    }
    int64_t ms = 0;
    assert_true(time_parse("2001-01-31T04:00+01:00", &ms));
    assert_string_equal(time_format(text, ms), "2001-01-31T03:00:00.000Z");
    assert_false(time_parse("2001-02-29", &ms));
    assert_true(time_parse("2000-02-29", &ms));
}

static void utf8_is_checked_to_the_letter(void **state)
{
    (void)state;
    size_t bad = 99;
    assert_true(str_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10, NULL));
    assert_false(str_is_utf8("ab\xc0\x80", 4, &bad));
    assert_int_equal(bad, 2);
    assert_false(str_is_utf8("\xed\xa0\x80", 3, &bad));
    assert_false(str_is_utf8("\xe2\x82", 2, &bad));
}

static bool smaller(const void *a, const void *b)
{
    return *(const int *)a < *(const int *)b;
}

static void a_heap_gives_its_items_in_order(void **state)
{
    (void)state;
    struct rng rng;
    int items[300];
    rng_init(&rng, 3);
    for (size_t n = 1; n <= 300; n += 13) {
        for (size_t i = 0; i < n; i++) {
            items[i] = (int)rng_below(&rng, 100);
            heap_push(items, i + 1, sizeof *items, smaller);
        }
        int last = -1;
        for (size_t left = n; left > 0; left--) {
            assert_true(items[0] >= last);
            last = items[0];
            heap_pop(items, left, sizeof *items, smaller);
        }
    }
}

static void arena_gives_zeroed_memory_after_a_reset(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 40000; n = n * 3 + 1) {
            unsigned char *p = arena_alloc(&arena, n);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xee, n);
        }
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_finds_what_was_set_and_survives_removals),
        cmocka_unit_test(map_keeps_the_order_of_insertion),
        cmocka_unit_test(durations_are_read_and_written),
        cmocka_unit_test(the_nearest_name_is_found_only_when_near),
        cmocka_unit_test(sizes_and_ids_are_checked),
        cmocka_unit_test(times_go_to_text_and_back),
        cmocka_unit_test(utf8_is_checked_to_the_letter),
        cmocka_unit_test(a_heap_gives_its_items_in_order),
        cmocka_unit_test(arena_gives_zeroed_memory_after_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
