/* Rows of tables: children in turn, and what is kept of their answers. The child is a script. */
#include "scheduler/port/rows.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "tests/unit/test.h"

struct world {
    char folder[64];
    struct rows *rows;
    atomic_bool ending;
    atomic_int n_done;
};

struct asked {
    struct rows_wish wish;
    struct buf answer;
    struct nx_err err;
    char key[32];
    struct world *world;
};

static bool is_ending(void *arg)
{
    struct world *world = arg;
    return atomic_load(&world->ending);
}

/* Says its request and notes how many run at a time. */
static const char child[] =
    "#!/bin/sh\n"
    "cd \"$(/usr/bin/dirname \"$0\")\" || exit 9\n"
    "case $2 in\n"
    "slow) exec /bin/sleep 60 ;;\n"
    "bad) echo '{\"error\":{\"code\":\"limit\",\"message\":\"why\"}}'; exit ;;\n"
    "crash) kill -SEGV $$ ;;\n"
    "big) exec /usr/bin/head -c 10000000 /dev/zero ;;\n"
    "env) exec /usr/bin/env ;;\n"
    "esac\n"
    "echo x >> started; echo x > \"running.$$\"\n"
    "echo running.* | /usr/bin/wc -w >> at-a-time\n"
    "/bin/sleep 0.05; /bin/rm \"running.$$\"\n"
    "echo \"$2 \"; /bin/cat\n";

