/* The store: finding, checking, listing, removing. */
#include "lib/artifact/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

/* About 130 bytes a line, long paths included. */
#define MANIFEST_MAX (256u * 1024 * 1024)

bool artifact_open(const char *root, struct artifact_store **store, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct artifact_store *made = mem_alloc(sizeof *made);
    int fd = -1;
    bool ok = str_copy(made->root, sizeof made->root, root) ||
              nx_fail(err, NX_E_LIMIT, "the path of the artifacts is too long: %.200s...", root);
    snprintf(path, sizeof path, "%s/sha256", made->root);
    ok = ok && path_make_folders(path, err);
    snprintf(path, sizeof path, "%s/tmp", made->root);
    ok = ok && path_make_folders(path, err);
    snprintf(path, sizeof path, "%s/lock", made->root);
    if (ok)
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (ok && fd < 0)
        ok = nx_fail(err, NX_E_IO, "cannot create %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!ok) {
        artifact_close(made);
        return false;
    }
    *store = made;
    return true;
}

void artifact_close(struct artifact_store *store)
{
    mem_free(store);
}

bool artifact_lock(const struct artifact_store *store, bool exclusive, int *fd, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s/lock", store->root);
    int made = open(path, O_RDONLY | O_CLOEXEC);
    while (made >= 0 && flock(made, exclusive ? LOCK_EX : LOCK_SH) != 0) {
        if (errno != EINTR) {
            int why = errno;
            close(made);
            made = -1;
            errno = why;
        }
    }
    if (made < 0)
        return nx_fail(err, NX_E_IO, "cannot lock %s: %s", path, strerror(errno));
    *fd = made;
    return true;
}

