/* data.ingest: files from disk or the web as a table, with a schema that can be pinned. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/data/source.h"
#include "lib/net/fetch.h"
#include "lib/net/reach.h"
#include "lib/text/conn.h"
#include "tasks/data/files.h"
#include "tasks/data/tables.h"

#define REDIRECTS_MAX 10
#define IDLE_MS 60000
#define SCHEMA_MAX_BYTES (16 << 20)

struct job {
    struct nx_ctx *ctx;
    struct data_db *db;
    struct arena arena;
    const char *conn_name;
    struct conn conn; /* when conn_name */
    files_list files;
    struct source source;
    struct schema pinned;    /* n_columns 0: none */
    const char *schema_path; /* where it is kept; NULL: nowhere */
    struct table_info info;
};

/* ---- Which files ---- */

static bool is_cancelled(void *ctx)
{
    return nx_cancelled(ctx);
}

/* An address without user and password. */
static const char *masked(struct job *job, const char *url)
{
    const char *host = strstr(url, "://") + 3;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    return at ? arena_printf(&job->arena, "%.*s%s", (int)(host - url), url, at + 1) : url;
}

/* `shown`, which may be NULL, stands for the address in messages. */
static bool download(struct job *job, const char *url, const char *shown, const char *header,
                     struct nx_err *err)
{
    const char *headers[] = {header, NULL};
    /* Named as at its source, for the format and for messages. */
    size_t n = strcspn(url, "?#");
    char *bare = arena_strndup(&job->arena, url, n);
    const char *base = path_base(bare);
    char *folder = arena_printf(&job->arena, "%s/download%zu", nx_folder(job->ctx), job->files.n);
    char *path = arena_printf(&job->arena, "%s/%s", folder, *base ? base : "file");
    struct fetch *fetch = fetch_new();
    struct fetch_response response = {0};
    struct fetch_request request = {
        .url = url,
        .shown = shown,
        .headers = headers,
        .idle_ms = IDLE_MS,
        .redirects_max = REDIRECTS_MAX,
        .to_file = path,
        .cancelled = is_cancelled,
        .arg = job->ctx,
    };
    nx_progress(job->ctx, -1, "downloading %s", base);
    bool ok = path_make_folders(folder, err) && fetch_run(fetch, &request, &response, err);
    if (ok) {
        ok = fetch_check(&response, shown ? shown : masked(job, url), err);
        nx_log(job->ctx, "%s: %llu bytes", base, (unsigned long long)response.n_bytes);
        fetch_response_fini(&response);
    }
    fetch_free(fetch);
    vec_push(&job->files, path);
    return ok;
}

/* A source below the connection's address or folder. */
static bool find_below(struct job *job, const char *source, struct nx_err *err)
{
    if (strstr(source, "://") || strstr(source, "..")) {
        return nx_fail(err, NX_E_INVALID,
                       "'%s': with `conn`, a source is a path below that connection's",
                       masked(job, source));
    }
    if (job->conn.kind == CONN_FILE) {
        const char *path =
            arena_printf(&job->arena, "%s/%s", job->conn.path, source + strspn(source, "/"));
        return files_find_absolute(path, &job->arena, &job->files, err);
    }
    const char *shown = arena_printf(&job->arena, "%s of the connection '%s'",
                                     *source ? source : "the address", job->conn_name);
    return download(job, conn_below(&job->conn, source, &job->arena), shown,
                    reach_authorization(&job->conn, &job->arena), err);
}

static bool find_conn(struct job *job, struct nx_err *err)
{
    job->conn_name = nx_arg_text(job->ctx, "conn");
    if (!job->conn_name) {
        return true;
    }
    const char *uri = nx_conn(job->ctx, "conn", err);
    return uri && conn_read(uri, &job->arena, &job->conn, err);
}

