/* nexus-task --child, driven as a worker drives it. */
#include <poll.h>
#include <signal.h>

#include "lib/base/clock.h"
#include "tests/child_driver.h"
#include "tests/unit/test.h"

#define NOOP "{\"uses\":\"flow.noop\"}"

static int begin(void **state)
{
    char program[PATH_MAX_BYTES];
    const char *root = getenv("TMPDIR");
    struct buf frame = {0};
    struct driven *d = calloc(1, sizeof *d);
    snprintf(d->folder, sizeof d->folder, "%s/nexus-child-XXXXXX",
             root && strlen(root) < 40 ? root : "/tmp");
    assert_non_null(mkdtemp(d->folder));
    driven_program(program, sizeof program);
    driven_start(d, program);
    struct child_message ready = driven_receive(d, &frame);
    assert_int_equal(ready.type, CHILD_READY);
    assert_int_equal(ready.u.ready.protocol, CHILD_PROTOCOL);
    assert_string_equal(ready.u.ready.version.at, NEXUS_VERSION);
    buf_fini(&frame);
    *state = d;
    return 0;
}

/* Waits for the process's end; its wait status. */
static int ended(struct driven *d)
{
    int status = -1;
    for (int i = 0; i < 1000 && d->pid; i++) {
        if (waitpid(d->pid, &status, WNOHANG) == d->pid)
            d->pid = 0;
        else
            clock_sleep_ms(5);
    }
    return d->pid ? -1 : status;
}

static int finish(void **state)
{
    struct driven *d = *state;
    if (d->fd >= 0)
        close(d->fd);
    int status = d->pid ? ended(d) : 0;
    if (d->pid)
        kill(d->pid, SIGKILL);
    close(d->out_fd);
    path_remove_tree(d->folder, NULL);
    buf_fini(&d->inbox);
    free(d);
    return status == -1;
}

static struct child_message run(struct driven *d, uint64_t id, const char *definition,
                                const char *context, struct buf *frame)
{
    struct child_message start = driven_message(d, id, definition, context), message;
    driven_send(d, &start);
    do
        message = driven_receive(d, frame);
    while (message.type != CHILD_DONE);
    assert_true(message.ticket == d->ticket);
    return message;
}

/* What the child has printed so far. */
static void take_output(struct driven *d, struct buf *out)
{
    char bytes[4096];
    ssize_t n;
    buf_clear(out);
    while ((n = read(d->out_fd, bytes, sizeof bytes)) > 0)
        buf_add(out, bytes, (size_t)n);
}

static bool wait_output(struct driven *d, const char *text)
{
    struct buf out = {0};
    bool found = false;
    for (int i = 0; i < 500 && !found; i++) {
        struct pollfd fd = {.fd = d->out_fd, .events = POLLIN};
        poll(&fd, 1, 10);
        take_output(d, &out);
        found = strstr(buf_text(&out), text) != NULL;
    }
    buf_fini(&out);
    return found;
}

static void child_serves_attempts_and_reads_a_definition_once(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    for (int i = 0; i < 500; i++) {
        struct child_message done = run(d, 1, NOOP, NULL, &frame);
        assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
        assert_int_equal(done.u.done.exit_code, -1);
        assert_false(done.u.done.retire);
    }
    buf_fini(&frame);
}

static void child_takes_a_definition_again_that_fell_out_of_the_table(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    static const char *const definitions[2] = {
        NOOP, "{\"uses\":\"flow.fail\",\"with\":{\"message\":\"the other\"}}"};
    for (int i = 0; i < 6; i++) { /* two ids that share a slot */
        struct child_message done =
            run(d, 5 + CHILD_KNOWN * (uint64_t)(i % 2), definitions[i % 2], NULL, &frame);
        assert_int_equal(done.u.done.outcome, i % 2 ? CHILD_FAILED : CHILD_SUCCESS);
    }
    buf_fini(&frame);
}

