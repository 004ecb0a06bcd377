/* Tables to arrays, a batch at a time. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/column.h"
#include "lib/data/dict.h"
#include "lib/data/internal.h"

/* Says which columns there are instead of the one that is not. */
static bool no_column(struct data_db *db, const char *table, const char *name, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result;
    buf_init(&sql);
    buf_str(&sql, "SELECT * FROM ");
    data_quote_name(&sql, table);
    buf_str(&sql, " LIMIT 0");
    bool ok = data_query(db, buf_text(&sql), NULL, 0, &result, err);
    buf_fini(&sql);
    if (!ok) {
        return false;
    }
    size_t n;
    const struct table_column *columns = data_result_columns(result, &n);
    const char **names = mem_alloc_array(n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = columns[i].name;
    }
    const char *nearest = str_nearest(name, names, n);
    nx_fail(err, NX_E_NOT_FOUND, "table '%s' has no column '%s'%s%s%s", table, name,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    mem_free(names);
    data_result_close(result);
    return false;
}

static bool has_column(struct data_db *db, const char *table, const char *name, struct nx_err *err)
{
    struct buf sql;
    int64_t n = 0;
    buf_init(&sql);
    buf_str(&sql, "SELECT count(*) FROM duckdb_columns() WHERE table_name = ");
    data_quote_text(&sql, table);
    buf_str(&sql, " AND column_name = ");
    data_quote_text(&sql, name);
    bool ok = data_query_int(db, buf_text(&sql), &n, err);
    buf_fini(&sql);
    return ok && (n > 0 || no_column(db, table, name, err));
}

/* A query over the columns wanted, and the number of rows it will give. */
bool columns_open(struct data_db *db, const char *table, const struct column_want *want, size_t n,
                  struct data_result **result, size_t *n_rows, struct nx_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!has_column(db, table, want[i].name, err)) {
            return false;
        }
    }
    struct buf sql;
    int64_t rows = 0;
    buf_init(&sql);
    buf_str(&sql, "SELECT count(*) FROM ");
    data_quote_name(&sql, table);
    bool ok = data_query_int(db, buf_text(&sql), &rows, err);
    buf_clear(&sql);
    buf_str(&sql, "SELECT ");
    for (size_t i = 0; i < n; i++) {
        buf_str(&sql, i ? ", " : "");
        data_quote_name(&sql, want[i].name);
    }
    buf_str(&sql, " FROM ");
    data_quote_name(&sql, table);
    ok = ok && data_query(db, buf_text(&sql), NULL, 0, result, err);
    buf_fini(&sql);
    *n_rows = (size_t)rows;
    return ok;
}

static size_t value_size(enum table_type type)
{
    switch (type) {
    case TABLE_BOOL:
        return sizeof(bool);
    case TABLE_STRING:
    case TABLE_CATEGORY:
        return sizeof(int32_t);
    default:
        return sizeof(int64_t);
    }
}

/* Takes the missing bits of a batch that starts at row `first`. */
static void take_valid(struct column *c, const struct data_vector *from, size_t first, size_t n)
{
    if (!from->valid) {
        return;
    }
    if (!c->valid) {
        size_t n_words = c->n_rows / 64 + 1;
        c->valid = mem_alloc_array(n_words, sizeof *c->valid);
        memset(c->valid, 0xff, n_words * sizeof *c->valid);
    }
    for (size_t i = 0; i < n; i++) {
        if (!data_is_valid(from, i)) {
            c->valid[(first + i) / 64] &= ~(1ull << ((first + i) % 64));
            c->n_missing++;
        }
    }
}

static void take_values(struct column *c, struct dict *dict, bool fixed,
                        const struct data_vector *from, size_t first, size_t n)
{
    switch (c->type) {
    case TABLE_BOOL:
        memcpy(c->as.b + first, from->as.b, n);
        break;
    case TABLE_DOUBLE:
        for (size_t i = 0; i < n; i++) {
            c->as.f[first + i] = data_is_valid(from, i) ? from->as.f[i] : NAN;
        }
        break;
    case TABLE_STRING:
    case TABLE_CATEGORY:
        for (size_t i = 0; i < n; i++) {
            int32_t code = COLUMN_MISSING;
            if (data_is_valid(from, i)) {
                code = dict_code(dict, from->as.text[i].at, from->as.text[i].n, !fixed);
                code = code < 0 ? COLUMN_UNKNOWN : code;
            }
            c->as.code[first + i] = code;
        }
        break;
    default:
        memcpy(c->as.i + first, from->as.i, n * sizeof(int64_t));
    }
}

