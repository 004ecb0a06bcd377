/* data.validate: checks a table against what is expected of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "tasks/data/tables.h"

#define EXAMPLES 5
#define CHECKS_MAX 1000
#define MESSAGES_SHOWN 5

enum kind { ROWS, TYPE, NULLS, RANGE, UNIQUE, VALUES, PATTERN, CONDITION, KINDS };

static const char *const kind_names[KINDS] = {"rows",   "type",   "nulls",   "range",
                                              "unique", "values", "pattern", "condition"};

/* One check of one column (or of several: unique; or of none: rows, condition). */
struct check {
    enum kind kind;
    const json_t *spec;
    const char *column; /* or NULL */
    size_t at;          /* its place among `checks` */
    bool absent;        /* its column is not there: it does not hold */
    struct buf bad;     /* a condition that is true of the rows that break it; empty: none */
    int64_t n_bad;
    bool warn;
};

struct job {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct arena arena;
    const struct table_info *info;
    json_t *specs;
    VEC(struct check) checks;
    json_t *failures;
    struct buf messages; /* of those with severity fail */
    int64_t n_fail, n_warn;
};

/* ---- Reading the checks ---- */

static bool find_kind(const json_t *spec, size_t at, enum kind *kind, struct nx_err *err)
{
    const char *name = json_string_value(json_object_get(spec, "check"));
    for (int k = 0; name && k < KINDS; k++) {
        if (str_eq(name, kind_names[k])) {
            *kind = (enum kind)k;
            return true;
        }
    }
    const char *nearest = name ? str_nearest(name, kind_names, KINDS) : NULL;
    return nx_fail(err, NX_E_INVALID,
                   "checks[%zu]: `check` is rows, type, nulls, range, unique, values, pattern or "
                   "condition, not '%s'%s%s%s",
                   at, name ? name : "", nearest ? "; did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "");
}

static bool check_keys(const json_t *spec, size_t at, struct nx_err *err)
{
    static const char *const known[] = {"check",   "column", "columns",  "severity",
                                        "min",     "max",    "values",   "type",
                                        "pattern", "where",  "max_share"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)spec, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            found = found || str_eq(key, known[i]);
        }
        if (!found) {
            const char *nearest = str_nearest(key, known, sizeof known / sizeof *known);
            return nx_fail(err, NX_E_INVALID, "checks[%zu]: '%s' is not known%s%s%s", at, key,
                           nearest ? "; did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
        }
    }
    return true;
}

/* Whether keys that are numbers are: `min` and `max` of row counts, `max_share`. */
static bool check_numbers(enum kind kind, const json_t *spec, size_t at, struct nx_err *err)
{
    const json_t *least = json_object_get(spec, "min"), *most = json_object_get(spec, "max"),
                 *share = json_object_get(spec, "max_share");
    if (kind == ROWS && !least && !most) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: rows needs `min`, `max` or both", at);
    }
    if (kind == ROWS && ((least && !json_is_number(least)) || (most && !json_is_number(most)))) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: `min` and `max` of rows are numbers", at);
    }
    if (kind == ROWS && least && most && json_number_value(least) > json_number_value(most)) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: `min` is above `max`", at);
    }
    if (share &&
        (!json_is_number(share) || json_number_value(share) < 0 || json_number_value(share) > 1)) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: `max_share` is a number from 0 to 1", at);
    }
    return true;
}

static bool check_type(const json_t *spec, size_t at, struct nx_err *err)
{
    const char *text = json_string_value(json_object_get(spec, "type"));
    enum table_type type;
    return (text && table_type_find(text, &type)) ||
           nx_fail(err, NX_E_INVALID,
                   "checks[%zu]: `type` is bool, int64, double, string, category, date, timestamp "
                   "or doubles, not '%s'",
                   at, text ? text : "");
}

