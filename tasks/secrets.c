#include "tasks/secrets.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/text/conn.h"
#include "lib/text/json.h"

#define MASKED "***"
#define SHORT_MAX 3 /* a line of a secret of so many bytes would mask half of the log */
#define DEPTH_MAX 64

typedef VEC(const char *) text_list;

/* ---- Finding them ---- */

/* How programs write texts in JSON, beside the plain way. */
enum {
    JSON_ASCII = 1, /* only ASCII */
    JSON_CAPITAL = 2 /* \u00E9, not \u00e9 */,
    JSON_SLASH = 4, /* \/ */
    JSON_HTML = 8   /* < > & as \u003c ... */
};

static void add_text(struct nx_ctx *ctx, text_list *list, const char *value, size_t n)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strlen(list->at[i]) == n && memcmp(list->at[i], value, n) == 0)
            return;
    }
    if (list->n < CHILD_MASKS_MAX)
        vec_push(list, arena_strndup(&ctx->arena, value, n));
}

static void put_unit(struct buf *to, unsigned unit, unsigned form)
{
    buf_printf(to, form & JSON_CAPITAL ? "\\u%04X" : "\\u%04x", unit);
}

/* The character of n bytes at p, which are UTF-8. */
static void put_wide(struct buf *to, const unsigned char *p, size_t n, unsigned form)
{
    unsigned c = n == 2 ? p[0] & 0x1fu : n == 3 ? p[0] & 0x0fu : p[0] & 0x07u;
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    if (c >= 0x10000) {
        put_unit(to, 0xd800 + ((c - 0x10000) >> 10), form);
        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    put_unit(to, c, form);
}

static void put_narrow(struct buf *to, char c, unsigned form)
{
    static const char shorts[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const char *at = strchr(shorts, c);
    if (at)
        buf_printf(to, "\\%c", names[at - shorts]);
    else if ((unsigned char)c < 0x20 || (form & JSON_HTML && strchr("<>&", c)))
        put_unit(to, (unsigned char)c, form);
    else if (c == '/' && form & JSON_SLASH)
        buf_str(to, "\\/");
    else
        buf_char(to, c);
}

/* The text as it stands between the quotes of a JSON string. */
static void put_json(struct buf *to, const char *text, unsigned form)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = *p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
        if (n > 1 && form & JSON_ASCII)
            put_wide(to, p, n, form);
        else if (n > 1)
            buf_add(to, p, n);
        else
            put_narrow(to, (char)*p, form);
        p += n;
    }
}

/* As a shell shows its commands, 'it'\''s', and as many programs quote names: a\\b. */
static void put_quoted(struct buf *to, const char *text, const char *special, const char *instead)
{
    for (; *text; text++) {
        if (*text == *special)
            buf_str(to, instead);
        else
            buf_char(to, *text);
    }
}

static void add_form(struct nx_ctx *ctx, text_list *list, struct buf *form)
{
    add_text(ctx, list, buf_text(form), form->len);
    buf_clear(form);
}

/* As the text may stand in what programs write. */
static void add_forms(struct nx_ctx *ctx, text_list *list, const char *value)
{
    static const unsigned forms[] = {
        0, JSON_ASCII, JSON_ASCII | JSON_CAPITAL, JSON_SLASH, JSON_SLASH | JSON_ASCII, JSON_HTML};
    struct buf text;
    bool special = false;
    for (const char *p = value; *p && !special; p++)
        special = (unsigned char)*p < 0x20 || (unsigned char)*p >= 0x80 || strchr("\"\\/<>&'", *p);
    if (!special)
        return;
    buf_init(&text);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        put_json(&text, value, forms[i]);
        add_form(ctx, list, &text);
    }
    put_quoted(&text, value, "'", "'\\''");
    add_form(ctx, list, &text);
    put_quoted(&text, value, "\\", "\\\\");
    add_form(ctx, list, &text);
    buf_fini(&text);
}

static void add_secret(struct nx_ctx *ctx, text_list *list, const char *value)
{
    if (!value[0])
        return;
    add_text(ctx, list, value, strlen(value));
    add_forms(ctx, list, value);
    if (!strpbrk(value, "\r\n"))
        return;
    /* A log shows a secret of several lines (a key) line by line. */
    for (const char *p = value; *p;) {
        size_t n = strcspn(p, "\r\n");
        if (n > SHORT_MAX) {
            const char *line = arena_strndup(&ctx->arena, p, n);
            add_text(ctx, list, line, n);
            add_forms(ctx, list, line);
        }
        p += n;
        p += strspn(p, "\r\n");
    }
}

struct finding {
    struct nx_ctx *ctx;
    text_list *list;
};

static void add_conn_secret(void *arg, const char *text)
{
    struct finding *finding = arg;
    add_secret(finding->ctx, finding->list, text);
}

/* Of the connection that the task names. */
static void add_conn_secrets(struct nx_ctx *ctx, text_list *list, const json_t *context)
{
    struct finding finding = {ctx, list};
    struct conn conn;
    const char *name = js_get_text(ctx->definition->with, "conn", NULL);
    const char *uri =
        name ? js_get_text(json_object_get(context, "connections"), name, NULL) : NULL;
    if (uri && conn_read(uri, &ctx->arena, &conn, NULL))
        conn_secrets(uri, &conn, add_conn_secret, &finding);
}

