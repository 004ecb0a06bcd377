/* What a script hands over in files: NEXUS_OUTPUT, NEXUS_ARTIFACTS, NEXUS_PROGRESS. */
#ifndef TASKS_SCRIPT_FILES_H
#define TASKS_SCRIPT_FILES_H

#include <sys/types.h>

#include "tasks/runtime.h"

/* Takes outputs from the text of NEXUS_OUTPUT. Each line is `key=value` (the value is text) or a
 * JSON object, whose members are outputs; blank lines do not count; later lines win. A wrong line
 * is NX_E_INVALID with its number. */
bool script_outputs_parse(struct nx_ctx *ctx, const char *text, size_t n, struct nx_err *err);

/* After a script has succeeded: outputs, and the files of NEXUS_ARTIFACTS as output `artifacts`:
 * {name: reference}. */
bool script_files_take(struct nx_ctx *ctx, struct nx_err *err);

/* Sends the last complete new line of NEXUS_PROGRESS ("0.42 text"); *at: how far it was read. */
void script_progress_look(struct nx_ctx *ctx, const char *path, off_t *at);

#endif