/* Gives the column its own texts; without a list asked for, sorted by their bytes. */
static void finish_text(struct column *c, struct dict *dict, bool fixed)
{
    size_t n = dict->text.n;
    int32_t *sorted = dict_sorted(dict);
    int32_t *rank = mem_alloc_array(n + 1, sizeof *rank);
    c->text = mem_alloc_array(n + 1, sizeof *c->text);
    c->n_text = n;
    for (size_t i = 0; i < n; i++) {
        size_t code = fixed ? i : (size_t)sorted[i];
        rank[code] = (int32_t)i;
        c->text[i] = mem_strdup(dict->text.at[code]);
    }
    for (size_t i = 0; !fixed && i < c->n_rows; i++) {
        if (c->as.code[i] >= 0) {
            c->as.code[i] = rank[c->as.code[i]];
        }
    }
    mem_free(rank);
    mem_free(sorted);
}

static bool start_column(struct column *c, struct dict *dict, const struct column_want *want,
                         enum table_type type, size_t n_rows, struct nx_err *err)
{
    if (type == TABLE_DOUBLES) {
        return nx_fail(err, NX_E_UNSUPPORTED, "column '%s' holds lists, not one value a row",
                       want->name);
    }
    *c = (struct column){.name = mem_strdup(want->name), .type = type, .n_rows = n_rows};
    c->as.i = mem_try_alloc(n_rows * value_size(type) + 8);
    if (!c->as.i) {
        return nx_fail(err, NX_E_MEMORY, "column '%s' (%zu rows) does not fit into memory",
                       want->name, n_rows);
    }
    for (size_t i = 0; i < want->n_categories; i++) {
        const char *text = want->categories[i];
        if (dict_code(dict, text, strlen(text), 1) != (int32_t)i) {
            return nx_fail(err, NX_E_INVALID, "column '%s': the category '%s' is listed twice",
                           want->name, text);
        }
    }
    return true;
}

static bool read_batches(struct data_result *result, struct column *columns, struct dict *dicts,
                         const struct column_want *want, size_t n, size_t n_rows,
                         struct nx_err *err)
{
    size_t first = 0;
    const struct data_batch *batch;
    for (;;) {
        if (!data_next(result, &batch, err)) {
            return false;
        }
        if (!batch) {
            break;
        }
        must(first + batch->n_rows <= n_rows);
        for (size_t i = 0; i < n; i++) {
            take_valid(&columns[i], &batch->columns[i], first, batch->n_rows);
            take_values(&columns[i], &dicts[i], want[i].categories != NULL, &batch->columns[i],
                        first, batch->n_rows);
        }
        first += batch->n_rows;
    }
    must(first == n_rows);
    return true;
}

bool column_read(struct data_db *db, const char *table, const struct column_want *want, size_t n,
                 struct column **columns, struct nx_err *err)
{
    struct data_result *result = NULL;
    size_t n_rows, n_columns;
    if (!columns_open(db, table, want, n, &result, &n_rows, err)) {
        return false;
    }
    const struct table_column *described = data_result_columns(result, &n_columns);
    struct column *made = mem_alloc_array(n + 1, sizeof *made);
    struct dict *dicts = mem_alloc_array(n + 1, sizeof *dicts);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        dict_init(&dicts[i]);
        ok = ok && start_column(&made[i], &dicts[i], &want[i], described[i].type, n_rows, err);
    }
    ok = ok && read_batches(result, made, dicts, want, n, n_rows, err);
    for (size_t i = 0; i < n; i++) {
        if (ok && (made[i].type == TABLE_STRING || made[i].type == TABLE_CATEGORY)) {
            finish_text(&made[i], &dicts[i], want[i].categories != NULL);
        }
        dict_fini(&dicts[i]);
    }
    mem_free(dicts);
    data_result_close(result);
    if (!ok) {
        column_free(made, n);
        return false;
    }
    *columns = made;
    return true;
}

void column_free(struct column *columns, size_t n)
{
    for (size_t i = 0; columns && i < n; i++) {
        for (size_t k = 0; k < columns[i].n_text; k++) {
            mem_free((char *)(uintptr_t)columns[i].text[k]);
        }
        mem_free((char *)(uintptr_t)columns[i].name);
        mem_free(columns[i].text);
        mem_free(columns[i].valid);
        mem_free(columns[i].as.i);
    }
    mem_free(columns);
}
