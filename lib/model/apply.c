/* Columns to features to values. PURE. */
#include "lib/model/model.h"

#include <math.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"

#define CHUNK_ROWS 256
#define CHUNK_CELLS (1024u * 1024u)
#define VALUES_AT_ONCE 2048 /* of float32, on the stack; at least MODEL_CLASSES_MAX */
#define CODE_UNKNOWN (-2)
#define CODE_MISSING (-1)

static bool is_number(enum table_type type)
{
    return type == TABLE_BOOL || type == TABLE_INT64 || type == TABLE_DOUBLE;
}

static bool is_text(enum table_type type)
{
    return type == TABLE_STRING || type == TABLE_CATEGORY;
}

static bool fits(const struct model_input *input, const struct column *column)
{
    if (column->n_missing == column->n_rows)
        return true; /* nothing there, so its type says nothing */
    if (is_number(input->type))
        return is_number(column->type);
    if (is_text(input->type))
        return is_text(column->type);
    return input->type == column->type;
}

static int32_t code_of(const struct model_input *input, const char *text)
{
    size_t low = 0, high = input->n_categories;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(text, input->categories[middle]);
        if (order == 0)
            return (int32_t)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return CODE_UNKNOWN;
}

static int32_t *code_map(const struct model_input *input, const struct column *column)
{
    int32_t *map = mem_alloc_array(column->n_text + 1, sizeof *map);
    for (size_t k = 0; k < column->n_text; k++)
        map[k] = code_of(input, column->text[k]);
    return map;
}

bool model_check(const struct model *model, const struct column *columns, size_t n_columns,
                 struct model_binding *binding, struct nx_err *err)
{
    struct model_binding b = {mem_alloc_array(model->n_inputs, sizeof *b.column),
                              mem_alloc_array(model->n_inputs, sizeof *b.code)};
    struct buf wrong;
    buf_init(&wrong);
    for (size_t i = 0; i < model->n_inputs; i++) {
        const struct model_input *input = &model->inputs[i];
        for (size_t c = 0; c < n_columns && !b.column[i]; c++) {
            if (strcmp(columns[c].name, input->name) == 0)
                b.column[i] = &columns[c];
        }
        const char *comma = wrong.len > 0 ? "; " : "";
        if (!b.column[i])
            buf_printf(&wrong, "%scolumn '%s' (%s) is not there", comma, input->name,
                       table_type_name(input->type));
        else if (!fits(input, b.column[i]))
            buf_printf(&wrong, "%scolumn '%s' is %s where the model needs %s", comma, input->name,
                       table_type_name(b.column[i]->type), table_type_name(input->type));
        else if (is_text(input->type) && is_text(b.column[i]->type))
            b.code[i] = code_map(input, b.column[i]);
    }
    bool ok = wrong.len == 0;
    if (ok) {
        *binding = b;
    } else {
        model_binding_fini(model, &b);
        nx_fail(err, NX_E_DATA, "%s", buf_text(&wrong));
    }
    buf_fini(&wrong);
    return ok;
}

void model_binding_fini(const struct model *model, struct model_binding *binding)
{
    for (size_t i = 0; binding->code && i < model->n_inputs; i++)
        mem_free(binding->code[i]);
    mem_free(binding->code);
    mem_free(binding->column);
    *binding = (struct model_binding){NULL, NULL};
}

/* ---- Inputs as doubles ---- */

static bool text_value(const struct model_input *input, const struct column *column,
                       const int32_t *map, size_t row, double *v, struct nx_err *err)
{
    int32_t code = column->as.code[row];
    if (code >= 0)
        code = map[code];
    if (code == CODE_MISSING) {
        *v = NAN;
        return true;
    }
    if (code >= 0) {
        *v = code;
        return true;
    }
    if (input->unknown == MODEL_UNKNOWN_ERROR)
        return nx_fail(err, NX_E_DATA,
                       "row %zu: column '%s' has the value '%.100s', which training did not have",
                       row + 1, input->name,
                       column->as.code[row] >= 0 ? column->text[column->as.code[row]] : "?");
    *v = input->unknown == MODEL_UNKNOWN_MOST_FREQUENT ? (double)input->most_frequent : NAN;
    return true;
}

