/* The parts of str.h that ask the C library for numbers and patterns. They are apart because that
 * library knows a locale: pure modules must be able to use the rest without them. */
#include "lib/base/str.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const struct {
    const char *name;
    int64_t ms;
} duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define DURATION_MAX_MS (36525ll * 86400000)

static bool unit_ms(const char *s, size_t n, int64_t *ms)
{
    for (size_t i = 0; i < sizeof duration_units / sizeof *duration_units; i++) {
        if (strlen(duration_units[i].name) == n && memcmp(duration_units[i].name, s, n) == 0) {
            *ms = duration_units[i].ms;
            return true;
        }
    }
    return false;
}

bool str_parse_duration(const char *s, int64_t *ms)
{
    double total = 0, value;
    if (str_parse_double(s, &value)) {
        total = value * 1000;
    } else if (!*s) {
        return false;
    } else {
        while (*s) {
            char *end;
            int64_t unit;
            if (!is_digit(*s))
                return false;
            value = strtod(s, &end);
            size_t n = 0;
            while (is_lower(end[n]))
                n++;
            if (!unit_ms(end, n, &unit))
                return false;
            total += value * (double)unit;
            s = end + n;
        }
    }
    if (!(total >= 0 && total <= (double)DURATION_MAX_MS))
        return false;
    *ms = (int64_t)(total + 0.5);
    return true;
}

char *str_format_duration(char *to, size_t size, int64_t ms)
{
    size_t n = 0;
    must(size >= 32 && ms >= 0);
    to[0] = 0;
    for (size_t i = 0; i < sizeof duration_units / sizeof *duration_units; i++) {
        int64_t count = ms / duration_units[i].ms;
        if (count)
            n += (size_t)snprintf(to + n, size - n, "%lld%s", (long long)count,
                                  duration_units[i].name);
        ms %= duration_units[i].ms;
    }
    if (!n)
        str_copy(to, size, "0s");
    return to;
}

bool str_parse_size(const char *s, int64_t *bytes)
{
    static const char letters[] = "KMGT";
    char *end;
    if (!is_digit(*s))
        return false;
    double value = strtod(s, &end);
    while (*end == ' ')
        end++;
    const char *letter = *end ? strchr(letters, *end & ~0x20) : NULL;
    if (letter) {
        for (const char *p = letters; p <= letter; p++)
            value *= 1024;
        end++;
        if (*end == 'i')
            end++;
    }
    if (*end == 'B' || *end == 'b')
        end++;
    if (*end || !(value >= 0 && value < 9e18))
        return false;
    *bytes = (int64_t)value;
    return true;
}

bool str_parse_int(const char *s, int64_t *v)
{
    char *end;
    if (!is_digit(*s) && *s != '-' && *s != '+')
        return false;
    errno = 0;
    long long parsed = strtoll(s, &end, 10);
    if (errno || end == s || *end)
        return false;
    *v = parsed;
    return true;
}

bool str_parse_double(const char *s, double *v)
{
    char *end;
    if (!is_digit(*s) && *s != '-' && *s != '+' && *s != '.')
        return false;
    if (strpbrk(s, "xXnN"))
        return false;
    double parsed = strtod(s, &end);
    if (end == s || *end || !isfinite(parsed))
        return false;
    *v = parsed;
    return true;
}

bool str_glob(const char *pattern, const char *s, bool path)
{
    return fnmatch(pattern, s, path ? FNM_PATHNAME : 0) == 0;
}
