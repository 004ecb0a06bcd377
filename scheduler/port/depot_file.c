#include "scheduler/port/depot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/stage.h"
#include "lib/artifact/store.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/wire/paths.h"
#include "nexus/limits.h"
#include "scheduler/store/query.h"

/* Of one file of an attempt: what a worker writes at most, and its notices. */
#define LOG_FILE_MAX ((uint64_t)NX_LOG_MAX * 16)

/* ---- Reading ---- */

/* At most `n` bytes of the file from the offset, and its size. */
static bool read_piece(const char *path, const struct bulk_request *request, struct buf *room,
                       struct bulk_reply *reply, struct nx_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "cannot read %s: %s", path,
                       strerror(errno));
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    char *to = buf_reserve(room, request->n + 1u);
    ssize_t n = ok ? pread(fd, to, request->n, (off_t)request->offset) : -1;
    close(fd);
    if (n < 0)
        return nx_fail(err, NX_E_IO, "cannot read %s", path);
    reply->size = (uint64_t)st.st_size;
    reply->bytes = wire_text(to, (size_t)n);
    return true;
}

static void address_of(const struct bulk_request *request, char to[ARTIFACT_ADDRESS_MAX])
{
    snprintf(to, ARTIFACT_ADDRESS_MAX, "sha256:%s", request->hash);
}

/* The file of the artifact itself: the content, or the manifest of a folder. */
static void object_path(const struct depot_files *files, const char *hash,
                        char to[PATH_MAX_BYTES + 128])
{
    snprintf(to, PATH_MAX_BYTES + 128, "%s/artifacts/sha256/%.2s/%s", files->home, hash, hash);
}

static bool serve_stat(struct depot_files *files, const struct bulk_request *request,
                       struct bulk_reply *reply, struct nx_err *err)
{
    char address[ARTIFACT_ADDRESS_MAX], path[PATH_MAX_BYTES + 128];
    struct artifact_info info;
    struct stat st;
    address_of(request, address);
    object_path(files, request->hash, path);
    if (!artifact_stat(files->store, address, &info, err))
        return false;
    /* Somebody is about to name it: it counts as put now. */
    if (stat(path, &st) != 0 || utimensat(AT_FDCWD, path, NULL, 0) != 0)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no artifact %s", address);
    reply->folder = info.is_folder;
    reply->size = (uint64_t)st.st_size;
    return true;
}

static bool join_safely(char *to, size_t size, const char *folder, struct wire_bytes path,
                        struct nx_err *err)
{
    char name[BULK_PATH_MAX + 1];
    if (!bulk_path_is_safe(path))
        return nx_fail(err, NX_E_INVALID, "a path must stay below its folder");
    memcpy(name, path.p, path.n);
    name[path.n] = 0;
    return path_join(to, size, folder, name) || nx_fail(err, NX_E_LIMIT, "the path is too long");
}

static bool serve_get(struct depot_files *files, const struct bulk_request *request,
                      struct buf *room, struct bulk_reply *reply, struct nx_err *err)
{
    char object[PATH_MAX_BYTES + 128], folder[PATH_MAX_BYTES + 130], path[PATH_MAX_BYTES];
    object_path(files, request->hash, object);
    if (!request->path.n)
        return read_piece(object, request, room, reply, err);
    snprintf(folder, sizeof folder, "%s.d", object);
    return join_safely(path, sizeof path, folder, request->path, err) &&
           read_piece(path, request, room, reply, err);
}

/* ---- The files of a DAG version ---- */

/* Lines "<sha256> <x or -> <size> <path>"; x: executable. */
static bool make_list(const char *folder, struct buf *list, struct nx_err *err)
{
    struct artifact_manifest manifest = {0};
    char path[PATH_MAX_BYTES];
    bool ok =
        artifact_walk(folder, false, &manifest, err) && artifact_hash_files(folder, &manifest, err);
    for (size_t i = 0; ok && i < manifest.files.n; i++) {
        const struct artifact_file *file = &manifest.files.at[i];
        bool runs = path_join(path, sizeof path, folder, file->path) && access(path, X_OK) == 0;
        struct stat st;
        runs = runs && stat(path, &st) == 0 && (st.st_mode & 0100);
        buf_printf(list, "%s %c %llu %s\n", file->sha256, runs ? 'x' : '-',
                   (unsigned long long)file->n_bytes, file->path);
    }
    artifact_manifest_fini(&manifest);
    return ok;
}

