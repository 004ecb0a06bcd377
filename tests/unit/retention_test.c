/* How long things are kept: the text, and what the store says of runs. */
#include "scheduler/store/retention.h"

#include <unistd.h>

#include "lib/base/str.h"
#include "lib/sql/sql.h"
#include "tests/unit/test.h"

#define DAY 86400000ll
#define NOW (1000 * DAY)

/* ---- The text ---- */

static size_t read_text(const char *yaml, struct retention *retention)
{
    struct arena arena;
    struct problems problems;
    struct yaml_node **docs;
    size_t n_docs;
    arena_init(&arena);
    problems_init(&problems);
    retention_init(retention);
    assert_true(yaml_parse(&arena, "x.yaml", yaml, strlen(yaml), &docs, &n_docs, &problems));
    retention_read(docs[0], &problems, retention);
    size_t n = problems.n_errors;
    problems_fini(&problems);
    arena_fini(&arena);
    return n;
}

static void what_is_said_is_read_and_the_rest_filled(void **state)
{
    (void)state;
    struct retention retention, other = {5 * DAY, 7, RETENTION_UNSAID};
    assert_int_equal(read_text("{runs: 90d, logs: none}", &retention), 0);
    assert_int_equal(retention.runs_ms, 90 * DAY);
    assert_int_equal(retention.keep, RETENTION_UNSAID);
    assert_int_equal(retention.logs_ms, RETENTION_EVER);
    char *text = retention_text(&retention);
    struct retention again;
    retention_parse(text, &again);
    assert_memory_equal(&again, &retention, sizeof again);
    free(text);
    retention_fill(&again, &other);
    assert_int_equal(again.runs_ms, 90 * DAY);
    assert_int_equal(again.keep, 7);
    assert_int_equal(again.logs_ms, RETENTION_EVER);
    assert_int_equal(read_text("30d", &retention), 0);
    assert_int_equal(retention.runs_ms, 30 * DAY);
    retention_init(&retention);
    assert_null(retention_text(&retention));
    retention_parse(NULL, &retention);
    assert_int_equal(retention.keep, RETENTION_UNSAID);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    struct retention retention;
    assert_int_equal(read_text("{runs: 0s, keep: 0, logs: [1d]}", &retention), 3);
    assert_int_equal(read_text("{run: 3d, keep: 10001}", &retention), 2);
    assert_int_equal(read_text("soon", &retention), 1);
    assert_int_equal(retention.runs_ms, RETENTION_UNSAID);
}

/* ---- The store ---- */

struct world {
    char dir[64], path[96];
    struct store *store;
};

/* Runs of the DAG d, one a day; state by letter: s f c r (success, failed, cancelled, running). */
static void put_runs(struct world *world, const char *states, int64_t backfill)
{
    static const char letters[] = "qrtsfc";
    struct sql *sql;
    struct nx_err err;
    char text[512];
    assert_true(sql_open_writer(world->path, &sql, &err));
    for (size_t i = 0; states[i]; i++) {
        int state = (int)(strchr(letters, states[i]) - letters);
        long long at = NOW - (long long)(strlen(states) - i) * DAY;
        snprintf(
            text, sizeof text,
            "insert into run (dag, version, state, cause, reason, backfill, params, created_at,"
            " finished_at, counts) values ('d', 1, %d, 0, 0, %lld, '{}', %lld, nullif(%lld, 0), "
            "'[]');"
            "insert into task_instance (run, task, map_index, state, reason, answered, attempt,"
            " lease, failures, losses, worker) values (%zu, 0, -1, 8, 0, 0, 1, 1, 0, 0, 0),"
            " (%zu, 1, -1, 8, 0, 0, 1, 1, 0, 0, 0)",
            state, (long long)backfill, at, state < 3 ? 0 : at, i + 1, i + 1);
        assert_true(sql_exec(sql, text, &err));
    }
    sql_close(sql);
}

static void open_store(struct world *world)
{
    struct nx_err err;
    strcpy(world->dir, "/tmp/nexus-retention-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->path, sizeof world->path, "%s/nexus.db", world->dir);
    assert_true(store_open(world->path, &world->store, &err));
}

static void close_store(struct world *world)
{
    char path[128];
    static const char *const ends[] = {"", "-wal", "-shm"};
    store_close(world->store);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", world->path, ends[i]);
        unlink(path);
    }
    rmdir(world->dir);
}

struct told {
    char text[512];
};

static bool tell(void *arg, const struct retention_run *run)
{
    static const char letters[] = "?akl";
    struct told *told = arg;
    size_t n = strlen(told->text);
    snprintf(told->text + n, sizeof told->text - n, "%s%llu%c", n ? " " : "",
             (unsigned long long)run->run, letters[run->why]);
    return true;
}

static const char *look(struct world *world, struct retention keep, size_t most, struct told *told)
{
    struct retention_look look = {"d", &keep, NOW, 0, most};
    struct nx_err err;
    bool more = true;
    *told = (struct told){0};
    while (more)
        assert_true(
            store_retention_look(world->store, &look, tell, told, &look.after, &more, &err));
    return told->text;
}

