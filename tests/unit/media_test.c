/* Media types of files. */
#include "lib/text/media.h"

#include "tests/unit/test.h"

static void the_ending_of_a_name_says_what_it_is(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"a.png", "image/png"},
        {"deep.er/B.JPG", "image/jpeg"},
        {"page.html", "text/html; charset=utf-8"},
        {"drawing.svg", "image/svg+xml"},
        {"rows.csv", "text/csv; charset=utf-8"},
        {"lines.jsonl", "application/x-ndjson"},
        {"t.parquet", "application/vnd.apache.parquet"},
        {"archive.tar.gz", "application/gzip"},
        {".csv", "text/csv; charset=utf-8"},
    };
    static const char *const unknown[] = {"", "a", "a.", "png", "a.png/b", "a.png ", "x.unknown"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(media_of_name(names[i][0]), names[i][1]);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_null(media_of_name(unknown[i]));
}

static void what_a_page_could_load_to_run_is_plain_text(void **state)
{
    (void)state;
    static const char *const names[] = {"a.js", "a.mjs", "a.cjs", "a.css", "A.JS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(media_is(media_of_name(names[i]), "text/plain"));
}

static void content_says_what_a_name_does_not(void **state)
{
    (void)state;
    char cut[MEDIA_HEAD];
    assert_string_equal(media_of_content("\x89PNG\r\n\x1a\nrest", 12), "image/png");
    assert_string_equal(media_of_content("RIFF1234WEBPVP8 ", 16), "image/webp");
    assert_string_equal(media_of_content("PAR1....", 8), "application/vnd.apache.parquet");
    assert_string_equal(media_of_content("", 0), "text/plain; charset=utf-8");
    assert_string_equal(media_of_content("\tgr\xc3\xbc\xc3\x9f\x65\r\n\x1b[1m", 14),
                        "text/plain; charset=utf-8");
    assert_string_equal(media_of_content("a\0b", 3), "application/octet-stream");
    assert_string_equal(media_of_content("a\x01", 2), "application/octet-stream");
    assert_string_equal(media_of_content("latin \xfc", 7), "application/octet-stream");
    /* Markup without a name is never taken for markup. */
    assert_string_equal(media_of_content("<html><script>", 14), "text/plain; charset=utf-8");
    memset(cut, 'x', sizeof cut);
    cut[MEDIA_HEAD - 1] = (char)0xc3; /* the first half of a letter */
    assert_string_equal(media_of_content(cut, sizeof cut), "text/plain; charset=utf-8");
    cut[MEDIA_HEAD - 9] = (char)0xc3; /* but not in the middle */
    assert_string_equal(media_of_content(cut, sizeof cut), "application/octet-stream");
}

static void types_are_compared_without_their_parameters(void **state)
{
    (void)state;
    assert_true(media_is("text/csv; charset=utf-8", "text/csv"));
    assert_true(media_is("text/csv", "text/csv"));
    assert_false(media_is("text/csvs", "text/csv"));
    assert_false(media_is("text/cs", "text/csv"));
    assert_false(media_is(NULL, "text/csv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ending_of_a_name_says_what_it_is),
        cmocka_unit_test(what_a_page_could_load_to_run_is_plain_text),
        cmocka_unit_test(content_says_what_a_name_does_not),
        cmocka_unit_test(types_are_compared_without_their_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
