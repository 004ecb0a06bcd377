#include "worker/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/wire/paths.h"
#include "nexus/limits.h"
#include "worker/patience.h"

#define LOOK_MS 100     /* at what has been added */
#define AGAIN_MS 20000  /* a log that could not be sent */
#define ROUND_CHUNKS 16 /* of one file before the others have their turn */

struct spooled {
    uint64_t run;
    char task[NX_ID_MAX + 1];
    int32_t map;
    uint32_t attempt;
    int64_t began_ms;
    _Atomic uint64_t sent[PATH_KINDS];
    int64_t not_before_ms; /* mono; the thread's */
    bool ended, dropped;   /* under the lock, with what follows */
    unsigned n_holds;
    uint64_t n_waiting; /* bytes, when it ended */
};

struct spool {
    const char *home;
    struct line *line;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    VEC(struct spooled *) logs;
    uint64_t n_waiting; /* bytes of those that have ended */
    bool hurry, closing;
};

/* ---- Sending ---- */

static bool path_of(const struct spool *spool, const struct spooled *log, int kind,
                    char to[PATH_MAX_BYTES])
{
    return attempt_path(to, PATH_MAX_BYTES, spool->home, (enum path_kind)kind, log->run, log->task,
                        log->map, log->attempt);
}

static uint64_t size_of(const struct spool *spool, const struct spooled *log, int kind)
{
    char path[PATH_MAX_BYTES];
    struct stat st;
    return path_of(spool, log, kind, path) && stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* What is in the file beyond what was sent, up to there. */
static bool send_rest(struct spool *spool, struct spooled *log, int kind, uint64_t end,
                      struct line_answer *answer, char *room, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct bulk_request request = {.kind = BULK_LOG,
                                   .number = log->run,
                                   .map = log->map,
                                   .attempt = log->attempt,
                                   .what = (uint8_t)kind,
                                   .path = wire_text(log->task, strlen(log->task))};
    if (end <= log->sent[kind])
        return true;
    if (!path_of(spool, log, kind, path))
        return nx_fail(err, NX_E_LIMIT, "its path is too long");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return nx_fail(err, NX_E_NOT_FOUND, "cannot read %s: %s", path, strerror(errno));
    ssize_t n;
    bool ok = true;
    for (int i = 0; ok && i < ROUND_CHUNKS && log->sent[kind] < end; i++) {
        uint64_t left = end - log->sent[kind];
        n = pread(fd, room, left < BULK_LOG_CHUNK_MAX ? (size_t)left : BULK_LOG_CHUNK_MAX,
                  (off_t)log->sent[kind]);
        if (n <= 0)
            break;
        request.offset = log->sent[kind];
        request.bytes = wire_text(room, (size_t)n);
        ok = line_call(spool->line, &request, answer, NULL, err);
        if (ok)
            log->sent[kind] = answer->reply.offset;
    }
    close(fd);
    return ok;
}

/* The files, and folders that are empty then. */
static void remove_files(const struct spool *spool, const struct spooled *log)
{
    char path[PATH_MAX_BYTES];
    for (int kind = 0; kind < PATH_KINDS; kind++) {
        if (path_of(spool, log, kind, path))
            unlink(path);
    }
    for (int i = 0; i < 2; i++) {
        *strrchr(path, '/') = 0;
        if (rmdir(path) != 0)
            return;
    }
}

static bool all_sent(const struct spool *spool, const struct spooled *log)
{
    for (int kind = 0; kind < PATH_KINDS; kind++) {
        if (size_of(spool, log, kind) > log->sent[kind])
            return false;
    }
    return true;
}

static void serve_one(struct spool *spool, struct spooled *log, struct line_answer *answer,
                      char *room)
{
    struct nx_err err;
    /* Who reads a line finds its stamp: of the log goes what was there before its stamps went. */
    static const enum path_kind order[PATH_KINDS] = {PATH_STAMPS, PATH_LOG, PATH_RESOLVED,
                                                     PATH_METRICS, PATH_USAGE};
    uint64_t ends[PATH_KINDS];
    if (clock_mono_ms() < log->not_before_ms)
        return;
    for (int kind = PATH_LOG; kind < PATH_KINDS; kind++)
        ends[kind] = size_of(spool, log, kind);
    for (int i = 0; i < PATH_KINDS; i++) {
        enum path_kind kind = order[i];
        if (kind == PATH_LOG && log->sent[PATH_STAMPS] < ends[PATH_STAMPS])
            continue;
        if (send_rest(spool, log, kind, ends[kind], answer, room, &err))
            continue;
        if (err.code == NX_E_CANCELLED)
            return;
        if (err.code == NX_E_CONFLICT) {
            log_warn("the log of run %llu, %s, attempt %u is not wanted: %s",
                     (unsigned long long)log->run, log->task, log->attempt, err.text);
            for (int k = 0; k < PATH_KINDS; k++)
                log->sent[k] = UINT64_MAX;
            return;
        }
        if (kind >= PATH_USAGE && err.code == NX_E_INVALID) { /* an older scheduler knows none */
            log->sent[kind] = UINT64_MAX;
            continue;
        }
        log_warn("the log of run %llu, %s, attempt %u cannot be sent: %s",
                 (unsigned long long)log->run, log->task, log->attempt, err.text);
        log->not_before_ms = clock_mono_ms() + AGAIN_MS;
        return;
    }
}

/* ---- The thread ---- */

/* Takes what has ended and is all sent out of the list. With the lock held at both ends. */
static void settle(struct spool *spool, size_t i)
{
    struct spooled *log = spool->logs.at[i];
    pthread_mutex_unlock(&spool->lock);
    remove_files(spool, log);
    pthread_mutex_lock(&spool->lock);
    if (!log->dropped)
        spool->n_waiting -= log->n_waiting;
    for (size_t k = i + 1; k < spool->logs.n; k++)
        spool->logs.at[k - 1] = spool->logs.at[k];
    spool->logs.n--;
    mem_free(log);
}

static void serve_round(struct spool *spool, struct line_answer *answer, char *room)
{
    for (size_t i = 0; i < spool->logs.n && !spool->closing;) {
        struct spooled *log = spool->logs.at[i];
        bool ended = log->ended, dropped = log->dropped;
        pthread_mutex_unlock(&spool->lock);
        if (!dropped)
            serve_one(spool, log, answer, room);
        bool done = ended && (dropped || all_sent(spool, log));
        pthread_mutex_lock(&spool->lock);
        if (done && log->n_holds == 0)
            settle(spool, i); /* others only add at the end */
        else
            i++;
    }
}

static void *run(void *arg)
{
    struct spool *spool = arg;
    struct line_answer answer = {0};
    char *room = mem_alloc(BULK_LOG_CHUNK_MAX);
    pthread_mutex_lock(&spool->lock);
    while (!spool->closing) {
        spool->hurry = false;
        serve_round(spool, &answer, room);
        pthread_cond_broadcast(&spool->changed);
        if (!spool->hurry && !spool->closing)
            patience_wait(&spool->changed, &spool->lock, LOOK_MS);
    }
    pthread_mutex_unlock(&spool->lock);
    mem_free(room);
    buf_fini(&answer.room);
    return NULL;
}

/* ---- Attempts ---- */

struct spooled *spool_begin(struct spool *spool, const struct logs_place *place)
{
    struct spooled *log = mem_alloc(sizeof *log);
    log->run = place->run;
    str_copy(log->task, sizeof log->task, place->task_id);
    log->map = place->map;
    log->attempt = place->attempt;
    log->began_ms = clock_wall_ms();
    pthread_mutex_lock(&spool->lock);
    vec_push(&spool->logs, log);
    pthread_mutex_unlock(&spool->lock);
    return log;
}

/* While the scheduler is away: the oldest that have ended go. With the lock held. */
static void keep_bounded(struct spool *spool)
{
    for (size_t i = 0; i < spool->logs.n && spool->n_waiting > (uint64_t)SPOOL_MAX_BYTES; i++) {
        struct spooled *log = spool->logs.at[i];
        if (!log->ended || log->dropped)
            continue;
        spool->n_waiting -= log->n_waiting;
        log->dropped = true;
        log_warn("the log of run %llu, %s, attempt %u is dropped: more than %lld bytes wait for "
                 "the scheduler",
                 (unsigned long long)log->run, log->task, log->attempt, (long long)SPOOL_MAX_BYTES);
    }
}

void spool_end(struct spool *spool, struct spooled *log)
{
    uint64_t n_waiting = 0;
    for (int kind = 0; kind < PATH_KINDS; kind++)
        n_waiting += size_of(spool, log, kind);
    pthread_mutex_lock(&spool->lock);
    log->ended = true;
    log->n_waiting = n_waiting;
    spool->n_waiting += n_waiting;
    keep_bounded(spool);
    spool->hurry = true;
    pthread_cond_broadcast(&spool->changed);
    pthread_mutex_unlock(&spool->lock);
}

void spool_hold(struct spool *spool, struct spooled *log)
{
    pthread_mutex_lock(&spool->lock);
    log->n_holds++;
    pthread_mutex_unlock(&spool->lock);
}

bool spool_flush(struct spool *spool, struct spooled *log, int64_t most_ms,
                 const atomic_bool *give_up)
{
    int64_t until = clock_mono_ms() + most_ms;
    uint64_t n = size_of(spool, log, PATH_LOG);
    pthread_mutex_lock(&spool->lock);
    spool->hurry = true;
    pthread_cond_broadcast(&spool->changed);
    while (log->sent[PATH_LOG] < n && !spool->closing && clock_mono_ms() < until &&
           !(give_up && atomic_load(give_up)))
        patience_wait(&spool->changed, &spool->lock, LOOK_MS);
    bool there = log->sent[PATH_LOG] >= n;
    log->n_holds--;
    pthread_mutex_unlock(&spool->lock);
    return there;
}

bool spool_is_empty(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    bool empty = spool->logs.n == 0;
    pthread_mutex_unlock(&spool->lock);
    return empty;
}

int64_t spool_oldest_ms(struct spool *spool)
{
    int64_t oldest = INT64_MAX;
    pthread_mutex_lock(&spool->lock);
    for (size_t i = 0; i < spool->logs.n; i++) {
        const struct spooled *log = spool->logs.at[i];
        if (!log->ended && log->began_ms < oldest)
            oldest = log->began_ms;
    }
    pthread_mutex_unlock(&spool->lock);
    return oldest;
}

/* ---- What a former worker left ---- */

/* "task" or "task.3" */
static bool read_task(const char *name, struct spooled *log)
{
    const char *dot = strchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) : strlen(name);
    int64_t map = -1;
    if (n == 0 || n > NX_ID_MAX || (dot && (!str_parse_int(dot + 1, &map) || map < 0)))
        return false;
    memcpy(log->task, name, n);
    log->task[n] = 0;
    log->map = (int32_t)map;
    return map <= INT32_MAX && str_is_id(log->task, true);
}

