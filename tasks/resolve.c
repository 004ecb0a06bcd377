#include "tasks/resolve.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/vec.h"
#include "lib/script/args.h"
#include "lib/script/template.h"
#include "lib/text/conn.h"
#include "lib/text/json.h"

#define MASKED "***"
#define MASK_LINE_MIN 4 /* a shorter line of a secret would mask half of the log */
#define RESOLVED_MAX (256 * 1024)
#define DEPTH_MAX 64

/* ---- Secrets ---- */

typedef VEC(const char *) text_list;

static void add_mask(struct nx_ctx *ctx, text_list *list, const char *value)
{
    if (!value[0] || list->n == CHILD_MASKS_MAX)
        return;
    vec_push(list, arena_strdup(&ctx->arena, value));
    if (!strchr(value, '\n'))
        return;
    /* A log shows a secret of several lines (a key) line by line. */
    for (const char *p = value; *p;) {
        size_t n = strcspn(p, "\r\n");
        if (n >= MASK_LINE_MIN && list->n < CHILD_MASKS_MAX)
            vec_push(list, arena_strndup(&ctx->arena, p, n));
        p += n;
        p += strspn(p, "\r\n");
    }
}

struct masking {
    struct nx_ctx *ctx;
    text_list *list;
};

static void add_conn_mask(void *arg, const char *text)
{
    struct masking *masking = arg;
    add_mask(masking->ctx, masking->list, text);
}

/* Of the connection that the task names. */
static void add_conn_masks(struct nx_ctx *ctx, text_list *list, const json_t *context)
{
    struct masking masking = {ctx, list};
    struct conn conn;
    const char *name = js_get_text(ctx->definition->with, "conn", NULL);
    const char *uri =
        name ? js_get_text(json_object_get(context, "connections"), name, NULL) : NULL;
    if (uri && conn_read(uri, &ctx->arena, &conn, NULL))
        conn_secrets(uri, &conn, add_conn_mask, &masking);
}

static void add_masks(struct nx_ctx *ctx, text_list *list, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    if (json_is_string(value))
        add_mask(ctx, list, json_string_value(value));
    if (depth == DEPTH_MAX)
        return;
    json_object_foreach((json_t *)value, key, item) add_masks(ctx, list, item, depth + 1);
}

/* Finds the secret values and sends them: nothing was written to the log so far. */
static void send_masks(struct nx_ctx *ctx, const json_t *context)
{
    text_list list = {0};
    add_masks(ctx, &list, json_object_get(context, "secrets"), 0);
    if (ctx->definition->op) {
        add_conn_masks(ctx, &list, context);
        for (const struct nx_param *p = ctx->definition->op->params; p && p->name; p++)
            if (p->flags & NX_P_SECRET)
                add_masks(ctx, &list, json_object_get(ctx->args, p->name), 0);
    }
    if (list.n) {
        struct child_text *texts = arena_array(&ctx->arena, list.n, sizeof *texts);
        for (size_t i = 0; i < list.n; i++)
            texts[i] = child_text(list.at[i]);
        struct child_message message = {.type = CHILD_MASKS};
        message.u.masks.n = (uint32_t)list.n;
        message.u.masks.texts = texts;
        runtime_send(ctx, &message);
        ctx->masks = arena_dup(&ctx->arena, list.at, list.n * sizeof *list.at);
        ctx->n_masks = list.n;
    }
    vec_fini(&list);
}

/* The longest secret that starts here, or 0. */
static size_t secret_at(const struct nx_ctx *ctx, const char *p)
{
    size_t longest = 0;
    for (size_t i = 0; i < ctx->n_masks; i++) {
        size_t n = strlen(ctx->masks[i]);
        if (n > longest && strncmp(p, ctx->masks[i], n) == 0)
            longest = n;
    }
    return longest;
}

const char *resolve_mask(struct nx_ctx *ctx, const char *text)
{
    if (ctx->n_masks == 0)
        return text;
    struct buf out;
    buf_init(&out);
    for (const char *p = text; *p;) {
        size_t n = secret_at(ctx, p);
        if (n)
            buf_str(&out, MASKED);
        else
            buf_char(&out, *p);
        p += n ? n : 1;
    }
    const char *masked = arena_strdup(&ctx->arena, buf_text(&out));
    buf_fini(&out);
    return masked;
}

/* A copy of the value with the secrets in its texts masked. */
static json_t *masked_copy(struct nx_ctx *ctx, const json_t *value, int depth)
{
    const char *key;
    json_t *item, *copy;
    size_t i;
    if (depth == DEPTH_MAX)
        return json_string("...");
    if (json_is_string(value))
        return js_string(resolve_mask(ctx, json_string_value(value)));
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *)value, key, item)
            json_object_set_new(copy, key, masked_copy(ctx, item, depth + 1));
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, item)
            json_array_append_new(copy, masked_copy(ctx, item, depth + 1));
        return copy;
    }
    return json_incref((json_t *)value);
}

/* Sends what the values became; steals `resolved`. Not so large that it would burden the store. */
static void send_resolved(struct nx_ctx *ctx, json_t *resolved)
{
    json_t *masked = masked_copy(ctx, resolved, 0);
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
    return false;
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
        if (json_object_get(d->with, "conn"))
            send_masks(ctx, runtime_context(ctx, err));
        return constant_args(ctx, err) || nx_wrap(err, "%s", d->op->name);
    }
    struct script *script = runtime_script(ctx, err);
    if (!script)
        return false;
    ctx->args = check_args(d, script, err);
    send_masks(ctx, runtime_context(ctx, err)); /* also before an error is shown */
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
    if (lua)
        send_masks(ctx, runtime_context(ctx, err));
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
