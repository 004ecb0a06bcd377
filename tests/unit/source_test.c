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

/* Loads one file with types named as in "a int64, day date %d.%m.%Y". */
static bool run_typed(struct fixture *f, const char *path, const char *types)
{
    const char **paths = arena_array(&f->arena, 1, sizeof *paths);
    struct schema_column *columns = arena_array(&f->arena, 8, sizeof *columns);
    char *text = arena_strdup(&f->arena, types), *rest = NULL;
    size_t n = 0;
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        char name[32], type[32], format[64] = "";
        assert_true(sscanf(one, " %31s %31s %63[^,]", name, type, format) >= 2);
        columns[n] = (struct schema_column){.name = arena_strdup(&f->arena, name), .typed = true};
        columns[n].format = *format ? arena_strdup(&f->arena, format) : NULL;
        assert_true(table_type_find(type, &columns[n++].type));
    }
    paths[0] = path;
    prepare(f, paths, 1);
    f->source.schema.columns = columns;
    f->source.schema.n_columns = n;
    return run(f, NULL);
}

static void load_typed(struct fixture *f, const char *path, const char *types)
{
    if (!run_typed(f, path, types)) {
        fail_msg("%s", f->err.text);
    }
}

static void refuses(struct fixture *f, const char *path, const char *types, const char *part)
{
    assert_false(run_typed(f, path, types));
    if (f->err.code != NX_E_DATA || !strstr(f->err.text, part)) {
        fail_msg("code %d, text: %s", f->err.code, f->err.text);
    }
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

static void late_values_are_judged_as_early_ones(void **state)
{
    struct fixture *f = *state;
    static const char *const late[] = {"00501", "1_000", "9007199254740993", "18446744073709551617",
                                       "1e400"};
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        struct buf text;
        buf_init(&text);
        buf_str(&text, "a,b\n");
        for (int k = 0; k < 30000; k++) {
            buf_str(&text, "1.5,x\n");
        }
        buf_printf(&text, "%s,y\n", late[i]);
        load(f, put_bytes(f, "a.csv", text.data, text.len));
        types_are(f, "a string, b string");
        assert_int_equal(count(f, arena_printf(&f->arena, "b = 'y' AND a = '%s'", late[i])), 1);
        buf_fini(&text);
    }
}

static void doubles_are_the_nearest(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    uint64_t random = 88172645463325252u;
    buf_init(&text);
    buf_str(&text, "a,b\n");
    for (int i = 0; i < 100000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double v = (double)(int64_t)random / 9223372036854775808.0;
        v = i % 3 == 0 ? v : i % 3 == 1 ? v * 1e5 : ldexp(v, (int)(random % 200) - 100);
        int digits = i % 20 + 1;
        buf_printf(&text, i % 3 == 2 ? "%.*e,%.*e\n" : "%.*g,%.*g\n", digits, v, digits, v);
    }
    const char *path = put_bytes(f, "a.csv", text.data, text.len);
    buf_fini(&text);
    load_typed(f, path, "a double, b string");
    assert_int_equal(count(f, "a = CAST(b AS DOUBLE)"), 100000);
}

static void values_that_do_not_fit_are_named_with_their_line(void **state)
{
    struct fixture *f = *state;
    const char *path = put(f, "a.csv", "a,b\n1,\"x\ny\"\n2,z\n\"7\"\"8\",q\n");
    static const char *const wrong[][3] = {
        {"a\n1\nx\n", "a int64", "b.csv: line 3: column 'a' is int64, but has 'x'"},
        {"a\n1\n1_0\n", "a double", "b.csv: line 3: column 'a' is double, but has '1_0'"},
        {"a\n1e400\n", "a double", "b.csv: line 2: column 'a' is double, but has '1e400'"},
        {"a\n1\n2\n", "a bool", "b.csv: line 3: column 'a' is bool, but has '2'"},
        {"a;b\n[1,x];1\n", "a doubles", "b.csv: line 2: column 'a' is doubles, but has '[1,x]'"},
        {"a\n1.2.2001 23:15\n", "a date %d.%m.%Y %H:%M",
         "b.csv: line 2: column 'a' is date, but has '1.2.2001 23:15'"},
        {"a\nfoo\n", "a date %d.%m.%Y",
         "b.csv: line 2: column 'a' is date in the format '%d.%m.%Y', but has 'foo'"}};
    refuses(f, path, "a int64", "a.csv: line 5: column 'a' is int64, but has '7\"8'");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuses(f, put(f, "b.csv", wrong[i][0]), wrong[i][1], wrong[i][2]);
    }
    load_typed(f, put(f, "b.csv", "a;b\n[1.5, null];1\n[];2\n"), "a doubles");
    assert_int_equal(count(f, "b = 1 AND a[1] = 1.5 AND a[2] IS NULL AND len(a) = 2"), 1);
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
          "column 'a' of deep.jsonl has lists or objects, which a table cannot keep: `columns: {a: "
          "string}` keeps them as text");
}

