/* Lines of a log: where they begin, and which of them have a text. A log may be as large as the
 * disk allows, so it is read once from front to back on a thread of its own, and the answer is
 * bounded. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/port/api_log.h"

#define PIECE (256 * 1024)
#define MARKS_MAX 4096  /* of lines; with more every second one goes */
#define EVERY_FIRST 64  /* lines from mark to mark at first */
#define WORDS_MAX 8     /* that are looked for at once */
#define WORD_BYTES 128  /* of each */
#define SHOWN_BYTES 512 /* of a line that has one */
#define GROUPS_MAX 1000 /* of lines that fold */

struct match {
    int64_t line;
    uint64_t offset;
    const char *text; /* its beginning, in the job's arena */
};

/* Lines from ::group::NAME to ::endgroup::, or to the next group, or to the end of the log. */
struct group {
    int64_t line, end_line;
    uint64_t offset;
    const char *name; /* in the job's arena */
};

/* What a scan of a log looks for and finds. Lines count from 1. */
struct scan {
    struct job *job;
    int fd;
    int error; /* errno of a read that failed */
    int64_t line;
    uint64_t offset; /* of the line that is read */
    /* Marks. */
    uint64_t marks[MARKS_MAX];
    size_t n_marks;
    int64_t every;        /* a power of two */
    struct group *groups; /* GROUPS_MAX */
    size_t n_groups;
    bool in_group, more_groups;
    /* Search. */
    char words[WORDS_MAX][WORD_BYTES]; /* in small letters */
    bool *begins;                      /* whether a word begins with two bytes a b: at a << 8 | b */
    size_t n_words, limit;
    int64_t from;
    struct match *matches; /* `limit` */
    size_t n_matches;
    int64_t next;    /* a further line that has one; 0: none */
    struct buf held; /* the beginning of a line whose end is in the next piece, up to PIECE bytes */
    uint64_t n_held; /* how long it is */
};

