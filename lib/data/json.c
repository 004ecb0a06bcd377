/* JSON files before DuckDB reads them: their members, the types of all their values, how records
 * are laid out, and what is malformed, with its line. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"
#include "lib/data/jsontext.h"
#include "lib/data/parse.h"
#include "lib/data/source.h"

static const char mark[] = "\xef\xbb\xbf"; /* of byte order */

/* A file in memory, without its mark. */
struct file {
    const char *path;
    char *map;
    size_t size;
    const char *at, *end;
    bool marked;
};

static bool file_open(const char *path, struct file *file, struct nx_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *file = (struct file){.path = path};
    if (fd < 0 || fstat(fd, &st) != 0) {
        nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    void *map = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (map == MAP_FAILED) {
        return nx_fail(err, NX_E_IO, "%s: %s", path, strerror(errno));
    }
    file->map = map;
    file->size = (size_t)st.st_size;
    file->marked = file->size >= 3 && memcmp(map, mark, 3) == 0;
    file->at = file->map + (file->marked ? 3 : 0);
    file->end = file->map + file->size;
    return true;
}

static void file_close(struct file *file)
{
    if (file->map) {
        munmap(file->map, file->size);
    }
}

static uint64_t line_of(const struct file *file, const char *p)
{
    uint64_t line = 1;
    for (const char *at = file->at; at < p && (at = memchr(at, '\n', (size_t)(p - at))); at++) {
        line++;
    }
    return line;
}

static bool fail_at(const struct file *file, const char *p, const char *why, struct nx_err *err)
{
    return nx_fail(err, NX_E_DATA, "%s: line %" PRIu64 ": %s", path_base(file->path),
                   line_of(file, p), why);
}

/* ---- Records ---- */

/* The records of a file, one after the other. */
struct records {
    const struct file *file;
    const char *p;
    bool array;
    bool lines; /* so far each record has a line of its own */
    bool any;
};

static void records_begin(struct records *records, const struct file *file)
{
    const char *p = file->at ? jsontext_skip_space(file->at, file->end) : file->at;
    *records = (struct records){file, p, p < file->end && *p == '[', true, false};
}

/* False at the end, with *why NULL, or when the file is malformed at records->p. */
static bool records_next(struct records *records, struct jsontext *record, const char **why)
{
    const char *end = records->file->end, *before = records->p;
    *why = NULL;
    if (records->array) {
        if (jsontext_member(&records->p, end, NULL, record, why)) {
            return true;
        }
        if (!*why && jsontext_skip_space(records->p, end) != end) {
            *why = "something follows the list of records";
        }
        return false;
    }
    const char *at = jsontext_skip_space(before, end);
    if (at == end || !jsontext_next(&records->p, end, record, why)) {
        return false;
    }
    bool apart = !records->any || memchr(before, '\n', (size_t)(at - before));
    records->lines = records->lines && apart && !memchr(record->at, '\n', record->n);
    records->any = true;
    return true;
}

static const char *layout_of(const struct records *records)
{
    return records->array ? "array" : records->lines ? "newline_delimited" : "unstructured";
}

/* ---- Columns and their types ---- */

struct found {
    const char *name;
    size_t n;
    unsigned kinds; /* that all values are of */
    bool nested;    /* lists or objects are among them */
    uint64_t row;   /* that had it last, from 1 */
};

struct scan {
    struct arena *arena;
    struct map places; /* name -> place + 1 */
    VEC(struct found) columns;
    struct buf name;
    uint64_t row;
};

static unsigned kinds_of_list(const struct jsontext *list)
{
    const char *p = list->at, *why;
    struct jsontext item;
    while (jsontext_member(&p, list->at + list->n, NULL, &item, &why)) {
        bool fits = item.kind == JSONTEXT_NULL ||
                    (item.kind == JSONTEXT_NUMBER && parse_fits_double(item.at, item.n));
        if (!fits) {
            return 0;
        }
    }
    return why ? 0 : PARSE_DOUBLES;
}

static void take_value(struct found *column, const struct jsontext *value)
{
    switch (value->kind) {
    case JSONTEXT_NULL:
        return;
    case JSONTEXT_BOOL:
        column->kinds &= PARSE_BOOL;
        return;
    case JSONTEXT_NUMBER:
        column->kinds &=
            column->kinds & (PARSE_INT | PARSE_DOUBLE) ? parse_kinds(value->at, value->n) : 0;
        return;
    case JSONTEXT_TEXT:
        column->kinds &= PARSE_DATE | PARSE_TIMESTAMP;
        if (column->kinds) {
            column->kinds &= value->escaped ? 0 : parse_kinds(value->at, value->n);
        }
        return;
    case JSONTEXT_LIST:
        column->kinds &= kinds_of_list(value);
        column->nested = true;
        return;
    case JSONTEXT_OBJECT:
        column->kinds = 0;
        column->nested = true;
        return;
    }
}

static bool add_found(struct scan *scan, const struct file *file, const struct jsontext *key,
                      struct nx_err *err)
{
    const char *name = buf_text(&scan->name);
    if (!*name || strlen(name) != scan->name.len) {
        return fail_at(file, key->at, *name ? "a key has a NUL" : "a key is empty", err);
    }
    for (size_t i = 0; i < scan->columns.n; i++) {
        if (strcasecmp(scan->columns.at[i].name, name) == 0) {
            nx_fail(err, NX_E_DATA,
                    "%s: line %" PRIu64
                    ": the keys '%s' and '%s' differ only in case, which names of columns do not "
                    "know: rename one",
                    path_base(file->path), line_of(file, key->at), scan->columns.at[i].name, name);
            return false;
        }
    }
    if (scan->columns.n == TABLE_COLUMNS_MAX) {
        return nx_fail(err, NX_E_LIMIT, "%s has more than %d different keys", path_base(file->path),
                       TABLE_COLUMNS_MAX);
    }
    struct found added = {arena_strdup(scan->arena, name), scan->name.len, ~0u, false, 0};
    vec_push(&scan->columns, added);
    map_set(&scan->places, name, (void *)(uintptr_t)scan->columns.n);
    return true;
}

/* The column of a key; `guess` is where it most likely is. */
static bool find_column(struct scan *scan, const struct file *file, const struct jsontext *key,
                        size_t guess, size_t *at, struct nx_err *err)
{
    const struct found *likely = guess < scan->columns.n ? &scan->columns.at[guess] : NULL;
    if (likely && !key->escaped && likely->n == key->n &&
        memcmp(likely->name, key->at, key->n) == 0) {
        *at = guess;
        return true;
    }
    buf_clear(&scan->name);
    if (!jsontext_unescape(key->at, key->n, &scan->name)) {
        return fail_at(file, key->at, "an escape in a key is wrong", err);
    }
    *at = (size_t)(uintptr_t)map_get(&scan->places, buf_text(&scan->name));
    if (*at == 0 && !add_found(scan, file, key, err)) {
        return false;
    }
    *at = *at ? *at - 1 : scan->columns.n - 1;
    return true;
}

static bool scan_record(struct scan *scan, const struct file *file, const struct jsontext *record,
                        struct nx_err *err)
{
    const char *p = record->at, *why = NULL;
    struct jsontext key, value;
    size_t at = 0, guess = 0;
    scan->row++;
    if (record->kind != JSONTEXT_OBJECT) {
        return fail_at(file, record->at, "a record is not an object", err);
    }
    while (jsontext_member(&p, record->at + record->n, &key, &value, &why)) {
        if (!find_column(scan, file, &key, guess, &at, err)) {
            return false;
        }
        struct found *column = &scan->columns.at[at];
        if (column->row == scan->row) {
            return nx_fail(err, NX_E_DATA, "%s: line %" PRIu64 ": a record has the key '%s' twice",
                           path_base(file->path), line_of(file, key.at), column->name);
        }
        column->row = scan->row;
        guess = at + 1;
        take_value(column, &value);
    }
    return !why || fail_at(file, p, why, err);
}

/* One file; *layout gets DuckDB's word for how its records stand. */
static bool scan_file(struct scan *scan, const struct file *file, const char **layout,
                      struct nx_err *err)
{
    struct records records;
    struct jsontext record;
    const char *why;
    size_t bad;
    if (!str_is_utf8(file->map ? file->map : "", file->size, &bad)) {
        return source_not_utf8(file->path, bad, line_of(file, file->map + bad), err);
    }
    records_begin(&records, file);
    if (records.p == file->end) {
        return nx_fail(err, NX_E_DATA, "%s is empty", path_base(file->path));
    }
    while (records_next(&records, &record, &why)) {
        if (!scan_record(scan, file, &record, err)) {
            return false;
        }
    }
    *layout = layout_of(&records);
    return !why || fail_at(file, records.p, why, err);
}

/* DuckDB does not read JSON behind a mark: a copy without it, where it may write. */
static bool copy_unmarked(struct source *source, const struct file *file, size_t k,
                          struct nx_err *err)
{
    if (source->db->folders.n == 0) {
        return nx_fail(err, NX_E_UNSUPPORTED, "%s begins with a byte-order mark: remove it",
                       path_base(file->path));
    }
    char *folder = arena_printf(source->arena, "%s/unmarked%zu", source->db->folders.at[0], k);
    source->names[k] = arena_printf(source->arena, "%s/%s", folder, path_base(source->names[k]));
    return path_make_folders(folder, err) &&
           path_write(source->names[k], file->at, (size_t)(file->end - file->at), err);
}

/* The columns that were found, with their types. */
static bool take_columns(struct source *source, const struct schema *named, struct scan *scan,
                         struct nx_err *err)
{
    size_t n = scan->columns.n;
    const char **names = arena_array(source->arena, n + 1, sizeof *names);
    source->schema.columns = arena_array(source->arena, n + 1, sizeof *source->schema.columns);
    for (size_t i = 0; i < n; i++) {
        const struct found *found = &scan->columns.at[i];
        names[i] = found->name;
        source_add_column(source, found->name, named);
        struct schema_column *column = &source->schema.columns[i];
        if (column->typed) {
            continue;
        }
        column->type = found->kinds == ~0u ? TABLE_STRING : infer_type(found->kinds);
        if (column->type == TABLE_STRING && found->nested) {
            return nx_fail(err, NX_E_DATA,
                           "column '%s' of %s has lists or objects, which a table cannot keep: "
                           "`columns: {%s: string}` keeps them as text",
                           found->name, path_base(source->paths[0]), found->name);
        }
    }
    for (size_t i = 0; i < source->n_paths; i++) {
        source->headers[i].names = names;
        source->headers[i].n = n;
    }
    return n > 0 ||
           nx_fail(err, NX_E_DATA, "%s has no records with members: there is nothing to load",
                   path_base(source->paths[0]));
}

bool json_inspect(struct source *source, const struct schema *named, struct nx_err *err)
{
    struct scan scan = {.arena = source->arena};
    bool ok = true;
    source->headers = arena_array(source->arena, source->n_paths, sizeof *source->headers);
    map_init(&scan.places);
    buf_init(&scan.name);
    for (size_t i = 0; ok && i < source->n_paths; i++) {
        struct file file;
        ok = file_open(source->paths[i], &file, err);
        if (ok) {
            ok = scan_file(&scan, &file, &source->headers[i].layout, err) &&
                 (!file.marked || copy_unmarked(source, &file, i, err));
            file_close(&file);
        }
    }
    ok = ok && take_columns(source, named, &scan, err);
    buf_fini(&scan.name);
    map_fini(&scan.places);
    vec_fini(&scan.columns);
    return ok;
}

/* ---- Where a value is ---- */

static bool has_value(const struct jsontext *record, const char *column, struct data_text wanted,
                      struct buf *text)
{
    const char *p = record->at, *why;
    struct jsontext key, value;
    while (record->kind == JSONTEXT_OBJECT &&
           jsontext_member(&p, record->at + record->n, &key, &value, &why)) {
        buf_clear(text);
        jsontext_unescape(key.at, key.n, text);
        if (!str_eq(buf_text(text), column)) {
            continue;
        }
        buf_clear(text);
        if (value.kind == JSONTEXT_TEXT) {
            jsontext_unescape(value.at, value.n, text);
        } else {
            buf_add(text, value.at, value.n);
        }
        return text->len == wanted.n && memcmp(buf_text(text), wanted.at, wanted.n) == 0;
    }
    return false;
}

uint64_t json_find_value(const char *path, const char *column, struct data_text value)
{
    struct nx_err ignored;
    struct file file;
    struct records records;
    struct jsontext record;
    const char *why;
    struct buf text;
    uint64_t line = 0;
    if (!file_open(path, &file, &ignored)) {
        return 0;
    }
    buf_init(&text);
    records_begin(&records, &file);
    while (line == 0 && records_next(&records, &record, &why)) {
        if (has_value(&record, column, value, &text)) {
            line = line_of(&file, record.at);
        }
    }
    buf_fini(&text);
    file_close(&file);
    return line;
}
