/* lib/data: the database, its lock, queries, and tables as files. */
#include <math.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/data/column.h"
#include "lib/data/data.h"
#include "lib/data/internal.h"
#include "lib/data/rowhash.h"
#include "tests/unit/test.h"

struct fixture {
    char folder[64];
    struct data_db *db;
    struct arena arena;
    struct nx_err err;
};

static struct data_db *open_with(struct fixture *f, int threads)
{
    struct data_db *db = NULL;
    struct data_settings settings = {
        .threads = threads, .memory_bytes = 1ll << 30, .temp_dir = f->folder};
    if (!data_open(&settings, &db, &f->err)) {
        fail_msg("%s", f->err.text);
    }
    return db;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/nexus-data-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    arena_init(&f->arena);
    f->db = open_with(f, 2);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    data_close(f->db);
    arena_fini(&f->arena);
    path_remove_tree(f->folder, NULL);
    free(f);
    return 0;
}

static void ok(struct fixture *f, bool done)
{
    if (!done) {
        fail_msg("%s", f->err.text);
    }
}

static const char *in_folder(struct fixture *f, const char *name)
{
    return arena_printf(&f->arena, "%s/%s", f->folder, name);
}

static void fails_with(struct fixture *f, bool done, enum nx_code code, const char *part)
{
    assert_false(done);
    if (f->err.code != code || !strstr(f->err.text, part)) {
        fail_msg("code %d, text: %s", f->err.code, f->err.text);
    }
}

static struct table_info write_with(struct fixture *f, struct data_db *db, const char *select,
                                    const char *name, bool input, bool scan)
{
    struct table_info info;
    struct data_order order = {.input = input};
    struct data_write write = {
        .select = select, .path = in_folder(f, name), .order = input ? &order : NULL, .scan = scan};
    ok(f, data_write_table(db, &write, &f->arena, &info, &f->err));
    return info;
}

static void same_files(struct fixture *f, const char *a, const char *b)
{
    struct buf x, y;
    buf_init(&x);
    buf_init(&y);
    ok(f, path_read(in_folder(f, a), 1 << 28, &x, &f->err));
    ok(f, path_read(in_folder(f, b), 1 << 28, &y, &f->err));
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_fini(&x);
    buf_fini(&y);
}

static bool same_hash(const struct table_info *a, const struct table_info *b)
{
    return a->rows_hash.lo == b->rows_hash.lo && a->rows_hash.hi == b->rows_hash.hi;
}

/* ---- The tests ---- */

static void every_function_of_the_library_is_found(void **state)
{
    struct fixture *f = *state;
    assert_true(f->db->api.vector_size() == 2048);
    assert_non_null(strstr(f->db->api.library_version(), "v1.5."));
#define CHECK(result, name, arguments) assert_non_null(f->db->api.name);
    DUCKDB_FUNCTIONS(CHECK)
#undef CHECK
}

