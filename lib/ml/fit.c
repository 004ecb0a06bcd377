#include "lib/ml/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/stat/stat.h"

#define FLOAT_EXACT_MAX 16777216 /* 2^24: float32 holds every integer up to here */

static bool is_text(const struct column *c)
{
    return c->type == TABLE_STRING || c->type == TABLE_CATEGORY;
}

static void warn(const struct ml_report *report, const char *text)
{
    if (report->warn)
        report->warn(report->arg, text);
}

/* ---- Text ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different texts that occur, sorted; the most frequent of them. */
static bool fit_text(struct model *model, const struct column *c, const struct ml_fit *fit,
                     struct model_input *input, struct nx_err *err)
{
    uint64_t *count = mem_alloc_array(c->n_text + 1, sizeof *count);
    size_t n = 0;
    for (size_t i = 0; i < c->n_rows; i++) {
        if (column_is_valid(c, i) && c->as.code[i] >= 0)
            count[c->as.code[i]]++;
    }
    const char **names = arena_array(&model->arena, c->n_text + 1, sizeof *names);
    for (size_t k = 0; k < c->n_text; k++) {
        if (count[k] > 0)
            names[n++] = arena_strdup(&model->arena, c->text[k]);
    }
    bool ok = n <= fit->max_categories;
    if (ok) {
        uint64_t most = 0;
        qsort(names, n, sizeof *names, by_bytes);
        input->categories = names;
        input->n_categories = n;
        for (size_t k = 0; k < c->n_text; k++) {
            const char *name = c->text[k];
            const char **at = bsearch(&name, names, n, sizeof *names, by_bytes);
            if (count[k] > most ||
                (count[k] == most && most > 0 && (size_t)(at - names) < input->most_frequent)) {
                most = count[k];
                input->most_frequent = (uint32_t)(at - names);
            }
        }
    } else {
        nx_fail(err, NX_E_DATA,
                "column '%s' has %zu different texts in %zu rows (an identifier?): put it into "
                "`exclude`, or raise max_categories (now %zu)",
                c->name, n, c->n_rows, fit->max_categories);
    }
    mem_free(count);
    return ok;
}

static uint32_t add_one_hot(struct model *model, uint32_t slot, const struct model_input *input)
{
    const char **names = mem_alloc_array(input->n_categories, sizeof *names);
    for (size_t k = 0; k < input->n_categories; k++)
        names[k] = arena_printf(&model->arena, "%s=%s", input->name, input->categories[k]);
    struct model_step step = {.op = MODEL_ONE_HOT, .in = slot};
    step.n_out = (uint32_t)input->n_categories;
    uint32_t first = model_add_step(model, step, names);
    mem_free(names);
    return first;
}

/* ---- Numbers ---- */

/* The values that are there; how many. None may be infinite. */
static bool numbers_of(const struct column *c, double *v, size_t *n, struct nx_err *err)
{
    *n = 0;
    for (size_t i = 0; i < c->n_rows; i++) {
        double x = model_number(c, i);
        if (isnan(x))
            continue;
        if (isinf(x))
            return nx_fail(err, NX_E_DATA,
                           "row %zu: column '%s' is infinite; make it missing, or exclude the "
                           "column",
                           i + 1, c->name);
        v[(*n)++] = x;
    }
    return true;
}

static double filler(enum ml_missing missing, double *v, size_t n)
{
    switch (missing) {
    case ML_MISSING_ZERO:
        return 0;
    case ML_MISSING_MEDIAN:
        stat_sort(v, n);
        return stat_quantile(v, n, 0.5);
    default:
        return stat_mean(v, n);
    }
}

/* Trees see float32. Values that are far from 0 and near to each other (times, numbers of years of
 * orders) are counted from the least of them, which is subtracted in double. */
static uint32_t add_origin(struct model *model, uint32_t slot, const struct column *c,
                           const double *v, size_t n, const struct ml_report *report)
{
    double least = n > 0 ? v[0] : 0, most = least;
    for (size_t i = 0; i < n; i++) {
        least = v[i] < least ? v[i] : least;
        most = v[i] > most ? v[i] : most;
    }
    double far = fabs(least) > fabs(most) ? fabs(least) : fabs(most), span = most - least;
    if (far <= FLOAT_EXACT_MAX)
        return slot;
    bool counts = c->type == TABLE_INT64 || c->type == TABLE_TIMESTAMP;
    if (counts && span > FLOAT_EXACT_MAX) {
        char text[320];
        snprintf(
            text, sizeof text,
            "column '%.100s' spans %.0f%s, above 2^24, so that trees see its values rounded to "
            "float32 (the largest to %.0f)",
            c->name, span, c->type == TABLE_TIMESTAMP ? " seconds" : "",
            ldexp(1, ilogb(span < far ? span : far) - 23));
        warn(report, text);
    }
    if (!(span < far))
        return slot;
    struct model_step step = {
        .op = MODEL_STANDARDIZE, .in = slot, .n_out = 1, .mean = least, .scale = 1};
    return model_add_step(model, step, &c->name);
}

/* Mean and deviation, also of numbers whose squares are too large for a double. */
static void measure_column(double *v, size_t n, double *mean, double *deviation)
{
    double unit = 1;
    for (size_t i = 0; i < n; i++)
        unit = fmax(unit, fabs(v[i]));
    unit = unit > 1e100 ? unit : 1;
    for (size_t i = 0; unit > 1 && i < n; i++)
        v[i] /= unit;
    *mean = stat_mean(v, n) * unit;
    *deviation = sqrt(stat_variance(v, n)) * unit;
}

