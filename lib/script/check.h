/* What an expression names, read from its tokens. */
#ifndef LIB_SCRIPT_CHECK_H
#define LIB_SCRIPT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/script/script.h"

/* The names alone, without Lua: false for one that is unknown. *may_change: it holds a function,
 * which could assign to what is set. */
bool check_names(const char *expression, size_t n, bool *may_change, struct nx_err *err);

/* Compiles it; *offset is the byte of a mistake. */
bool script_compile(struct script *script, const char *expression, size_t n, size_t *offset,
                    struct nx_err *err);

#endif
