/* wait.sql: until a query gives a row. One look. */
#include <stdlib.h>
#include <string.h>

#include "tasks/data/select.h"

#define ROW_MAX 2048 /* bytes of the output `row` */

/* A row whose first value is missing, false or 0 says no. */
static bool says_yes(const struct data_batch *batch)
{
    json_t *value = tables_value(&batch->columns[0], 0);
    bool no = json_is_null(value) || json_is_false(value) ||
              (json_is_number(value) && !(json_number_value(value) != 0));
    json_decref(value);
    return !no;
}

static bool put_row(struct nx_ctx *ctx, const struct data_result *result,
                    const struct data_batch *batch, struct nx_err *err)
{
    size_t n;
    const struct table_column *columns = data_result_columns(result, &n);
    json_t *row = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(row, columns[i].name, tables_value(&batch->columns[i], 0));
    char *text = json_dumps(row, JSON_COMPACT);
    bool fits = text && strlen(text) <= ROW_MAX;
    bool ok = nx_output_json(ctx, "row", fits ? text : "null", err);
    free(text);
    json_decref(row);
    return ok;
}

static enum nx_outcome look(struct select *job, struct nx_err *err)
{
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    enum nx_outcome outcome = NX_FAILED;
    if (select_read(job, err) && data_lock(job->db, err) &&
        data_query(job->db, buf_text(&job->select), job->values, job->n_values, &result, err) &&
        data_next(result, &batch, err))
        outcome = !batch || !says_yes(batch)              ? NX_NOT_YET
                  : put_row(job->ctx, result, batch, err) ? NX_DONE
                                                          : NX_FAILED;
    else if (err->code == NX_E_NOT_FOUND)
        outcome = NX_NOT_YET; /* no file matches yet */
    data_result_close(result);
    return outcome;
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct select job;
    enum nx_outcome outcome = NX_FAILED;
    if (select_open(&job, ctx, err))
        outcome = look(&job, err);
    select_close(&job, outcome != NX_FAILED, err);
    return outcome;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "query", .type = NX_T_SQL, .flags = NX_P_REQUIRED,
     .help = "One SELECT in DuckDB's SQL. Expressions become bound parameters, never text."},
    {.name = "tables", .type = NX_T_OBJECT, .fallback = "{}",
     .help = "Tables that the query may name: {flights: \"${{ outputs.ingest.table }}\"}."},
    {.name = "every", .type = NX_T_DURATION, .fallback = "\"30s\"", .flags = NX_P_HAS_MIN | NX_P_HAS_MAX,
     .min = 0.1, .max = 86400, .unit = "s", .help = "How often it is looked; a constant."},
    {0},
};

static const struct nx_port outputs[] = {
    {"row", NX_T_OBJECT, "The first row; null when it is large."},
    {0},
};

const struct nx_operator wait_sql = {
    .name = "wait.sql",
    .version = 1,
    .summary = "Waits until a query gives a row, without a slot.",
    .doc =
        "The query reads what `data.sql` reads: the tables given under `tables` and files of the project "
        "in `read_parquet('data/x/" "*.parquet')`, `read_csv` and `read_json`. A pattern that no file "
        "matches, no row, and a row whose first value is null, false or 0 mean: not yet. A worker of "
        "the task's `queue` asks every now and then, beside its slots; one look takes at most 10 s. "
        "`timeout` of the task bounds the wait; an error of the query is a failure that `retries` "
        "count.",
    .params = params,
    .outputs = outputs,
    .example =
        "complete:\n"
        "  uses: wait.sql\n"
        "  timeout: 2h\n"
        "  with:\n"
        "    query: select count(*) >= 24 from read_csv('incoming/*.csv')\n"
        "    every: 1m\n",
    .flags = NX_OP_POKE,
    .run = run,
};
/* clang-format on */
