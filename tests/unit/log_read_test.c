/* Lines of logs as the API reads them: places, times, streams, whatever is in the files. */
#include "scheduler/port/log_read.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/base/rng.h"
#include "tests/unit/test.h"

struct fixture {
    char folder[64], log[96], stamps[96];
    struct log_reader reader;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/nexus-lines-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->log, sizeof f->log, "%s/1.log", f->folder);
    snprintf(f->stamps, sizeof f->stamps, "%s/1.stamps", f->folder);
    log_reader_begin(&f->reader, -1, -1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    log_reader_end(&f->reader);
    path_remove_tree(f->folder, NULL);
    free(f);
    return 0;
}

static void open_both(struct fixture *f, const char *p, size_t n, const struct buf *stamps)
{
    log_reader_end(&f->reader);
    assert_true(path_write(f->log, p, n, NULL));
    assert_true(path_write(f->stamps, stamps->data ? stamps->data : "", stamps->len, NULL));
    log_reader_begin(&f->reader, open(f->log, O_RDONLY), open(f->stamps, O_RDONLY));
}

static void stamp(struct buf *to, uint64_t offset, int64_t at_ms, enum log_stream stream)
{
    stamp_encode(to, &(struct stamp){offset, at_ms, stream});
}

static void each_line_has_place_time_and_stream(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "one\n\ntwo\r\npart, rest\nend";
    struct buf stamps = {0};
    struct log_line line;
    stamp(&stamps, 0, 1000, LOG_OUT);
    stamp(&stamps, 5, 1001, LOG_ERR);
    stamp(&stamps, 10, 1005, LOG_OUT);
    stamp(&stamps, 16, 1009, LOG_OUT); /* in the middle of a line */
    open_both(f, text, sizeof text - 1, &stamps);
    static const struct {
        uint64_t offset, n_bytes;
        bool whole;
        int64_t at_ms;
        enum log_stream stream;
    } expected[] = {{0, 3, true, 1000, LOG_OUT},
                    {4, 0, true, 1000, LOG_OUT},
                    {5, 4, true, 1001, LOG_ERR},
                    {10, 10, true, 1005, LOG_OUT},
                    {21, 3, false, 1009, LOG_OUT}};
    for (size_t i = 0; i < 5; i++) {
        assert_true(log_reader_next(&f->reader, &line));
        assert_int_equal(line.offset, expected[i].offset);
        assert_int_equal(line.n_bytes, expected[i].n_bytes);
        assert_int_equal(line.whole, expected[i].whole);
        assert_int_equal(line.at_ms, expected[i].at_ms);
        assert_int_equal(line.stream, expected[i].stream);
        assert_memory_equal(line.text, text + line.offset, line.n_text);
    }
    assert_false(log_reader_next(&f->reader, &line));
    static const struct {
        int64_t at_ms;
        uint64_t offset;
    } seeks[] = {{0, 0}, {1000, 0}, {1001, 5}, {1002, 10}, {1005, 10}, {1006, 21}, {1010, 24}};
    for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
        log_reader_seek_time(&f->reader, seeks[i].at_ms);
        assert_int_equal(f->reader.offset, seeks[i].offset);
    }
    buf_fini(&stamps);
}

static void a_long_line_is_shown_in_part_and_counted_in_full(void **state)
{
    struct fixture *f = *state;
    struct buf text = {0}, stamps = {0};
    struct log_line line;
    memset(buf_reserve(&text, 1000000), 'x', 1000000);
    text.len = 1000000;
    buf_str(&text, "\nnext\n");
    open_both(f, text.data, text.len, &stamps);
    assert_true(log_reader_next(&f->reader, &line));
    assert_int_equal(line.n_bytes, 1000000);
    assert_int_equal(line.n_text, LOG_SHOWN_MAX);
    assert_int_equal(line.at_ms, 0);
    assert_int_equal(line.stream, LOG_UNKNOWN);
    assert_true(log_reader_next(&f->reader, &line));
    assert_string_equal(line.text, "next");
    assert_int_equal(line.offset, 1000001);
    buf_fini(&text);
}

