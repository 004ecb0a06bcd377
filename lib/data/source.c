/* Files to a SELECT; see source.h. */
#include "lib/data/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"

static enum file_format by_content(const char *start, size_t n)
{
    if (n >= 4 && memcmp(start, "PAR1", 4) == 0) {
        return FILE_PARQUET;
    }
    size_t i = n >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < n && strchr(" \t\r\n", start[i])) {
        i++;
    }
    if (i < n && start[i] == '[') {
        return FILE_JSON;
    }
    return i < n && start[i] == '{' ? FILE_JSON_LINES : FILE_CSV;
}

bool source_detect(const char *path, enum file_format *format, struct nx_err *err)
{
    static const struct {
        const char *end;
        enum file_format format;
    } ends[] = {
        {".csv", FILE_CSV},          {".tsv", FILE_CSV},           {".json", FILE_JSON},
        {".jsonl", FILE_JSON_LINES}, {".ndjson", FILE_JSON_LINES}, {".parquet", FILE_PARQUET},
    };
    char start[512];
    FILE *file = fopen(path, "rb");
    if (!file) {
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "%s: %s", path,
                       strerror(errno));
    }
    size_t n = fread(start, 1, sizeof start, file);
    fclose(file);
    if (n >= 2 && memcmp(start, "\x1f\x8b", 2) == 0) {
        return nx_fail(err, NX_E_UNSUPPORTED, "%s is packed with gzip: unpack it first", path);
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t length = strlen(path), end = strlen(ends[i].end);
        if (length > end && strcasecmp(path + length - end, ends[i].end) == 0) {
            *format = ends[i].format;
            return true;
        }
    }
    *format = by_content(start, n);
    return true;
}

/* ---- What went wrong ---- */

/* DuckDB's messages begin with a kind and end with our SQL, or advice about its own options. */
static void shorten(struct nx_err *err)
{
    static const char *const ends[] = {
        "\nPossible",  "\nColumn ",  "\nThis can happen", "\nThis type",
        "\n  file = ", "\nLINE 1: ", "\nTry setting",     "\n Try setting"};
    static const char *const starts[] = {"Invalid Input Error: ", "Conversion Error: "};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *end = strstr(err->text, ends[i]);
        if (end) {
            *end = 0;
        }
    }
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t n = strlen(starts[i]);
        if (str_starts(err->text, starts[i])) {
            memmove(err->text, err->text + n, strlen(err->text) - n + 1);
        }
    }
    size_t n = strlen(err->text);
    while (n > 0 && strchr("\n ", err->text[n - 1])) {
        err->text[--n] = 0;
    }
}

/* The message with the file that it names. */
static void name_file(const struct source *source, struct nx_err *err)
{
    char *file = strstr(err->text, "\n  file = "), path[PATH_MAX_BYTES] = "";
    if (file) {
        file += strlen("\n  file = ");
        snprintf(path, sizeof path, "%.*s", (int)strcspn(file, "\n"), file);
    }
    shorten(err);
    nx_wrap(err, "%s", path_base(*path ? path : source->paths[0]));
}

static bool says_not_utf8(const struct source *source, struct nx_err *err)
{
    uint64_t offset, line;
    for (size_t i = 0; i < source->n_paths; i++) {
        if (source_find_bad_utf8(source->paths[i], &offset, &line)) {
            return !source_not_utf8(source->paths[i], offset, line, err);
        }
    }
    return false;
}

/* ---- What columns there are ---- */

void source_add_column(struct source *source, const char *name, const struct schema *named)
{
    struct schema_column *column = &source->schema.columns[source->schema.n_columns++];
    const struct schema_column *asked = schema_find(named, name);
    *column = asked ? *asked : (struct schema_column){.name = name, .type = TABLE_STRING};
}

/* Every type that was asked for must be that of a column. */
static bool check_named(const struct source *source, const struct schema *named, struct nx_err *err)
{
    size_t n = source->schema.n_columns;
    for (size_t i = 0; i < named->n_columns; i++) {
        const char *name = named->columns[i].name;
        if (!schema_find(&source->schema, name)) {
            const char **names = mem_alloc_array(n + 1, sizeof *names);
            for (size_t k = 0; k < n; k++) {
                names[k] = source->schema.columns[k].name;
            }
            const char *nearest = str_nearest(name, names, n);
            mem_free(names);
            return nx_fail(err, NX_E_INVALID, "`columns` names '%s', which %s does not have%s%s%s",
                           name, path_base(source->paths[0]), nearest ? "; did you mean '" : "",
                           nearest ? nearest : "", nearest ? "'?" : "");
        }
    }
    return true;
}

