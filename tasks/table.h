/* The table of all operators. */
#ifndef TASKS_TABLE_H
#define TASKS_TABLE_H

#include <stddef.h>

#include "nexus/operator.h"

/* All operators, ordered by name. */
const struct nx_operator *const *table_operators(size_t *n);

/* The operator with that name, or NULL. */
const struct nx_operator *table_find(const char *name);

#endif