static void child_fails_an_attempt_whose_definition_is_missing_or_broken(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    struct child_message done = run(d, 9, NULL, NULL, &frame);
    assert_int_equal(done.u.done.outcome, CHILD_FAILED);
    assert_string_equal(done.u.done.code.at, "internal");
    for (int i = 0; i < 2; i++) {
        done = run(d, 10, "{\"uses\":", NULL, &frame);
        assert_string_equal(done.u.done.code.at, "invalid");
        assert_true(done.u.done.permanent);
    }
    done = run(d, 1, NOOP, NULL, &frame);
    assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
    buf_fini(&frame);
}

static void child_has_written_all_output_when_it_says_done(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0}, out = {0};
    for (int i = 0; i < 20; i++) {
        run(d, 2, "{\"run\":\"echo one; echo two >&2\"}", NULL, &frame);
        take_output(d, &out);
        assert_string_equal(buf_text(&out), "one\ntwo\n");
    }
    buf_fini(&frame);
    buf_fini(&out);
}

static void child_cancels_an_operator(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    for (int i = 0; i < 3; i++) {
        int64_t started = clock_mono_ms();
        struct child_message message,
            start =
                driven_message(d, 3, "{\"uses\":\"flow.sleep\",\"with\":{\"duration\":60}}", NULL);
        driven_send(d, &start);
        message = driven_receive(d, &frame);
        assert_int_equal(message.type, CHILD_PROGRESS);
        struct child_message cancel = {.type = CHILD_CANCEL, .ticket = d->ticket};
        driven_send(d, &cancel);
        while (message.type != CHILD_DONE)
            message = driven_receive(d, &frame);
        assert_int_equal(message.u.done.outcome, CHILD_CANCELLED);
        assert_true(clock_mono_ms() - started < 10000);
        message = run(d, 1, NOOP, NULL, &frame);
        assert_int_equal(message.u.done.outcome, CHILD_SUCCESS);
    }
    buf_fini(&frame);
}

static void child_cancels_a_script(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    struct child_message message,
        start = driven_message(d, 4, "{\"run\":\"echo up; sleep 60\"}", NULL);
    driven_send(d, &start);
    assert_true(wait_output(d, "up"));
    struct child_message cancel = {.type = CHILD_CANCEL, .ticket = d->ticket};
    driven_send(d, &cancel);
    message = driven_receive(d, &frame);
    assert_int_equal(message.type, CHILD_DONE);
    assert_int_equal(message.u.done.outcome, CHILD_CANCELLED);
    assert_int_equal(message.u.done.signal, SIGTERM);
    buf_fini(&frame);
}

static void child_ignores_a_cancel_of_an_attempt_that_is_over(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    run(d, 1, NOOP, NULL, &frame);
    struct child_message late = {.type = CHILD_CANCEL, .ticket = d->ticket};
    driven_send(d, &late);
    struct child_message done =
        run(d, 6, "{\"uses\":\"flow.sleep\",\"with\":{\"duration\":\"60ms\"}}", NULL, &frame);
    assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
    buf_fini(&frame);
}

/* What the watcher thread reads and does not understand belongs to the main loop. */
static void child_keeps_a_start_that_came_during_an_attempt(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    struct child_message message, first, second;
    first =
        driven_message(d, 6, "{\"uses\":\"flow.sleep\",\"with\":{\"duration\":\"60ms\"}}", NULL);
    driven_send(d, &first);
    message = driven_receive(d, &frame);
    second = driven_message(d, 1, NOOP, NULL);
    driven_send(d, &second);
    while (message.type != CHILD_DONE)
        message = driven_receive(d, &frame);
    assert_true(message.ticket == first.ticket);
    message = driven_receive(d, &frame);
    assert_int_equal(message.type, CHILD_DONE);
    assert_true(message.ticket == second.ticket);
    buf_fini(&frame);
}