/* The first column of the key that the table does not have, or NULL. */
static const char *absent_column(const struct job *job, const struct check *check)
{
    const json_t *columns = json_object_get(check->spec, "columns");
    if (check->column) {
        return table_info_column(job->info, check->column) ? NULL : check->column;
    }
    for (size_t i = 0; check->kind == UNIQUE && i < json_array_size(columns); i++) {
        const char *name = json_string_value(json_array_get(columns, i));
        if (!name || !table_info_column(job->info, name)) {
            return name ? name : "";
        }
    }
    return NULL;
}

static bool read_severity(const json_t *spec, size_t at, bool *warn, struct nx_err *err)
{
    const json_t *severity = json_object_get(spec, "severity");
    const char *text = severity ? json_string_value(severity) : "fail";
    if (!text || (!str_eq(text, "fail") && !str_eq(text, "warn"))) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: `severity` is fail or warn", at);
    }
    *warn = str_eq(text, "warn");
    return true;
}

/* A JSON scalar as SQL, compared as the column's type. */
static bool put_literal(struct buf *sql, const json_t *value, enum table_type type, size_t at,
                        struct nx_err *err)
{
    if (json_is_integer(value)) {
        buf_printf(sql, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        buf_printf(sql, "%.17g::DOUBLE", json_real_value(value));
    } else if (json_is_boolean(value)) {
        buf_str(sql, json_is_true(value) ? "true" : "false");
    } else if (json_is_string(value)) {
        data_quote_text(sql, json_string_value(value));
        buf_str(sql, type == TABLE_DATE                            ? "::DATE"
                     : type == TABLE_TIMESTAMP                     ? "::TIMESTAMPTZ::TIMESTAMP"
                     : type == TABLE_INT64 || type == TABLE_DOUBLE ? "::DOUBLE"
                     : type == TABLE_BOOL                          ? "::BOOLEAN"
                                                                   : "");
    } else {
        return nx_fail(err, NX_E_INVALID,
                       "checks[%zu]: a value is neither number, text nor boolean", at);
    }
    return true;
}

static bool put_range(struct check *check, const char *c, enum table_type type, size_t at,
                      struct nx_err *err)
{
    const json_t *least = json_object_get(check->spec, "min");
    const json_t *most = json_object_get(check->spec, "max");
    if (!least && !most) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: a range needs `min`, `max` or both", at);
    }
    bool numbers = json_is_number(least) && json_is_number(most);
    bool texts = json_is_string(least) && json_is_string(most) &&
                 (type == TABLE_DATE || type == TABLE_STRING || type == TABLE_CATEGORY);
    if ((numbers && json_number_value(least) > json_number_value(most)) ||
        (texts && strcmp(json_string_value(least), json_string_value(most)) > 0)) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: `min` is above `max`: no value is between",
                       at);
    }
    bool ok = true;
    if (least) {
        buf_printf(&check->bad, "%s < ", c);
        ok = put_literal(&check->bad, least, type, at, err);
    }
    if (ok && most) {
        buf_printf(&check->bad, "%s%s > ", least ? " OR " : "", c);
        ok = put_literal(&check->bad, most, type, at, err);
    }
    return ok;
}

static bool put_values(struct check *check, const char *c, enum table_type type, size_t at,
                       struct nx_err *err)
{
    const json_t *values = json_object_get(check->spec, "values");
    if (!json_is_array(values) || json_array_size(values) == 0) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu]: `values` is a list of what is allowed", at);
    }
    buf_printf(&check->bad, "%s NOT IN (", c);
    for (size_t i = 0; i < json_array_size(values); i++) {
        buf_str(&check->bad, i ? ", " : "");
        if (!put_literal(&check->bad, json_array_get(values, i), type, at, err)) {
            return false;
        }
    }
    buf_str(&check->bad, ")");
    return true;
}

