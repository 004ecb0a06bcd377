#include "worker/logs.h"

#include <unistd.h>

#include "lib/base/path.h"
#include "lib/base/rng.h"
#include "lib/wire/paths.h"
#include "nexus/limits.h"
#include "tests/unit/test.h"

struct fixture {
    char home[64], log[256];
    struct logs logs;
    struct buf got;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->home, sizeof f->home, "/tmp/nexus-logs-XXXXXX");
    assert_non_null(mkdtemp(f->home));
    logs_init(&f->logs);
    assert_true(attempt_path(f->log, sizeof f->log, f->home, PATH_LOG, 7, "load", -1, 1));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    logs_fini(&f->logs);
    buf_fini(&f->got);
    path_remove_tree(f->home, NULL);
    free(f);
    return 0;
}

static void begin(struct fixture *f)
{
    struct logs_place place = {f->home, 7, "load", -1, 1};
    logs_begin(&f->logs, &place);
}

static const char *content(struct fixture *f, const char *path)
{
    buf_clear(&f->got);
    assert_true(path_read(path, 1 << 30, &f->got, NULL));
    return buf_text(&f->got);
}

static void a_silent_attempt_makes_no_file(void **state)
{
    struct fixture *f = *state;
    begin(f);
    logs_mask(&f->logs, "secret", 6);
    logs_write(&f->logs, LOG_OUT, "", 0);
    logs_end(&f->logs);
    assert_false(path_exists(f->log));
    char folder[256];
    assert_true(run_logs_path(folder, sizeof folder, f->home, 7));
    assert_false(path_exists(folder));
}

static void bytes_are_kept_as_they_are_and_notes_are_lines(void **state)
{
    struct fixture *f = *state;
    static const char binary[] = "a\0b\xff\x1b[31m";
    begin(f);
    logs_write(&f->logs, LOG_OUT, binary, sizeof binary - 1);
    logs_note(&f->logs, "stopped after %d s", 5);
    logs_write(&f->logs, LOG_OUT, "end\n", 4);
    logs_note(&f->logs, "second");
    logs_end(&f->logs);
    content(f, f->log);
    static const char expected[] =
        "a\0b\xff\x1b[31m\nnexus: stopped after 5 s\nend\nnexus: second\n";
    assert_int_equal(f->got.len, sizeof expected - 1);
    assert_memory_equal(f->got.data, expected, f->got.len);
}

static void a_log_above_its_limit_keeps_head_notice_and_tail(void **state)
{
    struct fixture *f = *state;
    char line[32];
    f->logs.max = 1000;
    begin(f);
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(line, sizeof line, "line %06d\n", i);
        logs_write(&f->logs, LOG_OUT, line, (size_t)n);
    }
    logs_note(&f->logs, "the end");
    logs_end(&f->logs);
    const char *text = content(f, f->log);
    assert_true(f->got.len < 1000 + NX_LOG_TAIL + 300);
    assert_memory_equal(text, "line 000000\n", 12);
    assert_non_null(strstr(text, "nexus: the log is longer than 1000 bytes"));
    assert_non_null(strstr(text, "bytes are left out here\n"));
    assert_non_null(strstr(text, "line 019999\nnexus: the end\n"));
    /* Nothing is missing between the first line of the tail and the end. */
    const char *tail = strstr(strstr(text, "left out here\n"), "\nline ") + 1;
    for (int i = atoi(tail + 5); i < 20000; i++, tail += 12)
        assert_int_equal(atoi(tail + 5), i);
}

static void a_log_a_little_above_its_limit_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->logs.max = 10;
    begin(f);
    logs_write(&f->logs, LOG_OUT, "0123456789abc\n", 14);
    logs_end(&f->logs);
    const char *text = content(f, f->log);
    assert_memory_equal(text, "0123456789\nnexus: ", 18);
    assert_string_equal(text + f->got.len - 4, "abc\n");
    assert_null(strstr(text, "left out"));
}

