/* Lines of a log one by one, with times and streams; what is shown of a line. */
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "scheduler/port/api_log.h"

static void put_shown(struct buf *body, const char *key, const char *text, size_t n)
{
    struct buf shown = {0};
    if (!n || !memchr(text, 0, n)) {
        put_textn(body, key, text, n);
        return;
    }
    for (size_t i = 0; i < n; i++) { /* programs that read JSON stumble over a zero */
        if (text[i])
            buf_char(&shown, text[i]);
        else
            buf_str(&shown, "\xef\xbf\xbd");
    }
    put_textn(body, key, shown.data, shown.len);
    buf_fini(&shown);
}

void put_log_line(struct buf *body, const struct log_line *line)
{
    const char *name;
    size_t n_name, n = line->n_text;
    enum log_fold fold = log_fold(line->text, n, &name, &n_name);
    if (n && n == line->n_bytes && line->text[n - 1] == '\r')
        n--;
    put_int(body, "offset", (int64_t)line->offset);
    put_int(body, "bytes", (int64_t)line->n_bytes);
    put_bool(body, "whole", line->whole);
    put_time(body, "at", line->at_ms);
    put_text(body, "stream", log_stream_name(line->stream));
    if (fold == FOLD_NONE)
        put_null(body, "group");
    else
        put_text(body, "group", fold == FOLD_BEGINS ? "begins" : "ends");
    put_shown(body, "text", line->text, n);
}

/* ---- GET .../log/lines?from= ---- */

struct listing {
    struct log_reader reader;
    int64_t line, from; /* the reader's next, the first wanted; they count from 1 */
    size_t limit;
    int error; /* errno of a read that failed */
};

/* The rest of the body: where the list goes on. */
static void put_next(struct buf *body, struct listing *listing)
{
    struct log_line line;
    uint64_t offset = listing->reader.offset;
    bool more = log_reader_next(&listing->reader, &line);
    if (more)
        put_int(body, "next_offset", (int64_t)offset);
    else
        put_null(body, "next_offset");
    put_page_end(body, more, (uint64_t)listing->line);
}

static void work(struct job *job)
{
    struct listing *listing = job->data;
    struct log_line line;
    size_t n = 0;
    put_open(&job->body, NULL, '{');
    put_open(&job->body, "items", '[');
    while (n < listing->limit && job->body.len < CALL_BODY_MAX && !atomic_load(&job->api->ending) &&
           log_reader_next(&listing->reader, &line)) {
        if (listing->line++ < listing->from)
            continue;
        put_open(&job->body, NULL, '{');
        put_int(&job->body, "line", listing->line - 1);
        put_log_line(&job->body, &line);
        put_close(&job->body, '}');
        n++;
    }
    put_close(&job->body, ']');
    put_next(&job->body, listing);
    listing->error = listing->reader.error;
    log_reader_end(&listing->reader);
}

static bool finish(struct job *job, struct query *query, struct nx_err *err)
{
    const struct listing *listing = job->data;
    (void)query;
    return !listing->error ||
           nx_fail(err, NX_E_IO, "cannot read the log: %s", strerror(listing->error));
}

#define BEYOND (1ll << 53) /* lines and bytes that no log has */

static bool read_number(const struct call *call, const char *name, int64_t least, int64_t *n,
                        struct nx_err *err)
{
    const char *text = http_query(call->request, name);
    if (text && (!str_parse_int(text, n) || *n < least))
        return nx_fail(err, NX_E_INVALID, "%s must be a number from %lld on, not '%.64s'", name,
                       (long long)least, text);
    *n = *n < BEYOND ? *n : BEYOND;
    return true;
}

bool list_log_lines(struct call *call, struct nx_err *err)
{
    struct listing wanted = {0};
    int64_t from = 1, offset = -1;
    uint64_t n_bytes;
    int fd, stamps_fd;
    if (!read_number(call, "from", 1, &from, err) ||
        !read_number(call, "offset", 0, &offset, err) ||
        !call_limit(call, 100, &wanted.limit, err) ||
        !attempt_file_open(call, PATH_LOG, &fd, &n_bytes, err))
        return false;
    log_reader_begin(&wanted.reader, fd, -1);
    if (!attempt_file_open(call, PATH_STAMPS, &stamps_fd, &n_bytes, err)) {
        log_reader_end(&wanted.reader);
        return false;
    }
    log_reader_begin(&wanted.reader, fd, stamps_fd);
    wanted.line = 1;
    wanted.from = from;
    if (offset >= 0) {
        log_reader_seek(&wanted.reader, (uint64_t)offset);
        wanted.line = from;
    }
    struct job *job = job_new(call);
    job->data = arena_dup(&job->arena, &wanted, sizeof wanted);
    job->work = work;
    job->finish = finish;
    if (job_work(call, job, err))
        return true;
    log_reader_end(&wanted.reader);
    return false;
}
