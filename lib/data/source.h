/* Files that are loaded into tables: CSV, JSON, JSON lines, Parquet. What columns they have, of
 * which types, and the SELECT that reads them, strictly: nothing is rounded, cut or guessed.
 *
 * Types of columns that nobody named are found from the values: JSON's from all of them; CSV's from
 * the first SOURCE_SAMPLE rows, and from all rows for columns without a value there, or when a
 * later row does not fit (the caller then asks for source_infer_all and loads again). In this
 * order: int64 (no leading zeros), double, bool (true, false), date (YYYY-MM-DD), timestamp (ISO
 * 8601), string. In JSON a text is never a number or bool, and a list of numbers is doubles. */
#ifndef LIB_DATA_SOURCE_H
#define LIB_DATA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/data/data.h"
#include "lib/data/schema.h"
#include "nexus/error.h"

#define SOURCE_SAMPLE 20480

/* The columns of a file. */
struct source_header {
    const char **names;
    const char **types; /* Parquet: their SQL types; else NULL: all are read as text */
    size_t n;
    const char *layout; /* JSON: DuckDB's word for how records stand */
};

struct source {
    struct data_db *db;
    struct arena *arena;
    const char *const *paths; /* of one format */
    const char **names;       /* the same for SQL: links or copies where it needs them */
    size_t n_paths;
    struct schema schema;          /* what is loaded; its `file` says how it is read */
    struct source_header *headers; /* one a path */
    bool pinned;                   /* schema.columns may name columns that the files do not have */
    bool exact;                    /* CSV: the types were found from all rows */
    bool careful;                  /* CSV: long lines or texts are there: one thread reads */
    bool settled;                  /* the error says all */
};

/* The format of a file by its name, else by its first bytes. */
bool source_detect(const char *path, enum file_format *format, struct nx_err *err);

/* Finds the columns of the files, and their types but for CSV. `source` has db, arena, paths and
 * schema.file set; schema.columns may name types of some. All files must have the same columns
 * (JSON: all together have them). JSON is read as a whole here; files of it that begin with a
 * byte-order mark are copied without it to the database's temporary folder. */
bool source_inspect(struct source *source, struct nx_err *err);

/* After source_inspect, with `pinned` set: compares what the files have with a schema, and takes
 * over its columns in its order. Columns that the files do not have become missing; new ones are
 * left out, or added after the others with `add_new`. Files are read by the types of the schema:
 * what does not fit them is an error of the load. */
enum schema_change source_compare(const struct source *source, const struct schema *pinned,
                                  struct buf *sentences);
void source_pin(struct source *source, const struct schema *pinned, bool add_new);

/* Finds the types of CSV columns that nobody named: from a sample, or from all rows. */
bool source_infer(struct source *source, struct nx_err *err);
bool source_infer_all(struct source *source, bool *changed, struct nx_err *err);

/* Appends the SELECT that reads the files as schema.columns says. */
void source_select(const struct source *source, struct buf *sql);

/* Which rows and columns of the files are wanted. All zero: all. */
struct source_pick {
    const char *where;               /* an SQL condition; NULL: none */
    const struct data_value *values; /* of its $1 .. */
    size_t n_values;
    const char *const *columns; /* in this order; n_columns 0: all */
    size_t n_columns;
    int64_t limit; /* the first rows; 0: all */
};

/* Reads the files and writes them as one table, in the order of files and rows, with wider types
 * where the sample was wrong. The database must be open to the files and the path's folder. */
bool source_write(struct source *source, const struct source_pick *pick, const char *path,
                  struct table_info *info, struct nx_err *err);

/* What to do about a failed load: true when something was changed (wider types, longer lines) and
 * it should be tried again; false: *err says why it failed, with place and remedy. */
bool source_recover(struct source *source, struct nx_err *err);

/* The offset (from 0) and line (from 1) of the first byte of a file that is not UTF-8; false when
 * all is. */
bool source_find_bad_utf8(const char *path, uint64_t *offset, uint64_t *line);

/* The error that says it, with the way out. Returns false. */
bool source_not_utf8(const char *path, uint64_t offset, uint64_t line, struct nx_err *err);

/* The line of the first record of a CSV file that has the value in column `at` (from 0); 0: none.
 */
uint64_t csv_find_value(const char *path, const struct schema_file *file, size_t at,
                        const char *value, size_t n);

/* Whether every quoted text of a CSV file ends, and a field with it; else the error has its line.
 */
bool csv_check_quotes(const char *path, const struct schema_file *file, struct nx_err *err);

/* Reads the first record of a CSV file: the names, or column0 ... where there is no header. Fills
 * in file->delimiter where it is "auto". */
bool csv_read_header(const char *path, struct schema_file *file, struct arena *arena,
                     struct source_header *header, struct nx_err *err);

#endif
