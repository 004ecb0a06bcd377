#include "lib/text/retention.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/text/json.h"

void retention_init(struct retention *retention)
{
    *retention = (struct retention){RETENTION_UNSAID, RETENTION_UNSAID, RETENTION_UNSAID};
}

static bool is_none(const struct yaml_node *node)
{
    return node->kind == YAML_KIND_SCALAR && str_eq(node->text, "none");
}

static void read_age(const struct yaml_node *node, struct problems *problems, int64_t *ms)
{
    int64_t v;
    if (is_none(node))
        *ms = RETENTION_EVER;
    else if (node->kind == YAML_KIND_SCALAR && str_parse_duration(node->text, &v) && v >= 1000)
        *ms = v;
    else
        yaml_problem(problems, node, "expected a duration of at least 1s such as 90d, or none");
}

static void read_keep(const struct yaml_node *node, struct problems *problems, int64_t *keep)
{
    int64_t v;
    if (is_none(node))
        *keep = RETENTION_EVER;
    else if (yaml_int(node, &v) && v >= 1 && v <= RETENTION_KEEP_MAX)
        *keep = v;
    else
        yaml_problem(problems, node, "expected a number of runs from 1 to %d, or none",
                     RETENTION_KEEP_MAX);
}

void retention_read(const struct yaml_node *node, struct problems *problems,
                    struct retention *retention)
{
    static const char *const names[] = {"runs", "keep", "logs"};
    if (node->kind != YAML_KIND_MAP) {
        read_age(node, problems, &retention->runs_ms);
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_node *key = node->pairs[i].key, *value = node->pairs[i].value;
        const char *nearest = str_nearest(key->text, names, 3);
        if (str_eq(key->text, "runs"))
            read_age(value, problems, &retention->runs_ms);
        else if (str_eq(key->text, "keep"))
            read_keep(value, problems, &retention->keep);
        else if (str_eq(key->text, "logs"))
            read_age(value, problems, &retention->logs_ms);
        else
            yaml_problem(problems, key, "retention knows no '%.64s'; %s%s%s", key->text,
                         nearest ? "did you mean '" : "it knows runs, keep and logs",
                         nearest ? nearest : "", nearest ? "'?" : "");
    }
}

char *retention_text(const struct retention *retention)
{
    json_t *json = json_object();
    if (retention->runs_ms != RETENTION_UNSAID)
        json_object_set_new(json, "runs_ms", json_integer(retention->runs_ms));
    if (retention->keep != RETENTION_UNSAID)
        json_object_set_new(json, "keep", json_integer(retention->keep));
    if (retention->logs_ms != RETENTION_UNSAID)
        json_object_set_new(json, "logs_ms", json_integer(retention->logs_ms));
    char *text = json_object_size(json) ? js_text(json) : NULL;
    json_decref(json);
    return text;
}

void retention_parse(const char *text, struct retention *retention)
{
    json_t *json = text ? js_read(text, strlen(text), "retention", NULL) : NULL;
    retention->runs_ms = js_get_int(json, "runs_ms", RETENTION_UNSAID);
    retention->keep = js_get_int(json, "keep", RETENTION_UNSAID);
    retention->logs_ms = js_get_int(json, "logs_ms", RETENTION_UNSAID);
    json_decref(json);
}

static void fill(int64_t *v, int64_t other)
{
    if (*v == RETENTION_UNSAID)
        *v = other == RETENTION_UNSAID ? RETENTION_EVER : other;
}

void retention_fill(struct retention *retention, const struct retention *other)
{
    fill(&retention->runs_ms, other->runs_ms);
    fill(&retention->keep, other->keep);
    fill(&retention->logs_ms, other->logs_ms);
}
