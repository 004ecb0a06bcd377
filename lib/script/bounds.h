/* What a Lua state may take: steps, memory at a time, memory in all. Each state of this folder has
 * one of these, and finds it by its extra space. */
#ifndef LIB_SCRIPT_BOUNDS_H
#define LIB_SCRIPT_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#include "lib/base/buf.h"

struct bounds {
    struct buf scratch;        /* see script_scratch in helpers.h */
    size_t memory, memory_max; /* bytes that the state has */
    size_t churn, churn_max;   /* bytes allocated in all */
    long steps, steps_max;     /* instructions, and what script_charge adds */
    int denials;
    bool limit_reached, churn_reached;        /* any; that of churn */
    void (*on_denial)(struct bounds *bounds); /* may be NULL; must not touch memory of the state */
};

/* A state that takes no more than *bounds allow; NULL: no memory. A look at the steps every
 * `hook_every` instructions. */
lua_State *bounds_open(struct bounds *bounds, int hook_every);
/* Closes the state (NULL is fine); *bounds are as before it was opened. */
void bounds_close(struct bounds *bounds, lua_State *L);

/* Begins anew with these bounds; what the state has stays counted. */
void bounds_set(struct bounds *bounds, size_t memory_max, size_t churn_max, long steps_max);

struct bounds *bounds_of(lua_State *L);

#endif