static bool find_files(struct job *job, struct nx_err *err)
{
    if (!find_conn(job, err)) {
        return false;
    }
    for (size_t i = 0; i < nx_arg_count(job->ctx, "source"); i++) {
        const char *source = nx_arg_item(job->ctx, "source", i);
        bool ok;
        if (job->conn_name) {
            ok = find_below(job, source, err);
        } else if (strncasecmp(source, "http://", 7) == 0 ||
                   strncasecmp(source, "https://", 8) == 0) {
            ok = download(job, source, NULL, NULL, err);
        } else if (strstr(source, "://")) {
            ok = nx_fail(err, NX_E_UNSUPPORTED,
                         "'%s': sources are files, patterns, http:// and https://",
                         masked(job, source));
        } else if (*source == '/') {
            ok = files_find_absolute(source, &job->arena, &job->files, err);
        } else {
            ok = files_find(job->ctx, source, true, &job->arena, &job->files, err);
        }
        if (!ok) {
            return false;
        }
    }
    if (job->files.n == 0) {
        return nx_fail(err, NX_E_INVALID, "`source` is empty");
    }
    return true;
}

/* ---- How they are read ---- */

/* A column's entry: its type, or {type: ..., format: ...}. */
static bool read_one(struct job *job, const char *name, const json_t *value,
                     struct schema_column *column, struct nx_err *err)
{
    const char *type =
        json_string_value(json_is_object(value) ? json_object_get(value, "type") : value);
    const char *format = json_string_value(json_object_get(value, "format")), *key;
    json_t *ignored;
    *column = (struct schema_column){.name = arena_strdup(&job->arena, name), .typed = true};
    column->format = format ? arena_strdup(&job->arena, format) : NULL;
    json_object_foreach((json_t *)(uintptr_t)value, key, ignored)
    {
        if (!str_eq(key, "type") && !str_eq(key, "format")) {
            return nx_fail(err, NX_E_INVALID, "`columns`: '%s' has `%s`; it takes type and format",
                           name, key);
        }
    }
    if (!type || !table_type_find(type, &column->type)) {
        return nx_fail(err, NX_E_INVALID,
                       "column '%s' has the type '%s'; types are bool, int64, double, string, "
                       "category, date, timestamp, doubles",
                       name, type ? type : "");
    }
    bool time = column->type == TABLE_DATE || column->type == TABLE_TIMESTAMP;
    if (json_object_get(value, "format") && (!format || !time)) {
        return nx_fail(err, NX_E_INVALID,
                       "`columns`: the `format` of '%s' must be a text, and its type date or "
                       "timestamp",
                       name);
    }
    return true;
}

static bool read_named(struct job *job, struct schema *schema, struct nx_err *err)
{
    json_t *named = json_loads(nx_arg_json(job->ctx, "columns"), JSON_DECODE_ANY, NULL);
    const char *name;
    json_t *value;
    bool ok = true;
    schema->columns =
        arena_array(&job->arena, json_object_size(named) + 1, sizeof *schema->columns);
    json_object_foreach(named, name, value)
    {
        ok = ok && read_one(job, name, value, &schema->columns[schema->n_columns++], err);
    }
    json_decref(named);
    return ok;
}

static const char *one_character(const char *text)
{
    return str_eq(text, "\\t") || str_eq(text, "tab") ? "\t" : text;
}

static bool read_file_options(struct job *job, struct schema_file *file, struct nx_err *err)
{
    struct nx_ctx *ctx = job->ctx;
    size_t n = nx_arg_count(ctx, "null");
    const char **nulls = arena_array(&job->arena, n + 1, sizeof *nulls);
    for (size_t i = 0; i < n; i++) {
        nulls[i] = nx_arg_item(ctx, "null", i);
    }
    *file = (struct schema_file){
        .delimiter = one_character(nx_arg_text(ctx, "delimiter")),
        .quote = nx_arg_text(ctx, "quote"),
        .header = nx_arg_bool(ctx, "header"),
        .nulls = nulls,
        .n_nulls = n,
        .timezone = nx_arg_text(ctx, "timezone"),
    };
    file_format_find(nx_arg_text(ctx, "format"), &file->format);
    bool lines = strpbrk(file->quote, "\r\n") || strpbrk(file->delimiter, "\r\n");
    if (strlen(file->quote) != 1 || lines ||
        (strlen(file->delimiter) != 1 && !str_eq(file->delimiter, "auto"))) {
        return nx_fail(err, NX_E_INVALID,
                       "`delimiter` and `quote` are one character each, and not a line's end");
    }
    return true;
}

