/* The algorithms and their parameters: one table says names, types, defaults, bounds and help; what
 * a user gives is checked against it. */
#ifndef LIB_ML_PARAMS_H
#define LIB_ML_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

#define ML_PARAMS_MAX 32

enum ml_param_kind { ML_INT, ML_FLOAT, ML_BOOL, ML_CHOICE };

struct ml_param {
    const char *name;
    enum ml_param_kind kind;
    double fallback; /* ML_CHOICE: index; NAN: the algorithm chooses */
    double min, max;
    bool open_min;       /* min itself is not allowed */
    const char *choices; /* ML_CHOICE: "a|b" */
    const char *also;    /* what other programs call it: "eta|lr", for the hint; or NULL */
    const char *xgboost; /* its name there when it is passed on as it is, or NULL */
    const char *help;
};

enum ml_kind { ML_BOOST, ML_LOGISTIC, ML_LEAST_SQUARES };

struct ml_algorithm {
    const char *name;
    enum ml_kind kind;
    bool classifies, regresses;
    const struct ml_param *params; /* ends with a NULL name */
};

/* The algorithm of that name, or NULL with a message that lists them and the nearest. */
const struct ml_algorithm *ml_algorithm_find(const char *name, struct nx_err *err);
/* "gradient_boosting|linear_regression|logistic_regression". */
#define ML_ALGORITHMS "gradient_boosting|logistic_regression|linear_regression"

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
/* The chosen text of an ML_CHOICE. */
void ml_param_choice(const struct ml_params *params, const char *name, char *to, size_t size);
/* All values as a JSON object; what the algorithm chooses is null. */
void ml_params_write(const struct ml_params *params, struct buf *text);

#endif