static void all_types_are_read_with_their_missing_values(void **state)
{
    struct fixture *f = *state;
    struct data_result *result;
    const struct data_batch *batch;
    ok(f, data_query(f->db,
                     "SELECT * FROM (VALUES (true, 1::TINYINT, 2::BIGINT, 1.5::FLOAT, 2.5::DOUBLE, "
                     "'short', DATE '2001-02-03', TIMESTAMP '2001-02-03 04:05:06.789', "
                     "[1.0::DOUBLE, NULL], 'a text longer than twelve bytes', "
                     "TIMESTAMPTZ '2001-02-03 04:05:06+01'), "
                     "(NULL, NULL, NULL, NULL, 'nan', NULL, NULL, NULL, NULL, NULL, NULL)) t(b, "
                     "i8, i64, f, d, s, day, ts, l, long, tz)",
                     NULL, 0, &result, &f->err));
    size_t n;
    const struct table_column *columns = data_result_columns(result, &n);
    static const enum table_type types[] = {
        TABLE_BOOL, TABLE_INT64,     TABLE_INT64,   TABLE_DOUBLE, TABLE_DOUBLE,   TABLE_STRING,
        TABLE_DATE, TABLE_TIMESTAMP, TABLE_DOUBLES, TABLE_STRING, TABLE_TIMESTAMP};
    assert_int_equal(n, 11);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(columns[i].type, types[i]);
    }
    ok(f, data_next(result, &batch, &f->err));
    assert_int_equal(batch->n_rows, 2);
    for (size_t i = 0; i < n; i++) {
        assert_true(data_is_valid(&batch->columns[i], 0));
        assert_false(data_is_valid(&batch->columns[i], 1));
    }
    assert_true(batch->columns[0].as.b[0]);
    assert_int_equal(batch->columns[1].as.i[0], 1);
    assert_int_equal(batch->columns[2].as.i[0], 2);
    assert_true(batch->columns[3].as.f[0] == 1.5);
    assert_true(batch->columns[4].as.f[0] == 2.5);
    assert_memory_equal(batch->columns[5].as.text[0].at, "short", 5);
    assert_int_equal(batch->columns[6].as.i[0], 11356);
    assert_int_equal(batch->columns[7].as.i[0], 981173106789000);
    assert_int_equal(batch->columns[8].as.list[0].n, 2);
    assert_true(batch->columns[8].child[batch->columns[8].as.list[0].offset] == 1.0);
    assert_true(isnan(batch->columns[8].child[batch->columns[8].as.list[0].offset + 1]));
    assert_int_equal(batch->columns[9].as.text[0].n, 31);
    assert_memory_equal(batch->columns[9].as.text[0].at, "a text longer than twelve bytes", 31);
    assert_int_equal(batch->columns[10].as.i[0], 981173106000000 - 3600000000);
    ok(f, data_next(result, &batch, &f->err));
    assert_null(batch);
    data_result_close(result);
}

static void a_type_outside_the_list_is_an_error_that_names_the_cast(void **state)
{
    struct fixture *f = *state;
    struct table_info info;
    struct data_write write = {.path = in_folder(f, "x.parquet")};
    write.select = "SELECT sum(i) AS total FROM range(10) t(i)";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DATA,
               "column 'total' is HUGEINT, which a table cannot keep: write cast(total as bigint)");
    write.select = "SELECT 1.25 AS price";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DATA,
               "column 'price' is DECIMAL(3,2), which a table cannot keep: write cast(price as "
               "double)");
    write.select = "SELECT {'a': 1} AS s";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DATA, "STRUCT");
    write.select = "SELECT ['a'] AS words";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DATA,
               "VARCHAR[]");
}

static void a_select_is_all_that_is_written(void **state)
{
    struct fixture *f = *state;
    struct table_info info;
    struct data_write write = {.path = in_folder(f, "x.parquet")};
    write.select = "SELECT 1 AS a; SELECT 2 AS b";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_INVALID,
               "2 statements");
    write.select = "CREATE TABLE t (a INT)";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_INVALID,
               "must be a SELECT");
    write.select = "SELECT 1 AS a) TO '/tmp/elsewhere'; --";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_INVALID,
               "syntax error");
    write.select = "SELECT 1 AS a,\n  2 AS b,\n  frm x";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_INVALID,
               "LINE 3");
    write.select = "SELECT 1 AS a, 2 AS A";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DATA,
               "two columns are called");
}

static void values_are_bound_by_type(void **state)
{
    struct fixture *f = *state;
    struct data_value values[6];
    static const char *const json[] = {
        "7", "2.5", "\"it's; DROP\"", "{\"timestamp_us\": 1000000}", "true", "{\"date_days\": 1}"};
    for (size_t i = 0; i < 6; i++) {
        ok(f, data_value_read(json[i], &f->arena, &values[i], &f->err));
    }
    struct table_info info;
    struct data_write write = {.select =
                                   "SELECT $1 AS i, $2 AS d, $3 AS s, $4 AS ts, $5 AS b, $6 AS "
                                   "day FROM range(10) t(x) WHERE x < $1 -- a comment",
                               .values = values,
                               .n_values = 6,
                               .path = in_folder(f, "bound.parquet")};
    ok(f, data_write_table(f->db, &write, &f->arena, &info, &f->err));
    assert_int_equal(info.n_rows, 7);
    assert_int_equal(info.n_columns, 6);
    assert_int_equal(info.columns[3].type, TABLE_TIMESTAMP);
    assert_int_equal(info.columns[5].type, TABLE_DATE);
    struct data_value value;
    static const char *const columns[] = {"1::BIGINT", "'x'", "1.5::DOUBLE", "true",
                                          "DATE '2001-01-01'"};
    struct data_result *none;
    const struct data_batch *rows;
    ok(f, data_value_read("[]", &f->arena, &value, &f->err));
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        const char *sql = arena_printf(
            &f->arena, "SELECT count(*) FROM (SELECT %s AS a) WHERE a IN $1", columns[i]);
        ok(f, data_query(f->db, sql, &value, 1, &none, &f->err));
        ok(f, data_next(none, &rows, &f->err));
        assert_int_equal(rows->columns[0].as.i[0], 0);
        data_result_close(none);
    }
    fails_with(f, data_value_read("[1, \"a\"]", &f->arena, &value, &f->err), NX_E_INVALID, "[1, ");
    fails_with(f, data_value_read("[[1]]", &f->arena, &value, &f->err), NX_E_INVALID, "[[1]]");
    write.n_values = 5;
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_INVALID,
               "6 parameters, 5 values");
}

