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
        if (str_ends(path, ends[i].end)) {
            *format = ends[i].format;
            return true;
        }
    }
    *format = by_content(start, n);
    return true;
}

/* ---- What went wrong ---- */

/* DuckDB's messages about CSV end with advice about its own options. */
static void shorten(const struct source *source, struct nx_err *err)
{
    static const char *const ends[] = {
        "\nPossible",  "\nColumn ",  "\nThis can happen", "\nThis type",
        "\n  file = ", "\nLINE 1: ", "\nTry setting",     "\n Try setting"};
    static const char *const starts[] = {"Invalid Input Error: ", "Conversion Error: "};
    char *file = strstr(err->text, "\n  file = "), path[PATH_MAX_BYTES] = "";
    if (file) {
        file += strlen("\n  file = ");
        snprintf(path, sizeof path, "%.*s", (int)strcspn(file, "\n"), file);
    }
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

static void add_column(struct source *source, const char *name, const struct schema *named)
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

static bool has_name(const struct source_header *header, const char *name)
{
    for (size_t i = 0; i < header->n; i++) {
        if (str_eq(header->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* All files must have the columns of the first, in whatever order. */
static bool same_names(const struct source *source, size_t k, struct nx_err *err)
{
    const struct source_header *first = &source->headers[0], *other = &source->headers[k];
    for (size_t i = 0; i < first->n; i++) {
        if (!has_name(other, first->names[i])) {
            return nx_fail(err, NX_E_DATA, "%s has no column '%s', which %s has",
                           path_base(source->paths[k]), first->names[i],
                           path_base(source->paths[0]));
        }
    }
    for (size_t i = 0; i < other->n; i++) {
        if (!has_name(first, other->names[i])) {
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
        add_column(source, header->names[i], named);
    }
    return true;
}

/* Takes name and type of one column as DESCRIBE gives them. The table's list of types does not
 * know all of SQL's, so they are read as text. */
static bool take_described(struct source *source, const struct schema *named, const char *name,
                           const char *type, struct nx_err *err)
{
    size_t at = source->schema.n_columns;
    enum table_type found;
    bool known = type_find_sql(type, &found);
    bool json = source->schema.file.format != FILE_PARQUET;
    /* In JSON these were texts; they stay what they were. */
    if (json && (str_eq(type, "TIME") || str_eq(type, "UUID") || str_eq(type, "JSON"))) {
        type = "VARCHAR";
        known = type_find_sql(type, &found);
    }
    source->raw[at] = arena_strdup(source->arena, type);
    add_column(source, arena_strdup(source->arena, name), named);
    struct schema_column *column = &source->schema.columns[at];
    if (column->typed) {
        return true;
    }
    column->type = known ? found : TABLE_STRING;
    if (!known) {
        return nx_fail(err, NX_E_DATA,
                       "column '%s' of %s is %s, which a table cannot keep: name its type, such as "
                       "`columns: {%s: double}` or string",
                       name, path_base(source->paths[0]), type, name);
    }
    return true;
}

static bool inspect_typed(struct source *source, const struct schema *named, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    buf_init(&sql);
    buf_str(&sql,
            "SELECT column_name, column_type, count(*) OVER () FROM (DESCRIBE SELECT * FROM ");
    source_files(source, &sql);
    buf_str(&sql, ")");
    bool ok = data_query(source->db, buf_text(&sql), NULL, 0, &result, err);
    buf_fini(&sql);
    if (!ok && (source->schema.file.format == FILE_PARQUET || !says_not_utf8(source, err))) {
        shorten(source, err);
    }
    while (ok && (ok = data_next(result, &batch, err)) && batch) {
        if (!source->raw) {
            size_t n = (size_t)batch->columns[2].as.i[0];
            source->raw = arena_array(source->arena, n + 1, sizeof *source->raw);
            source->schema.columns =
                arena_array(source->arena, n + 1, sizeof *source->schema.columns);
        }
        for (size_t i = 0; ok && i < batch->n_rows; i++) {
            struct data_text name = batch->columns[0].as.text[i];
            struct data_text type = batch->columns[1].as.text[i];
            ok = take_described(source, named, arena_strndup(source->arena, name.at, name.n),
                                arena_strndup(source->arena, type.at, type.n), err);
        }
    }
    data_result_close(result);
    return ok;
}

bool source_inspect(struct source *source, struct nx_err *err)
{
    must(source->n_paths > 0 && source->schema.file.format != FILE_AUTO);
    struct schema named = source->schema;
    source->schema.columns = NULL;
    source->schema.n_columns = 0;
    bool csv = source->schema.file.format == FILE_CSV;
    return (csv ? inspect_csv(source, &named, err) : inspect_typed(source, &named, err)) &&
           (source->pinned || check_named(source, &named, err));
}

/* The files' own columns: in Parquet and JSON those that the schema types keep their own type. */
enum schema_change source_compare(const struct source *source, const struct schema *pinned,
                                  struct buf *sentences)
{
    struct schema found = source->schema;
    found.columns = mem_dup(found.columns, (found.n_columns + 1) * sizeof *found.columns);
    for (size_t i = 0; source->raw && i < found.n_columns; i++) {
        enum table_type type;
        if (source->raw[i] && type_find_sql(source->raw[i], &type)) {
            found.columns[i].type = type;
        }
    }
    enum schema_change change = schema_compare(pinned, &found, sentences);
    mem_free(found.columns);
    return change;
}

/* The place of a column among the source's, or its number of columns. */
static size_t place_of(const struct source *source, const char *name)
{
    const struct schema_column *column = schema_find(&source->schema, name);
    return column ? (size_t)(column - source->schema.columns) : source->schema.n_columns;
}

void source_pin(struct source *source, const struct schema *pinned, bool add_new)
{
    size_t most = pinned->n_columns + source->schema.n_columns, n = 0;
    struct schema_column *columns = arena_array(source->arena, most + 1, sizeof *columns);
    const char **raw = arena_array(source->arena, most + 1, sizeof *raw);
    for (; n < pinned->n_columns; n++) {
        size_t at = place_of(source, pinned->columns[n].name);
        columns[n] = pinned->columns[n];
        raw[n] = source->raw && at < source->schema.n_columns ? source->raw[at] : NULL;
    }
    for (size_t i = 0; add_new && i < source->schema.n_columns; i++) {
        if (!schema_find(pinned, source->schema.columns[i].name)) {
            columns[n] = source->schema.columns[i];
            raw[n++] = source->raw ? source->raw[i] : NULL;
        }
    }
    source->schema.columns = columns;
    source->schema.n_columns = n;
    source->raw = source->raw ? raw : NULL;
}

bool source_recover(struct source *source, struct nx_err *err)
{
    bool changed = false;
    bool csv = source->schema.file.format == FILE_CSV;
    bool long_line = csv && (strstr(err->text, "Maximum line size") ||
                             strstr(err->text, "does not support a full read"));
    if (long_line && !source->long_lines) {
        source->long_lines = true;
        return true;
    }
    if (long_line) {
        const char *at = strstr(err->text, "Error on Line: ");
        long line = at ? strtol(at + strlen("Error on Line: "), NULL, 10) : 0;
        nx_fail(err, NX_E_DATA, "%s: line %ld is longer than 32 MiB; does a closing quote miss?",
                path_base(source->paths[0]), line);
        return false;
    }
    if (err->code != NX_E_DATA && err->code != NX_E_INVALID) {
        return false;
    }
    struct nx_err ignored;
    if (csv && !source->exact && source_infer_all(source, &changed, &ignored) && changed) {
        return true;
    }
    if (source->schema.file.format != FILE_PARQUET && !says_not_utf8(source, err)) {
        shorten(source, err);
    }
    return false;
}
