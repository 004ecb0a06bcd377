/* Databases: opening with a worker's settings, closing, the lock. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"

#define MEMORY_SHARE 70 /* per cent of the attempt's limit */
#define LINE_SHOWN 240  /* bytes of a line in a message */
#define TEMP_MAX_BYTES (100ll << 30)

/* Which error a message of DuckDB is, by how it begins. */
static const struct {
    const char *prefix;
    enum nx_code code;
} messages[] = {
    {"Out of Memory Error", NX_E_MEMORY},  {"INTERRUPT Error", NX_E_CANCELLED},
    {"Permission Error", NX_E_DENIED},     {"IO Error", NX_E_IO},
    {"Parser Error", NX_E_INVALID},        {"Binder Error", NX_E_INVALID},
    {"Catalog Error", NX_E_INVALID},       {"Not implemented Error", NX_E_UNSUPPORTED},
    {"Conversion Error", NX_E_DATA},       {"Invalid Input Error", NX_E_DATA},
    {"Out of Range Error", NX_E_DATA},     {"Constraint Error", NX_E_DATA},
    {"Syntax Error", NX_E_INVALID},        {"Parameter Not Resolved Error", NX_E_INVALID},
    {"Invalid type Error", NX_E_INVALID},  {"Parameter Not Allowed Error", NX_E_INVALID},
    {"Mismatch Type Error", NX_E_INVALID}, {"Missing Extension Error", NX_E_UNSUPPORTED},
};

/* Where the reason begins that DuckDB gives after a line of a file; NULL when it shows none, or
 * one that is short enough. */
static const char *after_long_line(const char *text, const char **line)
{
    const char *first = strstr(text, "\nOriginal Line: "), *last = text, *found;
    if (!first) {
        return NULL;
    }
    for (found = text; (found = strstr(found, "\nPossible ")); found++) {
        last = found;
    }
    if (last == text) {
        for (found = text; (found = strstr(found, "\n  file = ")); found++) {
            last = found;
        }
    }
    while (last > first && *last == '\n') { /* the end of the reason's line */
        last--;
    }
    while (last > first && *last != '\n') { /* its beginning */
        last--;
    }
    *line = first;
    return last > first + LINE_SHOWN ? last : NULL;
}

/* The lines of a message, each cut where it shows more of a file than anybody reads. */
static void put_lines(struct buf *to, const char *text)
{
    const char *line = NULL, *reason = after_long_line(text, &line);
    if (reason) {
        buf_add(to, text, (size_t)(line - text) + LINE_SHOWN);
        buf_str(to, "...");
        text = reason + 1;
    }
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        buf_str(to, to->len ? "\n" : "");
        buf_add(to, text, n <= LINE_SHOWN ? n : LINE_SHOWN);
        buf_str(to, n <= LINE_SHOWN ? "" : "...");
    }
    while (to->len > 0 && strchr("\n ", to->data[to->len - 1])) {
        to->data[--to->len] = 0;
    }
}

bool data_error(const char *text, struct nx_err *err)
{
    if (!text) {
        return nx_fail(err, NX_E_INTERNAL, "DuckDB failed without a message");
    }
    enum nx_code code = NX_E_INTERNAL;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (str_starts(text, messages[i].prefix)) {
            code = messages[i].code;
            break;
        }
    }
    struct buf lines;
    buf_init(&lines);
    put_lines(&lines, text);
    nx_fail(err, code, "%s", buf_text(&lines));
    buf_fini(&lines);
    return false;
}

static void quote(struct buf *sql, const char *text, char mark)
{
    buf_char(sql, mark);
    for (; *text; text++) {
        if (*text == mark) {
            buf_char(sql, mark);
        }
        buf_char(sql, *text);
    }
    buf_char(sql, mark);
}

void data_quote_text(struct buf *sql, const char *text)
{
    quote(sql, text, '\'');
}

void data_quote_name(struct buf *sql, const char *name)
{
    quote(sql, name, '"');
}

static bool configure(const struct duckdb_api *api, duckdb_config config,
                      const struct data_settings *settings, struct nx_err *err)
{
    char threads[16], memory[32], temp[32];
    int64_t temp_max = settings->temp_max_bytes ? settings->temp_max_bytes : TEMP_MAX_BYTES;
    snprintf(threads, sizeof threads, "%d", settings->threads);
    snprintf(memory, sizeof memory, "%" PRId64 "B", settings->memory_bytes / 100 * MEMORY_SHARE);
    snprintf(temp, sizeof temp, "%" PRId64 "B", temp_max);
    const char *const options[][2] = {
        {"threads", threads},
        {"memory_limit", settings->memory_bytes ? memory : NULL},
        {"temp_directory", settings->temp_dir ? settings->temp_dir : ""},
        {"max_temp_directory_size", settings->temp_dir ? temp : NULL},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"allow_persistent_secrets", "false"},
        {"preserve_insertion_order", "true"},
        {"default_null_order", "nulls_last"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *value = options[i][1];
        if (value && api->set_config(config, options[i][0], value) != DUCKDB_SUCCESS) {
            return nx_fail(err, NX_E_INTERNAL, "DuckDB refuses the setting %s = %s", options[i][0],
                           value);
        }
    }
    return true;
}

