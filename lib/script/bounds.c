#include "lib/script/bounds.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "lib/script/helpers.h"

#define DENIALS_MAX 16 /* each makes Lua collect all garbage: they cost */
#define STEP_BYTES 64  /* that a step of script_charge stands for */

struct bounds *bounds_of(lua_State *L)
{
    return *(struct bounds **)lua_getextraspace(L);
}

void bounds_set(struct bounds *bounds, size_t memory_max, size_t churn_max, long steps_max)
{
    bounds->memory_max = memory_max;
    bounds->churn = 0;
    bounds->churn_max = churn_max;
    bounds->denials = 0;
    bounds->steps = 0;
    bounds->steps_max = steps_max;
    bounds->limit_reached = bounds->churn_reached = false;
}

static bool denied(struct bounds *bounds, size_t more)
{
    bool churned = more > bounds->churn_max || bounds->churn > bounds->churn_max - more;
    if (!churned && more <= bounds->memory_max && bounds->memory <= bounds->memory_max - more &&
        bounds->denials <= DENIALS_MAX)
        return false;
    bounds->denials++;
    bounds->limit_reached = true;
    bounds->churn_reached = bounds->churn_reached || churned;
    if (bounds->on_denial)
        bounds->on_denial(bounds);
    return true;
}

static void *allocate(void *arg, void *p, size_t old, size_t size)
{
    struct bounds *bounds = arg;
    if (!p)
        old = 0; /* Lua gives a type there */
    if (size == 0) {
        free(p);
        bounds->memory -= old;
        return NULL;
    }
    if (size > old) {
        if (denied(bounds, size - old))
            return NULL;
        bounds->churn += size - old;
    }
    void *q = realloc(p, size);
    if (q)
        bounds->memory = bounds->memory - old + size;
    return q;
}

static void add_steps(lua_State *L, long n)
{
    struct bounds *bounds = bounds_of(L);
    bounds->steps += n;
    if (bounds->steps > bounds->steps_max) {
        bounds->limit_reached = true;
        luaL_error(L, "more than %I steps: an endless loop?", (LUAI_UACINT)bounds->steps_max);
    }
}

static void on_count(lua_State *L, lua_Debug *debug)
{
    (void)debug;
    add_steps(L, lua_gethookcount(L));
}

lua_State *bounds_open(struct bounds *bounds, int hook_every)
{
    lua_State *L = lua_newstate(allocate, bounds);
    if (!L)
        return NULL;
    *(struct bounds **)lua_getextraspace(L) = bounds;
    lua_sethook(L, on_count, LUA_MASKCOUNT, hook_every);
    return L;
}

void bounds_close(struct bounds *bounds, lua_State *L)
{
    bounds_set(bounds, SIZE_MAX, SIZE_MAX, LONG_MAX);
    if (L)
        lua_close(L);
}

void script_charge(lua_State *L, size_t n_bytes)
{
    size_t steps = n_bytes / STEP_BYTES, max = (size_t)bounds_of(L)->steps_max;
    add_steps(L, (long)(steps < max ? steps : max));
}

struct buf *script_scratch(lua_State *L)
{
    struct buf *scratch = &bounds_of(L)->scratch;
    buf_clear(scratch);
    return scratch;
}