/* What is true of the rows that break the check. */
static bool put_bad(struct job *job, struct check *check, size_t at, struct nx_err *err)
{
    const struct table_column *column =
        check->column ? table_info_column(job->info, check->column) : NULL;
    enum table_type type = column ? column->type : TABLE_STRING;
    const char *text;
    struct buf name;
    bool ok = true;
    buf_init(&name);
    data_quote_name(&name, check->column ? check->column : "");
    const char *c = buf_text(&name);
    switch (check->kind) {
    case NULLS:
        buf_printf(&check->bad, type == TABLE_DOUBLE ? "%s IS NULL OR isnan(%s)" : "%s IS NULL", c,
                   c);
        break;
    case RANGE:
        ok = put_range(check, c, type, at, err);
        break;
    case VALUES:
        ok = put_values(check, c, type, at, err);
        break;
    case PATTERN:
        text = json_string_value(json_object_get(check->spec, "pattern"));
        ok = text || nx_fail(err, NX_E_INVALID, "checks[%zu]: `pattern` is missing", at);
        buf_printf(&check->bad, "NOT regexp_full_match(%s::VARCHAR, ", c);
        data_quote_text(&check->bad, text ? text : "");
        buf_str(&check->bad, ")");
        break;
    case CONDITION:
        text = json_string_value(json_object_get(check->spec, "where"));
        ok = text || nx_fail(err, NX_E_INVALID, "checks[%zu]: `where` is missing", at);
        buf_printf(&check->bad, "NOT coalesce((%s\n), true)", text ? text : "");
        break;
    default:
        break;
    }
    buf_fini(&name);
    return ok;
}

/* Values that a column of another kind cannot be compared with are a mistake in the check. */
static bool check_literal(const json_t *value, const struct check *check, enum table_type type,
                          struct nx_err *err)
{
    bool number = type == TABLE_INT64 || type == TABLE_DOUBLE;
    bool text = type == TABLE_STRING || type == TABLE_CATEGORY;
    if (!value || (number && json_is_number(value)) || (!number && json_is_string(value)) ||
        (number && json_is_string(value)) || (type == TABLE_BOOL && json_is_boolean(value))) {
        return true;
    }
    return nx_fail(err, NX_E_INVALID, "checks[%zu]: column '%s' is %s: compare it with a %s",
                   check->at, check->column, table_type_name(type),
                   number ? "number"
                   : text ? "text in quotes"
                          : "value of that type");
}

static bool check_literals(const struct job *job, const struct check *check, struct nx_err *err)
{
    const struct table_column *column = table_info_column(job->info, check->column);
    const json_t *values = json_object_get(check->spec, "values");
    if (check->kind == RANGE) {
        return check_literal(json_object_get(check->spec, "min"), check, column->type, err) &&
               check_literal(json_object_get(check->spec, "max"), check, column->type, err);
    }
    for (size_t i = 0; check->kind == VALUES && i < json_array_size(values); i++) {
        if (!check_literal(json_array_get(values, i), check, column->type, err)) {
            return false;
        }
    }
    return true;
}

/* Asks the database for the rows of no table: a wrong pattern, condition or date is told with the
 * check it stands in. */
static bool try_check(struct job *job, const struct check *check, struct nx_err *err)
{
    struct buf sql;
    int64_t n;
    buf_init(&sql);
    buf_printf(&sql, "SELECT count(*) FROM (SELECT * FROM input LIMIT 1) AS input WHERE %s",
               buf_text(&check->bad));
    bool ok = check->bad.len == 0 || data_query_int(job->db, buf_text(&sql), &n, err);
    buf_fini(&sql);
    if (!ok) {
        char *end = strstr(err->text, "\n\nLINE 1:"); /* of a query that the user did not write */
        *(end ? end : err->text + strlen(err->text)) = 0;
        nx_wrap(err, "checks[%zu]", check->at);
    }
    return ok;
}