static void runs_go_by_age_and_by_count_and_some_stay(void **state)
{
    (void)state;
    struct world world;
    struct told told;
    open_store(&world);
    put_runs(&world, "ssfrsfcff", 0); /* 1 is 9 days old */
    for (size_t most = 1; most < 20; most += 6) {
        assert_string_equal(look(&world, (struct retention){0, 0, 0}, most, &told), "");
        assert_string_equal(look(&world, (struct retention){6 * DAY, 0, 0}, most, &told),
                            "1a 2a 3a");
        assert_string_equal(look(&world, (struct retention){DAY / 2, 0, 0}, most, &told),
                            "1a 2a 3a 6a 7a 8a"); /* 5 succeeded last, 9 is the newest */
        assert_string_equal(look(&world, (struct retention){0, 3, 0}, most, &told), "1k 2k 3k 6k");
        assert_string_equal(look(&world, (struct retention){8 * DAY, 4, 0}, most, &told),
                            "1a 2k 3k");
        assert_string_equal(look(&world, (struct retention){8 * DAY, 0, 4 * DAY}, most, &told),
                            "1a 2l 3l 5l");
        assert_string_equal(look(&world, (struct retention){0, 100, 0}, most, &told), "");
    }
    close_store(&world);
}

static void runs_of_a_backfill_stay_until_it_has_ended(void **state)
{
    (void)state;
    struct world world;
    struct told told;
    struct nx_err err;
    struct sql *sql;
    open_store(&world);
    put_runs(&world, "sss", 1);
    assert_true(sql_open_writer(world.path, &sql, &err));
    assert_true(sql_exec(
        sql, "insert into backfill values (1, 'd', 0, 0, 0, 3, 3, 'none', 0, 1, '{}', 0, 0)",
        &err));
    assert_string_equal(look(&world, (struct retention){DAY / 2, 0, 0}, 10, &told), "");
    assert_true(sql_exec(sql, "update backfill set state = 2", &err));
    sql_close(sql);
    assert_string_equal(look(&world, (struct retention){DAY / 2, 0, 0}, 10, &told), "1a 2a");
    close_store(&world);
}

static int64_t count(struct world *world, const char *text)
{
    struct sql *sql;
    struct nx_err err;
    int64_t n;
    assert_true(sql_open_reader(world->path, 0, &sql, &err));
    assert_true(sql_get_int(sql, text, &n, &err));
    sql_close(sql);
    return n;
}

static void a_doomed_run_goes_in_bounded_steps_and_keeps_its_number(void **state)
{
    (void)state;
    struct world world;
    struct nx_err err;
    uint64_t bare[4], epoch, next;
    size_t n, n_bare = 4;
    open_store(&world);
    put_runs(&world, "sss", 0);
    assert_true(store_doom_run(world.store, (struct nx_run_id){2}, &err));
    assert_true(store_doom_run(world.store, (struct nx_run_id){3}, &err));
    assert_true(store_commit(world.store, &err));
    assert_int_equal(count(&world, "select count(*) from run"), 1);
    assert_true(store_clear_doomed(world.store, 1, &n, bare, &n_bare, &err));
    assert_true(store_commit(world.store, &err));
    assert_int_equal(n, 1);
    assert_int_equal(n_bare, 0); /* perhaps there are more */
    n_bare = 4;
    assert_true(store_clear_doomed(world.store, 100, &n, bare, &n_bare, &err));
    assert_int_equal(n, 3);
    assert_int_equal(n_bare, 2);
    assert_int_equal(bare[1], 3);
    for (size_t i = 0; i < 2; i++)
        assert_true(store_bury_run(world.store, bare[i], &err));
    assert_true(store_commit(world.store, &err));
    assert_int_equal(count(&world, "select count(*) from task_instance"), 2);
    assert_int_equal(count(&world, "select count(*) from doomed_run"), 0);
    assert_true(store_begin_epoch(world.store, &epoch, &next, &err));
    assert_int_equal(next, 4);
    close_store(&world);
}

static void note(void *arg, const char *address)
{
    struct told *told = arg;
    size_t n = strlen(told->text);
    snprintf(told->text + n, sizeof told->text - n, "%.9s ", address);
}

static void artifacts_that_runs_name_are_found(void **state)
{
    (void)state;
    struct world world;
    struct told told = {0};
    struct nx_err err;
    struct sql *sql;
    char text[512];
    uint64_t highest, unfinished;
    static const char zeros[] = "00000000000000000000000000000000000000000000000000000000000000";
    open_store(&world);
    put_runs(&world, "srs", 0);
    assert_true(sql_open_writer(world.path, &sql, &err));
    snprintf(text, sizeof text,
             "update run set params = '{\"m\":\"sha256:aa%s\"}' where run = 3;"
             "insert into output values (1, 0, -1, '{\"t\":{\"artifact\":\"sha256:bb%s\"},"
             "\"no\":\"sha256:bbb\"}')",
             zeros, zeros);
    assert_true(sql_exec(sql, text, &err));
    sql_close(sql);
    struct query_pool *pool = query_pool_new(world.path, 1000);
    struct query *query = query_begin(pool, &err);
    assert_non_null(query);
    assert_true(query_artifact_names(query, 1, 3, note, &told, &err));
    assert_string_equal(told.text, "sha256:bb sha256:aa ");
    assert_true(query_run_bounds(query, &highest, &unfinished, &err));
    assert_int_equal(highest, 3);
    assert_int_equal(unfinished, 2);
    query_end(query);
    query_pool_free(pool);
    close_store(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_read_and_the_rest_filled),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(runs_go_by_age_and_by_count_and_some_stay),
        cmocka_unit_test(runs_of_a_backfill_stay_until_it_has_ended),
        cmocka_unit_test(a_doomed_run_goes_in_bounded_steps_and_keeps_its_number),
        cmocka_unit_test(artifacts_that_runs_name_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
