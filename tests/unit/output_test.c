/* What a child writes, as worker/child.c hands it on: all of it, once, each stream in its order.
 * This program is the child, too: --child with SCENARIO in its environment. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/rng.h"
#include "tests/unit/test.h"
#include "worker/child.h"

#define PIECES 6000
#define FLOOD_PIECES 50

/* ---- The child ---- */

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k <= 0)
            _exit(9);
        p += k;
        n -= (size_t)k;
    }
}

/* Who opens it anew writes no packets. */
static void plain_bytes_before_a_packet(void)
{
    static char bytes[65000];
    int fd = open("/dev/stdout", O_WRONLY);
    memset(bytes, 'a', sizeof bytes);
    write_all(fd, bytes, sizeof bytes);
    memset(bytes, 'b', sizeof bytes);
    write_all(STDOUT_FILENO, bytes, 4096);
}

/* The bytes of a stream, piece by piece; the same for whoever begins with that seed. */
static size_t next_piece(struct rng *rng, char *to, size_t max)
{
    size_t n = rng_below(rng, 8) ? 1 + rng_below(rng, 200) : 1 + rng_below(rng, max);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)('!' + (i * 7 + n) % 90);
    to[n - 1] = '\n';
    return n;
}

static void pieces_of_all_sizes(void)
{
    static char piece[20000];
    struct rng out, err, how;
    int fds[2] = {open("/dev/stdout", O_WRONLY), open("/dev/stderr", O_WRONLY)};
    rng_init(&out, 1);
    rng_init(&err, 2);
    rng_init(&how, 3);
    for (int i = 0; i < PIECES; i++) {
        bool is_err = rng_below(&how, 3) == 0, anew = rng_below(&how, 3) == 0;
        size_t n = next_piece(is_err ? &err : &out, piece, sizeof piece);
        write_all(anew ? fds[is_err] : is_err ? STDERR_FILENO : STDOUT_FILENO, piece, n);
        if (rng_below(&how, 300) == 0)
            usleep(30000); /* so that it is a flood now and then */
    }
}

static void odd_flags(void)
{
    fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK); /* and no packets */
    raise(SIGSTOP);
    _exit((fcntl(STDOUT_FILENO, F_GETFL) & (O_NONBLOCK | O_DIRECT)) == O_DIRECT ? 0 : 1);
}

/* Stops when the flood is over but for its end. */
static void flood_and_a_word(void)
{
    static char bytes[100000];
    memset(bytes, 'f', sizeof bytes);
    for (int i = 0; i < FLOOD_PIECES; i++)
        write_all(STDOUT_FILENO, bytes, sizeof bytes);
    raise(SIGSTOP);
    write_all(STDOUT_FILENO, bytes, sizeof bytes);
    write_all(STDERR_FILENO, "the end\n", 8);
}

static const struct {
    const char *name;
    void (*play)(void);
} scenarios[] = {{"plain", plain_bytes_before_a_packet},
                 {"pieces", pieces_of_all_sizes},
                 {"flags", odd_flags},
                 {"flood", flood_and_a_word}};

static int be_child(void)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(getenv("SCENARIO"), scenarios[i].name) == 0)
            scenarios[i].play();
    return 0;
}

/* ---- The worker ---- */

struct fixture {
    uv_loop_t loop;
    struct writes *writes;
    struct child *child;
    struct buf out, err;
    size_t n_before_err; /* bytes of out that came before the first of err */
    bool gone;
};

static void on_message(struct child *child, const struct child_message *message)
{
    (void)child;
    (void)message;
}

static void on_output(struct child *child, enum log_stream from, const char *p, size_t n)
{
    struct fixture *f = child->owner;
    if (from == LOG_ERR && !f->err.len)
        f->n_before_err = f->out.len;
    buf_add(from == LOG_ERR ? &f->err : &f->out, p, n);
}

static void on_gone(struct child *child, const char *why)
{
    struct fixture *f = child->owner;
    assert_string_equal(why, "");
    f->gone = true;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->writes = writes_open();
    assert_non_null(f->writes);
    *state = f;
    return 0;
}