static int open_world(void **state)
{
    struct world *world = mem_alloc(sizeof *world);
    char path[128];
    strcpy(world->folder, "/tmp/nexus-rows.XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(path, sizeof path, "%s/nexus-task", world->folder);
    assert_true(path_write(path, child, strlen(child), NULL));
    assert_int_equal(chmod(path, 0755), 0);
    setenv("NEXUS_LIBEXEC", world->folder, 1);
    setenv("OUR_SECRET", "hidden", 1);
    setenv("NEXUS_DUCKDB", "/its/place", 1);
    world->rows = rows_new(is_ending, world);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    atomic_store(&world->ending, true);
    rows_end(world->rows);
    rows_free(world->rows);
    assert_true(path_remove_tree(world->folder, NULL));
    mem_free(world);
    return 0;
}

static void on_done(struct rows_wish *wish)
{
    struct asked *asked = wish->arg;
    close(wish->fd);
    atomic_fetch_add(&asked->world->n_done, 1);
}

static bool ask(struct world *world, struct asked *asked, const char *request, int number)
{
    *asked = (struct asked){.world = world};
    snprintf(asked->key, sizeof asked->key, "%d %s", number, request);
    asked->wish = (struct rows_wish){.key = asked->key,
                                     .request = request,
                                     .fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
                                     .to = &asked->answer,
                                     .err = &asked->err,
                                     .done = on_done,
                                     .arg = asked};
    if (rows_wish(world->rows, &asked->wish, &asked->err))
        return true;
    close(asked->wish.fd);
    return false;
}

static void await(struct world *world, int n)
{
    int64_t until = clock_mono_ms() + 60000;
    while (atomic_load(&world->n_done) < n && clock_mono_ms() < until)
        clock_sleep_ms(2);
    assert_int_equal(atomic_load(&world->n_done), n);
}

static void ask_and_wait(struct world *world, struct asked *asked, const char *request, int number)
{
    int before = atomic_load(&world->n_done);
    assert_true(ask(world, asked, request, number));
    await(world, before + 1);
}

/* The lines of a file of the child. */
static size_t lines_of(struct world *world, const char *name, char greatest[8])
{
    char path[128];
    struct buf text = {0};
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    assert_true(path_read(path, 100000, &text, NULL));
    strcpy(greatest, "");
    for (const char *word = buf_text(&text); *(word += strspn(word, " \n")); n++) {
        char one[8];
        size_t length = strcspn(word, " \n");
        snprintf(one, sizeof one, "%.*s", (int)length, word);
        if (strcmp(one, greatest) > 0)
            strcpy(greatest, one);
        word += length;
    }
    buf_fini(&text);
    return n;
}

static void no_more_than_two_children_run_at_a_time_and_all_are_served(void **state)
{
    struct world *world = *state;
    enum { N = 16 };
    struct asked asked[N];
    char greatest[8];
    for (int i = 0; i < N; i++)
        assert_true(ask(world, &asked[i], "rows", i));
    await(world, N);
    for (int i = 0; i < N; i++) {
        assert_true(asked[i].wish.ok);
        assert_string_equal(buf_text(&asked[i].answer), "rows \n");
        buf_fini(&asked[i].answer);
    }
    assert_int_equal(lines_of(world, "started", greatest), N);
    assert_int_equal(lines_of(world, "at-a-time", greatest), N);
    assert_string_equal(greatest, "2");
}

static void what_was_read_once_is_kept(void **state)
{
    struct world *world = *state;
    struct asked asked;
    struct buf kept = {0};
    char greatest[8];
    assert_false(rows_find(world->rows, "1 rows", &kept));
    for (int i = 0; i < 3; i++) {
        ask_and_wait(world, &asked, "rows", 1);
        assert_string_equal(buf_text(&asked.answer), "rows \n");
        buf_fini(&asked.answer);
    }
    assert_int_equal(lines_of(world, "started", greatest), 1);
    assert_true(rows_find(world->rows, "1 rows", &kept));
    assert_string_equal(buf_text(&kept), "rows \n");
    buf_fini(&kept);
    assert_false(rows_find(world->rows, "1 row", &kept));
}

static void what_is_kept_has_bounds(void **state)
{
    struct world *world = *state;
    struct asked asked;
    struct buf kept = {0};
    for (int i = 0; i < 5; i++) { /* of 10 MB each, too large to be kept with others */
        ask_and_wait(world, &asked, "big", i);
        assert_true(asked.wish.ok);
        assert_int_equal(asked.answer.len, 10000000);
        buf_fini(&asked.answer);
        assert_false(rows_find(world->rows, asked.key, &kept));
    }
    for (int i = 0; i < 300; i++) {
        ask_and_wait(world, &asked, "env", i);
        buf_fini(&asked.answer);
    }
    assert_false(rows_find(world->rows, "43 env", &kept));
    assert_true(rows_find(world->rows, "44 env", &kept));
    assert_true(rows_find(world->rows, "299 env", &kept));
    buf_fini(&kept);
}

static void a_child_that_fails_is_told_and_not_kept(void **state)
{
    struct world *world = *state;
    struct asked asked;
    struct buf kept = {0};
    ask_and_wait(world, &asked, "bad", 1);
    assert_false(asked.wish.ok);
    assert_int_equal(asked.err.code, NX_E_LIMIT);
    assert_non_null(strstr(asked.err.text, "why"));
    ask_and_wait(world, &asked, "crash", 1);
    assert_false(asked.wish.ok);
    assert_int_equal(asked.err.code, NX_E_DATA);
    assert_non_null(strstr(asked.err.text, "signal 11"));
    assert_false(rows_find(world->rows, "1 bad", &kept));
    assert_false(rows_find(world->rows, "1 crash", &kept));
}

static void a_child_gets_nothing_of_our_environment_that_it_does_not_need(void **state)
{
    struct world *world = *state;
    struct asked asked;
    ask_and_wait(world, &asked, "env", 1);
    assert_non_null(strstr(buf_text(&asked.answer), "NEXUS_DUCKDB=/its/place"));
    assert_null(strstr(buf_text(&asked.answer), "hidden"));
    assert_null(strstr(buf_text(&asked.answer), "NEXUS_LIBEXEC"));
    buf_fini(&asked.answer);
}

static void the_end_waits_for_nobody_and_too_many_are_refused(void **state)
{
    struct world *world = *state;
    enum { N = ROWS_CHILDREN_MAX + ROWS_WAITING_MAX };
    static struct asked asked[N + 1];
    int n = 0;
    int64_t began = clock_mono_ms();
    while (n <= N && ask(world, &asked[n], "slow", n)) {
        n++;
        if (n <= ROWS_CHILDREN_MAX)
            clock_sleep_ms(200); /* it is begun */
    }
    assert_int_equal(n, N);
    assert_int_equal(asked[N].err.code, NX_E_BUSY);
    atomic_store(&world->ending, true);
    rows_end(world->rows);
    assert_int_equal(atomic_load(&world->n_done), N);
    for (int i = 0; i < N; i++) {
        assert_false(asked[i].wish.ok);
        assert_int_equal(asked[i].err.code, NX_E_BUSY);
    }
    assert_true(clock_mono_ms() - began < 30000);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(no_more_than_two_children_run_at_a_time_and_all_are_served),
        WITH_WORLD(what_was_read_once_is_kept),
        WITH_WORLD(what_is_kept_has_bounds),
        WITH_WORLD(a_child_that_fails_is_told_and_not_kept),
        WITH_WORLD(a_child_gets_nothing_of_our_environment_that_it_does_not_need),
        WITH_WORLD(the_end_waits_for_nobody_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