/* A zone that is not known is an error also where no column has times. */
static bool check_timezone(struct job *job, struct nx_err *err)
{
    const char *zone = job->source.schema.file.timezone;
    struct data_value value = {.kind = DATA_TEXT, .as.text = zone};
    struct data_result *result = NULL;
    const struct data_batch *batch;
    bool ok = data_query(job->db, "SELECT timezone($1, TIMESTAMP '2001-01-01')", &value, 1, &result,
                         err) &&
              data_next(result, &batch, err);
    data_result_close(result);
    return ok ||
           nx_fail(err, NX_E_INVALID,
                   "`timezone`: '%s' is not known; zones are called as Europe/Berlin or UTC", zone);
}

static bool detect_format(struct job *job, struct nx_err *err)
{
    enum file_format *format = &job->source.schema.file.format;
    for (size_t i = 0; i < job->files.n && job->source.schema.file.format == FILE_AUTO; i++) {
        enum file_format first, other;
        if (!source_detect(job->files.at[0], &first, err) ||
            !source_detect(job->files.at[i], &other, err)) {
            return false;
        }
        if (first != other) {
            return nx_fail(err, NX_E_DATA, "%s is %s, %s is %s: load them by tasks of their own",
                           path_base(job->files.at[0]), file_format_name(first),
                           path_base(job->files.at[i]), file_format_name(other));
        }
        if (i + 1 == job->files.n) {
            *format = first;
        }
    }
    return true;
}

/* ---- The pinned schema ---- */

/* Text of the schema that is given: a file of the project, an artifact, or the value itself. */
static bool find_schema(struct job *job, struct buf *text, struct nx_err *err)
{
    const char *json = nx_arg_json(job->ctx, "schema");
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    bool ok = true;
    if (json_is_string(value)) {
        const char *name = json_string_value(value);
        const char *project = nx_project(job->ctx);
        if (*name == '/' || strstr(name, "..") || !project) {
            ok = nx_fail(err, NX_E_INVALID, "`schema` is a path below the project, not '%s'", name);
        } else {
            job->schema_path = arena_printf(&job->arena, "%s/%s", project, name);
            ok = !path_exists(job->schema_path) ||
                 path_read(job->schema_path, SCHEMA_MAX_BYTES, text, err);
        }
    } else if (json_is_object(value) && json_object_get(value, "artifact")) {
        const char *path = nx_artifact_path(job->ctx, "schema", NULL, err);
        ok = path && path_read(path, SCHEMA_MAX_BYTES, text, err);
    } else if (value && !json_is_null(value)) {
        buf_str(text, json);
    }
    json_decref(value);
    return ok;
}

static bool read_schema(struct job *job, struct nx_err *err)
{
    struct buf text;
    buf_init(&text);
    bool ok = find_schema(job, &text, err) &&
              (text.len == 0 || schema_read(buf_text(&text), &job->arena, &job->pinned, err) ||
               nx_wrap(err, "schema"));
    buf_fini(&text);
    return ok;
}

/* Whether the files are as the schema says, and what is done when they are not. */
static bool apply_schema(struct job *job, struct nx_err *err)
{
    const char *policy = nx_arg_text(job->ctx, "on_schema_change");
    struct buf sentences;
    buf_init(&sentences);
    enum schema_change change = source_compare(&job->source, &job->pinned, &sentences);
    bool evolve = str_eq(policy, "evolve"), warn = str_eq(policy, "warn"), ok = true;
    if (change == SCHEMA_CHANGED ? !warn : change == SCHEMA_EVOLVED && !warn && !evolve) {
        ok = nx_fail(err, NX_E_DATA, "the files do not match their schema: %s",
                     buf_text(&sentences));
    } else if (change != SCHEMA_SAME) {
        nx_log(job->ctx, "warning: the files differ from their schema: %s", buf_text(&sentences));
    }
    source_pin(&job->source, &job->pinned, evolve);
    buf_fini(&sentences);
    return ok;
}

