/* A Lua program that builds DAGs.
 *
 *   local d = nexus.dag{ id = "regions", schedule = "@daily" }
 *   for _, r in ipairs{ "eu", "us" } do d:task("load_" .. r, { uses = "data.ingest" }) end
 *   return d                                     -- or a list of them
 *
 * It sees `nexus`, the helpers of expressions (script.h) and `table` (concat insert pack remove
 * sort unpack), and nothing else: no files, clock, randomness, modules, metatables or pattern
 * functions; `pairs` walks in the order of the keys, `sort` is stable. So the same text gives the
 * same bytes in every process. To read a name that was never set is an error.
 *
 * Bounds: NX_LUA_STEPS_MAX, NX_LUA_MEMORY_MAX, NX_LUA_CHURN_MAX, NX_LUA_TREE_MAX. */
#ifndef LIB_SCRIPT_PROGRAM_H
#define LIB_SCRIPT_PROGRAM_H

#include <stddef.h>

#include "lib/base/buf.h"

/* Runs it and adds JSON text to `to`:
 *   {"dags": [{"line": 1, "keys": {...}, "tasks": [{"id": "load_eu", "line": 2, "keys": {...}}]}],
 *    "unused": [7]}          the DAGs that it returns, in that order; lines of those that it does
 * not or, when it fails,
 *   {"error": {"line": 3 (0: none), "message": "...", "hint": "..." | null}} */
void program_run(const char *text, size_t n, struct buf *to);

#endif
