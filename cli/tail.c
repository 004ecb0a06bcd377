#include "cli/tail.h"

#include <string.h>

#include "cli/api.h"
#include "cli/out.h"

#define KEPT_MAX (64 * 1024)       /* the end of a log in which its last lines are looked for */
#define LINE_MAX_BYTES (16 * 1024) /* a longer line is shown in pieces */

void tail_init(struct tail *tail, const char *label)
{
    *tail = (struct tail){.label = mem_strdup(label)};
}

void tail_fini(struct tail *tail)
{
    mem_free(tail->label);
    buf_fini(&tail->part);
}

void tail_finish(struct tail *tail, struct buf *lines)
{
    if (!tail->part.len)
        return;
    buf_printf(lines, "%s | ", tail->label);
    out_safe(lines, tail->part.data, tail->part.len);
    buf_char(lines, '\n');
    buf_clear(&tail->part);
}

void tail_add(struct tail *tail, const char *p, size_t n, struct buf *lines)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t len = end ? (size_t)(end - p) : n;
        buf_add(&tail->part, p, len);
        if (end && !tail->part.len)
            buf_printf(lines, "%s |\n", tail->label);
        if (end || tail->part.len > LINE_MAX_BYTES) {
            if (tail->part.len && tail->part.data[tail->part.len - 1] == '\r')
                tail->part.len--;
            tail_finish(tail, lines);
        }
        p += len + (end != NULL);
        n -= len + (end != NULL);
    }
}

struct reading {
    struct tail *tail;
    struct buf *lines;
};

static bool on_piece(void *arg, const char *p, size_t n)
{
    struct reading *r = arg;
    r->tail->offset += n;
    tail_add(r->tail, p, n, r->lines);
    return true;
}

void tail_read(struct cli *cli, struct tail *tail, const char *run, const char *task,
               int64_t attempt, struct buf *lines)
{
    struct nx_err err;
    struct reading r = {tail, lines};
    struct arena arena;
    arena_init(&arena);
    const char *path = api_path(&arena, "/runs/%s/tasks/%s/attempts/%lld/log?offset=%lld", run,
                                task, (long long)attempt, (long long)tail->offset);
    /* after a failure the next look tries again: what was read is counted */
    (void)api_stream(cli, path, on_piece, NULL, &r, &err);
    arena_fini(&arena);
}

static bool on_end(void *arg, const char *p, size_t n)
{
    struct buf *kept = arg;
    buf_add(kept, p, n);
    if (kept->len > 2 * KEPT_MAX) {
        memmove(kept->data, kept->data + kept->len - KEPT_MAX, KEPT_MAX);
        kept->len = KEPT_MAX;
    }
    return true;
}

void tail_lines(const char *text, size_t n_text, size_t n, const char *indent, struct buf *to)
{
    size_t start = n_text, found = 0;
    if (!n_text)
        return;
    if (start && text[start - 1] == '\n')
        start--;
    n_text = start;
    while (start > 0 && !(text[start - 1] == '\n' && ++found == n))
        start--;
    while (start <= n_text) {
        const char *end = memchr(text + start, '\n', n_text - start);
        size_t len = end ? (size_t)(end - text) - start : n_text - start;
        size_t shown = len && text[start + len - 1] == '\r' ? len - 1 : len;
        buf_str(to, indent);
        out_safe(to, text + start, shown);
        buf_char(to, '\n');
        start += len + 1;
    }
}

void tail_last(struct cli *cli, const char *run, const char *task, int64_t attempt, size_t n,
               const char *indent, struct buf *to)
{
    struct nx_err err;
    struct buf kept = {0};
    const char *path =
        api_path(&cli->arena, "/runs/%s/tasks/%s/attempts/%lld/log", run, task, (long long)attempt);
    if (api_stream(cli, path, on_end, NULL, &kept, &err) && kept.len)
        tail_lines(kept.data, kept.len, n, indent, to);
    buf_fini(&kept);
}
