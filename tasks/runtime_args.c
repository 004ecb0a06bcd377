/* An operator's arguments: nx_arg_*. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/text/json.h"
#include "tasks/runtime.h"

/* The argument, or NULL when it is absent or null. Asking for what the descriptor does not have is
 * a defect of the operator. */
static const json_t *find(const struct nx_ctx *ctx, const char *name)
{
    const struct nx_param *p = ctx->definition->op->params;
    while (p->name && strcmp(p->name, name) != 0)
        p++;
    must(p->name != NULL);
    const json_t *value = json_object_get(ctx->args, name);
    return json_is_null(value) ? NULL : value;
}

/* Results that are made here live in the attempt's arena. */
static struct arena *arena_of(const struct nx_ctx *ctx)
{
    return &((struct nx_ctx *)ctx)->arena;
}

static const char *as_json(const struct nx_ctx *ctx, const json_t *value)
{
    if (!value)
        return "null";
    char *text = js_text(value);
    const char *kept = arena_strdup(arena_of(ctx), text);
    mem_free(text);
    return kept;
}

static const char *as_text(const struct nx_ctx *ctx, const json_t *value)
{
    if (!value)
        return NULL;
    return json_is_string(value) ? json_string_value(value) : as_json(ctx, value);
}

bool nx_arg_given(const struct nx_ctx *ctx, const char *name)
{
    return find(ctx, name) != NULL;
}

bool nx_arg_bool(const struct nx_ctx *ctx, const char *name)
{
    return json_is_true(find(ctx, name));
}

int64_t nx_arg_int(const struct nx_ctx *ctx, const char *name)
{
    const json_t *value = find(ctx, name);
    int64_t bytes;
    if (json_is_integer(value))
        return json_integer_value(value);
    if (json_is_real(value))
        return (int64_t)json_real_value(value);
    return value && js_size_bytes(value, &bytes) ? bytes : 0;
}

double nx_arg_float(const struct nx_ctx *ctx, const char *name)
{
    const json_t *value = find(ctx, name);
    return json_is_number(value) ? json_number_value(value) : 0;
}

int64_t nx_arg_duration_ms(const struct nx_ctx *ctx, const char *name)
{
    const json_t *value = find(ctx, name);
    int64_t ms;
    return value && js_duration_ms(value, &ms) ? ms : 0;
}

const char *nx_arg_text(const struct nx_ctx *ctx, const char *name)
{
    return as_text(ctx, find(ctx, name));
}

const char *nx_arg_json(const struct nx_ctx *ctx, const char *name)
{
    return as_json(ctx, find(ctx, name));
}

size_t nx_arg_count(const struct nx_ctx *ctx, const char *name)
{
    const json_t *value = find(ctx, name);
    return json_is_array(value) ? json_array_size(value) : value != NULL;
}

const char *nx_arg_item(const struct nx_ctx *ctx, const char *name, size_t i)
{
    const json_t *value = find(ctx, name);
    must(i < nx_arg_count(ctx, name));
    return as_text(ctx, json_is_array(value) ? json_array_get(value, i) : value);
}

const char *nx_arg_sql(const struct nx_ctx *ctx, const char *name, size_t *n_values)
{
    const json_t *value = find(ctx, name);
    *n_values = json_array_size(json_object_get(value, "values"));
    return json_is_object(value) ? json_string_value(json_object_get(value, "sql"))
                                 : as_text(ctx, value);
}

const char *nx_arg_sql_value(const struct nx_ctx *ctx, const char *name, size_t i)
{
    const json_t *values = json_object_get(find(ctx, name), "values");
    must(i < json_array_size(values));
    return as_json(ctx, json_array_get(values, i));
}
