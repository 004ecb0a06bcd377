#include "worker/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/time.h"
#include "lib/wire/paths.h"
#include "nexus/limits.h"

#define METRICS_PENDING 16384

void logs_init(struct logs *logs)
{
    memset(logs, 0, sizeof *logs);
    logs->fd = logs->metrics_fd = logs->usage_fd = -1;
    logs->max = NX_LOG_MAX;
    mask_init(&logs->mask);
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void logs_fini(struct logs *logs)
{
    close_file(&logs->fd);
    close_file(&logs->metrics_fd);
    close_file(&logs->usage_fd);
    mask_fini(&logs->mask);
    buf_fini(&logs->scratch);
    buf_fini(&logs->metrics);
    mem_free(logs->tail);
    logs->tail = NULL;
}

void logs_begin(struct logs *logs, const struct logs_place *place)
{
    must(logs->fd < 0 && logs->metrics_fd < 0 && logs->usage_fd < 0 && !logs->tail);
    logs->place = *place;
    logs->line_open = false;
    logs->n_written = logs->n_beyond = 0;
    logs->failed.code = NX_OK;
    mask_clear(&logs->mask);
    buf_clear(&logs->metrics);
}

/* ---- Files ---- */

static void fail(struct logs *logs, const char *path)
{
    nx_fail(&logs->failed, NX_E_IO, "cannot write %s: %s", path, strerror(errno));
}

/* Opens the attempt's file of that kind for appending; its folder is made when it is missing. */
static int open_file(struct logs *logs, enum path_kind kind, int flags)
{
    char path[PATH_MAX_BYTES];
    const struct logs_place *place = &logs->place;
    if (logs->failed.code != NX_OK || !place->home)
        return -1;
    if (!attempt_path(path, sizeof path, place->home, kind, place->run, place->task_id, place->map,
                      place->attempt)) {
        nx_fail(&logs->failed, NX_E_LIMIT, "the path of the log of '%s' is too long",
                place->task_id);
        return -1;
    }
    flags |= O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, flags, 0666);
    if (fd < 0 && errno == ENOENT) {
        char *slash = strrchr(path, '/');
        *slash = 0;
        if (!path_make_folders(path, &logs->failed))
            return -1;
        *slash = '/';
        fd = open(path, flags, 0666);
    }
    if (fd < 0)
        fail(logs, path);
    return fd;
}

static void write_all(struct logs *logs, int fd, const char *p, size_t n)
{
    while (n > 0 && logs->failed.code == NX_OK) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            fail(logs, "an attempt's log");
            return;
        }
        p += k;
        n -= (size_t)k;
    }
}

static void to_file(struct logs *logs, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (logs->fd < 0)
        logs->fd = open_file(logs, PATH_LOG, O_APPEND);
    if (logs->fd >= 0)
        write_all(logs, logs->fd, p, n);
    logs->n_written += (int64_t)n;
    logs->line_open = p[n - 1] != '\n';
}

/* ---- The log ---- */

static void to_tail(struct logs *logs, const char *p, size_t n)
{
    if (n > NX_LOG_TAIL) {
        logs->n_beyond += (int64_t)(n - NX_LOG_TAIL);
        p += n - NX_LOG_TAIL;
        n = NX_LOG_TAIL;
    }
    while (n > 0) {
        size_t at = (size_t)(logs->n_beyond % NX_LOG_TAIL), k = NX_LOG_TAIL - at;
        if (k > n)
            k = n;
        memcpy(logs->tail + at, p, k);
        logs->n_beyond += (int64_t)k;
        p += k;
        n -= k;
    }
}

static void cut(struct logs *logs)
{
    char line[160];
    int n = snprintf(line, sizeof line,
                     "%snexus: the log is longer than %lld bytes: from here on only its last %d "
                     "are kept\n",
                     logs->line_open ? "\n" : "", (long long)logs->max, NX_LOG_TAIL);
    to_file(logs, line, (size_t)n);
    logs->tail = mem_alloc(NX_LOG_TAIL);
}

/* Bytes without secrets. */
static void put(struct logs *logs, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (!logs->tail) {
        int64_t room = logs->max - logs->n_written;
        size_t k = room <= 0 ? 0 : (int64_t)n <= room ? n : (size_t)room;
        to_file(logs, p, k);
        p += k;
        n -= k;
        if (n == 0)
            return;
        cut(logs);
    }
    to_tail(logs, p, n);
    logs->line_open = p[n - 1] != '\n';
}

