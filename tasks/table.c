#include "tasks/table.h"

#include <string.h>

/* One line an operator, ordered by the operator's name: X(variable) where tasks/<family>/<file>.c
 * defines `const struct nx_operator variable`, called like the operator with _ for the dot. */
/* clang-format off */
#define OPERATORS(X) \
    X(data_ingest) \
    X(data_split) \
    X(data_sql) \
    X(data_validate) \
    X(flow_approve) \
    X(flow_branch) \
    X(flow_fail) \
    X(flow_join) \
    X(flow_latest_only) \
    X(flow_noop) \
    X(flow_short_circuit) \
    X(flow_sleep) \
    X(flow_trigger) \
    X(ml_evaluate) \
    X(ml_predict) \
    X(ml_train) \
    X(wait_dataset) \
    X(wait_file) \
    X(wait_for) \
    X(wait_http) \
    X(wait_sql) \
    X(wait_until)
/* clang-format on */

#define DECLARE(variable) extern const struct nx_operator variable;
#define ADDRESS(variable) &variable,

OPERATORS(DECLARE)

static const struct nx_operator *const operators[] = {OPERATORS(ADDRESS)};

#define N_OPERATORS (sizeof operators / sizeof operators[0])

const struct nx_operator *const *table_operators(size_t *n)
{
    *n = N_OPERATORS;
    return operators;
}

const struct nx_operator *table_find(const char *name)
{
    for (size_t i = 0; i < N_OPERATORS; i++)
        if (strcmp(operators[i]->name, name) == 0)
            return operators[i];
    return NULL;
}
