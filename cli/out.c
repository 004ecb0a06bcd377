#include "cli/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"

static const char *const codes[] = {"", "1", "2", "31", "32", "33", "34", "35", "36"};

void out_add(struct buf *to, bool on, enum out_color color, const char *text)
{
    if (on && color != OUT_PLAIN)
        buf_printf(to, "\033[%sm%s\033[0m", codes[color], text);
    else
        buf_str(to, text);
}

/* clang-format off */
static const struct {
    const char *state, *glyph;
    enum out_color color;
} states[] = {
    {"success", "✓", OUT_GREEN},          {"failed", "✕", OUT_RED},
    {"upstream_failed", "⇣", OUT_YELLOW}, {"skipped", "»", OUT_MAGENTA},
    {"cancelled", "⊘", OUT_DIM},          {"removed", "–", OUT_DIM},
    {"running", "▶", OUT_BLUE},           {"leased", "▷", OUT_BLUE},
    {"queued", "≡", OUT_DIM},             {"waiting", "○", OUT_DIM},
    {"deciding", "?", OUT_DIM},           {"deferred", "◷", OUT_MAGENTA},
    {"retrying", "↻", OUT_YELLOW},        {"stopping", "■", OUT_DIM},
    {"paused", "⏸", OUT_CYAN},            {"online", "✓", OUT_GREEN},
    {"draining", "■", OUT_YELLOW},        {"lost", "✕", OUT_RED},
    {"offline", "–", OUT_DIM},            {"timeout", "✕", OUT_RED},
    {"memory", "✕", OUT_RED},             {"ok", "✓", OUT_GREEN},
    {"warn", "!", OUT_YELLOW},            {"fail", "✕", OUT_RED},
    {"warning", "!", OUT_YELLOW},         {"invalid", "✕", OUT_RED},
    {"active", "✓", OUT_GREEN},
};
/* clang-format on */

#define N_STATES (sizeof states / sizeof *states)

enum out_color out_state_color(const char *state)
{
    for (size_t i = 0; i < N_STATES; i++) {
        if (str_eq(states[i].state, state))
            return states[i].color;
    }
    return OUT_PLAIN;
}

const char *out_state_glyph(const char *state)
{
    for (size_t i = 0; i < N_STATES; i++) {
        if (str_eq(states[i].state, state))
            return states[i].glyph;
    }
    return " ";
}

/* Bytes of the well-formed character at text that may be shown as it is; 0: none is there. */
static size_t safe_character(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];
    if (c < 0x80)
        return (c >= 32 && c != 127) || c == '\t';
    if (n >= 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0) /* C1 control characters */
        return 0;
    for (size_t len = 2; len <= 4 && len <= n; len++) {
        if (str_is_utf8(text, len, NULL))
            return len;
    }
    return 0;
}

void out_safe(struct buf *to, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = safe_character(text + i, n - i);
        if (len)
            buf_add(to, text + i, len);
        else
            buf_printf(to, "\\x%02x", (unsigned char)text[i]);
        i += len ? len : 1;
    }
}

