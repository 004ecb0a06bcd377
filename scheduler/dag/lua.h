/* DAG files written in Lua: run, and made into the documents that the checker takes.
 *
 * A tree is what lib/script/program.h gives: DAGs, or the error. A file that is new is run in a
 * child process that is killed after NX_LUA_CPU_S of processor time; a text that has been run so
 * before gives the same tree anywhere, within the same bounds, and may be run here. */
#ifndef SCHEDULER_DAG_LUA_H
#define SCHEDULER_DAG_LUA_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/text/problem.h"
#include "lib/text/yaml.h"

/* "x.lua". */
bool lua_is_name(const char *file);

/* Runs the text; never NULL, a new reference. */
json_t *lua_run(const char *text, size_t n);
/* The same in a child: the program nexus-scheduler with LUA_CHILD_OPTION. */
json_t *lua_run_apart(const char *text, size_t n);

/* What the child does: the text from its standard input, the tree to its standard output. Returns
 * its exit status. */
#define LUA_CHILD_OPTION "--read-lua"
int lua_child(void);

/* The id that the i-th DAG of a tree claims, as it stands there; NULL: it has none of its own, ""
 * ends the list. */
#define LUA_NO_MORE ""
const char *lua_id(const json_t *tree, size_t i);

/* Documents of a tree, as yaml_parse gives those of a text: every node has the place of its
 * key or value where that is found in the text, else the line where nexus.dag{} or task() was
 * called. */
void lua_documents(struct arena *arena, const char *file, const char *text, size_t n,
                   const json_t *tree, struct yaml_node ***docs, size_t *n_docs,
                   struct problems *problems);

#endif
