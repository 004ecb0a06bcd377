#include "lib/script/script.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/script/bounds.h"
#include "lib/script/check.h"
#include "lib/script/helpers.h"
#include "lib/script/moment.h"
#include "lib/script/value.h"
#include "nexus/limits.h"

#define HOOK_EVERY 100                        /* instructions between two looks at the bound */
#define CHURN_MAX (64 * NX_EXPR_MEMORY_MAX)   /* bytes allocated in all by an evaluation */
#define SET_MEMORY_MAX (512u * 1024 * 1024)   /* of what is set: NX_CONTEXT_MAX bounds it before */
#define GARBAGE_KEPT (NX_EXPR_MEMORY_MAX / 2) /* more is collected after an evaluation */

static const char *const root_names[] = {"params", "run",     "dag",  "task", "outputs",
                                         "vars",   "secrets", "item", "index"};
#define N_ROOTS (sizeof root_names / sizeof *root_names)

struct script {
    lua_State *L; /* made at first use; NULL after an evaluation that could have changed it */
    json_t *roots[N_ROOTS];
    bool stale[N_ROOTS]; /* not in L yet */
    struct bounds bounds;
    size_t baseline; /* bytes of the helpers and what was set */
};

const char *script_root_name(enum script_root root)
{
    for (size_t i = 0; i < N_ROOTS; i++) {
        if (root == 1u << i)
            return root_names[i];
    }
    must(!"a root");
    return NULL;
}

struct script *script_new(void)
{
    struct script *script = mem_alloc(sizeof *script);
    buf_init(&script->bounds.scratch);
    return script;
}

static void close_state(struct script *script)
{
    bounds_close(&script->bounds, script->L);
    script->L = NULL;
    for (size_t i = 0; i < N_ROOTS; i++)
        script->stale[i] = true;
}

void script_free(struct script *script)
{
    if (!script)
        return;
    close_state(script);
    for (size_t i = 0; i < N_ROOTS; i++)
        json_decref(script->roots[i]);
    buf_fini(&script->bounds.scratch);
    mem_free(script);
}

void script_set(struct script *script, const char *root, json_t *value)
{
    size_t i = 0;
    while (i < N_ROOTS && !str_eq(root_names[i], root))
        i++;
    must(i < N_ROOTS);
    json_incref(value);
    json_decref(script->roots[i]);
    script->roots[i] = value;
    script->stale[i] = true;
}

/* ---- Bounds ---- */

/* Without bounds, for making the state and setting roots. */
static void lift_bounds(struct script *script)
{
    bounds_set(&script->bounds, SET_MEMORY_MAX, SIZE_MAX, 1000000000);
}

static void set_bounds(struct script *script)
{
    bounds_set(&script->bounds, script->baseline + NX_EXPR_MEMORY_MAX, CHURN_MAX,
               NX_EXPR_STEPS_MAX);
}

/* ---- The state ---- */

static int open_helpers(lua_State *L)
{
    moment_open(L);
    value_open(L);
    helpers_open(L);
    return 0;
}

static int set_roots(lua_State *L)
{
    struct script *script = lua_touserdata(L, 1);
    for (size_t i = 0; i < N_ROOTS; i++) {
        if (!script->stale[i])
            continue;
        if (str_eq(root_names[i], "outputs"))
            value_push_outputs(L, script->roots[i]);
        else
            value_push(L, script->roots[i], str_eq(root_names[i], "run"));
        lua_setglobal(L, root_names[i]);
        script->stale[i] = false;
    }
    return 0;
}

/* Makes the state if there is none, and sets what is new. Leaves nothing on the stack. */
static bool prepare(struct script *script, struct nx_err *err)
{
    bool any = !script->L;
    lift_bounds(script);
    if (!script->L) {
        close_state(script);
        script->L = bounds_open(&script->bounds, HOOK_EVERY);
        if (!script->L)
            return nx_fail(err, NX_E_MEMORY, "no memory for an expression");
        lua_gc(script->L, LUA_GCSTOP); /* at a bound Lua collects all the same */
        lua_pushcfunction(script->L, open_helpers);
        must(lua_pcall(script->L, 0, 0, 0) == LUA_OK);
    }
    for (size_t i = 0; i < N_ROOTS; i++)
        any = any || script->stale[i];
    if (any) {
        lua_pushcfunction(script->L, set_roots);
        lua_pushlightuserdata(script->L, script);
        if (lua_pcall(script->L, 1, 0, 0) != LUA_OK) {
            nx_fail(err, NX_E_LIMIT, "the values for an expression: %s",
                    luaL_tolstring(script->L, -1, NULL));
            close_state(script);
            return false;
        }
        lua_gc(script->L, LUA_GCCOLLECT);
        script->baseline = script->bounds.memory;
    }
    return true;
}

/* ---- Compiling ---- */

/* "return (" expression "\n)", byte by byte: so what Lua has read when it fails says where. */
struct source {
    const char *text;
    size_t n, at;
};

static const char before[] = "return (", after[] = "\n)";

static const char *read_byte(lua_State *L, void *arg, size_t *n)
{
    (void)L;
    struct source *source = arg;
    size_t i = source->at++, n_before = sizeof before - 1;
    *n = 1;
    if (i < n_before)
        return before + i;
    if (i - n_before < source->n)
        return source->text + (i - n_before);
    i -= n_before + source->n;
    *n = i < sizeof after - 1;
    return *n ? after + i : NULL;
}

static int compile(lua_State *L, struct source *source)
{
    source->at = 0;
    return lua_load(L, read_byte, source, "=expression", "t");
}

