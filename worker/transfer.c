#include "worker/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/stage.h"
#include "lib/artifact/store.h"
#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "nexus/limits.h"

#define MANIFEST_MAX (64u * 1024 * 1024)
#define LIST_MAX (16u * 1024 * 1024)

struct transfer {
    struct artifact_store *store;
    struct line *line;
    uint64_t session;
    char home[PATH_MAX_BYTES];
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    struct map busy;     /* hashes and versions that a thread is bringing or taking */
    struct map versions; /* -> folder with its files, or "" */
};

/* One hash (or "files-<version>") is one thread's at a time. */
static void begin(struct transfer *transfer, const char *key)
{
    pthread_mutex_lock(&transfer->lock);
    while (map_get(&transfer->busy, key))
        pthread_cond_wait(&transfer->changed, &transfer->lock);
    map_set(&transfer->busy, key, transfer);
    pthread_mutex_unlock(&transfer->lock);
}

static void end(struct transfer *transfer, const char *key)
{
    pthread_mutex_lock(&transfer->lock);
    map_remove(&transfer->busy, key);
    pthread_cond_broadcast(&transfer->changed);
    pthread_mutex_unlock(&transfer->lock);
}

/* The file of an artifact itself: its content, or the manifest of a folder. */
static void object_path(const struct transfer *transfer, const char *hash, char to[PATH_MAX_BYTES])
{
    int n = snprintf(to, PATH_MAX_BYTES, "%s/sha256/%.2s/%s", transfer->store->root, hash, hash);
    must(n > 0 && n < PATH_MAX_BYTES);
}

static void set_hash(struct bulk_request *request, const char *hash)
{
    must(str_copy(request->hash, sizeof request->hash, hash) && strlen(hash) == BULK_HASH);
}

