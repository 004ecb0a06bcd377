/* What attempts wrote: logs as they are on disk, whole or as they grow. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/wire/paths.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/port/sieve.h"

#define ASK_EVERY_MS 200 /* whether the attempt has ended */
#define SIFT_ROUNDS 1024 /* of SIFT_BYTES, before others have their turn */
#define SIFT_BYTES 16384

/* The attempt that a path names. */
struct place {
    struct nx_inst_id id;
    uint32_t attempt;
    const char *task;
    bool ended;
};

/* Finds the n-th of an instance's attempts. */
struct finding {
    uint32_t wanted, last;
    bool found, ended;
};

static bool look_at_attempt(void *arg, const struct query_attempt *attempt)
{
    struct finding *finding = arg;
    finding->last = attempt->number;
    if (attempt->number == finding->wanted) {
        finding->found = true;
        finding->ended = attempt->outcome != NX_AO_NONE || nx_task_state_final(attempt->state);
    } else if (attempt->number > finding->wanted) {
        finding->ended = true; /* followed by another */
    }
    return true;
}

static bool find_place(struct call *call, struct place *place, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    int64_t number;
    const char *text = call->params[2];
    if (!call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err) ||
        !query_version(call->query, run->version, &info, err) ||
        !find_task(info, call->params[1], &place->id.task, &place->id.map, err))
        return false;
    if (!str_parse_int(text, &number) || number < 1 || number > UINT32_MAX)
        return nx_fail(err, NX_E_NOT_FOUND, "'%.32s' is no attempt: they are 1, 2, ...", text);
    place->id.run = run->id;
    place->attempt = (uint32_t)number;
    place->task = arena_strdup(call->arena, info->tasks[place->id.task].id);
    struct finding finding = {.wanted = place->attempt};
    if (!query_attempts(call->query, place->id, look_at_attempt, &finding, err))
        return false;
    place->ended = finding.ended;
    return finding.found ||
           nx_fail(err, NX_E_NOT_FOUND, "task '%s' of run %s has no attempt %lld: it has had %u",
                   call->params[1], call->params[0], (long long)number, finding.last);
}

/* A missing file has no bytes: fd -1. */
static bool open_file(const struct call *call, const struct place *place, enum path_kind kind,
                      char *path, int *fd, uint64_t *n_bytes, struct nx_err *err)
{
    struct stat info;
    *fd = -1;
    *n_bytes = 0;
    if (!attempt_path(path, PATH_MAX_BYTES, call->api->home, kind, place->id.run.v, place->task,
                      place->id.map, place->attempt))
        return nx_fail(err, NX_E_LIMIT, "the path of the log is too long");
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0 && errno == ENOENT)
        return true;
    if (*fd < 0 || fstat(*fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        if (*fd >= 0)
            close(*fd);
        return nx_fail(err, NX_E_IO, "cannot read %s: %s", path, strerror(errno));
    }
    *n_bytes = (uint64_t)info.st_size;
    return true;
}

/* ---- Following ---- */

struct follower {
    struct api *api;
    struct place place;
    char path[PATH_MAX_BYTES];
    int fd;
    uint64_t offset;
    int64_t asked_ms;
    bool ended;         /* the attempt: what is in the file is all */
    struct sieve sieve; /* its text is NULL: everything is wanted */
    bool sifted;        /* the sieve has it all */
};

static void ask_whether_ended(struct follower *follower)
{
    struct nx_err err;
    struct finding finding = {.wanted = follower->place.attempt};
    int64_t now = clock_mono_ms();
    if (now - follower->asked_ms < ASK_EVERY_MS)
        return;
    follower->asked_ms = now;
    struct query *query = query_begin(follower->api->pool, &err);
    if (query && query_attempts(query, follower->place.id, look_at_attempt, &finding, &err))
        follower->ended = finding.ended;
    query_end(query);
}

