/* Columns of test data, made in memory. */
#ifndef TESTS_UNIT_ROWS_H
#define TESTS_UNIT_ROWS_H

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/column.h"

#define ROWS_COLUMNS 8

/* Arrays of our own, freed by rows_fini. */
struct rows {
    struct column column[ROWS_COLUMNS];
    size_t n_columns, n_rows;
};

static inline void rows_init(struct rows *rows, size_t n_rows)
{
    *rows = (struct rows){.n_rows = n_rows};
}

static inline void rows_fini(struct rows *rows)
{
    for (size_t j = 0; j < rows->n_columns; j++) {
        mem_free(rows->column[j].valid);
        mem_free(rows->column[j].as.i);
        mem_free(rows->column[j].text);
    }
}

static inline struct column *rows_add(struct rows *rows, const char *name, enum table_type type)
{
    struct column *c = &rows->column[rows->n_columns++];
    *c = (struct column){.name = name, .type = type, .n_rows = rows->n_rows};
    c->valid = mem_alloc_array(rows->n_rows / 64 + 1, sizeof *c->valid);
    memset(c->valid, 0xff, (rows->n_rows / 64 + 1) * sizeof *c->valid);
    c->as.i = mem_alloc_array(rows->n_rows + 1, sizeof *c->as.i);
    return c;
}

static inline void rows_miss(struct column *c, size_t i)
{
    c->valid[i / 64] &= ~(UINT64_C(1) << (i % 64));
    c->n_missing++;
    if (c->type == TABLE_DOUBLE)
        c->as.f[i] = (double)NAN;
    if (c->type == TABLE_STRING)
        c->as.code[i] = COLUMN_MISSING;
}

static inline void rows_texts(struct column *c, const char *const *texts, size_t n)
{
    c->text = mem_alloc_array(n + 1, sizeof *c->text);
    memcpy(c->text, texts, n * sizeof *texts);
    c->n_text = n;
}

static inline double rows_normal(struct rng *rng)
{
    double sum = -6;
    for (int k = 0; k < 12; k++)
        sum += rng_unit(rng);
    return sum;
}

#endif
