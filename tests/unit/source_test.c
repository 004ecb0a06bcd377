/* lib/data: files of all kinds to tables, and their schemas. */
#include <math.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/data/column.h"
#include "lib/data/source.h"
#include "tests/unit/test.h"

struct fixture {
    char folder[64];
    struct data_db *db;
    struct arena arena;
    struct nx_err err;
    int n_loads;
    struct source source; /* of the last load */
    struct table_info info;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/nexus-source-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    arena_init(&f->arena);
    struct data_settings settings = {
        .threads = 2, .memory_bytes = 2ll << 30, .temp_dir = f->folder};
    if (!data_open(&settings, &f->db, &f->err)) {
        fail_msg("%s", f->err.text);
    }
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

static const char *put_bytes(struct fixture *f, const char *name, const void *p, size_t n)
{
    const char *path = arena_printf(&f->arena, "%s/%s", f->folder, name);
    if (!path_write(path, p, n, &f->err)) {
        fail_msg("%s", f->err.text);
    }
    return path;
}

static const char *put(struct fixture *f, const char *name, const char *text)
{
    return put_bytes(f, name, text, strlen(text));
}

static void prepare(struct fixture *f, const char *const *paths, size_t n)
{
    f->source = (struct source){
        .db = f->db,
        .arena = &f->arena,
        .paths = paths,
        .n_paths = n,
        .schema.file = {.delimiter = "auto", .quote = "\"", .header = true, .timezone = "UTC"}};
}

static bool run(struct fixture *f, const struct source_pick *pick)
{
    static const struct source_pick all;
    const char *path = arena_printf(&f->arena, "%s/out%d.parquet", f->folder, ++f->n_loads);
    struct schema_file *file = &f->source.schema.file;
    if ((file->format == FILE_AUTO && !source_detect(f->source.paths[0], &file->format, &f->err)) ||
        !source_inspect(&f->source, &f->err) ||
        !source_write(&f->source, pick ? pick : &all, path, &f->info, &f->err)) {
        return false;
    }
    const char *view = arena_printf(&f->arena, "t%d", f->n_loads);
    return data_add_table(f->db, view, path, NULL, &f->err);
}

static void load_all(struct fixture *f)
{
    if (!run(f, NULL)) {
        fail_msg("%s", f->err.text);
    }
}

static void load(struct fixture *f, const char *path)
{
    const char **paths = arena_array(&f->arena, 1, sizeof *paths);
    paths[0] = path;
    prepare(f, paths, 1);
    load_all(f);
}

static void fails(struct fixture *f, const char *path, enum nx_code code, const char *part)
{
    const char *paths[] = {path};
    prepare(f, paths, 1);
    assert_false(run(f, NULL));
    if (f->err.code != code || !strstr(f->err.text, part)) {
        fail_msg("code %d, text: %s", f->err.code, f->err.text);
    }
}

static void types_are(struct fixture *f, const char *expected)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < f->info.n_columns; i++) {
        buf_printf(&text, "%s%s %s", i ? ", " : "", f->info.columns[i].name,
                   table_type_name(f->info.columns[i].type));
    }
    assert_string_equal(buf_text(&text), expected);
    buf_fini(&text);
}

/* A count over the last table, named t in the SQL's format. */
static int64_t count(struct fixture *f, const char *where)
{
    int64_t n = -1;
    const char *sql =
        arena_printf(&f->arena, "SELECT count(*) FROM t%d WHERE %s", f->n_loads, where);
    if (!data_query_int(f->db, sql, &n, &f->err)) {
        fail_msg("%s", f->err.text);
    }
    return n;
}

/* ---- CSV ---- */

static void types_come_from_the_values(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "a.csv",
                "i,d,b,day,ts,s,zip,mixed,yes,none\n"
                "1,1.5,true,2001-02-03,2001-02-03 04:05:06,x,00501,1,yes,\n"
                "-2,2,FALSE,2001-12-31,2001-02-03T04:05:06+02:00,\"y, \"\"z\"\"\",10001,x,no,\n"
                "+3,1e3,,,2001-02-03,,,,,\n"));
    types_are(f, "i int64, d double, b bool, day date, ts timestamp, s string, zip string, mixed "
                 "string, yes string, none string");
    assert_int_equal(f->info.n_rows, 3);
    assert_int_equal(count(f, "i IN (1, -2, 3) AND d IN (1.5, 2, 1000)"), 3);
    assert_int_equal(
        count(f, "b = false AND ts = TIMESTAMP '2001-02-03 02:05:06' AND s = 'y, \"z\"'"), 1);
    assert_int_equal(count(f, "zip = '00501' AND day = DATE '2001-02-03'"), 1);
    assert_int_equal(count(f, "b IS NULL AND day IS NULL AND s IS NULL AND none IS NULL"), 1);
}