static void add_secrets(struct nx_ctx *ctx, text_list *list, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    if (json_is_string(value))
        add_secret(ctx, list, json_string_value(value));
    if (depth == DEPTH_MAX)
        return;
    json_object_foreach((json_t *)value, key, item) add_secrets(ctx, list, item, depth + 1);
}

/* Most attempts have none: then the context is not read for them. */
static bool may_have_any(const struct nx_ctx *ctx)
{
    static const char member[] = "\"secrets\":{\"";
    const struct child_text *context = &ctx->start->context;
    return ctx->context ||
           (ctx->definition->op && json_object_get(ctx->definition->with, "conn")) ||
           (context->n && memmem(context->at, context->n, member, sizeof member - 1));
}

void secrets_send(struct nx_ctx *ctx)
{
    text_list list = {0};
    if (!may_have_any(ctx))
        return;
    const json_t *context = runtime_context(ctx, NULL);
    add_secrets(ctx, &list, json_object_get(context, "secrets"), 0);
    if (ctx->definition->op) {
        add_conn_secrets(ctx, &list, context);
        for (const struct nx_param *p = ctx->definition->op->params; p && p->name; p++)
            if (p->flags & NX_P_SECRET)
                add_secrets(ctx, &list, json_object_get(ctx->args, p->name), 0);
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

/* ---- Hiding them ---- */

/* How long the secret is that starts at p, or what the text's end has left of one; 0: none.
 * Shorter ones than `min` are not looked for. */
static size_t secret_at(const struct nx_ctx *ctx, const char *p, const char *end, size_t min)
{
    size_t longest = 0, left = (size_t)(end - p);
    for (size_t i = 0; i < ctx->n_masks; i++) {
        const char *mask = ctx->masks[i];
        if (mask[0] != p[0])
            continue;
        size_t n = strlen(mask);
        if (n >= min && n <= left && n > longest && memcmp(p, mask, n) == 0)
            longest = n;
        else if (n > left && left > SHORT_MAX && memcmp(p, mask, left) == 0)
            return left;
    }
    return longest;
}

static void hide(const struct nx_ctx *ctx, const char *text, size_t min, struct buf *to)
{
    size_t n = strlen(text);
    const char *end = text + n - (str_ends(text, "...") ? 3 : 0);
    if (ctx->n_masks == 0) {
        buf_add(to, text, n);
        return;
    }
    for (const char *p = text; *p;) {
        /* also those that end in points */
        size_t whole = secret_at(ctx, p, text + n, min);
        size_t hidden = !whole && p < end ? secret_at(ctx, p, end, min) : whole;
        if (hidden)
            buf_str(to, MASKED);
        else
            buf_char(to, *p);
        p += hidden ? hidden : 1;
    }
}

void secrets_hide(const struct nx_ctx *ctx, const char *text, struct buf *to)
{
    hide(ctx, text, 1, to);
}

const char *secrets_hidden(struct nx_ctx *ctx, const char *text)
{
    struct buf out;
    if (ctx->n_masks == 0)
        return text;
    buf_init(&out);
    secrets_hide(ctx, text, &out);
    const char *hidden = arena_strdup(&ctx->arena, buf_text(&out));
    buf_fini(&out);
    return hidden;
}

static bool is_secret(const struct nx_ctx *ctx, const char *text)
{
    for (size_t i = 0; i < ctx->n_masks; i++) {
        if (str_eq(ctx->masks[i], text))
            return true;
    }
    return false;
}

static bool is_address(const char *text)
{
    static const char prefix[] = "sha256:";
    size_t n = sizeof prefix - 1;
    return strncmp(text, prefix, n) == 0 && strlen(text) == n + 64 &&
           strspn(text + n, "0123456789abcdef") == 64;
}

static json_t *copy_text(const struct nx_ctx *ctx, const char *text, bool gently)
{
    struct buf out;
    if (gently && is_secret(ctx, text))
        return json_string(MASKED);
    if (gently && is_address(text))
        return js_string(text);
    buf_init(&out);
    hide(ctx, text, gently ? SHORT_MAX + 1 : 1, &out);
    json_t *copy = js_stringn(out.data, out.len);
    buf_fini(&out);
    return copy;
}

static json_t *copy_number(const struct nx_ctx *ctx, const json_t *value)
{
    char text[32];
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    bool hidden = strlen(text) > SHORT_MAX && is_secret(ctx, text);
    return hidden ? json_string(MASKED) : json_incref((json_t *)(uintptr_t)value);
}

static json_t *copy(const struct nx_ctx *ctx, const json_t *value, bool gently, int depth)
{
    const char *key;
    json_t *item, *to;
    size_t i;
    if (depth == DEPTH_MAX)
        return json_string("...");
    if (json_is_string(value))
        return copy_text(ctx, json_string_value(value), gently);
    if (json_is_integer(value))
        return copy_number(ctx, value);
    if (json_is_object(value)) {
        to = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            json_t *name = copy_text(ctx, key, gently);
            json_object_set_new(to, json_string_value(name), copy(ctx, item, gently, depth + 1));
            json_decref(name);
        }
        return to;
    }
    if (json_is_array(value)) {
        to = json_array();
        json_array_foreach(value, i, item)
            json_array_append_new(to, copy(ctx, item, gently, depth + 1));
        return to;
    }
    return json_incref((json_t *)(uintptr_t)value);
}

json_t *secrets_copy(const struct nx_ctx *ctx, const json_t *value, bool gently)
{
    if (ctx->n_masks == 0)
        return json_incref((json_t *)(uintptr_t)value);
    return copy(ctx, value, gently, 0);
}
