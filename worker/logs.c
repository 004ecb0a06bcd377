#include "worker/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
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
    logs->fd = logs->stamps_fd = logs->metrics_fd = logs->usage_fd = -1;
    logs->max = NX_LOG_MAX;
    mask_init(&logs->out.mask);
    mask_init(&logs->errors.mask);
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void fini_tail(struct logs *logs)
{
    mem_free(logs->tail);
    mem_free(logs->tail_stamps);
    logs->tail = NULL;
    logs->tail_stamps = NULL;
}

void logs_fini(struct logs *logs)
{
    close_file(&logs->fd);
    close_file(&logs->stamps_fd);
    close_file(&logs->metrics_fd);
    close_file(&logs->usage_fd);
    mask_fini(&logs->out.mask);
    mask_fini(&logs->errors.mask);
    buf_fini(&logs->out.part);
    buf_fini(&logs->errors.part);
    buf_fini(&logs->scratch);
    buf_fini(&logs->metrics);
    fini_tail(logs);
}

void logs_begin(struct logs *logs, const struct logs_place *place)
{
    must(logs->fd < 0 && logs->stamps_fd < 0 && logs->metrics_fd < 0 && logs->usage_fd < 0);
    must(!logs->tail && !logs->out.part.len && !logs->errors.part.len);
    logs->place = *place;
    logs->line_open = false;
    logs->n_written = logs->n_beyond = 0;
    logs->failed.code = NX_OK;
    logs->base = 0;
    logs->stamps = (struct logs_stamps){0};
    mask_clear(&logs->out.mask);
    mask_clear(&logs->errors.mask);
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

/* Whether bytes from here on need a stamp of their own; *stamp is as it is to be kept then. */
static bool is_news(struct logs_stamps *stamps, struct stamp *stamp)
{
    const struct stamp *last = &stamps->last;
    if (stamps->n && stamp->at_ms < last->at_ms)
        stamp->at_ms = last->at_ms;
    if (stamps->n &&
        ((stamp->stream == last->stream && stamp->at_ms - last->at_ms < stamp_step_ms(stamps->n)) ||
         stamps->n >= STAMPS_MAX))
        return false;
    stamps->last = *stamp;
    stamps->n++;
    return true;
}

static void write_stamp(struct logs *logs, struct stamp stamp)
{
    struct buf record = {0};
    stamp.offset = logs->base + (uint64_t)logs->n_written;
    if (!is_news(&logs->stamps, &stamp))
        return;
    if (logs->stamps_fd < 0)
        return;
    stamp_encode(&record, &stamp);
    write_all(logs, logs->stamps_fd, record.data, record.len);
    buf_fini(&record);
}

/* The stamp first, and its file: who reads the bytes finds it. */
static void to_file(struct logs *logs, struct stamp stamp, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (logs->fd < 0) {
        if (logs->stamps_fd < 0)
            logs->stamps_fd = open_file(logs, PATH_STAMPS, O_APPEND);
        logs->fd = open_file(logs, PATH_LOG, O_APPEND);
        off_t size = logs->fd >= 0 ? lseek(logs->fd, 0, SEEK_END) : 0;
        logs->base = size > 0 ? (uint64_t)size : 0;
    }
    write_stamp(logs, stamp);
    if (logs->fd >= 0)
        write_all(logs, logs->fd, p, n);
    logs->n_written += (int64_t)n;
    logs->line_open = p[n - 1] != '\n';
}

static struct stamp stamp_now(enum log_stream stream)
{
    return (struct stamp){.at_ms = clock_wall_ms(), .stream = stream};
}

/* ---- The log ---- */

static void to_tail(struct logs *logs, struct stamp stamp, const char *p, size_t n)
{
    if (n > NX_LOG_TAIL) {
        logs->n_beyond += (int64_t)(n - NX_LOG_TAIL);
        p += n - NX_LOG_TAIL;
        n = NX_LOG_TAIL;
    }
    stamp.offset = (uint64_t)logs->n_beyond;
    if (is_news(&logs->tail_marked, &stamp))
        logs->tail_stamps[(logs->tail_marked.n - 1) % LOGS_TAIL_STAMPS] = stamp;
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
    to_file(logs, stamp_now(LOG_NEXUS), line, (size_t)n);
    logs->tail = mem_alloc(NX_LOG_TAIL);
    logs->tail_stamps = mem_alloc_array(LOGS_TAIL_STAMPS, sizeof *logs->tail_stamps);
    logs->tail_marked = (struct logs_stamps){0};
}

/* Bytes without secrets. */
static void put(struct logs *logs, struct stamp stamp, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (!logs->tail) {
        int64_t room = logs->max - logs->n_written;
        size_t k = room <= 0 ? 0 : (int64_t)n <= room ? n : (size_t)room;
        to_file(logs, stamp, p, k);
        p += k;
        n -= k;
        if (n == 0)
            return;
        cut(logs);
    }
    to_tail(logs, stamp, p, n);
    logs->line_open = p[n - 1] != '\n';
}

static struct logs_stream *stream_of(struct logs *logs, enum log_stream from)
{
    must(from == LOG_OUT || from == LOG_ERR);
    return from == LOG_ERR ? &logs->errors : &logs->out;
}

static void put_part(struct logs *logs, enum log_stream from)
{
    struct logs_stream *stream = stream_of(logs, from);
    const struct stamp stamp = {.at_ms = stream->part_ms, .stream = from};
    put(logs, stamp, stream->part.data, stream->part.len);
    buf_clear(&stream->part);
}

/* Whole lines; the beginning of one is held back unless it is long. */
static void put_lines(struct logs *logs, enum log_stream from, const char *p, size_t n)
{
    if (n == 0)
        return;
    struct logs_stream *stream = stream_of(logs, from);
    const struct stamp stamp = stamp_now(from);
    const char *end = memrchr(p, '\n', n);
    size_t n_whole = end ? (size_t)(end - p) + 1 : 0;
    if (stream->part.len + (n - n_whole) > LOGS_PART_MAX)
        n_whole = n;
    if (n_whole) {
        put_part(logs, from);
        put(logs, stamp, p, n_whole);
    }
    if (n > n_whole && !stream->part.len)
        stream->part_ms = stamp.at_ms;
    buf_add(&stream->part, p + n_whole, n - n_whole);
}

void logs_mask(struct logs *logs, const char *text, size_t n)
{
    mask_add(&logs->out.mask, text, n);
    mask_add(&logs->errors.mask, text, n);
}

void logs_write(struct logs *logs, enum log_stream from, const char *p, size_t n)
{
    struct mask *mask = &stream_of(logs, from)->mask;
    if (mask->n == 0) {
        put_lines(logs, from, p, n);
        return;
    }
    buf_clear(&logs->scratch);
    mask_write(mask, p, n, &logs->scratch);
    put_lines(logs, from, logs->scratch.data, logs->scratch.len);
}

static void put_held(struct logs *logs, enum log_stream from)
{
    struct mask *mask = &stream_of(logs, from)->mask;
    if (mask->held.len) {
        buf_clear(&logs->scratch);
        mask_flush(mask, &logs->scratch);
        put_lines(logs, from, logs->scratch.data, logs->scratch.len);
    }
    put_part(logs, from);
}

void logs_note(struct logs *logs, const char *format, ...)
{
    va_list args;
    put_part(logs, LOG_OUT);
    put_part(logs, LOG_ERR);
    /* What a mask holds stays so, and comes after the note: it may be one half of a secret. */
    buf_clear(&logs->scratch);
    buf_str(&logs->scratch, logs->line_open ? "\nnexus: " : "nexus: ");
    va_start(args, format);
    buf_vprintf(&logs->scratch, format, args);
    va_end(args);
    buf_char(&logs->scratch, '\n');
    put(logs, stamp_now(LOG_NEXUS), logs->scratch.data, logs->scratch.len);
}

/* The stamp of that byte beyond the notice; *next is where another one holds. The latest ones are
 * known: what is older has the oldest of them. */
static struct stamp tail_stamp(const struct logs *logs, uint64_t at, uint64_t *next)
{
    uint64_t n = logs->tail_marked.n, first = n > LOGS_TAIL_STAMPS ? n - LOGS_TAIL_STAMPS : 0;
    uint64_t i = first;
    while (i + 1 < n && logs->tail_stamps[(i + 1) % LOGS_TAIL_STAMPS].offset <= at)
        i++;
    *next = i + 1 < n ? logs->tail_stamps[(i + 1) % LOGS_TAIL_STAMPS].offset : UINT64_MAX;
    return logs->tail_stamps[i % LOGS_TAIL_STAMPS];
}

static void put_tail(struct logs *logs)
{
    uint64_t end = (uint64_t)logs->n_beyond, next;
    uint64_t at = end > NX_LOG_TAIL ? end - NX_LOG_TAIL : 0;
    char line[96];
    if (at) {
        int length = snprintf(line, sizeof line, "nexus: %llu bytes are left out here\n",
                              (unsigned long long)at);
        struct stamp stamp = {.at_ms = tail_stamp(logs, at, &next).at_ms, .stream = LOG_NEXUS};
        to_file(logs, stamp, line, (size_t)length);
    }
    while (at < end) {
        const struct stamp stamp = tail_stamp(logs, at, &next);
        size_t in_ring = (size_t)(at % NX_LOG_TAIL), n = NX_LOG_TAIL - in_ring;
        if (n > end - at)
            n = (size_t)(end - at);
        if (n > next - at)
            n = (size_t)(next - at);
        to_file(logs, stamp, logs->tail + in_ring, n);
        at += n;
    }
    fini_tail(logs);
}

void logs_end(struct logs *logs)
{
    put_held(logs, LOG_OUT);
    put_held(logs, LOG_ERR);
    if (logs->tail)
        put_tail(logs);
    logs_flush(logs);
    close_file(&logs->fd);
    close_file(&logs->stamps_fd);
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

static void flush_part(struct logs *logs, enum log_stream from)
{
    const struct logs_stream *stream = stream_of(logs, from);
    if (stream->part.len && clock_wall_ms() - stream->part_ms >= LOGS_PART_MS)
        put_part(logs, from);
}

void logs_flush(struct logs *logs)
{
    flush_part(logs, LOG_OUT);
    flush_part(logs, LOG_ERR);
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
