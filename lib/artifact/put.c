/* Putting: the content comes into tmp/ first, is hashed and synced there, and is renamed to its
 * address. A crash leaves something in tmp/ and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/store.h"
#include "lib/base/mem.h"

struct putting {
    struct artifact_store *store;
    char temp[PATH_MAX_BYTES];  /* <root>/tmp/<id> */
    char place[PATH_MAX_BYTES]; /* <root>/sha256/ab/<hex> */
    char hex[SHA256_HEX];
    struct artifact_manifest manifest; /* of a folder */
};

/* The folder of the address exists. */
static bool make_place(struct putting *p, struct nx_err *err)
{
    snprintf(p->place, sizeof p->place, "%s/sha256/%.2s", p->store->root, p->hex);
    if (!path_exists(p->place)) {
        char parent[PATH_MAX_BYTES];
        snprintf(parent, sizeof parent, "%s/sha256", p->store->root);
        if (!path_make_folders(p->place, err) || !artifact_sync(parent, err))
            return false;
    }
    size_t n = strlen(p->place);
    snprintf(p->place + n, sizeof p->place - n, "/%s", p->hex);
    return true;
}

static bool sync_place(struct putting *p, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES];
    snprintf(folder, sizeof folder, "%s/sha256/%.2s", p->store->root, p->hex);
    return artifact_sync(folder, err);
}

