/* The lines of an attempt's log as it is on disk, each with its time and stream (lib/wire/stamp.h).
 * Any bytes are read without harm; memory is bounded whatever a line's length is. */
#ifndef SCHEDULER_PORT_LOG_READ_H
#define SCHEDULER_PORT_LOG_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/wire/stamp.h"

#define LOG_SHOWN_MAX 16384 /* bytes of a line's text; the rest is only counted */

struct log_line {
    uint64_t offset;  /* of its first byte */
    uint64_t n_bytes; /* without its end */
    bool whole;       /* its end is there */
    const char *text; /* its beginning; until the next call */
    size_t n_text;
    int64_t at_ms; /* of its first byte; 0: unknown */
    enum log_stream stream;
};

struct log_reader {
    int fd, stamps_fd; /* -1: none; closed by log_reader_end */
    int error;         /* errno of a read that failed: no line comes any more */
    uint64_t offset;   /* of the next line */
    char *piece;       /* what was read from piece_offset on */
    uint64_t piece_offset;
    size_t n_piece;
    struct buf text;
    uint64_t n_stamps;
    struct stamp stamp, next; /* in use, and the one behind it */
    uint64_t i_stamp;
};

/* The descriptors are the reader's from now on. */
void log_reader_begin(struct log_reader *reader, int fd, int stamps_fd);
void log_reader_end(struct log_reader *reader);
/* To the line that begins there. */
void log_reader_seek(struct log_reader *reader, uint64_t offset);
/* To the first line that came then or later; to the end when there is none. A log without stamps
 * stays where it is. */
void log_reader_seek_time(struct log_reader *reader, int64_t at_ms);
/* The next line; false at the end. */
bool log_reader_next(struct log_reader *reader, struct log_line *line);

/* "::group::NAME" begins a group of lines that can be folded, "::endgroup::" ends it. */
enum log_fold { FOLD_NONE, FOLD_BEGINS, FOLD_ENDS };
/* *name, *n_name: of one that begins. */
enum log_fold log_fold(const char *text, size_t n, const char **name, size_t *n_name);

#endif
