/* What a child is sent to start an attempt. Pure but for the files that it looks for. */
#ifndef WORKER_START_H
#define WORKER_START_H

#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/wire/child.h"
#include "nexus/error.h"
#include "worker/ledger.h"
#include "worker/marks.h"

/* Where the attempts of a worker live; texts end with 0 and are borrowed. */
struct start_places {
    const char *home, *project, *url, *mark;
    const char *artifacts;
    const char *files; /* of the DAG version, "" none; NULL: where the scheduler lays them out */
};

/* Memory for the texts of one message, used again for the next. */
struct start_texts {
    struct buf context, key, outputs;
    char mark[MARK_MAX];
    char files[PATH_MAX_BYTES];
};

void start_texts_fini(struct start_texts *texts);

/* Fills the message but ticket, definition (see child_known_take) and work. `texts` holds what it
 * points to. NX_E_INVALID when the scheduler sent nonsense; NX_E_NOT_FOUND when referenced outputs
 * are in an artifact that is not here; NX_E_LIMIT when they are above NX_CONTEXT_MAX. */
bool start_fill(const struct ledger_start *lease, const struct start_places *places,
                struct start_texts *texts, struct child_start *start, struct nx_err *err);

#endif
