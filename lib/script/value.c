#include "lib/script/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/script/moment.h"
#include "lib/text/json.h"

/* Their addresses are keys in the registry. An empty table does not tell whether it is a list, a
 * list with nulls does not tell its length, and an object not which of its members are null:
 * metatables do. At 1 they have the length, or the names. */
static const char empty_object_key = 'o', sparse_list_key = 's';

static int sparse_len(lua_State *L)
{
    lua_getmetatable(L, 1);
    lua_rawgeti(L, -1, 1);
    return 1;
}

void value_open(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &empty_object_key);
    lua_pushcfunction(L, sparse_len);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &sparse_list_key);
}

/* ---- JSON to Lua ---- */

static bool push_tagged(lua_State *L, const json_t *object)
{
    const json_t *us = json_object_get(object, "timestamp_us");
    const json_t *days = json_object_get(object, "date_days");
    const json_t *span = json_object_get(object, "duration_us");
    const json_t *value = us ? us : days ? days : span;
    if (json_object_size(object) != 1 || !json_is_integer(value))
        return false;
    moment_push(L,
                us     ? MOMENT_TIME
                : days ? MOMENT_DATE
                       : MOMENT_DURATION,
                json_integer_value(value));
    return true;
}

static bool push_instant(lua_State *L, const char *key, const json_t *value)
{
    int64_t us;
    bool is_date;
    if (!json_is_string(value) ||
        !(str_eq(key, "start") || str_eq(key, "finish") || str_ends(key, "_at")) ||
        !moment_parse(json_string_value(value), &us, &is_date))
        return false;
    moment_push(L, MOMENT_TIME, us);
    return true;
}

static void push(lua_State *L, const json_t *value, bool times, int depth);

/* The object at the top gets the names of its members that are null. */
static void note_nulls(lua_State *L, json_t *object)
{
    lua_Integer n = 0;
    lua_createtable(L, 1, 0);
    lua_createtable(L, 1, 0);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        if (!json_is_null(json_object_iter_value(it)))
            continue;
        lua_pushstring(L, json_object_iter_key(it));
        lua_rawseti(L, -2, ++n);
    }
    lua_rawseti(L, -2, 1);
    lua_setmetatable(L, -2);
}

static void push_object(lua_State *L, const json_t *object, bool times, int depth)
{
    if (push_tagged(L, object))
        return;
    bool nulls = false;
    json_t *mutable = (json_t *)(uintptr_t)object;
    lua_createtable(L, 0, (int)json_object_size(object));
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it)) {
        const char *key = json_object_iter_key(it);
        json_t *member = json_object_iter_value(it);
        nulls = nulls || json_is_null(member);
        lua_pushstring(L, key);
        if (!times || !push_instant(L, key, member))
            push(L, member, times, depth + 1);
        lua_rawset(L, -3);
    }
    if (json_object_size(object) == 0) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &empty_object_key);
        lua_setmetatable(L, -2);
    } else if (nulls) {
        note_nulls(L, mutable);
    }
}

/* The list at the top has n items, some of which are nil. */
static void note_length(lua_State *L, size_t n)
{
    lua_createtable(L, 1, 1);
    lua_pushinteger(L, (lua_Integer)n);
    lua_rawseti(L, -2, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sparse_list_key);
    lua_setfield(L, -2, "__len");
    lua_setmetatable(L, -2);
}

static void push_list(lua_State *L, const json_t *list, bool times, int depth)
{
    size_t n = json_array_size(list);
    bool sparse = false;
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        sparse = sparse || json_is_null(item);
        push(L, item, times, depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (sparse)
        note_length(L, n);
}

static void push(lua_State *L, const json_t *value, bool times, int depth)
{
    if (depth > VALUE_DEPTH_MAX)
        luaL_error(L, "a value nested deeper than %d levels", VALUE_DEPTH_MAX);
    luaL_checkstack(L, 8, "a value nested too deep");
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        push_object(L, value, times, depth);
        break;
    case JSON_ARRAY:
        push_list(L, value, times, depth);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    case JSON_NULL:
        lua_pushnil(L);
        break;
    }
}

void value_push(lua_State *L, const json_t *value, bool times)
{
    push(L, value, times, 0);
}

/* __index of the outputs of a mapped task: those of that name, in the order of the items; nil when
 * it has instances and none has one. */