static void enums_nulls_and_failed_appenders_are_understood(void **state)
{
    struct fixture *f = *state;
    struct data_result *result;
    const struct data_batch *batch;
    struct data_value null;
    ok(f, data_value_read("null", &f->arena, &null, &f->err));
    ok(f, data_exec(f->db, "CREATE TYPE size AS ENUM ('small', 'large')", &f->err));
    ok(f, data_query(
              f->db,
              "SELECT ['large', NULL, 'small'][i + 1]::size AS s, $1::INT AS n FROM range(3) t(i)",
              &null, 1, &result, &f->err));
    size_t n;
    const struct table_column *columns = data_result_columns(result, &n);
    assert_int_equal(columns[0].type, TABLE_CATEGORY);
    assert_int_equal(columns[0].n_categories, 2);
    assert_string_equal(columns[0].categories[1], "large");
    ok(f, data_next(result, &batch, &f->err));
    assert_memory_equal(batch->columns[0].as.text[0].at, "large", 5);
    assert_false(data_is_valid(&batch->columns[0], 1));
    assert_memory_equal(batch->columns[0].as.text[2].at, "small", 5);
    assert_false(data_is_valid(&batch->columns[1], 0));
    data_result_close(result);
    duckdb_appender appender = NULL;
    assert_int_equal(f->db->api.appender_create(f->db->connection, NULL, "nothing", &appender),
                     DUCKDB_ERROR);
    assert_non_null(f->db->api.appender_error(appender));
    f->db->api.appender_destroy(&appender);
    fails_with(f, data_exec(f->db, "SELECT nexus_whole('1.5', 'n')", &f->err), NX_E_DATA,
               "column 'n' is int64, but has '1.5'");
}

#define MIXED \
    "SELECT (i * 7919) % 100003 AS k, CASE WHEN i % 10 = 0 THEN NULL ELSE i / 7.0::DOUBLE END AS " \
    "d, 'name ' || (i % 1000) AS s, i % 2 = 0 AS b, DATE '2001-01-01' + (i % 365)::INT AS day, " \
    "TIMESTAMP '2001-01-01' + to_seconds(i) AS ts, [i::DOUBLE, NULL] AS l FROM range(300000) t(i)"

static void bytes_and_hash_do_not_depend_on_threads(void **state)
{
    struct fixture *f = *state;
    struct table_info first = write_with(f, f->db, MIXED, "2.parquet", false, false);
    assert_int_equal(first.n_rows, 300000);
    assert_int_equal(first.n_order, 7);
    static const int threads[] = {1, 4};
    for (int i = 0; i < 2; i++) {
        struct data_db *db = open_with(f, threads[i]);
        struct table_info info = write_with(f, db, MIXED, "other.parquet", false, i == 1);
        assert_true(same_hash(&first, &info));
        same_files(f, "2.parquet", "other.parquet");
        data_close(db);
    }
}