static void times_in_json_keep_their_offsets(void **state)
{
    struct fixture *f = *state;
    const char *text = "[{\"a\": \"2024-07-01T00:00:00+02:00\"}, {\"a\": "
                       "\"2024-07-01T00:00:00.500+0200\"}, {\"a\": \"2024-06-30 22:00\"}]";
    const char *paths[] = {put(f, "a.json", text)};
    load(f, paths[0]);
    types_are(f, "a timestamp");
    assert_int_equal(count(f, "a = TIMESTAMP '2024-06-30 22:00:00'"), 2);
    assert_int_equal(count(f, "a = TIMESTAMP '2024-06-30 22:00:00.5'"), 1);
    prepare(f, paths, 1);
    f->source.schema.file.timezone = "Europe/Berlin";
    load_all(f);
    assert_int_equal(count(f, "a = TIMESTAMP '2024-06-30 22:00:00'"), 1);
    assert_int_equal(count(f, "a = TIMESTAMP '2024-06-30 20:00:00'"), 1);
    load_typed(f, paths[0], "a timestamp");
    assert_int_equal(count(f, "a = TIMESTAMP '2024-06-30 22:00:00'"), 2);
    load_typed(f,
               put(f, "b.jsonl", "{\"a\": \"2024-07-01T00:00:00+02:00\", \"b\": \"2024-7-1\"}\n"),
               "a string, b string");
    assert_int_equal(count(f, "a = '2024-07-01T00:00:00+02:00' AND b = '2024-7-1'"), 1);
    paths[0] = put(f, "c.csv", "a\n31.12.2001 12:00 +0100\n");
    prepare(f, paths, 1);
    static struct schema_column zoned = {
        .name = "a", .type = TABLE_TIMESTAMP, .typed = true, .format = "%d.%m.%Y %H:%M %z"};
    f->source.schema.columns = &zoned;
    f->source.schema.n_columns = 1;
    f->source.schema.file.timezone = "Europe/Berlin";
    load_all(f);
    assert_int_equal(count(f, "a = TIMESTAMP '2001-12-31 11:00:00'"), 1);
}

static void json_is_never_rounded_cut_or_guessed(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "a.json",
                "[{\"big\": 9007199254740993, \"list\": [1, 2.5, null], \"s\": \"12\", \"m\": 1},\n"
                " {\"big\": 1.5, \"list\": [], \"s\": \"x\\u00e9\\ud83d\\ude00\", \"m\": \"y\"}]"));
    types_are(f, "big string, list doubles, s string, m string");
    assert_int_equal(count(f, "big = '9007199254740993' AND m = '1' AND list[2] = 2.5"), 1);
    assert_int_equal(count(f, "s = 'x\u00e9\U0001f600' AND len(list) = 0"), 1);
    const char *path = put(f, "b.json", "[{\"a\": 9007199254740993},\n {\"a\": 1.0}]");
    load_typed(f, path, "a int64");
    assert_int_equal(count(f, "a IN (9007199254740993, 1)"), 2);
    load_typed(f, path, "a string");
    assert_int_equal(count(f, "a IN ('9007199254740993', '1.0')"), 2);
    refuses(f, path, "a double",
            "b.json: line 1: column 'a' is double, but has '9007199254740993'");
    path = put(f, "c.jsonl", "{\"a\": 1}\n\n{\"a\": 5}\n");
    refuses(f, path, "a bool", "c.jsonl: line 3: column 'a' is bool, but has '5'");
    path =
        put(f, "d.json", "[{\"a\": \"2001-01-01T00:00:00\"},\n{\"a\": \"2001-01-01T12:00:00\"}]");
    refuses(f, path, "a date", "d.json: line 2: column 'a' is date, but has '2001-01-01T12:00:00'");
}

