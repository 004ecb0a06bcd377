/* Lua tables as JSON text: what a DAG file written in Lua hands over. */
#ifndef LIB_SCRIPT_TREE_H
#define LIB_SCRIPT_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#include "lib/base/buf.h"

#define TREE_DEPTH_MAX \
    56 /* below what the checker takes, the levels above a task's keys included */

/* Adds the value at `index` to `to`, keys sorted: equal values give equal bytes. An empty table is
 * {}, which may be a list as well. False: `what` says which part cannot be written and why, as
 * "'with.f' is a function". Raises nothing; a text longer than `max` in all is a failure too. */
bool tree_add(lua_State *L, int index, struct buf *to, size_t max, struct buf *what);

#endif