bool transfer_has(struct transfer *transfer, const char *hash)
{
    char path[PATH_MAX_BYTES];
    object_path(transfer, hash, path);
    return utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

/* ---- Bringing ---- */

/* A file whose content has that hash, piece by piece; `request` says which (BULK_GET, BULK_FILE).
 */
static bool bring_file(struct transfer *transfer, struct bulk_request *request, const char *hash,
                       uint64_t size, struct line_answer *answer, const atomic_bool *give_up,
                       struct nx_err *err)
{
    struct stage_piece piece = {.session = transfer->session, .hash = hash, .size = size};
    uint64_t have = 0;
    bool ok = stage_add(transfer->store, &piece, &have, err);
    while (ok && have < size) {
        uint64_t before = have;
        request->offset = have;
        request->n = BULK_CHUNK_MAX;
        if (!line_call(transfer->line, request, answer, give_up, err))
            return false;
        piece.offset = have;
        piece.bytes = answer->reply.bytes.p;
        piece.n = answer->reply.bytes.n;
        ok = stage_add(transfer->store, &piece, &have, err);
        if (ok && have <= before)
            ok = nx_fail(err, NX_E_DATA, "the scheduler's copy is shorter than it should be");
    }
    return ok;
}

static bool read_manifest(const char *path, struct artifact_manifest *manifest, struct nx_err *err)
{
    struct buf text = {0};
    bool ok = path_read(path, MANIFEST_MAX, &text, err);
    if (ok && !artifact_manifest_parse(buf_text(&text), manifest))
        ok = nx_fail(err, NX_E_DATA, "%s is not the manifest of a folder", path);
    buf_fini(&text);
    return ok;
}

/* The files that the manifest, which is here, lists. */
static bool bring_folder(struct transfer *transfer, const char *hash, struct line_answer *answer,
                         const atomic_bool *give_up, uint64_t *n_bytes, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct artifact_manifest manifest = {0};
    bool ok = stage_path(transfer->store, transfer->session, hash, path, sizeof path) &&
              read_manifest(path, &manifest, err);
    for (size_t i = 0; ok && i < manifest.files.n; i++) {
        const struct artifact_file *file = &manifest.files.at[i];
        struct bulk_request request = {.kind = BULK_GET,
                                       .path = wire_text(file->path, strlen(file->path))};
        set_hash(&request, hash);
        ok = (request.path.n <= BULK_PATH_MAX ||
              nx_fail(err, NX_E_LIMIT, "the path of a file in the folder is too long")) &&
             bring_file(transfer, &request, file->sha256, file->n_bytes, answer, give_up, err);
    }
    if (ok)
        *n_bytes += manifest.n_bytes;
    artifact_manifest_fini(&manifest);
    return ok;
}

static bool bring(struct transfer *transfer, const char *hash, const atomic_bool *give_up,
                  bool *found, uint64_t *n_bytes, struct nx_err *err)
{
    struct bulk_request request = {.kind = BULK_STAT};
    struct line_answer answer = {0};
    struct artifact_info info;
    set_hash(&request, hash);
    bool ok = line_call(transfer->line, &request, &answer, give_up, err);
    *found = ok;
    if (!ok && err->code == NX_E_NOT_FOUND) {
        buf_fini(&answer.room);
        return true;
    }
    bool folder = answer.reply.folder;
    uint64_t size = answer.reply.size;
    request.kind = BULK_GET;
    ok = ok && bring_file(transfer, &request, hash, size, &answer, give_up, err) &&
         (!folder || bring_folder(transfer, hash, &answer, give_up, n_bytes, err)) &&
         stage_keep(transfer->store, transfer->session, hash, folder, &info, err);
    buf_fini(&answer.room);
    if (ok)
        *n_bytes += size;
    return ok;
}

bool transfer_get(struct transfer *transfer, const char *hash, const atomic_bool *give_up,
                  bool *found, uint64_t *n_bytes, struct nx_err *err)
{
    begin(transfer, hash);
    bool ok = true;
    *found = transfer_has(transfer, hash);
    if (!*found)
        ok = bring(transfer, hash, give_up, found, n_bytes, err);
    end(transfer, hash);
    return ok || nx_wrap(err, "cannot bring the artifact sha256:%s", hash);
}

/* ---- Taking ---- */

static bool take_pieces(struct transfer *transfer, struct bulk_request *request, int fd, char *room,
                        struct line_answer *answer, const atomic_bool *give_up, struct nx_err *err)
{
    request->bytes.n = 0;
    request->offset = 0;
    if (!line_call(transfer->line, request, answer, give_up, err))
        return false;
    uint64_t have = answer->reply.offset;
    while (have < request->size) {
        ssize_t n = pread(fd, room, BULK_CHUNK_MAX, (off_t)have);
        if (n <= 0)
            return nx_fail(err, NX_E_IO, "it cannot be read: %s",
                           n < 0 ? strerror(errno) : "it is shorter than it was");
        request->offset = have;
        request->bytes = wire_text(room, (size_t)n);
        if (!line_call(transfer->line, request, answer, give_up, err))
            return false;
        if (answer->reply.offset <= have)
            return nx_fail(err, NX_E_IO, "the scheduler does not take it");
        have = answer->reply.offset;
    }
    return true;
}

static bool take_file(struct transfer *transfer, const char *path, const char *hash, uint64_t size,
                      struct line_answer *answer, const atomic_bool *give_up, struct nx_err *err)
{
    struct bulk_request request = {.kind = BULK_PUT, .size = size};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", path, strerror(errno));
    char *room = mem_alloc(BULK_CHUNK_MAX);
    set_hash(&request, hash);
    bool ok = take_pieces(transfer, &request, fd, room, answer, give_up, err);
    mem_free(room);
    close(fd);
    return ok;
}

static bool take_folder(struct transfer *transfer, const char *object, struct line_answer *answer,
                        const atomic_bool *give_up, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES + 2], path[PATH_MAX_BYTES];
    struct artifact_manifest manifest = {0};
    snprintf(folder, sizeof folder, "%s.d", object);
    bool ok = read_manifest(object, &manifest, err);
    for (size_t i = 0; ok && i < manifest.files.n; i++) {
        const struct artifact_file *file = &manifest.files.at[i];
        ok = path_join(path, sizeof path, folder, file->path) &&
             take_file(transfer, path, file->sha256, file->n_bytes, answer, give_up, err);
    }
    artifact_manifest_fini(&manifest);
    return ok;
}

