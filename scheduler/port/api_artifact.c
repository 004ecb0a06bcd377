/* What a task's outputs name: files, folders, tables and models as they are kept, and looks into
 * them. An artifact can be had through the outputs that name it and in no other way. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/artifact/artifact.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "lib/text/media.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/port/rows.h"

#define DEPTH_MAX 16 /* of outputs that are looked through */

/* What a task made may be opened by itself at our address, with our cookie: it may show itself, and
 * neither run, nor load, nor send anything. */
#define POLICY \
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; " \
    "form-action 'none'; frame-ancestors 'self'"

/* ---- The references among a task's outputs ---- */

struct named {
    const char *name;  /* the keys that lead to it, with / between */
    json_t *reference; /* borrowed from the outputs */
    const char *address;
};

struct artifacts {
    struct call *call;
    json_t *outputs;
    VEC(struct named) list; /* each name once: the first counts */
};

static void artifacts_fini(struct artifacts *artifacts)
{
    json_decref(artifacts->outputs);
    vec_fini(&artifacts->list);
}

static const struct named *find_name(const struct artifacts *artifacts, const char *name)
{
    for (size_t i = 0; i < artifacts->list.n; i++) {
        if (str_eq(artifacts->list.at[i].name, name))
            return &artifacts->list.at[i];
    }
    return NULL;
}

/* A list or object that is gone through, and how far. */
struct level {
    json_t *value;
    void *member; /* of an object */
    size_t i, n_name;
};

static json_t *next_value(struct level *level, struct buf *name)
{
    json_t *value;
    name->len = level->n_name;
    if (level->n_name)
        buf_char(name, '/');
    if (json_is_array(level->value)) {
        buf_printf(name, "%zu", level->i);
        return json_array_get(level->value, level->i++);
    }
    if (!level->member)
        return NULL;
    buf_str(name, json_object_iter_key(level->member));
    value = json_object_iter_value(level->member);
    level->member = json_object_iter_next(level->value, level->member);
    return value;
}

static void add_reference(struct artifacts *artifacts, const char *name, json_t *value)
{
    const char *address = js_get_text(value, "artifact", "");
    if (artifact_is_address(address) && !find_name(artifacts, name))
        vec_push(&artifacts->list,
                 ((struct named){arena_strdup(artifacts->call->arena, name), value, address}));
}

static void find_references(struct artifacts *artifacts)
{
    struct level levels[DEPTH_MAX] = {
        {.value = artifacts->outputs, .member = json_object_iter(artifacts->outputs)}};
    struct buf name;
    buf_init(&name);
    for (size_t n = 1; n;) {
        json_t *value = next_value(&levels[n - 1], &name);
        if (!value)
            n--;
        else if (json_object_get(value, "artifact"))
            add_reference(artifacts, buf_text(&name), value);
        else if ((json_is_object(value) || json_is_array(value)) && n < DEPTH_MAX)
            levels[n++] = (struct level){
                .value = value, .member = json_object_iter(value), .n_name = name.len};
    }
    buf_fini(&name);
}

static bool take_outputs(void *arg, const struct query_task *task)
{
    struct artifacts *artifacts = arg;
    artifacts->outputs = task->outputs ? json_loads(task->outputs, 0, NULL) : NULL;
    return false;
}

/* Of the task instance that the path names; artifacts_fini in any case. */
static bool read_artifacts(struct call *call, struct artifacts *artifacts, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    uint32_t task;
    int32_t map;
    bool found;
    *artifacts = (struct artifacts){.call = call};
    if (!call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err) ||
        !query_version(call->query, run->version, &info, err) ||
        !find_task(info, call->params[1], &task, &map, err) ||
        !query_task(call->query, run, info, task, map, take_outputs, artifacts, &found, err))
        return false;
    if (!found)
        return nx_fail(err, NX_E_NOT_FOUND, "task '%s' of run %s has no index %d",
                       info->tasks[task].id, call->params[0], map);
    find_references(artifacts);
    return true;
}

