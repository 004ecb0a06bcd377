/* Artifacts of an attempt: nx_artifact_*. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "tasks/runtime.h"

static struct artifact_store *open_store(struct nx_ctx *ctx, struct nx_err *err)
{
    struct runtime *runtime = ctx->runtime;
    const char *root = ctx->start->artifacts.at;
    if (!root || !root[0]) {
        nx_fail(err, NX_E_UNSUPPORTED, "this attempt was started without an artifact store");
        return NULL;
    }
    if (runtime->store && strcmp(runtime->store_root, root) == 0)
        return runtime->store;
    struct artifact_store *store;
    if (!artifact_open(root, &store, err))
        return NULL;
    artifact_close(runtime->store);
    runtime->store = store;
    if (!str_copy(runtime->store_root, sizeof runtime->store_root, root))
        runtime->store_root[0] = 0; /* opened again each time */
    return store;
}

bool runtime_keep(struct nx_ctx *ctx, const char *path, const char *kind, const json_t *meta,
                  json_t **reference, struct nx_err *err)
{
    struct artifact_info info;
    struct artifact_store *store = open_store(ctx, err);
    if (!store || !artifact_put(store, path, ARTIFACT_MOVE, &info, err))
        return false;
    json_t *object = json_object(), *value;
    const char *key;
    json_object_set_new(object, "artifact", json_string(info.address));
    json_object_set_new(object, "kind", json_string(kind));
    json_object_set_new(object, "bytes", json_integer((json_int_t)info.n_bytes));
    json_object_foreach((json_t *)meta, key, value)
    {
        if (!json_object_get(object, key))
            json_object_set(object, key, value);
    }
    *reference = object;
    return true;
}

bool nx_artifact_output(struct nx_ctx *ctx, const char *name, const char *path, const char *kind,
                        const char *meta, struct nx_err *err)
{
    json_t *reference, *about = NULL;
    if (meta && !(about = js_read(meta, strlen(meta), "meta", err)))
        return nx_wrap(err, "artifact '%s'", name);
    bool kept = runtime_keep(ctx, path, kind, about, &reference, err);
    json_decref(about);
    return (kept && runtime_output(ctx, name, reference, err)) ||
           nx_wrap(err, "artifact '%s'", name);
}

/* The argument `param`, or with a dot in it ("tables.flights") an entry of an object argument. */
static const json_t *find_reference(const struct nx_ctx *ctx, const char *param)
{
    const char *dot = strchr(param, '.');
    if (!dot)
        return json_object_get(ctx->args, param);
    char *name = mem_strndup(param, (size_t)(dot - param));
    const json_t *value = json_object_get(json_object_get(ctx->args, name), dot + 1);
    mem_free(name);
    return value;
}

const char *nx_artifact_path(struct nx_ctx *ctx, const char *param, const char **meta,
                             struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    const json_t *value = find_reference(ctx, param);
    const char *address = json_is_object(value)
                              ? json_string_value(json_object_get(value, "artifact"))
                              : json_string_value(value);
    if (!address || !artifact_is_address(address)) {
        nx_fail(err, NX_E_INVALID,
                "'%s' is %s, not a reference to an artifact: give an output of another task, such "
                "as ${{ outputs.ingest.table }}",
                param, js_type_name(value));
        return NULL;
    }
    struct artifact_store *store = open_store(ctx, err);
    if (!store || !artifact_path(store, address, path, sizeof path, err)) {
        nx_wrap(err, "'%s'", param);
        return NULL;
    }
    if (meta) {
        char *text = js_text(value);
        *meta = arena_strdup(&ctx->arena, text);
        mem_free(text);
    }
    return arena_strdup(&ctx->arena, path);
}
