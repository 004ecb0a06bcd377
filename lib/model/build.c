/* Making a model, step by step. PURE. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/model/model.h"

struct model *model_new(void)
{
    struct model *model = mem_alloc(sizeof *model);
    arena_init(&model->arena);
    return model;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    arena_fini(&model->arena);
    mem_free(model);
}

/* Room for `needed` items in an array of the arena. */
static void *grow(struct arena *arena, void *at, size_t n, size_t *cap, size_t needed, size_t size)
{
    if (needed <= *cap)
        return at;
    size_t larger = *cap * 2 > needed ? *cap * 2 : needed + 16;
    char *copy = arena_array(arena, larger, size);
    if (n > 0)
        memcpy(copy, at, n * size);
    *cap = larger;
    return copy;
}

static void add_slots(struct model *model, const char *const *names, size_t n)
{
    model->slots = grow(&model->arena, model->slots, model->n_slots, &model->slots_cap,
                        model->n_slots + n, sizeof *model->slots);
    for (size_t i = 0; i < n; i++)
        model->slots[model->n_slots++] = arena_strdup(&model->arena, names[i]);
}

void model_set_inputs(struct model *model, const struct model_input *inputs, size_t n)
{
    must(model->n_slots == 0 && n <= MODEL_INPUTS_MAX);
    model->inputs = arena_array(&model->arena, n + 1, sizeof *model->inputs);
    for (size_t i = 0; i < n; i++) {
        model->inputs[i] = inputs[i];
        add_slots(model, &inputs[i].name, 1);
    }
    model->n_inputs = n;
}

uint32_t model_add_step(struct model *model, struct model_step step, const char *const *names)
{
    must(step.in < model->n_slots);
    must(step.n_out >= 1 && (step.n_out == 1 || step.op == MODEL_ONE_HOT));
    model->steps = grow(&model->arena, model->steps, model->n_steps, &model->steps_cap,
                        model->n_steps + 1, sizeof *model->steps);
    step.out = (uint32_t)model->n_slots;
    add_slots(model, names, step.n_out);
    model->steps[model->n_steps++] = step;
    return step.out;
}

/* One value of a column into row `to` of a golden column of the input's type. */
static void keep_cell(const struct column *from, size_t row, struct column *c, size_t to)
{
    bool there = from->n_missing < from->n_rows && column_is_valid(from, row);
    if (there && c->type == TABLE_CATEGORY)
        there = from->as.code[row] >= 0;
    if (!there) {
        c->valid[0] &= ~(UINT64_C(1) << to);
        c->n_missing++;
    }
    switch (c->type) {
    case TABLE_BOOL:
        c->as.b[to] = there && from->as.b[row];
        break;
    case TABLE_DOUBLE:
        c->as.f[to] = there ? from->as.f[row] : (double)NAN;
        break;
    case TABLE_CATEGORY:
        c->as.code[to] = there ? (int32_t)to : COLUMN_MISSING;
        c->text[to] = there ? from->text[from->as.code[row]] : "";
        break;
    default:
        c->as.i[to] = there ? from->as.i[row] : 0;
    }
}

static struct column *keep_inputs(struct model *model, const struct model_binding *binding,
                                  const size_t *rows, size_t n)
{
    struct arena *arena = &model->arena;
    struct column *inputs = arena_array(arena, model->n_inputs + 1, sizeof *inputs);
    for (size_t i = 0; i < model->n_inputs; i++) {
        struct column *c = &inputs[i];
        *c = (struct column){
            .name = model->inputs[i].name, .type = model->inputs[i].type, .n_rows = n};
        c->valid = arena_alloc(arena, sizeof *c->valid);
        c->valid[0] = UINT64_MAX;
        c->as.i = arena_array(arena, MODEL_GOLDEN_ROWS, sizeof *c->as.i);
        c->text = arena_array(arena, MODEL_GOLDEN_ROWS, sizeof *c->text);
        c->n_text = c->type == TABLE_CATEGORY ? n : 0;
        for (size_t r = 0; r < n; r++)
            keep_cell(binding->column[i], rows[r], c, r);
        for (size_t r = 0; c->n_text && r < n; r++)
            c->text[r] = arena_strdup(arena, c->text[r]);
    }
    return inputs;
}

void model_pick_golden(struct model *model, const struct model_binding *binding, const size_t *rows,
                       size_t n)
{
    must(n <= MODEL_GOLDEN_ROWS);
    model->golden = (struct model_golden){.n_rows = n};
    model->golden.inputs = keep_inputs(model, binding, rows, n);
}

bool model_seal_golden(struct model *model, struct nx_err *err)
{
    struct model_golden *g = &model->golden;
    must(g->inputs != NULL);
    g->features = arena_array(&model->arena, g->n_rows * model->n_features + 1, sizeof(double));
    g->values = arena_array(&model->arena, g->n_rows * model_n_values(model) + 1, sizeof(double));
    return model_golden_run(model, g, g->features, g->values, err);
}

bool model_golden_run(const struct model *model, const struct model_golden *golden,
                      double *features, double *values, struct nx_err *err)
{
    struct model_binding binding;
    if (!model_check(model, golden->inputs, model->n_inputs, &binding, err))
        return false;
    bool ok = model_transform(model, &binding, 0, golden->n_rows, features, err);
    model_binding_fini(model, &binding);
    if (ok)
        model_values(model, features, golden->n_rows, values);
    return ok;
}

static bool same_bits(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static bool compare(const char *what, const double *is, const double *should, size_t n_rows,
                    size_t n, struct nx_err *err)
{
    for (size_t i = 0; i < n_rows * n; i++) {
        if (!same_bits(is[i], should[i]))
            return nx_fail(err, NX_E_DATA,
                           "model_golden_mismatch: golden row %zu gives %s %zu = %.17g here, %.17g "
                           "where it was trained",
                           i / n + 1, what, i % n + 1, is[i], should[i]);
    }
    return true;
}

bool model_golden_replay(const struct model *model, struct nx_err *err)
{
    const struct model_golden *g = &model->golden;
    size_t n_values = model_n_values(model);
    double *features = mem_alloc_array(g->n_rows * model->n_features + 1, sizeof *features);
    double *values = mem_alloc_array(g->n_rows * n_values + 1, sizeof *values);
    bool ok = model_golden_run(model, g, features, values, err);
    if (!ok)
        nx_wrap(err, "model_golden_mismatch");
    ok = ok && compare("feature", features, g->features, g->n_rows, model->n_features, err) &&
         compare("value", values, g->values, g->n_rows, n_values, err);
    mem_free(values);
    mem_free(features);
    return ok;
}
