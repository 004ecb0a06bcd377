/* Rows as XGBoost's matrices. */
#ifndef LIB_ML_MATRIX_H
#define LIB_ML_MATRIX_H

#include "lib/ml/ml.h"
#include "lib/ml/xgboost.h"

/* A plain matrix of the first n_rows (a copy, 8 bytes a number): for predictions. */
bool matrix_plain(const struct xgb *xgb, const struct ml_problem *problem,
                  const struct ml_rows *rows, size_t n_rows, DMatrixHandle *matrix,
                  struct nx_err *err);
/* Bins only (1 or 2 bytes a number), for training with the tree method hist and the same max_bins:
 * the trees are those of a plain matrix, bit for bit. */
bool matrix_of_bins(const struct xgb *xgb, const struct ml_problem *problem,
                    const struct ml_rows *rows, int64_t max_bins, DMatrixHandle *matrix,
                    struct nx_err *err);

#endif
