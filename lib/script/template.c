#include "lib/script/template.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/script/lex.h"
#include "lib/text/json.h"

#define DEPTH_MAX 64

bool template_has_expression(const char *text)
{
    return strstr(text, "${{") != NULL;
}

/* The byte of the "}}" that ends the expression which begins at `from`; n: there is none. */
static size_t find_end(const char *text, size_t n, size_t from)
{
    int depth = 0;
    for (size_t i = from; i < n;) {
        struct token token = lex_next(text, n, i);
        if (token.kind == LEX_END || token.kind == LEX_OPEN)
            return n;
        if (token_is(&token, "{"))
            depth++;
        else if (token_is(&token, "}")) {
            if (depth == 0 && token.start + 1 < n && text[token.start + 1] == '}')
                return token.start;
            depth -= depth > 0;
        }
        i = token.start + token.n;
    }
    return n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct pieces {
    VEC(struct template_piece) list;
    size_t n_expressions;
};

static void add_piece(struct arena *arena, struct pieces *pieces, const char *text, bool expression,
                      size_t start, size_t end)
{
    size_t from = start, to = end;
    if (expression) {
        from += 3;
        to -= 2;
        while (from < to && is_blank(text[from]))
            from++;
        while (to > from && is_blank(text[to - 1]))
            to--;
    } else if (start == end) {
        return;
    }
    pieces->n_expressions += expression;
    struct template_piece piece = {
        expression, arena_strndup(arena, text + from, to - from), to - from, from, start, end};
    vec_push(&pieces->list, piece);
}

bool template_parse(struct arena *arena, const char *text, struct template *template,
                    size_t *offset, struct nx_err *err)
{
    size_t n = strlen(text), i = 0;
    struct pieces pieces = {0};
    bool ok = true;
    while (ok && i < n) {
        const char *open = strstr(text + i, "${{");
        size_t start = open ? (size_t)(open - text) : n;
        add_piece(arena, &pieces, text, false, i, start);
        if (!open)
            break;
        size_t end = find_end(text, n, start + 3);
        if (end == n) {
            ok = nx_fail(err, NX_E_INVALID, "'${{' without its '}}'");
        } else {
            add_piece(arena, &pieces, text, true, start, end + 2);
            if (pieces.list.at[pieces.list.n - 1].n == 0)
                ok = nx_fail(err, NX_E_INVALID, "an empty expression");
        }
        if (!ok && offset)
            *offset = start;
        i = end + 2;
    }
    if (ok)
        *template = (struct template){
            arena_dup(arena, pieces.list.at, pieces.list.n * sizeof *pieces.list.at), pieces.list.n,
            pieces.n_expressions};
    vec_fini(&pieces.list);
    return ok;
}

const struct template_piece *template_single(const struct template *template)
{
    const struct template_piece *single = NULL;
    if (template->n_expressions != 1)
        return NULL;
    for (size_t i = 0; i < template->n; i++) {
        const struct template_piece *piece = &template->at[i];
        if (piece->is_expression)
            single = piece;
        else if (strspn(piece->text, " \t\r\n") != piece->n)
            return NULL;
    }
    return single;
}

/* ---- With values ---- */

static bool fill_in(struct script *script, const struct template *template, struct buf *to,
                    struct nx_err *err)
{
    for (size_t i = 0; i < template->n; i++) {
        const struct template_piece *piece = &template->at[i];
        char *value;
        size_t n;
        if (!piece->is_expression) {
            buf_add(to, piece->text, piece->n);
            continue;
        }
        if (!script_eval_text(script, piece->text, &value, &n, err))
            return false;
        buf_add(to, value, n);
        mem_free(value);
    }
    return true;
}

bool template_eval_text(struct script *script, const char *text, char **out, struct nx_err *err)
{
    struct arena arena;
    struct template template;
    struct buf buf;
    arena_init(&arena);
    buf_init(&buf);
    bool ok =
        template_parse(&arena, text, &template, NULL, err) && fill_in(script, &template, &buf, err);
    if (ok)
        *out = buf_take(&buf, NULL);
    buf_fini(&buf);
    arena_fini(&arena);
    return ok;
}

static json_t *eval_string(struct script *script, const char *text, struct nx_err *err)
{
    struct arena arena;
    struct template template;
    json_t *value = NULL;
    char *filled = NULL;
    if (!template_has_expression(text))
        return json_string(text);
    arena_init(&arena);
    if (template_parse(&arena, text, &template, NULL, err)) {
        const struct template_piece *single = template_single(&template);
        if (single) {
            if (!script_eval(script, single->text, SCRIPT_TIMES_TEXT, &value, err))
                value = NULL;
        } else if (template_eval_text(script, text, &filled, err)) {
            value = js_string(filled);
            mem_free(filled);
        }
    }
    arena_fini(&arena);
    return value;
}

/* A list of texts, of numbers or of booleans, which a database knows too. */
static bool is_plain_list(const json_t *value)
{
    const json_t *first = json_array_get(value, 0);
    bool plain = json_is_array(value);
    for (size_t i = 0; plain && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        plain = (json_is_string(first) && json_is_string(item)) ||
                (json_is_number(first) && json_is_number(item)) ||
                (json_is_boolean(first) && json_is_boolean(item));
    }
    return plain;
}

/* A $n value must be one that a database knows: other lists and objects go in as JSON text. */
static json_t *bound_value(json_t *value)
{
    if (is_plain_list(value))
        return value;
    bool tagged = json_object_get(value, "timestamp_us") || json_object_get(value, "date_days");
    if (!json_is_array(value) && (!json_is_object(value) || tagged))
        return value;
    char *text = js_text(value);
    json_decref(value);
    value = js_string(text);
    mem_free(text);
    return value;
}

static json_t *eval_sql(struct script *script, const char *text, struct nx_err *err)
{
    struct arena arena;
    struct template_bound bound;
    json_t *values = json_array(), *result = NULL;
    arena_init(&arena);
    bool ok = template_sql(&arena, text, &bound, NULL, err);
    for (size_t i = 0; ok && i < bound.n; i++) {
        json_t *value = NULL;
        ok = script_eval(script, bound.expressions[i], SCRIPT_TIMES_TYPED, &value, err);
        if (ok)
            json_array_append_new(values, bound_value(value));
    }
    if (ok) {
        result = json_object();
        json_object_set_new(result, "sql", js_string(bound.text));
        json_object_set(result, "values", values);
    }
    json_decref(values);
    arena_fini(&arena);
    return result;
}

/* A walk over a tree; after a failure `path` is where ("with.a.b[1]"). */
struct walk {
    struct script *script;
    struct buf path;
    int depth;
    struct nx_err *err;
};

static json_t *eval_tree(struct walk *w, const json_t *value);

static void leave(struct walk *w, size_t path_length)
{
    w->path.len = path_length;
    w->path.data[path_length] = 0;
}

static json_t *eval_list(struct walk *w, const json_t *list)
{
    json_t *out = json_array();
    size_t path_length = w->path.len;
    for (size_t i = 0; i < json_array_size(list); i++) {
        buf_printf(&w->path, "[%zu]", i);
        json_t *item = eval_tree(w, json_array_get(list, i));
        if (!item) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, item);
        leave(w, path_length);
    }
    return out;
}

