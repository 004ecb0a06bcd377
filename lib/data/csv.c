/* What is to be known of a CSV file before DuckDB reads it: its delimiter and names. And where it
 * is not UTF-8. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/data/source.h"

#define RECORD_MAX (64 * 1024 * 1024)
#define BLOCK (1 << 20)

bool source_not_utf8(const char *path, uint64_t offset, uint64_t line, struct nx_err *err)
{
    unsigned char start[2] = {0};
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(start, 1, sizeof start, in) : 0;
    bool wide = n == 2 &&
                ((start[0] == 0xff && start[1] == 0xfe) || (start[0] == 0xfe && start[1] == 0xff));
    if (in) {
        fclose(in);
    }
    return nx_fail(err, NX_E_DATA,
                   "%s is not UTF-8: byte %" PRIu64 " (line %" PRIu64
                   ") is wrong; convert the file, for example with `iconv -f %s -t utf-8`",
                   path_base(path), offset, line, wide ? "utf-16" : "latin1");
}

/* The bytes of the first record, without its line's end and a byte-order mark. */
static bool read_record(FILE *file, const char *path, char quote, struct buf *record,
                        struct nx_err *err)
{
    bool quoted = false;
    int c;
    while ((c = getc_unlocked(file)) != EOF && (quoted || (c != '\n' && c != '\r'))) {
        if (record->len >= RECORD_MAX) {
            return nx_fail(err, NX_E_DATA, "%s: the first line has no end in its first 64 MiB",
                           path);
        }
        quoted ^= (char)c == quote;
        buf_char(record, (char)c);
        if (record->len == 3 && memcmp(record->data, "\xef\xbb\xbf", 3) == 0) {
            buf_clear(record);
        }
    }
    if (ferror(file)) {
        return nx_fail(err, NX_E_IO, "%s: %s", path, strerror(errno));
    }
    size_t bad;
    if (!str_is_utf8(record->data ? record->data : "", record->len, &bad)) {
        long bom = ftell(file) - (long)record->len - (c != EOF);
        return source_not_utf8(path, (uint64_t)bad + (uint64_t)bom, 1, err);
    }
    if (record->len && memchr(record->data, 0, record->len)) {
        return nx_fail(err, NX_E_DATA,
                       "%s: the first line has a NUL byte; is the file UTF-16? Convert it, for "
                       "example with `iconv -f utf-16 -t utf-8`",
                       path_base(path));
    }
    if (record->len == 0) {
        return nx_fail(err, NX_E_DATA, c == EOF ? "%s is empty" : "%s: the first line is empty",
                       path);
    }
    return true;
}

/* The one of , ; tab | that the record has most of, outside quotes. */
static const char *find_delimiter(const struct buf *record, char quote)
{
    static const char *const candidates[] = {",", ";", "\t", "|"};
    size_t best = 0, most = 0;
    for (size_t k = 0; k < sizeof candidates / sizeof *candidates; k++) {
        size_t n = 0;
        bool quoted = false;
        for (size_t i = 0; i < record->len; i++) {
            quoted ^= record->data[i] == quote;
            n += !quoted && record->data[i] == *candidates[k] && *candidates[k] != quote;
        }
        if (n > most) {
            most = n;
            best = k;
        }
    }
    return candidates[best];
}

typedef VEC(const char *) text_list;

static void split(const struct buf *record, char delimiter, char quote, struct arena *arena,
                  text_list *fields)
{
    struct buf field;
    bool quoted = false;
    buf_init(&field);
    for (size_t i = 0; i <= record->len; i++) {
        char c = i < record->len ? record->data[i] : delimiter;
        if (c == delimiter && (!quoted || i == record->len)) {
            vec_push(fields, arena_strndup(arena, buf_text(&field), field.len));
            buf_clear(&field);
        } else if (c != quote) {
            buf_char(&field, c);
        } else {
            if (!quoted && i > 0 && record->data[i - 1] == quote) {
                buf_char(&field, quote); /* a doubled one */
            }
            quoted = !quoted;
        }
    }
    buf_fini(&field);
}

static bool check_names(const char *path, const text_list *names, struct nx_err *err)
{
    if (names->n > TABLE_COLUMNS_MAX) {
        return nx_fail(err, NX_E_LIMIT, "%s has %zu columns; at most %d are read", path, names->n,
                       TABLE_COLUMNS_MAX);
    }
    for (size_t i = 0; i < names->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcasecmp(names->at[i], names->at[k]) == 0) {
                return nx_fail(err, NX_E_DATA,
                               "%s: two columns are called '%s': rename one, or read it with "
                               "`header: false`",
                               path, names->at[i]);
            }
        }
    }
    return true;
}

static bool header_of(FILE *in, const char *path, struct schema_file *file, struct arena *arena,
                      struct source_header *header, struct nx_err *err)
{
    struct buf record;
    text_list names = {0};
    char quote = file->quote[0];
    buf_init(&record);
    bool ok = read_record(in, path, quote, &record, err);
    if (ok) {
        if (str_eq(file->delimiter, "auto")) {
            file->delimiter = str_ends(path, ".tsv") ? "\t" : find_delimiter(&record, quote);
        }
        if (file->delimiter[0] == quote) {
            ok = nx_fail(err, NX_E_INVALID, "`delimiter` and `quote` are both '%c'", quote);
        }
        split(&record, file->delimiter[0], quote, arena, &names);
        for (size_t i = 0; i < names.n; i++) {
            if (!file->header || !*names.at[i]) {
                names.at[i] = arena_printf(arena, "column%zu", i);
            }
        }
        ok = ok && check_names(path, &names, err);
    }
    if (ok) {
        header->n = names.n;
        header->names = arena_dup(arena, names.at, names.n * sizeof *names.at);
    }
    vec_fini(&names);
    buf_fini(&record);
    return ok;
}

