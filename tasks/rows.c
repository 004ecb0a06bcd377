#include "tasks/rows.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/apart.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "tasks/data/tables.h"

/* The name that DuckDB opens: no path of the store, whatever it is called, has to be told. */
#define THE_FILE "/proc/self/fd/0"
#define MEMORY_BYTES (768ll * 1024 * 1024)
#define ADDRESSES_MAX (4ull * 1024 * 1024 * 1024)
#define NICE 5
#define BODY_MAX (4 * 1024 * 1024)         /* a page ends when it is longer */
#define SUMMARY_VALUES_MAX 20000000        /* of all columns shown: more are not looked at */
#define EXACT_MAX (9007199254740991)       /* 2^53 - 1: readers of JSON have doubles */
#define JSON_OBJECT_MAX (64 * 1024 * 1024) /* one record of a JSON file */
#define CSV_LINE_MAX (4 * 1024 * 1024)

struct rows {
    struct data_db *db;
    struct arena arena;
    const char *format;
    int64_t limit, offset, first_column;
    bool summary;
    const struct data_any_column *columns; /* all of them */
    size_t n_columns, first, n_shown;
    int64_t n_rows; /* -1: unknown */
};

/* ---- Opening ---- */

static bool read_request(const char *text, struct rows *rows, struct nx_err *err)
{
    json_t *request = js_read(text, strlen(text), "the request", err);
    if (!request)
        return false;
    rows->format = arena_strdup(&rows->arena, js_get_text(request, "format", ""));
    rows->limit = js_get_int(request, "limit", 0);
    rows->offset = js_get_int(request, "offset", 0);
    rows->first_column = js_get_int(request, "first_column", 0);
    rows->summary = js_get_bool(request, "summary", false);
    json_decref(request);
    return (rows->limit >= 1 && rows->limit <= NX_PAGE_MAX && rows->offset >= 0 &&
            rows->first_column >= 0) ||
           nx_fail(err, NX_E_INVALID, "limit, offset or first_column is not in its bounds");
}

/* The columns of a table as we write it, whose description is richer than Parquet's own. */
static void take_columns(struct rows *rows, const struct table_info *info)
{
    struct data_any_column *columns =
        arena_array(&rows->arena, info->n_columns + 1, sizeof *columns);
    for (size_t i = 0; i < info->n_columns; i++) {
        columns[i].name = info->columns[i].name;
        columns[i].type = table_type_name(info->columns[i].type);
        columns[i].is_list = info->columns[i].type == TABLE_DOUBLES;
    }
    rows->columns = columns;
    rows->n_columns = info->n_columns;
    rows->n_rows = info->n_rows;
}

static bool open_parquet(struct rows *rows, struct nx_err *err)
{
    const struct table_info *info;
    if (data_add_table(rows->db, "t", THE_FILE, &info, NULL)) {
        take_columns(rows, info);
        return true;
    }
    return data_add_any(rows->db, "t", "read_parquet('" THE_FILE "')", &rows->columns,
                        &rows->n_columns, err) &&
           data_query_int(rows->db, "SELECT count(*) FROM t", &rows->n_rows, err);
}

/* A view `t` over the file, and nothing else that could be read. */
static bool open_table(struct rows *rows, struct nx_err *err)
{
    const struct data_settings settings = {.threads = 1, .memory_bytes = MEMORY_BYTES};
    const char *from = NULL;
    if (!data_open(&settings, &rows->db, err))
        return false;
    rows->n_rows = -1;
    if (str_eq(rows->format, "csv"))
        from = arena_printf(&rows->arena,
                            "read_csv('" THE_FILE "', all_varchar = true, null_padding = true, "
                            "strict_mode = false, parallel = false, compression = 'none', "
                            "max_line_size = %d, buffer_size = %d)",
                            CSV_LINE_MAX, 2 * CSV_LINE_MAX);
    else if (str_eq(rows->format, "json"))
        from = arena_printf(&rows->arena, "read_json('" THE_FILE "', maximum_object_size = %d)",
                            JSON_OBJECT_MAX);
    else if (!str_eq(rows->format, "parquet"))
        return nx_fail(err, NX_E_INVALID, "'%.40s' is no format of a table", rows->format);
    bool ok = from ? data_add_any(rows->db, "t", from, &rows->columns, &rows->n_columns, err)
                   : open_parquet(rows, err);
    data_allow_file(rows->db, THE_FILE);
    return ok && data_lock(rows->db, err);
}

/* ---- Cells ---- */

static json_t *cut(json_t *shown, uint64_t n)
{
    return json_pack("{s:o,s:I}", "cut", shown, "n", (json_int_t)n);
}

