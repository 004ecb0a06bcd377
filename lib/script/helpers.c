#include "lib/script/helpers.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/script/moment.h"
#include "lib/script/value.h"
#include "lib/text/json.h"

/* ---- Texts ---- */

static int text_find(lua_State *L)
{
    size_t n, m;
    const char *s = luaL_checklstring(L, 1, &n), *what = luaL_checklstring(L, 2, &m);
    lua_Integer from = luaL_optinteger(L, 3, 1);
    if (from < 1)
        from = 1;
    script_charge(L, n);
    const char *at =
        (size_t)from - 1 > n ? NULL : memmem(s + from - 1, n - (size_t)from + 1, what, m);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - s + 1);
    lua_pushinteger(L, at - s + (lua_Integer)m);
    return 2;
}

static int text_starts(lua_State *L)
{
    size_t n, m;
    const char *s = luaL_checklstring(L, 1, &n), *what = luaL_checklstring(L, 2, &m);
    lua_pushboolean(L, m <= n && memcmp(s, what, m) == 0);
    return 1;
}

static int text_ends(lua_State *L)
{
    size_t n, m;
    const char *s = luaL_checklstring(L, 1, &n), *what = luaL_checklstring(L, 2, &m);
    lua_pushboolean(L, m <= n && memcmp(s + n - m, what, m) == 0);
    return 1;
}

static int text_replace(lua_State *L)
{
    size_t n, m, k;
    const char *s = luaL_checklstring(L, 1, &n), *from = luaL_checklstring(L, 2, &m);
    const char *to = luaL_checklstring(L, 3, &k);
    luaL_argcheck(L, m > 0, 2, "a text that is not empty expected");
    script_charge(L, n);
    luaL_Buffer result;
    luaL_buffinit(L, &result);
    for (;;) {
        script_charge(L, 64);
        const char *at = memmem(s, n, from, m);
        size_t before = at ? (size_t)(at - s) : n;
        luaL_addlstring(&result, s, before);
        if (!at)
            break;
        luaL_addlstring(&result, to, k);
        s += before + m;
        n -= before + m;
    }
    luaL_pushresult(&result);
    return 1;
}

static int text_split(lua_State *L)
{
    size_t n, m;
    const char *s = luaL_checklstring(L, 1, &n), *separator = luaL_checklstring(L, 2, &m);
    luaL_argcheck(L, m > 0, 2, "a text that is not empty expected");
    script_charge(L, n);
    lua_newtable(L);
    for (lua_Integer i = 1;; i++) {
        script_charge(L, 64);
        const char *at = memmem(s, n, separator, m);
        size_t part = at ? (size_t)(at - s) : n;
        lua_pushlstring(L, s, part);
        lua_rawseti(L, -2, i);
        if (!at)
            return 1;
        s += part + m;
        n -= part + m;
    }
}

static int text_trim(lua_State *L)
{
    size_t n;
    const char *s = luaL_checklstring(L, 1, &n);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) && s[n - 1])
        n--;
    while (n > 0 && strchr(" \t\r\n", *s) && *s) {
        s++;
        n--;
    }
    lua_pushlstring(L, s, n);
    return 1;
}

/* Lua's own format, less what shows addresses. */
static int text_format(lua_State *L)
{
    const char *s = luaL_checkstring(L, 1);
    for (int i = lua_gettop(L); i > 1; i--) {
        int type = lua_type(L, i);
        luaL_argcheck(L, type != LUA_TTABLE && type != LUA_TFUNCTION, i,
                      "a text, number or time expected; json(value) makes a text of it");
    }
    while ((s = strchr(s, '%'))) {
        s++;
        s += strspn(s, "-+ #0123456789.");
        luaL_argcheck(L, *s != 'p', 1, "%p is not allowed");
        s += *s != 0;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int call_glob(lua_State *L)
{
    size_t n, m;
    const char *pattern = luaL_checklstring(L, 1, &n), *s = luaL_checklstring(L, 2, &m);
    luaL_argcheck(L, n <= 256 && m <= 4096, 1, "too long");
    size_t stars = 1;
    for (const char *p = pattern; *p; p++)
        stars += *p == '*';
    script_charge(L, stars * m * 16);
    lua_pushboolean(L, str_glob(pattern, s, false));
    return 1;
}

/* ---- Tables ---- */

/* Keys in order, so that every process walks a table the same way. */
static void push_sorted_keys(lua_State *L, int index)
{
    struct value_key *keys = NULL;
    size_t n = 0;
    luaL_checktype(L, index, LUA_TTABLE);
    if (!value_keys(L, index, &keys, &n))
        luaL_error(L, "a table whose keys are neither integers nor texts");
    struct buf *scratch = script_scratch(L);
    buf_add(scratch, keys, n * sizeof *keys);
    mem_free(keys);
    keys = (struct value_key *)(void *)scratch->data;
    script_charge(L, n * 64);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].text)
            lua_pushlstring(L, keys[i].text, keys[i].n);
        else
            lua_pushinteger(L, keys[i].number);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int pairs_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(2));
    lua_rawgeti(L, lua_upvalueindex(1), i);
    if (lua_isnil(L, -1))
        return 1;
    lua_pushvalue(L, -1);
    lua_rawget(L, lua_upvalueindex(3));
    return 2;
}

