/* What commands print: tables fitted to the terminal, JSON, YAML, ids; words for times and
 * durations. Everything here writes to stdout or into a buffer. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <jansson.h>

#include "cli/command.h"
#include "lib/base/buf.h"

enum out_color {
    OUT_PLAIN,
    OUT_BOLD,
    OUT_DIM,
    OUT_RED,
    OUT_GREEN,
    OUT_YELLOW,
    OUT_BLUE,
    OUT_MAGENTA,
    OUT_CYAN
};

/* Text in a colour if on. */
void out_add(struct buf *to, bool on, enum out_color color, const char *text);
/* The colour and the glyph (one column, UTF-8) of a task's, run's or worker's state. */
enum out_color out_state_color(const char *state);
const char *out_state_glyph(const char *state);

/* A table: columns are dropped from the right, or the last one is cut, to fit `width` columns (0:
 * no limit). Ids and states are never cut. */
struct out_table {
    struct arena arena;
    size_t n_columns, n_rows;
    const char *titles[16];
    bool right[16];
    bool wrap_last;          /* cut the last column rather than drop it */
    VEC(const char *) cells; /* n_rows x n_columns */
};

void out_table_init(struct out_table *table, size_t n_columns, const char *const *titles);
void out_table_fini(struct out_table *table);
/* The next cell; NULL is shown as "-". The text is copied, control characters made visible. */
void out_cell(struct out_table *table, const char *text);
void out_cellf(struct out_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds the table's text to `to`. Columns in which no row has anything are left out. A cell of the
 * column "state" gets glyph and colour. */
void out_table_text(const struct out_table *table, int width, bool color, struct buf *to);
void out_table_print(const struct out_table *table, const struct cli *cli);

/* A value for -o json (indented), -o yaml; for CLI_ID each item's `id_key` on a line. Returns false
 * for CLI_TABLE, where the caller prints. */
bool out_value(const struct cli *cli, const json_t *value, const char *id_key);
void out_json(const json_t *value, struct buf *to); /* indented, ends with a newline */
void out_yaml(const json_t *value, struct buf *to);
/* Text from outside made safe for a terminal: control characters but tab, and bytes that are not
 * UTF-8, become "\x1b". */
void out_safe(struct buf *to, const char *text, size_t n);

/* Columns that UTF-8 text takes: code points, combining marks and wide ones counted as they are
 * shown by common terminals. */
size_t out_width(const char *text);

/* "850 ms", "12 s", "3 min 05 s", "2 h 14 min", "3 d 2 h". */
char *out_duration(char *to, size_t size, int64_t ms);
/* "850 B", "19.4 KiB", "2.0 GiB". */
char *out_size(char *to, size_t size, int64_t bytes);
/* "3 min ago", "in 12 min", "in 3 d"; more than a day ago "23 Nov 01:30" in UTC, long ago "23 Nov
 * 2001". NULL time text: "-". */
char *out_ago(char *to, size_t size, const char *rfc3339, int64_t now_ms);
/* Milliseconds between two times of the API; the second NULL: until now. -1: unknown. */
int64_t out_span_ms(const char *from, const char *to, int64_t now_ms);
/* A JSON scalar as people read it, anything else as compact JSON. */
const char *out_scalar(struct arena *arena, const json_t *value);

#endif