static void a_later_row_widens_the_type_and_nothing_is_rounded(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    buf_init(&text);
    buf_str(&text, "i,day,big,empty,code\n");
    for (int i = 0; i < 30000; i++) {
        buf_printf(&text, "%d,2001-01-01,%d,,%d\n", i, i, i);
    }
    buf_str(&text, "1.5,2001-01-01 10:00:00,9007199254740993,7,A1\n");
    load(f, put_bytes(f, "a.csv", text.data, text.len));
    types_are(f, "i double, day timestamp, big int64, empty int64, code string");
    assert_int_equal(count(f, "i = 1.5 AND day = TIMESTAMP '2001-01-01 10:00:00' AND big = "
                              "9007199254740993 AND empty = 7 AND code = 'A1'"),
                     1);
    assert_int_equal(f->info.n_rows, 30001);
    buf_fini(&text);
}

static void delimiters_quotes_marks_and_newlines_are_understood(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "bom.csv", "\xef\xbb\xbf\"a\",b\r\n1,\"two\r\nlines\"\r\n"));
    types_are(f, "a int64, b string");
    assert_int_equal(count(f, "b = 'two' || chr(13) || chr(10) || 'lines'"), 1);
    load(f, put(f, "semi.csv", "a;b\n1;\"x;y\"\n"));
    types_are(f, "a int64, b string");
    load(f, put(f, "tabs.tsv", "a\tb,c\n1\t2\n"));
    types_are(f, "a int64, b,c int64");
    load(f, put(f, "pipe.csv", "a|b\n1|2"));
    assert_int_equal(count(f, "a = 1 AND b = 2"), 1);
    load(f, put(f, "only-header.csv", "a,b\n"));
    types_are(f, "a string, b string");
    assert_int_equal(f->info.n_rows, 0);
    load(f, put(f, "one.csv", "a\n5\n6\n"));
    assert_int_equal(count(f, "a IN (5, 6)"), 2);
}

static void lines_of_ten_megabytes_are_read(void **state)
{
    struct fixture *f = *state;
    size_t n = 10 * 1000 * 1000;
    struct buf text;
    buf_init(&text);
    buf_str(&text, "a,b\n1,");
    memset(buf_reserve(&text, n), 'x', n);
    text.len += n;
    buf_str(&text, "\n2,y\n");
    load(f, put_bytes(f, "long.csv", text.data, text.len));
    assert_int_equal(count(f, "length(b) = 10000000 OR b = 'y'"), 2);
    buf_fini(&text);
}

static void null_texts_and_headers_are_parameters(void **state)
{
    struct fixture *f = *state;
    static const char *const nulls[] = {"", "NA", "?"};
    const char *paths[] = {put(f, "a.csv", "1,NA\n?,x\n,\n")};
    prepare(f, paths, 1);
    f->source.schema.file.header = false;
    f->source.schema.file.nulls = nulls;
    f->source.schema.file.n_nulls = 3;
    load_all(f);
    types_are(f, "column0 int64, column1 string");
    assert_int_equal(count(f, "column0 IS NULL"), 2);
    assert_int_equal(count(f, "column1 IS NULL"), 2);
}

