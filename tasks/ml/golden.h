/* golden.parquet: a model's golden rows as a table that any program reads. nexus.json has them as
 * well, for model_open. */
#ifndef TASKS_ML_GOLDEN_H
#define TASKS_ML_GOLDEN_H

#include "lib/model/model.h"
#include "nexus/operator.h"

#define GOLDEN_COLUMNS_MAX 2000

/* One row for each golden row of a sealed model: the inputs as `input.<name>`, what the transform
 * makes of them as `feature.<name>`, the answer as `prediction` (the number, or the class as text)
 * and for classes `probability.<class>`. Names that differ in case only get _2, _3 ... Beyond
 * GOLDEN_COLUMNS_MAX columns the features are left out. */
bool golden_write(struct nx_ctx *ctx, const struct model *model, const char *path,
                  struct nx_err *err);

#endif
