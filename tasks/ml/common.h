/* What the operators on models share: columns of a table for a model, targets, metrics out. */
#ifndef TASKS_ML_COMMON_H
#define TASKS_ML_COMMON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "lib/data/column.h"
#include "lib/ml/ml.h"
#include "lib/model/model.h"
#include "nexus/operator.h"

/* Some columns of a table, in memory. */
struct common_rows {
    struct column *columns;
    size_t n_columns, n_rows;
    int64_t n_dropped;             /* rows without a target */
    const struct table_info *info; /* of the table itself; lives as long as the database */
};

/* Names a table parameter as a view; says so when it is no table. */
bool common_table(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *view,
                  const struct table_info **info, struct nx_err *err);
/* Reads the named columns of a table parameter (whose view is then `view`) and only rows in which
 * `needed` (a column, or NULL) has a value. Free with common_rows_fini. */
bool common_read(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *view,
                 const char *const *names, size_t n, const char *needed, struct common_rows *rows,
                 struct nx_err *err);
void common_rows_fini(struct common_rows *rows);
const struct column *common_column(const struct common_rows *rows, const char *name);

/* The inputs of a model that the table has (what lacks is said by model_check, all at once), the
 * target when `with_target`, and n more columns. */
bool common_read_for(struct nx_ctx *ctx, struct data_db *db, const char *param, const char *view,
                     const struct model *model, bool with_target, const char *const *more, size_t n,
                     struct common_rows *rows, struct nx_err *err);

/* The model that a parameter refers to. */
bool common_model(struct nx_ctx *ctx, const char *param, struct model **model, struct nx_err *err);

/* Each metric as an output of its own name. */
bool common_output_metrics(struct nx_ctx *ctx, const json_t *metrics, struct nx_err *err);
bool common_output(struct nx_ctx *ctx, const char *name, const json_t *value, struct nx_err *err);

/* The outputs that common_output_metrics may set, for descriptors. */
#define COMMON_METRIC_PORTS \
    {"roc_auc", NX_T_FLOAT, \
     "Area under the ROC curve (several classes: mean, each against the rest)."}, \
        {"average_precision", NX_T_FLOAT, \
         "Area under precision by recall, in steps (two classes)."}, \
        {"log_loss", NX_T_FLOAT, "Mean of -ln of the true class's probability."}, \
        {"brier", NX_T_FLOAT, "Mean squared error of the probability (two classes)."}, \
        {"accuracy", NX_T_FLOAT, "Share of rows whose class is right."}, \
        {"precision", NX_T_FLOAT, "Of the positive class; several classes: mean."}, \
        {"recall", NX_T_FLOAT, "Of the positive class; several classes: mean."}, \
        {"f1", NX_T_FLOAT, "Harmonic mean of precision and recall; several classes: mean."}, \
        {"mcc", NX_T_FLOAT, "Matthews' correlation."}, \
        {"rmse", NX_T_FLOAT, "Root of the mean squared error (regression)."}, \
        {"mae", NX_T_FLOAT, "Mean absolute error (regression)."}, \
        {"r2", NX_T_FLOAT, "Share of the variance explained (regression)."}, \
        {"mape", NX_T_FLOAT, \
         "Mean absolute relative error, a share; null with a 0 in the target."}, \
    { \
        "median_ae", NX_T_FLOAT, "Median absolute error (regression)." \
    }

#endif