static bool take(struct transfer *transfer, const char *hash, const struct artifact_info *info,
                 struct line_answer *answer, const atomic_bool *give_up, struct nx_err *err)
{
    char object[PATH_MAX_BYTES];
    struct stat st;
    struct bulk_request request = {.kind = BULK_STAT};
    set_hash(&request, hash);
    if (line_call(transfer->line, &request, answer, give_up, err))
        return true; /* it has it */
    if (err->code != NX_E_NOT_FOUND)
        return false;
    object_path(transfer, hash, object);
    if (stat(object, &st) != 0)
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", object, strerror(errno));
    request = (struct bulk_request){.kind = BULK_KEEP, .folder = info->is_folder};
    set_hash(&request, hash);
    return take_file(transfer, object, hash, (uint64_t)st.st_size, answer, give_up, err) &&
           (!info->is_folder || take_folder(transfer, object, answer, give_up, err)) &&
           line_call(transfer->line, &request, answer, give_up, err);
}

bool transfer_put(struct transfer *transfer, const char *hash, const atomic_bool *give_up,
                  struct nx_err *err)
{
    char address[ARTIFACT_ADDRESS_MAX];
    struct line_answer answer = {0};
    struct artifact_info info;
    snprintf(address, sizeof address, "sha256:%s", hash);
    begin(transfer, hash);
    bool ok = artifact_stat(transfer->store, address, &info, err) &&
              take(transfer, hash, &info, &answer, give_up, err);
    end(transfer, hash);
    buf_fini(&answer.room);
    return ok || nx_wrap(err, "cannot take the artifact %s to the scheduler", address);
}

/* ---- Files of a DAG version ---- */

bool transfer_knows_files(struct transfer *transfer, uint64_t version, char *to, size_t size)
{
    pthread_mutex_lock(&transfer->lock);
    const char *folder = map_get_num(&transfer->versions, version);
    bool known = folder && str_copy(to, size, folder);
    pthread_mutex_unlock(&transfer->lock);
    return known;
}

static bool bring_list(struct transfer *transfer, uint64_t version, struct line_answer *answer,
                       struct buf *list, const atomic_bool *give_up, struct nx_err *err)
{
    struct bulk_request request = {.kind = BULK_FILES, .number = version, .n = BULK_CHUNK_MAX};
    do {
        request.offset = list->len;
        if (!line_call(transfer->line, &request, answer, give_up, err))
            return false;
        const struct bulk_reply *reply = &answer->reply;
        if (reply->size > LIST_MAX || (!reply->bytes.n && reply->size > list->len))
            return nx_fail(err, NX_E_DATA, "the list of the files cannot be read");
        buf_add(list, reply->bytes.p, reply->bytes.n);
        if (list->len >= reply->size)
            return true;
    } while (true);
}

/* A line "<sha256> <x or -> <size> <path>", ended by 0 in place. */
struct listed {
    char *hash, *path;
    bool runs;
    int64_t size;
};

static bool read_line(char *line, struct listed *file)
{
    char *size = strlen(line) > BULK_HASH + 3 ? line + BULK_HASH + 3 : NULL;
    char *space = size ? strchr(size, ' ') : NULL;
    if (!space || line[BULK_HASH] != ' ' || line[BULK_HASH + 2] != ' ')
        return false;
    line[BULK_HASH] = *space = 0;
    file->hash = line;
    file->runs = line[BULK_HASH + 1] == 'x';
    file->path = space + 1;
    return str_parse_int(size, &file->size) && file->size >= 0 &&
           strspn(line, "0123456789abcdef") == BULK_HASH && stage_path_is_safe(file->path);
}

static bool lay_out(struct transfer *transfer, uint64_t version, const struct listed *file,
                    const char *folder, struct line_answer *answer, const atomic_bool *give_up,
                    struct nx_err *err)
{
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    struct bulk_request request = {
        .kind = BULK_FILE, .number = version, .path = wire_text(file->path, strlen(file->path))};
    if (!bring_file(transfer, &request, file->hash, (uint64_t)file->size, answer, give_up, err))
        return false;
    if (!stage_path(transfer->store, transfer->session, file->hash, from, sizeof from) ||
        !path_join(to, sizeof to, folder, file->path))
        return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", file->path);
    char *slash = strrchr(to, '/');
    *slash = 0;
    if (!path_make_folders(to, err))
        return false;
    *slash = '/';
    if (!artifact_copy_file(from, to, err))
        return false;
    unlink(from); /* one of the same content comes again */
    return !file->runs || chmod(to, 0755) == 0 ||
           nx_fail(err, NX_E_IO, "cannot make %s executable", to);
}

