#include "lib/text/zone_file.h"

#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

#define NAME_MAX_BYTES 64
#define NAMES_MAX 5000
#define DEPTH_MAX 4

const char *zone_file_folder(void)
{
    const char *given = getenv("NEXUS_ZONEINFO");
    return given && *given ? given : "/usr/share/zoneinfo";
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* A capital first, then letters, digits, '_', '+' and '-' between single slashes. */
static bool is_name(const char *name)
{
    size_t n = strlen(name);
    if (!is_upper(name[0]) || name[n - 1] == '/' || strstr(name, "//"))
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == n;
}

struct names {
    VEC(char *) list;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The zones below a folder, sorted. They begin with a capital, as neither tables of the database do
 * nor its copies (posix/, right/) and the machine's own zone (localtime). */
static void names_read(struct names *names, const char *folder)
{
    char *roots[] = {(char *)(uintptr_t)folder, NULL};
    size_t n_root = strlen(folder);
    while (n_root > 1 && folder[n_root - 1] == '/')
        n_root--;
    FTS *fts = fts_open(roots, FTS_COMFOLLOW | FTS_LOGICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;
    while (fts && names->list.n < NAMES_MAX && (entry = fts_read(fts))) {
        bool named = entry->fts_level > 0 && is_upper(entry->fts_name[0]);
        if (entry->fts_info == FTS_D && entry->fts_level > 0 &&
            (!named || entry->fts_level == DEPTH_MAX))
            fts_set(fts, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_F && named)
            vec_push(&names->list, mem_strdup(entry->fts_path + n_root + 1));
    }
    if (fts)
        fts_close(fts);
    if (names->list.n)
        qsort(names->list.at, names->list.n, sizeof *names->list.at, by_name);
}

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->list.n; i++)
        mem_free(names->list.at[i]);
    vec_fini(&names->list);
}

/* "europe/berlin" and "Berlin" are Europe/Berlin, and "Europe/Belin" is nearest to it; or NULL. */
static const char *names_nearest(const struct names *names, const char *name)
{
    const char *city = NULL;
    for (size_t i = 0; i < names->list.n; i++) {
        const char *other = names->list.at[i];
        if (strcasecmp(other, name) == 0)
            return other;
        if (strcasecmp(path_base(other), name) == 0 && !city)
            city = other;
    }
    if (city)
        return city;
    return str_nearest(name, (const char *const *)names->list.at, names->list.n);
}

/* Says what is missing. */
static bool not_found(const char *folder, const char *name, struct nx_err *err)
{
    struct names names = {0};
    names_read(&names, folder);
    const char *nearest = names_nearest(&names, name);
    if (names.list.n == 0)
        nx_fail(err, NX_E_NOT_FOUND,
                "time zone '%s': there is no tz database at %s; install the package tzdata", name,
                folder);
    else if (nearest)
        nx_fail(err, NX_E_NOT_FOUND, "there is no time zone '%s'; did you mean '%s'?", name,
                nearest);
    else
        nx_fail(err, NX_E_NOT_FOUND,
                "there is no time zone '%s'; names are those of the tz database, as "
                "'Europe/Berlin' or 'UTC'",
                name);
    names_fini(&names);
    return false;
}

bool zone_file_load(const char *folder, const char *name, struct zone **zone, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf bytes;
    struct nx_err why = {0};
    if (str_eq(name, "UTC")) {
        *zone = NULL;
        return true;
    }
    if (strlen(name) > NAME_MAX_BYTES)
        return nx_fail(err, NX_E_LIMIT, "the name of a time zone has at most %d bytes",
                       NAME_MAX_BYTES);
    if (!path_join(path, sizeof path, folder, name))
        return nx_fail(err, NX_E_LIMIT, "the path of time zone '%s' is too long", name);
    if (!is_name(name) || !path_exists(path) || path_is_folder(path))
        return not_found(folder, name, err);
    buf_init(&bytes);
    bool ok = path_read(path, ZONE_BYTES_MAX, &bytes, &why) &&
              zone_parse(bytes.data, bytes.len, zone, &why);
    buf_fini(&bytes);
    if (!ok)
        nx_fail(err, why.code, "time zone '%s' (%s): %s", name, path, why.text);
    return ok;
}