static void malformed_files_say_what_and_where(void **state)
{
    struct fixture *f = *state;
    fails(f, put(f, "empty.csv", ""), NX_E_DATA, "empty.csv is empty");
    fails(f, put(f, "dup.csv", "a,b,A\n1,2,3\n"), NX_E_DATA, "two columns are called 'A'");
    fails(f, put(f, "ragged.csv", "a,b,c\n1,2,3\n4,5\n"), NX_E_DATA, "Line: 3");
    fails(f, put(f, "ragged2.csv", "a,b\n1,2\n4,5,6\n"), NX_E_DATA, "ragged2.csv: ");
    fails(f, put(f, "quote.csv", "a,b\n1,\"x\n2,y\n"), NX_E_DATA, "unterminated quote");
    fails(f, put(f, "latin.csv", "a,b\n1,x\n2,caf\xe9\n"), NX_E_DATA,
          "latin.csv is not UTF-8: byte 13 (line 3) is wrong");
    fails(f, put(f, "packed.csv", "\x1f\x8b\x08"), NX_E_UNSUPPORTED, "gzip");
    fails(f, "/nowhere/x.csv", NX_E_NOT_FOUND, "/nowhere/x.csv");
    fails(f, put(f, "not.parquet", "PAR1 but no more"), NX_E_DATA, "");
    fails(f, put(f, "not.json", "[{\"a\": 1}, {"), NX_E_DATA, "not.json");
}

static void named_types_are_kept_or_refused(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = {put(f, "a.csv", "zip,day,ts,ok\n00501,03.02.2001,3/2/2001 4:05,1\n")};
    static struct schema_column columns[] = {
        {.name = "zip", .type = TABLE_CATEGORY, .typed = true},
        {.name = "day", .type = TABLE_DATE, .typed = true, .format = "%d.%m.%Y"},
        {.name = "ts", .type = TABLE_TIMESTAMP, .typed = true, .format = "%d/%m/%Y %H:%M"},
        {.name = "ok", .type = TABLE_BOOL, .typed = true}};
    prepare(f, paths, 1);
    f->source.schema.columns = columns;
    f->source.schema.n_columns = 4;
    load_all(f);
    types_are(f, "zip category, day date, ts timestamp, ok bool");
    assert_int_equal(
        count(f, "day = DATE '2001-02-03' AND ts = TIMESTAMP '2001-02-03 04:05' AND ok"), 1);
    static struct schema_column wrong[] = {{.name = "zip", .type = TABLE_INT64, .typed = true}};
    const char *half[] = {put(f, "b.csv", "zip\n1.5\n")};
    prepare(f, half, 1);
    f->source.schema.columns = wrong;
    f->source.schema.n_columns = 1;
    assert_false(run(f, NULL));
    assert_int_equal(f->err.code, NX_E_DATA);
    assert_non_null(strstr(f->err.text, "column 'zip' is int64, but has '1.5'"));
    const char *large[] = {put(f, "c.csv", "zip\n9007199254740993\n")};
    prepare(f, large, 1);
    f->source.schema.columns = wrong;
    f->source.schema.n_columns = 1;
    load_all(f);
    assert_int_equal(count(f, "zip = 9007199254740993"), 1);
    wrong[0].name = "zap";
    prepare(f, large, 1);
    f->source.schema.columns = wrong;
    f->source.schema.n_columns = 1;
    assert_false(run(f, NULL));
    assert_non_null(strstr(f->err.text, "`columns` names 'zap'"));
    assert_non_null(strstr(f->err.text, "did you mean 'zip'?"));
}

static void local_times_get_their_instants(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = {put(f, "a.csv",
                               "n,ts\n1,2001-01-15 12:00:00\n2,2001-07-15 12:00:00\n"
                               "3,2001-03-25 02:30:00\n4,2001-10-28 02:30:00\n"
                               "5,2001-07-15T12:00:00Z\n6,\n7,2001-03-25 03:00:00\n")};
    prepare(f, paths, 1);
    f->source.schema.file.timezone = "Europe/Berlin";
    load_all(f);
    types_are(f, "n int64, ts timestamp");
    assert_int_equal(count(f, "n = 1 AND ts = TIMESTAMP '2001-01-15 11:00:00'"), 1);
    assert_int_equal(count(f, "n = 2 AND ts = TIMESTAMP '2001-07-15 10:00:00'"), 1);
    /* A time that did not exist: the first instant after. One that was twice: the first. */
    assert_int_equal(count(f, "n = 3 AND ts = TIMESTAMP '2001-03-25 01:00:00'"), 1);
    assert_int_equal(count(f, "n = 4 AND ts = TIMESTAMP '2001-10-28 00:30:00'"), 1);
    assert_int_equal(count(f, "n = 5 AND ts = TIMESTAMP '2001-07-15 12:00:00'"), 1);
    assert_int_equal(count(f, "n = 6 AND ts IS NULL"), 1);
    assert_int_equal(count(f, "n = 7 AND ts = TIMESTAMP '2001-03-25 01:00:00'"), 1);
}

