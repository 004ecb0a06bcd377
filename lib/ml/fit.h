/* Fitting a model's inputs and transform on training rows: which columns become which features. */
#ifndef LIB_ML_FIT_H
#define LIB_ML_FIT_H

#include <jansson.h>

#include "lib/data/column.h"
#include "lib/ml/ml.h"
#include "lib/model/model.h"
#include "nexus/error.h"

enum ml_missing {
    ML_MISSING_AUTO, /* trees: left as it is; linear: the mean */
    ML_MISSING_ERROR,
    ML_MISSING_MEAN,
    ML_MISSING_MEDIAN,
    ML_MISSING_ZERO
};

struct ml_fit {
    enum model_family family;
    bool standardize;        /* numbers, to mean 0 and deviation 1 (of all n rows) */
    enum ml_missing missing; /* of numbers; missing text has no 1 in its one-hot columns, and for
                                trees stays missing */
    enum model_unknown unknown;
    size_t max_categories;
};

/* Sets the model's inputs, steps and features from columns of training rows. A column without any
 * value is left out with a warning; one with an infinite value, or with more than max_categories
 * different texts, is NX_E_DATA. For trees, whose features are float32, numbers above 2^24 are
 * counted from the least of the rows; integers and timestamps that even so are rounded are warned
 * of. */
bool ml_fit_inputs(struct model *model, const struct column *columns, size_t n_columns,
                   const struct ml_fit *fit, const struct ml_report *report, struct nx_err *err);

/* ---- Target ---- */

enum ml_task_wish { ML_TASK_AUTO, ML_TASK_BINARY, ML_TASK_MULTICLASS, ML_TASK_REGRESSION };

/* Sets task, target, target_type, classes and positive from the target's column (nothing missing in
 * it), by this rule where the wish is AUTO: text and bool are classes (two: binary); numbers with
 * exactly the values 0 and 1 (or integers with exactly two values) are binary; all else is
 * regression. Classes are sorted, numbers as numbers; `positive` NULL: the last of two.
 * `classifies` and `regresses` say what the algorithm can do, its name is for the message. */
bool ml_fit_target(struct model *model, const struct column *target, enum ml_task_wish wish,
                   const char *positive, const struct ml_algorithm *algorithm, struct nx_err *err);

/* The target's values as the trainers want them (ml_rows.target). A value that is no class of the
 * model is NX_E_DATA with its row. */
bool ml_target_values(const struct model *model, const struct column *target, double *values,
                      struct nx_err *err);

/* ---- reference.json ---- */

/* What the inputs and the prediction looked like in training, for drift: type, count, missing
 * share, mean, std, quantiles 0, 0.01, 0.05, 0.1 ... 0.9, 0.95, 0.99, 1; categories with counts.
 * First the inputs (a new reference), then, with the predictions, the whole text; takes it. */
json_t *ml_reference_inputs(const struct model *model, const struct model_binding *binding);
void ml_reference_write(const struct model *model, json_t *inputs,
                        const struct model_output *predictions, struct buf *text);

#endif