/* clang-format off */
static bool is_wide(uint32_t code)
{
    return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
           (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
           (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
           (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd);
}

static bool is_mark(uint32_t code)
{
    return (code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x20d0 && code <= 0x20ff) || (code >= 0xfe00 && code <= 0xfe0f);
}
/* clang-format on */

/* Bytes of the character at text, and the columns it takes. */
static size_t character(const char *text, size_t *columns)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 1;
    uint32_t code = len == 1 ? *p : *p & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            *columns = 1;
            return i;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    *columns = is_mark(code) ? 0 : is_wide(code) ? 2 : 1;
    return len;
}

size_t out_width(const char *text)
{
    size_t width = 0, columns;
    while (*text) {
        text += character(text, &columns);
        width += columns;
    }
    return width;
}

void out_table_init(struct out_table *table, size_t n_columns, const char *const *titles)
{
    *table = (struct out_table){.n_columns = n_columns, .wrap_last = true};
    must(n_columns > 0 && n_columns <= sizeof table->titles / sizeof *table->titles);
    arena_init(&table->arena);
    for (size_t i = 0; i < n_columns; i++) {
        table->right[i] = titles[i][0] == '>'; /* ">slots": numbers stand at the right */
        table->titles[i] = titles[i] + table->right[i];
    }
}

void out_table_fini(struct out_table *table)
{
    vec_fini(&table->cells);
    arena_fini(&table->arena);
}

void out_cell(struct out_table *table, const char *text)
{
    struct buf safe = {0};
    if (text && *text)
        out_safe(&safe, text, strlen(text));
    else
        buf_str(&safe, "-");
    vec_push(&table->cells, (const char *)arena_strdup(&table->arena, buf_text(&safe)));
    buf_fini(&safe);
    table->n_rows = table->cells.n / table->n_columns;
}

void out_cellf(struct out_table *table, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    out_cell(table, buf_text(&text));
    buf_fini(&text);
}

static bool is_state(const struct out_table *table, size_t column)
{
    return str_eq(table->titles[column], "state");
}

#define GAP 2
#define LAST_MIN 12 /* a last column narrower than this is dropped instead of cut */

/* Decides how many columns are shown and how wide the last one may be. */
static size_t fit(const struct out_table *table, const size_t *widths, int width, size_t *last)
{
    size_t total = 0, n = table->n_columns, room = width > 0 ? (size_t)width : SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        total += widths[i] + (i ? GAP : 0);
    *last = widths[n - 1];
    for (bool cut = table->wrap_last; n > 1 && total > room; cut = false) {
        size_t others = total - widths[n - 1];
        if (cut && others + LAST_MIN <= room) {
            *last = room - others;
            return n;
        }
        total = others - GAP;
        n--;
        *last = widths[n - 1];
    }
    return n;
}

/* The cell padded to `width` columns, or cut to them with an ellipsis. */
static void add_cell(struct buf *to, const char *text, size_t width, bool right, bool pad)
{
    size_t own = out_width(text), columns;
    if (own > width) {
        size_t used = 0;
        while (*text) {
            size_t len = character(text, &columns);
            if (used + columns + 1 > width)
                break;
            buf_add(to, text, len);
            used += columns;
            text += len;
        }
        buf_str(to, "…");
        return;
    }
    for (size_t i = own; right && i < width; i++)
        buf_char(to, ' ');
    buf_str(to, text);
    for (size_t i = own; !right && pad && i < width; i++)
        buf_char(to, ' ');
}

static void add_row(const struct out_table *table, const char *const *cells, bool title,
                    const size_t *widths, size_t n, size_t last, bool color, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        struct buf cell = {0};
        bool state = is_state(table, i);
        if (i)
            buf_str(to, "  ");
        if (state)
            buf_printf(&cell, "%s ", title ? " " : out_state_glyph(cells[i]));
        size_t width = i == n - 1 ? last : widths[i];
        add_cell(&cell, cells[i], width - (state ? 2 : 0), table->right[i], i < n - 1);
        enum out_color with = title ? OUT_DIM : state ? out_state_color(cells[i]) : OUT_PLAIN;
        out_add(to, color, with, buf_text(&cell));
        buf_fini(&cell);
    }
    while (to->len && to->data[to->len - 1] == ' ')
        to->data[--to->len] = 0;
    buf_char(to, '\n');
}

/* The same table without the columns (but the first) in which no row has anything. */
static struct out_table without_empty(const struct out_table *table)
{
    struct out_table kept = {.wrap_last = table->wrap_last, .n_rows = table->n_rows};
    size_t from[16];
    for (size_t i = 0; i < table->n_columns; i++) {
        bool empty = i > 0 && table->n_rows > 0;
        for (size_t row = 0; empty && row < table->n_rows; row++)
            empty = str_eq(table->cells.at[row * table->n_columns + i], "-");
        if (empty)
            continue;
        kept.titles[kept.n_columns] = table->titles[i];
        kept.right[kept.n_columns] = table->right[i];
        from[kept.n_columns++] = i;
    }
    for (size_t row = 0; row < table->n_rows; row++) {
        for (size_t i = 0; i < kept.n_columns; i++)
            vec_push(&kept.cells, table->cells.at[row * table->n_columns + from[i]]);
    }
    return kept;
}

static void add_table(const struct out_table *table, int width, bool color, struct buf *to)
{
    size_t widths[16], last;
    for (size_t i = 0; i < table->n_columns; i++) {
        widths[i] = out_width(table->titles[i]);
        for (size_t row = 0; row < table->n_rows; row++) {
            size_t own = out_width(table->cells.at[row * table->n_columns + i]);
            widths[i] = own > widths[i] ? own : widths[i];
        }
        widths[i] += is_state(table, i) ? 2 : 0;
    }
    size_t n = fit(table, widths, width, &last);
    add_row(table, table->titles, true, widths, n, last, color, to);
    for (size_t row = 0; row < table->n_rows; row++)
        add_row(table, table->cells.at + row * table->n_columns, false, widths, n, last, color, to);
}

