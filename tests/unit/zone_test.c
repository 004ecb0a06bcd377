#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/time.h"
#include "lib/text/zone.h"
#include "lib/text/zone_file.h"
#include "tests/unit/test.h"

/* ---- Files made here ---- */

struct kind {
    int32_t offset_s;
    int is_dst;
    const char *name;
};

struct file {
    const int64_t *at_s;
    const uint8_t *kind;
    unsigned n_changes;
    const struct kind *kinds;
    unsigned n_kinds;
    const char *footer;
    char version; /* 0: only the first block, with 32 bits */
    unsigned n_leaps;
};

static void put(struct buf *buf, uint64_t v, int n_bytes)
{
    for (int i = n_bytes - 1; i >= 0; i--)
        buf_u8(buf, (uint8_t)(v >> (8 * i)));
}

static void put_block(struct buf *buf, const struct file *file, int time_size)
{
    unsigned n_chars = 0;
    for (unsigned i = 0; i < file->n_kinds; i++)
        n_chars += (unsigned)strlen(file->kinds[i].name) + 1;
    buf_str(buf, "TZif");
    buf_u8(buf, (uint8_t)file->version);
    buf_add(buf, (char[15]){0}, 15);
    put(buf, 0, 4);
    put(buf, 0, 4);
    put(buf, file->n_leaps, 4);
    put(buf, file->n_changes, 4);
    put(buf, file->n_kinds, 4);
    put(buf, n_chars, 4);
    for (unsigned i = 0; i < file->n_changes; i++)
        put(buf, (uint64_t)file->at_s[i], time_size);
    for (unsigned i = 0; i < file->n_changes; i++)
        buf_u8(buf, file->kind[i]);
    n_chars = 0;
    for (unsigned i = 0; i < file->n_kinds; i++) {
        put(buf, (uint32_t)file->kinds[i].offset_s, 4);
        buf_u8(buf, (uint8_t)file->kinds[i].is_dst);
        buf_u8(buf, (uint8_t)n_chars);
        n_chars += (unsigned)strlen(file->kinds[i].name) + 1;
    }
    for (unsigned i = 0; i < file->n_kinds; i++)
        buf_add(buf, file->kinds[i].name, strlen(file->kinds[i].name) + 1);
    for (unsigned i = 0; i < file->n_leaps; i++) {
        put(buf, 0, time_size);
        put(buf, 0, 4);
    }
}

static void put_file(struct buf *buf, const struct file *file)
{
    put_block(buf, file, 4);
    if (file->version) {
        put_block(buf, file, 8);
        buf_char(buf, '\n');
        buf_str(buf, file->footer);
        buf_char(buf, '\n');
    }
}

static struct zone *zone_of(const struct file *file)
{
    struct zone *zone = NULL;
    struct nx_err err;
    struct buf buf;
    buf_init(&buf);
    put_file(&buf, file);
    if (!zone_parse(buf.data, buf.len, &zone, &err))
        fail_msg("%s", err.text);
    buf_fini(&buf);
    return zone;
}

static struct zone *zone_of_rule(const char *rule)
{
    static const struct kind kinds[] = {{0, 0, "UTC"}};
    struct file file = {.kinds = kinds, .n_kinds = 1, .footer = rule, .version = '2'};
    return zone_of(&file);
}

static void expect_refused(const void *bytes, size_t n, const char *expected)
{
    struct zone *zone = NULL;
    struct nx_err err;
    assert_false(zone_parse(bytes, n, &zone, &err));
    assert_null(zone);
    if (!strstr(err.text, expected))
        fail_msg("'%s' does not say '%s'", err.text, expected);
}

static void expect_file_refused(const struct file *file, const char *expected)
{
    struct buf buf;
    buf_init(&buf);
    put_file(&buf, file);
    expect_refused(buf.data, buf.len, expected);
    buf_fini(&buf);
}

/* ---- Helpers ---- */

static int64_t ms(const char *text)
{
    int64_t at;
    if (!time_parse(text, &at))
        fail_msg("%s is no time", text);
    return at;
}

