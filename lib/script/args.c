#include "lib/script/args.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/vec.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

/* ---- The catalog ---- */

static const json_t *find_named(const json_t *list, const char *name, const char **nearest)
{
    VEC(const char *) names = {0};
    const json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(list) && !found; i++) {
        const json_t *item = json_array_get(list, i);
        const char *candidate = js_get_text(item, "name", "");
        if (str_eq(candidate, name))
            found = item;
        else
            vec_push(&names, candidate);
    }
    if (nearest)
        *nearest = found ? NULL : str_nearest(name, names.at, names.n);
    vec_fini(&names);
    return found;
}

const json_t *catalog_find(const json_t *catalog, const char *name, const char **nearest)
{
    return find_named(catalog, name, nearest);
}

const json_t *catalog_param(const json_t *operator_entry, const char *name, const char **nearest)
{
    return find_named(json_object_get(operator_entry, "params"), name, nearest);
}

const json_t *catalog_output(const json_t *operator_entry, const char *name, const char **nearest)
{
    return find_named(json_object_get(operator_entry, "outputs"), name, nearest);
}

/* ---- One value ---- */

/* A checker of a type: false when the value is none; then `wanted` says what is. It may put a
 * normal form into *normal. */
struct arg_type {
    const char *name;
    const char *wanted;
    bool (*check)(const json_t *value, json_t **normal);
};

static bool is_bool(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_boolean(value);
}

static bool is_int(const json_t *value, json_t **normal)
{
    double v = json_is_real(value) ? json_real_value(value) : NAN;
    if (json_is_integer(value))
        return true;
    if (!(floor(v) == v && fabs(v) < 9e15))
        return false;
    *normal = json_integer((json_int_t)v);
    return true;
}

static bool is_float(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_number(value);
}

static bool is_text(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_string(value);
}

static bool is_name(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_string(value) && json_string_length(value) > 0;
}

static bool is_duration(const json_t *value, json_t **normal)
{
    int64_t ms;
    (void)normal;
    return js_duration_ms(value, &ms);
}

static bool is_size(const json_t *value, json_t **normal)
{
    int64_t bytes;
    (void)normal;
    return js_size_bytes(value, &bytes);
}

/* A time with an offset becomes the same in UTC: databases drop the offset of a text. */
static bool is_time(const json_t *value, json_t **normal)
{
    int64_t wall_ms;
    char utc[TIME_TEXT_MAX];
    if (!js_wall_ms(value, &wall_ms))
        return false;
    const char *text = json_string_value(value);
    size_t n = strlen(text);
    if (n > 10 && text[n - 1] != 'Z' && strpbrk(text + 10, "+-"))
        *normal = json_string(time_format(utc, wall_ms));
    return true;
}

static bool is_date(const json_t *value, json_t **normal)
{
    return json_string_length(value) == 10 && is_time(value, normal);
}

static bool is_sql(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_string(value) || json_is_string(json_object_get(value, "sql"));
}

static bool is_artifact(const json_t *value, json_t **normal)
{
    return is_name(value, normal) || json_is_string(json_object_get(value, "artifact"));
}

static bool is_strings(const json_t *value, json_t **normal)
{
    if (json_is_string(value)) {
        *normal = json_pack("[O]", value);
        return true;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return false;
    }
    return json_is_array(value);
}

static bool is_list(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_array(value);
}

static bool is_object(const json_t *value, json_t **normal)
{
    if (json_is_array(value) && json_array_size(value) == 0)
        *normal = json_object(); /* {} of an expression: Lua does not tell which */
    return json_is_object(value) || *normal;
}

static bool is_connection(const json_t *value, json_t **normal)
{
    (void)normal;
    return json_is_string(value) && str_is_id(json_string_value(value), true);
}

static bool is_any(const json_t *value, json_t **normal)
{
    (void)value;
    (void)normal;
    return true;
}

