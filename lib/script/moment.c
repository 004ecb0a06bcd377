#include "lib/script/moment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "lib/base/time.h"

#define DAY_US (86400ll * 1000000)
/* 0001-01-01 to 9999-12-31, as time_format can write. */
#define DAY_MIN (-719162ll)
#define DAY_MAX 2932896ll

static const char metatable_key = 'm'; /* its address is the key in the registry */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

void moment_push(lua_State *L, enum moment_kind kind, int64_t v)
{
    int64_t day = kind == MOMENT_TIME ? floor_div(v, DAY_US) : v;
    if (kind != MOMENT_DURATION && (day < DAY_MIN || day > DAY_MAX))
        luaL_error(L, "a time outside the years 1 to 9999");
    struct moment *moment = lua_newuserdatauv(L, sizeof *moment, 0);
    *moment = (struct moment){kind, v};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
    lua_setmetatable(L, -2);
}

const struct moment *moment_at(lua_State *L, int index)
{
    const struct moment *moment = lua_touserdata(L, index);
    if (!moment || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? moment : NULL;
}

size_t moment_text(const struct moment *moment, char *to)
{
    char text[TIME_TEXT_MAX];
    if (moment->kind == MOMENT_DURATION)
        return (size_t)snprintf(to, MOMENT_TEXT_MAX, "%.15g", (double)moment->v / 1e6);
    if (moment->kind == MOMENT_DATE)
        return (size_t)snprintf(to, MOMENT_TEXT_MAX, "%.10s",
                                time_format(text, moment->v * (DAY_US / 1000)));
    time_format(text, floor_div(moment->v, 1000));
    int us = (int)(moment->v - floor_div(moment->v, 1000) * 1000);
    size_t whole = strlen(text) - 1; /* without the Z */
    if (us)
        return (size_t)snprintf(to, MOMENT_TEXT_MAX, "%.*s%03dZ", (int)whole, text, us);
    return (size_t)snprintf(to, MOMENT_TEXT_MAX, "%s", text);
}

bool moment_parse(const char *text, int64_t *us, bool *is_date)
{
    int64_t wall_ms;
    if (!time_parse(text, &wall_ms))
        return false;
    *us = wall_ms * 1000;
    *is_date = strlen(text) == 10;
    return true;
}

/* ---- Making ---- */

int moment_date(lua_State *L)
{
    const struct moment *moment = moment_at(L, 1);
    int64_t us = 0;
    bool is_date;
    if (moment && moment->kind == MOMENT_DATE)
        moment_push(L, MOMENT_DATE, moment->v);
    else if (moment && moment->kind == MOMENT_TIME)
        moment_push(L, MOMENT_DATE, floor_div(moment->v, DAY_US));
    else if (lua_type(L, 1) == LUA_TSTRING && moment_parse(lua_tostring(L, 1), &us, &is_date))
        moment_push(L, MOMENT_DATE, floor_div(us, DAY_US));
    else
        return luaL_error(L, "date() takes a text such as \"2001-01-31\" or a time");
    return 1;
}

int moment_time(lua_State *L)
{
    const struct moment *moment = moment_at(L, 1);
    int64_t us = 0;
    bool is_date;
    if (moment && moment->kind == MOMENT_DATE)
        moment_push(L, MOMENT_TIME, moment->v * DAY_US);
    else if (moment && moment->kind == MOMENT_TIME)
        moment_push(L, MOMENT_TIME, moment->v);
    else if (lua_type(L, 1) == LUA_TSTRING && moment_parse(lua_tostring(L, 1), &us, &is_date))
        moment_push(L, MOMENT_TIME, us);
    else
        return luaL_error(L, "time() takes a text such as \"2001-01-31T03:00:00Z\" or a date");
    return 1;
}

/* Any number of units as a duration. */
static int push_scaled(lua_State *L, double n, double unit_us)
{
    double us = n * unit_us;
    if (!(fabs(us) < 9e18))
        return luaL_error(L, "a duration that is too long");
    moment_push(L, MOMENT_DURATION, llround(us));
    return 1;
}

int moment_days(lua_State *L)
{
    return push_scaled(L, luaL_checknumber(L, 1), (double)DAY_US);
}

int moment_hours(lua_State *L)
{
    return push_scaled(L, luaL_checknumber(L, 1), 3600e6);
}

int moment_minutes(lua_State *L)
{
    return push_scaled(L, luaL_checknumber(L, 1), 60e6);
}

int moment_seconds(lua_State *L)
{
    return push_scaled(L, luaL_checknumber(L, 1), 1e6);
}

/* ---- Arithmetic ---- */

static int64_t as_us(const struct moment *moment)
{
    return moment->kind == MOMENT_DATE ? moment->v * DAY_US : moment->v;
}

static int push_sum(lua_State *L, const struct moment *moment, int64_t us)
{
    int64_t sum;
    if (moment->kind == MOMENT_DATE && us % DAY_US == 0) {
        moment_push(L, MOMENT_DATE, moment->v + us / DAY_US);
        return 1;
    }
    if (__builtin_add_overflow(as_us(moment), us, &sum))
        return luaL_error(L, "a time or duration that is too far away");
    moment_push(L, moment->kind == MOMENT_DURATION ? MOMENT_DURATION : MOMENT_TIME, sum);
    return 1;
}

static int on_add(lua_State *L)
{
    const struct moment *a = moment_at(L, 1), *b = moment_at(L, 2);
    if (a && b && b->kind == MOMENT_DURATION)
        return push_sum(L, a, b->v);
    if (a && b && a->kind == MOMENT_DURATION)
        return push_sum(L, b, a->v);
    return luaL_error(L, "to a time only a duration can be added: write days(1), hours(1), ...");
}

static int on_sub(lua_State *L)
{
    const struct moment *a = moment_at(L, 1), *b = moment_at(L, 2);
    if (a && b && b->kind == MOMENT_DURATION && b->v != INT64_MIN)
        return push_sum(L, a, -b->v);
    if (a && b && a->kind != MOMENT_DURATION && b->kind != MOMENT_DURATION) {
        moment_push(L, MOMENT_DURATION, as_us(a) - as_us(b));
        return 1;
    }
    return luaL_error(L, "from a time only a time or a duration can be taken: write days(1), "
                         "hours(1), ...");
}

static int on_mul(lua_State *L)
{
    const struct moment *a = moment_at(L, 1), *b = moment_at(L, 2);
    const struct moment *moment = a ? a : b;
    int number = a ? 2 : 1;
    if (moment->kind != MOMENT_DURATION || lua_type(L, number) != LUA_TNUMBER)
        return luaL_error(L, "only a duration and a number can be multiplied");
    return push_scaled(L, (double)moment->v, lua_tonumber(L, number));
}

static int on_div(lua_State *L)
{
    const struct moment *a = moment_at(L, 1), *b = moment_at(L, 2);
    if (a && b && a->kind == MOMENT_DURATION && b->kind == MOMENT_DURATION && b->v != 0) {
        lua_pushnumber(L, (double)a->v / (double)b->v);
        return 1;
    }
    if (a && a->kind == MOMENT_DURATION && lua_type(L, 2) == LUA_TNUMBER)
        return push_scaled(L, (double)a->v, 1 / lua_tonumber(L, 2));
    return luaL_error(L, "only a duration can be divided, by a number or another duration");
}

static int on_minus(lua_State *L)
{
    const struct moment *a = moment_at(L, 1);
    if (a->kind != MOMENT_DURATION || a->v == INT64_MIN)
        return luaL_error(L, "only a duration has a negative");
    moment_push(L, MOMENT_DURATION, -a->v);
    return 1;
}

/* -1, 0, 1; an error when the two cannot be compared. */
static int compare(lua_State *L)
{
    const struct moment *a = moment_at(L, 1), *b = moment_at(L, 2);
    if (!a || !b || (a->kind == MOMENT_DURATION) != (b->kind == MOMENT_DURATION))
        return luaL_error(L, "a time can be compared with a time or date only, a duration with a "
                             "duration: write date(\"2001-01-31\")");
    int64_t x = as_us(a), y = as_us(b);
    return x < y ? -1 : x > y;
}

static int on_eq(lua_State *L)
{
    const struct moment *a = moment_at(L, 1), *b = moment_at(L, 2);
    bool comparable = a && b && (a->kind == MOMENT_DURATION) == (b->kind == MOMENT_DURATION);
    lua_pushboolean(L, comparable && as_us(a) == as_us(b));
    return 1;
}

static int on_lt(lua_State *L)
{
    lua_pushboolean(L, compare(L) < 0);
    return 1;
}

static int on_le(lua_State *L)
{
    lua_pushboolean(L, compare(L) <= 0);
    return 1;
}

static int on_tostring(lua_State *L)
{
    char text[MOMENT_TEXT_MAX];
    size_t n = moment_text(moment_at(L, 1), text);
    lua_pushlstring(L, text, n);
    return 1;
}

static int on_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

/* ---- Members ---- */

struct parts {
    int64_t year, us; /* us of the day */
    unsigned month, day;
    int64_t days;
};

static struct parts parts_of(const struct moment *moment)
{
    struct parts parts;
    parts.days = moment->kind == MOMENT_DATE ? moment->v : floor_div(moment->v, DAY_US);
    parts.us = as_us(moment) - parts.days * DAY_US;
    time_civil_from_days(parts.days, &parts.year, &parts.month, &parts.day);
    return parts;
}

/* One conversion of format; false: unknown. */
static bool format_one(luaL_Buffer *to, char c, const struct parts *p)
{
    char text[32];
    int second = (int)(p->us / 1000000);
    int year = (int)p->year, month = (int)p->month, day = (int)p->day;
    switch (c) {
    case 'Y':
        snprintf(text, sizeof text, "%04d", year);
        break;
    case 'm':
        snprintf(text, sizeof text, "%02d", month);
        break;
    case 'd':
        snprintf(text, sizeof text, "%02d", day);
        break;
    case 'H':
        snprintf(text, sizeof text, "%02d", second / 3600);
        break;
    case 'M':
        snprintf(text, sizeof text, "%02d", second / 60 % 60);
        break;
    case 'S':
        snprintf(text, sizeof text, "%02d", second % 60);
        break;
    case 'y':
        snprintf(text, sizeof text, "%02d", year % 100);
        break;
    case 'j':
        snprintf(text, sizeof text, "%03d",
                 (int)(p->days - time_days_from_civil(p->year, 1, 1)) + 1);
        break;
    case 'F':
        snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
        break;
    case 'T':
        snprintf(text, sizeof text, "%02d:%02d:%02d", second / 3600, second / 60 % 60, second % 60);
        break;
    case '%':
        snprintf(text, sizeof text, "%%");
        break;
    default:
        return false;
    }
    luaL_addstring(to, text);
    return true;
}

static int method_format(lua_State *L)
{
    const struct moment *moment = moment_at(L, 1);
    size_t n;
    const char *format = luaL_checklstring(L, 2, &n);
    if (!moment || moment->kind == MOMENT_DURATION)
        return luaL_error(L, "format is for times and dates: t:format(\"%%Y-%%m-%%d\")");
    if (n > 256)
        return luaL_error(L, "a format of more than 256 bytes");
    struct parts parts = parts_of(moment);
    luaL_Buffer to;
    luaL_buffinit(L, &to);
    for (size_t i = 0; i < n; i++) {
        if (format[i] != '%')
            luaL_addchar(&to, format[i]);
        else if (!format_one(&to, format[++i], &parts))
            return luaL_error(L, "format knows %%Y %%m %%d %%H %%M %%S %%y %%j %%F %%T and %%%%");
    }
    luaL_pushresult(&to);
    return 1;
}

static bool push_part(lua_State *L, const struct moment *moment, const char *key)
{
    struct parts p = parts_of(moment);
    int64_t second = p.us / 1000000;
    const struct {
        const char *name;
        int64_t v;
    } members[] = {{"year", p.year},
                   {"month", p.month},
                   {"day", p.day},
                   {"hour", second / 3600},
                   {"minute", second / 60 % 60},
                   {"second", second % 60},
                   {"weekday", 1 + (p.days % 7 + 10) % 7}, /* Monday is 1 */
                   {"unix", floor_div(as_us(moment), 1000000)}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strcmp(members[i].name, key) == 0) {
            lua_pushinteger(L, members[i].v);
            return true;
        }
    }
    return false;
}

