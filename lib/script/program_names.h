/* What a Lua DAG file can call beside `nexus`, and what it is told of what it cannot. */
#ifndef LIB_SCRIPT_PROGRAM_NAMES_H
#define LIB_SCRIPT_PROGRAM_NAMES_H

#include <lua.h>

/* Adds `table`, and makes it an error to read a name that is not set, here and in math, string,
 * table and nexus; *hint is set before such an error is raised. After helpers_open. */
void names_open(lua_State *L, const char **hint);

#endif
