/* nexus-task --rows REQUEST: a few rows of a table, to be looked at. The scheduler starts it for a
 * request, since it loads no DuckDB itself: whatever the file does, only this process is harmed.
 *
 * The file is standard input, a regular one. The request is JSON: {"format": "parquet" | "csv" |
 * "json", "limit": n, "offset": n, "first_column": n, "summary": bool}. The answer on standard
 * output:
 *
 *   {"columns": [{"name", "type"}], "first_column": n, "n_columns": n,
 *    "rows": [[cell, ...], ...], "offset": n, "n_rows": n or null, "more": bool,
 *    "summary": [{"nulls", "min", "max"}, ...] or null}
 *
 * or {"error": {"code", "message"}}. At most ROWS_COLUMNS_MAX columns are shown; n_columns counts
 * all. n_rows is null where only reading the file to its end would tell. Cells are JSON's own
 * values, but: dates and timestamps are RFC 3339; integers beyond 2^53 and infinities are texts; a
 * text or list that is longer than is shown is {"cut": its beginning, "n": bytes or elements}. */
#ifndef TASKS_ROWS_H
#define TASKS_ROWS_H

#define ROWS_COLUMNS_MAX 100
#define ROWS_TEXT_MAX 500 /* bytes of a cell */
#define ROWS_LIST_MAX 20  /* elements of one */

/* The process; its exit status. */
int rows_child(const char *request);

#endif