static ssize_t read_more(struct follower *follower, char *to, size_t max)
{
    if (follower->fd < 0)
        follower->fd = open(follower->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (follower->fd < 0)
        return 0;
    ssize_t n = pread(follower->fd, to, max, (off_t)follower->offset);
    if (n > 0)
        follower->offset += (uint64_t)n;
    return n > 0 ? n : 0;
}

static ssize_t produce_all(struct follower *follower, char *to, size_t max)
{
    ssize_t n = read_more(follower, to, max);
    if (n > 0)
        return n;
    if (follower->ended)
        return HTTP_END;
    ask_whether_ended(follower);
    if (!follower->ended)
        return HTTP_NOTHING_NOW;
    n = read_more(follower, to, max); /* what came between the two looks */
    return n > 0 ? n : HTTP_END;
}

static ssize_t produce(void *arg, char *to, size_t max)
{
    struct follower *follower = arg;
    char bytes[SIFT_BYTES];
    if (!follower->sieve.text)
        return produce_all(follower, to, max);
    for (int i = 0; i < SIFT_ROUNDS; i++) {
        size_t n = sieve_take(&follower->sieve, to, max);
        if (n)
            return (ssize_t)n;
        if (follower->sifted)
            return HTTP_END;
        ssize_t got = produce_all(follower, bytes, sizeof bytes);
        if (got == HTTP_NOTHING_NOW)
            return got;
        follower->sifted = got == HTTP_END;
        if (got == HTTP_END)
            sieve_end(&follower->sieve);
        else
            sieve_add(&follower->sieve, bytes, (size_t)got);
    }
    return HTTP_NOTHING_NOW;
}

static void end_follower(void *arg)
{
    struct follower *follower = arg;
    if (follower->fd >= 0)
        close(follower->fd);
    mem_free((void *)(uintptr_t)follower->place.task);
    sieve_fini(&follower->sieve);
    mem_free(follower);
}

/* ended: what is in the file now is all that is wanted. grep: lines that contain it; NULL: all. */
static bool follow(struct call *call, const struct place *place, const char *path, int fd,
                   uint64_t offset, bool ended, const char *grep)
{
    struct follower *follower = mem_alloc(sizeof *follower);
    follower->api = call->api;
    follower->place = *place;
    follower->place.task = mem_strdup(place->task);
    follower->fd = fd;
    follower->offset = offset;
    follower->ended = ended;
    if (grep)
        sieve_init(&follower->sieve, grep);
    str_copy(follower->path, sizeof follower->path, path);
    struct http_reply reply = {.status = 200,
                               .content_type = "text/plain; charset=utf-8",
                               .produce = produce,
                               .done = end_follower,
                               .arg = follower};
    call_stream(call, &reply, true);
    return true;
}

/* ---- Handlers ---- */

static void send_file(struct call *call, int fd, uint64_t offset, uint64_t n, uint64_t n_bytes,
                      const char *type)
{
    const char *size = arena_printf(call->arena, "%llu", (unsigned long long)n_bytes);
    const char *first = arena_printf(call->arena, "%llu", (unsigned long long)offset);
    const char *headers[] = {"X-Log-Size", size, "X-Log-Offset", first, NULL};
    struct http_reply reply = {.status = 200, .content_type = type, .headers = headers};
    if (fd >= 0 && offset < n_bytes) {
        reply.from_file = true;
        reply.fd = fd;
        reply.offset = offset;
        reply.n_body = n < n_bytes - offset ? n : n_bytes - offset;
    } else if (fd >= 0) {
        close(fd);
    }
    call_respond(call, &reply);
}

static bool read_bytes(const struct call *call, const char *name, int64_t least, int64_t *n,
                       struct nx_err *err)
{
    const char *text = http_query(call->request, name);
    if (text && (!str_parse_int(text, n) || *n < least))
        return nx_fail(err, NX_E_INVALID, "%s must be a number of bytes, not '%.64s'", name, text);
    return true;
}

bool handle_log(struct call *call, struct nx_err *err)
{
    struct place place;
    char path[PATH_MAX_BYTES];
    int64_t offset = 0, limit = INT64_MAX;
    uint64_t n_bytes = 0;
    bool follows;
    int fd;
    if (!read_bytes(call, "offset", INT64_MIN, &offset, err) ||
        !read_bytes(call, "limit", 1, &limit, err) || !call_flag(call, "follow", &follows, err) ||
        !find_place(call, &place, err) ||
        !open_file(call, &place, PATH_LOG, path, &fd, &n_bytes, err))
        return false;
    const char *grep = http_query(call->request, "grep");
    if (grep && !*grep)
        grep = NULL;
    if (offset < 0) /* so many before the end */
        offset = offset < -(int64_t)n_bytes ? 0 : offset + (int64_t)n_bytes;
    if (follows || grep)
        return follow(call, &place, path, fd, (uint64_t)offset, place.ended || !follows, grep);
    send_file(call, fd, (uint64_t)offset, (uint64_t)limit, n_bytes, "text/plain; charset=utf-8");
    return true;
}

bool attempt_file_open(struct call *call, enum path_kind kind, int *fd, uint64_t *n_bytes,
                       struct nx_err *err)
{
    struct place place;
    char path[PATH_MAX_BYTES];
    return find_place(call, &place, err) && open_file(call, &place, kind, path, fd, n_bytes, err);
}

bool handle_resolved(struct call *call, struct nx_err *err)
{
    struct place place;
    char path[PATH_MAX_BYTES];
    uint64_t n_bytes;
    int fd;
    if (!find_place(call, &place, err) ||
        !open_file(call, &place, PATH_RESOLVED, path, &fd, &n_bytes, err))
        return false;
    if (fd < 0)
        return nx_fail(err, NX_E_NOT_FOUND,
                       "attempt %u of task '%s' of run %s has no resolved values (yet)",
                       place.attempt, place.task, call->params[0]);
    send_file(call, fd, 0, UINT64_MAX, n_bytes, "application/json");
    return true;
}
