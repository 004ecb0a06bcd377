/* One attempt from start to done: values resolved, the operator or script run, the result sent. */
#ifndef TASKS_ATTEMPT_H
#define TASKS_ATTEMPT_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/wire/child.h"
#include "tasks/definition.h"
#include "tasks/runtime.h"

/* Runs it and sends masks, resolved, progress, metrics and done to the runtime's sink. definition
 * NULL: it could not be read, and *why says so; the attempt fails. Bytes of other messages that
 * came meanwhile go to the end of inbox (which may be NULL). */
void attempt_run(struct runtime *runtime, struct definition *definition, const struct nx_err *why,
                 uint64_t ticket, const struct child_start *start, struct buf *inbox);

#endif
