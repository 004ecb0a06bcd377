/* The algorithms and their parameters: one table says names, types, defaults, bounds and help; what
 * a user gives is checked against it. */
#ifndef LIB_ML_PARAMS_H
#define LIB_ML_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "nexus/error.h"
#include "nexus/operator.h"

#define ML_PARAMS_MAX 32

enum ml_kind { ML_BOOST, ML_LOGISTIC, ML_LEAST_SQUARES };

struct ml_algorithm {
    const char *name;
    enum ml_kind kind;
    bool classifies, regresses;
    const struct nx_param *params; /* ends with a NULL name */
};

/* The algorithm of that name, or NULL with a message that lists them and the nearest. */
const struct ml_algorithm *ml_algorithm_find(const char *name, struct nx_err *err);
/* "gradient_boosting|linear_regression|logistic_regression". */
#define ML_ALGORITHMS "gradient_boosting|logistic_regression|linear_regression"

/* The parameters of each algorithm, for the descriptor of who has a parameter `algorithm`. */
extern const struct nx_members ml_params_members[];

/* Values by the index in the algorithm's table. */
struct ml_params {
    const struct ml_algorithm *algorithm;
    double value[ML_PARAMS_MAX];
    bool given[ML_PARAMS_MAX];
};

/* Reads a JSON object; "null" and "{}" give the defaults. All mistakes at once: unknown names with
 * the nearest, wrong types, values out of bounds. */
bool ml_params_read(const struct ml_algorithm *algorithm, const char *json,
                    struct ml_params *params, struct nx_err *err);
/* By name, which must exist. */
double ml_param(const struct ml_params *params, const char *name);
bool ml_param_given(const struct ml_params *params, const char *name);
/* The chosen text of one with choices. */
void ml_param_choice(const struct ml_params *params, const char *name, char *to, size_t size);
/* All values as a JSON object; what the algorithm chooses is null. */
void ml_params_write(const struct ml_params *params, struct buf *text);

#endif