static struct zone *load(const char *name)
{
    struct zone *zone = NULL;
    struct nx_err err;
    if (!zone_file_load(zone_file_folder(), name, &zone, &err))
        fail_msg("%s", err.text);
    return zone;
}

static void expect_time(int64_t at, const char *expected)
{
    char text[TIME_TEXT_MAX];
    assert_string_equal(time_format(text, at), expected);
}

/* At that instant the clocks show `local`, by that offset. */
static void expect_at(const struct zone *zone, const char *at, const char *local, int offset_s,
                      const char *abbreviation)
{
    struct zone_span span;
    zone_at(zone, ms(at), &span);
    assert_int_equal(span.offset_s, offset_s);
    assert_string_equal(span.abbreviation, abbreviation);
    assert_true(span.from_ms <= ms(at) && ms(at) < span.until_ms);
    assert_true(zone_local(zone, ms(at)) == ms(local));
}

/* `expected`: the instants, with a space between two; after "gap ", the first instant after it. */
static void expect_instants(const struct zone *zone, const char *local, const char *expected)
{
    int64_t at[2];
    char text[2 * TIME_TEXT_MAX + 8], one[TIME_TEXT_MAX];
    int n = zone_instants(zone, ms(local), at);
    snprintf(text, sizeof text, "%s%s", n == 0 ? "gap " : "", time_format(one, at[0]));
    if (n == 2)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s", time_format(one, at[1]));
    assert_string_equal(text, expected);
}

/* ---- Instants ---- */

static void no_zone_is_utc(void **state)
{
    (void)state;
    struct zone_span span;
    int64_t at[2], change;
    zone_at(NULL, 0, &span);
    assert_int_equal(span.offset_s, 0);
    assert_string_equal(span.abbreviation, "UTC");
    assert_true(span.from_ms == -ZONE_MS_MAX && span.until_ms == ZONE_MS_MAX);
    assert_int_equal(zone_instants(NULL, 12345, at), 1);
    assert_true(at[0] == 12345);
    assert_false(zone_next_change(NULL, 0, &change));
    zone_free(NULL);
}

static void a_real_zone_has_its_offsets_folds_and_gaps(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    expect_at(zone, "2024-03-31T00:59:59.999", "2024-03-31T01:59:59.999", 3600, "CET");
    expect_at(zone, "2024-03-31T01:00", "2024-03-31T03:00", 7200, "CEST");
    expect_at(zone, "2024-10-27T01:00", "2024-10-27T02:00", 3600, "CET");
    expect_at(zone, "1800-01-01", "1800-01-01T00:53:28", 3208, "LMT");
    expect_instants(zone, "2024-03-31T02:30", "gap 2024-03-31T01:00:00.000Z");
    expect_instants(zone, "2024-03-31T02:00", "gap 2024-03-31T01:00:00.000Z");
    expect_instants(zone, "2024-03-31T03:00", "2024-03-31T01:00:00.000Z");
    expect_instants(zone, "2024-10-27T02:30", "2024-10-27T00:30:00.000Z 2024-10-27T01:30:00.000Z");
    expect_instants(zone, "2024-10-27T03:00", "2024-10-27T02:00:00.000Z");
    expect_instants(zone, "2024-06-01T12:00", "2024-06-01T10:00:00.000Z");
    zone_free(zone);
}

static void times_beyond_the_last_transition_follow_the_rule(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    int64_t change;
    expect_at(zone, "2524-07-01", "2524-07-01T02:00", 7200, "CEST");
    expect_at(zone, "9999-12-31T12:00", "9999-12-31T13:00", 3600, "CET");
    expect_instants(zone, "2100-03-28T02:30", "gap 2100-03-28T01:00:00.000Z");
    assert_true(zone_next_change(zone, ms("2100-01-01"), &change));
    expect_time(change, "2100-03-28T01:00:00.000Z");
    assert_true(zone_next_change(zone, change, &change));
    expect_time(change, "2100-10-31T01:00:00.000Z");
    zone_free(zone);
}

