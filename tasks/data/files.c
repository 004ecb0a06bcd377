/* Files of the project; see files.h. */
#include "tasks/data/files.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/path.h"
#include "lib/base/str.h"

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether `path` is a plain file below `root` (both real, or neither), with nothing hidden or kept
 * by Nexus on its way. */
static bool is_open(const char *root, const char *path)
{
    size_t n = strlen(root);
    struct stat st;
    if (strncmp(path, root, n) != 0 || path[n] != '/' || stat(path, &st) != 0 ||
        !S_ISREG(st.st_mode)) {
        return false;
    }
    for (const char *slash = path + n; slash; slash = strchr(slash + 1, '/')) {
        char database[PATH_MAX_BYTES];
        snprintf(database, sizeof database, "%.*s/nexus.db", (int)(slash - path), path);
        if (slash[1] == '.' || path_exists(database)) {
            return false;
        }
    }
    return true;
}

/* The pattern that matches this path alone. */
static const char *escape(const char *path, struct arena *arena)
{
    char *to = arena_alloc(arena, 2 * strlen(path) + 1);
    size_t n = 0;
    for (; *path; path++) {
        if (strchr("*?[\\", *path)) {
            to[n++] = '\\';
        }
        to[n++] = *path;
    }
    to[n] = 0;
    return to;
}

/* Adds what the pattern matches below one folder. */
static bool find_below(const char *folder, const char *pattern, bool links, struct arena *arena,
                       files_list *found, struct nx_err *err)
{
    char *root = realpath(folder, NULL);
    char full[PATH_MAX_BYTES];
    glob_t matches = {0};
    if (!root || !path_join(full, sizeof full, root, pattern)) {
        free(root);
        return true;
    }
    /* A file of that very name comes first: a[1].csv is no pattern when it is there. */
    int status = glob(path_exists(full) ? escape(full, arena) : full, GLOB_NOSORT, NULL, &matches);
    for (size_t i = 0; status == 0 && i < matches.gl_pathc && found->n <= FILES_MAX; i++) {
        char *real = links ? strdup(matches.gl_pathv[i]) : realpath(matches.gl_pathv[i], NULL);
        if (real && is_open(root, real)) {
            vec_push(found, arena_strdup(arena, real));
        }
        free(real);
    }
    globfree(&matches);
    free(root);
    if (found->n > FILES_MAX) {
        return nx_fail(err, NX_E_LIMIT, "'%s' matches more than %d files", pattern, FILES_MAX);
    }
    return true;
}

bool files_find(struct nx_ctx *ctx, const char *pattern, bool links, struct arena *arena,
                files_list *found, struct nx_err *err)
{
    const char *project = nx_project(ctx), *folder = nx_folder(ctx);
    if (*pattern == '/' || strncmp(pattern, "../", 3) == 0 || strstr(pattern, "/../")) {
        return nx_fail(err, NX_E_DENIED,
                       "'%s' is not below the project: name files by relative paths", pattern);
    }
    size_t before = found->n;
    if (folder && !find_below(folder, pattern, links, arena, found, err)) {
        return false;
    }
    if (found->n == before && project && *project &&
        !find_below(project, pattern, links, arena, found, err)) {
        return false;
    }
    if (found->n == before) {
        return nx_fail(err, NX_E_NOT_FOUND,
                       "no file matches '%s' below the project%s%s (hidden files and the home of "
                       "Nexus do not count)",
                       pattern, project && *project ? " " : "", project ? project : "");
    }
    qsort(found->at + before, found->n - before, sizeof *found->at, by_bytes);
    return true;
}

bool files_find_absolute(const char *pattern, struct arena *arena, files_list *found,
                         struct nx_err *err)
{
    glob_t matches = {0};
    size_t before = found->n;
    int status =
        glob(path_exists(pattern) ? escape(pattern, arena) : pattern, GLOB_NOSORT, NULL, &matches);
    for (size_t i = 0; status == 0 && i < matches.gl_pathc && i < FILES_MAX; i++) {
        struct stat st;
        if (stat(matches.gl_pathv[i], &st) == 0 && S_ISREG(st.st_mode)) {
            vec_push(found, arena_strdup(arena, matches.gl_pathv[i]));
        }
    }
    globfree(&matches);
    if (found->n == before) {
        return nx_fail(err, NX_E_NOT_FOUND, "no file matches '%s'", pattern);
    }
    qsort(found->at + before, found->n - before, sizeof *found->at, by_bytes);
    return true;
}