double model_number(const struct column *column, size_t row)
{
    if (!column_is_valid(column, row))
        return NAN;
    switch (column->type) {
    case TABLE_BOOL:
        return column->as.b[row];
    case TABLE_INT64:
    case TABLE_DATE:
        return (double)column->as.i[row];
    case TABLE_TIMESTAMP:
        return (double)column->as.i[row] / 1e6;
    case TABLE_DOUBLE:
        return column->as.f[row];
    default:
        return NAN; /* text is no number */
    }
}

static bool read_input(const struct model_input *input, const struct column *column,
                       const int32_t *map, size_t from, size_t n, double *to, struct nx_err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t row = from + i;
        must(row < column->n_rows);
        to[i] = map ? NAN : model_number(column, row);
        if (map && column_is_valid(column, row) &&
            !text_value(input, column, map, row, &to[i], err))
            return false;
        if (isnan(to[i]) && input->missing == MODEL_MISSING_ERROR)
            return nx_fail(err, NX_E_DATA,
                           "row %zu: column '%s' is missing, and the model does not allow that",
                           row + 1, input->name);
    }
    return true;
}

/* ---- Steps ---- */

static void run_step(const struct model_step *step, double *slots, size_t stride, size_t n)
{
    const double *in = slots + step->in * stride;
    double *out = slots + step->out * stride;
    switch (step->op) {
    case MODEL_IMPUTE:
        for (size_t i = 0; i < n; i++)
            out[i] = isnan(in[i]) ? step->value : in[i];
        break;
    case MODEL_STANDARDIZE:
        for (size_t i = 0; i < n; i++)
            out[i] = (in[i] - step->mean) / step->scale;
        break;
    case MODEL_ONE_HOT:
        memset(out, 0, step->n_out * stride * sizeof *out);
        for (size_t i = 0; i < n; i++) {
            if (in[i] >= 0 && in[i] < step->n_out)
                out[(size_t)in[i] * stride + i] = 1;
        }
        break;
    case MODEL_OPS:
        must(false);
    }
}

static size_t chunk_rows(const struct model *model, size_t n)
{
    size_t rows = model->n_slots > 0 ? CHUNK_CELLS / model->n_slots : CHUNK_ROWS;
    rows = rows > CHUNK_ROWS ? CHUNK_ROWS : rows;
    rows = rows < 1 ? 1 : rows;
    return rows < n ? rows : (n > 0 ? n : 1);
}

/* Rows to features: to `as_double` or to `as_float`, whichever is there. */
static bool transform(const struct model *model, const struct model_binding *binding, size_t from,
                      size_t n, double *as_double, float *as_float, struct nx_err *err)
{
    size_t stride = chunk_rows(model, n), n_features = model->n_features;
    double *slots = mem_alloc_array(stride * (model->n_slots + 1), sizeof *slots);
    bool ok = true;
    for (size_t done = 0; ok && done < n; done += stride) {
        size_t rows = n - done < stride ? n - done : stride;
        for (size_t i = 0; ok && i < model->n_inputs; i++)
            ok = read_input(&model->inputs[i], binding->column[i], binding->code[i], from + done,
                            rows, slots + i * stride, err);
        for (size_t s = 0; ok && s < model->n_steps; s++)
            run_step(&model->steps[s], slots, stride, rows);
        for (size_t j = 0; ok && j < n_features; j++) {
            const double *slot = slots + model->features[j].slot * stride;
            for (size_t i = 0; as_double && i < rows; i++)
                as_double[(done + i) * n_features + j] = slot[i];
            for (size_t i = 0; as_float && i < rows; i++)
                as_float[(done + i) * n_features + j] = (float)slot[i];
        }
    }
    mem_free(slots);
    return ok;
}

bool model_transform(const struct model *model, const struct model_binding *binding, size_t from,
                     size_t n, double *features, struct nx_err *err)
{
    return transform(model, binding, from, n, features, NULL, err);
}

bool model_transform_float(const struct model *model, const struct model_binding *binding,
                           size_t from, size_t n, float *features, struct nx_err *err)
{
    return transform(model, binding, from, n, NULL, features, err);
}

/* ---- Values ---- */