static void odd_zones_are_right(void **state)
{
    (void)state;
    struct zone *zone = load("Australia/Lord_Howe"); /* half an hour */
    expect_instants(zone, "2024-04-07T01:45", "2024-04-06T14:45:00.000Z 2024-04-06T15:15:00.000Z");
    expect_instants(zone, "2024-10-06T02:15", "gap 2024-10-05T15:30:00.000Z");
    zone_free(zone);
    zone = load("Pacific/Apia"); /* 30 December 2011 was not */
    expect_instants(zone, "2011-12-30T12:00", "gap 2011-12-30T10:00:00.000Z");
    expect_instants(zone, "2011-12-31T00:00", "2011-12-30T10:00:00.000Z");
    zone_free(zone);
    zone = load("Africa/Casablanca"); /* back an hour in Ramadan */
    expect_at(zone, "2026-03-01T12:00", "2026-03-01T12:00", 0, "+00");
    expect_at(zone, "2026-06-01T12:00", "2026-06-01T13:00", 3600, "+01");
    zone_free(zone);
    zone = load("Antarctica/Troll"); /* two hours */
    expect_instants(zone, "2024-03-31T01:30", "gap 2024-03-31T01:00:00.000Z");
    expect_instants(zone, "2024-10-27T02:00", "2024-10-27T00:00:00.000Z 2024-10-27T02:00:00.000Z");
    zone_free(zone);
    zone = load("Africa/Monrovia"); /* 0:44:30 until 1972 */
    expect_at(zone, "1971-06-01", "1971-05-31T23:15:30", -2670, "MMT");
    zone_free(zone);
}

static void summer_time_may_be_in_winter(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Dublin");
    struct zone_span span;
    zone_at(zone, ms("2040-01-15"), &span);
    assert_int_equal(span.offset_s, 0);
    zone_at(zone, ms("2040-07-15"), &span);
    assert_int_equal(span.offset_s, 3600);
    zone_free(zone);
    zone = zone_of_rule("IST-1GMT0,M10.5.0,M3.5.0/1");
    zone_at(zone, ms("2024-12-31T23:59"), &span);
    assert_true(span.is_dst);
    assert_int_equal(span.offset_s, 0);
    assert_true(span.from_ms == ms("2024-10-27T01:00") && span.until_ms == ms("2025-03-30T01:00"));
    zone_free(zone);
}

static void every_form_of_a_rule_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *after, *change;
    } cases[] = {
        {"AAA3BBB,J60/0,J300/0", "2024-01-01", "2024-03-01T03:00:00.000Z"},
        {"AAA3BBB,59/0,J300/0", "2024-01-01", "2024-02-29T03:00:00.000Z"},
        {"AAA3BBB,59/0,J300/0", "2023-01-01", "2023-03-01T03:00:00.000Z"},
        {"AAA3BBB,J60/0,J300/0", "2024-04-01", "2024-10-27T02:00:00.000Z"},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-01-01", "2024-03-31T01:00:00.000Z"},
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-01-01", "2024-03-30T00:00:00.000Z"},
        {"AAA3:30:15BBB-1,M12.5.0/167,M2.1.1", "2024-06-01", "2025-01-05T02:30:15.000Z"},
        {"AAA0BBB,M2.5.1/2:30:30,M3.1.1", "2024-01-01", "2024-02-26T02:30:30.000Z"},
        {"AAA0BBB,0/0,J365/0", "2024-06-01", "2024-12-30T23:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = zone_of_rule(cases[i].rule);
        int64_t at;
        assert_true(zone_next_change(zone, ms(cases[i].after), &at));
        expect_time(at, cases[i].change);
        zone_free(zone);
    }
    /* Summer time all year: nothing ever changes. */
    struct zone *zone = zone_of_rule("XXX3EDT4,0/0,J365/23");
    struct zone_span span;
    int64_t at;
    zone_at(zone, ms("2024-01-01T03:00"), &span);
    assert_true(span.is_dst);
    assert_false(zone_next_change(zone, ms("2024-06-01"), &at));
    assert_false(zone_next_change(zone, INT64_MIN, &at));
    zone_free(zone);
}

