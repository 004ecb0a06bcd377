/* The lines of a log that contain a text. */
#include "scheduler/port/sieve.h"

#include "tests/unit/test.h"

static void expect(const char *text, const char *input, size_t n, size_t piece, const char *wanted)
{
    struct sieve sieve;
    struct buf got = {0};
    char room[7];
    sieve_init(&sieve, text);
    for (size_t at = 0; at < n; at += piece) {
        sieve_add(&sieve, input + at, n - at < piece ? n - at : piece);
        if (at % 2)
            for (size_t k; (k = sieve_take(&sieve, room, sizeof room));)
                buf_add(&got, room, k);
    }
    sieve_end(&sieve);
    for (size_t k; (k = sieve_take(&sieve, room, sizeof room));)
        buf_add(&got, room, k);
    assert_string_equal(buf_text(&got), wanted);
    sieve_fini(&sieve);
    buf_fini(&got);
}

static void lines_with_the_text_come_through_however_the_stream_is_cut(void **state)
{
    (void)state;
    static const char input[] = "an error\n\nfine\nerr\nor\nthe error again\nlast error";
    for (size_t piece = 1; piece <= sizeof input; piece++) {
        expect("error", input, sizeof input - 1, piece, "an error\nthe error again\nlast error");
        expect("nothing", input, sizeof input - 1, piece, "");
        expect("r\no", input, sizeof input - 1, piece, "");
        expect("\n", input, sizeof input - 1, piece,
               "an error\n\nfine\nerr\nor\nthe error again\n");
    }
}

static void a_line_without_end_is_looked_at_in_pieces(void **state)
{
    (void)state;
    struct sieve sieve;
    struct buf line = {0};
    sieve_init(&sieve, "needle");
    buf_str(&line, "needle");
    while (line.len < 10 * SIEVE_LINE_MAX)
        buf_char(&line, 'x');
    sieve_add(&sieve, line.data, line.len);
    assert_int_equal(sieve.out.len, SIEVE_LINE_MAX);
    assert_true(sieve.line.len < SIEVE_LINE_MAX);
    sieve_fini(&sieve);
    buf_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_with_the_text_come_through_however_the_stream_is_cut),
        cmocka_unit_test(a_line_without_end_is_looked_at_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