static bool lay_out_all(struct transfer *transfer, uint64_t version, struct buf *list,
                        const char *folder, struct line_answer *answer, const atomic_bool *give_up,
                        struct nx_err *err)
{
    char temp[PATH_MAX_BYTES + 8];
    struct listed file;
    snprintf(temp, sizeof temp, "%s.tmp", folder);
    if (!path_remove_tree(temp, err) || !path_make_folders(temp, err))
        return false;
    char *rest = list->data;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
        if (!read_line(line, &file))
            return nx_fail(err, NX_E_DATA, "the list of the files is malformed");
        if (!lay_out(transfer, version, &file, temp, answer, give_up, err))
            return false;
    }
    return rename(temp, folder) == 0 || errno == EEXIST || errno == ENOTEMPTY ||
           nx_fail(err, NX_E_IO, "cannot create %s: %s", folder, strerror(errno));
}

static bool bring_files(struct transfer *transfer, uint64_t version, char folder[PATH_MAX_BYTES],
                        const atomic_bool *give_up, struct nx_err *err)
{
    struct line_answer answer = {0};
    struct buf list = {0};
    char hash[SHA256_HEX];
    folder[0] = 0;
    bool ok = bring_list(transfer, version, &answer, &list, give_up, err);
    if (!ok && err->code == NX_E_NOT_FOUND) {
        ok = true; /* it has none */
    } else if (ok) {
        sha256_of(list.data, list.len, hash);
        int n = snprintf(folder, PATH_MAX_BYTES, "%s/files/%s", transfer->home, hash);
        ok = (n > 0 && n < PATH_MAX_BYTES) ||
             nx_fail(err, NX_E_LIMIT, "the path of the home is too long");
        if (ok && !path_exists(folder))
            ok = lay_out_all(transfer, version, &list, folder, &answer, give_up, err);
    }
    buf_fini(&list);
    buf_fini(&answer.room);
    return ok;
}

bool transfer_files(struct transfer *transfer, uint64_t version, const atomic_bool *give_up,
                    struct nx_err *err)
{
    char key[32], folder[PATH_MAX_BYTES];
    snprintf(key, sizeof key, "files-%llu", (unsigned long long)version);
    begin(transfer, key);
    bool ok = transfer_knows_files(transfer, version, folder, sizeof folder) ||
              bring_files(transfer, version, folder, give_up, err);
    if (ok) {
        pthread_mutex_lock(&transfer->lock);
        mem_free(map_set_num(&transfer->versions, version, mem_strdup(folder)));
        pthread_mutex_unlock(&transfer->lock);
    }
    end(transfer, key);
    return ok ||
           nx_wrap(err, "cannot bring the files of DAG version %llu", (unsigned long long)version);
}

/* ---- Beginning and end ---- */

bool transfer_open(const char *home, struct line *line, uint64_t session, struct transfer **out,
                   struct nx_err *err)
{
    char root[PATH_MAX_BYTES];
    struct transfer *transfer = mem_alloc(sizeof *transfer);
    transfer->line = line;
    transfer->session = session;
    map_init(&transfer->busy);
    map_init(&transfer->versions);
    pthread_mutex_init(&transfer->lock, NULL);
    pthread_cond_init(&transfer->changed, NULL);
    if (!str_copy(transfer->home, sizeof transfer->home, home) ||
        !path_join(root, sizeof root, home, "artifacts")) {
        nx_fail(err, NX_E_LIMIT, "the path of the home is too long");
    } else if (artifact_open(root, &transfer->store, err)) {
        *out = transfer;
        return true;
    }
    transfer_close(transfer);
    return false;
}

struct artifact_store *transfer_store(struct transfer *transfer)
{
    return transfer->store;
}

void transfer_close(struct transfer *transfer)
{
    if (!transfer)
        return;
    for (size_t i = 0; i < transfer->versions.n; i++)
        mem_free(transfer->versions.at[i].value);
    map_fini(&transfer->versions);
    map_fini(&transfer->busy);
    artifact_close(transfer->store);
    pthread_cond_destroy(&transfer->changed);
    pthread_mutex_destroy(&transfer->lock);
    mem_free(transfer);
}
