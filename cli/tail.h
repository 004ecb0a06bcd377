/* Reading the log of an attempt piece by piece, as whole lines after the task's name; and its last
 * lines. */
#ifndef CLI_TAIL_H
#define CLI_TAIL_H

#include "cli/command.h"
#include "lib/base/buf.h"

struct tail {
    char *label;     /* of the lines */
    uint64_t offset; /* bytes read so far */
    struct buf part; /* a line without its end yet */
    bool ended;
};

void tail_init(struct tail *tail, const char *label);
void tail_fini(struct tail *tail);
/* Takes bytes; whole lines are added to `lines` as "label | text\n". */
void tail_add(struct tail *tail, const char *p, size_t n, struct buf *lines);
/* The last line, if it has no end. */
void tail_finish(struct tail *tail, struct buf *lines);

/* What is new in the log of an attempt of a running or ended task ("load[3]"). A log that does not
 * exist yet is empty. */
void tail_read(struct cli *cli, struct tail *tail, const char *run, const char *task,
               int64_t attempt, struct buf *lines);

/* The last n lines of an attempt's log, made safe for a terminal, each after `indent`. */
void tail_last(struct cli *cli, const char *run, const char *task, int64_t attempt, size_t n,
               const char *indent, struct buf *to);
/* The same of bytes at hand. */
void tail_lines(const char *text, size_t n_text, size_t n, const char *indent, struct buf *to);

#endif