static int call_pairs(lua_State *L)
{
    push_sorted_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, pairs_next, 3);
    return 1;
}

static int call_keys(lua_State *L)
{
    push_sorted_keys(L, 1);
    return 1;
}

static int call_contains(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING) {
        text_find(L);
        lua_pushboolean(L, lua_isinteger(L, -1));
        return 1;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer n = luaL_len(L, 1);
    script_charge(L, (size_t)n * 64);
    bool found = false;
    for (lua_Integer i = 1; i <= n && !found; i++) {
        lua_rawgeti(L, 1, i);
        found = lua_compare(L, -1, 2, LUA_OPEQ);
        lua_pop(L, 1);
    }
    lua_pushboolean(L, found);
    return 1;
}

/* The value at `index` as text on the stack. */
static void push_text(lua_State *L, int index)
{
    const char *why = "";
    struct buf *scratch = script_scratch(L);
    if (!value_text(L, index, scratch, &why))
        luaL_error(L, "%s cannot be a text", why);
    script_charge(L, scratch->len);
    lua_pushlstring(L, buf_text(scratch), scratch->len);
}

static int call_join(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t m;
    const char *separator = luaL_optlstring(L, 2, ", ", &m);
    lua_Integer n = luaL_len(L, 1);
    lua_settop(L, 2);
    lua_pushliteral(L, "");
    for (lua_Integer i = 1; i <= n; i++) {
        script_charge(L, 64);
        if (i > 1)
            lua_pushlstring(L, separator, m);
        lua_rawgeti(L, 1, i);
        push_text(L, lua_gettop(L));
        lua_remove(L, -2);
        lua_concat(L, i > 1 ? 3 : 2);
    }
    return 1;
}

static int call_json(lua_State *L)
{
    const char *why = "";
    json_t *value = value_json(L, 1, SCRIPT_TIMES_TEXT, &why);
    if (!value)
        return luaL_error(L, "%s cannot be JSON", why);
    struct buf *scratch = script_scratch(L);
    js_add(scratch, value);
    json_decref(value);
    script_charge(L, scratch->len);
    lua_pushlstring(L, buf_text(scratch), scratch->len);
    return 1;
}

/* ---- Values ---- */

static int call_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_isnil(L, 1))
        lua_pushliteral(L, "nil");
    else
        push_text(L, 1);
    return 1;
}

static int call_tonumber(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TNUMBER) {
        lua_settop(L, 1);
        return 1;
    }
    size_t n;
    const char *s = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &n) : NULL;
    if (!s || lua_stringtonumber(L, s) != n + 1)
        lua_pushnil(L);
    return 1;
}

static int call_type(lua_State *L)
{
    static const char *const kinds[] = {"time", "date", "duration"};
    luaL_checkany(L, 1);
    const struct moment *moment = moment_at(L, 1);
    lua_pushstring(L, moment ? kinds[moment->kind] : luaL_typename(L, 1));
    return 1;
}

static int call_default(lua_State *L)
{
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (!lua_isnil(L, 1))
        lua_pop(L, 1);
    return 1;
}

static int call_round(lua_State *L)
{
    double v = luaL_checknumber(L, 1);
    lua_Integer digits = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, digits >= 0 && digits <= 15, 2, "0 to 15 digits");
    double scale = pow(10, (double)digits);
    if (digits == 0 && fabs(v) < 9e18)
        lua_pushinteger(L, llround(v));
    else
        lua_pushnumber(L, round(v * scale) / scale);
    return 1;
}

