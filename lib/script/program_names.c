#include "lib/script/program_names.h"

#include <lauxlib.h>
#include <lualib.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/script/helpers.h"

/* Merges runs of 1, 2, 4, ...: stable, and the same steps for the same list; Lua's own looks at the
 * clock for its pivots. */
static const char sort_source[] =
    "local function before(a, b) return a < b end\n"
    "return function(list, less)\n"
    "  less = less or before\n"
    "  local n, from, to = #list, list, {}\n"
    "  local width = 1\n"
    "  while width < n do\n"
    "    for low = 1, n, 2 * width do\n"
    "      local i, j = low, low + width\n"
    "      local i_end, j_end = math.min(j - 1, n), math.min(j + width - 1, n)\n"
    "      for k = low, j_end do\n"
    "        if i <= i_end and (j > j_end or not less(from[j], from[i])) then\n"
    "          to[k] = from[i]; i = i + 1\n"
    "        else\n"
    "          to[k] = from[j]; j = j + 1\n"
    "        end\n"
    "      end\n"
    "    end\n"
    "    if from == list then from, to = to, {} else from, to = to, from end\n"
    "    width = 2 * width\n"
    "  end\n"
    "  if from ~= list then for k = 1, n do list[k] = from[k] end end\n"
    "end\n";

static void open_table(lua_State *L)
{
    static const char *const taken[] = {"concat", "insert", "pack", "remove", "unpack"};
    lua_newtable(L);
    lua_pushcfunction(L, luaopen_table);
    lua_call(L, 0, 1);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        lua_getfield(L, -1, taken[i]);
        lua_setfield(L, -3, taken[i]);
    }
    lua_pop(L, 1);
    must(luaL_loadbufferx(L, sort_source, sizeof sort_source - 1, "=sort", "t") == LUA_OK);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, "sort");
    lua_setglobal(L, "table");
}

/* ---- What is not there ---- */

/* Lua's own that are left out, and why. */
static const char *hint_of(const char *name)
{
    static const char pure[] = "a DAG file sees no files, clock, randomness or modules: the same "
                               "text gives the same DAGs; let a task do it";
    static const char lean[] = "it is left out of Lua here; write it with what is there";
    static const char *const closed[] = {"os",   "io",       "require", "package", "dofile",
                                         "load", "loadfile", "debug",   "random",  "randomseed"};
    static const char *const left_out[] = {"pcall",     "xpcall", "setmetatable", "getmetatable",
                                           "rawget",    "rawset", "rawequal",     "rawlen",
                                           "coroutine", "next",   "utf8",         "collectgarbage",
                                           "move",      "_G"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        if (str_eq(name, closed[i]))
            return pure;
    }
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (str_eq(name, left_out[i]))
            return lean;
    }
    if (str_eq(name, "print"))
        return "there is nowhere to print to; error(text) stops with the text";
    if (str_eq(name, "gsub") || str_eq(name, "gmatch") || str_eq(name, "match"))
        return "there are no patterns: find, contains, starts, ends, replace and split are plain";
    return NULL;
}

/* __index of a table whose name is upvalue 1 ("": the globals); upvalue 2 is where hints go. */
static int unset_name(lua_State *L)
{
    const char *table = lua_tostring(L, lua_upvalueindex(1));
    const char **hint = lua_touserdata(L, lua_upvalueindex(2));
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    const char *name = lua_tostring(L, 2);
    const char *near = *table ? NULL : str_nearest(name, helper_names, helper_count());
    *hint = hint_of(name);
    if (*hint)
        return luaL_error(L, "there is no '%s%s%s' in a DAG file", table, *table ? "." : "", name);
    *hint = "is it misspelt, or set further down?";
    if (near)
        return luaL_error(L, "'%s' is not set; did you mean '%s'?", name, near);
    return luaL_error(L, "'%s%s%s' is not set", table, *table ? "." : "", name);
}

/* For the table on top of the stack, which is popped. */
static void guard(lua_State *L, const char *name, const char **hint)
{
    lua_createtable(L, 0, 1);
    lua_pushstring(L, name);
    lua_pushlightuserdata(L, (void *)(uintptr_t)hint);
    lua_pushcclosure(L, unset_name, 2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

void names_open(lua_State *L, const char **hint)
{
    static const char *const tables[] = {"math", "string", "table", "nexus"};
    open_table(L);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        lua_getglobal(L, tables[i]);
        guard(L, tables[i], hint);
    }
    lua_pushglobaltable(L);
    guard(L, "", hint);
}
