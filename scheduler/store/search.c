#include "scheduler/store/search.h"

#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/sql/sql.h"
#include "nexus/states.h"

static const struct {
    const char *name;
    unsigned of; /* enum search_of */
} keys[SEARCH_KEYS] = {[SEARCH_WORD] = {"", 7},
                       [SEARCH_DAG] = {"dag", 7},
                       [SEARCH_OPERATOR] = {"operator", 7},
                       [SEARCH_TASK] = {"task", 7},
                       [SEARCH_STATE] = {"state", 7},
                       [SEARCH_CAUSE] = {"cause", SEARCH_RUNS | SEARCH_TASKS},
                       [SEARCH_TAG] = {"tag", 7},
                       [SEARCH_NOTE] = {"note", SEARCH_RUNS},
                       [SEARCH_SINCE] = {"since", SEARCH_RUNS | SEARCH_TASKS},
                       [SEARCH_UNTIL] = {"until", SEARCH_RUNS | SEARCH_TASKS},
                       [SEARCH_LATE] = {"late", SEARCH_RUNS},
                       [SEARCH_POOL] = {"pool", SEARCH_TASKS},
                       [SEARCH_WORKER] = {"worker", SEARCH_TASKS},
                       [SEARCH_ERROR] = {"error", SEARCH_TASKS},
                       [SEARCH_PAUSED] = {"paused", SEARCH_DAGS},
                       [SEARCH_VALID] = {"valid", SEARCH_DAGS},
                       [SEARCH_SCHEDULE] = {"schedule", SEARCH_DAGS}};

/* ---- Reading ---- */