static void several_files_are_one_table_whatever_the_order_of_columns(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = {put(f, "a.csv", "x,y\n1,a\n"), put(f, "b.csv", "y,x\nb,2.5\n"),
                           put(f, "c.csv", "x,y\n3,c\n")};
    prepare(f, paths, 3);
    load_all(f);
    types_are(f, "x double, y string");
    assert_int_equal(count(f, "(x, y) IN ((1, 'a'), (2.5, 'b'), (3, 'c'))"), 3);
    paths[1] = put(f, "b.csv", "y,z\nb,2.5\n");
    prepare(f, paths, 3);
    assert_false(run(f, NULL));
    assert_string_equal(f->err.text, "b.csv has no column 'x', which a.csv has");
}

static void rows_and_columns_can_be_picked(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = {put(f, "a.csv", "x,y\n1,a\n2,b\n3,c\n4,d\n")};
    const char *columns[] = {"y"};
    struct data_value two = {.kind = DATA_INT, .as.i = 2};
    struct source_pick pick = {.where = "x >= $1 -- from two on",
                               .values = &two,
                               .n_values = 1,
                               .columns = columns,
                               .n_columns = 1,
                               .limit = 2};
    prepare(f, paths, 1);
    assert_true(run(f, &pick));
    types_are(f, "y string");
    assert_int_equal(f->info.n_rows, 2);
    assert_int_equal(count(f, "y IN ('b', 'c')"), 2);
    columns[0] = "q";
    prepare(f, paths, 1);
    assert_false(run(f, &pick));
    assert_non_null(strstr(f->err.text, "'q'"));
}

/* ---- JSON and Parquet ---- */

static void json_and_json_lines_are_read_over_all_their_rows(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "a.json",
                "[{\"a\": 1, \"b\": \"x\", \"u\": \"6ba7b810-9dad-11d1-80b4-00C04FD430c8\"},\n"
                " {\"a\": 2.5, \"b\": null, \"c\": true}]"));
    types_are(f, "a double, b string, u string, c bool");
    assert_int_equal(count(f, "u = '6ba7b810-9dad-11d1-80b4-00C04FD430c8' AND c IS NULL"), 1);
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < 30000; i++) {
        buf_printf(&text, "{\"n\": %d}\n", i);
    }
    buf_str(&text, "{\"n\": 1.5, \"late\": \"here\"}\n");
    load(f, put_bytes(f, "b.jsonl", text.data, text.len));
    types_are(f, "n double, late string");
    assert_int_equal(count(f, "late = 'here' AND n = 1.5"), 1);
    buf_fini(&text);
    fails(f, put(f, "deep.jsonl", "{\"a\": {\"b\": 1}}\n"), NX_E_DATA,
          "column 'a' of deep.jsonl is STRUCT(b BIGINT), which a table cannot keep: name its type");
}

static void parquet_keeps_its_types_and_asks_for_the_others(void **state)
{
    struct fixture *f = *state;
    const char *path = arena_printf(&f->arena, "%s/in.parquet", f->folder);
    const char *copy = arena_printf(&f->arena,
                                    "COPY (SELECT 1::INTEGER AS i, 1.5::FLOAT AS f, 'x' AS s, DATE "
                                    "'2001-01-01' AS d, 2.5::DECIMAL(9,2) AS price) TO '%s'",
                                    path);
    assert_true(data_exec(f->db, copy, &f->err));
    fails(f, path, NX_E_DATA,
          "column 'price' of in.parquet is DECIMAL(9,2), which a table cannot keep: name its type, "
          "such as `columns: {price: double}`");
    const char *paths[] = {path};
    static struct schema_column columns[] = {
        {.name = "price", .type = TABLE_DOUBLE, .typed = true}};
    prepare(f, paths, 1);
    f->source.schema.columns = columns;
    f->source.schema.n_columns = 1;
    load_all(f);
    types_are(f, "i int64, f double, s string, d date, price double");
    assert_int_equal(count(f, "price = 2.5"), 1);
}

