#include "scheduler/store/search.h"

#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/sql/sql.h"
#include "nexus/states.h"

static const char *const keys[SEARCH_KEYS] = {
    [SEARCH_WORD] = "",       [SEARCH_DAG] = "dag",     [SEARCH_OPERATOR] = "operator",
    [SEARCH_TASK] = "task",   [SEARCH_STATE] = "state", [SEARCH_CAUSE] = "cause",
    [SEARCH_TAG] = "tag",     [SEARCH_NOTE] = "note",   [SEARCH_SINCE] = "since",
    [SEARCH_UNTIL] = "until", [SEARCH_LATE] = "late"};

/* ---- Reading ---- */

struct reading {
    struct arena *arena;
    const char *p;
    int64_t now_ms;
};

static bool fail_nearest(const char *what, const char *given, const char *const *names, size_t n,
                         struct nx_err *err)
{
    struct buf all = {0};
    const char *nearest = str_nearest(given, names, n);
    for (size_t i = 0; i < n && !nearest; i++)
        buf_printf(&all, "%s%s", i ? ", " : "; there are: ", names[i]);
    nx_fail(err, NX_E_INVALID, "there is no %s '%.64s'%s%s%s%s", what, given,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
            buf_text(&all));
    buf_fini(&all);
    return false;
}

/* A value or word, up to a space or one of `ends`. */
static bool read_text(struct reading *r, const char *ends, const char **text, struct nx_err *err)
{
    struct buf buf = {0};
    bool quoted = *r->p == '"', closed = !quoted;
    for (r->p += quoted; *r->p && (quoted || (*r->p != ' ' && !strchr(ends, *r->p))); r->p++) {
        if (quoted && *r->p == '"') {
            closed = true;
            r->p++;
            break;
        }
        if (quoted && *r->p == '\\' && (r->p[1] == '"' || r->p[1] == '\\'))
            r->p++;
        buf_char(&buf, *r->p);
    }
    *text = arena_strndup(r->arena, buf_text(&buf), buf.len);
    buf_fini(&buf);
    return closed || nx_fail(err, NX_E_INVALID, "a quote is not closed: \"%.64s", *text);
}

static bool find_state(const char *text, int64_t *number, struct nx_err *err)
{
    const char *names[NX_RUN_STATES];
    for (int i = 0; i < NX_RUN_STATES; i++)
        names[i] = nx_run_state_name((enum nx_run_state)i);
    *number = nx_run_state_find(text);
    return *number >= 0 || fail_nearest("run state", text, names, NX_RUN_STATES, err);
}

static bool find_cause(const char *text, int64_t *number, struct nx_err *err)
{
    const char *names[NX_RUN_CAUSES];
    for (int i = 0; i < NX_RUN_CAUSES; i++) {
        names[i] = nx_cause_name((enum nx_run_cause)i);
        if (str_eq(names[i], text)) {
            *number = i;
            return true;
        }
    }
    return fail_nearest("cause", text, names, NX_RUN_CAUSES, err);
}

bool search_time(const char *key, const char *text, int64_t now_ms, int64_t *ms, struct nx_err *err)
{
    int64_t ago;
    if (str_parse_duration(text, &ago)) {
        *ms = now_ms - ago;
        return true;
    }
    return time_parse(text, ms) ||
           nx_fail(err, NX_E_INVALID,
                   "%s takes a duration (24h), a date (2026-01-31) or an instant, not '%.64s'", key,
                   text);
}

bool search_late(const char *text, bool *late, struct nx_err *err)
{
    *late = str_eq(text, "true");
    return *late || str_eq(text, "false") ||
           nx_fail(err, NX_E_INVALID, "late must be true or false, not '%.32s'", text);
}

static bool check_value(const struct reading *r, enum search_key key, struct search_value *value,
                        struct nx_err *err)
{
    const char *text = value->text;
    bool ok, late = false;
    if (!*text)
        return nx_fail(err, NX_E_INVALID, "'%s:' has no value", keys[key]);
    switch (key) {
    case SEARCH_STATE:
        return find_state(text, &value->number, err);
    case SEARCH_CAUSE:
        return find_cause(text, &value->number, err);
    case SEARCH_SINCE:
    case SEARCH_UNTIL:
        return search_time(keys[key], text, r->now_ms, &value->number, err);
    case SEARCH_LATE:
        ok = search_late(text, &late, err);
        value->number = late;
        return ok;
    default:
        return true;
    }
}

static bool read_values(struct reading *r, struct search_term *term, struct nx_err *err)
{
    struct search_value values[SEARCH_VALUES_MAX];
    do {
        r->p += term->n > 0; /* the comma */
        if (term->n == SEARCH_VALUES_MAX)
            return nx_fail(err, NX_E_LIMIT, "'%s:' has more than %d values", keys[term->key],
                           SEARCH_VALUES_MAX);
        struct search_value *value = &values[term->n++];
        *value = (struct search_value){0};
        if (!read_text(r, ",", &value->text, err) || !check_value(r, term->key, value, err))
            return false;
    } while (*r->p == ',');
    term->values = arena_dup(r->arena, values, term->n * sizeof *values);
    return true;
}