static json_t *eval_object(struct walk *w, const json_t *object)
{
    json_t *out = json_object();
    json_t *mutable = (json_t *)(uintptr_t)object;
    size_t path_length = w->path.len;
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it)) {
        buf_printf(&w->path, ".%s", json_object_iter_key(it));
        json_t *member = eval_tree(w, json_object_iter_value(it));
        if (!member) {
            json_decref(out);
            return NULL;
        }
        json_object_set_new(out, json_object_iter_key(it), member);
        leave(w, path_length);
    }
    return out;
}

static json_t *eval_tree(struct walk *w, const json_t *value)
{
    json_t *out;
    if (json_is_string(value))
        return eval_string(w->script, json_string_value(value), w->err);
    if (!json_is_object(value) && !json_is_array(value))
        return json_incref((json_t *)(uintptr_t)value);
    if (w->depth == DEPTH_MAX) {
        nx_fail(w->err, NX_E_LIMIT, "nested deeper than %d levels", DEPTH_MAX);
        return NULL;
    }
    w->depth++;
    out = json_is_object(value) ? eval_object(w, value) : eval_list(w, value);
    w->depth--;
    return out;
}

static bool is_listed(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(names[i], name))
            return true;
    }
    return false;
}

bool template_eval_json(struct script *script, const json_t *with, const char *const *sql_params,
                        size_t n_sql_params, json_t **out, struct nx_err *err)
{
    json_t *result = json_object();
    json_t *mutable = (json_t *)(uintptr_t)with;
    struct walk w = {.script = script, .err = err};
    bool ok = true;
    buf_init(&w.path);
    for (void *it = json_object_iter(mutable); it && ok; it = json_object_iter_next(mutable, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *value = json_object_iter_value(it);
        bool sql = json_is_string(value) && is_listed(name, sql_params, n_sql_params);
        buf_clear(&w.path);
        buf_printf(&w.path, "with.%s", name);
        json_t *member =
            sql ? eval_sql(script, json_string_value(value), err) : eval_tree(&w, value);
        ok = member ? json_object_set_new(result, name, member) == 0
                    : nx_wrap(err, "%s", buf_text(&w.path));
    }
    buf_fini(&w.path);
    if (ok)
        *out = result;
    else
        json_decref(result);
    return ok;
}

bool template_eval_run(struct script *script, const char *text, const char *shell, char **out,
                       json_t **variables, struct nx_err *err)
{
    struct arena arena;
    struct template_bound bound;
    json_t *values = json_object();
    arena_init(&arena);
    bool ok = template_run(&arena, text, shell, &bound, NULL, err);
    for (size_t i = 0; ok && i < bound.n; i++) {
        char *value, name[32];
        size_t n;
        snprintf(name, sizeof name, "NX_E%zu", i + 1);
        ok = script_eval_text(script, bound.expressions[i], &value, &n, err);
        if (!ok)
            break;
        if (n > TEMPLATE_VARIABLE_MAX)
            ok = nx_fail(
                err, NX_E_LIMIT,
                "the value of '%s' has %zu bytes, but a script's variable at most %d: write "
                "it to an artifact",
                bound.expressions[i], n, TEMPLATE_VARIABLE_MAX);
        else
            json_object_set_new(values, name, js_stringn(value, n));
        mem_free(value);
    }
    if (ok) {
        *out = mem_strdup(bound.text);
        *variables = json_incref(values);
    }
    json_decref(values);
    arena_fini(&arena);
    return ok ? true : nx_wrap(err, "run");
}
