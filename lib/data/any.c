/* Views over files that are no tables of ours. */
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/data/internal.h"

#define TYPE_SHOWN 60 /* bytes of an SQL type; that of a STRUCT has no end */

struct found {
    struct data_any_column shown;
    const char *sql_type; /* that it is cast to */
};

struct any {
    struct data_db *db;
    VEC(struct found) columns;
};

static void take_column(struct any *any, struct data_text name, struct data_text sql_type)
{
    struct arena *arena = &any->db->arena;
    const char *type = arena_strndup(arena, sql_type.at, sql_type.n);
    struct found found = {.shown.name = arena_strndup(arena, name.at, name.n)};
    enum table_type ours;
    if (type_find_sql(type, &ours)) {
        found.sql_type = type_sql(ours);
        found.shown.type = table_type_name(ours);
        found.shown.is_list = ours == TABLE_DOUBLES;
    } else {
        found.sql_type = type_sql(TABLE_STRING);
        found.shown.type =
            sql_type.n <= TYPE_SHOWN ? type : arena_printf(arena, "%.*s...", TYPE_SHOWN, type);
    }
    vec_push(&any->columns, found);
}

static bool find_columns(struct any *any, const char *from, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    buf_init(&sql);
    buf_printf(&sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s)", from);
    bool ok = data_query(any->db, buf_text(&sql), NULL, 0, &result, err);
    while (ok && (ok = data_next(result, &batch, err)) && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            take_column(any, batch->columns[0].as.text[i], batch->columns[1].as.text[i]);
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}

static bool create_view(const struct any *any, const char *name, const char *from,
                        struct nx_err *err)
{
    struct buf sql;
    buf_init(&sql);
    buf_str(&sql, "CREATE VIEW ");
    data_quote_name(&sql, name);
    buf_str(&sql, " AS SELECT ");
    for (size_t i = 0; i < any->columns.n; i++) {
        buf_str(&sql, i ? ", CAST(" : "CAST(");
        data_quote_name(&sql, any->columns.at[i].shown.name);
        buf_printf(&sql, " AS %s) AS ", any->columns.at[i].sql_type);
        data_quote_name(&sql, any->columns.at[i].shown.name);
    }
    buf_printf(&sql, " FROM %s", from);
    bool ok = data_exec(any->db, buf_text(&sql), err);
    buf_fini(&sql);
    return ok;
}

bool data_add_any(struct data_db *db, const char *name, const char *from,
                  const struct data_any_column **columns, size_t *n_columns, struct nx_err *err)
{
    must(!db->closed && name && *name);
    struct any any = {.db = db};
    bool ok = find_columns(&any, from, err) && create_view(&any, name, from, err);
    if (ok) {
        struct data_any_column *made = arena_array(&db->arena, any.columns.n + 1, sizeof *made);
        for (size_t i = 0; i < any.columns.n; i++) {
            made[i] = any.columns.at[i].shown;
        }
        *columns = made;
        *n_columns = any.columns.n;
    }
    vec_fini(&any.columns);
    return ok;
}
