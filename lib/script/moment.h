/* Times, dates and durations as values of expressions. All in UTC, proleptic Gregorian. */
#ifndef LIB_SCRIPT_MOMENT_H
#define LIB_SCRIPT_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

enum moment_kind { MOMENT_TIME, MOMENT_DATE, MOMENT_DURATION };

struct moment {
    enum moment_kind kind;
    int64_t v; /* microseconds since 1970, days since 1970, microseconds */
};

#define MOMENT_TEXT_MAX 48

/* The metatable; once a state. */
void moment_open(lua_State *L);
void moment_push(lua_State *L, enum moment_kind kind, int64_t v);
/* NULL when the value is none. */
const struct moment *moment_at(lua_State *L, int index);
/* RFC 3339, YYYY-MM-DD, or seconds. Returns the length. */
size_t moment_text(const struct moment *moment, char *to);
/* Reads RFC 3339 or YYYY-MM-DD (then *is_date) as microseconds. */
bool moment_parse(const char *text, int64_t *us, bool *is_date);

/* Helpers of expressions: date, time, days, hours, minutes, seconds. */
int moment_date(lua_State *L);
int moment_time(lua_State *L);
int moment_days(lua_State *L);
int moment_hours(lua_State *L);
int moment_minutes(lua_State *L);
int moment_seconds(lua_State *L);

#endif
