/* A task's definition as nexus-task keeps it: parsed once per child, used by every attempt.
 *
 * The text is JSON: {"uses": operator, "with": {...}} or {"run": script, "shell": name, "env":
 * {name: value}}; values may hold ${{ expressions }}. Other keys are not read here. */
#ifndef TASKS_DEFINITION_H
#define TASKS_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "nexus/operator.h"

struct definition {
    json_t *json;                 /* the whole; what follows borrows from it */
    const struct nx_operator *op; /* NULL: a script */
    json_t *entry;                /* of the catalog; NULL: a script */
    const char **sql_params;      /* names of op's parameters of type NX_T_SQL */
    size_t n_sql_params;
    const json_t *with, *env; /* or NULL */
    const char *run, *shell;  /* run: or NULL; shell: never NULL */
    bool has_expressions;     /* in with; of a script: in run or env */
    json_t *args;             /* op without expressions: its checked arguments, once made */
};

/* NX_E_INVALID when it is not such JSON; NX_E_NOT_FOUND for an unknown operator. The result is the
 * caller's, to be freed with definition_free. */
struct definition *definition_new(const char *text, size_t n, struct nx_err *err);
void definition_free(struct definition *definition); /* NULL is fine */

#endif