/* ---- What is kept ---- */

/* Texts of a category that its list does not have yet, in the order of their bytes. */
static bool new_categories(struct job *job, const char *path, struct schema_column *column,
                           const char ***all, size_t *n_all, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    VEC(const char *) found = {0};
    buf_init(&sql);
    for (size_t i = 0; i < column->n_categories; i++) {
        vec_push(&found, column->categories[i]);
    }
    buf_str(&sql, "SELECT DISTINCT ");
    data_quote_name(&sql, column->name);
    buf_str(&sql, " AS c FROM read_parquet(");
    data_quote_text(&sql, path);
    buf_str(&sql, ") WHERE c IS NOT NULL");
    for (size_t i = 0; i < column->n_categories; i++) {
        buf_str(&sql, i ? ", " : " AND c NOT IN (");
        data_quote_text(&sql, column->categories[i]);
    }
    buf_printf(&sql, "%s ORDER BY c LIMIT %d", column->n_categories ? ")" : "",
               TABLE_CATEGORIES_MAX + 1);
    bool ok = data_query(job->db, buf_text(&sql), NULL, 0, &result, err);
    while (ok && (ok = data_next(result, &batch, err)) && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            struct data_text text = batch->columns[0].as.text[i];
            vec_push(&found, arena_strndup(&job->arena, text.at, text.n));
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    if (ok && found.n > TABLE_CATEGORIES_MAX) {
        ok = nx_fail(err, NX_E_LIMIT, "column '%s' has more than %d categories: make it a string",
                     column->name, TABLE_CATEGORIES_MAX);
    }
    *n_all = found.n;
    *all = arena_dup(&job->arena, found.at ? found.at : found.at, found.n * sizeof *found.at);
    vec_fini(&found);
    return ok;
}

static bool check_categories(struct job *job, const char *path, struct nx_err *err)
{
    const char *policy = nx_arg_text(job->ctx, "on_schema_change");
    for (size_t i = 0; i < job->source.schema.n_columns; i++) {
        struct schema_column *column = &job->source.schema.columns[i];
        const char **all;
        size_t n, before = column->n_categories;
        if (column->type != TABLE_CATEGORY || !table_info_column(&job->info, column->name)) {
            continue;
        }
        if (!new_categories(job, path, column, &all, &n, err)) {
            return false;
        }
        if (column->categories && n > before && str_eq(policy, "fail")) {
            return nx_fail(err, NX_E_DATA,
                           "the files do not match their schema: column '%s' has the new category "
                           "'%s'%s",
                           column->name, all[before], n > before + 1 ? " and others" : "");
        }
        if (column->categories && n > before) {
            nx_log(job->ctx, "warning: column '%s' has %zu new categories, such as '%s'",
                   column->name, n - before, all[before]);
        }
        if (!column->categories || str_eq(policy, "evolve")) {
            column->categories = all;
            column->n_categories = n;
        }
    }
    return true;
}

/* The schema as an artifact, and where the project keeps it when it was not there or grew. */
static bool put_schema(struct job *job, struct nx_err *err)
{
    struct buf text;
    const char *path = tables_path(job->ctx, &job->arena, "schema.json");
    buf_init(&text);
    schema_write(&job->source.schema, &text);
    bool evolve = str_eq(nx_arg_text(job->ctx, "on_schema_change"), "evolve");
    bool ok = path_write(path, text.data, text.len, err) &&
              nx_artifact_output(job->ctx, "schema", path, "file", NULL, err);
    if (ok && job->schema_path && (job->pinned.n_columns == 0 || evolve)) {
        char *folder = arena_strdup(&job->arena, job->schema_path);
        *strrchr(folder, '/') = 0;
        ok = path_make_folders(folder, err) &&
             path_write(job->schema_path, text.data, text.len, err);
        nx_log(job->ctx, "schema written to %s", job->schema_path);
    }
    buf_fini(&text);
    return ok;
}

static bool read_pick(struct job *job, struct source_pick *pick, struct nx_err *err)
{
    struct nx_ctx *ctx = job->ctx;
    size_t n = nx_arg_count(ctx, "select");
    const char **columns = arena_array(&job->arena, n + 1, sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        columns[i] = nx_arg_item(ctx, "select", i);
    }
    *pick = (struct source_pick){.columns = columns, .n_columns = n};
    pick->limit = nx_arg_int(ctx, "limit");
    if (nx_arg_given(ctx, "where")) {
        pick->where = nx_arg_sql(ctx, "where", &pick->n_values);
        struct data_value *values = arena_array(&job->arena, pick->n_values + 1, sizeof *values);
        for (size_t i = 0; i < pick->n_values; i++) {
            if (!data_value_read(nx_arg_sql_value(ctx, "where", i), &job->arena, &values[i], err)) {
                return false;
            }
        }
        pick->values = values;
    }
    return true;
}

static bool open_files(struct job *job, struct nx_err *err)
{
    struct schema *schema = &job->source.schema;
    if (!find_files(job, err) || !read_schema(job, err) || !read_named(job, schema, err) ||
        !read_file_options(job, &schema->file, err)) {
        return false;
    }
    if (job->pinned.n_columns) {
        *schema = job->pinned;
        job->source.pinned = true;
    }
    job->source.db = job->db;
    job->source.arena = &job->arena;
    job->source.paths = job->files.at;
    job->source.n_paths = job->files.n;
    for (size_t i = 0; i < job->files.n; i++) {
        data_allow_file(job->db, job->files.at[i]);
    }
    return check_timezone(job, err) && detect_format(job, err) && data_lock(job->db, err);
}

static bool run_job(struct job *job, struct nx_err *err)
{
    struct source_pick pick;
    const char *path = tables_path(job->ctx, &job->arena, "table.parquet");
    if (!open_files(job, err) || !read_pick(job, &pick, err) ||
        !source_inspect(&job->source, err) || (job->pinned.n_columns && !apply_schema(job, err))) {
        return false;
    }
    nx_progress(job->ctx, -1, "loading %zu file%s", job->files.n, job->files.n == 1 ? "" : "s");
    if (!source_write(&job->source, &pick, path, &job->info, err) ||
        !check_categories(job, path, err)) {
        return false;
    }
    nx_log(job->ctx, "%lld rows, %zu columns from %zu file%s (%s)", (long long)job->info.n_rows,
           job->info.n_columns, job->files.n, job->files.n == 1 ? "" : "s",
           file_format_name(job->source.schema.file.format));
    return put_schema(job, err) && nx_output_int(job->ctx, "rows", job->info.n_rows, err) &&
           tables_output(job->ctx, "table", path, &job->info, err);
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    struct job job = {.ctx = ctx};
    arena_init(&job.arena);
    bool ok = tables_open(ctx, &job.db, err) && run_job(&job, err);
    tables_close(ctx, job.db);
    vec_fini(&job.files);
    arena_fini(&job.arena);
    return ok ? NX_DONE : NX_FAILED;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "source", .type = NX_T_STRINGS, .flags = NX_P_REQUIRED,
     .help = "A file, a pattern (data/*.csv), an http(s) address, or a list of these. Relative paths start at the project."},
    {.name = "conn", .type = NX_T_CONN, .choices = "http|https|file",
     .help = "A connection: its address and login, or its folder; sources are paths below it."},
    {.name = "format", .type = NX_T_ENUM, .fallback = "\"auto\"", .choices = "auto|csv|json|jsonl|parquet",
     .help = "The files' format; auto: by name, else by content."},
    {.name = "columns", .type = NX_T_OBJECT, .fallback = "{}",
     .help = "Types of columns: {zip: string, day: {type: date, format: \"%d.%m.%Y\"}}. The others' are found from all values."},
    {.name = "null", .type = NX_T_STRINGS, .fallback = "[\"\"]",
     .help = "CSV: texts that mean a missing value, such as [\"\", NA, \"?\"]."},
    {.name = "delimiter", .type = NX_T_STRING, .fallback = "\"auto\"",
     .help = "CSV: one character, or tab; auto: of , ; tab | the most frequent in the first line."},
    {.name = "quote", .type = NX_T_STRING, .fallback = "\"\\\"\"",
     .help = "CSV: one character; doubled inside a quoted text it stands for itself."},
    {.name = "header", .type = NX_T_BOOL, .fallback = "true",
     .help = "CSV: the first line has the names of the columns (else column0, column1, ...)."},
    {.name = "timezone", .type = NX_T_STRING, .fallback = "\"UTC\"",
     .help = "Zone of timestamps that do not say theirs, such as Europe/Berlin."},
    {.name = "select", .type = NX_T_STRINGS, .fallback = "[]",
     .help = "The columns to keep, in this order; all when empty."},
    {.name = "where", .type = NX_T_SQL,
     .help = "An SQL condition on the rows to keep. Expressions become bound parameters."},
    {.name = "limit", .type = NX_T_INT, .flags = NX_P_HAS_MIN, .min = 1, .unit = "rows",
     .help = "Keeps only the first rows."},
    {.name = "schema", .type = NX_T_ANY,
     .help = "The pinned schema: a path below the project (written by the first load when it is not there), the output `schema` of an earlier load, or the schema itself."},
    {.name = "dataset", .type = NX_T_STRINGS, .flags = NX_P_DATASET, .fallback = "[]",
     .help = "The dataset that the table is a new version of: as `produces` of the task. A constant."},
    {.name = "on_schema_change", .type = NX_T_ENUM, .fallback = "\"fail\"", .choices = "fail|warn|evolve",
     .help = "What happens when files do not match the schema; evolve takes new columns and categories, and nothing else."},
    {0},
};