static void changes_of_the_file_come_before_the_rule(void **state)
{
    (void)state;
    static const int64_t at_s[] = {-100, 0, 1000};
    static const uint8_t kind[] = {1, 1, 0};
    static const struct kind kinds[] = {{0, 0, "LMT"}, {3600, 0, "AAA"}};
    struct file file = {at_s, kind, 3, kinds, 2, "BBB-2", '3', 0};
    struct zone *zone = zone_of(&file);
    struct zone_span span;
    int64_t at;
    expect_at(zone, "1969-12-31T00:00", "1969-12-31T00:00", 0, "LMT");
    zone_at(zone, -100000, &span);
    assert_string_equal(span.abbreviation, "AAA");
    zone_at(zone, -100001, &span);
    assert_string_equal(span.abbreviation, "LMT");
    zone_at(zone, 1000000, &span);
    assert_string_equal(span.abbreviation, "BBB");
    /* The change at 0 changes nothing. */
    assert_true(zone_next_change(zone, -100000, &at) && at == 1000000);
    assert_false(zone_next_change(zone, at, &at));
    zone_free(zone);
    file.version = 0; /* 32 bits, no rule: the last type goes on */
    zone = zone_of(&file);
    zone_at(zone, ms("9000-01-01"), &span);
    assert_string_equal(span.abbreviation, "LMT");
    assert_true(span.from_ms == 1000000 && span.until_ms == ZONE_MS_MAX);
    zone_free(zone);
}

static void civil_fields_come_and_go(void **state)
{
    (void)state;
    struct zone *zone = load("Asia/Kathmandu");
    struct zone_civil civil;
    zone_civil_at(zone, ms("2024-02-28T18:20:30.123"), &civil);
    assert_true(civil.year == 2024 && civil.month == 2 && civil.day == 29);
    assert_true(civil.hour == 0 && civil.minute == 5 && civil.second == 30);
    assert_true(civil.millisecond == 123 && civil.weekday == 4);
    assert_true(zone_local_of(&civil) == ms("2024-02-29T00:05:30.123"));
    zone_civil_of(-1, &civil);
    assert_true(civil.year == 1969 && civil.month == 12 && civil.day == 31 && civil.weekday == 3);
    assert_true(civil.hour == 23 && civil.millisecond == 999);
    assert_true(zone_local_of(&civil) == -1);
    zone_free(zone);
}

static void first_and_latest_are_each_others_inverse(void **state)
{
    (void)state;
    static const char *const names[] = {"Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia",
                                        "Africa/Casablanca"};
    for (size_t i = 0; i < 4; i++) {
        struct zone *zone = load(names[i]);
        int64_t change = ms("2010-01-01");
        for (int n = 0; n < 20 && zone_next_change(zone, change, &change); n++) {
            int64_t before = INT64_MIN;
            for (int64_t at = change - 90000000; at < change + 90000000; at += 300000) {
                int64_t local = zone_local(zone, at), first = zone_first(zone, local);
                assert_true(first <= at && zone_latest(zone, at) >= local);
                assert_true(zone_latest(zone, at) >= before);
                before = zone_latest(zone, at);
                assert_true(zone_first(zone, before) <= at);
                assert_true(zone_first(zone, before + 1) > at);
            }
        }
        zone_free(zone);
    }
}

static void the_ends_of_time_are_no_trouble(void **state)
{
    (void)state;
    static const int64_t instants[] = {INT64_MIN, -ZONE_MS_MAX, ZONE_MS_MAX - 1, INT64_MAX};
    struct zone *zones[] = {NULL, load("Europe/Berlin"), load("Asia/Tokyo")};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 4; k++) {
            struct zone_span span;
            int64_t at[2];
            assert_true(zone_instants(zones[i], instants[k], at) >= 0);
            zone_at(zones[i], instants[k], &span);
            assert_true(span.from_ms < span.until_ms);
            (void)zone_first(zones[i], instants[k]);
            (void)zone_latest(zones[i], instants[k]);
        }
        zone_free(zones[i]);
    }
}

/* ---- What is refused ---- */