struct reading {
    struct arena *arena;
    enum search_of of;
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

static const char *state_name(enum search_of of, int i)
{
    if (of == SEARCH_TASKS)
        return i < NX_TASK_STATES ? nx_task_state_name((enum nx_task_state)i) : NULL;
    if (i < NX_RUN_STATES)
        return nx_run_state_name((enum nx_run_state)i);
    return of == SEARCH_DAGS && i == SEARCH_BROKEN ? "broken" : NULL;
}

static bool find_state(enum search_of of, const char *text, int64_t *number, struct nx_err *err)
{
    const char *names[NX_TASK_STATES + 1];
    int n = 0;
    for (; (names[n] = state_name(of, n)) != NULL; n++) {
        if (str_eq(names[n], text)) {
            *number = n;
            return true;
        }
    }
    return fail_nearest(of == SEARCH_TASKS ? "task state" : "run state", text, names, (size_t)n,
                        err);
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

static bool read_truth(const char *key, const char *text, bool *truth, struct nx_err *err)
{
    *truth = str_eq(text, "true");
    return *truth || str_eq(text, "false") ||
           nx_fail(err, NX_E_INVALID, "%s must be true or false, not '%.32s'", key, text);
}

bool search_late(const char *text, bool *late, struct nx_err *err)
{
    return read_truth("late", text, late, err);
}

static bool check_value(const struct reading *r, enum search_key key, struct search_value *value,
                        struct nx_err *err)
{
    const char *text = value->text;
    bool ok, truth = false;
    if (!*text)
        return nx_fail(err, NX_E_INVALID, "'%s:' has no value", keys[key].name);
    switch (key) {
    case SEARCH_STATE:
        return find_state(r->of, text, &value->number, err);
    case SEARCH_CAUSE:
        return find_cause(text, &value->number, err);
    case SEARCH_SINCE:
    case SEARCH_UNTIL:
        return search_time(keys[key].name, text, r->now_ms, &value->number, err);
    case SEARCH_LATE:
    case SEARCH_PAUSED:
    case SEARCH_VALID:
        ok = read_truth(keys[key].name, text, &truth, err);
        value->number = truth;
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
            return nx_fail(err, NX_E_LIMIT, "'%s:' has more than %d values", keys[term->key].name,
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

/* A name of n bytes. */
static bool find_key(const struct reading *r, size_t n, enum search_key *key, struct nx_err *err)
{
    const char *names[SEARCH_KEYS], *name = arena_strndup(r->arena, r->p, n);
    size_t n_names = 0;
    for (*key = SEARCH_DAG; *key < SEARCH_KEYS; ++*key) {
        if (!(keys[*key].of & r->of))
            continue;
        if (str_eq(keys[*key].name, name))
            return true;
        names[n_names++] = keys[*key].name;
    }
    return fail_nearest("key", name, names, n_names, err);
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
    enum search_key key;
    if (!find_key(r, n, &key, err))
        return false;
    term->key = key;
    r->p += n + 1;
    return read_values(r, term, err);
}

bool search_read(struct arena *arena, enum search_of of, const char *text, int64_t now_ms,
                 struct search *search, struct nx_err *err)
{
    struct reading r = {arena, of, text, now_ms};
    struct search_term terms[SEARCH_TERMS_MAX];
    *search = (struct search){.of = of};
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

#define OF_VERSION(list, condition) \
    "exists (select 1 from json_each(v.info, '$." list "') t where " condition ")"
/* Of the DAG's current version. */
#define OF_DAG(list, condition) \
    "exists (select 1 from dag_version v, json_each(v.info, '$." list "') t where v.version =" \
    " d.version and " condition ")"
#define DESCRIPTION \
    "lower(ifnull((select json_extract(v.info, '$.description') from dag_version v" \
    " where v.version = d.version), ''))"
#define BROKEN \
    "exists (select 1 from file_problem p join dag_version v on v.file = p.file" \
    " where v.version = d.version)"

/* What one value says of the version, the run or the DAG; ?%d is its text. NULL: it is a number. */
static const char *const version_conditions[SEARCH_KEYS] = {
    [SEARCH_DAG] = "v.dag glob ?%d",
    [SEARCH_OPERATOR] = OF_VERSION("tasks", "json_extract(t.value, '$.uses') glob ?%d"),
    [SEARCH_TASK] = OF_VERSION("tasks", "json_extract(t.value, '$.id') glob ?%d"),
    [SEARCH_TAG] = OF_VERSION("tags", "lower(t.value) = lower(?%d)"),
};

static const char *const run_conditions[SEARCH_KEYS] = {
    [SEARCH_WORD] = "instr(lower(r.dag), lower(?%d)) or instr(lower(ifnull(r.note, '')), "
                    "lower(?%d)) or cast(r.run as text) = ?%d",
    [SEARCH_NOTE] = "instr(lower(ifnull(r.note, '')), lower(?%d))",
};

static const char *const dag_conditions[SEARCH_KEYS] = {
    [SEARCH_WORD] = "instr(lower(d.id), lower(?%d)) or instr(" DESCRIPTION
                    ", lower(?%d)) or " OF_DAG("tags", "instr(lower(t.value), lower(?%d))"),
    [SEARCH_DAG] = "d.id glob ?%d",
    [SEARCH_OPERATOR] = OF_DAG("tasks", "json_extract(t.value, '$.uses') glob ?%d"),
    [SEARCH_TASK] = OF_DAG("tasks", "json_extract(t.value, '$.id') glob ?%d"),
    [SEARCH_TAG] = OF_DAG("tags", "lower(t.value) = lower(?%d)"),
    [SEARCH_SCHEDULE] = "case when ?%d = 'none' then not " OF_DAG("schedule", "1") " else " OF_DAG(
        "schedule", "instr(lower(t.value), lower(?%d))") " end",
};

static void add_number(struct buf *sql, const struct search *search, enum search_key key,
                       int64_t number)
{
    long long n = number;
    if (search->of == SEARCH_DAGS && key == SEARCH_STATE && n == SEARCH_BROKEN)
        buf_str(sql, BROKEN);
    else if (search->of == SEARCH_DAGS && key == SEARCH_STATE)
        buf_printf(sql,
                   "(select r.state from run r where r.dag = d.id order by r.run desc limit 1) "
                   "is %lld",
                   n);
    else if (key == SEARCH_STATE || key == SEARCH_CAUSE)
        buf_printf(sql, "r.%s = %lld", keys[key].name, n);
    else if (key == SEARCH_LATE)
        buf_printf(sql, "r.late_at is %snull", n ? "not " : "");
    else if (key == SEARCH_PAUSED)
        buf_printf(sql, "d.paused = %lld", n);
    else if (key == SEARCH_VALID)
        buf_printf(sql, "%s " BROKEN, n ? "not" : "");
    else
        buf_printf(sql, "r.created_at %s %lld", key == SEARCH_SINCE ? ">=" : "<", n);
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

static bool is_of_run(enum search_key key)
{
    return key == SEARCH_DAG || key == SEARCH_CAUSE || key == SEARCH_TAG || key == SEARCH_SINCE ||
           key == SEARCH_UNTIL;
}

static bool is_of_version(enum search_key key)
{
    return key == SEARCH_DAG || key == SEARCH_OPERATOR || key == SEARCH_TASK || key == SEARCH_TAG;
}

/* Whether SQL about it decides the term. */
static bool is_decided(const struct search *search, const struct search_term *term,
                       enum search_about about)
{
    if (search->of == SEARCH_DAGS)
        return about == SEARCH_OF_DAG;
    if (about != (is_of_version(term->key) ? SEARCH_OF_VERSION : SEARCH_OF_RUN))
        return false;
    /* A run with a task that fits may have others: what is not so is looked at task by task. */
    return search->of == SEARCH_RUNS || is_of_run(term->key) ||
           (is_of_version(term->key) && !term->not );
}

static const char *condition_of(const struct search_term *term, enum search_about about)
{
    static const char *const *const conditions[] = {[SEARCH_OF_VERSION] = version_conditions,
                                                    [SEARCH_OF_RUN] = run_conditions,
                                                    [SEARCH_OF_DAG] = dag_conditions};
    return conditions[about][term->key];
}

bool search_has(const struct search *search, enum search_about about)
{
    for (size_t i = 0; i < search->n; i++) {
        if (is_decided(search, &search->terms[i], about))
            return true;
    }
    return false;
}

int search_sql(const struct search *search, enum search_about about, int first, struct buf *sql)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        const char *condition = condition_of(term, about);
        if (!is_decided(search, term, about))
            continue;
        buf_printf(sql, " and %s(", term->not ? "not " : "");
        for (size_t k = 0; k < term->n; k++) {
            buf_str(sql, k ? " or " : "");
            if (condition)
                add_text(sql, condition, first++);
            else
                add_number(sql, search, term->key, term->values[k].number);
        }
        buf_char(sql, ')');
    }
    return first;
}

int search_bind(const struct search *search, enum search_about about, int first,
                struct sql_stmt *stmt)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        bool bound = is_decided(search, term, about) && condition_of(term, about);
        for (size_t k = 0; bound && k < term->n; k++)
            sql_bind_text(stmt, first++, term->values[k].text);
    }
    return first;
}

/* ---- One by one ---- */

static bool has_glob(const char *pattern, const char *text)
{
    return text && str_glob(pattern, text, false);
}

static bool has_part(const char *part, const char *text)
{
    return text && strcasestr(text, part) != NULL;
}

static bool value_fits(const struct search_value *value, enum search_key key,
                       const struct search_task *task)
{
    const char *text = value->text;
    switch (key) {
    case SEARCH_WORD:
        return has_part(text, task->id) || has_part(text, task->dag) || has_part(text, task->error);
    case SEARCH_OPERATOR:
        return has_glob(text, task->uses);
    case SEARCH_TASK:
        return has_glob(text, task->id);
    case SEARCH_STATE:
        return value->number == (int64_t)task->state;
    case SEARCH_POOL:
        return has_glob(text, task->pool);
    case SEARCH_WORKER:
        return has_glob(text, task->worker);
    case SEARCH_ERROR:
        return has_part(text, task->error);
    default: /* SQL has looked at it */
        return true;
    }
}

bool search_fits(const struct search *search, const struct search_task *task)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        bool any = false;
        for (size_t k = 0; k < term->n; k++)
            any = any || value_fits(&term->values[k], term->key, task);
        if (!is_of_run(term->key) && any == term->not )
            return false;
    }
    return true;
}

bool search_fits_state(const struct search *search, enum nx_task_state state)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        bool any = false;
        for (size_t k = 0; k < term->n; k++)
            any = any || term->values[k].number == (int64_t)state;
        if (term->key == SEARCH_STATE && any == term->not )
            return false;
    }
    return true;
}

/* It has errors, no schedule, and nothing else. */
static bool value_fits_file(const struct search_value *value, enum search_key key, const char *id)
{
    switch (key) {
    case SEARCH_WORD:
        return has_part(value->text, id);
    case SEARCH_DAG:
        return has_glob(value->text, id);
    case SEARCH_STATE:
        return value->number == SEARCH_BROKEN;
    case SEARCH_PAUSED:
    case SEARCH_VALID:
        return !value->number;
    case SEARCH_SCHEDULE:
        return str_eq(value->text, "none");
    default:
        return false;
    }
}

bool search_fits_file(const struct search *search, const char *id)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct search_term *term = &search->terms[i];
        bool any = false;
        for (size_t k = 0; k < term->n; k++)
            any = any || value_fits_file(&term->values[k], term->key, id);
        if (any == term->not )
            return false;
    }
    return true;
}
