/* What an expression can call. */
#ifndef LIB_SCRIPT_HELPERS_H
#define LIB_SCRIPT_HELPERS_H

#include <stddef.h>

#include <lua.h>

#include "lib/base/buf.h"

/* Names of the helpers, for the checker; tables (math, string) included. */
extern const char *const helper_names[];
size_t helper_count(void);

/* Sets the helpers in the global table, and texts' methods. */
void helpers_open(lua_State *L);

/* Counts work that Lua does not count: an error once an evaluation's bound is passed. */
void script_charge(lua_State *L, size_t n_bytes);
/* An empty buffer that the script owns: what is in it is not lost when Lua raises an error. */
struct buf *script_scratch(lua_State *L);

#endif