static void mark(struct scan *scan)
{
    if (scan->n_words || ((scan->line - 1) & (scan->every - 1)))
        return;
    if (scan->n_marks == MARKS_MAX) {
        for (size_t i = 0; i < MARKS_MAX / 2; i++)
            scan->marks[i] = scan->marks[2 * i];
        scan->n_marks = MARKS_MAX / 2;
        scan->every *= 2;
    }
    scan->marks[scan->n_marks++] = scan->offset;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Few places of a log begin a word by their first two bytes: only there words are compared. */
static void note_begin(bool *begins, const char *word)
{
    for (unsigned capital = 0; capital < 4; capital++) {
        unsigned a = (unsigned char)word[0], b = (unsigned char)word[1];
        a = (capital & 1) && a >= 'a' && a <= 'z' ? a & ~0x20u : a;
        b = (capital & 2) && b >= 'a' && b <= 'z' ? b & ~0x20u : b;
        begins[a << 8 | b] = true;
        for (unsigned any = 0; any < 256 && !word[1]; any++)
            begins[a << 8 | any] = true;
    }
}

static bool has_word_at(const struct scan *scan, const char *at, size_t n)
{
    for (size_t i = 0; i < scan->n_words; i++) {
        const char *word = scan->words[i];
        size_t k = 0;
        while (word[k] && k < n && lower(at[k]) == word[k])
            k++;
        if (!word[k])
            return true;
    }
    return false;
}

static bool has_word(const struct scan *scan, const char *line, size_t n)
{
    unsigned two = 0;
    for (size_t i = 0; i < n; i++) {
        two = (two << 8 | (unsigned char)line[i]) & 0xffff;
        if (i && scan->begins[two] && has_word_at(scan, line + i - 1, n - i + 1))
            return true;
    }
    return n > 0 && has_word_at(scan, line + n - 1, 1);
}

static void look(struct scan *scan, const char *line, size_t n)
{
    if (!scan->n_words || scan->line < scan->from || !has_word(scan, line, n))
        return;
    if (scan->n_matches == scan->limit) {
        scan->next = scan->line;
        return;
    }
    scan->matches[scan->n_matches++] =
        (struct match){scan->line, scan->offset,
                       arena_strndup(&scan->job->arena, line, n < SHOWN_BYTES ? n : SHOWN_BYTES)};
}

static void fold(struct scan *scan, const char *line, size_t n)
{
    const char *name;
    size_t n_name;
    enum log_fold what = scan->n_words ? FOLD_NONE : log_fold(line, n, &name, &n_name);
    if (what == FOLD_NONE)
        return;
    if (scan->in_group)
        scan->groups[scan->n_groups - 1].end_line = scan->line - (what == FOLD_BEGINS);
    scan->in_group = false;
    if (what == FOLD_ENDS)
        return;
    scan->more_groups = scan->n_groups == GROUPS_MAX;
    if (scan->more_groups)
        return;
    struct group *group = &scan->groups[scan->n_groups++];
    *group = (struct group){.line = scan->line, .offset = scan->offset};
    group->name =
        arena_strndup(&scan->job->arena, name, n_name < SHOWN_BYTES ? n_name : SHOWN_BYTES);
    scan->in_group = true;
}

static void end_line(struct scan *scan, const char *line, size_t n, uint64_t n_bytes)
{
    mark(scan);
    fold(scan, line, n);
    look(scan, line, n);
    scan->offset += n_bytes;
    scan->line++;
}

static void hold(struct scan *scan, const char *text, size_t n)
{
    size_t room = PIECE - scan->held.len;
    buf_add(&scan->held, text, n < room ? n : room);
    scan->n_held += n;
}

static void end_held(struct scan *scan, uint64_t n_end)
{
    end_line(scan, scan->held.data, scan->held.len, scan->n_held + n_end);
    buf_clear(&scan->held);
    scan->n_held = 0;
}

/* The lines of a piece; what is left of it is held. */
static void take(struct scan *scan, const char *piece, size_t n)
{
    const char *end;
    while (!scan->next && (end = memchr(piece, '\n', n)) != NULL) {
        size_t length = (size_t)(end - piece);
        if (scan->n_held) {
            hold(scan, piece, length);
            end_held(scan, 1);
        } else {
            end_line(scan, piece, length, length + 1);
        }
        piece = end + 1;
        n -= length + 1;
    }
    hold(scan, piece, n);
}

static bool cancelled(const struct scan *scan)
{
    return atomic_load(&scan->job->api->ending);
}

static void work(struct job *job)
{
    struct scan *scan = job->data;
    char *piece = mem_alloc(PIECE);
    ssize_t n = 0;
    scan->line = 1;
    scan->every = EVERY_FIRST;
    while (scan->fd >= 0 && !scan->next && !cancelled(scan) &&
           (n = read(scan->fd, piece, PIECE)) > 0)
        take(scan, piece, (size_t)n);
    if (n < 0)
        scan->error = errno;
    if (scan->n_held && !scan->next)
        end_held(scan, 0);
    mem_free(piece);
    buf_fini(&scan->held);
    if (scan->fd >= 0)
        close(scan->fd);
}

static void put_matches(struct buf *body, struct scan *scan)
{
    put_open(body, "items", '[');
    for (size_t i = 0; i < scan->n_matches; i++) {
        const struct match *match = &scan->matches[i];
        put_open(body, NULL, '{');
        put_int(body, "line", match->line);
        put_int(body, "offset", (int64_t)match->offset);
        put_text(body, "text", match->text);
        put_close(body, '}');
    }
    put_close(body, ']');
    put_page_end(body, scan->next > 0, (uint64_t)scan->next);
}

static void put_marks(struct buf *body, const struct scan *scan)
{
    put_int(body, "bytes", (int64_t)scan->offset);
    put_int(body, "lines", scan->line - 1);
    put_int(body, "every", scan->every);
    put_open(body, "offsets", '[');
    for (size_t i = 0; i < scan->n_marks; i++)
        put_int(body, NULL, (int64_t)scan->marks[i]);
    put_close(body, ']');
    put_open(body, "groups", '[');
    for (size_t i = 0; i < scan->n_groups; i++) {
        const struct group *group = &scan->groups[i];
        put_open(body, NULL, '{');
        put_text(body, "name", group->name);
        put_int(body, "line", group->line);
        put_int(body, "offset", (int64_t)group->offset);
        put_int(body, "end_line", group->end_line ? group->end_line : scan->line - 1);
        put_bool(body, "open", !group->end_line);
        put_close(body, '}');
    }
    put_close(body, ']');
    put_bool(body, "more_groups", scan->more_groups);
    put_close(body, '}');
}

static bool finish(struct job *job, struct query *query, struct nx_err *err)
{
    struct scan *scan = job->data;
    bool search = scan->n_words > 0;
    (void)query;
    if (scan->error)
        return nx_fail(err, NX_E_IO, "cannot read the log: %s", strerror(scan->error));
    put_open(&job->body, NULL, '{');
    if (search)
        put_matches(&job->body, scan);
    else
        put_marks(&job->body, scan);
    return true;
}

static bool start(struct call *call, const struct scan *wanted, struct nx_err *err)
{
    uint64_t n_bytes;
    int fd;
    if (!attempt_file_open(call, PATH_LOG, &fd, &n_bytes, err))
        return false;
    struct job *job = job_new(call);
    struct scan *scan = arena_dup(&job->arena, wanted, sizeof *wanted);
    scan->job = job;
    scan->fd = fd;
    scan->begins = arena_array(&job->arena, 1 << 16, sizeof *scan->begins);
    for (size_t i = 0; i < scan->n_words; i++)
        note_begin(scan->begins, scan->words[i]);
    scan->groups = arena_array(&job->arena, GROUPS_MAX, sizeof *scan->groups);
    scan->matches = arena_array(&job->arena, wanted->limit + 1, sizeof *scan->matches);
    job->data = scan;
    job->work = work;
    job->finish = finish;
    if (job_work(call, job, err))
        return true;
    if (fd >= 0)
        close(fd);
    return false;
}

bool handle_log_lines(struct call *call, struct nx_err *err)
{
    const struct scan wanted = {0};
    if (http_query(call->request, "from") || http_query(call->request, "offset") ||
        http_query(call->request, "limit"))
        return list_log_lines(call, err);
    return start(call, &wanted, err);
}

/* "a|b|c": lines that have one of them. */
static bool read_words(const char *text, struct scan *scan, struct nx_err *err)
{
    while (text && *text) {
        size_t n = strcspn(text, "|");
        if (n >= WORD_BYTES || (n && scan->n_words == WORDS_MAX))
            return nx_fail(err, NX_E_INVALID,
                           "q takes up to %d texts of up to %d bytes, with | between them",
                           WORDS_MAX, WORD_BYTES - 1);
        for (size_t i = 0; i < n; i++)
            scan->words[scan->n_words][i] = lower(text[i]);
        scan->n_words += n > 0;
        text += n + (text[n] == '|');
    }
    return scan->n_words > 0 ||
           nx_fail(err, NX_E_INVALID, "q must say what to look for, e.g. q=error|warning");
}

bool handle_log_search(struct call *call, struct nx_err *err)
{
    struct scan wanted = {0};
    return read_words(http_query(call->request, "q"), &wanted, err) &&
           call_limit(call, 100, &wanted.limit, err) && call_cursor(call, &wanted.from, err) &&
           start(call, &wanted, err);
}
