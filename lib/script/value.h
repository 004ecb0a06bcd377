/* Values between JSON and Lua. */
#ifndef LIB_SCRIPT_VALUE_H
#define LIB_SCRIPT_VALUE_H

#include <stdbool.h>

#include <jansson.h>
#include <lua.h>

#include "lib/base/buf.h"
#include "lib/script/script.h"

#define VALUE_DEPTH_MAX 64
#define VALUE_NODES_MAX 250000

/* The metatables; once a state. */
void value_open(lua_State *L);

/* Pushes a JSON value; raises a Lua error when it is nested too deep. With `times`, texts under the
 * keys start, finish and *_at that are instants become times. */
void value_push(lua_State *L, const json_t *value, bool times);
/* {task: outputs}; those of a mapped task are a list of objects, which by a name gives the list of
 * what they have of that name. */
void value_push_outputs(lua_State *L, const json_t *outputs);

/* The Lua value as JSON, a new reference; NULL: *why says what cannot be one. Raises nothing. Keys
 * come out sorted: Lua's own order is not the same in every process. */
json_t *value_json(lua_State *L, int index, enum script_times times, const char **why);

/* The Lua value as text, added to `to`; false: *why. Raises nothing. */
bool value_text(lua_State *L, int index, struct buf *to, const char **why);

/* Keys of a table in order: integers ascending, then texts. The caller frees the array with
 * mem_free. Texts are those of the table. False when there are other keys. */
struct value_key {
    const char *text; /* NULL: an integer */
    size_t n;
    lua_Integer number;
};

bool value_keys(lua_State *L, int index, struct value_key **keys, size_t *n);

#endif