/* The place of a name in a file's header, or its number of columns. */
static size_t header_find(const struct source_header *header, const char *name)
{
    size_t i = 0;
    while (i < header->n && !str_eq(header->names[i], name)) {
        i++;
    }
    return i;
}

/* All files must have the columns of the first, in whatever order. */
static bool same_names(const struct source *source, size_t k, struct nx_err *err)
{
    const struct source_header *first = &source->headers[0], *other = &source->headers[k];
    for (size_t i = 0; i < first->n; i++) {
        if (header_find(other, first->names[i]) == other->n) {
            return nx_fail(err, NX_E_DATA, "%s has no column '%s', which %s has",
                           path_base(source->paths[k]), first->names[i],
                           path_base(source->paths[0]));
        }
    }
    for (size_t i = 0; i < other->n; i++) {
        if (header_find(first, other->names[i]) == first->n) {
            return nx_fail(err, NX_E_DATA, "%s has a column '%s', which %s does not have",
                           path_base(source->paths[k]), other->names[i],
                           path_base(source->paths[0]));
        }
    }
    return true;
}

static bool inspect_csv(struct source *source, const struct schema *named, struct nx_err *err)
{
    source->headers = arena_array(source->arena, source->n_paths, sizeof *source->headers);
    for (size_t i = 0; i < source->n_paths; i++) {
        if (!csv_read_header(source->paths[i], &source->schema.file, source->arena,
                             &source->headers[i], err) ||
            !same_names(source, i, err)) {
            return false;
        }
    }
    const struct source_header *header = &source->headers[0];
    source->schema.columns =
        arena_array(source->arena, header->n + 1, sizeof *source->schema.columns);
    for (size_t i = 0; i < header->n; i++) {
        source_add_column(source, header->names[i], named);
    }
    return true;
}

/* ---- Parquet ---- */

/* What `columns` can say for an SQL type that is not one of ours. */
static const char *advice_for(const char *type)
{
    static const char *const numbers[] = {"TINYINT[",   "SMALLINT[", "BIGINT[",  "UTINYINT[",
                                          "USMALLINT[", "UINTEGER[", "UBIGINT[", "DECIMAL("};
    bool list = str_ends(type, "]");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (str_starts(type, numbers[i])) {
            return list ? "doubles" : "double";
        }
    }
    if (str_starts(type, "TIMESTAMP") && !list) {
        return "timestamp";
    }
    bool integer = str_eq(type, "UBIGINT") || str_eq(type, "HUGEINT") || str_eq(type, "UHUGEINT");
    return integer ? "int64" : "string";
}

/* Names and types of one file's columns. DESCRIBE calls the second of two names that differ only in
 * case anew, so the names are taken from the file's own schema. */
static bool describe_parquet(struct source *source, size_t k, struct nx_err *err)
{
    struct source_header *header = &source->headers[k];
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    VEC(const char *) types = {0};
    buf_init(&sql);
    buf_str(&sql, "SELECT column_type FROM (DESCRIBE SELECT * FROM read_parquet(");
    data_quote_text(&sql, source->names[k]);
    buf_str(&sql, "))");
    bool ok = data_query(source->db, buf_text(&sql), NULL, 0, &result, err);
    while (ok && (ok = data_next(result, &batch, err)) && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            struct data_text type = batch->columns[0].as.text[i];
            vec_push(&types, arena_strndup(source->arena, type.at, type.n));
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    header->n = types.n;
    header->types = arena_dup(source->arena, types.at, types.n * sizeof *types.at);
    vec_fini(&types);
    return ok;
}

/* The names in the file's schema, which is a tree with the children behind their parents. */
static bool name_parquet(struct source *source, size_t k, struct nx_err *err)
{
    struct source_header *header = &source->headers[k];
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    size_t n = 0, nested = 1; /* rows to come that are no column; the root is none */
    buf_init(&sql);
    buf_str(&sql, "SELECT name, coalesce(num_children, 0) FROM parquet_schema(");
    data_quote_text(&sql, source->names[k]);
    buf_str(&sql, ")");
    header->names = arena_array(source->arena, header->n + 1, sizeof *header->names);
    bool ok = data_query(source->db, buf_text(&sql), NULL, 0, &result, err), root = true;
    while (ok && (ok = data_next(result, &batch, err)) && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            struct data_text name = batch->columns[0].as.text[i];
            if (nested == 0 && n < header->n) {
                header->names[n++] = arena_strndup(source->arena, name.at, name.n);
            }
            nested -= nested > 0;
            nested += root ? 0 : (size_t)batch->columns[1].as.i[i];
            root = false;
        }
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok && (n == header->n || nx_fail(err, NX_E_INTERNAL, "%s: %zu of %zu columns have names",
                                            path_base(source->paths[k]), n, header->n));
}

static bool unlike_names(const struct source *source, size_t k, struct nx_err *err)
{
    const struct source_header *header = &source->headers[k];
    for (size_t i = 0; i < header->n; i++) {
        if (!*header->names[i]) {
            return nx_fail(err, NX_E_DATA, "%s: column %zu has no name",
                           path_base(source->paths[k]), i + 1);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(header->names[i], header->names[j]) == 0) {
                return nx_fail(err, NX_E_DATA, "%s: two columns are called '%s': rename one",
                               path_base(source->paths[k]), header->names[i]);
            }
        }
    }
    return true;
}

