#include "lib/text/fill.h"

#include <string.h>

#include "lib/base/str.h"

/* The index of the name that is n bytes long, or n_names. */
static size_t find(const char *name, size_t n, const char *const *names, size_t n_names)
{
    size_t i = 0;
    while (i < n_names && (strlen(names[i]) != n || memcmp(names[i], name, n) != 0))
        i++;
    return i;
}

static bool fail_name(const char *name, size_t n, const char *const *names, size_t n_names,
                      struct nx_err *err)
{
    char given[64];
    n = n < sizeof given ? n : sizeof given - 1;
    memcpy(given, name, n);
    given[n] = 0;
    const char *nearest = str_nearest(given, names, n_names);
    if (nearest)
        return nx_fail(err, NX_E_INVALID, "there is no {%s}; did you mean {%s}?", given, nearest);
    struct buf all;
    buf_init(&all);
    for (size_t i = 0; i < n_names; i++)
        buf_printf(&all, " {%s}", names[i]);
    nx_fail(err, NX_E_INVALID, "there is no {%s}; there are%s", given, buf_text(&all));
    buf_fini(&all);
    return false;
}

bool fill_check(const char *text, const char *const *names, size_t n_names, size_t *offset,
                struct nx_err *err)
{
    for (const char *p = text; *p; p++) {
        if (*p != '{' && *p != '}')
            continue;
        if (offset)
            *offset = (size_t)(p - text);
        if (p[0] == p[1]) {
            p++;
            continue;
        }
        const char *end = *p == '{' ? strpbrk(p + 1, "{}") : NULL;
        if (!end || *end != '}')
            return nx_fail(err, NX_E_INVALID, "a brace of its own is written twice: %c%c", *p, *p);
        size_t n = (size_t)(end - p - 1);
        if (find(p + 1, n, names, n_names) == n_names)
            return fail_name(p + 1, n, names, n_names, err);
        p = end;
    }
    return true;
}

void fill_text(const char *text, const char *const *names, const char *const *values,
               size_t n_names, struct buf *to)
{
    for (const char *p = text; *p; p++) {
        const char *end = p[0] == '{' && p[1] != '{' ? strchr(p, '}') : NULL;
        if (!end) {
            buf_char(to, *p);
            p += (*p == '{' || *p == '}') && p[1] == *p;
            continue;
        }
        size_t i = find(p + 1, (size_t)(end - p - 1), names, n_names);
        if (i < n_names && values[i])
            buf_str(to, values[i]);
        p = end;
    }
}