/* The beginning of a text, without a cut character. */
static json_t *text_cell(struct data_text text)
{
    size_t n = text.n;
    if (n <= ROWS_TEXT_MAX)
        return js_stringn(text.at, n);
    n = ROWS_TEXT_MAX;
    while (n > 0 && ((unsigned char)text.at[n] & 0xc0) == 0x80)
        n--;
    return cut(js_stringn(text.at, n), text.n);
}

static json_t *double_value(double v)
{
    if (isinf(v))
        return json_string(v > 0 ? "Infinity" : "-Infinity");
    return isnan(v) ? json_null() : json_real(v);
}

static json_t *list_cell(const struct data_vector *column, struct data_list list)
{
    json_t *items = json_array();
    for (uint64_t i = 0; i < list.n && i < ROWS_LIST_MAX; i++)
        json_array_append_new(items, double_value(column->child[list.offset + i]));
    return list.n > ROWS_LIST_MAX ? cut(items, list.n) : items;
}

static json_t *int_cell(int64_t v)
{
    char text[24];
    if (v >= -EXACT_MAX && v <= EXACT_MAX)
        return json_integer(v);
    snprintf(text, sizeof text, "%" PRId64, v);
    return json_string(text);
}

/* "2001-02-03T04:05:06.789Z", with six digits where there are microseconds. */
static json_t *timestamp_cell(int64_t micros)
{
    char text[TIME_TEXT_MAX + 8];
    int64_t rest = micros % 1000;
    rest += rest < 0 ? 1000 : 0;
    time_format(text, (micros - rest) / 1000);
    if (rest)
        snprintf(text + strlen(text) - 1, 5, "%03dZ", (int)rest);
    return json_string(text);
}

static json_t *cell(const struct data_vector *column, size_t row)
{
    if (!data_is_valid(column, row))
        return json_null();
    switch (column->type) {
    case TABLE_INT64:
        return int_cell(column->as.i[row]);
    case TABLE_DOUBLE:
        return double_value(column->as.f[row]);
    case TABLE_STRING:
    case TABLE_CATEGORY:
        return text_cell(column->as.text[row]);
    case TABLE_TIMESTAMP:
        return timestamp_cell(column->as.i[row]);
    case TABLE_DOUBLES:
        return list_cell(column, column->as.list[row]);
    case TABLE_BOOL:
    case TABLE_DATE:
    case TABLE_TYPES:
        break;
    }
    return tables_value(column, row);
}

/* ---- Rows ---- */

static void put_names(const struct rows *rows, struct buf *sql)
{
    for (size_t i = 0; i < rows->n_shown; i++) {
        buf_str(sql, i ? ", " : "");
        data_quote_name(sql, rows->columns[rows->first + i].name);
    }
}

/* Adds rows to the list until there are enough; *more: there was one more. */
static bool add_rows(struct rows *rows, struct data_result *result, json_t *list, bool *more,
                     struct nx_err *err)
{
    const struct data_batch *batch;
    size_t n_bytes = 0;
    while (data_next(result, &batch, err)) {
        if (!batch)
            return true;
        for (size_t row = 0; row < batch->n_rows; row++) {
            *more = json_array_size(list) >= (size_t)rows->limit || n_bytes > BODY_MAX;
            if (*more)
                return true;
            json_t *cells = json_array();
            for (size_t i = 0; i < batch->n_columns; i++)
                json_array_append_new(cells, cell(&batch->columns[i], row));
            n_bytes += json_dumpb(cells, NULL, 0, JSON_COMPACT);
            json_array_append_new(list, cells);
        }
    }
    return false;
}

static bool read_rows(struct rows *rows, json_t *answer, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    json_t *list = json_array();
    bool more = false;
    json_object_set_new(answer, "rows", list);
    json_object_set_new(answer, "offset", json_integer(rows->offset));
    buf_init(&sql);
    buf_str(&sql, "SELECT ");
    put_names(rows, &sql);
    buf_printf(&sql, " FROM t LIMIT %" PRId64 " OFFSET %" PRId64, rows->limit + 1, rows->offset);
    bool ok = rows->n_shown == 0 || (data_query(rows->db, buf_text(&sql), NULL, 0, &result, err) &&
                                     add_rows(rows, result, list, &more, err));
    data_result_close(result);
    buf_fini(&sql);
    json_object_set_new(answer, "n_rows",
                        rows->n_rows >= 0 ? json_integer(rows->n_rows) : json_null());
    json_object_set_new(answer, "more", json_boolean(more));
    return ok;
}

/* ---- The summary ---- */