/* ---- Media types ---- */

static const char *media_of_fd(const char *name, int fd)
{
    char head[MEDIA_HEAD];
    const char *type = media_of_name(name);
    ssize_t n = type ? 0 : pread(fd, head, sizeof head, 0);
    return type ? type : media_of_content(head, n > 0 ? (size_t)n : 0);
}

static const char *media_of_path(const char *name, const char *path)
{
    const char *type = media_of_name(name);
    int fd = type ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return type;
    type = media_of_fd(name, fd);
    close(fd);
    return type;
}

/* ---- The list ---- */

static const char *kind_of(const json_t *reference, bool is_folder)
{
    const char *kind = js_get_text(reference, "kind", "file");
    return is_folder && str_eq(kind, "file") ? "folder" : kind;
}

/* Of a reference, in which a script may have written anything. */
static void put_member(struct buf *body, const char *key, const json_t *value, json_type type)
{
    struct buf text;
    buf_init(&text);
    bool fits = value && json_typeof(value) == type;
    if (fits)
        js_add(&text, value);
    put_raw(body, key, fits ? buf_text(&text) : NULL);
    buf_fini(&text);
}

static bool put_artifact(struct call *call, const struct named *named, struct nx_err *err)
{
    struct artifact_info info = {.n_bytes = 0};
    struct artifact_store *store = call->api->artifacts;
    struct buf *body = &call->body;
    char path[PATH_MAX_BYTES] = "";
    struct nx_err why = {0};
    bool there = artifact_stat(store, named->address, &info, &why) &&
                 artifact_path(store, named->address, path, sizeof path, &why);
    if (!there && why.code != NX_E_NOT_FOUND) {
        *err = why;
        return false;
    }
    put_open(body, NULL, '{');
    put_text(body, "name", named->name);
    put_text(body, "kind", kind_of(named->reference, info.is_folder));
    put_text(body, "address", named->address);
    put_bool(body, "gone", !there);
    put_raw(body, "n_bytes",
            there ? arena_printf(call->arena, "%llu", (unsigned long long)info.n_bytes) : NULL);
    put_raw(body, "n_files",
            there ? arena_printf(call->arena, "%llu", (unsigned long long)info.n_files) : NULL);
    put_text(body, "media_type", info.is_folder ? NULL : media_of_path(named->name, path));
    put_member(body, "n_rows", json_object_get(named->reference, "rows"), JSON_INTEGER);
    put_member(body, "columns", json_object_get(named->reference, "columns"), JSON_ARRAY);
    put_close(body, '}');
    return true;
}

bool handle_artifacts(struct call *call, struct nx_err *err)
{
    struct artifacts artifacts = {0};
    size_t limit;
    int64_t cursor;
    bool ok = call_limit(call, 100, &limit, err) && call_cursor(call, &cursor, err) &&
              read_artifacts(call, &artifacts, err);
    if (ok) {
        size_t i = (size_t)cursor, end = i + limit;
        put_open(&call->body, NULL, '{');
        put_open(&call->body, "items", '[');
        for (; ok && i < artifacts.list.n && i < end && call->body.len <= CALL_BODY_MAX; i++)
            ok = put_artifact(call, &artifacts.list.at[i], err);
        put_close(&call->body, ']');
        put_page_end(&call->body, i < artifacts.list.n, i);
    }
    artifacts_fini(&artifacts);
    return ok;
}

/* ---- One of them ---- */

/* The artifact that the path names, as the request wants it. */
struct target {
    const char *name, *address, *kind;
};

