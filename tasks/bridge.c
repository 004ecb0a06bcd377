/* Until lib/script and lib/artifact are in the tree: enough of them that operators can be tried
 * with constant arguments. Empties itself when they appear, and is removed then. */
#include <string.h>

#include "lib/artifact/artifact.h"
#include "lib/script/args.h"
#include "lib/script/script.h"
#include "lib/script/template.h"

#if !__has_include("lib/script/template.c")

struct script {
    int unused;
};

struct script *script_new(void)
{
    static struct script none;
    return &none;
}

void script_free(struct script *script)
{
    (void)script;
}

void script_set(struct script *script, const char *root, json_t *value)
{
    (void)script;
    (void)root;
    (void)value;
}

bool template_has_expression(const char *text)
{
    return strstr(text, "${{") != NULL;
}

bool template_eval_json(struct script *script, const json_t *with, const char *const *sql_params,
                        size_t n_sql_params, json_t **out, struct nx_err *err)
{
    (void)script;
    (void)err;
    *out = json_deep_copy(with);
    for (size_t i = 0; i < n_sql_params; i++) {
        json_t *text = json_object_get(*out, sql_params[i]);
        if (json_is_string(text))
            json_object_set_new(*out, sql_params[i],
                                json_pack("{s:O, s:[]}", "sql", text, "values"));
    }
    return true;
}

bool template_eval_text(struct script *script, const char *text, char **out, struct nx_err *err)
{
    (void)script;
    (void)out;
    return nx_fail(err, NX_E_UNSUPPORTED, "no expressions yet: %s", text);
}

bool template_eval_run(struct script *script, const char *text, const char *shell, char **out,
                       json_t **variables, struct nx_err *err)
{
    (void)script;
    (void)shell;
    (void)out;
    (void)variables;
    return nx_fail(err, NX_E_UNSUPPORTED, "no expressions yet: %s", text);
}
#endif

#if !__has_include("lib/script/args.c")
bool args_check(const json_t *entry, const json_t *args, json_t **resolved, struct nx_err *err)
{
    json_t *copy = json_deep_copy(args), *param;
    size_t i;
    json_array_foreach(json_object_get(entry, "params"), i, param)
    {
        const char *name = json_string_value(json_object_get(param, "name"));
        json_t *fallback = json_object_get(param, "default");
        if (!json_object_get(copy, name) && fallback)
            json_object_set(copy, name, fallback);
        if (!json_object_get(copy, name) && json_is_true(json_object_get(param, "required"))) {
            json_decref(copy);
            return nx_fail(err, NX_E_INVALID, "parameter '%s' is missing", name);
        }
    }
    *resolved = copy;
    return true;
}
#endif

#if !__has_include("lib/artifact/artifact.c")
bool artifact_open(const char *root, struct artifact_store **store, struct nx_err *err)
{
    (void)store;
    return nx_fail(err, NX_E_UNSUPPORTED, "no artifact store yet: %s", root);
}

void artifact_close(struct artifact_store *store)
{
    (void)store;
}

bool artifact_put(struct artifact_store *store, const char *path, enum artifact_how how,
                  struct artifact_info *info, struct nx_err *err)
{
    (void)store;
    (void)how;
    (void)info;
    return nx_fail(err, NX_E_UNSUPPORTED, "no artifact store yet: %s", path);
}

bool artifact_is_address(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0;
}

bool artifact_path(const struct artifact_store *store, const char *address, char *to, size_t size,
                   struct nx_err *err)
{
    (void)store;
    (void)to;
    (void)size;
    return nx_fail(err, NX_E_UNSUPPORTED, "no artifact store yet: %s", address);
}
#endif
