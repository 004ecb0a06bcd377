#include "lib/artifact/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/store.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"

#define MANIFEST_MAX (64u * 1024 * 1024)

static void place(const struct artifact_store *store, const char *kind, uint64_t session,
                  const char *hash, char to[PATH_MAX_BYTES])
{
    int n = snprintf(to, PATH_MAX_BYTES, "%s/tmp/%s-%016llx-%s", store->root, kind,
                     (unsigned long long)session, hash);
    must(n > 0 && n < PATH_MAX_BYTES);
}

bool stage_path(const struct artifact_store *store, uint64_t session, const char *hash, char *to,
                size_t size)
{
    char path[PATH_MAX_BYTES];
    place(store, "ok", session, hash, path);
    return str_copy(to, size, path);
}

bool stage_path_is_safe(const char *path)
{
    for (const char *part = path;;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        if (!part[n])
            return true;
        part += n + 1;
    }
}

static bool write_at(int fd, const struct stage_piece *piece, const char *path, struct nx_err *err)
{
    const char *p = piece->bytes;
    size_t done = 0;
    while (done < piece->n) {
        ssize_t n = pwrite(fd, p + done, piece->n - done, (off_t)(piece->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nx_fail(err, NX_E_IO, "cannot write %s: %s", path, strerror(errno));
        done += (size_t)n;
    }
    return true;
}

/* It is all there: it has the hash, or begins anew. */
static bool complete(struct artifact_store *store, const struct stage_piece *piece,
                     const char *path, struct nx_err *err)
{
    char hex[SHA256_HEX], done[PATH_MAX_BYTES];
    if (!sha256_of_file(path, hex, NULL, err))
        return false;
    if (!str_eq(hex, piece->hash)) {
        unlink(path);
        return nx_fail(err, NX_E_DATA,
                       "what came hashes to %s and not to %s: it was changed on the way", hex,
                       piece->hash);
    }
    place(store, "ok", piece->session, piece->hash, done);
    return rename(path, done) == 0 ||
           nx_fail(err, NX_E_IO, "cannot create %s: %s", done, strerror(errno));
}

static bool add(struct artifact_store *store, const struct stage_piece *piece, int fd,
                const char *path, uint64_t *have, struct nx_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return nx_fail(err, NX_E_IO, "%s: %s", path, strerror(errno));
    uint64_t there = (uint64_t)st.st_size;
    if (there == piece->offset && piece->n) {
        if (!write_at(fd, piece, path, err))
            return false;
        there += piece->n;
    }
    if (there == piece->size && !complete(store, piece, path, err))
        return false;
    *have = there;
    return true;
}

bool stage_add(struct artifact_store *store, const struct stage_piece *piece, uint64_t *have,
               struct nx_err *err)
{
    char path[PATH_MAX_BYTES], done[PATH_MAX_BYTES];
    struct stat st;
    must(strlen(piece->hash) == SHA256_HEX - 1);
    if (piece->offset > piece->size || piece->n > piece->size - piece->offset)
        return nx_fail(err, NX_E_INVALID, "a piece goes beyond the end of its file");
    place(store, "ok", piece->session, piece->hash, done);
    if (stat(done, &st) == 0) {
        *have = (uint64_t)st.st_size;
        return true;
    }
    place(store, "in", piece->session, piece->hash, path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return nx_fail(err, NX_E_IO, "cannot create %s: %s", path, strerror(errno));
    /* A request that was sent again may be served by another thread at the same time. */
    while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
        ;
    bool ok;
    if (stat(done, &st) == 0) { /* the other one has completed it */
        *have = (uint64_t)st.st_size;
        ok = true;
    } else {
        ok = add(store, piece, fd, path, have, err);
    }
    close(fd);
    return ok;
}

/* ---- Keeping ---- */

static bool keep_path(struct artifact_store *store, const char *path, const char *address,
                      struct artifact_info *info, struct nx_err *err)
{
    if (!artifact_put(store, path, ARTIFACT_MOVE, info, err))
        return false;
    return str_eq(info->address, address) ||
           nx_fail(err, NX_E_DATA, "what came is %s and not %s", info->address, address);
}

static bool read_manifest(const char *path, struct artifact_manifest *manifest, struct nx_err *err)
{
    struct buf text = {0};
    bool ok = path_read(path, MANIFEST_MAX, &text, err);
    if (ok && !artifact_manifest_parse(buf_text(&text), manifest))
        ok = nx_fail(err, NX_E_DATA, "what came is not the manifest of a folder");
    buf_fini(&text);
    for (size_t i = 0; ok && i < manifest->files.n; i++) {
        if (!stage_path_is_safe(manifest->files.at[i].path))
            ok = nx_fail(err, NX_E_INVALID, "a manifest must not name the path '%.200s'",
                         manifest->files.at[i].path);
    }
    return ok;
}

static bool bring(struct artifact_store *store, uint64_t session, const char *folder,
                  const struct artifact_file *file, struct nx_err *err)
{
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    place(store, "ok", session, file->sha256, from);
    if (!path_join(to, sizeof to, folder, file->path))
        return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", file->path);
    char *slash = strrchr(to, '/');
    *slash = 0;
    if (!path_make_folders(to, err))
        return false;
    *slash = '/';
    if (!path_exists(from))
        return nx_fail(err, NX_E_NOT_FOUND, "the file %s of the folder has not come", file->path);
    /* Two files of one content share it. */
    return link(from, to) == 0 || artifact_copy_file(from, to, err);
}

static bool keep_folder(struct artifact_store *store, uint64_t session, const char *hash,
                        struct artifact_info *info, struct nx_err *err)
{
    char path[PATH_MAX_BYTES], folder[PATH_MAX_BYTES], address[ARTIFACT_ADDRESS_MAX];
    struct artifact_manifest manifest = {0};
    place(store, "ok", session, hash, path);
    place(store, "dir", session, hash, folder);
    snprintf(address, sizeof address, "sha256:%s", hash);
    bool ok = read_manifest(path, &manifest, err) && path_remove_tree(folder, err) &&
              path_make_folders(folder, err);
    for (size_t i = 0; ok && i < manifest.files.n; i++)
        ok = bring(store, session, folder, &manifest.files.at[i], err);
    ok = ok && keep_path(store, folder, address, info, err);
    path_remove_tree(folder, NULL);
    if (ok) {
        for (size_t i = 0; i < manifest.files.n; i++) {
            char used[PATH_MAX_BYTES];
            place(store, "ok", session, manifest.files.at[i].sha256, used);
            unlink(used);
        }
        unlink(path);
    }
    artifact_manifest_fini(&manifest);
    return ok;
}

static bool keep(struct artifact_store *store, uint64_t session, const char *hash, bool folder,
                 struct artifact_info *info, struct nx_err *err)
{
    char path[PATH_MAX_BYTES], address[ARTIFACT_ADDRESS_MAX];
    snprintf(address, sizeof address, "sha256:%s", hash);
    if (folder)
        return keep_folder(store, session, hash, info, err);
    place(store, "ok", session, hash, path);
    return keep_path(store, path, address, info, err);
}

bool stage_keep(struct artifact_store *store, uint64_t session, const char *hash, bool folder,
                struct artifact_info *info, struct nx_err *err)
{
    char path[PATH_MAX_BYTES], address[ARTIFACT_ADDRESS_MAX];
    struct artifact_info found;
    must(strlen(hash) == SHA256_HEX - 1);
    snprintf(address, sizeof address, "sha256:%s", hash);
    place(store, "ok", session, hash, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    /* A request that was sent again may be served by another thread at the same time. */
    while (fd >= 0 && flock(fd, LOCK_EX) != 0 && errno == EINTR)
        ;
    bool ok = artifact_stat(store, address, &found, NULL);
    if (ok)
        *info = found;
    else if (fd >= 0)
        ok = keep(store, session, hash, folder, info, err);
    else
        ok = nx_fail(err, NX_E_NOT_FOUND, "the content of %s has not come", address);
    if (fd >= 0)
        close(fd);
    return ok;
}
