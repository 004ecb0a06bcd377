/* lib/data without DuckDB: texts as values, SQL as text, dictionaries. */
#include "lib/base/mem.h"
#include "lib/data/dict.h"
#include "lib/data/parse.h"
#include "lib/data/sqltext.h"
#include "tests/unit/test.h"

static int64_t int_of(const char *text, int64_t otherwise)
{
    int64_t v = otherwise;
    parse_int(text, strlen(text), &v);
    return v;
}

static void integers_are_whole_texts_without_leading_zeros(void **state)
{
    (void)state;
    assert_int_equal(int_of("0", 7), 0);
    assert_int_equal(int_of("-12", 7), -12);
    assert_int_equal(int_of(" +5 ", 7), 5);
    assert_true(int_of("9223372036854775807", 7) == INT64_MAX);
    assert_true(int_of("-9223372036854775808", 7) == INT64_MIN);
    static const char *const wrong[] = {"",
                                        " ",
                                        "-",
                                        "007",
                                        "1.0",
                                        "1e3",
                                        "1_000",
                                        "0x1f",
                                        "1 2",
                                        "--1",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999",
                                        "1\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (int_of(wrong[i], 7) != 7) {
            fail_msg("'%s' was read", wrong[i]);
        }
    }
}

static void doubles_are_recognised(void **state)
{
    (void)state;
    static const char *const right[] = {"1.5",
                                        "-.5",
                                        "5.",
                                        "1e3",
                                        "+1E-9",
                                        "0.25",
                                        "0",
                                        "nan",
                                        "-Inf",
                                        "Infinity",
                                        " 1.5 ",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "1000000000000000000000",
                                        "12345678901234567890.0"};
    static const char *const wrong[] = {
        "", ".", "e3", "1e", "00.5", "1.5f", "1_0.5", "1,5", "in", "1.2.3", "0x1p3",
        /* would be rounded */
        "9223372036854775809", "12345678901234567890", "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_true(parse_is_double(right[i], strlen(right[i])));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parse_is_double(wrong[i], strlen(wrong[i]))) {
            fail_msg("'%s' was taken for a double", wrong[i]);
        }
    }
}

static void doubles_are_not_rounded_whole_numbers_and_not_infinite(void **state)
{
    (void)state;
    static const char *const right[] = {"1.5",
                                        "9007199254740992",
                                        "-9007199254740994",
                                        "1e308",
                                        "0.1",
                                        "nan",
                                        "inf",
                                        " 7 ",
                                        "0e999",
                                        "1.7976931348623157e308",
                                        "0.00017976931348623157e312",
                                        "1e-400",
                                        "1000000000000000000000"};
    static const char *const wrong[] = {"9007199254740993",
                                        "9223372036854775807",
                                        "1e309",
                                        "1.7976931348623159e308",
                                        "-1e400",
                                        "1_0",
                                        "007",
                                        "18446744073709551617",
                                        "10e308",
                                        "0.0001e313",
                                        ""};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        if (!parse_fits_double(right[i], strlen(right[i]))) {
            fail_msg("'%s' was refused", right[i]);
        }
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parse_fits_double(wrong[i], strlen(wrong[i]))) {
            fail_msg("'%s' was taken for a double", wrong[i]);
        }
    }
}

static void whole_numbers_bools_and_days_have_several_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t v;
    } whole[] = {{"1", 1},
                 {"1.0", 1},
                 {"-2.50e1", -25},
                 {"1e3", 1000},
                 {"100e-2", 1},
                 {"0.0", 0},
                 {"0e5", 0},
                 {"9007199254740993.000", 9007199254740993},
                 {"-9223372036854775808", INT64_MIN}};
    static const char *const wrong[] = {"1.5", "1e-1", "1e19", "9223372036854775808.0", "007",
                                        "nan", "",     "x",    "1e999999999999",        "1.50"};
    int64_t v, days;
    bool yes;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        assert_true(parse_whole(whole[i].text, strlen(whole[i].text), &v) && v == whole[i].v);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parse_whole(wrong[i], strlen(wrong[i]), &v)) {
            fail_msg("'%s' was taken for an integer", wrong[i]);
        }
    }
    assert_true(parse_yes("Yes", 3, &yes) && yes && parse_yes("0", 1, &yes) && !yes);
    assert_false(parse_yes("2", 1, &yes) || parse_yes("", 0, &yes));
    assert_true(parse_day("2001-02-03 00:00:00", 19, &days) && parse_day("2001-02-03", 10, &days));
    assert_false(parse_day("2001-02-03T12:00", 16, &days) ||
                 parse_day("2001-02-03 00:00:00Z", 20, &days));
}

static int64_t micros_of(const char *text)
{
    int64_t v = -1;
    parse_timestamp(text, strlen(text), &v);
    return v;
}

static void times_are_iso_and_keep_their_offsets(void **state)
{
    (void)state;
    assert_int_equal(micros_of("1970-01-01"), 0);
    assert_int_equal(micros_of("1970-01-01 00:00:01"), 1000000);
    assert_int_equal(micros_of("1970-01-01T00:01Z"), 60000000);
    assert_int_equal(micros_of("1970-01-01 02:00:00.5+02:00"), 500000);
    assert_int_equal(micros_of("1970-01-01 00:00:00.1234567"), 123456);
    assert_int_equal(micros_of("1969-12-31 22:00 -0200"), 0);
    assert_int_equal(micros_of("2000-02-29"), 951782400000000);
    static const char *const wrong[] = {"2001-02-29",           "1900-02-29",
                                        "2001-13-01",           "2001-00-01",
                                        "2001-01-32",           "01-01-2001",
                                        "2001-01-01 24:00",     "2001-01-01 10",
                                        "2001-01-01 10:60",     "2001-01-01x",
                                        "2001-01-01 10:00 CET", "2001-01-01 10:00+",
                                        "2001-01-01 10:00:00.", "",
                                        "2001-01-01 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (micros_of(wrong[i]) != -1) {
            fail_msg("'%s' was read", wrong[i]);
        }
    }
    int64_t days = 5;
    assert_true(parse_date("2001-2-3", 8, &days));
    assert_int_equal(days, 11356);
    assert_false(parse_date("2001-02-03 00:00", 16, &days));
    bool b = false;
    assert_true(parse_bool("TRUE", 4, &b) && b);
    assert_false(parse_bool("yes", 3, &b));
}

