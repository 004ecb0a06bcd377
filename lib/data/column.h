/* Columns in memory: a table to arrays for trainers, and arrays to a table for predictions. */
#ifndef LIB_DATA_COLUMN_H
#define LIB_DATA_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/data/data.h"
#include "lib/data/table.h"
#include "nexus/error.h"

#define COLUMN_MISSING (-1) /* a code */
#define COLUMN_UNKNOWN (-2) /* a code: text that is not in the list asked for */

/* A column of n_rows values. Text always comes as codes into a list of distinct values. */
struct column {
    const char *name;
    enum table_type type;
    size_t n_rows;
    uint64_t *valid; /* bit i % 64 of word i / 64; NULL: nothing is missing. NaN is missing */
    size_t n_missing;
    union {
        bool *b;
        int64_t *i;    /* TABLE_INT64; TABLE_DATE: days; TABLE_TIMESTAMP: microseconds */
        double *f;     /* NaN where missing */
        int32_t *code; /* TABLE_STRING, TABLE_CATEGORY: index into text, or COLUMN_MISSING */
    } as;
    const char **text; /* the distinct values, sorted by their bytes, or the list asked for */
    size_t n_text;
};

/* What to read. `categories` (may be NULL) fixes the list and its order: other text becomes
 * COLUMN_UNKNOWN. */
struct column_want {
    const char *name;
    const char *const *categories;
    size_t n_categories;
};

static inline bool column_is_valid(const struct column *c, size_t i)
{
    return !c->valid || (c->valid[i / 64] >> (i % 64) & 1);
}

/* Reads columns of a table or view, in its row order. TABLE_DOUBLES is refused. A name that is not
 * there is NX_E_NOT_FOUND with the nearest. Frees with column_free. */
bool column_read(struct data_db *db, const char *table, const struct column_want *want, size_t n,
                 struct column **columns, struct nx_err *err);
void column_free(struct column *columns, size_t n);

/* ---- One float32 matrix ---- */

/* n_rows x n_columns; row-major: at[r * n_columns + c], else at[c * n_rows + r]. Missing is NaN.
 * bool is 0 or 1, dates are days, timestamps are seconds (as double, then rounded once), text is
 * the code in the list wanted (which it must have; unknown is NaN). */
struct column_matrix {
    float *at;
    size_t n_rows, n_columns;
    bool row_major;
    size_t *n_inexact; /* per column: integers that float32 cannot hold (above 2^24) */
};

bool column_read_matrix(struct data_db *db, const char *table, const struct column_want *want,
                        size_t n, bool row_major, struct column_matrix *matrix, struct nx_err *err);
void column_matrix_fini(struct column_matrix *matrix);

/* ---- Back to a table ---- */

/* Creates the table `name` in the database from columns of equal length (for data_write_table with
 * order input, or to join with a view by row number: it gets a first column `row_number`, from 0,
 * when `numbered`). */
bool column_create_table(struct data_db *db, const char *name, const struct column *columns,
                         size_t n, bool numbered, struct nx_err *err);

#endif
