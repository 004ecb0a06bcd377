/* What the operators say of themselves, as JSON: the source of `nexus op`, of the checker of DAG
 * files and of the operator reference. */
#ifndef TASKS_CATALOG_H
#define TASKS_CATALOG_H

#include <jansson.h>

#include "lib/base/buf.h"
#include "nexus/operator.h"

/* Appends an array of all descriptors, ordered by name, two spaces a level, a newline at the end:
 *   {name, version, summary, doc, flags[], params[{name, type, required, default, min, max, unit,
 *    choices[], secret, help}], outputs[{name, type, help}], example}
 * Keys that say nothing are left out, except required and the arrays. The same program gives the
 * same bytes. */
void catalog_write(struct buf *to);

/* One of these descriptors; a new reference. */
json_t *catalog_entry(const struct nx_operator *op);

#endif