static bool add_check(struct job *job, enum kind kind, const json_t *spec, const char *column,
                      size_t at, struct nx_err *err)
{
    struct check check = {.kind = kind, .spec = spec, .column = column, .at = at};
    buf_init(&check.bad);
    check.absent = absent_column(job, &check) != NULL;
    bool ok = read_severity(spec, at, &check.warn, err);
    if (!check.absent) {
        ok = ok && (!column || check_literals(job, &check, err)) && put_bad(job, &check, at, err) &&
             try_check(job, &check, err);
    }
    if (!ok) {
        buf_fini(&check.bad);
        return false;
    }
    vec_push(&job->checks, check);
    return true;
}

/* One check for each column that the spec names. */
static bool add_checks(struct job *job, const json_t *spec, size_t at, struct nx_err *err)
{
    enum kind kind = ROWS;
    if (!json_is_object(spec)) {
        return nx_fail(err, NX_E_INVALID, "checks[%zu] is not a mapping", at);
    }
    if (!find_kind(spec, at, &kind, err) || !check_keys(spec, at, err) ||
        !check_numbers(kind, spec, at, err) || (kind == TYPE && !check_type(spec, at, err))) {
        return false;
    }
    const char *column = json_string_value(json_object_get(spec, "column"));
    const json_t *columns = json_object_get(spec, "columns");
    if (kind == ROWS || kind == CONDITION || kind == UNIQUE) {
        if (kind == UNIQUE && !column && json_array_size(columns) == 0) {
            return nx_fail(err, NX_E_INVALID, "checks[%zu]: `column` or `columns` is missing", at);
        }
        return add_check(job, kind, spec, kind == UNIQUE ? column : NULL, at, err);
    }
    if (column) {
        return add_check(job, kind, spec, column, at, err);
    }
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *name = json_string_value(json_array_get(columns, i));
        if (!add_check(job, kind, spec, name ? name : "", at, err)) {
            return false;
        }
    }
    return json_array_size(columns) > 0 ||
           nx_fail(err, NX_E_INVALID, "checks[%zu]: `column` or `columns` is missing", at);
}

