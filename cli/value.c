/* JSON values as indented JSON and as YAML, for -o json and -o yaml. */
#include <string.h>
#include <strings.h>

#include "cli/out.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define DEPTH_MAX 64

/* True when the text reads back as itself without quotes, by YAML 1.1 and 1.2. */
static bool is_plain(const char *s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
    double number;
    if (!*s || strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") !=
                   strlen(s))
        return false;
    if (*s == '-' || *s == '.' || (*s >= '0' && *s <= '9') || str_parse_double(s, &number))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(s, words[i]) == 0)
            return false;
    }
    return true;
}

static void add_scalar(struct buf *to, const json_t *value)
{
    if (json_is_string(value) && is_plain(json_string_value(value)))
        buf_str(to, json_string_value(value));
    else if (json_is_object(value))
        buf_str(to, "{}");
    else if (json_is_array(value))
        buf_str(to, "[]");
    else
        js_add(to, value); /* JSON's strings are YAML's double-quoted ones */
}

static bool is_nested(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value) > 0) ||
           (json_is_array(value) && json_array_size(value) > 0);
}

static void indent(struct buf *to, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_str(to, "  ");
}

/* `depth` is bounded: values come from the parser, whose own limit is far above. */
static void add_value(struct buf *to, const json_t *value, int depth, bool after_dash)
{
    const char *key;
    json_t *item;
    size_t i;
    if (!is_nested(value) || depth > DEPTH_MAX) {
        if (is_nested(value))
            js_add(to, value);
        else
            add_scalar(to, value);
        buf_char(to, '\n');
        return;
    }
    if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            if (i || !after_dash)
                indent(to, depth);
            buf_str(to, "- ");
            add_value(to, item, depth + 1, true);
        }
        return;
    }
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        json_t *text = json_string(key);
        if (!first || !after_dash)
            indent(to, depth);
        first = false;
        add_scalar(to, text);
        json_decref(text);
        buf_str(to, is_nested(item) ? ":\n" : ": ");
        bool list = json_is_array(item) && is_nested(item);
        add_value(to, item, is_nested(item) ? depth + !list : depth, false);
    }
}

void out_yaml(const json_t *value, struct buf *to)
{
    add_value(to, value, 0, false);
}

static void add_json(struct buf *to, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    if (!is_nested(value) || depth > DEPTH_MAX) {
        js_add(to, value);
        return;
    }
    bool list = json_is_array(value), first = true;
    buf_char(to, list ? '[' : '{');
    if (list) {
        json_array_foreach(value, i, item)
        {
            buf_str(to, i ? ",\n" : "\n");
            indent(to, depth + 1);
            add_json(to, item, depth + 1);
        }
    } else {
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            buf_str(to, first ? "\n" : ",\n");
            first = false;
            indent(to, depth + 1);
            js_add_string(to, key, strlen(key));
            buf_str(to, ": ");
            add_json(to, item, depth + 1);
        }
    }
    buf_char(to, '\n');
    indent(to, depth);
    buf_char(to, list ? ']' : '}');
}

void out_json(const json_t *value, struct buf *to)
{
    add_json(to, value, 0);
    buf_char(to, '\n');
}
