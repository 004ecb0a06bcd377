/* Folders: their files, manifests and copies. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/store.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define FIRST_LINE "nexus-folder 1\n"

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct artifact_file *)a)->path, ((const struct artifact_file *)b)->path);
}

static bool take_entry(const FTSENT *entry, size_t n_root, bool tidy,
                       struct artifact_manifest *manifest, struct nx_err *err)
{
    const char *path = entry->fts_path;
    switch (entry->fts_info) {
    case FTS_D:
        return true;
    case FTS_DP:
        if (tidy && entry->fts_level > 0)
            rmdir(path); /* fails unless it is empty */
        return true;
    case FTS_F:
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", path, strerror(entry->fts_errno));
    default:
        return nx_fail(err, NX_E_INVALID,
                       "%s is neither a file nor a folder; an artifact has no links", path);
    }
    if (!S_ISREG(entry->fts_statp->st_mode))
        return nx_fail(err, NX_E_INVALID, "%s is not a regular file", path);
    const char *below = path + n_root + 1;
    if (strchr(below, '\n') || !str_is_utf8(below, strlen(below), NULL))
        return nx_fail(err, NX_E_INVALID, "%s: a file's name must be UTF-8 in one line", path);
    if (manifest->files.n >= ARTIFACT_FILES_MAX)
        return nx_fail(err, NX_E_LIMIT, "the folder has more than %d files", ARTIFACT_FILES_MAX);
    vec_push(&manifest->files, ((struct artifact_file){.path = mem_strdup(below)}));
    return true;
}

bool artifact_walk(const char *folder, bool tidy, struct artifact_manifest *manifest,
                   struct nx_err *err)
{
    char *roots[] = {(char *)(uintptr_t)folder, NULL};
    size_t n_root = strlen(folder);
    while (n_root > 1 && folder[n_root - 1] == '/')
        n_root--;
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool ok = fts || nx_fail(err, NX_E_IO, "cannot read %s: %s", folder, strerror(errno));
    while (ok) {
        errno = 0;
        FTSENT *entry = fts_read(fts);
        if (!entry)
            break;
        ok = take_entry(entry, n_root, tidy, manifest, err);
    }
    if (ok && errno)
        ok = nx_fail(err, NX_E_IO, "cannot read %s: %s", folder, strerror(errno));
    if (fts)
        fts_close(fts);
    if (ok && manifest->files.n)
        qsort(manifest->files.at, manifest->files.n, sizeof *manifest->files.at, by_path);
    return ok;
}

bool artifact_hash_files(const char *folder, struct artifact_manifest *manifest, struct nx_err *err)
{
    manifest->n_bytes = 0;
    for (size_t i = 0; i < manifest->files.n; i++) {
        struct artifact_file *file = &manifest->files.at[i];
        char path[PATH_MAX_BYTES];
        if (!path_join(path, sizeof path, folder, file->path))
            return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", file->path);
        if (!sha256_of_file(path, file->sha256, &file->n_bytes, err))
            return false;
        manifest->n_bytes += file->n_bytes;
    }
    return true;
}

void artifact_manifest_text(const struct artifact_manifest *manifest, struct buf *text)
{
    buf_str(text, FIRST_LINE);
    for (size_t i = 0; i < manifest->files.n; i++) {
        const struct artifact_file *file = &manifest->files.at[i];
        buf_printf(text, "%s %llu %s\n", file->sha256, (unsigned long long)file->n_bytes,
                   file->path);
    }
}

bool artifact_manifest_begins(const char *line)
{
    return str_starts(line, FIRST_LINE);
}

/* "<sha256> <size> <path>" */
bool artifact_manifest_line(char *line, struct artifact_entry *entry)
{
    char *size = strchr(line, ' '), *path = size ? strchr(size + 1, ' ') : NULL;
    int64_t n_bytes;
    if (!path || size - line != SHA256_HEX - 1 || !path[1])
        return false;
    *size++ = 0;
    *path++ = 0;
    if (strspn(line, "0123456789abcdef") != SHA256_HEX - 1 || !str_parse_int(size, &n_bytes) ||
        n_bytes < 0)
        return false;
    *entry = (struct artifact_entry){path, (uint64_t)n_bytes, line};
    return true;
}

static bool parse_line(const char *line, const char *end, struct artifact_file *file)
{
    struct artifact_entry entry;
    char *copy = mem_strndup(line, (size_t)(end - line));
    bool ok = artifact_manifest_line(copy, &entry);
    if (ok) {
        memcpy(file->sha256, entry.sha256, SHA256_HEX);
        file->n_bytes = entry.n_bytes;
        file->path = mem_strdup(entry.path);
    }
    mem_free(copy);
    return ok;
}

bool artifact_manifest_parse(const char *text, struct artifact_manifest *manifest)
{
    if (!artifact_manifest_begins(text))
        return false;
    for (const char *line = text + strlen(FIRST_LINE); *line;) {
        const char *end = strchr(line, '\n');
        struct artifact_file file;
        if (!end || manifest->files.n >= ARTIFACT_FILES_MAX || !parse_line(line, end, &file))
            return false;
        vec_push(&manifest->files, file);
        manifest->n_bytes += file.n_bytes;
        line = end + 1;
    }
    return true;
}

void artifact_manifest_fini(struct artifact_manifest *manifest)
{
    for (size_t i = 0; i < manifest->files.n; i++)
        mem_free(manifest->files.at[i].path);
    vec_fini(&manifest->files);
}

static bool copy_bytes(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0)
        return true;
    bool by_range = true;
    for (;;) {
        ssize_t n = by_range ? copy_file_range(from, NULL, to, NULL, 1 << 30, 0)
                             : sendfile(to, from, NULL, 1 << 30);
        if (n == 0)
            return true;
        if (n > 0 || errno == EINTR)
            continue;
        if (!by_range)
            return false;
        by_range = false; /* other file systems, or none that can */
    }
}

bool artifact_copy_file(const char *from, const char *to, struct nx_err *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "cannot read %s: %s", from,
                       strerror(errno));
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool ok = out >= 0 && copy_bytes(in, out);
    int why = errno;
    if (out >= 0)
        ok = close(out) == 0 && ok;
    close(in);
    return ok || nx_fail(err, NX_E_IO, "cannot copy %s to %s: %s", from, to, strerror(why));
}

bool artifact_copy_files(const char *from, const char *to, const struct artifact_manifest *manifest,
                         struct nx_err *err)
{
    char source[PATH_MAX_BYTES], target[PATH_MAX_BYTES];
    if (!path_make_folders(to, err))
        return false;
    for (size_t i = 0; i < manifest->files.n; i++) {
        const char *path = manifest->files.at[i].path;
        if (!path_join(source, sizeof source, from, path) ||
            !path_join(target, sizeof target, to, path))
            return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", path);
        if (strchr(path, '/')) {
            char *slash = strrchr(target, '/');
            *slash = 0;
            if (!path_make_folders(target, err))
                return false;
            *slash = '/';
        }
        if (!artifact_copy_file(source, target, err))
            return false;
    }
    return true;
}

bool artifact_sync(const char *path, struct nx_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return ok || nx_fail(err, NX_E_IO, "cannot sync %s: %s", path, strerror(why));
}
