/* Checking DAG files here, without a server. */
#ifndef CLI_VALIDATE_H
#define CLI_VALIDATE_H

#include <jansson.h>

#include "cli/command.h"
#include "lib/text/problem.h"
#include "scheduler/dag/spec.h"

/* The operators' descriptors, as embedded; a new reference. */
json_t *validate_catalog(void);

/* Paths of DAG files; free found with vec_fini. */
struct validate_files {
    VEC(const char *) found;
};

/* Adds the DAG files of a folder and those below it, as the scheduler finds them, sorted. The paths
 * live in the arena. */
void validate_find(struct arena *arena, const char *path, struct validate_files *files);

/* Checks one file: specs as spec_read gives them, problems added (an unreadable file is one). */
bool validate_file(const char *file, const json_t *catalog, struct spec ***specs, size_t *n_specs,
                   struct problems *problems);
/* Problems as people read them: each with its line of the file and a caret below the place. */
void validate_print(const struct problems *problems, bool color, struct buf *to);

#endif
