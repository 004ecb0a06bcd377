#include "scheduler/port/log_read.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define PIECE (64 * 1024)

/* ---- Stamps ---- */

/* One that is not there holds behind all bytes. */
static struct stamp read_stamp(const struct log_reader *reader, uint64_t i)
{
    uint8_t bytes[STAMP_BYTES];
    if (i < reader->n_stamps && pread(reader->stamps_fd, bytes, sizeof bytes,
                                      (off_t)(i * STAMP_BYTES)) == (ssize_t)sizeof bytes)
        return stamp_decode(bytes);
    return (struct stamp){.offset = UINT64_MAX};
}

static void use_stamp(struct log_reader *reader, uint64_t i)
{
    reader->i_stamp = i;
    reader->stamp = read_stamp(reader, i);
    reader->next = read_stamp(reader, i + 1);
}

/* A stamp is there before its bytes are: once they are read, those that are there now are enough.
 */
static void count_stamps(struct log_reader *reader)
{
    struct stat info;
    uint64_t before = reader->n_stamps;
    if (reader->stamps_fd >= 0 && fstat(reader->stamps_fd, &info) == 0)
        reader->n_stamps = (uint64_t)info.st_size / STAMP_BYTES;
    if (reader->n_stamps > before)
        use_stamp(reader, reader->i_stamp);
}

/* The stamp that holds at the offset: the last one that is not beyond it. */
static void find_stamp(struct log_reader *reader, uint64_t offset)
{
    uint64_t low = 0, high = reader->n_stamps;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (read_stamp(reader, middle).offset <= offset)
            low = middle;
        else
            high = middle;
    }
    use_stamp(reader, low);
}

static void stamp_line(struct log_reader *reader, struct log_line *line)
{
    while (reader->next.offset <= line->offset && reader->i_stamp + 1 < reader->n_stamps)
        use_stamp(reader, reader->i_stamp + 1);
    bool known = reader->stamp.offset <= line->offset;
    line->at_ms = known ? reader->stamp.at_ms : 0;
    line->stream = known ? reader->stamp.stream : LOG_UNKNOWN;
}

/* ---- Lines ---- */

void log_reader_begin(struct log_reader *reader, int fd, int stamps_fd)
{
    memset(reader, 0, sizeof *reader);
    reader->fd = fd;
    reader->stamps_fd = stamps_fd;
    count_stamps(reader);
    log_reader_seek(reader, 0);
}

void log_reader_end(struct log_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    if (reader->stamps_fd >= 0)
        close(reader->stamps_fd);
    reader->fd = reader->stamps_fd = -1;
    mem_free(reader->piece);
    reader->piece = NULL;
    buf_fini(&reader->text);
}

void log_reader_seek(struct log_reader *reader, uint64_t offset)
{
    reader->offset = offset;
    find_stamp(reader, offset);
}

/* Whether there is a byte at the offset; then it and what follows it are in the piece. */
static bool have(struct log_reader *reader, uint64_t offset)
{
    if (offset >= reader->piece_offset && offset - reader->piece_offset < reader->n_piece)
        return true;
    if (reader->fd < 0 || reader->error || offset > INT64_MAX)
        return false;
    if (!reader->piece)
        reader->piece = mem_alloc(PIECE);
    ssize_t n = pread(reader->fd, reader->piece, PIECE, (off_t)offset);
    reader->error = n < 0 ? errno : 0;
    reader->piece_offset = offset;
    reader->n_piece = n > 0 ? (size_t)n : 0;
    count_stamps(reader);
    return n > 0;
}

bool log_reader_next(struct log_reader *reader, struct log_line *line)
{
    uint64_t at = reader->offset;
    *line = (struct log_line){.offset = at};
    buf_clear(&reader->text);
    while (!line->whole && have(reader, at)) {
        const char *from = reader->piece + (at - reader->piece_offset);
        size_t n = reader->n_piece - (size_t)(at - reader->piece_offset);
        const char *end = memchr(from, '\n', n);
        if (end)
            n = (size_t)(end - from);
        size_t room = LOG_SHOWN_MAX - reader->text.len;
        buf_add(&reader->text, from, n < room ? n : room);
        line->n_bytes += n;
        line->whole = end != NULL;
        at += n + (end != NULL);
    }
    if (at == reader->offset)
        return false;
    reader->offset = at;
    line->text = buf_text(&reader->text);
    line->n_text = reader->text.len;
    stamp_line(reader, line);
    return true;
}

void log_reader_seek_time(struct log_reader *reader, int64_t at_ms)
{
    uint64_t low = 0, high = reader->n_stamps;
    struct log_line rest;
    if (!reader->n_stamps)
        return;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (read_stamp(reader, middle).at_ms < at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    /* None: all came before. A stamp is there before its bytes are. */
    struct stat info;
    uint64_t offset = read_stamp(reader, low).offset;
    uint64_t size = fstat(reader->fd, &info) == 0 ? (uint64_t)info.st_size : 0;
    if (offset > size)
        offset = size;
    log_reader_seek(reader, offset);
    /* It may hold from the middle of a line on, which came when it began. */
    if (offset && have(reader, offset - 1) &&
        reader->piece[offset - 1 - reader->piece_offset] != '\n')
        log_reader_next(reader, &rest);
}

enum log_fold log_fold(const char *text, size_t n, const char **name, size_t *n_name)
{
    static const char begins[] = "::group::", ends[] = "::endgroup::";
    *name = "";
    *n_name = 0;
    if (n < sizeof begins - 1 || text[0] != ':')
        return FOLD_NONE;
    if (n && text[n - 1] == '\r')
        n--;
    if (n == sizeof ends - 1 && memcmp(text, ends, n) == 0)
        return FOLD_ENDS;
    if (n < sizeof begins - 1 || memcmp(text, begins, sizeof begins - 1) != 0)
        return FOLD_NONE;
    *name = text + sizeof begins - 1;
    *n_name = n - (sizeof begins - 1);
    return FOLD_BEGINS;
}