static int column(lua_State *L)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1), n_found = 0;
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
        n_found += !lua_isnil(L, -1);
        lua_rawseti(L, 3, i);
        lua_pop(L, 1);
    }
    if (!n_found && n)
        return 0;
    if (n_found < n)
        note_length(L, (size_t)n);
    return 1;
}

void value_push_outputs(lua_State *L, const json_t *outputs)
{
    const char *task;
    json_t *value;
    value_push(L, outputs, false);
    json_object_foreach((json_t *)(uintptr_t)outputs, task, value)
    {
        if (!json_is_array(value))
            continue;
        lua_pushstring(L, task);
        lua_rawget(L, -2);
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, column);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
        lua_pop(L, 1);
    }
}

/* ---- Lua to JSON ---- */

static int compare_keys(const void *p, const void *q)
{
    const struct value_key *a = p, *b = q;
    if (!a->text || !b->text) {
        if (a->text || b->text)
            return a->text ? 1 : -1;
        return a->number < b->number ? -1 : a->number > b->number;
    }
    size_t n = a->n < b->n ? a->n : b->n;
    int order = memcmp(a->text, b->text, n);
    return order ? order : a->n < b->n ? -1 : a->n > b->n;
}

bool value_keys(lua_State *L, int index, struct value_key **keys, size_t *n)
{
    VEC(struct value_key) list = {0};
    bool ok = lua_checkstack(L, 4);
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (ok && lua_next(L, index)) {
        struct value_key key = {0};
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            key.text = lua_tolstring(L, -1, &key.n);
        else if (lua_isinteger(L, -1))
            key.number = lua_tointeger(L, -1);
        else
            ok = false;
        vec_push(&list, key);
    }
    if (!ok) {
        vec_fini(&list);
        return false;
    }
    if (list.n > 1)
        qsort(list.at, list.n, sizeof *list.at, compare_keys);
    *keys = list.at;
    *n = list.n;
    return true;
}

struct conversion {
    lua_State *L;
    enum script_times times;
    const char *why;
    int n_nodes;
};

static json_t *convert(struct conversion *c, int index, int depth);

static json_t *fail(struct conversion *c, const char *why)
{
    c->why = why;
    return NULL;
}

static json_t *convert_list(struct conversion *c, int index, lua_Integer n, int depth)
{
    json_t *list = json_array();
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(c->L, index, i);
        json_t *item = convert(c, lua_gettop(c->L), depth + 1);
        lua_pop(c->L, 1);
        if (!item) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, item);
    }
    return list;
}

struct member {
    struct value_key key; /* first: members are sorted by it */
    json_t *value;
};

static bool read_key(struct conversion *c, struct value_key *key)
{
    *key = (struct value_key){0};
    if (lua_type(c->L, -2) == LUA_TSTRING)
        key->text = lua_tolstring(c->L, -2, &key->n);
    if (!key->text)
        c->why = "a table that is neither a list nor an object";
    else if (strlen(key->text) != key->n || !str_is_utf8(key->text, key->n, NULL))
        c->why = "a key that is not UTF-8 text";
    return !c->why;
}

/* The names of the members that were null when the object came in; false: nothing is pushed. */
static bool push_null_names(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    bool found = lua_rawgeti(L, -1, 1) == LUA_TTABLE;
    lua_remove(L, -2);
    if (!found)
        lua_pop(L, 1);
    return found;
}

static json_t *convert_object(struct conversion *c, int index, int depth)
{
    VEC(struct member) list = {0};
    int top = lua_gettop(c->L);
    lua_pushnil(c->L);
    while (!c->why && lua_next(c->L, index)) {
        struct member member = {0};
        if (read_key(c, &member.key))
            member.value = convert(c, lua_gettop(c->L), depth + 1);
        if (member.value)
            vec_push(&list, member);
        lua_pop(c->L, 1);
    }
    lua_settop(c->L, top);
    if (!c->why && push_null_names(c->L, index)) {
        for (lua_Integer i = 1; lua_rawgeti(c->L, -1, i) == LUA_TSTRING; i++) {
            struct member member = {.value = json_null()};
            member.key.text = lua_tolstring(c->L, -1, &member.key.n);
            if (lua_rawget(c->L, index) == LUA_TNIL) /* takes the name, leaves the member */
                vec_push(&list, member);
            lua_pop(c->L, 1);
        }
        lua_settop(c->L, top);
    }
    if (list.n > 1)
        qsort(list.at, list.n, sizeof *list.at, compare_keys);
    json_t *object = json_object();
    for (size_t i = 0; i < list.n; i++)
        json_object_set_new(object, list.at[i].key.text, list.at[i].value);
    vec_fini(&list);
    if (!c->why)
        return object;
    json_decref(object);
    return NULL;
}