static const struct arg_type types[] = {
    {"any", "a value", is_any},
    {"bool", "true or false", is_bool},
    {"boolean", "true or false", is_bool},
    {"column", "a column's name", is_name},
    {"connection", "the name of a connection", is_connection},
    {"date", "a date such as \"2001-01-31\"", is_date},
    {"duration", "a duration such as 10s or 1h30m", is_duration},
    {"enum", "one of its choices", is_text},
    {"float", "a number", is_float},
    {"int", "an integer", is_int},
    {"integer", "an integer", is_int},
    {"list", "a list", is_list},
    {"model", "a model (an output of a task)", is_artifact},
    {"number", "a number", is_float},
    {"object", "a mapping", is_object},
    {"size", "a size such as 64M or 2G", is_size},
    {"sql", "SQL text", is_sql},
    {"string", "a string", is_text},
    {"strings", "a list of strings", is_strings},
    {"table", "a table (an output of a task)", is_artifact},
    {"time", "a time such as \"2001-01-31T03:00:00Z\" or \"2001-01-31\"", is_time},
};

static const struct arg_type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_eq(types[i].name, name))
            return &types[i];
    }
    return NULL;
}

bool arg_type_known(const char *name)
{
    return find_type(name) != NULL;
}

/* "3", "'abc'", shortened. */
static const char *shown(const json_t *value, char *to, size_t size)
{
    char *text = js_text(value);
    bool quoted = json_is_string(value);
    size_t n = strlen(text);
    if (quoted) {
        text[0] = '\'';
        text[n - 1] = '\'';
    }
    if (n > 60)
        snprintf(to, size, "%.56s...", text);
    else
        snprintf(to, size, "%s", text);
    mem_free(text);
    return to;
}

/* A text that is meant as a list or an object. */
static bool looks_like_json(const json_t *value)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    text += strspn(text, " \t\n");
    return *text == '[' || *text == '{';
}

static bool wrong_type(const struct arg_type *type, const json_t *value, struct nx_err *err)
{
    char text[80];
    bool container = json_is_object(value) || json_is_array(value);
    if (looks_like_json(value) && (type->check == is_list || type->check == is_object)) {
        struct nx_err why;
        json_t *read = js_read(json_string_value(value), json_string_length(value), "text", &why);
        if (!read)
            return nx_fail(err, NX_E_INVALID, "must be %s, and is no valid JSON: %s", type->wanted,
                           why.text);
        json_decref(read);
    }
    if (container || json_is_null(value))
        return nx_fail(err, NX_E_INVALID, "must be %s, not %s", type->wanted, js_type_name(value));
    nx_fail(err, NX_E_INVALID, "must be %s, not %s %s", type->wanted, js_type_name(value),
            shown(value, text, sizeof text));
    if ((type->check == is_text || type->check == is_name || type->check == is_time) &&
        (json_is_number(value) || json_is_boolean(value)))
        return nx_fail(err, NX_E_INVALID, "must be %s, not %s %s: put it in quotes", type->wanted,
                       js_type_name(value), shown(value, text, sizeof text));
    return false;
}

/* The number that bounds apply to: a duration in seconds, a size in bytes. False: none apply. */
static bool measure(const struct arg_type *type, const json_t *value, double *v)
{
    int64_t whole;
    if (type->check == is_duration && js_duration_ms(value, &whole))
        *v = (double)whole / 1000;
    else if (type->check == is_size && js_size_bytes(value, &whole))
        *v = (double)whole;
    else if ((type->check == is_int || type->check == is_float) && json_is_number(value))
        *v = json_number_value(value);
    else
        return false;
    return true;
}

static bool check_bounds(const struct arg_type *type, const json_t *param, const json_t *value,
                         struct nx_err *err)
{
    double v;
    char text[80];
    const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
    const char *unit = js_get_text(param, "unit", NULL);
    if (!measure(type, value, &v))
        return true;
    bool above = js_get_bool(param, "above_min", false);
    bool low =
        json_is_number(min) && (above ? v <= json_number_value(min) : v < json_number_value(min));
    bool high = json_is_number(max) && v > json_number_value(max);
    if (!low && !high)
        return true;
    return nx_fail(err, NX_E_INVALID, "must be %s %.15g%s%s, not %s",
                   !low    ? "at most"
                   : above ? "above"
                           : "at least",
                   json_number_value(low ? min : max), unit ? " " : "", unit ? unit : "",
                   shown(value, text, sizeof text));
}

