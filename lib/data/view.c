/* Views over Parquet files, and what such a file says of itself. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"

/* The columns of a Parquet file in our types, as the file's own schema has them. */
static bool file_columns(struct data_db *db, const char *path, struct table_info *info,
                         struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    buf_init(&sql);
    buf_str(&sql, "SELECT * FROM read_parquet(");
    data_quote_text(&sql, path);
    buf_str(&sql, ") LIMIT 0");
    bool ok = data_query(db, buf_text(&sql), NULL, 0, &result, err);
    buf_fini(&sql);
    if (!ok) {
        return false;
    }
    size_t n;
    const struct table_column *from = data_result_columns(result, &n);
    struct table_column *columns = arena_array(&db->arena, n + 1, sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        columns[i].name = arena_strdup(&db->arena, from[i].name);
        columns[i].type = from[i].type;
    }
    info->columns = columns;
    info->n_columns = n;
    data_result_close(result);
    return true;
}

/* The text under the key "nexus" of a file, or NULL where there is none. */
static bool file_description(struct data_db *db, const char *path, const char **text,
                             struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    buf_init(&sql);
    buf_str(&sql, "SELECT decode(value) FROM parquet_kv_metadata(");
    data_quote_text(&sql, path);
    buf_str(&sql, ") WHERE decode(key) = '" TABLE_KEY "' LIMIT 1");
    bool ok =
        data_query(db, buf_text(&sql), NULL, 0, &result, err) && data_next(result, &batch, err);
    *text = NULL;
    if (ok && batch && data_is_valid(&batch->columns[0], 0)) {
        struct data_text found = batch->columns[0].as.text[0];
        *text = arena_strndup(&db->arena, found.at, found.n);
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}

/* Takes over categories and order from the file's description, where they fit its columns. */
static void merge_description(struct table_info *info, const struct table_info *said)
{
    struct table_column *columns = (struct table_column *)(uintptr_t)info->columns;
    for (size_t i = 0; i < info->n_columns; i++) {
        const struct table_column *other = table_info_column(said, columns[i].name);
        if (other && other->type == TABLE_CATEGORY && columns[i].type == TABLE_STRING) {
            columns[i].type = TABLE_CATEGORY;
            columns[i].categories = other->categories;
            columns[i].n_categories = other->n_categories;
        }
    }
    info->order = said->order;
    info->n_order = said->n_order;
}

static bool file_info(struct data_db *db, const char *path, struct table_info *info,
                      struct nx_err *err)
{
    struct buf sql;
    const char *text;
    struct table_info said = {0};
    buf_init(&sql);
    buf_str(&sql, "SELECT num_rows FROM parquet_file_metadata(");
    data_quote_text(&sql, path);
    buf_str(&sql, ")");
    bool ok = file_columns(db, path, info, err) &&
              data_query_int(db, buf_text(&sql), &info->n_rows, err) &&
              file_description(db, path, &text, err);
    /* A key of that name that somebody else wrote is no reason to refuse the file. */
    if (ok && text && table_info_read(text, &db->arena, &said, NULL)) {
        merge_description(info, &said);
    }
    buf_fini(&sql);
    return ok;
}

/* Small integers, floats and instants with a zone become our types; the rest stands as it is. */
static bool create_view(struct data_db *db, const char *name, const char *path,
                        const struct table_info *info, struct nx_err *err)
{
    struct buf sql;
    buf_init(&sql);
    buf_str(&sql, "CREATE VIEW ");
    data_quote_name(&sql, name);
    buf_str(&sql, " AS SELECT ");
    for (size_t i = 0; i < info->n_columns; i++) {
        buf_str(&sql, i ? ", CAST(" : "CAST(");
        data_quote_name(&sql, info->columns[i].name);
        buf_printf(&sql, " AS %s) AS ", type_sql(info->columns[i].type));
        data_quote_name(&sql, info->columns[i].name);
    }
    buf_str(&sql, " FROM read_parquet(");
    data_quote_text(&sql, path);
    buf_str(&sql, ")");
    bool ok = data_exec(db, buf_text(&sql), err);
    buf_fini(&sql);
    return ok;
}

bool data_add_table(struct data_db *db, const char *name, const char *path,
                    const struct table_info **info, struct nx_err *err)
{
    must(!db->closed && name && *name);
    struct table_info *made = arena_alloc(&db->arena, sizeof *made);
    struct stat st;
    if (stat(path, &st) != 0) {
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "table '%s': %s: %s", name,
                       path, strerror(errno));
    }
    made->n_bytes = st.st_size;
    if (!file_info(db, path, made, err) || !create_view(db, name, path, made, err)) {
        return nx_wrap(err, "table '%s' (%s)", name, path_base(path));
    }
    data_allow_file(db, path);
    if (info) {
        *info = made;
    }
    return true;
}