/* Untyped columns must have one type in all files. */
static bool same_types(const struct source *source, size_t k, struct nx_err *err)
{
    const struct source_header *first = &source->headers[0], *other = &source->headers[k];
    for (size_t i = 0; i < first->n; i++) {
        const struct schema_column *column = &source->schema.columns[i];
        const char *type = other->types[header_find(other, column->name)];
        enum table_type found;
        if (!column->typed && (!type_find_sql(type, &found) || found != column->type)) {
            return nx_fail(err, NX_E_DATA,
                           "column '%s' is %s in %s, but %s in %s: name its type in `columns`",
                           column->name, type, path_base(source->paths[k]), first->types[i],
                           path_base(source->paths[0]));
        }
    }
    return true;
}

static bool take_parquet(struct source *source, const struct schema *named, struct nx_err *err)
{
    const struct source_header *header = &source->headers[0];
    source->schema.columns =
        arena_array(source->arena, header->n + 1, sizeof *source->schema.columns);
    for (size_t i = 0; i < header->n; i++) {
        source_add_column(source, header->names[i], named);
        struct schema_column *column = &source->schema.columns[i];
        const char *type = header->types[i];
        if (!column->typed && !type_find_sql(type, &column->type)) {
            return nx_fail(err, NX_E_DATA,
                           "column '%s' of %s is %s, which a table cannot keep: name its type, "
                           "such as `columns: {%s: %s}`",
                           column->name, path_base(source->paths[0]), type, column->name,
                           advice_for(type));
        }
    }
    return true;
}

static bool inspect_parquet(struct source *source, const struct schema *named, struct nx_err *err)
{
    source->headers = arena_array(source->arena, source->n_paths, sizeof *source->headers);
    for (size_t i = 0; i < source->n_paths; i++) {
        if (!describe_parquet(source, i, err) || !name_parquet(source, i, err)) {
            shorten(err);
            return nx_wrap(err, "%s", path_base(source->paths[i]));
        }
        if (!unlike_names(source, i, err) || !same_names(source, i, err) ||
            (i == 0 && !take_parquet(source, named, err)) || !same_types(source, i, err)) {
            return false;
        }
    }
    return true;
}

bool source_inspect(struct source *source, struct nx_err *err)
{
    must(source->n_paths > 0 && source->schema.file.format != FILE_AUTO);
    struct schema named = source->schema;
    source->schema.columns = NULL;
    source->schema.n_columns = 0;
    enum file_format format = source->schema.file.format;
    source->names = arena_array(source->arena, source->n_paths, sizeof *source->names);
    for (size_t i = 0; i < source->n_paths; i++) {
        if (!data_name_file(source->db, source->paths[i], &source->names[i], err)) {
            return false;
        }
    }
    bool ok = format == FILE_CSV       ? inspect_csv(source, &named, err)
              : format == FILE_PARQUET ? inspect_parquet(source, &named, err)
                                       : json_inspect(source, &named, err);
    return ok && (source->pinned || check_named(source, &named, err));
}

enum schema_change source_compare(const struct source *source, const struct schema *pinned,
                                  struct buf *sentences)
{
    return schema_compare(pinned, &source->schema, sentences);
}