bool csv_read_header(const char *path, struct schema_file *file, struct arena *arena,
                     struct source_header *header, struct nx_err *err)
{
    must(file->quote && file->quote[0] && file->delimiter && file->delimiter[0]);
    FILE *in = fopen(path, "rb");
    if (!in) {
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "%s: %s", path,
                       strerror(errno));
    }
    bool ok = header_of(in, path, file, arena, header, err);
    fclose(in);
    return ok;
}

/* One field of a file that is read byte by byte. */
struct field {
    struct buf text;
    char end; /* the delimiter, '\n', or 0 at the file's end */
};

/* Takes a field, counting lines. */
static void take_field(FILE *in, const struct schema_file *file, struct field *field,
                       uint64_t *line)
{
    char quote = file->quote[0], delimiter = file->delimiter[0], before = 0;
    bool quoted = false;
    int c;
    buf_clear(&field->text);
    field->end = 0;
    while ((c = getc_unlocked(in)) != EOF) {
        *line += c == '\n';
        if (!quoted && ((char)c == delimiter || c == '\n')) {
            field->end = (char)c;
            return;
        }
        if ((char)c == quote) {
            if (!quoted && before == quote) {
                buf_char(&field->text, quote); /* a doubled one */
            }
            quoted = !quoted;
        } else if (quoted || c != '\r') {
            buf_char(&field->text, (char)c);
        }
        before = (char)c;
    }
}

uint64_t csv_find_value(const char *path, const struct schema_file *file, size_t at,
                        const char *value, size_t n)
{
    FILE *in = fopen(path, "rb");
    uint64_t line = 1, start = 1, found = 0;
    size_t column = 0;
    struct field field = {.end = ','};
    if (!in) {
        return 0;
    }
    buf_init(&field.text);
    for (bool head = file->header; field.end && !found;) {
        take_field(in, file, &field, &line);
        if (!head && column == at && field.text.len == n &&
            memcmp(buf_text(&field.text), value, n) == 0) {
            found = start;
        }
        column = field.end == '\n' ? 0 : column + 1;
        head = head && field.end != '\n';
        start = field.end == '\n' ? line : start;
    }
    buf_fini(&field.text);
    fclose(in);
    return found;
}

bool csv_check_quotes(const char *path, const struct schema_file *file, struct nx_err *err)
{
    FILE *in = fopen(path, "rb");
    char quote = file->quote[0], delimiter = file->delimiter[0];
    /* Where we are: at the start of a field, in a bare one, in a quoted one, behind its quote. */
    enum { START, BARE, QUOTED, CLOSED } where = START;
    uint64_t line = 1, start = 1;
    int c = 0;
    if (!in) {
        return true;
    }
    for (; (c = getc_unlocked(in)) != EOF; line += c == '\n') {
        bool ends = (char)c == delimiter || c == '\n' || c == '\r';
        if (where == QUOTED) {
            where = (char)c == quote ? CLOSED : QUOTED;
        } else if (where == CLOSED && (char)c == quote) {
            where = QUOTED; /* a doubled one */
        } else if (where == CLOSED && !ends && c != ' ') {
            break;
        } else if (where == START && (char)c == quote) {
            where = QUOTED;
            start = line;
        } else if (where != CLOSED || ends) {
            where = ends ? START : BARE;
        }
    }
    fclose(in);
    if (where != QUOTED && c == EOF) {
        return true;
    }
    return nx_fail(err, NX_E_DATA, "%s: line %" PRIu64 ": unterminated quote: %s", path_base(path),
                   start,
                   c == EOF ? "the text that begins there never ends"
                            : "something follows the one that should end the text");
}

bool source_find_bad_utf8(const char *path, uint64_t *offset, uint64_t *line)
{
    FILE *in = fopen(path, "rb");
    struct buf block;
    uint64_t before = 0, lines = 1;
    size_t bad = 0, n = 1;
    bool found = false;
    if (!in) {
        return false;
    }
    buf_init(&block);
    while (n > 0 && !found) {
        n = fread(buf_reserve(&block, BLOCK), 1, BLOCK, in);
        block.len += n;
        /* Up to three bytes at the end may be the beginning of a character that goes on. */
        bool whole = block.len == 0 || str_is_utf8(block.data, block.len, &bad);
        size_t good = whole ? block.len : bad;
        found = !whole && (n == 0 || block.len - bad > 3);
        for (size_t i = 0; i < good; i++) {
            lines += block.data[i] == '\n';
        }
        before += good;
        if (block.len > good) {
            memmove(block.data, block.data + good, block.len - good);
        }
        block.len -= good;
    }
    if (found) {
        *offset = before;
        *line = lines;
    }
    buf_fini(&block);
    fclose(in);
    return found;
}
