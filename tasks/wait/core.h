/* Operators that the scheduler does itself, without a worker. */
#ifndef TASKS_WAIT_CORE_H
#define TASKS_WAIT_CORE_H

#include "nexus/operator.h"

/* For one task alone, outside of any run: there is nothing to do, and it says so. */
enum nx_outcome core_run(struct nx_ctx *ctx, struct nx_err *err);

#endif