void logs_mask(struct logs *logs, const char *text, size_t n)
{
    mask_add(&logs->mask, text, n);
}

void logs_write(struct logs *logs, const char *p, size_t n)
{
    if (logs->mask.n == 0) {
        put(logs, p, n);
        return;
    }
    buf_clear(&logs->scratch);
    mask_write(&logs->mask, p, n, &logs->scratch);
    put(logs, logs->scratch.data, logs->scratch.len);
}

static void put_held(struct logs *logs)
{
    if (logs->mask.held.len == 0)
        return;
    buf_clear(&logs->scratch);
    mask_flush(&logs->mask, &logs->scratch);
    put(logs, logs->scratch.data, logs->scratch.len);
}

void logs_note(struct logs *logs, const char *format, ...)
{
    va_list args;
    /* What is held stays so, and comes after the note: it may be one half of a secret. */
    buf_clear(&logs->scratch);
    buf_str(&logs->scratch, logs->line_open ? "\nnexus: " : "nexus: ");
    va_start(args, format);
    buf_vprintf(&logs->scratch, format, args);
    va_end(args);
    buf_char(&logs->scratch, '\n');
    put(logs, logs->scratch.data, logs->scratch.len);
}

static void put_tail(struct logs *logs)
{
    int64_t n = logs->n_beyond < NX_LOG_TAIL ? logs->n_beyond : NX_LOG_TAIL;
    size_t at = (size_t)((logs->n_beyond - n) % NX_LOG_TAIL), k = NX_LOG_TAIL - at;
    char line[96];
    if (logs->n_beyond > n) {
        int length = snprintf(line, sizeof line, "nexus: %lld bytes are left out here\n",
                              (long long)(logs->n_beyond - n));
        to_file(logs, line, (size_t)length);
    }
    if (k > (size_t)n)
        k = (size_t)n;
    to_file(logs, logs->tail + at, k);
    to_file(logs, logs->tail, (size_t)n - k);
    mem_free(logs->tail);
    logs->tail = NULL;
}

void logs_end(struct logs *logs)
{
    put_held(logs);
    if (logs->tail)
        put_tail(logs);
    logs_flush(logs);
    close_file(&logs->fd);
    close_file(&logs->metrics_fd);
    close_file(&logs->usage_fd);
}

/* ---- Resolved values, metrics, usage ---- */

void logs_resolved(struct logs *logs, const char *json, size_t n)
{
    int fd = open_file(logs, PATH_RESOLVED, O_TRUNC);
    if (fd < 0)
        return;
    write_all(logs, fd, json, n);
    close(fd);
}

static void put_name(struct buf *buf, const char *name)
{
    buf_char(buf, '"');
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            buf_char(buf, '\\');
        if ((unsigned char)*name < 0x20)
            buf_printf(buf, "\\u%04x", (unsigned char)*name);
        else
            buf_char(buf, *name);
    }
    buf_char(buf, '"');
}

void logs_metric(struct logs *logs, const char *name, double value, int64_t step, int64_t wall_ms)
{
    char at[TIME_TEXT_MAX];
    buf_str(&logs->metrics, "{\"name\": ");
    put_name(&logs->metrics, name);
    if (isfinite(value))
        buf_printf(&logs->metrics, ", \"value\": %.17g", value);
    else
        buf_str(&logs->metrics, ", \"value\": null");
    if (step >= 0)
        buf_printf(&logs->metrics, ", \"step\": %lld", (long long)step);
    else
        buf_str(&logs->metrics, ", \"step\": null");
    buf_printf(&logs->metrics, ", \"at\": \"%s\"}\n", time_format(at, wall_ms));
    if (logs->metrics.len > METRICS_PENDING)
        logs_flush(logs);
}

void logs_flush(struct logs *logs)
{
    if (logs->metrics.len == 0)
        return;
    if (logs->metrics_fd < 0)
        logs->metrics_fd = open_file(logs, PATH_METRICS, O_APPEND);
    if (logs->metrics_fd >= 0)
        write_all(logs, logs->metrics_fd, logs->metrics.data, logs->metrics.len);
    buf_clear(&logs->metrics);
}

void logs_usage(struct logs *logs, const struct usage_record *record)
{
    if (logs->usage_fd < 0)
        logs->usage_fd = open_file(logs, PATH_USAGE, O_APPEND);
    if (logs->usage_fd < 0)
        return;
    buf_clear(&logs->scratch);
    usage_encode(&logs->scratch, record);
    write_all(logs, logs->usage_fd, logs->scratch.data, logs->scratch.len);
}
