/* The schema of a dataset, as data.ingest pins it: how its files are read and what columns they
 * give.
 *
 *   {"format": 1,
 *    "file": {"format": "csv", "delimiter": ",", "quote": "\"", "header": true, "null": ["", "NA"],
 *             "timezone": "UTC"},
 *    "columns": [{"name": "day", "type": "timestamp", "format": "%d/%m/%Y %H:%M"},
 *                {"name": "origin", "type": "category", "categories": ["ABQ", "ATL"]}, ...]}
 *
 * `format` of a column (strptime) is there when its texts are not ISO 8601. */
#ifndef LIB_DATA_SCHEMA_H
#define LIB_DATA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/data/table.h"
#include "nexus/error.h"

enum file_format { FILE_AUTO, FILE_CSV, FILE_JSON, FILE_JSON_LINES, FILE_PARQUET, FILE_FORMATS };

/* "auto", "csv", "json", "jsonl", "parquet". */
const char *file_format_name(enum file_format format);
bool file_format_find(const char *name, enum file_format *format);

struct schema_file {
    enum file_format format;
    const char *delimiter;    /* one character, or "auto" */
    const char *quote;        /* one character */
    bool header;              /* CSV: the first record has the names */
    const char *const *nulls; /* CSV: texts that mean missing */
    size_t n_nulls;
    const char *timezone; /* of timestamps that do not say theirs */
};

struct schema_column {
    const char *name;
    enum table_type type;
    bool typed;         /* the type was asked for, not found */
    const char *format; /* or NULL */
    const char *const *categories;
    size_t n_categories;
};

struct schema {
    struct schema_file file;
    struct schema_column *columns;
    size_t n_columns;
};

/* All texts live in the arena. */
bool schema_read(const char *json, struct arena *arena, struct schema *schema, struct nx_err *err);
void schema_write(const struct schema *schema, struct buf *buf);
struct schema_column *schema_find(const struct schema *schema, const char *name);

/* How files differ from the pinned schema, as sentences: one for each column that is missing or
 * new. Types do not differ: the files are read by those of the schema. */
enum schema_change { SCHEMA_SAME, SCHEMA_EVOLVED /* only new columns */, SCHEMA_CHANGED };
enum schema_change schema_compare(const struct schema *pinned, const struct schema *found,
                                  struct buf *sentences);

#endif