static void a_broken_file_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const int64_t at_s[] = {5, 5};
    static const uint8_t kind[] = {1, 2};
    static const struct kind kinds[] = {{0, 0, "AAA"}, {3600, 0, "BBB"}, {0, 0, "CCC"}};
    static const struct kind far[] = {{93600, 0, "AAA"}}, flag[] = {{0, 2, "AAA"}};
    static const struct kind name[] = {{0, 0, "ABCDEFGHIJKLMNOP"}};
    struct file order = {at_s, kind, 2, kinds, 3, "", '2', 0};
    struct file type = {at_s, kind, 1, kinds, 1, "", '2', 0};
    struct file offset = {NULL, NULL, 0, far, 1, "", '2', 0};
    struct file flags = {NULL, NULL, 0, flag, 1, "", '2', 0};
    struct file names = {NULL, NULL, 0, name, 1, "", '2', 0};
    struct file leaps = {NULL, NULL, 0, kinds, 1, "", '2', 27};
    struct file version = {NULL, NULL, 0, kinds, 1, "", '1', 0};
    struct file none = {NULL, NULL, 0, kinds, 0, "", '2', 0};
    expect_file_refused(&order, "out of order");
    expect_file_refused(&type, "no type");
    expect_file_refused(&offset, "more than a day");
    expect_file_refused(&flags, "neither 0 nor 1");
    expect_file_refused(&names, "does not end");
    expect_file_refused(&leaps, "leap seconds");
    expect_file_refused(&version, "no version");
    expect_file_refused(&none, "do not fit together");
    expect_refused("", 0, "not a tz file");
    expect_refused("TZif", 4, "not a tz file");
    expect_refused("# table", 7, "not a tz file");
}

static void a_rule_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const rules[] = {"A",
                                        "AAA",
                                        "AAA25",
                                        "AAA3BBB",
                                        "AAA3BBB,M3.2.0",
                                        "AAA3BBB,M3.2.0,M13.1.0",
                                        "AAA3BBB,M3.6.0,M11.1.0",
                                        "AAA3BBB,M3.2.7,M11.1.0",
                                        "AAA3BBB,J0,J5",
                                        "AAA3BBB,5,366",
                                        "AAA3BBB,5,360/168",
                                        "AAA3BBB,5,360x",
                                        "<AAA3",
                                        "AAA3:60",
                                        "AAA3 "};
    static const struct kind kinds[] = {{0, 0, "AAA"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct file file = {NULL, NULL, 0, kinds, 1, rules[i], '2', 0};
        expect_file_refused(&file, "no TZ string");
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const int64_t at_s[] = {-100, 0};
    static const uint8_t kind[] = {1, 0};
    static const struct kind kinds[] = {{0, 0, "AAA"}, {3600, 1, "BBB"}};
    struct file file = {at_s, kind, 2, kinds, 2, "AAA0BBB,M3.2.0,M11.1.0", '2', 0};
    struct buf buf;
    buf_init(&buf);
    put_file(&buf, &file);
    for (size_t n = 0; n < buf.len; n++) {
        char *exact = malloc(n + 1); /* so that a sanitizer sees the end */
        assert_non_null(exact);
        memcpy(exact, buf.data, n);
        char *cut = realloc(exact, n ? n : 1);
        expect_refused(cut, n, "tz file");
        free(cut);
    }
    buf_fini(&buf);
}

static void counts_beyond_all_bounds_allocate_nothing(void **state)
{
    (void)state;
    uint8_t bytes[200] = "TZif2";
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 4; k++)
            bytes[20 + i * 4 + k] = 0xff;
    }
    expect_refused(bytes, sizeof bytes, "ends too early");
    bytes[4] = 0;
    bytes[28] = bytes[29] = bytes[30] = bytes[31] = 0;
    expect_refused(bytes, sizeof bytes, "more than 4096");
    char *large = calloc(1, ZONE_BYTES_MAX + 1);
    assert_non_null(large);
    expect_refused(large, ZONE_BYTES_MAX + 1, "larger than");
    free(large);
}

/* ---- The database ---- */

static void expect_not_loaded(const char *folder, const char *name, enum nx_code code,
                              const char *expected)
{
    struct zone *zone = NULL;
    struct nx_err err;
    assert_false(zone_file_load(folder, name, &zone, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, expected))
        fail_msg("'%s' does not say '%s'", err.text, expected);
}

