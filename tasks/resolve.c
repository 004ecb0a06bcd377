#include "tasks/resolve.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/script/args.h"
#include "lib/script/template.h"
#include "lib/text/json.h"
#include "tasks/secrets.h"

#define MASKED "***"
#define RESOLVED_MAX (256 * 1024)

/* ---- What is kept of it ---- */

/* Sends what the values became; steals `resolved`. Not so large that it would burden the store. */
static void send_resolved(struct nx_ctx *ctx, json_t *resolved)
{
    json_t *masked = secrets_copy(ctx, resolved, false);
    char *text = js_text(masked);
    size_t n = strlen(text);
    if (n > RESOLVED_MAX) {
        mem_free(text);
        json_decref(masked);
        masked = json_pack("{s:I}", "too_large_bytes", (json_int_t)n);
        text = js_text(masked);
    }
    struct child_message message = {.type = CHILD_RESOLVED};
    message.u.resolved.json = child_text(text);
    runtime_send(ctx, &message);
    mem_free(text);
    json_decref(masked);
    json_decref(resolved);
}

/* Says of a secret that the message names whether it is there at all. Returns false. */
static bool fail_missing(const json_t *context, struct nx_err *err)
{
    static const char before[] = "secrets.";
    char name[NX_ID_MAX + 1];
    const char *at = strstr(err->text, before);
    size_t n = 0;
    if (!at)
        return false;
    at += sizeof before - 1;
    while (n < NX_ID_MAX && (isalnum((unsigned char)at[n]) || at[n] == '_'))
        n++;
    memcpy(name, at, n);
    name[n] = 0;
    if (!n || json_object_get(json_object_get(context, "secrets"), name))
        return false;
    return nx_wrap(
        err,
        "there is no secret '%s': `nexus secret set %s` keeps one (a run sees those that "
        "were there when it began)",
        name, name);
}

/* An expression has failed. Returns false; says of a secret that it names why it is not there. */
static bool fail_resolve(struct nx_ctx *ctx, struct nx_err *err)
{
    const char *name;
    json_t *why;
    const json_t *context = runtime_context(ctx, NULL);
    json_object_foreach(json_object_get(context, "unreadable_secrets"), name, why)
    {
        if (strstr(err->text, name))
            return nx_wrap(err, "the secret '%s' cannot be read: %s", name, json_string_value(why));
    }
    return fail_missing(context, err);
}

/* ---- Operators ---- */

static void hide_secret_params(const struct definition *d, json_t *args)
{
    for (const struct nx_param *p = d->op->params; p && p->name; p++)
        if ((p->flags & NX_P_SECRET) && json_object_get(args, p->name))
            json_object_set_new(args, p->name, json_string(MASKED));
}

static json_t *check_args(struct definition *d, struct script *script, struct nx_err *err)
{
    json_t *empty = json_object(), *values = NULL, *args = NULL;
    const json_t *with = d->with ? d->with : empty;
    if (script ? template_eval_json(script, with, d->sql_params, d->n_sql_params, &values, err)
               : (values = json_incref((json_t *)with)) != NULL) {
        if (!args_check(d->entry, values, &args, err))
            args = NULL;
    }
    json_decref(values);
    json_decref(empty);
    return args;
}

/* No expression: the arguments are the same for every attempt. */
static bool constant_args(struct nx_ctx *ctx, struct nx_err *err)
{
    struct definition *d = ctx->definition;
    if (!d->args) {
        struct script *script = NULL;
        if (d->n_sql_params && !(script = runtime_script(ctx, err)))
            return false;
        d->args = check_args(d, script, err);
    }
    ctx->args = json_incref(d->args);
    return d->args != NULL;
}

bool resolve_operator(struct nx_ctx *ctx, struct nx_err *err)
{
    struct definition *d = ctx->definition;
    if (!d->has_expressions) {
        secrets_send(ctx); /* those of the DAG's other tasks may come its way */
        return constant_args(ctx, err) || nx_wrap(err, "%s", d->op->name);
    }
    struct script *script = runtime_script(ctx, err);
    if (!script)
        return false;
    ctx->args = check_args(d, script, err);
    secrets_send(ctx); /* also before an error is shown */
    if (!ctx->args) {
        fail_resolve(ctx, err);
        return nx_wrap(err, "%s", d->op->name);
    }
    json_t *shown = json_copy(ctx->args);
    hide_secret_params(d, shown);
    send_resolved(ctx, json_pack("{s:o}", "with", shown));
    return true;
}

/* ---- Scripts ---- */

void resolved_script_fini(struct resolved_script *script)
{
    json_decref(script->variables);
    json_decref(script->env);
    *script = (struct resolved_script){0};
}

static bool resolve_env(struct script *lua, const json_t *env, json_t *to, struct nx_err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)env, name, value)
    {
        char *text;
        if (!json_is_string(value))
            text = js_text(value);
        else if (!lua || !template_has_expression(json_string_value(value)))
            text = mem_strdup(json_string_value(value));
        else if (!template_eval_text(lua, json_string_value(value), &text, err))
            return nx_wrap(err, "env.%s", name);
        json_object_set_new(to, name, js_string(text));
        mem_free(text);
    }
    return true;
}

static json_t *script_shown(const struct resolved_script *script)
{
    json_t *shown = json_object();
    json_object_set_new(shown, "run", js_string(script->text));
    json_object_set(shown, "variables", script->variables);
    json_object_set(shown, "env", script->env);
    return shown;
}

bool resolve_script(struct nx_ctx *ctx, struct resolved_script *script, struct nx_err *err)
{
    struct definition *d = ctx->definition;
    struct script *lua = NULL;
    char *text;
    *script = (struct resolved_script){.text = d->run};
    if (d->has_expressions && !(lua = runtime_script(ctx, err)))
        return false;
    if (d->env)
        script->env = json_object();
    secrets_send(ctx);
    if (d->env && !resolve_env(lua, d->env, script->env, err))
        return fail_resolve(ctx, err);
    if (!lua)
        return true;
    if (template_has_expression(d->run)) {
        if (!template_eval_run(lua, d->run, d->shell, &text, &script->variables, err))
            return fail_resolve(ctx, err);
        script->text = arena_strdup(&ctx->arena, text);
        mem_free(text);
    }
    send_resolved(ctx, script_shown(script));
    return true;
}