static void the_hash_does_not_depend_on_order_or_row_groups_but_on_everything_else(void **state)
{
    struct fixture *f = *state;
    struct table_info a = write_with(f, f->db, MIXED, "a.parquet", false, false);
    struct table_info b = write_with(f, f->db, MIXED " ORDER BY d, k", "b.parquet", true, false);
    assert_true(same_hash(&a, &b));
    struct table_info one = write_with(f, f->db, "SELECT 1 AS a, 'x' AS b", "c.parquet", false, 0);
    static const char *const others[] = {"SELECT 2 AS a, 'x' AS b",
                                         "SELECT 1 AS a, 'y' AS b",
                                         "SELECT 1.0::DOUBLE AS a, 'x' AS b",
                                         "SELECT 1 AS c, 'x' AS b",
                                         "SELECT NULL::INT AS a, 'x' AS b",
                                         "SELECT 'x' AS b, 1 AS a",
                                         "SELECT 1 AS a, 'x' AS b FROM range(2)",
                                         "SELECT 1 AS a, 'x' AS b LIMIT 0",
                                         "SELECT 1 AS a, '' AS b",
                                         "SELECT 1 AS a, NULL::VARCHAR AS b"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct table_info other = write_with(f, f->db, others[i], "d.parquet", false, false);
        if (same_hash(&one, &other)) {
            fail_msg("the same hash: %s", others[i]);
        }
    }
    struct table_info nan = write_with(f, f->db, "SELECT 'nan'::DOUBLE AS a", "e.parquet", 0, 0);
    struct table_info null = write_with(f, f->db, "SELECT NULL::DOUBLE AS a", "g.parquet", 0, 0);
    assert_true(same_hash(&nan, &null));
    same_files(f, "e.parquet", "g.parquet");
}

static void the_hash_of_known_rows_stays_the_same_for_years(void **state)
{
    struct fixture *f = *state;
    char text[TABLE_HASH_TEXT_MAX];
    struct table_info info = write_with(
        f, f->db,
        "SELECT * FROM (VALUES (1, 1.5::DOUBLE, 'one', true), (-2, NULL, '', NULL)) t(a, b, c, d)",
        "a.parquet", false, false);
    assert_string_equal(table_hash_format(text, info.rows_hash),
                        "30350e767e54e67ece0f707e2b04b523");
    struct table_hash back;
    assert_true(table_hash_parse(text, &back));
    assert_true(back.lo == info.rows_hash.lo && back.hi == info.rows_hash.hi);
    assert_false(table_hash_parse("12", &back));
}

static void a_hash_made_in_passing_is_that_of_the_file(void **state)
{
    struct fixture *f = *state;
    struct table_info a =
        write_with(f, f->db, "SELECT * FROM (" MIXED ")", "a.parquet", true, true);
    assert_int_equal(f->db->hash.n_rows, 300000);
    struct table_info b = write_with(f, f->db, MIXED, "b.parquet", true, false);
    assert_true(same_hash(&a, &b));
    same_files(f, "a.parquet", "b.parquet");
}

static void order_by_is_kept_and_ties_are_broken(void **state)
{
    struct fixture *f = *state;
    const char *by[] = {"b"};
    struct data_order order = {.columns = by, .n = 1};
    struct table_info info;
    struct data_write write = {.select = "SELECT -i AS a, i % 3 AS b FROM range(9) t(i)",
                               .path = in_folder(f, "o.parquet"),
                               .order = &order};
    ok(f, data_write_table(f->db, &write, &f->arena, &info, &f->err));
    assert_int_equal(info.n_order, 1);
    assert_string_equal(info.order[0], "b");
    ok(f, data_add_table(f->db, "o", write.path, NULL, &f->err));
    struct column *columns;
    struct column_want want[] = {{.name = "a"}, {.name = "b"}};
    ok(f, column_read(f->db, "o", want, 2, &columns, &f->err));
    static const int64_t a[] = {-6, -3, 0, -7, -4, -1, -8, -5, -2};
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(columns[0].as.i[i], a[i]);
        assert_int_equal(columns[1].as.i[i], i / 3);
    }
    column_free(columns, 2);
    by[0] = "nothing";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_INVALID,
               "order_by names 'nothing'");
}