static void secrets_are_masked_wherever_the_stream_is_cut(void **state)
{
    struct fixture *f = *state;
    const char *input = "x hunter2 hunter22 hunter hunte huhunter2 hunter2";
    const char *expected = "x *** *** hunter hunte hu*** ***";
    for (size_t cut1 = 0; cut1 <= strlen(input); cut1++) {
        for (size_t cut2 = cut1; cut2 <= strlen(input); cut2++) {
            struct mask mask;
            struct buf out;
            mask_init(&mask);
            buf_init(&out);
            mask_add(&mask, "hunter2", 7);
            mask_add(&mask, "hunter22", 8);
            mask_write(&mask, input, cut1, &out);
            mask_write(&mask, input + cut1, cut2 - cut1, &out);
            mask_write(&mask, input + cut2, strlen(input) - cut2, &out);
            assert_true(mask.held.len <= 7);
            mask_flush(&mask, &out);
            assert_string_equal(buf_text(&out), expected);
            mask_fini(&mask);
            buf_fini(&out);
        }
    }
    (void)f;
}

static void random_streams_are_masked_as_if_they_came_at_once(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    for (int round = 0; round < 2000; round++) {
        struct mask a, b;
        struct buf one = {0}, two = {0};
        char text[60];
        mask_init(&a);
        mask_init(&b);
        for (int i = 0; i < 3; i++) {
            char secret[6];
            size_t n = 1 + (size_t)rng_below(&rng, 5);
            for (size_t k = 0; k < n; k++)
                secret[k] = (char)('a' + rng_below(&rng, 2));
            mask_add(&a, secret, n);
            mask_add(&b, secret, n);
        }
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)('a' + rng_below(&rng, 3));
        mask_write(&a, text, sizeof text, &one);
        mask_flush(&a, &one);
        for (size_t at = 0; at < sizeof text;) {
            size_t n = 1 + (size_t)rng_below(&rng, 6);
            n = at + n > sizeof text ? sizeof text - at : n;
            mask_write(&b, text + at, n, &two);
            at += n;
        }
        mask_flush(&b, &two);
        assert_string_equal(buf_text(&one), buf_text(&two));
        mask_fini(&a);
        mask_fini(&b);
        buf_fini(&one);
        buf_fini(&two);
    }
}

static void what_is_no_secret_is_not_held_back(void **state)
{
    struct fixture *f = *state;
    begin(f);
    logs_mask(&f->logs, "hunter2", 7);
    logs_write(&f->logs, LOG_OUT, "progress\n", 9);
    assert_string_equal(content(f, f->log), "progress\n");
    logs_write(&f->logs, LOG_OUT, "hunt", 4);
    assert_string_equal(content(f, f->log), "progress\n");
    logs_end(&f->logs);
    assert_string_equal(content(f, f->log), "progress\n***");
    begin(f);
    logs_mask(&f->logs, "hunter2", 7);
    logs_write(&f->logs, LOG_OUT, "hun", 3);
    logs_end(&f->logs);
    assert_string_equal(content(f, f->log), "progress\n***hun"); /* as any word may end */
}

static void a_note_does_not_cut_a_secret_in_two(void **state)
{
    struct fixture *f = *state;
    begin(f);
    logs_mask(&f->logs, "hunter2", 7);
    logs_write(&f->logs, LOG_OUT, "it is hunt", 10);
    logs_note(&f->logs, "stopping: cancelled");
    logs_write(&f->logs, LOG_OUT, "er2\n", 4);
    logs_end(&f->logs);
    assert_string_equal(content(f, f->log), "it is \nnexus: stopping: cancelled\n***\n");
}

static void a_secret_at_the_limit_of_a_log_is_masked(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "0123456789 hunter2 9876543210\n";
    for (int max = 1; max < 32; max++) {
        for (size_t cut = 0; cut < sizeof text; cut++) {
            f->logs.max = max;
            unlink(f->log);
            begin(f);
            logs_mask(&f->logs, "hunter2", 7);
            logs_write(&f->logs, LOG_OUT, text, cut);
            logs_write(&f->logs, LOG_OUT, text + cut, sizeof text - 1 - cut);
            logs_end(&f->logs);
            assert_null(strstr(content(f, f->log), "hun"));
            assert_null(strstr(buf_text(&f->got), "er2"));
        }
    }
}

