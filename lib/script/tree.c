#include "lib/script/tree.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/script/moment.h"
#include "lib/script/value.h"
#include "lib/text/json.h"

struct writer {
    lua_State *L;
    struct buf *to, *what;
    size_t max;
    struct buf path; /* of the value that is written: "with.files[2]" */
};

/* Not deeper than TREE_DEPTH_MAX. */
static bool add(struct writer *w, int index, int depth);

static bool fail(struct writer *w, const char *why)
{
    if (w->path.len)
        buf_printf(w->what, "'%s' is %s", buf_text(&w->path), why);
    else
        buf_printf(w->what, "it is %s", why);
    return false;
}

static void leave(struct writer *w, size_t path_len)
{
    w->path.len = path_len;
    if (w->path.data)
        w->path.data[path_len] = 0;
}

static bool add_text(struct writer *w, const char *text, size_t n)
{
    if (memchr(text, 0, n))
        return fail(w, "a text with a zero character");
    if (!str_is_utf8(text, n, NULL))
        return fail(w, "a text that is not UTF-8");
    if (n > w->max)
        return fail(w, "too large");
    js_add_string(w->to, text, n);
    return true;
}

static bool add_real(struct writer *w, double v)
{
    if (!isfinite(v))
        return fail(w, "a number that is not finite");
    json_t *real = json_real(v);
    js_add(w->to, real);
    json_decref(real);
    return true;
}

static bool add_moment(struct writer *w, int index)
{
    char text[MOMENT_TEXT_MAX];
    const struct moment *moment = moment_at(w->L, index);
    if (!moment)
        return fail(w, "a DAG, which is no value");
    if (moment->kind == MOMENT_DURATION && moment->v % 1000000 == 0)
        buf_printf(w->to, "%lld", (long long)(moment->v / 1000000));
    else if (moment->kind == MOMENT_DURATION)
        return add_real(w, (double)moment->v / 1e6);
    else
        js_add_string(w->to, text, moment_text(moment, text));
    return true;
}

static bool add_scalar(struct writer *w, int index)
{
    size_t n;
    const char *text;
    switch (lua_type(w->L, index)) {
    case LUA_TBOOLEAN:
        buf_str(w->to, lua_toboolean(w->L, index) ? "true" : "false");
        return true;
    case LUA_TNUMBER:
        if (!lua_isinteger(w->L, index))
            return add_real(w, lua_tonumber(w->L, index));
        buf_printf(w->to, "%lld", (long long)lua_tointeger(w->L, index));
        return true;
    case LUA_TSTRING:
        text = lua_tolstring(w->L, index, &n);
        return add_text(w, text, n);
    case LUA_TUSERDATA:
        return add_moment(w, index);
    case LUA_TNIL:
        return fail(w, "nil");
    default:
        return fail(w, "a function: call it, or leave it out");
    }
}

static bool add_list(struct writer *w, int index, size_t n, int depth)
{
    bool ok = true;
    size_t path_len = w->path.len;
    buf_char(w->to, '[');
    for (size_t i = 1; i <= n && ok; i++) {
        if (i > 1)
            buf_char(w->to, ',');
        buf_printf(&w->path, "[%zu]", i);
        lua_rawgeti(w->L, index, (lua_Integer)i);
        ok = add(w, lua_gettop(w->L), depth + 1);
        lua_pop(w->L, 1);
        if (ok)
            leave(w, path_len);
    }
    buf_char(w->to, ']');
    return ok;
}

static bool add_member(struct writer *w, int index, const struct value_key *key, int depth)
{
    size_t path_len = w->path.len;
    if (!key->text)
        return fail(w, "a table that is neither a list (from 1, without gaps) nor an object");
    if (!add_text(w, key->text, key->n))
        return false;
    buf_char(w->to, ':');
    buf_printf(&w->path, "%s%.80s", path_len ? "." : "", key->text);
    lua_pushlstring(w->L, key->text, key->n);
    lua_rawget(w->L, index);
    bool ok = add(w, lua_gettop(w->L), depth + 1);
    lua_pop(w->L, 1);
    if (ok)
        leave(w, path_len);
    return ok;
}

static bool add_object(struct writer *w, int index, const struct value_key *keys, size_t n,
                       int depth)
{
    bool ok = true;
    buf_char(w->to, '{');
    for (size_t i = 0; i < n && ok; i++) {
        if (i > 0)
            buf_char(w->to, ',');
        ok = add_member(w, index, &keys[i], depth);
    }
    buf_char(w->to, '}');
    return ok;
}

static bool add_table(struct writer *w, int index, int depth)
{
    struct value_key *keys = NULL;
    size_t n = 0;
    if (!value_keys(w->L, index, &keys, &n))
        return fail(w, "a table whose keys are neither integers nor texts");
    const struct value_key *last = n ? &keys[n - 1] : NULL;
    bool is_list = n && !last->text && keys[0].number == 1 && last->number == (lua_Integer)n;
    bool ok = is_list ? add_list(w, index, n, depth) : add_object(w, index, keys, n, depth);
    mem_free(keys);
    return ok;
}

static bool add(struct writer *w, int index, int depth)
{
    if (depth > TREE_DEPTH_MAX || !lua_checkstack(w->L, 8))
        return fail(w, "a table nested too deep, or one that holds itself");
    if (w->to->len > w->max)
        return fail(w, "too large");
    return lua_type(w->L, index) == LUA_TTABLE ? add_table(w, index, depth) : add_scalar(w, index);
}

bool tree_add(lua_State *L, int index, struct buf *to, size_t max, struct buf *what)
{
    struct writer w = {.L = L, .to = to, .what = what, .max = max};
    buf_init(&w.path);
    bool ok = add(&w, lua_absindex(L, index), 0);
    buf_fini(&w.path);
    return ok;
}
