/* What an answer says: headers, errors, server-sent events. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/net/fetch.h"

#define EVENT_MAX (1024 * 1024)

bool fetch_header(const struct fetch_response *response, const char *name, char *to, size_t size)
{
    size_t n_name = strlen(name);
    for (const char *line = buf_text(&response->headers); *line;) {
        size_t n = strcspn(line, "\n");
        if (n > n_name && line[n_name] == ':' && strncasecmp(line, name, n_name) == 0) {
            const char *value = line + n_name + 1;
            size_t n_value = n - n_name - 1;
            while (n_value && (*value == ' ' || *value == '\t'))
                value++, n_value--;
            while (n_value && (value[n_value - 1] == ' ' || value[n_value - 1] == '\t'))
                n_value--;
            if (n_value >= size)
                return false;
            memcpy(to, value, n_value);
            to[n_value] = 0;
            return true;
        }
        line += n + (line[n] != 0);
    }
    return false;
}

static enum nx_code code_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
    case 407:
        return NX_E_DENIED;
    case 404:
    case 410:
        return NX_E_NOT_FOUND;
    case 408:
    case 504:
        return NX_E_TIMEOUT;
    case 409:
        return NX_E_CONFLICT;
    case 413:
        return NX_E_LIMIT;
    case 422:
        return NX_E_DATA;
    case 429:
    case 503:
        return NX_E_BUSY;
    case 501:
        return NX_E_UNSUPPORTED;
    default:
        return status >= 400 && status < 500 ? NX_E_INVALID : NX_E_IO;
    }
}

bool fetch_check(const struct fetch_response *response, const char *url, struct nx_err *err)
{
    int status = response->status;
    if ((status >= 200 && status < 300) || status == 304)
        return true;
    json_t *body =
        response->body.len ? json_loadb(response->body.data, response->body.len, 0, NULL) : NULL;
    json_t *error = json_object_get(body, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *code = json_string_value(json_object_get(error, "code"));
    if (message && code) {
        nx_fail(err, nx_code_find(code), "%s", message);
    } else {
        const char *text = buf_text(&response->body);
        size_t n = strcspn(text, "\r\n");
        nx_fail(err, code_of_status(status), "%s: status %d%s%.*s", url, status, n ? ": " : "",
                (int)(n < 300 ? n : 300), text);
    }
    json_decref(body);
    return false;
}

void sse_init(struct sse *sse)
{
    memset(sse, 0, sizeof *sse);
}

void sse_fini(struct sse *sse)
{
    buf_fini(&sse->line);
    buf_fini(&sse->data);
    buf_fini(&sse->event);
    buf_fini(&sse->id);
}

static void take_field(struct sse *sse)
{
    const char *line = buf_text(&sse->line);
    size_t n_name = strcspn(line, ":");
    const char *value = line + n_name + (line[n_name] == ':');
    value += *value == ' ';
    if (n_name == 4 && memcmp(line, "data", 4) == 0) {
        buf_str(&sse->data, value);
        buf_char(&sse->data, '\n');
    } else if (n_name == 5 && memcmp(line, "event", 5) == 0) {
        buf_clear(&sse->event);
        buf_str(&sse->event, value);
    } else if (n_name == 2 && memcmp(line, "id", 2) == 0) {
        buf_clear(&sse->id);
        buf_str(&sse->id, value);
    }
}

static bool end_event(struct sse *sse,
                      bool (*each)(void *, const char *, const char *, const char *), void *arg)
{
    bool go_on = true;
    if (sse->data.len) {
        sse->data.data[--sse->data.len] = 0;
        go_on = each(arg, sse->event.len ? buf_text(&sse->event) : "message", buf_text(&sse->id),
                     buf_text(&sse->data));
    }
    buf_clear(&sse->data);
    buf_clear(&sse->event);
    return go_on;
}

bool sse_add(struct sse *sse, const char *p, size_t n,
             bool (*each)(void *arg, const char *event, const char *id, const char *data),
             void *arg)
{
    for (size_t i = 0; i < n && !sse->overflow; i++) {
        bool second_of_crlf = sse->after_cr && p[i] == '\n';
        sse->after_cr = p[i] == '\r';
        if (second_of_crlf)
            continue;
        if (p[i] != '\r' && p[i] != '\n') {
            sse->overflow = sse->line.len + sse->data.len >= EVENT_MAX;
            buf_char(&sse->line, p[i]);
            continue;
        }
        if (sse->line.len)
            take_field(sse);
        else if (!end_event(sse, each, arg))
            return false;
        buf_clear(&sse->line);
    }
    return !sse->overflow;
}