static void metrics_and_resolved_values_are_files_beside_the_log(void **state)
{
    struct fixture *f = *state;
    char path[256];
    begin(f);
    logs_metric(&f->logs, "loss \"a\"", 0.5, 3, 0);
    logs_metric(&f->logs, "bad", 0.0 / 0.0, -1, 1500);
    logs_resolved(&f->logs, "{\"with\": {}}", 12);
    logs_end(&f->logs);
    assert_true(attempt_path(path, sizeof path, f->home, PATH_METRICS, 7, "load", -1, 1));
    assert_string_equal(content(f, path),
                        "{\"name\": \"loss \\\"a\\\"\", \"value\": 0.5, \"step\": 3, "
                        "\"at\": \"1970-01-01T00:00:00.000Z\"}\n"
                        "{\"name\": \"bad\", \"value\": null, \"step\": null, "
                        "\"at\": \"1970-01-01T00:00:01.500Z\"}\n");
    assert_true(attempt_path(path, sizeof path, f->home, PATH_RESOLVED, 7, "load", -1, 1));
    assert_string_equal(content(f, path), "{\"with\": {}}");
}

/* "out:offset err:offset ..." of the log's stamps; their times must not go back. */
static const char *stamps(struct fixture *f)
{
    static char text[1024];
    char path[256];
    int64_t at_ms = 1;
    text[0] = 0;
    assert_true(attempt_path(path, sizeof path, f->home, PATH_STAMPS, 7, "load", -1, 1));
    content(f, path);
    assert_int_equal(f->got.len % STAMP_BYTES, 0);
    for (size_t i = 0; i < f->got.len; i += STAMP_BYTES) {
        struct stamp stamp = stamp_decode(f->got.data + i);
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%s:%llu", i ? " " : "",
                 log_stream_name(stamp.stream), (unsigned long long)stamp.offset);
        assert_true(stamp.at_ms >= at_ms);
        at_ms = stamp.at_ms;
    }
    return text;
}

/* As if no time went on: only streams make stamps. */
static void stop_time(struct fixture *f)
{
    f->logs.stamps.n = 7u * 131072;
    f->logs.stamps.last.stream = LOG_UNKNOWN;
}

static void each_line_has_its_stream(void **state)
{
    struct fixture *f = *state;
    begin(f);
    stop_time(f);
    logs_write(&f->logs, LOG_OUT, "a\nb\n", 4);
    logs_write(&f->logs, LOG_ERR, "c\n", 2);
    logs_write(&f->logs, LOG_ERR, "d\n", 2);
    logs_write(&f->logs, LOG_OUT, "e\n", 2);
    logs_note(&f->logs, "f");
    logs_write(&f->logs, LOG_OUT, "g", 1);
    logs_end(&f->logs);
    assert_string_equal(content(f, f->log), "a\nb\nc\nd\ne\nnexus: f\ng");
    assert_string_equal(stamps(f), "out:0 err:4 out:8 nexus:10 out:19");
}

static void streams_do_not_get_into_each_others_lines(void **state)
{
    struct fixture *f = *state;
    begin(f);
    stop_time(f);
    logs_mask(&f->logs, "hunter2", 7);
    logs_write(&f->logs, LOG_OUT, "out one hun", 11);
    logs_write(&f->logs, LOG_ERR, "err one hunter2\nerr hun", 23);
    logs_write(&f->logs, LOG_OUT, "ter2\nout two", 12);
    logs_write(&f->logs, LOG_ERR, "ted\n", 4);
    logs_end(&f->logs);
    assert_string_equal(content(f, f->log), "err one ***\nout one ***\nerr hunted\nout two");
    assert_string_equal(stamps(f), "err:0 out:12 err:24 out:35");
}

static void the_end_of_a_line_is_waited_for_a_moment_only(void **state)
{
    struct fixture *f = *state;
    char long_line[LOGS_PART_MAX + 1];
    begin(f);
    logs_write(&f->logs, LOG_OUT, "50 %", 4);
    assert_false(path_exists(f->log));
    usleep((LOGS_PART_MS + 10) * 1000);
    logs_flush(&f->logs);
    assert_string_equal(content(f, f->log), "50 %");
    logs_write(&f->logs, LOG_OUT, " 60 %", 5);
    memset(long_line, 'x', sizeof long_line);
    logs_write(&f->logs, LOG_OUT, long_line, sizeof long_line);
    content(f, f->log);
    assert_int_equal(f->got.len, 9 + sizeof long_line);
    logs_end(&f->logs);
}