static void a_log_that_grows_is_read_on(void **state)
{
    struct fixture *f = *state;
    struct buf stamps = {0};
    struct log_line line;
    open_both(f, "a\nb", 3, &stamps);
    assert_true(log_reader_next(&f->reader, &line));
    assert_true(log_reader_next(&f->reader, &line));
    assert_false(line.whole);
    assert_false(log_reader_next(&f->reader, &line));
    int fd = open(f->log, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "c\nd\n", 4), 4);
    close(fd);
    log_reader_seek(&f->reader, 2);
    f->reader.n_piece = 0;
    assert_true(log_reader_next(&f->reader, &line));
    assert_string_equal(line.text, "bc");
    assert_true(log_reader_next(&f->reader, &line));
    assert_string_equal(line.text, "d");
}

/* Else it would be shown in its true place by who asks again, and so twice. */
static void a_line_that_comes_while_others_are_read_has_its_own_time(void **state)
{
    struct fixture *f = *state;
    struct buf stamps = {0};
    struct log_line line;
    stamp(&stamps, 0, 1000, LOG_OUT);
    open_both(f, "a\n", 2, &stamps);
    buf_clear(&stamps);
    stamp(&stamps, 2, 2000, LOG_ERR);
    int fd = open(f->stamps, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, stamps.data, stamps.len), stamps.len);
    close(fd);
    fd = open(f->log, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "b\n", 2), 2);
    close(fd);
    assert_true(log_reader_next(&f->reader, &line));
    assert_int_equal(line.at_ms, 1000);
    assert_true(log_reader_next(&f->reader, &line));
    assert_string_equal(line.text, "b");
    assert_int_equal(line.at_ms, 2000);
    assert_int_equal(line.stream, LOG_ERR);
    buf_fini(&stamps);
}

static void any_bytes_are_read_without_harm(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    rng_init(&rng, 11);
    for (int round = 0; round < 300; round++) {
        struct buf text = {0}, stamps = {0};
        struct log_line line;
        uint64_t at = 0;
        size_t n = (size_t)rng_below(&rng, 3000), n_stamps = (size_t)rng_below(&rng, 200);
        for (size_t i = 0; i < n; i++)
            buf_char(&text, rng_chance(&rng, 1, 20) ? '\n' : (char)rng_next(&rng));
        for (size_t i = 0; i < n_stamps; i++)
            buf_u8(&stamps, (uint8_t)rng_below(&rng, 3));
        open_both(f, text.data ? text.data : "", text.len, &stamps);
        log_reader_seek_time(&f->reader, (int64_t)rng_next(&rng));
        assert_true(f->reader.offset <= n);
        log_reader_seek(&f->reader, 0);
        while (log_reader_next(&f->reader, &line)) {
            assert_int_equal(line.offset, at);
            assert_int_equal(line.n_bytes, line.n_text);
            assert_memory_equal(line.text, text.data + at, line.n_text);
            at += line.n_bytes + line.whole;
        }
        assert_int_equal(at, n);
        buf_fini(&text);
        buf_fini(&stamps);
    }
}

static void lines_that_fold_are_known(void **state)
{
    (void)state;
    const char *name;
    size_t n;
    assert_int_equal(log_fold("::group::Set up\r", 16, &name, &n), FOLD_BEGINS);
    assert_int_equal(n, 6);
    assert_memory_equal(name, "Set up", 6);
    assert_int_equal(log_fold("::group::", 9, &name, &n), FOLD_BEGINS);
    assert_int_equal(n, 0);
    assert_int_equal(log_fold("::endgroup::", 12, &name, &n), FOLD_ENDS);
    assert_int_equal(log_fold("::endgroup::x", 13, &name, &n), FOLD_NONE);
    assert_int_equal(log_fold(" ::group::x", 11, &name, &n), FOLD_NONE);
    assert_int_equal(log_fold("::grou", 6, &name, &n), FOLD_NONE);
    assert_int_equal(log_fold(NULL, 0, &name, &n), FOLD_NONE);
}

int main(void)
{
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FILES(each_line_has_place_time_and_stream),
        WITH_FILES(a_long_line_is_shown_in_part_and_counted_in_full),
        WITH_FILES(a_log_that_grows_is_read_on),
        WITH_FILES(a_line_that_comes_while_others_are_read_has_its_own_time),
        WITH_FILES(any_bytes_are_read_without_harm),
        cmocka_unit_test(lines_that_fold_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