static bool check_choices(const json_t *param, const json_t *value, struct nx_err *err)
{
    const json_t *choices = json_object_get(param, "choices");
    VEC(const char *) texts = {0};
    char text[80];
    struct buf list;
    if (json_array_size(choices) == 0)
        return true;
    buf_init(&list);
    bool found = false;
    for (size_t i = 0; i < json_array_size(choices) && !found; i++) {
        json_t *choice = json_array_get(choices, i);
        found =
            json_equal(choice, value) || (json_is_number(choice) && json_is_number(value) &&
                                          json_number_value(choice) == json_number_value(value));
        if (json_is_string(choice))
            vec_push(&texts, json_string_value(choice));
        buf_printf(&list, "%s%s", i ? ", " : "", shown(choice, text, sizeof text));
    }
    const char *nearest =
        json_is_string(value) ? str_nearest(json_string_value(value), texts.at, texts.n) : NULL;
    if (!found && nearest)
        nx_fail(err, NX_E_INVALID, "must be one of %s, not %s; did you mean '%s'?", buf_text(&list),
                shown(value, text, sizeof text), nearest);
    else if (!found)
        nx_fail(err, NX_E_INVALID, "must be one of %s, not %s", buf_text(&list),
                shown(value, text, sizeof text));
    vec_fini(&texts);
    buf_fini(&list);
    return found;
}

/* A reference to an artifact says of what kind it is. */
static bool check_kind(const struct arg_type *type, const json_t *value, struct nx_err *err)
{
    const char *kind = js_get_text(value, "kind", NULL);
    if (type->check != is_artifact || !kind || str_eq(kind, type->name))
        return true;
    return nx_fail(err, NX_E_INVALID, "must be %s, not a %s", type->wanted, kind);
}

bool arg_check(const json_t *param, const json_t *value, json_t **normal, struct nx_err *err)
{
    const char *name = js_get_text(param, "type", "any");
    const struct arg_type *type = find_type(name);
    json_t *changed = NULL;
    if (!type)
        return nx_fail(err, NX_E_INTERNAL, "is described with the unknown type '%s'", name);
    if (!type->check(value, &changed))
        return wrong_type(type, value, err);
    const json_t *checked = changed ? changed : value;
    bool ok = check_kind(type, checked, err) && check_bounds(type, param, checked, err) &&
              check_choices(param, checked, err);
    if (ok && normal)
        *normal = changed ? json_incref(changed) : json_incref((json_t *)(uintptr_t)value);
    json_decref(changed);
    return ok;
}

/* ---- What is inside ---- */

/* Whether these members can be meant: the argument beside is what they ask for, or may be. */
static bool group_applies(const json_t *operator_entry, const json_t *group, const json_t *args)
{
    const json_t *when = json_object_get(group, "when");
    const char *name = js_get_text(when, "param", "");
    if (!when)
        return true;
    const json_t *value = json_object_get(args, name);
    if (!value || json_is_null(value))
        value = json_object_get(catalog_param(operator_entry, name, NULL), "default");
    const char *text = json_string_value(value);
    return !text || strstr(text, "${{") || str_eq(text, js_get_text(when, "value", ""));
}

static bool is_called(const json_t *param, const char *name)
{
    const json_t *also = json_object_get(param, "also");
    for (size_t i = 0; i < json_array_size(also); i++) {
        if (str_eq(json_string_value(json_array_get(also, i)), name))
            return true;
    }
    return false;
}

const json_t *arg_member(const json_t *operator_entry, const json_t *param, const json_t *args,
                         const char *name, char **hint)
{
    const json_t *groups = json_object_get(param, "members"), *found = NULL;
    const char *called = NULL;
    VEC(const char *) names = {0};
    for (size_t i = 0; i < json_array_size(groups) && !found; i++) {
        const json_t *group = json_array_get(groups, i), *params = json_object_get(group, "params");
        for (size_t k = 0;
             group_applies(operator_entry, group, args) && k < json_array_size(params); k++) {
            const json_t *member = json_array_get(params, k);
            vec_push(&names, js_get_text(member, "name", ""));
            if (str_eq(names.at[names.n - 1], name))
                found = member;
            else if (!called && is_called(member, name))
                called = names.at[names.n - 1];
        }
    }
    const char *nearest = called ? called : str_nearest(name, names.at, names.n);
    if (!found && hint) {
        struct buf text;
        buf_init(&text);
        if (nearest)
            buf_printf(&text, called ? "it is called '%s' here" : "did you mean '%s'?", nearest);
        for (size_t i = 0; !nearest && i < names.n; i++)
            buf_printf(&text, "%s%s", i ? ", " : "there are ", names.at[i]);
        *hint = buf_take(&text, NULL);
    }
    vec_fini(&names);
    return found;
}