static bool read_checks(struct job *job, struct nx_err *err)
{
    job->specs = json_loads(nx_arg_json(job->ctx, "checks"), JSON_DECODE_ANY, NULL);
    size_t n = json_array_size(job->specs);
    if (n == 0 || n > CHECKS_MAX) {
        return nx_fail(err, NX_E_INVALID, "`checks` is a list of 1 to %d checks", CHECKS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        if (!add_checks(job, json_array_get(job->specs, i), i, err)) {
            return false;
        }
    }
    return true;
}

/* ---- Counting ---- */

/* All conditions in one pass over the table. */
static bool count_bad(struct job *job, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    buf_init(&sql);
    buf_str(&sql, "SELECT count(*)");
    for (size_t i = 0; i < job->checks.n; i++) {
        if (job->checks.at[i].bad.len) {
            buf_printf(&sql, ", count(*) FILTER (WHERE %s)", buf_text(&job->checks.at[i].bad));
        }
    }
    buf_str(&sql, " FROM input");
    bool ok = data_query(job->db, buf_text(&sql), NULL, 0, &result, err) &&
              data_next(result, &batch, err);
    for (size_t i = 0, k = 1; ok && batch && i < job->checks.n; i++) {
        if (job->checks.at[i].bad.len) {
            job->checks.at[i].n_bad = batch->columns[k++].as.i[0];
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}

/* The columns of a key with `between` between them and `after` after each. */
static void put_key(const struct check *check, const char *between, const char *after,
                    struct buf *sql)
{
    const json_t *columns = json_object_get(check->spec, "columns");
    size_t n = check->column ? 1 : json_array_size(columns);
    for (size_t i = 0; i < n; i++) {
        buf_str(sql, i ? between : "");
        data_quote_name(sql, check->column ? check->column
                                           : json_string_value(json_array_get(columns, i)));
        buf_str(sql, after);
    }
}

/* Keys that are there more than once: those with a missing value are not compared. */
static void put_doubles(const struct check *check, struct buf *sql)
{
    buf_str(sql, " FROM input WHERE ");
    put_key(check, " AND ", " IS NOT NULL", sql);
    buf_str(sql, " GROUP BY ");
    put_key(check, ", ", "", sql);
    buf_str(sql, " HAVING count(*) > 1");
}

/* Rows beyond the first of their key. */
static bool count_doubles(struct job *job, struct check *check, struct nx_err *err)
{
    struct buf sql;
    buf_init(&sql);
    buf_str(&sql, "SELECT (coalesce(sum(n), 0) - count(*))::BIGINT FROM (SELECT count(*) AS n");
    put_doubles(check, &sql);
    buf_str(&sql, ")");
    bool ok = data_query_int(job->db, buf_text(&sql), &check->n_bad, err);
    buf_fini(&sql);
    return ok;
}

/* ---- Saying it ---- */

/* Some different values that break the check, as JSON. */
static json_t *find_examples(struct job *job, const struct check *check, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    json_t *examples = json_array();
    buf_init(&sql);
    if (check->kind == UNIQUE) {
        buf_str(&sql, "SELECT ");
        put_key(check, ", ", "", &sql);
        put_doubles(check, &sql);
    } else {
        buf_str(&sql, "SELECT DISTINCT ");
        data_quote_name(&sql, check->column);
        buf_printf(&sql, " FROM input WHERE %s", buf_text(&check->bad));
    }
    buf_printf(&sql, " ORDER BY ALL LIMIT %d", EXAMPLES);
    bool ok = data_query(job->db, buf_text(&sql), NULL, 0, &result, err);
    while (ok && (ok = data_next(result, &batch, err)) && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            json_t *row = json_array();
            for (size_t k = 0; k < batch->n_columns; k++) {
                json_array_append_new(row, tables_value(&batch->columns[k], i));
            }
            json_array_append(examples, batch->n_columns == 1 ? json_array_get(row, 0) : row);
            json_decref(row);
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    if (!ok) {
        json_decref(examples);
        return NULL;
    }
    return examples;
}

/* " (min 1, max 10)", as the check says it. */
static void put_limits(const json_t *spec, struct buf *to)
{
    static const char *const keys[] = {"min", "max"};
    const char *before = " (";
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *limit = json_object_get(spec, keys[i]);
        if (limit) {
            char *text = json_dumps(limit, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
            buf_printf(to, "%s%s %.80s", before, keys[i], text ? text : "");
            free(text);
            before = ", ";
        }
    }
    buf_str(to, ")");
}

static void put_absent(struct job *job, const struct check *check, struct buf *to)
{
    const char *name = absent_column(job, check);
    const char **names = arena_array(&job->arena, job->info->n_columns + 1, sizeof *names);
    for (size_t i = 0; i < job->info->n_columns; i++) {
        names[i] = job->info->columns[i].name;
    }
    const char *nearest = str_nearest(name, names, job->info->n_columns);
    buf_printf(to, "the table has no column '%s'%s%s%s", name, nearest ? "; did you mean '" : "",
               nearest ? nearest : "", nearest ? "'?" : "");
}

static void put_sentence(struct job *job, const struct check *check, const json_t *examples,
                         struct buf *to)
{
    const json_t *spec = check->spec;
    long long n = check->n_bad, rows = job->info->n_rows;
    const char *column = check->column ? check->column : "";
    const struct table_column *found = table_info_column(job->info, column);
    if (check->absent) {
        put_absent(job, check, to);
        return;
    }
    switch (check->kind) {
    case ROWS:
        buf_printf(to, "the table has %lld rows", rows);
        put_limits(spec, to);
        break;
    case TYPE:
        buf_printf(to, "column '%s' is %s, not %s", column, table_type_name(found->type),
                   json_string_value(json_object_get(spec, "type")));
        break;
    case NULLS:
        buf_printf(to, "column '%s': %lld of %lld values are missing", column, n, rows);
        break;
    case RANGE:
        buf_printf(to, "column '%s': %lld of %lld values are out of range", column, n, rows);
        put_limits(spec, to);
        break;
    case UNIQUE:
        buf_printf(to, "%lld of %lld rows repeat a key of (", n, rows);
        put_key(check, ", ", "", to);
        buf_str(to, ")");
        break;
    case VALUES:
        buf_printf(to, "column '%s': %lld of %lld values are not among those allowed", column, n,
                   rows);
        break;
    case PATTERN:
        buf_printf(to, "column '%s': %lld of %lld values do not match the pattern", column, n,
                   rows);
        break;
    default:
        buf_printf(to, "%lld of %lld rows break the condition %s", n, rows,
                   json_string_value(json_object_get(spec, "where")));
    }
    if (json_array_size(examples) > 0) {
        char *text = json_dumps(json_array_get(examples, 0), JSON_ENCODE_ANY | JSON_COMPACT);
        buf_printf(to, ", such as %.80s", text);
        free(text);
    }
}

/* A check that does not hold: into the list of failures, the log, and the message. */
static bool put_failure(struct job *job, const struct check *check, struct nx_err *err)
{
    bool shows = check->kind == RANGE || check->kind == UNIQUE || check->kind == VALUES ||
                 check->kind == PATTERN;
    json_t *examples = shows && !check->absent ? find_examples(job, check, err) : json_array();
    struct buf sentence;
    if (!examples) {
        return false;
    }
    buf_init(&sentence);
    put_sentence(job, check, examples, &sentence);
    json_t *failure = json_object();
    json_object_set_new(failure, "check", json_string(kind_names[check->kind]));
    json_object_set_new(failure, "severity", json_string(check->warn ? "warn" : "fail"));
    json_object_set_new(failure, "column",
                        check->column ? json_string(check->column) : json_null());
    json_object_set_new(failure, "count", json_integer(check->n_bad));
    json_object_set_new(failure, "examples", examples);
    json_object_set_new(failure, "message", json_string(buf_text(&sentence)));
    json_array_append_new(job->failures, failure);
    nx_log(job->ctx, "%s: %s", check->warn ? "warning" : "failed", buf_text(&sentence));
    if (check->warn) {
        job->n_warn++;
    } else if (++job->n_fail <= MESSAGES_SHOWN) {
        buf_printf(&job->messages, "%s%s", job->n_fail > 1 ? "; " : "", buf_text(&sentence));
    }
    buf_fini(&sentence);
    return true;
}

static bool holds(const struct job *job, const struct check *check)
{
    const json_t *spec = check->spec, *least = json_object_get(spec, "min"),
                 *most = json_object_get(spec, "max"), *share = json_object_get(spec, "max_share");
    const struct table_column *column;
    double rows = (double)job->info->n_rows;
    if (check->absent) {
        return false;
    }
    switch (check->kind) {
    case ROWS:
        return !(json_is_number(least) && rows < json_number_value(least)) &&
               !(json_is_number(most) && rows > json_number_value(most));
    case TYPE:
        column = table_info_column(job->info, check->column);
        return column && str_eq(table_type_name(column->type),
                                json_string_value(json_object_get(spec, "type")));
    case NULLS:
        return (double)check->n_bad <= json_number_value(share) * rows;
    default:
        return check->n_bad == 0;
    }
}

static bool run_checks(struct job *job, struct nx_err *err)
{
    for (size_t i = 0; i < job->checks.n; i++) {
        struct check *check = &job->checks.at[i];
        if ((check->kind == UNIQUE && !check->absent && !count_doubles(job, check, err)) ||
            (!holds(job, check) && !put_failure(job, check, err))) {
            return false;
        }
        nx_progress(job->ctx, (double)(i + 1) / (double)job->checks.n, "checking");
    }
    char *failures = json_dumps(job->failures, JSON_COMPACT);
    bool ok = nx_output_json(job->ctx, "failures", failures, err) &&
              nx_output_bool(job->ctx, "passed", job->n_fail + job->n_warn == 0, err) &&
              nx_output_int(job->ctx, "rows", job->info->n_rows, err);
    free(failures);
    if (ok && job->n_fail > MESSAGES_SHOWN) {
        buf_printf(&job->messages, "; and %lld others", (long long)(job->n_fail - MESSAGES_SHOWN));
    }
    if (ok && job->n_fail > 0) {
        ok = nx_fail(err, NX_E_DATA, "%zu of %zu checks failed: %s", (size_t)job->n_fail,
                     job->checks.n, buf_text(&job->messages));
    }
    return ok;
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct job job = {.ctx = ctx, .failures = json_array()};
    arena_init(&job.arena);
    buf_init(&job.messages);
    bool ok = tables_open(ctx, &job.db, err) &&
              tables_add(ctx, job.db, "table", "input", &job.info, err) && data_lock(job.db, err) &&
              read_checks(&job, err) && count_bad(&job, err) && run_checks(&job, err);
    tables_close(ctx, job.db);
    for (size_t i = 0; i < job.checks.n; i++) {
        buf_fini(&job.checks.at[i].bad);
    }
    vec_fini(&job.checks);
    json_decref(job.specs);
    json_decref(job.failures);
    buf_fini(&job.messages);
    arena_fini(&job.arena);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "table", .type = NX_T_TABLE, .flags = NX_P_REQUIRED, .help = "The table to check."},
    {.name = "checks", .type = NX_T_LIST, .flags = NX_P_REQUIRED,
     .help = "The checks, each a mapping with `check`, what it needs, and `severity: fail` (default) or warn."},
    {0},
};

static const struct nx_port outputs[] = {
    {"passed", NX_T_BOOL, "Whether all checks held, those with severity warn included."},
    {"failures", NX_T_LIST, "Those that did not: check, severity, column, count, examples, message."},
    {"rows", NX_T_INT, "How many rows the table has."},
    {0},
};

const struct nx_operator data_validate = {
    .name = "data.validate",
    .version = 1,
    .summary = "Checks a table: types, missing values, ranges, uniqueness, allowed values, row counts.",
    .doc =
        "| check | needs | holds when |\n"
        "|---|---|---|\n"
        "| rows | min, max (one or both) | the number of rows lies between them |\n"
        "| type | column, type | the column is there and has the type |\n"
        "| nulls | column, max_share (default 0) | at most that share of its values is missing |\n"
        "| range | column, min, max (one or both) | no value is below min or above max |\n"
        "| unique | column, or columns | no key is there twice; keys with a missing value do not count |\n"
        "| values | column, values | every value is in the list |\n"
        "| pattern | column, pattern | every value matches the regular expression as a whole |\n"
        "| condition | where | the SQL condition is not false for any row |\n\n"
        "`columns` instead of `column` checks each of them (for `unique`: all together). A missing "
        "value breaks only `nulls`; a column that is not there breaks its check. A check with `severity: fail` that does not hold fails the task, "
        "after all checks were made; one with `warn` is written to the log and to `failures`.",
    .params = params,
    .outputs = outputs,
    .example =
        "check:\n"
        "  uses: data.validate\n"
        "  with:\n"
        "    table: ${{ outputs.ingest.table }}\n"
        "    checks:\n"
        "      - {check: rows, min: 1000}\n"
        "      - {check: nulls, columns: [date, delay], max_share: 0.01}\n"
        "      - {check: range, column: distance, min: 1, max: 10000}\n"
        "      - {check: unique, columns: [date, origin], severity: warn}\n",
    .run = run,
};
/* clang-format on */