static bool fail_no_artifact(struct call *call, const struct artifacts *artifacts,
                             struct nx_err *err)
{
    size_t n = artifacts->list.n;
    const char **names = arena_array(call->arena, n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = artifacts->list.at[i].name;
    const char *nearest = str_nearest(call->params[2], names, n);
    return nx_fail(err, NX_E_NOT_FOUND,
                   "no output of task '%s' of run %s names an artifact '%.100s'%s%s%s",
                   call->params[1], call->params[0], call->params[2],
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* Its files were there once: outputs name what was put. */
static bool fail_gone(struct call *call, const struct target *target, struct nx_err *err)
{
    call->status = 410;
    call->code = "gone";
    return nx_fail(err, NX_E_NOT_FOUND,
                   "'%.100s' is gone: %s was removed from the artifacts of this home, though the "
                   "output names it; run the task again to make it anew",
                   target->name, target->address);
}

static bool find_target(struct call *call, struct target *target, struct nx_err *err)
{
    struct artifacts artifacts;
    const char *wanted = http_query(call->request, "artifact");
    bool ok = read_artifacts(call, &artifacts, err);
    const struct named *named = ok ? find_name(&artifacts, call->params[2]) : NULL;
    if (ok && !named)
        ok = fail_no_artifact(call, &artifacts, err);
    if (ok && wanted && !str_eq(wanted, named->address))
        ok = nx_fail(err, NX_E_NOT_FOUND,
                     "'%.100s' is %s by now, not %.100s: the task has run again", named->name,
                     named->address, wanted);
    if (ok) {
        target->name = named->name;
        target->address = arena_strdup(call->arena, named->address);
        target->kind = arena_strdup(call->arena, kind_of(named->reference, false));
    }
    artifacts_fini(&artifacts);
    return ok;
}

/* ---- A folder's files ---- */

struct file_list {
    struct call *call;
    const char *folder;
    uint64_t next, end;
    bool more;
};

static bool put_file(void *arg, const struct artifact_entry *entry)
{
    struct file_list *list = arg;
    struct buf *body = &list->call->body;
    char path[PATH_MAX_BYTES];
    list->more = list->next == list->end || body->len > CALL_BODY_MAX;
    if (list->more)
        return false;
    bool fits = path_join(path, sizeof path, list->folder, entry->path);
    put_open(body, NULL, '{');
    put_text(body, "path", entry->path);
    put_int(body, "n_bytes", (int64_t)entry->n_bytes);
    put_text(body, "sha256", entry->sha256);
    put_text(body, "media_type", fits ? media_of_path(entry->path, path) : NULL);
    put_close(body, '}');
    list->next++;
    return true;
}

bool handle_artifact_files(struct call *call, struct nx_err *err)
{
    struct target target;
    struct file_list list = {.call = call};
    char folder[PATH_MAX_BYTES];
    size_t limit;
    int64_t cursor;
    const struct artifact_store *store = call->api->artifacts;
    if (!call_limit(call, 100, &limit, err) || !call_cursor(call, &cursor, err) ||
        !find_target(call, &target, err))
        return false;
    list.folder = folder;
    list.next = (uint64_t)cursor;
    list.end = list.next + limit;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = artifact_path(store, target.address, folder, sizeof folder, err) &&
              artifact_files(store, target.address, list.next, put_file, &list, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, list.next);
    if (!ok && err->code == NX_E_NOT_FOUND)
        return fail_gone(call, &target, err);
    if (!ok && err->code == NX_E_INVALID)
        return nx_fail(err, NX_E_INVALID, "'%.100s' is a file, not a folder", target.name);
    return ok;
}

/* ---- One file ---- */

struct opened {
    struct target target;
    const char *name; /* for people: the last part of its path or of the artifact's name */
    int fd;
    uint64_t n_bytes;
    char sha256[SHA256_HEX];
    const char *media_type;
};

static bool open_file(struct call *call, struct opened *file, struct nx_err *err)
{
    const char *path = http_query(call->request, "path");
    struct artifact_store *store = call->api->artifacts;
    struct artifact_info info;
    if (path && !*path)
        path = NULL;
    if (!find_target(call, &file->target, err))
        return false;
    if (!artifact_stat(store, file->target.address, &info, err))
        return err->code == NX_E_NOT_FOUND ? fail_gone(call, &file->target, err) : false;
    if (path && !info.is_folder)
        return nx_fail(err, NX_E_INVALID, "'%.100s' is a file and has no path below it",
                       file->target.name);
    if (!path && info.is_folder)
        return nx_fail(err, NX_E_INVALID,
                       "'%.100s' is a folder: say which of its files as path=", file->target.name);
    if (!artifact_open_file(store, file->target.address, path, &file->fd, &file->n_bytes,
                            file->sha256, err))
        return nx_wrap(err, "'%.100s'", file->target.name);
    file->name = path_base(path ? path : file->target.name);
    file->media_type = media_of_fd(file->name, file->fd);
    if (str_eq(file->target.kind, "table") && !strchr(file->name, '.'))
        file->name = arena_printf(call->arena, "%s.parquet", file->name);
    return true;
}

/* The name twice: for those that know ASCII alone, and as it is (RFC 6266, RFC 8187). */
static const char *disposition(struct call *call, const char *name, bool download)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    struct buf value;
    buf_init(&value);
    buf_printf(&value, "%s; filename=\"", download ? "attachment" : "inline");
    for (const char *p = name; *p; p++)
        buf_char(&value, strchr(plain, *p) ? *p : '_');
    buf_str(&value, "\"; filename*=UTF-8''");
    for (const char *p = name; *p; p++)
        buf_printf(&value, strchr(plain, *p) ? "%c" : "%%%02X", (unsigned char)*p);
    const char *copy = arena_strdup(call->arena, buf_text(&value));
    buf_fini(&value);
    return copy;
}

static bool fail_range(struct call *call, uint64_t n_bytes, struct nx_err *err)
{
    call->status = 416;
    call->code = "range";
    call->headers[0] = "Content-Range";
    call->headers[1] = arena_printf(call->arena, "bytes */%llu", (unsigned long long)n_bytes);
    return nx_fail(err, NX_E_INVALID, "the range begins behind the end: there are %llu bytes",
                   (unsigned long long)n_bytes);
}

/* Under its address the content never changes; under the task's name it does when that runs again.
 * A PDF is not touched by our policy, which browsers' viewers do not bear; they run nothing as
 * ours. */
static void send_file(struct call *call, struct opened *file, uint64_t first, uint64_t n,
                      int status, const char *tag, bool download)
{
    bool fixed = http_query(call->request, "artifact") != NULL;
    bool viewed = media_is(file->media_type, "application/pdf");
    const char *range =
        arena_printf(call->arena, "bytes %llu-%llu/%llu", (unsigned long long)first,
                     (unsigned long long)(first + n - 1), (unsigned long long)file->n_bytes);
    const char *headers[] = {"ETag",
                             tag,
                             "Cache-Control",
                             fixed ? "private, max-age=31536000, immutable" : "private, no-cache",
                             "Accept-Ranges",
                             "bytes",
                             "Cross-Origin-Resource-Policy",
                             "same-origin",
                             "Content-Disposition",
                             disposition(call, file->name, download),
                             viewed ? "Referrer-Policy" : "Content-Security-Policy",
                             viewed ? "no-referrer" : POLICY,
                             status == 206 ? "Content-Range" : NULL,
                             range,
                             NULL};
    struct http_reply reply = {.status = status, .headers = headers};
    if (status == 304) {
        close(file->fd);
    } else {
        reply.content_type = file->media_type;
        reply.from_file = true;
        reply.fd = file->fd;
        reply.offset = first;
        reply.n_body = n;
    }
    call_respond(call, &reply);
}

bool handle_artifact_file(struct call *call, struct nx_err *err)
{
    struct opened file;
    bool download;
    uint64_t first, n;
    if (!call_flag(call, "download", &download, err) || !open_file(call, &file, err))
        return false;
    const char *tag = arena_printf(call->arena, "\"%s\"", file.sha256);
    const char *known = http_header(call->request, "If-None-Match");
    enum http_range range = http_range_of(call->request, tag, file.n_bytes, &first, &n);
    bool same = known && (strstr(known, tag) || str_eq(known, "*"));
    if (!same && range == HTTP_RANGE_NONE) {
        close(file.fd);
        return fail_range(call, file.n_bytes, err);
    }
    send_file(call, &file, first, n,
              same                       ? 304
              : range == HTTP_RANGE_PART ? 206
                                         : 200,
              tag, download);
    return true;
}

/* ---- Rows ---- */

struct showing {
    struct job *job;
    struct rows_wish wish;
    struct nx_err err;
};

static void on_rows(struct rows_wish *wish)
{
    struct showing *showing = wish->arg;
    close(wish->fd);
    api_take_job(showing->job);
}

static bool finish_rows(struct job *job, struct query *query, struct nx_err *err)
{
    const struct showing *showing = job->data;
    (void)query;
    if (!showing->wish.ok)
        *err = showing->err;
    return showing->wish.ok;
}

/* NULL: it is no table. */
static const char *format_of(const struct opened *file)
{
    const char *type = file->media_type;
    if (media_is(type, "application/vnd.apache.parquet") || str_eq(file->target.kind, "table"))
        return "parquet";
    if (media_is(type, "text/csv") || media_is(type, "text/tab-separated-values"))
        return "csv";
    return media_is(type, "application/json") || media_is(type, "application/x-ndjson") ? "json"
                                                                                        : NULL;
}

static bool read_number(const struct call *call, const char *name, int64_t *n, struct nx_err *err)
{
    const char *text = http_query(call->request, name);
    *n = 0;
    return !text || (str_parse_int(text, n) && *n >= 0 && *n <= INT32_MAX * (int64_t)1000000) ||
           nx_fail(err, NX_E_INVALID, "%s must be a number from 0, not '%.32s'", name, text);
}

/* What the child is asked; see tasks/rows.h. */
static const char *request_of(struct call *call, const char *format, struct nx_err *err)
{
    size_t limit;
    int64_t offset, first_column;
    bool summary;
    if (!call_limit(call, 50, &limit, err) || !read_number(call, "offset", &offset, err) ||
        !read_number(call, "first_column", &first_column, err) ||
        !call_flag(call, "summary", &summary, err))
        return NULL;
    return arena_printf(call->arena,
                        "{\"format\":\"%s\",\"limit\":%zu,\"offset\":%lld,\"first_column\":%lld,"
                        "\"summary\":%s}",
                        format, limit, (long long)offset, (long long)first_column,
                        summary ? "true" : "false");
}

/* Takes the descriptor. */
static bool ask_child(struct call *call, const char *key, const char *request, int fd,
                      struct nx_err *err)
{
    struct job *job = job_new(call);
    struct showing *showing = arena_alloc(&job->arena, sizeof *showing);
    *showing = (struct showing){.job = job,
                                .wish = {.key = arena_strdup(&job->arena, key),
                                         .request = arena_strdup(&job->arena, request),
                                         .fd = fd,
                                         .to = &job->body,
                                         .err = &showing->err,
                                         .done = on_rows,
                                         .arg = showing}};
    job->data = showing;
    job->finish = finish_rows;
    call->done = call->handed_over = true; /* from here on the job may be gone at any time */
    if (rows_wish(call->api->rows, &showing->wish, err))
        return true;
    call->done = call->handed_over = false;
    close(fd);
    job_free(job);
    return false;
}

bool handle_artifact_rows(struct call *call, struct nx_err *err)
{
    struct opened file;
    if (!open_file(call, &file, err))
        return false;
    const char *format = format_of(&file), *request = NULL;
    if (format)
        request = request_of(call, format, err);
    else
        nx_fail(err, NX_E_DATA,
                "'%.100s' is %s: rows are shown of Parquet, CSV and JSON files alone", file.name,
                file.media_type);
    const char *key = request ? arena_printf(call->arena, "%s %s", file.sha256, request) : NULL;
    if (key && !rows_find(call->api->rows, key, &call->body))
        return ask_child(call, key, request, file.fd, err);
    close(file.fd);
    return key != NULL;
}
