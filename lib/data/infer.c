/* The types of CSV columns, from their values. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"
#include "lib/data/source.h"

#define COLUMNS_AT_ONCE 100
#define N_TESTS 5

/* What a text must be to be of a type; in the order of preference. */
static const struct {
    enum table_type type;
    const char *macro;
} tests[N_TESTS] = {
    {TABLE_INT64, "nexus_is_int"},           {TABLE_DOUBLE, "nexus_is_double"},
    {TABLE_BOOL, "nexus_is_bool"},           {TABLE_DATE, "nexus_is_date"},
    {TABLE_TIMESTAMP, "nexus_is_timestamp"},
};

static const char macros[] =
    "CREATE OR REPLACE MACRO nexus_is_int(t) AS regexp_full_match(t, "
    "'\\s*[+-]?(0|[1-9][0-9]*)\\s*') "
    "AND try_cast(t AS BIGINT) IS NOT NULL;"
    "CREATE OR REPLACE MACRO nexus_is_double(t) AS try_cast(t AS DOUBLE) IS NOT NULL AND NOT "
    "regexp_matches(t, '^\\s*[+-]?0[0-9]') AND NOT contains(t, '_');"
    "CREATE OR REPLACE MACRO nexus_is_bool(t) AS lower(t) = 'true' OR lower(t) = 'false';"
    "CREATE OR REPLACE MACRO nexus_is_date(t) AS regexp_full_match(t, "
    "'[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}') "
    "AND try_cast(t AS DATE) IS NOT NULL;"
    "CREATE OR REPLACE MACRO nexus_is_timestamp(t) AS regexp_full_match(t, "
    "'[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?') AND try_cast(t AS TIMESTAMPTZ) IS NOT NULL;";

/* SELECT count(a), count(*) FILTER (WHERE nexus_is_int(a)), ... FROM texts */
static void put_counts(struct buf *sql, const char *name)
{
    buf_str(sql, "count(");
    data_quote_name(sql, name);
    buf_str(sql, ")");
    for (size_t t = 0; t < N_TESTS; t++) {
        buf_printf(sql, ", count(*) FILTER (WHERE %s(", tests[t].macro);
        data_quote_name(sql, name);
        buf_str(sql, "))");
    }
}

/* The first type that all values are of; a column without values is text. */
static enum table_type judge(const struct data_vector *counts)
{
    int64_t n = counts[0].as.i[0];
    for (size_t t = 0; n > 0 && t < N_TESTS; t++) {
        if (counts[t + 1].as.i[0] == n) {
            return tests[t].type;
        }
    }
    return TABLE_STRING;
}

static bool run_counts(struct source *source, const char *sql, struct schema_column **columns,
                       size_t n, int64_t *n_rows, bool *any_empty, struct nx_err *err)
{
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    bool ok = data_query(source->db, sql, NULL, 0, &result, err) && data_next(result, &batch, err);
    if (ok) {
        must(batch && batch->n_columns == 1 + n * (N_TESTS + 1));
        *n_rows = batch->columns[0].as.i[0];
        for (size_t i = 0; i < n; i++) {
            const struct data_vector *counts = &batch->columns[1 + i * (N_TESTS + 1)];
            columns[i]->type = columns[i]->typed ? columns[i]->type : judge(counts);
            columns[i]->proven = counts[1].as.i[0] == counts[0].as.i[0];
            *any_empty = *any_empty || counts[0].as.i[0] == 0;
        }
    }
    data_result_close(result);
    return ok;
}

/* Integers are proven also where the type was asked for. */
static bool is_examined(const struct schema_column *column)
{
    return !column->typed || (column->type == TABLE_INT64 && !column->format);
}

/* Types for the next columns from `first` on that nobody named; *next is where to go on. */
static bool infer_some(struct source *source, size_t first, size_t *next, bool all, int64_t *n_rows,
                       bool *any_empty, struct nx_err *err)
{
    struct schema_column *columns[COLUMNS_AT_ONCE];
    size_t n = 0;
    struct buf sql;
    buf_init(&sql);
    buf_str(&sql, "SELECT count(*)");
    for (*next = first; *next < source->schema.n_columns && n < COLUMNS_AT_ONCE; ++*next) {
        struct schema_column *column = &source->schema.columns[*next];
        if (is_examined(column)) {
            buf_str(&sql, ", ");
            put_counts(&sql, column->name);
            columns[n++] = column;
        }
    }
    buf_str(&sql, " FROM (");
    source_texts(source, &sql);
    if (!all) {
        buf_printf(&sql, " LIMIT %d", SOURCE_SAMPLE);
    }
    buf_str(&sql, ")");
    bool ok = n == 0 || run_counts(source, buf_text(&sql), columns, n, n_rows, any_empty, err);
    buf_fini(&sql);
    return ok;
}

static bool infer(struct source *source, bool all, int64_t *n_rows, bool *any_empty,
                  struct nx_err *err)
{
    *any_empty = false;
    *n_rows = 0;
    if (!data_exec(source->db, macros, err)) {
        return false;
    }
    for (size_t i = 0; i < source->schema.n_columns;) {
        if (!infer_some(source, i, &i, all, n_rows, any_empty, err)) {
            return false;
        }
    }
    return true;
}

bool source_infer(struct source *source, struct nx_err *err)
{
    int64_t n_rows;
    bool any_empty, changed;
    if (source->schema.file.format != FILE_CSV) {
        return true;
    }
    if (!infer(source, false, &n_rows, &any_empty, err)) {
        return false;
    }
    source->exact = n_rows < SOURCE_SAMPLE;
    for (size_t i = 0; !source->exact && i < source->schema.n_columns; i++) {
        source->schema.columns[i].proven = false;
    }
    /* A column without values in the sample may have some later. */
    return source->exact || !any_empty || source_infer_all(source, &changed, err);
}

bool source_infer_all(struct source *source, bool *changed, struct nx_err *err)
{
    size_t n = source->schema.n_columns;
    enum table_type *before = mem_alloc_array(n + 1, sizeof *before);
    int64_t n_rows;
    bool any_empty;
    for (size_t i = 0; i < n; i++) {
        before[i] = source->schema.columns[i].type;
    }
    bool ok = infer(source, true, &n_rows, &any_empty, err);
    *changed = !source->exact;
    source->exact = source->exact || ok;
    for (size_t i = 0; ok && i < n; i++) {
        *changed = *changed || before[i] != source->schema.columns[i].type;
    }
    mem_free(before);
    return ok;
}