static void find_attempts(struct spool *spool, const char *folder, const struct spooled *of)
{
    DIR *dir = opendir(folder);
    uint32_t last = 0;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char number[16];
        int64_t attempt;
        size_t n = strcspn(entry->d_name, ".");
        if (n == 0 || n >= sizeof number || entry->d_name[0] == '.')
            continue;
        memcpy(number, entry->d_name, n);
        number[n] = 0;
        if (!str_parse_int(number, &attempt) || attempt < 1 || attempt > UINT32_MAX)
            continue;
        bool known = attempt == last; /* of each there may be several files */
        for (size_t i = spool->logs.n; i-- > 0 && !known;) {
            const struct spooled *other = spool->logs.at[i];
            known = other->run == of->run && other->attempt == attempt && other->map == of->map &&
                    str_eq(other->task, of->task);
        }
        last = (uint32_t)attempt;
        if (known)
            continue;
        struct spooled *log = mem_alloc(sizeof *log);
        *log = *of;
        log->attempt = (uint32_t)attempt;
        log->ended = true;
        vec_push(&spool->logs, log);
    }
    if (dir)
        closedir(dir);
}

static void find_tasks(struct spool *spool, const char *folder, uint64_t run)
{
    char path[PATH_MAX_BYTES];
    DIR *dir = opendir(folder);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        struct spooled of = {.run = run};
        if (read_task(entry->d_name, &of) && path_join(path, sizeof path, folder, entry->d_name))
            find_attempts(spool, path, &of);
    }
    if (dir)
        closedir(dir);
}

