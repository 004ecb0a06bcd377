/* How good predictions are, as JSON objects of named metrics, and what a model must beat. */
#ifndef LIB_ML_MEASURE_H
#define LIB_ML_MEASURE_H

#include <jansson.h>

#include "lib/ml/ml.h"
#include "lib/model/model.h"

/* Metrics of predictions against the target (values as of ml_target_values); null where one is not
 * defined on these rows.
 *   binary: roc_auc average_precision log_loss brier accuracy precision recall f1 mcc
 *   multiclass: roc_auc (mean of one against the rest) log_loss accuracy, precision recall f1
 * (macro), precision_weighted recall_weighted f1_weighted, mcc regression: rmse mae r2 mape
 * median_ae and always: rows. A new reference. */
json_t *ml_measure(const struct model *model, const struct model_output *predictions,
                   const double *target);
/* {"classes": [...], "counts": [[...], ...]}: a row for each true class, a column for each
 * predicted one; null for regression. */
json_t *ml_confusion(const struct model *model, const struct model_output *predictions,
                     const double *target);

/* Whether a larger value of the metric is better; false also for names that are none (*known). */
bool ml_metric_grows(const char *name, bool *known);
/* The metric that decides between two models of that task. */
const char *ml_metric_of_task(enum model_task task);

/* What the training rows alone say: {"kind": "prior", "classes": {class: share}} or {"kind":
 * "mean", "value": mean}. */
json_t *ml_baseline(const struct model *model, const struct ml_rows *rows);
/* The predictions of such a baseline for n rows. kind: "prior" (each class's share), "majority"
 * (the commonest class with certainty), "mean". Free with model_output_fini. */
bool ml_baseline_predict(const struct model *model, const char *kind, size_t n_rows,
                         struct model_output *output, struct nx_err *err);

#endif
