#include "lib/script/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/script/bounds.h"
#include "lib/script/helpers.h"
#include "lib/script/moment.h"
#include "lib/script/program_names.h"
#include "lib/script/tree.h"
#include "lib/script/value.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

#define CHUNK "dag"        /* what Lua calls the program: "dag:3: message" */
#define HANDLE "nexus.dag" /* the type of what nexus.dag gives */
#define HOOK_EVERY 1000

struct built {
    int line;
    bool returned;
    struct buf keys, tasks; /* JSON text; of the tasks without the [ ] around them */
};

struct program {
    struct bounds bounds; /* first: bounds_of is the program */
    lua_State *L;
    const char *text;
    size_t n;
    VEC(struct built) dags;
    VEC(size_t) returned; /* indexes, in order */
    size_t tree_bytes;
    struct buf what; /* why a table cannot be written */
    int line;        /* of the error */
    const char *hint;
};

static struct program *program_of(lua_State *L)
{
    return (struct program *)bounds_of(L);
}

/* The line of the program that runs now, whatever it has called; 0: none. */
static int line_now(lua_State *L)
{
    lua_Debug debug;
    for (int level = 0; lua_getstack(L, level, &debug); level++) {
        lua_getinfo(L, "Sl", &debug);
        if (str_eq(debug.source, "=" CHUNK))
            return debug.currentline;
    }
    return 0;
}

static int fail(lua_State *L, const char *hint, const char *message)
{
    program_of(L)->hint = hint;
    return luaL_error(L, "%s", message);
}

/* ---- nexus.dag, d:task ---- */

/* Writes the table at `index`; `who` is in the message. */
static void write_table(lua_State *L, int index, struct buf *to, const char *who)
{
    struct program *p = program_of(L);
    size_t before = to->len, left = 0;
    buf_clear(&p->what);
    if (p->tree_bytes < NX_LUA_TREE_MAX)
        left = NX_LUA_TREE_MAX - p->tree_bytes;
    bool ok = tree_add(L, index, to, before + left, &p->what);
    p->tree_bytes += to->len - before;
    if (ok && p->tree_bytes <= NX_LUA_TREE_MAX) {
        script_charge(L, to->len - before);
        return;
    }
    if (p->tree_bytes > NX_LUA_TREE_MAX) {
        p->bounds.limit_reached = true;
        luaL_error(L, "the DAGs of this file take more than %d MiB",
                   NX_LUA_TREE_MAX / (1024 * 1024));
    }
    p->hint = "a DAG is made of texts, numbers, booleans, lists and tables with texts as keys";
    luaL_error(L, "%s: %s", who, buf_text(&p->what));
}

static int call_dag(lua_State *L)
{
    struct program *p = program_of(L);
    if (lua_type(L, 1) != LUA_TTABLE)
        return fail(L, "nexus.dag{ id = \"name\" }", "nexus.dag takes a table");
    struct built dag = {.line = line_now(L)};
    size_t *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = p->dags.n;
    luaL_setmetatable(L, HANDLE);
    vec_push(&p->dags, dag);
    write_table(L, 1, &p->dags.at[*handle].keys, "nexus.dag");
    return 1;
}

static int call_task(lua_State *L)
{
    static const char form[] = "d:task(\"name\", { run = \"...\" })";
    struct program *p = program_of(L);
    size_t n, *handle = luaL_testudata(L, 1, HANDLE);
    if (!handle)
        return fail(L, form, "task is called with a colon, on what nexus.dag gave");
    if (lua_type(L, 2) != LUA_TSTRING)
        return fail(L, form, "the first argument of task is its id, a text");
    const char *id = lua_tolstring(L, 2, &n), *who;
    who = lua_pushfstring(L, "task '%s'", id);
    if (strlen(id) != n || n > NX_NAME_MAX || !str_is_utf8(id, n, NULL))
        return fail(L, "lower case letters, digits and _, a letter first, at most 64",
                    "the id of a task is no name");
    if (lua_type(L, 3) != LUA_TTABLE) {
        p->hint = form;
        return luaL_error(L, "%s has no table of keys", who);
    }
    struct buf *to = &p->dags.at[*handle].tasks;
    size_t before = to->len;
    buf_str(to, to->len ? ",{\"id\":" : "{\"id\":");
    js_add_string(to, id, n);
    buf_printf(to, ",\"line\":%d,\"keys\":", line_now(L));
    p->tree_bytes += to->len - before;
    write_table(L, 3, to, who);
    buf_char(to, '}');
    lua_pushvalue(L, 2);
    return 1;
}

static int handle_index(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && str_eq(lua_tostring(L, 2), "task")) {
        lua_pushcfunction(L, call_task);
        return 1;
    }
    return fail(L, "d:task(\"name\", { ... }) adds a task", "a DAG has nothing but 'task'");
}

static int handle_newindex(lua_State *L)
{
    return fail(L, "give all keys to nexus.dag{ ... }", "the keys of a DAG cannot be set later");
}

static const luaL_Reg handle_methods[] = {
    {"__index", handle_index}, {"__newindex", handle_newindex}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"dag", call_dag}, {NULL, NULL}};

static void open_nexus(lua_State *L)
{
    luaL_newmetatable(L, HANDLE);
    luaL_setfuncs(L, handle_methods, 0);
    lua_pop(L, 1);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setglobal(L, "nexus");
}

/* ---- What it returns ---- */