/* Lua's message without "expression:1: ". */
static const char *bare_message(const char *message)
{
    const char prefix[] = "expression:";
    if (strncmp(message, prefix, sizeof prefix - 1) != 0)
        return message;
    const char *s = message + sizeof prefix - 1;
    s += strspn(s, "0123456789");
    return strncmp(s, ": ", 2) == 0 ? s + 2 : message;
}

static bool syntax_error(const struct source *source, const char *message, size_t *offset,
                         struct nx_err *err)
{
    message = bare_message(message);
    const char *near = strstr(message, " near ");
    size_t token = near ? strlen(near + 6) : 0;
    if (near && near[6] == '\'')
        token -= 2;
    size_t read = source->at - 1; /* Lua reads one byte beyond the token */
    size_t start = sizeof before - 1 + token;
    size_t at = read > start ? read - start : 0;
    bool at_end = at >= source->n || (near && strstr(near, "<eof>"));
    if (offset)
        *offset = at_end ? source->n : at;
    if (at_end && near)
        return nx_fail(err, NX_E_INVALID, "%.*s at the end of the expression",
                       (int)(near - message), message);
    return nx_fail(err, NX_E_INVALID, "%s%s", message,
                   near && strcmp(near + 6, "'='") == 0 ? " (equality is ==)" : "");
}

bool script_compile(struct script *script, const char *expression, size_t n, size_t *offset,
                    struct nx_err *err)
{
    if (!prepare(script, err))
        return false;
    struct source source = {expression, n, 0};
    set_bounds(script);
    int status = compile(script->L, &source);
    bool ok = status == LUA_OK;
    if (status == LUA_ERRSYNTAX) {
        syntax_error(&source, lua_tostring(script->L, -1), offset, err);
    } else if (!ok) {
        if (offset)
            *offset = 0;
        nx_fail(err, NX_E_LIMIT, "an expression too large to compile");
    }
    lua_settop(script->L, 0);
    return ok;
}

/* ---- Evaluating ---- */

struct job {
    struct script *script;
    const char *expression;
    size_t n;
    enum script_times times;
    json_t **json; /* what is wanted: one of these three */
    struct buf *text;
    bool *truth;
    const char *why; /* the value is none that is wanted */
    bool nil;
};

static int run_job(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    struct source source = {job->expression, job->n, 0};
    if (compile(L, &source) != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    if (job->truth)
        *job->truth = lua_toboolean(L, -1);
    else if (job->text)
        job->nil = !value_text(L, -1, job->text, &job->why) && lua_isnil(L, -1);
    else
        *job->json = value_json(L, -1, job->times, &job->why);
    return 0;
}

/* "expression 'outputs.x > 1'", shortened. */
static void wrap(const char *expression, struct nx_err *err)
{
    size_t n = strlen(expression);
    if (n > 100)
        nx_wrap(err, "expression '%.90s...'", expression);
    else
        nx_wrap(err, "expression '%s'", expression);
}

static bool report(struct job *job, int status, struct nx_err *err)
{
    struct script *script = job->script;
    const char *message = lua_type(script->L, -1) == LUA_TSTRING ? lua_tostring(script->L, -1)
                                                                 : "an error that is no text";
    enum nx_code code = script->bounds.limit_reached ? NX_E_LIMIT : NX_E_INVALID;
    if (status == LUA_ERRMEM)
        nx_fail(err, NX_E_LIMIT, "more than %d KiB of memory", NX_EXPR_MEMORY_MAX / 1024);
    else
        nx_fail(err, code, "%s", bare_message(message));
    wrap(job->expression, err);
    return false;
}

static bool evaluate(struct job *job, struct nx_err *err)
{
    struct script *script = job->script;
    bool may_change = false;
    job->n = strlen(job->expression);
    if (!check_names(job->expression, job->n, &may_change, err)) {
        wrap(job->expression, err);
        return false;
    }
    if (!prepare(script, err))
        return false;
    set_bounds(script);
    lua_pushcfunction(script->L, run_job);
    lua_pushlightuserdata(script->L, job);
    int status = lua_pcall(script->L, 1, 0, 0);
    bool ok = status == LUA_OK ? !job->why : report(job, status, err);
    if (status == LUA_OK && job->why) {
        nx_fail(err, NX_E_INVALID, job->nil ? "it is nil" : "its value is %s", job->why);
        wrap(job->expression, err);
    }
    lua_settop(script->L, 0);
    if (may_change)
        close_state(script); /* a function may have assigned to a table */
    else if (script->bounds.memory > script->baseline + GARBAGE_KEPT)
        lua_gc(script->L, LUA_GCCOLLECT);
    return ok;
}

bool script_eval(struct script *script, const char *expression, enum script_times times,
                 json_t **result, struct nx_err *err)
{
    json_t *value = NULL;
    struct job job = {.script = script, .expression = expression, .times = times, .json = &value};
    if (!evaluate(&job, err))
        return false;
    *result = value;
    return true;
}

bool script_eval_text(struct script *script, const char *expression, char **text, size_t *n,
                      struct nx_err *err)
{
    struct buf value;
    buf_init(&value);
    struct job job = {.script = script, .expression = expression, .text = &value};
    bool ok = evaluate(&job, err);
    if (ok)
        *text = buf_take(&value, n);
    buf_fini(&value);
    return ok;
}

bool script_eval_truth(struct script *script, const char *expression, bool *truth,
                       struct nx_err *err)
{
    bool value = false;
    struct job job = {.script = script, .expression = expression, .truth = &value};
    if (!evaluate(&job, err))
        return false;
    *truth = value;
    return true;
}

bool script_truthy(const json_t *value)
{
    return value && !json_is_null(value) && !json_is_false(value);
}