/* The length that a list with nulls carries; -1: none. */
static lua_Integer sparse_length(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return -1;
    lua_rawgeti(L, -1, 1);
    lua_Integer n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    lua_pop(L, 2);
    return n;
}

static bool is_empty_object(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &empty_object_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

static json_t *convert_table(struct conversion *c, int index, int depth)
{
    struct value_key *keys = NULL;
    size_t n = 0;
    json_t *value;
    lua_Integer length = sparse_length(c->L, index);
    if (length >= 0)
        return convert_list(c, index, length, depth);
    if (push_null_names(c->L, index)) {
        lua_pop(c->L, 1);
        return convert_object(c, index, depth);
    }
    if (!value_keys(c->L, index, &keys, &n))
        return fail(c, "a table whose keys are neither integers nor texts");
    if (n == 0)
        value = is_empty_object(c->L, index) ? json_object() : json_array();
    else if (!keys[0].text && keys[0].number == 1 && !keys[n - 1].text &&
             keys[n - 1].number == (lua_Integer)n)
        value = convert_list(c, index, (lua_Integer)n, depth);
    else
        value = convert_object(c, index, depth);
    mem_free(keys);
    return value;
}

static json_t *convert_moment(struct conversion *c, const struct moment *moment)
{
    char text[MOMENT_TEXT_MAX];
    if (moment->kind == MOMENT_DURATION)
        return moment->v % 1000000 == 0 ? json_integer(moment->v / 1000000)
                                        : json_real((double)moment->v / 1e6);
    if (c->times == SCRIPT_TIMES_TYPED)
        return json_pack("{s:I}", moment->kind == MOMENT_TIME ? "timestamp_us" : "date_days",
                         (json_int_t)moment->v);
    size_t n = moment_text(moment, text);
    return json_stringn(text, n);
}

static json_t *convert_scalar(struct conversion *c, int index)
{
    size_t n;
    const char *text;
    const struct moment *moment;
    switch (lua_type(c->L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(c->L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(c->L, index))
            return json_integer(lua_tointeger(c->L, index));
        return isfinite(lua_tonumber(c->L, index)) ? json_real(lua_tonumber(c->L, index))
                                                   : fail(c, "a number that is not finite");
    case LUA_TSTRING:
        text = lua_tolstring(c->L, index, &n);
        return str_is_utf8(text, n, NULL) ? json_stringn(text, n)
                                          : fail(c, "a text that is not UTF-8");
    case LUA_TUSERDATA:
        moment = moment_at(c->L, index);
        return moment ? convert_moment(c, moment) : fail(c, "not a value");
    default:
        return fail(c, "a function, not a value: call it");
    }
}

static json_t *convert(struct conversion *c, int index, int depth)
{
    if (depth > VALUE_DEPTH_MAX || !lua_checkstack(c->L, 8))
        return fail(c, "a value nested too deep");
    if (++c->n_nodes > VALUE_NODES_MAX)
        return fail(c, "a value of more than 250000 parts");
    return lua_type(c->L, index) == LUA_TTABLE ? convert_table(c, index, depth)
                                               : convert_scalar(c, index);
}

json_t *value_json(lua_State *L, int index, enum script_times times, const char **why)
{
    struct conversion c = {L, times, NULL, 0};
    json_t *value = convert(&c, lua_absindex(L, index), 0);
    if (!value)
        *why = c.why;
    return value;
}

bool value_text(lua_State *L, int index, struct buf *to, const char **why)
{
    size_t n;
    if (lua_type(L, index) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, index, &n);
        if (memchr(text, 0, n) || !str_is_utf8(text, n, NULL)) {
            *why = "a text that is not UTF-8, or has a zero character";
            return false;
        }
        buf_add(to, text, n);
        return true;
    }
    if (lua_isnil(L, index)) {
        *why = "nil";
        return false;
    }
    json_t *value = value_json(L, index, SCRIPT_TIMES_TEXT, why);
    if (!value)
        return false;
    if (json_is_string(value))
        buf_str(to, json_string_value(value));
    else
        js_add(to, value);
    json_decref(value);
    return true;
}