static void take_one(lua_State *L, int index)
{
    struct program *p = program_of(L);
    size_t *handle = luaL_testudata(L, index, HANDLE);
    if (!handle) {
        p->line = -1; /* the last one */
        fail(L, "end it with 'return d', d being what nexus.dag{...} gave, or with a list of these",
             lua_isnil(L, index) ? "the file returns nothing"
                                 : "the file returns something else than DAGs");
    }
    if (!p->dags.at[*handle].returned)
        vec_push(&p->returned, *handle);
    p->dags.at[*handle].returned = true;
}

static void take_result(lua_State *L, int index)
{
    lua_Integer n = lua_type(L, index) == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, index) : 0;
    if (n == 0)
        take_one(L, index);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, index, i);
        take_one(L, lua_gettop(L));
        lua_pop(L, 1);
    }
}

/* ---- Running ---- */

static int run_program(lua_State *L)
{
    struct program *p = program_of(L);
    moment_open(L);
    value_open(L);
    helpers_open(L);
    open_nexus(L);
    names_open(L, &p->hint);
    if (luaL_loadbufferx(L, p->text, p->n, "=" CHUNK, "t") != LUA_OK) {
        p->line = 1; /* unless the message has one */
        p->hint = "Lua 5.4 cannot read on from here; the mistake may be on a line before";
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    take_result(L, lua_gettop(L));
    return 0;
}

/* Called where the error is raised, so the stack still tells the line. */
static int on_error(lua_State *L)
{
    struct program *p = program_of(L);
    if (p->line == 0)
        p->line = line_now(L);
    lua_settop(L, 1);
    return 1;
}

static void on_denial(struct bounds *bounds)
{
    struct program *p = (struct program *)bounds;
    if (p->L)
        p->line = line_now(p->L);
}

static int count_lines(const char *text, size_t n)
{
    int lines = 1;
    for (size_t i = 0; i + 1 < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Lua's message without "dag:3: ", whose number is the line then, and without "sort:3: ". */
static const char *split_message(struct program *p, const char *message)
{
    static const char own[] = CHUNK ":", sort[] = "sort:";
    bool is_own = str_starts(message, own);
    if (!is_own && !str_starts(message, sort))
        return message;
    char *end;
    long line = strtol(strchr(message, ':') + 1, &end, 10);
    if (strncmp(end, ": ", 2) != 0)
        return message;
    if (is_own && p->line >= 0)
        p->line = (int)line;
    return end + 2;
}

static void add_error(struct program *p, int status, struct buf *to)
{
    char limit[96];
    const char *message = lua_type(p->L, -1) == LUA_TSTRING
                              ? lua_tostring(p->L, -1)
                              : "error() with something else than a text";
    if (status == LUA_ERRMEM) {
        if (p->bounds.churn_reached)
            snprintf(limit, sizeof limit, "more than %d MiB of memory in all, what was let go too",
                     NX_LUA_CHURN_MAX / (1024 * 1024));
        else
            snprintf(limit, sizeof limit, "more than %d MiB of memory",
                     NX_LUA_MEMORY_MAX / (1024 * 1024));
        message = limit;
    } else {
        message = split_message(p, message);
    }
    if (p->line < 0)
        p->line = count_lines(p->text, p->n);
    if (p->bounds.limit_reached)
        p->hint = "a DAG file only says what is to be done: let tasks do the work";
    else if (!p->hint && strstr(message, "nil value"))
        p->hint = "is the name misspelt, or set further down?";
    else if (!p->hint)
        p->hint = "Lua stopped here; nothing of this file is loaded";
    buf_printf(to, "{\"error\":{\"line\":%d,\"message\":", p->line);
    js_add_string(to, message, strlen(message));
    buf_str(to, ",\"hint\":");
    js_add_string(to, p->hint, strlen(p->hint));
    buf_str(to, "}}");
}

static void add_dags(const struct program *p, struct buf *to)
{
    buf_str(to, "{\"dags\":[");
    for (size_t i = 0; i < p->returned.n; i++) {
        const struct built *dag = &p->dags.at[p->returned.at[i]];
        buf_printf(to, "%s{\"line\":%d,\"keys\":%s,\"tasks\":[%s]}", i ? "," : "", dag->line,
                   buf_text(&dag->keys), buf_text(&dag->tasks));
    }
    buf_str(to, "],\"unused\":[");
    const char *separator = "";
    for (size_t i = 0; i < p->dags.n; i++) {
        if (p->dags.at[i].returned)
            continue;
        buf_printf(to, "%s%d", separator, p->dags.at[i].line);
        separator = ",";
    }
    buf_str(to, "]}");
}

void program_run(const char *text, size_t n, struct buf *to)
{
    struct program p = {.text = text, .n = n, .bounds.on_denial = on_denial};
    bounds_set(&p.bounds, NX_LUA_MEMORY_MAX, NX_LUA_CHURN_MAX, NX_LUA_STEPS_MAX);
    p.L = bounds_open(&p.bounds, HOOK_EVERY);
    must(p.L);
    lua_pushcfunction(p.L, on_error);
    lua_pushcfunction(p.L, run_program);
    int status = lua_pcall(p.L, 0, 0, 1);
    if (status == LUA_OK)
        add_dags(&p, to);
    else
        add_error(&p, status, to);
    bounds_close(&p.bounds, p.L);
    for (size_t i = 0; i < p.dags.n; i++) {
        buf_fini(&p.dags.at[i].keys);
        buf_fini(&p.dags.at[i].tasks);
    }
    vec_fini(&p.dags);
    vec_fini(&p.returned);
    buf_fini(&p.what);
    buf_fini(&p.bounds.scratch);
}
