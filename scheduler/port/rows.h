/* Rows of tables, for people to look at: read by short-lived children (tasks/rows.h), at most two
 * at a time, and kept, for what has an address never changes. */
#ifndef SCHEDULER_PORT_ROWS_H
#define SCHEDULER_PORT_ROWS_H

#include "lib/base/buf.h"
#include "nexus/error.h"

#define ROWS_CHILDREN_MAX 2
#define ROWS_WAITING_MAX 64

struct rows;

/* `ending` (may be asked by any thread) makes children end early. */
struct rows *rows_new(bool (*ending)(void *arg), void *arg);
/* When `ending` says so: waits for what is under way. */
void rows_end(struct rows *rows);
void rows_free(struct rows *rows);

/* The answer with that key, if it is kept: JSON text, added to `to`. The key says what is read and
 * how, such as "<sha256> <request>". */
bool rows_find(struct rows *rows, const char *key, struct buf *to);

struct rows_wish {
    const char *key;
    const char *request; /* of the child */
    int fd;              /* the file */
    struct buf *to;      /* the answer */
    struct nx_err *err;  /* or why not */
    bool ok;
    /* On a thread of `rows`, when ok and so on are set. */
    void (*done)(struct rows_wish *wish);
    void *arg;
    struct rows_wish *next;
};

/* Reads rows on another thread. The wish and what it points to live until done is called. False,
 * NX_E_BUSY: too many wait. */
bool rows_wish(struct rows *rows, struct rows_wish *wish, struct nx_err *err);

#endif
