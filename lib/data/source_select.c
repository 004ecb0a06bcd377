/* The SELECT that reads files. DuckDB's own casts round 1.5 to 2, cut times off dates and drop the
 * offsets of timestamps; here each text that is not of its column's type is an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"
#include "lib/data/source.h"

#define LINE_BYTES (32 << 20)

static void put_texts(struct buf *sql, const char *const *texts, size_t n)
{
    buf_str(sql, "[");
    for (size_t i = 0; i < n; i++) {
        buf_str(sql, i ? ", " : "");
        data_quote_text(sql, texts[i]);
    }
    buf_str(sql, "]");
}

static bool is_local(const struct source *source)
{
    const char *zone = source->schema.file.timezone;
    return zone && !str_eq(zone, "UTC");
}

/* read_csv(['a', 'b'], ...) of the files from..to-1, which have one header. */
static void put_read_csv(const struct source *source, size_t from, size_t to, struct buf *sql)
{
    const struct schema_file *file = &source->schema.file;
    const struct source_header *header = &source->headers[from];
    buf_str(sql, "read_csv(");
    put_texts(sql, source->names + from, to - from);
    buf_str(sql, ", auto_detect = false, delim = ");
    data_quote_text(sql, file->delimiter);
    buf_str(sql, ", quote = ");
    data_quote_text(sql, file->quote);
    buf_str(sql, ", escape = ");
    data_quote_text(sql, file->quote);
    buf_printf(sql,
               ", header = %s, strict_mode = true, nullstr = ", file->header ? "true" : "false");
    static const char *const empty[] = {""};
    put_texts(sql, file->n_nulls ? file->nulls : empty, file->n_nulls ? file->n_nulls : 1);
    if (source->careful) {
        buf_printf(sql, ", max_line_size = %d, buffer_size = %d, parallel = false", LINE_BYTES,
                   2 * LINE_BYTES);
    }
    buf_str(sql, ", columns = {");
    for (size_t i = 0; i < header->n; i++) {
        buf_str(sql, i ? ", " : "");
        data_quote_name(sql, header->names[i]);
        buf_str(sql, ": 'VARCHAR'");
    }
    buf_str(sql, "})");
}

/* The members of the records, as texts, in the order of the header. */
static void put_read_json(const struct source *source, size_t from, size_t to, struct buf *sql)
{
    const struct source_header *header = &source->headers[from];
    buf_str(sql, "(SELECT ");
    for (size_t i = 0; i < header->n; i++) {
        buf_printf(sql, "%sfields[%zu] AS ", i ? ", " : "", i + 1);
        data_quote_name(sql, header->names[i]);
    }
    buf_str(sql, " FROM (SELECT nexus_fields(json) AS fields FROM read_json_objects(");
    put_texts(sql, source->names + from, to - from);
    buf_printf(sql, ", format = '%s', maximum_object_size = %d)))", header->layout, LINE_BYTES);
    fields_set(source->db, header->names, header->n);
}

static void put_read(const struct source *source, size_t from, size_t to, struct buf *sql)
{
    if (source->schema.file.format == FILE_CSV) {
        put_read_csv(source, from, to, sql);
    } else if (source->schema.file.format == FILE_PARQUET) {
        buf_str(sql, "read_parquet(");
        put_texts(sql, source->names + from, to - from);
        buf_str(sql, ")");
    } else {
        put_read_json(source, from, to, sql);
    }
}

static bool same_text(const char *const *x, const char *const *y, size_t i)
{
    return !x || !y ? !x && !y : str_eq(x[i], y[i]);
}

/* Whether one call may read both: the columns and their order are the same. */
static bool same_header(const struct source *source, size_t a, size_t b)
{
    const struct source_header *x = &source->headers[a], *y = &source->headers[b];
    bool same =
        x->n == y->n && same_text(x->layout ? &x->layout : NULL, y->layout ? &y->layout : NULL, 0);
    for (size_t i = 0; same && i < x->n; i++) {
        same = str_eq(x->names[i], y->names[i]) && same_text(x->types, y->types, i);
    }
    return same;
}

/* ---- Columns as the schema says ---- */