static void an_unknown_zone_names_the_nearest(void **state)
{
    (void)state;
    const char *folder = zone_file_folder();
    expect_not_loaded(folder, "Europe/Belin", NX_E_NOT_FOUND,
                      "there is no time zone 'Europe/Belin'; did you mean 'Europe/Berlin'?");
    expect_not_loaded(folder, "europe/berlin", NX_E_NOT_FOUND, "did you mean 'Europe/Berlin'?");
    expect_not_loaded(folder, "Berlin", NX_E_NOT_FOUND, "did you mean 'Europe/Berlin'?");
    expect_not_loaded(folder, "America/New York", NX_E_NOT_FOUND, "mean 'America/New_York'?");
    expect_not_loaded(folder, "America/Argentina/Ushuaja", NX_E_NOT_FOUND,
                      "did you mean 'America/Argentina/Ushuaia'?");
    expect_not_loaded(folder, "utc", NX_E_NOT_FOUND, "did you mean 'UTC'?");
    expect_not_loaded(folder, "Xyzzyqwerty", NX_E_NOT_FOUND, "names are those of the tz database");
}

static void a_name_does_not_lead_out_of_the_database(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "..",
                                        "../Europe/Berlin",
                                        "Europe/../Europe/Berlin",
                                        "/usr/share/zoneinfo/Europe/Berlin",
                                        "./Europe/Berlin",
                                        "Europe//Berlin",
                                        "Europe/Berlin/",
                                        "Europe",
                                        "posix/Europe/Berlin",
                                        "right/Europe/Berlin",
                                        "localtime",
                                        "zone.tab",
                                        "tzdata.zi"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect_not_loaded(zone_file_folder(), names[i], NX_E_NOT_FOUND, "there is no time zone");
    char longer[200] = "E";
    memset(longer + 1, 'u', sizeof longer - 2);
    expect_not_loaded(zone_file_folder(), longer, NX_E_LIMIT, "at most 64 bytes");
}

static void a_missing_database_says_what_to_install(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    expect_not_loaded("/nonexistent", "Europe/Berlin", NX_E_NOT_FOUND,
                      "there is no tz database at /nonexistent; install the package tzdata");
    zone_free(zone);
    struct nx_err err;
    assert_true(zone_file_load("/nonexistent", "UTC", &zone, &err)); /* needs no file */
    assert_null(zone);
    setenv("NEXUS_ZONEINFO", "/nonexistent", 1);
    assert_string_equal(zone_file_folder(), "/nonexistent");
    unsetenv("NEXUS_ZONEINFO");
    assert_string_equal(zone_file_folder(), "/usr/share/zoneinfo");
}

static void a_broken_file_is_named(void **state)
{
    (void)state;
    char folder[] = "/tmp/zone_test.XXXXXX", path[64];
    struct nx_err err;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/Broken", folder);
    assert_true(path_write(path, "TZ", 2, &err));
    expect_not_loaded(folder, "Broken", NX_E_INVALID, "/Broken): this is not a tz file");
    expect_not_loaded(folder, "Broke", NX_E_NOT_FOUND, "did you mean 'Broken'?");
    assert_true(path_remove_tree(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_zone_is_utc),
        cmocka_unit_test(a_real_zone_has_its_offsets_folds_and_gaps),
        cmocka_unit_test(times_beyond_the_last_transition_follow_the_rule),
        cmocka_unit_test(odd_zones_are_right),
        cmocka_unit_test(summer_time_may_be_in_winter),
        cmocka_unit_test(every_form_of_a_rule_is_read),
        cmocka_unit_test(changes_of_the_file_come_before_the_rule),
        cmocka_unit_test(civil_fields_come_and_go),
        cmocka_unit_test(first_and_latest_are_each_others_inverse),
        cmocka_unit_test(the_ends_of_time_are_no_trouble),
        cmocka_unit_test(a_broken_file_is_refused_with_the_reason),
        cmocka_unit_test(a_rule_that_is_none_is_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(counts_beyond_all_bounds_allocate_nothing),
        cmocka_unit_test(an_unknown_zone_names_the_nearest),
        cmocka_unit_test(a_name_does_not_lead_out_of_the_database),
        cmocka_unit_test(a_missing_database_says_what_to_install),
        cmocka_unit_test(a_broken_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