/* The length of "key:" here; 0: it is a word. */
static size_t key_length(const char *p)
{
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
    return n && p[n] == ':' ? n : 0;
}

static bool read_term(struct reading *r, struct search_term *term, struct nx_err *err)
{
    *term = (struct search_term){0};
    if (*r->p == '-' && r->p[1] && r->p[1] != ' ') {
        term->not = true;
        r->p++;
    }
    size_t n = key_length(r->p);
    if (!n) {
        struct search_value word = {0};
        if (!read_text(r, "", &word.text, err))
            return false;
        term->n = 1;
        term->values = arena_dup(r->arena, &word, sizeof word);
        return true;
    }
    const char *name = arena_strndup(r->arena, r->p, n);
    enum search_key key = SEARCH_DAG;
    while (key < SEARCH_KEYS && !str_eq(keys[key], name))
        key++;
    if (key == SEARCH_KEYS)
        return fail_nearest("key", name, keys + 1, SEARCH_KEYS - 1, err);
    term->key = key;
    r->p += n + 1;
    return read_values(r, term, err);
}

bool search_read(struct arena *arena, const char *text, int64_t now_ms, struct search *search,
                 struct nx_err *err)
{
    struct reading r = {arena, text, now_ms};
    struct search_term terms[SEARCH_TERMS_MAX];
    *search = (struct search){0};
    for (;;) {
        r.p += strspn(r.p, " ");
        if (!*r.p)
            break;
        if (search->n == SEARCH_TERMS_MAX)
            return nx_fail(err, NX_E_LIMIT, "a search has at most %d terms", SEARCH_TERMS_MAX);
        if (!read_term(&r, &terms[search->n], err))
            return false;
        search->n++;
    }
    search->terms = search->n ? arena_dup(arena, terms, search->n * sizeof *terms) : NULL;
    return true;
}

/* ---- As SQL ---- */

#define OF_A_TASK(member) \
    "exists (select 1 from json_each(v.info, '$.tasks') t" \
    " where json_extract(t.value, '$." member "') glob ?%d)"

/* What one value says of the run or the version; ?%d is its text. NULL: it is a number. */
static const char *const text_conditions[SEARCH_KEYS] = {
    [SEARCH_WORD] = "instr(lower(r.dag), lower(?%d)) or instr(lower(ifnull(r.note, '')), "
                    "lower(?%d)) or cast(r.run as text) = ?%d",
    [SEARCH_DAG] = "v.dag glob ?%d",
    [SEARCH_OPERATOR] = OF_A_TASK("uses"),
    [SEARCH_TASK] = OF_A_TASK("id"),
    [SEARCH_TAG] = "exists (select 1 from json_each(v.info, '$.tags') t where t.value = ?%d)",
    [SEARCH_NOTE] = "instr(lower(ifnull(r.note, '')), lower(?%d))",
};

static enum search_about about_of(enum search_key key)
{
    bool version =
        key == SEARCH_DAG || key == SEARCH_OPERATOR || key == SEARCH_TASK || key == SEARCH_TAG;
    return version ? SEARCH_OF_VERSION : SEARCH_OF_RUN;
}

static void add_number(struct buf *sql, enum search_key key, int64_t number)
{
    if (key == SEARCH_STATE || key == SEARCH_CAUSE)
        buf_printf(sql, "r.%s = %lld", keys[key], (long long)number);
    else if (key == SEARCH_LATE)
        buf_printf(sql, "r.late_at is %snull", number ? "not " : "");
    else
        buf_printf(sql, "r.created_at %s %lld", key == SEARCH_SINCE ? ">=" : "<",
                   (long long)number);
}

/* The condition with the parameter's number in place of each %d. */
static void add_text(struct buf *sql, const char *condition, int parameter)
{
    for (const char *p = condition; *p; p++) {
        if (p[0] == '%' && p[1] == 'd') {
            buf_printf(sql, "%d", parameter);
            p++;
        } else {
            buf_char(sql, *p);
        }
    }
}

size_t search_sql(const struct search *search, enum search_about about, int first, struct buf *sql)
{
    size_t n = 0;
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        if (about_of(term->key) != about)
            continue;
        n++;
        buf_printf(sql, " and %s(", term->not ? "not " : "");
        for (size_t k = 0; k < term->n; k++) {
            buf_str(sql, k ? " or " : "");
            if (text_conditions[term->key])
                add_text(sql, text_conditions[term->key], first++);
            else
                add_number(sql, term->key, term->values[k].number);
        }
        buf_char(sql, ')');
    }
    return n;
}

void search_bind(const struct search *search, enum search_about about, int first,
                 struct sql_stmt *stmt)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        if (about_of(term->key) != about)
            continue;
        for (size_t k = 0; k < term->n && text_conditions[term->key]; k++)
            sql_bind_text(stmt, first++, term->values[k].text);
    }
}
