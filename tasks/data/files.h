/* Files of the project that an operator may read: what a relative pattern of the user's matches. */
#ifndef TASKS_DATA_FILES_H
#define TASKS_DATA_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/vec.h"
#include "nexus/operator.h"

#define FILES_MAX 100000

typedef VEC(const char *) files_list;

/* Adds the absolute paths, sorted, of the files that a relative path or pattern (* ? [abc]; ** for
 * any depth is not known) matches, below the attempt's folder (what `files:` laid out) or else
 * below the project's. Never a hidden file or folder, never the home of a Nexus (a folder with
 * nexus.db); unless `links` is set, nothing that a link leads out of the project either. No match:
 * NX_E_NOT_FOUND. The caller frees the list with vec_fini; the texts live in the arena. */
bool files_find(struct nx_ctx *ctx, const char *pattern, bool links, struct arena *arena,
                files_list *found, struct nx_err *err);

/* The same for an absolute path or pattern, anywhere: for sources that a DAG names, not for SQL. */
bool files_find_absolute(const char *pattern, struct arena *arena, files_list *found,
                         struct nx_err *err);

#endif