/* nexus_int(value, 'n'): one of our functions; `value` is SQL. */
static void put_call(struct buf *sql, const char *function, const char *value, const char *name)
{
    buf_printf(sql, "%s(%s, ", function, value);
    data_quote_text(sql, name);
    buf_str(sql, ")");
}

/* A text by the format of its column, as TIMESTAMP. */
static void put_formatted(struct buf *sql, const struct schema_column *column, const char *value)
{
    struct buf type;
    buf_init(&type);
    buf_printf(&type, "%s in the format '%.80s'", table_type_name(column->type), column->format);
    buf_printf(sql, "CAST(coalesce(try_strptime(%s, ", value);
    data_quote_text(sql, column->format);
    buf_printf(sql, "), nexus_misfit(%s, ", value);
    data_quote_text(sql, column->name);
    buf_str(sql, ", ");
    data_quote_text(sql, buf_text(&type));
    buf_str(sql, ")) AS TIMESTAMP)");
    buf_fini(&type);
}

/* A date by its format, which must not have a time of the day. */
static void put_formatted_day(struct buf *sql, const struct schema_column *column,
                              const char *value)
{
    struct buf time;
    buf_init(&time);
    put_formatted(&time, column, value);
    const char *t = buf_text(&time);
    buf_printf(sql, "CAST(CASE WHEN %s = date_trunc('day', %s) THEN %s ELSE nexus_misfit(%s, ", t,
               t, t, value);
    data_quote_text(sql, column->name);
    buf_str(sql, ", 'date') END AS DATE)");
    buf_fini(&time);
}

/* %z, %Z: the texts say their offset. */
static bool says_offset(const char *format)
{
    for (const char *p = format; *p; p++) {
        if (*p == '%' && *++p && (*p == 'z' || *p == 'Z')) {
            return true;
        }
        if (!*p) {
            return false;
        }
    }
    return false;
}

/* A time that may be local: texts that say their offset are not. */
static void put_timestamp(const struct source *source, struct buf *sql,
                          const struct schema_column *column, const char *raw, const char *value)
{
    bool time = str_starts(raw, "TIMESTAMP") || str_eq(raw, "DATE");
    bool zoned = column->format ? says_offset(column->format)
                                : str_eq(raw, "TIMESTAMP WITH TIME ZONE") || str_eq(raw, "DATE");
    bool local = is_local(source) && !zoned;
    bool either = local && !time && !column->format;
    if (either) {
        buf_printf(sql, "CASE WHEN regexp_matches(%s, ':.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$') THEN ",
                   value);
        put_call(sql, "nexus_timestamp", value, column->name);
        buf_str(sql, " ELSE ");
    }
    buf_str(sql, local ? "nexus_utc(" : "");
    if (time) {
        buf_printf(sql, "CAST(%s AS TIMESTAMP)", value);
    } else if (column->format) {
        put_formatted(sql, column, value);
    } else {
        put_call(sql, "nexus_timestamp", value, column->name);
    }
    if (local) {
        buf_str(sql, ", ");
        data_quote_text(sql, source->schema.file.timezone);
        buf_str(sql, either ? ") END" : ")");
    }
}

/* Our function that reads a text as a type. CSV says what it is by its spelling: 1.0 is no int64.
 */
static const char *function_for(const struct source *source, const struct schema_column *column)
{
    switch (column->type) {
    case TABLE_INT64:
        return source->schema.file.format == FILE_CSV ? "nexus_int" : "nexus_whole";
    case TABLE_DOUBLE:
        return "nexus_double";
    case TABLE_DATE:
        return column->typed ? "nexus_day" : "nexus_date";
    case TABLE_BOOL:
        return column->typed ? "nexus_yes" : "nexus_bool";
    case TABLE_DOUBLES:
        return "nexus_doubles";
    default:
        return NULL;
    }
}

static void put_text_column(const struct source *source, struct buf *sql,
                            const struct schema_column *column, const char *value)
{
    const char *function = function_for(source, column);
    if (column->type == TABLE_TIMESTAMP) {
        put_timestamp(source, sql, column, "VARCHAR", value);
    } else if (column->type == TABLE_DATE && column->format) {
        put_formatted_day(sql, column, value);
    } else if (function) {
        put_call(sql, function, value, column->name);
    } else {
        buf_str(sql, value);
    }
}