/* Versions do not change, so their lists are kept. */
static const struct buf *list_of(struct depot_files *files, uint64_t version, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES];
    pthread_mutex_lock(&files->lock);
    struct buf *list = map_get_num(&files->lists, version);
    if (!list && files_path(folder, sizeof folder, files->home, version) && path_exists(folder)) {
        list = mem_alloc(sizeof *list);
        buf_init(list);
        if (make_list(folder, list, err)) {
            map_set_num(&files->lists, version, list);
        } else {
            buf_fini(list);
            mem_free(list);
            list = NULL;
        }
    } else if (!list) {
        nx_fail(err, NX_E_NOT_FOUND, "DAG version %llu has no files", (unsigned long long)version);
    }
    pthread_mutex_unlock(&files->lock);
    return list;
}

static bool serve_list(struct depot_files *files, const struct bulk_request *request,
                       struct bulk_reply *reply, struct nx_err *err)
{
    const struct buf *list = list_of(files, request->number, err);
    if (!list)
        return false;
    size_t from = request->offset < list->len ? (size_t)request->offset : list->len;
    size_t n = list->len - from < request->n ? list->len - from : request->n;
    reply->size = list->len;
    reply->bytes = wire_text(buf_text(list) + from, n);
    return true;
}

static bool serve_file(struct depot_files *files, const struct bulk_request *request,
                       struct buf *room, struct bulk_reply *reply, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    if (!files_path(folder, sizeof folder, files->home, request->number))
        return nx_fail(err, NX_E_LIMIT, "the path is too long");
    return join_safely(path, sizeof path, folder, request->path, err) &&
           read_piece(path, request, room, reply, err);
}

/* ---- Taking ---- */

static bool serve_put(struct depot_files *files, const struct bulk_request *request,
                      struct bulk_reply *reply, struct nx_err *err)
{
    const struct stage_piece piece = {.session = request->session,
                                      .hash = request->hash,
                                      .size = request->size,
                                      .offset = request->offset,
                                      .bytes = request->bytes.p,
                                      .n = request->bytes.n};
    reply->size = request->size;
    return stage_add(files->store, &piece, &reply->offset, err);
}

static bool serve_keep(struct depot_files *files, const struct bulk_request *request,
                       struct nx_err *err)
{
    struct artifact_info info;
    return stage_keep(files->store, request->session, request->hash, request->folder, &info, err);
}

static int open_log(const char *path, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES];
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, flags, 0666);
    if (fd < 0 && errno == ENOENT) {
        str_copy(folder, sizeof folder, path);
        *strrchr(folder, '/') = 0;
        if (!path_make_folders(folder, err))
            return -1;
        fd = open(path, flags, 0666);
    }
    if (fd < 0)
        nx_fail(err, NX_E_IO, "cannot write %s: %s", path, strerror(errno));
    return fd;
}

