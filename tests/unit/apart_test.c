/* Work in short-lived children. */
#include "lib/base/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/unit/test.h"

static enum apart_end run(const char *script, struct apart apart, struct buf *out, int *status)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    apart.argv = argv;
    apart.in = apart.in ? apart.in : open("/dev/null", O_RDONLY | O_CLOEXEC);
    *status = 0;
    buf_clear(out);
    enum apart_end end = apart_run(&apart, out, status);
    close(apart.in);
    return end;
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static void a_child_reads_answers_and_ends(void **state)
{
    (void)state;
    static const char *const env[] = {"WORD=hello", NULL};
    struct buf out = {0};
    int status, fds[2];
    const struct apart usual = {.out_max = 1000, .timeout_ms = 10000};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(apart_write(fds[1], "said", 4));
    close(fds[1]);
    assert_int_equal(
        run("cat; echo \" $WORD ${HOME-none}\"; exit 3",
            (struct apart){.in = fds[0], .env = env, .out_max = 1000, .timeout_ms = 10000}, &out,
            &status),
        APART_ENDED);
    assert_string_equal(buf_text(&out), "said hello none\n");
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(run("kill -TERM $$", usual, &out, &status), APART_ENDED);
    assert_int_equal(WTERMSIG(status), SIGTERM);
    buf_fini(&out);
}

static void one_that_is_slow_long_or_not_wanted_is_killed(void **state)
{
    (void)state;
    struct buf out = {0};
    int status;
    int64_t began = clock_mono_ms();
    const struct apart slow = {.out_max = 1000, .timeout_ms = 100};
    const struct apart quiet = {.out_max = 1000, .timeout_ms = 60000};
    const struct apart unwanted = {.out_max = 1000, .timeout_ms = 60000, .cancelled = always};
    assert_int_equal(run("exec sleep 60", slow, &out, &status), APART_LATE);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(run("exec yes", quiet, &out, &status), APART_TOO_LONG);
    assert_int_equal(run("exec sleep 60", unwanted, &out, &status), APART_CANCELLED);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_true(clock_mono_ms() - began < 30000);
    buf_fini(&out);
}

static void what_cannot_be_started_is_told(void **state)
{
    (void)state;
    struct buf out = {0};
    int status = 0;
    const char *const argv[] = {"/nowhere/at/all", NULL};
    const struct apart apart = {.argv = argv, .in = 0, .out_max = 10, .timeout_ms = 1000};
    assert_int_equal(apart_run(&apart, &out, &status), APART_NOT_STARTED);
    assert_int_equal(errno, ENOENT);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_reads_answers_and_ends),
        cmocka_unit_test(one_that_is_slow_long_or_not_wanted_is_killed),
        cmocka_unit_test(what_cannot_be_started_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
