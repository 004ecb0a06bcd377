/* Tables as Parquet files: writing with a fixed order and hash, and views over them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <jansson.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"

#define ROW_GROUP_ROWS 122880

/* The columns of a SELECT, by running it for no row. */
static bool select_columns(struct data_db *db, const struct data_write *write, struct arena *arena,
                           struct table_info *info, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    buf_init(&sql);
    buf_str(&sql, "SELECT * FROM (\n");
    buf_add(&sql, write->select, sqltext_end(write->select));
    buf_str(&sql, "\n) LIMIT 0");
    bool ok = data_query(db, buf_text(&sql), write->values, write->n_values, &result, err);
    buf_fini(&sql);
    if (!ok) {
        return false;
    }
    size_t n;
    const struct table_column *from = data_result_columns(result, &n);
    struct table_column *columns = arena_array(arena, n + 1, sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        columns[i] = (struct table_column){
            .name = arena_strdup(arena, from[i].name),
            .type = from[i].type,
            .n_categories = from[i].n_categories,
        };
        if (from[i].categories) {
            const char **copy = arena_array(arena, from[i].n_categories + 1, sizeof *copy);
            for (size_t k = 0; k < from[i].n_categories; k++) {
                copy[k] = arena_strdup(arena, from[i].categories[k]);
            }
            columns[i].categories = copy;
        }
    }
    info->columns = columns;
    info->n_columns = n;
    data_result_close(result);
    return true;
}

static bool check_columns(const struct table_info *info, struct nx_err *err)
{
    if (info->n_columns > TABLE_COLUMNS_MAX) {
        return nx_fail(err, NX_E_LIMIT, "the table has %zu columns; at most %d are kept",
                       info->n_columns, TABLE_COLUMNS_MAX);
    }
    for (size_t i = 0; i < info->n_columns; i++) {
        if (!*info->columns[i].name) {
            return nx_fail(err, NX_E_DATA, "column %zu has no name", i + 1);
        }
    }
    return true;
}

static const struct table_column *find_column(const struct table_column *columns, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(columns[i].name, name) == 0) {
            return &columns[i];
        }
    }
    return NULL;
}

static bool mark_categories(const struct data_write *write, struct table_info *info,
                            struct nx_err *err)
{
    struct table_column *columns = (struct table_column *)(uintptr_t)info->columns;
    for (size_t i = 0; i < write->n_categories; i++) {
        const struct table_column *given = &write->categories[i];
        const struct table_column *found = find_column(columns, info->n_columns, given->name);
        if (!found || (found->type != TABLE_STRING && found->type != TABLE_CATEGORY)) {
            return nx_fail(err, NX_E_DATA, "column '%s' cannot be a category: it %s", given->name,
                           found ? "is not text" : "does not exist");
        }
        struct table_column *column = &columns[found - columns];
        column->type = TABLE_CATEGORY;
        column->categories = given->categories;
        column->n_categories = given->n_categories;
    }
    return true;
}

static bool decide_order(const struct data_write *write, struct arena *arena,
                         struct table_info *info, struct nx_err *err)
{
    const struct data_order *order = write->order;
    if (order && order->input) {
        info->n_order = 0;
        return true;
    }
    size_t n_given = order ? order->n : 0;
    size_t n = n_given ? n_given : info->n_columns;
    const char **names = arena_array(arena, n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        const char *name = n_given ? order->columns[i] : info->columns[i].name;
        const struct table_column *column = find_column(info->columns, info->n_columns, name);
        if (!column) {
            return nx_fail(err, NX_E_INVALID,
                           "order_by names '%s', which is no column of the result", name);
        }
        names[i] = column->name;
    }
    info->order = names;
    info->n_order = n;
    return true;
}

/* Each column as the type it is kept as; NaN as missing. It is asked for with isnan: a comparison
 * is decided by the statistics of Parquet files, which leave NaN out. */
static void put_columns(struct buf *sql, const struct table_info *info)
{
    struct buf name;
    buf_init(&name);
    for (size_t i = 0; i < info->n_columns; i++) {
        const struct table_column *column = &info->columns[i];
        buf_clear(&name);
        data_quote_name(&name, column->name);
        const char *c = buf_text(&name);
        buf_str(sql, i ? ", " : "");
        if (column->type == TABLE_DOUBLE) {
            buf_printf(sql,
                       "CASE WHEN isnan(CAST(%s AS DOUBLE)) THEN NULL ELSE CAST(%s AS DOUBLE) "
                       "END",
                       c, c);
        } else if (column->type == TABLE_DOUBLES) {
            buf_printf(sql,
                       "list_transform(CAST(%s AS DOUBLE[]), lambda x: CASE WHEN isnan(x) "
                       "THEN NULL ELSE x END)",
                       c);
        } else {
            buf_printf(sql, "CAST(%s AS %s)", c, type_sql(column->type));
        }
        buf_printf(sql, " AS %s", c);
    }
    buf_fini(&name);
}

