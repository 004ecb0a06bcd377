/* What an attempt's expressions become: arguments, environment, script. */
#ifndef TASKS_RESOLVE_H
#define TASKS_RESOLVE_H

#include "tasks/runtime.h"

/* A script with what it runs with. */
struct resolved_script {
    const char *text;  /* in the attempt's arena */
    json_t *variables; /* of its expressions: {"NX_E1": "value"}; NULL: none */
    json_t *env;       /* the task's `env`, values as text; NULL: none */
};

void resolved_script_fini(struct resolved_script *script);

/* Evaluates and checks an operator's arguments: ctx->args. Sends masks and resolved. */
bool resolve_operator(struct nx_ctx *ctx, struct nx_err *err);
/* The same for a script. *script is to be freed with resolved_script_fini, also on failure. */
bool resolve_script(struct nx_ctx *ctx, struct resolved_script *script, struct nx_err *err);

#endif