static bool add_to_log(int fd, const struct bulk_request *request, uint64_t *have,
                       struct nx_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return nx_fail(err, NX_E_IO, "cannot write a log: %s", strerror(errno));
    *have = (uint64_t)st.st_size;
    if (request->offset > *have) /* it asks where to go on */
        return true;
    for (size_t done = 0; done < request->bytes.n;) {
        ssize_t n = pwrite(fd, request->bytes.p + done, request->bytes.n - done,
                           (off_t)(request->offset + done));
        if (n < 0 && errno != EINTR)
            return nx_fail(err, NX_E_IO, "cannot write a log: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    if (request->offset + request->bytes.n > *have)
        *have = request->offset + request->bytes.n;
    return true;
}

/* A log is written by the worker alone that has the attempt, or had it. */
static bool check_owner(struct depot_files *files, const char *token, const char *task,
                        const struct bulk_request *request, struct nx_err *err)
{
    const struct query_claim claim = {.incarnation = request->session,
                                      .token = token,
                                      .run = {request->number},
                                      .task = task,
                                      .map = request->map,
                                      .attempt = request->attempt};
    enum query_owner owner;
    struct query *query = query_begin(files->pool, err);
    bool ok = query && query_owner(query, &claim, &owner, err);
    query_end(query);
    if (!ok)
        return nx_wrap(err, "whose attempt it is");
    if (owner == QUERY_NO_WORKER) /* its first report is on its way: it asks again */
        return nx_fail(err, NX_E_BUSY, "the scheduler does not know this worker yet");
    return owner == QUERY_MINE ||
           nx_fail(err, NX_E_CONFLICT, "attempt %u of '%s' in run %llu is not this worker's",
                   request->attempt, task, (unsigned long long)request->number);
}

static bool serve_log(struct depot_files *files, const char *token,
                      const struct bulk_request *request, struct bulk_reply *reply,
                      struct nx_err *err)
{
    char task[NX_ID_MAX + 1], path[PATH_MAX_BYTES];
    if (request->path.n == 0 || request->path.n > NX_ID_MAX || request->what >= PATH_KINDS ||
        request->map < -1 || request->number == 0 || request->attempt == 0)
        return nx_fail(err, NX_E_INVALID, "a log of no attempt");
    memcpy(task, request->path.p, request->path.n);
    task[request->path.n] = 0;
    if (strlen(task) != request->path.n || !str_is_id(task, true))
        return nx_fail(err, NX_E_INVALID, "a log of a task with a malformed id");
    if (request->bytes.n > BULK_LOG_CHUNK_MAX || request->offset > LOG_FILE_MAX)
        return nx_fail(err, NX_E_LIMIT, "a log that is too long");
    if (!attempt_path(path, sizeof path, files->home, (enum path_kind)request->what,
                      request->number, task, request->map, request->attempt))
        return nx_fail(err, NX_E_LIMIT, "the path of the log of '%s' is too long", task);
    if (!check_owner(files, token, task, request, err))
        return false;
    int fd = open_log(path, err);
    if (fd < 0)
        return false;
    bool ok = add_to_log(fd, request, &reply->offset, err);
    close(fd);
    return ok;
}

/* ---- All of them ---- */

static bool needs_hash(uint8_t kind)
{
    return kind == BULK_STAT || kind == BULK_GET || kind == BULK_PUT || kind == BULK_KEEP;
}

bool depot_serve(struct depot_files *files, const char *token, const struct bulk_request *request,
                 struct buf *room, struct bulk_reply *reply, struct nx_err *err)
{
    if (needs_hash(request->kind) && !request->hash[0])
        return nx_fail(err, NX_E_INVALID, "the hash is missing");
    switch ((enum bulk_kind)request->kind) {
    case BULK_STAT:
        return serve_stat(files, request, reply, err);
    case BULK_GET:
        return serve_get(files, request, room, reply, err);
    case BULK_FILES:
        return serve_list(files, request, reply, err);
    case BULK_FILE:
        return serve_file(files, request, room, reply, err);
    case BULK_PUT:
        return serve_put(files, request, reply, err);
    case BULK_KEEP:
        return serve_keep(files, request, err);
    case BULK_LOG:
        return serve_log(files, token, request, reply, err);
    case BULK_PING:
    case BULK_KINDS:
        break;
    }
    return true;
}

bool depot_files_open(struct depot_files *files, const char *home, struct nx_err *err)
{
    char root[PATH_MAX_BYTES], database[PATH_MAX_BYTES];
    map_init(&files->lists);
    pthread_mutex_init(&files->lock, NULL);
    if (!str_copy(files->home, sizeof files->home, home) ||
        !path_join(root, sizeof root, home, "artifacts") ||
        !path_join(database, sizeof database, home, "nexus.db"))
        return nx_fail(err, NX_E_LIMIT, "the path %s is too long", home);
    files->pool = query_pool_new(database, NX_QUERY_MS);
    return artifact_open(root, &files->store, err);
}

void depot_files_close(struct depot_files *files)
{
    for (size_t i = 0; i < files->lists.n; i++) {
        struct buf *list = files->lists.at[i].value;
        buf_fini(list);
        mem_free(list);
    }
    map_fini(&files->lists);
    artifact_close(files->store);
    query_pool_free(files->pool);
    pthread_mutex_destroy(&files->lock);
}
