/* A run's params as values of expressions: their JSON has texts where the DAG says date, time or
 * duration. */
#ifndef LIB_SCRIPT_TYPED_H
#define LIB_SCRIPT_TYPED_H

#include <jansson.h>

/* Those of `params` that `declared` (a DAG's list of params) says are dates, times or durations
 * become {"date_days": n}, {"timestamp_us": n} or {"duration_us": n}, which script_set takes for
 * what they are. Changes `params`; what does not fit its type stays as it is. */
void params_type(json_t *params, const json_t *declared);

#endif
