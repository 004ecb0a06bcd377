/* reference.json: what later data is compared with. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/mem.h"
#include "lib/ml/fit.h"
#include "lib/stat/stat.h"

/* Of the first n values of v, which is sorted on the way. */
static json_t *of_numbers(const char *type, double *v, size_t n, size_t n_rows)
{
    static const double at[] = {0,   0.01, 0.05, 0.1, 0.2,  0.3,  0.4, 0.5,
                                0.6, 0.7,  0.8,  0.9, 0.95, 0.99, 1};
    json_t *o =
        json_pack("{s:s, s:I, s:f}", "type", type, "count", (json_int_t)n_rows, "missing_share",
                  n_rows > 0 ? (double)(n_rows - n) / (double)n_rows : 0.0);
    if (n == 0)
        return o;
    stat_sort(v, n);
    json_object_set_new(o, "mean", json_real(stat_mean(v, n)));
    json_object_set_new(o, "std", json_real(sqrt(stat_variance(v, n))));
    json_t *quantiles = json_array();
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
        json_array_append_new(quantiles, json_pack("[f, f]", at[i], stat_quantile(v, n, at[i])));
    json_object_set_new(o, "quantiles", quantiles);
    return o;
}

static json_t *of_counts(const char *type, const char *const *names, const uint64_t *counts,
                         size_t n, size_t n_missing, size_t n_rows)
{
    json_t *categories = json_object();
    for (size_t k = 0; k < n; k++)
        json_object_set_new(categories, names[k], json_integer((json_int_t)counts[k]));
    return json_pack("{s:s, s:I, s:f, s:o}", "type", type, "count", (json_int_t)n_rows,
                     "missing_share", n_rows > 0 ? (double)n_missing / (double)n_rows : 0.0,
                     "categories", categories);
}

static json_t *of_input(const struct model_input *input, const struct column *c, const int32_t *map)
{
    const char *type = table_type_name(input->type);
    if (map) {
        uint64_t *counts = mem_alloc_array(input->n_categories + 1, sizeof *counts);
        size_t missing = 0;
        for (size_t i = 0; i < c->n_rows; i++) {
            int32_t code = column_is_valid(c, i) ? c->as.code[i] : COLUMN_MISSING;
            code = code >= 0 ? map[code] : code;
            if (code >= 0)
                counts[code]++;
            else
                missing++;
        }
        json_t *o =
            of_counts(type, input->categories, counts, input->n_categories, missing, c->n_rows);
        mem_free(counts);
        return o;
    }
    double *v = mem_alloc_array(c->n_rows + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < c->n_rows; i++) {
        double x = model_number(c, i);
        if (isfinite(x))
            v[n++] = x;
    }
    json_t *o = of_numbers(type, v, n, c->n_rows);
    mem_free(v);
    return o;
}

static json_t *of_values(const struct model_output *p, size_t column)
{
    double *v = mem_alloc_array(p->n_rows + 1, sizeof *v);
    for (size_t i = 0; i < p->n_rows; i++)
        v[i] = p->values[i * p->n_values + column];
    json_t *o = of_numbers("double", v, p->n_rows, p->n_rows);
    mem_free(v);
    return o;
}

static json_t *of_predictions(const struct model *model, const struct model_output *p)
{
    if (!p->labels)
        return of_values(p, 0);
    uint64_t *counts = mem_alloc_array(model->n_classes, sizeof *counts);
    for (size_t i = 0; i < p->n_rows; i++)
        counts[p->labels[i]]++;
    json_t *o = of_counts("category", (const char *const *)model->classes, counts, model->n_classes,
                          0, p->n_rows);
    json_t *probability = json_object();
    for (size_t k = 0; k < model->n_classes; k++)
        json_object_set_new(probability, model->classes[k], of_values(p, k));
    json_object_set_new(o, "probability", probability);
    mem_free(counts);
    return o;
}

json_t *ml_reference_inputs(const struct model *model, const struct model_binding *binding)
{
    json_t *inputs = json_object();
    for (size_t i = 0; i < model->n_inputs; i++)
        json_object_set_new(inputs, model->inputs[i].name,
                            of_input(&model->inputs[i], binding->column[i], binding->code[i]));
    return inputs;
}

void ml_reference_write(const struct model *model, json_t *inputs,
                        const struct model_output *predictions, struct buf *text)
{
    json_t *root = json_pack("{s:i, s:o, s:o}", "format", 1, "inputs", inputs, "prediction",
                             of_predictions(model, predictions));
    char *s = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    buf_str(text, s);
    buf_char(text, '\n');
    free(s);
    json_decref(root);
}