static int on_index(lua_State *L)
{
    const struct moment *moment = moment_at(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "format") == 0) {
        lua_pushcfunction(L, method_format);
        return 1;
    }
    if (moment->kind == MOMENT_DURATION) {
        double seconds = (double)moment->v / 1e6;
        if (strcmp(key, "seconds") == 0)
            lua_pushnumber(L, seconds);
        else if (strcmp(key, "hours") == 0)
            lua_pushnumber(L, seconds / 3600);
        else if (strcmp(key, "days") == 0)
            lua_pushnumber(L, seconds / 86400);
        else
            return luaL_error(L, "a duration has no '%s': it has seconds, hours and days", key);
        return 1;
    }
    if (!push_part(L, moment, key))
        return luaL_error(L,
                          "a time has no '%s': it has year month day hour minute second weekday "
                          "unix and format",
                          key);
    return 1;
}

void moment_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__add", on_add},
                                           {"__sub", on_sub},
                                           {"__mul", on_mul},
                                           {"__div", on_div},
                                           {"__unm", on_minus},
                                           {"__eq", on_eq},
                                           {"__lt", on_lt},
                                           {"__le", on_le},
                                           {"__index", on_index},
                                           {"__concat", on_concat},
                                           {"__tostring", on_tostring},
                                           {NULL, NULL}};
    lua_newtable(L);
    luaL_setfuncs(L, metamethods, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}