/* The greatest (sign 1) or least (-1) of the arguments, or of the one list. */
static int extreme(lua_State *L, int sign)
{
    bool list = lua_type(L, 1) == LUA_TTABLE;
    lua_Integer n = list ? luaL_len(L, 1) : lua_gettop(L);
    script_charge(L, (size_t)n * 64);
    lua_pushnil(L);
    int best = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        if (list)
            lua_rawgeti(L, 1, i);
        else
            lua_pushvalue(L, (int)i);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        if (lua_isnil(L, best) ||
            (sign > 0 ? lua_compare(L, best, -1, LUA_OPLT) : lua_compare(L, -1, best, LUA_OPLT)))
            lua_replace(L, best);
        else
            lua_pop(L, 1);
    }
    return 1;
}

static int call_max(lua_State *L)
{
    return extreme(L, 1);
}

static int call_min(lua_State *L)
{
    return extreme(L, -1);
}

static int call_sum(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer n = luaL_len(L, 1);
    script_charge(L, (size_t)n * 64);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        if (lua_isnil(L, -1))
            lua_pop(L, 1);
        else
            lua_arith(L, LUA_OPADD);
    }
    return 1;
}

/* ---- The table ---- */

static const luaL_Reg own[] = {
    {"contains", call_contains}, {"date", moment_date}, {"days", moment_days},
    {"default", call_default},   {"glob", call_glob},   {"hours", moment_hours},
    {"join", call_join},         {"json", call_json},   {"keys", call_keys},
    {"max", call_max},           {"min", call_min},     {"minutes", moment_minutes},
    {"pairs", call_pairs},       {"round", call_round}, {"seconds", moment_seconds},
    {"sum", call_sum},           {"time", moment_time}, {"tonumber", call_tonumber},
    {"tostring", call_tostring}, {"type", call_type},   {NULL, NULL}};

/* `own`, and what is taken from Lua's library. */
const char *const helper_names[] = {
    "contains", "date", "days",    "default", "glob",   "hours",   "join", "json",  "keys",
    "max",      "min",  "minutes", "pairs",   "round",  "seconds", "sum",  "time",  "tonumber",
    "tostring", "type", "assert",  "error",   "ipairs", "select",  "math", "string"};

size_t helper_count(void)
{
    return sizeof helper_names / sizeof *helper_names;
}

static const luaL_Reg text_methods[] = {{"find", text_find},       {"contains", call_contains},
                                        {"starts", text_starts},   {"ends", text_ends},
                                        {"replace", text_replace}, {"split", text_split},
                                        {"trim", text_trim},       {NULL, NULL}};

/* Copies members of the table on top of the stack into the one below it. */
static void copy_members(lua_State *L, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lua_getfield(L, -1, names[i]);
        lua_setfield(L, -3, names[i]);
    }
}

static void open_text(lua_State *L)
{
    static const char *const taken[] = {"len",     "sub",  "upper", "lower",
                                        "reverse", "byte", "char",  "rep"};
    lua_newtable(L); /* the one that is seen */
    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);
    copy_members(L, taken, sizeof taken / sizeof *taken);
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, text_format, 1);
    lua_setfield(L, -3, "format");
    lua_pop(L, 1);
    luaL_setfuncs(L, text_methods, 0);
    /* luaopen_string gave texts a metatable with arithmetic: replace it by one with methods only.
     */
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    lua_setglobal(L, "string");
}

static void open_math(lua_State *L)
{
    static const char *const taken[] = {
        "abs",  "ceil",       "floor",      "fmod", "sqrt", "exp",  "log",       "sin",  "cos",
        "tan",  "asin",       "acos",       "atan", "pi",   "huge", "tointeger", "type", "ult",
        "modf", "maxinteger", "mininteger", "deg",  "rad",  "max",  "min"};
    lua_newtable(L);
    lua_pushcfunction(L, luaopen_math);
    lua_call(L, 0, 1);
    copy_members(L, taken, sizeof taken / sizeof *taken);
    lua_pop(L, 1);
    lua_setglobal(L, "math");
}

static void open_base(lua_State *L)
{
    static const char *const taken[] = {"assert", "error", "ipairs", "select"};
    lua_pushglobaltable(L);
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 1); /* fills the global table */
    lua_newtable(L);
    lua_insert(L, -2);
    copy_members(L, taken, sizeof taken / sizeof *taken);
    lua_pop(L, 1);
    luaL_setfuncs(L, own, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* a table with nothing else in it */
    lua_pop(L, 1);
}

void helpers_open(lua_State *L)
{
    open_base(L);
    open_text(L);
    open_math(L);
}