static void child_gives_scripts_a_clean_folder_each(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0}, out = {0};
    for (int i = 0; i < 4; i++) {
        struct child_message done =
            run(d, 7,
                "{\"run\":\"ls; ls $NEXUS_ARTIFACTS; echo x=1 >>$NEXUS_OUTPUT; touch a; mkdir "
                "b; echo c >b/c\"}",
                NULL, &frame);
        assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
        assert_string_equal(done.u.done.outputs.at, "{\"x\":\"1\"}");
        done = run(d, 8, "{\"run\":\"ls; [ ! -e $NEXUS_OUTPUT ]\"}", NULL, &frame);
        assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
        assert_int_equal(done.u.done.outputs.n, 0);
        take_output(d, &out);
        assert_string_equal(buf_text(&out), "");
    }
    buf_fini(&frame);
    buf_fini(&out);
}

static void child_survives_a_script_that_removes_its_folder(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    for (int i = 0; i < 3; i++) {
        struct child_message done = run(
            d, 20, "{\"run\":\"rm -rf \\\"$(dirname \\\"$NEXUS_OUTPUT\\\")\\\"\"}", NULL, &frame);
        assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
        done = run(d, 21, "{\"run\":\"pwd >/dev/null; echo a=1 >$NEXUS_OUTPUT\"}", NULL, &frame);
        assert_int_equal(done.u.done.outcome, CHILD_SUCCESS);
        assert_string_equal(done.u.done.outputs.at, "{\"a\":\"1\"}");
    }
    buf_fini(&frame);
}

static void child_ends_at_end_of_file(void **state)
{
    struct driven *d = *state;
    close(d->fd);
    d->fd = -1;
    assert_int_equal(ended(d), 0);
}

static void child_ends_when_told(void **state)
{
    struct driven *d = *state;
    struct child_message end = {.type = CHILD_END};
    driven_send(d, &end);
    assert_int_equal(ended(d), 0);
}

static void child_ends_on_a_signal_when_idle(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    run(d, 1, NOOP, NULL, &frame);
    clock_sleep_ms(20); /* back at its read */
    kill(d->pid, SIGTERM);
    assert_int_equal(ended(d), 0);
    buf_fini(&frame);
}

static void child_ends_on_a_signal_after_cancelling_its_attempt(void **state)
{
    struct driven *d = *state;
    struct buf frame = {0};
    struct child_message message,
        start = driven_message(d, 4, "{\"run\":\"echo up; sleep 60\"}", NULL);
    driven_send(d, &start);
    assert_true(wait_output(d, "up"));
    kill(d->pid, SIGTERM);
    message = driven_receive(d, &frame);
    assert_int_equal(message.u.done.outcome, CHILD_CANCELLED);
    assert_int_equal(ended(d), 0);
    buf_fini(&frame);
}

static void child_gives_up_on_a_broken_stream(void **state)
{
    struct driven *d = *state;
    assert_true(send(d->fd, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL) == 4);
    int status = ended(d);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(child_serves_attempts_and_reads_a_definition_once),
        CASE(child_takes_a_definition_again_that_fell_out_of_the_table),
        CASE(child_fails_an_attempt_whose_definition_is_missing_or_broken),
        CASE(child_has_written_all_output_when_it_says_done),
        CASE(child_cancels_an_operator),
        CASE(child_cancels_a_script),
        CASE(child_ignores_a_cancel_of_an_attempt_that_is_over),
        CASE(child_keeps_a_start_that_came_during_an_attempt),
        CASE(child_gives_scripts_a_clean_folder_each),
        CASE(child_survives_a_script_that_removes_its_folder),
        CASE(child_ends_at_end_of_file),
        CASE(child_ends_when_told),
        CASE(child_ends_on_a_signal_when_idle),
        CASE(child_ends_on_a_signal_after_cancelling_its_attempt),
        CASE(child_gives_up_on_a_broken_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