static void the_same_csv_gives_the_same_bytes_and_hash_for_any_threads(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    buf_init(&text);
    buf_str(&text, "i,d,s\n");
    for (int i = 0; i < 400000; i++) {
        buf_printf(&text, "%d,%.3f,name %d%s\n", i, i / 7.0, i % 1000, i % 9 ? "" : "\x20longer");
    }
    const char *path = put_bytes(f, "a.csv", text.data, text.len);
    buf_fini(&text);
    struct buf first, other;
    buf_init(&first);
    buf_init(&other);
    struct table_hash hash = {0, 0};
    static const int threads[] = {1, 2, 4};
    for (int i = 0; i < 3; i++) {
        assert_true(data_set_threads(f->db, threads[i], &f->err));
        load(f, path);
        const char *out = arena_printf(&f->arena, "%s/out%d.parquet", f->folder, f->n_loads);
        buf_clear(&other);
        assert_true(path_read(out, 1 << 28, i ? &other : &first, &f->err));
        assert_true(i == 0 ||
                    (other.len == first.len && memcmp(other.data, first.data, first.len) == 0));
        assert_true(i == 0 || (hash.lo == f->info.rows_hash.lo && hash.hi == f->info.rows_hash.hi));
        hash = f->info.rows_hash;
    }
    buf_fini(&first);
    buf_fini(&other);
}

/* ---- Schemas ---- */

static void a_schema_is_written_and_read_again(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "a.csv", "a;b\n1;x\n"));
    struct buf text;
    struct schema back;
    buf_init(&text);
    schema_write(&f->source.schema, &text);
    assert_true(schema_read(buf_text(&text), &f->arena, &back, &f->err));
    assert_string_equal(back.file.delimiter, ";");
    assert_int_equal(back.file.format, FILE_CSV);
    assert_int_equal(back.n_columns, 2);
    assert_int_equal(back.columns[1].type, TABLE_STRING);
    buf_fini(&text);
    static const char *const wrong[] = {"",
                                        "[]",
                                        "{\"columns\": []}",
                                        "{\"columns\": [{\"name\": \"a\", \"type\": \"float\"}]}",
                                        "{\"columns\": [{\"type\": \"bool\"}]}",
                                        "{\"format\": 99, \"columns\": []}",
                                        "{\"file\": {\"format\": \"xls\"}, \"columns\": []}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(schema_read(wrong[i], &f->arena, &back, &f->err));
    }
}

static void changes_of_a_schema_are_named(void **state)
{
    (void)state;
    struct schema_column a[] = {{.name = "x", .type = TABLE_INT64},
                                {.name = "y", .type = TABLE_CATEGORY},
                                {.name = "z", .type = TABLE_DATE}};
    struct schema_column b[] = {{.name = "y", .type = TABLE_STRING},
                                {.name = "x", .type = TABLE_DOUBLE},
                                {.name = "new", .type = TABLE_BOOL}};
    struct schema pinned = {.columns = a, .n_columns = 3}, found = {.columns = b, .n_columns = 3};
    struct buf text;
    buf_init(&text);
    assert_int_equal(schema_compare(&pinned, &found, &text), SCHEMA_CHANGED);
    assert_string_equal(buf_text(&text),
                        "column 'x' is double, the schema says int64; column 'z' is "
                        "missing; column 'new' is new");
    pinned.columns = a + 1;
    pinned.n_columns = 1;
    found.n_columns = 1;
    buf_clear(&text);
    assert_int_equal(schema_compare(&pinned, &found, &text), SCHEMA_SAME);
    found.n_columns = 2;
    assert_int_equal(schema_compare(&pinned, &found, &text), SCHEMA_EVOLVED);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(types_come_from_the_values),
        T(a_later_row_widens_the_type_and_nothing_is_rounded),
        T(delimiters_quotes_marks_and_newlines_are_understood),
        T(lines_of_ten_megabytes_are_read),
        T(null_texts_and_headers_are_parameters),
        T(malformed_files_say_what_and_where),
        T(named_types_are_kept_or_refused),
        T(local_times_get_their_instants),
        T(several_files_are_one_table_whatever_the_order_of_columns),
        T(rows_and_columns_can_be_picked),
        T(json_and_json_lines_are_read_over_all_their_rows),
        T(parquet_keeps_its_types_and_asks_for_the_others),
        T(the_same_csv_gives_the_same_bytes_and_hash_for_any_threads),
        T(a_schema_is_written_and_read_again),
        T(changes_of_a_schema_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
