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

/* The type as which DuckDB's reader gets a CSV column: texts, which are parsed strictly, but
 * doubles, where the reader itself is strict. */
static const char *read_type(const struct schema_column *column)
{
    return column && column->type == TABLE_DOUBLE ? "DOUBLE" : "VARCHAR";
}

/* read_csv(['a', 'b'], ...) of the files from..to-1, which have one header. */
static void put_read_csv(const struct source *source, size_t from, size_t to, bool texts,
                         struct buf *sql)
{
    const struct schema_file *file = &source->schema.file;
    const struct source_header *header = &source->headers[from];
    buf_str(sql, "read_csv(");
    put_texts(sql, source->paths + from, to - from);
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
    if (source->long_lines) {
        buf_printf(sql, ", max_line_size = %d, buffer_size = %d", LINE_BYTES, 2 * LINE_BYTES);
    }
    buf_str(sql, ", columns = {");
    for (size_t i = 0; i < header->n; i++) {
        const struct schema_column *column = schema_find(&source->schema, header->names[i]);
        buf_str(sql, i ? ", " : "");
        data_quote_name(sql, header->names[i]);
        buf_printf(sql, ": '%s'", texts ? "VARCHAR" : read_type(column));
    }
    buf_str(sql, "})");
}

static bool same_header(const struct source *source, size_t a, size_t b)
{
    const struct source_header *x = &source->headers[a], *y = &source->headers[b];
    bool same = x->n == y->n;
    for (size_t i = 0; same && i < x->n; i++) {
        same = str_eq(x->names[i], y->names[i]);
    }
    return same;
}

void source_files(const struct source *source, struct buf *sql)
{
    const struct schema_file *file = &source->schema.file;
    bool parquet = file->format == FILE_PARQUET;
    buf_str(sql, parquet ? "read_parquet(" : "read_json(");
    put_texts(sql, source->paths, source->n_paths);
    if (!parquet) {
        buf_printf(sql, ", format = '%s', maximum_object_size = %d",
                   file->format == FILE_JSON ? "auto" : "newline_delimited", LINE_BYTES);
        if (source->raw && source->schema.n_columns > 0) {
            buf_str(sql, ", columns = {");
            for (size_t i = 0, n = 0; i < source->schema.n_columns; i++) {
                if (source->raw[i]) {
                    buf_str(sql, n++ ? ", " : "");
                    data_quote_name(sql, source->schema.columns[i].name);
                    buf_str(sql, ": ");
                    data_quote_text(sql, source->raw[i]);
                }
            }
            buf_str(sql, "}");
        } else {
            buf_str(sql, ", sample_size = -1");
        }
    }
    buf_str(sql, ")");
}

/* nexus_int("n", 'n'): the column by one of our functions. */
static void put_call(struct buf *sql, const char *function, const char *name)
{
    buf_printf(sql, "%s(", function);
    data_quote_name(sql, name);
    buf_str(sql, ", ");
    data_quote_text(sql, name);
    buf_str(sql, ")");
}

/* strptime("day", '%d.%m.%Y') */
static void put_formatted(struct buf *sql, const struct schema_column *column, const char *type)
{
    buf_str(sql, "CAST(strptime(");
    data_quote_name(sql, column->name);
    buf_str(sql, ", ");
    data_quote_text(sql, column->format);
    buf_printf(sql, ") AS %s)", type);
}

/* A time that may be local: texts that say their offset are not. */
static void put_timestamp(const struct source *source, struct buf *sql,
                          const struct schema_column *column, const char *raw)
{
    bool text = str_eq(raw, "VARCHAR"), zoned = str_eq(raw, "TIMESTAMP WITH TIME ZONE");
    bool local = is_local(source) && !zoned && !str_eq(raw, "DATE");
    bool either = local && text && !column->format;
    if (either) {
        buf_str(sql, "CASE WHEN regexp_matches(");
        data_quote_name(sql, column->name);
        buf_str(sql, ", ':.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$') THEN ");
        put_call(sql, "nexus_timestamp", column->name);
        buf_str(sql, " ELSE ");
    }
    buf_str(sql, local ? "nexus_utc(" : "");
    if (text && column->format) {
        put_formatted(sql, column, "TIMESTAMP");
    } else if (text) {
        put_call(sql, "nexus_timestamp", column->name);
    } else {
        buf_str(sql, "CAST(");
        data_quote_name(sql, column->name);
        buf_str(sql, " AS TIMESTAMP)");
    }
    if (local) {
        buf_str(sql, ", ");
        data_quote_text(sql, source->schema.file.timezone);
        buf_str(sql, either ? ") END" : ")");
    }
}

/* One column as the type of the schema, from the type `raw` in which it is read. */
static void put_column(const struct source *source, struct buf *sql,
                       const struct schema_column *column, const char *raw)
{
    bool text = str_eq(raw, "VARCHAR");
    if (column->type == TABLE_TIMESTAMP) {
        put_timestamp(source, sql, column, raw);
    } else if (column->type == TABLE_INT64 && (str_eq(raw, "DOUBLE") || str_eq(raw, "FLOAT"))) {
        put_call(sql, "nexus_whole", column->name);
    } else if (column->type == TABLE_INT64 && text) {
        put_call(sql, "nexus_int", column->name);
    } else if (column->type == TABLE_DATE && text && column->format) {
        put_formatted(sql, column, "DATE");
    } else if (column->type == TABLE_DATE && text) {
        put_call(sql, "nexus_date", column->name);
    } else if (column->type == TABLE_BOOL && text && !column->typed) {
        put_call(sql, "nexus_bool", column->name);
    } else {
        buf_str(sql, "CAST(");
        data_quote_name(sql, column->name);
        buf_printf(sql, " AS %s)", type_sql(column->type));
    }
}

static void put_columns(const struct source *source, struct buf *sql,
                        const struct source_header *header)
{
    for (size_t i = 0; i < source->schema.n_columns; i++) {
        const struct schema_column *column = &source->schema.columns[i];
        const char *raw = header ? NULL : source->raw[i];
        for (size_t k = 0; header && k < header->n; k++) {
            if (str_eq(header->names[k], column->name)) {
                raw = read_type(column);
            }
        }
        buf_str(sql, i ? ", " : "");
        if (raw) {
            put_column(source, sql, column, raw);
        } else {
            buf_printf(sql, "CAST(NULL AS %s)", type_sql(column->type));
        }
        buf_str(sql, " AS ");
        data_quote_name(sql, column->name);
    }
}

void source_texts(const struct source *source, struct buf *sql)
{
    for (size_t from = 0, to; from < source->n_paths; from = to) {
        for (to = from + 1; to < source->n_paths && same_header(source, from, to);) {
            to++;
        }
        buf_str(sql, from ? " UNION ALL BY NAME SELECT * FROM " : "SELECT * FROM ");
        put_read_csv(source, from, to, true, sql);
    }
}

void source_select(const struct source *source, struct buf *sql)
{
    if (source->schema.file.format != FILE_CSV) {
        buf_str(sql, "SELECT ");
        put_columns(source, sql, NULL);
        buf_str(sql, " FROM ");
        source_files(source, sql);
        return;
    }
    for (size_t from = 0, to; from < source->n_paths; from = to) {
        for (to = from + 1; to < source->n_paths && same_header(source, from, to);) {
            to++;
        }
        buf_str(sql, from ? " UNION ALL SELECT " : "SELECT ");
        put_columns(source, sql, &source->headers[from]);
        buf_str(sql, " FROM ");
        put_read_csv(source, from, to, false, sql);
    }
}
