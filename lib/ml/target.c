/* The target: what it says the task is, its classes, its values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/ml/fit.h"
#include "lib/stat/stat.h"

static bool is_text(const struct column *c)
{
    return c->type == TABLE_STRING || c->type == TABLE_CATEGORY;
}

/* Integers as they are, doubles as short as they read back. */
static void number_text(const struct column *c, double v, char *to, size_t size)
{
    if (c->type == TABLE_BOOL) {
        snprintf(to, size, "%s", v != 0 ? "true" : "false");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        snprintf(to, size, "%.*g", digits, v);
        if (str_parse_double(to, &back) && back == v)
            return;
    }
}

/* Up to `max` + 1 different numbers, ascending; returns how many. */
static size_t different_numbers(const struct column *c, double *found, size_t max)
{
    double *v = mem_alloc_array(c->n_rows + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < c->n_rows; i++)
        v[i] = model_number(c, i);
    stat_sort(v, c->n_rows);
    for (size_t i = 0; i < c->n_rows && n <= max; i++) {
        if (i == 0 || v[i] != v[i - 1])
            found[n++] = v[i] == 0 ? 0 : v[i];
    }
    mem_free(v);
    return n;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The classes as sorted text; NULL when there are too many. */
static const char **classes_of(struct model *model, const struct column *c, size_t *n)
{
    const char **classes = arena_array(&model->arena, MODEL_CLASSES_MAX + 1, sizeof *classes);
    *n = 0;
    if (!is_text(c)) {
        double found[MODEL_CLASSES_MAX + 1];
        char text[40];
        size_t count = different_numbers(c, found, MODEL_CLASSES_MAX);
        for (; *n < count && *n <= MODEL_CLASSES_MAX; (*n)++) {
            number_text(c, found[*n], text, sizeof text);
            classes[*n] = arena_strdup(&model->arena, text);
        }
        return classes;
    }
    bool *there = mem_alloc_array(c->n_text + 1, sizeof *there);
    for (size_t i = 0; i < c->n_rows; i++) {
        if (c->as.code[i] >= 0)
            there[c->as.code[i]] = true;
    }
    for (size_t k = 0; k < c->n_text && *n <= MODEL_CLASSES_MAX; k++) {
        if (there[k])
            classes[(*n)++] = arena_strdup(&model->arena, c->text[k]);
    }
    mem_free(there);
    if (*n <= MODEL_CLASSES_MAX)
        qsort(classes, *n, sizeof *classes, by_bytes);
    return classes;
}

static enum ml_task_wish guess(const struct column *c, const struct ml_algorithm *algorithm)
{
    double found[4];
    if (!algorithm->classifies)
        return ML_TASK_REGRESSION;
    if (is_text(c) || c->type == TABLE_BOOL || !algorithm->regresses)
        return ML_TASK_AUTO;
    size_t n = different_numbers(c, found, 2);
    bool zero_one = n == 2 && found[0] == 0 && found[1] == 1;
    return n == 2 && (zero_one || c->type == TABLE_INT64) ? ML_TASK_BINARY : ML_TASK_REGRESSION;
}

/* Measurements rather than names of classes: more than two, and with fractions. */
static bool is_measured(const struct column *c)
{
    double found[4];
    bool fraction = false;
    for (size_t i = 0; c->type == TABLE_DOUBLE && i < c->n_rows && !fraction; i++)
        fraction = model_number(c, i) != floor(model_number(c, i));
    return fraction && different_numbers(c, found, 2) > 2;
}

static bool set_positive(struct model *model, const char *positive, struct nx_err *err)
{
    if (model->task != MODEL_BINARY) {
        if (positive)
            return nx_fail(err, NX_E_INVALID, "`positive` is for two classes, '%s' has %zu",
                           model->target, model->n_classes);
        return true;
    }
    model->positive = 1;
    model->threshold = 0.5;
    if (!positive)
        return true;
    for (size_t k = 0; k < 2; k++) {
        if (strcmp(model->classes[k], positive) == 0) {
            model->positive = k;
            return true;
        }
    }
    return nx_fail(err, NX_E_INVALID, "positive '%s' is no class of '%s', which has '%s' and '%s'",
                   positive, model->target, model->classes[0], model->classes[1]);
}

static bool set_classes(struct model *model, const struct column *target, enum ml_task_wish wish,
                        struct nx_err *err)
{
    size_t n = 0;
    model->classes = classes_of(model, target, &n);
    model->n_classes = n;
    if (n > MODEL_CLASSES_MAX)
        return nx_fail(err, NX_E_DATA, "target '%s' has more than %d classes", target->name,
                       MODEL_CLASSES_MAX);
    if (n < 2)
        return nx_fail(err, NX_E_DATA,
                       "target '%s' has one class only ('%s') in the %zu training rows: there is "
                       "nothing to tell apart",
                       target->name, n == 1 ? model->classes[0] : "", target->n_rows);
    if (wish == ML_TASK_BINARY && n != 2)
        return nx_fail(err, NX_E_DATA, "task binary, but target '%s' has %zu classes", target->name,
                       n);
    model->task = n == 2 && wish != ML_TASK_MULTICLASS ? MODEL_BINARY : MODEL_MULTICLASS;
    return true;
}

bool ml_fit_target(struct model *model, const struct column *target, enum ml_task_wish wish,
                   const char *positive, const struct ml_algorithm *algorithm, struct nx_err *err)
{
    if (target->n_rows == 0)
        return nx_fail(err, NX_E_DATA, "there are no rows with a value of '%s' to train on",
                       target->name);
    must(target->n_missing == 0);
    model->target = arena_strdup(&model->arena, target->name);
    model->target_type = target->type == TABLE_STRING ? TABLE_CATEGORY : target->type;
    if (wish == ML_TASK_AUTO && !algorithm->regresses && is_measured(target))
        return nx_fail(err, NX_E_DATA,
                       "target '%s' holds numbers with fractions, and %s learns classes: take "
                       "linear_regression or gradient_boosting, or say `task: multiclass`",
                       target->name, algorithm->name);
    if (wish == ML_TASK_AUTO)
        wish = guess(target, algorithm);
    if (wish == ML_TASK_REGRESSION ? !algorithm->regresses : !algorithm->classifies)
        return nx_fail(err, NX_E_INVALID, "%s does no %s; for that there is %s", algorithm->name,
                       wish == ML_TASK_REGRESSION ? "regression" : "classification",
                       wish == ML_TASK_REGRESSION ? "gradient_boosting or linear_regression"
                                                  : "gradient_boosting or logistic_regression");
    if (wish == ML_TASK_REGRESSION) {
        model->task = MODEL_REGRESSION;
        if (is_text(target) || target->type == TABLE_DATE || target->type == TABLE_TIMESTAMP)
            return nx_fail(err, NX_E_DATA, "target '%s' is %s, and regression needs numbers",
                           target->name, table_type_name(target->type));
        return set_positive(model, positive, err);
    }
    return set_classes(model, target, wish, err) && set_positive(model, positive, err);
}

static bool class_of(const struct model *model, const char *text, size_t *index)
{
    for (size_t k = 0; k < model->n_classes; k++) {
        if (strcmp(model->classes[k], text) == 0) {
            *index = k;
            return true;
        }
    }
    return false;
}

bool ml_target_values(const struct model *model, const struct column *target, double *values,
                      struct nx_err *err)
{
    double last = NAN;
    size_t k = 0;
    for (size_t i = 0; i < target->n_rows; i++) {
        char text[40] = "";
        double v = is_text(target) ? target->as.code[i] : model_number(target, i);
        if (model->task == MODEL_REGRESSION) {
            if (is_text(target) || !isfinite(v))
                return nx_fail(err, NX_E_DATA, "row %zu: target '%s' is no finite number", i + 1,
                               target->name);
            values[i] = v;
            continue;
        }
        if (v != last) {
            const char *name = is_text(target) && v >= 0 ? target->text[(size_t)v] : text;
            if (!is_text(target))
                number_text(target, v, text, sizeof text);
            if (!class_of(model, name, &k))
                return nx_fail(err, NX_E_DATA,
                               "row %zu: target '%s' is '%.100s', which is no class of the model",
                               i + 1, target->name, name);
            last = v;
        }
        values[i] = model->task == MODEL_BINARY ? k == model->positive : (double)k;
    }
    return true;
}