static void odd_json_is_read_or_refused_with_its_line(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "bom.jsonl", "\xef\xbb\xbf{\"a\": 1}\n{\"a\": 2}\n"));
    assert_int_equal(count(f, "a IN (1, 2)"), 2);
    load(f, put(f, "bom.json", "\xef\xbb\xbf [{\"a\": 1}, {\"a\": 2}]"));
    assert_int_equal(count(f, "a IN (1, 2)"), 2);
    load(f, put(f, "pretty.json", "{\n \"a\": 1.5\n}\n{\n \"a\": NaN}"));
    assert_int_equal(count(f, "a IS NULL"), 1);
    load(f, put(f, "one.json", "{\"a\": 1}{\"a\": 2} {\"a\": 3}"));
    assert_int_equal(count(f, "a IN (1, 2, 3)"), 3);
    static const char *const wrong[][2] = {
        {"[{\"id\": 1,\n \"Id\": 2}]", "line 2: the keys 'id' and 'Id' differ only in case"},
        {"{\"a\": 1, \"a\": 2}", "line 1: a record has the key 'a' twice"},
        {"[1, 2]", "line 1: a record is not an object"},
        {"{\"a\": 1}\n{\"a\": 1 \"b\": 2}", "line 2: a comma or closing bracket misses"},
        {"{\"a\": 1}\n{\"a\": yes}", "line 2: not a JSON value"},
        {"{\"a\": 1}\n{\"a\": \"x}", "line 2: an object has no end"},
        {"{\"a\": 01}", "line 1: not a JSON value"},
        {"[{\"a\": 1}] {}", "something follows the list"},
        {"", "wrong.json is empty"},
        {" \n", "wrong.json is empty"},
        {"[]", "wrong.json has no records"},
        {"[{}, {}]", "wrong.json has no records"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fails(f, put(f, "wrong.json", wrong[i][0]), NX_E_DATA, wrong[i][1]);
    }
}