/* Types that are alike to whom takes a value. */
static const struct {
    const char *type;    /* of the argument */
    const char *outputs; /* that it may be, between blanks; "any" always */
} takes[] = {
    {"bool", " bool "},
    {"int", " int float "},
    {"float", " int float "},
    {"duration", " int float string duration "},
    {"size", " int float string size "},
    {"string", " string enum time column duration size "},
    {"enum", " string enum "},
    {"column", " string enum column "},
    {"time", " string time "},
    {"table", " table string "},
    {"model", " model string "},
    {"connection", " "},
    {"strings", " string enum column strings list "},
    {"list", " strings list object "},
    {"object", " object table model list "},
};

bool arg_takes(const json_t *param, const json_t *output)
{
    const char *type = js_get_text(param, "type", "any");
    const char *given = js_get_text(output, "type", "any");
    char word[40];
    snprintf(word, sizeof word, " %s ", given);
    for (size_t i = 0; i < sizeof takes / sizeof *takes; i++) {
        if (str_eq(takes[i].type, type))
            return str_eq(given, "any") || strstr(takes[i].outputs, word);
    }
    return true;
}

const char *arg_wanted(const json_t *param)
{
    const struct arg_type *type = find_type(js_get_text(param, "type", "any"));
    return type ? type->wanted : "a value";
}

/* ---- An operator's arguments ---- */

static bool find_unknown(const json_t *operator_entry, const json_t *args, struct nx_err *err)
{
    const char *nearest = NULL;
    json_t *mutable = (json_t *)(uintptr_t)args;
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it)) {
        const char *name = json_object_iter_key(it);
        if (catalog_param(operator_entry, name, &nearest))
            continue;
        return nx_fail(err, NX_E_INVALID, "%s has no parameter '%s'%s%s%s",
                       js_get_text(operator_entry, "name", "the operator"), name,
                       nearest ? "; did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
    }
    return true;
}

/* One argument, or its default, or nothing. */
static bool resolve_arg(const json_t *param, const json_t *value, json_t *resolved,
                        struct nx_err *err)
{
    const char *name = js_get_text(param, "name", "");
    json_t *normal = NULL;
    if (!value || json_is_null(value)) {
        const json_t *fallback = json_object_get(param, "default");
        if (js_get_bool(param, "required", false))
            return nx_fail(err, NX_E_INVALID, "the parameter '%s' is required%s", name,
                           value ? ", and its value is null" : "");
        if (fallback && !json_is_null(fallback))
            json_object_set(resolved, name, (json_t *)(uintptr_t)fallback);
        return true;
    }
    if (!arg_check(param, value, &normal, err))
        return nx_wrap(err, "with.%s", name);
    json_object_set_new(resolved, name, normal);
    return true;
}

bool args_check(const json_t *operator_entry, const json_t *args, json_t **resolved,
                struct nx_err *err)
{
    const json_t *params = json_object_get(operator_entry, "params");
    if (!find_unknown(operator_entry, args, err))
        return false;
    json_t *out = json_object();
    for (size_t i = 0; i < json_array_size(params); i++) {
        const json_t *param = json_array_get(params, i);
        const json_t *value = json_object_get(args, js_get_text(param, "name", ""));
        if (!resolve_arg(param, value, out, err)) {
            json_decref(out);
            return false;
        }
    }
    *resolved = out;
    return true;
}

/* ---- A DAG's params ---- */