size_t model_n_values(const struct model *model)
{
    return model->task == MODEL_REGRESSION ? 1 : model->n_classes;
}

/* A binary model computes one probability, that of the positive class. */
static void both_classes(const struct model *model, size_t n, double *values)
{
    for (size_t i = n; i-- > 0;) {
        double p = values[i];
        values[2 * i + model->positive] = p;
        values[2 * i + 1 - model->positive] = 1 - p;
    }
}

void model_values_float(const struct model *model, const float *features, size_t n, double *values)
{
    size_t n_raw = model->trees.n_groups, n_features = model->n_features;
    float raw[VALUES_AT_ONCE];
    must(model->family == MODEL_TREES && n_raw <= VALUES_AT_ONCE);
    size_t stride = VALUES_AT_ONCE / n_raw;
    for (size_t from = 0; from < n; from += stride) {
        size_t rows = n - from < stride ? n - from : stride;
        trees_predict(&model->trees, features + from * n_features, rows, raw);
        for (size_t i = 0; i < rows * n_raw; i++)
            values[from * n_raw + i] = raw[i];
    }
    if (model->task == MODEL_BINARY)
        both_classes(model, n, values);
}

void model_values(const struct model *model, const double *features, size_t n, double *values)
{
    size_t n_features = model->n_features;
    if (model->family == MODEL_TREES) {
        float *x = mem_alloc_array(n * n_features + 1, sizeof *x);
        for (size_t i = 0; i < n * n_features; i++)
            x[i] = (float)features[i];
        model_values_float(model, x, n, values);
        mem_free(x);
        return;
    }
    linear_predict(&model->linear, features, n, values);
    if (model->task == MODEL_BINARY)
        both_classes(model, n, values);
}

uint32_t model_label(const struct model *model, const double *values)
{
    if (model->task == MODEL_BINARY)
        return (uint32_t)(values[model->positive] >= model->threshold ? model->positive
                                                                      : 1 - model->positive);
    uint32_t best = 0;
    for (uint32_t k = 1; k < model->n_classes; k++)
        best = values[k] > values[best] ? k : best;
    return best;
}

static struct model_output new_output(const struct model *model, size_t n_rows)
{
    struct model_output out = {.n_rows = n_rows, .n_values = model_n_values(model)};
    out.values = mem_alloc_array(n_rows * out.n_values + 1, sizeof *out.values);
    if (model->task != MODEL_REGRESSION)
        out.labels = mem_alloc_array(n_rows + 1, sizeof *out.labels);
    return out;
}

static void set_labels(const struct model *model, struct model_output *out)
{
    for (size_t i = 0; out->labels && i < out->n_rows; i++)
        out->labels[i] = model_label(model, out->values + i * out->n_values);
}

void model_predict_features(const struct model *model, const double *as_double,
                            const float *as_float, size_t n_rows, struct model_output *output)
{
    struct model_output out = new_output(model, n_rows);
    must(as_double || as_float);
    if (as_float)
        model_values_float(model, as_float, n_rows, out.values);
    else
        model_values(model, as_double, n_rows, out.values);
    set_labels(model, &out);
    *output = out;
}

bool model_predict(const struct model *model, const struct column *columns, size_t n_columns,
                   size_t n_rows, struct model_output *output, struct nx_err *err)
{
    struct model_binding binding;
    if (!model_check(model, columns, n_columns, &binding, err))
        return false;
    size_t stride = chunk_rows(model, n_rows);
    struct model_output out = new_output(model, n_rows);
    double *features = mem_alloc_array(stride * model->n_features + 1, sizeof *features);
    bool ok = true;
    for (size_t from = 0; ok && from < n_rows; from += stride) {
        size_t n = n_rows - from < stride ? n_rows - from : stride;
        ok = model_transform(model, &binding, from, n, features, err);
        if (ok)
            model_values(model, features, n, out.values + from * out.n_values);
    }
    mem_free(features);
    model_binding_fini(model, &binding);
    if (ok) {
        set_labels(model, &out);
        *output = out;
    } else {
        model_output_fini(&out);
    }
    return ok;
}

void model_output_fini(struct model_output *output)
{
    mem_free(output->values);
    mem_free(output->labels);
    *output = (struct model_output){0};
}
