/* data.sql: a SELECT over tables and files, its rows as a table. */
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/data/sqltext.h"
#include "tasks/data/select.h"

#define FIRST_MAX 16384 /* bytes of the output `first` */

/* The order of the result, and whether all threads may run it; then the database is locked. */
static bool settle(struct select *job, struct data_order *order, struct nx_err *err)
{
    struct data_plan plan;
    if (!data_close_files(job->db, err) ||
        !data_plan(job->db, buf_text(&job->select), job->values, job->n_values, &plan, err)) {
        return false;
    }
    size_t n = nx_arg_count(job->ctx, "order_by");
    const char **by = arena_array(&job->arena, n + 1, sizeof *by);
    for (size_t i = 0; i < n; i++) {
        by[i] = nx_arg_item(job->ctx, "order_by", i);
    }
    *order = (struct data_order){.columns = by, .n = n, .input = n == 0 && plan.keeps_order};
    if (!plan.any_threads && nx_cpus(job->ctx) > 1) {
        nx_log(job->ctx,
               "runs on one thread: its sums, windows or limits depend on the order of rows");
        if (!data_set_threads(job->db, 1, err)) {
            return false;
        }
    }
    return data_lock(job->db, err);
}

/* The only row, for expressions of later tasks; null when there are none or several. */
static bool put_first(struct select *job, const char *path, int64_t n_rows, struct nx_err *err)
{
    struct buf from;
    buf_init(&from);
    buf_str(&from, "read_parquet(");
    data_quote_text(&from, path);
    buf_str(&from, ")");
    json_t *row = n_rows == 1 ? tables_first_row(job->db, buf_text(&from), err) : json_null();
    buf_fini(&from);
    if (!row) {
        return false;
    }
    char *text = json_dumps(row, JSON_ENCODE_ANY | JSON_COMPACT);
    bool fits = text && strlen(text) <= FIRST_MAX;
    bool ok = nx_output_json(job->ctx, "first", fits ? text : "null", err);
    free(text);
    json_decref(row);
    return ok;
}

static bool run_query(struct select *job, struct nx_err *err)
{
    struct data_order order;
    struct table_info info;
    if (!select_read(job, err) || !settle(job, &order, err)) {
        return false;
    }
    const char *path = tables_path(job->ctx, &job->arena, "table.parquet");
    struct data_write write = {
        .select = buf_text(&job->select),
        .values = job->values,
        .n_values = job->n_values,
        .path = path,
        .order = &order,
    };
    if (!data_write_table(job->db, &write, &job->arena, &info, err) ||
        !put_first(job, path, info.n_rows, err)) {
        return false;
    }
    nx_log(job->ctx, "%lld rows, %zu columns", (long long)info.n_rows, info.n_columns);
    return nx_output_int(job->ctx, "rows", info.n_rows, err) &&
           tables_output(job->ctx, "table", path, &info, err);
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct select job;
    bool ok = select_open(&job, ctx, err) && run_query(&job, err);
    select_close(&job, ok, err);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "query", .type = NX_T_SQL, .flags = NX_P_REQUIRED,
     .help = "One SELECT in DuckDB's SQL. Expressions become bound parameters, never text."},
    {.name = "tables", .type = NX_T_OBJECT, .fallback = "{}",
     .help = "Tables that the query may name: {flights: \"${{ outputs.ingest.table }}\"}."},
    {.name = "dataset", .type = NX_T_STRINGS, .flags = NX_P_DATASET, .fallback = "[]",
     .help = "The dataset that the table is a new version of: as `produces` of the task. A constant."},
    {.name = "order_by", .type = NX_T_STRINGS, .fallback = "[]",
     .help = "Columns of the result by which its rows are ordered; ties by the other columns."},
    {0},
};

static const struct nx_port outputs[] = {
    {"table", NX_T_TABLE, "The rows."},
    {"rows", NX_T_INT, "How many rows there are."},
    {"first", NX_T_OBJECT, "The row, when there is exactly one; else null."},
    {0},
};

const struct nx_operator data_sql = {
    .name = "data.sql",
    .version = 1,
    .summary = "Runs a SELECT over tables and files; its rows are a table.",
    .doc =
        "The query sees the tables given under `tables` by their names, and files of the project in "
        "`read_parquet('data/x/" "*.parquet')`, `read_csv` and `read_json` by relative paths. It reads "
        "no other file, no network, and writes nothing.\n\n"
        "A table keeps bool, int64, double, string, category, date, timestamp (UTC) and lists of "
        "double. Other types are errors that name the cast, so that nothing changes silently: "
        "`sum(n)` of integers is `cast(sum(n) as bigint)`.\n\n"
        "Without `order_by`, a query that only scans, filters and computes keeps the order of its "
        "input; any other result (joins, groups, also one with its own ORDER BY) is ordered by all "
        "its columns. The same inputs give the same bytes for any number of CPUs; where that depends "
        "on the order of rows (sums of doubles, windows), the query runs on one thread.",
    .params = params,
    .outputs = outputs,
    .example =
        "january:\n"
        "  uses: data.sql\n"
        "  with:\n"
        "    tables: {flights: \"${{ outputs.ingest.table }}\"}\n"
        "    query: select * from flights where date < ${{ params.until }}\n"
        "    order_by: date\n",
    .flags = NX_OP_PURE,
    .run = run,
};
/* clang-format on */
