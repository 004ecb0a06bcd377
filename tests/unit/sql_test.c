#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/path.h"
#include "lib/sql/sql.h"
#include "tests/unit/test.h"

/* A new database path in the test's folder. */
static const char *fresh(void **state)
{
    static char path[300];
    static int n;
    snprintf(path, sizeof path, "%s/%d.db", (const char *)*state, n++);
    return path;
}

static struct sql *open_writer(const char *path)
{
    struct sql *sql = NULL;
    struct nx_err err = {0};
    if (!sql_open_writer(path, &sql, &err))
        fail_msg("%s", err.text);
    return sql;
}

static void run(struct sql *sql, const char *text)
{
    struct nx_err err = {0};
    if (!sql_exec(sql, text, &err))
        fail_msg("%s", err.text);
}

static int64_t number(struct sql *sql, const char *text)
{
    int64_t v = -1;
    struct nx_err err = {0};
    if (!sql_get_int(sql, text, &v, &err))
        fail_msg("%s", err.text);
    return v;
}

static void a_writer_has_the_settings_that_durability_needs(void **state)
{
    struct sql *sql = open_writer(fresh(state));
    assert_int_equal(number(sql, "PRAGMA synchronous"), 2);
    assert_int_equal(number(sql, "PRAGMA wal_autocheckpoint"), 0);
    assert_int_equal(number(sql, "PRAGMA foreign_keys"), 0);
    run(sql, "CREATE TABLE t (a INTEGER) STRICT");
    assert_int_equal(number(sql, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(number(sql, "SELECT count(*) FROM pragma_journal_mode "
                                 "WHERE journal_mode = 'wal'"),
                     1);
    sql_close(sql);
}

static void values_of_every_type_come_back(void **state)
{
    struct sql *sql = open_writer(fresh(state));
    struct sql_stmt *put, *get;
    struct nx_err err;
    bool row;
    size_t n;
    run(sql, "CREATE TABLE t (i INTEGER, d REAL, s TEXT, b BLOB, z TEXT) STRICT");
    assert_true(sql_prepare(sql, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", &put, &err));
    sql_bind_int(put, 1, INT64_MIN);
    sql_bind_double(put, 2, 0.1);
    sql_bind_text(put, 3, "gr\xc3\xbc\xc3\x9f");
    sql_bind_blob(put, 4, "a\0b", 3);
    sql_bind_null(put, 5);
    assert_true(sql_run(put, &err));
    assert_int_equal(sql_changes(sql), 1);
    assert_int_equal(sql_last_rowid(sql), 1);
    sql_bind_text_n(put, 3, "cut here", 3);
    sql_bind_text(put, 5, NULL);
    assert_true(sql_run(put, &err));
    assert_true(sql_prepare(sql, "SELECT * FROM t ORDER BY rowid", &get, &err));
    assert_int_equal(sql_n_columns(get), 5);
    assert_true(sql_step(get, &row, &err) && row);
    assert_true(sql_int(get, 0) == INT64_MIN);
    assert_true(sql_double(get, 1) == 0.1);
    assert_string_equal(sql_text(get, 2), "gr\xc3\xbc\xc3\x9f");
    assert_int_equal(sql_n_bytes(get, 2), 6);
    assert_memory_equal(sql_blob(get, 3, &n), "a\0b", 3);
    assert_int_equal(n, 3);
    assert_true(sql_is_null(get, 4));
    assert_null(sql_text(get, 4));
    assert_true(sql_step(get, &row, &err) && row);
    assert_string_equal(sql_text(get, 2), "cut");
    assert_true(sql_is_null(get, 4));
    assert_true(sql_step(get, &row, &err) && !row);
    /* At its end it is reset: it can run again. */
    assert_true(sql_step(get, &row, &err) && row);
    sql_reset(get);
    sql_stmt_free(put);
    sql_stmt_free(get);
    sql_close(sql);
}

static void an_error_names_the_file_and_the_sql(void **state)
{
    struct sql *sql = open_writer(fresh(state));
    struct sql_stmt *stmt = (struct sql_stmt *)state;
    struct nx_err err;
    assert_false(sql_prepare(sql, "SELECT nope FROM nowhere", &stmt, &err));
    assert_ptr_equal(stmt, state);
    assert_non_null(strstr(err.text, "no such table: nowhere"));
    assert_non_null(strstr(err.text, "[SELECT nope FROM nowhere]"));
    assert_non_null(strstr(err.text, ".db"));
    assert_false(sql_prepare(sql, "SELECT 1; SELECT 2", &stmt, &err));
    assert_false(sql_prepare(sql, "  ", &stmt, &err));
    assert_true(sql_prepare(sql, "SELECT 1 ; \n", &stmt, &err));
    sql_stmt_free(stmt);
    int64_t v = 7;
    assert_false(sql_get_int(sql, "SELECT 1 WHERE 0", &v, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    assert_int_equal(v, 7);
    sql_close(sql);
}

static void a_violated_constraint_is_a_conflict_and_leaves_the_statement_usable(void **state)
{
    struct sql *sql = open_writer(fresh(state));
    struct sql_stmt *put;
    struct nx_err err;
    run(sql, "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER NOT NULL) STRICT");
    assert_true(sql_prepare(sql, "INSERT INTO t VALUES (?, ?)", &put, &err));
    sql_bind_int(put, 1, 1);
    sql_bind_int(put, 2, 2);
    assert_true(sql_run(put, &err));
    assert_false(sql_run(put, &err));
    assert_int_equal(err.code, NX_E_CONFLICT);
    sql_bind_int(put, 1, 2);
    sql_bind_text(put, 2, "text in an integer column");
    assert_false(sql_run(put, &err));
    assert_int_equal(err.code, NX_E_CONFLICT);
    sql_bind_int(put, 2, 3);
    assert_true(sql_run(put, &err));
    assert_int_equal(number(sql, "SELECT count(*) FROM t"), 2);
    sql_stmt_free(put);
    sql_close(sql);
}

static void a_rolled_back_transaction_leaves_nothing(void **state)
{
    struct sql *sql = open_writer(fresh(state));
    struct nx_err err;
    run(sql, "CREATE TABLE t (a INTEGER) STRICT");
    assert_true(sql_begin(sql, &err));
    assert_true(sql_in_transaction(sql));
    run(sql, "INSERT INTO t VALUES (1)");
    sql_rollback(sql);
    assert_false(sql_in_transaction(sql));
    sql_rollback(sql);
    assert_int_equal(number(sql, "SELECT count(*) FROM t"), 0);
    assert_true(sql_begin(sql, &err));
    run(sql, "INSERT INTO t VALUES (1)");
    assert_true(sql_commit(sql, &err));
    assert_int_equal(number(sql, "SELECT count(*) FROM t"), 1);
    sql_close(sql);
}

static void a_reader_sees_commits_and_cannot_write(void **state)
{
    const char *path = fresh(state);
    struct sql *writer, *reader = NULL;
    struct nx_err err;
    assert_false(sql_open_reader(path, 0, &reader, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    writer = open_writer(path);
    run(writer, "CREATE TABLE t (a INTEGER) STRICT");
    assert_true(sql_open_reader(path, 1000, &reader, &err));
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 0);
    run(writer, "INSERT INTO t VALUES (1)");
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 1);
    assert_false(sql_exec(reader, "INSERT INTO t VALUES (2)", &err));
    assert_int_equal(err.code, NX_E_IO);
    sql_close(writer);
    /* Also when nobody writes. */
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 1);
    sql_close(reader);
}

static void a_query_that_takes_too_long_is_stopped_and_the_next_one_runs(void **state)
{
    const char *path = fresh(state);
    struct sql *writer = open_writer(path), *reader;
    struct nx_err err;
    struct sql_stmt *slow;
    bool row = true;
    run(writer, "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (5)");
    assert_true(sql_open_reader(path, 100, &reader, &err));
    assert_true(sql_prepare(reader,
                            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                            "SELECT count(*) FROM n",
                            &slow, &err));
    for (int i = 0; i < 2; i++) {
        int64_t start = clock_mono_ms();
        assert_false(sql_step(slow, &row, &err));
        int64_t took = clock_mono_ms() - start;
        assert_int_equal(err.code, NX_E_TIMEOUT);
        assert_non_null(strstr(err.text, "100 ms"));
        assert_true(took >= 90 && took < 5000);
        clock_sleep_ms(120);
        assert_int_equal(number(reader, "SELECT a FROM t"), 5);
    }
    sql_stmt_free(slow);
    sql_close(reader);
    sql_close(writer);
}

static void a_locked_database_is_busy(void **state)
{
    const char *path = fresh(state);
    struct sql *one = open_writer(path), *two = open_writer(path);
    struct nx_err err;
    run(one, "CREATE TABLE t (a INTEGER) STRICT");
    run(two, "PRAGMA busy_timeout = 50");
    assert_true(sql_begin(one, &err));
    assert_false(sql_begin(two, &err));
    assert_int_equal(err.code, NX_E_BUSY);
    sql_rollback(one);
    sql_close(one);
    sql_close(two);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    const char *path = fresh(state);
    struct sql *sql = NULL;
    struct nx_err err;
    static char junk[8192];
    memset(junk, 'x', sizeof junk);
    assert_true(path_write(path, junk, sizeof junk, &err));
    assert_false(sql_open_writer(path, &sql, &err));
    assert_int_equal(err.code, NX_E_DATA);
    assert_null(sql);
    assert_false(sql_open_writer("/nowhere/at/all.db", &sql, &err));
    assert_int_equal(err.code, NX_E_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all.db"));
}

static const struct sql_migration steps[] = {
    {1, "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1)"},
    {2, "ALTER TABLE t ADD COLUMN b TEXT; UPDATE t SET b = 'two'"},
    {3, "CREATE TABLE u (c INTEGER) STRICT; INSERT INTO missing VALUES (3)"},
};

static void migrations_lead_to_the_last_version_and_keep_a_backup(void **state)
{
    const char *path = fresh(state);
    char backup[330];
    struct sql *sql = open_writer(path), *old;
    struct nx_err err;
    snprintf(backup, sizeof backup, "%s.v1.backup", path);
    assert_true(sql_migrate(sql, steps, 1, &err));
    assert_int_equal(number(sql, "PRAGMA user_version"), 1);
    assert_false(path_exists(backup));
    assert_true(sql_migrate(sql, steps, 2, &err));
    assert_int_equal(number(sql, "SELECT count(*) FROM t WHERE b = 'two'"), 1);
    assert_int_equal(number(sql, "PRAGMA user_version"), 2);
    assert_true(sql_migrate(sql, steps, 2, &err));
    assert_true(sql_open_reader(backup, 0, &old, &err));
    assert_int_equal(number(old, "PRAGMA user_version"), 1);
    assert_int_equal(number(old, "SELECT a FROM t"), 1);
    sql_close(old);
    assert_false(sql_migrate(sql, steps, 1, &err));
    assert_int_equal(err.code, NX_E_UNSUPPORTED);
    sql_close(sql);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    const char *path = fresh(state);
    struct sql *sql = open_writer(path);
    struct nx_err err;
    assert_true(sql_migrate(sql, steps, 2, &err));
    assert_false(sql_migrate(sql, steps, 3, &err));
    assert_non_null(strstr(err.text, "version 3"));
    assert_non_null(strstr(err.text, "missing"));
    assert_false(sql_in_transaction(sql));
    assert_int_equal(number(sql, "PRAGMA user_version"), 2);
    assert_int_equal(number(sql, "SELECT count(*) FROM sqlite_schema WHERE name = 'u'"), 0);
    sql_close(sql);
}

static void the_log_grows_until_a_checkpoint(void **state)
{
    struct sql *sql = open_writer(fresh(state));
    struct nx_err err;
    int n_log = 0, n_done = 0;
    run(sql, "CREATE TABLE t (a INTEGER, b TEXT) STRICT");
    int before = sql_log_pages(sql);
    assert_true(before > 0);
    /* More pages than SQLite's own threshold of 1,000: nothing but us checkpoints. */
    for (int i = 0; i < 4; i++)
        run(sql, "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                 "LIMIT 500) SELECT i, hex(randomblob(1500)) FROM n");
    int grown = sql_log_pages(sql);
    assert_true(grown > 1100);
    assert_true(sql_checkpoint(sql, &n_log, &n_done, &err));
    assert_int_equal(n_log, grown);
    assert_int_equal(n_done, grown);
    run(sql, "INSERT INTO t VALUES (0, '')");
    assert_true(sql_log_pages(sql) < 10);
    sql_close(sql);
}

static void a_backup_is_a_whole_database_while_others_write(void **state)
{
    const char *path = fresh(state);
    char copy[330];
    struct sql *sql = open_writer(path), *reader, *copied;
    struct nx_err err;
    snprintf(copy, sizeof copy, "%s.copy", path);
    run(sql, "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1), (2)");
    assert_true(sql_open_reader(path, 50, &reader, &err));
    assert_true(sql_begin(sql, &err));
    run(sql, "INSERT INTO t VALUES (3)");
    assert_true(sql_backup(reader, copy, &err));
    assert_true(sql_commit(sql, &err));
    copied = open_writer(copy);
    assert_int_equal(number(copied, "SELECT sum(a) FROM t"), 3);
    sql_close(copied);
    assert_true(sql_backup(sql, copy, &err));
    copied = open_writer(copy);
    assert_int_equal(number(copied, "SELECT sum(a) FROM t"), 6);
    sql_close(copied);
    assert_false(sql_backup(sql, "/nowhere/copy.db", &err));
    assert_non_null(strstr(err.text, "/nowhere/copy.db"));
    sql_close(reader);
    sql_close(sql);
}

static int make_folder(void **state)
{
    static char folder[] = "/tmp/nexus-sql-XXXXXX";
    *state = mkdtemp(folder);
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    return path_remove_tree(*state, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_has_the_settings_that_durability_needs),
        cmocka_unit_test(values_of_every_type_come_back),
        cmocka_unit_test(an_error_names_the_file_and_the_sql),
        cmocka_unit_test(a_violated_constraint_is_a_conflict_and_leaves_the_statement_usable),
        cmocka_unit_test(a_rolled_back_transaction_leaves_nothing),
        cmocka_unit_test(a_reader_sees_commits_and_cannot_write),
        cmocka_unit_test(a_query_that_takes_too_long_is_stopped_and_the_next_one_runs),
        cmocka_unit_test(a_locked_database_is_busy),
        cmocka_unit_test(a_file_that_is_no_database_is_refused),
        cmocka_unit_test(migrations_lead_to_the_last_version_and_keep_a_backup),
        cmocka_unit_test(a_migration_that_fails_changes_nothing),
        cmocka_unit_test(the_log_grows_until_a_checkpoint),
        cmocka_unit_test(a_backup_is_a_whole_database_while_others_write),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
