#include "tasks/ml/golden.h"

#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/data/column.h"
#include "tasks/data/tables.h"

struct golden {
    const struct model *model;
    struct arena arena;
    struct column *columns;
    size_t n_columns;
    struct map names; /* in lower case */
};

/* "feature.x", or what tells it from a column that has that name. */
static const char *name_of(struct golden *g, const char *part, const char *name)
{
    const char *full = arena_printf(&g->arena, "%s%s%s", part, name ? "." : "", name ? name : "");
    for (int i = 2;; i++) {
        char *low = arena_strdup(&g->arena, full);
        for (char *c = low; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
        if (!map_get(&g->names, low)) {
            map_set(&g->names, low, g);
            return full;
        }
        full = arena_printf(&g->arena, "%s.%s_%d", part, name ? name : "", i);
    }
}

static struct column *add(struct golden *g, const char *part, const char *name,
                          enum table_type type)
{
    struct column *c = &g->columns[g->n_columns++];
    *c = (struct column){
        .name = name_of(g, part, name), .type = type, .n_rows = g->model->golden.n_rows};
    return c;
}

/* Column `i` of rows of `width` numbers. */
static void add_numbers(struct golden *g, const char *part, const char *name, const double *at,
                        size_t width, size_t i)
{
    struct column *c = add(g, part, name, TABLE_DOUBLE);
    c->as.f = arena_array(&g->arena, c->n_rows + 1, sizeof *c->as.f);
    for (size_t r = 0; r < c->n_rows; r++)
        c->as.f[r] = at[r * width + i];
}

static void add_labels(struct golden *g, const double *values, size_t width)
{
    struct column *c = add(g, "prediction", NULL, TABLE_STRING);
    c->text = g->model->classes;
    c->n_text = g->model->n_classes;
    c->as.code = arena_array(&g->arena, c->n_rows + 1, sizeof *c->as.code);
    for (size_t r = 0; r < c->n_rows; r++)
        c->as.code[r] = (int32_t)model_label(g->model, values + r * width);
}

static void add_all(struct golden *g)
{
    const struct model *m = g->model;
    size_t width = model_n_values(m);
    bool wide = m->n_inputs + m->n_features + width + 1 > GOLDEN_COLUMNS_MAX;
    g->columns =
        arena_array(&g->arena, m->n_inputs + m->n_features + width + 1, sizeof *g->columns);
    for (size_t i = 0; i < m->n_inputs; i++) {
        const struct column *from = &m->golden.inputs[i];
        struct column *c = add(g, "input", m->inputs[i].name, from->type);
        const char *name = c->name;
        *c = *from;
        c->name = name;
        if (c->type == TABLE_CATEGORY)
            c->type = TABLE_STRING;
    }
    for (size_t j = 0; !wide && j < m->n_features; j++)
        add_numbers(g, "feature", m->features[j].name, m->golden.features, m->n_features, j);
    if (m->task == MODEL_REGRESSION) {
        add_numbers(g, "prediction", NULL, m->golden.values, width, 0);
        return;
    }
    add_labels(g, m->golden.values, width);
    for (size_t k = 0; k < m->n_classes; k++)
        add_numbers(g, "probability", m->classes[k], m->golden.values, width, k);
}

bool golden_write(struct nx_ctx *ctx, const struct model *model, const char *path,
                  struct nx_err *err)
{
    struct golden g = {.model = model};
    struct data_db *db = NULL;
    struct data_order order = {.input = true};
    struct table_info info;
    struct data_write write = {.select = "select * from golden", .path = path, .order = &order};
    arena_init(&g.arena);
    map_init(&g.names);
    add_all(&g);
    bool ok = tables_open(ctx, &db, err) &&
              column_create_table(db, "golden", g.columns, g.n_columns, false, err) &&
              data_write_table(db, &write, &g.arena, &info, err);
    tables_close(ctx, db);
    map_fini(&g.names);
    arena_fini(&g.arena);
    return ok || nx_wrap(err, "golden.parquet");
}
