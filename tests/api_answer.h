/* Looking at the API's answers in tests. */
#ifndef TESTS_API_ANSWER_H
#define TESTS_API_ANSWER_H

#include "tests/api_world.h"

/* All of these keys (words), and no others. */
static inline void has_keys(const json_t *object, const char *words)
{
    size_t n = 0;
    char name[64];
    const char *p = words;
    while (*p) {
        size_t len = strcspn(p, " ");
        snprintf(name, sizeof name, "%.*s", (int)len, p);
        if (!json_object_get(object, name))
            fail_msg("there is no '%s'", name);
        n++;
        p += len + (p[len] == ' ');
    }
    if (json_object_size(object) != n) {
        char *text = json_dumps(object, JSON_COMPACT);
        fail_msg("more keys than %s: %s", words, text);
    }
}

static inline const json_t *item(const json_t *list, size_t i)
{
    return json_array_get(json_object_get(list, "items"), i);
}

static inline size_t n_items(const json_t *list)
{
    return json_array_size(json_object_get(list, "items"));
}

static inline const char *text_of(const json_t *object, const char *key)
{
    return js_get_text(object, key, "(none)");
}

/* The request fails: status, code, and a part of the message. */
static inline void fails(struct world *world, const char *method, const char *path,
                         const char *body, int status, const char *code, const char *part)
{
    json_t *json = world_json(world, method, path, body, status);
    const json_t *error = json_object_get(json, "error");
    has_keys(json, "error");
    has_keys(error, "code message details");
    assert_string_equal(text_of(error, "code"), code);
    if (!strstr(text_of(error, "message"), part))
        fail_msg("%s is not in: %s", part, text_of(error, "message"));
    json_decref(json);
}

#endif