static void a_table_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    static const char *const sizes[] = {"small", "large", "it's"};
    struct table_column category = {.name = "size", .categories = sizes, .n_categories = 3};
    struct table_info info;
    const struct table_info *read;
    struct data_write write = {
        .select = "SELECT i, ['small', 'large'][i % 2 + 1] AS size FROM range(5) t(i)",
        .path = in_folder(f, "c.parquet"),
        .categories = &category,
        .n_categories = 1};
    ok(f, data_write_table(f->db, &write, &f->arena, &info, &f->err));
    ok(f, data_add_table(f->db, "c", write.path, &read, &f->err));
    assert_int_equal(read->n_rows, 5);
    assert_int_equal(read->n_bytes, info.n_bytes);
    assert_int_equal(read->columns[1].type, TABLE_CATEGORY);
    assert_int_equal(read->columns[1].n_categories, 3);
    assert_string_equal(read->columns[1].categories[2], "it's");
    assert_int_equal(read->n_order, 2);
    struct buf meta;
    buf_init(&meta);
    table_info_write(&info, false, &meta);
    struct table_info back;
    ok(f, table_info_read(buf_text(&meta), &f->arena, &back, &f->err));
    assert_int_equal(back.n_rows, 5);
    assert_true(same_hash(&info, &back));
    assert_int_equal(back.columns[1].type, TABLE_CATEGORY);
    buf_fini(&meta);
    fails_with(f, data_add_table(f->db, "no", in_folder(f, "no.parquet"), NULL, &f->err),
               NX_E_NOT_FOUND, "No such file");
    ok(f, path_write(in_folder(f, "text.parquet"), "not parquet", 11, &f->err));
    assert_false(data_add_table(f->db, "text", in_folder(f, "text.parquet"), NULL, &f->err));
    write.select = "SELECT 1 AS size";
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DATA,
               "column 'size' cannot be a category");
}

