/* The worker's line to the scheduler's depot (lib/wire/bulk.h): calls that wait for their answer,
 * for threads that may wait. A connection of its own, apart from the reports. */
#ifndef WORKER_LINE_H
#define WORKER_LINE_H

#include <stdatomic.h>

#include "lib/base/buf.h"
#include "lib/wire/bulk.h"
#include "nexus/error.h"

struct line;

/* Texts are copied. */
struct line_config {
    const char *url, *token, *certificate;
    uint64_t session; /* the worker's incarnation */
};

struct line_answer {
    struct bulk_reply reply; /* borrows from room */
    struct buf room;
};

bool line_open(const struct line_config *config, struct line **line, struct nx_err *err);
/* Every call returns with NX_E_CANCELLED, those to come too. */
void line_stop(struct line *line);
/* When no thread is in a call any more. NULL is fine, here and above. */
void line_close(struct line *line);

/* Asks and waits, however long the scheduler is away, until *give_up (may be NULL). The session is
 * filled in. A refusal (token, too busy) is waited out; any other error of the answer is the
 * call's. The answer's room is used again. */
bool line_call(struct line *line, struct bulk_request *request, struct line_answer *answer,
               const atomic_bool *give_up, struct nx_err *err);

#endif