static bool connect(struct data_db *db, const struct data_settings *settings, struct nx_err *err)
{
    duckdb_config config;
    if (db->api.create_config(&config) != DUCKDB_SUCCESS) {
        return nx_fail(err, NX_E_INTERNAL, "DuckDB makes no configuration");
    }
    char *why = NULL;
    bool ok = configure(&db->api, config, settings, err);
    if (ok && db->api.open_ext(NULL, &db->db, config, &why) != DUCKDB_SUCCESS) {
        ok = data_error(why, err);
        db->api.free(why);
    }
    db->api.destroy_config(&config);
    if (ok && db->api.connect(db->db, &db->connection) != DUCKDB_SUCCESS) {
        ok = nx_fail(err, NX_E_INTERNAL, "DuckDB gives no connection");
    }
    return ok && data_exec(db, "SET TimeZone = 'UTC'", err) && functions_register(db, err);
}

bool data_open(const struct data_settings *settings, struct data_db **db, struct nx_err *err)
{
    must(settings->threads >= 1 && settings->memory_bytes >= 0);
    struct data_db *made = mem_alloc(sizeof *made);
    arena_init(&made->arena);
    pthread_mutex_init(&made->hash.mutex, NULL);
    buf_init(&made->misfit.column);
    buf_init(&made->misfit.value);
    map_init(&made->fields.map);
    if (!duckdb_load(&made->api, err) || !connect(made, settings, err)) {
        data_close(made);
        return nx_wrap(err, "DuckDB");
    }
    if (settings->temp_dir) {
        data_allow_folder(made, settings->temp_dir);
    }
    *db = made;
    return true;
}

void data_close(struct data_db *db)
{
    if (!db) {
        return;
    }
    if (db->connection) {
        db->api.disconnect(&db->connection);
    }
    if (db->db) {
        db->api.close(&db->db);
    }
    pthread_mutex_destroy(&db->hash.mutex);
    buf_fini(&db->misfit.column);
    buf_fini(&db->misfit.value);
    map_fini(&db->fields.map);
    vec_fini(&db->fields.names);
    vec_fini(&db->files);
    vec_fini(&db->folders);
    arena_fini(&db->arena);
    mem_free(db);
}

void data_interrupt(void *db)
{
    struct data_db *running = db;
    atomic_store(&running->cancelled, true);
    running->api.interrupt(running->connection);
}

/* The path without links and dots where it exists, for DuckDB compares texts. */
static const char *full_path(struct data_db *db, const char *path)
{
    char *real = realpath(path, NULL);
    const char *kept = arena_strdup(&db->arena, real ? real : path);
    free(real);
    return kept;
}

void data_allow_file(struct data_db *db, const char *path)
{
    must(!db->closed);
    vec_push(&db->files, arena_strdup(&db->arena, path));
}

void data_allow_folder(struct data_db *db, const char *path)
{
    must(!db->closed);
    vec_push(&db->folders, arena_strdup(&db->arena, path));
    vec_push(&db->folders, full_path(db, path));
}

bool data_name_file(struct data_db *db, const char *path, const char **name, struct nx_err *err)
{
    *name = path;
    if (!strpbrk(path, "*?[\\")) {
        return true;
    }
    if (db->folders.n == 0) {
        return nx_fail(err, NX_E_UNSUPPORTED, "%s: its name has one of * ? [ \\: rename it", path);
    }
    char *link = arena_printf(&db->arena, "%s/named%zu/%s", db->folders.at[0], db->n_links++,
                              path_base(path));
    char *folder = arena_strdup(&db->arena, link), *real = realpath(path, NULL);
    *strrchr(folder, '/') = 0;
    for (char *p = link + strlen(folder); *p; p++) {
        *p = strchr("*?[\\", *p) ? '_' : *p;
    }
    bool ok = path_make_folders(folder, err);
    if (ok && symlink(real ? real : path, link) != 0) {
        ok = nx_fail(err, NX_E_IO, "%s: %s", link, strerror(errno));
    }
    free(real);
    *name = link;
    return ok;
}

static void set_list(struct buf *sql, const char *setting, const char *const *paths, size_t n,
                     const char *end)
{
    if (n == 0) {
        return;
    }
    buf_printf(sql, "SET %s = [", setting);
    for (size_t i = 0; i < n; i++) {
        char path[PATH_MAX_BYTES + 2];
        snprintf(path, sizeof path, "%s%s", paths[i], str_ends(paths[i], end) ? "" : end);
        buf_str(sql, i ? ", " : "");
        data_quote_text(sql, path);
    }
    buf_str(sql, "];\n");
}

bool data_close_files(struct data_db *db, struct nx_err *err)
{
    must(!db->closed);
    struct buf sql;
    buf_init(&sql);
    set_list(&sql, "allowed_paths", db->files.at, db->files.n, "");
    set_list(&sql, "allowed_directories", db->folders.at, db->folders.n, "/");
    buf_str(&sql, "SET enable_external_access = false");
    bool ok = data_exec(db, buf_text(&sql), err);
    db->closed = ok;
    buf_fini(&sql);
    return ok;
}

bool data_set_threads(struct data_db *db, int threads, struct nx_err *err)
{
    must(!db->locked && threads >= 1);
    char sql[64];
    snprintf(sql, sizeof sql, "SET threads = %d", threads);
    return data_exec(db, sql, err);
}

bool data_lock(struct data_db *db, struct nx_err *err)
{
    must(!db->locked);
    if (!db->closed && !data_close_files(db, err)) {
        return false;
    }
    db->locked = data_exec(db, "SET lock_configuration = true", err);
    return db->locked;
}
