/* Where the keys of a Lua DAG file stand: a look at its text, beside running it.
 *
 * Lua tells the line of a call alone. Where the call is given a table as it stands there, its keys
 * are found in the text; what is built in another way has no places of its own. */
#ifndef SCHEDULER_DAG_LUA_PLACES_H
#define SCHEDULER_DAG_LUA_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/text/source.h"

struct lua_places;

/* Allocates in the arena, which outlives it. */
struct lua_places *lua_places_new(struct arena *arena, const struct yaml_text *source);
void lua_places_free(struct lua_places *places);

/* A member of a table that stands in the text. */
struct lua_place {
    size_t key, value; /* bytes in the text; of an item of a list they are the same */
    size_t brace;      /* of the value, when it is a table too; 0: none */
};

/* The { of the table that the call of that line is given: `word` is "dag" or "task". 0: none, or
 * there are several calls. */
size_t lua_places_call(struct lua_places *places, int line, const char *word);
/* The member under that key, or item "[i]", of the table at that { (0: no table); NULL: none. */
const struct lua_place *lua_places_find(struct lua_places *places, size_t brace, const char *key);

#endif