static json_t *summary_of(const struct rows *rows, const struct data_batch *batch)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rows->n_shown; i++) {
        const struct data_vector *three = &batch->columns[3 * i];
        json_array_append_new(list, json_pack("{s:I,s:o,s:o}", "nulls",
                                              (json_int_t)(rows->n_rows - three[0].as.i[0]), "min",
                                              cell(&three[1], 0), "max", cell(&three[2], 0)));
    }
    return list;
}

static bool summarize(struct rows *rows, json_t *answer, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch;
    bool wanted = rows->summary && rows->n_rows >= 0 && rows->n_shown > 0 &&
                  rows->n_rows <= SUMMARY_VALUES_MAX / (int64_t)rows->n_shown;
    json_object_set_new(answer, "summary", json_null());
    if (!wanted)
        return true;
    buf_init(&sql);
    for (size_t i = 0; i < rows->n_shown; i++) {
        const struct data_any_column *column = &rows->columns[rows->first + i];
        buf_str(&sql, i ? ", count(" : "SELECT count(");
        data_quote_name(&sql, column->name);
        for (int k = 0; k < 2; k++) {
            buf_str(&sql, column->is_list ? "), max(NULL::BIGINT" : k ? "), max(" : "), min(");
            if (!column->is_list)
                data_quote_name(&sql, column->name);
        }
        buf_printf(&sql, ") AS x%zu", i);
    }
    buf_str(&sql, " FROM t");
    bool ok = data_query(rows->db, buf_text(&sql), NULL, 0, &result, err) &&
              data_next(result, &batch, err);
    if (ok && batch)
        json_object_set_new(answer, "summary", summary_of(rows, batch));
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}

/* ---- The answer ---- */

static void put_columns(struct rows *rows, json_t *answer)
{
    json_t *list = json_array();
    size_t first = (size_t)rows->first_column;
    rows->first = first < rows->n_columns ? first : rows->n_columns;
    rows->n_shown = rows->n_columns - rows->first;
    if (rows->n_shown > ROWS_COLUMNS_MAX)
        rows->n_shown = ROWS_COLUMNS_MAX;
    for (size_t i = 0; i < rows->n_shown; i++) {
        const struct data_any_column *column = &rows->columns[rows->first + i];
        json_array_append_new(list, json_pack("{s:o,s:o}", "name", js_string(column->name), "type",
                                              js_string(column->type)));
    }
    json_object_set_new(answer, "columns", list);
    json_object_set_new(answer, "first_column", json_integer(rows->first_column));
    json_object_set_new(answer, "n_columns", json_integer((json_int_t)rows->n_columns));
}

/* The file has no name here; and the SQL, which DuckDB shows behind an empty line, is ours. */
static json_t *error_text(struct nx_err *err)
{
    struct buf said;
    char *end = strstr(err->text, "\n\n");
    const char *text = err->text;
    if (end)
        *end = 0;
    buf_init(&said);
    for (const char *at; (at = strstr(text, THE_FILE)); text = at + strlen(THE_FILE)) {
        buf_add(&said, text, (size_t)(at - text));
        buf_str(&said, "the file");
    }
    buf_str(&said, text);
    json_t *value = js_string(buf_text(&said));
    buf_fini(&said);
    return value;
}

/* DuckDB has several words for what is damaged: lengths that lead out of the file among them. */
static enum nx_code code_of(const struct rows *rows, const struct nx_err *err)
{
    bool file = err->code == NX_E_INTERNAL || err->code == NX_E_IO;
    return rows->db && file ? NX_E_DATA : err->code;
}

static json_t *answer_to(const char *request)
{
    struct rows rows = {0};
    struct nx_err err;
    json_t *answer = json_object();
    arena_init(&rows.arena);
    bool ok = read_request(request, &rows, &err) && open_table(&rows, &err);
    if (ok)
        put_columns(&rows, answer);
    ok = ok && read_rows(&rows, answer, &err) && summarize(&rows, answer, &err);
    if (!ok) {
        json_decref(answer);
        answer = json_pack("{s:{s:s,s:o}}", "error", "code",
                           nx_code_info(code_of(&rows, &err))->name, "message", error_text(&err));
    }
    data_close(rows.db);
    arena_fini(&rows.arena);
    return answer;
}

static void bound(int what, rlim_t max)
{
    struct rlimit limit = {max, max};
    setrlimit(what, &limit);
}

int rows_child(const char *request)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bound(RLIMIT_CORE, 0);
    bound(RLIMIT_CPU, NX_ROWS_MS / 1000);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    bound(RLIMIT_AS, ADDRESSES_MAX);
#endif
    if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
        return 1;
    json_t *answer = answer_to(request);
    char *text = js_text(answer);
    bool ok = apart_write(STDOUT_FILENO, text, strlen(text));
    mem_free(text);
    json_decref(answer);
    return ok ? 0 : 1;
}