/* A text as the param's type, or NULL when it stays what it is. */
static json_t *read_text(const char *type, const json_t *value)
{
    const char *text = json_string_value(value);
    int64_t whole;
    double real;
    if (!text || str_eq(type, "string"))
        return NULL;
    if (str_eq(type, "integer") && str_parse_int(text, &whole))
        return json_integer(whole);
    if (str_eq(type, "number") && str_parse_int(text, &whole))
        return json_integer(whole);
    if (str_eq(type, "number") && str_parse_double(text, &real) && isfinite(real))
        return json_real(real);
    if (str_eq(type, "boolean") && (str_eq(text, "true") || str_eq(text, "false")))
        return json_boolean(str_eq(text, "true"));
    if (str_eq(type, "list") || str_eq(type, "object"))
        return js_read(text, strlen(text), "value", NULL);
    return NULL;
}

static void add_mistake(struct buf *mistakes, const char *text)
{
    if (mistakes->len)
        buf_str(mistakes, "; ");
    buf_str(mistakes, text);
}

/* How messages name them. */
struct words {
    const char *owner, *one, *all;
};

static void resolve_param(const struct words *words, const json_t *param, const json_t *given,
                          json_t *resolved, struct buf *mistakes)
{
    const char *name = js_get_text(param, "name", "");
    const json_t *value = json_object_get(given, name);
    struct nx_err err;
    if (!value) {
        const json_t *fallback = json_object_get(param, "default");
        if (js_get_bool(param, "required", false)) {
            nx_fail(&err, NX_E_INVALID, "the %s '%s' is required", words->one, name);
            add_mistake(mistakes, err.text);
        }
        json_object_set_new(resolved, name,
                            fallback ? json_incref((json_t *)(uintptr_t)fallback) : json_null());
        return;
    }
    if (json_is_null(value) && !js_get_bool(param, "required", false)) {
        json_object_set_new(resolved, name, json_null());
        return;
    }
    json_t *read = read_text(js_get_text(param, "type", "any"), value), *normal = NULL;
    if (arg_check(param, read ? read : value, &normal, &err)) {
        json_object_set_new(resolved, name, normal);
    } else {
        nx_wrap(&err, "the %s '%s'", words->one, name);
        add_mistake(mistakes, err.text);
    }
    json_decref(read);
}

static void add_unknown_params(const struct words *words, const json_t *params, const json_t *given,
                               struct buf *mistakes)
{
    json_t *mutable = (json_t *)(uintptr_t)given;
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it)) {
        const char *nearest = NULL, *name = json_object_iter_key(it);
        struct nx_err err;
        if (find_named(params, name, &nearest))
            continue;
        nx_fail(&err, NX_E_INVALID, "%s has no %s '%s'%s%s%s", words->owner, words->one, name,
                nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        add_mistake(mistakes, err.text);
    }
}

static bool check_all(const struct words *words, const json_t *params, const json_t *given,
                      json_t **resolved, struct nx_err *err)
{
    struct buf mistakes;
    if (given && !json_is_object(given) && !json_is_null(given))
        return nx_fail(err, NX_E_INVALID, "%s must be an object, not %s", words->all,
                       js_type_name(given));
    json_t *out = json_object();
    buf_init(&mistakes);
    add_unknown_params(words, params, given, &mistakes);
    for (size_t i = 0; i < json_array_size(params); i++)
        resolve_param(words, json_array_get(params, i), given, out, &mistakes);
    struct buf text;
    buf_init(&text);
    if (mistakes.len == 0)
        js_add(&text, out);
    bool ok = mistakes.len == 0;
    if (!ok)
        nx_fail(err, NX_E_INVALID, "%s", buf_text(&mistakes));
    else if (text.len > NX_PARAMS_MAX)
        ok = nx_fail(err, NX_E_LIMIT, "%s of %zu bytes; at most %d are allowed", words->all,
                     text.len, NX_PARAMS_MAX);
    buf_fini(&text);
    buf_fini(&mistakes);
    if (ok)
        *resolved = out;
    else
        json_decref(out);
    return ok;
}

bool params_check(const json_t *params, const json_t *given, json_t **resolved, struct nx_err *err)
{
    static const struct words words = {"the DAG", "param", "params"};
    return check_all(&words, params, given, resolved, err);
}

bool form_check(const json_t *form, const json_t *given, json_t **resolved, struct nx_err *err)
{
    static const struct words words = {"the form", "field", "values"};
    return check_all(&words, form, given, resolved, err);
}
