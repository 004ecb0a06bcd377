#include "nexus/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct nx_code_info codes[NX_CODES] = {
    [NX_OK] = {"ok", 200, false},
    [NX_E_INVALID] = {"invalid", 400, false},
    [NX_E_NOT_FOUND] = {"not_found", 404, false},
    [NX_E_CONFLICT] = {"conflict", 409, false},
    [NX_E_LIMIT] = {"limit", 413, false},
    [NX_E_BUSY] = {"busy", 503, true},
    [NX_E_DENIED] = {"denied", 403, false},
    [NX_E_UNSUPPORTED] = {"unsupported", 501, false},
    [NX_E_DATA] = {"data", 422, false},
    [NX_E_IO] = {"io", 500, true},
    [NX_E_UNREACHABLE] = {"unreachable", 502, true},
    [NX_E_TIMEOUT] = {"timeout", 504, true},
    [NX_E_CANCELLED] = {"cancelled", 409, false},
    [NX_E_MEMORY] = {"memory", 507, true},
    [NX_E_INTERNAL] = {"internal", 500, true},
    [NX_E_UNAUTHENTICATED] = {"unauthenticated", 401, false},
    [NX_E_STALE] = {"stale", 412, false},
};

const struct nx_code_info *nx_code_info(enum nx_code code)
{
    return code < NX_CODES ? &codes[code] : &codes[NX_E_INTERNAL];
}

enum nx_code nx_code_find(const char *name)
{
    for (int i = 0; i < NX_CODES; i++) {
        if (strcmp(codes[i].name, name) == 0)
            return (enum nx_code)i;
    }
    return NX_E_INTERNAL;
}

static void mark_cut(char *text, int wanted)
{
    if (wanted >= NX_ERR_TEXT_MAX)
        memcpy(text + NX_ERR_TEXT_MAX - 4, "...", 4);
}

bool nx_fail(struct nx_err *err, enum nx_code code, const char *format, ...)
{
    if (!err)
        return false;
    char text[NX_ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mark_cut(text, wanted);
    err->code = code;
    memcpy(err->text, text, sizeof text);
    return false;
}

bool nx_wrap(struct nx_err *err, const char *format, ...)
{
    if (!err)
        return false;
    char context[NX_ERR_TEXT_MAX], whole[NX_ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    int wanted = snprintf(whole, sizeof whole, "%s: %s", context, err->text);
    mark_cut(whole, wanted);
    memcpy(err->text, whole, sizeof whole);
    return false;
}
