/* Files to a table. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"
#include "lib/data/source.h"

#define ATTEMPTS_MAX 4 /* one each for care and wider types, of sample and load */

static bool put_select(const struct source *source, const struct source_pick *pick, struct buf *sql,
                       struct nx_err *err)
{
    buf_str(sql, pick->n_columns ? "SELECT " : "SELECT *");
    for (size_t i = 0; i < pick->n_columns; i++) {
        if (!schema_find(&source->schema, pick->columns[i])) {
            return nx_fail(err, NX_E_INVALID, "`select` names '%s', which the files do not have",
                           pick->columns[i]);
        }
        buf_str(sql, i ? ", " : "");
        data_quote_name(sql, pick->columns[i]);
    }
    buf_str(sql, " FROM (");
    source_select(source, sql);
    buf_str(sql, ")");
    if (pick->where) {
        buf_str(sql, " WHERE (\n");
        buf_add(sql, pick->where, sqltext_end(pick->where));
        buf_str(sql, "\n)");
    }
    if (pick->limit) {
        buf_printf(sql, " LIMIT %" PRId64, pick->limit);
    }
    return true;
}

static bool write_once(struct source *source, const struct source_pick *pick, const char *path,
                       struct table_info *info, struct nx_err *err)
{
    struct buf sql;
    struct data_order order = {.input = true};
    size_t n = source->schema.n_columns, n_categories = 0;
    struct table_column *categories = mem_alloc_array(n + 1, sizeof *categories);
    for (size_t i = 0; i < n; i++) {
        const struct schema_column *column = &source->schema.columns[i];
        bool wanted = pick->n_columns == 0;
        for (size_t k = 0; k < pick->n_columns; k++) {
            wanted = wanted || strcmp(pick->columns[k], column->name) == 0;
        }
        if (wanted && column->type == TABLE_CATEGORY) {
            categories[n_categories++].name = column->name;
        }
    }
    buf_init(&sql);
    bool ok = put_select(source, pick, &sql, err);
    struct data_write write = {
        .select = buf_text(&sql),
        .values = pick->values,
        .n_values = pick->n_values,
        .path = path,
        .order = &order,
        .categories = categories,
        .n_categories = n_categories,
        .scan = !pick->where && !pick->limit,
    };
    ok = ok && data_write_table(source->db, &write, source->arena, info, err);
    buf_fini(&sql);
    mem_free(categories);
    return ok;
}

bool source_write(struct source *source, const struct source_pick *pick, const char *path,
                  struct table_info *info, struct nx_err *err)
{
    must(source->schema.n_columns > 0);
    bool typed = false;
    for (int i = 0;; i++) {
        source->db->misfit.there = false;
        typed = typed || source_infer(source, err);
        if (typed && write_once(source, pick, path, info, err)) {
            return true;
        }
        if (i == ATTEMPTS_MAX || !source_recover(source, err)) {
            return false;
        }
    }
}
