/* Script tasks: a script in a shell, in a session of its own, with everything it leaves behind. */
#ifndef TASKS_SHELL_H
#define TASKS_SHELL_H

#include "tasks/runtime.h"

/* Runs the definition's script. NX_FAILED: *err, with code NX_OK when the script ended by itself
 * with another status than 0 or by a signal (ctx->exit_code, ctx->signal). */
enum nx_outcome shell_run(struct nx_ctx *ctx, struct nx_err *err);

#endif