/* A value of a Parquet file as the text that our functions read; exact. */
static void put_text_of(struct buf *sql, enum table_type wanted, const char *raw, const char *value)
{
    bool number = str_eq(raw, "DOUBLE") || str_eq(raw, "FLOAT");
    if (number && wanted == TABLE_INT64) {
        buf_printf(sql,
                   "CASE WHEN isnan(%s) THEN NULL ELSE printf('%%.17g', CAST(%s AS DOUBLE)) END",
                   value, value);
    } else if (str_eq(raw, "BLOB")) {
        buf_printf(sql, "decode(%s)", value);
    } else if (str_eq(raw, "TIMESTAMP WITH TIME ZONE")) {
        buf_printf(sql, "CAST(CAST(%s AS TIMESTAMP) AS VARCHAR)", value);
    } else if (str_ends(raw, "]")) {
        buf_printf(sql, "CAST(to_json(%s) AS VARCHAR)", value);
    } else {
        buf_printf(sql, "CAST(%s AS VARCHAR)", value);
    }
}

/* A column of a Parquet file: as it is where its type is the one wanted or a narrower one. */
static void put_typed_column(const struct source *source, struct buf *sql,
                             const struct schema_column *column, const char *raw, const char *value)
{
    static const char *const narrow[] = {"TINYINT",  "SMALLINT",  "INTEGER",
                                         "UTINYINT", "USMALLINT", "UINTEGER"};
    enum table_type found;
    bool same = type_find_sql(raw, &found) && found == column->type;
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
        same = same || (column->type == TABLE_DOUBLE && str_eq(raw, narrow[i]));
    }
    if (column->type == TABLE_TIMESTAMP && (str_starts(raw, "TIMESTAMP") || str_eq(raw, "DATE"))) {
        put_timestamp(source, sql, column, raw, value);
    } else if (same) {
        buf_printf(sql, "CAST(%s AS %s)", value, type_sql(column->type));
    } else {
        struct buf text;
        buf_init(&text);
        put_text_of(&text, column->type, raw, value);
        if (column->type == TABLE_INT64 && (str_eq(raw, "DOUBLE") || str_eq(raw, "FLOAT"))) {
            put_call(sql, "nexus_int", buf_text(&text), column->name);
        } else {
            put_text_column(source, sql, column, buf_text(&text));
        }
        buf_fini(&text);
    }
}

static void put_columns(const struct source *source, struct buf *sql,
                        const struct source_header *header)
{
    struct buf name;
    buf_init(&name);
    for (size_t i = 0; i < source->schema.n_columns; i++) {
        const struct schema_column *column = &source->schema.columns[i];
        size_t k = 0;
        while (k < header->n && !str_eq(header->names[k], column->name)) {
            k++;
        }
        buf_clear(&name);
        data_quote_name(&name, column->name);
        buf_str(sql, i ? ", " : "");
        if (k == header->n) {
            buf_printf(sql, "CAST(NULL AS %s)", type_sql(column->type));
        } else if (header->types && !str_eq(header->types[k], "VARCHAR")) {
            put_typed_column(source, sql, column, header->types[k], buf_text(&name));
        } else {
            put_text_column(source, sql, column, buf_text(&name));
        }
        buf_printf(sql, " AS %s", buf_text(&name));
    }
    buf_fini(&name);
}

void source_texts(const struct source *source, struct buf *sql)
{
    for (size_t from = 0, to; from < source->n_paths; from = to) {
        for (to = from + 1; to < source->n_paths && same_header(source, from, to);) {
            to++;
        }
        buf_str(sql, from ? " UNION ALL BY NAME SELECT * FROM " : "SELECT * FROM ");
        put_read_csv(source, from, to, sql);
    }
}

void source_select(const struct source *source, struct buf *sql)
{
    for (size_t from = 0, to; from < source->n_paths; from = to) {
        for (to = from + 1; to < source->n_paths && same_header(source, from, to);) {
            to++;
        }
        buf_str(sql, from ? " UNION ALL SELECT " : "SELECT ");
        put_columns(source, sql, &source->headers[from]);
        buf_str(sql, " FROM ");
        put_read(source, from, to, sql);
    }
}
