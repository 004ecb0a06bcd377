/* The folder of an attempt, made at first use and reused by the next attempt that names the same
 * path:
 *
 *   <path>/work/        the working folder: empty but for `files:`
 *   <path>/artifacts/   NEXUS_ARTIFACTS
 *   <path>/output, progress, script: files that appear when they are written
 *
 * What the modification times of the folders show to be untouched is not looked at again: an
 * attempt that leaves nothing behind costs three stat calls. */
#ifndef TASKS_SCRATCH_H
#define TASKS_SCRATCH_H

#include <stdbool.h>
#include <time.h>

#include "lib/base/path.h"
#include "nexus/error.h"

struct scratch {
    char path[PATH_MAX_BYTES]; /* "": none made yet */
    struct timespec changed[3];
    int64_t made_ms; /* wall; times this close to it do not prove anything */
    bool in_use;
    bool unsure; /* the times do not tell whether something was left */
};

/* Makes (or takes again) the folder at `path`, with `files` (a folder; NULL or "": none) copied to
 * its work/. Again within one attempt: nothing. What a former attempt left there goes;
 * NX_E_CONFLICT when there is something else. */
bool scratch_use(struct scratch *scratch, const char *path, const char *files, struct nx_err *err);
enum scratch_part { SCRATCH_TOP, SCRATCH_WORK, SCRATCH_ARTIFACTS };

/* False: nothing was made or removed directly in that part since scratch_use. */
bool scratch_maybe_touched(const struct scratch *scratch, enum scratch_part part);
/* After an attempt: empties it when something was left there. */
void scratch_end(struct scratch *scratch);
/* Removes it. */
void scratch_fini(struct scratch *scratch);

/* Copies what is in the folder `from` into the existing folder `to`: files with their modes,
 * symbolic links as they are. */
bool scratch_copy_tree(const char *from, const char *to, struct nx_err *err);

#endif
