/* The types of CSV columns, from their values. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"
#include "lib/data/parse.h"
#include "lib/data/source.h"

#define COLUMNS_AT_ONCE 100

/* Types in the order of preference. */
static const struct {
    enum table_type type;
    enum parse_kind kind;
} preferred[] = {
    {TABLE_INT64, PARSE_INT}, {TABLE_DOUBLE, PARSE_DOUBLE},       {TABLE_BOOL, PARSE_BOOL},
    {TABLE_DATE, PARSE_DATE}, {TABLE_TIMESTAMP, PARSE_TIMESTAMP}, {TABLE_DOUBLES, PARSE_DOUBLES},
};

/* What all texts of the column can be; missing when there is none. */
static void put_kinds(struct buf *sql, const char *name)
{
    buf_str(sql, "bit_and(nexus_kinds(");
    data_quote_name(sql, name);
    buf_str(sql, "))");
}

enum table_type infer_type(unsigned kinds)
{
    for (size_t t = 0; t < sizeof preferred / sizeof *preferred; t++) {
        if (kinds & preferred[t].kind) {
            return preferred[t].type;
        }
    }
    return TABLE_STRING;
}

/* A column without values is text. */
static enum table_type judge(const struct data_vector *kinds)
{
    return infer_type(data_is_valid(kinds, 0) ? (unsigned)kinds->as.i[0] : 0);
}

static bool run_kinds(struct source *source, const char *sql, struct schema_column **columns,
                      size_t n, int64_t *n_rows, bool *any_empty, struct nx_err *err)
{
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    bool ok = data_query(source->db, sql, NULL, 0, &result, err) && data_next(result, &batch, err);
    if (ok) {
        must(batch && batch->n_columns == 1 + n);
        *n_rows = batch->columns[0].as.i[0];
        for (size_t i = 0; i < n; i++) {
            columns[i]->type = judge(&batch->columns[1 + i]);
            *any_empty = *any_empty || !data_is_valid(&batch->columns[1 + i], 0);
        }
    }
    data_result_close(result);
    return ok;
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
        if (!column->typed) {
            buf_str(&sql, ", ");
            put_kinds(&sql, column->name);
            columns[n++] = column;
        }
    }
    buf_str(&sql, " FROM (");
    source_texts(source, &sql);
    if (!all) {
        buf_printf(&sql, " LIMIT %d", SOURCE_SAMPLE);
    }
    buf_str(&sql, ")");
    bool ok = n == 0 || run_kinds(source, buf_text(&sql), columns, n, n_rows, any_empty, err);
    buf_fini(&sql);
    return ok;
}

static bool infer(struct source *source, bool all, int64_t *n_rows, bool *any_empty,
                  struct nx_err *err)
{
    *any_empty = false;
    *n_rows = 0;
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
    *changed = false;
    source->exact = source->exact || ok;
    for (size_t i = 0; ok && i < n; i++) {
        *changed = *changed || before[i] != source->schema.columns[i].type;
    }
    mem_free(before);
    return ok;
}
