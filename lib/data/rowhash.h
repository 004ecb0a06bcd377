/* rows_hash: the hash of a table's content, the same for any order of its rows, number of threads,
 * row groups and version of DuckDB. PURE.
 *
 * Each row gets 128 bits, in two lanes of 64: a lane starts with the hash of the column names and
 * types, and takes the values column by column, each by a multiplication to 128 bits that is folded
 * (the construction of wyhash: W. Yi, 2019). The hash of a table is that of its schema plus the sum
 * of its rows', mod 2^128. The constants never change: hashes are kept for years. */
#ifndef LIB_DATA_ROWHASH_H
#define LIB_DATA_ROWHASH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/data/data.h"
#include "lib/data/table.h"

#define ROWHASH_ROWS_MAX 2048

struct rowhash {
    uint64_t a[ROWHASH_ROWS_MAX];
    uint64_t b[ROWHASH_ROWS_MAX];
};

/* The schema's own hash: where sums begin. A category counts as a string. */
struct table_hash rowhash_schema(const struct table_column *columns, size_t n_columns);

/* Starts n rows, takes one column after the other, in their order, and adds the rows to *sum. */
void rowhash_begin(struct rowhash *h, struct table_hash schema, size_t n);
void rowhash_take(struct rowhash *h, const struct data_vector *column, size_t n);
void rowhash_add(const struct rowhash *h, size_t n, struct table_hash *sum);

/* a + b mod 2^128. */
struct table_hash rowhash_sum(struct table_hash a, struct table_hash b);

/* The bucket of each row for splits, 0 .. 2^64 - 1, evenly spread: from the seed and the columns
 * taken (none: not allowed). */
void rowhash_buckets(const struct rowhash *h, size_t n, uint64_t *buckets);

#endif
