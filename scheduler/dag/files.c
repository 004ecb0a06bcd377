/* The files that belong to a DAG's version. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

#define FOLDER_DEPTH_MAX 16
#define FILES_MAX 10000

struct found {
    VEC(struct spec_file) list;
    int64_t n_bytes;
    const struct yaml_node *node; /* of the entry that is looked at */
    bool failed;
};

static bool is_inside(const char *path)
{
    if (*path == '/' || *path == 0)
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return false;
    }
    return true;
}

static void add_file(struct reader *r, struct found *found, const char *path, const char *source,
                     const struct stat *st)
{
    for (size_t i = 0; i < found->list.n; i++) {
        if (str_eq(found->list.at[i].path, path))
            return; /* named twice, or by its folder too */
    }
    found->n_bytes += st->st_size;
    if (found->list.n == FILES_MAX || found->n_bytes > NX_FILES_MAX_BYTES) {
        if (!found->failed)
            read_problem(r, found->node, "files",
                         "are more than %d, or larger than %d MiB together", FILES_MAX,
                         NX_FILES_MAX_BYTES / 1024 / 1024);
        found->failed = true;
        return;
    }
    struct spec_file file = {keep(r, path), keep(r, source), st->st_size,
                             (st->st_mode & S_IXUSR) != 0};
    vec_push(&found->list, file);
}

static void add_path(struct reader *r, struct found *found, const char *path, int depth);

static void add_folder(struct reader *r, struct found *found, const char *path, const char *source,
                       int depth)
{
    struct dirent **entries = NULL;
    if (depth == FOLDER_DEPTH_MAX) {
        read_problem(r, found->node, "files", "has folders deeper than %d levels",
                     FOLDER_DEPTH_MAX);
        return;
    }
    int n = scandir(source, &entries, NULL, alphasort);
    if (n < 0)
        read_problem(r, found->node, "files", "cannot read '%s': %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char child[PATH_MAX_BYTES];
        if (entries[i]->d_name[0] != '.' &&
            path_join(child, sizeof child, path, entries[i]->d_name))
            add_path(r, found, child, depth + 1);
        free(entries[i]);
    }
    free(entries);
}

static void add_path(struct reader *r, struct found *found, const char *path, int depth)
{
    char source[PATH_MAX_BYTES];
    struct stat st;
    if (found->failed)
        return;
    if (!path_join(source, sizeof source, r->folder, path) || stat(source, &st) != 0) {
        read_problem(r, found->node, "files", "names '%s', which cannot be read: %s", path,
                     strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        add_folder(r, found, path, source, depth);
    } else if (!S_ISREG(st.st_mode) || access(source, R_OK) != 0) {
        read_problem(r, found->node, "files", "names '%s', which cannot be read: %s", path,
                     S_ISREG(st.st_mode) ? strerror(errno) : "not a file");
    } else {
        add_file(r, found, path, source, &st);
    }
}

static void on_entry(struct reader *r, struct yaml_node *node, void *arg)
{
    struct found *found = arg;
    char path[PATH_MAX_BYTES];
    found->node = node;
    if (!is_inside(node->text) || !str_copy(path, sizeof path, node->text)) {
        read_problem(r, node, "files", "must name files beside the DAG file, not '%.200s'",
                     node->text);
        return;
    }
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = 0;
    const char *relative = str_starts(path, "./") ? path + 2 : path;
    if (r->folder)
        add_path(r, found, relative, 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct spec_file *)a)->path, ((const struct spec_file *)b)->path);
}

void read_files(struct reader *r)
{
    const struct yaml_node *files = yaml_get(r->root, "files");
    struct found found = {0};
    if (!files)
        return;
    read_texts(r, files, "files", on_entry, &found);
    if (found.list.n > 1)
        qsort(found.list.at, found.list.n, sizeof *found.list.at, compare);
    r->spec->n_files = found.list.n;
    r->spec->files =
        arena_dup(&r->spec->arena, found.list.at, found.list.n * sizeof *found.list.at);
    vec_fini(&found.list);
}
