/* Columns straight to one float32 matrix: each value is stored once, none is kept besides. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/column.h"
#include "lib/data/dict.h"
#include "lib/data/internal.h"

#define FLOAT_EXACT (1ll << 24)

static float one_value(const struct data_vector *from, size_t i, struct dict *dict,
                       size_t *n_inexact)
{
    int32_t code;
    switch (from->type) {
    case TABLE_BOOL:
        return from->as.b[i] ? 1.0f : 0.0f;
    case TABLE_DOUBLE:
        return (float)from->as.f[i];
    case TABLE_INT64:
    case TABLE_DATE:
        if (from->as.i[i] > FLOAT_EXACT || from->as.i[i] < -FLOAT_EXACT) {
            ++*n_inexact;
        }
        return (float)from->as.i[i];
    case TABLE_TIMESTAMP:
        return (float)((double)from->as.i[i] / 1e6);
    case TABLE_STRING:
    case TABLE_CATEGORY:
        code = dict_code(dict, from->as.text[i].at, from->as.text[i].n, 0);
        return code < 0 ? NAN : (float)code;
    case TABLE_DOUBLES:
    case TABLE_TYPES:
        break;
    }
    must(!"a type that was refused before");
    return NAN;
}

static bool check_columns(const struct data_result *result, const struct column_want *want,
                          struct nx_err *err)
{
    size_t n;
    const struct table_column *columns = data_result_columns(result, &n);
    for (size_t i = 0; i < n; i++) {
        bool text = columns[i].type == TABLE_STRING || columns[i].type == TABLE_CATEGORY;
        if (columns[i].type == TABLE_DOUBLES) {
            return nx_fail(err, NX_E_UNSUPPORTED, "column '%s' holds lists, not one value a row",
                           columns[i].name);
        }
        if (text && !want[i].categories) {
            return nx_fail(err, NX_E_DATA,
                           "column '%s' is text: a matrix needs the list of its categories",
                           columns[i].name);
        }
    }
    return true;
}

static bool fill(struct data_result *result, struct dict *dicts, struct column_matrix *m,
                 struct nx_err *err)
{
    size_t first = 0;
    const struct data_batch *batch;
    for (;;) {
        if (!data_next(result, &batch, err)) {
            return false;
        }
        if (!batch) {
            must(first == m->n_rows);
            return true;
        }
        must(first + batch->n_rows <= m->n_rows);
        for (size_t c = 0; c < m->n_columns; c++) {
            const struct data_vector *from = &batch->columns[c];
            size_t step = m->row_major ? m->n_columns : 1;
            float *to =
                m->row_major ? m->at + first * m->n_columns + c : m->at + c * m->n_rows + first;
            for (size_t i = 0; i < batch->n_rows; i++, to += step) {
                *to =
                    data_is_valid(from, i) ? one_value(from, i, &dicts[c], &m->n_inexact[c]) : NAN;
            }
        }
        first += batch->n_rows;
    }
}

static bool make_matrix(struct column_matrix *m, struct nx_err *err)
{
    size_t n_values;
    if (__builtin_mul_overflow(m->n_rows, m->n_columns, &n_values) ||
        n_values > SIZE_MAX / sizeof *m->at ||
        !(m->at = mem_try_alloc(n_values * sizeof *m->at + 4))) {
        return nx_fail(err, NX_E_MEMORY, "a matrix of %zu x %zu does not fit into memory",
                       m->n_rows, m->n_columns);
    }
    m->n_inexact = mem_alloc_array(m->n_columns + 1, sizeof *m->n_inexact);
    return true;
}

bool column_read_matrix(struct data_db *db, const char *table, const struct column_want *want,
                        size_t n, bool row_major, struct column_matrix *matrix, struct nx_err *err)
{
    struct column_matrix m = {.n_columns = n, .row_major = row_major};
    struct data_result *result = NULL;
    if (!columns_open(db, table, want, n, &result, &m.n_rows, err)) {
        return false;
    }
    struct dict *dicts = mem_alloc_array(n + 1, sizeof *dicts);
    for (size_t i = 0; i < n; i++) {
        dict_init(&dicts[i]);
        for (size_t k = 0; k < want[i].n_categories; k++) {
            dict_code(&dicts[i], want[i].categories[k], strlen(want[i].categories[k]), 1);
        }
    }
    bool ok =
        check_columns(result, want, err) && make_matrix(&m, err) && fill(result, dicts, &m, err);
    for (size_t i = 0; i < n; i++) {
        dict_fini(&dicts[i]);
    }
    mem_free(dicts);
    data_result_close(result);
    if (!ok) {
        column_matrix_fini(&m);
        return false;
    }
    *matrix = m;
    return true;
}

void column_matrix_fini(struct column_matrix *matrix)
{
    mem_free(matrix->at);
    mem_free(matrix->n_inexact);
    *matrix = (struct column_matrix){0};
}