bool artifact_is_address(const char *text)
{
    return str_starts(text, "sha256:") && strlen(text) == 71 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

bool artifact_find(const struct artifact_store *store, const char *address,
                   char file[PATH_MAX_BYTES], char files[PATH_MAX_BYTES], bool *is_folder,
                   struct nx_err *err)
{
    if (!artifact_is_address(address))
        return nx_fail(err, NX_E_INVALID, "'%.100s' is not the address of an artifact", address);
    const char *hex = address + 7;
    snprintf(file, PATH_MAX_BYTES, "%s/sha256/%.2s/%s", store->root, hex, hex);
    snprintf(files, PATH_MAX_BYTES, "%s/sha256/%.2s/%s.d", store->root, hex, hex);
    if (!path_exists(file))
        return nx_fail(err, NX_E_NOT_FOUND, "there is no artifact %s", address);
    *is_folder = path_is_folder(files);
    return true;
}

bool artifact_path(const struct artifact_store *store, const char *address, char *to, size_t size,
                   struct nx_err *err)
{
    char file[PATH_MAX_BYTES], files[PATH_MAX_BYTES];
    bool is_folder;
    if (!artifact_find(store, address, file, files, &is_folder, err))
        return false;
    return str_copy(to, size, is_folder ? files : file) ||
           nx_fail(err, NX_E_LIMIT, "the path of %s is too long", address);
}

static bool read_manifest(const char *file, const char *address, struct artifact_manifest *manifest,
                          struct nx_err *err)
{
    struct buf text;
    buf_init(&text);
    bool ok = path_read(file, MANIFEST_MAX, &text, err);
    if (ok && !artifact_manifest_parse(buf_text(&text), manifest))
        ok = nx_fail(err, NX_E_DATA, "the manifest of %s is damaged", address);
    buf_fini(&text);
    return ok;
}

bool artifact_stat(const struct artifact_store *store, const char *address,
                   struct artifact_info *info, struct nx_err *err)
{
    char file[PATH_MAX_BYTES], files[PATH_MAX_BYTES];
    struct artifact_manifest manifest = {0};
    struct artifact_info found = {.n_files = 1};
    struct stat st;
    if (!artifact_find(store, address, file, files, &found.is_folder, err))
        return false;
    if (stat(file, &st) != 0)
        return nx_fail(err, NX_E_IO, "%s: %s", file, strerror(errno));
    found.n_bytes = (uint64_t)st.st_size;
    if (found.is_folder) {
        bool ok = read_manifest(file, address, &manifest, err);
        found.n_files = manifest.files.n;
        found.n_bytes = manifest.n_bytes;
        artifact_manifest_fini(&manifest);
        if (!ok)
            return false;
    }
    str_copy(found.address, sizeof found.address, address);
    *info = found;
    return true;
}

static bool verify_files(const char *files, const char *address,
                         const struct artifact_manifest *manifest, struct nx_err *err)
{
    char path[PATH_MAX_BYTES], hex[SHA256_HEX];
    for (size_t i = 0; i < manifest->files.n; i++) {
        const struct artifact_file *file = &manifest->files.at[i];
        if (!path_join(path, sizeof path, files, file->path) || !path_exists(path))
            return nx_fail(err, NX_E_DATA, "%s lacks its file %s", address, file->path);
        if (!sha256_of_file(path, hex, NULL, err))
            return false;
        if (!str_eq(hex, file->sha256))
            return nx_fail(err, NX_E_DATA, "%s: its file %s has been changed", address, file->path);
    }
    return true;
}

bool artifact_verify(const struct artifact_store *store, const char *address, struct nx_err *err)
{
    char file[PATH_MAX_BYTES], files[PATH_MAX_BYTES], hex[SHA256_HEX];
    struct artifact_manifest manifest = {0};
    bool is_folder;
    if (!artifact_find(store, address, file, files, &is_folder, err) ||
        !sha256_of_file(file, hex, NULL, err))
        return false;
    if (!str_eq(hex, address + 7))
        return nx_fail(err, NX_E_DATA, "%s has been changed: its content hashes to %s", address,
                       hex);
    if (!is_folder)
        return true;
    bool ok = read_manifest(file, address, &manifest, err) &&
              verify_files(files, address, &manifest, err);
    artifact_manifest_fini(&manifest);
    return ok;
}

/* ---- Listing and removing ---- */

static int64_t mtime_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

/* The artifacts in one of the 256 folders. *go_on: `each` has not returned false. */
static bool list_one(const char *folder, bool (*each)(void *, const char *, int64_t), void *arg,
                     bool *go_on, struct nx_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ||
               nx_fail(err, NX_E_IO, "cannot read %s: %s", folder, strerror(errno));
    for (struct dirent *entry = readdir(dir); entry && *go_on; entry = readdir(dir)) {
        char address[ARTIFACT_ADDRESS_MAX];
        struct stat st;
        if (strlen(entry->d_name) != 64)
            continue;
        snprintf(address, sizeof address, "sha256:%.64s", entry->d_name);
        if (artifact_is_address(address) && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
            *go_on = each(arg, address, mtime_ms(&st));
    }
    closedir(dir);
    return true;
}

bool artifact_list(const struct artifact_store *store,
                   bool (*each)(void *arg, const char *address, int64_t put_wall_ms), void *arg,
                   struct nx_err *err)
{
    bool go_on = true;
    for (unsigned i = 0; i < 256 && go_on; i++) {
        char folder[PATH_MAX_BYTES];
        snprintf(folder, sizeof folder, "%s/sha256/%02x", store->root, i);
        if (!list_one(folder, each, arg, &go_on, err))
            return false;
    }
    return true;
}

struct sweep {
    struct artifact_store *store;
    int64_t before_ms;
    bool (*keep)(void *arg, const char *address);
    void *arg;
    uint64_t n_removed;
    struct nx_err *err;
    bool failed;
};

/* Under the exclusive lock, and only if it is still as old: a put may have come between. */
static bool remove_one(struct sweep *sweep, const char *address)
{
    char file[PATH_MAX_BYTES], files[PATH_MAX_BYTES], temp[PATH_MAX_BYTES], id[21];
    bool is_folder;
    struct stat st;
    int lock;
    crypt_random_id(id, 20);
    snprintf(temp, sizeof temp, "%s/tmp/%s", sweep->store->root, id);
    if (!artifact_lock(sweep->store, true, &lock, sweep->err))
        return false;
    bool ok = true;
    if (artifact_find(sweep->store, address, file, files, &is_folder, NULL) &&
        stat(file, &st) == 0 && mtime_ms(&st) < sweep->before_ms) {
        /* The manifest first: without it the files are nobody's. */
        ok = unlink(file) == 0 && (!is_folder || rename(files, temp) == 0);
        if (!ok)
            nx_fail(sweep->err, NX_E_IO, "cannot remove %s: %s", file, strerror(errno));
        sweep->n_removed += ok;
    }
    close(lock);
    return ok && path_remove_tree(temp, sweep->err);
}

static bool sweep_one(void *arg, const char *address, int64_t put_wall_ms)
{
    struct sweep *sweep = arg;
    if (put_wall_ms >= sweep->before_ms || (sweep->keep && sweep->keep(sweep->arg, address)))
        return true;
    sweep->failed = !remove_one(sweep, address);
    return !sweep->failed;
}

/* When it came here: a moved file brings its own times, but a rename is a change. */
static bool came_before(DIR *dir, const char *name, int64_t before_ms)
{
    struct stat st;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000 < before_ms;
}

/* Leftovers of crashes in a folder: all of tmp/; elsewhere files of a folder without manifest. */
static bool sweep_leftovers(struct sweep *sweep, const char *folder, bool is_tmp)
{
    char path[2 * PATH_MAX_BYTES], manifest[2 * PATH_MAX_BYTES];
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ||
               nx_fail(sweep->err, NX_E_IO, "cannot read %s: %s", folder, strerror(errno));
    bool ok = true;
    for (struct dirent *entry = readdir(dir); entry && ok; entry = readdir(dir)) {
        const char *name = entry->d_name;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        snprintf(manifest, sizeof manifest, "%s/%.64s", folder, name);
        bool leftover = is_tmp
                            ? name[0] != '.'
                            : strlen(name) == 66 && str_ends(name, ".d") && !path_exists(manifest);
        if (leftover && came_before(dir, name, sweep->before_ms))
            ok = path_remove_tree(path, sweep->err);
    }
    closedir(dir);
    return ok;
}

static bool sweep_all_leftovers(struct sweep *sweep)
{
    char folder[PATH_MAX_BYTES];
    int lock;
    snprintf(folder, sizeof folder, "%s/tmp", sweep->store->root);
    if (!sweep_leftovers(sweep, folder, true) ||
        !artifact_lock(sweep->store, true, &lock, sweep->err))
        return false;
    bool ok = true;
    for (unsigned i = 0; i < 256 && ok; i++) {
        snprintf(folder, sizeof folder, "%s/sha256/%02x", sweep->store->root, i);
        ok = sweep_leftovers(sweep, folder, false);
    }
    close(lock);
    return ok;
}

bool artifact_sweep(struct artifact_store *store, int64_t before_wall_ms,
                    bool (*keep)(void *arg, const char *address), void *arg, uint64_t *n_removed,
                    struct nx_err *err)
{
    struct sweep sweep = {
        .store = store, .before_ms = before_wall_ms, .keep = keep, .arg = arg, .err = err};
    bool ok = artifact_list(store, sweep_one, &sweep, err) && !sweep.failed &&
              sweep_all_leftovers(&sweep);
    if (n_removed)
        *n_removed = sweep.n_removed;
    return ok;
}