static void parquet_files_must_agree_and_nothing_is_cut(void **state)
{
    struct fixture *f = *state;
    static const char *const selects[] = {
        "1 AS a, 'x' AS b",
        "1.5::DOUBLE AS a, 'x' AS b",
        "1 AS a",
        "1 AS a, 'x' AS b, 2 AS c",
        "'y' AS b, 2::INTEGER AS a",
        "1.50::DECIMAL(9,2) AS d, TIMESTAMP '2001-01-01 12:00' AS t, 'nan'::FLOAT AS f, "
        "['nan'::FLOAT, "
        "1] AS l, 5 AS n, 'q'::BLOB AS x, [1::BIGINT] AS big UNION ALL SELECT 2.00, TIMESTAMP "
        "'2001-01-01 00:00', 1, [2], 1, 'r', [2] "};
    const char *paths[6];
    for (int i = 0; i < 6; i++) {
        paths[i] = arena_printf(&f->arena, "%s/p%d.parquet", f->folder, i);
        assert_true(data_exec(
            f->db, arena_printf(&f->arena, "COPY (SELECT %s) TO '%s'", selects[i], paths[i]),
            &f->err));
    }
    static const char *const whys[] = {
        "column 'a' is DOUBLE in p1.parquet, but INTEGER in p0.parquet",
        "p2.parquet has no column 'b', which p0.parquet has",
        "p3.parquet has a column 'c', which p0.parquet does not have"};
    for (int i = 1; i < 4; i++) {
        const char *two[] = {paths[0], paths[i]};
        prepare(f, two, 2);
        assert_false(run(f, NULL));
        assert_non_null(strstr(f->err.text, whys[i - 1]));
    }
    const char *two[] = {paths[0], paths[4]};
    prepare(f, two, 2);
    load_all(f);
    assert_int_equal(count(f, "(a, b) IN ((1, 'x'), (2, 'y'))"), 2);
    static const char *const rest[][2] = {
        {"d int64", "column 'd' is int64, but has '1.50'"},
        {"t date", "column 't' is date, but has '2001-01-01 12:00:00'"},
        {"n bool", "column 'n' is bool, but has '5'"}};
    for (int i = 0; i < 3; i++) {
        const char *d = i == 0 ? "" : ", d string";
        refuses(f, paths[5], arena_printf(&f->arena, "x string, big doubles, %s%s", rest[i][0], d),
                rest[i][1]);
    }
    load_typed(f, paths[5], "d double, x string, big doubles");
    assert_int_equal(count(f, "f IS NULL AND l[1] IS NULL AND l[2] = 1 AND d = 1.5 AND x = 'q'"),
                     1);
    assert_int_equal(count(f, "big[1] IN (1, 2)"), 2);
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

/* Loads a text by the schema of the last load. */
static bool run_pinned(struct fixture *f, const char *name, const char *text, const char *change)
{
    struct schema pinned = f->source.schema;
    const char **paths = arena_array(&f->arena, 1, sizeof *paths);
    const char *out = arena_printf(&f->arena, "%s/out%d.parquet", f->folder, ++f->n_loads);
    static const struct source_pick all;
    struct buf sentences;
    for (size_t i = 0; i < pinned.n_columns; i++) {
        pinned.columns[i].typed = true;
    }
    paths[0] = put(f, name, text);
    prepare(f, paths, 1);
    f->source.schema = pinned;
    f->source.pinned = true;
    if (!source_inspect(&f->source, &f->err)) {
        return false;
    }
    buf_init(&sentences);
    source_compare(&f->source, &pinned, &sentences);
    assert_string_equal(buf_text(&sentences), change);
    buf_fini(&sentences);
    source_pin(&f->source, &pinned, false);
    return source_write(&f->source, &all, out, &f->info, &f->err) &&
           data_add_table(f->db, arena_printf(&f->arena, "t%d", f->n_loads), out, NULL, &f->err);
}

static void a_pinned_schema_reads_files_by_its_types(void **state)
{
    struct fixture *f = *state;
    load(f, put(f, "a.json", "[{\"i\": 1, \"d\": 1.5, \"day\": \"2001-01-01\", \"s\": \"x\"}]"));
    types_are(f, "i int64, d double, day date, s string");
    assert_true(run_pinned(f, "b.json",
                           "[{\"i\": null, \"d\": 1, \"day\": null, \"s\": \"2001-01-01\"}]", ""));
    types_are(f, "i int64, d double, day date, s string");
    assert_int_equal(count(f, "i IS NULL AND d = 1 AND s = '2001-01-01'"), 1);
    assert_true(run_pinned(f, "b.json", "[{\"i\": 1.0, \"d\": 1, \"day\": null, \"s\": 12}]", ""));
    assert_int_equal(count(f, "i = 1 AND s = '12'"), 1);
    assert_false(run_pinned(f, "b.json", "[{\"i\": 1.5, \"d\": 1, \"day\": null, \"s\": 1}]", ""));
    assert_string_equal(f->err.text, "b.json: line 1: column 'i' is int64, but has '1.5'");
    assert_true(run_pinned(f, "b.json", "[{\"i\": 1, \"d\": 1, \"day\": null, \"n\": 1}]",
                           "column 's' is missing; column 'n' is new"));
    types_are(f, "i int64, d double, day date, s string");
}

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
    assert_string_equal(buf_text(&text), "column 'z' is missing; column 'new' is new");
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
        T(late_values_are_judged_as_early_ones),
        T(doubles_are_the_nearest),
        T(values_that_do_not_fit_are_named_with_their_line),
        T(rows_and_columns_can_be_picked),
        T(json_and_json_lines_are_read_over_all_their_rows),
        T(times_in_json_keep_their_offsets),
        T(json_is_never_rounded_cut_or_guessed),
        T(odd_json_is_read_or_refused_with_its_line),
        T(parquet_keeps_its_types_and_asks_for_the_others),
        T(parquet_files_must_agree_and_nothing_is_cut),
        T(the_same_csv_gives_the_same_bytes_and_hash_for_any_threads),
        T(a_pinned_schema_reads_files_by_its_types),
        T(a_schema_is_written_and_read_again),
        T(changes_of_a_schema_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
