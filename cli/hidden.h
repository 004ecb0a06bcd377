/* Values that must not be seen: from stdin, or typed without an echo. */
#ifndef CLI_HIDDEN_H
#define CLI_HIDDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

/* Asks on a terminal for the value of `name`, else reads stdin to its end; the last newline is no
 * part of it. `what`: "a secret", for messages. */
bool hidden_read(const char *what, const char *name, size_t most, struct buf *text,
                 struct nx_err *err);

#endif