static void find_left(struct spool *spool)
{
    char logs[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    DIR *dir = path_join(logs, sizeof logs, spool->home, "logs") ? opendir(logs) : NULL;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        int64_t run;
        if (str_parse_int(entry->d_name, &run) && run > 0 &&
            path_join(path, sizeof path, logs, entry->d_name))
            find_tasks(spool, path, (uint64_t)run);
    }
    if (dir)
        closedir(dir);
    if (spool->logs.n)
        log_info("the logs of %zu attempts of a former worker are sent now", spool->logs.n);
}

/* ---- Beginning and end ---- */

bool spool_open(const char *home, struct line *line, struct spool **out, struct nx_err *err)
{
    struct spool *spool = mem_alloc(sizeof *spool);
    spool->home = home;
    spool->line = line;
    patience_init(&spool->changed);
    pthread_mutex_init(&spool->lock, NULL);
    find_left(spool);
    spool->started = pthread_create(&spool->thread, NULL, run, spool) == 0;
    if (!spool->started) {
        spool_close(spool);
        return nx_fail(err, NX_E_MEMORY, "cannot start a thread");
    }
    *out = spool;
    return true;
}

void spool_stop(struct spool *spool)
{
    if (!spool)
        return;
    pthread_mutex_lock(&spool->lock);
    spool->closing = true;
    pthread_cond_broadcast(&spool->changed);
    pthread_mutex_unlock(&spool->lock);
    if (spool->started)
        pthread_join(spool->thread, NULL);
    spool->started = false;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    spool_stop(spool);
    for (size_t i = 0; i < spool->logs.n; i++)
        mem_free(spool->logs.at[i]);
    vec_fini(&spool->logs);
    pthread_cond_destroy(&spool->changed);
    pthread_mutex_destroy(&spool->lock);
    mem_free(spool);
}