/* The steps of a number; returns the slot of the feature. */
static uint32_t add_number(struct model *model, uint32_t slot, const struct column *c,
                           const struct ml_fit *fit, double *v, size_t n)
{
    const char *name = c->name;
    enum ml_missing missing = fit->missing;
    if (missing == ML_MISSING_AUTO && fit->family == MODEL_LINEAR)
        missing = ML_MISSING_MEAN;
    double value = 0, mean = 0, deviation = 1;
    bool fills = missing != ML_MISSING_AUTO && missing != ML_MISSING_ERROR;
    if (fills)
        value = filler(missing, v, n);
    if (fit->standardize) {
        for (size_t i = n; fills && i < c->n_rows; i++)
            v[i] = value;
        size_t all = fills ? c->n_rows : n;
        measure_column(v, all, &mean, &deviation);
    }
    if (fills) {
        struct model_step step = {.op = MODEL_IMPUTE, .in = slot, .n_out = 1, .value = value};
        slot = model_add_step(model, step, &name);
    }
    if (fit->standardize) {
        struct model_step step = {.op = MODEL_STANDARDIZE, .in = slot, .n_out = 1, .mean = mean};
        step.scale = deviation > 0 ? deviation : 1;
        slot = model_add_step(model, step, &name);
    }
    return slot;
}

/* ---- All inputs ---- */

static bool fit_one(struct model *model, size_t i, const struct column *c, const struct ml_fit *fit,
                    const struct ml_report *report, struct nx_err *err)
{
    struct model_input *input = &model->inputs[i];
    uint32_t slot = (uint32_t)i;
    size_t n = 0;
    if (is_text(c)) {
        if (fit->family == MODEL_TREES) {
            model->features[model->n_features++] =
                (struct model_feature){input->name, slot, (uint32_t)input->n_categories};
            return true;
        }
        slot = add_one_hot(model, slot, input);
        for (size_t k = 0; k < input->n_categories; k++) {
            struct model_feature f = {model->slots[slot + k], slot + (uint32_t)k, 0};
            model->features[model->n_features++] = f;
        }
        return true;
    }
    double *v = mem_alloc_array(c->n_rows + 1, sizeof *v);
    bool ok = numbers_of(c, v, &n, err);
    if (ok) {
        slot = add_number(model, slot, c, fit, v, n);
        if (fit->family == MODEL_TREES)
            slot = add_origin(model, slot, c, v, n, report);
        model->features[model->n_features++] = (struct model_feature){input->name, slot, 0};
    }
    mem_free(v);
    return ok;
}

/* The columns that have values, as inputs; `kept` gets them. */
static bool choose(struct model *model, const struct column *columns, size_t n_columns,
                   const struct ml_fit *fit, const struct ml_report *report,
                   const struct column **kept, struct model_input *inputs, size_t *n,
                   struct nx_err *err)
{
    for (size_t j = 0; j < n_columns; j++) {
        const struct column *c = &columns[j];
        struct model_input input = {.name = arena_strdup(&model->arena, c->name),
                                    .type = is_text(c) ? TABLE_CATEGORY : c->type};
        if (c->n_missing == c->n_rows) {
            char text[256];
            snprintf(text, sizeof text, "column '%.100s' has no value at all and is left out",
                     c->name);
            warn(report, text);
            continue;
        }
        if (c->type == TABLE_DOUBLES)
            return nx_fail(err, NX_E_DATA, "column '%s' is a list of doubles: exclude it", c->name);
        if (fit->missing == ML_MISSING_ERROR)
            input.missing = MODEL_MISSING_ERROR;
        input.unknown = fit->unknown;
        if (is_text(c) && !fit_text(model, c, fit, &input, err))
            return false;
        kept[*n] = c;
        inputs[(*n)++] = input;
    }
    return true;
}

bool ml_fit_inputs(struct model *model, const struct column *columns, size_t n_columns,
                   const struct ml_fit *fit, const struct ml_report *report, struct nx_err *err)
{
    const struct column **kept = mem_alloc_array(n_columns + 1, sizeof *kept);
    struct model_input *inputs = mem_alloc_array(n_columns + 1, sizeof *inputs);
    size_t n = 0, most = 0;
    bool ok = n_columns <= MODEL_INPUTS_MAX;
    if (!ok)
        nx_fail(err, NX_E_LIMIT, "%zu features; at most %d", n_columns, MODEL_INPUTS_MAX);
    ok = ok && choose(model, columns, n_columns, fit, report, kept, inputs, &n, err);
    if (ok && n == 0)
        ok = nx_fail(err, NX_E_DATA, "no feature is left: no column but the target has a value");
    for (size_t i = 0; i < n; i++)
        most += inputs[i].type == TABLE_CATEGORY ? inputs[i].n_categories : 1;
    if (ok && most > MODEL_SLOTS_MAX / 4)
        ok = nx_fail(err, NX_E_LIMIT, "%zu features; at most %d", most, MODEL_SLOTS_MAX / 4);
    if (ok) {
        model->family = fit->family;
        model_set_inputs(model, inputs, n);
        model->features = arena_array(&model->arena, most + 1, sizeof *model->features);
    }
    for (size_t i = 0; ok && i < n; i++)
        ok = fit_one(model, i, kept[i], fit, report, err);
    mem_free(inputs);
    mem_free(kept);
    return ok;
}