static void start(struct fixture *f, const char *scenario)
{
    static const struct child_ops ops = {on_message, on_output, on_gone};
    char program[PATH_MAX_BYTES], name[64], *env[] = {name, NULL};
    struct nx_err err;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(n > 0);
    program[n] = 0;
    snprintf(name, sizeof name, "SCENARIO=%s", scenario);
    assert_true(child_spawn(&f->loop, f->writes, program, env, &ops, f, &f->child, &err));
}

static void run_to_the_end(struct fixture *f)
{
    while (!f->gone)
        uv_run(&f->loop, UV_RUN_ONCE);
    while (!child_reap(f->child))
        usleep(1000);
    assert_int_equal(f->child->status, 0);
    child_drain(f->child);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    child_close(f->child);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    writes_close(f->writes);
    buf_fini(&f->out);
    buf_fini(&f->err);
    free(f);
    return 0;
}

static void a_packet_behind_other_bytes_is_read_to_its_end(void **state)
{
    struct fixture *f = *state;
    start(f, "plain");
    while (!child_reap(f->child)) /* all of it is in the pipe */
        usleep(1000);
    run_to_the_end(f);
    assert_int_equal(f->out.len, 65000 + 4096);
    assert_int_equal(f->out.data[65000 - 1], 'a');
    for (size_t i = 65000; i < f->out.len; i++)
        assert_int_equal(f->out.data[i], 'b');
}

static void assert_stream(const struct buf *got, uint64_t seed)
{
    static char piece[20000];
    struct rng rng;
    size_t at = 0;
    rng_init(&rng, seed);
    while (at < got->len) {
        size_t n = next_piece(&rng, piece, sizeof piece);
        assert_true(n <= got->len - at);
        assert_memory_equal(got->data + at, piece, n);
        at += n;
    }
}

static void assert_pieces(struct fixture *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->out.len; i++)
        n += f->out.data[i] == '\n';
    for (size_t i = 0; i < f->err.len; i++)
        n += f->err.data[i] == '\n';
    assert_int_equal(n, PIECES);
    assert_stream(&f->out, 1);
    assert_stream(&f->err, 2);
}

static void no_byte_is_lost_or_doubled_whatever_the_writes_are(void **state)
{
    struct fixture *f = *state;
    start(f, "pieces");
    run_to_the_end(f);
    assert_pieces(f);
}

static void bytes_come_without_signals(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    none = before;
    none.rlim_cur = 0; /* the queue is full at once */
    assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    start(f, "pieces");
    run_to_the_end(f);
    assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &before), 0);
    assert_pieces(f);
}

static void the_next_attempt_finds_stdout_as_it_was(void **state)
{
    struct fixture *f = *state;
    int status;
    start(f, "flags");
    assert_int_equal(waitpid(f->child->pid, &status, WUNTRACED), f->child->pid);
    assert_true(WIFSTOPPED(status));
    child_drain(f->child);
    kill(f->child->pid, SIGCONT);
    run_to_the_end(f);
}

static void a_word_after_a_flood_comes_after_it(void **state)
{
    struct fixture *f = *state;
    int status;
    start(f, "flood");
    while (waitpid(f->child->pid, &status, WUNTRACED | WNOHANG) == 0)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_true(WIFSTOPPED(status));
    while (f->out.len < FLOOD_PIECES * 100000)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    kill(f->child->pid, SIGCONT);
    while (!child_reap(f->child)) /* the rest is in the pipes */
        usleep(1000);
    run_to_the_end(f);
    assert_int_equal(f->out.len, (FLOOD_PIECES + 1) * 100000);
    assert_int_equal(f->err.len, 8);
    assert_int_equal(f->n_before_err, f->out.len);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_packet_behind_other_bytes_is_read_to_its_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_byte_is_lost_or_doubled_whatever_the_writes_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bytes_come_without_signals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_attempt_finds_stdout_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_word_after_a_flood_comes_after_it, set_up, tear_down),
    };
    if (argc == 2 && strcmp(argv[1], "--child") == 0)
        return be_child();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
