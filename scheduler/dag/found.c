#include "scheduler/dag/found.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "nexus/limits.h"
#include "scheduler/dag/lua.h"

#define DEPTH_MAX 16
#define WATCHED \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | \
     IN_MOVE_SELF | IN_ONLYDIR)

static int64_t ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

struct file_sign sign_of(const struct stat *st)
{
    return (struct file_sign){ns(&st->st_mtim), ns(&st->st_ctim), st->st_size,
                              (uint64_t)st->st_ino};
}

bool sign_equal(const struct file_sign *a, const struct file_sign *b)
{
    return a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns &&
           a->n_bytes == b->n_bytes && a->inode == b->inode;
}

bool found_is_name(const char *name)
{
    return str_ends(name, ".yaml") || str_ends(name, ".yml") || lua_is_name(name);
}

const char *found_unusable(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return NULL;
    if (S_ISLNK(st.st_mode) && stat(path, &st) != 0)
        return "it is a link to a file that is not there";
    if (S_ISDIR(st.st_mode))
        return "it is a folder";
    return S_ISREG(st.st_mode) ? NULL : "it is not a regular file";
}

struct folders {
    VEC(struct {
        char *path; /* relative; "" for the folder itself */
        int depth;
    })
    list;
};

static void add_entry(const char *folder, const char *relative, int depth, const char *name,
                      struct folders *folders, struct found_files *found)
{
    char path[PATH_MAX_BYTES], full[PATH_MAX_BYTES];
    struct stat st;
    if (name[0] == '.' || !path_join(path, sizeof path, relative, name) ||
        !path_join(full, sizeof full, folder, path) || lstat(full, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        if (depth + 1 < DEPTH_MAX) {
            vec_reserve(&folders->list, folders->list.n + 1);
            folders->list.at[folders->list.n].path = mem_strdup(path);
            folders->list.at[folders->list.n++].depth = depth + 1;
        }
        return;
    }
    if (!found_is_name(name))
        return;
    if (S_ISLNK(st.st_mode) && stat(full, &st) == 0 && S_ISDIR(st.st_mode))
        return;
    if (found->n >= NX_DAGS_MAX)
        return;
    struct found_file file = {mem_strdup(path), sign_of(&st)};
    vec_push(found, file);
}

static bool scan_folder(const char *folder, const char *relative, int depth, int inotify_fd,
                        struct folders *folders, struct found_files *found)
{
    char full[PATH_MAX_BYTES];
    if (*relative == 0)
        str_copy(full, sizeof full, folder);
    else if (!path_join(full, sizeof full, folder, relative))
        return false;
    if (inotify_fd >= 0)
        inotify_add_watch(inotify_fd, full, WATCHED); /* no watch: the next scan sees it */
    DIR *dir = opendir(full);
    if (!dir)
        return false;
    struct dirent *entry;
    while ((entry = readdir(dir)))
        add_entry(folder, relative, depth, entry->d_name, folders, found);
    closedir(dir);
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct found_file *)a)->path, ((const struct found_file *)b)->path);
}

bool found_scan(const char *folder, int inotify_fd, struct found_files *found)
{
    struct folders folders = {0};
    *found = (struct found_files){0};
    bool ok = scan_folder(folder, "", 0, inotify_fd, &folders, found);
    for (size_t i = 0; i < folders.list.n; i++)
        scan_folder(folder, folders.list.at[i].path, folders.list.at[i].depth, inotify_fd, &folders,
                    found);
    for (size_t i = 0; i < folders.list.n; i++)
        mem_free(folders.list.at[i].path);
    vec_fini(&folders.list);
    if (found->n > 1)
        qsort(found->at, found->n, sizeof *found->at, compare);
    return ok;
}

void found_fini(struct found_files *found)
{
    for (size_t i = 0; i < found->n; i++)
        mem_free(found->at[i].path);
    vec_fini(found);
}
