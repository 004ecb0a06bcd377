/* Shell commands that read an argument as code: what an expression must not become. */
#ifndef LIB_SCRIPT_COMMAND_H
#define LIB_SCRIPT_COMMAND_H

#include <stddef.h>

#include "lib/base/arena.h"

/* Why the expression at bytes [at, end) of a script must not stand there: NULL, or a message (in
 * the arena). Its simple command begins at byte `from`, or at words like `if` before it.
 *
 * bash, ksh and zsh calculate what stands where they expect a number or the name of a variable, and
 * `a[$(rm x)]` is both: so the value of a quoted variable can be run. */
const char *command_refuses(struct arena *arena, const char *text, size_t from, size_t at,
                            size_t end);

#endif