void out_table_text(const struct out_table *table, int width, bool color, struct buf *to)
{
    must(table->cells.n % table->n_columns == 0);
    struct out_table kept = without_empty(table);
    add_table(&kept, width, color, to);
    vec_fini(&kept.cells);
}

void out_table_print(const struct out_table *table, const struct cli *cli)
{
    struct buf text = {0};
    out_table_text(table, cli->width, cli->color, &text);
    fputs(buf_text(&text), stdout);
    buf_fini(&text);
}

static void print_ids(const json_t *value, const char *id_key)
{
    size_t i, n = json_is_array(value) ? json_array_size(value) : 1;
    for (i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        const json_t *id = json_object_get(item, id_key);
        if (json_is_string(id))
            puts(json_string_value(id));
        else if (json_is_integer(id))
            printf("%lld\n", (long long)json_integer_value(id));
    }
}

bool out_value(const struct cli *cli, const json_t *value, const char *id_key)
{
    struct buf text = {0};
    if (cli->format == CLI_TABLE)
        return false;
    if (cli->format == CLI_JSON) {
        out_json(value, &text);
        fputs(buf_text(&text), stdout);
    } else if (cli->format == CLI_YAML) {
        out_yaml(value, &text);
        fputs(buf_text(&text), stdout);
    } else {
        print_ids(value, id_key);
    }
    buf_fini(&text);
    return true;
}

char *out_duration(char *to, size_t size, int64_t ms)
{
    long long s = (long long)(ms / 1000);
    if (ms < 0)
        str_copy(to, size, "-");
    else if (ms < 1000)
        snprintf(to, size, "%d ms", (int)ms);
    else if (s < 10)
        snprintf(to, size, "%lld.%lld s", s, (long long)(ms % 1000 / 100));
    else if (s < 60)
        snprintf(to, size, "%lld s", s);
    else if (s < 3600)
        snprintf(to, size, "%lld min %02lld s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(to, size, "%lld h %02lld min", s / 3600, s / 60 % 60);
    else
        snprintf(to, size, "%lld d %lld h", s / 86400, s / 3600 % 24);
    return to;
}

char *out_size(char *to, size_t size, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t unit = 0;
    for (; v >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        v /= 1024;
    snprintf(to, size, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
    return to;
}

char *out_ago(char *to, size_t size, const char *rfc3339, int64_t now_ms)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t at, year;
    unsigned month, day;
    if (!rfc3339 || !time_parse(rfc3339, &at)) {
        str_copy(to, size, "-");
        return to;
    }
    int64_t ago = now_ms - at, s = (ago < 0 ? -ago : ago) / 1000;
    const char *before = ago < 0 ? "in " : "", *after = ago < 0 ? "" : " ago";
    if (s < 60)
        snprintf(to, size, "%s%lld s%s", before, (long long)s, after);
    else if (s < 3600)
        snprintf(to, size, "%s%lld min%s", before, (long long)(s / 60), after);
    else if (s < 86400)
        snprintf(to, size, "%s%lld h%s", before, (long long)(s / 3600), after);
    else if (ago < 0) /* its date stands beside it, in the zone of who asks */
        snprintf(to, size, s < 1000 * 86400ll ? "in %lld d" : "in %lld years",
                 (long long)(s / (s < 1000 * 86400ll ? 86400 : 31556952)));
    else {
        int64_t days = (at - (at < 0 ? 86399999 : 0)) / 86400000, rest = at / 1000 - days * 86400;
        time_civil_from_days(days, &year, &month, &day);
        if (s < 300 * 86400ll)
            snprintf(to, size, "%u %s %02lld:%02lld", day, months[month - 1],
                     (long long)(rest / 3600), (long long)(rest / 60 % 60));
        else
            snprintf(to, size, "%u %s %lld", day, months[month - 1], (long long)year);
    }
    return to;
}

int64_t out_span_ms(const char *from, const char *to, int64_t now_ms)
{
    int64_t start, end = now_ms;
    if (!from || !time_parse(from, &start) || (to && !time_parse(to, &end)))
        return -1;
    return end > start ? end - start : 0;
}

const char *out_scalar(struct arena *arena, const json_t *value)
{
    if (!value || json_is_null(value))
        return NULL;
    if (json_is_string(value))
        return json_string_value(value);
    struct buf text = {0};
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *item = json_array_get(value, i);
            buf_str(&text, i ? ", " : "");
            if (json_is_string(item))
                buf_str(&text, json_string_value(item));
            else
                js_add(&text, item);
        }
    } else {
        js_add(&text, value);
    }
    const char *copy = arena_strdup(arena, buf_text(&text));
    buf_fini(&text);
    return copy;
}