static void a_locked_database_reads_and_writes_nothing_else(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/nexus-data-other-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_with(f, f->db, "SELECT 1 AS a", "in.parquet", false, false);
    ok(f, data_add_table(f->db, "t", in_folder(f, "in.parquet"), NULL, &f->err));
    ok(f, data_lock(f->db, &f->err));
    static const char *const denied[] = {
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/*')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('https://127.0.0.1/x.csv')",
        "SELECT * FROM duckdb_secrets()",
        "COPY (SELECT 1) TO '/tmp/nexus-data-evil.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "ATTACH '/tmp/nexus-data-evil.db'",
        "EXPORT DATABASE '/tmp/nexus-data-evil'",
        "SET threads = 8",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET memory_limit",
        "PRAGMA memory_limit='100GB'",
    };
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        struct data_result *result = NULL;
        const struct data_batch *batch;
        bool done = data_query(f->db, denied[i], NULL, 0, &result, &f->err) &&
                    data_next(result, &batch, &f->err);
        data_result_close(result);
        if (done) {
            fail_msg("allowed: %s", denied[i]);
        }
    }
    assert_false(path_exists("/tmp/nexus-data-evil.csv"));
    struct table_info info;
    struct data_write write = {.select = "SELECT a + 1 AS a FROM t", .path = in_folder(f, "out")};
    ok(f, data_write_table(f->db, &write, &f->arena, &info, &f->err));
    assert_int_equal(info.n_rows, 1);
    write.path = arena_printf(&f->arena, "%s/out", folder);
    fails_with(f, data_write_table(f->db, &write, &f->arena, &info, &f->err), NX_E_DENIED,
               "Cannot access file");
    path_remove_tree(folder, NULL);
}

static void *interrupt_soon(void *db)
{
    usleep(200000);
    data_interrupt(db);
    return NULL;
}

static void a_running_statement_is_interrupted(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, f->db), 0);
    fails_with(f,
               data_exec(f->db,
                         "SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000) b(i)",
                         &f->err),
               NX_E_CANCELLED, "");
    pthread_join(thread, NULL);
}

static void a_plan_tells_what_depends_on_threads(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *select;
        bool keeps_order, any_threads;
    } cases[] = {
        {"SELECT a + 1 AS b FROM t WHERE a > 5", true, true},
        {"SELECT * FROM t UNION ALL SELECT * FROM t", true, true},
        {"SELECT * FROM t LIMIT 5", true, true},
        {"SELECT a % 3 AS g, count(*) AS n, max(d) AS m FROM t GROUP BY 1", false, true},
        {"SELECT a % 3 AS g, avg(d) AS m FROM t GROUP BY 1", false, false},
        {"SELECT sum(d) AS s FROM t", false, false},
        {"SELECT t.a FROM t JOIN t u ON t.a = u.a + 1", false, true},
        {"SELECT a, row_number() OVER (ORDER BY a % 3) AS r FROM t", false, false},
        {"SELECT * FROM (SELECT a % 3 AS g, count(*) FROM t GROUP BY 1) LIMIT 2", false, false},
        {"SELECT first(a) AS a FROM t", false, false},
    };
    ok(f, data_exec(f->db,
                    "CREATE TABLE t AS SELECT i AS a, i / 3.0::DOUBLE AS d FROM range(1000) r(i)",
                    &f->err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_plan plan;
        ok(f, data_plan(f->db, cases[i].select, NULL, 0, &plan, &f->err));
        if (plan.keeps_order != cases[i].keeps_order || plan.any_threads != cases[i].any_threads) {
            fail_msg("%s: %d %d", cases[i].select, plan.keeps_order, plan.any_threads);
        }
    }
}

static void a_cancelled_database_runs_nothing_more(void **state)
{
    struct fixture *f = *state;
    data_interrupt(f->db);
    fails_with(f, data_exec(f->db, "SELECT 1", &f->err), NX_E_CANCELLED, "cancelled");
}

static void columns_come_with_codes_and_missing_bits(void **state)
{
    struct fixture *f = *state;
    ok(f,
       data_exec(f->db,
                 "CREATE TABLE t AS SELECT i AS n, CASE i % 3 WHEN 0 THEN 'b' WHEN 1 THEN 'a' END "
                 "AS s, CASE WHEN i % 5 = 0 THEN 'nan'::DOUBLE ELSE i END AS d, i % 2 = 1 AS b "
                 "FROM range(5000) r(i)",
                 &f->err));
    static const char *const known[] = {"b", "c"};
    struct column_want want[] = {{.name = "n"},
                                 {.name = "s"},
                                 {.name = "d"},
                                 {.name = "s", .categories = known, .n_categories = 2},
                                 {.name = "b"}};
    struct column *c;
    ok(f, column_read(f->db, "t", want, 5, &c, &f->err));
    assert_int_equal(c[0].n_rows, 5000);
    assert_null(c[0].valid);
    assert_int_equal(c[1].n_text, 2);
    assert_string_equal(c[1].text[0], "a");
    assert_int_equal(c[1].n_missing, 1666);
    assert_int_equal(c[2].n_missing, 1000);
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(c[0].as.i[i], i);
        assert_int_equal(c[1].as.code[i], i % 3 == 0 ? 1 : i % 3 == 1 ? 0 : COLUMN_MISSING);
        assert_int_equal(c[3].as.code[i], i % 3 == 0   ? 0
                                          : i % 3 == 1 ? COLUMN_UNKNOWN
                                                       : COLUMN_MISSING);
        assert_int_equal(column_is_valid(&c[2], i), i % 5 != 0);
        assert_true(i % 5 == 0 ? isnan(c[2].as.f[i]) : c[2].as.f[i] == (double)i);
        assert_int_equal(c[4].as.b[i], i % 2 == 1);
    }
    column_free(c, 5);
    struct column_want wrong = {.name = "nn"};
    fails_with(f, column_read(f->db, "t", &wrong, 1, &c, &f->err), NX_E_NOT_FOUND,
               "table 't' has no column 'nn'; did you mean 'n'?");
}

static void a_matrix_is_filled_either_way(void **state)
{
    struct fixture *f = *state;
    ok(f, data_exec(f->db,
                    "CREATE TABLE t AS SELECT i + 16777000 AS n, ['x', 'y', NULL][i % 3 + 1] AS s, "
                    "i / 4.0::DOUBLE AS d FROM range(3000) r(i)",
                    &f->err));
    static const char *const known[] = {"y", "x"};
    struct column_want want[] = {
        {.name = "n"}, {.name = "s", .categories = known, .n_categories = 2}, {.name = "d"}};
    struct column_matrix rows, columns;
    ok(f, column_read_matrix(f->db, "t", want, 3, true, &rows, &f->err));
    ok(f, column_read_matrix(f->db, "t", want, 3, false, &columns, &f->err));
    assert_int_equal(rows.n_rows, 3000);
    assert_int_equal(rows.n_inexact[0], 3000 - 217);
    assert_int_equal(rows.n_inexact[2], 0);
    for (size_t i = 0; i < 3000; i++) {
        assert_true(rows.at[i * 3] == (float)(i + 16777000));
        assert_true(columns.at[i] == rows.at[i * 3]);
        float s = rows.at[i * 3 + 1];
        assert_true(i % 3 == 0 ? s == 1.0f : i % 3 == 1 ? s == 0.0f : isnan(s));
        assert_true(rows.at[i * 3 + 2] == (float)i / 4);
        assert_true(columns.at[6000 + i] == rows.at[i * 3 + 2]);
    }
    column_matrix_fini(&rows);
    column_matrix_fini(&columns);
    want[1] = (struct column_want){.name = "s"};
    fails_with(f, column_read_matrix(f->db, "t", want, 3, true, &rows, &f->err), NX_E_DATA,
               "column 's' is text");
}

static void arrays_become_a_table_again(void **state)
{
    struct fixture *f = *state;
    ok(f,
       data_exec(f->db,
                 "CREATE TABLE t AS SELECT CASE WHEN i % 7 > 0 THEN i END AS n, ['x', 'a longer "
                 "text than twelve', NULL][i % 3 + 1] AS s, CASE WHEN i % 2 = 0 THEN 'nan' ELSE i "
                 "/ 4.0::DOUBLE END AS d, DATE '1960-01-01' + i::INT AS day, TIMESTAMP "
                 "'2001-01-01' + to_seconds(i) AS ts, i % 2 = 0 AS b FROM range(5000) r(i)",
                 &f->err));
    struct column_want want[] = {{.name = "n"},   {.name = "s"},  {.name = "d"},
                                 {.name = "day"}, {.name = "ts"}, {.name = "b"}};
    struct column *c;
    ok(f, column_read(f->db, "t", want, 6, &c, &f->err));
    ok(f, column_create_table(f->db, "u", c, 6, true, &f->err));
    ok(f, column_create_table(f->db, "v", c, 6, false, &f->err));
    column_free(c, 6);
    struct table_info t = write_with(f, f->db, "FROM t", "t.parquet", true, false);
    struct table_info u =
        write_with(f, f->db, "SELECT * EXCLUDE (row_number) FROM u ORDER BY row_number",
                   "u.parquet", true, false);
    struct table_info v = write_with(f, f->db, "FROM v", "v.parquet", true, false);
    assert_true(same_hash(&t, &u) && same_hash(&t, &v));
    same_files(f, "t.parquet", "u.parquet");
    int64_t wrong = -1;
    ok(f, data_query_int(f->db, "SELECT max(row_number) - 4999 FROM u", &wrong, &f->err));
    assert_int_equal(wrong, 0);
}

static void buckets_are_even_and_depend_on_seed_and_key(void **state)
{
    struct fixture *f = *state;
    int64_t n = 0, same = 0;
    ok(f, data_query_int(f->db,
                         "SELECT count(*) FROM range(100000) t(i) WHERE nexus_bucket(7, i) < 0.2 * "
                         "(1::BIGINT << 53)",
                         &n, &f->err));
    assert_in_range(n, 19500, 20500);
    ok(f, data_query_int(
              f->db,
              "SELECT count(*) FROM range(100000) t(i) WHERE (nexus_bucket(7, i) < 1::BIGINT "
              "<< 52) = (nexus_bucket(8, i) < 1::BIGINT << 52)",
              &same, &f->err));
    assert_in_range(same, 49000, 51000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(every_function_of_the_library_is_found),
        T(all_types_are_read_with_their_missing_values),
        T(a_type_outside_the_list_is_an_error_that_names_the_cast),
        T(a_select_is_all_that_is_written),
        T(values_are_bound_by_type),
        T(bytes_and_hash_do_not_depend_on_threads),
        T(the_hash_does_not_depend_on_order_or_row_groups_but_on_everything_else),
        T(the_hash_of_known_rows_stays_the_same_for_years),
        T(a_hash_made_in_passing_is_that_of_the_file),
        T(order_by_is_kept_and_ties_are_broken),
        T(a_table_says_what_it_is),
        T(a_locked_database_reads_and_writes_nothing_else),
        T(enums_nulls_and_failed_appenders_are_understood),
        T(a_running_statement_is_interrupted),
        T(a_plan_tells_what_depends_on_threads),
        T(a_cancelled_database_runs_nothing_more),
        T(columns_come_with_codes_and_missing_bits),
        T(a_matrix_is_filled_either_way),
        T(arrays_become_a_table_again),
        T(buckets_are_even_and_depend_on_seed_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