/* ORDER BY the columns asked for, then all others, so that ties cannot fall either way. */
static void put_order(struct buf *sql, const struct table_info *info)
{
    for (size_t i = 0; i < info->n_order; i++) {
        buf_str(sql, i ? ", " : " ORDER BY ");
        data_quote_name(sql, info->order[i]);
    }
    for (size_t i = 0; info->n_order > 0 && i < info->n_columns; i++) {
        bool named = false;
        for (size_t k = 0; k < info->n_order; k++) {
            named = named || info->order[k] == info->columns[i].name;
        }
        if (!named) {
            buf_str(sql, ", ");
            data_quote_name(sql, info->columns[i].name);
        }
    }
}

static void put_names(struct buf *sql, const struct table_info *info)
{
    for (size_t i = 0; i < info->n_columns; i++) {
        buf_str(sql, i ? ", " : "");
        data_quote_name(sql, info->columns[i].name);
    }
}

/* What the file says of itself. Rows and hash are not known before it is written. */
static void put_description(struct buf *sql, const struct table_info *info)
{
    struct buf json;
    buf_init(&json);
    table_info_write(info, true, &json);
    data_quote_text(sql, buf_text(&json));
    buf_fini(&json);
}

static void begin_hash(struct data_db *db, const struct table_info *info)
{
    db->hash.schema = rowhash_schema(info->columns, info->n_columns);
    db->hash.sum = db->hash.schema;
    db->hash.n_rows = 0;
}

/* COPY (SELECT ... ) TO path; the rows are hashed on their way when `passing` is set. */
static bool copy_out(struct data_db *db, const struct data_write *write,
                     const struct table_info *info, bool passing, int64_t *n_rows,
                     struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    buf_init(&sql);
    buf_str(&sql, "COPY (SELECT * FROM (SELECT ");
    put_columns(&sql, info);
    buf_str(&sql, " FROM (\n");
    buf_add(&sql, write->select, sqltext_end(write->select));
    buf_str(&sql, "\n))");
    if (passing) {
        buf_str(&sql, " WHERE nexus_rowhash(");
        put_names(&sql, info);
        buf_str(&sql, ")");
    }
    put_order(&sql, info);
    buf_str(&sql, ") TO ");
    data_quote_text(&sql, write->path);
    buf_printf(&sql, " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d, KV_METADATA {%s: ",
               ROW_GROUP_ROWS, TABLE_KEY);
    put_description(&sql, info);
    buf_str(&sql, "})");
    bool ok = data_query(db, buf_text(&sql), write->values, write->n_values, &result, err) &&
              data_next(result, &batch, err);
    if (ok) {
        *n_rows = batch ? batch->columns[0].as.i[0] : 0;
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}

/* The hash of a file that is there: DuckDB's threads read it. */
static bool hash_file(struct data_db *db, const char *path, const struct table_info *info,
                      struct nx_err *err)
{
    struct buf sql;
    int64_t n;
    begin_hash(db, info);
    buf_init(&sql);
    buf_str(&sql, "SELECT count(*) FROM read_parquet(");
    data_quote_text(&sql, path);
    buf_str(&sql, ") WHERE nexus_rowhash(");
    put_names(&sql, info);
    buf_str(&sql, ")");
    bool ok = data_query_int(db, buf_text(&sql), &n, err);
    buf_fini(&sql);
    if (ok && n != db->hash.n_rows) {
        ok = nx_fail(err, NX_E_INTERNAL, "%" PRId64 " of %" PRId64 " rows of %s were hashed",
                     db->hash.n_rows, n, path);
    }
    return ok;
}

static bool write_rows(struct data_db *db, const struct data_write *write, struct table_info *info,
                       struct nx_err *err)
{
    bool passing = write->scan;
    begin_hash(db, info);
    if (!copy_out(db, write, info, passing, &info->n_rows, err)) {
        return false;
    }
    /* The optimiser may have moved the hash to where it saw other rows: then it is made anew. */
    if ((!passing || db->hash.n_rows != info->n_rows) && !hash_file(db, write->path, info, err)) {
        return false;
    }
    info->rows_hash = db->hash.sum;
    struct stat st;
    if (stat(write->path, &st) != 0) {
        return nx_fail(err, NX_E_IO, "%s: %s", write->path, strerror(errno));
    }
    info->n_bytes = st.st_size;
    return true;
}

bool data_write_table(struct data_db *db, const struct data_write *write, struct arena *arena,
                      struct table_info *info, struct nx_err *err)
{
    must(write->select && write->path);
    struct table_info made = {0};
    if (!data_check_select(db, write->select, err) ||
        !select_columns(db, write, arena, &made, err) || !check_columns(&made, err) ||
        !mark_categories(write, &made, err) || !decide_order(write, arena, &made, err) ||
        !write_rows(db, write, &made, err)) {
        return false;
    }
    *info = made;
    return true;
}