static const struct nx_port outputs[] = {
    {"table", NX_T_TABLE, "The rows, in the order of files and lines."},
    {"rows", NX_T_INT, "How many rows there are."},
    {"schema", NX_T_ANY, "The schema (JSON) that a later load can be pinned to."},
    {0},
};

const struct nx_operator data_ingest = {
    .name = "data.ingest",
    .version = 1,
    .summary = "Loads CSV, JSON, JSON lines or Parquet from files or the web into a table.",
    .doc =
        "Types are bool, int64, double, string, category, date, timestamp (UTC) and doubles. Those of "
        "CSV and JSON columns that `columns` does not name are found from all values. Nothing is "
        "rounded, cut or guessed: 1.5 makes a column double; 00501, and a whole number with more "
        "digits than a double or int64 keeps, make it a string; a value that is not of the type that "
        "was named is an error with its line. Parquet files keep their own types.\n\n"
        "All files must have the same columns (records of JSON may lack some). Text must be UTF-8 "
        "(else the error names byte and line). Quoted line breaks, byte-order marks and lines of up "
        "to 32 MiB are read. A malformed line is an error with its number.\n\n"
        "With `schema` the columns, their types and how the files are read are fixed by the first "
        "load: later files are read by these types; what `format`, `columns`, `null`, `delimiter`, `quote`, `header` and `timezone` say "
        "counts only for that one.",
    .params = params,
    .outputs = outputs,
    .example =
        "load:\n"
        "  uses: data.ingest\n"
        "  with:\n"
        "    source: data/churn.csv\n"
        "    \"null\": [\"\", NA, \"?\"]\n"
        "    columns: {customerID: string, Contract: category}\n"
        "    schema: schemas/churn.json\n",
    .run = run,
};
/* clang-format on */
