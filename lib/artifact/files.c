/* Single files of artifacts: a folder's list is read line by line, however long it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/store.h"

static bool read_lines(FILE *manifest, const char *address, uint64_t from,
                       bool (*each)(void *arg, const struct artifact_entry *entry), void *arg,
                       struct nx_err *err)
{
    struct artifact_entry entry;
    char *line = NULL;
    size_t room = 0;
    bool ok = getline(&line, &room, manifest) > 0 && artifact_manifest_begins(line), go_on = true;
    for (uint64_t i = 0; ok && go_on; i++) {
        ssize_t n = getline(&line, &room, manifest);
        if (n <= 0)
            break;
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        if (i < from)
            continue;
        ok = artifact_manifest_line(line, &entry);
        go_on = ok && each(arg, &entry);
    }
    free(line);
    return ok || nx_fail(err, NX_E_DATA, "the manifest of %s is damaged", address);
}

bool artifact_files(const struct artifact_store *store, const char *address, uint64_t from,
                    bool (*each)(void *arg, const struct artifact_entry *entry), void *arg,
                    struct nx_err *err)
{
    char file[PATH_MAX_BYTES], files[PATH_MAX_BYTES];
    bool is_folder;
    if (!artifact_find(store, address, file, files, &is_folder, err))
        return false;
    if (!is_folder)
        return nx_fail(err, NX_E_INVALID, "%s is a file, not a folder", address);
    FILE *manifest = fopen(file, "re");
    if (!manifest)
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", file, strerror(errno));
    bool ok = read_lines(manifest, address, from, each, arg, err);
    fclose(manifest);
    return ok;
}

struct search {
    const char *path;
    char *sha256;
    bool found;
};

static bool look_at(void *arg, const struct artifact_entry *entry)
{
    struct search *search = arg;
    int order = strcmp(entry->path, search->path);
    search->found = order == 0;
    if (search->found)
        memcpy(search->sha256, entry->sha256, SHA256_HEX);
    return order < 0; /* they are sorted */
}

static bool open_it(const char *path, int *fd, uint64_t *n_bytes, struct nx_err *err)
{
    struct stat st;
    int made = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (made < 0 || fstat(made, &st) != 0 || !S_ISREG(st.st_mode)) {
        int why = made < 0 ? errno : EINVAL;
        if (made >= 0)
            close(made);
        return nx_fail(err, why == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "cannot read %s: %s", path,
                       strerror(why));
    }
    *fd = made;
    *n_bytes = (uint64_t)st.st_size;
    return true;
}

bool artifact_open_file(const struct artifact_store *store, const char *address, const char *path,
                        int *fd, uint64_t *n_bytes, char *sha256, struct nx_err *err)
{
    char file[PATH_MAX_BYTES], files[PATH_MAX_BYTES], inside[PATH_MAX_BYTES];
    bool is_folder;
    struct search search = {.path = path, .sha256 = sha256};
    if (!artifact_find(store, address, file, files, &is_folder, err))
        return false;
    if (!path && is_folder)
        return nx_fail(err, NX_E_INVALID, "%s is a folder: name one of its files", address);
    if (!path) {
        memcpy(sha256, address + strlen("sha256:"), SHA256_HEX);
        return open_it(file, fd, n_bytes, err);
    }
    if (!artifact_files(store, address, 0, look_at, &search, err))
        return false;
    if (!search.found)
        return nx_fail(err, NX_E_NOT_FOUND, "the folder has no file '%.200s'", path);
    return path_join(inside, sizeof inside, files, path)
               ? open_it(inside, fd, n_bytes, err)
               : nx_fail(err, NX_E_LIMIT, "the path of %.200s is too long", path);
}
