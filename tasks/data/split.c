/* data.split: a table into train, test and validation, by a rule that gives the same again. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "tasks/data/tables.h"

#define BUCKETS 9007199254740992.0 /* nexus_bucket gives 0 .. 2^53 - 1 */

enum part { TRAIN, TEST, VALIDATION, PARTS };

static const char *const part_names[PARTS] = {"train", "test", "validation"};

struct job {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct arena arena;
    const char *path; /* of the table */
    const struct table_info *info;
    double share[PARTS]; /* by fraction; of TRAIN what the others leave */
    bool wanted[PARTS];
    struct buf columns;    /* the table's columns as source."name", with commas */
    struct buf expression; /* the part of a row: a text, or NULL for none */
};

static bool check_column(struct job *job, const char *param, const char *name, struct nx_err *err)
{
    if (table_info_column(job->info, name)) {
        return true;
    }
    const char **names = arena_array(&job->arena, job->info->n_columns + 1, sizeof *names);
    for (size_t i = 0; i < job->info->n_columns; i++) {
        names[i] = job->info->columns[i].name;
    }
    const char *nearest = str_nearest(name, names, job->info->n_columns);
    return nx_fail(err, NX_E_INVALID, "`%s`: the table has no column '%s'%s%s%s", param, name,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static bool read_shares(struct job *job, struct nx_err *err)
{
    for (int p = TEST; p < PARTS; p++) {
        job->share[p] = nx_arg_float(job->ctx, part_names[p]);
        job->wanted[p] = job->share[p] > 0;
    }
    job->share[TRAIN] = 1 - job->share[TEST] - job->share[VALIDATION];
    job->wanted[TRAIN] = true;
    if (job->share[TRAIN] < 1e-9) {
        return nx_fail(err, NX_E_INVALID,
                       "`test` and `validation` are %g together: nothing is left to train on",
                       job->share[TEST] + job->share[VALIDATION]);
    }
    return true;
}

/* nexus_bucket(seed, key columns or row number) */
static bool put_bucket(struct job *job, struct buf *sql, struct nx_err *err)
{
    size_t n = nx_arg_count(job->ctx, "key");
    buf_printf(sql, "nexus_bucket(%" PRId64 "::BIGINT, ", nx_arg_int(job->ctx, "seed"));
    for (size_t i = 0; i < n; i++) {
        const char *name = nx_arg_item(job->ctx, "key", i);
        if (!check_column(job, "key", name, err)) {
            return false;
        }
        buf_str(sql, i ? ", " : "");
        data_quote_name(sql, name);
    }
    buf_str(sql, n ? ")" : "file_row_number)");
    return true;
}

/* Each row, or each key, goes where its bucket lies, whatever other rows there are. */
static bool by_bucket(struct job *job, struct nx_err *err)
{
    struct buf *to = &job->expression;
    double test = job->share[TEST] * BUCKETS;
    double validation = (job->share[TEST] + job->share[VALIDATION]) * BUCKETS;
    buf_str(to, "CASE WHEN ");
    if (!put_bucket(job, to, err)) {
        return false;
    }
    buf_printf(to, " < %.0f THEN 'test' WHEN ", test);
    put_bucket(job, to, err);
    buf_printf(to, " < %.0f THEN 'validation' ELSE 'train' END", validation);
    return true;
}

/* ---- Stratified: within each class the rows in the order of their buckets; how many go to each
 * part by the largest remainder (ties: the part that comes first). ---- */

/* The number of rows of a class of n that part p gets, as SQL over n. */
static void put_quota(struct job *job, struct buf *sql)
{
    /* Whole parts first; the rows that are left go to the parts with the largest remainders. */
    static const int order[PARTS] = {TRAIN, TEST, VALIDATION};
    for (int k = 0; k < PARTS; k++) {
        int p = order[k];
        buf_printf(sql,
                   ", floor(n * %.17g + 1e-9)::BIGINT AS whole_%s, n * %.17g - floor(n * %.17g "
                   "+ 1e-9) AS rest_%s",
                   job->share[p], part_names[p], job->share[p], job->share[p], part_names[p]);
    }
}

/* How many other parts come before part p when the remainders are given out. */
static void put_rank(struct buf *sql, int p)
{
    const char *own = part_names[p];
    buf_str(sql, "(0");
    for (int q = 0; q < PARTS; q++) {
        if (q != p) {
            buf_printf(sql, " + (rest_%s %s rest_%s)::INT", part_names[q], q < p ? ">=" : ">", own);
        }
    }
    buf_str(sql, ")");
}

static bool by_class(struct job *job, struct nx_err *err)
{
    const char *class = nx_arg_text(job->ctx, "stratify");
    struct buf *to = &job->expression, name, bucket;
    if (!check_column(job, "stratify", class, err)) {
        return false;
    }
    buf_init(&name);
    buf_init(&bucket);
    data_quote_name(&name, class);
    bool ok = put_bucket(job, &bucket, err);
    const char *c = buf_text(&name);
    buf_printf(to,
               "WITH ranked AS (SELECT file_row_number AS r, %s AS c, row_number() OVER (PARTITION "
               "BY %s ORDER BY %s, file_row_number) AS place FROM source), classes AS (SELECT %s "
               "AS c, count(*) AS n FROM source GROUP BY 1), shares AS (SELECT c, n",
               c, c, buf_text(&bucket), c);
    put_quota(job, to);
    buf_str(to, " FROM classes), counts AS (SELECT c");
    for (int p = 0; p < PARTS; p++) {
        buf_printf(to, ", whole_%s + (", part_names[p]);
        put_rank(to, p);
        buf_str(to, " < n - whole_train - whole_test - whole_validation)::BIGINT AS n_");
        buf_str(to, part_names[p]);
    }
    buf_str(to,
            " FROM shares) SELECT r, CASE WHEN place <= n_test THEN 'test' WHEN place <= n_test + "
            "n_validation THEN 'validation' ELSE 'train' END AS part FROM ranked JOIN counts ON "
            "ranked.c IS NOT DISTINCT FROM counts.c");
    buf_fini(&name);
    buf_fini(&bucket);
    return ok;
}

/* ---- By time ---- */

/* A bound in milliseconds; `open` when it is null. */
static bool read_bound(const json_t *bound, int64_t open, int64_t *ms, struct nx_err *err)
{
    const char *text = json_string_value(bound);
    if (json_is_null(bound)) {
        *ms = open;
        return true;
    }
    return (text && time_parse(text, ms)) ||
           nx_fail(err, NX_E_INVALID, "a bound of `ranges` is not a time: %s", text ? text : "?");
}

/* The ranges as [from, to) in milliseconds; an empty one for a part that is not named. */
static bool read_ranges(const json_t *ranges, int64_t bounds[PARTS][2], struct nx_err *err)
{
    const char *key;
    json_t *range;
    json_object_foreach((json_t *)(uintptr_t)ranges, key, range)
    {
        int p = 0;
        while (p < PARTS && !str_eq(part_names[p], key)) {
            p++;
        }
        if (p == PARTS) {
            return nx_fail(err, NX_E_INVALID,
                           "`ranges` has '%s'; its parts are train, test and validation", key);
        }
        if (json_array_size(range) != 2) {
            return nx_fail(err, NX_E_INVALID, "`ranges.%s` is a list of two: [from, to]", key);
        }
        if (!read_bound(json_array_get(range, 0), INT64_MIN, &bounds[p][0], err) ||
            !read_bound(json_array_get(range, 1), INT64_MAX, &bounds[p][1], err)) {
            return false;
        }
        if (bounds[p][0] >= bounds[p][1]) {
            return nx_fail(err, NX_E_INVALID, "`ranges.%s` ends before it begins", key);
        }
    }
    return true;
}

/* No row may be trained on and tested on. */
static bool check_apart(int64_t bounds[PARTS][2], struct nx_err *err)
{
    for (int p = 0; p < PARTS; p++) {
        for (int q = p + 1; q < PARTS; q++) {
            bool both = bounds[p][0] < bounds[p][1] && bounds[q][0] < bounds[q][1];
            if (both && bounds[p][0] < bounds[q][1] && bounds[q][0] < bounds[p][1]) {
                return nx_fail(err, NX_E_INVALID,
                               "`ranges.%s` and `ranges.%s` overlap: no row can be in both",
                               part_names[p], part_names[q]);
            }
        }
    }
    return true;
}

static void put_bound(struct buf *sql, const char *column, const char *sign, int64_t ms)
{
    buf_str(sql, " AND ");
    data_quote_name(sql, column);
    buf_printf(sql, "::TIMESTAMP %s make_timestamp(%" PRId64 ")", sign, ms * 1000);
}

/* ranges: {train: [from, to], test: [from, to]}: half-open; a bound may be null. */
static bool by_ranges(struct job *job, const char *column, const json_t *ranges, struct nx_err *err)
{
    struct buf *to = &job->expression;
    int64_t bounds[PARTS][2] = {0};
    if (!read_ranges(ranges, bounds, err) || !check_apart(bounds, err)) {
        return false;
    }
    if (json_object_size(ranges) == 0) {
        return nx_fail(err, NX_E_INVALID, "`ranges` is empty: name train, test or validation");
    }
    buf_str(to, "CASE");
    for (int p = 0; p < PARTS; p++) {
        job->wanted[p] = bounds[p][0] < bounds[p][1];
        if (!job->wanted[p]) {
            continue;
        }
        buf_str(to, " WHEN ");
        data_quote_name(to, column);
        buf_str(to, " IS NOT NULL");
        if (bounds[p][0] != INT64_MIN) {
            put_bound(to, column, ">=", bounds[p][0]);
        }
        if (bounds[p][1] != INT64_MAX) {
            put_bound(to, column, "<", bounds[p][1]);
        }
        buf_printf(to, " THEN '%s'", part_names[p]);
    }
    buf_str(to, " END");
    return true;
}

/* The instant at which a share of the rows has passed: all rows of one instant stay together. */
static bool find_cut(struct job *job, const char *column, double share, int64_t *micros,
                     struct nx_err *err)
{
    struct buf sql, name;
    buf_init(&sql);
    buf_init(&name);
    data_quote_name(&name, column);
    /* At most that share of the rows is before it. */
    buf_printf(&sql, "SELECT epoch_us(quantile_disc(%s::TIMESTAMP, %.17g)) FROM source",
               buf_text(&name), share);
    bool ok = data_query_int(job->db, buf_text(&sql), micros, err);
    buf_fini(&sql);
    buf_fini(&name);
    return ok;
}

static bool by_time(struct job *job, struct nx_err *err)
{
    const char *column = nx_arg_text(job->ctx, "time");
    if (!column) {
        return nx_fail(err, NX_E_INVALID, "`method: time` needs `time`, the column with the times");
    }
    if (!check_column(job, "time", column, err)) {
        return false;
    }
    const struct table_column *found = table_info_column(job->info, column);
    if (found->type != TABLE_DATE && found->type != TABLE_TIMESTAMP) {
        return nx_fail(err, NX_E_INVALID, "`time`: column '%s' is %s, not date or timestamp",
                       column, table_type_name(found->type));
    }
    json_t *ranges = json_loads(nx_arg_json(job->ctx, "ranges"), JSON_DECODE_ANY, NULL);
    bool ok;
    if (json_is_object(ranges)) {
        ok = by_ranges(job, column, ranges, err);
    } else {
        /* train | validation | test, in the order of time. */
        int64_t first = 0, second = 0;
        ok = find_cut(job, column, job->share[TRAIN], &first, err) &&
             find_cut(job, column, job->share[TRAIN] + job->share[VALIDATION], &second, err);
        struct buf name;
        buf_init(&name);
        data_quote_name(&name, column);
        const char *c = buf_text(&name);
        buf_printf(&job->expression,
                   "CASE WHEN %s IS NULL THEN NULL WHEN %s::TIMESTAMP < make_timestamp(%" PRId64
                   ") THEN 'train' WHEN %s::TIMESTAMP < make_timestamp(%" PRId64
                   ") THEN '%s' ELSE '%s' END",
                   c, c, first, c, second, job->wanted[VALIDATION] ? "validation" : "train",
                   part_names[job->wanted[TEST]         ? TEST
                              : job->wanted[VALIDATION] ? VALIDATION
                                                        : TRAIN]);
        buf_fini(&name);
    }
    json_decref(ranges);
    return ok;
}

/* ---- By a column that says it ---- */

/* Words of the split column that are no part; a missing one leaves its row out. */
static bool check_words(struct job *job, const char *column, const char *quoted, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    buf_init(&sql);
    buf_printf(&sql,
               "SELECT %s::VARCHAR AS w, count(*) FROM source WHERE w NOT IN ('train', 'test', "
               "'validation') GROUP BY w ORDER BY w LIMIT 1",
               quoted);
    bool ok = data_query(job->db, buf_text(&sql), NULL, 0, &result, err) &&
              data_next(result, &batch, err);
    if (ok && batch) {
        struct data_text word = batch->columns[0].as.text[0];
        ok =
            nx_fail(err, NX_E_DATA,
                    "`split_column`: %" PRId64 " rows have '%.*s' in '%s'; its words are train, "
                    "test and validation, or missing for a row that is left out",
                    batch->columns[1].as.i[0], (int)(word.n < 100 ? word.n : 100), word.at, column);
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}

/* The fold must be there, or nothing would be tested. */
static bool check_fold(struct job *job, const char *column, const char *quoted, struct nx_err *err)
{
    int64_t n = 0, fold = nx_arg_int(job->ctx, "fold");
    struct buf sql;
    enum table_type type = table_info_column(job->info, column)->type;
    if (type != TABLE_INT64 && type != TABLE_DOUBLE) {
        return nx_fail(err, NX_E_INVALID, "`fold_column`: '%s' is %s, not a number", column,
                       table_type_name(type));
    }
    buf_init(&sql);
    buf_printf(&sql, "SELECT count(*) FROM source WHERE %s = %" PRId64, quoted, fold);
    bool ok = data_query_int(job->db, buf_text(&sql), &n, err);
    buf_fini(&sql);
    return ok && (n > 0 ||
                  nx_fail(err, NX_E_DATA, "`fold`: no row has %" PRId64 " in '%s'", fold, column));
}

static bool by_column(struct job *job, struct nx_err *err)
{
    const char *split = nx_arg_text(job->ctx, "split_column");
    const char *fold = nx_arg_text(job->ctx, "fold_column");
    const char *name = split ? split : fold;
    if (!check_column(job, split ? "split_column" : "fold_column", name, err)) {
        return false;
    }
    struct buf quoted;
    buf_init(&quoted);
    data_quote_name(&quoted, name);
    bool ok;
    if (split) {
        ok = check_words(job, name, buf_text(&quoted), err);
        buf_printf(&job->expression, "%s::VARCHAR", buf_text(&quoted));
        job->wanted[TEST] = job->wanted[VALIDATION] = true;
    } else {
        ok = check_fold(job, name, buf_text(&quoted), err);
        buf_printf(&job->expression,
                   "CASE WHEN %s = %" PRId64 " THEN 'test' WHEN %s IS NOT NULL THEN 'train' END",
                   buf_text(&quoted), nx_arg_int(job->ctx, "fold"), buf_text(&quoted));
        job->wanted[TEST] = true;
        job->wanted[VALIDATION] = false;
    }
    buf_fini(&quoted);
    return ok;
}

/* ---- The parts ---- */

/* Which of the ways to split is meant; two at once are an error. */
static bool check_method(struct job *job, bool stratified, bool column, struct nx_err *err)
{
    static const char *const others[] = {"stratify", "time", "ranges", "key"};
    struct nx_ctx *ctx = job->ctx;
    const char *method = nx_arg_text(ctx, "method");
    bool time = str_eq(method, "time");
    if (column && nx_arg_given(ctx, "split_column") && nx_arg_given(ctx, "fold_column")) {
        return nx_fail(err, NX_E_INVALID, "`split_column` does not go with `fold_column`");
    }
    for (size_t i = 0; column && i < sizeof others / sizeof *others; i++) {
        if (nx_arg_given(ctx, others[i]) && (i < 3 || nx_arg_count(ctx, others[i]) > 0)) {
            return nx_fail(err, NX_E_INVALID, "`%s` does not go with `%s`: the column decides",
                           nx_arg_given(ctx, "split_column") ? "split_column" : "fold_column",
                           others[i]);
        }
    }
    if (column && !str_eq(method, "random")) {
        return nx_fail(err, NX_E_INVALID,
                       "`method: %s` does not go with a column that says the part", method);
    }
    if (stratified && !nx_arg_given(ctx, "stratify")) {
        return nx_fail(err, NX_E_INVALID,
                       "`method: stratified` needs `stratify`, the class's column");
    }
    if (stratified && time) {
        return nx_fail(err, NX_E_INVALID, "`method: time` does not go with `stratify`");
    }
    if (!time && !column && (nx_arg_given(ctx, "time") || nx_arg_given(ctx, "ranges"))) {
        return nx_fail(err, NX_E_INVALID, "`time` and `ranges` need `method: time`");
    }
    return true;
}

/* Rows of one instant stay together, so that shares may leave nothing to train on. */
static bool check_train(struct job *job, struct nx_err *err)
{
    int64_t n = 0;
    return data_query_int(job->db, "SELECT count(*) FROM parts WHERE part = 'train'", &n, err) &&
           (n > 0 || job->info->n_rows == 0 ||
            nx_fail(err, NX_E_DATA,
                    "nothing is left to train on: too many rows of '%s' have its first time or "
                    "none; split by `ranges`, or at random",
                    nx_arg_text(job->ctx, "time")));
}

/* Creates `parts`: the row's number and its part. */
static bool make_parts(struct job *job, struct nx_err *err)
{
    struct buf sql;
    const char *method = nx_arg_text(job->ctx, "method");
    bool stratified = str_eq(method, "stratified") || nx_arg_given(job->ctx, "stratify");
    bool column = nx_arg_given(job->ctx, "split_column") || nx_arg_given(job->ctx, "fold_column");
    bool time = str_eq(method, "time"), ok;
    if (!check_method(job, stratified, column, err)) {
        return false;
    }
    if (column) {
        ok = by_column(job, err);
    } else if (time) {
        ok = by_time(job, err);
    } else {
        ok = stratified ? by_class(job, err) : by_bucket(job, err);
    }
    buf_init(&sql);
    buf_str(&sql, "CREATE TABLE parts AS ");
    if (stratified) {
        buf_str(&sql, buf_text(&job->expression));
    } else {
        buf_printf(&sql, "SELECT file_row_number AS r, %s AS part FROM source",
                   buf_text(&job->expression));
    }
    ok = ok && data_exec(job->db, buf_text(&sql), err);
    buf_fini(&sql);
    return ok && (!time || nx_arg_given(job->ctx, "ranges") || check_train(job, err));
}

/* Rows that are in no part: said, not silently lost. */
static bool count_lost(struct job *job, struct nx_err *err)
{
    int64_t lost;
    if (!data_query_int(job->db,
                        "SELECT count(*) FROM parts WHERE part IS NULL OR part NOT IN ('train', "
                        "'test', 'validation')",
                        &lost, err)) {
        return false;
    }
    if (lost > 0) {
        nx_log(job->ctx, "warning: %lld of %lld rows are in no part", (long long)lost,
               (long long)job->info->n_rows);
    }
    return nx_output_int(job->ctx, "rows_left_out", lost, err);
}

static bool write_part(struct job *job, int p, struct nx_err *err)
{
    struct buf select;
    struct table_info info;
    struct data_order order = {.input = true};
    const char *file = arena_printf(&job->arena, "%s.parquet", part_names[p]);
    const char *path = tables_path(job->ctx, &job->arena, file);
    size_t n_categories = 0;
    struct table_column *categories =
        arena_array(&job->arena, job->info->n_columns + 1, sizeof *categories);
    for (size_t i = 0; i < job->info->n_columns; i++) {
        if (job->info->columns[i].type == TABLE_CATEGORY) {
            categories[n_categories++] = job->info->columns[i];
        }
    }
    buf_init(&select);
    buf_printf(&select,
               "SELECT %s FROM source JOIN parts ON source.file_row_number = parts.r WHERE "
               "parts.part = '%s' ORDER BY source.file_row_number",
               buf_text(&job->columns), part_names[p]);
    struct data_write write = {.select = buf_text(&select),
                               .path = path,
                               .order = &order,
                               .categories = categories,
                               .n_categories = n_categories};
    bool ok = data_write_table(job->db, &write, &job->arena, &info, err);
    buf_fini(&select);
    if (!ok) {
        return false;
    }
    if (info.n_rows == 0) {
        nx_log(job->ctx, "warning: %s has no rows", part_names[p]);
    }
    info.order = job->info->order;
    info.n_order = job->info->n_order;
    char rows[32];
    snprintf(rows, sizeof rows, "rows_%s", part_names[p]);
    nx_log(job->ctx, "%s: %lld rows", part_names[p], (long long)info.n_rows);
    return nx_output_int(job->ctx, rows, info.n_rows, err) &&
           tables_output(job->ctx, part_names[p], path, &info, err);
}

static bool add_source(struct job *job, struct nx_err *err)
{
    struct buf sql;
    if (!tables_add(job->ctx, job->db, "table", "input", &job->info, err)) {
        return false;
    }
    job->path = nx_artifact_path(job->ctx, "table", NULL, err);
    if (table_info_column(job->info, "file_row_number")) {
        return nx_fail(err, NX_E_INVALID, "the table has a column 'file_row_number': rename it");
    }
    buf_init(&sql);
    buf_str(&sql, "CREATE VIEW source AS SELECT * FROM read_parquet(");
    data_quote_text(&sql, job->path);
    buf_str(&sql, ", file_row_number = true)");
    bool ok = data_exec(job->db, buf_text(&sql), err);
    buf_fini(&sql);
    for (size_t i = 0; i < job->info->n_columns; i++) {
        buf_str(&job->columns, i ? ", " : "");
        buf_str(&job->columns, "source."); /* a column may be called as those of `parts` */
        data_quote_name(&job->columns, job->info->columns[i].name);
    }
    return ok;
}

static bool run_job(struct job *job, struct nx_err *err)
{
    if (!read_shares(job, err) || !add_source(job, err) || !data_lock(job->db, err) ||
        !make_parts(job, err) || !count_lost(job, err)) {
        return false;
    }
    for (int p = 0; p < PARTS; p++) {
        if (job->wanted[p] && !write_part(job, p, err)) {
            return false;
        }
    }
    return true;
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct job job = {.ctx = ctx};
    arena_init(&job.arena);
    buf_init(&job.columns);
    buf_init(&job.expression);
    bool ok = tables_open(ctx, &job.db, err) && run_job(&job, err);
    tables_close(ctx, job.db);
    buf_fini(&job.columns);
    buf_fini(&job.expression);
    arena_fini(&job.arena);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "table", .type = NX_T_TABLE, .flags = NX_P_REQUIRED, .help = "The table to split."},
    {.name = "method", .type = NX_T_ENUM, .fallback = "\"random\"", .choices = "random|stratified|time",
     .help = "How rows are given to parts; naming `stratify` also makes it stratified."},
    {.name = "test", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .min = 0, .max = 1, .fallback = "0.2",
     .help = "Share of the rows for the test part."},
    {.name = "validation", .type = NX_T_FLOAT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .min = 0, .max = 1, .fallback = "0",
     .help = "Share of the rows for the validation part; 0: none."},
    {.name = "seed", .type = NX_T_INT, .fallback = "0",
     .help = "Another seed gives another split; the same gives the same."},
    {.name = "key", .type = NX_T_STRINGS, .fallback = "[]",
     .help = "Columns that decide instead of the row's number: rows of one key stay together, and in their part when the table grows (stratified: but for the key at the cut of a class)."},
    {.name = "stratify", .type = NX_T_COLUMN,
     .help = "Each class of this column is split by the same shares (largest remainder)."},
    {.name = "time", .type = NX_T_COLUMN,
     .help = "method time: the column with dates or timestamps; the latest rows are the test part."},
    {.name = "ranges", .type = NX_T_OBJECT,
     .help = "method time: {train: [from, to], test: [from, to]} instead of shares; from is inside, to is not, null is open."},
    {.name = "split_column", .type = NX_T_COLUMN,
     .help = "A column that says train, test or validation itself; another word is an error, a missing one leaves the row out."},
    {.name = "fold_column", .type = NX_T_COLUMN,
     .help = "A column with the numbers of folds: the rows of `fold`, which must be there, are the test part."},
    {.name = "fold", .type = NX_T_INT, .fallback = "0", .help = "The fold that is tested."},
    {0},
};

static const struct nx_port outputs[] = {
    {"train", NX_T_TABLE, "The rows to train on, in the order of the table."},
    {"test", NX_T_TABLE, "The rows to test on."},
    {"validation", NX_T_TABLE, "The rows for validation, when asked for."},
    {"rows_train", NX_T_INT, "How many there are."},
    {"rows_test", NX_T_INT, "How many there are."},
    {"rows_validation", NX_T_INT, "How many there are."},
    {"rows_left_out", NX_T_INT, "Rows that are in no part: outside of all ranges, without a time, word or fold."},
    {0},
};

const struct nx_operator data_split = {
    .name = "data.split",
    .version = 1,
    .summary = "Splits a table into train, test and validation: random, stratified or by time.",
    .doc =
        "No split draws lots: a row's part follows from the seed and its key (or its number in the "
        "table), so the same table gives the same parts with any number of CPUs.\n\n"
        "- random: each row by a hash of seed and key; the shares are met on average.\n"
        "- stratified: within each class of `stratify` the shares are met exactly, up to one row.\n"
        "- time: the earliest rows train, then validation, then test; rows of one instant stay "
        "together. Or by `ranges`, each with its start and without its end.",
    .params = params,
    .outputs = outputs,
    .example =
        "split:\n"
        "  uses: data.split\n"
        "  with: {table: \"${{ outputs.features.table }}\", test: 0.2, stratify: late, seed: 7}\n",
    .flags = NX_OP_ORDER_SENSITIVE | NX_OP_PURE,
    .run = run,
};
/* clang-format on */