static void a_text_knows_what_it_can_be(void **state)
{
    (void)state;
    assert_int_equal(parse_kinds("5", 1), PARSE_INT | PARSE_DOUBLE);
    assert_int_equal(parse_kinds("5.5", 3), PARSE_DOUBLE);
    assert_int_equal(parse_kinds("2001-01-01", 10), PARSE_DATE | PARSE_TIMESTAMP);
    assert_int_equal(parse_kinds("2001-01-01 10:00", 16), PARSE_TIMESTAMP);
    assert_int_equal(parse_kinds("false", 5), PARSE_BOOL);
    assert_int_equal(parse_kinds("00501", 5), 0);
    assert_int_equal(parse_kinds("", 0), 0);
}

/* ---- SQL ---- */

static bool put(void *arg, const char *path, struct buf *to, struct nx_err *err)
{
    (void)arg;
    if (*path == '/') {
        return nx_fail(err, NX_E_DENIED, "%s", path);
    }
    buf_printf(to, "'<%s>'", path);
    return true;
}

static void check_files(const char *sql, const char *expected)
{
    struct buf to;
    struct nx_err err;
    buf_init(&to);
    assert_true(sqltext_files(sql, put, NULL, &to, &err));
    assert_string_equal(buf_text(&to), expected);
    buf_fini(&to);
}

static void files_are_found_where_they_are_read_and_nowhere_else(void **state)
{
    (void)state;
    check_files("select * from read_parquet('a/*.parquet') where x = 'a/b'",
                "select * from read_parquet(['<a/*.parquet>']) where x = 'a/b'");
    check_files("from READ_CSV ( 'it''s.csv', sep = ';')",
                "from READ_CSV ( ['<it's.csv>'], sep = ';')");
    check_files("from read_json(['a', 'b' /* 'c' */], x = 'd')",
                "from read_json(['<a>', '<b>' /* 'c' */], x = 'd')");
    check_files("-- read_csv('a')\nselect \"read_csv\"('b'), 'read_csv(''c'')'",
                "-- read_csv('a')\nselect \"read_csv\"('b'), 'read_csv(''c'')'");
    check_files("/* /* read_csv('a') */ read_csv('b') */ select 1",
                "/* /* read_csv('a') */ read_csv('b') */ select 1");
    check_files("select $$read_csv('a')$$, $t$ read_csv('b') $t$, e'\\'read_csv(', $1",
                "select $$read_csv('a')$$, $t$ read_csv('b') $t$, e'\\'read_csv(', $1");
    check_files("from read_csv(columns = {'a': 'INT'})", "from read_csv(columns = {'a': 'INT'})");
    struct buf to;
    struct nx_err err;
    buf_init(&to);
    assert_false(sqltext_files("from read_csv('/etc/passwd')", put, NULL, &to, &err));
    assert_string_equal(err.text, "/etc/passwd");
    buf_fini(&to);
}

static void sql_ends_before_its_semicolons_and_comments(void **state)
{
    (void)state;
    assert_int_equal(sqltext_end("select 1"), 8);
    assert_int_equal(sqltext_end("select 1 ; -- done\n;; /* really */ "), 8);
    assert_int_equal(sqltext_end("select ';' -- x"), 10);
    assert_int_equal(sqltext_end("  -- nothing"), 0);
    assert_int_equal(sqltext_end("select 'open"), 12);
    assert_int_equal(sqltext_end(""), 0);
}

/* ---- Dictionaries ---- */

static void a_dictionary_gives_codes_in_order_of_appearance(void **state)
{
    (void)state;
    struct dict dict;
    dict_init(&dict);
    char text[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            int n = snprintf(text, sizeof text, "text %d", 5000 - i);
            assert_int_equal(dict_code(&dict, text, (size_t)n, 1), i);
        }
    }
    assert_int_equal(dict_code(&dict, "other", 5, 0), -1);
    assert_int_equal(dict.text.n, 5000);
    assert_int_equal(dict_code(&dict, "", 0, 1), 5000);
    int32_t *sorted = dict_sorted(&dict);
    assert_int_equal(sorted[0], 5000);
    for (size_t i = 1; i < dict.text.n; i++) {
        assert_true(strcmp(dict.text.at[sorted[i - 1]], dict.text.at[sorted[i]]) < 0);
    }
    mem_free(sorted);
    dict_fini(&dict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_whole_texts_without_leading_zeros),
        cmocka_unit_test(doubles_are_recognised),
        cmocka_unit_test(doubles_are_not_rounded_whole_numbers_and_not_infinite),
        cmocka_unit_test(whole_numbers_bools_and_days_have_several_spellings),
        cmocka_unit_test(times_are_iso_and_keep_their_offsets),
        cmocka_unit_test(a_text_knows_what_it_can_be),
        cmocka_unit_test(files_are_found_where_they_are_read_and_nowhere_else),
        cmocka_unit_test(sql_ends_before_its_semicolons_and_comments),
        cmocka_unit_test(a_dictionary_gives_codes_in_order_of_appearance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