void source_pin(struct source *source, const struct schema *pinned, bool add_new)
{
    size_t most = pinned->n_columns + source->schema.n_columns, n = 0;
    struct schema_column *columns = arena_array(source->arena, most + 1, sizeof *columns);
    for (; n < pinned->n_columns; n++) {
        columns[n] = pinned->columns[n];
    }
    for (size_t i = 0; add_new && i < source->schema.n_columns; i++) {
        if (!schema_find(pinned, source->schema.columns[i].name)) {
            columns[n++] = source->schema.columns[i];
        }
    }
    source->schema.columns = columns;
    source->schema.n_columns = n;
}

/* The line of the value that does not fit, and its file (may be NULL); 0: it is not found. */
static uint64_t find_misfit(const struct source *source, const char **path)
{
    const struct misfit *misfit = &source->db->misfit;
    struct data_text value = {buf_text(&misfit->value), misfit->value.len};
    const char *column = buf_text(&misfit->column);
    enum file_format format = source->schema.file.format;
    uint64_t line = 0;
    for (size_t k = 0; format != FILE_PARQUET && k < source->n_paths && line == 0; k++) {
        size_t at = header_find(&source->headers[k], column);
        if (at < source->headers[k].n) {
            line = format == FILE_CSV ? csv_find_value(source->paths[k], &source->schema.file, at,
                                                       value.at, value.n)
                                      : json_find_value(source->paths[k], column, value);
        }
        if (line && path) {
            *path = source->paths[k];
        }
    }
    return line;
}

/* The error of a value that does not fit, with its file and line where they are found. */
static void place_misfit(const struct source *source, struct nx_err *err)
{
    const char *path = source->paths[0];
    uint64_t line = find_misfit(source, &path);
    if (line) {
        nx_wrap(err, "%s: line %" PRIu64, path_base(path), line);
    } else {
        nx_wrap(err, "%s%s", path_base(path), source->n_paths > 1 ? " and others" : "");
    }
}

/* Whether a CSV file is to be read with care: by one thread, in buffers that take lines of 32 MiB.
 * A text that reaches over the end of a buffer looks as if its quote were never closed; and a
 * thread that begins inside of one takes its lines for rows. */
static bool asks_for_care(const struct nx_err *err)
{
    return strstr(err->text, "Maximum line size") || strstr(err->text, "unterminated quote") ||
           strstr(err->text, "does not support a full read");
}

static void fail_long_line(const struct source *source, struct nx_err *err)
{
    const char *at = strstr(err->text, "Error on Line: ");
    long line = at ? strtol(at + strlen("Error on Line: "), NULL, 10) : 0;
    nx_fail(err, NX_E_DATA, "%s: line %ld is longer than 32 MiB; does a closing quote miss?",
            path_base(source->paths[0]), line);
}

/* True when it is worth it; DuckDB reads over a quote that is never closed then, so that is looked
 * for before. */
static bool take_care(struct source *source, struct nx_err *err)
{
    for (size_t i = 0; !source->careful && i < source->n_paths; i++) {
        if (!csv_check_quotes(source->paths[i], &source->schema.file, err)) {
            source->settled = true;
            return false;
        }
    }
    bool changed = !source->careful;
    source->careful = true;
    return changed;
}

static bool recover_csv(struct source *source, struct nx_err *err)
{
    bool changed = false, misfit = source->db->misfit.there;
    struct nx_err why = {0};
    if (asks_for_care(err)) {
        return take_care(source, err);
    }
    if (!source->exact && source_infer_all(source, &changed, &why) && changed) {
        return true;
    }
    return (asks_for_care(&why) || (misfit && !find_misfit(source, NULL))) &&
           take_care(source, err);
}

bool source_recover(struct source *source, struct nx_err *err)
{
    bool csv = source->schema.file.format == FILE_CSV;
    if (err->code != NX_E_DATA && err->code != NX_E_INVALID && !asks_for_care(err)) {
        return false;
    }
    if (csv && recover_csv(source, err)) {
        return true;
    }
    if (source->settled) {
        return false;
    }
    if (csv && asks_for_care(err) && !strstr(err->text, "unterminated quote")) {
        fail_long_line(source, err);
    } else if (source->db->misfit.there && strstr(err->text, ", but has '")) {
        shorten(err);
        place_misfit(source, err);
    } else if (source->schema.file.format == FILE_PARQUET || !says_not_utf8(source, err)) {
        name_file(source, err);
    }
    return false;
}