static void the_tail_of_a_long_log_has_stamps_too(void **state)
{
    struct fixture *f = *state;
    char line[100];
    f->logs.max = 10;
    begin(f);
    stop_time(f);
    memset(line, 'x', sizeof line);
    line[99] = '\n';
    logs_write(&f->logs, LOG_OUT, "0123456789\n", 11);
    for (int i = 0; i < 1000; i++)
        logs_write(&f->logs, LOG_OUT, line, sizeof line);
    f->logs.tail_marked.n = 7u * 131072 / LOGS_TAIL_STAMPS * LOGS_TAIL_STAMPS;
    f->logs.tail_marked.last.stream = LOG_UNKNOWN;
    for (int i = 0; i < 3; i++)
        logs_write(&f->logs, i == 1 ? LOG_ERR : LOG_OUT, line, sizeof line);
    logs_end(&f->logs);
    const char *text = content(f, f->log);
    long long cut = strstr(text, "\nnexus") - text, left = strstr(text, "nexus: 3") - text;
    char expected[200];
    snprintf(expected, sizeof expected, "out:0 nexus:%lld nexus:%lld out:%lld err:%lld out:%lld",
             cut, left, (long long)f->got.len - 300, (long long)f->got.len - 200,
             (long long)f->got.len - 100);
    const char *got = stamps(f);
    assert_non_null(strstr(got, strstr(expected, " err:")));
    assert_memory_equal(got, "out:0 nexus:10", 14);
}

static void stamps_are_few_whatever_is_printed(void **state)
{
    (void)state;
    uint64_t n = 0;
    int64_t ms = 0;
    while (stamp_step_ms(n) < INT64_MAX) {
        ms += stamp_step_ms(n++);
        assert_true(n <= STAMPS_MAX);
    }
    assert_true(ms > 24ll * 86400 * 1000); /* so long each can have its own */
}

static void a_log_that_cannot_be_written_says_why_and_harms_nothing(void **state)
{
    struct fixture *f = *state;
    struct logs_place place = {"/proc/none", 7, "load", 3, 1};
    logs_begin(&f->logs, &place);
    for (int i = 0; i < 10; i++)
        logs_write(&f->logs, LOG_OUT, "hello\n", 6);
    logs_metric(&f->logs, "m", 1, 1, 1);
    logs_end(&f->logs);
    assert_int_equal(f->logs.failed.code, NX_E_IO);
}

static void paths_name_run_task_map_and_attempt(void **state)
{
    (void)state;
    char path[256];
    assert_true(attempt_path(path, sizeof path, "/h", PATH_LOG, 12, "load", 3, 2));
    assert_string_equal(path, "/h/logs/12/load.3/2.log");
    assert_true(attempt_path(path, sizeof path, "/h", PATH_METRICS, 12, "load", -1, 2));
    assert_string_equal(path, "/h/logs/12/load/2.metrics.jsonl");
    assert_false(attempt_path(path, 10, "/h", PATH_LOG, 12, "load", -1, 2));
    assert_string_equal(path, "");
}

int main(void)
{
#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_HOME(a_silent_attempt_makes_no_file),
        WITH_HOME(bytes_are_kept_as_they_are_and_notes_are_lines),
        WITH_HOME(a_log_above_its_limit_keeps_head_notice_and_tail),
        WITH_HOME(a_log_a_little_above_its_limit_loses_nothing),
        WITH_HOME(secrets_are_masked_wherever_the_stream_is_cut),
        WITH_HOME(random_streams_are_masked_as_if_they_came_at_once),
        WITH_HOME(what_is_no_secret_is_not_held_back),
        WITH_HOME(a_note_does_not_cut_a_secret_in_two),
        WITH_HOME(a_secret_at_the_limit_of_a_log_is_masked),
        WITH_HOME(metrics_and_resolved_values_are_files_beside_the_log),
        WITH_HOME(each_line_has_its_stream),
        WITH_HOME(streams_do_not_get_into_each_others_lines),
        WITH_HOME(the_end_of_a_line_is_waited_for_a_moment_only),
        WITH_HOME(the_tail_of_a_long_log_has_stamps_too),
        cmocka_unit_test(stamps_are_few_whatever_is_printed),
        WITH_HOME(a_log_that_cannot_be_written_says_why_and_harms_nothing),
        cmocka_unit_test(paths_name_run_task_map_and_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