/* Whether a file of that size is there already; if so it counts as put now. */
static bool is_there(const char *place, uint64_t n_bytes)
{
    struct stat st;
    return stat(place, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n_bytes &&
           utimensat(AT_FDCWD, place, NULL, 0) == 0;
}

/* Renames a finished file to its address. */
static bool place_file(struct putting *p, const char *temp, uint64_t n_bytes, struct nx_err *err)
{
    if (is_there(p->place, n_bytes))
        return true;
    chmod(temp, 0444);
    if (!artifact_sync(temp, err))
        return false;
    /* Its time is that of the put, also when it was moved here. */
    utimensat(AT_FDCWD, temp, NULL, 0);
    if (rename(temp, p->place) != 0)
        return nx_fail(err, NX_E_IO, "cannot create %s: %s", p->place, strerror(errno));
    return sync_place(p, err);
}

/* Moves or copies the source to temp. */
static bool bring_file(struct putting *p, const char *path, enum artifact_how how,
                       struct nx_err *err)
{
    if (how == ARTIFACT_MOVE) {
        if (rename(path, p->temp) == 0)
            return true;
        if (errno != EXDEV)
            return nx_fail(err, NX_E_IO, "cannot move %s: %s", path, strerror(errno));
    }
    return artifact_copy_file(path, p->temp, err);
}

static bool put_file(struct putting *p, const char *path, enum artifact_how how,
                     struct artifact_info *info, struct nx_err *err)
{
    struct stat st;
    uint64_t n_bytes;
    int lock;
    bool moved = how == ARTIFACT_MOVE && lstat(path, &st) == 0;
    if (!bring_file(p, path, how, err) || !sha256_of_file(p->temp, p->hex, &n_bytes, err) ||
        !artifact_lock(p->store, false, &lock, err))
        return false;
    bool ok = make_place(p, err) && place_file(p, p->temp, n_bytes, err);
    close(lock);
    if (ok && moved)
        unlink(path); /* copied across file systems; else it has gone */
    info->is_folder = false;
    info->n_files = 1;
    info->n_bytes = n_bytes;
    return ok;
}

/* Files read-only and on disk, then the folders that they are in. */
static bool seal_folder(const char *folder, const struct artifact_manifest *manifest,
                        struct nx_err *err)
{
    char path[PATH_MAX_BYTES], last[PATH_MAX_BYTES] = "";
    for (size_t i = 0; i < manifest->files.n; i++) {
        if (!path_join(path, sizeof path, folder, manifest->files.at[i].path))
            return nx_fail(err, NX_E_LIMIT, "the path of %s is too long",
                           manifest->files.at[i].path);
        chmod(path, 0444);
        if (!artifact_sync(path, err))
            return false;
        /* Up to the folder itself; neighbours in the list share most of it. */
        for (char *slash = strrchr(path, '/'); slash && slash >= path + strlen(folder);
             slash = strrchr(path, '/')) {
            *slash = 0;
            if (strcmp(path, last) == 0)
                break;
            if (!artifact_sync(path, err))
                return false;
            if (slash - path > (ptrdiff_t)strlen(folder))
                memcpy(last, path, (size_t)(slash - path) + 1);
        }
    }
    return true;
}

static bool bring_folder(struct putting *p, const char *path, enum artifact_how how,
                         struct nx_err *err)
{
    /* Before anything is moved: what cannot be kept stays where it is. */
    if (!artifact_walk(path, false, &p->manifest, err))
        return false;
    if (how == ARTIFACT_MOVE && rename(path, p->temp) == 0) {
        artifact_manifest_fini(&p->manifest);
        return artifact_walk(p->temp, true, &p->manifest, err);
    }
    if (how == ARTIFACT_MOVE && errno != EXDEV)
        return nx_fail(err, NX_E_IO, "cannot move %s: %s", path, strerror(errno));
    return artifact_copy_files(path, p->temp, &p->manifest, err);
}

/* The files first, then the manifest: without it there is no artifact. */
static bool place_folder(struct putting *p, const struct buf *text, struct nx_err *err)
{
    char files[PATH_MAX_BYTES + 2], temp[PATH_MAX_BYTES + 2];
    snprintf(files, sizeof files, "%s.d", p->place);
    snprintf(temp, sizeof temp, "%s.m", p->temp);
    if (is_there(p->place, text->len) && path_is_folder(files))
        return true;
    if (rename(p->temp, files) != 0 && errno != ENOTEMPTY && errno != EEXIST)
        return nx_fail(err, NX_E_IO, "cannot create %s: %s", files, strerror(errno));
    if (!sync_place(p, err) || !path_write(temp, text->data, text->len, err))
        return false;
    bool ok = place_file(p, temp, text->len, err);
    unlink(temp); /* if it was not needed */
    return ok;
}

static bool put_folder(struct putting *p, const char *path, enum artifact_how how,
                       struct artifact_info *info, struct nx_err *err)
{
    struct buf text;
    int lock;
    if (!bring_folder(p, path, how, err) || !artifact_hash_files(p->temp, &p->manifest, err) ||
        !seal_folder(p->temp, &p->manifest, err))
        return false;
    buf_init(&text);
    artifact_manifest_text(&p->manifest, &text);
    sha256_of(text.data, text.len, p->hex);
    bool ok = artifact_lock(p->store, false, &lock, err);
    if (ok) {
        ok = make_place(p, err) && place_folder(p, &text, err);
        close(lock);
    }
    buf_fini(&text);
    if (ok && how == ARTIFACT_MOVE)
        ok = path_remove_tree(path, err); /* was copied across file systems; else it has gone */
    info->is_folder = true;
    info->n_files = p->manifest.files.n;
    info->n_bytes = p->manifest.n_bytes;
    return ok;
}

bool artifact_put(struct artifact_store *store, const char *path, enum artifact_how how,
                  struct artifact_info *info, struct nx_err *err)
{
    struct putting p = {.store = store};
    struct artifact_info made;
    struct stat st;
    char id[21];
    if (stat(path, &st) != 0)
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "cannot keep %s: %s", path,
                       strerror(errno));
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return nx_fail(err, NX_E_INVALID, "cannot keep %s: it is neither a file nor a folder",
                       path);
    crypt_random_id(id, 20);
    snprintf(p.temp, sizeof p.temp, "%s/tmp/%s", store->root, id);
    bool ok = S_ISDIR(st.st_mode) ? put_folder(&p, path, how, &made, err)
                                  : put_file(&p, path, how, &made, err);
    if (!ok && how == ARTIFACT_MOVE && !path_exists(path))
        rename(p.temp, path); /* back: what could not be kept is not lost */
    path_remove_tree(p.temp, NULL);
    artifact_manifest_fini(&p.manifest);
    if (!ok)
        return nx_wrap(err, "cannot keep %s", path);
    snprintf(made.address, sizeof made.address, "sha256:%s", p.hex);
    *info = made;
    return true;
}
